//! The claim secret: 80 random bits on the label, which prove ownership without ever crossing the network.

use crate::id::{base32_letters, write_groups};
use data_encoding::BASE32_NOPAD;
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 80 random bits. Printed as five groups of four: sixteen letters of secret, four of check.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ClaimSecret([u8; 10]);

/// Why a typed label code is refused. Never repeats what was typed: it may be nearly right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Wrong length or letters.
    #[error("a label code has 20 letters A-Z and digits 2-7 in five groups; this has {letters}")]
    Form {
        /// How many characters there were.
        letters: usize,
    },
    /// The check letters do not fit: mistyped.
    #[error("the label code is mistyped: its last group does not fit the others")]
    Check,
}

impl ClaimSecret {
    /// A new secret.
    pub fn generate(rng: &mut dyn CryptoRng) -> ClaimSecret {
        ClaimSecret(super::random(rng))
    }

    /// The code as printed on the label: `ABCD-EFGH-IJKL-MNOP-QRST`. Called by whoever may show it, so not `Display`.
    pub fn reveal(&self) -> String {
        struct Groups(String);
        impl fmt::Display for Groups {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_groups(f, &self.0)
            }
        }
        Groups(BASE32_NOPAD.encode(&self.0) + &self.check()).to_string()
    }

    /// The key that a config packet's HPKE uses as its pre-shared key.
    pub fn key(&self) -> ClaimKey {
        let mut key = ClaimKey([0; 32]);
        let expanded = Hkdf::<Sha256>::new(None, &self.0).expand(b"muster/1 claim", &mut key.0);
        debug_assert!(expanded.is_ok(), "32 bytes is within HKDF-SHA256's output limit");
        key
    }

    fn check(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"muster label check");
        hash.update(self.0);
        BASE32_NOPAD.encode(&hash.finalize()[..5])[..4].to_owned()
    }
}

impl FromStr for ClaimSecret {
    type Err = ClaimError;
    fn from_str(text: &str) -> Result<Self, ClaimError> {
        let letters = base32_letters(text);
        if letters.len() != 20 {
            return Err(ClaimError::Form { letters: letters.len() });
        }
        let bytes = BASE32_NOPAD.decode(&letters[..16]).map_err(|_| ClaimError::Form { letters: 20 })?;
        let secret = ClaimSecret(bytes.try_into().map_err(|_| ClaimError::Form { letters: 20 })?);
        if secret.check().as_bytes() != &letters[16..] {
            return Err(ClaimError::Check);
        }
        Ok(secret)
    }
}

impl fmt::Debug for ClaimSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimSecret(..)")
    }
}

/// The pre-shared key derived from a claim secret. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ClaimKey(pub [u8; 32]);

impl fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_code_reads_back_and_tells_a_typing_error() {
        let secret = ClaimSecret([9; 10]);
        let code = secret.reveal();
        assert_eq!(code.len(), 24);
        assert_eq!(code.parse::<ClaimSecret>().expect("printed"), secret);
        assert_eq!(code.to_lowercase().replace('-', "").parse::<ClaimSecret>().expect("typed"), secret);
        let flipped = if code.starts_with('A') { "B" } else { "A" }.to_owned() + &code[1..];
        assert_eq!(flipped.parse::<ClaimSecret>(), Err(ClaimError::Check));
        assert_eq!("ABC".parse::<ClaimSecret>(), Err(ClaimError::Form { letters: 3 }));
        assert!(!format!("{secret:?} {:?}", secret.key()).contains(&code[..4]));
    }
}
