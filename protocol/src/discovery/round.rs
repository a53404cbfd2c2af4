//! What a round asks: whom it lists, whom it samples, how it is split into pings, and what came of it.

use super::estimate::{self, Stretch};
use crate::crypto::{random, uniform};
use crate::id::{PingId, Uid};
use crate::time::Millis;
use crate::wire::ping::{MAX_HEARD, Ping, Shard, heard_hash};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most heard appliances that one wave asks again to measure loss.
const MAX_SAMPLE: usize = 32;
/// Nobody is asked again more often at first, and then once more in each time of this length: an appliance answers 30 pings
/// of one asker, then ten a second, and other questions come after this one.
const MOST_AGAIN: u64 = 8;
const AGAIN_MS: u64 = 125;
/// Waves are taken together until so many questions were asked again: 64 tell a chance of one half to within a sixteenth.
const FULL_STRETCH: usize = 64;
/// Pings are sent so many at once, this far apart: appliances have small receive buffers, and a ping leaves in up to three
/// copies on each interface.
const BATCH: usize = 32;
const BATCH_MS: u64 = 10;
/// Waves of a round follow each other after this time at most, so that one burst of noise does not hit all.
const WAVE_MS: u64 = 15;

/// One round of this discovery.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Everybody is asked once in each.
    pub(super) waves: Vec<Wave>,
    /// Appliances heard for the first time.
    pub(super) fresh: usize,
    /// How long its answers were spread over.
    pub(super) span_ms: u64,
    /// When its last window ended.
    pub(super) ended: Millis,
}

/// The pings that together ask everybody once who is not listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Wave {
    /// The heard who are asked again.
    pub(super) sample: BTreeSet<Uid>,
    /// Those of them who answered.
    pub(super) answered: BTreeSet<Uid>,
}

/// A ping that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) at: Millis,
    pub(super) wave: usize,
    pub(super) ping: Ping,
}

impl Round {
    pub(super) fn count_answer(&mut self, wave: usize, uid: Uid, fresh: bool) {
        if fresh {
            self.fresh += 1;
        } else if let Some(wave) = self.waves.get_mut(wave)
            && wave.sample.contains(&uid)
        {
            wave.answered.insert(uid);
        }
    }

    /// What its sample says.
    pub(super) fn sampled(&self) -> Stretch {
        self.waves.iter().map(Wave::stretch).fold(Stretch::default(), Stretch::and)
    }
}

impl Wave {
    fn stretch(&self) -> Stretch {
        Stretch { waves: 1, sample: self.sample.len(), answered: self.answered.len() }
    }
}

/// How many are probably still unheard after these rounds.
pub(super) fn unheard(rounds: &[Round]) -> f64 {
    let measured = measured(rounds);
    estimate::unheard(&stretches(measured), measured.iter().map(|round| round.fresh).sum())
}

/// What all samples of these rounds say together.
pub(super) fn sampled(rounds: &[Round]) -> Stretch {
    measured(rounds).iter().map(Round::sampled).fold(Stretch::default(), Stretch::and)
}

/// The chance that somebody was missed by every wave since somebody new was heard last.
pub(super) fn missed_since_last(rounds: &[Round]) -> f64 {
    let since = measured(rounds).iter().rev().take_while(|round| round.fresh == 0);
    Stretch { waves: since.map(|round| round.waves.len()).sum(), ..sampled(rounds) }.missed()
}

/// Rounds from the first one with a sample.
fn measured(rounds: &[Round]) -> &[Round] {
    let has_sample = |round: &Round| round.waves.iter().any(|wave| !wave.sample.is_empty());
    let first = rounds.iter().position(has_sample).unwrap_or(rounds.len());
    rounds.get(first..).unwrap_or_default()
}

/// Waves taken together so that each stretch says something about loss: what is left over belongs to the one before.
fn stretches(rounds: &[Round]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for wave in rounds.iter().flat_map(|round| &round.waves) {
        match stretches.last_mut() {
            Some(last) if last.sample < FULL_STRETCH => *last = last.and(wave.stretch()),
            _ => stretches.push(wave.stretch()),
        }
    }
    if stretches.last().is_some_and(|last| last.sample < FULL_STRETCH / 2)
        && let Some(rest) = stretches.pop()
    {
        match stretches.last_mut() {
            Some(last) => *last = last.and(rest),
            None => stretches.push(rest),
        }
    }
    stretches
}

/// Who is asked again.
#[derive(Default)]
pub(super) struct Sampler {
    asked: BTreeMap<Uid, u64>,
    most: u64,
}

