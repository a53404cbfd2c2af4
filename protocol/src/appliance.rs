//! The appliance's machine: answers pings, applies one config packet at a time, commit-confirmed (seed, FIGURE 10).
//!
//! ```text
//!                 config packet, verified          Applied            kick-start (and first beat)
//!  Idle ──────────────────────────────▶ Applying ───────▶ Provisional ───────────────────────────▶ Idle, committed
//!   ▲                                      │ Applied(Err)     │ window over
//!   └──────────────────────────────────────┴── rolled back ◀──┘
//! ```
//!
//! What makes replay impossible: a packet opens only with a one-time key, and that key is destroyed by the first packet
//! that it verifies. Besides, the grant's sequence number must exceed the stored one; it is persisted after full
//! verification and before anything is applied, whatever becomes of the attempt.
//!
//! After a restart an attempt that was not committed is rolled back: the former state is the only one known to be good.

mod answer;
mod driver;
#[cfg(any(test, feature = "model"))]
mod fork;
mod from_noc;
mod handover;
mod keys;
mod limit;
mod refusal;
mod saved;

pub use driver::{Enrolment, Event, FailedGrant, Failure, Input, Output, Profile, Trial};
#[cfg(any(test, feature = "model"))]
pub use fork::Fingerprint;
pub use saved::LoadError;

use crate::Token;
use crate::application::ApplicationSettings;
use crate::crypto::Entropy;
use crate::crypto::keys::PublicKey;
use crate::grant::Grant;
use crate::id::{RequestId, Seq, Uid};
use crate::parameters::{Confirm, DriftPolicy, NetworkSettings, Parameters};
use crate::time::{Millis, UnixTime};
use crate::voucher;
use crate::wire::config::{ConfigPacket, OpenError, PacketHash};
use crate::wire::here::{Proof, State};
use crate::wire::kick::KickPacket;
use crate::wire::result::{ConfigResult, Reason, Stage, Status};
use crate::wire::{self, Message, Peer};
use answer::Answers;
use handover::{Pace, Step};
use keys::OneTimeKeys;
use limit::Bucket;
use refusal::Refusal;
use saved::{Attempt, Ended, Instructed, Saved, Why};
use std::collections::VecDeque;

/// The machine.
pub struct Appliance {
    profile: Profile,
    uid: Uid,
    rng: Entropy,
    saved: Saved,
    phase: Phase,
    keys: OneTimeKeys,
    answers: Answers,
    refusals: Bucket,
    /// What the NOC said last: nobody else is asked what time it is.
    noc_time: Option<UnixTime>,
    opens: Bucket,
    /// Where the attempt's console was last heard.
    console_at: Option<Peer>,
    trial_pace: Pace,
    farewell_pace: Pace,
    persisting: Option<Persisting>,
    next_token: u64,
    outputs: VecDeque<Output>,
}

enum Phase {
    Idle,
    Accepting { grant: Box<Grant> },
    Applying { grant: Box<Grant>, stage: Stage, percent: u8, tell_at: Millis },
    Provisional { grant: Box<Grant>, kicked: bool, deadline: Millis },
    Committing { grant: Box<Grant>, deadline: Millis },
    RollingBack { why: Why },
    Settling { why: Why, retry_at: Option<Millis> },
    Instructed { instruction: Instructed },
    Leaving,
    Forgetting,
    Forgot { retry_at: Option<Millis> },
    HandingOver { step: Step },
}

struct Persisting {
    token: Token,
    next: Box<Saved>,
}

/// An installation that takes longer than this is told to the console unasked.
const TELL_AFTER_MS: u64 = 300;
const TELL_EVERY_MS: u64 = 1_000;
const ASK_AGAIN_MS: u32 = 1_000;
const RETRY_PERSIST_MS: u64 = 5_000;
/// Known time is stored when it moved this far: flash wears out, and a grant lives for days.
const STORE_TIME_S: u64 = 86_400;

