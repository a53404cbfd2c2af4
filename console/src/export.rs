//! CSV: summaries of jobs and plans that a spreadsheet opens without running anything.

use crate::view::{JobItemView, JobStep, JobView};
use muster_protocol::text::formula::harmless;

/// A table as CSV. A cell that a spreadsheet would take for a formula is written with an apostrophe before it.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory has no way to fail, and all rows have the length of the header.
    let _ = writer.write_record(header);
    for row in rows {
        let _ = writer.write_record(row.iter().map(|cell| harmless(cell)));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// The summary of a job.
pub(crate) fn job(job: &JobView) -> String {
    let header = [
        "uid",
        "mac",
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
        "result",
        "attempts",
        "code",
        "problem",
        "remedy",
    ];
    table(header, job.items.iter().map(job_row))
}

fn job_row(item: &JobItemView) -> [String; 18] {
    let settings = item.settings.clone();
    let problem = item.problem.clone();
    let part = |part: fn(&crate::view::ProblemView) -> &String| problem.as_ref().map(part).cloned().unwrap_or_default();
    [
        item.uid.clone(),
        item.mac.clone(),
        settings.host_name,
        settings.domain,
        settings.address,
        settings.netmask,
        settings.gateway,
        settings.dns1,
        settings.dns2,
        settings.address6,
        settings.gateway6,
        settings.ntp.unwrap_or_default(),
        settings.search_domains.unwrap_or_default(),
        step_word(item.step).to_owned(),
        item.attempts.to_string(),
        part(|problem| &problem.code),
        part(|problem| &problem.message),
        part(|problem| &problem.remedy),
    ]
}

/// How far an item is, as a word.
pub(crate) fn step_word(step: JobStep) -> &'static str {
    match step {
        JobStep::Waiting => "waiting",
        JobStep::Sending => "sending",
        JobStep::Installing => "installing",
        JobStep::KickStarting => "kick-starting",
        JobStep::Confirming => "confirming",
        JobStep::Configured => "configured",
        JobStep::Failed => "failed",
        JobStep::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_quotes_are_kept() {
        let rows = [["=1+1".into(), "a,\"b\"".into()], ["-2".into(), "@x".into()], ["\tx".into(), "plain".into()]];
        let csv = table(["a", "b"], rows);
        assert_eq!(csv, "a,b\n'=1+1,\"a,\"\"b\"\"\"\n'-2,'@x\n'\tx,plain\n");
    }

    #[test]
    fn a_job_has_one_line_an_appliance() {
        let item = JobItemView {
            uid: "ABCD".into(),
            mac: "AA:BB:CC:00:11:22".into(),
            settings: crate::view::Settings {
                host_name: "mail-1".into(),
                ntp: Some("192.0.2.123".into()),
                ..Default::default()
            },
            step: JobStep::Failed,
            percent: 0,
            attempts: 3,
            problem: Some(crate::problem::problem("busy", "=It is busy.", "Wait.")),
        };
        let view = JobView { id: 1, site: 1, started: 0, finished: None, cancelled: false, items: vec![item] };
        let csv = job(&view);
        assert_eq!(csv.lines().count(), 2);
        assert!(
            csv.ends_with("ABCD,AA:BB:CC:00:11:22,mail-1,,,,,,,,,192.0.2.123,,failed,3,busy,'=It is busy.,Wait.\n"),
            "{csv}"
        );
    }
}
