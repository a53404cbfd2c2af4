//! A NOC's root key and a console's key in one hand: makes packets that are right, so that a test can spoil exactly one thing,
//! and can show that the same way carries a packet that is not spoiled.

use super::encodings::{bytes, map};
use super::station::{Station, Way};
use crate::lab::Lab;
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::{PublicKey, SealKey, SecretKey};
use muster_protocol::crypto::random;
use muster_protocol::crypto::seal::{self, ExportedKey, Seal};
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{Mac, PingId, RequestId, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::config::{Address, PacketHash};
use muster_protocol::wire::here::{Here, State};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::result::{ConfigResult, Reason, ResultPacket, Status};
use muster_protocol::wire::{self, Message, to_cbor};
use std::time::{Duration, Instant};

/// Who may configure an appliance, or pretends to.
#[derive(Clone)]
pub struct Owner {
    /// Signs grants.
    pub root: SecretKey,
    /// Signs config packets and kick-starts.
    pub console: SecretKey,
    /// The site of the grants.
    pub site: SiteId,
    /// What goes into the grants.
    pub noc: String,
    /// What goes into the grants.
    pub ca_pin: [u8; 32],
}

/// The appliance in question, as its label says.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its number in the lab.
    pub number: usize,
    /// Its identity.
    pub uid: Uid,
    /// Its MAC.
    pub mac: Mac,
    /// Of the label's code.
    pub claim: ClaimKey,
}

/// A config packet, and what is needed to understand its result and to kick-start.
#[derive(Clone)]
pub struct Sent {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// Authenticates the result.
    pub exported: ExportedKey,
    /// The attempt.
    pub request: RequestId,
    /// Of its grant.
    pub seq: Seq,
    /// Whose result it will be.
    pub device_key: PublicKey,
}

impl Subject {
    /// Appliance `number` of the lab, whose label was read.
    ///
    /// # Panics
    /// If it was not.
    pub fn of(lab: &Lab, number: usize) -> Subject {
        let label = &lab.appliances[number - 1].label;
        let text = |name: &str| label[name].as_str().expect("a label");
        let secret: ClaimSecret = text("claim").parse().expect("a claim code");
        let (uid, mac) = (text("uid").parse().expect("a UID"), text("mac").parse().expect("a MAC"));
        Subject { number, uid, mac, claim: secret.key() }
    }
}

impl Owner {
    /// New keys, of a NOC that is nowhere.
    pub fn new(site: u32) -> Owner {
        let key = || SecretKey::generate(&mut OsEntropy);
        let (root, console) = (key(), key());
        Owner { root, console, site: SiteId(site), noc: "10.99.0.9:8443".to_owned(), ca_pin: [7; 32] }
    }

    /// The keys of the lab's NOC and console: an owner who does by hand what they do.
    ///
    /// # Panics
    /// If the console has not joined.
    pub fn of(lab: &Lab) -> Owner {
        let identity = muster_console::identity::Identity::load(&lab.folder().join("console"));
        let identity = identity.expect("readable").expect("the console has joined");
        let seed = std::fs::read_to_string(lab.folder().join("noc/root.key")).expect("the NOC's root key");
        let seed = data_encoding::BASE64.decode(seed.trim().as_bytes()).expect("base64");
        let root = SecretKey::from_seed(&seed.try_into().expect("32 bytes"));
        Owner { root, console: identity.key(), noc: identity.noc, ..Owner::new(1) }
    }

    /// Settings that differ for each appliance and number; they become final by the kick-start alone.
    pub fn grant(&self, subject: &Subject, seq: u64) -> Grant {
        let raw = RawSettings {
            host_name: format!("host-{}-{seq}", subject.number),
            domain: "lab.example.net".to_owned(),
            address: format!("10.20.0.{}", 100 + 20 * subject.number as u64 + seq % 20),
            netmask: "24".to_owned(),
            ..RawSettings::default()
        };
        let network = raw.validate().expect("valid settings");
        Grant {
            uid: subject.uid,
            mac: subject.mac,
            site: self.site,
            seq: Seq(seq),
            parameters: Parameters {
                network,
                confirm: Confirm::KickStart,
                window_s: 30,
                beat_interval_s: 86_400,
                drift: None,
                application: None,
            },
            console: self.console.public(),
            root: self.root.public(),
            issued: UnixTime(0),
            expires: UnixTime(u64::MAX),
            noc: self.noc.clone(),
            ca_pin: self.ca_pin,
        }
    }

    /// The grant as the NOC sends it.
    pub fn signed(&self, grant: &Grant) -> Vec<u8> {
        sign::sign(&self.root, Purpose::Grant, to_cbor(grant))
    }

    /// The packet that brings `grant` to the appliance that answered `here`.
    pub fn packet(&self, subject: &Subject, here: &Here, grant: &Grant) -> Sent {
        let claim = (here.state == State::Unconfigured).then_some(&subject.claim);
        let to = address(subject, here.one_time_key);
        self.seal(claim, here.device_key, grant.seq, &to, &order(&self.signed(grant), &to))
    }

