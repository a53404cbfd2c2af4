//! The console's machine that brings one configuration to one appliance (seed, FIGURES 9A and 9B).
//!
//! ```text
//!  Asking ──Heard──▶ Sending ──UNCONFIGURED──▶ Sending (asks again) ──SUCCESS──▶ Kicking ──SUCCESS, committed──▶ done
//!    ▲                  │                                                            │
//!    └── fresh key ◀────┴── FAILED: retried with a fresh one-time key, up to a limit ┘
//! ```
//!
//! A packet is re-sent with the same bytes until it is answered: the appliance answers a repeated request from its cache, so
//! loss in either direction never applies anything twice. Only a FAILED result makes a new packet. Packet and exported key
//! are persisted before the first transmit, so a console that is killed goes on where it was.

#[cfg(any(test, feature = "model"))]
mod fork;
mod retry;

use crate::Token;
use crate::crypto::claim::ClaimKey;
use crate::crypto::keys::{PublicKey, SealKey, SecretKey};
use crate::crypto::seal::ExportedKey;
use crate::crypto::{Entropy, random, uniform};
use crate::id::{BootId, Mac, RequestId, Seq, Uid};
use crate::time::Millis;
use crate::wire::config::{self, Address, PacketHash};
use crate::wire::here::{Proof, State};
use crate::wire::kick::KickStart;
use crate::wire::result::{Reason, ResultPacket, Stage, Status};
use crate::wire::{from_cbor, to_cbor};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use retry::{Tries, Verdict};
use std::collections::VecDeque;

/// What to deliver to whom.
#[derive(Clone, Debug)]
pub struct Order {
    /// Device public key, from the appliance's answer; results must be signed by it.
    pub device_key: PublicKey,
    /// MAC the packet is addressed to.
    pub mac: Mac,
    /// The NOC's COSE_Sign1 over the grant, as received.
    pub grant: Vec<u8>,
    /// The grant's sequence number.
    pub seq: Seq,
    /// The claim key; used while the appliance answers as unconfigured.
    pub claim: Option<ClaimKey>,
    /// The vendor's voucher; likewise. An appliance wants one of the two, see [`Wants`].
    pub voucher: Option<Vec<u8>>,
    /// The one-time key of its last answer, if that was not long ago; without it, it is asked first.
    pub one_time_key: Option<SealKey>,
}

impl Order {
    /// Drops what this appliance does not want to see. What was dropped does not come back with a new grant.
    pub fn keep(&mut self, wants: Wants) {
        if wants != Wants::ClaimKey {
            self.claim = None;
        }
        if wants != Wants::Voucher {
            self.voucher = None;
        }
    }
}

/// What an appliance wants to see as proof of ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Wants {
    /// Nothing more: it has a pinned root, or accepts anybody.
    #[n(0)]
    Nothing,
    /// A packet that is sealed with its claim key.
    #[n(1)]
    ClaimKey,
    /// A voucher in the packet.
    #[n(2)]
    Voucher,
}

impl Wants {
    /// Of an appliance that answered so.
    pub fn of(state: State, proof: Proof) -> Wants {
        match (state, proof) {
            (State::Configured, _) | (_, Proof::Open) => Wants::Nothing,
            (_, Proof::Claim) => Wants::ClaimKey,
            (_, Proof::Voucher) => Wants::Voucher,
        }
    }
}

/// What the driver tells the machine.
#[derive(Debug)]
pub enum Input<'a> {
    /// A result that claims to be from this appliance.
    Packet(&'a ResultPacket),
    /// A verified answer of this appliance to a ping.
    Heard {
        /// Its fresh one-time key.
        one_time_key: SealKey,
        /// Its run.
        boot: BootId,
        /// How it stands.
        state: State,
        /// What it accepts as proof of ownership while nobody owns it.
        proof: Proof,
    },
    /// What [`Output::Persist`] asked for is on disk.
    Persisted(Token),
    /// The NOC's answer to [`Output::AskGrant`].
    Regranted {
        /// The new grant.
        grant: Vec<u8>,
        /// Its number.
        seq: Seq,
        /// The claim key.
        claim: Option<ClaimKey>,
        /// The voucher.
        voucher: Option<Vec<u8>>,
    },
    /// Send the kick-start once more at once, if the appliance waits for it.
    Kick,
    /// Do not begin; an attempt that was sent is brought to its end.
    Cancel,
}

