//! Alerts, as consoles see them, and what becomes of them.

use crate::id::{SiteId, Uid};
use serde::{Deserialize, Serialize};

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable number.
    pub id: u64,
    /// The site.
    pub site: SiteId,
    /// What it is about.
    pub kind: AlertKind,
    /// The appliances; one for a single alert, several for a site alert.
    pub appliances: Vec<Uid>,
    /// When it opened.
    pub opened: u64,
    /// When it closed, if it did.
    pub closed: Option<u64>,
    /// The health rule that is broken, of a [`AlertKind::Failing`]; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// What people made of it, and what came of nobody's doing anything. NOCs of earlier versions say nothing of it.
    #[serde(flatten, default)]
    pub handling: Handling,
}

/// What became of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Handling {
    /// When somebody said that they saw it.
    pub acknowledged: Option<u64>,
    /// Who that was, as people call them; or empty.
    pub acknowledged_by: String,
    /// What they said of it.
    pub note: String,
    /// Until when nobody is told of it, if it is silenced.
    pub silenced_until: Option<u64>,
    /// By whom; or empty.
    pub silenced_by: String,
    /// Why.
    pub silence_note: String,
    /// When it was escalated, because nobody acknowledged it.
    pub escalated: Option<u64>,
}

/// What a console says of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledge {
    /// What there is to say: at most [`MAX_NOTE`] characters, none of which misleads.
    #[serde(default)]
    pub note: String,
}

/// How long nobody shall be told of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceAlert {
    /// Seconds from now, by the NOC's clock: a minute to 30 days.
    pub seconds: u32,
    /// What there is to say: as in [`Acknowledge`].
    #[serde(default)]
    pub note: String,
}

/// Longest note on an alert, in characters.
pub const MAX_NOTE: usize = 500;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An appliance was well and no longer reports.
    Silent,
    /// An appliance was kick-started and never reported.
    NeverReported,
    /// A large part of a site became silent at once.
    Site,
    /// An appliance becomes silent and well again too often.
    Unstable,
    /// An appliance reports, and a health rule is broken.
    Failing,
}
