//! What a model checker needs of the machine: the same machine again, and whether two are in the same state.
//!
//! Only with the feature `model`.

use super::{Delivery, Step};
use crate::crypto::Entropy;
use crate::wire::to_cbor;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt::Debug;

impl Delivery {
    /// The same machine again, with `rng` for what comes. All outputs must have been taken.
    pub fn fork(&self, rng: Entropy) -> Delivery {
        debug_assert!(self.outputs.is_empty(), "outputs belong to one of two machines");
        Delivery {
            uid: self.uid,
            order: self.order.clone(),
            rng,
            step: self.step.fork(),
            tries: self.tries,
            sent: self.sent,
            heard_at: self.heard_at,
            next_at: self.next_at,
            next_token: self.next_token,
            refusal: self.refusal.clone(),
            outputs: VecDeque::new(),
        }
    }

    /// SHA-256 over all that decides what it will do, but for its randomness: deliveries of one console with equal
    /// fingerprints and equal randomness answer equal inputs equally.
    pub fn fingerprint(&self) -> [u8; 32] {
        // Taken apart by name, so that a new field cannot be forgotten here.
        let Delivery { uid, order, rng: _, step, tries, sent, heard_at, next_at, next_token, refusal, outputs } = self;
        let mut hash = Sha256::new();
        let claim = order.claim.as_ref().map(|key| key.0);
        add(&mut hash, &(uid, order, claim, tries, sent, heard_at, next_at, next_token, refusal, outputs));
        match step {
            Step::Asking { asked } => add(&mut hash, &("asking", asked)),
            Step::Granting { key } => add(&mut hash, &("granting", key)),
            Step::Storing { token, packet } => add(&mut hash, &("storing", token, to_cbor(packet))),
            Step::Sending { packet, unanswered } => add(&mut hash, &("sending", unanswered, to_cbor(packet))),
            Step::Kicking { packet, unanswered } => add(&mut hash, &("kicking", unanswered, to_cbor(packet))),
            Step::Done => add(&mut hash, &"done"),
        }
        hash.finalize().into()
    }
}

impl Step {
    fn fork(&self) -> Step {
        match self {
            Step::Asking { asked } => Step::Asking { asked: *asked },
            Step::Granting { key } => Step::Granting { key: *key },
            Step::Storing { token, packet } => Step::Storing { token: *token, packet: packet.clone() },
            Step::Sending { packet, unanswered } => Step::Sending { packet: packet.clone(), unanswered: *unanswered },
            Step::Kicking { packet, unanswered } => Step::Kicking { packet: packet.clone(), unanswered: *unanswered },
            Step::Done => Step::Done,
        }
    }
}

fn add(hash: &mut Sha256, value: &dyn Debug) {
    let text = format!("{value:?}");
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}
