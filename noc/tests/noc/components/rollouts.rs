//! Roll-outs in waves, with a real NOC and appliances that say what a real one would.

use super::*;
use crate::api::Api;
use muster_noc::{RolloutState, RolloutView, Share, Waves};
use muster_protocol::beat_watch::{Rules, Timing};
use std::time::{Duration, Instant};

/// An appliance that installs what its plan names, unless that is broken.
struct Unit {
    seq: Seq,
    http: Http,
    uid: String,
    counter: u64,
    has: Option<String>,
    failed: Option<String>,
}

impl Unit {
    /// One beat, and what follows from its answer. It says what it has, with the next.
    async fn beat(&mut self, broken: &str) {
        self.counter += 1;
        let mut said = beat(1, self.counter, self.seq);
        let report = |version: &String, state, problem: Option<&str>| ComponentReport {
            name: "filter".into(),
            version: version.clone(),
            state,
            running: self.has.clone(),
            percent: None,
            problem: problem.map(str::to_owned),
        };
        said.values.components = match (&self.failed, &self.has) {
            (Some(version), _) => vec![report(version, ComponentState::Failed, Some("unhealthy: it ended with 1"))],
            (None, Some(version)) => vec![report(version, ComponentState::Installed, None)],
            (None, None) => Vec::new(),
        };
        let answer: BeatAnswer = self.http.post("appliances/beats", &said).await.expect("taken");
        let plan = plan(&self.http).await;
        assert_eq!(answer.work.components.is_some(), plan.root.is_some());
        if let Some(wanted) = plan.components.first().map(|component| component.version.clone()) {
            self.failed = (wanted == broken).then(|| wanted.clone());
            if wanted != broken {
                self.has = Some(wanted);
            }
        }
    }
}

struct Field {
    world: World,
    site: Site,
    units: Vec<Unit>,
    broken: &'static str,
    /// These say nothing.
    silent: Vec<String>,
}

impl Field {
    /// Ten appliances, of which each is well and has version 1.
    async fn new(rules: Rules) -> Field {
        let world = World::with("", rules).await;
        repository(&world.noc);
        for version in ["1", "2", "3"] {
            add(&world.noc, &world, spec(None, "filter", version), format!("#!{version}").as_bytes());
        }
        world.noc.promote_component(None, "filter", "1", ReleaseChannel::Stable).expect("promoted");
        let (site, fleet) = fleet(&world, 0..10).await;
        let unit = |(device, seq, http): (Device, Seq, Http)| {
            let uid = device.uid.to_string();
            Unit { seq, http, uid, counter: 0, has: None, failed: None }
        };
        let units = fleet.into_iter().map(unit).collect();
        let mut field = Field { world, site, units, broken: "", silent: Vec::new() };
        field.require(Some(ReleaseChannel::Stable), None, None);
        field.until(|field| field.with("1") == 10).await;
        let well = || {
            let sql = "SELECT count(*) FROM appliances WHERE health = 'well'";
            field.world.database().query_row(sql, [], |row| row.get::<_, u32>(0)).expect("read") == 10
        };
        while !well() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        field
    }

    fn require(&self, channel: Option<ReleaseChannel>, version: Option<&str>, waves: Option<Waves>) {
        let line = Required { waves, ..required("filter", channel, version) };
        self.world.noc.set_organisation_components(OrganisationId(1), policy(vec![line])).expect("kept");
    }

