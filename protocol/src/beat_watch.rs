//! The NOC's status daemon: who failed to report, and which alerts are open (`monitoring.md`; seed steps 76-79).
//!
//! An appliance is `NeverReported` from its kick-start, `Well` while its beats come, `Late` after interval + grace,
//! `Silent` (alert) after three intervals + grace, `Recovering` from its first beat after an alert, and `Well` again (the
//! alert closes) with the second beat in a row that came in time. `Failing` is one that reports and breaks a health rule;
//! `Unreachable` one that is silent behind a silent gateway; `Maintenance` one of which nobody is told. Times are the NOC's
//! own; no appliance's clock counts.
//!
//! When a large part of a site becomes silent at once, one alert for the site takes the place of the single ones. When a
//! gateway is silent, those behind it are in its alert. One that becomes silent and well again too often has one alert that
//! says so. When the NOC itself was away nobody is judged before a fresh interval + grace has passed.
//!
//! # Restart
//! The driver restores every appliance with [`Input::Restore`] and every open alert with [`Input::RestoreAlert`], in any
//! order. Nothing is put out for what is already stored, so no alert is repeated. None is lost: a silent appliance whose
//! alert is missing gets one after a fresh grace, and an alert that no appliance needs any more is closed. Then come
//! [`Input::Timing`], [`Input::Behind`] and [`Input::Maintain`] as they are now. How often an appliance changed is forgotten.
//!
//! # What is stored of an alert
//! [`Output::Open`] names its first appliances, [`Output::Attach`] adds one. No output takes one out: an appliance is in no
//! alert of its beats while it is [`Health::Well`], [`Health::Failing`], [`Health::Late`], in [`Health::Maintenance`] or
//! forgotten, and when it begins anew ([`Health::NeverReported`]), but for [`AlertKind::Unstable`], which lasts until it
//! closes. A restored alert may still name it. [`AlertKind::Failing`] stands beside: one for each rule of an appliance.

mod alerts;
mod deadlines;
mod dependencies;
mod failing;
mod flapping;
mod interface;
mod maintenance;
mod timing;

pub use crate::api::{AlertKind, Health};
pub use interface::{AlertId, Input, OpenAlert, Output};
pub use timing::Timing;

use crate::id::{SiteId, Uid};
use crate::time::Millis;
use alerts::Alerts;
use deadlines::Deadlines;
use dependencies::Dependencies;
use flapping::Flapping;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A wake-up this much late, at least, means that the NOC was away.
const LEAST_STALL_MS: u64 = 30_000;

/// The rules, with the defaults of `monitoring.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// When an appliance is late, silent and well again, where its site says nothing else.
    pub timing: Timing,
    /// The part of a site that makes a site alert.
    pub site_fraction: f64,
    /// The least number of appliances that makes a site alert.
    pub site_min: usize,
    /// They must have become silent within this time.
    pub site_window_ms: u64,
    /// A site alert closes when a smaller part of the site than this is left in it.
    pub site_close_fraction: f64,
    /// An appliance is unstable when its alert opened and closed more often than this within the time below.
    pub flap_changes: usize,
    /// And is not any more when it did neither for so long.
    pub flap_window_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            site_fraction: 0.3,
            site_min: 3,
            site_window_ms: 120_000,
            site_close_fraction: 0.1,
            flap_changes: 4,
            flap_window_ms: 3_600_000,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct BeatWatch {
    rules: Rules,
    now: Millis,
    watched: BTreeMap<Uid, Watched>,
    deadlines: Deadlines,
    /// What sites say of timing.
    timings: BTreeMap<SiteId, Timing>,
    dependencies: Dependencies,
    flapping: Flapping,
    /// How many appliances have which interval: the shortest decides what counts as a stall.
    intervals: BTreeMap<u64, usize>,
    alerts: Alerts,
    outputs: VecDeque<Output>,
}

/// An appliance of which beats are expected.
#[derive(Clone, Copy, Debug)]
struct Watched {
    site: SiteId,
    interval_ms: u64,
    /// As its beats say; what is told of it may be [`Health::Failing`] or [`Health::Maintenance`] instead.
    health: Health,
    /// Its last beat, or the start of its latest grace: what it is judged from.
    since: Millis,
    /// Beats in a row in time, while recovering.
    in_row: u32,
    is_maintained: bool,
    /// It is not judged before its gateway is; at the latest then.
    waits_until: Option<Millis>,
}

impl Watched {
    fn new(site: SiteId, interval_ms: u64, health: Health, since: Millis) -> Watched {
        Watched { site, interval_ms, health, since, in_row: 0, is_maintained: false, waits_until: None }
    }
}

