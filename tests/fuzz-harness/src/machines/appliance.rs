//! The appliance's machine under a hostile network, a failing disk and power cuts.

mod from_noc;
mod handed_over;

use crate::allocation::Held;
use crate::choices::Choices;
use crate::keys::{KEYS, MAC, boot, uid};
use crate::messages;
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::Token;
use muster_protocol::appliance::{Appliance, Event, Failure, Input, Output, Profile};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::{PublicKey, SealKey, SecretKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::id::{Mac, PingId, RequestId, Seq, Uid};
use muster_protocol::instruction::Instruction;
use muster_protocol::parameters::Confirm;
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::config::{self, Address};
use muster_protocol::wire::here::{Proof, State};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::result::{Reason, Stage, Status};
use muster_protocol::wire::{self, MAX_DATAGRAM, Message, Peer, to_cbor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Longest sequence of one input.
const MOST_STEPS: usize = 120;
/// What the machine may hold between two inputs, whatever came before: 32 waiting answers, 64 askers, 8 keys, two attempts
/// and three grants, and what its queue and trees keep for growth.
const MOST_HELD: isize = 48 * 1024;
/// What one input may make it do. A wake-up answers everybody who waits, at most 32.
const MOST_OUTPUTS: usize = 40;

const REASONS: [Reason; 4] = [Reason::AddressTaken, Reason::ApplyFailed, Reason::Storage, Reason::InstallFailed];
const STAGES: [Stage; 4] = [Stage::ProbingAddress, Stage::Network, Stage::Components, Stage::FirstBeat];

/// Plays the choices.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let proof = choices.one_of(&[Proof::Claim, Proof::Claim, Proof::Open, Proof::Voucher]);
    let mut run = Run::new(proof);
    for _ in 0..MOST_STEPS {
        if !choices.any() {
            break;
        }
        run.step(&mut choices);
    }
    run.must_come_to_rest();
}

/// A config packet that somebody made.
struct Attempt {
    request: RequestId,
    bytes: Vec<u8>,
    exported: ExportedKey,
    seq: Seq,
    /// Names it in the settings.
    host: String,
    confirm: Confirm,
    application: Option<ApplicationSettings>,
    /// Made as the design wants it: by the root, for this appliance, delivered by the console that the grant allows.
    honest: bool,
    root: PublicKey,
    console: &'static SecretKey,
    kicked: bool,
}

struct Run {
    machine: Appliance,
    held: Held,
    proof: Proof,
    now: Millis,
    boots: u64,
    mac: Mac,
    /// What was stored, and what may have been when the power is cut.
    disk: Option<Vec<u8>>,
    writing: Vec<(Token, Vec<u8>)>,
    applying: bool,
    rolling_back: bool,
    /// One-time keys that were heard.
    keys: Vec<SealKey>,
    attempts: Vec<Attempt>,
    applied: BTreeSet<String>,
    beats_accepted: u64,
    /// The last instruction that it took.
    expected: Option<Instruction>,
    instructed: from_noc::Instructed,
    handed: handed_over::Handed,
    /// How many successors were named, so that each has a name of its own.
    successors: u32,
    /// The longest ping with an id.
    pings: BTreeMap<PingId, usize>,
    /// Datagrams of both directions, to be sent again and to be spoiled.
    recorded: Vec<Vec<u8>>,
}

fn start(proof: Proof, now: Millis, boots: u64, mac: Mac, disk: Option<&[u8]>) -> Appliance {
    let profile = Profile {
        device: KEYS.device.clone(),
        mac,
        boot: boot(boots),
        proof,
        claim: (proof == Proof::Claim).then(|| KEYS.claim_key.clone()),
        vendor: (proof == Proof::Voucher).then(|| KEYS.vendor.public()),
    };
    Appliance::new(now, profile, disk, Box::new(Seeded::new(1_000 + boots))).expect("it loads what it stored")
}

impl Run {
    fn new(proof: Proof) -> Run {
        LazyLock::force(&KEYS);
        let mut held = Held::default();
        let machine = held.count(|| start(proof, Millis(0), 0, MAC, None));
        let mut run = Run {
            machine,
            held,
            proof,
            now: Millis(0),
            boots: 0,
            mac: MAC,
            disk: None,
            writing: Vec::new(),
            applying: false,
            rolling_back: false,
            keys: Vec::new(),
            attempts: Vec::new(),
            applied: BTreeSet::new(),
            beats_accepted: 0,
            expected: None,
            instructed: from_noc::Instructed::default(),
            handed: handed_over::Handed::default(),
            successors: 0,
            pings: BTreeMap::new(),
            recorded: Vec::new(),
        };
        run.drain();
        run
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(20) {
            0 => self.ping(choices),
            1 => self.config(choices),
            2 => self.kick(choices),
            3 => self.replay(choices, false),
            4 => self.replay(choices, true),
            5 => {
                let bytes = choices.bytes().to_vec();
                self.datagram(choices, bytes);
            }
            6 | 7 => {
                if let Some((token, bytes)) = self.finish_writing() {
                    self.disk = Some(bytes);
                    self.input(Input::Persisted(token));
                }
            }
            8 => {
                if let Some((token, _)) = self.finish_writing() {
                    self.input(Input::PersistFailed(token));
                }
            }
            9 | 10 => {
                self.applying = false;
                self.input(Input::Applied(Ok(())));
            }
            11 => {
                self.applying = false;
                let detail = String::from_utf8_lossy(choices.bytes()).into_owned();
                let reason = choices.one_of(&REASONS);
                self.input(Input::Applied(Err(Failure { reason, detail })));
            }
            12 => {
                self.rolling_back = false;
                self.input(Input::RolledBack);
            }
            13 => {
                let (stage, percent) = (choices.one_of(&STAGES), choices.byte());
                self.input(Input::Progress { stage, percent });
            }
            14 => {
                self.beats_accepted += 1;
                self.input(Input::BeatAccepted);
            }
            15 => self.wait(choices.wait_ms()),
            16 => {
                if let Some(at) = self.machine.poll_timeout() {
                    self.wait(at.since(self.now));
                }
            }
            17 => self.restart(choices),
            18 => {
                self.mac = Mac([2, 0, 0, 0, 0, 1 + choices.below(2)]);
                self.input(Input::SetMac(self.mac));
            }
            _ => match choices.below(7) {
                // A driver's mistakes change nothing.
                0 => self.input(Input::Persisted(Token(u64::from(choices.byte()) + 1_000))),
                1 => self.input(Input::PersistFailed(Token(u64::from(choices.byte()) + 1_000))),
                3 | 4 => self.by_beat(choices),
                5 => self.handed_over(choices),
                6 => self.input(Input::NocTime(UnixTime(1_700_000_000 + (u64::from(choices.byte()) << 20)))),
                _ => {
                    let earlier = self.now - choices.wait_ms();
                    self.held.count(|| self.machine.handle_timeout(earlier));
                    self.drain();
                }
            },
        }
    }

    fn finish_writing(&mut self) -> Option<(Token, Vec<u8>)> {
        (!self.writing.is_empty()).then(|| self.writing.remove(0))
    }

    fn ping(&mut self, choices: &mut Choices<'_>) {
        let flags = choices.byte();
        let ping = Ping {
            window_ms: if flags & 1 == 0 { 0 } else { choices.short() },
            only: (flags & 2 != 0).then(uid),
            ..messages::ping(choices.byte())
        };
        let signed = |ping: Ping, key: &SecretKey, credential: &[u8]| {
            let reply_key = Some((KEYS.open)().public());
            Ping { reply_key, credential: Some(credential.to_vec().into()), ..ping }.to_signed(key)
        };
        let bytes = match flags >> 4 {
            0..=7 => ping.to_plain(),
            8..=11 => signed(ping, &KEYS.console, &KEYS.credential),
            12 => signed(ping, &KEYS.stranger, &KEYS.credential),
            13 => signed(ping, &KEYS.stranger, &KEYS.other_credential),
            14 => ping.to_signed(&KEYS.console),
            _ => Ping { credential: Some(KEYS.credential.clone().into()), ..ping }.to_plain(),
        };
        self.datagram(choices, bytes);
    }

    /// A config packet in which each thing may be wrong.
    fn config(&mut self, choices: &mut Choices<'_>) {
        let newest = self.keys.len().checked_sub(1);
        let wrong = choices.byte();
        let at = if wrong & 1 == 0 { newest } else { choices.index(self.keys.len()) };
        let Some(at) = at else { return };
        let seq = match choices.below(5) {
            0 => self.machine.seq().0.saturating_add(1),
            1 => self.machine.seq().0,
            2 => 0,
            3 => u64::from(choices.short()),
            _ => u64::MAX,
        };
        let host = format!("host-{}", self.attempts.len());
        let confirm = if choices.yes() { Confirm::FirstBeat } else { Confirm::KickStart };
        let mut grant = crate::keys::grant(&host, seq, confirm);
        grant.mac = self.mac;
        grant.parameters.application = (wrong & 8 != 0).then(|| KEYS.application.clone());
        let mut to = Address {
            uid: uid(),
            mac: self.mac,
            one_time_key: self.keys[at],
            request: RequestId([choices.byte(); 16]),
        };
        let (mut root, mut console): (&SecretKey, &'static SecretKey) = (&KEYS.root, &KEYS.console);
        let pin = self.pin();
        let mut claim: Option<&ClaimKey> = (self.proof == Proof::Claim && pin.is_none()).then_some(&KEYS.claim_key);
        let mut honest = true;
        let mut voucher = crate::keys::voucher();
        match wrong >> 4 {
            0 => (root, honest) = (&KEYS.other_root, false),
            1 => {
                (root, grant.root) = (&KEYS.other_root, KEYS.other_root.public());
                voucher.root = if wrong & 2 == 0 { grant.root } else { voucher.root };
            }
            2 => (console, honest) = (&KEYS.stranger, false),
            3 => (console, grant.console) = (&KEYS.stranger, KEYS.stranger.public()),
            4 => (claim, honest) = (Some(&KEYS.other_claim_key), false),
            5 => (claim, honest) = (None, pin.is_some() || self.proof != Proof::Claim),
            6 => (grant.uid, honest) = (Uid([9; 20]), false),
            7 => (to.mac, grant.mac, honest) = (Mac([9; 6]), Mac([9; 6]), false),
            8 => (to.mac, honest) = (Mac([9; 6]), false),
            9 => grant.parameters.window_s = 30,
            10 => grant.parameters.window_s = 600,
            11 => voucher.vendor = KEYS.stranger.public(),
            12 => voucher.uid = Uid([9; 20]),
            13 => voucher.root = KEYS.console.public(),
            _ => {}
        }
        let signed = sign::sign(root, Purpose::Grant, to_cbor(&grant));
        // A console never has the same chance twice: with it two packets would be kick-started by one.
        let chance = u64::from(choices.byte()) << 16 | self.attempts.len() as u64;
        let (request, mut rng) = (to.request, Seeded::new(chance));
        // An appliance that has an owner does not look at it.
        let vendor = if voucher.vendor == KEYS.vendor.public() { &KEYS.vendor } else { &KEYS.stranger };
        let brought = (self.proof == Proof::Voucher && claim.is_none() && wrong & 4 == 0).then(|| voucher.sign(vendor));
        let built = match &brought {
            Some(voucher) => config::build_with_voucher(&mut rng, console, voucher, to, &signed),
            None => config::build(&mut rng, console, claim, to, &signed),
        };
        let Ok((bytes, exported)) = built else { return };
        // Any root may have an appliance that belongs to nobody yet, if it proves what the image asks for.
        if self.proof == Proof::Voucher && pin.is_none() {
            let good = muster_protocol::voucher::Voucher { root: grant.root, ..crate::keys::voucher() };
            honest &= claim.is_none() && brought.is_some() && voucher == good;
        }
        let attempt = Attempt {
            request,
            bytes: bytes.clone(),
            exported,
            seq: grant.seq,
            host,
            confirm,
            application: grant.parameters.application,
            honest,
            root: grant.root,
            console,
            kicked: false,
        };
        self.attempts.push(attempt);
        self.datagram(choices, bytes);
    }

    fn kick(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = choices.index(self.attempts.len()) else { return };
        let at = self.attempts.len() - 1 - at;
        let rogue = choices.yes();
        let attempt = &mut self.attempts[at];
        let kick = KickStart { uid: uid(), request: attempt.request, seq: attempt.seq };
        let bytes = if rogue {
            kick.to_datagram(&KEYS.device, &attempt.exported)
        } else {
            attempt.kicked = true;
            kick.to_datagram(attempt.console, &attempt.exported)
        };
        self.datagram(choices, bytes);
    }

    /// Something recorded once more, as it was or spoiled at one place or cut short.
    fn replay(&mut self, choices: &mut Choices<'_>, spoil: bool) {
        let Some(at) = choices.index(self.recorded.len()) else { return };
        let mut bytes = self.recorded[self.recorded.len() - 1 - at].clone();
        if spoil {
            let place = usize::from(choices.short());
            let change = choices.byte();
            if place < bytes.len() {
                bytes[place] ^= change;
            } else {
                bytes.truncate(place % (bytes.len() + 1));
            }
        }
        self.datagram(choices, bytes);
    }

    fn datagram(&mut self, choices: &mut Choices<'_>, bytes: Vec<u8>) {
        let from = choices.below(80);
        let peer = Peer { interface: 2, address: ([192, 0, 2, from], 6878).into() };
        if let Ok(Message::Ping(packet)) = wire::decode(&bytes)
            && let Ok(ping) = packet.question()
        {
            let longest = self.pings.entry(ping.id).or_default();
            *longest = bytes.len().max(*longest);
        }
        self.input(Input::Datagram { peer, bytes: &bytes });
        self.record(bytes);
    }

    fn record(&mut self, bytes: Vec<u8>) {
        if self.recorded.len() < 200 {
            self.recorded.push(bytes);
        }
    }

    /// The power is cut: what was being written is there or not.
    fn restart(&mut self, choices: &mut Choices<'_>) {
        if choices.yes()
            && let Some((_, bytes)) = self.finish_writing()
        {
            self.disk = Some(bytes);
        }
        self.boots += 1;
        let (proof, now, mac) = (self.proof, self.now, self.mac);
        self.held = Held::default();
        self.machine = self.held.count(|| start(proof, now, self.boots, mac, self.disk.as_deref()));
        self.writing.clear();
        self.keys.clear();
        if self.machine.settings().is_none() {
            self.next_owner();
        }
        (self.applying, self.rolling_back, self.instructed.forgetting) = (false, false, false);
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        let to = self.now + ms;
        let mut wakes = 0;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.held.count(|| self.machine.handle_timeout(self.now));
            self.drain();
            let next = self.machine.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "it wants to be woken at {next:?}, and it is {:?}",
                self.now
            );
            wakes += 1;
            if wakes > 200 {
                // An installation that takes days is told every second; the rest is more of the same.
                break;
            }
        }
        self.now = to;
    }

    fn input(&mut self, input: Input<'_>) {
        let (machine, now) = (&mut self.machine, self.now);
        self.held.count(|| machine.handle_input(now, input));
        self.drain();
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.held.count(|| self.machine.poll_output()) {
            self.output(&output);
            self.held.count(|| drop(output));
            outputs += 1;
            assert!(outputs <= MOST_OUTPUTS, "one input made it do {outputs} things");
        }
        assert!(self.held.bytes() <= MOST_HELD, "it holds {} bytes", self.held.bytes());
        self.look_at_handover();
    }

    /// He counts anew.
    fn next_owner(&mut self) {
        self.instructed = from_noc::Instructed::default();
        self.handed = handed_over::Handed::default();
    }

    fn output(&mut self, output: &Output) {
        match output {
            Output::Persist { token, bytes } => {
                // A packet does not wait for the time to be stored: its document comes after that and counts alone.
                assert!(self.writing.len() < 2, "two documents are written, one after the other");
                self.writing.push((*token, bytes.clone()));
            }
            Output::Transmit { bytes, .. } => self.transmit(bytes),
            Output::Apply { settings, application } => {
                assert!(!self.applying, "one attempt is applied at a time");
                self.applying = true;
                let attempt = self.attempt(settings.host_name());
                assert!(attempt.honest, "{} was granted by nobody who may", attempt.host);
                assert_eq!(*application, attempt.application, "{}'s application", attempt.host);
                // It may have been handed over since the packet was made.
                assert!(self.pin().is_none_or(|pin| pin == attempt.root), "{} is by another root", attempt.host);
                let seq = attempt.seq;
                let stored = start(self.proof, self.now, self.boots, self.mac, self.disk.as_deref());
                assert!(stored.seq() >= seq, "applied before its number is on disk");
                assert!(self.applied.insert(settings.host_name().to_owned()), "applied twice");
                reached::mark("applied");
                if self.machine.formerly().is_some() {
                    reached::mark("granted by a successor");
                }
            }
            Output::RollBack { to } => {
                assert!(!self.rolling_back, "one roll-back at a time");
                self.rolling_back = true;
                assert_eq!(to.as_ref(), self.machine.settings(), "back to what was final");
                reached::mark("rolled back");
            }
            Output::Commit { settings } => {
                let attempt = self.attempt(settings.host_name());
                assert!(attempt.kicked, "{} became final without a kick-start", attempt.host);
                assert!(attempt.confirm == Confirm::KickStart || self.beats_accepted > 0, "without a beat");
                assert_eq!(Some(settings), self.machine.settings());
                reached::mark("committed");
            }
            Output::Notify(Event::Refused { reason, .. }) => reached::mark(reason.code()),
            Output::Notify(Event::Failed { detail, .. }) => {
                assert!(!detail.chars().any(char::is_control), "a log line is one line");
            }
            Output::CarryOut { serial, act } => self.carries_out(*serial, *act),
            Output::Forget { .. } => self.forgets(),
            Output::Notify(Event::Decommissioned) => {
                assert_eq!(self.machine.settings(), None);
                self.next_owner();
                reached::mark("decommissioned");
            }
            Output::StartBeats { .. } | Output::StopBeats | Output::Notify(_) => {}
        }
    }

    fn attempt(&self, host: &str) -> &Attempt {
        self.attempts.iter().find(|attempt| attempt.host == host).expect("settings out of nowhere")
    }

    fn transmit(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= MAX_DATAGRAM);
        let message = wire::decode(bytes).expect("it sends what can be read");
        assert_eq!(wire::encode(&message), bytes);
        match message {
            Message::Here(packet) => {
                let here = packet.verify().expect("signed by the device");
                let asked = self.pings.get(&here.ping).expect("answers only what was asked");
                assert!(bytes.len() <= *asked, "an answer of {} bytes to a ping of {asked}", bytes.len());
                if here.settings.is_some() {
                    assert!(self.machine.settings().is_some());
                    reached::mark("settings told");
                }
                assert_eq!((here.uid(), here.mac), (uid(), self.mac));
                if self.keys.last() != Some(&here.one_time_key) {
                    self.keys.push(here.one_time_key);
                }
            }
            Message::Result(packet) => {
                assert_eq!(packet.claimed_uid(), Some(uid()));
                for attempt in &self.attempts {
                    let Ok(result) = packet.verify(&KEYS.device.public(), &attempt.exported) else { continue };
                    if result.packet != config::PacketHash::of(&attempt.bytes) {
                        continue;
                    }
                    if let Status::Success { committed } = result.status {
                        assert!(self.applied.contains(&attempt.host), "SUCCESS of what was never applied");
                        assert!(!committed || attempt.kicked, "committed without a kick-start");
                    }
                    if let Status::Failed { detail: Some(detail), .. } = &result.status {
                        assert!(detail.len() <= wire::result::MAX_DETAIL && !detail.chars().any(char::is_control));
                    }
                }
            }
            Message::Ping(_) | Message::Config(_) | Message::KickStart(_) => panic!("no appliance says this"),
        }
        self.record(bytes.to_vec());
    }

    /// With a driver that does what it is told and a console that is gone, it ends as configured or as it was.
    fn must_come_to_rest(&mut self) {
        for _ in 0..50 {
            if let Some((token, bytes)) = self.finish_writing() {
                self.disk = Some(bytes);
                self.input(Input::Persisted(token));
            } else if std::mem::take(&mut self.applying) {
                self.input(Input::Applied(Ok(())));
            } else if std::mem::take(&mut self.rolling_back) {
                self.input(Input::RolledBack);
            } else if std::mem::take(&mut self.instructed.forgetting) {
                self.input(Input::Forgotten);
            } else if let Some(at) = self.machine.poll_timeout() {
                self.wait(at.since(self.now));
            } else {
                break;
            }
        }
        let state = self.machine.state();
        assert!(matches!(state, State::Configured | State::Unconfigured), "it ends {state:?}");
        let stored = start(self.proof, self.now, self.boots, self.mac, self.disk.as_deref());
        assert_eq!(stored.settings(), self.machine.settings(), "and what is final is on disk");
    }
}
