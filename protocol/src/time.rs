//! Time as a number: saved, replayed and invented by tests.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// Milliseconds on a monotonic clock whose zero the driver chooses (usually its start).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Millis {
    type Output = Millis;
    fn add(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }
}

impl Sub<u64> for Millis {
    type Output = Millis;
    fn sub(self, ms: u64) -> Millis {
        Millis(self.0.saturating_sub(ms))
    }
}

/// Seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Converts a wall-clock reading that the caller took; times before 1970 become zero.
    pub fn from_system(time: std::time::SystemTime) -> UnixTime {
        UnixTime(time.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs()))
    }
}
