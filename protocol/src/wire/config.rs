//! The config packet: parameters for one appliance, addressed by MAC (seed step 69, FIGURE 6).
//!
//! Inside out: COSE_Sign1 by the NOC root over the grant; COSE_Sign1 by the console over {grant, one-time key, request
//! id}; HPKE to the one-time key, in PSK mode with the claim key while the appliance is unconfigured.

use super::{MAX_DATAGRAM, Message, from_cbor, to_cbor};
use crate::application::{ApplicationSettings, MAX_APPLICATION};
use crate::crypto::claim::ClaimKey;
use crate::crypto::keys::{OpenKey, PublicKey, SealKey, SecretKey};
use crate::crypto::seal::{self, ExportedKey, Seal, SealError, Sealed};
use crate::crypto::sign::{self, Purpose};
use crate::grant::Grant;
use crate::id::{Mac, RequestId, Seq, Uid};
use crate::parameters::Parameters;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

/// A config packet on the wire. Only the address is in clear.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ConfigPacket {
    /// The address.
    #[n(0)]
    pub to: Address,
    #[cbor(n(1), with = "minicbor::bytes")]
    enc: [u8; 32],
    #[n(2)]
    ciphertext: ByteVec,
}

/// Whom a config packet is for and which attempt it is; authenticated with the sealed part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Address {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// Its MAC.
    #[n(1)]
    pub mac: Mac,
    /// Which one-time key opens it.
    #[n(2)]
    pub one_time_key: SealKey,
    /// The attempt.
    #[n(3)]
    pub request: RequestId,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Order {
    #[n(0)]
    grant: ByteVec,
    #[n(1)]
    one_time_key: SealKey,
    #[n(2)]
    request: RequestId,
    /// Only for an appliance that says it wants one.
    #[n(3)]
    voucher: Option<ByteVec>,
}

/// SHA-256 of a whole config datagram: what a result answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct PacketHash(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl PacketHash {
    /// The hash of a datagram.
    pub fn of(datagram: &[u8]) -> PacketHash {
        PacketHash(Sha256::digest(datagram).into())
    }
}

/// Builds the datagram for one attempt. `grant` is the NOC's COSE_Sign1, passed on as received.
pub fn build(
    rng: &mut dyn CryptoRng,
    console: &SecretKey,
    claim: Option<&ClaimKey>,
    to: Address,
    grant: &[u8],
) -> Result<(Vec<u8>, ExportedKey), SealError> {
    build_order(rng, console, claim, to, grant, None)
}

/// [`build`] for an appliance without an owner that accepts vouchers. `voucher`: the vendor's COSE_Sign1, passed on as received.
pub fn build_with_voucher(
    rng: &mut dyn CryptoRng,
    console: &SecretKey,
    voucher: &[u8],
    to: Address,
    grant: &[u8],
) -> Result<(Vec<u8>, ExportedKey), SealError> {
    build_order(rng, console, None, to, grant, Some(voucher))
}

fn build_order(
    rng: &mut dyn CryptoRng,
    console: &SecretKey,
    claim: Option<&ClaimKey>,
    to: Address,
    grant: &[u8],
    voucher: Option<&[u8]>,
) -> Result<(Vec<u8>, ExportedKey), SealError> {
    let voucher = voucher.map(|voucher| voucher.to_vec().into());
    let order = Order { grant: grant.to_vec().into(), one_time_key: to.one_time_key, request: to.request, voucher };
    let signed = sign::sign(console, Purpose::Config, to_cbor(&order));
    let (sealed, exported) = seal::seal(rng, Seal::Config, &to.one_time_key, claim, &to_cbor(&to), &signed)?;
    let packet = ConfigPacket { to, enc: sealed.enc, ciphertext: sealed.ciphertext.into() };
    Ok((super::encode(&Message::Config(packet)), exported))
}

/// How many bytes of application settings fit into the packet with this grant and a voucher of `voucher` bytes (0: none), whatever
/// the grant's sequence number will be. None: the packet is too long without any.
pub fn application_room(grant: &Grant, voucher: usize) -> Option<usize> {
    let length = |bytes: Option<usize>| {
        let application = bytes.map(ApplicationSettings::of_length);
        let parameters = Parameters { application, ..grant.parameters.clone() };
        length(to_cbor(&Grant { seq: Seq(u64::MAX), parameters, ..grant.clone() }).len(), voucher)
    };
    if excess(grant, voucher) > 0 {
        return None;
    }
    // A length is written in more bytes as it grows, so that this may leave out a few that fit.
    let mut room = MAX_DATAGRAM.saturating_sub(length(Some(MAX_DATAGRAM)).saturating_sub(MAX_DATAGRAM));
    while length(Some(room + 1)) <= MAX_DATAGRAM {
        room += 1;
    }
    Some(room.min(MAX_APPLICATION))
}

