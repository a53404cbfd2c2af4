//! Vendors that sign for their own components, and whoever holds one of their keys, or the NOC's: what can be installed is what the
//! vendor has signed.

use crate::bench::{Bench, archive, target};
use crate::repository::{FUTURE, PAST, Repository, TARGETS, hash, key, key_id, payload, secret, signed, told};
use data_encoding::HEXLOWER;
use muster_agent::installer::Installer;
use muster_protocol::api::ComponentState;
use muster_protocol::crypto::keys::SecretKey;
use serde_json::{Map, Value, json};
use tough::schema::Targets;
use tough::schema::key::Key;

/// A vendor, and what it has signed.
#[derive(Clone)]
struct Vendor {
    role: String,
    names: Vec<&'static str>,
    keys: Vec<SecretKey>,
    /// Whose signatures are on it.
    signs: Vec<SecretKey>,
    threshold: u64,
    targets: Map<String, Value>,
    version: u64,
    expires: &'static str,
}

impl Vendor {
    fn new(handle: &str, name: &'static str, keys: &[u8]) -> Vendor {
        let keys: Vec<SecretKey> = keys.iter().copied().map(secret).collect();
        let (role, names) = (format!("vendor-{handle}"), vec![name]);
        let (targets, expires) = (Map::new(), FUTURE);
        Vendor { role, names, signs: keys.clone(), keys, threshold: 1, targets, version: 0, expires }
    }

    fn add(&mut self, repository: &mut Repository, target: &str, contents: &[u8], muster: Value) {
        let sha256 = hash(contents);
        let told = json!({"length": contents.len(), "hashes": {"sha256": sha256}, "custom": {"muster": muster}});
        self.targets.insert(target.to_owned(), told);
        repository.files.insert(format!("targets/{sha256}.{target}"), contents.to_vec());
    }

    /// A version of `filter`, which is what the bench installs.
    fn release(&mut self, repository: &mut Repository, version: &str) {
        self.add(repository, &target(version), &archive(version, "true"), filter(version));
        self.publish(repository);
    }

    /// Signs what it has, for the NOC to list.
    fn publish(&mut self, repository: &mut Repository) {
        self.version += 1;
        self.list(repository);
    }

    fn list(&self, repository: &mut Repository) {
        let (version, role) = (self.version, &self.role);
        let metadata = json!({
            "_type": "targets", "spec_version": "1.0.0", "version": version, "expires": self.expires,
            "targets": self.targets,
        });
        let metadata = signed::<Targets>(metadata, &self.signs.iter().collect::<Vec<_>>());
        repository.listed.insert(format!("{role}.json"), told(&metadata, version));
        repository.files.insert(format!("metadata/{version}.{role}.json"), metadata);
    }

    fn named(&self) -> Value {
        let keys: Vec<String> = self.keys.iter().map(public).collect();
        let vendor = self.role.strip_prefix("vendor-").expect("a role");
        json!({"vendor": vendor, "components": self.names, "keys": keys, "threshold": self.threshold})
    }
}

fn public(secret: &SecretKey) -> String {
    HEXLOWER.encode(&secret.public().0)
}

fn filter(version: &str) -> Value {
    json!({"name": "filter", "version": version, "kind": "archive", "health": {"command": ["bin/check"], "within_s": 1}})
}

/// The NOC's targets delegate to these.
fn delegate(repository: &mut Repository, vendors: &[&Vendor]) {
    let keys = vendors.iter().flat_map(|vendor| &vendor.keys).map(|secret| (key_id(secret), key(secret)));
    let keys: Map<String, Value> = keys.collect();
    let role = |vendor: &&Vendor| {
        let keyids: Vec<String> = vendor.keys.iter().map(key_id).collect();
        let paths: Vec<String> = vendor.names.iter().map(|name| format!("{name}_*")).collect();
        json!({"name": vendor.role, "keyids": keyids, "threshold": vendor.threshold, "paths": paths, "terminating": true})
    };
    repository.delegations = json!({"keys": keys, "roles": vendors.iter().map(role).collect::<Vec<_>>()});
}

/// Version 1.0 of `filter` in force, signed by the vendor acme, whom the root names if `named`.
fn with_vendor(named: bool) -> (Bench, Repository, Vendor) {
    let (mut bench, mut repository) = (Bench::new(|_, _| {}), Repository::new());
    let mut acme = Vendor::new("acme", "filter", &[41]);
    if named {
        repository.facts = json!({"vendors": [acme.named()]});
        repository.rotate(&[&secret(11)]);
    }
    delegate(&mut repository, &[&acme]);
    acme.release(&mut repository, "1.0");
    repository.publish();
    let wanted = repository.plan("1.0", &[("filter", "1.0", &target("1.0"))]);
    let report = bench.carry_out(&repository, &wanted);
    assert_eq!((report.state, report.problem), (ComponentState::Installed, None));
    (bench, repository, acme)
}

