//! Components: the repository as a client of The Update Framework finds it, who gets which, and what is made of what they say.

mod client;
mod program;
mod rollouts;
mod vendors;

use crate::api::{Api, role};
use crate::world::{Device, Http, World, beat, code};
use client::Tuf;
use muster_noc::{
    ComponentKind, ComponentPolicy, ComponentSpec, NewRoot, Noc, OrganisationId, ReleaseChannel, Required, Role,
    RootFile, TufKey,
};
use muster_protocol::api::*;
use muster_protocol::component::ComponentRoot;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::id::Seq;
use muster_protocol::wire::from_cbor;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Far enough.
const NEVER: u64 = 4_000_000_000;

/// Root keys, and the root that they signed.
pub(crate) struct Roots {
    keys: Vec<TufKey>,
    root: RootFile,
}

pub(crate) fn root(noc: &Noc, after: Option<&Roots>, renewed: bool) -> Roots {
    let keys: Vec<_> = (0..3).map(|_| TufKey::generate().expect("a key")).collect();
    let online = noc.component_keys(renewed).expect("keys");
    let publics = keys.iter().map(TufKey::public).collect();
    let before = after.map(|after| &after.root);
    let new = NewRoot { after: before, keys: publics, threshold: 2, online: &online, expires: NEVER, vendors: None };
    let mut root = new.make().expect("a root");
    let former = after.map(|after| after.keys.as_slice()).unwrap_or_default();
    for key in former[..former.len().min(2)].iter().chain(&keys[..2]) {
        root.sign(key, PathBuf::new(), before).expect("signed");
    }
    Roots { keys, root }
}

/// Begins a repository.
pub(crate) fn repository(noc: &Noc) -> Roots {
    let roots = root(noc, None, false);
    noc.begin_components(&roots.root, false).expect("begun");
    roots
}

pub(crate) fn spec(organisation: Option<OrganisationId>, name: &str, version: &str) -> ComponentSpec {
    ComponentSpec {
        organisation,
        name: name.into(),
        version: version.into(),
        kind: ComponentKind::Exec,
        models: Vec::new(),
        sites: Vec::new(),
        unit: None,
        health: None,
    }
}

pub(crate) fn add(noc: &Noc, world: &World, spec: ComponentSpec, text: &[u8]) -> muster_noc::Component {
    let file = world.dir.path().join("component");
    std::fs::write(&file, text).expect("written");
    noc.add_component(spec, &file).expect("added")
}

pub(crate) fn required(name: &str, channel: Option<ReleaseChannel>, version: Option<&str>) -> Required {
    Required { name: name.into(), model: None, channel, version: version.map(str::to_owned), waves: None }
}

fn policy(required: Vec<Required>) -> ComponentPolicy {
    ComponentPolicy { required, bytes_per_s: None }
}

/// Configured appliances at a site that everybody's organisation has, each with its client.
async fn fleet(world: &World, numbers: std::ops::Range<u32>) -> (Site, Vec<(Device, Seq, Http)>) {
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(numbers);
    world.import(&devices);
    let seqs = world.console(&[site.id]).await.configure(site.id, &devices).await;
    let anybody = world.anybody().await;
    let mut all = Vec::new();
    for (device, seq) in devices.into_iter().zip(seqs) {
        let http = device.enrol(&anybody, seq).await;
        all.push((device, seq, http));
    }
    (site, all)
}

async fn plan(http: &Http) -> ComponentPlan {
    http.get("appliances/components").await.expect("a plan")
}

/// What the answer to the next beat names.
async fn named(http: &Http, counter: &mut u64, seq: Seq) -> Option<String> {
    *counter += 1;
    let answer: BeatAnswer = http.post("appliances/beats", &beat(1, *counter, seq)).await.expect("taken");
    answer.work.components
}

