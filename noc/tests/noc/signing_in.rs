//! Signing in: passwords, limits, cookies and their proof, sessions, API tokens.

use crate::api::{Api, PASSWORD, role, sign_in};
use crate::world::World;
use muster_noc::Role;
use serde_json::json;
use std::time::{Duration, Instant};

const NAME: &str = "__Host-muster-session";

async fn with_anna() -> (World, Api) {
    let world = World::new().await;
    let acme = world.noc.add_organisation("acme", "Acme").expect("added").id;
    world.operator("anna", Some(acme), role(Some(acme), None, Role::Viewer));
    let anybody = Api::anybody(&world).await;
    (world, anybody)
}

#[tokio::test]
async fn who_does_not_exist_and_who_gives_a_wrong_password_get_the_same_answer_in_the_same_time() {
    let (world, anybody) = with_anna().await;
    world.operator("gone", None, role(None, None, Role::Viewer));
    world.noc.disable_operator("gone", true).expect("disabled");
    let people = [("anna@acme", "wrong, and long enough"), ("nobody@acme", PASSWORD), ("gone", PASSWORD)];
    // The shortest of several times, in turn: whatever else this machine does only makes one longer.
    let mut shortest = [Duration::MAX; 3];
    let mut texts = std::collections::BTreeSet::new();
    for _ in 0..9 {
        for ((login, password), shortest) in people.iter().zip(&mut shortest) {
            let start = Instant::now();
            let reply = anybody.post("/v1/sessions", sign_in(login, password, "bearer")).await;
            *shortest = start.elapsed().min(*shortest);
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "sign_in_refused"));
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            texts.insert(reply.text);
        }
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    let (least, most) = (shortest.iter().min().expect("three"), shortest.iter().max().expect("three"));
    // Without a comparison it would be a tenth.
    assert!(*least * 4 > *most, "{shortest:?}");
    assert!(*least > Duration::from_millis(5), "Argon2 takes its time: {shortest:?}");
}

