//! Roll-outs: a change of what a place requires reaches its appliances wave after wave, halts by itself when too many fail, and is gone on
//! with, halted or taken back by people (decision 0048).

mod begin;
mod drive;

pub(crate) use begin::{channel_moved, said};
pub(crate) use drive::run;

use super::required::{ComponentPolicy, Required};
use super::waves::{Next, Share, next};
use crate::api::Window;
use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::Noc;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::store::rollouts::{self as store, Kept, Outcome};
use crate::store::{audit, components};
use muster_protocol::api::Problem;
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use utoipa::ToSchema;

/// Most that the command line lists.
const LISTED: usize = 1_000;

/// Where a roll-out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Wave follows wave.
    Running,
    /// No wave begins: too many appliances failed, or somebody halted it. Those that have the version keep it.
    Halted,
    /// All appliances were reached.
    Done,
    /// It was taken back: all appliances have what they had before.
    Back,
    /// Another change took its place.
    Replaced,
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RolloutState::Running => "running",
            RolloutState::Halted => "halted",
            RolloutState::Done => "done",
            RolloutState::Back => "taken back",
            RolloutState::Replaced => "replaced by another change",
        })
    }
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RolloutWave)]
pub struct WaveView {
    /// How far it reaches: so many appliances, or so many percent.
    pub reaches: Share,
    /// It has begun.
    pub begun: bool,
    /// Appliances that came with it and do not have the version yet.
    pub waiting: u64,
    /// Those on which it runs.
    pub well: u64,
    /// Those that could not install it, or that were not well since.
    pub failed: u64,
    /// Those that failed, and that somebody went on without.
    pub excused: u64,
    /// Those that were silent or worked on before, and do not count.
    pub absent: u64,
}

/// One appliance that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RolloutFailure)]
pub struct FailureView {
    /// Which.
    pub uid: String,
    /// Why: its own words, or what the NOC saw.
    pub why: String,
}

/// A roll-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Rollout)]
pub struct RolloutView {
    /// Its number.
    pub id: i64,
    /// Whose appliances.
    #[schema(value_type = u32)]
    pub organisation: OrganisationId,
    /// Of which site; none for what is required of the whole organisation.
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// The component.
    pub name: String,
    /// Of which model, in lower case; none for all.
    pub model: Option<String>,
    /// The version that goes out.
    pub version: String,
    /// The version that those have whom no wave has reached; none if nothing was required, or what is said above counts.
    pub former: Option<String>,
    /// Where it is.
    pub state: RolloutState,
    /// It decides who has which version: as long as it is running or halted, and, taken back, while the channel still leads to the new version.
    pub in_force: bool,
    /// Why it is there, when that is not by itself.
    pub why: String,
    /// Waves that have begun.
    pub wave: usize,
    /// All waves.
    pub waves: Vec<WaveView>,
    /// Some of the appliances that failed: at most 20.
    pub failures: Vec<FailureView>,
    /// Seconds for which the appliances of a wave have to stay well.
    pub soak_s: u32,
    /// More of a wave than this may not fail.
    pub halt_at: Share,
    /// Seconds that an appliance has to install it.
    pub within_s: u32,
    /// When it began, Unix seconds.
    pub started: u64,
    /// By whom, as in the audit log.
    pub started_by: String,
    /// When the last wave began.
    pub begun: Option<u64>,
    /// When the next wave begins, if nothing happens until then.
    pub next: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
}

