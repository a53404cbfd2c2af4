//! Appliances, and others, that ask the repository of components for what is not theirs, or for too much.

use crate::client::{Device, Http, beat};
use crate::world::{Beating, Noc};
use muster_protocol::api::*;
use reqwest::StatusCode;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use system_tests::process::{program, succeed};

/// A repository with one component of 8 MiB that is everybody's, and one of an organisation's own.
struct Components {
    everybodys: String,
    own: String,
}

fn path(noc: &Noc, name: &str) -> PathBuf {
    noc.folder.path().join(name)
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("UTF-8")
}

impl Components {
    fn begin(noc: &Noc) -> Components {
        let (online, out) = (path(noc, "online.json"), path(noc, "root"));
        std::fs::write(&online, noc.run(&["component", "keys"])).expect("written");
        let offline = |words: &[&str]| succeed(Command::new(program("muster-noc")).args(words));
        offline(&["component", "root", "new", "--online", text(&online), "--out", text(&out)]);
        let root = out.join("1.root.json");
        for key in ["root-1-1.key", "root-1-2.key"] {
            offline(&["component", "root", "sign", "--key", text(&out.join(key)), text(&root)]);
        }
        noc.run(&["component", "init", text(&root)]);
        let file = path(noc, "large");
        std::fs::write(&file, [b"#!".as_slice(), &vec![7; 8 << 20]].concat()).expect("written");
        let add = |name: &str, more: &[&str]| {
            let words = ["component", "add", text(&file), "--name", name, "--version", "1", "--kind", "exec", "--json"];
            let added: Value = serde_json::from_str(&noc.run(&[&words[..], more].concat())).expect("json");
            let word = |field: &str| added[field].as_str().expect("text").to_owned();
            format!("appliances/components/targets/{}.{}", word("sha256"), word("target"))
        };
        Components { everybodys: add("everybodys", &[]), own: add("own", &["--organisation", "default"]) }
    }
}

async fn status(http: &Http, path: &str, range: Option<&str>) -> (StatusCode, u64) {
    let mut request = http.client.get(http.url(path));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    (status, answer.bytes().await.map_or(0, |bytes| bytes.len() as u64))
}

const SIZE: u64 = (8 << 20) + 2;

#[tokio::test]
async fn an_appliance_of_another_organisation_gets_no_target_and_no_word_of_it() {
    let world = Beating::start(1).await;
    let noc = &world.noc;
    let components = Components::begin(noc);
    noc.run(&["organisation", "add", "--handle", "other", "--name", "Other"]);
    let words = ["site", "add", "--json", "--name", "Thun", "--pool", "10.30.0.10-10.30.9.250", "--netmask", "/16"];
    let more = ["--organisation", "other", "--domain", "example.net"];
    let added: Value = serde_json::from_str(&noc.run(&[&words[..], &more].concat())).expect("json");
    let site = muster_protocol::id::SiteId(added["id"].as_u64().expect("a number") as u32);
    let device = Device::new(77);
    let line = format!("serial,mac,uid,claim\nS77,{},{},{}\n", device.mac, device.uid, device.claim.reveal());
    let manifest = path(noc, "others.csv");
    std::fs::write(&manifest, line).expect("written");
    noc.run(&["inventory", "import", "--organisation", "other", text(&manifest)]);
    let seqs = noc.console(site).await.configure(site, std::slice::from_ref(&device)).await;
    let theirs = device.enrol(&world.anybody, seqs[0]).await;
    let ours = &world.appliances[0];

    assert_eq!(status(ours, &components.own, None).await, (StatusCode::OK, SIZE));
    assert_eq!(status(&theirs, &components.everybodys, None).await, (StatusCode::OK, SIZE));
    assert_eq!(status(&theirs, &components.own, None).await.0, StatusCode::NOT_FOUND);
    let metadata = async |http: &Http| {
        let get = async |file: &str| {
            let url = http.url(&format!("appliances/components/metadata/{file}"));
            http.client.get(url).send().await.expect("an answer").json::<Value>().await.expect("json")
        };
        let stamp = get("timestamp.json").await["signed"]["meta"]["snapshot.json"]["version"].clone();
        let snapshot = get(&format!("{stamp}.snapshot.json")).await;
        get(&format!("{}.targets.json", snapshot["signed"]["meta"]["targets.json"]["version"])).await.to_string()
    };
    assert!(metadata(ours).await.contains("own_1"));
    let read = metadata(&theirs).await;
    assert!(read.contains("everybodys_1") && !read.contains("own_1"), "{read}");
}

