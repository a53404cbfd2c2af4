//! Randomness that is the same for the same seed, and that tells how much of it was used.

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// SHA-256 in counter mode. A machine owns the stream; its driver reads with [`Position`] how far it got, and can give a
/// fork of the machine the same stream from there.
pub(crate) struct ModelRng {
    seed: [u8; 32],
    used: Position,
}

/// How many blocks of a stream were used.
#[derive(Clone, Default)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ModelRng {
    /// The stream for `purpose`, from block `from` on.
    pub(crate) fn new(purpose: &str, from: u64) -> ModelRng {
        ModelRng { seed: Sha256::digest(purpose).into(), used: Position(Arc::new(AtomicU64::new(from))) }
    }

    pub(crate) fn position(&self) -> Position {
        self.used.clone()
    }
}

impl TryRng for ModelRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            let counter = self.used.0.fetch_add(1, Ordering::Relaxed);
            let mut hash = Sha256::new();
            hash.update(self.seed);
            hash.update(counter.to_le_bytes());
            let block: [u8; 32] = hash.finalize().into();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for ModelRng {}