impl Sampler {
    /// So much of the discovery is over, and whether enough is known.
    pub(super) fn advance(&mut self, ms: u64, is_enough: bool) {
        self.most = if is_enough { 0 } else { MOST_AGAIN + ms / AGAIN_MS };
    }

    /// How many a wave asks again when so many were heard.
    pub(super) fn size(heard: usize) -> usize {
        heard.div_ceil(2).min(MAX_SAMPLE)
    }

    /// A random half of the heard, at most [`MAX_SAMPLE`], all of them when there is only one; but nobody too often.
    fn choose(&mut self, heard: &BTreeSet<Uid>, rng: &mut dyn CryptoRng) -> BTreeSet<Uid> {
        let rested = |uid: &&Uid| self.asked.get(*uid).is_none_or(|times| *times < self.most);
        let mut all: Vec<Uid> = heard.iter().filter(rested).copied().collect();
        let size = Sampler::size(heard.len()).min(all.len());
        for i in 0..size {
            let rest = (all.len() - i) as u64;
            all.swap(i, i + uniform(rng, rest) as usize);
        }
        all.truncate(size);
        for uid in &all {
            *self.asked.entry(*uid).or_default() += 1;
        }
        all.into_iter().collect()
    }
}

/// Decides a round of so many waves: the round, and the pings of each wave.
pub(super) fn plan(
    waves: usize,
    heard: &BTreeSet<Uid>,
    sampler: &mut Sampler,
    rng: &mut dyn CryptoRng,
) -> (Round, Vec<Vec<Ping>>) {
    let mut round = Round::default();
    let mut pings = Vec::with_capacity(waves);
    for _ in 0..waves {
        let sample = sampler.choose(heard, rng);
        let listed: Vec<Uid> = heard.difference(&sample).copied().collect();
        pings.push(ask(&listed, rng));
        round.waves.push(Wave { sample, answered: BTreeSet::new() });
    }
    (round, pings)
}

/// When to send which ping. All windows of a round end together, `window_ms` after its last ping.
pub(super) fn schedule(now: Millis, window_ms: u16, waves: Vec<Vec<Ping>>) -> VecDeque<Planned> {
    let gap = WAVE_MS.min(u64::from(window_ms) / 4);
    let mut queue = VecDeque::new();
    let mut next = now;
    let (mut batch_began, mut in_batch) = (now, 0);
    for (wave, pings) in waves.into_iter().enumerate() {
        next = next.max(now + wave as u64 * gap);
        for ping in pings {
            if in_batch == BATCH {
                next = next.max(batch_began + BATCH_MS);
                (batch_began, in_batch) = (next, 0);
            }
            in_batch += 1;
            queue.push_back(Planned { at: next, wave, ping });
        }
    }
    let ends = queue.back().map_or(now, |last| last.at) + u64::from(window_ms);
    for planned in &mut queue {
        planned.ping.window_ms = u16::try_from(ends.since(planned.at)).unwrap_or(u16::MAX);
    }
    queue
}

