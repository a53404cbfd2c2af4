//! The hand-over of appliances to another address or NOC: at most one at a time (decision 0022).

use super::appliances::{self, Appliance};
use super::retirement;
use crate::api::ApiError;
use crate::error::StoreError;
use crate::handover::{HandoverView, StuckView};
use crate::watch::Notice;
use muster_protocol::api::{HandoverReport, Provisioning};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::handover::Successor;
use muster_protocol::id::Uid;
use muster_protocol::instruction::Serial;
use muster_protocol::text::misleads;
use rusqlite::{Connection, OptionalExtension, params};

/// Longest word of a problem, in characters.
const MAX_PROBLEM: usize = 64;
/// Appliances that are named in one answer.
const MOST_STUCK: i64 = 100;

/// The present hand-over, or the last one.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) serial: Serial,
    pub(crate) to: Successor,
    pub(crate) started: u64,
    pub(crate) ended: Option<u64>,
    pub(crate) finished: Option<u64>,
}

/// The present one, or the last one.
pub(crate) fn current(db: &Connection) -> Result<Option<Current>, StoreError> {
    let sql = "SELECT serial, noc, ca_pin, root, started, ended, finished FROM handover";
    let found = db.prepare_cached(sql)?.query_row([], |row| {
        let to = Successor { noc: row.get(1)?, ca_pin: row.get(2)?, root: PublicKey(row.get(3)?) };
        let (started, ended, finished) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok(Current { serial: Serial(row.get(0)?), to, started, ended, finished })
    });
    Ok(found.optional()?)
}

/// Begins to hand over. The caller has seen that none is under way.
pub(crate) fn start(db: &Connection, now: u64, to: &Successor) -> Result<(), StoreError> {
    let sql = "SELECT max(coalesce((SELECT max(serial) FROM handover), 0),
               coalesce((SELECT max(serial_floor) FROM appliances), 0))";
    let last: u64 = db.query_row(sql, [], |row| row.get(0))?;
    // Numbers follow the clock, so that a NOC restored from an old copy goes on above what it has lost.
    let serial = now.max(last + 1);
    let sql = "INSERT OR REPLACE INTO handover (id, serial, noc, ca_pin, root, started) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
    db.execute(sql, params![serial, to.noc, to.ca_pin, to.root.0, now])?;
    super::next_revision(db)?;
    Ok(())
}

/// Calls it off: appliances that have not left stay.
pub(crate) fn end(db: &Connection, now: u64) -> Result<(), StoreError> {
    db.execute("UPDATE handover SET ended = coalesce(ended, ?1), finished = NULL", [now])?;
    super::next_revision(db)?;
    Ok(())
}

/// The NOC of root `from` gives appliances (back): what would send them, or their consoles, there again is called off.
pub(super) fn welcome(db: &Connection, now: u64, from: &PublicKey) -> Result<(), StoreError> {
    let sql =
        "UPDATE handover SET ended = coalesce(ended, ?1), finished = NULL WHERE root = ?2 OR finished IS NOT NULL";
    db.execute(sql, params![now, from.0])?;
    Ok(())
}

/// From now on consoles are sent to the successor.
pub(crate) fn finish(db: &Connection, now: u64) -> Result<(), StoreError> {
    db.execute("UPDATE handover SET finished = coalesce(finished, ?1)", [now])?;
    super::next_revision(db)?;
    Ok(())
}

/// The NOC that has taken over everything, if that is so.
pub(crate) fn moved_to(db: &Connection) -> Result<Option<String>, StoreError> {
    let sql = "SELECT noc FROM handover WHERE finished IS NOT NULL";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
}

/// What an appliance is to be told with the answer to its beat.
pub(super) fn due(db: &Connection, now: u64, appliance: &Appliance) -> Result<Option<(Serial, Successor)>, StoreError> {
    let Some(open) = current(db)?.filter(|current| current.ended.is_none()) else { return Ok(None) };
    let sql = "SELECT serial, done FROM handed_over WHERE appliance = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((Serial(row.get(0)?), row.get(1)?));
    let known: Option<(Serial, Option<u64>)> = db.prepare_cached(sql)?.query_row([appliance.id], read).optional()?;
    match known.filter(|(serial, _)| *serial == open.serial) {
        Some((_, Some(_))) => return Ok(None),
        Some(_) => {}
        None => {
            let sql = "INSERT OR REPLACE INTO handed_over (appliance, serial, given) VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?.execute(params![appliance.id, open.serial.0, now])?;
            tracing::info!(uid = %appliance.record.uid, to = open.to.noc, "an appliance is handed over with the answer to its beat");
        }
    }
    Ok(Some((open.serial, open.to)))
}

