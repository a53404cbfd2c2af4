//! What is kept in a site for single appliances.

use super::forms::Part;
use super::policy::need;
use super::{Answer, CSV, Form, LONGEST_TABLE, Made, change, make, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::operators::Role;
use crate::operators::access::{Needs, Scope};
use crate::policy::reservation::ReservationSpec;
use crate::store::changes;
use crate::store::reservations::{self, Kept};
use crate::tables::reservations::{ReservationRecord, ReservationReport, export, import, record};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/sites/{site}/reservations", reads, list)
            .says("policy", "What is reserved in a site")
            .query::<Part>()
            .lists::<ReservationRecord>(),
        Route::post("/v1/sites/{site}/reservations", writes, add)
            .says("policy", "Reserve an address or a host name for an appliance: for the site's administrators")
            .takes::<ReservationSpec>()
            .makes::<ReservationRecord>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/sites/{site}/reservations/{reservation}", reads, show)
            .says("policy", "One reservation")
            .shows::<ReservationRecord>()
            .tagged(),
        Route::put("/v1/sites/{site}/reservations/{reservation}", writes, replace)
            .says("policy", "Replace a reservation. Settings in force stay as they are")
            .takes::<ReservationSpec>()
            .shows::<ReservationRecord>()
            .conditional()
            .faults(&[409]),
        Route::delete("/v1/sites/{site}/reservations/{reservation}", writes, remove)
            .says("policy", "Give a reservation up"),
        Route::get("/v1/sites/{site}/reservations.csv", reads, export_csv)
            .says("policy", "Everything that is reserved in a site, as CSV")
            .sends(CSV),
        Route::post("/v1/sites/{site}/reservations/import", writes, import_csv)
            .says("policy", "Take in reservations as CSV: every line, or none")
            .takes::<CsvFile>()
            .shows::<ReservationReport>()
            .faults(&[404, 409]),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "csv": "serial,address,host_name\nSN-1,192.0.2.7,gate\n" }))]
struct CsvFile {
    /// The file: columns `uid`, `mac`, `serial`, `address`, `address6`, `host_name`, `note`.
    csv: String,
}

/// `GET /v1/sites/{site}/reservations`
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(part): Asked<Part>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(reservations::page(db, id, window)?)
    });
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.iter().map(record).collect(), next })
}

/// `POST /v1/sites/{site}/reservations`
async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<ReservationSpec>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let keyed = form.keyed("POST /v1/sites/{site}/reservations")?;
    let spec = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        need(db, access, id, Role::Administrator)?;
        let number = changes::reserve(db, &By::operator(access), id, &spec)?;
        let location = format!("/v1/sites/{id}/reservations/{number}");
        Ok(Made { shown: record(&kept(db, id, number)?), location, is_secret: false })
    })
    .await
}

/// `GET /v1/sites/{site}/reservations/{reservation}`
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((id, reservation)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let (id, reservation) = (SiteId(number(&id)?), number(&reservation)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(record(&kept(db, id, reservation)?))
    });
    let found = found.await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/sites/{site}/reservations/{reservation}`
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path((id, reservation)): Path<(String, String)>,
    version: IfMatch,
    form: Form<ReservationSpec>,
) -> Result<Answer, ApiError> {
    let (id, reservation) = (SiteId(number(&id)?), number(&reservation)?);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        need(db, access, id, Role::Administrator)?;
        let before = kept(db, id, reservation)?;
        version.check(&record(&before))?;
        changes::change_reservation(db, &By::operator(access), id, &before, &form.value)?;
        Ok(record(&kept(db, id, reservation)?))
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn kept(db: &Connection, site: SiteId, reservation: u32) -> Result<Kept, ApiError> {
    Ok(reservations::find(db, site, reservation)?.ok_or(Fault::NotFound)?)
}

/// `DELETE /v1/sites/{site}/reservations/{reservation}`
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path((id, reservation)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let (id, reservation) = (SiteId(number(&id)?), number(&reservation)?);
    let removed = change(&app, caller, WRITE, move |db, access| {
        need(db, access, id, Role::Administrator)?;
        if changes::give_up(db, &By::operator(access), id, reservation)? { Ok(()) } else { Err(Fault::NotFound.into()) }
    });
    removed.await?;
    Ok(Answer::nothing())
}

/// `GET /v1/sites/{site}/reservations.csv`
async fn export_csv(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(reservations::list(db, id)?)
    });
    let records: Vec<_> = found.await?.iter().map(record).collect();
    let csv = export(records.iter().map(|record| &record.reservation));
    Ok(([(header::CONTENT_TYPE, CSV)], csv).into_response())
}

/// `POST /v1/sites/{site}/reservations/import`
async fn import_csv(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<CsvFile, LONGEST_TABLE>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let taken = change(&app, caller, WRITE, move |db, access| {
        need(db, access, id, Role::Administrator)?;
        Ok(import(db, &By::operator(access), id, &form.value.csv)?)
    });
    Answer::of(&taken.await?)
}
