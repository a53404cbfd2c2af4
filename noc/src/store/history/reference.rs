//! What is rolled up as beats come, late ones among them, beside what one would work out from all of them at once.

use super::fold;
use super::points::{self, Resolution};
use crate::history::{FIVE_MINUTES, Flat, Group, HOUR, Stat};
use crate::store::sqlite::{connect_at, schema};
use muster_protocol::api::{BeatValues, Disk, HostValues, InterfaceErrors};
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A beat as it comes: how long after the one before, how late, what it says; and whether the journal is folded after it.
#[derive(Clone, Debug)]
struct Coming {
    after_s: u64,
    late_s: u64,
    load: f64,
    /// What its counter grew by; none: it began anew.
    grew: Option<u32>,
    is_folded: bool,
}

fn coming() -> impl Strategy<Value = Coming> {
    let late = prop_oneof![4 => Just(0), 1 => 0..170_000_u64];
    let grew = prop_oneof![9 => (0..50_u32).prop_map(Some), 1 => Just(None)];
    (1..2_000_u64, late, 0..400_u32, grew, prop::bool::weighted(0.3)).prop_map(
        |(after_s, late_s, load, grew, is_folded)| {
            let load = f64::from(load) / 100.0;
            Coming { after_s, late_s, load, grew, is_folded }
        },
    )
}

const START: u64 = 1_700_000_000;

fn database() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::TempDir::new().expect("folder");
    let version = i32::try_from(schema()).expect("small");
    let db = connect_at(&dir.path().join("noc.sqlite"), version);
    // Nothing here is about the disk.
    db.pragma_update(None, "synchronous", "OFF").expect("set");
    db.execute(
        "INSERT INTO appliances (id, uid, mac, serial, model, claim, revision, organisation)
         VALUES (1, zeroblob(20), zeroblob(6), '', '', '', 1, 1)",
        [],
    )
    .expect("an appliance");
    (dir, db)
}

/// Load and counter of each beat, with its time.
type Beats = Vec<(u64, f64, f64)>;

fn come(db: &Connection, all: &[Coming]) -> (u64, Beats) {
    let (mut now, mut mails, mut beats) = (START, 0_u32, Beats::new());
    for one in all {
        now += one.after_s;
        mails = one.grew.map_or(0, |grew| mails + grew);
        let time = now - one.late_s.min(now - START);
        let counters = [("mails".to_owned(), f64::from(mails))].into();
        let values = BeatValues { load: one.load, counters, ..BeatValues::default() };
        let mut group = Group::default();
        group.push(1, time, &Flat::of(&values));
        super::append(db, &mut group).expect("kept");
        beats.push((time, one.load, f64::from(mails)));
        if one.is_folded {
            fold::here(db, now).expect("folded");
        }
    }
    (now, beats)
}

/// By the beginning of each roll-up: how many beats, their load, and by how much the counter grew.
fn reference(beats: &Beats, seconds: u64) -> BTreeMap<u64, (u64, Stat, f64)> {
    let mut sorted = beats.clone();
    sorted.sort_by_key(|(time, ..)| *time);
    let mut found = BTreeMap::<u64, (Vec<f64>, f64)>::new();
    let mut before: Option<(u64, f64)> = None;
    for (time, load, mails) in sorted {
        let row = |time: u64| Resolution::FiveMinutes.row_of(time / FIVE_MINUTES * FIVE_MINUTES);
        // One that was not told for hours begins anew.
        let known = before.filter(|(last, _)| row(*last) + 1 >= row(time));
        let grew = known.map_or(0.0, |(_, known)| if mails >= known { mails - known } else { mails });
        let (loads, sum) = found.entry(time / seconds * seconds).or_default();
        loads.push(load);
        *sum += grew;
        before = Some((time, mails));
    }
    let stat = |loads: Vec<f64>, grew| {
        let count = loads.len() as u64;
        let mean = loads.iter().sum::<f64>() / count as f64;
        let (min, max) = loads.iter().fold((f64::MAX, f64::MIN), |(min, max), load| (load.min(min), load.max(max)));
        (count, Stat { count, min, mean, max, last: loads[loads.len() - 1], increase: None }, grew)
    };
    found.into_iter().map(|(start, (loads, grew))| (start, stat(loads, grew))).collect()
}

