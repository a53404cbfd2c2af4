//! The network as it was before a configuration, kept on disk until that is final.

use super::back_end::{self, BackEnd, Place};
use super::files::{self, FormerFile};
use super::netlink::{Netlink, Snapshot};
use super::{NetworkError, host_name, resolver, time_servers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long the former state must hold after a roll-back: a daemon may still be at work.
pub(super) const HOLDS: Duration = Duration::from_millis(600);
/// How often it is restored when a daemon changes it again; then the daemon is believed.
const RESTORES: usize = 5;

/// The former state.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Former {
    pub(super) interface: String,
    pub(super) host_name: String,
    pub(super) network: Snapshot,
    pub(super) files: Vec<FormerFile>,
    #[serde(default)]
    pub(super) back_end: BackEnd,
    #[serde(default)]
    pub(super) condition: back_end::Condition,
    #[serde(default)]
    pub(super) resolver: resolver::Condition,
    /// What a vendor's program told; then it is everything.
    #[serde(default)]
    pub(super) exec: Option<Value>,
}

impl Former {
    /// The state of an appliance that has no owner: there is nothing to restore.
    pub(super) fn is_forgotten(&self) -> bool {
        self.files.is_empty()
    }

    /// Tells the daemons; the kernel is compared by [`Former::hold`].
    pub(super) async fn bring_back(&self, place: Place<'_>, netlink: &Netlink, index: u32) -> Result<(), NetworkError> {
        self.back_end.bring_back(place, netlink, index, (&self.condition, &self.network)).await?;
        let lasting = self.files.iter().find(|file| file.path() == host_name::file(place.root));
        let lasting = match lasting {
            Some(file) => file.text().unwrap_or_default(),
            None => self.host_name.clone(),
        };
        host_name::tell(place, &self.back_end, lasting.trim()).await;
        let paths: Vec<PathBuf> = self.files.iter().map(|file| file.path().to_owned()).collect();
        time_servers::tell(place, &paths).await;
        resolver::put_back(place, &self.resolver).await
    }

    /// Restores the kernel's state, and the files that a daemon writes when it comes to it, until they hold.
    pub(super) async fn hold(&self, netlink: &Netlink, index: u32) -> Result<(), NetworkError> {
        if self.is_forgotten() {
            // Whoever sets the interface now may.
            return Ok(());
        }
        let mut restored = 0;
        let mut since = Instant::now();
        while since.elapsed() < HOLDS {
            let is_in_force = netlink.is_as(index, &self.network).await?;
            let is_written = files::are_as_they_were(&self.files);
            if !is_in_force || !is_written {
                if restored == RESTORES {
                    tracing::warn!("the network's daemon has settings of its own again");
                    return Ok(());
                }
                restored += 1;
                since = Instant::now();
                // The daemon may take an address away between two of our steps.
                if !is_in_force
                    && let Err(error) = netlink.restore(index, &self.network).await
                    && (restored == RESTORES || self.back_end == BackEnd::Bare)
                {
                    return Err(error);
                }
                if !is_written {
                    // What a disk refuses is told by who restores the files at the end.
                    let _ = files::restore(&self.files);
                }
            }
            if self.back_end == BackEnd::Bare {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
