//! How fast packets of deliveries leave, so that a large job does not flood switches and receive buffers.
//!
//! This only smooths: how many are under way at all follows what the network answers (`jobs::window`).

use std::time::Duration;
use tokio::time::Instant;

/// 10,000 packets a second are 50 Mbit/s.
const INTERVAL: Duration = Duration::from_micros(100);
/// Packets that may leave at once after a pause.
const BURST: u32 = 64;

/// A packet each [`INTERVAL`], [`BURST`] ahead.
pub(super) struct Pace {
    /// When the next packet would leave if all had left evenly.
    next: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace { next: now }
    }

    /// True if a packet may leave now; then it counts as sent.
    pub(super) fn may_send(&mut self, now: Instant) -> bool {
        let ahead = INTERVAL * BURST;
        if self.next > now + ahead {
            return false;
        }
        self.next = self.next.max(now) + INTERVAL;
        true
    }

    /// When a packet may leave again.
    pub(super) fn next(&self) -> Instant {
        self.next - INTERVAL * BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_at_once_and_the_rest_evenly() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let burst = (0..10_000).take_while(|_| pace.may_send(start)).count();
        assert_eq!(burst, BURST as usize + 1);
        assert!(pace.next() > start && pace.next() <= start + INTERVAL);
        let later = start + Duration::from_secs(1);
        let sent = (0..10_000).take_while(|_| pace.may_send(later)).count();
        assert_eq!(sent, BURST as usize + 1, "a pause gives no more than a burst");
    }
}