/// Why a roll-out is not moved on.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// There is none.
    #[error("there is no roll-out {id}")]
    Unknown {
        /// Its number.
        id: i64,
    },
    /// It is over.
    #[error("roll-out {id} is {state}")]
    Over {
        /// Its number.
        id: i64,
        /// Where it is.
        state: RolloutState,
    },
    /// It is in another wave.
    #[error("roll-out {id} is in wave {wave} by now")]
    Moved {
        /// Its number.
        id: i64,
        /// The wave, from 1; 0 before the first.
        wave: usize,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsProblem for RolloutError {
    fn problem(&self) -> Problem {
        let (status, code, remedy) = match self {
            RolloutError::Unknown { .. } => {
                (404, "rollout_unknown", "List them with `muster-noc component rollout list`.")
            }
            RolloutError::Over { .. } => {
                (409, "rollout_over", "Require another version: that begins a roll-out of its own.")
            }
            RolloutError::Moved { .. } => (409, "rollout_moved", "Look at how it stands, then decide again."),
            RolloutError::Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

/// What somebody does with a roll-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Goes on: the next wave begins without waiting for this one, or, halted, without those that failed.
    Continue {
        /// The wave that they saw.
        wave: usize,
    },
    /// No further wave begins.
    Halt,
    /// All go back to what they had before.
    Back,
}

/// Does it.
pub(crate) fn act(db: &Connection, now: u64, by: &By, id: i64, act: Act) -> Result<(), RolloutError> {
    let kept = store::find(db, id)?.ok_or(RolloutError::Unknown { id })?;
    let is_halted = match kept.state {
        RolloutState::Running => false,
        RolloutState::Halted => true,
        state => return Err(RolloutError::Over { id, state }),
    };
    match act {
        Act::Continue { wave } if wave != kept.rollout.cuts.len() => {
            Err(RolloutError::Moved { id, wave: kept.rollout.cuts.len() })
        }
        Act::Continue { .. } => {
            if is_halted {
                store::excuse(db, now, id)?;
                store::set_state(db, now, &kept, (RolloutState::Running, true), "")?;
            } else {
                store::push(db, id)?;
            }
            let detail = json!({ "wave": kept.rollout.cuts.len(), "was": kept.state, "why": kept.why });
            Ok(record(db, now, by, &kept, "rollout.continue", detail)?)
        }
        Act::Halt if is_halted => Ok(()),
        Act::Halt => halt(db, now, by, &kept, "somebody halted it"),
        Act::Back => begin::back(db, now, by, &kept),
    }
}

/// Begins no further wave.
fn halt(db: &Connection, now: u64, by: &By, kept: &Kept, why: &str) -> Result<(), RolloutError> {
    store::set_state(db, now, kept, (RolloutState::Halted, true), why)?;
    let detail = json!({ "wave": kept.rollout.cuts.len(), "why": why, "failures": failures(&store::outcome(db, &kept.rollout)?) });
    Ok(record(db, now, by, kept, "rollout.halt", detail)?)
}

fn record(
    db: &Connection,
    now: u64,
    by: &By,
    kept: &Kept,
    action: &'static str,
    detail: Value,
) -> Result<(), StoreError> {
    let mut said = json!({ "name": kept.rollout.name, "version": kept.rollout.version });
    if let (Some(said), Value::Object(detail)) = (said.as_object_mut(), detail) {
        said.extend(detail);
    }
    let place = Place { organisation: Some(kept.organisation), site: kept.site };
    audit::record(db, now, by, Event::new(place, action, format!("rollout:{}", kept.rollout.id)).with(said))
}

fn failures(outcome: &Outcome) -> Vec<FailureView> {
    let view = |(uid, why): &(String, String)| FailureView { uid: uid.clone(), why: why.clone() };
    outcome.failures.iter().map(view).collect()
}

/// As it is shown.
pub(crate) fn view(db: &Connection, now: u64, kept: &Kept) -> Result<RolloutView, StoreError> {
    let rollout = &kept.rollout;
    let is_open = matches!(kept.state, RolloutState::Running | RolloutState::Halted);
    let outcome = if is_open { store::outcome(db, rollout)? } else { kept.result.clone() };
    let coming = match kept.state {
        RolloutState::Running => next(&kept.waves, &store::tallies(db, rollout)?, now),
        _ => Next::Wait(None),
    };
    let wave = |(at, share): (usize, &Share)| {
        let [waiting, well, failed, excused, absent] = outcome.waves.get(at).copied().unwrap_or_default();
        WaveView { reaches: *share, begun: at < rollout.cuts.len(), waiting, well, failed, excused, absent }
    };
    let bottom = rollout.layers.last().and_then(|layer| layer.line.as_ref());
    Ok(RolloutView {
        id: rollout.id,
        organisation: kept.organisation,
        site: kept.site,
        name: rollout.name.clone(),
        model: (!rollout.model.is_empty()).then(|| rollout.model.clone()),
        version: rollout.version.clone(),
        former: bottom.and_then(|line| line.version.clone()),
        state: kept.state,
        in_force: kept.is_in_force,
        why: kept.why.clone(),
        wave: rollout.cuts.len(),
        waves: kept.waves.waves.iter().enumerate().map(wave).collect(),
        failures: failures(&outcome),
        soak_s: kept.waves.soak_s,
        halt_at: kept.waves.halt_at,
        within_s: kept.waves.within_s,
        started: kept.started,
        started_by: kept.started_by.clone(),
        begun: kept.begun,
        next: match coming {
            Next::Wait(Some(at)) if outcome.waves.last().is_some_and(|last| last[0] == 0) => Some(at),
            _ => None,
        },
        ended: kept.ended,
    })
}

/// What a place says of components.
fn policy(db: &Connection, organisation: OrganisationId, site: Option<SiteId>) -> Result<ComponentPolicy, StoreError> {
    let found = match site {
        Some(site) => components::of_site(db, site)?,
        None => components::of_organisation(db, organisation)?,
    };
    Ok(found.unwrap_or_default())
}

fn find_line<'a>(policy: &'a ComponentPolicy, line: &Required) -> Option<&'a Required> {
    policy.required.iter().find(|known| known.name == line.name && known.model_key() == line.model_key())
}

impl Noc {
    /// Roll-outs of components, newest first.
    ///
    /// # Errors
    /// The database.
    pub fn rollouts(&self, is_open: bool) -> Result<Vec<RolloutView>, StoreError> {
        self.inner.store.read_now(move |db| {
            let window = Window { after: None, limit: LISTED };
            let page = store::page(db, None, (None, None, is_open.then_some(true)), window)?;
            page.items.iter().map(|kept| view(db, clock::now(), kept)).collect()
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none.
    pub fn rollout(&self, id: i64) -> Result<RolloutView, RolloutError> {
        self.inner.store.read_now(move |db| {
            let kept = store::find(db, id)?.ok_or(RolloutError::Unknown { id })?;
            Ok(view(db, clock::now(), &kept)?)
        })
    }

    /// Goes on with a roll-out that is in `wave`: the next wave begins without waiting for this one, or, when it is halted, it goes on
    /// without the appliances that failed.
    ///
    /// # Errors
    /// It is over, or in another wave.
    pub fn continue_rollout(&self, id: i64, wave: usize) -> Result<RolloutView, RolloutError> {
        self.act_on_rollout(id, Act::Continue { wave })
    }

    /// Begins no further wave.
    ///
    /// # Errors
    /// It is over.
    pub fn halt_rollout(&self, id: i64) -> Result<RolloutView, RolloutError> {
        self.act_on_rollout(id, Act::Halt)
    }

    /// Gives everybody what they had before.
    ///
    /// # Errors
    /// It is over.
    pub fn take_rollout_back(&self, id: i64) -> Result<RolloutView, RolloutError> {
        self.act_on_rollout(id, Act::Back)
    }

    fn act_on_rollout(&self, id: i64, what: Act) -> Result<RolloutView, RolloutError> {
        self.inner.store.write_now(move |db| act(db, clock::now(), &By::local(), id, what))?;
        self.rollout(id)
    }
}
