//! The vendor's manifest: a CSV of serial, mac, uid, claim and model, in any order of columns.

use crate::error::{AsProblem, StoreError, problem};
use muster_protocol::api::Problem;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::id::{Mac, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest serial number or model, in characters.
const MAX_TEXT: usize = 64;
/// Largest manifest in one go.
const MAX_ROWS: usize = 200_000;
/// Errors beyond this many are counted only.
const MAX_ERRORS: usize = 200;

/// What an import did. All rows of a manifest are taken, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Appliances that were not known before.
    pub added: usize,
    /// Appliances whose serial number, MAC, model or claim code changed.
    pub updated: usize,
    /// Appliances that were known just so.
    pub unchanged: usize,
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// Line of the file, from 1 (the header).
    pub line: u64,
    /// A stable word for programs, as `bad_mac`.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why a manifest was not imported. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Lines are wrong.
    #[error("{count} lines of the manifest are wrong; nothing was imported")]
    Lines {
        /// How many.
        count: usize,
        /// The first of them, in the order of the file.
        lines: Vec<LineError>,
    },
    /// The database did not keep it.
    #[error("the manifest was not kept")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        ImportError::Store(error.into())
    }
}

impl ImportError {
    pub(crate) fn lines(mut lines: Vec<LineError>) -> ImportError {
        lines.sort_by_key(|e| e.line);
        let count = lines.len();
        lines.truncate(MAX_ERRORS);
        ImportError::Lines { count, lines }
    }
}

impl AsProblem for ImportError {
    fn problem(&self) -> Problem {
        match self {
            ImportError::Lines { lines, .. } => {
                let first = lines.first().map(|e| format!("Line {}: {}. ", e.line, e.message)).unwrap_or_default();
                let remedy = format!("{first}Correct the lines named and import the whole file again.");
                problem(422, "manifest_invalid", self, &remedy)
            }
            ImportError::Store(error) => error.problem(),
        }
    }
}

/// One appliance of a manifest.
#[derive(Debug)]
pub(crate) struct ManifestRow {
    pub(crate) line: u64,
    pub(crate) serial: String,
    pub(crate) mac: Mac,
    pub(crate) uid: Uid,
    pub(crate) claim: ClaimSecret,
    pub(crate) model: String,
}

/// Reads a manifest; reports everything that is wrong at once.
pub(crate) fn parse(text: &str) -> Result<Vec<ManifestRow>, ImportError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // German and French spreadsheets save with semicolons.
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns = match reader.headers() {
        Ok(header) => Columns::find(header)?,
        Err(error) => return Err(one(1, "bad_csv", format!("the header does not read: {error}"))),
    };

    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut seen = Seen::default();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                if let Some(row) = read_row(&columns, &record, line, &mut errors)
                    && seen.check(&row, &mut errors)
                {
                    rows.push(row);
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                errors.push(at(
                    line,
                    "bad_csv",
                    "the line is not CSV in UTF-8: check quotes and the encoding".to_owned(),
                ));
                tracing::debug!(%error, "manifest line refused");
            }
        }
        if rows.len() > MAX_ROWS {
            return Err(one(0, "too_many_rows", format!("more than {MAX_ROWS} appliances: split the file")));
        }
    }
    if rows.is_empty() && errors.is_empty() {
        return Err(one(1, "empty", "the manifest lists no appliance".to_owned()));
    }
    if errors.is_empty() { Ok(rows) } else { Err(ImportError::lines(errors)) }
}

struct Columns {
    serial: usize,
    mac: usize,
    uid: usize,
    claim: usize,
    model: Option<usize>,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Columns, ImportError> {
        let find = |name: &str| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
        let missing: Vec<_> =
            ["serial", "mac", "uid", "claim"].into_iter().filter(|name| find(name).is_none()).collect();
        match (find("serial"), find("mac"), find("uid"), find("claim")) {
            (Some(serial), Some(mac), Some(uid), Some(claim)) => {
                Ok(Columns { serial, mac, uid, claim, model: find("model") })
            }
            _ => {
                let message = format!(
                    "the header lacks {}: the first line must name the columns serial,mac,uid,claim and may name model",
                    missing.join(", ")
                );
                Err(one(1, "missing_column", message))
            }
        }
    }
}

fn read_row(
    columns: &Columns,
    record: &csv::StringRecord,
    line: u64,
    errors: &mut Vec<LineError>,
) -> Option<ManifestRow> {
    let before = errors.len();
    let cell = |column: usize| record.get(column).unwrap_or_default();
    let mut text = |what: &str, value: &str| {
        if value.chars().count() > MAX_TEXT || value.chars().any(char::is_control) {
            let message = format!("the {what} is longer than {MAX_TEXT} characters or holds control characters");
            errors.push(at(line, "bad_text", message));
        }
        value.to_owned()
    };
    let serial = text("serial number", cell(columns.serial));
    let model = text("model", columns.model.map_or("", cell));
    let mac = cell(columns.mac).parse::<Mac>().map_err(|e| errors.push(at(line, "bad_mac", e.to_string()))).ok();
    let uid = cell(columns.uid).parse::<Uid>().map_err(|e| errors.push(at(line, "bad_uid", e.to_string()))).ok();
    let claim =
        cell(columns.claim).parse::<ClaimSecret>().map_err(|e| errors.push(at(line, "bad_claim", e.to_string()))).ok();
    match (mac, uid, claim) {
        (Some(mac), Some(uid), Some(claim)) if errors.len() == before => {
            Some(ManifestRow { line, serial, mac, uid, claim, model })
        }
        _ => None,
    }
}

