//! The real thing: a back end for what is in force and what lasts, netlink to look after it.

use super::application::{self, ApplicationFault, ApplicationPlace, ApplicationTask};
use super::arp::{self, Timing};
use super::back_end::{self, BackEnd, BackEndChoice, Files, Place};
use super::drift::{self, InForce, Setting};
use super::exec::{self, Exec, Operation};
use super::files::{self, NewFile};
use super::former::{self, Former};
use super::later::{self, Later, TURN};
use super::netlink::{Detection, Netlink, Snapshot, Static6};
use super::resolver::{self, Owner};
use super::{Network, NetworkError, Report, host_name, time_servers};
use crate::storage::{Document, Storage};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::{Ipv6Settings, NetworkSettings};
use muster_protocol::wire::result::Stage;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a program that talks to a daemon may take, and a daemon to bring an address up.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a daemon may take to say that it is there, at a roll-back.
const ANSWERS: Duration = Duration::from_secs(3);

/// The kernel asks for a second or two (RFC 4862: a delay of up to a second, one question, a second for the answer), longer where
/// `dad_transmits` says so.
const DETECTION: Duration = Duration::from_secs(10);

/// The network of this host, or of this network namespace.
#[derive(Debug)]
pub struct LiveNetwork<S> {
    /// The interface that is configured.
    pub interface: String,
    /// What file names are relative to: `/`, but in a lab where several agents share one file system.
    pub root: PathBuf,
    /// How somebody who has the address already is looked for.
    pub probe: Timing,
    /// Where the former state is kept.
    pub storage: S,
    /// Who brings settings into force and makes them last.
    pub choice: BackEndChoice,
    /// How long one step of the back end may take; [`PATIENCE`].
    pub patience: Duration,
    /// How long a vendor's program may take for one operation; [`exec::PATIENCE`].
    pub program_patience: Duration,
    /// Where application settings go; none: nowhere.
    pub application: Option<ApplicationPlace>,
}

