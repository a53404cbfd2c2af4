//! The console's delivery, with an appliance that says anything and a console that is killed at any moment.

use crate::allocation::Held;
use crate::choices::Choices;
use crate::keys::{KEYS, MAC, boot, uid};
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::Token;
use muster_protocol::crypto::keys::{OpenKey, SealKey, SecretKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::delivery::{Delivery, GIVE_UP_MS, Input, Order, Outcome, Output};
use muster_protocol::id::{RequestId, Seq};
use muster_protocol::parameters::Confirm;
use muster_protocol::time::Millis;
use muster_protocol::wire::config::{ConfigPacket, PacketHash};
use muster_protocol::wire::here::{Proof, State};
use muster_protocol::wire::result::{ConfigResult, Reason, ResultPacket, Stage, Status};
use muster_protocol::wire::{self, MAX_DATAGRAM, Message, to_cbor};
use std::sync::LazyLock;

const MOST_STEPS: usize = 120;
/// What the machine may hold between two inputs: an order, a packet, and what its queue keeps for growth.
const MOST_HELD: isize = 16 * 1024;
/// What one input may make it do.
const MOST_OUTPUTS: usize = 4;

/// Plays the choices.
pub fn run(data: &[u8]) {
    LazyLock::force(&KEYS);
    let mut choices = Choices::new(data);
    let mut run = Run::new(choices.yes(), choices.yes());
    for _ in 0..MOST_STEPS {
        if !choices.any() {
            break;
        }
        run.step(&mut choices);
    }
    run.must_end();
}

/// A packet that the delivery stored.
struct Stored {
    bytes: Vec<u8>,
    packet: ConfigPacket,
    /// The appliance's side of it; none if nobody can open it.
    exported: Option<ExportedKey>,
    succeeded: bool,
}

struct Run {
    machine: Delivery,
    held: Held,
    now: Millis,
    starts: u64,
    order: Order,
    keys: Vec<OpenKey>,
    seq: u64,
    /// Written, and being written.
    saved: Option<Vec<u8>>,
    writing: Vec<(Token, Vec<u8>)>,
    stored: Vec<Stored>,
    on_disk: usize,
    granting: bool,
    outcome: Option<Outcome>,
    committed: bool,
    recorded: Vec<ResultPacket>,
}

impl Run {
    fn new(claimed: bool, heard: bool) -> Run {
        let keys: Vec<OpenKey> = (0..4).map(|n| OpenKey::generate(&mut Seeded::new(100 + n))).collect();
        let order = Order {
            device_key: KEYS.device.public(),
            mac: MAC,
            grant: signed_grant(1),
            seq: Seq(1),
            claim: claimed.then(|| KEYS.claim_key.clone()),
            voucher: None,
            one_time_key: heard.then(|| keys[0].public()),
        };
        let mut held = Held::default();
        let own = order.clone();
        let machine = held.count(|| Delivery::new(Millis(0), own, &KEYS.console, Box::new(Seeded::new(0))));
        let mut run = Run {
            machine,
            held,
            now: Millis(0),
            starts: 0,
            order,
            keys,
            seq: 1,
            saved: None,
            writing: Vec::new(),
            stored: Vec::new(),
            on_disk: 0,
            granting: false,
            outcome: None,
            committed: false,
            recorded: Vec::new(),
        };
        run.drain();
        run
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(12) {
            0 | 1 => {
                let mut one_time_key = self.keys[usize::from(choices.below(4))].public();
                if choices.byte() > 250 {
                    // No point of the curve that anything can be sealed to.
                    one_time_key = SealKey([0; 32]);
                }
                let state = choices.one_of(&[State::Unconfigured, State::Configured, State::Installing]);
                self.input(Input::Heard { one_time_key, boot: boot(1), state, proof: Proof::Claim });
            }
            2 | 3 => self.store(),
            4..=6 => self.result(choices),
            7 => {
                if let Some(at) = choices.index(self.recorded.len()) {
                    let packet = self.recorded[at].clone();
                    self.input(Input::Packet(&packet));
                }
            }
            8 => {
                let ms = choices.wait_ms();
                self.wait(ms);
            }
            9 => {
                if let Some(at) = self.machine.poll_timeout() {
                    self.wait(at.since(self.now));
                }
            }
            10 => match choices.below(4) {
                0 => self.regrant(),
                1 => self.input(if choices.yes() { Input::Kick } else { Input::Cancel }),
                2 => self.input(Input::Persisted(Token(u64::from(choices.byte()) + 1_000))),
                _ => {
                    let earlier = self.now - choices.wait_ms();
                    self.held.count(|| self.machine.handle_timeout(earlier, &KEYS.console));
                    self.drain();
                }
            },
            _ => self.restart(choices.yes()),
        }
    }

    fn store(&mut self) {
        if !self.writing.is_empty() {
            let (token, bytes) = self.writing.remove(0);
            self.saved = Some(bytes);
            self.on_disk = self.stored.len();
            self.input(Input::Persisted(token));
        }
    }

    fn regrant(&mut self) {
        if std::mem::take(&mut self.granting) {
            self.seq += 1;
            let (grant, seq) = (signed_grant(self.seq), Seq(self.seq));
            self.order = Order { grant: grant.clone(), seq, ..self.order.clone() };
            let claim = self.order.claim.clone();
            self.input(Input::Regranted { grant, seq, claim, voucher: None });
        }
    }

    /// The appliance's word, or somebody else's.
    fn result(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = choices.index(self.on_disk) else { return };
        let at = self.on_disk - 1 - at;
        let wrong = choices.byte();
        let status = match choices.below(4) {
            0 => Status::Success { committed: false },
            1 => Status::Success { committed: true },
            2 => Status::Unconfigured {
                stage: choices.one_of(&[Stage::ProbingAddress, Stage::Network, Stage::Components, Stage::FirstBeat]),
                percent: choices.byte(),
                ask_again_ms: u32::from(choices.short()) << choices.below(16),
            },
            _ => Status::Failed {
                reason: reason(choices.below(17)),
                detail: choices.yes().then(|| "told by the system".to_owned()),
                next_key: choices.index(4).map(|at| self.keys[at].public()).filter(|_| wrong & 1 == 0),
            },
        };
        let stored = &self.stored[at];
        let mut result = ConfigResult {
            uid: uid(),
            request: stored.packet.to.request,
            packet: PacketHash::of(&stored.bytes),
            seq: Seq(self.seq),
            boot: boot(1),
            status,
        };
        let (mut device, mut tagged): (&SecretKey, bool) = (&KEYS.device, true);
        match wrong >> 4 {
            0 => device = &KEYS.stranger,
            1 => tagged = false,
            2 => result.request = RequestId([9; 16]),
            3 => result.packet = PacketHash([9; 32]),
            4 => result.uid = muster_protocol::id::Uid([9; 20]),
            _ => {}
        }
        let good = !matches!(wrong >> 4, 0 | 2..=4);
        let exported = stored.exported.as_ref().filter(|_| tagged);
        let bytes = result.to_datagram(device, exported);
        let Ok(Message::Result(packet)) = wire::decode(&bytes) else { panic!("a result is a result") };
        if good && exported.is_some() && matches!(result.status, Status::Success { .. }) {
            self.stored[at].succeeded = true;
            self.committed |= matches!(result.status, Status::Success { committed: true });
        }
        self.input(Input::Packet(&packet));
        if self.recorded.len() < 100 {
            self.recorded.push(packet);
        }
    }

    /// The console is killed: what was being written is there or not.
    fn restart(&mut self, written: bool) {
        if written && !self.writing.is_empty() {
            self.saved = Some(self.writing.remove(0).1);
            self.on_disk = self.stored.len();
        }
        if self.outcome.is_some() {
            return;
        }
        self.writing.clear();
        self.stored.truncate(self.on_disk);
        self.granting = false;
        self.starts += 1;
        self.held = Held::default();
        let (now, order, rng) = (self.now, self.order.clone(), Box::new(Seeded::new(self.starts)));
        let saved = self.saved.as_deref();
        self.machine = self.held.count(|| match saved {
            Some(saved) => Delivery::resume(now, order, saved, rng).expect("it loads what it stored"),
            None => Delivery::new(now, order, &KEYS.console, rng),
        });
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        let to = self.now + ms;
        let mut wakes = 0;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.held.count(|| self.machine.handle_timeout(self.now, &KEYS.console));
            self.drain();
            let next = self.machine.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "it wants to be woken at {next:?}, and it is {:?}",
                self.now
            );
            wakes += 1;
            assert!(wakes < 2_000, "{GIVE_UP_MS} ms without an answer end it");
        }
        self.now = to;
    }

    fn input(&mut self, input: Input<'_>) {
        let (machine, now) = (&mut self.machine, self.now);
        self.held.count(|| machine.handle_input(now, input, &KEYS.console));
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
        assert_eq!(self.machine.is_done(), self.outcome.is_some(), "it is done when it says so");
    }

    fn output(&mut self, output: &Output) {
        assert!(self.outcome.is_none(), "{output:?} after the end");
        match output {
            Output::Persist { token, bytes } => {
                assert!(self.writing.is_empty(), "one document is written at a time");
                self.writing.push((*token, bytes.clone()));
                self.remember(bytes);
            }
            Output::Transmit { bytes, .. } => {
                assert!(bytes.len() <= MAX_DATAGRAM);
                let newest = self.stored[..self.on_disk].last().expect("nothing is sent before it is stored");
                match wire::decode(bytes).expect("it sends what can be read") {
                    Message::Config(_) => assert_eq!(*bytes, newest.bytes, "re-sent as the same bytes"),
                    Message::KickStart(kick) => {
                        assert!(newest.succeeded, "a kick-start before SUCCESS");
                        let exported = newest.exported.as_ref().expect("it was opened");
                        let kick = kick.verify(&KEYS.console.public(), exported).expect("by the console");
                        assert_eq!(kick.request, newest.packet.to.request);
                    }
                    other => panic!("a delivery does not send {other:?}"),
                }
            }
            Output::AskGrant => self.granting = true,
            Output::Done(outcome) => {
                assert!(*outcome != Outcome::Configured || self.committed, "configured, but nobody said so");
                reached::mark(match outcome {
                    Outcome::Configured => "configured",
                    Outcome::Failed { .. } => "failed",
                    Outcome::NoAnswer => "no answer",
                    Outcome::Cancelled => "cancelled",
                });
                self.outcome = Some(outcome.clone());
            }
            Output::AskKey | Output::Progress(_) => {}
        }
    }

    /// Finds the packet inside a stored document, which is the machine's own affair but for the datagram in it.
    fn remember(&mut self, document: &[u8]) {
        let at = document.windows(4).position(|part| part == b"MUST").expect("the document holds the datagram");
        let length = match document[..at] {
            [.., 0x59, high, low] => usize::from(u16::from_be_bytes([high, low])),
            [.., 0x58, length] => usize::from(length),
            _ => panic!("a byte string has its length in front"),
        };
        let bytes = document[at..at + length].to_vec();
        let Ok(Message::Config(packet)) = wire::decode(&bytes) else { panic!("a config datagram") };
        assert!(self.stored.iter().all(|other| other.packet.to.request != packet.to.request), "one id a packet");
        let key = self.keys.iter().find(|key| key.public() == packet.to.one_time_key).expect("a key that was heard");
        let opened = [None, Some(&KEYS.claim_key)].into_iter().find_map(|claim| packet.open(key, claim, None).ok());
        let opened = opened.expect("the appliance can open it");
        assert_eq!(opened.grant.seq, Seq(self.seq), "with the grant in force");
        self.stored.push(Stored { bytes, packet, exported: Some(opened.exported), succeeded: false });
    }

    /// Nobody answers any more: it ends, and says how.
    fn must_end(&mut self) {
        for _ in 0..20 {
            self.store();
            self.regrant();
            self.wait(2 * GIVE_UP_MS);
        }
        assert!(self.outcome.is_some(), "silence ends a delivery");
        assert_eq!(self.machine.poll_timeout(), None);
    }
}

fn signed_grant(seq: u64) -> Vec<u8> {
    let grant = crate::keys::grant("host", seq, Confirm::KickStart);
    sign::sign(&KEYS.root, Purpose::Grant, to_cbor(&grant))
}

fn reason(n: u8) -> Reason {
    wire::from_cbor(&[n]).expect("reasons are numbered from 0 to 16")
}
