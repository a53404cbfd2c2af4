//! What a model checker needs of the machine: the same machine again, and whether two are in the same state.
//!
//! Only with the feature `model`: in a program a one-time key exists once.

use super::answer::{Answers, Waiting};
use super::keys::{OneTimeKeys, is_alive};
use super::{Appliance, Persisting, Phase};
use crate::crypto::Entropy;
use crate::crypto::keys::SealKey;
use crate::grant::Grant;
use crate::time::Millis;
use crate::wire::to_cbor;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt::Debug;

/// All that decides what an appliance will do, but for its device key, claim key and randomness: machines of one appliance
/// with equal fingerprints and equal randomness answer equal inputs equally.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// SHA-256 over the stored document, the attempt in progress and what is waited for.
    pub conduct: [u8; 32],
    /// Its one-time keys that still open something, and when each was made; oldest first.
    pub keys: Vec<(Millis, SealKey)>,
    /// How far each rate limit is used up, in milliseconds until it is full again.
    pub limits: Vec<u64>,
}

impl Appliance {
    /// The same machine again, with `rng` for what comes. All outputs must have been taken.
    pub fn fork(&self, rng: Entropy) -> Appliance {
        debug_assert!(self.outputs.is_empty(), "outputs belong to one of two machines");
        let persisting = self.persisting.as_ref();
        Appliance {
            profile: self.profile.clone(),
            uid: self.uid,
            rng,
            saved: self.saved.clone(),
            phase: self.phase.fork(),
            keys: self.keys.fork(),
            answers: self.answers.fork(),
            refusals: self.refusals,
            noc_time: self.noc_time,
            opens: self.opens,
            console_at: self.console_at,
            trial_pace: self.trial_pace,
            farewell_pace: self.farewell_pace,
            persisting: persisting.map(|p| Persisting { token: p.token, next: p.next.clone() }),
            next_token: self.next_token,
            outputs: VecDeque::new(),
        }
    }

    /// What tells its states apart at `now`.
    pub fn fingerprint(&self, now: Millis) -> Fingerprint {
        // Taken apart by name, so that a new field cannot be forgotten here.
        let Appliance {
            profile,
            uid,
            rng: _,
            saved,
            phase,
            keys,
            answers,
            refusals,
            noc_time,
            opens,
            console_at,
            trial_pace,
            farewell_pace,
            persisting,
            next_token,
            outputs,
        } = self;
        let mut hash = Sha256::new();
        add(
            &mut hash,
            &(uid, profile.mac, profile.boot, profile.proof, profile.vendor, noc_time, console_at, next_token, outputs),
        );
        add(&mut hash, &(trial_pace, farewell_pace));
        hash.update(saved.store());
        phase.add_to(&mut hash);
        if let Some(Persisting { token, next }) = persisting {
            add(&mut hash, token);
            hash.update(next.store());
        }
        let Answers { due, askers } = answers;
        for (key, Waiting { asker, room }) in due {
            add(&mut hash, &(key, asker, room));
        }
        let limits = [refusals, opens, &askers.all].into_iter().chain(askers.each.values());
        Fingerprint {
            conduct: hash.finalize().into(),
            keys: keys
                .keys
                .iter()
                .filter(|(made, _)| is_alive(now, *made))
                .map(|(made, key)| (*made, key.public()))
                .collect(),
            limits: limits.map(|bucket| bucket.full_at.since(now)).collect(),
        }
    }
}

impl Phase {
    fn fork(&self) -> Phase {
        match self {
            Phase::Idle => Phase::Idle,
            Phase::Accepting { grant } => Phase::Accepting { grant: grant.clone() },
            Phase::Applying { grant, stage, percent, tell_at } => {
                Phase::Applying { grant: grant.clone(), stage: *stage, percent: *percent, tell_at: *tell_at }
            }
            Phase::Provisional { grant, kicked, deadline } => {
                Phase::Provisional { grant: grant.clone(), kicked: *kicked, deadline: *deadline }
            }
            Phase::Committing { grant, deadline } => Phase::Committing { grant: grant.clone(), deadline: *deadline },
            Phase::RollingBack { why } => Phase::RollingBack { why: why.clone() },
            Phase::Settling { why, retry_at } => Phase::Settling { why: why.clone(), retry_at: *retry_at },
            Phase::Instructed { instruction } => Phase::Instructed { instruction: *instruction },
            Phase::Leaving => Phase::Leaving,
            Phase::Forgetting => Phase::Forgetting,
            Phase::Forgot { retry_at } => Phase::Forgot { retry_at: *retry_at },
            Phase::HandingOver { step } => Phase::HandingOver { step: *step },
        }
    }

