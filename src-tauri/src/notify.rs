//! Desktop notifications about alerts: which ones, and never the same twice.
//!
//! [`Digest`] decides and remembers, and knows no desktop; [`desktop`] shows.

use crate::texts;
use muster_console::view::{AlertAppliance, AlertView, RowAlertKind, RowHealth};
use muster_protocol::text::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) mod desktop;

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
}

/// Collects alerts and says which notifications they come to.
///
/// It remembers, in a file, which open alerts the administrator was told of. An alert that closes is told only if its
/// opening was, and nothing is told again after a restart.
#[derive(Debug)]
pub(crate) struct Digest {
    file: PathBuf,
    told: BTreeSet<AlertKey>,
    waiting: BTreeMap<AlertKey, AlertView>,
}

/// Number and time: another NOC counts its alerts from one, too.
type AlertKey = (u32, u32);

impl Digest {
    /// Continues where the file in `folder` says. An unreadable file is as good as none: then open alerts are told again.
    pub(crate) fn open(folder: &Path) -> Self {
        let file = folder.join("notified.json");
        let told = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, told, waiting: BTreeMap::new() }
    }

    /// Takes alerts that opened or closed; `all` says that no others are open. True when there is something to tell.
    pub(crate) fn observe(&mut self, alerts: &[AlertView], all: bool) -> bool {
        if all {
            let known: BTreeSet<AlertKey> = alerts.iter().map(key).collect();
            self.told.retain(|told| known.contains(told));
            self.waiting.retain(|waiting, _| known.contains(waiting));
        }
        for alert in alerts {
            let news = alert.closed.is_some() == self.told.contains(&key(alert));
            if news {
                self.waiting.insert(key(alert), alert.clone());
            } else {
                // Opened and closed within one burst: nobody needs to know.
                self.waiting.remove(&key(alert));
            }
        }
        !self.waiting.is_empty()
    }

    /// The notifications for what was collected. They are on record as told when this returns.
    ///
    /// # Errors
    /// When the record cannot be written; the notifications are lost to nobody: show them all the same.
    pub(crate) fn take(
        &mut self,
        site_name: impl Fn(u32) -> Option<String>,
    ) -> (Vec<Notification>, std::io::Result<()>) {
        let news: Vec<AlertView> = std::mem::take(&mut self.waiting).into_values().collect();
        for alert in &news {
            if alert.closed.is_some() {
                self.told.remove(&key(alert));
            } else {
                self.told.insert(key(alert));
            }
        }
        let written = if news.is_empty() { Ok(()) } else { self.write() };

        let (closed, opened): (Vec<_>, Vec<_>) = news.into_iter().partition(|alert| alert.closed.is_some());
        let mut notifications = Vec::new();
        for alert in opened.iter().filter(|alert| alert.kind == RowAlertKind::Site) {
            let name = site_name(alert.site).map_or_else(|| texts::unnamed_site(alert.site), |name| printable(&name));
            notifications.push(Notification {
                title: texts::site(&name, alert.appliances.len()),
                body: texts::SITE_BODY.to_owned(),
                uid: None,
                bad: true,
            });
        }
        let of_kind = |kind| opened.iter().filter(move |alert| alert.kind == kind);
        notifications.extend(about(of_kind(RowAlertKind::Silent), texts::silent, Some(texts::SILENT_BODY)));
        notifications.extend(about(
            of_kind(RowAlertKind::NeverReported),
            texts::never_reported,
            Some(texts::SILENT_BODY),
        ));
        notifications.extend(about(of_kind(RowAlertKind::Unstable), texts::unstable, Some(texts::UNSTABLE_BODY)));
        for (rule, alerts) in by_rule(&opened) {
            notifications.extend(about(
                alerts.into_iter(),
                |names| texts::failing(names, rule),
                Some(texts::FAILING_BODY),
            ));
        }
        // An alert also closes when another one takes its place, or somebody begins to work on the appliance.
        let again = reporting(&closed, |kind| !matches!(kind, RowAlertKind::Failing | RowAlertKind::Unstable));
        notifications.extend(about(again.iter(), texts::reports_again, None));
        let mended = reporting(&closed, |kind| matches!(kind, RowAlertKind::Failing | RowAlertKind::Unstable));
        notifications.extend(about(mended.iter(), texts::is_fine_again, None));
        (notifications, written)
    }

    fn write(&self) -> std::io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let bytes = serde_json::to_vec(&self.told).map_err(std::io::Error::other)?;
        // A new file and one rename: a power cut leaves the old record or the new one.
        let new = folder.join("notified.json.new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(new, &self.file)
    }
}

