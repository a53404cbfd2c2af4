//! What the driver tells the machine, and what the machine has it do.

use crate::Token;
use crate::crypto::claim::ClaimKey;
use crate::crypto::keys::SecretKey;
use crate::id::{BootId, Mac, Seq, SiteId};
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
    },
}
