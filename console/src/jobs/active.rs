//! A delivery under way.

use crate::view::JobStep;
use data_encoding::BASE64;
use muster_protocol::api::SignedResult;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::delivery::{Delivery, Progress};
use muster_protocol::time::Millis;

/// Packets without an answer after which an appliance no longer counts as being about to answer: three seconds.
const MOST_ATTEMPTS: u32 = 2;

/// Kick-starts after which its first beat no longer is expected soon: one that answers gets one every second.
const MOST_KICKS: u32 = 4;

/// What a delivery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// The appliance's answer to a packet.
    Answer,
    /// The first beat after the kick-start, or the answer to the kick-start.
    Beat,
    /// Neither: an installation, or an appliance that is silent.
    Nothing,
}

pub(super) struct Active {
    pub(super) delivery: Delivery,
    pub(super) deadline: Option<Millis>,
    pub(super) step: JobStep,
    pub(super) percent: u8,
    pub(super) attempts: u32,
    /// Directed pings for a one-time key.
    pub(super) asked: u32,
    /// Kick-starts sent.
    kicks: u32,
    /// When the last packet left.
    pub(super) sent_at: Millis,
}

impl Active {
    pub(super) fn new(delivery: Delivery) -> Active {
        Active {
            delivery,
            deadline: None,
            step: JobStep::Waiting,
            percent: 0,
            attempts: 0,
            asked: 0,
            kicks: 0,
            sent_at: Millis(0),
        }
    }

    /// What the appliance signed when it used up the last grant, for the NOC.
    pub(super) fn refusal(&self, device_key: &PublicKey) -> Option<SignedResult> {
        let result = BASE64.encode(self.delivery.refusal()?);
        Some(SignedResult { device_key: device_key.to_base64(), result })
    }

    pub(super) fn note(&mut self, now: Millis, progress: &Progress) {
        match progress {
            Progress::Sending { attempts } => {
                // A packet that asks an installing appliance again is no new beginning.
                if !matches!(self.step, JobStep::Installing) || *attempts < self.attempts {
                    self.step = JobStep::Sending;
                }
                (self.attempts, self.sent_at) = (*attempts, now);
            }
            Progress::Installing { percent, .. } => (self.step, self.percent) = (JobStep::Installing, *percent),
            Progress::KickStarting => self.step = JobStep::KickStarting,
            Progress::Confirming => self.step = JobStep::Confirming,
        }
    }

    /// A packet leaves.
    pub(super) fn transmitted(&mut self) {
        self.kicks += u32::from(matches!(self.step, JobStep::KickStarting | JobStep::Confirming));
    }

    /// What it waits for. One that installs takes its time, one that has been silent for a while may be switched off, and
    /// one whose first beat does not come may not reach the NOC: none of them keeps others from beginning.
    pub(super) fn waits(&self) -> Waits {
        match self.step {
            JobStep::Waiting if self.asked <= MOST_ATTEMPTS => Waits::Answer,
            JobStep::Sending if self.attempts <= MOST_ATTEMPTS => Waits::Answer,
            JobStep::KickStarting | JobStep::Confirming if self.kicks <= MOST_KICKS => Waits::Beat,
            _ => Waits::Nothing,
        }
    }

    /// Its first packet, or the answer to it, was lost. Later packets say nothing new about the network.
    pub(super) fn was_lost(&self) -> bool {
        self.step == JobStep::Sending && self.attempts == 2
    }
}
