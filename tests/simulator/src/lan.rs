//! The network: who has which address, and what links do to datagrams.

use crate::plan::{Fault, Quality};
use crate::queue::{Event, Node};
use crate::world::Io;
use muster_protocol::wire::{PORT, Peer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// The gateway that leads to the NOC.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// One that leads nowhere.
pub(crate) const WRONG_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Somebody who has nothing to do with Muster.
pub(crate) const PRINTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
const CONSOLES: u8 = 100;

/// What the network is at the moment.
pub(crate) struct Lan {
    /// The IPv4 address of each appliance that has one and is on.
    pub(crate) addresses: Vec<Option<Ipv4Addr>>,
    /// What each sends passes the first, what it receives the second.
    pub(crate) links: Vec<[Quality; 2]>,
    /// Cut off from everybody.
    pub(crate) apart: Vec<bool>,
}

/// Where a party sends from.
pub(crate) fn peer(address: IpAddr) -> Peer {
    Peer { interface: 1, address: SocketAddr::new(address, PORT) }
}

/// The address of a console.
pub(crate) fn console_address(console: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, CONSOLES + console as u8))
}

impl Lan {
    /// Where an appliance sends from: its IPv4 address, or its link-local one.
    pub(crate) fn appliance_address(&self, appliance: usize) -> IpAddr {
        match self.addresses[appliance] {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, appliance as u16 + 1)),
        }
    }

    /// Who has an address. Whoever has lost it cannot be reached there.
    fn owner(&self, address: IpAddr) -> Option<Node> {
        match address {
            IpAddr::V6(address) => {
                let number = usize::from(address.segments()[7]).checked_sub(1)?;
                (number < self.addresses.len()).then_some(Node::Appliance(number))
            }
            IpAddr::V4(address) => {
                let found = self.addresses.iter().position(|held| *held == Some(address));
                found.map(Node::Appliance).or(match address.octets() {
                    [10, 77, 0, last @ CONSOLES..110] => Some(Node::Console(usize::from(last - CONSOLES))),
                    [10, 77, 66, _] => Some(Node::Attacker),
                    _ => None,
                })
            }
        }
    }

    /// True if another than `appliance` has the address.
    pub(crate) fn is_taken(&self, address: Ipv4Addr, appliance: usize) -> bool {
        let others = self.addresses.iter().enumerate().filter(|(number, _)| *number != appliance);
        address == PRINTER || others.into_iter().any(|(_, held)| *held == Some(address))
    }
}

/// Sends a datagram to an address, `from` an address that may be somebody else's.
pub(crate) fn send(io: &mut Io, sender: Node, from: Peer, to: SocketAddr, bytes: &Rc<[u8]>) {
    crate::attacker::overhear(io, sender, from, Some(to), bytes);
    match io.lan.owner(to.ip()) {
        Some(node) => carry(io, sender, from, node, bytes),
        None => log!(io, "nobody has {}: the datagram is gone", to.ip()),
    }
}

/// Sends a datagram to every appliance, as multicast and broadcast do.
pub(crate) fn send_everywhere(io: &mut Io, sender: Node, from: Peer, bytes: &Rc<[u8]>) {
    crate::attacker::overhear(io, sender, from, None, bytes);
    for appliance in 0..io.lan.links.len() {
        carry(io, sender, from, Node::Appliance(appliance), bytes);
    }
}

fn carry(io: &mut Io, sender: Node, from: Peer, to: Node, bytes: &Rc<[u8]>) {
    let mut delay = 1 + io.dice.below(3);
    let mut copies = 1;
    let ends = [(sender, 0), (to, 1)];
    for (node, direction) in ends {
        let Node::Appliance(appliance) = node else { continue };
        let link = io.lan.links[appliance][direction];
        if io.lan.apart[appliance] || io.strikes(Fault::Loss, link.loss) {
            return log!(io, "lost between {sender:?} and {to:?}: {}", kind(bytes));
        }
        if bytes.len() > link.mtu {
            io.counts.fault(Fault::TooLong);
            return log!(io, "too long between {sender:?} and {to:?}: {} bytes", bytes.len());
        }
        if io.strikes(Fault::Duplicate, link.duplicate) {
            copies += 1;
        }
        if io.strikes(Fault::Late, link.late) {
            delay += io.dice.below(link.late_ms + 1);
        }
    }
    for copy in 0..copies {
        let late = if copy == 0 { 0 } else { io.dice.below(400) };
        io.queue.push(io.now + delay + late, Event::Datagram { to, peer: from, bytes: Rc::clone(bytes) });
    }
}

/// The word for a datagram's kind, for the log.
pub(crate) fn kind(bytes: &[u8]) -> &'static str {
    match bytes.get(5) {
        Some(1) => "ping",
        Some(2) => "here",
        Some(3) => "config packet",
        Some(4) => "result",
        Some(5) => "kick-start",
        _ => "noise",
    }
}
