//! Pages, filters, versions, keys, and the description of the interface.

use crate::api::{Api, role};
use crate::world::{Device, World, spec};
use muster_noc::{Role, SiteSpec, route_table};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn lists_come_in_pages_without_a_gap_or_a_repetition_and_are_filtered() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..7);
    world.import(&devices);
    world.console(&[site.id]).await.configure(site.id, &devices[..2]).await;
    let mut seen = Vec::new();
    let mut path = "/v1/appliances?limit=3".to_owned();
    let mut pages = 0;
    loop {
        let page = root.get(&path).await.good();
        pages += 1;
        seen.extend(
            page["items"].as_array().expect("rows").iter().map(|row| row["uid"].as_str().expect("text").to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/appliances?limit=3&after={next}");
    }
    assert_eq!((pages, seen.len()), (3, 7));
    assert_eq!(seen, devices.iter().map(|d| d.uid.to_string()).collect::<Vec<_>>());

    let found = async |query: &str| {
        let page = root.get(&format!("/v1/appliances?{query}")).await.good();
        page["items"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["serial"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&format!("site={}", site.id)).await, ["SN0", "SN1"]);
    assert_eq!(found("provisioning=configured").await, ["SN0", "SN1"]);
    assert_eq!(found("health=never_reported&organisation=1").await, ["SN0", "SN1"]);
    assert_eq!(found("organisation=2").await, Vec::<String>::new());
    assert_eq!(found("text=sn4").await, ["SN4"]);
    assert_eq!(found("text=192.0.2.11").await, ["SN1"]);
    assert_eq!(found("text=MAIL-001").await, ["SN0"]);
    assert_eq!(found(&format!("text={}", devices[5].mac)).await, ["SN5"]);
    assert_eq!(found("model=Mail").await.len(), 7);
    for bad in ["limit=0", "limit=1001", "after=x", "site=x", "health=ill", "nonsense=1"] {
        assert_eq!(root.get(&format!("/v1/appliances?{bad}")).await.code(), "malformed", "{bad}");
    }
}

#[tokio::test]
async fn a_change_of_something_else_than_was_read_is_refused() {
    let world = World::new().await;
    let root = world.administrator().await;
    let made = root.post("/v1/sites", json!({ "organisation": 1, "policy": spec() })).await;
    let path = made.header("location").to_owned();
    assert_eq!(made.status.as_u16(), 201);
    let policy = |name: &str| json!(SiteSpec { name: name.into(), ..spec() });
    let missing = root.call("PUT", &path, Some(policy("A")), &[]).await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (428, "if_match_missing"));
    let tag = root.get(&path).await.header("etag").to_owned();
    let changed = root.call("PUT", &path, Some(policy("A")), &[("if-match", &tag)]).await;
    let newer = changed.header("etag").to_owned();
    assert_eq!(changed.good()["policy"]["name"], "A");
    let late = root.call("PUT", &path, Some(policy("B")), &[("if-match", &tag)]).await;
    assert_eq!((late.status.as_u16(), late.code().as_str()), (412, "changed_meanwhile"));
    assert_eq!(root.get(&path).await.header("etag"), newer);
    let bad = root.call("PUT", &path, Some(policy(" ")), &[("if-match", &newer)]).await;
    assert_eq!((bad.status.as_u16(), bad.code().as_str()), (422, "site_invalid"));
    // The name of a site is free for another organisation, and taken in its own.
    let acme = world.noc.add_organisation("acme", "Acme").expect("added").id;
    let add = async |organisation: Value, name: &str| {
        root.post("/v1/sites", json!({ "organisation": organisation, "policy": policy(name) })).await
    };
    assert_eq!(add(json!(acme), "A").await.status.as_u16(), 201);
    assert_eq!(add(json!(1), "A").await.code(), "site_name_taken");
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once() {
    let world = World::new().await;
    let root = world.administrator().await;
    let body = |name: &str| json!({ "handle": "acme", "name": name });
    let post = async |body: Value, key: &str| {
        root.call("POST", "/v1/organisations", Some(body), &[("idempotency-key", key)]).await
    };
    let (first, again) = (post(body("Acme"), "a:1").await, post(body("Acme"), "a:1").await);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
    assert_eq!(world.noc.organisations().expect("listed").len(), 2);
    assert_eq!(post(body("Other"), "a:1").await.code(), "idempotency_key_reused");
    assert_eq!(post(body("Acme"), "a:2").await.code(), "handle_taken", "another request");
    assert_eq!(post(body("Acme"), "no good").await.code(), "malformed");
    // The keys of others are their own.
    world.operator("second", None, role(None, None, Role::Administrator));
    let second = Api::anybody(&world).await.sign_in("second").await;
    let reply = second.call("POST", "/v1/organisations", Some(body("Acme")), &[("idempotency-key", "a:1")]).await;
    assert_eq!(reply.code(), "handle_taken");
    // Sixteen at the same time make one.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let root = root.clone();
        tasks.spawn(async move {
            let body = json!({ "handle": "many", "name": "Many" });
            root.call("POST", "/v1/organisations", Some(body), &[("idempotency-key", "many")]).await.text
        });
    }
    let texts: BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn settings_instructions_and_alerts_go_their_way() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    world.console(&[site.id]).await.configure(site.id, &devices).await;
    world.operator("olga", None, role(None, None, Role::Operator));
    let olga = Api::anybody(&world).await.sign_in("olga").await;
    let path = format!("/v1/appliances/{}/settings", devices[0].uid);
    let changed = olga.change("PATCH", &path, &path, json!({ "address": "192.0.2.77" })).await.good();
    assert_eq!(
        (changed["given"]["settings"]["address"].as_str(), changed["given"]["state"].as_str()),
        (Some("192.0.2.77"), Some("waiting"))
    );
    let bad = olga.change("PATCH", &path, &path, json!({ "address": "198.51.100.1" })).await;
    assert_eq!((bad.status.as_u16(), bad.code().as_str()), (422, "invalid_settings"));
    let told = olga.post(&path.replace("settings", "instructions"), json!({ "act": "reboot" })).await.good();
    assert_eq!(told["act"], "reboot");
    assert_eq!(olga.delete(&path.replace("settings", "work")).await.good()["count"], 2);
    assert_eq!(olga.get(&path).await.good()["given"]["state"], "failed");

    let insert = "INSERT INTO alerts (id, site, kind, opened, revision) VALUES (1, ?1, 'silent', 1, 1)";
    world.database().execute(insert, [site.id.0]).expect("an alert");
    let seen =
        olga.change("PUT", "/v1/alerts/1", "/v1/alerts/1/acknowledgement", json!({ "note": "on my way" })).await.good();
    assert_eq!((seen["acknowledged_by"].as_str(), seen["note"].as_str()), (Some("olga"), Some("on my way")));
    assert_eq!(olga.get("/v1/alerts?open=true").await.good()["items"][0]["acknowledged_by"], "olga");
    assert_eq!(olga.get("/v1/alerts?open=false").await.good()["items"], json!([]));
    let rude = olga.change("PUT", "/v1/alerts/1", "/v1/alerts/1/acknowledgement", json!({ "note": "\u{1b}[2J" })).await;
    assert_eq!(rude.code(), "invalid");
}

#[tokio::test]
async fn an_invite_from_the_interface_brings_a_console() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let made = root.post("/v1/invites", json!({ "sites": [site.id], "hours": 1 })).await.good();
    assert_eq!(root.get("/v1/invites").await.good()["items"][0]["id"], made["invite"]["id"]);
    let text = made["text"].as_str().expect("text").strip_prefix("muster-invite:").expect("an invite").to_owned();
    let body: Value =
        serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url"))
            .expect("JSON");
    let console = crate::world::Console::enrol(&world.anybody().await, body["token"].as_str().expect("a token")).await;
    assert_eq!(root.get("/v1/invites").await.good()["items"], json!([]), "it is used up");
    let path = format!("/v1/consoles/{}", console.enrolled.console);
    assert_eq!(root.get(&path).await.good()["sites"], json!([site.id]));
    assert_eq!(root.delete(&path).await.status.as_u16(), 204);
    let refused = console.http.get::<Vec<muster_protocol::api::Site>>("console/sites").await;
    assert_eq!(crate::world::code(refused), "console_revoked");
    let other = root.post("/v1/invites", json!({ "sites": [site.id], "hours": 1 })).await;
    assert_eq!(root.delete(other.header("location")).await.status.as_u16(), 204);
    assert_eq!(root.get("/v1/invites").await.good()["items"], json!([]));
    for bad in [json!({ "sites": [], "hours": 1 }), json!({ "sites": [site.id], "hours": 0 })] {
        assert!(root.post("/v1/invites", bad).await.status.is_client_error());
    }
}

