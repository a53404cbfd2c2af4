//! What organisations and sites say of silence and of the health of their appliances; pure.

use crate::error::{AsProblem, StoreError, problem};
use muster_protocol::api::Problem;
use muster_protocol::beat_watch::Timing;
use muster_protocol::health_rules::{Comparison, HealthRule, check, default_rules};
use muster_protocol::id::Uid;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Seconds that may follow an interval before an appliance is late.
const GRACE_S: RangeInclusive<u32> = 1..=86_400;
/// Intervals without a beat that make it silent.
const MISS_INTERVALS: RangeInclusive<u32> = 1..=20;
/// Beats in a row that end an alert.
const RECOVER_BEATS: RangeInclusive<u32> = 1..=10;
/// Seconds from kick-start until one that never reported is an alert.
const NEVER_REPORTED_S: RangeInclusive<u32> = 60..=86_400;

/// What one place says. What is absent it leaves to the place above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitoring {
    /// Seconds that follow an interval before an appliance is late. Where nobody says it, a quarter of the interval, at least 15.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub grace_s: Option<u32>,
    /// Intervals without a beat, and the grace, that make an appliance silent. Else 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20)]
    pub miss_intervals: Option<u32>,
    /// Beats in a row, in time, that make a silent one well again. Else 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub recover_beats: Option<u32>,
    /// Seconds from its kick-start until an appliance that never reported is an alert. Else 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 86400)]
    pub never_reported_s: Option<u32>,
    /// The appliance that is the way to all others of a site: while it is silent they are unreachable, and no alerts of their own.
    /// Only a site says that. Beside it, an appliance is behind the one that has the address of its gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<Uid>,
    /// Health rules. A site's take the place of all of its organisation's; an empty list is none. Else a disk above 90 % for ten
    /// minutes, and a load above 4 a processor for fifteen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<HealthRuleForm>>, max_items = 32)]
    pub rules: Option<Vec<HealthRule>>,
}

#[derive(ToSchema)]
#[schema(as = HealthRule)]
#[expect(dead_code, reason = "describes muster_protocol's HealthRule")]
pub(crate) struct HealthRuleForm {
    /// What people call it.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Only for appliances of this model; absent for all.
    model: Option<String>,
    /// `disk`, `disk:MOUNT`, `load` (for each processor), `memory`, `temperature`, `clock`, `uptime` or `counter:NAME`.
    value: String,
    /// When it is bad.
    is: ComparisonForm,
    /// The threshold; of `unmoved` it counts for nothing.
    than: Option<f64>,
    /// For so many seconds.
    #[schema(maximum = 604800)]
    for_s: u32,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Comparison)]
#[expect(dead_code, reason = "describes muster_protocol's Comparison")]
enum ComparisonForm {
    Above,
    Below,
    Unmoved,
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum MonitoringError {
    /// A value that cannot be.
    #[error("`{field}` {why}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MonitoringError {
    pub(crate) fn invalid(field: &'static str, why: String) -> MonitoringError {
        MonitoringError::Invalid { field, why }
    }
}

impl From<rusqlite::Error> for MonitoringError {
    fn from(error: rusqlite::Error) -> Self {
        MonitoringError::Store(error.into())
    }
}

impl AsProblem for MonitoringError {
    fn problem(&self) -> Problem {
        match self {
            MonitoringError::Invalid { .. } => problem(422, "invalid", self, "Correct the value named."),
            MonitoringError::Store(error) => error.problem(),
        }
    }
}

impl Monitoring {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// The first value that cannot.
    pub fn check(&self) -> Result<(), MonitoringError> {
        let numbers = [
            ("grace_s", self.grace_s, GRACE_S),
            ("miss_intervals", self.miss_intervals, MISS_INTERVALS),
            ("recover_beats", self.recover_beats, RECOVER_BEATS),
            ("never_reported_s", self.never_reported_s, NEVER_REPORTED_S),
        ];
        for (field, value, range) in numbers {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let why = format!("must be {} to {}, not {value}", range.start(), range.end());
                return Err(MonitoringError::invalid(field, why));
            }
        }
        let said = self.rules.as_deref().unwrap_or_default();
        check(said).map_err(|error| MonitoringError::invalid("rules", format!("cannot be kept: {error}")))
    }

