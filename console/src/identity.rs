//! Who this console is: its keys, its certificate, and the NOC it has joined.
//!
//! One file that only its owner can read. Where the system has a keyring, the secret keys are there instead.

mod keyring;

pub use keyring::KeyringError;

use crate::files;
use crate::problem::Explain;
use data_encoding::BASE64;
use keyring::Vault;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::id::ConsoleId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// An enrolled console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number at the NOC.
    pub console: ConsoleId,
    /// The NOC, `host:port`.
    pub noc: String,
    /// The NOC's CA certificate, PEM.
    pub ca: String,
    /// The NOC's root key.
    pub root: PublicKey,
    /// COSE_Sign1 by the root over the console's credential.
    pub credential: Vec<u8>,
    /// The TLS client certificate, PEM.
    pub certificate: String,
    /// What nobody else may know.
    pub secrets: Secrets,
}

/// The console's secret keys. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secrets {
    /// Seed of the Ed25519 key that signs pings, config packets and kick-starts.
    pub seed: [u8; 32],
    /// Key of the TLS client certificate, PEM.
    pub tls_key: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Why the identity cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and is not an identity.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The secret keys are in the keyring and it does not give them.
    #[error("the keys of this console cannot be read from the keyring")]
    Keyring {
        /// Why.
        source: KeyringError,
    },
}

impl Explain for IdentityError {
    fn code(&self) -> String {
        match self {
            IdentityError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            IdentityError::Io { .. } => "identity_io",
            IdentityError::Damaged { .. } => "identity_damaged",
            IdentityError::Keyring { .. } => "keyring",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            IdentityError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "Make room on that disk."
            }
            IdentityError::Io { .. } => "Check the permissions of the data folder, or choose another with --data-dir.",
            IdentityError::Damaged { .. } => "Move the file away and join the NOC again with a new invite.",
            IdentityError::Keyring { .. } => {
                "Unlock the keyring and start Muster in the session that has it, or move identity.json away and join again."
            }
        }
        .to_owned()
    }
}

impl Identity {
    /// The key that signs.
    pub fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.secrets.seed)
    }

    /// Reads the identity kept in `folder`; `None` when this console has not joined a NOC.
    pub fn load(folder: &Path) -> Result<Option<Identity>, IdentityError> {
        Identity::load_with(folder, &keyring::System)
    }

    /// Keeps the identity in `folder`, its secret keys in the system's keyring if that is wanted and there is one. A power
    /// cut leaves the old or the new one, whole.
    pub fn save(&self, folder: &Path, keyring: bool) -> Result<(), IdentityError> {
        self.save_with(folder, if keyring { &keyring::System } else { &keyring::Off })
    }

    fn load_with(folder: &Path, vault: &dyn Vault) -> Result<Option<Identity>, IdentityError> {
        let path = file(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        let damaged = || IdentityError::Damaged { path: path.clone() };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let secrets = match &stored.keys {
            StoredKeys::Here(secrets) => secrets.clone(),
            StoredKeys::Keyring(name) => {
                let text = vault.get(name).map_err(|source| IdentityError::Keyring { source })?;
                serde_json::from_str(&text).map_err(|_| damaged())?
            }
        };
        stored.into_identity(&secrets).map(Some).ok_or_else(damaged)
    }

    fn save_with(&self, folder: &Path, vault: &dyn Vault) -> Result<(), IdentityError> {
        let secrets = StoredSecrets::of(&self.secrets);
        let stored = Stored::of(self, keep_in(vault, &self.key().public(), secrets));
        let bytes = Zeroizing::new(serde_json::to_vec_pretty(&stored).unwrap_or_default());
        let path = file(folder);
        files::replace_private(&path, &bytes).map_err(|source| IdentityError::Io { path, source })
    }
}

/// True unless `MUSTER_KEYRING` says `off`, or this is a session without a bus, where no keyring could answer.
pub fn keyring_wanted() -> bool {
    let off = std::env::var_os("MUSTER_KEYRING").is_some_and(|value| value == "off");
    let bus = !cfg!(target_os = "linux") || std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    !off && bus
}

