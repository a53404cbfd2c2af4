//! What a person sees: whole view models, for the window (as typed events) and for `muster --json`.
//!
//! The engine pushes these; a user interface keeps no truth of its own and asks for a replay when it starts.
//! 64-bit numbers that may exceed 2^53 cross as text; times are Unix seconds.

pub(crate) mod applet;
mod job;
mod message;
mod notify;
mod settings;

pub use applet::{AppletPreview, AppletTemplate, AppletView, ApplicationChecked, ApplicationProblem};
pub use job::{JobItemView, JobStep, JobView};
pub use message::{MessageRow, RowMessageState};
pub use notify::{CheckedView, DoNotDisturb, NotificationSettings, NotificationState, QuietHours, SoundWay};
pub use settings::Settings;
pub(crate) use settings::said;

use muster_protocol::api::{AlertKind, Health, Ownership};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// One row of the discovery grid: what was heard on the LAN and what the NOC knows, merged by UID.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct ApplianceRow {
    /// Identity, `ABCD-EFGH-…`.
    pub uid: String,
    /// MAC address, `AA:BB:CC:00:11:22`.
    pub mac: String,
    /// Maker by the IEEE table, or empty; `locally administered` has its own flag.
    pub maker: String,
    /// True for a MAC address that no maker was assigned.
    pub mac_is_local: bool,
    /// Model from the inventory, or empty.
    pub model: String,
    /// Serial number from the inventory, or empty.
    pub serial: String,
    /// How it stands with configuration.
    pub state: RowState,
    /// The settings in force, as far as they are known; all empty when unconfigured.
    pub settings: Settings,
    /// Heard in this session of the console (false: known only from the NOC).
    pub heard: bool,
    /// Addresses it answered from, with the interface, as `fe80::1%eth0`.
    pub heard_at: Vec<String>,
    /// What it shares with another appliance, as `address 192.0.2.9 with ABCD-EFGH`; empty when nothing.
    pub conflicts: Vec<String>,
    /// How it stands with beats.
    pub health: RowHealth,
    /// Time of the last accepted beat.
    pub last_beat: Option<u32>,
    /// Last reported values.
    pub values: Option<BeatView>,
    /// The site's number, if it has one.
    pub site: Option<u32>,
}

/// How an appliance stands with configuration, as the grid shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Answers, has no settings, and the inventory knows it.
    Unconfigured,
    /// Answers, has no settings, and its label code is needed.
    Unclaimed,
    /// Answers, has no settings, and accepts only a voucher of its vendor, which the NOC does not have.
    NoVoucher,
    /// In a running job.
    Configuring,
    /// Has settings that are not final yet.
    Provisional,
    /// Configured.
    Configured,
    /// The last configuration failed.
    Failed,
    /// Known to the NOC, not heard on this network.
    NotHeard,
}

/// [`Health`] for TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named and documented in muster_protocol::api::Health")]
pub enum RowHealth {
    NotExpected,
    NeverReported,
    Well,
    Late,
    Silent,
    Recovering,
    Failing,
    Unreachable,
    Maintenance,
}

impl From<Health> for RowHealth {
    fn from(health: Health) -> Self {
        match health {
            Health::NotExpected => Self::NotExpected,
            Health::NeverReported => Self::NeverReported,
            Health::Well => Self::Well,
            Health::Late => Self::Late,
            Health::Silent => Self::Silent,
            Health::Recovering => Self::Recovering,
            Health::Failing => Self::Failing,
            Health::Unreachable => Self::Unreachable,
            Health::Maintenance => Self::Maintenance,
        }
    }
}

/// Reported values of one beat.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct BeatView {
    /// When the NOC accepted it; zero inside a row, where `last_beat` says it.
    pub at: u32,
    /// Seconds since the appliance started.
    pub uptime_s: u32,
    /// One-minute load average.
    pub load: f64,
    /// Memory in use, percent.
    pub memory_percent: f64,
    /// Space in use on the fullest disk, percent.
    pub disk_percent: f64,
    /// Application counters and gauges by name.
    pub counters: BTreeMap<String, f64>,
    /// Settings that somebody changed by hand, by stable words.
    pub drift: Vec<String>,
    /// MAC of another host that claims its address.
    pub address_conflict: Option<String>,
    /// Why its settings are not in force: a stable word.
    pub network_problem: Option<String>,
    /// The appliance itself, as far as it says.
    pub host: HostView,
}

/// What an appliance says about itself; an older agent says less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, TS)]
pub struct HostView {
    /// Version of the agent.
    pub agent: String,
    /// Its resident memory, MiB.
    pub agent_mib: Option<f64>,
    /// Writable local disks, the fullest first.
    pub disks: Vec<DiskView>,
    /// The hottest sensor, degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Packets that the interface received or sent wrongly, or not at all.
    pub interface_errors: Option<f64>,
    /// How far its clock is ahead of the NOC's, seconds.
    pub clock_offset_s: Option<f64>,
}

