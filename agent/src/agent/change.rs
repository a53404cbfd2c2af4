//! Changes of the network: one at a time, and what has to work in the end is tried until it does.

use super::{Done, Work, work};
use crate::network::{Network, NetworkError, chain};
use crate::noc_client::NocClient;
use crate::storage::Storage;
use muster_protocol::appliance::Failure;
use muster_protocol::id::Uid;
use muster_protocol::parameters::NetworkSettings;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// What is to be done with the network.
#[derive(Debug)]
pub(super) enum Change {
    Apply(NetworkSettings),
    RollBack,
    Commit,
    Resume(NetworkSettings),
    Restore(NetworkSettings),
    Forget(NetworkSettings),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Changed {
    Applied(Result<(), Failure>),
    RolledBack,
    Committed,
    Settled,
    Forgotten,
}

/// A change of the network that fails is tried again after this time: nothing else can be done.
const RETRY_CHANGE: Duration = Duration::from_secs(5);

/// Makes a change; how far it is, is sent as work of the agent `uid`.
pub(super) async fn make<S: Storage, N: Network>(
    network: &N,
    noc: &Mutex<NocClient<S>>,
    change: Change,
    done: &mpsc::UnboundedSender<Done>,
    uid: Uid,
) -> Changed {
    match change {
        Change::Apply(settings) => {
            let report = |stage, percent| {
                let _ = done.send(Done { uid, work: Work::Progress(stage, percent) });
            };
            let applied = network.apply(&settings, &report).await;
            if let Err(error) = &applied {
                tracing::warn!(uid = %uid.short(), code = error.code(), "settings could not be applied");
                tracing::debug!(error = %chain(error), "why");
                if network.is_provisional() {
                    insist("restore the former network", || network.roll_back()).await;
                }
            }
            Changed::Applied(applied.map_err(|error| error.to_failure()))
        }
        Change::RollBack => {
            insist("roll back", || network.roll_back()).await;
            Changed::RolledBack
        }
        Change::Commit => {
            insist("commit", || network.commit()).await;
            Changed::Committed
        }
        Change::Restore(settings) => {
            // Not insisted on: the next beat sees whether it is needed still.
            if let Err(error) = network.restore(&settings).await {
                tracing::warn!(uid = %uid.short(), code = error.code(), "settings could not be restored");
                tracing::debug!(error = %chain(&error), "why");
            }
            Changed::Settled
        }
        Change::Resume(settings) => {
            insist("bring the network up", || network.resume(&settings)).await;
            Changed::Settled
        }
        Change::Forget(settings) => {
            insist("forget the owner", || work::forget(network, noc, &settings)).await;
            Changed::Forgotten
        }
    }
}

/// Tries until it works: an appliance between two networks is worse than a late one.
async fn insist<F: Future<Output = Result<(), NetworkError>>>(what: &str, attempt: impl Fn() -> F) {
    let mut complained = false;
    while let Err(error) = attempt().await {
        if !complained {
            tracing::error!(code = error.code(), "could not {what}; trying again");
            tracing::debug!(error = %chain(&error), "why");
            complained = true;
        }
        tokio::time::sleep(RETRY_CHANGE).await;
    }
}