impl Appliance {
    /// The machine of an appliance that starts. `saved`: the document persisted last.
    pub fn new(now: Millis, profile: Profile, saved: Option<&[u8]>, rng: Entropy) -> Result<Appliance, LoadError> {
        let saved = Saved::load(saved)?;
        let mut appliance = Appliance {
            uid: Uid::of(&profile.device.public()),
            profile,
            rng,
            noc_time: saved.noc_time,
            saved,
            phase: Phase::Idle,
            keys: OneTimeKeys::default(),
            answers: Answers::new(),
            refusals: Bucket::new(20, 200),
            opens: Bucket::new(10, 1_000),
            console_at: None,
            trial_pace: Pace::default(),
            farewell_pace: Pace::default(),
            persisting: None,
            next_token: 0,
            outputs: VecDeque::new(),
        };
        if appliance.saved.pending.is_some() {
            appliance.roll_back(Why { reason: Reason::Interrupted, detail: None });
        } else if let Some(enrolment) = appliance.enrolment() {
            appliance.outputs.push_back(Output::StartBeats { enrolment });
            appliance.go_on_leaving();
        }
        appliance.handle_timeout(now);
        Ok(appliance)
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Millis, input: Input<'_>) {
        match input {
            Input::Datagram { peer, bytes } => self.datagram(now, peer, bytes),
            Input::Persisted(token) => self.persisted(now, token),
            Input::PersistFailed(token) => self.persist_failed(now, token),
            Input::Progress { stage, percent } => self.progress(stage, percent),
            Input::Applied(result) => self.applied(now, result),
            Input::RolledBack => self.rolled_back(),
            Input::BeatAccepted => self.beat_accepted(now),
            Input::NocTime(time) => self.noc_time(time),
            Input::SetMac(mac) => self.profile.mac = mac,
            Input::Grant(bytes) => self.grant_by_beat(bytes),
            Input::Instruction(bytes) => self.instruction(bytes),
            Input::Told(serial) => self.told(serial),
            Input::Forgotten => self.forgotten(),
            Input::Handover(bytes) => self.take_handover(bytes),
            Input::NoHandover => self.no_handover(),
            Input::TrialAccepted(serial) => self.trial_accepted(serial),
            Input::TrialFailed(serial) => self.trial_failed(now, serial),
            Input::FarewellTaken(serial) => self.farewell_taken(serial),
            Input::FarewellFailed(serial) => self.farewell_failed(now, serial),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.answer_due(now);
        match &mut self.phase {
            Phase::Applying { tell_at, .. } if *tell_at <= now => {
                *tell_at = now + TELL_EVERY_MS;
                self.tell_console(now);
            }
            Phase::Provisional { kicked, deadline, .. } if *deadline <= now => {
                let reason = if *kicked { Reason::NoBeat } else { Reason::NoKickStart };
                self.roll_back(Why { reason, detail: None });
            }
            Phase::Settling { why, retry_at: Some(at) } if *at <= now => {
                let why = why.clone();
                self.settle(why);
            }
            Phase::Forgot { retry_at: Some(at) } if *at <= now => self.store_nothing(),
            _ => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let phase = match &self.phase {
            Phase::Applying { tell_at, .. } => Some(*tell_at),
            Phase::Provisional { deadline, .. } => Some(*deadline),
            Phase::Settling { retry_at, .. } | Phase::Forgot { retry_at } => *retry_at,
            _ => None,
        };
        [phase, self.answers.next()].into_iter().flatten().min()
    }

    /// Its identity.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// How it stands with configuration.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Applying { .. } | Phase::Accepting { .. } | Phase::RollingBack { .. } => State::Installing,
            Phase::Provisional { .. } | Phase::Committing { .. } => State::Provisional,
            _ if self.saved.committed.is_some() => State::Configured,
            _ => State::Unconfigured,
        }
    }

    /// The final settings in force.
    pub fn settings(&self) -> Option<&NetworkSettings> {
        self.saved.committed.as_ref().map(|grant| &grant.parameters.network)
    }

    /// The final application settings; none: the application has none by Muster.
    pub fn application(&self) -> Option<&ApplicationSettings> {
        self.saved.committed.as_ref().and_then(|grant| grant.parameters.application.as_ref())
    }

