//! Being handed over to another NOC, commit-confirmed (decision 0022).
//!
//! The statement is on disk before anything is tried. From then on the driver tries the successor beside its beats to the
//! present NOC; only a beat that the successor accepted makes it the NOC that counts. The present NOC can call it off until
//! then. Numbers of grants, instructions and hand-overs go on over the change of root: none ever starts anew.

use super::saved::{Moved, Saved};
use super::{Appliance, Enrolment, Event, Output, Phase, Trial, enrolment_of};
use crate::grant::Grant;
use crate::handover::Handover;
use crate::instruction::Serial;
use crate::time::{Millis, UnixTime};
use crate::wire::result::Reason;

/// A try that came to nothing is repeated after this time, then after twice that, and so on.
const FIRST_PAUSE_MS: u64 = 10_000;
const LONGEST_PAUSE_MS: u64 = 3_600_000;
/// A later end of the same hand-over is stored when it moved this far: flash wears out.
const STORE_END_S: u64 = 86_400;

/// When to try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    failures: u32,
    next_at: Millis,
}

impl Pace {
    fn failed(&mut self, now: Millis) {
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(32)).min(LONGEST_PAUSE_MS);
        *self = Pace { failures: self.failures.saturating_add(1), next_at: now + pause };
    }
}

/// What goes to disk for a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is to be tried.
    Begin(Serial),
    /// It is the same with a later end.
    Extend,
    /// It is called off.
    CallOff(Serial),
    /// It is final.
    Commit(Serial),
    /// The former NOC knows.
    Told,
}

impl Appliance {
    /// The successor to try now, beside the beat to the present NOC. What came of it is to be said.
    pub fn trial(&self, now: Millis) -> Option<Trial> {
        if !self.is_free() || now < self.trial_pace.next_at {
            return None;
        }
        let (handover, committed) = (self.saved.handover.as_ref()?, self.saved.committed.as_ref()?);
        if handover.seq != committed.seq || self.has_passed(handover.expires) {
            return None;
        }
        let Handover { serial, to, .. } = handover;
        let enrolment = Enrolment { noc: to.noc.clone(), ca_pin: to.ca_pin, ..enrolment_of(committed) };
        Some(Trial { serial: *serial, enrolment })
    }

    /// The former NOC, that is to be told now that this appliance has left it for good.
    pub fn farewell(&self, now: Millis) -> Option<Trial> {
        let moved = self.saved.moved.as_ref().filter(|moved| !moved.told && !self.has_passed(moved.expires))?;
        if !self.is_free() || now < self.farewell_pace.next_at {
            return None;
        }
        let now_in_force = self.enrolment()?;
        let enrolment = Enrolment { noc: moved.noc.clone(), ca_pin: moved.ca_pin, seq: moved.seq, ..now_in_force };
        Some(Trial { serial: moved.serial, enrolment })
    }

    /// The hand-over accepted last, for reports; true once it is final.
    pub fn handover(&self) -> Option<(Serial, bool)> {
        let tried = self.saved.handover.as_ref().map(|handover| (handover.serial, false));
        tried.or(self.saved.moved.as_ref().map(|moved| (moved.serial, true)))
    }

    /// The successor that is being tried, as long as it is neither final nor called off.
    pub fn tries(&self) -> Option<&str> {
        self.saved.handover.as_ref().map(|handover| handover.to.noc.as_str())
    }

    /// The CA pin of the NOC before the one that counts. What waits for that one is for this one.
    pub fn formerly(&self) -> Option<[u8; 32]> {
        self.saved.moved.as_ref().map(|moved| moved.ca_pin)
    }

    fn has_passed(&self, end: UnixTime) -> bool {
        self.noc_time.is_some_and(|time| end < time)
    }

    pub(super) fn take_handover(&mut self, bytes: &[u8]) {
        if !self.is_free() {
            return;
        }
        match self.verify_handover(bytes) {
            Ok(handover) => {
                let known = self.saved.handover.as_ref();
                let is_same = known.is_some_and(|known| {
                    (known.serial, known.seq, &known.to) == (handover.serial, handover.seq, &handover.to)
                });
                let later_by = known.map_or(0, |known| handover.expires.0.saturating_sub(known.expires.0));
                let step = match is_same {
                    true if later_by < STORE_END_S => return,
                    true => Step::Extend,
                    false => Step::Begin(handover.serial),
                };
                let handed = Some(handover.serial);
                self.hand_over(step, Saved { handover: Some(handover), handed, ..self.saved.clone() });
            }
            Err(reason) => self.outputs.push_back(Output::Notify(Event::HandoverRefused { reason })),
        }
    }

