//! Beats that were sent before, that come out of order, or that speak for somebody else.

use crate::client::{Console, Device, Http, beat, code};
use crate::world::{Beating, until};
use muster_protocol::api::*;
use muster_protocol::id::{BootId, Seq, Uid};
use serde_json::json;
use std::time::{Duration, Instant};

async fn send(appliance: &Http, boot: u8, counter: u64, seq: Seq) {
    let _: BeatAnswer = appliance.post("appliances/beats", &beat(boot, counter, seq)).await.expect("answered");
}

async fn counted(console: &Console, uid: Uid) -> usize {
    let history = format!("console/appliances/{uid}/beats?since=0");
    console.http.get::<Vec<BeatRecord>>(&history).await.expect("history").len()
}

#[tokio::test]
async fn a_beat_counts_once_whatever_is_sent_again_and_in_whatever_order() {
    let world = Beating::start(1).await;
    let (console, appliance) = (&world.console, &world.appliances[0]);
    let (uid, seq) = (world.devices[0].uid, world.seqs[0]);
    send(appliance, 1, 5, seq).await;
    assert_eq!(counted(console, uid).await, 2, "the positive control: beats 1 and 5");
    for counter in [5, 1, 4, 3, 5, 2, 0] {
        send(appliance, 1, counter, seq).await;
    }
    assert_eq!(counted(console, uid).await, 2, "again, older and out of order");
    let shown = console.appliance(uid).await.beat.expect("a beat");
    assert_eq!(shown.uptime_s, 5, "the table shows the newest, not the latest to come");

    // A restart counts from 1 again; what was recorded before it is of a boot that ended.
    send(appliance, 2, 1, seq).await;
    assert_eq!(counted(console, uid).await, 3);
    for (boot, counter) in [(1, 6), (1, 5), (1, u64::MAX >> 1), (2, 1)] {
        send(appliance, boot, counter, seq).await;
    }
    assert_eq!(counted(console, uid).await, 3, "an ended boot does not come back");
    assert_eq!(console.appliance(uid).await.beat.expect("a beat").uptime_s, 1);
    send(appliance, 2, 2, seq).await;
    assert_eq!(counted(console, uid).await, 4, "and the appliance itself goes on");
    let impossible = appliance.post::<BeatAnswer>("appliances/beats", &beat(2, u64::MAX, seq)).await;
    assert_eq!(code(impossible), "malformed");
    send(appliance, 2, 3, seq).await;
    assert_eq!(counted(console, uid).await, 5);
}

