//! Every error the interface answers with: a stable code, what happened, what to do.

use super::fault::Refused;
use super::{Fault, TooFast};
use crate::components::{ComponentError, RolloutError};
use crate::drafts::DraftError;
use crate::error::{AsProblem, StoreError, problem};
use crate::inventory::{ImportError, LineError};
use crate::invite::InviteError;
use crate::keeping::KeepingError;
use crate::policy::site::{SiteError, SiteFault};
use crate::queue::QueueError;
use crate::random::{self, NoEntropy};
use crate::store::word;
use crate::tables::TableError;
use crate::tls::CsrError;
use crate::work::WorkError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_protocol::api::Problem;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::{FieldError, InvalidSettings};
use muster_protocol::text::printable;
use serde::Serialize;
use std::time::Duration;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("this address needs a client certificate")]
    NoCertificate,
    #[error("this address is for {needed}, and the client certificate is not one of theirs")]
    WrongAudience { needed: &'static str },
    #[error("this console is not known to the NOC")]
    ConsoleUnknown,
    #[error("this console was revoked")]
    ConsoleRevoked,
    #[error("this appliance is not known to the NOC")]
    ApplianceUnknown,
    #[error("this appliance was decommissioned, replaced or handed over")]
    ApplianceRetired,
    #[error("the appliances of this NOC were handed over to {}", printable(.noc))]
    Moved { noc: String },
    #[error("this appliance was not handed over under this number")]
    NotHandedOver,
    #[error("no log was asked for under this number")]
    LogNotWanted,
    #[error("the invite is not known to this NOC")]
    InviteUnknown,
    #[error("the invite was used already (Unix time {used})")]
    InviteUsed { used: u64 },
    #[error("the invite expired (Unix time {expires})")]
    InviteExpired { expires: u64 },
    #[error("{what} is not 32 bytes in base64")]
    BadKey { what: String },
    #[error("the name is empty, longer than 64 characters or holds control characters")]
    BadName,
    #[error(transparent)]
    Csr(#[from] CsrError),
    #[error("the enrolment proof is not a signature by the device key it names")]
    BadProof,
    #[error("the enrolment proof is for another certificate request")]
    ProofOfOther,
    #[error(
        "the enrolment proof is not a signature by the console key it names, for this invite and certificate request"
    )]
    BadConsoleProof,
    #[error("the refusal that was sent along is not signed by appliance {}", .uid.short())]
    BadRefusal { uid: Uid },
    #[error("the answer to a ping that is said to be of appliance {} is none that it signed", .uid.short())]
    BadAnswer { uid: Uid },
    #[error("no grant {seq} was signed for this appliance")]
    NotGranted { seq: u64 },
    #[error("the request does not read: {why}")]
    Malformed { why: String },
    #[error("the request is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the rest of the request did not come in time")]
    TooSlow,
    #[error("this console sends more than {limit} large requests at the same time")]
    TooManyAtOnce { limit: usize },
    #[error("{} beats more often than this NOC takes", match .who { TooFast::Appliance => "this appliance", TooFast::Organisation => "this organisation" })]
    TooFast { who: TooFast, wait: Duration },
    #[error("more beats wait for the NOC's disk than it can write in time")]
    Overloaded,
    #[error("this appliance downloads {limit} components already")]
    TooManyDownloads { limit: usize },
    #[error("as many components are downloaded as the NOC serves at the same time")]
    DownloadsBusy,
    #[error("the file has {size} bytes, and what is asked for begins after its end")]
    BeyondEnd { size: u64 },
    #[error("the request names {count} {what}; at most {limit} go together")]
    TooMany { what: &'static str, count: usize, limit: usize },
    #[error("there is no site {site} for this console")]
    UnknownSite { site: SiteId },
    #[error("there is no appliance {} in this console's sites", .uid.short())]
    UnknownAppliance { uid: Uid },
    #[error("there is nothing at this address")]
    NoRoute,
    #[error("this address does not take this method")]
    Method,
    #[error("the NOC did not finish in time")]
    Timeout,
    #[error("the invite is for another organisation than this console's")]
    InviteOfOther,
    #[error(transparent)]
    Operators(#[from] Fault),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Table(TableError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Invite(#[from] InviteError),
    #[error(transparent)]
    Keeping(#[from] KeepingError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error("the operating system gave no random bytes")]
    NoEntropy(#[from] NoEntropy),
    #[error("the NOC failed inside")]
    Internal,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        ApiError::Store(error.into())
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Fault(fault) => ApiError::Operators(fault),
            Refused::Store(error) => ApiError::Store(error),
        }
    }
}

impl AsProblem for ApiError {
    fn problem(&self) -> Problem {
        use ApiError::*;
        let new_invite = "Ask for a new invite: `muster-noc console invite` at the NOC.";
        let (status, code, remedy) = match self {
            NoCertificate => (401, "certificate_missing", "Enrol first; then send the certificate you were given."),
            WrongAudience { .. } => (403, "certificate_wrong_kind", "Use the certificate of this kind of client."),
            ConsoleUnknown => (403, "console_unknown", new_invite),
            ConsoleRevoked => (
                403,
                "console_revoked",
                "If that was not meant, ask for a new invite and join with a new key: `muster-noc console invite` at the NOC.",
            ),
            ApplianceUnknown => {
                (403, "appliance_unknown", "Import the vendor's manifest, or claim it by its label code.")
            }
            ApplianceRetired => (
                403,
                "appliance_retired",
                "If it shall serve again, release it at the NOC (`muster-noc inventory release UID`) and configure it.",
            ),
            Moved { noc } => {
                let remedy = format!(
                    "Ask whoever runs {} for an invite (`muster-noc console invite` there), and join that NOC.",
                    printable(noc)
                );
                return problem(410, "noc_moved", self, &remedy);
            }
            NotHandedOver => (409, "not_handed_over", "Begin the hand-over again: `muster-noc handover start`."),
            LogNotWanted => {
                (409, "log_not_wanted", "Ask for it first: `muster-noc appliance logs UID --ask` at the NOC.")
            }
            InviteUnknown => (403, "invite_unknown", "Paste the whole invite, and check that it is from this NOC."),
            InviteUsed { .. } => (410, "invite_used", new_invite),
            InviteExpired { .. } => (410, "invite_expired", new_invite),
            InviteOfOther => (
                409,
                "invite_of_another_organisation",
                "Join with another key, or ask this console's organisation for an invite.",
            ),
            BadKey { .. } => (422, "bad_key", "Send an Ed25519 public key, base64."),
            BadName => (422, "bad_name", "Give the console a name of 1 to 64 characters."),
            Csr(CsrError::Malformed) => (422, "csr_malformed", "Send a PKCS #10 request in PEM."),
            Csr(CsrError::Algorithm) => (422, "csr_algorithm", "Make an ECDSA P-256 or Ed25519 key."),
            Csr(CsrError::Issue(_)) | Internal => (500, "internal", "Look at the NOC's log, then try again."),
            BadConsoleProof => (
                403,
                "proof_invalid",
                "Sign the proof with the console's own key, over this invite and certificate request.",
            ),
            BadAnswer { .. } => (422, "answer_invalid", "Send the answer as the appliance signed it, or none."),
            BadRefusal { .. } => (422, "refusal_invalid", "Send the result as the appliance signed it, or none."),
            BadProof => (403, "proof_invalid", "Sign the proof with the device key it names."),
            ProofOfOther => {
                (422, "proof_of_other_csr", "Make the proof anew, over the certificate request that is sent.")
            }
            NotGranted { .. } => (409, "not_granted", "Configure the appliance from a console of this NOC first."),
            Malformed { .. } => (400, "malformed", "Use programs of the same version at both ends."),
            TooLarge { .. } => (413, "too_large", "Send it in smaller parts."),
            TooMany { .. } => (413, "too_many", "Send it in smaller parts."),
            TooSlow => (408, "too_slow", "Check the connection, then send it again."),
            TooManyAtOnce { .. } => (429, "too_many_at_once", "Wait until some are answered, then send the rest."),
            TooFast { who: super::TooFast::Appliance, .. } => (
                429,
                "too_many_beats",
                "Wait as long as Retry-After says. The NOC's `beats_per_s_appliance` in noc.toml sets how many it takes.",
            ),
            TooFast { who: super::TooFast::Organisation, .. } => (
                429,
                "too_many_beats_of_organisation",
                "Wait as long as Retry-After says. The NOC's `beats_per_s_organisation` in noc.toml sets how many it takes.",
            ),
            Overloaded => {
                (503, "overloaded", "Wait as long as Retry-After says. What was measured meanwhile may come later.")
            }
            TooManyDownloads { .. } => (429, "too_many_downloads", "Wait until one is done, then go on."),
            DownloadsBusy => (503, "downloads_busy", "Wait as long as Retry-After says, then go on where it ended."),
            BeyondEnd { .. } => (416, "beyond_end", "Ask for bytes that there are, or for all."),
            UnknownSite { .. } => {
                (404, "unknown_site", "Choose one of the console's sites, or ask for an invite to this one.")
            }
            UnknownAppliance { .. } => {
                (404, "unknown_appliance", "Plan the appliance for one of the console's sites first.")
            }
            NoRoute => (404, "unknown_address", "Use programs of the same version at both ends."),
            Method => (405, "wrong_method", "Use programs of the same version at both ends."),
            Timeout => (503, "timeout", "Try again in a few seconds."),
            NoEntropy(_) => (503, "no_entropy", "Try again once the NOC's machine has finished starting."),
            Operators(fault) => return fault.problem(),
            Site(error) => return error.problem(),
            Table(error) => return error.problem(),
            Import(error) => return error.problem(),
            Draft(error) => return error.problem(),
            Work(error) => return error.problem(),
            Invite(error) => return error.problem(),
            Keeping(error) => return error.problem(),
            Queue(error) => return error.problem(),
            Component(error) => return error.problem(),
            Rollout(error) => return error.problem(),
            Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

/// A problem, and which values or lines it is about.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<SiteFault>,
    #[serde(skip_serializing_if = "<[LineError]>::is_empty")]
    lines: &'a [LineError],
}

impl ApiError {
    /// What is wrong with which value, for forms.
    fn faults(&self) -> Vec<SiteFault> {
        match self {
            ApiError::Site(SiteError::Invalid(faults)) => faults.clone(),
            ApiError::Operators(Fault::Invalid { field, why }) => {
                vec![SiteFault { field: (*field).to_owned(), code: "invalid".to_owned(), message: why.clone() }]
            }
            ApiError::Component(ComponentError::Invalid { field, why }) => {
                vec![SiteFault { field: (*field).to_owned(), code: "invalid".to_owned(), message: why.clone() }]
            }
            ApiError::Work(WorkError::Invalid(InvalidSettings(errors))) => errors.iter().map(of_settings).collect(),
            _ => Vec::new(),
        }
    }

    /// What is wrong with which line of a file.
    fn lines(&self) -> &[LineError] {
        match self {
            ApiError::Table(error) => error.lines(),
            ApiError::Import(ImportError::Lines { lines, .. }) => lines,
            _ => &[],
        }
    }
}

fn of_settings(error: &FieldError) -> SiteFault {
    SiteFault { field: word(&error.field), code: error.code.clone(), message: error.message.clone() }
}

/// Over how many seconds those who are sent away are spread at least.
const SPREAD_S: u64 = 5;

/// A number of seconds between two, at random.
fn spread(least: u64, most: u64) -> u64 {
    let random = random::bytes().map_or(0, u32::from_ne_bytes);
    least + u64::from(random) % (most - least + 1)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        if problem.status >= 500 {
            tracing::error!(error = &self as &dyn std::error::Error, code = problem.code, "a request failed");
        } else {
            tracing::debug!(error = &self as &dyn std::error::Error, code = problem.code, "a request was refused");
        }
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let shown = Shown { problem: &problem, faults: self.faults(), lines: self.lines() };
        let body = serde_json::to_vec(&shown).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        match &self {
            ApiError::Operators(Fault::TooManySignIns { wait }) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                headers.insert(header::RETRY_AFTER, seconds.into());
            }
            ApiError::Operators(Fault::NotSignedIn | Fault::SessionEnded | Fault::SignInRefused) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ApiError::Operators(Fault::SecretShownOnce { location }) => {
                headers.extend(HeaderValue::from_str(location).map(|location| (header::LOCATION, location)));
            }
            ApiError::TooFast { wait, .. } => {
                let seconds = wait.as_secs() + 1;
                headers.insert(header::RETRY_AFTER, spread(seconds, seconds + SPREAD_S).into());
            }
            // All of a fleet are told so in one moment, and must not come back in one.
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, spread(SPREAD_S, 6 * SPREAD_S).into());
            }
            ApiError::BeyondEnd { size } => {
                headers.extend(format!("bytes */{size}").parse().ok().map(|all| (header::CONTENT_RANGE, all)));
            }
            _ if status == StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