    /// What its NOC wants done about settings that are changed by hand; none: what the image says.
    pub fn drift(&self) -> Option<DriftPolicy> {
        match &self.phase {
            // Beats are under this grant already.
            Phase::Provisional { grant, .. } | Phase::Committing { grant, .. } => grant.parameters.drift,
            _ => self.saved.drift,
        }
    }

    /// Where it reports to, once configured.
    pub fn enrolment(&self) -> Option<Enrolment> {
        self.saved.committed.as_ref().map(enrolment_of)
    }

    /// The root of its NOC, once configured.
    pub fn root(&self) -> Option<PublicKey> {
        self.saved.committed.as_ref().map(|grant| grant.root)
    }

    /// The highest sequence number it accepted.
    pub fn seq(&self) -> Seq {
        self.saved.seq
    }

    fn datagram(&mut self, now: Millis, peer: Peer, bytes: &[u8]) {
        match wire::decode(bytes) {
            Ok(Message::Ping(packet)) => self.ping(now, peer, &packet, bytes.len()),
            Ok(Message::Config(packet)) if packet.to.uid == self.uid => self.config(now, peer, &packet, bytes),
            Ok(Message::KickStart(packet)) if packet.uid == self.uid => self.kick(now, peer, &packet),
            // Others' traffic, other versions, noise: an appliance never answers what it did not understand.
            _ => {}
        }
    }

    fn config(&mut self, now: Millis, peer: Peer, packet: &ConfigPacket, bytes: &[u8]) {
        let hash = PacketHash::of(bytes);
        let request = packet.to.request;
        if let Some(known) = self.attempt_of(request) {
            if known.packet != hash {
                return self.refuse(now, peer, (request, hash), Reason::RequestReused.into(), bytes.len());
            }
            self.console_at = Some(peer);
            return self.answer_again(now, peer, request);
        }
        if !matches!(self.phase, Phase::Idle) {
            return self.refuse(now, peer, (request, hash), Reason::Busy.into(), bytes.len());
        }
        if packet.to.mac != self.profile.mac {
            return self.refuse(now, peer, (request, hash), Reason::WrongAppliance.into(), bytes.len());
        }
        match self.open(now, packet) {
            Ok((grant, attempt)) => self.accept(peer, grant, Attempt { packet: hash, ..attempt }),
            Err(refusal) => self.refuse(now, peer, (request, hash), refusal, bytes.len()),
        }
    }

    /// Everything that must hold before a packet may change anything.
    fn open(&mut self, now: Millis, packet: &ConfigPacket) -> Result<(Grant, Attempt), Refusal> {
        let one_time_key = packet.to.one_time_key;
        let pinned: Option<PublicKey> = self.saved.committed.as_ref().map(|grant| grant.root);
        // Without a claim key, or a vendor's key, nothing can prove ownership, so nothing may be opened.
        let (claim, vendor) = match (pinned, self.profile.proof) {
            (Some(_), _) | (None, Proof::Open) => (None, None),
            (None, Proof::Claim) => (Some(self.profile.claim.as_ref().ok_or(Reason::NotOpened)?), None),
            (None, Proof::Voucher) => (None, Some(self.profile.vendor.ok_or(Reason::NotOpened)?)),
        };
        let key = self.keys.get(now, &one_time_key).ok_or(Reason::KeyUnknown)?;
        if !self.opens.take(now) {
            return Err(Reason::TooManyAttempts.into());
        }
        let opened = packet.open(key, claim, pinned.as_ref()).map_err(|error| match error {
            OpenError::Sealed(_) | OpenError::Attempt => Reason::NotOpened,
            OpenError::Grant => Reason::WrongRoot,
            OpenError::Console => Reason::WrongConsole,
        })?;
        let grant = opened.grant;
        if grant.uid != self.uid || grant.mac != self.profile.mac {
            return Err(Reason::WrongAppliance.into());
        }
        if let Some(vendor) = vendor {
            voucher::check(opened.voucher.as_deref(), &vendor, &self.uid, &grant.root, self.noc_time)?;
        }
        // Numbers of different roots cannot be compared; without a pin a new owner starts anew.
        if self.saved.seq_root == Some(grant.root) && grant.seq <= self.saved.seq {
            return Err(Reason::OldSequence.into());
        }
        if self.noc_time.is_some_and(|time| grant.expires < time) {
            return Err(Reason::Expired.into());
        }
        self.keys.destroy(&one_time_key);
        let attempt = Attempt {
            request: packet.to.request,
            packet: PacketHash([0; 32]),
            exported: opened.exported,
            console: grant.console,
            seq: grant.seq,
        };
        Ok((grant, attempt))
    }

