//! Who takes part in the vectors: keys, identities, codes.

use super::{Given, hex, seed};
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::{OpenKey, PublicKey, SecretKey};
use muster_protocol::id::{BootId, Mac, Uid};
use serde_json::{Value, json};

pub(crate) fn root() -> SecretKey {
    SecretKey::from_seed(&seed("NOC root"))
}

pub(crate) fn console() -> SecretKey {
    SecretKey::from_seed(&seed("console"))
}

pub(crate) fn device() -> SecretKey {
    SecretKey::from_seed(&seed("device"))
}

/// A NOC root and console of somebody else.
pub(crate) fn stranger() -> SecretKey {
    SecretKey::from_seed(&seed("stranger"))
}

pub(crate) fn uid() -> Uid {
    Uid::of(&device().public())
}

pub(crate) const MAC: Mac = Mac([0x02, 0x4d, 0x55, 0x53, 0x54, 0x01]);
pub(crate) const BOOT: BootId = BootId(*b"the first boot..");

/// The one-time key of the first answer (0), and of the one after the first configuration (1).
pub(crate) fn one_time_secret(n: usize) -> [u8; 32] {
    seed(&format!("one-time key {n}"))
}

pub(crate) fn one_time_key(n: usize) -> OpenKey {
    open_key(one_time_secret(n))
}

pub(crate) fn reply_secret() -> [u8; 32] {
    seed("reply key")
}

pub(crate) fn open_key(secret: [u8; 32]) -> OpenKey {
    OpenKey::generate(&mut Given::new([secret]))
}

pub(crate) fn claim() -> ClaimSecret {
    ClaimSecret::generate(&mut Given::new([seed("claim secret")]))
}

pub(crate) fn claim_key() -> ClaimKey {
    claim().key()
}

/// `keys.json`.
pub(crate) fn keys() -> Value {
    let signer = |key: &SecretKey| json!({ "seed": hex(&key.seed()[..]), "public_key": hex(&key.public().0) });
    let opener = |secret: [u8; 32]| json!({ "secret": hex(&secret), "public_key": hex(&open_key(secret).public().0) });
    json!({
        "version": 1,
        "about": "the parties of all vectors: Ed25519 seeds (RFC 8032) and X25519 secrets, hexadecimal",
        "noc_root": signer(&root()),
        "console": signer(&console()),
        "device": signer(&device()),
        "stranger": signer(&stranger()),
        "uid": hex(&uid().0),
        "mac": hex(&MAC.0),
        "boot": hex(&BOOT.0),
        "claim_secret": hex(&seed("claim secret")[..10]),
        "label_code": claim().reveal(),
        "claim_key": hex(&claim_key().0),
        "one_time_keys": [opener(one_time_secret(0)), opener(one_time_secret(1))],
        "reply_key": opener(reply_secret()),
    })
}

/// `codes.json`.
pub(crate) fn codes() -> Vec<Value> {
    let mut vectors = Vec::new();
    for key in [device().public(), console().public(), PublicKey([0; 32]), PublicKey([0xff; 32])] {
        let uid = Uid::of(&key);
        let text = uid.to_string();
        let read = [text.clone(), text.to_lowercase(), text.replace('-', ""), text.replace('-', " ")];
        vectors.push(json!({
            "kind": "uid", "device_key": hex(&key.0), "uid": hex(&uid.0), "text": text, "also_read": read,
        }));
    }
    vectors.push(json!({
        "kind": "mac", "mac": hex(&MAC.0), "text": MAC.to_string(),
        "also_read": ["02:4d:55:53:54:01", "02-4D-55-53-54-01", "024d.5553.5401", "024D55535401"],
    }));
    for secret in [&seed("claim secret")[..10], &[0; 10], &[0xff; 10], b"\x00\x44\x32\x14\xc7\x42\x54\xb6\x35\xcf"] {
        let mut piece = [0; 32];
        piece[..10].copy_from_slice(secret);
        let claim = ClaimSecret::generate(&mut Given::new([piece]));
        let code = claim.reveal();
        // What a person may type for letters that look like digits.
        let typed = code.to_lowercase().replace('-', "").replace('o', "0").replace('i', "1").replace('b', "8");
        let last = if code.ends_with('A') { 'C' } else { 'A' };
        let mistyped = format!("{}{last}", &code[..code.len() - 1]);
        vectors.push(json!({
            "kind": "label_code", "claim_secret": hex(secret), "check": &code[20..], "text": code,
            "also_read": [code.to_lowercase(), code.replace('-', " "), typed],
            "refused": [mistyped, &code[..19], format!("{code}A")],
            "claim_key": hex(&claim.key().0),
        }));
    }
    vectors
}
