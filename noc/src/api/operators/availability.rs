//! Availability of sites and their appliances in a month (decision 0040).

use super::{Answer, CSV, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Window};
use crate::availability::Month;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::standings::{self, ApplianceAvailability, SiteAvailability};
use crate::tables::availability::export;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::IntoParams;

const READ: Needs = Needs::Scope(Scope::ReadAppliances);

pub(super) fn routes() -> Vec<Route> {
    let reads = scope(Scope::ReadAppliances);
    vec![
        Route::get("/v1/availability", reads, list)
            .says("availability", "Availability of sites in a month, by their numbers")
            .query::<OfMonth>()
            .lists::<SiteAvailability>(),
        Route::get("/v1/availability.csv", reads, csv)
            .says("availability", "Availability of the appliances of all sites, or of one, as CSV")
            .query::<AsCsv>()
            .sends(CSV)
            .faults(&[404]),
        Route::get("/v1/sites/{site}/availability", reads, site)
            .says("availability", "Availability of a site's appliances in a month")
            .query::<OfSite>()
            .lists::<ApplianceAvailability>()
            .faults(&[404]),
    ]
}

/// Of which month and organisation, and how much of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OfMonth {
    /// A month of UTC, as 2026-11; usually this one, so far.
    #[param(pattern = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$")]
    month: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Of which month, and of whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AsCsv {
    /// A month of UTC, as 2026-11; usually this one, so far.
    #[param(pattern = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$")]
    month: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
}

/// Of which month, and how much of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OfSite {
    /// A month of UTC, as 2026-11; usually this one, so far.
    #[param(pattern = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$")]
    month: Option<String>,
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// `GET /v1/availability`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<OfMonth>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let (now, month) = asked_for(asked.month.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        Ok(standings::of_sites(db, now, month, Some(access.operator), (asked.organisation, asked.site), window)?)
    });
    Answer::of(&found.await?)
}

/// `GET /v1/availability.csv`
async fn csv(State(app): State<App>, caller: Caller, Asked(asked): Asked<AsCsv>) -> Result<Response, ApiError> {
    let (now, month) = asked_for(asked.month.as_deref())?;
    let text = see(&app, caller, READ, move |db, access| {
        if let Some(site) = asked.site {
            need(db, access, site)?;
        }
        Ok(export(month, &standings::report(db, now, month, Some(access.operator), asked.organisation, asked.site)?))
    });
    let name = format!("attachment; filename=\"availability-{month}.csv\"");
    let headers = [(header::CONTENT_TYPE, CSV.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, text.await?).into_response())
}

/// `GET /v1/sites/{site}/availability`
async fn site(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(asked): Asked<OfSite>,
) -> Result<Answer, ApiError> {
    let (id, window) = (SiteId(number(&id)?), Window::of(asked.limit, asked.after.as_deref())?);
    let (now, month) = asked_for(asked.month.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id)?;
        Ok(standings::of_appliances(db, now, month, id, window)?)
    });
    Answer::of(&found.await?)
}

/// Now, and the month that is asked about.
fn asked_for(month: Option<&str>) -> Result<(u64, Month), ApiError> {
    let now = clock::now();
    let Some(text) = month else { return Ok((now, Month::of(now))) };
    let month = text.parse().map_err(|why| ApiError::Malformed { why: format!("`month`: {why}") })?;
    Ok((now, month))
}

fn need(db: &Connection, access: &Access, id: SiteId) -> Result<(), ApiError> {
    super::policy::need(db, access, id, Role::Viewer)
}
