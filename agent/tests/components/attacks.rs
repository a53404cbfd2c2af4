//! Somebody who holds the network, the NOC's disk or some of the keys: nothing is installed, and what runs goes on.

use crate::bench::{Bench, archive, plan, publish, target, with_first_version};
use crate::repository::{NOW, PAST, Repository, TARGETS, TIMESTAMP, payload, secret, signed};
use muster_agent::installer::config::Hash;
use muster_agent::installer::{Installer, Order};
use muster_protocol::api::ComponentState;
use serde_json::json;
use sha2::{Digest, Sha256};
use tough::schema::{Root, Targets};

#[test]
fn rollback_older_metadata_are_refused_also_after_a_restart() {
    let (mut bench, mut repository) = with_first_version();
    let old = repository.clone();
    publish(&mut repository, "2.0", "false");
    let report = bench.carry_out(&repository, &plan(&repository, "2.0"));
    assert_eq!(report.state, ComponentState::Failed, "{report:?}");
    for restarts in [false, true] {
        if restarts {
            bench.restart();
        }
        let revision = format!("old {restarts}");
        bench.take(&old.plan(&revision, &[("filter", "0.9", &target("1.0"))]));
        bench.supply(&old);
        let problem = bench.report().problem.unwrap_or_default();
        assert!(problem.starts_with("repository: "), "{problem}");
    }
}

#[test]
fn freeze_metadata_that_have_expired_by_the_nocs_time_are_refused() {
    let (mut bench, mut repository) = with_first_version();
    publish(&mut repository, "2.0", "true");
    let late = 1_850_000_000;
    bench.take_at(&plan(&repository, "2.0"), late);
    bench.supply(&repository);
    let report = bench.report();
    assert!(report.problem.is_some_and(|problem| problem.starts_with("repository_expired: ")));
    assert_eq!(report.running.as_deref(), Some("1.0"));
    repository.timestamp_expires = PAST;
    repository.publish();
    let again = repository.plan("again", &[("filter", "2.0", &target("2.0"))]);
    bench.refuses(&repository, &again, "repository_expired");
    repository.timestamp_expires = crate::repository::FUTURE;
    repository.publish();
    let signed_again = repository.plan("signed again", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&repository, &signed_again).state, ComponentState::Installed);
}

#[test]
fn mix_and_match_metadata_of_two_times_are_refused() {
    let (mut bench, repository) = with_first_version();
    let (mut newer, old) = (repository.clone(), repository);
    publish(&mut newer, "2.0", "true");
    publish(&mut newer, "2.0", "true");
    let wanted = plan(&newer, "2.0");
    for (mixed, with) in [
        ("metadata/3.targets.json", "metadata/1.targets.json"),
        ("metadata/3.snapshot.json", "metadata/2.snapshot.json"),
    ] {
        let mut served = newer.clone();
        let other = if with.contains("1.") { &old } else { &newer };
        served.files.insert(mixed.to_owned(), other.files[with].clone());
        let revision = format!("mixed {mixed}");
        let wanted = newer.plan(&revision, &[("filter", "2.0", &target("2.0"))]);
        bench.refuses(&served, &wanted, "repository");
    }
    assert_eq!(bench.carry_out(&newer, &wanted).state, ComponentState::Installed, "and the genuine ones are not");
}

