//! The result of a config packet: SUCCESS, FAILED or UNCONFIGURED (seed steps 70, 72, 73).

use super::config::PacketHash;
use super::{DecodeError, Message, from_cbor, to_cbor};
use crate::crypto::keys::{PublicKey, SealKey, SecretKey};
use crate::crypto::seal::ExportedKey;
use crate::crypto::sign::{self, Purpose};
use crate::id::{BootId, RequestId, Seq, Uid};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Longest detail, bytes.
pub const MAX_DETAIL: usize = 120;

/// A result on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ResultPacket {
    /// COSE_Sign1 by the device key.
    #[n(0)]
    signed: ByteVec,
    /// Tag by the exported key. Absent when the packet could not be opened, which only FAILED may say.
    #[n(1)]
    tag: Option<Tag>,
}

/// A 16-byte tag by the exported key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Tag(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

/// What became of one config packet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ConfigResult {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// The attempt.
    #[n(1)]
    pub request: RequestId,
    /// The datagram it answers.
    #[n(2)]
    pub packet: PacketHash,
    /// The sequence number the appliance has stored now.
    #[n(3)]
    pub seq: Seq,
    /// This run of the agent.
    #[n(4)]
    pub boot: BootId,
    /// The result itself.
    #[n(5)]
    pub status: Status,
}

/// The result itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// Applied.
    #[n(0)]
    Success {
        /// True once the settings are final and SecureBeat has started.
        #[n(0)]
        committed: bool,
    },
    /// Not applied, or rolled back: what was before is in force.
    #[n(1)]
    Failed {
        /// Why.
        #[n(0)]
        reason: Reason,
        /// What the appliance has to say beyond that, at most [`MAX_DETAIL`] bytes. Untrusted text.
        #[n(1)]
        detail: Option<String>,
        /// For the next attempt.
        #[n(2)]
        next_key: Option<SealKey>,
    },
    /// Still installing.
    #[n(2)]
    Unconfigured {
        /// What it is doing.
        #[n(0)]
        stage: Stage,
        /// How far, 0 to 100.
        #[n(1)]
        percent: u8,
        /// When to ask again, milliseconds.
        #[n(2)]
        ask_again_ms: u32,
    },
}

/// What an installing appliance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Stage {
    /// Making sure that nobody else has the address (RFC 5227).
    #[n(0)]
    ProbingAddress,
    /// Applying network settings.
    #[n(1)]
    Network,
    /// Installing components.
    #[n(2)]
    Components,
    /// Kick-started; waiting for the NOC to accept the first beat.
    #[n(3)]
    FirstBeat,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $n:literal $name:ident $code:literal $text:literal;)*) => {
        /// Why a configuration failed. Numbers and codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Reason { $($(#[$doc])* #[n($n)] $name,)* }

        impl Reason {
            /// A stable word for programs.
            pub fn code(self) -> &'static str { match self { $(Reason::$name => $code,)* } }
            /// A sentence: what happened and what to do.
            pub fn text(self) -> &'static str { match self { $(Reason::$name => $text,)* } }
            /// The reason of a code.
            pub fn from_code(code: &str) -> Option<Reason> { match code { $($code => Some(Reason::$name),)* _ => None } }
        }
    };
}