/// How a plan for a version of `filter` is refused.
fn refuses(bench: &mut Bench, repository: &Repository, revision: &str, version: &str, code: &str) {
    let wanted = repository.plan(revision, &[("filter", version, &target(version))]);
    bench.refuses(repository, &wanted, code);
}

fn installs(bench: &mut Bench, repository: &Repository, revision: &str, version: &str) {
    let wanted = repository.plan(revision, &[("filter", version, &target(version))]);
    let report = bench.carry_out(repository, &wanted);
    assert_eq!((report.state, report.problem), (ComponentState::Installed, None), "{revision}");
    assert_eq!(bench.read("filter/current/text").as_deref(), Some(version));
}

#[test]
fn a_vendor_that_signs_a_name_of_another_vendor_changes_nothing() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    let mut bolt = Vendor::new("bolt", "other", &[42]);
    delegate(&mut repository, &[&bolt, &acme]);
    // A name that only bolt lists, and is not bolt's: all of it is refused.
    bolt.add(&mut repository, &target("2.0"), &archive("evil", "true"), filter("2.0"));
    bolt.publish(&mut repository);
    repository.publish();
    refuses(&mut bench, &repository, "bolt's alone", "2.0", "repository");
    // One that acme lists, too: acme's counts.
    acme.release(&mut repository, "2.0");
    repository.publish();
    installs(&mut bench, &repository, "of both", "2.0");

    // What bolt signs under its own name is never another component.
    let (mut bench, mut repository, acme) = with_vendor(false);
    let mut bolt = Vendor::new("bolt", "other", &[42]);
    delegate(&mut repository, &[&bolt, &acme]);
    bolt.add(&mut repository, "other_2.0.tar.gz", &archive("evil", "true"), filter("2.0"));
    bolt.publish(&mut repository);
    repository.publish();
    let wanted = repository.plan("disguised", &[("filter", "2.0", "other_2.0.tar.gz")]);
    bench.refuses(&repository, &wanted, "target_mismatch");
}

#[test]
fn vendor_metadata_that_are_rolled_back_are_refused() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    let old = acme.clone();
    acme.release(&mut repository, "2.0");
    repository.publish();
    installs(&mut bench, &repository, "2.0", "2.0");
    // By somebody who has all keys of the NOC, and what the vendor signed once.
    old.list(&mut repository);
    for restarts in [false, true] {
        if restarts {
            bench.restart();
        }
        repository.publish();
        bench.take(&repository.plan(&format!("old {restarts}"), &[("filter", "1.0", &target("1.0"))]));
        bench.supply(&repository);
        let problem = bench.report().problem.unwrap_or_default();
        assert!(problem.starts_with("repository: "), "{problem}");
    }
    // Nor may it vanish from the list.
    repository.listed.clear();
    repository.publish();
    bench.take(&repository.plan("gone", &[("filter", "1.0", &target("1.0"))]));
    bench.supply(&repository);
    assert!(bench.report().problem.is_some_and(|problem| problem.starts_with("repository: ")));
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("2.0"));
}

#[test]
fn vendor_metadata_that_have_expired_hold_up_that_vendor_alone() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    acme.expires = PAST;
    acme.release(&mut repository, "2.0");
    let muster = json!({"name": "own", "version": "1", "kind": "archive"});
    repository.add("own_1.tar.gz", &archive("own", "true"), muster);
    repository.publish();
    refuses(&mut bench, &repository, "expired", "2.0", "repository_expired");
    let both = repository.plan("both", &[("filter", "2.0", &target("2.0")), ("own", "1", "own_1.tar.gz")]);
    bench.take(&both);
    bench.supply(&repository);
    let states: Vec<_> = bench.installer.reports().iter().map(|report| report.state).collect();
    assert_eq!(states, [ComponentState::Waiting, ComponentState::Installed]);
    acme.expires = FUTURE;
    acme.publish(&mut repository);
    repository.publish();
    installs(&mut bench, &repository, "signed again", "2.0");
}

#[test]
fn vendor_metadata_signed_by_another_key_are_refused() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    acme.signs = vec![secret(66)];
    acme.release(&mut repository, "2.0");
    repository.publish();
    refuses(&mut bench, &repository, "another key", "2.0", "repository");
    acme.signs = vec![repository.keys[TARGETS].clone()];
    acme.publish(&mut repository);
    repository.publish();
    refuses(&mut bench, &repository, "the NOC's key", "2.0", "repository");
    acme.signs = acme.keys.clone();
    acme.publish(&mut repository);
    repository.publish();
    installs(&mut bench, &repository, "its own", "2.0");
}