#[test]
fn endless_data_stops_at_what_was_signed_for() {
    let (mut bench, mut repository) = with_first_version();
    publish(&mut repository, "2.0", "true");
    let wanted = plan(&repository, "2.0");
    let endless = vec![b' '; 32 * 1024 * 1024];
    for file in
        ["metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "metadata/2.root.json"]
    {
        let mut served = repository.clone();
        served.files.insert(file.to_owned(), endless.clone());
        let before = bench.given;
        let wanted = repository.plan(file, &[("filter", "2.0", &target("2.0"))]);
        bench.refuses(&served, &wanted, "repository");
        assert!(bench.given - before < 5 * 1024 * 1024, "{file}: {}", bench.given - before);
    }
    let mut served = repository.clone();
    let name = served.files.keys().find(|name| name.ends_with(&target("2.0"))).expect("there").clone();
    served.files.insert(name, endless);
    let before = bench.given;
    bench.refuses(&served, &wanted, "target_hash");
    assert!(bench.given - before < 64 * 1024, "{}", bench.given - before);
}

#[test]
fn other_bytes_than_were_signed_for_are_never_unpacked() {
    let (mut bench, mut repository) = with_first_version();
    publish(&mut repository, "2.0", "true");
    let mut served = repository.clone();
    for (name, contents) in &mut served.files {
        if name.ends_with(&target("2.0")) {
            let last = contents.len() - 1;
            contents[last] ^= 1;
        }
    }
    bench.refuses(&served, &plan(&repository, "2.0"), "target_hash");
    assert_eq!(std::fs::read_dir(bench.config.folder.join("filter")).expect("there").count(), 2, "1.0 and its link");
}

#[test]
fn wrong_threshold_too_few_or_foreign_signatures_are_refused() {
    let (mut bench, repository) = with_first_version();
    let mut stolen = repository.clone();
    stolen.keys[TARGETS] = secret(66);
    publish(&mut stolen, "2.0", "true");
    bench.refuses(&stolen, &plan(&stolen, "2.0"), "repository");

    // A root that wants two signatures over targets, of which one is there: also twice the same.
    let mut strict = repository.clone();
    strict.threshold = 2;
    strict.rotate(&[&secret(11)]);
    publish(&mut strict, "2.0", "true");
    let wanted = strict.plan("one of two", &[("filter", "2.0", &target("2.0"))]);
    bench.refuses(&strict, &wanted, "repository");
    let file = format!("metadata/{}.targets.json", strict.version);
    let targets = payload(&strict.files[&file]);
    let twice = signed::<Targets>(targets, &[&strict.keys[TARGETS], &strict.keys[TARGETS]]);
    strict.files.insert(file, twice);
    let wanted = strict.plan("twice the same", &[("filter", "2.0", &target("2.0"))]);
    bench.refuses(&strict, &wanted, "repository");
}

#[test]
fn target_names_that_lead_elsewhere_are_refused() {
    let (mut bench, mut repository) = with_first_version();
    let evil = archive("evil", "true");
    let muster = json!({"name": "filter", "version": "2.0", "kind": "archive"});
    let names = ["../../evil.tar.gz", "/etc/evil.tar.gz", "a/b.tar.gz", ".hidden", "..", "a\\b", "a%2fb", "a b"];
    for name in names.iter().filter(|name| **name != "..") {
        repository.add(name, &evil, muster.clone());
    }
    repository.publish();
    for name in names {
        bench.refuses(&repository, &repository.plan(name, &[("filter", "2.0", name)]), "target_name");
    }
    // Names and versions become folders, too: what is none is not even told of.
    for (name, version) in [("../evil", "1"), ("/etc", "1"), ("filter", "../../x"), ("", "1"), (".side", "1")] {
        bench.take(&repository.plan(&format!("{name} {version}"), &[(name, version, "filter_1.0.tar.gz")]));
        bench.supply(&repository);
        assert_eq!(bench.installer.reports(), []);
    }
    assert!(!bench.path("evil").exists() && !bench.path("x").exists());
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"));
}

#[test]
fn a_target_of_another_name_version_or_kind_is_refused() {
    let (mut bench, mut repository) = with_first_version();
    repository.add(
        "other_2.0.tar.gz",
        &archive("2.0", "true"),
        json!({"name": "other", "version": "2.0", "kind": "archive"}),
    );
    repository.add("filter_2.0.deb", b"!<arch>", json!({"name": "filter", "version": "2.0", "kind": "deb"}));
    repository.add("filter_2.0.exec", b"x", json!({"name": "filter", "version": "2.0", "kind": "exec"}));
    repository.add("filter_bare", b"x", json!(null));
    repository.publish();
    let mut refuses = |target: &str, version: &str, code: &str| {
        bench.refuses(&repository, &repository.plan(target, &[("filter", version, target)]), code);
    };
    refuses("other_2.0.tar.gz", "2.0", "target_mismatch");
    refuses(&target("1.0"), "2.0", "target_mismatch");
    refuses("filter_2.0.deb", "2.0", "kind_refused");
    refuses("filter_2.0.exec", "2.0", "kind_refused");
    refuses("filter_bare", "2.0", "target_custom");
    refuses("filter_9.9.tar.gz", "9.9", "target_unknown");
}

#[test]
fn key_rotation_counts_if_the_former_keys_sign_for_it() {
    let (mut bench, repository) = with_first_version();
    let mut taken_over = repository.clone();
    taken_over.keys = [61, 62, 63, 64].map(secret);
    taken_over.rotate(&[&secret(61)]);
    publish(&mut taken_over, "2.0", "true");
    bench.refuses(&taken_over, &plan(&taken_over, "2.0"), "repository");

    let mut rotated = repository.clone();
    rotated.keys = [21, 22, 23, 24].map(secret);
    rotated.rotate(&[&secret(11), &secret(21)]);
    publish(&mut rotated, "2.0", "true");
    let wanted = rotated.plan("rotated", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&rotated, &wanted).state, ComponentState::Installed);

    // From then on the former keys are worth nothing, also to an appliance that starts again.
    bench.restart();
    let mut former = repository.clone();
    former.files.insert("metadata/2.root.json".into(), rotated.files["metadata/2.root.json"].clone());
    former.version = 10;
    publish(&mut former, "3.0", "true");
    bench.take(&former.plan("former keys", &[("filter", "3.0", &target("3.0"))]));
    bench.supply(&former);
    assert!(bench.report().problem.is_some_and(|problem| problem.starts_with("repository: ")));
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("2.0"));
}

