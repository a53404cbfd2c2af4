//! Grants that the NOC gives itself, with the answer to a beat: at most one an appliance, until it is taken or over.

use super::appliances::{Appliance, from_json};
use super::{results, rows};
use crate::audit::By;
use crate::error::StoreError;
use crate::watch::Notice;
use crate::work::{GivenState, GivenView};
use muster_protocol::api::GrantFailure;
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::text::misleads;
use muster_protocol::wire::result::Reason;
use rusqlite::{Connection, OptionalExtension, params};

/// Longest text of an appliance that is kept beside a reason, in characters.
const MAX_DETAIL: usize = 200;

/// Keeps a grant as it was signed, instead of an earlier one that nobody has taken.
pub(crate) fn keep(db: &Connection, appliance: i64, seq: Seq, signed: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO given_grants (appliance, seq, signed) VALUES (?1, ?2, ?3)
               ON CONFLICT (appliance) DO UPDATE SET seq = excluded.seq, signed = excluded.signed, given = NULL";
    db.prepare_cached(sql)?.execute(params![appliance, seq.0, signed])?;
    Ok(())
}

/// The grant to give to an appliance that beats under `in_force`. One that a console's later grant has overtaken is not given
/// any more, and one that is over counts as failed.
pub(super) fn due(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    in_force: Seq,
) -> Result<Option<(Seq, Vec<u8>)>, StoreError> {
    let sql = "SELECT seq, signed, given FROM given_grants WHERE appliance = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((Seq(row.get(0)?), row.get(1)?, row.get(2)?));
    let found: Option<(Seq, Vec<u8>, Option<u64>)> =
        db.prepare_cached(sql)?.query_row([appliance.id], read).optional()?;
    let Some((seq, signed, given)) = found.filter(|(seq, ..)| *seq == appliance.seq && *seq > in_force) else {
        return Ok(None);
    };
    let sql = "SELECT expires, configured FROM grants WHERE appliance = ?1 AND seq = ?2";
    let (expires, ended): (u64, Option<bool>) =
        db.prepare_cached(sql)?.query_row(params![appliance.id, seq.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if ended.is_some() {
        return Ok(None);
    }
    if expires < now {
        results::keep(db, now, &By::noc(), appliance, seq, false, Reason::Expired.code())?;
        return Ok(None);
    }
    if given.is_none() {
        tracing::info!(uid = %appliance.record.uid, %seq, "new settings go to an appliance with the answer to its beat");
        db.prepare_cached("UPDATE given_grants SET given = ?2 WHERE appliance = ?1")?
            .execute(params![appliance.id, now])?;
    }
    Ok(Some((seq, signed)))
}

/// Whether one is not decided yet.
pub(super) fn waits(db: &Connection, appliance: i64) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM given_grants w JOIN grants g ON g.appliance = w.appliance AND g.seq = w.seq
               WHERE w.appliance = ?1 AND g.configured IS NULL)";
    Ok(db.prepare_cached(sql)?.query_row([appliance], |row| row.get(0))?)
}

/// An appliance says that a grant came to nothing.
pub(super) fn failed(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    failure: &GrantFailure,
) -> Result<Option<Notice>, StoreError> {
    let sql = "SELECT 1 FROM grants WHERE appliance = ?1 AND seq = ?2 AND console IS NULL AND configured IS NOT 0";
    let is_news = db.prepare_cached(sql)?.query_row(params![appliance.id, failure.seq.0], |_| Ok(())).optional()?;
    if is_news.is_none() {
        return Ok(None);
    }
    let detail: String = failure.detail.chars().filter(|c| !misleads(*c)).take(MAX_DETAIL).collect();
    tracing::warn!(uid = %appliance.record.uid, seq = %failure.seq, reason = %printable(&failure.reason), "new settings were not taken");
    let by = By::appliance(&appliance.record.uid);
    let notice = results::keep(db, now, &by, appliance, failure.seq, false, &failure.reason)?;
    db.prepare_cached("UPDATE grants SET detail = ?3 WHERE appliance = ?1 AND seq = ?2")?.execute(params![
        appliance.id,
        failure.seq.0,
        detail
    ])?;
    Ok(notice)
}

fn printable(reason: &str) -> String {
    Reason::from_code(reason).map_or("unknown", Reason::code).to_owned()
}

/// How the last one stands.
pub(crate) fn view(db: &Connection, now: u64, appliance: &Appliance) -> Result<Option<GivenView>, StoreError> {
    let sql = "SELECT g.seq, g.settings, g.issued, g.expires, g.configured, g.reason, g.detail, w.given
               FROM given_grants w JOIN grants g ON g.appliance = w.appliance AND g.seq = w.seq WHERE w.appliance = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([appliance.id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (seq, expires, ended, given) =
        (Seq(row.get(0)?), row.get(3)?, row.get::<_, Option<bool>>(4)?, row.get::<_, Option<u64>>(7)?);
    let state = match (ended, given) {
        (Some(true), _) => GivenState::InForce,
        (Some(false), _) => GivenState::Failed,
        (None, _) if seq != appliance.seq => GivenState::Overtaken,
        (None, _) if expires < now => GivenState::Expired,
        (None, Some(_)) => GivenState::Given,
        (None, None) => GivenState::Waiting,
    };
    Ok(Some(GivenView {
        seq,
        settings: from_json("granted settings", &row.get::<_, String>(1)?)?,
        issued: row.get(2)?,
        expires,
        given,
        state,
        reason: row.get(5)?,
        detail: row.get(6)?,
    }))
}

/// Settings that went out to nobody yet and are soon over.
pub(crate) struct Ending {
    pub(crate) appliance: i64,
    pub(crate) uid: Uid,
    pub(crate) seq: Seq,
    pub(crate) site: SiteId,
    pub(crate) settings: RawSettings,
    pub(crate) why: String,
}

/// Those that are over between now and `until`.
pub(crate) fn ending(db: &Connection, now: u64, until: u64) -> Result<Vec<Ending>, StoreError> {
    let sql = "SELECT w.appliance, a.uid, w.seq, g.site, g.settings,
               (SELECT why FROM configurations c WHERE c.appliance = w.appliance AND c.seq = w.seq)
               FROM given_grants w JOIN grants g ON g.appliance = w.appliance AND g.seq = w.seq
               JOIN appliances a ON a.id = w.appliance AND a.seq = w.seq
               WHERE w.given IS NULL AND g.configured IS NULL AND g.expires BETWEEN ?1 AND ?2";
    rows(db, sql, params![now, until], |row| {
        Ok(Ending {
            appliance: row.get(0)?,
            uid: Uid(row.get(1)?),
            seq: Seq(row.get(2)?),
            site: SiteId(row.get(3)?),
            settings: from_json("granted settings", &row.get::<_, String>(4)?)?,
            why: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        })
    })
}

/// Takes back a grant that is not over. An appliance that has got it already may apply it all the same.
pub(crate) fn cancel(db: &Connection, now: u64, by: &By, appliance: &Appliance) -> Result<bool, StoreError> {
    let open = view(db, now, appliance)?
        .filter(|view| matches!(view.state, GivenState::Waiting | GivenState::Given | GivenState::Expired));
    let Some(open) = open else { return Ok(false) };
    results::keep(db, now, by, appliance, open.seq, false, "cancelled")?;
    Ok(true)
}
