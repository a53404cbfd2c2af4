//! The bodies behind the signatures: the input is the payload, the signature around it is made here.

use super::datagram::LIMIT;
use crate::keys::{KEYS, uid};
use crate::reached;
use minicbor::Encode;
use minicbor::bytes::ByteVec;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose, Unverified};
use muster_protocol::grant::{ConsoleProof, Credential, EnrolmentProof, Grant};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::instruction::Instruction;
use muster_protocol::voucher::{self, Voucher};
use muster_protocol::wire::here::HerePacket;
use muster_protocol::wire::ping::{Ping, PingPacket};
use muster_protocol::wire::result::{Status, Tag};
use muster_protocol::wire::{self, Message, from_cbor, to_cbor};

/// What the first byte chooses. Seeds are named after these.
pub const LAYERS: [&str; 14] = [
    "cose",
    "ping",
    "credential",
    "here",
    "result",
    "failed-untagged",
    "kick",
    "enrolment",
    "console",
    "grant",
    "instruction",
    "voucher",
    "handover",
    "offer",
];

/// The first byte chooses the message.
pub fn run(data: &[u8]) {
    let Some((layer, payload)) = data.split_first() else { return };
    let accepted = match usize::from(*layer) % LAYERS.len() {
        0 => cose(payload),
        1 => ping(payload),
        2 => credential(payload),
        3 => here(payload),
        4 => result(payload, true),
        5 => result(payload, false),
        6 => kick(payload),
        7 => one_encoding::<EnrolmentProof>(&signed(&KEYS.device, Purpose::Enrolment, payload), payload),
        8 => one_encoding::<ConsoleProof>(&signed(&KEYS.console, Purpose::ConsoleEnrolment, payload), payload),
        9 => one_encoding::<Grant>(&signed(&KEYS.root, Purpose::Grant, payload), payload),
        10 => one_encoding::<Instruction>(&signed(&KEYS.root, Purpose::Instruction, payload), payload),
        11 => voucher(payload),
        12 => handover(payload),
        _ => offer(payload),
    };
    if accepted {
        reached::mark(LAYERS[usize::from(*layer) % LAYERS.len()]);
    }
}

/// COSE_Sign1 itself: what parses is in its one form, and no other bytes carry the same signature.
fn cose(bytes: &[u8]) -> bool {
    let Ok(unverified) = LIMIT.hold(bytes.len(), || Unverified::parse(bytes)) else { return false };
    let payload = unverified.untrusted_payload().to_vec();
    let Ok(verified) = unverified.verify(&KEYS.device.public(), Purpose::Here) else { return false };
    assert_eq!(verified, payload);
    true
}

fn ping(payload: &[u8]) -> bool {
    let Some(packet) = ping_packet(&signed(&KEYS.console, Purpose::Ping, payload)) else { return false };
    let Ok(ping) = LIMIT.hold(payload.len(), || packet.question()) else { return false };
    assert_eq!(to_cbor(&ping), payload, "what is accepted has one encoding");
    let Some(asker) = LIMIT.hold(payload.len(), || packet.asker(&KEYS.root.public())) else { return false };
    assert_eq!(asker.credential.key, KEYS.console.public(), "the asker is who signed");
    true
}

/// The input is the credential's body, in a ping that is otherwise good.
fn credential(payload: &[u8]) -> bool {
    let credential = signed(&KEYS.root, Purpose::Credential, payload);
    let ping = Ping { credential: Some(credential.into()), ..crate::messages::full_ping(1) };
    let Some(packet) = ping_packet(&sign::sign(&KEYS.console, Purpose::Ping, to_cbor(&ping))) else { return false };
    let Some(asker) = LIMIT.hold(payload.len(), || packet.asker(&KEYS.root.public())) else { return false };
    assert_eq!(to_cbor(&asker.credential), payload, "what is accepted has one encoding");
    assert_eq!(from_cbor::<Credential>(payload).map(|c| c.key), Ok(KEYS.console.public()));
    true
}

fn here(payload: &[u8]) -> bool {
    let packet = HerePacket { signed: signed(&KEYS.device, Purpose::Here, payload) };
    let Ok(here) = LIMIT.hold(payload.len(), || packet.verify()) else { return false };
    assert_eq!(here.uid(), uid(), "nobody but the device speaks for it");
    assert_eq!(to_cbor(&here), payload, "what is accepted has one encoding");
    let open = (KEYS.open)();
    if let Some(settings) = here.settings.as_ref().and_then(|sealed| sealed.open(&open, &uid())) {
        assert_eq!(settings.to_raw().validate(), Ok(settings));
        reached::mark("settings");
    }
    true
}

