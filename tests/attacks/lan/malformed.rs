//! Datagrams that are not what they should be: other encodings, cut short, too long, in pieces, or sent back.

use crate::bench::Bench;
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::keys::OpenKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Credential;
use muster_protocol::id::{ConsoleId, Seq};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::result::{Reason, Status};
use muster_protocol::wire::{MAX_DATAGRAM, PORT, to_cbor};
use std::net::SocketAddr;
use std::time::Duration;
use system_tests::attacker::encodings::{bytes, map, other_datagrams, others};
use system_tests::attacker::frame::{EVERYBODY, Mail, group_mac};
use system_tests::attacker::owner::{Sent, address, ask, deliver, order, question, reason};
use system_tests::attacker::station::{WAYS, Way};

/// A ping by the console, with a credential that lets it see settings.
fn signed_question(bench: &Bench) -> (Ping, Vec<u8>) {
    let credential = Credential {
        console: ConsoleId(1),
        key: bench.owner.console.public(),
        sites: vec![bench.owner.site],
        expires: UnixTime(u64::MAX),
    };
    let credential = sign::sign(&bench.owner.root, Purpose::Credential, to_cbor(&credential));
    let reply_key = Some(OpenKey::generate(&mut OsEntropy).public());
    let ping = Ping { reply_key, credential: Some(credential.into()), ..question(None) };
    let datagram = ping.to_signed(&bench.owner.console);
    (ping, datagram)
}

/// A configured appliance with an attempt that waits for its kick-start, and every kind of message that it takes or makes.
struct Provisional {
    bench: Bench,
    sent: Sent,
    kick: Vec<u8>,
    signed_ping: Vec<u8>,
    next: Sent,
}

fn provisional(name: &str) -> Provisional {
    let bench = Bench::by_hand(name, 1);
    let (owner, one) = (&bench.owner, &bench.subjects[0]);
    owner.configure(&bench.desk, one, 1);
    let here = ask(&bench.desk, one, Way::Six).expect("an answer");
    let sent = owner.packet(one, &here, &owner.grant(one, 2));
    assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }));
    let here = ask(&bench.desk, one, Way::Six).expect("an answer");
    let next = owner.packet(one, &here, &owner.grant(one, 3));
    let (kick, signed_ping) = (owner.kick(&sent), signed_question(&bench).1);
    Provisional { bench, sent, kick, signed_ping, next }
}

impl Provisional {
    /// Sends all of it to everybody; not one is answered, and the appliance stays provisional.
    fn silent_for(&self, what: &str, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        let (bench, one) = (&self.bench, &self.bench.subjects[0]);
        let before = bench.picture(1);
        let mark = bench.attacker.wire.mark();
        for (n, datagram) in datagrams.into_iter().enumerate() {
            bench.attacker.station.call(WAYS[n % 2], &datagram);
            std::thread::sleep(Duration::from_micros(700));
        }
        let answers = bench.answers(mark, one, bench.attacker.station.port);
        assert!(answers.is_empty(), "{what}: {answers:?}");
        assert_eq!(bench.picture(1), before, "{what}");
        assert_eq!(bench.lab.agent_status(1)["state"], "provisional", "{what}");
    }

    /// The originals of all that was spoiled are answered, and the appliance is configured once more.
    fn end(self) {
        let Provisional { bench, sent, kick, signed_ping, next } = self;
        let (owner, one, station) = (&bench.owner, &bench.subjects[0], &bench.attacker.station);
        for ping in [question(None).to_plain(), signed_ping] {
            let mark = bench.attacker.wire.mark();
            station.say(&ping);
            assert!(!bench.answers(mark, one, station.port).is_empty(), "a ping that is not spoiled is answered");
        }
        assert_eq!(reason(deliver(station, &next.bytes, &next)), Some(Reason::Busy), "so is a packet");
        assert_eq!(deliver(station, &kick, &sent), Some(Status::Success { committed: true }), "and a kick-start");
        assert_eq!(deliver(station, &next.bytes, &next), Some(Status::Success { committed: false }));
        assert_eq!(deliver(station, &owner.kick(&next), &next), Some(Status::Success { committed: true }));
        owner.configure(&bench.desk, one, 4);
    }
}

