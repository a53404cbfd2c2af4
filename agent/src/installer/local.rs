//! The installer where the rights are.

use super::config::ComponentsConfig;
use super::intake::Intake;
use super::state::{self, Known, State, Step, Trust, Version};
use super::target::is_plain;
use super::{Installer, Order, Problem, Supply, Taken, Wanted, run};
use crate::storage::{Document, Storage, StorageError};
use muster_protocol::api::{ComponentReport, ComponentState, MOST_COMPONENTS};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::Uid;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After a problem that may pass the next try waits this long, twice as long each time, up to an hour.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LAST_RETRY: Duration = Duration::from_secs(60 * 60);

/// An installer. Clones are the same.
pub struct LocalInstaller<S>(Arc<Shared<S>>);

impl<S> Clone for LocalInstaller<S> {
    fn clone(&self) -> Self {
        LocalInstaller(self.0.clone())
    }
}

pub(super) struct Shared<S> {
    config: Option<ComponentsConfig>,
    uid: Uid,
    storage: S,
    pub(super) intake: Intake,
    desk: Mutex<Desk>,
}

/// What is known, and what is being done.
#[derive(Default)]
struct Desk {
    trust: Trust,
    state: State,
    /// The plan in force, also one that is not carried out: reports are about it.
    order: Option<Order>,
    /// Why it is not.
    refused: Option<Problem>,
    time: u64,
    working: Option<Working>,
    waiting: BTreeMap<String, Problem>,
    running: bool,
    retry: Option<Instant>,
    failures: u32,
}

/// A component that is being worked on.
#[derive(Clone, Debug)]
pub(super) struct Working {
    pub(super) name: String,
    state: ComponentState,
    percent: Option<u8>,
}

impl<S: Storage> LocalInstaller<S> {
    /// With what is stored; what a power cut interrupted is gone on with at once. Without a configuration nothing is installed.
    pub fn open(config: Option<ComponentsConfig>, uid: Uid, storage: S) -> Result<LocalInstaller<S>, StorageError> {
        let trust: Trust = state::load(&storage, Document::ComponentTrust)?;
        let state: State = state::load(&storage, Document::Components)?;
        let (order, time) = (trust.order.clone(), trust.order.as_ref().map_or(0, |order| order.time));
        let desk = Mutex::new(Desk { trust, state, order, time, ..Desk::default() });
        let installer = LocalInstaller(Arc::new(Shared { config, uid, storage, intake: Intake::default(), desk }));
        if installer.0.step().is_some() {
            installer.start();
        }
        Ok(installer)
    }

    /// Begins a pass if there is something to do and none is under way.
    fn start(&self) {
        let shared = self.0.clone();
        {
            let mut desk = shared.desk();
            let due = desk.retry.is_none_or(|at| at <= Instant::now());
            let left = desk.state.step.is_some() || (desk.refused.is_none() && desk.is_to_be_carried_out());
            if self.0.config.is_none() || desk.running || !due || !left {
                return;
            }
            desk.running = true;
        }
        // Unpacking and packages block, and a pass is rare: a thread of its own, and its own moment's runtime.
        let thread = std::thread::Builder::new().name("installer".to_owned());
        let running = Running(shared.clone());
        if let Err(error) = thread.spawn(move || running.pass()) {
            tracing::warn!(%error, "no thread for the installer; trying again");
        }
    }
}

/// Whatever happens to the pass, it has ended afterwards.
struct Running<S: Storage>(Arc<Shared<S>>);

impl<S: Storage> Drop for Running<S> {
    fn drop(&mut self) {
        let mut desk = self.0.desk();
        (desk.running, desk.working) = (false, None);
    }
}

impl<S: Storage> Running<S> {
    fn pass(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (Ok(runtime), Some(config)) = (runtime, &self.0.config) else { return };
        let passed = runtime.block_on(run::pass(&self.0, config));
        let mut desk = self.0.desk();
        let whole = match passed {
            Ok(whole) => whole,
            Err(problem) => {
                tracing::warn!(code = problem.code, %problem, "components wait");
                let names: Vec<String> = desk.required().map(|(name, _)| name.to_owned()).collect();
                desk.waiting.extend(names.into_iter().map(|name| (name, problem.clone())));
                false
            }
        };
        desk.failures = if whole { 0 } else { desk.failures + 1 };
        let pause = FIRST_RETRY.saturating_mul(1 << desk.failures.saturating_sub(1).min(10)).min(LAST_RETRY);
        desk.retry = (!whole).then(|| Instant::now() + pause);
    }
}

impl Desk {
    fn required(&self) -> impl Iterator<Item = (&str, &str)> {
        let components = self.order.iter().flat_map(|order| &order.plan.components);
        let plain = components.filter(|required| is_plain(&required.name) && is_plain(&required.version));
        plain.take(MOST_COMPONENTS).map(|required| (required.name.as_str(), required.version.as_str()))
    }

    fn is_to_be_carried_out(&self) -> bool {
        self.order.as_ref().is_some_and(|order| self.state.done.as_ref() != Some(&order.plan.revision))
    }

