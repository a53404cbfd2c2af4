//! Jobs against real appliance machines and a real store, with time and network of our own.

use super::*;
use crate::store::Store;
use muster_protocol::api::SignedGrant;
use muster_protocol::appliance::{self, Appliance, Failure, Profile};
use muster_protocol::crypto::claim::{ClaimKey, ClaimSecret};
use muster_protocol::crypto::random;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{BootId, Mac, PingId, Seq};
use muster_protocol::parameters::{Confirm, FieldError, Parameters, RawSettings};
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::{self, Message, Peer, to_cbor};

fn entropy() -> Entropy {
    Box::new(rand_core::UnwrapErr(getrandom::SysRng))
}

struct Device {
    machine: Appliance,
    claim: ClaimKey,
    item: StoredItem,
    /// How often settings were really applied.
    applied: usize,
    committed: usize,
    apply_fails: usize,
    deaf: bool,
}

/// A console, its store, and appliances that answer at once.
struct World {
    now: Millis,
    root: SecretKey,
    console: SecretKey,
    store: Store,
    jobs: Jobs,
    devices: BTreeMap<Uid, Device>,
    seq: u64,
    noc_refuses: Option<FieldError>,
    shown: BTreeMap<Uid, JobItemView>,
    marks: Option<(Option<u64>, bool)>,
    /// The console is killed before so many more things are done.
    fuse: Option<usize>,
    disk_full: bool,
    _folder: tempfile::TempDir,
}

/// The console was killed.
struct Killed;

impl World {
    fn new(count: u8) -> World {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("new store");
        let rng = &mut *entropy();
        let devices = (1..=count).map(|n| device(n, rng)).collect();
        let (root, console) = (SecretKey::generate(rng), SecretKey::generate(rng));
        World {
            now: Millis(1_000),
            root,
            console,
            store,
            jobs: Jobs::load(Vec::new(), entropy),
            devices,
            seq: 0,
            noc_refuses: None,
            shown: BTreeMap::new(),
            marks: None,
            fuse: None,
            disk_full: false,
            _folder: folder,
        }
    }

    fn start_job(&mut self) -> u32 {
        let items: Vec<_> = self.devices.values().map(|device| device.item.clone()).collect();
        let id = self.store.create_job(SiteId(1), 5, &items, None).expect("created");
        self.jobs.add(StoredJob { id, site: SiteId(1), started: 5, finished: None, cancelled: false, items });
        id
    }

    /// What a new start of the console finds.
    fn restart(&mut self) {
        self.jobs = Jobs::load(self.store.jobs().expect("read"), entropy);
        self.fuse = None;
    }

    /// Runs until nothing is left to do, or for a day.
    fn run(&mut self) -> Result<(), Killed> {
        let end = self.now + 86_400_000;
        while self.now < end {
            self.work()?;
            if self.jobs.is_idle() {
                return Ok(());
            }
            let wakes =
                self.devices.values().map(|device| device.machine.poll_timeout()).chain([self.jobs.next_tick()]);
            self.now = wakes.flatten().min().unwrap_or(end).max(self.now + 1);
        }
        Ok(())
    }

    fn work(&mut self) -> Result<(), Killed> {
        let at = UnixTime(100);
        self.jobs.tick(self.now, at, &self.console);
        for uid in self.devices.keys().copied().collect::<Vec<_>>() {
            let device = self.devices.get_mut(&uid).expect("known");
            device.machine.handle_timeout(self.now);
            self.drain_device(&uid)?;
        }
        loop {
            self.jobs.begin(self.now, at, &self.console);
            if let Some(order) = self.jobs.wanted_grants() {
                self.burn()?;
                let answer = self.sign(order);
                self.jobs.granted(self.now, at, answer, &self.console);
                continue;
            }
            if let Some(effect) = self.jobs.effect() {
                self.effect(effect)?;
                continue;
            }
            if self.disk_full {
                if let Some(batch) = self.jobs.take_batch() {
                    self.jobs.not_stored(batch, &problem("disk_full", "full", "Make room."));
                    while let Some(effect) = self.jobs.effect() {
                        self.effect(effect)?;
                    }
                }
                return Ok(());
            }
            let Some(batch) = self.jobs.take_batch() else { return Ok(()) };
            self.burn()?;
            self.store.save(&batch.changes).expect("there is room");
            self.burn()?;
            self.jobs.stored(self.now, at, batch, &self.console);
        }
    }

