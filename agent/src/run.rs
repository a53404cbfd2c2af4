//! The daemon's loop: one interface, one agent. What it needs rights for is behind [`Host`]: done by this process itself
//! ([`Here`]), or by another one ([`crate::separation`]).

use crate::agent::{Agent, Parts};
use crate::config::{Config, DriftPolicy};
use crate::health::HostHealth;
use crate::identity::Identity;
use crate::network::back_end::BackEndChoice;
use crate::network::live::LiveNetwork;
use crate::network::{Link, Network, NetworkError, chain, find_link, rp_filter};
use crate::recent_log::RecentLog;
use crate::separation::{self, keeper};
use crate::status::{self, Status};
use crate::storage::{FileStorage, Storage, StorageError};
use crate::system::{HostSystem, System};
use crate::udp::Sockets;
use anyhow::Context;
use muster_protocol::appliance::Event;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::{Proof, State};
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};

/// How often the interface is looked at: it may have been replaced, or have got another MAC or address.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Runs until it is told to end by SIGTERM or SIGINT.
pub async fn run(config: Config, log: RecentLog) -> anyhow::Result<()> {
    // Neither we nor what we start ever gets more rights than we have.
    nix::sys::prctl::set_no_new_privs().context("giving up the right to get more rights")?;
    match separation::account(&config)? {
        Some(account) => keeper::keep(config, account).await,
        None => run_here(config, log).await,
    }
}

/// In one process.
async fn run_here(config: Config, log: RecentLog) -> anyhow::Result<()> {
    let storage = FileStorage::open(&config.state_dir)?;
    let _lock = lock(&config.state_dir)?;
    let identity = Identity::load_or_make(&storage, config.claim_file.as_deref())?;
    if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "there is no user muster-agent: what reads datagrams runs as root. Make that user, or name one in agent.toml"
        );
    } else {
        tracing::warn!("not run as root: settings cannot be applied");
    }
    make_counters_folder(&config.root);
    let mut end = End::listen()?;
    let place = Place {
        interface: config.interface.clone(),
        proof: config.proof,
        root: config.root.clone(),
        state_dir: config.state_dir.clone(),
        restores_drift: config.drift == DriftPolicy::Restore,
        keeper: None,
    };
    let system = HostSystem { reboot: config.reboot, log };
    let network = BackEndChoice::new(config.network);
    let here = Here { root: config.root, probe: config.probe, storage: storage.clone(), network, system };
    tokio::select! {
        result = daemon(here, identity, place) => result,
        () = end.asked() => Ok(()),
    }?;
    rp_filter::put_back(&storage)?;
    tracing::info!("ended");
    Ok(())
}

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
    /// Brings an interface up; it and its IPv4 networks.
    fn prepare(
        &self,
        interface: &str,
    ) -> impl Future<Output = Result<(Link, Vec<(Ipv4Addr, u8)>), NetworkError>> + Send;
    /// Opens reverse-path filters ([`rp_filter`]).
    fn open_filters(&self, interface: &str) -> Result<(), StorageError>;
    /// Puts them back.
    fn put_filters_back(&self) -> Result<(), StorageError>;
    /// Keeps the status for `muster-agent status`.
    fn tell(&self, status: &Status) -> io::Result<()>;
}

/// Where and as what the daemon runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The interface to configure; the first Ethernet if absent.
    pub interface: Option<String>,
    /// What proves ownership while unconfigured.
    pub proof: Proof,
    /// What system files are relative to.
    pub root: PathBuf,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Whether settings that were changed by hand are set again.
    pub restores_drift: bool,
    /// The process that has rights, if it is another one.
    pub keeper: Option<u32>,
}

/// This process does everything itself.
#[derive(Clone, Debug)]
pub struct Here {
    root: PathBuf,
    probe: Duration,
    storage: FileStorage,
    network: BackEndChoice,
    system: HostSystem,
}

impl Host for Here {
    type Storage = FileStorage;
    type Network = LiveNetwork<FileStorage>;

    fn storage(&self) -> FileStorage {
        self.storage.clone()
    }