reasons! {
    /// The one-time key is unknown, used or expired.
    0 KeyUnknown "key_unknown" "The appliance no longer has the one-time key; the console tries again with a fresh one.";
    /// Did not open: with an unconfigured appliance, the wrong claim code.
    1 NotOpened "not_opened" "The appliance could not open the packet: the claim code is not the one on its label. Check the code.";
    /// The grant is not by the pinned root.
    2 WrongRoot "wrong_root" "The appliance belongs to another NOC. Reset it at the appliance, or configure it from that NOC.";
    /// The grant names another console.
    3 WrongConsole "wrong_console" "The grant allows another console. Plan again from this one.";
    /// The grant names another appliance or MAC.
    4 WrongAppliance "wrong_appliance" "The grant is for another appliance. Discover and plan again.";
    /// The sequence number is not above the stored one.
    5 OldSequence "old_sequence" "The appliance has accepted a newer configuration. Plan again.";
    /// The grant has expired by the appliance's signed time.
    6 Expired "expired" "The grant has expired. Plan again.";
    /// The request id was used with other bytes.
    7 RequestReused "request_reused" "Another packet used the same request id. Try again.";
    /// Busy with another configuration.
    8 Busy "busy" "The appliance is busy with another configuration. Wait for it, then try again.";
    /// Another host has the address.
    9 AddressTaken "address_taken" "Another device on the network already uses this address. Choose another address.";
    /// The network settings could not be applied.
    10 ApplyFailed "apply_failed" "The appliance could not apply the settings and keeps what it had.";
    /// Storage failed.
    11 Storage "storage" "The appliance could not write to its storage and keeps what it had. Check its disk.";
    /// No kick-start within the window.
    12 NoKickStart "no_kick_start" "No kick-start reached the appliance in time, so it went back to what it had. Check the link and try again.";
    /// No accepted beat within the window.
    13 NoBeat "no_beat" "The NOC did not get a beat in time, so the appliance went back to what it had. Check gateway, DNS and NOC address.";
    /// Power was cut in between.
    14 Interrupted "interrupted" "The appliance restarted in between and went back to what it had. Try again.";
    /// The same claim was tried too often.
    15 TooManyAttempts "too_many_attempts" "Too many packets did not open; the appliance accepts the next one later. Check the claim code, wait, try again.";
    /// Required software could not be installed.
    16 InstallFailed "install_failed" "The appliance could not install its software and keeps what it had. Try again; if it stays, see its log.";
    /// No voucher of its vendor binds it to this NOC.
    17 VoucherRefused "voucher_refused" "The appliance accepts a NOC only with a voucher of its vendor, and took none for this one. Ask the vendor for a voucher for this appliance and this NOC, import it, plan again.";
    /// The image says nothing of where application settings go.
    18 ApplicationNotSupported "application_not_supported" "The appliance takes no application settings: its image does not say where they go. Take them out of its policy, or install an image with [application] in agent.toml.";
    /// The application, or the file or hook before it, did not take its settings.
    19 ApplicationFailed "application_failed" "The application on the appliance did not take its settings, so everything went back to what it was. See the detail, correct the application settings, plan again.";
}

impl ConfigResult {
    /// Signs; the datagram. `exported` is there whenever the packet was opened.
    pub fn to_datagram(&self, key: &SecretKey, exported: Option<&ExportedKey>) -> Vec<u8> {
        let signed = sign::sign(key, Purpose::Result, to_cbor(self));
        let tag = exported.map(|exported| Tag(exported.tag(&signed)));
        super::encode(&Message::Result(ResultPacket { signed: signed.into(), tag }))
    }
}

impl ResultPacket {
    /// The appliance it claims to be from: to find whose key to check. Not to be trusted.
    pub fn claimed_uid(&self) -> Option<Uid> {
        let unverified = sign::Unverified::parse(&self.signed).ok()?;
        from_cbor::<ConfigResult>(unverified.untrusted_payload()).ok().map(|result| result.uid)
    }

    /// COSE_Sign1 by the device key over a [`ConfigResult`], for whoever can check only that, as the NOC.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The result, by the device key; everything but FAILED also by the exported key.
    pub fn verify(&self, device: &PublicKey, exported: &ExportedKey) -> Result<ConfigResult, DecodeError> {
        let payload = sign::verify(device, Purpose::Result, &self.signed).map_err(|_| DecodeError::Body)?;
        let result: ConfigResult = from_cbor(&payload)?;
        if result.uid != Uid::of(device) {
            return Err(DecodeError::Body);
        }
        let authentic = match self.tag {
            Some(tag) => exported.verify(&self.signed, &tag.0),
            None => matches!(result.status, Status::Failed { .. }),
        };
        if authentic { Ok(result) } else { Err(DecodeError::Body) }
    }
}