    fn burn(&mut self) -> Result<(), Killed> {
        match &mut self.fuse {
            Some(0) => Err(Killed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn effect(&mut self, effect: Effect) -> Result<(), Killed> {
        match effect {
            Effect::Transmit { uid, bytes, .. } => {
                self.burn()?;
                self.deliver(&uid, &bytes)?;
            }
            Effect::AskKey(uid) => {
                self.burn()?;
                let ping = Ping {
                    id: PingId([9; 16]),
                    window_ms: 0,
                    salt: random(&mut *entropy()),
                    shard: Shard::default(),
                    heard: Vec::new(),
                    only: Some(uid),
                    reply_key: None,
                    credential: None,
                };
                self.deliver(&uid, &ping.to_plain())?;
            }
            Effect::Item { item, .. } => drop(self.shown.insert(item.uid.parse().expect("a UID"), *item)),
            Effect::Marks { finished, cancelled, .. } => self.marks = Some((finished, cancelled)),
            Effect::Job(_) | Effect::Configured { .. } => {}
        }
        Ok(())
    }

    fn deliver(&mut self, uid: &Uid, bytes: &[u8]) -> Result<(), Killed> {
        let device = self.devices.get_mut(uid).expect("known");
        if device.deaf {
            return Ok(());
        }
        device.machine.handle_input(self.now, appliance::Input::Datagram { peer: peer(), bytes });
        self.drain_device(uid)
    }

    fn drain_device(&mut self, uid: &Uid) -> Result<(), Killed> {
        while let Some(output) = self.devices.get_mut(uid).and_then(|device| device.machine.poll_output()) {
            let device = self.devices.get_mut(uid).expect("known");
            match output {
                appliance::Output::Persist { token, .. } => {
                    device.machine.handle_input(self.now, appliance::Input::Persisted(token));
                }
                appliance::Output::Transmit { bytes, .. } => self.take_answer(&bytes)?,
                appliance::Output::Apply { .. } if device.apply_fails > 0 => {
                    device.apply_fails -= 1;
                    let failure = Failure { reason: Reason::ApplyFailed, detail: "no\u{1b}such link".into() };
                    device.machine.handle_input(self.now, appliance::Input::Applied(Err(failure)));
                }
                appliance::Output::Apply { .. } => {
                    device.applied += 1;
                    device.machine.handle_input(self.now, appliance::Input::Applied(Ok(())));
                }
                appliance::Output::RollBack { .. } => {
                    device.machine.handle_input(self.now, appliance::Input::RolledBack);
                }
                appliance::Output::Commit { .. } => device.committed += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, bytes: &[u8]) -> Result<(), Killed> {
        let at = UnixTime(100);
        match wire::decode(bytes) {
            Ok(Message::Result(packet)) => self.jobs.packet(self.now, at, &packet, &self.console),
            Ok(Message::Here(packet)) => {
                let here = packet.verify().expect("signed by its device");
                let heard = Heard {
                    signed: Vec::new(),
                    uid: here.uid(),
                    device_key: here.device_key,
                    mac: here.mac,
                    state: here.state,
                    one_time_key: here.one_time_key,
                    boot: here.boot,
                    proof: here.proof,
                    settings: None,
                    peer: peer(),
                    fresh: false,
                };
                self.jobs.heard(self.now, at, &heard, &self.console);
            }
            other => panic!("an appliance sent {other:?}"),
        }
        Ok(())
    }

    /// What the NOC does.
    fn sign(&mut self, order: GrantOrder) -> Vec<Granted> {
        let mut answer = Vec::new();
        for GrantItem { uid, settings, .. } in order.items {
            if let Some(error) = &self.noc_refuses {
                answer.push(Granted { uid, grant: None, errors: vec![error.clone()] });
                continue;
            }
            self.seq += 1;
            let device = &self.devices[&uid];
            let grant = Grant {
                uid,
                mac: device.item.mac,
                site: order.site,
                seq: Seq(self.seq),
                parameters: Parameters {
                    network: settings.validate().expect("checked before"),
                    confirm: Confirm::KickStart,
                    window_s: 90,
                    beat_interval_s: 60,
                    drift: None,
                    application: None,
                },
                console: self.console.public(),
                root: self.root.public(),
                issued: UnixTime(1),
                expires: UnixTime(u64::MAX),
                noc: "noc:1".into(),
                ca_pin: [0; 32],
            };
            let signed = sign::sign(&self.root, Purpose::Grant, to_cbor(&grant));
            let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
            let claim_key = Some(base64(&device.claim.0));
            let grant = SignedGrant { grant: base64(&signed), seq: grant.seq, claim_key, voucher: None };
            answer.push(Granted { uid, grant: Some(grant), errors: Vec::new() });
        }
        answer
    }

    fn steps(&self) -> BTreeSet<&'static str> {
        self.shown.values().map(|item| crate::export::step_word(item.step)).collect()
    }
}

fn peer() -> Peer {
    Peer { interface: 1, address: ([127, 0, 0, 1], 4000).into() }
}

fn device(n: u8, rng: &mut dyn rand_core::CryptoRng) -> (Uid, Device) {
    let key = SecretKey::generate(rng);
    let claim = ClaimSecret::generate(rng).key();
    let mac = Mac([2, 0, 0, 0, 0, n]);
    let profile = Profile {
        device: key.clone(),
        mac,
        boot: BootId([n; 16]),
        proof: Proof::Claim,
        claim: Some(claim.clone()),
        vendor: None,
    };
    let machine = Appliance::new(Millis(0), profile, None, entropy()).expect("new");
    let uid = Uid::of(&key.public());
    let settings = RawSettings {
        host_name: format!("mail-{n}"),
        domain: "example.net".into(),
        address: format!("192.0.2.{n}"),
        netmask: "24".into(),
        ..RawSettings::default()
    };
    let item = StoredItem {
        uid,
        mac,
        device_key: key.public(),
        settings,
        grant: None,
        saved: None,
        step: JobStep::Waiting,
        attempts: 0,
        problem: None,
    };
    (uid, Device { machine, claim, item, applied: 0, committed: 0, apply_fails: 0, deaf: false })
}

#[test]
fn a_job_configures_every_appliance_once_and_tells_the_noc() {
    let mut world = World::new(100);
    world.start_job();
    assert!(world.run().is_ok());
    assert_eq!(world.steps(), BTreeSet::from(["configured"]));
    assert!(world.devices.values().all(|device| (device.applied, device.committed) == (1, 1)));
    assert_eq!(world.marks, Some((Some(100), false)));
    let outbox = world.store.outbox(1_000).expect("read");
    assert_eq!(outbox.len(), 100);
    assert!(outbox.iter().all(|(_, result)| result.configured));
    let stored = world.store.jobs().expect("read");
    assert!(stored[0].items.iter().all(|item| item.grant.is_none() && item.saved.is_none()), "secrets are gone");
}

#[test]
fn a_console_killed_anywhere_finishes_and_configures_nobody_twice() {
    // Each number kills one step later, until a run is over before the fuse is.
    for fuse in 0..500 {
        let mut world = World::new(3);
        world.start_job();
        world.fuse = Some(fuse);
        let killed = world.run().is_err();
        world.restart();
        assert!(world.run().is_ok());
        for device in world.devices.values() {
            assert_eq!((device.applied, device.committed), (1, 1), "killed after {fuse} steps");
        }
        let stored = world.store.jobs().expect("read");
        assert!(stored[0].finished.is_some());
        assert!(stored[0].items.iter().all(|item| item.step == JobStep::Configured), "killed after {fuse} steps");
        let outbox = world.store.outbox(10).expect("read");
        assert_eq!(outbox.len(), 3, "each result is told once");
        if !killed {
            assert!(fuse > 10, "the fuse was never short enough to prove anything");
            return;
        }
    }
    panic!("a job of three never ended");
}

#[test]
fn a_failure_is_retried_with_a_new_grant_and_then_shown_with_reason_and_remedy() {
    let mut world = World::new(2);
    let mut devices = world.devices.values_mut();
    devices.next().expect("first").apply_fails = 1;
    devices.next().expect("second").apply_fails = 99;
    let id = world.start_job();
    assert!(world.run().is_ok());
    let [first, second] = &world.shown.values().cloned().collect::<Vec<_>>()[..] else { panic!("two appliances") };
    assert_eq!((first.step, second.step), (JobStep::Configured, JobStep::Failed));
    let problem = second.problem.as_ref().expect("a reason");
    assert_eq!(problem.code, "apply_failed");
    let safe = !problem.message.contains('\u{1b}');
    assert!(safe && problem.message.contains("such link"), "its words, harmless: {}", problem.message);
    assert!(!problem.remedy.is_empty());

    let failed: Uid = second.uid.parse().expect("a UID");
    let configured: Uid = first.uid.parse().expect("a UID");
    assert!(matches!(world.jobs.retry(id, &[configured]), Err(JobError::NothingToRetry { .. })));
    world.devices.get_mut(&failed).expect("known").apply_fails = 0;
    world.jobs.retry(id, &[]).expect("one failed");
    assert!(world.run().is_ok());
    assert_eq!(world.steps(), BTreeSet::from(["configured"]));
    assert_eq!(world.devices[&configured].applied, 1, "who was well is left alone");
}

#[test]
fn cancelling_stops_what_has_not_begun_and_finishes_what_has() {
    let mut world = World::new(250);
    for device in world.devices.values_mut() {
        device.deaf = true;
    }
    let id = world.start_job();
    assert!(world.work().is_ok());
    // Those asked for a key have not been sent anything: nothing has begun.
    world.jobs.cancel(world.now, UnixTime(100), id, &world.console.clone()).expect("a job");
    assert!(world.run().is_ok());
    assert_eq!(world.steps(), BTreeSet::from(["cancelled"]));
    assert_eq!(world.marks, Some((Some(100), true)));

    world.jobs.retry(id, &[]).expect("cancelled ones may be retried");
    for device in world.devices.values_mut() {
        device.deaf = false;
    }
    world.fuse = Some(300);
    assert!(world.run().is_err(), "in the middle");
    world.restart();
    world.jobs.cancel(world.now, UnixTime(100), id, &world.console.clone()).expect("a job");
    assert!(world.run().is_ok());
    let begun = world.devices.values().filter(|device| device.applied > 0).count();
    let stored = world.store.jobs().expect("read");
    let configured = stored[0].items.iter().filter(|item| item.step == JobStep::Configured).count();
    assert!(stored[0].items.iter().all(|item| matches!(item.step, JobStep::Configured | JobStep::Cancelled)));
    assert!(configured > 0 && configured < 250 && begun == configured, "{configured} of 250, {begun} begun");
}

#[test]
fn a_full_disk_holds_everything_back_and_loses_nothing() {
    let mut world = World::new(3);
    world.disk_full = true;
    world.start_job();
    for _ in 0..5 {
        assert!(world.work().is_ok());
        world.now = world.now + 2_000;
    }
    assert!(world.devices.values().all(|device| device.applied == 0), "nothing is sent that is not stored");
    assert!(world.shown.values().any(|item| item.problem.as_ref().is_some_and(|problem| problem.code == "disk_full")));
    world.disk_full = false;
    assert!(world.run().is_ok());
    assert_eq!(world.steps(), BTreeSet::from(["configured"]));
    assert!(world.shown.values().all(|item| item.problem.is_none()));
}

#[test]
fn what_the_noc_refuses_is_shown_at_the_appliance_and_a_noc_that_is_away_is_waited_for() {
    let mut world = World::new(2);
    world.start_job();
    let order = world.jobs.wanted_grants().expect("two");
    assert_eq!(order.items.len(), 2);
    assert!(world.jobs.wanted_grants().is_none(), "one question at a time");
    world.jobs.not_granted(UnixTime(1), &problem("noc_unreachable", "away", "Wait."), true);
    while let Some(effect) = world.jobs.effect() {
        assert!(world.effect(effect).is_ok());
    }
    let held_up = |item: &JobItemView| item.step == JobStep::Waiting && item.problem.is_some();
    assert!(world.shown.values().all(held_up), "waiting, and why");

    let error = FieldError::new(muster_protocol::parameters::Field::Address, "address_taken", "it is taken");
    world.noc_refuses = Some(error);
    assert!(world.run().is_ok());
    for item in world.shown.values() {
        assert_eq!(
            (item.step, item.problem.as_ref().map(|p| p.code.as_str())),
            (JobStep::Failed, Some("address_taken"))
        );
    }
    assert!(world.store.outbox(10).expect("read").is_empty(), "the NOC knows what it refused");
}

#[test]
fn an_appliance_that_never_answers_is_given_up() {
    let mut world = World::new(1);
    for device in world.devices.values_mut() {
        device.deaf = true;
    }
    world.start_job();
    assert!(world.run().is_ok());
    let item = world.shown.values().next().expect("shown");
    assert_eq!((item.step, item.problem.as_ref().map(|p| p.code.as_str())), (JobStep::Failed, Some("no_answer")));
}
