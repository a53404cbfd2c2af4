//! What organisations and sites say of silence and health.

use super::policy::need;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::audit::By;
use crate::clock;
use crate::monitoring::{Monitoring, MonitoringError};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::monitoring;
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/organisations/{organisation}/monitoring", reads, show_organisation)
            .says("monitoring", "What an organisation says of silence and health")
            .shows::<Monitoring>()
            .tagged(),
        Route::put("/v1/organisations/{organisation}/monitoring", writes, replace_organisation)
            .says("monitoring", "Replace what an organisation says of silence and health: for its administrators")
            .takes::<Monitoring>()
            .shows::<Monitoring>()
            .conditional(),
        Route::get("/v1/sites/{site}/monitoring", reads, show_site)
            .says("monitoring", "What a site says of silence and health by itself")
            .shows::<Monitoring>()
            .tagged(),
        Route::put("/v1/sites/{site}/monitoring", writes, replace_site)
            .says("monitoring", "Replace what a site says of silence and health: for its administrators")
            .takes::<Monitoring>()
            .shows::<Monitoring>()
            .conditional(),
        Route::get("/v1/sites/{site}/monitoring/effective", reads, show_effective)
            .says("monitoring", "What it comes to in a site, with its organisation's and the usual values")
            .shows::<Monitoring>(),
    ]
}

impl From<MonitoringError> for ApiError {
    fn from(error: MonitoringError) -> ApiError {
        match error {
            MonitoringError::Invalid { field, why } => Fault::invalid(field, why).into(),
            MonitoringError::Store(error) => error.into(),
        }
    }
}

/// `GET /v1/organisations/{organisation}/monitoring`
async fn show_organisation(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| of_organisation(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/organisations/{organisation}/monitoring`
async fn replace_organisation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Monitoring>,
) -> Result<Answer, ApiError> {
    let (id, wanted) = (OrganisationId(number(&id)?), form.value);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&of_organisation(db, access, id, Role::Administrator)?)?;
        monitoring::set_organisation(db, clock::now(), &By::operator(access), id, &wanted)?;
        Ok(wanted)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `GET /v1/sites/{site}/monitoring`
async fn show_site(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| of_site(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/sites/{site}/monitoring`
async fn replace_site(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Monitoring>,
) -> Result<Answer, ApiError> {
    let (id, wanted) = (SiteId(number(&id)?), form.value);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&of_site(db, access, id, Role::Administrator)?)?;
        monitoring::set_site(db, clock::now(), &By::operator(access), id, &wanted)?;
        Ok(wanted)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `GET /v1/sites/{site}/monitoring/effective`
async fn show_effective(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(monitoring::effective(db, id)?.ok_or(Fault::NotFound)?.whole())
    });
    Answer::of(&found.await?)
}

fn of_organisation(db: &Connection, access: &Access, id: OrganisationId, role: Role) -> Result<Monitoring, ApiError> {
    access.need_whole(role, id)?;
    Ok(monitoring::of_organisation(db, id)?.ok_or(Fault::NotFound)?)
}

fn of_site(db: &Connection, access: &Access, id: SiteId, role: Role) -> Result<Monitoring, ApiError> {
    need(db, access, id, role)?;
    Ok(monitoring::of_site(db, id)?.ok_or(Fault::NotFound)?)
}
