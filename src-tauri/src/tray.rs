//! The tray icon: how the fleet stands, at a glance, and a menu.
//!
//! What differs between systems is one file: `status_notifier` speaks to Linux desktops over D-Bus; `native` is what
//! Windows and macOS have.

mod badge;

use crate::attention::{Counts, needs_somebody};
use crate::local_time::Zone;
use crate::quiet::Quiet;
use crate::texts;
use muster_console::view::{AlertView, NocLink, RowAlertKind};
use std::cmp::Reverse;

#[cfg(not(target_os = "linux"))]
#[path = "tray/native.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "tray/status_notifier.rs"]
mod system;

pub(crate) use system::Tray;

/// What the tray tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrayView {
    pub(crate) link: TrayLink,
    /// As they were when the NOC was last reached.
    pub(crate) counts: Counts,
    /// Those that need somebody most.
    pub(crate) alerts: Vec<TrayAlert>,
    /// How many others need somebody.
    pub(crate) more: usize,
    /// Nobody is to be disturbed.
    pub(crate) quiet: Option<TrayQuiet>,
}

/// An alert in the tray's menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrayAlert {
    /// Its number.
    pub(crate) id: u32,
    /// In words.
    pub(crate) label: String,
    /// The appliance, if it is about one.
    pub(crate) uid: Option<String>,
}

/// Until when nobody is to be disturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrayQuiet {
    /// By the switch, until then as people write it.
    Until(String),
    /// By the switch, and somebody has to switch it off.
    Open,
    /// By the hour, until then.
    Hours(String),
}

/// Alerts that have an entry of their own: a menu has to fit on the screen.
const MOST_ALERTS: usize = 8;

/// How it stands with the NOC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrayLink {
    /// First start: there is no NOC yet.
    NotJoined,
    /// Not reachable: nothing is known of now.
    Lost {
        /// Since when, as people write it.
        since: String,
    },
    /// Connected.
    Joined,
}

/// What a [`TrayView`] is made of.
pub(crate) struct Seen<'a> {
    pub(crate) link: &'a NocLink,
    pub(crate) alerts: Vec<&'a AlertView>,
    pub(crate) site: &'a dyn Fn(u32) -> String,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) zone: &'a Zone,
    /// Unix seconds.
    pub(crate) now: u64,
}

impl TrayView {
    /// Before anything is known.
    pub(crate) fn unknown() -> Self {
        let counts = Counts::default();
        Self { link: TrayLink::NotJoined, counts, alerts: Vec::new(), more: 0, quiet: None }
    }

    /// What there is to tell.
    pub(crate) fn of(seen: &Seen<'_>) -> Self {
        let written = |at: u64| seen.zone.written(at, seen.now);
        let quiet = seen.quiet.map(|quiet| match quiet {
            Quiet::Until(at) => TrayQuiet::Until(written(at)),
            Quiet::Open => TrayQuiet::Open,
            Quiet::Hours(at) => TrayQuiet::Hours(written(at)),
        });
        let link = match seen.link {
            NocLink::NotJoined => return Self { quiet, ..Self::unknown() },
            NocLink::Connected { .. } => TrayLink::Joined,
            NocLink::Lost { since, .. } => TrayLink::Lost { since: written((*since).into()) },
        };
        let mut open: Vec<&AlertView> = seen.alerts.iter().copied().filter(|alert| needs_somebody(alert)).collect();
        open.sort_by_key(|alert| urgency(alert));
        let shown = |alert: &&AlertView| {
            let only = alert.appliances.first().filter(|_| alert.appliances.len() == 1);
            TrayAlert {
                id: alert.id,
                label: texts::alert(alert, &(seen.site)(alert.site), &written(alert.opened.into())),
                uid: only.map(|appliance| appliance.uid.clone()),
            }
        };
        let alerts: Vec<TrayAlert> = open.iter().take(MOST_ALERTS).map(shown).collect();
        let more = open.len() - alerts.len();
        Self { link, counts: Counts::of(seen.alerts.iter().copied()), alerts, more, quiet }
    }

