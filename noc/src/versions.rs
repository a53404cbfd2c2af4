//! Versions of an appliance's configuration, and the way back to one (decision 0032).

use crate::api::{Page, Window};
use crate::audit::By;
use crate::noc::{Inner, Noc};
use crate::store::{appliances, versions};
use crate::work::{self, ApplianceDetail, Edit, WorkError};
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::text::misleads;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest reason that somebody gives for a change, in characters.
pub(crate) const MAX_WHY: usize = 256;

/// One configuration of an appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// 1, 2, 3 and so on for each appliance.
    pub version: u32,
    /// The number of its grant.
    pub seq: Seq,
    /// The site it was for.
    pub site: SiteId,
    /// What the appliance was to have.
    pub settings: RawSettings,
    /// The columns in which it differs from the last one before it that was in force.
    pub changes: Vec<&'static str>,
    /// Who had it signed, as in the audit log.
    pub who: String,
    /// Why, in their words; or empty.
    pub why: String,
    /// When it was signed, Unix seconds.
    pub signed: u64,
    /// What became of it.
    pub state: VersionState,
    /// It is what the appliance has now.
    pub is_in_force: bool,
    /// Why it came to nothing: a stable word, or empty.
    pub reason: String,
    /// When that was known.
    pub decided: Option<u64>,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It is on its way, or nothing more was heard of it.
    Signed,
    /// It came into force.
    Applied,
    /// It did not, or was rolled back.
    Failed,
}

impl Noc {
    /// The newest versions of an appliance's configuration, newest first.
    pub fn versions(&self, uid: &Uid, limit: u32) -> Result<Vec<VersionView>, WorkError> {
        let uid = *uid;
        self.inner.store.read_now(move |db| {
            let window = Window { limit: limit as usize, after: None };
            Ok(page(db, &uid, window)?.items)
        })
    }

    /// Gives an appliance the settings of a former version again, as [`Noc::change`] does.
    pub fn roll_back(&self, uid: &Uid, version: u32, why: &str) -> Result<ApplianceDetail, WorkError> {
        let (uid, noc, why) = (*uid, self.inner.clone(), why.to_owned());
        self.inner.store.write_now(move |db| roll_back(db, &noc, &By::local(), &uid, version, &why))
    }
}

/// A page of versions, newest first.
pub(crate) fn page(db: &Connection, uid: &Uid, window: Window) -> Result<Page<VersionView>, WorkError> {
    let appliance = appliances::find(db, uid)?.ok_or(WorkError::UnknownAppliance { uid: *uid })?;
    Ok(versions::page(db, &appliance, window)?)
}

/// [`Noc::roll_back`], in the transaction that has found that it is allowed.
pub(crate) fn roll_back(
    db: &Connection,
    noc: &Inner,
    by: &By,
    uid: &Uid,
    version: u32,
    why: &str,
) -> Result<ApplianceDetail, WorkError> {
    let why = checked_why(why)?;
    let appliance = appliances::find(db, uid)?.ok_or(WorkError::UnknownAppliance { uid: *uid })?;
    let settings = versions::settings(db, appliance.id, version)?;
    let settings = settings.ok_or(WorkError::UnknownVersion { uid: *uid, version })?;
    let why =
        if why.is_empty() { format!("back to version {version}") } else { format!("back to version {version}: {why}") };
    work::change(db, noc, by, &why, uid, Edit::all(settings))
}

/// A reason that others read.
pub(crate) fn checked_why(why: &str) -> Result<String, WorkError> {
    let why = why.trim();
    let fits = why.chars().count() <= MAX_WHY && !why.chars().any(misleads);
    if fits { Ok(why.to_owned()) } else { Err(WorkError::BadWhy) }
}
