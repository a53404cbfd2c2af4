//! The task that owns the sockets: discovery, and the deliveries of all jobs.
//!
//! It has a thread of its own, because it checks signatures: some 15,000 answers a second would hold up everything else
//! that the async threads do. Sockets are read by other tasks, so that the kernel's buffer is emptied meanwhile
//! (docs/decisions/0014).

mod pace;
mod speed;
mod view;

use super::state::Shared;
use super::{Options, entropy, unix_now};
use crate::identity::Identity;
use crate::jobs::{Batch, Effect, JobError, Jobs};
use crate::noc_client::{NocClient, NocError};
use crate::problem::{Explain, chain};
use crate::store::{Change, Store, StoreError, StoredJob};
use crate::udp::{Received, Udp};
use muster_protocol::api::{GrantRequest, Grants};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::discovery::{self, Discovery, Signer};
use muster_protocol::id::Uid;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::State as Stand;
use muster_protocol::wire::{self, Message};
use pace::Pace;
use speed::Speed;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use view::Progress;

/// How often interfaces are looked for while nothing else happens.
const REFRESH: Duration = Duration::from_secs(5);
/// How often at most while a discovery runs: what is plugged in meanwhile is asked by the next ping.
const REFRESH_RUNNING: Duration = Duration::from_millis(50);
/// After the disk was full, or the NOC not reachable.
const AGAIN: Duration = Duration::from_secs(2);
/// Datagrams handled before anything else gets its turn: some milliseconds.
const MOST_AT_ONCE: usize = 128;

/// What the task is told.
pub(super) enum Command {
    /// `begun` is told when what is shown is of this discovery.
    Discover {
        begun: oneshot::Sender<()>,
    },
    StopDiscovery,
    Targets(Vec<SocketAddr>),
    Identity(Box<Identity>),
    AddJob(StoredJob),
    /// Send the kick-start once more, if one is due; true then.
    Kick {
        uid: Uid,
        answer: oneshot::Sender<bool>,
    },
    Cancel {
        id: u32,
        answer: oneshot::Sender<Result<(), JobError>>,
    },
    Retry {
        id: u32,
        uids: Vec<Uid>,
        answer: oneshot::Sender<Result<(), JobError>>,
    },
    /// The store has, or has not, done its part.
    Stored {
        batch: Batch,
        outcome: Result<(), StoreError>,
    },
    /// The NOC's answer.
    Granted(Result<Grants, NocError>),
}

/// What the task is made of.
pub(super) struct Parts<'a> {
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) client: watch::Receiver<Option<NocClient>>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// For what the task starts itself to report back; weak, so that the task ends with its engine.
    pub(super) sender: mpsc::WeakSender<Command>,
    pub(super) outbox: watch::Sender<()>,
    pub(super) jobs: Jobs,
    pub(super) identity: Option<&'a Identity>,
}

pub(super) struct Lan {
    options: Options,
    shared: Arc<Shared>,
    store: Arc<Store>,
    client: watch::Receiver<Option<NocClient>>,
    commands: mpsc::Receiver<Command>,
    sender: mpsc::WeakSender<Command>,
    outbox: watch::Sender<()>,
    udp: Udp,
    packets: mpsc::Receiver<Received>,
    speed: Speed,
    started: Instant,
    discovery: Discovery,
    progress: Progress,
    console: Option<SecretKey>,
    jobs: Jobs,
    saving: bool,
    asking: bool,
    store_again: Option<Instant>,
    grants_again: Option<Instant>,
    refreshed: Instant,
    outgoing: VecDeque<(Uid, Vec<u8>, bool)>,
    pace: Pace,
}

impl Lan {
    pub(super) fn open(parts: Parts<'_>) -> std::io::Result<Lan> {
        let udp = Udp::open(parts.options.lan, parts.options.targets.clone())?;
        let (sender, packets) = mpsc::channel(16_384);
        udp.spawn_readers(&sender);
        let now = Instant::now();
        let mut lan = Lan {
            discovery: discovery(&parts.options, parts.identity),
            console: parts.identity.map(Identity::key),
            options: parts.options,
            shared: parts.shared,
            store: parts.store,
            client: parts.client,
            commands: parts.commands,
            sender: parts.sender,
            outbox: parts.outbox,
            udp,
            packets,
            speed: Speed::default(),
            started: now,
            progress: Progress::default(),
            jobs: parts.jobs,
            saving: false,
            asking: false,
            store_again: None,
            grants_again: None,
            refreshed: now,
            outgoing: VecDeque::new(),
            pace: Pace::new(now),
        };
        lan.tell_capacity();
        lan.apply_effects();
        Ok(lan)
    }

