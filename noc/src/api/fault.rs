//! Why an operator's request is refused.

use crate::error::{AsProblem, StoreError, problem};
use crate::operators::Role;
use crate::operators::access::Scope;
use crate::operators::password::PasswordError;
use crate::store::word;
use muster_protocol::api::Problem;
use muster_protocol::text::printable;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("this address needs a session or an API token")]
    NotSignedIn,
    #[error("the session or API token is not known, was revoked or has ended")]
    SessionEnded,
    #[error("the name or the password is wrong")]
    SignInRefused,
    #[error("the password is not the one in use")]
    WrongPassword,
    #[error("too many attempts to sign in")]
    TooManySignIns { wait: Duration },
    #[error("too many sign-ins wait already")]
    SignInBusy,
    #[error("this operator has {limit} streams of events open already")]
    TooManyStreams { limit: usize },
    #[error("the request comes from another web site, or without the session's proof that it does not")]
    Csrf,
    #[error("this needs the role {}", word(.needed))]
    Role { needed: Role },
    #[error("the API token lacks the scope {}", word(.scope))]
    Scope { scope: Scope },
    #[error("this needs a session; an API token is not enough")]
    SessionOnly,
    #[error("there is no such thing here")]
    NotFound,
    #[error("the body is not application/json")]
    NotJson,
    #[error("`{field}` {why}")]
    Invalid { field: &'static str, why: String },
    #[error("the password is refused: {0}")]
    Password(#[from] PasswordError),
    #[error("the sign-in name `{login}` is taken")]
    LoginTaken { login: String },
    #[error("the handle `{handle}` is taken")]
    HandleTaken { handle: String },
    #[error("nobody takes roles from themselves, disables themselves or resets their own password this way")]
    Itself,
    #[error("the request does not say which version it changes")]
    IfMatchMissing,
    #[error("it was changed by somebody else meanwhile")]
    Changed,
    #[error("{what} is reserved already")]
    ReservedAlready { what: String },
    #[error("{what} is held by appliance {by}, which the reservation is not for")]
    Held { what: String, by: String },
    #[error("the applet is not in order: {0}")]
    AppletFaulty(muster_applet::Faults),
    #[error("the applet is signed by {key}, whose applets this organisation does not take")]
    AppletAuthorUnknown { key: String },
    #[error("applets signed with this key are taken already, as those of {}", printable(.name))]
    AppletAuthorKnown { name: String },
    #[error("version {version} was published before with other contents")]
    AppletVersionTaken { version: String },
    #[error("version {version} was withdrawn")]
    AppletWithdrawn { version: String },
    #[error("version {latest} is later, and nobody goes back")]
    AppletOlder { latest: String },
    #[error("this Idempotency-Key came with another request before")]
    KeyReused,
    #[error("this request was carried out before; what it made is shown only once")]
    SecretShownOnce { location: String },
}

impl AsProblem for Fault {
    fn problem(&self) -> Problem {
        use Fault::*;
        let sign_in = "Sign in: POST /v1/sessions.";
        let (status, code, remedy) = match self {
            NotSignedIn => (401, "not_signed_in", sign_in),
            SessionEnded => (401, "session_ended", sign_in),
            SignInRefused => {
                (401, "sign_in_refused", "Check both and try again; an administrator can set a new password.")
            }
            WrongPassword => (403, "password_wrong", "Give the password that you sign in with."),
            TooManySignIns { .. } => (429, "too_many_sign_ins", "Wait as long as Retry-After says, then try again."),
            SignInBusy => (503, "sign_in_busy", "Try again in a few seconds."),
            TooManyStreams { .. } => (429, "too_many_streams", "Close windows of the NOC that nobody looks at."),
            Csrf => {
                (403, "csrf", "Send the session's `csrf` value in the header X-Muster-Csrf, from this NOC's own pages.")
            }
            Role { .. } => (403, "role_too_low", "Ask an administrator of the organisation."),
            Scope { .. } => (403, "scope_missing", "Make an API token with this scope."),
            SessionOnly => (403, "session_only", sign_in),
            NotFound => (404, "not_found", "List what there is, and check the number or name."),
            NotJson => (415, "not_json", "Send JSON, with Content-Type: application/json."),
            Invalid { .. } => (422, "invalid", "Correct the value named."),
            Password(PasswordError::Unkept) => (503, "password_unkept", "Try again in a few seconds."),
            Password(_) => (422, "password_refused", "Choose a longer one; several words are best."),
            LoginTaken { .. } => (409, "login_taken", "Choose another name."),
            HandleTaken { .. } => (409, "handle_taken", "Choose another handle."),
            Itself => (
                409,
                "itself",
                "Ask another administrator; your own password is changed with POST /v1/session/password.",
            ),
            IfMatchMissing => (428, "if_match_missing", "Read it first, and send its ETag in If-Match."),
            Changed => (412, "changed_meanwhile", "Read it again, and decide anew."),
            ReservedAlready { .. } => {
                (409, "reserved_already", "Give up the other reservation first, or choose another.")
            }
            Held { .. } => (409, "held_by_another", "Choose another, or give that appliance other settings first."),
            AppletFaulty(_) => {
                (422, "applet_faulty", "Mend it and sign it anew: `muster applet check` shows all of it.")
            }
            AppletAuthorUnknown { .. } => {
                (409, "applet_author_unknown", "Add its author first, if that is who it should be.")
            }
            AppletAuthorKnown { .. } => (409, "applet_author_known", "There is nothing to do."),
            AppletVersionTaken { .. } => (409, "applet_version_taken", "Give the changed applet a new version."),
            AppletWithdrawn { .. } => (409, "applet_withdrawn", "Publish what is mended as a new version."),
            AppletOlder { .. } => {
                (409, "applet_older", "Publish it under a later version, or withdraw the later one first.")
            }
            KeyReused => (422, "idempotency_key_reused", "Use a new key for each request."),
            SecretShownOnce { .. } => {
                (409, "secret_shown_once", "Revoke what was made, and make another with a new key.")
            }
        };
        problem(status, code, self, remedy)
    }
}

/// What the database answers belongs to the interface's own errors.
impl Fault {
    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Fault {
        Fault::Invalid { field, why: why.into() }
    }
}

/// A fault, or the database's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Refused::Store(error.into())
    }
}