#[derive(Default)]
struct Seen {
    uids: BTreeMap<Uid, u64>,
    macs: BTreeMap<Mac, u64>,
    serials: BTreeMap<String, u64>,
}

impl Seen {
    fn check(&mut self, row: &ManifestRow, errors: &mut Vec<LineError>) -> bool {
        let before = errors.len();
        let mut report = |code: &str, what: String, first: Option<u64>| {
            if let Some(first) = first {
                errors.push(at(row.line, code, format!("{what} is on line {first} already: remove one of the lines")));
            }
        };
        report("duplicate_uid", format!("the UID {}", row.uid), self.uids.insert(row.uid, row.line));
        report("duplicate_mac", format!("the MAC address {}", row.mac), self.macs.insert(row.mac, row.line));
        if !row.serial.is_empty() {
            let first = self.serials.insert(row.serial.clone(), row.line);
            report("duplicate_serial", format!("the serial number {}", row.serial), first);
        }
        errors.len() == before
    }
}

pub(crate) fn at(line: u64, code: &str, message: String) -> LineError {
    LineError { line, code: code.to_owned(), message }
}

fn one(line: u64, code: &str, message: String) -> ImportError {
    ImportError::lines(vec![at(line, code, message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(n: u8) -> String {
        // 16 letters of secret; the check letters come from printing what parses.
        struct Rng(u8);
        impl rand_core::TryRng for Rng {
            type Error = std::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(u32::from(self.0))
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(u64::from(self.0))
            }
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                bytes.fill(self.0);
                Ok(())
            }
        }
        impl rand_core::TryCryptoRng for Rng {}
        ClaimSecret::generate(&mut Rng(n)).reveal()
    }

    fn codes(text: &str) -> Vec<(u64, String)> {
        match parse(text).expect_err("should be refused") {
            ImportError::Lines { lines, .. } => lines.into_iter().map(|e| (e.line, e.code)).collect(),
            ImportError::Store(error) => panic!("{error}"),
        }
    }

    #[test]
    fn columns_may_stand_in_any_order_and_model_may_be_absent() {
        let uid = Uid([1; 20]);
        let text = format!("\u{feff}Claim;UID;MAC;Serial\n{};{uid};aabbcc001122;S1\n;;;\n", claim(1));
        let rows = parse(&text).expect("good");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].uid, rows[0].serial.as_str(), rows[0].model.as_str(), rows[0].line), (uid, "S1", "", 2));
    }

    #[test]
    fn every_fault_is_named_at_its_line() {
        let (a, b) = (Uid([1; 20]), Uid([2; 20]));
        let (ca, cb) = (claim(1), claim(2));
        let wrong = ca.replace(&ca[..1], if ca.starts_with('A') { "B" } else { "A" });
        let text = format!(
            "serial,mac,uid,claim,model\n\
             S1,AA:BB:CC:00:00:01,{a},{ca},M\n\
             S2,AA:BB:CC:00:00:0,{b},{cb},M\n\
             S3,AA:BB:CC:00:00:03,XYZ,{cb},M\n\
             S4,AA:BB:CC:00:00:04,{b},{wrong},M\n\
             S5,AA:BB:CC:00:00:01,{b},{cb},M\n\
             S1,AA:BB:CC:00:00:06,{a},{ca},M\n\
             S7\n"
        );
        let expected = [
            (3, "bad_mac"),
            (4, "bad_uid"),
            (5, "bad_claim"),
            (6, "duplicate_mac"),
            (7, "duplicate_uid"),
            (7, "duplicate_serial"),
            (8, "bad_mac"),
            (8, "bad_uid"),
            (8, "bad_claim"),
        ];
        assert_eq!(codes(&text), expected.map(|(line, code)| (line, code.to_owned())));
    }

    #[test]
    fn a_file_without_the_columns_or_without_rows_is_refused() {
        assert_eq!(codes(""), [(1, "missing_column".to_owned())]);
        assert_eq!(codes("serial,mac\n"), [(1, "missing_column".to_owned())]);
        assert_eq!(codes("serial,mac,uid,claim\n\n"), [(1, "empty".to_owned())]);
    }

    #[test]
    fn a_claim_code_is_never_repeated_in_an_error() {
        let secret = claim(3);
        let mistyped = format!("{}A", &secret[..23]);
        let mistyped = if mistyped == secret { format!("{}B", &secret[..23]) } else { mistyped };
        let text = format!("serial,mac,uid,claim\nS,AABBCC001122,{},{mistyped}\n", Uid([1; 20]));
        let error = parse(&text).expect_err("mistyped");
        assert!(!format!("{error:?} {}", error.problem().detail).contains(&secret[..9]));
    }
}
