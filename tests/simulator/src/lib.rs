//! Worlds in which the real machines of consoles, appliances and a NOC meet a hostile network, power cuts and a stranger.
//!
//! One seed is one world; the same seed is the same world, to the byte of its log. Nothing waits: time is a number, and
//! the next event is the next thing that happens.
//!
//! # Map
//! - [`Plan`]: what a seed decides before the world begins. [`Stream`]: its dice.
//! - `world`: the loop over events, the operators, what strikes, and the end, at which everything must be well.
//! - `lan`: addresses and links. `attacker`: records everything, and sends what it likes.
//! - `appliance`, `console`, `noc`: the real machines in drivers that do what `agent`, `console` and `noc` do, with disks
//!   that keep what they acknowledged and nothing else.
//! - [`Invariant`]: what must hold after every event, checked in `ledger` against what really happened.
//!
//! Decision 0012 says what is real here and what is not.

/// A line of the log, formatted only when there is one.
macro_rules! log {
    ($io:expr, $($text:tt)*) => {
        if $io.log.is_on {
            $io.log.line($io.now, format_args!($($text)*));
        }
    };
}

mod appliance;
mod attacker;
mod console;
mod lan;
mod ledger;
mod noc;
mod plan;
mod queue;
mod random;
mod report;
mod vouchers;
mod world;

pub use ledger::{Failure, Invariant};
pub use plan::{FAULTS, Fault, Plan, Quality, Rates, Sabotage};
pub use random::Stream;
pub use report::{Counts, Report};

use muster_protocol::time::Millis;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How to run a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write the log.
    pub log: bool,
    /// Break one driver.
    pub sabotage: Option<Sabotage>,
}

/// Runs the world of a seed to its end, or to the first invariant that does not hold.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = world::World::new(seed, options);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    let (counts, log, at, failure) = world.into_parts();
    let panicked = ended.err().map(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        Failure { invariant: Invariant::Panic, at, detail: text.to_owned() }
    });
    Report { seed, counts, log, ended: at, failure: panicked.or(failure) }
}

/// The last lines of a log.
pub fn tail(log: &str, lines: usize) -> &str {
    let start = log.rmatch_indices('\n').nth(lines).map_or(0, |(at, _)| at + 1);
    &log[start..]
}

/// A moment as in the log: seconds of the world.
pub fn moment(at: Millis) -> String {
    format!("{}.{:03}", at.0 / 1_000, at.0 % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(tail("a\nb\n", 5), "a\nb\n");
    }
}
