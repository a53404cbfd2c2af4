//! What comes with the answer to a beat (decision 0020): grants of the NOC without a console, and instructions.

use super::saved::{Attempt, Instructed};
use super::{Appliance, Event, FailedGrant, Output, Phase, Saved, is_by_noc};
use crate::crypto::random;
use crate::crypto::seal::ExportedKey;
use crate::crypto::sign::{self, Purpose};
use crate::grant::Grant;
use crate::id::RequestId;
use crate::instruction::{Act, Instruction, Serial};
use crate::wire::config::PacketHash;
use crate::wire::from_cbor;
use crate::wire::result::Reason;

impl Appliance {
    /// The instruction accepted last: whoever reports it tells the NOC that it need not give it again.
    pub fn instructed(&self) -> Option<Serial> {
        self.saved.instructed.map(|instructed| instructed.serial)
    }

    /// True from the instruction to decommission until everything is forgotten.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving | Phase::Forgetting | Phase::Forgot { .. })
    }

    /// The last attempt, if the NOC gave it with a beat and it failed.
    pub fn failed_grant(&self) -> Option<FailedGrant> {
        let last = self.saved.last.as_ref().filter(|last| Some(last.attempt.console) == self.saved.seq_root)?;
        let why = last.failed.as_ref()?;
        let detail = why.detail.clone().unwrap_or_default();
        Some(FailedGrant { seq: last.attempt.seq, reason: why.reason, detail })
    }

    /// While something else goes on, nothing is taken from the NOC: it gives it again with the next beat.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.persisting.is_none()
    }

    pub(super) fn grant_by_beat(&mut self, bytes: &[u8]) {
        if !self.is_free() {
            return;
        }
        match self.verify_grant(bytes) {
            Ok(grant) => {
                let attempt = Attempt {
                    request: RequestId(random(&mut *self.rng)),
                    packet: PacketHash::of(bytes),
                    exported: ExportedKey::of_nobody(&mut *self.rng),
                    console: grant.console,
                    seq: grant.seq,
                };
                // No console waits for it.
                self.console_at = None;
                let seq_root = Some(grant.root);
                let next = Saved { seq_root, seq: grant.seq, pending: Some(attempt), ..self.saved.clone() };
                self.phase = Phase::Accepting { grant: Box::new(grant) };
                self.persist(next);
            }
            Err(reason) => self.outputs.push_back(Output::Notify(Event::GrantRefused { reason })),
        }
    }

    fn verify_grant(&self, bytes: &[u8]) -> Result<Grant, Reason> {
        // Only who has proven his ownership on the link may configure an appliance for the first time.
        let pinned = self.saved.committed.as_ref().map(|grant| grant.root).ok_or(Reason::WrongRoot)?;
        let payload = sign::verify(&pinned, Purpose::Grant, bytes).map_err(|_| Reason::WrongRoot)?;
        let grant: Grant = from_cbor(&payload).map_err(|_| Reason::WrongRoot)?;
        if grant.root != pinned {
            return Err(Reason::WrongRoot);
        }
        if !is_by_noc(&grant) {
            return Err(Reason::WrongConsole);
        }
        if grant.uid != self.uid || grant.mac != self.profile.mac {
            return Err(Reason::WrongAppliance);
        }
        if grant.seq <= self.saved.seq {
            return Err(Reason::OldSequence);
        }
        if self.noc_time.is_some_and(|time| grant.expires < time) {
            return Err(Reason::Expired);
        }
        Ok(grant)
    }

    pub(super) fn instruction(&mut self, bytes: &[u8]) {
        if !self.is_free() {
            return;
        }
        match self.verify_instruction(bytes) {
            Ok(Instruction { serial, act, .. }) => {
                let instruction = Instructed { serial, act };
                let drift = act.drift().unwrap_or(self.saved.drift);
                let next = Saved { instructed: Some(instruction), drift, ..self.saved.clone() };
                self.phase = Phase::Instructed { instruction };
                self.persist(next);
            }
            Err(reason) => self.outputs.push_back(Output::Notify(Event::InstructionRefused { reason })),
        }
    }

    fn verify_instruction(&self, bytes: &[u8]) -> Result<Instruction, Reason> {
        let committed = self.saved.committed.as_ref().ok_or(Reason::WrongRoot)?;
        let payload = sign::verify(&committed.root, Purpose::Instruction, bytes).map_err(|_| Reason::WrongRoot)?;
        let instruction: Instruction = from_cbor(&payload).map_err(|_| Reason::WrongRoot)?;
        if instruction.uid != self.uid {
            return Err(Reason::WrongAppliance);
        }
        let known = self.saved.instructed.map(|known| known.serial);
        if instruction.seq != committed.seq || known.is_some_and(|known| instruction.serial <= known) {
            return Err(Reason::OldSequence);
        }
        if self.noc_time.is_some_and(|time| instruction.expires < time) {
            return Err(Reason::Expired);
        }
        Ok(instruction)
    }

    /// An instruction is on disk.
    pub(super) fn carry_out(&mut self, instruction: Instructed) {
        let Instructed { serial, act } = instruction;
        self.outputs.push_back(Output::Notify(Event::Instructed { serial, act }));
        match act {
            Act::Reboot | Act::SendLog => self.outputs.push_back(Output::CarryOut { serial, act }),
            // It is in the document.
            Act::ReportDrift | Act::RestoreDrift | Act::DriftByImage => {}
            Act::Decommission => {
                // The NOC waits to hear of it.
                let enrolment = self.enrolment();
                self.outputs.extend(enrolment.map(|enrolment| Output::StartBeats { enrolment }));
                self.phase = Phase::Leaving;
            }
        }
    }

    /// A power cut came between the instruction and its end.
    pub(super) fn go_on_leaving(&mut self) {
        if self.saved.instructed.is_some_and(|instructed| instructed.act == Act::Decommission) {
            self.phase = Phase::Leaving;
        }
    }

    pub(super) fn told(&mut self, serial: Serial) {
        if !matches!(self.phase, Phase::Leaving) || self.instructed() != Some(serial) {
            return;
        }
        if let Some(settings) = self.settings().cloned() {
            self.outputs.push_back(Output::Forget { settings });
            self.phase = Phase::Forgetting;
        }
    }

    pub(super) fn forgotten(&mut self) {
        if matches!(self.phase, Phase::Forgetting) {
            self.store_nothing();
        }
    }

    pub(super) fn store_nothing(&mut self) {
        self.phase = Phase::Forgot { retry_at: None };
        self.persist(Saved::new());
    }

    /// Nothing of the owner is on disk any more.
    pub(super) fn left(&mut self) {
        self.noc_time = None;
        self.console_at = None;
        self.outputs.push_back(Output::StopBeats);
        self.outputs.push_back(Output::Notify(Event::Decommissioned));
    }
}
