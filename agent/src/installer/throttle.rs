//! The bandwidth limit: how long to wait after bytes have come.

use std::time::Duration;

/// Lets through so many bytes a second, over any time that is longer than a moment.
#[derive(Debug)]
pub struct Throttle {
    rate: Option<u64>,
    /// When what came until now would be through, since the start.
    through: Duration,
}

/// What may come at once after a pause: else a pause would be made up for by a flood.
const MOMENT: Duration = Duration::from_millis(200);

impl Throttle {
    /// Bytes a second; none: no limit.
    pub fn new(rate: Option<u64>) -> Throttle {
        Throttle { rate: rate.map(|rate| rate.max(1)), through: Duration::ZERO }
    }

    /// `bytes` have come at `now`, measured from the start: how long to wait before more are read.
    pub fn took(&mut self, now: Duration, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let begun = self.through.max(now.saturating_sub(MOMENT));
        self.through = begun + Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate);
        self.through.saturating_sub(now)
    }

    /// How many bytes are read at once at most: a tenth of a second's.
    pub fn portion(&self) -> usize {
        self.rate.map_or(usize::MAX, |rate| usize::try_from(rate / 10).unwrap_or(usize::MAX).max(512))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that came within a simulated time, in portions.
    fn within(rate: u64, time: Duration, portion: usize, pause_at: Option<Duration>) -> u64 {
        let mut throttle = Throttle::new(Some(rate));
        let (mut now, mut came, mut paused) = (Duration::ZERO, 0, false);
        while now < time {
            came += portion as u64;
            now += throttle.took(now, portion);
            if !paused && pause_at.is_some_and(|at| now >= at) {
                (now, paused) = (now + Duration::from_secs(5), true);
            }
        }
        came
    }

    #[test]
    fn no_more_comes_than_the_limit_allows_and_hardly_less() {
        let ten = Duration::from_secs(10);
        for portion in [1, 512, 1400, 16_384] {
            let came = within(100_000, ten, portion, None);
            assert!((980_000..=1_050_000).contains(&came), "{portion}: {came}");
        }
        let after_a_pause = within(100_000, ten, 1400, Some(Duration::from_secs(2)));
        assert!(after_a_pause <= 550_000, "a pause is not made up for: {after_a_pause}");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut throttle = Throttle::new(None);
        assert_eq!(throttle.took(Duration::ZERO, usize::MAX), Duration::ZERO);
        assert_eq!(throttle.portion(), usize::MAX);
        assert_eq!(Throttle::new(Some(0)).portion(), 512, "and a limit of nothing is not a division by nothing");
    }
}
