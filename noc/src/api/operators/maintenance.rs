//! Maintenance: when nobody is told of a site or an appliance.

use super::policy::need;
use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::maintenance::{MaintenanceSpec, MaintenanceView};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, Scope};
use crate::store::maintenance;
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::IntoParams;

const READ: Needs = Needs::Scope(Scope::ReadAlerts);
const WRITE: Needs = Needs::Scope(Scope::WriteAlerts);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAlerts), scope(Scope::WriteAlerts));
    vec![
        Route::get("/v1/maintenance", reads, list)
            .says("monitoring", "Maintenance, newest first")
            .query::<Filter>()
            .lists::<MaintenanceView>(),
        Route::post("/v1/maintenance", writes, add)
            .says("monitoring", "Say that a site or an appliance is worked on: nobody is told of its silence meanwhile")
            .takes::<MaintenanceSpec>()
            .makes::<MaintenanceView>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/maintenance/{maintenance}", reads, show)
            .says("monitoring", "One maintenance")
            .shows::<MaintenanceView>(),
        Route::delete("/v1/maintenance/{maintenance}", writes, end)
            .says("monitoring", "End a maintenance that is under way or still to come"),
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
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// Only those that are over, or only those that are not.
    over: Option<bool>,
}

/// `GET /v1/maintenance`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let found: Page<_> = see(&app, caller, READ, move |db, access| {
        Ok(maintenance::page(db, clock::now(), Some(access.operator), asked.site, asked.over, window)?)
    })
    .await?;
    Answer::of(&found)
}

/// `POST /v1/maintenance`
async fn add(State(app): State<App>, caller: Caller, form: Form<MaintenanceSpec>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/maintenance")?;
    let spec = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        need(db, access, spec.site, Role::Operator)?;
        let shown = maintenance::add(db, clock::now(), &By::operator(access), &spec)?;
        let location = format!("/v1/maintenance/{}", shown.id);
        Ok(Made { shown, location, is_secret: false })
    })
    .await
}

/// `GET /v1/maintenance/{maintenance}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    Answer::of(&see(&app, caller, READ, move |db, access| seen(db, access, id, Role::Viewer)).await?)
}

/// `DELETE /v1/maintenance/{maintenance}`
async fn end(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let ended = change(&app, caller, WRITE, move |db, access| {
        seen(db, access, id, Role::Operator)?;
        if maintenance::end(db, clock::now(), &By::operator(access), i64::from(id))? {
            Ok(())
        } else {
            Err(Fault::NotFound.into())
        }
    });
    ended.await?;
    Ok(Answer::nothing())
}

fn seen(db: &Connection, access: &Access, id: u32, role: Role) -> Result<MaintenanceView, ApiError> {
    let found = maintenance::find(db, clock::now(), i64::from(id))?.ok_or(Fault::NotFound)?;
    need(db, access, found.site, role)?;
    Ok(found)
}
