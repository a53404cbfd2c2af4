use super::*;
use crate::appliance::{self, Appliance, Profile};
use crate::crypto::claim::ClaimSecret;
use crate::crypto::sign::{self, Purpose};
use crate::grant::Grant;
use crate::id::{PingId, SiteId};
use crate::parameters::{Confirm, Parameters, RawSettings};
use crate::test_rng::TestRng;
use crate::time::UnixTime;
use crate::voucher::Voucher;
use crate::wire::here::Proof;
use crate::wire::ping::{Ping, Shard};
use crate::wire::{self, Message, Peer};

/// A console's delivery and a real appliance machine on a line that loses datagrams.
struct Line {
    now: Millis,
    rng: TestRng,
    root: SecretKey,
    console: SecretKey,
    device: SecretKey,
    label: ClaimKey,
    appliance: Appliance,
    delivery: Delivery,
    loss_percent: u64,
    /// The appliance fails this many times to apply.
    apply_fails: u32,
    dead: bool,
    /// The line is cut the moment a packet is stored.
    dies_when_stored: bool,
    confirm: Confirm,
    seq: u64,
    saved: Option<Vec<u8>>,
    applied: Vec<Seq>,
    rolled_back: usize,
    outcome: Option<Outcome>,
    progress: Vec<Progress>,
    packets: u32,
}

const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const VENDOR: [u8; 32] = [0x56; 32];

impl Line {
    fn new(seed: u64) -> Line {
        Line::to(Proof::Claim, seed)
    }

    /// A line to an appliance that accepts this proof.
    fn to(proof: Proof, seed: u64) -> Line {
        let mut rng = TestRng::new(seed);
        let (root, console) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        let device = SecretKey::generate(&mut rng);
        let label = ClaimSecret::generate(&mut rng).key();
        let vendor = SecretKey::from_seed(&VENDOR);
        let profile = Profile {
            device: device.clone(),
            mac: MAC,
            boot: BootId([1; 16]),
            proof,
            claim: Some(label.clone()),
            vendor: Some(vendor.public()),
        };
        let appliance = Appliance::new(Millis(0), profile, None, Box::new(TestRng::new(seed + 1))).expect("new");
        let order = Order {
            device_key: device.public(),
            mac: MAC,
            grant: Vec::new(),
            seq: Seq(0),
            claim: Some(label.clone()),
            voucher: None,
            one_time_key: None,
        };
        let delivery = Delivery::new(Millis(0), order, &console, Box::new(TestRng::new(seed + 2)));
        let mut line = Line {
            now: Millis(0),
            rng,
            root,
            console,
            device,
            label,
            appliance,
            delivery,
            loss_percent: 0,
            apply_fails: 0,
            dead: false,
            dies_when_stored: false,
            confirm: Confirm::KickStart,
            seq: 0,
            saved: None,
            applied: Vec::new(),
            rolled_back: 0,
            outcome: None,
            progress: Vec::new(),
            packets: 0,
        };
        line.delivery.order = Order { ..line.order() };
        line
    }

    fn order(&mut self) -> Order {
        self.seq += 1;
        let raw = RawSettings {
            host_name: "a".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            ..RawSettings::default()
        };
        let parameters = Parameters {
            network: raw.validate().expect("valid"),
            confirm: self.confirm,
            window_s: 90,
            beat_interval_s: 60,
            drift: None,
            application: None,
        };
        let grant = Grant {
            uid: Uid::of(&self.device.public()),
            mac: MAC,
            site: SiteId(1),
            seq: Seq(self.seq),
            parameters,
            console: self.console.public(),
            root: self.root.public(),
            issued: UnixTime(0),
            expires: UnixTime(0),
            noc: "noc:1".into(),
            ca_pin: [0; 32],
        };
        Order {
            device_key: self.device.public(),
            mac: MAC,
            grant: sign::sign(&self.root, Purpose::Grant, to_cbor(&grant)),
            seq: grant.seq,
            claim: Some(self.label.clone()),
            voucher: Some(self.voucher(&self.root)),
            one_time_key: None,
        }
    }

