//! Application settings: grants that have them, the packet that they fill, and payloads of grants that are malformed for them.

use super::messages::{Packet, config_vector, first_grant, grant_meaning};
use super::parties::root;
use super::{cose, hex};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::sign::Purpose;
use muster_protocol::grant::Grant;
use muster_protocol::id::{RequestId, Seq};
use muster_protocol::parameters::Parameters;
use muster_protocol::wire::config::application_room;
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

fn with(settings: &str) -> Grant {
    let settings = ApplicationSettings::from_canonical(settings).expect("canonical");
    let grant = first_grant();
    Grant { parameters: Parameters { application: Some(settings), ..grant.parameters }, ..grant }
}

fn vector(name: &str, settings: &str) -> Value {
    let grant = with(settings);
    let mut meaning = grant_meaning(&grant);
    meaning["application"] = json!(settings);
    let steps = cose(&root(), Purpose::Grant, "muster/1 grant", &to_cbor(&grant)).1;
    json!({ "part": "grant", "name": name, "meaning": meaning, "cose": steps })
}

/// A relay host, and a text as long as `bytes` allow.
fn of_length(bytes: usize) -> String {
    let shortest = "{\"text\":\"\"}".len();
    format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - shortest))
}

/// Three parts: grants, the packet that is full, and the payloads of grants that are malformed.
pub(crate) fn all() -> Vec<Value> {
    let grants = [
        vector("a mail gateway's", r#"{"quarantine_days":14,"relay":["mx1.example.net","mx2.example.net"]}"#),
        vector(
            "every kind of value",
            r#"{"":{},"a":[],"b":-0.50e+7,"c":null,"d":true,"e":"\"\\/\n\t\rÄ神😀","z":{"a":18446744073709551616}}"#,
        ),
    ];
    let longest = Grant { seq: Seq(u64::MAX), ..with("{\"a\":1}") };
    let room = application_room(&longest, 0).expect("room");
    let packet = Packet {
        name: "filled by application settings",
        grant: Grant { seq: Seq(u64::MAX), ..with(&of_length(room)) },
        key: 0,
        claimed: true,
        request: RequestId([0xff; 16]),
        voucher: None,
    };
    let mut full = config_vector(&packet);
    full["part"] = json!("packet");
    grants.into_iter().chain([full]).chain(malformed()).collect()
}

fn malformed() -> impl Iterator<Item = Value> {
    let good = to_cbor(&first_grant());
    let body = good[1..].to_vec();
    let fields = good[0] + 1;
    let text = |text: &str| {
        let header = match u8::try_from(text.len()) {
            Ok(short @ 0..24) => vec![0x60 + short],
            Ok(length) => vec![0x78, length],
            Err(_) => [&[0x79][..], &u16::try_from(text.len()).expect("short").to_be_bytes()].concat(),
        };
        [&header[..], text.as_bytes()].concat()
    };
    let cases = [
        ("an object that holds nothing", text("{}")),
        ("white space", text("{\"a\": 1}")),
        ("names out of order", text("{\"b\":1,\"a\":2}")),
        ("a name twice", text("{\"a\":1,\"a\":1}")),
        ("an escape that need not be", text("{\"a\":\"\\/\"}")),
        ("a control character", text("{\"a\":\"\\u0000\"}")),
        ("an array", text("[]")),
        ("no JSON", text("{a:1}")),
        ("nine levels", text(&format!("{{\"a\":{}{}}}", "[".repeat(8), "]".repeat(8)))),
        ("701 bytes", text(&of_length(701))),
        ("bytes instead of a text", [&[0x47][..], b"{\"a\":1}"].concat()),
    ];
    cases.into_iter().map(move |(name, value)| {
        let payload = [&[fields][..], &body, &[0x18, 0x1f], &value].concat();
        json!({ "part": "malformed", "name": name, "payload": hex(&payload) })
    })
}
