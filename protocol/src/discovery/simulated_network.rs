//! Discovery against a network of appliances that exist only as keys: loss, bursts, small buffers, forgers.

mod scale;

use super::*;
use crate::crypto::{sign, uniform};
use crate::grant::Credential;
use crate::id::{ConsoleId, SiteId};
use crate::parameters::RawSettings;
use crate::test_rng::TestRng;
use crate::time::UnixTime;
use crate::wire::here::SealedSettings;
use crate::wire::ping::{MIN_PING, PingPacket, heard_hash};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The console end of one simulated network.
struct Network {
    discovery: Discovery,
    appliances: Vec<Appliance>,
    rng: TestRng,
    now: Millis,
    in_flight: BTreeMap<(Millis, u64), (Peer, Vec<u8>)>,
    next: u64,
    loss: Loss,
    heard: BTreeMap<Uid, Heard>,
    rounds: Vec<(usize, f64)>,
    pings: Vec<Ping>,
    /// When the last new one was heard.
    last_found: Millis,
    /// Nothing arrives until then, and the next such time begins then.
    burst: (Millis, Millis),
    /// The heard hashes of all appliances, by salt.
    hashes: BTreeMap<[u8; 8], Vec<[u8; 6]>>,
    /// This appliance loses half of everything besides.
    weak: Option<usize>,
    /// So many, the first ones, are behind an interface that is not there until `appears`.
    hidden: usize,
    appears: Option<Millis>,
}

#[derive(Clone, Copy, Default)]
struct Loss {
    /// Of pings at each appliance, and of answers on their way back.
    percent: u64,
    /// The receive buffer in answers and how many a millisecond the console reads; unlimited if none.
    buffer: Option<(f64, f64)>,
    /// How long pings and answers together travel.
    delay_ms: u64,
    /// Bursts in which everything is lost: how long they last on average, and how long the time between is.
    bursts: Option<(u64, u64)>,
}

fn lossy(percent: u64) -> Loss {
    Loss { percent, ..Loss::default() }
}

struct Appliance {
    key: SecretKey,
    uid: Uid,
    mac: Mac,
    /// Its limit to one asker (docs/protocol.md): 30 answers at once and 10 a second.
    full_at: Millis,
}

impl Appliance {
    fn new(n: u32) -> Appliance {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let key = SecretKey::from_seed(&seed);
        let [_, a, b, c] = n.to_be_bytes();
        Appliance { uid: Uid::of(&key.public()), key, mac: Mac([2, 0, 0, a, b, c]), full_at: Millis(0) }
    }

    fn may_answer(&mut self, now: Millis) -> bool {
        let full_at = self.full_at.max(now) + 100;
        let may = full_at.since(now) <= 3_000;
        if may {
            self.full_at = full_at;
        }
        may
    }

    fn here(&self, ping: PingId) -> Here {
        Here {
            ping,
            device_key: self.key.public(),
            mac: self.mac,
            state: State::Unconfigured,
            one_time_key: SealKey(self.key.public().0),
            boot: BootId([1; 16]),
            proof: Proof::Claim,
            settings: None,
        }
    }
}

fn peer(n: usize) -> Peer {
    let [a, b] = (n as u16).to_be_bytes();
    Peer { interface: 2, address: std::net::SocketAddr::from(([10, 1, a, b], wire::PORT)) }
}

fn question(bytes: &[u8]) -> (Ping, PingPacket) {
    let Ok(Message::Ping(packet)) = wire::decode(bytes) else { panic!("not a ping") };
    (packet.question().expect("a valid ping"), packet)
}

impl Network {
    fn new(appliances: u32, loss: Loss, seed: u64) -> Network {
        let discovery = Discovery::new(Config::default(), None, Box::new(TestRng::new(seed)));
        Network {
            discovery,
            appliances: (0..appliances).map(Appliance::new).collect(),
            rng: TestRng::new(!seed),
            now: Millis(1_000),
            in_flight: BTreeMap::new(),
            next: 0,
            loss,
            heard: BTreeMap::new(),
            rounds: Vec::new(),
            pings: Vec::new(),
            last_found: Millis(0),
            burst: (Millis(0), Millis(0)),
            hashes: BTreeMap::new(),
            weak: None,
            hidden: 0,
            appears: None,
        }
    }

