//! Quiet hours: what happens in them is told at their end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Hours of every day in which only escalations are told. What else happens is summed up at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Their beginning, in minutes after midnight.
    #[schema(minimum = 0, maximum = 1439)]
    pub from: u16,
    /// Their end, in minutes after midnight; earlier than the beginning for hours over midnight.
    #[schema(minimum = 0, maximum = 1439)]
    pub to: u16,
    /// The zone's minutes ahead of UTC.
    #[serde(default)]
    #[schema(minimum = -840, maximum = 840)]
    pub offset: i16,
}

const DAY: i64 = 86_400;

impl Quiet {
    /// Whether these are hours.
    pub(crate) fn is_good(&self) -> bool {
        self.from < 1440 && self.to < 1440 && self.from != self.to && self.offset.abs() <= 840
    }

    /// When the quiet hours end that a time is in; none when it is in none.
    pub(crate) fn until(&self, now: u64) -> Option<u64> {
        let local = i64::try_from(now).ok()? + i64::from(self.offset) * 60;
        let second = local.rem_euclid(DAY);
        let (from, to) = (i64::from(self.from) * 60, i64::from(self.to) * 60);
        let is_quiet = if from < to { (from..to).contains(&second) } else { second >= from || second < to };
        is_quiet.then(|| now + (to - second).rem_euclid(DAY) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_end_also_after_midnight_and_in_other_zones() {
        let at = |hour: u64, minute: u64| 20_000 * 86_400 + hour * 3_600 + minute * 60;
        let night = Quiet { from: 22 * 60, to: 6 * 60, offset: 0 };
        assert_eq!(night.until(at(21, 59)), None);
        assert_eq!(night.until(at(22, 0)), Some(at(30, 0)));
        assert_eq!(night.until(at(5, 59)), Some(at(6, 0)));
        assert_eq!(night.until(at(6, 0)), None, "the end is no part of them");
        let noon = Quiet { from: 12 * 60, to: 13 * 60, offset: 0 };
        assert_eq!((noon.until(at(12, 30)), noon.until(at(13, 0))), (Some(at(13, 0)), None));
        // 22:00 in Kolkata is 16:30 UTC.
        let kolkata = Quiet { offset: 330, ..night };
        assert_eq!(kolkata.until(at(16, 29)), None);
        assert_eq!(kolkata.until(at(16, 30)), Some(at(24, 30)));
        let west = Quiet { offset: -600, ..night };
        assert_eq!(west.until(at(8, 0)), Some(at(16, 0)));
        assert_eq!(night.until(0), Some(6 * 3_600));
        for bad in [Quiet { from: 1440, ..night }, Quiet { to: 22 * 60, ..night }, Quiet { offset: 841, ..night }] {
            assert!(!bad.is_good(), "{bad:?}");
        }
    }
}
