//! The wall clock, read in one place.

use muster_protocol::time::UnixTime;
use std::time::SystemTime;

/// Seconds since 1970 by this machine's clock.
pub(crate) fn now() -> u64 {
    UnixTime::from_system(SystemTime::now()).0
}