#[tokio::test]
async fn an_appliance_finds_what_it_shall_have_by_the_updates_frameworks_own_client() {
    let world = World::new().await;
    let noc = &world.noc;
    let (_, mut fleet) = fleet(&world, 0..1).await;
    let (_, _, http) = fleet.remove(0);
    assert_eq!(plan(&http).await.root, None);
    let first = repository(noc);
    let text = [b"#!/bin/sh\n".as_slice(), &[7; 300_000]].concat();
    let added = add(noc, &world, spec(None, "filter", "1.0"), &text);
    noc.promote_component(None, "filter", "1.0", ReleaseChannel::Stable).expect("promoted");
    let said = policy(vec![required("filter", Some(ReleaseChannel::Stable), None)]);
    noc.set_organisation_components(OrganisationId(1), said).expect("kept");

    let told = plan(&http).await;
    let wanted = RequiredComponent { name: "filter".into(), version: "1.0".into(), target: "filter_1.0".into() };
    assert_eq!(told.components, [wanted]);
    // The NOC root says which repository it is.
    let signed = data_encoding::BASE64.decode(told.root.expect("a root").as_bytes()).expect("base64");
    let said = verify(&noc.root(), Purpose::ComponentRoot, &signed).expect("signed by the NOC root");
    let said: ComponentRoot = from_cbor(&said).expect("reads");
    let served =
        http.client.get(http.url("appliances/components/metadata/1.root.json")).send().await.expect("an answer");
    let served = served.bytes().await.expect("bytes");
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&served)), said.root_hash);

    let mut tuf = Tuf::new(&http, served.to_vec());
    let got = tuf.load().await.expect("loads");
    assert_eq!(got.target("filter_1.0").await.expect("read"), text);
    let facts = got.facts("filter_1.0");
    assert_eq!((&facts["name"], &facts["version"], &facts["kind"]), (&json!("filter"), &json!("1.0"), &json!("exec")));
    assert_eq!(added.size, text.len() as u64);

    // The keys of the root, and those of the NOC, are all replaced: a client that knows the first root follows.
    let second = root(noc, Some(&first), true);
    noc.rotate_components(&second.root).expect("rotated");
    add(noc, &world, spec(None, "filter", "1.1"), b"#!/bin/sh\nexit 0");
    let got = tuf.load().await.expect("follows the rotation");
    assert_eq!(got.root_version(), 2);
    assert_eq!(got.target("filter_1.1").await.expect("read"), b"#!/bin/sh\nexit 0");
    assert!(!world.dir.path().join("noc/components.key.next").exists());
    // What the former root alone signs is no successor.
    let unsigned = root(noc, Some(&first), false);
    let refused = noc.rotate_components(&unsigned.root).expect_err("refused").to_string();
    assert!(refused.contains("its version is 2, and 3 is the next"), "{refused}");
    let own = [first.keys[0].public(), first.keys[1].public()].to_vec();
    let online = noc.component_keys(false).expect("keys");
    let new =
        NewRoot { after: Some(&second.root), keys: own, threshold: 2, online: &online, expires: NEVER, vendors: None };
    let mut forged = new.make().expect("a root");
    for key in &first.keys[..2] {
        forged.sign(key, PathBuf::new(), Some(&second.root)).expect("by its own keys");
    }
    let refused = noc.rotate_components(&forged).expect_err("refused").to_string();
    assert!(refused.contains("it lacks signatures of the keys of root 2"), "{refused}");

    // An older timestamp in the place of the newest is refused, and so is one that nobody signed.
    let db = world.database();
    let newest: Vec<u8> = db
        .query_row("SELECT text FROM component_metadata WHERE name = 'timestamp.json'", [], |row| row.get(0))
        .expect("there");
    add(noc, &world, spec(None, "filter", "1.2"), b"#!/bin/sh\nexit 2");
    tuf.load().await.expect("newer");
    let put = "UPDATE component_metadata SET text = ?1 WHERE name = 'timestamp.json'";
    db.execute(put, [&newest]).expect("put back");
    let refused = tuf.load().await.err().expect("rolled back");
    assert!(refused.contains("version"), "{refused}");
    let altered = String::from_utf8(newest).expect("text").replacen("\"version\":", "\"version\":9", 1);
    db.execute(put, [altered.as_bytes()]).expect("altered");
    assert!(tuf.load().await.err().expect("forged").contains("ignature"));
}

