//! What operators have the NOC give to appliances with the answers to beats: new settings, and instructions (decision 0020).

use crate::api::ApiError;
use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::{Inner, Noc};
use crate::operators::access::Place;
use crate::store::appliances::{self, Appliance};
use crate::store::grants::{self, Asked, Bearer, Issuer};
use crate::store::{application, audit, fleet, given, instructions, logs, policies, preview, retirement};
use crate::versions::{MAX_WHY, checked_why};
use muster_protocol::api::{ApplianceRecord, Problem, Provisioning};
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::instruction::{Act, Serial};
use muster_protocol::parameters::{Confirm, FieldError, InvalidSettings, RawSettings};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Changes of an appliance's settings; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    /// Host name.
    pub host_name: Option<String>,
    /// Domain.
    pub domain: Option<String>,
    /// Address.
    pub address: Option<String>,
    /// Netmask.
    pub netmask: Option<String>,
    /// Default gateway; empty for none.
    pub gateway: Option<String>,
    /// Primary name server; empty for none.
    pub dns1: Option<String>,
    /// Secondary name server; empty for none.
    pub dns2: Option<String>,
    /// IPv6 address with the length of its prefix; empty for none.
    pub address6: Option<String>,
    /// IPv6 default gateway; empty for none.
    pub gateway6: Option<String>,
    /// Time servers with a space between them; `none` for none, empty for what the policy gives.
    pub ntp: Option<String>,
    /// Domains that are searched beside the domain; the same form.
    pub search_domains: Option<String>,
    /// Application settings, the text of one JSON object; `{}` for none, empty for what the policy gives.
    pub application: Option<String>,
}

impl Edit {
    /// Everything as in these settings.
    pub(crate) fn all(settings: RawSettings) -> Edit {
        Edit {
            host_name: Some(settings.host_name),
            domain: Some(settings.domain),
            address: Some(settings.address),
            netmask: Some(settings.netmask),
            gateway: Some(settings.gateway),
            dns1: Some(settings.dns1),
            dns2: Some(settings.dns2),
            address6: Some(settings.address6),
            gateway6: Some(settings.gateway6),
            ntp: Some(settings.ntp),
            search_domains: Some(settings.search_domains),
            application: Some(settings.application),
        }
    }

    /// These settings, changed.
    pub(crate) fn of(self, settings: &RawSettings) -> RawSettings {
        let pick = |new: Option<String>, old: &str| new.unwrap_or_else(|| old.to_owned());
        RawSettings {
            host_name: pick(self.host_name, &settings.host_name),
            domain: pick(self.domain, &settings.domain),
            address: pick(self.address, &settings.address),
            netmask: pick(self.netmask, &settings.netmask),
            gateway: pick(self.gateway, &settings.gateway),
            dns1: pick(self.dns1, &settings.dns1),
            dns2: pick(self.dns2, &settings.dns2),
            address6: pick(self.address6, &settings.address6),
            gateway6: pick(self.gateway6, &settings.gateway6),
            ntp: pick(self.ntp, &settings.ntp),
            search_domains: pick(self.search_domains, &settings.search_domains),
            application: pick(self.application, &settings.application),
        }
    }
}

/// All that the NOC knows of one appliance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplianceDetail {
    /// As consoles see it.
    #[serde(flatten)]
    pub record: ApplianceRecord,
    /// The last settings that the NOC gave it itself.
    pub given: Option<GivenView>,
    /// Newest first.
    pub instructions: Vec<InstructionView>,
    /// When its newest log bundle came, if one did.
    pub log_taken: Option<u64>,
    /// What it is to take over at its next configuration.
    pub planned: Option<RawSettings>,
    /// Which appliance has its role now.
    pub successor: Option<Uid>,
}

/// Settings that the NOC gives itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GivenView {
    /// The grant.
    pub seq: Seq,
    /// What the appliance shall have.
    pub settings: RawSettings,
    /// When it was signed.
    pub issued: u64,
    /// Until when it is given.
    pub expires: u64,
    /// When it went out for the first time.
    pub given: Option<u64>,
    /// How it stands.
    pub state: GivenState,
    /// Why it failed: a stable word.
    pub reason: String,
    /// What the appliance had to say beyond that. Untrusted text.
    pub detail: String,
}

