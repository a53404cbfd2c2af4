//! Too much, too slow, too deep: whoever does it is ended with a reason, the NOC's memory stays bounded, and others are served.

mod raw;

use crate::client::{NewConsole, beat, code};
use crate::world::Beating;
use muster_protocol::api::*;
use raw::{Raw, head};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Growth that a flood of small things may cost the server: connections, buffers and the allocator's waste.
const LITTLE_MIB: u64 = 64;

/// An appliance and a console at their work; how long the slower of them waited.
async fn served(world: &Beating, counter: u64) -> Duration {
    let begun = Instant::now();
    let body = beat(1, counter, world.seqs[0]);
    let answer = world.appliances[0].post::<BeatAnswer>("appliances/beats", &body);
    let beat = async { answer.await.map(|_| begun.elapsed()) };
    let sites = async { world.console.http.get::<Vec<Site>>("console/sites").await.map(|_| begun.elapsed()) };
    let (beat, sites) = tokio::join!(beat, sites);
    beat.expect("the beat is taken").max(sites.expect("the console is answered"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_silent_clients_are_ended_and_hold_nobody_up() {
    let world = Beating::start(1).await;
    let before = world.noc.memory_mib();
    let begun = Instant::now();
    let silent: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(world.noc.address()).expect("connected")).collect();
    let idle: Vec<Raw> = (0..60).map(|_| Raw::connect(&world.noc)).collect();
    let mut half_headers: Vec<Raw> = (0..60).map(|_| Raw::connect(&world.noc)).collect();
    for raw in &mut half_headers {
        raw.send(b"GET /v1/ca HTTP/1.1\r\nhost: x\r\nx-slow: ").expect("sent");
    }
    let mut bodies: Vec<Raw> = (0..60).map(|_| Raw::connect(&world.noc)).collect();
    for raw in &mut bodies {
        raw.send(head("POST", "/v1/consoles/enrol", &["content-length: 1000"]).as_bytes()).expect("sent");
        raw.send(b"{\"token\":").expect("sent");
    }
    let mut counter = 1;
    while begun.elapsed() < Duration::from_secs(8) {
        counter += 1;
        let waited = served(&world, counter).await;
        assert!(waited < Duration::from_secs(2), "others wait: {waited:?}");
        for raw in &mut half_headers {
            raw.send(b"a").expect("still open: its time is not over");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let grown = world.noc.memory_mib().saturating_sub(before);
    assert!(grown < LITTLE_MIB, "480 connections cost {grown} MiB");

    for mut tcp in silent {
        tcp.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        assert!(matches!(tcp.read(&mut [0; 16]), Ok(0) | Err(_)), "who says nothing is hung up on");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "in time: {:?}", begun.elapsed());
    for mut raw in bodies {
        let (status, body) = raw.answer().expect("told why");
        let problem: Problem = serde_json::from_slice(&body).expect("a problem");
        assert_eq!((status, problem.code.as_str()), (408, "too_slow"), "{problem:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "in time: {:?}", begun.elapsed());
    drop((idle, half_headers));
    assert!(served(&world, counter + 1).await < Duration::from_secs(2));
}

#[tokio::test]
async fn what_is_too_large_too_deep_or_too_many_is_refused_with_a_reason() {
    let world = Beating::start(1).await;
    let before = world.noc.memory_mib();
    let enrol = "/v1/consoles/enrol";
    let with_body = |headers: &[&str], body: &[u8]| {
        let length = format!("content-length: {}", body.len());
        let mut request = head("POST", enrol, &[&[length.as_str()], headers].concat()).into_bytes();
        request.extend_from_slice(body);
        request
    };
    let long = "a".repeat(1 << 20);
    let many: Vec<String> = (0..10_000).map(|n| format!("x-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let deep = "[".repeat(30_000);
    // What a bomb is before it is expanded: the NOC knows no compression, so it is not JSON.
    let gzip = [&[0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &[0x63; 2_000]].concat();
    let endless = [b"400\r\n".to_vec(), vec![b' '; 0x400], b"\r\n".to_vec()].concat().repeat(64);
    let chunked = [head("POST", enrol, &["transfer-encoding: chunked"]).into_bytes(), endless].concat();
    let boasting =
        [head("POST", enrol, &["content-length: 9223372036854775807"]).into_bytes(), vec![b' '; 64 << 10]].concat();
    let requests: [(&str, Vec<u8>, u16, &str); 11] = [
        ("a huge header", head("GET", "/v1/ca", &[&format!("x-huge: {long}")]).into_bytes(), 431, ""),
        ("ten thousand headers", head("GET", "/v1/ca", &many).into_bytes(), 431, ""),
        ("a huge path", head("GET", &format!("/{long}"), &[]).into_bytes(), 431, ""),
        ("a long body", with_body(&[], &vec![b' '; 33 << 10]), 413, "too_large"),
        ("an endless body", chunked, 413, "too_large"),
        ("a boast", boasting, 413, "too_large"),
        ("depth", with_body(&[], deep.as_bytes()), 400, "malformed"),
        ("gzip", with_body(&["content-encoding: gzip"], &gzip), 400, "malformed"),
        ("no JSON", with_body(&[], b"\xff\xfe\x00"), 400, "malformed"),
        ("two lengths", head("POST", enrol, &["content-length: 5", "content-length: 6"]).into_bytes(), 400, ""),
        ("nothing of HTTP", b"\x00\x01\x02 GET ../../ \r\n\r\n".to_vec(), 400, ""),
    ];
    for (what, request, status, code) in requests {
        let mut raw = Raw::connect(&world.noc);
        // The answer may come before everything is sent.
        let _ = raw.send(&request);
        let (got, body) = raw.answer().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(got, status, "{what}: {}", String::from_utf8_lossy(&body));
        if !code.is_empty() {
            let problem: Problem = serde_json::from_slice(&body).expect("a problem");
            assert_eq!((problem.code.as_str(), problem.detail.is_empty()), (code, false), "{what}");
        }
    }

    let console = &world.console.http;
    let refused = async |path: &str, body: &Value| code(console.post::<Value>(path, body).await);
    let tiny = json!({ "device_key": "", "mac": "02:00:00:00:00:01" });
    let items = vec![tiny; 100_000];
    assert_eq!(refused("console/plans", &json!({ "site": 1, "appliances": items })).await, "too_many");
    let settings = serde_json::to_value(muster_protocol::parameters::RawSettings::default()).expect("json");
    let items = vec![json!({ "uid": world.devices[0].uid, "settings": settings }); 10_001];
    assert_eq!(refused("console/grants", &json!({ "site": 1, "items": items })).await, "too_many");
    assert_eq!(refused("console/results", &json!({ "items": "x".repeat(9 << 20) })).await, "too_large");
    let mut crowded = beat(1, 50, world.seqs[0]);
    crowded.values.counters = (0..65).map(|n| (format!("c{n}"), 0.0)).collect();
    assert_eq!(code(world.appliances[0].post::<BeatAnswer>("appliances/beats", &crowded).await), "too_many");
    let url = console.url("console/sites");
    let huge = console.client.get(url).header("x-huge", "a".repeat(200 << 10)).send().await;
    assert!(huge.is_err() || huge.is_ok_and(|a| a.status() == 431), "HTTP/2 has the same limit");

    let grown = world.noc.memory_mib().saturating_sub(before);
    assert!(grown < 2 * LITTLE_MIB, "it cost {grown} MiB");
    served(&world, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_bounded_and_others_are_served_meanwhile() {
    let world = Beating::start(1).await;
    let before = world.noc.memory_mib();
    let other = world.noc.console(world.site).await;
    // One console sends forty bodies of the largest size at once.
    let body: reqwest::Body = json!({ "items": [], "padding": "x".repeat(8_000_000) }).to_string().into();
    let body = body.as_bytes().expect("in memory").to_vec();
    let mut flood = JoinSet::new();
    for _ in 0..40 {
        let (http, body) = (other.http.clone(), body.clone());
        flood.spawn(async move {
            let answer = http.client.post(http.url("console/results")).body(body).send().await.map_err(|_| ())?;
            let again = answer.headers().contains_key("retry-after");
            Ok::<_, ()>((answer.status(), again))
        });
    }
    // Anybody guesses invites meanwhile, sixteen at a time.
    let mut guesses = JoinSet::new();
    for _ in 0..16 {
        let (http, request) = (world.anybody.clone(), NewConsole::new());
        guesses.spawn(async move {
            let mut refused = 0;
            for n in 0..40 {
                let guess = http.post::<ConsoleEnrolled>("consoles/enrol", &request.body(&format!("GUESS{n}"))).await;
                refused += usize::from(guess.is_err_and(|problem| problem.code == "invite_unknown"));
            }
            refused
        });
    }
    let mut taken = Vec::new();
    let mut most = Duration::ZERO;
    let mut memory = 0;
    let mut counter = 1;
    while !(flood.is_empty() && guesses.is_empty()) {
        counter += 1;
        most = most.max(served(&world, counter).await);
        memory = memory.max(world.noc.memory_mib());
        while let Some(done) = flood.try_join_next() {
            match done.expect("no panic") {
                Ok((status, again)) => {
                    let told = status == StatusCode::NO_CONTENT || status == StatusCode::TOO_MANY_REQUESTS && again;
                    assert!(told, "{status}");
                    taken.push(status);
                }
                // The stream was reset before all of the body was sent: refused as well.
                Err(()) => taken.push(StatusCode::TOO_MANY_REQUESTS),
            }
        }
        while let Some(refused) = guesses.try_join_next() {
            assert_eq!(refused.expect("no panic"), 40, "every guess is told that it is one");
        }
    }
    let count = |wanted| taken.iter().filter(|status| **status == wanted).count();
    assert!(count(StatusCode::NO_CONTENT) >= 8, "what is within the limit is taken: {taken:?}");
    assert!(count(StatusCode::TOO_MANY_REQUESTS) >= 1, "what is beyond it is refused: {taken:?}");
    assert!(most < Duration::from_secs(3), "others waited {most:?}");
    let grown = memory.saturating_sub(before);
    assert!(grown < 256, "the flood cost {grown} MiB");
}
