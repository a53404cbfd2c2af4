//! Tells the NOC what became of configurations, until it has accepted each.

use super::entropy;
use crate::noc_client::{NocClient, NocError};
use crate::problem::chain;
use crate::store::{Store, StoreError};
use muster_protocol::api::{ResultItem, ResultReport};
use muster_protocol::crypto::uniform;
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
            Some(client) => empty(&store, &client).await,
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

async fn blocking<T: Send + 'static>(
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
