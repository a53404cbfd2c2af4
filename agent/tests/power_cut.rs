//! An agent whose power is cut at any moment of a configuration comes up either as it was or configured, never in between,
//! and takes the next configuration.

#[path = "support/owner.rs"]
mod owner;

use muster_agent::agent::{Agent, Done, Parts};
use muster_agent::entropy::OsEntropy;
use muster_agent::health::HostHealth;
use muster_agent::identity::Identity;
use muster_agent::network::fake::FakeNetwork;
use muster_agent::recent_log::RecentLog;
use muster_agent::storage::{Document, MemoryStorage, Storage, StorageError};
use muster_agent::system::HostSystem;
use muster_protocol::id::{Mac, PingId, Seq};
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use muster_protocol::time::Millis;
use muster_protocol::wire::here::{Here, Proof, State};
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::result::{Reason, ResultPacket, Status};
use muster_protocol::wire::{self, Message, Peer};
use owner::{Owner, Packet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

/// A disk that works for so many writes and then refuses each.
#[derive(Clone)]
struct Disk {
    kept: MemoryStorage,
    writes_left: Arc<AtomicUsize>,
}

impl Storage for Disk {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        self.kept.load(document)
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        let left = self.writes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        left.map_err(|_| StorageError::Io { action: "written", path: "state".into(), source: full })?;
        self.kept.save(document, contents)
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        self.kept.remove(document)
    }
}

/// What survives a power cut, and the console that configures it.
struct World {
    identity: Identity,
    disk: Disk,
    network: Arc<FakeNetwork>,
    owner: Owner,
    now: u64,
}

struct Running {
    agent: Agent<Disk, FakeNetwork, HostHealth>,
    done: mpsc::UnboundedReceiver<Done>,
}

fn settings(host: u8) -> NetworkSettings {
    let raw = RawSettings {
        host_name: format!("mail-{host}"),
        domain: "example.net".into(),
        address: format!("192.0.2.{host}"),
        netmask: "24".into(),
        ..RawSettings::default()
    };
    raw.validate().expect("valid")
}

impl World {
    fn new() -> World {
        let disk = Disk { kept: MemoryStorage::default(), writes_left: Arc::new(AtomicUsize::new(usize::MAX)) };
        World {
            identity: Identity::load_or_make(&disk, None).expect("made"),
            disk,
            network: Arc::new(FakeNetwork::default()),
            owner: Owner::new(),
            now: 0,
        }
    }

    fn now(&mut self) -> Millis {
        self.now += 1_000;
        Millis(self.now)
    }

    /// The power comes on.
    async fn boot(&mut self) -> Running {
        let (work, done) = mpsc::unbounded_channel();
        let parts = Parts {
            identity: self.identity.clone(),
            mac: MAC,
            proof: Proof::Claim,
            vendor: None,
            storage: self.disk.clone(),
            network: self.network.clone(),
            health: HostHealth::default(),
            system: Arc::new(HostSystem { reboot: vec!["false".to_owned()], log: RecentLog::default() }),
            work,
            connections: Arc::new(Semaphore::new(1)),
        };
        let now = self.now();
        let mut running = Running { agent: Agent::start(now, parts).expect("starts whatever the disk holds"), done };
        self.settle(&mut running).await;
        running
    }

    /// Lets work in the background end.
    async fn settle(&mut self, running: &mut Running) {
        while let Ok(Some(done)) = tokio::time::timeout(Duration::from_millis(20), running.done.recv()).await {
            let now = self.now();
            running.agent.done(now, done);
        }
    }

    fn send(&mut self, running: &mut Running, bytes: &[u8]) -> Vec<Message> {
        let peer = Peer { interface: 1, address: ([192, 0, 2, 1], 9).into() };
        let now = self.now();
        running.agent.datagram(now, peer, bytes);
        self.answers(running)
    }

    fn answers(&mut self, running: &mut Running) -> Vec<Message> {
        let sent = std::iter::from_fn(|| running.agent.poll_transmit());
        sent.map(|(_, bytes)| wire::decode(&bytes).expect("ours")).collect()
    }

    fn ask(&mut self, running: &mut Running) -> Here {
        let id = PingId(muster_protocol::crypto::random(&mut OsEntropy));
        let salt = [1; 8];
        let only = Some(running.agent.uid());
        let (shard, heard) = (Shard::default(), Vec::new());
        let ping = Ping { id, window_ms: 0, salt, shard, heard, only, reply_key: None, credential: None };
        let mut answers = self.send(running, &ping.to_plain());
        let now = self.now();
        running.agent.timeout(now);
        answers.extend(self.answers(running));
        answers
            .iter()
            .find_map(|answer| match answer {
                Message::Here(packet) => packet.verify().ok(),
                _ => None,
            })
            .expect("answers a directed ping")
    }

    fn packet(&self, here: &Here, seq: Seq, host: u8) -> Packet {
        let claim = (here.state == State::Unconfigured).then(|| self.identity.claim.key());
        self.owner.packet(here, seq, settings(host), claim.as_ref())
    }

