//! Where an organisation's history is written besides. Its administrators see it: an address may be half a secret.

use super::channels::is_of_the_noc;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::audit::{By, Event};
use crate::channels::Tested;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::remote_write::{self as writing, RemoteWriteSpec};
use crate::store::remote_write::{self, RemoteWrite};
use crate::store::{audit, organisations};
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadOrganisations);
const WRITE: Needs = Needs::Scope(Scope::WriteOrganisations);
/// A target with the certificates it trusts.
const LARGE: usize = 128 << 10;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadOrganisations), scope(Scope::WriteOrganisations));
    vec![
        Route::get("/v1/organisations/{organisation}/remote-write", reads, show)
            .says(
                "organisations",
                "Where the history of its appliances is written by Prometheus remote write, and how that does",
            )
            .shows::<RemoteWrite>()
            .tagged(),
        Route::put("/v1/organisations/{organisation}/remote-write", writes, set)
            .says("organisations", "Set it: what comes from then on is written there")
            .takes::<SetRemoteWrite>()
            .shows::<RemoteWrite>()
            .conditional(),
        Route::delete("/v1/organisations/{organisation}/remote-write", writes, remove)
            .says("organisations", "Write nothing more there"),
        Route::post("/v1/organisations/{organisation}/remote-write/test", writes, test)
            .says("organisations", "Write one value of an appliance that there is not, and see what the store answers")
            .shows::<Tested>()
            .faults(&[404]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetRemoteWrite {
    /// The store.
    target: RemoteWriteSpec,
    /// The password of its user, or a bearer token when there is no user. None keeps the one it has, as long as it goes to the same
    /// server and user; empty takes it away.
    #[serde(default)]
    password: Option<String>,
}

/// `GET /v1/organisations/{organisation}/remote-write`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| administered(db, access, id)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found.version())?))
}

/// `PUT /v1/organisations/{organisation}/remote-write`
async fn set(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<SetRemoteWrite, LARGE>,
) -> Result<Answer, ApiError> {
    let (id, SetRemoteWrite { target, password }) = (OrganisationId(number(&id)?), form.value);
    let set = change(&app, caller, WRITE, move |db, access| {
        version.check(&administered(db, access, id)?.version())?;
        writing::set(db, &By::operator(access), id, target, password.as_deref(), is_of_the_noc(access))
    });
    let shown = set.await?;
    Ok(Answer::of(&shown)?.tagged(&tag(&shown.version())?))
}

/// `DELETE /v1/organisations/{organisation}/remote-write`
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let removed = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        writing::remove(db, &By::operator(access), id)
    });
    removed.await?;
    Ok(Answer::nothing())
}

/// `POST /v1/organisations/{organisation}/remote-write/test`
async fn test(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let begun = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        let kept = remote_write::find(db, id)?.ok_or(Fault::NotFound)?;
        let event = Event::new(Place::organisation(id), "organisation.remote_write_test", format!("organisation:{id}"));
        audit::record(db, clock::now(), &By::operator(access), event)?;
        Ok(kept)
    });
    Answer::of(&writing::test(&app.noc, begun.await?).await)
}

/// What an organisation that somebody administers as a whole has set.
fn administered(db: &Connection, access: &Access, id: OrganisationId) -> Result<RemoteWrite, ApiError> {
    access.need_whole(Role::Administrator, id)?;
    organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(remote_write::shown(db, id)?)
}
