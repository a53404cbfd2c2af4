//! Who brings settings into force on this host, and makes them last (decision 0016).

use super::files::{self, NewFile};
use super::netlink::{Detection, Netlink, Snapshot, Static6};
use super::{NetworkError, ifupdown, networkd, networkmanager, resolver, time_servers};
use muster_protocol::parameters::{Network6, NetworkSettings};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long a daemon may take to say that it is there, when the back end is found out.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long settings must be in force before they count as such, where a daemon may still be at work.
const HOLDS: Duration = Duration::from_millis(400);

/// A back end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackEnd {
    /// No daemon: the agent sets the kernel by netlink, again at each start.
    #[default]
    Bare,
    /// systemd-networkd.
    Networkd,
    /// NetworkManager.
    NetworkManager,
    /// ifupdown, `/etc/network/interfaces`.
    Ifupdown,
    /// A vendor's program at this path.
    Exec(PathBuf),
}

/// A back end as options and `agent.toml` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BackEndName {
    /// systemd-networkd
    Networkd,
    /// NetworkManager
    NetworkManager,
    /// ifupdown: a file in /etc/network/interfaces.d
    Ifupdown,
    /// A vendor's program, named with --network-program
    Exec,
    /// No daemon: the agent itself, at each of its starts
    Bare,
}

impl std::fmt::Display for BackEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BackEnd::Bare => "bare",
            BackEnd::Networkd => "networkd",
            BackEnd::NetworkManager => "network-manager",
            BackEnd::Ifupdown => "ifupdown",
            BackEnd::Exec(_) => "exec",
        })
    }
}

/// The back end of this host: named, or found out when it is first needed.
#[derive(Clone, Debug, Default)]
pub struct BackEndChoice {
    named: Option<BackEnd>,
    found: Arc<OnceCell<BackEnd>>,
}

impl BackEndChoice {
    /// What was named, if anything was.
    pub fn new(named: Option<BackEnd>) -> BackEndChoice {
        BackEndChoice { named, found: Arc::default() }
    }

    pub(super) async fn made(&self, root: &Path, interface: &str) -> BackEnd {
        if let Some(named) = &self.named {
            return named.clone();
        }
        let detect = async {
            let back_end = detect(root, interface).await;
            tracing::info!(%back_end, interface, "network");
            back_end
        };
        self.found.get_or_init(|| detect).await.clone()
    }
}

/// What a back end works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// What file names are relative to.
    pub(super) root: &'a Path,
    pub(super) interface: &'a str,
    /// How long one program, or a daemon's work, may take.
    pub(super) patience: Duration,
}

impl Place<'_> {
    /// Daemons and their programs know no other root.
    pub(super) fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// Whether files of the back end were written or removed since it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    Changed,
    Same,
}

/// What a daemon knew of the interface before the change, beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Condition {
    /// Its files say everything.
    #[default]
    Files,
    /// The connection that was active, if it was one of NetworkManager's own.
    NetworkManager(networkmanager::Active),
    /// Whether ifupdown held the interface for configured.
    Ifupdown {
        /// `ifquery --state`.
        up: bool,
    },
}

/// The back end of this host. What runs or is to run at boot counts, not what is installed only.
pub async fn detect(root: &Path, interface: &str) -> BackEnd {
    let place = Place { root, interface, patience: PATIENCE };
    if !place.is_real() {
        return BackEnd::Bare;
    }
    let manages = networkmanager::manages(place).await;
    let found = Found {
        manages: manages == Some(true),
        defines: ifupdown::is_installed(root) && ifupdown::definitions(root, interface).next().is_some(),
        networkd: networkd::runs(place).await || is_enabled(root, "systemd-networkd.service"),
        // The agent may start before it.
        manager: manages.is_none() && networkmanager::is_installed() && is_enabled(root, "NetworkManager.service"),
        ifupdown: ifupdown::is_installed(root),
    };
    found.choose()
}

/// What was found on a host.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// NetworkManager runs and has the interface.
    manages: bool,
    /// A file of ifupdown defines the interface.
    defines: bool,
    networkd: bool,
    /// NetworkManager does not run yet, and will.
    manager: bool,
    ifupdown: bool,
}

impl Found {
    fn choose(self) -> BackEnd {
        match self {
            Found { manages: true, .. } => BackEnd::NetworkManager,
            Found { defines: true, .. } => BackEnd::Ifupdown,
            Found { networkd: true, .. } => BackEnd::Networkd,
            Found { manager: true, .. } => BackEnd::NetworkManager,
            Found { ifupdown: true, .. } => BackEnd::Ifupdown,
            _ => BackEnd::Bare,
        }
    }
}

pub(super) fn is_enabled(root: &Path, unit: &str) -> bool {
    let wants = ["multi-user.target.wants", "network.target.wants", "sysinit.target.wants"];
    wants.iter().any(|folder| root.join("etc/systemd/system").join(folder).join(unit).is_symlink())
}

