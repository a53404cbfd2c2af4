//! Who of the operators asks. Whether they may is looked up within the transaction that does it.

use super::fault::Refused;
use super::{ApiError, App, Fault};
use crate::operators::access::{Access, Needs, Via};
use crate::operators::secret::{self, Shown};
use crate::store::{sessions, tokens};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, header};
use rusqlite::Connection;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `__Host-`: no other host, and no page over plain HTTP, can set it.
pub(super) const COOKIE: &str = "__Host-muster-session";
pub(super) const CSRF: &str = "x-muster-csrf";
/// Longest name of a program that is kept, in characters.
const MAX_PROGRAM: usize = 200;

/// What a request shows of who sent it.
#[derive(Clone)]
pub(crate) struct Caller {
    shown: Shown,
    pub(super) address: IpAddr,
}

/// Where a request comes from, for sign-ins.
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) program: String,
}

impl Caller {
    /// Who it is and that they may: to be called first in the transaction that does what they ask.
    pub(crate) fn authorise(&self, db: &Connection, now: u64, needs: Needs) -> Result<Access, Refused> {
        let mut access = match self.shown {
            Shown::Session(hash) => sessions::access(db, now, &hash)?,
            Shown::Token(hash) => {
                let (access, scopes) = tokens::access(db, now, &hash)?.ok_or(Fault::SessionEnded)?;
                match needs {
                    Needs::Session => return Err(Fault::SessionOnly.into()),
                    Needs::Scope(scope) if !scopes.contains(&scope) => return Err(Fault::Scope { scope }.into()),
                    Needs::Scope(_) => Some(access),
                }
            }
        }
        .ok_or(Fault::SessionEnded)?;
        access.address = self.address.to_string();
        Ok(access)
    }

    /// Writes down that a session or token was used, if that was not done of late.
    pub(super) fn touch(app: &App, now: u64, access: &Access) {
        if !access.is_stale {
            return;
        }
        let via = access.via;
        let noc = app.noc.clone();
        tokio::spawn(async move {
            let touched = noc.store.write(move |db| match via {
                Via::Session(id) => sessions::touch(db, now, id),
                Via::Token(id) => tokens::touch(db, now, id),
            });
            if let Err(error) = touched.await {
                tracing::debug!(%error, "the use of a session was not noted");
            }
        });
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let address = address(parts);
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let text = value.to_str().unwrap_or_default();
            let secret = text.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
            let shown = secret.and_then(|(_, secret)| secret::read(secret.trim())).ok_or(Fault::SessionEnded)?;
            return Ok(Caller { shown, address });
        }
        let cookie = cookie(&parts.headers).ok_or(Fault::NotSignedIn)?;
        let shown = secret::read(cookie).ok_or(Fault::SessionEnded)?;
        // A browser sends its cookie along with whatever a page makes it send.
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            own_page(parts)?;
            let proof = parts.headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !secret::is_csrf_of(cookie, proof) {
                return Err(Fault::Csrf.into());
            }
        }
        Ok(Caller { shown, address })
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        // Nobody is signed in by another site's page either.
        own_page(parts)?;
        let program = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Client { address: address(parts), program: program.chars().take(MAX_PROGRAM).collect() })
    }
}

fn address(parts: &Parts) -> IpAddr {
    let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |connected| connected.0.ip().to_canonical())
}

/// The secret in the session's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// What a browser says of the page that made it send this. Programs say nothing.
fn own_page(parts: &Parts) -> Result<(), Fault> {
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Fault::Csrf);
    }
    // HTTP/2 has the host in the address, HTTP/1 in a header.
    let host = parts.uri.authority().map(Authority::as_str).or_else(|| text("host"));
    match text("origin").map(|origin| origin.strip_prefix("https://")) {
        Some(origin) if origin.is_none() || origin != host => Err(Fault::Csrf),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, pairs: &[(&'static str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri(uri);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_request_that_another_site_makes_a_browser_send_is_told_from_our_own() {
        let (http1, http2) = ("/v1/tokens", "https://noc:6878/v1/tokens");
        for (uri, good) in [
            (http1, vec![]),
            (http1, vec![("origin", "https://noc:6878"), ("host", "noc:6878"), ("sec-fetch-site", "same-origin")]),
            (http1, vec![("sec-fetch-site", "none"), ("host", "noc:6878")]),
            (http2, vec![("origin", "https://noc:6878"), ("sec-fetch-site", "same-origin")]),
            (http2, vec![]),
        ] {
            assert_eq!(own_page(&parts(uri, &good)), Ok(()), "{uri} {good:?}");
        }
        for (uri, bad) in [
            (http1, vec![("origin", "https://evil.example"), ("host", "noc:6878")]),
            (http1, vec![("origin", "http://noc:6878"), ("host", "noc:6878")]),
            (http1, vec![("origin", "null"), ("host", "noc:6878")]),
            (http1, vec![("origin", "https://noc:6878")]),
            (http1, vec![("sec-fetch-site", "cross-site")]),
            (http1, vec![("sec-fetch-site", "same-site")]),
            (http2, vec![("origin", "https://evil.example")]),
            (http2, vec![("origin", "https://evil.example"), ("host", "evil.example")]),
        ] {
            assert_eq!(own_page(&parts(uri, &bad)), Err(Fault::Csrf), "{uri} {bad:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |pairs: &[(&'static str, &str)]| cookie(&parts("/", pairs).headers).map(str::to_owned);
        assert_eq!(found(&[("cookie", "a=1; __Host-muster-session=x; b=2")]).as_deref(), Some("x"));
        assert_eq!(found(&[("cookie", "muster-session=x")]), None);
        assert_eq!(found(&[]), None);
    }
}
