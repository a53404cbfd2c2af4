//! `muster-noc reservation`: what is kept in a site for single appliances.

use super::{FolderArg, Output, answer, site};
use anyhow::bail;
use clap::{Args, Subcommand};
use muster_noc::{Noc, ReservationSpec};
use muster_protocol::id::SiteId;
use muster_protocol::text::printable;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum ReservationCommand {
    /// Keep an address or a host name for an appliance.
    Add {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        spec: SpecArgs,
    },
    /// List what is reserved.
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        output: Output,
    },
    /// Give a reservation up.
    Remove {
        #[command(flatten)]
        at: At,
        /// Its number.
        number: u32,
    },
    /// Take in CSV with the columns uid, mac, serial, address, address6, host_name, note: every line, or none.
    Import {
        #[command(flatten)]
        at: At,
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Print everything that is reserved as CSV.
    Export {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args)]
pub(super) struct At {
    #[command(flatten)]
    folder: FolderArg,
    /// The site, by name or number.
    site: String,
}

impl At {
    fn open(&self) -> anyhow::Result<(Noc, SiteId)> {
        let noc = Noc::open(&self.folder.dir)?;
        let id = site::find(&noc.sites()?, &self.site)?.id;
        Ok((noc, id))
    }
}

#[derive(Args)]
pub(super) struct SpecArgs {
    /// The appliance's UID.
    #[arg(long, default_value = "", group = "whose")]
    uid: String,
    /// Or its MAC address.
    #[arg(long, default_value = "", group = "whose")]
    mac: String,
    /// Or its serial number.
    #[arg(long, default_value = "", group = "whose")]
    serial: String,
    /// The IPv4 address, inside or outside of the pool.
    #[arg(long, default_value = "")]
    address: String,
    /// The IPv6 address.
    #[arg(long, default_value = "")]
    address6: String,
    /// The host name.
    #[arg(long, default_value = "")]
    host_name: String,
    /// Why.
    #[arg(long, default_value = "")]
    note: String,
}

impl ReservationCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            ReservationCommand::Add { at, spec } => {
                let SpecArgs { uid, mac, serial, address, address6, host_name, note } = spec;
                let (noc, id) = at.open()?;
                let spec = ReservationSpec { uid, mac, serial, address, address6, host_name, note };
                println!("Reservation {} is kept.", noc.reserve(id, spec)?);
                Ok(())
            }
            ReservationCommand::List { at, output } => {
                let (noc, id) = at.open()?;
                answer(output, &noc.reservations(id)?, |records| {
                    for record in records {
                        let one = &record.reservation;
                        let values =
                            [&one.uid, &one.mac, &one.serial, &one.address, &one.address6, &one.host_name, &one.note];
                        let said: Vec<_> =
                            values.into_iter().filter(|v| !v.is_empty()).map(|v| printable(v).to_string()).collect();
                        println!("{}  {}", record.id, said.join("  "));
                    }
                })
            }
            ReservationCommand::Remove { at, number } => {
                let (noc, id) = at.open()?;
                if !noc.give_up_reservation(id, number)? {
                    bail!(
                        "there is no reservation {number} at this site: list them with `muster-noc reservation list`"
                    );
                }
                println!("Reservation {number} is given up.");
                Ok(())
            }
            ReservationCommand::Import { at, file, output } => {
                let csv = site::table(&file)?;
                let (noc, id) = at.open()?;
                let report = site::taken(noc.import_reservations(id, &csv))?;
                answer(output, &report, |report| {
                    println!("{} added, {} replaced, {} as before", report.added, report.replaced, report.unchanged);
                })
            }
            ReservationCommand::Export { at } => {
                let (noc, id) = at.open()?;
                print!("{}", noc.export_reservations(id)?);
                Ok(())
            }
        }
    }
}
