//! Being handed over to another NOC: statements in which each thing may be wrong, and what came of trying the successor.

use super::Run;
use crate::choices::Choices;
use crate::keys::{KEYS, uid};
use crate::reached;
use muster_protocol::appliance::Input;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::Serial;
use muster_protocol::time::UnixTime;
use std::collections::BTreeSet;

/// What it took of hand-overs, and how far they came.
#[derive(Default)]
pub(super) struct Handed {
    /// Each statement that it took. No two successors have one name.
    taken: Vec<(Serial, Successor)>,
    /// Successors that accepted a beat while they were tried.
    accepted: BTreeSet<Serial>,
    /// What is neither tried nor final any more.
    over: BTreeSet<Serial>,
    tried: Option<Serial>,
}

impl Handed {
    /// The root of the successor of this name.
    pub(super) fn root(&self, noc: &str) -> Option<PublicKey> {
        self.taken.iter().find(|(_, to)| to.noc == noc).map(|(_, to)| to.root)
    }
}

impl Run {
    pub(super) fn handed_over(&mut self, choices: &mut Choices<'_>) {
        let named = self.machine.handover().map_or(0, |(serial, _)| serial.0);
        match choices.below(8) {
            0 | 1 => self.handover(choices),
            2 => self.input(Input::NoHandover),
            3 | 4 => {
                let tried = self.machine.trial(self.now).map(|trial| trial.serial);
                let serial = tried.unwrap_or(Serial(choices.byte().into()));
                if self.takes(Input::TrialAccepted(serial)) {
                    assert_eq!(Some(serial), tried, "final without having been tried");
                    self.handed.accepted.insert(serial);
                }
            }
            5 => self.input(Input::TrialFailed(Serial(named))),
            6 => {
                let left = self.machine.farewell(self.now).map(|farewell| farewell.serial);
                let serial = left.unwrap_or(Serial(choices.byte().into()));
                if self.takes(Input::FarewellTaken(serial)) {
                    assert_eq!(Some(serial), left, "a farewell to nobody");
                    reached::mark("farewell");
                }
            }
            _ => self.input(Input::FarewellFailed(Serial(named))),
        }
    }

    fn handover(&mut self, choices: &mut Choices<'_>) {
        let wrong = choices.byte();
        let highest = self.handed.taken.iter().map(|(serial, _)| serial.0).max().unwrap_or(0);
        let serial = match choices.below(4) {
            0 | 1 => highest.saturating_add(1),
            2 => highest,
            _ => choices.byte().into(),
        };
        let known = self.handed.taken.last().filter(|_| wrong & 1 != 0).map(|(_, to)| to.clone());
        let (pin, seq) = (self.pin(), self.machine.enrolment().map(|enrolment| enrolment.seq));
        let handover = Handover {
            uid: if wrong >> 4 == 0 { Uid([9; 20]) } else { uid() },
            seq: if wrong >> 4 == 1 { Seq(choices.byte().into()) } else { seq.unwrap_or(Seq(0)) },
            serial: Serial(serial),
            to: known.unwrap_or_else(|| Successor {
                noc: if wrong >> 4 == 2 {
                    "next/..:1".into()
                } else {
                    format!("next-{}.example.net:1", self.successors)
                },
                ca_pin: [wrong; 32],
                root: if wrong & 2 == 0 { KEYS.other_root.public() } else { KEYS.root.public() },
            }),
            issued: UnixTime(1),
            expires: UnixTime(if wrong & 4 == 0 { 1_800_000_000 } else { u64::MAX }),
        };
        self.successors += 1;
        let honest = if pin == Some(KEYS.other_root.public()) { &KEYS.other_root } else { &KEYS.root };
        let root = if wrong >> 4 == 3 { &KEYS.stranger } else { honest };
        let signed = handover.sign(root);
        if self.takes(Input::Handover(&signed)) {
            assert_eq!((Some(root.public()), seq), (pin, Some(handover.seq)), "handed over by who may not");
            assert_eq!(handover.uid, uid(), "the hand-over of another appliance");
            assert!(wrong >> 4 != 2 || wrong & 1 != 0, "to something that is no address");
            assert!(!self.handed.over.contains(&handover.serial), "an older hand-over once more");
            self.handed.taken.push((handover.serial, handover.to));
        }
    }

    /// True if it writes something down because of this input.
    pub(super) fn takes(&mut self, input: Input<'_>) -> bool {
        let was_writing = !self.writing.is_empty();
        self.input(input);
        !was_writing && !self.writing.is_empty()
    }

    /// Whatever happened: what it tries was named by who may, and what is final was tried and accepted a beat.
    pub(super) fn look_at_handover(&mut self) {
        let now = self.machine.handover();
        let tried = now.filter(|(_, is_final)| !is_final).map(|(serial, _)| serial);
        if let Some(before) = self.handed.tried.filter(|before| Some(*before) != tried) {
            self.handed.over.insert(before);
        }
        self.handed.tried = tried;
        if let Some(serial) = tried {
            let noc = self.machine.tries().expect("it has a name");
            let named = self.handed.taken.iter().any(|(number, to)| *number == serial && to.noc == noc);
            assert!(named, "it tries {noc}, that nobody named");
            assert!(!self.handed.over.contains(&serial), "it tries again what was over");
            reached::mark("handover tried");
        }
        if let Some((serial, true)) = now {
            assert!(self.handed.accepted.contains(&serial), "final without a beat that the successor accepted");
            reached::mark("handed over");
        }
    }
}
