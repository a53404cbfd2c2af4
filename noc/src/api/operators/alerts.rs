//! Alerts: who has seen them, who wants to hear no more of them for a while, and what became of them.

use super::forms::Part;
use super::{Answer, Form, change, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::alert_events::{self, AlertEvent, Someone};
use crate::store::fleet::{self, AlertFilter, OwnedAlert};
use axum::extract::{Path, State};
use muster_protocol::api::{AlertKind, Handling, MAX_NOTE};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::text::misleads;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadAlerts);
const WRITE: Needs = Needs::Scope(Scope::WriteAlerts);
/// Shortest and longest silence: a minute, and 30 days.
const SHORTEST_SILENCE_S: u64 = 60;
const LONGEST_SILENCE_S: u64 = 30 * 86_400;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAlerts), scope(Scope::WriteAlerts));
    vec![
        Route::get("/v1/alerts", reads, list)
            .says("alerts", "Alerts, newest first")
            .query::<Filter>()
            .lists::<AlertView>(),
        Route::get("/v1/alerts/{alert}", reads, show).says("alerts", "One alert").shows::<AlertView>().tagged(),
        Route::get("/v1/alerts/{alert}/events", reads, events)
            .says("alerts", "What became of an alert, oldest first")
            .query::<Part>()
            .lists::<AlertEvent>()
            .faults(&[404]),
        Route::put("/v1/alerts/{alert}/acknowledgement", writes, acknowledge)
            .says("alerts", "Say that an alert was seen, and what of it")
            .takes::<Acknowledgement>()
            .shows::<AlertView>()
            .conditional(),
        Route::put("/v1/alerts/{alert}/silence", writes, silence)
            .says("alerts", "Have nobody be told of an open alert for a time")
            .takes::<Silence>()
            .shows::<AlertView>()
            .conditional(),
        Route::delete("/v1/alerts/{alert}/silence", writes, unsilence).says("alerts", "End that before its time"),
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
    /// Only of this kind.
    #[param(value_type = Option<String>)]
    kind: Option<AlertKind>,
    /// Only of this appliance.
    #[param(value_type = Option<String>)]
    uid: Option<Uid>,
    /// Only open ones that nobody has acknowledged or silenced, or only the others.
    waiting: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    /// What there is to say.
    #[serde(default)]
    #[schema(max_length = 500)]
    note: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Silence {
    /// For how long, in seconds: at most 30 days.
    #[schema(minimum = 60, maximum = 2_592_000)]
    seconds: u32,
    /// Why.
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
    /// Until when nobody is told of it, if it is silenced.
    silenced_until: Option<u64>,
    /// By whom; or empty.
    silenced_by: String,
    /// Why.
    silence_note: String,
    /// When it was escalated, because nobody acknowledged or silenced it in time.
    escalated: Option<u64>,
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
        let OwnedAlert { organisation, alert } = owned;
        let Handling { acknowledged, acknowledged_by, note, silenced_until, silenced_by, silence_note, escalated } =
            alert.handling;
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
            silenced_until,
            silenced_by,
            silence_note,
            escalated,
        }
    }
}

/// `GET /v1/alerts`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    let Filter { organisation, site, open, kind, uid, waiting, .. } = asked;
    let filter = AlertFilter { organisation, site, open, kind, uid, is_waiting: waiting };
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

/// `GET /v1/alerts/{alert}/events`
async fn events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(asked): Asked<Part>,
) -> Result<Answer, ApiError> {
    let (id, window) = (number(&id)?, Window::of(asked.limit, asked.after.as_deref())?);
    let found = see(&app, caller, READ, move |db, access| {
        seen(db, access, id, Role::Viewer)?;
        Ok(alert_events::of_alert(db, u64::from(id), window)?)
    });
    Answer::of(&found.await?)
}

/// `PUT /v1/alerts/{alert}/acknowledgement`
async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Acknowledgement>,
) -> Result<Answer, ApiError> {
    let (id, note) = (number(&id)?, checked_note(form.value.note)?);
    handle(app, caller, id, Some(version), move |db, alert, someone| {
        Ok(alert_events::acknowledge(db, clock::now(), alert.id, someone, &note)?)
    })
    .await
}

/// `PUT /v1/alerts/{alert}/silence`
async fn silence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Silence>,
) -> Result<Answer, ApiError> {
    let (id, note, seconds) = (number(&id)?, checked_note(form.value.note)?, form.value.seconds);
    handle(app, caller, id, Some(version), move |db, alert, someone| {
        let now = clock::now();
        let until = now + checked_silence(u64::from(seconds), alert.closed)?;
        Ok(alert_events::silence(db, now, alert.id, someone, until, &note)?)
    })
    .await
}

/// `DELETE /v1/alerts/{alert}/silence`
async fn unsilence(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let ended = handle(app, caller, number(&id)?, None, move |db, alert, someone| {
        if alert.silenced_until.is_some() {
            alert_events::unsilence(db, clock::now(), alert.id, someone)?;
        }
        Ok(())
    });
    ended.await?;
    Ok(Answer::nothing())
}

/// Does something about an alert as one of its site's operators.
async fn handle(
    app: App,
    caller: Caller,
    id: u32,
    version: Option<IfMatch>,
    work: impl FnOnce(&Connection, &AlertView, &Someone) -> Result<(), ApiError> + Send + 'static,
) -> Result<Answer, ApiError> {
    let changed = change(&app, caller, WRITE, move |db, access| {
        let before = AlertView::of(seen(db, access, id, Role::Operator)?);
        if let Some(version) = version {
            version.check(&before)?;
        }
        let someone = Someone { by: By::operator(access), who: access.login.clone() };
        work(db, &before, &someone)?;
        seen(db, access, id, Role::Viewer)
    });
    let shown = AlertView::of(changed.await?);
    Ok(Answer::of(&shown)?.tagged(&tag(&shown)?))
}

/// A note that misleads nobody who reads it.
pub(crate) fn checked_note(note: String) -> Result<String, Fault> {
    if note.chars().count() > MAX_NOTE || note.chars().any(misleads) {
        let why = format!("is longer than {MAX_NOTE} characters or holds control characters");
        return Err(Fault::invalid("note", why));
    }
    Ok(note)
}

/// The length of a silence, in seconds, if it is one. The NOC's clock says when it ends: others may be wrong.
pub(crate) fn checked_silence(seconds: u64, closed: Option<u64>) -> Result<u64, Fault> {
    if closed.is_some() {
        return Err(Fault::invalid("seconds", "is for an open alert; this one is over"));
    }
    if !(SHORTEST_SILENCE_S..=LONGEST_SILENCE_S).contains(&seconds) {
        return Err(Fault::invalid("seconds", "is not a minute to 30 days"));
    }
    Ok(seconds)
}

fn seen(db: &Connection, access: &Access, id: u32, role: Role) -> Result<OwnedAlert, ApiError> {
    let owned = fleet::alert(db, id)?.ok_or(Fault::NotFound)?;
    access.need(role, owned.place())?;
    Ok(owned)
}