    /// The vendor's, for whoever has this root.
    fn voucher(&self, root: &SecretKey) -> Vec<u8> {
        let vendor = SecretKey::from_seed(&VENDOR);
        let uid = Uid::of(&self.device.public());
        let (vendor_key, root) = (vendor.public(), root.public());
        Voucher { uid, root, vendor: vendor_key, issued: UnixTime(0), expires: None }.sign(&vendor)
    }

    fn lost(&mut self) -> bool {
        self.dead || uniform(&mut self.rng, 100) < self.loss_percent
    }

    fn send_appliance(&mut self, bytes: &[u8]) {
        self.packets += 1;
        if self.lost() {
            return;
        }
        let peer = Peer { interface: 1, address: ([192, 0, 2, 1], 6878).into() };
        self.appliance.handle_input(self.now, appliance::Input::Datagram { peer, bytes });
        self.run_appliance();
    }

    fn run_appliance(&mut self) {
        while let Some(output) = self.appliance.poll_output() {
            let input = match output {
                appliance::Output::Persist { token, .. } => Some(appliance::Input::Persisted(token)),
                appliance::Output::Apply { .. } if self.apply_fails > 0 => {
                    self.apply_fails -= 1;
                    let failure = appliance::Failure { reason: Reason::ApplyFailed, detail: "busy".into() };
                    Some(appliance::Input::Applied(Err(failure)))
                }
                appliance::Output::Apply { .. } => {
                    self.applied.push(self.appliance.seq());
                    Some(appliance::Input::Applied(Ok(())))
                }
                appliance::Output::RollBack { .. } => {
                    self.rolled_back += 1;
                    Some(appliance::Input::RolledBack)
                }
                appliance::Output::Transmit { bytes, .. } => {
                    if !self.lost() {
                        self.send_console(&bytes);
                    }
                    None
                }
                _ => None,
            };
            if let Some(input) = input {
                self.appliance.handle_input(self.now, input);
            }
        }
    }

    fn send_console(&mut self, bytes: &[u8]) {
        match wire::decode(bytes).expect("an appliance sends what can be read") {
            Message::Here(packet) => {
                let here = packet.verify().expect("signed");
                let heard = Input::Heard {
                    one_time_key: here.one_time_key,
                    boot: here.boot,
                    state: here.state,
                    proof: here.proof,
                };
                self.delivery.handle_input(self.now, heard, &self.console);
            }
            Message::Result(packet) => {
                self.delivery.handle_input(self.now, Input::Packet(&packet), &self.console);
            }
            other => panic!("an appliance does not send {other:?}"),
        }
    }

    fn run(&mut self) {
        // The two ends drive each other through `send_appliance`; whatever is left over waits in the queues.
        while let Some(output) = self.delivery.poll_output() {
            match output {
                Output::Persist { token, bytes } => {
                    self.saved = Some(bytes);
                    self.dead |= self.dies_when_stored;
                    self.delivery.handle_input(self.now, Input::Persisted(token), &self.console);
                }
                Output::Transmit { bytes, .. } => self.send_appliance(&bytes),
                Output::AskKey => {
                    let ping = Ping {
                        id: PingId(random(&mut self.rng)),
                        window_ms: 0,
                        salt: [0; 8],
                        shard: Shard::default(),
                        heard: Vec::new(),
                        only: Some(self.appliance.uid()),
                        reply_key: None,
                        credential: None,
                    };
                    self.send_appliance(&ping.to_plain());
                }
                Output::AskGrant => {
                    let Order { grant, seq, claim, voucher, .. } = self.order();
                    let regranted = Input::Regranted { grant, seq, claim, voucher };
                    self.delivery.handle_input(self.now, regranted, &self.console);
                }
                Output::Progress(progress) => self.progress.push(progress),
                Output::Done(outcome) => self.outcome = Some(outcome),
            }
        }
    }

