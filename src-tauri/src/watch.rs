//! Watches the appliances while nobody looks: keeps the tray icon true and notifies.

use crate::attention::needs_somebody;
use crate::local_time::Zone;
use crate::notify::desktop::NotificationService;
use crate::notify::digest::{Digest, Telling};
use crate::notify::link::LinkWatch;
use crate::notify::record::{Record, Told};
use crate::notify::{About, AlertKey, BURST, Notification, key};
use crate::quiet::Quiet;
use crate::settings::Settings;
use crate::sleep::Clocks;
use crate::tray::{Seen, Tray, TrayView};
use crate::{texts, wall};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::BoxStream;
use muster_console::engine::Engine;
use muster_console::view::{AlertView, Event, NocLink, NotificationSettings, SiteView};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often the clocks are compared and the hours looked at.
const GLANCE: Duration = Duration::from_secs(20);
/// How long a NOC may take to answer after this computer slept.
const ANEW_WITHIN: Duration = Duration::from_secs(60);

/// What there is to follow.
pub(crate) struct Sources<'a> {
    pub(crate) engine: Engine,
    pub(crate) batches: BoxStream<'static, Vec<Event>>,
    /// What came of the administrator's actions.
    pub(crate) results: mpsc::UnboundedReceiver<Notification>,
    /// This computer woke up.
    pub(crate) woke: mpsc::UnboundedReceiver<()>,
    pub(crate) settings: &'a Settings,
    /// Where it is on record what was told.
    pub(crate) folder: &'a Path,
}

/// What the tray and the notifications are about, and what the administrator was told.
#[derive(Debug)]
struct Watch {
    link: NocLink,
    sites: Vec<SiteView>,
    alerts: BTreeMap<u32, AlertView>,
    models: BTreeMap<String, String>,
    settings: NotificationSettings,
    digest: Digest,
    lost: LinkWatch,
    record: Record,
    /// When the alerts that were collected are told.
    due: Option<Instant>,
    /// This computer slept, and what is known may be as old.
    is_old: bool,
}

/// Follows the engine until it ends. There is no tray when the desktop has no place for one.
pub(crate) async fn watch(sources: Sources<'_>, tray: Option<&Tray>, mut service: NotificationService) {
    let Sources { engine, mut batches, mut results, mut woke, settings, folder } = sources;
    let mut changes = settings.subscribe();
    let mut watch = Watch::new(folder, settings.get());
    let mut clocks = Clocks::new(Instant::now(), wall());
    let mut anew: Option<BoxFuture<'static, ()>> = None;
    let mut shown = None;
    loop {
        let wake = watch.wakes(Instant::now());
        tokio::select! {
            batch = batches.next() => {
                let Some(batch) = batch else { return };
                batch.into_iter().for_each(|event| watch.learn(event));
            }
            Some(result) = results.recv() => service.show(&result, watch.settings.sound).await,
            Ok(()) = changes.changed() => watch.settings = changes.borrow_and_update().clone(),
            Some(()) = woke.recv() => watch.is_old = true,
            () = async { if let Some(anew) = &mut anew { anew.await } }, if anew.is_some() => {
                anew = None;
                watch.know_again(Instant::now());
            }
            () = tokio::time::sleep_until(wake) => {}
        }
        // Whoever notices first: what was known before the sleep is neither told nor judged any more.
        watch.is_old |= clocks.slept(Instant::now(), wall());
        if watch.is_old && anew.is_none() {
            anew = Some(fetch(engine.clone()).boxed());
        }
        service.withdraw(|about| watch.is_over(about)).await;
        for notification in watch.take(Instant::now(), wall()) {
            service.show(&notification, watch.settings.sound).await;
        }
        let view = watch.tray(wall());
        if let Some(tray) = tray.filter(|_| shown.as_ref() != Some(&view)) {
            tray.show(view.clone()).await;
            shown = Some(view);
        }
    }
}

async fn fetch(engine: Engine) {
    match tokio::time::timeout(ANEW_WITHIN, engine.refresh()).await {
        Ok(Ok(link)) => tracing::info!(connected = matches!(link, NocLink::Connected { .. }), "asked the NOC anew"),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the NOC was not asked anew");
        }
        Err(_) => tracing::warn!("the NOC did not answer in time after this computer slept"),
    }
}

impl Watch {
    fn new(folder: &Path, settings: NotificationSettings) -> Self {
        let (record, Told { alerts, lost }) = Record::open(folder);
        Self {
            link: NocLink::NotJoined,
            sites: Vec::new(),
            alerts: BTreeMap::new(),
            models: BTreeMap::new(),
            settings,
            digest: Digest::new(alerts),
            lost: LinkWatch::new(lost),
            record,
            due: None,
            is_old: false,
        }
    }