/// The pings that together ask everybody but the listed, once: one for each shard, all with the same salt, because the
/// salt decides who is in which shard.
fn ask(listed: &[Uid], rng: &mut dyn CryptoRng) -> Vec<Ping> {
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

    fn round(waves: usize, sample: u32, answered: u32, fresh: usize) -> Round {
        let wave = Wave { sample: uids(sample), answered: uids(answered) };
        Round { waves: vec![wave; waves], fresh, ..Round::default() }
    }

    fn sampler() -> Sampler {
        let mut sampler = Sampler::default();
        sampler.advance(0, false);
        sampler
    }

    #[test]
    fn every_wave_asks_its_sample_and_strangers_once_and_the_listed_never() {
        let mut rng = TestRng::new(1);
        for n in [0, 1, 2, 7, 63, 200, 3_000] {
            let heard = uids(n);
            let (round, waves) = plan(2, &heard, &mut sampler(), &mut rng);
            for (wave, pings) in round.waves.iter().zip(&waves) {
                assert_eq!(wave.sample.len(), (n as usize).div_ceil(2).min(MAX_SAMPLE));
                assert!(pings.iter().all(|ping| ping.heard.len() / 4 <= MAX_HEARD));
                let asked = |uid: &Uid| pings.iter().filter(|ping| ping.asks(uid)).count();
                for uid in &heard {
                    assert_eq!(asked(uid), usize::from(wave.sample.contains(uid)), "{n} heard");
                }
                let stranger = Uid([0xff; 20]);
                assert_eq!(asked(&stranger), 1, "{n} heard");
            }
        }
    }

    #[test]
    fn nobody_is_asked_again_too_often() {
        let mut rng = TestRng::new(1);
        for n in [1, 2, 5] {
            let mut sampler = Sampler::default();
            for (ms, most) in [(0, 8), (1_000, 16)] {
                sampler.advance(ms, false);
                (0..60).for_each(|_| drop(sampler.choose(&uids(n), &mut rng)));
                assert_eq!(sampler.asked.len(), n as usize);
                assert!(sampler.asked.values().all(|times| *times == most), "{:?}", sampler.asked);
            }
            sampler.advance(60_000, true);
            assert!(sampler.choose(&uids(n), &mut rng).is_empty(), "nothing is left to be learnt");
        }
    }

    #[test]
    fn salts_and_ids_are_new_in_every_wave() {
        let mut rng = TestRng::new(1);
        let (_, waves) = plan(2, &uids(100), &mut sampler(), &mut rng);
        assert_ne!(waves[0][0].salt, waves[1][0].salt);
        assert_ne!(waves[0][0].id, waves[1][0].id);
    }

    #[test]
    fn many_pings_are_sent_in_batches_and_all_windows_end_together() {
        let mut rng = TestRng::new(1);
        for (n, waves) in [(0, 1), (0, 4), (5_000, 1), (5_000, 3)] {
            let (_, pings) = plan(waves, &uids(n), &mut sampler(), &mut rng);
            let queue: Vec<Planned> = schedule(Millis(1_000), 30, pings).into();
            assert!(queue.is_sorted_by_key(|planned| (planned.at, planned.wave)));
            let last = queue[queue.len() - 1].at.0 - 1_000;
            assert!(last >= (queue.len().div_ceil(BATCH) as u64 - 1) * BATCH_MS, "{} pings in {last} ms", queue.len());
            for start in &queue {
                assert!(queue.iter().filter(|p| p.at == start.at).count() <= BATCH);
            }
            let ends: BTreeSet<u64> = queue.iter().map(|p| p.at.0 + u64::from(p.ping.window_ms)).collect();
            assert_eq!(ends.len(), 1, "{ends:?}");
            assert_eq!(queue[queue.len() - 1].ping.window_ms, 30);
        }
        // Waves of a few pings follow each other faster, but not at once.
        let (_, pings) = plan(4, &uids(20), &mut sampler(), &mut rng);
        let at: Vec<u64> = schedule(Millis(0), 100, pings).iter().map(|planned| planned.at.0).collect();
        assert_eq!(at, [0, 15, 30, 45]);
    }

    #[test]
    fn stretches_are_long_enough_to_say_something() {
        let sizes = |rounds: &[Round]| stretches(rounds).iter().map(|s| (s.waves, s.sample)).collect::<Vec<_>>();
        assert_eq!(sizes(&[round(5, 32, 20, 0)]), [(2, 64), (2, 64), (1, 32)]);
        // What says too little by itself belongs to the stretch before.
        assert_eq!(sizes(&[round(2, 32, 20, 0), round(3, 10, 5, 0)]), [(5, 94)]);
        assert_eq!(sizes(&[round(1, 1, 1, 0), round(4, 1, 1, 0)]), [(5, 5)]);
    }

    #[test]
    fn rounds_before_the_first_sample_do_not_count() {
        let first = Round { fresh: 500, ..round(1, 0, 0, 0) };
        assert_eq!(unheard(std::slice::from_ref(&first)), 0.0);
        let with = unheard(&[first.clone(), round(1, 32, 30, 10)]);
        assert_eq!(with, unheard(&[round(1, 32, 30, 10)]));
        assert_eq!(sampled(&[first, round(2, 32, 30, 10)]), Stretch { waves: 2, sample: 64, answered: 60 });
    }

    #[test]
    fn silence_since_the_last_new_one_makes_another_like_him_unlikely() {
        let new = round(1, 32, 16, 1);
        let quiet = round(3, 32, 16, 0);
        assert_eq!(missed_since_last(std::slice::from_ref(&new)), 1.0);
        let missed = missed_since_last(&[new.clone(), quiet.clone(), quiet.clone()]);
        assert!((0.01..0.02).contains(&missed), "{missed}");
        assert_eq!(missed_since_last(&[quiet.clone(), quiet, new]), 1.0);
    }
}