/// How settings that the NOC gives stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenState {
    /// They wait for the appliance's next beat.
    Waiting,
    /// They went out, and the appliance has not beaten under them yet.
    Given,
    /// The appliance beats under them.
    InForce,
    /// The appliance has what it had before.
    Failed,
    /// A console's later grant counts.
    Overtaken,
    /// The appliance did not come for them in time.
    Expired,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstructionView {
    /// Its number.
    pub serial: Serial,
    /// What it says.
    pub act: Act,
    /// When it was made.
    pub issued: u64,
    /// Until when it is given.
    pub expires: u64,
    /// When it went out for the first time.
    pub given: Option<u64>,
    /// When the appliance said that it was accepted.
    pub done: Option<u64>,
    /// Why it was not carried out: a stable word, or empty.
    pub problem: String,
}

/// A log bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredLog {
    /// When it came.
    pub taken: u64,
    /// Lines, oldest first. Untrusted text.
    pub text: String,
}

/// Why the NOC does not give it.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Not in the inventory.
    #[error("there is no appliance {uid}")]
    UnknownAppliance {
        /// Which.
        uid: Uid,
    },
    /// It does not follow this NOC.
    #[error("appliance {} is not configured by this NOC", .uid.short())]
    NotConfigured {
        /// Which.
        uid: Uid,
    },
    /// It was decommissioned, replaced or handed over.
    #[error("appliance {} was decommissioned, replaced or handed over", .uid.short())]
    Retired {
        /// Which.
        uid: Uid,
    },
    /// Its settings would be what they are.
    #[error("appliance {} has these settings already", .uid.short())]
    NoChange {
        /// Which.
        uid: Uid,
    },
    /// The settings do not fit.
    #[error("the settings do not fit: {0}")]
    Invalid(InvalidSettings),
    /// Nothing was ever signed for it under this number.
    #[error("appliance {} has no version {version}", .uid.short())]
    UnknownVersion {
        /// Which appliance.
        uid: Uid,
        /// The number.
        version: u32,
    },
    /// The reason does not fit.
    #[error("the reason is longer than {MAX_WHY} characters or holds control characters")]
    BadWhy,
    /// The replacement has a role of its own.
    #[error("appliance {} has settings or a site of its own", .uid.short())]
    InUse {
        /// Which.
        uid: Uid,
    },
    /// An appliance cannot replace itself.
    #[error("an appliance cannot replace itself")]
    Itself,
    /// No log has come.
    #[error("appliance {} has not sent a log", .uid.short())]
    NoLog {
        /// Which.
        uid: Uid,
    },
    /// The database did not keep it.
    #[error("it was not kept")]
    Store(#[from] StoreError),
}

impl From<ApiError> for WorkError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Store(error) => WorkError::Store(error),
            // The site of an appliance that has settings is there.
            _ => WorkError::Store(StoreError::Corrupt { what: "site" }),
        }
    }
}