/// In the keyring if that takes them and gives them back, else here.
fn keep_in(vault: &dyn Vault, key: &PublicKey, secrets: StoredSecrets) -> StoredKeys {
    let name = format!("console {}", key.to_base64());
    let text = Zeroizing::new(serde_json::to_string(&secrets).unwrap_or_default());
    match vault.put(&name, &text).and_then(|()| vault.get(&name)) {
        Ok(back) if back == text => return StoredKeys::Keyring(name),
        Ok(_) => tracing::warn!("the keyring does not give back what it was given; the file keeps the keys"),
        Err(KeyringError::Off) => {}
        Err(error) => {
            tracing::info!(error = %crate::problem::chain(&error), "no keyring; the file keeps the keys");
        }
    }
    StoredKeys::Here(secrets)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("identity.json")
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Stored {
    console: ConsoleId,
    noc: String,
    ca: String,
    root: String,
    credential: String,
    certificate: String,
    keys: StoredKeys,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKeys {
    Here(StoredSecrets),
    /// The entry's name.
    Keyring(String),
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredSecrets {
    seed: String,
    tls_key: String,
}

impl StoredSecrets {
    fn of(secrets: &Secrets) -> StoredSecrets {
        StoredSecrets { seed: BASE64.encode(&secrets.seed), tls_key: secrets.tls_key.clone() }
    }

    fn read(&self) -> Option<Secrets> {
        let seed = Zeroizing::new(BASE64.decode(self.seed.as_bytes()).ok()?);
        Some(Secrets { seed: seed.as_slice().try_into().ok()?, tls_key: self.tls_key.clone() })
    }
}

impl Stored {
    fn of(identity: &Identity, keys: StoredKeys) -> Stored {
        Stored {
            console: identity.console,
            noc: identity.noc.clone(),
            ca: identity.ca.clone(),
            root: identity.root.to_base64(),
            credential: BASE64.encode(&identity.credential),
            certificate: identity.certificate.clone(),
            keys,
        }
    }

    fn into_identity(self, secrets: &StoredSecrets) -> Option<Identity> {
        Some(Identity {
            console: self.console,
            noc: self.noc,
            ca: self.ca,
            root: PublicKey::from_base64(&self.root)?,
            credential: BASE64.decode(self.credential.as_bytes()).ok()?,
            certificate: self.certificate,
            secrets: secrets.read()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            console: ConsoleId(4),
            noc: "noc.example.net:8443".into(),
            ca: "ca".into(),
            root: PublicKey([1; 32]),
            credential: vec![1, 2, 3],
            certificate: "certificate".into(),
            secrets: Secrets { seed: [2; 32], tls_key: "tls key".into() },
        }
    }

    #[test]
    fn it_reads_back_what_it_kept() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(Identity::load(folder.path()).expect("nothing yet"), None);
        identity().save(folder.path(), false).expect("kept");
        assert_eq!(Identity::load(folder.path()).expect("read"), Some(identity()));
    }

    #[derive(Default)]
    struct Memory {
        entries: std::cell::RefCell<std::collections::BTreeMap<String, String>>,
        forgets: bool,
    }

    impl Vault for Memory {
        fn put(&self, name: &str, secret: &str) -> Result<(), KeyringError> {
            if !self.forgets {
                self.entries.borrow_mut().insert(name.to_owned(), secret.to_owned());
            }
            Ok(())
        }

        fn get(&self, name: &str) -> Result<Zeroizing<String>, KeyringError> {
            self.entries.borrow().get(name).cloned().map(Zeroizing::new).ok_or(KeyringError::Silent)
        }
    }

    #[test]
    fn a_keyring_holds_the_keys_and_the_file_does_not() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let vault = Memory::default();
        identity().save_with(folder.path(), &vault).expect("kept");
        let text = std::fs::read_to_string(file(folder.path())).expect("written");
        assert!(!text.contains("tls key") && !text.contains("seed"), "{text}");
        assert_eq!(Identity::load_with(folder.path(), &vault).expect("read"), Some(identity()));
        let error = Identity::load_with(folder.path(), &keyring::Off).expect_err("no keyring");
        assert_eq!(error.problem().code, "keyring");
        assert!(!error.problem().remedy.is_empty());
    }

    #[test]
    fn a_keyring_that_forgets_is_not_trusted_with_the_keys() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let vault = Memory { forgets: true, ..Memory::default() };
        identity().save_with(folder.path(), &vault).expect("kept");
        assert_eq!(Identity::load_with(folder.path(), &keyring::Off).expect("read"), Some(identity()));
    }

    #[test]
    fn a_damaged_file_is_told_and_left_alone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(file(folder.path()), b"{").expect("written");
        let error = Identity::load(folder.path()).expect_err("damaged");
        assert_eq!(error.problem().code, "identity_damaged");
        assert!(!error.problem().remedy.is_empty());
        assert_eq!(std::fs::read(file(folder.path())).expect("still there"), b"{");
    }

    #[test]
    fn no_secret_is_printed() {
        assert!(!format!("{:?}", identity()).contains("tls key"));
    }
}
