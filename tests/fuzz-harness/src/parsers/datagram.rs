//! Whatever arrives on UDP port 6878, before and without any key.

use crate::allocation::Limit;
use crate::keys::KEYS;
use muster_protocol::crypto::sign::Unverified;
use muster_protocol::explain::{Item, explain};
use muster_protocol::wire::{self, Message};

/// Reading one datagram: its fields are copied once, encoded again to compare, and COSE's generic CBOR values take some 64
/// bytes for the least of them, in vectors that double.
pub const LIMIT: Limit = Limit { each: 400, base: 4_096 };

/// An explanation names and quotes every field.
const EXPLAIN: Limit = Limit { each: 2_000, base: 16_384 };

/// The input as a datagram, and as a body behind a good header.
pub fn run(data: &[u8]) {
    look(data);
    if let Some((kind, body)) = data.split_first() {
        let mut framed = vec![b'M', b'U', b'S', b'T', wire::VERSION, 1 + kind % 5];
        framed.extend_from_slice(body);
        look(&framed);
    }
}

fn look(bytes: &[u8]) {
    LIMIT.hold(bytes.len(), || {
        // The generic part of every signed message.
        let _ = Unverified::parse(bytes);
    });
    let keys = [KEYS.device.public(), KEYS.console.public()];
    let explained = EXPLAIN.hold(bytes.len(), || explain(bytes, &keys));
    printable(&explained.items);
    let fault = explained.fault.map(|fault| fault.what);
    assert!(!fault.iter().any(|what| what.contains(char::is_control)), "{fault:?}");
    let decoded = LIMIT.hold(bytes.len(), || wire::decode(bytes));
    let Ok(message) = decoded else {
        return assert!(fault.is_some(), "explained, but not read");
    };
    let is_read = match &message {
        Message::Ping(packet) => Some(packet.question().is_ok()),
        Message::Here(packet) => Some(packet.claimed_ping().is_some()),
        Message::Result(packet) => Some(packet.claimed_uid().is_some()),
        // What is inside these is only read together with its signature or seal.
        Message::Config(_) | Message::KickStart(_) => None,
    };
    assert!(is_read.is_none_or(|is_read| is_read == fault.is_none()), "read: {is_read:?}, but explained: {fault:?}");
    assert!(bytes.len() <= wire::MAX_DATAGRAM);
    assert_eq!(wire::encode(&message), bytes, "what is accepted has one encoding");
    LIMIT.hold(bytes.len(), || match &message {
        Message::Ping(packet) => {
            let question = packet.question();
            if let Ok(ping) = &question {
                assert!(ping.heard.len() <= 4 * wire::ping::MAX_HEARD && ping.shard.bits <= 16);
            }
        }
        Message::Here(packet) => {
            if let Ok(here) = packet.verify() {
                assert_eq!(packet.claimed_ping(), Some(here.ping));
            }
        }
        Message::Result(packet) => drop(packet.claimed_uid()),
        Message::KickStart(packet) => {
            assert!(packet.verify(&KEYS.stranger.public(), &KEYS.exported).is_err(), "nobody has that key");
        }
        Message::Config(packet) => assert_eq!(wire::from_cbor(&wire::to_cbor(&packet.to)).as_ref(), Ok(&packet.to)),
    });
    if let Message::Ping(packet) = &message {
        let _ = LIMIT.hold(bytes.len(), || packet.asker(&KEYS.root.public()));
    }
}

fn printable(items: &[Item]) {
    for item in items {
        let texts = item.value.chars().chain(item.meaning.chars());
        assert!(!texts.into_iter().any(char::is_control), "{item:?} would reach a terminal");
        printable(&item.items);
    }
}
