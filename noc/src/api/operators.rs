//! For operators: sessions, organisations, sites, people, appliances, consoles and messages to them, alerts,
//! the audit log, and events of all of it.
//!
//! Each request is authorised inside of the transaction that does what it asks, so what was revoked does nothing more. What a
//! change is recorded as is written there, too.

mod alerts;
mod applets;
mod appliances;
mod audit;
mod availability;
mod channels;
mod components;
mod consoles;
mod drafts;
mod events;
mod forms;
mod history;
mod instructions;
mod inventory;
mod invites;
mod maintenance;
mod messages;
mod monitoring;
mod openmetrics;
mod organisations;
mod people;
mod policy;
mod remote_write;
mod reservations;
mod retirement;
mod rollouts;
mod sessions;
mod sign_in;
mod sites;
mod strip;
mod tokens;
mod versions;

pub(crate) use alerts::{checked_note, checked_silence};

use super::answer::{Answer, IfMatch, text};
use super::caller::Caller;
use super::request::{SMALL, read};
use super::route::{Audience, Route};
use super::{ApiError, App, Fault};
use crate::clock;
use crate::operators::access::{Access, Needs, Scope};
use crate::store::idempotency::{self, Keyed};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The routes of the audience.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = sign_in::routes();
    routes.extend(sessions::routes());
    routes.extend(tokens::routes());
    routes.extend(organisations::routes());
    routes.extend(sites::routes());
    routes.extend(policy::routes());
    routes.extend(reservations::routes());
    routes.extend(drafts::routes());
    routes.extend(versions::routes());
    routes.extend(people::routes());
    routes.extend(applets::routes());
    routes.extend(appliances::routes());
    routes.extend(instructions::routes());
    routes.extend(retirement::routes());
    routes.extend(inventory::routes());
    routes.extend(history::routes());
    routes.extend(strip::routes());
    routes.extend(availability::routes());
    routes.extend(openmetrics::routes());
    routes.extend(remote_write::routes());
    routes.extend(consoles::routes());
    routes.extend(messages::routes());
    routes.extend(invites::routes());
    routes.extend(alerts::routes());
    routes.extend(monitoring::routes());
    routes.extend(maintenance::routes());
    routes.extend(rollouts::routes());
    routes.extend(components::routes());
    routes.extend(channels::routes());
    routes.extend(audit::routes());
    routes.extend(events::routes());
    routes
}

/// What tables are sent and taken as.
const CSV: &str = "text/csv";
/// Longest table in one request: some five thousand lines.
const LONGEST_TABLE: usize = 256 << 10;

const SESSION: Audience = Audience::Operators(Needs::Session);

fn scope(scope: Scope) -> Audience {
    Audience::Operators(Needs::Scope(scope))
}

/// Looks something up for somebody who may.
async fn see<T: Send + 'static>(
    app: &App,
    caller: Caller,
    needs: Needs,
    work: impl FnOnce(&Connection, &Access) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let now = clock::now();
    let seen = app.noc.store.read(move |db| {
        let access = caller.authorise(db, now, needs)?;
        work(db, &access).map(|seen| (access, seen))
    });
    let (access, seen) = seen.await?;
    Caller::touch(app, now, &access);
    Ok(seen)
}

/// Changes something for somebody who may.
async fn change<T: Send + 'static>(
    app: &App,
    caller: Caller,
    needs: Needs,
    work: impl FnOnce(&Connection, &Access) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let now = clock::now();
    let changed = app.noc.store.write(move |db| {
        let access = caller.authorise(db, now, needs)?;
        work(db, &access).map(|changed| (access, changed))
    });
    let (access, changed) = changed.await?;
    Caller::touch(app, now, &access);
    Ok(changed)
}

/// What was made, where it is, and whether its answer holds a secret.
struct Made<T> {
    shown: T,
    location: String,
    is_secret: bool,
}

/// Makes something for somebody who may, once for each `Idempotency-Key`.
async fn make<T: Serialize + 'static>(
    app: &App,
    caller: Caller,
    needs: Needs,
    keyed: Option<Keyed>,
    work: impl FnOnce(&Connection, &Access) -> Result<Made<T>, ApiError> + Send + 'static,
) -> Result<Answer, ApiError> {
    let made = change(app, caller, needs, move |db, access| {
        let now = clock::now();
        if let Some(keyed) = &keyed
            && let Some(earlier) = idempotency::earlier(db, now, access.operator, keyed)?
        {
            return Ok(earlier);
        }
        let made = work(db, access)?;
        let body = text(&made.shown)?;
        if let Some(keyed) = &keyed {
            let kept = (!made.is_secret).then_some(body.as_str());
            idempotency::remember(db, now, access.operator, keyed, kept, &made.location)?;
        }
        Ok((body, made.location))
    });
    let (body, location) = made.await?;
    Ok(Answer::made(body, &location))
}

/// A JSON body that says nothing unknown.
struct Form<T, const LIMIT: usize = SMALL> {
    value: T,
    hash: [u8; 32],
    headers: HeaderMap,
}

impl<T, const LIMIT: usize> Form<T, LIMIT> {
    /// The request as one to be carried out once, if it has a key.
    fn keyed(&self, route: &'static str) -> Result<Option<Keyed>, ApiError> {
        let Some(value) = self.headers.get("idempotency-key") else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
        if !(1..=64).contains(&key.len()) || !key.bytes().all(good) {
            let why = "the Idempotency-Key is not 1 to 64 letters, digits and `_.:-`".to_owned();
            return Err(ApiError::Malformed { why });
        }
        Ok(Some(Keyed { route, key: key.to_owned(), request_hash: self.hash }))
    }
}

impl<T: DeserializeOwned, const LIMIT: usize> FromRequest<App> for Form<T, LIMIT> {
    type Rejection = ApiError;
    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(Fault::NotJson.into());
        }
        let bytes = read(body, LIMIT).await?;
        // An array of values in their order would read as well; what they mean would depend on it.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(ApiError::Malformed { why: "the body is no JSON object".to_owned() });
        }
        let value = super::request::parse(&bytes)?;
        let mut hash = Sha256::new();
        hash.update(parts.uri.path());
        hash.update([0]);
        hash.update(&bytes);
        Ok(Form { value, hash: hash.finalize().into(), headers: parts.headers })
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(IfMatch::of(&parts.headers))
    }
}

/// A number in a path. What is none names nothing.
fn number(text: &str) -> Result<u32, Fault> {
    text.parse().map_err(|_| Fault::NotFound)
}