    fn accept(&mut self, peer: Peer, grant: Grant, attempt: Attempt) {
        self.console_at = Some(peer);
        let next = Saved { seq_root: Some(grant.root), seq: grant.seq, pending: Some(attempt), ..self.saved.clone() };
        self.phase = Phase::Accepting { grant: Box::new(grant) };
        self.persist(next);
    }

    fn persist(&mut self, next: Saved) {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.outputs.push_back(Output::Persist { token, bytes: next.store() });
        self.persisting = Some(Persisting { token, next: Box::new(next) });
    }

    fn persisted(&mut self, now: Millis, token: Token) {
        match self.persisting.take() {
            Some(persisting) if persisting.token == token => self.saved = *persisting.next,
            other => {
                self.persisting = other;
                return;
            }
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Accepting { grant } => {
                let Parameters { network, application, .. } = grant.parameters.clone();
                self.outputs.push_back(Output::Apply { settings: network, application });
                self.phase = Phase::Applying { grant, stage: Stage::Network, percent: 0, tell_at: now + TELL_AFTER_MS };
            }
            Phase::Committing { grant, .. } => {
                self.outputs.push_back(Output::Commit { settings: grant.parameters.network.clone() });
                if grant.parameters.confirm == Confirm::KickStart && !is_by_noc(&grant) {
                    self.outputs.push_back(Output::StartBeats { enrolment: enrolment_of(&grant) });
                }
                self.outputs.push_back(Output::Notify(Event::Configured { seq: grant.seq }));
                self.tell_console(now);
            }
            Phase::Settling { why, .. } => {
                let detail = why.detail.unwrap_or_default();
                self.outputs.push_back(Output::Notify(Event::Failed { reason: why.reason, detail }));
                self.tell_console(now);
            }
            Phase::Instructed { instruction } => self.carry_out(instruction),
            Phase::Forgot { .. } => self.left(),
            Phase::HandingOver { step } => self.handed_over(step),
            other => self.phase = other,
        }
    }