#[tokio::test]
async fn no_name_leads_out_of_the_repository() {
    let world = Beating::start(1).await;
    let (noc, http) = (&world.noc, &world.appliances[0]);
    let components = Components::begin(noc);
    assert_eq!(status(http, &components.everybodys, None).await, (StatusCode::OK, SIZE));
    let hash = components.everybodys.rsplit('/').next().expect("a file").split('.').next().expect("a hash").to_owned();
    for folder in ["metadata", "targets"] {
        for name in [
            "..%2f..%2froot.key".to_owned(),
            "%2e%2e%2f%2e%2e%2froot.key".to_owned(),
            "%2fetc%2fpasswd".to_owned(),
            "..%5croot.key".to_owned(),
            "root.key".to_owned(),
            "components.key".to_owned(),
            "noc.sqlite".to_owned(),
            "timestamp.json%00".to_owned(),
            format!("{hash}.%2e%2e%2f..%2froot.key"),
            format!("{hash}."),
            format!("{hash}.everybodys_1%00.tar"),
            format!("{hash}.nobodys_1"),
            format!("{}.everybodys_1", "0".repeat(64)),
            hash.clone(),
            "99999999999999999999999999.root.json".to_owned(),
            "-1.root.json".to_owned(),
            "+1.root.json".to_owned(),
            "x".repeat(5_000),
        ] {
            let (got, _) = status(http, &format!("appliances/components/{folder}/{name}"), None).await;
            assert_eq!(got, StatusCode::NOT_FOUND, "{folder} {name}");
        }
    }
    for name in ["../x", "/etc", "a b", "A", "x_y"] {
        let file = path(noc, "large");
        let words = ["component", "add", text(&file), "--name", name, "--version", "1", "--kind", "exec"];
        assert!(noc.refused(&words).contains("[component_invalid]"), "{name}");
    }
    let file = path(noc, "large");
    let words = ["component", "add", text(&file), "--name", "x", "--version", "../1", "--kind", "exec"];
    assert!(noc.refused(&words).contains("[component_invalid]"));
}

#[tokio::test]
async fn ranges_beyond_the_end_get_nothing_and_others_exactly_what_they_name() {
    let world = Beating::start(1).await;
    let http = &world.appliances[0];
    let target = Components::begin(&world.noc).everybodys;
    let (partial, beyond) = (StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE);
    for (range, expected, length) in [
        ("bytes=0-0", partial, 1),
        ("bytes=1-", partial, SIZE - 1),
        ("bytes=-3", partial, 3),
        ("bytes=5-18446744073709551615", partial, SIZE - 5),
        ("bytes=0-0,2-2", StatusCode::OK, SIZE),
        ("bytes=3-1", StatusCode::OK, SIZE),
        ("nonsense", StatusCode::OK, SIZE),
    ] {
        assert_eq!(status(http, &target, Some(range)).await, (expected, length), "{range}");
    }
    for range in
        [format!("bytes={SIZE}-"), "bytes=18446744073709551615-".into(), "bytes=99999999999999999999999-".into()]
    {
        let answer = http.client.get(http.url(&target)).header("range", &range).send().await.expect("an answer");
        assert_eq!(answer.status(), beyond, "{range}");
        assert_eq!(answer.headers()["content-range"], format!("bytes */{SIZE}"), "{range}");
        assert_eq!(answer.json::<Problem>().await.expect("a problem").code, "beyond_end");
    }
    let whole = http.client.get(http.url(&target)).send().await.expect("an answer");
    let tag = whole.headers()["etag"].clone();
    drop(whole);
    for (of, expected) in [(tag.to_str().expect("text"), partial), ("\"other\"", StatusCode::OK)] {
        let request = http.client.get(http.url(&target)).header("range", "bytes=7-9").header("if-range", of);
        assert_eq!(request.send().await.expect("an answer").status(), expected, "{of}");
    }
}

#[tokio::test]
async fn whoever_reads_nothing_of_what_he_asked_for_keeps_nobody_from_beating() {
    let world = Beating::start(2).await;
    let target = Components::begin(&world.noc).everybodys;
    let (greedy, other) = (&world.appliances[0], &world.appliances[1]);
    let mut held = Vec::new();
    for _ in 0..2 {
        let answer = greedy.client.get(greedy.url(&target)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer);
    }
    for _ in 0..20 {
        let answer = greedy.client.get(greedy.url(&target)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.json::<Problem>().await.expect("a problem").code, "too_many_downloads");
    }
    for (http, seq, counter) in [(greedy, world.seqs[0], 2), (other, world.seqs[1], 2)] {
        let beat = beat(1, counter, seq);
        let taken = tokio::time::timeout(Duration::from_secs(5), http.post::<BeatAnswer>("appliances/beats", &beat));
        taken.await.expect("in time").expect("taken");
    }
    assert_eq!(status(other, &target, None).await, (StatusCode::OK, SIZE));
    drop(held);
    // What was given up makes room.
    let room = async {
        while status(greedy, &target, None).await.0 != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), room).await.expect("room");
}
