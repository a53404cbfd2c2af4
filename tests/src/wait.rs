//! Waiting for an event of another process: asks often, gives up with what it was waiting for.

use std::time::{Duration, Instant};

/// Asks `probe` ten times a second until it answers.
///
/// # Panics
/// After `limit`, with `what` and the last thing that `probe` said.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(said) if started.elapsed() > limit => panic!("waited {limit:?} for {what}; last: {said}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