    /// Runs until the delivery is over; virtual time only.
    fn finish(&mut self) -> Outcome {
        self.run();
        for _ in 0..10_000 {
            if let Some(outcome) = &self.outcome {
                return outcome.clone();
            }
            let next = [self.delivery.poll_timeout(), self.appliance.poll_timeout()].into_iter().flatten().min();
            self.now = self.now.max(next.expect("somebody waits for something"));
            self.appliance.handle_timeout(self.now);
            self.run_appliance();
            self.delivery.handle_timeout(self.now, &self.console);
            self.run();
        }
        panic!("not over after 10,000 steps");
    }
}

#[test]
fn on_a_good_line_it_takes_one_packet_and_one_kick_start() {
    let mut line = Line::new(1);
    assert_eq!(line.finish(), Outcome::Configured);
    assert_eq!(line.packets, 3, "ping, packet, kick-start");
    assert_eq!(line.progress, [Progress::Sending { attempts: 1 }, Progress::KickStarting]);
}

#[test]
fn on_bad_lines_every_appliance_is_configured_exactly_once() {
    for seed in 0..200 {
        let mut line = Line::new(seed * 10);
        line.loss_percent = 30;
        assert_eq!(line.finish(), Outcome::Configured, "seed {seed}");
        // When every kick-start of a whole window is lost it is rolled back, and applied anew.
        assert_eq!(line.applied.len(), 1 + line.rolled_back, "seed {seed}");
    }
}

#[test]
fn a_failed_attempt_is_tried_again_with_a_fresh_key_and_grant() {
    let mut line = Line::new(1);
    line.apply_fails = 2;
    assert_eq!(line.finish(), Outcome::Configured);
    assert_eq!(line.applied, [Seq(3)]);
}

#[test]
fn a_noc_that_forgot_whom_it_configured_gets_through_with_its_next_grant() {
    let mut line = Line::new(1);
    assert_eq!(line.finish(), Outcome::Configured);
    // Restored from an old copy, it begins to count again, and hands out the claim key of an appliance that is pinned.
    line.seq = 0;
    line.outcome = None;
    let order = line.order();
    assert!(order.claim.is_some());
    line.delivery = Delivery::new(line.now, order, &line.console, Box::new(TestRng::new(9)));
    assert_eq!(line.finish(), Outcome::Configured);
    assert_eq!(line.applied, [Seq(1), Seq(2)]);
}

#[test]
fn what_keeps_failing_is_shown_with_its_reason() {
    let mut line = Line::new(1);
    line.apply_fails = 99;
    let expected = Outcome::Failed { reason: Reason::ApplyFailed, detail: "busy".into() };
    assert_eq!(line.finish(), expected);
    assert_eq!(99 - line.apply_fails, 3);
}

#[test]
fn a_wrong_claim_code_is_final_at_once() {
    let mut line = Line::new(1);
    line.delivery.order.claim = Some(ClaimKey([0; 32]));
    assert!(matches!(line.finish(), Outcome::Failed { reason: Reason::NotOpened, .. }));
    assert!(line.applied.is_empty());
}

#[test]
fn silence_ends_as_no_answer() {
    let mut line = Line::new(1);
    line.dead = true;
    assert_eq!(line.finish(), Outcome::NoAnswer);
    assert!(line.packets < 20, "{} packets", line.packets);
}

