//! Whatever arrives on UDP port 6878, before and without any key.

use crate::allocation::Limit;
use crate::keys::KEYS;
use muster_protocol::crypto::sign::Unverified;
use muster_protocol::wire::{self, Message};

/// Reading one datagram: its fields are copied once, encoded again to compare, and COSE's generic CBOR values take some 64
/// bytes for the least of them, in vectors that double.
pub const LIMIT: Limit = Limit { each: 400, base: 4_096 };

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
    let decoded = LIMIT.hold(bytes.len(), || wire::decode(bytes));
    let Ok(message) = decoded else { return };
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
