//! Ping: "who is there?" (seed step 65).

use super::{DecodeError, MAX_DATAGRAM, Message, from_cbor, to_cbor};
use crate::crypto::keys::{PublicKey, SealKey, SecretKey};
use crate::crypto::sign::{self, Purpose};
use crate::grant::Credential;
use crate::id::{PingId, Uid};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

/// Every ping is padded to at least this many bytes, so that no answer is ever longer than its question.
pub const MIN_PING: usize = 640;
/// Most hashes of heard appliances in one ping.
pub const MAX_HEARD: usize = 128;

/// A ping on the wire: plain, or signed by a console.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PingPacket {
    /// The body, of a ping by anybody.
    #[n(0)]
    plain: Option<ByteVec>,
    /// COSE_Sign1 over the body, of a ping by a console.
    #[n(1)]
    signed: Option<ByteVec>,
    /// Zeros up to [`MIN_PING`].
    #[n(2)]
    padding: Option<ByteVec>,
}

/// What a ping asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ping {
    /// Echoed in every answer.
    #[n(0)]
    pub id: PingId,
    /// Answers come at a uniformly random moment within this many milliseconds.
    #[n(1)]
    pub window_ms: u16,
    /// The key of the heard hashes, new in every ping.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub salt: [u8; 8],
    /// The part of all appliances that shall answer.
    #[n(3)]
    pub shard: Shard,
    /// Four bytes of [`heard_hash`] for each appliance that need not answer, at most [`MAX_HEARD`], ascending.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub heard: Vec<u8>,
    /// Only this appliance shall answer, at once.
    #[n(5)]
    pub only: Option<Uid>,
    /// Where settings are sealed to; only in a signed ping.
    #[n(6)]
    pub reply_key: Option<SealKey>,
    /// The console's credential, COSE_Sign1 by the NOC root; only in a signed ping.
    #[n(7)]
    pub credential: Option<ByteVec>,
}

/// A part of all appliances: those whose shard hash begins with the `bits` bits of `index`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Shard {
    /// How many bits, 0 (everybody) to 16.
    #[n(0)]
    pub bits: u8,
    /// Their value.
    #[n(1)]
    pub index: u16,
}

/// A console's signed ping, as far as it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The credential that `root` signed.
    pub credential: Credential,
    /// Where settings are sealed to.
    pub reply_key: SealKey,
}

impl Ping {
    /// The datagram by anybody.
    pub fn to_plain(&self) -> Vec<u8> {
        pad(PingPacket { plain: Some(to_cbor(self).into()), signed: None, padding: None })
    }

    /// The datagram by a console.
    pub fn to_signed(&self, key: &SecretKey) -> Vec<u8> {
        let signed = sign::sign(key, Purpose::Ping, to_cbor(self));
        pad(PingPacket { plain: None, signed: Some(signed.into()), padding: None })
    }

    /// True if the appliance is asked: in the shard and not among the heard, or the only one.
    pub fn asks(&self, uid: &Uid) -> bool {
        if let Some(only) = &self.only {
            return only == uid;
        }
        let hash = heard_hash(&self.salt, uid);
        self.shard.contains(&hash) && !self.heard.chunks_exact(4).any(|h| h == &hash[..4])
    }
}

impl Shard {
    /// True if a [`heard_hash`] belongs to this part.
    pub fn contains(&self, hash: &[u8; 6]) -> bool {
        let bits = u32::from(self.bits.min(16));
        let value = u32::from(u16::from_be_bytes([hash[4], hash[5]]));
        value >> (16 - bits) == u32::from(self.index)
    }
}

impl PingPacket {
    /// The question; nothing about the asker is believed.
    pub fn question(&self) -> Result<Ping, DecodeError> {
        let ping: Ping = match (&self.plain, &self.signed) {
            (Some(plain), None) => from_cbor(plain)?,
            (None, Some(signed)) => {
                let unverified = sign::Unverified::parse(signed).map_err(|_| DecodeError::Body)?;
                from_cbor(unverified.untrusted_payload())?
            }
            _ => return Err(DecodeError::Body),
        };
        let sizes_ok = ping.heard.len().is_multiple_of(4) && ping.heard.len() / 4 <= MAX_HEARD && ping.shard.bits <= 16;
        if sizes_ok { Ok(ping) } else { Err(DecodeError::Body) }
    }

