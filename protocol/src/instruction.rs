//! What the NOC has a configured appliance do, once: signed by the root, delivered in the answer to a beat (decision 0020).

use crate::id::{Seq, Uid};
use crate::parameters::DriftPolicy;
use crate::time::UnixTime;
use minicbor::{Decode, Encode};

/// An instruction to one appliance.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Instruction {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// The grant under which it is good. So what was signed before a factory reset is worth nothing after it.
    #[n(1)]
    pub seq: Seq,
    /// Must exceed the number the appliance has stored.
    #[n(2)]
    pub serial: Serial,
    /// What to do.
    #[n(3)]
    pub act: Act,
    /// When it was signed.
    #[n(4)]
    pub issued: UnixTime,
    /// After this it is refused by an appliance that knows the time.
    #[n(5)]
    pub expires: UnixTime,
}

/// Numbers the instructions to one appliance, ascending.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Serial(#[n(0)] pub u64);

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What an appliance can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Restart the system.
    #[n(0)]
    Reboot,
    /// Send the agent's recent log lines.
    #[n(1)]
    SendLog,
    /// Tell the NOC, then forget owner, settings and certificates. The identity stays.
    #[n(2)]
    Decommission,
    /// From now on only report settings that are changed by hand.
    #[n(3)]
    ReportDrift,
    /// From now on set them again, too.
    #[n(4)]
    RestoreDrift,
    /// From now on do what the image says about them.
    #[n(5)]
    DriftByImage,
}

impl Act {
    /// The instruction that brings a site's policy to an appliance that is configured already.
    pub fn of_drift(policy: Option<DriftPolicy>) -> Act {
        match policy {
            Some(DriftPolicy::Report) => Act::ReportDrift,
            Some(DriftPolicy::Restore) => Act::RestoreDrift,
            None => Act::DriftByImage,
        }
    }

    /// The policy that it brings; none if it is about something else.
    pub fn drift(self) -> Option<Option<DriftPolicy>> {
        match self {
            Act::ReportDrift => Some(Some(DriftPolicy::Report)),
            Act::RestoreDrift => Some(Some(DriftPolicy::Restore)),
            Act::DriftByImage => Some(None),
            Act::Reboot | Act::SendLog | Act::Decommission => None,
        }
    }
}
