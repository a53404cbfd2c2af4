//! Every state within some bounds. `make model` searches within larger ones.

use muster_model::{Bounds, Report, Setup, search};
use std::time::Duration;

/// Far more than any of these takes, also on a busy machine.
const AT_MOST: Duration = Duration::from_secs(240);

const BOTH: &str = "both appliances are configured, and the console knows";
const ROLLED_BACK: &str = "an appliance rolled back";
const AFTER_FAILURE: &str = "settings could not be applied, and the next grant was final";
const AFTER_CUT: &str = "an appliance was configured after a power cut";
const AFTER_RESET: &str = "an appliance was configured, reset and configured again";
const FIRST_BEAT: &str = "a first beat confirmed";
const GIVEN_UP: &str = "the console gave a delivery up";
const MISSED: &str = "the console missed that its settings became final";

/// Searches, and sees to it that the search was one: complete, through the ends that these bounds allow, and past every
/// check that these refusals stand for.
#[expect(clippy::print_stdout, reason = "nextest shows it with --success-output, and with a failure")]
fn holds(setup: Setup, ends: &[&str], refusals: &[&str]) -> Report {
    let report = search(setup, AT_MOST);
    println!("{report}");
    assert!(report.broken.is_empty(), "see the trace above");
    assert!(report.is_complete, "not every state was visited");
    for end in ends {
        assert!(report.reached.contains(end), "no state shows: {end}");
    }
    for reason in refusals {
        assert!(report.coverage.forged_refused.contains_key(reason), "no packet of the attacker met: {reason}");
    }
    report
}

#[test]
fn two_appliances_at_once_and_a_power_cut_at_any_moment() {
    let a = Bounds { cuts: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::ONE_JOB], ..Setup::default() };
    let met = ["busy", "key_unknown", "not_opened", "old_sequence", "request_reused", "wrong_appliance", "wrong_root"];
    let report = holds(setup, &[BOTH, AFTER_CUT, ROLLED_BACK], &met);
    assert!(report.states > 40_000, "{} states", report.states);
}

#[test]
fn two_appliances_at_once_one_of_which_cannot_apply_or_store() {
    let a = Bounds { grants: 2, failures: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::ONE_JOB], ..Setup::default() };
    holds(setup, &[BOTH, AFTER_FAILURE, FIRST_BEAT], &["busy", "not_opened", "wrong_console", "wrong_root"]);
}

#[test]
fn a_factory_reset_and_a_power_cut_at_any_moment() {
    let a = Bounds { cuts: 1, resets: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], ..Setup::default() };
    let report = holds(setup, &[AFTER_RESET, AFTER_CUT, ROLLED_BACK], &["key_unknown", "not_opened", "wrong_root"]);
    assert!(report.states > 200_000, "{} states", report.states);
    assert!(report.coverage.refused.contains_key("key_unknown"), "no recorded packet met a destroyed key");
}

#[test]
fn a_second_job_and_time_that_passes_at_any_moment() {
    let a = Bounds { jobs: 2, grants: 2, pings: 2, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], waits: 1, ..Setup::default() };
    let met = ["old_sequence", "wrong_console", "wrong_root", "not_opened"];
    holds(setup, &[ROLLED_BACK, FIRST_BEAT, GIVEN_UP], &met);
}

#[test]
fn an_apply_that_fails_and_time_that_passes_at_any_moment() {
    let a = Bounds { grants: 2, pings: 2, failures: 1, ..Bounds::ONE_JOB };
    let setup = Setup { bounds: [a, Bounds::NO_JOB], waits: 1, ..Setup::default() };
    holds(setup, &[AFTER_FAILURE, ROLLED_BACK, FIRST_BEAT], &["not_opened", "wrong_root"]);
}

#[test]
fn a_console_that_waits_until_it_gives_up() {
    let setup = Setup { bounds: [Bounds::ONE_JOB, Bounds::NO_JOB], waits: 2, ..Setup::default() };
    holds(setup, &[ROLLED_BACK, GIVEN_UP, MISSED], &["not_opened"]);
}
