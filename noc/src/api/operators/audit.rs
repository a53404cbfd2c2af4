//! The audit log, for administrators: what happened where they are that.

use super::{Answer, scope, see};
use crate::api::caller::Caller;
use crate::api::request::{Asked, time};
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Window};
use crate::audit::{READERS, Record};
use crate::operators::access::{Needs, OrganisationId, Scope};
use crate::store::audit::{self, Search};
use axum::extract::State;
use muster_protocol::id::SiteId;
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/audit", scope(Scope::ReadAudit), search)
            .says("audit", "The audit log, newest first: for administrators")
            .query::<Filter>()
            .lists::<Record>(),
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
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// How the actor begins, as `operator:7:` or `console:`.
    actor: Option<String>,
    /// How the action begins, as `sign_in.` or `site.change`.
    action: Option<String>,
    /// How the subject begins, as `appliance:`.
    subject: Option<String>,
    /// Only at this time or later, Unix seconds.
    since: Option<u64>,
    /// Only at this time or earlier.
    until: Option<u64>,
}

/// `GET /v1/audit`
async fn search(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let Filter { organisation, site, actor, action, subject, since, until, .. } = asked;
    let (since, until) = (time("since", since)?, time("until", until)?);
    let search = Search { organisation, site, actor, action, subject, since, until };
    let found = see(&app, caller, Needs::Scope(Scope::ReadAudit), move |db, access| {
        if !access.roles.iter().any(|at| at.role >= READERS) {
            return Err(Fault::Role { needed: READERS }.into());
        }
        Ok(audit::search(db, Some(access.operator), &search, window)?)
    });
    Answer::of(&found.await?)
}
