//! Whether an address is free, before it is taken (RFC 5227 §2.1, §2.3): times and packets in, packets and a verdict out.

use super::packet::{ArpPacket, Operation};
use muster_protocol::crypto::{Entropy, uniform};
use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The times of RFC 5227 §1.1, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// PROBE_WAIT: up to this long before the first probe, so that hosts that start together do not ask together.
    pub wait: u64,
    /// PROBE_NUM.
    pub probes: u8,
    /// PROBE_MIN, between two probes.
    pub min: u64,
    /// PROBE_MAX.
    pub max: u64,
    /// ANNOUNCE_WAIT: after the last probe an answer is still waited for.
    pub listen: u64,
    /// ANNOUNCE_NUM.
    pub announcements: u8,
    /// ANNOUNCE_INTERVAL.
    pub announce_every: u64,
}

impl Timing {
    /// Some 0.6 s. A host that is there answers within milliseconds; what is slower than this is found by `conflict::guard`.
    pub const FAST: Timing =
        Timing { wait: 50, probes: 3, min: 150, max: 200, listen: 200, announcements: 2, announce_every: 2_000 };

    /// As the RFC has it: 4 to 7 s.
    pub const FULL: Timing = Timing {
        wait: 1_000,
        probes: 3,
        min: 1_000,
        max: 2_000,
        listen: 2_000,
        announcements: 2,
        announce_every: 2_000,
    };

    /// Three probes in a time of one's own.
    pub fn within(total: Duration) -> Timing {
        let third = u64::try_from(total.as_millis()).unwrap_or(u64::MAX).min(60_000) / 3;
        Timing { wait: 0, min: third, max: third, listen: third, ..Timing::FAST }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has it.
    Free,
    /// This host has it, or asks for it at the same time.
    Taken(Mac),
}

/// The machine.
pub struct Probe {
    mac: Mac,
    address: Ipv4Addr,
    timing: Timing,
    rng: Entropy,
    step: Step,
    outbox: VecDeque<ArpPacket>,
}

enum Step {
    Probing { sent: u8, at: Millis },
    Decided(Verdict),
    Announcing { sent: u8, at: Millis },
    Announced,
}

impl Probe {
    /// Starts to ask at `now` for an interface with this MAC.
    pub fn new(now: Millis, mac: Mac, address: Ipv4Addr, timing: Timing, mut rng: Entropy) -> Probe {
        let at = now + uniform(&mut *rng, timing.wait + 1);
        let mut probe =
            Probe { mac, address, timing, rng, step: Step::Probing { sent: 0, at }, outbox: VecDeque::new() };
        probe.handle_timeout(now);
        probe
    }

