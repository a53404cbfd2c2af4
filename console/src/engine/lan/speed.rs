//! How many answers a second this console verifies, as it goes.

use std::time::Duration;

/// Fewer say more about the clock than about the console.
const LEAST: usize = 16;

/// A mean that forgets.
#[derive(Default)]
pub(super) struct Speed {
    per_s: Option<f64>,
}

impl Speed {
    /// So many datagrams took so long; the speed if that says something about it.
    pub(super) fn measured(&mut self, count: usize, took: Duration) -> Option<u32> {
        if count < LEAST || took.is_zero() {
            return None;
        }
        let now = count as f64 / took.as_secs_f64();
        let mean = self.per_s.map_or(now, |mean| mean * 0.9 + now * 0.1);
        self.per_s = Some(mean);
        Some(mean.min(1e9) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_follows_what_is_measured_and_ignores_single_datagrams() {
        let mut speed = Speed::default();
        assert_eq!(speed.measured(1, Duration::from_secs(1)), None);
        assert_eq!(speed.measured(100, Duration::ZERO), None);
        assert_eq!(speed.measured(100, Duration::from_millis(10)), Some(10_000));
        let slower = speed.measured(100, Duration::from_millis(100));
        assert_eq!(slower, Some(9_100));
    }
}
