//! Alerts, and who has seen them.

use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::{By, Event};
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::audit;
use crate::store::fleet::{self, AlertFilter, OwnedAlert};
use axum::extract::{Path, State};
use muster_protocol::api::AlertKind;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::text::misleads;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadAlerts);
const WRITE: Needs = Needs::Scope(Scope::WriteAlerts);
/// Longest note, in characters.
const MAX_NOTE: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAlerts), scope(Scope::WriteAlerts));
    vec![
        Route::get("/v1/alerts", reads, list)
            .says("alerts", "Alerts, newest first")
            .query::<Filter>()
            .lists::<AlertView>(),
        Route::get("/v1/alerts/{alert}", reads, show).says("alerts", "One alert").shows::<AlertView>().tagged(),
        Route::put("/v1/alerts/{alert}/acknowledgement", writes, acknowledge)
            .says("alerts", "Say that an alert was seen, and what of it")
            .takes::<Acknowledgement>()
            .shows::<AlertView>()
            .conditional(),
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
    /// Only those that are open, or only those that are not.
    open: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    /// What there is to say.
    #[serde(default)]
    #[schema(max_length = 500)]
    note: String,
}

#[derive(Serialize, ToSchema)]
struct AlertView {
    /// Its number.
    id: u64,
    /// Whose it is.
    organisation: OrganisationId,
    /// The site.
    #[schema(value_type = u32)]
    site: SiteId,
    /// What it is about.
    #[schema(value_type = AlertKindForm)]
    kind: AlertKind,
    /// The health rule that is broken; empty for others.
    rule: String,
    /// The appliances; one for a single alert, several for a site's or a gateway's.
    #[schema(value_type = Vec<String>)]
    appliances: Vec<Uid>,
    /// When it opened, Unix seconds.
    opened: u64,
    /// When it closed, if it did.
    closed: Option<u64>,
    /// When it was seen, if it was.
    acknowledged: Option<u64>,
    /// By whom; or empty.
    acknowledged_by: String,
    /// What they said of it.
    note: String,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
#[expect(dead_code, reason = "describes muster_protocol's AlertKind")]
enum AlertKindForm {
    Silent,
    NeverReported,
    Site,
    Unstable,
    Failing,
}

impl AlertView {
    fn of(owned: OwnedAlert) -> AlertView {
        let OwnedAlert { organisation, alert, acknowledged, acknowledged_by, note } = owned;
        AlertView {
            id: alert.id,
            organisation,
            site: alert.site,
            kind: alert.kind,
            rule: alert.rule,
            appliances: alert.appliances,
            opened: alert.opened,
            closed: alert.closed,
            acknowledged,
            acknowledged_by,
            note,
        }
    }
}

/// `GET /v1/alerts`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let filter = AlertFilter { organisation: asked.organisation, site: asked.site, open: asked.open };
    let found = see(&app, caller, READ, move |db, access| Ok(fleet::alerts(db, access.operator, filter, window)?));
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.into_iter().map(AlertView::of).collect(), next })
}

/// `GET /v1/alerts/{alert}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let found = see(&app, caller, READ, move |db, access| seen(db, access, id, Role::Viewer)).await?;
    let shown = AlertView::of(found);
    Ok(Answer::of(&shown)?.tagged(&tag(&shown)?))
}

/// `PUT /v1/alerts/{alert}/acknowledgement`
async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Acknowledgement>,
) -> Result<Answer, ApiError> {
    let (id, note) = (number(&id)?, form.value.note);
    if note.chars().count() > MAX_NOTE || note.chars().any(misleads) {
        let why = format!("is longer than {MAX_NOTE} characters or holds control characters");
        return Err(Fault::invalid("note", why).into());
    }
    let changed = change(&app, caller, WRITE, move |db, access| {
        let owned = seen(db, access, id, Role::Operator)?;
        let place = owned.place();
        let before = AlertView::of(owned);
        version.check(&before)?;
        fleet::acknowledge(db, clock::now(), before.id, &access.login, &note)?;
        let event = Event::new(place, "alert.acknowledge", format!("alert:{id}"));
        let detail = serde_json::json!({ "note": note });
        audit::record(db, clock::now(), &By::operator(access), event.with(detail))?;
        seen(db, access, id, Role::Viewer)
    });
    let shown = AlertView::of(changed.await?);
    Ok(Answer::of(&shown)?.tagged(&tag(&shown)?))
}

fn seen(db: &Connection, access: &Access, id: u32, role: Role) -> Result<OwnedAlert, ApiError> {
    let owned = fleet::alert(db, id)?.ok_or(Fault::NotFound)?;
    access.need(role, owned.place())?;
    Ok(owned)
}
