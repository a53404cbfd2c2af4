//! Which alerts are open, and when single alerts give way to one for their site.
//!
//! A site alert opens when at least [`Rules::site_fraction`] of a site, and at least [`Rules::site_min`] appliances, became
//! silent within [`Rules::site_window_ms`]. It takes those appliances over from their single alerts; whoever of the site
//! becomes silent later is attached. An appliance leaves it when it is well. When fewer than
//! [`Rules::site_close_fraction`] of the site are left in it, it closes, and each of the rest gets a single alert. Those
//! that recover are still in it: a site that comes back at once must not become a crowd of single alerts on its way.
//!
//! Order of outputs: what closes comes before what opens, so an appliance is never in two open alerts.

use super::{AlertId, AlertKind, BeatWatch, Health, OpenAlert, Output, Rules};
use crate::id::{SiteId, Uid};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// A restored alert is closed as unneeded only after the driver had this long to restore its appliances.
const REVIEW_AFTER_MS: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Alerts {
    next_id: u64,
    open: BTreeMap<AlertId, Alert>,
    of: BTreeMap<Uid, AlertId>,
    /// Beside the above: the broken rules of appliances.
    pub(super) failing: BTreeMap<Uid, BTreeMap<String, AlertId>>,
    sites: BTreeMap<SiteId, Site>,
    /// Appliances named by restored alerts that have not been restored themselves yet.
    awaited: BTreeMap<Uid, AlertId>,
    review_at: Option<Millis>,
}

#[derive(Debug)]
struct Alert {
    site: SiteId,
    kind: AlertKind,
    members: BTreeSet<Uid>,
}

impl Alert {
    /// True if an appliance that is stored so can still be in this alert: it may have left it since, and no output said so.
    fn fits(&self, site: SiteId, health: Health) -> bool {
        let may = match health {
            // Also in a never-reported alert: it reported once, and fell silent before it had recovered.
            Health::Silent | Health::Recovering => true,
            // An unstable one is silent by itself.
            Health::Unreachable => self.kind != AlertKind::Unstable,
            Health::NeverReported => self.kind == AlertKind::NeverReported,
            Health::Well | Health::Late => self.kind == AlertKind::Unstable,
            Health::NotExpected | Health::Failing | Health::Maintenance => false,
        };
        may && self.site == site
    }
}

#[derive(Debug, Default)]
struct Site {
    watched: usize,
    /// Its open site alert.
    alert: Option<AlertId>,
    /// Who became silent when, and has a single alert or none yet: what may become a site alert.
    recent: BTreeSet<(Millis, Uid)>,
}

impl Alerts {
    pub(super) fn number_from(&mut self, id: AlertId) {
        self.next_id = self.next_id.max(id.0);
    }

    pub(super) fn has_one(&self, uid: &Uid) -> bool {
        self.of.contains_key(uid)
    }

    pub(super) fn of(&self, uid: &Uid) -> Option<AlertId> {
        self.of.get(uid).copied()
    }

    pub(super) fn kind_of(&self, uid: &Uid) -> Option<AlertKind> {
        self.open.get(self.of.get(uid)?).map(|alert| alert.kind)
    }

    pub(super) fn is_failing(&self, uid: &Uid) -> bool {
        self.failing.contains_key(uid)
    }

    pub(super) fn is_broken(&self, uid: &Uid, rule: &str) -> bool {
        self.failing.get(uid).is_some_and(|rules| rules.contains_key(rule))
    }

