//! The engine behind the window and the command line: commands come in by methods, what changed goes out as events.
//!
//! Five tasks: [`lan`] owns the sockets and runs discovery and deliveries; [`sync`] keeps what the NOC knows up to date;
//! [`applets`] keeps the applets of sites; [`queue`] does what the NOC has this console do; [`reports`] tells the NOC what became of configurations and messages. All share one [`state`], from which subscribers are fed.

mod anew;
mod applets;
mod commands;
mod error;
mod lan;
mod queue;
mod reports;
mod roster;
mod state;
mod sync;

pub use error::EngineError;
pub use state::Subscription;

use crate::files;
use crate::identity::{Identity, keyring_wanted};
use crate::jobs::Jobs;
use crate::noc_client::NocClient;
use crate::store::Store;
use crate::view::{AlertView, ApplianceRow, DiscoveryView, Event, JobView, MessageRow, NocLink, SiteView};
use muster_protocol::crypto::Entropy;
use muster_protocol::discovery;
use muster_protocol::time::UnixTime;
use state::Shared;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How to start an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where identity and jobs are kept; made if need be.
    pub data_dir: PathBuf,
    /// Addresses that are pinged besides the interfaces, as that of the practice fleet.
    pub targets: Vec<SocketAddr>,
    /// Use the real interfaces.
    pub lan: bool,
    /// Run jobs. Only one engine a data folder may; without it nothing is configured and nothing locked.
    pub run_jobs: bool,
    /// Keep secret keys in the system's keyring when there is one.
    pub keyring: bool,
    /// How to discover.
    pub discovery: discovery::Config,
}

impl Options {
    /// Real interfaces, jobs, the keyring unless the environment says otherwise.
    pub fn new(data_dir: impl Into<PathBuf>) -> Options {
        Options {
            data_dir: data_dir.into(),
            targets: Vec::new(),
            lan: true,
            run_jobs: true,
            keyring: keyring_wanted(),
            discovery: discovery::Config::default(),
        }
    }
}

/// A running engine; clones are the same one. When the last is dropped, its tasks end.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    shared: Arc<Shared>,
    store: Arc<Store>,
    lan: mpsc::Sender<lan::Command>,
    client: watch::Sender<Option<NocClient>>,
    synced: watch::Receiver<sync::Synced>,
    /// The NOC's number of the last change of applets; touched to have them asked for anew.
    applets: watch::Sender<u64>,
    /// One command at a time decides what a job may contain.
    configuring: Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    /// Held for as long as jobs may run.
    _lock: Option<File>,
}

impl Engine {
    /// Starts the tasks, inside a tokio runtime. Unfinished jobs go on where they were.
    pub async fn start(options: Options) -> Result<Engine, EngineError> {
        // Fails when somebody else has installed it before, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = options.data_dir.clone();
        let run_jobs = options.run_jobs;
        let loaded = tokio::task::spawn_blocking(move || load(&folder, run_jobs)).await;
        let (lock, store, jobs, identity) = loaded.map_err(|_| EngineError::Ended)??;

        let stop = CancellationToken::new();
        let shared = Shared::new(stop.clone());
        let store = Arc::new(store);
        let tasks = TaskTracker::new();
        let (lan, lan_commands) = mpsc::channel(256);
        let client = identity.as_ref().map(NocClient::new).transpose()?;
        let (client, _) = watch::channel(client);
        let (outbox, outbox_changed) = watch::channel(());

        let lan_task = lan::Lan::open(lan::Parts {
            options: options.clone(),
            shared: Arc::clone(&shared),
            store: Arc::clone(&store),
            client: client.subscribe(),
            commands: lan_commands,
            sender: lan.downgrade(),
            outbox: outbox.clone(),
            jobs,
            identity: identity.as_ref(),
        })
        .map_err(|source| EngineError::Sockets { source })?;
        let (synced_sender, synced) = watch::channel(sync::Synced::default());
        let (applets_sender, applets_wanted) = watch::channel(0);
        let sync = sync::run(Arc::clone(&shared), client.subscribe(), synced_sender, applets_sender.clone());
        let feed = {
            let shared = Arc::clone(&shared);
            async move { shared.feed().await }
        };
        spawn_thread(&tasks, &stop, lan_task.run()).map_err(|source| EngineError::Sockets { source })?;
        spawn(&tasks, &stop, sync);
        spawn(&tasks, &stop, feed);
        if run_jobs {
            let applets = applets::run(Arc::clone(&shared), Arc::clone(&store), client.subscribe(), applets_wanted);
            spawn(&tasks, &stop, applets);
            spawn(&tasks, &stop, reports::run(Arc::clone(&store), client.subscribe(), outbox_changed));
        }
        let queue =
            queue::Queue { shared: Arc::clone(&shared), store: Arc::clone(&store), client: client.subscribe(), outbox };
        let inner = Inner {
            options,
            shared,
            store,
            lan,
            client,
            synced,
            applets: applets_sender,
            configuring: Mutex::new(()),
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            _lock: lock,
        };
        let inner = Arc::new(inner);
        if run_jobs {
            // It acts through the engine, and must not keep it alive.
            spawn(&inner.tasks, &inner.stop, queue.run(Arc::downgrade(&inner)));
        }
        Ok(Engine { inner })
    }

