//! Serving: the listener, the status daemon and housekeeping, started and stopped together.

use crate::api::{self, App, Downloads, Places, Rates};
use crate::audit::{self, Pruned};
use crate::channels;
use crate::clock;
use crate::components;
use crate::drafts;
use crate::error::{AsProblem, StoreError, problem};
use crate::metrics;
use crate::noc::Inner;
use crate::operators::limit::Attempts;
use crate::operators::password::Comparisons;
use crate::remote_write;
use crate::store::history::{fold, retention};
use crate::store::{self, beats};
use crate::tls::ServerConfigError;
use crate::watch::{ABSENCE_S, Daemon, Notice};
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use muster_protocol::api::{Health, Problem};
use muster_protocol::beat_watch::Rules;
use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Until a client must have finished its handshake, and then its first request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const FIRST_REQUEST: Duration = Duration::from_secs(45);
/// Until an idle HTTP/1 connection, or a half-sent header, is given up.
const HEADER: Duration = Duration::from_secs(90);
/// Between looks whether an idle HTTP/2 connection is still alive.
const PING: Duration = Duration::from_secs(60);
/// Until open requests are cut off at shutdown.
const GRACE: Duration = Duration::from_secs(5);
/// Between looks for changes that the command line made.
const FOREIGN: Duration = Duration::from_millis(250);
/// How often it is kept that the NOC is there.
const ALIVE: Duration = Duration::from_secs(20);
/// Between rounds of deleting old history.
const PRUNE: Duration = Duration::from_secs(600);
/// Between looks how long the journal of beats is, and the longest time for which they stay in it.
const LOOK: Duration = Duration::from_secs(1);
const FOLD: Duration = Duration::from_secs(300);
/// Between signatures over the end of the audit log.
const ANCHOR: Duration = Duration::from_secs(60);
/// Between new server certificates.
const RENEW: Duration = Duration::from_secs(30 * 86_400);

/// Held by the process that serves a data folder.
pub(crate) const LOCK: &str = "serve.lock";

/// A NOC that serves. Dropping it stops it at once; [`Running::shutdown`] lets open requests finish.
pub struct Running {
    local_addr: SocketAddr,
    handle: Handle<SocketAddr>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _lock: File,
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more connections, lets open requests finish, and returns when everything has stopped.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.handle.graceful_shutdown(Some(GRACE));
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.handle.shutdown();
    }
}

