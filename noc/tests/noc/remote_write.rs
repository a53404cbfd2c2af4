//! History that is written to the real VictoriaMetrics and the real Prometheus.

use crate::api::{Api, role};
use crate::channels::receiver::{Manner, Receiver};
use crate::measuring::Measures;
use crate::served::Served;
use crate::world::{Console, Device, Http, World, beat};
use muster_noc::{OrganisationId, Role, SiteSpec};
use muster_protocol::api::*;
use muster_protocol::beat_watch::Rules;
use muster_protocol::id::{Seq, SiteId};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEFAULT: OrganisationId = OrganisationId(1);
const PATH: &str = "/v1/organisations/1/remote-write";

/// A NOC that may reach this machine, with configured appliances of its first organisation.
struct Scene {
    world: World,
    root: Api,
    site: SiteId,
    console: Console,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::with("channel_networks = [\"127.0.0.0/8\"]\n", Rules::default()).await;
        let root = world.administrator().await;
        let site = world.noc.add_site(SiteSpec { name: "Bern".into(), ..crate::world::spec() }).expect("a site").id;
        let console = world.console(&[site]).await;
        Scene { world, root, site, console }
    }

    async fn appliances(&self, numbers: std::ops::Range<u32>) -> Vec<(Device, Seq, Http)> {
        let devices = Device::several(numbers);
        self.world.import(&devices);
        let seqs = self.console.configure(self.site, &devices).await;
        let mut found = Vec::new();
        for (device, seq) in devices.into_iter().zip(seqs) {
            let http = device.enrol(&self.world.anybody().await, seq).await;
            found.push((device, seq, http));
        }
        found
    }

    /// Has history be written to a store from now on.
    async fn set(&self, target: Value, password: Option<&str>) -> Value {
        let body = json!({ "target": target, "password": password });
        self.root.call("PUT", PATH, Some(body), &[("if-match", "*")]).await.good()
    }

    async fn state(&self) -> Value {
        self.root.get(PATH).await.good()["state"].clone()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let state = self.state().await;
            if is_so(&state) {
                return state;
            }
            assert!(Instant::now() < end, "waited 60 s until {what}: {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn tested(&self) -> (bool, String) {
        let said = self.root.post(&format!("{PATH}/test"), json!({})).await.good();
        (said["is_delivered"] == true, said["answer"].as_str().expect("words").to_owned())
    }
}

fn said(counter: u64, seq: Seq, load: f64) -> Beat {
    let mut said = beat(1, counter, seq);
    said.values.load = load;
    said.values.counters = [("mails_passed".to_owned(), load * 100.0)].into();
    said.values.host = Some(HostValues { temperature_c: Some(41.5), ..HostValues::default() });
    said
}

async fn taken(http: &Http, beat: &Beat) {
    let _: BeatAnswer = http.post("appliances/beats", beat).await.expect("taken");
}

fn value(row: &Value) -> &str {
    row["value"][1].as_str().expect("a value")
}

#[tokio::test]
async fn victoria_metrics_has_each_beat_of_the_organisation_at_its_time() {
    let (scene, store) = (Scene::new().await, Measures::victoria(&[]));
    let appliances = scene.appliances(0..3).await;
    // From before it is set: it is not written.
    taken(&appliances[2].2, &said(1, appliances[2].1, 9.0)).await;
    let set = scene.set(json!({ "url": store.url() }), None).await;
    assert_eq!((&set["has_password"], &set["state"]["sent"]), (&json!(false), &json!(0)), "{set}");
    // An appliance of somebody else, in the same journal.
    let other = scene.world.noc.add_organisation("other", "Other").expect("added").id;
    scene
        .world
        .database()
        .execute(
            "UPDATE appliances SET organisation = ?2 WHERE uid = ?1",
            rusqlite::params![appliances[1].0.uid.0, other.0],
        )
        .expect("moved");
    for (_, seq, http) in &appliances[..2] {
        taken(http, &said(1, *seq, 0.5)).await;
    }
    let (device, seq, http) = &appliances[0];
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // What it measured ten minutes ago and could not tell then.
    let mut late = said(2, *seq, 0.75);
    let values = said(0, *seq, 0.25).values;
    late.earlier = vec![EarlierBeat { boot: late.boot, counter: 2, age_s: Some(600), time: None, values }];
    late.counter = 3;
    taken(http, &late).await;
    let state = scene.until("all is written", |state| state["sent"] == 3).await;
    assert_eq!(
        (&state["refused"], &state["lost"], &state["failing_since"], &state["waiting_since"]),
        (&json!(0), &json!(0), &Value::Null, &Value::Null),
        "{state}"
    );

    let uid = device.uid.to_string();
    // It shows what it took within a second or two.
    store.found("count_over_time(muster_appliance_load1[20m]) == 3", 1).await;
    let load = store.found("muster_appliance_load1", 1).await;
    assert_eq!(load.len(), 1, "nothing of anybody else, nor of what came before: {load:?}");
    assert_eq!(
        load[0]["metric"],
        json!({ "__name__": "muster_appliance_load1", "uid": uid, "host": "mail-001", "site": "Bern", "model": "Mail" })
    );
    let mails = store.found("muster_application_value{name=\"mails_passed\"}", 1).await;
    assert_eq!(value(&mails[0]), "75");
    let temperature = store.found("muster_appliance_temperature_celsius", 1).await;
    assert_eq!(value(&temperature[0]), "41.5");
    // Who reports, it is told of all that are expected to: also of the one of before.
    let up = store.found("count(muster_appliance_up)", 1).await;
    assert_eq!(value(&up[0]), "2");
    let all = store.found("muster_appliance_load1[20m]", 1).await;
    let values: Vec<&str> =
        all[0]["values"].as_array().expect("values").iter().map(|at| at[1].as_str().expect("a value")).collect();
    assert_eq!(values, ["0.25", "0.5", "0.75"], "in the order in which it was so");
}

