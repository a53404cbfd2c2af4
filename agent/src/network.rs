//! Network settings, applied provisionally and made final (`design.md` §4, commit-confirmed).
//!
//! A back end remembers the former state on disk before it changes anything. Until [`Network::commit`] that state can be
//! restored exactly, also after a power cut. The settings of the vendor's application go the same way ([`application`]).

pub mod application;
pub mod arp;
pub mod back_end;
pub mod conflict;
pub mod conformance;
pub mod drift;
pub mod exec;
pub mod fake;
mod files;
mod former;
mod host_name;
mod ifupdown;
mod later;
pub mod links;
pub mod live;
pub mod nd;
mod netlink;
mod networkd;
mod networkmanager;
mod packet_socket;
pub(crate) mod program;
mod resolver;
pub mod rp_filter;
mod time_servers;
pub mod watch;

pub use links::{Choice, Link, find_link, set_up};

use crate::storage::StorageError;
use application::{ApplicationFault, ApplicationTask};
use drift::Setting;
use muster_protocol::appliance::Failure;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::result::{MAX_DETAIL, Reason, Stage};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// Told how far an installation is: a stage, and 0 to 100.
pub trait Report: Fn(Stage, u8) + Send + Sync {}
impl<F: Fn(Stage, u8) + Send + Sync> Report for F {}

/// A network that settings can be applied to.
pub trait Network: Send + Sync + 'static {
    /// Makes sure that nobody else has the address, remembers the former state, applies `settings`. After an error the
    /// caller rolls back: if there is something to restore, [`Network::is_provisional`] says so.
    fn apply(
        &self,
        settings: &NetworkSettings,
        report: &dyn Report,
    ) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Restores the former state exactly, also of the application. Nothing to restore is fine.
    fn roll_back(&self) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Forgets the former state: what is applied is final.
    fn commit(&self) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Sees to it that final settings are in force when the agent starts.
    fn resume(&self, settings: &NetworkSettings) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Puts back address and default route that are gone from the interface, and leaves alone what else somebody may have changed.
    /// `returned`: the interface had been away, and what is set up anew with each interface is gone with it.
    fn put_back(
        &self,
        settings: &NetworkSettings,
        returned: bool,
    ) -> impl Future<Output = Result<(), NetworkError>> + Send {
        let _ = returned;
        self.resume(settings)
    }
    /// Leaves nothing of `settings`, which are final: the network of an appliance that has no owner. Doing it twice is fine.
    fn forget(&self, settings: &NetworkSettings) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Whether application settings go anywhere on this host.
    fn takes_application(&self) -> bool;
    /// Does something about the application's settings. After an error of [`ApplicationTask::Apply`] the caller rolls back, as after
    /// one of [`Network::apply`].
    fn hand_over(&self, task: ApplicationTask) -> impl Future<Output = Result<(), NetworkError>> + Send;
    /// Whether somebody changed final application settings by hand. A host that cannot tell says no.
    fn application_drifted(
        &self,
        settings: &ApplicationSettings,
    ) -> impl Future<Output = Result<bool, NetworkError>> + Send {
        let _ = settings;
        std::future::ready(Ok(false))
    }
    /// True while there is a former state to go back to.
    fn is_provisional(&self) -> bool;
    /// Which of the final settings somebody changed by hand. A network that cannot tell says none.
    fn drift(&self, settings: &NetworkSettings) -> impl Future<Output = Result<Vec<Setting>, NetworkError>> + Send {
        let _ = settings;
        std::future::ready(Ok(Vec::new()))
    }
    /// Why nobody on this host takes the time servers of these settings, if nobody does.
    fn time_servers_untaken(&self, settings: &NetworkSettings) -> impl Future<Output = Option<&'static str>> + Send {
        let _ = settings;
        std::future::ready(None)
    }
    /// Sets final settings again, as they were configured.
    fn restore(&self, settings: &NetworkSettings) -> impl Future<Output = Result<(), NetworkError>> + Send {
        self.resume(settings)
    }
}

