//! Every route of the interface, with everybody: nothing of one organisation is there for another, and a role is enough for what
//! it is meant for and for nothing above.

mod applet_entries;
mod entries;
mod rollout_entries;

use crate::api::{Api, PASSWORD, role, sign_in};
use crate::world::{Device, World, spec};
use muster_noc::{
    ComponentSpec, Every, MaintenanceSpec, Monitoring, OrganisationId, Role, RouteInfo, SiteSpec, route_table,
};
use muster_protocol::id::SiteId;
use serde_json::{Value, json};
use std::time::Duration;

/// In the name of everything that belongs to the organisation whose things the others must not see.
const MARK: &str = "markedsecret";

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Viewer,
    Operator,
    Administrator,
    Noc,
}

/// What a route is tried with.
struct Entry {
    path: String,
    body: Option<Value>,
    who: Who,
    /// What those who see nothing of it get: 404, or a list without it.
    hidden: Hidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    NotFound,
    /// The list, or their own thing.
    Without,
    /// Anybody may know that there is such a thing.
    Forbidden,
}

struct Scene {
    world: World,
    marked: OrganisationId,
    uid: String,
    /// May take over from it.
    heir: String,
    /// Names the appliance again.
    manifest: String,
    site: SiteId,
    console: u32,
    message: u64,
    invite: String,
    operator: u32,
    session: u32,
    token: u32,
}

/// Logins of the organisation whose things are marked.
struct People {
    anybody: Api,
    viewer: Api,
    operator: Api,
    administrator: Api,
    elsewhere: Api,
    stranger: Api,
    noc: Api,
}

