//! An address in use that somebody else claims (RFC 5227 §2.4): it is defended and reported, and never given up, for an
//! appliance that dropped it could be switched off by anybody with one packet. Times and packets in, packets out.

use super::packet::ArpPacket;
use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// DEFEND_INTERVAL: two hosts that defend the same address shall not flood the link.
pub const DEFEND_INTERVAL_MS: u64 = 10_000;
/// Whether the other is still there is asked this often,
const ASK_EVERY_MS: u64 = 60_000;
/// and it counts as gone when it was not heard for so long.
const GONE_AFTER_MS: u64 = 3 * ASK_EVERY_MS + 5_000;
/// At the start it is asked twice: the first packet after a link has come up may be lost.
const ASK_AGAIN_MS: u64 = 2_000;

/// The machine.
#[derive(Debug)]
pub struct Guard {
    mac: Mac,
    address: Ipv4Addr,
    defended: Option<Millis>,
    conflict: Option<Heard>,
    ask_at: Option<Millis>,
    asks_left: u8,
    outbox: VecDeque<ArpPacket>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    by: Mac,
    at: Millis,
}

impl Guard {
    /// Of an address that this interface has.
    pub fn new(now: Millis, mac: Mac, address: Ipv4Addr) -> Guard {
        let mut guard = Guard {
            mac,
            address,
            defended: None,
            conflict: None,
            ask_at: Some(now),
            asks_left: 2,
            outbox: VecDeque::new(),
        };
        guard.handle_timeout(now);
        guard
    }

    /// True if the packet claims the address for somebody else.
    pub fn is_conflict(&self, packet: &ArpPacket) -> bool {
        packet.sender_address == self.address && packet.sender != self.mac
    }

    /// A packet was heard on the link.
    pub fn handle_packet(&mut self, now: Millis, packet: &ArpPacket) {
        if !self.is_conflict(packet) {
            return;
        }
        if self.conflict.is_none() {
            self.ask_at = Some(now + ASK_EVERY_MS);
        }
        self.conflict = Some(Heard { by: packet.sender, at: now });
        if self.defended.is_none_or(|at| now >= at + DEFEND_INTERVAL_MS) {
            self.defended = Some(now);
            self.outbox.push_back(ArpPacket::announcement(self.mac, self.address));
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
        self.outbox.push_back(ArpPacket::probe(self.mac, self.address));
        self.asks_left = self.asks_left.saturating_sub(1);
        self.ask_at = if self.conflict.is_some() {
            Some(now + ASK_EVERY_MS)
        } else {
            (self.asks_left > 0).then_some(now + ASK_AGAIN_MS)
        };
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<ArpPacket> {
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

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

    fn sent(guard: &mut Guard) -> Vec<ArpPacket> {
        std::iter::from_fn(|| guard.poll_transmit()).collect()
    }

    /// One that has asked at its start and heard nothing.
    fn quiet() -> Guard {
        let mut guard = Guard::new(Millis(0), MAC, ADDRESS);
        let mut asked = sent(&mut guard);
        while let Some(at) = guard.poll_timeout() {
            guard.handle_timeout(at);
            asked.extend(sent(&mut guard));
        }
        assert_eq!(asked, [ArpPacket::probe(MAC, ADDRESS); 2]);
        assert_eq!(guard.conflict(), None);
        guard
    }

    #[test]
    fn without_a_conflict_it_sleeps() {
        let mut guard = quiet();
        for packet in [
            ArpPacket::announcement(MAC, ADDRESS),
            ArpPacket::probe(OTHER, ADDRESS),
            ArpPacket::announcement(OTHER, Ipv4Addr::new(192, 0, 2, 11)),
        ] {
            guard.handle_packet(Millis(10_000), &packet);
        }
        assert_eq!((guard.conflict(), guard.poll_timeout(), sent(&mut guard)), (None, None, vec![]));
    }

    #[test]
    fn a_claim_is_defended_once_in_ten_seconds_however_often_it_comes() {
        let mut guard = quiet();
        let claim = ArpPacket::announcement(OTHER, ADDRESS);
        let mut defences = Vec::new();
        for now in (20_000..60_000).step_by(10) {
            guard.handle_packet(Millis(now), &claim);
            defences.extend(sent(&mut guard).into_iter().map(|packet| (now, packet)));
        }
        let defence = ArpPacket::announcement(MAC, ADDRESS);
        assert_eq!(defences, [20_000, 30_000, 40_000, 50_000].map(|at| (at, defence)));
        assert_eq!(guard.conflict(), Some(OTHER));
    }

    #[test]
    fn it_asks_whether_the_other_is_still_there_and_reports_the_end_when_not() {
        let mut guard = quiet();
        let claim = ArpPacket::announcement(OTHER, ADDRESS);
        guard.handle_packet(Millis(20_000), &claim);
        sent(&mut guard);
        // As long as the other answers, it goes on.
        let mut now = Millis(20_000);
        for _ in 0..10 {
            now = guard.poll_timeout().expect("asks");
            guard.handle_timeout(now);
            assert_eq!(sent(&mut guard), [ArpPacket::probe(MAC, ADDRESS)]);
            guard.handle_packet(now, &claim);
            assert_eq!(sent(&mut guard).len(), 1, "the answer is defended against, once a minute");
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
        guard.handle_packet(Millis(20_000), &ArpPacket::announcement(OTHER, ADDRESS));
        guard.handle_packet(Millis(21_000), &ArpPacket::announcement(Mac([3; 6]), ADDRESS));
        assert_eq!(guard.conflict(), Some(Mac([3; 6])));
    }
}
