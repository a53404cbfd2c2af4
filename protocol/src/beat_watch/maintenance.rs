//! Work on an appliance: its beats are kept, and nobody is told of it. At the end there is a fresh grace.

use super::{BeatWatch, Health, Output};
use crate::id::Uid;

impl BeatWatch {
    pub(super) fn maintain(&mut self, uid: Uid, on: bool) {
        if self.watched.get(&uid).is_none_or(|watched| watched.is_maintained == on) {
            return;
        }
        if on {
            self.end_failing(&uid);
            self.end_unstable(&uid);
            // Work on it is no change of its own.
            self.flapping.forget(&uid);
            self.resolve(uid);
            self.flapping.forget(&uid);
        }
        let now = self.now;
        let Some(watched) = self.watched.get_mut(&uid) else { return };
        watched.is_maintained = on;
        watched.health = match watched.health {
            Health::NeverReported => Health::NeverReported,
            // Until it reports, or has not for long enough.
            Health::Silent | Health::Unreachable | Health::Recovering => Health::Late,
            health => health,
        };
        (watched.since, watched.in_row, watched.waits_until) = (now, 0, None);
        let health = self.health(&uid);
        self.outputs.push_back(Output::Health { uid, health });
        self.schedule(uid);
    }
}
