//! Whom a ping asks, found for thousands of appliances without asking each.
//!
//! On a real network every appliance reads every ping and most see that they are not asked. One process that is four
//! thousand of them would do nothing else: it hashes each identity once for a salt and hands a ping only to those that
//! would not ignore it.

use muster_protocol::id::Uid;
use muster_protocol::wire::ping::{Ping, heard_hash};
use std::collections::VecDeque;

/// Salts remembered: the waves of a round, and of the round before.
const SALTS: usize = 8;

/// A ping, read once for all.
#[derive(Debug)]
pub(super) struct Question {
    /// What it asks.
    ping: Ping,
    /// The hashes it lists, ascending.
    heard: Vec<[u8; 4]>,
}

impl Question {
    pub(super) fn new(ping: Ping) -> Question {
        let mut heard: Vec<[u8; 4]> =
            ping.heard.chunks_exact(4).map(|hash| [hash[0], hash[1], hash[2], hash[3]]).collect();
        heard.sort_unstable();
        Question { ping, heard }
    }
}

/// Some appliances' identities.
pub(super) struct Register {
    uids: Vec<Uid>,
    /// By salt, newest last: the identities' hashes, ordered by shard.
    by_salt: VecDeque<([u8; 8], Vec<Entry>)>,
}

struct Entry {
    shard: u16,
    hash: [u8; 4],
    number: usize,
}

impl Register {
    pub(super) fn new(uids: Vec<Uid>) -> Register {
        Register { uids, by_salt: VecDeque::new() }
    }

    /// The places, in the order of [`Register::new`], of those whom a ping asks.
    pub(super) fn asked(&mut self, question: &Question) -> Vec<usize> {
        let ping = &question.ping;
        if let Some(only) = &ping.only {
            return self.uids.iter().position(|uid| uid == only).into_iter().collect();
        }
        let entries = self.entries(&ping.salt);
        let free = 16 - u32::from(ping.shard.bits.min(16));
        let shard = |entry: &Entry| u32::from(entry.shard) >> free;
        let first = entries.partition_point(|entry| shard(entry) < u32::from(ping.shard.index));
        let mine = entries[first..].iter().take_while(|entry| shard(entry) == u32::from(ping.shard.index));
        mine.filter(|entry| question.heard.binary_search(&entry.hash).is_err()).map(|entry| entry.number).collect()
    }

    fn entries(&mut self, salt: &[u8; 8]) -> &[Entry] {
        let known = self.by_salt.iter().position(|(other, _)| other == salt);
        let at = known.unwrap_or_else(|| {
            if self.by_salt.len() >= SALTS {
                self.by_salt.pop_front();
            }
            self.by_salt.push_back((*salt, entries(salt, &self.uids)));
            self.by_salt.len() - 1
        });
        &self.by_salt[at].1
    }
}

fn entries(salt: &[u8; 8], uids: &[Uid]) -> Vec<Entry> {
    let entry = |(number, uid)| {
        let [a, b, c, d, e, f] = heard_hash(salt, uid);
        Entry { shard: u16::from_be_bytes([e, f]), hash: [a, b, c, d], number }
    };
    let mut entries: Vec<Entry> = uids.iter().enumerate().map(entry).collect();
    entries.sort_unstable_by_key(|entry| entry.shard);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::id::PingId;
    use muster_protocol::wire::ping::Shard;

    fn ping(salt: u8, bits: u8, index: u16) -> Ping {
        Ping {
            id: PingId([1; 16]),
            window_ms: 100,
            salt: [salt; 8],
            shard: Shard { bits, index },
            heard: Vec::new(),
            only: None,
            reply_key: None,
            credential: None,
        }
    }

    #[test]
    fn those_found_are_exactly_those_that_would_not_ignore_the_ping() {
        let uids: Vec<Uid> = (0..500_u16)
            .map(|n| Uid([n.to_be_bytes(), n.to_le_bytes()].concat().repeat(5).try_into().expect("20 bytes")))
            .collect();
        let mut register = Register::new(uids.clone());
        let mut asked_in_all = 0;
        for salt in 0..20 {
            for (bits, index) in [(0, 0), (0, 1), (1, 0), (1, 1), (3, 5), (6, 63), (6, 64), (16, 9)] {
                let mut ping = ping(salt, bits, index);
                ping.heard = uids[..100].iter().flat_map(|uid| heard_hash(&ping.salt, uid)[..4].to_vec()).collect();
                let expected: Vec<usize> = (0..uids.len()).filter(|number| ping.asks(&uids[*number])).collect();
                let mut found = register.asked(&Question::new(ping));
                found.sort_unstable();
                assert_eq!(found, expected, "salt {salt}, shard {index} of {bits} bits");
                asked_in_all += found.len();
            }
        }
        assert!(asked_in_all > 20 * 400, "{asked_in_all}");
        let only = Ping { only: Some(uids[7]), ..ping(1, 0, 0) };
        assert_eq!(register.asked(&Question::new(only)), [7]);
        let nobody = Ping { only: Some(Uid([0xff; 20])), ..ping(1, 0, 0) };
        assert_eq!(register.asked(&Question::new(nobody)), [0_usize; 0]);
    }
}
