//! Drafts: changes of many appliances, reviewed and then made as one; and the versions of each.

use super::forms::{Part, SettingsForm};
use super::policy::need;
use super::{Answer, Form, LONGEST_TABLE, Made, change, make, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::drafts::{self, Difference, DraftRowState, DraftSpec, DraftView};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store;
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const WRITE: Needs = Needs::Scope(Scope::WriteAppliances);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAppliances), scope(Scope::WriteAppliances));
    vec![
        Route::get("/v1/drafts", reads, list)
            .says("drafts", "Drafts, newest first")
            .query::<Filter>()
            .lists::<DraftView>(),
        Route::post("/v1/drafts", writes, add)
            .says(
                "drafts",
                "Make a draft of a change of many appliances, of one site or several. Nothing is changed by it",
            )
            .takes::<DraftSpec>()
            .makes::<DraftView>()
            .keyed()
            .faults(&[404, 409]),
        Route::get("/v1/drafts/{draft}", reads, show)
            .says("drafts", "One draft, and what it changes")
            .shows::<Reviewed>(),
        Route::get("/v1/drafts/{draft}/rows", reads, rows)
            .says("drafts", "The appliances of a draft")
            .query::<Part>()
            .lists::<RowForm>(),
        Route::post("/v1/drafts/{draft}/apply", writes, apply)
            .says(
                "drafts",
                "Make the change of all of its appliances, or of none. Each gets it with the answer to its next beat",
            )
            .shows::<DraftView>()
            .faults(&[404, 409]),
        Route::post("/v1/drafts/{draft}/discard", writes, discard)
            .says("drafts", "Give a draft up")
            .shows::<DraftView>()
            .faults(&[404, 409]),
    ]
}

/// Which drafts, and how much of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
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
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Reviewed {
    /// The draft, and how its appliances stand.
    draft: DraftView,
    /// What it changes, all appliances together.
    difference: Difference,
}

#[derive(ToSchema)]
#[schema(as = DraftRow)]
#[expect(dead_code, reason = "describes DraftRowView, whose parts are muster_protocol's")]
struct RowForm {
    /// The appliance.
    uid: String,
    /// Its serial number, or empty.
    serial: String,
    /// Its model, or empty.
    model: String,
    /// Its site.
    site: Option<u32>,
    /// What it had when the draft was made.
    base: SettingsForm,
    /// What it is to have.
    wanted: SettingsForm,
    /// The columns in which they differ.
    changes: Vec<String>,
    /// How it stands.
    state: DraftRowState,
    /// The version that was signed for it.
    version: Option<u32>,
    /// Why it failed: a stable word, or empty.
    reason: String,
}

/// `GET /v1/drafts`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        Ok(store::drafts::page(db, access.operator, part.organisation, part.site, window)?)
    });
    let page: Page<DraftView> = found.await?;
    Answer::of(&page)
}

/// `POST /v1/drafts`
async fn add(State(app): State<App>, caller: Caller, form: Form<DraftSpec, LONGEST_TABLE>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/drafts")?;
    let spec = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        for &site in &spec.sites {
            need(db, access, site, Role::Operator)?;
        }
        let shown = drafts::make(db, &By::operator(access), &spec)?;
        let location = format!("/v1/drafts/{}", shown.id);
        Ok(Made { shown, location, is_secret: false })
    })
    .await
}

/// `GET /v1/drafts/{draft}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let found = see(&app, caller, READ, move |db, access| {
        let draft = seen(db, access, id, Role::Viewer)?;
        Ok(Reviewed { difference: drafts::difference(db, id)?, draft })
    });
    Answer::of(&found.await?)
}

/// `GET /v1/drafts/{draft}/rows`
async fn rows(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(part): Asked<Part>,
) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        seen(db, access, id, Role::Viewer)?;
        drafts::page(db, id, window)
    });
    Answer::of(&found.await?)
}

/// `POST /v1/drafts/{draft}/apply`
async fn apply(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let (id, noc) = (number(&id)?, app.noc.clone());
    let applied = change(&app, caller, WRITE, move |db, access| {
        seen(db, access, id, Role::Operator)?;
        Ok(drafts::apply(db, &noc, &By::operator(access), id)?)
    });
    Answer::of(&applied.await?)
}

/// `POST /v1/drafts/{draft}/discard`
async fn discard(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let discarded = change(&app, caller, WRITE, move |db, access| {
        seen(db, access, id, Role::Operator)?;
        Ok(drafts::discard(db, &By::operator(access), id)?)
    });
    Answer::of(&discarded.await?)
}

/// The draft, if they have this role at every site of it.
fn seen(db: &Connection, access: &Access, id: u32, role: Role) -> Result<DraftView, ApiError> {
    let draft = store::drafts::find(db, id)?.ok_or(Fault::NotFound)?;
    for &site in &draft.sites {
        need(db, access, site, role)?;
    }
    Ok(draft)
}
