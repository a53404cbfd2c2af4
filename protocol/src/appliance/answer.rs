//! Answers to pings, each at its own random moment inside the ping's window.

use super::limit::Askers;
use super::{Appliance, Output};
use crate::crypto::uniform;
use crate::id::PingId;
use crate::time::Millis;
use crate::wire::Peer;
use crate::wire::here::{Here, SealedSettings};
use crate::wire::ping::{Asker, PingPacket};
use std::collections::BTreeMap;

/// Answers waiting for their moment.
pub(super) struct Answers {
    pub(super) due: BTreeMap<(Millis, PingId, Peer), Waiting>,
    pub(super) askers: Askers,
}

#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) asker: Option<Asker>,
    /// Length of the ping: the answer may not be longer.
    pub(super) room: usize,
}

const MOST_WAITING: usize = 32;

impl Answers {
    pub(super) fn new() -> Answers {
        Answers { due: BTreeMap::new(), askers: Askers::new() }
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.due.keys().next().map(|(at, _, _)| *at)
    }
}

impl Appliance {
    pub(super) fn ping(&mut self, now: Millis, peer: Peer, packet: &PingPacket, room: usize) {
        let Ok(ping) = packet.question() else { return };
        let is_waiting = self.answers.due.keys().any(|(_, id, from)| *id == ping.id && *from == peer);
        if !ping.asks(&self.uid) || is_waiting || self.answers.due.len() >= MOST_WAITING {
            return;
        }
        if !self.may_answer(now, &peer) {
            return;
        }
        // Only an appliance that has settings to give spends signature checks on the asker.
        let asker = self.saved.committed.as_ref().and_then(|grant| {
            let asker = packet.asker(&grant.root)?;
            let in_time = self.noc_time.is_none_or(|time| time <= asker.credential.expires);
            (in_time && asker.credential.sites.contains(&grant.site)).then_some(asker)
        });
        let window = if ping.only.is_some() { 0 } else { u64::from(ping.window_ms) };
        let at = now + uniform(&mut *self.rng, window + 1);
        self.answers.due.insert((at, ping.id, peer), Waiting { asker, room });
        self.answer_due(now);
    }

    /// True if the limits allow an answer to this asker.
    pub(super) fn may_answer(&mut self, now: Millis, peer: &Peer) -> bool {
        self.answers.askers.take(now, peer.address.ip())
    }

    pub(super) fn answer_due(&mut self, now: Millis) {
        while let Some(entry) = self.answers.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, ping, peer), waiting) = entry.remove_entry();
            self.answer(now, peer, ping, &waiting);
        }
    }

    fn answer(&mut self, now: Millis, peer: Peer, ping: PingId, waiting: &Waiting) {
        let settings = match (&waiting.asker, self.saved.committed.as_ref()) {
            (Some(asker), Some(grant)) => {
                let network = &grant.parameters.network;
                SealedSettings::seal(&mut *self.rng, &asker.reply_key, &self.uid, network)
            }
            _ => None,
        };
        let here = Here {
            ping,
            device_key: self.profile.device.public(),
            mac: self.profile.mac,
            state: self.state(),
            one_time_key: self.keys.publish(now, &mut *self.rng),
            boot: self.profile.boot,
            proof: self.profile.proof,
            settings,
        };
        // Never more bytes out than came in: settings are what can be left out.
        if here.settings.is_some() {
            let bytes = here.to_datagram(&self.profile.device);
            if bytes.len() <= waiting.room {
                return self.outputs.push_back(Output::Transmit { peer, bytes });
            }
        }
        let bytes = Here { settings: None, ..here }.to_datagram(&self.profile.device);
        if fits(&peer, bytes.len(), waiting.room) {
            self.outputs.push_back(Output::Transmit { peer, bytes });
        }
    }
}

/// True if an answer has at most as many bytes as what it answers (`room`). By IPv4 the driver may send it twice, by unicast
/// and by broadcast, when the asker is not on the appliance's own network.
pub(super) fn fits(peer: &Peer, length: usize, room: usize) -> bool {
    let copies = if peer.address.is_ipv4() { 2 } else { 1 };
    copies * length <= room
}
