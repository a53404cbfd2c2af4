//! Signing in and out.
//!
//! In three steps: a [`Proof`] is checked and names an operator; then whatever else is asked of that operator; then the session
//! begins. A second factor is a further step between (its answer would be 202 with what is asked); single sign-on is a further
//! kind of proof. Decision 0024.

use super::{Answer, Form, SESSION, see};
use crate::api::caller::{COOKIE, Caller, Client, cookie};
use crate::api::route::{Audience, Route};
use crate::api::{ApiError, App, Fault};
use crate::audit::{By, Event};
use crate::clock;
use crate::operators::access::{Access, Needs, Place, Via};
use crate::operators::{Operator, Session, SessionKind, password, people, secret};
use crate::store::{audit, operators, sessions};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Instant;
use utoipa::ToSchema;
use zeroize::Zeroizing;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions", Audience::Anybody, sign_in)
            .says("sessions", "Sign in")
            .takes::<SignIn>()
            .makes::<SignedIn>()
            .faults(&[401, 403, 429]),
        Route::get("/v1/session", SESSION, own).says("sessions", "The session that asks").shows::<OwnSession>(),
        Route::delete("/v1/session", SESSION, sign_out).says("sessions", "Sign out"),
        Route::post("/v1/session/password", SESSION, change_password)
            .says("sessions", "Set another password for oneself; all other sessions end")
            .takes::<NewPassword>()
            .faults(&[429]),
    ]
}

/// What proves who somebody is.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
enum Proof {
    /// A name and a password.
    Password {
        /// What they sign in with, as `anna@acme`.
        #[schema(max_length = 200)]
        login: String,
        /// The password.
        #[schema(max_length = 512, format = "password")]
        password: String,
    },
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    proof: Proof,
    /// How the session's secret is carried.
    kind: SessionKind,
}

#[derive(Serialize, ToSchema)]
struct SignedIn {
    session: Session,
    operator: Operator,
    /// The secret of a bearer session, for the header `Authorization: Bearer`. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// What a browser sends in X-Muster-Csrf with every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct OwnSession {
    session: Session,
    operator: Operator,
    /// What a browser sends in X-Muster-Csrf with every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The one in use.
    #[schema(max_length = 512, format = "password")]
    old: String,
    /// The one to be used.
    #[schema(min_length = 12, max_length = 128, format = "password")]
    new: String,
}

/// Somebody whose proof was good, and the hashed password it was good for.
struct Proven {
    operator: Operator,
    hashed: String,
}

/// `POST /v1/sessions`
async fn sign_in(State(app): State<App>, client: Client, form: Form<SignIn>) -> Result<Answer, ApiError> {
    let SignIn { proof, kind } = form.value;
    let proven = match proof {
        Proof::Password { login, password } => by_password(&app, client.address, &login, password.into()).await?,
    };
    begin(&app, client, proven, kind).await
}

async fn by_password(app: &App, address: IpAddr, login: &str, password: Zeroizing<String>) -> Result<Proven, ApiError> {
    let login = login.trim().to_lowercase();
    let attempt = app.attempts.take(Instant::now(), &login, address).map_err(|wait| Fault::TooManySignIns { wait })?;
    let known = app.noc.store.read(move |db| Ok::<_, ApiError>(operators::by_login(db, &login)?)).await?;
    let hashed = known.as_ref().map(|(_, hashed)| hashed.clone());
    let good = app.comparisons.verify(hashed, password).await.ok_or(Fault::SignInBusy)?;
    match known {
        Some((operator, hashed)) if good && operator.disabled.is_none() => {
            attempt.give_back();
            Ok(Proven { operator, hashed })
        }
        known => {
            // A name that nobody has may be a password in the wrong field: it is not written down.
            let known = known.map(|(operator, _)| operator);
            let refused = app.noc.store.write(move |db| {
                let place = known.as_ref().map_or(Place::NOC, people::home);
                let subject = known
                    .map_or_else(|| "unknown".to_owned(), |known| format!("operator:{}:{}", known.id, known.login));
                let event = Event::new(place, "sign_in.refused", subject);
                Ok::<_, ApiError>(audit::record(db, clock::now(), &By::nobody(address), event)?)
            });
            refused.await?;
            Err(Fault::SignInRefused.into())
        }
    }
}