fn result(payload: &[u8], tagged: bool) -> bool {
    let signed = signed(&KEYS.device, Purpose::Result, payload);
    let tag = tagged.then(|| Tag(KEYS.exported.tag(&signed)));
    let Some(Message::Result(packet)) = datagram(4, &SignedAndTag { signed: signed.into(), tag }) else { return false };
    let verified = LIMIT.hold(payload.len(), || packet.verify(&KEYS.device.public(), &KEYS.exported));
    let Ok(result) = verified else { return false };
    assert_eq!(result.uid, uid());
    assert_eq!(to_cbor(&result), payload, "what is accepted has one encoding");
    assert!(tagged || matches!(result.status, Status::Failed { .. }), "without a tag only FAILED is believed");
    true
}

fn kick(payload: &[u8]) -> bool {
    let signed = signed(&KEYS.console, Purpose::KickStart, payload);
    let tag = KEYS.exported.tag(&signed);
    let packet = UidSignedAndTag { uid: uid().0, signed: signed.into(), tag };
    let Some(Message::KickStart(packet)) = datagram(5, &packet) else { return false };
    let verified = LIMIT.hold(payload.len(), || packet.verify(&KEYS.console.public(), &KEYS.exported));
    let Ok(kick) = verified else { return false };
    assert_eq!(kick.uid, uid());
    assert_eq!(to_cbor(&kick), payload, "what is accepted has one encoding");
    assert!(packet.verify(&KEYS.stranger.public(), &KEYS.exported).is_err(), "a stranger's key verifies nothing");
    true
}

/// The input is what the vendor signed.
fn handover(payload: &[u8]) -> bool {
    let signed = signed(&KEYS.root, Purpose::Handover, payload);
    let verified = LIMIT.hold(payload.len(), || Handover::verify(&KEYS.root.public(), &signed));
    let Ok(handover) = verified else { return false };
    assert_eq!(to_cbor(&handover), payload, "what is accepted has one encoding");
    assert!(Handover::verify(&KEYS.other_root.public(), &signed).is_err(), "another root's key verifies nothing");
    true
}

fn offer(payload: &[u8]) -> bool {
    let signed = signed(&KEYS.root, Purpose::HandoverOffer, payload);
    let Ok(offer) = LIMIT.hold(payload.len(), || Successor::of_offer(&signed)) else { return false };
    assert_eq!(offer.root, KEYS.root.public(), "nobody offers what another root holds");
    assert_eq!(to_cbor(&offer), payload, "what is accepted has one encoding");
    true
}

fn voucher(payload: &[u8]) -> bool {
    let signed = signed(&KEYS.vendor, Purpose::Voucher, payload);
    let Ok(voucher) = LIMIT.hold(payload.len(), || Voucher::read(&signed)) else { return false };
    assert_eq!(voucher.vendor, KEYS.vendor.public(), "nobody else's signature was made here");
    assert_eq!(to_cbor(&voucher), payload, "what is accepted has one encoding");
    let checked = voucher::check(Some(&signed), &KEYS.vendor.public(), &uid(), &KEYS.root.public(), None);
    assert_eq!(checked.is_ok(), voucher.uid == uid() && voucher.root == KEYS.root.public());
    true
}

fn one_encoding<T: for<'b> minicbor::Decode<'b, ()> + Encode<()>>(signed: &[u8], payload: &[u8]) -> bool {
    let unverified = Unverified::parse(signed).expect("made by sign()");
    assert_eq!(unverified.untrusted_payload(), payload);
    let Ok(body) = LIMIT.hold(payload.len(), || from_cbor::<T>(payload)) else { return false };
    assert_eq!(to_cbor(&body), payload, "what is accepted has one encoding");
    true
}

fn signed(key: &SecretKey, purpose: Purpose, payload: &[u8]) -> Vec<u8> {
    sign::sign(key, purpose, payload.to_vec())
}

fn ping_packet(signed: &[u8]) -> Option<PingPacket> {
    #[derive(Encode)]
    #[cbor(map)]
    struct Signed {
        #[n(1)]
        signed: ByteVec,
    }
    match datagram(1, &Signed { signed: signed.to_vec().into() }) {
        Some(Message::Ping(packet)) => Some(packet),
        _ => None,
    }
}

/// A datagram of this kind, as it is read. None if it is too long for one.
fn datagram<T: Encode<()>>(kind: u8, body: &T) -> Option<Message> {
    let mut bytes = vec![b'M', b'U', b'S', b'T', wire::VERSION, kind];
    bytes.extend(to_cbor(body));
    match wire::decode(&bytes) {
        Ok(message) => Some(message),
        Err(wire::DecodeError::TooLong(_)) => None,
        Err(error) => panic!("the packet around the payload is in order: {error}"),
    }
}

#[derive(Encode)]
#[cbor(map)]
struct SignedAndTag {
    #[n(0)]
    signed: ByteVec,
    #[n(1)]
    tag: Option<Tag>,
}

#[derive(Encode)]
#[cbor(map)]
struct UidSignedAndTag {
    #[cbor(n(0), with = "minicbor::bytes")]
    uid: [u8; 20],
    #[n(1)]
    signed: ByteVec,
    #[cbor(n(2), with = "minicbor::bytes")]
    tag: [u8; 16],
}