    fn persist_failed(&mut self, now: Millis, token: Token) {
        if self.persisting.as_ref().is_none_or(|persisting| persisting.token != token) {
            return;
        }
        let Some(persisting) = self.persisting.take() else { return };
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Accepting { .. } => {
                // Nothing was applied and nothing stored: as if the packet had never come, but for its key.
                let attempt = persisting.next.pending;
                if let (Some(peer), Some(attempt)) = (self.console_at, attempt) {
                    let of = (attempt.request, attempt.packet);
                    self.refuse(now, peer, of, Reason::Storage.into(), wire::MAX_DATAGRAM);
                }
            }
            // The window goes on; the next kick-start or beat tries again, else it is rolled back.
            Phase::Committing { grant, deadline } => {
                self.phase = Phase::Provisional { grant, kicked: true, deadline };
            }
            Phase::Settling { why, .. } => {
                self.phase = Phase::Settling { why, retry_at: Some(now + RETRY_PERSIST_MS) };
            }
            // As if it had never come; the NOC gives it again, or the successor is tried again.
            Phase::Instructed { .. } | Phase::HandingOver { .. } => {}
            Phase::Forgot { .. } => self.phase = Phase::Forgot { retry_at: Some(now + RETRY_PERSIST_MS) },
            other => self.phase = other,
        }
    }

    fn progress(&mut self, new_stage: Stage, new_percent: u8) {
        if let Phase::Applying { stage, percent, .. } = &mut self.phase {
            (*stage, *percent) = (new_stage, new_percent.min(100));
        }
    }

    fn applied(&mut self, now: Millis, result: Result<(), Failure>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Applying { grant, .. } => match result {
                Ok(()) => {
                    let deadline = now + u64::from(grant.parameters.window_s) * 1_000;
                    // Nobody kick-starts what the NOC gave: its yes to a beat is all that is waited for.
                    let kicked = is_by_noc(&grant);
                    if kicked {
                        self.outputs.push_back(Output::StartBeats { enrolment: enrolment_of(&grant) });
                    }
                    self.phase = Phase::Provisional { grant, kicked, deadline };
                    self.tell_console(now);
                }
                Err(failure) => {
                    let detail = clip(&failure.detail);
                    self.settle(Why { reason: failure.reason, detail });
                }
            },
            other => self.phase = other,
        }
    }

    fn roll_back(&mut self, why: Why) {
        let to = self.settings().cloned();
        if matches!(self.phase, Phase::Provisional { kicked: true, .. }) {
            self.outputs.push_back(match self.enrolment() {
                Some(enrolment) => Output::StartBeats { enrolment },
                None => Output::StopBeats,
            });
        }
        self.outputs.push_back(Output::RollBack { to });
        self.phase = Phase::RollingBack { why };
    }

    fn rolled_back(&mut self) {
        if let Phase::RollingBack { why } = &self.phase {
            let why = why.clone();
            if matches!(why.reason, Reason::Interrupted)
                && let Some(enrolment) = self.enrolment()
            {
                self.outputs.push_back(Output::StartBeats { enrolment });
            }
            self.settle(why);
        }
    }

    /// The attempt is over and nothing of it is in force: store that, then say so.
    fn settle(&mut self, why: Why) {
        let last = self.saved.pending.clone().map(|attempt| Ended { attempt, failed: Some(why.clone()) });
        let next = Saved { pending: None, last: last.or(self.saved.last.clone()), ..self.saved.clone() };
        self.phase = Phase::Settling { why, retry_at: None };
        self.persist(next);
    }

    fn kick(&mut self, now: Millis, peer: Peer, packet: &KickPacket) {
        let Some(attempt) = self.saved.pending.as_ref().or(self.saved.last.as_ref().map(|last| &last.attempt)) else {
            return;
        };
        let Ok(kick) = packet.verify(&attempt.console, &attempt.exported) else { return };
        if kick.request != attempt.request || kick.seq != attempt.seq {
            return;
        }
        self.console_at = Some(peer);
        if let Phase::Provisional { grant, kicked, deadline } = &mut self.phase {
            match grant.parameters.confirm {
                Confirm::KickStart => return self.commit(),
                Confirm::FirstBeat if !*kicked => {
                    *kicked = true;
                    *deadline = now + u64::from(grant.parameters.window_s) * 1_000;
                    let enrolment = enrolment_of(grant);
                    self.outputs.push_back(Output::StartBeats { enrolment });
                }
                Confirm::FirstBeat => {}
            }
        }
        // Anybody can repeat a kick-start that he has heard, and the answer is a little longer.
        if self.may_answer(now, &peer) {
            self.answer_again(now, peer, kick.request);
        }
    }

    fn beat_accepted(&mut self, _now: Millis) {
        if matches!(self.phase, Phase::Provisional { kicked: true, .. }) {
            self.commit();
        }
    }

    /// The newest word of the NOC counts, an earlier time as well: a NOC whose clock was ahead for an hour must not lock
    /// anybody out of his appliances.
    fn noc_time(&mut self, time: UnixTime) {
        self.noc_time = Some(time);
        let stored = self.saved.noc_time.unwrap_or_default();
        if stored.0.abs_diff(time.0) >= STORE_TIME_S && matches!(self.phase, Phase::Idle) && self.persisting.is_none() {
            self.persist(Saved { noc_time: Some(time), ..self.saved.clone() });
        }
    }

    fn commit(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Provisional { grant, deadline, .. } => {
                let last = self.saved.pending.clone().map(|attempt| Ended { attempt, failed: None });
                let (committed, drift) = (Some((*grant).clone()), grant.parameters.drift);
                let next = Saved { committed, pending: None, last, drift, ..self.saved.clone() };
                self.phase = Phase::Committing { grant, deadline };
                self.persist(next);
            }
            other => self.phase = other,
        }
    }

    fn attempt_of(&self, request: RequestId) -> Option<&Attempt> {
        let accepting = self.persisting.as_ref().and_then(|persisting| persisting.next.pending.as_ref());
        let last = self.saved.last.as_ref().map(|last| &last.attempt);
        [self.saved.pending.as_ref(), accepting, last].into_iter().flatten().find(|a| a.request == request)
    }

    /// The present status of a known attempt, to whoever asked with the same bytes.
    fn answer_again(&mut self, now: Millis, peer: Peer, request: RequestId) {
        let Some(attempt) = self.attempt_of(request).cloned() else { return };
        let is_last = self.saved.last.as_ref().is_some_and(|last| last.attempt.request == request);
        let failed = self.saved.last.as_ref().filter(|_| is_last).and_then(|last| last.failed.clone());
        let status = match (&self.phase, failed) {
            (_, Some(why)) => {
                let next_key = Some(self.keys.publish(now, &mut *self.rng));
                Status::Failed { reason: why.reason, detail: why.detail, next_key }
            }
            (_, None) if is_last => Status::Success { committed: true },
            (Phase::Provisional { kicked: true, .. }, None) => {
                Status::Unconfigured { stage: Stage::FirstBeat, percent: 90, ask_again_ms: ASK_AGAIN_MS }
            }
            (Phase::Provisional { .. } | Phase::Committing { .. }, None) => Status::Success { committed: false },
            (Phase::Applying { stage, percent, .. }, None) => {
                Status::Unconfigured { stage: *stage, percent: *percent, ask_again_ms: ASK_AGAIN_MS }
            }
            // An attempt that is neither last nor present exists only in these.
            (_, None) => Status::Unconfigured { stage: Stage::Network, percent: 0, ask_again_ms: ASK_AGAIN_MS },
        };
        self.transmit_result(peer, &attempt, status);
    }

    /// Tells the console of the present attempt how it stands, unasked.
    fn tell_console(&mut self, now: Millis) {
        let attempt = self.saved.pending.as_ref().or(self.saved.last.as_ref().map(|last| &last.attempt));
        // What the NOC gave has no console; who was heard last asked about an earlier one.
        let request = attempt.filter(|of| Some(of.console) != self.saved.seq_root).map(|attempt| attempt.request);
        if let (Some(peer), Some(request)) = (self.console_at, request) {
            self.answer_again(now, peer, request);
        }
    }

    fn transmit_result(&mut self, peer: Peer, attempt: &Attempt, status: Status) {
        let result = ConfigResult {
            uid: self.uid,
            request: attempt.request,
            packet: attempt.packet,
            seq: self.saved.seq,
            boot: self.profile.boot,
            status,
        };
        let bytes = result.to_datagram(&self.profile.device, Some(&attempt.exported));
        self.outputs.push_back(Output::Transmit { peer, bytes });
    }
}

/// A grant that names the root where others name a console: the NOC alone delivers it, with a beat.
fn is_by_noc(grant: &Grant) -> bool {
    grant.console == grant.root
}

fn enrolment_of(grant: &Grant) -> Enrolment {
    Enrolment {
        noc: grant.noc.clone(),
        ca_pin: grant.ca_pin,
        seq: grant.seq,
        site: grant.site,
        interval_s: grant.parameters.beat_interval_s,
    }
}

/// Printable and short enough for a datagram.
fn clip(text: &str) -> Option<String> {
    let mut clipped = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if clipped.len() + c.len_utf8() > crate::wire::result::MAX_DETAIL {
            break;
        }
        clipped.push(c);
    }
    (!clipped.is_empty()).then_some(clipped)
}

#[cfg(test)]
mod tests;