#[tokio::test]
async fn the_description_names_every_route_and_its_page_loads_nothing_foreign() {
    let world = World::new().await;
    let anybody = Api::anybody(&world).await;
    let document = anybody.get("/v1/openapi.json").await.good();
    assert_eq!(document["openapi"], "3.1.0");
    for route in route_table().iter().filter(|route| !["consoles", "appliances"].contains(&route.audience.as_str())) {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        let enrols = route.path.ends_with("/enrol");
        assert_eq!(operation.is_null(), enrols, "{} {}", route.method, route.path);
        if !enrols && route.audience != "anybody" {
            assert!(
                operation["responses"]["401"].is_object() && operation["security"][0].is_object(),
                "{}",
                route.path
            );
        }
    }
    let page = anybody.get("/v1/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert!(page.text.contains("GET /v1/appliances/{uid}") && !page.text.contains("<script"));
    let style = anybody.get("/v1/docs/style.css").await;
    assert_eq!((style.status.as_u16(), style.header("x-content-type-options")), (200, "nosniff"));
    let other = anybody.call("TRACE", "/v1/sites", None, &[]).await;
    assert_eq!((other.code().as_str(), other.header("allow").contains("GET")), ("wrong_method", true));
    let root = world.administrator().await;
    assert_eq!(root.call("POST", "/v1/tokens", None, &[("content-type", "text/plain")]).await.code(), "not_json");
    assert_eq!(root.post("/v1/tokens", json!({ "unknown": 1 })).await.code(), "malformed");
    assert_eq!(root.post("/v1/tokens", json!(["n", ["sites:read"], 1])).await.code(), "malformed");
}
