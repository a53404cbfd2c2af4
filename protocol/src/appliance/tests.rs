use super::*;
use crate::crypto::claim::ClaimKey;
use crate::crypto::claim::ClaimSecret;
use crate::crypto::keys::SecretKey;
use crate::crypto::keys::{OpenKey, SealKey};
use crate::crypto::seal::ExportedKey;
use crate::crypto::sign::{self, Purpose};
use crate::grant::Credential;
use crate::id::{BootId, Mac, SiteId};
use crate::id::{ConsoleId, PingId};
use crate::instruction::{Act, Serial};
use crate::parameters::{Parameters, RawSettings};
use crate::test_rng::TestRng;
use crate::time::UnixTime;
use crate::wire::config::{self, Address};
use crate::wire::here::Here;
use crate::wire::kick::KickStart;
use crate::wire::ping::{Ping, Shard};
use crate::wire::to_cbor;

mod amplification;
mod clock;
mod from_noc;
mod handover;
mod vouched;

/// An appliance, and everything that a console and a NOC need to talk to it.
struct Bench {
    appliance: Appliance,
    now: Millis,
    rng: TestRng,
    root: SecretKey,
    console: SecretKey,
    device: SecretKey,
    claim: ClaimKey,
    mac: Mac,
    boots: u64,
    /// What is on its disk.
    disk: Option<Vec<u8>>,
    disk_fails: bool,
    applied: Vec<String>,
    rolled_back: Vec<Option<String>>,
    beating: Option<Enrolment>,
    sent: Vec<Vec<u8>>,
    carried_out: Vec<(Serial, Act)>,
    forgotten: u32,
    events: Vec<Event>,
}

fn peer() -> Peer {
    Peer { interface: 2, address: ([192, 0, 2, 200], 6878).into() }
}

impl Bench {
    fn new() -> Bench {
        let mut rng = TestRng::new(42);
        let device = SecretKey::generate(&mut rng);
        let claim = ClaimSecret::generate(&mut rng).key();
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let appliance = start(&device, &claim, mac, 0, None);
        let (root, console) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        Bench {
            appliance,
            now: Millis(0),
            rng,
            root,
            console,
            device,
            claim,
            mac,
            boots: 0,
            disk: None,
            disk_fails: false,
            applied: Vec::new(),
            rolled_back: Vec::new(),
            beating: None,
            sent: Vec::new(),
            carried_out: Vec::new(),
            forgotten: 0,
            events: Vec::new(),
        }
    }

    fn reboot(&mut self) {
        self.boots += 1;
        self.appliance = start(&self.device, &self.claim, self.mac, self.boots, self.disk.as_deref());
        self.beating = None;
        self.drain(true);
    }

    fn grant(&self, seq: u64, confirm: Confirm) -> Grant {
        let raw = RawSettings {
            host_name: format!("host-{seq}"),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            gateway: "192.0.2.1".into(),
            ..RawSettings::default()
        };
        Grant {
            uid: self.appliance.uid(),
            mac: self.mac,
            site: SiteId(1),
            seq: Seq(seq),
            parameters: Parameters {
                network: raw.validate().expect("valid"),
                confirm,
                window_s: 90,
                beat_interval_s: 60,
                drift: None,
                application: None,
            },
            console: self.console.public(),
            root: self.root.public(),
            issued: UnixTime(1),
            expires: UnixTime(2),
            noc: "noc.example.net:8443".into(),
            ca_pin: [5; 32],
        }
    }

    fn signed(&self, grant: &Grant) -> Vec<u8> {
        sign::sign(&self.root, Purpose::Grant, to_cbor(grant))
    }

