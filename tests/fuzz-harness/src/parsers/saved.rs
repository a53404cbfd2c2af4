//! What a machine finds on its disk after a restart.

use crate::allocation::Limit;
use crate::keys::{KEYS, MAC, boot};
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::appliance::{self, Appliance, Profile};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::delivery::{self, Delivery, Order};
use muster_protocol::id::Seq;
use muster_protocol::time::Millis;
use muster_protocol::wire::MAX_DATAGRAM;
use muster_protocol::wire::here::Proof;

/// A document is decoded, encoded again to compare, and some of its parts are copied into outputs.
const LIMIT: Limit = Limit { each: 32, base: 16_384 };

/// What the first byte chooses. Seeds are named after these.
pub const DOCUMENTS: [&str; 2] = ["appliance", "delivery"];

/// The first byte chooses whose document it is.
pub fn run(data: &[u8]) {
    let Some((whose, document)) = data.split_first() else { return };
    match usize::from(*whose) % DOCUMENTS.len() {
        0 => appliance(document),
        _ => delivery(document),
    }
}

fn start(document: &[u8]) -> Result<Appliance, appliance::LoadError> {
    let profile = Profile {
        device: KEYS.device.clone(),
        mac: MAC,
        boot: boot(1),
        proof: Proof::Claim,
        claim: Some(KEYS.claim_key.clone()),
        vendor: None,
    };
    let rng = Box::new(Seeded::new(1));
    LIMIT.hold(document.len(), || Appliance::new(Millis(0), profile, Some(document), rng))
}

/// What loads is rolled back if it was not committed, and what is stored then loads again as the same.
fn appliance(document: &[u8]) {
    let Ok(mut appliance) = start(document) else { return };
    let (seq, enrolment) = (appliance.seq(), appliance.enrolment());
    let mut stored = None;
    for _ in 0..16 {
        let input = match appliance.poll_output() {
            None => break,
            Some(appliance::Output::RollBack { .. }) => appliance::Input::RolledBack,
            Some(appliance::Output::Persist { token, bytes }) => {
                stored = Some(bytes);
                appliance::Input::Persisted(token)
            }
            Some(_) => continue,
        };
        appliance.handle_input(Millis(0), input);
    }
    assert_eq!(appliance.poll_output(), None, "a start comes to an end");
    assert_eq!((appliance.seq(), appliance.enrolment()), (seq, enrolment.clone()), "a roll-back loses nothing");
    if let Some(stored) = stored {
        let again = start(&stored).expect("what was stored loads");
        assert_eq!((again.seq(), again.enrolment()), (seq, enrolment));
        reached::mark("rolled back");
    }
    reached::mark("appliance");
}

fn delivery(document: &[u8]) {
    let order = Order {
        device_key: KEYS.device.public(),
        mac: MAC,
        grant: vec![0; 300],
        seq: Seq(1),
        claim: None,
        voucher: None,
        one_time_key: Some(SealKey([9; 32])),
    };
    let rng = Box::new(Seeded::new(1));
    let Ok(mut delivery) = LIMIT.hold(document.len(), || Delivery::resume(Millis(0), order, document, rng)) else {
        return;
    };
    let Some(delivery::Output::Transmit { bytes, .. }) = delivery.poll_output() else {
        panic!("a delivery that goes on sends what it had stored first");
    };
    assert!(document.windows(bytes.len()).any(|part| part == bytes), "and nothing else");
    assert!(bytes.len() <= MAX_DATAGRAM, "a packet that was stored fits a datagram");
    reached::mark("delivery");
}
