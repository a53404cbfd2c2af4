//! Factory reset under a running agent, and one that a power cut interrupted.

use crate::appliance::{Appliance, settings, there};
use crate::namespaces::{inside, peer, run, run_ip};
use muster_agent::storage::{Document, FileStorage, Storage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

#[test]
fn a_reset_that_a_power_cut_interrupted_is_finished_by_the_next_start() {
    if !inside("reset::a_reset_that_a_power_cut_interrupted_is_finished_by_the_next_start") {
        return;
    }
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("");
    appliance.start();
    let uid = appliance.ask("eth0").here.uid();
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    let addresses = || there("ip -4 -o address show dev eth0");
    assert!(addresses().contains("192.0.2.10/24"));

    // What a cut leaves: it was asked for, and nothing, or nearly everything, was done.
    let storage = FileStorage::open(&appliance.folder.path().join("state")).expect("opens");
    for remaining in [true, false] {
        appliance.kill();
        if !remaining {
            storage.remove(Document::Appliance).expect("removed");
        }
        muster_agent::reset::ask(&storage).expect("stored");
        appliance.start();
        appliance.shows("unconfigured", |status| status["running"] == true && status["state"] == "unconfigured");
        // The status may be the former agent's; an answer comes when the reset is done.
        assert_eq!(appliance.ask("eth0").here.uid(), uid, "the identity stays");
        assert_eq!(addresses(), "");
        assert!(storage.load(Document::Reset).expect("reads").is_none(), "it is done once");
    }

    // A program of another name that has the folder is not ended.
    appliance.stop();
    let _held = muster_agent::lock::lock(&appliance.folder.path().join("state")).expect("free");
    let refused = appliance.program(&["reset", "--yes"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("[already_running]"));
    assert!(storage.load(Document::Reset).expect("reads").is_none(), "nor is one asked for behind its back");
}

/// An agent that is configured, and what is stored.
fn configured() -> (Appliance, FileStorage) {
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    let storage = FileStorage::open(&appliance.folder.path().join("state")).expect("opens");
    (appliance, storage)
}

/// The next start does what could not be done.
fn is_done_at_the_next_start(appliance: &mut Appliance, storage: &FileStorage) {
    appliance.start();
    appliance.shows("unconfigured", |status| status["running"] == true && status["state"] == "unconfigured");
    appliance.ask("eth0");
    assert!(storage.load(Document::Reset).expect("reads").is_none(), "it is done once");
    assert_eq!(there("ip -4 -o address show dev eth0"), "");
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reset_under_an_agent_that_hangs_says_so_and_is_done_when_it_starts_again() {
    if !inside("reset::a_reset_under_an_agent_that_hangs_says_so_and_is_done_when_it_starts_again") {
        return;
    }
    let (mut appliance, storage) = configured();
    let agent = Pid::from_raw(appliance.pid());
    kill(agent, Signal::SIGSTOP).expect("sent");
    let refused = complaint(&appliance.program(&["reset", "--yes"]).output().expect("runs"));
    assert!(refused.contains("[agent_does_not_end]") && refused.contains("Restart the appliance"), "{refused}");
    assert!(storage.load(Document::Reset).expect("reads").is_some(), "it stays asked for");
    appliance.kill();
    is_done_at_the_next_start(&mut appliance, &storage);
}

#[test]
fn a_reset_by_somebody_who_may_not_end_the_agent_says_so_and_is_done_when_it_starts_again() {
    if !inside("reset::a_reset_by_somebody_who_may_not_end_the_agent_says_so_and_is_done_when_it_starts_again") {
        return;
    }
    let (mut appliance, storage) = configured();
    let folder = appliance.folder.path();
    // A vendor's button may run as another user who has the state folder.
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("set");
    fs::set_permissions(storage.folder(), Permissions::from_mode(0o777)).expect("set");
    // Who is not root may not reach where it was built.
    let program = folder.join("muster-agent");
    fs::copy(env!("CARGO_BIN_EXE_muster-agent"), &program).expect("copied");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &peer(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(program).args(["reset", "--yes", "--state-dir"]).arg(storage.folder()).arg("--root").arg(folder);
    let refused = complaint(&command.output().expect("runs"));
    assert!(refused.contains("[agent_not_ended]") && refused.contains("as root"), "{refused}");
    assert!(refused.contains(&format!("process {}", appliance.pid())), "{refused}");
    assert_eq!(appliance.status()["running"], true, "it goes on");
    run(&["kill", "-TERM", &appliance.pid().to_string()]);
    appliance.kill();
    is_done_at_the_next_start(&mut appliance, &storage);
}
