//! One pass: what was begun is ended, then every component that is required and not there.

use super::activate::Place;
use super::config::ComponentsConfig;
use super::download::{download, has_room, tidy};
use super::local::Shared;
use super::repository::{Repository, stated};
use super::state::{Failure, Step, Version};
use super::target::{Custom, Kind, is_target_name};
use super::{Order, Problem};
use crate::storage::Storage;
use muster_protocol::api::{ComponentState, RequiredComponent};
use muster_protocol::crypto::keys::PublicKey;

/// A version that brings the appliance down whenever it starts is given up after so many starts.
const MOST_TRIES: u32 = 3;
/// What an archive takes unpacked if the repository does not say it, in lengths of its file.
const UNPACKED: u64 = 4;

/// True if there is nothing left to do.
pub(super) async fn pass<S: Storage>(shared: &Shared<S>, config: &ComponentsConfig) -> Result<bool, Problem> {
    let place = Place(config);
    settle(shared, &place).await?;
    let Some(order) = shared.order_to_carry_out() else { return Ok(true) };
    let mut whole = true;
    if !order.plan.components.is_empty() {
        place.make()?;
        let repository = repository(shared, config, &place, &order).await?;
        for required in &order.plan.components {
            if shared.has_failed(&required.name, &order.plan.revision) {
                continue;
            }
            settle(shared, &place).await?;
            let brought = bring(shared, &place, &repository, required, &order).await;
            shared.ended(&required.name, brought.as_ref().err());
            match brought {
                Ok(()) => {}
                Err(problem) if problem.passes => {
                    tracing::warn!(component = required.name, code = problem.code, "not installed; trying again");
                    tracing::debug!(%problem, "why");
                    whole = false;
                }
                Err(problem) => {
                    tracing::error!(component = required.name, %problem, "not installed; what was there before is in force");
                    let failure = Failure { revision: order.plan.revision.clone(), problem };
                    shared.update(|state| drop(state.failed.insert(required.name.clone(), failure)))?;
                }
            }
        }
    }
    settle(shared, &place).await?;
    if whole {
        shared.update(|state| state.done = Some(order.plan.revision.clone()))?;
        tidy(&place.side(), &[]);
    }
    Ok(whole)
}

async fn repository<S: Storage>(
    shared: &Shared<S>,
    config: &ComponentsConfig,
    place: &Place<'_>,
    order: &Order,
) -> Result<Repository, Problem> {
    let Some(statement) = &order.plan.root else {
        return Err(Problem::passing(
            "no_component_root",
            "the NOC names components and no repository. Set one up there",
        ));
    };
    let owner = PublicKey::from_base64(&order.owner).ok_or_else(|| Problem::lasting("component_root", "no key"))?;
    let pinned = config.repository.map(|hash| hash.0);
    let mut known = stated(&owner, statement, pinned, shared.known())?;
    let loaded = Repository::load(&mut known, &shared.intake, &place.side(), shared.time()).await;
    // What was verified is never forgotten, also if the rest could not be had.
    shared.learn(known)?;
    loaded
}

