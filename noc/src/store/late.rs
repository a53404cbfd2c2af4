//! Which beats were counted, boot by boot, and those that come late.
//!
//! A beat is named by its boot and its number in it. What comes late goes into the history at the time when it was measured
//! and nowhere else: it moves no last beat, and the status daemon never hears of it.

use super::appliances::{from_json, json};
use super::history::BEATS_S;
use crate::error::StoreError;
use crate::history::{Flat, Group};
use muster_protocol::api::EarlierBeat;
use muster_protocol::beat::Counted;
use muster_protocol::id::BootId;
use rusqlite::{Connection, OptionalExtension, params};

/// Boots of an appliance that ended and are remembered: a month of one an hour.
const MOST_BOOTS: i64 = 720;

/// The present boot of an appliance.
pub(crate) struct Boot {
    id: BootId,
    pub(crate) counted: Counted,
    /// When a beat was accepted last, of whatever boot.
    last_beat: Option<u64>,
}

impl Boot {
    /// From its columns.
    pub(super) fn read(id: BootId, counter: u64, gaps: &str) -> Result<Boot, StoreError> {
        Ok(Boot { id, counted: Counted::new(counter, from_json("gaps", gaps)?), last_beat: None })
    }
}

/// The boot that a beat is of: the one known last, or a new one that ends it. None when it has ended itself.
pub(crate) fn begin(db: &Connection, appliance: i64, boot: BootId) -> Result<Option<Boot>, StoreError> {
    let sql = "SELECT boot, counter, gaps, last_beat FROM appliances WHERE id = ?1";
    let (last, counter, gaps, last_beat): (Option<[u8; 16]>, u64, String, _) = db
        .prepare_cached(sql)?
        .query_row([appliance], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let begun = |counted| Ok(Some(Boot { id: boot, counted, last_beat }));
    match last {
        Some(last) if last == boot.0 => Ok(Some(Boot { last_beat, ..Boot::read(boot, counter, &gaps)? })),
        Some(_) if ended(db, appliance, boot)?.is_some() => Ok(None),
        Some(last) => {
            store_ended(db, appliance, BootId(last), (counter, &gaps))?;
            begun(Counted::default())
        }
        None => begun(Counted::default()),
    }
}

/// Keeps what was counted of a boot when nothing else of the appliance changes.
pub(crate) fn store(db: &Connection, appliance: i64, boot: &Boot) -> Result<(), StoreError> {
    let sql = "UPDATE appliances SET boot = ?2, counter = ?3, gaps = ?4 WHERE id = ?1";
    let counted = &boot.counted;
    db.prepare_cached(sql)?.execute(params![appliance, boot.id.0, counted.highest(), json(&counted.gaps())])?;
    Ok(())
}

/// Keeps a beat that comes late, if it was not counted before.
pub(crate) fn keep(
    db: &Connection,
    now: u64,
    appliance: i64,
    boot: &mut Boot,
    (beat, values): (&EarlierBeat, &Flat),
    group: &mut Group,
) -> Result<(), StoreError> {
    let counts = if beat.boot == boot.id {
        boot.counted.late(beat.counter)
    } else {
        // A boot of which nothing arrived in its time is one that ended, too.
        let mut counted = ended(db, appliance, beat.boot)?.unwrap_or_default();
        let counts = counted.late(beat.counter);
        if counts {
            store_ended(db, appliance, beat.boot, (counted.highest(), &json(&counted.gaps())))?;
        }
        counts
    };
    let time = match (beat.age_s, beat.time) {
        (Some(age), _) => now.saturating_sub(age),
        (None, Some(time)) => time.min(now),
        (None, None) => boot.last_beat.unwrap_or(now).min(now),
    };
    if counts && time.saturating_add(BEATS_S) >= now {
        group.push(appliance, time, values);
    }
    Ok(())
}

fn ended(db: &Connection, appliance: i64, boot: BootId) -> Result<Option<Counted>, StoreError> {
    let sql = "SELECT counter, gaps FROM ended_boots WHERE appliance = ?1 AND boot = ?2";
    let known: Option<(u64, String)> = db
        .prepare_cached(sql)?
        .query_row(params![appliance, boot.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let read = |(counter, gaps): (u64, String)| Ok(Counted::new(counter, from_json("gaps", &gaps)?));
    known.map(read).transpose()
}

fn store_ended(db: &Connection, appliance: i64, boot: BootId, (counter, gaps): (u64, &str)) -> Result<(), StoreError> {
    let sql = "INSERT INTO ended_boots (appliance, boot, counter, gaps) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (appliance, boot) DO UPDATE SET counter = excluded.counter, gaps = excluded.gaps";
    db.prepare_cached(sql)?.execute(params![appliance, boot.0, counter, gaps])?;
    let sql = "DELETE FROM ended_boots WHERE appliance = ?1 AND id <=
               (SELECT id FROM ended_boots WHERE appliance = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    db.prepare_cached(sql)?.execute(params![appliance, MOST_BOOTS])?;
    Ok(())
}
