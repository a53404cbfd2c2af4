//! How wide the next window is: as narrow as the answers that are expected, what this console verifies and its receive
//! buffer allow.

use super::Config;
use super::estimate::Stretch;

/// What the kernel charges for one queued answer; the default buffer of 212,992 bytes was measured to keep 166.
const BUFFER_PER_ANSWER: usize = 1_280;
/// The buffer of a system that has not said: Linux' default.
const DEFAULT_BUFFER: usize = 212_992;
/// Answers a second that a console verifies until it has said otherwise.
const DEFAULT_SPEED: f64 = 8_000.0;
/// Answers a second that a network carries until it has shown otherwise.
const FIRST_RATE: f64 = 16_000.0;
/// Below this rate answers do not get in each other's way; what is lost is lost for another reason.
const LEAST_RATE: f64 = 500.0;
/// Silence after a window until answers have shown that they travel longer.
const LEAST_SLACK_MS: u64 = 12;
/// A round with fewer answers of the sample says too little about what load does.
const LEAST_SAMPLE: usize = 16;
/// So much better must a slower round be to show that speed was the reason: two standard deviations of a sample of 32.
const BETTER: f64 = 0.17;

pub(super) struct Pace {
    least_ms: f64,
    max_ms: f64,
    /// Answers the receive buffer holds.
    capacity: f64,
    /// Answers a second that this console verifies.
    speed: f64,
    /// Answers a second that seem to come through.
    rate: f64,
    blame: Blame,
    slack_ms: u64,
    most_slack_ms: u64,
    /// Somebody answered after his round was over, since the last one ended.
    was_late: bool,
}

/// Why answers are lost. Loss by noise is no reason to ask more slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blame {
    Unknown,
    /// Slowed down, because of a round that came through with this chance.
    Speed {
        chance: f64,
    },
    /// Slower was no better.
    Noise {
        chance: f64,
    },
}

impl Pace {
    pub(super) fn new(config: &Config) -> Pace {
        let mut pace = Pace {
            least_ms: 1.0,
            max_ms: 1.0,
            capacity: 0.0,
            speed: DEFAULT_SPEED,
            rate: FIRST_RATE,
            blame: Blame::Unknown,
            slack_ms: LEAST_SLACK_MS,
            most_slack_ms: LEAST_SLACK_MS,
            was_late: false,
        };
        pace.set_receive_buffer(DEFAULT_BUFFER);
        pace.restart(config);
        pace
    }

    pub(super) fn restart(&mut self, config: &Config) {
        self.least_ms = f64::from(config.least_window_ms.max(1));
        self.max_ms = f64::from(config.max_window_ms).max(self.least_ms);
        self.rate = FIRST_RATE;
        self.blame = Blame::Unknown;
        // How far appliances are is the same as in the last discovery, so the slack stays.
        self.most_slack_ms = u64::from(config.slack_ms).max(LEAST_SLACK_MS);
        self.slack_ms = self.slack_ms.min(self.most_slack_ms);
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: usize) {
        self.capacity = (bytes / BUFFER_PER_ANSWER) as f64;
    }

    pub(super) fn set_speed(&mut self, answers_per_s: u32) {
        self.speed = f64::from(answers_per_s).max(LEAST_RATE);
    }

    /// How much silence after its windows ends a round.
    pub(super) fn slack_ms(&self) -> u64 {
        self.slack_ms
    }

    /// An answer came so long after the windows of a round that was over.
    pub(super) fn came_late(&mut self, by_ms: u64) {
        self.was_late = true;
        self.slack_ms = self.slack_ms.max(by_ms + by_ms / 4).min(self.most_slack_ms);
    }

    /// A round is over: where nobody was late, less silence will do.
    pub(super) fn calm_down(&mut self) {
        if !std::mem::take(&mut self.was_late) {
            self.slack_ms = (self.slack_ms - self.slack_ms / 8).max(LEAST_SLACK_MS);
        }
    }

