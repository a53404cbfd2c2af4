//! An address that is lost is put back, whatever is to be done about changes by hand; and nothing else is touched with it.

use crate::appliance::{Appliance, settings, there};
use crate::namespaces::{inside, run, run_ip};
use std::fs;

#[test]
fn a_lost_address_is_put_back_and_host_name_and_resolver_stay_as_somebody_set_them() {
    if !inside("put_back::a_lost_address_is_put_back_and_host_name_and_resolver_stay_as_somebody_set_them") {
        return;
    }
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("drift = \"report\"\n");
    appliance.start();
    let mut wanted = settings("192.0.2.10");
    (wanted.gateway, wanted.dns1) = ("192.0.2.1".into(), "192.0.2.53".into());
    appliance.configure("eth0", &wanted).expect("configured");
    let resolver = appliance.folder.path().join("etc/resolv.conf");
    assert!(fs::read_to_string(&resolver).expect("written").contains("192.0.2.53"));
    // The agent has the host name of this test's own namespace.
    assert_eq!(run(&["hostname"]), "mail-01\n");

    run(&["hostname", "by-hand"]);
    fs::write(&resolver, "nameserver 203.0.113.1\n").expect("written");
    let routes = || there("ip -4 route show default");
    for (number, command) in ["ip address del 192.0.2.10/24 dev eth0", "ip route del default"].into_iter().enumerate() {
        there(command);
        appliance.shows("what was lost put back", |status| {
            status["settings_put_back"].as_u64() > Some(number as u64)
                && there("ip -4 -o address show dev eth0").contains("inet 192.0.2.10/24")
                && routes().starts_with("default via 192.0.2.1")
        });
    }
    assert_eq!(run(&["hostname"]), "by-hand\n");
    assert_eq!(fs::read_to_string(&resolver).expect("there"), "nameserver 203.0.113.1\n");

    // A start brings all of it into force: nobody has set a host name since the boot.
    appliance.stop();
    appliance.start();
    appliance.shows("the name", |_| run(&["hostname"]) == "mail-01\n");
}
