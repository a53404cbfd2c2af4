//! The NOC's status daemon: who failed to report, and which alerts are open (`monitoring.md`; seed steps 76-79).
//!
//! An appliance is `NeverReported` from its kick-start, `Well` while its beats come, `Late` after interval + grace,
//! `Silent` (alert) after three intervals + grace, `Recovering` from its first beat after an alert, and `Well` again (the
//! alert closes) with the second beat in a row that came in time. Times are the NOC's own; no appliance's clock counts.
//!
//! When a large part of a site becomes silent at once, one alert for the site takes the place of the single ones.
//! When the NOC itself was away nobody is judged before a fresh interval + grace has passed.
//!
//! # Restart
//! The driver restores every appliance with [`Input::Restore`] and every open alert with [`Input::RestoreAlert`], in any
//! order. Nothing is put out for what is already stored, so no alert is repeated. None is lost: a silent appliance whose
//! alert is missing gets one after a fresh grace, and an alert that no appliance needs any more is closed.
//!
//! # What is stored of an alert
//! [`Output::Open`] names its first appliances, [`Output::Attach`] adds one. No output takes one out: an appliance has left
//! a site alert when it is [`Health::Well`] again, is forgotten, or begins anew ([`Health::NeverReported`]). A restored
//! alert may still name it.

mod alerts;
mod deadlines;

pub use crate::api::{AlertKind, Health};

use crate::id::{SiteId, Uid};
use crate::parameters::BEAT_INTERVAL_S;
use crate::time::Millis;
use alerts::Alerts;
use deadlines::Deadlines;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The least grace that follows an interval.
const LEAST_GRACE_MS: u64 = 15_000;
/// A wake-up this much late, at least, means that the NOC was away.
const LEAST_STALL_MS: u64 = 30_000;

/// The rules, with the defaults of `monitoring.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Silent after so many intervals and the grace; at least 1.
    pub miss_intervals: u32,
    /// So many beats in a row in time end an alert; at least 1.
    pub recover_beats: u32,
    /// An appliance that has not reported within this time of its kick-start is an alert.
    pub never_reported_ms: u64,
    /// The part of a site that makes a site alert.
    pub site_fraction: f64,
    /// The least number of appliances that makes a site alert.
    pub site_min: usize,
    /// They must have become silent within this time.
    pub site_window_ms: u64,
    /// A site alert closes when a smaller part of the site than this is left in it.
    pub site_close_fraction: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            miss_intervals: 3,
            recover_beats: 2,
            never_reported_ms: 300_000,
            site_fraction: 0.3,
            site_min: 3,
            site_window_ms: 120_000,
            site_close_fraction: 0.1,
        }
    }
}

/// The number of an alert, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

/// An alert that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// Where.
    pub site: SiteId,
    /// What it is about.
    pub kind: AlertKind,
    /// The appliances, ascending: one, or several in a site alert.
    pub uids: Vec<Uid>,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Beats are expected from now on: the appliance was kick-started. One that is known already gets a fresh grace and
    /// the new interval; at a new site it begins anew.
    Expect {
        /// The appliance.
        uid: Uid,
        /// Its site.
        site: SiteId,
        /// Seconds between its beats.
        interval_s: u32,
    },
    /// At start-up: an appliance as it is stored. Puts nothing out. Ignored if the appliance is known already.
    Restore {
        /// The appliance.
        uid: Uid,
        /// Its site.
        site: SiteId,
        /// Seconds between its beats.
        interval_s: u32,
        /// Its stored health; [`Health::NotExpected`] is not watched.
        health: Health,
    },
    /// At start-up: an open alert as it is stored.
    RestoreAlert {
        /// Its number; new alerts get higher ones.
        id: AlertId,
        /// Its site.
        site: SiteId,
        /// What it is about.
        kind: AlertKind,
        /// The appliances that were ever in it.
        uids: Vec<Uid>,
    },
    /// No beats are expected any more. Its alert closes.
    Forget {
        /// The appliance.
        uid: Uid,
    },
    /// A beat was accepted. Ignored from an appliance that none is expected of.
    Beat {
        /// The appliance.
        uid: Uid,
    },
    /// The NOC was away: asleep, or its database stood still.
    Stalled,
}

/// What is to be done. Outputs of one call belong in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An appliance's health changed.
    Health {
        /// The appliance.
        uid: Uid,
        /// How it stands now.
        health: Health,
    },
    /// An alert opened.
    Open(AlertId, OpenAlert),
    /// An appliance joined an open site alert.
    Attach {
        /// The alert.
        alert: AlertId,
        /// The appliance.
        uid: Uid,
    },
    /// An alert closed.
    Close(AlertId),
}

