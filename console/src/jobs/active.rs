//! A delivery under way.

use crate::view::JobStep;
use data_encoding::BASE64;
use muster_protocol::api::SignedResult;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::delivery::{Delivery, Progress};
use muster_protocol::time::Millis;

pub(super) struct Active {
    pub(super) delivery: Delivery,
    pub(super) deadline: Option<Millis>,
    pub(super) step: JobStep,
    pub(super) percent: u8,
    pub(super) attempts: u32,
}

impl Active {
    pub(super) fn new(delivery: Delivery) -> Active {
        Active { delivery, deadline: None, step: JobStep::Waiting, percent: 0, attempts: 0 }
    }

    /// What the appliance signed when it used up the last grant, for the NOC.
    pub(super) fn refusal(&self, device_key: &PublicKey) -> Option<SignedResult> {
        let result = BASE64.encode(self.delivery.refusal()?);
        Some(SignedResult { device_key: device_key.to_base64(), result })
    }

    pub(super) fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Sending { attempts } => {
                // A packet that asks an installing appliance again is no new beginning.
                if !matches!(self.step, JobStep::Installing) || *attempts < self.attempts {
                    self.step = JobStep::Sending;
                }
                self.attempts = *attempts;
            }
            Progress::Installing { percent, .. } => (self.step, self.percent) = (JobStep::Installing, *percent),
            Progress::KickStarting => self.step = JobStep::KickStarting,
            Progress::Confirming => self.step = JobStep::Confirming,
        }
    }

    /// Its packets count against the pace; one that installs or confirms is only waited for.
    pub(super) fn waits_for_packet(&self) -> bool {
        matches!(self.step, JobStep::Waiting | JobStep::Sending)
    }
}
