//! How often may be guessed: for each sign-in name and for each address, whether there is such a name or not.
//!
//! Every attempt takes one from both; a good sign-in gives them back. What is taken comes back with time. Kept in memory: a
//! restart is no way to guess faster that anybody but the NOC's own administrator has.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Attempts at once, and until one comes back.
#[derive(Clone, Copy)]
struct Rate {
    most: u32,
    every: Duration,
}

const NAME: Rate = Rate { most: 10, every: Duration::from_secs(30) };
const ADDRESS: Rate = Rate { most: 30, every: Duration::from_secs(2) };
/// Names and addresses that are remembered; beyond, those whose attempts have all come back are forgotten, and then everybody waits.
const REMEMBERED: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Name([u8; 16]),
    Address(IpAddr),
}

/// The attempts of everybody.
#[derive(Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<BTreeMap<Key, Used>>>);

#[derive(Clone, Copy)]
struct Used {
    /// When all attempts will have come back.
    free_at: Instant,
}

/// One attempt; without [`Attempt::give_back`] it is used up.
pub(crate) struct Attempt {
    attempts: Attempts,
    keys: [(Key, Rate); 2],
}

impl Attempts {
    /// Takes one attempt, or tells how long to wait.
    pub(crate) fn take(&self, now: Instant, login: &str, address: IpAddr) -> Result<Attempt, Duration> {
        let mut name = [0; 16];
        name.copy_from_slice(&Sha256::digest(login)[..16]);
        let keys = [(Key::Name(name), NAME), (Key::Address(network(address)), ADDRESS)];
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= REMEMBERED {
            used.retain(|_, used| used.free_at > now);
            if used.len() >= REMEMBERED {
                return Err(NAME.every);
            }
        }
        let wait = keys.iter().filter_map(|(key, rate)| {
            let free_at = used.get(key).map_or(now, |used| used.free_at.max(now));
            // Full when the attempts that are out take as long to come back as all of them.
            (free_at + rate.every).checked_duration_since(now + rate.every * rate.most).filter(|wait| !wait.is_zero())
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        for (key, rate) in keys {
            let entry = used.entry(key).or_insert(Used { free_at: now });
            entry.free_at = entry.free_at.max(now) + rate.every;
        }
        Ok(Attempt { attempts: self.clone(), keys })
    }
}

impl Attempt {
    /// It was a good one.
    pub(crate) fn give_back(self) {
        let mut used = self.attempts.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, rate) in self.keys {
            if let Some(entry) = used.get_mut(&key)
                && let Some(earlier) = entry.free_at.checked_sub(rate.every)
            {
                entry.free_at = earlier;
            }
        }
    }
}

/// One customer has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn a_name_is_guessed_ten_times_and_then_once_in_half_a_minute_from_wherever() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..10 {
            assert!(attempts.take(now, "anna", address(&format!("192.0.2.{n}"))).is_ok());
        }
        let wait = attempts.take(now, "anna", address("192.0.2.99")).err().expect("too many");
        assert_eq!(wait, Duration::from_secs(30));
        assert!(attempts.take(now, "bert", address("192.0.2.99")).is_ok(), "others are not kept out");
        let later = now + Duration::from_secs(30);
        assert!(attempts.take(later, "anna", address("192.0.2.99")).is_ok());
        assert!(attempts.take(later, "anna", address("192.0.2.99")).is_err());
        assert!(attempts.take(now + Duration::from_secs(600), "anna", address("192.0.2.99")).is_ok());
    }

    #[test]
    fn an_address_is_limited_over_all_names_and_ipv6_by_its_network() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..30 {
            let from = address(&format!("2001:db8::{n:x}"));
            assert!(attempts.take(now, &format!("name {n}"), from).is_ok());
        }
        assert!(attempts.take(now, "another", address("2001:db8::ffff")).is_err());
        assert!(attempts.take(now, "another", address("2001:db8:0:1::1")).is_ok());
        let mapped = (0..30).filter(|n| attempts.take(now, &format!("{n}"), address("::ffff:192.0.2.1")).is_ok());
        assert_eq!(mapped.count(), 30);
        assert!(attempts.take(now, "x", address("192.0.2.1")).is_err(), "the same address in its other form");
    }

    #[test]
    fn good_ones_are_given_back() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..100 {
            let Ok(attempt) = attempts.take(now, "anna", address("192.0.2.1")) else { panic!("allowed") };
            attempt.give_back();
        }
    }
}
