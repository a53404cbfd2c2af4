//! The console's roll call (`design.md` §4; seed steps 65-67): who is there, and is anybody still unheard?
//!
//! Discovery runs in rounds. A round is one or more *waves*; a wave is one or more pings that together ask everybody once
//! and name a window; every appliance that is asked answers at a random moment inside it. Later waves list who has been
//! heard, so that only the unheard answer, and a random sample of the heard that is left off the list on purpose: how many
//! of the sample answer measures the loss, and from the loss and the number of new answers [`estimate`] follows how many
//! are still unheard. When many must be listed, a wave has one ping for each shard of all appliances.
//!
//! Windows are wide while many answers are expected and narrow at the end ([`pace`]), where waves follow each other
//! quickly: with three of ten datagrams lost each way, four thousand appliances need some 25 of them. A round is over when
//! its windows are, and answers have stopped coming; an answer that comes later still counts.
//!
//! A discovery ends when the expected number of the unheard is next to nothing, and enough waves brought nobody new that
//! another one like the last would have been heard. Where nobody was heard at all there is nothing to measure with:
//! twenty waves of silence end it.
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
use round::{Round, Sampler};
use std::collections::{BTreeSet, VecDeque};

/// Most appliances one discovery keeps; whoever can sign could otherwise fill the memory with invented ones.
pub const MAX_APPLIANCES: usize = 65_536;

/// A discovery goes on until the expected number of the unheard is below this.
const ENOUGH: f64 = 0.000_1;
/// And until somebody like the last new one would have been missed by all waves since with no more than this chance: not
/// every appliance is as easy to hear as the sample.
const ENOUGH_SILENCE: f64 = 0.01;
/// Waves that nobody answers before a network counts as empty. With three of ten lost each way, one appliance in a million
/// is missed by so many.
const EMPTY_WAVES: usize = 20;
/// Most waves of a round. An appliance that is heard by none may answer all, so more would use up its patience with us.
const MOST_WAVES: usize = 4;
/// New answers that all waves of a round together may bring: more are asked for once.
const FEW_ANSWERS: f64 = 64.0;
/// Rounds in which nobody has been heard yet, or hardly anybody, need not hurry.
const QUIET_WINDOW_MS: u16 = 90;
/// With so many heard a wave takes no more than eight pings.
const CHEAP: usize = 512;
/// How long after its windows a round goes on at most while answers keep coming in.
const BACKLOG_MS: u64 = 4_000;

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
    /// The window of the first round, which may be answered by any number.
    pub first_window_ms: u16,
    /// The narrowest window of later rounds.
    pub least_window_ms: u16,
    /// The widest window.
    pub max_window_ms: u16,
    /// Longest silence after a window that is waited for: the time answers travel. It is learnt from answers that come late.
    pub slack_ms: u16,
    /// No discovery is shorter: loss comes in bursts.
    pub least_ms: u64,
    /// A discovery that still misses somebody ends after this many rounds,
    pub max_rounds: u32,
    /// or after this time.
    pub patience_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_window_ms: 250,
            least_window_ms: 30,
            max_window_ms: 4_000,
            slack_ms: 150,
            least_ms: 800,
            max_rounds: 400,
            patience_ms: 20_000,
        }
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
    /// How many answers a second this console verifies, as measured.
    Speed {
        /// Answers a second.
        answers_per_s: u32,
    },
    /// Pings reach an interface from now on that they did not before: nobody behind it has been asked.
    NewInterface,
}

/// What is to be done.
#[expect(clippy::large_enum_variant, reason = "outputs are taken one at a time and never kept")]
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
    /// The answer as the appliance signed it: COSE_Sign1 over [`Here`], for whoever does not take our word.
    pub signed: Vec<u8>,
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
    began: Millis,
    rounds: Vec<Round>,
    /// Rounds before this one asked fewer interfaces, and say nothing about who is unheard.
    counted_from: usize,
    /// Waves that are owed to an interface that came late.
    owed: usize,
    sampler: Sampler,
    running: Option<Running>,
    recent: RecentPings,
    pace: Pace,
    outputs: VecDeque<Output>,
}

/// The round under way.
struct Running {
    queue: VecDeque<round::Planned>,
    began: Millis,
    /// When the last window ends.
    ends: Millis,
    last_answer: Millis,
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
            began: Millis(0),
            rounds: Vec::new(),
            counted_from: 0,
            owed: 0,
            sampler: Sampler::default(),
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
        self.counted_from = 0;
        self.owed = 0;
        self.sampler = Sampler::default();
        self.began = self.now;
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
            Input::Speed { answers_per_s } => self.pace.set_speed(answers_per_s),
            Input::NewInterface => {
                self.counted_from = self.rounds.len();
                self.owed = EMPTY_WAVES;
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.advance(now);
        while let Some((ping, wave)) = self.next_due() {
            let round = self.rounds.len() - 1;
            self.transmit(ping, Some(recent::Part { run: self.run, round, wave }));
        }
        if self.running.as_ref().is_some_and(|running| running.queue.is_empty() && self.round_ends(running) <= self.now)
        {
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
        Some(running.queue.front().map_or_else(|| self.round_ends(running), |planned| planned.at))
    }

    fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        self.recent.forget_old(self.now);
    }

    /// A round is over when its windows are and answers have stopped coming: a console that is still busy with what came
    /// in would ask those again whose answers are waiting.
    fn round_ends(&self, running: &Running) -> Millis {
        let slack = self.pace.slack_ms();
        let quiet = (running.last_answer + slack).min(running.ends + BACKLOG_MS);
        quiet.max(running.ends + slack)
    }

