//! What a receiver of webhooks hears of an alert's life.

use super::receiver::{Manner, Receiver};
use super::{Scene, number, webhook};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_burst_is_one_signed_message_and_each_step_after_it_another() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Good).await;
    let made = scene.add(webhook(&receiver.url)).await;
    let (id, secret) = (number(&made["channel"]["id"]), made["secret"].as_str().expect("shown once").to_owned());
    let devices = scene.silent(0..5).await;
    scene.open_alerts(5).await;

    let burst = receiver.next().await;
    assert!(burst.is_signed_with(&secret), "{burst:?}");
    assert!(!burst.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "another secret does not do");
    let events = burst.events();
    assert_eq!(events.len(), 5, "{events:?}");
    assert!(events.iter().all(|(what, _)| what == "opened"));
    let json = burst.json();
    assert_eq!(
        (json["type"].clone(), json["data"]["organisation"]["handle"].clone()),
        (json!("muster.alerts"), json!("default"))
    );
    let alert = &json["data"]["events"][0]["alert"];
    assert_eq!((alert["kind"].clone(), alert["severity"].clone()), (json!("never_reported"), json!("warning")));
    assert_eq!((alert["site_name"].clone(), alert["count"].clone()), (json!("Bern"), json!(1)));
    assert!(devices.iter().any(|(device, _)| alert["appliances"][0]["uid"] == device.uid.to_string()));

    let first = events[0].1;
    let path = format!("/v1/alerts/{first}");
    let note = json!({ "note": "<b>on my way</b>" });
    scene.root.change("PUT", &path, &format!("{path}/acknowledgement"), note).await.good();
    let next = receiver.next().await;
    assert_eq!(next.events(), [("acknowledged".to_owned(), first)]);
    let event = &next.json()["data"]["events"][0];
    assert_eq!((event["by"].clone(), event["note"].clone()), (json!("root"), json!("<b>on my way</b>")));
    assert_ne!(next.id, burst.id);

    let uid = &json["data"]["events"][1]["alert"]["appliances"][0]["uid"];
    let second = devices.iter().find(|(device, _)| *uid == device.uid.to_string()).expect("known");
    let alert = events[1].1;
    scene.recover(second).await;
    let next = receiver.next().await;
    assert_eq!(next.events(), [("resolved".to_owned(), alert)]);

    super::eventually("nothing waits", async || number(&scene.state(id).await["waiting"]) == 0).await;
    let state = scene.state(id).await;
    assert_eq!(state["outcome"], "200 taken, says the receiver");
    assert!(state["failing_since"].is_null() && !state["delivered"].is_null());
    receiver.nothing_for(6).await;
    let distinct: BTreeSet<u64> = scene.deliveries(id);
    assert_eq!(distinct.len(), 7, "five opened, one acknowledged, one resolved; nothing twice");
}

#[tokio::test]
async fn a_channel_hears_only_of_its_sites_and_kinds() {
    let scene = Scene::new().await;
    let thun =
        scene.world.noc.add_site(muster_noc::SiteSpec { name: "Thun".into(), ..crate::world::spec() }).expect("a site");
    let mut receiver = Receiver::start(Manner::Good).await;
    for (name, sites, kinds, enabled) in [
        ("elsewhere", json!([thun.id]), json!([]), true),
        ("other kinds", json!([]), json!(["silent", "site"]), true),
        ("off", json!([]), json!([]), false),
        ("this one", json!([scene.site]), json!(["never_reported"]), true),
    ] {
        let url = format!("{}&name={}", receiver.url, name.replace(' ', "-"));
        let target = json!({ "kind": "webhook", "url": url });
        scene.add(json!({ "name": name, "target": target, "sites": sites, "kinds": kinds, "enabled": enabled })).await;
    }
    scene.silent(0..1).await;
    let received = receiver.next().await;
    assert_eq!(received.json()["data"]["channel"], "this one");
    receiver.nothing_for(6).await;
}

#[tokio::test]
async fn a_secret_is_shown_once_and_can_be_made_anew() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Good).await;
    let made = scene.add(webhook(&receiver.url)).await;
    let (id, secret) = (number(&made["channel"]["id"]), made["secret"].as_str().expect("shown once").to_owned());
    let path = format!("/v1/channels/{id}");
    let shown = scene.root.get(&path).await;
    assert!(!shown.text.contains(&secret[6..]) && shown.json()["has_secret"] == true, "{}", shown.text);
    let renewed = scene.root.post(&format!("{path}/secret"), json!({})).await.good();
    let renewed = renewed["secret"].as_str().expect("another").to_owned();
    assert_ne!(renewed, secret);
    let tested = scene.root.post(&format!("{path}/test"), json!({})).await.good();
    assert_eq!(
        (tested["is_delivered"].clone(), tested["answer"].clone()),
        (json!(true), json!("200 taken, says the receiver"))
    );
    let received = receiver.next().await;
    assert!(received.is_signed_with(&renewed) && !received.is_signed_with(&secret));
    assert_eq!((received.json()["type"].clone(), received.events()), (json!("muster.test"), vec![]));
    // A change that says nothing of it keeps it.
    let url = format!("{}&b=c", receiver.url);
    let body = json!({ "channel": { "name": "hook 2", "target": { "kind": "webhook", "url": url } } });
    let changed = scene.root.change("PUT", &path, &path, body).await.good();
    assert!(changed["secret"].is_null());
    scene.root.post(&format!("{path}/test"), json!({})).await.good();
    assert!(receiver.next().await.is_signed_with(&renewed));
    scene.root.delete(&path).await.good();
    assert_eq!(scene.root.get(&path).await.code(), "not_found");
    let actions = scene.audited("channel:");
    assert_eq!(
        actions,
        ["channel.add", "channel.secret", "channel.test", "channel.change", "channel.test", "channel.remove"]
    );
    let all: Vec<_> = scene.world.noc.search_audit(None, None, None, None, 1_000).expect("read");
    assert!(all.iter().all(|record| !record.detail.contains(&secret[6..]) && !record.detail.contains(&renewed[6..])));
}

impl Scene {
    /// Events that a channel had to tell, which are all of them once.
    fn deliveries(&self, id: u64) -> BTreeSet<u64> {
        let db = self.world.database();
        let mut statement = db.prepare("SELECT event FROM deliveries WHERE channel = ?1").expect("read");
        let events: Vec<u64> =
            statement.query_map([id], |row| row.get(0)).expect("read").map(|row| row.expect("one")).collect();
        let distinct: BTreeSet<u64> = events.iter().copied().collect();
        assert_eq!(distinct.len(), events.len());
        distinct
    }

    /// What was done to things of a kind, oldest first.
    pub(super) fn audited(&self, subject: &str) -> Vec<String> {
        let mut actions = Vec::new();
        let each = |record: muster_noc::Record| {
            if record.subject.starts_with(subject) {
                actions.push(record.action);
            }
            true
        };
        self.world.noc.each_audit(each).expect("read");
        actions
    }
}
