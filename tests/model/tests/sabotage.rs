//! The model bites: with one protection taken away in the driver, the search finds the way to the damage.

use muster_model::properties::{BY_THE_CONSOLE, CAN_FINISH, GRANTED, KEY_ONCE, NOTHING_LINGERS, PACKET_ONCE, STARTS};
use muster_model::{Bounds, Sabotage, Setup, search};
use std::time::Duration;

/// Searches, prints the way to the damage and sees that it is damage of the expected kind.
#[expect(clippy::print_stdout, reason = "nextest shows it with --success-output, and with a failure")]
fn breaks(sabotage: Sabotage, a: Bounds, waits: u8, expected: &[&str]) {
    let setup = Setup { bounds: [a, Bounds::NO_JOB], waits, sabotage, ..Setup::default() };
    let report = search(setup, Duration::from_secs(240));
    println!("{sabotage:?}\n{report}");
    let damage = report.broken.iter().find(|(name, _)| expected.contains(name));
    let (_, trace) = damage.expect("the damage that this does is found");
    assert!(trace.len() > 2, "the way to it is told");
}

#[test]
fn a_disk_that_forgets_leaves_settings_that_nobody_confirmed() {
    let a = Bounds { cuts: 1, ..Bounds::ONE_JOB };
    breaks(Sabotage::ForgetfulDisk, a, 0, &[NOTHING_LINGERS, STARTS]);
}

#[test]
fn one_time_keys_that_come_again_let_a_recorded_packet_in_again() {
    let a = Bounds { resets: 1, ..Bounds::ONE_JOB };
    breaks(Sabotage::SameKeysEveryBoot, a, 0, &[PACKET_ONCE, KEY_ONCE]);
}

#[test]
fn a_noc_that_uses_a_number_twice_locks_its_console_out() {
    let a = Bounds { jobs: 2, grants: 2, pings: 2, ..Bounds::ONE_JOB };
    breaks(Sabotage::NocReusesNumbers, a, 0, &[CAN_FINISH]);
}

#[test]
fn a_system_that_does_not_roll_back_keeps_what_nobody_confirmed() {
    breaks(Sabotage::RollsBackNothing, Bounds::ONE_JOB, 1, &[NOTHING_LINGERS]);
}

#[test]
fn an_attacker_who_read_the_label_takes_the_appliance() {
    breaks(Sabotage::ThiefKnowsClaims, Bounds::ONE_JOB, 0, &[GRANTED, BY_THE_CONSOLE]);
}

#[test]
fn an_attacker_with_the_consoles_key_delivers_its_grant() {
    let a = Bounds { jobs: 2, grants: 2, pings: 2, ..Bounds::ONE_JOB };
    breaks(Sabotage::ThiefHasConsoleKey, a, 0, &[BY_THE_CONSOLE]);
}