    fn discover(&mut self) -> Here {
        let ping = Ping {
            id: PingId(crate::crypto::random(&mut self.rng)),
            window_ms: 0,
            salt: [0; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: None,
            credential: None,
        };
        let sent = self.deliver(&ping.to_plain());
        let [datagram] = &sent[..] else { panic!("one answer, got {}", sent.len()) };
        let Ok(Message::Here(packet)) = wire::decode(datagram) else { panic!("not an answer") };
        packet.verify().expect("signed by its own key")
    }

    fn address(&mut self, key: SealKey) -> Address {
        let request = RequestId(crate::crypto::random(&mut self.rng));
        Address { uid: self.appliance.uid(), mac: self.mac, one_time_key: key, request }
    }

    /// A packet with this grant to a fresh one-time key.
    fn packet(&mut self, grant: &Grant) -> (Vec<u8>, ExportedKey, RequestId) {
        let key = self.discover().one_time_key;
        let to = self.address(key);
        let request = to.request;
        let claim = (self.appliance.state() == State::Unconfigured).then(|| self.claim.clone());
        let signed = self.signed(grant);
        let (bytes, exported) =
            config::build(&mut self.rng, &self.console, claim.as_ref(), to, &signed).expect("valid key");
        (bytes, exported, request)
    }

    fn deliver(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.appliance.handle_input(self.now, Input::Datagram { peer: peer(), bytes });
        self.drain(true);
        std::mem::take(&mut self.sent)
    }

    /// Plays the driver. `apply`: answer Apply at once with success.
    fn drain(&mut self, apply: bool) {
        while let Some(output) = self.appliance.poll_output() {
            let input = match output {
                Output::Persist { token, .. } if self.disk_fails => Some(Input::PersistFailed(token)),
                Output::Persist { token, bytes } => {
                    self.disk = Some(bytes);
                    Some(Input::Persisted(token))
                }
                Output::Transmit { bytes, .. } => {
                    self.sent.push(bytes);
                    None
                }
                Output::Apply { settings, .. } => {
                    self.applied.push(settings.host_name().to_owned());
                    apply.then_some(Input::Applied(Ok(())))
                }
                Output::RollBack { to } => {
                    self.rolled_back.push(to.map(|settings| settings.host_name().to_owned()));
                    Some(Input::RolledBack)
                }
                Output::StartBeats { enrolment } => {
                    self.beating = Some(enrolment);
                    None
                }
                Output::StopBeats => {
                    self.beating = None;
                    None
                }
                Output::CarryOut { serial, act } => {
                    self.carried_out.push((serial, act));
                    None
                }
                Output::Forget { .. } => {
                    self.forgotten += 1;
                    Some(Input::Forgotten)
                }
                Output::Notify(event) => {
                    self.events.push(event);
                    None
                }
                Output::Commit { .. } => None,
            };
            if let Some(input) = input {
                self.appliance.handle_input(self.now, input);
            }
        }
    }

    fn wait(&mut self, ms: u64) -> Vec<Vec<u8>> {
        self.now = self.now + ms;
        self.appliance.handle_timeout(self.now);
        self.drain(true);
        std::mem::take(&mut self.sent)
    }

    fn statuses(&self, sent: &[Vec<u8>], exported: &ExportedKey) -> Vec<Status> {
        let statuses = sent.iter().filter_map(|datagram| match wire::decode(datagram) {
            Ok(Message::Result(packet)) => packet.verify(&self.device.public(), exported).ok(),
            _ => None,
        });
        statuses.map(|result| result.status).collect()
    }

    fn kick(&self, grant: &Grant, request: RequestId, exported: &ExportedKey) -> Vec<u8> {
        KickStart { uid: self.appliance.uid(), request, seq: grant.seq }.to_datagram(&self.console, exported)
    }

    /// The whole way; the packet and the kick-start that were used.
    fn configure(&mut self, seq: u64) -> (Vec<u8>, Vec<u8>) {
        let grant = self.grant(seq, Confirm::KickStart);
        let (packet, exported, request) = self.packet(&grant);
        let sent = self.deliver(&packet);
        assert_eq!(self.statuses(&sent, &exported), [Status::Success { committed: false }]);
        let kick = self.kick(&grant, request, &exported);
        let sent = self.deliver(&kick);
        assert_eq!(self.statuses(&sent, &exported), [Status::Success { committed: true }]);
        (packet, kick)
    }
}

fn start(device: &SecretKey, claim: &ClaimKey, mac: Mac, boot: u64, disk: Option<&[u8]>) -> Appliance {
    let profile = Profile {
        device: device.clone(),
        mac,
        boot: BootId([boot as u8; 16]),
        proof: Proof::Claim,
        claim: Some(claim.clone()),
        vendor: None,
    };
    let now = Millis(boot * 1_000_000);
    Appliance::new(now, profile, disk, Box::new(TestRng::new(1_000 + boot))).expect("loads")
}

fn reasons(statuses: &[Status]) -> Vec<Reason> {
    let reason = |status: &Status| match status {
        Status::Failed { reason, .. } => Some(*reason),
        _ => None,
    };
    statuses.iter().filter_map(reason).collect()
}

#[test]
fn an_unconfigured_appliance_answers_with_mac_and_identity_only() {
    let mut bench = Bench::new();
    let here = bench.discover();
    assert_eq!((here.mac, here.state, here.settings), (bench.mac, State::Unconfigured, None));
}

#[test]
fn a_configured_appliance_tells_its_settings_to_a_console_of_its_site_only() {
    let mut bench = Bench::new();
    bench.configure(1);
    assert_eq!(bench.discover().settings, None, "to a stranger");
    for (site, is_told) in [(1, true), (2, false)] {
        let reply = OpenKey::generate(&mut bench.rng);
        let credential = Credential {
            console: ConsoleId(1),
            key: bench.console.public(),
            sites: vec![SiteId(site)],
            expires: UnixTime(u64::MAX),
        };
        let ping = Ping {
            id: PingId(crate::crypto::random(&mut bench.rng)),
            window_ms: 0,
            salt: [0; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: Some(reply.public()),
            credential: Some(sign::sign(&bench.root, Purpose::Credential, to_cbor(&credential)).into()),
        };
        let sent = bench.deliver(&ping.to_signed(&bench.console));
        let Ok(Message::Here(packet)) = wire::decode(&sent[0]) else { panic!("not an answer") };
        let here = packet.verify().expect("signed by its own key");
        let settings = here.settings.and_then(|sealed| sealed.open(&reply, &bench.appliance.uid()));
        assert_eq!(settings.is_some(), is_told, "site {site}");
        assert_eq!(settings.as_ref(), bench.appliance.settings().filter(|_| is_told));
    }
}

#[test]
fn a_config_packet_and_a_kick_start_make_it_configured_and_beating() {
    let mut bench = Bench::new();
    bench.configure(1);
    assert_eq!(bench.appliance.state(), State::Configured);
    assert_eq!(bench.applied, ["host-1"]);
    assert_eq!(bench.beating.as_ref().map(|b| b.noc.as_str()), Some("noc.example.net:8443"));
    bench.reboot();
    assert_eq!(bench.appliance.state(), State::Configured);
    assert!(bench.beating.is_some(), "beats go on after a restart");
    bench.configure(2);
    assert_eq!(bench.applied, ["host-1", "host-2"]);
}

#[test]
fn a_replay_changes_nothing_now_or_after_a_restart() {
    let mut bench = Bench::new();
    let (packet, kick) = bench.configure(1);
    for _ in 0..2 {
        bench.deliver(&packet);
        bench.deliver(&kick);
        assert_eq!(bench.applied, ["host-1"]);
        bench.reboot();
    }
    let disk = bench.disk.take();
    bench.reboot();
    assert_eq!(bench.appliance.state(), State::Unconfigured, "a factory reset");
    bench.deliver(&packet);
    bench.deliver(&kick);
    assert_eq!(bench.applied, ["host-1"], "not even after a factory reset");
    assert!(disk.is_some());
}

#[test]
fn the_same_packet_is_answered_from_the_cache_and_another_body_is_refused() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, request) = bench.packet(&grant);
    for _ in 0..3 {
        let sent = bench.deliver(&packet);
        assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: false }]);
    }
    assert_eq!(bench.applied, ["host-1"]);
    let key = bench.discover().one_time_key;
    let to = Address { request, ..bench.address(key) };
    let signed = bench.signed(&grant);
    let claim = bench.claim.clone();
    let (other, _) = config::build(&mut bench.rng, &bench.console, Some(&claim), to, &signed).expect("valid");
    let sent = bench.deliver(&other);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::RequestReused]);
}

