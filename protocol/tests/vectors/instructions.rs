//! What the NOC root signs for a configured appliance to do, what such an appliance refuses, and grants with a site's policy
//! about settings that are changed by hand.

use super::messages::{Packet, config_vector, first_grant, grant_meaning, longest_grant};
use super::parties::{root, stranger, uid};
use super::vouchers::longest_voucher;
use super::{cose, hex};
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{RequestId, Seq, Uid};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::parameters::{DriftPolicy, Parameters};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

/// Every act, with its words.
const ACTS: [(Act, &str); 6] = [
    (Act::Reboot, "restart the system"),
    (Act::SendLog, "send the log"),
    (Act::Decommission, "decommission"),
    (Act::ReportDrift, "report what is changed by hand"),
    (Act::RestoreDrift, "restore what is changed by hand"),
    (Act::DriftByImage, "do what the image says about it"),
];

/// Under the first grant.
fn instruction(act: Act) -> Instruction {
    Instruction {
        uid: uid(),
        seq: first_grant().seq,
        serial: Serial(1_790_000_100),
        act,
        issued: UnixTime(1_790_000_100),
        expires: UnixTime(1_790_604_900),
    }
}

fn longest() -> Instruction {
    Instruction {
        seq: Seq(u64::MAX),
        serial: Serial(u64::MAX),
        issued: UnixTime(u64::MAX - 1),
        expires: UnixTime(u64::MAX),
        ..instruction(Act::DriftByImage)
    }
}

/// `instruction.json`: statements; and what the appliance that was configured by the first packet of `config.json` refuses.
pub(crate) fn all() -> Vec<Value> {
    let named = ACTS.map(|(act, words)| (words, instruction(act)));
    let statements = named.into_iter().chain([("the longest", longest())]).map(|(name, instruction)| {
        let steps = cose(&root(), Purpose::Instruction, "muster/1 instruction", &to_cbor(&instruction)).1;
        let meaning = json!({
            "uid": instruction.uid.to_string(), "seq": instruction.seq.0.to_string(),
            "serial": instruction.serial.0.to_string(), "act": instruction.act as u8,
            "issued": instruction.issued.0.to_string(), "expires": instruction.expires.0.to_string(),
        });
        json!({ "part": "statement", "name": name, "meaning": meaning, "cose": steps })
    });
    statements.chain(refused()).collect()
}

fn refused() -> Vec<Value> {
    let good = instruction(Act::Reboot);
    let by_root = |instruction: &Instruction| sign::sign(&root(), Purpose::Instruction, to_cbor(instruction));
    let payload = |cbor: Vec<u8>| sign::sign(&root(), Purpose::Instruction, cbor);
    let mut unknown_act = to_cbor(&good);
    let act = unknown_act.len() - 14;
    assert_eq!(unknown_act[act..act + 2], [3, 0], "field 3 and the act");
    unknown_act[act + 1] = 6;
    let trailing = [&to_cbor(&good)[..], &[0]].concat();
    let cases = [
        ("by another root", sign::sign(&stranger(), Purpose::Instruction, to_cbor(&good)), Reason::WrongRoot, None),
        ("signed for another purpose", sign::sign(&root(), Purpose::Grant, to_cbor(&good)), Reason::WrongRoot, None),
        ("an unknown act", payload(unknown_act), Reason::WrongRoot, None),
        ("a byte too many", payload(trailing), Reason::WrongRoot, None),
        (
            "for another appliance",
            by_root(&Instruction { uid: Uid([5; 20]), ..good.clone() }),
            Reason::WrongAppliance,
            None,
        ),
        (
            "under a grant that is not in force",
            by_root(&Instruction { seq: Seq(8), ..good.clone() }),
            Reason::OldSequence,
            None,
        ),
        ("one that has ended", by_root(&good), Reason::Expired, Some(good.expires.0 + 1)),
    ];
    let vector = |(name, bytes, reason, time): (&str, Vec<u8>, Reason, Option<u64>)| {
        json!({
            "part": "refused", "name": name, "instruction": hex(&bytes), "reason": reason.code(),
            "known_time": time.map(|time| time.to_string()),
        })
    };
    cases.into_iter().map(vector).collect()
}

fn with_policy(grant: Grant, drift: DriftPolicy) -> Grant {
    Grant { parameters: Parameters { drift: Some(drift), ..grant.parameters }, ..grant }
}

/// `drift.json`: grants that say what is done about settings that are changed by hand, and the longest packet with one.
pub(crate) fn drift() -> Vec<Value> {
    let named = [
        ("report", with_policy(first_grant(), DriftPolicy::Report)),
        ("restore", with_policy(first_grant(), DriftPolicy::Restore)),
    ];
    let grants = named.map(|(name, grant)| {
        let steps = cose(&root(), Purpose::Grant, "muster/1 grant", &to_cbor(&grant)).1;
        let mut meaning = grant_meaning(&grant);
        meaning["drift"] = json!(name);
        json!({ "part": "grant", "name": name, "meaning": meaning, "cose": steps })
    });
    let packet = Packet {
        name: "the longest of all packets, with a voucher and a policy",
        grant: with_policy(longest_grant(), DriftPolicy::Restore),
        key: 0,
        claimed: false,
        request: RequestId([0xff; 16]),
        voucher: Some(longest_voucher()),
    };
    let mut longest = config_vector(&packet);
    longest["part"] = json!("packet");
    longest["voucher"] = json!(packet.voucher.as_deref().map(hex));
    grants.into_iter().chain([longest]).collect()
}
