//! Somebody changes settings by hand: real agents, a real NOC and the console in the lab, and `ip` as that somebody.

use serde_json::{Value, json};
use std::time::Duration;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const SITE: &[&str] =
    &["--pool", "10.20.0.100-10.20.0.120", "--gateway", "10.20.0.1", "--dns1", "10.20.0.1", "--beat-interval", "5"];

const PATIENCE: Duration = Duration::from_secs(40);

/// What the console knows of an appliance.
fn row(lab: &Lab, number: usize) -> Value {
    let status = lab.muster(&["status"]);
    let rows = status["appliances"].as_array().expect("appliances");
    let uid = &lab.appliances[number - 1].uid;
    rows.iter().find(|row| row["uid"] == uid.as_str()).cloned().unwrap_or_default()
}

/// Until the console says so of an appliance: which settings were changed.
fn until_drift(lab: &Lab, number: usize, words: &Value) {
    until(&format!("drift {words}"), PATIENCE, || {
        let row = row(lab, number);
        if row["health"] == "well" && row["values"]["drift"] == *words { Ok(()) } else { Err(row.to_string()) }
    });
}

fn addresses(lab: &Lab, host: &str) -> usize {
    lab.ip(host, "-4 -o addr show dev eth0 scope global").lines().count()
}

#[test]
fn a_change_by_hand_is_told_with_the_next_beat_and_undone_where_the_image_says_so() {
    let mut lab = Lab::new("d");
    let mut manifest = String::new();
    for _ in 0..2 {
        let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
        let lines = lab.label(number);
        let (header, line) = lines.trim().split_once('\n').expect("a header and a line");
        let before = if manifest.is_empty() { header } else { manifest.trim_end() };
        manifest = format!("{before}\n{line}\n");
    }
    let image = lab.appliances[1].root.join("etc/muster");
    std::fs::create_dir_all(&image).expect("made");
    std::fs::write(image.join("agent.toml"), "drift = \"restore\"\n").expect("written");
    lab.start_noc(SITE, &manifest);
    for number in 1..=2 {
        lab.start_agent(number);
    }
    until("two answers", PATIENCE, || {
        let found = lab.muster(&["discover"]);
        let count = found["appliances"].as_array().map_or(0, Vec::len);
        if count == 2 { Ok(()) } else { Err(found.to_string()) }
    });
    let job = lab.muster(&["configure", "--all-unconfigured"]);
    assert!(job["items"].as_array().expect("items").iter().all(|item| item["step"] == "configured"), "{job}");
    for number in 1..=2 {
        until_drift(&lab, number, &json!([]));
    }

    // Told, and left alone until somebody undoes it.
    let resolver = lab.appliances[0].root.join("etc/resolv.conf");
    let configured = std::fs::read_to_string(&resolver).expect("written by the agent");
    lab.ip("a1", "addr add 10.20.0.98/24 dev eth0");
    std::fs::write(&resolver, "nameserver 203.0.113.1\n").expect("written");
    until_drift(&lab, 1, &json!(["address", "resolver"]));
    assert_eq!(lab.agent_status(1)["drift"], json!(["address", "resolver"]));
    assert_eq!(addresses(&lab, "a1"), 2, "the image says to report");
    lab.ip("a1", "addr del 10.20.0.98/24 dev eth0");
    std::fs::write(&resolver, configured).expect("written");
    until_drift(&lab, 1, &json!([]));

    // Undone, also when it is what cuts the appliance off.
    lab.ip("a2", "addr add 10.20.0.97/24 dev eth0");
    until("one address again", PATIENCE, || match addresses(&lab, "a2") {
        1 => Ok(()),
        many => Err(format!("{many} addresses\n{}", lab.agent_log(2))),
    });
    until_drift(&lab, 2, &json!([]));
    lab.ip("a2", "route del default");
    until("the default route", PATIENCE, || {
        let route = lab.ip("a2", "-4 route show default");
        if route.starts_with("default via 10.20.0.1 dev eth0") { Ok(()) } else { Err(lab.agent_log(2)) }
    });
    until_drift(&lab, 2, &json!([]));
    assert!(lab.agent_log(2).contains("restoring what was configured"));
}
