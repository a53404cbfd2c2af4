//! The process that is root: it keeps documents and changes the network, as the worker asks.
//!
//! The worker may have been taken over by whoever sent it a datagram. So a former state, which is restored with root's rights,
//! is neither read nor written for it; settings are validated again; and an interface is believed only if the kernel has it.

use super::ask::{self, Answer, Ask, Begin, Bytes, Change, Progress};
use super::{Account, SeparationError, install};
use crate::config::Config;
use crate::identity::Identity;
use crate::installer::local::LocalInstaller;
use crate::interfaces;
use crate::lock::lock_patiently;
use crate::network::application;
use crate::network::back_end::BackEndChoice;
use crate::network::drift::Setting;
use crate::network::live::LiveNetwork;
use crate::network::{self, Choice, Network, NetworkError, find_link, rp_filter};
use crate::recent_log::RecentLog;
use crate::storage::{Document, FileStorage, Storage, StorageError};
use crate::system::{HostSystem, System};
use crate::{reset, run};
use muster_protocol::appliance::Failure;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::result::{Reason, Stage};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The subcommand that makes a process the worker.
pub const WORKER: &str = "worker";

/// Starts a worker and serves it until it ends or we are told to.
pub async fn keep(config: Config, account: Account) -> anyhow::Result<()> {
    let storage = FileStorage::open(&config.state_dir)?;
    let _lock = lock_patiently(&config.state_dir).await?;
    reset::finish(&config, &storage).await?;
    // The image's claim code may be for root alone.
    let identity = Identity::load_or_make(&storage, config.claim_file.as_deref())?;
    let installer = LocalInstaller::open(config.components.clone(), identity.uid(), storage.clone())?;
    run::make_counters_folder(&config.root);
    let mut end = run::End::listen()?;
    let (mut worker, questions, changes) = start_worker().map_err(SeparationError::Start)?;
    tracing::debug!(worker = worker.id(), user = %account.uid, "divided");

    let served = {
        let network = BackEndChoice::new(config.network.clone());
        let keeper = Keeper { config: Arc::new(config), storage: storage.clone(), network, account, installer };
        let own = keeper.clone();
        // A thread of its own: a document is synced to disk, also while the network is being changed.
        std::thread::spawn(move || own.answer(questions));
        keeper.change(changes)
    };
    let ended = tokio::select! {
        // The worker has closed its end: it is gone, or about to be.
        served = served => Some(served),
        () = end.asked() => None,
    };
    rp_filter::put_back(&storage)?;
    match ended {
        // The worker ends with us: the kernel sees to it (`PR_SET_PDEATHSIG`).
        None => {
            tracing::info!("ended");
            Ok(())
        }
        Some(served) => {
            served.map_err(SeparationError::Start)?;
            let status = worker.wait().map_err(SeparationError::Start)?;
            if status.success() { Ok(()) } else { Err(SeparationError::Ended { how: status.to_string() }.into()) }
        }
    }
}

fn start_worker() -> io::Result<(Child, UnixStream, UnixStream)> {
    let (questions, their_questions) = UnixStream::pair()?;
    let (changes, their_changes) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORKER);
    // Without unsafe code, standard input and output are the only descriptors that can be given to a program.
    command.stdin(Stdio::from(OwnedFd::from(their_questions))).stdout(Stdio::from(OwnedFd::from(their_changes)));
    // Nothing of the environment but what the log needs.
    let level = std::env::var_os("RUST_LOG");
    command.env_clear().envs(level.map(|level| ("RUST_LOG", level)));
    Ok((command.spawn()?, questions, changes))
}

#[derive(Clone)]
struct Keeper {
    config: Arc<Config>,
    storage: FileStorage,
    network: BackEndChoice,
    account: Account,
    installer: LocalInstaller<FileStorage>,
}

