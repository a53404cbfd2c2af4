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

/// Runs until it is stopped.
pub(crate) async fn run(
    store: Arc<Store>,
    rules: Rules,
    mut notices: UnboundedReceiver<Notice>,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let start = Instant::now();
    let now = || Millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let (restored, last_alert) = store.read(alerts::restore).await?;
    let mut daemon = Daemon {
        watch: BeatWatch::new(now(), rules).first_alert_id(AlertId(last_alert + 1)),
        early: BTreeSet::new(),
        unkept: Vec::new(),
    };
    for input in restored {
        daemon.watch.handle_input(now(), input);
    }
    let mut batch = Vec::new();
    loop {
        let failed = !daemon.keep(&store, now).await;
        let due = daemon.watch.poll_timeout().map(|due| Duration::from_millis(due.since(now())));
        let wait = if failed { Some(RETRY) } else { due };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => daemon.watch.handle_timeout(now()),
            taken = notices.recv_many(&mut batch, BATCH), if !failed => {
                if taken == 0 {
                    break;
                }
                for notice in batch.drain(..) {
                    daemon.take(now(), notice);
                }
            }
        }
    }
    daemon.keep(&store, now).await;
    Ok(())
}

struct Daemon {
    watch: BeatWatch,
    /// Appliances whose first beat overtook the news that it is expected.
    early: BTreeSet<Uid>,
    /// Decided, not yet on disk.
    unkept: Vec<Output>,
}

impl Daemon {
    fn take(&mut self, now: Millis, notice: Notice) {
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
    async fn keep(&mut self, store: &Store, now: impl Fn() -> Millis) -> bool {
        while let Some(output) = self.watch.poll_output() {
            self.unkept.push(output);
        }
        if self.unkept.is_empty() {
            return true;
        }
        let started = Instant::now();
        let outputs = self.unkept.clone();
        let kept = store.write(move |db| alerts::apply(db, clock::now(), &outputs)).await;
        match kept {
            Ok(()) => self.unkept.clear(),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the status daemon's findings were not kept");
                self.watch.handle_input(now(), Input::Stalled);
                return false;
            }
        }
        if started.elapsed() > STALL {
            self.watch.handle_input(now(), Input::Stalled);
        }
        true
    }
}
