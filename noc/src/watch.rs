//! The status daemon: an independent task that drives [`BeatWatch`] and keeps what it decides.

use crate::clock;
use crate::error::StoreError;
use crate::store::{Store, alerts};
use muster_protocol::beat_watch::{AlertId, BeatWatch, Input, Output, Rules};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::time::Millis;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// Until a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// A write that took longer means that beats could not be taken either.
const STALL: Duration = Duration::from_secs(15);
/// Sleep of the machine that counts as having been away, and how often it is looked for.
const NAP: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(30);
/// Notices taken in together.
const BATCH: usize = 1024;

/// What the rest of the NOC tells the status daemon, after it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Beats are expected of an appliance.
    Expect { uid: Uid, site: SiteId, interval_s: u32 },
    /// No beats are expected any more.
    Forget { uid: Uid },
    /// A beat was accepted.
    Beat { uid: Uid },
    /// A beat could not be kept, so nobody may be judged by its absence.
    Stalled,
}

/// The status daemon, as it is stored.
pub(crate) struct Daemon {
    store: Arc<Store>,
    start: Instant,
    watch: BeatWatch,
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
        let (restored, last_alert) = store.read(alerts::restore).await?;
        let watch = BeatWatch::new(Millis(0), rules).first_alert_id(AlertId(last_alert + 1));
        let (early, unkept, asleep) = (BTreeSet::new(), Vec::new(), clock::asleep());
        let mut daemon = Daemon { store, start: Instant::now(), watch, early, unkept, asleep };
        for input in restored {
            daemon.watch.handle_input(daemon.now(), input);
        }
        Ok(daemon)
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(mut self, mut notices: UnboundedReceiver<Notice>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let failed = !self.keep().await;
            let due = self.watch.poll_timeout().map(|due| Duration::from_millis(due.since(self.now())));
            // Woken at least so often that a sleep of the machine is noticed before anybody is judged by it.
            let wait = if failed { RETRY } else { due.unwrap_or(LOOK).min(LOOK) };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {
                    self.notice_sleep();
                    self.watch.handle_timeout(self.now());
                }
                taken = notices.recv_many(&mut batch, BATCH), if !failed => {
                    if taken == 0 {
                        break;
                    }
                    self.notice_sleep();
                    for notice in batch.drain(..) {
                        self.take(notice);
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
            Notice::Expect { uid, site, interval_s } => {
                self.watch.handle_input(now, Input::Expect { uid, site, interval_s });
                if self.early.remove(&uid) {
                    self.watch.handle_input(now, Input::Beat { uid });
                }
            }
            Notice::Forget { uid } => {
                self.early.remove(&uid);
                self.watch.handle_input(now, Input::Forget { uid });
            }
            Notice::Beat { uid } => {
                if self.watch.health(&uid) == muster_protocol::api::Health::NotExpected {
                    self.early.insert(uid);
                }
                self.watch.handle_input(now, Input::Beat { uid });
            }
            Notice::Stalled => self.watch.handle_input(now, Input::Stalled),
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
