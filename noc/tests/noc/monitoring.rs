//! What sites say of silence and health, and work on appliances, in the real program.

use crate::api::{Api, role};
use crate::watching::is_health;
use crate::world::{Console, Device, Http, World, beat};
use muster_noc::{Every, MaintenanceSpec, Noc, Role};
use muster_protocol::api::{Alert, AlertKind, Beat, BeatAnswer, Changes, Health, Site};
use muster_protocol::id::{Seq, Uid};
use serde_json::json;

/// A site of some appliances that have reported once.
struct Fleet {
    world: World,
    site: Site,
    console: Console,
    appliances: Vec<(Uid, Seq, Http)>,
    after: u64,
}

impl Fleet {
    async fn of(count: u32) -> Fleet {
        let world = World::new().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99");
        let devices = Device::several(0..count);
        world.import(&devices);
        let console = world.console(&[site.id]).await;
        let after = console.http.get::<Changes>("console/changes?after=0").await.expect("changes").revision;
        let seqs = console.configure(site.id, &devices).await;
        let mut appliances = Vec::new();
        for (device, seq) in devices.iter().zip(seqs) {
            let http = device.enrol(&world.anybody().await, seq).await;
            appliances.push((device.uid, seq, http));
        }
        let fleet = Fleet { world, site, console, appliances, after };
        for n in 0..fleet.appliances.len() {
            fleet.beat(n, 1, 10.0).await;
        }
        fleet
    }

    async fn beat(&self, n: usize, counter: u64, disk_percent: f64) {
        let (_, seq, http) = &self.appliances[n];
        let mut beat: Beat = beat(1, counter, *seq);
        beat.values.disk_percent = disk_percent;
        let _: BeatAnswer = http.post("appliances/beats", &beat).await.expect("taken");
    }

    fn uid(&self, n: usize) -> Uid {
        self.appliances[n].0
    }

    async fn is(&mut self, n: usize, health: Health) {
        let uid = self.uid(n);
        is_health(&self.console, &mut self.after, uid, health).await;
    }

    /// Sets what the site says, as an administrator.
    async fn says(&self, api: &Api, what: serde_json::Value) {
        let path = format!("/v1/sites/{}/monitoring", self.site.id);
        api.change("PUT", &path, &path, what).await.good();
    }