/// The table, the alerts of the silent one's console and of another site's, while an attacker repeats what he recorded.
#[tokio::test]
async fn a_replayed_beat_hides_no_silence_and_is_no_recovery() {
    let world = Beating::start(2).await;
    let (console, thun) = (&world.console, world.noc.site("Thun"));
    let others = world.noc.console(thun).await;
    let (silent, uid, seq) = (&world.appliances[0], world.devices[0].uid, world.seqs[0]);
    send(silent, 1, 2, seq).await;
    send(silent, 2, 1, seq).await;
    let last = console.appliance(uid).await.last_beat;
    let begun = Instant::now();
    let mut counter = 1;
    // Its neighbour beats on, and is never an alert.
    let replay = async |counter: u64| {
        for (boot, counter) in [(1, 1), (1, 2), (2, 1), (1, 3)] {
            send(silent, boot, counter, seq).await;
        }
        send(&world.appliances[1], 1, counter, world.seqs[1]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let open =
        async |console: &Console| console.http.get::<Vec<Alert>>("console/alerts?open=true").await.expect("alerts");
    while open(console).await.is_empty() {
        counter += 1;
        replay(counter).await;
        assert!(begun.elapsed() < Duration::from_secs(45), "its silence is hidden by replays");
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "not before its time: {:?}", begun.elapsed());
    for _ in 0..3 {
        counter += 1;
        replay(counter).await;
    }
    let alerts = open(console).await;
    assert_eq!((alerts.len(), alerts[0].appliances.as_slice()), (1, &[uid][..]));
    let shown = console.appliance(uid).await;
    assert_eq!((shown.health, shown.last_beat), (Health::Silent, last), "replays are no sign of life");
    assert_eq!(console.appliance(world.devices[1].uid).await.health, Health::Well);
    assert!(open(&others).await.is_empty(), "another site's console hears nothing of it");

    send(silent, 3, 1, seq).await;
    until("it is seen to come back", 5, async || console.appliance(uid).await.health == Health::Recovering).await;
    for _ in 0..3 {
        counter += 1;
        replay(counter).await;
    }
    assert_eq!(console.appliance(uid).await.health, Health::Recovering, "one new beat and replays are not two beats");
    assert_eq!(open(console).await.len(), 1);
    send(silent, 3, 2, seq).await;
    until("the alert closes", 5, async || open(console).await.is_empty()).await;
}

#[tokio::test]
async fn a_beat_speaks_for_the_certificate_it_came_with_and_for_nobody_else() {
    let world = Beating::start(2).await;
    let (console, thief) = (&world.console, &world.appliances[1]);
    let (victim, own) = (world.devices[0].uid, world.devices[1].uid);
    let before = console.appliance(victim).await;
    let mut body = serde_json::to_value(beat(1, 2, world.seqs[1])).expect("json");
    for name in ["uid", "appliance", "device_key"] {
        body[name] = json!(victim);
    }
    let _: BeatAnswer = thief.post("appliances/beats", &body).await.expect("taken as its own");
    assert_eq!(counted(console, own).await, 2);
    assert_eq!(counted(console, victim).await, 1);
    assert_eq!(console.appliance(victim).await, before);

    // A beat that names a grant that never was puts nothing in force.
    let device = Device::new(7);
    world.noc.import_devices(std::slice::from_ref(&device));
    let devices = [device];
    let plan = console.plan(world.site, &devices).await;
    let seq = console.grants(&plan).await.items[0].grant.as_ref().expect("granted").seq;
    let appliance = devices[0].enrol(&world.anybody, seq).await;
    send(&appliance, 1, 1, Seq(seq.0 + 41)).await;
    assert_eq!(console.appliance(devices[0].uid).await.provisioning, Provisioning::Granted);
    send(&appliance, 1, 2, seq).await;
    assert_eq!(console.appliance(devices[0].uid).await.provisioning, Provisioning::Configured);
}

fn earlier(boot: u8, counter: u64, age_s: u64) -> EarlierBeat {
    let values = BeatValues { uptime_s: counter.saturating_add(1_000), ..BeatValues::default() };
    EarlierBeat { boot: BootId([boot; 16]), counter, age_s: Some(age_s), time: None, values }
}

/// Beats that come late fill the history once, whatever is sent again, and are no sign of life.
#[tokio::test]
async fn earlier_beats_that_are_replayed_or_forged_count_once_and_hide_no_silence() {
    let world = Beating::start(2).await;
    let (console, appliance) = (&world.console, &world.appliances[0]);
    let (uid, seq) = (world.devices[0].uid, world.seqs[0]);
    let missed = [earlier(1, 2, 300), earlier(1, 3, 200), earlier(1, 4, 100)];
    let recorded = Beat { earlier: missed.to_vec(), ..beat(1, 5, seq) };
    let answer: BeatAnswer = appliance.post("appliances/beats", &recorded).await.expect("taken");
    assert_eq!(answer.earlier, Some(3), "the positive control: they are on disk");
    let path = format!("console/appliances/{uid}/beats?since=0");
    let history: Vec<BeatRecord> = console.http.get(&path).await.expect("history");
    let uptimes: Vec<u64> = history.iter().map(|record| record.values.uptime_s).collect();
    assert_eq!(uptimes, [1_002, 1_003, 1_004, 1, 5], "in the order of time");
    assert!(history.windows(2).all(|two| two[0].at <= two[1].at));
    let shown = console.appliance(uid).await;
    assert_eq!((shown.last_beat, shown.beat.expect("a beat").uptime_s), (Some(history[4].at), 5));

    // Forged: not earlier, of nobody's boot, too many, misleading. Nothing of such a request counts.
    let with = |earlier: Vec<EarlierBeat>| Beat { earlier, ..beat(1, 9, seq) };
    let mut misleading = earlier(1, 7, 1);
    misleading.values.agent = "\u{202e}0.1".into();
    for (forged, word) in [
        (with(vec![earlier(1, 9, 1)]), "malformed"),
        (with(vec![earlier(1, 8, 1), earlier(1, u64::MAX, 1)]), "malformed"),
        (with(vec![earlier(7, u64::MAX, 1)]), "malformed"),
        (with(vec![misleading]), "malformed"),
        (with((0..=MOST_EARLIER as u64).map(|n| earlier(8, n, 1)).collect()), "too_many"),
    ] {
        assert_eq!(code(appliance.post::<BeatAnswer>("appliances/beats", &forged).await), word);
    }
    // Sent by another appliance, they are that one's.
    let theirs = Beat { earlier: missed.to_vec(), ..beat(1, 5, world.seqs[1]) };
    let _: BeatAnswer = world.appliances[1].post("appliances/beats", &theirs).await.expect("taken as its own");
    assert_eq!(counted(console, uid).await, 5);

    // The appliance falls silent; somebody repeats what he recorded, in every variation.
    let last = console.appliance(uid).await.last_beat;
    let open = async || console.http.get::<Vec<Alert>>("console/alerts?open=true").await.expect("alerts");
    let mut counter = 5;
    let replay = async |counter: u64| {
        for main in [1, 5] {
            for earlier in [missed.to_vec(), missed[1..].to_vec(), vec![earlier(1, main.min(4) - 1, 1)]] {
                let again = Beat { earlier, ..beat(1, main, seq) };
                let answer = appliance.post::<BeatAnswer>("appliances/beats", &again).await;
                assert!(answer.is_ok() || main == 1, "{answer:?}");
            }
        }
        send(&world.appliances[1], 1, counter, world.seqs[1]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let begun = Instant::now();
    while open().await.is_empty() {
        counter += 1;
        replay(counter).await;
        assert!(begun.elapsed() < Duration::from_secs(45), "its silence is hidden by replays");
    }
    replay(counter + 1).await;
    let shown = console.appliance(uid).await;
    assert_eq!((shown.health, shown.last_beat), (Health::Silent, last));
    assert_eq!(counted(console, uid).await, 5);

    // It comes back with what it missed: one beat, not many. The alert stays until it has beaten twice.
    let back = Beat { earlier: (6..=9).map(|n| earlier(1, n, 60 - n)).collect(), ..beat(1, 10, seq) };
    let _: BeatAnswer = appliance.post("appliances/beats", &back).await.expect("taken");
    until("it is seen to come back", 5, async || console.appliance(uid).await.health == Health::Recovering).await;
    assert_eq!((counted(console, uid).await, open().await.len()), (10, 1), "history closes no alert");
    send(appliance, 1, 11, seq).await;
    until("the alert closes", 5, async || open().await.is_empty()).await;
}