    /// Beats go on until something is so.
    async fn until(&mut self, is_so: impl Fn(&Field) -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            let Field { units, silent, broken, .. } = self;
            for unit in units.iter_mut().filter(|unit| !silent.contains(&unit.uid)) {
                unit.beat(broken).await;
            }
            if is_so(self) {
                return;
            }
            assert!(Instant::now() < end, "it did not happen in time: {:?}", self.world.noc.rollouts(false));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn with(&self, version: &str) -> usize {
        self.units.iter().filter(|unit| unit.has.as_deref() == Some(version)).count()
    }

    fn rollout(&self, id: i64) -> RolloutView {
        self.world.noc.rollout(id).expect("there")
    }

    fn is(&self, id: i64, state: RolloutState) -> bool {
        self.rollout(id).state == state
    }

    /// What was recorded of roll-outs, in its order.
    fn recorded(&self, id: i64) -> Vec<String> {
        let mut actions = Vec::new();
        let each = |record: muster_noc::Record| {
            if record.subject == format!("rollout:{id}") {
                actions.push(record.action);
            }
            true
        };
        self.world.noc.each_audit(each).expect("read");
        actions
    }

    async fn restart(self) -> Field {
        let Field { world, site, units, broken, silent } = self;
        let world = world.restart().await;
        for unit in &units {
            unit.http.reconnect().await;
        }
        Field { world, site, units, broken, silent }
    }
}

fn waves(shares: &[&str], halt_at: &str) -> Waves {
    let share = |text: &str| text.parse::<Share>().expect("a share");
    let waves = Waves::of(shares.iter().map(|text| share(text)).collect());
    Waves { soak_s: 2, halt_at: share(halt_at), ..waves }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waves_go_on_by_themselves_also_through_a_restart_and_each_begins_once() {
    let mut field = Field::new(Rules::default()).await;
    field.require(None, Some("2"), Some(waves(&["1%", "3", "50%", "100%"], "0")));
    assert_eq!(field.rollout(1).former.as_deref(), Some("1"));
    field.until(|field| field.rollout(1).wave >= 1 && field.with("2") >= 1).await;
    assert_eq!(field.with("2"), 1);
    let first: Vec<_> =
        field.units.iter().filter(|unit| unit.has.as_deref() == Some("2")).map(|u| u.uid.clone()).collect();
    field.until(|field| field.rollout(1).wave >= 2 && field.with("2") >= 3).await;
    let shown = field.rollout(1);
    let reached: Vec<_> = shown.waves.iter().map(|wave| (wave.begun, wave.well + wave.waiting)).collect();
    assert_eq!(reached, [(true, 1), (true, 2), (false, 0), (false, 0)], "{shown:?}");
    // In the middle of it, with the first appliances as they were.
    let mut field = field.restart().await;
    assert!(field.units.iter().any(|unit| unit.uid == first[0] && unit.has.as_deref() == Some("2")));
    field.until(|field| field.rollout(1).wave >= 3 && field.with("2") >= 5).await;
    field.until(|field| field.is(1, RolloutState::Done)).await;
    field.until(|field| field.with("2") == 10).await;
    let done = field.rollout(1);
    let well: Vec<_> = done.waves.iter().map(|wave| wave.well).collect();
    assert_eq!((well.as_slice(), done.failures.len(), done.ended.is_some()), (&[1, 2, 2, 5][..], 0, true));
    let mut actions = vec!["rollout.begin"];
    actions.extend(["rollout.wave"; 4]);
    actions.push("rollout.done");
    assert_eq!(field.recorded(1), actions);
    // The same said again is nothing new, and what is left of it goes.
    field.require(None, Some("2"), Some(waves(&["1%", "3", "50%", "100%"], "0")));
    field
        .until(|field| {
            let sql = "SELECT count(*) FROM component_rollout_appliances";
            field.world.database().query_row(sql, [], |row| row.get::<_, u32>(0)).expect("read") == 0
        })
        .await;
    assert_eq!(field.world.noc.rollouts(false).expect("read"), std::slice::from_ref(&done));
    assert!(field.world.noc.rollouts(true).expect("read").is_empty());
    let over = field.world.noc.halt_rollout(1).expect_err("over");
    assert_eq!(muster_noc::AsProblem::problem(&over).code, "rollout_over");
    let unknown = field.world.noc.take_rollout_back(7).expect_err("none");
    assert_eq!(muster_noc::AsProblem::problem(&unknown).code, "rollout_unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_halt_a_roll_out_and_people_go_on_or_back() {
    let mut field = Field::new(Rules::default()).await;
    field.broken = "2";
    field.require(None, Some("2"), Some(waves(&["2", "100%"], "1")));
    field.until(|field| field.is(1, RolloutState::Halted)).await;
    let halted = field.rollout(1);
    assert_eq!(halted.why, "2 of 2 appliances of wave 1 failed; at most 1 may");
    assert_eq!((halted.wave, halted.waves[0].failed, halted.failures.len()), (1, 2, 2));
    assert_eq!(halted.failures[0].why, "unhealthy: it ended with 1");
    assert_eq!(field.recorded(1), ["rollout.begin", "rollout.wave", "rollout.halt"]);
    // It stays so, whatever time goes by, and through a restart.
    let mut field = field.restart().await;
    for _ in 0..3 {
        field.until(|_| true).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!((field.rollout(1).wave, field.with("1")), (1, 10));
    // By the interface: who saw another wave does nothing; then it goes on without those, and fails once more.
    let root = field.world.administrator().await;
    let path = "/v1/components/rollouts/1";
    assert_eq!(root.post(&format!("{path}/continue"), json!({ "wave": 0 })).await.code(), "rollout_moved");
    assert_eq!(root.post(&format!("{path}/continue"), json!({})).await.code(), "malformed");
    let on = root.post(&format!("{path}/continue"), json!({ "wave": 1 })).await.good();
    assert_eq!((&on["state"], &on["waves"][0]["excused"], &on["why"]), (&json!("running"), &json!(2), &json!("")));
    field.until(|field| field.is(1, RolloutState::Halted)).await;
    assert_eq!(field.rollout(1).wave, 2);
    assert!(field.rollout(1).why.contains("appliances of wave 2 failed; at most 1 may"), "{}", field.rollout(1).why);
    let back = root.post(&format!("{path}/back"), json!({})).await.good();
    assert_eq!(back["state"], "back");
    field.until(|field| field.units.iter().all(|unit| unit.failed.is_none())).await;
    // What is required is what was required before.
    let said = field.world.noc.organisation_components(OrganisationId(1)).expect("read");
    assert_eq!(said, policy(vec![required("filter", Some(ReleaseChannel::Stable), None)]));
    assert_eq!(root.post(&format!("{path}/halt"), json!({})).await.code(), "rollout_over");
    let told = ["rollout.begin", "rollout.wave", "rollout.halt", "rollout.continue", "rollout.wave", "rollout.halt"];
    assert_eq!(field.recorded(1), [&told[..], &["rollout.back"]].concat());
    let listed = root.get("/v1/components/rollouts?open=false&organisation=1").await.good();
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["id"]), (Some(1), &json!(1)));
    assert_eq!(root.get("/v1/components/rollouts?open=true").await.good()["items"], json!([]));
    let of_site = format!("/v1/components/rollouts?site={}", field.site.id);
    assert_eq!(root.get(&of_site).await.good()["items"], json!([]), "the site says nothing by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_moves_goes_out_in_waves_to_those_who_follow_it_so() {
    let mut field = Field::new(Rules::default()).await;
    let noc = &field.world.noc;
    let stable = Some(ReleaseChannel::Stable);
    // Nothing is new yet, so nothing goes out.
    let slow = Waves { soak_s: 3_600, ..waves(&["2", "100%"], "0") };
    field.require(stable, None, Some(slow.clone()));
    assert!(noc.rollouts(false).expect("read").is_empty());
    noc.promote_component(None, "filter", "2", ReleaseChannel::Stable).expect("promoted");
    field.until(|field| field.with("2") == 2).await;
    let root = field.world.administrator().await;
    assert_eq!(standing_versions(&root).await, (2, 8), "what is required of each is what it shall have");
    // Without waiting for it to soak.
    field.world.noc.continue_rollout(1, 1).expect("pushed");
    field.until(|field| field.is(1, RolloutState::Running) && field.with("2") == 10).await;
    field.until(|field| field.rollout(1).waves[1].well == 8).await;
    // Another one takes its place. Nobody goes back on the way.
    field.world.noc.promote_component(None, "filter", "3", ReleaseChannel::Stable).expect("promoted");
    assert!(field.is(1, RolloutState::Replaced));
    field.until(|field| field.with("3") == 2).await;
    assert_eq!(field.with("2"), 8);
    // Shorter times count at once.
    field.require(stable, None, Some(Waves { soak_s: 1, ..slow.clone() }));
    field.until(|field| field.rollout(2).wave == 2).await;
    field.world.noc.take_rollout_back(2).expect("back");
    field.until(|field| field.with("1") == 10).await;
    let said = field.world.noc.organisation_components(OrganisationId(1)).expect("read");
    assert_eq!(said.required[0].channel, stable, "the line stays, and the channel still leads to 3");
    // Through a restart, and another beat, too.
    let mut field = field.restart().await;
    field.until(|field| field.with("1") == 10).await;
    // The channel leads elsewhere: a roll-out of its own.
    field.world.noc.promote_component(None, "filter", "2", ReleaseChannel::Stable).expect("promoted");
    field.until(|field| field.rollout(3).wave >= 1 && field.with("2") >= 2).await;
    // And back to what all had: at once.
    field.world.noc.promote_component(None, "filter", "1", ReleaseChannel::Stable).expect("promoted");
    field.until(|field| field.with("1") == 10).await;
    assert_eq!(field.world.noc.rollouts(false).expect("read").len(), 3);
    // What is retired goes no further.
    field.require(None, Some("3"), Some(slow));
    field.until(|field| field.rollout(4).wave == 1).await;
    field.world.noc.retire_component(None, "filter", "3").expect("retired");
    field.world.noc.continue_rollout(4, 1).expect("pushed");
    field.until(|field| field.is(4, RolloutState::Halted)).await;
    assert_eq!(field.rollout(4).why, "filter 3 was retired");
    // Without waves it is for all at once.
    field.require(None, Some("2"), None);
    assert!(field.is(4, RolloutState::Replaced));
    field.until(|field| field.with("2") == 10).await;
}

/// How many appliances shall have version 2, and version 1.
async fn standing_versions(api: &Api) -> (usize, usize) {
    let found = api.get("/v1/components/standings").await.good()["items"].clone();
    let count = |version: &str| {
        let is_it = |appliance: &&serde_json::Value| appliance["components"][0]["version"] == version;
        found.as_array().expect("rows").iter().filter(is_it).count()
    };
    (count("2"), count("1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_falls_silent_after_it_counts_as_failed_and_who_was_silent_before_does_not() {
    let timing = Timing { grace_ms: Some(0), miss_intervals: 1, ..Timing::default() };
    let mut field = Field::new(Rules { timing, ..Rules::default() }).await;
    let gone = field.units[0].uid.clone();
    let health = |field: &Field, uid: &str, wanted: &str| {
        let sql = "SELECT uid, health FROM appliances";
        let db = field.world.database();
        let mut statement = db.prepare(sql).expect("reads");
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, [u8; 20]>(0)?, row.get::<_, String>(1)?));
        let found = statement.query_map([], read).expect("rows");
        found
            .map(|row| row.expect("a row"))
            .any(|(id, is)| muster_protocol::id::Uid(id).to_string() == uid && is == wanted)
    };
    field.silent.push(gone.clone());
    field.until(|field| health(field, &gone, "silent")).await;
    let patient = Waves { soak_s: 3_600, ..waves(&["100%"], "0") };
    field.require(None, Some("2"), Some(patient));
    field.until(|field| field.with("2") == 9).await;
    field.until(|field| field.rollout(1).waves[0].well == 9).await;
    assert_eq!((field.rollout(1).waves[0].absent, field.rollout(1).state), (1, RolloutState::Running));
    let next = field.units.iter().find(|unit| unit.uid != gone).expect("another").uid.clone();
    field.silent.push(next.clone());
    field.until(|field| field.is(1, RolloutState::Halted)).await;
    let halted = field.rollout(1);
    assert_eq!(halted.why, "1 of 9 appliances of wave 1 failed; at most 0 may");
    assert_eq!(
        (halted.failures[0].uid.as_str(), halted.failures[0].why.as_str()),
        (next.as_str(), "it does not beat any more")
    );
    // Both are back, and well: people go on.
    field.silent.clear();
    field.until(|field| field.rollout(1).waves[0].well == 10).await;
    field.world.noc.continue_rollout(1, 1).expect("goes on");
    field.require(None, Some("2"), Some(waves(&["100%"], "0")));
    field.until(|field| field.is(1, RolloutState::Done)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_install_in_time_counts_as_failed() {
    let mut field = Field::new(Rules::default()).await;
    let short = Waves { within_s: 1, soak_s: 1, ..waves(&["3", "100%"], "0") };
    // For too short a time to be silent.
    for unit in &field.units {
        field.silent.push(unit.uid.clone());
    }
    field.require(None, Some("2"), Some(short));
    field.until(|field| field.is(1, RolloutState::Halted)).await;
    let halted = field.rollout(1);
    assert_eq!((halted.waves[0].failed, halted.failures[0].why.as_str()), (3, "it did not install it in time"));
}

#[tokio::test]
async fn what_cannot_go_out_in_waves_is_refused_with_its_reason() {
    let world = World::new().await;
    repository(&world.noc);
    add(&world.noc, &world, spec(None, "filter", "1"), b"#!1");
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let login =
        world.operator("anna", Some(OrganisationId(1)), role(Some(OrganisationId(1)), None, Role::Administrator));
    let anna = Api::anybody(&world).await.sign_in(&login).await;
    let path = format!("/v1/sites/{}/components", site.id);
    let put = async |line: serde_json::Value| {
        anna.call("PUT", &path, Some(json!({ "required": [line] })), &[("if-match", "*")]).await
    };
    for (waves, field) in [
        (json!({ "waves": ["10%"] }), "waves"),
        (json!({ "waves": ["10%", "5%", "100%"] }), "waves"),
        (json!({ "waves": [] }), "waves"),
        (json!({ "waves": ["100%"], "soak_s": 0 }), "soak_s"),
        (json!({ "waves": ["100%"], "within_s": 99_999_999 }), "within_s"),
    ] {
        let reply = put(json!({ "name": "filter", "version": "1", "waves": waves })).await;
        let named = reply.json()["faults"][0]["field"].as_str().map(str::to_owned);
        assert_eq!((reply.code().as_str(), named.as_deref()), ("component_invalid", Some(field)), "{waves}");
    }
    let waves = json!({ "waves": ["1%", "100%"] });
    let unknown = put(json!({ "name": "filter", "version": "2", "waves": waves })).await;
    assert_eq!(unknown.code(), "component_invalid");
    assert!(unknown.text.contains("2 of filter is not there: add it before"), "{}", unknown.text);
    let nothing = put(json!({ "name": "filter", "waves": waves })).await;
    assert!(nothing.text.contains("are for a `channel` or a `version`"), "{}", nothing.text);
    let unread = put(json!({ "name": "filter", "version": "1", "waves": { "waves": ["many"] } })).await;
    assert_eq!(unread.code(), "malformed");
    // What can goes out, and with nobody to reach it is through at once.
    put(json!({ "name": "filter", "version": "1", "waves": waves })).await.good();
    while world.noc.rollout(1).expect("there").state != RolloutState::Done {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let shown = anna.get("/v1/components/rollouts/1").await.good();
    assert_eq!((&shown["site"], &shown["former"], &shown["soak_s"]), (&json!(site.id), &json!(null), &json!(1_800)));
    assert_eq!(anna.get("/v1/components/rollouts/9").await.code(), "not_found");
}
