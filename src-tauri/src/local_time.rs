//! The time on this computer's wall, for texts and for hours in which nobody is to be disturbed.
//!
//! The rules of the time zone come from the system's own files, read anew whenever they are needed: a laptop travels.

mod posix;

use posix::Rule;
use std::path::{Path, PathBuf};

/// Minutes of a day.
pub(crate) const DAY: u16 = 24 * 60;
const DAY_S: i64 = 86_400;

/// When local time is how far from UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// Since when (Unix seconds) which offset (seconds east) holds.
    transitions: Vec<(i64, i32)>,
    /// Before the first of them.
    first: i32,
    /// After the last of them.
    rule: Option<Rule>,
}

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
        // The first day of 1970 was a Thursday.
        usize::try_from((self.day + 3).rem_euclid(7)).unwrap_or_default()
    }

    /// `14:02`.
    pub(crate) fn time(self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    /// `2026-11-30`.
    pub(crate) fn date(self) -> String {
        let (year, month, day) = civil(self.day);
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl Zone {
    /// This computer's: the variable `TZ`, else `/etc/localtime`, else UTC.
    pub(crate) fn system() -> Self {
        let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
        let read = |path: &Path| Self::parse(&std::fs::read(path).ok()?);
        let zone = match named.as_deref().map(|name| name.strip_prefix(':').unwrap_or(name)) {
            None => read(Path::new("/etc/localtime")),
            Some(name) if name.starts_with('/') => read(Path::new(name)),
            Some(name) => {
                let file = PathBuf::from("/usr/share/zoneinfo").join(name);
                let rule = || Rule::parse(name).map(|rule| Self { rule: Some(rule), ..Self::utc() });
                read(&file).or_else(rule)
            }
        };
        zone.unwrap_or_else(Self::utc)
    }

    /// Universal time.
    pub(crate) fn utc() -> Self {
        Self { transitions: Vec::new(), first: 0, rule: None }
    }

    /// Reads a file in the form TZif (RFC 9636); `None` if it is not one.
    pub(crate) fn parse(file: &[u8]) -> Option<Self> {
        let (version, counts, body) = header(file)?;
        if version == 0 {
            return Self::read(&counts, body, 4);
        }
        // What was for 32 bits is told again for 64, with a rule for the time after it.
        let (_, counts, body) = header(body.get(counts.size(4)..)?)?;
        let mut zone = Self::read(&counts, body, 8)?;
        let footer = body.get(counts.size(8)..)?.strip_prefix(b"\n")?;
        let rule = footer.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
        zone.rule = rule.and_then(Rule::parse);
        Some(zone)
    }

    fn read(counts: &Counts, body: &[u8], width: usize) -> Option<Self> {
        let (times, rest) = body.split_at_checked(counts.times * width)?;
        let (kinds, rest) = rest.split_at_checked(counts.times)?;
        let types = rest.get(..counts.types * 6)?;
        let offset = |kind: usize| Some(i32::from_be_bytes(types.get(kind * 6..)?.first_chunk::<4>().copied()?));
        let mut transitions = Vec::with_capacity(counts.times);
        for (time, kind) in times.chunks_exact(width).zip(kinds) {
            let at = match width {
                4 => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
                _ => i64::from_be_bytes(time.try_into().ok()?),
            };
            transitions.push((at, offset(usize::from(*kind))?));
        }
        Some(Self { transitions, first: offset(0)?, rule: None })
    }

    /// What the wall says at a moment in Unix seconds.
    pub(crate) fn local(&self, at: u64) -> Local {
        let at = i64::try_from(at).unwrap_or(i64::MAX / 2);
        let local = at + i64::from(self.offset(at));
        let minute = u16::try_from(local.rem_euclid(DAY_S) / 60).unwrap_or_default();
        Local { day: local.div_euclid(DAY_S), minute }
    }

    /// When the wall says so, in Unix seconds. Of an hour that comes twice, the first; what a change of clocks leaves out
    /// is as long after midnight as it would have been.
    pub(crate) fn moment(&self, local: Local) -> u64 {
        let wanted = local.day * DAY_S + i64::from(local.minute) * 60;
        let (before, after) = (self.offset(wanted - DAY_S), self.offset(wanted + DAY_S));
        let says_so = |offset: i32| {
            let at = wanted - i64::from(offset);
            (self.offset(at) == offset).then_some(at)
        };
        let at = says_so(before).or_else(|| says_so(after)).unwrap_or(wanted - i64::from(before));
        u64::try_from(at).unwrap_or_default()
    }

    /// A moment as people at `now` write it: the time, and the date if it is another day's.
    pub(crate) fn written(&self, at: u64, now: u64) -> String {
        let (at, now) = (self.local(at), self.local(now));
        if at.day == now.day { at.time() } else { format!("{} {}", at.date(), at.time()) }
    }

    fn offset(&self, at: i64) -> i32 {
        let after = self.transitions.partition_point(|(since, _)| *since <= at);
        match (&self.rule, after.checked_sub(1)) {
            (Some(rule), _) if after == self.transitions.len() => rule.offset(at),
            (_, Some(last)) => self.transitions[last].1,
            (_, None) => self.first,
        }
    }
}

/// How much there is of what in a TZif block.
struct Counts {
    universal: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    names: usize,
}

impl Counts {
    fn size(&self, width: usize) -> usize {
        self.times * (width + 1)
            + self.types * 6
            + self.names
            + self.leaps * (width + 4)
            + self.standard
            + self.universal
    }
}

/// Version, counts, and what follows.
fn header(file: &[u8]) -> Option<(u8, Counts, &[u8])> {
    let (head, body) = file.split_at_checked(44)?;
    let head = head.strip_prefix(b"TZif")?;
    let mut counts = head[16..].chunks_exact(4).map(|count| {
        let count = count.iter().fold(0_usize, |count, byte| count << 8 | usize::from(*byte));
        // No zone has more of anything.
        count.min(1 << 16)
    });
    let mut next = || counts.next().unwrap_or_default();
    let (universal, standard, leaps) = (next(), next(), next());
    let counts = Counts { universal, standard, leaps, times: next(), types: next(), names: next() };
    Some((head[0], counts, body))
}

/// Year, month and day of a day since 1970-01-01.
fn civil(day: i64) -> (i64, u8, u8) {
    // Years begin in March, eras are 400 of them: http://howardhinnant.github.io/date_algorithms.html
    let z = day + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u8::try_from(value).unwrap_or_default();
    (year, small(month), small(of_year - (153 * from_march + 2) / 5 + 1))
}

/// The day since 1970-01-01 of the first of a month.
fn first_of(year: i64, month: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (i64::from(month) + 9) % 12;
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Central European time, with its changes in March and October.
    pub(crate) fn europe() -> Zone {
        Zone { rule: Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3"), ..Zone::utc() }
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

    #[test]
    fn reads_the_systems_files_in_both_forms() {
        // One transition in version 1 and the same in version 2, with a rule for what follows.
        let block = |width: usize| {
            let mut file = b"TZif2".to_vec();
            file.resize(20, 0);
            for count in [0_u32, 0, 0, 1, 2, 4] {
                file.extend(count.to_be_bytes());
            }
            file.extend(&1_000_000_i64.to_be_bytes()[8 - width..]);
            file.push(1);
            for offset in [0_i32, 3_600] {
                file.extend(offset.to_be_bytes());
                file.extend([0, 0]);
            }
            file.extend(b"XXX\0");
            file
        };
        let mut new = block(4);
        new.extend(block(8));
        new.extend(b"\nCET-1CEST,M3.5.0,M10.5.0/3\n");
        let zone = Zone::parse(&new).expect("a zone");
        assert_eq!(zone.offset(999_999), 0);
        assert_eq!(zone.offset(1_782_907_200), 7_200, "the rule holds after the last transition");
        let mut old = block(4);
        old[4] = 0;
        assert_eq!(Zone::parse(&old).map(|zone| (zone.offset(999_999), zone.offset(1_000_000))), Some((0, 3_600)));
        for length in 0..new.len() {
            // Nothing to check but that it does not panic: the last bytes are the rule alone.
            let _ = Zone::parse(&new[..length]);
        }
        assert_eq!(Zone::parse(b"TZif"), None);
    }
}
