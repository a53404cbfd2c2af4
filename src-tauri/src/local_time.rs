//! The time on this computer's wall, for texts and for hours in which nobody is to be disturbed.
//!
//! The rules of the time zone come from the system's own files, looked for anew every few minutes: a laptop travels.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Minutes of a day.
pub(crate) const DAY: u16 = 24 * 60;
/// Days are counted from here.
const FIRST: Date = Date::constant(1970, 1, 1);

/// When local time is how far from UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

/// A moment on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Local {
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    /// Minutes since midnight.
    pub(crate) minute: u16,
}

impl Local {
    /// 0 for Monday.
    pub(crate) fn weekday(self) -> usize {
        usize::try_from(self.on().weekday().to_monday_zero_offset()).unwrap_or_default()
    }

    /// `14:02`.
    pub(crate) fn time(self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    /// `2026-11-30`.
    pub(crate) fn date(self) -> String {
        self.on().to_string()
    }

    fn on(self) -> Date {
        FIRST.saturating_add(self.day.clamp(0, 2_932_896).days())
    }
}

impl Zone {
    /// This computer's: the variable `TZ`, else `/etc/localtime`, else UTC.
    pub(crate) fn system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// What the wall says at a moment in Unix seconds.
    pub(crate) fn local(&self, at: u64) -> Local {
        let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(Timestamp::MAX);
        let wall = self.0.to_datetime(at);
        let day = wall.date().duration_since(FIRST).as_hours() / 24;
        let minute =
            u16::try_from(wall.hour()).unwrap_or_default() * 60 + u16::try_from(wall.minute()).unwrap_or_default();
        Local { day, minute }
    }

    /// When the wall says so, in Unix seconds. Of an hour that comes twice, the first; what a change of clocks leaves out
    /// is as long after midnight as it would have been.
    pub(crate) fn moment(&self, local: Local) -> u64 {
        let wall = local.on().at(0, 0, 0, 0).saturating_add(i64::from(local.minute).minutes());
        let at = self.0.to_timestamp(wall).map(Timestamp::as_second).unwrap_or_default();
        u64::try_from(at).unwrap_or_default()
    }

    /// A moment as people at `now` write it: the time, and the date if it is another day's.
    pub(crate) fn written(&self, at: u64, now: u64) -> String {
        let (at, now) = (self.local(at), self.local(now));
        if at.day == now.day { at.time() } else { format!("{} {}", at.date(), at.time()) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Central European time, with its changes in March and October.
    pub(crate) fn europe() -> Zone {
        Zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone"))
    }

    #[test]
    fn says_what_the_wall_says() {
        let zone = europe();
        // 2026-11-30 14:02 there; date -u -d @1796043720.
        let winter = zone.local(1_796_043_720);
        assert_eq!((winter.date(), winter.time(), winter.weekday()), ("2026-11-30".to_owned(), "14:02".to_owned(), 0));
        let summer = zone.local(1_782_907_200);
        assert_eq!((summer.date(), summer.time(), summer.weekday()), ("2026-07-01".to_owned(), "14:00".to_owned(), 2));
        assert_eq!(zone.written(1_796_043_720, 1_796_050_000), "14:02");
        assert_eq!(zone.written(1_796_043_720, 1_796_043_720 + 86_400), "2026-11-30 14:02");
        assert_eq!(
            zone.local(u64::MAX).date(),
            "9999-12-30",
            "the end of what can be written, a day before it in any zone"
        );
    }

    #[test]
    fn every_moment_comes_back_but_in_the_hour_that_comes_twice() {
        let zone = europe();
        for hour in 0..(2 * 366 * 24) {
            let at = 1_767_225_600 + hour * 3_600;
            let back = zone.moment(zone.local(at));
            assert!(back == at || back + 3_600 == at, "{at} came back as {back}");
        }
    }

    #[test]
    fn a_time_that_is_left_out_comes_later() {
        let zone = europe();
        // 2026-03-29 02:30 does not exist there: 03:30 does.
        let day = zone.local(1_774_742_400).day;
        let at = zone.moment(Local { day, minute: 150 });
        assert_eq!(zone.local(at).time(), "03:30");
    }
}
