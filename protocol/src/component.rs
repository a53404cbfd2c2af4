//! The NOC root's statement about the repository that an appliance takes its components from (decision 0044), and vendors in it.

use crate::time::UnixTime;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The first root metadata of a TUF repository, by its hash: from it on The Update Framework's own signatures count, also for
/// its successors. Signed by the NOC root with purpose [`crate::crypto::sign::Purpose::ComponentRoot`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ComponentRoot {
    /// Numbers the repositories of a NOC: an appliance goes to one with a higher number, and never back.
    #[n(0)]
    pub serial: u64,
    /// SHA-256 of `1.root.json` as served.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub root_hash: [u8; 32],
    /// When it was signed.
    #[n(2)]
    pub issued: UnixTime,
}

/// A vendor that signs for its components itself (decision 0049): in its own registration, and where a root of the repository names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentVendor {
    /// Its handle: lower-case letters, digits and dashes.
    pub vendor: String,
    /// Names of its components. Their targets begin with one of these and `_`.
    pub components: Vec<String>,
    /// Ed25519 public keys, hexadecimal.
    pub keys: Vec<String>,
    /// How many of them have to sign.
    pub threshold: u64,
}

impl ComponentVendor {
    /// What its delegated role is called in the repository's metadata.
    pub fn role(&self) -> String {
        format!("vendor-{}", self.vendor)
    }
}

/// The `muster` object in the metadata of a repository's root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFacts {
    /// Vendors that no key but the root's can take their components from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vendors: Vec<ComponentVendor>,
}
