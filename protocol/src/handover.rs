//! The word of a NOC's root that an appliance reports to another NOC from now on, and follows its root (decision 0022).
//!
//! The same statement serves for another address of the same NOC, for another TLS CA, and for another root.

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::sign::{self, Purpose, VerifyError};
use crate::grant::MAX_NOC;
use crate::id::{Seq, Uid};
use crate::instruction::Serial;
use crate::time::UnixTime;
use crate::wire::{from_cbor, to_cbor};
use minicbor::{Decode, Encode};

/// The NOC that appliances are handed over to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Successor {
    /// Where it is reached: `host:port`, at most 128 bytes.
    #[n(0)]
    pub noc: String,
    /// SHA-256 of the DER of its TLS CA certificate.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub ca_pin: [u8; 32],
    /// Its root; the same as that of the NOC that hands over, if only the address or the CA is another.
    #[n(2)]
    pub root: PublicKey,
}

/// The statement "this appliance is yours from now on", to one appliance.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Handover {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// The grant under which it is good. So what was signed before a factory reset is worth nothing after it.
    #[n(1)]
    pub seq: Seq,
    /// Must exceed the number of every hand-over that the appliance has accepted before.
    #[n(2)]
    pub serial: Serial,
    /// Who has it then.
    #[n(3)]
    pub to: Successor,
    /// When it was signed.
    #[n(4)]
    pub issued: UnixTime,
    /// After this it is neither accepted nor tried any more by an appliance that knows the time.
    #[n(5)]
    pub expires: UnixTime,
}

impl Handover {
    /// COSE_Sign1 by the root that hands over.
    pub fn sign(&self, root: &SecretKey) -> Vec<u8> {
        sign::sign(root, Purpose::Handover, to_cbor(self))
    }

    /// The statement, once it is known to be by `root`.
    pub fn verify(root: &PublicKey, signed: &[u8]) -> Result<Handover, VerifyError> {
        let payload = sign::verify(root, Purpose::Handover, signed)?;
        let handover: Handover = from_cbor(&payload).map_err(|_| VerifyError::Malformed)?;
        if handover.to.is_address() { Ok(handover) } else { Err(VerifyError::Malformed) }
    }
}

impl Successor {
    /// COSE_Sign1 by the successor's own root: who made it holds the key that it names.
    pub fn offer(&self, root: &SecretKey) -> Vec<u8> {
        sign::sign(root, Purpose::HandoverOffer, to_cbor(self))
    }

    /// What a successor says of itself, once it is known to hold the root that it names.
    pub fn of_offer(signed: &[u8]) -> Result<Successor, VerifyError> {
        let unverified = sign::Unverified::parse(signed)?;
        let named: Successor = from_cbor(unverified.untrusted_payload()).map_err(|_| VerifyError::Malformed)?;
        let payload = unverified.verify(&named.root, Purpose::HandoverOffer)?;
        let offer: Successor = from_cbor(&payload).map_err(|_| VerifyError::Malformed)?;
        if offer.is_address() { Ok(offer) } else { Err(VerifyError::Malformed) }
    }

    /// Whether `noc` can be an address: nothing that would change the path of a request or mislead who reads it.
    fn is_address(&self) -> bool {
        let Some((host, port)) = self.noc.rsplit_once(':') else { return false };
        let host_ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        self.noc.len() <= MAX_NOC && host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn successor(noc: &str, root: &SecretKey) -> Successor {
        Successor { noc: noc.into(), ca_pin: [7; 32], root: root.public() }
    }

    #[test]
    fn a_hand_over_is_by_the_root_that_is_asked_for_and_for_nothing_else() {
        let [root, other] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let handover = Handover {
            uid: Uid([3; 20]),
            seq: Seq(4),
            serial: Serial(5),
            to: successor("noc.example.net:8443", &other),
            issued: UnixTime(6),
            expires: UnixTime(7),
        };
        let signed = handover.sign(&root);
        assert_eq!(Handover::verify(&root.public(), &signed), Ok(handover.clone()));
        assert_eq!(
            Handover::verify(&other.public(), &signed),
            Err(VerifyError::Signature),
            "the new root says nothing"
        );
        let for_another_purpose = sign::sign(&root, Purpose::Instruction, to_cbor(&handover));
        assert_eq!(Handover::verify(&root.public(), &for_another_purpose), Err(VerifyError::Signature));
        assert!(sign::verify(&root.public(), Purpose::Instruction, &signed).is_err());
    }

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_that_changes_a_request() {
        let root = SecretKey::from_seed(&[1; 32]);
        let good = ["noc.example.net:8443", "192.0.2.1:1", "[2001:db8::1]:65535"];
        let long = format!("{}:1", "a".repeat(MAX_NOC));
        let bad = ["", "noc", "noc:0", "noc:65536", ":1", "noc/x:1", "user@noc:1", "noc\u{202e}:1", "no c:1", &long];
        for (nocs, is_good) in [(&good[..], true), (&bad[..], false)] {
            for noc in nocs {
                let successor = successor(noc, &root);
                assert_eq!(Successor::of_offer(&successor.offer(&root)).is_ok(), is_good, "{noc}");
                let (uid, seq, serial) = (Uid([3; 20]), Seq(4), Serial(5));
                let handover = Handover { uid, seq, serial, to: successor, issued: UnixTime(6), expires: UnixTime(7) };
                assert_eq!(Handover::verify(&root.public(), &handover.sign(&root)).is_ok(), is_good, "{noc}");
            }
        }
    }

    #[test]
    fn an_offer_is_signed_by_the_root_that_it_names() {
        let [root, other] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let mine = successor("noc:1", &root);
        assert_eq!(Successor::of_offer(&mine.offer(&root)), Ok(mine.clone()));
        assert_eq!(Successor::of_offer(&mine.offer(&other)), Err(VerifyError::Signature));
        assert_eq!(Successor::of_offer(b"junk"), Err(VerifyError::Malformed));
    }
}