#[test]
fn without_a_kick_start_it_rolls_back_and_says_so() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, _) = bench.packet(&grant);
    bench.deliver(&packet);
    assert!(bench.wait(89_999).is_empty());
    let sent = bench.wait(1);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::NoKickStart]);
    assert_eq!(bench.rolled_back, [None]);
    assert_eq!(bench.appliance.state(), State::Unconfigured);
    bench.reboot();
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::NoKickStart], "answered after a restart too");
    assert_eq!(bench.applied.len(), 1);
}

#[test]
fn with_first_beat_only_an_accepted_beat_makes_it_final() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::FirstBeat);
    let (packet, exported, request) = bench.packet(&grant);
    bench.deliver(&packet);
    let kick = bench.kick(&grant, request, &exported);
    let sent = bench.deliver(&kick);
    assert!(matches!(bench.statuses(&sent, &exported)[..], [Status::Unconfigured { stage: Stage::FirstBeat, .. }]));
    assert!(bench.beating.is_some());
    bench.appliance.handle_input(bench.now, Input::BeatAccepted);
    bench.drain(true);
    let sent = std::mem::take(&mut bench.sent);
    assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: true }]);
}

#[test]
fn with_first_beat_and_no_beat_it_rolls_back_to_the_former_settings() {
    let mut bench = Bench::new();
    bench.configure(1);
    let grant = bench.grant(2, Confirm::FirstBeat);
    let (packet, exported, request) = bench.packet(&grant);
    bench.deliver(&packet);
    let kick = bench.kick(&grant, request, &exported);
    bench.deliver(&kick);
    assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(2)));
    let sent = bench.wait(90_000);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::NoBeat]);
    assert_eq!(bench.rolled_back, [Some("host-1".to_owned())]);
    assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(1)), "beats as before");
    assert_eq!(bench.appliance.settings().map(|s| s.host_name().to_owned()), Some("host-1".into()));
}

