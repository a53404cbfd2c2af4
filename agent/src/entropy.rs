//! Randomness from the operating system.

use muster_protocol::crypto::Entropy;
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;

/// The kernel's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl OsEntropy {
    /// For a machine.
    pub fn boxed() -> Entropy {
        Box::new(OsEntropy)
    }
}

impl TryRng for OsEntropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        // Going on with predictable keys would be worse than stopping.
        getrandom::fill(dst).expect("the kernel gives random bytes");
        Ok(())
    }
}

impl TryCryptoRng for OsEntropy {}
