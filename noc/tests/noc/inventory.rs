//! The vendor's manifest over the interface, and what appliances are told to do from there.

use crate::api::{Api, role};
use crate::work::{Bench, accepted};
use crate::world::{Device, World};
use muster_noc::Role;
use muster_protocol::api::{LogBundle, LogTaken};
use muster_protocol::id::SiteId;
use muster_protocol::instruction::Serial;
use serde_json::{Value, json};

fn line(device: &Device) -> String {
    format!("SN{},{},{},{},Mail\r\n", device.n, device.mac, device.uid, device.claim.reveal())
}

#[tokio::test]
async fn a_manifest_is_taken_in_whole_or_each_of_its_faults_is_told_by_line() {
    let world = World::new().await;
    let acme = world.noc.add_organisation("acme", "Acme").expect("added").id;
    let other = world.noc.add_organisation("other", "Other").expect("added").id;
    for (login, role_of) in [("operator", Role::Operator), ("viewer", Role::Viewer)] {
        world.operator(login, Some(acme), role(Some(acme), None, role_of));
    }
    let operator = Api::anybody(&world).await.sign_in("operator@acme").await;
    let import =
        async |csv: &str| operator.post("/v1/inventory/import", json!({ "organisation": acme, "csv": csv })).await;
    let devices = Device::several(0..3);
    let header = "serial,mac,uid,claim,model\r\n";
    let all: String = devices.iter().map(line).collect();
    let broken = format!("{header}{all}").replace(&devices[1].uid.to_string(), "XYZ");
    let refused = import(&broken).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "manifest_invalid"));
    let lines = &refused.json()["lines"];
    assert_eq!((&lines[0]["line"], &lines[0]["code"], &lines[1]), (&json!(3), &json!("bad_uid"), &Value::Null));
    assert_eq!(world.noc.appliances().expect("listed").len(), 0, "nothing of it was kept");
    let good = format!("{header}{all}");
    assert_eq!(import(&good).await.good(), json!({ "added": 3, "updated": 0, "unchanged": 0 }));
    assert_eq!(import(&good).await.good(), json!({ "added": 0, "updated": 0, "unchanged": 3 }));
    let listed = operator.get("/v1/appliances").await.good();
    assert_eq!(listed["items"].as_array().expect("rows").len(), 3);

    // A claim code is in no answer, good or bad.
    let mistyped = good.replace(&devices[0].claim.reveal(), &devices[0].claim.reveal()[..9]);
    let refused = import(&mistyped).await;
    assert_eq!(refused.json()["lines"][0]["code"], "bad_claim");
    assert!(!refused.text.contains(&devices[0].claim.reveal()[..9]));

    world.operator("admin", Some(other), role(Some(other), None, Role::Administrator));
    let foreign = Api::anybody(&world).await.sign_in("admin@other").await;
    let body = json!({ "organisation": other, "csv": format!("{header}{}", line(&devices[0])) });
    let refused = foreign.post("/v1/inventory/import", body).await;
    assert_eq!(refused.json()["lines"][0]["code"], "other_organisation");
    assert_eq!(import(&"x".repeat(9 << 20)).await.code(), "too_large");
    let by = world.noc.search_audit(None, Some("inventory.import".into()), None, None, 9).expect("read");
    assert_eq!(by.len(), 2, "one record for each that was taken in");
    assert!(by.iter().all(|record| record.actor.contains("operator@acme")), "{by:?}");
}

#[tokio::test]
async fn an_appliance_is_told_and_what_it_says_is_read_over_the_interface() {
    let mut bench = Bench::new().await;
    let root = bench.world.administrator().await;
    let path = format!("/v1/appliances/{}", bench.uid());
    assert_eq!(root.get(&format!("{path}/log")).await.code(), "no_log");
    let made = root.post(&format!("{path}/instructions"), json!({ "act": "send_log" })).await.good();
    let serial = made["serial"].as_u64().expect("a number");
    let standing = async |root: &Api| {
        let listed = root.get(&format!("{path}/instructions")).await.good();
        let one = &listed["items"][0];
        [&one["given"], &one["done"]].map(Value::is_null)
    };
    assert_eq!(standing(&root).await, [true, true]);
    bench.beat().await;
    assert_eq!(standing(&root).await, [false, true]);
    let bundle = LogBundle { serial: Serial(serial), text: "first line\nsecond \u{202e}line\n".into() };
    let _: LogTaken = bench.http.post("appliances/logs", &bundle).await.expect("taken");
    bench.beat_with(accepted(Serial(serial), "")).await;
    assert_eq!(standing(&root).await, [false, false]);
    let log = root.get(&format!("{path}/log")).await.good();
    assert_eq!(log["text"], bundle.text);
    assert!(log["taken"].is_u64());

    let site = Some(SiteId(bench.site.id.0));
    let home = bench.world.noc.organisations().expect("listed")[0].id;
    bench.world.operator("viewer", Some(home), role(Some(home), site, Role::Viewer));
    let viewer = Api::anybody(&bench.world).await.sign_in("viewer@default").await;
    assert_eq!(viewer.get(&format!("{path}/log")).await.code(), "role_too_low");
    assert_eq!(viewer.get(&format!("{path}/instructions")).await.status.as_u16(), 200);

    root.post(&format!("{path}/instructions"), json!({ "act": "decommission" })).await.good();
    assert_eq!(root.delete(&format!("{path}/work")).await.good(), json!({ "count": 1 }));
    assert_eq!(bench.beat().await, muster_protocol::api::Work::default());
}
