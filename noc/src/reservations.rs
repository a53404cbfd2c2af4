//! Reservations as CSV, and for whoever may read the data folder.

use crate::api::{ApiError, Fault};
use crate::audit::By;
use crate::error::{AsProblem, StoreError, problem};
use crate::inventory::LineError;
use crate::noc::Noc;
use crate::policy::reservation::{Reservation, ReservationSpec};
use crate::store::{changes, policies, reservations};
use muster_protocol::api::Problem;
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The columns, in the order in which they are written; those that are absent are empty.
const COLUMNS: [&str; 7] = ["uid", "mac", "serial", "address", "address6", "host_name", "note"];
/// Most faults that are told of one file.
const MAX_ERRORS: usize = 100;

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

/// Why something about reservations was not done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ReservationError(#[from] pub(crate) ReservationErrorKind);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReservationErrorKind {
    #[error("{count} lines of the reservations are wrong; nothing was imported")]
    Lines { count: usize, lines: Vec<LineError> },
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
}

impl From<ApiError> for ReservationError {
    fn from(error: ApiError) -> Self {
        ReservationError(Box::new(error).into())
    }
}

impl From<StoreError> for ReservationError {
    fn from(error: StoreError) -> Self {
        ApiError::Store(error).into()
    }
}

impl From<rusqlite::Error> for ReservationError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl ReservationError {
    /// The lines that are wrong, if that is why.
    pub fn lines(&self) -> &[LineError] {
        match &self.0 {
            ReservationErrorKind::Lines { lines, .. } => lines,
            ReservationErrorKind::Api(_) => &[],
        }
    }
}

impl AsProblem for ReservationError {
    fn problem(&self) -> Problem {
        match &self.0 {
            ReservationErrorKind::Lines { lines, .. } => {
                let first = lines.first().map(|e| format!("Line {}: {}. ", e.line, e.message)).unwrap_or_default();
                let remedy = format!("{first}Correct the lines named and import the whole file again.");
                problem(422, "reservations_invalid", self, &remedy)
            }
            ReservationErrorKind::Api(error) => error.problem(),
        }
    }
}

impl Noc {
    /// What is reserved in a site, by number.
    pub fn reservations(&self, site: SiteId) -> Result<Vec<ReservationRecord>, ReservationError> {
        self.inner.store.read_now(move |db| {
            policies::of_site(db, site)?;
            Ok(reservations::list(db, site)?.iter().map(record).collect())
        })
    }

    /// Reserves something for an appliance.
    pub fn reserve(&self, site: SiteId, spec: ReservationSpec) -> Result<u32, ReservationError> {
        self.inner.store.write_now(move |db| Ok(changes::reserve(db, &By::local(), site, &spec)?))
    }

    /// Gives a reservation up; false when there is none of that number.
    pub fn give_up_reservation(&self, site: SiteId, number: u32) -> Result<bool, ReservationError> {
        self.inner.store.write_now(move |db| Ok(changes::give_up(db, &By::local(), site, number)?))
    }

    /// Takes in reservations as CSV (columns `uid`, `mac`, `serial`, `address`, `address6`, `host_name`, `note`): every line,
    /// or none. One for an appliance that has one takes its place.
    pub fn import_reservations(&self, site: SiteId, csv: &str) -> Result<ReservationReport, ReservationError> {
        let csv = csv.to_owned();
        self.inner.store.write_now(move |db| import(db, &By::local(), site, &csv))
    }

    /// Everything that is reserved in a site, as CSV.
    pub fn export_reservations(&self, site: SiteId) -> Result<String, ReservationError> {
        Ok(export(self.reservations(site)?.iter().map(|record| &record.reservation)))
    }
}

pub(crate) fn record(kept: &reservations::Kept) -> ReservationRecord {
    ReservationRecord { id: kept.id, reservation: kept.reservation.spec() }
}

/// Takes in CSV for a site.
pub(crate) fn import(
    db: &Connection,
    by: &By,
    site: SiteId,
    csv: &str,
) -> Result<ReservationReport, ReservationError> {
    let mut errors = Errors::default();
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
    errors.check()?;
    Ok(report)
}

