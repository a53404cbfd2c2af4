//! Every state within some bounds in which the NOC gives grants itself, with the answers to beats, and in which appliances want
//! vouchers. Who has the NOC's TLS key, and not its root, gives what was given once to whom he likes, whenever he likes.

use muster_model::properties::{BY_THE_CONSOLE, GRANTED, IN_ORDER, PACKET_ONCE};
use muster_model::{Bounds, Report, Sabotage, Setup, search};
use std::time::Duration;

/// Far more than any of these takes, also on a busy machine.
const AT_MOST: Duration = Duration::from_secs(240);

#[expect(clippy::print_stdout, reason = "nextest shows it with --success-output, and with a failure")]
fn searched(setup: Setup) -> Report {
    let report = search(setup, AT_MOST);
    println!("{report}");
    report
}

fn holds(setup: Setup, ends: &[&str], refusals: &[&str]) {
    let report = searched(setup);
    assert!(report.broken.is_empty(), "see the trace above");
    assert!(report.is_complete, "not every state was visited");
    for end in ends {
        assert!(report.reached.contains(end), "no state shows: {end}");
    }
    for reason in refusals {
        assert!(report.coverage.forged_refused.contains_key(reason), "no packet of the attacker met: {reason}");
    }
}

fn breaks(setup: Setup, expected: &[&str]) {
    let report = searched(setup);
    let damage = report.broken.iter().find(|(name, _)| expected.contains(name));
    let (_, trace) = damage.expect("the damage that this does is found");
    assert!(trace.len() > 2, "the way to it is told");
}

const GIVEN: &str = "a grant by beat became final";
const GIVEN_BACK: &str = "a grant by beat was rolled back";
const AFTER_CUT: &str = "an appliance was configured after a power cut";
const AFTER_RESET: &str = "an appliance was configured, reset and configured again";

/// One job and two grants of the NOC itself.
const TWO_GIVEN: Bounds = Bounds { grants: 3, given: 2, ..Bounds::ONE_JOB };

#[test]
fn grants_by_beat_are_applied_once_and_in_order_whoever_gives_them_again() {
    let setup = Setup { bounds: [TWO_GIVEN, Bounds { grants: 1, given: 1, ..Bounds::NO_JOB }], ..Setup::default() };
    holds(setup, &[GIVEN], &["old_sequence", "wrong_root", "wrong_console", "wrong_appliance"]);
}

#[test]
fn power_goes_at_any_moment_of_a_change_by_beat() {
    let a = Bounds { grants: 2, given: 1, cuts: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], ..Setup::default() };
    holds(setup, &[GIVEN, GIVEN_BACK, AFTER_CUT], &["old_sequence", "wrong_root", "wrong_console"]);
}

#[test]
fn a_grant_by_beat_that_nobody_confirms_is_rolled_back_when_time_passes() {
    let a = Bounds { grants: 2, given: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], waits: 1, ..Setup::default() };
    holds(setup, &[GIVEN_BACK], &["wrong_root"]);
}

#[test]
fn an_appliance_that_applies_what_its_machine_refuses_takes_a_grant_by_beat_twice() {
    let a = Bounds { grants: 2, given: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], sabotage: Sabotage::AppliesWhatIsGiven, ..Setup::default() };
    breaks(setup, &[PACKET_ONCE, IN_ORDER]);
}

#[test]
fn an_appliance_that_wants_a_voucher_is_taken_by_nobody_without_the_right_one() {
    let a = Bounds { resets: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], vouched: true, ..Setup::default() };
    holds(setup, &[AFTER_RESET], &["voucher_refused", "wrong_console", "wrong_root", "key_unknown"]);
}

#[test]
fn two_appliances_that_want_vouchers_at_once() {
    let setup = Setup { bounds: [Bounds::ONE_JOB; 2], vouched: true, ..Setup::default() };
    holds(setup, &["both appliances are configured, and the console knows"], &["voucher_refused", "wrong_appliance"]);
}

#[test]
fn an_appliance_that_asks_for_no_voucher_is_anybodys() {
    let setup = Setup {
        bounds: [Bounds::ONE_JOB, Bounds::NO_JOB],
        vouched: true,
        sabotage: Sabotage::AsksForNoVoucher,
        ..Setup::default()
    };
    breaks(setup, &[GRANTED, BY_THE_CONSOLE]);
}