#[test]
fn a_power_cut_while_provisional_rolls_back_at_the_next_start() {
    let mut bench = Bench::new();
    bench.configure(1);
    let grant = bench.grant(2, Confirm::KickStart);
    let (packet, exported, request) = bench.packet(&grant);
    bench.deliver(&packet);
    bench.reboot();
    assert_eq!(bench.rolled_back, [Some("host-1".to_owned())]);
    assert!(bench.beating.is_some());
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::Interrupted]);
    let kick = bench.kick(&grant, request, &exported);
    bench.deliver(&kick);
    assert_eq!(bench.appliance.settings().map(|s| s.host_name().to_owned()), Some("host-1".into()));
}

#[test]
fn a_failed_apply_keeps_what_was_and_gives_a_key_for_the_next_attempt() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, _) = bench.packet(&grant);
    bench.appliance.handle_input(bench.now, Input::Datagram { peer: peer(), bytes: &packet });
    bench.drain(false);
    let sent = bench.wait(TELL_AFTER_MS);
    assert!(matches!(bench.statuses(&sent, &exported)[..], [Status::Unconfigured { .. }]), "says it takes longer");
    let failure = Failure { reason: Reason::ApplyFailed, detail: "no\nlink".into() };
    bench.appliance.handle_input(bench.now, Input::Applied(Err(failure)));
    bench.drain(true);
    let sent = std::mem::take(&mut bench.sent);
    let statuses = bench.statuses(&sent, &exported);
    let [Status::Failed { reason: Reason::ApplyFailed, detail, next_key: Some(key) }] = &statuses[..] else {
        panic!("{statuses:?}");
    };
    assert_eq!(detail.as_deref(), Some("no link"));
    let to = bench.address(*key);
    let signed = bench.signed(&bench.grant(2, Confirm::KickStart));
    let claim = bench.claim.clone();
    let (again, exported) = config::build(&mut bench.rng, &bench.console, Some(&claim), to, &signed).expect("valid");
    let sent = bench.deliver(&again);
    assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: false }]);
}

#[test]
fn nothing_is_applied_before_the_sequence_is_on_disk() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, _) = bench.packet(&grant);
    bench.disk_fails = true;
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::Storage]);
    assert!(bench.applied.is_empty());
    bench.disk_fails = false;
    bench.configure(1);
}

