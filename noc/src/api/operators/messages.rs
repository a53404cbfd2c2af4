//! Messages to consoles: what operators have them do, and what came of it (seed, FIGURE 2; decision 0027).
//!
//! A message reaches whatever the console reaches, and its answer tells of that: both are for those who have the role at every
//! site of the console.

use super::forms::{Part, SettingsForm};
use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, Place, Scope};
use crate::queue::{self, MessageView, NewOrder, Standing};
use crate::store::{self, consoles, fleet};
use axum::extract::{Path, State};
use muster_protocol::id::{ConsoleId, Mac, SiteId};
use muster_protocol::parameters::RawSettings;
use muster_protocol::queue::{Filter, MessageNumber, Order};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadConsoles);
const WRITE: Needs = Needs::Scope(Scope::WriteConsoles);
/// How long a message waits for its console unless asked otherwise, seconds.
const USUAL_S: u32 = 3_600;
/// Longest answer that a list shows, in bytes: a console's list of appliances may have megabytes.
const SHORT: usize = 2_000;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadConsoles), scope(Scope::WriteConsoles));
    vec![
        Route::get("/v1/consoles/{console}/messages", reads, list)
            .says("messages", "Messages to a console and what became of them, newest first. Long answers are left out")
            .query::<Part>()
            .lists::<MessageShown>(),
        Route::post("/v1/consoles/{console}/messages", writes, send)
            .says("messages", "Have a console do something: for operators of all of its sites")
            .takes::<NewMessage>()
            .makes::<MessageShown>()
            .keyed(),
        Route::get("/v1/consoles/{console}/messages/{message}", reads, show)
            .says("messages", "One message, with the whole answer")
            .shows::<MessageShown>(),
        Route::delete("/v1/consoles/{console}/messages/{message}", writes, take_back)
            .says("messages", "Take back a message that its console has not taken")
            .faults(&[409]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "order": { "kind": "refresh" } }))]
struct NewMessage {
    /// What to do.
    order: OrderForm,
    /// How long it may wait for its console, seconds; usually an hour.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 604_800)]
    valid_s: Option<u32>,
}

#[expect(clippy::large_enum_variant, reason = "one is read at a time")]
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Order)]
enum OrderForm {
    /// `sendRefresh()`: discover.
    Refresh,
    /// `sendKick(MAC)`: kick-start an appliance that has applied its settings.
    Kick {
        #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")]
        mac: Mac,
    },
    /// `sendConfig(MAC, ...)`: configure an appliance.
    Config {
        #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")]
        mac: Mac,
        /// By whose policy. Absent: the appliance's own site, else the only one of the console.
        #[serde(default)]
        #[schema(value_type = Option<u32>)]
        site: Option<SiteId>,
        /// What it shall have. Absent: what the policy says.
        #[serde(default)]
        #[schema(value_type = Option<SettingsForm>)]
        settings: Option<RawSettings>,
    },
    /// `getList(filter)`: list appliances.
    List {
        /// `0` for all, `2` for configured ones.
        #[schema(value_type = String, pattern = "^[02]$")]
        filter: Filter,
    },
    /// `getStatus()`: how the last configuration before it stands.
    Status,
}

