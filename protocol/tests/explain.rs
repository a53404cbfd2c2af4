//! A datagram in words: it names everything, finds the byte that is wrong, and calls malformed what the parsers refuse.

#![allow(clippy::disallowed_methods, reason = "a test may read files and start programs; the crate may not")]

use data_encoding::HEXLOWER;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::Unverified;
use muster_protocol::explain::{Check, Explanation, Item, explain};
use muster_protocol::wire::here::Here;
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::result::ConfigResult;
use muster_protocol::wire::{self, Message};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions/1").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parsed: Value = serde_json::from_str(&text).expect("JSON");
    parsed["vectors"].as_array().unwrap_or(&vec![parsed.clone()]).clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().expect("text").as_bytes()).expect("hexadecimal")
}

fn key(name: &str) -> PublicKey {
    PublicKey(bytes(&vectors("keys.json")[0][name]["public_key"]).try_into().expect("32 bytes"))
}

fn good() -> &'static [Vec<u8>] {
    static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let files = ["ping.json", "here.json", "config.json", "result.json", "kick-start.json"];
        files.iter().flat_map(|file| vectors(file)).map(|vector| bytes(&vector["datagram"])).collect()
    });
    &GOOD
}

fn flat(explained: &Explanation) -> Vec<Item> {
    fn add(items: &[Item], into: &mut Vec<Item>) {
        for item in items {
            into.push(Item { items: Vec::new(), ..item.clone() });
            add(&item.items, into);
        }
    }
    let mut all = Vec::new();
    add(&explained.items, &mut all);
    all
}

/// What the parsers say: true if no part of the datagram that can be read from outside is malformed.
fn is_well_formed(datagram: &[u8]) -> bool {
    fn holds<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(signed: &[u8]) -> bool {
        Unverified::parse(signed).is_ok_and(|signed| wire::from_cbor::<T>(signed.untrusted_payload()).is_ok())
    }
    match wire::decode(datagram) {
        Ok(Message::Ping(packet)) => packet.question().is_ok(),
        Ok(Message::Here(packet)) => holds::<Here>(&packet.signed),
        Ok(Message::Config(_)) => true,
        Ok(Message::Result(packet)) => holds::<ConfigResult>(packet.signed()),
        Ok(Message::KickStart(_)) => {
            let mut decoder = minicbor::Decoder::new(&datagram[6..]);
            decoder.map().and_then(|_| decoder.skip()).and_then(|()| decoder.skip()).expect("decoded before");
            decoder.skip().expect("decoded before");
            holds::<KickStart>(decoder.bytes().expect("decoded before"))
        }
        Err(_) => false,
    }
}

#[test]
fn every_good_datagram_is_explained_to_its_last_byte() {
    let keys = [key("noc_root"), key("console"), key("device")];
    for datagram in good() {
        let explained = explain(datagram, &keys);
        assert_eq!(explained.fault, None);
        let signatures: Vec<Option<Check>> =
            flat(&explained).iter().filter(|item| item.name == "signature").map(|item| item.check).collect();
        assert!(signatures.iter().all(|check| *check == Some(Check::Holds)), "{signatures:?}");
        let is_unsigned =
            explained.kind == Some("config packet") || explained.items.iter().any(|item| item.name == "ping");
        assert_eq!(signatures.is_empty(), is_unsigned);
        let end = explained.items.iter().map(|item| item.at + item.length).max().expect("items");
        assert_eq!(end, datagram.len());
    }
}

#[test]
fn without_keys_only_what_carries_its_own_is_checked() {
    for vector in vectors("here.json") {
        let items = flat(&explain(&bytes(&vector["datagram"]), &[]));
        let signature = items.iter().find(|item| item.name == "signature").expect("a signature");
        assert_eq!(signature.check, Some(Check::Holds));
    }
    for vector in vectors("result.json") {
        let items = flat(&explain(&bytes(&vector["datagram"]), &[]));
        let signature = items.iter().find(|item| item.name == "signature").expect("a signature");
        assert_eq!(signature.check, Some(Check::NotChecked));
    }
}

#[test]
fn values_are_texts_that_people_know() {
    let explained = explain(&bytes(&vectors("result.json")[5]["datagram"]), &[]);
    let meaning = &vectors("result.json")[5]["meaning"];
    let value = |name: &str| flat(&explained).into_iter().find(|item| item.name == name).expect(name).value;
    assert_eq!(Some(value("UID").as_str()), meaning["uid"].as_str());
    assert_eq!(value("status"), "1, FAILED");
    assert_eq!(value("reason"), "9, address_taken");
    assert_eq!(value("detail"), "\"192.0.2.10 is used by 02:4D:55:53:54:99\"");
    let explained = explain(&bytes(&vectors("here.json")[0]["datagram"]), &[]);
    let value = |name: &str| flat(&explained).into_iter().find(|item| item.name == name).expect(name).value;
    assert_eq!((value("MAC").as_str(), value("state").as_str()), ("02:4D:55:53:54:01", "0, unconfigured"));
    let explained = explain(&bytes(&vectors("ping.json")[2]["datagram"]), &[]);
    let value = |name: &str| flat(&explained).into_iter().find(|item| item.name == name).expect(name).value;
    assert_eq!(
        (value("sites").as_str(), value("expires").as_str()),
        ("3, 4, 70000", "1853072000, 2028-09-20 14:13:20 UTC")
    );
}