#[tokio::test]
async fn guessing_is_slowed_down_for_a_name_whether_it_exists_or_not_and_says_how_long_to_wait() {
    let (_world, anybody) = with_anna().await;
    for login in ["anna@acme", "ANNA@acme ", "nobody@acme"] {
        if login != "ANNA@acme " {
            for _ in 0..10 {
                let reply = anybody.post("/v1/sessions", sign_in(login, "wrong, and long enough", "bearer")).await;
                assert_eq!(reply.code(), "sign_in_refused");
            }
        }
        let reply = anybody.post("/v1/sessions", sign_in(login, PASSWORD, "bearer")).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "too_many_sign_ins"), "{login}");
        let wait: u64 = reply.header("retry-after").parse().expect("seconds");
        assert!((1..=30).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn guessing_many_names_from_one_address_is_slowed_down() {
    let (_world, anybody) = with_anna().await;
    let mut refused = 0;
    for n in 0..60 {
        let reply =
            anybody.post("/v1/sessions", sign_in(&format!("guess{n}"), "wrong, and long enough", "bearer")).await;
        refused += u32::from(reply.code() == "too_many_sign_ins");
    }
    assert!(refused > 0, "sixty names");
}

#[tokio::test]
async fn a_browsers_session_is_in_a_cookie_that_no_script_reads_and_changes_nothing_for_another_site() {
    let (_world, anybody) = with_anna().await;
    let reply = anybody.post("/v1/sessions", sign_in("anna@acme", PASSWORD, "cookie")).await;
    let cookie = reply.header("set-cookie").to_owned();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|found| found == attribute), "{cookie}");
    }
    let signed_in = reply.good();
    assert!(signed_in.get("secret").is_none(), "the secret is in the cookie alone");
    let csrf = signed_in["csrf"].as_str().expect("a proof").to_owned();
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    assert!(pair.starts_with(&format!("{NAME}=muster_session_")));

    let own = anybody.call("GET", "/v1/session", None, &[("cookie", &pair)]).await.good();
    assert_eq!(own["csrf"], json!(csrf), "a page that was loaded anew finds it again");
    let token = || Some(json!({ "name": "n", "scopes": ["sites:read"], "days": 1 }));
    let try_with = async |headers: &[(&'static str, &str)]| {
        let mut all = vec![("cookie", pair.as_str())];
        all.extend(headers);
        anybody.call("POST", "/v1/tokens", token(), &all).await
    };
    assert_eq!(try_with(&[]).await.code(), "csrf");
    assert_eq!(try_with(&[("x-muster-csrf", "x")]).await.code(), "csrf");
    assert_eq!(try_with(&[("x-muster-csrf", &csrf), ("origin", "https://evil.example")]).await.code(), "csrf");
    assert_eq!(try_with(&[("x-muster-csrf", &csrf), ("sec-fetch-site", "cross-site")]).await.code(), "csrf");
    let form = anybody
        .call(
            "POST",
            "/v1/sessions",
            Some(sign_in("anna@acme", PASSWORD, "cookie")),
            &[("sec-fetch-site", "cross-site")],
        )
        .await;
    assert_eq!(form.code(), "csrf", "another site signs nobody in");
    let made = try_with(&[("x-muster-csrf", &csrf), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);

    let out = anybody.call("DELETE", "/v1/session", None, &[("cookie", &pair), ("x-muster-csrf", &csrf)]).await;
    assert_eq!(out.status.as_u16(), 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(anybody.call("GET", "/v1/session", None, &[("cookie", &pair)]).await.code(), "session_ended");
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_and_end_by_themselves() {
    let (world, anybody) = with_anna().await;
    let (first, second) = (anybody.sign_in("anna@acme").await, anybody.sign_in("anna@acme").await);
    let listed = first.get("/v1/sessions").await.good();
    let ids: Vec<u64> =
        listed["items"].as_array().expect("rows").iter().map(|s| s["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids.len(), 2);
    assert!(!listed.to_string().contains("muster_session_"));
    assert_eq!(first.delete(&format!("/v1/sessions/{}", ids[1])).await.status.as_u16(), 204);
    assert_eq!(second.get("/v1/session").await.code(), "session_ended");
    assert_eq!(first.get("/v1/session").await.status.as_u16(), 200);
    assert_eq!(first.delete(&format!("/v1/sessions/{}", ids[1])).await.code(), "not_found", "it is over");

    // Not used for half a day.
    world.database().execute("UPDATE sessions SET used = used - 43201", []).expect("set back");
    assert_eq!(first.get("/v1/session").await.code(), "session_ended");
    let third = anybody.sign_in("anna@acme").await;
    world.database().execute("UPDATE sessions SET expires = 1", []).expect("set back");
    assert_eq!(third.get("/v1/session").await.code(), "session_ended");
    // Secrets are nowhere in the database.
    let kept: i64 = world
        .database()
        .query_row(
            "SELECT count(*) FROM sessions WHERE instr(secret_hash, ?1)",
            [third.secret.expect("a secret").into_bytes()],
            |row| row.get(0),
        )
        .expect("counted");
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn an_administrator_sees_who_is_signed_in_and_ends_it_from_the_interface_and_from_the_command_line() {
    let (world, anybody) = with_anna().await;
    let home = world.noc.organisations().expect("listed")[1].id;
    let other = world.noc.add_organisation("other", "Other").expect("added").id;
    world.operator("ada", Some(home), role(Some(home), None, Role::Administrator));
    world.operator("olga", Some(other), role(Some(other), None, Role::Administrator));
    world.operator("root", None, role(None, None, Role::Administrator));
    let [anna, ada, olga] =
        [anybody.sign_in("anna@acme").await, anybody.sign_in("ada@acme").await, anybody.sign_in("olga@other").await];
    let path = format!("/v1/sessions?organisation={home}");
    let listed = ada.get(&path).await.good();
    let logins: Vec<_> = listed["items"].as_array().expect("rows").iter().map(|s| s["login"].clone()).collect();
    assert_eq!(logins, ["anna@acme", "ada@acme"]);
    assert_eq!(ada.get(&format!("{path}&limit=1")).await.good()["items"][0]["login"], "anna@acme");
    assert_eq!(ada.get("/v1/sessions").await.good()["items"][0]["login"], "ada@acme", "else one's own");
    assert_eq!(anna.get(&path).await.code(), "role_too_low");
    assert_eq!(olga.get(&path).await.code(), "not_found");
    assert_eq!(ada.get("/v1/sessions?organisation=999").await.code(), "not_found");
    assert_eq!(ada.get(&format!("{path}&operator=1")).await.code(), "malformed");

    let annas = listed["items"][0]["id"].as_u64().expect("a number");
    assert_eq!(olga.delete(&format!("/v1/sessions/{annas}")).await.code(), "not_found");
    assert_eq!(ada.delete(&format!("/v1/sessions/{annas}")).await.status.as_u16(), 204);
    assert_eq!(anna.get("/v1/session").await.code(), "session_ended");
    let all = world.noc.sessions(None).expect("listed");
    let of_ada = all.iter().find(|one| one.login == "ada@acme").expect("hers").session.id;
    assert_eq!(world.noc.sessions(Some(home)).expect("listed").len(), 1);
    assert_eq!(world.noc.end_session(of_ada).expect("ended").login, "ada@acme");
    assert!(world.noc.end_session(of_ada).is_err(), "it is over");
    assert_eq!(ada.get("/v1/session").await.code(), "session_ended");
    let done = world.noc.search_audit(None, Some("session.revoke".into()), None, None, 9).expect("read");
    let by: Vec<_> = done.iter().map(|record| record.actor.split(':').next_back().expect("a name")).collect();
    assert_eq!(by, ["local", "ada@acme"]);
}

#[tokio::test]
async fn another_password_ends_all_other_sessions_and_the_old_one_opens_nothing() {
    let (world, anybody) = with_anna().await;
    let (own, other) = (anybody.sign_in("anna@acme").await, anybody.sign_in("anna@acme").await);
    let change = async |old: &str, new: &str| own.post("/v1/session/password", json!({ "old": old, "new": new })).await;
    assert_eq!(change("wrong, and long enough", "a new good password").await.code(), "password_wrong");
    assert_eq!(change(PASSWORD, "short").await.code(), "password_refused");
    assert_eq!(change(PASSWORD, "a new good password").await.status.as_u16(), 204);
    assert_eq!(own.get("/v1/session").await.status.as_u16(), 200);
    assert_eq!(other.get("/v1/session").await.code(), "session_ended");
    assert_eq!(anybody.post("/v1/sessions", sign_in("anna@acme", PASSWORD, "bearer")).await.code(), "sign_in_refused");

    let token = own.post("/v1/tokens", json!({ "name": "n", "scopes": ["sites:read"], "days": 1 })).await.good();
    let token = anybody.with(token["secret"].as_str().expect("a secret"));
    assert_eq!(token.get("/v1/sites").await.status.as_u16(), 200);
    world.noc.set_password("anna@acme", "set by an administrator".to_owned().into()).expect("set");
    assert_eq!(own.get("/v1/session").await.code(), "session_ended");
    assert_eq!(token.get("/v1/sites").await.code(), "session_ended");
}

#[tokio::test]
async fn an_api_token_does_what_its_scopes_say_and_is_shown_once() {
    let (world, anybody) = with_anna().await;
    let anna = anybody.sign_in("anna@acme").await;
    for (bad, code) in [
        (json!({ "name": "", "scopes": ["sites:read"], "days": 1 }), "invalid"),
        (json!({ "name": "n", "scopes": [], "days": 1 }), "invalid"),
        (json!({ "name": "n", "scopes": ["sites:read"], "days": 0 }), "invalid"),
        (json!({ "name": "n", "scopes": ["sites:read"], "days": 367 }), "invalid"),
        (json!({ "name": "n", "scopes": ["everything"], "days": 1 }), "malformed"),
    ] {
        assert_eq!(anna.post("/v1/tokens", bad.clone()).await.code(), code, "{bad}");
    }
    let body = json!({ "name": "inventory", "scopes": ["sites:read"], "days": 1 });
    let made = anna.call("POST", "/v1/tokens", Some(body.clone()), &[("idempotency-key", "k1")]).await;
    let location = made.header("location").to_owned();
    let made = made.good();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let again = anna.call("POST", "/v1/tokens", Some(body), &[("idempotency-key", "k1")]).await;
    assert_eq!((again.code().as_str(), again.header("location")), ("secret_shown_once", location.as_str()));
    let token = anybody.with(&secret);
    assert_eq!(token.get("/v1/sites").await.status.as_u16(), 200);
    assert_eq!(token.get("/v1/appliances").await.code(), "scope_missing");
    assert_eq!(token.get("/v1/tokens").await.code(), "session_only");
    let listed = anna.get("/v1/tokens").await;
    assert!(!listed.text.contains(&secret));
    // Its use is written down beside the answer.
    while !anna.get("/v1/tokens").await.good()["items"][0]["used"].is_number() {
        tokio::task::yield_now().await;
    }
    let text = std::fs::read(world.dir.path().join("noc/noc.sqlite-wal")).expect("the log of writes");
    assert!(!text.windows(secret.len()).any(|window| window == secret.as_bytes()), "only its hash is kept");
    assert_eq!(anna.delete(&location).await.status.as_u16(), 204);
    assert_eq!(token.get("/v1/sites").await.code(), "session_ended");
}
