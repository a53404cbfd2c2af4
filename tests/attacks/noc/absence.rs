//! A NOC that is away for hours: the agent itself, with its files, against the real NOC, whose clock goes with the agent's.
//! Hours pass in a second, because the agent is given the time.

use crate::client::{Console, Device};
use crate::clocks::Clock;
use crate::world::Noc;
use data_encoding::BASE64;
use muster_agent::agent::{Agent, Done, Parts};
use muster_agent::entropy::OsEntropy;
use muster_agent::health::Health;
use muster_agent::identity::Identity;
use muster_agent::network::fake::FakeNetwork;
use muster_agent::recent_log::RecentLog;
use muster_agent::storage::{Document, FileStorage, Storage, StorageError};
use muster_agent::system::HostSystem;
use muster_protocol::api::{BeatRecord, BeatValues};
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::id::{PingId, RequestId};
use muster_protocol::time::Millis;
use muster_protocol::wire::config::{self, Address};
use muster_protocol::wire::here::{Proof, State};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::{self, Message, Peer};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

/// Files whose power fails in the middle of an append: half of it is there, and nothing after.
#[derive(Clone)]
struct Disk {
    files: FileStorage,
    appends_left: Arc<AtomicUsize>,
}

const POWERED: usize = usize::MAX;

impl Disk {
    fn is_off(&self) -> bool {
        self.appends_left.load(Ordering::Relaxed) == 0
    }

    fn journal_file(&self) -> std::path::PathBuf {
        self.files.folder().join("beats")
    }

    fn if_powered<T>(&self, work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        if !self.is_off() {
            return work();
        }
        let source = std::io::Error::other("no power");
        Err(StorageError::Io { action: "written", path: self.journal_file(), source })
    }
}

impl Storage for Disk {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        self.files.load(document)
    }
    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        self.if_powered(|| self.files.save(document, contents))
    }
    fn remove(&self, document: Document) -> Result<(), StorageError> {
        self.if_powered(|| self.files.remove(document))
    }
    fn journal(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        self.files.journal()
    }
    fn append(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        self.if_powered(|| {
            let length =
                || File::open(self.journal_file()).and_then(|file| file.metadata()).map_or(0, |file| file.len());
            let before = length();
            self.files.append(records)?;
            if self.appends_left.load(Ordering::Relaxed) != POWERED
                && self.appends_left.fetch_sub(1, Ordering::Relaxed) == 1
            {
                let file = OpenOptions::new().write(true).open(self.journal_file()).expect("there");
                file.set_len(before + (length() - before) / 2).expect("torn");
            }
            Ok(())
        })
    }
    fn rewrite(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        self.if_powered(|| self.files.rewrite(records))
    }
}

/// Every measurement is told from every other by its uptime.
struct Numbered(Arc<AtomicU64>);

impl Health for Numbered {
    fn measure(&mut self) -> BeatValues {
        BeatValues { uptime_s: self.0.fetch_add(1, Ordering::Relaxed), ..BeatValues::default() }
    }
}

struct Running {
    agent: Agent<Disk, FakeNetwork, Numbered>,
    done: mpsc::UnboundedReceiver<Done>,
    connections: Arc<Semaphore>,
    /// The clock of this boot began then.
    began: u64,
}

struct World {
    noc: Noc,
    clock: Clock,
    console: Console,
    device: Device,
    disk: Disk,
    network: Arc<FakeNetwork>,
    measured: Arc<AtomicU64>,
    /// Milliseconds since the beginning.
    now: u64,
    _folder: TempDir,
}

const PEER: Peer =
    Peer { interface: 1, address: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9) };
const INTERVAL_MS: u64 = 5_000;

impl World {
    /// A configured appliance that has beaten.
    async fn start() -> (World, Running) {
        let mut noc = Noc::stopped();
        let clock = Clock::of(&mut noc);
        noc.serve();
        let site = noc.site("Bern");
        let device = Device::new(1);
        noc.import_devices(std::slice::from_ref(&device));
        let console = noc.console(site).await;
        let folder = tempfile::tempdir().expect("a folder");
        let files = FileStorage::open(folder.path()).expect("opened");
        let disk = Disk { files, appends_left: Arc::new(AtomicUsize::new(POWERED)) };
        let (network, measured) = (Arc::new(FakeNetwork::default()), Arc::new(AtomicU64::new(0)));
        let mut world = World { noc, clock, console, device, disk, network, measured, now: 0, _folder: folder };
        let mut running = world.boot();
        let plan = world.console.plan(site, std::slice::from_ref(&world.device)).await;
        let grants = world.console.grants(&plan).await;
        let granted = grants.items[0].grant.as_ref().expect("granted");
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).expect("base64");
        let claim = granted.claim_key.as_deref().map(|key| ClaimKey(bytes(key).try_into().expect("32 bytes")));

