//! What the benchmarks measure with: the processor time of a process, and what the bare cryptography costs.

pub mod agent;
pub mod bare;
pub mod beats;
pub mod footprint;
mod inventory;
pub mod job;
pub mod monitors;
pub mod noc;
pub mod peers;
pub mod usage;
pub mod watch;
