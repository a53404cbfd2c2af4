//! Sites and their policy.

use super::forms::{PartOf, SiteView};
use super::{Answer, CSV, Form, LONGEST_TABLE, Made, change, make, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::policy::site::SiteSpec;
use crate::store::{changes, fleet, sites};
use crate::tables::sites::{SiteReport, export, import};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/sites", reads, list)
            .says("sites", "Sites and their policy")
            .query::<PartOf>()
            .lists::<SiteView>(),
        Route::post("/v1/sites", writes, add)
            .says("sites", "Add a site: for administrators of its organisation")
            .takes::<NewSite>()
            .makes::<SiteView>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/sites/{site}", reads, show).says("sites", "One site").shows::<SiteView>().tagged(),
        Route::put("/v1/sites/{site}", writes, replace)
            .says("sites", "Replace a site's policy. Settings in force stay as they are")
            .takes::<SiteSpec>()
            .shows::<SiteView>()
            .conditional()
            .faults(&[409]),
        Route::get("/v1/sites.csv", reads, export_csv)
            .says("sites", "The sites of an organisation as CSV: for whoever sees the whole of it")
            .query::<OfOrganisation>()
            .sends(CSV)
            .faults(&[404]),
        Route::post("/v1/sites/import", writes, import_csv)
            .says(
                "sites",
                "Take in sites as CSV, by their names: every line, or none. For administrators of the organisation",
            )
            .takes::<SitesFile>()
            .shows::<SiteReport>()
            .faults(&[404, 409]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "organisation": 1, "policy": {
    "name": "Basel", "pool": "192.0.2.10-192.0.2.99", "netmask": "/24", "gateway": "192.0.2.1", "domain": "example.net",
    "dns1": "", "dns2": "", "host_name": "{model}-{n:03}", "beat_interval_s": 60, "confirm": "kick_start", "window_s": 90
} }))]
struct NewSite {
    /// Whose it is.
    organisation: OrganisationId,
    /// Its name and policy.
    policy: SiteSpec,
}

/// Whose sites.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OfOrganisation {
    /// Of this organisation.
    #[param(value_type = u64)]
    organisation: OrganisationId,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "organisation": 1, "csv": "name,pool,netmask,domain\nBasel,192.0.2.10-192.0.2.99,/24,example.net\n" }))]
struct SitesFile {
    /// Whose they are.
    organisation: OrganisationId,
    /// The file: columns as in the export.
    csv: String,
}

/// `GET /v1/sites`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found =
        see(&app, caller, READ, move |db, access| Ok(fleet::sites(db, access.operator, part.organisation, window)?));
    let Page { items, next } = found.await?;
    let items = items.iter().map(SiteView::of).collect::<Result<Vec<_>, _>>()?;
    Answer::of(&Page { items, next })
}

/// `POST /v1/sites`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewSite>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/sites")?;
    let NewSite { organisation, policy } = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        access.need_whole(Role::Administrator, organisation)?;
        crate::store::organisations::find(db, organisation)?.ok_or(Fault::NotFound)?;
        let site = policy.into_site(SiteId(0));
        let site = changes::add_site(db, &By::operator(access), organisation, site)?;
        let shown = seen(db, access, site.id, Role::Viewer)?;
        let location = format!("/v1/sites/{}", site.id);
        Ok(Made { shown, location, is_secret: false })
    })
    .await
}

/// `GET /v1/sites/{site}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| seen(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/sites/{site}`
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<SiteSpec>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&seen(db, access, id, Role::Administrator)?)?;
        changes::change_site(db, &By::operator(access), form.value.into_site(id))?;
        seen(db, access, id, Role::Viewer)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `GET /v1/sites.csv`
async fn export_csv(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<OfOrganisation>,
) -> Result<Response, ApiError> {
    let found = see(&app, caller, READ, move |db, access| {
        access.need_whole(Role::Viewer, of.organisation)?;
        Ok(sites::of_organisation(db, of.organisation)?)
    });
    Ok(([(header::CONTENT_TYPE, CSV)], export(found.await?)).into_response())
}

/// `POST /v1/sites/import`
async fn import_csv(
    State(app): State<App>,
    caller: Caller,
    form: Form<SitesFile, LONGEST_TABLE>,
) -> Result<Answer, ApiError> {
    let SitesFile { organisation, csv } = form.value;
    let taken = change(&app, caller, WRITE, move |db, access| {
        access.need_whole(Role::Administrator, organisation)?;
        crate::store::organisations::find(db, organisation)?.ok_or(Fault::NotFound)?;
        Ok(import(db, &By::operator(access), organisation, &csv)?)
    });
    Answer::of(&taken.await?)
}

fn seen(db: &Connection, access: &Access, id: SiteId, role: Role) -> Result<SiteView, ApiError> {
    let owned = fleet::site(db, id)?.ok_or(Fault::NotFound)?;
    access.need(role, Place::site(owned.organisation, id))?;
    SiteView::of(&owned)
}