    /// The icon's picture in the given size, with the number of those that fail.
    fn icon(&self, size: IconSize) -> tauri::Result<tauri::image::Image<'static>> {
        macro_rules! sizes {
            ($name:literal) => {
                match size {
                    IconSize::Small => include_bytes!(concat!("../../icons/tray-", $name, "-22.png")).as_slice(),
                    IconSize::Medium => include_bytes!(concat!("../../icons/tray-", $name, "-32.png")).as_slice(),
                    IconSize::Large => include_bytes!(concat!("../../icons/tray-", $name, "-64.png")).as_slice(),
                }
            };
        }
        let (picture, colour) = match self.link {
            TrayLink::NotJoined | TrayLink::Joined => (sizes!("well"), badge::RED),
            // A number that may be old is not in the colour of those that are true now.
            TrayLink::Lost { .. } => (sizes!("lost"), badge::GREY),
        };
        let image = tauri::image::Image::from_bytes(picture)?;
        let (width, height, mut rgba) = (image.width(), image.height(), image.rgba().to_vec());
        if self.counts.failing > 0 {
            badge::draw(&mut rgba, width as usize, self.counts.failing, colour);
        }
        Ok(tauri::image::Image::new_owned(rgba, width, height))
    }
}

/// The worst first, and of those the newest.
fn urgency(alert: &AlertView) -> (bool, u8, Reverse<u32>, u32) {
    let kind = match alert.kind {
        RowAlertKind::Site => 0,
        RowAlertKind::Silent | RowAlertKind::NeverReported => 1,
        RowAlertKind::Failing => 2,
        RowAlertKind::Unstable => 3,
    };
    (alert.escalated.is_none(), kind, Reverse(alert.opened), alert.id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::tests::{acknowledged, alert};
    use crate::local_time::tests::europe;
    use muster_console::view::ProblemView;

    fn view(link: &NocLink, alerts: &[AlertView]) -> TrayView {
        let zone = europe();
        TrayView::of(&Seen {
            link,
            alerts: alerts.iter().collect(),
            site: &|id| format!("Site {id}"),
            quiet: Some(Quiet::Until(1_796_054_400)),
            zone: &zone,
            now: 1_796_050_000,
        })
    }

    #[test]
    fn a_lost_link_is_a_state_of_its_own_with_its_time() {
        let url = "https://noc:6878".to_owned();
        let problem = ProblemView { code: String::new(), message: String::new(), remedy: String::new() };
        let lost = view(&NocLink::Lost { url: url.clone(), since: 1_796_043_720, problem }, &[alert(1, &["gw-1"])]);
        assert_eq!(lost.link, TrayLink::Lost { since: "14:02".to_owned() });
        assert_eq!(lost.counts.failing, 1);
        let joined = view(&NocLink::Connected { url }, &[acknowledged(1, &["gw-1"])]);
        assert_eq!((joined.link, joined.counts.failing, joined.counts.acknowledged), (TrayLink::Joined, 0, 1));
        let quiet = Some(TrayQuiet::Until("17:00".to_owned()));
        assert_eq!(view(&NocLink::NotJoined, &[]), TrayView { quiet, ..TrayView::unknown() });
    }

    #[test]
    fn the_worst_come_first_and_of_those_the_newest() {
        let link = NocLink::Connected { url: "https://noc:6878".to_owned() };
        let opened = |opened, alert| AlertView { opened, ..alert };
        let of_kind = |kind, alert| AlertView { kind, ..alert };
        let mut alerts = vec![
            of_kind(RowAlertKind::Unstable, opened(900, alert(1, &["unstable"]))),
            AlertView {
                rule: "disk full".to_owned(),
                ..of_kind(RowAlertKind::Failing, opened(900, alert(2, &["full"])))
            },
            opened(700, alert(3, &["old"])),
            opened(800, alert(4, &["new"])),
            opened(100, alert(5, &["a", "b"])),
            AlertView { escalated: Some(300), ..of_kind(RowAlertKind::Unstable, opened(200, alert(6, &["waiting"]))) },
            acknowledged(7, &["seen"]),
        ];
        let shown = view(&link, &alerts);
        let labels: Vec<&str> = shown.alerts.iter().map(|alert| alert.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "waiting keeps coming and going (1970-01-01 01:03)",
                "Site 7: 2 appliances became silent at once (1970-01-01 01:01)",
                "new no longer reports (1970-01-01 01:13)",
                "old no longer reports (1970-01-01 01:11)",
                "full: disk full (1970-01-01 01:15)",
                "unstable keeps coming and going (1970-01-01 01:15)",
            ]
        );
        assert_eq!((shown.alerts[1].uid.as_deref(), shown.alerts[2].uid.as_deref()), (None, Some("UID-new")));
        alerts.extend((10..20).map(|id| alert(id, &[&format!("gw-{id}")])));
        let shown = view(&link, &alerts);
        assert_eq!((shown.alerts.len(), shown.more), (MOST_ALERTS, 8));
    }
}