#[tokio::test]
async fn what_comes_while_the_store_is_away_is_written_when_it_is_back() {
    let (scene, mut store) = (Scene::new().await, Measures::victoria(&[]));
    let appliances = scene.appliances(0..1).await;
    let (_, seq, http) = &appliances[0];
    scene.set(json!({ "url": store.url() }), None).await;
    store.end();
    taken(http, &said(1, *seq, 1.0)).await;
    let state = scene.until("it is noticed", |state| state["failing_since"].is_u64()).await;
    assert!(state["outcome"].as_str().expect("words").contains("takes no connection"), "{state}");
    assert!(state["waiting_since"].is_u64() && state["sent"] == 0, "{state}");
    store.begin();
    let state = scene.until("it is written", |state| state["sent"] == 1).await;
    assert_eq!((&state["failing_since"], &state["lost"]), (&Value::Null, &json!(0)), "{state}");
    assert_eq!(value(&store.found("muster_appliance_load1", 1).await[0]), "1");
}

#[tokio::test]
async fn prometheus_takes_it_too_and_what_it_refuses_holds_up_nothing() {
    let (scene, store) = (Scene::new().await, Measures::prometheus("global: {}\n"));
    let appliances = scene.appliances(0..1).await;
    let (_, seq, http) = &appliances[0];
    scene.set(json!({ "url": store.url() }), None).await;
    taken(http, &said(1, *seq, 0.5)).await;
    scene.until("it is written", |state| state["sent"] == 1).await;
    // Unless told otherwise it takes nothing that is older than what it has.
    let mut late = said(3, *seq, 0.75);
    let values = said(0, *seq, 0.25).values;
    late.earlier = vec![EarlierBeat { boot: late.boot, counter: 2, age_s: Some(600), time: None, values }];
    taken(http, &late).await;
    let state = scene.until("it is refused", |state| state["refused"] == 2).await;
    assert!(state["outcome"].as_str().expect("words").contains("it answered 400"), "{state}");
    taken(http, &said(4, *seq, 1.5)).await;
    let state = scene.until("it goes on", |state| state["sent"] == 2).await;
    assert_eq!(state["failing_since"], Value::Null, "{state}");
    assert_eq!(value(&store.found("muster_appliance_load1 == 1.5", 1).await[0]), "1.5");
}

#[tokio::test]
async fn a_store_asks_for_a_password_and_a_target_is_tried_before_it_is_relied_on() {
    let scene = Scene::new().await;
    let store = Measures::victoria(&["-httpAuth.username=muster", "-httpAuth.password=open sesame"]);
    assert_eq!(scene.root.post(&format!("{PATH}/test"), json!({})).await.code(), "not_found");
    scene.set(json!({ "url": store.url() }), None).await;
    let end = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        let (is_taken, words) = scene.tested().await;
        assert!(!is_taken && Instant::now() < end, "{words}");
        if words.contains("401") {
            break words;
        }
    };
    assert!(refused.contains("Check the address, user name and password."), "{refused}");
    let user = json!({ "url": store.url(), "user": "muster" });
    let set = scene.set(user.clone(), Some("open sesame")).await;
    assert_eq!(set["has_password"], true);
    assert!(!set.to_string().contains("sesame"));
    let (is_taken, words) = scene.tested().await;
    assert!(is_taken && words.starts_with("204"), "{words}");
    // It stays when it is not given again, and goes nowhere else.
    let off = json!({ "url": store.url(), "user": "muster", "enabled": false });
    assert_eq!(scene.set(off, None).await["has_password"], true);
    let other = json!({ "target": { "url": "https://127.0.0.1:1/", "user": "muster" } });
    let refused = scene.root.call("PUT", PATH, Some(other), &[("if-match", "*")]).await;
    assert!(refused.text.contains("has to be given again"), "{}", refused.text);
    scene.root.delete(PATH).await.good();
    assert_eq!(scene.root.get(PATH).await.good()["target"], Value::Null);
    let audit = scene.root.get("/v1/audit?limit=100").await.text;
    assert!(audit.contains("organisation.remote_write_end") && !audit.contains("sesame"), "{audit}");
}

