//! What a console has on disk, and the batches in which it gets there.

use crate::ledger::Invariant;
use crate::noc::Report;
use crate::world::Io;
use muster_protocol::Token;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::delivery::Outcome;
use muster_protocol::id::{Mac, Seq};
use muster_protocol::parameters::NetworkSettings;
use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) struct StoredGrant {
    pub(super) signed: Vec<u8>,
    pub(super) seq: Seq,
    pub(super) claim: Option<ClaimKey>,
    pub(super) voucher: Option<Vec<u8>>,
}

/// An appliance of an unfinished job.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) settings: NetworkSettings,
    pub(super) device_key: PublicKey,
    pub(super) mac: Mac,
    pub(super) grant: Option<StoredGrant>,
    /// Grants that came in this run.
    pub(super) grants: u32,
    pub(super) saved: Option<Vec<u8>>,
}

pub(super) enum Change {
    Grant {
        appliance: usize,
        grant: StoredGrant,
    },
    Saved {
        appliance: usize,
        bytes: Vec<u8>,
    },
    /// `ended` if a packet had been sent.
    Done {
        appliance: usize,
        report: Option<Report>,
        ended: Option<Outcome>,
    },
}

/// Changes of one transaction, and what waits for it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) tokens: Vec<(usize, Token)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// True if the appliance's part in its job ends with this batch.
    pub(super) fn ends(&self, number: usize) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Done { appliance, .. } if *appliance == number))
    }

    /// A batch that could not be stored comes first again.
    pub(super) fn put_before(&mut self, batch: Batch) {
        self.changes.splice(0..0, batch.changes);
        self.tokens.splice(0..0, batch.tokens);
    }
}

#[derive(Default)]
pub(super) struct Disk {
    pub(super) items: BTreeMap<usize, Item>,
    /// Results that the NOC has not taken yet.
    pub(super) reports: Vec<Report>,
}

impl Disk {
    /// One transaction; the tokens that waited for it.
    pub(super) fn apply(&mut self, io: &mut Io, console: usize, batch: Batch) -> Vec<(usize, Token)> {
        for change in batch.changes {
            match change {
                Change::Grant { appliance, grant } => {
                    if let Some(item) = self.items.get_mut(&appliance) {
                        item.grant = Some(grant);
                    }
                }
                Change::Saved { appliance, bytes } => {
                    if let Some(item) = self.items.get_mut(&appliance) {
                        item.saved = Some(bytes);
                    }
                }
                Change::Done { appliance, report, ended } => {
                    self.items.remove(&appliance);
                    self.reports.extend(report);
                    if let Some(outcome) = ended {
                        io.counts.ended(&outcome);
                    }
                }
            }
        }
        log!(io, "console {console} has stored");
        batch.tokens
    }

    /// A packet that leaves for the first time must be what is stored.
    pub(super) fn check_stored(&self, io: &mut Io, console: usize, appliance: usize, packet: &[u8]) {
        let saved = self.items.get(&appliance).and_then(|item| item.saved.as_ref());
        let is_stored = saved.is_some_and(|saved| saved.windows(packet.len()).any(|part| part == packet));
        if !is_stored {
            let detail = format!("console {console} sends a packet to appliance {appliance} that it has not stored");
            io.fail(Invariant::StoredFirst, detail);
        }
    }
}
