//! HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305; base mode, or PSK mode with a claim key.

use super::claim::ClaimKey;
use super::keys::{OpenKey, SealKey};
use hmac::{Hmac, KeyInit, Mac};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

type HpkePublic = <X25519HkdfSha256 as Kem>::PublicKey;
type HpkePrivate = <X25519HkdfSha256 as Kem>::PrivateKey;
type HpkeEnc = <X25519HkdfSha256 as Kem>::EncappedKey;

const PSK_ID: &[u8] = b"muster/1 claim";
const EXPORT: &[u8] = b"muster/1 answers";

/// What is sealed; the context keeps the uses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// A config packet, to an appliance's one-time key.
    Config,
    /// Network settings in an answer, to a ping's reply key.
    Settings,
    /// An applet, to a console's key.
    Applet,
}

impl Seal {
    fn info(self) -> &'static [u8] {
        match self {
            Seal::Config => b"muster/1 config",
            Seal::Settings => b"muster/1 settings",
            Seal::Applet => b"muster/1 applet",
        }
    }
}

/// A sealed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key.
    pub enc: [u8; 32],
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// Bytes that `seal` adds to a message: encapsulated key and tag.
pub const OVERHEAD: usize = 32 + 16;

/// The key both ends export from the HPKE context; it authenticates results and kick-start. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Encode, Decode)]
#[cbor(transparent)]
pub struct ExportedKey(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl ExportedKey {
    /// A key that no packet agreed on, so that nobody makes a tag that fits.
    pub fn of_nobody(rng: &mut dyn CryptoRng) -> ExportedKey {
        ExportedKey(super::random(rng))
    }

    /// HMAC-SHA256 of `message`, cut to 16 bytes.
    pub fn tag(&self, message: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(message);
            tag.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        }
        tag
    }

    /// Compares in constant time.
    pub fn verify(&self, message: &[u8], tag: &[u8; 16]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.tag(message)[..], &tag[..]).into()
    }
}

impl fmt::Debug for ExportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportedKey(..)")
    }
}

/// A key that is not on the curve, or a message that was not sealed to this key with this claim key and these data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not open with this key and claim code")]
pub struct SealError;

/// Seals `plaintext` to `to`; `aad` is authenticated too. PSK mode if a claim key is given.
pub fn seal(
    rng: &mut dyn CryptoRng,
    what: Seal,
    to: &SealKey,
    claim: Option<&ClaimKey>,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Sealed, ExportedKey), SealError> {
    let public = HpkePublic::from_bytes(&to.0).map_err(|_| SealError)?;
    let mode = match claim {
        Some(key) => OpModeS::Psk(PskBundle::new(&key.0, PSK_ID).map_err(|_| SealError)?),
        None => OpModeS::Base,
    };
    let mut rng = rng;
    let (enc, mut context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &mode,
        &public,
        what.info(),
        &mut rng,
    )
    .map_err(|_| SealError)?;
    let ciphertext = context.seal(plaintext, aad).map_err(|_| SealError)?;
    let mut exported = ExportedKey([0; 32]);
    context.export(EXPORT, &mut exported.0).map_err(|_| SealError)?;
    let mut encapsulated = [0; 32];
    encapsulated.copy_from_slice(&enc.to_bytes());
    Ok((Sealed { enc: encapsulated, ciphertext }, exported))
}

/// Opens what was sealed to `key`.
pub fn open(
    what: Seal,
    key: &OpenKey,
    claim: Option<&ClaimKey>,
    aad: &[u8],
    sealed: &Sealed,
) -> Result<(Vec<u8>, ExportedKey), SealError> {
    let private = HpkePrivate::from_bytes(key.0.as_bytes()).map_err(|_| SealError)?;
    let enc = HpkeEnc::from_bytes(&sealed.enc).map_err(|_| SealError)?;
    let mode = match claim {
        Some(key) => OpModeR::Psk(PskBundle::new(&key.0, PSK_ID).map_err(|_| SealError)?),
        None => OpModeR::Base,
    };
    let mut context =
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&mode, &private, &enc, what.info())
            .map_err(|_| SealError)?;
    let plaintext = context.open(&sealed.ciphertext, aad).map_err(|_| SealError)?;
    let mut exported = ExportedKey([0; 32]);
    context.export(EXPORT, &mut exported.0).map_err(|_| SealError)?;
    Ok((plaintext, exported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::claim::ClaimSecret;
    use crate::test_rng::TestRng;

    #[test]
    fn opens_only_with_the_key_the_claim_and_the_data_it_was_sealed_with() {
        let mut rng = TestRng::new(1);
        let key = OpenKey::generate(&mut rng);
        let other = OpenKey::generate(&mut rng);
        let claim = ClaimSecret::generate(&mut rng).key();
        let wrong = ClaimSecret::generate(&mut rng).key();
        let (sealed, exported) =
            seal(&mut rng, Seal::Config, &key.public(), Some(&claim), b"aad", b"text").expect("valid key");
        let (text, theirs) = open(Seal::Config, &key, Some(&claim), b"aad", &sealed).expect("everything fits");
        assert_eq!(text, b"text");
        assert!(theirs.verify(b"m", &exported.tag(b"m")));
        assert!(!theirs.verify(b"n", &exported.tag(b"m")));
        assert!(open(Seal::Config, &other, Some(&claim), b"aad", &sealed).is_err());
        assert!(open(Seal::Config, &key, Some(&wrong), b"aad", &sealed).is_err());
        assert!(open(Seal::Config, &key, None, b"aad", &sealed).is_err());
        assert!(open(Seal::Config, &key, Some(&claim), b"bad", &sealed).is_err());
        assert!(open(Seal::Settings, &key, Some(&claim), b"aad", &sealed).is_err());
    }

    #[test]
    fn a_low_order_key_is_refused() {
        assert!(seal(&mut TestRng::new(1), Seal::Config, &SealKey([0; 32]), None, b"", b"x").is_err());
    }
}