#[test]
fn no_other_encoding_of_any_message_is_answered() {
    let now = provisional("fe");
    let (owner, one) = (&now.bench.owner, &now.bench.subjects[0]);
    let every = |original: &[u8]| other_datagrams(original).into_iter().map(|(_, form)| form).collect::<Vec<_>>();
    now.silent_for("plain ping", every(&question(None).to_plain()));
    now.silent_for("signed ping", every(&now.signed_ping));
    now.silent_for("config packet", every(&now.next.bytes));
    now.silent_for("config packet of this attempt", every(&now.sent.bytes));
    now.silent_for("kick-start", every(&now.kick));

    // One layer deeper: what is inside is written differently, and what is around it is right.
    let ping = |body: Vec<u8>| [b"MUST\x01\x01", &body[..]].concat();
    let padding = bytes(&[0; 600]);
    let plain = to_cbor(&question(None));
    let inside = others(&plain).into_iter().map(|(_, form)| ping(map(&[(0, bytes(&form)), (2, padding.clone())])));
    now.silent_for("inside a plain ping", inside);
    let signed = |purpose, form: &[u8]| sign::sign(&owner.console, purpose, form.to_vec());
    let (question, _) = signed_question(&now.bench);
    let forms = others(&to_cbor(&question)).into_iter();
    let by_console =
        forms.map(|(_, form)| ping(map(&[(1, bytes(&signed(Purpose::Ping, &form))), (2, padding.clone())])));
    now.silent_for("signed inside a ping", by_console);
    let both = map(&[(0, bytes(&plain)), (1, bytes(&signed(Purpose::Ping, &plain))), (2, padding.clone())]);
    now.silent_for("a ping plain and signed", [ping(both), ping(map(&[(2, padding.clone())]))]);
    let cose = sign::sign(&owner.console, Purpose::Ping, to_cbor(&question));
    let envelopes = others(&cose).into_iter();
    now.silent_for(
        "a ping's signature",
        envelopes.map(|(_, form)| ping(map(&[(1, bytes(&form)), (2, padding.clone())]))),
    );
    let kick = |signed: &[u8]| {
        let tag = now.sent.exported.tag(signed);
        let body = map(&[(0, bytes(&one.uid.0)), (1, bytes(signed)), (2, bytes(&tag))]);
        [b"MUST\x01\x05", &body[..]].concat()
    };
    let words = map(&[(0, bytes(&one.uid.0)), (1, bytes(&now.sent.request.0)), (2, vec![2])]);
    let right = signed(Purpose::KickStart, &words);
    assert_eq!(kick(&right), now.kick, "written by hand it is the same");
    now.silent_for("a kick-start's words", others(&words).iter().map(|(_, f)| kick(&signed(Purpose::KickStart, f))));
    now.silent_for("a kick-start's signature", others(&right).iter().map(|(_, form)| kick(form)));
    // A signature for another purpose is none.
    now.silent_for("a kick-start signed as a ping", [kick(&signed(Purpose::Ping, &words))]);
    now.end();
}

#[test]
fn a_packet_that_opens_and_holds_another_encoding_changes_nothing() {
    let bench = Bench::by_hand("fi", 1);
    let (owner, one) = (&bench.owner, &bench.subjects[0]);
    let here = ask(&bench.desk, one, Way::Six).expect("an answer");
    let before = bench.picture(1);
    let signed = owner.signed(&owner.grant(one, 1));
    // Each costs one of the few openings that an appliance allows at once, so only the forms that parsers differ in.
    let wanted = ["a trailing zero", "a duplicate key", "keys in another order", "an unknown key"];
    let forms = |item: &[u8]| others(item).into_iter().filter(|(name, _)| wanted.contains(name)).collect::<Vec<_>>();
    let deliver_order = |to: &_, order: &[u8], name: &str, expected| {
        let sent = owner.seal(Some(&one.claim), here.device_key, Seq(1), to, order);
        assert_eq!(reason(deliver(&bench.attacker.station, &sent.bytes, &sent)), Some(expected), "{name}");
    };
    let to = address(one, here.one_time_key);
    let orders = forms(&order(&signed, &to));
    assert_eq!(orders.len(), wanted.len());
    for (name, form) in orders {
        deliver_order(&to, &form, name, Reason::WrongConsole);
    }
    for (name, form) in forms(&to_cbor(&owner.grant(one, 1))) {
        let grant = sign::sign(&owner.root, Purpose::Grant, form);
        deliver_order(&to, &order(&grant, &to), name, Reason::WrongRoot);
    }
    // Signed for another attempt, in an envelope for this one.
    let elsewhere = address(one, here.one_time_key);
    deliver_order(&to, &order(&signed, &elsewhere), "another attempt", Reason::NotOpened);
    assert_eq!(bench.picture(1), before);
    let right = owner.seal(Some(&one.claim), here.device_key, Seq(1), &to, &order(&signed, &to));
    assert_eq!(
        deliver(&bench.desk, &right.bytes, &right),
        Some(Status::Success { committed: false }),
        "the key is still there"
    );
}

