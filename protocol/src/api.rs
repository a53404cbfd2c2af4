//! The JSON bodies of the NOC's HTTPS interface, under `/v1`.
//!
//! Bytes are standard base64 text; identifiers are in their printed form; times are Unix seconds.
//! Three audiences: anybody (`/v1/ca`, enrolment), consoles and appliances (client certificates, mutual TLS 1.3).
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/ca` | - | the CA certificate, PEM; its SHA-256 (of the DER) is the pin in invites and grants. The NOC also sends it in the TLS handshake, where agents compare it |
//! | `POST /v1/consoles/enrol` | [`EnrolConsole`] | [`ConsoleEnrolled`] |
//! | `GET /v1/console/sites` | - | `[Site]` |
//! | `GET /v1/console/appliances` | - | `[ApplianceRecord]`, those of the console's sites |
//! | `GET /v1/console/appliances/{uid}/beats?since=T` | - | `[BeatRecord]`, oldest first |
//! | `POST /v1/console/plans` | [`PlanRequest`] | [`Plan`] |
//! | `POST /v1/console/grants` | [`GrantRequest`] | [`Grants`] |
//! | `POST /v1/console/results` | [`ResultReport`] | 204 |
//! | `GET /v1/console/alerts?open=true` | - | `[Alert]`, newest first |
//! | `POST /v1/console/alerts/{alert}/acknowledgement` | [`Acknowledge`] | [`Alert`]; what somebody said before stays |
//! | `POST /v1/console/alerts/{alert}/silence` | [`SilenceAlert`] | [`Alert`]; a silence that lasts longer stays |
//! | `GET /v1/console/changes?after=N` | - | [`Changes`], at once or after up to 25 s (long poll) |
//! | `GET /v1/console/applets?site=N` | - | [`AppletList`] |
//! | `POST /v1/console/applets/bundles` | [`AskApplet`] | [`SealedApplet`] |
//! | `GET /v1/console/queue?after=N` | - | [`crate::queue::Messages`], at once or after up to 25 s (long poll) |
//! | `POST /v1/console/queue/reports` | [`crate::queue::MessageReports`] | 204 |
//! | `POST /v1/appliances/enrol` | [`EnrolAppliance`] | [`ApplianceEnrolled`] |
//! | `POST /v1/appliances/beats` | [`Beat`], JSON or CBOR | [`BeatAnswer`], likewise |
//! | `POST /v1/appliances/logs` | [`LogBundle`] | [`LogTaken`], when an instruction asked for it |
//! | `GET /v1/appliances/components` | - | [`ComponentPlan`] |
//! | `GET /v1/appliances/components/metadata/{file}` | - | TUF metadata |
//! | `GET /v1/appliances/components/targets/{file}` | - | a target's bytes; ranges |
//! | `POST /v1/appliances/farewells` | [`Farewell`] | [`FarewellTaken`] |
//!
//! Errors are [`Problem`] (RFC 9457) with a stable `code`.

mod alerts;
mod applets;
mod cbor;
mod components;
mod host;
mod inherit;
mod proof;
mod work;

pub use alerts::{Acknowledge, Alert, AlertKind, Handling, MAX_NOTE, SilenceAlert};
pub use applets::{AppletList, AskApplet, SealedApplet};
pub use cbor::read_cbor;
pub use components::{
    ComponentPlan, ComponentReport, ComponentState, MAX_COMPONENT_NAME, MAX_COMPONENT_PROBLEM, MOST_COMPONENTS,
    RequiredComponent,
};
pub use host::{Disk, HostValues, InterfaceErrors, MAX_MOUNT, MOST_DISKS};
pub use inherit::Inheritable;
pub use proof::RequiredProof;
pub use work::{
    Farewell, FarewellTaken, GivenGrant, GivenHandover, GrantFailure, HandoverReport, InstructionReport, LogBundle,
    LogTaken, MAX_LOG, Work, WorkReport,
};

use crate::id::{BootId, ConsoleId, Mac, Seq, SiteId, Uid};
use crate::parameters::{Confirm, DriftPolicy, FieldError, RawSettings};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of every error answer: RFC 9457 problem details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// A stable word for programs, as `invite_expired`.
    pub code: String,
    /// What is wrong.
    pub title: String,
    /// What to do about it.
    #[serde(default)]
    pub detail: String,
}

/// What a console sends to become known to the NOC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolConsole {
    /// The one-time token of the invite.
    pub token: String,
    /// What operators call this console, as the name of its computer.
    pub name: String,
    /// The console's Ed25519 public key, base64.
    pub public_key: String,
    /// A PKCS #10 request for its TLS client certificate, PEM.
    pub csr: String,
    /// COSE_Sign1 by the console's key over [`crate::grant::ConsoleProof`], base64: it holds the key it names.
    pub proof: String,
}

/// The NOC's answer: the console may speak for these sites.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsoleEnrolled {
    /// The console's number.
    pub console: ConsoleId,
    /// COSE_Sign1 by the NOC root over [`crate::grant::Credential`], base64.
    pub credential: String,
    /// The NOC root's Ed25519 public key, base64.
    pub root: String,
    /// The TLS client certificate, PEM.
    pub certificate: String,
    /// The sites it may configure.
    pub sites: Vec<Site>,
}

/// A site and the simple policy it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its number.
    pub id: SiteId,
    /// Its name.
    pub name: String,
    /// First and last address of the pool, as `192.0.2.10-192.0.2.99`.
    pub pool: String,
    /// Netmask of the pool.
    pub netmask: String,
    /// Default gateway, or empty.
    pub gateway: String,
    /// Domain.
    pub domain: String,
    /// Primary name server, or empty.
    pub dns1: String,
    /// Secondary name server, or empty.
    pub dns2: String,
    /// Time servers, addresses or host names with a space between them, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ntp: String,
    /// Domains that are searched beside [`Self::domain`], with a space between them, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub search_domains: String,
    /// IPv6 addresses to give out, `2001:db8::/64` or `2001:db8::100-2001:db8::1ff/64`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool6: String,
    /// IPv6 default gateway, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gateway6: String,
    /// Host-name template; `{n}` is a number unique in the site (`{n:03}` padded), `{model}`, `{serial}`, `{mac}` (last six digits),
    /// `{site}`.
    pub host_name: String,
    /// Seconds between beats.
    pub beat_interval_s: u32,
    /// What makes settings final.
    pub confirm: Confirm,
    /// Seconds until an unconfirmed configuration is rolled back.
    pub window_s: u16,
    /// What appliances do about settings that are changed by hand; absent: what the image of each says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftPolicy>,
    /// Application settings as JSON ([`crate::application::ApplicationSettings`]), or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// The least proof of ownership that appliances have to ask for.
    #[serde(default, skip_serializing_if = "RequiredProof::is_any")]
    pub proof: RequiredProof,
    /// Addresses inside the pools that are not given out, IPv4 and IPv6, as the pool is written, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exclude: String,
    /// Which of the values above are not the site's own but its organisation's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit: Vec<Inheritable>,
}

/// What the NOC knows of one appliance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplianceRecord {
    /// Its identity.
    pub uid: Uid,
    /// MAC address of the manifest or of the first claim.
    pub mac: Mac,
    /// Serial number, or empty.
    pub serial: String,
    /// Model, or empty.
    pub model: String,
    /// Its site, once it was planned or claimed there.
    pub site: Option<SiteId>,
    /// The settings last granted and reported applied.
    pub settings: Option<RawSettings>,
    /// How it stands with configuration.
    pub provisioning: Provisioning,
    /// How it stands with beats.
    pub health: Health,
    /// Time of the last accepted beat.
    pub last_beat: Option<u64>,
    /// Its last beat.
    pub beat: Option<BeatValues>,
    /// The NOC has a voucher of its vendor for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_voucher: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// How an appliance stands with configuration, as the NOC knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provisioning {
    /// In the inventory, nothing granted.
    Known,
    /// A grant was signed and its result is not known yet.
    Granted,
    /// The appliance reported SUCCESS and was kick-started.
    Configured,
    /// The appliance reported FAILED or rolled back.
    Failed,
    /// It has forgotten its owner, as it was told. It is refused until it is released.
    Decommissioned,
    /// Another appliance has its role. It is refused until it is released.
    Replaced,
    /// It reports to another NOC, as it was told. It is refused until it is released.
    HandedOver,
}

/// How an appliance stands with beats (`monitoring.md`, states of an appliance).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not configured, so nothing is expected.
    NotExpected,
    /// Kick-started, no beat yet.
    NeverReported,
    /// Beats arrive in time.
    Well,
    /// A beat is overdue, by less than makes an alert.
    Late,
    /// No beat for so long that an alert is open.
    Silent,
    /// Beats again after silence, not yet often enough.
    Recovering,
    /// Beats arrive in time, and say that a health rule is broken.
    Failing,
    /// No beat, and the appliance that is its gateway is silent too.
    Unreachable,
    /// Somebody works on it: beats are kept and nobody is told.
    Maintenance,
}

/// A console asks what a set of appliances would get. Allocation is one transaction; nothing is signed yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The site.
    pub site: SiteId,
    /// The appliances, as discovery heard them.
    pub appliances: Vec<PlanFor>,
}

/// One appliance of a [`PlanRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanFor {
    /// Device public key (Ed25519), base64; the UID follows from it.
    pub device_key: String,
    /// The MAC it answered with.
    pub mac: Mac,
    /// The label code somebody typed, for an appliance that the inventory does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// It has no owner and accepts only a NOC that its vendor vouches for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wants_voucher: bool,
    /// Its last answer to a ping as it signed it, COSE_Sign1 over [`crate::wire::here::Here`], base64: where a policy requires a
    /// proof of ownership, the NOC goes by what the appliance says there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<String>,
}