#[tokio::test]
async fn nothing_of_one_organisations_components_is_there_for_another_or_another_site_or_model() {
    let world = World::new().await;
    let noc = &world.noc;
    let (site, fleet) = fleet(&world, 0..1).await;
    let (_, _, http) = &fleet[0];
    let other = noc.add_organisation("other", "Other").expect("added").id;
    let elsewhere = world.site("Thun", "192.0.2.100-192.0.2.150");
    let roots = repository(noc);
    let own = add(noc, &world, spec(Some(OrganisationId(1)), "own", "1"), b"#!own");
    let theirs = add(noc, &world, spec(Some(other), "theirs-only", "1"), b"#!theirs");
    let models = ComponentSpec { models: vec!["Router*".into()], ..spec(None, "of-routers", "1") };
    let of_routers = add(noc, &world, models, b"#!routers");
    let there = ComponentSpec { sites: vec![elsewhere.id], ..spec(None, "of-thun", "1") };
    let of_thun = add(noc, &world, there, b"#!thun");
    let here = ComponentSpec { sites: vec![site.id], models: vec!["mail".into()], ..spec(None, "of-bern", "1") };
    let of_bern = add(noc, &world, here, b"#!bern");
    let names = ["own", "theirs-only", "of-routers", "of-thun", "of-bern", "nobodys"];
    let lines = names.map(|name| required(name, None, Some("1"))).to_vec();
    noc.set_organisation_components(OrganisationId(1), policy(lines)).expect("kept");
    let planned: Vec<_> = plan(http).await.components.into_iter().map(|c| c.name).collect();
    assert_eq!(planned, ["own", "of-bern"]);

    let mut tuf = Tuf::new(http, roots.root_text());
    let got = tuf.load().await.expect("loads");
    assert_eq!(got.names(), ["of-bern_1", "of-routers_1", "of-thun_1", "own_1"], "nothing of the other's");
    let ask = async |component: &muster_noc::Component| {
        let path = format!("appliances/components/targets/{}.{}", component.sha256, component.target);
        http.client.get(http.url(&path)).send().await.expect("an answer").status().as_u16()
    };
    for (component, expected) in [(&own, 200), (&of_bern, 200), (&theirs, 404), (&of_routers, 404), (&of_thun, 404)] {
        assert_eq!(ask(component).await, expected, "{}", component.name);
    }
    // Names are everybody's or single organisations', and a version's contents never change.
    let file = world.dir.path().join("component");
    std::fs::write(&file, b"#!else").expect("written");
    let refused = |spec| muster_noc::AsProblem::problem(&noc.add_component(spec, &file).expect_err("refused")).code;
    assert_eq!(refused(spec(None, "own", "2")), "component_name_taken");
    assert_eq!(refused(spec(Some(other), "of-bern", "2")), "component_name_taken");
    assert_eq!(refused(spec(Some(OrganisationId(1)), "own", "1")), "component_version_taken");
    let foreign_site = ComponentSpec { sites: vec![site.id], ..spec(Some(other), "theirs-only", "2") };
    assert_eq!(refused(foreign_site), "component_invalid");
    add(noc, &world, spec(Some(other), "own", "1"), b"#!another of that name");

    // What is retired is there for nobody, and may come back as it was.
    noc.retire_component(Some(OrganisationId(1)), "own", "1").expect("retired");
    assert_eq!(ask(&own).await, 404);
    assert_eq!(tuf.load().await.expect("loads").names(), ["of-bern_1", "of-routers_1", "of-thun_1"]);
    assert!(matches!(
        noc.promote_component(Some(OrganisationId(1)), "own", "1", ReleaseChannel::Stable),
        Err(muster_noc::ComponentError::Retired { .. })
    ));
    assert_eq!(refused(spec(Some(OrganisationId(1)), "own", "1")), "component_version_taken");
    add(noc, &world, spec(Some(OrganisationId(1)), "own", "1"), b"#!own");
    assert_eq!(ask(&own).await, 200);
}

