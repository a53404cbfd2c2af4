//! Appliances that become silent and well again too often: one alert says so, and single ones are not opened until it is over.

use super::deadlines::Deadlines;
use super::{AlertKind, BeatWatch, Health};
use crate::id::Uid;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Changes that are remembered.
const MOST_CHANGES: usize = 64;

/// When alerts of single appliances opened and closed.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    changes: BTreeMap<Uid, VecDeque<Millis>>,
    /// When it has been quiet for long enough.
    quiet: Deadlines,
}

impl Flapping {
    pub(super) fn next(&self) -> Option<Millis> {
        self.quiet.next()
    }

    pub(super) fn forget(&mut self, uid: &Uid) {
        self.changes.remove(uid);
        self.quiet.remove(uid);
    }
}

impl BeatWatch {
    /// Notes that an appliance's alert opened or closed; true when it does so too often.
    pub(super) fn changes_too_often(&mut self, uid: Uid) -> bool {
        let (now, window) = (self.now, self.rules.flap_window_ms);
        let most = self.rules.flap_changes.clamp(1, MOST_CHANGES) + 1;
        let changes = self.flapping.changes.entry(uid).or_default();
        changes.push_back(now);
        let since = now - window;
        while changes.len() > most || changes.front().is_some_and(|at| *at < since) {
            changes.pop_front();
        }
        let is_often = changes.len() >= most;
        self.flapping.quiet.set(uid, now + window);
        is_often
    }

    /// An unstable appliance changed again.
    pub(super) fn changed_again(&mut self, uid: Uid) {
        self.changes_too_often(uid);
    }

    /// Says that an appliance is unstable.
    pub(super) fn open_unstable(&mut self, uid: Uid) {
        let Some(site) = self.site(&uid) else { return };
        self.alerts.not_recent(site, &uid);
        self.open(site, AlertKind::Unstable, BTreeSet::from([uid]));
    }

    /// Closes the alert that says so, if it is open.
    pub(super) fn end_unstable(&mut self, uid: &Uid) {
        if self.alerts.kind_of(uid) == Some(AlertKind::Unstable)
            && let Some(id) = self.alerts.of(uid)
        {
            self.close(id);
        }
    }

    /// Ends what has been quiet for long enough. Who is silent then has an alert like everybody.
    pub(super) fn end_flapping(&mut self) {
        while let Some(uid) = self.flapping.quiet.pop_due(self.now) {
            let watched = self.watched.get(&uid).copied();
            if let Some(watched) = watched
                && watched.health == Health::Recovering
                && let Some(judged) = self.deadlines.of(&uid)
            {
                // It is about to be well, which is a change again, or silent.
                self.flapping.quiet.set(uid, self.now.max(judged) + 1);
                continue;
            }
            self.flapping.forget(&uid);
            if self.alerts.kind_of(&uid) != Some(AlertKind::Unstable) {
                continue;
            }
            self.end_unstable(&uid);
            match watched {
                Some(watched) if watched.health == Health::Silent => {
                    self.open(watched.site, AlertKind::Silent, BTreeSet::from([uid]));
                }
                _ => self.schedule(uid),
            }
        }
    }

    /// A restored alert of an unstable appliance lasts until it has been quiet.
    pub(super) fn restore_unstable(&mut self, uid: Uid) {
        self.flapping.quiet.set(uid, self.now + self.rules.flap_window_ms);
    }
}
