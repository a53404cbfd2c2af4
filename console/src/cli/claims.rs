//! Label codes from a CSV file, and plans that were edited as CSV.

use super::CommandError;
use crate::view::{ApplianceRow, EditedRow, PlanView, Settings};
use muster_protocol::id::{Mac, Uid};
use std::collections::BTreeMap;
use std::path::Path;

/// Label codes by MAC or UID.
#[derive(Default)]
pub(super) struct Claims {
    by_uid: BTreeMap<Uid, String>,
    by_mac: BTreeMap<Mac, String>,
}

impl Claims {
    /// Reads a file with a header that names the columns `code`, and `uid` or `mac` or both.
    pub(super) fn read(path: &Path) -> Result<Claims, CommandError> {
        let mut claims = Claims::default();
        let table = Table::read(path)?;
        let code = table.column("code").or(table.column("claim"));
        let code = code.ok_or_else(|| table.error(1, "it has no column `code`"))?;
        let (uid, mac) = (table.column("uid"), table.column("mac"));
        if uid.is_none() && mac.is_none() {
            return Err(table.error(1, "it has neither a column `uid` nor one `mac`"));
        }
        for (line, row) in &table.rows {
            let cell =
                |column: Option<usize>| column.and_then(|at| row.get(at)).map(String::as_str).unwrap_or_default();
            let code = cell(Some(code)).to_owned();
            match (cell(uid), cell(mac)) {
                ("", "") => return Err(table.error(*line, "it names no appliance")),
                ("", mac) => {
                    let mac = mac.parse().map_err(|error| table.error(*line, &format!("{error}")))?;
                    claims.by_mac.insert(mac, code);
                }
                (uid, _) => {
                    let uid = uid.parse().map_err(|error| table.error(*line, &format!("{error}")))?;
                    claims.by_uid.insert(uid, code);
                }
            }
        }
        Ok(claims)
    }

    /// The code for an appliance.
    pub(super) fn code(&self, row: &ApplianceRow) -> Option<String> {
        let by_uid = row.uid.parse().ok().and_then(|uid| self.by_uid.get(&uid));
        let by_mac = || row.mac.parse().ok().and_then(|mac| self.by_mac.get(&mac));
        by_uid.or_else(by_mac).cloned()
    }
}

const SETTINGS: [&str; 7] = ["host_name", "domain", "address", "netmask", "gateway", "dns1", "dns2"];

/// A plan as CSV.
pub(super) fn plan_to_csv(plan: &PlanView) -> String {
    let header = [
        "uid",
        "mac",
        "model",
        "ownership",
        "host_name",
        "domain",
        "address",
        "netmask",
        "gateway",
        "dns1",
        "dns2",
        "problem",
    ];
    let rows = plan.rows.iter().map(|row| {
        let s = row.settings.clone();
        let problem = row.problem.as_ref().map(|problem| format!("{} {}", problem.message, problem.remedy));
        [
            row.uid.clone(),
            row.mac.clone(),
            row.model.clone(),
            super::configure::ownership_word(row.ownership).to_owned(),
            s.host_name,
            s.domain,
            s.address,
            s.netmask,
            s.gateway,
            s.dns1,
            s.dns2,
            problem.unwrap_or_default(),
        ]
    });
    crate::export::table(header, rows)
}

/// The rows of an edited plan. Rows without any settings (those that cannot be configured) are left out.
pub(super) fn plan_of_csv(path: &Path) -> Result<Vec<EditedRow>, CommandError> {
    let table = Table::read(path)?;
    let column = |name: &str| table.column(name).ok_or_else(|| table.error(1, &format!("it has no column `{name}`")));
    let uid = column("uid")?;
    let mut columns = [0; 7];
    for (at, name) in SETTINGS.iter().enumerate() {
        columns[at] = column(name)?;
    }
    let mut rows = Vec::new();
    for (line, row) in &table.rows {
        let uid: Uid = row[uid].parse().map_err(|error| table.error(*line, &format!("{error}")))?;
        // The apostrophe that keeps a spreadsheet from taking a cell for a formula.
        let [host_name, domain, address, netmask, gateway, dns1, dns2] =
            columns.map(|at| row[at].trim_start_matches('\'').to_owned());
        let settings = Settings { host_name, domain, address, netmask, gateway, dns1, dns2 };
        if settings != Settings::default() {
            rows.push(EditedRow { uid: uid.to_string(), settings });
        }
    }
    Ok(rows)
}

/// A small CSV file: its header, and its rows with their line numbers. All rows are as long as the header.
struct Table {
    path: String,
    header: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    fn read(path: &Path) -> Result<Table, CommandError> {
        let name = path.display().to_string();
        let remedy = "Check the file: CSV with a header line, in UTF-8.";
        let failed = |error: csv::Error| CommandError::other("bad_csv", format!("{name}: {error}"), remedy);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(failed)?;
        let header = reader.headers().map_err(failed)?;
        let header = header.iter().map(|cell| cell.trim_start_matches('\u{feff}').to_ascii_lowercase()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(failed)?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record.iter().map(str::to_owned).collect()));
        }
        Ok(Table { path: name, header, rows })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|cell| cell == name)
    }

    fn error(&self, line: u64, what: &str) -> CommandError {
        let message = format!("{}, line {line}: {what}", self.path);
        CommandError::other("bad_csv", message, "Correct that line; nothing was changed.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{PlanRowView, RowOwnership};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn codes_are_found_by_uid_and_by_mac() {
        let uid = Uid([1; 20]);
        let by_uid = file(&format!("code,uid\nAAAA, {uid}\n"));
        let by_mac = file("MAC;x,code\n\"aa-bb-cc-00-11-22\",BBBB\n");
        assert!(Claims::read(by_uid.path()).expect("good").by_uid.contains_key(&uid));
        let Err(error) = Claims::read(by_mac.path()) else { panic!("no column mac") };
        assert_eq!(error.problem().code, "bad_csv");
        let by_mac = file("mac,code\naa-bb-cc-00-11-22,BBBB\n");
        assert_eq!(Claims::read(by_mac.path()).expect("good").by_mac.len(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [("mac,code\nxx,AAAA\n", 2), ("mac,code\nAA:BB:CC:00:11:22,A\n,B\n", 3), ("mac\nx\n", 1)] {
            let Err(error) = Claims::read(file(text).path()) else { panic!("{text} is bad") };
            assert!(error.problem().message.contains(&format!("line {line}")), "{}", error.problem().message);
        }
        let Err(error) = Claims::read(Path::new("/nonexistent.csv")) else { panic!("not there") };
        assert_eq!(error.problem().code, "bad_csv");
    }

    #[test]
    fn a_plan_reads_back_what_it_wrote_without_those_that_cannot_be_configured() {
        let row = |n: u8, host_name: &str| PlanRowView {
            uid: Uid([n; 20]).to_string(),
            mac: String::new(),
            model: "=cmd".into(),
            ownership: RowOwnership::Owned,
            settings: Settings { host_name: host_name.into(), ..Settings::default() },
            current: Settings::default(),
            rules: BTreeMap::new(),
            problem: None,
        };
        let csv = plan_to_csv(&PlanView { site: 1, expires: 0, rows: vec![row(1, "mail-1"), row(2, "")] });
        assert!(csv.contains(",'=cmd,"));
        let rows = plan_of_csv(file(&csv).path()).expect("good");
        assert_eq!(rows, [EditedRow { uid: Uid([1; 20]).to_string(), settings: row(1, "mail-1").settings }]);
    }
}
