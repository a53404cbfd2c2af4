//! Rules that say why an appliance is as it is: its site's timing, work on it, a gateway, a health rule, or that it is unstable.

use super::tests::{LATE, SILENT, SITE, World, close, health, open, restore, restore_alert, uid};
use super::*;

fn attach(alert: u64, n: u8) -> Output {
    Output::Attach { alert: AlertId(alert), uid: uid(n) }
}

fn broken(n: u8, broken: bool) -> Input {
    Input::Rule { uid: uid(n), rule: "disk".to_owned(), broken }
}

fn failing(id: u64, n: u8) -> Output {
    let alert = OpenAlert { site: SITE, kind: AlertKind::Failing, uids: vec![uid(n)], rule: "disk".to_owned() };
    Output::Open(AlertId(id), alert)
}

/// Beats of all but `without`, at the usual interval.
fn beat_on(world: &mut World, of: u8, without: &[u8], for_ms: u64) -> Vec<Output> {
    let end = world.now.0 + for_ms;
    let mut outputs = Vec::new();
    while world.now.0 < end {
        for n in (0..of).filter(|n| !without.contains(n)) {
            outputs.extend(world.beat(n));
        }
        outputs.extend(world.run_for(60_000.min(end - world.now.0)));
    }
    outputs
}

#[test]
fn a_site_says_when_its_appliances_are_silent_and_well_again() {
    let mut world = World::with_well(1);
    let timing = Timing { grace_ms: Some(1_000), miss_intervals: 1, recover_beats: 1, never_reported_ms: 1 };
    world.input(Input::Timing { site: SITE, timing: Some(timing) });
    assert_eq!(world.run_to(60_999), []);
    assert_eq!(
        world.run_to(61_000),
        [health(0, Health::Late), health(0, Health::Silent), open(1, AlertKind::Silent, [0])]
    );
    assert_eq!(world.beat(0), [close(1), health(0, Health::Well)]);
    world.input(Input::Timing { site: SITE, timing: None });
    assert_eq!(world.watch.poll_timeout().map(|at| at.min(world.now + LATE)), Some(world.now + LATE));
    assert_eq!(world.run_for(LATE), [health(0, Health::Late)]);
}

#[test]
fn whoever_is_worked_on_is_nobodys_alert_and_gets_a_fresh_grace_at_the_end() {
    let mut world = World::with_well(2);
    world.run_to(SILENT - 60_000);
    world.beat(1);
    world.run_to(SILENT);
    let on = |n, on| Input::Maintain { uid: uid(n), on };
    assert_eq!(world.input(on(0, true)), [close(1), health(0, Health::Maintenance)]);
    assert_eq!(world.input(on(0, true)), []);
    assert_eq!(world.input(broken(0, true)), [], "what it says of itself meanwhile is no alert either");
    let told = beat_on(&mut world, 2, &[0], 10_000_000);
    assert!(told.iter().all(|output| !matches!(output, Output::Open(..))), "{told:?}");
    assert_eq!(world.input(on(0, false)), [health(0, Health::Late)]);
    assert_eq!(beat_on(&mut world, 2, &[0], SILENT - 1), []);
    assert_eq!(world.run_for(1), [health(0, Health::Silent), open(2, AlertKind::Silent, [0])]);
    // One that reports while it is worked on is well when that ends.
    world.input(on(1, true));
    world.beat(1);
    assert_eq!(world.input(on(1, false)), [health(1, Health::Well)]);
}

#[test]
fn a_restart_in_the_middle_of_work_says_nothing() {
    let mut world = World::new();
    world.input(restore(0, Health::Maintenance));
    assert_eq!(world.run_to(10_000_000), []);
    assert_eq!(world.input(Input::Maintain { uid: uid(0), on: true }), []);
    assert_eq!(world.input(Input::Maintain { uid: uid(0), on: false }), [health(0, Health::Late)]);
}

fn behind(n: u8, gateway: u8) -> Input {
    Input::Behind { uid: uid(n), gateway: Some(uid(gateway)) }
}

/// Ten appliances, of which 1 is behind 0 and 2 behind 1, in a site in which single ones do not become a site alert.
fn with_gateway() -> World {
    let mut world = World::with_well(10);
    world.input(behind(1, 0));
    world.input(behind(2, 1));
    world
}

#[test]
fn those_behind_a_silent_gateway_are_unreachable_and_in_its_alert_whatever_the_order() {
    for first in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut world = with_gateway();
        // Their last beats, a second apart.
        let mut silent = Vec::new();
        for n in first {
            world.run_for(1_000);
            world.beat(n);
            silent.push(n);
        }
        let told = beat_on(&mut world, 10, &silent, 600_000);
        let opened: Vec<_> = told.iter().filter(|output| matches!(output, Output::Open(..))).collect();
        assert_eq!(opened, [&open(1, AlertKind::Silent, [0])], "{first:?}: {told:?}");
        let attached = |n| told.contains(&attach(1, n)) && world.watch.health(&uid(n)) == Health::Unreachable;
        assert!(attached(1) && attached(2), "{first:?}: {told:?}");
    }
}

