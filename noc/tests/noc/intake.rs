//! How beats are taken: both versions of HTTP, both forms, resumed sessions, limits; and the history that comes of them.

use crate::client::tls_stream;
use crate::work::Bench;
use crate::world::{Device, beat, code, json as answer};
use muster_noc::{HistoryKeepingChange, Noc};
use muster_protocol::api::*;
use muster_protocol::instruction::Act;
use muster_protocol::wire::to_cbor;
use reqwest::{StatusCode, Version};
use rustls::HandshakeKind;
use serde_json::json;

// Some clients here wait for their answers on this thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beats_come_by_http_1_and_by_http_2() {
    let mut bench = Bench::new().await;
    let url = bench.http.url("appliances/beats");
    bench.counter += 1;
    let body = beat(1, bench.counter, bench.seq);
    let sent = bench.http.client.post(&url).json(&body).send().await.expect("answer");
    assert_eq!((sent.version(), sent.status()), (Version::HTTP_2, StatusCode::OK), "what both speak best");
    let (mut stream, _) = tls_stream(&bench.http, None);
    bench.counter += 1;
    let said = crate::client::post_by_hand(&mut stream, "/v1/appliances/beats", &beat(1, bench.counter, bench.seq));
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    assert_eq!(bench.world.noc.beats_held().expect("counted"), 3);
}

// Some clients here wait for their answers on this thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_resumes_its_session_and_is_still_refused_once_it_is_retired() {
    let mut bench = Bench::new().await;
    let (mut first, config) = tls_stream(&bench.http, None);
    let send = |stream: &mut _, counter| {
        crate::client::post_by_hand(stream, "/v1/appliances/beats", &beat(1, counter, bench.seq))
    };
    assert!(send(&mut first, 2).starts_with("HTTP/1.1 200"));
    assert_eq!(first.conn.handshake_kind(), Some(HandshakeKind::Full));
    drop(first);
    let (mut again, config) = tls_stream(&bench.http, Some(config));
    assert!(send(&mut again, 3).starts_with("HTTP/1.1 200"), "its certificate came along with the ticket");
    assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    drop(again);

    let leave = bench.world.noc.instruct(&bench.uid(), Act::Decommission).expect("queued");
    bench.counter = 3;
    bench.beat().await;
    bench.beat_with(crate::work::accepted(leave.serial, "")).await;
    let (mut last, _) = tls_stream(&bench.http, Some(config));
    let said = crate::client::post_by_hand(&mut last, "/v1/appliances/beats", &beat(1, 9, bench.seq));
    assert_eq!(last.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(said.starts_with("HTTP/1.1 403") && said.contains("appliance_retired"), "{said}");
}

#[tokio::test]
async fn a_beat_in_cbor_is_answered_in_cbor_and_shown_like_any_other() {
    let bench = Bench::new().await;
    let url = bench.http.url("appliances/beats");
    let send = async |body: Vec<u8>| {
        let request = bench.http.client.post(&url).header("content-type", "application/cbor").body(body);
        request.send().await.expect("answer")
    };
    let mut said = beat(1, 2, bench.seq);
    said.values.counters = [("mails".to_owned(), 7.5)].into();
    let taken = send(to_cbor(&said)).await;
    assert_eq!(
        (taken.status().as_u16(), &taken.headers()["content-type"]),
        (200, &"application/cbor".parse().expect("text"))
    );
    let taken: BeatAnswer = read_cbor(&taken.bytes().await.expect("body")).expect("CBOR");
    assert_eq!((taken.interval_s, taken.earlier, taken.work.is_empty()), (5, None, true));
    assert_eq!(bench.console.appliance(bench.uid()).await.beat, Some(said.values.clone()));

    said.counter = 3;
    let good = to_cbor(&said);
    for (body, expected) in [
        (good[..good.len() - 1].to_vec(), "malformed"),
        ([good.as_slice(), &[0]].concat(), "malformed"),
        (serde_json::to_vec(&said).expect("JSON"), "malformed"),
        (vec![0x9f; 1_000], "malformed"),
        (vec![0; 33 << 10], "too_large"),
    ] {
        assert_eq!(code(answer::<()>(send(body).await).await), expected);
    }
    said.values.load = f64::NAN;
    assert_eq!(code(answer::<()>(send(to_cbor(&said)).await).await), "malformed", "no number");
    assert_eq!(bench.world.noc.beats_held().expect("counted"), 2, "what was refused left nothing");
}