/// Why the NOC does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process serves this data folder.
    #[error("another process serves the NOC in {}", path.display())]
    AlreadyServing {
        /// The folder.
        path: PathBuf,
    },
    /// The lock file could not be made.
    #[error("{} could not be locked", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The database did not tell who is watched.
    #[error("the status daemon could not be started")]
    Store(#[source] StoreError),
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ServerConfigError> for ServeError {
    fn from(error: ServerConfigError) -> Self {
        ServeError::Tls(Box::new(error))
    }
}

impl AsProblem for ServeError {
    fn problem(&self) -> Problem {
        match self {
            ServeError::AlreadyServing { .. } => {
                problem(409, "already_serving", self, "Stop the other one first, or use another folder.")
            }
            ServeError::Lock { .. } => problem(500, "folder_unwritable", self, "Run as the user that owns the folder."),
            ServeError::Listen { .. } => problem(
                500,
                "cannot_listen",
                self,
                "Stop the program that uses the port, or choose another with `listen` or `metrics` in noc.toml.",
            ),
            ServeError::Store(error) => error.problem(),
            ServeError::Tls(_) => problem(500, "certificate_failed", self, "Check `addresses` in noc.toml."),
        }
    }
}

/// Starts everything.
pub(crate) async fn start(noc: Arc<Inner>, listen: SocketAddr, rules: Rules) -> Result<Running, ServeError> {
    let lock = lock(&noc)?;
    allow_many_connections();
    let listener = bind(listen).map_err(|source| ServeError::Listen { address: listen, source })?;
    let local_addr = listener.local_addr().map_err(|source| ServeError::Listen { address: listen, source })?;
    noc.port.store(local_addr.port(), Ordering::Relaxed);
    let tls = RustlsConfig::from_config(noc.authority.server_config(&names(&noc))?);
    let daemon = Daemon::restore(noc.store.clone(), rules).await.map_err(ServeError::Store)?;

    let stop = CancellationToken::new();
    let handle = Handle::new();
    let mut tasks = JoinSet::new();
    let (notices, inbox) = unbounded_channel();
    let app = App {
        noc: noc.clone(),
        notices,
        stop: stop.clone(),
        uploads: Places::default(),
        streams: Places::default(),
        downloads: Downloads::default(),
        attempts: Attempts::default(),
        comparisons: Comparisons::default(),
        figures: Arc::new(api::figures()),
        rates: Arc::new(Rates::of(&noc.config)),
        identities: Arc::default(),
    };
    if let Some(address) = noc.config.metrics {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServeError::Listen { address, source })?;
        let (router, stop) = (metrics::router(noc.clone(), app.figures.clone()), stop.clone());
        tasks.spawn(async move {
            let stopped = stop.clone().cancelled_owned();
            tokio::select! {
                ended = axum::serve(listener, router).with_graceful_shutdown(stopped) => if let Err(error) = ended {
                    tracing::error!(%error, "the listener of the figures stopped");
                },
                // Whoever asks by halves does not keep the NOC from ending.
                () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {}
            }
        });
    }
    // An answer in two parts would wait for the client's delayed acknowledgement of the first: 40 ms.
    let acceptor = RustlsAcceptor::new(tls.clone()).handshake_timeout(HANDSHAKE).acceptor(NoDelayAcceptor::new());
    let mut server = axum_server::from_tcp(listener)
        .map_err(|source| ServeError::Listen { address: listen, source })?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(FIRST_REQUEST)
        .accept_error_handler(|_, error| tracing::debug!(%error, "a connection was not accepted"));
    server.http_builder().http1().header_read_timeout(HEADER);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(128)
        .keep_alive_interval(PING)
        .keep_alive_timeout(Duration::from_secs(20));
    let router = api::router(app.clone());
    tasks.spawn(async move {
        if let Err(error) = server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await {
            tracing::error!(%error, "the listener stopped");
        }
    });
    tasks.spawn(daemon.run(inbox, stop.clone()));
    tasks.spawn(channels::run(noc.clone(), stop.clone()));
    tasks.spawn(remote_write::run(noc.clone(), stop.clone()));
    tasks.spawn(components::metadata::keep(noc.clone(), stop.clone()));
    tasks.spawn(components::rollouts::run(noc.clone(), stop.clone()));
    tasks.spawn(keep_history(app.clone()));
    tasks.spawn(keep_house(app, tls));
    tracing::info!(%local_addr, "serving");
    Ok(Running { local_addr, handle, stop, tasks, _lock: lock })
}

/// Each appliance may hold a connection open; the usual limit of 1,024 files is soft, so that it can be raised.
#[cfg(unix)]
fn allow_many_connections() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files was not raised; it limits how many appliances are connected");
    }
}

#[cfg(not(unix))]
fn allow_many_connections() {}

fn names(noc: &Inner) -> Vec<String> {
    noc.config.names().into_iter().map(|(host, _)| host).collect()
}

/// One process serves a data folder: two status daemons would contradict each other.
fn lock(noc: &Inner) -> Result<File, ServeError> {
    let path = noc.path.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| ServeError::Lock { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::AlreadyServing { path: noc.path.clone() }),
        Err(TryLockError::Error(source)) => Err(ServeError::Lock { path, source }),
    }
}

/// Listens on an address as the NOC does.
pub(crate) fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(listen) {
        // A machine without IPv6 cannot listen on `[::]`.
        Err(error) if listen.ip().is_unspecified() && listen.is_ipv6() && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port()))
        }
        bound => bound,
    }
}

/// What other processes did to the database, which the parts of this one have to know.
async fn look_around(app: &App, rules: &mut Option<u64>) -> Result<(), StoreError> {
    let store = &app.noc.store;
    let (revision, released, changed) = store
        .read(|db| {
            Ok::<_, StoreError>((store::revision(db)?, store::inventory::released(db)?, store::monitoring::count(db)?))
        })
        .await?;
    store.notice(revision);
    // The first time it is what the daemon has just read, or newer.
    if rules.replace(changed) != Some(changed) {
        app.tell(vec![Notice::Rules]);
    }
    for uid in released {
        store.write(move |db| store::appliances::set_health(db, clock::now(), &uid, Health::NotExpected)).await?;
        app.tell(vec![Notice::Forget { uid }]);
    }
    Ok(())
}

