//! An appliance as the model drives it: the real machine, its disk, the system it configures, and what a checker has to
//! remember to judge it.

use crate::bounds::Sabotage;
use crate::cast::{Cast, Mark, mac, mark_of, peer};
use crate::packets::{Book, Config, Maker, PacketId, What, result_text};
use crate::rng::{ModelRng, Position};
use muster_protocol::Token;
use muster_protocol::appliance::{Appliance, Event, Failure, Fingerprint, Input, Output};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::id::RequestId;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::State;
use muster_protocol::wire::result::{ConfigResult, Reason};
use muster_protocol::wire::{self, Message, from_cbor};
use std::collections::BTreeSet;
use std::hash::Hash;

/// What may happen to an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A datagram arrives.
    Arrives(PacketId),
    /// The document it wanted stored is on disk.
    Stored,
    /// The disk refuses it.
    DiskRefuses,
    /// It is on disk, and power goes before the machine hears of it.
    StoredThenCut,
    /// Power goes, now; what was being written is lost.
    PowerCut,
    /// The settings are applied.
    Applied,
    /// The system could not apply them.
    ApplyFails,
    /// The former settings are back.
    RolledBack,
    /// The NOC accepts a beat.
    Beat,
    /// The timer that is due fires.
    Timer,
    /// Somebody resets it to the state it had from the factory.
    FactoryReset,
}

/// A broken promise of one appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// One packet was applied twice.
    PacketTwice,
    /// A grant was applied that is not newer than one applied since the last factory reset.
    OutOfOrder,
    /// Settings were applied that the NOC did not grant to this appliance.
    NotGranted,
    /// The sender is not the console that the grant names, or the packet is the attacker's own.
    NotByTheConsole,
    /// A one-time key opened a second packet.
    KeyTwice,
    /// Settings became final without a kick-start of the console for them.
    ConfirmedByStranger,
    /// A refused packet changed something, or destroyed a one-time key.
    RefusalHadEffect,
    /// Settings were applied, or brought back, that nobody asked for.
    Unasked,
    /// A grant that came with a beat was taken by an appliance that nobody owns.
    GivenWithoutOwner,
    /// The document it stored itself does not load.
    DoesNotStart,
}

/// What became of grants that came with a beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct GivenGrants {
    /// The attempt accepted last was one.
    pub(crate) is_last: bool,
    /// One became final.
    pub(crate) was_final: bool,
    /// One was rolled back.
    pub(crate) was_rolled_back: bool,
}

pub(crate) struct Unit {
    pub(crate) who: usize,
    pub(crate) machine: Appliance,
    position: Position,
    pub(crate) boot: u8,
    pub(crate) resets: u8,
    pub(crate) cuts: u8,
    pub(crate) failures: u8,
    disk: Option<Vec<u8>>,
    pub(crate) writing: Option<(Token, Vec<u8>)>,
    pub(crate) applying: Option<Mark>,
    pub(crate) rolling_back: Option<Option<Mark>>,
    /// The grant it beats under.
    beats_for: Option<u64>,
    /// The settings in force on the system, whoever remembers them.
    system: Option<Mark>,
    /// The settings that were confirmed.
    confirmed: Option<Mark>,
    /// The packet that is being accepted: the machine stores it.
    accepting: Option<PacketId>,
    /// The packet accepted last.
    attempt: Option<PacketId>,
    /// It was kick-started: by this packet's console.
    kicked: bool,
    /// The confirmation is being stored.
    committing: bool,
    keys_used: BTreeSet<SealKey>,
    newest: u64,
    pub(crate) applied: BTreeSet<PacketId>,
    pub(crate) final_packets: BTreeSet<PacketId>,
    pub(crate) rolled_back: bool,
    /// What came with a beat.
    pub(crate) given: GivenGrants,
    /// Pings and repeated packets that were answered in this boot with a new one-time key.
    answered: BTreeSet<PacketId>,
    pub(crate) faults: BTreeSet<Fault>,
}

/// What came of a happening.
pub(crate) struct Step {
    pub(crate) unit: Unit,
    pub(crate) sent: Vec<PacketId>,
    /// Its answer was nothing but FAILED, for this reason.
    pub(crate) refused: Option<Reason>,
}

impl Unit {
    /// As it comes from the factory.
    pub(crate) fn new(cast: &Cast, who: usize, now: Millis) -> Unit {
        let rng = ModelRng::new(&stream(who, 0, Sabotage::None), 0);
        let position = rng.position();
        let machine = Appliance::new(now, cast.profile(who, 0), None, Box::new(rng)).expect("nothing stored yet");
        Unit {
            who,
            machine,
            position,
            boot: 0,
            resets: 0,
            cuts: 0,
            failures: 0,
            disk: None,
            writing: None,
            applying: None,
            rolling_back: None,
            beats_for: None,
            system: None,
            confirmed: None,
            accepting: None,
            attempt: None,
            kicked: false,
            committing: false,
            keys_used: BTreeSet::new(),
            newest: 0,
            applied: BTreeSet::new(),
            final_packets: BTreeSet::new(),
            rolled_back: false,
            given: GivenGrants::default(),
            answered: BTreeSet::new(),
            faults: BTreeSet::new(),
        }
    }

