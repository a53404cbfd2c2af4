//! The console's roll call (`design.md` §4; seed steps 65-67): who is there, and is anybody still unheard?
//!
//! Discovery runs in rounds. A round is one or more pings that name a window; every appliance that is asked answers at a
//! random moment inside it. Later rounds list who has been heard, so that only the unheard answer, and a random sample of
//! the heard that is left off the list on purpose: how many of the sample answer measures the loss, and from the loss and
//! the number of new answers [`estimate`] follows how many are still unheard. When many must be listed, a round sends one
//! ping for each shard of all appliances.
//!
//! A discovery ends when that number is next to nothing, after at least two rounds, the last of which brought nobody new.
//! Where nobody was heard at all there is nothing to measure with: three rounds of silence end it.
//!
//! An answer is looked at only if it claims to answer a ping of the last 30 s that asked this very appliance, and its
//! signature only if this appliance has not answered that ping from the same peer before.

pub mod estimate;
mod pace;
mod recent;
mod round;

use crate::crypto::keys::{OpenKey, PublicKey, SealKey, SecretKey};
use crate::crypto::{Entropy, random, sign};
use crate::id::{BootId, Mac, PingId, Uid};
use crate::parameters::NetworkSettings;
use crate::time::Millis;
use crate::wire::here::{Here, HerePacket, Proof, State};
use crate::wire::ping::{Ping, Shard};
use crate::wire::{self, MAX_DATAGRAM, Message, Peer};
use pace::Pace;
use recent::{Asked, RecentPings};
use round::Round;
use std::collections::{BTreeSet, VecDeque};

/// Most appliances one discovery keeps; whoever can sign could otherwise fill the memory with invented ones.
pub const MAX_APPLIANCES: usize = 65_536;

/// A discovery goes on until the expected number of the unheard is below this, so about one in thirty on a network with
/// heavy loss misses somebody. "Below one" would be every third, and on a good network it takes as many rounds.
const ENOUGH: f64 = 0.03;
/// Rounds in which nobody at all was heard before the network counts as empty.
const EMPTY_ROUNDS: u32 = 3;

/// Signs pings, so that configured appliances return their settings.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The console's key.
    pub key: SecretKey,
    /// Its credential: COSE_Sign1 by the NOC root, as received.
    pub credential: Vec<u8>,
}

/// How to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The window of the first round, and the least of all rounds.
    pub first_window_ms: u16,
    /// The widest window.
    pub max_window_ms: u16,
    /// How long after a window answers of that round are waited for: the time answers travel.
    pub slack_ms: u16,
    /// A discovery that still misses somebody ends after this many rounds.
    pub max_rounds: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { first_window_ms: 250, max_window_ms: 4_000, slack_ms: 80, max_rounds: 12 }
    }
}