        let id = PingId(muster_protocol::crypto::random(&mut OsEntropy));
        let (shard, only) = (Shard::default(), Some(running.agent.uid()));
        let ping =
            Ping { id, window_ms: 0, salt: [1; 8], shard, heard: vec![], only, reply_key: None, credential: None };
        running.agent.datagram(world.local(&running), PEER, &ping.to_plain());
        running.agent.timeout(world.local(&running));
        let Some((_, answer)) = running.agent.poll_transmit() else { panic!("no answer") };
        let Ok(Message::Here(here)) = wire::decode(&answer) else { panic!("no answer to a ping") };
        let one_time_key = here.verify().expect("signed").one_time_key;
        let request = RequestId(muster_protocol::crypto::random(&mut OsEntropy));
        let to = Address { uid: world.device.uid, mac: world.device.mac, one_time_key, request };
        let key = &world.console.key;
        let (packet, exported) =
            config::build(&mut OsEntropy, key, claim.as_ref(), to, &bytes(&granted.grant)).expect("sealed");
        let kick = KickStart { uid: world.device.uid, request, seq: granted.seq }.to_datagram(key, &exported);
        running.agent.datagram(world.local(&running), PEER, &packet);
        running.work(world.local(&running)).await;
        running.agent.datagram(world.local(&running), PEER, &kick);
        running.work(world.local(&running)).await;
        assert_eq!(running.agent.state(), State::Configured);
        world.console.report(world.device.uid, granted.seq, true).await;
        world.beats(&mut running, 3).await;
        (world, running)
    }

    fn boot(&mut self) -> Running {
        self.disk.appends_left.store(POWERED, Ordering::Relaxed);
        let (work, done) = mpsc::unbounded_channel();
        let connections = Arc::new(Semaphore::new(1));
        let parts = Parts {
            identity: Identity { device: self.device.key.clone(), claim: self.device.claim.clone() },
            mac: self.device.mac,
            proof: Proof::Claim,
            vendor: None,
            storage: self.disk.clone(),
            network: self.network.clone(),
            health: Numbered(self.measured.clone()),
            system: Arc::new(HostSystem { reboot: vec!["false".to_owned()], log: RecentLog::default() }),
            work,
            connections: connections.clone(),
        };
        let agent = Agent::start(Millis(0), parts).expect("starts");
        Running { agent, done, connections, began: self.now }
    }

    fn local(&self, running: &Running) -> Millis {
        Millis(self.now - running.began)
    }

    /// To the agent's next wake-up, and whatever it does then.
    async fn step(&mut self, running: &mut Running) {
        let due = running.agent.poll_timeout().expect("it beats");
        self.now = self.now.max(running.began + due.0);
        self.clock.set(&format!("+{}", self.now / 1_000));
        running.agent.timeout(self.local(running));
        let now = self.local(running);
        running.work(now).await;
    }

    /// Until so many more beats were accepted.
    async fn beats(&mut self, running: &mut Running, count: u64) {
        let until = running.agent.last_beat().accepted + count;
        for _ in 0..1_000 {
            if running.agent.last_beat().accepted >= until {
                return;
            }
            self.step(running).await;
        }
        panic!("no beats arrive: {:?}\n{}", running.agent.last_beat(), self.noc.log());
    }

    /// Until everything that waited was delivered.
    async fn deliver(&mut self, running: &mut Running) {
        for _ in 0..1_000 {
            if running.agent.beats_waiting() == 0 && running.agent.last_beat().error.is_none() {
                return;
            }
            self.step(running).await;
        }
        panic!("{} still wait: {:?}", running.agent.beats_waiting(), running.agent.last_beat());
    }

    async fn history(&self) -> Vec<BeatRecord> {
        let path = format!("console/appliances/{}/beats?since=0", self.device.uid);
        self.console.http.get(&path).await.expect("history")
    }
}

