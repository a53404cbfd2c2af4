//! How wide the next window is: as narrow as the answers that are expected and the receive buffer allow.

use super::Config;
use super::round::Round;

/// What the kernel charges for one queued answer; the default buffer of 212,992 bytes was measured to keep 166.
const BUFFER_PER_ANSWER: usize = 1_280;
/// The buffer of a system that has not said: Linux' default.
const DEFAULT_BUFFER: usize = 212_992;
/// Answers a second that a console reads and verifies with ease.
const READ_PER_S: f64 = 4_000.0;
/// Answers a second that a network carries until it has shown otherwise.
const FIRST_RATE: f64 = 8_000.0;
/// Below this rate answers do not get in each other's way; what is lost is lost for another reason.
const LEAST_RATE: f64 = 100.0;

pub(super) struct Pace {
    first_ms: f64,
    max_ms: f64,
    /// Answers the receive buffer holds.
    capacity: f64,
    /// Answers a second that seem to come through. Halved by every round with loss.
    rate: f64,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Pace {
        let first_ms = f64::from(config.first_window_ms.max(1));
        let mut pace = Pace { first_ms, max_ms: first_ms, capacity: 0.0, rate: FIRST_RATE };
        pace.set_receive_buffer(DEFAULT_BUFFER);
        pace.restart(config);
        pace
    }

    pub(super) fn restart(&mut self, config: &Config) {
        self.max_ms = f64::from(config.max_window_ms).max(self.first_ms);
        self.rate = FIRST_RATE;
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: usize) {
        self.capacity = (bytes / BUFFER_PER_ANSWER) as f64;
    }

    /// Learns from a round that is over.
    pub(super) fn learn(&mut self, round: Option<&Round>) {
        let Some(round) = round.filter(|round| round.is_lossy() && round.window_ms > 0) else { return };
        let counts = round.counts();
        // What was offered, not what came through: the network may have been asked for far more than it carries.
        let offered = (counts.answered + counts.fresh) as f64 / counts.chance();
        let offered_rate = offered * round.waves() as f64 * 1_000.0 / f64::from(round.window_ms);
        self.rate = (self.rate.min(offered_rate) / 2.0).max(LEAST_RATE);
    }

    /// The window of `next`.
    pub(super) fn window(&self, before: &[Round], found: usize, next: &Round) -> u16 {
        let measured = before.iter().any(|round| !round.sample.is_empty());
        // One round says nothing about its own loss: expect as many again.
        let unheard = if measured { super::round::unheard(before) } else { found as f64 };
        let unheard = unheard.min(super::MAX_APPLIANCES as f64);
        let answers = (unheard + next.sample.len() as f64) * next.waves() as f64;
        let carried_ms = answers * 1_000.0 / self.rate;
        let read_ms = (answers - self.capacity).max(0.0) * 1_000.0 / READ_PER_S;
        carried_ms.max(read_ms).clamp(self.first_ms, self.max_ms) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(sample: u8, answered: u8, fresh: usize) -> Round {
        let uids = |n: u8| (0..n).map(|i| crate::id::Uid([i; 20])).collect();
        Round { window_ms: 250, sample: uids(sample), answered: vec![uids(answered)], fresh }
    }

    #[test]
    fn the_first_window_is_the_configured_one() {
        let pace = Pace::new(&Config::default());
        assert_eq!(pace.window(&[], 0, &round(0, 0, 0)), 250);
    }

    #[test]
    fn many_answers_and_a_small_buffer_widen_the_window() {
        let mut pace = Pace::new(&Config::default());
        let first = round(0, 0, 3_000);
        let small = pace.window(std::slice::from_ref(&first), 3_000, &round(32, 0, 0));
        pace.set_receive_buffer(8 << 20);
        let large = pace.window(&[first], 3_000, &round(32, 0, 0));
        assert!(small > large && large > 250, "{small} and {large}");
    }

    #[test]
    fn loss_widens_the_window_up_to_the_limit() {
        let mut pace = Pace::new(&Config::default());
        let rounds = [round(0, 0, 500), round(32, 16, 400)];
        let before = pace.window(&rounds, 900, &round(32, 0, 0));
        pace.learn(rounds.last());
        let after = pace.window(&rounds, 900, &round(32, 0, 0));
        assert!(after > before, "{before} then {after}");
        for _ in 0..50 {
            pace.learn(rounds.last());
        }
        assert_eq!(pace.window(&rounds, 60_000, &round(32, 0, 0)), 4_000);
        // A quiet network stays quick, whatever was lost.
        assert!(pace.window(&[round(0, 0, 3), round(2, 1, 0), round(2, 2, 0)], 3, &round(2, 0, 0)) <= 300);
    }

    #[test]
    fn a_round_without_loss_teaches_nothing() {
        let mut pace = Pace::new(&Config::default());
        pace.learn(Some(&round(32, 31, 500)));
        pace.learn(None);
        assert_eq!(pace.rate, FIRST_RATE);
    }
}
