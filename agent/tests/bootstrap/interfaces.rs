//! Which interface answers and which is configured; carriers and interfaces that come and go; reverse-path filters.

use crate::appliance::{Appliance, settings, there, until};
use crate::namespaces::{inside, peer, run_ip};

fn add_cable(name: &str) {
    run_ip(&format!("link add {name} type veth peer name {name} netns {}", peer()));
    run_ip(&format!("link set {name} up"));
}

fn mac_of(interface: &str) -> String {
    there(&format!("cat /sys/class/net/{interface}/address")).trim().to_uppercase()
}

fn filter_of(interface: &str) -> String {
    there(&format!("sysctl -n net.ipv4.conf.{interface}.rp_filter")).trim().to_owned()
}

fn addresses_of(interface: &str) -> String {
    there(&format!("ip -4 -o address show dev {interface}"))
}

#[test]
fn the_interface_that_the_console_is_on_is_configured_and_stays_so() {
    if !inside("interfaces::the_interface_that_the_console_is_on_is_configured_and_stays_so") {
        return;
    }
    run_ip("link set eth0 up");
    add_cable("eth1");
    let mut appliance = Appliance::new("");
    appliance.start();
    let here = appliance.ask("eth0").here;
    assert_eq!(here.mac.to_string(), mac_of("eth0"), "the first one answers for itself");
    let here = appliance.ask("eth1").here;
    assert_eq!(here.mac.to_string(), mac_of("eth1"), "and so does the other, once nobody asks on the first");
    appliance.configure("eth1", &settings("192.0.2.10")).expect("configured");
    assert!(addresses_of("eth1").contains("inet 192.0.2.10/24"));
    assert_eq!(addresses_of("eth0"), "");

    // Also after a power cut, from then on there only, and not on another one when it is missing.
    appliance.kill();
    there("ip -4 address flush dev eth1");
    appliance.start();
    let status = appliance.shows("the address on eth1 again", |status| {
        status["running"] == true
            && status["listening"] == serde_json::json!(["eth1"])
            && !addresses_of("eth1").is_empty()
    });
    assert_eq!((&status["interface"], &status["state"]), (&"eth1".into(), &"configured".into()));
    assert_eq!(appliance.ask("eth1").here.mac.to_string(), mac_of("eth1"));
    appliance.kill();
    there("ip link delete eth1");
    appliance.start();
    until("word that it waits", || {
        let log = appliance.log();
        if log.contains("waiting for the interface") { Ok(()) } else { Err(log) }
    });
    assert_eq!(addresses_of("eth0"), "");
    add_cable("eth1");
    appliance.shows("the settings on the new card", |_| addresses_of("eth1").contains("inet 192.0.2.10/24"));
    appliance.stop();

    // A factory reset forgets which it was.
    assert!(appliance.program(&["reset", "--yes"]).status().expect("runs").success());
    assert_eq!(addresses_of("eth1"), "");
    appliance.start();
    appliance.shows("both interfaces", |status| status["listening"] == serde_json::json!(["eth0", "eth1"]));
    assert_eq!(appliance.ask("eth0").here.mac.to_string(), mac_of("eth0"));
}

#[test]
fn an_interface_named_by_its_mac_is_the_only_one_that_answers() {
    if !inside("interfaces::an_interface_named_by_its_mac_is_the_only_one_that_answers") {
        return;
    }
    run_ip("link set eth0 up");
    add_cable("eth1");
    let mut appliance = Appliance::new(&format!("interface = \"{}\"\n", mac_of("eth1")));
    appliance.start();
    assert_eq!(appliance.ask("eth1").here.mac.to_string(), mac_of("eth1"));
    assert_eq!(appliance.status()["listening"], serde_json::json!(["eth1"]));
    appliance.configure("eth1", &settings("192.0.2.10")).expect("configured");
    assert!(addresses_of("eth1").contains("inet 192.0.2.10/24"));

    let refused = |interface: &str| {
        let output = appliance.program(&["label", "--interface", interface]).output().expect("runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    for (interface, code, remedy) in [
        ("02:00:00:00:00:99", "[no_interface]", "with the MAC address 02:00:00:00:00:99"),
        ("02:00:00:00:00", "[interface_invalid]", "or a MAC address"),
        ("eth0:1", "[interface_invalid]", "Give a name"),
    ] {
        let said = refused(interface);
        assert!(said.contains(code) && said.contains(remedy), "{said}");
    }
    for name in ["twin0", "twin1"] {
        there(&format!("ip link add {name} address 02:00:00:00:00:55 type veth"));
    }
    let said = refused("02:00:00:00:00:55");
    assert!(said.contains("[several_interfaces]") && said.contains("twin0, twin1 have"), "{said}");
}

#[test]
fn a_cable_that_is_pulled_and_a_card_that_is_replaced_are_noticed() {
    if !inside("interfaces::a_cable_that_is_pulled_and_a_card_that_is_replaced_are_noticed") {
        return;
    }
    run_ip("link set eth0 up");
    for interface in ["all", "default", "eth0"] {
        there(&format!("sysctl -qw net.ipv4.conf.{interface}.rp_filter=1"));
    }
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.shows("a carrier", |status| status["carrier"] == true);
    run_ip("link set eth0 down");
    appliance.shows("no carrier", |status| status["carrier"] == false);
    let text = appliance.program(&["status"]).output().expect("runs").stdout;
    assert!(String::from_utf8_lossy(&text).contains("Carrier    no"));
    run_ip("link set eth0 up");
    appliance.shows("a carrier again", |status| status["carrier"] == true);
    assert_eq!(appliance.log().matches("no carrier").count(), 1, "{}", appliance.log());

    // A card that comes later gets filters of its own; so does the one in its place.
    there("ip link delete eth0");
    appliance.shows("no interface", |status| status["listening"] == serde_json::json!([]));
    for round in 0..2 {
        add_cable("eth0");
        assert_eq!(appliance.ask("eth0").here.mac.to_string(), mac_of("eth0"), "round {round}");
        until("an open filter", || if filter_of("eth0") == "0" { Ok(()) } else { Err(filter_of("eth0")) });
        if round == 0 {
            there("ip link delete eth0");
        }
    }
    // Killed, it cannot put them back; its next start knows what they were.
    appliance.kill();
    assert_eq!([filter_of("all"), filter_of("eth0")], ["0", "0"]);
    appliance.start();
    appliance.ask("eth0");
    appliance.stop();
    assert_eq!([filter_of("all"), filter_of("eth0")], ["1", "1"], "{}", appliance.log());

    // Final settings need no open filters, and come to the new card as well.
    appliance.start();
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    until("filters put back", || {
        let filters = [filter_of("all"), filter_of("eth0")];
        if filters == ["1", "1"] { Ok(()) } else { Err(filters) }
    });
    there("ip link delete eth0");
    add_cable("eth0");
    let status = appliance.shows("its settings", |status| {
        status["settings_put_back"] == 1 && addresses_of("eth0").contains("inet 192.0.2.10/24")
    });
    assert_eq!(status["mac"], mac_of("eth0"));
    assert_eq!([filter_of("all"), filter_of("eth0")], ["1", "1"]);
}
