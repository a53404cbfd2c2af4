//! Ordinary UDP sockets at a host of the lab, one of each family on one port, and everything they ever received.

use muster_protocol::wire::{GROUP, MAX_DATAGRAM, Message, PORT, decode};
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs `work` inside a network namespace; sockets that it opens stay there.
///
/// # Panics
/// If the namespace cannot be entered, or `work` panics.
pub fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(namespace).expect("the host is there");
    // A thread of its own: the one that asks stays where it is.
    let inside = |file: File| {
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a network namespace");
        work()
    };
    std::thread::scope(|scope| scope.spawn(|| inside(file)).join().expect("the work inside the namespace"))
}

/// One datagram that a station received.
#[derive(Clone, Debug)]
pub struct Received {
    /// From where.
    pub from: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// When.
    pub at: Instant,
}

/// The sockets.
pub struct Station {
    /// Index of `eth0` there.
    pub interface: u32,
    /// The port of both sockets.
    pub port: u16,
    four: UdpSocket,
    six: UdpSocket,
    inbox: Arc<Mutex<Vec<Received>>>,
    ended: Arc<AtomicBool>,
}

/// The family that a datagram travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// IPv4 directed and limited broadcast.
    Four,
    /// IPv6 link-local multicast.
    Six,
}

/// Both ways.
pub const WAYS: [Way; 2] = [Way::Four, Way::Six];

impl Station {
    /// Opens both sockets at the host of `namespace`, and hears whatever comes.
    ///
    /// # Panics
    /// If it cannot.
    pub fn open(namespace: &Path) -> Station {
        Station::open_at(namespace, 0)
    }

    /// The same on a port; on our own it hears what is sent to everybody, as an appliance does.
    ///
    /// # Panics
    /// If it cannot.
    pub fn open_at(namespace: &Path, port: u16) -> Station {
        let (interface, four, six) = inside(namespace, || {
            let interface = nix::net::if_::if_nametoindex("eth0").expect("eth0");
            let four = bound(Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
            four.set_broadcast(true).expect("broadcast");
            let four = UdpSocket::from(four);
            let port = four.local_addr().expect("bound").port();
            let six = bound(Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
            six.join_multicast_v6(&GROUP, interface).expect("the group");
            six.set_multicast_if_v6(interface).expect("the interface");
            (interface, four, UdpSocket::from(six))
        });
        let port = four.local_addr().expect("bound").port();
        let (inbox, ended) = (Arc::default(), Arc::default());
        for socket in [&four, &six] {
            let socket = socket.try_clone().expect("another handle");
            hear(socket, Arc::clone(&inbox), Arc::clone(&ended));
        }
        Station { interface, port, four, six, inbox, ended }
    }

    /// To everybody, one way.
    pub fn call(&self, way: Way, bytes: &[u8]) {
        match way {
            Way::Four => {
                for everybody in [Ipv4Addr::BROADCAST, Ipv4Addr::new(10, 20, 0, 255)] {
                    let _ = self.four.send_to(bytes, (everybody, PORT));
                }
            }
            Way::Six => {
                let _ = self.six.send_to(bytes, SocketAddrV6::new(GROUP, PORT, 0, self.interface));
            }
        }
    }

    /// To everybody, both ways.
    pub fn say(&self, bytes: &[u8]) {
        WAYS.iter().for_each(|way| self.call(*way, bytes));
    }

    /// To one.
    pub fn tell(&self, to: SocketAddr, bytes: &[u8]) {
        // A send that the kernel refuses (too long, no route) is an attack that ends here.
        let _ = match to {
            SocketAddr::V4(_) => self.four.send_to(bytes, to),
            SocketAddr::V6(_) => self.six.send_to(bytes, to),
        };
    }

    /// How much was received so far; for [`Self::since`].
    pub fn mark(&self) -> usize {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What was received after a mark.
    pub fn since(&self, mark: usize) -> Vec<Received> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)[mark..].to_vec()
    }

    /// What was received in `patience` after a mark, and means something to our protocol.
    pub fn messages_within(&self, mark: usize, patience: Duration) -> Vec<Message> {
        std::thread::sleep(patience);
        self.since(mark).iter().filter_map(|received| decode(&received.bytes).ok()).collect()
    }

    /// The first datagram after a mark in which `find` finds something.
    pub fn find<T>(&self, mark: usize, patience: Duration, mut find: impl FnMut(&Received) -> Option<T>) -> Option<T> {
        let started = Instant::now();
        let mut next = mark;
        loop {
            let fresh = self.since(next);
            next += fresh.len();
            if let Some(found) = fresh.iter().find_map(&mut find) {
                return Some(found);
            }
            if started.elapsed() > patience {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn bound(domain: Domain, address: SocketAddr) -> Socket {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    if domain == Domain::IPV6 {
        socket.set_only_v6(true).expect("only IPv6");
    }
    // The first buffer that is not clamped by rmem_max: an attacker is root at his own host.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(8 << 20));
    socket.bind(&address.into()).expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    socket
}

fn hear(socket: UdpSocket, inbox: Arc<Mutex<Vec<Received>>>, ended: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; MAX_DATAGRAM * 4];
        while !ended.load(Ordering::Relaxed) {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let received = Received { from, bytes: buffer[..length].to_vec(), at: Instant::now() };
                    inbox.lock().unwrap_or_else(PoisonError::into_inner).push(received);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // An ICMP error to something sent before.
                Err(_) => {}
            }
        }
    });
}
