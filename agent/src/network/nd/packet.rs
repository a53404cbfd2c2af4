//! The two messages of Neighbor Discovery (RFC 4861 §4.3, §4.4) that are about whose an address is, as whole Ethernet frames.

use crate::network::packet_socket::Part;
use muster_protocol::id::Mac;
use std::net::Ipv6Addr;

/// IPv6.
pub(in crate::network) const ETHERTYPE: u16 = 0x86dd;
/// Where a frame has the MAC of its sender.
pub(in crate::network) const SENDER: u32 = 6;

const ICMPV6: u8 = 58;
/// A router would have made it less, so who sent it is on the link (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// The Override flag: what neighbours remember is replaced.
const OVERRIDE: u8 = 0x20;
/// The option that says the MAC of what an advertisement is about.
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

// Where things are in a frame: Ethernet has 14 bytes, IPv6 40.
const IP: usize = 14;
const ICMP: usize = IP + 40;
const TARGET: usize = ICMP + 8;
const OPTIONS: usize = TARGET + 16;

/// An unsolicited Neighbor Advertisement: says whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Whose MAC it says that it is.
    pub by: Mac,
    /// The address.
    pub address: Ipv6Addr,
}

impl Advertisement {
    /// To everybody on the link, over what they remember.
    pub fn to_frame(&self) -> Vec<u8> {
        let option = [&[TARGET_LINK_LAYER_ADDRESS, 1][..], &self.by.0].concat();
        let body = [&[ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0][..], &self.address.octets(), &option].concat();
        frame(self.by, self.address, ALL_NODES, body)
    }

    /// Of a frame. Whatever else it is, is `None`. The checksum is not looked at: between interfaces of one machine it is often not made.
    pub fn of_frame(frame: &[u8]) -> Option<Advertisement> {
        let is_it = frame.get(12..14)? == ETHERTYPE.to_be_bytes()
            && frame.get(IP + 6..IP + 8)? == [ICMPV6, HOP_LIMIT]
            && frame.get(ICMP..ICMP + 2)? == [ADVERTISEMENT, 0];
        let address: [u8; 16] = frame.get(TARGET..OPTIONS)?.try_into().ok()?;
        let sender = frame.get(6..12)?.try_into().ok().map(Mac)?;
        let named = match frame.get(OPTIONS..OPTIONS + 8) {
            Some([TARGET_LINK_LAYER_ADDRESS, 1, mac @ ..]) => mac.try_into().ok().map(Mac),
            _ => None,
        };
        is_it.then_some(Advertisement { by: named.unwrap_or(sender), address: address.into() })
    }
}

/// Asks whether somebody has an address, without claiming it: the Neighbor Solicitation of duplicate address detection (RFC 4862 §5.4.2),
/// which whoever has the address answers to everybody.
pub fn question(sender: Mac, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let asked = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let body = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &address.octets()].concat();
    frame(sender, Ipv6Addr::UNSPECIFIED, asked, body)
}

/// What a frame has in which somebody says that he has the address.
pub(in crate::network) fn claim(address: Ipv6Addr) -> Vec<(u32, Part)> {
    let octets = address.octets();
    let words = octets.chunks_exact(4).map(|word| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    let head = [
        (12, Part::Half(ETHERTYPE)),
        (IP as u32 + 6, Part::Half(u16::from_be_bytes([ICMPV6, HOP_LIMIT]))),
        (ICMP as u32, Part::Half(u16::from_be_bytes([ADVERTISEMENT, 0]))),
    ];
    let target = (TARGET as u32..).step_by(4).zip(words.map(Part::Word));
    head.into_iter().chain(target).collect()
}

fn frame(sender: Mac, from: Ipv6Addr, to: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 0], &length, &[0, 0, 0, ICMPV6], &body].concat();
    body[2..4].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    // A group's MAC is 33:33 and the end of its address (RFC 2464 §7).
    let [.., a, b, c, d] = to.octets();
    let ethernet = [&[0x33, 0x33, a, b, c, d][..], &sender.0, &ETHERTYPE.to_be_bytes()].concat();
    let ip = [&[0x60, 0, 0, 0][..], &length, &[ICMPV6, HOP_LIMIT], &from.octets(), &to.octets()].concat();
    [ethernet, ip, body].concat()
}

/// RFC 1071, over an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

    fn address() -> Ipv6Addr {
        "2001:db8::a:b0c".parse().expect("an address")
    }

    #[test]
    fn frames_are_what_the_rfc_says() {
        let hex = |frame: &[u8]| data_encoding::HEXLOWER.encode(frame);
        let wanted = "3333ff0a0b0c 020000000007 86dd 60000000 0018 3a ff 00000000000000000000000000000000 \
             ff0200000000000000000001ff0a0b0c 87 00 36c3 00000000 20010db8000000000000 0000000a0b0c";
        assert_eq!(hex(&question(MAC, address())), wanted.replace(' ', ""));
        let said = Advertisement { by: MAC, address: address() };
        let wanted = "333300000001 020000000007 86dd 60000000 0020 3a ff 20010db8000000000000 0000000a0b0c \
             ff020000000000000000000000000001 88 00 e2fa 20000000 20010db8000000000000 0000000a0b0c 0201 020000000007";
        assert_eq!(hex(&said.to_frame()), wanted.replace(' ', ""));
        assert_eq!(Advertisement::of_frame(&said.to_frame()), Some(said));
    }

    #[test]
    fn without_the_option_it_is_by_who_sent_the_frame() {
        let said = Advertisement { by: MAC, address: address() };
        let frame = said.to_frame();
        assert_eq!(Advertisement::of_frame(&frame[..OPTIONS]), Some(said));
        let mut other = frame;
        other[11] = 8;
        assert_eq!(Advertisement::of_frame(&other), Some(said), "with it, by whom it names");
        assert_eq!(
            Advertisement::of_frame(&other[..OPTIONS]),
            Some(Advertisement { by: Mac([2, 0, 0, 0, 0, 8]), ..said })
        );
    }

    #[test]
    fn what_is_no_advertisement_from_this_link_is_nothing() {
        let frame = Advertisement { by: MAC, address: address() }.to_frame();
        for length in 0..OPTIONS {
            assert_eq!(Advertisement::of_frame(&frame[..length]), None);
        }
        // EtherType, next header, hop limit, type and code.
        for at in [12, 13, IP + 6, IP + 7, ICMP, ICMP + 1] {
            let mut other = frame.clone();
            other[at] ^= 1;
            assert_eq!(Advertisement::of_frame(&other), None, "byte {at}");
        }
        assert_eq!(Advertisement::of_frame(&question(MAC, address())), None);
    }
}
