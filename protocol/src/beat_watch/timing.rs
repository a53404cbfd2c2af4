//! When an appliance is late, silent, and well again.

use super::BeatWatch;
use crate::id::{SiteId, Uid};
use crate::parameters::BEAT_INTERVAL_S;

/// The least grace that follows an interval, unless a site says how long its grace is.
const LEAST_GRACE_MS: u64 = 15_000;

/// The times of `monitoring.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// What follows an interval before an appliance is late; none for a quarter of the interval, at least 15 s.
    pub grace_ms: Option<u64>,
    /// Silent after so many intervals and the grace; at least 1.
    pub miss_intervals: u32,
    /// So many beats in a row in time end an alert; at least 1.
    pub recover_beats: u32,
    /// An appliance that has not reported within this time of its kick-start is an alert.
    pub never_reported_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { grace_ms: None, miss_intervals: 3, recover_beats: 2, never_reported_ms: 300_000 }
    }
}

impl Timing {
    /// From a beat until the appliance is late.
    pub(super) fn late_after(&self, interval_ms: u64) -> u64 {
        interval_ms.saturating_add(self.grace_ms.unwrap_or(LEAST_GRACE_MS.max(interval_ms / 4)))
    }

    /// From a beat until it is silent.
    pub(super) fn silent_after(&self, interval_ms: u64) -> u64 {
        let further = interval_ms.saturating_mul(u64::from(self.miss_intervals.max(1) - 1));
        further.saturating_add(self.late_after(interval_ms))
    }
}

/// An interval as it may be.
pub(super) fn interval_ms(interval_s: u32) -> u64 {
    u64::from(interval_s.clamp(*BEAT_INTERVAL_S.start(), *BEAT_INTERVAL_S.end())) * 1_000
}

impl BeatWatch {
    /// From a beat of an appliance until it is silent, milliseconds; 0 for one that beats are not expected of.
    pub fn silent_after(&self, uid: &Uid) -> u64 {
        self.watched.get(uid).map_or(0, |watched| self.timing(watched.site).silent_after(watched.interval_ms))
    }

    pub(super) fn timing(&self, site: SiteId) -> Timing {
        self.timings.get(&site).copied().unwrap_or(self.rules.timing)
    }

    pub(super) fn set_timing(&mut self, site: SiteId, timing: Option<Timing>) {
        let before = self.timing(site);
        match timing {
            Some(timing) => self.timings.insert(site, timing),
            None => self.timings.remove(&site),
        };
        if self.timing(site) == before {
            return;
        }
        let uids: Vec<Uid> = self.of_site(site);
        for uid in uids {
            self.schedule(uid);
        }
    }
}
