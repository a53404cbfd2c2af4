//! The history of an appliance in roll-ups, for charts; and how long an organisation keeps it.

use super::appliances::seen;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::{Asked, time};
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::history::Point;
use crate::keeping::{self, HistoryKeeping, HistoryKeepingChange};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::history::points::{self, Resolution};
use crate::store::organisations;
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const SEE: Needs = Needs::Scope(Scope::ReadOrganisations);
const WRITE: Needs = Needs::Scope(Scope::WriteOrganisations);
/// Seconds that are shown in five minutes unless something else is asked for.
const SHORT: u64 = 2 * 86_400;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/appliances/{uid}/history", scope(Scope::ReadAppliances), show)
            .says("appliances", "What it measured, rolled up by five minutes or hours, oldest first")
            .query::<Range>()
            .lists::<Point>(),
        Route::get("/v1/organisations/{organisation}/history", scope(Scope::ReadOrganisations), show_keeping)
            .says("organisations", "How long an organisation keeps the history of its appliances")
            .shows::<HistoryKeeping>()
            .tagged(),
        Route::patch("/v1/organisations/{organisation}/history", scope(Scope::WriteOrganisations), keep)
            .says("organisations", "Keep it for another time: for its administrators. What is not named stays")
            .takes::<HistoryKeepingChange>()
            .shows::<HistoryKeeping>()
            .conditional(),
    ]
}

/// Which part, and how fine.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Range {
    /// Roll-ups that begin at this time or later, Unix seconds; usually the last day.
    from: Option<u64>,
    /// And not later than this; usually now.
    to: Option<u64>,
    /// Usually five minutes for up to two days, and else an hour.
    #[param(inline)]
    resolution: Option<Fineness>,
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// How fine.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Fineness {
    FiveMinutes,
    Hour,
}

/// `GET /v1/appliances/{uid}/history`
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    Asked(asked): Asked<Range>,
) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let to = time("to", asked.to)?.unwrap_or_else(clock::now);
    let from = time("from", asked.from)?.unwrap_or(to.saturating_sub(86_400));
    let resolution = match asked.resolution {
        Some(Fineness::Hour) => Resolution::Hour,
        Some(Fineness::FiveMinutes) => Resolution::FiveMinutes,
        None if to.saturating_sub(from) <= SHORT => Resolution::FiveMinutes,
        None => Resolution::Hour,
    };
    let from = window.after.map_or(from, |after| from.max(after.cast_unsigned().saturating_add(1)));
    let found = see(&app, caller, READ, move |db, access| {
        let owned = seen(db, access, &uid, Role::Viewer)?;
        Ok(points::read(db, owned.row, resolution, from, to, window.limit + 1)?)
    });
    let page = Page::of(found.await?, window.limit, |point: &Point| point.start.cast_signed());
    Answer::of(&page)
}

/// `GET /v1/organisations/{organisation}/history`
async fn show_keeping(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, SEE, move |db, access| kept(db, access, id, Role::Viewer)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PATCH /v1/organisations/{organisation}/history`
async fn keep(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<HistoryKeepingChange>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let changed = change(&app, caller, WRITE, move |db, access| {
        version.check(&kept(db, access, id, Role::Administrator)?)?;
        Ok(keeping::change(db, &By::operator(access), id, form.value)?)
    });
    let after = changed.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn kept(db: &Connection, access: &Access, id: OrganisationId, role: Role) -> Result<HistoryKeeping, ApiError> {
    access.need_whole(role, id)?;
    organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(keeping::of_organisation(db, id)?)
}
