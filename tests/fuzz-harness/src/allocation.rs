//! "Never allocate more than the datagram allows": every allocation of the process is counted.
//!
//! What is compared is the sum of all bytes that a call allocates, also those that it frees again; it is never less than
//! what the call holds at once. Counting is for the whole process, so measured calls must not run beside other threads.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How much parsing an input may allocate.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Bytes for each byte of the input.
    pub each: usize,
    /// Bytes whatever the input is: error texts, tables, the first growth of vectors.
    pub base: usize,
}

impl Limit {
    /// Runs `parse` on an input of `length` bytes and panics if it allocates more than this.
    pub fn hold<R>(self, length: usize, parse: impl FnOnce() -> R) -> R {
        let (result, bytes) = measure(parse);
        let most = self.base + self.each * length;
        assert!(bytes <= most, "parsing {length} bytes allocated {bytes}, more than {most}");
        result
    }
}

/// Bytes that `call` allocates, all together.
pub fn measure<R>(call: impl FnOnce() -> R) -> (R, usize) {
    let region = Region::new(ALLOCATOR);
    let result = call();
    (result, region.change().bytes_allocated)
}

/// Bytes that a machine holds, from what its calls allocate and free.
#[derive(Debug, Default)]
pub struct Held(isize);

impl Held {
    /// Counts what `call` keeps or gives back.
    pub fn count<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let region = Region::new(ALLOCATOR);
        let result = call();
        let change = region.change();
        self.0 += change.bytes_allocated as isize - change.bytes_deallocated as isize;
        result
    }

    /// Bytes now.
    pub fn bytes(&self) -> isize {
        self.0
    }
}
