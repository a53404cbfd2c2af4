//! Address conflicts of IPv6. Before an address is taken the kernel asks the link (duplicate address detection, RFC 4862 §5.4); what comes
//! later it does not tell anybody, so advertisements of the address by others are listened for here.

pub mod packet;

use super::conflict::Claims;
use super::conflict::guard::Say;
use super::packet_socket::{PacketSocket, by_others};
use super::{Link, NetworkError};
use muster_protocol::id::Mac;
use packet::{Advertisement, ETHERTYPE};
use std::io;
use std::net::Ipv6Addr;

/// One address on one link.
pub(super) struct Neighbours {
    socket: PacketSocket,
    mac: Mac,
    address: Ipv6Addr,
}

/// Hears who else says that he has the address.
pub(super) fn claims(link: &Link, address: Ipv6Addr) -> Result<Neighbours, NetworkError> {
    let filter = by_others(&packet::claim(address), packet::SENDER, link.mac);
    let socket = PacketSocket::open(link, ETHERTYPE, &filter)?;
    Ok(Neighbours { socket, mac: link.mac, address })
}

impl Neighbours {
    fn by(&self, frame: &[u8]) -> Option<Mac> {
        Advertisement::of_frame(frame).filter(|claim| claim.address == self.address).map(|claim| claim.by)
    }
}

impl Claims for Neighbours {
    async fn receive(&self) -> io::Result<Mac> {
        self.socket.receive(|frame| self.by(frame)).await
    }

    fn take(&self) -> Option<Mac> {
        self.socket.take(|frame| self.by(frame))
    }

    fn say(&self, say: Say) -> io::Result<()> {
        match say {
            Say::Ask => self.socket.send(&packet::question(self.mac, self.address)),
            Say::Defend => self.socket.send(&Advertisement { by: self.mac, address: self.address }.to_frame()),
        }
    }
}
