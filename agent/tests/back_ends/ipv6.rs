//! IPv6 beside IPv4 with each back end: in force, lasting, rolled back exactly, missed when it is gone; duplicates are found, and what
//! a router advertises stays.

use crate::host::{
    Daemon, assert_in_force, hasty, network, on_a_host_of_its_own, settings, settings6, silent, state, until,
};
use crate::namespaces::{peer, run, run_ip};
use crate::networkd::networkd;
use crate::networkmanager::manager;
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::drift::Setting;
use muster_agent::network::live::LiveNetwork;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage, Storage};
use muster_protocol::wire::result::Reason;
use std::fs;

/// A router that advertises a network, and itself, every second.
const ROUTER: &str = r#"
import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
i = socket.if_nametoindex("eth0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, i)
router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:a::"))
while True:
    try:
        s.sendto(router + prefix, ("ff02::1", 0, 0, i))
    except OSError:
        pass
    time.sleep(0.5)
"#;

fn router() -> Daemon {
    Daemon::start(&["ip", "netns", "exec", &peer(), "python3", "-c", ROUTER])
}

/// Whether there are an address and a default route by advertisement.
fn is_advertised() -> bool {
    run_ip("-6 -o address show dev eth0 scope global dynamic").contains("2001:db8:a:")
        && run_ip("-6 route show default dev eth0").contains("via fe80::")
}

/// Everything static of IPv6.
fn state6() -> String {
    let addresses = run_ip("-6 -o address show dev eth0 scope global permanent");
    let mut addresses: Vec<&str> = addresses.lines().filter_map(|line| line.split_whitespace().nth(3)).collect();
    addresses.sort_unstable();
    let routes = run_ip("-6 route show table main dev eth0");
    let is_static = |line: &&str| !line.contains("proto kernel") && !line.contains("proto ra");
    let mut routes: Vec<&str> = routes.lines().map(str::trim).filter(is_static).collect();
    routes.sort_unstable();
    format!("{}\n{}\n{}", addresses.join("\n"), routes.join("\n"), state())
}

fn is_in_force6(host: u8) -> bool {
    let address = run_ip("-6 -o address show dev eth0 -tentative -dadfailed");
    let routes = run_ip("-6 route show default dev eth0");
    address.contains(&format!(" 2001:db8:1::{host}/64 ")) && routes.contains("via 2001:db8:1::1 ")
}

/// The kernel has exactly these settings, and can use them.
fn assert_in_force6(host: u8) {
    assert_in_force(host);
    assert!(is_in_force6(host), "{}", state6());
    let ours = run_ip("-6 -o address show dev eth0 to 2001:db8:1::/64");
    assert_eq!(ours.lines().count(), 1, "{}", state6());
}

fn set_by_hand() {
    for line in [
        "link set eth0 up",
        "-6 address add 2001:db8:9::9/64 dev eth0 nodad",
        "-6 route add 2001:db8:99::/48 via 2001:db8:9::1 dev eth0",
    ] {
        run_ip(line);
    }
}

/// All that settings with IPv6 go through.
async fn assert_lives6<S: Storage>(network: &LiveNetwork<S>) {
    let before = state6();
    network.apply(&settings6(10), &silent).await.expect("applied");
    assert_in_force6(10);
    network.roll_back().await.expect("rolled back");
    assert_eq!(state6(), before);

    run(&["ip", "-n", &peer(), "-6", "address", "add", "2001:db8:1::11/64", "dev", "eth0", "nodad"]);
    let error = network.apply(&settings6(11), &silent).await.expect_err("a duplicate");
    assert_eq!((error.code(), error.to_failure().reason), ("address_taken", Reason::AddressTaken), "{error}");
    assert!(error.to_string().contains("2001:db8:1::11"), "{error}");
    network.roll_back().await.expect("rolled back");
    assert_eq!(state6(), before);

    network.apply(&settings6(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [], "{}", state6());
    run_ip("-6 route del default via 2001:db8:1::1 dev eth0");
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [Setting::Gateway], "{}", state6());
    run_ip("-6 address del 2001:db8:1::10/64 dev eth0");
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [Setting::Address, Setting::Gateway]);
    network.restore(&settings6(10)).await.expect("set again");
    // The kernel asks once more whether the address is free.
    until("detection", || is_in_force6(10)).await;
    assert_in_force6(10);
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [], "{}", state6());

    let both = state6();
    network.apply(&settings6(12), &silent).await.expect("another address");
    assert_in_force6(12);
    network.roll_back().await.expect("rolled back");
    until("detection", || is_in_force6(10)).await;
    assert_in_force6(10);
    assert_eq!(state6(), both);

    // The same address with IPv4 alone: what was ours goes, and comes back.
    network.apply(&settings(10), &silent).await.expect("without IPv6");
    assert_in_force(10);
    assert!(!state6().contains("2001:db8:1:"), "{}", state6());
    network.roll_back().await.expect("rolled back");
    until("detection", || is_in_force6(10)).await;
    assert_in_force6(10);
    assert_eq!(state6(), both);
}