/// What each appliance of a site would get. The addresses are held for it until `expires`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The site.
    pub site: SiteId,
    /// When the held addresses and names are given back.
    pub expires: u64,
    /// In the order asked.
    pub rows: Vec<PlanRow>,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// The appliance.
    pub uid: Uid,
    /// Whether it may be configured.
    pub ownership: Ownership,
    /// The allocated settings; absent when `ownership` is not `Owned` or the pool is exhausted.
    pub settings: Option<RawSettings>,
    /// Which rule gave each value, by column, as `site pool 192.0.2.10-192.0.2.99`.
    pub rules: BTreeMap<String, String>,
    /// Why there are no settings, or what is wrong with them.
    pub problem: Option<Problem>,
}

/// Whether the NOC's customer owns an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// In the inventory, with a claim secret.
    Owned,
    /// Not in the inventory: its label code is needed.
    Unclaimed,
    /// Belongs to another site; move it first.
    OtherSite,
    /// Accepts only a voucher of its vendor, and the NOC has none that is good.
    NoVoucher,
}

/// A console asks for signed grants for settings that an administrator has reviewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantRequest {
    /// The site.
    pub site: SiteId,
    /// One entry an appliance. All are checked and allocated in one transaction; those with errors get none.
    pub items: Vec<GrantItem>,
}

