//! What the driver tells the machine, and what the machine has it do.

use crate::Token;
use crate::application::ApplicationSettings;
use crate::crypto::claim::ClaimKey;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::id::{BootId, Mac, Seq, SiteId};
use crate::instruction::{Act, Serial};
use crate::parameters::NetworkSettings;
use crate::time::UnixTime;
use crate::wire::Peer;
use crate::wire::here::Proof;
use crate::wire::result::{Reason, Stage};

/// Who this appliance is.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its device key.
    pub device: SecretKey,
    /// MAC of the interface that is configured.
    pub mac: Mac,
    /// This run.
    pub boot: BootId,
    /// What its image accepts as proof of ownership.
    pub proof: Proof,
    /// The key of the label's claim secret, for [`Proof::Claim`].
    pub claim: Option<ClaimKey>,
    /// The vendor's key, for [`Proof::Voucher`].
    pub vendor: Option<PublicKey>,
}

/// What the driver tells the machine.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram {
        /// From where.
        peer: Peer,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// What [`Output::Persist`] asked for is on disk.
    Persisted(Token),
    /// It could not be written; the former document is still there.
    PersistFailed(Token),
    /// How far [`Output::Apply`] is.
    Progress {
        /// What it is doing.
        stage: Stage,
        /// 0 to 100.
        percent: u8,
    },
    /// [`Output::Apply`] is done, or failed and the former state is restored.
    Applied(Result<(), Failure>),
    /// [`Output::RollBack`] is done.
    RolledBack,
    /// The NOC accepted a beat.
    BeatAccepted,
    /// What time it is, in the NOC's answer to that beat. Grants that expired before are refused from now on.
    NocTime(UnixTime),
    /// The configured interface has this MAC now.
    SetMac(Mac),
    /// The answer to a beat brought a grant: COSE_Sign1 by the NOC root over a [`crate::grant::Grant`].
    Grant(&'a [u8]),
    /// The answer to a beat brought an instruction: COSE_Sign1 by the NOC root over an [`crate::instruction::Instruction`].
    Instruction(&'a [u8]),
    /// The NOC knows that the instruction of this number was accepted.
    Told(Serial),
    /// [`Output::Forget`] is done.
    Forgotten,
    /// The answer to a beat brought a hand-over: COSE_Sign1 by the NOC root over a [`crate::handover::Handover`].
    Handover(&'a [u8]),
    /// The present NOC's answer to a beat brought none.
    NoHandover,
    /// The successor of this hand-over accepted a beat.
    TrialAccepted(Serial),
    /// It did not.
    TrialFailed(Serial),
    /// The former NOC knows that the appliance has left, or says that it does not know the appliance.
    FarewellTaken(Serial),
    /// The former NOC could not be told.
    FarewellFailed(Serial),
}

/// Why settings could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable reason.
    pub reason: Reason,
    /// What the system said.
    pub detail: String,
}

/// What the driver shall do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Replace the stored document atomically (it holds secrets), then say [`Input::Persisted`].
    Persist {
        /// To be returned.
        token: Token,
        /// The document.
        bytes: Vec<u8>,
    },
    /// Send to where a datagram came from; by broadcast on that interface if it cannot be reached.
    Transmit {
        /// To where.
        peer: Peer,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Remember the former state on disk, then apply provisionally, all or nothing; then say [`Input::Applied`].
    Apply {
        /// What to apply.
        settings: NetworkSettings,
        /// What the application shall have, in the same attempt; none: nothing by Muster.
        application: Option<ApplicationSettings>,
    },
    /// Restore the former state exactly, then say [`Input::RolledBack`]. Harmless if nothing was applied.
    RollBack {
        /// The settings of that state; absent: unconfigured.
        to: Option<NetworkSettings>,
    },
    /// The settings are final: make them lasting and forget the former state.
    Commit {
        /// The settings.
        settings: NetworkSettings,
    },
    /// Start SecureBeat, or go on with another enrolment.
    StartBeats {
        /// Where and how often.
        enrolment: Enrolment,
    },
    /// Stop SecureBeat.
    StopBeats,
    /// Do this, once. That it was accepted is on disk, so a power cut leaves it undone rather than doing it again.
    CarryOut {
        /// Names it in reports to the NOC.
        serial: Serial,
        /// What to do: [`Act::Reboot`] or [`Act::SendLog`]. The rest the machine does itself.
        act: Act,
    },
    /// Make the network as it is without an owner and drop the certificates, then say [`Input::Forgotten`]. Comes again after
    /// a power cut.
    Forget {
        /// The settings in force.
        settings: NetworkSettings,
    },
    /// For the log and the local status.
    Notify(Event),
}

/// Where an appliance reports to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// `host:port`.
    pub noc: String,
    /// SHA-256 of the DER of the NOC's TLS CA certificate.
    pub ca_pin: [u8; 32],
    /// The grant in force.
    pub seq: Seq,
    /// The site.
    pub site: SiteId,
    /// Seconds between beats.
    pub interval_s: u32,
}

/// A NOC that is to be spoken to beside the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The hand-over.
    pub serial: Serial,
    /// Where, and as what.
    pub enrolment: Enrolment,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Settings are final.
    Configured {
        /// The grant.
        seq: Seq,
    },
    /// An accepted attempt failed; what was before is in force.
    Failed {
        /// Why.
        reason: Reason,
        /// What the system said.
        detail: String,
    },
    /// A packet was refused before anything changed.
    Refused {
        /// Why.
        reason: Reason,
        /// More exactly, or nothing.
        detail: &'static str,
    },
    /// A grant in the answer to a beat was refused before anything changed.
    GrantRefused {
        /// Why.
        reason: Reason,
    },
    /// An instruction was accepted.
    Instructed {
        /// Its number.
        serial: Serial,
        /// What it says.
        act: Act,
    },
    /// An instruction was refused before anything changed.
    InstructionRefused {
        /// Why.
        reason: Reason,
    },
    /// The appliance has no owner any more.
    Decommissioned,
    /// A hand-over is stored and will be tried.
    HandoverBegun {
        /// Its number.
        serial: Serial,
    },
    /// A hand-over was refused before anything changed.
    HandoverRefused {
        /// Why.
        reason: Reason,
    },
    /// The present NOC does not want to hand over any more.
    HandoverCalledOff {
        /// Its number.
        serial: Serial,
    },
    /// The successor is the NOC that counts.
    HandedOver {
        /// The number of the hand-over.
        serial: Serial,
    },
}

/// A grant that the NOC gave with a beat, and that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedGrant {
    /// The grant.
    pub seq: Seq,
    /// Why; the former settings are in force.
    pub reason: Reason,
    /// What the system said, or nothing. One line.
    pub detail: String,
}