#[test]
fn strangers_and_misaddressed_grants_are_refused_before_anything_changes() {
    let cases: [(&str, fn(&mut Bench) -> Vec<u8>, Reason); 6] = [
        (
            "wrong claim code",
            |b| {
                b.claim = ClaimKey([0; 32]);
                let grant = b.grant(1, Confirm::KickStart);
                b.packet(&grant).0
            },
            Reason::NotOpened,
        ),
        (
            "another console",
            |b| {
                let grant = Grant { console: b.root.public(), ..b.grant(1, Confirm::KickStart) };
                b.packet(&grant).0
            },
            Reason::WrongConsole,
        ),
        (
            "another appliance",
            |b| {
                let grant = Grant { uid: Uid([0; 20]), ..b.grant(1, Confirm::KickStart) };
                b.packet(&grant).0
            },
            Reason::WrongAppliance,
        ),
        (
            "another MAC",
            |b| {
                let grant = Grant { mac: Mac([0; 6]), ..b.grant(1, Confirm::KickStart) };
                b.packet(&grant).0
            },
            Reason::WrongAppliance,
        ),
        (
            "a grant that names another root than its signer",
            |b| {
                let grant = Grant { root: b.console.public(), ..b.grant(1, Confirm::KickStart) };
                b.packet(&grant).0
            },
            Reason::WrongRoot,
        ),
        (
            "an unknown one-time key",
            |b| {
                let grant = b.grant(1, Confirm::KickStart);
                let packet = b.packet(&grant).0;
                b.now = b.now + keys::LIFETIME_MS;
                packet
            },
            Reason::KeyUnknown,
        ),
    ];
    for (name, make, reason) in cases {
        let mut bench = Bench::new();
        let packet = make(&mut bench);
        let sent = bench.deliver(&packet);
        let Ok(Message::Result(result)) = wire::decode(&sent[0]) else { panic!("{name}: no result") };
        let (_, exported) = crate::crypto::seal::seal(
            &mut bench.rng,
            crate::crypto::seal::Seal::Config,
            &crate::crypto::keys::OpenKey::generate(&mut TestRng::new(9)).public(),
            None,
            b"",
            b"",
        )
        .expect("any exported key");
        let result = result.verify(&bench.device.public(), &exported).expect("signed by the device");
        assert_eq!(reasons(&[result.status]), [reason], "{name}");
        assert_eq!((bench.applied.len(), bench.appliance.seq()), (0, Seq(0)), "{name}");
    }
}

#[test]
fn a_pinned_appliance_takes_grants_of_its_root_only_and_only_newer_ones() {
    let mut bench = Bench::new();
    bench.configure(5);
    for seq in [4, 5] {
        let grant = bench.grant(seq, Confirm::KickStart);
        let (packet, exported, _) = bench.packet(&grant);
        let sent = bench.deliver(&packet);
        assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::OldSequence]);
    }
    let own_root = std::mem::replace(&mut bench.root, SecretKey::from_seed(&[9; 32]));
    let grant = bench.grant(6, Confirm::KickStart);
    let (packet, exported, _) = bench.packet(&grant);
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::WrongRoot]);
    bench.root = own_root;
    assert_eq!(bench.applied, ["host-5"]);
}

#[test]
fn a_junk_packet_does_not_burn_the_key_that_a_console_is_about_to_use() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, _) = bench.packet(&grant);
    let Ok(Message::Config(good)) = wire::decode(&packet) else { panic!("a config packet") };
    let to = bench.address(good.to.one_time_key);
    let (junk, _) = config::build(&mut bench.rng, &bench.console, None, to, b"junk").expect("valid key");
    bench.deliver(&junk);
    let sent = bench.deliver(&packet);
    assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: false }]);
}

#[test]
fn a_second_packet_during_an_attempt_is_told_to_wait() {
    let mut bench = Bench::new();
    let (first, second) = (bench.grant(1, Confirm::KickStart), bench.grant(2, Confirm::KickStart));
    let (one, _, _) = bench.packet(&first);
    let (two, exported, _) = bench.packet(&second);
    bench.deliver(&one);
    let sent = bench.deliver(&two);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::Busy]);
    assert_eq!(bench.applied, ["host-1"]);
}

#[test]
fn a_kick_start_by_a_stranger_does_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant(1, Confirm::KickStart);
    let (packet, exported, request) = bench.packet(&grant);
    bench.deliver(&packet);
    let kick = KickStart { uid: bench.appliance.uid(), request, seq: grant.seq };
    let by_stranger = kick.to_datagram(&SecretKey::from_seed(&[3; 32]), &exported);
    assert!(bench.deliver(&by_stranger).is_empty());
    assert_eq!(bench.appliance.state(), State::Provisional);
}
