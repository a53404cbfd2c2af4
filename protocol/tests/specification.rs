//! docs/protocol.md against the messages: its CDDL is read, and every vector's message must fit it. So the document cannot rot.

#![allow(clippy::disallowed_methods, reason = "a test may read files and start programs; the crate may not")]

use cddl_cat::{ValidateError, validate_cbor_bytes};
use muster_protocol::wire::result::Reason;
use serde_json::Value;
use std::path::Path;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The ```cddl blocks of both documents, one after the other: together they are one specification.
fn cddl() -> String {
    let mut rules = String::new();
    let mut blocks = 0;
    for document in ["../docs/protocol.md", "../docs/protocol-noc.md"] {
        let text = file(document);
        for block in text.split("```cddl\n").skip(1) {
            rules += block.split_once("```").expect("a block that ends").0;
            blocks += 1;
        }
    }
    assert!(blocks >= 10, "only {blocks} blocks were found");
    rules
}

fn vectors(name: &str) -> Vec<Value> {
    let parsed: Value = serde_json::from_str(&file(&format!("tests/versions/1/{name}"))).expect("JSON");
    parsed["vectors"].as_array().expect("vectors").clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().expect("text").as_bytes()).expect("hexadecimal")
}

/// The rule of a datagram's body.
const PACKETS: [&str; 6] = ["", "ping-packet", "here-packet", "config-packet", "result-packet", "kick-packet"];

fn fits(rule: &str, cddl: &str, cbor: &[u8]) -> bool {
    match validate_cbor_bytes(rule, cddl, cbor) {
        Ok(()) => true,
        Err(ValidateError::Mismatch(_) | ValidateError::MapCut(_) | ValidateError::ValueError(_)) => false,
        Err(error) => panic!("the rule {rule} cannot be used: {error}"),
    }
}