#[test]
fn a_console_that_is_killed_goes_on_and_applies_nothing_twice() {
    for seed in 0..50 {
        let mut line = Line::new(seed * 10 + 5);
        // Cut off after the first packet was stored; nobody knows whether it arrived.
        line.loss_percent = if seed % 2 == 0 { 0 } else { 60 };
        while line.saved.is_none() && line.outcome.is_none() {
            let next = line.delivery.poll_timeout().unwrap_or(line.now);
            line.run();
            line.now = line.now.max(next);
            line.delivery.handle_timeout(line.now, &line.console);
        }
        let Some(saved) = line.saved.clone() else { continue };
        let order = line.delivery.order.clone();
        line.delivery = Delivery::resume(line.now, order, &saved, Box::new(TestRng::new(seed))).expect("loads");
        line.outcome = None;
        line.loss_percent = 0;
        assert_eq!(line.finish(), Outcome::Configured, "seed {seed}");
        assert_eq!(line.applied.len(), 1, "seed {seed}");
    }
}

#[test]
fn no_beat_is_shown_and_not_repeated() {
    let mut line = Line::new(1);
    line.confirm = Confirm::FirstBeat;
    line.seq = 0;
    line.delivery.order = line.order();
    assert!(matches!(line.finish(), Outcome::Failed { reason: Reason::NoBeat, .. }));
    assert_eq!(line.applied.len(), 1);
    assert!(line.progress.contains(&Progress::Confirming));
}

#[test]
fn cancel_before_the_first_packet_sends_nothing() {
    let mut line = Line::new(1);
    line.delivery.handle_input(line.now, Input::Cancel, &line.console);
    assert_eq!(line.finish(), Outcome::Cancelled);
    assert!(line.applied.is_empty());
}

#[test]
fn damaged_saved_bytes_are_an_error() {
    let mut line = Line::new(1);
    let order = line.order();
    assert!(Delivery::resume(Millis(0), order, b"x", Box::new(TestRng::new(1))).is_err());
}

#[test]
fn an_appliance_that_accepts_anybody_is_configured_although_its_code_is_known() {
    let mut line = Line::to(Proof::Open, 1);
    assert!(line.order().claim.is_some());
    assert_eq!(line.finish(), Outcome::Configured);
}

#[test]
fn an_appliance_that_wants_a_voucher_gets_it_and_no_claim_key() {
    let mut line = Line::to(Proof::Voucher, 1);
    // The NOC knows a label code of it, too.
    assert!(line.order().claim.is_some());
    assert_eq!(line.finish(), Outcome::Configured);
    // Pinned, it gets neither, whatever the NOC hands out.
    line.outcome = None;
    let order = line.order();
    line.delivery = Delivery::new(line.now, order, &line.console, Box::new(TestRng::new(9)));
    assert_eq!(line.finish(), Outcome::Configured);
    assert_eq!((line.applied.len(), line.delivery.order.voucher.is_some()), (2, false));
}

#[test]
fn without_a_good_voucher_it_is_final_at_once_and_says_why() {
    let stranger = SecretKey::from_seed(&[9; 32]);
    let refused = |detail: &str| Outcome::Failed { reason: Reason::VoucherRefused, detail: detail.into() };
    let mut line = Line::to(Proof::Voucher, 1);
    line.delivery.order.voucher = None;
    assert_eq!(line.finish(), refused("no voucher came"));
    let mut line = Line::to(Proof::Voucher, 2);
    line.delivery.order.voucher = Some(line.voucher(&stranger));
    assert_eq!(line.finish(), refused("for another NOC"));
    assert!(line.applied.is_empty());
}

#[test]
fn a_console_that_is_killed_makes_its_next_packet_with_the_voucher_too() {
    let mut line = Line::to(Proof::Voucher, 3);
    line.dies_when_stored = true;
    line.run();
    let saved = line.saved.clone().expect("stored before it is sent");
    // As the job was stored: with everything that the NOC gave.
    let order = line.order();
    line.delivery = Delivery::resume(line.now, order, &saved, Box::new(TestRng::new(4))).expect("loads");
    (line.dead, line.dies_when_stored, line.outcome) = (false, false, None);
    // The one-time key is gone by now.
    line.now = line.now + 120_000;
    assert_eq!(line.finish(), Outcome::Configured);
    assert!(line.applied.len() == 1 && line.delivery.order.claim.is_none());
}
