//! A NOC whose clock jumps: its wall clock is libfaketime's, its monotonic clock the machine's, as when somebody or something
//! sets the time.

use crate::client::{NewConsole, code};
use crate::world::{Noc, Practice, until};
use muster_protocol::api::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use system_tests::wait;

const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];

/// The clock of one server.
pub(crate) struct Clock(PathBuf);

impl Clock {
    /// Gives a NOC that does not serve yet a clock of its own.
    pub(crate) fn of(noc: &mut Noc) -> Clock {
        let library = LIBRARIES.iter().find(|library| Path::new(library).exists());
        let library = library.expect("libfaketime is installed (scripts/setup test)");
        let file = noc.folder.path().join("clock");
        let entry = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        noc.environment = vec![
            entry("LD_PRELOAD", library),
            entry("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("UTF-8")),
            entry("FAKETIME_NO_CACHE", "1"),
            entry("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let clock = Clock(file);
        clock.set("+0");
        clock
    }

    /// As far from the right time as `offset` says: `+400d`, `-20y`.
    pub(crate) fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, offset).and_then(|()| std::fs::rename(&new, &self.0)).expect("written");
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

const YEAR: u64 = 365 * 86_400;

#[tokio::test]
async fn invites_and_leases_follow_the_nocs_clock_and_nothing_else_breaks_when_it_jumps() {
    let mut noc = Noc::stopped();
    let clock = Clock::of(&mut noc);
    noc.serve();
    let site = noc.site("Bern");
    let http = noc.anybody(site).await;
    let console = noc.console(site).await;
    let enrol =
        async |token: &str| http.post::<ConsoleEnrolled>("consoles/enrol", &NewConsole::new().body(token)).await;
    let token = noc.token(site, "1h");
    clock.set("+2h");
    assert_eq!(code(enrol(&token).await), "invite_expired");
    clock.set("-2h");
    enrol(&token).await.expect("by its clock the hour is not over");
    assert_eq!(code(enrol(&token).await), "invite_used", "used stays used whatever the time is");
    clock.set("+0");
    assert_eq!(code(enrol(&token).await), "invite_used");

    let devices = crate::client::Device::several(0..2);
    noc.import_devices(&devices);
    let seqs = console.configure(site, &devices[..1]).await;
    let appliance = devices[0].enrol(&http, seqs[0]).await;
    let mut counter = 0;
    for offset in ["+300d", "-300d", "-50y", "+0"] {
        clock.set(offset);
        counter += 1;
        let answer: BeatAnswer =
            appliance.post("appliances/beats", &crate::client::beat(1, counter, seqs[0])).await.expect("taken");
        let plan = console.plan(site, &devices).await;
        let held = plan.rows[0].settings.as_ref().expect("in force").address.clone();
        assert_eq!((held.as_str(), plan.rows[1].problem.as_ref()), ("10.20.0.10", None), "{offset}");
        match offset {
            "+300d" => assert!(answer.time > now() + YEAR / 2, "the server's clock is ours to set"),
            "-300d" => assert!(answer.time < now() - YEAR / 2),
            _ => {}
        }
        assert_eq!(console.appliance(devices[0].uid).await.last_beat, Some(answer.time), "{offset}");
    }
    let history: Vec<BeatRecord> =
        console.http.get(&format!("console/appliances/{}/beats?since=0", devices[0].uid)).await.expect("history");
    assert_eq!(history.len(), 4, "no beat was lost");
}

#[test]
fn certificates_of_a_time_that_was_wrong_are_replaced_without_a_person() {
    let mut world = Practice::start(&["--count", "2"]);
    world.noc.cut_power();
    // The machine starts without a battery for its clock, and learns the time later.
    let clock = Clock::of(&mut world.noc);
    clock.set("-30y");
    world.noc.serve();
    assert_ne!(world.muster.output(&["status"]).status.code(), Some(0), "a certificate that ended decades ago");
    clock.set("+0");
    wait::until("the console to be served", Duration::from_secs(10), || {
        let output = world.muster.output(&["status"]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    });
    world.configure();
    let accepted = |world: &mut Practice| world.fleet.stats()["beats_accepted"].as_u64().expect("a number");
    wait::until("both beat", Duration::from_secs(20), || {
        let stats = world.fleet.stats();
        if stats["beating"] == 2 { Ok(()) } else { Err(stats.to_string()) }
    });
    // Three years on, by the NOC's clock the appliances' certificates have ended: they enrol again by themselves.
    world.noc.cut_power();
    clock.set("+3y");
    world.noc.serve();
    let before = accepted(&mut world);
    wait::until("beats under new certificates", Duration::from_secs(30), || {
        let stats = world.fleet.stats();
        let more = stats["beats_accepted"].as_u64().expect("a number") >= before + 4;
        if more && stats["beat_errors"] == json!({}) { Ok(()) } else { Err(stats.to_string()) }
    });
}

#[tokio::test]
async fn the_status_daemon_neither_storms_nor_sleeps_when_the_clock_jumps() {
    let mut noc = Noc::stopped();
    let clock = Clock::of(&mut noc);
    noc.serve();
    let site = noc.site("Bern");
    let (console, http) = (noc.console(site).await, noc.anybody(site).await);
    let devices = crate::client::Device::several(0..4);
    noc.import_devices(&devices);
    let seqs = console.configure(site, &devices).await;
    let mut appliances = Vec::new();
    for (device, seq) in devices.iter().zip(&seqs) {
        appliances.push(device.enrol(&http, *seq).await);
    }
    let beats = async |from: usize, counter: u64| {
        for (appliance, seq) in appliances.iter().zip(&seqs).skip(from) {
            let beat = crate::client::beat(1, counter, *seq);
            let _: BeatAnswer = appliance.post("appliances/beats", &beat).await.expect("taken");
        }
    };
    let alerts = async || console.http.get::<Vec<Alert>>("console/alerts").await.expect("alerts");
    beats(0, 1).await;
    // The first becomes silent now; the others go on, whatever the clock shows.
    let begun = Instant::now();
    let mut jumps = ["+1d", "+400d", "-400d", "-20y", "-1h", "+0"].iter().cycle();
    let mut counter = 1;
    while alerts().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(45), "silent although an appliance is");
        clock.set(jumps.next().expect("endless"));
        counter += 1;
        beats(1, counter).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "too early: {:?}", begun.elapsed());
    for _ in 0..4 {
        clock.set(jumps.next().expect("endless"));
        counter += 1;
        beats(1, counter).await;
    }
    let found = alerts().await;
    assert_eq!((found.len(), found[0].appliances.as_slice()), (1, &[devices[0].uid][..]), "no storm");
    counter += 1;
    beats(0, counter).await;
    beats(0, counter + 1).await;
    clock.set("-1y");
    until("the alert closes", 5, async || alerts().await.iter().all(|alert| alert.closed.is_some())).await;
}
