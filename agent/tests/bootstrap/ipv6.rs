//! IPv6 of a configured appliance: lost with a cable or taken off by hand, it comes back; a duplicate is refused and told.

use crate::appliance::{Appliance, settings, there};
use crate::namespaces::{inside, run_ip};
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::result::Reason;

fn with_ipv6(address6: &str) -> RawSettings {
    RawSettings { address6: address6.into(), gateway6: "fe80::1".into(), ..settings("192.0.2.10") }
}

fn is_in_force() -> bool {
    there("ip -6 -o address show dev eth0 -tentative -dadfailed").contains(" 2001:db8::10/64 ")
        && there("ip -6 route show default").contains("via fe80::1 dev eth0")
}

#[test]
fn ipv6_that_is_gone_is_put_back_and_a_duplicate_refused() {
    if !inside("ipv6::ipv6_that_is_gone_is_put_back_and_a_duplicate_refused") {
        return;
    }
    run_ip("link set eth0 up");
    run_ip("-6 address add 2001:db8::66/64 dev eth0 nodad");
    let mut appliance = Appliance::new("");
    appliance.start();
    assert_eq!(appliance.configure("eth0", &with_ipv6("2001:db8::66/64")), Err(Reason::AddressTaken));
    assert!(!there("ip -6 -o address show dev eth0").contains("2001:db8::66"));

    appliance.configure("eth0", &with_ipv6("2001:db8::10/64")).expect("configured");
    assert!(is_in_force(), "{}", there("ip -6 address show dev eth0"));
    let text = String::from_utf8(appliance.program(&["status"]).output().expect("runs").stdout).expect("text");
    assert!(text.contains("IPv6       2001:db8::10/64") && text.contains("Gateway 6  fe80::1"), "{text}");

    there("ip -6 address del 2001:db8::10/64 dev eth0");
    appliance.shows("the address put back", |status| status["settings_put_back"].as_u64() >= Some(1) && is_in_force());
    // The kernel forgets IPv6 addresses with the link, but not those of IPv4.
    there("ip link set eth0 down");
    appliance.shows("everything back", |_| is_in_force());
    // One that somebody else took meanwhile is asked for until it is free.
    there("ip link set eth0 down");
    run_ip("-6 address add 2001:db8::10/64 dev eth0 nodad");
    appliance.shows("a duplicate", |_| there("ip -6 -o address show dev eth0").contains("dadfailed") && !is_in_force());
    run_ip("-6 address del 2001:db8::10/64 dev eth0");
    appliance.shows("the address free again", |_| is_in_force());
}
