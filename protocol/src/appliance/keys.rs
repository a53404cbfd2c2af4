//! One-time keys: each opens exactly one config packet and is gone then, at reboot, or after [`LIFETIME_MS`].

use crate::crypto::keys::{OpenKey, SealKey};
use crate::time::Millis;
use rand_core::CryptoRng;

/// How long a published key can be used.
pub(super) const LIFETIME_MS: u64 = 120_000;
/// How many may be outstanding.
const MOST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct OneTimeKeys {
    /// Oldest first.
    pub(super) keys: Vec<(Millis, OpenKey)>,
}

impl OneTimeKeys {
    /// A key to publish. When too many are outstanding it is the newest again, never a replacement of an older one:
    /// otherwise anybody could make a console's key vanish by asking often enough.
    pub(super) fn publish(&mut self, now: Millis, rng: &mut dyn CryptoRng) -> SealKey {
        self.expire(now);
        let reused = match self.keys.last() {
            Some((_, key)) if self.keys.len() >= MOST => Some(key.public()),
            _ => None,
        };
        reused.unwrap_or_else(|| {
            let key = OpenKey::generate(rng);
            let public = key.public();
            self.keys.push((now, key));
            public
        })
    }

    /// The secret half of a key that can still be used.
    pub(super) fn get(&mut self, now: Millis, public: &SealKey) -> Option<&OpenKey> {
        self.expire(now);
        self.keys.iter().map(|(_, key)| key).find(|key| key.public() == *public)
    }

    /// Destroys a key: it has opened its packet.
    pub(super) fn destroy(&mut self, public: &SealKey) {
        self.keys.retain(|(_, key)| key.public() != *public);
    }

    fn expire(&mut self, now: Millis) {
        self.keys.retain(|(made, _)| is_alive(now, *made));
    }
}

pub(super) fn is_alive(now: Millis, made: Millis) -> bool {
    now.since(made) < LIFETIME_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::TestRng;

    #[test]
    fn a_flood_of_pings_cannot_drive_out_a_key() {
        let mut rng = TestRng::new(1);
        let mut keys = OneTimeKeys::default();
        let first = keys.publish(Millis(0), &mut rng);
        for _ in 0..100 {
            keys.publish(Millis(1), &mut rng);
        }
        assert_eq!(keys.keys.len(), MOST);
        assert!(keys.get(Millis(LIFETIME_MS - 1), &first).is_some());
        assert!(keys.get(Millis(LIFETIME_MS), &first).is_none());
    }

    #[test]
    fn a_destroyed_key_is_gone() {
        let mut keys = OneTimeKeys::default();
        let key = keys.publish(Millis(0), &mut TestRng::new(1));
        keys.destroy(&key);
        assert!(keys.get(Millis(0), &key).is_none());
    }
}