/// Reservations as CSV. What a spreadsheet would take for a formula gets an apostrophe in front, which an import takes off.
pub(crate) fn export<'a>(reservations: impl Iterator<Item = &'a ReservationSpec>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(COLUMNS);
    for spec in reservations {
        let ReservationSpec { uid, mac, serial, address, address6, host_name, note } = spec;
        let values = [uid, mac, serial, address, address6, host_name, note].map(|value| harmless(value));
        let _ = writer.write_record(values);
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn harmless(value: &str) -> String {
    let is_formula = value.starts_with(['=', '+', '-', '@']) || value.starts_with('\'');
    if is_formula { format!("'{value}") } else { value.to_owned() }
}

fn parse(csv: &str, errors: &mut Errors) -> Vec<(u64, ReservationSpec)> {
    let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    // German and French spreadsheets save with semicolons.
    let header = csv.lines().next().unwrap_or_default();
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(csv.as_bytes());
    let columns: Vec<Option<usize>> = match reader.headers() {
        Ok(header) => {
            if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(&name.to_lowercase().as_str())) {
                let unknown: String = unknown.chars().take(64).flat_map(char::escape_debug).collect();
                errors.add(1, "header", format!("`{unknown}` is no column: use {}", COLUMNS.join(", ")));
                return Vec::new();
            }
            let at = |name: &&str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
            COLUMNS.iter().map(at).collect()
        }
        Err(_) => {
            errors.add(1, "header", "the header is not CSV in UTF-8".to_owned());
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let value = |at: usize| {
                    let text = columns[at].and_then(|column| record.get(column)).unwrap_or_default();
                    text.strip_prefix('\'').unwrap_or(text).to_owned()
                };
                let [uid, mac, serial, address, address6, host_name, note] = std::array::from_fn(value);
                rows.push((line, ReservationSpec { uid, mac, serial, address, address6, host_name, note }));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                errors.add(line, "line", "the line is not CSV in UTF-8: check quotes and the encoding".to_owned());
            }
        }
        if rows.len() as u64 > reservations::MAX_RESERVATIONS {
            let most = reservations::MAX_RESERVATIONS;
            errors.add(0, "line", format!("more than {most} reservations: a site keeps no more"));
            return Vec::new();
        }
    }
    rows
}

#[derive(Default)]
struct Errors(Vec<LineError>);

impl Errors {
    fn add(&mut self, line: u64, field: &str, message: String) {
        self.0.push(LineError { line, code: format!("bad_{field}"), message });
    }

    fn check(mut self) -> Result<(), ReservationErrorKind> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by_key(|error| error.line);
        let count = self.0.len();
        self.0.truncate(MAX_ERRORS);
        Err(ReservationErrorKind::Lines { count, lines: self.0 })
    }
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
        let mut errors = Errors::default();
        let read: Vec<_> = parse(&csv, &mut errors).into_iter().map(|(_, spec)| spec).collect();
        assert_eq!((read.as_slice(), errors.0), (specs.as_slice(), Vec::new()));
        // As a German spreadsheet saves it, in another order.
        let german = "\u{feff}Host_Name;serial\r\nm-1;S1\r\n;\r\n";
        let read = parse(german, &mut Errors::default());
        let wanted = ReservationSpec { serial: "S1".into(), host_name: "m-1".into(), ..Default::default() };
        assert_eq!(read, [(2, wanted)]);
    }

    #[test]
    fn a_file_that_is_no_list_of_reservations_is_refused_with_its_line() {
        for (csv, line) in [("uid,colour\n", 1), ("serial,address\na,\"b\n", 0)] {
            let mut errors = Errors::default();
            parse(csv, &mut errors);
            if line > 0 {
                assert_eq!(errors.0.iter().map(|error| error.line).collect::<Vec<_>>(), [line], "{csv}");
            }
        }
        let many = format!("serial,address\n{}", "s,192.0.2.7\n".repeat(20_001));
        let mut errors = Errors::default();
        assert!(parse(&many, &mut errors).is_empty() && errors.0.len() == 1);
    }
}
