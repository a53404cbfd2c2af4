//! A crowd of appliances that do not exist.

use crate::bench::{Bench, Command, steps};
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::random;
use muster_protocol::id::Mac;
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::{self, Message, PORT};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use system_tests::attacker::frame::{Mail, mail};
use system_tests::attacker::rogue::Rogue;

/// The peak of a process's memory in MiB, as long as it runs.
fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1_024)
}

#[test]
fn a_flood_of_invented_appliances_hides_nobody_and_stays_bounded() {
    let bench = Bench::with_console("kf", 2);
    // The newest question of the console, and where it waits for the answer.
    let newest: Arc<Mutex<Option<(Ping, Mail)>>> = Arc::default();
    let slot = Arc::clone(&newest);
    let source = bench.lab.ip("console", "-o link show dev eth0");
    let source = source.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a MAC");
    let console: Mac = source.parse().expect("a MAC");
    bench.attacker.wire.watch(move |frame| {
        let Some(mail) = mail(frame).filter(|mail| mail.source == console.0 && mail.from.is_ipv6()) else { return };
        if let Ok(Message::Ping(packet)) = wire::decode(&mail.payload)
            && let Ok(ping) = packet.question()
        {
            *slot.lock().expect("not poisoned") = Some((ping, mail));
        }
    });
    // Answers of as many as there is time for, each good and signed by a key of its own; beside each, one that is spoiled
    // and one that is noise.
    let (good, junk, ended) =
        (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let (send, mac) = (bench.attacker.wire.sender(), bench.attacker.wire.mac);
    let (goods, junks, stop) = (Arc::clone(&good), Arc::clone(&junk), Arc::clone(&ended));
    let flood = std::thread::spawn(move || {
        let mut asked = None;
        while !stop.load(Ordering::Relaxed) {
            if let Some(newer) = newest.lock().expect("not poisoned").take() {
                asked = Some(newer);
            }
            let Some((ping, question)) = &asked else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let mut rogue = Rogue::new(Mac(random(&mut OsEntropy)));
            rogue.device = SecretKey::generate(&mut OsEntropy);
            let whole = rogue.here(ping).to_datagram(&rogue.device);
            let mut spoiled = whole.clone();
            *spoiled.last_mut().expect("not empty") ^= 1;
            let mut noise = b"MUST\x01\x02".to_vec();
            noise.extend(random::<200>(&mut OsEntropy));
            for payload in [whole, spoiled, noise] {
                let from = SocketAddr::new(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66).into(), PORT);
                let answer = Mail { source: mac, target: question.source, from, to: question.from, payload };
                send(&answer.frame());
            }
            goods.fetch_add(1, Ordering::Relaxed);
            junks.fetch_add(2, Ordering::Relaxed);
        }
    });
    let real = || bench.subjects.iter().map(|subject| subject.uid.to_string()).collect::<Vec<_>>();
    let measured = |args: &[&str]| {
        let running = Command::start(&bench.lab, args);
        let (pid, begun) = (running.id(), Instant::now());
        let peak = Arc::<AtomicUsize>::default();
        let highest = Arc::clone(&peak);
        std::thread::spawn(move || {
            while let Some(mib) = peak_mib(pid) {
                highest.fetch_max(mib as usize, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let ended = running.wait();
        (ended, begun.elapsed(), peak.load(Ordering::Relaxed))
    };
    let ((code, out, err), took, peak) = measured(&["discover"]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {code} {err}"));
    let rows = found["appliances"].as_array().expect("rows");
    let invented = rows.len();
    for uid in real() {
        assert!(rows.iter().any(|row| row["uid"] == uid.as_str()), "{uid} was not heard among {invented}");
    }
    assert!(invented <= 65_536 + 2 && peak < 400, "{invented} rows, {peak} MiB");
    assert!(took < Duration::from_secs(60), "{took:?}");

    let ((code, out, err), took, peak) = measured(&["configure", "--all-unconfigured"]);
    ended.store(true, Ordering::Relaxed);
    flood.join().expect("the flood");
    let (good, junk) = (good.load(Ordering::Relaxed), junk.load(Ordering::Relaxed));
    let job: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {code} {}", &err[..err.len().min(2_000)]));
    assert_eq!(steps(&job), ["configured", "configured"], "{job}");
    assert!(peak < 400 && took < Duration::from_secs(90), "{peak} MiB, {took:?}");
    assert!(good > 1_000 && invented > 500, "{good} signed answers, {junk} spoiled, {invented} rows");
}
