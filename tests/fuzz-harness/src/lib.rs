//! What the fuzz targets run. The same functions replay kept inputs as ordinary tests, without a fuzzer.
//!
//! # Map
//! - [`TARGETS`]: every target by its name; `tests/fuzz/fuzz_targets/` has one file each, of one line.
//! - [`parsers`]: bytes in, an answer out. Whatever is accepted encodes to the same bytes, and no call allocates more than a
//!   fixed multiple of its input ([`allocation`]).
//! - [`reached`]: which of the places behind signatures and checks inputs came to.
//! - `rooms`: the parsers of other rooms that need nothing of those rooms.
//! - [`machines`]: sequences of inputs for each machine, with its invariants checked after each.
//! - [`keys`], [`messages`]: known keys, so that what lies behind signatures and seals is reached.
//!
//! An input is a list of choices, read from its front; whatever the bytes, they mean something. A panic is a finding.

// Its tests are in tests/; the unit tests inside the rooms' files run at home.
#![cfg(not(test))]

pub mod allocation;
pub mod choices;
pub mod keys;
pub mod machines;
pub mod messages;
pub mod parsers;
pub mod reached;
pub mod rng;
mod rooms;

/// What the console's parsers implement for their errors.
#[expect(dead_code, reason = "the console calls it")]
mod problem {
    pub(crate) trait Explain: std::error::Error {
        fn code(&self) -> String;
        fn remedy(&self) -> String;
    }
}

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its folders with corpus and regressions.
pub const TARGETS: &[(&str, Target)] = &[
    ("datagram", parsers::datagram::run),
    ("signed", parsers::signed::run),
    ("sealed", parsers::sealed::run),
    ("saved", parsers::saved::run),
    ("bodies", parsers::bodies::run),
    ("texts", parsers::texts::run),
    ("tables", parsers::tables::run),
    ("appliance", machines::appliance::run),
    ("delivery", machines::delivery::run),
    ("discovery", machines::discovery::run),
    ("beat", machines::beat::run),
    ("beat_watch", machines::beat_watch::run),
];
