//! Which notifications alerts come to.

use super::record::Knowledge;
use super::{About, AlertKey, Notification, key};
use crate::attention::needs_somebody;
use crate::texts;
use muster_console::view::{AlertAppliance, AlertView, RowAlertKind, RowHealth};
use muster_protocol::text::printable;
use std::collections::{BTreeMap, BTreeSet};

/// Collects alerts and says which notifications they come to.
///
/// It knows which open alerts the administrator was told of. An alert that closes is told only if its opening was.
#[derive(Debug)]
pub(crate) struct Digest {
    known: BTreeMap<AlertKey, Knowledge>,
    waiting: BTreeMap<AlertKey, AlertView>,
}

/// How to tell.
pub(crate) struct Telling<'a> {
    /// Nobody is to be disturbed now.
    pub(crate) quiet: bool,
    /// Whether the administrator wants to hear of such an alert at all.
    pub(crate) wanted: &'a dyn Fn(&AlertView) -> bool,
    /// The name of a site.
    pub(crate) site: &'a dyn Fn(u32) -> Option<String>,
}

impl Digest {
    /// Continues with what is on record.
    pub(crate) fn new(known: BTreeMap<AlertKey, Knowledge>) -> Self {
        Self { known, waiting: BTreeMap::new() }
    }

    /// What is to be on record.
    pub(crate) fn known(&self) -> &BTreeMap<AlertKey, Knowledge> {
        &self.known
    }

    /// Takes alerts that changed; `all` says that no others are open. True when there is something to tell.
    pub(crate) fn observe(&mut self, alerts: &[AlertView], all: bool) -> bool {
        if all {
            let there: BTreeSet<AlertKey> = alerts.iter().map(key).collect();
            self.known.retain(|known, _| there.contains(known));
            self.waiting.retain(|waiting, _| there.contains(waiting));
        }
        for alert in alerts {
            let key = key(alert);
            let known = self.known.get(&key).copied();
            if self.is_news(alert, known) {
                self.waiting.insert(key, alert.clone());
                continue;
            }
            // Opened, and closed or taken care of, within one burst: nobody needs to know.
            self.waiting.remove(&key);
            if alert.closed.is_some() {
                self.known.remove(&key);
            } else if alert.acknowledged.is_some() {
                // Somebody has it. That it is over is told to who was told of it.
                self.known.entry(key).and_modify(Knowledge::see).or_insert(Knowledge::Untold);
            } else if alert.silenced_until.is_some() {
                self.known.insert(key, Knowledge::Silenced);
            }
        }
        !self.waiting.is_empty()
    }

    fn is_news(&self, alert: &AlertView, known: Option<Knowledge>) -> bool {
        if alert.closed.is_some() {
            return known == Some(Knowledge::Told);
        }
        // What is silenced is told again when that ends.
        needs_somebody(alert) && matches!(known, None | Some(Knowledge::Silenced))
    }

    /// The notifications for what was collected.
    pub(crate) fn take(&mut self, how: &Telling<'_>) -> Vec<Notification> {
        let (mut closed, mut opened) = (Vec::new(), Vec::new());
        for (key, alert) in std::mem::take(&mut self.waiting) {
            let wanted = (how.wanted)(&alert);
            if alert.closed.is_some() {
                self.known.remove(&key);
                closed.extend((wanted && !how.quiet).then_some(alert));
                continue;
            }
            let now = match (wanted, how.quiet) {
                (false, _) => Knowledge::Untold,
                (true, true) => Knowledge::Held,
                (true, false) => Knowledge::Told,
            };
            self.known.insert(key, now);
            opened.extend((now == Knowledge::Told).then_some(alert));
        }
        told(&opened, &closed, how)
    }

