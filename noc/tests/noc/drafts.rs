//! Versions of configurations, the way back, and drafts of changes of many appliances.

use crate::work::{Bench, failed};
use crate::world::{Device, Http, World, beat, spec};
use muster_noc::{
    AsProblem, DraftChanges, DraftError, DraftRowSpec, DraftRowState, DraftSpec, DraftState, Edit, VersionState,
};
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::instruction::Act;
use serde_json::json;
use std::collections::BTreeMap;

/// Appliances of a site that are configured; each may beat.
struct Fleet {
    world: World,
    site: Site,
    appliances: Vec<Beating>,
}

struct Beating {
    uid: Uid,
    http: Http,
    seq: Seq,
    counter: u64,
}

impl Fleet {
    async fn new(count: u32) -> Fleet {
        let world = World::new().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99");
        let devices = Device::several(0..count);
        world.import(&devices);
        let seqs = world.console(&[site.id]).await.configure(site.id, &devices).await;
        let mut appliances = Vec::new();
        for (device, seq) in devices.iter().zip(seqs) {
            let http = device.enrol(&world.anybody().await, seq).await;
            appliances.push(Beating { uid: device.uid, http, seq, counter: 0 });
        }
        Fleet { world, site, appliances }
    }

    /// The appliance beats until it has what waits for it, as one that takes it does.
    async fn take(&mut self, at: usize) {
        let appliance = &mut self.appliances[at];
        for _ in 0..2 {
            appliance.counter += 1;
            let answer: BeatAnswer = appliance
                .http
                .post("appliances/beats", &beat(1, appliance.counter, appliance.seq))
                .await
                .expect("taken");
            let Some(grant) = answer.work.grant else { return };
            appliance.seq = grant.seq;
        }
    }

    fn edit(&self, title: &str, edit: Edit, uids: Vec<Uid>) -> Result<muster_noc::DraftView, DraftError> {
        self.draft(title, DraftChanges::Edit { edit, uids })
    }

    fn draft(&self, title: &str, changes: DraftChanges) -> Result<muster_noc::DraftView, DraftError> {
        self.world.noc.draft(DraftSpec { sites: vec![self.site.id], title: title.into(), changes })
    }

    fn settings(&self, at: usize) -> muster_protocol::parameters::RawSettings {
        self.world.noc.appliance(&self.appliances[at].uid).expect("known").record.settings.expect("settings")
    }

    fn states(&self, id: u32) -> BTreeMap<DraftRowState, u32> {
        self.world.noc.show_draft(id).expect("shown").0.rows
    }
}

fn dns(address: &str) -> Edit {
    Edit { dns1: Some(address.into()), ..Edit::default() }
}

