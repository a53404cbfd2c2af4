//! Machines: whatever comes in, in whatever order, their invariants hold and they neither grow nor spin.

pub mod appliance;
pub mod beat;
pub mod beat_watch;
pub mod delivery;
pub mod discovery;