#[test]
fn vendor_metadata_below_the_threshold_are_refused() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    (acme.keys, acme.threshold) = (vec![secret(41), secret(43)], 2);
    delegate(&mut repository, &[&acme]);
    for (what, signs) in [("one of two", vec![41]), ("the same twice", vec![41, 41]), ("a foreign one", vec![41, 66])] {
        acme.signs = signs.into_iter().map(secret).collect();
        acme.release(&mut repository, "2.0");
        repository.publish();
        refuses(&mut bench, &repository, what, "2.0", "repository");
    }
    acme.signs = acme.keys.clone();
    acme.publish(&mut repository);
    repository.publish();
    installs(&mut bench, &repository, "both", "2.0");
}

#[test]
fn a_vendors_target_that_leads_elsewhere_is_refused() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    let evil = archive("evil", "true");
    // `tough` reads both as `filter_2.0.tar.gz`, which is the vendor's.
    let names = ["../../filter_2.0.tar.gz", "x/../filter_2.0.tar.gz"];
    for name in names {
        acme.add(&mut repository, name, &evil, filter("2.0"));
    }
    acme.publish(&mut repository);
    repository.publish();
    for name in names {
        bench.refuses(&repository, &repository.plan(name, &[("filter", "2.0", name)]), "target_name");
    }
    refuses(&mut bench, &repository, "what it reads as", "2.0", "target_unknown");
    // One from the root on is nobody's.
    acme.add(&mut repository, "/filter_2.0.tar.gz", &evil, filter("2.0"));
    acme.publish(&mut repository);
    repository.publish();
    refuses(&mut bench, &repository, "absolute", "2.0", "repository");
    assert!(!bench.path("filter_2.0.tar.gz").exists());
}

#[test]
fn endless_vendor_metadata_stop_at_what_was_signed_for_and_many_at_what_is_taken_in_all() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    acme.release(&mut repository, "2.0");
    repository.publish();
    let mut served = repository.clone();
    served.files.insert(format!("metadata/{}.vendor-acme.json", acme.version), vec![b' '; 32 << 20]);
    let before = bench.given;
    refuses(&mut bench, &served, "endless", "2.0", "repository");
    assert!(bench.given - before < 64 << 10, "{}", bench.given - before);

    // By somebody who has the NOC's keys: as many vendors as he likes, each with as much as one may have.
    let mut crowd = repository.clone();
    let others: Vec<Vendor> = (0..8).map(|n| Vendor::new(&format!("v{n}"), "none", &[42])).collect();
    for mut vendor in others.clone() {
        vendor.targets.insert(
            "none_1".to_owned(),
            json!({
                "length": 1, "hashes": {"sha256": hash(b"x")}, "custom": {"padding": "x".repeat(3 << 20)},
            }),
        );
        vendor.publish(&mut crowd);
    }
    let all: Vec<&Vendor> = others.iter().chain([&acme]).collect();
    delegate(&mut crowd, &all);
    crowd.publish();
    let before = bench.given;
    refuses(&mut bench, &crowd, "many", "2.0", "repository");
    assert!(bench.given - before < 18 << 20, "{}", bench.given - before);
    // What was listed once stays listed, or the NOC's keys are replaced by a root.
    (repository.version, repository.listed) = (crowd.version, crowd.listed);
    repository.publish();
    installs(&mut bench, &repository, "genuine", "2.0");
}

#[test]
fn the_nocs_key_that_lists_a_vendors_target_itself_is_not_heard_while_the_delegation_stands() {
    let (mut bench, mut repository, mut acme) = with_vendor(false);
    repository.add(&target("2.0"), &archive("evil", "true"), filter("2.0"));
    repository.publish();
    refuses(&mut bench, &repository, "the NOC's alone", "2.0", "target_unknown");
    acme.release(&mut repository, "2.0");
    repository.publish();
    // The file of the vendor's, not the other one of the same name.
    installs(&mut bench, &repository, "of both", "2.0");
}

#[test]
fn the_nocs_key_takes_a_component_from_its_vendor_only_where_no_root_names_it() {
    for named in [false, true] {
        let (mut bench, repository, acme) = with_vendor(named);
        // The delegation is gone.
        let mut taken = repository.clone();
        taken.delegations = Value::Null;
        taken.add(&target("2.0"), &archive("evil", "true"), filter("2.0"));
        taken.publish();
        // Or it is another one: other keys, one key under two names, a lower threshold, another role.
        let mut other = Vendor { keys: vec![secret(66)], signs: vec![secret(66)], ..acme.clone() };
        let mut exchanged = repository.clone();
        delegate(&mut exchanged, &[&other]);
        other.add(&mut exchanged, &target("2.0"), &archive("evil", "true"), filter("2.0"));
        other.publish(&mut exchanged);
        exchanged.publish();
        for (what, served) in [("removed", taken), ("exchanged", exchanged)] {
            if named {
                refuses(&mut bench, &served, what, "2.0", "vendor");
            } else {
                // What remains possible to whoever has the NOC's key for targets, and why the root should name vendors.
                let (mut bench, ..) = with_vendor(false);
                let wanted = served.plan(what, &[("filter", "2.0", &target("2.0"))]);
                assert_eq!(bench.carry_out(&served, &wanted).state, ComponentState::Installed, "{what}");
            }
        }
    }
}

