//! The power of a real agent is cut at its system calls: what is left is the former state or the confirmed one, whole, and takes
//! the next configuration (decision 0021). `make soak-power` does this at every call, and thousands of times at random.

use system_tests::power::cuts::{Cut, Loss};
use system_tests::power::soak;
use system_tests::power::story::Story;
use system_tests::power::victim::Victim;

/// How many cuts of each story; spread over all of its calls.
const CUTS: usize = 24;

fn cut(name: &str, story: Story) {
    let mut victim = Victim::new(name);
    let rehearsal = story.rehearse(&mut victim).expect("the story goes well when nobody cuts");
    let calls = rehearsal.changing();
    let every = calls.len().div_ceil(CUTS);
    for (number, call) in calls.iter().step_by(every).enumerate() {
        let loss = if number % 3 == 0 { Loss::Process } else { Loss::Power(number as u64) };
        Cut::before(call, loss).carry_out(&rehearsal, &mut victim).expect("the former or the new state, whole");
    }
    for number in 0..4 {
        Cut::any(&rehearsal, 1, number).carry_out(&rehearsal, &mut victim).expect("the former or the new state, whole");
    }
}

#[test]
fn an_identity_that_anybody_has_seen_survives_a_power_cut_at_any_call() {
    cut("pb", Story::FirstBoot);
}

#[test]
fn the_first_settings_are_whole_or_not_there_after_a_power_cut_at_any_call() {
    cut("pf", Story::First);
}

#[test]
fn a_change_is_made_or_not_made_after_a_power_cut_at_any_call() {
    cut("pc", Story::Change);
}

#[test]
fn settings_that_nobody_confirms_are_gone_after_a_power_cut_at_any_call() {
    cut("pl", Story::LeftAlone);
}

/// `make soak-agent` does it ten thousand times.
#[test]
fn an_agent_that_is_configured_again_and_again_does_not_grow() {
    let soaked = soak::run("ps", 300, |_, _| {});
    soaked.check().expect("it does not grow");
}
