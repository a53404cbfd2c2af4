//! Reservations as CSV, and for whoever may read the data folder.

use super::{Cells, Faults, TableError, cell, rows_of, table};
use crate::api::{ApiError, Fault};
use crate::audit::By;
use crate::noc::Noc;
use crate::policy::reservation::{Reservation, ReservationSpec};
use crate::store::{changes, policies, reservations};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The columns, in the order in which they are written; those that are absent are empty.
const COLUMNS: [&str; 7] = ["uid", "mac", "serial", "address", "address6", "host_name", "note"];

/// A reservation with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReservationRecord {
    /// Its number.
    pub id: u32,
    /// Whose it is, and what is reserved.
    pub reservation: ReservationSpec,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReservationReport {
    /// Reservations that are new.
    pub added: usize,
    /// Those that took the place of another one for the same appliance.
    pub replaced: usize,
    /// Those that were there already.
    pub unchanged: usize,
}

impl Noc {
    /// What is reserved in a site, by number.
    pub fn reservations(&self, site: SiteId) -> Result<Vec<ReservationRecord>, TableError> {
        self.inner.store.read_now(move |db| {
            policies::of_site(db, site)?;
            Ok(reservations::list(db, site)?.iter().map(record).collect())
        })
    }

    /// Reserves something for an appliance.
    pub fn reserve(&self, site: SiteId, spec: ReservationSpec) -> Result<u32, TableError> {
        self.inner.store.write_now(move |db| Ok(changes::reserve(db, &By::local(), site, &spec)?))
    }

    /// Gives a reservation up; false when there is none of that number.
    pub fn give_up_reservation(&self, site: SiteId, number: u32) -> Result<bool, TableError> {
        self.inner.store.write_now(move |db| Ok(changes::give_up(db, &By::local(), site, number)?))
    }

    /// Takes in reservations as CSV (columns `uid`, `mac`, `serial`, `address`, `address6`, `host_name`, `note`): every line,
    /// or none. One for an appliance that has one takes its place.
    pub fn import_reservations(&self, site: SiteId, csv: &str) -> Result<ReservationReport, TableError> {
        let csv = csv.to_owned();
        self.inner.store.write_now(move |db| import(db, &By::local(), site, &csv))
    }

    /// Everything that is reserved in a site, as CSV.
    pub fn export_reservations(&self, site: SiteId) -> Result<String, TableError> {
        Ok(export(self.reservations(site)?.iter().map(|record| &record.reservation)))
    }
}

pub(crate) fn record(kept: &reservations::Kept) -> ReservationRecord {
    ReservationRecord { id: kept.id, reservation: kept.reservation.spec() }
}

/// Takes in CSV for a site.
pub(crate) fn import(db: &Connection, by: &By, site: SiteId, csv: &str) -> Result<ReservationReport, TableError> {
    let mut errors = Faults::default();
    let rows = parse(csv, &mut errors);
    let policies = policies::of_site(db, site)?;
    let mut wanted = Vec::with_capacity(rows.len());
    for (line, spec) in rows {
        match Reservation::read(&spec, policies.plain()) {
            Ok(reservation) => wanted.push((line, spec, reservation)),
            Err(fault) => errors.add(line, fault.field, fault.message),
        }
    }
    let mut first: BTreeMap<_, u64> = BTreeMap::new();
    for (line, _, reservation) in &wanted {
        if let Some(before) = first.insert(reservation.whose.clone(), *line) {
            errors.add(*line, "uid", format!("{} is on line {before} already", reservation.whose));
        }
    }
    let mut report = ReservationReport::default();
    // What is replaced goes first, so that two appliances may exchange what is theirs.
    let mut new = Vec::new();
    for (line, spec, reservation) in wanted {
        match reservations::number_of(db, site, &reservation.whose)? {
            Some(number) if reservations::find(db, site, number)?.is_some_and(|k| k.reservation == reservation) => {
                report.unchanged += 1;
            }
            Some(number) => {
                changes::give_up(db, by, site, number)?;
                report.replaced += 1;
                new.push((line, spec));
            }
            None => {
                report.added += 1;
                new.push((line, spec));
            }
        }
    }
    for (line, spec) in new {
        match changes::reserve(db, by, site, &spec) {
            Ok(_) => {}
            Err(ApiError::Operators(Fault::Invalid { field, why })) => errors.add(line, field, why),
            Err(ApiError::Operators(fault)) => errors.add(line, "address", fault.to_string()),
            Err(other) => return Err(other.into()),
        }
    }
    errors.check("reservations")?;
    Ok(report)
}

/// Reservations as CSV.
pub(crate) fn export<'a>(reservations: impl Iterator<Item = &'a ReservationSpec>) -> String {
    let cells = |spec: &ReservationSpec| {
        let ReservationSpec { uid, mac, serial, address, address6, host_name, note } = spec.clone();
        vec![uid, mac, serial, address, address6, host_name, note]
    };
    table(&COLUMNS, reservations.map(cells))
}

fn parse(csv: &str, errors: &mut Faults) -> Vec<(u64, ReservationSpec)> {
    let most = usize::try_from(reservations::MAX_RESERVATIONS).unwrap_or(usize::MAX);
    let rows = rows_of(csv, &COLUMNS, most, errors);
    let read = |(line, row): (u64, Cells)| {
        let [uid, mac, serial, address, address6, host_name, note] = std::array::from_fn(|at| cell(&row, at));
        (line, ReservationSpec { uid, mac, serial, address, address6, host_name, note })
    };
    rows.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_read_alike_and_holds_no_formula() {
        let specs = [
            ReservationSpec { serial: "=1+1".into(), address: "192.0.2.7".into(), ..Default::default() },
            ReservationSpec { mac: "02:00:00:00:00:01".into(), note: "'a, \"b\"".into(), ..Default::default() },
        ];
        let csv = export(specs.iter());
        assert!(csv.lines().all(|line| !line.split(',').any(|cell| cell.starts_with('='))), "{csv}");
        let mut errors = Faults::default();
        let read: Vec<_> = parse(&csv, &mut errors).into_iter().map(|(_, spec)| spec).collect();
        assert_eq!((read.as_slice(), errors.lines()), (specs.as_slice(), Vec::new()));
        // As a German spreadsheet saves it, in another order.
        let german = "\u{feff}Host_Name;serial\r\nm-1;S1\r\n;\r\n";
        let read = parse(german, &mut Faults::default());
        let wanted = ReservationSpec { serial: "S1".into(), host_name: "m-1".into(), ..Default::default() };
        assert_eq!(read, [(2, wanted)]);
    }

    #[test]
    fn a_file_that_is_no_list_of_reservations_is_refused_with_its_line() {
        for (csv, line) in [("uid,colour\n", 1), ("serial,address\na,\"b\n", 0)] {
            let mut errors = Faults::default();
            parse(csv, &mut errors);
            if line > 0 {
                assert_eq!(errors.lines(), [line], "{csv}");
            }
        }
        let many = format!("serial,address\n{}", "s,192.0.2.7\n".repeat(20_001));
        let mut errors = Faults::default();
        assert!(parse(&many, &mut errors).is_empty() && errors.lines() == [0]);
    }
}
