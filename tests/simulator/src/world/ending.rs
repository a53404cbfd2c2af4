//! Liveness: once faults stop, every job ends, every appliance can be configured, and beats arrive.

use super::{World, operator};
use crate::ledger::Invariant;
use crate::queue::Event;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::Millis;

/// How far the end is.
#[derive(Default)]
pub(super) struct Ending {
    stage: Stage,
    /// When the stage has to be over.
    until: Option<Millis>,
    /// What each appliance shall have in the end.
    wanted: Vec<NetworkSettings>,
    tries: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Jobs that were begun come to their end.
    #[default]
    Settling,
    /// The last discovery.
    Finding,
    /// The last job.
    Configuring,
    /// Everybody reports.
    Beating,
    Over,
}

/// Looked at so often.
const LOOK_MS: u64 = 500;
/// Three attempts, each with two windows of 120 s, an installation, and waits; and a console that gives up after 180 s.
const JOBS_END_WITHIN_MS: u64 = 45 * 60_000;
const FOUND_WITHIN_MS: u64 = 2 * 60_000;
/// An alert ends with the second beat in time; an interval is at most 60 s, and a retry waits as long.
const BEATS_WITHIN_MS: u64 = 15 * 60_000;
/// The first job may meet what it cannot know: an appliance that was reset opens nothing without its label code, which the NOC
/// gives out again once it has heard so.
const MOST_TRIES: u32 = 4;

impl Ending {
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }
}

impl World {
    /// Looks whether the stage is over.
    pub(super) fn look(&mut self) {
        let now = self.io.now;
        match self.ending.stage {
            Stage::Settling if self.is_settled() => {
                self.consoles[0].discover(&mut self.io);
                self.enter(Stage::Finding);
            }
            Stage::Finding => {
                if let Some(found) = self.consoles[0].found() {
                    if found < self.appliances.len() {
                        let detail = format!("{found} of {} appliances", self.appliances.len());
                        return self.io.fail(Invariant::AllFound, detail);
                    }
                    self.round += 1;
                    let (io, round) = (&mut self.io, self.round);
                    let count = self.appliances.len();
                    self.ending.wanted = (0..count).map(|number| operator::settings(io, round, number)).collect();
                    self.configure_rest();
                    self.enter(Stage::Configuring);
                }
            }
            Stage::Configuring if self.is_settled() => {
                if self.rest().is_empty() {
                    self.enter(Stage::Beating);
                } else if self.ending.tries >= MOST_TRIES {
                    let detail = format!("appliances {:?} are not", self.rest());
                    return self.io.fail(Invariant::AllConfigured, detail);
                } else {
                    self.configure_rest();
                    self.enter(Stage::Configuring);
                }
            }
            Stage::Beating if self.is_well() => self.enter(Stage::Over),
            _ => {}
        }
        let within = match self.ending.stage {
            Stage::Settling | Stage::Configuring => JOBS_END_WITHIN_MS,
            Stage::Finding => FOUND_WITHIN_MS,
            Stage::Beating | Stage::Over => BEATS_WITHIN_MS,
        };
        let until = *self.ending.until.get_or_insert(now + within);
        if now > until {
            let invariant = match self.ending.stage {
                Stage::Settling | Stage::Configuring => Invariant::JobsEnd,
                Stage::Finding => Invariant::AllFound,
                Stage::Beating | Stage::Over => Invariant::Beats,
            };
            let detail = format!("not {} minutes after it should have begun", within / 60_000);
            return self.io.fail(invariant, detail);
        }
        self.io.queue.push(now + LOOK_MS, Event::Look);
    }

    fn enter(&mut self, stage: Stage) {
        (self.ending.stage, self.ending.until) = (stage, None);
    }

    fn is_settled(&self) -> bool {
        self.appliances.iter().all(|appliance| appliance.is_on() && !appliance.is_in_attempt())
            && self.consoles.iter().all(|console| console.is_on() && console.is_idle())
    }

    /// Who does not have yet what it shall have.
    fn rest(&self) -> Vec<usize> {
        let has = |number: usize| {
            let grant = self.appliances[number].committed().and_then(|seq| self.io.ledger.grant(number, seq));
            grant.is_some_and(|grant| grant.parameters.network == self.ending.wanted[number])
        };
        (0..self.appliances.len()).filter(|number| !has(*number)).collect()
    }

    fn configure_rest(&mut self) {
        self.ending.tries += 1;
        let wanted = self.rest().into_iter().map(|number| (number, self.ending.wanted[number].clone())).collect();
        self.consoles[0].configure(&mut self.io, wanted);
    }

    fn is_well(&self) -> bool {
        let well =
            |(number, appliance): (usize, &crate::appliance::Host)| self.noc.is_well(number, appliance.committed());
        self.appliances.iter().enumerate().all(well) && !self.noc.is_alarmed()
    }
}