async fn assert_forgets6<S: Storage>(network: &LiveNetwork<S>) {
    for _ in 0..2 {
        network.forget(&settings6(10)).await.expect("forgotten");
        until("the last trace to go", || !state6().contains("2001:db8:1:")).await;
    }
}

#[tokio::test]
async fn without_a_daemon() {
    if !on_a_host_of_its_own("ipv6::without_a_daemon") {
        return;
    }
    set_by_hand();
    let _router = router();
    until("the router", is_advertised).await;
    let network = network(BackEnd::Bare, MemoryStorage::default());
    assert_lives6(&network).await;
    assert!(is_advertised(), "what a router advertises was never touched: {}", state6());
    assert!(state6().contains("2001:db8:9::9/64") && state6().contains("2001:db8:99::/48"), "nor what others set");
    // The static route comes before the advertised one.
    assert!(run_ip("-6 route get 2001:db8:77::1").contains("via 2001:db8:1::1"));

    // As after a start, and when a cable was out: the kernel forgets addresses of IPv6 then.
    run_ip("link set eth0 down");
    run_ip("link set eth0 up");
    network.resume(&settings6(10)).await.expect("resumed");
    until("detection", || is_in_force6(10)).await;
    assert_forgets6(&network).await;
    assert!(state6().contains("2001:db8:9::9/64") || !state6().contains("db8:1:"), "{}", state6());
}

#[tokio::test]
async fn after_a_power_cut() {
    if !on_a_host_of_its_own("ipv6::after_a_power_cut") {
        return;
    }
    set_by_hand();
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state6();
    network(BackEnd::Bare, storage.clone()).apply(&settings6(10), &silent).await.expect("applied");
    assert_in_force6(10);
    // A new process: only the disk knows.
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    assert_eq!(state6(), before);
}

#[tokio::test]
async fn where_it_is_switched_off_or_nobody_can_be_asked() {
    if !on_a_host_of_its_own("ipv6::where_it_is_switched_off_or_nobody_can_be_asked") {
        return;
    }
    set_up("eth0").await.expect("up");
    let before = state6();
    fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1").expect("written");
    let network = network(BackEnd::Bare, MemoryStorage::default());
    let error = network.apply(&settings6(10), &silent).await.expect_err("refused");
    assert_eq!(error.code(), "ipv6_off", "{error}");
    assert!(error.to_string().contains("net.ipv6.conf.eth0.disable_ipv6"), "{error}");
    assert!(!network.is_provisional(), "before anything was changed");
    assert_eq!(state6(), before);
    // IPv4 alone is as good as ever, also when what is final says more: the appliance is reachable and can tell.
    network.apply(&settings(10), &silent).await.expect("applied");
    network.roll_back().await.expect("rolled back");
    network.resume(&settings6(10)).await.expect("resumed without IPv6");
    assert_in_force(10);
    network.forget(&settings6(10)).await.expect("forgotten");
    fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0").expect("written");

    // Without a carrier the kernel cannot ask; that proves nothing, and holds nobody up.
    run(&["ip", "-n", &peer(), "link", "set", "eth0", "down"]);
    let begun = std::time::Instant::now();
    network.apply(&settings6(10), &silent).await.expect("applied");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(state6().contains("2001:db8:1::10/64"), "{}", state6());
    run(&["ip", "-n", &peer(), "link", "set", "eth0", "up"]);
    until("detection", || is_in_force6(10)).await;
}

