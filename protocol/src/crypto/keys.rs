//! Key types, so that no key can be taken for another kind of bytes.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 public key: a device's, a console's or a NOC root's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct PublicKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl PublicKey {
    /// Strict verification (RFC 8032, small-order keys refused) of `signature` over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }

    /// Base64, as in JSON.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// From base64, as in JSON. A key has one form: parts that are padded one by one are refused.
    pub fn from_base64(text: &str) -> Option<PublicKey> {
        let key = PublicKey(BASE64.decode(text.as_bytes()).ok()?.try_into().ok()?);
        (key.to_base64() == text).then_some(key)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_base64())
    }
}

/// An Ed25519 signing key. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> SecretKey {
        Self::from_seed(&Zeroizing::new(super::random::<32>(rng)))
    }

    /// The key of a stored 32-byte seed (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey(SigningKey::from_bytes(seed))
    }

    /// The seed, to be stored where only its owner can read it.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

/// The public half of a one-time key or of a ping's reply key (X25519).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct SealKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", BASE64.encode(&self.0))
    }
}

/// The secret half of a one-time key (X25519). Wiped from memory when dropped.
///
/// The public half is kept beside it: to derive it is a multiplication on the curve, and an appliance compares the key that a
/// datagram names with all of its own before anything limits how often.
pub struct OpenKey(pub(super) x25519_dalek::StaticSecret, SealKey);

impl OpenKey {
    /// A new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> OpenKey {
        Self::from_seed(&Zeroizing::new(super::random::<32>(rng)))
    }

    /// The key that applets are sealed to, of a console that keeps `key`: HKDF-SHA256 of its seed, so that there is no second secret
    /// to keep.
    pub fn for_applets(key: &SecretKey) -> OpenKey {
        let mut seed = Zeroizing::new([0; 32]);
        let expanded = Hkdf::<Sha256>::new(None, &*key.seed()).expand(b"muster/1 applet key", &mut *seed);
        debug_assert!(expanded.is_ok(), "32 bytes is within HKDF-SHA256's output limit");
        Self::from_seed(&seed)
    }

    /// The key of 32 stored bytes.
    pub fn from_seed(seed: &[u8; 32]) -> OpenKey {
        let secret = x25519_dalek::StaticSecret::from(*seed);
        let public = SealKey(x25519_dalek::PublicKey::from(&secret).to_bytes());
        OpenKey(secret, public)
    }

    /// The same key, for a machine that a checker goes on with twice. In a program it exists once.
    #[cfg(any(test, feature = "model"))]
    pub(crate) fn copy(&self) -> OpenKey {
        OpenKey(self.0.clone(), self.1)
    }

    /// Its public half.
    pub fn public(&self) -> SealKey {
        self.1
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenKey(of {:?})", self.public())
    }
}