#[tokio::test]
async fn every_version_is_kept_with_who_when_why_and_what_became_of_it_and_any_comes_back() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let uid = bench.uid();
    let change = |address: &str, why: &str| {
        let edit = Edit { address: Some(address.into()), ..Edit::default() };
        noc.change_because(&uid, edit, why).expect("given").given.expect("given").seq
    };
    let second = change("192.0.2.80", "the printer wants .10");
    bench.beat().await;
    bench.seq = second;
    bench.beat().await;
    let third = change("192.0.2.81", "");
    bench.beat().await;
    bench.beat_with(failed(third, "address_conflict")).await;

    let versions = noc.versions(&bench.uid(), 10).expect("listed");
    let shown: Vec<_> = versions
        .iter()
        .map(|v| (v.version, v.settings.address.as_str(), v.state, v.is_in_force, v.changes.clone(), v.why.as_str()))
        .collect();
    let (applied, all) = (VersionState::Applied, vec!["host_name", "domain", "address", "netmask", "gateway", "dns1"]);
    let wanted = [
        (3, "192.0.2.81", VersionState::Failed, false, vec!["address"], ""),
        (2, "192.0.2.80", applied, true, vec!["address"], "the printer wants .10"),
        (1, "192.0.2.10", applied, false, all, ""),
    ];
    assert_eq!(shown, wanted);
    assert_eq!((versions[0].reason.as_str(), versions[0].who.as_str()), ("address_conflict", "local"));
    assert_eq!(versions[2].who, format!("console:{}", bench.console.enrolled.console));
    assert!(versions.iter().all(|v| v.signed > 1_700_000_000 && v.decided >= Some(v.signed)));

    let back = noc.roll_back(&bench.uid(), 1, "the printer moved").expect("given").given.expect("given").seq;
    bench.beat().await;
    bench.seq = back;
    bench.beat().await;
    assert_eq!(bench.address().await, "192.0.2.10");
    let newest = noc.versions(&bench.uid(), 1).expect("listed").remove(0);
    assert_eq!((newest.version, newest.why.as_str()), (4, "back to version 1: the printer moved"));
    let code = |refused: Result<muster_noc::ApplianceDetail, muster_noc::WorkError>| {
        refused.expect_err("refused").problem().code
    };
    assert_eq!(code(noc.roll_back(&bench.uid(), 9, "")), "unknown_version");
    assert_eq!(code(noc.roll_back(&bench.uid(), 1, "")), "no_change");
    assert_eq!(code(noc.roll_back(&bench.uid(), 2, &"x".repeat(257))), "bad_reason");

    // What was is known after the appliance has left.
    let serial = noc.instruct(&bench.uid(), Act::Decommission).expect("told").serial;
    bench.beat().await;
    bench.beat_with(crate::work::accepted(serial, "")).await;
    assert_eq!(noc.appliance(&bench.uid()).expect("known").record.provisioning, Provisioning::Decommissioned);
    assert_eq!(noc.versions(&bench.uid(), 10).expect("listed").len(), 4);
}

