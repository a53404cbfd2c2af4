//! The bodies of the NOC's interface, JSON and CBOR: what is read is written and read again as the same.

use crate::allocation::Limit;
use crate::reached;
use muster_protocol::api::{
    Alert, ApplianceEnrolled, ApplianceRecord, Beat, BeatAnswer, BeatRecord, Changes, ConsoleEnrolled, EnrolAppliance,
    EnrolConsole, GrantRequest, Grants, LogBundle, Plan, PlanRequest, Problem, ResultReport, Site, read_cbor,
};
use muster_protocol::wire::to_cbor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The least element of a list, `{}` or a number, becomes a structure of some hundred bytes in a vector that doubles.
const LIMIT: Limit = Limit { each: 400, base: 4_096 };

/// What the first byte chooses. Seeds are named after these.
pub const BODIES: [(&str, fn(&[u8]) -> bool); 20] = [
    ("problem", one::<Problem>),
    ("enrol-console", one::<EnrolConsole>),
    ("console-enrolled", one::<ConsoleEnrolled>),
    ("sites", one::<Vec<Site>>),
    ("appliances", one::<Vec<ApplianceRecord>>),
    ("plan-request", one::<PlanRequest>),
    ("plan", one::<Plan>),
    ("grant-request", one::<GrantRequest>),
    ("grants", one::<Grants>),
    ("results", one::<ResultReport>),
    ("alerts", one::<Vec<Alert>>),
    ("changes", one::<Changes>),
    ("enrol-appliance", one::<EnrolAppliance>),
    ("appliance-enrolled", one::<ApplianceEnrolled>),
    ("beat", one::<Beat>),
    ("beat-answer", one::<BeatAnswer>),
    ("beats", one::<Vec<BeatRecord>>),
    ("log-bundle", one::<LogBundle>),
    ("beat-cbor", beat),
    ("beat-answer-cbor", beat_answer),
];

/// The first byte chooses the body.
pub fn run(data: &[u8]) {
    let Some((which, text)) = data.split_first() else { return };
    let (name, read) = BODIES[usize::from(*which) % BODIES.len()];
    if read(text) {
        reached::mark(name);
    }
}

fn one<T: DeserializeOwned + Serialize>(text: &[u8]) -> bool {
    let Ok(body) = LIMIT.hold(text.len(), || serde_json::from_slice::<T>(text)) else { return false };
    let written = serde_json::to_string(&body).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).expect("what was written reads back");
    assert_eq!(serde_json::to_string(&again).expect("again"), written, "and means the same");
    true
}

fn beat(bytes: &[u8]) -> bool {
    let Ok(body) = LIMIT.hold(bytes.len(), || read_cbor::<Beat>(bytes)) else { return false };
    let written = to_cbor(&body);
    let again: Beat = read_cbor(&written).expect("what was written reads back");
    assert_eq!(to_cbor(&again), written, "and means the same");
    true
}

fn beat_answer(bytes: &[u8]) -> bool {
    let Ok(body) = LIMIT.hold(bytes.len(), || read_cbor::<BeatAnswer>(bytes)) else { return false };
    let written = to_cbor(&body);
    assert_eq!(read_cbor::<BeatAnswer>(&written), Ok(body), "what was written reads back");
    true
}
