//! What inputs reach: so that a test can tell that the corpus still comes behind the signatures.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static REACHED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// A place that only a good input comes to. Not to be called while allocations are counted.
pub(crate) fn mark(place: &'static str) {
    REACHED.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
}

/// The places reached since the last call.
pub fn take() -> BTreeSet<&'static str> {
    std::mem::take(&mut REACHED.lock().unwrap_or_else(PoisonError::into_inner))
}