/// By how many bytes the packet with this grant and a voucher of `voucher` bytes (0: none) would be too long, without its application
/// settings and whatever its sequence number will be; 0 if it fits.
pub fn excess(grant: &Grant, voucher: usize) -> usize {
    let parameters = Parameters { application: None, ..grant.parameters.clone() };
    let grant = to_cbor(&Grant { seq: Seq(u64::MAX), parameters, ..grant.clone() });
    length(grant.len(), voucher).saturating_sub(MAX_DATAGRAM)
}

/// Bytes of the datagram with a grant, whose body has `grant` bytes, and a signed voucher of `voucher` bytes.
fn length(grant: usize, voucher: usize) -> usize {
    let (one_time_key, request) = (SealKey([0; 32]), RequestId([0; 16]));
    let voucher = (voucher > 0).then(|| vec![0; voucher].into());
    let order = Order { grant: vec![0; sign::length(grant)].into(), one_time_key, request, voucher };
    let sealed = sign::length(to_cbor(&order).len()) + (seal::OVERHEAD - 32);
    let to = Address { uid: Uid([0; 20]), mac: Mac([0; 6]), one_time_key, request };
    super::encode(&Message::Config(ConfigPacket { to, enc: [0; 32], ciphertext: vec![0; sealed].into() })).len()
}

/// What came out of a config packet. The grant is verified; freshness and address are the appliance's to judge.
#[derive(Debug)]
pub struct Opened {
    /// The grant.
    pub grant: Grant,
    /// What the console calls a voucher. Not verified.
    pub voucher: Option<Vec<u8>>,
    /// Authenticates results and the kick-start.
    pub exported: ExportedKey,
}

/// Why an opened packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Does not open with this one-time key and claim code.
    #[error(transparent)]
    Sealed(SealError),
    /// The grant is not signed by the pinned root, or not a grant at all.
    #[error("the grant is not signed by the expected NOC root")]
    Grant,
    /// The console that sent it is not the one the grant allows.
    #[error("the packet is not by the console that the grant allows")]
    Console,
    /// Signed for another one-time key or attempt.
    #[error("the packet was signed for another attempt")]
    Attempt,
}

impl ConfigPacket {
    /// Opens and verifies everything that does not depend on the appliance's stored state. `pinned`: the NOC root of an
    /// appliance that has one; without it the root named in the grant is taken, and the claim key is what was proven.
    pub fn open(
        &self,
        key: &OpenKey,
        claim: Option<&ClaimKey>,
        pinned: Option<&PublicKey>,
    ) -> Result<Opened, OpenError> {
        let sealed = Sealed { enc: self.enc, ciphertext: self.ciphertext.to_vec() };
        let (signed, exported) =
            seal::open(Seal::Config, key, claim, &to_cbor(&self.to), &sealed).map_err(OpenError::Sealed)?;
        // The console's key is inside the grant, the grant inside what the console signed: read outside in without
        // believing, then believe inside out.
        let by_console = sign::Unverified::parse(&signed).map_err(|_| OpenError::Console)?;
        let order: Order = from_cbor(by_console.untrusted_payload()).map_err(|_| OpenError::Console)?;
        let by_root = sign::Unverified::parse(&order.grant).map_err(|_| OpenError::Grant)?;
        let root = match pinned {
            Some(root) => *root,
            None => from_cbor::<Grant>(by_root.untrusted_payload()).map_err(|_| OpenError::Grant)?.root,
        };
        let grant = by_root.verify(&root, Purpose::Grant).map_err(|_| OpenError::Grant)?;
        let grant: Grant = from_cbor(&grant).map_err(|_| OpenError::Grant)?;
        if grant.root != root {
            return Err(OpenError::Grant);
        }
        by_console.verify(&grant.console, Purpose::Config).map_err(|_| OpenError::Console)?;
        if order.one_time_key != self.to.one_time_key || order.request != self.to.request {
            return Err(OpenError::Attempt);
        }
        Ok(Opened { grant, voucher: order.voucher.map(Vec::from), exported })
    }
}
