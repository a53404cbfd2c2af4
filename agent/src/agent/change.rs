//! Changes of the network, and of the application's settings: one at a time, in a task of its own.

use super::work::forget;
use super::{Done, Work};
use crate::network::application::{ApplicationFault, ApplicationTask};
use crate::network::{Network, NetworkError, Report, chain};
use crate::noc_client::NocClient;
use crate::storage::Storage;
use muster_protocol::appliance::Failure;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::id::Uid;
use muster_protocol::parameters::NetworkSettings;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Change {
    Apply(NetworkSettings, Application),
    RollBack,
    Commit,
    Resume(NetworkSettings),
    /// What was lost with an interface that had been away, too, if so.
    PutBack(NetworkSettings, bool),
    /// What the application shall have, too.
    Restore(NetworkSettings, Option<ApplicationSettings>),
    /// And whether the application has settings.
    Forget(NetworkSettings, bool),
}

/// What the application shall have, and what it has.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) settings: Option<ApplicationSettings>,
    pub(super) former: Option<ApplicationSettings>,
}

/// What was done.
#[derive(Debug)]
pub(super) enum Changed {
    Applied(Result<(), Failure>),
    RolledBack,
    Committed,
    /// Final settings were to be brought into force: at a start, or (`restored`) after a change by hand. The code of what went wrong.
    Resumed {
        restored: bool,
        result: Result<(), String>,
    },
    Settled,
    Forgotten,
}

/// A change of the network that fails is tried again after this time: nothing else can be done.
const RETRY_CHANGE: Duration = Duration::from_secs(5);

/// Makes it; what comes out goes back to the agent.
pub(super) async fn make<S: Storage, N: Network>(
    network: &N,
    noc: &Mutex<NocClient<S>>,
    change: Change,
    work: &mpsc::UnboundedSender<Done>,
    uid: Uid,
) -> Changed {
    match change {
        Change::Apply(settings, application) => {
            let report = |stage, percent| {
                let _ = work.send(Done { uid, work: Work::Progress(stage, percent) });
            };
            let applied = apply(network, &settings, application, &report).await;
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
        Change::Resume(settings) => {
            Changed::Resumed { restored: false, result: told(network.resume(&settings).await, uid) }
        }
        Change::Restore(settings, application) => {
            let mut result = network.restore(&settings).await;
            if let Some(application) = application.filter(|_| network.takes_application()) {
                result = result.and(network.hand_over(ApplicationTask::Restore(application)).await);
            }
            Changed::Resumed { restored: true, result: told(result, uid) }
        }
        Change::PutBack(settings, returned) => {
            // Not insisted on: as long as they are missing, it is asked for again.
            if let Err(error) = network.put_back(&settings, returned).await {
                tracing::debug!(uid = %uid.short(), error = %chain(&error), "settings could not be put back");
            }
            Changed::Settled
        }
        Change::Forget(settings, has_application) => {
            insist("forget the owner", || forget(network, noc, (&settings, has_application))).await;
            Changed::Forgotten
        }
    }
}

/// All or nothing, for the caller rolls back after an error.
async fn apply<N: Network>(
    network: &N,
    settings: &NetworkSettings,
    Application { settings: application, former }: Application,
    report: &dyn Report,
) -> Result<(), NetworkError> {
    // Before anything is changed.
    if application.is_some() && !network.takes_application() {
        return Err(ApplicationFault::NotSupported.into());
    }
    network.apply(settings, report).await?;
    network.hand_over(ApplicationTask::Apply { settings: application, former }).await
}

/// The code of an error, for the agent, which tries again.
fn told(result: Result<(), NetworkError>, uid: Uid) -> Result<(), String> {
    result.map_err(|error| {
        tracing::debug!(uid = %uid.short(), error = %chain(&error), "settings could not be brought into force");
        error.code().to_owned()
    })
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
