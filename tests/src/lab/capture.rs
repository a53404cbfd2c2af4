//! Recording every datagram of a network, and sending it again.

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
    let bytes = std::fs::read(file).expect("a recording");
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut payloads = Vec::new();
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let mut length = [0; 4];
        length.copy_from_slice(&header[8..12]);
        let Some((frame, tail)) = tail.split_at_checked(u32::from_le_bytes(length) as usize) else { break };
        payloads.extend(payload(frame).map(<[u8]>::to_vec));
        rest = tail;
    }
    payloads
}

fn payload(frame: &[u8]) -> Option<&[u8]> {
    let (kind, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let header = match kind {
        [0x08, 0x00] => usize::from(packet.first()? & 15) * 4,
        [0x86, 0xdd] => 40,
        _ => return None,
    };
    let udp = packet.get(header..)?;
    let length = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(8..length)
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
