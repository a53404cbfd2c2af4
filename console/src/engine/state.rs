//! All the engine shows, in one place, and the feed of events that tells what changed.

use super::applets::Applets;
use super::roster::Roster;
use crate::view::{
    AlertAppliance, AlertView, DiscoveryView, Event, JobItemView, JobView, MessageRow, NocLink, SiteView, seconds,
};
use muster_protocol::api::{Alert, Site};
use muster_protocol::id::Uid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// Changes are collected for this long, so that a window redraws about ten times a second.
const BATCH: Duration = Duration::from_millis(100);
/// Batches a slow subscriber may be behind before it gets a replay instead.
const MOST_BEHIND: usize = 64;
/// Closed alerts that are kept for the list.
const MOST_CLOSED_ALERTS: usize = 500;

/// The state and its feed.
pub(crate) struct Shared {
    state: Mutex<State>,
    feed: broadcast::Sender<Arc<Vec<Event>>>,
    changed: Notify,
    stop: CancellationToken,
}

/// Everything that is shown.
pub(crate) struct State {
    pub(crate) roster: Roster,
    pub(crate) sites: Vec<Site>,
    noc: NocLink,
    discovery: DiscoveryView,
    jobs: BTreeMap<u32, JobEntry>,
    alerts: BTreeMap<u64, Alert>,
    messages: Vec<MessageRow>,
    applets: Applets,
    dirty: Dirty,
}

#[derive(Default)]
struct Dirty {
    discovery: bool,
    noc: bool,
    alerts: BTreeSet<u64>,
    alerts_reset: bool,
    messages: bool,
    applets: bool,
    jobs: BTreeMap<u32, DirtyJob>,
    navigate: Vec<Option<String>>,
}

#[derive(Default)]
struct DirtyJob {
    whole: bool,
    items: BTreeSet<usize>,
}

struct JobEntry {
    view: JobView,
    index: BTreeMap<String, usize>,
}

impl Shared {
    /// `stop` ends the subscriptions.
    pub(crate) fn new(stop: CancellationToken) -> Arc<Shared> {
        let state = State {
            roster: Roster::default(),
            sites: Vec::new(),
            noc: NocLink::NotJoined,
            discovery: DiscoveryView::default(),
            jobs: BTreeMap::new(),
            alerts: BTreeMap::new(),
            messages: Vec::new(),
            applets: Applets::default(),
            dirty: Dirty::default(),
        };
        let (feed, _) = broadcast::channel(MOST_BEHIND);
        Arc::new(Shared { state: Mutex::new(state), feed, changed: Notify::new(), stop })
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock())
    }

    /// Changes the state; subscribers hear of it soon.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.lock());
        self.changed.notify_one();
        value
    }

    /// Everything there is now, and what follows it.
    pub(crate) fn subscribe(self: &Arc<Self>) -> (Vec<Event>, Subscription) {
        // Under the lock, so that no batch falls in between.
        let state = self.lock();
        let receiver = self.feed.subscribe();
        (state.replay(), Subscription { shared: Arc::clone(self), receiver })
    }

    /// Sends batches for ever.
    pub(crate) async fn feed(&self) {
        loop {
            self.changed.notified().await;
            self.flush();
            tokio::time::sleep(BATCH).await;
        }
    }

    /// Sends what is waiting. Under the lock: an older row must not overtake a newer replay.
    fn flush(&self) {
        let mut state = self.lock();
        let events = state.take_changed();
        if !events.is_empty() {
            // Nobody may be listening.
            let _ = self.feed.send(Arc::new(events));
        }
    }

    /// A panic while somebody held the lock leaves at worst one view half updated; the next change heals it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the engine.
pub struct Subscription {
    shared: Arc<Shared>,
    receiver: broadcast::Receiver<Arc<Vec<Event>>>,
}

