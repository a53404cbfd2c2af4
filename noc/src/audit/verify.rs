//! Looking for forgeries: the chain from its first record, and what the root has signed of it.

use super::{Anchor, NOTHING, Record};
use crate::error::StoreError;
use crate::store::audit;
use data_encoding::HEXLOWER;
use muster_protocol::crypto::keys::PublicKey;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a search for forgeries found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records that are as they were written.
    pub good: u64,
    /// The last record that the root has signed for; nothing after it is held against being cut off.
    pub anchored: u64,
    /// The first that is not; none when all is well.
    pub broken: Option<Broken>,
}

/// The first record that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Broken {
    /// It is not there, and later ones are; or its place is another's.
    #[error("record {seq} is missing")]
    Missing {
        /// Its number.
        seq: u64,
    },
    /// It, or its hash, is not what was written.
    #[error("record {seq} is not as it was written")]
    Altered {
        /// Its number.
        seq: u64,
    },
    /// The root has signed for another record in its place: all up to here was made anew.
    #[error("record {seq} is not the one that the root has signed for")]
    NotAnchored {
        /// Its number.
        seq: u64,
    },
    /// A signature in the database is not the root's.
    #[error("the checkpoint of record {seq} is not signed by the root")]
    Checkpoint {
        /// Its number.
        seq: u64,
    },
    /// Records at the end are not there.
    #[error("the log ends before record {seq}, which was written")]
    CutOff {
        /// The first that is missing.
        seq: u64,
    },
}

/// Follows the chain. `anchors`: what is known from outside of the database.
pub(crate) fn verify(db: &Connection, root: &PublicKey, anchors: &[Anchor]) -> Result<Verdict, StoreError> {
    let mut held: BTreeMap<u64, String> = BTreeMap::new();
    for checkpoint in audit::checkpoints(db)? {
        if !checkpoint.is_signed(root) {
            let broken = Some(Broken::Checkpoint { seq: checkpoint.seq });
            return Ok(Verdict { good: 0, anchored: 0, broken });
        }
        held.insert(checkpoint.seq, checkpoint.hash);
    }
    let mut foreign = None;
    for anchor in anchors {
        if held.insert(anchor.seq, anchor.hash.clone()).is_some_and(|known| known != anchor.hash) {
            foreign = foreign.or(Some(anchor.seq));
        }
    }
    let anchored = held.keys().next_back().copied().unwrap_or(0);
    let (mut good, mut before) = (0, NOTHING);
    let mut broken = None;
    audit::each(db, |record: Record| {
        let seq = good + 1;
        broken = if record.seq != seq {
            Some(Broken::Missing { seq })
        } else if record.chained(&before) != record.hash {
            Some(Broken::Altered { seq })
        } else if foreign == Some(seq) || held.get(&seq).is_some_and(|hash| *hash != HEXLOWER.encode(&record.hash)) {
            Some(Broken::NotAnchored { seq })
        } else {
            (good, before) = (seq, record.hash);
            None
        };
        broken.is_none()
    })?;
    let written = anchored.max(audit::highest(db)?);
    if broken.is_none() && written > good {
        broken = Some(Broken::CutOff { seq: good + 1 });
    }
    Ok(Verdict { good, anchored: anchored.min(good), broken })
}