#[tokio::test]
async fn an_organisations_own_people_reach_the_public_internet_only() {
    let (scene, mut receiver) = (Scene::new().await, Receiver::start(Manner::Good).await);
    scene.world.operator("anna", Some(DEFAULT), role(Some(DEFAULT), None, Role::Administrator));
    let anna = scene.root.sign_in("anna@default").await;
    let target = json!({ "target": { "url": receiver.url }, "password": "tok-en" });
    anna.call("PUT", PATH, Some(target.clone()), &[("if-match", "*")]).await.good();
    let said = anna.post(&format!("{PATH}/test"), json!({})).await.good();
    assert!(said["answer"].as_str().expect("words").contains("where nothing may be sent"), "{said}");
    // Set by the NOC's people it is reached, with the token.
    scene.root.call("PUT", PATH, Some(target), &[("if-match", "*")]).await.good();
    let (is_taken, words) = scene.tested().await;
    assert!(is_taken, "{words}");
    let received = receiver.next().await;
    let header = |name: &str| received.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("authorization"), "Bearer tok-en");
    assert_eq!(
        (header("content-encoding"), header("content-type")),
        ("snappy".into(), "application/x-protobuf".into())
    );
    assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noc_that_is_killed_writes_every_beat_that_it_took() {
    let mut noc = Served::stopped();
    noc.environment.push(("MUSTER_NOC_CHANNEL_NETWORKS", "127.0.0.1/32".to_owned()));
    let site = noc.site();
    let (device, store) = (Device::new(0), Measures::victoria(&[]));
    noc.import(std::slice::from_ref(&device));
    noc.good(&["organisation", "remote-write", "set", "default", "--url", &store.url()]);
    noc.serve(&[]);
    let console = noc.console(site).await;
    let seq = console.configure(site, std::slice::from_ref(&device)).await[0];
    let http = device.enrol(&noc.anybody(site).await, seq).await;
    let mut beats = 0;
    for kill in 0..8_u64 {
        beats += 1;
        let said = Beat { boot: muster_protocol::id::BootId([2; 16]), ..said(beats, seq, 1.0) };
        taken(&http, &said).await;
        // Before it is sent, while it is, and after; the next beat is another second's.
        tokio::time::sleep(Duration::from_millis(kill * 83 % 500)).await;
        noc.cut_power();
        noc.serve(&[]);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = noc.json(&["organisation", "remote-write", "show", "default"]);
        // More than there are: what was sent when the power went is sent again.
        if shown["state"]["waiting_since"].is_null() && shown["state"]["sent"].as_u64() >= Some(beats) {
            break;
        }
        assert!(Instant::now() < end, "{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let found = store.found("muster_appliance_uptime_seconds[1h]", 1).await;
    let told: std::collections::BTreeSet<u64> = found[0]["values"]
        .as_array()
        .expect("values")
        .iter()
        .map(|at| at[1].as_str().and_then(|value| value.parse().ok()).expect("a number"))
        .collect();
    assert_eq!(told, (1..=beats).collect());
}

/// Every query of a dashboard, its variables put in as Grafana does when all is chosen.
fn queries(board: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut found = Vec::new();
    for panel in board["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    for variable in board["templating"]["list"].as_array().expect("variables") {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect("label_values");
        let (series, label) = inner.rsplit_once(", ").expect("a series and a label");
        found.push((text(&variable["name"]), format!("count by ({label}) ({series})")));
    }
    let mut names: Vec<String> =
        board["templating"]["list"].as_array().expect("variables").iter().map(|v| text(&v["name"])).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for (_, query) in &mut found {
        *query = query.replace("$__rate_interval", "5m");
        for name in &names {
            *query = query.replace(&format!("${name}"), ".*");
        }
        assert!(!query.contains('$'), "a variable that is not there: {query}");
    }
    found
}

#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something() {
    let board = include_str!("../../../docs/grafana/muster.json");
    let board: Value = serde_json::from_str(board).expect("JSON");
    let (scene, store) = (Scene::new().await, Measures::victoria(&[]));
    let appliances = scene.appliances(0..2).await;
    scene.set(json!({ "url": store.url() }), None).await;
    for counter in 1..=2 {
        for (_, seq, http) in &appliances {
            let mut said = said(counter, *seq, counter as f64);
            (said.values.disk_percent, said.values.disk_free) = (95.0, 1_000 - counter);
            taken(http, &said).await;
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    scene.until("all is written", |state| state["sent"] == 4).await;
    let queries = queries(&board);
    assert_eq!(queries.len(), 18, "14 panels and four variables");
    for (title, query) in queries {
        // Nobody is silent here: this one is good when it reads.
        let rows = usize::from(title != "Who does not report");
        store.found(&query, rows).await;
        let answer = store.asked("/api/v1/query", &[("query", &query)]).await.expect("an answer");
        assert_eq!(answer["status"], "success", "{title}: {query}: {answer}");
    }
    let disks = store.found("count(muster_appliance_disk_used_ratio > 0.9)", 1).await;
    assert_eq!(value(&disks[0]), "2");
}
