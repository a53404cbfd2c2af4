//! Reads vectors with the parsers and machines that the programs run.

use crate::make::parties::{
    MAC, claim_key, console, device, one_time_key, one_time_secret, open_key, reply_secret, root, uid,
};
use crate::make::vouchers::vendor;
use crate::make::{Given, hex, messages};
use crate::{array, bytes, text};
use muster_protocol::appliance::{Appliance, Event, Input, Output, Profile};
use muster_protocol::crypto::keys::{PublicKey, SealKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::{Credential, EnrolmentProof, Grant};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{BootId, PingId, RequestId, Uid};
use muster_protocol::instruction::Instruction;
use muster_protocol::parameters::{DriftPolicy, RawSettings};
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::config::{OpenError, PacketHash};
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::result::{ConfigResult, Reason, ResultPacket, Status};
use muster_protocol::wire::{self, DecodeError, Message, Peer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;

fn decoded(vector: &Value) -> Message {
    let datagram = bytes(vector, "datagram");
    let message = wire::decode(&datagram).unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
    assert_eq!(wire::encode(&message), datagram);
    message
}

/// The public key named in `cose`, which must be what `signer` has.
fn payload(vector: &Value, signer: PublicKey, purpose: Purpose) -> Vec<u8> {
    let cose = &vector["cose"];
    assert_eq!(signer.0, array(cose, "public_key"));
    let payload = sign::verify(&signer, purpose, &bytes(cose, "bytes")).expect("it verifies");
    assert_eq!(payload, bytes(cose, "payload"));
    payload
}

pub(crate) fn pings(vectors: &[Value]) {
    for vector in vectors {
        let Message::Ping(packet) = decoded(vector) else { panic!("another kind") };
        let (ping, meaning) = (packet.question().expect("well-formed"), &vector["meaning"]);
        assert_eq!(ping.id, PingId(array(meaning, "id")));
        assert_eq!(u64::from(ping.window_ms), meaning["window_ms"].as_u64().expect("a number"));
        assert_eq!(ping.only, meaning["only"].as_str().map(|uid| uid.parse().expect("a UID")));
        assert_eq!(Some(ping.asks(&uid())), meaning["asks_the_appliance"].as_bool());
        let asker = packet.asker(&root().public());
        assert_eq!(asker.is_some(), vector.get("cose").is_some(), "signed pings name who asks");
        if let Some(asker) = asker {
            assert_eq!(asker.credential, messages::credential());
            assert_eq!(asker.reply_key, SealKey(array(meaning, "reply_key")));
        }
    }
}

pub(crate) fn answers(vectors: &[Value]) {
    for vector in vectors {
        let Message::Here(packet) = decoded(vector) else { panic!("another kind") };
        let (here, meaning) = (packet.verify().expect("it verifies"), &vector["meaning"]);
        assert_eq!(packet.claimed_ping(), Some(here.ping));
        assert_eq!(here.device_key.0, array(meaning, "device_key"));
        assert_eq!(here.uid().to_string(), text(meaning, "uid"));
        assert_eq!(here.mac.to_string(), text(meaning, "mac"));
        assert_eq!(here.one_time_key.0, array(meaning, "one_time_key"));
        assert_eq!((here.state as u64, here.proof as u64), (number(meaning, "state"), number(meaning, "proof")));
        let settings = here.settings.map(|sealed| sealed.open(&open_key(reply_secret()), &uid()).expect("it opens"));
        let opened = settings.map(|settings| settings.to_raw());
        assert_eq!(opened.map(|raw| texts(&raw)), meaning["settings"].as_array().cloned());
    }
}

/// What is absent at the end is left out.
fn texts(raw: &RawSettings) -> Vec<Value> {
    let seven = [&raw.host_name, &raw.domain, &raw.address, &raw.netmask, &raw.gateway, &raw.dns1, &raw.dns2];
    let ipv6 = [&raw.address6, &raw.gateway6].into_iter().filter(|text| !text.is_empty());
    seven.into_iter().chain(ipv6).map(|text| Value::from(text.as_str())).collect()
}

/// Grants and answers are read, the longest packet is accepted, malformed grants are refused.
pub(crate) fn ipv6(vectors: &[Value]) {
    let part = |part: &str| -> Vec<Value> {
        let found: Vec<Value> = vectors.iter().filter(|vector| vector["part"] == part).cloned().collect();
        assert!(!found.is_empty(), "{part}");
        found
    };
    grants(&part("grant"));
    answers(&part("answer"));
    part("packet").iter().for_each(accepted_with_a_voucher);
    for vector in part("malformed") {
        assert!(wire::from_cbor::<Grant>(&bytes(&vector, "payload")).is_err(), "{}", vector["name"]);
    }
}

/// Grants are read, the packet is accepted by the appliance that has the claim, and what is malformed is refused.
pub(crate) fn applications(vectors: &[Value]) {
    let part = |part: &'static str| vectors.iter().filter(move |vector| vector["part"] == part);
    let granted: Vec<Value> = part("grant").cloned().collect();
    grants(&granted);
    for vector in &granted {
        let grant: Grant = wire::from_cbor(&bytes(&vector["cose"], "payload")).expect("a grant");
        let settings = grant.parameters.application.expect("application settings");
        assert_eq!(settings.as_str(), text(&vector["meaning"], "application"));
    }
    for vector in part("packet") {
        assert_eq!(bytes(vector, "datagram").len(), wire::MAX_DATAGRAM);
        accepted_with_the_claim(vector);
    }
    for vector in part("malformed") {
        assert!(wire::from_cbor::<Grant>(&bytes(vector, "payload")).is_err(), "{}", vector["name"]);
    }
    assert_eq!((granted.len(), part("packet").count(), part("malformed").count()), (2, 1, 11));
}

/// The same of grants with time servers and search domains.
pub(crate) fn lists(vectors: &[Value]) {
    let part = |part: &'static str| vectors.iter().filter(move |vector| vector["part"] == part);
    let granted: Vec<Value> = part("grant").cloned().collect();
    grants(&granted);
    for vector in &granted {
        let grant: Grant = wire::from_cbor(&bytes(&vector["cose"], "payload")).expect("a grant");
        let (raw, meaning) = (grant.parameters.network.to_raw(), &vector["meaning"]);
        let listed = |field: &str| {
            let list = meaning[field].as_array().into_iter().flatten();
            list.map(|entry| entry.as_str().expect("a text")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((raw.ntp, raw.search_domains), (listed("ntp"), listed("search_domains")));
    }
    part("packet").for_each(accepted_with_the_claim);
    for vector in part("malformed") {
        assert!(wire::from_cbor::<Grant>(&bytes(vector, "payload")).is_err(), "{}", vector["name"]);
    }
    assert_eq!((granted.len(), part("packet").count(), part("malformed").count()), (5, 1, 19));
}

fn accepted_with_the_claim(vector: &Value) {
    let mut bench = Bench::new();
    let answer = bench.give(&bytes(vector, "datagram")).pop().expect("an answer");
    let Ok(Message::Result(result)) = wire::decode(&answer) else { panic!("no result") };
    let result = result.verify(&device().public(), &exported(&vector["hpke"])).expect("it verifies");
    assert_eq!(result.status, Status::Success { committed: false });
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} of {value}"))
}

pub(crate) fn statements(granted: &[Value], credentials: &[Value], enrolments: &[Value]) {
    grants(granted);
    for vector in credentials {
        let credential: Credential =
            wire::from_cbor(&payload(vector, root().public(), Purpose::Credential)).expect("a credential");
        assert_eq!(credential, messages::credential());
    }
    for vector in enrolments {
        let proof: EnrolmentProof =
            wire::from_cbor(&payload(vector, device().public(), Purpose::Enrolment)).expect("a proof");
        assert_eq!(proof.csr_hash, array(&vector["meaning"], "csr_hash"));
    }
}

fn grants(vectors: &[Value]) {
    for vector in vectors {
        let grant: Grant =
            wire::from_cbor(&payload(vector, root().public(), Purpose::Grant)).expect("a grant that is well-formed");
        let (meaning, raw) = (&vector["meaning"], grant.parameters.network.to_raw());
        assert_eq!(
            (raw.host_name.as_str(), raw.domain.as_str()),
            (text(meaning, "host_name"), text(meaning, "domain"))
        );
        assert_eq!((raw.address.as_str(), raw.gateway.as_str()), (text(meaning, "address"), text(meaning, "gateway")));
        assert_eq!((raw.dns1.as_str(), raw.dns2.as_str()), (text(meaning, "dns1"), text(meaning, "dns2")));
        assert_eq!(grant.seq.0.to_string(), text(meaning, "seq"));
        assert_eq!(grant.expires.0.to_string(), text(meaning, "expires"));
        assert_eq!((grant.noc.as_str(), grant.ca_pin), (text(meaning, "noc"), array(meaning, "ca_pin")));
        let ipv6 = |field: &str| meaning[field].as_str().unwrap_or_default().to_owned();
        assert_eq!((raw.address6, raw.gateway6), (ipv6("address6"), ipv6("gateway6")));
    }
}

pub(crate) fn configs(vectors: &[Value]) {
    for (vector, made) in vectors.iter().zip(messages::packets()) {
        let Message::Config(packet) = decoded(vector) else { panic!("another kind") };
        assert_eq!(PacketHash::of(&bytes(vector, "datagram")).0, array(vector, "datagram_sha256"));
        let key = open_key(array(&vector["hpke"], "recipient_secret"));
        assert_eq!(key.public().0, array(&vector["meaning"], "one_time_key"));
        let claim = (number(&vector["hpke"], "mode") == 1).then(claim_key);
        let opened = packet.open(&key, claim.as_ref(), None).expect("it opens");
        assert_eq!(opened.grant, made.grant);
        assert_eq!(packet.to.request.0, array(&vector["meaning"], "request"));
        assert_eq!(&wire::to_cbor(&opened.exported)[2..], bytes(&vector["hpke"], "exported_key"));
        payload(vector, console().public(), Purpose::Config);
        assert!(packet.open(&key, claim.as_ref(), Some(&console().public())).is_err(), "another root");
    }
}

/// Statements are read, packets are accepted by the appliance of `keys.json` once its image names the vendor, others refused.
pub(crate) fn vouchers(vectors: &[Value]) {
    let mut parts = [0; 3];
    for vector in vectors {
        let name = &vector["name"];
        match text(vector, "part") {
            "statement" => {
                parts[0] += 1;
                let payload = payload(vector, vendor().public(), Purpose::Voucher);
                let voucher = Voucher::read(&bytes(&vector["cose"], "bytes")).expect("a voucher");
                assert_eq!(wire::to_cbor(&voucher), payload);
                let (meaning, expires) = (&vector["meaning"], voucher.expires.map(|time| time.0.to_string()));
                assert_eq!(voucher.uid.to_string(), text(meaning, "uid"));
                assert_eq!((voucher.root.0, voucher.vendor.0), (array(meaning, "root"), array(meaning, "vendor")));
                assert_eq!(voucher.issued.0.to_string(), text(meaning, "issued"));
                assert_eq!(expires.as_deref(), meaning["expires"].as_str());
            }
            "packet" => {
                parts[1] += 1;
                accepted_with_a_voucher(vector);
            }
            _ => {
                parts[2] += 1;
                let mut bench = Bench::vouched();
                bench.known_time(vector);
                let answer = bench.give(&bytes(vector, "datagram")).pop().expect("an answer");
                let Ok(Message::Result(packet)) = wire::decode(&answer) else { panic!("no result") };
                let Status::Failed { reason, .. } = untagged(&packet).status else { panic!("{name} is accepted") };
                assert_eq!((reason.code(), reason as u64), (text(vector, "reason"), number(vector, "reason_number")));
            }
        }
    }
    assert!(parts.iter().all(|count| *count >= 2), "{parts:?}");
}

/// Statements are read; what is refused is given to the appliance that was configured by the first packet of `config.json`.
pub(crate) fn instructions(vectors: &[Value]) {
    let (mut acts, mut refused) = (BTreeSet::new(), 0);
    for vector in vectors {
        let name = text(vector, "name");
        if text(vector, "part") == "refused" {
            let mut bench = Bench::configured();
            bench.known_time(vector);
            bench.give_input(Input::Instruction(&bytes(vector, "instruction")));
            let event = bench.events.pop().expect("it is told");
            let Event::InstructionRefused { reason } = event else { panic!("{name}: {event:?}") };
            assert_eq!(reason.code(), text(vector, "reason"), "{name}");
            refused += 1;
            continue;
        }
        let payload = payload(vector, root().public(), Purpose::Instruction);
        let instruction: Instruction = wire::from_cbor(&payload).expect("an instruction");
        let meaning = &vector["meaning"];
        assert_eq!(instruction.uid.to_string(), text(meaning, "uid"));
        assert_eq!(
            (instruction.seq.0.to_string(), instruction.serial.0.to_string()),
            (text(meaning, "seq").to_owned(), text(meaning, "serial").to_owned())
        );
        assert_eq!(instruction.act as u64, number(meaning, "act"));
        assert_eq!(instruction.expires.0.to_string(), text(meaning, "expires"));
        acts.insert(instruction.act as u64);
        if instruction.seq == messages::first_grant().seq {
            let mut bench = Bench::configured();
            bench.give_input(Input::Instruction(&bytes(&vector["cose"], "bytes")));
            let accepted = Event::Instructed { serial: instruction.serial, act: instruction.act };
            assert_eq!(bench.events.pop(), Some(accepted), "{name}");
        }
    }
    assert_eq!((acts.len(), refused), (6, 7), "every act, and every way to be refused");
}

/// Grants are read; the packet is accepted as those of `voucher.json` are.
pub(crate) fn drift(vectors: &[Value]) {
    let (grants, packets): (Vec<_>, Vec<_>) =
        vectors.iter().cloned().partition(|vector| text(vector, "part") == "grant");
    statements(&grants, &[], &[]);
    for vector in &grants {
        let grant: Grant = wire::from_cbor(&bytes(&vector["cose"], "payload")).expect("a grant");
        let policy = match text(&vector["meaning"], "drift") {
            "report" => DriftPolicy::Report,
            "restore" => DriftPolicy::Restore,
            other => panic!("{other}?"),
        };
        assert_eq!(grant.parameters.drift, Some(policy));
    }
    for vector in &packets {
        accepted_with_a_voucher(vector);
    }
    assert_eq!((grants.len(), packets.len()), (2, 1));
}

fn accepted_with_a_voucher(vector: &Value) {
    let mut bench = Bench::vouched();
    let answer = bench.give(&bytes(vector, "datagram")).pop().expect("an answer");
    let Ok(Message::Result(result)) = wire::decode(&answer) else { panic!("no result") };
    let result = result.verify(&device().public(), &exported(&vector["hpke"])).expect("it verifies");
    assert_eq!(result.status, Status::Success { committed: false }, "{}", vector["name"]);
}

fn exported(of: &Value) -> ExportedKey {
    let bytes = [&[0x58, 0x20][..], &bytes(of, "exported_key")].concat();
    wire::from_cbor(&bytes).expect("32 bytes")
}

pub(crate) fn results(vectors: &[Value], configs: &[Value]) {
    for vector in vectors {
        let Message::Result(packet) = decoded(vector) else { panic!("another kind") };
        assert_eq!(packet.claimed_uid(), Some(uid()));
        let answered = configs.iter().find(|config| config["name"] == vector["answers"]).expect("its packet");
        let result = packet.verify(&device().public(), &exported(&answered["hpke"])).expect("it verifies");
        let meaning = &vector["meaning"];
        assert_eq!(result.packet.0, array(answered, "datagram_sha256"));
        assert_eq!(result.request, RequestId(array(meaning, "request")));
        assert_eq!(result.boot, BootId(array(meaning, "boot")));
        let status = &meaning["status"];
        match result.status {
            Status::Success { committed } => assert_eq!(status["committed"].as_bool(), Some(committed)),
            Status::Failed { reason, detail, next_key } => {
                assert_eq!(reason.code(), text(status, "code"));
                assert_eq!(detail.as_deref(), status["detail"].as_str());
                assert_eq!(next_key.map(|key| hex(&key.0)).as_deref(), status["next_key"].as_str());
            }
            Status::Unconfigured { stage, percent, ask_again_ms } => {
                assert_eq!((stage as u64, u64::from(percent)), (number(status, "stage"), number(status, "percent")));
                assert_eq!(u64::from(ask_again_ms), number(status, "ask_again_ms"));
            }
        }
        payload(vector, device().public(), Purpose::Result);
    }
}

pub(crate) fn kick_starts(vectors: &[Value], configs: &[Value]) {
    for (vector, config) in vectors.iter().zip(configs) {
        let Message::KickStart(packet) = decoded(vector) else { panic!("another kind") };
        let kick = packet.verify(&console().public(), &exported(&config["hpke"])).expect("it verifies");
        assert_eq!(kick.request.0, array(&vector["meaning"], "request"));
        assert_eq!(kick.seq.0.to_string(), text(&vector["meaning"], "seq"));
        payload(vector, console().public(), Purpose::KickStart);
    }
}

pub(crate) fn refused_datagram(vector: &Value) -> Option<String> {
    let reason = match wire::decode(&bytes(vector, "datagram")).err()? {
        DecodeError::TooLong(_) => "too_long",
        DecodeError::Magic => "magic",
        DecodeError::Version(_) => "version",
        DecodeError::Kind(_) => "kind",
        DecodeError::Body => "body",
    };
    Some(reason.to_owned())
}

pub(crate) fn refused_message(vector: &Value) -> Option<String> {
    match decoded(vector) {
        Message::Ping(packet) => {
            packet.question().err()?;
            Some(text(vector, "reason").to_owned())
        }
        Message::Config(packet) => match packet.open(&one_time_key(0), Some(&claim_key()), None) {
            Err(OpenError::Grant) => Some("grant".to_owned()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused_signature(vector: &Value) -> Option<String> {
    let (_, exported) = messages::packets()[0].build();
    let refused = match decoded(vector) {
        Message::Here(packet) => packet.verify().is_err(),
        Message::Result(packet) => packet.verify(&device().public(), &exported).is_err(),
        Message::KickStart(packet) => packet.verify(&console().public(), &exported).is_err(),
        other => panic!("{other:?}"),
    };
    refused.then(|| text(vector, "reason").to_owned())
}

/// An appliance with the keys of `keys.json`, to talk to.
pub(crate) struct Bench {
    appliance: Appliance,
    pub(crate) now: Millis,
    events: Vec<Event>,
}

pub(crate) fn peer() -> Peer {
    Peer { interface: 1, address: SocketAddr::from(([192, 0, 2, 200], 40_000)) }
}

impl Bench {
    /// One that has answered the first ping of `ping.json`.
    pub(crate) fn new() -> Bench {
        Bench::of(Proof::Claim, None)
    }

    /// The same one with an image that names the vendor of `voucher.json`.
    fn vouched() -> Bench {
        Bench::of(Proof::Voucher, Some(vendor().public()))
    }

    fn of(proof: Proof, vendor: Option<PublicKey>) -> Bench {
        let profile = Profile {
            device: device(),
            mac: MAC,
            boot: crate::make::parties::BOOT,
            proof,
            claim: Some(claim_key()),
            vendor,
        };
        let entropy = Box::new(Given::new([one_time_secret(0), one_time_secret(1)]));
        let appliance = Appliance::new(Millis(0), profile, None, entropy).expect("a new one");
        let mut bench = Bench { appliance, now: Millis(0), events: Vec::new() };
        assert_eq!(bench.give(&messages::plain_ping().to_plain()).len(), 1);
        bench
    }

    /// One that was configured by the first packet of `config.json`, and has answered a second ping.
    pub(crate) fn configured() -> Bench {
        let mut bench = Bench::new();
        let (packet, exported) = messages::packets()[0].build();
        bench.give(&packet);
        let kick = muster_protocol::wire::kick::KickStart {
            uid: uid(),
            request: messages::packets()[0].request,
            seq: messages::first_grant().seq,
        };
        let last = bench.give(&kick.to_datagram(&console(), &exported)).pop().expect("an answer");
        let Ok(Message::Result(result)) = wire::decode(&last) else { panic!("no result") };
        let result = result.verify(&device().public(), &exported).expect("it verifies");
        assert_eq!(result.status, Status::Success { committed: true });
        let ping = muster_protocol::wire::ping::Ping { id: PingId([7; 16]), ..messages::plain_ping() };
        assert_eq!(bench.give(&ping.to_plain()).len(), 1);
        bench
    }

    /// Tells it something that is no datagram; why a hand-over was refused, if one was.
    fn say(&mut self, input: Input<'_>) -> Option<Reason> {
        self.appliance.handle_input(self.now, input);
        let mut refused = None;
        while let Some(output) = self.appliance.poll_output() {
            match output {
                Output::Persist { token, .. } => self.appliance.handle_input(self.now, Input::Persisted(token)),
                Output::Notify(muster_protocol::appliance::Event::HandoverRefused { reason }) => refused = Some(reason),
                _ => {}
            }
        }
        refused
    }

    /// Gives it a datagram, does at once what it asks for, and returns what it sends.
    pub(crate) fn give(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.give_input(Input::Datagram { peer: peer(), bytes })
    }

    /// The time that the vector says it knows.
    fn known_time(&mut self, vector: &Value) {
        if let Some(time) = vector["known_time"].as_str() {
            self.give_input(Input::NocTime(UnixTime(time.parse().expect("a number"))));
        }
    }

    fn give_input(&mut self, input: Input<'_>) -> Vec<Vec<u8>> {
        self.appliance.handle_input(self.now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.appliance.poll_output() {
            match output {
                Output::Persist { token, .. } => self.appliance.handle_input(self.now, Input::Persisted(token)),
                Output::Apply { .. } => self.appliance.handle_input(self.now, Input::Applied(Ok(()))),
                Output::RollBack { .. } => self.appliance.handle_input(self.now, Input::RolledBack),
                Output::Transmit { bytes, .. } => sent.push(bytes),
                Output::Notify(event) => self.events.push(event),
                Output::Commit { .. } | Output::StartBeats { .. } | Output::StopBeats => {}
                Output::CarryOut { .. } | Output::Forget { .. } => {}
            }
        }
        sent
    }
}

pub(crate) fn handovers(vectors: &[Value]) {
    for vector in vectors {
        let (name, meaning) = (text(vector, "name"), &vector["meaning"]);
        match text(vector, "part") {
            "statement" => {
                let handover = Handover::verify(&root().public(), &bytes(&vector["cose"], "bytes")).expect(name);
                assert_eq!(handover.uid.to_string(), text(meaning, "uid"));
                assert_eq!(handover.seq.0.to_string(), text(meaning, "seq"));
                assert_eq!(handover.serial.0.to_string(), text(meaning, "serial"));
                assert_eq!(handover.expires.0.to_string(), text(meaning, "expires"));
                is_successor(&handover.to, &meaning["to"]);
            }
            "offer" => {
                let offer = Successor::of_offer(&bytes(&vector["cose"], "bytes")).expect(name);
                is_successor(&offer, meaning);
            }
            _ => {
                let mut bench = Bench::configured();
                if let Some(time) = vector["known_time"].as_str() {
                    bench.say(Input::NocTime(UnixTime(time.parse().expect("a time"))));
                }
                let refused = bench.say(Input::Handover(&bytes(vector, "bytes")));
                assert_eq!(refused.map(|reason| reason.code()), Some(text(vector, "reason")), "{name}");
                assert_eq!(refused.map(|reason| reason as u64), Some(number(vector, "reason_number")), "{name}");
            }
        }
    }
    let mut bench = Bench::configured();
    let good = bytes(&vectors[0]["cose"], "bytes");
    assert_eq!(bench.say(Input::Handover(&good)), None);
    assert!(bench.appliance.trial(bench.now).is_some(), "the positive control");
}

fn is_successor(successor: &Successor, meaning: &Value) {
    assert_eq!(successor.noc, text(meaning, "noc"));
    assert_eq!((successor.ca_pin, successor.root.0), (array(meaning, "ca_pin"), array(meaning, "root")));
}

pub(crate) fn refused_by_appliance(vector: &Value) -> Option<String> {
    let is_configured = vector["configured"].as_bool().expect("a bool");
    let mut bench = if is_configured { Bench::configured() } else { Bench::new() };
    let sent = bench.give(&bytes(vector, "datagram"));
    let [answer] = sent.as_slice() else { panic!("{} answers", sent.len()) };
    let Ok(Message::Result(packet)) = wire::decode(answer) else { panic!("no result") };
    let result = untagged(&packet);
    assert_eq!(result.uid, Uid::of(&device().public()));
    let Status::Failed { reason, next_key, .. } = result.status else { panic!("{:?}", result.status) };
    assert_eq!(reason as u64, number(vector, "reason_number"));
    assert!(next_key.is_some());
    Some(reason.code().to_owned())
}

/// A result that carries no tag: FAILED is believed, whatever exported key is tried.
fn untagged(packet: &ResultPacket) -> ConfigResult {
    let nobodys: ExportedKey = wire::from_cbor(&[&[0x58, 0x20][..], &[0; 32]].concat()).expect("32 bytes");
    packet.verify(&device().public(), &nobodys).expect("FAILED without a tag")
}
