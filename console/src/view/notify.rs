//! What the desktop app tells by notifications, and when.

use super::{ProblemView, RowAlertKind, RowHealth};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Which alerts are told on this desktop, and when. What is new is told: filters name what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct NotificationSettings {
    /// Nobody is to be disturbed now.
    pub do_not_disturb: DoNotDisturb,
    /// Nor every day at these hours.
    pub quiet_hours: Option<QuietHours>,
    /// Sites whose alerts are not told.
    pub muted_sites: Vec<u32>,
    /// Kinds of alerts that are not told.
    pub muted_kinds: Vec<RowAlertKind>,
    /// Models whose alerts are not told.
    pub muted_models: Vec<String>,
    /// With a sound.
    pub sound: bool,
}

/// Whether nobody is to be disturbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DoNotDisturb {
    /// Notifications come.
    #[default]
    Off,
    /// None comes until a time.
    Until {
        /// When it ends.
        at: u32,
    },
    /// None comes until it is switched off.
    On,
}

/// Hours of local time in which nobody is to be disturbed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct QuietHours {
    /// Minutes since midnight when they begin.
    pub from: u16,
    /// And when they end: of the next day, if that is earlier.
    pub to: u16,
    /// Days on which they begin, 0 for Monday.
    pub days: Vec<u8>,
}

/// The settings and what the desktop can do of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct NotificationState {
    /// What is set.
    pub settings: NotificationSettings,
    /// What is wrong with the file, if it could not be read.
    pub note: Option<String>,
    /// Until when nobody is disturbed, if that is so now and has an end.
    pub quiet_until: Option<u32>,
    /// Whether nobody is disturbed now.
    pub quiet: bool,
    /// Who makes the sound.
    pub sound: SoundWay,
}

/// Who makes a notification's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SoundWay {
    /// The desktop's notification service.
    Service,
    /// A program of the system.
    Player,
    /// Nobody can.
    Nobody,
}

/// What came of asking after one appliance.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct CheckedView {
    /// What it is called.
    pub name: String,
    /// Where it answered from just now, as `192.0.2.9%eth0`; empty when it did not.
    pub heard_at: Vec<String>,
    /// Why it could not be asked, if so.
    pub problem: Option<ProblemView>,
    /// Whether the NOC answered just now.
    pub connected: bool,
    /// How it stands with beats, as far as the NOC said.
    pub health: RowHealth,
}