/// The machine.
#[derive(Debug)]
pub struct BeatWatch {
    rules: Rules,
    now: Millis,
    watched: BTreeMap<Uid, Watched>,
    deadlines: Deadlines,
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
    health: Health,
    /// Its last beat, or the start of its latest grace: what it is judged from.
    since: Millis,
    /// Beats in a row in time, while recovering.
    in_row: u32,
}

impl BeatWatch {
    /// Watches nobody yet.
    pub fn new(now: Millis, rules: Rules) -> BeatWatch {
        BeatWatch {
            rules,
            now,
            watched: BTreeMap::new(),
            deadlines: Deadlines::default(),
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
            Input::Expect { uid, site, interval_s } => self.expect(uid, site, interval_ms(interval_s)),
            Input::Restore { uid, site, interval_s, health } => {
                self.restore(uid, site, interval_ms(interval_s), health);
            }
            Input::RestoreAlert { id, site, kind, uids } => self.restore_alert(id, site, kind, uids),
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
            self.became_silent(site, uids);
        }
        self.close_unneeded_alerts();
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.deadlines.next().into_iter().chain(self.alerts.review_at()).min()
    }

    /// How an appliance stands with beats.
    pub fn health(&self, uid: &Uid) -> Health {
        self.watched.get(uid).map_or(Health::NotExpected, |watched| watched.health)
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
        self.watch(uid, Watched { site, interval_ms, health, since: self.now, in_row: 0 });
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
        self.watch(uid, Watched { site, interval_ms, health, since: self.now, in_row: 0 });
        self.alerts.link_restored(uid, site, health);
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
        self.resolve(*uid);
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
        let Some(watched) = self.watched.get_mut(&uid) else { return };
        let in_time = self.now.since(watched.since) <= late_after(watched.interval_ms);
        watched.since = self.now;
        watched.in_row = match watched.health {
            Health::Recovering if in_time => watched.in_row + 1,
            _ => 1,
        };
        let recovered = watched.in_row >= self.rules.recover_beats;
        let health = if !self.alerts.has_one(&uid) && watched.health != Health::Silent {
            Health::Well
        } else if recovered {
            self.resolve(uid);
            Health::Well
        } else {
            Health::Recovering
        };
        self.set_health(uid, health);
    }

    /// Judges one whose deadline has passed. Its site, if it has become silent.
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
            Health::Late | Health::Recovering => {
                self.set_health(uid, Health::Silent);
                (!self.alerts.has_one(&uid)).then_some(site)
            }
            // Restored as silent, but no alert came with it.
            Health::Silent => (!self.alerts.has_one(&uid)).then_some(site),
            Health::NotExpected => None,
        }
    }

    fn set_health(&mut self, uid: Uid, health: Health) {
        let Some(watched) = self.watched.get_mut(&uid) else { return };
        let known = std::mem::replace(&mut watched.health, health) == health;
        // A newly expected appliance is announced although its record begins with that very health.
        if !known || health == Health::NeverReported {
            self.outputs.push_back(Output::Health { uid, health });
        }
        self.schedule(uid);
    }

    /// Sets the time at which the appliance is to be judged next.
    fn schedule(&mut self, uid: Uid) {
        let Some(watched) = self.watched.get(&uid) else { return };
        let alerted = self.alerts.has_one(&uid);
        let late = late_after(watched.interval_ms);
        let silent = watched.interval_ms.saturating_mul(u64::from(self.rules.miss_intervals.max(1) - 1)) + late;
        let after = match watched.health {
            Health::Well => Some(late),
            Health::Late | Health::Recovering => Some(silent),
            Health::NeverReported if !alerted => Some(self.rules.never_reported_ms),
            Health::Silent if !alerted => Some(late),
            Health::NeverReported | Health::Silent | Health::NotExpected => None,
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
                watched.since = self.now;
            }
            self.schedule(uid);
        }
    }
}

fn interval_ms(interval_s: u32) -> u64 {
    u64::from(interval_s.clamp(*BEAT_INTERVAL_S.start(), *BEAT_INTERVAL_S.end())) * 1_000
}

/// An interval and its grace: a quarter of it, at least 15 s.
fn late_after(interval_ms: u64) -> u64 {
    interval_ms + LEAST_GRACE_MS.max(interval_ms / 4)
}

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;
