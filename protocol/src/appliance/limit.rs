//! Rate limits, so that nobody can use an appliance to flood another or to exhaust it.

use crate::time::Millis;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A bucket of `burst` tokens, one of which comes back every `refill_ms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    burst: u64,
    refill_ms: u64,
    /// The moment at which the bucket would be full; tokens are the distance to it.
    pub(super) full_at: Millis,
}

impl Bucket {
    pub(super) fn new(burst: u64, refill_ms: u64) -> Bucket {
        Bucket { burst, refill_ms, full_at: Millis(0) }
    }

    pub(super) fn take(&mut self, now: Millis) -> bool {
        let full_at = self.full_at.max(now) + self.refill_ms;
        let allowed = full_at.since(now) <= self.burst * self.refill_ms;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

/// A bucket for each asker, and one for all of them together.
#[derive(Clone, Debug)]
pub(super) struct Askers {
    pub(super) all: Bucket,
    pub(super) each: BTreeMap<IpAddr, Bucket>,
}

const MOST_ASKERS: usize = 64;

impl Askers {
    pub(super) fn new() -> Askers {
        Askers { all: Bucket::new(200, 10), each: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, now: Millis, asker: IpAddr) -> bool {
        if self.each.len() >= MOST_ASKERS && !self.each.contains_key(&asker) {
            self.each.retain(|_, bucket| bucket.full_at > now);
            if self.each.len() >= MOST_ASKERS {
                return false;
            }
        }
        let bucket = self.each.entry(asker).or_insert_with(|| Bucket::new(30, 100));
        bucket.take(now) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asker_is_limited_and_another_is_still_served() {
        let mut askers = Askers::new();
        let served = (0..1000).filter(|_| askers.take(Millis(0), [192, 0, 2, 1].into())).count();
        assert_eq!(served, 30);
        assert!(askers.take(Millis(0), [192, 0, 2, 2].into()));
        assert!(askers.take(Millis(100), [192, 0, 2, 1].into()));
    }

    #[test]
    fn many_askers_take_bounded_memory() {
        let mut askers = Askers::new();
        for n in 0..10_000_u32 {
            askers.take(Millis(0), std::net::Ipv4Addr::from(n).into());
        }
        assert!(askers.each.len() <= MOST_ASKERS);
    }
}
