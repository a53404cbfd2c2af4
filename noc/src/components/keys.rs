//! Keys of the repository: each is the 32 bytes of an Ed25519 seed in base64, in a file that only its owner can read.

use super::ComponentError;
use crate::config::{OpenError, check_private, create_private};
use crate::random;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;
use tough::schema::Signature;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use zeroize::{Zeroize, Zeroizing};

/// The NOC's own keys, in its data folder.
pub(crate) const FILE: &str = "components.key";
/// Those that follow them once a root names them.
pub(crate) const NEXT: &str = "components.key.next";

/// One key that signs metadata.
pub struct TufKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl TufKey {
    /// A new one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate() -> Result<TufKey, ComponentError> {
        TufKey::of_seed(Zeroizing::new(random::bytes().map_err(|_| ComponentError::NoEntropy)?))
            .ok_or(ComponentError::NoEntropy)
    }

    fn of_seed(seed: Zeroizing<[u8; 32]>) -> Option<TufKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        Some(TufKey { pair, seed })
    }

    fn of_text(text: &str) -> Option<TufKey> {
        let seed = Zeroizing::new(BASE64.decode(text.trim().as_bytes()).ok()?);
        TufKey::of_seed(Zeroizing::new(seed.as_slice().try_into().ok()?))
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&*self.seed))
    }

    /// Reads one; refuses when others can read it.
    ///
    /// # Errors
    /// Names the file.
    pub fn read(path: &Path) -> Result<TufKey, ComponentError> {
        let text = read_private(path)?;
        let bad = || ComponentError::BadKey { path: path.to_owned(), why: "it is not 32 bytes in base64".to_owned() };
        TufKey::of_text(&text).ok_or_else(bad)
    }

    /// Writes it to a file that must not be there yet.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<(), ComponentError> {
        create_private(path, self.text().as_bytes()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => ComponentError::KeyThere { path: path.to_owned() },
            _ => ComponentError::Write { path: path.to_owned(), source },
        })
    }

    /// The public key, as roots name it: hexadecimal.
    pub fn public(&self) -> String {
        HEXLOWER.encode(self.pair.public_key().as_ref())
    }

    /// A signature over what a role's canonical form is.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Signature, ComponentError> {
        let sig = self.pair.sign(data).as_ref().to_vec().into();
        Ok(Signature { keyid: key_id(&public_key(&self.public())?)?, sig })
    }
}

/// The public keys of the roles that the NOC signs itself: what a root has to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlinePublic {
    /// Ed25519, hexadecimal.
    pub targets: String,
    /// Ed25519, hexadecimal.
    pub snapshot: String,
    /// Ed25519, hexadecimal.
    pub timestamp: String,
}

/// The keys of the roles that the NOC signs itself.
pub(crate) struct Online {
    pub(crate) targets: TufKey,
    pub(crate) snapshot: TufKey,
    pub(crate) timestamp: TufKey,
}

/// How they lie in their file.
#[derive(Serialize, Deserialize)]
struct Seeds {
    targets: String,
    snapshot: String,
    timestamp: String,
}

impl Drop for Seeds {
    fn drop(&mut self) {
        for seed in [&mut self.targets, &mut self.snapshot, &mut self.timestamp] {
            seed.zeroize();
        }
    }
}

/// None if there is no such file.
fn read_file(path: &Path) -> Result<Option<Online>, ComponentError> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let text = read_private(path)?;
    let bad = || ComponentError::BadKey { path: path.to_owned(), why: "it does not hold the three keys".to_owned() };
    let seeds: Seeds = serde_json::from_str(&text).map_err(|_| bad())?;
    let read = |text: &str| TufKey::of_text(text).ok_or_else(bad);
    let (targets, snapshot, timestamp) = (read(&seeds.targets)?, read(&seeds.snapshot)?, read(&seeds.timestamp)?);
    Ok(Some(Online { targets, snapshot, timestamp }))
}

impl Online {
    /// Those in a data folder that fit a root. New ones that a root has brought into force take the place of the former.
    pub(crate) fn for_root(folder: &Path, wanted: &OnlinePublic) -> Result<Online, ComponentError> {
        let (online, is_next) = Online::look(folder, wanted)?;
        if is_next {
            let path = folder.join(FILE);
            fs::rename(folder.join(NEXT), &path).map_err(|source| ComponentError::Write { path, source })?;
        }
        Ok(online)
    }

    /// The same, changing nothing; whether it is the new ones.
    pub(crate) fn look(folder: &Path, wanted: &OnlinePublic) -> Result<(Online, bool), ComponentError> {
        for (name, is_next) in [(FILE, false), (NEXT, true)] {
            if let Some(online) = read_file(&folder.join(name))?.filter(|online| online.public() == *wanted) {
                return Ok((online, is_next));
            }
        }
        let why = "they are not there, or not those that the root names: make a successor that names them".to_owned();
        Err(ComponentError::BadKey { path: folder.join(FILE), why })
    }

    /// Those in a data folder, made if there are none yet; `renewed`: those that are to follow them.
    pub(crate) fn make(folder: &Path, renewed: bool) -> Result<Online, ComponentError> {
        let path = folder.join(if renewed { NEXT } else { FILE });
        if let Some(online) = read_file(&path)? {
            return Ok(online);
        }
        let (targets, snapshot, timestamp) = (TufKey::generate()?, TufKey::generate()?, TufKey::generate()?);
        let [of_targets, of_snapshot, of_timestamp] =
            [&targets, &snapshot, &timestamp].map(|key| key.text().to_string());
        let seeds = Seeds { targets: of_targets, snapshot: of_snapshot, timestamp: of_timestamp };
        // Three texts always serialise.
        let text = Zeroizing::new(serde_json::to_vec(&seeds).unwrap_or_default());
        create_private(&path, &text).map_err(|source| ComponentError::Write { path, source })?;
        Ok(Online { targets, snapshot, timestamp })
    }

    pub(crate) fn public(&self) -> OnlinePublic {
        OnlinePublic {
            targets: self.targets.public(),
            snapshot: self.snapshot.public(),
            timestamp: self.timestamp.public(),
        }
    }
}

/// A public key out of its hexadecimal form.
pub(crate) fn public_key(text: &str) -> Result<Key, ComponentError> {
    let bad = || ComponentError::invalid("key", "is not an Ed25519 public key in hexadecimal");
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| bad())?;
    if bytes.len() != 32 {
        return Err(bad());
    }
    HEXLOWER.encode(&bytes).parse().map_err(|_| bad())
}

/// A public key in the one form in which it is compared.
pub(crate) fn public_text(text: &str) -> Result<String, ComponentError> {
    public_key(text).map(|_| text.trim().to_ascii_lowercase())
}

pub(crate) fn key_id(key: &Key) -> Result<Decoded<Hex>, ComponentError> {
    key.key_id().map_err(|error| ComponentError::Metadata { why: error.to_string() })
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, ComponentError> {
    check_private(path).map_err(|error| match error {
        OpenError::Read { path, source } => ComponentError::Read { path, source },
        other => ComponentError::BadKey { path: path.to_owned(), why: other.to_string() },
    })?;
    let text = fs::read_to_string(path).map(Zeroizing::new);
    text.map_err(|source| ComponentError::Read { path: path.to_owned(), source })
}
