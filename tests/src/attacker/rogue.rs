//! An appliance with the attacker's firmware: it answers pings and config packets as it likes.

use super::station::{Received, Station};
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::{OpenKey, SecretKey};
use muster_protocol::crypto::random;
use muster_protocol::id::{BootId, Mac, Uid};
use muster_protocol::wire::config::{ConfigPacket, PacketHash};
use muster_protocol::wire::here::{Here, Proof, State};
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::result::{ConfigResult, Status};
use muster_protocol::wire::{self, Message};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it has to say for itself.
pub struct Rogue {
    /// Its identity; invented or of a real board.
    pub device: SecretKey,
    /// The MAC it claims.
    pub mac: Mac,
    /// Its own label's claim key, if it wants to open packets.
    pub claim: Option<ClaimKey>,
    /// The state it claims.
    pub state: State,
    one_time: OpenKey,
}

/// Where its datagrams come from, and a thread that lives as long as this.
pub struct Acting {
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    packets: Arc<Mutex<Vec<ConfigPacket>>>,
}

impl Rogue {
    /// A new identity that claims `mac`.
    pub fn new(mac: Mac) -> Rogue {
        let device = SecretKey::generate(&mut OsEntropy);
        let one_time = OpenKey::generate(&mut OsEntropy);
        Rogue { device, mac, claim: None, state: State::Unconfigured, one_time }
    }

    /// Its identity.
    pub fn uid(&self) -> Uid {
        Uid::of(&self.device.public())
    }

    /// What it claims in answer to a ping.
    pub fn here(&self, ping: &Ping) -> Here {
        Here {
            ping: ping.id,
            device_key: self.device.public(),
            mac: self.mac,
            state: self.state,
            one_time_key: self.one_time.public(),
            boot: BootId(random(&mut OsEntropy)),
            proof: Proof::Claim,
            settings: None,
        }
    }

    /// Its result for a config packet that it can open: with the tag of one who opened it.
    pub fn result(&self, datagram: &[u8], packet: &ConfigPacket, status: Status) -> Option<Vec<u8>> {
        let opened = packet.open(&self.one_time, self.claim.as_ref(), None).ok()?;
        let result = ConfigResult {
            uid: self.uid(),
            request: packet.to.request,
            packet: PacketHash::of(datagram),
            seq: opened.grant.seq,
            boot: BootId([1; 16]),
            status,
        };
        Some(result.to_datagram(&self.device, Some(&opened.exported)))
    }

    /// Acts on `station`, which must hear what is sent to everybody on our port: `answer` makes what it says to each message.
    pub fn act(
        self,
        station: Station,
        answer: impl Fn(&Rogue, &Received, &Message) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Acting {
        let (ended, packets) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<ConfigPacket>>>::default());
        let (stop, seen) = (Arc::clone(&ended), Arc::clone(&packets));
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                for received in station.since(next) {
                    next += 1;
                    let Ok(message) = wire::decode(&received.bytes) else { continue };
                    if let Message::Config(packet) = &message
                        && packet.to.uid == self.uid()
                    {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(packet.clone());
                    }
                    for bytes in answer(&self, &received, &message) {
                        station.tell(received.from, &bytes);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Acting { ended, thread: Some(thread), packets }
    }
}

impl Acting {
    /// The config packets that were sent to it.
    pub fn packets(&self) -> Vec<ConfigPacket> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
