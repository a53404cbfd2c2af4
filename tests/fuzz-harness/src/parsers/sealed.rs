//! What is sealed: the config packet with its order and grant, and the settings in an answer.

use super::datagram::LIMIT;
use crate::keys::{KEYS, MAC, uid};
use crate::reached;
use crate::rng::Seeded;
use minicbor::Encode;
use minicbor::bytes::ByteVec;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::OpenKey;
use muster_protocol::crypto::seal::{self, Seal};
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::id::RequestId;
use muster_protocol::parameters::{BEAT_INTERVAL_S, WINDOW_S};
use muster_protocol::wire::config::{Address, ConfigPacket, OpenError, Opened};
use muster_protocol::wire::here::SealedSettings;
use muster_protocol::wire::{self, Message, from_cbor, to_cbor};

/// What the first byte chooses. Seeds are named after these.
pub const LAYERS: [&str; 4] = ["grant", "order", "plaintext", "settings"];

/// The first byte chooses the layer, the second whether the appliance has pinned the root.
pub fn run(data: &[u8]) {
    let [layer, pinned, payload @ ..] = data else { return };
    let pinned = pinned & 1 == 1;
    let layer = usize::from(*layer) % LAYERS.len();
    let accepted = match layer {
        // By the root, which is what a NOC with a bug or a stolen key could send.
        0 => {
            let grant = sign::sign(&KEYS.root, Purpose::Grant, payload.to_vec());
            let opened = open(&order(&order_body(grant, None)), pinned);
            if let Some(opened) = &opened {
                assert_eq!(to_cbor(&opened.grant), payload, "what is accepted has one encoding");
            }
            opened.is_some()
        }
        // By a console, which is not the root.
        1 => open(&order(payload), pinned).is_some(),
        // By whoever knows the one-time key and the claim code.
        2 => open(payload, pinned).is_some(),
        _ => settings(payload),
    };
    if accepted {
        reached::mark(LAYERS[layer]);
        reached::mark(if pinned { "pinned" } else { "claim" });
    }
}

/// The order of a console around a signed grant, before its signature.
pub fn order_body(grant: Vec<u8>, voucher: Option<Vec<u8>>) -> Vec<u8> {
    #[derive(Encode)]
    #[cbor(map)]
    struct Order {
        #[n(0)]
        grant: ByteVec,
        #[cbor(n(1), with = "minicbor::bytes")]
        one_time_key: [u8; 32],
        #[cbor(n(2), with = "minicbor::bytes")]
        request: [u8; 16],
        #[n(3)]
        voucher: Option<ByteVec>,
    }
    let (one_time_key, voucher) = ((KEYS.open)().public().0, voucher.map(ByteVec::from));
    to_cbor(&Order { grant: grant.into(), one_time_key, request: REQUEST.0, voucher })
}

/// An order signed by the console.
pub fn order(body: &[u8]) -> Vec<u8> {
    sign::sign(&KEYS.console, Purpose::Config, body.to_vec())
}

const REQUEST: RequestId = RequestId([6; 16]);

fn open(plaintext: &[u8], pinned: bool) -> Option<Opened> {
    let one_time_key = (KEYS.open)();
    let claim = (!pinned).then_some(&KEYS.claim_key);
    let packet = packet(plaintext, &one_time_key, claim)?;
    let root = KEYS.root.public();
    let opened = LIMIT.hold(plaintext.len(), || packet.open(&one_time_key, claim, pinned.then_some(&root)));
    let opened = match opened {
        Ok(opened) => opened,
        Err(OpenError::Sealed(_)) => panic!("it was sealed to this very key"),
        Err(OpenError::Grant | OpenError::Console | OpenError::Attempt) => return None,
    };
    let grant = &opened.grant;
    assert_eq!(grant.root, root, "nobody else's signature was made here");
    assert_eq!(grant.console, KEYS.console.public());
    assert!(grant.noc.len() <= muster_protocol::grant::MAX_NOC);
    assert!(WINDOW_S.contains(&grant.parameters.window_s));
    assert!(BEAT_INTERVAL_S.contains(&grant.parameters.beat_interval_s));
    let network = &grant.parameters.network;
    assert_eq!(network.to_raw().validate().as_ref(), Ok(network));
    Some(opened)
}

/// The config datagram around a plaintext, as it is read. None if it is too long for one.
fn packet(plaintext: &[u8], key: &OpenKey, claim: Option<&ClaimKey>) -> Option<ConfigPacket> {
    #[derive(Encode)]
    #[cbor(map)]
    struct Packet {
        #[n(0)]
        to: Address,
        #[cbor(n(1), with = "minicbor::bytes")]
        enc: [u8; 32],
        #[n(2)]
        ciphertext: ByteVec,
    }
    let to = Address { uid: uid(), mac: MAC, one_time_key: key.public(), request: REQUEST };
    let mut rng = Seeded::new(5);
    let (sealed, _) = seal::seal(&mut rng, Seal::Config, &to.one_time_key, claim, &to_cbor(&to), plaintext)
        .expect("a key that was generated");
    let packet = Packet { to, enc: sealed.enc, ciphertext: sealed.ciphertext.into() };
    let mut bytes = vec![b'M', b'U', b'S', b'T', wire::VERSION, 3];
    bytes.extend(to_cbor(&packet));
    match wire::decode(&bytes) {
        Ok(Message::Config(packet)) => Some(packet),
        Err(wire::DecodeError::TooLong(_)) => None,
        other => panic!("the packet around the payload is in order: {other:?}"),
    }
}

fn settings(body: &[u8]) -> bool {
    #[derive(Encode)]
    #[cbor(array)]
    struct Body {
        #[cbor(n(0), with = "minicbor::bytes")]
        enc: [u8; 32],
        #[n(1)]
        ciphertext: ByteVec,
    }
    let reply_key = (KEYS.open)();
    let mut rng = Seeded::new(6);
    let (sealed, _) = seal::seal(&mut rng, Seal::Settings, &reply_key.public(), None, &uid().0, body)
        .expect("a key that was generated");
    let bytes = to_cbor(&Body { enc: sealed.enc, ciphertext: sealed.ciphertext.into() });
    let sealed: SealedSettings = from_cbor(&bytes).expect("in order");
    let Some(settings) = LIMIT.hold(body.len(), || sealed.open(&reply_key, &uid())) else { return false };
    assert_eq!(settings.to_raw().validate(), Ok(settings));
    true
}
