//! The interfaces that the agent listens on, and which of them it answers for.
//!
//! An answer names one MAC, and that interface is configured. So an unconfigured appliance, for which nobody named an interface,
//! listens on every Ethernet interface and answers for the one that its console is heard on (decision 0017).

use crate::network::Link;
use crate::network::links::Seen;
use crate::udp::{Received, Sockets};
use futures_util::future::select_all;
use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use muster_protocol::wire::Peer;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sockets on several interfaces, by index.
#[derive(Debug, Default)]
pub struct Ports {
    ports: BTreeMap<u32, Port>,
    /// Who is asked first, so that a flood on one interface does not silence another.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Port {
    seen: Seen,
    sockets: Option<Sockets>,
}

impl Ports {
    /// Opens sockets where an interface came, closes them where one went. True if one came: memberships and filters go with
    /// its index.
    pub fn follow(&mut self, seen: &[Seen]) -> bool {
        self.ports.retain(|index, port| {
            let stays = seen.iter().any(|one| one.link.index == *index && one.link.name == port.seen.link.name);
            if !stays {
                tracing::info!(interface = port.seen.link.name, "no longer listening");
            }
            stays
        });
        let mut came = false;
        for one in seen {
            let link = &one.link;
            let port = self.ports.entry(link.index).or_insert_with(|| {
                came = true;
                Port { seen: one.clone(), sockets: None }
            });
            port.seen = one.clone();
            match &mut port.sockets {
                Some(sockets) => sockets.complete(link),
                None => port.sockets = open(link, came),
            }
        }
        came
    }

    /// The next datagram of any interface. Cancel-safe.
    pub async fn receive(&self) -> Received {
        let open: Vec<&Sockets> = self.ports.values().filter_map(|port| port.sockets.as_ref()).collect();
        if open.is_empty() {
            return std::future::pending().await;
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % open.len();
        let (before, after) = open.split_at(first);
        select_all(after.iter().chain(before).map(|sockets| Box::pin(sockets.receive()))).await.0
    }

    /// Answers on the interface that the peer was heard on.
    pub async fn answer(&self, peer: &Peer, bytes: &[u8]) {
        if let Some(port) = self.ports.get(&peer.interface)
            && let Some(sockets) = &port.sockets
        {
            sockets.answer(peer, bytes, &port.seen.networks).await;
        }
    }

    /// The interface with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.ports.get(&index).map(|port| &port.seen.link)
    }

    /// The interface with this MAC.
    pub fn with_mac(&self, mac: Mac) -> Option<&Link> {
        self.ports.values().map(|port| &port.seen.link).find(|link| link.mac == mac)
    }

    /// What was seen of an interface at the last look.
    pub fn seen(&self, index: u32) -> Option<&Seen> {
        self.ports.get(&index).map(|port| &port.seen)
    }

    /// Their names, those that are listened on.
    pub fn names(&self) -> Vec<&str> {
        self.ports.values().filter(|port| port.sockets.is_some()).map(|port| port.seen.link.name.as_str()).collect()
    }
}

fn open(link: &Link, is_new: bool) -> Option<Sockets> {
    match Sockets::open(link) {
        Ok(sockets) => {
            tracing::info!(interface = link.name, "listening");
            Some(sockets)
        }
        // Once, not with every look.
        Err(error) if is_new => {
            tracing::error!(%error, interface = link.name, "cannot listen; trying again");
            None
        }
        Err(_) => None,
    }
}

/// Whether a ping on another interface than the one in use moves the appliance there.
#[derive(Debug, Default)]
pub struct Chooser {
    /// When a ping was last heard where it is.
    here: Option<Millis>,
    /// Since when pings are heard elsewhere only.
    elsewhere: Option<Millis>,
    moved: Option<Millis>,
}

/// While its own interface was heard on within this time, an appliance stays: one console may reach it on two, and one answer
/// shall not differ from the next.
const QUIET_MS: u64 = 5_000;
/// The same ping may be about to arrive on its own interface.
const PATIENCE_MS: u64 = 200;
/// Whoever names MACs in turn does not keep the disk busy.
const MOVE_AT_MOST_EVERY_MS: u64 = 1_000;

impl Chooser {
    /// A ping was heard where the appliance is.
    pub fn heard_here(&mut self, now: Millis) {
        self.here = Some(now);
        self.elsewhere = None;
    }

    /// A ping was heard on another interface: true if the appliance moves there. `has_carrier`: whether it could be heard where
    /// it is.
    pub fn moves(&mut self, now: Millis, has_carrier: bool) -> bool {
        let waited = self.elsewhere.get_or_insert(now);
        let patient = now >= *waited + PATIENCE_MS;
        let quiet = self.here.is_none_or(|at| now >= at + QUIET_MS);
        let moves = (!has_carrier || (quiet && patient)) && self.may_move(now);
        if moves {
            self.heard_here(now);
        }
        moves
    }

    /// A config packet names another interface of this appliance: true if it moves there.
    pub fn follows(&mut self, now: Millis) -> bool {
        let follows = self.may_move(now);
        if follows {
            self.heard_here(now);
        }
        follows
    }

    fn may_move(&mut self, now: Millis) -> bool {
        let may = self.moved.is_none_or(|at| now >= at + MOVE_AT_MOST_EVERY_MS);
        if may {
            self.moved = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_to_where_pings_come_in_when_none_come_where_it_is() {
        let mut chooser = Chooser::default();
        assert!(!chooser.moves(Millis(0), true), "the same ping may come here, too");
        assert!(!chooser.moves(Millis(150), true));
        assert!(chooser.moves(Millis(250), true));
    }

    #[test]
    fn a_console_that_is_heard_on_both_interfaces_does_not_move_it() {
        let mut chooser = Chooser::default();
        for round in 0..100 {
            let now = Millis(round * 300);
            // Whichever comes first.
            if round % 2 == 0 {
                assert!(!chooser.moves(now, true));
                chooser.heard_here(now + 1);
            } else {
                chooser.heard_here(now);
                assert!(!chooser.moves(now + 1, true));
            }
        }
        // Here it falls silent; elsewhere it goes on.
        let last = 99 * 300;
        assert!(!chooser.moves(Millis(last + 4_999), true));
        assert!(chooser.moves(Millis(last + 5_000), true));
    }

    #[test]
    fn without_a_cable_it_moves_at_once_but_never_to_and_fro_without_end() {
        let mut chooser = Chooser::default();
        chooser.heard_here(Millis(0));
        assert!(chooser.moves(Millis(10), false));
        let moves = (11..10_000).filter(|now| chooser.follows(Millis(*now))).count();
        assert!(moves <= 10, "{moves}");
    }
}
