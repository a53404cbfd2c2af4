//! From the journal into blocks and roll-ups, in small steps between which beats are taken.
//!
//! Each block knows up to where the journal is in it, so a round that was broken off is begun again and nothing is there twice.

use super::points::Points;
use super::retention::{self, Keep};
use super::{DAMAGED, rows_of};
use crate::error::StoreError;
use crate::history::{self, Sample, Shapes};
use crate::store::{Store, remote_write};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Beats of one round. Whoever reads a history looks through as many.
pub(crate) const ROUND: u64 = 131_072;
/// Appliances of one step.
const STEP: usize = 32;
/// Rows of the journal that go in one step.
const ROWS: i64 = 256;
/// Beats and bytes after which an appliance's next block begins.
const MOST_BEATS: usize = 120;
const MOST_BYTES: usize = 12 << 10;

/// What of the journal is to be folded, by appliance.
struct Round {
    upto: i64,
    beats: u64,
    appliances: BTreeMap<i64, Vec<(i64, Sample)>>,
    is_last: bool,
}

/// Folds what lies in the journal now.
pub(crate) async fn all(store: &Arc<Store>, now: u64) -> Result<(), StoreError> {
    loop {
        let Some(round) = store.read(collect).await? else { return Ok(()) };
        let mut appliances = round.appliances.into_iter();
        loop {
            let step: Vec<_> = appliances.by_ref().take(STEP).collect();
            if step.is_empty() {
                break;
            }
            store.write_history(move |db| take(db, now, step)).await?;
        }
        while store.write_history(move |db| forget(db, round.upto)).await? {}
        store.folded(round.beats);
        if round.is_last {
            return Ok(());
        }
    }
}

/// [`all`], for threads that may wait.
pub(crate) fn all_now(store: &Store, now: u64) -> Result<(), StoreError> {
    while let Some(round) = store.read_now(collect)? {
        let step: Vec<_> = round.appliances.into_iter().collect();
        store.write_now(move |db| take(db, now, step))?;
        while store.write_now(move |db| forget(db, round.upto))? {}
        store.folded(round.beats);
    }
    Ok(())
}

/// [`all`] in one transaction.
#[cfg(test)]
pub(super) fn here(db: &Connection, now: u64) -> Result<(), StoreError> {
    without_end(db, now)?;
    db.execute("DELETE FROM beat_journal", [])?;
    Ok(())
}

/// [`all`] in one transaction, to its end.
#[cfg(test)]
pub(in crate::store) fn whole(db: &Connection, now: u64) -> Result<(), StoreError> {
    while let Some(round) = collect(db)? {
        take(db, now, round.appliances.into_iter().collect())?;
        while forget(db, round.upto)? {}
    }
    Ok(())
}

/// A round that was broken off before the journal was cleared.
#[cfg(test)]
pub(super) fn without_end(db: &Connection, now: u64) -> Result<(), StoreError> {
    let Some(round) = collect(db)? else { return Ok(()) };
    take(db, now, round.appliances.into_iter().collect())
}

fn collect(db: &Connection) -> Result<Option<Round>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id, beats, records FROM beat_journal ORDER BY id")?;
    let mut rows = statement.query([])?;
    let shapes = &mut Shapes::default();
    let mut round = Round { upto: 0, beats: 0, appliances: BTreeMap::new(), is_last: true };
    while let Some(row) = rows.next()? {
        if round.beats >= ROUND {
            round.is_last = false;
            break;
        }
        round.upto = row.get(0)?;
        round.beats += row.get::<_, u64>(1)?;
        let records = history::records(row.get_ref(2)?.as_blob().unwrap_or_default(), None, shapes);
        for (appliance, sample) in records.ok_or(DAMAGED)? {
            round.appliances.entry(appliance).or_default().push((round.upto, sample));
        }
    }
    Ok((round.upto > 0).then_some(round))
}

fn take(db: &Connection, now: u64, step: Vec<(i64, Vec<(i64, Sample)>)>) -> Result<(), StoreError> {
    let shapes = &mut Shapes::default();
    for (appliance, samples) in step {
        add(db, now, appliance, samples, shapes)?;
    }
    Ok(())
}

/// Deletes a step of the journal up to a row; true if there is more.
fn forget(db: &Connection, upto: i64) -> Result<bool, StoreError> {
    remote_write::keep(db, upto, ROWS)?;
    let sql = "DELETE FROM beat_journal WHERE id IN (SELECT id FROM beat_journal WHERE id <= ?1 ORDER BY id LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![upto, ROWS])? as i64 == ROWS)
}

