//! Parsers: whatever the bytes, an answer, within the bounds of memory, and never two encodings of one thing.

pub mod bodies;
pub mod datagram;
pub mod saved;
pub mod sealed;
pub mod signed;
pub mod tables;
pub mod texts;
