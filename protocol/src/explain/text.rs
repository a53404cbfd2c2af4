//! Values as text, safe for a terminal.

use data_encoding::HEXLOWER;

pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// In quotes, with everything escaped that a terminal would obey or not show.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `2026-11-24 03:15:00 UTC`.
pub(super) fn time(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    if seconds > LAST {
        return format!("{seconds} s after 1970, beyond the year 9999");
    }
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that the leap day is a year's last (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_790_000_000, "2026-09-21 14:13:20 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(time(seconds), text);
        }
        assert!(time(u64::MAX).contains("beyond"));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let shown = quoted("a\u{1b}[2J\u{9b}\u{202e}\"\n");
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown}");
    }
}
