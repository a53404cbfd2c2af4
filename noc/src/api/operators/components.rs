//! The library of components, what organisations and sites require of it, and how that stands (decision 0044).

use super::forms::PartOf;
use super::policy::need;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Window};
use crate::audit::By;
use crate::clock;
use crate::components::library::{self, require_of_organisation, require_of_site};
use crate::components::{ApplianceComponents, Component, ComponentPolicy};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::store::component_plans::{self, StandingFilter};
use crate::store::{components, from_word};
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::IntoParams;

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);
const LOOK: Needs = Needs::Scope(Scope::ReadAppliances);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/components", reads, list)
            .says("components", "Components that appliances can get: everybody's, and those of one's organisations")
            .query::<PartOf>()
            .lists::<Component>(),
        Route::put("/v1/components/{component}/channels/{component_channel}", writes, promote)
            .says("components", "Lead a channel to a component: for administrators of its organisation, or of all if it is everybody's")
            .shows::<Component>()
            .faults(&[404, 409]),
        Route::delete("/v1/components/{component}", writes, retire)
            .says("components", "Give a component to no appliance any more; where it is installed it stays")
            .shows::<Component>()
            .faults(&[404, 409]),
        Route::get("/v1/components/standings", scope(Scope::ReadAppliances), standings)
            .says(
                "components",
                "What runs on which appliance, beside what is required. A page may be shorter than asked for, or empty, and have a next one",
            )
            .query::<Which>()
            .lists::<ApplianceComponents>(),
        Route::get("/v1/organisations/{organisation}/components", reads, show_organisation)
            .says("components", "What an organisation requires of its appliances")
            .shows::<ComponentPolicy>()
            .tagged(),
        Route::put("/v1/organisations/{organisation}/components", writes, replace_organisation)
            .says("components", "Replace what an organisation requires: for its administrators")
            .takes::<ComponentPolicy>()
            .shows::<ComponentPolicy>()
            .conditional(),
        Route::get("/v1/sites/{site}/components", reads, show_site)
            .says("components", "What a site requires of its appliances by itself")
            .shows::<ComponentPolicy>()
            .tagged(),
        Route::put("/v1/sites/{site}/components", writes, replace_site)
            .says("components", "Replace what a site requires: for its administrators")
            .takes::<ComponentPolicy>()
            .shows::<ComponentPolicy>()
            .conditional(),
    ]
}

/// Which appliances and components are looked at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Appliances of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only at this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// Only this component.
    component: Option<String>,
    /// Only what is required and not installed.
    behind: Option<bool>,
}

/// `GET /v1/components`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        Ok(components::page(db, access.operator, asked.organisation, window)?)
    });
    Answer::of(&found.await?)
}

/// `PUT /v1/components/{component}/channels/{component_channel}`
async fn promote(
    State(app): State<App>,
    caller: Caller,
    Path((id, channel)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let channel = from_word("channel", &channel).map_err(|_| Fault::NotFound);
    let promoted = change(&app, caller, WRITE, move |db, access| {
        let found = administered(db, access, id)?;
        Ok(library::promote(db, clock::now(), &By::operator(access), found, channel?)?)
    });
    Answer::of(&promoted.await?)
}

/// `DELETE /v1/components/{component}`
async fn retire(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let (id, path) = (number(&id)?, app.noc.path.clone());
    let retired = change(&app, caller, WRITE, move |db, access| {
        let found = administered(db, access, id)?;
        Ok(library::retire(db, clock::now(), &By::operator(access), found, &path)?)
    });
    Answer::of(&retired.await?)
}

/// A component that somebody may change: of whom they see it, and whose administrator they are.
fn administered(db: &Connection, access: &Access, id: u32) -> Result<Component, ApiError> {
    let found = components::seen(db, access.operator, id)?.ok_or(Fault::NotFound)?;
    let place = found.organisation.map_or(Place::NOC, Place::organisation);
    if access.role(place).is_none_or(|role| role < Role::Administrator) {
        return Err(Fault::Role { needed: Role::Administrator }.into());
    }
    Ok(found)
}

/// `GET /v1/components/standings`
async fn standings(State(app): State<App>, caller: Caller, Asked(asked): Asked<Which>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let Which { organisation, site, component, .. } = asked;
    let filter = StandingFilter { organisation, site, component, is_behind: asked.behind == Some(true) };
    let found = see(&app, caller, LOOK, move |db, access| {
        Ok(component_plans::standings(db, Some(access.operator), &filter, window)?)
    });
    Answer::of(&found.await?)
}

/// `GET /v1/organisations/{organisation}/components`
async fn show_organisation(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| of_organisation(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/organisations/{organisation}/components`
async fn replace_organisation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<ComponentPolicy>,
) -> Result<Answer, ApiError> {
    let (id, wanted) = (OrganisationId(number(&id)?), form.value);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&of_organisation(db, access, id, Role::Administrator)?)?;
        require_of_organisation(db, clock::now(), &By::operator(access), id, &wanted)?;
        Ok(wanted)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `GET /v1/sites/{site}/components`
async fn show_site(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| of_site(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/sites/{site}/components`
async fn replace_site(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<ComponentPolicy>,
) -> Result<Answer, ApiError> {
    let (id, wanted) = (SiteId(number(&id)?), form.value);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&of_site(db, access, id, Role::Administrator)?)?;
        require_of_site(db, clock::now(), &By::operator(access), id, &wanted)?;
        Ok(wanted)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn of_organisation(
    db: &Connection,
    access: &Access,
    id: OrganisationId,
    role: Role,
) -> Result<ComponentPolicy, ApiError> {
    access.need_whole(role, id)?;
    Ok(components::of_organisation(db, id)?.ok_or(Fault::NotFound)?)
}

fn of_site(db: &Connection, access: &Access, id: SiteId, role: Role) -> Result<ComponentPolicy, ApiError> {
    need(db, access, id, role)?;
    Ok(components::of_site(db, id)?.ok_or(Fault::NotFound)?)
}
