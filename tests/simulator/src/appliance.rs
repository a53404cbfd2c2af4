//! An appliance: the real machines, and a driver that does what the agent does (`agent/src/agent.rs`).

mod changes;

use crate::ledger::{Invariant, Present};
use crate::noc::{Answer, Request};
use crate::plan::{Fault, Sabotage};
use crate::queue::{Event, Node};
use crate::random::Stream;
use crate::world::Io;
use crate::{attacker, lan};
use changes::{Change, Underway};
use muster_protocol::Token;
use muster_protocol::appliance::{self, Appliance, Enrolment, Input, Output, Profile};
use muster_protocol::beat::{self, Beat};
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::id::{BootId, Mac, PingId, Uid};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::config::PacketHash;
use muster_protocol::wire::here::{Proof, State};
use muster_protocol::wire::{self, Message, Peer};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What survives a power cut.
#[derive(Default)]
struct Disk {
    /// The machine's document, as it was written last.
    document: Option<Vec<u8>>,
    /// The network before provisional settings.
    former: Option<Option<NetworkSettings>>,
    /// The network's own files.
    network: Option<NetworkSettings>,
}

/// One appliance.
pub(crate) struct Host {
    number: usize,
    device: SecretKey,
    uid: Uid,
    mac: Mac,
    proof: Proof,
    claim: ClaimKey,
    /// The key that its image names, if vouchers count.
    vendor: Option<PublicKey>,
    entropy: Stream,
    disk: Disk,
    /// What is added to the world's time; a clock of its own.
    skew: i64,
    /// Counts runs, so that what belongs to an earlier one is not taken for news.
    run: u32,
    running: Option<Running>,
    wake: Option<Millis>,
}

struct Running {
    machine: Appliance,
    beat: Option<Beat>,
    boot: BootId,
    reporting: Option<Enrolment>,
    /// Counts enrolments, so that the answer to a beat is taken for the enrolment it was sent under.
    epoch: u64,
    /// Writes that nobody was told of yet, in order.
    writing: VecDeque<(Token, Vec<u8>)>,
    written_at: Millis,
    /// The latest time that the NOC has told.
    told: Option<UnixTime>,
    changes: VecDeque<Change>,
    underway: Option<Underway>,
    /// Lengths of pings, by ping and asker.
    pings: BTreeMap<(PingId, Peer), usize>,
}

/// A write takes up to so long.
const WRITE_MS: u64 = 40;

