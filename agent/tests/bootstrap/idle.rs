//! What the agent costs while nothing happens, and while too much does: wake-ups, counted by the kernel.

use crate::appliance::{Appliance, there, until};
use crate::namespaces::{inside, peer, run_ip};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often the program went to sleep, in all of its threads.
fn wake_ups(pid: i32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("runs");
    let of = |path: std::path::PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:").map(str::to_owned));
        line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    threads.filter_map(|thread| Some(of(thread.ok()?.path()))).sum()
}

/// What it had begun is over when it was asleep for a second.
fn falls_asleep(pid: i32) {
    let mut last = (wake_ups(pid), Instant::now());
    until("a second of sleep", || {
        let now = wake_ups(pid);
        if now != last.0 {
            last = (now, Instant::now());
        }
        if last.1.elapsed() >= Duration::from_secs(1) { Ok(()) } else { Err(last) }
    });
}

#[test]
fn idle_it_sleeps_and_a_storm_of_changes_wakes_it_now_and_then() {
    if !inside("idle::idle_it_sleeps_and_a_storm_of_changes_wakes_it_now_and_then") {
        return;
    }
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.ask("eth0");
    let pid = appliance.pid();
    falls_asleep(pid);
    // The measurement takes its time; nothing is waited for.
    const MEASURED: Duration = Duration::from_secs(10);
    let before = wake_ups(pid);
    std::thread::sleep(MEASURED);
    let idle = wake_ups(pid) - before;
    println!("idle: {idle} wake-ups in {MEASURED:?}");
    // With a look every three seconds it would be some sixty.
    assert!(idle <= 20, "{idle} wake-ups in {MEASURED:?}");

    there("ip link add storm0 type veth peer name storm1");
    appliance.shows("the new interface", |status| status["listening"].to_string().contains("storm0"));
    falls_asleep(pid);
    let lines: String = (0..5_000)
        .map(|_| "address add 198.51.100.1/24 dev storm0\naddress del 198.51.100.1/24 dev storm0\n")
        .collect();
    let batch = appliance.folder.path().join("batch");
    fs::write(&batch, lines).expect("written");
    let (before, started) = (wake_ups(pid), Instant::now());
    let storm = Command::new("ip").args(["-n", &peer(), "-batch"]).arg(&batch).status().expect("runs");
    assert!(storm.success());
    let (woken, took) = (wake_ups(pid) - before, started.elapsed());
    println!("storm: {woken} wake-ups for 10,000 changes in {took:?}");
    // Were each of them read by itself, it would be thousands.
    assert!(woken <= 500 + 200 * took.as_secs(), "{woken} wake-ups for 10,000 changes in {took:?}");
    appliance.ask("eth0");
}
