//! What operators have consoles do, by the message queue (seed, FIGURE 2, message queue 38; decision 0027).

use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::Noc;
use crate::operators::access::Place;
use crate::signer::Signer;
use crate::store::{appliances, audit, consoles, queue};
use muster_protocol::api::Problem;
use muster_protocol::id::{ConsoleId, Mac, SiteId};
use muster_protocol::parameters::{InvalidSettings, RawSettings};
use muster_protocol::queue::{Filter, MessageNumber, Order, Target};
use rusqlite::Connection;
use serde::Serialize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a message may wait for its console, seconds.
const LIFETIME_S: RangeInclusive<u64> = 10..=7 * 86_400;
/// Messages that may wait for one console.
const MOST_WAITING: u64 = 1_000;

/// A message as an operator writes it.
#[expect(clippy::large_enum_variant, reason = "an operator sends one at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewOrder {
    /// Discover.
    Refresh,
    /// Kick-start an appliance.
    Kick {
        /// Which.
        mac: Mac,
    },
    /// Configure an appliance.
    Config {
        /// Which.
        mac: Mac,
        /// By whose policy. Absent: the appliance's own site, else the only one of the console.
        site: Option<SiteId>,
        /// What it shall have; absent: what the policy says.
        settings: Option<RawSettings>,
    },
    /// List appliances.
    List {
        /// Which.
        filter: Filter,
    },
    /// Ask how the last configuration before this stands.
    Status,
}

/// A message, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageView {
    /// To whom.
    pub console: ConsoleId,
    /// Which.
    pub number: MessageNumber,
    /// The seed's name of it.
    pub name: &'static str,
    /// What it says.
    pub order: Order,
    /// When it was written, Unix seconds.
    pub issued: u64,
    /// Until when it may be begun.
    pub expires: u64,
    /// When the console got it for the first time.
    pub fetched: Option<u64>,
    /// When the console said that it has it on disk.
    pub taken: Option<u64>,
    /// When the console said how it ended.
    pub finished: Option<u64>,
    /// How it stands.
    pub state: Standing,
    /// Why it failed: a stable word, or empty.
    pub code: String,
    /// The same for a person, from the console.
    pub detail: String,
    /// What it returned.
    pub answer: Option<String>,
}

impl MessageView {
    /// True when nothing more will become of it.
    pub fn is_over(&self) -> bool {
        matches!(self.state, Standing::Done | Standing::Failed | Standing::Expired | Standing::Cancelled)
    }
}

/// How a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It waits for its console.
    Waiting,
    /// It went out, and the console has not said that it has it.
    Fetched,
    /// On the console's disk, and not ended.
    Taken,
    /// Carried out.
    Done,
    /// Not carried out, or without success.
    Failed,
    /// The console did not come for it in time.
    Expired,
    /// It was taken back.
    Cancelled,
}

/// Why a message is not sent, or not found.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No such console.
    #[error("there is no console {console}")]
    UnknownConsole {
        /// The number given.
        console: ConsoleId,
    },
    /// It would never come for it.
    #[error("console {console} is revoked")]
    Revoked {
        /// Which.
        console: ConsoleId,
    },
    /// No such message.
    #[error("there is no message {number} to console {console}")]
    UnknownMessage {
        /// The console.
        console: ConsoleId,
        /// The number given.
        number: MessageNumber,
    },
    /// It cannot be taken back any more.
    #[error("console {console} has taken message {number} already")]
    Taken {
        /// The console.
        console: ConsoleId,
        /// Which.
        number: MessageNumber,
    },
    /// Which policy?
    #[error("console {console} has {count} sites")]
    WhichSite {
        /// The console.
        console: ConsoleId,
        /// How many.
        count: usize,
    },
    /// The console may not configure there.
    #[error("console {console} may not configure site {site}")]
    NotItsSite {
        /// The console.
        console: ConsoleId,
        /// The site.
        site: SiteId,
    },
    /// Two rows of the inventory have it.
    #[error("the inventory has {count} appliances with MAC {mac}")]
    Ambiguous {
        /// The MAC.
        mac: Mac,
        /// How many.
        count: usize,
    },
    /// The settings do not fit.
    #[error("the settings do not fit: {0}")]
    Invalid(InvalidSettings),
    /// Too short or too long.
    #[error("a message cannot wait for {seconds} s")]
    Lifetime {
        /// What was asked for.
        seconds: u64,
    },
    /// The console does not come for its messages.
    #[error("{MOST_WAITING} messages wait for console {console} already")]
    Full {
        /// Which.
        console: ConsoleId,
    },
    /// The database did not keep it.
    #[error("the message was not kept")]
    Store(#[from] StoreError),
}