impl BackEnd {
    /// The files that make settings last.
    pub(super) fn files(&self, place: Place<'_>, settings: &NetworkSettings) -> Vec<NewFile> {
        let Place { root, interface, .. } = place;
        match self {
            // A networkd that is started one day agrees with the agent.
            BackEnd::Bare | BackEnd::Networkd => vec![networkd::file(root, interface, settings)],
            BackEnd::Exec(_) => Vec::new(),
            BackEnd::NetworkManager => vec![networkmanager::file(root, interface, settings)],
            BackEnd::Ifupdown => vec![ifupdown::file(root, interface, settings)],
        }
    }

    /// Whether the daemon is there and nobody else decides about the interface. Nothing is changed.
    pub(super) async fn check(&self, place: Place<'_>) -> Result<(), NetworkError> {
        match self {
            BackEnd::Bare | BackEnd::Exec(_) => Ok(()),
            BackEnd::Networkd => networkd::check(place).await,
            BackEnd::NetworkManager => networkmanager::check(place).await,
            BackEnd::Ifupdown => ifupdown::check(place).await,
        }
    }

    /// What the daemon knows beside its files, to be restored.
    pub(super) async fn condition(&self, place: Place<'_>) -> Result<Condition, NetworkError> {
        Ok(match self {
            BackEnd::NetworkManager => Condition::NetworkManager(networkmanager::active(place).await?),
            BackEnd::Ifupdown => Condition::Ifupdown { up: ifupdown::is_up(place).await? },
            BackEnd::Bare | BackEnd::Networkd | BackEnd::Exec(_) => Condition::Files,
        })
    }

    /// As if the daemon had never been told anything.
    pub(super) fn nothing(&self) -> Condition {
        match self {
            BackEnd::NetworkManager => Condition::NetworkManager(networkmanager::Active::default()),
            BackEnd::Ifupdown => Condition::Ifupdown { up: false },
            BackEnd::Bare | BackEnd::Networkd | BackEnd::Exec(_) => Condition::Files,
        }
    }

    /// Takes back what can only be taken back while the files still say it.
    pub(super) async fn let_go(&self, place: Place<'_>) -> Result<(), NetworkError> {
        match self {
            BackEnd::Ifupdown => ifupdown::let_go(place).await,
            _ => Ok(()),
        }
    }

    /// Brings into force what the files say, and waits until it is.
    pub(super) async fn bring_up(
        &self,
        place: Place<'_>,
        netlink: &Netlink,
        index: u32,
        (settings, files): (&NetworkSettings, Files),
    ) -> Result<(), NetworkError> {
        match self {
            BackEnd::Bare | BackEnd::Exec(_) => {
                netlink.set(index, (settings.address(), settings.prefix()), settings.gateway()).await?;
                return match settings.ipv6() {
                    Some(ipv6) => netlink.add6(index, ipv6).await,
                    None => Ok(()),
                };
            }
            BackEnd::Networkd => networkd::take_over(place, files).await?,
            BackEnd::NetworkManager => networkmanager::bring_up(place).await?,
            BackEnd::Ifupdown => ifupdown::bring_up(place, netlink, index).await?,
        }
        let Some(address) = self.comes_into_force(place, netlink, index, settings).await? else { return Ok(()) };
        if *self == BackEnd::Networkd {
            networkd::check_file(place).await?;
        }
        Err(NetworkError::NotInForce {
            daemon: self.daemon(),
            address,
            interface: place.interface.to_owned(),
            seconds: place.patience.as_secs(),
        })
    }

    /// Has the daemon go back to its former files and condition. The kernel's state is compared afterwards.
    pub(super) async fn bring_back(
        &self,
        place: Place<'_>,
        netlink: &Netlink,
        index: u32,
        former: (&Condition, &Snapshot),
    ) -> Result<(), NetworkError> {
        match (self, former) {
            (BackEnd::Networkd, _) => networkd::take_over(place, Files::Changed).await,
            // It does not run, or the lab shares one file system.
            (BackEnd::Bare, _) => Ok(()),
            (BackEnd::NetworkManager, (Condition::NetworkManager(active), snapshot)) => {
                networkmanager::bring_back(place, netlink, index, active, snapshot).await
            }
            (BackEnd::Ifupdown, (Condition::Ifupdown { up: true }, _)) => {
                ifupdown::bring_up(place, netlink, index).await
            }
            _ => Ok(()),
        }
    }