/// What the driver shall do.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Store with the job (it holds secrets), then say [`Input::Persisted`].
    Persist {
        /// To be returned.
        token: Token,
        /// What to store.
        bytes: Vec<u8>,
    },
    /// Send to the appliance.
    Transmit {
        /// The datagram.
        bytes: Vec<u8>,
        /// Also by multicast and broadcast on every interface: its address may have changed.
        everywhere: bool,
    },
    /// Send it a directed ping, so that [`Input::Heard`] comes.
    AskKey,
    /// The grant is used up: get a new one for the same settings.
    AskGrant,
    /// How far it is.
    Progress(Progress),
    /// It is over.
    Done(Outcome),
}

/// How far a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Packets sent so far, without a result to the last one.
    Sending {
        /// How many.
        attempts: u32,
    },
    /// The appliance said UNCONFIGURED.
    Installing {
        /// What it is doing.
        stage: Stage,
        /// 0 to 100.
        percent: u8,
    },
    /// SUCCESS; the kick-start was sent.
    KickStarting,
    /// Kick-started; the first beat is awaited.
    Confirming,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Final settings, SecureBeat started.
    Configured,
    /// FAILED, for the last time.
    Failed {
        /// Why.
        reason: Reason,
        /// What the appliance said beyond that; untrusted text.
        detail: String,
    },
    /// No answer for [`GIVE_UP_MS`].
    NoAnswer,
    /// Cancelled before anything was sent.
    Cancelled,
}

/// The stored delivery is not one that this version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored delivery is damaged or from another version")]
pub struct LoadError;

/// An appliance that is silent for this long is given up.
pub const GIVE_UP_MS: u64 = 180_000;

/// The machine.
pub struct Delivery {
    uid: Uid,
    order: Order,
    rng: Entropy,
    step: Step,
    tries: Tries,
    /// Config packets sent, all together.
    sent: u32,
    /// When the appliance was last heard, or the delivery began.
    heard_at: Millis,
    next_at: Option<Millis>,
    next_token: u64,
    /// The result that used up the last grant, signed by the device.
    refusal: Option<Vec<u8>>,
    outputs: VecDeque<Output>,
}

enum Step {
    /// Wants a one-time key.
    Asking { asked: u32 },
    /// Wants a grant.
    Granting { key: Option<SealKey> },
    /// The packet is being stored.
    Storing { token: Token, packet: Packet },
    /// The packet was sent and has no final result.
    Sending { packet: Packet, unanswered: u32 },
    /// SUCCESS; kick-start was sent.
    Kicking { packet: Packet, unanswered: u32 },
    /// Over.
    Done,
}

/// One packet and what is needed to understand its result.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct Packet {
    #[n(0)]
    request: RequestId,
    #[n(1)]
    bytes: ByteVec,
    #[n(2)]
    exported: ExportedKey,
    #[n(3)]
    seq: Seq,
    #[n(4)]
    tries: Tries,
    /// What went with it, so that the next one after a restart has the same.
    #[n(5)]
    with: Option<Wants>,
}

impl Delivery {
    /// A delivery that begins.
    pub fn new(now: Millis, order: Order, console: &SecretKey, rng: Entropy) -> Delivery {
        let mut delivery = Delivery::idle(now, order, rng);
        match delivery.order.one_time_key {
            Some(key) => delivery.build(now, key, console),
            None => delivery.ask_key(now, 0),
        }
        delivery
    }

    /// A delivery that goes on after a restart. `saved`: what was persisted last.
    pub fn resume(now: Millis, order: Order, saved: &[u8], rng: Entropy) -> Result<Delivery, LoadError> {
        let packet: Packet = from_cbor(saved).map_err(|_| LoadError)?;
        let mut delivery = Delivery::idle(now, order, rng);
        delivery.tries = packet.tries;
        if let Some(wants) = packet.with {
            delivery.order.keep(wants);
        }
        delivery.step = Step::Sending { packet, unanswered: 0 };
        delivery.resend(now);
        Ok(delivery)
    }

