//! Who is to be judged when, in order: a wake-up costs as much as there is overdue, however many are watched.

use crate::id::Uid;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: BTreeSet<(Millis, Uid)>,
    of: BTreeMap<Uid, Millis>,
}

impl Deadlines {
    pub(super) fn set(&mut self, uid: Uid, at: Millis) {
        self.remove(&uid);
        self.of.insert(uid, at);
        self.in_order.insert((at, uid));
    }

    pub(super) fn remove(&mut self, uid: &Uid) {
        if let Some(at) = self.of.remove(uid) {
            self.in_order.remove(&(at, *uid));
        }
    }

    pub(super) fn of(&self, uid: &Uid) -> Option<Millis> {
        self.of.get(uid).copied()
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.in_order.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Millis) -> Option<Uid> {
        let (at, uid) = *self.in_order.first()?;
        if at > now {
            return None;
        }
        self.remove(&uid);
        Some(uid)
    }
}
