//! The seed's bootstrap, whole: a bare appliance gets settings and a kick-start, and ends with its component in force.

use crate::bench::{plan, publish, target};
use crate::noc::Noc;
use crate::owner::Owner;
use crate::repository::{Repository, secret};
use muster_agent::agent::{Agent, Done, Parts};
use muster_agent::entropy::OsEntropy;
use muster_agent::health::HostHealth;
use muster_agent::identity::Identity;
use muster_agent::installer::config::ComponentsConfig;
use muster_agent::installer::local::LocalInstaller;
use muster_agent::network::fake::FakeNetwork;
use muster_agent::recent_log::RecentLog;
use muster_agent::storage::MemoryStorage;
use muster_agent::system::{HostSystem, Installing};
use muster_protocol::api::ComponentState;
use muster_protocol::id::{Mac, PingId, Seq};
use muster_protocol::parameters::RawSettings;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::{Here, Proof};
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::{self, Message, Peer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

struct Appliance {
    agent: Agent<MemoryStorage, FakeNetwork, HostHealth>,
    done: mpsc::UnboundedReceiver<Done>,
    identity: Identity,
    begun: Instant,
}

impl Appliance {
    fn new(config: ComponentsConfig) -> Appliance {
        let storage = MemoryStorage::default();
        let identity = Identity::load_or_make(&storage, None).expect("made");
        let installer = LocalInstaller::open(Some(config), identity.uid(), storage.clone()).expect("opens");
        let system = HostSystem { reboot: vec!["false".to_owned()], log: RecentLog::default() };
        let (work, done) = mpsc::unbounded_channel();
        let parts = Parts {
            identity: identity.clone(),
            mac: Mac([2, 0, 0, 0, 0, 7]),
            proof: Proof::Claim,
            vendor: None,
            storage,
            network: Arc::new(FakeNetwork::default()),
            health: HostHealth::default(),
            system: Arc::new(Installing { system, installer: Arc::new(installer) }),
            work,
            connections: Arc::new(Semaphore::new(1)),
        };
        Appliance { agent: Agent::start(Millis(0), parts).expect("starts"), done, identity, begun: Instant::now() }
    }

    fn now(&self) -> Millis {
        Millis(self.begun.elapsed().as_millis() as u64)
    }

    fn send(&mut self, bytes: &[u8]) {
        let now = self.now();
        self.agent.datagram(now, Peer { interface: 1, address: ([192, 0, 2, 1], 9).into() }, bytes);
    }

    fn ask(&mut self) -> Here {
        let (id, only) = (PingId(muster_protocol::crypto::random(&mut OsEntropy)), Some(self.agent.uid()));
        let (shard, heard) = (Shard::default(), Vec::new());
        let ping = Ping { id, window_ms: 0, salt: [1; 8], shard, heard, only, reply_key: None, credential: None };
        self.send(&ping.to_plain());
        self.agent.timeout(self.now());
        let answers = std::iter::from_fn(|| self.agent.poll_transmit());
        let answers: Vec<Message> = answers.filter_map(|(_, bytes)| wire::decode(&bytes).ok()).collect();
        let here = answers.iter().find_map(|answer| match answer {
            Message::Here(packet) => packet.verify().ok(),
            _ => None,
        });
        here.expect("it answers")
    }

    /// Lives until `is_so`.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let late = Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(Instant::now() < late, "{what}");
            let due = self.agent.poll_timeout().map_or(1_000, |at| at.0.saturating_sub(self.now().0)).min(100);
            tokio::select! {
                Some(done) = self.done.recv() => self.agent.done(self.now(), done),
                () = tokio::time::sleep(Duration::from_millis(due)) => self.agent.timeout(self.now()),
            }
            while self.agent.poll_transmit().is_some() {}
        }
    }
}

#[tokio::test]
async fn a_bare_appliance_ends_with_its_component_in_force_without_a_further_touch() {
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let first = plan(&repository, "1.0");
    let noc = Noc::serve(first, repository.clone()).await;
    noc.told.lock().expect("whole").breaks_at = Some(100);
    let mut owner = Owner::new();
    owner.root = secret(1);
    owner.noc = (noc.address.clone(), noc.pin);
    let folder = tempfile::tempdir().expect("a folder");
    let components = folder.path().join("components");
    let mut appliance = Appliance::new(ComponentsConfig { folder: components.clone(), ..ComponentsConfig::default() });
    let settings = RawSettings {
        host_name: "mail-1".into(),
        domain: "example.net".into(),
        address: "192.0.2.7".into(),
        netmask: "24".into(),
        ..RawSettings::default()
    };
    let here = appliance.ask();
    let claim = appliance.identity.claim.key();
    let packet = owner.packet(&here, Seq(1), settings.validate().expect("valid"), Some(&claim));
    appliance.send(&packet.bytes);
    appliance
        .until("provisional", |appliance| {
            appliance.agent.reporting().is_none() && appliance.begun.elapsed().as_millis() > 300
        })
        .await;
    assert!(!components.exists(), "nothing before the settings are final");
    appliance.send(&packet.kick);
    let says = |noc: &Noc, state: ComponentState, version: &str| {
        let told = noc.told.lock().expect("whole");
        let last = told.reports.last().and_then(|reports| reports.first());
        last.is_some_and(|report| report.state == state && report.version == version)
    };
    appliance.until("installed", |_| says(&noc, ComponentState::Installed, "1.0")).await;
    let text = || std::fs::read_to_string(components.join("filter/current/text")).expect("in force");
    assert_eq!(text(), "1.0");
    {
        let told = noc.told.lock().expect("whole");
        let of_target: Vec<u64> =
            told.asked.iter().filter(|(path, _)| path.starts_with("targets/")).map(|(_, from)| *from).collect();
        assert_eq!(of_target.len(), 2, "it broke off once: {of_target:?}");
        assert!(of_target[0] == 0 && (1..=100).contains(&of_target[1]), "and went on where it was: {of_target:?}");
    }

    // A version that is not well: the next beats say so, and the former one is in force.
    publish(&mut repository, "2.0", "false");
    {
        let mut told = noc.told.lock().expect("whole");
        told.plan = repository.plan("next", &[("filter", "2.0", &target("2.0"))]);
        told.repository = repository.clone();
    }
    appliance.until("rolled back", |_| says(&noc, ComponentState::Failed, "2.0")).await;
    assert_eq!(text(), "1.0");
    let told = noc.told.lock().expect("whole");
    let report = told.reports.last().and_then(|reports| reports.first()).expect("a report");
    assert_eq!(report.running.as_deref(), Some("1.0"));
    assert!(report.problem.as_deref().is_some_and(|problem| problem.starts_with("unhealthy: ")));
}
