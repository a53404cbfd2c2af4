//! Every frame on the wire, seen and sent below IP.

use super::frame::{self, Mail};
use super::station::inside;
use nix::sys::socket::{LinkAddr, MsgFlags, SockaddrLike, bind, recvfrom, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// All protocols, in network order (`ETH_P_ALL`).
const EVERYTHING: i32 = (3_u16.to_be()) as i32;
/// `PACKET_OUTGOING`: what this host sent itself.
const OWN: u8 = 4;

/// Packet sockets on `eth0` of a host.
pub struct Wiretap {
    namespace: PathBuf,
    socket: Arc<Socket>,
    place: LinkAddr,
    /// MAC of that host.
    pub mac: [u8; 6],
    mails: Arc<Mutex<Vec<Mail>>>,
    ended: Arc<AtomicBool>,
}

impl Wiretap {
    /// Opens it at the host of `namespace`. From then on every UDP datagram of others is kept.
    ///
    /// # Panics
    /// If it cannot.
    pub fn open(namespace: &Path) -> Wiretap {
        let (socket, place) = open(namespace);
        let mac = place.addr().expect("a MAC");
        let (socket, namespace) = (Arc::new(socket), namespace.to_owned());
        let wire = Wiretap { namespace, socket, place, mac, mails: Arc::default(), ended: Arc::default() };
        let mails = Arc::clone(&wire.mails);
        wire.watch(move |bytes| {
            if let Some(mail) = frame::mail(bytes) {
                mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
            }
        });
        wire
    }

    /// Calls `see` for every frame of others, on a thread and from a socket of its own, until the wiretap is gone.
    pub fn watch(&self, mut see: impl FnMut(&[u8]) + Send + 'static) {
        let ((socket, _), ended) = (open(&self.namespace), Arc::clone(&self.ended));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !ended.load(Ordering::Relaxed) {
                match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
                    Ok((length, from)) if from.is_none_or(|from| from.pkttype() != OWN) => see(&buffer[..length]),
                    _ => {}
                }
            }
        });
    }

    /// Puts a frame on the wire.
    pub fn send(&self, frame: &[u8]) {
        send(&self.socket, &self.place, frame);
    }

    /// What can send from another thread.
    pub fn sender(&self) -> impl Fn(&[u8]) + Send + 'static {
        let (socket, place) = (Arc::clone(&self.socket), self.place);
        move |frame| send(&socket, &place, frame)
    }

    /// How many datagrams were seen so far; for [`Self::since`].
    pub fn mark(&self) -> usize {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The datagrams of others after a mark.
    pub fn since(&self, mark: usize) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)[mark..].to_vec()
    }

    /// Every payload of our protocol that was ever seen, once each.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        let mut payloads: Vec<_> = self.since(0).into_iter().map(|mail| mail.payload).collect();
        payloads.retain(|payload| payload.starts_with(b"MUST"));
        let mut seen = std::collections::BTreeSet::new();
        payloads.retain(|payload| seen.insert(payload.clone()));
        payloads
    }

    /// Waits for a datagram of others after a mark that `wanted` takes.
    pub fn find(&self, mark: usize, patience: Duration, wanted: impl Fn(&Mail) -> bool) -> Option<Mail> {
        let started = Instant::now();
        let mut next = mark;
        while started.elapsed() < patience {
            let fresh = self.since(next);
            next += fresh.len();
            if let Some(mail) = fresh.into_iter().find(|mail| wanted(mail)) {
                return Some(mail);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn open(namespace: &Path) -> (Socket, LinkAddr) {
    let (socket, place) = inside(namespace, || {
        let mut interfaces = nix::ifaddrs::getifaddrs().expect("interfaces");
        let place = interfaces
            .find_map(|found| found.address.filter(|_| found.interface_name == "eth0")?.as_link_addr().copied());
        let place = place.expect("eth0 has a link address");
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERYTHING))).expect("root");
        (socket, place)
    });
    bind(socket.as_raw_fd(), &place).expect("bound to eth0");
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(32 << 20));
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    (socket, place)
}

fn send(socket: &Socket, place: &LinkAddr, frame: &[u8]) {
    // A full queue loses frames as a cable does.
    let _ = sendto(socket.as_raw_fd(), frame, place, MsgFlags::empty());
    debug_assert_eq!(place.family(), Some(nix::sys::socket::AddressFamily::Packet));
}
