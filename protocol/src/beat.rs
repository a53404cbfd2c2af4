//! The appliance's clock for SecureBeat: when to report (seed, status daemon 54).
//!
//! The first beat comes at once where a configuration waits for it: whoever kick-starts sees to it that not all of a fleet
//! do so together. Otherwise, as when the power comes back to a site, it comes within seconds, at random. Later ones are an
//! interval apart, a little off the beat so that a fleet that started together spreads out.
//!
//! A beat that the NOC did not take is repeated under its own number, ever more slowly, so that a NOC that comes back is not
//! run over; but never more slowly than beats come, so that nobody is taken for silent because the NOC was away. When an
//! interval has passed, the next number is due, taken or not: what had the number before is history, which the driver keeps
//! and delivers later ([`crate::api::Beat::earlier`]).

mod counted;

pub use counted::Counted;

use crate::crypto::{Entropy, uniform};
use crate::id::BootId;
use crate::parameters::BEAT_INTERVAL_S;
use crate::time::Millis;
use std::collections::VecDeque;

/// The first beat comes within this time of a start that nobody spread out.
const FIRST_WITHIN_MS: u64 = 10_000;
/// Retries are never closer than this, whatever the dice say.
const QUICKEST_RETRY_MS: u64 = 500;
/// The NOC cannot put an appliance to sleep for longer.
const LONGEST_RETRY_AFTER_S: u32 = 86_400;

/// What came of the last [`Output::Send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The NOC took the beat.
    Accepted {
        /// Seconds between beats from now on; values outside [`BEAT_INTERVAL_S`] count as the nearest inside.
        interval_s: u32,
    },
    /// It did not arrive, or was refused.
    Failed {
        /// The least wait that the NOC asked for.
        retry_after_s: Option<u32>,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Report now, and answer with an [`Input`].
    Send {
        /// Numbers the beats of this boot from 1; a repetition has the number of what it repeats.
        counter: u64,
    },
    /// The NOC is away or wants to be left alone, and a beat is due: measure for the history.
    Measure {
        /// Its number; the next [`Output::Send`] may have it, too.
        counter: u64,
    },
}

/// The machine.
pub struct Beat {
    interval_ms: u64,
    boot: BootId,
    rng: Entropy,
    now: Millis,
    counter: u64,
    phase: Phase,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Stopped,
    /// A new beat is due at a time.
    Waiting(Millis),
    /// Sent at a time; nothing came of it yet. Third try has `failures: 2`.
    Sent {
        at: Millis,
        failures: u32,
        numbered: Millis,
    },
    /// To be sent again. The present number was given at `numbered`.
    Retrying {
        at: Millis,
        failures: u32,
        numbered: Millis,
    },
}

impl Beat {
    /// A machine at rest.
    pub fn new(interval_s: u32, boot: BootId, rng: Entropy) -> Beat {
        Beat {
            interval_ms: interval_ms(interval_s),
            boot,
            rng,
            now: Millis(0),
            counter: 0,
            phase: Phase::Stopped,
            outputs: VecDeque::new(),
        }
    }

    /// Begins to report. Does nothing if it already does. A whole fleet may start at this moment, as when the power comes
    /// back, so the first beat is spread out.
    pub fn start(&mut self, now: Millis) {
        let within = if self.interval_ms < 2 * FIRST_WITHIN_MS { self.interval_ms / 2 } else { FIRST_WITHIN_MS };
        self.start_within(now, within);
    }

    /// Begins to report with a beat now, because a configuration waits for it. Does nothing if it already reports.
    pub fn start_at_once(&mut self, now: Millis) {
        self.start_within(now, 0);
    }

    fn start_within(&mut self, now: Millis, within_ms: u64) {
        self.now = self.now.max(now);
        if self.phase == Phase::Stopped {
            self.phase = Phase::Waiting(self.now + uniform(&mut self.rng, within_ms + 1));
        }
    }

