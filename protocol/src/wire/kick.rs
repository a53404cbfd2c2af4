//! The kick-start: "your settings are final, start SecureBeat" (seed step 71).

use super::result::Tag;
use super::{DecodeError, Message, from_cbor, to_cbor};
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::seal::ExportedKey;
use crate::crypto::sign::{self, Purpose};
use crate::id::{RequestId, Seq, Uid};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A kick-start on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KickPacket {
    /// The appliance; it follows the UID, not the address.
    #[n(0)]
    pub uid: Uid,
    /// COSE_Sign1 by the console.
    #[n(1)]
    signed: ByteVec,
    /// Tag by the exported key.
    #[n(2)]
    tag: Tag,
}

/// What a kick-start says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KickStart {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// The attempt that succeeded.
    #[n(1)]
    pub request: RequestId,
    /// Its grant.
    #[n(2)]
    pub seq: Seq,
}

impl KickStart {
    /// Signs; the datagram.
    pub fn to_datagram(&self, console: &SecretKey, exported: &ExportedKey) -> Vec<u8> {
        let signed = sign::sign(console, Purpose::KickStart, to_cbor(self));
        let tag = Tag(exported.tag(&signed));
        super::encode(&Message::KickStart(KickPacket { uid: self.uid, signed: signed.into(), tag }))
    }
}

impl KickPacket {
    /// The kick-start, by the console that configured and with the key only it and the appliance have.
    pub fn verify(&self, console: &PublicKey, exported: &ExportedKey) -> Result<KickStart, DecodeError> {
        if !exported.verify(&self.signed, &self.tag.0) {
            return Err(DecodeError::Body);
        }
        let payload = sign::verify(console, Purpose::KickStart, &self.signed).map_err(|_| DecodeError::Body)?;
        let kick: KickStart = from_cbor(&payload)?;
        if kick.uid == self.uid { Ok(kick) } else { Err(DecodeError::Body) }
    }
}
