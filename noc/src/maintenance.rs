//! Maintenance: when nobody is to be told of a site or an appliance; pure.

use crate::monitoring::MonitoringError;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize, Serializer};
use std::str::FromStr;
use utoipa::ToSchema;

/// Longest single window, seconds.
const LONGEST_S: u64 = 31 * 86_400;
/// How far ahead one may begin.
const AHEAD_S: u64 = 366 * 86_400;
/// Longest note, in characters.
const MAX_NOTE: usize = 500;
const DAY_S: u64 = 86_400;

/// How often a window comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Once.
    #[default]
    Once,
    /// Every day at the same time of UTC.
    Day,
    /// Every week on the same day.
    Week,
}

impl Every {
    fn period_s(self) -> Option<u64> {
        match self {
            Every::Once => None,
            Every::Day => Some(DAY_S),
            Every::Week => Some(7 * DAY_S),
        }
    }
}

impl FromStr for Every {
    type Err = String;
    fn from_str(text: &str) -> Result<Every, String> {
        match text {
            "once" => Ok(Every::Once),
            "day" => Ok(Every::Day),
            "week" => Ok(Every::Week),
            _ => Err(format!("`{text}` is not once, day or week")),
        }
    }
}

/// A window as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSpec {
    /// The site.
    #[schema(value_type = u32)]
    pub site: SiteId,
    /// Only this appliance of it; absent for all.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub appliance: Option<Uid>,
    /// When it begins, Unix seconds; absent for now.
    #[serde(default)]
    pub starts: Option<u64>,
    /// For how long, seconds.
    #[schema(minimum = 60, maximum = 2678400)]
    pub for_s: u64,
    /// How often it comes.
    #[serde(default)]
    pub every: Every,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

/// A window as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MaintenanceView {
    /// Its number.
    pub id: u32,
    /// The site.
    #[schema(value_type = u32)]
    pub site: SiteId,
    /// Only this appliance of it; absent for all.
    #[serde(serialize_with = "uid")]
    #[schema(value_type = Option<String>)]
    pub appliance: Option<Uid>,
    /// When it began or begins, for the first time.
    pub starts: u64,
    /// When that ends.
    pub ends: u64,
    /// How often it comes.
    pub every: Every,
    /// Why.
    pub note: String,
    /// True now.
    pub is_active: bool,
    /// Who made it, as in the audit log.
    pub made_by: String,
    /// When somebody ended it.
    pub ended: Option<u64>,
    /// Who.
    pub ended_by: String,
}

fn uid<S: Serializer>(uid: &Option<Uid>, serializer: S) -> Result<S::Ok, S::Error> {
    match uid {
        Some(uid) => serializer.collect_str(uid),
        None => serializer.serialize_none(),
    }
}

/// A span of time that may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) starts: u64,
    pub(crate) ends: u64,
    pub(crate) every: Every,
}

impl MaintenanceSpec {
    /// Its span, if it can be kept.
    pub(crate) fn span(&self, now: u64) -> Result<Span, MonitoringError> {
        let starts = self.starts.unwrap_or(now);
        let wrong = |field, why: String| Err(MonitoringError::invalid(field, why));
        let longest = self.every.period_s().unwrap_or(LONGEST_S);
        if !(60..=longest).contains(&self.for_s) {
            return wrong("for_s", format!("must be 60 to {longest} seconds, not {}", self.for_s));
        }
        if starts > now.saturating_add(AHEAD_S) {
            return wrong("starts", "is more than a year ahead: choose an earlier time".to_owned());
        }
        let ends = starts + self.for_s;
        if self.every == Every::Once && ends <= now {
            return wrong("starts", "lies so far back that it has ended: choose a later time".to_owned());
        }
        if self.note.chars().count() > MAX_NOTE || self.note.chars().any(misleads) {
            return wrong("note", format!("is longer than {MAX_NOTE} characters or holds control characters"));
        }
        Ok(Span { starts, ends, every: self.every })
    }
}

impl Span {
    /// Whether it is on at a time.
    pub(crate) fn is_on(&self, now: u64) -> bool {
        let Some(since) = now.checked_sub(self.starts) else { return false };
        let long = self.ends - self.starts;
        self.every.period_s().map_or(since, |period| since % period) < long
    }

    /// When it begins or ends next; none when it is over.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        let Some(since) = now.checked_sub(self.starts) else { return Some(self.starts) };
        let long = self.ends - self.starts;
        match self.every.period_s() {
            None => (since < long).then_some(self.ends),
            Some(period) => {
                let begun = now - since % period;
                Some(if since % period < long { begun + long } else { begun + period })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> MaintenanceSpec {
        let note = "new switch".to_owned();
        MaintenanceSpec { site: SiteId(1), appliance: None, starts: None, for_s: 3_600, every: Every::Once, note }
    }

    #[test]
    fn a_window_is_on_from_its_start_until_before_its_end_and_again_if_it_comes_again() {
        let once = Span { starts: 1_000, ends: 1_100, every: Every::Once };
        let on = |span: Span, at| (span.is_on(at), span.next(at));
        assert_eq!(on(once, 999), (false, Some(1_000)));
        assert_eq!(on(once, 1_000), (true, Some(1_100)));
        assert_eq!(on(once, 1_099), (true, Some(1_100)));
        assert_eq!(on(once, 1_100), (false, None));
        let daily = Span { every: Every::Day, ..once };
        assert_eq!(on(daily, 1_100), (false, Some(1_000 + DAY_S)));
        assert_eq!(on(daily, 1_050 + 5 * DAY_S), (true, Some(1_100 + 5 * DAY_S)));
        let weekly = Span { every: Every::Week, ..once };
        assert_eq!(on(weekly, 1_050 + 5 * DAY_S), (false, Some(1_000 + 7 * DAY_S)));
        assert_eq!(on(weekly, 1_050 + 7 * DAY_S), (true, Some(1_100 + 7 * DAY_S)));
        // One that fills its whole day never goes off.
        let always = Span { starts: 0, ends: DAY_S, every: Every::Day };
        assert!((0..3 * DAY_S).step_by(3_571).all(|at| always.is_on(at)));
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let now = 1_000_000_000;
        assert_eq!(spec().span(now).expect("good").ends, now + 3_600);
        let wrong = |change: fn(&mut MaintenanceSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.span(now).expect_err("cannot be kept").to_string()
        };
        assert_eq!(wrong(|s| s.for_s = 59), "`for_s` must be 60 to 2678400 seconds, not 59");
        assert_eq!(
            wrong(|s| (s.for_s, s.every) = (DAY_S + 1, Every::Day)),
            "`for_s` must be 60 to 86400 seconds, not 86401"
        );
        assert!(wrong(|s| s.starts = Some(u64::MAX)).contains("more than a year ahead"));
        assert!(wrong(|s| s.starts = Some(1)).contains("it has ended"));
        assert!(wrong(|s| s.note = "a\u{1b}".to_owned()).contains("control characters"));
        assert!(wrong(|s| s.note = "x".repeat(501)).contains("longer than 500"));
    }
}
