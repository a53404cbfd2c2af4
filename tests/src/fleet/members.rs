//! The appliances of a fleet: who they are, and the loop that hands what comes in to the crews.

use super::catalogue::{self, Model};
use super::crew::{Common, Crew, Mail, Member};
use super::health::PracticeHealth;
use super::question::Question;
use super::rng::SeededRng;
use super::storage::Kept;
use super::system::PracticeSystem;
use super::{Command, Options};
use muster_agent::agent::{Agent, Parts, StartError};
use muster_agent::identity::Identity;
use muster_agent::label::{Label, MANIFEST_HEADER};
use muster_agent::network::fake::{self, FakeNetwork};
use muster_agent::storage::{FileStorage, MemoryStorage};
use muster_protocol::id::Uid;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::{self, Message};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Handshakes at the same time: more would only queue for the processor.
const CONNECTIONS: usize = 64;
/// More loops than this only get into each other's way.
const MOST_CREWS: usize = 8;

/// The appliances.
pub struct Fleet {
    crews: Vec<Crew>,
    socket: Arc<UdpSocket>,
    manifest: String,
}

/// How a fleet stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Datagrams that arrived.
    pub packets_in: u64,
    /// Datagrams that were sent.
    pub packets_out: u64,
    /// Datagrams that were lost on purpose, each way.
    pub packets_lost: u64,
    /// Bytes that arrived.
    pub bytes_in: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Beats that the NOC accepted.
    pub beats_accepted: u64,
    /// Appliances of which it accepted at least one.
    pub beating: usize,
    /// Appliances by state.
    pub states: BTreeMap<&'static str, usize>,
    /// Appliances by why their beats do not arrive.
    pub beat_errors: BTreeMap<&'static str, usize>,
}

impl Fleet {
    /// The appliances of `options`, behind `socket`, as they come from the factory.
    pub fn start(options: &Options, socket: UdpSocket) -> Result<Fleet, StartError> {
        Fleet::of(options, socket, None)
    }

    /// The appliances of `options` with what they kept in `folder`, as after a power cut.
    pub fn resume(options: &Options, socket: UdpSocket, folder: &Path) -> Result<Fleet, StartError> {
        Fleet::of(options, socket, Some(folder))
    }

    fn of(options: &Options, socket: UdpSocket, folder: Option<&Path>) -> Result<Fleet, StartError> {
        let knobs = Arc::new(fake::Knobs::new(options.seed));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let socket = Arc::new(socket);
        let common = Common { started: Instant::now(), socket: Arc::clone(&socket), knobs: Arc::clone(&knobs) };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let crew_size = options.count.div_ceil(processors.min(MOST_CREWS)).max(1);
        let mut manifest = format!("{MANIFEST_HEADER}\n");
        let mut crews = Vec::new();
        let numbers: Vec<usize> = (0..options.count).collect();
        for numbers in numbers.chunks(crew_size) {
            let (work, done) = mpsc::unbounded_channel();
            let mut members = Vec::with_capacity(numbers.len());
            for number in numbers.iter().copied() {
                let model = catalogue::model(number);
                let (identity, label) = make(options.seed, number, model);
                manifest += &label.manifest_line();
                manifest.push('\n');
                let storage = match folder {
                    // By name, not by number: another seed makes other appliances.
                    Some(folder) => Kept::Files(FileStorage::open(&folder.join(identity.uid().short()))?),
                    None => Kept::Memory(MemoryStorage::default()),
                };
                let parts = Parts {
                    identity,
                    mac: label.mac,
                    proof: Proof::Claim,
                    vendor: None,
                    storage,
                    network: Arc::new(FakeNetwork::new(knobs.clone())),
                    health: PracticeHealth::new(model, SeededRng::new(options.seed, "health", number)),
                    system: Arc::new(PracticeSystem),
                    work: work.clone(),
                    connections: connections.clone(),
                };
                let address = options.first_address.map(|first| own_address(first, number));
                let loss = SeededRng::new(options.seed, "loss", number);
                members.push(Member { agent: Agent::start(Millis(0), parts)?, address, loss });
            }
            crews.push(Crew::new(common.clone(), members, done, &options.knobs));
        }
        Ok(Fleet { crews, socket, manifest })
    }

