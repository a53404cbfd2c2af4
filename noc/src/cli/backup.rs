//! `muster-noc backup` and `restore`.

use super::{FolderArg, Output, answer};
use anyhow::Result;
use clap::Args;
use muster_noc::{Noc, RestoreKeys, Restored, restore};
use muster_protocol::text::printable;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The new folder for it; it must not be there yet.
    to: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The folder that `muster-noc backup` has made.
    from: PathBuf,
    /// Make new keys instead, for a NOC at this other address; the former NOC then hands its appliances over to it.
    #[arg(long, value_name = "HOST[:PORT]")]
    new_keys: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl BackupArgs {
    pub(super) fn run(self) -> Result<()> {
        answer(self.output, &Noc::open(&self.folder.dir)?.back_up(&self.to)?, |report| {
            let (folder, size) = (report.folder.display(), report.size.div_ceil(1 << 10));
            println!(
                "The backup is in {folder}: {size} KiB. It holds this NOC's keys: keep it where only you can read it."
            );
        })
    }
}

impl RestoreArgs {
    pub(super) fn run(self) -> Result<()> {
        let keys = self.new_keys.as_deref().map_or(RestoreKeys::Same, |address| RestoreKeys::New { address });
        answer(self.output, &restore(&self.from, &self.folder.dir, keys)?, |restored| {
            println!(
                "The NOC for {} is in {}, as it was at {}.",
                printable(&restored.address),
                self.folder.dir.display(),
                restored.taken
            );
            tell(restored);
            if self.new_keys.is_some() {
                println!(
                    "It has new keys: {} appliances have to be handed over, and {} consoles have to join again.",
                    restored.changed.appliances, restored.changed.consoles
                );
                println!(
                    "Next: `muster-noc serve` and `handover offer` here, then `handover start --offer` at the former one."
                );
            } else {
                println!("Next: `muster-noc serve`.");
            }
        })
    }
}

fn tell(restored: &Restored) {
    let changed = &restored.changed;
    println!(
        "Taken back, since they may have been called off meanwhile: {} messages to consoles, {} instructions and {} settings for \
         appliances, {} invites, {} sessions.",
        changed.messages, changed.instructions, changed.grants, changed.invites, changed.sessions
    );
    if changed.handover {
        println!("A hand-over was under way. It is called off; `muster-noc handover start` begins again.");
    }
    println!(
        "What was done after the backup is not in it. Look at revoked consoles, operators and API tokens, and configure \
         appliances again that were configured since."
    );
    if changed.vendors {
        println!(
            "Publish again what vendors signed since: until then appliances that have seen it take no components."
        );
    }
}
