//! The NOC root's statement about the repository that an appliance takes its components from (decision 0044).

use crate::time::UnixTime;
use minicbor::{Decode, Encode};

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