#[test]
fn a_lost_timestamp_key_is_replaced_by_the_root_and_counting_begins_anew() {
    let (mut bench, mut repository) = with_first_version();
    // Whoever has it signs far ahead, so that nothing genuine is new enough.
    let mut thief = repository.clone();
    thief.version = 1_000_000;
    thief.publish();
    let ahead = thief.plan("ahead", &[("filter", "1.0", &target("1.0"))]);
    assert_eq!(bench.carry_out(&thief, &ahead).state, ComponentState::Installed, "it cannot do more than that");
    publish(&mut repository, "2.0", "true");
    bench.take(&repository.plan("too old", &[("filter", "2.0", &target("2.0"))]));
    bench.supply(&repository);
    assert!(bench.report().problem.is_some_and(|problem| problem.starts_with("repository: ")));

    repository.keys[TIMESTAMP] = secret(34);
    repository.keys[2] = secret(33);
    repository.rotate(&[&secret(11)]);
    repository.publish();
    let wanted = repository.plan("another key", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&repository, &wanted).state, ComponentState::Installed);
    thief.files.insert("metadata/2.root.json".into(), repository.files["metadata/2.root.json"].clone());
    bench.take(&thief.plan("the thief again", &[("filter", "3.0", &target("1.0"))]));
    bench.supply(&thief);
    assert!(bench.report().problem.is_some_and(|problem| problem.starts_with("repository: ")));
}

#[test]
fn the_repository_is_the_one_that_the_owners_root_names() {
    let (mut bench, repository) = with_first_version();
    let mut forged = repository.clone();
    forged.keys = [61, 62, 63, 64].map(secret);
    (forged.root_version, forged.serial) = (0, 2);
    forged.rotate(&[&secret(61)]);
    publish(&mut forged, "2.0", "true");
    // Named by somebody else; served in its place; and one that was left, or two of one number.
    let mut by_another = forged.plan("by another", &[("filter", "2.0", &target("2.0"))]);
    by_another.root = Some(forged.stated_by(&secret(66)));
    bench.refuses(&forged, &by_another, "component_root");
    let mut other_root = plan(&forged, "2.0");
    let mut announced = repository.clone();
    announced.serial = 2;
    other_root.root = Some(announced.stated_by(&secret(1)));
    bench.refuses(&forged, &other_root, "component_root");
    forged.serial = 2;
    bench.refuses(&forged, &forged.plan("same number", &[("filter", "2.0", &target("2.0"))]), "component_root");
    forged.serial = 0;
    bench.refuses(&forged, &forged.plan("former number", &[("filter", "2.0", &target("2.0"))]), "component_root");
    let mut none = forged.plan("none", &[("filter", "2.0", &target("2.0"))]);
    none.root = None;
    bench.refuses(&forged, &none, "no_component_root");

    // By the owner's own word it is another one.
    forged.serial = 3;
    let wanted = forged.plan("by the owner", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&forged, &wanted).state, ComponentState::Installed);
}

#[test]
fn a_worker_that_was_taken_over_names_no_owner_and_no_repository_of_its_own() {
    let (mut bench, repository) = with_first_version();
    let mut forged = repository.clone();
    forged.keys = [61, 62, 63, 64].map(secret);
    (forged.root_version, forged.serial) = (0, 9);
    forged.rotate(&[&secret(61)]);
    publish(&mut forged, "2.0", "true");
    let mallory = secret(66);
    let mut plan = plan(&forged, "2.0");
    plan.root = Some(forged.stated_by(&mallory));
    bench.installer.take(Order { owner: mallory.public().to_base64(), time: NOW, plan });
    bench.supply(&forged);
    let report = bench.report();
    assert_eq!(report.state, ComponentState::Failed);
    assert!(report.problem.is_some_and(|problem| problem.starts_with("component_root: ") && problem.contains("Reset")));
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"));
}

#[test]
fn an_image_may_pin_the_repository_whatever_a_noc_says() {
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let first: [u8; 32] = Sha256::digest(&repository.files["metadata/1.root.json"]).into();
    let mut pinned = Bench::new(|config, _| config.repository = Some(Hash(first)));
    assert_eq!(pinned.carry_out(&repository, &plan(&repository, "1.0")).state, ComponentState::Installed);
    let mut other = Bench::new(|config, _| config.repository = Some(Hash([1; 32])));
    let report = other.carry_out(&repository, &plan(&repository, "1.0"));
    assert!(report.problem.is_some_and(|problem| problem.starts_with("component_root: ")));
    let root = payload(&repository.files["metadata/1.root.json"]);
    let unsigned = signed::<Root>(root, &[]);
    repository.files.insert("metadata/1.root.json".into(), unsigned);
    let hash: [u8; 32] = Sha256::digest(&repository.files["metadata/1.root.json"]).into();
    let mut unsigned = Bench::new(|config, _| config.repository = Some(Hash(hash)));
    let report = unsigned.carry_out(&repository, &plan(&repository, "1.0"));
    assert!(
        report.problem.is_some_and(|problem| problem.starts_with("repository: ")),
        "pinned, and without a signature"
    );
}
