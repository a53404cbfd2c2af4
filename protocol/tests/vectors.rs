//! The test vectors of protocol version 1: frozen files, which today's code both makes and reads.
//!
//! This test never writes them. Vectors of a version that was released do not change; a new version gets new ones.

#![allow(clippy::disallowed_methods, reason = "a test may read files and start programs; the crate may not")]

#[path = "vectors/make.rs"]
mod make;
#[path = "vectors/read.rs"]
mod read;
#[path = "vectors/second.rs"]
mod second;

use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::id::{Mac, Uid};
use muster_protocol::wire::ping::{Shard, heard_hash};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions")
}

fn committed() -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder().join("1")).expect("the folder of version 1");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("listed").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("read"))
    };
    entries.map(file).collect()
}

fn parsed(name: &str) -> Value {
    let bytes = committed().remove(name).unwrap_or_else(|| panic!("{name} is missing"));
    serde_json::from_slice(&bytes).expect("JSON")
}

fn vectors(name: &str) -> Vec<Value> {
    let vectors = parsed(name)["vectors"].as_array().expect("vectors").clone();
    assert!(!vectors.is_empty());
    vectors
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value}"))
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text(value, field).as_bytes()).expect("hexadecimal")
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    bytes(value, field).try_into().unwrap_or_else(|_| panic!("{field} has another length"))
}

#[test]
fn the_vectors_of_version_1_are_the_ones_that_were_frozen() {
    let list = std::fs::read_to_string(folder().join("1.sha256")).expect("the list of hashes");
    let listed: BTreeMap<String, String> = list
        .lines()
        .map(|line| line.split_once("  1/").expect("hash and name"))
        .map(|(hash, name)| (name.to_owned(), hash.to_owned()))
        .collect();
    let hash = |bytes: &Vec<u8>| data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
    let found: BTreeMap<String, String> = committed().iter().map(|(name, bytes)| (name.clone(), hash(bytes))).collect();
    assert_eq!(found, listed, "vectors never change: undo it, and make a new version of the protocol");
}

#[test]
fn todays_code_makes_every_byte_of_them() {
    let made = make::files();
    let names: Vec<&str> = made.keys().copied().collect();
    assert_eq!(names, committed().keys().map(String::as_str).collect::<Vec<_>>());
    for (name, value) in made {
        let frozen = parsed(name);
        for (now, then) in value["vectors"].as_array().iter().zip(frozen["vectors"].as_array().iter()) {
            for (now, then) in now.iter().zip(then.iter()) {
                assert_eq!(now, then, "{name}");
            }
        }
        assert_eq!(value, frozen, "{name}");
    }
}

#[test]
fn codes_read_in_every_form_and_mistyped_ones_do_not() {
    for vector in vectors("codes.json") {
        let forms = vector["also_read"].as_array().expect("forms");
        for form in forms.iter().chain([&vector["text"]]).map(|form| form.as_str().expect("text")) {
            match text(&vector, "kind") {
                "uid" => assert_eq!(form.parse::<Uid>().expect(form).0, array(&vector, "uid")),
                "mac" => assert_eq!(form.parse::<Mac>().expect(form).0, array(&vector, "mac")),
                "label_code" => {
                    let secret: ClaimSecret = form.parse().expect("a code");
                    assert_eq!(secret.reveal(), text(&vector, "text"));
                    assert_eq!(secret.key().0, array(&vector, "claim_key"));
                }
                other => panic!("{other}?"),
            }
        }
        for form in vector["refused"].as_array().into_iter().flatten() {
            assert!(form.as_str().expect("text").parse::<ClaimSecret>().is_err(), "{form}");
        }
    }
}

#[test]
fn heard_hashes_and_shards_are_as_frozen() {
    for vector in vectors("heard.json") {
        let hash = heard_hash(&array(&vector, "salt"), &Uid(array(&vector, "uid")));
        assert_eq!(hash[..4], bytes(&vector, "hash"));
        for shard in vector["shards"].as_array().expect("shards") {
            let number = |i: usize| u16::try_from(shard[i].as_u64().expect("a number")).expect("short");
            let (bits, index) = (number(0) as u8, number(1));
            assert!(Shard { bits, index }.contains(&hash));
            assert!(!Shard { bits, index: index ^ 1 }.contains(&hash));
        }
    }
}

#[test]
fn todays_code_reads_every_message() {
    read::pings(&vectors("ping.json"));
    read::answers(&vectors("here.json"));
    read::statements(&vectors("grant.json"), &vectors("credential.json"), &vectors("enrolment.json"));
    read::configs(&vectors("config.json"));
    read::results(&vectors("result.json"), &vectors("config.json"));
    read::kick_starts(&vectors("kick-start.json"), &vectors("config.json"));
    read::vouchers(&vectors("voucher.json"));
    read::handovers(&vectors("handover.json"));
    read::instructions(&vectors("instruction.json"));
    read::drift(&vectors("drift.json"));
    read::ipv6(&vectors("ipv6.json"));
    read::applications(&vectors("application.json"));
    read::lists(&vectors("lists.json"));
}

#[test]
fn todays_code_refuses_what_must_be_refused_for_the_reason_that_is_named() {
    let vectors = vectors("refused.json");
    for vector in &vectors {
        let name = text(vector, "name");
        let refused = match text(vector, "stage") {
            "datagram" => read::refused_datagram(vector),
            "message" => read::refused_message(vector),
            "signature" => read::refused_signature(vector),
            "appliance" => read::refused_by_appliance(vector),
            other => panic!("{other}?"),
        };
        assert_eq!(refused.as_deref(), Some(text(vector, "reason")), "{name}");
    }
}
