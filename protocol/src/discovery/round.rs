//! What a round asks: whom it lists, whom it samples, how it is split into pings.

use super::estimate::{Counts, SMALL_SAMPLE};
use crate::crypto::{random, uniform};
use crate::id::{PingId, Uid};
use crate::time::Millis;
use crate::wire::ping::{MAX_HEARD, Ping, Shard, heard_hash};
use rand_core::CryptoRng;
use std::collections::{BTreeSet, VecDeque};

/// Most heard appliances that are asked again to measure loss. 32 tell a chance of one half to within a tenth.
const MAX_SAMPLE: usize = 32;
/// Pings are sent so many at once, this far apart: appliances have small receive buffers, too.
const BATCH: usize = 16;
const BATCH_MS: u64 = 20;
/// The second wave of a round follows the first after this time, so that one burst of noise does not hit both.
const WAVE_MS: u64 = 40;

/// One round of this discovery.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Its window.
    pub(super) window_ms: u16,
    /// The heard who are asked again.
    pub(super) sample: BTreeSet<Uid>,
    /// Those of them who answered, for each wave: everybody is asked once in each.
    pub(super) answered: Vec<BTreeSet<Uid>>,
    /// Appliances heard for the first time.
    pub(super) fresh: usize,
}

/// A ping that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) at: Millis,
    pub(super) wave: usize,
    pub(super) ping: Ping,
}

/// How many are probably still unheard after these rounds.
pub(super) fn unheard(rounds: &[Round]) -> f64 {
    super::estimate::unheard(&rounds.iter().flat_map(Round::measurements).collect::<Vec<_>>())
}

impl Round {
    /// The round as a whole: who answered any of its waves.
    pub(super) fn counts(&self) -> Counts {
        let answered: BTreeSet<&Uid> = self.answered.iter().flatten().collect();
        Counts { sample: self.sample.len(), answered: answered.len(), fresh: self.fresh }
    }

    pub(super) fn count_answer(&mut self, wave: usize, uid: Uid, fresh: bool) {
        if fresh {
            self.fresh += 1;
        } else if self.sample.contains(&uid)
            && let Some(answered) = self.answered.get_mut(wave)
        {
            answered.insert(uid);
        }
    }

    /// How often everybody was asked.
    pub(super) fn waves(&self) -> usize {
        self.answered.len()
    }

    /// True if one answer of the sample in ten, or more, was lost.
    pub(super) fn is_lossy(&self) -> bool {
        let asked = self.sample.len() * self.waves();
        self.answered.iter().map(BTreeSet::len).sum::<usize>() * 10 < asked * 9
    }

    /// What the estimate is made from. The waves of a large sample are measured as one, whatever they have in common; a
    /// small sample needs every answer.
    fn measurements(&self) -> Vec<Counts> {
        if self.sample.len() >= SMALL_SAMPLE {
            return vec![self.counts()];
        }
        let wave = |(i, answered): (usize, &BTreeSet<Uid>)| Counts {
            sample: self.sample.len(),
            answered: answered.len(),
            fresh: if i == 0 { self.fresh } else { 0 },
        };
        self.answered.iter().enumerate().map(wave).collect()
    }
}

/// Decides the next round: the round, and the pings of each of its waves.
pub(super) fn plan(before: &[Round], heard: &BTreeSet<Uid>, rng: &mut dyn CryptoRng) -> (Round, Vec<Vec<Ping>>) {
    let sample = choose_sample(heard, rng);
    let listed: Vec<Uid> = heard.difference(&sample).copied().collect();
    // Asking twice makes up for loss, and measures better where few can be asked.
    let waves = match before.last() {
        None => 1,
        Some(last) if sample.len() < SMALL_SAMPLE || last.is_lossy() => 2,
        Some(_) => 1,
    };
    let pings = (0..waves).map(|_| wave(&listed, rng)).collect();
    (Round { sample, answered: vec![BTreeSet::new(); waves], ..Round::default() }, pings)
}

/// When to send which ping. The later wave names a shorter window, so that the round takes no longer.
pub(super) fn schedule(now: Millis, window_ms: u16, waves: Vec<Vec<Ping>>) -> VecDeque<Planned> {
    let gap = WAVE_MS.min(u64::from(window_ms) / 4);
    let mut queue = Vec::new();
    for (wave, pings) in waves.into_iter().enumerate() {
        let later = wave as u64 * gap;
        for (i, ping) in pings.into_iter().enumerate() {
            let at = now + later + (i / BATCH) as u64 * BATCH_MS;
            let window_ms = window_ms.saturating_sub(u16::try_from(later).unwrap_or(u16::MAX));
            queue.push(Planned { at, wave, ping: Ping { window_ms, ..ping } });
        }
    }
    queue.sort_by_key(|planned| planned.at);
    queue.into()
}

