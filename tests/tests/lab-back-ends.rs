//! A network set by other programs, from the console to the kernel: the real agent in two processes, Debian's ifupdown and a
//! vendor's program, each with an `/etc` of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(60);
/// Whom the worker runs as.
const NOBODY: &str = "64078";
const OURS: &str = "/etc/network/interfaces.d/muster-eth0";
const KEPT: &str = "/run/example-network/settings.json";

/// Address and default route as the kernel has them.
fn in_force(lab: &Lab, number: usize) -> String {
    lab.addresses(number) + lab.ip(&lab.appliances[number - 1].host, "-4 route show default").as_str()
}

/// The image of an appliance whose network others set.
fn image(lab: &Lab, number: usize, network: &str) {
    let etc = lab.appliances[number - 1].root.join("etc");
    fs::create_dir_all(etc.join("muster")).expect("made");
    let text = format!("user = \"{NOBODY}\"\ndrift = \"restore\"\n{network}\n");
    fs::write(etc.join("muster/agent.toml"), text).expect("written");
    fs::create_dir_all(etc.join("network/interfaces.d")).expect("made");
    fs::write(etc.join("network/interfaces"), "source /etc/network/interfaces.d/*\n").expect("written");
    let example = include_str!("../../agent/examples/network-program.py");
    let program = example.replace("/var/lib/example-network", "/run/example-network");
    fs::write(etc.join("vendor-network"), program).expect("written");
    fs::set_permissions(etc.join("vendor-network"), fs::Permissions::from_mode(0o755)).expect("set");
}

#[test]
fn settings_go_through_ifupdown_and_a_vendors_program_and_are_rolled_back_restored_and_forgotten_by_them() {
    let mut lab = Lab::new("e");
    let before = Before { address: None, rp_filter: 1 };
    let manifest = lab.add_appliances(&[(before, ""); 2]);
    for (number, network) in [(1, "network = \"ifupdown\""), (2, "network_program = \"/etc/vendor-network\"")] {
        image(&lab, number, network);
    }
    lab.start_noc(&site(&["--dns1", "10.20.0.1"]), &manifest);
    for number in 1..=2 {
        lab.start_agent_on_own_files(number);
    }
    lab.until_all_answer();
    lab.configure_all();
    for number in 1..=2 {
        lab.until_noc_shows(number, "its first beat", |shown| shown["last_beat"].is_u64());
        let keeper = lab.agent_pid(number);
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).expect("read");
        let worker = children.split_whitespace().next().expect("a worker");
        let status = fs::read_to_string(format!("/proc/{worker}/status")).expect("read");
        assert!(status.contains(&format!("Uid:\t{NOBODY}")), "{status}");
        assert!(in_force(&lab, number).contains("default via 10.20.0.1 dev eth0"), "{}", in_force(&lab, number));
        let resolver = lab.own_file(number, "/etc/resolv.conf");
        assert!(resolver.contains("nameserver 10.20.0.1"), "{resolver}");
    }
    assert!(lab.own_file(1, OURS).starts_with("# Written by muster-agent"), "{}", lab.own_file(1, OURS));
    assert!(lab.own_file(2, KEPT).contains("10.20.0.1"), "{}", lab.own_file(2, KEPT));
    assert!(lab.own_file(2, OURS).is_empty());

    let uid = |number: usize| lab.appliances[number - 1].uid.clone();
    let name = |number: usize| format!("moved-{number}");
    let address = |number: usize| format!("10.20.0.20{number}");
    for number in 1..=2 {
        let words =
            ["appliance", "configure", &uid(number), "--address", &address(number), "--host-name", &name(number)];
        lab.at_noc(&words);
    }
    let mut moved = Vec::new();
    for number in 1..=2 {
        lab.until_noc_shows(number, "new settings in force", |shown| shown["given"]["state"] == "in_force");
        let now = in_force(&lab, number);
        assert!(now.contains(&format!("inet {}/24", address(number))), "{now}");
        assert_eq!(lab.host_name(number), name(number));
        moved.push(now);
    }

    // A gateway that leads nowhere: no beat arrives, and all is as it was.
    for number in 1..=2 {
        let lost = format!("lost-{number}");
        lab.at_noc(&["appliance", "configure", &uid(number), "--gateway", "10.20.0.250", "--host-name", &lost]);
    }
    for number in 1..=2 {
        let shown = lab.until_noc_shows(number, "the failure to be told", |shown| shown["given"]["state"] == "failed");
        assert_eq!(shown["given"]["reason"], "no_beat", "{shown}");
        assert_eq!((&in_force(&lab, number), lab.host_name(number)), (&moved[number - 1], name(number)));
    }

    // By hand.
    for number in 1..=2 {
        lab.ip(&lab.appliances[number - 1].host, &format!("addr del {}/24 dev eth0", address(number)));
    }
    for number in 1..=2 {
        until("what was set to come back", PATIENCE, || {
            let now = in_force(&lab, number);
            if now == moved[number - 1] { Ok(()) } else { Err(format!("{now}\n{}", lab.agent_log(number))) }
        });
    }

    for number in 1..=2 {
        lab.at_noc(&["appliance", "decommission", &uid(number), "--yes"]);
    }
    for number in 1..=2 {
        until("its settings to be forgotten", PATIENCE, || {
            let now = [in_force(&lab, number), lab.own_file(number, OURS), lab.own_file(number, KEPT)].concat();
            if now.is_empty() { Ok(()) } else { Err(format!("{now}\n{}", lab.agent_log(number))) }
        });
    }
}