/// One appliance of a [`GrantRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantItem {
    /// The appliance.
    pub uid: Uid,
    /// What it shall have, from the plan or as edited.
    pub settings: RawSettings,
    /// Why the grant before this one is used up, in the appliance's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<SignedResult>,
}

/// A result as an appliance signed it on the LAN. It names the sequence number that the appliance has stored; a NOC whose
/// database was restored from an old copy goes on above that number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedResult {
    /// Device public key (Ed25519), base64; the UID follows from it.
    pub device_key: String,
    /// COSE_Sign1 by the device key over [`crate::wire::result::ConfigResult`], base64.
    pub result: String,
}

/// The signed grants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grants {
    /// In the order asked.
    pub items: Vec<Granted>,
}

/// One grant, or why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The appliance.
    pub uid: Uid,
    /// The grant; absent when `errors` is not empty.
    pub grant: Option<SignedGrant>,
    /// What is wrong, at its field.
    pub errors: Vec<FieldError>,
}

/// What a console needs to configure one appliance once.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedGrant {
    /// COSE_Sign1 by the NOC root over [`crate::grant::Grant`], base64.
    pub grant: String,
    /// Its sequence number.
    pub seq: Seq,
    /// The key derived from the claim secret, base64, for an appliance that has not been pinned yet. A secret.
    pub claim_key: Option<String>,
    /// COSE_Sign1 by the vendor over [`crate::voucher::Voucher`], base64, if the NOC has one for the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<String>,
}

impl std::fmt::Debug for SignedGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedGrant").field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// What became of configurations, told by the console.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultReport {
    /// One entry an appliance; reporting the same twice changes nothing.
    pub items: Vec<ResultItem>,
}

/// One appliance of a [`ResultReport`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultItem {
    /// The appliance.
    pub uid: Uid,
    /// The grant.
    pub seq: Seq,
    /// True for SUCCESS and kick-started; false for FAILED.
    pub configured: bool,
    /// The stable reason of a failure ([`crate::wire::result::Reason::code`]), or empty.
    #[serde(default)]
    pub reason: String,
}

/// What changed at the NOC, for a console that keeps up by long poll.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Ask with `after` set to this next time. Numbers start anew when `reset` is true.
    pub revision: u64,
    /// The console must fetch everything anew: it is new, or the NOC's database was restored.
    pub reset: bool,
    /// Appliances that changed, whole.
    pub appliances: Vec<ApplianceRecord>,
    /// Alerts that opened or closed.
    pub alerts: Vec<Alert>,
    /// When the applets of the console's organisation last changed: a revision.
    #[serde(default)]
    pub applets: u64,
}

