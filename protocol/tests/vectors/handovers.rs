//! What a root signs to hand an appliance over, what the successor says of itself, and what an appliance refuses.

use super::messages::first_grant;
use super::parties::{root, stranger, uid};
use super::{cose, hex, seed};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::Serial;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

/// The root of the NOC that takes over.
fn successor_root() -> SecretKey {
    SecretKey::from_seed(&seed("successor"))
}

fn successor() -> Successor {
    Successor {
        noc: "new.example.net:8443".to_owned(),
        ca_pin: seed("the successor's CA"),
        root: successor_root().public(),
    }
}

/// For the appliance that the first packet of `config.json` has configured.
fn handover() -> Handover {
    Handover {
        uid: uid(),
        seq: first_grant().seq,
        serial: Serial(1_780_000_100),
        to: successor(),
        issued: UnixTime(1_780_000_200),
        expires: UnixTime(1_780_605_000),
    }
}

fn meaning_of(to: &Successor) -> Value {
    json!({ "noc": to.noc, "ca_pin": hex(&to.ca_pin), "root": hex(&to.root.0) })
}

/// Three parts: statements, an offer, and statements that the appliance refuses.
pub(crate) fn all() -> Vec<Value> {
    let grant = first_grant();
    let elsewhere = Successor { noc: "noc2.example.net:6878".to_owned(), ca_pin: grant.ca_pin, root: root().public() };
    let longest = Handover {
        seq: Seq(u64::MAX),
        serial: Serial(u64::MAX),
        to: Successor { noc: format!("{}:65535", "n".repeat(122)), ..successor() },
        issued: UnixTime(u64::MAX),
        expires: UnixTime(u64::MAX),
        ..handover()
    };
    let named = [
        ("to another root", handover()),
        ("to another address of the same NOC", Handover { to: elsewhere, ..handover() }),
        ("the longest", longest),
    ];
    let statements = named.map(|(name, handover)| {
        let (_, steps) = cose(&root(), Purpose::Handover, "muster/1 hand-over", &to_cbor(&handover));
        let meaning = json!({
            "uid": handover.uid.to_string(), "seq": handover.seq.0.to_string(), "serial": handover.serial.0.to_string(),
            "to": meaning_of(&handover.to),
            "issued": handover.issued.0.to_string(), "expires": handover.expires.0.to_string(),
        });
        json!({ "part": "statement", "name": name, "meaning": meaning, "cose": steps })
    });
    let aad = "muster/1 hand-over offer";
    let (_, steps) = cose(&successor_root(), Purpose::HandoverOffer, aad, &to_cbor(&successor()));
    let offer = json!({ "part": "offer", "name": "an offer", "meaning": meaning_of(&successor()), "cose": steps });

    let good = handover().sign(&root());
    let another_purpose = sign::sign(&root(), Purpose::Instruction, to_cbor(&handover()));
    let no_address = Handover { to: Successor { noc: "noc/x:1".to_owned(), ..successor() }, ..handover() };
    let of_another_grant = Handover { seq: Seq(grant.seq.0 + 1), ..handover() };
    let refused = [
        ("by a stranger", handover().sign(&stranger()), Reason::WrongRoot, None),
        ("by the successor", handover().sign(&successor_root()), Reason::WrongRoot, None),
        ("signed for another purpose", another_purpose, Reason::WrongRoot, None),
        ("with a byte too many", [&good[..], &[0]].concat(), Reason::WrongRoot, None),
        ("to what is no address", no_address.sign(&root()), Reason::WrongRoot, None),
        (
            "for another appliance",
            Handover { uid: Uid([5; 20]), ..handover() }.sign(&root()),
            Reason::WrongAppliance,
            None,
        ),
        ("of another configuration", of_another_grant.sign(&root()), Reason::OldSequence, None),
        ("that has ended", good, Reason::Expired, Some(1_780_605_001_u64)),
    ];
    let refused = refused.map(|(name, signed, reason, time)| {
        json!({
            "part": "refused", "name": name, "known_time": time.map(|time| time.to_string()), "bytes": hex(&signed),
            "reason": reason.code(), "reason_number": reason as u8,
        })
    });
    statements.into_iter().chain([offer]).chain(refused).collect()
}
