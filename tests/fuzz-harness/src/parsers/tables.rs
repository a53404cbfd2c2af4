//! Files: a vendor's manifest, label codes and edited plans as CSV, and the lab's recordings.

use crate::allocation::Limit;
use crate::reached;
use crate::rooms::table::{self, Codes, Table};
use crate::rooms::{manifest, pcap};

/// An empty line or cell becomes a row, a string or an error text of some hundred bytes in a vector that doubles.
const LIMIT: Limit = Limit { each: 800, base: 32 * 1024 };

/// What the first byte chooses. Seeds are named after these.
pub const FILES: [(&str, fn(&[u8]) -> bool); 4] =
    [("manifest", manifest), ("codes", codes), ("plan", plan), ("pcap", recording)];

/// The first byte chooses the kind of file.
pub fn run(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let (name, read) = FILES[usize::from(*which) % FILES.len()];
    if read(file) {
        reached::mark(name);
    }
}

fn manifest(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else { return false };
    match LIMIT.hold(text.len(), || manifest::parse(text)) {
        Ok(rows) => {
            assert!(!rows.is_empty());
            let lines = text.lines().count() as u64 + 1;
            for row in rows {
                assert!(row.line >= 1 && row.line <= lines, "line {} of {lines}", row.line);
                assert!(!row.serial.chars().chain(row.model.chars()).any(char::is_control));
            }
            true
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.message.chars().any(char::is_control), "line {}: {:?}", error.line, error.message);
            }
            false
        }
    }
}

fn codes(file: &[u8]) -> bool {
    let Ok(table) = LIMIT.hold(file.len(), || Table::of(file)) else { return false };
    match LIMIT.hold(file.len(), || Codes::of(&table)) {
        Ok(codes) => {
            assert!(codes.by_uid.len() + codes.by_mac.len() <= file.len());
            true
        }
        Err(error) => {
            assert!(!error.what.contains(char::is_control), "line {}: {:?}", error.line, error.what);
            false
        }
    }
}

fn plan(file: &[u8]) -> bool {
    let Ok(table) = LIMIT.hold(file.len(), || Table::of(file)) else { return false };
    let Ok(rows) = LIMIT.hold(file.len(), || table::settings(&table)) else { return false };
    assert!(rows.iter().all(|(_, cells)| cells.iter().all(|cell| !cell.starts_with('\''))));
    true
}

fn recording(file: &[u8]) -> bool {
    let payloads = LIMIT.hold(file.len(), || pcap::payloads(file));
    assert!(payloads.iter().map(Vec::len).sum::<usize>() <= file.len());
    !payloads.is_empty()
}