/// An appliance asks for its client certificate, after its first configuration or before the old one ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolAppliance {
    /// COSE_Sign1 by the device key over [`crate::grant::EnrolmentProof`], base64. The proof holds the CSR's hash.
    pub proof: String,
    /// A PKCS #10 request for its TLS client certificate, PEM.
    pub csr: String,
}

/// The NOC's answer to [`EnrolAppliance`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplianceEnrolled {
    /// The TLS client certificate, PEM.
    pub certificate: String,
    /// NOC time, Unix seconds.
    pub time: u64,
}

/// A SecureBeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct Beat {
    /// This run of the agent.
    #[n(0)]
    pub boot: BootId,
    /// Counts from 1 within a boot; a repeated or smaller number is not counted again.
    #[n(1)]
    pub counter: u64,
    /// The grant in force.
    #[n(2)]
    pub seq: Seq,
    /// What was measured.
    #[n(3)]
    pub values: BeatValues,
    /// What became of what the NOC gave with the answers to earlier beats.
    #[serde(default, skip_serializing_if = "WorkReport::is_empty")]
    #[cbor(n(4), skip_if = "WorkReport::is_empty")]
    pub work: WorkReport,
    /// Beats that did not reach the NOC in their time, oldest first, at most [`MOST_EARLIER`]. They are history: they
    /// prove no life, confirm nothing and close no alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(5), skip_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierBeat>,
}

/// Most beats of [`Beat::earlier`].
pub const MOST_EARLIER: usize = 64;

/// A beat that is delivered late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct EarlierBeat {
    /// The run of the agent that measured it.
    #[n(0)]
    pub boot: BootId,
    /// Its number in that boot. Beats of a boot come in the order of their numbers; one that was counted before, or that
    /// comes after a later one of the history, is not counted.
    #[n(1)]
    pub counter: u64,
    /// Seconds since it was measured, by the appliance's monotonic clock: said for beats of the present boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub age_s: Option<u64>,
    /// For beats of a former boot: the NOC's time as the appliance knew it last, and what its clock had counted since.
    /// Absent when it had not heard the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub time: Option<u64>,
    /// What was measured.
    #[n(4)]
    pub values: BeatValues,
}

/// What a beat reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct BeatValues {
    /// Seconds since the appliance started.
    #[n(0)]
    pub uptime_s: u64,
    /// One-minute load average.
    #[n(1)]
    pub load: f64,
    /// Memory in use, percent.
    #[n(2)]
    pub memory_percent: f64,
    /// Space in use on the fullest local disk, percent.
    #[n(3)]
    pub disk_percent: f64,
    /// Free bytes on that disk.
    #[n(4)]
    pub disk_free: u64,
    /// Agent version.
    #[n(5)]
    pub agent: String,
    /// Who else on its link claims its IPv4 address, while he does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub address_conflict: Option<Mac>,
    /// Application counters and gauges, by name (seed: "the number of emails passing through the device").
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cbor(n(7), skip_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
    /// The appliance itself, in more detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(8)]
    pub host: Option<HostValues>,
    /// Which settings somebody changed by hand, by stable words (`address`, `gateway`, `route`, `host_name`, `hosts`,
    /// `resolver`, `network_file`); at most [`MOST_DRIFT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(9), skip_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// Why the settings in force at the NOC are not in force on the appliance: a stable word. The agent tries on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(10)]
    pub network_problem: Option<String>,
    /// Its components, at most [`MOST_COMPONENTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(11), skip_if = "Vec::is_empty")]
    pub components: Vec<ComponentReport>,
}

/// Most words of [`BeatValues::drift`].
pub const MOST_DRIFT: usize = 16;

/// The NOC's answer to a beat: it is on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct BeatAnswer {
    /// Seconds until the next beat.
    #[n(0)]
    pub interval_s: u32,
    /// NOC time, Unix seconds.
    #[n(1)]
    pub time: u64,
    /// How many of [`Beat::earlier`] need not come again. Absent from a NOC that does not know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub earlier: Option<usize>,
    /// What is pending for the appliance; given again with each answer until a beat says what became of it.
    #[serde(default, skip_serializing_if = "Work::is_empty")]
    #[cbor(n(3), skip_if = "Work::is_empty")]
    pub work: Work,
}

/// One beat of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeatRecord {
    /// When the NOC accepted it; of one that came late, when it was measured as far as that is known.
    pub at: u64,
    /// What it reported.
    pub values: BeatValues,
}
