//! How many deliveries may be under way at the same time, by what the network and the NOC answer.
//!
//! Of those that wait for an answer to a packet: more while answers come in time, half as many when packets are lost, as
//! TCP does (RFC 5681). Of those that were kick-started and wait for their first beat: a fixed number, so that a NOC gets
//! new appliances as fast as it takes them in, however many the job has.

use super::active::Waits;

/// Waiting for an answer at first, at least and at most. The least is what a network with much loss needs to go on.
const FIRST: usize = 128;
const LEAST: usize = 64;
const MOST: usize = 1_024;
/// Waiting for their first beat: what a NOC takes in half a second, so that hardly any has to be asked again.
const MOST_CONFIRMING: usize = 256;
/// An answer that takes longer stood in a queue.
const IN_TIME_MS: u64 = 250;

/// The window and what is in it.
pub(super) struct Window {
    size: usize,
    /// Grows with every answer until the first loss, then by one for a whole window of answers.
    lossless: bool,
    answers: usize,
    /// Losses count once in a window of answers: they come together.
    deaf: usize,
    sending: usize,
    confirming: usize,
}

impl Window {
    pub(super) fn new() -> Window {
        Window { size: FIRST, lossless: true, answers: 0, deaf: 0, sending: 0, confirming: 0 }
    }

    /// True if one more may begin.
    pub(super) fn has_room(&self) -> bool {
        self.sending < self.size && self.sending + self.confirming < self.size + MOST_CONFIRMING
    }

    /// A delivery waits for something else now.
    pub(super) fn moved(&mut self, from: Waits, to: Waits) {
        match from {
            Waits::Answer => self.sending = self.sending.saturating_sub(1),
            Waits::Beat => self.confirming = self.confirming.saturating_sub(1),
            Waits::Nothing => {}
        }
        match to {
            Waits::Answer => self.sending += 1,
            Waits::Beat => self.confirming += 1,
            Waits::Nothing => {}
        }
    }

    /// An appliance answered its packet, after so many milliseconds.
    pub(super) fn answered(&mut self, took_ms: u64) {
        self.deaf = self.deaf.saturating_sub(1);
        if took_ms > IN_TIME_MS {
            return;
        }
        self.answers += 1;
        if self.lossless || self.answers >= self.size {
            self.answers = 0;
            self.size = (self.size + 1).min(MOST);
        }
    }

    /// A packet had to be sent again.
    pub(super) fn lost(&mut self) {
        self.lossless = false;
        if self.deaf == 0 {
            self.size = (self.size / 2).max(LEAST);
            self.deaf = self.size;
            self.answers = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_answers_come_and_shrinks_once_for_losses_that_come_together() {
        let mut window = Window::new();
        for _ in 0..300 {
            window.answered(20);
            window.answered(IN_TIME_MS + 1);
        }
        assert_eq!(window.size, FIRST + 300, "late answers do not count");
        for _ in 0..50 {
            window.lost();
        }
        assert_eq!(window.size, (FIRST + 300) / 2);
        let halved = window.size;
        for _ in 0..halved {
            window.answered(20);
        }
        assert_eq!(window.size, halved + 1, "slowly after a loss");
        window.lost();
        assert_eq!(window.size, halved.div_ceil(2));
        for _ in 0..100_000 {
            window.lost();
            window.answered(20);
        }
        assert_eq!(window.size, LEAST);
        let mut endless = Window::new();
        (0..10_000).for_each(|_| endless.answered(20));
        assert_eq!(endless.size, MOST);
    }

    #[test]
    fn first_beats_that_do_not_come_hold_back_what_has_not_begun() {
        let mut window = Window::new();
        let mut begun = 0;
        while window.has_room() {
            window.moved(Waits::Nothing, Waits::Answer);
            window.moved(Waits::Answer, Waits::Beat);
            begun += 1;
        }
        assert_eq!(begun, FIRST + MOST_CONFIRMING);
        window.moved(Waits::Beat, Waits::Nothing);
        assert!(window.has_room());
        (0..FIRST).for_each(|_| window.moved(Waits::Nothing, Waits::Answer));
        assert!(!window.has_room());
    }
}
