//! Here: an appliance's answer to a ping (seed step 66). An unconfigured one tells its MAC and its identity, nothing else.

use super::{DecodeError, Message, from_cbor, to_cbor};
use crate::crypto::keys::{OpenKey, PublicKey, SealKey, SecretKey};
use crate::crypto::seal::{self, Seal, Sealed};
use crate::crypto::sign::{self, Purpose};
use crate::id::{BootId, Mac, PingId, Uid};
use crate::parameters::{NetworkSettings, RawSettings};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

/// An answer on the wire: COSE_Sign1 by the device key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HerePacket {
    /// The bytes after the header.
    pub signed: Vec<u8>,
}

/// What an appliance tells everybody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Here {
    /// The ping this answers.
    #[n(0)]
    pub ping: PingId,
    /// Its identity.
    #[n(1)]
    pub device_key: PublicKey,
    /// MAC of the interface that is, or will be, configured.
    #[n(2)]
    pub mac: Mac,
    /// How it stands.
    #[n(3)]
    pub state: State,
    /// Opens exactly one config packet.
    #[n(4)]
    pub one_time_key: SealKey,
    /// This run of its agent.
    #[n(5)]
    pub boot: BootId,
    /// What proves that somebody may configure it while it is unconfigured.
    #[n(6)]
    pub proof: Proof,
    /// Its settings, sealed to a console with a credential; absent for all others.
    #[n(7)]
    pub settings: Option<SealedSettings>,
}

/// Settings sealed to a ping's reply key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SealedSettings {
    #[cbor(n(0), with = "minicbor::bytes")]
    enc: [u8; 32],
    #[n(1)]
    ciphertext: ByteVec,
}

/// How an appliance stands with configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    /// No NOC root pinned, no settings of ours.
    #[n(0)]
    Unconfigured,
    /// Applying a config packet.
    #[n(1)]
    Installing,
    /// Applied, not final yet.
    #[n(2)]
    Provisional,
    /// Final.
    #[n(3)]
    Configured,
}

/// What proves ownership of an unconfigured appliance (`design.md` §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Proof {
    /// The label's claim secret.
    #[n(0)]
    Claim,
    /// A vendor's voucher.
    #[n(1)]
    Voucher,
    /// Nothing: trust on first use.
    #[n(2)]
    Open,
}

#[derive(Encode, Decode, PartialEq)]
#[cbor(array)]
struct SettingsBody {
    #[n(0)]
    host_name: String,
    #[n(1)]
    domain: String,
    #[n(2)]
    address: String,
    #[n(3)]
    netmask: String,
    #[n(4)]
    gateway: String,
    #[n(5)]
    dns1: String,
    #[n(6)]
    dns2: String,
    #[n(7)]
    address6: Option<String>,
    #[n(8)]
    gateway6: Option<String>,
}

impl Here {
    /// Signs; the datagram.
    pub fn to_datagram(&self, key: &SecretKey) -> Vec<u8> {
        let signed = sign::sign(key, Purpose::Here, to_cbor(self));
        super::encode(&Message::Here(HerePacket { signed }))
    }

    /// The identity that the device key stands for.
    pub fn uid(&self) -> Uid {
        Uid::of(&self.device_key)
    }
}

impl HerePacket {
    /// Which ping this claims to answer: to drop what nobody asked for before any signature is checked.
    pub fn claimed_ping(&self) -> Option<PingId> {
        let unverified = sign::Unverified::parse(&self.signed).ok()?;
        from_cbor::<Here>(unverified.untrusted_payload()).ok().map(|here| here.ping)
    }

    /// The answer, signed by the key that it names as its own.
    pub fn verify(&self) -> Result<Here, DecodeError> {
        let unverified = sign::Unverified::parse(&self.signed).map_err(|_| DecodeError::Body)?;
        let here: Here = from_cbor(unverified.untrusted_payload())?;
        unverified.verify(&here.device_key, Purpose::Here).map_err(|_| DecodeError::Body)?;
        Ok(here)
    }
}

impl SealedSettings {
    /// Seals an appliance's settings to a console.
    pub fn seal(rng: &mut dyn CryptoRng, to: &SealKey, uid: &Uid, settings: &NetworkSettings) -> Option<Self> {
        let raw = settings.to_raw();
        let RawSettings { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6, .. } = raw;
        let [address6, gateway6] = [address6, gateway6].map(|text| (!text.is_empty()).then_some(text));
        let body = SettingsBody { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6 };
        let (sealed, _) = seal::seal(rng, Seal::Settings, to, None, &uid.0, &to_cbor(&body)).ok()?;
        Some(Self { enc: sealed.enc, ciphertext: sealed.ciphertext.into() })
    }

    /// Opens them.
    pub fn open(&self, key: &OpenKey, uid: &Uid) -> Option<NetworkSettings> {
        let sealed = Sealed { enc: self.enc, ciphertext: self.ciphertext.to_vec() };
        let (body, _) = seal::open(Seal::Settings, key, None, &uid.0, &sealed).ok()?;
        let body: SettingsBody = from_cbor(&body).ok()?;
        let SettingsBody { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6 } = body;
        let texts = [address6, gateway6];
        if texts.iter().flatten().any(String::is_empty) {
            return None;
        }
        let [address6, gateway6] = texts.map(Option::unwrap_or_default);
        // What is longer than a ping could not be answered: time servers and search domains the NOC knows.
        let others = RawSettings::default();
        let raw =
            RawSettings { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6, ..others };
        raw.validate().ok()
    }
}