impl Host {
    pub(crate) fn new(number: usize, entropy: &mut Stream, proof: Proof, vendor: PublicKey) -> Host {
        let device = SecretKey::generate(entropy);
        let mut mac = [2, 0, 0, 0, 0, number as u8];
        mac[2..4].copy_from_slice(&entropy.bytes::<2>());
        Host {
            number,
            uid: Uid::of(&device.public()),
            device,
            mac: Mac(mac),
            proof,
            claim: ClaimSecret::generate(entropy).key(),
            vendor: (proof == Proof::Voucher).then_some(vendor),
            entropy: entropy.fork(),
            disk: Disk::default(),
            skew: 0,
            run: 0,
            running: None,
            wake: None,
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn uid(&self) -> Uid {
        self.uid
    }

    pub(crate) fn mac(&self) -> Mac {
        self.mac
    }

    pub(crate) fn claim(&self) -> ClaimKey {
        self.claim.clone()
    }

    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    pub(crate) fn device_key(&self) -> PublicKey {
        self.device.public()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// The grant that is final.
    pub(crate) fn committed(&self) -> Option<muster_protocol::id::Seq> {
        self.running.as_ref()?.machine.enrolment().map(|enrolment| enrolment.seq)
    }

    /// It has accepted something that is neither final nor rolled back.
    pub(crate) fn is_in_attempt(&self) -> bool {
        let state = self.running.as_ref().map(|running| running.machine.state());
        matches!(state, Some(State::Installing | State::Provisional))
    }

    fn node(&self) -> Node {
        Node::Appliance(self.number)
    }

    fn local(&self, io: &Io) -> Millis {
        Millis(io.now.0.saturating_add_signed(self.skew))
    }

    pub(crate) fn power_on(&mut self, io: &mut Io) {
        if self.running.is_some() {
            return;
        }
        self.run += 1;
        // Its clock begins anew, anywhere.
        self.skew = io.dice.below(100_000) as i64 - io.now.0 as i64;
        let now = self.local(io);
        let boot = BootId(self.entropy.bytes());
        let claim = (self.proof == Proof::Claim).then(|| self.claim.clone());
        let proof = match (self.proof, io.sabotage) {
            (Proof::Voucher, Some(Sabotage::AsksForNoVoucher)) => Proof::Open,
            (proof, _) => proof,
        };
        let (device, mac, vendor) = (self.device.clone(), self.mac, self.vendor);
        let profile = Profile { device, mac, boot, proof, claim, vendor };
        let machine = Appliance::new(now, profile, self.disk.document.as_deref(), self.entropy.entropy());
        let Ok(machine) = machine else {
            let detail = format!("appliance {} cannot read what it stored", self.number);
            return io.fail(Invariant::Starts, detail);
        };
        log!(io, "appliance {} starts: {:?}, number {}", self.number, machine.state(), machine.seq());
        let committed = machine.enrolment().map(|enrolment| enrolment.seq);
        io.ledger.started(io.now, self.number, machine.seq(), committed);
        self.running = Some(Running {
            machine,
            beat: None,
            boot,
            reporting: None,
            epoch: 0,
            writing: VecDeque::new(),
            written_at: io.now,
            told: None,
            changes: VecDeque::new(),
            underway: None,
            pings: BTreeMap::new(),
        });
        self.tell_lan(io);
        self.settle_left_overs(io);
        self.pump(io);
    }

    /// A power cut may have come between the machine's document and the network's.
    fn settle_left_overs(&mut self, io: &mut Io) {
        let Some(running) = &mut self.running else { return };
        let settings = running.machine.settings().cloned();
        if self.disk.former.is_some() {
            match running.machine.state() {
                State::Configured => running.changes.push_back(Change::Commit),
                State::Unconfigured => running.changes.push_back(Change::RollBack),
                State::Installing | State::Provisional => {}
            }
        }
        while let Some(output) = self.running.as_mut().and_then(|running| running.machine.poll_output()) {
            self.act(io, output);
        }
        if let Some(running) = &mut self.running {
            running.changes.extend(settings.map(Change::Resume));
        }
    }

    /// The power is cut: only the disk is left.
    pub(crate) fn power_cut(&mut self, io: &mut Io) {
        let Some(running) = self.running.take() else { return };
        let renamed = io.dice.index(running.writing.len() + 1);
        if let Some((_, bytes)) = running.writing.into_iter().take(renamed).next_back()
            && io.sabotage != Some(Sabotage::ForgetsToPersist)
        {
            // The rename was done, and nobody was told.
            self.disk.document = Some(bytes);
        }
        (self.wake, self.run) = (None, self.run + 1);
        log!(io, "appliance {} has no power", self.number);
        io.lan.addresses[self.number] = None;
        let off = io.dice.between(500, 40_000);
        io.queue.push(io.now + off, Event::PowerOn(self.node()));
    }

    /// Everything but the device key and the label is forgotten.
    pub(crate) fn factory_reset(&mut self, io: &mut Io) {
        self.power_cut(io);
        self.disk = Disk::default();
        io.ledger.reset(self.number);
        log!(io, "appliance {} was reset", self.number);
    }

    /// Its clock jumps.
    pub(crate) fn jump(&mut self, io: &mut Io, ms: i64) {
        self.skew += ms;
        log!(io, "the clock of appliance {} jumps by {ms} ms", self.number);
        self.wake = None;
        self.timeout(io);
    }

    pub(crate) fn datagram(&mut self, io: &mut Io, peer: Peer, bytes: &[u8]) {
        let now = self.local(io);
        let is_committing = self.is_committing();
        let Some(running) = &mut self.running else { return };
        log!(io, "appliance {} <- {} of {} from {}", self.number, lan::kind(bytes), bytes.len(), peer.address.ip());
        if bytes.get(5) == Some(&1)
            && let Ok(Message::Ping(packet)) = wire::decode(bytes)
            && let Ok(ping) = packet.question()
        {
            let most = running.pings.entry((ping.id, peer)).or_default();
            *most = bytes.len().max(*most);
        }
        if bytes.get(5) == Some(&3) && is_committing && io.sabotage != Some(Sabotage::TakesWhileCommitting) {
            // A power cut would roll the next attempt back beyond what was just made final.
            return;
        }
        let before = running.machine.state();
        running.machine.handle_input(now, Input::Datagram { peer, bytes });
        // A datagram makes an appliance install only when it was accepted.
        if running.machine.state() == State::Installing && before != State::Installing {
            let network = self.disk.network.as_ref();
            io.ledger.accepted(io.now, self.number, PacketHash::of(bytes), network, running.told);
            if self.vendor.is_some() {
                io.ledger.needed_voucher(io.now, self.number);
            }
        }
        self.pump(io);
    }

    /// True if that wake-up is still wanted.
    pub(crate) fn wants_wake(&mut self, io: &Io) -> bool {
        let wanted = self.wake == Some(io.now);
        if wanted {
            self.wake = None;
        }
        wanted
    }

    pub(crate) fn timeout(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        running.machine.handle_timeout(now);
        if let Some(beat) = &mut running.beat {
            beat.handle_timeout(now);
        }
        self.pump(io);
    }

    /// The disk has written, or refused.
    pub(crate) fn written(&mut self, io: &mut Io, run: u32) {
        if run != self.run {
            return;
        }
        if let Some((token, bytes)) = self.running.as_mut().and_then(|running| running.writing.pop_front()) {
            self.finish_write(io, token, bytes);
            self.pump(io);
        }
    }

    pub(crate) fn answered(&mut self, io: &mut Io, run: u32, answer: &Answer) {
        let now = self.local(io);
        let Some(running) = self.running.as_mut().filter(|_| run == self.run) else { return };
        let Answer::Beat { epoch, accepted, grant } = answer else { return };
        if *epoch != running.epoch && io.sabotage != Some(Sabotage::AnyBeatConfirms) {
            return;
        }
        let input = match accepted {
            Some((interval_s, time)) => {
                running.machine.handle_input(now, Input::BeatAccepted);
                running.told = Some(*time);
                running.machine.handle_input(now, Input::NocTime(*time));
                beat::Input::Accepted { interval_s: *interval_s }
            }
            None => beat::Input::Failed { retry_after_s: None },
        };
        if let Some(beat) = &mut running.beat {
            beat.handle_input(now, input);
        }
        self.pump(io);
        if let Some(grant) = grant {
            self.given(io, grant);
        }
    }

    /// The answer to a beat brought a grant.
    pub(crate) fn given(&mut self, io: &mut Io, grant: &[u8]) {
        let now = self.local(io);
        let is_committing = self.is_committing();
        let Some(running) = self.running.as_mut().filter(|_| !is_committing) else { return };
        let before = running.machine.state();
        running.machine.handle_input(now, Input::Grant(grant));
        if running.machine.state() == State::Installing && before != State::Installing {
            io.counts.given += 1;
            io.ledger.took_given(io.now, self.number, grant, self.disk.network.as_ref(), running.told);
        } else if io.sabotage == Some(Sabotage::AppliesWhatIsGiven)
            && let Some(grant) = attacker::read(grant).filter(|grant| grant.uid == self.uid)
        {
            let settings = grant.parameters.network;
            io.ledger.applying(io.now, self.number, grant.seq, &settings);
            running.changes.push_back(Change::Apply(settings));
        }
        self.pump(io);
    }

    fn is_committing(&self) -> bool {
        let Some(running) = &self.running else { return false };
        let commits = running.changes.iter().chain(running.underway.as_ref().map(Underway::change));
        commits.into_iter().any(|change| matches!(change, Change::Commit))
    }

    fn pump(&mut self, io: &mut Io) {
        loop {
            let Some(running) = &mut self.running else { return };
            if let Some(output) = running.machine.poll_output() {
                self.act(io, output);
            } else {
                match running.beat.as_mut().and_then(Beat::poll_output) {
                    Some(beat::Output::Send { counter }) => self.send_beat(io, counter),
                    // The history changes nothing that a world is checked for.
                    Some(beat::Output::Measure { .. }) => {}
                    None => break,
                }
            }
        }
        self.next_change(io);
        self.set_wake(io);
        self.check(io);
    }

    fn set_wake(&mut self, io: &mut Io) {
        let Some(running) = &self.running else { return };
        let beat = running.beat.as_ref().and_then(Beat::poll_timeout);
        let Some(due) = running.machine.poll_timeout().into_iter().chain(beat).min() else {
            self.wake = None;
            return;
        };
        let at = io.now + due.since(self.local(io)).max(1);
        if self.wake.is_none_or(|wake| wake > at) {
            self.wake = Some(at);
            io.queue.push(at, Event::Wake(self.node()));
        }
    }

    fn check(&self, io: &mut Io) {
        let Some(running) = &self.running else { return };
        let state = running.machine.state();
        let committed = running.machine.enrolment().map(|enrolment| enrolment.seq);
        let present = Present {
            seq: running.machine.seq(),
            committed,
            is_in_attempt: matches!(state, State::Installing | State::Provisional),
            is_still: running.underway.is_none() && running.changes.is_empty() && running.writing.is_empty(),
            network: self.disk.network.as_ref(),
            settings: running.machine.settings(),
        };
        io.ledger.check_appliance(io.now, self.number, &present);
    }

    fn act(&mut self, io: &mut Io, output: Output) {
        let Some(running) = &mut self.running else { return };
        match output {
            Output::Persist { token, bytes } => self.write(io, token, bytes),
            Output::Transmit { peer, bytes } => self.transmit(io, peer, bytes),
            Output::Apply { settings, .. } => {
                io.ledger.applying(io.now, self.number, running.machine.seq(), &settings);
                running.changes.push_back(Change::Apply(settings));
            }
            Output::RollBack { .. } => running.changes.push_back(Change::RollBack),
            Output::Commit { .. } => {
                if let Some(enrolment) = running.machine.enrolment() {
                    io.ledger.committed(io.now, self.number, enrolment.seq);
                }
                running.changes.push_back(Change::Commit);
            }
            Output::StartBeats { enrolment } => self.report_to(io, enrolment),
            Output::StopBeats => {
                running.epoch += 1;
                running.reporting = None;
                if let Some(beat) = &mut running.beat {
                    beat.stop();
                }
            }
            // No instruction is given in these worlds.
            Output::CarryOut { .. } | Output::Forget { .. } => {}
            Output::Notify(event) => {
                log!(io, "appliance {}: {event:?}", self.number);
                if let appliance::Event::Failed { .. } = event {
                    io.ledger.failed(io.now, self.number, self.disk.network.as_ref());
                }
            }
        }
    }

    fn write(&mut self, io: &mut Io, token: Token, bytes: Vec<u8>) {
        let rates = io.plan.rates;
        if io.strikes(Fault::ApplianceCutWriting, rates.cut_writing) {
            // Torn, it counts as not written: the generation before is intact.
            if io.sabotage != Some(Sabotage::ForgetsToPersist) && io.dice.chance(400) {
                self.disk.document = Some(bytes);
            }
            return self.power_cut(io);
        }
        let Some(running) = &mut self.running else { return };
        if running.writing.is_empty() && io.dice.chance(700) {
            return self.finish_write(io, token, bytes);
        }
        running.writing.push_back((token, bytes));
        // Each is done after the one before it, for a later one never comes earlier.
        running.written_at = running.written_at.max(io.now) + io.dice.between(1, WRITE_MS);
        io.queue.push(running.written_at, Event::Written { node: Node::Appliance(self.number), run: self.run });
    }

    fn finish_write(&mut self, io: &mut Io, token: Token, bytes: Vec<u8>) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        let rates = io.plan.rates;
        let input = if io.strikes(Fault::PersistFailed, rates.persist_failed) {
            Input::PersistFailed(token)
        } else {
            if io.sabotage != Some(Sabotage::ForgetsToPersist) {
                self.disk.document = Some(bytes);
            }
            Input::Persisted(token)
        };
        log!(io, "appliance {}: {input:?}", self.number);
        running.machine.handle_input(now, input);
    }

    fn transmit(&mut self, io: &mut Io, peer: Peer, mut bytes: Vec<u8>) {
        let Some(running) = &self.running else { return };
        if let Ok(Message::Here(packet)) = wire::decode(&bytes) {
            let ping = packet.claimed_ping();
            let asked = ping.and_then(|ping| running.pings.get(&(ping, peer))).copied().unwrap_or(0);
            if io.sabotage == Some(Sabotage::LongAnswers) {
                bytes.resize(asked + 1, 0);
            }
            if bytes.len() > asked {
                let detail = format!("appliance {} answers {asked} bytes with {}", self.number, bytes.len());
                io.fail(Invariant::Amplification, detail);
            }
        }
        log!(io, "appliance {} -> {} of {} to {}", self.number, lan::kind(&bytes), bytes.len(), peer.address.ip());
        let from = lan::peer(io.lan.appliance_address(self.number));
        lan::send(io, Node::Appliance(self.number), from, peer.address, &Rc::from(bytes));
    }

    fn report_to(&mut self, io: &mut Io, enrolment: Enrolment) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        running.epoch += 1;
        let (boot, entropy) = (running.boot, &mut self.entropy);
        let beat = running.beat.get_or_insert_with(|| Beat::new(enrolment.interval_s, boot, entropy.entropy()));
        beat.stop();
        match running.machine.state() {
            State::Provisional => beat.start_at_once(now),
            _ => beat.start(now),
        }
        running.reporting = Some(enrolment);
    }

    fn send_beat(&mut self, io: &mut Io, counter: u64) {
        let Some(running) = &self.running else { return };
        let Some(enrolment) = &running.reporting else { return };
        let gateway = self.disk.network.as_ref().and_then(NetworkSettings::gateway);
        let reaches = gateway == Some(lan::GATEWAY) && !io.lan.apart[self.number];
        let (appliance, run, epoch) = (self.number, self.run, running.epoch);
        log!(io, "appliance {appliance} beats: {counter} under number {}", enrolment.seq);
        if reaches {
            let (boot, seq) = (running.boot, enrolment.seq);
            let failed = running.machine.failed_grant().map(|failed| (failed.seq, failed.reason));
            let request = Request::Beat { appliance, run, epoch, boot, counter, seq, failed };
            let takes = io.dice.between(1, 40);
            io.queue.push(io.now + takes, Event::Asked(request));
        } else {
            let answer = Answer::Beat { epoch, accepted: None, grant: None };
            io.queue.push(io.now + 3_000, Event::Answered { to: self.node(), run, answer });
        }
    }

    /// The address at which others reach it.
    fn tell_lan(&self, io: &mut Io) {
        io.lan.addresses[self.number] = self.disk.network.as_ref().map(NetworkSettings::address);
    }
}
