//! The status daemon: an independent task that drives [`BeatWatch`] and keeps what it decides.

mod gateways;
mod rules;
mod windows;

use crate::clock;
use crate::error::StoreError;
use crate::store::{Store, alerts, monitoring};
use gateways::Gateways;
use muster_protocol::api::{BeatValues, Health};
use muster_protocol::beat_watch::{AlertId, BeatWatch, Input, Output, Rules};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::time::Millis;
use rules::SiteRules;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use windows::Windows;

/// Until a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// A write that took longer means that beats could not be taken either.
const STALL: Duration = Duration::from_secs(15);
/// Sleep of the machine that counts as having been away, and how often it is looked for.
const NAP: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(30);
/// Notices taken in together.
const BATCH: usize = 1024;
/// The NOC was away when it was not known to be there for so long, seconds.
pub(crate) const ABSENCE_S: u64 = 60;

/// Where an appliance is in its site's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) address: u32,
    /// The address of its gateway.
    pub(crate) gateway: Option<u32>,
    /// The appliance that has that address.
    pub(crate) behind: Option<Uid>,
}

/// A beat, as health rules see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) model: String,
    pub(crate) values: BeatValues,
}

/// What the rest of the NOC tells the status daemon, after it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// Beats are expected of an appliance. None says that it is where it was.
    Expect { uid: Uid, site: SiteId, interval_s: u32, whereabouts: Option<Whereabouts> },
    /// No beats are expected any more.
    Forget { uid: Uid },
    /// A beat was accepted.
    Beat { uid: Uid, told: Box<Told> },
    /// A beat could not be kept, so nobody may be judged by its absence.
    Stalled,
    /// What sites say of silence and health changed, or maintenance did.
    Rules,
}

/// The status daemon, as it is stored.
pub(crate) struct Daemon {
    store: Arc<Store>,
    start: Instant,
    watch: BeatWatch,
    rules: SiteRules,
    windows: Windows,
    gateways: Gateways,
    /// Appliances whose first beat overtook the news that it is expected.
    early: BTreeSet<Uid>,
    /// Decided, not yet on disk.
    unkept: Vec<Output>,
    /// How long this machine had been asleep when it was last looked at.
    asleep: Duration,
}

impl Daemon {
    /// Takes up what the database holds: nobody is judged before a fresh grace has passed.
    pub(crate) async fn restore(store: Arc<Store>, rules: Rules) -> Result<Daemon, StoreError> {
        let now = clock::now();
        store.write(move |db| monitoring::came_back(db, now, ABSENCE_S)).await?;
        let (restored, last_alert) = store.read(alerts::restore).await?;
        let usual = rules.timing;
        let watch = BeatWatch::new(Millis(0), rules).first_alert_id(AlertId(last_alert + 1));
        let mut daemon = Daemon {
            gateways: Gateways::restore(&store).await?,
            store,
            start: Instant::now(),
            watch,
            rules: SiteRules::new(usual),
            windows: Windows::default(),
            early: BTreeSet::new(),
            unkept: Vec::new(),
            asleep: clock::asleep(),
        };
        let start = daemon.now();
        // Everybody's grace is counted from here.
        tracing::info!(appliances = restored.len(), "the status daemon watches");
        for input in restored {
            daemon.rules.restore(start, &input);
            daemon.windows.restore(&input);
            daemon.watch.handle_input(start, input);
        }
        for input in daemon.gateways.all() {
            daemon.watch.handle_input(start, input);
        }
        daemon.read_rules().await?;
        Ok(daemon)
    }

    /// Reads anew what sites say, and when whose silence is nobody's concern.
    async fn read_rules(&mut self) -> Result<(), StoreError> {
        let (monitoring, windows) = self
            .store
            .read(|db| Ok::<_, StoreError>((monitoring::all(db)?, crate::store::maintenance::kept(db, clock::now())?)))
            .await?;
        let now = self.now();
        let ways = self.gateways.replace(&monitoring, &self.watch);
        for input in self.rules.replace(monitoring).into_iter().chain(ways) {
            self.watch.handle_input(now, input);
        }
        self.windows.replace(windows);
        self.look_at_windows();
        Ok(())
    }

