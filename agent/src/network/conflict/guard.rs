//! An address in use that somebody else claims (RFC 5227 §2.4): it is defended and reported, and never given up, for an
//! appliance that dropped it could be switched off by anybody with one packet. Times and claims in, what is to be said out.

use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use std::collections::VecDeque;

/// DEFEND_INTERVAL: two hosts that defend the same address shall not flood the link.
pub const DEFEND_INTERVAL_MS: u64 = 10_000;
/// Whether the other is still there is asked this often,
const ASK_EVERY_MS: u64 = 60_000;
/// and it counts as gone when it was not heard for so long.
const GONE_AFTER_MS: u64 = 3 * ASK_EVERY_MS + 5_000;
/// At the start it is asked twice: the first packet after a link has come up may be lost.
const ASK_AGAIN_MS: u64 = 2_000;

/// What is to be said to everybody on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Whether somebody else has the address, without a claim to it.
    Ask,
    /// Whose it is.
    Defend,
}

/// The machine.
#[derive(Debug)]
pub struct Guard {
    defended: Option<Millis>,
    conflict: Option<Heard>,
    ask_at: Option<Millis>,
    asks_left: u8,
    outbox: VecDeque<Say>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    by: Mac,
    at: Millis,
}

impl Guard {
    /// Of an address that this interface has.
    pub fn new(now: Millis) -> Guard {
        let mut guard =
            Guard { defended: None, conflict: None, ask_at: Some(now), asks_left: 2, outbox: VecDeque::new() };
        guard.handle_timeout(now);
        guard
    }

    /// Somebody else on the link was heard to claim the address.
    pub fn handle_claim(&mut self, now: Millis, by: Mac) {
        if self.conflict.is_none() {
            self.ask_at = Some(now + ASK_EVERY_MS);
        }
        self.conflict = Some(Heard { by, at: now });
        if self.defended.is_none_or(|at| now >= at + DEFEND_INTERVAL_MS) {
            self.defended = Some(now);
            self.outbox.push_back(Say::Defend);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.conflict.is_some_and(|heard| now >= heard.at + GONE_AFTER_MS) {
            self.conflict = None;
        }
        if self.ask_at.is_none_or(|at| now < at) {
            return;
        }
        self.outbox.push_back(Say::Ask);
        self.asks_left = self.asks_left.saturating_sub(1);
        self.ask_at = if self.conflict.is_some() {
            Some(now + ASK_EVERY_MS)
        } else {
            (self.asks_left > 0).then_some(now + ASK_AGAIN_MS)
        };
    }

    /// What is to be said next.
    pub fn poll_say(&mut self) -> Option<Say> {
        self.outbox.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted; never while all is well.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let gone = self.conflict.map(|heard| heard.at + GONE_AFTER_MS);
        [self.ask_at, gone].into_iter().flatten().min()
    }

    /// Who else has the address.
    pub fn conflict(&self) -> Option<Mac> {
        self.conflict.map(|heard| heard.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn said(guard: &mut Guard) -> Vec<Say> {
        std::iter::from_fn(|| guard.poll_say()).collect()
    }

    /// One that has asked at its start and heard nothing.
    fn quiet() -> Guard {
        let mut guard = Guard::new(Millis(0));
        let mut asked = said(&mut guard);
        while let Some(at) = guard.poll_timeout() {
            guard.handle_timeout(at);
            asked.extend(said(&mut guard));
        }
        assert_eq!(asked, [Say::Ask; 2]);
        assert_eq!(guard.conflict(), None);
        guard
    }

    #[test]
    fn without_a_conflict_it_sleeps() {
        let mut guard = quiet();
        assert_eq!((guard.conflict(), guard.poll_timeout(), said(&mut guard)), (None, None, vec![]));
    }

    #[test]
    fn a_claim_is_defended_once_in_ten_seconds_however_often_it_comes() {
        let mut guard = quiet();
        let mut defences = Vec::new();
        for now in (20_000..60_000).step_by(10) {
            guard.handle_claim(Millis(now), OTHER);
            defences.extend(said(&mut guard).into_iter().map(|say| (now, say)));
        }
        assert_eq!(defences, [20_000, 30_000, 40_000, 50_000].map(|at| (at, Say::Defend)));
        assert_eq!(guard.conflict(), Some(OTHER));
    }

    #[test]
    fn it_asks_whether_the_other_is_still_there_and_reports_the_end_when_not() {
        let mut guard = quiet();
        guard.handle_claim(Millis(20_000), OTHER);
        said(&mut guard);
        // As long as the other answers, it goes on.
        let mut now = Millis(20_000);
        for _ in 0..10 {
            now = guard.poll_timeout().expect("asks");
            guard.handle_timeout(now);
            assert_eq!(said(&mut guard), [Say::Ask]);
            guard.handle_claim(now, OTHER);
            assert_eq!(said(&mut guard).len(), 1, "the answer is defended against, once a minute");
        }
        let last = now;
        while guard.conflict().is_some() {
            now = guard.poll_timeout().expect("goes on asking");
            guard.handle_timeout(now);
        }
        assert_eq!(now.0 - last.0, GONE_AFTER_MS);
        // The question that was planned already is the last one.
        while let Some(at) = guard.poll_timeout() {
            guard.handle_timeout(at);
        }
        assert_eq!(guard.conflict(), None);
    }

    #[test]
    fn of_several_the_one_heard_last_is_named() {
        let mut guard = quiet();
        guard.handle_claim(Millis(20_000), OTHER);
        guard.handle_claim(Millis(21_000), Mac([3; 6]));
        assert_eq!(guard.conflict(), Some(Mac([3; 6])));
    }
}
