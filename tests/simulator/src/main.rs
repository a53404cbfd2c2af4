//! Runs worlds: one with its log, a range, or as many as it takes for a number of provisionings.

use anyhow::{Context, bail};
use clap::Parser;
use muster_simulator::{Counts, Options, Report, moment, run, tail};
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Consoles, appliances and a NOC on a hostile network: one seed, one world.
#[derive(Parser)]
struct Args {
    /// Run the world of this seed.
    #[arg(long, conflicts_with_all = ["seeds", "provisionings", "minutes"])]
    seed: Option<u64>,
    /// Print everything that happens in it.
    #[arg(long, requires = "seed")]
    log: bool,
    /// Run the worlds of these seeds, as `0..1000`.
    #[arg(long, value_parser = range, conflicts_with_all = ["provisionings", "minutes"])]
    seeds: Option<Range<u64>>,
    /// Run worlds, from the seed `--base` upwards, until so many appliances were brought from a config packet to an outcome.
    #[arg(long)]
    provisionings: Option<u64>,
    /// Run worlds for so long, from a base that the clock chooses and that is printed.
    #[arg(long, conflicts_with = "provisionings")]
    minutes: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    base: u64,
    /// Threads; as many as there are processors if it is not said.
    #[arg(long)]
    threads: Option<usize>,
}

/// Lines of the log that a failure prints.
const TAIL: usize = 60;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        return one(seed, args.log);
    }
    let started = Instant::now();
    let (seeds, provisionings, until) = match (&args.seeds, args.provisionings, args.minutes) {
        (Some(seeds), _, _) => (seeds.clone(), u64::MAX, None),
        (_, Some(count), _) => (args.base..u64::MAX, count, None),
        (_, _, Some(minutes)) => {
            let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
            let base = if args.base == 0 { now.as_secs() * 1_000_000 } else { args.base };
            say(&format!("worlds from seed {base}, for {minutes} minutes"))?;
            (base..u64::MAX, u64::MAX, Some(started + Duration::from_secs(60 * minutes)))
        }
        _ => bail!("say --seed, --seeds, --provisionings or --minutes"),
    };
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let (counts, failed) = many(seeds, provisionings, until, threads);
    let seconds = started.elapsed().as_secs_f64();
    if let Some(seed) = failed {
        explain(&run(seed, Options { log: true, ..Options::default() }))?;
        say(&format!("stopped after {counts}, {seconds:.1} s"))?;
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("every invariant held: {counts}; {seconds:.1} s on {threads} threads"))?;
    Ok(ExitCode::SUCCESS)
}

fn one(seed: u64, log: bool) -> anyhow::Result<ExitCode> {
    let report = run(seed, Options { log: true, ..Options::default() });
    if log {
        say(report.log.trim_end())?;
    }
    if report.failure.is_some() {
        explain(&report)?;
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("every invariant held: seed {seed}, {}", report.counts))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs worlds on all threads; the sums, and the lowest seed that failed.
fn many(seeds: Range<u64>, provisionings: u64, until: Option<Instant>, threads: usize) -> (Counts, Option<u64>) {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sums = Mutex::new((Counts::default(), None::<u64>));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut counts = Counts::default();
                let mut failed = None;
                while !stop.load(Ordering::Relaxed)
                    && done.load(Ordering::Relaxed) < provisionings
                    && until.is_none_or(|until| Instant::now() < until)
                {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = run(seed, Options::default());
                    done.fetch_add(report.counts.provisionings(), Ordering::Relaxed);
                    counts.add(&report.counts);
                    if report.failure.is_some() {
                        failed = Some(seed);
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                let mut sums = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                sums.0.add(&counts);
                sums.1 = sums.1.into_iter().chain(failed).min();
            });
        }
    });
    sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn explain(report: &Report) -> anyhow::Result<()> {
    let Some(failure) = &report.failure else { return Ok(()) };
    say("the last events:")?;
    say(tail(&report.log, TAIL).trim_end())?;
    say(&format!("\ninvariant `{}` does not hold: {}", failure.invariant.name(), failure.invariant.text()))?;
    say(&format!("  seed {}, at {}: {}", report.seed, moment(failure.at), failure.detail))?;
    say(&format!("  to replay it: cargo run -p muster-simulator -- --seed {} --log", report.seed))
}

fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        // A reader such as `head` that has enough is no error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
    ends.filter(|range: &Range<u64>| range.start < range.end)
        .ok_or_else(|| "two numbers are expected, as 0..1000".into())
}