impl<S: Storage> Network for LiveNetwork<S> {
    async fn apply(&self, settings: &NetworkSettings, report: &dyn Report) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        report(Stage::ProbingAddress, 10);
        let free = if netlink.has_address(link.index, settings.address()).await? {
            None
        } else {
            Some(arp::probe(&link, settings.address(), self.probe).await?)
        };
        report(Stage::Network, 60);
        let back_end = self.back_end().await;
        back_end.check(self.place()).await?;
        let ipv6 = settings.ipv6().filter(|_| self.exec(&back_end).is_none());
        if ipv6.is_some() && is_ipv6_off(&self.interface) {
            return Err(NetworkError::Ipv6Off { interface: self.interface.clone() });
        }
        // A new attempt on top of an uncommitted one goes back to where that one began.
        if !self.has_former_network() {
            self.remember(&back_end, &netlink, link.index, settings).await?;
        }
        if let Some(ipv6) = ipv6 {
            self.detect_duplicates(&netlink, ipv6).await?;
        }
        self.change(&back_end, &netlink, link.index, settings).await?;
        if let Some(free) = free {
            free.announce();
        }
        Ok(())
    }

    async fn roll_back(&self) -> Result<(), NetworkError> {
        self.roll_network_back().await?;
        application::roll_back(self.application.as_ref(), &self.root, &self.storage).await
    }

    async fn commit(&self) -> Result<(), NetworkError> {
        self.commit_network().await?;
        match &self.application {
            Some(application) => application.commit(&self.root, &self.storage).await,
            None => Ok(self.storage.remove(Document::FormerApplication)?),
        }
    }

    async fn resume(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let back_end = self.back_end().await;
        if let Some(exec) = self.exec(&back_end) {
            return exec.bring_in(Operation::Resume, &settings.into()).await;
        }
        self.reach(&back_end, settings).await?;
        self.tell_resolver(&back_end, settings, *turn).await;
        host_name::set(settings.host_name())
    }

    async fn put_back(&self, settings: &NetworkSettings, returned: bool) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let back_end = self.back_end().await;
        if let Some(exec) = self.exec(&back_end) {
            return exec.bring_in(Operation::Resume, &settings.into()).await;
        }
        self.reach(&back_end, settings).await?;
        if returned {
            self.tell_resolver(&back_end, settings, *turn).await;
        }
        Ok(())
    }

    async fn forget(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let (place, back_end) = (self.place(), self.back_end().await);
        if let Some(exec) = self.exec(&back_end) {
            exec.ask_for(Operation::Reset, None).await?;
            return Ok(self.storage.remove(Document::FormerNetwork)?);
        }
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        let nothing = Former {
            interface: self.interface.clone(),
            host_name: host_name::NO_NAME.to_owned(),
            network: Snapshot::default(),
            files: Vec::new(),
            condition: back_end.nothing(),
            resolver: self.owner(&back_end).nothing(),
            back_end: back_end.clone(),
            exec: None,
        };
        let mut ours = back_end::last_ipv6(&self.root, &self.interface);
        ours.extend(settings);
        let let_go = back_end.let_go(place).await;
        let files = files::ours(back_end::candidates(&self.root, &self.interface));
        files::remove(&files)?;
        host_name::forget(&self.root, settings)?;
        host_name::let_go(settings)?;
        netlink.restore(link.index, &nothing.network).await?;
        netlink.tidy6(link.index, &ours, None).await?;
        netlink.set_up(link.index).await?;
        time_servers::tell(place, &files).await;
        let told = nothing.bring_back(place, &netlink, link.index).await;
        if let Err(error) = let_go.and(told) {
            tracing::warn!(code = error.code(), %error, "the network is forgotten without its daemon");
            self.later(Later::Former(Box::new(nothing)), *turn);
        }
        if back_end == BackEnd::NetworkManager {
            // It may have been about to set the name that it knew.
            let begun = Instant::now();
            while begun.elapsed() < former::HOLDS {
                host_name::let_go(settings)?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    fn takes_application(&self) -> bool {
        self.application.is_some()
    }

    async fn hand_over(&self, task: ApplicationTask) -> Result<(), NetworkError> {
        match (&self.application, &task) {
            (Some(application), _) => application.carry_out(&self.root, &self.storage, task).await,
            (None, ApplicationTask::Apply { settings: None, .. } | ApplicationTask::Forget) => Ok(()),
            (None, _) => Err(ApplicationFault::NotSupported.into()),
        }
    }

    async fn application_drifted(&self, settings: &ApplicationSettings) -> Result<bool, NetworkError> {
        self.application.as_ref().map_or(Ok(false), |application| application.is_changed(&self.root, settings))
    }

    fn is_provisional(&self) -> bool {
        self.has_former_network() || application::is_provisional(&self.storage)
    }

    async fn drift(&self, settings: &NetworkSettings) -> Result<Vec<Setting>, NetworkError> {
        let _turn = TURN.lock().await;
        let back_end = self.back_end().await;
        if let Some(exec) = self.exec(&back_end) {
            return exec.drift(&settings.into()).await;
        }
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        let (gateways, other_routes) = netlink.routes_of(link.index).await?;
        let addresses = netlink.networks(link.index).await?;
        let ipv6 = netlink.static6(link.index).await?;
        let found = InForce { addresses, gateways, other_routes, ipv6, host_name: host_name::current()? };
        let mut drift = drift::in_force(settings, &found);
        drift.extend(drift::in_files(&self.plan(&back_end, settings)?)?);
        Ok(drift.into_iter().collect())
    }

    async fn time_servers_untaken(&self, settings: &NetworkSettings) -> Option<&'static str> {
        time_servers::keeper(&self.root, &self.back_end().await).untaken(settings)
    }

    async fn restore(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let back_end = self.back_end().await;
        if let Some(exec) = self.exec(&back_end) {
            // Not `apply`: there is nothing to go back to, and nothing to make final.
            return exec.bring_in(Operation::Resume, &settings.into()).await;
        }
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        back_end.check(self.place()).await?;
        self.change(&back_end, &netlink, link.index, settings).await
    }
}

impl<S> LiveNetwork<S> {
    /// With the usual patience, and no application.
    pub fn new(interface: String, root: PathBuf, probe: Timing, storage: S, choice: BackEndChoice) -> LiveNetwork<S> {
        let (patience, program_patience) = (PATIENCE, exec::PATIENCE);
        LiveNetwork { interface, root, probe, storage, choice, patience, program_patience, application: None }
    }
}

impl<S: Storage> LiveNetwork<S> {
    /// Forgets settings for a factory reset: removes the files that are wholly ours.
    pub async fn remove_files(&self) -> Result<Vec<PathBuf>, NetworkError> {
        if let Some(exec) = self.exec(&self.back_end().await) {
            exec.ask_for(Operation::Reset, None).await?;
        }
        let ours = files::ours(back_end::candidates(&self.root, &self.interface));
        files::remove(&ours)?;
        Ok(ours)
    }

    async fn roll_network_back(&self) -> Result<(), NetworkError> {
        let mut turn = TURN.lock().await;
        *turn += 1;
        let Some(bytes) = self.storage.load(Document::FormerNetwork)? else { return Ok(()) };
        let former: Former = serde_json::from_slice(&bytes).map_err(|_| NetworkError::Former)?;
        match (&former.back_end, &former.exec) {
            (BackEnd::Exec(program), Some(state)) => {
                let exec = Exec { program, interface: &former.interface, patience: self.program_patience };
                exec.restore(state).await?;
            }
            _ => self.go_back(&former, *turn).await?,
        }
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    async fn commit_network(&self) -> Result<(), NetworkError> {
        let _turn = TURN.lock().await;
        if self.has_former_network()
            && let Some(exec) = self.exec(&self.back_end().await)
        {
            exec.ask_for(Operation::Commit, None).await?;
        }
        Ok(self.storage.remove(Document::FormerNetwork)?)
    }

    fn has_former_network(&self) -> bool {
        matches!(self.storage.load(Document::FormerNetwork), Ok(Some(_)))
    }

    async fn back_end(&self) -> BackEnd {
        self.choice.made(&self.root, &self.interface).await
    }

    fn later(&self, what: Later, turn: u64) {
        later::tell(what, (self.root.clone(), self.interface.clone(), self.patience), turn);
    }

    fn place(&self) -> Place<'_> {
        Place { root: &self.root, interface: &self.interface, patience: self.patience }
    }

    fn exec<'a>(&'a self, back_end: &'a BackEnd) -> Option<Exec<'a>> {
        match back_end {
            BackEnd::Exec(program) => {
                Some(Exec { program, interface: &self.interface, patience: self.program_patience })
            }
            _ => None,
        }
    }

    fn owner(&self, back_end: &BackEnd) -> Owner {
        resolver::owner(&self.root, back_end)
    }

    /// Address and default route, without which nobody reaches the appliance.
    async fn reach(&self, back_end: &BackEnd, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.interface).await?;
        netlink.set_up(link.index).await?;
        if let Err(error) = self.resume_by_daemon(back_end, &netlink, link.index, settings).await {
            tracing::warn!(code = error.code(), %error, "the agent sets the network itself");
            netlink.add(link.index, (settings.address(), settings.prefix()), settings.gateway()).await?;
            if let Some(ipv6) = settings.ipv6()
                && let Err(error) = netlink.add6(link.index, ipv6).await
            {
                // By IPv4 it is reachable, and can say so.
                tracing::warn!(code = error.code(), error = %super::chain(&error), "IPv6 is not in force");
            }
        }
        Ok(())
    }

    /// What its owner knows until the next boot, or until the interface goes away.
    async fn tell_resolver(&self, back_end: &BackEnd, settings: &NetworkSettings, turn: u64) {
        let owner = self.owner(back_end);
        if let Err(error) = owner.tell(self.place(), settings).await {
            // Nobody else would be reachable any sooner if everything waited for it.
            tracing::warn!(code = error.code(), %error, "the resolver is told later");
            self.later(Later::Resolver(owner, settings.clone()), turn);
        }
    }

    /// What the files become.
    fn plan(&self, back_end: &BackEnd, settings: &NetworkSettings) -> Result<Vec<NewFile>, NetworkError> {
        let mut files = back_end.files(self.place(), settings);
        files.extend(host_name::files(&self.root, settings)?);
        files.extend(self.owner(back_end).files(&self.root, settings));
        files.extend(time_servers::keeper(&self.root, back_end).files(&self.root, settings));
        Ok(files)
    }

    /// Sets the address, which is not used before the kernel knows that nobody else has it (RFC 4862 §5.4); an error says that
    /// somebody has. Without a carrier nobody can be asked.
    async fn detect_duplicates(&self, netlink: &Netlink, ipv6: Ipv6Settings) -> Result<(), NetworkError> {
        let address = ipv6.address();
        let begun = Instant::now();
        let index = netlink.link(&self.interface).await?.index;
        if netlink.detection(index, address).await? != Detection::Unique {
            netlink.add_address6(index, ipv6).await?;
        }
        while begun.elapsed() < DETECTION && netlink.link(&self.interface).await?.carrier {
            match netlink.detection(index, address).await? {
                Detection::Duplicate => return Err(NetworkError::AddressTaken6 { address }),
                Detection::Tentative => tokio::time::sleep(Duration::from_millis(50)).await,
                Detection::Unique | Detection::Missing => break,
            }
        }
        Ok(())
    }

    async fn remember(
        &self,
        back_end: &BackEnd,
        netlink: &Netlink,
        index: u32,
        settings: &NetworkSettings,
    ) -> Result<(), NetworkError> {
        let (place, owner) = (self.place(), self.owner(back_end));
        let mut former = Former {
            interface: self.interface.clone(),
            host_name: host_name::current()?,
            network: Snapshot::default(),
            files: Vec::new(),
            back_end: back_end.clone(),
            condition: back_end.condition(place).await?,
            resolver: owner.condition(place).await?,
            exec: None,
        };
        match self.exec(back_end) {
            Some(exec) => former.exec = Some(exec.current().await?.1),
            None => {
                former.network = netlink.snapshot(index).await?;
                let planned = self.plan(back_end, settings)?.into_iter().map(|file| file.path);
                // Daemons write the resolver's file, too.
                let mut paths: Vec<PathBuf> = planned.chain([resolver::file(&self.root)]).collect();
                paths.sort();
                paths.dedup();
                former.files = paths.iter().map(|path| files::remember(path)).collect::<Result<_, _>>()?;
            }
        }
        let bytes = serde_json::to_vec(&former).map_err(|_| NetworkError::Former)?;
        Ok(self.storage.save(Document::FormerNetwork, &bytes)?)
    }

    async fn change(
        &self,
        back_end: &BackEnd,
        netlink: &Netlink,
        index: u32,
        settings: &NetworkSettings,
    ) -> Result<(), NetworkError> {
        if let Some(exec) = self.exec(back_end) {
            return exec.bring_in(Operation::Apply, &settings.into()).await;
        }
        let (place, owner) = (self.place(), self.owner(back_end));
        let plan = self.plan(back_end, settings)?;
        let last: Static6 = back_end::last_ipv6(&self.root, &self.interface);
        back_end.let_go(place).await?;
        // Files first: a full disk shows before the network has moved.
        files::write(&plan)?;
        host_name::tell(place, back_end, settings.host_name()).await;
        host_name::set(settings.host_name())?;
        netlink.tidy6(index, &last, settings.ipv6()).await?;
        back_end.bring_up(place, netlink, index, (settings, Files::Changed)).await?;
        owner.tell(place, settings).await?;
        time_servers::tell(place, &plan.into_iter().map(|file| file.path).collect::<Vec<_>>()).await;
        if let Some(why) = time_servers::keeper(&self.root, back_end).untaken(settings) {
            tracing::warn!(why, "nobody takes the time servers");
        }
        // A daemon may have brought up the name that it knew, too.
        host_name::set(settings.host_name())
    }

    /// Tries everything; what failed is tried again, for the former state stays on disk. A daemon that is away or hangs is no
    /// failure: the kernel is as it was without it, and it is told when it is back.
    async fn go_back(&self, former: &Former, turn: u64) -> Result<(), NetworkError> {
        let place = Place { interface: &former.interface, ..self.place() };
        let netlink = Netlink::open()?;
        let let_go = former.back_end.let_go(place).await;
        let files = files::restore(&former.files);
        let named = host_name::set(&former.host_name);
        let link = netlink.link(&former.interface).await?;
        netlink.set_up(link.index).await?;
        if former.back_end.check(Place { patience: ANSWERS.min(self.patience), ..place }).await.is_err() {
            // The appliance is reachable again before a daemon that does not answer has used up its time.
            former.hold(&netlink, link.index).await?;
        }
        let told = former.bring_back(place, &netlink, link.index).await;
        if let Err(error) = let_go.and(told) {
            tracing::warn!(code = error.code(), %error, "the former network is restored without its daemon");
            self.later(Later::Former(Box::new(former.clone())), turn);
        }
        let network = former.hold(&netlink, link.index).await;
        // What a daemon did on its way back.
        files.and(named).and(network).and(files::restore(&former.files)).and(host_name::set(&former.host_name))
    }

    /// The daemon had our files at boot: it is waited for, and told only if the settings are not in force.
    async fn resume_by_daemon(
        &self,
        back_end: &BackEnd,
        netlink: &Netlink,
        index: u32,
        settings: &NetworkSettings,
    ) -> Result<(), NetworkError> {
        let place = self.place();
        let is_bare = *back_end == BackEnd::Bare;
        let waiting = Place { patience: if is_bare { Duration::ZERO } else { self.patience }, ..place };
        if back_end.comes_into_force(waiting, netlink, index, settings).await?.is_none() {
            return Ok(());
        }
        if is_bare {
            netlink.add(index, (settings.address(), settings.prefix()), settings.gateway()).await?;
            return match settings.ipv6() {
                Some(ipv6) => netlink.add6(index, ipv6).await,
                None => Ok(()),
            };
        }
        back_end.check(place).await?;
        let missing = |file: &NewFile| !file.path.exists();
        let missing: Vec<NewFile> = back_end.files(place, settings).into_iter().filter(missing).collect();
        files::write(&missing)?;
        let files = if missing.is_empty() { Files::Same } else { Files::Changed };
        back_end.bring_up(place, netlink, index, (settings, files)).await
    }
}

/// Whether the kernel has no IPv6 for the interface.
fn is_ipv6_off(interface: &str) -> bool {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    std::fs::read_to_string(path).map_or(true, |text| text.trim() != "0")
}
