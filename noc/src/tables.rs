//! What is taken in and given out as CSV, as spreadsheets read and save it: every line, or none.

pub(crate) mod availability;
pub(crate) mod reservations;
pub(crate) mod sites;

use crate::api::ApiError;
use crate::error::{AsProblem, StoreError, problem};
use crate::inventory::{LineError, csv_reader, plain_lines};
use muster_protocol::api::Problem;
use muster_protocol::text::formula::{harmless, unmarked};

/// Most faults that are told of one file.
const MAX_ERRORS: usize = 100;

/// Why a table was not taken in, or something in it not done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TableError(#[from] TableErrorKind);

#[derive(Debug, thiserror::Error)]
enum TableErrorKind {
    #[error("{count} lines of the {what} are wrong; nothing was imported")]
    Lines { what: &'static str, count: usize, lines: Vec<LineError> },
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
}

impl TableError {
    /// The lines that are wrong, if that is why.
    pub fn lines(&self) -> &[LineError] {
        match &self.0 {
            TableErrorKind::Lines { lines, .. } => lines,
            TableErrorKind::Api(_) => &[],
        }
    }
}

impl From<ApiError> for TableError {
    fn from(error: ApiError) -> Self {
        TableError(Box::new(error).into())
    }
}

impl From<StoreError> for TableError {
    fn from(error: StoreError) -> Self {
        ApiError::Store(error).into()
    }
}

impl From<rusqlite::Error> for TableError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<TableError> for ApiError {
    fn from(error: TableError) -> Self {
        match error.0 {
            TableErrorKind::Api(error) => *error,
            lines @ TableErrorKind::Lines { .. } => ApiError::Table(TableError(lines)),
        }
    }
}

impl AsProblem for TableError {
    fn problem(&self) -> Problem {
        match &self.0 {
            TableErrorKind::Lines { lines, .. } => {
                let first = lines.first().map(|e| format!("Line {}: {}. ", e.line, e.message)).unwrap_or_default();
                let remedy = format!("{first}Correct the lines named and import the whole file again.");
                problem(422, "table_invalid", self, &remedy)
            }
            TableErrorKind::Api(error) => error.problem(),
        }
    }
}

/// What is wrong with a table.
#[derive(Default)]
struct Faults(Vec<LineError>);

impl Faults {
    fn add(&mut self, line: u64, field: &str, message: String) {
        self.0.push(LineError { line, code: format!("bad_{field}"), message });
    }

    fn check(mut self, what: &'static str) -> Result<(), TableError> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by_key(|error| error.line);
        let count = self.0.len();
        self.0.truncate(MAX_ERRORS);
        Err(TableErrorKind::Lines { what, count, lines: self.0 }.into())
    }

    #[cfg(test)]
    fn lines(&self) -> Vec<u64> {
        self.0.iter().map(|error| error.line).collect()
    }
}

/// A row: its cells in the order of the columns, none of a column that is absent.
type Cells = Vec<Option<String>>;

/// The rows of a table with their lines.
fn rows_of(csv: &str, columns: &[&str], most: usize, faults: &mut Faults) -> Vec<(u64, Cells)> {
    let text = plain_lines(csv);
    let mut reader = csv_reader(&text);
    let places: Vec<Option<usize>> = match reader.headers() {
        Ok(header) => {
            if let Some(unknown) = header.iter().find(|name| !columns.contains(&name.to_lowercase().as_str())) {
                let unknown: String = unknown.chars().take(64).flat_map(char::escape_debug).collect();
                faults.add(1, "header", format!("`{unknown}` is no column: use {}", columns.join(", ")));
                return Vec::new();
            }
            let at = |name: &&str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
            columns.iter().map(at).collect()
        }
        Err(_) => {
            faults.add(1, "header", "the header is not CSV in UTF-8".to_owned());
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let value = |place: &Option<usize>| place.map(|at| unmarked(record.get(at).unwrap_or_default()));
                rows.push((line, places.iter().map(value).collect()));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                faults.add(line, "line", "the line is not CSV in UTF-8: check quotes and the encoding".to_owned());
            }
        }
        if rows.len() > most {
            faults.add(0, "line", format!("there are more than {most} rows: split the file"));
            return Vec::new();
        }
    }
    rows
}

/// A cell; empty where there is none.
fn cell(row: &[Option<String>], at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

/// A table as CSV.
fn table<'a>(columns: &[&str], rows: impl Iterator<Item = Vec<String>> + 'a) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(columns);
    for row in rows {
        let _ = writer.write_record(row.iter().map(|value| harmless(value)));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}
