//! Strips of beats, from roll-ups and from how an appliance stood.

use super::history::points::{self, Resolution};
use super::standings;
use crate::error::StoreError;
use crate::strip::{Cells, Known, cells, first};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

const QUARTER_S: u64 = 900;
const QUARTERS: u64 = 96;
const DAY_S: u64 = 86_400;
const DAYS: u64 = 90;

/// What arrived of an appliance's beats, and what did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Strip {
    /// Seconds between its beats, as it is told now.
    pub(crate) interval_s: u32,
    /// A day in quarters of an hour.
    pub(crate) day: Cells,
    /// Ninety days of UTC.
    pub(crate) days: Cells,
}

/// The strip of an appliance at its site.
pub(crate) fn read(db: &Connection, now: u64, appliance: i64, site: Option<SiteId>) -> Result<Strip, StoreError> {
    let sql = "SELECT interval_s FROM appliances WHERE id = ?1";
    let interval_s = db.prepare_cached(sql)?.query_row([appliance], |row| row.get(0))?;
    let since = first(now, DAY_S, DAYS);
    let spans = match site {
        Some(site) => standings::spans(db, site, appliance, since, now)?,
        None => Vec::new(),
    };
    let absences = standings::absences(db, since, now)?;
    let known = Known { now, interval_s, spans: &spans, absences: &absences };
    let beats = |resolution: Resolution, since: u64| -> Result<Vec<(u64, u64)>, StoreError> {
        let most = usize::try_from((now - since.min(now)) / resolution.seconds()).unwrap_or(0) + 2;
        let found = points::read(db, appliance, resolution, since, now, most)?;
        Ok(found.into_iter().map(|point| (point.start, point.beats)).collect())
    };
    let of_day = beats(Resolution::FiveMinutes, first(now, QUARTER_S, QUARTERS))?;
    let of_days = beats(Resolution::Hour, since)?;
    let day = cells(&known, QUARTER_S, QUARTERS, &of_day);
    let days = cells(&known, DAY_S, DAYS, &of_days);
    Ok(Strip { interval_s, day, days })
}
