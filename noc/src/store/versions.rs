//! Every configuration of every appliance: who had it signed, when, why, and what became of it.

use super::appliances::{Appliance, from_json, json};
use super::preview::differences;
use super::{from_word, rows};
use crate::api::{Page, Window};
use crate::error::StoreError;
use crate::versions::{VersionState, VersionView};
use muster_protocol::id::{Seq, SiteId};
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "version, seq, site, settings, actor, why, signed, state, reason, decided";

/// What is noted when a grant is numbered.
pub(crate) struct Signed<'a> {
    pub(crate) appliance: i64,
    pub(crate) seq: Seq,
    pub(crate) site: SiteId,
    pub(crate) settings: &'a RawSettings,
    pub(crate) actor: &'a str,
    pub(crate) why: &'a str,
}

/// Notes a configuration.
pub(crate) fn add(db: &Connection, now: u64, new: &Signed<'_>) -> Result<(), StoreError> {
    // Where a number was jumped over, since the appliance knew of a later one, nothing is known of those between.
    let sql = "INSERT INTO configurations (appliance, version, seq, site, settings, actor, why, signed)
               SELECT ?1, coalesce(max(version), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM configurations WHERE appliance = ?1";
    let Signed { appliance, seq, site, settings, actor, why } = new;
    db.prepare_cached(sql)?.execute(params![appliance, seq.0, site.0, json(*settings), actor, why, now])?;
    Ok(())
}

/// Notes what became of one.
pub(crate) fn decide(
    db: &Connection,
    now: u64,
    appliance: i64,
    seq: Seq,
    is_applied: bool,
    reason: &str,
) -> Result<(), StoreError> {
    let state = if is_applied { "applied" } else { "failed" };
    let sql = "UPDATE configurations SET state = ?3, reason = ?4, decided = ?5 WHERE appliance = ?1 AND seq = ?2";
    db.prepare_cached(sql)?.execute(params![appliance, seq.0, state, reason, now])?;
    Ok(())
}

/// The version that a grant is.
pub(crate) fn version_of(db: &Connection, appliance: i64, seq: Seq) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT version FROM configurations WHERE appliance = ?1 AND seq = ?2";
    Ok(db.prepare_cached(sql)?.query_row(params![appliance, seq.0], |row| row.get(0)).optional()?)
}

/// The settings of a version.
pub(crate) fn settings(db: &Connection, appliance: i64, version: u32) -> Result<Option<RawSettings>, StoreError> {
    let sql = "SELECT settings FROM configurations WHERE appliance = ?1 AND version = ?2";
    let found: Option<String> =
        db.prepare_cached(sql)?.query_row(params![appliance, version], |row| row.get(0)).optional()?;
    found.map(|text| from_json("version", &text)).transpose()
}

/// Versions of an appliance, newest first.
pub(crate) fn page(db: &Connection, appliance: &Appliance, window: Window) -> Result<Page<VersionView>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT settings FROM configurations b WHERE b.appliance = c.appliance AND b.version < c.version
         AND b.state = 'applied' ORDER BY b.version DESC LIMIT 1)
         FROM configurations c WHERE appliance = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3"
    );
    let after = window.after.unwrap_or(i64::MAX);
    let found = rows(db, &sql, params![appliance.id, after, window.rows()], |row| read(appliance, row))?;
    Ok(Page::of(found, window.limit, |version| i64::from(version.version)))
}

fn read(appliance: &Appliance, row: &Row<'_>) -> Result<VersionView, StoreError> {
    let settings: RawSettings = from_json("version", &row.get::<_, String>(3)?)?;
    let before: Option<String> = row.get(10)?;
    let before: Option<RawSettings> = before.map(|text| from_json("version", &text)).transpose()?;
    let seq = Seq(row.get(1)?);
    let state: VersionState = from_word("version", &row.get::<_, String>(7)?)?;
    Ok(VersionView {
        version: row.get(0)?,
        seq,
        site: SiteId(row.get(2)?),
        changes: differences(&before.unwrap_or_default(), &settings),
        settings,
        who: row.get(4)?,
        why: row.get(5)?,
        signed: row.get(6)?,
        is_in_force: state == VersionState::Applied && seq == appliance.applied,
        state,
        reason: row.get(8)?,
        decided: row.get(9)?,
    })
}
