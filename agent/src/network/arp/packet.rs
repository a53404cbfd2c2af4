//! ARP for IPv4 over Ethernet (RFC 826), as a whole frame.

use muster_protocol::id::Mac;
use std::net::Ipv4Addr;

/// Question or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

/// One ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Question or answer.
    pub operation: Operation,
    /// Who sends it.
    pub sender: Mac,
    /// What the sender calls its own; 0.0.0.0 in a probe.
    pub sender_address: Ipv4Addr,
    /// Whom an answer is for.
    pub target: Mac,
    /// What is asked for.
    pub target_address: Ipv4Addr,
}

/// Length of a frame without padding.
pub const FRAME: usize = 42;

/// ARP.
pub(in crate::network) const ETHERTYPE: u16 = 0x0806;
/// Where a frame has its sender's MAC and IPv4 address.
pub(in crate::network) const SENDER: u32 = 22;
pub(in crate::network) const SENDER_ADDRESS: u32 = 28;
/// Ethernet, IPv4, addresses of six and of four bytes.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl ArpPacket {
    /// Asks whether somebody has an address, without claiming it (RFC 5227, ARP Probe).
    pub fn probe(sender: Mac, address: Ipv4Addr) -> ArpPacket {
        let sender_address = Ipv4Addr::UNSPECIFIED;
        ArpPacket {
            operation: Operation::Request,
            sender,
            sender_address,
            target: Mac([0; 6]),
            target_address: address,
        }
    }

    /// Says whose an address is (RFC 5227, ARP Announcement).
    pub fn announcement(sender: Mac, address: Ipv4Addr) -> ArpPacket {
        ArpPacket { sender_address: address, ..ArpPacket::probe(sender, address) }
    }

    /// To everybody on the link.
    pub fn to_frame(&self) -> [u8; FRAME] {
        let operation = match self.operation {
            Operation::Request => [0, 1],
            Operation::Reply => [0, 2],
        };
        let parts: [&[u8]; 9] = [
            &[0xff; 6],
            &self.sender.0,
            &ETHERTYPE.to_be_bytes(),
            &KIND,
            &operation,
            &self.sender.0,
            &self.sender_address.octets(),
            &self.target.0,
            &self.target_address.octets(),
        ];
        let mut frame = [0; FRAME];
        for (to, from) in frame.iter_mut().zip(parts.iter().copied().flatten()) {
            *to = *from;
        }
        frame
    }

    /// Of a frame, which may be padded. Whatever else it is, is `None`.
    pub fn of_frame(frame: &[u8]) -> Option<ArpPacket> {
        let frame: &[u8; FRAME] = frame.first_chunk()?;
        let mac = |at: usize| frame[at..at + 6].try_into().ok().map(Mac);
        let address = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]);
        if frame[12..14] != ETHERTYPE.to_be_bytes() || frame[14..20] != KIND {
            return None;
        }
        let operation = match frame[20..22] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        Some(ArpPacket {
            operation,
            sender: mac(22)?,
            sender_address: address(28),
            target: mac(32)?,
            target_address: address(38),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_rfc_says_and_comes_back() {
        let probe = ArpPacket::probe(Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(192, 0, 2, 10));
        let frame = probe.to_frame();
        let wanted = "ffffffffffff 020000000007 0806 0001 0800 06 04 0001 020000000007 00000000 000000000000 c000020a";
        assert_eq!(data_encoding::HEXLOWER.encode(&frame), wanted.replace(' ', ""));
        assert_eq!(ArpPacket::of_frame(&frame), Some(probe));
        let reply = ArpPacket { operation: Operation::Reply, target: Mac([9; 6]), ..probe };
        let padded = [&reply.to_frame()[..], &[0; 18]].concat();
        assert_eq!(ArpPacket::of_frame(&padded), Some(reply));
    }

    #[test]
    fn what_is_no_arp_for_ipv4_over_ethernet_is_nothing() {
        let frame = ArpPacket::announcement(Mac([2; 6]), Ipv4Addr::LOCALHOST).to_frame();
        for length in 0..FRAME {
            assert_eq!(ArpPacket::of_frame(&frame[..length]), None);
        }
        for at in 12..22 {
            let mut other = frame;
            other[at] ^= 0x80;
            assert_eq!(ArpPacket::of_frame(&other), None, "byte {at}");
        }
    }
}