    fn verify_handover(&self, bytes: &[u8]) -> Result<Handover, Reason> {
        let committed = self.saved.committed.as_ref().ok_or(Reason::WrongRoot)?;
        let handover = Handover::verify(&committed.root, bytes).map_err(|_| Reason::WrongRoot)?;
        if handover.uid != self.uid {
            return Err(Reason::WrongAppliance);
        }
        // The number of the one that is tried may come again: signed anew, for the grant that is in force now.
        let is_tried = self.saved.handover.as_ref().is_some_and(|tried| tried.serial == handover.serial);
        let is_old = self.saved.handed.is_some_and(|handed| handover.serial <= handed);
        if handover.seq != committed.seq || is_old && !is_tried {
            return Err(Reason::OldSequence);
        }
        if self.has_passed(handover.expires) {
            return Err(Reason::Expired);
        }
        Ok(handover)
    }

    /// The present NOC answered a beat and does not want to hand over, or not any more.
    pub(super) fn no_handover(&mut self) {
        let Some(serial) = self.saved.handover.as_ref().map(|handover| handover.serial) else { return };
        if self.is_free() {
            self.hand_over(Step::CallOff(serial), Saved { handover: None, ..self.saved.clone() });
        }
    }

    /// The successor accepted a beat.
    pub(super) fn trial_accepted(&mut self, serial: Serial) {
        let (Some(handover), Some(committed)) = (&self.saved.handover, &self.saved.committed) else { return };
        if !self.is_free() || handover.serial != serial || handover.seq != committed.seq {
            return;
        }
        let to = &handover.to;
        let moved = Moved {
            serial,
            noc: committed.noc.clone(),
            ca_pin: committed.ca_pin,
            seq: committed.seq,
            expires: handover.expires,
            // There is nobody else to tell.
            told: (&committed.noc, &committed.ca_pin) == (&to.noc, &to.ca_pin),
        };
        let now_in_force = Grant { noc: to.noc.clone(), ca_pin: to.ca_pin, root: to.root, ..committed.clone() };
        let next = Saved {
            // The number stays: the new root goes on above it, and so does the old one if it should have it back.
            seq_root: Some(to.root),
            committed: Some(now_in_force),
            handover: None,
            moved: Some(moved),
            ..self.saved.clone()
        };
        self.hand_over(Step::Commit(serial), next);
    }

    pub(super) fn trial_failed(&mut self, now: Millis, serial: Serial) {
        if self.saved.handover.as_ref().is_some_and(|handover| handover.serial == serial) {
            self.trial_pace.failed(now);
        }
    }

    /// The former NOC knows, or will never.
    pub(super) fn farewell_taken(&mut self, serial: Serial) {
        let Some(moved) = self.saved.moved.clone().filter(|moved| moved.serial == serial && !moved.told) else {
            return;
        };
        if self.is_free() {
            let moved = Some(Moved { told: true, ..moved });
            self.hand_over(Step::Told, Saved { moved, ..self.saved.clone() });
        }
    }

    pub(super) fn farewell_failed(&mut self, now: Millis, serial: Serial) {
        if self.saved.moved.as_ref().is_some_and(|moved| moved.serial == serial) {
            self.farewell_pace.failed(now);
        }
    }

    fn hand_over(&mut self, step: Step, next: Saved) {
        self.phase = Phase::HandingOver { step };
        self.persist(next);
    }

    /// A step of a hand-over is on disk.
    pub(super) fn handed_over(&mut self, step: Step) {
        let event = match step {
            Step::Begin(serial) => {
                self.trial_pace = Pace::default();
                Some(Event::HandoverBegun { serial })
            }
            Step::CallOff(serial) => Some(Event::HandoverCalledOff { serial }),
            Step::Commit(serial) => {
                self.farewell_pace = Pace::default();
                let enrolment = self.enrolment();
                self.outputs.extend(enrolment.map(|enrolment| Output::StartBeats { enrolment }));
                Some(Event::HandedOver { serial })
            }
            Step::Extend | Step::Told => None,
        };
        self.outputs.extend(event.map(Output::Notify));
    }
}
