//! Appliances whose image names a vendor: who has which voucher for them, rightly or not.

use crate::random::Stream;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::id::Uid;
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;

/// The vendor's key, and dice of its own: a world without vouchers is the one that it would be without this.
pub(crate) struct Vendor {
    key: SecretKey,
    dice: Stream,
}

/// What the NOC has for an appliance before the right voucher is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paper {
    /// The right one.
    Good,
    /// None.
    Missing,
    /// The vendor's, for another appliance.
    OfAnother,
    /// The vendor's, for another NOC.
    OfAnotherNoc,
    /// Somebody else's, who calls himself a vendor.
    Strange,
}

impl Vendor {
    pub(crate) fn new(seed: u64) -> Vendor {
        let mut dice = Stream::new(!seed);
        Vendor { key: SecretKey::generate(&mut dice), dice }
    }

    pub(crate) fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// Whether an appliance is one of this vendor's, so many in a thousand.
    pub(crate) fn makes(&mut self, per_mille: u32) -> bool {
        self.dice.chance(per_mille)
    }

    /// Draws what the NOC has at first.
    pub(crate) fn draw(&mut self) -> Paper {
        use Paper::{Good, Missing, OfAnother, OfAnotherNoc, Strange};
        self.dice.choose([Good, Good, Good, Good, Missing, OfAnother, OfAnotherNoc, Strange])
    }

    /// A voucher as it would be in a manifest; `root` is the NOC's.
    pub(crate) fn paper(&self, paper: Paper, uid: Uid, root: PublicKey) -> Option<Vec<u8>> {
        let stranger = SecretKey::from_seed(&[0x57; 32]);
        let good = Voucher { uid, root, vendor: self.key(), issued: UnixTime(1), expires: None };
        let mut other = uid;
        other.0[0] ^= 1;
        Some(match paper {
            Paper::Missing => return None,
            Paper::Good => good.sign(&self.key),
            Paper::OfAnother => Voucher { uid: other, ..good }.sign(&self.key),
            Paper::OfAnotherNoc => Voucher { root: stranger.public(), ..good }.sign(&self.key),
            Paper::Strange => Voucher { vendor: stranger.public(), ..good }.sign(&stranger),
        })
    }
}
