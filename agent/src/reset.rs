//! Factory reset: the appliance forgets owner, settings and certificates; identity and label stay.
//!
//! That one was asked for is on disk before anything is done, and is removed last. So a power cut in the middle leaves no
//! appliance that is half reset: the next start finishes it. A button needs no code of ours, only something that runs
//! `muster-agent reset --yes` (see the guide).

use crate::config::Config;
use crate::interfaces;
use crate::lock::{LockError, holder, lock};
use crate::network::application::ApplicationTask;
use crate::network::back_end::BackEndChoice;
use crate::network::live::LiveNetwork;
use crate::network::{Network, NetworkError, chain, find_link, rp_filter};
use crate::saved::Saved;
use crate::storage::{Document, FileStorage, Storage, StorageError};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// Resets, also under an agent that runs: that is ended, and whatever started it starts it again. Whoever gets the lock first
/// does it, this command or the agent's next start.
pub async fn reset(config: &Config, storage: &FileStorage) -> Result<(), ResetError> {
    let agent = match lock(&config.state_dir) {
        Ok(_) => None,
        Err(error) => Some(holder(&config.state_dir).ok_or(error)?),
    };
    ask(storage)?;
    if let Some(pid) = agent {
        kill(pid, Signal::SIGTERM).map_err(|errno| ResetError::End { pid: pid.as_raw(), source: errno.into() })?;
    }
    for _ in 0..PATIENCE_S * 10 {
        match lock(&config.state_dir) {
            Ok(_held) => return Ok(finish(config, storage).await?),
            Err(_) if storage.load(Document::Reset)?.is_none() => return Ok(()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err(ResetError::Late)
}

/// How long the agent may take to end, and to come back.
const PATIENCE_S: u32 = 20;

/// Why a reset is not done yet.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// Another program has the state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Not root.
    #[error(
        "the agent that runs (process {pid}) could not be ended; the reset is done when it starts again. Restart it, as root"
    )]
    End {
        /// Its number.
        pid: i32,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// It does not end.
    #[error("the agent that runs does not end; the reset is done when it starts again. Restart the appliance")]
    Late,
}

impl ResetError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ResetError::Lock(error) => error.code(),
            ResetError::Storage(error) => error.code(),
            ResetError::End { .. } => "agent_not_ended",
            ResetError::Late => "agent_does_not_end",
        }
    }
}

/// From now on a reset will be done, whatever happens.
pub fn ask(storage: &FileStorage) -> Result<(), StorageError> {
    storage.save(Document::Reset, b"asked for")
}

/// Does it, if one was asked for. Only for who has the lock of the state folder.
pub async fn finish(config: &Config, storage: &FileStorage) -> Result<(), StorageError> {
    if storage.load(Document::Reset)?.is_none() {
        return Ok(());
    }
    rp_filter::put_back(storage)?;
    if let Err(error) = forget_network(config, storage).await {
        // Whoever resets an appliance may have taken its card out. It must not keep its owner for that.
        tracing::warn!(code = error.code(), error = %chain(&error), "not all settings could be taken off the network");
    }
    // The components stay; whose they are is forgotten.
    let of_owner = [
        Document::Appliance,
        Document::Noc,
        Document::FormerNetwork,
        Document::FormerApplication,
        Document::Beats,
        Document::Interface,
        Document::ComponentTrust,
    ];
    for document in of_owner {
        storage.remove(document)?;
    }
    storage.remove(Document::Reset)?;
    tracing::warn!("reset: the owner and the settings are forgotten");
    Ok(())
}

async fn forget_network(config: &Config, storage: &FileStorage) -> Result<(), NetworkError> {
    // None if they cannot be read, which a reset must not fail for.
    let appliance = Saved::load(config, storage).ok().map(|saved| saved.appliance);
    let has_application = appliance.as_ref().is_some_and(|appliance| appliance.application().is_some());
    let settings = appliance.and_then(|appliance| appliance.settings().cloned());
    let link = find_link(&interfaces::chosen(&config.interface, storage)?).await?;
    let choice = BackEndChoice::new(config.network.clone());
    let network = LiveNetwork::new(link.name.clone(), config.root.clone(), config.probe, storage.clone(), choice);
    let network = LiveNetwork { application: config.application.clone(), ..network };
    // Provisional settings first: beneath them may be final ones.
    let rolled_back = network.roll_back().await;
    let handed_over = if has_application { network.hand_over(ApplicationTask::Forget).await } else { Ok(()) };
    match settings {
        Some(settings) => network.forget(&settings).await?,
        None => drop(network.remove_files().await?),
    }
    rolled_back.and(handed_over)
}
