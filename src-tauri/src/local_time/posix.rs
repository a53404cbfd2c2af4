//! The rule of a time zone as one line of text: the variable `TZ` of POSIX.1-2024 (8.3), as `CET-1CEST,M3.5.0,M10.5.0/3`.

use super::{DAY_S, civil, first_of};

/// Standard time, and perhaps a summer time that comes back every year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Seconds east.
    standard: i32,
    summer: Option<Summer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Summer {
    /// Seconds east.
    offset: i32,
    begins: Change,
    ends: Change,
}

/// A day of every year, and the local time on it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    second: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    /// The n-th (5: last) such weekday (0: Sunday) of a month.
    Weekday { month: u8, week: u8, weekday: u8 },
    /// From 1, February 29 never counted.
    Julian(i64),
    /// From 0.
    OfYear(i64),
}

impl Rule {
    /// `None` for what is no such line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = name(line)?;
        let (west, rest) = time(rest)?;
        let standard = -west;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let rest = name(rest)?;
        let (offset, rest) = match rest.chars().next() {
            Some(',') | None => (standard + 3_600, rest),
            Some(_) => time(rest).map(|(west, rest)| (-west, rest))?,
        };
        // What POSIX leaves open is the rule of the United States for most readers.
        let rest = if rest.is_empty() { ",M3.2.0,M11.1.0" } else { rest };
        let (begins, rest) = change(rest.strip_prefix(',')?)?;
        let (ends, rest) = change(rest.strip_prefix(',')?)?;
        rest.is_empty().then_some(Self { standard, summer: Some(Summer { offset, begins, ends }) })
    }

    /// Seconds east of UTC at a moment.
    pub(super) fn offset(&self, at: i64) -> i32 {
        let Some(summer) = &self.summer else { return self.standard };
        let (year, ..) = civil((at + i64::from(self.standard)).div_euclid(DAY_S));
        let begins = summer.begins.in_year(year) - i64::from(self.standard);
        let ends = summer.ends.in_year(year) - i64::from(summer.offset);
        let is_summer = if begins <= ends { begins <= at && at < ends } else { at < ends || begins <= at };
        if is_summer { summer.offset } else { self.standard }
    }
}

impl Change {
    /// Local seconds since 1970.
    fn in_year(&self, year: i64) -> i64 {
        let day = match self.day {
            Day::Julian(day) => {
                let leaps = first_of(year, 3) - first_of(year, 1) == 60 && day >= 60;
                first_of(year, 1) + day - 1 + i64::from(leaps)
            }
            Day::OfYear(day) => first_of(year, 1) + day,
            Day::Weekday { month, week, weekday } => {
                let first = first_of(year, month);
                let next = if month == 12 { first_of(year + 1, 1) } else { first_of(year, month + 1) };
                // The first day of 1970 was a Thursday.
                let offset = (i64::from(weekday) - (first + 4)).rem_euclid(7);
                let day = first + offset + 7 * (i64::from(week) - 1);
                if day >= next { day - 7 } else { day }
            }
        };
        day * DAY_S + i64::from(self.second)
    }
}

/// What follows an abbreviation.
fn name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (text.len() - rest.len() >= 3).then_some(rest)
}

/// `[+-]h[h][:mm[:ss]]` in seconds, and what follows.
fn time(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, after) = number(rest)?;
    let mut seconds = i32::from(hours).checked_mul(3_600)?;
    rest = after;
    for unit in [60, 1] {
        let Some(part) = rest.strip_prefix(':') else { break };
        let (value, after) = number(part)?;
        seconds += i32::from(value) * unit;
        rest = after;
    }
    Some((sign * seconds, rest))
}

fn change(text: &str) -> Option<(Change, &str)> {
    let (day, rest) = if let Some(rest) = text.strip_prefix('M') {
        let (month, rest) = number(rest)?;
        let (week, rest) = number(rest.strip_prefix('.')?)?;
        let (weekday, rest) = number(rest.strip_prefix('.')?)?;
        let day = Day::Weekday {
            month: u8::try_from(month).ok().filter(|month| (1..=12).contains(month))?,
            week: u8::try_from(week).ok().filter(|week| (1..=5).contains(week))?,
            weekday: u8::try_from(weekday).ok().filter(|weekday| *weekday < 7)?,
        };
        (day, rest)
    } else if let Some(rest) = text.strip_prefix('J') {
        number(rest).map(|(day, rest)| (Day::Julian(day.into()), rest))?
    } else {
        number(text).map(|(day, rest)| (Day::OfYear(day.into()), rest))?
    };
    let (second, rest) = match rest.strip_prefix('/') {
        Some(rest) => time(rest)?,
        None => (2 * 3_600, rest),
    };
    Some((Change { day, second }, rest))
}

/// At most three digits.
fn number(text: &str) -> Option<(u16, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits > 3 {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(line: &str) -> Vec<i32> {
        let rule = Rule::parse(line).expect("a rule");
        // The first of January, of July and of November 2026, at noon.
        [1_767_268_800, 1_782_907_200, 1_793_534_400].iter().map(|at| rule.offset(*at)).collect()
    }

    #[test]
    fn reads_what_systems_have() {
        assert_eq!(offsets("UTC0"), [0, 0, 0]);
        assert_eq!(offsets("<+0545>-5:45"), [20_700; 3]);
        assert_eq!(offsets("CET-1CEST,M3.5.0,M10.5.0/3"), [3_600, 7_200, 3_600]);
        assert_eq!(offsets("EST5EDT"), [-18_000, -14_400, -18_000]);
        assert_eq!(offsets("NZST-12NZDT,M9.5.0,M4.1.0/3"), [46_800, 43_200, 46_800], "the summer of the south");
        assert_eq!(offsets("IST-2IDT,M3.4.4/26,M10.5.0"), [7_200, 10_800, 7_200]);
        assert_eq!(offsets("AAA3BBB,J60/0,J300/0"), [-10_800, -7_200, -10_800]);
        assert_eq!(offsets("AAA3BBB,59/0,299/0"), [-10_800, -7_200, -10_800]);
    }

    #[test]
    fn a_change_happens_at_its_second() {
        let rule = Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule");
        // 2026-03-29 01:00 and 2026-10-25 01:00 UTC.
        for (change, before, after) in [(1_774_746_000, 3_600, 7_200), (1_792_890_000, 7_200, 3_600)] {
            assert_eq!((rule.offset(change - 1), rule.offset(change)), (before, after));
        }
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for line in ["", "C", "CET", "Europe/Berlin", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0", "CET-99999", "<A"]
        {
            assert_eq!(Rule::parse(line), None, "{line}");
        }
    }
}
