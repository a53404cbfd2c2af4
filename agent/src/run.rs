//! The daemon's loop: one appliance, its interfaces, one agent. What it needs rights for is behind [`Host`]: done by this process
//! itself ([`Here`]), or by another one ([`crate::separation`]).

use crate::agent::{Agent, Parts};
use crate::config::Config;
use crate::health::HostHealth;
use crate::host::{Here, Host, Place};
use crate::identity::Identity;
use crate::installer::local::LocalInstaller;
use crate::interfaces::{self, Interfaces};
use crate::lock::lock_patiently;
use crate::network::back_end::BackEndChoice;
use crate::network::conflict::{self, Conflicts};
use crate::network::drift::Setting;
use crate::network::links::{Choice, Kept, find_link};
use crate::network::watch::Changes;
use crate::network::{Link, chain, rp_filter};
use crate::recent_log::RecentLog;
use crate::reset;
use crate::separation::{self, keeper};
use crate::status::{self, OnNetwork, Status};
use crate::storage::FileStorage;
use crate::system::{HostSystem, Installing};
use crate::udp::Received;
use anyhow::Context;
use muster_protocol::appliance::Event;
use muster_protocol::id::Mac;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::State;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

/// The interfaces are looked at when the kernel says that they changed, and this often in any case.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Where the kernel does not say it.
const LOOK_UNTOLD_EVERY: Duration = Duration::from_secs(3);
/// A console may still ask for the result of a configuration on another interface than the configured one.
const WIDE_AFTERWARDS: Duration = Duration::from_secs(120);
/// Settings that somebody takes away again and again are put back this often.
const PUT_BACK_EVERY: Duration = Duration::from_secs(5);
const SOONEST_LOOK: Duration = Duration::from_secs(1);

/// Runs until it is told to end by SIGTERM or SIGINT.
pub async fn run(config: Config, log: RecentLog) -> anyhow::Result<()> {
    // Neither we nor what we start ever gets more rights than we have.
    nix::sys::prctl::set_no_new_privs().context("giving up the right to get more rights")?;
    match separation::account(&config)? {
        Some(account) => keeper::keep(config, account).await,
        None => run_here(config, log).await,
    }
}

/// In one process.
async fn run_here(config: Config, log: RecentLog) -> anyhow::Result<()> {
    let storage = FileStorage::open(&config.state_dir)?;
    let _lock = lock_patiently(&config.state_dir).await?;
    reset::finish(&config, &storage).await?;
    let identity = Identity::load_or_make(&storage, config.claim_file.as_deref())?;
    if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "there is no user muster-agent: what reads datagrams runs as root. Make that user, or name one in agent.toml"
        );
    } else {
        tracing::warn!("not run as root: settings cannot be applied");
    }
    make_counters_folder(&config.root);
    let mut end = End::listen()?;
    let place = Place {
        interface: config.interface.clone(),
        proof: config.proof,
        vendor: config.vendor,
        root: config.root.clone(),
        state_dir: config.state_dir.clone(),
        drift: config.drift,
        puts_back: config.sets_kernel(),
        keeper: None,
    };
    let installer = LocalInstaller::open(config.components, identity.uid(), storage.clone())?;
    let system = Installing { system: HostSystem { reboot: config.reboot, log }, installer: Arc::new(installer) };
    let network = BackEndChoice::new(config.network);
    let application = config.application;
    let here = Here { root: config.root, probe: config.probe, storage: storage.clone(), network, application, system };
    tokio::select! {
        result = daemon(here, identity, place) => result,
        () = end.asked() => Ok(()),
    }?;
    rp_filter::put_back(&storage)?;
    tracing::info!("ended");
    Ok(())
}