    fn learn(&mut self, event: Event) {
        match event {
            Event::Noc { noc, sites } => {
                self.lost.observe(&noc, Instant::now());
                self.link = noc;
                self.sites = sites;
            }
            Event::Appliances { reset, rows } => {
                if reset {
                    self.models.clear();
                }
                self.models.extend(rows.into_iter().map(|row| (row.uid, row.model)));
            }
            Event::Alerts { reset, alerts } => {
                // A console that has not reached its NOC yet knows of no alerts, which does not mean that there are none.
                let all = reset && self.is_connected();
                if self.digest.observe(&alerts, all) {
                    self.due.get_or_insert_with(|| Instant::now() + BURST);
                }
                if reset {
                    self.alerts.clear();
                }
                self.alerts.extend(alerts.into_iter().map(|alert| (alert.id, alert)));
            }
            _ => {}
        }
    }

    /// What is known is of now, or it is known that the NOC is not reached.
    fn know_again(&mut self, now: Instant) {
        self.is_old = false;
        self.lost.resume(now);
        // What was fetched is still on its way here.
        self.due = Some(now + BURST);
    }

    fn is_connected(&self) -> bool {
        matches!(self.link, NocLink::Connected { .. })
    }

    /// When to look at the latest.
    fn wakes(&self, now: Instant) -> Instant {
        // What is over stays so: whoever waits for something else is woken by the next glance.
        let ahead = |at: &Instant| !self.is_old && *at > now;
        self.due.into_iter().chain(self.lost.due()).filter(ahead).fold(now + GLANCE, Instant::min)
    }

    /// What is to be told now; it is on record as told when this returns.
    fn take(&mut self, now: Instant, wall: u64) -> Vec<Notification> {
        if self.is_old {
            return Vec::new();
        }
        let zone = Zone::system();
        let quiet = Quiet::of(&self.settings, &zone, wall).is_some();
        let mut told: Vec<Notification> = self.lost.take(now, quiet, &zone, wall).into_iter().collect();
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let wanted = |alert: &AlertView| is_wanted(alert, &self.settings, &self.models);
            let site = |id| self.sites.iter().find(|site| site.id == id).map(|site| site.name.clone());
            told.extend(self.digest.take(&Telling { quiet, wanted: &wanted, site: &site }));
        }
        // Not before it is known which of them are still open.
        if !quiet && self.due.is_none() && self.is_connected() {
            told.extend(self.digest.summary(self.alerts.values()));
        }
        self.record.keep(Told { alerts: self.digest.known().clone(), lost: self.lost.told() });
        told
    }

    /// Whether there is nothing to do any more about what a notification says.
    fn is_over(&self, about: &About) -> bool {
        match about {
            About::Nothing => false,
            About::Link => self.is_connected(),
            About::Alerts(keys) => {
                let needs = |(id, _): &AlertKey| self.alerts.get(id).filter(|alert| needs_somebody(alert)).map(key);
                !keys.iter().any(|wanted| needs(wanted) == Some(*wanted))
            }
        }
    }

    fn tray(&self, wall: u64) -> TrayView {
        let link = match (&self.link, self.lost.since()) {
            (NocLink::Lost { url, problem, .. }, Some(since)) => {
                &NocLink::Lost { url: url.clone(), since, problem: problem.clone() }
            }
            (link, _) => link,
        };
        let zone = Zone::system();
        let site = |id| {
            let site = self.sites.iter().find(|site| site.id == id);
            site.map_or_else(|| texts::unnamed_site(id), |site| muster_protocol::text::printable(&site.name))
        };
        TrayView::of(&Seen {
            link,
            alerts: self.alerts.values().collect(),
            site: &site,
            quiet: Quiet::of(&self.settings, &zone, wall),
            zone: &zone,
            now: wall,
        })
    }
}

/// Whether the administrator wants to hear of an alert: one of several models if of any of them.
fn is_wanted(alert: &AlertView, settings: &NotificationSettings, models: &BTreeMap<String, String>) -> bool {
    let is_muted = |uid: &str| models.get(uid).is_some_and(|model| settings.muted_models.contains(model));
    !settings.muted_sites.contains(&alert.site)
        && !settings.muted_kinds.contains(&alert.kind)
        && (alert.appliances.is_empty() || !alert.appliances.iter().all(|appliance| is_muted(&appliance.uid)))
}

#[cfg(test)]
mod tests;
