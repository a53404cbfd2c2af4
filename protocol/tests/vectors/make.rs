//! Makes the test vectors of protocol version 1 from fixed keys: every message, and every step on the way to it.
//!
//! `cargo run -p muster-protocol --example vectors -- FOLDER` writes them; `tests/vectors.rs` compares them with the frozen
//! ones. What is made here comes from the code that the programs run; the steps between, which that code does not show,
//! are computed beside it and must lead to the same bytes.

pub(crate) mod applications;
pub(crate) mod handovers;
pub(crate) mod hpke;
pub(crate) mod instructions;
pub(crate) mod ipv6;
pub(crate) mod lists;
pub(crate) mod messages;
pub(crate) mod parties;
pub(crate) mod refused;
pub(crate) mod vouchers;

use minicbor::Encoder;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

/// Every file of vectors, by name.
pub(crate) fn files() -> BTreeMap<&'static str, Value> {
    let file = |about: &str, vectors: Vec<Value>| json!({ "version": 1, "about": about, "vectors": vectors });
    BTreeMap::from([
        ("keys.json", parties::keys()),
        ("codes.json", file("UIDs, MACs and label codes as text; claim keys", parties::codes())),
        ("heard.json", file("who is asked by a ping: heard hashes and shards", messages::heard())),
        ("grant.json", file("what the NOC root signs over for an appliance", messages::grants())),
        ("credential.json", file("what the NOC root signs over for a console", messages::credentials())),
        ("enrolment.json", file("what an appliance signs to get a client certificate", messages::enrolments())),
        ("ping.json", file("kind 1", messages::pings())),
        ("here.json", file("kind 2", messages::answers())),
        ("config.json", file("kind 3", messages::configs())),
        ("result.json", file("kind 4", messages::results())),
        ("kick-start.json", file("kind 5", messages::kick_starts())),
        ("refused.json", file("what must be refused, and why", refused::all())),
        ("handover.json", file("what a root signs to hand an appliance over, and what is refused", handovers::all())),
        (
            "instruction.json",
            file("what the NOC root has a configured appliance do, and what is refused", instructions::all()),
        ),
        (
            "application.json",
            file("application settings: grants, a packet that they fill, and malformed grants", applications::all()),
        ),
        (
            "lists.json",
            file(
                "time servers and search domains: grants, a packet with the longest, and malformed grants",
                lists::all(),
            ),
        ),
        ("drift.json", file("grants with a policy about settings that are changed by hand", instructions::drift())),
        (
            "ipv6.json",
            file("IPv6 beside IPv4: grants, the longest packet, an answer, and malformed grants", ipv6::all()),
        ),
        ("voucher.json", file("what a vendor signs, and packets that bring it or are refused for it", vouchers::all())),
    ])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// 32 bytes that are the same for the same name.
pub(crate) fn seed(name: &str) -> [u8; 32] {
    Sha256::digest(format!("muster test vectors 1: {name}")).into()
}

/// A COSE_Sign1 by the library, and its steps.
pub(crate) fn cose(key: &SecretKey, purpose: Purpose, aad: &str, payload: &[u8]) -> (Vec<u8>, Value) {
    let bytes = sign::sign(key, purpose, payload.to_vec());
    let protected = [0xa1, 0x01, 0x27];
    let mut structure = Vec::new();
    let mut e = Encoder::new(&mut structure);
    let written = e.array(4).and_then(|e| e.str("Signature1")).and_then(|e| e.bytes(&protected));
    written.and_then(|e| e.bytes(aad.as_bytes())).and_then(|e| e.bytes(payload)).expect("to memory");
    let signature = key.sign(&structure);
    assert!(bytes.ends_with(&signature), "the structure is what was signed");
    let steps = json!({
        "external_aad_text": aad,
        "payload": hex(payload),
        "protected": hex(&protected),
        "public_key": hex(&key.public().0),
        "seed": hex(&key.seed()[..]),
        "sig_structure": hex(&structure),
        "signature": hex(&signature),
        "bytes": hex(&bytes),
    });
    (bytes, steps)
}

/// A source of "random" bytes that gives out what it was given, in pieces of 32, and then ever new ones.
pub(crate) struct Given {
    pieces: VecDeque<[u8; 32]>,
    more: u64,
}

impl Given {
    pub(crate) fn new(pieces: impl IntoIterator<Item = [u8; 32]>) -> Given {
        Given { pieces: pieces.into_iter().collect(), more: 0 }
    }
}

impl TryRng for Given {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(32) {
            self.more += 1;
            let piece = self.pieces.pop_front().unwrap_or_else(|| seed(&format!("more {}", self.more)));
            chunk.copy_from_slice(&piece[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Given {}
