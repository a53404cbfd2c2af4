//! The history of beats in the database (decision 0035): a journal, in which each commit leaves what it took, and blocks, in which
//! the beats of one appliance lie together. [`fold`] takes from the one to the other; whoever reads looks at both.

pub(crate) mod fold;
pub(crate) mod points;
#[cfg(test)]
mod reference;
pub(crate) mod retention;

use crate::error::StoreError;
use crate::history::{self, Group, Sample, Shapes};
use muster_protocol::api::BeatRecord;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Seconds for which beats are kept at least, and after which one that comes late is not kept.
pub(crate) const BEATS_S: u64 = 48 * 3600;
/// Beats of one answer: a week at the default interval.
const MOST_ROWS: usize = 10_000;

/// Leaves what a commit took.
pub(in crate::store) fn append(db: &Connection, group: &mut Group) -> Result<u64, StoreError> {
    let Some((beats, records)) = group.take() else { return Ok(0) };
    let sql = "INSERT INTO beat_journal (beats, records) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![beats, records])?;
    Ok(beats)
}

/// One appliance's history since a time, oldest first; the newest when there are too many.
pub(crate) fn beats(db: &Connection, appliance: i64, since: u64) -> Result<Vec<BeatRecord>, StoreError> {
    let shapes = &mut Shapes::default();
    let mut found = Vec::new();
    // From before there were blocks. Gone two days after the update.
    let sql = "SELECT time, report FROM beats WHERE appliance = ?1 AND time >= ?2 ORDER BY time, id";
    let former: Vec<(u64, String)> =
        super::rows(db, sql, params![appliance, since], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?;
    for (at, report) in former {
        found.push(BeatRecord { at, values: super::appliances::from_json("beat", &report)? });
    }
    let (blocks, upto) = blocks(db, appliance, since, shapes)?;
    let waiting = waiting(db, appliance, upto, shapes)?;
    let all = blocks.into_iter().chain(waiting.into_iter().map(|(_, sample)| sample));
    let mut samples: Vec<Sample> = all.filter(|sample| sample.time >= since).collect();
    // What is not shown need not be put together. Those of one second stay in the order in which they came.
    samples.sort_by_key(|sample| sample.time);
    samples.drain(..samples.len().saturating_sub(MOST_ROWS));
    found.extend(samples.iter().map(|sample| BeatRecord { at: sample.time, values: sample.values() }));
    found.sort_by_key(|record| record.at);
    found.drain(..found.len().saturating_sub(MOST_ROWS));
    Ok(found)
}

/// How many beats the history holds.
pub(crate) fn held(db: &Connection) -> Result<u64, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> { Ok(db.query_row(sql, [], |row| row.get(0))?) };
    let mut held = count("SELECT count(*) FROM beats")? + count("SELECT coalesce(sum(beats), 0) FROM beat_blocks")?;
    let sql = "SELECT id >> 32, max(upto) FROM beat_blocks GROUP BY id >> 32";
    let upto: BTreeMap<i64, i64> =
        super::rows(db, sql, [], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    let mut statement = db.prepare("SELECT id, records FROM beat_journal")?;
    let mut rows = statement.query([])?;
    let shapes = &mut Shapes::default();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let found = history::records(row.get_ref(1)?.as_blob().unwrap_or_default(), None, shapes).ok_or(DAMAGED)?;
        held += found.iter().filter(|(appliance, _)| upto.get(appliance).is_none_or(|upto| *upto < id)).count() as u64;
    }
    Ok(held)
}

/// Times of an appliance's beats in the order in which they came.
#[cfg(test)]
pub(super) fn arrivals(db: &Connection, appliance: i64) -> Result<Vec<u64>, StoreError> {
    let shapes = &mut Shapes::default();
    let (blocks, upto) = blocks(db, appliance, 0, shapes)?;
    let waiting = waiting(db, appliance, upto, shapes)?;
    Ok(blocks.into_iter().chain(waiting.into_iter().map(|(_, sample)| sample)).map(|sample| sample.time).collect())
}

const DAMAGED: StoreError = StoreError::Corrupt { what: "part of the history" };

/// Numbers of an appliance's rows.
fn rows_of(appliance: i64) -> RangeInclusive<i64> {
    let first = appliance << 32;
    first..=first | 0xffff_ffff
}

/// What lies in blocks since a time, in the order in which it came, and up to where the journal is in them.
fn blocks(db: &Connection, appliance: i64, since: u64, shapes: &mut Shapes) -> Result<(Vec<Sample>, i64), StoreError> {
    let rows = rows_of(appliance);
    let sql = "SELECT upto, last >= ?3, records FROM beat_blocks WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params![rows.start(), rows.end(), since])?;
    let (mut samples, mut upto) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        upto = row.get(0)?;
        if row.get(1)? {
            let bytes = row.get_ref(2)?.as_blob().unwrap_or_default();
            samples.extend(history::decode(bytes, shapes).ok_or(DAMAGED)?);
        }
    }
    Ok((samples, upto))
}

/// What of an appliance lies in the journal only, each with its row there.
fn waiting(db: &Connection, appliance: i64, upto: i64, shapes: &mut Shapes) -> Result<Vec<(i64, Sample)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id, records FROM beat_journal WHERE id > ?1 ORDER BY id")?;
    let mut rows = statement.query([upto])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
        let records = history::records(bytes, Some(appliance), shapes).ok_or(DAMAGED)?;
        found.extend(records.into_iter().map(|(_, sample)| (id, sample)));
    }
    Ok(found)
}