impl Running {
    /// What runs beside the loop comes to its end. A beat holds the one permit until it does.
    async fn work(&mut self, now: Millis) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
            while let Ok(done) = self.done.try_recv() {
                self.agent.done(now, done);
            }
        }
        while self.connections.available_permits() == 0 {
            let done = self.done.recv().await.expect("the agent lives");
            self.agent.done(now, done);
            tokio::task::yield_now().await;
        }
        while let Ok(done) = self.done.try_recv() {
            self.agent.done(now, done);
        }
    }
}

#[tokio::test]
async fn an_absence_of_hours_over_a_restart_leaves_no_hole_in_the_history_and_nothing_twice() {
    let (mut world, mut running) = World::start().await;
    let before = world.history().await.len();
    assert_eq!(world.disk.journal().expect("read").len(), 0, "nothing is written while the NOC answers");
    world.noc.cut_power();
    let away = world.now;
    while world.now < away + 1_800_000 {
        world.step(&mut running).await;
    }
    let in_memory = running.agent.beats_waiting();
    assert!((340..=365).contains(&in_memory), "{in_memory} of half an hour");
    // The agent ends without a word: what the last ten minutes had is gone, and no more.
    drop(running);
    let mut running = world.boot();
    let kept = running.agent.beats_waiting();
    assert!((in_memory - 120..=in_memory).contains(&kept), "{kept} of {in_memory}");
    let back = world.now + 600_000;
    while world.now < back {
        world.step(&mut running).await;
    }
    let waiting = running.agent.beats_waiting();
    assert!(waiting > kept + 100);
    let returned = world.measured.load(Ordering::Relaxed);
    world.noc.serve();
    world.deliver(&mut running).await;
    assert!(!world.disk.journal_file().exists(), "nothing is left on the disk");
    let accepted = usize::try_from(running.agent.last_beat().accepted).expect("few");

    let history = world.history().await;
    // The beat that was under way is history as well, if the next one was due before the NOC took it.
    let beats = before + waiting + accepted;
    assert!((beats..=beats + 1).contains(&history.len()), "{} and not {beats}", history.len());
    let numbers: BTreeSet<u64> = history.iter().map(|record| record.values.uptime_s).collect();
    assert_eq!(numbers.len(), history.len());
    // In order of time, and at the pace of the beats.
    let late: Vec<&BeatRecord> = history[before..].iter().filter(|late| late.values.uptime_s < returned).collect();
    assert!(late.len() >= waiting, "{} of {waiting}", late.len());
    let backwards = late.windows(2).filter(|two| two[0].values.uptime_s > two[1].values.uptime_s).count();
    assert_eq!(backwards, 0, "in the order in which they were measured");
    let longest = late.windows(2).map(|two| two[1].at - two[0].at).max().expect("many");
    let lost = u64::try_from(in_memory - kept).expect("few");
    assert!(longest <= (lost + 3) * INTERVAL_MS / 1_000 + 60, "a hole of {longest} s, and {lost} were lost");
    assert!(late[waiting - 1].at - late[0].at >= 2_350, "from the beginning of the absence to its end");
    // And the present is the present.
    let shown = world.console.appliance(world.device.uid).await;
    assert_eq!(shown.last_beat, history.last().map(|record| record.at));
    world.beats(&mut running, 2).await;
    assert_eq!(world.history().await.len(), history.len() + 2);
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_any_write_costs_that_write_only() {
    let (mut world, mut running) = World::start().await;
    for cut in 1..=3 {
        let before = world.history().await.len();
        world.noc.cut_power();
        world.disk.appends_left.store(cut, Ordering::Relaxed);
        let mut kept = 0;
        while !world.disk.is_off() {
            kept = world.disk.journal().expect("read").len();
            world.step(&mut running).await;
        }
        let written = running.agent.beats_waiting();
        drop(running);
        running = world.boot();
        let left = running.agent.beats_waiting();
        assert!(left >= kept && left < written, "cut {cut}: {left} left of {written}, {kept} before the last write");
        let accepted = running.agent.last_beat().accepted;
        world.noc.serve();
        world.beats(&mut running, 1).await;
        world.deliver(&mut running).await;
        let accepted = usize::try_from(running.agent.last_beat().accepted - accepted).expect("few");
        let history = world.history().await;
        assert_eq!(history.len(), before + left + accepted, "cut {cut}: what was on disk is there, once");
    }
}