#[test]
fn what_is_wrong_is_told_at_its_byte() {
    let vectors = vectors("refused.json");
    for (name, at, what) in [
        ("empty", 0, "cut short: the header has 6 bytes, this datagram 0"),
        ("five bytes", 5, "cut short: the header has 6 bytes, this datagram 5"),
        ("another protocol", 0, "expected 4d of `MUST`, found 6d: not a Muster datagram"),
        ("version 2", 4, "protocol version 2 is not spoken here; this speaks 1"),
        ("one byte too long", 1_232, "1233 bytes are more than a datagram may have; that is 1232"),
        ("a trailing byte", 167, "a trailing byte after the message"),
        ("an array for the map", 6, "expected a map, found an array"),
        ("the map of indefinite length", 6, "an indefinite length; the deterministic form has none"),
        ("the length of the map in two bytes", 6, "3 is written in 2 bytes; the deterministic form takes 1"),
        ("a key in two bytes", 7, "0 is written in 2 bytes; the deterministic form takes 1"),
        ("the uid one byte short", 8, "expected a byte string of 20, found one of 19"),
        ("a duplicate key", 29, "field 0 is there twice"),
        ("keys out of order", 7, "field 0 (UID) is missing"),
        ("an unknown field", 167, "field 3 is unknown; version 1 does not have it here"),
        ("a field that is missing", 149, "field 2 (tag) is missing"),
        ("text for the uid", 8, "expected a byte string, found a text"),
        (
            "a byte string that says it has 2^64 - 1 bytes",
            8,
            "expected a byte string of 20, found one of 18446744073709551615",
        ),
        ("a ping that is both", 6, "a ping that is both plain (field 0) and signed (field 1)"),
        ("a shard of 17 bits", 44, "17 is more than 16, the most that is allowed"),
        ("a heard list that is no multiple of four", 47, "6 bytes; heard hashes have 4 each, and are at most 128"),
        (
            "a CBOR tag before the COSE_Sign1",
            11,
            "expected 84, found d2: a COSE_Sign1 of version 1 begins with 8443a10127a0",
        ),
    ] {
        let vector =
            vectors.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("no vector: {name}"));
        let fault = explain(&bytes(&vector["datagram"]), &[]).fault.unwrap_or_else(|| panic!("{name} has no fault"));
        assert_eq!((fault.at, fault.what.as_str()), (at, what), "{name}");
    }
}

#[test]
fn a_forged_signature_is_told() {
    let forged = vectors("refused.json").into_iter().filter(|vector| vector["stage"] == "signature");
    let mut told = 0;
    for vector in forged.filter(|vector| vector["reason"] == "here") {
        let explained = explain(&bytes(&vector["datagram"]), &[]);
        assert!(explained.fault.is_none() && explained.has_bad_signature(), "{}", vector["name"]);
        told += 1;
    }
    assert_eq!(told, 3);
}

#[test]
fn texts_from_the_network_cannot_drive_a_terminal() {
    let mut datagram = bytes(&vectors("result.json")[5]["datagram"]);
    let at = datagram.windows(10).position(|window| window == b"192.0.2.10").expect("the detail");
    datagram[at..at + 6].copy_from_slice(b"\x1b[2J\x0a\x7f");
    let json = serde_json::to_string(&explain(&datagram, &[])).expect("JSON");
    assert!(json.contains("\\\\u{1b}[2J\\\\n\\\\u{7f}"), "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn it_calls_malformed_what_the_parsers_refuse(
        which in 0_usize..1_000,
        edits in prop::collection::vec((0_usize..10_000, any::<u8>(), 0_u8..4), 0..3),
        near_the_front: bool,
    ) {
        let all = good();
        let mut datagram = all[which % all.len()].clone();
        for (at, byte, how) in edits {
            let at = 6 + at % (if near_the_front { 90 } else { datagram.len() }).min(datagram.len() - 6).max(1);
            match how {
                0 if at < datagram.len() => datagram.insert(at, byte),
                1 if at < datagram.len() => { datagram.remove(at); }
                _ if at < datagram.len() => datagram[at] = byte,
                _ => datagram.push(byte),
            }
        }
        let explained = explain(&datagram, &[]);
        prop_assert_eq!(explained.fault.is_none(), is_well_formed(&datagram), "{:?}", explained.fault);
    }

    #[test]
    fn noise_is_explained_without_a_panic(kind in 0_u8..7, body in prop::collection::vec(any::<u8>(), 0..400)) {
        let datagram = [b"MUST\x01", &[kind][..], &body].concat();
        prop_assert_eq!(explain(&datagram, &[]).fault.is_none(), is_well_formed(&datagram));
    }
}