    /// Reports no more. Counters go on when it starts again.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.outputs.clear();
    }

    /// This run of the agent; with the counter it names a beat.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Milliseconds between beats now.
    pub fn interval_ms(&self) -> u64 {
        self.interval_ms
    }

    /// Takes what came of the last beat. Ignored when no answer is awaited.
    pub fn handle_input(&mut self, now: Millis, input: Input) {
        self.now = self.now.max(now);
        let Phase::Sent { at, failures, numbered } = self.phase else { return };
        match input {
            Input::Accepted { interval_s } => {
                self.interval_ms = interval_ms(interval_s);
                // From the sending, so that a slow answer does not slow the beat; but never at once again.
                let next = (at + self.jittered_interval()).max(self.now + QUICKEST_RETRY_MS);
                self.phase = Phase::Waiting(next);
            }
            Input::Failed { retry_after_s } => self.retry(failures, numbered, retry_after_s),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.now = self.now.max(now);
        match self.phase {
            Phase::Waiting(at) if at <= self.now => {
                self.counter = self.counter.saturating_add(1);
                self.send(0, self.now);
            }
            Phase::Retrying { at, failures, numbered } => {
                let is_next_due = numbered + self.interval_ms <= self.now;
                let numbered = if is_next_due { self.now } else { numbered };
                if is_next_due {
                    self.counter = self.counter.saturating_add(1);
                }
                if at <= self.now {
                    self.send(failures, numbered);
                } else if is_next_due {
                    self.outputs.push_back(Output::Measure { counter: self.counter });
                    self.phase = Phase::Retrying { at, failures, numbered };
                }
            }
            // A driver that never says what came of it must not end the beats.
            Phase::Sent { at, failures, numbered } if at + self.answer_within_ms() <= self.now => {
                self.retry(failures, numbered, None);
                // By now the next number is due.
                self.handle_timeout(now);
            }
            _ => {}
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        match self.phase {
            Phase::Stopped => None,
            Phase::Waiting(at) => Some(at),
            Phase::Retrying { at, numbered, .. } => Some(at.min(numbered + self.interval_ms)),
            Phase::Sent { at, .. } => Some(at + self.answer_within_ms()),
        }
    }

    fn send(&mut self, failures: u32, numbered: Millis) {
        self.outputs.push_back(Output::Send { counter: self.counter });
        self.phase = Phase::Sent { at: self.now, failures, numbered };
    }

    fn retry(&mut self, failures: u32, numbered: Millis, retry_after_s: Option<u32>) {
        let doubled = (self.interval_ms / 4).saturating_mul(1 << failures.min(32)).min(self.interval_ms);
        let jitter = uniform(&mut self.rng, doubled + 1).max(QUICKEST_RETRY_MS);
        let asked = u64::from(retry_after_s.unwrap_or(0).min(LONGEST_RETRY_AFTER_S)) * 1_000;
        // On top of what the NOC asked for: all were given the same number.
        let (at, failures) = (self.now + asked + jitter, failures.saturating_add(1));
        self.phase = Phase::Retrying { at, failures, numbered };
    }

    fn jittered_interval(&mut self) -> u64 {
        self.interval_ms - self.interval_ms / 10 + uniform(&mut self.rng, self.interval_ms / 5 + 1)
    }

    fn answer_within_ms(&self) -> u64 {
        self.interval_ms.max(60_000)
    }
}

fn interval_ms(interval_s: u32) -> u64 {
    u64::from(interval_s.clamp(*BEAT_INTERVAL_S.start(), *BEAT_INTERVAL_S.end())) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::TestRng;
    use proptest::prelude::*;

    fn beat(interval_s: u32, seed: u64) -> Beat {
        Beat::new(interval_s, BootId([1; 16]), Box::new(TestRng::new(seed)))
    }

    /// Runs to the next wake-up; when it was, and what came out.
    fn step(beat: &mut Beat) -> (Millis, Option<Output>) {
        let at = beat.poll_timeout().expect("started");
        beat.handle_timeout(at);
        (at, beat.poll_output())
    }

    #[test]
    fn the_first_beat_comes_soon_and_spread_out() {
        let firsts = |interval| {
            (0..50).map(move |seed| {
                let mut beat = beat(interval, seed);
                beat.start(Millis(1_000));
                step(&mut beat).0.0 - 1_000
            })
        };
        assert!(firsts(60).all(|ms| ms <= 10_000));
        assert!(firsts(60).any(|ms| ms < 3_000) && firsts(60).any(|ms| ms > 7_000));
        assert!(firsts(5).all(|ms| ms <= 2_500));
        assert!(firsts(86_400).all(|ms| ms <= 10_000));
    }

    #[test]
    fn a_beat_that_a_configuration_waits_for_comes_at_once() {
        for seed in 0..10 {
            let mut beat = beat(60, seed);
            beat.start_at_once(Millis(1_000));
            assert_eq!(step(&mut beat), (Millis(1_000), Some(Output::Send { counter: 1 })));
            beat.start_at_once(Millis(2_000));
            assert_eq!(beat.poll_output(), None, "it reports already");
        }
    }

    #[test]
    fn beats_are_an_interval_apart_give_or_take_a_tenth() {
        let mut beat = beat(60, 1);
        beat.start(Millis(0));
        let (mut last, output) = step(&mut beat);
        assert_eq!(output, Some(Output::Send { counter: 1 }));
        for counter in 2..100 {
            beat.handle_input(last + 400, Input::Accepted { interval_s: 60 });
            let (at, output) = step(&mut beat);
            assert_eq!(output, Some(Output::Send { counter }));
            assert!((54_000..=66_000).contains(&at.since(last)), "{}", at.since(last));
            last = at;
        }
    }

    #[test]
    fn a_beat_that_fails_is_repeated_more_and_more_slowly_under_its_number() {
        let mut longest = [0; 12];
        for seed in 0..100 {
            let mut beat = beat(60, seed);
            beat.start(Millis(0));
            let (mut last, _) = step(&mut beat);
            let (mut counter, mut numbered) = (1, last);
            for (i, longest) in longest.iter_mut().enumerate() {
                beat.handle_input(last, Input::Failed { retry_after_s: None });
                let sent = loop {
                    match step(&mut beat) {
                        (at, Some(Output::Send { counter: sent })) => {
                            if sent > counter {
                                assert!(at.since(numbered) >= 60_000, "a new number before its time");
                                numbered = at;
                            }
                            counter = sent;
                            break at;
                        }
                        (at, Some(Output::Measure { counter: measured })) => {
                            assert_eq!((measured, at.since(numbered)), (counter + 1, 60_000));
                            (counter, numbered) = (measured, at);
                        }
                        (at, None) => panic!("woken for nothing at {at:?}"),
                    }
                };
                assert!(sent.since(numbered) < 60_000, "the number is of this interval");
                assert!((500..=(15_000 << i).min(60_000)).contains(&sent.since(last)));
                *longest = sent.since(last).max(*longest);
                last = sent;
            }
            beat.handle_input(last, Input::Accepted { interval_s: 60 });
            assert_eq!(step(&mut beat).1, Some(Output::Send { counter: counter + 1 }));
        }
        assert!(longest[0] > 13_000 && longest[11] > 56_000, "jitter uses the whole range: {longest:?}");
    }

    #[test]
    fn the_history_goes_on_at_its_pace_while_the_noc_wants_to_be_left_alone() {
        let mut beat = beat(60, 7);
        beat.start(Millis(0));
        let (sent, _) = step(&mut beat);
        beat.handle_input(sent, Input::Failed { retry_after_s: Some(600) });
        for counter in 2..=11 {
            let (at, output) = step(&mut beat);
            assert_eq!((at.since(sent), output), ((counter - 1) * 60_000, Some(Output::Measure { counter })));
        }
        let (at, output) = step(&mut beat);
        assert!((600_000..=615_000).contains(&at.since(sent)));
        assert_eq!(output, Some(Output::Send { counter: 11 }));
    }

    /// What a NOC sees of a fleet that waited for it: no more in any second than beats spread evenly, and some.
    #[test]
    fn a_noc_that_comes_back_is_not_run_over() {
        const FLEET: u64 = 2_000;
        let back = Millis(3_600_000);
        let mut seconds = [0_u32; 60];
        for seed in 0..FLEET {
            let mut beat = beat(60, seed);
            beat.start(Millis(0));
            loop {
                let (at, output) = step(&mut beat);
                let Some(Output::Send { .. }) = output else { continue };
                if at >= back {
                    seconds[(at.since(back) / 1_000) as usize] += 1;
                    break;
                }
                // A refused connection fails at once: the hardest case.
                beat.handle_input(at, Input::Failed { retry_after_s: None });
            }
        }
        assert_eq!(seconds.iter().sum::<u32>() as u64, FLEET, "all are back within an interval");
        // Waits are even between nothing and the interval, so twice the even share is expected at once after the return.
        let even = (FLEET / 60) as u32;
        assert!(seconds.iter().all(|sent| *sent < 3 * even), "{seconds:?}");
    }

    #[test]
    fn retry_after_is_obeyed_within_reason() {
        for (asked, least) in [(120, 120_000), (u32::MAX, 86_400_000)] {
            let mut beat = beat(60, 3);
            beat.start(Millis(0));
            let (sent, _) = step(&mut beat);
            beat.handle_input(sent, Input::Failed { retry_after_s: Some(asked) });
            let again = std::iter::repeat_with(|| step(&mut beat))
                .find(|(_, output)| matches!(output, Some(Output::Send { .. })));
            let wait = again.expect("tries on").0.since(sent);
            assert!((least..=least + 15_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn the_noc_changes_the_interval_within_its_bounds() {
        for (given, least, most) in [(5, 4_500, 5_500), (0, 4_500, 5_500), (u32::MAX, 77_760_000, 95_040_000)] {
            let mut beat = beat(60, 4);
            beat.start(Millis(0));
            let (sent, _) = step(&mut beat);
            beat.handle_input(sent, Input::Accepted { interval_s: given });
            let wait = beat.poll_timeout().expect("waits").since(sent);
            assert!((least..=most).contains(&wait), "{given}: {wait}");
        }
    }

    #[test]
    fn a_lost_answer_of_the_driver_does_not_end_the_beats() {
        let mut beat = beat(60, 5);
        beat.start(Millis(0));
        step(&mut beat);
        assert_eq!(step(&mut beat).1, Some(Output::Measure { counter: 2 }), "an interval has passed");
        assert_eq!(step(&mut beat).1, Some(Output::Send { counter: 2 }));
    }

    #[test]
    fn stopped_is_silent_and_a_new_start_counts_on() {
        let mut beat = beat(60, 6);
        assert_eq!(beat.poll_timeout(), None);
        beat.start(Millis(0));
        step(&mut beat);
        beat.stop();
        beat.handle_input(Millis(9), Input::Accepted { interval_s: 60 });
        beat.handle_timeout(Millis(1_000_000));
        assert_eq!((beat.poll_timeout(), beat.poll_output()), (None, None));
        beat.start(Millis(1_000_000));
        assert_eq!(step(&mut beat).1, Some(Output::Send { counter: 2 }));
    }

    proptest! {
        #[test]
        fn any_sequence_is_harmless_and_beats_go_on(
            seed: u64,
            interval: u32,
            steps in prop::collection::vec((0_u8..6, any::<u32>(), any::<u64>()), 0..40),
        ) {
            let mut beat = beat(interval, seed);
            let mut running = false;
            for (kind, number, now) in steps {
                // Times go to and fro, but not to the end of time, where nothing can follow.
                let now = Millis(now >> 16);
                match kind {
                    0 => { beat.start(now); running = true; }
                    1 => { beat.stop(); running = false; }
                    2 => beat.handle_input(now, Input::Accepted { interval_s: number }),
                    3 => beat.handle_input(now, Input::Failed { retry_after_s: Some(number) }),
                    4 => beat.handle_input(now, Input::Failed { retry_after_s: None }),
                    _ => beat.handle_timeout(now),
                }
                let sent = std::iter::from_fn(|| beat.poll_output()).count();
                prop_assert!(sent <= 1);
                prop_assert_eq!(beat.poll_timeout().is_some(), running);
            }
        }
    }
}
