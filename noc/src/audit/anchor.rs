//! The end of the log, held fast: the root signs the hash of the last record, in the database and in a file beside it.

use super::NOTHING;
use crate::config::write_over;
use crate::error::{AsProblem, StoreError, problem};
use crate::signer::Signer;
use crate::store::{Store, audit};
use data_encoding::{BASE64, HEXLOWER};
use muster_protocol::api::Problem;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{Purpose, verify};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FILE: &str = "audit.anchor";

/// A record's number and hash, as the root signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The record.
    pub seq: u64,
    /// When it was signed, Unix seconds.
    pub time: u64,
    /// The record's hash, hexadecimal.
    pub hash: String,
    /// COSE_Sign1 by the NOC root over the JSON array of the three above, base64.
    pub signed: String,
}

/// Why an anchor is none, or was not written.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// No anchor, or not by this NOC's root.
    #[error("{} is not an anchor that this NOC has signed", path.display())]
    NotSigned {
        /// The file.
        path: PathBuf,
    },
    /// What it speaks of is not in the log any more.
    #[error("{} is of record {seq}; the records up to {up_to} were pruned", path.display())]
    Pruned {
        /// The file.
        path: PathBuf,
        /// The record.
        seq: u64,
        /// The last that was pruned.
        up_to: u64,
    },
    /// The file could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error("the audit log could not be read")]
    Store(#[from] StoreError),
}

impl AsProblem for AnchorError {
    fn problem(&self) -> Problem {
        match self {
            AnchorError::NotSigned { .. } => problem(
                422,
                "not_an_anchor",
                self,
                "Give a file that `muster-noc audit anchor` of this NOC has written.",
            ),
            AnchorError::Pruned { .. } => problem(
                409,
                "anchor_pruned",
                self,
                "Give a later anchor; compare this one with the hash of its record in what was exported.",
            ),
            AnchorError::File { .. } => problem(500, "folder_unwritable", self, "Check the path and who may use it."),
            AnchorError::Store(error) => error.problem(),
        }
    }
}

impl Anchor {
    fn payload(seq: u64, time: u64, hash: &str) -> Vec<u8> {
        serde_json::to_vec(&(seq, time, hash)).unwrap_or_default()
    }

    fn sign(signer: &Signer, seq: u64, time: u64, hash: &[u8; 32]) -> Anchor {
        let hash = HEXLOWER.encode(hash);
        let signed = BASE64.encode(&signer.anchor(Anchor::payload(seq, time, &hash)));
        Anchor { seq, time, hash, signed }
    }

    /// Whether the root has signed it.
    pub(crate) fn is_signed(&self, root: &PublicKey) -> bool {
        let Ok(signed) = BASE64.decode(self.signed.as_bytes()) else { return false };
        verify(root, Purpose::AuditAnchor, &signed) == Ok(Anchor::payload(self.seq, self.time, &self.hash))
    }
}

/// Where the anchor of a data folder is.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Reads an anchor; none when there is no such file.
pub(crate) fn read(path: &Path, root: &PublicKey) -> Result<Option<Anchor>, AnchorError> {
    let not_signed = || AnchorError::NotSigned { path: path.to_owned() };
    match std::fs::read(path) {
        Ok(bytes) => {
            let anchor: Anchor = serde_json::from_slice(&bytes).map_err(|_| not_signed())?;
            if anchor.is_signed(root) { Ok(Some(anchor)) } else { Err(not_signed()) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AnchorError::File { path: path.to_owned(), source }),
    }
}

/// Signs the end of the log if there is anything new, and keeps that in the database and in the folder. The end that is held.
pub(crate) fn checkpoint(
    store: &Store,
    signer: &Signer,
    folder: &Path,
    now: u64,
) -> Result<Option<Anchor>, AnchorError> {
    let (last, known) = store
        .read_now(|db| Ok::<_, StoreError>((audit::last(db)?, audit::checkpoints(db)?.into_iter().next_back())))?;
    let Some((seq, hash)) = last.filter(|(_, hash)| *hash != NOTHING) else { return Ok(None) };
    let path = file(folder);
    let anchor = match known.filter(|known| known.seq == seq && known.is_signed(&signer.root())) {
        Some(known) if path.exists() => return Ok(Some(known)),
        Some(known) => known,
        None => {
            let anchor = Anchor::sign(signer, seq, now, &hash);
            let kept = anchor.clone();
            store.write_now(move |db| audit::keep_checkpoint(db, &kept))?;
            anchor
        }
    };
    let mut text = serde_json::to_vec(&anchor).unwrap_or_default();
    text.push(b'\n');
    write_over(&path, &text).map_err(|source| AnchorError::File { path: path.clone(), source })?;
    Ok(Some(anchor))
}
