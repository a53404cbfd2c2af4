//! What the benchmarks measure with: the processor time of a process, and what the bare cryptography costs.

pub mod bare;
pub mod job;
pub mod peers;
pub mod usage;