/// What an appliance says of it.
pub(super) fn report(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    report: &HandoverReport,
) -> Result<(), StoreError> {
    let problem: String = report.problem.chars().filter(|c| !misleads(*c)).take(MAX_PROBLEM).collect();
    let sql = "UPDATE handed_over SET problem = ?3, done = coalesce(done, ?4) WHERE appliance = ?1 AND serial = ?2
               AND (problem <> ?3 OR done IS NULL AND ?4 IS NOT NULL)";
    let done = report.done.then_some(now);
    db.prepare_cached(sql)?.execute(params![appliance.id, report.serial.0, problem, done])?;
    Ok(())
}

/// An appliance has left for another NOC, or for another address of this one, `me`. The same again changes nothing.
pub(crate) fn farewell(
    db: &Connection,
    now: u64,
    uid: &Uid,
    serial: Serial,
    me: &Successor,
) -> Result<Option<Notice>, ApiError> {
    let appliance = appliances::find(db, uid)?.ok_or(ApiError::ApplianceUnknown)?;
    if appliance.record.provisioning == Provisioning::HandedOver {
        return Ok(None);
    }
    if appliance.is_retired() {
        return Err(ApiError::ApplianceRetired);
    }
    let number = i64::try_from(serial.0).map_err(|_| ApiError::NotHandedOver)?;
    let sql = "UPDATE handed_over SET done = coalesce(done, ?3), problem = '' WHERE appliance = ?1 AND serial = ?2";
    if db.prepare_cached(sql)?.execute(params![appliance.id, number, now])? == 0 {
        return Err(ApiError::NotHandedOver);
    }
    let stays = current(db)?.is_some_and(|current| current.serial == serial && current.to == *me);
    if stays {
        return Ok(None);
    }
    retirement::retire(db, &appliance, Provisioning::HandedOver)?;
    Ok(Some(Notice::Forget { uid: *uid }))
}

/// How it stands, as operators see it.
pub(crate) fn view(db: &Connection, me: &Successor) -> Result<Option<HandoverView>, StoreError> {
    let Some(Current { serial, to, started, ended, finished }) = current(db)? else { return Ok(None) };
    let count = |sql: &str| -> Result<u64, StoreError> { Ok(db.query_row(sql, [serial.0], |row| row.get(0))?) };
    let waiting = "SELECT count(*) FROM appliances a WHERE applied > 0 AND NOT EXISTS
                   (SELECT 1 FROM handed_over h WHERE h.appliance = a.id AND h.serial = ?1)";
    let given = "SELECT count(*) FROM handed_over WHERE serial = ?1 AND done IS NULL";
    let done = "SELECT count(*) FROM handed_over WHERE serial = ?1 AND done IS NOT NULL";
    let sql = "SELECT a.uid, h.problem FROM handed_over h JOIN appliances a ON a.id = h.appliance
               WHERE h.serial = ?1 AND h.done IS NULL AND h.problem <> '' ORDER BY a.id LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let stuck = statement.query_map(params![serial.0, MOST_STUCK], |row| {
        Ok(StuckView { uid: Uid(row.get(0)?), problem: row.get(1)? })
    })?;
    let stuck = stuck.collect::<Result<Vec<_>, _>>()?;
    let is_own = to == *me;
    let (waiting, given, done) = (count(waiting)?, count(given)?, count(done)?);
    Ok(Some(HandoverView { serial, noc: to.noc, is_own, started, ended, finished, waiting, given, done, stuck }))
}

/// No number of an instruction or hand-over of an appliance is above this one.
pub(super) fn highest_serial(db: &Connection, appliance: i64) -> Result<u64, StoreError> {
    let sql = "SELECT max(serial_floor, coalesce((SELECT max(serial) FROM instructions WHERE appliance = ?1), 0),
               coalesce((SELECT max(serial) FROM handover), 0)) FROM appliances WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.query_row([appliance], |row| row.get(0))?)
}
