//! Watches the appliances while nobody looks: keeps the tray icon true and notifies.

use crate::notify::desktop::NotificationService;
use crate::notify::{BURST, Digest};
use crate::tray::{Tray, TrayState};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use muster_console::view::{AlertView, Event, NocLink, SiteView};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// What the tray and the notifications are about.
#[derive(Debug)]
struct Known {
    link: NocLink,
    sites: Vec<SiteView>,
    alerts: BTreeMap<u32, AlertView>,
}

/// Follows the engine until it ends. There is no tray when the desktop has no place for one.
pub(crate) async fn watch(
    mut batches: BoxStream<'static, Vec<Event>>,
    tray: Option<&Tray>,
    mut service: NotificationService,
    mut digest: Digest,
) {
    let mut known = Known { link: NocLink::NotJoined, sites: Vec::new(), alerts: BTreeMap::new() };
    let mut shown = None;
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            batch = batches.next() => {
                let Some(batch) = batch else { return };
                for event in batch {
                    if known.learn(event, &mut digest) {
                        due.get_or_insert_with(|| Instant::now() + BURST);
                    }
                }
                let state = TrayState::of(&known.link, known.alerts.values());
                if let Some(tray) = tray.filter(|_| shown != Some(state)) {
                    tray.show(state).await;
                    shown = Some(state);
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                let (notifications, written) = digest.take(|site| known.site_name(site));
                if let Err(error) = written {
                    tracing::warn!(error = &error as &dyn std::error::Error, "it is not on record which alerts were told");
                }
                for notification in notifications {
                    service.show(&notification).await;
                }
            }
        }
    }
}

impl Known {
    /// True when there is something to tell.
    fn learn(&mut self, event: Event, digest: &mut Digest) -> bool {
        match event {
            Event::Noc { noc, sites } => {
                self.link = noc;
                self.sites = sites;
                false
            }
            Event::Alerts { reset, alerts } => {
                // A console that has not reached its NOC yet knows of no alerts, which does not mean that there are none.
                let all = reset && matches!(self.link, NocLink::Connected { .. });
                let news = digest.observe(&alerts, all);
                if reset {
                    self.alerts.clear();
                }
                self.alerts.extend(alerts.into_iter().map(|alert| (alert.id, alert)));
                news
            }
            _ => false,
        }
    }

    fn site_name(&self, id: u32) -> Option<String> {
        self.sites.iter().find(|site| site.id == id).map(|site| site.name.clone())
    }
}