    /// Runs one discovery to its end; how long it took.
    fn discover(&mut self) -> u64 {
        let began = self.now;
        self.discovery.start(self.now);
        let mut buffered = 0.0_f64;
        let mut read_at = self.now;
        loop {
            if let Some((found, unheard)) = self.drain() {
                assert_eq!(found, self.heard.len());
                assert!(unheard.is_finite() && unheard >= 0.0);
                return self.now.since(began);
            }
            let wake = self.discovery.poll_timeout().expect("runs until it has finished");
            assert!(wake >= self.now, "asked to be woken in the past");
            let arrival = self.in_flight.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= wake);
            if arrival.is_some()
                && let Some(((at, _), (peer, bytes))) = self.in_flight.pop_first()
            {
                self.now = self.now.max(at);
                if let Some((room, per_ms)) = self.loss.buffer {
                    buffered = (buffered - self.now.since(read_at) as f64 * per_ms).max(0.0);
                    read_at = self.now;
                    if buffered + 1.0 > room {
                        continue;
                    }
                    buffered += 1.0;
                }
                self.discovery.handle_input(self.now, Input::Datagram { peer, bytes: &bytes });
            } else {
                self.now = wake;
                if self.appears.is_some_and(|at| at <= self.now) {
                    (self.hidden, self.appears) = (0, None);
                    self.discovery.handle_input(self.now, Input::NewInterface);
                }
                self.discovery.handle_timeout(self.now);
            }
            assert!(self.now.since(began) < 120_000, "does not end");
        }
    }

    /// Carries pings out and events in; what was found, once the discovery has finished.
    fn drain(&mut self) -> Option<(usize, f64)> {
        let mut finished = None;
        while let Some(output) = self.discovery.poll_output() {
            match output {
                Output::Transmit { bytes } => self.carry(&bytes),
                Output::Notify(Event::Heard(heard)) => {
                    let before = self.heard.insert(heard.uid, heard.clone());
                    assert_eq!(heard.fresh, before.is_none(), "fresh once");
                    if heard.fresh {
                        self.last_found = self.now;
                    }
                }
                Output::Notify(Event::Round { number, found, unheard }) => {
                    self.rounds.push((found, unheard));
                    assert_eq!(number as usize, self.rounds.len());
                }
                Output::Notify(Event::Finished { found, unheard, rounds }) => {
                    assert!(rounds as usize >= self.rounds.len());
                    finished = Some((found, unheard));
                }
            }
        }
        finished
    }

    fn carry(&mut self, bytes: &[u8]) {
        assert!((MIN_PING..=MAX_DATAGRAM).contains(&bytes.len()));
        let (ping, _) = question(bytes);
        let listed: BTreeSet<&[u8]> = ping.heard.chunks_exact(4).collect();
        if !self.hashes.contains_key(&ping.salt) {
            let hashes = self.appliances.iter().map(|appliance| heard_hash(&ping.salt, &appliance.uid)).collect();
            self.hashes.retain(|_, _| ping.shard.index > 0);
            self.hashes.insert(ping.salt, hashes);
        }
        for n in self.hidden..self.appliances.len() {
            if self.weak == Some(n) && uniform(&mut self.rng, 4) > 0 {
                continue;
            }
            let hash = self.hashes[&ping.salt][n];
            // As Ping::asks, but not by a walk along the list for each of thousands.
            let asked = ping.shard.contains(&hash) && !listed.contains(&hash[..4]);
            if !asked || self.is_lost(self.now) || !self.appliances[n].may_answer(self.now) {
                continue;
            }
            let at = self.now + 1 + self.loss.delay_ms + uniform(&mut self.rng, u64::from(ping.window_ms) + 1);
            if self.is_lost(at) {
                continue;
            }
            let answer = self.appliances[n].here(ping.id).to_datagram(&self.appliances[n].key);
            self.next += 1;
            self.in_flight.insert((at, self.next), (peer(n), answer));
        }
        self.pings.push(ping);
    }

    fn is_lost(&mut self, at: Millis) -> bool {
        if let Some((lasts, apart)) = self.loss.bursts {
            while self.burst.1 <= self.now {
                let until = self.burst.1 + uniform(&mut self.rng, 2 * lasts + 1);
                self.burst = (until, until + uniform(&mut self.rng, 2 * apart + 1));
            }
            // An answer may leave in the burst after this one; that one begins anew for each.
            if at < self.burst.0 || at >= self.burst.1 {
                return true;
            }
        }
        uniform(&mut self.rng, 100) < self.loss.percent
    }

    fn one(&mut self, answer: &[u8]) -> Option<Heard> {
        self.discovery.handle_input(self.now, Input::Datagram { peer: peer(0), bytes: answer });
        match self.discovery.poll_output() {
            Some(Output::Notify(Event::Heard(heard))) => Some(heard),
            Some(other) => panic!("unexpected {other:?}"),
            None => None,
        }
    }
}

