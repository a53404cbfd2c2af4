//! The appliances of a fleet, and the one loop that drives them all.

use super::catalogue::{self, Model};
use super::health::PracticeHealth;
use super::rng::SeededRng;
use super::storage::Kept;
use super::{Command, Knobs, Options};
use muster_agent::agent::{Agent, Done, Parts, StartError};
use muster_agent::identity::Identity;
use muster_agent::label::{Label, MANIFEST_HEADER};
use muster_agent::network::fake::{self, FakeNetwork};
use muster_agent::status;
use muster_agent::storage::{FileStorage, MemoryStorage};
use muster_protocol::id::Uid;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::{self, Message, Peer};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};

type Appliance = Agent<Kept, FakeNetwork, PracticeHealth>;

/// Handshakes at the same time: more would only queue for the processor.
const CONNECTIONS: usize = 64;

struct Member {
    agent: Appliance,
    due: Option<Millis>,
    silent: bool,
}

/// The appliances.
pub struct Fleet {
    members: Vec<Member>,
    by_uid: BTreeMap<Uid, usize>,
    /// When which member is to be woken: one timer for all.
    wakes: BTreeSet<(Millis, usize)>,
    started: Instant,
    socket: UdpSocket,
    done: mpsc::UnboundedReceiver<Done>,
    knobs: Arc<fake::Knobs>,
    loss_percent: u8,
    loss: SeededRng,
    manifest: String,
    packets: Packets,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Packets {
    packets_in: u64,
    packets_out: u64,
    packets_lost: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// How a fleet stands.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    #[serde(flatten)]
    packets: Packets,
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
        let (work, done) = mpsc::unbounded_channel();
        let knobs = Arc::new(fake::Knobs::new(options.seed));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let mut manifest = format!("{MANIFEST_HEADER}\n");
        let mut members = Vec::with_capacity(options.count);
        for number in 0..options.count {
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
                storage,
                network: Arc::new(FakeNetwork::new(knobs.clone())),
                health: PracticeHealth::new(model, SeededRng::new(options.seed, "health", number)),
                work: work.clone(),
                connections: connections.clone(),
            };
            members.push(Member { agent: Agent::start(Millis(0), parts)?, due: None, silent: false });
        }
        let by_uid = members.iter().enumerate().map(|(number, member)| (member.agent.uid(), number)).collect();
        let mut fleet = Fleet {
            members,
            by_uid,
            wakes: BTreeSet::new(),
            started: Instant::now(),
            socket,
            done,
            knobs,
            loss_percent: 0,
            loss: SeededRng::new(options.seed, "loss", 0),
            manifest,
            packets: Packets::default(),
        };
        fleet.turn(&options.knobs);
        Ok(fleet)
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
        mut self,
        mut commands: mpsc::Receiver<Command>,
        told: mpsc::UnboundedSender<Stats>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; wire::MAX_DATAGRAM + 1];
        loop {
            let due = self.wakes.first().map(|(at, _)| self.started + Duration::from_millis(at.0));
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.datagram(from, &buffer[..length]).await,
                    // The kernel's word that somebody no longer listens.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error),
                },
                () = sleep_until(due) => self.wake().await,
                Some(done) = self.done.recv() => self.finish(done).await,
                command = commands.recv() => match command {
                    Some(Command::Knobs(knobs)) => self.turn(&knobs),
                    Some(Command::Stats(_)) => {
                        let _ = told.send(self.stats());
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    /// How the fleet stands.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            packets: self.packets,
            beats_accepted: 0,
            beating: 0,
            states: BTreeMap::new(),
            beat_errors: BTreeMap::new(),
        };
        for Member { agent, .. } in &self.members {
            let beat = agent.last_beat();
            stats.beats_accepted += beat.accepted;
            stats.beating += usize::from(beat.accepted > 0);
            *stats.states.entry(status::word(agent.state())).or_default() += 1;
            if let Some(error) = beat.error {
                *stats.beat_errors.entry(error).or_default() += 1;
            }
        }
        stats
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    async fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.packets.packets_in += 1;
        self.packets.bytes_in += bytes.len() as u64;
        match wire::decode(bytes) {
            Ok(Message::Ping(_)) => {
                for number in 0..self.members.len() {
                    self.deliver(number, from, bytes).await;
                }
            }
            Ok(Message::Config(packet)) => self.deliver_to(packet.to.uid, from, bytes).await,
            Ok(Message::KickStart(packet)) => self.deliver_to(packet.uid, from, bytes).await,
            _ => {}
        }
    }

    async fn deliver_to(&mut self, uid: Uid, from: SocketAddr, bytes: &[u8]) {
        if let Some(number) = self.by_uid.get(&uid).copied() {
            self.deliver(number, from, bytes).await;
        }
    }

    async fn deliver(&mut self, number: usize, from: SocketAddr, bytes: &[u8]) {
        if self.members[number].silent {
            return;
        }
        if self.loss.happens(self.loss_percent) {
            self.packets.packets_lost += 1;
            return;
        }
        let now = self.now();
        self.members[number].agent.datagram(now, Peer { interface: 0, address: from }, bytes);
        self.after(number).await;
    }

    async fn wake(&mut self) {
        let now = self.now();
        while let Some((at, number)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.remove(&(at, number));
            self.members[number].due = None;
            self.members[number].agent.timeout(now);
            self.after(number).await;
        }
    }

    async fn finish(&mut self, done: Done) {
        if let Some(number) = self.by_uid.get(&done.uid).copied() {
            let now = self.now();
            self.members[number].agent.done(now, done);
            self.after(number).await;
        }
    }

    /// Sends what a member wants to send and notes when it is to be woken.
    async fn after(&mut self, number: usize) {
        let member = &mut self.members[number];
        while member.agent.poll_event().is_some() {}
        while let Some((peer, bytes)) = member.agent.poll_transmit() {
            if member.silent || self.loss.happens(self.loss_percent) {
                self.packets.packets_lost += 1;
                continue;
            }
            // What cannot be sent is lost, as on any network.
            if self.socket.send_to(&bytes, peer.address).await.is_ok() {
                self.packets.packets_out += 1;
                self.packets.bytes_out += bytes.len() as u64;
            }
        }
        self.schedule(number);
    }

    fn schedule(&mut self, number: usize) {
        let member = &mut self.members[number];
        let due = member.agent.poll_timeout();
        if due != member.due {
            if let Some(at) = member.due {
                self.wakes.remove(&(at, number));
            }
            self.wakes.extend(due.map(|at| (at, number)));
            member.due = due;
        }
    }

    fn turn(&mut self, knobs: &Knobs) {
        if let Some(ms) = knobs.install_ms {
            self.knobs.set_install_ms(ms);
        }
        if let Some(percent) = knobs.fail_percent {
            self.knobs.set_fail_percent(percent);
        }
        if let Some(percent) = knobs.loss_percent {
            self.loss_percent = percent.min(100);
        }
        let Some(silent) = &knobs.silent else { return };
        let silent: BTreeSet<&Uid> = silent.iter().collect();
        let now = self.now();
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            let wanted = silent.contains(&member.agent.uid());
            if wanted != member.silent {
                member.silent = wanted;
                member.agent.mute(now, wanted);
                self.schedule(number);
            }
        }
    }
}

fn make(seed: u64, number: usize, model: &Model) -> (Identity, Label) {
    let identity = Identity::from_rng(&mut SeededRng::new(seed, "identity", number));
    let label = Label::new(&identity, model.mac(number), &model.serial(number), model.name);
    (identity, label)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