    /// The packet that brings `grant` and a voucher to an appliance that has no owner and wants one.
    pub fn vouched(&self, subject: &Subject, here: &Here, grant: &Grant, voucher: &[u8]) -> Sent {
        let to = address(subject, here.one_time_key);
        let (grant, seq) = (self.signed(grant), grant.seq);
        let order =
            map(&[(0, bytes(&grant)), (1, bytes(&to.one_time_key.0)), (2, bytes(&to.request.0)), (3, bytes(voucher))]);
        self.seal(None, here.device_key, seq, &to, &order)
    }

    /// A packet with any order inside, signed by the console and sealed for whoever holds `to.one_time_key`.
    ///
    /// # Panics
    /// If the key is no point of the curve.
    pub fn seal(&self, claim: Option<&ClaimKey>, device_key: PublicKey, seq: Seq, to: &Address, order: &[u8]) -> Sent {
        let signed = sign::sign(&self.console, Purpose::Config, order.to_vec());
        let aad = to_cbor(to);
        let sealed = seal::seal(&mut OsEntropy, Seal::Config, &to.one_time_key, claim, &aad, &signed);
        let (sealed, exported) = sealed.expect("a point of the curve");
        let body = map(&[(0, aad), (1, bytes(&sealed.enc)), (2, bytes(&sealed.ciphertext))]);
        Sent { bytes: [b"MUST\x01\x03", &body[..]].concat(), exported, request: to.request, seq, device_key }
    }

    /// The kick-start of a packet.
    pub fn kick(&self, sent: &Sent) -> Vec<u8> {
        KickStart { uid: Uid::of(&sent.device_key), request: sent.request, seq: sent.seq }
            .to_datagram(&self.console, &sent.exported)
    }

    /// Asks, configures and kick-starts by hand, and insists on SUCCESS: the control that the way is open. Waits, as a console
    /// does, while others have used up what the appliance opens at a time.
    ///
    /// # Panics
    /// If it does not succeed.
    pub fn configure(&self, station: &Station, subject: &Subject, seq: u64) -> Sent {
        let started = Instant::now();
        loop {
            let here = ask(station, subject, Way::Six).expect("an answer");
            let sent = self.packet(subject, &here, &self.grant(subject, seq));
            let status = deliver(station, &sent.bytes, &sent);
            if reason(status.clone()) == Some(Reason::TooManyAttempts) && started.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            assert_eq!(status, Some(Status::Success { committed: false }));
            assert_eq!(deliver(station, &self.kick(&sent), &sent), Some(Status::Success { committed: true }));
            return sent;
        }
    }
}

/// What a console signs: a grant for one attempt.
pub fn order(signed_grant: &[u8], to: &Address) -> Vec<u8> {
    map(&[(0, bytes(signed_grant)), (1, bytes(&to.one_time_key.0)), (2, bytes(&to.request.0))])
}

/// A new attempt.
pub fn address(subject: &Subject, one_time_key: SealKey) -> Address {
    let request = RequestId(random(&mut OsEntropy));
    Address { uid: subject.uid, mac: subject.mac, one_time_key, request }
}

/// A question by anybody; `only`: to one appliance, which answers at once.
pub fn question(only: Option<Uid>) -> Ping {
    Ping {
        id: PingId(random(&mut OsEntropy)),
        window_ms: 0,
        salt: [0; 8],
        shard: Shard::default(),
        heard: Vec::new(),
        only,
        reply_key: None,
        credential: None,
    }
}

/// Asks one appliance; its verified answer, unless there is none within five seconds.
pub fn ask(station: &Station, subject: &Subject, way: Way) -> Option<Here> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        let ping = question(Some(subject.uid));
        let mark = station.mark();
        station.call(way, &ping.to_plain());
        let here = station.find(mark, Duration::from_millis(700), |received| {
            let Ok(Message::Here(packet)) = wire::decode(&received.bytes) else { return None };
            packet.verify().ok().filter(|here| here.ping == ping.id && here.uid() == subject.uid)
        });
        if here.is_some() {
            return here;
        }
    }
    None
}

/// Sends until the result is there that is no UNCONFIGURED; none within eight seconds.
pub fn deliver(station: &Station, bytes: &[u8], sent: &Sent) -> Option<Status> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        let mark = station.mark();
        station.say(bytes);
        let status = station.find(mark, Duration::from_secs(1), |received| {
            result(&received.bytes, sent)
                .map(|result| result.status)
                .filter(|status| !matches!(status, Status::Unconfigured { .. }))
        });
        if status.is_some() {
            return status;
        }
    }
    None
}

/// The result that a datagram is, if it answers this packet and is believed by who sent it.
pub fn result(datagram: &[u8], sent: &Sent) -> Option<ConfigResult> {
    let packet = result_packet(datagram)?;
    let result = packet.verify(&sent.device_key, &sent.exported).ok()?;
    (result.request == sent.request && result.packet == PacketHash::of(&sent.bytes)).then_some(result)
}

/// The reason of a FAILED.
pub fn reason(status: Option<Status>) -> Option<Reason> {
    match status {
        Some(Status::Failed { reason, .. }) => Some(reason),
        _ => None,
    }
}

fn result_packet(datagram: &[u8]) -> Option<ResultPacket> {
    match wire::decode(datagram) {
        Ok(Message::Result(packet)) => Some(packet),
        _ => None,
    }
}
