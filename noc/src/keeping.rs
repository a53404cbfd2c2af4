//! How long an organisation keeps the history of its appliances.

use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError, problem};
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::store::audit;
use crate::store::history::retention::{self, Keep};
use muster_protocol::api::Problem;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;
/// What comes late is counted from what is kept, so less would make roll-ups wrong.
const BEATS_HOURS: RangeInclusive<u32> = 48..=31 * 24;
const FIVE_MINUTES_DAYS: RangeInclusive<u32> = 2..=2 * 366;
const HOURS_DAYS: RangeInclusive<u32> = 2..=10 * 366;

/// How long each part of the history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryKeeping {
    /// Every beat, hours.
    #[schema(minimum = 48, maximum = 744)]
    pub beats_hours: u32,
    /// Roll-ups of five minutes, days.
    #[schema(minimum = 2, maximum = 732)]
    pub five_minutes_days: u32,
    /// Roll-ups of an hour, days.
    #[schema(minimum = 2, maximum = 3660)]
    pub hours_days: u32,
}

/// What is to be kept otherwise than now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryKeepingChange {
    /// Every beat, hours.
    #[serde(default)]
    #[schema(minimum = 48, maximum = 744)]
    pub beats_hours: Option<u32>,
    /// Roll-ups of five minutes, days.
    #[serde(default)]
    #[schema(minimum = 2, maximum = 732)]
    pub five_minutes_days: Option<u32>,
    /// Roll-ups of an hour, days.
    #[serde(default)]
    #[schema(minimum = 2, maximum = 3660)]
    pub hours_days: Option<u32>,
}

/// Why the history is not kept so.
#[derive(Debug, thiserror::Error)]
pub enum KeepingError {
    /// A number out of its range.
    #[error("`{field}` is {value}; it can be {least} to {most}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What was given.
        value: u32,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// There is no such organisation.
    #[error("there is no organisation {0}")]
    Unknown(OrganisationId),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsProblem for KeepingError {
    fn problem(&self) -> Problem {
        match self {
            KeepingError::OutOfRange { .. } => {
                problem(422, "keeping_out_of_range", self, "Choose a number within that range.")
            }
            KeepingError::Unknown(_) => {
                problem(404, "unknown_organisation", self, "List them with `muster-noc organisation list`.")
            }
            KeepingError::Store(error) => error.problem(),
        }
    }
}

impl HistoryKeeping {
    fn of(keep: Keep) -> HistoryKeeping {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        HistoryKeeping {
            beats_hours: number(keep.beats_s / HOUR_S),
            five_minutes_days: number(keep.five_minutes_s / DAY_S),
            hours_days: number(keep.hours_s / DAY_S),
        }
    }

    fn with(self, change: HistoryKeepingChange) -> HistoryKeeping {
        HistoryKeeping {
            beats_hours: change.beats_hours.unwrap_or(self.beats_hours),
            five_minutes_days: change.five_minutes_days.unwrap_or(self.five_minutes_days),
            hours_days: change.hours_days.unwrap_or(self.hours_days),
        }
    }

    fn check(self) -> Result<Keep, KeepingError> {
        for (field, value, range) in [
            ("beats_hours", self.beats_hours, BEATS_HOURS),
            ("five_minutes_days", self.five_minutes_days, FIVE_MINUTES_DAYS),
            ("hours_days", self.hours_days, HOURS_DAYS),
        ] {
            if !range.contains(&value) {
                return Err(KeepingError::OutOfRange { field, value, least: *range.start(), most: *range.end() });
            }
        }
        Ok(Keep {
            beats_s: u64::from(self.beats_hours) * HOUR_S,
            five_minutes_s: u64::from(self.five_minutes_days) * DAY_S,
            hours_s: u64::from(self.hours_days) * DAY_S,
        })
    }
}

/// How an organisation keeps its history.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<HistoryKeeping, KeepingError> {
    let keep = retention::of_organisation(db, id)?.ok_or(KeepingError::Unknown(id))?;
    Ok(HistoryKeeping::of(keep))
}

/// Keeps it otherwise from now on, with its record; how it is kept then.
pub(crate) fn change(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    change: HistoryKeepingChange,
) -> Result<HistoryKeeping, KeepingError> {
    let before = of_organisation(db, id)?;
    let after = before.with(change);
    let keep = after.check()?;
    if after != before {
        retention::set(db, id, &keep)?;
        let event = Event::new(Place::organisation(id), "organisation.history", format!("organisation:{id}"));
        let detail = serde_json::json!({ "before": before, "after": after });
        audit::record(db, clock::now(), by, event.with(detail))?;
    }
    Ok(after)
}

impl crate::Noc {
    /// How long an organisation, by handle, keeps the history of its appliances.
    pub fn history_keeping(&self, organisation: OrganisationId) -> Result<HistoryKeeping, KeepingError> {
        self.inner.store.read_now(|db| of_organisation(db, organisation))
    }

    /// Keeps it otherwise. What is too old then goes within a quarter of an hour, while the NOC serves.
    pub fn keep_history(
        &self,
        organisation: OrganisationId,
        wanted: HistoryKeepingChange,
    ) -> Result<HistoryKeeping, KeepingError> {
        self.inner.store.write_now(move |db| change(db, &By::local(), organisation, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_and_changes_nothing() {
        let now = HistoryKeeping { beats_hours: 48, five_minutes_days: 30, hours_days: 730 };
        for (change, field) in [
            (HistoryKeepingChange { beats_hours: Some(47), ..Default::default() }, "beats_hours"),
            (HistoryKeepingChange { five_minutes_days: Some(0), ..Default::default() }, "five_minutes_days"),
            (HistoryKeepingChange { hours_days: Some(u32::MAX), ..Default::default() }, "hours_days"),
        ] {
            let error = now.with(change).check().expect_err(field);
            assert!(error.to_string().contains(field), "{error}");
            assert_eq!(error.problem().code, "keeping_out_of_range");
        }
        assert!(now.check().is_ok());
    }
}
