//! `muster-noc audit`: the log of who did what.

use super::{FolderArg, Output, answer};
use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use muster_noc::{Format, Noc, Record};
use muster_protocol::text::printable;
use std::io::Write;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Look for forgeries: every record's hash, and what the root has signed. Fails with the first broken record.
    Verify {
        #[command(flatten)]
        folder: FolderArg,
        /// An anchor that was kept elsewhere, from `muster-noc audit anchor`.
        #[arg(long)]
        anchor: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// List records, newest first. Texts are compared from their beginning.
    Search {
        #[command(flatten)]
        folder: FolderArg,
        /// Who, as operator:7:anna or console:2.
        #[arg(long)]
        actor: Option<String>,
        /// What, as sign_in. or site.change.
        #[arg(long)]
        action: Option<String>,
        /// To what, as appliance:ABCD.
        #[arg(long)]
        subject: Option<String>,
        /// Only at this time or later, Unix seconds.
        #[arg(long)]
        since: Option<u64>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Print every record, oldest first, for another program.
    Export {
        #[command(flatten)]
        folder: FolderArg,
        /// In which form.
        #[arg(long, value_enum)]
        format: FormatArg,
        /// Only records after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Print the root's signature over the end of the log, to be kept elsewhere.
    Anchor {
        #[command(flatten)]
        folder: FolderArg,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FormatArg {
    /// One JSON object a line.
    Jsonl,
    /// RFC 5424, one message a line.
    Syslog,
}

impl AuditCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            AuditCommand::Verify { folder, anchor, output } => {
                let verdict = Noc::open(&folder.dir)?.verify_audit(anchor.as_deref())?;
                let broken = verdict.broken.clone();
                answer(output, &verdict, |verdict| {
                    if let Some(cut) = &verdict.cut {
                        println!("Records 1 to {} were pruned; the last had the hash {}.", cut.seq, cut.hash);
                    }
                    let begins = verdict.cut.as_ref().map_or(0, |cut| cut.seq);
                    println!(
                        "{} records are as they were written; signed up to {}.",
                        verdict.good - begins,
                        verdict.anchored
                    );
                })?;
                match broken {
                    None => Ok(()),
                    Some(broken) => bail!("the audit log was tampered with or damaged: {broken}"),
                }
            }
            AuditCommand::Search { folder, actor, action, subject, since, limit, output } => {
                let limit = limit.clamp(1, 100_000);
                let found = Noc::open(&folder.dir)?.search_audit(actor, action, subject, since, limit)?;
                answer(output, &found, |found| found.iter().for_each(print))
            }
            AuditCommand::Export { folder, format, after } => export(&folder, format, after),
            AuditCommand::Anchor { folder } => {
                let Some(anchor) = Noc::open(&folder.dir)?.anchor_audit()? else {
                    bail!("the audit log is empty: there is nothing to sign yet");
                };
                println!("{}", serde_json::to_string(&anchor)?);
                Ok(())
            }
        }
    }
}

fn export(folder: &FolderArg, format: FormatArg, after: u64) -> Result<()> {
    let noc = Noc::open(&folder.dir)?;
    let format = match format {
        FormatArg::Jsonl => Format::Jsonl,
        FormatArg::Syslog => Format::Syslog,
    };
    let address = noc.noc_address();
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    noc.each_audit(|record| {
        if record.seq > after {
            written = writeln!(out, "{}", format.line(host, &record));
        }
        written.is_ok()
    })?;
    match written.and_then(|()| out.flush()) {
        // Whoever reads has had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn print(record: &Record) {
    let Record { seq, time, actor, address, action, subject, detail, .. } = record;
    let [actor, address, subject, detail] = [actor, address, subject, detail].map(|text| printable(text));
    println!("{seq}  {time}  {actor} {address}  {action}  {subject}  {detail}");
}