    fn network(&self, interface: &str) -> LiveNetwork<FileStorage> {
        let (root, storage) = (self.root.clone(), self.storage.clone());
        LiveNetwork::new(interface.to_owned(), root, self.probe, storage, self.network.clone())
    }

    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.system.clone())
    }

    async fn prepare(&self, interface: &str) -> Result<(Link, Vec<(Ipv4Addr, u8)>), NetworkError> {
        crate::network::prepare(interface).await
    }

    fn open_filters(&self, interface: &str) -> Result<(), StorageError> {
        rp_filter::open(&self.storage, interface)
    }

    fn put_filters_back(&self) -> Result<(), StorageError> {
        rp_filter::put_back(&self.storage)
    }

    fn tell(&self, status: &Status) -> io::Result<()> {
        status.store(self.storage.folder())
    }
}

/// The daemon; it ends with an error only.
pub async fn daemon<H: Host>(host: H, identity: Identity, place: Place) -> anyhow::Result<()> {
    let link = wait_for_link(place.interface.as_deref()).await;
    tracing::info!(uid = %identity.uid(), interface = link.name, "starting");
    Daemon::start(host, identity, place, link)?.serve().await
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    /// From now on they end nothing by themselves.
    pub fn listen() -> anyhow::Result<End> {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        Ok(End { terminate, interrupt })
    }

    /// Returns when one has come.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Owned by root; an image that lets others count gives them their own permissions on it.
pub fn make_counters_folder(root: &Path) {
    if let Err(error) = std::fs::create_dir_all(root.join(COUNTERS)) {
        tracing::debug!(%error, "no folder for counters");
    }
}

const COUNTERS: &str = "run/muster/counters.d";

/// Why a state folder cannot be had alone.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent works with it.
    #[error("another muster-agent works with {state_dir}. Stop it first")]
    Held {
        /// The folder.
        state_dir: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("{path} cannot be made. Run as root, and check free space and permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl LockError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            LockError::Held { .. } => "already_running",
            LockError::File { .. } => "lock_failed",
        }
    }
}

