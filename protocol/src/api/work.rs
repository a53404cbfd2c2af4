//! What the answer to a beat carries, and what beats say became of it (decision 0020).

use crate::id::Seq;
use crate::instruction::Serial;
use crate::parameters::DriftPolicy;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Most bytes of a log bundle's text.
pub const MAX_LOG: usize = 256 * 1024;

/// What the NOC gives to an appliance, signed by its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(default)]
#[cbor(map)]
pub struct Work {
    /// New settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(0)]
    pub grant: Option<GivenGrant>,
    /// COSE_Sign1 by the NOC root over [`crate::instruction::Instruction`], base64: the oldest that is not carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(1)]
    pub instruction: Option<String>,
    /// Another NOC that the appliance is to report to. An answer without it calls off one that is not final yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub handover: Option<GivenHandover>,
    /// [`crate::api::ComponentPlan::revision`] of what the appliance shall have. Absent: nothing is asked of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub components: Option<String>,
}

impl Work {
    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Work::default()
    }
}

/// A grant that names the NOC root as its console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct GivenGrant {
    /// COSE_Sign1 by the NOC root over [`crate::grant::Grant`], base64.
    #[n(0)]
    pub grant: String,
    /// Its number, for reports about a grant that cannot be read.
    #[n(1)]
    pub seq: Seq,
}

/// A hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct GivenHandover {
    /// COSE_Sign1 by the NOC root over [`crate::handover::Handover`], base64.
    #[n(0)]
    pub handover: String,
    /// Its number, for reports about one that cannot be read.
    #[n(1)]
    pub serial: Serial,
}

/// What became of work; the same in every beat until there is something newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(default)]
#[cbor(map)]
pub struct WorkReport {
    /// A grant that was refused or rolled back. That one is in force needs no word: `seq` of the beat says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(0)]
    pub failed: Option<GrantFailure>,
    /// The instruction accepted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(1)]
    pub instruction: Option<InstructionReport>,
    /// The hand-over accepted last, or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub handover: Option<HandoverReport>,
    /// What the NOC said last about settings that are changed by hand; absent: nothing, the image decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub drift: Option<DriftPolicy>,
}

impl WorkReport {
    /// True if there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == WorkReport::default()
    }
}

/// Why a grant came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct GrantFailure {
    /// The grant.
    #[n(0)]
    pub seq: Seq,
    /// The stable reason ([`crate::wire::result::Reason::code`]).
    #[n(1)]
    pub reason: String,
    /// What the system said, or empty. Untrusted text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cbor(n(2), skip_if = "String::is_empty")]
    pub detail: String,
}

/// How the instruction accepted last stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct InstructionReport {
    /// Its number. It, and all before it, are done or will never be.
    #[n(0)]
    pub serial: Serial,
    /// Why it could not be carried out: a stable word; empty if it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cbor(n(1), skip_if = "String::is_empty")]
    pub problem: String,
}

/// How a hand-over stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct HandoverReport {
    /// Its number.
    #[n(0)]
    pub serial: Serial,
    /// It is final: the appliance reports to the successor.
    #[serde(default)]
    #[cbor(n(1), default)]
    pub done: bool,
    /// Why it was refused, or why the last try came to nothing: a stable word; empty while nothing is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cbor(n(2), skip_if = "String::is_empty")]
    pub problem: String,
}

/// The last word of an appliance to the NOC that it has left for another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// The hand-over.
    pub serial: Serial,
}

/// The NOC has it on disk that the appliance has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarewellTaken {
    /// NOC time, Unix seconds.
    pub time: u64,
}

/// The recent log lines of an agent, asked for by an instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBundle {
    /// The instruction.
    pub serial: Serial,
    /// The lines, oldest first, at most [`MAX_LOG`] bytes. Untrusted text.
    pub text: String,
}

/// A log bundle is on disk at the NOC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTaken {
    /// NOC time, Unix seconds.
    pub time: u64,
}
