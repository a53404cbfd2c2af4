//! Attacks on the console: on its jobs, and on what it makes of answers.

use crate::bench::{Bench, Command, attempts, steps};
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::id::{BootId, Seq};
use muster_protocol::wire::config::PacketHash;
use muster_protocol::wire::result::{ConfigResult, Status};
use muster_protocol::wire::{self, Message, PORT, to_cbor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use system_tests::attacker::STRANGER;
use system_tests::attacker::encodings::{other_datagrams, others};
use system_tests::attacker::frame::{EVERYBODY, Mail, arp_answer, arp_question, mail};
use system_tests::attacker::owner::{Owner, address, order};
use system_tests::attacker::rogue::Rogue;
use system_tests::attacker::station::Station;
use system_tests::wait::until;

/// A forged datagram to everybody on our port.
fn to_everybody(source: [u8; 6], payload: Vec<u8>) -> Mail {
    let (from, to) = (SocketAddr::from(([10, 20, 0, 66], 4_444)), SocketAddr::from(([255; 4], PORT)));
    Mail { source, target: EVERYBODY, from, to, payload }
}

#[test]
fn unverified_packets_burn_neither_the_key_nor_the_number_of_a_job() {
    let bench = Bench::with_console("kb", 1);
    let one = bench.subjects[0].clone();
    // As soon as the appliance has named a key, and before the console can use it, the stranger does, with a high number.
    let (stranger, send, mac) = (Owner::new(1), bench.attacker.wire.sender(), bench.attacker.wire.mac);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    bench.attacker.wire.watch(move |frame| {
        let Some(Ok(Message::Here(packet))) = mail(frame).map(|mail| wire::decode(&mail.payload)) else { return };
        let Ok(here) = packet.verify() else { return };
        // Not more than the appliance opens at once: that limit has a test of its own.
        if here.uid() == one.uid && count.load(Ordering::Relaxed) < 6 {
            let to = address(&one, here.one_time_key);
            let order = order(&stranger.signed(&stranger.grant(&one, 1_000)), &to);
            let guessed = ClaimKey([1; 32]);
            for claim in [None, Some(&guessed)] {
                let payload = stranger.seal(claim, here.device_key, Seq(1_000), &to, &order).bytes;
                send(&to_everybody(mac, payload).frame());
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let job = bench.configure_all();
    assert!(sent.load(Ordering::Relaxed) >= 2 && bench.times_logged(1, "not_opened") >= 1, "the stranger was first");
    assert_eq!((steps(&job), attempts(&job)), (vec!["configured".to_owned()], vec![1]), "{job}");
    assert_eq!(bench.lab.agent_status(1)["seq"], 1);
}

#[test]
fn success_is_neither_forged_nor_replayed() {
    let bench = Bench::with_console("ks", 1);
    let one = bench.subjects[0].clone();
    let job = bench.configure_all();
    assert_eq!(steps(&job), ["configured"]);
    let recorded: Vec<_> = bench.attacker.wire.recorded().into_iter().filter(|p| matches!(p[5], 2 | 4)).collect();
    assert!(recorded.iter().any(|payload| payload[5] == 4));
    let plan = bench.plan_again(&job, "10.20.0.150");

    // The appliance falls silent once it was discovered, so that nobody but the stranger answers the packet.
    let mark = bench.attacker.wire.mark();
    let running = Command::start(&bench.lab, &["configure", "--plan", &plan]);
    bench.attacker.wire.find(mark, Duration::from_secs(20), |mail| mail.kind() == Some(2)).expect("an answer");
    let pid = bench.lab.agent_pid(1).to_string();
    let signal = |name: &str| system_tests::process::succeed(std::process::Command::new("kill").args([name, &pid]));
    signal("-STOP");
    // The console goes on looking for others, and for the one that no longer answers, before it begins.
    let packet = bench.attacker.wire.find(mark, Duration::from_secs(90), |mail| mail.kind() == Some(3));
    let packet = packet.expect("the packet of the second job");
    let Ok(Message::Config(config)) = wire::decode(&packet.payload) else { panic!("a config packet") };
    let stranger = SecretKey::generate(&mut OsEntropy);
    let junk = Owner::new(1);
    let here = Rogue::new(one.mac).here(&system_tests::attacker::owner::question(None));
    let exported = junk.packet(&one, &here, &junk.grant(&one, 1)).exported;
    let mut forged = recorded;
    for committed in [false, true] {
        for uid in [one.uid, muster_protocol::id::Uid::of(&stranger.public())] {
            let result = ConfigResult {
                uid,
                request: config.to.request,
                packet: PacketHash::of(&packet.payload),
                seq: Seq(2),
                boot: BootId([1; 16]),
                status: Status::Success { committed },
            };
            forged.push(result.to_datagram(&stranger, Some(&exported)));
            forged.push(result.to_datagram(&stranger, None));
        }
    }
    for _ in 0..20 {
        for payload in &forged {
            // In the appliance's name, to the port that the packet came from.
            let answer = Mail {
                source: one.mac.0,
                target: packet.source,
                from: SocketAddr::new(packet.to.ip(), PORT),
                to: packet.from,
                payload: payload.clone(),
            };
            let answer = match packet.from {
                SocketAddr::V4(_) => Mail { from: SocketAddr::from(([10, 20, 0, 120], PORT)), ..answer },
                SocketAddr::V6(_) => Mail { from: SocketAddr::new(link_local(one.mac.0), PORT), ..answer },
            };
            bench.attacker.wire.send(&answer.frame());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let kicks = bench.attacker.wire.since(mark).iter().filter(|mail| mail.kind() == Some(5)).count();
    assert_eq!(kicks, 0, "no kick-start follows what is no SUCCESS");
    let jobs = bench.lab.muster(&["job", "list"]);
    let last = jobs.as_array().and_then(|jobs| jobs.iter().find(|job| job["finished"].is_null()));
    let last = last.unwrap_or_else(|| panic!("one job is unfinished: {jobs}"));
    assert_ne!(last["items"][0]["step"], "configured", "{jobs}");

    signal("-CONT");
    let (code, out, _) = running.wait();
    let job: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, steps(&job)), (0, vec!["configured".to_owned()]), "{job}");
    let kernel = bench.lab.ip("a1", "-4 -o addr show dev eth0 scope global");
    assert!(kernel.contains("10.20.0.150/24"), "{kernel}");
}

#[test]
fn an_old_grant_in_the_consoles_hands_is_refused_and_replaced() {
    let bench = Bench::with_console("ko", 1);
    // Somebody with the same keys has configured it before, with a number that this NOC has not come to yet.
    bench.owner.configure(&bench.desk, &bench.subjects[0], 50);
    let plan = bench.lab.folder().join("plan.csv").display().to_string();
    bench.discover_all();
    bench.lab.muster(&["plan", "--only", &bench.subjects[0].uid.to_string(), "--out", &plan]);
    let job = bench.lab.muster(&["configure", "--plan", &plan]);
    assert!(bench.times_logged(1, "old_sequence") >= 1, "the NOC's first number is an old one");
    assert_eq!(steps(&job), ["configured"], "{job}");
    assert!(bench.lab.agent_status(1)["seq"].as_u64() > Some(50));
}

#[test]
fn of_two_claimants_of_one_mac_only_the_known_one_is_configured() {
    let bench = Bench::with_console("km", 1);
    let one = &bench.subjects[0];
    let rogue = Rogue::new(one.mac);
    let uid = rogue.uid();
    let place = Station::open_at(&bench.lab.netns_file(STRANGER), PORT);
    let acting = rogue.act(place, |rogue, _, message| match message {
        Message::Ping(packet) => {
            packet.question().map(|ping| vec![rogue.here(&ping).to_datagram(&rogue.device)]).unwrap_or_default()
        }
        _ => Vec::new(),
    });
    let found = until("both claimants", Duration::from_secs(20), || {
        let found = bench.lab.muster(&["discover"]);
        if found["appliances"].as_array().is_some_and(|rows| rows.len() == 2) {
            Ok(found)
        } else {
            Err(found.to_string())
        }
    });
    for row in found["appliances"].as_array().expect("rows") {
        let real = row["uid"] == one.uid.to_string();
        assert_eq!(row["state"], if real { "unconfigured" } else { "unclaimed" }, "{row}");
        let other = if real { uid } else { one.uid };
        let conflict = format!("MAC {} with {}", one.mac, other.short());
        assert_eq!(row["conflicts"], serde_json::json!([conflict]), "{row}");
    }
    let (code, out, err) = Command::start(&bench.lab, &["configure", "--all-unconfigured"]).wait();
    let job: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert_eq!((code, steps(&job)), (3, vec!["configured".to_owned()]), "one is left out: {job} {err}");
    assert_eq!(job["items"][0]["uid"], one.uid.to_string());
    assert!(err.contains(&uid.to_string()), "it is named: {err}");
    assert!(acting.packets().is_empty(), "and got nothing");
    let packets = bench.attacker.wire.since(0).into_iter().filter(|mail| mail.kind() == Some(3));
    assert!(packets.into_iter().all(|mail| !mail.payload.windows(20).any(|window| window == uid.0)));
}

#[test]
fn no_other_encoding_of_an_answer_makes_an_appliance() {
    let bench = Bench::with_console("ke", 1);
    let spoiled = Rogue::new(muster_protocol::id::Mac([2, 0, 0, 0, 9, 9]));
    let right = Rogue::new(muster_protocol::id::Mac([2, 0, 0, 0, 9, 8]));
    let (never, control) = (spoiled.uid(), right.uid());
    let place = Station::open_at(&bench.lab.netns_file(STRANGER), PORT);
    let _acting = spoiled.act(place, move |spoiled, received, message| {
        // By IPv6 alone: the console hears it well, and the receive buffer holds it.
        let (Message::Ping(packet), true) = (message, received.from.is_ipv6()) else { return Vec::new() };
        let Ok(ping) = packet.question() else { return Vec::new() };
        let here = spoiled.here(&ping);
        let whole = here.to_datagram(&spoiled.device);
        let mut answers: Vec<_> = other_datagrams(&whole).into_iter().map(|(_, form)| form).collect();
        answers.extend((0..whole.len()).map(|length| whole[..length].to_vec()));
        answers.extend([0, 7, 32].map(|more| [&whole[..], &vec![0; 1_232 - whole.len() + more]].concat()));
        let inside = others(&to_cbor(&here)).into_iter();
        let header = |signed: Vec<u8>| [b"MUST\x01\x02", &signed[..]].concat();
        answers.extend(inside.map(|(_, form)| header(sign::sign(&spoiled.device, Purpose::Here, form))));
        answers.push(header(sign::sign(&spoiled.device, Purpose::Result, to_cbor(&here))));
        answers.push(header(sign::sign(&right.device, Purpose::Here, to_cbor(&here))));
        let earlier = system_tests::attacker::owner::question(None);
        answers.push(spoiled.here(&earlier).to_datagram(&spoiled.device));
        answers.push(right.here(&ping).to_datagram(&right.device));
        answers
    });
    until("the appliance and the control", Duration::from_secs(20), || {
        let found = bench.lab.muster(&["discover"]);
        let uids: Vec<_> = found["appliances"].as_array().into_iter().flatten().map(|row| row["uid"].clone()).collect();
        assert!(!uids.contains(&never.to_string().into()), "{found}");
        let both = [control, bench.subjects[0].uid].iter().all(|uid| uids.contains(&uid.to_string().into()));
        if both { Ok(()) } else { Err(found.to_string()) }
    });
}

#[test]
fn an_appliance_whose_address_is_always_taken_keeps_what_it_had() {
    let bench = Bench::with_console("ka", 1);
    let one = bench.subjects[0].clone();
    let job = bench.configure_all();
    assert_eq!(steps(&job), ["configured"]);
    let before = bench.picture(1);
    let plan = bench.plan_again(&job, "10.20.0.152");
    // Every address it asks for is the stranger's.
    let (send, mac, victim) = (bench.attacker.wire.sender(), bench.attacker.wire.mac, one.mac.0);
    let (answered, lying) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
    let (count, lies) = (Arc::clone(&answered), Arc::clone(&lying));
    bench.attacker.wire.watch(move |frame| match arp_question(frame) {
        Some((asker, from, wanted)) if asker == victim && lies.load(Ordering::Relaxed) == 1 => {
            send(&arp_answer(mac, wanted, asker, from));
            count.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    });
    let (code, out, err) = Command::start(&bench.lab, &["configure", "--plan", &plan]).wait();
    let job: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert_eq!((code, steps(&job)), (3, vec!["failed".to_owned()]), "{job}");
    assert_eq!(job["items"][0]["problem"]["code"], "address_taken", "{job}");
    assert!(answered.load(Ordering::Relaxed) > 0);
    let mut after = bench.picture(1);
    after[2] = before[2].clone();
    assert_eq!(after, before, "what it had before");
    assert_eq!(bench.lab.agent_status(1)["state"], "configured");
    lying.store(0, Ordering::Relaxed);
    let job = bench.lab.muster(&["configure", "--plan", &plan]);
    assert_eq!(steps(&job), ["configured"], "once the stranger is gone: {job}");
}

/// The link-local address that a MAC makes (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> std::net::IpAddr {
    let [a, b, c, d, e, f] = mac;
    std::net::Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]).into()
}