async fn begin(app: &App, client: Client, proven: Proven, kind: SessionKind) -> Result<Answer, ApiError> {
    let secret = secret::session()?;
    let hash = secret::hash(&secret);
    let begun = app.noc.store.write(move |db| {
        let (now, id) = (clock::now(), proven.operator.id);
        // Disabled, or given another password, while this one was being compared.
        let operator = operators::find(db, id)?.filter(|operator| operator.disabled.is_none());
        let operator = operator.ok_or(Fault::SignInRefused)?;
        if operators::password(db, id)? != proven.hashed {
            return Err(Fault::SignInRefused.into());
        }
        let address = client.address.to_string();
        let session = sessions::add(db, now, id, &hash, kind, &address, &client.program)?;
        let access = Access {
            operator: id,
            login: operator.login.clone(),
            roles: Vec::new(),
            via: Via::Session(session.id),
            address,
            is_stale: false,
        };
        let detail = serde_json::json!({ "session": session.id, "kind": kind });
        people::record(db, &By::operator(&access), &operator, "sign_in.good", detail)?;
        Ok::<_, ApiError>((session, operator))
    });
    let (session, operator) = begun.await?;
    let is_cookie = kind == SessionKind::Cookie;
    let csrf = is_cookie.then(|| secret::csrf(&secret));
    let cookie = format!(
        "{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
        session.expires.saturating_sub(session.created)
    );
    let shown = SignedIn { session, operator, secret: (!is_cookie).then_some(secret), csrf };
    let answer = Answer::made(super::text(&shown)?, "/v1/session");
    Ok(if is_cookie { answer.with(header::SET_COOKIE, &cookie) } else { answer })
}

/// `GET /v1/session`
async fn own(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Answer, ApiError> {
    let now = clock::now();
    let found = see(&app, caller, Needs::Session, move |db, access| {
        let session = own_session(access).map(|id| sessions::find(db, now, id)).transpose()?.flatten();
        let operator = operators::find(db, access.operator)?;
        Ok(session.zip(operator).ok_or(Fault::SessionEnded)?)
    });
    let (session, operator) = found.await?;
    let secret = cookie(&headers).filter(|_| session.kind == SessionKind::Cookie);
    Answer::of(&OwnSession { session, operator, csrf: secret.map(secret::csrf) })
}

/// `DELETE /v1/session`
async fn sign_out(State(app): State<App>, caller: Caller) -> Result<Answer, ApiError> {
    let ended = super::change(&app, caller, Needs::Session, |db, access| {
        if let Some(id) = own_session(access) {
            sessions::revoke(db, clock::now(), id)?;
            let operator = operators::find(db, access.operator)?.ok_or(Fault::SessionEnded)?;
            let detail = serde_json::json!({ "session": id });
            people::record(db, &By::operator(access), &operator, "session.end", detail)?;
        }
        Ok(())
    });
    ended.await?;
    let forget = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok(Answer::nothing().with(header::SET_COOKIE, &forget))
}

/// `POST /v1/session/password`
async fn change_password(State(app): State<App>, caller: Caller, form: Form<NewPassword>) -> Result<Answer, ApiError> {
    let (address, NewPassword { old, new }) = (caller.address, form.value);
    let (login, hashed) = see(&app, caller.clone(), Needs::Session, |db, access| {
        Ok((access.login.clone(), operators::password(db, access.operator)?))
    })
    .await?;
    // A session that somebody found open is no way to guess faster.
    let attempt = app.attempts.take(Instant::now(), &login, address).map_err(|wait| Fault::TooManySignIns { wait })?;
    let good = app.comparisons.verify(Some(hashed.clone()), old.into()).await.ok_or(Fault::SignInBusy)?;
    if !good {
        return Err(Fault::WrongPassword.into());
    }
    attempt.give_back();
    let new = Zeroizing::new(new);
    let fresh = app.comparisons.run(move || password::hash(&login, &new)).await.ok_or(Fault::SignInBusy)?;
    let fresh = fresh.map_err(Fault::from)?;
    let changed = super::change(&app, caller, Needs::Session, move |db, access| {
        if operators::password(db, access.operator)? != hashed {
            return Err(Fault::WrongPassword.into());
        }
        operators::set_password(db, clock::now(), access.operator, &fresh, own_session(access))?;
        let operator = operators::find(db, access.operator)?.ok_or(Fault::SessionEnded)?;
        people::record(db, &By::operator(access), &operator, "operator.own_password", serde_json::Value::Null)?;
        Ok(())
    });
    changed.await?;
    Ok(Answer::nothing())
}

fn own_session(access: &Access) -> Option<u32> {
    match access.via {
        Via::Session(id) => Some(id),
        Via::Token(_) => None,
    }
}
