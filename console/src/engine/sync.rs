//! Keeps what the NOC knows up to date: everything once, then changes by long poll.

use super::state::Shared;
use super::{entropy, unix_now};
use crate::noc_client::{NocClient, NocError};
use crate::problem::Explain;
use crate::view::{NocLink, seconds};
use muster_protocol::crypto::uniform;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What became of fetching everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Synced {
    /// Counts the beginnings.
    pub(super) begun: u64,
    /// Whether the NOC answered since the last of them; unknown until it did or failed to.
    pub(super) reached: Option<bool>,
}

/// Follows the NOC that was joined, for ever; starts anew when another one is joined, or the same with a new connection.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut client: watch::Receiver<Option<NocClient>>,
    synced: watch::Sender<Synced>,
    applets: watch::Sender<u64>,
) {
    loop {
        // Before the client is taken: whoever replaces it waits for the next number.
        synced.send_modify(|synced| *synced = Synced { begun: synced.begun + 1, reached: None });
        let current = client.borrow_and_update().clone();
        let following = async {
            match current {
                Some(client) => follow(&shared, &client, &synced, &applets).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = following => return,
            changed = client.changed() => if changed.is_err() { return },
        }
    }
}

async fn follow(shared: &Shared, client: &NocClient, synced: &watch::Sender<Synced>, applets: &watch::Sender<u64>) {
    // A new connection to a NOC that is lost does not make it lost since now.
    let mut lost_since = shared.read(|state| match state.noc() {
        NocLink::Lost { url, since, .. } if url == client.url() => Some(*since),
        _ => None,
    });
    let mut retry = FIRST_RETRY;
    loop {
        let Err(error) = connected(shared, client, (synced, applets), &mut lost_since, &mut retry).await;
        tracing::warn!(error = %crate::problem::chain(&error), "the connection to the NOC is lost");
        let since = *lost_since.get_or_insert_with(|| seconds(unix_now().0));
        let problem = error.problem();
        shared.change(|state| state.set_noc(NocLink::Lost { url: client.url().to_owned(), since, problem }));
        synced.send_modify(|synced| synced.reached = Some(false));
        tokio::time::sleep(jittered(retry)).await;
        retry = (retry * 2).min(LONGEST_RETRY);
    }
}

/// Returns only when something goes wrong.
async fn connected(
    shared: &Shared,
    client: &NocClient,
    (synced, applets): (&watch::Sender<Synced>, &watch::Sender<u64>),
    lost_since: &mut Option<u32>,
    retry: &mut Duration,
) -> Result<std::convert::Infallible, NocError> {
    let mut revision = 0;
    fetch_all(shared, client).await?;
    loop {
        *lost_since = None;
        *retry = FIRST_RETRY;
        shared.change(|state| state.set_noc(NocLink::Connected { url: client.url().to_owned() }));
        synced.send_modify(|synced| synced.reached = Some(true));
        let changes = client.changes(revision).await?;
        // The same number again says that this NOC is there: what was not fetched yet is fetched now.
        applets.send_if_modified(|known| std::mem::replace(known, changes.applets) != changes.applets);
        if changes.reset {
            // The revision is older than what is fetched now: what falls in between comes twice and changes nothing.
            fetch_all(shared, client).await?;
        }
        shared.change(|state| {
            for record in changes.appliances {
                state.roster.record(record);
            }
            for alert in changes.alerts {
                state.alert(alert);
            }
        });
        if changes.revision != revision {
            revision = changes.revision;
        } else if changes.reset {
            // A NOC in which nothing has ever changed answers at once; it must not be asked without a pause.
            tokio::time::sleep(FIRST_RETRY).await;
        } else {
            // An empty answer after a long poll: a good moment to see whether the sites have changed.
            let sites = client.sites().await?;
            shared.change(|state| state.set_sites(sites));
        }
    }
}

async fn fetch_all(shared: &Shared, client: &NocClient) -> Result<(), NocError> {
    let sites = client.sites().await?;
    let appliances = client.appliances().await?;
    let alerts = client.alerts(false).await?;
    shared.change(|state| {
        state.set_sites(sites);
        state.roster.reset_records(appliances);
        state.reset_alerts(alerts);
    });
    Ok(())
}

/// Half to one and a half times as long, so that consoles do not come back in step.
fn jittered(time: Duration) -> Duration {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms / 2 + uniform(&mut *entropy(), ms))
}