impl AsProblem for WorkError {
    fn problem(&self) -> Problem {
        let (status, code, remedy) = match self {
            WorkError::UnknownAppliance { .. } => {
                (404, "unknown_appliance", "List the appliances with `muster-noc appliance list`.")
            }
            WorkError::NotConfigured { .. } => (
                409,
                "not_configured",
                "Configure it from a console first; what the NOC gives goes out with its beats.",
            ),
            WorkError::Retired { .. } => (
                409,
                "retired",
                "If it shall serve again, release it first, on its page or with `muster-noc inventory release UID`.",
            ),
            WorkError::NoChange { .. } => (409, "no_change", "Name at least one value that is to be another."),
            WorkError::Invalid(_) => (422, "invalid_settings", "Correct the values named."),
            WorkError::InUse { .. } => (
                409,
                "in_use",
                "Name an appliance that is not configured, or release that one first, on its page or with `muster-noc inventory release UID`.",
            ),
            WorkError::UnknownVersion { .. } => {
                (404, "unknown_version", "List them: `muster-noc appliance versions UID`.")
            }
            WorkError::BadWhy => (422, "bad_reason", "Say it in fewer words, in plain text."),
            WorkError::Itself => (422, "itself", "Name two appliances."),
            WorkError::NoLog { .. } => (
                404,
                "no_log",
                "Ask for it: `muster-noc appliance logs UID --ask`; it comes with the second beat from then.",
            ),
            WorkError::Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

impl Noc {
    /// Gives new settings to an appliance that is configured and beats. They go out with the answer to its next beat, are
    /// applied commit-confirmed, and are rolled back unless the appliance reaches this NOC under them.
    pub fn change(&self, uid: &Uid, edit: Edit) -> Result<ApplianceDetail, WorkError> {
        let (uid, noc) = (*uid, self.inner.clone());
        self.inner.store.write_now(move |db| change(db, &noc, &By::local(), "", &uid, edit))
    }

    /// [`Noc::change`] with a reason that is kept with the version.
    pub fn change_because(&self, uid: &Uid, edit: Edit, why: &str) -> Result<ApplianceDetail, WorkError> {
        let (uid, noc, why) = (*uid, self.inner.clone(), checked_why(why)?);
        self.inner.store.write_now(move |db| change(db, &noc, &By::local(), &why, &uid, edit))
    }

    /// Gives an instruction to an appliance that is configured and beats.
    pub fn instruct(&self, uid: &Uid, act: Act) -> Result<InstructionView, WorkError> {
        let uid = *uid;
        self.inner.store.write_now(move |db| instruct(db, &By::local(), &uid, act))
    }

    /// Takes back settings and instructions that no appliance has said to have accepted; how many. What went out already may
    /// be carried out all the same.
    pub fn take_back(&self, uid: &Uid) -> Result<usize, WorkError> {
        let uid = *uid;
        self.inner.store.write_now(move |db| take_back(db, &By::local(), &uid))
    }

    /// Gives the role of one appliance, which is dead, to another: its site, address, host name and settings are what the new
    /// one gets at its next configuration. Grants and certificates of the old one are worth nothing from now on.
    pub fn replace(&self, old: &Uid, new: &Uid) -> Result<ApplianceDetail, WorkError> {
        let (old, new) = (*old, *new);
        self.inner.store.write_now(move |db| {
            replace(db, &By::local(), &old, &new)?;
            detail(db, clock::now(), &new)
        })
    }

    /// All that is known of one appliance.
    pub fn appliance(&self, uid: &Uid) -> Result<ApplianceDetail, WorkError> {
        let uid = *uid;
        self.inner.store.read_now(|db| detail(db, clock::now(), &uid))
    }

    /// The newest log that an appliance has sent.
    pub fn appliance_log(&self, uid: &Uid) -> Result<StoredLog, WorkError> {
        let uid = *uid;
        self.inner.store.read_now(|db| {
            let appliance = known(db, &uid)?;
            logs::newest(db, appliance.id)?.ok_or(WorkError::NoLog { uid })
        })
    }
}

/// [`Noc::change`], in the transaction that has found that it is allowed.
pub(crate) fn change(
    db: &Connection,
    noc: &Inner,
    by: &By,
    why: &str,
    uid: &Uid,
    edit: Edit,
) -> Result<ApplianceDetail, WorkError> {
    let (uid, now) = (*uid, clock::now());
    let appliance = configured(db, &uid)?;
    let (Some(site), Some(settings)) = (appliance.record.site, &appliance.record.settings) else {
        return Err(WorkError::NotConfigured { uid });
    };
    let names_lists = edit.ntp.is_some() || edit.search_domains.is_some();
    let mut wanted = edit.of(settings);
    if names_lists {
        // What the policy gives may be what the appliance was told to have none of.
        let policies = policies::of_site(db, site)?;
        wanted = application::completed(&wanted, policies.of(&appliance.record.model));
    }
    if preview::differences(settings, &wanted).is_empty() {
        return Err(WorkError::NoChange { uid });
    }
    for (_, outcome) in give(db, now, noc, by, why, site, &[(uid, wanted)])? {
        outcome.map_err(invalid)?;
    }
    detail(db, now, &uid)
}

/// What became of each appliance that is to be given something: the number of its grant, or what is wrong.
pub(crate) type Given = Vec<(Uid, Result<Seq, Vec<FieldError>>)>;

/// Signs settings for appliances of a site, to go out with the answers to their next beats.
pub(crate) fn give(
    db: &Connection,
    now: u64,
    noc: &Inner,
    by: &By,
    why: &str,
    site: SiteId,
    wanted: &[(Uid, RawSettings)],
) -> Result<Given, WorkError> {
    let issuer = Issuer { root: noc.signer.root(), noc: noc.public_address(), ca_pin: noc.authority.pin() };
    let ask = |(uid, settings): &(Uid, RawSettings)| Asked { uid: *uid, settings: settings.clone(), stored: None };
    let asked: Vec<_> = wanted.iter().map(ask).collect();
    let mut given = Vec::with_capacity(asked.len());
    for decision in grants::decide_for(db, now, Bearer::Noc(by, why), &issuer, site, &asked)? {
        let mut unsigned = match decision.outcome {
            Ok(unsigned) => unsigned,
            Err(errors) => {
                given.push((decision.uid, Err(errors)));
                continue;
            }
        };
        // There is no console that could kick-start it.
        unsigned.grant.parameters.confirm = Confirm::FirstBeat;
        let (seq, signed) = (unsigned.grant.seq, noc.signer.grant(&unsigned.grant));
        let appliance = known(db, &decision.uid)?;
        given::keep(db, appliance.id, seq, &signed)?;
        given.push((decision.uid, Ok(seq)));
    }
    Ok(given)
}

/// [`Noc::instruct`], likewise.
pub(crate) fn instruct(db: &Connection, by: &By, uid: &Uid, act: Act) -> Result<InstructionView, WorkError> {
    let appliance = configured(db, uid)?;
    let view = instructions::add(db, clock::now(), &appliance, act)?;
    record(db, by, uid, "appliance.instruct", serde_json::json!({ "act": act, "serial": view.serial }))?;
    Ok(view)
}

/// [`Noc::take_back`], likewise.
pub(crate) fn take_back(db: &Connection, by: &By, uid: &Uid) -> Result<usize, WorkError> {
    let appliance = known(db, uid)?;
    let settings = given::cancel(db, clock::now(), by, &appliance)?;
    let count = usize::from(settings) + instructions::cancel(db, appliance.id)?;
    record(db, by, uid, "appliance.take_back", serde_json::json!({ "count": count }))?;
    Ok(count)
}

/// [`Noc::replace`], likewise.
pub(crate) fn replace(db: &Connection, by: &By, old: &Uid, new: &Uid) -> Result<(), WorkError> {
    if old == new {
        return Err(WorkError::Itself);
    }
    let (dead, heir) = (configured(db, old)?, known(db, new)?);
    if dead.record.site.is_none() || dead.record.settings.is_none() {
        return Err(WorkError::NotConfigured { uid: *old });
    }
    if heir.is_retired() {
        return Err(WorkError::Retired { uid: *new });
    }
    let is_elsewhere = heir.record.site.is_some_and(|site| Some(site) != dead.record.site);
    // What a console may still bring it would give it another role than this one.
    let is_granted = heir.record.provisioning == Provisioning::Granted;
    let organisation = |uid| Ok::<_, StoreError>(fleet::place_of(db, uid)?.map(|place| place.organisation));
    if heir.applied.0 > 0 || is_granted || is_elsewhere || organisation(old)? != organisation(new)? {
        return Err(WorkError::InUse { uid: *new });
    }
    retirement::replace(db, clock::now(), &dead, &heir)?;
    record(db, by, old, "appliance.replace", serde_json::json!({ "by": new }))?;
    Ok(())
}

fn record(
    db: &Connection,
    by: &By,
    uid: &Uid,
    action: &'static str,
    with: serde_json::Value,
) -> Result<(), StoreError> {
    let place = fleet::place_of(db, uid)?.unwrap_or(Place::NOC);
    let event = Event::new(place, action, format!("appliance:{uid}"));
    audit::record(db, clock::now(), by, event.with(with))
}

fn invalid(errors: Vec<FieldError>) -> WorkError {
    WorkError::Invalid(InvalidSettings(errors))
}

fn known(db: &Connection, uid: &Uid) -> Result<Appliance, WorkError> {
    appliances::find(db, uid)?.ok_or(WorkError::UnknownAppliance { uid: *uid })
}

fn configured(db: &Connection, uid: &Uid) -> Result<Appliance, WorkError> {
    let appliance = known(db, uid)?;
    if appliance.is_retired() {
        return Err(WorkError::Retired { uid: *uid });
    }
    if appliance.applied.0 == 0 {
        return Err(WorkError::NotConfigured { uid: *uid });
    }
    Ok(appliance)
}

pub(crate) fn detail(db: &Connection, now: u64, uid: &Uid) -> Result<ApplianceDetail, WorkError> {
    let appliance = known(db, uid)?;
    let (planned, successor) = retirement::of(db, appliance.id)?;
    // Once it has it, there is nothing left to take over.
    let planned = planned.filter(|_| appliance.record.settings.is_none());
    Ok(ApplianceDetail {
        given: given::view(db, now, &appliance)?,
        instructions: instructions::all(db, appliance.id)?,
        log_taken: logs::newest(db, appliance.id)?.map(|log| log.taken),
        planned,
        successor,
        record: appliance.record,
    })
}
