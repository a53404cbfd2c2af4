//! Keys, signatures, sealing and claim codes: thin wrappers, no cryptography of our own.
//!
//! Verification works on the bytes received, before anything inside is decoded.

pub mod claim;
pub mod keys;
pub mod seal;
pub mod sign;

/// The CSPRNG a machine is given at its construction. Only the shells ask the OS for entropy.
pub type Entropy = Box<dyn rand_core::CryptoRng + Send>;

/// `N` random bytes.
pub fn random<const N: usize>(rng: &mut dyn rand_core::CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A uniform number below `bound`; zero when `bound` is zero.
pub fn uniform(rng: &mut dyn rand_core::CryptoRng, bound: u64) -> u64 {
    if bound == 0 {
        return 0;
    }
    // Multiplication maps 64 random bits on the range; the bias is below 2^-32 for every bound used here.
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}
