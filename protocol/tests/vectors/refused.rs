//! What must be refused: datagrams that are malformed, messages that do not verify, and packets that an appliance must not
//! take although they are well-formed.

use super::messages::{
    self, first_grant, first_here, order, packets, plain_ping, second_grant, signed_grant, signed_ping,
};
use super::parties::{MAC, claim_key, console, device, one_time_key, root, stranger, uid};
use super::{Given, cose, hex, seed};
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::seal::{self, Seal};
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{Mac, RequestId, Seq, Uid};
use muster_protocol::wire::config::{self, Address};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::result::{ConfigResult, Reason, Status};
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

pub(crate) fn all() -> Vec<Value> {
    [datagrams(), pings(), signatures(), appliances()].concat()
}

/// `stage`: who refuses. `datagram`: whoever reads it; `message`: whoever reads what is inside.
fn vector(stage: &str, name: &str, reason: &str, datagram: &[u8]) -> Value {
    json!({ "stage": stage, "name": name, "reason": reason, "datagram": hex(datagram) })
}

fn datagrams() -> Vec<Value> {
    let ping = plain_ping().to_plain();
    let kick = kick(&console());
    let edit = |of: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = of.to_vec();
        change(&mut bytes);
        bytes
    };
    // Key 2 and a length in two bytes; then zeros to the end.
    let padding =
        (0..ping.len()).find(|&i| ping[i..].starts_with(&[0x02, 0x59]) && ping[i + 4..].iter().all(|b| *b == 0));
    let padding = padding.expect("the ping is padded");
    let padded = |length: usize| {
        let zeros = length - padding - 4;
        [&ping[..padding + 2], &u16::try_from(zeros).expect("short").to_be_bytes(), &vec![0; zeros]].concat()
    };
    assert_eq!(padded(ping.len()), ping);
    let at = |needle: &[u8], hay: &[u8]| hay.windows(needle.len()).position(|window| window == needle).expect("there");
    let uid_at = at(&uid().0, &kick);
    vec![
        vector("datagram", "one byte too long", "too_long", &padded(1_233)),
        vector("datagram", "empty", "magic", b""),
        vector("datagram", "five bytes", "magic", b"MUST\x01"),
        vector("datagram", "another protocol", "magic", &edit(&ping, &|b| b[0] = b'm')),
        vector("datagram", "version 0", "version", &edit(&ping, &|b| b[4] = 0)),
        vector("datagram", "version 2", "version", &edit(&ping, &|b| b[4] = 2)),
        vector("datagram", "kind 0", "kind", &edit(&ping, &|b| b[5] = 0)),
        vector("datagram", "kind 6", "kind", &edit(&ping, &|b| b[5] = 6)),
        vector("datagram", "no body", "body", b"MUST\x01\x01"),
        vector("datagram", "a trailing byte", "body", &edit(&kick, &|b| b.push(0))),
        vector("datagram", "cut by one byte", "body", &edit(&kick, &|b| b.truncate(b.len() - 1))),
        vector("datagram", "an array for the map", "body", &edit(&kick, &|b| b[6] = 0x83)),
        vector(
            "datagram",
            "the map of indefinite length",
            "body",
            &edit(&kick, &|b| {
                b[6] = 0xbf;
                b.push(0xff);
            }),
        ),
        vector(
            "datagram",
            "the length of the map in two bytes",
            "body",
            &edit(&kick, &|b| {
                b.splice(6..7, [0xb8, 0x03]);
            }),
        ),
        vector(
            "datagram",
            "a key in two bytes",
            "body",
            &edit(&kick, &|b| {
                b.splice(7..8, [0x18, 0x00]);
            }),
        ),
        vector(
            "datagram",
            "the length of the uid in two bytes",
            "body",
            &edit(&kick, &|b| {
                b.splice(8..9, [0x58, 0x14]);
            }),
        ),
        vector(
            "datagram",
            "the uid one byte short",
            "body",
            &edit(&kick, &|b| {
                b[8] = 0x53;
                b.remove(uid_at);
            }),
        ),
        vector(
            "datagram",
            "a duplicate key",
            "body",
            &edit(&kick, &|b| {
                b[6] = 0xa4;
                let uid = b[7..uid_at + 20].to_vec();
                b.splice(7..7, uid);
            }),
        ),
        vector(
            "datagram",
            "keys out of order",
            "body",
            &edit(&kick, &|b| {
                let uid: Vec<u8> = b.drain(7..uid_at + 20).collect();
                b.extend(uid);
            }),
        ),
        vector(
            "datagram",
            "an unknown field",
            "body",
            &edit(&kick, &|b| {
                b[6] = 0xa4;
                b.extend([0x03, 0x00]);
            }),
        ),
        vector(
            "datagram",
            "a field that is missing",
            "body",
            &edit(&kick, &|b| {
                b[6] = 0xa2;
                b.truncate(b.len() - 18);
            }),
        ),
        vector("datagram", "text for the uid", "body", &edit(&kick, &|b| b[8] = 0x74)),
        vector("datagram", "null for a field that may be missing", "body", b"MUST\x01\x01\xa2\x00\x41\x00\x01\xf6"),
        vector(
            "datagram",
            "an array that says it has 2^64 - 1 items",
            "body",
            b"MUST\x01\x03\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        vector(
            "datagram",
            "a byte string that says it has 2^64 - 1 bytes",
            "body",
            b"MUST\x01\x05\xa1\x00\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
    ]
}

