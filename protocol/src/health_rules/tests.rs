//! One test for each thing that a rule may say.

use super::*;
use crate::api::{Disk, HostValues};

const NOTHING: [bool; 0] = [];
const DEVICE: Uid = Uid([1; 20]);

/// A rule and a clock that beats once a minute.
struct World {
    watch: HealthWatch,
    rules: Vec<HealthRule>,
    now: Millis,
}

impl World {
    fn with(value: &str, is: Comparison, than: f64, for_s: u32) -> World {
        let rule =
            HealthRule { name: "rule".to_owned(), model: String::new(), value: value.to_owned(), is, than, for_s };
        check(std::slice::from_ref(&rule)).expect("a rule that can be kept");
        World { watch: HealthWatch::default(), rules: vec![rule], now: Millis(0) }
    }

    fn beat(&mut self, values: &BeatValues) -> Vec<bool> {
        self.now = self.now + 60_000;
        let report = Report { uid: DEVICE, model: "M1", values, silent_ms: 195_000 };
        self.watch.beat(self.now, &self.rules, report).into_iter().map(|(_, broken)| broken).collect()
    }

    fn beats(&mut self, count: u32, values: &BeatValues) -> Vec<bool> {
        (0..count).flat_map(|_| self.beat(values)).collect()
    }
}

fn disk(percent: f64) -> BeatValues {
    BeatValues { disk_percent: percent, ..BeatValues::default() }
}

fn mails(count: f64) -> BeatValues {
    BeatValues { counters: [("mails".to_owned(), count)].into(), ..BeatValues::default() }
}

#[test]
fn a_rule_is_broken_after_its_time_and_mended_by_two_beats_in_a_row() {
    let mut world = World::with("disk", Comparison::Above, 90.0, 600);
    assert_eq!(world.beats(10, &disk(95.0)), NOTHING);
    assert_eq!(world.beat(&disk(91.0)), [true], "ten minutes after the first");
    assert_eq!(world.beats(5, &disk(91.0)), NOTHING);
    assert_eq!(world.beat(&disk(90.0)), NOTHING);
    assert_eq!(world.beats(3, &disk(91.0)), NOTHING, "one good beat is none");
    assert_eq!(world.beat(&disk(10.0)), NOTHING);
    assert_eq!(world.beat(&disk(10.0)), [false]);
    assert_eq!(world.beats(10, &disk(95.0)), NOTHING, "the time begins anew");
    assert_eq!(world.beat(&disk(95.0)), [true]);
}

#[test]
fn one_good_beat_begins_the_time_anew_and_so_does_a_silence() {
    let mut world = World::with("disk", Comparison::Above, 90.0, 600);
    assert_eq!(world.beats(10, &disk(95.0)), NOTHING);
    world.beat(&disk(50.0));
    assert_eq!(world.beats(10, &disk(95.0)), NOTHING);
    world.now = world.now + 200_000;
    assert_eq!(world.beats(10, &disk(95.0)), NOTHING, "nobody knows what was in between");
    assert_eq!(world.beat(&disk(95.0)), [true]);
    world.now = world.now + 10_000_000;
    assert_eq!(world.beat(&disk(95.0)), NOTHING, "what is broken stays so");
}

#[test]
fn a_rule_without_a_time_is_broken_at_once_and_below_is_the_other_way() {
    let mut world = World::with("memory", Comparison::Below, 5.0, 0);
    let memory = |percent| BeatValues { memory_percent: percent, ..BeatValues::default() };
    assert_eq!(world.beat(&memory(5.0)), NOTHING);
    assert_eq!(world.beat(&memory(4.0)), [true]);
}

#[test]
fn a_counter_that_stands_still_breaks_its_rule_and_moving_mends_it() {
    let mut world = World::with("counter:mails", Comparison::Unmoved, 0.0, 600);
    for count in 0..30 {
        assert_eq!(world.beat(&mails(f64::from(count))), NOTHING);
    }
    assert_eq!(world.beats(9, &mails(29.0)), NOTHING);
    assert_eq!(world.beat(&mails(29.0)), [true], "ten minutes after it was seen to be 29");
    assert_eq!(world.beats(5, &mails(29.0)), NOTHING);
    assert_eq!(world.beat(&mails(30.0)), NOTHING);
    assert_eq!(world.beat(&mails(31.0)), [false]);
    // Zero after a restart of the application is a move.
    assert_eq!(world.beats(9, &mails(31.0)), NOTHING);
    assert_eq!(world.beats(9, &mails(0.0)), NOTHING);
}