    fn add_to(&self, hash: &mut Sha256) {
        match self {
            Phase::Idle => add(hash, &"idle"),
            Phase::Accepting { grant } => add(hash, &("accepting", grant_bytes(grant))),
            Phase::Applying { grant, stage, percent, tell_at } => {
                add(hash, &("applying", grant_bytes(grant), stage, percent, tell_at));
            }
            Phase::Provisional { grant, kicked, deadline } => {
                add(hash, &("provisional", grant_bytes(grant), kicked, deadline));
            }
            Phase::Committing { grant, deadline } => add(hash, &("committing", grant_bytes(grant), deadline)),
            Phase::RollingBack { why } => add(hash, &("rolling back", why)),
            Phase::Settling { why, retry_at } => add(hash, &("settling", why, retry_at)),
            Phase::Instructed { instruction } => add(hash, &("instructed", instruction)),
            Phase::Leaving => add(hash, &"leaving"),
            Phase::Forgetting => add(hash, &"forgetting"),
            Phase::Forgot { retry_at } => add(hash, &("forgot", retry_at)),
            Phase::HandingOver { step } => add(hash, &("handing over", step)),
        }
    }
}

impl OneTimeKeys {
    fn fork(&self) -> OneTimeKeys {
        OneTimeKeys { keys: self.keys.iter().map(|(made, key)| (*made, key.copy())).collect() }
    }
}

impl Answers {
    fn fork(&self) -> Answers {
        let due = self.due.iter().map(|(key, Waiting { asker, room })| {
            let waiting = Waiting { asker: asker.clone(), room: *room };
            (*key, waiting)
        });
        Answers { due: due.collect(), askers: self.askers.clone() }
    }
}

fn grant_bytes(grant: &Grant) -> Vec<u8> {
    to_cbor(grant)
}

/// `Debug` of these types names every field, and hides only secrets that follow from what is not hidden.
fn add(hash: &mut Sha256, value: &dyn Debug) {
    let text = format!("{value:?}");
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{Input, Output, Profile};
    use crate::crypto::keys::SecretKey;
    use crate::id::{BootId, Mac, PingId};
    use crate::test_rng::TestRng;
    use crate::wire::Peer;
    use crate::wire::here::Proof;
    use crate::wire::ping::{Ping, Shard};

    fn appliance() -> Appliance {
        let device = SecretKey::from_seed(&[1; 32]);
        let profile =
            Profile { device, mac: Mac([2; 6]), boot: BootId([3; 16]), proof: Proof::Open, claim: None, vendor: None };
        Appliance::new(Millis(0), profile, None, Box::new(TestRng::new(1))).expect("nothing stored")
    }

    fn ask(appliance: &mut Appliance) -> Vec<Output> {
        let ping = Ping {
            id: PingId([4; 16]),
            window_ms: 0,
            salt: [0; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: None,
            credential: None,
        };
        let peer = Peer { interface: 1, address: ([192, 0, 2, 1], 6878).into() };
        appliance.handle_input(Millis(0), Input::Datagram { peer, bytes: &ping.to_plain() });
        std::iter::from_fn(|| appliance.poll_output()).collect()
    }

    #[test]
    fn a_fork_goes_on_as_its_original_and_without_it() {
        let mut original = appliance();
        assert!(!ask(&mut original).is_empty());
        let before = original.fingerprint(Millis(0));
        let mut fork = original.fork(Box::new(TestRng::new(9)));
        assert_eq!(fork.fingerprint(Millis(0)), before);
        let answer = ask(&mut fork);
        assert_eq!(original.fingerprint(Millis(0)), before, "the original knows nothing of its fork");
        let mut again = original.fork(Box::new(TestRng::new(9)));
        assert_eq!(ask(&mut again), answer);
        assert_eq!(again.fingerprint(Millis(0)), fork.fingerprint(Millis(0)));
    }

    #[test]
    fn a_fingerprint_tells_what_a_key_an_answer_and_time_change() {
        let mut appliance = appliance();
        let before = appliance.fingerprint(Millis(0));
        ask(&mut appliance);
        let after = appliance.fingerprint(Millis(0));
        assert_eq!(after.conduct, before.conduct, "an answer decides nothing");
        assert_eq!(after.keys.len(), 1);
        assert_ne!(after.limits, before.limits);
        assert!(appliance.fingerprint(Millis(120_000)).keys.is_empty(), "an expired key opens nothing");
    }
}