impl BeatWatch {
    /// Watches nobody yet.
    pub fn new(now: Millis, rules: Rules) -> BeatWatch {
        BeatWatch {
            rules,
            now,
            watched: BTreeMap::new(),
            deadlines: Deadlines::default(),
            timings: BTreeMap::new(),
            dependencies: Dependencies::default(),
            flapping: Flapping::default(),
            intervals: BTreeMap::new(),
            alerts: Alerts::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Numbers new alerts from `id`, or from one above the highest restored alert if that is more.
    pub fn first_alert_id(mut self, id: AlertId) -> BeatWatch {
        self.alerts.number_from(id);
        self
    }

    /// Takes what came in.
    pub fn handle_input(&mut self, now: Millis, input: Input) {
        self.advance(now);
        match input {
            Input::Expect { uid, site, interval_s } => self.expect(uid, site, timing::interval_ms(interval_s)),
            Input::Restore { uid, site, interval_s, health } => {
                self.restore(uid, site, timing::interval_ms(interval_s), health);
            }
            Input::RestoreAlert { id, kind: AlertKind::Failing, uids, rule, .. } => {
                self.restore_failing(id, uids, &rule);
            }
            Input::RestoreAlert { id, site, kind, uids, .. } => self.restore_alert(id, site, kind, uids),
            Input::Timing { site, timing } => self.set_timing(site, timing),
            Input::Behind { uid, gateway } => self.set_gateway(uid, gateway),
            Input::Maintain { uid, on } => self.maintain(uid, on),
            Input::Rule { uid, rule, broken } => self.rule(uid, &rule, broken),
            Input::Forget { uid } => self.forget(&uid),
            Input::Beat { uid } => self.beat(uid),
            Input::Stalled => self.fresh_grace(),
        }
    }

    /// Does what is due. Far too late a call counts as [`Input::Stalled`].
    pub fn handle_timeout(&mut self, now: Millis) {
        self.advance(now);
        let mut silent: BTreeMap<SiteId, BTreeSet<Uid>> = BTreeMap::new();
        while let Some(uid) = self.deadlines.pop_due(self.now) {
            if let Some(site) = self.overdue(uid) {
                silent.entry(site).or_default().insert(uid);
            }
        }
        for (site, uids) in silent {
            self.became_silent(site, uids.clone());
            uids.into_iter().for_each(|uid| self.take_over_dependents(uid));
        }
        self.close_unneeded_alerts();
        // Last: what opened above may have changed too often already for a window of no length.
        self.end_flapping();
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        let others = self.alerts.review_at().into_iter().chain(self.flapping.next());
        self.deadlines.next().into_iter().chain(others).min()
    }

    /// How an appliance stands with beats.
    pub fn health(&self, uid: &Uid) -> Health {
        self.watched.get(uid).map_or(Health::NotExpected, |watched| self.shown(uid, watched))
    }

    /// The site of an appliance that beats are expected of.
    pub fn site(&self, uid: &Uid) -> Option<SiteId> {
        self.watched.get(uid).map(|watched| watched.site)
    }

    /// The appliances of a site that beats are expected of. Looks at all of all sites.
    pub fn of_site(&self, site: SiteId) -> Vec<Uid> {
        self.watched.iter().filter(|(_, watched)| watched.site == site).map(|(uid, _)| *uid).collect()
    }

    fn shown(&self, uid: &Uid, watched: &Watched) -> Health {
        match watched.health {
            _ if watched.is_maintained => Health::Maintenance,
            Health::Well if self.alerts.is_failing(uid) => Health::Failing,
            health => health,
        }
    }

    /// Moves time on; never back. If what was due is overdue by far, we were away.
    fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        let shortest = self.intervals.keys().next().copied().unwrap_or(0);
        let stall = LEAST_STALL_MS.max(2 * shortest);
        if self.deadlines.next().is_some_and(|due| self.now.since(due) > stall) {
            self.fresh_grace();
        }
    }

    fn expect(&mut self, uid: Uid, site: SiteId, interval_ms: u64) {
        if self.watched.get(&uid).is_some_and(|watched| watched.site != site) {
            self.forget(&uid);
        }
        let known = self.watched.get(&uid).copied();
        let health = known.map_or(Health::NeverReported, |watched| watched.health);
        let is_maintained = known.is_some_and(|watched| watched.is_maintained);
        self.watch(uid, Watched { is_maintained, ..Watched::new(site, interval_ms, health, self.now) });
        match health {
            Health::Late => self.set_health(uid, Health::Well),
            _ if known.is_none() => self.set_health(uid, Health::NeverReported),
            _ => self.schedule(uid),
        }
    }

    fn restore(&mut self, uid: Uid, site: SiteId, interval_ms: u64, health: Health) {
        if health == Health::NotExpected || self.watched.contains_key(&uid) {
            return;
        }
        let is_maintained = health == Health::Maintenance;
        let base = match health {
            Health::Failing => Health::Well,
            // What it was before is not stored: at the end it is judged anew.
            Health::Maintenance => Health::Late,
            health => health,
        };
        self.watch(uid, Watched { is_maintained, ..Watched::new(site, interval_ms, base, self.now) });
        self.alerts.link_restored(uid, site, base, is_maintained);
        self.schedule(uid);
    }

    fn watch(&mut self, uid: Uid, watched: Watched) {
        let before = self.watched.insert(uid, watched);
        *self.intervals.entry(watched.interval_ms).or_default() += 1;
        match before {
            Some(before) => self.uncount_interval(before.interval_ms),
            None => self.alerts.grow(watched.site),
        }
    }

    fn forget(&mut self, uid: &Uid) {
        let Some(watched) = self.watched.remove(uid) else { return };
        self.uncount_interval(watched.interval_ms);
        self.deadlines.remove(uid);
        self.end_failing(uid);
        self.end_unstable(uid);
        self.resolve(*uid);
        self.flapping.forget(uid);
        self.dependencies.forget(uid);
        self.alerts.shrink(watched.site);
        self.settle_site(watched.site);
    }

    fn uncount_interval(&mut self, interval_ms: u64) {
        if let Some(count) = self.intervals.get_mut(&interval_ms) {
            *count -= 1;
            if *count == 0 {
                self.intervals.remove(&interval_ms);
            }
        }
    }

    fn beat(&mut self, uid: Uid) {
        let Some(watched) = self.watched.get(&uid) else { return };
        let timing = self.timing(watched.site);
        let is_unstable = self.alerts.kind_of(&uid) == Some(AlertKind::Unstable);
        let is_alerted = self.alerts.has_one(&uid);
        let now = self.now;
        let Some(watched) = self.watched.get_mut(&uid) else { return };
        let in_time = now.since(watched.since) <= timing.late_after(watched.interval_ms);
        (watched.since, watched.waits_until) = (now, None);
        watched.in_row = match watched.health {
            Health::Recovering if in_time => watched.in_row + 1,
            _ => 1,
        };
        let was_well = matches!(watched.health, Health::Well | Health::Late | Health::NeverReported);
        let was_silent = matches!(watched.health, Health::Silent | Health::Unreachable);
        let health = if watched.is_maintained || (!is_alerted && !was_silent) || (is_unstable && was_well) {
            Health::Well
        } else if watched.in_row < timing.recover_beats {
            Health::Recovering
        } else if is_unstable {
            self.changed_again(uid);
            Health::Well
        } else {
            self.resolve(uid);
            Health::Well
        };
        self.set_health(uid, health);
    }

    /// Judges one whose deadline has passed. Its site, if it has become silent and needs an alert.
    fn overdue(&mut self, uid: Uid) -> Option<SiteId> {
        let watched = self.watched.get(&uid)?;
        let (health, site) = (watched.health, watched.site);
        match health {
            Health::NeverReported => {
                self.open_single(site, AlertKind::NeverReported, uid);
                None
            }
            Health::Well => {
                self.set_health(uid, Health::Late);
                None
            }
            Health::Late | Health::Recovering | Health::Silent | Health::Unreachable => self.fell_silent(uid, site),
            Health::NotExpected | Health::Failing | Health::Maintenance => None,
        }
    }

    fn fell_silent(&mut self, uid: Uid, site: SiteId) -> Option<SiteId> {
        match self.alerts.kind_of(&uid) {
            Some(AlertKind::Unstable) => self.changed_again(uid),
            Some(_) => {}
            None if self.watched.get(&uid).is_some_and(|watched| watched.health == Health::Silent) => {
                return Some(site);
            }
            None if self.waits_for_gateway(uid) => return None,
            None => {
                if let Some(alert) = self.alert_of_gateway(uid) {
                    self.set_health(uid, Health::Unreachable);
                    self.attach(alert, uid);
                    return None;
                }
                self.set_health(uid, Health::Silent);
                return Some(site);
            }
        }
        self.set_health(uid, Health::Silent);
        None
    }

    fn set_health(&mut self, uid: Uid, health: Health) {
        let Some(watched) = self.watched.get_mut(&uid) else { return };
        let before = std::mem::replace(&mut watched.health, health);
        let watched = *watched;
        // Whoever fails stays failing while it reports; nothing changes for one in maintenance.
        let known = watched.is_maintained || before == health;
        // A newly expected appliance is announced although its record begins with that very health.
        if !known || (health == Health::NeverReported && !watched.is_maintained) {
            self.outputs.push_back(Output::Health { uid, health: self.shown(&uid, &watched) });
        }
        self.schedule(uid);
    }

    /// Sets the time at which the appliance is to be judged next.
    fn schedule(&mut self, uid: Uid) {
        let Some(watched) = self.watched.get(&uid) else { return };
        let alerted = self.alerts.has_one(&uid);
        let timing = self.timing(watched.site);
        let (late, silent) = (timing.late_after(watched.interval_ms), timing.silent_after(watched.interval_ms));
        let after = match watched.health {
            _ if watched.is_maintained => None,
            Health::Well => Some(late),
            Health::Late | Health::Recovering => Some(silent),
            Health::NeverReported if !alerted => Some(timing.never_reported_ms),
            Health::Silent | Health::Unreachable if !alerted => Some(late),
            _ => None,
        };
        match after {
            Some(ms) => self.deadlines.set(uid, watched.since + ms),
            None => self.deadlines.remove(&uid),
        }
    }

    fn fresh_grace(&mut self) {
        let uids: Vec<Uid> = self.watched.keys().copied().collect();
        for uid in uids {
            if let Some(watched) = self.watched.get_mut(&uid) {
                (watched.since, watched.waits_until) = (self.now, None);
            }
            self.schedule(uid);
        }
    }
}

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_causes;
#[cfg(test)]
mod weeks;