/// A disk of an appliance.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct DiskView {
    /// Where it is mounted.
    pub mount: String,
    /// Space in use, percent.
    pub percent: f64,
}

/// A site and its policy.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct SiteView {
    /// Number.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Pool, netmask and the rest of the policy, in words, one line each.
    pub policy: Vec<String>,
}

/// How far the running or last discovery is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, TS)]
pub struct DiscoveryView {
    /// True while rounds are running.
    pub running: bool,
    /// Rounds begun.
    pub round: u32,
    /// Appliances heard in this discovery.
    pub found: u32,
    /// Estimated number still unheard.
    pub unheard: f64,
    /// Seconds since its start.
    pub seconds: f64,
    /// Seconds from its start until the last one was heard for the first time.
    pub last_found: f64,
    /// Pings of this discovery; each leaves by multicast and broadcast on every interface.
    pub pings: u32,
    /// The receive buffer of the sockets in bytes, as the system gave it.
    pub receive_buffer: u32,
    /// Interfaces it went out on, and why others did not, as `eth0` or `eth1: Permission denied`.
    pub interfaces: Vec<String>,
    /// A problem that ended it, if any.
    pub problem: Option<ProblemView>,
}

/// What a plan proposes for the chosen appliances.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct PlanView {
    /// The site.
    pub site: u32,
    /// When the held addresses are given back.
    pub expires: u32,
    /// In the order asked.
    pub rows: Vec<PlanRowView>,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct PlanRowView {
    /// The appliance.
    pub uid: String,
    /// Its MAC.
    pub mac: String,
    /// Model, or empty.
    pub model: String,
    /// Whether it may be configured.
    pub ownership: RowOwnership,
    /// Proposed settings (empty cells when `ownership` is not `owned`).
    pub settings: Settings,
    /// What it has now.
    pub current: Settings,
    /// Which rule gave each value, by column name.
    pub rules: BTreeMap<String, String>,
    /// Why it cannot be configured, if so.
    pub problem: Option<ProblemView>,
}

/// [`Ownership`] for TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named and documented in muster_protocol::api::Ownership")]
pub enum RowOwnership {
    Owned,
    Unclaimed,
    OtherSite,
    NoVoucher,
}

impl From<Ownership> for RowOwnership {
    fn from(ownership: Ownership) -> Self {
        match ownership {
            Ownership::Owned => Self::Owned,
            Ownership::Unclaimed => Self::Unclaimed,
            Ownership::OtherSite => Self::OtherSite,
            Ownership::NoVoucher => Self::NoVoucher,
        }
    }
}

/// A row as the administrator edited it; what `check` and `configure` take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct EditedRow {
    /// The appliance.
    pub uid: String,
    /// What it shall have.
    pub settings: Settings,
}

/// One finding of the check, at its cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct CellError {
    /// The appliance.
    pub uid: String,
    /// The column: `host_name`, `domain`, `address`, `netmask`, `gateway`, `dns1`, `dns2`, `address6`, `gateway6`, `ntp`,
    /// `search_domains`, `application`.
    pub field: String,
    /// A stable word, as `duplicate_address`.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct AlertView {
    /// Stable number.
    pub id: u32,
    /// What it is about.
    pub kind: RowAlertKind,
    /// The site.
    pub site: u32,
    /// The health rule that is broken; empty for alerts of silence.
    pub rule: String,
    /// The appliances, by UID, with the name to show.
    pub appliances: Vec<AlertAppliance>,
    /// When it opened.
    pub opened: u32,
    /// When it closed, if it did.
    pub closed: Option<u32>,
    /// When somebody said that they saw it.
    pub acknowledged: Option<u32>,
    /// Who; or empty.
    pub acknowledged_by: String,
    /// What they said of it.
    pub note: String,
    /// Until when the NOC tells nobody of it.
    pub silenced_until: Option<u32>,
    /// When it was escalated, because nobody acknowledged it.
    pub escalated: Option<u32>,
}

/// One appliance of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct AlertAppliance {
    /// Identity.
    pub uid: String,
    /// Host name, else MAC.
    pub name: String,
    /// How it stands with beats now.
    pub health: RowHealth,
}

/// [`AlertKind`] for TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named and documented in muster_protocol::api::AlertKind")]
pub enum RowAlertKind {
    Silent,
    NeverReported,
    Site,
    Unstable,
    Failing,
}

impl From<AlertKind> for RowAlertKind {
    fn from(kind: AlertKind) -> Self {
        match kind {
            AlertKind::Silent => Self::Silent,
            AlertKind::NeverReported => Self::NeverReported,
            AlertKind::Site => Self::Site,
            AlertKind::Unstable => Self::Unstable,
            AlertKind::Failing => Self::Failing,
        }
    }
}

