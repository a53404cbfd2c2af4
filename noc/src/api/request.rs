//! Reading requests: who asks, and what.

use super::places::Place;
use super::{ApiError, App};
use crate::tls::Identity;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum_server::tls::TlsInfo;
use futures_util::StreamExt;
use muster_protocol::id::{ConsoleId, Uid};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Largest body of enrolments and beats.
pub(super) const SMALL: usize = 32 << 10;
/// Largest body of plans, grants and results: 10,000 rows.
pub(super) const LARGE: usize = 8 << 20;

/// The console whose certificate TLS has verified. Whether it may act is looked up with what it does.
pub(super) struct AsConsole(pub(super) ConsoleId);

/// The appliance whose certificate TLS has verified.
pub(super) struct AsAppliance(pub(super) Uid);

/// Until a body goes on that has begun.
const IDLE_BODY: Duration = Duration::from_secs(10);
/// Bodies above [`SMALL`] that one console may have here at the same time. The real one sends one or two.
const MAX_UPLOADS: usize = 8;

/// A JSON body of at most `LIMIT` bytes, and the place it takes until the request is answered.
pub(super) struct Json<T, const LIMIT: usize>(pub(super) T, pub(super) Option<Place<ConsoleId>>);

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl FromRequestParts<App> for AsConsole {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match identity(app, parts)? {
            Some(Identity::Console(id)) => Ok(AsConsole(id)),
            _ => Err(ApiError::WrongAudience { needed: "consoles" }),
        }
    }
}

impl FromRequestParts<App> for AsAppliance {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match identity(app, parts)? {
            Some(Identity::Appliance(uid)) => Ok(AsAppliance(uid)),
            _ => Err(ApiError::WrongAudience { needed: "appliances" }),
        }
    }
}

fn identity(app: &App, parts: &Parts) -> Result<Option<Identity>, ApiError> {
    let tls = parts.extensions.get::<Arc<TlsInfo>>().ok_or(ApiError::NoCertificate)?;
    let certificate = tls.peer_certificates.first().ok_or(ApiError::NoCertificate)?;
    Ok(app.identities.of_verified(certificate))
}

impl<T: DeserializeOwned, const LIMIT: usize> FromRequest<App> for Json<T, LIMIT> {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let upload = match identity(app, &parts) {
            Ok(Some(Identity::Console(console))) if LIMIT > SMALL => {
                let place = app.uploads.take(console, MAX_UPLOADS);
                Some(place.ok_or(ApiError::TooManyAtOnce { limit: MAX_UPLOADS })?)
            }
            _ => None,
        };
        let bytes = read(body, LIMIT).await?;
        Ok(Json(parse(&bytes)?, upload))
    }
}

/// A time that somebody asks about.
pub(super) fn time(name: &str, asked: Option<u64>) -> Result<Option<u64>, ApiError> {
    match asked {
        Some(time) if i64::try_from(time).is_err() => {
            Err(ApiError::Malformed { why: format!("`{name}` is a time that will never be") })
        }
        asked => Ok(asked),
    }
}

/// Reads JSON.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| ApiError::Malformed { why: describe(&e) })
}

/// A body of at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        let next = tokio::time::timeout(IDLE_BODY, stream.next()).await.map_err(|_| ApiError::TooSlow)?;
        let Some(chunk) = next else { return Ok(bytes) };
        let chunk = chunk.map_err(|_| ApiError::Malformed { why: "the body was cut short".to_owned() })?;
        if bytes.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Where and of what kind, without repeating what was sent: it may hold a token or a label code.
fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => "the JSON ends early",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a value of the wrong kind or a field that is missing",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Asked<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query.map(|Query(asked)| Asked(asked)).map_err(|e| ApiError::Malformed { why: e.body_text() })
    }
}
