//! Recording every datagram of a network, and sending it again.

mod pcap;

use crate::process::Running;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

/// Starts tcpdump on the lab's bridge; what it records is in `file`.
pub fn record(lab: &super::Lab, file: &Path) -> Running {
    let mut command = lab.netns("bridge");
    command
        .args(["tcpdump", "-i", "br0", "-U", "--immediate-mode", "-s", "0", "-w"])
        .arg(file)
        .args(["udp", "port", "6878"]);
    let running = Running::start(&mut command, &file.with_extension("log"));
    crate::wait::until("tcpdump to listen", std::time::Duration::from_secs(10), || {
        let said = running.said();
        if said.contains("listening on") { Ok(()) } else { Err(said) }
    });
    running
}

/// The payloads of all UDP datagrams in a pcap file (Ethernet, IPv4 or IPv6 without extension headers).
pub fn payloads(file: &Path) -> Vec<Vec<u8>> {
    pcap::payloads(&std::fs::read(file).expect("a recording"))
}

/// Sends datagrams to everybody from inside a host: multicast and broadcast on one interface. The `replay` program calls it there.
pub fn send_all(payloads: &[Vec<u8>], interface: u32) -> std::io::Result<()> {
    let group: Ipv6Addr = muster_protocol::wire::GROUP;
    let six = UdpSocket::bind("[::]:0")?;
    let four = UdpSocket::bind("0.0.0.0:0")?;
    four.set_broadcast(true)?;
    for payload in payloads {
        let to = std::net::SocketAddrV6::new(group, muster_protocol::wire::PORT, 0, interface);
        six.send_to(payload, SocketAddr::V6(to))?;
        four.send_to(payload, ("10.20.0.255", muster_protocol::wire::PORT))?;
        // The kernel's queues are short; what is lost was not replayed.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}
