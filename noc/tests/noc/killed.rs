//! `kill -9` of the real program in the middle of every kind of write: what was acknowledged is there.

use crate::api::Api;
use crate::world::{Console, Device, Http, World, beat, grant_request, spec};
use muster_noc::SiteSpec;
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId, Uid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KILLS: u64 = 30;

/// What the NOC has acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Where things that were made are to be found.
    made: Vec<String>,
    /// Host names that are reserved: these have no place of their own.
    reserved: Vec<String>,
    grants: Vec<(Uid, Seq)>,
    beats: u64,
}

type Told = Arc<Mutex<Acknowledged>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noc_that_is_killed_again_and_again_keeps_whatever_it_acknowledged() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.noc.add_site(SiteSpec {
        pool: "10.0.0.10-10.0.200.250".into(),
        netmask: "/16".into(),
        gateway: String::new(),
        ..spec()
    });
    let site = site.expect("a site").id;
    let devices = Device::several(0..4);
    world.import(&devices);
    let console = world.console(&[site]).await;
    let seqs = console.configure(site, &devices).await;
    let appliance = devices[0].enrol(&world.anybody().await, seqs[0]).await;
    let listen = world.running.local_addr();
    let World { dir, noc, running } = world;
    running.shutdown().await;
    drop(noc);

    let folder = dir.path().join("noc");
    let told = Told::default();
    let mut server = serve(&folder, listen);
    let writers = [
        tokio::spawn(make_things(root.clone(), site, told.clone())),
        tokio::spawn(grant(console, site, devices, told.clone())),
        tokio::spawn(send_beats(appliance, seqs[0], told.clone())),
    ];
    let acknowledged = || {
        let told = told.lock().expect("told");
        (told.made.len(), told.grants.len(), told.beats)
    };
    for kill in 0..KILLS {
        let before = acknowledged();
        // Until each writer was answered once more, and then a while that is another each time.
        until(|| {
            let now = acknowledged();
            now.0 > before.0 && now.1 > before.1 && now.2 > before.2
        })
        .await;
        tokio::time::sleep(Duration::from_millis(kill * 23 % 97)).await;
        server.0.kill().expect("killed");
        server.0.wait().expect("ended");
        server = serve(&folder, listen);
    }
    writers.iter().for_each(tokio::task::JoinHandle::abort);

    let told = std::mem::take(&mut *told.lock().expect("told"));
    for path in &told.made {
        let found = root.get(path).await;
        assert!(found.status.is_success(), "{path} was acknowledged: {}", found.text);
    }
    let reserved = root.get(&format!("/v1/sites/{site}/reservations.csv")).await.text;
    for name in &told.reserved {
        assert!(reserved.lines().any(|line| line.split(',').any(|cell| cell == name)), "{name} was acknowledged");
    }
    for (uid, seq) in &told.grants {
        let mut path = format!("/v1/appliances/{uid}/versions?limit=1000");
        let mut seen = false;
        loop {
            let page = root.get(&path).await.good();
            seen |= page["items"].as_array().expect("rows").iter().any(|version| version["seq"] == seq.0);
            let Some(next) = page["next"].as_str().filter(|_| !seen) else { break };
            path = format!("/v1/appliances/{uid}/versions?limit=1000&after={next}");
        }
        assert!(seen, "grant {seq} of {uid} was acknowledged");
    }
    let beats = root.get(&format!("/v1/appliances/{}/beats?since=0", Device::new(0).uid)).await.good();
    let counted: Vec<u64> = beats["items"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|beat| beat["values"]["uptime_s"].as_u64())
        .collect();
    // One more may have been kept whose answer was lost.
    assert!((told.beats..=told.beats + 1).contains(&(counted.len() as u64)), "{} of {}", counted.len(), told.beats);
    assert!(counted.windows(2).all(|pair| pair[0] + 1 == pair[1]), "each once, in order: {counted:?}");
    drop(server);
    let verified = Command::new(env!("CARGO_BIN_EXE_muster-noc"))
        .args(["audit", "verify", "--dir"])
        .arg(&folder)
        .output()
        .expect("runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let db = rusqlite::Connection::open(folder.join("noc.sqlite")).expect("opens");
    let broken: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(broken, "ok");
}

/// Sites, reservations and drafts, one after another; what was not answered is let go.
async fn make_things(root: Api, site: SiteId, told: Told) {
    for n in 0u32.. {
        let site_spec = SiteSpec { name: format!("site {n}"), ..spec() };
        let draft = json!({ "edit": { "edit": { "dns1": format!("10.1.{}.{}", n / 250, n % 250 + 1) } } });
        let things: [(&str, String, Value); 3] = [
            ("sites", "/v1/sites".into(), json!({ "organisation": 1, "policy": site_spec })),
            (
                "reservations",
                format!("/v1/sites/{site}/reservations"),
                json!({ "serial": format!("X{n}"), "host_name": format!("kept-{n}") }),
            ),
            (
                "drafts",
                "/v1/drafts".into(),
                json!({ "sites": [site], "title": format!("draft {n}"), "changes": draft }),
            ),
        ];
        for (what, path, body) in things {
            let Some((status, location)) = root.try_post(&path, &body).await else { continue };
            assert_eq!(status, 201, "{what}");
            let mut told = told.lock().expect("told");
            match what {
                "reservations" => told.reserved.push(format!("kept-{n}")),
                _ => told.made.push(location),
            }
        }
    }
}

async fn grant(console: Console, site: SiteId, devices: Vec<Device>, told: Told) {
    let request = PlanRequest { site, appliances: devices.iter().map(Device::plan_for).collect() };
    loop {
        let Some(plan) = console.http.try_post::<Plan>("console/plans", &request).await else { continue };
        let Some(grants) = console.http.try_post::<Grants>("console/grants", &grant_request(&plan)).await else {
            continue;
        };
        let signed = grants.items.iter().map(|item| (item.uid, item.grant.as_ref().expect("granted").seq));
        told.lock().expect("told").grants.extend(signed);
    }
}

async fn send_beats(appliance: Http, seq: Seq, told: Told) {
    let mut counter = 1;
    loop {
        // The same again until it is answered, as an appliance does.
        if appliance.try_post::<BeatAnswer>("appliances/beats", &beat(1, counter, seq)).await.is_some() {
            counter += 1;
            told.lock().expect("told").beats += 1;
        }
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path, listen: SocketAddr) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-noc"));
    command.arg("serve").arg("--dir").arg(PathBuf::from(folder)).args(["--listen", &listen.to_string()]);
    // One that repeats as fast as it can.
    command.env("MUSTER_NOC_BEATS_PER_S_APPLIANCE", "100000");
    let mut server = Server(command.stdout(Stdio::piped()).spawn().expect("starts"));
    let mut ready = String::new();
    BufReader::new(server.0.stdout.as_mut().expect("piped")).read_line(&mut ready).expect("a line");
    assert!(ready.starts_with("Serving "), "{ready}");
    server
}

async fn until(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "nobody is answered any more");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
