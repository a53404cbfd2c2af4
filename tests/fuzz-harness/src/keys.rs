//! Known keys, so that the layers behind signatures and seals are reached.

use crate::rng::Seeded;
use minicbor::bytes::ByteVec;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::{OpenKey, SecretKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::{Credential, Grant};
use muster_protocol::id::{BootId, ConsoleId, Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::{from_cbor, to_cbor};
use std::sync::LazyLock;

/// Everybody who takes part.
pub struct Keys {
    /// The NOC root of the site.
    pub root: SecretKey,
    /// The root of another NOC.
    pub other_root: SecretKey,
    /// The console that has a credential.
    pub console: SecretKey,
    /// Somebody without one.
    pub stranger: SecretKey,
    /// The vendor whose vouchers an image may accept.
    pub vendor: SecretKey,
    /// The appliance.
    pub device: SecretKey,
    /// What its label says.
    pub claim: ClaimSecret,
    /// The key of that.
    pub claim_key: ClaimKey,
    /// The key of another label.
    pub other_claim_key: ClaimKey,
    /// COSE_Sign1 by the root: the console may ask at site 1.
    pub credential: Vec<u8>,
    /// COSE_Sign1 by the other root: the stranger may ask at site 1.
    pub other_credential: Vec<u8>,
    /// What a vendor's application shall have.
    pub application: ApplicationSettings,
    /// A key as both ends of a config packet export it.
    pub exported: ExportedKey,
    /// One appliance's one-time key, or a console's reply key.
    pub open: fn() -> OpenKey,
}

/// The keys.
pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |n: u8| SecretKey::from_seed(&[n; 32]);
    let (root, other_root, console, stranger) = (key(1), key(2), key(3), key(4));
    let credential = |root: &SecretKey, console: &SecretKey| {
        let credential = Credential {
            console: ConsoleId(1),
            key: console.public(),
            sites: vec![SiteId(1), SiteId(2)],
            expires: UnixTime(2_000_000_000),
        };
        sign::sign(root, Purpose::Credential, to_cbor(&credential))
    };
    let claim = ClaimSecret::generate(&mut Seeded::new(1));
    Keys {
        credential: credential(&root, &console),
        other_credential: credential(&other_root, &stranger),
        claim_key: claim.key(),
        other_claim_key: ClaimSecret::generate(&mut Seeded::new(2)).key(),
        claim,
        root,
        other_root,
        console,
        stranger,
        vendor: key(6),
        device: key(5),
        application: ApplicationSettings::parse(r#"{"relay":["a.example.net"],"limit":20}"#).expect("a JSON object"),
        exported: from_cbor(&to_cbor(&ByteVec::from(vec![7; 32]))).expect("32 bytes are an exported key"),
        open: || OpenKey::generate(&mut Seeded::new(3)),
    }
});

/// The appliance's MAC.
pub const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// The appliance's identity.
pub fn uid() -> Uid {
    Uid::of(&KEYS.device.public())
}

/// The vendor's voucher for the appliance and the root.
pub fn voucher() -> Voucher {
    Voucher {
        uid: uid(),
        root: KEYS.root.public(),
        vendor: KEYS.vendor.public(),
        issued: UnixTime(1_700_000_000),
        expires: None,
    }
}

/// A run of the agent.
pub fn boot(n: u64) -> BootId {
    BootId(u128::from(n).to_be_bytes())
}

/// The same with IPv6.
pub fn settings6(host_name: &str) -> RawSettings {
    RawSettings {
        dns2: "2001:db8::53".into(),
        address6: "2001:db8::10/64".into(),
        gateway6: "fe80::1".into(),
        ntp: "ntp.example.net 2001:db8::7b".into(),
        search_domains: "lab.example.net".into(),
        ..settings(host_name)
    }
}

/// Settings that fit together.
pub fn settings(host_name: &str) -> RawSettings {
    RawSettings {
        host_name: host_name.to_owned(),
        domain: "example.net".into(),
        address: "192.0.2.10".into(),
        netmask: "255.255.255.0".into(),
        gateway: "192.0.2.1".into(),
        dns1: "192.0.2.53".into(),
        dns2: "192.0.2.54".into(),
        ..RawSettings::default()
    }
}

/// A grant for the appliance and the console, by the root.
pub fn grant(host_name: &str, seq: u64, confirm: Confirm) -> Grant {
    Grant {
        uid: uid(),
        mac: MAC,
        site: SiteId(1),
        seq: Seq(seq),
        parameters: Parameters {
            network: settings(host_name).validate().expect("host names of tests are labels"),
            confirm,
            window_s: 90,
            beat_interval_s: 60,
            drift: None,
            application: None,
        },
        console: KEYS.console.public(),
        root: KEYS.root.public(),
        issued: UnixTime(1_700_000_000),
        expires: UnixTime(1_800_000_000),
        noc: "noc.example.net:6878".into(),
        ca_pin: [5; 32],
    }
}
