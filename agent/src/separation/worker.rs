//! The process without rights: the daemon, which asks the keeper for what only root may do.

use super::ask::{self, Answer, Ask, Begin, Bytes, Change, Progress};
use super::install::Install;
use super::{SeparationError, system_calls};
use crate::host::{Host, Place};
use crate::identity::Identity;
use crate::installer::Installer;
use crate::network::application::ApplicationTask;
use crate::network::drift::Setting;
use crate::network::{Network, NetworkError, Report};
use crate::recent_log::RecentLog;
use crate::run;
use crate::status::Status;
use crate::storage::{Document, Storage, StorageError};
use crate::system::{System, SystemError};
use caps::{CapSet, Capability};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::result::Reason;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes the keeper's sockets from standard input and output, gives up everything else, and runs until the keeper ends.
pub fn work(log: RecentLog) -> anyhow::Result<()> {
    let parent = parent_id();
    let questions = std::io::stdin().as_fd().try_clone_to_owned().map_err(SeparationError::Start)?;
    let changes = std::io::stdout().as_fd().try_clone_to_owned().map_err(SeparationError::Start)?;
    let keeper = Keeper { questions: Arc::new(Mutex::new(UnixStream::from(questions))) };
    let begin = keeper.begin().map_err(SeparationError::Start)?;
    give_up_rights(Uid::from_raw(begin.uid), Gid::from_raw(begin.gid), parent).map_err(SeparationError::Start)?;
    if begin.system_call_filter {
        system_calls::filter();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(SeparationError::Start)?.block_on(async move {
        let changes = UnixStream::from(changes);
        changes.set_nonblocking(true).map_err(SeparationError::Start)?;
        let changes = tokio::net::UnixStream::from_std(changes).map_err(SeparationError::Start)?;
        let changes = Arc::new(tokio::sync::Mutex::new(changes));
        let host = Separated { keeper, changes, log, takes_application: begin.takes_application };
        let identity = Identity::load_or_make(&host.storage(), None)?;
        let place = Place {
            interface: begin.interface,
            proof: begin.proof.into(),
            vendor: begin.vendor.map(PublicKey),
            root: begin.root,
            state_dir: begin.state_dir,
            drift: begin.drift,
            puts_back: begin.puts_back,
            keeper: Some(parent),
        };
        let mut end = run::End::listen()?;
        tokio::select! {
            result = run::daemon(host, identity, place) => result,
            // Both processes are told; the keeper puts the filters back.
            () = end.asked() => Ok(()),
        }
    })
}

/// Becomes a user with one right: binding to an interface, which kernels before 5.7 allow to nobody else, and hearing address
/// conflicts, which are not IP, take CAP_NET_RAW.
fn give_up_rights(uid: Uid, gid: Gid, keeper: u32) -> io::Result<()> {
    let refused = |error: caps::errors::CapsError| io::Error::other(error.to_string());
    let has_it = caps::has_cap(None, CapSet::Permitted, Capability::CAP_NET_RAW).map_err(refused)?;
    if !has_it {
        tracing::warn!("no CAP_NET_RAW: kernels before 5.7 do not let the agent listen");
    }
    // Else all rights go with root's user number.
    prctl::set_keepcaps(true)?;
    nix::unistd::setgroups(&[])?;
    nix::unistd::setgid(gid)?;
    nix::unistd::setuid(uid)?;
    let kept = has_it.then_some(Capability::CAP_NET_RAW).into_iter().collect();
    caps::clear(None, CapSet::Inheritable).map_err(refused)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(refused)?;
    caps::set(None, CapSet::Effective, &kept).map_err(refused)?;
    prctl::set_keepcaps(false)?;
    prctl::set_no_new_privs()?;
    // Whatever happens to the keeper, nothing is left behind it. Becoming another user would have undone it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended just before.
    if parent_id() == keeper { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

/// The keeper, as far as it answers at once.
#[derive(Clone, Debug)]
pub struct Keeper {
    questions: Arc<Mutex<UnixStream>>,
}

impl Keeper {
    fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        ask::write(&mut *questions, ask)?;
        ask::read(&mut *questions)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn begin(&self) -> io::Result<Begin> {
        match self.ask(&Ask::Begin)? {
            Answer::Begin(begin) => Ok(begin),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn document(&self, action: &'static str, ask: &Ask) -> Result<Answer, StorageError> {
        match self.ask(ask) {
            Ok(Answer::Failed(failure)) => Err(failure.into()),
            Ok(answer) => Ok(answer),
            Err(source) => Err(StorageError::Io { action, path: "the keeper's documents".into(), source }),
        }
    }
}

impl Storage for Keeper {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        let answer = self.document("read", &Ask::Load(document))?;
        Ok(match answer {
            Answer::Document(bytes) => bytes.and_then(|bytes| bytes.decode()),
            _ => None,
        })
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        self.document("written", &Ask::Save(document, Bytes::of(contents))).map(drop)
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        self.document("removed", &Ask::Remove(document)).map(drop)
    }

    fn journal(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        match self.document("read", &Ask::Journal)? {
            Answer::Journal(records) => Ok(records.iter().filter_map(Bytes::decode).collect()),
            _ => Ok(Vec::new()),
        }
    }

    fn append(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        let records = records.iter().map(|record| Bytes::of(record)).collect();
        self.document("written", &Ask::Append(records)).map(drop)
    }

    fn rewrite(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        let records = records.iter().map(|record| Bytes::of(record)).collect();
        self.document("written", &Ask::Rewrite(records)).map(drop)
    }
}

/// A host whose documents and network are the keeper's.
#[derive(Clone, Debug)]
pub struct Separated {
    keeper: Keeper,
    changes: Arc<tokio::sync::Mutex<tokio::net::UnixStream>>,
    log: RecentLog,
    takes_application: bool,
}

impl Separated {
    /// Asks for something of the installer; nothing if the keeper is gone, which ends this process anyway.
    pub(super) fn installs(&self, ask: Install) -> Option<Answer> {
        self.keeper.ask(&Ask::Install(ask)).ok()
    }
}

impl System for Separated {
    fn reboot(&self) -> Result<(), SystemError> {
        match self.keeper.ask(&Ask::Restart) {
            Ok(Answer::Is(true)) => Ok(()),
            _ => Err(SystemError::Keeper),
        }
    }

    fn recent_log(&self) -> String {
        self.log.text()
    }

    fn installer(&self) -> Option<Arc<dyn Installer>> {
        Some(Arc::new(self.clone()))
    }
}

impl Host for Separated {
    type Storage = Keeper;
    type Network = RemoteNetwork;

    fn storage(&self) -> Keeper {
        self.keeper.clone()
    }

    fn network(&self, interface: &str) -> RemoteNetwork {
        RemoteNetwork { interface: interface.to_owned(), host: self.clone() }
    }

    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.clone())
    }

    async fn set_up(&self, interface: &str) -> Result<(), NetworkError> {
        self.keeper.document("read", &Ask::SetUp(interface.to_owned()))?;
        Ok(())
    }

    fn open_filters(&self, interfaces: &[&str]) -> Result<(), StorageError> {
        let open = |interface: &&str| self.keeper.document("written", &Ask::OpenFilters((*interface).to_owned()));
        interfaces.iter().try_for_each(|interface| open(interface).map(drop))
    }

    fn put_filters_back(&self) -> Result<(), StorageError> {
        self.keeper.document("written", &Ask::PutFiltersBack).map(drop)
    }

    fn tell(&self, status: &Status) -> io::Result<()> {
        self.keeper.ask(&Ask::Tell(Box::new(status.clone()))).map(drop)
    }
}

/// The network, changed by the keeper.
#[derive(Clone, Debug)]
pub struct RemoteNetwork {
    interface: String,
    host: Separated,
}

impl RemoteNetwork {
    async fn ask(&self, change: Change, report: Option<&dyn Report>) -> Result<(), NetworkError> {
        self.question(change, report).await.map(drop)
    }

    /// What was changed by hand, if that was asked.
    async fn question(&self, change: Change, report: Option<&dyn Report>) -> Result<Vec<Setting>, NetworkError> {
        let lost = |detail: &str| NetworkError::Keeper {
            code: "keeper".to_owned(),
            reason: Reason::ApplyFailed,
            detail: detail.to_owned(),
        };
        let mut changes = self.host.changes.lock().await;
        ask::send(&mut *changes, &change).await.map_err(|_| lost("the keeper is gone"))?;
        loop {
            match ask::receive(&mut *changes).await {
                Ok(Some(Progress::At(stage, percent))) => {
                    if let (Some(report), Some(stage)) = (report, ask::stage(stage)) {
                        report(stage, percent);
                    }
                }
                Ok(Some(Progress::Done)) => return Ok(Vec::new()),
                Ok(Some(Progress::Drift(drift))) => return Ok(drift),
                Ok(Some(Progress::Failed(code, reason, detail))) => {
                    let reason = Reason::from_code(&reason).unwrap_or(Reason::ApplyFailed);
                    return Err(NetworkError::Keeper { code, reason, detail });
                }
                Ok(None) | Err(_) => return Err(lost("the keeper is gone")),
            }
        }
    }
}

impl Network for RemoteNetwork {
    async fn apply(&self, settings: &NetworkSettings, report: &dyn Report) -> Result<(), NetworkError> {
        self.ask(Change::Apply(self.interface.clone(), settings.to_raw()), Some(report)).await
    }

    async fn roll_back(&self) -> Result<(), NetworkError> {
        self.ask(Change::RollBack(self.interface.clone()), None).await
    }

    async fn commit(&self) -> Result<(), NetworkError> {
        self.ask(Change::Commit(self.interface.clone()), None).await
    }

    async fn resume(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        self.ask(Change::Resume(self.interface.clone(), settings.to_raw()), None).await
    }

    async fn put_back(&self, settings: &NetworkSettings, returned: bool) -> Result<(), NetworkError> {
        self.ask(Change::PutBack(self.interface.clone(), settings.to_raw(), returned), None).await
    }

    async fn drift(&self, settings: &NetworkSettings) -> Result<Vec<Setting>, NetworkError> {
        self.question(Change::Drift(self.interface.clone(), settings.to_raw()), None).await
    }

    async fn restore(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        self.ask(Change::Restore(self.interface.clone(), settings.to_raw()), None).await
    }

    async fn forget(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        self.ask(Change::Forget(self.interface.clone(), settings.to_raw()), None).await
    }

    fn takes_application(&self) -> bool {
        self.host.takes_application
    }

    async fn hand_over(&self, task: ApplicationTask) -> Result<(), NetworkError> {
        self.ask(Change::HandOver(self.interface.clone(), task), None).await
    }

    async fn application_drifted(&self, settings: &ApplicationSettings) -> Result<bool, NetworkError> {
        let change = Change::ApplicationDrift(self.interface.clone(), settings.clone());
        Ok(!self.question(change, None).await?.is_empty())
    }

    fn is_provisional(&self) -> bool {
        matches!(self.host.keeper.ask(&Ask::IsProvisional), Ok(Answer::Is(true)))
    }
}