    /// The asker, if this is a signed ping by a console with a credential of `root`. Two signature checks.
    pub fn asker(&self, root: &PublicKey) -> Option<Asker> {
        let unverified = sign::Unverified::parse(self.signed.as_ref()?).ok()?;
        let ping: Ping = from_cbor(unverified.untrusted_payload()).ok()?;
        let credential = sign::verify(root, Purpose::Credential, ping.credential.as_ref()?).ok()?;
        let credential: Credential = from_cbor(&credential).ok()?;
        unverified.verify(&credential.key, Purpose::Ping).ok()?;
        Some(Asker { credential, reply_key: ping.reply_key? })
    }
}

/// What stands for an appliance in the list of the heard: four bytes to compare, two for the shard.
pub fn heard_hash(salt: &[u8; 8], uid: &Uid) -> [u8; 6] {
    let mut hash = Sha256::new();
    hash.update(b"muster/1 heard");
    hash.update(salt);
    hash.update(uid.0);
    let mut short = [0; 6];
    short.copy_from_slice(&hash.finalize()[..6]);
    short
}

fn pad(mut packet: PingPacket) -> Vec<u8> {
    let bare = super::encode(&Message::Ping(packet.clone()));
    // Key and length of the padding take up to four bytes; the ping may be a little longer than the minimum.
    let padding = MIN_PING.saturating_sub(bare.len());
    packet.padding = Some(vec![0; padding].into());
    let padded = super::encode(&Message::Ping(packet));
    debug_assert!(padded.len() <= MAX_DATAGRAM, "a full ping fits a datagram");
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ConsoleId, SiteId};
    use crate::time::UnixTime;

    fn ping() -> Ping {
        Ping {
            id: PingId([1; 16]),
            window_ms: 100,
            salt: [2; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: None,
            credential: None,
        }
    }

    #[test]
    fn a_ping_reaches_those_who_were_not_heard() {
        let (a, b) = (Uid([1; 20]), Uid([2; 20]));
        let mut ping = ping();
        assert!(ping.asks(&a) && ping.asks(&b));
        ping.heard = heard_hash(&ping.salt, &a)[..4].to_vec();
        assert!(!ping.asks(&a) && ping.asks(&b));
        ping.only = Some(a);
        assert!(ping.asks(&a) && !ping.asks(&b));
    }

    #[test]
    fn shards_part_all_appliances() {
        let ping = ping();
        for n in 0..50_u8 {
            let hash = heard_hash(&ping.salt, &Uid([n; 20]));
            let holders = (0..8).filter(|index| Shard { bits: 3, index: *index }.contains(&hash)).count();
            assert_eq!(holders, 1);
        }
    }

    #[test]
    fn the_longest_signed_ping_fits_a_datagram() {
        let key = SecretKey::from_seed(&[1; 32]);
        let root = SecretKey::from_seed(&[2; 32]);
        let credential = Credential {
            console: ConsoleId(u32::MAX),
            key: key.public(),
            sites: (0..16).map(|n| SiteId(u32::MAX - n)).collect(),
            expires: UnixTime(u64::MAX),
        };
        let mut ping = ping();
        ping.heard = vec![9; MAX_HEARD * 4];
        ping.reply_key = Some(SealKey([3; 32]));
        ping.credential = Some(sign::sign(&root, Purpose::Credential, to_cbor(&credential)).into());
        let bytes = ping.to_signed(&key);
        assert!(bytes.len() <= MAX_DATAGRAM, "{} bytes", bytes.len());
        let Ok(Message::Ping(packet)) = super::super::decode(&bytes) else { panic!("not read back") };
        assert_eq!(packet.question(), Ok(ping));
        assert_eq!(packet.asker(&root.public()).expect("valid").credential, credential);
        assert_eq!(packet.asker(&key.public()), None);
    }

    #[test]
    fn every_ping_is_long_enough_for_any_answer() {
        assert!(ping().to_plain().len() >= MIN_PING);
    }
}
