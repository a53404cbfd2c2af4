//! One test for each rule of `monitoring.md`.

use super::*;

pub(super) const SITE: SiteId = SiteId(1);
/// 60 s interval: late after 75 s, silent after 195 s.
pub(super) const LATE: u64 = 75_000;
pub(super) const SILENT: u64 = 195_000;

pub(super) fn uid(n: u8) -> Uid {
    Uid([n; 20])
}

/// A watch with a clock, and the outputs so far.
pub(super) struct World {
    pub(super) watch: BeatWatch,
    pub(super) now: Millis,
}

impl World {
    pub(super) fn new() -> World {
        World { watch: BeatWatch::new(Millis(0), Rules::default()).first_alert_id(AlertId(1)), now: Millis(0) }
    }

    /// `n` appliances that have just reported for the first time.
    pub(super) fn with_well(n: u8) -> World {
        let mut world = World::new();
        for i in 0..n {
            world.input(Input::Expect { uid: uid(i), site: SITE, interval_s: 60 });
            world.input(Input::Beat { uid: uid(i) });
        }
        world
    }

    pub(super) fn input(&mut self, input: Input) -> Vec<Output> {
        self.watch.handle_input(self.now, input);
        self.drain()
    }

    pub(super) fn beat(&mut self, n: u8) -> Vec<Output> {
        self.input(Input::Beat { uid: uid(n) })
    }

    /// Runs to a time, waking up whenever the watch asks for it.
    pub(super) fn run_to(&mut self, to: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(at) = self.watch.poll_timeout().filter(|at| at.0 <= to) {
            self.now = self.now.max(at);
            self.watch.handle_timeout(self.now);
            outputs.extend(self.drain());
        }
        self.now = Millis(to);
        outputs
    }

    pub(super) fn run_for(&mut self, ms: u64) -> Vec<Output> {
        self.run_to(self.now.0 + ms)
    }

    pub(super) fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.watch.poll_output()).collect()
    }
}

pub(super) fn health(n: u8, health: Health) -> Output {
    Output::Health { uid: uid(n), health }
}

pub(super) fn open(id: u64, kind: AlertKind, ns: impl IntoIterator<Item = u8>) -> Output {
    let uids = ns.into_iter().map(uid).collect();
    Output::Open(AlertId(id), OpenAlert { site: SITE, kind, uids, rule: String::new() })
}

pub(super) fn close(id: u64) -> Output {
    Output::Close(AlertId(id))
}

#[test]
fn late_after_interval_and_grace_silent_after_three_and_grace() {
    let mut world = World::with_well(1);
    assert_eq!(world.run_to(LATE - 1), []);
    assert_eq!(world.run_to(LATE), [health(0, Health::Late)]);
    assert_eq!(world.run_to(SILENT - 1), []);
    assert_eq!(world.run_to(SILENT), [health(0, Health::Silent), open(1, AlertKind::Silent, [0])]);
    assert_eq!(world.run_for(100_000_000), [], "an alert opens once");
}

#[test]
fn grace_is_a_quarter_of_the_interval_and_at_least_15_s() {
    for (interval_s, late_s) in [(5, 20), (60, 75), (100, 125), (86_400, 108_000)] {
        let mut world = World::new();
        world.input(Input::Expect { uid: uid(0), site: SITE, interval_s });
        world.beat(0);
        assert_eq!(world.watch.poll_timeout(), Some(Millis(late_s * 1_000)), "{interval_s} s");
    }
}

#[test]
fn a_late_beat_makes_it_well_without_an_alert() {
    let mut world = World::with_well(1);
    world.run_to(SILENT - 1);
    assert_eq!(world.beat(0), [health(0, Health::Well)]);
    assert_eq!(world.watch.poll_timeout(), Some(world.now + LATE));
}

#[test]
fn one_that_never_reported_is_an_alert_after_five_minutes() {
    let mut world = World::new();
    assert_eq!(
        world.input(Input::Expect { uid: uid(0), site: SITE, interval_s: 60 }),
        [health(0, Health::NeverReported)]
    );
    assert_eq!(world.run_to(299_999), []);
    assert_eq!(world.run_to(300_000), [open(1, AlertKind::NeverReported, [0])]);
    assert_eq!(world.run_for(100_000_000), []);
    assert_eq!(world.beat(0), [health(0, Health::Recovering)]);
    world.run_for(60_000);
    assert_eq!(world.beat(0), [close(1), health(0, Health::Well)]);
}

