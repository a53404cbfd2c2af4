//! The console's roll call, with a network full of appliances, recordings and noise.

use crate::allocation::Held;
use crate::choices::Choices;
use crate::keys::{KEYS, boot};
use crate::messages;
use crate::reached;
use crate::rng::Seeded;
use muster_protocol::crypto::keys::{OpenKey, SecretKey};
use muster_protocol::discovery::{Config, Discovery, Event, Input, Output, Signer};
use muster_protocol::id::{Mac, Uid};
use muster_protocol::time::Millis;
use muster_protocol::wire::here::{Here, SealedSettings, State};
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::{self, MAX_DATAGRAM, Message, Peer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const MOST_STEPS: usize = 100;
/// What is known of some twenty appliances, and the pings of half a minute.
const MOST_HELD: isize = 256 * 1024;
/// An answer to an older ping comes from a recording.
const RECENT_MS: u64 = 30_000;

static DEVICES: LazyLock<Vec<SecretKey>> =
    LazyLock::new(|| (0..20).map(|n| SecretKey::from_seed(&[100 + n; 32])).collect());

/// Plays the choices.
pub fn run(data: &[u8]) {
    LazyLock::force(&KEYS);
    LazyLock::force(&DEVICES);
    let mut choices = Choices::new(data);
    let signer = match choices.below(3) {
        0 => None,
        1 => Some(Signer { key: KEYS.console.clone(), credential: KEYS.credential.clone() }),
        _ => Some(Signer { key: KEYS.console.clone(), credential: vec![1; usize::from(choices.byte())] }),
    };
    let config = Config {
        first_window_ms: choices.short() >> choices.below(16),
        max_window_ms: choices.short() >> choices.below(16),
        max_rounds: u32::from(choices.below(16)),
        ..Config::default()
    };
    let mut held = Held::default();
    let mut run = Run {
        machine: held.count(|| Discovery::new(config, signer, Box::new(Seeded::new(1)))),
        held,
        now: Millis(0),
        pings: BTreeMap::new(),
        heard: BTreeSet::new(),
        answered: BTreeSet::new(),
        recorded: Vec::new(),
    };
    for _ in 0..MOST_STEPS {
        if !choices.any() {
            break;
        }
        run.step(&mut choices);
    }
    run.must_end();
}

struct Run {
    machine: Discovery,
    held: Held,
    now: Millis,
    /// Every ping that was sent, and when.
    pings: BTreeMap<[u8; 16], (Millis, Ping)>,
    /// In this discovery.
    heard: BTreeSet<Uid>,
    /// Which appliance has answered which ping from where.
    answered: BTreeSet<([u8; 16], Uid, Peer)>,
    recorded: Vec<Vec<u8>>,
}

impl Run {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0 => {
                self.heard.clear();
                let (machine, now) = (&mut self.machine, self.now);
                self.held.count(|| machine.start(now));
                self.drain(None);
            }
            1 => {
                let (machine, now) = (&mut self.machine, self.now);
                self.held.count(|| machine.stop(now));
                assert!(!self.machine.is_running());
                self.drain(None);
            }
            2 => {
                let uid = Uid::of(&DEVICES[usize::from(choices.below(20))].public());
                let (machine, now) = (&mut self.machine, self.now);
                self.held.count(|| machine.ping_one(now, uid));
                self.drain(None);
            }
            3..=6 => self.answer(choices),
            // Everybody who is asked by the newest ping.
            7 => {
                let Some((_, newest)) = self.pings.values().max_by_key(|(at, _)| *at).cloned() else { return };
                for device in DEVICES.iter() {
                    if choices.below(4) > 0 && newest.asks(&Uid::of(&device.public())) {
                        let bytes = here(device, &newest, false).to_datagram(device);
                        self.datagram(0, bytes);
                    }
                }
            }
            8 => self.replay(choices, false),
            9 => self.replay(choices, true),
            10 => {
                let bytes = choices.bytes().to_vec();
                self.datagram(0, bytes);
            }
            11 => {
                let receive_buffer = usize::from(choices.short()) << choices.below(17);
                self.machine.handle_input(self.now, Input::Capacity { receive_buffer });
                self.drain(None);
            }
            12 => self.wait(choices.wait_ms()),
            13 => {
                self.machine.handle_timeout(self.now - choices.wait_ms());
                self.drain(None);
            }
            _ => {
                if let Some(at) = self.machine.poll_timeout() {
                    self.wait(at.since(self.now));
                }
            }
        }
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        let device = &DEVICES[usize::from(choices.below(20))];
        let Some(at) = choices.index(self.pings.len()) else { return };
        let Some((_, ping)) = self.pings.values().nth(at).cloned() else { return };
        let wrong = choices.byte();
        let mut here = here(device, &ping, wrong & 1 == 1);
        here.state = choices.one_of(&[State::Unconfigured, State::Installing, State::Provisional, State::Configured]);
        let signer = if wrong >> 4 == 0 { &KEYS.stranger } else { device };
        if wrong >> 4 == 1 {
            here.ping.0[0] ^= 1;
        }
        let bytes = here.to_datagram(signer);
        self.datagram(choices.below(12), bytes);
    }

    fn replay(&mut self, choices: &mut Choices<'_>, spoil: bool) {
        let Some(at) = choices.index(self.recorded.len()) else { return };
        let mut bytes = self.recorded[at].clone();
        if spoil {
            let place = usize::from(choices.short()) % bytes.len().max(1);
            let change = choices.byte();
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= change;
            }
        }
        self.datagram(choices.below(12), bytes);
    }

    fn datagram(&mut self, from: u8, bytes: Vec<u8>) {
        let peer = Peer { interface: 2, address: ([192, 0, 2, from], 6878).into() };
        let (machine, now) = (&mut self.machine, self.now);
        self.held.count(|| machine.handle_input(now, Input::Datagram { peer, bytes: &bytes }));
        self.drain(Some(&bytes));
        if self.recorded.len() < 100 {
            self.recorded.push(bytes);
        }
    }

    fn wait(&mut self, ms: u64) {
        let to = self.now + ms;
        let mut wakes = 0;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            let (machine, now) = (&mut self.machine, self.now);
            self.held.count(|| machine.handle_timeout(now));
            self.drain(None);
            let next = self.machine.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "it wants to be woken at {next:?}, and it is {:?}",
                self.now
            );
            wakes += 1;
            assert!(wakes < 1_000, "a discovery comes to an end");
        }
        self.now = to;
    }

    fn drain(&mut self, caused_by: Option<&[u8]>) {
        let mut outputs = 0;
        while let Some(output) = self.held.count(|| self.machine.poll_output()) {
            self.output(&output, caused_by);
            self.held.count(|| drop(output));
            outputs += 1;
            assert!(outputs <= 64, "one input made it do {outputs} things");
        }
        assert_eq!(self.machine.poll_timeout().is_some(), self.machine.is_running());
        assert!(self.held.bytes() <= MOST_HELD, "it holds {} bytes", self.held.bytes());
    }

    fn output(&mut self, output: &Output, caused_by: Option<&[u8]>) {
        match output {
            Output::Transmit { bytes, .. } => {
                assert!(bytes.len() <= MAX_DATAGRAM, "{} bytes", bytes.len());
                let Ok(Message::Ping(packet)) = wire::decode(bytes) else { panic!("a discovery sends pings") };
                let ping = packet.question().expect("in order");
                assert!(self.pings.insert(ping.id.0, (self.now, ping)).is_none(), "a ping id twice");
            }
            Output::Notify(Event::Heard(heard)) => {
                let bytes = caused_by.expect("heard without a datagram");
                let Ok(Message::Here(packet)) = wire::decode(bytes) else { panic!("heard by no answer") };
                let here = packet.verify().expect("its signature was checked");
                let (sent, ping) = self.pings.get(&here.ping.0).expect("asked for");
                assert!(self.now.since(*sent) <= RECENT_MS, "an answer from a recording");
                assert!(ping.asks(&here.uid()), "asked this very appliance");
                assert_eq!((heard.uid, heard.mac, heard.one_time_key), (here.uid(), here.mac, here.one_time_key));
                assert!(self.answered.insert((here.ping.0, here.uid(), heard.peer)), "heard by a repetition");
                let fresh = self.heard.insert(heard.uid);
                assert!(heard.fresh <= fresh, "fresh twice");
                reached::mark(if heard.settings.is_some() { "settings" } else { "heard" });
            }
            Output::Notify(Event::Finished { found, unheard, .. }) => {
                assert!(*found <= self.heard.len() && unheard.is_finite() && *unheard >= 0.0);
                reached::mark("finished");
            }
            Output::Notify(_) => {}
        }
    }

    fn must_end(&mut self) {
        self.wait(10_000_000);
        assert!(!self.machine.is_running(), "a discovery comes to an end");
    }
}

fn here(device: &SecretKey, ping: &Ping, settings: bool) -> Here {
    let uid = Uid::of(&device.public());
    let mut rng = Seeded::new(7);
    let one_time_key = OpenKey::generate(&mut rng).public();
    let network = crate::keys::settings("host").validate().expect("valid");
    let sealed = ping.reply_key.and_then(|key| SealedSettings::seal(&mut rng, &key, &uid, &network));
    Here {
        ping: ping.id,
        device_key: device.public(),
        mac: Mac([2, 0, 0, 0, 0, uid.0[0]]),
        boot: boot(1),
        settings: sealed.filter(|_| settings),
        ..messages::here(one_time_key, false)
    }
}
