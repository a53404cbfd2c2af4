//! `muster-noc handover`: appliances to another address or NOC, without a visit.

use super::{FolderArg, OrganisationArg, Output, answer, operator, read_text};
use anyhow::Result;
use clap::Subcommand;
use muster_noc::{HandoverView, Noc, read_root};
use muster_protocol::text::printable;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum HandoverCommand {
    /// At the NOC that takes over: print what it says of itself, for `start` at the other one. No secret.
    Offer {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Hand over all configured appliances with the answers to their beats. Each stays until the other NOC takes its beat.
    Start {
        #[command(flatten)]
        folder: FolderArg,
        /// The offer of the NOC that takes over. Default: the first address of this NOC in noc.toml.
        #[arg(long, value_name = "TEXT")]
        offer: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Write what the NOC that takes over has to know to a new file. It holds claim codes: a secret.
    Export {
        #[command(flatten)]
        folder: FolderArg,
        /// The file; it must not be there yet.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// At the NOC that takes over: take in such a file, whole or not at all.
    Accept {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        organisation: OrganisationArg,
        /// The root of the NOC that hands over, as `muster-noc voucher root` prints it there.
        #[arg(long)]
        root: String,
        /// The file, or - for standard input.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Show how it stands, and which appliances say why they are still here.
    Show {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Call it off. Appliances that have left do not come back.
    Cancel {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// When all have left: refuse consoles from now on, and tell them where to turn to.
    Finish {
        #[command(flatten)]
        folder: FolderArg,
        /// Also with appliances that still report here.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Serialize)]
struct Offer {
    offer: String,
}

#[derive(Serialize)]
struct Exported {
    appliances: usize,
}

impl HandoverCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            HandoverCommand::Offer { folder, output } => {
                let offer = Noc::open(&folder.dir)?.handover_offer()?;
                answer(output, &Offer { offer }, |told| println!("{}", told.offer))
            }
            HandoverCommand::Start { folder, offer, output } => {
                answer(output, &Noc::open(&folder.dir)?.hand_over(offer.as_deref())?, |view| {
                    show(view);
                    if !view.is_own {
                        println!(
                            "Next: `muster-noc handover export`, and `muster-noc handover accept` at {}.",
                            view.noc
                        );
                    }
                })
            }
            HandoverCommand::Export { folder, file, output } => {
                let appliances = Noc::open(&folder.dir)?.export_handover(&file)?;
                answer(output, &Exported { appliances }, |told| {
                    println!("{} appliances are in {}. It holds their claim codes.", told.appliances, file.display());
                })
            }
            HandoverCommand::Accept { folder, organisation, root, file, output } => {
                let (noc, root) = (Noc::open(&folder.dir)?, read_root(&root)?);
                let organisation = operator::organisation(&noc, &organisation.organisation)?;
                answer(output, &noc.accept_handover_to(organisation, &root, &read_text(&file)?)?, |told| {
                    println!(
                        "{} sites added; appliances: {} added, {} updated, {} unchanged.",
                        told.sites, told.added, told.updated, told.unchanged
                    );
                })
            }
            HandoverCommand::Show { folder, output } => answer(output, &Noc::open(&folder.dir)?.handover()?, show),
            HandoverCommand::Cancel { folder, output } => {
                answer(output, &Noc::open(&folder.dir)?.cancel_handover()?, show)
            }
            HandoverCommand::Finish { folder, yes, output } => {
                answer(output, &Noc::open(&folder.dir)?.finish_handover(yes)?, show)
            }
        }
    }
}

fn show(view: &HandoverView) {
    let to = if view.is_own { "another address of this NOC" } else { "another NOC" };
    println!("To            {} ({to})", view.noc);
    println!("Started       {}", view.started);
    if let Some(ended) = view.ended {
        println!("Called off    {ended}");
    }
    if let Some(finished) = view.finished {
        println!("Finished      {finished}");
    }
    println!("Waiting       {} appliances have not reported since", view.waiting);
    println!("Told          {} appliances still report here", view.given);
    println!("Done          {} appliances report there", view.done);
    for stuck in &view.stuck {
        println!("  {}  {}", stuck.uid, printable(&stuck.problem));
    }
}
