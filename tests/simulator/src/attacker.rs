//! A stranger on the network: records everything, sends what it likes from whatever address it likes.

use crate::appliance;
use crate::console;
use crate::lan;
use crate::ledger::Invariant;
use crate::plan::Fault;
use crate::queue::Node;
use crate::random::Stream;
use crate::world::Io;
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::{OpenKey, PublicKey, SealKey, SecretKey};
use muster_protocol::crypto::seal::{self, Seal};
use muster_protocol::crypto::sign::{Purpose, Unverified, sign};
use muster_protocol::grant::{Credential, Grant};
use muster_protocol::id::{BootId, ConsoleId, PingId, RequestId, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::config::{self, Address, PacketHash};
use muster_protocol::wire::here::{Here, Proof, State};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::result::{ConfigResult, Status};
use muster_protocol::wire::{self, Message, Peer, from_cbor, to_cbor};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

/// Kept of each kind of datagram.
const MOST_KEPT: usize = 24;
/// Used at once, of a thousand.
const AT_ONCE: u32 = 50;

/// What was on the network.
pub(crate) struct Overheard {
    is_on: bool,
    /// By kind; what has none is in the first.
    kept: [Vec<Recorded>; 6],
    /// Grants that left the NOC: console, appliance, and the signed bytes.
    stolen: Vec<(usize, usize, Vec<u8>)>,
    /// The request of the last config packet to each appliance.
    requests: BTreeMap<Uid, RequestId>,
    /// Grants that the NOC gave with beats, and for whom.
    given: Vec<(usize, Rc<[u8]>)>,
    /// Something that has to be used at once.
    pub(crate) hot: Option<Hot>,
}

/// What does not wait for the stranger's next turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hot {
    /// A grant that the console has not delivered yet.
    Grant,
    /// An appliance that may be waiting for its kick-start, by number.
    Result(usize),
}

#[derive(Clone)]
struct Recorded {
    from: Peer,
    to: Option<SocketAddr>,
    bytes: Rc<[u8]>,
}

impl Overheard {
    pub(crate) fn new(is_on: bool) -> Overheard {
        Overheard {
            is_on,
            kept: Default::default(),
            stolen: Vec::new(),
            requests: BTreeMap::new(),
            given: Vec::new(),
            hot: None,
        }
    }

    /// A grant leaves with the answer to a beat.
    pub(crate) fn given(&mut self, appliance: usize, signed: &[u8]) {
        if self.is_on {
            self.given.push((appliance, signed.into()));
        }
    }

    fn any(&self, dice: &mut Stream, kind: usize) -> Option<Recorded> {
        let kept = &self.kept[kind];
        if kept.is_empty() { None } else { Some(kept[dice.index(kept.len())].clone()) }
    }
}

/// Takes down a datagram.
pub(crate) fn overhear(io: &mut Io, sender: Node, from: Peer, to: Option<SocketAddr>, bytes: &Rc<[u8]>) {
    if !io.overheard.is_on || sender == Node::Attacker {
        return;
    }
    let kind = bytes.get(5).map_or(0, |kind| usize::from(*kind)).min(5);
    match (kind, sender) {
        (3, _) => {
            if let Ok(Message::Config(packet)) = wire::decode(bytes) {
                io.overheard.requests.insert(packet.to.uid, packet.to.request);
            }
        }
        (4, Node::Appliance(number)) if io.dice.chance(AT_ONCE) => io.overheard.hot = Some(Hot::Result(number)),
        _ => {}
    }
    keep(&mut io.dice, &mut io.overheard.kept[kind], Recorded { from, to, bytes: Rc::clone(bytes) });
}

/// A grant leaks from a console.
pub(crate) fn steal(io: &mut Io, console: usize, appliance: usize, grant: &[u8]) {
    if io.overheard.is_on {
        keep(&mut io.dice, &mut io.overheard.stolen, (console, appliance, grant.to_vec()));
        if io.dice.chance(AT_ONCE) {
            io.overheard.hot = Some(Hot::Grant);
        }
    }
}

/// Old and new stay mixed.
fn keep<T>(dice: &mut Stream, kept: &mut Vec<T>, new: T) {
    if kept.len() < MOST_KEPT {
        kept.push(new);
    } else {
        kept[dice.index(MOST_KEPT)] = new;
    }
}

