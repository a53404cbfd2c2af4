//! `muster-noc draft`: changes of many appliances, reviewed and then made as one.

use super::appliance::EditArgs;
use super::{FolderArg, Output, answer, site};
use clap::{Args, Subcommand};
use muster_noc::{DraftChanges, DraftSpec, DraftView, Noc};
use muster_protocol::id::Uid;
use muster_protocol::text::printable;
use serde::Serialize;

#[expect(clippy::large_enum_variant, reason = "one command is read, once")]
#[derive(Subcommand)]
pub(super) enum DraftCommand {
    /// Draft what the policy of each site gives now to appliances that have something else.
    Policy {
        #[command(flatten)]
        new: New,
    },
    /// Draft the same change for several appliances of the sites, or for all.
    Edit {
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        edit: EditArgs,
        /// Only of these; may be given several times.
        #[arg(long)]
        uid: Vec<Uid>,
    },
    /// List drafts, newest first.
    List {
        #[command(flatten)]
        folder: FolderArg,
        /// Only of this site, by name or number.
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show what a draft changes, and how its appliances stand.
    Show {
        #[command(flatten)]
        one: One,
        /// Each appliance.
        #[arg(long)]
        rows: bool,
    },
    /// Make the change: of all of its appliances, or of none.
    Apply {
        #[command(flatten)]
        one: One,
    },
    /// Give a draft up.
    Discard {
        #[command(flatten)]
        one: One,
    },
}

#[derive(Args)]
pub(super) struct New {
    #[command(flatten)]
    folder: FolderArg,
    /// The sites, by name or number; all of one organisation.
    #[arg(required = true, value_name = "SITE")]
    sites: Vec<String>,
    /// What it is for; kept with every version.
    #[arg(long)]
    title: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    folder: FolderArg,
    /// Its number.
    id: u32,
    #[command(flatten)]
    output: Output,
}

/// Most drafts of a list.
const MOST: u32 = 100;

impl DraftCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            DraftCommand::Policy { new } => new.make(DraftChanges::Policy {}),
            DraftCommand::Edit { new, edit, uid } => new.make(DraftChanges::Edit { edit: edit.into(), uids: uid }),
            DraftCommand::List { folder, site, output } => {
                let noc = Noc::open(&folder.dir)?;
                let sites = noc.sites()?;
                let site = site.map(|name| Ok::<_, anyhow::Error>(site::find(&sites, &name)?.id)).transpose()?;
                answer(output, &noc.drafts(site, MOST)?, |drafts| drafts.iter().for_each(print))
            }
            DraftCommand::Show { one, rows: true } => {
                let rows = Noc::open(&one.folder.dir)?.draft_rows(one.id)?;
                answer(one.output, &rows, |rows| {
                    for row in rows {
                        let changes = row.changes.join(", ");
                        let state = word(&row.state);
                        println!("{}  {state:9}  {}  {changes}  {}", row.uid, row.wanted.host_name, row.reason);
                    }
                })
            }
            DraftCommand::Show { one, rows: false } => {
                #[derive(Serialize)]
                struct Shown {
                    draft: DraftView,
                    difference: muster_noc::Difference,
                }
                let (draft, difference) = Noc::open(&one.folder.dir)?.show_draft(one.id)?;
                answer(one.output, &Shown { draft, difference }, |shown| {
                    print(&shown.draft);
                    let text =
                        |value: &str| if value.is_empty() { "-".to_owned() } else { printable(value).to_string() };
                    for line in &shown.difference.lines {
                        let (before, after) = (text(&line.before), text(&line.after));
                        println!("  {:10} {before} -> {after}  ({})", line.column, line.appliances);
                    }
                    if shown.difference.more > 0 {
                        println!(
                            "  and {} more lines: muster-noc draft show {} --rows",
                            shown.difference.more, shown.draft.id
                        );
                    }
                })
            }
            DraftCommand::Apply { one } => answer(one.output, &Noc::open(&one.folder.dir)?.apply_draft(one.id)?, print),
            DraftCommand::Discard { one } => {
                answer(one.output, &Noc::open(&one.folder.dir)?.discard_draft(one.id)?, print)
            }
        }
    }
}

impl New {
    fn make(self, changes: DraftChanges) -> anyhow::Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        let known = noc.sites()?;
        let sites: Vec<_> =
            self.sites.iter().map(|name| Ok(site::find(&known, name)?.id)).collect::<anyhow::Result<_>>()?;
        let draft = noc.draft(DraftSpec { sites, title: self.title, changes })?;
        answer(self.output, &draft, |draft| {
            print(draft);
            println!("Nothing is changed yet: `muster-noc draft show {0}`, then `draft apply {0}`.", draft.id);
        })
    }
}

fn print(draft: &DraftView) {
    let rows: Vec<_> = draft.rows.iter().map(|(state, count)| format!("{count} {}", word(state))).collect();
    let sites: Vec<_> = draft.sites.iter().map(ToString::to_string).collect();
    println!(
        "{}  {}  site {}  {}  {}",
        draft.id,
        word(&draft.state),
        sites.join(", "),
        printable(&draft.title),
        rows.join(", ")
    );
}

/// The word of a state, as in JSON.
fn word<T: Serialize>(state: &T) -> String {
    let text = serde_json::to_string(state).unwrap_or_default();
    text.trim_matches('"').replace('_', " ")
}
