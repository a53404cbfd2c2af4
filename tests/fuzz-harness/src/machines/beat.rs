//! The appliance's clock for SecureBeat.

use crate::allocation::Held;
use crate::choices::Choices;
use crate::keys::boot;
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::beat::{Beat, Input, Output};
use muster_protocol::parameters::BEAT_INTERVAL_S;
use muster_protocol::time::Millis;

const MOST_STEPS: usize = 200;
const MOST_HELD: isize = 1_024;

/// Plays the choices.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut held = Held::default();
    let interval_s = u32::from(choices.short()) << choices.below(17);
    let mut run = Run {
        machine: held.count(|| Beat::new(interval_s, boot(1), Box::new(Seeded::new(1)))),
        held,
        now: Millis(0),
        started: false,
        counter: 0,
        taken: 0,
        last_sent: None,
        awaited: false,
    };
    for _ in 0..MOST_STEPS {
        if !choices.any() {
            break;
        }
        run.step(&mut choices);
    }
}

struct Run {
    machine: Beat,
    held: Held,
    now: Millis,
    started: bool,
    /// The beat that was sent last, and the last one that was taken.
    counter: u64,
    taken: u64,
    last_sent: Option<Millis>,
    awaited: bool,
}

impl Run {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(8) {
            0 => {
                self.machine.start(self.now);
                self.started = true;
            }
            1 => {
                self.machine.stop();
                self.started = false;
                (self.last_sent, self.awaited) = (None, false);
                assert_eq!(self.machine.poll_output(), None, "nothing after a stop");
            }
            2 => {
                let interval_s = u32::from(choices.short()) << choices.below(17);
                if self.is_awaited() {
                    self.taken = self.counter;
                }
                self.input(Input::Accepted { interval_s });
                self.awaited = false;
            }
            3 => {
                let retry_after_s = choices.yes().then(|| u32::from(choices.short()) << choices.below(17));
                self.input(Input::Failed { retry_after_s });
                self.awaited = false;
            }
            4 => self.wait(choices.wait_ms()),
            5 | 6 => {
                if let Some(at) = self.machine.poll_timeout() {
                    self.wait(at.since(self.now));
                }
            }
            _ => {
                let earlier = self.now - choices.wait_ms();
                self.held.count(|| self.machine.handle_timeout(earlier));
                self.drain();
            }
        }
        assert_eq!(self.machine.poll_timeout().is_some(), self.started, "it wakes up while it is to report");
        assert!(self.machine.interval_ms() >= u64::from(*BEAT_INTERVAL_S.start()) * 1_000);
        assert!(self.machine.interval_ms() <= u64::from(*BEAT_INTERVAL_S.end()) * 1_000);
    }

    /// An answer that comes too late is not waited for any more.
    fn is_awaited(&self) -> bool {
        let patience = self.machine.interval_ms().max(60_000);
        self.awaited && self.last_sent.is_some_and(|sent| self.now.since(sent) < patience)
    }

    fn input(&mut self, input: Input) {
        self.held.count(|| self.machine.handle_input(self.now, input));
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        let to = self.now + ms;
        for _ in 0..100 {
            let Some(at) = self.machine.poll_timeout().filter(|at| *at <= to) else { break };
            self.now = self.now.max(at);
            self.held.count(|| self.machine.handle_timeout(self.now));
            self.drain();
            let next = self.machine.poll_timeout();
            assert!(
                next.is_some_and(|next| next > self.now),
                "it wants to be woken at {next:?}, and it is {:?}",
                self.now
            );
        }
        // Beats of days are more of the same: from here on it is woken late.
        self.now = to;
        self.held.count(|| self.machine.handle_timeout(to));
        self.drain();
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.held.count(|| self.machine.poll_output()) {
            let (Output::Send { counter } | Output::Measure { counter }) = output;
            assert!(counter == self.counter || counter == self.counter + 1, "{counter} after {}", self.counter);
            outputs += 1;
            if let Output::Measure { counter } = output {
                assert!(counter > self.counter, "measured once");
                self.counter = counter;
                reached::mark("measured");
                continue;
            }
            assert!(counter > self.taken, "a beat that was taken is not sent again");
            if let Some(last) = self.last_sent {
                assert!(self.now.since(last) >= 500, "again after {} ms", self.now.since(last));
            }
            (self.counter, self.last_sent, self.awaited) = (counter, Some(self.now), true);
            reached::mark(if counter > 1 { "again" } else { "first" });
        }
        assert!(outputs <= 1, "one beat at a time");
        assert!(self.held.bytes() <= MOST_HELD, "it holds {} bytes", self.held.bytes());
    }
}
