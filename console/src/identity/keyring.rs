//! The keyring of the system, where there is one: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//!
//! A keyring may ask the user to unlock it, or never answer at all; so every call has an end.

use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

const SERVICE: &str = "muster";
/// Long enough for somebody to type a password.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a keyring did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// None there, locked, or without this entry.
    #[error("the keyring refuses")]
    Refused(#[from] keyring::Error),
    /// No answer.
    #[error("the keyring does not answer")]
    Silent,
    /// Switched off with `MUSTER_KEYRING=off`.
    #[error("the keyring is switched off")]
    Off,
}

/// A place for secrets.
pub(super) trait Vault {
    /// Keeps a secret.
    fn put(&self, name: &str, secret: &str) -> Result<(), KeyringError>;
    /// Gives it back.
    fn get(&self, name: &str) -> Result<Zeroizing<String>, KeyringError>;
}

/// The system's.
pub(super) struct System;

impl Vault for System {
    fn put(&self, name: &str, secret: &str) -> Result<(), KeyringError> {
        let (name, secret) = (name.to_owned(), Zeroizing::new(secret.to_owned()));
        patiently(move || Ok(keyring::Entry::new(SERVICE, &name)?.set_password(&secret)?))
    }

    fn get(&self, name: &str) -> Result<Zeroizing<String>, KeyringError> {
        let name = name.to_owned();
        patiently(move || Ok(Zeroizing::new(keyring::Entry::new(SERVICE, &name)?.get_password()?)))
    }
}

/// No keyring.
pub(super) struct Off;

impl Vault for Off {
    fn put(&self, _: &str, _: &str) -> Result<(), KeyringError> {
        Err(KeyringError::Off)
    }

    fn get(&self, _: &str) -> Result<Zeroizing<String>, KeyringError> {
        Err(KeyringError::Off)
    }
}

/// On a thread of its own, which is left behind if it never ends.
fn patiently<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    wait.recv_timeout(PATIENCE).unwrap_or(Err(KeyringError::Silent))
}