/// What the stranger has of its own.
pub(crate) struct Attacker {
    root: SecretKey,
    console: SecretKey,
    device: SecretKey,
    claim: ClaimKey,
    pings: BTreeSet<PingId>,
    dice: Stream,
    /// For answers to beats; without them a world is the one it would be.
    answers: Stream,
    vendor: PublicKey,
}

impl Attacker {
    pub(crate) fn new(entropy: &mut Stream, vendor: PublicKey) -> Attacker {
        Attacker {
            answers: Stream::new(!entropy.clone().draw()),
            vendor,
            root: SecretKey::generate(entropy),
            console: SecretKey::generate(entropy),
            device: SecretKey::generate(entropy),
            claim: ClaimSecret::generate(entropy).key(),
            pings: BTreeSet::new(),
            dice: entropy.fork(),
        }
    }

    /// Something was sent to it.
    pub(crate) fn datagram(&mut self, io: &mut Io, bytes: &[u8]) {
        if let Ok(Message::Here(packet)) = wire::decode(bytes)
            && packet.claimed_ping().is_some_and(|ping| self.pings.contains(&ping))
            && let Ok(here) = packet.verify()
            && here.settings.is_some()
        {
            io.fail(Invariant::SettingsTold, format!("by {}", here.mac));
        }
    }

    fn address(&mut self) -> Peer {
        lan::peer(Ipv4Addr::new(10, 77, 66, self.dice.below(8) as u8).into())
    }
}

/// The stranger does something.
pub(crate) fn attack(
    io: &mut Io,
    attacker: &mut Attacker,
    appliances: &[appliance::Host],
    consoles: &[console::Host],
    noc_root: Option<SecretKey>,
) {
    let victim = &appliances[io.dice.index(appliances.len())];
    let kind = io.dice.between(1, 5) as usize;
    let fault = match io.dice.below(14) {
        0..4 => replay(io, attacker, kind),
        4 => reflect(io, kind),
        5 | 6 => mutate(io, kind),
        7 => readdress(io, attacker, victim),
        8 => ping(io, attacker, victim),
        9 => here(io, attacker, victim),
        10 => forge(io, attacker, victim, noc_root),
        11 => deliver_stolen(io, attacker, appliances, consoles, false),
        12 if io.dice.chance(500) => kick(io, attacker, victim),
        12 => result(io, attacker, victim),
        _ => junk(io, attacker, kind),
    };
    if let Some(fault) = fault {
        io.counts.fault(fault);
        log!(io, "the stranger: {fault:?}");
    }
}

/// The stranger does what cannot wait.
pub(crate) fn attack_at_once(
    io: &mut Io,
    attacker: &mut Attacker,
    appliances: &[appliance::Host],
    consoles: &[console::Host],
) {
    let fault = match io.overheard.hot.take() {
        Some(Hot::Grant) => deliver_stolen(io, attacker, appliances, consoles, true),
        Some(Hot::Result(number)) => kick(io, attacker, &appliances[number]),
        None => None,
    };
    if let Some(fault) = fault {
        io.counts.fault(fault);
        log!(io, "the stranger, at once: {fault:?}");
    }
}

fn send(io: &mut Io, from: Peer, to: Option<SocketAddr>, bytes: &Rc<[u8]>) {
    match to {
        Some(to) => lan::send(io, Node::Attacker, from, to, bytes),
        None => lan::send_everywhere(io, Node::Attacker, from, bytes),
    }
}

fn replay(io: &mut Io, attacker: &mut Attacker, kind: usize) -> Option<Fault> {
    let recorded = io.overheard.any(&mut attacker.dice, kind)?;
    // As it was, or from an address of its own, or to everybody.
    let from = if attacker.dice.chance(600) { recorded.from } else { attacker.address() };
    let to = recorded.to.filter(|_| attacker.dice.chance(700));
    send(io, from, to, &recorded.bytes);
    Some(Fault::Replay)
}

fn reflect(io: &mut Io, kind: usize) -> Option<Fault> {
    let Io { overheard, dice, .. } = io;
    let recorded = overheard.any(dice, kind)?;
    let from = recorded.to.map_or(recorded.from, |address| Peer { address, ..recorded.from });
    send(io, from, Some(recorded.from.address), &recorded.bytes);
    Some(Fault::Reflect)
}

