//! `muster-noc voucher`: what a vendor and the owner of a NOC do for appliances that want a voucher.

use super::{FolderArg, Output, answer, duration, read_text};
use clap::Subcommand;
use muster_noc::{Noc, VendorKey, read_root};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Subcommand)]
pub(super) enum VoucherCommand {
    /// For the owner of a NOC: print the key of its root, which the vendor needs.
    Root {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// For a vendor: make a key that signs vouchers, and print what the image says as `vendor_key`.
    NewKey {
        /// The file to keep it in. It must not be there yet.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// For a vendor: print a manifest again, with a voucher in each line.
    Sign {
        /// The file with the vendor's key.
        #[arg(long)]
        key: PathBuf,
        /// The root of the NOC that may have these appliances, as `muster-noc voucher root` prints it there.
        #[arg(long)]
        root: String,
        /// How long the vouchers are good, as 90d. Default: without an end.
        #[arg(long, value_parser = duration)]
        valid: Option<Duration>,
        /// The manifest: CSV with a column uid; - for standard input.
        manifest: PathBuf,
    },
}

#[derive(Serialize)]
struct Key {
    key: String,
}

impl VoucherCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let told = |output: Output, key: String| answer(output, &Key { key }, |told| println!("{}", told.key));
        match self {
            VoucherCommand::Root { folder, output } => told(output, Noc::open(&folder.dir)?.root().to_base64()),
            VoucherCommand::NewKey { file, output } => told(output, VendorKey::make(&file)?.public().to_base64()),
            VoucherCommand::Sign { key, root, valid, manifest } => {
                let (key, root) = (VendorKey::read(&key)?, read_root(&root)?);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let expires = valid.map(|valid| now.saturating_add(valid.as_secs()));
                print!("{}", key.vouch(&read_text(&manifest)?, &root, now, expires)?);
                Ok(())
            }
        }
    }
}
