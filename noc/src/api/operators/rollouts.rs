//! Roll-outs of components in waves: how far they are, and moving them on (decision 0048).

use super::{Answer, Form, change, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::components::RolloutView;
use crate::components::rollouts::{Act, act, view};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::store::rollouts as store;
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/components/rollouts", reads, list)
            .says("components", "Roll-outs of components in waves, newest first")
            .query::<Filter>()
            .lists::<RolloutView>(),
        Route::get("/v1/components/rollouts/{rollout}", reads, show)
            .says("components", "One roll-out")
            .shows::<RolloutView>(),
        Route::post("/v1/components/rollouts/{rollout}/continue", writes, go_on)
            .says(
                "components",
                "Begin the next wave without waiting for this one, or go on with a halted roll-out without the appliances that failed: for administrators",
            )
            .takes::<Seen>()
            .shows::<RolloutView>()
            .faults(&[404, 409]),
        Route::post("/v1/components/rollouts/{rollout}/halt", writes, halt)
            .says("components", "Begin no further wave: for operators")
            .shows::<RolloutView>()
            .faults(&[404, 409]),
        Route::post("/v1/components/rollouts/{rollout}/back", writes, back)
            .says("components", "Give all appliances what they had before: for administrators")
            .shows::<RolloutView>()
            .faults(&[404, 409]),
    ]
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only of what this site requires by itself.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// Only those that are running or halted, or only the others.
    open: Option<bool>,
}

/// What somebody saw who goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RolloutSeen)]
struct Seen {
    /// `wave` of the roll-out as it was shown: when it is in another one by now, nothing is done.
    wave: u32,
}

/// `GET /v1/components/rollouts`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        let page = store::page(db, Some(access.operator), (asked.organisation, asked.site, asked.open), window)?;
        let items = page.items.iter().map(|kept| view(db, clock::now(), kept)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { items, next: page.next })
    });
    Answer::of(&found.await?)
}

/// `GET /v1/components/rollouts/{rollout}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    Answer::of(&see(&app, caller, READ, move |db, access| seen(db, access, id, Role::Viewer)).await?)
}

/// `POST /v1/components/rollouts/{rollout}/continue`
async fn go_on(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<Seen>,
) -> Result<Answer, ApiError> {
    let wave = usize::try_from(form.value.wave).unwrap_or(usize::MAX);
    moved(app, caller, &id, Role::Administrator, Act::Continue { wave }).await
}

/// `POST /v1/components/rollouts/{rollout}/halt`
async fn halt(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    moved(app, caller, &id, Role::Operator, Act::Halt).await
}

/// `POST /v1/components/rollouts/{rollout}/back`
async fn back(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    moved(app, caller, &id, Role::Administrator, Act::Back).await
}

async fn moved(app: App, caller: Caller, id: &str, role: Role, what: Act) -> Result<Answer, ApiError> {
    let id = number(id)?;
    let moved = change(&app, caller, WRITE, move |db, access| {
        seen(db, access, id, role)?;
        act(db, clock::now(), &By::operator(access), i64::from(id), what)?;
        seen(db, access, id, role)
    });
    Answer::of(&moved.await?)
}

fn seen(db: &Connection, access: &Access, id: u32, role: Role) -> Result<RolloutView, ApiError> {
    let kept = store::find(db, i64::from(id))?.ok_or(Fault::NotFound)?;
    access.need(role, Place { organisation: Some(kept.organisation), site: kept.site })?;
    Ok(view(db, clock::now(), &kept)?)
}
