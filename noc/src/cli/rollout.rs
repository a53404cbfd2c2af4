//! `muster-noc component rollout`: changes that go out in waves.

use super::{FolderArg, Output, answer, duration};
use clap::{Args, Subcommand};
use muster_noc::{Noc, RolloutView, Share, Waves};
use muster_protocol::text::printable;
use muster_protocol::time::UnixTime;
use std::time::{Duration, SystemTime};

#[derive(Subcommand)]
pub(super) enum RolloutCommand {
    /// List roll-outs, newest first.
    List {
        #[command(flatten)]
        folder: FolderArg,
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show how far one is, and who failed.
    Show {
        #[command(flatten)]
        one: One,
    },
    /// Begin the next wave without waiting for this one; when it is halted, go on without the appliances that failed.
    Continue {
        #[command(flatten)]
        one: One,
        /// Only when it is in this wave, as `show` says.
        #[arg(long)]
        wave: Option<usize>,
    },
    /// Begin no further wave. Appliances that have the version keep it.
    Halt {
        #[command(flatten)]
        one: One,
    },
    /// Give all appliances what they had before.
    Back {
        #[command(flatten)]
        one: One,
    },
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    folder: FolderArg,
    /// Its number.
    id: i64,
    #[command(flatten)]
    output: Output,
}

/// How a requirement goes out.
#[derive(Args)]
pub(super) struct WavesArgs {
    /// Let another version go out in waves: how many appliances, or how many percent, each wave reaches; the last is 100%.
    #[arg(long, value_delimiter = ',', value_name = "1%,10%,100%")]
    waves: Vec<Share>,
    /// How long all appliances of a wave have to stay well before the next one begins; usually 30m.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "waves")]
    soak: Option<Duration>,
    /// Halt when more than so many, or so many percent, of a wave fail; usually 5%.
    #[arg(long, value_name = "PART", requires = "waves")]
    halt_at: Option<Share>,
    /// How long an appliance may take to install it before it counts as one that failed; usually 6h.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "waves")]
    within: Option<Duration>,
}

impl WavesArgs {
    pub(super) fn waves(self) -> Option<Waves> {
        if self.waves.is_empty() {
            return None;
        }
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let usual = Waves::of(self.waves);
        Some(Waves {
            soak_s: self.soak.map_or(usual.soak_s, seconds),
            halt_at: self.halt_at.unwrap_or(usual.halt_at),
            within_s: self.within.map_or(usual.within_s, seconds),
            ..usual
        })
    }
}

impl RolloutCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            RolloutCommand::List { folder, all, output } => {
                answer(output, &Noc::open(&folder.dir)?.rollouts(!all)?, |found| found.iter().for_each(line))
            }
            RolloutCommand::Show { one } => answer(one.output, &Noc::open(&one.folder.dir)?.rollout(one.id)?, print),
            RolloutCommand::Continue { one, wave } => {
                let noc = Noc::open(&one.folder.dir)?;
                let wave = match wave {
                    Some(wave) => wave,
                    None => noc.rollout(one.id)?.wave,
                };
                answer(one.output, &noc.continue_rollout(one.id, wave)?, print)
            }
            RolloutCommand::Halt { one } => {
                answer(one.output, &Noc::open(&one.folder.dir)?.halt_rollout(one.id)?, print)
            }
            RolloutCommand::Back { one } => {
                answer(one.output, &Noc::open(&one.folder.dir)?.take_rollout_back(one.id)?, print)
            }
        }
    }
}

fn line(rollout: &RolloutView) {
    let place = match rollout.site {
        Some(site) => format!("site {site}"),
        None => format!("organisation {}", rollout.organisation),
    };
    let model = rollout.model.as_ref().map(|model| format!(", model {}", printable(model))).unwrap_or_default();
    let why = if rollout.why.is_empty() { String::new() } else { format!(": {}", printable(&rollout.why)) };
    println!(
        "{}  {} {}  {place}{model}  {}, wave {} of {}{why}",
        rollout.id,
        rollout.name,
        rollout.version,
        rollout.state,
        rollout.wave,
        rollout.waves.len()
    );
}

fn print(rollout: &RolloutView) {
    line(rollout);
    println!("before: {}", rollout.former.as_deref().unwrap_or("nothing, or what is said above"));
    for (at, wave) in rollout.waves.iter().enumerate() {
        let stands = if wave.begun {
            let counted = [
                (wave.well, "well"),
                (wave.waiting, "waiting"),
                (wave.failed, "failed"),
                (wave.excused, "failed and passed over"),
                (wave.absent, "silent before"),
            ];
            let told: Vec<_> =
                counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
            if told.is_empty() { "nobody more".to_owned() } else { told.join(", ") }
        } else {
            "not begun".to_owned()
        };
        println!("  wave {}  to {}  {stands}", at + 1, wave.reaches);
    }
    for failure in &rollout.failures {
        println!("  {}  {}", failure.uid, printable(&failure.why));
    }
    if let Some(next) = rollout.next {
        println!("the next step is due in {} s", next.saturating_sub(UnixTime::from_system(SystemTime::now()).0));
    }
}