    /// Begins and ends what is due by the wall clock.
    fn look_at_windows(&mut self) {
        let now = self.now();
        for input in self.windows.due(clock::now(), &self.watch) {
            if let Input::Maintain { uid, .. } = &input {
                self.rules.forget(uid);
            }
            self.watch.handle_input(now, input);
        }
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(mut self, mut notices: UnboundedReceiver<Notice>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let failed = !self.keep().await;
            let due = self.watch.poll_timeout().map(|due| Duration::from_millis(due.since(self.now())));
            // Woken at least so often that a sleep of the machine is noticed before anybody is judged by it.
            let window = self.windows.next_in(clock::now()).unwrap_or(LOOK);
            let wait = if failed { RETRY } else { due.unwrap_or(LOOK).min(LOOK).min(window) };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {
                    self.notice_sleep();
                    self.look_at_windows();
                    self.watch.handle_timeout(self.now());
                }
                taken = notices.recv_many(&mut batch, BATCH), if !failed => {
                    if taken == 0 {
                        break;
                    }
                    self.notice_sleep();
                    let mut is_new = false;
                    for notice in batch.drain(..) {
                        is_new |= notice == Notice::Rules;
                        self.take(notice);
                    }
                    if is_new && let Err(error) = self.read_rules().await {
                        tracing::error!(error = &error as &dyn std::error::Error, "rules for silence and health could not be read; they are as before");
                    }
                }
            }
        }
        self.keep().await;
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Nobody could report while this machine slept.
    fn notice_sleep(&mut self) {
        let asleep = clock::asleep();
        if asleep.saturating_sub(self.asleep) > NAP {
            self.watch.handle_input(self.now(), Input::Stalled);
        }
        self.asleep = asleep;
    }

    fn take(&mut self, notice: Notice) {
        let now = self.now();
        match notice {
            Notice::Expect { uid, site, interval_s, whereabouts } => {
                let moved = self.watch.site(&uid).is_some_and(|before| before != site);
                if moved {
                    // Its alerts end with its place: what is broken is told anew there.
                    self.rules.forget(&uid);
                }
                self.watch.handle_input(now, Input::Expect { uid, site, interval_s });
                for input in self.gateways.is_at(uid, site, whereabouts) {
                    self.watch.handle_input(now, input);
                }
                if let Some(input) = self.windows.is_at(uid, site, moved) {
                    self.watch.handle_input(now, input);
                }
                if self.early.remove(&uid) {
                    self.watch.handle_input(now, Input::Beat { uid });
                }
            }
            Notice::Forget { uid } => {
                self.early.remove(&uid);
                self.rules.forget(&uid);
                self.windows.forget(&uid);
                self.watch.handle_input(now, Input::Forget { uid });
                for input in self.gateways.forget(&uid) {
                    self.watch.handle_input(now, input);
                }
            }
            Notice::Beat { uid, told } => {
                let health = self.watch.health(&uid);
                if health == Health::NotExpected {
                    self.early.insert(uid);
                }
                self.watch.handle_input(now, Input::Beat { uid });
                if let Some(site) = self.watch.site(&uid).filter(|_| health != Health::Maintenance) {
                    for input in self.rules.beat(now, uid, site, &told, self.watch.silent_after(&uid)) {
                        self.watch.handle_input(now, input);
                    }
                }
            }
            Notice::Stalled => self.watch.handle_input(now, Input::Stalled),
            Notice::Rules => {}
        }
    }

    /// Keeps what was decided, in one transaction. False when it has to be tried again.
    async fn keep(&mut self) -> bool {
        while let Some(output) = self.watch.poll_output() {
            self.unkept.push(output);
        }
        if self.unkept.is_empty() {
            return true;
        }
        let started = Instant::now();
        let outputs = self.unkept.clone();
        let kept = self.store.write(move |db| alerts::apply(db, clock::now(), &outputs)).await;
        match kept {
            Ok(()) => self.unkept.clear(),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the status daemon's findings were not kept");
                self.watch.handle_input(self.now(), Input::Stalled);
                return false;
            }
        }
        if started.elapsed() > STALL {
            self.watch.handle_input(self.now(), Input::Stalled);
        }
        true
    }
}