    fn report(&self, name: &str, version: &str) -> ComponentReport {
        let installed = self.state.installed.get(name);
        let revision = self.order.as_ref().map(|order| &order.plan.revision);
        let failed = self.state.failed.get(name).filter(|failure| Some(&failure.revision) == revision);
        let waiting = self.waiting.get(name).or(self.refused.as_ref());
        let working = self.working.as_ref().filter(|working| working.name == name);
        let there = installed.is_some_and(|installed| installed.version == version);
        let (state, percent, problem) = match (working, failed, &self.refused) {
            (Some(working), _, _) => (working.state, working.percent, None),
            (None, Some(failure), _) => (ComponentState::Failed, None, Some(&failure.problem)),
            (None, None, _) if there => (ComponentState::Installed, None, None),
            (None, None, Some(refused)) => (ComponentState::Failed, None, Some(refused)),
            (None, None, None) => (ComponentState::Waiting, None, waiting),
        };
        ComponentReport {
            name: name.to_owned(),
            version: version.to_owned(),
            state,
            running: installed.map(|installed| installed.version.clone()),
            percent,
            problem: problem.map(Problem::told),
        }
    }
}

impl<S: Storage> Installer for LocalInstaller<S> {
    fn needs_plan(&self, owner: &PublicKey, time: u64, revision: &str) -> bool {
        {
            let mut desk = self.0.desk();
            desk.time = time;
            let owner = owner.to_base64();
            let known = desk.order.as_ref().map(|order| order.owner == owner && order.plan.revision == revision);
            if known != Some(true) {
                return true;
            }
        }
        self.start();
        false
    }

    fn take(&self, order: Order) {
        {
            let mut desk = self.0.desk();
            let Some(owner) = PublicKey::from_base64(&order.owner) else { return };
            let mut trust = desk.trust.clone();
            desk.refused = if self.0.config.is_none() {
                let text = "this image takes no components. Write [components] into its agent.toml";
                Some(Problem::lasting("components_off", text))
            } else if !trust.owner.admits(&owner) {
                let text =
                    "this NOC was not given the appliance by the one before it. Reset the appliance, or hand it over";
                Some(Problem::lasting("component_root", text))
            } else {
                if trust.order.as_ref().is_some_and(|former| former.owner != order.owner) {
                    trust.repository = None;
                }
                trust.order = Some(order.clone());
                // Tried again with the next beat: the plan is asked for again.
                if let Err(problem) = state::save(&self.0.storage, Document::ComponentTrust, &trust) {
                    tracing::warn!(%problem, "the plan could not be stored");
                    return;
                }
                desk.trust = trust;
                None
            };
            desk.time = order.time;
            desk.order = Some(order);
            (desk.retry, desk.failures) = (None, 0);
            desk.waiting.clear();
        }
        self.start();
    }

    fn heard(&self, signed: &[u8]) {
        let mut desk = self.0.desk();
        let mut trust = desk.trust.clone();
        if trust.owner.heard(self.0.uid, signed) {
            match state::save(&self.0.storage, Document::ComponentTrust, &trust) {
                Ok(()) => desk.trust = trust,
                Err(problem) => tracing::warn!(%problem, "a change of the owner could not be stored"),
            }
        }
    }

    fn reports(&self) -> Vec<ComponentReport> {
        let desk = self.0.desk();
        desk.required().map(|(name, version)| desk.report(name, version)).collect()
    }

    fn wanted(&self) -> Wanted {
        if self.0.desk().running { self.0.intake.wanted() } else { Wanted::Nothing }
    }

    fn supply(&self, supply: Supply) -> Taken {
        self.0.intake.supply(supply)
    }
}

impl<S: Storage> Shared<S> {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan, if it is not carried out yet.
    pub(super) fn order_to_carry_out(&self) -> Option<Order> {
        let desk = self.desk();
        let order = desk.order.clone().filter(|_| desk.refused.is_none() && desk.is_to_be_carried_out());
        order.map(|mut order| {
            order.plan.components.retain(|required| is_plain(&required.name) && is_plain(&required.version));
            order.plan.components.truncate(MOST_COMPONENTS);
            order
        })
    }

    pub(super) fn time(&self) -> u64 {
        self.desk().time
    }

    pub(super) fn step(&self) -> Option<Step> {
        self.desk().state.step.clone()
    }

    pub(super) fn installed(&self, name: &str) -> Option<Version> {
        self.desk().state.installed.get(name).cloned()
    }

    pub(super) fn has_failed(&self, name: &str, revision: &str) -> bool {
        self.desk().state.failed.get(name).is_some_and(|failure| failure.revision == revision)
    }

    pub(super) fn known(&self) -> Option<Known> {
        self.desk().trust.repository.clone()
    }

    /// Remembers what was verified of the repository.
    pub(super) fn learn(&self, known: Known) -> Result<(), Problem> {
        let mut desk = self.desk();
        if desk.trust.repository.as_ref() == Some(&known) {
            return Ok(());
        }
        let mut trust = desk.trust.clone();
        trust.repository = Some(known);
        state::save(&self.storage, Document::ComponentTrust, &trust)?;
        desk.trust = trust;
        Ok(())
    }

    /// Changes the state, on disk first.
    pub(super) fn update(&self, change: impl FnOnce(&mut State)) -> Result<(), Problem> {
        let mut desk = self.desk();
        let mut state = desk.state.clone();
        change(&mut state);
        state::save(&self.storage, Document::Components, &state)?;
        desk.state = state;
        Ok(())
    }

    pub(super) fn working(&self, name: &str, state: ComponentState, percent: Option<u8>) {
        self.desk().working = Some(Working { name: name.to_owned(), state, percent });
    }

    /// A component's turn is over.
    pub(super) fn ended(&self, name: &str, problem: Option<&Problem>) {
        let mut desk = self.desk();
        desk.working = None;
        match problem.filter(|problem| problem.passes) {
            Some(problem) => drop(desk.waiting.insert(name.to_owned(), problem.clone())),
            None => drop(desk.waiting.remove(name)),
        }
    }
}