    /// The vendor's manifest of all appliances, CSV.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Where the fleet listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `commands` ends; statistics that were asked for go to `told`.
    pub async fn run(
        self,
        mut commands: mpsc::Receiver<Command>,
        told: mpsc::UnboundedSender<Stats>,
    ) -> io::Result<()> {
        let mut post = Post { by_uid: BTreeMap::new(), crews: Vec::new(), stats: Stats::default() };
        for crew in self.crews {
            let (mail, mails) = mpsc::unbounded_channel();
            post.by_uid.extend(crew.uids().map(|uid| (uid, post.crews.len())));
            post.crews.push(mail);
            tokio::spawn(crew.run(mails));
        }
        let mut buffer = vec![0; wire::MAX_DATAGRAM + 1];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => post.datagram(from, &buffer[..length]),
                    // The kernel's word that somebody no longer listens.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error),
                },
                command = commands.recv() => match command {
                    Some(Command::Knobs(knobs)) => post.all(|| Mail::Knobs(knobs.clone())),
                    Some(Command::Stats(_)) => {
                        let _ = told.send(post.stats().await);
                    }
                    None => return Ok(()),
                },
            }
        }
    }
}

/// Hands what comes in to the crews.
struct Post {
    by_uid: BTreeMap<Uid, usize>,
    crews: Vec<mpsc::UnboundedSender<Mail>>,
    stats: Stats,
}

impl Post {
    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.stats.packets_in += 1;
        self.stats.bytes_in += bytes.len() as u64;
        match wire::decode(bytes) {
            Ok(Message::Ping(packet)) => {
                let Ok(ping) = packet.question() else { return };
                let (bytes, question) = (Arc::from(bytes), Arc::new(Question::new(ping)));
                self.all(|| Mail::Ping { from, bytes: Arc::clone(&bytes), question: Arc::clone(&question) });
            }
            Ok(Message::Config(packet)) => self.one(packet.to.uid, from, bytes),
            Ok(Message::KickStart(packet)) => self.one(packet.uid, from, bytes),
            _ => {}
        }
    }

    fn one(&self, to: Uid, from: SocketAddr, bytes: &[u8]) {
        if let Some(crew) = self.by_uid.get(&to).and_then(|crew| self.crews.get(*crew)) {
            let _ = crew.send(Mail::Datagram { to, from, bytes: bytes.to_vec() });
        }
    }

    fn all(&self, mail: impl Fn() -> Mail) {
        for crew in &self.crews {
            let _ = crew.send(mail());
        }
    }

    async fn stats(&self) -> Stats {
        let mut all = self.stats.clone();
        for crew in &self.crews {
            let (answer, answered) = oneshot::channel();
            if crew.send(Mail::Stats(answer)).is_ok()
                && let Ok(stats) = answered.await
            {
                all.add(stats);
            }
        }
        all
    }
}

impl Stats {
    fn add(&mut self, other: Stats) {
        self.packets_in += other.packets_in;
        self.packets_out += other.packets_out;
        self.packets_lost += other.packets_lost;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.beats_accepted += other.beats_accepted;
        self.beating += other.beating;
        for (state, count) in other.states {
            *self.states.entry(state).or_default() += count;
        }
        for (error, count) in other.beat_errors {
            *self.beat_errors.entry(error).or_default() += count;
        }
    }
}

fn own_address(first: Ipv4Addr, number: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first).wrapping_add(number as u32))
}

fn make(seed: u64, number: usize, model: &Model) -> (Identity, Label) {
    let identity = Identity::from_rng(&mut SeededRng::new(seed, "identity", number));
    let label = Label::new(&identity, model.mac(number), &model.serial(number), model.name);
    (identity, label)
}
