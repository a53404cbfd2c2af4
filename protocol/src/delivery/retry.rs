//! When to try again after a FAILED result, and when to stop.

use crate::time::Millis;
use crate::wire::result::Reason;
use minicbor::{Decode, Encode};

/// Re-send after 1, 2, 4, 8, 16 and then every 16 seconds.
pub(super) fn backoff(unanswered: u32) -> u64 {
    1_000 << unanswered.min(4)
}

/// How often each kind of failure was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Tries {
    /// The packet was not accepted, and the grant is still good.
    #[n(0)]
    refused: u8,
    /// Another attempt was in the way.
    #[n(1)]
    waited: u8,
    /// The grant was accepted and its settings failed.
    #[n(2)]
    failed: u8,
    /// Asking before this moment would meet the same obstacle.
    #[cbor(skip)]
    not_before: Millis,
}

const MOST_REFUSED: u8 = 6;
const MOST_WAITED: u8 = 20;
const MOST_FAILED: u8 = 3;

/// What follows from a FAILED result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Seal the same grant to a fresh one-time key.
    SameGrant,
    /// Ask again after so many milliseconds.
    Later { ms: u64 },
    /// The grant's number is used up.
    NewGrant,
    /// Only a person can help.
    GiveUp,
}

impl Tries {
    pub(super) fn judge(&mut self, reason: Reason) -> Verdict {
        match reason {
            Reason::KeyUnknown | Reason::RequestReused => count(&mut self.refused, MOST_REFUSED, Verdict::SameGrant),
            Reason::Busy | Reason::TooManyAttempts => {
                count(&mut self.waited, MOST_WAITED, Verdict::Later { ms: 10_000 })
            }
            Reason::OldSequence
            | Reason::Expired
            | Reason::ApplyFailed
            | Reason::Storage
            | Reason::NoKickStart
            | Reason::Interrupted
            | Reason::InstallFailed => count(&mut self.failed, MOST_FAILED, Verdict::NewGrant),
            Reason::NotOpened
            | Reason::WrongRoot
            | Reason::WrongConsole
            | Reason::WrongAppliance
            | Reason::VoucherRefused
            | Reason::AddressTaken
            | Reason::ApplicationNotSupported
            | Reason::ApplicationFailed
            // The settings themselves are wrong: the same ones again would cut the appliance off for another window.
            | Reason::NoBeat => Verdict::GiveUp,
        }
    }

    pub(super) fn wait_until(&mut self, at: Millis) {
        self.not_before = at;
    }

    pub(super) fn must_wait(&self, now: Millis) -> bool {
        now < self.not_before
    }
}

fn count(counter: &mut u8, most: u8, verdict: Verdict) -> Verdict {
    *counter = counter.saturating_add(1);
    if *counter >= most { Verdict::GiveUp } else { verdict }
}
