//! The task that looks at alerts when their time comes, and empties the outbox. It sleeps until the earliest of both, or until something
//! was committed: what waits costs nothing.

use super::manage::sending;
use super::send::send;
use super::{ChannelId, SendError, Sent};
use crate::clock;
use crate::error::StoreError;
use crate::noc::Inner;
use crate::store::alert_events;
use crate::store::deliveries::{self, Outcome, Work};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Commits within this time are looked at once.
const GATHER: Duration = Duration::from_millis(250);
/// Longest sleep: a wall clock that is set is noticed.
const LONGEST: Duration = Duration::from_secs(60);
/// Until the database is asked again after it failed.
const RETRY: Duration = Duration::from_secs(5);
/// Channels that are sent to at the same time. One that hangs holds up nobody but itself.
const AT_ONCE: usize = 64;

/// Runs until it is stopped. What is under way then is broken off: it is in the outbox, and is sent again.
pub(crate) async fn run(noc: Arc<Inner>, stop: CancellationToken) {
    let mut changed = noc.store.changed();
    let (mut working, mut busy) = (JoinSet::new(), BTreeSet::new());
    loop {
        changed.mark_unchanged();
        let wait = match begin(&noc, &mut working, &mut busy).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what channels have to tell was not read");
                RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return working.shutdown().await,
            () = tokio::time::sleep(wait) => {}
            more = changed.changed() => {
                if more.is_err() {
                    return;
                }
                tokio::time::sleep(GATHER).await;
            }
            Some(done) = working.join_next() => match done {
                Ok(id) => drop(busy.remove(&id)),
                // The channel of a task that panicked is not known any more; none may stay shut for it.
                Err(error) => {
                    tracing::error!(%error, "a delivery failed inside");
                    working.abort_all();
                    while working.join_next().await.is_some() {}
                    busy.clear();
                    tokio::time::sleep(RETRY).await;
                }
            },
        }
    }
}

/// Begins what is due; how long there is nothing more to do.
async fn begin(
    noc: &Arc<Inner>,
    working: &mut JoinSet<ChannelId>,
    busy: &mut BTreeSet<ChannelId>,
) -> Result<Duration, StoreError> {
    let now = clock::now();
    let looked =
        noc.store.read(move |db| Ok::<_, StoreError>((alert_events::next_due(db)?, deliveries::due(db, now)?)));
    let (alerts, (ready, next)) = looked.await?;
    let mut alerts = alerts;
    if alerts.is_some_and(|due| due <= now) {
        while noc.store.write(move |db| alert_events::look(db, now)).await? {
            tokio::task::yield_now().await;
        }
        alerts = noc.store.read(alert_events::next_due).await?;
    }
    for id in ready {
        if busy.len() < AT_ONCE && busy.insert(id) {
            let noc = noc.clone();
            working.spawn(async move {
                if let Err(error) = work(&noc, id).await {
                    tracing::error!(
                        channel = id.0,
                        error = &error as &dyn std::error::Error,
                        "a channel was not served"
                    );
                    tokio::time::sleep(RETRY).await;
                }
                id
            });
        }
    }
    let due = alerts.into_iter().chain(next).min();
    Ok(due.map_or(LONGEST, |due| Duration::from_secs(due.saturating_sub(clock::now()))).min(LONGEST))
}

/// Sends what one channel has to tell.
async fn work(noc: &Arc<Inner>, id: ChannelId) -> Result<(), StoreError> {
    let taken = noc.store.write(move |db| deliveries::take(db, clock::now(), id)).await?;
    let Some(Work { kept, organisation, batches }) = taken else { return Ok(()) };
    let sending = sending(noc, kept, organisation);
    let mut outcomes = Vec::new();
    for (message, batch) in batches {
        let sent = send(&sending, &batch).await;
        log(id, &sent);
        let is_over = sent.as_ref().is_err_and(|error| !error.is_about_message());
        let retry_after_s = sent.as_ref().err().and_then(SendError::retry_after_s);
        outcomes.push(Outcome { message, sent: sent.map_err(|error| error.words()), retry_after_s });
        if is_over {
            break;
        }
    }
    noc.store.write(move |db| deliveries::settle(db, clock::now(), id, &outcomes)).await
}

/// The target is its administrators' own matter: logs name the channel's number.
fn log(id: ChannelId, sent: &Result<Sent, SendError>) {
    match sent {
        Ok(_) => tracing::debug!(channel = id.0, "a channel was told"),
        Err(error) => tracing::warn!(channel = id.0, code = error.code(), "a channel did not take what it was told"),
    }
}