#[tokio::test]
async fn what_is_required_reaches_an_appliance_with_its_beats_and_what_it_says_is_shown() {
    let world = World::new().await;
    let noc = &world.noc;
    let (site, fleet) = fleet(&world, 0..2).await;
    let (device, seq, http) = &fleet[0];
    let mut counter = 0;
    for _ in 0..3 {
        assert_eq!(named(http, &mut counter, *seq).await, None, "nobody says anything");
    }
    repository(noc);
    for version in ["1", "2"] {
        add(noc, &world, spec(None, "filter", version), format!("#!{version}").as_bytes());
    }
    let stable = Some(ReleaseChannel::Stable);
    noc.set_organisation_components(OrganisationId(1), policy(vec![required("filter", stable, None)])).expect("kept");
    // There is a plan, with nothing in it: nothing was promoted.
    let empty = named(http, &mut counter, *seq).await.expect("named");
    assert_eq!((plan(http).await.components, plan(http).await.revision), (vec![], empty.clone()));
    noc.promote_component(None, "filter", "1", ReleaseChannel::Stable).expect("promoted");
    let one = named(http, &mut counter, *seq).await.expect("named");
    assert_ne!(one, empty);
    for _ in 0..3 {
        assert_eq!(named(http, &mut counter, *seq).await.as_ref(), Some(&one), "also when nothing else is new");
    }
    assert_eq!(plan(http).await.revision, one);

    let report = |state, running: Option<&str>, problem: Option<&str>| ComponentReport {
        name: "filter".into(),
        version: "1".into(),
        state,
        running: running.map(str::to_owned),
        percent: None,
        problem: problem.map(str::to_owned),
    };
    let say = async |counter: u64, report: ComponentReport| {
        let mut said = beat(1, counter, *seq);
        said.values.components = vec![report];
        http.post::<BeatAnswer>("appliances/beats", &said).await
    };
    let root = world.administrator().await;
    let standing = async |query: &str| {
        let found = root.get(&format!("/v1/components/standings?{query}")).await.good()["items"].clone();
        let of = |appliance: &serde_json::Value| {
            let one = &appliance["components"][0];
            let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            (appliance["uid"] == device.uid.to_string(), text("state"), text("running"), text("problem"))
        };
        found.as_array().expect("rows").iter().map(of).collect::<Vec<_>>()
    };
    let unreported = (false, "unreported".to_owned(), "-".to_owned(), "-".to_owned());
    assert_eq!(standing("").await[1], unreported);
    say(20, report(ComponentState::Failed, None, Some("unhealthy: it ended with 1"))).await.expect("taken");
    let failed = (true, "failed".to_owned(), "-".to_owned(), "unhealthy: it ended with 1".to_owned());
    assert_eq!(standing("").await, [failed.clone(), unreported.clone()]);
    assert_eq!(standing("behind=true&component=filter").await, [failed, unreported.clone()]);
    assert_eq!(standing(&format!("site={}&component=other", site.id)).await, []);
    say(21, report(ComponentState::Installed, Some("1"), None)).await.expect("taken");
    assert_eq!(standing("behind=true").await, [unreported]);
    assert_eq!(standing("limit=1").await, [(true, "installed".to_owned(), "1".to_owned(), "-".to_owned())]);
    let bad = report(ComponentState::Failed, None, Some("\u{202e}"));
    assert_eq!(code(say(22, bad).await), "malformed");

    // The site says otherwise than its organisation, and an operator who may say so says it.
    let login =
        world.operator("anna", Some(OrganisationId(1)), role(Some(OrganisationId(1)), None, Role::Administrator));
    let anna = crate::api::Api::anybody(&world).await.sign_in(&login).await;
    let path = format!("/v1/sites/{}/components", site.id);
    let tag = anna.get(&path).await.header("etag").to_owned();
    let put =
        async |body: serde_json::Value, tag: &str| anna.call("PUT", &path, Some(body), &[("if-match", tag)]).await;
    let two = json!({ "required": [{ "name": "filter", "version": "2" }], "bytes_per_s": 50_000 });
    assert_eq!(put(two.clone(), "\"x\"").await.code(), "changed_meanwhile");
    assert_eq!(put(two, &tag).await.good()["bytes_per_s"], 50_000);
    let mut counter = 30;
    let now = named(http, &mut counter, *seq).await.expect("named");
    let told = plan(http).await;
    assert_eq!((told.revision, told.bandwidth, told.components[0].version.as_str()), (now, Some(50_000), "2"));
    assert_eq!(standing("behind=true").await.len(), 2, "what was installed is an earlier one");
    for (body, field) in [
        (json!({ "required": [{ "name": "../x", "version": "2" }] }), "name"),
        (json!({ "required": [{ "name": "x", "version": "2", "channel": "test" }] }), "version"),
        (json!({ "bytes_per_s": 5 }), "bytes_per_s"),
    ] {
        let reply = put(body, "*").await;
        assert_eq!(
            (reply.code().as_str(), reply.json()["faults"][0]["field"].as_str()),
            ("component_invalid", Some(field))
        );
    }
    // Nothing is required any more.
    assert!(put(json!({}), "*").await.status.is_success());
    noc.set_organisation_components(OrganisationId(1), ComponentPolicy::default()).expect("kept");
    assert_eq!(named(http, &mut counter, *seq).await, None);
    let audit = root.get("/v1/audit?limit=1000").await.text;
    for action in
        ["component.repository", "component.add", "component.promote", "organisation.components", "site.components"]
    {
        assert!(audit.contains(&format!("\"{action}\"")), "{action}");
    }
}

