//! Availability of appliances by months (decision 0040); pure.

use crate::error::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

const DAY_S: u64 = 86_400;

/// A month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: u32,
    /// 1 to 12.
    month: u32,
}

impl Month {
    /// The month of a time, Unix seconds.
    pub fn of(time: u64) -> Month {
        // Days since the first of March of the year 0, in which leap days come last (Howard Hinnant, "chrono-compatible
        // low-level date algorithms").
        let days = time / DAY_S + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        Month { year: u32::try_from(year).unwrap_or(u32::MAX), month: u32::try_from(month).unwrap_or(1) }
    }

    /// Its first second.
    pub fn start(self) -> u64 {
        let (year, month) = (u64::from(self.year), u64::from(self.month));
        let year = year - u64::from(month <= 2);
        let march = if month > 2 { month - 3 } else { month + 9 };
        let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + (153 * march + 2) / 5;
        (year / 400 * 146_097 + of_era - 719_468) * DAY_S
    }

    /// The first second after it.
    pub fn end(self) -> u64 {
        let next = match self.month {
            12 => Month { year: self.year + 1, month: 1 },
            month => Month { month: month + 1, ..self },
        };
        next.start()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = String;
    fn from_str(text: &str) -> Result<Month, String> {
        let digits = |part: &str, long: usize| {
            let good = part.len() == long && part.bytes().all(|b| b.is_ascii_digit());
            good.then(|| part.parse::<u32>().ok()).flatten()
        };
        let read = text.split_once('-').and_then(|(year, month)| digits(year, 4).zip(digits(month, 2)));
        match read {
            Some((year @ 1970.., month @ 1..=12)) => Ok(Month { year, month }),
            _ => Err(format!("`{}` is no month: write it as 2026-11", text.escape_default())),
        }
    }
}

/// How an appliance stands, as far as availability is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It reports.
    InService,
    /// It does not, or it cannot be reached.
    Silent,
    /// It is worked on.
    Maintenance,
}

/// A time for which an appliance stood in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) since: u64,
    /// `u64::MAX` as long as it lasts.
    pub(crate) until: u64,
    pub(crate) standing: Standing,
}

/// What spans of a time come to, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tally {
    /// It was in service and reported.
    pub available_s: u64,
    /// It was in service and did not.
    pub silent_s: u64,
    /// How often it was silent.
    pub silences: u32,
    /// The longest of these times, as far as it lies in the month.
    pub longest_silence_s: u64,
    /// It was worked on: not counted.
    pub maintenance_s: u64,
    /// The NOC itself was not there: not counted.
    pub noc_away_s: u64,
}

impl Tally {
    /// The part of the counted time in which it was available, in percent with three decimals. None when nothing is counted. Never
    /// rounded up, so that 100 means that it never was silent.
    pub fn percent(&self) -> Option<f64> {
        let counted = self.available_s + self.silent_s;
        let thousandths = u128::from(self.available_s) * 100_000 / u128::from(counted).max(1);
        // At most 100,000, which a float holds exactly.
        (counted > 0).then(|| thousandths as f64 / 1_000.0)
    }

    /// Of this and another one.
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            available_s: self.available_s + other.available_s,
            silent_s: self.silent_s + other.silent_s,
            silences: self.silences + other.silences,
            longest_silence_s: self.longest_silence_s.max(other.longest_silence_s),
            maintenance_s: self.maintenance_s + other.maintenance_s,
            noc_away_s: self.noc_away_s + other.noc_away_s,
        }
    }

    /// True when nothing was expected in all of the time.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Tally::default()
    }
}

/// When the NOC itself was away: in order, none beginning before the one before has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Absences(Vec<(u64, u64)>);

impl Absences {
    pub(crate) fn new(mut all: Vec<(u64, u64)>) -> Absences {
        all.retain(|(began, ended)| began < ended);
        all.sort_unstable();
        let mut apart: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for (began, ended) in all {
            match apart.last_mut() {
                Some(last) if began <= last.1 => last.1 = last.1.max(ended),
                _ => apart.push((began, ended)),
            }
        }
        Absences(apart)
    }

    /// Seconds of a time in which it was.
    pub(crate) fn within(&self, from: u64, to: u64) -> u64 {
        let first = self.0.partition_point(|(_, ended)| *ended <= from);
        let begun = self.0[first..].iter().take_while(|(began, _)| *began < to);
        begun.map(|(began, ended)| to.min(*ended) - from.max(*began)).sum()
    }
}

