//! Alerts of appliances that report, and break health rules: one for each rule.

use super::{AlertId, AlertKind, BeatWatch, OpenAlert, Output};
use crate::id::Uid;

impl BeatWatch {
    pub(super) fn rule(&mut self, uid: Uid, rule: &str, broken: bool) {
        let Some(watched) = self.watched.get(&uid) else { return };
        if watched.is_maintained || self.alerts.is_broken(&uid, rule) == broken {
            return;
        }
        let (site, before) = (watched.site, self.health(&uid));
        if broken {
            let id = self.alerts.take_id();
            self.alerts.failing.entry(uid).or_default().insert(rule.to_owned(), id);
            let alert = OpenAlert { site, kind: AlertKind::Failing, uids: vec![uid], rule: rule.to_owned() };
            self.outputs.push_back(Output::Open(id, alert));
        } else {
            self.mend(&uid, rule);
        }
        self.announce_if_changed(uid, before);
    }

    /// Closes all of an appliance that nothing is to be told of any more.
    pub(super) fn end_failing(&mut self, uid: &Uid) {
        let closed = self.alerts.failing.remove(uid).unwrap_or_default();
        self.outputs.extend(closed.into_values().map(Output::Close));
    }

    pub(super) fn restore_failing(&mut self, id: AlertId, uids: Vec<Uid>, rule: &str) {
        for uid in uids {
            self.alerts.failing.entry(uid).or_default().entry(rule.to_owned()).or_insert(id);
        }
        self.alerts.restored(id, self.now);
    }

    /// Once after a restart: closes those of appliances that are not watched any more, or are worked on.
    pub(super) fn close_unneeded_failing(&mut self) {
        let is_unneeded = |uid: &Uid| self.watched.get(uid).is_none_or(|watched| watched.is_maintained);
        let unneeded: Vec<Uid> = self.alerts.failing.keys().filter(|uid| is_unneeded(uid)).copied().collect();
        unneeded.iter().for_each(|uid| self.end_failing(uid));
    }

    fn mend(&mut self, uid: &Uid, rule: &str) {
        let Some(rules) = self.alerts.failing.get_mut(uid) else { return };
        let closed = rules.remove(rule);
        if rules.is_empty() {
            self.alerts.failing.remove(uid);
        }
        self.outputs.extend(closed.map(Output::Close));
    }

    fn announce_if_changed(&mut self, uid: Uid, before: super::Health) {
        let health = self.health(&uid);
        if health != before {
            self.outputs.push_back(Output::Health { uid, health });
        }
    }
}
