//! Looking for forgeries: the chain from its first record, or from where the root has signed that it begins, and what the root has
//! signed of it.

use super::{Anchor, Cut, NOTHING, Record};
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
    /// Where the log begins since its first records were pruned, as the root has signed it.
    pub cut: Option<Cut>,
    /// The last of the records that are as they were written.
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
    /// The root has not signed that the log begins after this record.
    #[error("the records up to {seq} are missing, and the root has not signed that they were pruned")]
    Cut {
        /// The record.
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
    let cut = audit::cut(db)?;
    let begins = cut.as_ref().map_or(0, |cut| cut.seq);
    let hash = cut.as_ref().map_or(Some(NOTHING), Cut::hash_bytes);
    let Some(first) = hash.filter(|_| cut.as_ref().is_none_or(|cut| cut.is_signed(root))) else {
        return Ok(Verdict { cut, good: 0, anchored: 0, broken: Some(Broken::Cut { seq: begins }) });
    };
    let mut held: BTreeMap<u64, String> = BTreeMap::new();
    for checkpoint in audit::checkpoints(db)? {
        if !checkpoint.is_signed(root) {
            let broken = Some(Broken::Checkpoint { seq: checkpoint.seq });
            return Ok(Verdict { cut, good: begins, anchored: 0, broken });
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
    let (mut good, mut before) = (begins, first);
    // Somebody may know better which record was the last to be pruned.
    let other = cut.as_ref().filter(|cut| held.get(&begins).is_some_and(|hash| *hash != cut.hash));
    let mut broken = other.map(|cut| Broken::NotAnchored { seq: cut.seq });
    if broken.is_some() {
        return Ok(Verdict { cut, good, anchored: 0, broken });
    }
    audit::each(db, cut.as_ref(), |record: Record| {
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
    Ok(Verdict { cut, good, anchored: anchored.min(good), broken })
}
