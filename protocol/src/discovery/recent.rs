//! The pings of the last 30 s: what an answer may answer.

use crate::crypto::keys::OpenKey;
use crate::id::{PingId, Uid};
use crate::time::Millis;
use crate::wire::Peer;
use crate::wire::ping::Ping;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An answer to an older ping comes from a recording.
const RECENT_MS: u64 = 30_000;
/// More pings than 30 s of rounds in a network of 65,536 appliances take; the oldest go first.
const MAX_PINGS: usize = 8_192;
/// Answers remembered in all; whoever can sign could otherwise fill the memory from invented addresses.
const MAX_ANSWERS: usize = 4 * super::MAX_APPLIANCES;
/// Ways one answer may come: some interfaces, two protocols.
const MAX_PEERS: usize = 8;

/// Which part of which discovery a ping was.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) run: u32,
    pub(super) round: usize,
    pub(super) wave: usize,
}

/// A ping, and who answered it.
pub(super) struct Asked {
    pub(super) ping: Ping,
    /// None for a directed ping.
    pub(super) part: Option<Part>,
    /// Opens the settings in its answers.
    pub(super) open_key: Option<OpenKey>,
    pub(super) answered: BTreeSet<(Uid, Peer)>,
}

#[derive(Default)]
pub(super) struct RecentPings {
    asked: BTreeMap<PingId, Asked>,
    order: VecDeque<(Millis, PingId)>,
    answers: usize,
}

impl RecentPings {
    pub(super) fn insert(&mut self, now: Millis, asked: Asked) {
        if self.order.len() >= MAX_PINGS {
            self.drop_oldest();
        }
        self.order.push_back((now, asked.ping.id));
        self.asked.insert(asked.ping.id, asked);
    }

    pub(super) fn forget_old(&mut self, now: Millis) {
        while self.order.front().is_some_and(|(sent, _)| now.since(*sent) > RECENT_MS) {
            self.drop_oldest();
        }
    }

    /// True if an answer by this appliance to this ping over this way is worth a signature check.
    pub(super) fn expects(&self, ping: &PingId, uid: &Uid, peer: &Peer) -> bool {
        let Some(asked) = self.asked.get(ping) else { return false };
        let ways = asked.answered.range((*uid, first_peer())..).take_while(|(other, _)| other == uid).count();
        self.answers < MAX_ANSWERS
            && ways < MAX_PEERS
            && !asked.answered.contains(&(*uid, *peer))
            && asked.ping.asks(uid)
    }

    /// Remembers a verified answer.
    pub(super) fn answered(&mut self, ping: &PingId, uid: Uid, peer: Peer) -> Option<&Asked> {
        let asked = self.asked.get_mut(ping)?;
        if asked.answered.insert((uid, peer)) {
            self.answers += 1;
        }
        Some(asked)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_front()
            && let Some(asked) = self.asked.remove(&id)
        {
            self.answers -= asked.answered.len();
        }
    }
}

fn first_peer() -> Peer {
    Peer { interface: 0, address: std::net::SocketAddr::from(([0, 0, 0, 0], 0)) }
}
