//! Passwords: what is one, and Argon2id.
//!
//! Every comparison costs the same, whether there is such an operator or not.

use crate::random::{self, NoEntropy};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Fewest and most characters.
pub(crate) const SHORTEST: usize = 12;
pub(crate) const LONGEST: usize = 128;
/// 19 MiB, two passes: what OWASP asks for.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Comparisons at the same time, and those that may wait for their turn.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too short, or too long.
    #[error("a password has {SHORTEST} to {LONGEST} characters")]
    Length,
    /// It is the name that is signed in with, or one character again and again.
    #[error("the password is the sign-in name or one character repeated")]
    Guessable,
    /// The operating system gave no random bytes, or no memory.
    #[error("the password could not be kept safely")]
    Unkept,
}

impl From<NoEntropy> for PasswordError {
    fn from(_: NoEntropy) -> Self {
        PasswordError::Unkept
    }
}

/// The hash of nobody's password.
static NOBODY: LazyLock<Option<String>> =
    LazyLock::new(|| random::bytes::<32>().ok().and_then(|bytes| hash_bytes(&bytes).ok()));

/// Checks a new password by the rules, and hashes it: tens of milliseconds.
pub(crate) fn hash(login: &str, password: &str) -> Result<String, PasswordError> {
    let count = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&count) {
        return Err(PasswordError::Length);
    }
    let mut others = password.chars().skip(1);
    let is_one_character = others.all(|c| password.starts_with(c));
    let name = login.split('@').next().unwrap_or(login);
    if is_one_character || password.eq_ignore_ascii_case(login) || password.eq_ignore_ascii_case(name) {
        return Err(PasswordError::Guessable);
    }
    hash_bytes(password.as_bytes())
}

fn hash_bytes(password: &[u8]) -> Result<String, PasswordError> {
    let salt = random::bytes::<16>()?;
    let hashed = argon2()?.hash_password_with_salt(password, &salt).map_err(|_| PasswordError::Unkept)?;
    Ok(hashed.to_string())
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| PasswordError::Unkept)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a password is the one that was hashed. Without a hash it takes as long, and is not.
pub(crate) fn verify(hashed: Option<&str>, password: &str) -> bool {
    let known = hashed.is_some();
    let Some(hashed) = hashed.or(NOBODY.as_deref()) else { return false };
    let (Ok(hashed), Ok(argon2)) = (PasswordHash::new(hashed), argon2()) else { return false };
    argon2.verify_password(password.as_bytes(), &hashed).is_ok() && known
}

/// Bounds the memory and processors that comparisons take, however many ask.
#[derive(Clone)]
pub(crate) struct Comparisons {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Comparisons {
    fn default() -> Self {
        // The first comparison must not take longer than the others.
        std::thread::spawn(|| LazyLock::force(&NOBODY).is_some());
        Comparisons { running: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl Comparisons {
    /// Runs what takes long on a thread that may wait; none when too many wait already.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _place = self.places.try_acquire().ok()?;
        let running = self.running.clone().acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        });
        done.await.ok()
    }

    /// [`verify`], on such a thread.
    pub(crate) async fn verify(&self, hashed: Option<String>, password: Zeroizing<String>) -> Option<bool> {
        self.run(move || verify(hashed.as_deref(), &password)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_password_is_kept_as_argon2id_with_a_salt_of_its_own() {
        let hashed = hash("anna", "correct horse battery").expect("good");
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hashed, hash("anna", "correct horse battery").expect("good"));
        assert!(verify(Some(&hashed), "correct horse battery"));
        assert!(!verify(Some(&hashed), "correct horse batterz") && !verify(Some("nonsense"), "x") && !verify(None, ""));
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let long = "x1".repeat(65);
        for short in ["", "elevenchars", &long] {
            assert_eq!(hash("anna", short), Err(PasswordError::Length), "{short}");
        }
        for guessable in ["aaaaaaaaaaaaa", "anna@example", "ANNA@EXAMPLE"] {
            assert_eq!(hash("anna@example", guessable), Err(PasswordError::Guessable), "{guessable}");
        }
        assert!(hash("anna", &"é7".repeat(6)).is_ok(), "characters count, not bytes");
    }

    #[test]
    fn who_does_not_exist_costs_as_much_as_who_does() {
        let hashed = hash("anna", "correct horse battery").expect("good");
        // The shortest of several times: whatever else this machine does only makes one longer.
        let shortest = |known: Option<&str>| {
            let time = |_| {
                let start = Instant::now();
                assert!(!verify(known, "wrong, and long enough"));
                start.elapsed()
            };
            (0..9).map(time).min().unwrap_or(Duration::ZERO)
        };
        verify(None, "");
        let (known, unknown) = (shortest(Some(&hashed)), shortest(None));
        // Without the comparison with nobody's hash, it would be a thousandth.
        assert!(unknown * 4 > known && known * 4 > unknown, "{known:?} {unknown:?}");
    }
}
