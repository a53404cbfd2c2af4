//! The tray icon: how the fleet stands, at a glance, and a menu.
//!
//! What differs between systems is one file: `status_notifier` speaks to Linux desktops over D-Bus; `native` is what
//! Windows and macOS have.

use muster_console::view::{AlertView, NocLink};

#[cfg(not(target_os = "linux"))]
#[path = "tray/native.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "tray/status_notifier.rs"]
mod system;

pub(crate) use system::Tray;

/// What the tray tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrayState {
    /// First start: there is no NOC yet.
    NotJoined,
    /// The NOC is not reachable.
    Lost {
        /// Appliances with an open alert when it was last reached.
        failing: usize,
    },
    /// Connected.
    Joined {
        /// Appliances with an open alert.
        failing: usize,
    },
}

impl TrayState {
    /// What `link` and the known alerts come to.
    pub(crate) fn of<'a>(link: &NocLink, alerts: impl IntoIterator<Item = &'a AlertView>) -> Self {
        let failing = failing(alerts);
        match link {
            NocLink::NotJoined => Self::NotJoined,
            NocLink::Connected { .. } => Self::Joined { failing },
            NocLink::Lost { .. } => Self::Lost { failing },
        }
    }

    /// Appliances with an open alert.
    pub(crate) fn failing(self) -> usize {
        match self {
            Self::NotJoined => 0,
            Self::Lost { failing } | Self::Joined { failing } => failing,
        }
    }

    /// The icon's picture in the given size, PNG.
    fn icon(self, size: IconSize) -> &'static [u8] {
        macro_rules! sizes {
            ($name:literal) => {
                match size {
                    IconSize::Small => include_bytes!(concat!("../../icons/tray-", $name, "-22.png")).as_slice(),
                    IconSize::Medium => include_bytes!(concat!("../../icons/tray-", $name, "-32.png")).as_slice(),
                    IconSize::Large => include_bytes!(concat!("../../icons/tray-", $name, "-64.png")).as_slice(),
                }
            };
        }
        match self {
            Self::NotJoined | Self::Joined { failing: 0 } => sizes!("well"),
            Self::Joined { .. } => sizes!("failing"),
            Self::Lost { .. } => sizes!("lost"),
        }
    }
}

/// An appliance with two open alerts fails once.
fn failing<'a>(alerts: impl IntoIterator<Item = &'a AlertView>) -> usize {
    let mut uids: Vec<&str> = alerts
        .into_iter()
        .filter(|alert| alert.closed.is_none())
        .flat_map(|alert| alert.appliances.iter().map(|appliance| appliance.uid.as_str()))
        .collect();
    uids.sort_unstable();
    uids.dedup();
    uids.len()
}

/// The sizes that the icons are rendered in.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other systems scale one size themselves"))]
enum IconSize {
    /// 22 pixels, the usual height of a panel.
    Small,
    /// 32 pixels.
    Medium,
    /// 64 pixels, for dense screens.
    Large,
}

/// What the administrator chose in the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrayAction {
    /// Show the window.
    Open,
    /// Show the window and call the roll.
    Discover,
    /// Show the alerts.
    Alerts,
    /// End the app.
    Quit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_console::view::{AlertAppliance, RowAlertKind, RowHealth};

    fn alert(id: u32, uids: &[&str], closed: Option<u32>) -> AlertView {
        let named = |uid: &&str| {
            let uid = (*uid).to_owned();
            AlertAppliance { name: uid.clone(), uid, health: RowHealth::Silent }
        };
        AlertView {
            id,
            kind: RowAlertKind::Silent,
            site: 1,
            rule: String::new(),
            appliances: uids.iter().map(named).collect(),
            opened: 100,
            closed,
            acknowledged: None,
            acknowledged_by: String::new(),
            note: String::new(),
            silenced_until: None,
            escalated: None,
        }
    }

    #[test]
    fn counts_appliances_and_not_alerts() {
        let alerts = [alert(1, &["A"], None), alert(2, &["A", "B"], None), alert(3, &["C"], Some(200))];
        let link = NocLink::Connected { url: "https://noc:6878".to_owned() };
        assert_eq!(TrayState::of(&link, &alerts), TrayState::Joined { failing: 2 });
        assert_eq!(TrayState::of(&NocLink::NotJoined, &[]), TrayState::NotJoined);
    }
}
