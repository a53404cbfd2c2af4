//! Address conflicts (RFC 5227): asked for before an address is taken, watched for while it is in use.
//!
//! [`probe`] and [`guard`] decide; this drives them with a socket and a clock (decision 0017).

pub mod guard;
pub mod packet;
pub mod probe;
mod socket;

pub use probe::{Timing, Verdict};

use super::{Link, NetworkError};
use crate::entropy::OsEntropy;
use guard::Guard;
use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use probe::Probe;
use socket::ArpSocket;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A probe that found its address free.
pub struct Free {
    probe: Probe,
    socket: ArpSocket,
    clock: Clock,
}

/// Asks the link whether somebody has the address; an error says who.
pub async fn probe(link: &Link, address: Ipv4Addr, timing: Timing) -> Result<Free, NetworkError> {
    let socket = ArpSocket::open(link, &socket::all())?;
    let clock = Clock::start();
    let mut probe = Probe::new(clock.now(), link.mac, address, timing, OsEntropy::boxed());
    let verdict = loop {
        while let Some(packet) = probe.poll_transmit() {
            let sent = socket.send(&packet);
            sent.map_err(|source| NetworkError::Kernel { action: "send an address probe", source })?;
        }
        if let Some(verdict) = probe.verdict() {
            break verdict;
        }
        tokio::select! {
            // What has come in is looked at before a probe ends that was late for want of time.
            biased;
            received = socket.receive() => {
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
            if let Err(error) = self.socket.send(&packet) {
                tracing::debug!(%error, "an address could not be announced");
            }
        }
    }
}

/// Claims that come faster are taken together: no flood of them costs more than this many wake-ups.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How many are taken in one go; the kernel drops the rest.
const MOST_AT_ONCE: usize = 64;

/// Watches over an address in use until it is dropped; `conflict` says who else claims it.
pub async fn watch_over(link: Link, address: Ipv4Addr, conflict: watch::Sender<Option<Mac>>) {
    let clock = Clock::start();
    let mut guard = Guard::new(clock.now(), link.mac, address);
    let mut complained = false;
    loop {
        let error = match ArpSocket::open(&link, &socket::claims_by_others(link.mac, address)) {
            Ok(socket) => serve(&mut guard, &socket, &clock, &conflict).await,
            Err(error) => super::chain(&error),
        };
        if !complained {
            tracing::warn!(error, interface = link.name, "address conflicts cannot be seen; trying again");
            complained = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

const RETRY: Duration = Duration::from_secs(10);

/// Until the socket fails.
async fn serve(guard: &mut Guard, socket: &ArpSocket, clock: &Clock, conflict: &watch::Sender<Option<Mac>>) -> String {
    let mut rest = false;
    loop {
        while let Some(packet) = guard.poll_transmit() {
            if let Err(error) = socket.send(&packet) {
                tracing::debug!(%error, "an address could not be defended");
            }
        }
        conflict.send_if_modified(|told| std::mem::replace(told, guard.conflict()) != guard.conflict());
        if std::mem::take(&mut rest) {
            tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
        }
        tokio::select! {
            received = socket.receive() => {
                match received {
                    Ok(packet) => guard.handle_packet(clock.now(), &packet),
                    // An interface that is set down says so once; it may come back.
                    Err(error) if error.raw_os_error() == Some(nix::libc::ENETDOWN) => {}
                    Err(error) => return error.to_string(),
                }
                for packet in std::iter::from_fn(|| socket.take()).take(MOST_AT_ONCE) {
                    guard.handle_packet(clock.now(), &packet);
                }
                rest = true;
            }
            () = clock.until(guard.poll_timeout()) => guard.handle_timeout(clock.now()),
        }
    }
}

struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn until(&self, at: Option<Millis>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.0 + Duration::from_millis(at.0)).await,
            None => std::future::pending().await,
        }
    }
}
