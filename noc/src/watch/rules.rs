//! What sites say of silence and health, for the status daemon.

use super::Told;
use crate::monitoring::Monitoring;
use muster_protocol::beat_watch::{AlertKind, Input, Timing};
use muster_protocol::health_rules::{HealthRule, HealthWatch, Report, default_rules};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::time::Millis;
use std::collections::BTreeMap;

pub(super) struct SiteRules {
    usual: Timing,
    /// Those of sites that say something.
    timings: BTreeMap<SiteId, Timing>,
    rules: BTreeMap<SiteId, Vec<HealthRule>>,
    default: Vec<HealthRule>,
    health: HealthWatch,
}

impl SiteRules {
    pub(super) fn new(usual: Timing) -> SiteRules {
        let (timings, rules, health) = (BTreeMap::new(), BTreeMap::new(), HealthWatch::default());
        SiteRules { usual, timings, rules, default: default_rules(), health }
    }

    /// Takes up an open alert of a broken rule.
    pub(super) fn restore(&mut self, now: Millis, input: &Input) {
        if let Input::RestoreAlert { kind: AlertKind::Failing, uids, rule, .. } = input {
            uids.iter().for_each(|uid| self.health.restore(now, *uid, rule));
        }
    }

    /// What sites say now; what of it is new to the watch.
    pub(super) fn replace(&mut self, said: Vec<(SiteId, Monitoring)>) -> Vec<Input> {
        let before = std::mem::take(&mut self.timings);
        self.rules.clear();
        for (site, monitoring) in said {
            self.timings.extend(monitoring.timing(self.usual).map(|timing| (site, timing)));
            self.rules.extend(monitoring.rules.map(|rules| (site, rules)));
        }
        let sites = before.keys().chain(self.timings.keys()).copied().collect::<std::collections::BTreeSet<_>>();
        let changed = sites.into_iter().filter(|site| before.get(site) != self.timings.get(site));
        changed.map(|site| Input::Timing { site, timing: self.timings.get(&site).copied() }).collect()
    }

    /// What a beat says of its appliance's health.
    pub(super) fn beat(&mut self, now: Millis, uid: Uid, site: SiteId, told: &Told, silent_ms: u64) -> Vec<Input> {
        let rules = self.rules.get(&site).unwrap_or(&self.default);
        let report = Report { uid, model: &told.model, values: &told.values, silent_ms };
        let changed = self.health.beat(now, rules, report);
        changed.into_iter().map(|(rule, broken)| Input::Rule { uid, rule, broken }).collect()
    }

    pub(super) fn forget(&mut self, uid: &Uid) {
        self.health.forget(uid);
    }
}
