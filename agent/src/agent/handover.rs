//! Being handed over to another NOC: the successor is tried beside the beats to the present one, and the former one is told
//! in the end (decision 0022). When to try is the machine's affair.

use super::{Agent, Done, Work};
use crate::health::Health;
use crate::network::Network;
use crate::noc_client::{NocClient, NocError};
use crate::storage::Storage;
use data_encoding::BASE64;
use muster_protocol::api::{self, BeatAnswer, Farewell, GivenHandover, HandoverReport};
use muster_protocol::appliance::{Input, Trial};
use muster_protocol::id::Uid;
use muster_protocol::instruction::Serial;
use muster_protocol::time::Millis;
use muster_protocol::wire::result::Reason;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// What is not on disk.
#[derive(Debug, Default)]
pub(super) struct HandingOver {
    /// The hand-over that came with the last answer.
    given: Option<Serial>,
    /// Why the last one was refused, or came to nothing when it was tried: a stable word.
    problem: Option<(Serial, &'static str)>,
    /// A successor is being tried, or the former NOC being told.
    under_way: bool,
}

/// A successor that is being tried, for the local status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedNoc {
    /// `host:port`.
    pub noc: String,
    /// Why it has not taken the appliance yet: a stable word.
    pub problem: Option<String>,
}

/// What is to be done beside a beat.
pub(super) enum Beside {
    /// The successor gets the same beat, under the same number.
    Try(Trial),
    Farewell(Trial),
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// The NOC that this appliance is about to be handed over to.
    pub fn tries(&self) -> Option<TriedNoc> {
        let (noc, (serial, _)) = (self.appliance.tries()?.to_owned(), self.appliance.handover()?);
        let problem = self.handing_over.problem.filter(|(of, _)| *of == serial).map(|(_, code)| code.to_owned());
        Some(TriedNoc { noc, problem })
    }

    /// For the next beat.
    pub(super) fn handover_report(&self) -> Option<HandoverReport> {
        let problem = self.handing_over.problem;
        let report = match self.appliance.handover() {
            Some((serial, done)) => {
                let problem = problem.filter(|(of, _)| *of == serial && !done);
                HandoverReport { serial, done, problem: problem.map_or("", |(_, code)| code).to_owned() }
            }
            None => HandoverReport { serial: problem?.0, done: false, problem: problem?.1.to_owned() },
        };
        // One that was refused is newer than what is known of earlier ones.
        let refused = problem.filter(|(of, _)| *of > report.serial);
        Some(refused.map_or(report, |(serial, code)| HandoverReport { serial, done: false, problem: code.to_owned() }))
    }

    /// What came with the answer of the present NOC.
    pub(super) fn take_handover(&mut self, now: Millis, given: Option<&GivenHandover>) {
        let Some(given) = given else { return self.appliance.handle_input(now, Input::NoHandover) };
        self.handing_over.given = Some(given.serial);
        // What is no base64 is no hand-over either, and is refused as such.
        let bytes = BASE64.decode(given.handover.as_bytes()).unwrap_or_default();
        self.components.heard(&bytes);
        self.appliance.handle_input(now, Input::Handover(&bytes));
    }

    pub(super) fn handover_refused(&mut self, reason: Reason) {
        if let Some(serial) = self.handing_over.given.take() {
            self.handing_over.problem = Some((serial, reason.code()));
        }
    }

    /// What is to be done beside the beat that is sent now.
    pub(super) fn beside(&mut self, now: Millis) -> Option<Beside> {
        if self.handing_over.under_way {
            return None;
        }
        let beside = self.appliance.trial(now).map(Beside::Try);
        let beside = beside.or_else(|| self.appliance.farewell(now).map(Beside::Farewell));
        self.handing_over.under_way = beside.is_some();
        beside
    }

    pub(super) fn tried(&mut self, now: Millis, serial: Serial, result: Result<BeatAnswer, NocError>) {
        self.handing_over.under_way = false;
        match result {
            Ok(answer) => {
                self.handing_over.problem = None;
                self.appliance.handle_input(now, Input::TrialAccepted(serial));
                tracing::debug!(%serial, time = answer.time, "the successor has accepted a beat");
            }
            Err(error) => {
                let code = error.code();
                // Once, not with every try.
                if self.handing_over.problem != Some((serial, code)) {
                    tracing::warn!(uid = %self.uid().short(), code, "the NOC that this appliance is handed over to does not take it; staying with the present one and trying on");
                    tracing::debug!(error = %error.chain(), "why");
                }
                self.handing_over.problem = Some((serial, code));
                self.appliance.handle_input(now, Input::TrialFailed(serial));
            }
        }
    }

    pub(super) fn said_farewell(&mut self, now: Millis, serial: Serial, knows: bool) {
        self.handing_over.under_way = false;
        let input = if knows { Input::FarewellTaken(serial) } else { Input::FarewellFailed(serial) };
        self.appliance.handle_input(now, input);
    }
}

/// Does it; the agent hears of it as finished work. No place among the connections to the NOC is taken: a successor that hangs
/// must not hold up the beats to the present one.
pub(super) async fn carry_out<S: Storage + Clone>(
    noc: Arc<Mutex<NocClient<S>>>,
    beside: Beside,
    beat: api::Beat,
    (uid, done): (Uid, mpsc::UnboundedSender<Done>),
) {
    let mut passing = noc.lock().await.passing();
    let work = match beside {
        Beside::Try(Trial { serial, enrolment }) => {
            // What became of earlier work, and what waits, is for the present NOC until this one counts.
            let beat = api::Beat { work: api::WorkReport::default(), earlier: Vec::new(), ..beat };
            Work::Tried { serial, result: passing.beat(&enrolment, &beat).await }
        }
        Beside::Farewell(Trial { serial, enrolment }) => {
            let said = passing.farewell(&enrolment, &Farewell { serial }).await;
            if let Err(error) = &said {
                tracing::debug!(error = %error.chain(), "the former NOC was not told");
            }
            let knows = said.is_ok() || said.is_err_and(|error| error.knows_no_appliance());
            Work::SaidFarewell { serial, knows }
        }
    };
    let _ = done.send(Done { uid, work });
}
