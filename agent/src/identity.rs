//! Who this appliance is: made once, at first boot.

use crate::entropy::OsEntropy;
use crate::storage::{Document, Storage, StorageError};
use muster_protocol::crypto::claim::{ClaimError, ClaimSecret};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::random;
use muster_protocol::id::Uid;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The device key, which never leaves the appliance, and the claim secret of its label.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The device key.
    pub device: SecretKey,
    /// The label's secret.
    pub claim: ClaimSecret,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It could not be read or written. A new one is never made in place of one that is there.
    #[error("the identity could not be loaded")]
    Storage(#[from] StorageError),
    /// It was read, but makes no sense.
    #[error("the stored identity is not of a form that this version knows. Restore the state folder from a backup")]
    Form,
    /// The image names a file with the claim code, which cannot be read.
    #[error("the image's claim code {path} cannot be read. Put the label code there, or remove the option")]
    ClaimFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The image's claim code is none.
    #[error("the image's claim code {path} is not usable")]
    ClaimCode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ClaimError,
    },
}

impl IdentityError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            IdentityError::Storage(error) => error.code(),
            IdentityError::Form => "identity_form",
            IdentityError::ClaimFile { .. } => "claim_file_unreadable",
            IdentityError::ClaimCode { .. } => "claim_code_bad",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    device_seed: String,
    claim: String,
}

impl Identity {
    /// The stored identity; at first boot a new one, stored before it is returned. `given_claim`: a file of the image with
    /// the label code that the factory printed.
    pub fn load_or_make(storage: &impl Storage, given_claim: Option<&Path>) -> Result<Identity, IdentityError> {
        if let Some(bytes) = storage.load(Document::Identity)? {
            return Identity::from_stored(&bytes).ok_or(IdentityError::Form);
        }
        let mut rng = OsEntropy;
        let claim = match given_claim {
            Some(path) => read_claim(path)?,
            None => ClaimSecret::generate(&mut rng),
        };
        let identity = Identity { device: SecretKey::generate(&mut rng), claim };
        storage.save(Document::Identity, &identity.to_stored())?;
        Ok(identity)
    }

    /// An identity that is the same for the same seed: for the practice fleet.
    pub fn from_rng(rng: &mut dyn rand_core::CryptoRng) -> Identity {
        let device = SecretKey::from_seed(&random(rng));
        Identity { device, claim: ClaimSecret::generate(rng) }
    }

    /// The UID.
    pub fn uid(&self) -> Uid {
        Uid::of(&self.device.public())
    }

    fn to_stored(&self) -> Vec<u8> {
        let device_seed = data_encoding::BASE64.encode(&self.device.seed()[..]);
        // Two strings always serialise.
        serde_json::to_vec(&Stored { device_seed, claim: self.claim.reveal() }).unwrap_or_default()
    }

    fn from_stored(bytes: &[u8]) -> Option<Identity> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let seed = data_encoding::BASE64.decode(stored.device_seed.as_bytes()).ok()?;
        Some(Identity { device: SecretKey::from_seed(&seed.try_into().ok()?), claim: stored.claim.parse().ok()? })
    }
}

fn read_claim(path: &Path) -> Result<ClaimSecret, IdentityError> {
    let unreadable = |source| IdentityError::ClaimFile { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.trim().parse().map_err(|source| IdentityError::ClaimCode { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn the_identity_is_made_once() {
        let storage = MemoryStorage::default();
        let first = Identity::load_or_make(&storage, None).expect("made");
        let second = Identity::load_or_make(&storage, None).expect("loaded");
        assert_eq!(first.uid(), second.uid());
        assert_eq!(first.claim, second.claim);
        let other = Identity::load_or_make(&MemoryStorage::default(), None).expect("made");
        assert_ne!(first.uid(), other.uid());
        assert_ne!(first.claim, other.claim);
    }

    #[test]
    fn the_image_may_give_the_claim_code_of_a_printed_label() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("claim");
        let printed = ClaimSecret::generate(&mut OsEntropy);
        std::fs::write(&path, printed.reveal() + "\n").expect("written");
        let made = Identity::load_or_make(&MemoryStorage::default(), Some(&path)).expect("made");
        assert_eq!(made.claim, printed);

        let load = |path: &Path| Identity::load_or_make(&MemoryStorage::default(), Some(path)).expect_err("refused");
        std::fs::write(&path, "ABCD").expect("written");
        let error = load(&path);
        assert_eq!(error.code(), "claim_code_bad");
        assert!(!error.to_string().contains("ABCD"), "a claim code never shows up in an error");
        assert_eq!(load(&folder.path().join("missing")).code(), "claim_file_unreadable");
    }

    #[test]
    fn a_damaged_identity_is_never_replaced_by_a_new_one() {
        let storage = MemoryStorage::default();
        storage.save(Document::Identity, b"{}").expect("saved");
        assert_eq!(Identity::load_or_make(&storage, None).expect_err("refused").code(), "identity_form");
        assert_eq!(storage.load(Document::Identity).expect("kept").as_deref(), Some(&b"{}"[..]));
    }
}
