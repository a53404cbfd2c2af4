//! Supplies the installer with what it wants of the NOC (decision 0045).

use super::Agent;
use crate::health::Health;
use crate::installer::throttle::Throttle;
use crate::installer::{Installer, Order, Part, Supply, Taken, Want, Wanted};
use crate::network::Network;
use crate::noc_client::{Downloads, NocClient, NocError};
use crate::storage::Storage;
use crate::system::System;
use muster_protocol::api::ComponentReport;
use muster_protocol::appliance::Enrolment;
use muster_protocol::wire::here::State;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::sleep;

/// How often the installer is looked at while it works without files.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How soon bytes are offered again to a disk that is slower than the network.
const OFFER_AGAIN: Duration = Duration::from_millis(20);
/// Times that a file that broke off is gone on with, before the installer is told.
const ATTEMPTS: u32 = 5;
/// Longest wait between two of them, whatever the NOC says.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// The installer, and who supplies it.
pub(super) struct Components {
    installer: Option<Arc<dyn Installer>>,
    /// One supplier at a time.
    turn: Arc<Semaphore>,
    /// What the last beat told.
    told: Vec<ComponentReport>,
}

impl Components {
    pub(super) fn of(system: &dyn System) -> Components {
        Components { installer: system.installer(), turn: Arc::new(Semaphore::new(1)), told: Vec::new() }
    }

    /// For the next beat.
    pub(super) fn reports(&mut self) -> Vec<ComponentReport> {
        self.told = self.installer.as_ref().map(|installer| installer.reports()).unwrap_or_default();
        self.told.clone()
    }

    /// The owner may have changed by this statement.
    pub(super) fn heard(&self, signed: &[u8]) {
        if let Some(installer) = &self.installer {
            installer.heard(signed);
        }
    }
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// The required components, as the last beat told of them.
    pub fn components(&self) -> &[ComponentReport] {
        &self.components.told
    }

    /// What the answer to a beat says about components. Only settings that are final are the place for them: others may be gone in
    /// a moment, and the network with them.
    pub(super) fn take_components(&mut self, time: u64, revision: Option<String>) {
        let is_final = self.appliance.state() == State::Configured;
        let (Some(installer), Some(revision), true) = (&self.components.installer, revision, is_final) else { return };
        let (Some(owner), Some(enrolment)) = (self.appliance.root(), self.reporting.clone()) else { return };
        let Ok(turn) = self.components.turn.clone().try_acquire_owned() else {
            // It is being supplied; what is new is taken with the beat after that.
            return;
        };
        let needs_plan = installer.needs_plan(&owner, time, &revision);
        if !needs_plan && installer.wanted() == Wanted::Nothing {
            return;
        }
        let (noc, installer, uid) = (self.noc.clone(), installer.clone(), self.uid());
        tokio::spawn(async move {
            let order = |plan| Order { owner: owner.to_base64(), time, plan };
            let supplied = serve(&noc, &enrolment, &*installer, needs_plan, order).await;
            if let Err(error) = supplied {
                tracing::warn!(uid = %uid.short(), code = error.code(), "components could not be had; trying on");
                tracing::debug!(error = %error.chain(), "why");
            }
            drop(turn);
        });
    }
}

async fn serve<S: Storage>(
    noc: &Mutex<NocClient<S>>,
    enrolment: &Enrolment,
    installer: &dyn Installer,
    needs_plan: bool,
    order: impl Fn(muster_protocol::api::ComponentPlan) -> Order,
) -> Result<(), NocError> {
    let downloads = noc.lock().await.downloads(enrolment)?;
    if needs_plan {
        installer.take(order(downloads.plan().await?));
    }
    loop {
        match installer.wanted() {
            Wanted::Nothing => return Ok(()),
            Wanted::Later => sleep(LOOK_EVERY).await,
            Wanted::File(want) => fetch(&downloads, installer, &want).await,
        }
    }
}

/// Fetches a file and hands it in; goes on with it when the connection breaks.
async fn fetch(downloads: &Downloads, installer: &dyn Installer, want: &Want) {
    let mut given = 0;
    let mut attempt = 0;
    let end = loop {
        let before = given;
        match part(downloads, installer, want, &mut given).await {
            Ok(end) => break end,
            Err(error) => {
                attempt = if given > before { 1 } else { attempt + 1 };
                tracing::debug!(path = want.path, attempt, error = %error.chain(), "a file broke off");
                if attempt >= ATTEMPTS {
                    break Some(Part::Failed(error.code().to_owned()));
                }
                let asked = error.retry_after_s().map(|seconds| Duration::from_secs(seconds.into()));
                sleep(asked.unwrap_or(Duration::from_secs(1 << attempt)).min(LONGEST_PAUSE)).await;
            }
        }
    };
    if let Some(end) = end {
        offer(installer, want.number, end).await;
    }
}

/// From where it broke off to its end, and how that is to be told; none if no more is wanted.
async fn part(
    downloads: &Downloads,
    installer: &dyn Installer,
    want: &Want,
    given: &mut u64,
) -> Result<Option<Part>, NocError> {
    let Some(mut reading) = downloads.open(&want.path, want.from + *given).await? else {
        return Ok(Some(Part::Missing));
    };
    let (begun, mut throttle) = (Instant::now(), Throttle::new(want.bandwidth));
    let portion = throttle.portion();
    while let Some(bytes) = reading.next().await? {
        for bytes in bytes.chunks(portion) {
            sleep(throttle.took(begun.elapsed(), bytes.len())).await;
            if offer(installer, want.number, Part::Bytes(bytes.to_vec())).await == Taken::Enough {
                return Ok(None);
            }
            *given += bytes.len() as u64;
        }
    }
    downloads.finish(reading).await;
    Ok(Some(Part::End))
}

async fn offer(installer: &dyn Installer, number: u64, part: Part) -> Taken {
    loop {
        match installer.supply(Supply { number, part: part.clone() }) {
            Taken::Full => sleep(OFFER_AGAIN).await,
            taken => return taken,
        }
    }
}
