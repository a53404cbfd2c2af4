//! Health rules: what in the beats of an appliance makes it fail, and since when it must (`monitoring.md`).
//!
//! A rule is broken when every beat for its time says so, and mended when two beats in a row do not. Only beats are judged: one that
//! is silent breaks no rule. Between two beats further apart than makes an appliance silent nothing is known, so a time begins
//! anew. Times are the NOC's own.

mod value;

pub use value::{Value, ValueError};

use crate::api::BeatValues;
use crate::id::Uid;
use crate::text::misleads;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rules of one place.
pub const MOST_RULES: usize = 32;
/// Longest name of a rule, in characters.
pub const MAX_NAME: usize = 64;
/// Longest time that a rule may ask for, seconds.
pub const MAX_FOR_S: u32 = 7 * 86_400;
/// Beats in a row that mend a rule.
const MENDING_BEATS: u32 = 2;

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthRule {
    /// What people call it; one of its kind in its place.
    pub name: String,
    /// Only for appliances of this model; empty for all. Upper and lower case are alike.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// What is looked at, as [`Value`] reads it.
    pub value: String,
    /// When it is bad.
    pub is: Comparison,
    /// The threshold; of [`Comparison::Unmoved`] it counts for nothing.
    #[serde(default)]
    pub than: f64,
    /// For so many seconds.
    pub for_s: u32,
}

/// When a value is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// It is higher than the threshold.
    Above,
    /// It is lower.
    Below,
    /// It is what it was: a counter that should count stands still.
    Unmoved,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There are too many.
    #[error("{count} rules are too many: keep at most {MOST_RULES}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A name that is none.
    #[error("rule {number}: its name must have 1 to {MAX_NAME} characters, none of them a control character")]
    Name {
        /// Which, from 1.
        number: usize,
    },
    /// Two of one name.
    #[error("two rules are called `{name}`: call one of them something else")]
    Twice {
        /// The name.
        name: String,
    },
    /// A value that nobody reports.
    #[error("rule `{name}`: {why}")]
    Value {
        /// The rule.
        name: String,
        /// What is wrong.
        why: ValueError,
    },
    /// A threshold that is no number.
    #[error("rule `{name}`: the threshold must be a number")]
    Threshold {
        /// The rule.
        name: String,
    },
    /// A time that is too long, or a counter that stands still for none.
    #[error(
        "rule `{name}`: its time must be at most {MAX_FOR_S} seconds, and at least 1 for a value that does not move"
    )]
    Time {
        /// The rule.
        name: String,
    },
}

/// What applies where nobody says anything else.
pub fn default_rules() -> Vec<HealthRule> {
    let above = |name: &str, value: &str, than, for_s| HealthRule {
        name: name.to_owned(),
        model: String::new(),
        value: value.to_owned(),
        is: Comparison::Above,
        than,
        for_s,
    };
    vec![above("disk full", "disk", 90.0, 600), above("load", "load", 4.0, 900)]
}

/// Whether rules can be kept.
///
/// # Errors
/// What is wrong with the first that cannot.
pub fn check(rules: &[HealthRule]) -> Result<(), RuleError> {
    if rules.len() > MOST_RULES {
        return Err(RuleError::TooMany { count: rules.len() });
    }
    for (i, rule) in rules.iter().enumerate() {
        let name = rule.name.clone();
        if name.trim() != name || name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(misleads) {
            return Err(RuleError::Name { number: i + 1 });
        }
        if rules[..i].iter().any(|other| other.name == name) {
            return Err(RuleError::Twice { name });
        }
        if let Err(why) = Value::read(&rule.value) {
            return Err(RuleError::Value { name, why });
        }
        if !rule.than.is_finite() {
            return Err(RuleError::Threshold { name });
        }
        if rule.for_s > MAX_FOR_S || (rule.is == Comparison::Unmoved && rule.for_s == 0) {
            return Err(RuleError::Time { name });
        }
    }
    Ok(())
}

/// How rules stand with the appliances that say something bad.
#[derive(Debug, Default)]
pub struct HealthWatch {
    appliances: BTreeMap<Uid, BTreeMap<String, Streak>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    /// Bad since then.
    since: Option<Millis>,
    last: Millis,
    /// What it was then, of a value that should move.
    stood_at: Option<f64>,
    good: u32,
    is_broken: bool,
}

