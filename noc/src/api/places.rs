//! How many of something one client may have here at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Who has how many.
pub(crate) struct Places<K: Ord + Copy>(Arc<Mutex<BTreeMap<K, usize>>>);

/// One of them; it makes room when it is dropped.
pub(crate) struct Place<K: Ord + Copy> {
    places: Places<K>,
    of: K,
}

impl<K: Ord + Copy> Places<K> {
    /// A place, if `of` has fewer than `most`.
    pub(crate) fn take(&self, of: K, most: usize) -> Option<Place<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(of).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), of })
    }
}

impl<K: Ord + Copy> Clone for Places<K> {
    fn clone(&self) -> Self {
        Places(self.0.clone())
    }
}

impl<K: Ord + Copy> Default for Places<K> {
    fn default() -> Self {
        Places(Arc::default())
    }
}

impl<K: Ord + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_what_ends_makes_room() {
        let places = Places::default();
        let first = places.take(1, 2).expect("room");
        let _second = places.take(1, 2).expect("room");
        assert!(places.take(1, 2).is_none() && places.take(2, 2).is_some());
        drop(first);
        assert!(places.take(1, 2).is_some());
    }
}