    async fn open_alerts(&self) -> Vec<Alert> {
        self.console.http.get("console/alerts?open=true").await.expect("alerts")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_health_rule_is_an_alert_that_outlives_a_restart_and_two_good_beats_end_it() {
    let mut fleet = Fleet::of(1).await;
    let api = fleet.world.administrator().await;
    let rule = json!({ "name": "nearly full", "value": "disk", "is": "above", "than": 50.0, "for_s": 0 });
    // Long enough for this test's beats to be in time.
    fleet.says(&api, json!({ "grace_s": 600, "rules": [rule] })).await;
    // The daemon reads it within a second; a beat that comes before is judged by the usual rules.
    let mut counter = 2;
    while fleet.open_alerts().await.is_empty() {
        assert!(counter < 200, "it is never told");
        fleet.beat(0, counter, 60.0).await;
        counter += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    fleet.is(0, Health::Failing).await;
    let alerts = fleet.open_alerts().await;
    assert_eq!((alerts[0].kind, alerts[0].rule.as_str()), (AlertKind::Failing, "nearly full"));
    assert_eq!(alerts[0].appliances, [fleet.uid(0)]);
    let shown = api.get(&format!("/v1/alerts/{}", alerts[0].id)).await.good();
    assert_eq!((&shown["kind"], &shown["rule"]), (&json!("failing"), &json!("nearly full")));

    fleet.world = fleet.world.restart().await;
    fleet.beat(0, counter, 60.0).await;
    assert_eq!(fleet.open_alerts().await, alerts, "the same alert, not another");
    for n in 1..=2 {
        fleet.beat(0, counter + n, 50.0).await;
    }
    fleet.is(0, Health::Well).await;
    assert_eq!(fleet.open_alerts().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_told_anew_at_another_site() {
    let mut fleet = Fleet::of(1).await;
    let api = fleet.world.administrator().await;
    let rule = json!({ "name": "nearly full", "value": "disk", "is": "above", "than": 50.0, "for_s": 0 });
    let says = json!({ "grace_s": 600, "rules": [rule] });
    fleet.says(&api, says.clone()).await;
    let mut counter = 2;
    while fleet.open_alerts().await.is_empty() {
        assert!(counter < 200, "it is never told");
        fleet.beat(0, counter, 60.0).await;
        counter += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let thun = fleet.world.site("Thun", "192.0.2.110-192.0.2.120");
    let path = format!("/v1/sites/{}/monitoring", thun.id);
    api.change("PUT", &path, &path, says).await.good();
    let there = fleet.world.console(&[thun.id]).await;
    // Released by another process: its new site may be told before that.
    assert!(fleet.world.noc.release(&fleet.uid(0)).expect("released"));
    fleet.appliances[0].1 = there.configure(thun.id, &[Device::new(0)]).await[0];
    // It beats on, as full as it was.
    loop {
        assert!(counter < 400, "it is not told at the new site");
        fleet.beat(0, counter, 60.0).await;
        counter += 1;
        let open: Vec<Alert> = there.http.get("console/alerts?open=true").await.expect("alerts");
        if let [alert] = open.as_slice() {
            assert_eq!((alert.kind, alert.site, alert.rule.as_str()), (AlertKind::Failing, thun.id, "nearly full"));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(fleet.open_alerts().await, [], "at the former site it is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_worked_on_is_told_to_nobody_until_the_work_ends() {
    let mut fleet = Fleet::of(2).await;
    let api = fleet.world.administrator().await;
    fleet.says(&api, json!({ "grace_s": 1, "miss_intervals": 1 })).await;
    let spec =
        json!({ "site": fleet.site.id, "appliance": fleet.uid(0).to_string(), "for_s": 3600, "note": "new disk" });
    let made = api.post("/v1/maintenance", spec).await.good();
    assert_eq!((&made["is_active"], &made["note"]), (&json!(true), &json!("new disk")));
    fleet.is(0, Health::Maintenance).await;
    fleet.is(1, Health::Silent).await;
    assert!(fleet.open_alerts().await.iter().all(|alert| alert.appliances == [fleet.uid(1)]));

    // In the middle of it the NOC starts anew.
    fleet.world = fleet.world.restart().await;
    let api = Api::anybody(&fleet.world).await.sign_in("root").await;
    assert_eq!(fleet.console.appliance(fleet.uid(0)).await.health, Health::Maintenance);
    api.delete(&format!("/v1/maintenance/{}", made["id"])).await.good();
    fleet.is(0, Health::Silent).await;
    assert_eq!(fleet.open_alerts().await.len(), 2);
    assert_eq!(api.delete(&format!("/v1/maintenance/{}", made["id"])).await.status, 404, "it is over");
    let over = api.get("/v1/maintenance?over=true").await.good();
    assert_eq!(over["items"].as_array().map(Vec::len), Some(1), "{over}");

    // The whole site, by another process: open alerts end.
    let beside = Noc::open(&fleet.world.dir.path().join("noc")).expect("opens");
    let whole = |for_s| MaintenanceSpec {
        site: fleet.site.id,
        appliance: None,
        starts: None,
        for_s,
        every: Every::Week,
        note: String::new(),
    };
    assert!(beside.maintain(whole(59)).is_err());
    let id = beside.maintain(whole(3_600)).expect("kept").id;
    for n in 0..2 {
        fleet.is(n, Health::Maintenance).await;
    }
    assert_eq!(fleet.open_alerts().await, []);
    assert!(beside.end_maintenance(id).expect("ended") && !beside.end_maintenance(id).expect("looked"));
    fleet.is(0, Health::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_behind_a_silent_gateway_are_in_its_alert() {
    let mut fleet = Fleet::of(2).await;
    let api = fleet.world.administrator().await;
    let gateway = fleet.uid(0).to_string();
    fleet.says(&api, json!({ "grace_s": 1, "miss_intervals": 2, "gateway": gateway })).await;
    fleet.is(0, Health::Silent).await;
    fleet.is(1, Health::Unreachable).await;
    let alerts = fleet.open_alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((alerts[0].kind, alerts[0].appliances.len()), (AlertKind::Silent, 2));
    for counter in 2..=3 {
        fleet.beat(0, counter, 10.0).await;
    }
    fleet.is(0, Health::Well).await;
    assert!(matches!(fleet.console.appliance(fleet.uid(1)).await.health, Health::Late | Health::Silent));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name_and_what_was_said_stays() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let api = world.administrator().await;
    let path = format!("/v1/sites/{}/monitoring", site.id);
    api.change("PUT", &path, &path, json!({ "miss_intervals": 5 })).await.good();
    for (wrong, part) in [
        (json!({ "miss_intervals": 0 }), "`miss_intervals` must be 1 to 20, not 0"),
        (
            json!({ "rules": [{ "name": "x", "value": "fans", "is": "above", "than": 1, "for_s": 1 }] }),
            "`fans` is no value",
        ),
        (json!({ "gateway": Uid([9; 20]).to_string() }), "is no appliance of this site"),
    ] {
        let reply = api.change("PUT", &path, &path, wrong).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (422, "invalid"), "{}", reply.text);
        assert!(reply.text.contains(part), "{}", reply.text);
    }
    let whole = format!("/v1/organisations/{}/monitoring", world.noc.organisations().expect("read")[0].id);
    let reply = api.change("PUT", &whole, &whole, json!({ "gateway": Uid([9; 20]).to_string() })).await;
    assert!(reply.text.contains("is for a site to say"), "{}", reply.text);
    api.change("PUT", &whole, &whole, json!({ "recover_beats": 4, "miss_intervals": 9 })).await.good();
    let comes_to = api.get(&format!("{path}/effective")).await.good();
    assert_eq!((&comes_to["miss_intervals"], &comes_to["recover_beats"]), (&json!(5), &json!(4)), "{comes_to}");
    assert_eq!(comes_to["rules"].as_array().map(Vec::len), Some(2), "the usual ones: {comes_to}");

    let reply = api.post("/v1/maintenance", json!({ "site": site.id, "for_s": 5 })).await;
    assert!(reply.text.contains("`for_s` must be 60 to 2678400 seconds, not 5"), "{}", reply.text);
    let elsewhere = json!({ "site": site.id, "for_s": 600, "appliance": Uid([9; 20]).to_string() });
    assert!(api.post("/v1/maintenance", elsewhere).await.text.contains("is no appliance of this site"));
    // A viewer looks and does not touch.
    let home = world.noc.organisations().expect("read")[0].id;
    let login = world.operator("vera", Some(home), role(Some(home), Some(site.id), Role::Viewer));
    let vera = Api::anybody(&world).await.sign_in(&login).await;
    vera.get(&path).await.good();
    assert_eq!(vera.post("/v1/maintenance", json!({ "site": site.id, "for_s": 600 })).await.status, 403);
}