    /// One notification about what opened while nobody was to be disturbed and still needs somebody; it is told now.
    pub(crate) fn summary<'a>(&mut self, alerts: impl Iterator<Item = &'a AlertView>) -> Option<Notification> {
        let held = |alert: &&AlertView| self.known.get(&key(alert)) == Some(&Knowledge::Held) && needs_somebody(alert);
        let open: Vec<&AlertView> = alerts.filter(held).collect();
        self.known.values_mut().filter(|known| **known == Knowledge::Held).for_each(|known| *known = Knowledge::Told);
        if open.is_empty() {
            return None;
        }
        let appliances: BTreeMap<&str, &str> = appliances(&open).collect();
        let names: Vec<String> = appliances.values().map(|name| printable(name)).collect();
        let only = appliances.keys().next().filter(|_| appliances.len() == 1);
        Some(Notification {
            title: texts::opened_meanwhile(open.len()),
            body: texts::names(&names),
            uid: only.map(|uid| (*uid).to_owned()),
            bad: true,
            about: About::Alerts(open.iter().map(|alert| key(alert)).collect()),
        })
    }
}

fn told(opened: &[AlertView], closed: &[AlertView], how: &Telling<'_>) -> Vec<Notification> {
    let mut notifications = Vec::new();
    for alert in opened.iter().filter(|alert| alert.kind == RowAlertKind::Site) {
        let name = (how.site)(alert.site).map_or_else(|| texts::unnamed_site(alert.site), |name| printable(&name));
        notifications.push(Notification {
            title: texts::site(&name, alert.appliances.len()),
            body: texts::SITE_BODY.to_owned(),
            uid: None,
            bad: true,
            about: About::Alerts(vec![key(alert)]),
        });
    }
    let of_kind = |kind| opened.iter().filter(move |alert| alert.kind == kind);
    notifications.extend(about(of_kind(RowAlertKind::Silent), texts::silent, Some(texts::SILENT_BODY)));
    notifications.extend(about(of_kind(RowAlertKind::NeverReported), texts::never_reported, Some(texts::SILENT_BODY)));
    notifications.extend(about(of_kind(RowAlertKind::Unstable), texts::unstable, Some(texts::UNSTABLE_BODY)));
    for (rule, alerts) in by_rule(opened) {
        let title = |names: &[String]| texts::failing(names, rule);
        notifications.extend(about(alerts.into_iter(), title, Some(texts::FAILING_BODY)));
    }
    // An alert also closes when another one takes its place, or somebody begins to work on the appliance.
    let again = reporting(closed, |kind| !matches!(kind, RowAlertKind::Failing | RowAlertKind::Unstable));
    notifications.extend(about(again.iter(), texts::reports_again, None));
    let mended = reporting(closed, |kind| matches!(kind, RowAlertKind::Failing | RowAlertKind::Unstable));
    notifications.extend(about(mended.iter(), texts::is_fine_again, None));
    notifications
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

/// One notification for all of them; good news has nothing more to say of one.
fn about<'a>(
    alerts: impl Iterator<Item = &'a AlertView>,
    title: impl Fn(&[String]) -> String,
    body_of_one: Option<&str>,
) -> Option<Notification> {
    let alerts: Vec<&AlertView> = alerts.collect();
    let keys = alerts.iter().map(|alert| key(alert)).collect();
    let appliances: BTreeMap<&str, &str> = appliances(&alerts).collect();
    let names: Vec<String> = appliances.values().map(|name| printable(name)).collect();
    let (body, uid) = match appliances.keys().next() {
        None => return None,
        Some(uid) if appliances.len() == 1 => (body_of_one.unwrap_or_default().to_owned(), Some((*uid).to_owned())),
        Some(_) => (texts::names(&names), None),
    };
    let bad = body_of_one.is_some();
    let about = if bad { About::Alerts(keys) } else { About::Nothing };
    Some(Notification { title: title(&names), body, uid, bad, about })
}

/// UID and name of each.
fn appliances<'a>(alerts: &[&'a AlertView]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = alerts.iter().flat_map(|alert| &alert.appliances);
    all.map(|appliance| (appliance.uid.as_str(), appliance.name.as_str()))
}

#[cfg(test)]
mod tests;
