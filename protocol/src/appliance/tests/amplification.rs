//! What comes out of an appliance for what is put in.

use super::*;
use crate::wire::MAX_DATAGRAM;

/// A config packet that opens with nothing, as short as `length` bytes of ciphertext make it.
fn junk(bench: &mut Bench, length: usize) -> Vec<u8> {
    let key = bench.discover().one_time_key;
    let to = to_cbor(&bench.address(key));
    let mut packet = b"MUST\x01\x03\xa3\x00".to_vec();
    packet.extend(to);
    packet.extend(b"\x01\x58\x20");
    packet.extend([0; 32]);
    packet.extend(b"\x02\x59");
    packet.extend(u16::try_from(length).expect("short").to_be_bytes());
    packet.extend(vec![0; length]);
    packet
}

#[test]
fn a_refusal_is_never_longer_than_the_packet_it_answers() {
    for (length, is_answered) in [(256, false), (400, true), (MAX_DATAGRAM - 200, true)] {
        let mut bench = Bench::new();
        let packet = junk(&mut bench, length);
        assert!(matches!(wire::decode(&packet), Ok(Message::Config(_))), "it is a config packet");
        let sent = bench.deliver(&packet);
        assert_eq!(sent.len(), usize::from(is_answered), "{} bytes", packet.len());
        // The driver may send it twice.
        assert!(sent.iter().all(|answer| 2 * answer.len() <= packet.len()));
    }
}

#[test]
fn a_repeated_kick_start_is_answered_a_few_times_a_second_only() {
    let mut bench = Bench::new();
    let (_, kick) = bench.configure(1);
    let answers: usize = (0..1_000).map(|_| bench.deliver(&kick).len()).sum();
    assert!((1..=30).contains(&answers), "{answers}");
}

#[test]
fn an_answer_is_never_longer_than_its_ping() {
    let mut bench = Bench::new();
    let ping = Ping {
        id: PingId([1; 16]),
        window_ms: 0,
        salt: [0; 8],
        shard: Shard::default(),
        heard: Vec::new(),
        only: None,
        reply_key: None,
        credential: None,
    };
    // A ping without padding, as only a stranger would send it.
    let mut short = b"MUST\x01\x01".to_vec();
    short.extend(to_cbor(&Bare { plain: to_cbor(&ping).into() }));
    assert!(matches!(wire::decode(&short), Ok(Message::Ping(_))), "it is a valid ping");
    assert!(bench.deliver(&short).is_empty());

    #[derive(minicbor::Encode)]
    #[cbor(map)]
    struct Bare {
        #[n(0)]
        plain: minicbor::bytes::ByteVec,
    }
}
