//! Running the program: its configuration, its log, and its end.

use crate::api::{PASSWORD, sign_in};
use crate::client::{Device, Http, beat};
use crate::served::{Served, free_port};
use muster_protocol::api::*;
use muster_protocol::id::Seq;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_flag_goes_before_the_environment_and_that_before_noc_toml() {
    let mut noc = Served::stopped();
    let site = noc.site();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let [port, other, third] = [noc.port, free_port(), free_port()];
    let from = |noc: &Served, name: &str| {
        let listed = noc.json(&["config"]);
        let row = listed.as_array().expect("rows").iter().find(|row| row["name"] == name).expect("listed").clone();
        (row["value"].as_str().expect("text").to_owned(), row["from"].clone())
    };
    assert_eq!(from(&noc, "listen"), (at(port), "file".into()));
    assert_eq!(from(&noc, "log"), ("info,refinery_core=warn".to_owned(), "default".into()));
    assert!(noc.good(&["config"]).lines().any(|line| line.starts_with("listen ") && line.ends_with("noc.toml")));
    assert!(noc.serve(&[]).ends_with(&format!(" at {}.", at(port))));
    assert!(noc.terminate());

    noc.environment.push(("MUSTER_NOC_LISTEN", at(other)));
    noc.environment.push(("MUSTER_NOC_ADDRESSES", "noc.example.net:7000,127.0.0.1".into()));
    assert_eq!(from(&noc, "listen"), (at(other), serde_json::json!({ "environment": "MUSTER_NOC_LISTEN" })));
    assert!(noc.good(&["config"]).lines().any(|line| line.ends_with("MUSTER_NOC_LISTEN")));
    assert_eq!(noc.invite(site)["noc"], "noc.example.net:7000", "also for the commands beside it");
    assert!(noc.serve(&[]).ends_with(&format!("noc.example.net:7000 at {}.", at(other))));
    assert!(noc.terminate());
    assert!(noc.serve(&["--listen", &at(third)]).ends_with(&format!(" at {}.", at(third))));
    noc.cut_power();

    for (variable, value) in [
        ("MUSTER_NOC_LISTEN", "7000"),
        ("MUSTER_NOC_ADDRESSES", "https://noc"),
        ("MUSTER_NOC_METRICS", "0.0.0.0:9878"),
        ("MUSTER_NOC_LOG_FORMAT", "xml"),
    ] {
        noc.environment = vec![(variable, value.to_owned())];
        for words in [&["serve"][..], &["config"], &["site", "list"]] {
            let error = noc.bad(words);
            let told = error.contains("[bad_variable]") && error.contains(variable) && error.contains(value);
            assert!(told && error.contains("what to do"), "{words:?}: {error}");
        }
    }
    noc.environment.clear();
    let file = noc.dir().join("noc.toml");
    let text = std::fs::read_to_string(&file).expect("read");
    for (line, says) in
        [("metrics = \"0.0.0.0:1\"", "`metrics` is"), ("log = \"a=b=c\"", "`log` is"), ("logs = 1", "logs")]
    {
        std::fs::write(&file, format!("{text}{line}\n")).expect("written");
        let error = noc.bad(&["serve"]);
        assert!(error.contains("[folder_damaged]") && error.contains(says), "{error}");
    }
    std::fs::write(&file, format!("{text}log = \"warn\"\n")).expect("written");
    assert_eq!(from(&noc, "log"), ("warn".to_owned(), "file".into()));
    assert!(noc.bad(&["serve", "--log", "a=b=c"]).contains("is no filter of a log"));
    assert!(noc.bad(&["serve", "--log-format", "xml"]).contains("neither text nor json"));
    noc.serve(&[]);
    assert!(noc.terminate());
    assert_eq!(noc.log().matches(" serving").count(), 3, "the last one was told to say warnings only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_json_reads_line_by_line_and_holds_no_secret_and_no_address_of_anybody() {
    let mut noc = Served::stopped();
    let site = noc.site();
    noc.environment.push(("MUSTER_NOC_LOG_FORMAT", "json".into()));
    let mut secrets = Vec::new();
    // Everything that our own code says, and then what it says to everybody.
    for log in ["muster_noc=trace,info", "info"] {
        noc.serve(&["--log", log]);
        let device = Device::new(secrets.len() as u32);
        noc.import(std::slice::from_ref(&device));
        let invite = noc.invite(site);
        let token = invite["token"].as_str().expect("a token").to_owned();
        let from_elsewhere = elsewhere(&noc.anybody(site).await);
        let console = crate::client::Console::enrol(&from_elsewhere, &token).await;
        let seq = console.configure(site, std::slice::from_ref(&device)).await[0];
        let http = device.enrol(&from_elsewhere, seq).await;
        http.post::<BeatAnswer>("appliances/beats", &beat(1, 1, seq)).await.expect("taken");
        let refused = from_elsewhere.post::<Value>("sessions", &sign_in("nobody", PASSWORD, "bearer")).await;
        assert_eq!(crate::client::code(refused), "sign_in_refused");
        noc.good(&["appliance", "reboot", &device.uid.to_string()]);
        http.post::<BeatAnswer>("appliances/beats", &beat(1, 2, seq)).await.expect("taken");
        assert!(noc.terminate());
        secrets.extend([token, device.claim.reveal().to_string(), PASSWORD.to_owned()]);
    }
    let log = noc.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"));
        for name in ["time", "level", "target", "message"] {
            assert!(line[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {line}");
        }
        let is_loud = ["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().expect("text"));
        assert!(!is_loud || !line.to_string().contains(&ELSEWHERE.to_string()), "an address of somebody: {line}");
    }
    for message in ["serving", "an instruction goes to an appliance"] {
        assert_eq!(log.matches(&format!("\"message\":\"{message}\"")).count(), 2, "{message}: {log}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

/// The address that others come from in this test.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// The same client, at another address.
fn elsewhere(anybody: &Http) -> Http {
    let mut elsewhere = anybody.clone();
    let builder = reqwest::Client::builder().local_address(ELSEWHERE).tls_certs_only([anybody.ca.clone()]);
    elsewhere.client = builder.build().expect("a client");
    elsewhere
}

/// Sends one beat until it is acknowledged, as appliances do; how often it took.
async fn deliver(http: &Http, counter: u64, seq: Seq) -> u64 {
    for tries in 1.. {
        let sent = http.client.post(http.url("appliances/beats")).json(&beat(1, counter, seq)).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => return tries,
            // It stops, or it is not there.
            Ok(answer) => assert_eq!(answer.status(), 503, "{}", answer.text().await.unwrap_or_default()),
            Err(error) => assert!(!error.is_timeout(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("counting ends late")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_restarts_under_load_lose_no_beat_and_count_none_twice() {
    const APPLIANCES: u32 = 12;
    let mut noc = Served::start();
    let (site, devices) = (noc.site(), Device::several(0..APPLIANCES));
    noc.import(&devices);
    let (console, anybody) = (noc.console(site).await, noc.anybody(site).await);
    let seqs = console.configure(site, &devices).await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut beating = tokio::task::JoinSet::new();
    for (device, seq) in devices.iter().zip(seqs) {
        let http = device.enrol(&anybody, seq).await;
        let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
        beating.spawn(async move {
            let (mut counter, mut again) = (0, 0);
            while !stop.load(Ordering::SeqCst) {
                counter += 1;
                again += deliver(&http, counter, seq).await - 1;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            (counter, again)
        });
    }
    let noc = tokio::task::block_in_place(move || {
        for restart in 0..10 {
            let before = acknowledged.load(Ordering::SeqCst);
            crate::served::until("beats in between", || acknowledged.load(Ordering::SeqCst) > before + 50);
            assert!(noc.terminate(), "restart {restart}");
            assert!(!noc.dir().join("noc.sqlite-wal").exists(), "the database was closed");
            noc.serve(&[]);
        }
        let before = acknowledged.load(Ordering::SeqCst);
        crate::served::until("beats after the last", || acknowledged.load(Ordering::SeqCst) > before + 50);
        noc
    });
    stop.store(true, Ordering::SeqCst);
    let ends = beating.join_all().await;
    let (sent, again): (u64, u64) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    assert!(again > 0, "nobody met a restart");
    let db = noc.database();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("counted");
    assert_eq!(
        count(
            "SELECT (SELECT coalesce(sum(beats), 0) FROM beat_journal) + (SELECT coalesce(sum(beats), 0) FROM beat_blocks)"
        ),
        sent,
        "each is in the history, once"
    );
    assert_eq!(count("SELECT sum(counter) FROM appliances"), sent);
    assert_eq!(count("SELECT count(*) FROM appliances WHERE gaps <> '[]'"), 0);
    assert_eq!(count("SELECT count(*) FROM alerts"), 0, "nobody was judged by a restart");
    assert!(!noc.log().contains("ERROR"), "{}", noc.log());
}

#[test]
fn the_unit_that_is_shipped_is_one_that_systemd_takes_and_finds_safe() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let unit = std::fs::read_to_string(packaging.join("muster-noc.service")).expect("the unit");
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("muster-noc.service");
    assert!(unit.contains("ExecStart=/usr/bin/muster-noc serve"));
    let there = unit.replace("/usr/bin/muster-noc", env!("CARGO_BIN_EXE_muster-noc"));
    std::fs::write(&here, there).expect("written");
    let analyze = |words: &[&str]| {
        let output = Command::new("systemd-analyze").args(words).arg(&here).output().expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        said
    };
    let said = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(!said.contains("muster-noc.service"), "nothing about it: {said}");
    // 0 is the safest, in tenths.
    analyze(&["security", "--offline=true", "--threshold=15"]);
    let users = std::fs::read_to_string(packaging.join("muster-noc.sysusers.conf")).expect("the user");
    assert!(users.lines().any(|line| line.starts_with("u muster-noc ")) && unit.contains("User=muster-noc\n"));
}

#[test]
fn the_service_manager_is_told_when_it_serves_that_it_is_not_stuck_and_when_it_ends() {
    let mut noc = Served::stopped();
    let path = noc.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let next = || {
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).expect("told in time");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    };
    noc.environment = vec![("NOTIFY_SOCKET", path.clone()), ("WATCHDOG_USEC", "200000".to_owned())];
    noc.serve(&[]);
    assert_eq!(next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    assert!(noc.terminate());
    let last = std::iter::repeat_with(next).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));

    // Nobody there to be told is no reason not to serve.
    std::fs::remove_file(&path).expect("removed");
    noc.serve(&[]);
    assert!(noc.terminate());
    assert!(noc.log().contains("the service manager could not be told `READY=1`"), "{}", noc.log());
}