/// An appliance's newest block.
struct Block {
    id: i64,
    upto: i64,
    records: Vec<u8>,
}

fn newest(db: &Connection, appliance: i64) -> Result<Option<Block>, StoreError> {
    let rows = rows_of(appliance);
    let sql = "SELECT id, upto, records FROM beat_blocks WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| Ok(Block { id: row.get(0)?, upto: row.get(1)?, records: row.get(2)? });
    Ok(db.prepare_cached(sql)?.query_row(params![rows.start(), rows.end()], read).optional()?)
}

/// Up to where the journal is in an appliance's blocks.
pub(super) fn newest_upto(db: &Connection, appliance: i64) -> Result<i64, StoreError> {
    Ok(newest(db, appliance)?.map_or(0, |block| block.upto))
}

/// Adds beats to an appliance's newest block, to further ones when it is full, and to its roll-ups.
fn add(
    db: &Connection,
    now: u64,
    appliance: i64,
    mut new: Vec<(i64, Sample)>,
    shapes: &mut Shapes,
) -> Result<(), StoreError> {
    let newest = newest(db, appliance)?;
    let before = newest.as_ref().map_or(0, |block| block.upto);
    new.retain(|(row, _)| *row > before);
    let Some(upto) = new.iter().map(|(row, _)| *row).max() else { return Ok(()) };
    let Some(keep) = Keep::of(db, appliance)? else { return Ok(()) };
    let times: Vec<u64> = new.iter().map(|(_, sample)| sample.time).collect();

    let mut next = newest.as_ref().map_or(*rows_of(appliance).start(), |block| block.id) + 1;
    let mut open: Vec<Sample> = match newest {
        Some(block) => {
            let held = history::decode(&block.records, shapes).ok_or(DAMAGED)?;
            if held.len() < MOST_BEATS && block.records.len() < MOST_BYTES {
                next = block.id;
                held
            } else {
                Vec::new()
            }
        }
        None => Vec::new(),
    };
    let first_changed = next;
    let mut in_memory = Vec::new();
    let mut begun = open.is_empty();
    let mut new = new.into_iter().map(|(_, sample)| sample).peekable();
    loop {
        // Texts of an appliance may be long: then a block ends sooner.
        let mut bytes: usize = open.len() * 32;
        while open.len() < MOST_BEATS
            && bytes < MOST_BYTES
            && let Some(sample) = new.next()
        {
            bytes += if open.last().is_some_and(|last| last.shape.bytes == sample.shape.bytes) {
                32
            } else {
                sample.shape.bytes.len()
            };
            open.push(sample);
        }
        put(db, next, upto, &open)?;
        in_memory.append(&mut open);
        if new.peek().is_none() {
            break;
        }
        begun = true;
        next += 1;
    }
    let mut points = Points::new(db, appliance);
    points.work_in(&times, |since| {
        let sql = "SELECT records FROM beat_blocks WHERE id BETWEEN ?1 AND ?2 AND last >= ?3 ORDER BY id";
        let rows = rows_of(appliance);
        let ends = params![rows.start(), first_changed - 1, since];
        let older: Vec<Vec<u8>> = crate::store::rows(db, sql, ends, |row| Ok::<_, StoreError>(row.get(0)?))?;
        let mut all = Vec::new();
        for records in older {
            all.extend(history::decode(&records, shapes).ok_or(DAMAGED)?);
        }
        all.append(&mut in_memory);
        all.retain(|sample| sample.time >= since);
        Ok(all)
    })?;
    let is_new_row = points.store()?;
    if begun || is_new_row {
        retention::of_appliance(db, now, appliance, &keep)?;
    }
    Ok(())
}

fn put(db: &Connection, id: i64, upto: i64, samples: &[Sample]) -> Result<(), StoreError> {
    let times = || samples.iter().map(|sample| sample.time);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let sql = "INSERT INTO beat_blocks (id, first, last, beats, upto, records) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET first = excluded.first, last = excluded.last, beats = excluded.beats,
               upto = excluded.upto, records = excluded.records";
    let records = history::encode(samples);
    db.prepare_cached(sql)?.execute(params![id, first, last, samples.len() as u64, upto, records])?;
    Ok(())
}