    fn begin_round(&mut self) {
        let (waves, window_ms) = self.next_shape();
        self.sampler.advance(self.now.since(self.began), self.is_enough());
        let (round, pings) = round::plan(waves, &self.heard, &mut self.sampler, &mut self.rng);
        self.owed = self.owed.saturating_sub(waves);
        self.rounds.push(round);
        let queue = round::schedule(self.now, window_ms, pings);
        self.running = Some(Running { queue, began: self.now, ends: self.now, last_answer: self.now });
        self.handle_timeout(self.now);
    }

    /// How many waves the next round has, and its window.
    fn next_shape(&self) -> (usize, u16) {
        let Config { first_window_ms, max_window_ms, least_ms, .. } = self.config;
        let counted = self.counted();
        if counted.is_empty() {
            return (1, first_window_ms.min(max_window_ms).max(1));
        }
        if self.heard.is_empty() {
            return (MOST_WAVES, self.pace.window(0.0, 0.0).max(QUIET_WINDOW_MS.min(max_window_ms)));
        }
        let sampled = round::sampled(counted);
        // A first round says nothing about its own loss: likely a few are missing, at worst as many again.
        let (unheard, at_most, needed) = if sampled.sample > 0 {
            let unheard = round::unheard(counted).min(MAX_APPLIANCES as f64);
            let needed = (unheard / ENOUGH).ln() / -(1.0 - sampled.chance()).ln();
            (unheard, unheard * 2.0, needed.max(1.0))
        } else {
            (self.heard.len() as f64 / 4.0, self.heard.len() as f64, MOST_WAVES as f64)
        };
        let waves = needed.min(FEW_ANSWERS / (unheard + 1.0)).ceil().clamp(1.0, MOST_WAVES as f64);
        let again = Sampler::size(self.heard.len()) as f64;
        let mut window_ms = self.pace.window((unheard + again) * waves, (at_most + again) * waves);
        if self.owed > 0 || (self.heard.len() as f64) < FEW_ANSWERS {
            window_ms = window_ms.max(QUIET_WINDOW_MS.min(max_window_ms));
        }
        // Nothing is left to do but to let a burst of noise pass. Where pings are few, asking costs nothing.
        if self.is_enough() {
            if self.heard.len() <= CHEAP {
                return (MOST_WAVES, QUIET_WINDOW_MS.min(max_window_ms));
            }
            let rest = least_ms.saturating_sub(self.now.since(self.began));
            window_ms = window_ms.max(u16::try_from(rest).unwrap_or(u16::MAX).min(first_window_ms));
        }
        (waves as usize, window_ms)
    }

    /// The rounds of this discovery that asked everybody.
    fn counted(&self) -> &[Round] {
        self.rounds.get(self.counted_from..).unwrap_or_default()
    }

    /// The next ping that is to be sent by now, and its wave.
    fn next_due(&mut self) -> Option<(Ping, usize)> {
        let running = self.running.as_mut()?;
        let round::Planned { wave, ping, .. } = running.queue.pop_front_if(|planned| planned.at <= self.now)?;
        // Counted from the moment it is really sent: a driver that is late must not shorten the window.
        running.ends = running.ends.max(self.now + u64::from(ping.window_ms));
        Some((ping, wave))
    }

    fn end_round(&mut self) {
        if let (Some(running), Some(round)) = (&self.running, self.rounds.last_mut()) {
            let until = running.ends.max(running.last_answer);
            round.ended = running.ends;
            round.span_ms = until.since(running.began);
            self.pace.learn(&round.sampled(), round.fresh, round.span_ms);
        }
        self.pace.calm_down();
        let number = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        let unheard = round::unheard(self.counted());
        self.notify(Event::Round { number, found: self.heard.len(), unheard });
        let lasted = self.now.since(self.began);
        let gives_up = lasted >= self.config.patience_ms || number >= self.config.max_rounds;
        if gives_up || self.is_enough() && lasted >= self.config.least_ms {
            self.finish();
        } else {
            self.begin_round();
        }
    }

    /// True if there is no reason to ask once more, but for bursts.
    fn is_enough(&self) -> bool {
        let counted = self.counted();
        if self.owed > 0 {
            return false;
        }
        if self.heard.is_empty() {
            return counted.iter().map(|round| round.waves.len()).sum::<usize>() >= EMPTY_WAVES;
        }
        round::sampled(counted).sample > 0
            && round::unheard(counted) < ENOUGH
            && round::missed_since_last(counted) < ENOUGH_SILENCE
    }

    fn finish(&mut self) {
        self.running = None;
        let unheard = round::unheard(self.counted());
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
        {
            self.count(part, uid, fresh);
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
            signed: packet.signed.clone(),
        }));
    }

    /// An answer to a ping of this discovery, for its statistics.
    fn count(&mut self, part: recent::Part, uid: Uid, fresh: bool) {
        let is_late = part.round + 1 < self.rounds.len();
        let Some(round) = self.rounds.get_mut(part.round) else { return };
        round.count_answer(part.wave, uid, fresh);
        if is_late {
            self.pace.came_late(self.now.since(round.ended));
        }
        if let Some(running) = &mut self.running {
            running.last_answer = self.now;
        }
    }

    fn notify(&mut self, event: Event) {
        self.outputs.push_back(Output::Notify(event));
    }
}

#[cfg(test)]
mod simulated_network;
