//! The frame of an applet's own page: a scheme of its own, `applet`, that serves one document of ours for each installed applet.
//!
//! The document holds the applet's files as data; its one script (ui/src/applets/host/bridge.js) starts the applet's logic in a
//! worker and draws for it. The policy lets that script run and nothing be fetched, framed, sent or kept; by its `sandbox` the
//! document has an opaque origin even if somebody opens it outside the window's frame (decision 0043).

use crate::desktop::Desktop;
use crate::window::MAIN;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Component, Path};
use tauri::http::{Method, Request, Response, StatusCode, Uri, header};
use tauri::{AppHandle, Builder, Manager, Wry};

/// The scheme: `applet://localhost/SITE/NAME/VERSION/`, on Windows and Android `http://applet.localhost/…`.
const SCHEME: &str = "applet";

const TEMPLATE: &str = include_str!("../../ui/src/applets/host/page.template");
const BRIDGE: &str = include_str!("../../ui/src/applets/host/bridge.js");
const PRELUDE: &str = include_str!("../../ui/src/applets/host/prelude.js");
const POLICY: &str = include_str!("../../ui/src/applets/host/policy.txt");

/// The files of an applet's own page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Markup without scripts.
    pub(crate) html: String,
    /// A style sheet, or empty.
    pub(crate) css: String,
    /// The program.
    pub(crate) logic: String,
}

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) site: u32,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Makes the scheme known.
pub(crate) fn register(builder: Builder<Wry>) -> Builder<Wry> {
    builder.register_asynchronous_uri_scheme_protocol(SCHEME, |context, request, responder| {
        let asked = asked(context.webview_label(), &request);
        let app = context.app_handle().clone();
        tauri::async_runtime::spawn(async move {
            let page = match asked {
                Some(asked) => page(&app, asked).await,
                None => None,
            };
            responder.respond(answer(page));
        });
    })
}

/// Whether the window, or a frame in it, may go to an address: to its own pages, and to those of applets.
pub(crate) fn may_go(scheme: &str, host: Option<&str>) -> bool {
    match scheme {
        "tauri" | SCHEME | "about" => true,
        "http" | "https" => matches!(host, Some("tauri.localhost" | "applet.localhost")),
        _ => false,
    }
}

async fn page(app: &AppHandle, asked: Asked) -> Option<Page> {
    app.state::<Desktop>().applet_page(&asked).await
}

/// What a request is for; nothing when it is for no applet, or not from the main window.
fn asked(webview: &str, request: &Request<Vec<u8>>) -> Option<Asked> {
    (webview == MAIN && request.method() == Method::GET).then(|| path(request.uri())).flatten()
}

fn path(uri: &Uri) -> Option<Asked> {
    let mut parts = uri.path().strip_prefix('/')?.strip_suffix('/')?.split('/');
    let (site, name, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_plain = |text: &str, more: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
    };
    let digits = site.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !digits || !is_plain(name, "-") || !is_plain(version, ".-+") {
        return None;
    }
    Some(Asked { site: site.parse().ok()?, name: name.to_owned(), version: version.to_owned() })
}

