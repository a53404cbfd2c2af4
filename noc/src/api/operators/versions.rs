//! The versions of an appliance's configuration.

use super::appliances::seen;
use super::forms::{Part, SettingsForm};
use super::{Answer, Form, change, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Window};
use crate::audit::By;
use crate::operators::Role;
use crate::operators::access::{Needs, Scope};
use crate::versions::{self, VersionState};
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAppliances), scope(Scope::WriteAppliances));
    vec![
        Route::get("/v1/appliances/{uid}/versions", reads, list)
            .says(
                "appliances",
                "Every configuration that was signed for it, newest first: who, when, why, and what became of it",
            )
            .query::<Part>()
            .lists::<VersionForm>(),
        Route::post("/v1/appliances/{uid}/rollback", writes, roll_back)
            .says("appliances", "Give it the settings of a former version with the answer to its next beat")
            .takes::<Former>()
            .faults(&[404, 409]),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "version": 1, "why": "it worked better" }))]
struct Former {
    /// The version.
    #[schema(minimum = 1)]
    version: u32,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 256)]
    why: String,
}

#[derive(ToSchema)]
#[schema(as = Version)]
#[expect(dead_code, reason = "describes VersionView, whose parts are muster_protocol's")]
struct VersionForm {
    /// 1, 2, 3 and so on for each appliance.
    version: u32,
    /// The number of its grant.
    seq: u64,
    /// The site it was for.
    site: u32,
    /// What the appliance was to have.
    settings: SettingsForm,
    /// The columns in which it differs from the last one before it that was in force.
    changes: Vec<String>,
    /// Who had it signed, as in the audit log.
    who: String,
    /// Why, in their words; or empty.
    why: String,
    /// When it was signed, Unix seconds.
    signed: u64,
    /// What became of it.
    state: VersionState,
    /// It is what the appliance has now.
    is_in_force: bool,
    /// Why it came to nothing: a stable word, or empty.
    reason: String,
    /// When that was known.
    decided: Option<u64>,
}

/// `GET /v1/appliances/{uid}/versions`
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    Asked(part): Asked<Part>,
) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, Needs::Scope(Scope::ReadAppliances), move |db, access| {
        let uid = seen(db, access, &uid, Role::Viewer)?.record.uid;
        Ok(versions::page(db, &uid, window)?)
    });
    Answer::of(&found.await?)
}

/// `POST /v1/appliances/{uid}/rollback`
async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    form: Form<Former>,
) -> Result<Answer, ApiError> {
    let (Former { version, why }, noc) = (form.value, app.noc.clone());
    let given = change(&app, caller, Needs::Scope(Scope::WriteAppliances), move |db, access| {
        let uid = seen(db, access, &uid, Role::Operator)?.record.uid;
        versions::roll_back(db, &noc, &By::operator(access), &uid, version, &why)?;
        Ok(())
    });
    given.await?;
    Ok(Answer::nothing())
}