    /// What it comes to below what `above` says.
    pub(crate) fn below(self, above: &Monitoring) -> Monitoring {
        Monitoring {
            grace_s: self.grace_s.or(above.grace_s),
            miss_intervals: self.miss_intervals.or(above.miss_intervals),
            recover_beats: self.recover_beats.or(above.recover_beats),
            never_reported_s: self.never_reported_s.or(above.never_reported_s),
            gateway: self.gateway,
            rules: self.rules.or_else(|| above.rules.clone()),
        }
    }

    /// With the usual values where nobody says anything. The grace then still depends on the interval.
    pub(crate) fn whole(self) -> Monitoring {
        let usual = Timing::default();
        Monitoring {
            grace_s: self.grace_s,
            miss_intervals: self.miss_intervals.or(Some(usual.miss_intervals)),
            recover_beats: self.recover_beats.or(Some(usual.recover_beats)),
            never_reported_s: self.never_reported_s.or(u32::try_from(usual.never_reported_ms / 1_000).ok()),
            gateway: self.gateway,
            rules: self.rules.or_else(|| Some(default_rules())),
        }
    }

    /// When appliances are late, silent and well again; none where nobody says anything.
    pub(crate) fn timing(&self, usual: Timing) -> Option<Timing> {
        let said = Timing {
            grace_ms: self.grace_s.map(|s| u64::from(s) * 1_000).or(usual.grace_ms),
            miss_intervals: self.miss_intervals.unwrap_or(usual.miss_intervals),
            recover_beats: self.recover_beats.unwrap_or(usual.recover_beats),
            never_reported_ms: self.never_reported_s.map_or(usual.never_reported_ms, |s| u64::from(s) * 1_000),
        };
        (said != usual).then_some(said)
    }
}

/// A rule in words.
pub fn describe(rule: &HealthRule) -> String {
    let what = match rule.is {
        Comparison::Above => format!("{} above {}", rule.value, rule.than),
        Comparison::Below => format!("{} below {}", rule.value, rule.than),
        Comparison::Unmoved => format!("{} did not move", rule.value),
    };
    let model = if rule.model.is_empty() { String::new() } else { format!(" (model {})", rule.model) };
    format!("{}: {what} for {} s{model}", rule.name, rule.for_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_says_more_than_its_organisation_and_nobody_leaves_the_usual() {
        let organisation =
            Monitoring { grace_s: Some(5), miss_intervals: Some(4), rules: Some(Vec::new()), ..Monitoring::default() };
        let site = Monitoring { miss_intervals: Some(2), ..Monitoring::default() };
        let both = site.below(&organisation);
        assert_eq!((both.grace_s, both.miss_intervals, both.recover_beats), (Some(5), Some(2), None));
        assert_eq!(both.rules, Some(Vec::new()), "none, and not the usual ones");
        let timing = both.timing(Timing::default()).expect("something is said");
        assert_eq!((timing.grace_ms, timing.miss_intervals, timing.recover_beats), (Some(5_000), 2, 2));
        assert_eq!(Monitoring::default().timing(Timing::default()), None);
        let usual = Monitoring::default().whole();
        assert_eq!((usual.miss_intervals, usual.never_reported_s), (Some(3), Some(300)));
        assert_eq!(usual.rules.map(|rules| rules.len()), Some(2));
    }

    #[test]
    fn a_value_out_of_its_range_is_named_with_the_range() {
        for (said, expected) in [
            (Monitoring { grace_s: Some(0), ..Monitoring::default() }, "`grace_s` must be 1 to 86400, not 0"),
            (
                Monitoring { miss_intervals: Some(21), ..Monitoring::default() },
                "`miss_intervals` must be 1 to 20, not 21",
            ),
            (Monitoring { recover_beats: Some(0), ..Monitoring::default() }, "`recover_beats` must be 1 to 10, not 0"),
            (
                Monitoring { never_reported_s: Some(59), ..Monitoring::default() },
                "`never_reported_s` must be 60 to 86400, not 59",
            ),
        ] {
            assert_eq!(said.check().expect_err(expected).to_string(), expected);
        }
        let mut rules = default_rules();
        rules[0].value = "fans".to_owned();
        let error = Monitoring { rules: Some(rules), ..Monitoring::default() }.check().expect_err("no such value");
        assert!(error.to_string().contains("rule `disk full`: `fans` is no value of a beat"), "{error}");
    }
}