fn answer(page: Option<Page>) -> Response<Vec<u8>> {
    let (status, body) = match page {
        Some(page) => (StatusCode::OK, document(&page)),
        None => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = status;
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    // Of letters, digits and signs alone; without a policy there would be no page.
    match header::HeaderValue::from_str(&policy()) {
        Ok(policy) => drop(headers.insert(header::CONTENT_SECURITY_POLICY, policy)),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

fn policy() -> String {
    let bridge = BASE64_STANDARD.encode(Sha256::digest(BRIDGE));
    POLICY.trim_end().replace("{bridge}", &bridge)
}

/// The document. The applet's files are data in it, and nothing of them ends the element that they are in.
fn document(page: &Page) -> String {
    let Page { html, css, logic } = page;
    let applet = json!({ "html": html, "css": css, "logic": logic, "prelude": PRELUDE }).to_string();
    let applet = applet.replace('<', "\\u003c");
    let mut document = String::with_capacity(TEMPLATE.len() + applet.len() + BRIDGE.len());
    let mut rest = TEMPLATE;
    // One after the other, so that no text of an applet is taken for a place of the template.
    for (place, text) in [("{applet}", applet.as_str()), ("{bridge}", BRIDGE)] {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        document.push_str(before);
        document.push_str(text);
        rest = after;
    }
    document.push_str(rest);
    document
}

/// The page of an applet in a folder that the command line names, for the vendor who works on it.
pub(crate) fn preview(folder: &Path, asked: &Asked) -> Option<Page> {
    let read = |name: &str| {
        let path = Path::new(name);
        let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
        if stays { std::fs::read_to_string(folder.join(path)).ok() } else { None }
    };
    let manifest: serde_json::Value = serde_json::from_str(&read("applet.json")?).ok()?;
    if manifest["name"] != asked.name.as_str() || manifest["version"] != asked.version.as_str() {
        return None;
    }
    let file = |key: &str| manifest["page"][key].as_str().and_then(read);
    Some(Page { html: file("html")?, css: file("css").unwrap_or_default(), logic: file("logic")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Request<Vec<u8>> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = uri.parse().expect("an address");
        request
    }

    #[test]
    fn only_the_main_window_gets_pages() {
        let mail = request("applet://localhost/7/mail-gateway/1.2.0/");
        let asked_for = Asked { site: 7, name: "mail-gateway".to_owned(), version: "1.2.0".to_owned() };
        assert_eq!(asked(MAIN, &mail), Some(asked_for.clone()));
        assert_eq!(asked(MAIN, &request("http://applet.localhost/7/mail-gateway/1.2.0/")), Some(asked_for));
        assert_eq!(asked("summary", &mail), None);
        let mut posted = mail.clone();
        *posted.method_mut() = Method::POST;
        assert_eq!(asked(MAIN, &posted), None);
    }

    #[test]
    fn an_address_that_is_no_applet_is_none() {
        for uri in [
            "applet://localhost/",
            "applet://localhost/7/mail-gateway/1.2.0",
            "applet://localhost/7/mail-gateway/",
            "applet://localhost/7/mail-gateway/1.2.0/more/",
            "applet://localhost/-7/mail-gateway/1.2.0/",
            "applet://localhost/4294967296/mail-gateway/1.2.0/",
            "applet://localhost/7/../1.2.0/",
            "applet://localhost/7/mail%2Fgateway/1.2.0/",
            "applet://localhost/7/mail-gateway/%00/",
        ] {
            assert_eq!(asked(MAIN, &request(uri)), None, "{uri}");
        }
    }

    #[test]
    fn nothing_of_an_applet_is_markup_in_its_document() {
        let page = Page {
            html: "</script><script>parent.acted=1</script>{bridge}".to_owned(),
            css: "</style><img src=x>{applet}".to_owned(),
            logic: "/* <!-- <script> */ '</script>'".to_owned(),
        };
        let document = document(&page);
        let (_, data) = document.split_once(r#"id="applet">"#).expect("the data");
        let (data, rest) = data.split_once("</script>").expect("its end");
        let read: serde_json::Value = serde_json::from_str(data).expect("whole");
        assert_eq!(read["html"], page.html.as_str());
        assert_eq!(read["css"], page.css.as_str());
        assert_eq!(read["logic"], page.logic.as_str());
        assert_eq!(rest.matches(BRIDGE).count(), 1);
        assert!(!data.contains('<'));
    }

    #[test]
    fn the_policy_names_the_one_script_and_forbids_the_rest() {
        let response = answer(Some(Page { html: String::new(), css: String::new(), logic: String::new() }));
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("a text");
        let hash = BASE64_STANDARD.encode(Sha256::digest(BRIDGE));
        for part in [
            "default-src 'none'",
            &format!("script-src 'sha256-{hash}' blob:;"),
            "connect-src 'none'",
            "img-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-src 'none'",
            "sandbox allow-scripts",
        ] {
            assert!(policy.contains(part), "{part} in {policy}");
        }
        for part in ["unsafe-eval", "'self'", "allow-same-origin", "*", "http"] {
            assert!(!policy.contains(part), "{part} in {policy}");
        }
        let missing = answer(None);
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        assert!(missing.body().is_empty());
    }

    #[test]
    fn the_window_frames_applets_and_nothing_else() {
        let config: serde_json::Value = serde_json::from_str(include_str!("../tauri.conf.json")).expect("reads");
        let csp = config["app"]["security"]["csp"].as_str().expect("a policy");
        assert!(csp.contains("frame-src applet: http://applet.localhost"), "{csp}");
        assert!(may_go("tauri", Some("localhost")) && may_go(SCHEME, Some("localhost")));
        assert!(may_go("http", Some("tauri.localhost")) && may_go("http", Some("applet.localhost")));
        for (scheme, host) in
            [("http", "203.0.113.9"), ("https", "applet.localhost.example"), ("file", ""), ("data", "")]
        {
            assert!(!may_go(scheme, Some(host)), "{scheme}://{host}");
        }
    }

    #[test]
    fn a_folder_shows_the_applet_that_it_holds_and_nothing_outside() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        put("page.html", "<p>Hello</p>");
        put("logic.js", "show()");
        let manifest = |logic: &str| {
            json!({ "name": "mail", "version": "1.0.0", "page": { "html": "page.html", "logic": logic } }).to_string()
        };
        put("applet.json", &manifest("logic.js"));
        let asked = |version: &str| Asked { site: 1, name: "mail".to_owned(), version: version.to_owned() };
        let page = Page { html: "<p>Hello</p>".to_owned(), css: String::new(), logic: "show()".to_owned() };
        assert_eq!(preview(folder.path(), &asked("1.0.0")), Some(page));
        assert_eq!(preview(folder.path(), &asked("2.0.0")), None);
        for outside in ["../logic.js", "/etc/hostname"] {
            put("applet.json", &manifest(outside));
            assert_eq!(preview(folder.path(), &asked("1.0.0")), None, "{outside}");
        }
    }
}
