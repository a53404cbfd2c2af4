//! Answers to beats that carry what they should not: by somebody who has the NOC's TLS CA, and so speaks to real agents as the
//! NOC, but not its root key. Only what the root signed for this appliance, newer than what it has, does anything.

use crate::rogue::Ca;
use crate::rogue::server::Rogue;
use crate::world::Practice;
use data_encoding::BASE64;
use muster_protocol::api::{BeatAnswer, GivenGrant, GivenHandover, Work};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::parameters::{Confirm, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::to_cbor;
use serde_json::Value;
use std::time::Duration;
use system_tests::wait;

/// One configured appliance that beats, and who shows the right certificate at its NOC's address.
struct Intruder {
    world: Practice,
    ca: Ca,
    root: SecretKey,
    uid: Uid,
    mac: muster_protocol::id::Mac,
    pin: [u8; 32],
}

impl Intruder {
    fn start() -> Intruder {
        let mut world = Practice::start(&["--count", "1"]);
        world.configure();
        wait::until("it beats", Duration::from_secs(20), || {
            let stats = world.fleet.stats();
            if stats["beating"] == 1 { Ok(()) } else { Err(stats.to_string()) }
        });
        let seed = std::fs::read_to_string(world.noc.dir().join("root.key")).expect("readable");
        let seed = BASE64.decode(seed.trim().as_bytes()).expect("base64");
        let root = SecretKey::from_seed(&seed.try_into().expect("32 bytes"));
        let row = world.muster.json(&["status"])["appliances"][0].clone();
        let text = |field: &str| row[field].as_str().expect("text").to_owned();
        let (uid, mac) = (text("uid").parse().expect("a UID"), text("mac").parse().expect("a MAC"));
        let (ca, pin) = (Ca::of(&world.noc), world.noc.pin(world.site));
        world.noc.cut_power();
        Intruder { world, ca, root, uid, mac, pin }
    }

    fn instruction(&self, seq: u64, serial: u64) -> Instruction {
        let (issued, expires) = (UnixTime(1), UnixTime(u64::MAX >> 1));
        Instruction { uid: self.uid, seq: Seq(seq), serial: Serial(serial), act: Act::Decommission, issued, expires }
    }

    fn grant(&self, seq: u64) -> Grant {
        let raw = RawSettings {
            host_name: "stolen".into(),
            domain: "example.net".into(),
            address: "10.20.9.66".into(),
            netmask: "16".into(),
            ..RawSettings::default()
        };
        let network = raw.validate().expect("valid");
        Grant {
            uid: self.uid,
            mac: self.mac,
            site: SiteId(1),
            seq: Seq(seq),
            parameters: Parameters {
                network,
                confirm: Confirm::FirstBeat,
                window_s: 60,
                beat_interval_s: 5,
                drift: None,
                application: None,
            },
            console: self.root.public(),
            root: self.root.public(),
            issued: UnixTime(1),
            expires: UnixTime(u64::MAX >> 1),
            noc: self.world.noc.address(),
            ca_pin: self.pin,
        }
    }

    /// The answers of a while carry this; how the appliance stands after three of them.
    fn answer(&mut self, grant: Option<(&SecretKey, Grant)>, instruction: Option<(&SecretKey, Instruction)>) -> Value {
        self.answer_with(grant, instruction, None)
    }

    fn answer_with(
        &mut self,
        grant: Option<(&SecretKey, Grant)>,
        instruction: Option<(&SecretKey, Instruction)>,
        handover: Option<(&SecretKey, Handover)>,
    ) -> Value {
        let signed = |key, purpose, body| BASE64.encode(&sign::sign(key, purpose, body));
        let work = Work {
            handover: handover.map(|(key, handover)| GivenHandover {
                handover: BASE64.encode(&handover.sign(key)),
                serial: handover.serial,
            }),
            grant: grant
                .map(|(key, grant)| GivenGrant { grant: signed(key, Purpose::Grant, to_cbor(&grant)), seq: grant.seq }),
            instruction: instruction.map(|(key, instruction)| signed(key, Purpose::Instruction, to_cbor(&instruction))),
            components: None,
        };
        let body =
            serde_json::to_string(&BeatAnswer { interval_s: 5, time: now(), work, earlier: None }).expect("JSON");
        let rogue = Rogue::listen(self.world.noc.port, self.ca.shown(), &body);
        let accepted = |stats: &Value| stats["beats_accepted"].as_u64().expect("a number");
        let before = accepted(&self.world.fleet.stats());
        let stats = wait::until("answers to arrive", Duration::from_secs(60), || {
            let stats = self.world.fleet.stats();
            // Once it has left it beats no more.
            let ended = accepted(&stats) >= before + 3 || stats["states"]["unconfigured"] == 1;
            if ended { Ok(stats) } else { Err(stats.to_string()) }
        });
        drop(rogue);
        stats
    }

    fn host_name(&self) -> String {
        let found = self.world.muster.json(&["discover"]);
        found["appliances"][0]["settings"]["host_name"].as_str().unwrap_or_default().to_owned()
    }

    fn is_unchanged(&mut self, stats: &Value, what: &str) {
        assert_eq!(stats["states"]["configured"], 1, "{what}: {stats}");
        let name = self.host_name();
        assert!(name != "stolen" && !name.is_empty(), "{what}: it is called {name}");
    }
}

#[test]
fn a_hand_over_by_another_root_for_another_appliance_or_of_another_configuration_moves_nobody() {
    let mut intruder = Intruder::start();
    let (root, stranger) = (intruder.root.clone(), SecretKey::from_seed(&[9; 32]));
    // An own NOC of the intruder's, at a port where nobody is.
    let to = Successor { noc: "127.0.0.1:1".into(), ca_pin: [9; 32], root: stranger.public() };
    let (issued, expires) = (UnixTime(1), UnixTime(u64::MAX >> 1));
    let good = Handover { uid: intruder.uid, seq: Seq(1), serial: Serial(100), to, issued, expires };
    let cases = [
        ("by another root", &stranger, good.clone()),
        ("for another appliance", &root, Handover { uid: Uid([7; 20]), ..good.clone() }),
        ("of another configuration", &root, Handover { seq: Seq(2), ..good.clone() }),
        ("that has ended", &root, Handover { expires: UnixTime(2), ..good.clone() }),
    ];
    for (what, key, handover) in cases {
        let stats = intruder.answer_with(None, None, Some((key, handover)));
        intruder.is_unchanged(&stats, what);
    }
    // What the root has signed is tried, and as nobody is there the appliance stays.
    let stats = intruder.answer_with(None, None, Some((&root, good)));
    intruder.is_unchanged(&stats, "to a successor that is not there");
}

#[test]
fn an_instruction_by_another_root_for_another_appliance_or_of_another_configuration_does_nothing() {
    let mut intruder = Intruder::start();
    let (root, stranger) = (intruder.root.clone(), SecretKey::from_seed(&[9; 32]));
    let good = intruder.instruction(1, 100);
    let cases = [
        ("by another root", &stranger, good.clone()),
        ("for another appliance", &root, Instruction { uid: Uid([7; 20]), ..good.clone() }),
        ("of another configuration", &root, Instruction { seq: Seq(2), ..good.clone() }),
    ];
    for (what, key, instruction) in cases {
        let stats = intruder.answer(None, Some((key, instruction)));
        intruder.is_unchanged(&stats, what);
    }
    let stats = intruder.answer(None, Some((&root, good)));
    assert_eq!(stats["states"]["unconfigured"], 1, "the positive control: the root's own word is followed: {stats}");
}

#[test]
fn a_replayed_instruction_does_nothing_also_after_the_appliance_has_a_new_life() {
    let mut intruder = Intruder::start();
    let root = intruder.root.clone();
    let recorded = intruder.instruction(1, 100);
    let log = Instruction { act: Act::SendLog, serial: Serial(101), ..recorded.clone() };
    let stats = intruder.answer(None, Some((&root, log)));
    intruder.is_unchanged(&stats, "an instruction that does no harm");
    let stats = intruder.answer(None, Some((&root, recorded.clone())));
    intruder.is_unchanged(&stats, "an older one after it");
    let last = Instruction { serial: Serial(102), ..recorded };
    let stats = intruder.answer(None, Some((&root, last.clone())));
    assert_eq!(stats["states"]["unconfigured"], 1, "the positive control: {stats}");

    // The same NOC takes it in again, and the numbers that the appliance had are forgotten.
    intruder.world.noc.serve();
    intruder.world.noc.run(&["inventory", "release", &intruder.uid.to_string()]);
    let before = intruder.world.fleet.stats()["beats_accepted"].as_u64();
    intruder.world.configure();
    wait::until("it has a certificate again, and beats", Duration::from_secs(30), || {
        let stats = intruder.world.fleet.stats();
        if stats["beats_accepted"].as_u64() > before { Ok(()) } else { Err(stats.to_string()) }
    });
    intruder.world.noc.cut_power();
    let stats = intruder.answer(None, Some((&root, last)));
    intruder.is_unchanged(&stats, "the very bytes that it once followed");
}

#[test]
fn a_grant_by_beat_that_is_old_forged_or_made_out_to_a_console_or_to_another_does_nothing() {
    let mut intruder = Intruder::start();
    let (root, stranger) = (intruder.root.clone(), SecretKey::from_seed(&[9; 32]));
    let good = intruder.grant(2);
    let forged = Grant { root: stranger.public(), console: stranger.public(), ..good.clone() };
    let cases = [
        ("an old one", &root, intruder.grant(1)),
        ("by another root", &stranger, forged),
        ("signed by nobody who may", &stranger, good.clone()),
        ("made out to a console", &root, Grant { console: stranger.public(), ..good.clone() }),
        ("another appliance's", &root, Grant { uid: Uid([7; 20]), ..good.clone() }),
    ];
    for (what, key, grant) in cases {
        let stats = intruder.answer(Some((key, grant)), None);
        intruder.is_unchanged(&stats, what);
    }
    let stats = intruder.answer(Some((&root, good)), None);
    assert_eq!(
        (&stats["states"]["configured"], intruder.host_name().as_str()),
        (&1.into(), "stolen"),
        "the positive control"
    );
}

#[test]
fn an_unconfigured_appliance_asks_nobody_and_takes_nothing() {
    let mut intruder = Intruder::start();
    let root = intruder.root.clone();
    let leave = intruder.instruction(1, 100);
    let stats = intruder.answer(None, Some((&root, leave)));
    assert_eq!(stats["states"]["unconfigured"], 1, "{stats}");
    let grant = GivenGrant {
        grant: BASE64.encode(&sign::sign(&root, Purpose::Grant, to_cbor(&intruder.grant(9)))),
        seq: Seq(9),
    };
    let work = Work { grant: Some(grant), ..Work::default() };
    let body = serde_json::to_string(&BeatAnswer { interval_s: 5, time: now(), work, earlier: None }).expect("JSON");
    let rogue = Rogue::listen(intruder.world.noc.port, intruder.ca.shown(), &body);
    // Longer than it ever waited between two beats, and it lives.
    let accepted = intruder.world.fleet.stats()["beats_accepted"].clone();
    let until = std::time::Instant::now() + Duration::from_secs(8);
    while std::time::Instant::now() < until {
        let found = intruder.world.muster.json(&["discover"]);
        // Without its NOC the console cannot say whose it is.
        assert_eq!(
            (&found["appliances"][0]["heard"], &found["appliances"][0]["state"]),
            (&true.into(), &"unclaimed".into())
        );
    }
    let said = String::from_utf8_lossy(&rogue.seen().said).into_owned();
    assert!(!said.contains("/v1/appliances"), "it has no NOC any more: {said}");
    let stats = intruder.world.fleet.stats();
    assert_eq!((&stats["beats_accepted"], &stats["states"]["unconfigured"]), (&accepted, &1.into()), "{stats}");
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
