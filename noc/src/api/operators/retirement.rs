//! The end of an appliance's service: another one takes over its role, or it is released for whatever comes next.

use super::appliances::seen;
use super::forms::SettingsForm;
use super::{Answer, Form, change, scope, see};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, Scope};
use crate::store::{fleet, inventory};
use crate::work::{self, WorkError};
use axum::extract::{Path, State};
use muster_protocol::id::Uid;
use muster_protocol::parameters::RawSettings;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const WRITE: Needs = Needs::Scope(Scope::WriteAppliances);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAppliances), scope(Scope::WriteAppliances));
    vec![
        Route::get("/v1/appliances/{uid}/role", reads, role)
            .says("appliances", "What it is to take over at its next configuration, and which one has taken over from it")
            .shows::<RoleView>(),
        Route::post("/v1/appliances/{uid}/replacement", writes, replace)
            .says(
                "appliances",
                "Give its site, address, host name and settings to another appliance, which gets them at its next configuration. \
                 Whatever the old one says is refused from now on",
            )
            .takes::<Replacement>()
            .shows::<RoleView>()
            .faults(&[404, 409]),
        Route::post("/v1/appliances/{uid}/release", writes, release).says(
            "appliances",
            "Take it out of its site: nothing is granted to it, held for it or expected of it any more. It keeps what it is set to",
        ),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replacement {
    /// The appliance that takes over: of the same organisation, not configured, at the same site or at none.
    #[schema(value_type = String, pattern = "^[A-Z2-7]{4}(-[A-Z2-7]{4}){7}$")]
    by: Uid,
}

/// What becomes of an appliance's role.
#[derive(Serialize, ToSchema)]
struct RoleView {
    /// What it is to take over at its next configuration.
    #[schema(value_type = Option<SettingsForm>)]
    takes_over: Option<RawSettings>,
    /// Which appliance has taken over from it, if whoever asks sees that one.
    #[schema(value_type = Option<String>)]
    replaced_by: Option<Uid>,
}

/// `GET /v1/appliances/{uid}/role`
async fn role(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, READ, move |db, access| {
        let uid = seen(db, access, &uid, Role::Viewer)?.record.uid;
        role_of(db, access, &uid)
    });
    Answer::of(&found.await?)
}

/// `POST /v1/appliances/{uid}/replacement`
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    form: Form<Replacement>,
) -> Result<Answer, ApiError> {
    let heir = form.value.by;
    let replaced = change(&app, caller, WRITE, move |db, access| {
        let old = seen(db, access, &uid, Role::Operator)?.record.uid;
        // One that they do not see is answered as one that nobody knows.
        let place = fleet::place_of(db, &heir)?.filter(|place| access.role(*place).is_some());
        access.need(Role::Operator, place.ok_or(WorkError::UnknownAppliance { uid: heir })?)?;
        work::replace(db, &By::operator(access), &old, &heir)?;
        role_of(db, access, &old)
    });
    Answer::of(&replaced.await?)
}

/// `POST /v1/appliances/{uid}/release`
async fn release(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let released = change(&app, caller, WRITE, move |db, access| {
        let uid = seen(db, access, &uid, Role::Operator)?.record.uid;
        Ok(inventory::release(db, clock::now(), &By::operator(access), &uid)?)
    });
    released.await?;
    Ok(Answer::nothing())
}

fn role_of(db: &Connection, access: &Access, uid: &Uid) -> Result<RoleView, ApiError> {
    let detail = work::detail(db, clock::now(), uid)?;
    let replaced_by = match detail.successor {
        Some(heir) if fleet::place_of(db, &heir)?.is_some_and(|place| access.role(place).is_some()) => Some(heir),
        _ => None,
    };
    Ok(RoleView { takes_over: detail.planned, replaced_by })
}
