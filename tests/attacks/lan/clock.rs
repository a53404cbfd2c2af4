//! Clocks that are wrong: the agent's program under libfaketime, which changes what time of day it reads while it runs. Its
//! timers go on as they are: no clock of a network can turn those.

use crate::bench::{Bench, steps};
use std::path::PathBuf;
use std::time::Duration;
use system_tests::attacker::owner::ask;
use system_tests::attacker::station::Way;
use system_tests::wait::until;

/// The library, wherever Debian puts it on this processor.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib");
    let candidates = folders.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")));
    candidates.into_iter().find(|path| path.exists()).expect("libfaketime is installed (make setup-test)")
}

/// Sets an appliance's clock, as `-9000d` or `+0`; it counts at once, also for an agent that runs.
fn set_clock(bench: &Bench, number: usize, offset: &str) {
    std::fs::write(clock_file(bench, number), format!("{offset}\n")).expect("a clock");
}

fn clock_file(bench: &Bench, number: usize) -> PathBuf {
    bench.lab.folder().join(format!("clock-{number}"))
}

fn replay(bench: &Bench, mails: &[Vec<u8>]) {
    let before = [bench.picture(1), bench.picture(2)];
    for payload in mails {
        bench.attacker.station.say(payload);
        std::thread::sleep(Duration::from_millis(2));
    }
    for subject in &bench.subjects {
        ask(&bench.desk, subject, Way::Six).expect("an answer");
    }
    assert_eq!([bench.picture(1), bench.picture(2)], before);
}

fn is_well(bench: &Bench, number: usize) -> Result<(), String> {
    let status = bench.lab.muster(&["status"]);
    let uid = bench.subjects[number - 1].uid.to_string();
    let row = status["appliances"].as_array().into_iter().flatten().find(|row| row["uid"] == uid.as_str());
    if row.is_some_and(|row| row["health"] == "well") { Ok(()) } else { Err(status.to_string()) }
}

#[test]
fn a_clock_that_jumps_decades_opens_no_door_and_closes_none_for_good() {
    let mut bench = Bench::with_console("kc", 2);
    for number in [1, 2] {
        let environment = [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock_file(&bench, number).display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        bench.lab.appliances[number - 1].environment.extend(environment);
    }
    set_clock(&bench, 1, "-9000d");
    set_clock(&bench, 2, "+9000d");
    bench.reboot(1);
    bench.reboot(2);
    let year = |number| bench.lab.agent_log(number).lines().last().and_then(|line| line[..4].parse::<u32>().ok());
    assert!(year(1) < Some(2010) && year(2) > Some(2040), "{:?} {:?}", year(1), year(2));

    let job = bench.configure_all();
    assert_eq!(steps(&job), ["configured", "configured"], "{job}");
    until("the one in the past to beat", Duration::from_secs(30), || is_well(&bench, 1));
    until("the one in the future to say why it does not", Duration::from_secs(30), || {
        let status = bench.lab.agent_status(2);
        if status["beat_error"] == "noc_certificate" { Ok(()) } else { Err(status.to_string()) }
    });
    let recorded = bench.attacker.wire.recorded();
    replay(&bench, &recorded);
    // Each to the other end, while they run.
    set_clock(&bench, 1, "+9000d");
    set_clock(&bench, 2, "-9000d");
    replay(&bench, &recorded);
    until("it beats with a clock in the past, too", Duration::from_secs(60), || is_well(&bench, 2));
    let plan = bench.plan_again(&job, "10.20.0.153");
    let again = bench.lab.muster(&["configure", "--plan", &plan]);
    assert_eq!(steps(&again), ["configured"], "{again}");
    replay(&bench, &recorded);
    set_clock(&bench, 1, "+0");
    set_clock(&bench, 2, "+0");
    for number in [1, 2] {
        until("both to beat with the right time", Duration::from_secs(60), || is_well(&bench, number));
    }
}
