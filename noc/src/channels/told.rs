//! What of alerts is told, and how it is called.

use crate::store::alert_events::Happening;
use muster_protocol::api::AlertKind;
use muster_protocol::text::printable;
use serde::Serialize;

/// An event, as receivers hear of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    /// Number of the event. Receivers drop repeats by it.
    pub(crate) id: u64,
    pub(crate) event: Happening,
    pub(crate) time: u64,
    /// Who, as people call them; empty for the NOC itself.
    pub(crate) by: String,
    pub(crate) note: String,
    pub(crate) until: Option<u64>,
    /// The alert as it is when it is told.
    pub(crate) alert: ToldAlert,
}

/// An alert.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ToldAlert {
    pub(crate) id: u64,
    pub(crate) kind: AlertKind,
    pub(crate) severity: &'static str,
    /// The health rule that is broken, of `failing`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) rule: String,
    /// UID of the one appliance that it opened about; none for a site's.
    pub(crate) about: Option<String>,
    pub(crate) site: u32,
    pub(crate) site_name: String,
    pub(crate) opened: u64,
    pub(crate) resolved: Option<u64>,
    pub(crate) acknowledged: Option<u64>,
    pub(crate) silenced_until: Option<u64>,
    pub(crate) escalated: Option<u64>,
    /// How many appliances it is about, and the first of them.
    pub(crate) count: u32,
    pub(crate) appliances: Vec<ToldAppliance>,
}

/// An appliance.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ToldAppliance {
    pub(crate) uid: String,
    pub(crate) serial: String,
    pub(crate) model: String,
    pub(crate) host_name: String,
}

impl ToldAppliance {
    /// What people know it by.
    pub(super) fn name(&self) -> String {
        printable(if self.host_name.is_empty() { &self.serial } else { &self.host_name })
    }
}

/// How bad it is, in the words that others use.
pub(crate) fn severity(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Silent | AlertKind::Site => "critical",
        AlertKind::NeverReported | AlertKind::Unstable | AlertKind::Failing => "warning",
    }
}

/// What became of it, in a word.
pub(super) fn happening(what: Happening) -> &'static str {
    match what {
        Happening::Opened => "opened",
        Happening::Attached => "grew",
        Happening::Acknowledged => "acknowledged",
        Happening::Silenced => "silenced",
        Happening::Unsilenced => "no longer silenced",
        Happening::Escalated => "ESCALATED",
        Happening::Resolved => "resolved",
    }
}

impl ToldAlert {
    /// What is wrong, in a few words.
    pub(super) fn complaint(&self) -> String {
        match self.kind {
            AlertKind::Silent => "silent".to_owned(),
            AlertKind::NeverReported => "never reported".to_owned(),
            AlertKind::Site => "much of the site silent".to_owned(),
            AlertKind::Unstable => "silent and well again too often".to_owned(),
            AlertKind::Failing => format!("failing: {}", printable(&self.rule)),
        }
    }

    /// Whom it is about.
    pub(super) fn subject(&self) -> String {
        match (self.count, self.appliances.first()) {
            (1, Some(appliance)) => appliance.name(),
            (count, _) => format!("{count} appliances"),
        }
    }
}
