//! Roll-ups in the database: 48 to a row, so that a new one costs little more than itself.

use super::{DAMAGED, blocks, waiting};
use crate::error::StoreError;
use crate::history::{self, FIVE_MINUTES, HOUR, Known, Name, Point, Sample, Shapes};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// Roll-ups of one row.
const IN_ROW: u64 = 48;
/// The highest number of a row that its key has room for: of five minutes, in the year 980,000.
pub(super) const LAST_ROW: u64 = 0x7fff_ffff;

/// How fine a history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resolution {
    FiveMinutes,
    Hour,
}

impl Resolution {
    /// Seconds of one roll-up.
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Resolution::FiveMinutes => FIVE_MINUTES,
            Resolution::Hour => HOUR,
        }
    }

    pub(super) fn row_of(self, time: u64) -> u64 {
        time / (self.seconds() * IN_ROW)
    }

    /// The key of a row.
    pub(super) fn key(self, appliance: i64, row: u64) -> i64 {
        let hours = i64::from(self == Resolution::Hour) << 31;
        appliance << 32 | hours | row.min(LAST_ROW).cast_signed()
    }
}

/// Some rows of roll-ups of one appliance, read when they are needed.
pub(super) struct Points<'a> {
    db: &'a Connection,
    appliance: i64,
    rows: BTreeMap<(Resolution, u64), BTreeMap<u64, Point>>,
    changed: BTreeSet<(Resolution, u64)>,
}

