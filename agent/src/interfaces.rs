//! The interface that is configured, and those that are listened on, as they come and go.

use crate::host::Host;
use crate::network::links::{self, Choice, Kept, Seen};
use crate::network::{Link, NetworkError, chain};
use crate::ports::{Chooser, Ports};
use crate::storage::{Document, Storage, StorageError};
use crate::udp::Received;
use muster_protocol::time::Millis;
use muster_protocol::wire::{self, Message, Peer};
use std::net::Ipv4Addr;

/// Interfaces of an agent.
#[derive(Debug)]
pub struct Interfaces {
    /// What image and command line say.
    named: Choice,
    /// The one that is, or will be, configured.
    link: Link,
    is_present: bool,
    was_away: bool,
    /// What the log says of it.
    is_told_missing: bool,
    is_told_dead: bool,
    ports: Ports,
    chooser: Chooser,
    default_route: bool,
}

/// The interface that is meant: the named one, or else the one that was configured.
pub fn chosen(named: &Choice, storage: &impl Storage) -> Result<Choice, StorageError> {
    match named {
        Choice::Any => Ok(kept(storage)?.map_or(Choice::Any, Choice::Kept)),
        named => Ok(named.clone()),
    }
}

/// The interface that was configured, where none was named.
pub fn kept(storage: &impl Storage) -> Result<Option<Kept>, StorageError> {
    let bytes = storage.load(Document::Interface)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Keeps it, or forgets it.
pub fn keep(storage: &impl Storage, interface: Option<&Kept>) -> Result<(), StorageError> {
    match interface {
        Some(kept) => storage.save(Document::Interface, &serde_json::to_vec(kept).unwrap_or_default()),
        None => storage.remove(Document::Interface),
    }
}

impl Interfaces {
    /// Starts with `link`; nothing is open before the first look.
    pub fn new(named: Choice, link: Link) -> Interfaces {
        Interfaces {
            named,
            link,
            is_present: false,
            was_away: false,
            is_told_missing: false,
            is_told_dead: false,
            ports: Ports::default(),
            chooser: Chooser::default(),
            default_route: false,
        }
    }

    /// The one that is, or will be, configured, as last seen.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether it is there.
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// Whether the last look found it again that was gone, another one in its place, or one that was down: what the kernel had
    /// for it is lost.
    pub fn was_away(&self) -> bool {
        self.was_away
    }

    /// Whether it is there and a cable leads somewhere.
    pub fn has_carrier(&self) -> bool {
        self.is_present && self.link.carrier
    }

    /// Whether none was named.
    pub fn is_free(&self) -> bool {
        self.named == Choice::Any
    }

    /// Its IPv4 addresses, with prefixes.
    pub fn networks(&self) -> &[(Ipv4Addr, u8)] {
        self.seen().map_or(&[], |seen| &seen.networks)
    }

    /// What was seen of it at the last look.
    pub fn seen(&self) -> Option<&Seen> {
        self.ports.seen(self.link.index).filter(|_| self.is_present)
    }

    /// Whether there is a default route.
    pub fn has_default_route(&self) -> bool {
        self.default_route
    }

    /// The names of those that are listened on.
    pub fn listening(&self) -> Vec<&str> {
        self.ports.names()
    }

    /// The next datagram.
    pub async fn receive(&self) -> Received {
        self.ports.receive().await
    }

    /// Answers where the peer was heard.
    pub async fn answer(&self, peer: &Peer, bytes: &[u8]) {
        self.ports.answer(peer, bytes).await;
    }

    /// Looks at what is there: names, indices, MACs, carriers and addresses may have changed. `movable`: there are no settings
    /// that bind the appliance to its interface. `wide`: others are listened on, too. True if an interface came.
    pub async fn look(&mut self, host: &impl Host, movable: bool, wide: bool) -> bool {
        let choice = if self.is_free() { Choice::Kept(Kept::from(&self.link)) } else { self.named.clone() };
        let survey = match links::survey(&choice, wide && self.is_free()).await {
            Ok(survey) => survey,
            Err(error @ (NetworkError::NoInterface { .. } | NetworkError::SeveralInterfaces { .. })) => {
                self.lost(&error);
                self.ports.follow(&[]);
                return false;
            }
            // It may be there all the same, and so may who asks.
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the interfaces could not be looked at");
                return false;
            }
        };
        for Seen { link, .. } in survey.seen.iter().filter(|one| !one.link.up) {
            if let Err(error) = host.set_up(&link.name).await {
                tracing::warn!(interface = link.name, error = %chain(&error), "the interface could not be brought up");
            }
        }
        let before = (self.is_present, self.link.index);
        let found: Vec<Link> = survey.seen.iter().map(|one| one.link.clone()).collect();
        match choice.pick(&found) {
            Ok(link) => self.found(link.clone()),
            // There was never anything that ties it to the one that is gone.
            Err(_) if movable && self.is_free() && !found.is_empty() => self.found(found[0].clone()),
            Err(error) => self.lost(&error),
        }
        self.was_away = self.is_present && (before != (true, self.link.index) || !self.link.up);
        self.default_route = survey.default_route;
        self.ports.follow(&survey.seen)
    }

    /// A datagram was heard by an appliance without settings. False if it is not to be answered; where it came in, or the MAC
    /// that it names, may move the appliance to another interface.
    pub fn hears(&mut self, now: Millis, received: &Received) -> bool {
        let to = match wire::decode(&received.bytes) {
            _ if !self.is_free() => return true,
            Ok(Message::Ping(_)) if received.peer.interface == self.link.index => {
                self.chooser.heard_here(now);
                return true;
            }
            Ok(Message::Ping(_)) => {
                if !self.chooser.moves(now, self.has_carrier()) {
                    return false;
                }
                self.ports.link(received.peer.interface)
            }
            Ok(Message::Config(packet)) if packet.to.mac != self.link.mac => {
                self.ports.with_mac(packet.to.mac).filter(|_| self.chooser.follows(now))
            }
            _ => None,
        };
        if let Some(link) = to.cloned() {
            tracing::debug!(interface = link.name, "a console is heard here: answering for this interface");
            self.found(link);
        }
        true
    }

    fn found(&mut self, link: Link) {
        // One that has just been brought up has no carrier yet; the kernel tells when it has.
        if link.up && link.carrier == self.is_told_dead {
            self.is_told_dead = !link.carrier;
            if link.carrier {
                tracing::info!(interface = link.name, "carrier is back");
            } else {
                tracing::warn!(interface = link.name, "no carrier: is the cable plugged in?");
            }
        }
        self.link = link;
        self.is_present = true;
        self.is_told_missing = false;
    }

    fn lost(&mut self, error: &NetworkError) {
        self.is_present = false;
        self.link.carrier = false;
        if !std::mem::replace(&mut self.is_told_missing, true) {
            tracing::warn!(code = error.code(), error = %chain(error), "waiting for the interface");
        }
    }
}