    fn idle(now: Millis, order: Order, rng: Entropy) -> Delivery {
        Delivery {
            uid: Uid::of(&order.device_key),
            order,
            rng,
            step: Step::Asking { asked: 0 },
            tries: Tries::default(),
            sent: 0,
            heard_at: now,
            next_at: None,
            next_token: 0,
            refusal: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. `console`: the key that signs packets.
    pub fn handle_input(&mut self, now: Millis, input: Input<'_>, console: &SecretKey) {
        match input {
            Input::Packet(packet) => self.result(now, packet, console),
            Input::Heard { one_time_key, state, proof, .. } => {
                self.heard(now, one_time_key, Wants::of(state, proof), console);
            }
            Input::Persisted(token) => self.persisted(now, token),
            Input::Regranted { grant, seq, claim, voucher } => {
                if let Step::Granting { key } = self.step {
                    // An appliance that was seen to be pinned stays so, whatever the NOC still knows of it.
                    let claim = claim.filter(|_| self.order.claim.is_some());
                    let voucher = voucher.filter(|_| self.order.voucher.is_some());
                    self.order = Order { grant, seq, claim, voucher, ..self.order.clone() };
                    match key {
                        Some(key) => self.build(now, key, console),
                        None => self.ask_key(now, 0),
                    }
                }
            }
            Input::Kick => self.kick(now, console),
            Input::Cancel => {
                if matches!(self.step, Step::Asking { .. } | Step::Granting { .. } | Step::Storing { .. }) {
                    self.done(Outcome::Cancelled);
                }
            }
        }
    }

    /// The appliance has applied the settings, and waits for its kick-start or for its first beat.
    pub fn has_succeeded(&self) -> bool {
        matches!(self.step, Step::Kicking { .. })
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Millis, console: &SecretKey) {
        if self.next_at.is_none_or(|at| at > now) {
            return;
        }
        let may_give_up = matches!(self.step, Step::Asking { .. } | Step::Sending { .. } | Step::Kicking { .. });
        if may_give_up && now.since(self.heard_at) >= GIVE_UP_MS {
            return self.done(Outcome::NoAnswer);
        }
        match self.step {
            Step::Asking { asked } => self.ask_key(now, asked),
            Step::Sending { .. } => self.resend(now),
            Step::Kicking { .. } => self.kick(now, console),
            Step::Granting { .. } | Step::Storing { .. } | Step::Done => self.next_at = None,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.next_at
    }

    /// True once [`Output::Done`] was put out.
    pub fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    /// After [`Output::AskGrant`]: the COSE_Sign1 by the device key over the result that used up the grant. It names the
    /// sequence number that the appliance has stored, which the NOC may have forgotten.
    pub fn refusal(&self) -> Option<&[u8]> {
        self.refusal.as_deref()
    }

    fn heard(&mut self, now: Millis, key: SealKey, wants: Wants, console: &SecretKey) {
        if !matches!(self.step, Step::Asking { .. }) || self.tries.must_wait(now) {
            return;
        }
        self.heard_at = now;
        self.order.keep(wants);
        self.build(now, key, console);
    }

    fn build(&mut self, now: Millis, key: SealKey, console: &SecretKey) {
        let request = RequestId(random(&mut *self.rng));
        let to = Address { uid: self.uid, mac: self.order.mac, one_time_key: key, request };
        let Order { grant, claim, voucher, .. } = &self.order;
        let (built, with) = match (claim, voucher) {
            (None, Some(voucher)) => {
                (config::build_with_voucher(&mut *self.rng, console, voucher, to, grant), Wants::Voucher)
            }
            (Some(claim), _) => (config::build(&mut *self.rng, console, Some(claim), to, grant), Wants::ClaimKey),
            (None, None) => (config::build(&mut *self.rng, console, None, to, grant), Wants::Nothing),
        };
        match built {
            Ok((bytes, exported)) => {
                let (seq, tries) = (self.order.seq, self.tries);
                let packet = Packet { request, bytes: bytes.into(), exported, seq, tries, with: Some(with) };
                let token = Token(self.next_token);
                self.next_token += 1;
                self.outputs.push_back(Output::Persist { token, bytes: to_cbor(&packet) });
                self.step = Step::Storing { token, packet };
                self.next_at = None;
            }
            // Only a key that is no point of the curve does this: ask for a better one.
            Err(_) => self.ask_key(now, 1),
        }
    }

    fn persisted(&mut self, now: Millis, token: Token) {
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::Storing { token: ours, packet } if ours == token => {
                self.step = Step::Sending { packet, unanswered: 0 };
                self.resend(now);
            }
            other => self.step = other,
        }
    }

    fn resend(&mut self, now: Millis) {
        let Step::Sending { packet, unanswered } = &mut self.step else { return };
        let everywhere = *unanswered >= 2 || self.sent == 0 && self.order.one_time_key.is_none();
        self.outputs.push_back(Output::Transmit { bytes: packet.bytes.to_vec(), everywhere });
        let delay = retry::backoff(*unanswered);
        *unanswered += 1;
        self.sent += 1;
        self.outputs.push_back(Output::Progress(Progress::Sending { attempts: self.sent }));
        self.wake_in(now, delay);
    }

    fn kick(&mut self, now: Millis, console: &SecretKey) {
        let Step::Kicking { packet, unanswered } = &mut self.step else { return };
        let kick = KickStart { uid: self.uid, request: packet.request, seq: packet.seq };
        let bytes = kick.to_datagram(console, &packet.exported);
        // The appliance may have a new address since its SUCCESS.
        let everywhere = *unanswered >= 1;
        self.outputs.push_back(Output::Transmit { bytes, everywhere });
        let delay = retry::backoff(*unanswered);
        *unanswered += 1;
        self.wake_in(now, delay);
    }

    fn ask_key(&mut self, now: Millis, asked: u32) {
        self.outputs.push_back(Output::AskKey);
        self.step = Step::Asking { asked: asked + 1 };
        self.wake_in(now, retry::backoff(asked));
    }

    fn result(&mut self, now: Millis, packet: &ResultPacket, console: &SecretKey) {
        let ours = match &self.step {
            Step::Sending { packet, .. } | Step::Kicking { packet, .. } => packet,
            _ => return,
        };
        let Ok(result) = packet.verify(&self.order.device_key, &ours.exported) else { return };
        if result.request != ours.request || result.packet != PacketHash::of(&ours.bytes) {
            return;
        }
        self.heard_at = now;
        match result.status {
            Status::Success { committed: true } => self.done(Outcome::Configured),
            Status::Success { committed: false } => self.succeeded(now, console),
            Status::Unconfigured { stage, percent, ask_again_ms } => {
                let step = match (&mut self.step, stage) {
                    (Step::Kicking { unanswered, .. }, Stage::FirstBeat) => {
                        *unanswered = 0;
                        Progress::Confirming
                    }
                    (Step::Sending { unanswered, .. }, _) => {
                        *unanswered = 0;
                        Progress::Installing { stage, percent: percent.min(100) }
                    }
                    _ => return,
                };
                self.outputs.push_back(Output::Progress(step));
                self.wake_in(now, u64::from(ask_again_ms).clamp(500, 60_000));
            }
            Status::Failed { reason, detail, next_key } => {
                self.refusal = Some(packet.signed().to_vec());
                self.failed(now, reason, detail.unwrap_or_default(), next_key, console);
            }
        }
    }

    fn succeeded(&mut self, now: Millis, console: &SecretKey) {
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::Sending { packet, .. } => {
                self.step = Step::Kicking { packet, unanswered: 0 };
                self.outputs.push_back(Output::Progress(Progress::KickStarting));
                self.kick(now, console);
            }
            // Answered once more: the kick-start is on its way.
            other => self.step = other,
        }
    }

    fn failed(&mut self, now: Millis, reason: Reason, detail: String, key: Option<SealKey>, console: &SecretKey) {
        match self.tries.judge(reason) {
            Verdict::GiveUp => self.done(Outcome::Failed { reason, detail }),
            Verdict::SameGrant => match key {
                Some(key) => self.build(now, key, console),
                None => self.ask_key(now, 0),
            },
            Verdict::Later { ms } => {
                self.step = Step::Asking { asked: 0 };
                self.wake_in(now, ms);
                self.tries.wait_until(self.next_at.unwrap_or(now));
            }
            Verdict::NewGrant => {
                self.outputs.push_back(Output::AskGrant);
                self.step = Step::Granting { key };
                self.next_at = None;
            }
        }
    }

    fn done(&mut self, outcome: Outcome) {
        self.step = Step::Done;
        self.next_at = None;
        self.outputs.push_back(Output::Done(outcome));
    }

    /// With 25 % jitter either way, so that a fleet does not answer in step.
    fn wake_in(&mut self, now: Millis, ms: u64) {
        let jittered = ms * 3 / 4 + uniform(&mut *self.rng, ms / 2 + 1);
        self.next_at = Some(now + jittered);
    }
}

#[cfg(test)]
mod tests;
