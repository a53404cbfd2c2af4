//! Somebody changes settings by hand: real agents, a real NOC and the console in the lab, and `ip` as that somebody.

use serde_json::{Value, json};
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(40);
const BEFORE: Before<'static> = Before { address: None, rp_filter: 0 };

/// Until the console says so of an appliance: which settings were changed.
fn until_drift(lab: &Lab, number: usize, words: &Value) {
    lab.until_console_shows(number, &format!("drift {words}"), |row| row["values"]["drift"] == *words);
}

fn until_addresses(lab: &Lab, number: usize, count: usize) {
    until(&format!("{count} addresses"), PATIENCE, || {
        let addresses = lab.addresses(number);
        if addresses.lines().count() == count { Ok(()) } else { Err(format!("{addresses}\n{}", lab.agent_log(number))) }
    });
}

/// Appliances with these images, configured and well.
fn configured(name: &str, images: &[&str], more: &[&str]) -> Lab {
    let mut lab = Lab::new(name);
    let appliances: Vec<_> = images.iter().map(|image| (BEFORE, *image)).collect();
    let manifest = lab.add_appliances(&appliances);
    lab.start_noc(&site(more), &manifest);
    for number in 1..=images.len() {
        lab.start_agent(number);
    }
    lab.until_all_answer();
    lab.configure_all();
    for number in 1..=images.len() {
        until_drift(&lab, number, &json!([]));
    }
    lab
}

#[test]
fn a_change_by_hand_is_told_with_the_next_beat_and_undone_where_the_image_says_so() {
    let lab = configured("d", &["", "drift = \"restore\"\n"], &["--dns1", "10.20.0.1"]);

    // Told, and left alone until somebody undoes it.
    let resolver = lab.appliances[0].root.join("etc/resolv.conf");
    let configured = std::fs::read_to_string(&resolver).expect("written by the agent");
    lab.ip("a1", "addr add 10.20.0.98/24 dev eth0");
    std::fs::write(&resolver, "nameserver 203.0.113.1\n").expect("written");
    until_drift(&lab, 1, &json!(["address", "resolver"]));
    assert_eq!(lab.agent_status(1)["drift"], json!(["address", "resolver"]));
    assert_eq!(lab.addresses(1).lines().count(), 2, "the image says to report");
    lab.ip("a1", "addr del 10.20.0.98/24 dev eth0");
    std::fs::write(&resolver, configured).expect("written");
    until_drift(&lab, 1, &json!([]));

    // Undone, also when it is what cuts the appliance off.
    lab.ip("a2", "addr add 10.20.0.97/24 dev eth0");
    until_addresses(&lab, 2, 1);
    until_drift(&lab, 2, &json!([]));
    lab.ip("a2", "route del default");
    until("the default route", PATIENCE, || {
        let route = lab.ip("a2", "-4 route show default");
        if route.starts_with("default via 10.20.0.1 dev eth0") { Ok(()) } else { Err(lab.agent_log(2)) }
    });
    until_drift(&lab, 2, &json!([]));
    assert!(lab.agent_log(2).contains("restoring what was configured"));
}

#[test]
fn the_site_says_what_is_done_about_changes_by_hand_and_changes_its_mind_from_afar() {
    // One whose image says nothing, and one whose image says the contrary, divided into two processes.
    let images = ["", "drift = \"restore\"\nuser = \"64078\"\n"];
    let mut lab = configured("p", &images, &["--drift", "report"]);
    let policy = |lab: &Lab, number: usize, word: &str| {
        lab.until_agent_shows(number, &format!("policy {word}"), |status| status["drift_policy"] == word);
    };
    // It came with the grant.
    for number in 1..=2 {
        policy(&lab, number, "report");
        let shown = lab.until_noc_shows(number, "what it was told", |_| true);
        assert_eq!(shown["instructions"], json!([]), "no instruction was needed");
    }
    lab.ip("a2", "addr add 10.20.0.97/24 dev eth0");
    until_drift(&lab, 2, &json!(["address"]));
    assert_eq!(lab.addresses(2).lines().count(), 2, "the site counts more than the image");

    // With the answer to the next beat it hears that the site has changed its mind; its network is not touched for that.
    let number_of_grant = lab.agent_status(1)["seq"].clone();
    lab.at_noc(&["site", "set", "Lab", "--drift", "restore"]);
    until_addresses(&lab, 2, 1);
    for number in 1..=2 {
        policy(&lab, number, "restore");
        let is_done = |shown: &Value| shown["instructions"][0]["done"].is_u64();
        let shown = lab.until_noc_shows(number, "the instruction to be reported", is_done);
        assert_eq!(shown["instructions"].as_array().map(Vec::len), Some(1), "one was enough: {shown}");
        assert_eq!(shown["instructions"][0]["act"], "restore_drift");
    }
    assert_eq!(lab.agent_status(1)["seq"], number_of_grant, "no new grant");
    lab.ip("a1", "addr add 10.20.0.98/24 dev eth0");
    until_addresses(&lab, 1, 1);

    // It is on disk: a power cut, and a NOC that is away, change nothing about it.
    for number in 1..=2 {
        lab.cut_power(number);
        lab.start_agent(number);
        policy(&lab, number, "restore");
    }

    // What the image says counts again; and another grant brings what the site says by then.
    lab.at_noc(&["site", "set", "Lab", "--drift", "image"]);
    policy(&lab, 1, "report");
    lab.until_noc_shows(2, "the image's policy to be reported", |shown| {
        let newest = &shown["instructions"][0];
        newest["act"] == "drift_by_image" && newest["done"].is_u64()
    });
    policy(&lab, 2, "restore");
    lab.at_noc(&["site", "set", "Lab", "--drift", "restore"]);
    let uid = lab.appliances[0].uid.clone();
    lab.at_noc(&["appliance", "configure", &uid, "--host-name", "moved"]);
    lab.until_noc_shows(1, "new settings in force", |shown| shown["given"]["state"] == "in_force");
    policy(&lab, 1, "restore");
}
