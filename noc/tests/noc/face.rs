//! The face in the browser as the NOC serves it, and what a browser may send. What is on its pages: ui/e2e-noc.

use crate::api::{Api, PASSWORD, sign_in};
use crate::world::World;
use serde_json::{Value, json};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

#[tokio::test]
async fn every_address_but_those_of_the_interface_shows_the_page_under_a_strict_policy() {
    let world = World::new().await;
    let anybody = Api::anybody(&world).await;
    for path in ["/", "/sites/1", "/appliances/AAAA"] {
        let page = anybody.call("GET", path, None, &[BROWSER]).await;
        // 503 and how to build it, where the program was compiled without it.
        assert!([200, 503].contains(&page.status.as_u16()), "{}", page.status);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("data:") && !policy.contains('*'), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        assert!(!page.text.contains("<style") && !page.text.contains(" style="));
    }
    let unknown = anybody.call("GET", "/v1/nonsense", None, &[BROWSER]).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "unknown_address"));
    assert_eq!(anybody.get("/sites/1").await.code(), "unknown_address", "a program hears what it always did");
    assert_eq!(anybody.post("/sites/1", json!({})).await.code(), "unknown_address");
}

#[tokio::test]
async fn a_browsers_cookie_changes_nothing_without_its_proof_or_from_another_site() {
    let world = World::new().await;
    world.administrator().await;
    let anybody = Api::anybody(&world).await;
    let origin = format!("https://{}", world.noc.noc_address());
    let signed_in =
        anybody.call("POST", "/v1/sessions", Some(sign_in("root", PASSWORD, "cookie")), &[("origin", &origin)]).await;
    let set = signed_in.header("set-cookie").to_owned();
    for part in ["__Host-muster-session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert!(!set.to_lowercase().contains("domain"));
    let cookie = set.split(';').next().expect("a pair").to_owned();
    let body = signed_in.good();
    assert_eq!(body.get("secret"), None, "no script gets hold of it");
    let csrf = body["csrf"].as_str().expect("a proof");
    let add = async |headers: &[(&'static str, &str)]| {
        let with: Vec<_> = headers.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        anybody.call("POST", "/v1/organisations", Some(json!({ "handle": "acme", "name": "Acme" })), &with).await
    };
    for (why, headers) in [
        ("no proof", vec![("origin", origin.as_str())]),
        ("a wrong proof", vec![("origin", &origin), ("x-muster-csrf", "AAAA")]),
        ("another site", vec![("origin", "https://evil.example"), ("x-muster-csrf", csrf)]),
        ("a form of another site", vec![("origin", "null"), ("sec-fetch-site", "cross-site")]),
        ("another port", vec![("origin", "https://127.0.0.1:1"), ("x-muster-csrf", csrf)]),
    ] {
        let refused = add(&headers).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "csrf"), "{why}");
    }
    // A form cannot send JSON without asking first, and nobody is asked.
    let form = anybody.call("OPTIONS", "/v1/organisations", None, &[("origin", "https://evil.example")]).await;
    assert_eq!(form.header("access-control-allow-origin"), "");
    assert_eq!(world.noc.organisations().expect("listed").len(), 1, "nothing was made");
    let own = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin"), ("x-muster-csrf", csrf)];
    assert_eq!(add(&own).await.good()["handle"], "acme");
    let sites: Value = anybody.call("GET", "/v1/sites", None, &[("cookie", &cookie)]).await.good();
    assert_eq!(sites["items"], json!([]));
}

#[tokio::test]
async fn a_refused_policy_names_each_value_that_is_wrong() {
    let world = World::new().await;
    let root = world.administrator().await;
    let spec = muster_noc::SiteSpec { name: String::new(), window_s: 1, ..crate::world::spec() };
    let refused = root.post("/v1/sites", json!({ "organisation": 1, "policy": spec })).await;
    assert_eq!(refused.code(), "site_invalid");
    let fields: Vec<_> =
        refused.json()["faults"].as_array().expect("faults").iter().map(|f| f["field"].clone()).collect();
    assert_eq!(fields, ["name", "window_s"]);
}