    /// Everything that decides what can follow, and what the properties look at.
    pub(crate) fn identity(&self, now: Millis) -> impl Hash {
        (
            (self.who, self.machine.fingerprint(now), self.position.get(), self.boot, self.resets, self.cuts),
            (self.failures, self.disk.clone(), self.writing.clone(), self.applying, self.rolling_back, self.beats_for),
            (self.system, self.confirmed, self.accepting, self.attempt, self.kicked, self.committing),
            (self.keys_used.clone(), self.newest, self.applied.clone(), self.final_packets.clone(), self.rolled_back),
            (self.answered.clone(), self.faults.clone(), self.given),
        )
    }

    /// What can happen to it by itself, whatever arrives.
    pub(crate) fn happenings(&self, now: Millis) -> Vec<Happening> {
        let mut all = Vec::new();
        if self.writing.is_some() {
            all.extend([Happening::Stored, Happening::DiskRefuses, Happening::StoredThenCut]);
        }
        if self.applying.is_some() {
            all.extend([Happening::Applied, Happening::ApplyFails]);
        }
        if self.rolling_back.is_some() {
            all.push(Happening::RolledBack);
        }
        let is_new = self.beats_for.is_some() && self.beats_for == self.system.map(|mark| mark.seq);
        if is_new && self.machine.state() == State::Provisional && self.writing.is_none() {
            all.push(Happening::Beat);
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            all.push(Happening::Timer);
        }
        all.extend([Happening::PowerCut, Happening::FactoryReset]);
        all
    }

    /// One happening, on a fork of it.
    pub(crate) fn step(&self, cast: &Cast, book: &mut Book, sabotage: Sabotage, now: Millis, what: Happening) -> Step {
        let mut step = Step { unit: self.fork(sabotage), sent: Vec::new(), refused: None };
        let mut run = Run { cast, book, sabotage, now, step: &mut step, starts_beats: false };
        run.happen(what);
        step
    }

    /// True if settings that nobody confirmed are neither being applied, nor in their window, nor on their way back.
    pub(crate) fn is_left_unconfirmed(&self, now: Millis) -> bool {
        if self.machine.settings().map(mark_of) != self.confirmed {
            return true;
        }
        let window_ms = u64::from(crate::cast::WINDOW_S) * 1_000;
        let in_window = self.machine.state() == State::Provisional
            && (self.writing.is_some() || self.machine.poll_timeout().is_some_and(|at| at.since(now) <= window_ms));
        self.system != self.confirmed && self.applying.is_none() && self.rolling_back.is_none() && !in_window
    }

    /// The machine waits for nothing.
    pub(crate) fn is_idle(&self) -> bool {
        let waits = self.writing.is_some() || self.applying.is_some() || self.rolling_back.is_some();
        !waits && matches!(self.machine.state(), State::Configured | State::Unconfigured)
    }

    pub(crate) fn confirmed(&self) -> Option<Mark> {
        self.confirmed
    }

    /// The newest grant applied since the last factory reset.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) fn was_answered(&self, packet: PacketId) -> bool {
        self.answered.contains(&packet)
    }

    fn fork(&self, sabotage: Sabotage) -> Unit {
        let rng = ModelRng::new(&stream(self.who, self.boot, sabotage), self.position.get());
        let position = rng.position();
        Unit {
            machine: self.machine.fork(Box::new(rng)),
            position,
            disk: self.disk.clone(),
            writing: self.writing.clone(),
            keys_used: self.keys_used.clone(),
            applied: self.applied.clone(),
            final_packets: self.final_packets.clone(),
            answered: self.answered.clone(),
            faults: self.faults.clone(),
            ..*self
        }
    }
}

/// One happening in progress.
struct Run<'a> {
    cast: &'a Cast,
    book: &'a mut Book,
    sabotage: Sabotage,
    now: Millis,
    step: &'a mut Step,
    starts_beats: bool,
}