#[tokio::test]
async fn an_appliance_that_beats_too_often_is_told_when_to_come_back_and_others_are_not() {
    let mut bench = Bench::new().await;
    let file = bench.world.dir.path().join("noc/noc.toml");
    let config = std::fs::read_to_string(&file).expect("read") + "beats_per_s_appliance = 1\n";
    std::fs::write(&file, config).expect("written");
    bench.world = bench.world.restart().await;
    bench.http.reconnect().await;
    bench.console.http.reconnect().await;
    let other = Device::new(1);
    bench.world.import(std::slice::from_ref(&other));
    let seq = bench.console.configure(bench.site.id, std::slice::from_ref(&other)).await[0];
    let other = other.enrol(&bench.world.anybody().await, seq).await;
    let url = bench.http.url("appliances/beats");
    let mut waits = Vec::new();
    for _ in 0..60 {
        bench.counter += 1;
        let sent = bench.http.client.post(&url).json(&beat(1, bench.counter, bench.seq)).send().await.expect("answer");
        if sent.status() == StatusCode::TOO_MANY_REQUESTS {
            let after = sent.headers()["retry-after"].to_str().expect("text").parse::<u64>().expect("seconds");
            assert_eq!(code(answer::<()>(sent).await), "too_many_beats");
            waits.push(after);
        }
    }
    assert!(waits.len() >= 20, "{} refused", waits.len());
    // A second until there is room for one, and up to five more at random.
    assert!(waits.iter().all(|wait| (1..=7).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]), "not all at the same moment: {waits:?}");
    let _: BeatAnswer = other.post("appliances/beats", &beat(1, 1, seq)).await.expect("the other is taken");
}

#[tokio::test]
async fn the_history_is_rolled_up_and_an_organisation_says_for_how_long() {
    let mut bench = Bench::new().await;
    let root = bench.world.administrator().await;
    for mails in [100.0, 130.0, 20.0] {
        bench.counter += 1;
        let mut said = beat(1, bench.counter, bench.seq);
        said.values.load = mails / 100.0;
        said.values.counters = [("mails".to_owned(), mails)].into();
        let _: BeatAnswer = bench.http.post("appliances/beats", &said).await.expect("taken");
    }
    let path = format!("/v1/appliances/{}/history", bench.uid());
    let shown = async |query: &str| root.get(&format!("{path}{query}")).await.good()["items"].clone();
    // At a turn of five minutes there are two.
    let (before, hour) = (shown("").await, shown("?resolution=hour").await);
    bench.world.noc.fold_history().expect("folded");
    let after = shown("?resolution=five_minutes").await;
    assert_eq!(before, after, "the same, whether it waits in the journal or not");
    let sum = |points: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> f64| {
        points.as_array().expect("points").iter().map(of).sum::<f64>()
    };
    for points in [&after, &hour] {
        assert_eq!(sum(points, &|point| point["beats"].as_f64().expect("a number")), 4.0);
        let grew = sum(points, &|point| point["counters"]["mails"]["increase"].as_f64().unwrap_or(0.0));
        assert_eq!(grew, 50.0, "it began anew at 20");
    }
    assert_eq!(shown("?from=0&to=1").await, json!([]));
    assert_eq!(root.get(&format!("{path}?resolution=day")).await.code(), "malformed");

    let keeping = "/v1/organisations/1/history";
    assert_eq!(
        root.get(keeping).await.good(),
        json!({ "beats_hours": 48, "five_minutes_days": 30, "hours_days": 730 })
    );
    let changed = root.change("PATCH", keeping, keeping, json!({ "hours_days": 365 })).await.good();
    assert_eq!(changed["hours_days"], 365);
    let refused = root.change("PATCH", keeping, keeping, json!({ "beats_hours": 1 })).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "keeping_out_of_range"));
    let audit = root.get("/v1/audit?limit=1").await.good()["items"][0].clone();
    assert_eq!(
        (audit["action"].as_str(), audit["subject"].as_str()),
        (Some("organisation.history"), Some("organisation:1"))
    );
    let noc: &Noc = &bench.world.noc;
    let organisation = noc.organisations().expect("read")[0].id;
    let wanted = HistoryKeepingChange { beats_hours: Some(72), ..HistoryKeepingChange::default() };
    let kept = noc.keep_history(organisation, wanted).expect("kept");
    assert_eq!((kept.beats_hours, kept.hours_days), (72, 365));
}
