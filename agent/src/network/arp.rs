//! Address conflicts of IPv4 (RFC 5227): asked for before an address is taken, and heard while it is in use.
//!
//! [`probe`] decides about the former; this drives it with a socket and a clock (decision 0017). [`super::conflict`] drives the latter.

pub mod packet;
pub mod probe;

pub use probe::{Timing, Verdict};

use super::conflict::guard::Say;
use super::conflict::{Claims, Clock};
use super::packet_socket::{self, PacketSocket, Part, by_others};
use super::{Link, NetworkError};
use crate::entropy::OsEntropy;
use muster_protocol::id::Mac;
use packet::ArpPacket;
use probe::Probe;
use std::io;
use std::net::Ipv4Addr;

/// A probe that found its address free.
pub struct Free {
    probe: Probe,
    socket: PacketSocket,
    clock: Clock,
}

/// Asks the link whether somebody has the address; an error says who.
pub async fn probe(link: &Link, address: Ipv4Addr, timing: Timing) -> Result<Free, NetworkError> {
    let socket = PacketSocket::open(link, packet::ETHERTYPE, &packet_socket::all())?;
    let clock = Clock::start();
    let mut probe = Probe::new(clock.now(), link.mac, address, timing, OsEntropy::boxed());
    let verdict = loop {
        while let Some(packet) = probe.poll_transmit() {
            let sent = socket.send(&packet.to_frame());
            sent.map_err(|source| NetworkError::Kernel { action: "send an address probe", source })?;
        }
        if let Some(verdict) = probe.verdict() {
            break verdict;
        }
        tokio::select! {
            // What has come in is looked at before a probe ends that was late for want of time.
            biased;
            received = socket.receive(ArpPacket::of_frame) => {
                let packet = received.map_err(|source| NetworkError::Kernel { action: "receive answers to address probes", source })?;
                probe.handle_packet(&packet);
            }
            () = clock.until(probe.poll_timeout()) => probe.handle_timeout(clock.now()),
        }
    };
    match verdict {
        Verdict::Taken(by) => Err(NetworkError::AddressTaken { address, by }),
        Verdict::Free => Ok(Free { probe, socket, clock }),
    }
}

impl Free {
    /// Tells the link whose the address is now, twice, the second time two seconds later and in the background.
    pub fn announce(mut self) {
        self.probe.announce(self.clock.now());
        self.say();
        tokio::spawn(async move {
            while let Some(at) = self.probe.poll_timeout() {
                self.clock.until(Some(at)).await;
                self.probe.handle_timeout(self.clock.now());
                self.say();
            }
        });
    }

    fn say(&mut self) {
        while let Some(packet) = self.probe.poll_transmit() {
            if let Err(error) = self.socket.send(&packet.to_frame()) {
                tracing::debug!(%error, "an address could not be announced");
            }
        }
    }
}

/// One address on one link.
pub(super) struct Neighbours {
    socket: PacketSocket,
    mac: Mac,
    address: Ipv4Addr,
}

/// Hears who else says that he has the address.
pub(super) fn claims(link: &Link, address: Ipv4Addr) -> Result<Neighbours, NetworkError> {
    let sender_address = (packet::SENDER_ADDRESS, Part::Word(address.into()));
    let socket = PacketSocket::open(link, packet::ETHERTYPE, &by_others(&[sender_address], packet::SENDER, link.mac))?;
    Ok(Neighbours { socket, mac: link.mac, address })
}

impl Neighbours {
    fn by(&self, frame: &[u8]) -> Option<Mac> {
        let packet = ArpPacket::of_frame(frame)?;
        (packet.sender_address == self.address && packet.sender != self.mac).then_some(packet.sender)
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
        let packet = match say {
            Say::Ask => ArpPacket::probe(self.mac, self.address),
            Say::Defend => ArpPacket::announcement(self.mac, self.address),
        };
        self.socket.send(&packet.to_frame())
    }
}