/// What spans come to between two times.
pub(crate) fn tally(spans: &[Span], absences: &Absences, from: u64, to: u64) -> Tally {
    let mut tally = Tally::default();
    for span in spans {
        let (since, until) = (span.since.max(from), span.until.min(to));
        if since >= until {
            continue;
        }
        let away = absences.within(since, until);
        let long = until - since - away;
        tally.noc_away_s += away;
        match span.standing {
            Standing::InService => tally.available_s += long,
            Standing::Maintenance => tally.maintenance_s += long,
            Standing::Silent => {
                tally.silent_s += long;
                tally.silences += u32::from(long > 0);
                tally.longest_silence_s = tally.longest_silence_s.max(long);
            }
        }
    }
    tally
}

impl rusqlite::types::FromSql for Standing {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        let known = crate::store::from_word::<Standing>("standing", value.as_str()?);
        known.map_err(|error: StoreError| rusqlite::types::FromSqlError::Other(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn months_begin_and_end_where_the_calendar_says() {
        let at = |text: &str| text.parse::<Month>().expect("a month");
        for (text, start, days) in [
            ("1970-01", 0, 31),
            ("2000-02", 949_363_200, 29),
            ("2024-02", 1_706_745_600, 29),
            ("2026-11", 1_793_491_200, 30),
            ("2026-12", 1_796_083_200, 31),
            ("2100-02", 4_105_123_200, 28),
        ] {
            let month = at(text);
            assert_eq!((month.start(), month.end() - month.start()), (start, days * DAY_S), "{text}");
            assert_eq!((Month::of(start), Month::of(month.end() - 1)), (month, month), "{text}");
            assert_eq!(month.to_string(), text);
        }
        for wrong in ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "1969-12", "2026-1x", "+026-01"] {
            assert!(wrong.parse::<Month>().expect_err("no month").contains("write it as 2026-11"), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_rounded_up_to_a_hundred() {
        let percent = |available_s, silent_s| Tally { available_s, silent_s, ..Tally::default() }.percent();
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(30 * DAY_S, 0), Some(100.0));
        assert_eq!(percent(30 * DAY_S - 1, 1), Some(99.999));
        assert_eq!(percent(2, 1), Some(66.666));
        assert_eq!(percent(0, 9), Some(0.0));
    }

    const LONG: u64 = 400;

    fn standing() -> impl Strategy<Value = Standing> {
        prop_oneof![Just(Standing::InService), Just(Standing::Silent), Just(Standing::Maintenance)]
    }

    proptest! {
        /// Against a model that looks at every second by itself.
        #[test]
        fn it_comes_to_what_single_seconds_do(
            steps in prop::collection::vec((0_u64..50, 1_u64..60, standing()), 0..12),
            away in prop::collection::vec((0..LONG, 0_u64..60), 0..6),
            (from, long) in (0..LONG, 0..LONG),
            lasts in any::<bool>(),
        ) {
            let (mut spans, mut at) = (Vec::new(), 0);
            for (gap, long, standing) in steps {
                spans.push(Span { since: at + gap, until: at + gap + long, standing });
                at += gap + long;
            }
            if let Some(last) = spans.last_mut().filter(|_| lasts) {
                last.until = u64::MAX;
            }
            let away: Vec<_> = away.into_iter().map(|(began, long)| (began, began + long)).collect();
            let to = from + long;
            let (mut model, mut run) = (Tally::default(), BTreeMap::<usize, u64>::new());
            for second in from..to {
                let Some((number, span)) = spans.iter().enumerate().find(|(_, s)| s.since <= second && second < s.until)
                else { continue };
                if away.iter().any(|(began, ended)| *began <= second && second < *ended) {
                    model.noc_away_s += 1;
                    continue;
                }
                match span.standing {
                    Standing::InService => model.available_s += 1,
                    Standing::Maintenance => model.maintenance_s += 1,
                    Standing::Silent => {
                        model.silent_s += 1;
                        *run.entry(number).or_default() += 1;
                    }
                }
            }
            model.silences = run.len() as u32;
            model.longest_silence_s = run.values().copied().max().unwrap_or(0);
            prop_assert_eq!(tally(&spans, &Absences::new(away), from, to), model);
        }
    }

    use std::collections::BTreeMap;
}
