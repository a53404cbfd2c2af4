//! Address conflicts with another host on the link: the kernel at the other end of the cable, and busybox.

use crate::appliance::{Appliance, Running, settings, there, until};
use crate::namespaces::{inside, run, run_ip};
use muster_agent::network::arp::packet::ArpPacket;
use muster_agent::network::nd::packet::Advertisement;
use muster_protocol::id::Mac;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::result::Reason;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Instant;

fn packet_socket(interface: &str) -> Socket {
    let mut interfaces = nix::ifaddrs::getifaddrs().expect("interfaces");
    let place = interfaces
        .find_map(|found| found.address.filter(|_| found.interface_name == interface)?.as_link_addr().copied());
    let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("root");
    nix::sys::socket::bind(socket.as_raw_fd(), &place.expect("a link address")).expect("bound");
    socket
}

/// What a filter lets through, a line each.
struct Heard {
    watcher: Running,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Heard {
    fn by(interface: &str, filter: &str) -> Heard {
        let mut watcher = Command::new("tcpdump");
        watcher
            .args(["-l", "-n", "-i", interface, "--immediate-mode", filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut watcher = Running(watcher.spawn().expect("tcpdump"));
        let stderr = watcher.0.stderr.take().expect("piped");
        let ready = BufReader::new(stderr).lines().map_while(Result::ok).find(|line| line.starts_with("listening"));
        ready.expect("tcpdump listens");
        let lines = BufReader::new(watcher.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
        Heard { watcher, lines: Box::new(lines) }
    }

    fn next(&mut self) -> Option<String> {
        self.lines.next()
    }

    /// Everything else until now.
    fn end(self) -> Vec<String> {
        run(&["kill", &self.watcher.0.id().to_string()]);
        // It ends with an empty line.
        self.lines.filter(|line| !line.is_empty()).collect()
    }
}

fn mac(text: &str) -> String {
    text.trim().to_uppercase()
}

#[test]
fn a_taken_address_is_refused_by_both_timings_and_works_once_it_is_free() {
    if !inside("conflict::a_taken_address_is_refused_by_both_timings_and_works_once_it_is_free") {
        return;
    }
    run_ip("link set eth0 up");
    for (image, shortest) in [("probe = \"fast\"\n", 500), ("probe = \"full\"\n", 4_000)] {
        run_ip("address add 192.0.2.10/24 dev eth0");
        let mut appliance = Appliance::new(image);
        appliance.start();
        let before = there("ip -4 address show dev eth0");
        assert_eq!(appliance.configure("eth0", &settings("192.0.2.10")), Err(Reason::AddressTaken));
        assert_eq!(there("ip -4 address show dev eth0"), before);
        appliance.shows("no settings", |status| status["state"] == "unconfigured");
        run_ip("address delete 192.0.2.10/24 dev eth0");
        let started = Instant::now();
        appliance.configure("eth0", &settings("192.0.2.10")).expect("free now");
        let took = started.elapsed().as_millis();
        assert!(took >= shortest, "{image} took {took} ms");
        // A running agent would put it back.
        appliance.kill();
        there("ip -4 address flush dev eth0");
    }
}

#[test]
fn whoever_asks_for_the_address_at_the_same_time_has_it_too() {
    if !inside("conflict::whoever_asks_for_the_address_at_the_same_time_has_it_too") {
        return;
    }
    run_ip("link set eth0 up");
    // It only asks, and has no address at all: no neighbour table knows it.
    let mut prober = Command::new("busybox");
    prober.args(["arping", "-D", "-I", "eth0", "192.0.2.10"]).stdout(Stdio::null());
    let prober = Running(prober.spawn().expect("busybox"));
    // Full timing asks for longer than the other pauses, so they meet whoever began.
    let mut appliance = Appliance::new("probe = \"full\"\n");
    appliance.start();
    assert_eq!(appliance.configure("eth0", &settings("192.0.2.10")), Err(Reason::AddressTaken));
    drop(prober);
    appliance.configure("eth0", &settings("192.0.2.10")).expect("nobody asks any more");
}

#[test]
fn neighbours_learn_the_new_owner_of_an_address() {
    if !inside("conflict::neighbours_learn_the_new_owner_of_an_address") {
        return;
    }
    run_ip("link set eth0 up");
    run_ip("address add 192.0.2.1/24 dev eth0");
    // The appliance that had it before is gone, and remembered.
    run_ip("neighbour add 192.0.2.10 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    let own = there("cat /sys/class/net/eth0/address");
    until("the new MAC", || {
        let known = run_ip("neighbour show 192.0.2.10 dev eth0");
        if known.contains(own.trim()) { Ok(()) } else { Err(known) }
    });
}

#[test]
fn a_later_conflict_is_defended_reported_and_never_gives_the_address_away() {
    if !inside("conflict::a_later_conflict_is_defended_reported_and_never_gives_the_address_away") {
        return;
    }
    run_ip("link set eth0 up");
    let (own, other) = (there("cat /sys/class/net/eth0/address"), run(&["cat", "/sys/class/net/eth0/address"]));
    // Everything that the appliance says about being the owner.
    let filter = format!("arp and ether src {} and arp[14:4] = 0xc000020a", own.trim());
    let mut said = Heard::by("eth0", &filter);

    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    assert_eq!(appliance.status()["address_conflict"], serde_json::Value::Null);
    for announcement in 0..2 {
        let line = said.next().expect("announces");
        assert!(line.contains("192.0.2.10"), "{announcement}: {line}");
    }

    // The other host has it as well from now on, and says so a thousand times.
    let started = Instant::now();
    run_ip("address add 192.0.2.10/24 dev eth0");
    let claim = ArpPacket::announcement(other.trim().parse().expect("a MAC"), Ipv4Addr::new(192, 0, 2, 10));
    let wire = packet_socket("eth0");
    for _ in 0..1_000 {
        wire.send(&claim.to_frame()).expect("sent");
    }
    let status = appliance.shows("the conflict", |status| status["address_conflict"] != serde_json::Value::Null);
    assert_eq!(status["address_conflict"], mac(&other));
    assert!(there("ip -4 address show dev eth0").contains("192.0.2.10/24"), "kept");
    let text = String::from_utf8(appliance.program(&["status"]).output().expect("runs").stdout).expect("text");
    assert!(text.contains(&format!("Conflict   {} claims the same address", mac(&other))), "{text}");
    let logged = appliance.log().matches("somebody else claims this appliance's address").count();
    assert_eq!(logged, 1, "{}", appliance.log());
    // What answers the end of the flood is not said before ten seconds have passed.
    let first = said.next().expect("defends");
    assert!(first.contains("192.0.2.10"), "{first}");
    let more = said.end();
    assert!(more.len() <= started.elapsed().as_secs() as usize / 10, "{first}\n{more:#?} in {:?}", started.elapsed());

    // It is looked for anew after a restart, without a word from the other.
    appliance.kill();
    std::fs::remove_file(appliance.folder.path().join("state/status.json")).expect("removed");
    appliance.start();
    appliance
        .shows("the conflict again", |status| status["running"] == true && status["address_conflict"] == mac(&other));
}

#[test]
fn a_later_conflict_of_the_ipv6_address_is_defended_and_reported_too() {
    if !inside("conflict::a_later_conflict_of_the_ipv6_address_is_defended_and_reported_too") {
        return;
    }
    run_ip("link set eth0 up");
    let (own, other) = (there("cat /sys/class/net/eth0/address"), run(&["cat", "/sys/class/net/eth0/address"]));
    let filter = format!("ether src {} and icmp6 and ip6[40] == 136 and ether dst 33:33:00:00:00:01", own.trim());
    let mut said = Heard::by("eth0", &filter);
    let both = RawSettings { address6: "2001:db8::10/64".into(), ..settings("192.0.2.10") };
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.configure("eth0", &both).expect("configured");
    appliance.shows("it is watched over", |status| status["running"] == true);
    assert_eq!(appliance.status()["address_conflict"], serde_json::Value::Null);

    // The kernel of the other host would ask first, and not take it.
    run_ip("address add 2001:db8::10/64 dev eth0 nodad");
    let by: Mac = other.trim().parse().expect("a MAC");
    let wire = packet_socket("eth0");
    let claim = |by, address: &str| Advertisement { by, address: address.parse().expect("an address") }.to_frame();
    wire.send(&claim(by, "2001:db8::11")).expect("sent");
    let started = Instant::now();
    for _ in 0..1_000 {
        wire.send(&claim(by, "2001:db8::10")).expect("sent");
    }
    appliance.shows("the conflict", |status| status["address_conflict"] == mac(&other));
    assert!(there("ip -6 address show dev eth0").contains("2001:db8::10/64"), "kept");
    let logged: Vec<_> =
        appliance.log().lines().filter(|line| line.contains("somebody else claims")).map(str::to_owned).collect();
    assert!(matches!(&logged[..], [line] if line.contains("IPv6")), "{logged:#?}");
    let first = said.next().expect("defends");
    assert!(first.contains("2001:db8::10"), "{first}");
    let more = said.end();
    assert!(more.len() <= started.elapsed().as_secs() as usize / 10, "{first}\n{more:#?}");

    // After a restart the other's kernel is asked, and answers without having been told to.
    appliance.kill();
    std::fs::remove_file(appliance.folder.path().join("state/status.json")).expect("removed");
    appliance.start();
    appliance
        .shows("the conflict again", |status| status["running"] == true && status["address_conflict"] == mac(&other));
}
