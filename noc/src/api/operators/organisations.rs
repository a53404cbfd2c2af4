//! Organisations.

use super::forms::Part;
use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Window};
use crate::audit::{By, Event};
use crate::clock;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::operators::people::add_organisation;
use crate::operators::{Organisation, Role};
use crate::store::{audit, organisations};
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadOrganisations);
const WRITE: Needs = Needs::Scope(Scope::WriteOrganisations);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadOrganisations), scope(Scope::WriteOrganisations));
    vec![
        Route::get("/v1/organisations", reads, list)
            .says("organisations", "Organisations in which one has a role")
            .query::<Part>()
            .lists::<Organisation>(),
        Route::post("/v1/organisations", writes, add)
            .says("organisations", "Add an organisation: for administrators of the NOC")
            .takes::<NewOrganisation>()
            .makes::<Organisation>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/organisations/{organisation}", reads, show)
            .says("organisations", "One organisation")
            .shows::<Organisation>()
            .tagged(),
        Route::patch("/v1/organisations/{organisation}", writes, rename)
            .says("organisations", "Give an organisation another name: for its administrators")
            .takes::<Renamed>()
            .shows::<Organisation>()
            .conditional(),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganisation {
    /// Ends the sign-in names of its operators: letters, digits, dots and hyphens.
    #[schema(min_length = 1, max_length = 32)]
    handle: String,
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Renamed {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
}

/// `GET /v1/organisations`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<Part>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| Ok(organisations::seen_by(db, access.operator, window)?));
    Answer::of(&found.await?)
}

/// `POST /v1/organisations`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewOrganisation>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/organisations")?;
    let NewOrganisation { handle, name } = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        // That there is a NOC above them is no secret to anybody.
        if access.role(Place::NOC) != Some(Role::Administrator) {
            return Err(Fault::Role { needed: Role::Administrator }.into());
        }
        let shown = add_organisation(db, &By::operator(access), &handle, &name)?;
        let location = format!("/v1/organisations/{}", shown.id);
        Ok(Made { shown, location, is_secret: false })
    })
    .await
}

/// `GET /v1/organisations/{organisation}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| seen(db, access, id)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PATCH /v1/organisations/{organisation}`
async fn rename(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Renamed>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let renamed = change(&app, caller, WRITE, move |db, access| {
        let before = seen(db, access, id)?;
        access.need_whole(Role::Administrator, id)?;
        version.check(&before)?;
        organisations::rename(db, id, &form.value.name)?;
        let after = seen(db, access, id)?;
        let event = Event::new(Place::organisation(id), "organisation.change", format!("organisation:{id}"));
        let detail = serde_json::json!({ "before": before.name, "after": after.name });
        audit::record(db, clock::now(), &By::operator(access), event.with(detail))?;
        Ok(after)
    });
    let after = renamed.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn seen(db: &Connection, access: &Access, id: OrganisationId) -> Result<Organisation, ApiError> {
    let found = organisations::find(db, id)?.filter(|_| access.sees_organisation(id));
    Ok(found.ok_or(Fault::NotFound)?)
}
