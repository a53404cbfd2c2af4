//! FAILED before anything changed.

use super::answer::fits;
use super::{Appliance, Event, Output};
use crate::id::RequestId;
use crate::time::Millis;
use crate::voucher::VoucherFault;
use crate::wire::Peer;
use crate::wire::config::PacketHash;
use crate::wire::result::{ConfigResult, Reason, Status};

/// Why a packet is refused before anything changed.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    /// More exactly, or nothing.
    pub(super) detail: &'static str,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { reason, detail: "" }
    }
}

impl From<VoucherFault> for Refusal {
    fn from(fault: VoucherFault) -> Refusal {
        Refusal { reason: Reason::VoucherRefused, detail: fault.text() }
    }
}

impl Appliance {
    /// FAILED before anything changed; no tag, because nothing was agreed with the sender. `of`: request and hash of a packet
    /// of `room` bytes.
    pub(super) fn refuse(
        &mut self,
        now: Millis,
        peer: Peer,
        of: (RequestId, PacketHash),
        refusal: Refusal,
        room: usize,
    ) {
        let Refusal { reason, detail } = refusal;
        // Beyond the limit it is not told to anybody, nor written to a log that a flood would fill.
        if !self.refusals.take(now) {
            return;
        }
        self.outputs.push_back(Output::Notify(Event::Refused { reason, detail }));
        let next_key = match reason {
            Reason::Busy | Reason::TooManyAttempts => None,
            _ => Some(self.keys.publish(now, &mut *self.rng)),
        };
        let detail = (!detail.is_empty()).then(|| detail.to_owned());
        let status = Status::Failed { reason, detail, next_key };
        let (uid, seq, boot) = (self.uid, self.saved.seq, self.profile.boot);
        let result = ConfigResult { uid, request: of.0, packet: of.1, seq, boot, status };
        let bytes = result.to_datagram(&self.profile.device, None);
        // Whoever it was: nobody shall get more bytes out than he put in. Every packet with a grant inside is long enough.
        if fits(&peer, bytes.len(), room) {
            self.outputs.push_back(Output::Transmit { peer, bytes });
        }
    }
}
