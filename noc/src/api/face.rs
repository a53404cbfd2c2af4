//! The face in the browser: the files of its build, which are in the program itself (decision 0031).
//!
//! Addresses below `/v1` belong to the interface. Every other one that a browser goes to shows the page, which knows what to make
//! of the rest of the address.

use super::ApiError;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/face.rs"));

/// The page that everything is on.
const PAGE: &str = "/noc.html";
/// Where the build puts files whose names change with what is in them.
const HASHED: &str = "/assets/";
/// Nothing foreign, nothing inline, nothing by `data:`; and no other page may show it or be told where it leads.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Muster NOC</title></head><body><main>\
                         <h1>The browser face was not built into this program</h1><p>The NOC itself works. To have its face in the \
                         browser, build the program with <code>make programs</code>, which builds the face first.</p>\
                         <p><a href=\"/v1/docs\">The interface for programs</a></p></main></body></html>";

struct File {
    kind: &'static str,
    tag: String,
    bytes: &'static [u8],
}

static BUILT: LazyLock<BTreeMap<&'static str, File>> = LazyLock::new(|| table(FILES));

/// What no route of the interface took.
pub(super) async fn serve(request: Request) -> Response {
    answer(&BUILT, request.method(), request.uri().path(), request.headers())
}

fn answer(files: &BTreeMap<&str, File>, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let is_interface = path == "/v1" || path.starts_with("/v1/");
    if is_interface || !matches!(*method, Method::GET | Method::HEAD) {
        return ApiError::NoRoute.into_response();
    }
    let found = match files.get(path) {
        Some(file) => Some(file),
        None if is_navigation(path, headers) => match files.get(PAGE) {
            Some(page) => Some(page),
            None => return not_built(),
        },
        None => None,
    };
    let Some(file) = found else { return ApiError::NoRoute.into_response() };
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "private, no-cache" };
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == file.tag);
    let body = if is_known || *method == Method::HEAD { Body::empty() } else { Body::from(file.bytes) };
    let mut response = body.into_response();
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    protect(response.headers_mut(), file.kind, caching);
    response.headers_mut().extend(HeaderValue::from_str(&file.tag).map(|tag| (header::ETAG, tag)));
    response
}

/// A page that somebody goes to, and no file that a page wants: those have an ending.
fn is_navigation(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    !is_file && accepts.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

fn not_built() -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT).into_response();
    protect(response.headers_mut(), "text/html; charset=utf-8", "no-store");
    response
}

fn protect(headers: &mut HeaderMap, kind: &'static str, caching: &'static str) {
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), usb=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn table(files: &'static [(&'static str, &'static [u8])]) -> BTreeMap<&'static str, File> {
    let file = |bytes: &'static [u8], kind| {
        let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(bytes)[..12]));
        File { kind, tag, bytes }
    };
    files.iter().map(|(name, bytes)| (*name, file(bytes, kind_of(name)))).collect()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[(&str, &[u8])] = &[("/noc.html", b"<p>page"), ("/assets/noc-1a.js", b"1"), ("/icon.svg", b"<svg/>")];

    fn ask(files: &BTreeMap<&str, File>, method: Method, path: &str, pairs: &[(HeaderName, &str)]) -> Response {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("text")));
        answer(files, &method, path, &pairs.collect())
    }

    fn text<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    #[test]
    fn every_place_of_the_face_is_the_page_and_nothing_of_the_interface_is() {
        let files = table(SOME);
        let browser = [(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")];
        for path in ["/", "/sites/3", "/appliances/AAAA-BBBB", "/v1x"] {
            let page = ask(&files, Method::GET, path, &browser);
            assert_eq!((page.status(), text(&page, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
            assert_eq!(text(&page, "cache-control"), "private, no-cache", "{path}");
            assert_eq!(text(&page, "content-security-policy"), POLICY);
        }
        for path in ["/v1", "/v1/", "/v1/nonsense", "/assets/gone.js", "/favicon.ico", "/../etc/passwd.txt"] {
            assert_eq!(ask(&files, Method::GET, path, &browser).status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(ask(&files, Method::GET, "/sites/3", &[]).status(), StatusCode::NOT_FOUND, "a program");
        assert_eq!(ask(&files, Method::POST, "/sites/3", &browser).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn files_are_asked_for_once() {
        let files = table(SOME);
        let script = ask(&files, Method::GET, "/assets/noc-1a.js", &[]);
        assert_eq!(text(&script, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(text(&script, "content-type"), "text/javascript; charset=utf-8");
        let icon = ask(&files, Method::GET, "/icon.svg", &[]);
        assert_eq!((text(&icon, "content-type"), text(&icon, "cache-control")), ("image/svg+xml", "private, no-cache"));
        let again = ask(&files, Method::GET, "/icon.svg", &[(header::IF_NONE_MATCH, text(&icon, "etag"))]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(text(&again, "etag"), text(&icon, "etag"));
    }

    #[test]
    fn a_program_without_the_face_says_how_to_build_it() {
        let page = ask(&table(&[]), Method::GET, "/", &[(header::ACCEPT, "text/html")]);
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(NOT_BUILT.contains("make programs"));
        assert_eq!(ask(&table(&[]), Method::GET, "/", &[]).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn what_was_built_in_holds_nothing_inline() {
        for (name, bytes) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            let script = std::str::from_utf8(bytes).expect("text");
            assert!(!script.contains("__TAURI"), "{name} holds the desktop's adapter");
        }
        for (name, bytes) in FILES.iter().filter(|(name, _)| name.ends_with(".html")) {
            let page = std::str::from_utf8(bytes).expect("text");
            assert_eq!(
                page.matches("<script").count(),
                page.matches("<script type=\"module\" crossorigin src=\"/").count()
            );
            for inline in ["<style", " style=", " on", "javascript:", "data:", "http:"] {
                assert!(!page.contains(inline), "{name} holds {inline}");
            }
        }
    }
}
