//! What came of worlds.

use crate::ledger::Failure;
use crate::plan::{FAULTS, Fault};
use muster_protocol::delivery::Outcome;
use muster_protocol::time::Millis;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// What came of one world.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What happened how often.
    pub counts: Counts,
    /// Its log, if it was asked for.
    pub log: String,
    /// When it ended.
    pub ended: Millis,
    /// The invariant that did not hold.
    pub failure: Option<Failure>,
}

/// What happened how often, in one world or in many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Worlds.
    pub worlds: u64,
    /// Appliances.
    pub appliances: u64,
    /// Events, each of which was followed by checks.
    pub events: u64,
    /// Datagrams that arrived.
    pub datagrams: u64,
    /// Appliances that were brought from a config packet to a final outcome: how often, by outcome.
    pub ended: BTreeMap<&'static str, u64>,
    /// Grants that appliances took with the answer to a beat.
    pub given: u64,
    /// What went wrong, by kind.
    pub faults: [u64; FAULTS],
    /// Milliseconds of virtual time.
    pub virtual_ms: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            worlds: 0,
            appliances: 0,
            events: 0,
            datagrams: 0,
            ended: BTreeMap::new(),
            given: 0,
            faults: [0; FAULTS],
            virtual_ms: 0,
        }
    }
}

impl Counts {
    /// Appliances brought from a config packet to a final outcome.
    pub fn provisionings(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Counts) {
        self.worlds += other.worlds;
        self.appliances += other.appliances;
        self.events += other.events;
        self.datagrams += other.datagrams;
        self.virtual_ms += other.virtual_ms;
        self.given += other.given;
        for (outcome, count) in &other.ended {
            *self.ended.entry(outcome).or_default() += count;
        }
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Configured => "configured",
            Outcome::Failed { reason, .. } => reason.code(),
            Outcome::NoAnswer => "no_answer",
            Outcome::Cancelled => "cancelled",
        };
        *self.ended.entry(word).or_default() += 1;
    }
}

/// One line, the same for the same worlds.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { worlds, appliances, events, datagrams, given, virtual_ms, .. } = self;
        write!(
            f,
            "{worlds} worlds, {appliances} appliances, {} provisionings, {events} events, ",
            self.provisionings()
        )?;
        write!(f, "{datagrams} datagrams, {given} grants by beat, {} virtual hours; ended:", virtual_ms / 3_600_000)?;
        for (outcome, count) in &self.ended {
            write!(f, " {outcome} {count}")?;
        }
        f.write_str("; faults:")?;
        for (fault, count) in Fault::ALL.iter().zip(self.faults) {
            write!(f, " {} {count}", word(*fault))?;
        }
        Ok(())
    }
}

/// `ClockForwards` to `clock-forwards`.
fn word(fault: Fault) -> String {
    let mut word = String::new();
    for letter in format!("{fault:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        let _ = write!(word, "{}", letter.to_lowercase());
    }
    word
}

/// What happened, line by line.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) is_on: bool,
    pub(crate) text: String,
}

impl Log {
    pub(crate) fn line(&mut self, now: Millis, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:>10} {text}", crate::moment(now));
    }
}
