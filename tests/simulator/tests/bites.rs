//! Each invariant bites: a driver that is broken on purpose is found out, by the invariant that names its fault, within a
//! few seeds. Without the sabotage the same seeds hold (`seeds.rs`).

use muster_simulator::{Invariant, Options, Sabotage, run};

/// Within so many seeds; most are found with the first ones.
const SEEDS: u64 = 300;

/// The invariant that the first failing seed names, and how many seeds it took.
fn found(sabotage: Sabotage) -> (Invariant, u64) {
    let options = Options { sabotage: Some(sabotage), ..Options::default() };
    // It takes two consoles and a cut within milliseconds; the first such world would take a minute to reach.
    let first = if sabotage == Sabotage::TakesWhileCommitting { 95 } else { 0 };
    for seed in first..first + SEEDS {
        if let Some(failure) = run(seed, options).failure {
            return (failure.invariant, seed + 1 - first);
        }
    }
    panic!("{sabotage:?} is not found within {SEEDS} seeds");
}

fn is_found_by(sabotage: Sabotage, expected: &[Invariant]) {
    let (invariant, seeds) = found(sabotage);
    let name = invariant.name();
    assert!(expected.contains(&invariant), "{sabotage:?} is found by `{name}` instead, after {seeds} seeds");
}

#[test]
fn an_appliance_that_forgets_to_persist_is_found_at_its_next_start() {
    is_found_by(Sabotage::ForgetsToPersist, &[Invariant::ApplianceKeeps]);
}

#[test]
fn an_appliance_that_restores_the_wrong_former_state_is_found() {
    is_found_by(Sabotage::RollsBackTooFar, &[Invariant::FormerState]);
}

#[test]
fn an_appliance_that_does_not_go_back_is_found() {
    is_found_by(Sabotage::NeverRollsBack, &[Invariant::FormerState]);
}

#[test]
fn an_appliance_that_takes_any_beat_for_the_awaited_one_is_found() {
    is_found_by(Sabotage::AnyBeatConfirms, &[Invariant::Confirmed]);
}

#[test]
fn an_appliance_that_answers_at_length_is_found() {
    is_found_by(Sabotage::LongAnswers, &[Invariant::Amplification]);
}

#[test]
fn an_appliance_that_takes_a_packet_while_it_makes_the_last_one_final_is_found() {
    is_found_by(Sabotage::TakesWhileCommitting, &[Invariant::FormerState]);
}

#[test]
fn a_noc_that_uses_a_number_again_after_a_crash_is_found() {
    is_found_by(Sabotage::SignsBeforeCommit, &[Invariant::GrantsUnique]);
}

#[test]
fn a_noc_that_loses_a_beat_it_has_answered_is_found() {
    is_found_by(Sabotage::AnswersBeforeCommit, &[Invariant::NocKeeps]);
}

#[test]
fn a_console_that_sends_before_it_has_stored_is_found() {
    is_found_by(Sabotage::SendsBeforeStored, &[Invariant::StoredFirst]);
}

#[test]
fn a_console_that_forgets_its_jobs_is_found() {
    is_found_by(Sabotage::ForgetsJobs, &[Invariant::ConsoleKeeps]);
}

#[test]
fn a_console_that_shows_provisional_settings_as_configured_is_found() {
    is_found_by(Sabotage::BelievesProvisional, &[Invariant::Configured]);
}

#[test]
fn a_stranger_with_the_nocs_key_and_the_labels_is_found() {
    is_found_by(Sabotage::StolenRoot, &[Invariant::Stranger]);
}

#[test]
fn an_appliance_that_asks_for_no_voucher_is_found() {
    is_found_by(Sabotage::AsksForNoVoucher, &[Invariant::Vouched, Invariant::Stranger]);
}

#[test]
fn an_appliance_that_applies_whatever_comes_with_a_beat_is_found() {
    is_found_by(Sabotage::AppliesWhatIsGiven, &[Invariant::Sequence]);
}

#[test]
fn a_network_that_never_heals_is_found() {
    is_found_by(Sabotage::NeverHeals, &[Invariant::AllFound, Invariant::AllConfigured, Invariant::JobsEnd]);
}