    /// Everything there is now as events, and what follows.
    pub fn subscribe(&self) -> (Vec<Event>, Subscription) {
        self.inner.shared.subscribe()
    }

    /// How it stands with the NOC.
    pub fn noc(&self) -> NocLink {
        self.inner.shared.read(|state| state.noc().clone())
    }

    /// True once this console is enrolled with a NOC, whether that answers or not.
    pub fn has_joined(&self) -> bool {
        self.inner.client.borrow().is_some()
    }

    /// The sites this console may configure.
    pub fn sites(&self) -> Vec<SiteView> {
        self.inner.shared.read(|state| state.site_views())
    }

    /// All appliances that are known in any way, by UID.
    pub fn appliances(&self) -> Vec<ApplianceRow> {
        self.inner.shared.read(|state| state.roster.rows())
    }

    /// How far the running or last discovery is.
    pub fn discovery(&self) -> DiscoveryView {
        self.inner.shared.read(|state| state.discovery().clone())
    }

    /// All jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobView> {
        self.inner.shared.read(|state| state.job_views())
    }

    /// One job.
    pub fn job(&self, id: u32) -> Option<JobView> {
        self.inner.shared.read(|state| state.job(id).cloned())
    }

    /// Alerts, newest first.
    pub fn alerts(&self) -> Vec<AlertView> {
        self.inner.shared.read(|state| state.alert_views())
    }

    /// [`Engine::messages`] as they are on disk, for an engine that does not carry them out itself.
    pub async fn stored_messages(&self) -> Result<Vec<MessageRow>, EngineError> {
        let noc = self.inner.client.borrow().as_ref().map(NocClient::root).ok_or(EngineError::NotJoined)?;
        let messages = self.with_store(move |store| store.messages(noc, queue::MOST_SHOWN)).await?;
        Ok(messages.iter().map(queue::row).collect())
    }

    /// What the NOC had this console do, newest first.
    pub fn messages(&self) -> Vec<MessageRow> {
        self.inner.shared.read(|state| state.messages().to_vec())
    }

    /// Tells all windows to show an appliance, or the alerts.
    pub fn navigate(&self, uid: Option<String>) {
        self.inner.shared.change(|state| state.navigate(uid));
    }

    /// Results that the NOC has still to be told.
    pub async fn unreported(&self) -> Result<u32, EngineError> {
        let waiting = self.with_store(|store| store.outbox(u32::MAX)).await?;
        Ok(u32::try_from(waiting.len()).unwrap_or(u32::MAX))
    }

    /// Ends the tasks. What the NOC has still to be told gets up to five seconds; the rest is told at the next start.
    pub async fn shutdown(&self) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(5);
        let connected = || matches!(self.noc(), NocLink::Connected { .. });
        while self.inner.options.run_jobs
            && connected()
            && tokio::time::Instant::now() < patience
            && self.unreported().await.is_ok_and(|waiting| waiting > 0)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = Arc::clone(&self.inner.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        Ok(done.map_err(|_| EngineError::Ended)??)
    }
}

type Loaded = (Option<File>, Store, Jobs, Option<Identity>);

fn load(folder: &Path, run_jobs: bool) -> Result<Loaded, EngineError> {
    let store = Store::open(folder)?;
    let lock = if run_jobs { Some(lock(folder)?) } else { None };
    let jobs = Jobs::load(store.jobs()?, entropy);
    let identity = Identity::load(folder)?;
    Ok((lock, store, jobs, identity))
}

/// The system drops the lock when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File, EngineError> {
    let path = folder.join("lock");
    let io = |source| EngineError::Lock { path: path.clone(), source };
    let file = files::open_private(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::InUse { folder: folder.into() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn spawn(tasks: &TaskTracker, stop: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tasks.spawn(async move { stop.run_until_cancelled(task).await });
}

/// Runs a task that computes a lot on a thread of its own.
fn spawn_thread(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stop, token, runtime) = (stop.clone(), tasks.token(), tokio::runtime::Handle::current());
    let run = move || {
        runtime.block_on(stop.run_until_cancelled(task));
        drop(token);
    };
    std::thread::Builder::new().name("lan".to_owned()).spawn(run).map(drop)
}

/// The system's random numbers.
pub(crate) fn entropy() -> Entropy {
    Box::new(rand_core::UnwrapErr(getrandom::SysRng))
}

fn unix_now() -> UnixTime {
    UnixTime::from_system(std::time::SystemTime::now())
}
