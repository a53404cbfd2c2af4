//! What the NOC gives with the answers to beats, on real Linux hosts: the real agent, its kernel and its files.

use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

#[test]
fn an_appliance_is_changed_restarted_asked_for_its_log_and_decommissioned_from_afar() {
    let mut lab = Lab::new("w");
    let manifest = lab.add_appliances(&[(Before { address: None, rp_filter: 1 }, "")]);
    let root = lab.appliances[0].root.clone();
    let mark = root.join("restarted");
    std::fs::create_dir_all(root.join("etc/muster")).expect("made");
    let restart = format!("reboot = [\"sh\", \"-c\", \"echo once >> {}\"]\n", mark.display());
    std::fs::write(root.join("etc/muster/agent.toml"), restart).expect("written");
    lab.start_noc(&site(&[]), &manifest);
    lab.start_agent(1);
    lab.configure_all();
    lab.until_noc_shows(1, "its first beat", |shown| shown["last_beat"].is_u64());
    let uid = lab.appliances[0].uid.clone();
    let noc = |lab: &Lab, words: &[&str]| lab.at_noc(&[&["appliance"], words].concat());

    // Another address and name: kernel and files follow, and the NOC has heard from there.
    noc(&lab, &["configure", &uid, "--address", "10.20.0.200", "--host-name", "moved"]);
    let shown = lab.until_noc_shows(1, "new settings in force", |shown| shown["given"]["state"] == "in_force");
    assert_eq!(shown["settings"]["address"], "10.20.0.200");
    assert!(lab.addresses(1).contains("inet 10.20.0.200/24"), "{}", lab.addresses(1));
    assert_eq!(lab.host_name(1), "moved");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(read("etc/systemd/network/10-muster-eth0.network").contains("Address=10.20.0.200/24"));

    // A gateway that leads nowhere: no beat arrives, and all is as it was.
    noc(&lab, &["configure", &uid, "--gateway", "10.20.0.250", "--host-name", "lost"]);
    let shown = lab.until_noc_shows(1, "the failure to be told", |shown| shown["given"]["state"] == "failed");
    assert_eq!((&shown["given"]["reason"], &shown["settings"]["host_name"]), (&"no_beat".into(), &"moved".into()));
    assert!(lab.ip("a1", "-4 route show default").starts_with("default via 10.20.0.1 "));
    assert_eq!((lab.host_name(1).as_str(), read("etc/hostname").trim()), ("moved", "moved"));

    // Once, although the agent is cut off at any time after.
    noc(&lab, &["reboot", &uid]);
    lab.until_noc_shows(1, "the restart to be reported", |shown| shown["instructions"][0]["done"].is_u64());
    lab.cut_power(1);
    lab.start_agent(1);
    noc(&lab, &["logs", &uid, "--ask"]);
    let shown = lab.until_noc_shows(1, "a log", |shown| shown["log_taken"].is_u64());
    assert_eq!(shown["instructions"][0]["act"], "send_log");
    assert_eq!(read("restarted"), "once\n");
    let log = noc(&lab, &["logs", &uid]);
    let text = log["text"].as_str().expect("text");
    assert!(text.contains("the NOC has given an instruction"), "{text}");
    let claim = lab.appliances[0].label["claim"].as_str().expect("a code").to_owned();
    assert!(!text.contains(&claim), "no secret in it");

    noc(&lab, &["decommission", &uid, "--yes"]);
    lab.until_noc_shows(1, "it leaves", |shown| shown["provisioning"] == "decommissioned");
    until("everything is forgotten", Duration::from_secs(60), || {
        let status = lab.agent_status(1);
        if status["state"] == "unconfigured" { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(lab.addresses(1), "", "no address");
    assert_eq!((lab.host_name(1).as_str(), read("etc/hostname").as_str()), ("localhost", "localhost\n"));
    assert!(!read("etc/hosts").contains("moved") && read("etc/systemd/network/10-muster-eth0.network").is_empty());
    assert!(!root.join("var/lib/muster/noc").exists(), "no certificate");
    let found = until("it answers as from the factory", Duration::from_secs(30), || {
        let found = lab.muster(&["discover"]);
        let row = found["appliances"][0].clone();
        if row["state"] == "unconfigured" { Ok(row) } else { Err(found.to_string()) }
    });
    assert_eq!(found["uid"], uid.as_str(), "with the same identity");
}