/// What comes in.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram. Anything but an answer is ignored.
    Datagram {
        /// Where it came from.
        peer: Peer,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// An answer that the driver has already told from other datagrams.
    Here {
        /// Where it came from.
        peer: Peer,
        /// The answer.
        packet: &'a HerePacket,
    },
    /// The receive buffer that the sockets really have, as read back from the system.
    Capacity {
        /// Bytes.
        receive_buffer: usize,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send to the group and by broadcast on every interface.
    Transmit {
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Tell the user.
    Notify(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all events are the large one, and none is kept")]
pub enum Event {
    /// An appliance answered.
    Heard(Heard),
    /// A round is over.
    Round {
        /// Its number, from 1.
        number: u32,
        /// Appliances heard in this discovery.
        found: usize,
        /// How many are probably still unheard.
        unheard: f64,
    },
    /// The discovery is over, or was stopped.
    Finished {
        /// Appliances heard.
        found: usize,
        /// How many are probably still unheard.
        unheard: f64,
        /// Rounds that were begun.
        rounds: u32,
    },
}

/// A verified answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its identity.
    pub uid: Uid,
    /// The key whose hash that is.
    pub device_key: PublicKey,
    /// The MAC config packets are addressed to.
    pub mac: Mac,
    /// How it stands with configuration.
    pub state: State,
    /// Opens one config packet; the latest one heard is the one to use.
    pub one_time_key: SealKey,
    /// This run of its agent.
    pub boot: BootId,
    /// What proves that somebody may configure it.
    pub proof: Proof,
    /// Its settings, if it believed our credential.
    pub settings: Option<NetworkSettings>,
    /// Where the answer came from.
    pub peer: Peer,
    /// Heard for the first time in this discovery.
    pub fresh: bool,
}

/// The machine.
pub struct Discovery {
    config: Config,
    signer: Option<Signer>,
    rng: Entropy,
    now: Millis,
    heard: BTreeSet<Uid>,
    /// Counts discoveries, so that a late answer to an earlier one does not count in this one's statistics.
    run: u32,
    rounds: Vec<Round>,
    running: Option<Running>,
    recent: RecentPings,
    pace: Pace,
    outputs: VecDeque<Output>,
}

/// The round under way.
struct Running {
    queue: VecDeque<round::Planned>,
    ends: Millis,
}

impl Discovery {
    /// A machine at rest.
    pub fn new(config: Config, signer: Option<Signer>, rng: Entropy) -> Discovery {
        Discovery {
            pace: Pace::new(&config),
            config,
            signer,
            rng,
            now: Millis(0),
            heard: BTreeSet::new(),
            run: 0,
            rounds: Vec::new(),
            running: None,
            recent: RecentPings::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins a discovery, or begins again; everybody counts as unheard.
    pub fn start(&mut self, now: Millis) {
        self.advance(now);
        self.heard.clear();
        self.rounds.clear();
        self.run = self.run.wrapping_add(1);
        self.pace.restart(&self.config);
        self.begin_round();
    }

    /// Ends the discovery under way. Answers to its pings are still taken for 30 s.
    pub fn stop(&mut self, now: Millis) {
        self.advance(now);
        if self.running.is_some() {
            self.finish();
        }
    }

    /// Asks one appliance, which answers at once. Whoever asks repeats it if nothing comes.
    pub fn ping_one(&mut self, now: Millis, uid: Uid) {
        self.advance(now);
        let ping = Ping {
            id: PingId(random(&mut self.rng)),
            window_ms: 0,
            salt: random(&mut self.rng),
            shard: Shard::default(),
            heard: Vec::new(),
            only: Some(uid),
            reply_key: None,
            credential: None,
        };
        self.transmit(ping, None);
    }

    /// True while a discovery is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Takes what came in.
    pub fn handle_input(&mut self, now: Millis, input: Input<'_>) {
        self.advance(now);
        match input {
            Input::Datagram { peer, bytes } => {
                if let Ok(Message::Here(packet)) = wire::decode(bytes) {
                    self.handle_here(peer, &packet);
                }
            }
            Input::Here { peer, packet } => self.handle_here(peer, packet),
            Input::Capacity { receive_buffer } => self.pace.set_receive_buffer(receive_buffer),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.advance(now);
        while let Some((ping, wave)) = self.next_due() {
            let round = self.rounds.len() - 1;
            self.transmit(ping, Some(recent::Part { run: self.run, round, wave }));
        }
        if self.running.as_ref().is_some_and(|running| running.queue.is_empty() && running.ends <= self.now) {
            self.end_round();
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        let running = self.running.as_ref()?;
        Some(running.queue.front().map_or(running.ends, |planned| planned.at))
    }

    fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        self.recent.forget_old(self.now);
    }

    fn begin_round(&mut self) {
        let (round, pings) = round::plan(&self.rounds, &self.heard, &mut self.rng);
        let window_ms = self.pace.window(&self.rounds, self.heard.len(), &round);
        let queue = round::schedule(self.now, window_ms, pings);
        self.rounds.push(Round { window_ms, ..round });
        self.running = Some(Running { queue, ends: self.now });
        self.handle_timeout(self.now);
    }

    /// The next ping that is to be sent by now, and its wave.
    fn next_due(&mut self) -> Option<(Ping, usize)> {
        let running = self.running.as_mut()?;
        let round::Planned { wave, ping, .. } = running.queue.pop_front_if(|planned| planned.at <= self.now)?;
        // Counted from the moment it is really sent: a driver that is late must not shorten the window.
        let answered_by = self.now + u64::from(ping.window_ms) + u64::from(self.config.slack_ms);
        running.ends = running.ends.max(answered_by);
        Some((ping, wave))
    }

    fn end_round(&mut self) {
        let number = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        let unheard = round::unheard(&self.rounds);
        self.notify(Event::Round { number, found: self.heard.len(), unheard });
        let enough = if self.heard.is_empty() {
            number >= EMPTY_ROUNDS
        } else {
            let nobody_new = self.rounds.last().is_some_and(|round| round.fresh == 0);
            number >= 2 && nobody_new && unheard < ENOUGH
        };
        if enough || number >= self.config.max_rounds {
            self.finish();
        } else {
            self.pace.learn(self.rounds.last());
            self.begin_round();
        }
    }

    fn finish(&mut self) {
        self.running = None;
        let unheard = round::unheard(&self.rounds);
        let rounds = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        self.notify(Event::Finished { found: self.heard.len(), unheard, rounds });
    }

    fn transmit(&mut self, mut ping: Ping, part: Option<recent::Part>) {
        let mut open_key = None;
        let bytes = match &self.signer {
            Some(signer) => {
                let key = OpenKey::generate(&mut self.rng);
                ping.reply_key = Some(key.public());
                ping.credential = Some(signer.credential.clone().into());
                open_key = Some(key);
                ping.to_signed(&signer.key)
            }
            None => ping.to_plain(),
        };
        self.recent.insert(self.now, Asked { ping, part, open_key, answered: BTreeSet::new() });
        self.outputs.push_back(Output::Transmit { bytes });
    }

    fn handle_here(&mut self, peer: Peer, packet: &HerePacket) {
        if packet.signed.len() > MAX_DATAGRAM {
            return;
        }
        // Everything that costs no signature check comes first; whoever floods us pays more than we do.
        let Ok(unverified) = sign::Unverified::parse(&packet.signed) else { return };
        let Ok(claimed) = wire::from_cbor::<Here>(unverified.untrusted_payload()) else { return };
        let uid = claimed.uid();
        if !self.recent.expects(&claimed.ping, &uid, &peer) {
            return;
        }
        if !self.heard.contains(&uid) && self.heard.len() >= MAX_APPLIANCES {
            return;
        }
        let Ok(here) = packet.verify() else { return };
        let Some(asked) = self.recent.answered(&here.ping, uid, peer) else { return };
        let settings = match (&here.settings, &asked.open_key) {
            (Some(sealed), Some(key)) => sealed.open(key, &uid),
            _ => None,
        };
        let fresh = self.heard.insert(uid);
        if let Some(part) = asked.part
            && part.run == self.run
            && let Some(round) = self.rounds.get_mut(part.round)
        {
            round.count_answer(part.wave, uid, fresh);
        }
        let Here { device_key, mac, state, one_time_key, boot, proof, .. } = here;
        self.notify(Event::Heard(Heard {
            uid,
            device_key,
            mac,
            state,
            one_time_key,
            boot,
            proof,
            settings,
            peer,
            fresh,
        }));
    }

    fn notify(&mut self, event: Event) {
        self.outputs.push_back(Output::Notify(event));
    }
}

#[cfg(test)]
mod simulated_network;
