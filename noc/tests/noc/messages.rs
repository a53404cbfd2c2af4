//! Messages to consoles by the operators' interface: sent, seen, taken back, carried out.

use crate::api::{Api, role};
use crate::world::{Console, Device, World};
use muster_noc::Role;
use muster_protocol::queue::{MessageReport, MessageReports, MessageState, Messages};
use serde_json::{Value, json};

struct Bench {
    world: World,
    root: Api,
    console: Console,
    path: String,
}

impl Bench {
    async fn new() -> Bench {
        let world = World::new().await;
        let root = world.administrator().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
        let console = world.console(&[site]).await;
        let path = format!("/v1/consoles/{}/messages", console.enrolled.console);
        Bench { world, root, console, path }
    }

    async fn send(&self, order: Value) -> Value {
        self.root.post(&self.path, json!({ "order": order })).await.good()
    }
}

#[tokio::test]
async fn a_message_goes_out_and_what_came_of_it_is_told() {
    let bench = Bench::new().await;
    let sent = bench.root.post(&bench.path, json!({ "order": { "kind": "list", "filter": "0" }, "valid_s": 60 })).await;
    let location = sent.header("location").to_owned();
    let sent = sent.good();
    assert_eq!((sent["name"].as_str(), sent["state"].as_str()), (Some("getList"), Some("waiting")));
    assert_eq!(sent["expires"].as_u64().expect("a time") - sent["issued"].as_u64().expect("a time"), 60);
    let out: Messages = bench.console.http.get("console/queue?after=0").await.expect("messages");
    assert_eq!(out.messages[0].number.0, sent["number"].as_u64().expect("a number"));
    assert_eq!(bench.root.get(&location).await.good()["state"], "fetched");

    let report = |answer: String| MessageReport {
        number: out.messages[0].number,
        state: MessageState::Done,
        code: String::new(),
        detail: String::new(),
        answer: Some(answer),
    };
    let items = vec![report("x".repeat(5_000))];
    bench.console.http.post_nothing("console/queue/reports", &MessageReports { items }).await.expect("taken");
    let listed = bench.root.get(&bench.path).await.good()["items"][0].clone();
    assert_eq!((listed["state"].as_str(), &listed["answer"]), (Some("done"), &Value::Null), "too long for a list");
    assert_eq!(bench.root.get(&location).await.good()["answer"].as_str().map(str::len), Some(5_000));
    assert_eq!(bench.root.delete(&location).await.code(), "message_taken");
    let log = bench.root.get("/v1/audit?action=queue.send").await.good();
    assert_eq!(log["items"][0]["actor"], "operator:1:root", "{log}");
}

#[tokio::test]
async fn every_order_is_sent_in_the_order_of_writing_and_comes_in_pages() {
    let bench = Bench::new().await;
    let device = Device::new(1);
    bench.world.import(std::slice::from_ref(&device));
    let settings = json!({
        "host_name": "m-1", "domain": "example.net", "address": "192.0.2.10", "netmask": "255.255.255.0",
        "gateway": "", "dns1": "", "dns2": ""
    });
    for order in [
        json!({ "kind": "refresh" }),
        json!({ "kind": "kick", "mac": device.mac }),
        json!({ "kind": "config", "mac": device.mac }),
        json!({ "kind": "config", "mac": device.mac, "settings": settings }),
        json!({ "kind": "status" }),
    ] {
        bench.send(order).await;
    }
    let (mut names, mut path) = (Vec::new(), format!("{}?limit=2", bench.path));
    loop {
        let page = bench.root.get(&path).await.good();
        let of = |row: &Value| row["name"].as_str().expect("a name").to_owned();
        names.extend(page["items"].as_array().expect("rows").iter().map(of));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{}?limit=2&after={next}", bench.path);
    }
    assert_eq!(names, ["getStatus", "sendConfig", "sendConfig", "sendKick", "sendRefresh"]);
    let out: Messages = bench.console.http.get("console/queue?after=0").await.expect("messages");
    assert_eq!(out.messages.len(), 5);
    assert!(out.messages.is_sorted_by_key(|message| message.number));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_what_to_do() {
    let bench = Bench::new().await;
    let bad = |order: Value| json!({ "order": order });
    let mac = "02:00:00:00:00:01";
    let wrong = json!({
        "host_name": "not a name", "domain": "", "address": "x", "netmask": "/24", "gateway": "", "dns1": "", "dns2": ""
    });
    for (body, status, code) in [
        (bad(json!({ "kind": "dance" })), 400, "malformed"),
        (bad(json!({ "kind": "kick" })), 400, "malformed"),
        (bad(json!({ "kind": "kick", "mac": "x" })), 400, "malformed"),
        (bad(json!({ "kind": "config", "mac": mac, "site": 99 })), 409, "not_its_site"),
        (bad(json!({ "kind": "config", "mac": mac, "settings": wrong })), 422, "invalid_settings"),
        (json!({ "order": { "kind": "refresh" }, "valid_s": 1 }), 422, "bad_lifetime"),
    ] {
        let reply = bench.root.post(&bench.path, body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{body}");
    }
    for path in ["1", "x", "0", "99999999999999999999"] {
        assert_eq!(bench.root.get(&format!("{}/{path}", bench.path)).await.code(), "not_found", "{path}");
    }
    let sent = bench.send(json!({ "kind": "refresh" })).await;
    let path = format!("{}/{}", bench.path, sent["number"]);
    assert_eq!(bench.root.delete(&path).await.status.as_u16(), 204);
    assert_eq!(bench.root.get(&path).await.good()["state"], "cancelled");
    bench.root.delete(&format!("/v1/consoles/{}", bench.console.enrolled.console)).await.good();
    let revoked = bench.root.post(&bench.path, bad(json!({ "kind": "refresh" }))).await;
    assert_eq!((revoked.status.as_u16(), revoked.code().as_str()), (409, "console_revoked"));
}

#[tokio::test]
async fn whoever_has_a_role_at_some_sites_of_a_console_only_does_not_speak_to_it() {
    let world = World::new().await;
    let sites = [world.site("Bern", "192.0.2.10-192.0.2.20").id, world.site("Thun", "192.0.2.30-192.0.2.40").id];
    let console = world.console(&sites).await;
    let home = muster_noc::OrganisationId(1);
    let login = world.operator("part", Some(home), role(Some(home), Some(sites[0]), Role::Operator));
    let part = Api::anybody(&world).await.sign_in(&login).await;
    let path = format!("/v1/consoles/{}/messages", console.enrolled.console);
    assert_eq!(part.get(&path).await.code(), "role_too_low", "answers tell of both sites");
    assert_eq!(part.post(&path, json!({ "order": { "kind": "refresh" } })).await.code(), "role_too_low");
}