#[test]
fn a_first_beat_in_time_makes_it_well_at_once() {
    let mut world = World::new();
    world.input(Input::Expect { uid: uid(0), site: SITE, interval_s: 60 });
    world.run_to(200_000);
    assert_eq!(world.beat(0), [health(0, Health::Well)]);
}

#[test]
fn the_alert_closes_with_the_second_beat_in_a_row_in_time() {
    let mut world = World::with_well(1);
    world.run_to(SILENT);
    assert_eq!(world.beat(0), [health(0, Health::Recovering)]);
    // Too late: the row begins anew.
    world.run_for(LATE + 1);
    assert_eq!(world.beat(0), []);
    world.run_for(LATE);
    assert_eq!(world.beat(0), [close(1), health(0, Health::Well)]);
}

#[test]
fn one_that_falls_silent_while_recovering_stays_in_its_alert() {
    let mut world = World::with_well(1);
    world.run_to(SILENT);
    world.beat(0);
    assert_eq!(world.run_for(SILENT), [health(0, Health::Silent)]);
    world.beat(0);
    world.run_for(60_000);
    assert_eq!(world.beat(0), [close(1), health(0, Health::Well)]);
}

#[test]
fn a_site_that_goes_at_once_is_one_alert() {
    let mut world = World::with_well(10);
    let outputs = world.run_to(SILENT);
    let alerts: Vec<_> = outputs.iter().filter(|output| !matches!(output, Output::Health { .. })).collect();
    assert_eq!(alerts, [&open(1, AlertKind::Site, 0..10)]);
}

/// Ten appliances; those below `silent` stop beating, each 10 s after the one before; the others beat on.
fn part_falls_silent(silent: u8) -> (World, Vec<Output>) {
    let mut world = World::with_well(10);
    let mut outputs = Vec::new();
    for tick in 1..=40_u64 {
        for n in 0..10 {
            if n >= silent || tick < u64::from(n) + 2 {
                outputs.extend(world.beat(n));
            }
        }
        outputs.extend(world.run_for(10_000));
    }
    outputs.retain(|output| !matches!(output, Output::Health { .. }));
    (world, outputs)
}

#[test]
fn two_of_ten_are_two_alerts() {
    let (_, outputs) = part_falls_silent(2);
    assert_eq!(outputs, [open(1, AlertKind::Silent, [0]), open(2, AlertKind::Silent, [1])]);
}