#[test]
fn single_alerts_of_those_behind_give_way_to_the_gateways() {
    let mut world = with_gateway();
    // The gateway reports seldom: it is judged long after those behind it.
    world.input(Input::Expect { uid: uid(0), site: SITE, interval_s: 600 });
    world.beat(0);
    let told = beat_on(&mut world, 10, &[0, 1], 3_600_000);
    let alerts: Vec<_> = told.iter().filter(|output| !matches!(output, Output::Health { .. })).collect();
    assert_eq!(alerts, [&open(1, AlertKind::Silent, [1]), &open(2, AlertKind::Silent, [0]), &close(1), &attach(2, 1)]);
    assert_eq!(world.watch.health(&uid(1)), Health::Unreachable);
}

#[test]
fn one_that_was_silent_long_before_its_gateway_keeps_its_own_alert() {
    let mut world = with_gateway();
    beat_on(&mut world, 10, &[1], 1_000_000);
    let told = beat_on(&mut world, 10, &[0, 1], 1_000_000);
    assert!(told.contains(&open(2, AlertKind::Silent, [0])) && !told.contains(&close(1)), "{told:?}");
    assert_eq!(world.watch.health(&uid(1)), Health::Silent);
}

#[test]
fn a_gateway_that_is_back_lets_those_behind_it_be_judged_anew() {
    let mut world = with_gateway();
    let told = beat_on(&mut world, 10, &[0, 1, 2], 600_000);
    assert!(told.contains(&attach(1, 2)), "{told:?}");
    world.beat(0);
    world.run_for(60_000);
    let late = |n| health(n, Health::Late);
    assert_eq!(world.beat(0), [late(1), late(2), close(1), health(0, Health::Well)]);
    let told = beat_on(&mut world, 10, &[1], 400_000);
    assert!(told.contains(&open(2, AlertKind::Silent, [1])), "{told:?}");
    assert_eq!(world.watch.health(&uid(2)), Health::Well, "it reports again");
}

#[test]
fn in_the_alert_of_a_site_whoever_stays_away_when_the_gateway_is_back_is_silent_there() {
    let mut world = World::with_well(3);
    world.input(behind(1, 0));
    world.run_to(SILENT + 10);
    assert_eq!(world.watch.health(&uid(1)), Health::Unreachable);
    for n in [0, 2] {
        world.beat(n);
    }
    world.run_for(60_000);
    let told: Vec<Output> = [0, 2].into_iter().flat_map(|n| world.beat(n)).collect();
    let is_open = world.watch.health(&uid(1)) == Health::Silent || told.contains(&health(1, Health::Late));
    assert!(is_open, "{told:?}");
    assert!(beat_on(&mut world, 3, &[1], 1_000_000).iter().all(|output| !matches!(output, Output::Attach { .. })));
    assert_eq!(world.watch.health(&uid(1)), Health::Silent);
}

#[test]
fn those_behind_a_gateway_go_with_it_into_the_alert_of_the_site() {
    let mut world = World::with_well(4);
    // It reports often and is silent long before the others, who become silent one after another.
    world.input(Input::Expect { uid: uid(3), site: SITE, interval_s: 5 });
    world.beat(3);
    world.input(behind(3, 0));
    world.run_for(1);
    world.beat(2);
    let told = world.run_for(SILENT);
    assert!(told.contains(&attach(2, 3)) && told.contains(&open(4, AlertKind::Site, 0..4)), "{told:?}");
    assert_eq!(world.watch.health(&uid(3)), Health::Unreachable);
}

#[test]
fn a_ring_of_gateways_holds_nobody_back() {
    let mut world = World::with_well(10);
    world.input(behind(0, 1));
    world.input(behind(1, 0));
    let told = beat_on(&mut world, 10, &[0, 1], 600_000);
    let count = |is: fn(&&Output) -> bool| told.iter().filter(is).count();
    let open = count(|output| matches!(output, Output::Open(..))) - count(|output| matches!(output, Output::Close(_)));
    assert_eq!(open, 1, "{told:?}");
    for _ in 0..2 {
        world.run_for(60_000);
        world.beat(0);
        world.beat(1);
    }
    assert_eq!((world.watch.health(&uid(0)), world.watch.health(&uid(1))), (Health::Well, Health::Well));
}

/// Falls silent and comes back, `times`.
fn flap(world: &mut World, times: u8) -> Vec<Output> {
    let mut told = Vec::new();
    for _ in 0..times {
        told.extend(beat_on(world, 10, &[0], 240_000));
        told.extend(beat_on(world, 10, &[], 180_000));
    }
    told.retain(|output| !matches!(output, Output::Health { .. }));
    told
}