    /// A packet was heard on the link.
    pub fn handle_packet(&mut self, packet: &ArpPacket) {
        if !matches!(self.step, Step::Probing { .. }) || packet.sender == self.mac {
            return;
        }
        let uses = packet.sender_address == self.address;
        let also_asks = packet.operation == Operation::Request
            && packet.sender_address.is_unspecified()
            && packet.target_address == self.address;
        if uses || also_asks {
            self.step = Step::Decided(Verdict::Taken(packet.sender));
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Millis) {
        match self.step {
            Step::Probing { sent, at } if at <= now => {
                if sent == self.timing.probes {
                    self.step = Step::Decided(Verdict::Free);
                    return;
                }
                self.outbox.push_back(ArpPacket::probe(self.mac, self.address));
                let sent = sent + 1;
                let pause = if sent == self.timing.probes {
                    self.timing.listen
                } else {
                    let spread = self.timing.max.saturating_sub(self.timing.min);
                    self.timing.min + uniform(&mut *self.rng, spread + 1)
                };
                self.step = Step::Probing { sent, at: now + pause };
            }
            Step::Announcing { sent, at } if at <= now => {
                if sent == self.timing.announcements {
                    self.step = Step::Announced;
                    return;
                }
                self.outbox.push_back(ArpPacket::announcement(self.mac, self.address));
                let sent = sent + 1;
                let last = sent == self.timing.announcements;
                self.step = if last {
                    Step::Announced
                } else {
                    Step::Announcing { sent, at: now + self.timing.announce_every }
                };
            }
            _ => {}
        }
    }

    /// The address is set: others' caches shall learn whose it is. Before the verdict this does nothing.
    pub fn announce(&mut self, now: Millis) {
        if self.verdict() == Some(Verdict::Free) {
            self.step = Step::Announcing { sent: 0, at: now };
            self.handle_timeout(now);
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<ArpPacket> {
        self.outbox.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Millis> {
        match self.step {
            Step::Probing { at, .. } | Step::Announcing { at, .. } => Some(at),
            Step::Decided(_) | Step::Announced => None,
        }
    }

    /// What came out, as soon as it is known.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.step {
            Step::Probing { .. } => None,
            Step::Decided(verdict) => Some(verdict),
            Step::Announcing { .. } | Step::Announced => Some(Verdict::Free),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const ELSE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

    fn start(timing: Timing) -> Probe {
        Probe::new(Millis(1_000), MAC, ADDRESS, timing, OsEntropy::boxed())
    }

    /// Lets time pass until nothing is due; when what was sent.
    fn run(probe: &mut Probe, from: Millis) -> (Vec<(u64, ArpPacket)>, Millis) {
        let (mut sent, mut now) = (Vec::new(), from);
        loop {
            while let Some(packet) = probe.poll_transmit() {
                sent.push((now.0, packet));
            }
            let Some(at) = probe.poll_timeout() else { return (sent, now) };
            now = at;
            probe.handle_timeout(now);
        }
    }

    #[test]
    fn a_free_address_is_asked_for_three_times_and_then_announced() {
        for timing in [Timing::FAST, Timing::FULL, Timing::within(Duration::from_millis(300))] {
            // Many draws, for the pauses are random.
            for _ in 0..100 {
                let mut probe = start(timing);
                let (sent, end) = run(&mut probe, Millis(1_000));
                assert_eq!(sent.len(), 3);
                assert!(sent.iter().all(|(_, packet)| *packet == ArpPacket::probe(MAC, ADDRESS)));
                assert!(sent[0].0 - 1_000 <= timing.wait);
                for pair in sent.windows(2) {
                    assert!((timing.min..=timing.max).contains(&(pair[1].0 - pair[0].0)), "{sent:?}");
                }
                assert_eq!(end.0 - sent[2].0, timing.listen);
                assert_eq!(probe.verdict(), Some(Verdict::Free));

                probe.announce(end);
                let (said, last) = run(&mut probe, end);
                let announcement = ArpPacket::announcement(MAC, ADDRESS);
                assert_eq!(said, [(end.0, announcement), (end.0 + timing.announce_every, announcement)]);
                assert_eq!(last.0, end.0 + timing.announce_every);
                assert_eq!(probe.verdict(), Some(Verdict::Free));
            }
        }
    }

    #[test]
    fn the_times_are_those_of_the_rfc_and_the_fast_ones_are_fast() {
        let longest = |t: Timing| t.wait + u64::from(t.probes - 1) * t.max + t.listen;
        assert_eq!(longest(Timing::FULL), 7_000);
        assert!(longest(Timing::FAST) <= 650);
        assert_eq!(longest(Timing::within(Duration::from_millis(1_200))), 1_200);
        assert_eq!(longest(Timing::within(Duration::ZERO)), 0);
    }

    #[test]
    fn whoever_uses_the_address_or_asks_for_it_too_has_it() {
        let reply = ArpPacket { operation: Operation::Reply, ..ArpPacket::announcement(OTHER, ADDRESS) };
        let talks = ArpPacket { target_address: ELSE, ..ArpPacket::announcement(OTHER, ADDRESS) };
        for packet in [reply, talks, ArpPacket::announcement(OTHER, ADDRESS), ArpPacket::probe(OTHER, ADDRESS)] {
            // At any moment of the asking, also before the first probe and after the last.
            for passed in 0..4 {
                let mut probe = start(Timing::FULL);
                for _ in 0..passed {
                    let at = probe.poll_timeout().filter(|_| probe.verdict().is_none());
                    if let Some(at) = at.filter(|_| passed < 4) {
                        probe.handle_timeout(at);
                    }
                }
                assert_eq!(probe.verdict(), None);
                probe.handle_packet(&packet);
                assert_eq!(probe.verdict(), Some(Verdict::Taken(OTHER)), "{packet:?} after {passed}");
                assert_eq!(probe.poll_timeout(), None);
                probe.announce(Millis(60_000));
                while let Some(sent) = probe.poll_transmit() {
                    assert_eq!(sent, ArpPacket::probe(MAC, ADDRESS), "a taken address is never announced");
                }
            }
        }
    }

    #[test]
    fn other_addresses_ones_own_packets_and_those_after_the_verdict_are_no_conflict() {
        let mut probe = start(Timing::FAST);
        let asks_for_it = ArpPacket { sender_address: ELSE, ..ArpPacket::probe(OTHER, ADDRESS) };
        let reply_of_a_prober = ArpPacket { operation: Operation::Reply, ..ArpPacket::probe(OTHER, ADDRESS) };
        for packet in [
            ArpPacket::probe(MAC, ADDRESS),
            ArpPacket::announcement(MAC, ADDRESS),
            ArpPacket::probe(OTHER, ELSE),
            ArpPacket::announcement(OTHER, ELSE),
            // Somebody wants to talk to whoever has it: that is nobody's claim.
            asks_for_it,
            reply_of_a_prober,
        ] {
            probe.handle_packet(&packet);
            assert_eq!(probe.verdict(), None, "{packet:?}");
        }
        let (_, end) = run(&mut probe, Millis(1_000));
        probe.handle_packet(&ArpPacket::announcement(OTHER, ADDRESS));
        assert_eq!(probe.verdict(), Some(Verdict::Free));
        probe.announce(end);
        probe.handle_packet(&ArpPacket::announcement(OTHER, ADDRESS));
        assert_eq!(run(&mut probe, end).0.len(), 2);
    }
}