    pub(super) fn take_id(&mut self) -> AlertId {
        let id = AlertId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    /// An appliance no longer counts among those of its site that became silent together.
    pub(super) fn not_recent(&mut self, site: SiteId, uid: &Uid) {
        if let Some(entry) = self.sites.get_mut(&site) {
            entry.recent.retain(|(_, other)| other != uid);
        }
    }

    /// [`Self::not_recent`], of the site whose alert it is in.
    pub(super) fn leave_window(&mut self, uid: &Uid) {
        if let Some(site) = self.of.get(uid).and_then(|id| self.open.get(id)).map(|alert| alert.site) {
            self.not_recent(site, uid);
        }
    }

    pub(super) fn grow(&mut self, site: SiteId) {
        self.sites.entry(site).or_default().watched += 1;
    }

    pub(super) fn shrink(&mut self, site: SiteId) {
        if let Some(entry) = self.sites.get_mut(&site) {
            entry.watched = entry.watched.saturating_sub(1);
            if entry.watched == 0 && entry.alert.is_none() {
                self.sites.remove(&site);
            }
        }
    }

    /// Ties a restored appliance to the restored alert that names it.
    pub(super) fn link_restored(&mut self, uid: Uid, site: SiteId, health: Health, is_maintained: bool) {
        if let Some(id) = self.awaited.remove(&uid)
            && !is_maintained
            && self.open.get(&id).is_some_and(|alert| alert.fits(site, health))
        {
            self.join(uid, id);
        }
    }

    pub(super) fn review_at(&self) -> Option<Millis> {
        self.review_at
    }

    /// A restored alert's number is not given again; it is looked through when its appliances are all there.
    pub(super) fn restored(&mut self, id: AlertId, now: Millis) {
        self.number_from(AlertId(id.0.saturating_add(1)));
        self.review_at = Some(now + REVIEW_AFTER_MS);
    }

    pub(super) fn join(&mut self, uid: Uid, id: AlertId) {
        if let Some(alert) = self.open.get_mut(&id) {
            alert.members.insert(uid);
            self.of.insert(uid, id);
        }
    }

    /// Takes an appliance out of its alert, which may then be empty.
    pub(super) fn leave(&mut self, uid: &Uid) -> Option<AlertId> {
        let id = self.of.remove(uid)?;
        if let Some(alert) = self.open.get_mut(&id) {
            alert.members.remove(uid);
        }
        Some(id)
    }
}

impl BeatWatch {
    pub(super) fn open_single(&mut self, site: SiteId, kind: AlertKind, uid: Uid) {
        if self.alerts.has_one(&uid) {
            return;
        }
        if kind == AlertKind::Silent && self.changes_too_often(uid) {
            self.open_unstable(uid);
        } else {
            self.open(site, kind, BTreeSet::from([uid]));
        }
    }

    /// Opens alerts for appliances of a site that have become silent and have none.
    pub(super) fn became_silent(&mut self, site: SiteId, uids: BTreeSet<Uid>) {
        let now = self.now;
        let entry = self.alerts.sites.entry(site).or_default();
        if let Some(alert) = entry.alert {
            for uid in uids {
                self.attach(alert, uid);
            }
            return;
        }
        entry.recent.extend(uids.iter().map(|uid| (now, *uid)));
        let window = now - self.rules.site_window_ms;
        entry.recent.retain(|(at, _)| *at >= window);
        if is_site_wide(&self.rules, entry.recent.len(), entry.watched) {
            let members = std::mem::take(&mut entry.recent).into_iter().map(|(_, uid)| uid).collect();
            self.open_for_site(site, members);
        } else {
            for uid in uids {
                self.open_single(site, AlertKind::Silent, uid);
            }
        }
    }

    /// Ends an appliance's part in its alert.
    pub(super) fn resolve(&mut self, uid: Uid) {
        let Some(id) = self.alerts.leave(&uid) else { return };
        let Some(alert) = self.alerts.open.get(&id) else { return };
        let (site, kind) = (alert.site, alert.kind);
        self.alerts.not_recent(site, &uid);
        self.release_dependents(uid, id);
        if kind == AlertKind::Site {
            self.settle_site(site);
        } else if self.is_about_nobody(id) {
            let rest = self.close(id);
            self.judge_anew(rest);
            if kind == AlertKind::Silent && self.watched.contains_key(&uid) && self.changes_too_often(uid) {
                self.open_unstable(uid);
            }
        }
    }

    /// True when all that are left in an alert are in it for somebody else's sake.
    fn is_about_nobody(&self, id: AlertId) -> bool {
        let is_unreachable = |uid: &Uid| self.watched.get(uid).is_none_or(|w| w.health == Health::Unreachable);
        self.alerts.open.get(&id).is_some_and(|alert| alert.members.iter().all(is_unreachable))
    }

