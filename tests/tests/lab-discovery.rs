//! Discovery on real interfaces: several at once, and some that come and go meanwhile.

use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

/// A lab with an appliance on the console's network and one on a second bridge that the console has no leg in.
fn two_networks(name: &str) -> Lab {
    let mut lab = Lab::new(name);
    lab.ip("bridge", "link add br1 type bridge mcast_snooping 0");
    lab.ip("bridge", "link set br1 up");
    for _ in 0..2 {
        let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
        lab.label(number);
        lab.start_agent(number);
    }
    lab.ip("bridge", "link set p-a2 nomaster");
    lab.ip("bridge", "link set p-a2 master br1");
    for number in 1..=2 {
        until("the agents to listen", Duration::from_secs(20), || {
            let mut sockets = lab.netns(&format!("a{number}"));
            let text =
                String::from_utf8_lossy(&sockets.args(["ss", "-Hlun"]).output().expect("ss").stdout).into_owned();
            if text.contains("ff12::6878") || text.matches(":6878").count() >= 2 { Ok(()) } else { Err(text) }
        });
    }
    lab
}

/// Gives the console a second leg.
fn plug_in(lab: &Lab, bridge: &str) {
    let peer = lab.netns("bridge").get_args().nth(2).expect("a namespace").to_string_lossy().into_owned();
    lab.ip("console", &format!("link add eth1 type veth peer name p-second netns {peer}"));
    lab.ip("bridge", &format!("link set p-second master {bridge}"));
    lab.ip("bridge", "link set p-second up");
    lab.ip("console", "link set eth1 up");
}

fn unplug(lab: &Lab) {
    lab.ip("console", "link del eth1");
}

fn uids(said: &Value) -> Vec<&str> {
    said["appliances"].as_array().expect("appliances").iter().filter_map(|row| row["uid"].as_str()).collect()
}

fn sent(lab: &Lab) -> u64 {
    let links: Value = serde_json::from_str(&lab.ip("console", "-s -j link show eth0")).expect("ip -j");
    links[0]["stats64"]["tx"]["packets"].as_u64().expect("a count")
}

/// Starts a discovery, and comes back when its first pings have left.
fn begin(lab: &Lab) -> Child {
    let before = sent(lab);
    let mut command = lab.muster_command(&["discover"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("muster starts");
    until("the first pings to leave", Duration::from_secs(20), || {
        let now = sent(lab);
        if now >= before + 2 { Ok(()) } else { Err(format!("{now} packets")) }
    });
    child
}

fn end(child: Child) -> Value {
    let output = child.wait_with_output().expect("muster ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

#[test]
fn an_appliance_on_two_interfaces_is_one_row_and_names_both() {
    let lab = two_networks("i1");
    plug_in(&lab, "br0");
    let said = until("a discovery on both interfaces", Duration::from_secs(60), || {
        let said = lab.muster(&["discover"]);
        let places = said["appliances"][0]["heard_at"].to_string();
        if places.contains("%eth0") && places.contains("%eth1") { Ok(said) } else { Err(said.to_string()) }
    });
    assert_eq!(uids(&said), [lab.appliances[0].uid.as_str()]);
    assert!(said["discovery"]["receive_buffer"].as_u64().is_some_and(|bytes| bytes > 100_000), "{said}");
}

#[test]
fn an_interface_that_is_plugged_in_meanwhile_is_asked_too() {
    let lab = two_networks("i2");
    let mut wanted: Vec<String> = lab.appliances.iter().map(|appliance| appliance.uid.clone()).collect();
    wanted.sort();
    // A discovery on a machine under load may be over before the cable is in; then it has to be tried again.
    until("an interface that comes while a discovery runs", Duration::from_secs(60), || {
        let running = begin(&lab);
        plug_in(&lab, "br1");
        let said = end(running);
        unplug(&lab);
        let mut found = uids(&said);
        found.sort_unstable();
        if found == wanted { Ok(()) } else { Err(said.to_string()) }
    });
}

#[test]
fn an_interface_that_vanishes_meanwhile_is_no_error() {
    let lab = two_networks("i3");
    plug_in(&lab, "br1");
    let running = begin(&lab);
    unplug(&lab);
    let said = end(running);
    assert_eq!(said["discovery"]["problem"], Value::Null);
    assert!(uids(&said).contains(&lab.appliances[0].uid.as_str()), "{said}");
    assert_eq!(said["discovery"]["interfaces"], serde_json::json!(["eth0"]));
}
