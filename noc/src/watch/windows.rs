//! Maintenance windows, for the status daemon: who is worked on, by the wall clock.

use crate::store::maintenance::Kept;
use muster_protocol::api::Health;
use muster_protocol::beat_watch::{BeatWatch, Input};
use muster_protocol::id::{SiteId, Uid};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Windows {
    kept: Vec<Kept>,
    /// Whom the watch knows to be worked on.
    worked_on: BTreeSet<Uid>,
    sites: BTreeSet<SiteId>,
    appliances: BTreeSet<Uid>,
    /// When one begins or ends next, Unix seconds.
    next: Option<u64>,
    is_new: bool,
}

impl Windows {
    /// Takes up an appliance that was worked on when the NOC stopped.
    pub(super) fn restore(&mut self, input: &Input) {
        if let Input::Restore { uid, health: Health::Maintenance, .. } = input {
            self.worked_on.insert(*uid);
        }
    }

    pub(super) fn replace(&mut self, kept: Vec<Kept>) {
        (self.kept, self.is_new) = (kept, true);
    }

    /// Until one begins or ends.
    pub(super) fn next_in(&self, now: u64) -> Option<Duration> {
        self.next.map(|next| Duration::from_secs(next.saturating_sub(now)))
    }

    /// Who is worked on from now on, and who is not any more.
    pub(super) fn due(&mut self, now: u64, watch: &BeatWatch) -> Vec<Input> {
        if !self.is_new && self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.is_new = false;
        let on = |kept: &&Kept| kept.span.is_on(now);
        self.sites =
            self.kept.iter().filter(on).filter(|kept| kept.appliance.is_none()).map(|kept| kept.site).collect();
        self.appliances = self.kept.iter().filter(on).filter_map(|kept| kept.appliance).collect();
        self.next = self.kept.iter().filter_map(|kept| kept.span.next(now)).min();
        let mut shall: BTreeSet<Uid> = self.sites.iter().flat_map(|site| watch.of_site(*site)).collect();
        shall.extend(self.appliances.iter().filter(|uid| watch.site(uid).is_some()));
        let begins = shall.difference(&self.worked_on).map(|uid| Input::Maintain { uid: *uid, on: true });
        let ends = self.worked_on.difference(&shall).map(|uid| Input::Maintain { uid: *uid, on: false });
        let changes = begins.chain(ends).collect();
        self.worked_on = shall;
        changes
    }

    /// An appliance is expected in a site, in which there may be work. At another one it is known as new.
    pub(super) fn is_at(&mut self, uid: Uid, site: SiteId, moved: bool) -> Option<Input> {
        if moved {
            self.worked_on.remove(&uid);
        }
        let on = self.sites.contains(&site) || self.appliances.contains(&uid);
        let changes = if on { self.worked_on.insert(uid) } else { self.worked_on.remove(&uid) };
        changes.then_some(Input::Maintain { uid, on })
    }

    pub(super) fn forget(&mut self, uid: &Uid) {
        self.worked_on.remove(uid);
    }
}
