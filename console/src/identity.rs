//! Who this console is: its keys, its certificate, and the NOC it has joined. One file that only its owner can read.

use crate::files;
use crate::problem::Explain;
use data_encoding::BASE64;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::id::ConsoleId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, ZeroizeOnDrop};

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
}

impl Explain for IdentityError {
    fn code(&self) -> String {
        match self {
            IdentityError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            IdentityError::Io { .. } => "identity_io",
            IdentityError::Damaged { .. } => "identity_damaged",
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
        let path = file(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        let stored: Stored =
            serde_json::from_slice(&bytes).map_err(|_| IdentityError::Damaged { path: path.clone() })?;
        let identity = stored.into_identity().ok_or(IdentityError::Damaged { path })?;
        Ok(Some(identity))
    }

    /// Keeps the identity in `folder`. A power cut leaves the old or the new one, whole.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec_pretty(&Stored::of(self)).unwrap_or_default());
        let path = file(folder);
        files::replace_private(&path, &bytes).map_err(|source| IdentityError::Io { path, source })
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("identity.json")
}

/// The file's form.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Stored {
    #[zeroize(skip)]
    console: ConsoleId,
    noc: String,
    ca: String,
    root: String,
    credential: String,
    certificate: String,
    seed: String,
    tls_key: String,
}

impl Stored {
    fn of(identity: &Identity) -> Stored {
        Stored {
            console: identity.console,
            noc: identity.noc.clone(),
            ca: identity.ca.clone(),
            root: identity.root.to_base64(),
            credential: BASE64.encode(&identity.credential),
            certificate: identity.certificate.clone(),
            seed: BASE64.encode(&identity.secrets.seed),
            tls_key: identity.secrets.tls_key.clone(),
        }
    }

    fn into_identity(self) -> Option<Identity> {
        let seed = zeroize::Zeroizing::new(BASE64.decode(self.seed.as_bytes()).ok()?);
        Some(Identity {
            console: self.console,
            noc: self.noc.clone(),
            ca: self.ca.clone(),
            root: PublicKey::from_base64(&self.root)?,
            credential: BASE64.decode(self.credential.as_bytes()).ok()?,
            certificate: self.certificate.clone(),
            secrets: Secrets { seed: seed.as_slice().try_into().ok()?, tls_key: self.tls_key.clone() },
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
        identity().save(folder.path()).expect("kept");
        assert_eq!(Identity::load(folder.path()).expect("read"), Some(identity()));
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