/// Has the root sign the end of the audit log.
async fn hold_audit(noc: &Arc<Inner>) {
    let noc = noc.clone();
    let held = tokio::task::spawn_blocking(move || audit::checkpoint(&noc.store, &noc.signer, &noc.path, clock::now()));
    match held.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log's end was not signed")
        }
        Err(error) => tracing::error!(%error, "the audit log's end was not signed"),
    }
}

/// Deletes records of the audit log that are older than the configuration keeps them.
async fn prune_audit(noc: &Arc<Inner>) {
    let Some(days) = noc.config.audit_keep_days else { return };
    let noc = noc.clone();
    let pruned = tokio::task::spawn_blocking(move || audit::prune(&noc.store, &noc.signer, clock::now(), days));
    match pruned.await {
        Ok(Ok(Pruned::Nothing)) => {}
        Ok(Ok(Pruned::UpTo(seq))) => tracing::info!(seq, "old records of the audit log were deleted"),
        Ok(Ok(Pruned::Broken)) => tracing::error!(
            "the audit log is not as it was written, so nothing of it is deleted: look with `muster-noc audit verify`"
        ),
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "old records of the audit log were not deleted")
        }
        Err(error) => tracing::error!(%error, "old records of the audit log were not deleted"),
    }
}

/// Takes beats from the journal to where they stay, when they are many or have waited long; ends what is too old.
async fn keep_history(app: App) {
    let (store, stop) = (&app.noc.store, &app.stop);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sweep = tokio::time::interval(PRUNE);
    let mut folded = tokio::time::Instant::now();
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                let held = store.journal();
                if held < fold::ROUND && (held == 0 || folded.elapsed() < FOLD) {
                    continue;
                }
                let done = fold::all(store, clock::now()).await;
                folded = tokio::time::Instant::now();
                done
            }
            _ = sweep.tick() => end_history(&app).await,
        };
        if let Err(error) = done {
            tracing::error!(error = &error as &dyn std::error::Error, "the history was not put in order; trying again");
        }
    }
}

/// In steps, so that beats get in between.
async fn end_history(app: &App) -> Result<(), StoreError> {
    let store = &app.noc.store;
    let now = clock::now();
    while store.write_history(move |db| beats::prune(db, now)).await? {
        tokio::task::yield_now().await;
    }
    let mut after = Some(0);
    while let Some(last) = after.filter(|_| !app.stop.is_cancelled()) {
        after = store.write_history(move |db| retention::sweep(db, now, last)).await?;
    }
    Ok(())
}

async fn keep_house(app: App, tls: RustlsConfig) {
    let (noc, stop) = (&app.noc, &app.stop);
    let mut foreign = tokio::time::interval(FOREIGN);
    let mut prune = tokio::time::interval(PRUNE);
    let mut anchor = tokio::time::interval(ANCHOR);
    anchor.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut renewed = clock::now();
    let mut alive = tokio::time::interval(ALIVE);
    alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rules = None;
    foreign.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return hold_audit(noc).await,
            _ = anchor.tick() => hold_audit(noc).await,
            // From this it is known after a start how long nobody could report; after a sleep of the machine, too.
            _ = alive.tick() => {
                let came_back = |db: &rusqlite::Connection| store::monitoring::came_back(db, clock::now(), ABSENCE_S);
                let kept = noc.store.write_history(came_back).await;
                if let Err(error) = kept {
                    tracing::error!(error = &error as &dyn std::error::Error, "it was not kept that the NOC is here");
                }
            }
            _ = foreign.tick() => {
                if let Err(error) = look_around(&app, &mut rules).await {
                    tracing::debug!(%error, "changes of other processes could not be read");
                }
                // By the wall clock, in both directions: a machine may learn the time only after it has started.
                let now = clock::now();
                if now.abs_diff(renewed) >= RENEW.as_secs() {
                    match noc.authority.server_config(&names(noc)) {
                        Ok(config) => {
                            tls.reload_from_config(config);
                            renewed = now;
                        }
                        Err(error) => tracing::error!(%error, "the server's certificate was not renewed"),
                    }
                }
            }
            _ = prune.tick() => {
                let renewed = noc.store.write({ let noc = noc.clone(); move |db| drafts::renew(db, &noc) }).await;
                if let Err(error) = renewed {
                    tracing::error!(error = &error as &dyn std::error::Error, "settings that wait were not signed anew");
                }
                prune_audit(noc).await;
            }
        }
    }
}
