//! Who takes part, what each of them knows, and what the NOC signs.

use crate::bounds::Sabotage;
use crate::rng::ModelRng;
use muster_protocol::appliance::Profile;
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{BootId, Mac, PingId, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, NetworkSettings, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::{Peer, to_cbor};
use std::fmt;

/// How many appliances there are.
pub const APPLIANCES: usize = 2;

/// The window to the kick-start, seconds.
pub(crate) const WINDOW_S: u16 = 90;

/// A grant, by what the checker needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    /// The appliance it is for.
    pub unit: usize,
    /// Its number.
    pub seq: u64,
    /// True if the NOC signed it.
    pub by_noc: bool,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signer = if self.by_noc { "NOC" } else { "attacker" };
        write!(f, "{signer}'s grant {} for {}", self.seq, name(self.unit))
    }
}

/// `A` or `B`.
pub(crate) fn name(unit: usize) -> char {
    if unit == 0 { 'A' } else { 'B' }
}

/// All keys. The attacker uses the ones called `thief`, and what is public.
pub(crate) struct Cast {
    pub(crate) root: SecretKey,
    pub(crate) console: SecretKey,
    pub(crate) devices: [SecretKey; APPLIANCES],
    pub(crate) claims: [ClaimKey; APPLIANCES],
    /// The vendor whose vouchers count, if they do.
    vendor: Option<SecretKey>,
    asks_for_voucher: bool,
    pub(crate) thief_root: SecretKey,
    pub(crate) thief_console: SecretKey,
    pub(crate) thief_device: SecretKey,
    /// What he tries as claim keys.
    pub(crate) guesses: [ClaimKey; APPLIANCES],
}

impl Cast {
    pub(crate) fn new(sabotage: Sabotage, vouched: bool) -> Cast {
        let mut rng = ModelRng::new("cast", 0);
        let mut cast = Cast {
            root: SecretKey::generate(&mut rng),
            console: SecretKey::generate(&mut rng),
            devices: std::array::from_fn(|_| SecretKey::generate(&mut rng)),
            claims: std::array::from_fn(|_| ClaimSecret::generate(&mut rng).key()),
            vendor: vouched.then(|| SecretKey::from_seed(&[0x7e; 32])),
            asks_for_voucher: vouched && sabotage != Sabotage::AsksForNoVoucher,
            thief_root: SecretKey::generate(&mut rng),
            thief_console: SecretKey::generate(&mut rng),
            thief_device: SecretKey::generate(&mut rng),
            guesses: std::array::from_fn(|_| ClaimSecret::generate(&mut rng).key()),
        };
        match sabotage {
            Sabotage::ThiefKnowsClaims => cast.guesses = cast.claims.clone(),
            Sabotage::ThiefHasConsoleKey => cast.thief_console = cast.console.clone(),
            _ => {}
        }
        cast
    }

    pub(crate) fn uid(&self, unit: usize) -> Uid {
        Uid::of(&self.devices[unit].public())
    }

    pub(crate) fn profile(&self, unit: usize, boot: u8) -> Profile {
        Profile {
            device: self.devices[unit].clone(),
            mac: mac(unit),
            boot: BootId([boot; 16]),
            proof: match &self.vendor {
                None => Proof::Claim,
                Some(_) if self.asks_for_voucher => Proof::Voucher,
                Some(_) => Proof::Open,
            },
            claim: Some(self.claims[unit].clone()),
            vendor: self.vendor.as_ref().map(SecretKey::public),
        }
    }

    /// Vouchers count.
    pub(crate) fn is_vouched(&self) -> bool {
        self.vendor.is_some()
    }

    /// What the console proves ownership with: a claim key, or the vendor's voucher for the appliance and the NOC.
    pub(crate) fn proof_of(&self, unit: usize) -> (Option<ClaimKey>, Option<Vec<u8>>) {
        match self.voucher(unit) {
            Some(voucher) => (None, Some(voucher)),
            None => (Some(self.claims[unit].clone()), None),
        }
    }

    /// The vendor's voucher for an appliance and the NOC. It is no secret.
    pub(crate) fn voucher(&self, unit: usize) -> Option<Vec<u8>> {
        let vendor = self.vendor.as_ref()?;
        let (uid, root) = (self.uid(unit), self.root.public());
        Some(Voucher { uid, root, vendor: vendor.public(), issued: UnixTime(0), expires: None }.sign(vendor))
    }

