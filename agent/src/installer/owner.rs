//! Whose root may name a repository.
//!
//! The process without rights says who the owner is, and may have been taken over. So the first owner it names is kept where it
//! cannot write, and another one is believed only by the word of the kept one: its hand-over, or its instruction to leave. A
//! factory reset forgets it.

use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::handover::Handover;
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::wire::from_cbor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The owner, as far as the installer believes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its root, base64.
    root: Option<String>,
    /// Where it has handed the appliance over to.
    next: Option<String>,
    /// It has told the appliance to leave: the next owner is whoever is named first.
    released: bool,
    /// The newest statement of each root that was believed: one that is older is a recorded one.
    newest: BTreeMap<String, (Seq, Serial)>,
}

impl Owner {
    /// True if `root` may name a repository; from then on it is the owner.
    pub fn admits(&mut self, root: &PublicKey) -> bool {
        let named = root.to_base64();
        let known = self.root.as_ref() == Some(&named);
        let may = known || self.root.is_none() || self.released || self.next.as_ref() == Some(&named);
        if may && !known {
            self.root = Some(named);
            (self.next, self.released) = (None, false);
        }
        may
    }

    /// A statement that came from a NOC. True if it changes who is believed.
    pub fn heard(&mut self, uid: Uid, signed: &[u8]) -> bool {
        let Some(root) = self.root.as_deref().and_then(PublicKey::from_base64) else { return false };
        if let Ok(handover) = Handover::verify(&root, signed) {
            if handover.uid != uid || !self.is_new(&root, Purpose::Handover, (handover.seq, handover.serial)) {
                return false;
            }
            self.next = Some(handover.to.root.to_base64());
            return true;
        }
        let Ok(payload) = sign::verify(&root, Purpose::Instruction, signed) else { return false };
        let Ok(instruction) = from_cbor::<Instruction>(&payload) else { return false };
        let leaves = instruction.uid == uid && instruction.act == Act::Decommission;
        if !leaves || !self.is_new(&root, Purpose::Instruction, (instruction.seq, instruction.serial)) {
            return false;
        }
        self.released = true;
        true
    }

    fn is_new(&mut self, root: &PublicKey, purpose: Purpose, number: (Seq, Serial)) -> bool {
        let of = format!("{purpose:?} {}", root.to_base64());
        let new = self.newest.get(&of).is_none_or(|newest| *newest < number);
        if new {
            self.newest.insert(of, number);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::handover::Successor;
    use muster_protocol::time::UnixTime;
    use muster_protocol::wire::to_cbor;

    fn root(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; 32])
    }

    fn uid(number: u8) -> Uid {
        Uid::of(&root(number).public())
    }

    fn decommission(by: &SecretKey, of: Uid, serial: u64) -> Vec<u8> {
        instruction(by, of, serial, Act::Decommission)
    }

    fn instruction(by: &SecretKey, uid: Uid, serial: u64, act: Act) -> Vec<u8> {
        let (issued, expires) = (UnixTime(1), UnixTime(2));
        let told = Instruction { uid, seq: Seq(1), serial: Serial(serial), act, issued, expires };
        sign::sign(by, Purpose::Instruction, to_cbor(&told))
    }

    fn handover(by: &SecretKey, of: Uid, to: &SecretKey, serial: u64) -> Vec<u8> {
        let to = Successor { noc: "noc.example:443".into(), ca_pin: [1; 32], root: to.public() };
        let (issued, expires) = (UnixTime(1), UnixTime(2));
        Handover { uid: of, seq: Seq(1), serial: Serial(serial), to, issued, expires }.sign(by)
    }

    #[test]
    fn a_worker_that_was_taken_over_names_no_other_owner() {
        let (owner, mallory, appliance) = (root(1), root(2), uid(9));
        let mut believed = Owner::default();
        assert!(believed.admits(&owner.public()) && believed.admits(&owner.public()));
        assert!(!believed.admits(&mallory.public()));
        for forged in [
            decommission(&mallory, appliance, 1),
            handover(&mallory, appliance, &mallory, 1),
            decommission(&owner, uid(8), 1),
            handover(&owner, uid(8), &mallory, 1),
            instruction(&owner, appliance, 1, Act::Reboot),
            b"nothing".to_vec(),
        ] {
            assert!(!believed.heard(appliance, &forged));
            assert!(!believed.admits(&mallory.public()));
        }
    }

    #[test]
    fn the_owner_hands_over_or_lets_go_and_its_word_counts_once() {
        let (owner, heir, third, appliance) = (root(1), root(2), root(3), uid(9));
        let mut believed = Owner::default();
        assert!(believed.admits(&owner.public()));
        let given = handover(&owner, appliance, &heir, 1);
        assert!(believed.heard(appliance, &given));
        assert!(!believed.admits(&third.public()), "to nobody else");
        assert!(believed.admits(&owner.public()), "until the heir speaks");
        assert!(believed.admits(&heir.public()) && !believed.admits(&owner.public()));

        let left = decommission(&heir, appliance, 4);
        assert!(believed.heard(appliance, &left));
        assert!(believed.admits(&owner.public()), "whoever is first");
        assert!(!believed.heard(appliance, &given), "a recorded one");
        assert!(!believed.heard(appliance, &left));
        assert!(!believed.admits(&heir.public()));
    }
}
