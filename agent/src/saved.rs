//! What an agent that may run has on disk, for commands beside it.

use crate::agent::StartError;
use crate::config::Config;
use crate::entropy::OsEntropy;
use crate::identity::Identity;
use crate::storage::{Document, FileStorage, Storage};
use muster_protocol::appliance::{Appliance, Profile};
use muster_protocol::id::{BootId, Mac};
use muster_protocol::time::Millis;

/// As it would start.
pub(crate) struct Saved {
    pub(crate) appliance: Appliance,
}

impl Saved {
    /// Reads; an identity is made if there is none.
    pub(crate) fn load(config: &Config, storage: &FileStorage) -> anyhow::Result<Saved> {
        let identity = Identity::load_or_make(storage, config.claim_file.as_deref())?;
        let saved = storage.load(Document::Appliance)?;
        let profile = Profile {
            device: identity.device,
            mac: Mac([0; 6]),
            boot: BootId([0; 16]),
            proof: config.proof,
            claim: None,
            vendor: None,
        };
        let appliance = Appliance::new(Millis(0), profile, saved.as_deref(), OsEntropy::boxed());
        Ok(Saved { appliance: appliance.map_err(StartError::State)? })
    }
}