    /// Waits until addresses and gateways are in force, for good; when the patience is over, one that is not.
    pub(super) async fn comes_into_force(
        &self,
        place: Place<'_>,
        netlink: &Netlink,
        index: u32,
        settings: &NetworkSettings,
    ) -> Result<Option<IpAddr>, NetworkError> {
        let until = Instant::now() + place.patience;
        let mut since = None;
        loop {
            let missing = missing(netlink, index, settings).await?;
            let now = Instant::now();
            if missing.is_none() {
                // networkd answers before it begins, and takes away even what is to stay.
                if *self != BackEnd::Networkd || now - *since.get_or_insert(now) >= HOLDS {
                    return Ok(None);
                }
            } else {
                since = None;
            }
            if since.is_none() && now >= until {
                return Ok(missing);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn daemon(&self) -> &'static str {
        match self {
            BackEnd::Networkd => networkd::DAEMON,
            BackEnd::NetworkManager => networkmanager::DAEMON,
            BackEnd::Ifupdown => "ifupdown",
            BackEnd::Bare | BackEnd::Exec(_) => "the agent",
        }
    }
}

/// The first of the addresses and gateways that is not in force.
async fn missing(netlink: &Netlink, index: u32, settings: &NetworkSettings) -> Result<Option<IpAddr>, NetworkError> {
    if !netlink.has_address(index, settings.address()).await? {
        return Ok(Some(settings.address().into()));
    }
    if let Some(gateway) = settings.gateway()
        && !netlink.has_gateway(index, gateway).await?
    {
        return Ok(Some(gateway.into()));
    }
    let Some(ipv6) = settings.ipv6() else { return Ok(None) };
    match netlink.detection(index, ipv6.address()).await? {
        Detection::Duplicate => return Err(NetworkError::AddressTaken6 { address: ipv6.address() }),
        Detection::Missing | Detection::Tentative => return Ok(Some(ipv6.address().into())),
        Detection::Unique => {}
    }
    let gateways = netlink.static6(index).await?.gateways;
    Ok(ipv6.gateway().filter(|gateway| !gateways.contains(gateway)).map(IpAddr::V6))
}

/// The IPv6 that the files of ours say now, before they are written anew.
pub(super) fn last_ipv6(root: &Path, interface: &str) -> Static6 {
    let mut last = Static6::default();
    let written = own_files(interface).map(|path| root.join(path)).to_vec();
    for path in files::ours(written) {
        let text = files::read_text(&path).unwrap_or_default();
        for word in text.split(|c: char| c.is_whitespace() || c == '=' || c == ',' || c == ';') {
            last.addresses.extend(Network6::parse(word).map(|network| (network.address, network.prefix)));
            last.gateways.extend(word.parse::<std::net::Ipv6Addr>().ok());
        }
    }
    last
}

/// The files of the back ends for an interface, relative to the root.
fn own_files(interface: &str) -> [String; 3] {
    [networkd::path(interface), networkmanager::path(interface), ifupdown::path(interface)]
}

/// Every file below `root` that a back end of ours may have written for the interface.
pub(super) fn candidates(root: &Path, interface: &str) -> Vec<PathBuf> {
    own_files(interface)
        .into_iter()
        .map(|path| root.join(path))
        .chain([resolver::file(root)])
        .chain(time_servers::candidates(root))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_manages_the_interface_comes_first_and_what_is_only_installed_last() {
        let none = Found::default();
        assert_eq!(none.choose(), BackEnd::Bare);
        assert_eq!(Found { ifupdown: true, ..none }.choose(), BackEnd::Ifupdown);
        assert_eq!(Found { ifupdown: true, manager: true, ..none }.choose(), BackEnd::NetworkManager);
        assert_eq!(Found { ifupdown: true, networkd: true, manager: true, ..none }.choose(), BackEnd::Networkd);
        let defined = Found { ifupdown: true, networkd: true, defines: true, ..none };
        assert_eq!(defined.choose(), BackEnd::Ifupdown);
        assert_eq!(Found { manages: true, ..defined }.choose(), BackEnd::NetworkManager);
    }

    #[test]
    fn what_the_files_said_last_is_found_whoever_they_were_for() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(last_ipv6(root.path(), "eth0"), Static6::default());
        let settings = muster_protocol::parameters::RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            address6: "2001:db8::10/64".into(),
            gateway6: "fe80::1".into(),
            ..Default::default()
        };
        let settings = settings.validate().expect("valid");
        for file in [networkd::file, networkmanager::file, ifupdown::file] {
            let file = file(root.path(), "eth0", &settings);
            files::write(std::slice::from_ref(&file)).expect("written");
            let last = last_ipv6(root.path(), "eth0");
            assert!(last.addresses.contains(&("2001:db8::10".parse().expect("an address"), 64)), "{}", file.text);
            assert!(last.gateways.contains(&"fe80::1".parse().expect("an address")), "{}", file.text);
            files::remove(&[file.path]).expect("removed");
        }
    }

    #[tokio::test]
    async fn under_another_root_there_are_no_daemons() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(detect(root.path(), "eth0").await, BackEnd::Bare);
    }

    #[test]
    fn a_unit_is_enabled_by_its_link() {
        let root = tempfile::tempdir().expect("a folder");
        let wants = root.path().join("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).expect("made");
        assert!(!is_enabled(root.path(), "systemd-networkd.service"));
        std::os::unix::fs::symlink("/none", wants.join("systemd-networkd.service")).expect("linked");
        assert!(is_enabled(root.path(), "systemd-networkd.service"));
    }
}
