//! How often appliances may beat: each by itself, and those of an organisation together. A bucket for each, which fills with time.

use crate::config::Config;
use muster_protocol::id::Uid;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ten times what an appliance does that beats every five seconds and repeats what is not answered.
pub(crate) const APPLIANCE_PER_S: u32 = 20;
/// Those of a million that beat once a minute, and a fifth more.
pub(crate) const ORGANISATION_PER_S: u32 = 20_000;
/// A full bucket lasts for so many seconds at that rate.
const BURST_S: f64 = 20.0;
/// Buckets that are kept; those that are full are not missed.
const MOST: usize = 200_000;

/// The buckets.
pub(crate) struct Rates {
    appliance_per_s: f64,
    organisation_per_s: f64,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    appliances: HashMap<Uid, (Bucket, Option<u32>)>,
    organisations: HashMap<u32, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// Who beats too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooFast {
    Appliance,
    Organisation,
}

impl Rates {
    /// As `noc.toml` says.
    pub(crate) fn of(config: &Config) -> Rates {
        let appliance = config.beats_per_s_appliance.unwrap_or(APPLIANCE_PER_S);
        Rates::new(appliance, config.beats_per_s_organisation.unwrap_or(ORGANISATION_PER_S))
    }

    fn new(appliance_per_s: u32, organisation_per_s: u32) -> Rates {
        let (appliance_per_s, organisation_per_s) = (f64::from(appliance_per_s), f64::from(organisation_per_s));
        Rates { appliance_per_s, organisation_per_s, buckets: Mutex::default() }
    }

    /// Whether an appliance may beat now; else who is too fast, and how long it must wait.
    pub(crate) fn admit(&self, uid: &Uid, now: Instant) -> Result<(), (TooFast, Duration)> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { appliances, organisations } = &mut *buckets;
        if appliances.len() >= MOST && !appliances.contains_key(uid) {
            appliances.retain(|_, (bucket, _)| now.duration_since(bucket.at).as_secs_f64() < BURST_S);
        }
        let full = Bucket { level: self.appliance_per_s * BURST_S, at: now };
        let (bucket, organisation) = appliances.entry(*uid).or_insert((full, None));
        let of = organisation.and_then(|organisation| organisations.get_mut(&organisation));
        bucket.take(self.appliance_per_s, now).map_err(|wait| (TooFast::Appliance, wait))?;
        let Some(of) = of else { return Ok(()) };
        of.take(self.organisation_per_s, now).map_err(|wait| (TooFast::Organisation, wait))
    }

    /// Whose appliance it is, as the database says.
    pub(crate) fn learn(&self, uid: &Uid, organisation: u32, now: Instant) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = buckets.appliances.get_mut(uid).map(|(_, known)| known.replace(organisation));
        if known.is_some_and(|known| known != Some(organisation)) {
            let full = Bucket { level: self.organisation_per_s * BURST_S, at: now };
            buckets.organisations.entry(organisation).or_insert(full);
        }
    }
}

impl Bucket {
    fn take(&mut self, per_s: f64, now: Instant) -> Result<(), Duration> {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * per_s;
        (self.level, self.at) = ((self.level + filled).min(per_s * BURST_S), now);
        if self.level < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.level) / per_s));
        }
        self.level -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_beats_too_often_waits_and_others_do_not() {
        let (rates, start) = (Rates::new(5, 50), Instant::now());
        let (one, other) = (Uid([1; 20]), Uid([2; 20]));
        for n in 0..100 {
            assert_eq!(rates.admit(&one, start), Ok(()), "beat {n} of a burst");
        }
        let (who, wait) = rates.admit(&one, start).expect_err("too fast");
        assert_eq!((who, wait), (TooFast::Appliance, Duration::from_millis(200)));
        assert_eq!(rates.admit(&other, start), Ok(()));
        let later = start + wait;
        assert_eq!(rates.admit(&one, later), Ok(()));
        assert!(rates.admit(&one, later).is_err(), "one for one");
    }

    #[test]
    fn an_organisation_s_appliances_share_its_bucket_once_it_is_known() {
        let (rates, start) = (Rates::new(1_000, 1), Instant::now());
        let (one, two, foreign) = (Uid([1; 20]), Uid([2; 20]), Uid([3; 20]));
        for (uid, organisation) in [(one, 1), (two, 1), (foreign, 2)] {
            assert_eq!(rates.admit(&uid, start), Ok(()));
            rates.learn(&uid, organisation, start);
        }
        for uid in [one, two].iter().cycle().take(20) {
            assert_eq!(rates.admit(uid, start), Ok(()));
        }
        assert!(matches!(rates.admit(&two, start), Err((TooFast::Organisation, _))));
        assert!(matches!(rates.admit(&one, start), Err((TooFast::Organisation, _))));
        assert_eq!(rates.admit(&foreign, start), Ok(()));
        assert_eq!(rates.admit(&two, start + Duration::from_secs(1)), Ok(()));
    }
}
