//! A network in memory: the practice fleet's.

use super::application::ApplicationTask;
use super::{Network, NetworkError, Report};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::result::Stage;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong, and how long things take; shared by a fleet, changed at any time.
#[derive(Debug, Default)]
pub struct Knobs {
    install_ms: AtomicU64,
    fail_percent: AtomicU8,
    draws: AtomicU64,
}

impl Knobs {
    /// `seed` decides which installations fail.
    pub fn new(seed: u64) -> Knobs {
        Knobs { draws: AtomicU64::new(seed), ..Knobs::default() }
    }

    /// How long an installation takes.
    pub fn set_install_ms(&self, ms: u64) {
        self.install_ms.store(ms, Ordering::Relaxed);
    }

    /// How many of 100 installations fail.
    pub fn set_fail_percent(&self, percent: u8) {
        self.fail_percent.store(percent.min(100), Ordering::Relaxed);
    }

    fn fails(&self) -> bool {
        // SplitMix64 (Steele, Lea, Flood 2014): a counter in, an even spread out.
        let mut z = self.draws.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 100 < u64::from(self.fail_percent.load(Ordering::Relaxed))
    }
}

/// One appliance's network.
#[derive(Debug, Default)]
pub struct FakeNetwork {
    knobs: Arc<Knobs>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    current: Option<NetworkSettings>,
    former: Option<Option<NetworkSettings>>,
    application: Option<ApplicationSettings>,
    former_application: Option<Option<ApplicationSettings>>,
}

impl FakeNetwork {
    /// Without settings.
    pub fn new(knobs: Arc<Knobs>) -> FakeNetwork {
        FakeNetwork { knobs, held: Mutex::default() }
    }

    /// The settings in force.
    pub fn current(&self) -> Option<NetworkSettings> {
        self.held().current.clone()
    }

    /// The application settings that the practice appliance keeps.
    pub fn application(&self) -> Option<ApplicationSettings> {
        self.held().application.clone()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for FakeNetwork {
    async fn apply(&self, settings: &NetworkSettings, report: &dyn Report) -> Result<(), NetworkError> {
        let total = self.knobs.install_ms.load(Ordering::Relaxed);
        const STEPS: [(Stage, u8); 4] =
            [(Stage::ProbingAddress, 10), (Stage::Network, 30), (Stage::Components, 60), (Stage::Components, 90)];
        for (stage, percent) in STEPS {
            if total > 0 {
                report(stage, percent);
                tokio::time::sleep(Duration::from_millis(total / STEPS.len() as u64)).await;
            }
        }
        if self.knobs.fails() {
            return Err(NetworkError::Practice { text: "the practice fleet was told to let some installations fail" });
        }
        let mut held = self.held();
        if held.former.is_none() {
            held.former = Some(held.current.take());
        }
        held.current = Some(settings.clone());
        Ok(())
    }

    async fn roll_back(&self) -> Result<(), NetworkError> {
        let mut held = self.held();
        if let Some(former) = held.former.take() {
            held.current = former;
        }
        if let Some(former) = held.former_application.take() {
            held.application = former;
        }
        Ok(())
    }

    async fn commit(&self) -> Result<(), NetworkError> {
        let mut held = self.held();
        (held.former, held.former_application) = (None, None);
        Ok(())
    }

    async fn resume(&self, settings: &NetworkSettings) -> Result<(), NetworkError> {
        self.held().current = Some(settings.clone());
        Ok(())
    }

    async fn forget(&self, _: &NetworkSettings) -> Result<(), NetworkError> {
        *self.held() = Held::default();
        Ok(())
    }

    fn takes_application(&self) -> bool {
        true
    }

    async fn hand_over(&self, task: ApplicationTask) -> Result<(), NetworkError> {
        let mut held = self.held();
        match task {
            ApplicationTask::Apply { settings, .. } => {
                if held.former_application.is_none() {
                    held.former_application = Some(held.application.take());
                }
                held.application = settings;
            }
            ApplicationTask::Restore(settings) => held.application = Some(settings),
            ApplicationTask::Forget => (held.application, held.former_application) = (None, None),
        }
        Ok(())
    }

    fn is_provisional(&self) -> bool {
        let held = self.held();
        held.former.is_some() || held.former_application.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_fail_as_asked() {
        let knobs = Knobs::new(7);
        assert!((0..1000).all(|_| !knobs.fails()));
        knobs.set_fail_percent(30);
        let failed = (0..1000).filter(|_| knobs.fails()).count();
        assert!((250..350).contains(&failed), "{failed} of 1000");
        knobs.set_fail_percent(200);
        assert!((0..1000).all(|_| knobs.fails()));
    }

    #[tokio::test]
    async fn application_settings_are_kept_or_go_back_with_the_rest() {
        let network = FakeNetwork::new(Arc::default());
        let parsed = |text| ApplicationSettings::parse(text).expect("settings");
        let (old, new) = (parsed("{\"a\":1}"), parsed("{\"a\":2}"));
        let apply = |settings: &ApplicationSettings, former: Option<&ApplicationSettings>| {
            network.hand_over(ApplicationTask::Apply { settings: Some(settings.clone()), former: former.cloned() })
        };
        apply(&old, None).await.expect("applied");
        network.commit().await.expect("committed");
        apply(&new, Some(&old)).await.expect("applied");
        assert!(network.is_provisional());
        network.roll_back().await.expect("rolled back");
        assert_eq!((network.application(), network.is_provisional()), (Some(old), false));
        network.hand_over(ApplicationTask::Forget).await.expect("forgotten");
        assert_eq!(network.application(), None);
    }
}