impl AsProblem for QueueError {
    fn problem(&self) -> Problem {
        use QueueError::*;
        let (status, code, remedy) = match self {
            UnknownConsole { .. } => (404, "unknown_console", "List the consoles: `muster-noc console list`."),
            Revoked { .. } => (409, "console_revoked", "Send it to another console of the site."),
            UnknownMessage { .. } => (404, "unknown_message", "List the messages: `muster-noc queue show`."),
            Taken { .. } => (409, "message_taken", "It is carried out; wait for its end: `muster-noc queue show`."),
            WhichSite { .. } => (422, "which_site", "Name one of them with the message."),
            NotItsSite { .. } => (409, "not_its_site", "Send it to a console of that site, or invite this one to it."),
            Ambiguous { .. } => (409, "ambiguous_mac", "Correct the inventory: no two appliances have one MAC."),
            Invalid(_) => (422, "invalid_settings", "Correct the values named."),
            Lifetime { .. } => (422, "bad_lifetime", "Choose 10 seconds to 7 days."),
            Full { .. } => (409, "queue_full", "See whether the console runs; take back what is no longer wanted."),
            Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

impl Noc {
    /// Has a console do something. The message is on disk when this returns, and waits for the console for `lifetime`.
    pub fn send(&self, console: ConsoleId, order: NewOrder, lifetime: Duration) -> Result<MessageView, QueueError> {
        let noc = self.inner.clone();
        self.inner.store.write_now(move |db| send(db, &noc.signer, &By::local(), console, order, lifetime))
    }

    /// One message.
    pub fn message(&self, console: ConsoleId, number: MessageNumber) -> Result<MessageView, QueueError> {
        self.inner.store.read_now(|db| found(db, console, number))
    }

    /// The newest messages, of one console or of all, newest first.
    pub fn messages(&self, console: Option<ConsoleId>, limit: usize) -> Result<Vec<MessageView>, QueueError> {
        self.inner.store.read_now(|db| Ok(queue::newest(db, clock::now(), console, limit)?))
    }

    /// Takes back a message that its console has not taken. One that is on its way may be carried out all the same.
    pub fn cancel_message(&self, console: ConsoleId, number: MessageNumber) -> Result<MessageView, QueueError> {
        self.inner.store.write_now(move |db| cancel(db, &By::local(), console, number))
    }
}

/// Has a console do something, on somebody's behalf.
pub(crate) fn send(
    db: &Connection,
    signer: &Signer,
    by: &By,
    console: ConsoleId,
    order: NewOrder,
    lifetime: Duration,
) -> Result<MessageView, QueueError> {
    let seconds = lifetime.as_secs();
    if !LIFETIME_S.contains(&seconds) {
        return Err(QueueError::Lifetime { seconds });
    }
    let (now, now_ms) = (clock::now(), clock::now_ms());
    let sites = sites_of(db, console)?;
    if queue::waiting(db, now, console)? >= MOST_WAITING {
        return Err(QueueError::Full { console });
    }
    let order = resolve(db, console, &sites, order)?;
    let said = serde_json::json!(order);
    let number = queue::add(db, now_ms, console, order, now + seconds, |message| signer.message(message))?;
    record(db, by, console, number, "queue.send", said)?;
    found(db, console, number)
}

/// Takes back a message that its console has not taken, on somebody's behalf.
pub(crate) fn cancel(
    db: &Connection,
    by: &By,
    console: ConsoleId,
    number: MessageNumber,
) -> Result<MessageView, QueueError> {
    let message = found(db, console, number)?;
    if !queue::cancel(db, console, number)? && message.state != Standing::Cancelled {
        return Err(QueueError::Taken { console, number });
    }
    record(db, by, console, number, "queue.cancel", serde_json::Value::Null)?;
    found(db, console, number)
}

fn record(
    db: &Connection,
    by: &By,
    console: ConsoleId,
    number: MessageNumber,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let place = consoles::organisation(db, console)?.map_or(Place::NOC, Place::organisation);
    let event = Event::new(place, action, format!("console:{console} message:{number}"));
    audit::record(db, clock::now(), by, event.with(detail))
}

fn found(db: &Connection, console: ConsoleId, number: MessageNumber) -> Result<MessageView, QueueError> {
    queue::find(db, clock::now(), console, number)?.ok_or(QueueError::UnknownMessage { console, number })
}

fn sites_of(db: &Connection, console: ConsoleId) -> Result<Vec<SiteId>, QueueError> {
    let record = consoles::find(db, console)?.ok_or(QueueError::UnknownConsole { console })?;
    if record.revoked.is_some() { Err(QueueError::Revoked { console }) } else { Ok(record.sites) }
}

/// What the console is told: the identity that the inventory has for a MAC, and the site.
fn resolve(db: &Connection, console: ConsoleId, sites: &[SiteId], order: NewOrder) -> Result<Order, QueueError> {
    match order {
        NewOrder::Refresh => Ok(Order::Refresh),
        NewOrder::List { filter } => Ok(Order::List { filter }),
        NewOrder::Status => Ok(Order::Status),
        NewOrder::Kick { mac } => Ok(Order::Kick { target: target(db, console, mac)?.0 }),
        NewOrder::Config { mac, site, settings } => {
            let (target, own) = target(db, console, mac)?;
            let site = match (site.or(own), sites) {
                (Some(site), _) => site,
                (None, [only]) => *only,
                (None, _) => return Err(QueueError::WhichSite { console, count: sites.len() }),
            };
            if !sites.contains(&site) {
                return Err(QueueError::NotItsSite { console, site });
            }
            let settings = settings.map(|settings| settings.validate()).transpose().map_err(QueueError::Invalid)?;
            Ok(Order::Config { target, site, settings: settings.map(|settings| settings.to_raw()) })
        }
    }
}

fn target(db: &Connection, console: ConsoleId, mac: Mac) -> Result<(Target, Option<SiteId>), QueueError> {
    match appliances::with_mac(db, console, mac)?.as_slice() {
        [] => Ok((Target { mac, uid: None }, None)),
        [(uid, site)] => Ok((Target { mac, uid: Some(*uid) }, *site)),
        several => Err(QueueError::Ambiguous { mac, count: several.len() }),
    }
}
