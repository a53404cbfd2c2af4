//! Whatever arrives, parsers answer: no panic, and nothing is accepted in two encodings.

use muster_protocol::wire::{self, Message};
use proptest::prelude::*;

fn look_at(bytes: &[u8]) {
    let Ok(message) = wire::decode(bytes) else { return };
    assert_eq!(wire::encode(&message), bytes, "accepted bytes are the only encoding");
    match message {
        Message::Ping(packet) => {
            let _ = packet.question();
        }
        Message::Here(packet) => {
            let _ = packet.claimed_ping();
            let _ = packet.verify();
        }
        Message::Result(packet) => {
            let _ = packet.claimed_uid();
        }
        Message::Config(_) | Message::KickStart(_) => {}
    }
}

/// A well-formed ping, to be spoiled.
fn ping() -> Vec<u8> {
    let ping = muster_protocol::wire::ping::Ping {
        id: muster_protocol::id::PingId([1; 16]),
        window_ms: 100,
        salt: [2; 8],
        shard: muster_protocol::wire::ping::Shard { bits: 2, index: 3 },
        heard: vec![7; 40],
        only: None,
        reply_key: None,
        credential: None,
    };
    ping.to_plain()
}

proptest! {
    #[test]
    fn noise(bytes in proptest::collection::vec(any::<u8>(), 0..1400)) {
        look_at(&bytes);
    }

    #[test]
    fn noise_behind_a_good_header(kind in 0_u8..8, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"MUST\x01".to_vec();
        bytes.push(kind);
        bytes.extend(body);
        look_at(&bytes);
    }

    #[test]
    fn a_spoiled_ping(at in 0_usize..640, to in any::<u8>(), cut in 0_usize..640) {
        let mut bytes = ping();
        bytes[at] = to;
        look_at(&bytes);
        bytes.truncate(cut);
        look_at(&bytes);
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack(depth in 1_usize..1200, opener in prop::sample::select(vec![0x81_u8, 0xa1, 0xd8, 0x9f])) {
        let mut bytes = b"MUST\x01\x02".to_vec();
        bytes.extend(std::iter::repeat_n(opener, depth));
        look_at(&bytes);
    }
}
