//! Changes of an appliance's network, one at a time, with a power cut between any two steps.

use super::Host;
use crate::plan::{Fault, Sabotage};
use crate::queue::Event;
use crate::world::Io;
use muster_protocol::appliance::{Failure, Input};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::result::{Reason, Stage};

/// What is to be done, in the order asked for.
#[derive(Debug)]
pub(super) enum Change {
    Apply(NetworkSettings),
    RollBack,
    Commit,
    Resume(NetworkSettings),
}

/// What is being done.
pub(super) struct Underway {
    change: Change,
    step: Step,
    /// Times that something slow still reports.
    reports: u32,
}

impl Underway {
    pub(super) fn change(&self) -> &Change {
        &self.change
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Makes sure that nobody has the address.
    Probing,
    /// Nothing of the system has changed.
    Before,
    /// Failed half way; the former state is to be restored.
    Spoiled,
    /// Done, but nobody was told.
    Done,
}

impl Host {
    pub(super) fn next_change(&mut self, io: &mut Io) {
        let Some(running) = &mut self.running else { return };
        if running.underway.is_some() {
            return;
        }
        let Some(change) = running.changes.pop_front() else { return };
        log!(io, "appliance {} begins: {change:?}", self.number);
        let slow = matches!(change, Change::Apply(_)) && io.strikes(Fault::SlowApply, io.plan.rates.slow_apply);
        let reports = if slow { io.dice.between(1, 40) as u32 } else { 0 };
        let step = if matches!(change, Change::Apply(_)) { Step::Probing } else { Step::Before };
        let is_commit = matches!(change, Change::Commit);
        running.underway = Some(Underway { change, step, reports });
        // A disk that is busy may take its time to forget the former state.
        let most = if is_commit && io.dice.chance(200) { 4_000 } else { 60 };
        let takes = io.dice.between(1, most);
        io.queue.push(io.now + takes, Event::Changed { appliance: self.number, run: self.run });
    }

    /// The change under way is a step further.
    pub(crate) fn changed(&mut self, io: &mut Io, run: u32) {
        if run != self.run {
            return;
        }
        let Some(mut underway) = self.running.as_mut().and_then(|running| running.underway.take()) else { return };
        let wait = match self.step(io, &mut underway) {
            Ok(wait) => wait,
            Err(input) => {
                let now = self.local(io);
                log!(io, "appliance {}: {input:?}", self.number);
                if let (Some(input), Some(running)) = (input, &mut self.running) {
                    running.machine.handle_input(now, input);
                }
                return self.pump(io);
            }
        };
        // Without power nothing is under way.
        if let Some(running) = &mut self.running {
            running.underway = Some(underway);
            io.queue.push(io.now + wait, Event::Changed { appliance: self.number, run: self.run });
        }
    }

    /// One step: when the next one is due, or what to tell the machine at the end.
    fn step(&mut self, io: &mut Io, underway: &mut Underway) -> Result<u64, Option<Input<'static>>> {
        let rates = io.plan.rates;
        let cut = io.strikes(Fault::ApplianceCutApplying, rates.cut_applying);
        match (&underway.change, underway.step) {
            (Change::Apply(settings), Step::Probing) => {
                if io.lan.is_taken(settings.address(), self.number) {
                    let detail = format!("{} is taken", settings.address());
                    return Err(Some(Input::Applied(Err(Failure { reason: Reason::AddressTaken, detail }))));
                }
                underway.step = Step::Before;
                Ok(io.dice.between(1, 300))
            }
            (Change::Apply(_), Step::Before) if underway.reports > 0 => {
                underway.reports -= 1;
                self.report(io, underway.reports);
                Ok(io.dice.between(100, 1_000))
            }
            (Change::Apply(settings), Step::Before) => {
                // Remember the former state on disk, then change.
                let before = self.disk.network.clone();
                self.disk.former.get_or_insert(before);
                if cut && io.dice.chance(500) {
                    self.power_cut(io);
                    return Ok(0);
                }
                self.disk.network = Some(settings.clone());
                if io.strikes(Fault::ApplyFailed, rates.apply_failed) {
                    underway.step = Step::Spoiled;
                } else {
                    underway.step = Step::Done;
                    self.tell_lan(io);
                }
                if cut {
                    self.power_cut(io);
                }
                Ok(io.dice.between(1, 80))
            }
            (Change::Apply(_), Step::Spoiled) => {
                self.restore(io);
                let detail = "the kernel refused".to_owned();
                Err(Some(Input::Applied(Err(Failure { reason: Reason::ApplyFailed, detail }))))
            }
            (Change::Apply(_), Step::Done) => Err(Some(Input::Applied(Ok(())))),
            (Change::RollBack, Step::Before) => {
                if io.strikes(Fault::ApplyFailed, rates.apply_failed) {
                    // It is tried until it works.
                    return Ok(5_000);
                }
                if cut && io.dice.chance(500) {
                    self.power_cut(io);
                    return Ok(0);
                }
                self.restore(io);
                underway.step = Step::Done;
                if cut {
                    self.power_cut(io);
                }
                Ok(io.dice.between(1, 80))
            }
            (Change::RollBack, _) => Err(Some(Input::RolledBack)),
            (Change::Commit, _) => {
                if cut {
                    self.power_cut(io);
                    return Ok(0);
                }
                self.disk.former = None;
                Err(None)
            }
            (Change::Resume(settings), _) => {
                self.disk.network = Some(settings.clone());
                self.tell_lan(io);
                Err(None)
            }
        }
    }

    fn report(&mut self, io: &mut Io, left: u32) {
        let now = self.local(io);
        if let Some(running) = &mut self.running {
            let percent = 90_u8.saturating_sub(2 * left as u8);
            running.machine.handle_input(now, Input::Progress { stage: Stage::Network, percent });
        }
    }

    fn restore(&mut self, io: &mut Io) {
        let Some(former) = self.disk.former.take() else { return };
        match io.sabotage {
            Some(Sabotage::RollsBackTooFar) => self.disk.network = None,
            Some(Sabotage::NeverRollsBack) => {}
            _ => self.disk.network = former,
        }
        self.tell_lan(io);
    }
}