#[test]
fn a_vendor_that_the_root_names_is_that_role_with_those_keys_and_no_lower_threshold() {
    let mut repository = Repository::new();
    let mut acme = Vendor { threshold: 2, ..Vendor::new("acme", "filter", &[41, 43, 44]) };
    repository.facts = json!({"vendors": [acme.named()]});
    repository.rotate(&[&secret(11)]);
    // Fewer of the keys, as when one of them was lost: within what the root says.
    acme.keys.pop();
    delegate(&mut repository, &[&acme]);
    acme.release(&mut repository, "1.0");
    repository.publish();
    let mut bench = Bench::new(|_, _| {});
    installs(&mut bench, &repository, "two of two", "1.0");
    acme.release(&mut repository, "2.0");

    let mut lower = repository.clone();
    delegate(&mut lower, &[&Vendor { threshold: 1, ..acme.clone() }]);
    lower.publish();
    refuses(&mut bench, &lower, "a lower threshold", "2.0", "vendor");

    let mut renamed = repository.clone();
    let mut other = Vendor { role: "vendor-acme2".to_owned(), version: 0, ..acme.clone() };
    delegate(&mut renamed, &[&other]);
    other.publish(&mut renamed);
    renamed.publish();
    // On an appliance of its own: what it has seen listed it wants listed.
    let fresh = |repository: &Repository| {
        let mut bench = Bench::new(|_, _| {});
        installs(&mut bench, repository, "fresh", "1.0");
        bench
    };
    refuses(&mut fresh(&repository), &renamed, "under another name", "2.0", "vendor");

    // One key under two identities, which `tough` counts as two.
    let mut doubled = repository.clone();
    let mut again = key(&secret(41));
    again["x"] = json!(1);
    let parsed: Key = serde_json::from_value(again.clone()).expect("a key");
    let id = HEXLOWER.encode(&parsed.key_id().expect("an id"));
    doubled.delegations["keys"][&id] = again;
    doubled.delegations["roles"][0]["keyids"] = json!([key_id(&secret(41)), id]);
    let file = format!("metadata/{}.vendor-acme.json", acme.version);
    let mut metadata: Value = serde_json::from_slice(&doubled.files[&file]).expect("JSON");
    let one = metadata["signatures"][0].clone();
    let mut two = one.clone();
    two["keyid"] = json!(id);
    metadata["signatures"] = json!([one, two]);
    let metadata = serde_json::to_vec(&metadata).expect("JSON");
    doubled.listed.insert("vendor-acme.json".to_owned(), told(&metadata, acme.version));
    doubled.files.insert(file, metadata);
    doubled.publish();
    refuses(&mut bench, &doubled, "one key twice", "2.0", "vendor");

    // A root whose word on vendors cannot be read is not taken for one that says nothing.
    let mut unread = repository.clone();
    unread.facts = json!({"vendors": "acme"});
    unread.rotate(&[&secret(11)]);
    unread.version += 4;
    unread.publish();
    refuses(&mut fresh(&repository), &unread, "unread", "2.0", "repository");

    // The keys change by a root that names both, then by the NOC, then by one that names the new ones.
    let mut new = Vendor { keys: vec![secret(51), secret(52)], ..acme.clone() };
    let mut both = new.named();
    both["keys"].as_array_mut().expect("keys").extend(acme.keys.iter().map(|key| json!(public(key))));
    repository.facts = json!({"vendors": [both]});
    repository.rotate(&[&secret(11)]);
    repository.version = 20;
    repository.publish();
    installs(&mut bench, &repository, "still the former", "2.0");
    new.signs = new.keys.clone();
    delegate(&mut repository, &[&new]);
    new.release(&mut repository, "3.0");
    repository.facts = json!({"vendors": [new.named()]});
    repository.rotate(&[&secret(11)]);
    repository.publish();
    installs(&mut bench, &repository, "the new ones", "3.0");
    let mut former = repository.clone();
    delegate(&mut former, &[&acme]);
    acme.version = new.version + 1;
    acme.list(&mut former);
    former.publish();
    bench.take(&former.plan("the former again", &[("filter", "4.0", &target("1.0"))]));
    bench.supply(&former);
    assert!(bench.report().problem.is_some_and(|problem| problem.starts_with("vendor: ")));
    assert_eq!(payload(&former.files["metadata/1.root.json"])["version"], 1);
}
