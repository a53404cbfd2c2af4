//! Reading the CSV files: bytes in, rows or the first fault out. Knows no files, so that it can be fuzzed apart.

use muster_protocol::id::{Mac, Uid};
use std::collections::BTreeMap;

/// Label codes by MAC or UID.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    pub(crate) by_uid: BTreeMap<Uid, String>,
    pub(crate) by_mac: BTreeMap<Mac, String>,
}

impl Codes {
    pub(crate) fn of(table: &Table) -> Result<Codes, LineError> {
        let mut codes = Codes::default();
        let code = table.column("code").or(table.column("claim"));
        let code = code.ok_or_else(|| at(1, "it has no column `code`"))?;
        let (uid, mac) = (table.column("uid"), table.column("mac"));
        if uid.is_none() && mac.is_none() {
            return Err(at(1, "it has neither a column `uid` nor one `mac`"));
        }
        for (line, row) in &table.rows {
            let cell =
                |column: Option<usize>| column.and_then(|at| row.get(at)).map(String::as_str).unwrap_or_default();
            let code = cell(Some(code)).to_owned();
            match (cell(uid), cell(mac)) {
                ("", "") => return Err(at(*line, "it names no appliance")),
                ("", mac) => {
                    codes.by_mac.insert(mac.parse::<Mac>().map_err(|error| at(*line, error))?, code);
                }
                (uid, _) => {
                    codes.by_uid.insert(uid.parse::<Uid>().map_err(|error| at(*line, error))?, code);
                }
            }
        }
        Ok(codes)
    }
}

const SETTINGS: [&str; 12] = [
    "host_name",
    "domain",
    "address",
    "netmask",
    "gateway",
    "dns1",
    "dns2",
    "address6",
    "gateway6",
    "ntp",
    "search_domains",
    "application",
];
/// The seed's seven, without which a file is none of ours. Plans from before there was IPv6 have no more.
const REQUIRED: usize = 7;

/// The appliances of an edited plan and their settings: the seven in the order of FIGURE 6, IPv6, what is listed, and the application's.
pub(crate) fn settings(table: &Table) -> Result<Vec<(Uid, [String; 12])>, LineError> {
    let column = |name: &str| table.column(name).ok_or_else(|| at(1, format!("it has no column `{name}`")));
    let uid = column("uid")?;
    let mut columns = [None; 12];
    for (i, name) in SETTINGS.iter().enumerate() {
        columns[i] = if i < REQUIRED { Some(column(name)?) } else { table.column(name) };
    }
    let mut rows = Vec::new();
    for (line, row) in &table.rows {
        let uid: Uid = row[uid].parse().map_err(|error| at(*line, error))?;
        // The apostrophe that keeps a spreadsheet from taking a cell for a formula.
        let cell = |at: usize| row[at].trim_start_matches('\'').to_owned();
        rows.push((uid, columns.map(|at| at.map(cell).unwrap_or_default())));
    }
    Ok(rows)
}

/// What is wrong with one line.
#[derive(Debug)]
pub(crate) struct LineError {
    pub(crate) line: u64,
    pub(crate) what: String,
}

fn at(line: u64, what: impl ToString) -> LineError {
    LineError { line, what: what.to_string() }
}

/// A small CSV file: its header, and its rows with their line numbers. All rows are as long as the header.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    pub(crate) fn of(bytes: &[u8]) -> Result<Table, csv::Error> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let header = reader.headers()?;
        let header = header.iter().map(|cell| cell.trim_start_matches('\u{feff}').to_ascii_lowercase()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record.iter().map(str::to_owned).collect()));
        }
        Ok(Table { header, rows })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|cell| cell == name)
    }
}