impl Subscription {
    /// The next batch, at most about ten a second. Who was too slow gets a replay. `None` when the engine has ended.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        let received = tokio::select! {
            biased;
            received = self.receiver.recv() => received,
            () = self.shared.stop.cancelled() => return None,
        };
        match received {
            Ok(events) => Some(events.as_ref().clone()),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let (replay, fresh) = self.shared.subscribe();
                self.receiver = fresh.receiver;
                Some(replay)
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl State {
    pub(super) fn applets_ref(&self) -> &Applets {
        &self.applets
    }

    /// The applets, and where to say that they changed.
    pub(super) fn applets_mut(&mut self) -> (&mut Applets, &mut bool) {
        (&mut self.applets, &mut self.dirty.applets)
    }

    fn applets_event(&self) -> Event {
        Event::Applets { generation: self.applets.generation(), problem: self.applets.problem().cloned() }
    }

    pub(crate) fn noc(&self) -> &NocLink {
        &self.noc
    }

    pub(crate) fn set_noc(&mut self, noc: NocLink) {
        self.dirty.noc |= self.noc != noc;
        self.noc = noc;
    }

    pub(crate) fn set_sites(&mut self, sites: Vec<Site>) {
        self.dirty.noc |= self.sites != sites;
        self.sites = sites;
    }

    pub(crate) fn site_views(&self) -> Vec<SiteView> {
        self.sites.iter().map(site_view).collect()
    }

    pub(crate) fn discovery(&self) -> &DiscoveryView {
        &self.discovery
    }

    pub(crate) fn set_discovery(&mut self, discovery: DiscoveryView) {
        self.dirty.discovery |= self.discovery != discovery;
        self.discovery = discovery;
    }

    pub(crate) fn navigate(&mut self, uid: Option<String>) {
        self.dirty.navigate.push(uid);
    }

    pub(crate) fn reset_alerts(&mut self, alerts: Vec<Alert>) {
        self.alerts = alerts.into_iter().map(|alert| (alert.id, alert)).collect();
        self.dirty.alerts_reset = true;
    }

    pub(crate) fn alert(&mut self, alert: Alert) {
        self.dirty.alerts.insert(alert.id);
        self.alerts.insert(alert.id, alert);
        let closed: Vec<u64> =
            self.alerts.values().filter(|alert| alert.closed.is_some()).map(|alert| alert.id).collect();
        for id in closed.iter().take(closed.len().saturating_sub(MOST_CLOSED_ALERTS)) {
            self.alerts.remove(id);
        }
    }

    /// Newest first.
    pub(crate) fn messages(&self) -> &[MessageRow] {
        &self.messages
    }

    pub(crate) fn set_messages(&mut self, messages: Vec<MessageRow>) {
        self.dirty.messages |= self.messages != messages;
        self.messages = messages;
    }

    /// Newest first.
    pub(crate) fn alert_views(&self) -> Vec<AlertView> {
        self.alerts.values().rev().map(|alert| self.alert_view(alert)).collect()
    }

    pub(crate) fn put_job(&mut self, view: JobView) {
        for item in &view.items {
            if let Ok(uid) = item.uid.parse::<Uid>() {
                self.roster.set_step(uid, item.step);
            }
        }
        let index = view.items.iter().enumerate().map(|(at, item)| (item.uid.clone(), at)).collect();
        self.dirty.jobs.entry(view.id).or_default().whole = true;
        self.jobs.insert(view.id, JobEntry { view, index });
    }

    pub(crate) fn change_job(&mut self, id: u32, change: impl FnOnce(&mut JobView)) {
        if let Some(entry) = self.jobs.get_mut(&id) {
            change(&mut entry.view);
            self.dirty.jobs.entry(id).or_default();
        }
    }

    pub(crate) fn change_item(&mut self, id: u32, uid: &Uid, change: impl FnOnce(&mut JobItemView)) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        let Some(at) = entry.index.get(&uid.to_string()).copied() else { return };
        let Some(item) = entry.view.items.get_mut(at) else { return };
        change(item);
        self.roster.set_step(*uid, item.step);
        self.dirty.jobs.entry(id).or_default().items.insert(at);
    }

    pub(crate) fn job(&self, id: u32) -> Option<&JobView> {
        self.jobs.get(&id).map(|entry| &entry.view)
    }

    pub(crate) fn job_views(&self) -> Vec<JobView> {
        self.jobs.values().map(|entry| entry.view.clone()).collect()
    }

    fn alert_view(&self, alert: &Alert) -> AlertView {
        let named = |uid: &Uid| AlertAppliance {
            uid: uid.to_string(),
            name: self.roster.name(uid),
            health: self.roster.health(uid),
        };
        AlertView {
            id: seconds(alert.id),
            kind: alert.kind.into(),
            site: alert.site.0,
            rule: muster_protocol::text::printable(&alert.rule),
            appliances: alert.appliances.iter().map(named).collect(),
            opened: seconds(alert.opened),
            closed: alert.closed.map(seconds),
            acknowledged: alert.handling.acknowledged.map(seconds),
            acknowledged_by: alert.handling.acknowledged_by.clone(),
            note: alert.handling.note.clone(),
            silenced_until: alert.handling.silenced_until.map(seconds),
            escalated: alert.handling.escalated.map(seconds),
        }
    }

    /// One event of each kind with everything in it.
    fn replay(&self) -> Vec<Event> {
        let mut events = vec![
            Event::Noc { noc: self.noc.clone(), sites: self.site_views() },
            Event::Appliances { reset: true, rows: self.roster.rows() },
            Event::Discovery { discovery: self.discovery.clone() },
            Event::Alerts { reset: true, alerts: self.alert_views() },
            Event::Messages { messages: self.messages.clone() },
            self.applets_event(),
        ];
        events.extend(self.jobs.values().map(|entry| Event::Job { whole: true, job: entry.view.clone() }));
        events
    }

    fn take_changed(&mut self) -> Vec<Event> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut events = Vec::new();
        if dirty.noc {
            events.push(Event::Noc { noc: self.noc.clone(), sites: self.site_views() });
        }
        let (reset, rows) = self.roster.take_changed();
        if reset || !rows.is_empty() {
            events.push(Event::Appliances { reset, rows });
        }
        if dirty.discovery {
            events.push(Event::Discovery { discovery: self.discovery.clone() });
        }
        if dirty.alerts_reset {
            events.push(Event::Alerts { reset: true, alerts: self.alert_views() });
        } else if !dirty.alerts.is_empty() {
            let alerts = dirty.alerts.iter().filter_map(|id| self.alerts.get(id));
            events.push(Event::Alerts { reset: false, alerts: alerts.map(|alert| self.alert_view(alert)).collect() });
        }
        if dirty.messages {
            events.push(Event::Messages { messages: self.messages.clone() });
        }
        if dirty.applets {
            events.push(self.applets_event());
        }
        for (id, changed) in dirty.jobs {
            let Some(entry) = self.jobs.get(&id) else { continue };
            events.push(Event::Job { whole: changed.whole, job: entry.changed(&changed) });
        }
        events.extend(dirty.navigate.into_iter().map(|uid| Event::Navigate { uid }));
        events
    }
}

impl JobEntry {
    fn changed(&self, changed: &DirtyJob) -> JobView {
        if changed.whole {
            return self.view.clone();
        }
        let JobView { id, site, started, finished, cancelled, ref items } = self.view;
        let items = changed.items.iter().filter_map(|at| items.get(*at).cloned()).collect();
        JobView { id, site, started, finished, cancelled, items }
    }
}

fn site_view(site: &Site) -> SiteView {
    let mut policy = vec![format!("pool {}", site.pool), format!("netmask {}", site.netmask)];
    let optional = [
        ("gateway", &site.gateway),
        ("IPv6 pool", &site.pool6),
        ("IPv6 gateway", &site.gateway6),
        ("domain", &site.domain),
        ("DNS", &site.dns1),
        ("DNS", &site.dns2),
        ("NTP", &site.ntp),
        ("search", &site.search_domains),
    ];
    policy
        .extend(optional.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}")));
    policy.push(format!("host name {}", site.host_name));
    policy.push(format!("beat every {} s", site.beat_interval_s));
    SiteView { id: site.id.0, name: site.name.clone(), policy }
}

#[cfg(test)]
mod tests;
