//! Factory reset under a running agent, and one that a power cut interrupted.

use crate::appliance::{Appliance, settings, there};
use crate::namespaces::{inside, run_ip};
use muster_agent::storage::{Document, FileStorage, Storage};

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
