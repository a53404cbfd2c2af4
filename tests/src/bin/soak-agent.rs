//! `soak-agent --reconfigurations N`: one real agent gets settings again and again, each confirmed by its kick-start; its memory, open
//! files and files on disk must not grow. Its clock goes faster, because it opens one packet a second. One JSON line.

use clap::Parser;
use serde_json::json;
use std::io::Write;
use system_tests::power::soak::{self, Size};

/// Configures one real agent again and again.
#[derive(Parser)]
struct Options {
    /// How often.
    #[arg(long, default_value_t = 10_000)]
    reconfigurations: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let soaked = soak::run("sa", options.reconfigurations, |done, size| {
        let Size { rss_kib, fds, files } = size;
        // Standard error may be closed; the soak goes on.
        let _ = writeln!(std::io::stderr(), "{done}: {rss_kib} KiB, {fds} open files, {files} files");
    });
    let (first, last) = (soaked.first, soaked.last);
    let line = json!({
        "soak": "agent", "reconfigurations": soaked.reconfigurations,
        "rss_first_kib": first.rss_kib, "rss_last_kib": last.rss_kib,
        "fds_first": first.fds, "fds_last": last.fds,
        "files_first": first.files, "files_last": last.files,
        "seconds": soaked.seconds,
    });
    writeln!(std::io::stdout(), "{line}")?;
    soaked.check().map_err(anyhow::Error::msg)
}
