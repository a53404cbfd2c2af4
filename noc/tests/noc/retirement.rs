//! Replacement and release by people: who may, of what they see, and what is left of it.

use crate::api::{Api, Reply, role};
use crate::work::Bench;
use crate::world::{Device, code};
use muster_noc::{OrganisationId, Role};
use muster_protocol::api::*;
use muster_protocol::id::Uid;
use serde_json::{Value, json};

const OWN: OrganisationId = OrganisationId(1);

/// What became of an attempt to replace one appliance by another.
async fn replace(api: &Api, old: Uid, by: Value) -> Reply {
    api.post(&format!("/v1/appliances/{old}/replacement"), json!({ "by": by })).await
}

#[tokio::test]
async fn an_operator_replaces_an_appliance_and_both_say_what_became_of_it() {
    let mut bench = Bench::new().await;
    let (heir, noc) = (Device::new(1), bench.world.noc.clone());
    bench.world.import(std::slice::from_ref(&heir));
    let dead = bench.console.appliance(bench.uid()).await.settings.expect("settings");
    let root = bench.world.administrator().await;
    let role_of = async |uid: Uid| root.get(&format!("/v1/appliances/{uid}/role")).await.good();
    assert_eq!(role_of(bench.uid()).await, json!({ "takes_over": null, "replaced_by": null }));

    let answer = replace(&root, bench.uid(), json!(heir.uid)).await.good();
    assert_eq!(answer, json!({ "takes_over": null, "replaced_by": heir.uid }));
    assert_eq!(role_of(bench.uid()).await, answer);
    let planned = role_of(heir.uid).await;
    assert_eq!(planned["takes_over"]["address"], json!(dead.address));
    assert_eq!(planned["takes_over"]["host_name"], json!(dead.host_name));
    let event = noc.search_audit(None, Some("appliance.replace".into()), None, None, 1).expect("read").remove(0);
    assert_eq!((event.actor.as_str(), event.subject), ("operator:1:root", format!("appliance:{}", bench.uid())));
    assert_eq!(code(bench.try_beat(WorkReport::default()).await), "appliance_retired");

    // The new one gets it, and has nothing more to take over; the old one is let go, and serves again.
    bench.console.configure(bench.site.id, std::slice::from_ref(&heir)).await;
    assert_eq!(bench.console.appliance(heir.uid).await.settings, Some(dead));
    assert_eq!(role_of(heir.uid).await["takes_over"], Value::Null);
    let released = root.post(&format!("/v1/appliances/{}/release", bench.uid()), json!({})).await;
    assert_eq!(released.status.as_u16(), 204, "{}", released.text);
    let old = noc.appliance(&bench.uid()).expect("known");
    assert_eq!((old.record.site, old.record.provisioning, old.successor), (None, Provisioning::Known, None));
    let event = noc.search_audit(None, Some("appliance.release".into()), None, None, 1).expect("read").remove(0);
    assert_eq!(event.actor, "operator:1:root");
    bench.console.configure(bench.site.id, std::slice::from_ref(&bench.device)).await;
    assert_eq!(bench.console.appliance(bench.uid()).await.provisioning, Provisioning::Configured);
}

#[tokio::test]
async fn a_replacement_that_is_not_free_or_not_seen_is_refused_and_nothing_changes() {
    let bench = Bench::new().await;
    let (noc, old) = (bench.world.noc.clone(), bench.uid());
    let devices = Device::several(1..5);
    bench.world.import(&devices);
    let [spare, granted, planned, elsewhere] = <[Device; 4]>::try_from(devices).ok().expect("four");
    let other = noc.add_organisation("other", "Other").expect("added").id;
    let foreign = Device::new(9);
    let row = format!("serial,mac,uid,claim\nS,{},{},{}\n", foreign.mac, foreign.uid, foreign.claim.reveal());
    noc.import_manifest_to(other, &row).expect("imported");
    let thun = bench.world.site("Thun", "192.0.2.100-192.0.2.120");
    bench.world.console(&[thun.id]).await.plan(thun.id, std::slice::from_ref(&elsewhere)).await;
    let plan = bench.console.plan(bench.site.id, std::slice::from_ref(&granted)).await;
    bench.console.grants(&plan).await;
    bench.console.plan(bench.site.id, std::slice::from_ref(&planned)).await;
    let login = |name: &str, site, r| bench.world.operator(name, None, role(Some(OWN), site, r));
    let whole = login("whole", None, Role::Operator);
    let local = login("local", Some(bench.site.id), Role::Operator);
    let viewer = login("viewer", None, Role::Viewer);
    let anybody = Api::anybody(&bench.world).await;
    let (whole, local) = (anybody.sign_in(&whole).await, anybody.sign_in(&local).await);
    let viewer = anybody.sign_in(&viewer).await;

    let before = noc.appliance(&old).expect("known");
    assert_eq!(replace(&viewer, old, json!(spare.uid)).await.code(), "role_too_low");
    let release = format!("/v1/appliances/{old}/release");
    assert_eq!(viewer.post(&release, json!({})).await.code(), "role_too_low");
    for (by, expected) in [
        (json!(old), "itself"),
        (json!(granted.uid), "in_use"),
        (json!(elsewhere.uid), "in_use"),
        (json!("ABCD"), "malformed"),
        (json!(null), "malformed"),
    ] {
        assert_eq!(replace(&whole, old, by.clone()).await.code(), expected, "{by}");
    }
    assert_eq!(replace(&whole, spare.uid, json!(planned.uid)).await.code(), "not_configured");
    // Another organisation's is as one that nobody knows, and so is one at a site that is not theirs.
    let never = replace(&whole, old, json!(Uid([7; 20]))).await;
    assert_eq!(never.code(), "unknown_appliance");
    let words = |reply: &Reply, uid: Uid| reply.text.replace(&uid.to_string(), "UID");
    for (api, unseen) in [(&whole, foreign.uid), (&local, spare.uid), (&local, elsewhere.uid)] {
        let reply = replace(api, old, json!(unseen)).await;
        assert_eq!((reply.status, words(&reply, unseen)), (never.status, words(&never, Uid([7; 20]))));
    }
    assert_eq!(noc.appliance(&old).expect("known"), before);

    // Whoever has a role at the site uses what was planned for it.
    replace(&local, old, json!(planned.uid)).await.good();
    assert_eq!(replace(&local, old, json!(planned.uid)).await.code(), "retired");
    assert_eq!(local.post(&release, json!({})).await.status.as_u16(), 204);
    assert_eq!(local.post(&release, json!({})).await.code(), "not_found", "it is of no site that is theirs");
    assert_eq!(whole.post(&release, json!({})).await.status.as_u16(), 204, "there is nothing left to let go");
}
