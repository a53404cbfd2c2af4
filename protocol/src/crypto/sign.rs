//! COSE_Sign1 (RFC 9052) with EdDSA, one purpose a signature.
//!
//! The purpose goes into the external data, so a signature made for one message can never pass for another.

use super::keys::{PublicKey, SecretKey};
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};

/// Array of four; the protected header {1: -8} (EdDSA) as a byte string; an empty unprotected header. A version 1 message has
/// no other headers: one that is not signed could be added by anybody, and would make a second encoding of the message.
const HEAD: [u8; 6] = [0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0];
const SIGNATURE: usize = 64;

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// NOC root over a grant.
    Grant,
    /// NOC root over an instruction.
    Instruction,
    /// NOC root over a message to a console.
    Message,
    /// NOC root over a console credential.
    Credential,
    /// Console over a config order.
    Config,
    /// Console over a ping.
    Ping,
    /// Console over a kick-start.
    KickStart,
    /// Device over an answer.
    Here,
    /// Device over a result.
    Result,
    /// Device over an enrolment proof.
    Enrolment,
    /// Console over its enrolment proof.
    ConsoleEnrolment,
    /// Vendor over a voucher.
    Voucher,
    /// NOC root over a hand-over to another NOC.
    Handover,
    /// NOC root over what it offers to take over appliances under.
    HandoverOffer,
    /// NOC root over what it knows of appliances, for the NOC that takes them over.
    Transfer,
    /// NOC root over the end of its audit log.
    AuditAnchor,
    /// NOC root over the repository of components.
    ComponentRoot,
    /// Author over an applet.
    Applet,
    /// NOC root over the release of an applet to a console.
    AppletRelease,
}

impl Purpose {
    fn context(self) -> &'static [u8] {
        match self {
            Purpose::Grant => b"muster/1 grant",
            Purpose::Instruction => b"muster/1 instruction",
            Purpose::Message => b"muster/1 queue message",
            Purpose::Credential => b"muster/1 credential",
            Purpose::Config => b"muster/1 config",
            Purpose::Ping => b"muster/1 ping",
            Purpose::KickStart => b"muster/1 kick-start",
            Purpose::Here => b"muster/1 here",
            Purpose::Result => b"muster/1 result",
            Purpose::Enrolment => b"muster/1 enrolment",
            Purpose::ConsoleEnrolment => b"muster/1 console enrolment",
            Purpose::Voucher => b"muster/1 voucher",
            Purpose::Handover => b"muster/1 hand-over",
            Purpose::HandoverOffer => b"muster/1 hand-over offer",
            Purpose::Transfer => b"muster/1 transfer",
            Purpose::AuditAnchor => b"muster/1 audit anchor",
            Purpose::ComponentRoot => b"muster/1 component root",
            Purpose::Applet => b"muster/1 applet",
            Purpose::AppletRelease => b"muster/1 applet release",
        }
    }
}

/// Why a signed message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The sender sent no COSE_Sign1, or not in its one deterministic form.
    #[error("not a COSE_Sign1 message in deterministic form")]
    Malformed,
    /// The signature is not by the expected key, or not for this purpose.
    #[error("the signature is not by the expected key for this purpose")]
    Signature,
}

/// Signs `payload` for `purpose`; the COSE_Sign1 bytes.
pub fn sign(key: &SecretKey, purpose: Purpose, payload: Vec<u8>) -> Vec<u8> {
    let sign1 = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
        .payload(payload)
        .create_signature(purpose.context(), |message| key.sign(message).to_vec())
        .build();
    // Serialising our own structure of byte strings has no way to fail.
    sign1.to_vec().unwrap_or_default()
}

/// Bytes of the COSE_Sign1 over a payload of `payload` bytes.
pub fn length(payload: usize) -> usize {
    let header = match payload {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 5,
    };
    HEAD.len() + header + payload + 2 + SIGNATURE
}

/// The payload, once the signature by `key` for `purpose` has been checked over the bytes received.
pub fn verify(key: &PublicKey, purpose: Purpose, bytes: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let unverified = Unverified::parse(bytes)?;
    unverified.verify(key, purpose)
}

/// A COSE_Sign1 whose signer is named inside its payload and has to be read before it can be checked.
pub struct Unverified(CoseSign1);

impl Unverified {
    /// Splits the bytes; nothing is believed yet.
    pub fn parse(bytes: &[u8]) -> Result<Unverified, VerifyError> {
        let sign1 = CoseSign1::from_slice(bytes).map_err(|_| VerifyError::Malformed)?;
        if !bytes.starts_with(&HEAD) || sign1.payload.is_none() || sign1.signature.len() != SIGNATURE {
            return Err(VerifyError::Malformed);
        }
        if sign1.clone().to_vec().ok().as_deref() != Some(bytes) {
            return Err(VerifyError::Malformed);
        }
        Ok(Unverified(sign1))
    }

    /// The payload, not to be trusted: only good for finding out whose signature to check.
    pub fn untrusted_payload(&self) -> &[u8] {
        self.0.payload.as_deref().unwrap_or_default()
    }

    /// The payload, checked.
    pub fn verify(self, key: &PublicKey, purpose: Purpose) -> Result<Vec<u8>, VerifyError> {
        self.0.verify_signature(purpose.context(), |signature, message| {
            if key.verify(message, signature) { Ok(()) } else { Err(VerifyError::Signature) }
        })?;
        self.0.payload.ok_or(VerifyError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_one_purpose_one_key_and_one_encoding() {
        let key = SecretKey::from_seed(&[1; 32]);
        let other = SecretKey::from_seed(&[2; 32]);
        let bytes = sign(&key, Purpose::Grant, b"payload".to_vec());
        assert_eq!(verify(&key.public(), Purpose::Grant, &bytes), Ok(b"payload".to_vec()));
        for payload in [0, 23, 24, 255, 256, 1_000, 70_000] {
            assert_eq!(sign(&key, Purpose::Grant, vec![0; payload]).len(), length(payload), "{payload}");
        }
        assert_eq!(verify(&key.public(), Purpose::Config, &bytes), Err(VerifyError::Signature));
        assert_eq!(verify(&other.public(), Purpose::Grant, &bytes), Err(VerifyError::Signature));
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert_eq!(verify(&key.public(), Purpose::Grant, &trailing), Err(VerifyError::Malformed));
        for i in 0..bytes.len() {
            let mut spoiled = bytes.clone();
            spoiled[i] ^= 1;
            assert!(verify(&key.public(), Purpose::Grant, &spoiled).is_err(), "byte {i} is not covered");
        }
    }

    #[test]
    fn other_headers_make_a_message_malformed_although_its_signature_would_hold() {
        let key = SecretKey::from_seed(&[1; 32]);
        let bytes = sign(&key, Purpose::Here, b"payload".to_vec());
        let mut unprotected = bytes.clone();
        unprotected.splice(5..6, [0xa1, 0x04, 0x41, 0x00]);
        assert_eq!(verify(&key.public(), Purpose::Here, &unprotected), Err(VerifyError::Malformed));
        let two_headers = CoseSign1Builder::new()
            .protected(HeaderBuilder::new().algorithm(coset::iana::Algorithm::EdDSA).key_id(vec![1]).build())
            .payload(b"payload".to_vec())
            .create_signature(Purpose::Here.context(), |message| key.sign(message).to_vec())
            .build();
        let two_headers = two_headers.to_vec().expect("serialises");
        assert_eq!(verify(&key.public(), Purpose::Here, &two_headers), Err(VerifyError::Malformed));
    }
}
