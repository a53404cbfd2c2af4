//! The newest log bundle of each appliance, taken only when an instruction asked for it.

use super::appliances;
use crate::api::ApiError;
use crate::error::StoreError;
use crate::work::StoredLog;
use muster_protocol::id::Uid;
use muster_protocol::instruction::{Act, Serial};
use rusqlite::{Connection, OptionalExtension, params};

/// How long after it was reported an instruction may still bring a log, seconds.
const WITHIN_S: u64 = 3600;

/// Refuses a log that nobody waits for. `serial`: absent before the body was read.
pub(crate) fn wanted(db: &Connection, now: u64, uid: &Uid, serial: Option<Serial>) -> Result<i64, ApiError> {
    let appliance = appliances::find(db, uid)?.ok_or(ApiError::ApplianceUnknown)?;
    if appliance.is_retired() {
        return Err(ApiError::ApplianceRetired);
    }
    let sql = "SELECT 1 FROM instructions WHERE appliance = ?1 AND act = ?2 AND given IS NOT NULL
               AND (done IS NULL OR done >= ?3) AND (?4 IS NULL OR serial = ?4) LIMIT 1";
    let serial = serial.map(|serial| i64::try_from(serial.0).unwrap_or(-1));
    let asked = params![appliance.id, super::word(&Act::SendLog), now.saturating_sub(WITHIN_S), serial];
    let found = db.prepare_cached(sql)?.query_row(asked, |_| Ok(())).optional()?;
    found.map(|()| appliance.id).ok_or(ApiError::LogNotWanted)
}

/// Keeps a log instead of the one before it.
pub(crate) fn keep(db: &Connection, now: u64, uid: &Uid, serial: Serial, text: &str) -> Result<(), ApiError> {
    let appliance = wanted(db, now, uid, Some(serial))?;
    let sql = "INSERT INTO logs (appliance, taken, text) VALUES (?1, ?2, ?3)
               ON CONFLICT (appliance) DO UPDATE SET taken = excluded.taken, text = excluded.text";
    db.prepare_cached(sql)?.execute(params![appliance, now, text])?;
    Ok(())
}

/// The newest.
pub(crate) fn newest(db: &Connection, appliance: i64) -> Result<Option<StoredLog>, StoreError> {
    let sql = "SELECT taken, text FROM logs WHERE appliance = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok(StoredLog { taken: row.get(0)?, text: row.get(1)? });
    Ok(db.prepare_cached(sql)?.query_row([appliance], read).optional()?)
}