/// A random half of the heard, at most [`MAX_SAMPLE`]; all of them when there is only one.
fn choose_sample(heard: &BTreeSet<Uid>, rng: &mut dyn CryptoRng) -> BTreeSet<Uid> {
    let mut all: Vec<Uid> = heard.iter().copied().collect();
    let size = all.len().div_ceil(2).min(MAX_SAMPLE);
    for i in 0..size {
        let rest = (all.len() - i) as u64;
        all.swap(i, i + uniform(rng, rest) as usize);
    }
    all.into_iter().take(size).collect()
}

/// The pings that together ask everybody but the listed, once: one for each shard, all with the same salt, because the
/// salt decides who is in which shard.
fn wave(listed: &[Uid], rng: &mut dyn CryptoRng) -> Vec<Ping> {
    let salt: [u8; 8] = random(rng);
    let hashes: Vec<[u8; 6]> = listed.iter().map(|uid| heard_hash(&salt, uid)).collect();
    let (bits, shards) = split(&hashes);
    (0..=u16::MAX)
        .zip(shards)
        .map(|(index, mut heard)| {
            heard.sort_unstable();
            Ping {
                id: PingId(random(rng)),
                window_ms: 0,
                salt,
                shard: Shard { bits, index },
                heard: heard.concat(),
                only: None,
                reply_key: None,
                credential: None,
            }
        })
        .collect()
}

/// The fewest shards of which none lists more than fits a ping.
fn split(hashes: &[[u8; 6]]) -> (u8, Vec<Vec<[u8; 4]>>) {
    let mut bits = 0;
    loop {
        let mut shards = vec![Vec::new(); 1 << bits];
        for hash in hashes {
            let value = u32::from(u16::from_be_bytes([hash[4], hash[5]]));
            shards[(value >> (16 - u32::from(bits))) as usize].push([hash[0], hash[1], hash[2], hash[3]]);
        }
        if shards.iter().all(|shard| shard.len() <= MAX_HEARD) {
            return (bits, shards);
        }
        if bits == 10 {
            // Beyond MAX_APPLIANCES. Whoever is not listed answers again; that costs time, not correctness.
            shards.iter_mut().for_each(|shard| shard.truncate(MAX_HEARD));
            return (bits, shards);
        }
        bits += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::TestRng;

    fn uids(n: u32) -> BTreeSet<Uid> {
        (0..n)
            .map(|i| {
                let mut uid = [0; 20];
                uid[..4].copy_from_slice(&i.to_be_bytes());
                Uid(uid)
            })
            .collect()
    }

    #[test]
    fn every_round_asks_the_sample_and_strangers_once_and_the_listed_never() {
        let mut rng = TestRng::new(1);
        for n in [0, 1, 2, 7, 63, 200, 3_000] {
            let heard = uids(n);
            let (round, waves) = plan(&[Round::default()], &heard, &mut rng);
            assert_eq!(round.sample.len(), (n as usize).div_ceil(2).min(MAX_SAMPLE));
            for pings in &waves {
                assert!(pings.iter().all(|ping| ping.heard.len() / 4 <= MAX_HEARD));
                let asked = |uid: &Uid| pings.iter().filter(|ping| ping.asks(uid)).count();
                for uid in &heard {
                    assert_eq!(asked(uid), usize::from(round.sample.contains(uid)), "{n} heard");
                }
                let stranger = Uid([0xff; 20]);
                assert_eq!(asked(&stranger), 1, "{n} heard");
            }
        }
    }

    #[test]
    fn salts_and_ids_are_new_in_every_wave() {
        let mut rng = TestRng::new(1);
        let lossy = Round { sample: uids(50), answered: vec![uids(30)], ..Round::default() };
        let (round, waves) = plan(&[lossy], &uids(100), &mut rng);
        assert_eq!((round.waves(), waves.len()), (2, 2));
        assert_ne!(waves[0][0].salt, waves[1][0].salt);
        assert_ne!(waves[0][0].id, waves[1][0].id);
    }

    #[test]
    fn many_pings_are_sent_in_batches_and_later_waves_end_with_the_first() {
        let mut rng = TestRng::new(1);
        let (_, pings) = plan(&[Round::default()], &uids(5_000), &mut rng);
        assert!(pings[0].len() >= 64);
        let queue = schedule(Millis(1_000), 250, pings);
        let at_once = queue.iter().filter(|planned| planned.at == Millis(1_000)).count();
        assert_eq!(at_once, BATCH);
        let (_, pings) = plan(&[Round::default()], &BTreeSet::new(), &mut rng);
        let queue = schedule(Millis(0), 250, pings);
        let ends: Vec<u64> = queue.iter().map(|planned| planned.at.0 + u64::from(planned.ping.window_ms)).collect();
        assert_eq!(ends, [250, 250]);
    }
}