#[test]
fn later_pings_list_the_heard_with_a_new_salt_and_in_shards() {
    let mut network = Network::new(2_000, lossy(5), 1);
    network.discover();
    let salts: BTreeSet<[u8; 8]> = network.pings.iter().map(|ping| ping.salt).collect();
    let ids: BTreeSet<PingId> = network.pings.iter().map(|ping| ping.id).collect();
    assert_eq!(ids.len(), network.pings.len());
    assert!(salts.len() >= network.rounds.len());
    assert!(network.pings[0].heard.is_empty());
    let second: Vec<&Ping> = network.pings.iter().filter(|ping| ping.salt == network.pings[1].salt).collect();
    assert!(second.len() >= 16, "{}", second.len());
    let listed: usize = second.iter().map(|ping| ping.heard.len() / 4).sum();
    assert!(listed > 1_700, "{listed}");
    for ping in &network.pings {
        assert!(ping.heard.chunks_exact(4).is_sorted());
    }
}

#[test]
fn the_same_seed_is_the_same_discovery() {
    let run = || {
        let mut network = Network::new(100, lossy(20), 9);
        (network.discover(), network.pings)
    };
    assert_eq!(run(), run());
}

#[test]
fn starting_again_hears_everybody_again() {
    let mut network = Network::new(50, Loss::default(), 1);
    network.discover();
    network.heard.clear();
    network.rounds.clear();
    network.discover();
    assert_eq!(network.heard.len(), 50);
}

#[test]
fn stopping_says_what_was_found_and_asks_no_more() {
    let mut network = Network::new(5, Loss::default(), 1);
    network.discovery.start(network.now);
    network.drain();
    while let Some(((at, _), (peer, bytes))) = network.in_flight.pop_first() {
        network.discovery.handle_input(at, Input::Datagram { peer, bytes: &bytes });
    }
    network.discovery.stop(network.now);
    assert_eq!(network.drain().map(|(found, _)| found), Some(5));
    assert_eq!(network.discovery.poll_timeout(), None);
    network.discovery.stop(network.now);
    network.discovery.handle_timeout(Millis(u64::MAX));
    assert_eq!(network.discovery.poll_output(), None);
}

/// A network of one whose directed ping is on its way; the ping.
fn asked() -> (Network, Ping) {
    let mut network = Network::new(1, Loss::default(), 1);
    let uid = network.appliances[0].uid;
    network.discovery.ping_one(network.now, uid);
    let Some(Output::Transmit { bytes }) = network.discovery.poll_output() else { panic!("no ping") };
    let (ping, _) = question(&bytes);
    assert_eq!((ping.only, ping.window_ms), (Some(uid), 0));
    (network, ping)
}

#[test]
fn a_directed_ping_is_answered_once_by_every_way() {
    let (mut network, ping) = asked();
    let answer = network.appliances[0].here(ping.id).to_datagram(&network.appliances[0].key);
    assert!(network.one(&answer).expect("asked for").fresh);
    assert_eq!(network.one(&answer), None, "a repetition says nothing new");
    let other = Peer { interface: 3, ..peer(0) };
    network.discovery.handle_input(network.now, Input::Datagram { peer: other, bytes: &answer });
    let Some(Output::Notify(Event::Heard(heard))) = network.discovery.poll_output() else { panic!("another way") };
    assert!(!heard.fresh && heard.peer == other);
}

#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let (mut network, ping) = asked();
    let appliance = Appliance::new(0);
    let stranger = Appliance::new(1);
    assert_eq!(network.one(&stranger.here(ping.id).to_datagram(&stranger.key)), None, "not asked");
    assert_eq!(network.one(&appliance.here(PingId([0; 16])).to_datagram(&appliance.key)), None, "unknown ping");
    assert_eq!(network.one(&appliance.here(ping.id).to_datagram(&stranger.key)), None, "forged");
    let good = appliance.here(ping.id).to_datagram(&appliance.key);
    for i in 0..good.len() {
        let mut spoiled = good.clone();
        spoiled[i] ^= 1;
        assert_eq!(network.one(&spoiled), None, "byte {i}");
    }
    let oversized = HerePacket { signed: vec![0; 70_000] };
    network.discovery.handle_input(network.now, Input::Here { peer: peer(0), packet: &oversized });
    assert_eq!(network.discovery.poll_output(), None);
    network.now = network.now + 30_000;
    assert!(network.one(&good).is_some(), "30 s are recent");
}

#[test]
fn an_answer_to_an_old_ping_comes_from_a_recording() {
    let (mut network, ping) = asked();
    network.now = network.now + 30_001;
    let good = network.appliances[0].here(ping.id).to_datagram(&network.appliances[0].key);
    assert_eq!(network.one(&good), None);
}

#[test]
fn a_listed_appliance_that_answers_all_the_same_is_ignored() {
    let mut network = Network::new(200, Loss::default(), 1);
    network.discover();
    let last = network.pings.last().expect("pings").clone();
    let listed = network.appliances.iter().find(|appliance| !last.asks(&appliance.uid)).expect("most are listed");
    let answer = listed.here(last.id).to_datagram(&listed.key);
    assert_eq!(network.one(&answer), None);
}