impl Keeper {
    /// Answers until the worker is gone.
    fn answer(&self, mut questions: UnixStream) {
        loop {
            let ask: Ask = match ask::read(&mut questions) {
                Ok(Some(ask)) => ask,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the worker asks something that it should not");
                    return;
                }
            };
            let answer = self.reply(ask).unwrap_or_else(|error| Answer::Failed(error.into()));
            if let Err(error) = ask::write(&mut questions, &answer) {
                tracing::debug!(%error, "the worker does not listen");
                return;
            }
        }
    }

    fn reply(&self, ask: Ask) -> Result<Answer, StorageError> {
        let refused = |document: Document| StorageError::Io {
            action: "read",
            path: format!("{document:?}").into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        match ask {
            Ask::Begin => Ok(Answer::Begin(Begin {
                uid: self.account.uid.as_raw(),
                gid: self.account.gid.as_raw(),
                interface: self.config.interface.clone(),
                proof: self.config.proof.into(),
                vendor: self.config.vendor.map(|key| key.0),
                root: self.config.root.clone(),
                state_dir: self.config.state_dir.clone(),
                drift: self.config.drift,
                puts_back: self.config.sets_kernel(),
                takes_application: self.config.application.is_some(),
                system_call_filter: self.config.system_call_filter,
            })),
            Ask::Load(document) if access(document) != Access::Never => {
                Ok(Answer::Document(self.storage.load(document)?.as_deref().map(Bytes::of)))
            }
            Ask::Save(document, bytes) if access(document) == Access::Write => {
                let bytes = bytes.decode().ok_or_else(|| refused(document))?;
                self.storage.save(document, &bytes).map(|()| Answer::Done)
            }
            Ask::Remove(document) if access(document) == Access::Write => {
                self.storage.remove(document).map(|()| Answer::Done)
            }
            Ask::Load(document) | Ask::Save(document, _) | Ask::Remove(document) => Err(refused(document)),
            Ask::Journal => {
                let records = self.storage.journal()?;
                Ok(Answer::Journal(records.iter().map(|record| Bytes::of(record)).collect()))
            }
            Ask::Append(records) => self.storage.append(&decoded(&records)).map(|()| Answer::Done),
            Ask::Rewrite(records) => self.storage.rewrite(&decoded(&records)).map(|()| Answer::Done),
            Ask::IsProvisional => {
                let has_former_network = matches!(self.storage.load(Document::FormerNetwork), Ok(Some(_)));
                Ok(Answer::Is(has_former_network || application::is_provisional(&self.storage)))
            }
            Ask::SetUp(interface) => {
                self.set_up(&interface);
                Ok(Answer::Done)
            }
            Ask::OpenFilters(interface) => {
                // It becomes part of a path.
                if is_name(&interface) {
                    rp_filter::open(&self.storage, [interface.as_str()])?;
                }
                Ok(Answer::Done)
            }
            Ask::PutFiltersBack => rp_filter::put_back(&self.storage).map(|()| Answer::Done),
            Ask::Restart => Ok(Answer::Is(self.restart())),
            Ask::Install(ask) => Ok(install::answer(&self.installer, ask)),
            Ask::Tell(status) => {
                if let Err(error) = status.store(self.storage.folder()) {
                    tracing::warn!(%error, "the status file could not be written");
                }
                Ok(Answer::Done)
            }
        }
    }

    fn restart(&self) -> bool {
        let system = HostSystem { reboot: self.config.reboot.clone(), log: RecentLog::default() };
        let restarted = system.reboot();
        if let Err(error) = &restarted {
            tracing::error!(code = error.code(), error = %network::chain(error), "the system was not restarted");
        }
        restarted.is_ok()
    }

    /// A runtime of its own for a moment: this is rare, and the other one may be busy with a change.
    fn set_up(&self, interface: &str) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if let Err(error) = runtime.block_on(network::set_up(interface)) {
            tracing::warn!(code = error.code(), "the interface could not be brought up");
        }
    }

    async fn change(self, changes: UnixStream) -> io::Result<()> {
        changes.set_nonblocking(true)?;
        let mut changes = tokio::net::UnixStream::from_std(changes)?;
        while let Some(change) = ask::receive::<Change>(&mut changes).await? {
            let (report, mut reports) = mpsc::unbounded_channel();
            let is_a_look = matches!(change, Change::Drift(..) | Change::ApplicationDrift(..));
            let carried_out = self.carry_out(change, report);
            tokio::pin!(carried_out);
            let result = loop {
                tokio::select! {
                    biased;
                    Some((stage, percent)) = reports.recv() => {
                        ask::send(&mut changes, &Progress::At(ask::stage_number(stage), percent)).await?;
                    }
                    result = &mut carried_out => break result,
                }
            };
            let answer = match result {
                Ok(drift) if is_a_look => Progress::Drift(drift),
                Ok(_) => Progress::Done,
                Err(error) => {
                    // Code and causes are in our own log; the worker needs what the appliance reports. One that can not
                    // look for changes tries again with every beat.
                    if !is_a_look {
                        tracing::warn!(code = error.code(), error = %network::chain(&error), "the network");
                    }
                    let Failure { reason, detail } = error.to_failure();
                    Progress::Failed(error.code().to_owned(), reason.code().to_owned(), detail)
                }
            };
            ask::send(&mut changes, &answer).await?;
        }
        Ok(())
    }

    /// What was changed by hand, if that was asked.
    async fn carry_out(
        &self,
        change: Change,
        to: mpsc::UnboundedSender<(Stage, u8)>,
    ) -> Result<Vec<Setting>, NetworkError> {
        let report = move |stage, percent| {
            let _ = to.send((stage, percent));
        };
        let changed = match change {
            Change::Drift(interface, raw) => return self.network(interface).await?.drift(&valid(&raw)?).await,
            Change::Restore(interface, raw) => self.network(interface).await?.restore(&valid(&raw)?).await,
            Change::Apply(interface, raw) => self.network(interface).await?.apply(&valid(&raw)?, &report).await,
            Change::RollBack(interface) => self.network(interface).await?.roll_back().await,
            Change::Commit(interface) => self.network(interface).await?.commit().await,
            Change::Resume(interface, raw) => self.network(interface).await?.resume(&valid(&raw)?).await,
            Change::PutBack(interface, raw, returned) => {
                self.network(interface).await?.put_back(&valid(&raw)?, returned).await
            }
            Change::Forget(interface, raw) => self.network(interface).await?.forget(&valid(&raw)?).await,
            // Settings were checked as they were read.
            Change::HandOver(interface, task) => self.network(interface).await?.hand_over(task).await,
            Change::ApplicationDrift(interface, settings) => {
                let is_changed = self.network(interface).await?.application_drifted(&settings).await?;
                return Ok(is_changed.then_some(Setting::Application).into_iter().collect());
            }
        };
        changed.map(|()| Vec::new())
    }

    /// The network of the interface that the image names or that is kept as the configured one; before there is one, of any that
    /// is there.
    async fn network(&self, interface: String) -> Result<LiveNetwork<FileStorage>, NetworkError> {
        match interfaces::chosen(&self.config.interface, &self.storage)? {
            Choice::Named(own) if own == interface => {}
            Choice::Any => drop(find_link(&Choice::Named(interface.clone())).await?),
            choice => {
                if find_link(&choice).await?.name != interface {
                    return Err(NetworkError::NoInterface { interface });
                }
            }
        }
        let (root, storage) = (self.config.root.clone(), self.storage.clone());
        let application = self.config.application.clone();
        let network = LiveNetwork::new(interface, root, self.config.probe, storage, self.network.clone());
        Ok(LiveNetwork { application, ..network })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Never,
    Read,
    Write,
}

