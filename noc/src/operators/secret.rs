//! What sessions and API tokens carry: random texts, of which the NOC keeps only hashes.

use crate::random::{self, NoEntropy};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const SESSION: &str = "muster_session_";
const TOKEN: &str = "muster_token_";
/// Characters of 32 bytes in base64url.
const LENGTH: usize = 43;

/// What a client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Session([u8; 32]),
    Token([u8; 32]),
}

/// A new secret for a session, shown once.
pub(crate) fn session() -> Result<String, NoEntropy> {
    new(SESSION)
}

/// A new secret for an API token, shown once.
pub(crate) fn token() -> Result<String, NoEntropy> {
    new(TOKEN)
}

fn new(kind: &str) -> Result<String, NoEntropy> {
    Ok(format!("{kind}{}", BASE64URL_NOPAD.encode(&random::bytes::<32>()?)))
}

/// What the NOC keeps of a secret. A random one of 256 bits needs no slow hash.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Reads what a client shows; none for what was never one of ours.
pub(crate) fn read(text: &str) -> Option<Shown> {
    let of = |kind| text.strip_prefix(kind).filter(|rest: &&str| rest.len() == LENGTH).map(|_| hash(text));
    of(SESSION).map(Shown::Session).or_else(|| of(TOKEN).map(Shown::Token))
}

/// What a browser has to send along with its cookie when it changes something. It follows from the cookie, which another site's
/// page can have sent but not read.
pub(crate) fn csrf(session: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"muster csrf\0");
    hash.update(session);
    BASE64URL_NOPAD.encode(&hash.finalize())
}

/// Compares without telling by the time how much was right.
pub(crate) fn is_csrf_of(session: &str, shown: &str) -> bool {
    csrf(session).as_bytes().ct_eq(shown.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_what_it_is() {
        let (a, b) = (session().expect("entropy"), token().expect("entropy"));
        assert_eq!(read(&a), Some(Shown::Session(hash(&a))));
        assert_eq!(read(&b), Some(Shown::Token(hash(&b))));
        for wrong in ["", "muster_session_", "x", &a[..a.len() - 1], &format!("{a}x"), &a.replace("session", "other")] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_browsers_proof_belongs_to_one_session() {
        let (a, b) = (session().expect("entropy"), session().expect("entropy"));
        assert!(is_csrf_of(&a, &csrf(&a)));
        assert!(!is_csrf_of(&a, &csrf(&b)) && !is_csrf_of(&a, "") && !is_csrf_of(&a, &a));
    }
}
