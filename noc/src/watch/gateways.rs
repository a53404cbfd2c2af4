//! Which appliance is the gateway of which: by the settings in force, and else as the site says.

use super::Whereabouts;
use crate::error::StoreError;
use crate::monitoring::Monitoring;
use crate::store::{Store, holdings};
use muster_protocol::beat_watch::{BeatWatch, Input};
use muster_protocol::id::{SiteId, Uid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Gateways {
    /// Who has an address for its gateway, whoever has that address.
    behind: BTreeMap<(SiteId, u32), BTreeSet<Uid>>,
    /// The other way round.
    of: BTreeMap<Uid, (SiteId, u32)>,
    /// Whose gateway is which appliance, by that.
    known: BTreeMap<Uid, Uid>,
    /// What sites say.
    sites: BTreeMap<SiteId, Uid>,
}

impl Gateways {
    pub(super) async fn restore(store: &Arc<Store>) -> Result<Gateways, StoreError> {
        let mut gateways = Gateways::default();
        for (uid, site, at) in store.read(holdings::whereabouts).await? {
            if let Some(gateway) = at.gateway {
                gateways.add(uid, site, gateway);
            }
            gateways.known.extend(at.behind.map(|gateway| (uid, gateway)));
        }
        Ok(gateways)
    }

    /// What the watch has to know after a start, beside what sites say.
    pub(super) fn all(&self) -> Vec<Input> {
        self.known.iter().map(|(uid, gateway)| Input::Behind { uid: *uid, gateway: Some(*gateway) }).collect()
    }

    /// What sites say now; what of it is new to the watch.
    pub(super) fn replace(&mut self, said: &[(SiteId, Monitoring)], watch: &BeatWatch) -> Vec<Input> {
        let now = said.iter().filter_map(|(site, monitoring)| Some((*site, monitoring.gateway?))).collect();
        let before = std::mem::replace(&mut self.sites, now);
        let sites: BTreeSet<SiteId> = before.keys().chain(self.sites.keys()).copied().collect();
        let changed = sites.into_iter().filter(|site| before.get(site) != self.sites.get(site));
        changed
            .flat_map(|site| watch.of_site(site).into_iter().map(move |uid| (uid, site)))
            .map(|(uid, site)| self.way(uid, site))
            .collect()
    }

    /// An appliance is expected in a site, perhaps with new settings: it has another gateway, and may be the one of others.
    pub(super) fn is_at(&mut self, uid: Uid, site: SiteId, at: Option<Whereabouts>) -> Vec<Input> {
        let mut changed = vec![(uid, site)];
        if let Some(at) = at {
            changed.extend(self.leave(&uid));
            if let Some(gateway) = at.gateway {
                self.add(uid, site, gateway);
            }
            self.known.extend(at.behind.map(|gateway| (uid, gateway)));
            let others = self.behind.get(&(site, at.address)).into_iter().flatten().filter(|other| **other != uid);
            let others: Vec<Uid> = others.copied().collect();
            self.known.extend(others.iter().map(|other| (*other, uid)));
            changed.extend(others.into_iter().map(|other| (other, site)));
        }
        changed.into_iter().map(|(uid, site)| self.way(uid, site)).collect()
    }

    pub(super) fn forget(&mut self, uid: &Uid) -> Vec<Input> {
        let changed = self.leave(uid);
        changed.into_iter().map(|(uid, site)| self.way(uid, site)).collect()
    }

    /// Takes an appliance from where it is; who was behind it.
    fn leave(&mut self, uid: &Uid) -> Vec<(Uid, SiteId)> {
        self.known.remove(uid);
        if let Some(key) = self.of.remove(uid)
            && let Some(behind) = self.behind.get_mut(&key)
        {
            behind.remove(uid);
            if behind.is_empty() {
                self.behind.remove(&key);
            }
        }
        let lost: Vec<Uid> = self.known.iter().filter(|(_, gateway)| *gateway == uid).map(|(uid, _)| *uid).collect();
        for uid in &lost {
            self.known.remove(uid);
        }
        lost.into_iter().filter_map(|uid| Some((uid, self.of.get(&uid)?.0))).collect()
    }

    fn way(&self, uid: Uid, site: SiteId) -> Input {
        let gateway = self.known.get(&uid).or_else(|| self.sites.get(&site)).copied();
        Input::Behind { uid, gateway: gateway.filter(|gateway| *gateway != uid) }
    }

    fn add(&mut self, uid: Uid, site: SiteId, gateway: u32) {
        self.of.insert(uid, (site, gateway));
        self.behind.entry((site, gateway)).or_default().insert(uid);
    }
}