async fn bring<S: Storage>(
    shared: &Shared<S>,
    place: &Place<'_>,
    repository: &Repository,
    required: &RequiredComponent,
    order: &Order,
) -> Result<(), Problem> {
    let target = &required.target;
    if !is_target_name(target) {
        return Err(Problem::lasting("target_name", "the plan names a file that leads elsewhere. Correct the policy"));
    }
    let signed = repository.target(target)?;
    let custom = Custom::read(&signed.custom, required)?;
    let patience = custom.patience();
    let config = place.0;
    if !config.kinds.contains(&custom.kind) {
        let text =
            format!("this image installs nothing of the kind {:?}. See [components] in its agent.toml", custom.kind);
        return Err(Problem::lasting("kind_refused", text));
    }
    let unpacked = match custom.kind {
        Kind::Archive => custom.unpacked.unwrap_or(signed.length.saturating_mul(UNPACKED)),
        Kind::Deb | Kind::Exec => custom.unpacked.unwrap_or(0),
    };
    if signed.length > config.max_bytes || custom.unpacked.is_some_and(|bytes| bytes > config.max_bytes) {
        let text = format!("{target} takes more than the {} bytes that this image allows", config.max_bytes);
        return Err(Problem::lasting("too_large", text));
    }
    let version = Version {
        name: custom.name,
        version: custom.version,
        sha256: signed.sha256.clone(),
        kind: custom.kind,
        unit: custom.unit,
        health: custom.health,
        patience,
    };
    let (installed, kept) = (shared.installed(&version.name), place.kept(&version));
    if installed.as_ref().is_some_and(|installed| installed.sha256 == version.sha256) {
        return Ok(());
    }
    tidy(&place.side(), &[&version.sha256]);
    if !kept.exists() || version.kind != Kind::Archive {
        shared.working(&version.name, ComponentState::Downloading, Some(0));
        has_room(&place.side(), signed.length.saturating_add(unpacked))?;
        let bandwidth = [order.plan.bandwidth, config.bandwidth].into_iter().flatten().min();
        let progress = |percent| shared.working(&version.name, ComponentState::Downloading, Some(percent));
        let file = download(&shared.intake, &place.side(), &signed, bandwidth, progress).await?;
        shared.working(&version.name, ComponentState::Installing, None);
        place.keep(&file, &version)?;
    }
    let revision = order.plan.revision.clone();
    let step = Step { to: version, former: installed, revision, tries: 0, back: None };
    shared.update(|state| state.step = Some(step))?;
    end_step(shared, place).await
}

/// Ends what was begun, before anything else is: a version that could not be taken back is tried again.
async fn settle<S: Storage>(shared: &Shared<S>, place: &Place<'_>) -> Result<(), Problem> {
    match end_step(shared, place).await {
        Err(problem) if shared.step().is_some() => Err(Problem { passes: true, ..problem }),
        // It was taken back, and is reported.
        _ => Ok(()),
    }
}

/// Ends what was begun: the new version is in force and well, or the one before is in force again.
async fn end_step<S: Storage>(shared: &Shared<S>, place: &Place<'_>) -> Result<(), Problem> {
    let Some(mut step) = shared.step() else { return Ok(()) };
    let name = step.to.name.clone();
    shared.working(&name, ComponentState::Installing, None);
    if step.back.is_none() {
        step.tries += 1;
        if step.tries > MOST_TRIES {
            let text = "the appliance went down each time that it was to be brought into force";
            step.back = Some(Problem::lasting("unhealthy", text));
        }
        shared.update(|state| state.step = Some(step.clone()))?;
    }
    if step.back.is_none() {
        let brought = match place.bring(&step.to, false).await {
            Ok(()) => place.check(&step.to).await,
            failed => failed,
        };
        match brought {
            Ok(()) => return succeeded(shared, place, &step).await,
            Err(problem) => step.back = Some(problem),
        }
        shared.update(|state| state.step = Some(step.clone()))?;
    }
    let problem = step.back.clone().unwrap_or_else(|| Problem::lasting("unhealthy", ""));
    tracing::warn!(component = name, version = step.to.version, %problem, "rolling back");
    let same_kind = step.former.as_ref().is_some_and(|former| former.kind == step.to.kind);
    if !same_kind {
        place.take_out(&step.to).await?;
    }
    if let Some(former) = &step.former {
        place.bring(former, true).await?;
    }
    shared.update(|state| {
        state.step = None;
        if !problem.passes {
            let failure = Failure { revision: step.revision.clone(), problem: problem.clone() };
            state.failed.insert(name.clone(), failure);
        }
    })?;
    Err(problem)
}

async fn succeeded<S: Storage>(shared: &Shared<S>, place: &Place<'_>, step: &Step) -> Result<(), Problem> {
    let name = &step.to.name;
    if let Some(former) = step.former.as_ref().filter(|former| former.kind != step.to.kind)
        && let Err(problem) = place.take_out(former).await
    {
        tracing::warn!(component = name, %problem, "what it was before could not be removed");
    }
    shared.update(|state| {
        state.step = None;
        state.failed.remove(name);
        state.installed.insert(name.clone(), step.to.clone());
        match &step.former {
            Some(former) => drop(state.former.insert(name.clone(), former.clone())),
            None => drop(state.former.remove(name)),
        }
    })?;
    let keep: Vec<&Version> = std::iter::once(&step.to).chain(&step.former).collect();
    place.prune(name, &keep);
    tracing::info!(component = name, version = step.to.version, "installed");
    Ok(())
}
