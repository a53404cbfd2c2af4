//! Tells the NOC what became of configurations and of its messages, until it has accepted each.

use super::entropy;
use crate::noc_client::{NocClient, NocError};
use crate::problem::chain;
use crate::store::{Store, StoreError};
use muster_protocol::api::{ResultItem, ResultReport};
use muster_protocol::crypto::uniform;
use muster_protocol::queue::{MAX_ANSWER, MOST_MESSAGES, MessageReport, MessageReports};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const BATCH: u32 = 200;
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Empties the outbox, for ever.
pub(super) async fn run(
    store: Arc<Store>,
    mut client: watch::Receiver<Option<NocClient>>,
    mut changed: watch::Receiver<()>,
) {
    let mut retry = Duration::from_secs(1);
    loop {
        changed.borrow_and_update();
        let current = client.borrow_and_update().clone();
        let outcome = match current {
            Some(client) => tell(&store, &client).await,
            None => Ok(()),
        };
        let again = match outcome {
            Ok(()) => {
                retry = Duration::from_secs(1);
                Duration::MAX
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "results are kept until the NOC takes them");
                let wait = retry.mul_f64(0.5 + uniform(&mut *entropy(), 1_000) as f64 / 1_000.0);
                retry = (retry * 2).min(LONGEST_RETRY);
                wait
            }
        };
        tokio::select! {
            () = sleep(again) => {}
            result = changed.changed() => if result.is_err() { return },
            result = client.changed() => if result.is_err() { return },
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Noc(#[from] NocError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Results first: whoever reads at the NOC that a message was carried out finds there what it did.
async fn tell(store: &Arc<Store>, client: &NocClient) -> Result<(), ReportError> {
    empty(store, client).await?;
    loop {
        let noc = client.root();
        let waiting = blocking(store, move |store| store.untold_messages(noc, MOST_MESSAGES)).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        for part in parts(waiting) {
            match client.report_messages(&MessageReports { items: part.clone() }).await {
                Ok(()) => {}
                // A NOC that does not want them, as an older one, will not want them later.
                Err(error @ NocError::Refused(_)) if !error.may_pass() => {
                    tracing::warn!(error = %chain(&error), "the NOC does not want to hear of its messages");
                }
                Err(error) => return Err(error.into()),
            }
            blocking(store, move |store| store.told_messages(noc, &part)).await?;
        }
    }
}

/// No request gets longer than the NOC takes: a list may be long.
fn parts(waiting: Vec<MessageReport>) -> Vec<Vec<MessageReport>> {
    let (mut parts, mut room) = (vec![Vec::new()], MAX_ANSWER);
    for report in waiting {
        let size = report.answer.as_ref().map_or(0, String::len);
        if size > room {
            parts.push(Vec::new());
            room = MAX_ANSWER;
        }
        room = room.saturating_sub(size);
        if let Some(part) = parts.last_mut() {
            part.push(report);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

async fn empty(store: &Arc<Store>, client: &NocClient) -> Result<(), ReportError> {
    loop {
        let waiting = blocking(store, |store| store.outbox(BATCH)).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let (ids, items): (Vec<i64>, Vec<ResultItem>) = waiting.into_iter().unzip();
        match client.report(&ResultReport { items: items.clone() }).await {
            Ok(()) => blocking(store, move |store| store.outbox_remove(&ids)).await?,
            Err(error) if error.may_pass() => return Err(error.into()),
            // One that the NOC does not want, as of an appliance deleted since, must not keep back the others.
            Err(_) => one_by_one(store, client, ids.into_iter().zip(items)).await?,
        }
    }
}

async fn one_by_one(
    store: &Arc<Store>,
    client: &NocClient,
    waiting: impl Iterator<Item = (i64, ResultItem)>,
) -> Result<(), ReportError> {
    for (id, item) in waiting {
        let uid = item.uid;
        match client.report(&ResultReport { items: vec![item] }).await {
            Ok(()) => {}
            // Refused for good by the NOC that must know: there is nobody else to tell.
            Err(error @ NocError::Refused(_)) if !error.may_pass() => {
                tracing::warn!(%uid, error = %chain(&error), "the NOC does not want a result");
            }
            Err(error) => return Err(error.into()),
        }
        blocking(store, move |store| store.outbox_remove(&[id])).await?;
    }
    Ok(())
}

pub(super) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn sleep(time: Duration) {
    match time {
        Duration::MAX => std::future::pending().await,
        time => tokio::time::sleep(time).await,
    }
}