impl Scene {
    async fn new() -> (Scene, People) {
        let world = World::new().await;
        let noc = &world.noc;
        let marked = noc.add_organisation("marked", &format!("{MARK} AG")).expect("added").id;
        let other = noc.add_organisation("other", "Other").expect("added").id;
        let site_spec = |name: &str| SiteSpec { name: name.into(), ..spec() };
        let site = noc.add_site_to(marked, site_spec(&format!("{MARK} Bern"))).expect("a site").id;
        let elsewhere = noc.add_site_to(marked, site_spec("Thun")).expect("a site").id;
        noc.add_site_to(other, site_spec("Thun")).expect("names are an organisation's own");

        let device = Device::new(1);
        let manifest = format!(
            "serial,mac,uid,claim,model\n{MARK}1,{},{},{},Mail\n",
            device.mac,
            device.uid,
            device.claim.reveal()
        );
        noc.import_manifest_to(marked, &manifest).expect("imported");
        let heir = Device::new(2);
        let row = format!("serial,mac,uid,claim\n{MARK}9,{},{},{}\n", heir.mac, heir.uid, heir.claim.reveal());
        noc.import_manifest_to(marked, &row).expect("imported");
        let reserved = muster_noc::ReservationSpec {
            serial: format!("{MARK}2"),
            address: "192.0.2.88".into(),
            ..Default::default()
        };
        let profile = muster_noc::Profile { model: format!("{MARK} M"), ..Default::default() };
        let said = muster_noc::OrganisationPolicy { profiles: vec![profile.clone()], ..Default::default() };
        noc.set_organisation_policy(marked, said).expect("kept");
        let (every, note) = (Every::Once, MARK.to_owned());
        let work = MaintenanceSpec { site, appliance: None, starts: None, for_s: 3_600, every, note };
        noc.maintain(work).expect("kept");
        let rule = json!({ "name": MARK, "value": "disk", "is": "above", "than": 95.0, "for_s": 60 });
        let rules: Monitoring = serde_json::from_value(json!({ "rules": [rule] })).expect("reads");
        noc.set_organisation_monitoring(marked, rules.clone()).expect("kept");
        noc.set_site_monitoring(site, rules).expect("kept");
        noc.set_site_profiles(site, vec![profile]).expect("kept");
        crate::components::repository(noc);
        let own = ComponentSpec { sites: vec![site], ..crate::components::spec(Some(marked), MARK, "1") };
        crate::components::add(noc, &world, own, b"#!/bin/sh");
        let line: muster_noc::Required =
            serde_json::from_value(json!({ "name": MARK, "version": "1" })).expect("reads");
        let required = muster_noc::ComponentPolicy { required: vec![line], bytes_per_s: None };
        noc.set_organisation_components(marked, required.clone()).expect("kept");
        noc.set_site_components(site, required).expect("kept");
        assert_eq!(noc.reserve(site, reserved).expect("reserved"), 1);
        let console = world.console(&[site]).await;
        console.configure(site, std::slice::from_ref(&device)).await;
        rollout_entries::fill(noc, &world, marked, site).await;
        noc.instruct(&device.uid, muster_protocol::instruction::Act::SendLog).expect("told");
        world
            .database()
            .execute("INSERT INTO logs (appliance, taken, text) SELECT id, 1, ?1 FROM appliances", [MARK])
            .expect("a log");
        for number in 1..=2 {
            let edit = muster_noc::Edit { dns1: Some("192.0.2.60".into()), ..Default::default() };
            let changes = muster_noc::DraftChanges::Edit { edit, uids: Vec::new() };
            let draft = muster_noc::DraftSpec { sites: vec![site], title: format!("{MARK} draft"), changes };
            assert_eq!(noc.draft(draft).expect("a draft").id, number);
        }
        let kick = muster_noc::NewOrder::Kick { mac: device.mac };
        let message = noc.send(console.enrolled.console, kick, Duration::from_secs(3600)).expect("sent").number.0;
        let invite = noc.invite(&[site], Duration::from_secs(3600)).expect("an invite");
        assert!(invite.starts_with("muster-invite:"));
        world
            .database()
            .execute("INSERT INTO alerts (id, site, kind, opened, revision) VALUES (1, ?1, 'silent', 1, 1)", [site.0])
            .expect("an alert");
        for name in [MARK.to_owned(), format!("{MARK} gone")] {
            let spec = json!({ "name": name, "target": { "kind": "webhook", "url": "https://127.0.0.1:1/" } });
            noc.add_channel(marked, serde_json::from_value(spec).expect("a channel"), None).expect("added");
        }
        let written = json!({ "url": "https://127.0.0.1:1/", "user": MARK });
        let written = serde_json::from_value(written).expect("a store");
        noc.set_remote_write(marked, written, Some("p".to_owned().into())).expect("set");
        applet_entries::fill(noc, marked);
        noc.acknowledge_alert(1, MARK.to_owned()).expect("acknowledged");
        let written = "INSERT INTO standings (site, appliance, since, until, standing)
            SELECT ?1, id, 1, unixepoch() - 9, 'silent' FROM appliances";
        world.database().execute(written, [site.0]).expect("a standing");

        let at = |site, r| role(Some(marked), site, r);
        let logins = [
            world.operator("viewer", Some(marked), at(None, Role::Viewer)),
            world.operator("operator", Some(marked), at(None, Role::Operator)),
            world.operator("administrator", Some(marked), at(None, Role::Administrator)),
            world.operator("elsewhere", Some(marked), at(Some(elsewhere), Role::Administrator)),
            world.operator("stranger", Some(other), role(Some(other), None, Role::Administrator)),
            world.operator("noc", None, role(None, None, Role::Administrator)),
        ];
        let anybody = Api::anybody(&world).await;
        let mut signed_in = Vec::new();
        for login in &logins {
            signed_in.push(anybody.sign_in(login).await);
        }
        let [viewer, operator, administrator, elsewhere, stranger, noc_api] =
            <[Api; 6]>::try_from(signed_in).ok().expect("six");
        world.operator(&format!("{MARK}.victim"), Some(marked), at(None, Role::Viewer));
        let victim_api = anybody.sign_in(&format!("{MARK}.victim@marked")).await;
        let made = victim_api
            .post("/v1/tokens", json!({ "name": format!("{MARK} token"), "scopes": ["sites:read"], "days": 1 }))
            .await
            .good();
        let own = victim_api.get("/v1/session").await.good();
        let number = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("small");
        let invite = noc_api.get("/v1/invites").await.good()["items"][0]["id"].as_str().expect("an invite").to_owned();
        let scene = Scene {
            marked,
            uid: device.uid.to_string(),
            heir: heir.uid.to_string(),
            manifest,
            site,
            console: console.enrolled.console.0,
            message,
            invite,
            operator: number(&own["operator"]["id"]),
            session: number(&own["session"]["id"]),
            token: number(&made["token"]["id"]),
            world,
        };
        (scene, People { anybody, viewer, operator, administrator, elsewhere, stranger, noc: noc_api })
    }
}

