//! A stream that is the same for the same seed: SHA-256 in counter mode.

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};
use std::convert::Infallible;

/// Seeded randomness. Only for what a practice run shall repeat.
#[derive(Clone, Debug)]
pub(crate) struct SeededRng {
    seed: [u8; 32],
    counter: u64,
}

impl SeededRng {
    /// A stream of its own for each purpose and number.
    pub(crate) fn new(seed: u64, purpose: &str, number: usize) -> SeededRng {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((number as u64).to_le_bytes());
        hash.update(purpose);
        SeededRng { seed: hash.finalize().into(), counter: 0 }
    }

    /// True in `percent` of 100 cases.
    pub(super) fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && muster_protocol::crypto::uniform(self, 100) < u64::from(percent)
    }

    fn block(&mut self) -> [u8; 32] {
        self.counter += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_le_bytes());
        hash.finalize().into()
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(32) {
            let block = self.block();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}
