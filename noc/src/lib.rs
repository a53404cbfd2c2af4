//! The network operations center: it decides what an appliance shall have, signs it, takes beats and notices silence.
//!
//! # Map
//! - [`Noc`]: a data folder, opened. The command line, the desktop ("this computer") and the tests all go through it.
//! - `config`: what the data folder contains and who may read it. `settings`: the environment beside noc.toml.
//!   `backup`: all of it elsewhere, and back. `doctor`: is it well? `tls`: the CA, certificates, who a client is.
//! - `policy`: pool, host-name template, allocation; pure. `inventory`: vendor manifests. `invite`: one-time invites.
//!   `vouchers`: what a vendor does, apart from any NOC. `monitoring`, `maintenance`: when whose silence is told; pure.
//! - `store`: SQLite, one writer thread with group commit. An answer means that it is on disk.
//! - `history`: beats and their roll-ups as they lie in the database; pure. `keeping`: for how long. `availability`: months of
//!   how appliances stood; pure.
//! - `handover`: appliances to another address or NOC, and from another one.
//! - `work`: what the NOC gives to appliances with the answers to beats. `queue`: what it has consoles do.
//!   `signer`: grants, instructions, hand-overs, messages and credentials. `watch`: the status daemon. `api`: the routes of
//!   [`muster_protocol::api`], and those of operators.
//! - `channels`: how organisations are told of alerts elsewhere. `remote_write`: their history, in another store. No other part opens
//!   connections. `measurements`: what is told of a beat there, and where it is scraped.
//! - `applets`: the library of what vendors add to consoles.
//! - `components`: the software that appliances get, as a repository of The Update Framework.
//! - `operators`: people, organisations, roles, passwords. `audit`: who did what, hash-chained. `metrics`: figures for
//!   Prometheus.
//!
//! # Deliberately absent
//! No plain HTTP but for figures on loopback, no TLS below 1.3, no route that lists appliances to anybody but the consoles of their site.

mod alerting;
mod api;
mod applets;
mod audit;
mod availability;
mod backup;
mod channels;
mod clock;
mod components;
mod config;
mod doctor;
mod drafts;
mod error;
mod handover;
mod history;
mod inventory;
mod invite;
mod keeping;
mod maintenance;
mod measurements;
mod metrics;
mod monitoring;
mod noc;
mod operators;
mod policy;
mod queue;
mod random;
mod remote_write;
mod server;
mod settings;
mod signer;
mod store;
mod strip;
mod tables;
mod tls;
mod versions;
mod vouchers;
mod watch;
mod waves;
mod work;

pub use alerting::AlertError;
pub use api::{RouteInfo, route_table};
pub use applets::{AppletError, Channel as AppletChannelName, NewPlace, PlaceChannel};
pub use audit::{Anchor, AnchorError, Broken, Cut, Format, Record, Verdict};
pub use availability::{Month, Tally};
pub use backup::{BackupError, BackupReport, RestoreError, RestoreKeys, Restored, restore};
pub use channels::{AddedChannel, ChannelError, ChannelId, ChannelSpec, MailSecurity, Quiet, Target, Tested};
pub use components::{
    ApplianceComponents, Component, ComponentError, ComponentKind, ComponentPolicy, ComponentSpec, ComponentStanding,
    ComponentState, HealthCheck, NewRoot, OnlinePublic, Published, ReleaseChannel, Required, RolloutError,
    RolloutState, RolloutView, RootFile, Share, TufKey, VendorFile, VendorView, WaveView, Waves, read_vendor,
    vendor_fingerprint,
};
pub use config::{DEFAULT_PORT, InitError, OpenError, Options};
pub use doctor::{Finding, Level, examine};
pub use drafts::{
    Difference, DifferenceLine, DraftChanges, DraftError, DraftRowSpec, DraftRowState, DraftRowView, DraftSpec,
    DraftState, DraftView,
};
pub use error::{AsProblem, StoreError};
pub use handover::{HandoverError, HandoverView, StuckView, TransferReport};
pub use inventory::{ImportError, ImportReport, LineError};
pub use invite::InviteError;
pub use keeping::{HistoryKeeping, HistoryKeepingChange, KeepingError};
pub use maintenance::{Every, MaintenanceSpec, MaintenanceView};
pub use monitoring::{Monitoring, MonitoringError, describe as describe_rule};
pub use noc::{ConsoleRecord, Noc};
pub use operators::{
    NewOperator, OpenSession, Operator, OperatorId, Organisation, OrganisationId, PeopleError, Role, RoleAt, Session,
    SessionKind,
};
pub use policy::effective::{EffectivePolicy, EffectiveValue};
pub use policy::reservation::ReservationSpec;
pub use policy::site::{SiteError, SiteFault, SiteSpec};
pub use policy::values::{DriftRule, OrganisationPolicy, PolicyValues, Profile};
pub use queue::{MessageView, NewOrder, QueueError, Standing};
pub use remote_write::{RemoteWriteError, RemoteWriteSpec, shown_target};
pub use server::{Running, ServeError};
pub use settings::{LogFormat, Origin, Setting, Settings};
pub use store::alert_events::{AlertEvent, Happening};
pub use store::applets::{Applet, AppletAuthor, AppletChannel, AppletPlace, AppletVersion};
pub use store::channels::{Channel, ChannelState};
pub use store::preview::PreviewRow;
pub use store::remote_write::{RemoteWrite, RemoteWriteState};
pub use store::restored::Resumed;
pub use store::standings::{
    ApplianceAvailability, AvailabilityReport, SiteAvailability, SiteReport as SiteAvailabilityReport,
};
pub use tables::TableError;
pub use tables::reservations::{ReservationRecord, ReservationReport};
pub use tables::sites::SiteReport;
pub use versions::{VersionState, VersionView};
pub use vouchers::{VendorKey, VoucherToolError, read_root};
pub use work::{ApplianceDetail, Edit, GivenState, GivenView, InstructionView, StoredLog, WorkError};