impl From<OrderForm> for NewOrder {
    fn from(form: OrderForm) -> NewOrder {
        match form {
            OrderForm::Refresh => NewOrder::Refresh,
            OrderForm::Kick { mac } => NewOrder::Kick { mac },
            OrderForm::Config { mac, site, settings } => NewOrder::Config { mac, site, settings },
            OrderForm::List { filter } => NewOrder::List { filter },
            OrderForm::Status => NewOrder::Status,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
struct MessageShown {
    /// To whom.
    #[schema(value_type = u32)]
    console: ConsoleId,
    /// Which; they ascend.
    #[schema(value_type = u64)]
    number: MessageNumber,
    /// The seed's name of it.
    name: &'static str,
    /// What it says.
    #[schema(value_type = Object)]
    order: Order,
    /// When it was written, Unix seconds.
    issued: u64,
    /// Until when it may be begun.
    expires: u64,
    /// When the console got it for the first time.
    fetched: Option<u64>,
    /// When the console said that it has it on disk.
    taken: Option<u64>,
    /// When the console said how it ended.
    finished: Option<u64>,
    /// How it stands.
    #[schema(value_type = StandingForm)]
    state: Standing,
    /// Why it failed: a stable word, or empty.
    code: String,
    /// The same for a person.
    detail: String,
    /// What it returned.
    answer: Option<String>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Standing)]
#[expect(dead_code, reason = "describes Standing")]
enum StandingForm {
    Waiting,
    Fetched,
    Taken,
    Done,
    Failed,
    Expired,
    Cancelled,
}

impl MessageShown {
    fn of(view: MessageView) -> MessageShown {
        let MessageView {
            console,
            number,
            name,
            order,
            issued,
            expires,
            fetched,
            taken,
            finished,
            state,
            code,
            detail,
            answer,
        } = view;
        MessageShown {
            console,
            number,
            name,
            order,
            issued,
            expires,
            fetched,
            taken,
            finished,
            state,
            code,
            detail,
            answer,
        }
    }

    fn short(view: MessageView) -> MessageShown {
        let mut shown = MessageShown::of(view);
        shown.answer = shown.answer.filter(|answer| answer.len() <= SHORT);
        shown
    }
}

/// `GET /v1/consoles/{console}/messages`
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(part): Asked<Part>,
) -> Result<Answer, ApiError> {
    let (id, window) = (ConsoleId(number(&id)?), Window::of(part.limit, part.after.as_deref())?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(store::queue::page(db, clock::now(), id, window)?)
    });
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.into_iter().map(MessageShown::short).collect(), next })
}

/// `POST /v1/consoles/{console}/messages`
async fn send(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<NewMessage>,
) -> Result<Answer, ApiError> {
    let (id, keyed) = (ConsoleId(number(&id)?), form.keyed("POST /v1/consoles/{console}/messages")?);
    let NewMessage { order, valid_s } = form.value;
    let lifetime = Duration::from_secs(valid_s.unwrap_or(USUAL_S).into());
    let noc = app.noc.clone();
    make(&app, caller, WRITE, keyed, move |db, access| {
        need(db, access, id, Role::Operator)?;
        let sent = queue::send(db, &noc.signer, &By::operator(access), id, order.into(), lifetime)?;
        let location = format!("/v1/consoles/{id}/messages/{}", sent.number);
        Ok(Made { shown: MessageShown::of(sent), location, is_secret: false })
    })
    .await
}

/// `GET /v1/consoles/{console}/messages/{message}`
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((id, message)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let (id, message) = (ConsoleId(number(&id)?), message_number(&message)?);
    let found = see(&app, caller, READ, move |db, access| {
        need(db, access, id, Role::Viewer)?;
        Ok(store::queue::find(db, clock::now(), id, message)?.ok_or(Fault::NotFound)?)
    });
    Answer::of(&MessageShown::of(found.await?))
}

/// `DELETE /v1/consoles/{console}/messages/{message}`
async fn take_back(
    State(app): State<App>,
    caller: Caller,
    Path((id, message)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let (id, message) = (ConsoleId(number(&id)?), message_number(&message)?);
    let taken = change(&app, caller, WRITE, move |db, access| {
        need(db, access, id, Role::Operator)?;
        store::queue::find(db, clock::now(), id, message)?.ok_or(Fault::NotFound)?;
        queue::cancel(db, &By::operator(access), id, message)?;
        Ok(())
    });
    taken.await?;
    Ok(Answer::nothing())
}

fn need(db: &Connection, access: &Access, id: ConsoleId, role: Role) -> Result<(), ApiError> {
    let owned = fleet::console(db, access.operator, id)?.ok_or(Fault::NotFound)?;
    let has = |site: SiteId| access.role(Place::site(owned.organisation, site)).is_some_and(|has| has >= role);
    if consoles::sites_of(db, id)?.into_iter().all(has) { Ok(()) } else { Err(Fault::Role { needed: role }.into()) }
}

/// A number in a path. What is none names nothing.
fn message_number(text: &str) -> Result<MessageNumber, Fault> {
    let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.map(MessageNumber).ok_or(Fault::NotFound)
}