#[test]
fn what_is_not_reported_breaks_no_rule_and_mends_none() {
    let mut world = World::with("counter:mails", Comparison::Above, 5.0, 0);
    assert_eq!(world.beats(5, &BeatValues::default()), NOTHING);
    assert_eq!(world.beat(&mails(6.0)), [true]);
    assert_eq!(world.beats(5, &BeatValues::default()), NOTHING);
    assert_eq!(world.beat(&mails(f64::NAN)), NOTHING);
    assert_eq!(world.beats(2, &mails(1.0)), [false]);
}

#[test]
fn a_rule_for_a_model_is_for_no_other_and_one_that_is_gone_is_mended() {
    let mut world = World::with("disk", Comparison::Above, 90.0, 0);
    world.rules[0].model = "m1".to_owned();
    assert_eq!(world.beat(&disk(95.0)), [true]);
    world.rules[0].model = "m2".to_owned();
    assert_eq!(world.beat(&disk(95.0)), [false]);
    assert_eq!(world.beat(&disk(95.0)), NOTHING);
}

#[test]
fn after_a_restart_a_broken_rule_is_not_told_again_and_mends_as_before() {
    let mut world = World::with("disk", Comparison::Above, 90.0, 600);
    world.watch.restore(Millis(0), DEVICE, "rule");
    assert_eq!(world.beats(20, &disk(95.0)), NOTHING);
    assert_eq!(world.beats(2, &disk(5.0)), [false]);
    let mut world = World::with("counter:mails", Comparison::Unmoved, 0.0, 600);
    world.watch.restore(Millis(0), DEVICE, "rule");
    assert_eq!(world.beats(20, &mails(3.0)), NOTHING);
    assert_eq!(world.beat(&mails(4.0)), NOTHING);
    assert_eq!(world.beat(&mails(5.0)), [false]);
}

#[test]
fn every_value_is_found_by_its_name() {
    let host = HostValues {
        disks: vec![Disk { mount: "/var".to_owned(), percent: 12.0, free: 1 }],
        temperature_c: Some(41.0),
        clock_offset_s: Some(-3),
        processors: Some(4),
        ..HostValues::default()
    };
    let values = BeatValues {
        uptime_s: 5,
        load: 8.0,
        memory_percent: 30.0,
        disk_percent: 20.0,
        counters: [("a:b".to_owned(), 7.0)].into(),
        host: Some(host),
        ..BeatValues::default()
    };
    let expected = [
        ("disk", Some(20.0)),
        ("disk:/var", Some(12.0)),
        ("disk:/home", None),
        ("load", Some(2.0)),
        ("memory", Some(30.0)),
        ("temperature", Some(41.0)),
        ("clock", Some(3.0)),
        ("uptime", Some(5.0)),
        ("counter:a:b", Some(7.0)),
        ("counter:b", None),
    ];
    for (word, found) in expected {
        assert_eq!(Value::read(word).expect("a value").of(&values), found, "{word}");
    }
    for wrong in ["", "Disk", "disk:", "disk:var", "counter:", "fans"] {
        let error = Value::read(wrong).expect_err(wrong);
        assert!(error.to_string().contains("counter:NAME"), "{error}");
    }
}

#[test]
fn what_cannot_be_kept_is_named() {
    let good = default_rules();
    check(&good).expect("the defaults");
    let with = |change: fn(&mut HealthRule)| {
        let mut rules = default_rules();
        change(&mut rules[1]);
        check(&rules).expect_err("cannot be kept").to_string()
    };
    for (change, part) in [
        ((|rule| rule.name = " x".to_owned()) as fn(&mut HealthRule), "rule 2: its name"),
        (|rule| rule.name = "a\u{202e}".to_owned(), "rule 2: its name"),
        (|rule| rule.name = "disk full".to_owned(), "two rules are called `disk full`"),
        (|rule| rule.value = "fans".to_owned(), "`fans` is no value"),
        (|rule| rule.than = f64::INFINITY, "must be a number"),
        (|rule| rule.for_s = MAX_FOR_S + 1, "at most 604800 seconds"),
        (|rule| (rule.is, rule.for_s) = (Comparison::Unmoved, 0), "at least 1"),
    ] {
        let error = with(change);
        assert!(error.contains(part), "{error}");
    }
    let many = vec![good[0].clone(); MOST_RULES + 1];
    assert!(check(&many).expect_err("too many").to_string().contains("33 rules are too many"));
}