/// The order in which what is allowed is done: what ends things comes last.
fn is_last(route: &str) -> u8 {
    match route {
        "DELETE /v1/session" => 3,
        "POST /v1/operators/{operator}/password" => 2,
        _ if route.ends_with("/replacement") || route.ends_with("/release") => 2,
        _ if route.starts_with("DELETE") => 1,
        _ => 0,
    }
}

/// Routes of operators, as the NOC's own table has them.
fn operators_routes() -> Vec<(String, RouteInfo)> {
    let routes = route_table().into_iter().map(|route| (format!("{} {}", route.method, route.path), route));
    let is_theirs = |route: &RouteInfo| !["anybody", "consoles", "appliances"].contains(&route.audience.as_str());
    // An answer that never ends is walked in events.rs, with the same people.
    routes.filter(|(_, route)| is_theirs(route) && route.path != "/v1/events").collect()
}

async fn tried(api: &Api, route: &RouteInfo, entry: &Entry) -> crate::api::Reply {
    api.call(&route.method, &entry.path, entry.body.clone(), &[("if-match", "*")]).await
}

#[tokio::test]
async fn nothing_of_one_organisation_is_there_for_another_on_any_route_and_a_role_is_enough_for_its_own() {
    let (scene, people) = Scene::new().await;
    let entries = scene.entries();
    let routes = operators_routes();
    let unknown: Vec<_> = routes.iter().filter(|(name, _)| !entries.contains_key(name)).map(|(name, _)| name).collect();
    assert!(unknown.is_empty(), "new routes need an entry here: {unknown:?}");
    assert_eq!(routes.len(), entries.len(), "an entry is for a route that is not there any more");

    let everything = ["organisations", "sites", "operators", "consoles", "appliances", "alerts"];
    let scopes: Vec<String> = everything
        .iter()
        .flat_map(|of| [format!("{of}:read"), format!("{of}:write")])
        .chain(["audit:read".into()])
        .collect();
    let token = async |api: &Api, scopes: &[String]| {
        let made = api.post("/v1/tokens", json!({ "name": "all", "scopes": scopes, "days": 1 })).await.good();
        people.anybody.with(made["secret"].as_str().expect("a secret"))
    };
    let strangers_token = token(&people.stranger, &scopes).await;
    let expired = token(&people.administrator, &scopes).await;
    let expired_id = people.administrator.get("/v1/tokens").await.good()["items"][0]["id"].as_u64().expect("a number");
    scene
        .world
        .database()
        .execute("UPDATE api_tokens SET expires = 1 WHERE id = ?1", [expired_id as i64])
        .expect("expired");
    let ended = people.anybody.sign_in("viewer@marked").await;
    ended.delete("/v1/session").await.good();
    let forged = people.anybody.with(&format!("muster_session_{}", "A".repeat(43)));
    let no_secret = people.anybody.with("nonsense");
    let few = token(&people.administrator, &["sites:read".to_owned()]).await;

    // First whatever is refused, to everybody; then what is allowed, since that changes things.
    for (name, route) in &routes {
        let entry = &entries[name];
        assert_eq!(tried(&people.anybody, route, entry).await.code(), "not_signed_in", "{name}");
        for (who, api) in [("expired", &expired), ("ended", &ended), ("forged", &forged), ("none", &no_secret)] {
            let reply = tried(api, route, entry).await;
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "session_ended"), "{name} {who}");
        }
        let is_own = matches!(name.as_str(), "DELETE /v1/session" | "POST /v1/session/password" | "POST /v1/tokens");
        for (who, api, is_token) in [
            ("stranger", &people.stranger, false),
            ("stranger's token", &strangers_token, true),
            ("elsewhere", &people.elsewhere, false),
        ] {
            if is_own && !is_token {
                continue;
            }
            let reply = tried(api, route, entry).await;
            if is_token && route.audience == "session" {
                assert_eq!(reply.code(), "session_only", "{name} {who}");
                continue;
            }
            if who == "elsewhere"
                && matches!(name.as_str(), "GET /v1/organisations/{organisation}" | "GET /v1/organisations")
            {
                // Whoever has a role at one site knows whose it is.
                assert!(reply.status.is_success(), "{name} {who}");
                continue;
            }
            let in_part = [
                "PATCH /v1/organisations/{organisation}",
                "GET /v1/organisations/{organisation}/policy",
                "PUT /v1/organisations/{organisation}/policy",
                "GET /v1/organisations/{organisation}/monitoring",
                "PUT /v1/organisations/{organisation}/monitoring",
                "GET /v1/organisations/{organisation}/components",
                "PUT /v1/organisations/{organisation}/components",
                "GET /v1/organisations/{organisation}/history",
                "PATCH /v1/organisations/{organisation}/history",
                "GET /v1/organisations/{organisation}/metrics",
                "GET /v1/organisations/{organisation}/remote-write",
                "PUT /v1/organisations/{organisation}/remote-write",
                "POST /v1/organisations/{organisation}/remote-write/test",
                "DELETE /v1/organisations/{organisation}/remote-write",
                "GET /v1/organisations/{organisation}/applets",
                "POST /v1/organisations/{organisation}/applets",
                "PUT /v1/organisations/{organisation}/applets/{applet}/channels/{applet_channel}",
                "PUT /v1/organisations/{organisation}/applets/{applet}/places",
                "PUT /v1/organisations/{organisation}/applets/{applet}/floor",
                "DELETE /v1/organisations/{organisation}/applets/{applet}/versions/{applet_version}",
                "GET /v1/organisations/{organisation}/applet-authors",
                "POST /v1/organisations/{organisation}/applet-authors",
                "DELETE /v1/organisations/{organisation}/applet-authors/{author}",
                "POST /v1/sites",
                "GET /v1/sites.csv",
                "POST /v1/sites/import",
                "POST /v1/inventory/import",
                "POST /v1/operators",
                "POST /v1/channels",
            ];
            let expected = match entry.hidden {
                Hidden::NotFound if who == "elsewhere" && in_part.contains(&name.as_str()) => 403,
                Hidden::NotFound => 404,
                Hidden::Without => 200,
                Hidden::Forbidden => 403,
            };
            assert_eq!(reply.status.as_u16(), expected, "{name} {who}: {}", reply.text);
            assert!(!reply.text.contains(MARK) && !reply.text.contains(&scene.uid), "{name} {who}: {}", reply.text);
            if expected == 404 {
                // The same words as for what nobody has.
                assert_eq!(reply.code(), "not_found", "{name} {who}");
            }
        }
        if route.audience != "session" && route.audience != "sites:read" {
            assert_eq!(tried(&few, route, entry).await.code(), "scope_missing", "{name}");
        }
        for (role, api) in [
            (Who::Viewer, &people.viewer),
            (Who::Operator, &people.operator),
            (Who::Administrator, &people.administrator),
        ] {
            if role < entry.who {
                let reply = tried(api, route, entry).await;
                // Of people only administrators know that they are there.
                let hides =
                    name.contains("operator}") || name.starts_with("GET /v1/sessions") || name.contains("tokens");
                let hides = hides || name.contains("{session}");
                let expected = if hides { 404 } else { 403 };
                assert_eq!(reply.status.as_u16(), expected, "{name} {role:?}: {}", reply.text);
            }
        }
    }
    let mut allowed: Vec<_> = routes.iter().collect();
    allowed.sort_by_key(|(name, _)| is_last(name));
    for (name, route) in allowed {
        let entry = &entries[name];
        let api = match entry.who {
            Who::Viewer => &people.viewer,
            Who::Operator => &people.operator,
            Who::Administrator => &people.administrator,
            Who::Noc => &people.noc,
        };
        let reply = tried(api, route, entry).await;
        assert!(reply.status.is_success(), "{name}: {} {}", reply.status, reply.text);
        let shows = route.method == "GET"
            && !name.contains("session")
            && !name.contains("beats")
            && !name.ends_with("/history")
            && !name.ends_with("/strip")
            && !name.ends_with("/role")
            && name != "GET /v1/operators";
        let knows = reply.text.contains(MARK)
            || reply.text.contains("192.0.2")
            || reply.text.contains("\"marked\"")
            || reply.text.contains(&scene.invite)
            || reply.text.contains("desk")
            || reply.text.contains("sendKick")
            || reply.text.contains("send_log")
            || reply.text.contains("silent");
        assert!(!shows || knows, "{name} shows nothing: {}", reply.text);
    }
}