    /// Closes the site's alert if too few are left in it.
    pub(super) fn settle_site(&mut self, site: SiteId) {
        let Some(entry) = self.alerts.sites.get(&site) else { return };
        let Some((id, alert)) = entry.alert.and_then(|id| Some((id, self.alerts.open.get(&id)?))) else { return };
        let fraction = self.rules.site_close_fraction * entry.watched as f64;
        let enough = !alert.members.is_empty() && alert.members.len() as f64 >= fraction;
        // A restored alert may still be waiting for its appliances.
        if enough || self.alerts.review_at.is_some() {
            return;
        }
        let rest = self.close(id);
        let is_unreachable = |uid: &Uid| self.watched.get(uid).is_some_and(|w| w.health == Health::Unreachable);
        let (behind, others): (Vec<Uid>, Vec<Uid>) = rest.into_iter().partition(is_unreachable);
        for uid in others {
            self.open_single(site, AlertKind::Silent, uid);
        }
        for uid in behind {
            match self.alert_of_gateway(uid) {
                Some(alert) => self.attach(alert, uid),
                None => {
                    self.set_health(uid, Health::Silent);
                    self.open_single(site, AlertKind::Silent, uid);
                }
            }
        }
    }

    pub(super) fn restore_alert(&mut self, id: AlertId, site: SiteId, kind: AlertKind, uids: Vec<Uid>) {
        self.alerts.restored(id, self.now);
        if self.alerts.open.contains_key(&id) {
            return;
        }
        self.alerts.open.insert(id, Alert { site, kind, members: BTreeSet::new() });
        if kind == AlertKind::Site {
            self.alerts.sites.entry(site).or_default().alert.get_or_insert(id);
        }
        for uid in uids {
            match self.watched.get(&uid) {
                // In two alerts it must not be; the first one stays.
                _ if self.alerts.has_one(&uid) => {}
                None => {
                    self.alerts.awaited.entry(uid).or_insert(id);
                }
                Some(watched) => {
                    self.alerts.awaited.insert(uid, id);
                    self.alerts.link_restored(uid, watched.site, watched.health, watched.is_maintained);
                    self.schedule(uid);
                }
            }
            if kind == AlertKind::Unstable {
                self.restore_unstable(uid);
            }
        }
    }

    /// Once after a restart: closes restored alerts that nobody is in.
    pub(super) fn close_unneeded_alerts(&mut self) {
        if self.alerts.review_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.alerts.review_at = None;
        self.alerts.awaited.clear();
        let unneeded: Vec<AlertId> =
            self.alerts.open.iter().filter(|(_, alert)| alert.members.is_empty()).map(|(id, _)| *id).collect();
        for id in unneeded {
            self.close(id);
        }
        self.close_unneeded_failing();
        let sites: Vec<SiteId> = self.alerts.sites.keys().copied().collect();
        for site in sites {
            self.settle_site(site);
        }
    }

    fn open_for_site(&mut self, site: SiteId, mut members: BTreeSet<Uid>) {
        for uid in members.clone() {
            if let Some(id) = self.alerts.leave(&uid) {
                // Those behind a gateway come with it.
                members.extend(self.close(id));
            }
        }
        let id = self.open(site, AlertKind::Site, members);
        self.alerts.sites.entry(site).or_default().alert = Some(id);
    }

    pub(super) fn open(&mut self, site: SiteId, kind: AlertKind, members: BTreeSet<Uid>) -> AlertId {
        let id = self.alerts.take_id();
        self.alerts.of.extend(members.iter().map(|uid| (*uid, id)));
        let uids: Vec<Uid> = members.iter().copied().collect();
        self.alerts.open.insert(id, Alert { site, kind, members });
        for uid in &uids {
            self.schedule(*uid);
        }
        self.outputs.push_back(Output::Open(id, OpenAlert { site, kind, uids, rule: String::new() }));
        id
    }

    /// Closes an alert; who was still in it.
    pub(super) fn close(&mut self, id: AlertId) -> BTreeSet<Uid> {
        let Some(alert) = self.alerts.open.remove(&id) else { return BTreeSet::new() };
        for uid in &alert.members {
            self.alerts.of.remove(uid);
        }
        if let Some(entry) = self.alerts.sites.get_mut(&alert.site)
            && entry.alert == Some(id)
        {
            entry.alert = None;
            if entry.watched == 0 {
                self.alerts.sites.remove(&alert.site);
            }
        }
        self.outputs.push_back(Output::Close(id));
        alert.members
    }
}

fn is_site_wide(rules: &Rules, silent: usize, watched: usize) -> bool {
    silent >= rules.site_min.max(1) && silent as f64 >= rules.site_fraction * watched as f64
}
