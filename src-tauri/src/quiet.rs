//! When nobody is to be disturbed.

use crate::local_time::{DAY, Local, Zone};
use muster_console::view::{DoNotDisturb, NotificationSettings, QuietHours};

/// Nobody is to be disturbed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// By the switch: until then, in Unix seconds.
    Until(u64),
    /// By the switch: until somebody switches it off.
    Open,
    /// By the hour: until then.
    Hours(u64),
}

impl Quiet {
    /// Whether it is so at `now`, and until when as far as is known.
    pub(crate) fn of(settings: &NotificationSettings, zone: &Zone, now: u64) -> Option<Self> {
        let switched = match settings.do_not_disturb {
            DoNotDisturb::On => return Some(Self::Open),
            DoNotDisturb::Until { at } => Some(u64::from(at)).filter(|at| now < *at),
            DoNotDisturb::Off => None,
        };
        let hours = settings.quiet_hours.as_ref().and_then(|hours| end(hours, zone, now));
        match switched {
            Some(at) => Some(Self::Until(hours.map_or(at, |hours| at.max(hours)))),
            None => hours.map(Self::Hours),
        }
    }
}

/// When the hours that hold at `now` end.
fn end(hours: &QuietHours, zone: &Zone, now: u64) -> Option<u64> {
    let today = zone.local(now).day;
    [today - 1, today].into_iter().find_map(|day| {
        let begins = Local { day, minute: hours.from };
        if !hours.days.iter().any(|wanted| usize::from(*wanted) == begins.weekday()) {
            return None;
        }
        let ends = Local { day: if hours.to > hours.from { day } else { day + 1 }, minute: hours.to };
        let (begins, ends) = (zone.moment(begins), zone.moment(ends));
        (begins <= now && now < ends).then_some(ends)
    })
}

/// What is wrong with hours that somebody typed.
pub(crate) fn fault(hours: &QuietHours) -> Option<&'static str> {
    if hours.from >= DAY || hours.to >= DAY {
        Some("a time of the day is 00:00 to 23:59")
    } else if hours.days.iter().any(|day| *day > 6) {
        Some("a day of the week is 0 to 6")
    } else if hours.days.is_empty() {
        Some("no day is chosen")
    } else if hours.from == hours.to {
        Some("they end when they begin")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_time::tests::europe;

    /// 2026-11-30, a Monday, at a time there.
    fn monday(hour: u64, minute: u64) -> u64 {
        1_795_993_200 + hour * 3_600 + minute * 60
    }

    fn hours(from: u16, to: u16, days: &[u8]) -> NotificationSettings {
        let quiet_hours = Some(QuietHours { from, to, days: days.to_vec() });
        NotificationSettings { quiet_hours, ..NotificationSettings::default() }
    }

    fn quiet(settings: &NotificationSettings, now: u64) -> Option<Quiet> {
        Quiet::of(settings, &europe(), now)
    }

    #[test]
    fn hours_of_one_day() {
        let noon = hours(12 * 60, 13 * 60, &[0]);
        let ends = Some(Quiet::Hours(monday(13, 0)));
        assert_eq!(
            [(11, 59), (12, 0), (12, 59), (13, 0), (36, 30)].map(|(hour, minute)| quiet(&noon, monday(hour, minute))),
            [None, ends, ends, None, None]
        );
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_they_begin() {
        let night = hours(22 * 60, 6 * 60, &[0]);
        let ends = Some(Quiet::Hours(monday(30, 0)));
        assert_eq!(
            [(5, 0), (21, 59), (22, 0), (29, 59), (30, 0), (46, 0)]
                .map(|(hour, minute)| quiet(&night, monday(hour, minute))),
            [None, None, ends, ends, None, None]
        );
    }

    #[test]
    fn hours_follow_a_change_of_clocks() {
        // The night of 2026-03-28, a Saturday: it has one hour less.
        let night = hours(22 * 60, 6 * 60, &[5]);
        let begins = 1_774_731_600;
        assert_eq!(quiet(&night, begins - 1), None);
        assert_eq!(quiet(&night, begins), Some(Quiet::Hours(begins + 7 * 3_600)));
    }

    #[test]
    fn the_switch_holds_for_itself_and_the_later_end_counts() {
        let mut settings = hours(12 * 60, 13 * 60, &[0]);
        settings.do_not_disturb = DoNotDisturb::On;
        assert_eq!(quiet(&settings, monday(3, 0)), Some(Quiet::Open));
        let at = |hour| u32::try_from(monday(hour, 0)).expect("before 2106");
        settings.do_not_disturb = DoNotDisturb::Until { at: at(14) };
        assert_eq!(quiet(&settings, monday(12, 30)), Some(Quiet::Until(monday(14, 0))));
        settings.do_not_disturb = DoNotDisturb::Until { at: at(12) };
        assert_eq!(quiet(&settings, monday(12, 30)), Some(Quiet::Hours(monday(13, 0))));
        assert_eq!(quiet(&settings, monday(13, 0)), None);
    }

    #[test]
    fn what_are_no_hours_is_said() {
        let said = |from, to, days: &[u8]| fault(&QuietHours { from, to, days: days.to_vec() });
        assert_eq!(said(0, 1_439, &[0, 6]), None);
        for (from, to, days) in [(1_440, 0, &[0][..]), (0, 1_440, &[0]), (0, 60, &[]), (60, 60, &[0]), (0, 60, &[7])] {
            assert!(said(from, to, days).is_some(), "{from} {to} {days:?}");
        }
    }
}