#[tokio::test]
async fn metadata_that_end_soon_are_made_anew_while_the_noc_serves() {
    let world = World::new().await;
    let (_, mut fleet) = fleet(&world, 0..1).await;
    let (_, _, http) = fleet.remove(0);
    let roots = repository(&world.noc);
    let ends = |db: &rusqlite::Connection| -> u64 {
        let sql = "SELECT min(expires) FROM component_metadata WHERE name = 'timestamp.json'";
        db.query_row(sql, [], |row| row.get(0)).expect("there")
    };
    let before = ends(&world.database());
    world
        .database()
        .execute("UPDATE component_metadata SET expires = 5 WHERE name = 'timestamp.json'", [])
        .expect("old");
    let world = world.restart().await;
    http.reconnect().await;
    let db = world.database();
    while ends(&db) == 5 {
        tokio::task::yield_now().await;
    }
    assert!(ends(&db) >= before);
    let mut tuf = Tuf::new(&http, roots.root_text());
    tuf.load().await.expect("good");
    // All of it, when more than the timestamp ends.
    db.execute("UPDATE component_metadata SET expires = 5", []).expect("old");
    let world = world.restart().await;
    http.reconnect().await;
    let newest = || -> u64 {
        let sql = "SELECT max(expires) FROM component_metadata WHERE name LIKE '%.targets.json'";
        world.database().query_row(sql, [], |row| row.get(0)).expect("there")
    };
    while newest() == 5 {
        tokio::task::yield_now().await;
    }
    tuf.load().await.expect("good");
}

impl Roots {
    pub(crate) fn root_text(&self) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        self.root.write(file.path()).expect("written");
        std::fs::read(file.path()).expect("read")
    }
}

#[tokio::test]
async fn operators_promote_and_retire_what_they_administer() {
    let world = World::new().await;
    let noc = &world.noc;
    let (_, mut fleet) = fleet(&world, 0..1).await;
    let (_, _, http) = fleet.remove(0);
    repository(noc);
    let own = add(noc, &world, spec(Some(OrganisationId(1)), "own", "1"), b"#!own").id;
    let everybodys = add(noc, &world, spec(None, "filter", "1"), b"#!filter").id;
    let said = policy(["own", "filter"].map(|name| required(name, Some(ReleaseChannel::Stable), None)).to_vec());
    noc.set_organisation_components(OrganisationId(1), said).expect("kept");
    let anybody = Api::anybody(&world).await;
    let login =
        world.operator("anna", Some(OrganisationId(1)), role(Some(OrganisationId(1)), None, Role::Administrator));
    let anna = anybody.sign_in(&login).await;
    let root = world.administrator().await;
    let promote = async |api: &Api, id: u32, channel: &str| {
        api.call("PUT", &format!("/v1/components/{id}/channels/{channel}"), None, &[]).await
    };
    for _ in 0..2 {
        let promoted = promote(&anna, own, "stable").await.good();
        assert_eq!(promoted["channels"], json!(["stable"]));
    }
    let refused = promote(&anna, everybodys, "stable").await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.text);
    promote(&root, everybodys, "stable").await.good();
    let planned: Vec<_> = plan(&http).await.components.into_iter().map(|c| c.name).collect();
    assert_eq!(planned, ["own", "filter"]);
    for (id, channel) in [(own, "nightly"), (77, "stable")] {
        assert_eq!(promote(&root, id, channel).await.code(), "not_found");
    }
    let path = format!("/v1/components/{own}");
    for _ in 0..2 {
        let retired = anna.delete(&path).await.good();
        assert!(retired["retired"].is_u64() && retired["channels"] == json!([]), "{retired}");
    }
    assert_eq!(anna.delete(&format!("/v1/components/{everybodys}")).await.status.as_u16(), 403);
    assert_eq!(promote(&anna, own, "test").await.code(), "component_retired");
    let planned: Vec<_> = plan(&http).await.components.into_iter().map(|c| c.name).collect();
    assert_eq!(planned, ["filter"]);
    // In the log under the name of whoever did it, once.
    let audit = root.get("/v1/audit?limit=1000").await.good();
    let of = |action: &str| {
        let rows = audit["items"].as_array().expect("rows").iter();
        rows.filter(|row| row["action"] == action && row.to_string().contains("anna")).count()
    };
    assert_eq!((of("component.promote"), of("component.retire")), (2, 1));
}
