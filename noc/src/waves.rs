//! Who is first when something goes out by parts; pure.

use sha2::{Digest, Sha256};
use std::fmt::Display;

/// Where somebody stands when a version goes out by parts: the same each time they are asked, spread evenly over all numbers, and another
/// for each version, so that not always the same are first.
pub(crate) fn position(name: &str, version: &dyn Display, who: &dyn Display) -> u64 {
    let hash = Sha256::digest(format!("{name}\0{version}\0{who}"));
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}
