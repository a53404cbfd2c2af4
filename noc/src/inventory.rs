//! The vendor's manifest: a CSV of serial, mac, uid, claim and model, in any order of columns.

mod manifest;

pub use manifest::LineError;
pub(crate) use manifest::{ManifestRow, at};
pub(crate) use manifest::{csv_reader, delimiter_of, plain_lines};

use crate::error::{AsProblem, StoreError, problem};
use muster_protocol::api::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Errors beyond this many are counted only.
const MAX_ERRORS: usize = 200;

/// What an import did. All rows of a manifest are taken, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Appliances that were not known before.
    pub added: usize,
    /// Appliances whose serial number, MAC, model or claim code changed.
    pub updated: usize,
    /// Appliances that were known just so.
    pub unchanged: usize,
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

/// Reads a manifest; reports everything that is wrong at once.
pub(crate) fn parse(text: &str) -> Result<Vec<ManifestRow>, ImportError> {
    manifest::parse(text).map_err(ImportError::lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::crypto::claim::ClaimSecret;
    use muster_protocol::id::Uid;

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
        let expected = expected.map(|(line, code)| (line, code.to_owned()));
        assert_eq!(codes(&text), expected);
        assert_eq!(codes(&text.replace('\n', "\r\n")), expected, "as Windows writes lines");
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
