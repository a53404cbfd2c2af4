//! Appliances behind a gateway that is an appliance itself: while that is silent they are unreachable, and in its alert.

use super::{AlertId, AlertKind, BeatWatch, Health, Output};
use crate::id::Uid;
use std::collections::{BTreeMap, BTreeSet};

/// Gateways behind gateways that are followed.
const MOST_HOPS: usize = 16;

/// Who is behind whom.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    gateway: BTreeMap<Uid, Uid>,
    behind: BTreeMap<Uid, BTreeSet<Uid>>,
}

impl Dependencies {
    /// Those behind an appliance stay so: it may be expected again.
    pub(super) fn forget(&mut self, uid: &Uid) {
        if let Some(gateway) = self.gateway.remove(uid)
            && let Some(behind) = self.behind.get_mut(&gateway)
        {
            behind.remove(uid);
            if behind.is_empty() {
                self.behind.remove(&gateway);
            }
        }
    }

    fn behind(&self, gateway: &Uid) -> Vec<Uid> {
        self.behind.get(gateway).into_iter().flatten().copied().collect()
    }
}

impl BeatWatch {
    pub(super) fn set_gateway(&mut self, uid: Uid, gateway: Option<Uid>) {
        let gateway = gateway.filter(|gateway| *gateway != uid && self.watched.contains_key(&uid));
        let before = self.dependencies.gateway.get(&uid).copied();
        if before == gateway {
            return;
        }
        self.dependencies.forget(&uid);
        if let Some(gateway) = gateway {
            self.dependencies.gateway.insert(uid, gateway);
            self.dependencies.behind.entry(gateway).or_default().insert(uid);
        }
        let is_unreachable = self.watched.get(&uid).is_some_and(|watched| watched.health == Health::Unreachable);
        // After a restart its gateway is heard of for the first time.
        if is_unreachable
            && before.is_some()
            && let Some(alert) = self.alerts.of(&uid)
        {
            self.release(uid, alert);
        }
    }

    /// The alert of a gateway that is silent. An unstable one's is its own.
    pub(super) fn alert_of_gateway(&self, uid: Uid) -> Option<AlertId> {
        let gateway = self.dependencies.gateway.get(&uid)?;
        let is_silent = matches!(self.watched.get(gateway)?.health, Health::Silent | Health::Unreachable);
        let kind = self.alerts.kind_of(gateway)?;
        // Nobody is in the alert of another site.
        let is_here = self.site(gateway) == self.site(&uid);
        (is_silent && is_here && kind != AlertKind::Unstable).then(|| self.alerts.of(gateway)).flatten()
    }

    /// True when the gateway is late: how that ends says what is to be told of those behind it. Nobody waits for a gateway longer
    /// than for the appliance itself.
    pub(super) fn waits_for_gateway(&mut self, uid: Uid) -> bool {
        let Some(watched) = self.watched.get(&uid).copied() else { return false };
        let Some(gateway) = self.dependencies.gateway.get(&uid).filter(|_| !self.is_in_ring(uid)) else { return false };
        let judged = match self.watched.get(gateway).map(|gateway| gateway.health) {
            Some(Health::Late) => self.deadlines.of(gateway),
            // It is silent since this very moment.
            Some(Health::Silent) if !self.alerts.has_one(gateway) => Some(self.now),
            _ => None,
        };
        let silent_after = self.timing(watched.site).silent_after(watched.interval_ms);
        let longest = watched.waits_until.unwrap_or(self.now + silent_after);
        let Some(judged) = judged.map(|at| self.now.max(at) + 1).filter(|at| *at <= longest) else { return false };
        self.deadlines.set(uid, judged);
        if let Some(watched) = self.watched.get_mut(&uid) {
            watched.waits_until = Some(longest);
        }
        true
    }

    /// True for one that is its own gateway in the end.
    fn is_in_ring(&self, uid: Uid) -> bool {
        let next = |at: &Uid| self.dependencies.gateway.get(at).copied();
        let chain = std::iter::successors(next(&uid), next).take(MOST_HOPS + 1);
        chain.enumerate().any(|(hops, at)| at == uid || hops == MOST_HOPS)
    }

    /// A gateway has become silent: single alerts of those behind it that became silent with it were for the same reason.
    pub(super) fn take_over_dependents(&mut self, gateway: Uid) {
        for uid in self.dependencies.behind(&gateway) {
            let Some(alert) = self.alert_of_gateway(uid) else { continue };
            let Some(own) = self.alerts.of(&uid).filter(|own| *own != alert) else { continue };
            let is_single = self.alerts.kind_of(&uid) == Some(AlertKind::Silent);
            if !is_single || !self.went_together(uid, gateway) {
                continue;
            }
            self.alerts.leave_window(&uid);
            let members = self.close(own);
            for member in members {
                if self.watched.get(&member).is_some_and(|watched| watched.health == Health::Silent) {
                    self.set_health(member, Health::Unreachable);
                }
                self.attach(alert, member);
            }
            self.take_over_dependents(uid);
        }
    }

    /// A gateway has left its alert, and with it those who were in it because of that.
    pub(super) fn release_dependents(&mut self, gateway: Uid, from: AlertId) {
        for uid in self.dependencies.behind(&gateway) {
            let is_unreachable = self.watched.get(&uid).is_some_and(|watched| watched.health == Health::Unreachable);
            if is_unreachable && self.alerts.of(&uid) == Some(from) {
                self.release(uid, from);
            }
        }
    }

    /// One that was unreachable is silent by itself in an alert of its site; else it leaves the alert, and is judged anew.
    fn release(&mut self, uid: Uid, from: AlertId) {
        if self.alerts.kind_of(&uid) == Some(AlertKind::Site) {
            self.set_health(uid, Health::Silent);
        } else {
            self.alerts.leave(&uid);
            self.judge_anew(BTreeSet::from([uid]));
            self.release_dependents(uid, from);
        }
    }

    /// Those who are left in an alert that is closed are judged anew.
    pub(super) fn judge_anew(&mut self, uids: BTreeSet<Uid>) {
        for uid in uids {
            if let Some(watched) = self.watched.get_mut(&uid) {
                (watched.since, watched.waits_until) = (self.now, None);
                self.set_health(uid, Health::Late);
            }
        }
    }

    pub(super) fn attach(&mut self, alert: AlertId, uid: Uid) {
        self.alerts.join(uid, alert);
        self.schedule(uid);
        self.outputs.push_back(Output::Attach { alert, uid });
    }

    fn went_together(&self, uid: Uid, gateway: Uid) -> bool {
        let (Some(watched), Some(gateway)) = (self.watched.get(&uid), self.watched.get(&gateway)) else { return false };
        let late = self.timing(watched.site).late_after(watched.interval_ms);
        watched.since + late >= gateway.since
    }
}
