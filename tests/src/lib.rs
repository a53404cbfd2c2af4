//! What several tests of the whole need: programs under test, the network lab, waiting.

pub mod attacker;
pub mod bench;
pub mod desktop;
pub mod fleet;
pub mod lab;
pub mod power;
pub mod process;
pub mod wait;
pub mod world;
