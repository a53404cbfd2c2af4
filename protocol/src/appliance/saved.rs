//! What an appliance keeps on disk. One document, replaced whole.

use crate::crypto::keys::PublicKey;
use crate::crypto::seal::ExportedKey;
use crate::grant::Grant;
use crate::handover::Handover;
use crate::id::{RequestId, Seq};
use crate::instruction::{Act, Serial};
use crate::parameters::DriftPolicy;
use crate::time::UnixTime;
use crate::wire::config::PacketHash;
use crate::wire::result::Reason;
use crate::wire::{from_cbor, to_cbor};
use minicbor::{Decode, Encode};

/// The stored state is not one that this version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored state is damaged or from another version")]
pub struct LoadError;

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Saved {
    /// Form of this document.
    #[n(0)]
    pub(super) version: u8,
    /// Whose grants `seq` counts.
    #[n(1)]
    pub(super) seq_root: Option<PublicKey>,
    /// The highest sequence number accepted, whatever became of it.
    #[n(2)]
    pub(super) seq: Seq,
    /// The grant in force; it pins its NOC root.
    #[n(3)]
    pub(super) committed: Option<Grant>,
    /// An attempt that was accepted and is neither committed nor rolled back.
    #[n(4)]
    pub(super) pending: Option<Attempt>,
    /// The last attempt that ended, so that its packet is answered and not applied again.
    #[n(5)]
    pub(super) last: Option<Ended>,
    /// What time it was when a beat was answered, to the day.
    #[n(6)]
    pub(super) noc_time: Option<UnixTime>,
    /// The instruction accepted last, under the grant in force or one before it.
    #[n(7)]
    pub(super) instructed: Option<Instructed>,
    /// A hand-over that was accepted and is neither final nor called off.
    #[n(8)]
    pub(super) handover: Option<Handover>,
    /// The number of the hand-over accepted last.
    #[n(9)]
    pub(super) handed: Option<Serial>,
    /// The hand-over that became final last. `committed` names the new NOC and its root since then.
    #[n(10)]
    pub(super) moved: Option<Moved>,
    /// What the NOC said last about settings that are changed by hand: with the grant in force, or by an instruction since.
    #[n(11)]
    pub(super) drift: Option<DriftPolicy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Instructed {
    #[n(0)]
    pub(super) serial: Serial,
    #[n(1)]
    pub(super) act: Act,
}

/// The NOC that was left for another one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Moved {
    #[n(0)]
    pub(super) serial: Serial,
    #[n(1)]
    pub(super) noc: String,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub(super) ca_pin: [u8; 32],
    /// The grant under which it knew the appliance.
    #[n(3)]
    pub(super) seq: Seq,
    /// After this nobody tries to tell it any more.
    #[n(4)]
    pub(super) expires: UnixTime,
    #[n(5)]
    pub(super) told: bool,
}

/// One config packet that was opened and verified, or one grant that came with a beat; its console is the NOC root then.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Attempt {
    #[n(0)]
    pub(super) request: RequestId,
    #[n(1)]
    pub(super) packet: PacketHash,
    #[n(2)]
    pub(super) exported: ExportedKey,
    #[n(3)]
    pub(super) console: PublicKey,
    #[n(4)]
    pub(super) seq: Seq,
}

/// An attempt that ended. `failed` is absent after a commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Ended {
    #[n(0)]
    pub(super) attempt: Attempt,
    #[n(1)]
    pub(super) failed: Option<Why>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Why {
    #[n(0)]
    pub(super) reason: Reason,
    #[n(1)]
    pub(super) detail: Option<String>,
}

const VERSION: u8 = 1;

impl Saved {
    /// That of an appliance that has no owner.
    pub(super) fn new() -> Saved {
        Saved { version: VERSION, ..Saved::default() }
    }

    pub(super) fn load(bytes: Option<&[u8]>) -> Result<Saved, LoadError> {
        let Some(bytes) = bytes else { return Ok(Saved::new()) };
        let saved: Saved = from_cbor(bytes).map_err(|_| LoadError)?;
        if saved.version == VERSION { Ok(saved) } else { Err(LoadError) }
    }

    pub(super) fn store(&self) -> Vec<u8> {
        to_cbor(self)
    }
}
