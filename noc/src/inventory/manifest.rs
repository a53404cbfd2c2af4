//! Reading a manifest: text in, rows or faults out. Knows no database, so that it can be fuzzed apart.

use data_encoding::BASE64;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::id::{Mac, Uid};
use muster_protocol::text::misleads;
use muster_protocol::voucher::Voucher;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest serial number or model, in characters.
const MAX_TEXT: usize = 64;
/// Largest manifest in one go.
const MAX_ROWS: usize = 200_000;

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

/// One appliance of a manifest.
#[derive(Debug)]
pub(crate) struct ManifestRow {
    pub(crate) line: u64,
    pub(crate) serial: String,
    pub(crate) mac: Mac,
    pub(crate) uid: Uid,
    /// Absent only where there is a voucher.
    pub(crate) claim: Option<ClaimSecret>,
    pub(crate) model: String,
    /// As signed, and what it says.
    pub(crate) voucher: Option<(Vec<u8>, Voucher)>,
}

/// The text of a file that people edited, with lines that end alike: the reader would count a line of `\r\n` with the one after it.
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

/// What stands between the cells: German and French spreadsheets save with semicolons.
pub(crate) fn delimiter_of(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    if header.contains(';') && !header.contains(',') { b';' } else { b',' }
}

/// Reads CSV as spreadsheets save it.
pub(crate) fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    let delimiter = delimiter_of(text);
    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes())
}

/// Reads a manifest; reports everything that is wrong at once.
pub(crate) fn parse(text: &str) -> Result<Vec<ManifestRow>, Vec<LineError>> {
    let text = plain_lines(text);
    let mut reader = csv_reader(&text);
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
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

struct Columns {
    serial: usize,
    mac: usize,
    uid: usize,
    claim: Option<usize>,
    model: Option<usize>,
    voucher: Option<usize>,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Columns, Vec<LineError>> {
        let find = |name: &str| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
        let (claim, voucher) = (find("claim"), find("voucher"));
        let missing = |name: &&str| find(name).is_none() && !(*name == "claim" && voucher.is_some());
        let missing: Vec<_> = ["serial", "mac", "uid", "claim"].into_iter().filter(missing).collect();
        match (find("serial"), find("mac"), find("uid")) {
            (Some(serial), Some(mac), Some(uid)) if missing.is_empty() => {
                Ok(Columns { serial, mac, uid, claim, model: find("model"), voucher })
            }
            _ => {
                let message = format!(
                    "the header lacks {}: the first line must name the columns serial,mac,uid,claim and may name model and voucher; with voucher, claim may be missing",
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
        if value.chars().count() > MAX_TEXT || value.chars().any(misleads) {
            let message = format!("the {what} is longer than {MAX_TEXT} characters or holds control characters");
            errors.push(at(line, "bad_text", message));
        }
        value.to_owned()
    };
    let serial = text("serial number", cell(columns.serial));
    let model = text("model", columns.model.map_or("", cell));
    let mac = cell(columns.mac).parse::<Mac>().map_err(|e| errors.push(at(line, "bad_mac", e.to_string()))).ok();
    let uid = cell(columns.uid).parse::<Uid>().map_err(|e| errors.push(at(line, "bad_uid", e.to_string()))).ok();
    let voucher = match columns.voucher.map_or("", cell) {
        "" => None,
        text => read_voucher(text, uid.as_ref()).map_err(|why| errors.push(at(line, "bad_voucher", why))).ok(),
    };
    let claim = match columns.claim.map_or("", cell) {
        "" if columns.voucher.is_some_and(|voucher| !cell(voucher).is_empty()) => None,
        text => text.parse::<ClaimSecret>().map_err(|e| errors.push(at(line, "bad_claim", e.to_string()))).ok(),
    };
    match (mac, uid) {
        (Some(mac), Some(uid)) if errors.len() == before => {
            Some(ManifestRow { line, serial, mac, uid, claim, model, voucher })
        }
        _ => None,
    }
}

/// Signed by the vendor that it names, and for this appliance. Which vendor that may be, the appliance knows.
fn read_voucher(text: &str, uid: Option<&Uid>) -> Result<(Vec<u8>, Voucher), String> {
    let again = "ask the vendor for it again";
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| format!("the voucher is not base64: {again}"))?;
    let voucher = Voucher::read(&bytes).map_err(|error| format!("the voucher cannot be used, {error}: {again}"))?;
    match uid {
        Some(uid) if voucher.uid != *uid => {
            Err(format!("the voucher is for appliance {}: put it on that appliance's line", voucher.uid.short()))
        }
        _ => Ok((bytes, voucher)),
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

fn one(line: u64, code: &str, message: String) -> Vec<LineError> {
    vec![at(line, code, message)]
}
