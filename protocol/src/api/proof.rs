//! Which proof of ownership a policy requires of an appliance before it is configured.

use crate::wire::here::Proof;
use serde::{Deserialize, Serialize};

/// The least proof of ownership that an appliance has to ask for itself, for the NOC to grant it settings. Each includes the ones after
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredProof {
    /// None: also one that takes whoever comes first.
    #[default]
    Any,
    /// The code of its label.
    Claim,
    /// A voucher of its vendor.
    Voucher,
}

impl RequiredProof {
    /// Every one, the weakest first.
    pub const ALL: [RequiredProof; 3] = [RequiredProof::Any, RequiredProof::Claim, RequiredProof::Voucher];

    /// Its name in JSON.
    pub fn word(self) -> &'static str {
        match self {
            RequiredProof::Any => "any",
            RequiredProof::Claim => "claim",
            RequiredProof::Voucher => "voucher",
        }
    }

    /// Whether an appliance that asks for `proof` asks for enough.
    pub fn is_met_by(self, proof: Proof) -> bool {
        let asked = match proof {
            Proof::Open => RequiredProof::Any,
            Proof::Claim => RequiredProof::Claim,
            Proof::Voucher => RequiredProof::Voucher,
        };
        asked >= self
    }

    pub(super) fn is_any(&self) -> bool {
        *self == RequiredProof::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_proof_than_required_is_enough_and_a_weaker_one_is_not() {
        let met = |proof| RequiredProof::ALL.map(|required| required.is_met_by(proof));
        assert_eq!(met(Proof::Open), [true, false, false]);
        assert_eq!(met(Proof::Claim), [true, true, false]);
        assert_eq!(met(Proof::Voucher), [true, true, true]);
    }
}
