//! What is signed: grants and console credentials by the NOC root, enrolment proofs by the device or console key.
//!
//! Bodies are deterministic CBOR maps with integer keys. [`crate::crypto::sign`] wraps them into COSE_Sign1.

use crate::application::ApplicationSettings;
use crate::crypto::keys::PublicKey;
use crate::id::{ConsoleId, Mac, Seq, SiteId, Uid};
use crate::parameters::{Confirm, DriftPolicy, Network6, Parameters, RawSettings, TimeServer};
use crate::time::UnixTime;
use minicbor::bytes::ByteArray;
use minicbor::data::Type;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The NOC's statement "this appliance shall have these parameters" (`design.md` §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The appliance.
    pub uid: Uid,
    /// The MAC the config packet is addressed to (seed, FIGURE 6).
    pub mac: Mac,
    /// The site.
    pub site: SiteId,
    /// Must exceed the number the appliance has stored.
    pub seq: Seq,
    /// What it shall have.
    pub parameters: Parameters,
    /// The only console that may deliver this grant.
    pub console: PublicKey,
    /// The NOC root that signed; the first accepted grant pins it.
    pub root: PublicKey,
    /// When it was signed.
    pub issued: UnixTime,
    /// After this it is refused by an appliance that knows the time.
    pub expires: UnixTime,
    /// Where the appliance reports to: `host:port`, at most 128 bytes.
    pub noc: String,
    /// SHA-256 of the DER of the NOC's TLS CA certificate.
    pub ca_pin: [u8; 32],
}

/// The NOC's statement "this console may ask for settings at these sites".
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credential {
    /// The console's number.
    #[n(0)]
    pub console: ConsoleId,
    /// Its public key.
    #[n(1)]
    pub key: PublicKey,
    /// Its sites, ascending, at most 16.
    #[n(2)]
    pub sites: Vec<SiteId>,
    /// After this it is refused by whoever knows the time.
    #[n(3)]
    pub expires: UnixTime,
}

/// What an appliance signs to get a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolmentProof {
    /// Its device public key.
    #[n(0)]
    pub device_key: PublicKey,
    /// The grant in force.
    #[n(1)]
    pub seq: Seq,
    /// SHA-256 of the CSR as sent (the PEM text's bytes).
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub csr_hash: [u8; 32],
}

/// What a console signs to be enrolled: that it holds the key it names. Bound to one invite, whose random token nobody
/// could know before the NOC made it, and to one CSR, so it is good for one enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ConsoleProof {
    /// The console's public key.
    #[n(0)]
    pub key: PublicKey,
    /// SHA-256 of the invite's token as sent.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub token_hash: [u8; 32],
    /// SHA-256 of the CSR as sent (the PEM text's bytes).
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub csr_hash: [u8; 32],
}

impl ConsoleProof {
    /// The proof for an enrolment request.
    pub fn new(key: PublicKey, token: &str, csr: &str) -> ConsoleProof {
        let hash = |text: &str| Sha256::digest(text.as_bytes()).into();
        ConsoleProof { key, token_hash: hash(token), csr_hash: hash(csr) }
    }
}