#[test]
fn single_alerts_of_the_window_give_way_to_the_site_alert_and_later_ones_join_it() {
    let (_, outputs) = part_falls_silent(4);
    let expected = [
        open(1, AlertKind::Silent, [0]),
        open(2, AlertKind::Silent, [1]),
        close(1),
        close(2),
        open(3, AlertKind::Site, [0, 1, 2]),
        Output::Attach { alert: AlertId(3), uid: uid(3) },
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn silences_further_apart_than_the_window_stay_single() {
    let mut world = World::with_well(3);
    let mut outputs = Vec::new();
    for tick in 1..=100_u64 {
        for n in 0..3 {
            if tick < u64::from(n) * 15 {
                world.beat(n);
            }
        }
        outputs.extend(world.run_for(10_000));
    }
    outputs.retain(|output| matches!(output, Output::Open(..)));
    let kinds = [0, 1, 2].map(|n| open(u64::from(n) + 1, AlertKind::Silent, [n]));
    assert_eq!(outputs, kinds);
}

#[test]
fn a_site_alert_closes_when_all_are_back_and_nobody_gets_a_single_alert_on_the_way() {
    let mut world = World::with_well(10);
    world.run_to(SILENT);
    for n in 0..10 {
        assert_eq!(world.beat(n), [health(n, Health::Recovering)]);
    }
    world.run_for(60_000);
    for n in 0..9 {
        assert_eq!(world.beat(n), [health(n, Health::Well)]);
    }
    assert_eq!(world.beat(9), [close(1), health(9, Health::Well)]);
}

#[test]
fn the_rest_of_a_site_alert_become_single_alerts() {
    let mut world = World::with_well(30);
    world.run_to(SILENT);
    for n in 2..30 {
        world.beat(n);
    }
    world.run_for(60_000);
    for n in 2..29 {
        assert_eq!(world.beat(n), [health(n, Health::Well)], "three of thirty are a tenth");
    }
    assert_eq!(
        world.beat(29),
        [close(1), open(2, AlertKind::Silent, [0]), open(3, AlertKind::Silent, [1]), health(29, Health::Well)]
    );
}

#[test]
fn sites_are_judged_apart() {
    let mut world = World::new();
    for n in 0..6 {
        world.input(Input::Expect { uid: uid(n), site: SiteId(u32::from(n % 3)), interval_s: 60 });
        world.beat(n);
    }
    let outputs = world.run_to(SILENT);
    let singles = outputs.iter().filter(|o| matches!(o, Output::Open(_, a) if a.kind == AlertKind::Silent)).count();
    assert_eq!(singles, 6, "two silent ones are too few for a site alert");
}

#[test]
fn after_a_stall_everybody_gets_a_fresh_grace() {
    let mut world = World::with_well(3);
    world.run_to(LATE - 1);
    world.input(Input::Stalled);
    assert_eq!(world.run_for(LATE - 1), []);
    assert_eq!(world.run_for(1).len(), 3);
}

#[test]
fn a_wake_up_that_comes_far_too_late_is_a_stall() {
    let mut world = World::with_well(3);
    world.watch.handle_timeout(Millis(10_000_000));
    assert_eq!(world.drain(), []);
    assert_eq!(world.watch.poll_timeout(), Some(Millis(10_000_000 + LATE)));
    // 2 x 60 s late is not far too late.
    world.watch.handle_timeout(Millis(10_000_000 + LATE + 120_000));
    assert!(world.drain().contains(&health(0, Health::Late)));
}

#[test]
fn the_first_beats_after_a_pause_do_not_hide_the_stall() {
    let mut world = World::with_well(3);
    world.now = Millis(10_000_000);
    assert_eq!(world.beat(0), []);
    world.watch.handle_timeout(world.now);
    assert_eq!(world.drain(), [], "the other two are not judged by the time the NOC was away");
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut world = World::with_well(1);
    world.watch.handle_timeout(Millis(50_000));
    world.watch.handle_input(Millis(10), Input::Beat { uid: uid(0) });
    world.watch.handle_timeout(Millis(5));
    assert_eq!(world.drain(), []);
    assert_eq!(world.watch.poll_timeout(), Some(Millis(50_000 + LATE)));
}

#[test]
fn a_forgotten_appliance_closes_its_alert_and_counts_no_more() {
    let mut world = World::with_well(1);
    world.run_to(SILENT);
    assert_eq!(world.input(Input::Forget { uid: uid(0) }), [close(1)]);
    assert_eq!((world.watch.poll_timeout(), world.beat(0)), (None, vec![]));
    assert_eq!(world.watch.health(&uid(0)), Health::NotExpected);
}

#[test]
fn configured_again_gets_a_fresh_grace_and_keeps_its_alert() {
    let mut world = World::with_well(2);
    world.run_to(LATE);
    let again = Input::Expect { uid: uid(0), site: SITE, interval_s: 60 };
    assert_eq!(world.input(again.clone()), [health(0, Health::Well)]);
    world.run_for(SILENT);
    assert_eq!(world.watch.health(&uid(0)), Health::Silent);
    assert_eq!(world.input(again), []);
    world.beat(0);
    world.run_for(60_000);
    assert!(world.beat(0).contains(&health(0, Health::Well)));
}

#[test]
fn at_another_site_it_begins_anew() {
    let mut world = World::with_well(1);
    world.run_to(SILENT);
    let moved = Input::Expect { uid: uid(0), site: SiteId(2), interval_s: 60 };
    assert_eq!(world.input(moved), [close(1), health(0, Health::NeverReported)]);
}

pub(super) fn restore(n: u8, health: Health) -> Input {
    Input::Restore { uid: uid(n), site: SITE, interval_s: 60, health }
}

pub(super) fn restore_alert(id: u64, kind: AlertKind, ns: impl IntoIterator<Item = u8>) -> Input {
    let uids = ns.into_iter().map(uid).collect();
    Input::RestoreAlert { id: AlertId(id), site: SITE, kind, uids, rule: String::new() }
}

#[test]
fn a_restart_repeats_no_alert_and_loses_none_in_either_order() {
    for alert_first in [false, true] {
        let mut world = World::new();
        let mut inputs = vec![
            restore_alert(41, AlertKind::Silent, [0]),
            restore(0, Health::Silent),
            restore(1, Health::Well),
            restore_alert(42, AlertKind::NeverReported, [2]),
            restore(2, Health::NeverReported),
        ];
        if !alert_first {
            inputs.reverse();
        }
        for input in inputs {
            assert_eq!(world.input(input), []);
        }
        assert_eq!(world.run_to(LATE), [health(1, Health::Late)], "nobody is judged before a fresh grace");
        let mut outputs = world.run_for(10_000_000);
        assert_eq!(outputs, [health(1, Health::Silent), open(43, AlertKind::Silent, [1])]);
        world.beat(0);
        world.run_for(60_000);
        outputs = world.beat(0);
        assert_eq!(outputs, [close(41), health(0, Health::Well)]);
    }
}

#[test]
fn a_restored_site_alert_goes_on_and_forgets_those_who_were_well() {
    let mut world = World::new();
    world.input(restore_alert(7, AlertKind::Site, 0..10));
    for n in 0..10 {
        world.input(restore(n, if n < 5 { Health::Silent } else { Health::Well }));
    }
    assert_eq!(world.run_to(20_000), []);
    for n in 5..9 {
        world.beat(n);
    }
    // The tenth falls silent and joins.
    let outputs = world.run_to(SILENT);
    assert!(outputs.contains(&Output::Attach { alert: AlertId(7), uid: uid(9) }), "{outputs:?}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Open(..))));
}

#[test]
fn a_silent_one_without_its_alert_gets_one_after_a_grace() {
    let mut world = World::new();
    world.input(restore(0, Health::Silent));
    assert_eq!(world.run_to(LATE - 1), []);
    assert_eq!(world.run_to(LATE), [open(1, AlertKind::Silent, [0])]);
}

#[test]
fn a_restored_site_alert_does_not_take_in_those_who_began_anew_since() {
    let mut world = World::new();
    world.input(restore_alert(5, AlertKind::Site, 0..3));
    world.input(restore(0, Health::NeverReported));
    world.input(Input::Restore { uid: uid(1), site: SiteId(2), interval_s: 60, health: Health::Silent });
    world.input(restore(2, Health::Silent));
    let mut outputs = world.run_to(LATE);
    assert_eq!(
        outputs,
        [Output::Open(
            AlertId(6),
            OpenAlert { site: SiteId(2), kind: AlertKind::Silent, uids: vec![uid(1)], rule: String::new() }
        )]
    );
    outputs = world.run_to(300_000);
    assert_eq!(outputs, [open(7, AlertKind::NeverReported, [0])]);
}

#[test]
fn an_alert_that_nobody_needs_is_closed_after_the_restart() {
    let mut world = World::new();
    world.input(restore_alert(5, AlertKind::Silent, [0]));
    world.input(restore_alert(6, AlertKind::Silent, [1]));
    world.input(restore(1, Health::Well));
    assert_eq!(world.run_to(60_000), [close(5), close(6)]);
}

#[test]
fn a_wake_up_costs_what_is_overdue() {
    let mut watch = BeatWatch::new(Millis(0), Rules::default());
    let wide = |n: u32| {
        let mut uid = [0; 20];
        uid[..4].copy_from_slice(&n.to_be_bytes());
        Uid(uid)
    };
    for n in 0..50_000 {
        watch
            .handle_input(Millis(0), Input::Restore { uid: wide(n), site: SITE, interval_s: 60, health: Health::Well });
    }
    // A million beats and ten thousand wake-ups among 50,000 appliances: seconds, if each looked at everybody.
    for round in 0..20_u64 {
        for n in 0..50_000 {
            let now = Millis(round * 60_000 + u64::from(n));
            watch.handle_input(now, Input::Beat { uid: wide(n) });
            if n % 100 == 0 {
                watch.handle_timeout(now);
            }
        }
    }
    assert_eq!(watch.poll_output(), None);
}
