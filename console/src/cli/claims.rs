//! Label codes from a CSV file, and plans that were edited as CSV.

mod table;

pub(super) use table::Codes;

use super::CommandError;
use crate::view::{ApplianceRow, EditedRow, PlanView, Settings, said};
use std::fmt::Display;
use std::path::Path;
use table::{LineError, Table};

/// Reads label codes from a file with a header that names the columns `code`, and `uid` or `mac` or both.
pub(super) fn codes(path: &Path) -> Result<Codes, CommandError> {
    read(path, Codes::of)
}

impl Codes {
    /// The code for an appliance.
    pub(super) fn code(&self, row: &ApplianceRow) -> Option<String> {
        let by_uid = row.uid.parse().ok().and_then(|uid| self.by_uid.get(&uid));
        let by_mac = || row.mac.parse().ok().and_then(|mac| self.by_mac.get(&mac));
        by_uid.or_else(by_mac).cloned()
    }
}

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
        "address6",
        "gateway6",
        "ntp",
        "search_domains",
        "application",
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
            s.address6,
            s.gateway6,
            s.ntp.unwrap_or_default(),
            s.search_domains.unwrap_or_default(),
            s.application.unwrap_or_default(),
            problem.unwrap_or_default(),
        ]
    });
    crate::export::table(header, rows)
}

/// The rows of an edited plan. Rows without any settings (those that cannot be configured) are left out.
pub(super) fn plan_of_csv(path: &Path) -> Result<Vec<EditedRow>, CommandError> {
    let rows = read(path, table::settings)?.into_iter().map(|(uid, cells)| {
        let [host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6, others @ ..] = cells;
        let [ntp, search_domains, application] = others.map(said);
        let settings = Settings {
            host_name,
            domain,
            address,
            netmask,
            gateway,
            dns1,
            dns2,
            address6,
            gateway6,
            ntp,
            search_domains,
            application,
        };
        EditedRow { uid: uid.to_string(), settings }
    });
    Ok(rows.filter(|row| row.settings != Settings::default()).collect())
}

fn read<T>(path: &Path, rows: impl FnOnce(&Table) -> Result<T, LineError>) -> Result<T, CommandError> {
    let name = path.display();
    let remedy = "Check the file: CSV with a header line, in UTF-8.";
    let unreadable = |error: &dyn Display| CommandError::other("bad_csv", format!("{name}: {error}"), remedy);
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let table = Table::of(&bytes).map_err(|error| unreadable(&error))?;
    rows(&table).map_err(|LineError { line, what }| {
        let message = format!("{name}, line {line}: {what}");
        CommandError::other("bad_csv", message, "Correct that line; nothing was changed.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{PlanRowView, RowOwnership};
    use muster_protocol::id::Uid;
    use std::collections::BTreeMap;

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
        assert!(codes(by_uid.path()).expect("good").by_uid.contains_key(&uid));
        let Err(error) = codes(by_mac.path()) else { panic!("no column mac") };
        assert_eq!(error.problem().code, "bad_csv");
        let by_mac = file("mac,code\naa-bb-cc-00-11-22,BBBB\n");
        assert_eq!(codes(by_mac.path()).expect("good").by_mac.len(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [("mac,code\nxx,AAAA\n", 2), ("mac,code\nAA:BB:CC:00:11:22,A\n,B\n", 3), ("mac\nx\n", 1)] {
            let Err(error) = codes(file(text).path()) else { panic!("{text} is bad") };
            assert!(error.problem().message.contains(&format!("line {line}")), "{}", error.problem().message);
        }
        let Err(error) = codes(Path::new("/nonexistent.csv")) else { panic!("not there") };
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
