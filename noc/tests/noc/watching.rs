//! Silence becomes an alert, beats end it, and consoles hear of both while they wait.

use crate::world::{Console, Device, Http, World, beat};
use muster_protocol::api::*;
use muster_protocol::beat_watch::{Rules, Timing};
use muster_protocol::id::{Seq, Uid};
use std::time::{Duration, Instant};

/// Rules by which one that never reports is an alert at once.
fn impatient() -> Rules {
    let timing = Timing { never_reported_ms: 300, ..Timing::default() };
    Rules { timing, ..Rules::default() }
}

/// Follows changes until `seen` is true of one answer; each ask is a long poll.
async fn follow(console: &Console, after: &mut u64, mut seen: impl FnMut(&Changes) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < end, "it did not happen in time");
        let changes: Changes = console.http.get(&format!("console/changes?after={after}")).await.expect("changes");
        assert!(!changes.reset && changes.revision >= *after);
        *after = changes.revision;
        if seen(&changes) {
            return;
        }
    }
}

pub(crate) async fn is_health(console: &Console, after: &mut u64, uid: Uid, health: Health) {
    if console.appliance(uid).await.health == health {
        return;
    }
    follow(console, after, |changes| changes.appliances.iter().any(|a| a.uid == uid && a.health == health)).await;
}

async fn beat_now(appliance: &Http, counter: u64, seq: Seq) {
    let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, counter, seq)).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_opens_one_alert_which_outlives_a_restart_and_beats_close_it() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let (console, uid) = (world.console(&[site.id]).await, devices[0].uid);
    let start: Changes = console.http.get("console/changes?after=0").await.expect("changes");
    assert!(start.reset, "a new console fetches everything");
    let mut after = start.revision;

    let seq = console.configure(site.id, &devices).await[0];
    is_health(&console, &mut after, uid, Health::NeverReported).await;
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    beat_now(&appliance, 1, seq).await;
    is_health(&console, &mut after, uid, Health::Well).await;

    let mut opened = None;
    follow(&console, &mut after, |changes| {
        opened = opened.take().or_else(|| changes.alerts.first().cloned());
        opened.is_some()
    })
    .await;
    let alert = opened.expect("an alert");
    assert_eq!((alert.kind, alert.site, alert.appliances.as_slice()), (AlertKind::Silent, site.id, &[uid][..]));
    assert_eq!(alert.closed, None);
    assert_eq!(console.appliance(uid).await.health, Health::Silent);
    let open: Vec<Alert> = console.http.get("console/alerts?open=true").await.expect("alerts");
    assert_eq!(open, std::slice::from_ref(&alert));

    let world = world.restart().await;
    let open: Vec<Alert> = console.http.get("console/alerts?open=true").await.expect("alerts");
    assert_eq!(open, std::slice::from_ref(&alert), "the same alert, not another");

    beat_now(&appliance, 2, seq).await;
    is_health(&console, &mut after, uid, Health::Recovering).await;
    beat_now(&appliance, 3, seq).await;
    is_health(&console, &mut after, uid, Health::Well).await;
    assert!(console.http.get::<Vec<Alert>>("console/alerts?open=true").await.expect("alerts").is_empty());
    let all: Vec<Alert> = console.http.get("console/alerts").await.expect("alerts");
    assert_eq!((all.len(), all[0].id, all[0].closed.is_some()), (1, alert.id, true));
    let mut actions = Vec::new();
    let each = |record: muster_noc::Record| {
        if record.subject == format!("alert:{}", alert.id) {
            actions.push((record.actor, record.action));
        }
        true
    };
    world.noc.each_audit(each).expect("read");
    assert_eq!(actions, ["alert.open", "alert.close"].map(|action| ("noc".to_owned(), action.to_owned())));
    world.running.shutdown().await;
}