    /// A voucher that the attacker signs, for his own root.
    pub(crate) fn thief_voucher(&self, unit: usize) -> Vec<u8> {
        let (uid, root) = (self.uid(unit), self.thief_root.public());
        let vendor = self.thief_device.public();
        Voucher { uid, root, vendor, issued: UnixTime(0), expires: None }.sign(&self.thief_device)
    }

    /// A grant of the NOC that no console delivers: it names the root where others name a console.
    pub(crate) fn given_grant(&self, unit: usize, seq: u64) -> Vec<u8> {
        let grant = self.grant(Mark { unit, seq, by_noc: true }, &self.root, &self.root);
        let parameters = Parameters { confirm: Confirm::FirstBeat, ..grant.parameters };
        sign::sign(&self.root, Purpose::Grant, to_cbor(&Grant { parameters, ..grant }))
    }

    /// The like by the attacker.
    pub(crate) fn thief_given(&self, unit: usize, seq: u64) -> Vec<u8> {
        let grant = self.grant(Mark { unit, seq, by_noc: false }, &self.thief_root, &self.thief_root);
        sign::sign(&self.thief_root, Purpose::Grant, to_cbor(&grant))
    }

    /// The NOC's signed grant. Odd numbers are confirmed by the kick-start, even ones by the first beat.
    pub(crate) fn noc_grant(&self, unit: usize, seq: u64) -> Vec<u8> {
        let grant = self.grant(Mark { unit, seq, by_noc: true }, &self.console, &self.root);
        sign::sign(&self.root, Purpose::Grant, to_cbor(&grant))
    }

    /// A grant that the attacker signed, for his own console.
    pub(crate) fn thief_grant(&self, unit: usize, seq: u64) -> Vec<u8> {
        let grant = self.grant(Mark { unit, seq, by_noc: false }, &self.thief_console, &self.thief_root);
        sign::sign(&self.thief_root, Purpose::Grant, to_cbor(&grant))
    }

    fn grant(&self, mark: Mark, console: &SecretKey, root: &SecretKey) -> Grant {
        Grant {
            uid: self.uid(mark.unit),
            mac: mac(mark.unit),
            site: SiteId(1),
            seq: Seq(mark.seq),
            parameters: Parameters {
                network: settings(mark),
                confirm: if mark.seq.is_multiple_of(2) { Confirm::FirstBeat } else { Confirm::KickStart },
                window_s: WINDOW_S,
                beat_interval_s: 60,
                drift: None,
                application: None,
            },
            console: console.public(),
            root: root.public(),
            issued: UnixTime(0),
            expires: UnixTime(u64::MAX),
            noc: "noc.example.net:8443".into(),
            ca_pin: [5; 32],
        }
    }
}

/// The appliance's MAC.
pub(crate) fn mac(unit: usize) -> Mac {
    Mac([2, 0, 0, 0, 0, if unit == 0 { 0xa } else { 0xb }])
}

/// A ping that only this appliance answers, at once.
pub(crate) fn ask(uid: Uid, number: u8) -> Ping {
    Ping {
        id: PingId([number; 16]),
        window_ms: 0,
        salt: [0; 8],
        shard: Shard::default(),
        heard: Vec::new(),
        only: Some(uid),
        reply_key: None,
        credential: None,
    }
}

/// Everybody's address: who sends from where does not matter when all is sent by, and to, the attacker.
pub(crate) fn peer() -> Peer {
    Peer { interface: 2, address: ([192, 0, 2, 200], muster_protocol::wire::PORT).into() }
}

/// Which grant brought these settings: its host name says so.
pub(crate) fn mark_of(settings: &NetworkSettings) -> Mark {
    let mut parts = settings.host_name().split('-');
    let by_noc = parts.next() == Some("noc");
    let unit = parts.next().and_then(|part| part.parse().ok()).unwrap_or(usize::MAX);
    let seq = parts.next().and_then(|part| part.parse().ok()).unwrap_or(u64::MAX);
    Mark { unit, seq, by_noc }
}

fn settings(mark: Mark) -> NetworkSettings {
    let signer = if mark.by_noc { "noc" } else { "thief" };
    let raw = RawSettings {
        host_name: format!("{signer}-{}-{}", mark.unit, mark.seq),
        domain: "example.net".into(),
        address: format!("192.0.2.{}", 10 + mark.unit),
        netmask: "24".into(),
        gateway: "192.0.2.1".into(),
        ..RawSettings::default()
    };
    // The texts above are valid, whatever the numbers.
    raw.validate().expect("valid settings")
}
