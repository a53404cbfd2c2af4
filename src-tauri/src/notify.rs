//! Desktop notifications: which ones, and never the same twice.
//!
//! [`digest`] decides about alerts and [`link`] about the connection to the NOC; neither knows a desktop. What was told is on
//! [`record`]. [`desktop`] shows.

pub(crate) mod desktop;
pub(crate) mod digest;
pub(crate) mod link;
pub(crate) mod record;
mod sound;

use muster_console::view::AlertView;
use std::time::Duration;

/// What happens within this time is told at once.
pub(crate) const BURST: Duration = Duration::from_millis(1500);

/// What to show on the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// What happened, to which appliance.
    pub(crate) title: String,
    /// More about it.
    pub(crate) body: String,
    /// The appliance that a click opens; absent: the alerts.
    pub(crate) uid: Option<String>,
    /// True when something fails, false for good news.
    pub(crate) bad: bool,
    /// What it is about: when that is over, so is the notification.
    pub(crate) about: About,
}

/// What a notification is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum About {
    /// Something that is not over by itself.
    #[default]
    Nothing,
    /// Alerts that need somebody.
    Alerts(Vec<AlertKey>),
    /// The connection to the NOC is lost.
    Link,
}

/// Number and time: another NOC counts its alerts from one, too.
pub(crate) type AlertKey = (u32, u32);

/// The name of an alert.
pub(crate) fn key(alert: &AlertView) -> AlertKey {
    (alert.id, alert.opened)
}
