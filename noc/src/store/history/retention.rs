//! How long the history is kept, and its end: where an appliance's history is written anyway, and else in a round through all.

use super::BEATS_S;
use super::points::{LAST_ROW, Resolution};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Beats are kept for so much longer than is said: what comes late at the very end is still counted from its neighbours.
const MARGIN_S: u64 = 3_600;
/// Appliances of one step of the round.
const STEP: i64 = 256;

/// For how many seconds an organisation keeps its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) beats_s: u64,
    pub(crate) five_minutes_s: u64,
    pub(crate) hours_s: u64,
}

const COLUMNS: &str = "o.keep_beats_s, o.keep_five_minutes_s, o.keep_hours_s";

fn read(row: &Row<'_>) -> Result<Keep, rusqlite::Error> {
    Ok(Keep { beats_s: row.get(0)?, five_minutes_s: row.get(1)?, hours_s: row.get(2)? })
}

impl Keep {
    /// What an appliance's organisation says; none for one that is not known.
    pub(super) fn of(db: &Connection, appliance: i64) -> Result<Option<Keep>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM appliances a JOIN organisations o ON o.id = a.organisation WHERE a.id = ?1");
        Ok(db.prepare_cached(&sql)?.query_row([appliance], read).optional()?)
    }
}

/// What an organisation says; none for one that is not known.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<Option<Keep>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM organisations o WHERE o.id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// Sets what it says.
pub(crate) fn set(db: &Connection, id: OrganisationId, keep: &Keep) -> Result<(), StoreError> {
    let sql = "UPDATE organisations SET keep_beats_s = ?2, keep_five_minutes_s = ?3, keep_hours_s = ?4 WHERE id = ?1";
    db.execute(sql, params![id, keep.beats_s, keep.five_minutes_s, keep.hours_s])?;
    Ok(())
}

/// Deletes what of an appliance is too old, up to the first that is not. What a clock that was wrong wrote into the far future
/// does not count as young.
pub(super) fn of_appliance(db: &Connection, now: u64, appliance: i64, keep: &Keep) -> Result<(), StoreError> {
    let rows = super::rows_of(appliance);
    let oldest = now.saturating_sub(keep.beats_s.max(BEATS_S) + MARGIN_S);
    let newest = now.saturating_add(BEATS_S);
    let sql = "SELECT id FROM beat_blocks WHERE id BETWEEN ?1 AND ?2
               AND (last BETWEEN ?3 AND ?4 OR first BETWEEN ?3 AND ?4) ORDER BY id LIMIT 1";
    let first: Option<i64> = db
        .prepare_cached(sql)?
        .query_row(params![rows.start(), rows.end(), oldest, newest], |row| row.get(0))
        .optional()?;
    let end = first.unwrap_or(rows.end() + 1) - 1;
    db.prepare_cached("DELETE FROM beat_blocks WHERE id BETWEEN ?1 AND ?2")?.execute(params![rows.start(), end])?;
    for (resolution, seconds) in [(Resolution::FiveMinutes, keep.five_minutes_s), (Resolution::Hour, keep.hours_s)] {
        let key = |row| resolution.key(appliance, row);
        let oldest = key(resolution.row_of(now.saturating_sub(seconds)));
        let newest = key(resolution.row_of(newest));
        let mut delete = db.prepare_cached("DELETE FROM beat_rollups WHERE id BETWEEN ?1 AND ?2")?;
        delete.execute(params![key(0), oldest - 1])?;
        delete.execute(params![newest + 1, key(LAST_ROW)])?;
    }
    Ok(())
}

/// One step of the round through all appliances after one of them, for those of which nothing is written any more; the last one
/// of the step, if it was not the end.
pub(crate) fn sweep(db: &Connection, now: u64, after: i64) -> Result<Option<i64>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, a.id FROM appliances a JOIN organisations o ON o.id = a.organisation
         WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"
    );
    let found: Vec<(i64, Keep)> =
        crate::store::rows(db, &sql, params![after, STEP], |row| Ok::<_, StoreError>((row.get(3)?, read(row)?)))?;
    for (appliance, keep) in &found {
        of_appliance(db, now, *appliance, keep)?;
    }
    Ok(found.last().filter(|_| found.len() as i64 == STEP).map(|(appliance, _)| *appliance))
}