/// What is wrong inside what a good datagram carries.
fn pings() -> Vec<Value> {
    let good = plain_ping();
    let body = to_cbor(&good);
    let wrapped = |fields: &[(u8, &[u8])]| {
        let mut bytes = b"MUST\x01\x01".to_vec();
        let mut e = minicbor::Encoder::new(&mut bytes);
        e.map(fields.len() as u64).expect("to memory");
        for (key, value) in fields {
            e.u8(*key).and_then(|e| e.bytes(value)).expect("to memory");
        }
        bytes
    };
    let mut spare = body.clone();
    spare.push(0);
    let mut unknown = body.clone();
    unknown[0] += 1;
    unknown.extend([0x08, 0x00]);
    let ping = |change: &dyn Fn(&mut muster_protocol::wire::ping::Ping)| {
        let mut ping = plain_ping();
        change(&mut ping);
        ping.to_plain()
    };
    let (signed, _) = cose(&console(), Purpose::Ping, "muster/1 ping", &to_cbor(&signed_ping()));
    let mut unprotected = signed.clone();
    unprotected.splice(5..6, [0xa1, 0x04, 0x41, 0x00]);
    let tagged = [&[0xd2][..], &signed].concat();
    vec![
        vector("message", "a ping that is neither plain nor signed", "ping", b"MUST\x01\x01\xa0"),
        vector("message", "a ping that is both", "ping", &wrapped(&[(0, &body), (1, &signed)])),
        vector("message", "a trailing byte in the ping", "ping", &wrapped(&[(0, &spare)])),
        vector("message", "an unknown field in the ping", "ping", &wrapped(&[(0, &unknown)])),
        vector("message", "a heard list that is no multiple of four", "ping", &ping(&|p| p.heard = vec![1; 6])),
        vector("message", "129 heard", "ping", &ping(&|p| p.heard = vec![1; 129 * 4])),
        vector("message", "a shard of 17 bits", "ping", &ping(&|p| p.shard.bits = 17)),
        vector("message", "an unprotected header", "cose", &wrapped(&[(1, &unprotected)])),
        vector("message", "a CBOR tag before the COSE_Sign1", "cose", &wrapped(&[(1, &tagged)])),
        vector(
            "message",
            "a COSE_Sign1 without a payload",
            "cose",
            &wrapped(&[(1, &[0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0, 0xf6, 0x40])]),
        ),
        vector("message", "a host name in capitals inside a grant", "grant", &grant_with(b"mail-01", b"MAIL-01")),
        vector(
            "message",
            "a prefix of 31 bits inside a grant",
            "grant",
            &grant_with(&[0x07, 0x18, 0x18], &[0x07, 0x18, 0x1f]),
        ),
        vector(
            "message",
            "a gateway outside the network",
            "grant",
            &grant_with(&[0x08, 0x1a, 0xc0, 0x00, 0x02, 0x01], &[0x08, 0x1a, 0xc0, 0x00, 0x03, 0x01]),
        ),
        vector("message", "a window of 29 s", "grant", &grant_with(&[0x0c, 0x18, 0x5a], &[0x0c, 0x18, 0x1d])),
        vector("message", "a beat interval of 4 s", "grant", &grant_with(&[0x0d, 0x18, 0x3c], &[0x0d, 0x04])),
    ]
}