/// The daemon; it ends with an error only.
pub async fn daemon<H: Host>(host: H, identity: Identity, place: Place) -> anyhow::Result<()> {
    let changes = Changes::listen().inspect_err(|error| tracing::warn!(error = %chain(error), "looking more often"));
    let changes = changes.ok();
    let choice = interfaces::chosen(&place.interface, &host.storage())?;
    let link = wait_for_link(&choice, changes.as_ref()).await;
    tracing::info!(uid = %identity.uid(), interface = link.name, "starting");
    Daemon::start(host, identity, place, link, changes)?.serve().await
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    /// From now on they end nothing by themselves.
    pub fn listen() -> anyhow::Result<End> {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        Ok(End { terminate, interrupt })
    }

    /// Returns when one has come.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Owned by root; an image that lets others count gives them their own permissions on it.
pub fn make_counters_folder(root: &Path) {
    if let Err(error) = std::fs::create_dir_all(root.join(COUNTERS)) {
        tracing::debug!(%error, "no folder for counters");
    }
}

const COUNTERS: &str = "run/muster/counters.d";

struct Daemon<H: Host> {
    agent: Agent<H::Storage, H::Network, HostHealth>,
    host: H,
    started: Instant,
    interfaces: Interfaces,
    /// The interface that is on disk as the configured one.
    kept: Option<Kept>,
    wide_until: Option<Instant>,
    changes: Option<Changes>,
    guards: Vec<Guard>,
    conflicts: watch::Sender<Conflicts>,
    puts_back: bool,
    /// The interface was away or down, and what it had is gone with that.
    returned: bool,
    put_back: Option<Instant>,
    times_put_back: u64,
    done: mpsc::UnboundedReceiver<crate::agent::Done>,
    told: Option<Status>,
    /// Interface, filters or status file could not be written.
    tell_again: bool,
}

/// The task that watches over an address.
struct Guard {
    over: (u32, Mac, IpAddr),
    task: JoinHandle<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<H: Host> Daemon<H> {
    fn start(
        host: H,
        identity: Identity,
        place: Place,
        link: Link,
        changes: Option<Changes>,
    ) -> anyhow::Result<Daemon<H>> {
        let (work, done) = mpsc::unbounded_channel();
        let (conflicts, heard) = watch::channel(Conflicts::default());
        let health = HostHealth {
            interface: link.name.clone(),
            counters: vec![place.state_dir.join("counters.d"), place.root.join(COUNTERS)],
            keeper: place.keeper,
            clock_offset_s: None,
            address_conflict: Some(heard),
        };
        let parts = Parts {
            identity,
            mac: link.mac,
            proof: place.proof,
            vendor: place.vendor,
            storage: host.storage(),
            network: Arc::new(host.network(&link.name)),
            health,
            system: host.system(),
            work,
            connections: Arc::new(Semaphore::new(1)),
        };
        let mut agent = Agent::start(Millis(0), parts)?;
        agent.set_drift_of_image(place.drift);
        Ok(Daemon {
            agent,
            puts_back: place.puts_back,
            kept: interfaces::kept(&host.storage())?,
            host,
            started: Instant::now(),
            interfaces: Interfaces::new(place.interface, link),
            wide_until: None,
            changes,
            guards: Vec::new(),
            conflicts,
            returned: true,
            put_back: None,
            times_put_back: 0,
            done,
            told: None,
            tell_again: false,
        })
    }

    async fn serve(mut self) -> anyhow::Result<()> {
        let mut look_at = Instant::now();
        let (mut conflicts, mut told) = (self.conflicts.subscribe(), Conflicts::default());
        loop {
            let due = self.agent.poll_timeout().map(|at| self.started + Duration::from_millis(at.0));
            let mut look = false;
            tokio::select! {
                received = self.interfaces.receive() => self.datagram(&received),
                () = sleep_until(due) => self.agent.timeout(self.now()),
                Some(done) = self.done.recv() => {
                    look = done.changed_network();
                    self.agent.done(self.now(), done);
                }
                () = changed(self.changes.as_ref()) => look = true,
                Ok(()) = conflicts.changed() => {
                    let now = *conflicts.borrow_and_update();
                    log_conflicts(std::mem::replace(&mut told, now), now);
                }
                () = sleep_until(Some(look_at)) => look = true,
            }
            if look {
                self.look_at_network().await;
                look_at = self.next_look();
            }
            self.transmit().await;
            self.tell();
        }
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    async fn transmit(&mut self) {
        while let Some((peer, bytes)) = self.agent.poll_transmit() {
            self.interfaces.answer(&peer, &bytes).await;
        }
    }

    fn datagram(&mut self, received: &Received) {
        if self.agent.state() == State::Unconfigured {
            let before = self.interfaces.link().index;
            if !self.interfaces.hears(self.now(), received) {
                return;
            }
            if self.interfaces.link().index != before {
                self.move_to_link();
            }
        }
        self.agent.datagram(self.now(), received.peer, &received.bytes);
    }

    fn move_to_link(&mut self) {
        let link = self.interfaces.link();
        self.agent.use_interface(self.now(), &link.name, link.mac, self.host.network(&link.name));
    }

    async fn look_at_network(&mut self) {
        let before = self.interfaces.link().clone();
        self.wide_until = self.wide_until.filter(|until| Instant::now() < *until);
        let state = self.agent.state();
        let movable = state == State::Unconfigured;
        let wide = self.agent.settings().is_none() || self.wide_until.is_some();
        let came = self.interfaces.look(&self.host, movable, wide).await;
        let link = self.interfaces.link();
        let mac = link.mac;
        if link.name != before.name && movable {
            self.move_to_link();
        } else if mac != before.mac {
            self.agent.set_mac(self.now(), mac);
        }
        if came && state != State::Configured {
            self.tell_again |= !self.set_filters();
        }
        self.returned |= self.interfaces.was_away();
        self.put_settings_back();
        self.watch_over_addresses();
    }

    fn next_look(&self) -> Instant {
        let every = if self.changes.is_some() { LOOK_EVERY } else { LOOK_UNTOLD_EVERY };
        let now = Instant::now();
        let missing = self.put_back.filter(|_| !self.missing_settings().is_empty()).map(|at| at + PUT_BACK_EVERY);
        let sooner = [self.wide_until, missing].into_iter().flatten().min();
        sooner.map_or(now + every, |at| at.clamp(now + SOONEST_LOOK, now + every))
    }

    /// The settings that shall be in force, on an interface that is there.
    fn settings_to_keep(&self) -> Option<&NetworkSettings> {
        let is_final = self.agent.state() == State::Configured && self.interfaces.is_present();
        self.agent.settings().filter(|_| is_final)
    }

    fn has_address(&self, wanted: Ipv4Addr) -> bool {
        self.interfaces.networks().iter().any(|(address, _)| *address == wanted)
    }

    fn has_address6(&self, wanted: Ipv6Addr) -> bool {
        self.interfaces.seen().is_some_and(|seen| seen.addresses6.contains(&wanted))
    }

    /// Those without which nobody reaches the appliance.
    fn missing_settings(&self) -> Vec<Setting> {
        let Some(settings) = self.settings_to_keep().filter(|_| self.puts_back) else { return Vec::new() };
        let address = !self.has_address(settings.address());
        let route = settings.gateway().is_some() && !self.interfaces.has_default_route();
        let seen = self.interfaces.seen();
        let address6 = settings.ipv6().map(|ipv6| ipv6.address());
        let gateway6 = settings.ipv6().and_then(|ipv6| ipv6.gateway());
        let leads6 = |wanted| seen.is_some_and(|seen| seen.gateways6.contains(&wanted));
        let address = address || !address6.is_none_or(|wanted| self.has_address6(wanted));
        let route = route || !gateway6.is_none_or(leads6);
        let missing = [(address, Setting::Address), (route, Setting::Gateway)];
        missing.into_iter().filter_map(|(is_missing, setting)| is_missing.then_some(setting)).collect()
    }

    /// A DHCP client that still runs, a card that was replaced, an interface that was down or a person may have taken them away.
    fn put_settings_back(&mut self) {
        let missing = self.missing_settings();
        if missing.is_empty() {
            self.returned = false;
            return;
        }
        let waits = self.put_back.is_some_and(|at| at.elapsed() < PUT_BACK_EVERY);
        if waits || !self.agent.put_settings_back(&missing, self.returned) {
            return;
        }
        self.put_back = Some(Instant::now());
        self.times_put_back += 1;
        // Ever fewer lines: something may fight for the interface for years.
        if self.times_put_back.is_power_of_two() {
            tracing::warn!(times = self.times_put_back, "settings were gone from the interface: putting them back");
        }
    }

    fn watch_over_addresses(&mut self) {
        let link = self.interfaces.link();
        let settings = self.settings_to_keep();
        let ipv4 = settings.map(NetworkSettings::address).filter(|address| self.has_address(*address));
        let ipv6 = settings.and_then(NetworkSettings::ipv6).map(|ipv6| ipv6.address());
        let ipv6 = ipv6.filter(|address| self.has_address6(*address));
        let over = ipv4.map(IpAddr::V4).into_iter().chain(ipv6.map(IpAddr::V6));
        let over: Vec<_> = over.map(|address| (link.index, link.mac, address)).collect();
        if self.guards.iter().map(|guard| guard.over).eq(over.iter().copied()) {
            return;
        }
        let watch = |over: (u32, Mac, IpAddr)| {
            let task = tokio::spawn(conflict::watch_over(link.clone(), over.2, self.conflicts.clone()));
            Guard { over, task }
        };
        self.guards = over.into_iter().map(watch).collect();
        self.conflicts.send_if_modified(|told| std::mem::take(told) != Conflicts::default());
    }

    /// Open until there are settings. False if that is to be tried again.
    fn set_filters(&self) -> bool {
        let set = match self.agent.state() {
            State::Configured => self.host.put_filters_back(),
            _ => self.host.open_filters(&self.interfaces.listening()),
        };
        if let Err(error) = &set
            && !self.tell_again
        {
            tracing::warn!(error = %chain(error), "reverse-path filters; trying again");
        }
        set.is_ok()
    }

    /// The interface is on disk before its settings can become final, and forgotten when there are none. False
    /// if it could not be written.
    fn keep_interface(&mut self) -> bool {
        let has_settings = self.agent.state() != State::Unconfigured;
        let wanted = (self.interfaces.is_free() && has_settings).then(|| Kept::from(self.interfaces.link()));
        if self.kept == wanted {
            return true;
        }
        let stored = interfaces::keep(&self.host.storage(), wanted.as_ref());
        match &stored {
            Ok(()) => self.kept = wanted,
            Err(error) if !self.tell_again => {
                tracing::error!(error = %chain(error), "the configured interface could not be stored; trying again");
            }
            Err(_) => {}
        }
        stored.is_ok()
    }

    fn other_addresses(&self) -> Vec<String> {
        let Some(settings) = self.settings_to_keep() else { return Vec::new() };
        let other = |address: &Ipv4Addr| *address != settings.address() && !address.is_link_local();
        let networks = self.interfaces.networks().iter().filter(|(address, _)| other(address));
        networks.map(|(address, prefix)| format!("{address}/{prefix}")).collect()
    }

    fn status(&self) -> Status {
        let link = self.interfaces.link();
        let on = OnNetwork {
            interface: link.name.clone(),
            mac: link.mac,
            carrier: self.interfaces.has_carrier(),
            listening: self.interfaces.listening().into_iter().map(str::to_owned).collect(),
            address_conflict: self.conflicts.borrow().any(),
            other_addresses: self.other_addresses(),
            settings_put_back: self.times_put_back,
        };
        Status::of(&self.agent, on)
    }

    /// Log, status file and filters follow what the machine says.
    fn tell(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Configured { seq } => tracing::info!(%seq, "configured"),
                Event::Failed { reason, detail } => {
                    tracing::warn!(
                        reason = reason.code(),
                        detail,
                        "a configuration failed; what was before is in force"
                    );
                }
                Event::Refused { reason, detail } => {
                    tracing::info!(reason = reason.code(), detail, "a packet was refused");
                }
                Event::GrantRefused { reason } => {
                    tracing::warn!(reason = reason.code(), "new settings from the NOC were refused");
                }
                Event::InstructionRefused { reason } => {
                    tracing::warn!(reason = reason.code(), "an instruction of the NOC was refused");
                }
                Event::Instructed { serial, act } => tracing::info!(%serial, ?act, "the NOC has given an instruction"),
                Event::HandoverBegun { serial } => {
                    tracing::info!(%serial, "handed over to another NOC, which is tried from now on");
                }
                Event::HandoverRefused { reason } => {
                    tracing::warn!(reason = reason.code(), "a hand-over to another NOC was refused");
                }
                Event::HandoverCalledOff { serial } => tracing::info!(%serial, "the hand-over was called off"),
                Event::HandedOver { serial } => {
                    tracing::warn!(%serial, "this appliance reports to another NOC and follows its root from now on");
                }
                Event::Decommissioned => tracing::warn!("decommissioned: the owner and the settings are forgotten"),
            }
        }
        let kept = self.keep_interface();
        let status = self.status();
        if self.told.as_ref() == Some(&status) && kept && !self.tell_again {
            return;
        }
        let former = self.told.as_ref().map(|told| told.other_addresses.as_slice()).unwrap_or_default();
        if former.is_empty() && !status.other_addresses.is_empty() {
            let addresses = status.other_addresses.join(" ");
            tracing::warn!(addresses, "the interface has addresses that are not configured: does a DHCP client run?");
        }
        let state = self.agent.state();
        let changed = self.told.as_ref().is_none_or(|told| told.state != status.state);
        if changed {
            tracing::info!(state = status::word(state), "state");
            // At a start nobody waits on another interface.
            let wide = state == State::Configured && self.told.is_some();
            self.wide_until = wide.then(|| Instant::now() + WIDE_AFTERWARDS);
        }
        let filters = !(changed || self.tell_again) || self.set_filters();
        let told = self.host.tell(&status);
        if let Err(error) = &told
            && !self.tell_again
        {
            tracing::warn!(%error, "the status file could not be written; trying again");
        }
        // With the next event, at the latest when the interfaces are looked at.
        self.tell_again = !(kept && filters && told.is_ok());
        self.told = Some(status);
    }
}

fn log_conflicts(before: Conflicts, now: Conflicts) {
    for (family, before, now) in [("IPv4", before.ipv4, now.ipv4), ("IPv6", before.ipv6, now.ipv6)] {
        match now {
            _ if before == now => {}
            Some(by) => {
                tracing::warn!(%by, family, "somebody else claims this appliance's address; it is kept and defended");
            }
            None => tracing::info!(family, "nobody else claims this appliance's address any more"),
        }
    }
}

async fn wait_for_link(choice: &Choice, changes: Option<&Changes>) -> Link {
    let mut complained = false;
    loop {
        match find_link(choice).await {
            Ok(link) => return link,
            Err(error) if !complained => {
                tracing::warn!(error = %chain(&error), "waiting for the interface");
                complained = true;
            }
            Err(_) => {}
        }
        let _ = tokio::time::timeout(LOOK_UNTOLD_EVERY, changed(changes)).await;
    }
}

async fn changed(changes: Option<&Changes>) {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