#[test]
fn every_message_of_the_vectors_fits_the_cddl_of_the_document() {
    let cddl = cddl();
    let holds = |rule: &str, cbor: &[u8], name: &Value| {
        validate_cbor_bytes(rule, &cddl, cbor).unwrap_or_else(|error| panic!("{name} is no {rule}: {error}"));
    };
    let mut datagrams = 0;
    for name in ["ping.json", "here.json", "config.json", "result.json", "kick-start.json"] {
        for vector in vectors(name) {
            let datagram = bytes(&vector["datagram"]);
            holds(PACKETS[usize::from(datagram[5])], &datagram[6..], &vector["name"]);
            datagrams += 1;
        }
    }
    assert!(datagrams >= 20);
    for vector in vectors("config.json") {
        holds("signed-order", &bytes(&vector["hpke"]["plaintext"]), &vector["name"]);
        holds("order", &bytes(&vector["order"]), &vector["name"]);
        holds("address", &bytes(&vector["hpke"]["aad"]), &vector["name"]);
    }
    for vector in vectors("voucher.json") {
        match vector["part"].as_str() {
            Some("statement") => holds("voucher", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            Some("packet") => {
                holds("signed-order", &bytes(&vector["hpke"]["plaintext"]), &vector["name"]);
                holds("order", &bytes(&vector["order"]), &vector["name"]);
            }
            _ => {}
        }
    }
    for vector in vectors("handover.json") {
        match vector["part"].as_str() {
            Some("statement") => holds("handover", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            Some("offer") => holds("successor", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            _ => {}
        }
    }
    for vector in vectors("drift.json") {
        match vector["part"].as_str() {
            Some("grant") => holds("grant", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            _ => holds("signed-order", &bytes(&vector["hpke"]["plaintext"]), &vector["name"]),
        }
    }
    for vector in vectors("application.json").into_iter().chain(vectors("lists.json")) {
        match vector["part"].as_str() {
            Some("grant") => holds("grant", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            Some("packet") => holds("order", &bytes(&vector["order"]), &vector["name"]),
            _ => {}
        }
    }
    for vector in vectors("instruction.json").iter().filter(|vector| vector["part"] == "statement") {
        holds("instruction", &bytes(&vector["cose"]["payload"]), &vector["name"]);
    }
    for vector in vectors("ipv6.json") {
        match vector["part"].as_str() {
            Some("grant") => holds("grant", &bytes(&vector["cose"]["payload"]), &vector["name"]),
            Some("answer") => holds("settings", &bytes(&vector["hpke"]["plaintext"]), &vector["name"]),
            Some("packet") => holds("order", &bytes(&vector["order"]), &vector["name"]),
            _ => {}
        }
    }
    for vector in vectors("here.json").iter().filter(|vector| vector.get("hpke").is_some()) {
        holds("settings", &bytes(&vector["hpke"]["plaintext"]), &vector["name"]);
    }
    for (file, rule) in
        [("grant.json", "grant"), ("credential.json", "credential"), ("enrolment.json", "enrolment-proof")]
    {
        for vector in vectors(file) {
            holds(rule, &bytes(&vector["cose"]["payload"]), &vector["name"]);
        }
    }
}

#[test]
fn what_is_malformed_does_not_fit_it() {
    // What a schema cannot say: the encoding, what fits together, multiples of four.
    const BEYOND: [&str; 9] = [
        "a trailing byte",
        "the map of indefinite length",
        "the length of the map in two bytes",
        "a key in two bytes",
        "the length of the uid in two bytes",
        "a duplicate key",
        "keys out of order",
        "a trailing byte in the ping",
        "a heard list that is no multiple of four",
    ];
    let cddl = cddl();
    let mut refused = 0;
    for vector in vectors("refused.json") {
        let (name, stage, reason) = (&vector["name"], &vector["stage"], &vector["reason"]);
        let is_body = stage == "datagram" && reason == "body" || stage == "message" && reason != "grant";
        if !is_body || BEYOND.iter().any(|beyond| name == beyond) {
            continue;
        }
        let datagram = bytes(&vector["datagram"]);
        assert!(!fits(PACKETS[usize::from(datagram[5])], &cddl, &datagram[6..]), "{name}");
        refused += 1;
    }
    assert!(refused >= 12, "only {refused} were tried");
}

#[test]
fn the_table_of_reasons_is_the_codes() {
    let text = file("../docs/protocol.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && line.contains("| `")).collect();
    let mut number = 0;
    while let Ok(reason) = muster_protocol::wire::from_cbor::<Reason>(&muster_protocol::wire::to_cbor(&number)) {
        let row = format!("| {number} | `{}` |", reason.code());
        assert!(rows.iter().any(|line| line.starts_with(&row)), "the document lacks the row `{row}`");
        number += 1;
    }
    assert!(number > 16);
    let text = text.as_str();
    assert!(text.contains(&format!("reason = 0..{}", number - 1)), "reasons go up to {}", number - 1);
}

#[test]
fn a_beat_in_cbor_and_its_answer_fit_the_cddl_of_the_document() {
    use muster_protocol::api::*;
    use muster_protocol::id::{BootId, Mac, Seq};
    use muster_protocol::instruction::Serial;
    use muster_protocol::parameters::DriftPolicy;
    use muster_protocol::wire::to_cbor;
    let values = BeatValues {
        agent: "0.1.0".into(),
        address_conflict: Some(Mac([1; 6])),
        counters: [("mails".to_owned(), 1.5)].into(),
        host: Some(HostValues {
            memory: Some(1),
            disks: vec![Disk { mount: "/".into(), percent: 1.0, free: 2 }],
            temperature_c: Some(40.5),
            interface: Some(InterfaceErrors::default()),
            clock_offset_s: Some(-1),
            processors: Some(4),
            agent_memory: Some(3),
        }),
        drift: vec!["address".into()],
        network_problem: Some("no_link".into()),
        ..BeatValues::default()
    };
    let work = WorkReport {
        failed: Some(GrantFailure { seq: Seq(1), reason: "no_beat".into(), detail: "so".into() }),
        instruction: Some(InstructionReport { serial: Serial(1), problem: "why".into() }),
        handover: Some(HandoverReport { serial: Serial(1), done: true, problem: String::new() }),
        drift: Some(DriftPolicy::Restore),
    };
    let boot = BootId([1; 16]);
    let earlier = vec![EarlierBeat { boot, counter: 1, age_s: Some(1), time: Some(2), values: values.clone() }];
    let whole = Beat { boot, counter: 2, seq: Seq(3), values, work, earlier };
    let least =
        Beat { values: BeatValues::default(), work: WorkReport::default(), earlier: Vec::new(), ..whole.clone() };
    let given = Work {
        grant: Some(GivenGrant { grant: "AA==".into(), seq: Seq(1) }),
        instruction: Some("AA==".into()),
        handover: Some(GivenHandover { handover: "AA==".into(), serial: Serial(1) }),
        components: None,
    };
    let answer = |earlier, work| BeatAnswer { interval_s: 60, time: 1, earlier, work };
    let cddl = cddl();
    for (rule, cbor) in [
        ("beat", to_cbor(&whole)),
        ("beat", to_cbor(&least)),
        ("answer", to_cbor(&answer(Some(0), given))),
        ("answer", to_cbor(&answer(None, Work::default()))),
    ] {
        validate_cbor_bytes(rule, &cddl, &cbor).unwrap_or_else(|error| panic!("no {rule}: {error}"));
    }
    assert!(!fits("beat", &cddl, &to_cbor(&answer(None, Work::default()))), "an answer is no beat");
}
