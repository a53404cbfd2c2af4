//! The real thing: netlink for what is in force, files for what lasts.

use super::drift::{self, InForce, Setting};
use super::files::{self, FormerFile};
use super::netlink::{Netlink, Snapshot};
use super::{Network, NetworkError, Report, networkd};
use crate::storage::{Document, Storage};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::result::Stage;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The network of this host, or of this network namespace.
#[derive(Debug)]
pub struct LiveNetwork<S> {
    /// The interface that is configured.
    pub interface: String,
    /// What file names are relative to: `/`, but in a lab where several agents share one file system.
    pub root: PathBuf,
    /// How long to wait for somebody who has the address already.
    pub probe: Duration,
    /// Where the former state is kept.
    pub storage: S,
}

/// The host name of an appliance without an owner.
const NO_NAME: &str = "localhost";

#[derive(Serialize, Deserialize)]
struct Former {
    interface: String,
    host_name: String,
    network: Snapshot,
    files: Vec<FormerFile>,
}

impl<S: Storage> Network for LiveNetwork<S> {
    async fn apply(&self, settings: &NetworkSettings, report: &dyn Report) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        report(Stage::ProbingAddress, 10);
        if !netlink.has_address(link.index, settings.address()).await?
            && let Some(by) = netlink.who_has(link.index, settings.address(), self.probe).await?
        {
            return Err(NetworkError::AddressTaken { address: settings.address(), by });
        }
        report(Stage::Network, 60);
        // A new attempt on top of an uncommitted one goes back to where that one began.
        if !self.is_provisional() {
            self.remember(&netlink, link.index, settings).await?;
        }
        self.change(&netlink, link.index, settings).await
    }

    async fn roll_back(&self) -> Result<(), NetworkError> {
        let Some(bytes) = self.storage.load(Document::FormerNetwork)? else { return Ok(()) };
        let former: Former = serde_json::from_slice(&bytes).map_err(|_| NetworkError::Former)?;
        let netlink = Netlink::open()?;
        let files = files::restore(&former.files);
        let named = set_host_name(&former.host_name);
        let network = match netlink.link(&former.interface).await {
            Ok(link) => netlink.restore(link.index, &former.network).await,
            Err(error) => Err(error),
        };
        networkd::tell(&self.root, &former.interface);
        // Everything is tried; what failed is tried again, for the former state stays on disk.
        files.and(named).and(network)?;
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    async fn commit(&self) -> Result<(), NetworkError> {
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    async fn resume(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        let has_address = netlink.has_address(link.index, settings.address()).await?;
        let has_route = settings.gateway().is_none() || netlink.has_default_route().await?;
        if !has_address || !has_route {
            netlink.add(link.index, (settings.address(), settings.prefix()), settings.gateway()).await?;
        }
        if host_name()? != settings.host_name() {
            set_host_name(settings.host_name())?;
        }
        Ok(())
    }

    async fn forget(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        files::forget(&self.root, &self.interface, settings)?;
        if host_name()? == settings.host_name() {
            set_host_name(NO_NAME)?;
        }
        netlink.restore(link.index, &Snapshot::default()).await?;
        networkd::tell(&self.root, &self.interface);
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    fn is_provisional(&self) -> bool {
        matches!(self.storage.load(Document::FormerNetwork), Ok(Some(_)))
    }

    async fn drift(&self, settings: &NetworkSettings) -> Result<Vec<Setting>, NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        let (gateways, other_routes) = netlink.routes_of(link.index).await?;
        let addresses = netlink.networks(link.index).await?;
        let found = InForce { addresses, gateways, other_routes, host_name: host_name()? };
        let mut drift = drift::in_force(settings, &found);
        drift.extend(drift::in_files(&files::plan(&self.root, &self.interface, settings)?)?);
        Ok(drift.into_iter().collect())
    }

    async fn restore(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        self.change(&netlink, link.index, settings).await
    }
}

impl<S: Storage> LiveNetwork<S> {
    /// Forgets settings for a factory reset: removes the files that are wholly ours.
    pub fn remove_files(&self) -> Result<Vec<PathBuf>, NetworkError> {
        let ours = files::ours(&self.root, &self.interface);
        for path in &ours {
            let removed = crate::storage::remove(path);
            removed.map_err(|source| NetworkError::File { action: "removed", path: path.clone(), source })?;
        }
        Ok(ours)
    }

    async fn remember(&self, netlink: &Netlink, index: u32, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let former = Former {
            interface: self.interface.clone(),
            host_name: host_name()?,
            network: netlink.snapshot(index).await?,
            files: files::remember(&files::plan(&self.root, &self.interface, settings)?)?,
        };
        let bytes = serde_json::to_vec(&former).map_err(|_| NetworkError::Former)?;
        Ok(self.storage.save(Document::FormerNetwork, &bytes)?)
    }

    async fn change(&self, netlink: &Netlink, index: u32, settings: &NetworkSettings) -> Result<(), NetworkError> {
        // Files first: a full disk shows before the network has moved.
        files::write(&files::plan(&self.root, &self.interface, settings)?)?;
        set_host_name(settings.host_name())?;
        netlink.set(index, (settings.address(), settings.prefix()), settings.gateway()).await?;
        networkd::tell(&self.root, &self.interface);
        Ok(())
    }
}

fn host_name() -> Result<String, NetworkError> {
    let name = nix::unistd::gethostname().map_err(|errno| kernel("read the host name", errno))?;
    Ok(name.to_string_lossy().into_owned())
}

fn set_host_name(name: &str) -> Result<(), NetworkError> {
    nix::unistd::sethostname(name).map_err(|errno| kernel("set the host name", errno))
}

fn kernel(action: &'static str, errno: nix::errno::Errno) -> NetworkError {
    NetworkError::Kernel { action, source: errno.into() }
}