/// How the console stands with the NOC.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NocLink {
    /// First start: neither joined a NOC nor started one here.
    NotJoined,
    /// Connected.
    Connected {
        /// Its address.
        url: String,
    },
    /// Not reachable; what is shown may be old.
    Lost {
        /// Its address.
        url: String,
        /// Since when.
        since: u32,
        /// Why.
        problem: ProblemView,
    },
}

/// Something that went wrong, for a person and for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct ProblemView {
    /// A stable word, as `invite_expired`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do; never empty.
    pub remedy: String,
}

/// What the engine pushes. A subscriber first gets a replay: one event of each kind with everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Rows that are new or changed, whole. `reset`: forget all others.
    Appliances {
        /// True in a replay: these are all.
        reset: bool,
        /// The rows.
        rows: Vec<ApplianceRow>,
    },
    /// Discovery began, went on or ended.
    Discovery {
        /// Its state.
        discovery: DiscoveryView,
    },
    /// A job changed; whole in a replay, else only the changed items.
    Job {
        /// False: `job.items` holds only those that changed.
        whole: bool,
        /// The job.
        job: JobView,
    },
    /// Alerts that opened or closed. `reset`: forget all others.
    Alerts {
        /// True in a replay: these are all.
        reset: bool,
        /// The alerts.
        alerts: Vec<AlertView>,
    },
    /// What the NOC had this console do; these are all that are shown, newest first.
    Messages {
        /// The messages.
        messages: Vec<MessageRow>,
    },
    /// The administrator clicked a notification or the tray: show this.
    Navigate {
        /// The appliance; absent: the alerts.
        uid: Option<String>,
    },
    /// The applets of sites changed, or were refused: ask for them anew.
    Applets {
        /// Counts the changes.
        generation: u32,
        /// Why the NOC's last word about them was not taken.
        problem: Option<ProblemView>,
    },
    /// The connection to the NOC changed.
    Noc {
        /// How it stands.
        noc: NocLink,
        /// The sites this console may configure.
        sites: Vec<SiteView>,
    },
}

/// A knob of the practice fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct PracticeKnobs {
    /// Milliseconds that an installation takes.
    pub install_ms: u32,
    /// Percent of installations that fail.
    pub fail_percent: u8,
    /// Percent of datagrams lost, each way.
    pub loss_percent: u8,
    /// UIDs of the appliances that are silenced: they answer and beat no more.
    pub silent: Vec<String>,
}

/// What this face of the interface can do; a browser has no LAN, tray or practice fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, TS)]
pub struct Capabilities {
    /// Discovery and delivery on the local network.
    pub lan: bool,
    /// A NOC can be started on this computer.
    pub local_noc: bool,
    /// The NOC runs on this computer, so its inventory and sites can be changed here.
    pub manage_noc: bool,
    /// The practice fleet is running.
    pub practice: bool,
    /// The command line names folders of applets, for their vendor to look at.
    pub applet_preview: bool,
}

/// What the window asks for first.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct StartView {
    /// Version of the program.
    pub version: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it stands with the NOC.
    pub noc: NocLink,
    /// The knobs of the practice fleet; meaningless unless it runs.
    pub knobs: PracticeKnobs,
}

/// The one form of *use this computer*: the first site's simple policy. All text, checked by the NOC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SiteSetup {
    /// Name of the site.
    pub name: String,
    /// `192.0.2.10-192.0.2.99`.
    pub pool: String,
    /// `255.255.255.0`.
    pub netmask: String,
    /// Default gateway, or empty.
    pub gateway: String,
    /// Domain.
    pub domain: String,
    /// Primary name server, or empty.
    pub dns1: String,
    /// Secondary name server, or empty.
    pub dns2: String,
    /// `2001:db8::/64` or `2001:db8::100-2001:db8::1ff/64`, or empty.
    pub pool6: String,
    /// IPv6 default gateway, or empty.
    pub gateway6: String,
    /// Host-name template, as `{model}-{n:03}`.
    pub host_name: String,
    /// Where appliances reach this computer, `address:port`.
    pub noc_address: String,
    /// Start the practice fleet as well.
    pub practice: bool,
}

/// What became of a manifest import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, TS)]
pub struct ImportReport {
    /// Appliances that are new.
    pub added: u32,
    /// Appliances that were there and are the same.
    pub unchanged: u32,
    /// What is wrong, by line; nothing is imported when there is any.
    pub errors: Vec<LineError>,
}

/// One line of a file that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct LineError {
    /// Line number, from 1.
    pub line: u32,
    /// What is wrong and what to do.
    pub message: String,
}

/// An appliance chosen for a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Chosen {
    /// The appliance.
    pub uid: String,
    /// Its label code, when one was typed.
    pub claim: Option<String>,
}

/// Begun and not ended.
pub(crate) fn is_under_way(step: JobStep) -> bool {
    !matches!(step, JobStep::Configured | JobStep::Failed | JobStep::Cancelled)
}

/// A 64-bit time or number as the views have it; a time saturates in the year 2106.
pub(crate) fn seconds(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
