//! What several tests of the whole need: programs under test, the network lab, waiting.

pub mod lab;
pub mod process;
pub mod wait;
