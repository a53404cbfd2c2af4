//! The real program on an interface without an address and with reverse-path filters on: it must be found all the same, by
//! IPv6 multicast and by IPv4 broadcast. Needs root, as CI has.

#[path = "support/namespaces.rs"]
mod namespaces;

use muster_protocol::id::{PingId, Uid};
use muster_protocol::wire::here::{Here, State};
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::{self, GROUP, MAX_DATAGRAM, Message, PORT};
use namespaces::{inside, peer, run, run_ip};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pings until an answer comes.
fn ask(socket: &UdpSocket, to: SocketAddr) -> (Here, SocketAddr) {
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut number = 0;
    while Instant::now() < deadline {
        number += 1;
        let ping = Ping {
            id: PingId([number; 16]),
            window_ms: 10,
            salt: [number; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: None,
            credential: None,
        };
        // The link takes a moment to come up.
        let _ = socket.send_to(&ping.to_plain(), to);
        let mut buffer = [0; MAX_DATAGRAM];
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Ok(Message::Here(packet)) = wire::decode(&buffer[..length])
        {
            return (packet.verify().expect("signed"), from);
        }
    }
    panic!("no answer from {to}");
}

#[test]
fn an_appliance_without_an_address_is_found_by_multicast_and_by_broadcast() {
    if !inside("an_appliance_without_an_address_is_found_by_multicast_and_by_broadcast") {
        return;
    }
    run_ip("link set eth0 up");
    run_ip("address add 10.20.0.1/24 dev eth0");
    let there = |command: &str| {
        let peer = peer();
        let whole: Vec<&str> = ["ip", "netns", "exec", &peer].into_iter().chain(command.split(' ')).collect();
        run(&whole)
    };
    let filters = ["net.ipv4.conf.all.rp_filter", "net.ipv4.conf.eth0.rp_filter"];
    for filter in filters {
        there(&format!("sysctl -w {filter}=1"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = |arguments: &[&str]| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &peer(), env!("CARGO_BIN_EXE_muster-agent")]).args(arguments);
        command.arg("--state-dir").arg(folder.path().join("state")).arg("--root").arg(folder.path());
        command
    };
    let label = program(&["label", "--json", "--serial", "X-1"]).output().expect("runs");
    let label: serde_json::Value = serde_json::from_slice(&label.stdout).expect("JSON");
    let uid: Uid = label["uid"].as_str().expect("a UID").parse().expect("a UID");

    let mut agent = Agent(program(&["run"]).stderr(Stdio::inherit()).spawn().expect("starts"));
    let index =
        std::fs::read_to_string("/sys/class/net/eth0/ifindex").expect("there").trim().parse().expect("a number");
    let six = UdpSocket::bind("[::]:0").expect("bound");
    let (here, from) = ask(&six, SocketAddrV6::new(GROUP, PORT, 0, index).into());
    assert_eq!((here.uid(), here.state), (uid, State::Unconfigured));
    assert_eq!(here.mac.to_string(), label["mac"].as_str().expect("a MAC"));
    assert!(from.is_ipv6());

    let four = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("bound");
    four.set_broadcast(true).expect("set");
    socket2::SockRef::from(&four).bind_device(Some(b"eth0")).expect("bound to the device");
    let (here, from) = ask(&four, (Ipv4Addr::BROADCAST, PORT).into());
    assert_eq!(here.uid(), uid);
    assert!(from.is_ipv4());

    let status = program(&["status", "--json"]).output().expect("runs");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!((status["state"].as_str(), status["running"].as_bool()), (Some("unconfigured"), Some(true)));

    // As a button would have it, under a running agent, which ends as on SIGTERM.
    assert!(program(&["reset", "--yes"]).status().expect("runs").success());
    assert!(agent.0.wait().expect("ends").success());
    for filter in filters {
        assert_eq!(there(&format!("sysctl -n {filter}")).trim(), "1", "{filter} is put back");
    }
}