/// What the worker may do with a document. What root goes by is not for it.
fn access(document: Document) -> Access {
    match document {
        Document::Identity => Access::Read,
        Document::Appliance | Document::Noc | Document::Interface => Access::Write,
        // The journal has questions of its own.
        Document::FormerNetwork
        | Document::FormerApplication
        | Document::FormerFilters
        | Document::Beats
        | Document::Reset => Access::Never,
        // Whose software runs as root is not for the worker to say.
        Document::Components | Document::ComponentTrust => Access::Never,
    }
}

fn decoded(records: &[Bytes]) -> Vec<Vec<u8>> {
    records.iter().filter_map(Bytes::decode).collect()
}

fn valid(raw: &RawSettings) -> Result<muster_protocol::parameters::NetworkSettings, NetworkError> {
    raw.validate().map_err(|_| NetworkError::Keeper {
        code: "keeper".to_owned(),
        reason: Reason::ApplyFailed,
        detail: "settings that are not valid".to_owned(),
    })
}

/// As the kernel takes names of interfaces: no path leads out of a folder by one.
fn is_name(interface: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    (1..16).contains(&interface.len()) && interface != "." && interface != ".." && interface.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::arp::Timing;
    use muster_protocol::parameters::DriftPolicy;
    use muster_protocol::wire::here::Proof;
    use std::time::Duration;

    fn keeper(folder: &std::path::Path) -> Keeper {
        let config = Config {
            state_dir: folder.to_owned(),
            root: folder.to_owned(),
            interface: Choice::Named("eth0".into()),
            proof: Proof::Claim,
            vendor: None,
            claim_file: None,
            serial: String::new(),
            model: String::new(),
            network: None,
            probe: Timing::within(Duration::ZERO),
            reboot: vec!["false".to_owned()],
            user: None,
            system_call_filter: true,
            drift: DriftPolicy::Report,
            application: None,
            components: None,
        };
        let account = Account { uid: nix::unistd::Uid::from_raw(64078), gid: nix::unistd::Gid::from_raw(64078) };
        let (storage, network) = (FileStorage::open(folder).expect("opens"), BackEndChoice::default());
        let uid = muster_protocol::id::Uid([7; 20]);
        let installer = LocalInstaller::open(None, uid, storage.clone()).expect("opens");
        Keeper { config: Arc::new(config), storage, network, account, installer }
    }

    #[test]
    fn a_worker_that_was_taken_over_cannot_touch_what_root_goes_by() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = keeper(folder.path());
        keeper.storage.save(Document::FormerNetwork, b"genuine").expect("saved");
        let its_own = [Document::Components, Document::ComponentTrust];
        for document in [Document::FormerNetwork, Document::FormerFilters].into_iter().chain(its_own) {
            let forged = Ask::Save(document, Bytes::of(b"/etc/shadow"));
            for ask in [forged, Ask::Load(document), Ask::Remove(document)] {
                assert_eq!(keeper.reply(ask).expect_err("refused").code(), "storage_failed");
            }
        }
        let forged = Ask::Save(Document::Identity, Bytes::of(b"another"));
        assert!(keeper.reply(forged).is_err() && keeper.reply(Ask::Remove(Document::Identity)).is_err());
        assert_eq!(keeper.storage.load(Document::FormerNetwork).expect("kept").as_deref(), Some(&b"genuine"[..]));
        assert!(matches!(keeper.reply(Ask::IsProvisional), Ok(Answer::Is(true))));

        keeper.reply(Ask::Save(Document::Appliance, Bytes::of(b"mine"))).expect("its own");
        let records = || vec![Bytes::of(b"one"), Bytes::of(b"two")];
        keeper.reply(Ask::Rewrite(records())).expect("its own");
        keeper.reply(Ask::Append(records())).expect("its own");
        let journal = keeper.reply(Ask::Journal).expect("its own");
        assert!(matches!(journal, Answer::Journal(records) if records.len() == 4));
        let flood = vec![Bytes::of(&vec![0; 200 * 1024]); 1];
        let refused = (0..10).filter(|_| keeper.reply(Ask::Append(flood.clone())).is_err()).count();
        assert!(refused >= 7, "the journal does not fill the disk");
        let loaded = keeper.reply(Ask::Load(Document::Appliance)).expect("its own");
        assert!(matches!(loaded, Answer::Document(Some(bytes)) if bytes.decode().as_deref() == Some(b"mine")));
    }

    #[test]
    fn a_restart_is_the_images_command_whatever_the_worker_would_like() {
        let folder = tempfile::tempdir().expect("a folder");
        let failing = keeper(folder.path());
        assert!(matches!(failing.reply(Ask::Restart), Ok(Answer::Is(false))));
        let config = Config { reboot: vec!["true".to_owned()], ..(*failing.config).clone() };
        let working = Keeper { config: Arc::new(config), ..failing };
        assert!(matches!(working.reply(Ask::Restart), Ok(Answer::Is(true))));
    }

    #[tokio::test]
    async fn settings_and_interface_are_validated_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = keeper(folder.path());
        let settings = RawSettings { host_name: "a\nb".into(), address: "192.0.2.1".into(), ..RawSettings::default() };
        let (to, _reports) = mpsc::unbounded_channel();
        let error = keeper.carry_out(Change::Apply("eth0".into(), settings.clone()), to.clone()).await;
        assert_eq!(error.expect_err("refused").code(), "keeper");
        let error = keeper.carry_out(Change::Apply("../eth0".into(), settings), to).await;
        assert_eq!(error.expect_err("refused").code(), "no_interface");
        assert!(is_name("eth0.1") && is_name("br-lan"));
        for bad in ["", ".", "..", "a/b", "../x", "a b", "a:1", "abcdefghijklmnop", "e\u{301}"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