#[tokio::test]
async fn an_appliance_that_never_reports_is_an_alert() {
    let world = World::new().await;
    let World { dir, noc, running } = world;
    running.shutdown().await;
    let rules = impatient();
    let running = noc.serve_with("127.0.0.1:0".parse().expect("address"), rules).await.expect("serves");
    let world = World { dir, noc, running };
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let mut after = console.http.get::<Changes>("console/changes?after=0").await.expect("changes").revision;
    console.configure(site.id, &devices).await;
    follow(&console, &mut after, |changes| changes.alerts.iter().any(|a| a.kind == AlertKind::NeverReported)).await;
}

#[tokio::test]
async fn a_long_poll_waits_for_news_of_its_own_sites_and_ends_with_the_noc() {
    let world = World::new().await;
    let (bern, thun) = (world.site("Bern", "192.0.2.10-192.0.2.99"), world.site("Thun", "192.0.2.10-192.0.2.99"));
    let devices = Device::several(0..2);
    world.import(&devices);
    let (ours, theirs) = (world.console(&[bern.id]).await, world.console(&[thun.id]).await);
    let after = ours.http.get::<Changes>("console/changes?after=0").await.expect("changes").revision;
    let http = ours.http.clone();
    let waiting = tokio::spawn(async move { http.get::<Changes>(&format!("console/changes?after={after}")).await });
    theirs.plan(thun.id, &devices[1..]).await;
    ours.plan(bern.id, &devices[..1]).await;
    let news = waiting.await.expect("no panic").expect("changes");
    assert_eq!(news.appliances.iter().map(|a| a.uid).collect::<Vec<_>>(), [devices[0].uid]);

    let later = news.revision + 1_000_000;
    assert!(ours.http.get::<Changes>(&format!("console/changes?after={later}")).await.expect("changes").reset);
    let http = ours.http.clone();
    let after = news.revision.max(after);
    let waiting = tokio::spawn(async move { http.get::<Changes>(&format!("console/changes?after={after}")).await });
    // The change of the other site may be answered as an empty step; what counts is that nobody waits for ever.
    tokio::task::yield_now().await;
    let begun = Instant::now();
    world.running.shutdown().await;
    let _ = waiting.await.expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_released_appliance_is_neither_expected_nor_of_its_site() {
    let world = World::new().await;
    let World { dir, noc, running } = world;
    running.shutdown().await;
    let rules = impatient();
    let running = noc.serve_with("127.0.0.1:0".parse().expect("address"), rules).await.expect("serves");
    let world = World { dir, noc, running };
    let (bern, thun) = (world.site("Bern", "192.0.2.10-192.0.2.99"), world.site("Thun", "192.0.2.10-192.0.2.99"));
    let devices = Device::several(0..1);
    world.import(&devices);
    let (ours, theirs) = (world.console(&[bern.id]).await, world.console(&[thun.id]).await);
    let mut after = ours.http.get::<Changes>("console/changes?after=0").await.expect("changes").revision;
    let seq = ours.configure(bern.id, &devices).await[0];
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    follow(&ours, &mut after, |changes| changes.alerts.iter().any(|alert| alert.closed.is_none())).await;
    assert_eq!(theirs.plan(thun.id, &devices).await.rows[0].ownership, Ownership::OtherSite);

    // By another process, as the command line beside the server.
    let beside = muster_noc::Noc::open(&world.dir.path().join("noc")).expect("opens");
    assert!(beside.release(&devices[0].uid).expect("released"));
    drop(beside);
    follow(&ours, &mut after, |changes| changes.alerts.iter().any(|alert| alert.closed.is_some())).await;
    let left = ours.appliance(devices[0].uid).await;
    assert_eq!((left.site, left.settings), (None, None), "it is stock again");
    // It is still set as before and says so; that puts nothing in force again.
    beat_now(&appliance, 1, seq).await;
    ours.report(devices[0].uid, seq, true).await;
    let plan = theirs.plan(thun.id, &devices).await;
    assert_eq!((plan.rows[0].ownership, plan.rows[0].problem.clone()), (Ownership::Owned, None));
    let record = theirs.appliance(devices[0].uid).await;
    assert_eq!((record.provisioning, record.health), (Provisioning::Known, Health::NotExpected));
    let next = theirs.grants(&plan).await.items[0].grant.clone().expect("granted");
    assert!(next.seq > seq && next.claim_key.is_some());
}
