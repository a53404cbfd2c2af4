//! What comes with the answer to a beat: grants and instructions, in which each thing may be wrong.

use super::{Attempt, Run};
use crate::choices::Choices;
use crate::keys::{KEYS, uid};
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::appliance::Input;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::id::{Mac, RequestId, Seq, Uid};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::parameters::Confirm;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::to_cbor;

/// What the driver was told to do for instructions.
#[derive(Default)]
pub(super) struct Instructed {
    pub(super) last: Option<Serial>,
    pub(super) forgetting: bool,
}

impl Run {
    pub(super) fn pin(&self) -> Option<PublicKey> {
        let (settings, enrolment) = (self.machine.settings()?, self.machine.enrolment());
        // A successor's name stands in what is in force from the hand-over to the next grant.
        let successor = enrolment.and_then(|enrolment| self.handed.root(&enrolment.noc));
        Some(successor.unwrap_or_else(|| self.attempt(settings.host_name()).root))
    }

    pub(super) fn by_beat(&mut self, choices: &mut Choices<'_>) {
        match choices.below(4) {
            0 => self.grant_by_beat(choices),
            1 => self.instruction(choices),
            2 => {
                let serial = Serial(choices.byte().into());
                self.input(Input::Told(serial));
            }
            _ => {
                self.instructed.forgetting = false;
                self.input(Input::Forgotten);
            }
        }
    }

    fn number(&self, choices: &mut Choices<'_>) -> u64 {
        match choices.below(4) {
            0 => self.machine.seq().0.saturating_add(1),
            1 => self.machine.enrolment().map_or(0, |enrolment| enrolment.seq.0),
            2 => choices.byte().into(),
            _ => u64::MAX,
        }
    }

    fn grant_by_beat(&mut self, choices: &mut Choices<'_>) {
        let (wrong, seq) = (choices.byte(), self.number(choices));
        let host = format!("host-{}", self.attempts.len());
        let mut grant = crate::keys::grant(&host, seq, Confirm::KickStart);
        (grant.mac, grant.console) = (self.mac, grant.root);
        let mut root: &SecretKey = &KEYS.root;
        let mut honest = self.pin() == Some(grant.root);
        match wrong >> 4 {
            0 => (root, honest) = (&KEYS.other_root, false),
            1 => (grant.console, honest) = (KEYS.console.public(), false),
            2 => (grant.uid, honest) = (Uid([9; 20]), false),
            3 => (grant.mac, honest) = (Mac([9; 6]), false),
            4 => {
                (root, grant.root, grant.console) =
                    (&KEYS.other_root, KEYS.other_root.public(), KEYS.other_root.public());
                honest = self.pin() == Some(grant.root);
            }
            _ => {}
        }
        grant.parameters.application = (wrong & 8 != 0).then(|| KEYS.application.clone());
        let bytes = sign::sign(root, Purpose::Grant, to_cbor(&grant));
        let mut rng = Seeded::new(u64::from(choices.byte()));
        self.attempts.push(Attempt {
            request: RequestId([0; 16]),
            bytes: bytes.clone(),
            exported: ExportedKey::of_nobody(&mut rng),
            seq: grant.seq,
            host,
            // Nobody kick-starts it, and it wants a beat.
            confirm: Confirm::FirstBeat,
            application: grant.parameters.application,
            kicked: true,
            honest,
            root: grant.root,
            console: &KEYS.stranger,
        });
        self.input(Input::Grant(&bytes));
    }

    fn instruction(&mut self, choices: &mut Choices<'_>) {
        let (wrong, seq) = (choices.byte(), self.number(choices));
        let instruction = Instruction {
            uid: if wrong >> 4 == 0 { Uid([9; 20]) } else { uid() },
            seq: Seq(seq),
            serial: Serial(choices.byte().into()),
            act: match (wrong, choices.one_of(&[Act::Reboot, Act::SendLog, Act::Decommission])) {
                (0x2d, _) => Act::ReportDrift,
                (0x2e, _) => Act::RestoreDrift,
                (0x2f, _) => Act::DriftByImage,
                (_, act) => act,
            },
            issued: UnixTime(1),
            expires: UnixTime(u64::MAX),
        };
        let root = if wrong >> 4 == 1 { &KEYS.other_root } else { &KEYS.root };
        let (seq, pin) = (self.machine.enrolment().map(|enrolment| enrolment.seq), self.pin());
        let bytes = sign::sign(root, Purpose::Instruction, to_cbor(&instruction));
        // What comes while it does something else leaves what it took before as it was.
        if self.takes(Input::Instruction(&bytes)) {
            assert_eq!(seq, Some(instruction.seq), "an instruction of another configuration");
            assert_eq!(pin, Some(root.public()), "an instruction of another root");
            assert_eq!(instruction.uid, uid(), "an instruction to another appliance");
            self.expected = Some(instruction);
        }
    }

    pub(super) fn carries_out(&mut self, serial: Serial, act: Act) {
        let instruction = self.expected.as_ref().expect("an instruction out of nowhere");
        assert_eq!((instruction.serial, instruction.act), (serial, act));
        assert!(matches!(act, Act::Reboot | Act::SendLog), "the machine does that itself");
        let stored = super::start(self.proof, self.now, self.boots, self.mac, self.disk.as_deref());
        assert_eq!(stored.instructed(), Some(serial), "carried out before its number is on disk");
        assert!(self.instructed.last.is_none_or(|last| last < serial), "carried out twice");
        self.instructed.last = Some(serial);
        reached::mark("instructed");
    }

    pub(super) fn forgets(&mut self) {
        assert!(!self.instructed.forgetting, "told once until it is done");
        assert!(self.machine.is_leaving(), "nobody told it to leave");
        self.instructed.forgetting = true;
        reached::mark("forgets");
    }
}
