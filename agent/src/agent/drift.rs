//! Settings that somebody changed by hand: told in the beat, and set again where the site or the image asks for it.

use super::{Agent, Change};
use crate::health::Health;
use crate::network::drift::Setting;
use crate::network::{Network, chain};
use crate::storage::Storage;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::{DriftPolicy, NetworkSettings};
use muster_protocol::wire::here::State;
use std::collections::BTreeSet;

/// What was found last, and what is to be done about it.
#[derive(Debug, Default)]
pub(super) struct Drift {
    found: Vec<Setting>,
    /// Taken off the interface by hand, and put back, since the last beat that was accepted.
    put_back: BTreeSet<Setting>,
    of_image: DriftPolicy,
}

impl Drift {
    /// Nothing is configured any more.
    pub(super) fn forget(&mut self) {
        self.found.clear();
        self.put_back.clear();
    }

    /// Nobody would know otherwise that it was ever gone.
    pub(super) fn put_back(&mut self, settings: &[Setting]) {
        self.put_back.extend(settings);
    }

    pub(super) fn put_back_since(&self) -> &BTreeSet<Setting> {
        &self.put_back
    }

    pub(super) fn told(&mut self) {
        self.put_back.clear();
    }

    pub(super) fn words(&self) -> Vec<String> {
        words(&self.put_back.iter().chain(&self.found).copied().collect())
    }
}

/// As a beat says it.
pub(super) fn words(settings: &BTreeSet<Setting>) -> Vec<String> {
    settings.iter().map(|setting| setting.word().to_owned()).collect()
}

/// Compares what is there with the final settings, if there are any; None when that cannot be told.
pub(super) async fn look<N: Network>(
    network: &N,
    settings: Option<&NetworkSettings>,
    application: Option<&ApplicationSettings>,
) -> Option<Vec<Setting>> {
    let found = async {
        let mut drift = network.drift(settings?).await;
        if let (Ok(drift), Some(application)) = (&mut drift, application) {
            match network.application_drifted(application).await {
                Ok(is_changed) => drift.extend(is_changed.then_some(Setting::Application)),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(drift)
    };
    match found.await? {
        Ok(drift) => Some(drift),
        Err(error) => {
            tracing::debug!(code = error.code(), error = %chain(&error), "cannot tell whether settings were changed");
            None
        }
    }
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// What is done about settings that were changed by hand while the NOC has said nothing about it.
    pub fn set_drift_of_image(&mut self, policy: DriftPolicy) {
        self.drift.of_image = policy;
    }

    /// Whether settings that were changed by hand are set again.
    pub(super) fn restores_drift(&self) -> bool {
        self.drift_policy() == DriftPolicy::Restore
    }

    /// What is done about settings that were changed by hand.
    pub fn drift_policy(&self) -> DriftPolicy {
        self.appliance.drift().unwrap_or(self.drift.of_image)
    }

    /// The words of the settings that are not as they were configured, as of the last beat.
    pub fn drift(&self) -> Vec<String> {
        self.drift.words()
    }

    /// The final settings, while nothing is about to change them.
    pub(super) fn settings_at_rest(&self) -> Option<NetworkSettings> {
        self.settings().filter(|_| self.is_at_rest()).cloned()
    }

    /// True while there are final settings and nothing is about to change them.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_changing = self.changing || !self.changes.is_empty() || self.appliance.is_leaving();
        self.state() == State::Configured && !is_changing
    }

    pub(super) fn drifted(&mut self, found: Vec<Setting>) {
        // It may have been configured anew meanwhile: then what was found is of the past.
        let Some(settings) = self.settings_at_rest().filter(|_| !self.resume.is_failing()) else { return };
        if found != self.drift.found {
            if found.is_empty() {
                tracing::info!(uid = %self.uid().short(), "settings are as they were configured again");
            } else {
                let settings = words(&found.iter().copied().collect()).join(", ");
                tracing::warn!(uid = %self.uid().short(), settings, "settings were changed by hand");
            }
        }
        if self.restores_drift() && !found.is_empty() {
            tracing::info!(uid = %self.uid().short(), "restoring what was configured");
            let application = self.appliance.application().cloned();
            self.changes.push_back(Change::Restore(settings, application));
        }
        self.drift.found = found;
    }
}