    /// Learns from a round that is over: what its sample says, and how many were heard for the first time in the time its
    /// answers were spread over. Loss may come from asking for too much at once, or from noise. Only an experiment tells:
    /// the next round is asked for half as much, and if that does not help, speed was not the reason.
    pub(super) fn learn(&mut self, sampled: &Stretch, fresh: usize, span_ms: u64) {
        if sampled.sample < LEAST_SAMPLE {
            return;
        }
        let chance = sampled.chance();
        // What was offered, not what came through: the network may have been asked for far more than it carries.
        let offered = (sampled.answered + fresh) as f64 / chance * 1_000.0 / span_ms.max(1) as f64;
        match self.blame {
            _ if chance >= 0.9 || offered < LEAST_RATE => {}
            Blame::Speed { chance: before } if chance < before + BETTER => {
                self.blame = Blame::Noise { chance };
                self.rate = FIRST_RATE;
            }
            Blame::Noise { chance: noise } if chance >= noise - BETTER => {}
            _ => {
                self.blame = Blame::Speed { chance };
                self.rate = (self.rate.min(offered) / 2.0).max(LEAST_RATE);
            }
        }
    }

    /// The window for so many answers as are expected, or in bad luck.
    pub(super) fn window(&self, expected: f64, at_most: f64) -> u16 {
        let carried_ms = expected * 1_000.0 / self.rate.min(self.speed * 2.0);
        let read_ms = (at_most - self.capacity).max(0.0) * 1_000.0 / self.speed;
        carried_ms.max(read_ms).clamp(self.least_ms, self.max_ms) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&Config::default())
    }

    fn sampled(answered: usize) -> Stretch {
        Stretch { waves: 1, sample: 32, answered }
    }

    #[test]
    fn few_answers_need_a_narrow_window_and_many_a_wide_one() {
        let pace = pace();
        let least = Config::default().least_window_ms;
        assert_eq!(pace.window(0.0, 0.0), least);
        assert_eq!(pace.window(100.0, 100.0), least);
        assert!(pace.window(3_200.0, 3_200.0) >= 200);
        assert_eq!(pace.window(1e12, 1e12), Config::default().max_window_ms);
    }

    #[test]
    fn a_small_buffer_or_a_slow_console_widens_the_window() {
        let mut pace = pace();
        let small = pace.window(500.0, 3_000.0);
        pace.set_receive_buffer(8 << 20);
        let large = pace.window(500.0, 3_000.0);
        assert!(small > 2 * large, "{small} and {large}");
        pace.set_speed(1_000);
        assert!(pace.window(500.0, 3_000.0) > 2 * large);
    }

    #[test]
    fn loss_that_slowing_down_cures_keeps_the_network_slow() {
        let mut pace = pace();
        let before = pace.window(1_000.0, 0.0);
        pace.learn(&sampled(8), 500, 100);
        let slower = pace.window(1_000.0, 0.0);
        assert!(slower > before, "{before} then {slower}");
        pace.learn(&sampled(20), 500, 200);
        let slowest = pace.window(1_000.0, 0.0);
        assert!(slowest > slower, "{slower} then {slowest}");
        pace.learn(&sampled(31), 500, 400);
        assert_eq!(pace.window(1_000.0, 0.0), slowest);
    }

    #[test]
    fn loss_that_slowing_down_does_not_cure_is_noise() {
        let mut pace = pace();
        let before = pace.window(1_000.0, 0.0);
        for _ in 0..10 {
            pace.learn(&sampled(16), 500, 100);
            pace.learn(&sampled(17), 500, 200);
        }
        assert_eq!(pace.window(1_000.0, 0.0), before);
        // Unless it becomes much worse.
        pace.learn(&sampled(3), 500, 100);
        assert!(pace.window(1_000.0, 0.0) > before);
    }

    #[test]
    fn answers_that_come_late_are_waited_for_longer_and_in_time_less_again() {
        let mut pace = pace();
        assert_eq!(pace.slack_ms(), LEAST_SLACK_MS);
        pace.came_late(60);
        assert_eq!(pace.slack_ms(), 75);
        pace.calm_down();
        assert_eq!(pace.slack_ms(), 75, "that round had a late one");
        for _ in 0..50 {
            pace.calm_down();
        }
        assert_eq!(pace.slack_ms(), LEAST_SLACK_MS);
        pace.came_late(u64::MAX / 2);
        assert_eq!(pace.slack_ms(), u64::from(Config::default().slack_ms));
    }

    #[test]
    fn little_loss_few_answers_and_small_samples_teach_nothing() {
        let mut pace = pace();
        pace.learn(&sampled(30), 500, 100);
        pace.learn(&sampled(10), 2, 250);
        pace.learn(&Stretch { waves: 1, sample: 8, answered: 1 }, 500, 100);
        assert_eq!((pace.rate, pace.blame), (FIRST_RATE, Blame::Unknown));
    }
}