#[test]
fn a_console_with_a_credential_gets_settings_and_only_with_the_key_of_that_ping() {
    let root = SecretKey::from_seed(&[1; 32]);
    let console = SecretKey::from_seed(&[2; 32]);
    let credential =
        Credential { console: ConsoleId(1), key: console.public(), sites: vec![SiteId(1)], expires: UnixTime(9) };
    let credential = sign::sign(&root, sign::Purpose::Credential, wire::to_cbor(&credential));
    let signer = Signer { key: console, credential };
    let mut discovery = Discovery::new(Config::default(), Some(signer), Box::new(TestRng::new(1)));
    let appliance = Appliance::new(1);
    let raw = RawSettings {
        host_name: "host-1".into(),
        domain: "example.org".into(),
        address: "192.0.2.10".into(),
        netmask: "24".into(),
        gateway: "192.0.2.1".into(),
        dns1: "192.0.2.53".into(),
        dns2: String::new(),
        ..RawSettings::default()
    };
    let settings = raw.validate().expect("valid");
    let mut rng = TestRng::new(2);
    let mut keys = Vec::new();
    for _ in 0..2 {
        discovery.ping_one(Millis(0), appliance.uid);
        let Some(Output::Transmit { bytes }) = discovery.poll_output() else { panic!("no ping") };
        let (ping, packet) = question(&bytes);
        let asker = packet.asker(&root.public()).expect("signed, with a credential");
        let sealed = SealedSettings::seal(&mut rng, &asker.reply_key, &appliance.uid, &settings);
        let answer = Here { settings: sealed, state: State::Configured, ..appliance.here(ping.id) };
        let bytes = answer.to_datagram(&appliance.key);
        discovery.handle_input(Millis(1), Input::Datagram { peer: peer(0), bytes: &bytes });
        let Some(Output::Notify(Event::Heard(heard))) = discovery.poll_output() else { panic!("not heard") };
        assert_eq!(heard.settings.as_ref(), Some(&settings));
        keys.push(asker.reply_key);
    }
    assert_ne!(keys[0], keys[1], "a reply key for each ping");
}

#[test]
fn memory_stays_bounded_however_often_somebody_asks_and_answers() {
    let (mut network, ping) = asked();
    let answer = network.appliances[0].here(ping.id).to_datagram(&network.appliances[0].key);
    for n in 0..100 {
        network.discovery.handle_input(network.now, Input::Datagram { peer: peer(n), bytes: &answer });
    }
    assert_eq!(std::iter::from_fn(|| network.discovery.poll_output()).count(), 8, "some ways are enough");
    for n in 0..20_000_u64 {
        network.discovery.ping_one(network.now + n / 1_000, Uid([1; 20]));
        network.discovery.poll_output();
    }
    assert!(network.discovery.recent.len() <= 8_192);
    network.discovery.handle_timeout(network.now + 60_000);
    assert_eq!(network.discovery.recent.len(), 0);
}

proptest! {
    #[test]
    fn any_sequence_is_harmless(
        steps in prop::collection::vec((0_u8..8, any::<u64>(), prop::collection::vec(any::<u8>(), 0..80)), 0..60),
    ) {
        let mut discovery = Discovery::new(Config::default(), None, Box::new(TestRng::new(1)));
        let mut last_ping = None;
        for (kind, number, bytes) in steps {
            let now = Millis(number >> 40);
            match kind {
                0 => discovery.start(now),
                1 => discovery.stop(now),
                2 => discovery.ping_one(now, Uid([3; 20])),
                3 => discovery.handle_input(now, Input::Datagram { peer: peer(0), bytes: &bytes }),
                4 => {
                    let packet = HerePacket { signed: bytes };
                    discovery.handle_input(now, Input::Here { peer: peer(0), packet: &packet });
                }
                5 => discovery.handle_input(now, Input::Capacity { receive_buffer: number as usize }),
                6 => if let Some(ping) = last_ping {
                    let appliance = Appliance::new(number as u32 % 4);
                    let bytes = appliance.here(ping).to_datagram(&appliance.key);
                    discovery.handle_input(now, Input::Datagram { peer: peer(0), bytes: &bytes });
                },
                _ => discovery.handle_timeout(now),
            }
            while let Some(output) = discovery.poll_output() {
                if let Output::Transmit { bytes } = output {
                    last_ping = Some(question(&bytes).0.id);
                }
            }
        }
        // Whatever came before, a discovery that is left alone ends.
        let mut now = Millis(1 << 30);
        discovery.start(now);
        while let Some(at) = discovery.poll_timeout() {
            now = now.max(at);
            discovery.handle_timeout(now);
            while discovery.poll_output().is_some() {}
            prop_assert!(now.since(Millis(1 << 30)) < 60_000);
        }
    }
}
