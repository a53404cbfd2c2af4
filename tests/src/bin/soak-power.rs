//! `soak-power --cuts N`: the power of a real agent is cut before every changing system call of every story, then at random, until
//! N cuts are done; every such call fails in every way. One JSON line at the end, and on standard error how it goes.

use anyhow::{anyhow, bail};
use clap::Parser;
use serde_json::json;
use std::io::Write;
use std::time::Instant;
use system_tests::power::cuts::{Cut, Loss};
use system_tests::power::faults;
use system_tests::power::story::{STORIES, Story};
use system_tests::power::victim::Victim;

/// Cuts the power of a real agent, again and again.
#[derive(Parser)]
struct Options {
    /// How many cuts; those before every call come first.
    #[arg(long, default_value_t = 2000)]
    cuts: usize,
    /// Decides where the random ones are, and what a disk loses; another each time if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Only the cut or the fault of this number, with the same seed: to repeat a failure.
    #[arg(long)]
    only: Option<usize>,
    /// Leave out the cuts: only faults.
    #[arg(long)]
    faults: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let seed = options.seed.unwrap_or(u64::from(getrandom::u32()?));
    let mut say = std::io::stderr();
    writeln!(say, "seed {seed}")?;
    let started = Instant::now();
    let mut victim = Victim::new("sp");
    let mut rehearsals = Vec::new();
    for story in STORIES {
        let rehearsal = story.rehearse(&mut victim).map_err(|error| anyhow!(error))?;
        writeln!(say, "{}: {} calls to cut before", story.word(), rehearsal.changing().len())?;
        rehearsals.push(rehearsal);
    }
    // Two losses before each call: the process alone, and the power.
    let systematic: Vec<(usize, Cut)> = (rehearsals.iter().enumerate())
        .flat_map(|(index, rehearsal)| rehearsal.changing().into_iter().map(move |call| (index, call)))
        .enumerate()
        .flat_map(|(number, (index, call))| {
            let losses = [Loss::Process, Loss::Power(seed.wrapping_add(number as u64))];
            losses.map(|loss| (index, Cut::before(call, loss)))
        })
        .collect();
    let (mut done, mut failed) = (0, 0);
    let mut again = |number: usize, what: &str, error: String| -> anyhow::Result<()> {
        failed += 1;
        let mut say = std::io::stderr();
        writeln!(say, "{what} {number}: {error}")?;
        let program = std::env::current_exe()?;
        let faults = if options.faults { " --faults" } else { "" };
        writeln!(say, "again: {} --seed {seed} --cuts {}{faults} --only {number}", program.display(), options.cuts)?;
        Ok(())
    };
    let wanted = |number: usize| options.only.is_none_or(|only| only == number);
    for number in (0..if options.faults { 0 } else { options.cuts }).filter(|number| wanted(*number)) {
        let (index, cut) = systematic.get(number).cloned().unwrap_or_else(|| {
            let index = number % rehearsals.len();
            (index, Cut::any(&rehearsals[index], seed, number))
        });
        if let Err(error) = cut.carry_out(&rehearsals[index], &mut victim) {
            again(number, "cut", error)?;
        }
        done += 1;
        if done % 100 == 0 {
            writeln!(say, "{done} cuts in {} s", started.elapsed().as_secs())?;
        }
    }
    let mut faulty = 0;
    if options.faults || options.only.is_none() {
        let rehearsals = rehearsals.iter().filter(|rehearsal| rehearsal.story != Story::FirstBoot);
        let all =
            rehearsals.flat_map(|rehearsal| faults::all(rehearsal).into_iter().map(move |fault| (rehearsal, fault)));
        for (number, (rehearsal, fault)) in all.enumerate().filter(|(number, _)| wanted(*number)) {
            if let Err(error) = fault.carry_out(rehearsal, &mut victim) {
                again(number, "fault", error)?;
            }
            faulty += 1;
        }
    }
    let seconds = started.elapsed().as_secs();
    let calls: Vec<_> = rehearsals.iter().map(|rehearsal| rehearsal.changing().len()).collect();
    let line = json!({ "soak": "power", "seed": seed, "calls": calls.iter().sum::<usize>(), "cuts": done, "faults": faulty,
        "failed": failed, "seconds": seconds });
    writeln!(std::io::stdout(), "{line}")?;
    if failed > 0 {
        bail!("{failed} of {} ended badly", done + faulty);
    }
    Ok(())
}
