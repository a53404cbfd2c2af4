//! The same by the program: keys that others hold, a kill in the middle, a backup.

use super::client::Tuf;
use crate::served::{Served, mode};
use crate::world::{Device, Http};
use muster_protocol::api::*;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A command of which the folder is not a NOC's.
fn offline(words: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_muster-noc")).args(words).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Keys and root, made where the NOC is not; the folder.
fn ceremony(noc: &Served) -> String {
    let (online, out) = (noc.path("online.json"), noc.path("root"));
    std::fs::write(&online, noc.good(&["component", "keys"])).expect("written");
    offline(&["component", "root", "new", "--keys", "3", "--threshold", "2", "--online", &online, "--out", &out])
        .expect("made");
    out
}

fn sign(key: &str, root: &str, after: Option<&str>) -> Result<String, String> {
    let after = after.map(|after| vec!["--after", after]).unwrap_or_default();
    offline(&[&["component", "root", "sign", "--key", key, root], &after[..]].concat())
}

fn begin(noc: &Served) -> String {
    let out = ceremony(noc);
    let root = format!("{out}/1.root.json");
    sign(&format!("{out}/root-1-1.key"), &root, None).expect("signed");
    sign(&format!("{out}/root-1-3.key"), &root, None).expect("signed");
    noc.good(&["component", "init", &root]);
    out
}

async fn appliance(noc: &Served) -> Http {
    let (site, devices) = (noc.site(), Device::several(0..1));
    noc.import(&devices);
    let seqs = noc.console(site).await.configure(site, &devices).await;
    devices[0].enrol(&noc.anybody(site).await, seqs[0]).await
}

fn file(noc: &Served, name: &str, text: &[u8]) -> String {
    let path = noc.path(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn add(noc: &Served, name: &str, version: &str, file: &str) -> Value {
    noc.json(&["component", "add", file, "--name", name, "--version", version, "--kind", "exec"])
}

#[tokio::test]
async fn a_repository_is_made_with_keys_that_the_noc_never_sees() {
    let noc = Served::start();
    let out = ceremony(&noc);
    let root = format!("{out}/1.root.json");
    let key = |number: u32, version: u32| format!("{out}/root-{version}-{number}.key");
    assert_eq!(mode(Path::new(&key(1, 1))), 0o600);
    assert_eq!(mode(&noc.dir().join("components.key")), 0o600);
    let script = file(&noc, "filter", b"#!/bin/sh\nexit 0\n");
    let adding = ["component", "add", &script, "--name", "filter", "--version", "1", "--kind", "exec"];
    assert!(noc.bad(&adding).contains("[no_component_repository]"));
    assert!(noc.bad(&["component", "init", &root]).contains("[component_root_refused]"), "nobody signed");
    sign(&key(1, 1), &root, None).expect("signed");
    sign(&key(1, 1), &root, None).expect("again is once");
    assert!(noc.bad(&["component", "init", &root]).contains("[component_root_refused]"), "one of two");
    let foreign = noc.path("foreign");
    let online = noc.path("online.json");
    let made = ["component", "root", "new", "--online", &online, "--out", &foreign];
    offline(&made).expect("made");
    assert!(offline(&made).expect_err("refused").contains("[component_key_exists]"), "no key is written over");
    let refused = sign(&format!("{foreign}/root-1-1.key"), &root, None).expect_err("refused");
    assert!(refused.contains("[component_key_foreign]"), "{refused}");
    sign(&key(2, 1), &root, None).expect("signed");
    assert!(noc.bad(&["component", "init", &script]).contains("[component_root_unreadable]"));
    noc.good(&["component", "init", &root]);
    assert!(noc.bad(&["component", "init", &root]).contains("[component_repository_exists]"));
    assert!(noc.bad(&["component", "init", &noc.path("none")]).contains("[component_file_unreadable]"));

    let added = add(&noc, "filter", "1", &script);
    assert_eq!((&added["target"], &added["channels"]), (&"filter_1".into(), &serde_json::json!([])));
    assert!(noc.bad(&["component", "add", &script, "--name", "a/b", "--version", "1"]).contains("[component_invalid]"));
    assert!(noc.bad(&["component", "add", &script, "--name", "x", "--version", "1"]).contains("packed with gzip"));
    assert!(noc.bad(&["component", "promote", "filter", "2"]).contains("[component_unknown]"));
    let promoted = noc.json(&["component", "promote", "filter", "1", "--channel", "test"]);
    assert_eq!(promoted["channels"], serde_json::json!(["test"]));
    noc.good(&["component", "require", "filter", "--channel", "test", "--model", "Mail"]);
    noc.good(&["component", "require", "filter", "--version", "1"]);
    noc.good(&["component", "limit", "100000"]);
    let http = appliance(&noc).await;
    let plan: ComponentPlan = http.get("appliances/components").await.expect("a plan");
    assert_eq!((plan.components.len(), plan.bandwidth), (1, Some(100_000)));
    let status = noc.good(&["component", "status", "--behind", "--site", "Bern", "--name", "filter"]);
    assert!(status.contains("filter  runs -  wants 1  unreported"), "{status}");
    noc.good(&["component", "require", "filter", "--site", "Bern", "--nothing"]);
    assert_eq!(noc.good(&["component", "status", "--behind"]), "");
    noc.good(&["component", "unrequire", "filter", "--site", "Bern"]);
    assert!(noc.bad(&["component", "unrequire", "filter", "--site", "Bern"]).contains("nothing is said of filter"));
    assert!(noc.bad(&["component", "require", "filter"]).contains("required"));
    assert!(noc.good(&["component", "list"]).contains("filter  1  everybody's  17 bytes  test"));

    // Another version goes out in waves.
    add(&noc, "filter", "2", &file(&noc, "second", b"#!two"));
    let require = |more: &[&'static str]| {
        [&["component", "require", "filter", "--version", "2", "--model", "Mail"][..], more].concat()
    };
    assert!(noc.bad(&require(&["--waves", "10%,many"])).contains("`many` is no part of appliances"));
    assert!(noc.bad(&require(&["--waves", "10%"])).contains("end with 100%"));
    assert!(noc.bad(&require(&["--soak", "5m"])).contains("--waves"));
    noc.good(&require(&["--waves", "1%,10%,100%", "--soak", "30m", "--halt-at", "5%", "--within", "1h"]));
    let rollout = |words: &[&str]| noc.good(&[&["component", "rollout"], words].concat());
    let begun = rollout(&["list"]);
    assert!(begun.contains("1  filter 2  organisation 1, model mail  running, wave"), "{begun}");
    assert!(rollout(&["halt", "1"]).contains("halted, wave"));
    let shown = rollout(&["show", "1"]);
    assert!(shown.contains("somebody halted it") && shown.contains("before: 1"), "{shown}");
    let of_rollout = |words: &[&str]| noc.bad(&[&["component", "rollout"], words].concat());
    assert!(of_rollout(&["continue", "1", "--wave", "7"]).contains("[rollout_moved]"));
    assert!(rollout(&["continue", "1"]).contains("running, wave"));
    assert!(rollout(&["back", "1"]).contains("taken back"));
    assert!(of_rollout(&["halt", "1"]).contains("[rollout_over]"));
    assert!(of_rollout(&["show", "2"]).contains("[rollout_unknown]"));
    assert_eq!(rollout(&["list"]), "");
    assert!(rollout(&["list", "--all"]).contains("taken back"));
    assert_eq!(noc.json(&["component", "rollout", "show", "1"])["state"], "back");
    noc.good(&["component", "retire", "filter", "2"]);

    // A key of the NOC was stolen: new ones, which a new root names.
    let renewed = noc.path("renewed.json");
    std::fs::write(&renewed, noc.good(&["component", "keys", "--renew"])).expect("written");
    assert_ne!(std::fs::read(&renewed).expect("read"), std::fs::read(&online).expect("read"));
    let next = ["component", "root", "next", "--after", &root, "--keys", "2", "--online", &renewed, "--out", &out];
    offline(&next).expect("made");
    let second = format!("{out}/2.root.json");
    for (number, version) in [(1, 1), (3, 1), (1, 2), (2, 2)] {
        sign(&key(number, version), &second, Some(&root)).expect("signed");
    }
    assert!(noc.good(&["component", "rotate", &second]).contains("Root 2 is in force"));
    let first = std::fs::read(&root).expect("read");
    let mut tuf = Tuf::new(&http, first);
    let loaded = tuf.load().await.expect("loads");
    assert_eq!((loaded.root_version(), loaded.names()), (2, vec!["filter_1".to_owned()]));
    noc.good(&["component", "retire", "filter", "1"]);
    assert!(noc.good(&["component", "list"]).contains("17 bytes  retired"));
    assert!(noc.bad(&["component", "promote", "filter", "1"]).contains("[component_retired]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_addition_that_is_killed_has_changed_nothing_or_all() {
    let noc = Served::start();
    let out = begin(&noc);
    let http = appliance(&noc).await;
    let large = file(&noc, "large", &[b"#!".as_slice(), &vec![9; 3 << 20]].concat());
    let mut tuf = Tuf::new(&http, std::fs::read(format!("{out}/1.root.json")).expect("read"));
    let mut cut = 0;
    for kill in 0..12u64 {
        let version = kill.to_string();
        let words = ["component", "add", &large, "--name", "large", "--version", &version, "--kind", "exec"];
        let mut adding = noc.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        tokio::time::sleep(Duration::from_millis(kill * 13)).await;
        let _ = adding.kill();
        let ended = adding.wait().expect("ended").success();
        let listed = noc.json(&["component", "list"]);
        let versions: Vec<_> = listed.as_array().expect("a list").iter().map(|c| c["version"].clone()).collect();
        let is_there = versions.contains(&version.clone().into());
        assert!(is_there || !ended, "{version} was acknowledged");
        cut += u32::from(!is_there);
        let loaded = tuf.load().await.expect("whole");
        assert_eq!(loaded.names().len(), versions.len(), "library and metadata agree");
        if is_there {
            assert_eq!(loaded.target(&format!("large_{version}")).await.expect("all of it").len(), 2 + (3 << 20));
        }
        // What was cut short can be done again.
        if !is_there {
            add(&noc, "large", &version, &large);
        }
    }
    assert!(cut > 0, "some were killed before they were done");
    assert!(noc.good(&["audit", "verify"]).contains("whole") || !noc.good(&["audit", "verify"]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_noc_serves_the_same_components_under_higher_numbers() {
    let mut noc = Served::start();
    let out = begin(&noc);
    let http = appliance(&noc).await;
    add(&noc, "filter", "1", &file(&noc, "one", b"#!one"));
    let mut tuf = Tuf::new(&http, std::fs::read(format!("{out}/1.root.json")).expect("read"));
    tuf.load().await.expect("loads");
    let backup = noc.path("backup");
    noc.good(&["backup", &backup]);
    add(&noc, "filter", "2", &file(&noc, "two", b"#!two"));
    assert_eq!(tuf.load().await.expect("loads").names(), ["filter_1", "filter_2"]);
    let doctor = noc.output(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("keys fit the root"), "{doctor:?}");
    noc.cut_power();
    std::fs::remove_dir_all(noc.dir()).expect("lost");
    noc.good(&["restore", &backup]);
    noc.serve(&[]);
    http.reconnect().await;
    // As soon as it serves, or a moment later.
    let loaded = loop {
        match tuf.load().await {
            Ok(loaded) => break loaded,
            Err(error) => assert!(error.contains("timestamp"), "{error}"),
        }
    };
    assert_eq!(loaded.names(), ["filter_1"]);
    assert_eq!(loaded.target("filter_1").await.expect("read"), b"#!one");

    // Damage is found.
    let files: Vec<_> = std::fs::read_dir(noc.dir().join("components")).expect("listed").collect();
    let file = files[0].as_ref().expect("a file").path();
    std::fs::write(&file, b"#!").expect("cut");
    let doctor = noc.output(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("files are missing or cut: filter_1"), "{doctor:?}");
    assert!(loaded.target("filter_1").await.is_err());
    std::fs::remove_file(noc.dir().join("components.key")).expect("lost");
    let doctor = noc.output(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("make a successor that names them"), "{doctor:?}");
    let second = Path::new(&backup).join("components");
    let copy: Vec<_> = std::fs::read_dir(second).expect("listed").collect();
    std::fs::remove_file(copy[0].as_ref().expect("a file").path()).expect("removed");
    assert!(noc.bad(&["restore", &backup]).contains("it is missing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_signs_where_the_noc_is_not_and_a_backup_holds_what_it_signed() {
    let mut noc = Served::start();
    let out = begin(&noc);
    let http = appliance(&noc).await;
    let (key, described, metadata) = (noc.path("acme.key"), noc.path("acme.json"), noc.path("acme.targets.json"));
    let public = offline(&["component", "vendor", "key", &key]).expect("made").trim().to_owned();
    assert_eq!(mode(Path::new(&key)), 0o600);
    let again = offline(&["component", "vendor", "key", &key]).expect_err("refused");
    assert!(again.contains("[component_key_exists]"), "{again}");
    let describe = |keys: &[&str], more: &[&str]| {
        let words = ["component", "vendor", "describe", "acme", "--component", "scan", "--out", &described];
        let keys: Vec<&str> = keys.iter().flat_map(|key| ["--key", key]).collect();
        offline(&[&words[..], &keys, more].concat())
    };
    assert!(describe(&["nonsense"], &[]).expect_err("refused").contains("[component_invalid]"));
    assert!(!Path::new(&described).exists(), "nothing is left of what was refused");
    let told = describe(&[&public], &[]).expect("described");
    let fingerprint = told.lines().next().and_then(|line| line.split(": ").nth(1)).expect("a fingerprint");
    let added = noc.good(&["component", "vendor", "add", &described]);
    assert!(added.contains(fingerprint) && added.contains("has signed nothing yet"), "{added}");
    assert!(noc.bad(&["component", "vendor", "add", &described]).contains("[component_vendor_exists]"));
    assert!(noc.bad(&["component", "vendor", "add", &key]).contains("[component_vendor_unreadable]"));

    let release = |version: &str, file: &str| {
        let words = ["--name", "scan", "--version", version, "--kind", "exec"];
        offline(&[&["component", "vendor", "release", "--metadata", &metadata, file][..], &words].concat())
    };
    let sign = || offline(&["component", "vendor", "sign", "--key", &key, &metadata]).expect("signed");
    let publish = |file: &str| ["component", "vendor", "publish", "acme", &metadata, file].map(str::to_owned);
    let one = file(&noc, "one", b"#!one");
    release("1", &one).expect("released");
    let words = publish(&one);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(noc.bad(&words).contains("[component_vendor_refused]"), "nobody signed");
    assert!(sign().contains("scan_1"));
    let other = ["component", "vendor", "publish", "bolt", &metadata, &one];
    assert!(noc.bad(&other).contains("[component_vendor_unknown]"));
    assert!(noc.good(&words).contains("scan_1 is new."));
    assert!(noc.bad(&words).contains("[component_vendor_refused]"), "the same once more");
    assert!(noc.good(&["component", "list"]).contains("signed by acme"));
    let own = ["component", "add", &one, "--name", "scan", "--version", "2", "--kind", "exec"];
    assert!(noc.bad(&own).contains("[component_of_vendor]"));
    noc.good(&["component", "promote", "scan", "1"]);
    let mut tuf = Tuf::new(&http, std::fs::read(format!("{out}/1.root.json")).expect("read"));
    assert_eq!(tuf.load().await.expect("loads").target("scan_1").await.expect("read"), b"#!one");

    // A root that names the vendor, without its being asked.
    let online = noc.path("online.json");
    let (first, second) = (format!("{out}/1.root.json"), format!("{out}/2.root.json"));
    let words = ["component", "root", "next", "--after", &first, "--online", &online, "--out", &out];
    let made = offline(&[&words[..], &["--vendor", &described]].concat()).expect("made");
    assert!(made.contains(fingerprint), "{made}");
    for number in [1, 3] {
        let key = format!("{out}/root-1-{number}.key");
        offline(&["component", "root", "sign", "--key", &key, "--after", &first, &second]).expect("signed");
    }
    noc.good(&["component", "rotate", &second]);
    assert!(noc.good(&["component", "vendor", "list"]).contains("named by the root"));
    let foreign = offline(&["component", "vendor", "key", &noc.path("other.key")]).expect("made").trim().to_owned();
    describe(&[&foreign], &[]).expect("described");
    let change = ["component", "vendor", "change", &described];
    assert!(noc.bad(&change).contains("[component_vendor_named_by_root]"));

    // What was published after the backup is published again.
    let backup = noc.path("backup");
    noc.good(&["backup", &backup]);
    let two = file(&noc, "two", b"#!two");
    release("2", &two).expect("released");
    sign();
    let words = publish(&two);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    noc.good(&words);
    assert_eq!(tuf.load().await.expect("loads").target("scan_2").await.expect("read"), b"#!two");
    let doctor = noc.output(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("keys fit the root"), "{doctor:?}");
    noc.cut_power();
    std::fs::remove_dir_all(noc.dir()).expect("lost");
    let restored = noc.good(&["restore", &backup]);
    assert!(restored.contains("vendors signed since"), "{restored}");
    noc.serve(&[]);
    http.reconnect().await;
    assert!(tuf.load().await.is_err(), "not what was in force before");
    noc.good(&words);
    let loaded = tuf.load().await.expect("loads");
    assert_eq!(loaded.target("scan_1").await.expect("read"), b"#!one");
    assert_eq!(loaded.target("scan_2").await.expect("read"), b"#!two");

    // Withdrawn, and removed.
    let withdraw = ["component", "vendor", "renew", &metadata, "--withdraw", "scan=1", "--days", "20"];
    offline(&withdraw).expect("renewed");
    sign();
    let words = ["component", "vendor", "publish", "acme", &metadata];
    assert!(noc.good(&words).contains("scan_1 is retired."));
    let doctor = noc.output(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("what the vendor acme signed ends in "), "{doctor:?}");
    assert!(noc.good(&["component", "vendor", "remove", "acme"]).contains("removed"));
    assert!(noc.bad(&["component", "vendor", "remove", "acme"]).contains("[component_vendor_unknown]"));
    assert_eq!(noc.json(&["component", "list"]).as_array().expect("a list").len(), 2);
    tuf.load().await.expect("loads");
}