/// A beat, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Who reports.
    pub uid: Uid,
    /// Its model.
    pub model: &'a str,
    /// What it says.
    pub values: &'a BeatValues,
    /// A beat that comes so long after the one before says nothing of the time between, milliseconds.
    pub silent_ms: u64,
}

impl HealthWatch {
    /// At start-up: a rule is broken, and the alert is open.
    pub fn restore(&mut self, now: Millis, uid: Uid, rule: &str) {
        let streak = Streak { is_broken: true, last: now, ..Streak::default() };
        self.appliances.entry(uid).or_default().insert(rule.to_owned(), streak);
    }

    /// Nothing is known of an appliance any more.
    pub fn forget(&mut self, uid: &Uid) {
        self.appliances.remove(uid);
    }

    /// What a beat comes to: rules that are broken from now on, or mended, with true and false.
    pub fn beat(&mut self, now: Millis, rules: &[HealthRule], report: Report<'_>) -> Vec<(String, bool)> {
        let mut told = Vec::new();
        let mut streaks = self.appliances.remove(&report.uid).unwrap_or_default();
        let applies = |rule: &&HealthRule| rule.model.is_empty() || rule.model.eq_ignore_ascii_case(report.model);
        streaks.retain(|name, streak| {
            let is_known = rules.iter().filter(applies).any(|rule| rule.name == *name);
            if !is_known && streak.is_broken {
                told.push((name.clone(), false));
            }
            is_known
        });
        for rule in rules.iter().filter(applies) {
            let known = streaks.get(&rule.name).copied();
            let (streak, change) = judge(now, rule, known.unwrap_or_default(), report);
            match streak {
                Some(streak) => {
                    streaks.insert(rule.name.clone(), streak);
                }
                None => {
                    streaks.remove(&rule.name);
                }
            }
            told.extend(change.map(|broken| (rule.name.clone(), broken)));
        }
        if !streaks.is_empty() {
            self.appliances.insert(report.uid, streaks);
        }
        told
    }
}

/// One rule and one beat: what is to be remembered, and what changes.
fn judge(now: Millis, rule: &HealthRule, mut streak: Streak, report: Report<'_>) -> (Option<Streak>, Option<bool>) {
    // A value that is not reported any more breaks no rule, and mends none.
    let Some(value) = Value::read(&rule.value).ok().and_then(|value| value.of(report.values)) else {
        return (streak.is_broken.then_some(streak), None);
    };
    if now.since(streak.last) > report.silent_ms {
        (streak.since, streak.stood_at, streak.good) = (None, None, 0);
    }
    streak.last = now;
    let is_kept = rule.is == Comparison::Unmoved;
    match streak.sees(now, rule, value) {
        None => (Some(streak), None),
        Some(true) => {
            streak.good = 0;
            let since = *streak.since.get_or_insert(now);
            let breaks = !streak.is_broken && now.since(since) >= u64::from(rule.for_s) * 1_000;
            streak.is_broken |= breaks;
            (Some(streak), breaks.then_some(true))
        }
        Some(false) if !streak.is_broken => (is_kept.then_some(streak), None),
        Some(false) => {
            streak.good += 1;
            if streak.good < MENDING_BEATS {
                return (Some(streak), None);
            }
            (streak.is_broken, streak.good) = (false, 0);
            (is_kept.then_some(streak), Some(false))
        }
    }
}

impl Streak {
    /// Whether a value is bad; none if that cannot be told yet.
    fn sees(&mut self, now: Millis, rule: &HealthRule, value: f64) -> Option<bool> {
        let is_bad = match rule.is {
            Comparison::Above => value > rule.than,
            Comparison::Below => value < rule.than,
            Comparison::Unmoved if self.stood_at == Some(value) => return Some(true),
            Comparison::Unmoved => {
                let was_known = self.stood_at.is_some();
                (self.stood_at, self.since) = (Some(value), Some(now));
                return (was_known || !self.is_broken).then_some(false);
            }
        };
        if !is_bad {
            self.since = None;
        }
        Some(is_bad)
    }
}

#[cfg(test)]
mod tests;