/// Why settings could not be applied or restored.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Somebody else has the address.
    #[error("{address} is used by {by}")]
    AddressTaken {
        /// The address.
        address: Ipv4Addr,
        /// Whose MAC answered.
        by: muster_protocol::id::Mac,
    },
    /// Somebody else has the IPv6 address.
    #[error("{address} is used by another host (duplicate address detection)")]
    AddressTaken6 {
        /// The address.
        address: Ipv6Addr,
    },
    /// There is no IPv6 on the interface.
    #[error(
        "IPv6 is switched off on {interface} (net.ipv6.conf.{interface}.disable_ipv6). Switch it on, or give no IPv6 address"
    )]
    Ipv6Off {
        /// Its name.
        interface: String,
    },
    /// The interface is gone.
    #[error("there is no network interface {interface}. Name another with --interface, or plug it in")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// A MAC does not say which interface is meant.
    #[error("{names} have the MAC address {mac}. Give the name of one with --interface")]
    SeveralInterfaces {
        /// The MAC.
        mac: muster_protocol::id::Mac,
        /// Those that have it.
        names: String,
    },
    /// The kernel refused.
    #[error("the kernel refused to {action}")]
    Kernel {
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A system file could not be read or written.
    #[error("{path} could not be {action}")]
    File {
        /// `read`, `written` or `removed`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The agent's own storage failed.
    #[error("the former state could not be kept")]
    Storage(#[from] StorageError),
    /// What was stored as the former state cannot be read.
    #[error("the stored former state is not of a form that this version knows")]
    Former,
    /// The process that has rights says so; its log says more.
    #[error("{detail}")]
    Keeper {
        /// Its code for what went wrong.
        code: String,
        /// As the appliance reports it.
        reason: Reason,
        /// The same.
        detail: String,
    },
    /// The daemon that the back end works with does not run.
    #[error("{daemon} does not run. Start it, or name another back end with --network")]
    DaemonAbsent {
        /// Its name.
        daemon: &'static str,
    },
    /// It runs, and the interface is not its business.
    #[error("{daemon} leaves {interface} alone. Let it manage the interface, or name another back end with --network")]
    LeftAlone {
        /// Its name.
        daemon: &'static str,
        /// The interface.
        interface: String,
    },
    /// It took the settings, and they did not come into force.
    #[error("{daemon} has not brought {address} up on {interface} within {seconds} s. See its log")]
    NotInForce {
        /// Its name.
        daemon: &'static str,
        /// The address or gateway that is missing.
        address: IpAddr,
        /// Where it is missing.
        interface: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A file of somebody else decides about the interface.
    #[error(
        "{interface} is set by {path}, which is not Muster's. Take it out there, or name another back end with --network"
    )]
    Owned {
        /// The interface.
        interface: String,
        /// Whose file it is.
        path: PathBuf,
    },
    /// ifupdown does not read the file that is ours.
    #[error("{interfaces} does not include {path}. Add the line: source /etc/network/interfaces.d/*")]
    NotIncluded {
        /// The file that should include it.
        interfaces: PathBuf,
        /// The file that is ours.
        path: PathBuf,
    },
    /// A program of the back end cannot be started.
    #[error("{program} cannot be started. Install it, or name another back end with --network")]
    ProgramMissing {
        /// Its name or path.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It hangs.
    #[error("{program} took more than {seconds} s and was ended. See whether what it talks to hangs")]
    ProgramTimeout {
        /// Its name or path.
        program: String,
        /// How long it was given.
        seconds: u64,
    },
    /// It failed.
    #[error("{program} failed: {said}")]
    ProgramFailed {
        /// Its name and what it was told to do.
        program: String,
        /// What it said.
        said: String,
    },
    /// A vendor's program said no.
    #[error("{program} refused ({refusal}): {message}")]
    ProgramRefused {
        /// Its path.
        program: String,
        /// Its word for the reason: `invalid`, `unsupported`, `storage` or `failed`.
        refusal: &'static str,
        /// What it said.
        message: String,
    },
    /// A vendor's program answered nonsense.
    #[error("{program} answered nonsense: {why}. `muster-agent conformance` shows its vendor what is wrong")]
    ProgramAnswer {
        /// Its path.
        program: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The application does not have its settings.
    #[error(transparent)]
    Application(#[from] ApplicationFault),
    /// The practice fleet was told to fail.
    #[error("{text}")]
    Practice {
        /// What it says.
        text: &'static str,
    },
}

impl NetworkError {
    /// A stable word for programs.
    pub fn code(&self) -> &str {
        match self {
            NetworkError::AddressTaken { .. } | NetworkError::AddressTaken6 { .. } => "address_taken",
            NetworkError::Ipv6Off { .. } => "ipv6_off",
            NetworkError::NoInterface { .. } => "no_interface",
            NetworkError::SeveralInterfaces { .. } => "several_interfaces",
            NetworkError::Kernel { .. } => "kernel_refused",
            NetworkError::File { .. } => "system_file",
            NetworkError::Storage(error) => error.code(),
            NetworkError::Former => "former_state_form",
            NetworkError::Keeper { code, .. } => code,
            NetworkError::DaemonAbsent { .. } => "network_daemon_absent",
            NetworkError::LeftAlone { .. } => "network_left_alone",
            NetworkError::NotInForce { .. } => "network_not_in_force",
            NetworkError::Owned { .. } => "interface_owned",
            NetworkError::NotIncluded { .. } => "interfaces_not_included",
            NetworkError::ProgramMissing { .. } => "network_program_missing",
            NetworkError::ProgramTimeout { .. } => "network_program_timeout",
            NetworkError::ProgramFailed { .. } => "network_program_failed",
            NetworkError::ProgramRefused { .. } => "network_program_refused",
            NetworkError::ProgramAnswer { .. } => "network_program_answer",
            NetworkError::Application(fault) => fault.code(),
            NetworkError::Practice { .. } => "practice",
        }
    }

    /// As the appliance reports it.
    pub fn to_failure(&self) -> Failure {
        let reason = match self {
            NetworkError::AddressTaken { .. } | NetworkError::AddressTaken6 { .. } => Reason::AddressTaken,
            NetworkError::Storage(_) => Reason::Storage,
            NetworkError::Keeper { reason, .. } => *reason,
            NetworkError::File { source, .. } if is_of_the_disk(source.kind()) => Reason::Storage,
            NetworkError::ProgramRefused { refusal: "storage", .. } => Reason::Storage,
            NetworkError::Application(fault) => fault.reason(),
            _ => Reason::ApplyFailed,
        };
        let mut detail = chain(self);
        while detail.len() > MAX_DETAIL {
            detail.pop();
        }
        Failure { reason, detail }
    }
}

/// Whether somebody has to see to the disk, rather than to what was to be written.
fn is_of_the_disk(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, StorageFull | ReadOnlyFilesystem | QuotaExceeded)
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    shown(&text)
}

/// Text that may come from elsewhere, without what a terminal or a reader of logs would obey: control characters, and those
/// that turn the direction of what follows.
pub(crate) fn shown(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_reason_and_fits_a_result() {
        let full = NetworkError::File {
            action: "written",
            path: "/etc/systemd/network/10-muster-a-very-long-interface-name-that-goes-on-and-on-and-on-and-on.network"
                .into(),
            source: io::Error::from(io::ErrorKind::StorageFull),
        };
        let failure = full.to_failure();
        assert_eq!(failure.reason, Reason::Storage);
        assert!(failure.detail.len() <= MAX_DETAIL);
        let taken = NetworkError::AddressTaken {
            address: Ipv4Addr::new(192, 0, 2, 10),
            by: muster_protocol::id::Mac([2, 0, 0, 0, 0, 1]),
        };
        assert_eq!(taken.to_failure().reason, Reason::AddressTaken);
        assert_eq!(taken.to_failure().detail, "192.0.2.10 is used by 02:00:00:00:00:01");
        let taken = NetworkError::AddressTaken6 { address: "2001:db8::10".parse().expect("an address") };
        assert_eq!((taken.code(), taken.to_failure().reason), ("address_taken", Reason::AddressTaken));
        assert!(taken.to_failure().detail.starts_with("2001:db8::10 is used by another host"));
        let kernel = NetworkError::Kernel { action: "add a route", source: io::Error::from_raw_os_error(101) };
        assert_eq!(
            kernel.to_failure().detail,
            "the kernel refused to add a route: Network is unreachable (os error 101)"
        );
    }

    #[test]
    fn what_comes_from_elsewhere_gives_no_orders_to_a_terminal() {
        let hostile = "\u{1b}[2Jnoc\r\n\u{202e}\u{9b}\u{2066}.example";
        assert_eq!(shown(hostile), "\u{fffd}[2Jnoc\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}.example");
        assert_eq!(chain(&io::Error::other(hostile)), shown(hostile));
        assert_eq!(shown("Zürich – 東京"), "Zürich – 東京");
    }
}