#[tokio::test]
async fn with_networkd() {
    if !on_a_host_of_its_own("ipv6::with_networkd") {
        return;
    }
    let _bus = Daemon::bus().await;
    let daemon = networkd().await;
    set_by_hand();
    let network = network(BackEnd::Networkd, MemoryStorage::default());
    assert_lives6(&network).await;
    let _router = router();
    until("the router", is_advertised).await;
    assert!(run_ip("-6 route get 2001:db8:77::1").contains("via 2001:db8:1::1"), "{}", run_ip("-6 route"));
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [], "{}", state6());

    daemon.end();
    run_ip("address flush dev eth0 scope global");
    let daemon = networkd().await;
    until("what lasts", || is_in_force6(10)).await;
    // At the agent's start the daemon is away: the agent does it.
    daemon.end();
    run_ip("address flush dev eth0 scope global");
    hasty(BackEnd::Networkd, MemoryStorage::default()).resume(&settings6(10)).await.expect("resumed");
    until("detection", || is_in_force6(10)).await;
    let _daemon = networkd().await;
    assert_forgets6(&network).await;
}

#[tokio::test]
async fn with_networkmanager() {
    if !on_a_host_of_its_own("ipv6::with_networkmanager") {
        return;
    }
    let _bus = Daemon::bus().await;
    set_by_hand();
    let _daemon = manager().await;
    until("NetworkManager to watch", || {
        run(&["nmcli", "-g", "GENERAL.STATE", "device", "show", "eth0"]).contains("externally")
    })
    .await;
    let network = network(BackEnd::NetworkManager, MemoryStorage::default());
    assert_lives6(&network).await;
    let resolver = fs::read_to_string("/etc/resolv.conf").expect("there");
    assert!(resolver.contains("nameserver 2001:db8:1::53") && resolver.contains("nameserver 192.0.2.53"), "{resolver}");
    let _router = router();
    until("the router", is_advertised).await;
    assert!(run_ip("-6 route get 2001:db8:77::1").contains("via 2001:db8:1::1"), "{}", run_ip("-6 route"));
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [], "{}", state6());
    assert_forgets6(&network).await;
}

#[tokio::test]
async fn with_ifupdown() {
    if !on_a_host_of_its_own("ipv6::with_ifupdown") {
        return;
    }
    // The family's stanza is the site's, and stays.
    let site = "source /etc/network/interfaces.d/*\niface eth0 inet6 manual\n";
    fs::write("/etc/network/interfaces", site).expect("written");
    set_by_hand();
    let network = network(BackEnd::Ifupdown, MemoryStorage::default());
    assert_lives6(&network).await;
    let _router = router();
    until("the router", is_advertised).await;
    assert_eq!(network.drift(&settings6(10)).await.expect("looked"), [], "{}", state6());
    assert_eq!(fs::read_to_string("/etc/network/interfaces").expect("there"), site);

    // What the machine does when it goes down and comes up.
    run(&["ifdown", "-a"]);
    assert!(!run_ip("-6 address show dev eth0").contains("2001:db8:1::10/64"), "{}", state6());
    run(&["ifup", "-a"]);
    until("what lasts", || is_in_force6(10)).await;
    assert_forgets6(&network).await;
}