#[tokio::test]
async fn an_operators_secret_opens_nothing_of_consoles_and_appliances() {
    let world = World::new().await;
    let root = world.administrator().await;
    let routes =
        route_table().into_iter().filter(|route| ["consoles", "appliances"].contains(&route.audience.as_str()));
    let mut tried = 0;
    for route in routes {
        let path = route.path.replace("{uid}", "x");
        let body = (route.method == "POST").then(|| json!({}));
        assert_eq!(root.call(&route.method, &path, body, &[]).await.code(), "certificate_missing", "{}", route.path);
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

#[tokio::test]
async fn consoles_see_nothing_of_another_organisation_either() {
    let world = World::new().await;
    let noc = &world.noc;
    let other = noc.add_organisation("other", "Other").expect("added").id;
    let own = world.site("Bern", "192.0.2.10-192.0.2.99").id;
    let foreign = noc.add_site_to(other, SiteSpec { name: "Bern".into(), ..spec() }).expect("a site").id;
    let devices = Device::several(0..2);
    let row = |d: &Device| format!("serial,mac,uid,claim\nS,{},{},{}\n", d.mac, d.uid, d.claim.reveal());
    noc.import_manifest(&row(&devices[0])).expect("imported");
    noc.import_manifest_to(other, &row(&devices[1])).expect("imported");
    let elsewhere = noc.import_manifest(&row(&devices[1])).expect_err("belongs to another");
    assert!(format!("{elsewhere:?}").contains("other_organisation"));
    assert!(noc.invite(&[own, foreign], Duration::from_secs(60)).is_err(), "an invite is for one organisation");

    let console = world.console(&[own]).await;
    let listed: Vec<muster_protocol::api::ApplianceRecord> =
        console.http.get("console/appliances").await.expect("listed");
    assert_eq!(
        listed.iter().map(|a| a.uid).collect::<Vec<_>>(),
        [devices[0].uid],
        "free ones of the other are not there"
    );
    let plan = console.plan(own, &devices).await;
    assert_eq!(plan.rows[0].problem, None);
    let never_seen = console.plan(own, &[Device::new(9)]).await;
    let words = |row: &muster_protocol::api::PlanRow| row.problem.clone().expect("a problem").code;
    assert_eq!(words(&plan.rows[1]), words(&never_seen.rows[0]), "the same words as of one that nobody knows");
    let planned = muster_protocol::api::PlanRequest {
        site: own,
        appliances: vec![muster_protocol::api::PlanFor {
            claim: Some(devices[1].claim.reveal()),
            ..devices[1].plan_for()
        }],
    };
    let claimed: muster_protocol::api::Plan = console.http.post("console/plans", &planned).await.expect("a plan");
    assert_eq!(words(&claimed.rows[0]), "claim_of_another", "the label moves nothing out of the other's inventory");

    // Nor does it hear through a message who has a MAC address elsewhere.
    let kick = muster_noc::NewOrder::Kick { mac: devices[1].mac };
    noc.send(console.enrolled.console, kick, Duration::from_secs(60)).expect("sent");
    let sent = noc.search_audit(None, Some("queue.send".into()), None, None, 1).expect("read").remove(0);
    assert!(sent.detail.contains(&devices[1].mac.to_string()) && !sent.detail.contains(&devices[1].uid.to_string()));

    // A console that joined one organisation does not join another with the same key.
    let token = world.token(&[foreign], Duration::from_secs(60));
    let request = crate::world::NewConsole { key: console.key.clone(), ..crate::world::NewConsole::new() };
    let joined: Result<muster_protocol::api::ConsoleEnrolled, _> =
        world.anybody().await.post("consoles/enrol", &request.body(&token)).await;
    assert_eq!(crate::world::code(joined), "invite_of_another_organisation");
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let world = World::new().await;
    let root = world.administrator().await;
    let acme = world.noc.add_organisation("acme", "Acme").expect("added").id;
    let other = world.noc.add_organisation("other", "Other").expect("added").id;
    let foreign = world.noc.add_site_to(other, spec()).expect("a site").id;
    world.operator("admin", Some(acme), role(Some(acme), None, Role::Administrator));
    let admin = Api::anybody(&world).await.sign_in("admin@acme").await;
    let new = |home: Value, roles: Value| json!({ "organisation": home, "login": "x", "name": "X", "password": PASSWORD, "roles": roles });
    for (home, roles, code) in [
        (json!(null), json!([]), "role_too_low"),
        (json!(other), json!([]), "not_found"),
        (json!(acme), json!([{ "role": "viewer" }]), "invalid"),
        (json!(acme), json!([{ "organisation": other, "role": "viewer" }]), "invalid"),
        (json!(acme), json!([{ "organisation": acme, "site": foreign, "role": "viewer" }]), "not_found"),
        (json!(acme), json!([{ "site": foreign, "role": "viewer" }]), "invalid"),
    ] {
        let reply = admin.post("/v1/operators", new(home.clone(), roles.clone())).await;
        assert_eq!(reply.code(), code, "{home} {roles}");
    }
    let own = admin.get("/v1/session").await.good()["operator"]["id"].clone();
    let path = format!("/v1/operators/{own}");
    let demoted = admin.change("PUT", &path, &format!("{path}/roles"), json!({ "roles": [] })).await;
    assert_eq!(demoted.code(), "itself");
    assert_eq!(admin.change("PATCH", &path, &path, json!({ "disabled": true })).await.code(), "itself");
    // People of the NOC are nobody's but the NOC's.
    assert_eq!(admin.get("/v1/operators/1").await.code(), "not_found");
    let reply = root.change("PATCH", &path, &path, json!({ "disabled": true })).await;
    assert!(reply.status.is_success());
    assert_eq!(admin.get("/v1/session").await.code(), "session_ended", "who is disabled is signed out");
    let refused = admin.post("/v1/sessions", sign_in("admin@acme", PASSWORD, "bearer")).await;
    assert_eq!(refused.code(), "sign_in_refused");
}
