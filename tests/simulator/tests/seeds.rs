//! The same seed is the same world, and in the first worlds every invariant holds. `make simulate` runs many more.

use muster_simulator::{Counts, FAULTS, Options, run};
use std::process::{Command, Output};

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_muster-simulator")).args(args).output().expect("the simulator starts")
}

#[test]
fn the_same_seed_gives_the_same_log_to_the_byte() {
    for seed in ["3", "8"] {
        let [first, second] = [(); 2].map(|()| program(&["--seed", seed, "--log"]));
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stdout));
        assert!(first.stdout.len() > 10_000, "a world has a log");
        assert_eq!(first.stdout, second.stdout, "seed {seed}");
    }
    assert_ne!(program(&["--seed", "3", "--log"]).stdout, program(&["--seed", "8", "--log"]).stdout);
}

#[test]
fn a_log_changes_nothing_in_its_world() {
    for seed in 0..5 {
        let (quiet, logged) = (run(seed, Options::default()), run(seed, Options { log: true, ..Options::default() }));
        assert_eq!((quiet.counts, quiet.ended), (logged.counts, logged.ended), "seed {seed}");
    }
}

#[test]
fn every_invariant_holds_in_the_first_worlds_and_every_fault_is_struck() {
    let mut counts = Counts::default();
    for seed in 0..60 {
        let report = run(seed, Options::default());
        assert_eq!(report.failure, None, "replay it: cargo run -p muster-simulator -- --seed {seed} --log");
        counts.add(&report.counts);
    }
    let missing: Vec<usize> = (0..FAULTS).filter(|fault| counts.faults[*fault] == 0).collect();
    assert!(missing.is_empty(), "no fault of these numbers: {missing:?}; {counts}");
    assert!(counts.provisionings() > 1_000, "{counts}");
    assert!(counts.given > 20, "{counts}");
    for outcome in ["configured", "no_beat", "address_taken"] {
        assert!(counts.ended.contains_key(outcome), "nothing ended as {outcome}: {counts}");
    }
}

#[test]
fn arguments_that_say_nothing_are_refused() {
    for args in [&[][..], &["--seeds", "5..5"], &["--seed", "1", "--provisionings", "3"], &["--log"]] {
        assert!(!program(args).status.success(), "{args:?}");
    }
    let few = program(&["--provisionings", "20", "--threads", "1"]);
    let text = String::from_utf8_lossy(&few.stdout).into_owned();
    assert!(few.status.success() && text.starts_with("every invariant held: "), "{text}");
    assert_eq!(text.lines().count(), 1, "one summary line");
}