fn compare(db: &Connection, now: u64, beats: &Beats) -> Result<(), TestCaseError> {
    for (resolution, seconds) in [(Resolution::FiveMinutes, FIVE_MINUTES), (Resolution::Hour, HOUR)] {
        let found = points::read(db, 1, resolution, 0, now, usize::MAX).expect("read");
        let wanted = reference(beats, seconds);
        let starts: Vec<u64> = found.iter().map(|point| point.start).collect();
        prop_assert_eq!(&starts, &wanted.keys().copied().collect::<Vec<_>>());
        for point in found {
            let (count, load, grew) = wanted[&point.start];
            let (shown, mails) = (point.host["load"], point.counters["mails"]);
            prop_assert_eq!((point.beats, shown.count, mails.count), (count, count, count), "{}", point.start);
            prop_assert_eq!((shown.min, shown.max, shown.last), (load.min, load.max, load.last), "{}", point.start);
            prop_assert!((shown.mean - load.mean).abs() < 0.002, "{} for {}", shown.mean, load.mean);
            prop_assert_eq!(mails.increase, Some(grew), "{} {:?}", point.start, resolution);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn roll_ups_are_those_of_all_beats_whatever_comes_when(all in prop::collection::vec(coming(), 1..150)) {
        let (_dir, db) = database();
        let (now, beats) = come(&db, &all);
        compare(&db, now, &beats)?;
        fold::here(&db, now).expect("folded");
        compare(&db, now, &beats)?;
        let shown = super::beats(&db, 1, 0).expect("read");
        let mut wanted = beats;
        wanted.sort_by_key(|(time, ..)| *time);
        let shown: Beats = shown.iter().map(|beat| (beat.at, beat.values.load, beat.values.counters["mails"])).collect();
        prop_assert_eq!(shown, wanted);
    }
}

#[test]
fn a_round_that_is_broken_off_is_begun_again_and_nothing_is_there_twice() {
    let (_dir, db) = database();
    let one = |n: u64| Coming { after_s: 60, late_s: 0, load: n as f64 / 100.0, grew: Some(1), is_folded: false };
    let all: Vec<Coming> = (0..300).map(one).collect();
    let (now, beats) = come(&db, &all);
    fold::without_end(&db, now).expect("broken off");
    compare(&db, now, &beats).expect("whole");
    assert_eq!(super::held(&db).expect("counted"), 300);
    fold::here(&db, now).expect("folded");
    compare(&db, now, &beats).expect("whole");
    assert_eq!(super::held(&db).expect("counted"), 300);
    let left: i64 = db.query_row("SELECT count(*) FROM beat_journal", [], |row| row.get(0)).expect("counted");
    assert_eq!(left, 0);
}

#[test]
fn what_is_too_old_goes_each_after_its_time() {
    let (_dir, db) = database();
    let day = 86_400;
    let one =
        |n: u64| Coming { after_s: 1_800, late_s: 0, load: n as f64, grew: Some(1), is_folded: n.is_multiple_of(48) };
    let all: Vec<Coming> = (0..48 * 40).map(one).collect();
    let (now, _) = come(&db, &all);
    fold::here(&db, now).expect("folded");
    super::retention::sweep(&db, now, 0).expect("swept");
    let oldest = |found: Option<u64>| now - found.expect("something is left");
    let beats = super::beats(&db, 1, 0).expect("read");
    let kept = oldest(beats.first().map(|beat| beat.at));
    // A block goes as a whole.
    assert!((2 * day..2 * day + 120 * 1_800 + 3_600).contains(&kept), "{kept}");
    let short = points::read(&db, 1, Resolution::FiveMinutes, 0, now, usize::MAX).expect("read");
    let kept = oldest(short.first().map(|point| point.start));
    assert!((30 * day..30 * day + day / 4).contains(&kept), "{kept}");
    let hours = points::read(&db, 1, Resolution::Hour, 0, now, usize::MAX).expect("read");
    assert_eq!(hours.len(), 48 * 40 / 2 + 1, "all of forty days");
}

/// A small server that beats once a minute; `docs/performance.md` says what it needs.
#[test]
fn an_appliance_needs_no_more_room_than_is_said() {
    let (_dir, db) = database();
    let (days, mut state) = (4_u64, 1_u64);
    let mut random = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for n in 0..days * 1_440 {
        let free = 8_000_000_000 - 4_096 * random(50_000);
        let values = BeatValues {
            uptime_s: 60 * n,
            load: random(300) as f64 / 100.0,
            memory_percent: 31.0 + random(40) as f64 / 10.0,
            disk_percent: 12.3,
            disk_free: free,
            agent: "0.1.0".to_owned(),
            counters: [
                ("mails_passed".to_owned(), (n * 7 + random(7)) as f64),
                ("queue".to_owned(), random(20) as f64),
            ]
            .into(),
            host: Some(HostValues {
                memory: Some(4_015_251_456),
                disks: vec![Disk { mount: "/".to_owned(), percent: 12.3, free }],
                temperature_c: Some(41.0 + random(30) as f64 / 10.0),
                interface: Some(InterfaceErrors::default()),
                clock_offset_s: Some(0),
                processors: Some(4),
                agent_memory: Some(8_388_608),
            }),
            ..BeatValues::default()
        };
        let now = START + 60 * n;
        let mut group = Group::default();
        group.push(1, now, &Flat::of(&values));
        super::append(&db, &mut group).expect("kept");
        if n % 5 == 4 {
            fold::here(&db, now).expect("folded");
        }
    }
    let of = |sql: &str| db.query_row(sql, [], |row| row.get::<_, f64>(0)).expect("measured");
    let beat = of("SELECT 1.0 * sum(length(records)) / sum(beats) FROM beat_blocks");
    let hours = 1_i64 << 31;
    let points = |bits: i64, count: u64| {
        of(&format!("SELECT 1.0 * sum(length(points)) FROM beat_rollups WHERE id & {hours} = {bits}")) / count as f64
    };
    let (short, long) = (points(0, days * 288), points(hours, days * 24));
    // What is there after a year: two days of beats, thirty days of five minutes, a year of hours.
    let year = (beat * 2_880.0 + short * 8_640.0 + long * 8_760.0) / 1_024.0;
    let figures =
        format!("{beat:.1} bytes a beat, {short:.1} and {long:.1} a roll-up, {year:.0} KiB in the first year");
    assert!(beat < 38.0 && short < 95.0 && long < 100.0 && year < 1_750.0, "{figures}");
    assert!(year > 200.0, "measured something: {figures}");
}

#[test]
fn beats_of_a_former_version_are_shown_with_those_that_come_after_the_update() {
    use crate::store::Store;
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::id::{BootId, Seq, Uid};
    let dir = tempfile::TempDir::new().expect("folder");
    let path = dir.path().join("noc.sqlite");
    let former = connect_at(&path, 17);
    let root = SecretKey::from_seed(&[1; 32]).public();
    former.execute("INSERT INTO noc (id, revision, root) VALUES (1, 1, ?1)", [root.0]).expect("a NOC");
    let uid = Uid([1; 20]);
    let values = |load| BeatValues { load, agent: "0.1.0".to_owned(), ..BeatValues::default() };
    let said = |load| serde_json::to_string(&values(load)).expect("JSON");
    former
        .execute(
            "INSERT INTO appliances (id, uid, mac, serial, model, claim, revision, organisation, boot, counter, last_beat, beat)
             VALUES (1, ?1, zeroblob(6), '', '', '', 1, 1, ?2, 2, ?3, ?4)",
            rusqlite::params![uid.0, [7_u8; 16], START + 60, said(0.2)],
        )
        .expect("an appliance");
    for (time, load) in [(START, 0.1), (START + 60, 0.2)] {
        let sql = "INSERT INTO beats (appliance, time, report) VALUES (1, ?1, ?2)";
        former.execute(sql, rusqlite::params![time, said(load)]).expect("a beat");
    }
    drop(former);

    let store = Store::open(&path, &root, None).expect("is brought up to date");
    let work = muster_protocol::api::WorkReport::default();
    let beat = |counter, load| {
        let (values, work) = (values(load), work.clone());
        muster_protocol::api::Beat { boot: BootId([7; 16]), counter, seq: Seq(0), values, work, earlier: Vec::new() }
    };
    store.take_now(START + 61, uid, beat(2, 0.9)).expect("counted before: changes nothing");
    store.take_now(START + 120, uid, beat(3, 0.3)).expect("taken");
    let shown = |since| {
        let found = store.read_now(move |db| super::beats(db, 1, since)).expect("read");
        found.iter().map(|beat| (beat.at - START, beat.values.load)).collect::<Vec<_>>()
    };
    assert_eq!(shown(0), [(0, 0.1), (60, 0.2), (120, 0.3)]);
    fold::all_now(&store, START + 200).expect("folded");
    assert_eq!(shown(START + 60), [(60, 0.2), (120, 0.3)]);
    assert_eq!(store.read_now(super::held).expect("counted"), 3);
}