#[tokio::test]
async fn a_draft_changes_nothing_until_it_is_applied_and_then_each_gets_it_when_it_comes() {
    let mut fleet = Fleet::new(4).await;
    let draft = fleet.edit("other name server", dns("192.0.2.54"), vec![]).expect("made");
    assert_eq!(draft.rows, BTreeMap::from([(DraftRowState::Proposed, 4)]));
    let (_, difference) = fleet.world.noc.show_draft(draft.id).expect("shown");
    let line = &difference.lines[0];
    assert_eq!(
        (line.column, line.before.as_str(), line.after.as_str(), line.appliances),
        ("dns1", "192.0.2.53", "192.0.2.54", 4)
    );
    fleet.take(0).await;
    assert_eq!(fleet.settings(0).dns1, "192.0.2.53", "nothing is changed by a draft");

    let applied = fleet.world.noc.apply_draft(draft.id).expect("applied");
    assert_eq!((applied.state, applied.rows), (DraftState::Applied, BTreeMap::from([(DraftRowState::Waiting, 4)])));
    fleet.take(0).await;
    fleet.take(1).await;
    // One is told and fails.
    let appliance = &mut fleet.appliances[2];
    appliance.counter += 1;
    let answer: BeatAnswer =
        appliance.http.post("appliances/beats", &beat(1, appliance.counter, appliance.seq)).await.expect("taken");
    let seq = answer.work.grant.expect("a grant").seq;
    assert_eq!(fleet.states(draft.id)[&DraftRowState::Given], 1);
    let appliance = &mut fleet.appliances[2];
    appliance.counter += 1;
    let report = Beat { work: failed(seq, "no_beat"), ..beat(1, appliance.counter, appliance.seq) };
    let _: BeatAnswer = appliance.http.post("appliances/beats", &report).await.expect("taken");
    let states = fleet.states(draft.id);
    let wanted = [(DraftRowState::Waiting, 1), (DraftRowState::InForce, 2), (DraftRowState::Failed, 1)];
    assert_eq!(states, BTreeMap::from(wanted));
    assert_eq!((fleet.settings(0).dns1.as_str(), fleet.settings(3).dns1.as_str()), ("192.0.2.54", "192.0.2.53"));
    let rows = fleet.world.noc.draft_rows(draft.id).expect("rows");
    assert_eq!((rows[2].reason.as_str(), rows[2].version, rows[0].changes.clone()), ("no_beat", Some(2), vec!["dns1"]));
    let version = fleet.world.noc.versions(&fleet.appliances[0].uid, 1).expect("listed").remove(0);
    assert_eq!(version.why, "other name server");

    // The last one is away for longer than a grant is good: what waits for it is signed anew before it is over.
    fleet
        .world
        .database()
        .execute("UPDATE grants SET expires = unixepoch() + 60 WHERE configured IS NULL", [])
        .expect("soon");
    fleet.world = fleet.world.restart().await;
    let renewed = || {
        let versions = fleet.world.noc.versions(&fleet.appliances[3].uid, 9).expect("listed");
        versions.len() == 3 && versions[0].why == "other name server"
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !renewed() {
        assert!(std::time::Instant::now() < deadline, "it is signed anew");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fleet.take(3).await;
    assert_eq!(fleet.settings(3).dns1, "192.0.2.54");
    assert_eq!(fleet.states(draft.id)[&DraftRowState::InForce], 3);
}

#[tokio::test]
async fn a_draft_that_does_not_fit_any_more_changes_nobody() {
    let mut fleet = Fleet::new(3).await;
    let uids: Vec<Uid> = fleet.appliances.iter().map(|one| one.uid).collect();
    let row = |at: usize, address: &str| DraftRowSpec {
        uid: uids[at],
        edit: Edit { address: Some(address.into()), ..Edit::default() },
    };
    let rows = |rows: Vec<DraftRowSpec>| DraftChanges::Rows { rows };
    let moves = fleet.draft("move", rows(vec![row(0, "192.0.2.61"), row(1, "192.0.2.62")])).expect("made");
    let stale = fleet.edit("stale", dns("192.0.2.54"), vec![]).expect("made");
    let taken = fleet.draft("taken", rows(vec![row(0, "192.0.2.60"), row(1, "192.0.2.12")])).expect("made");

    let refused = fleet.world.noc.apply_draft(taken.id).expect_err("held by the third");
    assert!(matches!(refused, DraftError::Refused { count: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("192.0.2.12 is held by mail-003"), "{refused}");
    let given = |at: usize| fleet.world.noc.appliance(&uids[at]).expect("known").given;
    assert!(given(0).is_none() && given(1).is_none(), "none was changed");
    assert_eq!(fleet.world.noc.versions(&uids[0], 9).expect("listed").len(), 1);
    let (refused_draft, _) = fleet.world.noc.show_draft(taken.id).expect("shown");
    assert_eq!(refused_draft.state, DraftState::Open);

    // What is in force is held until something else is: in between two would have the same.
    let exchange = fleet.draft("exchange", rows(vec![row(0, "192.0.2.11"), row(1, "192.0.2.10")])).expect("made");
    assert!(matches!(fleet.world.noc.apply_draft(exchange.id), Err(DraftError::Refused { count: 2, .. })));

    fleet.world.noc.apply_draft(moves.id).expect("applied");
    fleet.take(0).await;
    fleet.take(1).await;
    assert_eq!((fleet.settings(0).address.as_str(), fleet.settings(1).address.as_str()), ("192.0.2.61", "192.0.2.62"));
    assert_eq!(fleet.states(stale.id), BTreeMap::from([(DraftRowState::Proposed, 1), (DraftRowState::Stale, 2)]));
    let refused = fleet.world.noc.apply_draft(stale.id).expect_err("others had changed it");
    assert!(refused.to_string().contains("was changed since the draft was made"), "{refused}");
    assert_eq!(refused.problem().code, "draft_refused");
    fleet.world.noc.discard_draft(stale.id).expect("discarded");
    let code = |refused: Result<muster_noc::DraftView, DraftError>| refused.expect_err("refused").problem().code;
    assert_eq!(code(fleet.world.noc.apply_draft(stale.id)), "draft_decided");
    assert_eq!(code(fleet.world.noc.discard_draft(moves.id)), "draft_decided");
    assert_eq!(code(fleet.world.noc.apply_draft(99)), "unknown_draft");
    assert_eq!(code(fleet.edit("same", dns("192.0.2.53"), vec![])), "draft_empty");
    assert_eq!(code(fleet.edit(" ", dns("192.0.2.54"), vec![])), "bad_title");
    assert_eq!(code(fleet.edit("stranger", dns("192.0.2.54"), vec![Device::new(77).uid])), "draft_row");
    assert_eq!(code(fleet.draft("twice", rows(vec![row(2, "192.0.2.71"), row(2, "192.0.2.72")]))), "draft_row");
    assert_eq!(code(fleet.draft("as it is", rows(vec![row(2, "192.0.2.12")]))), "draft_row");
    let elsewhere = DraftSpec { sites: vec![SiteId(99)], title: "x".into(), changes: DraftChanges::Policy {} };
    assert_eq!(code(fleet.world.noc.draft(elsewhere)), "unknown_site");
}

#[tokio::test]
async fn a_change_of_policy_reaches_configured_appliances_by_a_draft() {
    let mut fleet = Fleet::new(2).await;
    let root = fleet.world.administrator().await;
    let other = muster_noc::SiteSpec { name: "Bern".into(), domain: "other.example".into(), ..spec() };
    fleet.world.noc.update_site(fleet.site.id, other).expect("changed");
    let body = json!({ "sites": [fleet.site.id], "title": "new domain", "changes": { "policy": {} } });
    let made = root.call("POST", "/v1/drafts", Some(body.clone()), &[("idempotency-key", "d1")]).await;
    let path = made.header("location").to_owned();
    assert_eq!(made.status.as_u16(), 201);
    let again = root.call("POST", "/v1/drafts", Some(body.clone()), &[("idempotency-key", "d1")]).await;
    assert_eq!(again.header("location"), path);
    let shown = root.get(&path).await.good();
    assert_eq!(shown["draft"]["rows"], json!({ "proposed": 2 }));
    let line = json!({ "column": "domain", "before": "example.net", "after": "other.example", "appliances": 2 });
    assert_eq!(shown["difference"], json!({ "lines": [line], "more": 0 }));
    let page = root.get(&format!("{path}/rows?limit=1")).await.good();
    assert_eq!((page["items"][0]["state"].clone(), page["next"].is_string()), (json!("proposed"), true));
    let applied = root.post(&format!("{path}/apply"), json!({})).await.good();
    assert_eq!(applied["rows"], json!({ "waiting": 2 }));
    for at in 0..2 {
        fleet.take(at).await;
        assert_eq!(fleet.settings(at).domain, "other.example");
    }
    assert_eq!(root.get("/v1/drafts").await.good()["items"][0]["rows"], json!({ "in_force": 2 }));
    assert_eq!(root.post("/v1/drafts", body).await.code(), "draft_empty", "everybody has it");
    assert_eq!(root.post(&format!("{path}/apply"), json!({})).await.code(), "draft_decided");

    let uid = fleet.appliances[0].uid;
    let versions = root.get(&format!("/v1/appliances/{uid}/versions")).await.good();
    let newest = &versions["items"][0];
    assert_eq!((newest["why"].clone(), newest["changes"].clone()), (json!("new domain"), json!(["domain"])));
    assert!(newest["who"].as_str().expect("text").starts_with("operator:"), "{newest}");
    let back = format!("/v1/appliances/{uid}/rollback");
    root.post(&back, json!({ "version": 1, "why": "too early" })).await.good();
    fleet.take(0).await;
    assert_eq!(fleet.settings(0).domain, "example.net");
    assert_eq!(root.post(&back, json!({ "version": 44 })).await.code(), "unknown_version");
    let records = root.get("/v1/audit?action=draft.").await.good();
    let actions: Vec<_> = records["items"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, [json!("draft.apply"), json!("draft.make")]);
}