    /// A whole configuration, cut after `steps` of its steps; true if it came to its end.
    async fn configure(&mut self, running: &mut Running, seq: Seq, host: u8, steps: usize) -> bool {
        let here = self.ask(running);
        let packet = self.packet(&here, seq, host);
        let mut left = steps;
        for datagram in [packet.bytes, packet.kick] {
            if left == 0 {
                return false;
            }
            left -= 1;
            self.send(running, &datagram);
            loop {
                let next = tokio::time::timeout(Duration::from_millis(20), running.done.recv()).await;
                let Ok(Some(done)) = next else { break };
                if left == 0 {
                    return false;
                }
                left -= 1;
                let now = self.now();
                running.agent.done(now, done);
            }
        }
        true
    }

    fn assert_whole(&self, running: &Running, before: Option<u8>, after: u8, moment: &str) -> bool {
        let network = self.network.current();
        match running.agent.state() {
            State::Configured if running.agent.settings() == Some(&settings(after)) => {
                assert_eq!(network, Some(settings(after)), "{moment}");
                true
            }
            state => {
                let expected = if before.is_some() { State::Configured } else { State::Unconfigured };
                assert_eq!(state, expected, "{moment}");
                assert_eq!(running.agent.settings().cloned(), before.map(settings), "{moment}");
                assert_eq!(network, before.map(settings), "{moment}");
                false
            }
        }
    }
}

#[tokio::test]
async fn a_power_cut_at_any_step_leaves_the_former_or_the_new_state_whole() {
    for again in [false, true] {
        for steps in 0.. {
            let mut world = World::new();
            let mut running = world.boot().await;
            let before = again.then_some(10);
            if again {
                assert!(world.configure(&mut running, Seq(3), 10, usize::MAX).await);
                world.settle(&mut running).await;
            }
            let whole = world.configure(&mut running, Seq(4), 20, steps).await;
            drop(running);
            let mut running = world.boot().await;
            let moment = format!("cut after {steps} steps, configured before: {again}");
            let configured = world.assert_whole(&running, before, 20, &moment);
            assert!(!world.network_is_provisional(), "{moment}");
            assert!(running.agent.seq() >= Seq(if again { 3 } else { 0 }), "{moment}");
            assert!(world.configure(&mut running, Seq(5), 30, usize::MAX).await, "{moment}");
            assert!(world.assert_whole(&running, None, 30, &moment), "the next configuration works, {moment}");
            if whole {
                assert!(configured, "{moment}");
                break;
            }
        }
    }
}

/// Otherwise a power cut between the two rolls back to what was before the first: found by the simulator.
#[tokio::test]
async fn no_packet_is_taken_until_the_state_before_the_last_one_is_forgotten() {
    let mut world = World::new();
    let mut running = world.boot().await;
    assert!(world.configure(&mut running, Seq(1), 10, usize::MAX).await);
    world.settle(&mut running).await;
    let here = world.ask(&mut running);
    let packet = world.packet(&here, Seq(2), 20);
    world.send(&mut running, &packet.bytes);
    world.settle(&mut running).await;
    world.send(&mut running, &packet.kick);
    // Final for the machine, and the network has not been told yet: its task has had no turn.
    assert_eq!(running.agent.settings(), Some(&settings(20)));
    assert!(world.network_is_provisional());
    let here = world.ask(&mut running);
    let packet = world.packet(&here, Seq(3), 30).bytes;
    assert!(world.send(&mut running, &packet).is_empty(), "no answer: the console sends it again");
    assert_eq!(running.agent.seq(), Seq(2));
    world.settle(&mut running).await;
    assert!(!world.network_is_provisional());
    world.send(&mut running, &packet);
    assert_eq!(running.agent.seq(), Seq(3), "the same packet is taken when it comes again");
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_is_reported_and_nothing_is_lost() {
    for writes in 0..3 {
        let mut world = World::new();
        let mut running = world.boot().await;
        world.disk.writes_left.store(writes, Ordering::Relaxed);
        let here = world.ask(&mut running);
        let sent = world.packet(&here, Seq(1), 20);
        let mut answers = world.send(&mut running, &sent.bytes);
        world.settle(&mut running).await;
        answers.extend(world.send(&mut running, &sent.kick));
        world.settle(&mut running).await;
        let result = |packet: &ResultPacket| packet.verify(&world.identity.device.public(), &sent.exported).ok();
        let failed = answers.iter().any(|answer| match answer {
            Message::Result(packet) => {
                matches!(result(packet).map(|r| r.status), Some(Status::Failed { reason: Reason::Storage, .. }))
            }
            _ => false,
        });
        match writes {
            // The very first write: refused before anything changed.
            0 => assert!(failed && running.agent.state() == State::Unconfigured && world.network.current().is_none()),
            // The write that would make it final: provisional until the window ends, the kick-start may come again.
            1 => assert_eq!(running.agent.state(), State::Provisional),
            _ => assert_eq!(running.agent.state(), State::Configured),
        }
        drop(running);
        world.disk.writes_left.store(usize::MAX, Ordering::Relaxed);
        let running = world.boot().await;
        world.assert_whole(&running, None, 20, &format!("full after {writes} writes"));
    }
}

impl World {
    fn network_is_provisional(&self) -> bool {
        use muster_agent::network::Network;
        self.network.is_provisional()
    }
}