impl Run<'_> {
    fn happen(&mut self, what: Happening) {
        let unit = &mut self.step.unit;
        match what {
            Happening::Arrives(packet) => self.arrives(packet),
            Happening::Stored => {
                if let Some(token) = self.write() {
                    self.input(Input::Persisted(token));
                }
            }
            Happening::DiskRefuses => {
                unit.failures += 1;
                unit.committing = false;
                if let Some((token, _)) = unit.writing.take() {
                    self.input(Input::PersistFailed(token));
                }
                self.step.unit.accepting = None;
            }
            Happening::StoredThenCut => {
                self.write();
                self.restart();
            }
            Happening::PowerCut => self.restart(),
            Happening::Applied => {
                unit.applying = None;
                self.input(Input::Applied(Ok(())));
            }
            Happening::ApplyFails => {
                unit.failures += 1;
                unit.applying = None;
                unit.system = unit.confirmed;
                let failure = Failure { reason: Reason::ApplyFailed, detail: String::new() };
                self.input(Input::Applied(Err(failure)));
            }
            Happening::RolledBack => {
                if let Some(to) = unit.rolling_back.take()
                    && self.sabotage != Sabotage::RollsBackNothing
                {
                    unit.system = to;
                    unit.rolled_back = true;
                    unit.given.was_rolled_back |= unit.given.is_last;
                }
                self.input(Input::RolledBack);
            }
            Happening::Beat => {
                self.input(Input::BeatAccepted);
                if self.step.unit.writing.is_some() {
                    self.confirms(None);
                }
            }
            Happening::Timer => {
                let now = self.now;
                self.step.unit.machine.handle_timeout(now);
                self.drain();
            }
            Happening::FactoryReset => {
                unit.disk = None;
                (unit.system, unit.confirmed, unit.newest) = (None, None, 0);
                unit.resets += 1;
                self.boot();
            }
        }
    }

    fn arrives(&mut self, packet: PacketId) {
        let before = self.step.unit.machine.fingerprint(self.now);
        let bytes = self.book.get(packet).bytes.clone();
        let was_provisional = self.step.unit.machine.state() == State::Provisional;
        let was_writing = self.step.unit.writing.is_some();
        let is_given = matches!(self.book.get(packet).what, What::Given { .. });
        if is_given {
            self.input(Input::Grant(&bytes));
        } else {
            self.input(Input::Datagram { peer: peer(), bytes: &bytes });
        }
        let after = self.step.unit.machine.fingerprint(self.now);
        let unit = &mut self.step.unit;
        if before.keys != after.keys {
            unit.answered.insert(packet);
        }
        let starts_writing = unit.writing.is_some() && !was_writing;
        if is_given && starts_writing {
            unit.accepting = Some(packet);
            if unit.confirmed.is_none() {
                unit.faults.insert(Fault::GivenWithoutOwner);
            }
        } else if is_given {
            if !is_untouched(&before, &after) {
                unit.faults.insert(Fault::RefusalHadEffect);
            }
            if self.sabotage == Sabotage::AppliesWhatIsGiven
                && self.step.refused.is_some()
                && let Some(grant) = self.book.given(packet)
            {
                self.step.unit.accepting = Some(packet);
                self.applies(grant);
            }
        } else if let Some(config) = self.book.config(packet).cloned() {
            if starts_writing {
                self.accepts(packet, &config);
            } else if !is_untouched(&before, &after) && self.step.refused.is_some() {
                self.step.unit.faults.insert(Fault::RefusalHadEffect);
            }
        } else if starts_writing || was_provisional && self.starts_beats {
            self.confirms(Some(packet));
        }
    }

    fn accepts(&mut self, packet: PacketId, config: &Config) {
        let unit = &mut self.step.unit;
        unit.accepting = Some(packet);
        if !unit.keys_used.insert(config.key) {
            unit.faults.insert(Fault::KeyTwice);
        }
    }

    /// A kick-start or a beat had an effect: is it the console's, for the packet that was applied last?
    fn confirms(&mut self, packet: Option<PacketId>) {
        let book = &*self.book;
        let unit = &mut self.step.unit;
        let attempt: Option<RequestId> =
            unit.attempt.and_then(|packet| book.config(packet)).map(|config| config.request);
        match packet.map(|packet| &book.get(packet).what) {
            Some(What::Kick { by: Maker::Console, request, .. }) if Some(*request) == attempt => unit.kicked = true,
            None if unit.kicked => {}
            _ => {
                unit.faults.insert(Fault::ConfirmedByStranger);
            }
        }
        unit.committing = unit.writing.is_some();
    }

    fn input(&mut self, input: Input<'_>) {
        self.step.unit.machine.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.step.unit.machine.poll_output() {
            let unit = &mut self.step.unit;
            match output {
                Output::Persist { token, bytes } => unit.writing = Some((token, bytes)),
                Output::Transmit { bytes, .. } => {
                    let packet = self.enter(bytes);
                    self.step.sent.push(packet);
                }
                Output::Apply { settings, .. } => self.applies(mark_of(&settings)),
                Output::RollBack { to } => {
                    let to = to.as_ref().map(mark_of);
                    if to != unit.confirmed {
                        unit.faults.insert(Fault::Unasked);
                    }
                    unit.rolling_back = Some(to);
                }
                Output::Commit { settings } => {
                    if Some(mark_of(&settings)) != unit.confirmed {
                        unit.faults.insert(Fault::ConfirmedByStranger);
                    }
                }
                Output::StartBeats { enrolment } => {
                    (unit.beats_for, self.starts_beats) = (Some(enrolment.seq.0), true);
                }
                Output::StopBeats => unit.beats_for = None,
                Output::Notify(Event::Refused { reason, .. } | Event::GrantRefused { reason }) => {
                    self.step.refused = Some(reason);
                }
                // The NOC gives no instructions in this model.
                Output::CarryOut { .. } | Output::Forget { .. } | Output::Notify(_) => {}
            }
        }
    }

    fn applies(&mut self, mark: Mark) {
        let unit = &mut self.step.unit;
        let accepted = unit.accepting.take().and_then(|packet| match &self.book.get(packet).what {
            What::Config(config) => Some((packet, config.grant, config.by, false)),
            What::Given { by, grant } => Some((packet, *grant, *by, true)),
            _ => None,
        });
        let Some((packet, grant, by, is_given)) = accepted else {
            unit.faults.insert(Fault::Unasked);
            return;
        };
        if !unit.applied.insert(packet) {
            unit.faults.insert(Fault::PacketTwice);
        }
        if mark.seq <= unit.newest {
            unit.faults.insert(Fault::OutOfOrder);
        }
        if !mark.by_noc || mark.unit != unit.who || mark != grant {
            unit.faults.insert(Fault::NotGranted);
        }
        if by != Maker::Console {
            unit.faults.insert(Fault::NotByTheConsole);
        }
        unit.newest = unit.newest.max(mark.seq);
        // There is nobody who kick-starts what the NOC gives: a beat alone confirms it.
        (unit.attempt, unit.kicked, unit.committing) = (Some(packet), is_given, false);
        unit.given.is_last = is_given;
        // From here on the system may be half changed: the worst is assumed.
        (unit.applying, unit.system) = (Some(mark), Some(mark));
    }

    /// What was to be written is on disk.
    fn write(&mut self) -> Option<Token> {
        let unit = &mut self.step.unit;
        let (token, bytes) = unit.writing.take()?;
        if self.sabotage != Sabotage::ForgetfulDisk {
            unit.disk = Some(bytes);
        }
        if std::mem::take(&mut unit.committing) {
            unit.confirmed = unit.system;
            unit.given.was_final |= unit.given.is_last;
            unit.final_packets.extend(unit.attempt);
        }
        Some(token)
    }

    fn restart(&mut self) {
        self.step.unit.cuts += 1;
        self.boot();
    }

    fn boot(&mut self) {
        let unit = &mut self.step.unit;
        unit.boot += 1;
        let rng = ModelRng::new(&stream(unit.who, unit.boot, self.sabotage), 0);
        unit.position = rng.position();
        let profile = self.cast.profile(unit.who, unit.boot);
        match Appliance::new(self.now, profile, unit.disk.as_deref(), Box::new(rng)) {
            Ok(machine) => unit.machine = machine,
            Err(_) => {
                unit.faults.insert(Fault::DoesNotStart);
            }
        }
        (unit.writing, unit.applying, unit.accepting, unit.rolling_back) = (None, None, None, None);
        (unit.kicked, unit.committing, unit.beats_for) = (false, false, None);
        unit.answered.clear();
        self.drain();
    }

    fn enter(&mut self, bytes: Vec<u8>) -> PacketId {
        let who = self.step.unit.who;
        let device = self.cast.devices[who].public();
        let what = match wire::decode(&bytes) {
            Ok(Message::Result(packet)) => {
                let result = sign::verify(&device, Purpose::Result, packet.signed()).ok();
                let result = result.and_then(|payload| from_cbor::<ConfigResult>(&payload).ok());
                What::Result { unit: who, text: result.as_ref().map(result_text).unwrap_or_default() }
            }
            _ => What::Here { unit: who },
        };
        self.book.enter(bytes, || what)
    }
}

/// Nothing changed, but that there may be a further one-time key and less left of a rate limit.
pub(crate) fn is_untouched(before: &Fingerprint, after: &Fingerprint) -> bool {
    before.conduct == after.conduct && before.keys.iter().all(|key| after.keys.contains(key))
}

/// Which stream of randomness a run of an appliance has.
fn stream(who: usize, boot: u8, sabotage: Sabotage) -> String {
    let boot = if sabotage == Sabotage::SameKeysEveryBoot { 0 } else { boot };
    format!("appliance {who} boot {boot} {}", mac(who))
}
