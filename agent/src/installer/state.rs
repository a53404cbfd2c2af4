//! What survives a power cut.

use super::owner::Owner;
use super::target::{HealthCheck, Kind};
use super::{Order, Problem};
use crate::storage::{Document, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is installed, and what is being changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// In force, by name.
    pub installed: BTreeMap<String, Version>,
    /// In force before that, and still there.
    pub former: BTreeMap<String, Version>,
    /// Begun and not ended.
    pub step: Option<Step>,
    /// What could not be installed, by name.
    pub failed: BTreeMap<String, Failure>,
    /// The plan that is carried out as far as it can be.
    pub done: Option<String>,
}

/// A version of a component that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The component.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, hexadecimal.
    pub sha256: String,
    /// How it is installed.
    pub kind: Kind,
    /// The service that is restarted.
    pub unit: Option<String>,
    /// How it is found out whether it works.
    pub health: Option<HealthCheck>,
    /// How long it may take to work.
    pub patience: Duration,
}

impl Version {
    /// What it is kept as: a version that is published again with other contents is another one.
    pub fn kept_as(&self) -> String {
        format!("{}-{}", self.version, self.sha256.get(..12).unwrap_or(&self.sha256))
    }
}

/// A version that is being brought into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// That version.
    pub to: Version,
    /// What was in force.
    pub former: Option<Version>,
    /// The plan.
    pub revision: String,
    /// How often it was begun: a version that brings the appliance down is not tried for ever.
    pub tries: u32,
    /// Why it is being taken back.
    pub back: Option<Problem>,
}

/// What could not be installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Under which plan: another one is another try.
    pub revision: String,
    /// Why.
    pub problem: Problem,
}

/// Whom and what is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trust {
    /// The owner.
    pub owner: Owner,
    /// Its repository.
    pub repository: Option<Known>,
    /// What it wants.
    pub order: Option<Order>,
}

/// What is known of a repository: it is never older than this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The number of the repository.
    pub serial: u64,
    /// SHA-256 of its first root metadata, hexadecimal.
    pub first: String,
    /// The newest root metadata, and the other roles', as they were verified.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a document; one that a later version wrote counts as none.
pub(super) fn load<T: Default + for<'a> Deserialize<'a>>(
    storage: &impl Storage,
    document: Document,
) -> Result<T, StorageError> {
    let bytes = storage.load(document)?;
    let read = bytes.as_deref().map(serde_json::from_slice).transpose().inspect_err(|error| {
        tracing::warn!(%error, ?document, "not of a form that this version knows: beginning anew");
    });
    Ok(read.ok().flatten().unwrap_or_default())
}

/// Writes a document.
pub(super) fn save(storage: &impl Storage, document: Document, value: &impl Serialize) -> Result<(), Problem> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    storage.save(document, &bytes).map_err(|error| {
        let code = if error.code() == "disk_full" { "no_space" } else { "storage" };
        Problem::passing(code, error.to_string())
    })
}