/// A config packet whose grant is signed by the root, but says something that no grant may say.
fn grant_with(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut payload = to_cbor(&first_grant());
    let at = payload.windows(from.len()).position(|window| window == from).expect("there");
    payload.splice(at..at + from.len(), to.iter().copied());
    let grant = sign::sign(&root(), Purpose::Grant, payload);
    packet(&Forged { grant, ..Forged::good() })
}

fn signatures() -> Vec<Value> {
    let here = first_here();
    let by_stranger = here.to_datagram(&stranger());
    let mut changed = here.to_datagram(&device());
    let at = changed.windows(6).position(|window| window == MAC.0).expect("there");
    changed[at + 5] ^= 1;
    let as_result = [&b"MUST\x01\x02"[..], &sign::sign(&device(), Purpose::Result, to_cbor(&here))].concat();
    let [first, ..] = packets();
    let (datagram, exported) = first.build();
    let result = ConfigResult {
        uid: uid(),
        request: first.request,
        packet: config::PacketHash::of(&datagram),
        seq: Seq(7),
        boot: messages::first_here().boot,
        status: Status::Success { committed: true },
    };
    let mut tampered = result.to_datagram(&device(), Some(&exported));
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    vec![
        vector("signature", "an answer signed by another key than it names", "here", &by_stranger),
        vector("signature", "an answer with another MAC than was signed", "here", &changed),
        vector("signature", "an answer with a signature for another purpose", "here", &as_result),
        vector("signature", "SUCCESS without a tag", "result", &result.to_datagram(&device(), None)),
        vector("signature", "SUCCESS with a tag of another key", "result", &tampered),
        vector(
            "signature",
            "SUCCESS by another appliance's key",
            "result",
            &result.to_datagram(&stranger(), Some(&exported)),
        ),
        vector("signature", "a kick-start by another console", "kick-start", &kick(&stranger())),
    ]
}

fn kick(by: &SecretKey) -> Vec<u8> {
    let [first, ..] = packets();
    let (_, exported) = first.build();
    KickStart { uid: uid(), request: first.request, seq: Seq(7) }.to_datagram(by, &exported)
}

/// What a config packet is made of, to be spoiled.
struct Forged {
    to: Address,
    grant: Vec<u8>,
    console: SecretKey,
    claim: Option<ClaimKey>,
    order: Option<Vec<u8>>,
}

impl Forged {
    fn good() -> Forged {
        let request = RequestId(*b"a forged request");
        let to = Address { uid: uid(), mac: MAC, one_time_key: one_time_key(0).public(), request };
        Forged { to, grant: signed_grant(&first_grant()), console: console(), claim: Some(claim_key()), order: None }
    }

    /// As it would be sent to the appliance once it is configured.
    fn second() -> Forged {
        let to = Address { one_time_key: one_time_key(1).public(), ..Forged::good().to };
        Forged { to, grant: signed_grant(&second_grant()), claim: None, ..Forged::good() }
    }
}

