//! What the ends of a delivery mean for a person and for the NOC.

use crate::problem::problem;
use crate::store::{StoredGrant, StoredItem, StoredJob};
use crate::view::{JobItemView, JobStep, JobView, ProblemView, seconds};
use data_encoding::BASE64;
use muster_protocol::api::{Granted, ResultItem};
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::delivery::Outcome;
use muster_protocol::id::{Seq, Uid};
use muster_protocol::wire::result::Reason;

pub(super) struct Ending {
    pub(super) step: JobStep,
    pub(super) problem: Option<ProblemView>,
    pub(super) report: Option<ResultItem>,
}

pub(super) fn ending(uid: &Uid, seq: Option<Seq>, outcome: Outcome) -> Ending {
    let report =
        |configured, reason: &str| seq.map(|seq| ResultItem { uid: *uid, seq, configured, reason: reason.to_owned() });
    match outcome {
        Outcome::Configured => Ending { step: JobStep::Configured, problem: None, report: report(true, "") },
        Outcome::Failed { reason, detail } => Ending {
            step: JobStep::Failed,
            problem: Some(reason_problem(reason, &detail)),
            report: report(false, reason.code()),
        },
        Outcome::NoAnswer => {
            let message = "The appliance did not answer. If the settings reached it, it has gone back to what it had.";
            let remedy = "Check its power and its link, discover again, then retry.";
            let why = problem("no_answer", message, remedy);
            Ending { step: JobStep::Failed, problem: Some(why), report: report(false, "no_answer") }
        }
        Outcome::Cancelled => Ending { step: JobStep::Cancelled, problem: None, report: None },
    }
}

/// The appliance's own words come from the network: they are shown escaped.
fn reason_problem(reason: Reason, detail: &str) -> ProblemView {
    let (message, remedy) = match reason.text().split_once(". ") {
        Some((message, remedy)) => (format!("{message}."), remedy),
        None => (reason.text().to_owned(), "Retry; if it stays, see the appliance's log."),
    };
    let message = match detail {
        "" => message,
        detail => format!("{message} It says: {}", detail.escape_debug()),
    };
    problem(reason.code(), message, remedy)
}

pub(super) fn read_grant(granted: Granted) -> Result<StoredGrant, ProblemView> {
    let remedy = "Plan again, or change the value, then retry.";
    if let Some(first) = granted.errors.first() {
        let message = granted.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(problem(&first.code, message, remedy));
    }
    let unreadable = || {
        problem("no_grant", "the NOC's grant could not be read", "Check that NOC and console have the same version.")
    };
    let grant = granted.grant.ok_or_else(unreadable)?;
    let signed = BASE64.decode(grant.grant.as_bytes()).map_err(|_| unreadable())?;
    let claim = match grant.claim_key.as_deref().map(|text| BASE64.decode(text.as_bytes())) {
        None => None,
        Some(Ok(bytes)) => Some(ClaimKey(bytes.try_into().map_err(|_| unreadable())?)),
        Some(Err(_)) => return Err(unreadable()),
    };
    let voucher = grant.voucher.map(|text| BASE64.decode(text.as_bytes())).transpose().map_err(|_| unreadable())?;
    Ok(StoredGrant { signed, seq: grant.seq, claim, voucher })
}

pub(crate) fn job_view(job: &StoredJob) -> JobView {
    JobView {
        id: job.id,
        site: job.site.0,
        started: seconds(job.started),
        finished: job.finished.map(seconds),
        cancelled: job.cancelled,
        items: job.items.iter().map(item_view).collect(),
    }
}

pub(super) fn item_view(item: &StoredItem) -> JobItemView {
    JobItemView {
        uid: item.uid.to_string(),
        mac: item.mac.to_string(),
        settings: item.settings.clone().into(),
        step: item.step,
        percent: 0,
        attempts: item.attempts,
        problem: item.problem.clone(),
    }
}
