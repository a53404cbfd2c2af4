//! Records for other programs: JSON lines, or lines of syslog (RFC 5424).

use super::Record;
use crate::clock::rfc3339;
use muster_protocol::text::misleads;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// RFC 5424, one message a line.
    Syslog,
}

/// Facility 13, log audit; severity 6, informational, and 4, warning, for what was refused.
const FACILITY: u8 = 13;
/// Number for private use in examples and tests: names of structured data that are no IANA's need one (RFC 5424, 7.2.2).
const ENTERPRISE: &str = "muster@32473";

impl Format {
    /// A record as one line.
    pub fn line(self, host: &str, record: &Record) -> String {
        match self {
            // Numbers and texts always serialise.
            Format::Jsonl => serde_json::to_string(record).unwrap_or_default(),
            Format::Syslog => syslog(host, record),
        }
    }
}

fn syslog(host: &str, record: &Record) -> String {
    let severity = if record.action.ends_with(".refused") { 4 } else { 6 };
    let mut data = format!("[{ENTERPRISE}");
    let optional = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    for (name, value) in [
        ("seq", record.seq.to_string()),
        ("actor", record.actor.clone()),
        ("address", record.address.clone()),
        ("organisation", optional(record.organisation.map(|id| id.0))),
        ("site", optional(record.site.map(|id| id.0))),
        ("subject", record.subject.clone()),
        ("detail", record.detail.clone()),
        ("hash", data_encoding::HEXLOWER.encode(&record.hash)),
    ] {
        if !value.is_empty() {
            data += &format!(" {name}=\"{}\"", escaped(&value));
        }
    }
    let header = format!(
        "<{}>1 {} {host} muster-noc - {}",
        FACILITY * 8 + severity,
        rfc3339(record.time),
        message_id(&record.action)
    );
    format!("{header} {data}] {} {}", record.action, plain(&record.subject))
}

/// A value of structured data: `"`, `\` and `]` are escaped (RFC 5424, 6.3.3). What ends a line or misleads is written as in JSON.
fn escaped(value: &str) -> String {
    plain(value).replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

fn plain(value: &str) -> String {
    value.chars().map(|c| if misleads(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() }).collect()
}

/// At most 32 characters of printable ASCII.
fn message_id(action: &str) -> String {
    action.chars().filter(char::is_ascii_graphic).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::OrganisationId;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(time), text);
        }
    }

    #[test]
    fn what_somebody_else_wrote_ends_no_line_and_no_value() {
        let record = Record {
            seq: 3,
            time: 0,
            actor: "nobody".into(),
            address: "192.0.2.1".into(),
            organisation: Some(OrganisationId(2)),
            site: None,
            action: "sign_in.refused".into(),
            subject: "a\"]\\\n<13>1 forged\u{202e}".into(),
            detail: "null".into(),
            hash: [0xab; 32],
        };
        let line = Format::Syslog.line("noc.example.net", &record);
        let hash = "ab".repeat(32);
        assert_eq!(
            line,
            format!(
                "<108>1 1970-01-01T00:00:00Z noc.example.net muster-noc - sign_in.refused [muster@32473 seq=\"3\" \
                 actor=\"nobody\" address=\"192.0.2.1\" organisation=\"2\" \
                 subject=\"a\\\"\\]\\\\\\\\u{{a}}<13>1 forged\\\\u{{202e}}\" detail=\"null\" hash=\"{hash}\"] \
                 sign_in.refused a\"]\\\\u{{a}}<13>1 forged\\u{{202e}}"
            )
        );
        assert!(!Format::Jsonl.line("", &record).contains('\n'));
    }
}
