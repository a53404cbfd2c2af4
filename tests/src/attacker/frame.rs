//! Ethernet frames, read and forged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A MAC address as bytes.
pub type MacBytes = [u8; 6];

/// Everybody on the link.
pub const EVERYBODY: MacBytes = [0xff; 6];

/// A UDP datagram as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender's MAC.
    pub source: MacBytes,
    /// The receiver's MAC.
    pub target: MacBytes,
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Mail {
    /// The kind of our protocol's message that it carries, unverified.
    pub fn kind(&self) -> Option<u8> {
        self.payload.strip_prefix(b"MUST")?.get(1).copied()
    }

    /// The frame; at most as long as the link carries.
    pub fn frame(&self) -> Vec<u8> {
        ethernet(self, &packet(self, &self.udp(), None))
    }

    /// The same datagram in IP fragments of `size` (a multiple of 8) bytes of payload each.
    pub fn fragments(&self, size: usize, id: u16) -> Vec<Vec<u8>> {
        let udp = self.udp();
        let count = udp.chunks(size).len();
        let piece = |(n, piece): (usize, &[u8])| {
            let offset = u16::try_from(n * size).unwrap_or(u16::MAX);
            ethernet(self, &packet(self, piece, Some(Fragment { id, offset, more: n + 1 < count })))
        };
        udp.chunks(size).enumerate().map(piece).collect()
    }

    fn udp(&self) -> Vec<u8> {
        let length = u16::try_from(8 + self.payload.len()).unwrap_or(u16::MAX);
        let mut udp = Vec::with_capacity(usize::from(length));
        udp.extend(self.from.port().to_be_bytes());
        udp.extend(self.to.port().to_be_bytes());
        udp.extend(length.to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(&self.payload);
        let mut pseudo = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
            (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
            _ => panic!("one family: {self:?}"),
        };
        pseudo.extend(u32::from(length).to_be_bytes());
        pseudo.extend([0, 0, 0, 17]);
        let checksum = match checksum(&[&pseudo[..], &udp[..]].concat()) {
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp
    }
}

/// The UDP datagram of a frame (Ethernet; IPv4 or IPv6 without extension headers; not a fragment).
pub fn mail(frame: &[u8]) -> Option<Mail> {
    let (target, source) = (frame.get(..6)?.try_into().ok()?, frame.get(6..12)?.try_into().ok()?);
    let packet = frame.get(14..)?;
    let (from, to, udp) = match frame.get(12..14)? {
        [8, 0] if packet.get(9) == Some(&17) => {
            let address = |at: usize| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok().map(IpAddr::from);
            (address(12)?, address(16)?, packet.get(usize::from(packet[0] & 15) * 4..)?)
        }
        [0x86, 0xdd] if packet.get(6) == Some(&17) => {
            let address = |at: usize| <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok().map(IpAddr::from);
            (address(8)?, address(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    let word = |at: usize| udp.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let payload = udp.get(8..usize::from(word(4)?))?.to_vec();
    Some(Mail { source, target, from: (from, word(0)?).into(), to: (to, word(2)?).into(), payload })
}

/// The link-layer address of an IPv6 group.
pub fn group_mac(group: Ipv6Addr) -> MacBytes {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// Who asks by ARP, and for which address: (MAC, his address, the address asked for).
pub fn arp_question(frame: &[u8]) -> Option<(MacBytes, Ipv4Addr, Ipv4Addr)> {
    let arp = frame.get(14..42).filter(|_| frame[12..14] == [8, 6])?;
    let address = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
    let asker = arp[8..14].try_into().ok()?;
    (arp[6..8] == [0, 1]).then_some((asker, address(14), address(24)))
}

/// "`address` is at `mac`", to one who asked.
pub fn arp_answer(mac: MacBytes, address: Ipv4Addr, to: MacBytes, asker: Ipv4Addr) -> Vec<u8> {
    let mut frame = [&to[..], &mac[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &mac[..]].concat();
    frame.extend(address.octets());
    frame.extend(to);
    frame.extend(asker.octets());
    frame
}

fn ethernet(mail: &Mail, packet: &[u8]) -> Vec<u8> {
    let kind = if mail.from.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
    [&mail.target[..], &mail.source[..], &kind[..], packet].concat()
}

/// A piece of a datagram; `offset` in bytes.
#[derive(Clone, Copy)]
struct Fragment {
    id: u16,
    offset: u16,
    more: bool,
}

fn packet(mail: &Mail, body: &[u8], fragment: Option<Fragment>) -> Vec<u8> {
    match (mail.from.ip(), mail.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(20 + body.len()).unwrap_or(u16::MAX);
            let (id, place) = fragment.map_or((0, 0), |f| (f.id, (f.offset / 8) | (u16::from(f.more) << 13)));
            let mut header = vec![0x45, 0];
            header.extend(length.to_be_bytes());
            header.extend(id.to_be_bytes());
            header.extend(place.to_be_bytes());
            header.extend([64, 17, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            [&header, body].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let extension = fragment.map_or_else(Vec::new, |f| {
                let place = (f.offset | u16::from(f.more)).to_be_bytes();
                [&[17, 0], &place[..], &u32::from(f.id).to_be_bytes()].concat()
            });
            let length = u16::try_from(extension.len() + body.len()).unwrap_or(u16::MAX);
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([if fragment.is_some() { 44 } else { 17 }, 64]);
            header.extend(from.octets());
            header.extend(to.octets());
            [&header, &extension[..], body].concat()
        }
        _ => panic!("one family: {mail:?}"),
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .fold(0, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forged_reads_back() {
        for (from, to) in [("10.20.0.9:1", "10.20.0.255:6878"), ("[fe80::9]:1", "[ff12::6878]:6878")] {
            let (from, to) = (from.parse().expect("an address"), to.parse().expect("an address"));
            let sent = Mail { source: [2; 6], target: EVERYBODY, from, to, payload: b"MUST\x01\x01x".to_vec() };
            assert_eq!(mail(&sent.frame()), Some(sent));
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