fn packet(of: &Forged) -> Vec<u8> {
    let order = of.order.clone().unwrap_or_else(|| order(&of.grant, &of.to.one_time_key, &of.to.request));
    let signed = sign::sign(&of.console, Purpose::Config, order);
    let mut rng = Given::new([seed("ephemeral key of the forged")]);
    let aad = to_cbor(&of.to);
    let (sealed, _) =
        seal::seal(&mut rng, Seal::Config, &of.to.one_time_key, of.claim.as_ref(), &aad, &signed).expect("a good key");
    let mut bytes = b"MUST\x01\x03\xa3\x00".to_vec();
    bytes.extend(&aad);
    let mut e = minicbor::Encoder::new(&mut bytes);
    let e = e.u8(1).and_then(|e| e.bytes(&sealed.enc)).and_then(|e| e.u8(2)).expect("to memory");
    e.bytes(&sealed.ciphertext).expect("to memory");
    bytes
}

/// `configured`: the appliance has accepted the first config packet of config.json and was kick-started.
fn appliances() -> Vec<Value> {
    let by = |key: &SecretKey, grant: Grant| {
        let signed = sign::sign(key, Purpose::Grant, to_cbor(&grant));
        (key.public(), signed)
    };
    let other_request = RequestId([9; 16]);
    let good = Forged::good;
    let second = Forged::second;
    let strange_root = Grant { root: stranger().public(), ..second_grant() };
    let cases = [
        (false, "sealed without the claim key", Reason::NotOpened, Forged { claim: None, ..good() }),
        (
            false,
            "sealed with a wrong claim key",
            Reason::NotOpened,
            Forged { claim: Some(ClaimKey(seed("wrong"))), ..good() },
        ),
        (
            false,
            "a one-time key that the appliance never had",
            Reason::KeyUnknown,
            Forged { to: Address { one_time_key: one_time_key(2).public(), ..good().to }, ..good() },
        ),
        (
            false,
            "addressed to another MAC",
            Reason::WrongAppliance,
            Forged { to: Address { mac: Mac([2, 0, 0, 0, 0, 1]), ..good().to }, ..good() },
        ),
        (
            false,
            "a grant for another appliance",
            Reason::WrongAppliance,
            Forged { grant: signed_grant(&Grant { uid: Uid([5; 20]), ..first_grant() }), ..good() },
        ),
        (
            false,
            "a grant for another MAC",
            Reason::WrongAppliance,
            Forged { grant: signed_grant(&Grant { mac: Mac([2, 0, 0, 0, 0, 1]), ..first_grant() }), ..good() },
        ),
        (
            false,
            "signed by another console than the grant allows",
            Reason::WrongConsole,
            Forged { console: stranger(), ..good() },
        ),
        (
            false,
            "a grant that another key signed than it names",
            Reason::WrongRoot,
            Forged { grant: by(&stranger(), first_grant()).1, ..good() },
        ),
        (
            false,
            "signed for another one-time key",
            Reason::NotOpened,
            Forged {
                order: Some(order(&signed_grant(&first_grant()), &one_time_key(1).public(), &good().to.request)),
                ..good()
            },
        ),
        (
            false,
            "signed for another request",
            Reason::NotOpened,
            Forged {
                order: Some(order(&signed_grant(&first_grant()), &one_time_key(0).public(), &other_request)),
                ..good()
            },
        ),
        (
            true,
            "the same sequence number again",
            Reason::OldSequence,
            Forged { grant: signed_grant(&Grant { seq: Seq(7), ..second_grant() }), ..second() },
        ),
        (
            true,
            "a grant by another NOC",
            Reason::WrongRoot,
            Forged { grant: by(&stranger(), strange_root).1, ..second() },
        ),
        (true, "sealed with the claim key", Reason::NotOpened, Forged { claim: Some(claim_key()), ..second() }),
        (
            true,
            "the first request with other bytes",
            Reason::RequestReused,
            Forged { to: Address { request: packets()[0].request, ..second().to }, ..second() },
        ),
    ];
    cases
        .into_iter()
        .map(|(configured, name, reason, forged)| {
            let mut vector = vector("appliance", name, reason.code(), &packet(&forged));
            vector["configured"] = json!(configured);
            vector["reason_number"] = json!(reason as u8);
            vector
        })
        .collect()
}
