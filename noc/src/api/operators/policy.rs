//! Policy beyond a site's own: what its organisation says, what is said of single models, and what it all comes to.

use super::forms::SettingsForm;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::policy::effective::{EffectivePolicy, effective};
use crate::policy::site::SiteSpec;
use crate::policy::values::{OrganisationPolicy, Profile};
use crate::store::{changes, fleet, policies, preview, sites};
use axum::extract::{Path, State};
use muster_protocol::api::Problem;
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadSites);
const WRITE: Needs = Needs::Scope(Scope::WriteSites);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadSites), scope(Scope::WriteSites));
    vec![
        Route::get("/v1/organisations/{organisation}/policy", reads, show_organisation)
            .says("policy", "What an organisation says to all of its sites")
            .shows::<OrganisationPolicy>()
            .tagged(),
        Route::put("/v1/organisations/{organisation}/policy", writes, replace_organisation)
            .says("policy", "Replace what an organisation says to its sites. Settings in force stay as they are")
            .takes::<OrganisationPolicy>()
            .shows::<OrganisationPolicy>()
            .conditional()
            .faults(&[409]),
        Route::get("/v1/sites/{site}/profiles", reads, show_profiles)
            .says("policy", "What a site says of single models")
            .shows::<Profiles>()
            .tagged(),
        Route::put("/v1/sites/{site}/profiles", writes, replace_profiles)
            .says("policy", "Replace what a site says of single models")
            .takes::<Profiles>()
            .shows::<Profiles>()
            .conditional()
            .faults(&[409]),
        Route::get("/v1/sites/{site}/effective", reads, show_effective)
            .says("policy", "What a site's policy comes to for each model, and which rule gives each value")
            .shows::<Effective>(),
        Route::post("/v1/sites/{site}/preview", reads, show_preview)
            .says(
                "policy",
                "What a site's appliances would get now, or by a policy that is thought of. Nothing is changed",
            )
            .query::<PreviewPart>()
            .takes::<ThoughtOf>()
            .lists::<PreviewForm>()
            .faults(&[409]),
    ]
}

/// What a site says of single models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Profiles {
    /// Each model once.
    profiles: Vec<Profile>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Effective {
    /// For every model of which nothing is said, and then for each of the others.
    policies: Vec<EffectivePolicy>,
}

/// How much of a preview.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PreviewPart {
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only appliances that would get something else than they have, or nothing.
    changes: Option<bool>,
}

/// A policy to try. What is absent is as it is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ThoughtOf {
    /// The site's own part.
    #[serde(default)]
    policy: Option<SiteSpec>,
    /// What it says of single models.
    #[serde(default)]
    profiles: Option<Vec<Profile>>,
}

#[derive(ToSchema)]
#[schema(as = PreviewRow)]
#[expect(dead_code, reason = "describes PreviewRow, whose parts are muster_protocol's")]
struct PreviewForm {
    /// The appliance.
    uid: String,
    /// Its serial number, or empty.
    serial: String,
    /// Its model, or empty.
    model: String,
    /// The settings in force.
    current: Option<SettingsForm>,
    /// What it would get; absent if there is nothing for it.
    settings: Option<SettingsForm>,
    /// Which rule gives each value, by column.
    rules: BTreeMap<String, String>,
    /// The columns in which the two differ.
    changes: Vec<String>,
    /// Why there is nothing for it.
    #[schema(value_type = Option<Object>)]
    problem: Option<Problem>,
}

/// `GET /v1/organisations/{organisation}/policy`
async fn show_organisation(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| said_by(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/organisations/{organisation}/policy`
async fn replace_organisation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<OrganisationPolicy>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        version.check(&said_by(db, access, id, Role::Administrator)?)?;
        Ok(changes::change_organisation_policy(db, &By::operator(access), id, form.value)?)
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn said_by(db: &Connection, access: &Access, id: OrganisationId, role: Role) -> Result<OrganisationPolicy, ApiError> {
    access.need_whole(role, id)?;
    crate::store::organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(policies::of_organisation(db, id)?)
}

/// `GET /v1/sites/{site}/profiles`
async fn show_profiles(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(Profiles { profiles: policies::profiles(db, id)? })
    });
    let found = found.await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PUT /v1/sites/{site}/profiles`
async fn replace_profiles(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Profiles>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let replaced = change(&app, caller, WRITE, move |db, access| {
        need(db, access, id, Role::Administrator)?;
        version.check(&Profiles { profiles: policies::profiles(db, id)? })?;
        let profiles = changes::change_profiles(db, &By::operator(access), id, form.value.profiles)?;
        Ok(Profiles { profiles })
    });
    let after = replaced.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `GET /v1/sites/{site}/effective`
async fn show_effective(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(Effective { policies: effective(&policies::of_site(db, id)?) })
    });
    Answer::of(&found.await?)
}

/// `POST /v1/sites/{site}/preview`
async fn show_preview(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(part): Asked<PreviewPart>,
    form: Form<ThoughtOf>,
) -> Result<Answer, ApiError> {
    let id = SiteId(number(&id)?);
    let window = Window::of(part.limit, part.after.as_deref())?;
    let ThoughtOf { policy, profiles } = form.value;
    let found: Page<_> = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        let kept = sites::find(db, id)?.ok_or(Fault::NotFound)?;
        let site = policy.map_or(kept, |policy| policy.into_site(id));
        let layers = preview::thought_of(db, site, profiles)?;
        preview::page(db, &layers, clock::now(), window, part.changes == Some(true))
    })
    .await?;
    Answer::of(&found)
}

/// The site, if they have this role there.
pub(super) fn need(db: &Connection, access: &Access, id: SiteId, role: Role) -> Result<(), ApiError> {
    let owned = fleet::site(db, id)?.ok_or(Fault::NotFound)?;
    Ok(access.need(role, Place::site(owned.organisation, id))?)
}