#[test]
fn one_that_comes_and_goes_is_one_alert_until_an_hour_of_quiet() {
    let mut world = World::with_well(10);
    let told = flap(&mut world, 5);
    let silent = |id| open(id, AlertKind::Silent, [0]);
    assert_eq!(told, [silent(1), close(1), silent(2), close(2), open(3, AlertKind::Unstable, [0])]);
    let told = beat_on(&mut world, 10, &[], 3_300_000);
    assert_eq!(told, [], "not before it has been quiet for an hour");
    assert_eq!(beat_on(&mut world, 10, &[], 600_000), [close(3)]);
    let told = beat_on(&mut world, 10, &[0], 600_000);
    assert!(told.contains(&silent(4)), "and then counts anew: {told:?}");
}

#[test]
fn one_that_is_silent_when_the_hour_is_over_has_an_alert_of_its_own() {
    let mut world = World::with_well(10);
    flap(&mut world, 4);
    let told = beat_on(&mut world, 10, &[0], 8_000_000);
    let alerts: Vec<_> = told.into_iter().filter(|output| !matches!(output, Output::Health { .. })).collect();
    assert_eq!(alerts, [close(3), open(4, AlertKind::Silent, [0])]);
}

#[test]
fn an_unstable_one_is_so_after_a_restart_and_for_an_hour() {
    let mut world = World::new();
    world.input(restore_alert(5, AlertKind::Unstable, [0]));
    world.input(restore(0, Health::Well));
    assert_eq!(beat_on(&mut world, 1, &[], 3_500_000), []);
    assert_eq!(beat_on(&mut world, 1, &[], 200_000), [close(5)]);
    assert_eq!(world.watch.health(&uid(0)), Health::Well);
}

#[test]
fn a_broken_rule_is_an_alert_beside_those_of_silence() {
    let mut world = World::with_well(10);
    assert_eq!(world.input(broken(0, true)), [failing(1, 0), health(0, Health::Failing)]);
    assert_eq!(world.input(broken(0, true)), []);
    assert_eq!(world.beat(0), []);
    let told = beat_on(&mut world, 10, &[0], 300_000);
    assert!(told.contains(&open(2, AlertKind::Silent, [0])), "{told:?}");
    world.beat(0);
    world.run_for(60_000);
    assert_eq!(world.beat(0), [close(2), health(0, Health::Failing)]);
    assert_eq!(world.input(broken(0, false)), [close(1), health(0, Health::Well)]);
    assert_eq!(world.input(broken(0, false)), []);
    assert_eq!(world.input(broken(11, true)), [], "nothing is expected of it");
}

#[test]
fn a_broken_rule_survives_a_restart_and_ends_with_its_appliance() {
    for alert_first in [true, false] {
        let mut world = World::new();
        let (uids, rule) = (vec![uid(0)], "disk".to_owned());
        let alert = Input::RestoreAlert { id: AlertId(7), site: SITE, kind: AlertKind::Failing, uids, rule };
        let mut inputs = vec![alert, restore(0, Health::Failing)];
        if !alert_first {
            inputs.reverse();
        }
        assert!(inputs.into_iter().all(|input| world.input(input).is_empty()));
        assert_eq!(world.watch.health(&uid(0)), Health::Failing);
        assert_eq!(world.input(broken(0, true)), []);
        assert_eq!(world.run_to(20_000), []);
        assert_eq!(world.input(Input::Forget { uid: uid(0) }), [close(7)]);
    }
}

/// A fuzzer found it: with a window of no length what the review opened was due again at that very moment.
#[test]
fn a_wake_up_leaves_nothing_due_whatever_the_window_of_flapping() {
    let rules = Rules { flap_window_ms: 0, ..Rules::default() };
    let mut world = World { watch: BeatWatch::new(Millis(0), rules).first_alert_id(AlertId(1)), now: Millis(0) };
    world.input(restore_alert(7, AlertKind::Site, [0]));
    world.input(restore(0, Health::Silent));
    for n in 1..20 {
        world.input(restore(n, Health::Well));
    }
    let review = world.watch.poll_timeout().expect("restored alerts are looked through");
    world.watch.handle_timeout(review);
    assert_eq!(world.drain(), [close(7), open(8, AlertKind::Silent, [0])]);
    assert!(world.watch.poll_timeout().is_some_and(|next| next > review), "{:?}", world.watch.poll_timeout());
}

#[test]
fn a_restored_alert_of_an_unstable_one_does_not_take_in_who_was_unreachable() {
    let mut world = World::new();
    world.input(restore_alert(7, AlertKind::Unstable, [0]));
    world.input(restore(0, Health::Unreachable));
    let review = world.watch.poll_timeout().expect("restored alerts are looked through");
    assert_eq!(world.run_to(review.0), [close(7)]);
    let outputs = world.run_for(LATE);
    assert!(outputs.iter().any(|output| matches!(output, Output::Open(..))), "it is silent, and told of: {outputs:?}");
}