/// Makes sure that one agent works with a state folder; the lock ends with the returned file.
pub fn lock(state_dir: &Path) -> Result<File, LockError> {
    let path = state_dir.join("lock");
    let failed = |source| LockError::File { path: path.clone(), source };
    // One that is there is only read, so that the agent also starts, and says so, on a disk that has become read-only.
    let file = File::open(&path).or_else(|_| File::create(&path)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Held { state_dir: state_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

struct Daemon<H: Host> {
    agent: Agent<H::Storage, H::Network, HostHealth>,
    host: H,
    started: Instant,
    link: Link,
    /// Absent while the interface is.
    sockets: Option<Sockets>,
    networks: Vec<(Ipv4Addr, u8)>,
    done: mpsc::UnboundedReceiver<crate::agent::Done>,
    told: Option<Status>,
    /// Filters or status file could not be written.
    tell_again: bool,
}

impl<H: Host> Daemon<H> {
    fn start(host: H, identity: Identity, place: Place, link: Link) -> anyhow::Result<Daemon<H>> {
        let (work, done) = mpsc::unbounded_channel();
        let counters = vec![place.state_dir.join("counters.d"), place.root.join(COUNTERS)];
        let parts = Parts {
            identity,
            mac: link.mac,
            proof: place.proof,
            storage: host.storage(),
            network: Arc::new(host.network(&link.name)),
            health: HostHealth { interface: link.name.clone(), counters, keeper: place.keeper, clock_offset_s: None },
            system: host.system(),
            work,
            connections: Arc::new(Semaphore::new(1)),
        };
        let mut agent = Agent::start(Millis(0), parts)?;
        agent.restore_drift(place.restores_drift);
        let started = Instant::now();
        let (sockets, networks, told) = (None, Vec::new(), None);
        Ok(Daemon { agent, host, started, link, sockets, networks, done, told, tell_again: false })
    }

    async fn serve(mut self) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.agent.poll_timeout().map(|at| self.started + Duration::from_millis(at.0));
            tokio::select! {
                received = receive(self.sockets.as_ref()) => {
                    self.agent.datagram(self.now(), received.peer, &received.bytes);
                }
                () = sleep_until(due) => self.agent.timeout(self.now()),
                Some(done) = self.done.recv() => {
                    let changed = done.changed_network();
                    self.agent.done(self.now(), done);
                    if changed {
                        self.look_at_network().await;
                    }
                }
                _ = look.tick() => self.look_at_network().await,
            }
            self.transmit().await;
            self.tell();
        }
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    async fn transmit(&mut self) {
        while let Some((peer, bytes)) = self.agent.poll_transmit() {
            if let Some(sockets) = &self.sockets {
                sockets.answer(&peer, &bytes, &self.networks).await;
            }
        }
    }

    /// The interface by its name: index and MAC may change under us, memberships go with the index.
    async fn look_at_network(&mut self) {
        match self.host.prepare(&self.link.name).await {
            Ok((link, networks)) => {
                self.networks = networks;
                if link.mac != self.link.mac {
                    self.agent.set_mac(self.now(), link.mac);
                }
                let same = self.sockets.as_ref().is_some_and(|s| s.interface() == link.index && s.is_complete());
                self.link = link;
                if !same {
                    self.open_sockets();
                }
            }
            Err(error @ NetworkError::NoInterface { .. }) => {
                if self.sockets.take().is_some() {
                    tracing::warn!(code = error.code(), "waiting for the interface");
                }
            }
            // It may be there all the same, and so may who asks.
            Err(error) => tracing::warn!(error = %chain(&error), "the interface could not be looked at"),
        }
    }

    fn open_sockets(&mut self) {
        // The old ones hold the port until they are gone.
        self.sockets = None;
        match Sockets::open(&self.link) {
            Ok(sockets) => {
                tracing::info!(interface = self.link.name, "listening");
                self.sockets = Some(sockets);
            }
            Err(error) => tracing::error!(%error, "cannot listen; trying again"),
        }
    }

    /// Log, status file and filters follow what the machine says.
    fn tell(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Configured { seq } => tracing::info!(%seq, "configured"),
                Event::Failed { reason, detail } => {
                    tracing::warn!(
                        reason = reason.code(),
                        detail,
                        "a configuration failed; what was before is in force"
                    );
                }
                Event::Refused { reason } => tracing::info!(reason = reason.code(), "a packet was refused"),
                Event::GrantRefused { reason } => {
                    tracing::warn!(reason = reason.code(), "new settings from the NOC were refused");
                }
                Event::InstructionRefused { reason } => {
                    tracing::warn!(reason = reason.code(), "an instruction of the NOC was refused");
                }
                Event::Instructed { serial, act } => tracing::info!(%serial, ?act, "the NOC has given an instruction"),
                Event::Decommissioned => tracing::warn!("decommissioned: the owner and the settings are forgotten"),
            }
        }
        let status = Status::of(&self.agent, &self.link.name, self.link.mac);
        let same = self.told.as_ref() == Some(&status);
        if same && !self.tell_again {
            return;
        }
        let changed = self.told.as_ref().is_none_or(|told| told.state != status.state);
        if changed {
            tracing::info!(state = status::word(self.agent.state()), "state");
        }
        let mut failed = false;
        if changed || self.tell_again {
            let filters = match self.agent.state() {
                State::Configured => self.host.put_filters_back(),
                _ => self.host.open_filters(&self.link.name),
            };
            if let Err(error) = filters {
                failed = true;
                if !self.tell_again {
                    tracing::warn!(error = %chain(&error), "reverse-path filters; trying again");
                }
            }
        }
        if let Err(error) = self.host.tell(&status) {
            failed = true;
            if !self.tell_again {
                tracing::warn!(%error, "the status file could not be written; trying again");
            }
        }
        // With the next event, at the latest when the interface is looked at.
        self.tell_again = failed;
        self.told = Some(status);
    }
}

async fn wait_for_link(name: Option<&str>) -> Link {
    let mut complained = false;
    loop {
        match find_link(name).await {
            Ok(link) => return link,
            Err(error) if !complained => {
                tracing::warn!(error = %chain(&error), "waiting for the interface");
                complained = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn receive(sockets: Option<&Sockets>) -> crate::udp::Received {
    match sockets {
        Some(sockets) => sockets.receive().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
