//! The wall clock, read in one place.

use muster_protocol::time::UnixTime;
use std::time::{Duration, SystemTime};

/// Seconds since 1970 by this machine's clock.
pub(crate) fn now() -> u64 {
    UnixTime::from_system(SystemTime::now()).0
}

/// The same in milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long this machine has been asleep since it started: what the monotonic clock does not count.
#[cfg(target_os = "linux")]
pub(crate) fn asleep() -> Duration {
    let read = |clock| nix::time::clock_gettime(clock).map(Duration::from).unwrap_or_default();
    // In this order a moment between the two readings counts as sleep of microseconds, never as negative.
    let awake = read(nix::time::ClockId::CLOCK_MONOTONIC);
    read(nix::time::ClockId::CLOCK_BOOTTIME).saturating_sub(awake)
}

/// Not told by this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn asleep() -> Duration {
    Duration::ZERO
}
