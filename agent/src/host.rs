//! What the daemon needs rights for, and where it runs.

use crate::network::application::ApplicationPlace;
use crate::network::arp::Timing;
use crate::network::back_end::BackEndChoice;
use crate::network::live::LiveNetwork;
use crate::network::{Choice, Network, NetworkError, rp_filter, set_up};
use crate::status::Status;
use crate::storage::{FileStorage, Storage, StorageError};
use crate::system::{Installing, System};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::parameters::DriftPolicy;
use muster_protocol::wire::here::Proof;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What the daemon needs rights for.
pub trait Host: Clone + Send + Sync + 'static {
    /// Its documents.
    type Storage: Storage + Clone;
    /// Its network.
    type Network: Network;
    /// Where documents are kept.
    fn storage(&self) -> Self::Storage;
    /// The network of an interface.
    fn network(&self, interface: &str) -> Self::Network;
    /// What the NOC may give instructions to.
    fn system(&self) -> Arc<dyn System>;
    /// Brings an interface up.
    fn set_up(&self, interface: &str) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Opens reverse-path filters ([`rp_filter`]).
    fn open_filters(&self, interfaces: &[&str]) -> Result<(), StorageError>;
    /// Puts them back.
    fn put_filters_back(&self) -> Result<(), StorageError>;
    /// Keeps the status for `muster-agent status`.
    fn tell(&self, status: &Status) -> io::Result<()>;
}

/// Where and as what the daemon runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The interface to configure.
    pub interface: Choice,
    /// What proves ownership while unconfigured.
    pub proof: Proof,
    /// Whose vouchers count, with [`Proof::Voucher`].
    pub vendor: Option<PublicKey>,
    /// What system files are relative to.
    pub root: PathBuf,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// What is done about settings that were changed by hand, unless the NOC says it.
    pub drift: DriftPolicy,
    /// Whether an address or default route that is gone from the interface is put back. Settings of a vendor's program need not
    /// be in this kernel.
    pub puts_back: bool,
    /// The process that has rights, if it is another one.
    pub keeper: Option<u32>,
}

/// This process does everything itself.
#[derive(Clone)]
pub struct Here {
    /// What system files are relative to.
    pub root: PathBuf,
    /// How somebody who has an address already is looked for.
    pub probe: Timing,
    /// Where documents are kept.
    pub storage: FileStorage,
    /// Who sets the network.
    pub network: BackEndChoice,
    /// Where application settings go.
    pub application: Option<ApplicationPlace>,
    /// What the NOC may give instructions to.
    pub system: Installing,
}

impl Host for Here {
    type Storage = FileStorage;
    type Network = LiveNetwork<FileStorage>;

    fn storage(&self) -> FileStorage {
        self.storage.clone()
    }

    fn network(&self, interface: &str) -> LiveNetwork<FileStorage> {
        let (root, storage) = (self.root.clone(), self.storage.clone());
        let network = LiveNetwork::new(interface.to_owned(), root, self.probe, storage, self.network.clone());
        LiveNetwork { application: self.application.clone(), ..network }
    }

    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.system.clone())
    }

    async fn set_up(&self, interface: &str) -> Result<(), NetworkError> {
        set_up(interface).await
    }

    fn open_filters(&self, interfaces: &[&str]) -> Result<(), StorageError> {
        rp_filter::open(&self.storage, interfaces.iter().copied())
    }

    fn put_filters_back(&self) -> Result<(), StorageError> {
        rp_filter::put_back(&self.storage)
    }

    fn tell(&self, status: &Status) -> io::Result<()> {
        status.store(self.storage.folder())
    }
}
