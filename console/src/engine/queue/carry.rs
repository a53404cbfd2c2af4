//! Carrying out one message.

use super::super::{Engine, EngineError};
use super::{Queue, blocking};
use crate::problem::{Explain, problem};
use crate::store::{MessageEnd, StoredMessage};
use crate::view::{Chosen, EditedRow, ProblemView, RowOwnership, RowState, Settings};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::queue::{ConfigStatus, Filter, ListedAppliance, MessageState, Order, Target, list_text};

/// How many appliances a list has.
pub(super) fn entries(list: &str) -> u32 {
    if list.is_empty() { 0 } else { u32::try_from(list.split('|').count()).unwrap_or(u32::MAX) }
}

impl Queue {
    /// How a message ended; `None`: it became a job, whose end is its own.
    pub(super) async fn carry_out(&self, engine: &Engine, message: &StoredMessage) -> Option<MessageEnd> {
        let order = match serde_json::from_str::<Order>(&message.said) {
            Ok(order) => order,
            Err(error) => {
                let why = format!("this console does not understand it: {error}");
                return failed(problem("not_understood", why, "Use programs of the same version at both ends."));
            }
        };
        let done = match order {
            Order::Refresh => refresh(engine).await.map(Some),
            Order::List { filter } => Ok(Some(list(engine, filter))),
            Order::Status => return Some(self.status(message).await),
            Order::Kick { target } => kick(engine, &target).await.map(|()| None),
            Order::Config { target, site, settings } => match config(engine, message, &target, site, settings).await {
                Ok(()) => return None,
                Err(problem) => Err(problem),
            },
        };
        Some(match done {
            Ok(answer) => MessageEnd::Done(answer),
            Err(problem) => MessageEnd::Failed(problem),
        })
    }

    async fn status(&self, message: &StoredMessage) -> MessageEnd {
        let key = message.key;
        let status = match blocking(&self.store, move |store| store.config_before(key)).await {
            Ok(Some(config)) => match config.state {
                MessageState::Taken => ConfigStatus::Waiting,
                MessageState::Done => ConfigStatus::Success,
                MessageState::Failed => ConfigStatus::Failed,
            },
            Ok(None) => ConfigStatus::Waiting,
            Err(error) => return MessageEnd::Failed(error.problem()),
        };
        MessageEnd::Done(Some(status.to_string()))
    }
}

fn failed(problem: ProblemView) -> Option<MessageEnd> {
    Some(MessageEnd::Failed(problem))
}

/// How many were found.
async fn refresh(engine: &Engine) -> Result<String, ProblemView> {
    let discovery = engine.roll_call().await.map_err(|error| error.problem())?;
    match discovery.problem {
        Some(problem) => Err(problem),
        None => Ok(discovery.found.to_string()),
    }
}

/// The appliances that have answered, by the order of their MAC.
fn list(engine: &Engine, filter: Filter) -> String {
    let rows = engine.appliances().into_iter().filter(|row| row.heard);
    let wanted = rows.filter(|row| filter == Filter::All || row.state == RowState::Configured);
    let mut listed: Vec<ListedAppliance> = wanted
        .filter_map(|row| Some(ListedAppliance::new(row.mac.parse().ok()?, &RawSettings::from(row.settings))))
        .collect();
    listed.sort_by_key(|appliance| appliance.mac);
    list_text(&listed)
}

async fn kick(engine: &Engine, target: &Target) -> Result<(), ProblemView> {
    let uid = locate(engine, target).await?;
    if engine.kick(uid).await.map_err(|error| error.problem())? {
        return Ok(());
    }
    let state = engine.inner.shared.read(|state| state.roster.row(&uid).map(|row| row.state));
    match state {
        // Kick-started before; its SecureBeat runs.
        Some(RowState::Configured) => Ok(()),
        _ => Err(problem(
            "nothing_to_kick",
            format!("{} has not applied settings of this console", target.mac),
            "Configure it first: sendConfig. Its kick-start follows by itself.",
        )),
    }
}

async fn config(
    engine: &Engine,
    message: &StoredMessage,
    target: &Target,
    site: SiteId,
    settings: Option<RawSettings>,
) -> Result<(), ProblemView> {
    let uid = locate(engine, target).await?;
    let settings = planned(engine, uid, site, settings).await?;
    let row = EditedRow { uid: uid.to_string(), settings };
    engine.configure_for(site.0, vec![row], Some(message.key)).await.map(drop).map_err(|error| error.problem())
}

/// What it shall have: what the NOC wants, else what the site's policy says. Planned in any case, because that is what takes an
/// appliance to its site.
async fn planned(
    engine: &Engine,
    uid: Uid,
    site: SiteId,
    wanted: Option<RawSettings>,
) -> Result<Settings, ProblemView> {
    let chosen = vec![Chosen { uid: uid.to_string(), claim: None }];
    let plan = engine.plan(site.0, chosen).await.map_err(|error| error.problem())?;
    let row = plan.rows.into_iter().next();
    let Some(row) = row else { return Err(problem("no_plan", "the NOC did not answer for it", "Send it again.")) };
    match (wanted, row.problem) {
        // That the pool is exhausted is nothing to somebody who names the address.
        (Some(wanted), _) if row.ownership == RowOwnership::Owned => Ok(Settings::from(wanted)),
        (_, Some(problem)) => Err(problem),
        (_, None) => Ok(row.settings),
    }
}

/// Who has a MAC on this network; the roll is called if nobody is known to.
async fn locate(engine: &Engine, target: &Target) -> Result<Uid, ProblemView> {
    if let Some(uid) = heard(engine, target)? {
        return Ok(uid);
    }
    refresh(engine).await?;
    heard(engine, target)?.ok_or_else(|| match target.uid {
        Some(uid) => EngineError::NotHeard { uids: vec![uid] }.problem(),
        None => problem(
            "not_heard",
            format!("no appliance with MAC {} answered on this network", target.mac),
            "Check that it is powered and linked, then send it again.",
        ),
    })
}

fn heard(engine: &Engine, target: &Target) -> Result<Option<Uid>, ProblemView> {
    let (known, with_mac) = engine.inner.shared.read(|state| {
        let known = target.uid.filter(|uid| state.roster.answer(uid).is_some());
        (known, state.roster.with_mac(target.mac))
    });
    match (target.uid, with_mac.as_slice()) {
        (Some(_), _) => Ok(known),
        (None, []) => Ok(None),
        (None, [uid]) => Ok(Some(*uid)),
        (None, several) => Err(problem(
            "two_claimants",
            format!("{} appliances answer with MAC {}", several.len(), target.mac),
            "Take the appliance into the inventory, so that its identity is known.",
        )),
    }
}
