//! What the NOC gives with the answer to a beat, and what the next beats say became of it (decision 0020).

use super::handover::HandingOver;
use super::{Agent, Change, Done, Work};
use crate::health::Health;
use crate::network::application::ApplicationTask;
use crate::network::{Network, NetworkError, chain};
use crate::noc_client::{NocClient, NocError};
use crate::storage::Storage;
use data_encoding::BASE64;
use muster_protocol::api::{self, GrantFailure, InstructionReport, LogBundle, MAX_LOG, WorkReport};
use muster_protocol::appliance::Input;
use muster_protocol::id::Seq;
use muster_protocol::instruction::{Act, Serial};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::Millis;
use muster_protocol::wire::result::Reason;
use tokio::sync::Mutex;

/// What is not on disk: after a restart the NOC gives it again, or has been told.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The grant that came with the last answer.
    given: Option<Seq>,
    refused: Option<GrantFailure>,
    /// The last instruction that could not be carried out, and why.
    problem: Option<(Serial, &'static str)>,
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// For the next beat.
    pub(super) fn work_report(&self) -> WorkReport {
        let failed = self.appliance.failed_grant().map(|failed| GrantFailure {
            seq: failed.seq,
            reason: failed.reason.code().to_owned(),
            detail: failed.detail,
        });
        let refused = self.standing.refused.clone();
        let instruction = self.appliance.instructed().map(|serial| {
            let problem = self.standing.problem.filter(|(of, _)| *of == serial);
            InstructionReport { serial, problem: problem.map_or("", |(_, code)| code).to_owned() }
        });
        // The newer one is what the NOC waits for.
        let failed = refused.into_iter().chain(failed).max_by_key(|failure| failure.seq);
        WorkReport { failed, instruction, handover: self.handover_report(), drift: self.appliance.drift() }
    }

    /// What came with the answer to a beat.
    pub(super) fn take_work(&mut self, now: Millis, work: &api::Work) {
        // Until the former state is forgotten, a power cut would roll the next attempt back to it. It is given again.
        if self.committing {
            return;
        }
        if let Some(given) = &work.grant {
            self.standing.given = Some(given.seq);
            // What is no base64 is no grant either, and is refused as such.
            let bytes = BASE64.decode(given.grant.as_bytes()).unwrap_or_default();
            self.appliance.handle_input(now, Input::Grant(&bytes));
            self.pump(now);
        }
        if let Some(signed) = &work.instruction {
            let bytes = BASE64.decode(signed.as_bytes()).unwrap_or_default();
            self.components.heard(&bytes);
            self.appliance.handle_input(now, Input::Instruction(&bytes));
            self.pump(now);
        }
        self.take_handover(now, work.handover.as_ref());
    }

    /// The NOC was told, or says itself, that this appliance is to leave.
    pub(super) fn noc_knows(&mut self, now: Millis, told: Option<Serial>, result: Result<(), &NocError>) {
        let knows = match result {
            Ok(()) => true,
            // The answer that said so was lost.
            Err(error) => error.knows_no_appliance(),
        };
        if let (true, Some(serial)) = (knows, told) {
            self.appliance.handle_input(now, Input::Told(serial));
        }
    }

    pub(super) fn grant_refused(&mut self, reason: Reason) {
        let Some(seq) = self.standing.given.take() else { return };
        self.standing.refused = Some(GrantFailure { seq, reason: reason.code().to_owned(), detail: String::new() });
    }

    pub(super) fn carry_out(&mut self, serial: Serial, act: Act) {
        match act {
            Act::Reboot => self.reboot(serial),
            Act::SendLog => self.send_log(serial),
            // The machine does these itself.
            Act::Decommission | Act::ReportDrift | Act::RestoreDrift | Act::DriftByImage => {}
        }
    }

    pub(super) fn not_carried_out(&mut self, serial: Serial, code: &'static str) {
        self.standing.problem = Some((serial, code));
    }

    fn reboot(&self, serial: Serial) {
        let (system, work, uid) = (self.system.clone(), self.work.clone(), self.uid());
        tracing::warn!(uid = %uid.short(), %serial, "the NOC has the system restarted");
        tokio::task::spawn_blocking(move || {
            if let Err(error) = system.reboot() {
                tracing::error!(code = error.code(), error = %chain(&error), "the system was not restarted");
                let _ = work.send(Done { uid, work: Work::NotCarriedOut { serial, code: error.code() } });
            }
        });
    }

    fn send_log(&self, serial: Serial) {
        let Some(enrolment) = self.reporting.clone() else { return };
        let (system, work, uid, noc) = (self.system.clone(), self.work.clone(), self.uid(), self.noc.clone());
        let connections = self.connections.clone();
        tokio::spawn(async move {
            let bundle = LogBundle { serial, text: newest(system.recent_log()) };
            let _permit = connections.acquire_owned().await;
            let sent = noc.lock().await.send_log(&enrolment, &bundle).await;
            if let Err(error) = sent {
                tracing::warn!(code = error.code(), error = %error.chain(), "the log was not sent");
                let _ = work.send(Done { uid, work: Work::NotCarriedOut { serial, code: error.code() } });
            }
        });
    }

    pub(super) fn forget(&mut self, settings: NetworkSettings) {
        self.standing = Standing::default();
        self.handing_over = HandingOver::default();
        self.history.forget(self.boot);
        self.drift.forget();
        self.resume.ended();
        let has_application = self.appliance.application().is_some();
        self.changes.push_back(Change::Forget(settings, has_application));
    }
}

/// Makes the network as it is without an owner, and drops what only the owner's NOC takes.
pub(super) async fn forget<S: Storage, N: Network>(
    network: &N,
    noc: &Mutex<NocClient<S>>,
    (settings, has_application): (&NetworkSettings, bool),
) -> Result<(), NetworkError> {
    noc.lock().await.forget()?;
    network.forget(settings).await?;
    if has_application { network.hand_over(ApplicationTask::Forget).await } else { Ok(()) }
}

/// The end of a text, from the start of a line, as far as a bundle may hold it.
fn newest(text: String) -> String {
    if text.len() <= MAX_LOG {
        return text;
    }
    let from = (text.len() - MAX_LOG..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let tail = &text[from..];
    tail.split_once('\n').map_or(tail, |(_, lines)| lines).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_holds_the_newest_whole_lines() {
        assert_eq!(newest("one\ntwo\n".into()), "one\ntwo\n");
        let text: String = (0..60_000).map(|number| format!("line-ü {number}\n")).collect();
        let end = newest(text);
        assert!(end.len() <= MAX_LOG && end.len() > MAX_LOG - 40);
        assert!(end.starts_with("line-ü ") && end.ends_with("line-ü 59999\n"), "{}", &end[..20]);
    }
}