/// Alerts of broken health rules, by rule.
fn by_rule(opened: &[AlertView]) -> BTreeMap<&str, Vec<&AlertView>> {
    let mut rules: BTreeMap<&str, Vec<&AlertView>> = BTreeMap::new();
    for alert in opened.iter().filter(|alert| alert.kind == RowAlertKind::Failing) {
        rules.entry(&alert.rule).or_default().push(alert);
    }
    rules
}

/// Closed alerts of some kinds, with those of their appliances that are well.
fn reporting(closed: &[AlertView], is_kind: impl Fn(RowAlertKind) -> bool) -> Vec<AlertView> {
    let is_well = |appliance: &&AlertAppliance| matches!(appliance.health, RowHealth::Well | RowHealth::Failing);
    let of_kind = closed.iter().filter(|alert| is_kind(alert.kind));
    let well = |alert: &AlertView| alert.appliances.iter().filter(is_well).cloned().collect();
    of_kind.map(|alert| AlertView { appliances: well(alert), ..alert.clone() }).collect()
}

fn key(alert: &AlertView) -> AlertKey {
    (alert.id, alert.opened)
}

/// One notification for all of them; good news has nothing more to say of one.
fn about<'a>(
    alerts: impl Iterator<Item = &'a AlertView>,
    title: impl Fn(&[String]) -> String,
    body_of_one: Option<&str>,
) -> Option<Notification> {
    let appliances: BTreeMap<&str, &str> = alerts
        .flat_map(|alert| alert.appliances.iter().map(|appliance| (appliance.uid.as_str(), appliance.name.as_str())))
        .collect();
    let names: Vec<String> = appliances.values().map(|name| printable(name)).collect();
    let (body, uid) = match appliances.keys().next() {
        None => return None,
        Some(uid) if appliances.len() == 1 => (body_of_one.unwrap_or_default().to_owned(), Some((*uid).to_owned())),
        Some(_) => (texts::names(&names), None),
    };
    Some(Notification { title: title(&names), body, uid, bad: body_of_one.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: u32, names: &[&str], closed: bool) -> AlertView {
        let health = if closed { RowHealth::Well } else { RowHealth::Silent };
        let named = |name: &&str| AlertAppliance { uid: format!("UID-{name}"), name: (*name).to_owned(), health };
        let appliances = names.iter().map(named).collect();
        let kind = if names.len() > 1 { RowAlertKind::Site } else { RowAlertKind::Silent };
        AlertView {
            id,
            kind,
            site: 7,
            rule: String::new(),
            appliances,
            opened: 100,
            closed: closed.then_some(200),
            acknowledged: None,
            acknowledged_by: String::new(),
            note: String::new(),
            silenced_until: None,
            escalated: None,
        }
    }

    fn tell(digest: &mut Digest) -> Vec<Notification> {
        let (notifications, written) = digest.take(|_| Some("Harbour".to_owned()));
        written.expect("the folder is writable");
        notifications
    }

    fn titles(notifications: &[Notification]) -> Vec<&str> {
        notifications.iter().map(|notification| notification.title.as_str()).collect()
    }

    #[test]
    fn opening_and_closing_are_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        assert!(digest.observe(&[alert(1, &["gw-1"], false)], false));
        let told = tell(&mut digest);
        assert_eq!(titles(&told), ["gw-1 no longer reports"]);
        assert_eq!(told[0].uid.as_deref(), Some("UID-gw-1"));
        assert!(!digest.observe(&[alert(1, &["gw-1"], false)], true), "a replay is no news");
        assert!(digest.observe(&[alert(1, &["gw-1"], true)], false));
        assert_eq!(titles(&tell(&mut digest)), ["gw-1 reports again"]);
        assert!(!digest.observe(&[alert(1, &["gw-1"], true)], true), "a closed alert is no news");
    }

    #[test]
    fn a_restart_repeats_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        digest.observe(&[alert(1, &["gw-1"], false)], true);
        tell(&mut digest);
        let mut digest = Digest::open(folder.path());
        assert!(!digest.observe(&[alert(1, &["gw-1"], false), alert(2, &["gw-2"], true)], true));
        assert!(digest.observe(&[alert(1, &["gw-1"], true)], false), "that it is back is still to be told");
    }

    #[test]
    fn a_burst_is_one_notification() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        for id in 1..=7 {
            digest.observe(&[alert(id, &[&format!("gw-{id}")], false)], false);
        }
        let told = tell(&mut digest);
        assert_eq!(titles(&told), ["7 appliances no longer report"]);
        assert_eq!((told[0].body.as_str(), &told[0].uid), ("gw-1, gw-2, gw-3, gw-4, gw-5 and 2 more", &None));
        assert!(tell(&mut digest).is_empty(), "what was taken is gone");
    }

    #[test]
    fn a_short_silence_is_not_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        assert!(digest.observe(&[alert(1, &["gw-1"], false)], false));
        assert!(!digest.observe(&[alert(1, &["gw-1"], true)], false));
        assert!(tell(&mut digest).is_empty(), "it came back before anybody was told");
    }

    #[test]
    fn an_alert_that_gives_way_to_another_is_no_good_news() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        digest.observe(&[alert(1, &["gw-1"], false)], false);
        tell(&mut digest);
        let mut closed = alert(1, &["gw-1"], true);
        closed.appliances[0].health = RowHealth::Unreachable;
        digest.observe(&[closed, alert(2, &["gw-1", "gw-2"], false)], false);
        assert_eq!(titles(&tell(&mut digest)), ["Harbour: 2 appliances became silent at once"]);
    }

    #[test]
    fn a_broken_rule_is_told_with_its_name_and_so_is_that_it_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        let broken = |id, name: &str, closed| AlertView {
            kind: RowAlertKind::Failing,
            rule: "disk full".to_owned(),
            ..alert(id, &[name], closed)
        };
        digest.observe(&[broken(1, "gw-1", false), broken(2, "gw-2", false)], false);
        assert_eq!(titles(&tell(&mut digest)), ["2 appliances: disk full"]);
        digest.observe(&[broken(1, "gw-1", true)], false);
        assert_eq!(titles(&tell(&mut digest)), ["gw-1 is fine again"]);
        let unstable = AlertView { kind: RowAlertKind::Unstable, ..alert(3, &["gw-3"], false) };
        digest.observe(&[unstable], false);
        assert_eq!(titles(&tell(&mut digest)), ["gw-3 keeps coming and going"]);
    }

    #[test]
    fn a_site_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::open(folder.path());
        digest.observe(&[alert(1, &["gw-1", "gw-2"], false)], false);
        assert_eq!(titles(&tell(&mut digest)), ["Harbour: 2 appliances became silent at once"]);
    }

    #[test]
    fn a_damaged_record_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("notified.json"), b"[[1,").expect("writable");
        let mut digest = Digest::open(folder.path());
        digest.observe(&[alert(1, &["gw-1"], false)], false);
        assert_eq!(tell(&mut digest).len(), 1);
        assert!(!Digest::open(folder.path()).observe(&[alert(1, &["gw-1"], false)], true));
    }
}