#[test]
fn no_message_cut_at_any_length_is_answered() {
    let now = provisional("fc");
    let whole = [question(None).to_plain(), now.signed_ping.clone(), now.next.bytes.clone(), now.kick.clone()];
    for message in &whole {
        let kind = format!("kind {}", message[5]);
        now.silent_for(&kind, (0..message.len()).map(|length| message[..length].to_vec()));
    }
    now.end();
}

#[test]
fn oversized_and_fragmented_datagrams_harm_nobody() {
    let now = provisional("fo");
    let padded = |length: usize| {
        let plain = bytes(&to_cbor(&question(None)));
        // Magic, version, kind, a map of two, two keys, three bytes of the padding's length.
        let padding = length - 6 - 1 - 2 - plain.len() - 3;
        let body = map(&[(0, plain), (2, bytes(&vec![0; padding]))]);
        [b"MUST\x01\x01", &body[..]].concat()
    };
    now.silent_for("too long", [MAX_DATAGRAM + 1, MAX_DATAGRAM + 2, 1_400, 1_472].map(padded));
    let (bench, one) = (&now.bench, &now.bench.subjects[0]);
    let mark = bench.attacker.wire.mark();
    bench.attacker.station.say(&padded(MAX_DATAGRAM));
    let answers = bench.answers(mark, one, bench.attacker.station.port);
    assert_eq!(answers.len(), 2, "the longest allowed is answered, once for each family");

    // In pieces: longer than a frame, and thousands of first pieces whose rest never comes.
    let mail = |way: Way, payload: Vec<u8>| {
        let (from, to, target) = match way {
            Way::Four => ("10.20.0.66:4000", "255.255.255.255:6878", EVERYBODY),
            Way::Six => ("[fe80::66]:4000", "[ff12::6878]:6878", group_mac(muster_protocol::wire::GROUP)),
        };
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        Mail { source: bench.attacker.wire.mac, target, from: address(from), to: address(to), payload }
    };
    let mark = bench.attacker.wire.mark();
    for (id, way) in (0..2_000_u16).flat_map(|id| WAYS.map(|way| (id, way))) {
        let long = if id % 500 == 0 { Some(mail(way, padded(9_000))) } else { None };
        for fragment in long.iter().flat_map(|mail| mail.fragments(1_400, id)) {
            bench.attacker.wire.send(&fragment);
        }
        let first = mail(way, padded(2_000)).fragments(1_400, 10_000 + id).remove(0);
        bench.attacker.wire.send(&first);
    }
    assert!(bench.answers(mark, one, 4_000).is_empty());
    assert_eq!(bench.lab.agent_status(1)["state"], "provisional");
    now.end();
}

#[test]
fn answers_that_are_sent_back_are_not_answered() {
    let bench = Bench::by_hand("fr", 2);
    let owner = &bench.owner;
    for subject in &bench.subjects {
        owner.configure(&bench.desk, subject, 1);
    }
    let mails = bench.attacker.wire.since(0);
    let answers: Vec<_> = mails.iter().filter(|mail| matches!(mail.kind(), Some(2 | 4))).cloned().collect();
    assert!(answers.iter().any(|mail| mail.kind() == Some(2)) && answers.iter().any(|mail| mail.kind() == Some(4)));
    let before = [bench.picture(1), bench.picture(2)];
    let mark = bench.attacker.wire.mark();
    for answer in &answers {
        bench.attacker.station.say(&answer.payload);
        std::thread::sleep(Duration::from_millis(1));
    }
    for subject in &bench.subjects {
        assert!(bench.answers(mark, subject, bench.attacker.station.port).is_empty());
    }
    // A ping that names another appliance as its sender: that one gets an answer on the port where it listens, and lets it be.
    let six = |subject: usize| {
        let mail = mails.iter().find(|mail| mail.source == bench.subjects[subject].mac.0 && mail.from.is_ipv6());
        mail.expect("it answered by IPv6").from
    };
    let (one, two) = (six(0), six(1));
    let ping = Mail {
        source: bench.attacker.wire.mac,
        target: bench.subjects[0].mac.0,
        from: SocketAddr::new(two.ip(), PORT),
        to: SocketAddr::new(one.ip(), PORT),
        payload: question(Some(bench.subjects[0].uid)).to_plain(),
    };
    let mark = bench.attacker.wire.mark();
    bench.attacker.wire.send(&ping.frame());
    let reflected = bench.attacker.wire.find(mark, Duration::from_secs(3), |mail| mail.to == ping.from);
    assert_eq!(reflected.expect("the reflection").kind(), Some(2));
    let loops = bench.answers(mark, &bench.subjects[1], PORT);
    assert!(loops.is_empty(), "{loops:?}");
    assert_eq!([bench.picture(1), bench.picture(2)], before);
    for subject in &bench.subjects {
        owner.configure(&bench.desk, subject, 2);
    }
}
