//! A real NOC and a practice fleet in this process, and consoles that join it.

use crate::fleet::{Command, Fleet, Knobs, Options, bind};
use muster_console::engine::{Engine, Options as EngineOptions};
use muster_console::view::NocLink;
use muster_noc::{Noc, Options as NocOptions, Running, SiteSpec};
use muster_protocol::api::Site;
use muster_protocol::parameters::Confirm;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A NOC that serves, and a fleet that its inventory knows.
pub struct World {
    /// Everything is in here.
    pub folder: TempDir,
    /// The NOC.
    pub noc: Noc,
    /// Its site.
    pub site: Site,
    running: Option<Running>,
    address: SocketAddr,
    /// Where the fleet answers.
    pub target: SocketAddr,
    /// What its vendor says of it.
    pub manifest: String,
    fleet: mpsc::Sender<Command>,
}

impl World {
    /// A fleet of `count` that the inventory knows.
    ///
    /// # Panics
    /// If anything does not start; so do all of these.
    pub async fn new(count: usize, knobs: Knobs) -> World {
        let world = World::without_inventory(count, knobs).await;
        world.noc.import_manifest(&world.manifest).expect("imported");
        world
    }

    /// A fleet that the NOC has not heard of.
    pub async fn without_inventory(count: usize, knobs: Knobs) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = NocOptions { addresses: vec!["127.0.0.1:0".to_owned()], listen: loopback };
        let noc = Noc::init(&folder.path().join("noc"), &options).expect("a NOC");
        let site = SiteSpec {
            name: "Depot".into(),
            pool: "10.20.0.10-10.20.9.250".into(),
            netmask: "255.255.0.0".into(),
            gateway: "10.20.0.1".into(),
            domain: "depot.example".into(),
            dns1: "10.20.0.53".into(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "mail-{n:03}".into(),
            beat_interval_s: 5,
            confirm: Confirm::KickStart,
            window_s: 60,
            drift: None,
            application: String::new(),
            proof: muster_protocol::api::RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        };
        let site = noc.add_site(site).expect("a site");
        let running = noc.serve(loopback).await.expect("serves");
        let address = running.local_addr();
        let options = Options { count, seed: 11, first_address: None, knobs };
        let fleet = Fleet::start(&options, bind(0).expect("a socket")).expect("a fleet");
        let manifest = fleet.manifest().to_owned();
        let target = fleet.address().expect("bound");
        let (command, commands) = mpsc::channel(4);
        let (told, _) = mpsc::unbounded_channel();
        tokio::spawn(fleet.run(commands, told));
        World { folder, noc, site, running: Some(running), address, target, manifest, fleet: command }
    }

    /// How to start a console that pings the fleet only.
    pub fn console(&self) -> EngineOptions {
        let mut options = EngineOptions::new(self.folder.path().join("console"));
        (options.targets, options.lan, options.keyring) = (vec![self.target], false, false);
        options
    }

    /// A console.
    pub async fn engine(&self) -> Engine {
        Engine::start(self.console()).await.expect("an engine")
    }

    /// An invite to the site.
    pub fn invite(&self) -> String {
        self.noc.invite(&[self.site.id], Duration::from_secs(600)).expect("an invite")
    }

    /// Turns the fleet's knobs.
    pub async fn turn(&self, knobs: Knobs) {
        self.fleet.send(Command::Knobs(knobs)).await.expect("the fleet runs");
    }

    /// The NOC goes away.
    pub async fn stop_noc(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    /// The NOC comes back.
    pub async fn start_noc(&mut self) {
        self.running = Some(self.noc.serve(self.address).await.expect("serves again"));
    }
}

/// A console that has joined the NOC.
pub async fn joined(world: &World) -> Engine {
    let engine = world.engine().await;
    engine.join(&world.invite()).await.expect("joined");
    until("connected", 20, async || {
        matches!(engine.noc(), NocLink::Connected { .. }).then_some(()).ok_or(engine.noc())
    })
    .await;
    engine
}

/// Waits for something.
///
/// # Panics
/// When it does not come.
pub async fn until<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    seconds: u64,
    mut probe: impl FnMut() -> F,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(said) => assert!(tokio::time::Instant::now() < deadline, "waited {seconds} s until {what}: {said:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