    pub(super) async fn run(mut self) {
        let mut received = Vec::with_capacity(MOST_AT_ONCE);
        loop {
            self.work().await;
            let wake = self.wake_at();
            tokio::select! {
                count = self.packets.recv_many(&mut received, MOST_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    self.received_all(&mut received);
                }
                command = self.commands.recv() => {
                    let Some(command) = command else { return };
                    self.command(command);
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Everything that is due, and everything that follows from it.
    async fn work(&mut self) {
        if self.refreshed.elapsed() >= REFRESH {
            self.refresh();
        }
        let now = self.now();
        self.discovery.handle_timeout(now);
        self.drain_discovery().await;
        if self.options.run_jobs
            && let Some(console) = self.console.take()
        {
            self.jobs.tick(now, unix_now(), &console);
            self.jobs.begin(now, unix_now(), &console);
            self.console = Some(console);
            self.fetch_grants();
            self.save();
        }
        self.apply_effects();
        self.drain_discovery().await;
        self.send_paced().await;
    }

    fn wake_at(&self) -> Instant {
        let machines = [self.discovery.poll_timeout(), self.jobs.next_tick()].into_iter().flatten();
        let machines = machines.map(|at| self.started + Duration::from_millis(at.0));
        let own = [self.store_again, self.grants_again].into_iter().flatten();
        let sending = (!self.outgoing.is_empty()).then(|| self.pace.next());
        machines.chain(own).chain(sending).chain([self.refreshed + REFRESH]).min().unwrap_or(self.refreshed)
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn received_all(&mut self, received: &mut Vec<Received>) {
        let (began, count) = (Instant::now(), received.len());
        for received in received.drain(..) {
            self.received(&received);
        }
        self.take_heard();
        if let Some(answers_per_s) = self.speed.measured(count, began.elapsed()) {
            let now = self.now();
            self.discovery.handle_input(now, discovery::Input::Speed { answers_per_s });
        }
    }

    fn received(&mut self, (peer, bytes): &Received) {
        let now = self.now();
        match wire::decode(bytes) {
            Ok(Message::Here(packet)) => {
                self.discovery.handle_input(now, discovery::Input::Here { peer: *peer, packet: &packet });
            }
            Ok(Message::Result(packet)) => {
                // In the order in which they came.
                self.take_heard();
                if let Some(console) = &self.console {
                    self.jobs.packet(now, unix_now(), &packet, console);
                }
            }
            // Pings of other consoles, and what is not ours.
            Ok(_) | Err(_) => {}
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Discover { begun } => {
                self.refresh();
                self.discovery.start(now);
                self.progress.begin(Instant::now(), self.udp.receive_buffer());
                self.show_discovery();
                let _ = begun.send(());
            }
            Command::StopDiscovery => self.discovery.stop(now),
            Command::Targets(targets) => self.udp.set_targets(targets),
            Command::Identity(identity) => {
                self.discovery.stop(now);
                self.take_heard();
                self.console = Some(identity.key());
                self.discovery = discovery(&self.options, Some(&identity));
                self.tell_capacity();
            }
            Command::AddJob(job) => self.jobs.add(job),
            Command::Kick { uid, answer } => {
                let kicked = match &self.console {
                    Some(console) => self.jobs.kick(now, unix_now(), &uid, console),
                    None => false,
                };
                self.apply_effects();
                let _ = answer.send(kicked);
            }
            Command::Cancel { id, answer } => {
                let outcome = match &self.console {
                    Some(console) => self.jobs.cancel(now, unix_now(), id, console),
                    None => Err(JobError::Unknown { id }),
                };
                self.apply_effects();
                let _ = answer.send(outcome);
            }
            Command::Retry { id, uids, answer } => {
                let outcome = self.jobs.retry(id, &uids);
                self.apply_effects();
                let _ = answer.send(outcome);
            }
            Command::Stored { batch, outcome } => self.stored(batch, outcome),
            Command::Granted(outcome) => self.granted(outcome),
        }
    }

    fn stored(&mut self, batch: Batch, outcome: Result<(), StoreError>) {
        self.saving = false;
        let Some(console) = &self.console else { return };
        match outcome {
            Ok(()) => {
                if batch.changes.iter().any(|change| matches!(change, Change::Done { report: Some(_), .. })) {
                    let _ = self.outbox.send(());
                }
                let now = self.now();
                self.jobs.stored(now, unix_now(), batch, console);
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "jobs wait until they can be stored");
                self.jobs.not_stored(batch, &error.problem());
                self.store_again = Some(Instant::now() + AGAIN);
            }
        }
    }

    fn granted(&mut self, outcome: Result<Grants, NocError>) {
        self.asking = false;
        let Some(console) = &self.console else { return };
        match outcome {
            Ok(grants) => {
                let now = self.now();
                self.jobs.granted(now, unix_now(), grants.items, console);
            }
            Err(error) => {
                let again = error.may_pass();
                tracing::warn!(error = %chain(&error), again, "no grants");
                self.jobs.not_granted(unix_now(), &error.problem(), again);
                self.grants_again = again.then(|| Instant::now() + AGAIN);
            }
        }
    }

    /// Stores in the background; what waits for it goes out when it is on disk. One batch at a time keeps their order.
    fn save(&mut self) {
        if self.saving || self.store_again.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.store_again = None;
        let Some(batch) = self.jobs.take_batch() else { return };
        let Some(sender) = self.sender.upgrade() else { return };
        self.saving = true;
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            let outcome = store.save(&batch.changes);
            let _ = sender.blocking_send(Command::Stored { batch, outcome });
        });
    }

    fn fetch_grants(&mut self) {
        if self.asking || self.grants_again.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.grants_again = None;
        let Some(client) = self.client.borrow().clone() else { return };
        let Some(sender) = self.sender.upgrade() else { return };
        let Some(order) = self.jobs.wanted_grants() else { return };
        self.asking = true;
        tokio::spawn(async move {
            let outcome = client.grants(&GrantRequest { site: order.site, items: order.items }).await;
            let _ = sender.send(Command::Granted(outcome)).await;
        });
    }

    async fn drain_discovery(&mut self) {
        self.take_heard();
        while let Some(bytes) = self.progress.ping() {
            if self.discovery.is_running() && self.refreshed.elapsed() >= REFRESH_RUNNING {
                self.refresh();
            }
            let reached = self.udp.everywhere(&bytes).await;
            let sent = self.progress.went_out(reached);
            let now = self.now();
            if sent.new_interface {
                self.discovery.handle_input(now, discovery::Input::NewInterface);
            }
            if sent.stranded {
                self.discovery.stop(now);
                self.take_heard();
            }
            if sent.show {
                self.show_discovery();
            }
        }
    }

    /// Takes what discovery puts out; pings are kept for [`Self::drain_discovery`].
    fn take_heard(&mut self) {
        let (now, at) = (self.now(), Instant::now());
        let mut show = false;
        let mut all = Vec::new();
        while let Some(output) = self.discovery.poll_output() {
            match output {
                discovery::Output::Transmit { bytes } => self.progress.add_ping(bytes),
                discovery::Output::Notify(discovery::Event::Heard(heard)) => {
                    if let Some(console) = &self.console {
                        self.jobs.heard(now, unix_now(), &heard, console);
                    }
                    show |= self.progress.heard(at, &heard);
                    let place = self.udp.place(&heard.peer);
                    all.push((heard, place));
                }
                discovery::Output::Notify(event) => {
                    self.progress.note(at, &event);
                    show = true;
                }
            }
        }
        if !all.is_empty() {
            self.shared.change(|state| {
                for (heard, place) in all {
                    state.roster.heard(heard, place);
                }
            });
        }
        if show {
            self.show_discovery();
        }
    }

    fn show_discovery(&self) {
        let view = self.progress.view();
        self.shared.change(|state| state.set_discovery(view));
    }

    fn apply_effects(&mut self) {
        let now = self.now();
        let mut asked = Vec::new();
        let (jobs, outgoing, shared) = (&mut self.jobs, &mut self.outgoing, &self.shared);
        let mut next = jobs.effect();
        if next.is_none() {
            return;
        }
        shared.change(|state| {
            while let Some(effect) = next {
                match effect {
                    Effect::Transmit { uid, bytes, everywhere } => outgoing.push_back((uid, bytes, everywhere)),
                    Effect::AskKey(uid) => asked.push(uid),
                    Effect::Item { job, item } => {
                        if let Ok(uid) = item.uid.parse() {
                            state.change_item(job, &uid, |shown| *shown = *item);
                        }
                    }
                    Effect::Job(view) => state.put_job(*view),
                    Effect::Marks { job, finished, cancelled } => state.change_job(job, |view| {
                        view.finished = finished.map(crate::view::seconds);
                        view.cancelled = cancelled;
                    }),
                    Effect::Configured { uid, settings } => state.roster.set_state(&uid, Stand::Configured, settings),
                }
                next = jobs.effect();
            }
        });
        for uid in asked {
            self.discovery.ping_one(now, uid);
        }
    }

    async fn send_paced(&mut self) {
        while !self.outgoing.is_empty() && self.pace.may_send(Instant::now()) {
            let Some((uid, bytes, everywhere)) = self.outgoing.pop_front() else { return };
            let peer = self.shared.read(|state| state.roster.peer(&uid));
            if let Some(peer) = peer
                && let Err(error) = self.udp.to_peer(&peer, &bytes).await
            {
                // It is sent again, and then everywhere.
                tracing::debug!(%uid, %error, "a packet could not be sent");
            }
            if everywhere || peer.is_none() {
                self.udp.everywhere(&bytes).await;
            }
        }
    }

    fn refresh(&mut self) {
        self.udp.refresh();
        self.refreshed = Instant::now();
    }

    fn tell_capacity(&mut self) {
        let now = self.now();
        let receive_buffer = self.udp.receive_buffer();
        tracing::info!(receive_buffer, "sockets are open");
        self.discovery.handle_input(now, discovery::Input::Capacity { receive_buffer });
    }
}

fn discovery(options: &Options, identity: Option<&Identity>) -> Discovery {
    let signer = identity.map(|identity| Signer { key: identity.key(), credential: identity.credential.clone() });
    Discovery::new(options.discovery.clone(), signer, entropy())
}