fn mutate(io: &mut Io, kind: usize) -> Option<Fault> {
    let Io { overheard, dice, .. } = io;
    let recorded = overheard.any(dice, kind)?;
    let mut bytes = recorded.bytes.to_vec();
    match dice.below(4) {
        0 => bytes.truncate(dice.index(bytes.len())),
        1 => bytes.extend(dice.bytes::<8>()),
        _ => {
            for _ in 0..dice.between(1, 3) {
                let at = dice.index(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
        }
    }
    send(io, recorded.from, recorded.to, &Rc::from(bytes));
    Some(Fault::Mutate)
}

fn readdress(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<Fault> {
    let recorded = io.overheard.any(&mut attacker.dice, 3)?;
    let Ok(Message::Config(mut packet)) = wire::decode(&recorded.bytes) else { return None };
    match attacker.dice.below(4) {
        0 => (packet.to.uid, packet.to.mac) = (victim.uid(), victim.mac()),
        1 => packet.to.request = RequestId(attacker.dice.bytes()),
        2 => packet.to.one_time_key = sniff(io, attacker)?.one_time_key,
        _ => packet.to.mac = victim.mac(),
    }
    let bytes = wire::encode(&Message::Config(packet));
    send(io, recorded.from, None, &Rc::from(bytes));
    Some(Fault::Readdress)
}

fn ping(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<Fault> {
    let id = PingId(attacker.dice.bytes());
    attacker.pings.insert(id);
    let key = OpenKey::generate(&mut attacker.dice);
    let credential = Credential {
        console: ConsoleId(1),
        key: attacker.console.public(),
        sites: vec![SiteId(7)],
        expires: UnixTime(u64::MAX),
    };
    let credential = sign(&attacker.root, Purpose::Credential, to_cbor(&credential));
    let ping = Ping {
        id,
        window_ms: attacker.dice.below(2_000) as u16,
        salt: attacker.dice.bytes(),
        shard: Shard::default(),
        heard: Vec::new(),
        only: attacker.dice.chance(500).then(|| victim.uid()),
        reply_key: Some(key.public()),
        credential: Some(credential.into()),
    };
    let bytes = match attacker.dice.below(3) {
        0 => ping.to_plain(),
        1 => ping.to_signed(&attacker.console),
        // Not padded, in the hope for an answer that is longer.
        _ => short(&to_cbor(&Ping { reply_key: None, credential: None, ..ping })),
    };
    let from = attacker.address();
    send(io, from, None, &Rc::from(bytes));
    Some(Fault::StrangePing)
}

/// `{0: body}` without padding, for bodies of 24 to 255 bytes (RFC 8949 §3).
fn short(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"MUST\x01\x01\xa1\x00\x58".to_vec();
    bytes.push(body.len() as u8);
    bytes.extend_from_slice(body);
    bytes
}

fn here(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<Fault> {
    let recorded = io.overheard.any(&mut attacker.dice, 1)?;
    let Ok(Message::Ping(packet)) = wire::decode(&recorded.bytes) else { return None };
    let key = OpenKey::generate(&mut attacker.dice);
    let here = Here {
        ping: packet.question().ok()?.id,
        device_key: if attacker.dice.chance(500) { attacker.device.public() } else { victim.device_key() },
        mac: victim.mac(),
        state: State::Unconfigured,
        one_time_key: key.public(),
        boot: BootId(attacker.dice.bytes()),
        proof: Proof::Open,
        settings: None,
    };
    let bytes = here.to_datagram(&attacker.device);
    let from = attacker.address();
    send(io, from, Some(recorded.from.address), &Rc::from(bytes));
    Some(Fault::StrangeHere)
}

/// A config packet for a victim, sealed to a one-time key that it published.
fn forge(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host, noc_root: Option<SecretKey>) -> Option<Fault> {
    // Trust on first use trusts the first, and that is no fault.
    if victim.proof() == Proof::Open {
        return None;
    }
    let one_time_key = key_of(io, attacker, victim)?;
    let raw = RawSettings {
        host_name: "stranger".to_owned(),
        domain: "example.org".to_owned(),
        address: "10.77.99.99".to_owned(),
        netmask: "16".to_owned(),
        ..RawSettings::default()
    };
    let root = noc_root.as_ref().unwrap_or(&attacker.root);
    let grant = Grant {
        uid: victim.uid(),
        mac: victim.mac(),
        site: SiteId(7),
        seq: Seq(1_000_000 + attacker.dice.below(1_000)),
        parameters: Parameters {
            network: raw.validate().ok()?,
            confirm: Confirm::KickStart,
            window_s: 30,
            beat_interval_s: 60,
            drift: None,
            application: None,
        },
        console: attacker.console.public(),
        root: root.public(),
        issued: UnixTime(0),
        expires: UnixTime(u64::MAX),
        noc: "noc.example.org:1".to_owned(),
        ca_pin: [6; 32],
    };
    let grant = sign(root, Purpose::Grant, to_cbor(&grant));
    let claim = match attacker.dice.below(3) {
        0 => None,
        1 if noc_root.is_some() => Some(victim.claim()),
        _ => Some(attacker.claim.clone()),
    };
    let console = attacker.console.clone();
    if victim.proof() == Proof::Voucher {
        return forge_vouched(io, attacker, victim, one_time_key, &grant, root.public());
    }
    deliver(io, attacker, victim, &console, claim.as_ref(), one_time_key, &grant)?;
    Some(Fault::ForgedConfig)
}

/// The same to one that wants a voucher: with one that the stranger signs in the vendor's name, or in its own, or with none.
fn forge_vouched(
    io: &mut Io,
    attacker: &mut Attacker,
    victim: &appliance::Host,
    one_time_key: SealKey,
    grant: &[u8],
    root: PublicKey,
) -> Option<Fault> {
    let (console, device) = (attacker.console.clone(), attacker.device.clone());
    let vendor = if attacker.answers.chance(500) { attacker.vendor } else { device.public() };
    let voucher = Voucher { uid: victim.uid(), root, vendor, issued: UnixTime(1), expires: None }.sign(&device);
    let request = RequestId(attacker.dice.bytes());
    let to = Address { uid: victim.uid(), mac: victim.mac(), one_time_key, request };
    let built = if attacker.answers.chance(700) {
        config::build_with_voucher(&mut attacker.dice, &console, &voucher, to, grant)
    } else {
        config::build(&mut attacker.dice, &console, None, to, grant)
    };
    let from = attacker.address();
    send(io, from, None, &Rc::from(built.ok()?.0));
    Some(Fault::ForgedConfig)
}

/// Somebody with the NOC's TLS key, but not its root, answers a beat: with what the NOC gave once, to this appliance or to another,
/// or with what it signed for a console.
pub(crate) fn answer_too(io: &mut Io, attacker: &mut Attacker, victim: &mut appliance::Host) {
    const OF_A_THOUSAND: u32 = 60;
    if !io.overheard.is_on || io.is_healed && !io.plan.attacks_on || !attacker.answers.chance(OF_A_THOUSAND) {
        return;
    }
    let dice = &mut attacker.answers;
    let (given, stolen) = (&io.overheard.given, &io.overheard.stolen);
    let grant: Rc<[u8]> = match dice.below(4) {
        0 if !stolen.is_empty() => stolen[dice.index(stolen.len())].2.as_slice().into(),
        1 if !given.is_empty() => given[dice.index(given.len())].1.clone(),
        _ => {
            let own: Vec<_> = given.iter().filter(|(appliance, _)| *appliance == victim.number()).collect();
            if own.is_empty() {
                return;
            }
            own[dice.index(own.len())].1.clone()
        }
    };
    io.counts.fault(Fault::StrangeAnswer);
    log!(io, "the stranger answers a beat of appliance {}", victim.number());
    victim.given(io, &grant);
}

/// A grant, whoever signed it.
pub(crate) fn read(signed: &[u8]) -> Option<Grant> {
    let unverified = Unverified::parse(signed).ok()?;
    from_cbor(unverified.untrusted_payload()).ok()
}

/// An insider: a real grant, brought by another console or to another appliance, by somebody who knows the labels.
fn deliver_stolen(
    io: &mut Io,
    attacker: &mut Attacker,
    appliances: &[appliance::Host],
    consoles: &[console::Host],
    at_once: bool,
) -> Option<Fault> {
    let newest = io.overheard.stolen.len().checked_sub(1)?;
    let at = if at_once { newest } else { attacker.dice.index(newest + 1) };
    let (console, appliance, grant) = io.overheard.stolen[at].clone();
    let other = attacker.dice.index(appliances.len());
    let victim = &appliances[if at_once && attacker.dice.chance(700) { appliance } else { other }];
    let key =
        if victim.uid() == appliances[appliance].uid() { attacker.console.clone() } else { consoles[console].secret() };
    let one_time_key = key_of(io, attacker, victim)?;
    let claim = Some(victim.claim()).filter(|_| attacker.dice.chance(500));
    deliver(io, attacker, victim, &key, claim.as_ref(), one_time_key, &grant)?;
    Some(Fault::StolenGrant)
}

fn deliver(
    io: &mut Io,
    attacker: &mut Attacker,
    victim: &appliance::Host,
    console: &SecretKey,
    claim: Option<&ClaimKey>,
    one_time_key: SealKey,
    grant: &[u8],
) -> Option<()> {
    let request = RequestId(attacker.dice.bytes());
    let to = Address { uid: victim.uid(), mac: victim.mac(), one_time_key, request };
    let (bytes, _) = config::build(&mut attacker.dice, console, claim, to, grant).ok()?;
    let from = attacker.address();
    send(io, from, None, &Rc::from(bytes));
    Some(())
}

fn kick(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<Fault> {
    let request = *io.overheard.requests.get(&victim.uid())?;
    // Numbers are small, and guessed well.
    let seq = io.ledger.last_granted(io.number_of(&victim.uid())?);
    let kick = KickStart { uid: victim.uid(), request, seq };
    let own = OpenKey::generate(&mut attacker.dice).public();
    let (_, exported) = seal::seal(&mut attacker.dice, Seal::Config, &own, None, b"", b"").ok()?;
    let bytes = kick.to_datagram(&attacker.console, &exported);
    let from = attacker.address();
    send(io, from, None, &Rc::from(bytes));
    Some(Fault::ForgedKick)
}

fn result(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<Fault> {
    let recorded = io.overheard.any(&mut attacker.dice, 3)?;
    let request = observed_request(io, attacker);
    let result = ConfigResult {
        uid: victim.uid(),
        request,
        packet: PacketHash::of(&recorded.bytes),
        seq: Seq(attacker.dice.below(10)),
        boot: BootId(attacker.dice.bytes()),
        status: Status::Success { committed: true },
    };
    let own = OpenKey::generate(&mut attacker.dice).public();
    let (_, exported) = seal::seal(&mut attacker.dice, Seal::Config, &own, None, b"", b"").ok()?;
    let bytes = result.to_datagram(&attacker.device, Some(&exported));
    let from = attacker.address();
    send(io, from, Some(recorded.from.address), &Rc::from(bytes));
    Some(Fault::ForgedResult)
}

fn junk(io: &mut Io, attacker: &mut Attacker, kind: usize) -> Option<Fault> {
    let len = attacker.dice.index(1_300);
    let mut bytes: Vec<u8> = (0..len).map(|_| attacker.dice.draw() as u8).collect();
    if attacker.dice.chance(700) {
        let head = [b'M', b'U', b'S', b'T', 1, kind as u8];
        for (byte, head) in bytes.iter_mut().zip(head) {
            *byte = head;
        }
    }
    let from = attacker.address();
    let console = lan::peer(lan::console_address(0)).address;
    let to = Some(console).filter(|_| attacker.dice.chance(300));
    send(io, from, to, &Rc::from(bytes));
    Some(Fault::Junk)
}

fn observed_request(io: &mut Io, attacker: &mut Attacker) -> RequestId {
    let recorded = io.overheard.any(&mut attacker.dice, 3);
    match recorded.map(|recorded| wire::decode(&recorded.bytes)) {
        Some(Ok(Message::Config(packet))) => packet.to.request,
        _ => RequestId(attacker.dice.bytes()),
    }
}

/// An answer that was overheard.
fn sniff(io: &mut Io, attacker: &mut Attacker) -> Option<Here> {
    let recorded = io.overheard.any(&mut attacker.dice, 2)?;
    match wire::decode(&recorded.bytes) {
        Ok(Message::Here(packet)) => {
            // Whether it is genuine is not the stranger's worry.
            let unverified = Unverified::parse(&packet.signed).ok()?;
            wire::from_cbor(unverified.untrusted_payload()).ok()
        }
        _ => None,
    }
}

/// A one-time key that the victim has published, if one was overheard lately.
fn key_of(io: &mut Io, attacker: &mut Attacker, victim: &appliance::Host) -> Option<SealKey> {
    (0..4).find_map(|_| sniff(io, attacker).filter(|here| here.uid() == victim.uid())).map(|here| here.one_time_key)
}