impl<C> Encode<C> for UnixTime {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u64(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for UnixTime {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.u64().map(UnixTime)
    }
}

/// The body on the wire: flat, so that [`Grant`] keeps only validated values.
#[derive(Encode, Decode)]
#[cbor(map)]
struct GrantBody {
    #[n(0)]
    uid: Uid,
    #[n(1)]
    mac: Mac,
    #[n(2)]
    site: SiteId,
    #[n(3)]
    seq: Seq,
    #[n(4)]
    host_name: String,
    #[n(5)]
    domain: String,
    #[n(6)]
    address: u32,
    #[n(7)]
    prefix: u8,
    #[n(8)]
    gateway: Option<u32>,
    #[n(9)]
    dns1: Option<Server>,
    #[n(10)]
    dns2: Option<Server>,
    #[n(11)]
    confirm: Confirm,
    #[n(12)]
    window_s: u16,
    #[n(13)]
    beat_interval_s: u32,
    #[n(14)]
    console: PublicKey,
    #[n(15)]
    root: PublicKey,
    #[n(16)]
    issued: UnixTime,
    #[n(17)]
    expires: UnixTime,
    #[n(18)]
    noc: String,
    #[cbor(n(19), with = "minicbor::bytes")]
    ca_pin: [u8; 32],
    #[n(20)]
    address6: Option<ByteArray<16>>,
    #[n(21)]
    prefix6: Option<u8>,
    #[n(22)]
    gateway6: Option<ByteArray<16>>,
    #[n(23)]
    ntp: Option<Vec<TimeServer>>,
    #[n(24)]
    search_domains: Option<Vec<String>>,
    #[n(30)]
    drift: Option<DriftPolicy>,
    #[n(31)]
    application: Option<String>,
}

/// A name server: a number for IPv4, bytes for IPv6.
struct Server(IpAddr);

impl<C> Encode<C> for Server {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self.0 {
            IpAddr::V4(address) => e.u32(address.into())?.ok(),
            IpAddr::V6(address) => e.bytes(&address.octets())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Server {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Server(match d.datatype()? {
            Type::Bytes => IpAddr::V6(Ipv6Addr::from(*ByteArray::<16>::decode(d, ctx)?)),
            _ => IpAddr::V4(d.u32()?.into()),
        }))
    }
}

/// As name servers, and a text for a name.
impl<C> Encode<C> for TimeServer {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            TimeServer::Address(address) => Server(*address).encode(e, ctx),
            TimeServer::Name(name) => e.str(name)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for TimeServer {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(match d.datatype()? {
            Type::String => TimeServer::Name(d.str()?.to_owned()),
            _ => TimeServer::Address(Server::decode(d, ctx)?.0),
        })
    }
}

/// What holds nothing is left out.
fn listed<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// A list as the text that is checked. That it comes out the same is seen when the grant is encoded again.
fn list_text<T: ToString>(list: Option<Vec<T>>) -> String {
    list.unwrap_or_default().iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// Longest `noc` address, bytes.
pub const MAX_NOC: usize = 128;

impl<C> Encode<C> for Grant {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let n = &self.parameters.network;
        let body = GrantBody {
            uid: self.uid,
            mac: self.mac,
            site: self.site,
            seq: self.seq,
            host_name: n.host_name().to_owned(),
            domain: n.domain().to_owned(),
            address: n.address().into(),
            prefix: n.prefix(),
            gateway: n.gateway().map(u32::from),
            dns1: n.dns()[0].map(Server),
            dns2: n.dns()[1].map(Server),
            confirm: self.parameters.confirm,
            window_s: self.parameters.window_s,
            beat_interval_s: self.parameters.beat_interval_s,
            console: self.console,
            root: self.root,
            issued: self.issued,
            expires: self.expires,
            noc: self.noc.clone(),
            ca_pin: self.ca_pin,
            address6: n.ipv6().map(|ipv6| ipv6.address().octets().into()),
            prefix6: n.ipv6().map(|ipv6| ipv6.prefix()),
            gateway6: n.ipv6().and_then(|ipv6| ipv6.gateway()).map(|gateway| gateway.octets().into()),
            ntp: listed(n.ntp()),
            search_domains: listed(n.search_domains()),
            drift: self.parameters.drift,
            application: self.parameters.application.as_ref().map(|settings| settings.as_str().to_owned()),
        };
        body.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Grant {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let body = GrantBody::decode(d, ctx)?;
        let ip = |bits: Option<u32>| bits.map_or_else(String::new, |b| Ipv4Addr::from(b).to_string());
        let server = |server: Option<Server>| server.map_or_else(String::new, |server| server.0.to_string());
        let ip6 = |bytes: ByteArray<16>| Ipv6Addr::from(*bytes);
        let address6 = match (body.address6, body.prefix6) {
            (Some(address), Some(prefix)) => Network6 { address: ip6(address), prefix }.to_string(),
            (None, None) => String::new(),
            _ => return Err(minicbor::decode::Error::message("an IPv6 address goes with its prefix")),
        };
        let raw = RawSettings {
            host_name: body.host_name,
            domain: body.domain,
            address: Ipv4Addr::from(body.address).to_string(),
            netmask: body.prefix.to_string(),
            gateway: ip(body.gateway),
            dns1: server(body.dns1),
            dns2: server(body.dns2),
            address6,
            gateway6: body.gateway6.map_or_else(String::new, |gateway| ip6(gateway).to_string()),
            ntp: list_text(body.ntp),
            search_domains: list_text(body.search_domains),
            application: String::new(),
        };
        let network = raw.validate().map_err(|_| minicbor::decode::Error::message("settings do not fit together"))?;
        if body.noc.len() > MAX_NOC || !crate::parameters::WINDOW_S.contains(&body.window_s) {
            return Err(minicbor::decode::Error::message("NOC address or window out of range"));
        }
        if !crate::parameters::BEAT_INTERVAL_S.contains(&body.beat_interval_s) {
            return Err(minicbor::decode::Error::message("beat interval out of range"));
        }
        // What holds nothing is left out.
        let application = match body.application.as_deref().map(ApplicationSettings::from_canonical) {
            None => None,
            Some(Some(settings)) if !settings.is_empty() => Some(settings),
            Some(_) => {
                return Err(minicbor::decode::Error::message("application settings not in their canonical form"));
            }
        };
        let parameters = Parameters {
            network,
            confirm: body.confirm,
            window_s: body.window_s,
            beat_interval_s: body.beat_interval_s,
            drift: body.drift,
            application,
        };
        Ok(Grant {
            uid: body.uid,
            mac: body.mac,
            site: body.site,
            seq: body.seq,
            parameters,
            console: body.console,
            root: body.root,
            issued: body.issued,
            expires: body.expires,
            noc: body.noc,
            ca_pin: body.ca_pin,
        })
    }
}