impl<'a> Points<'a> {
    pub(super) fn new(db: &'a Connection, appliance: i64) -> Points<'a> {
        Points { db, appliance, rows: BTreeMap::new(), changed: BTreeSet::new() }
    }

    fn row(&mut self, resolution: Resolution, row: u64) -> Result<&mut BTreeMap<u64, Point>, StoreError> {
        if !self.rows.contains_key(&(resolution, row)) {
            let sql = "SELECT points FROM beat_rollups WHERE id = ?1";
            let key = resolution.key(self.appliance, row);
            let bytes: Option<Vec<u8>> = self.db.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
            let points = match bytes {
                Some(bytes) => history::decode_points(&bytes).ok_or(DAMAGED)?,
                None => Vec::new(),
            };
            let points = points.into_iter().map(|point| (point.start, point)).collect();
            self.rows.insert((resolution, row), points);
        }
        Ok(self.rows.entry((resolution, row)).or_default())
    }

    fn set(&mut self, resolution: Resolution, point: Point) -> Result<(), StoreError> {
        let row = resolution.row_of(point.start);
        self.row(resolution, row)?.insert(point.start, point);
        self.changed.insert((resolution, row));
        Ok(())
    }

    /// The last value of each of these counters before a time: of the row of that time and the one before. One that was not told
    /// for so long begins anew.
    fn known(&mut self, start: u64, names: BTreeSet<Name>) -> Result<Known, StoreError> {
        let (mut known, mut missing) = (Known::new(), names);
        let row = Resolution::FiveMinutes.row_of(start);
        for row in [row, row.saturating_sub(1)] {
            if missing.is_empty() {
                break;
            }
            for point in self.row(Resolution::FiveMinutes, row)?.range(..start).rev().map(|(_, point)| point) {
                missing.retain(|name| match point.counters.get(name) {
                    Some(stat) => {
                        known.insert(name.clone(), stat.last);
                        false
                    }
                    None => true,
                });
                if missing.is_empty() {
                    break;
                }
            }
        }
        Ok(known)
    }

    /// Works beats into the roll-ups: `new` are those that have come, `all` those of the same stretches of time, with them.
    pub(super) fn work_in(
        &mut self,
        new: &[u64],
        all: impl FnOnce(u64) -> Result<Vec<Sample>, StoreError>,
    ) -> Result<(), StoreError> {
        let slot = |time: u64| time / FIVE_MINUTES * FIVE_MINUTES;
        let mut touched: BTreeSet<u64> = new.iter().map(|time| slot(*time)).collect();
        let (Some(first), Some(last)) = (touched.first().copied(), touched.last().copied()) else { return Ok(()) };
        let mut samples = all(first)?;
        samples.sort_by_key(|sample| sample.time);
        let newest = samples.last().map_or(last, |sample| slot(sample.time));
        // What came late is what later ones are counted from.
        for row in Resolution::FiveMinutes.row_of(first)..=Resolution::FiveMinutes.row_of(newest) {
            touched.extend(self.row(Resolution::FiveMinutes, row)?.range(first..).map(|(start, _)| *start));
        }
        let mut hours = BTreeSet::new();
        for start in touched {
            let inside = |sample: &&Sample| slot(sample.time) == start;
            let names = samples.iter().filter(inside).flat_map(Sample::counter_names).cloned().collect();
            let mut known = self.known(start, names)?;
            let point = history::of_samples(start, samples.iter().filter(inside), &mut known);
            let row = Resolution::FiveMinutes.row_of(start);
            let before = self.row(Resolution::FiveMinutes, row)?.get(&start);
            // Beats that are not kept any more are in what was made of them.
            if before.is_none_or(|before| before.beats <= point.beats) && point.beats > 0 {
                self.set(Resolution::FiveMinutes, point)?;
                hours.insert(start / HOUR * HOUR);
            }
        }
        for start in hours {
            let row = Resolution::FiveMinutes.row_of(start);
            let points = self.row(Resolution::FiveMinutes, row)?.range(start..start + HOUR);
            let hour = history::hour_of(start, points.map(|(_, point)| point));
            self.set(Resolution::Hour, hour)?;
        }
        Ok(())
    }

    /// Keeps what was changed; true if a row is new.
    pub(super) fn store(self) -> Result<bool, StoreError> {
        let mut is_new = false;
        for (resolution, row) in &self.changed {
            let Some(points) = self.rows.get(&(*resolution, *row)) else { continue };
            is_new |= points.len() == 1;
            let sql = "INSERT INTO beat_rollups (id, points) VALUES (?1, ?2)
                       ON CONFLICT (id) DO UPDATE SET points = excluded.points";
            let bytes = history::encode_points(points.values());
            self.db.prepare_cached(sql)?.execute(params![resolution.key(self.appliance, *row), bytes])?;
        }
        Ok(is_new)
    }
}

/// Roll-ups of an appliance that begin in a stretch of time, oldest first, at most so many. What waits in the journal is in them.
pub(crate) fn read(
    db: &Connection,
    appliance: i64,
    resolution: Resolution,
    from: u64,
    to: u64,
    most: usize,
) -> Result<Vec<Point>, StoreError> {
    let shapes = &mut Shapes::default();
    let mut points = Points::new(db, appliance);
    let upto = super::fold::newest_upto(db, appliance)?;
    let waiting = waiting(db, appliance, upto, shapes)?;
    let times: Vec<u64> = waiting.iter().map(|(_, sample)| sample.time).collect();
    points.work_in(&times, |since| {
        let (mut all, _) = blocks(db, appliance, since, shapes)?;
        all.extend(waiting.into_iter().map(|(_, sample)| sample));
        Ok(all)
    })?;
    let mut found = Vec::new();
    let sql = "SELECT id FROM beat_rollups WHERE id BETWEEN ?1 AND ?2";
    let (first, last) = (resolution.row_of(from), resolution.row_of(to));
    let ends = params![resolution.key(appliance, first), resolution.key(appliance, last)];
    let stored: Vec<i64> = super::super::rows(db, sql, ends, |row| Ok::<_, StoreError>(row.get(0)?))?;
    let stored = stored.into_iter().map(|key| key.cast_unsigned() & LAST_ROW);
    let worked = points.rows.keys().filter(|(of, row)| *of == resolution && (first..=last).contains(row));
    let rows: BTreeSet<u64> = stored.chain(worked.map(|(_, row)| *row)).collect();
    for row in rows {
        if from > to || found.len() >= most {
            break;
        }
        found.extend(points.row(resolution, row)?.range(from..=to).map(|(_, point)| point.clone()));
    }
    found.truncate(most);
    Ok(found)
}
