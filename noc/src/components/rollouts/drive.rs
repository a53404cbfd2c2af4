//! What moves roll-outs on while the NOC serves: what appliances said, and times that have come. Everything that it goes by is in the database,
//! so after a restart it goes on where it was.

use super::super::required::Required;
use super::super::waves::{Next, cut, next};
use super::{RolloutError, RolloutState, halt, record};
use crate::audit::By;
use crate::clock;
use crate::error::StoreError;
use crate::noc::Inner;
use crate::store::components;
use crate::store::rollouts::{self as store, Candidate, Kept, STEP};
use rusqlite::Connection;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Between looks at whether anything happened.
const LOOK: Duration = Duration::from_secs(1);

/// What was known of a roll-out when it was looked at last, and when it wants to be looked at again.
type Looked = HashMap<i64, ((u64, String, bool), Option<u64>)>;

/// Moves roll-outs on until the NOC stops.
pub(crate) async fn run(noc: Arc<Inner>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = Looked::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        if let Err(error) = round(&noc, &mut looked).await {
            tracing::error!(error = &error as &dyn std::error::Error, "roll-outs were not moved on; trying again");
        }
    }
}

async fn round(noc: &Arc<Inner>, looked: &mut Looked) -> Result<(), RolloutError> {
    let now = clock::now();
    let found = noc.store.read(move |db| Ok::<_, StoreError>((store::running(db)?, store::left_over(db, now)?)));
    let (running, left) = found.await?;
    looked.retain(|id, _| running.iter().any(|(known, _)| known == id));
    for (id, mark) in running {
        let is_same = looked.get(&id).is_some_and(|(known, due)| *known == mark && due.is_none_or(|due| due > now));
        if !is_same {
            let due = step(noc, id).await?;
            looked.insert(id, (mark, due));
        }
    }
    if let Some(id) = left {
        while noc.store.write_history(move |db| store::sweep(db, id)).await? {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Does what is to be done with one; when it is to be looked at again if nothing happens.
async fn step(noc: &Arc<Inner>, id: i64) -> Result<Option<u64>, RolloutError> {
    let now = clock::now();
    let found = noc.store.read(move |db| look(db, now, id)).await?;
    let Some((kept, what)) = found else { return Ok(None) };
    match what {
        What::Retired => {
            let why = format!("{} {} was retired", kept.rollout.name, kept.rollout.version);
            stop_for(noc, kept, why).await?;
            Ok(None)
        }
        What::Late => {
            while noc
                .store
                .write_history({
                    let kept = kept.clone();
                    move |db| store::mark_late(db, now, &kept)
                })
                .await?
                == STEP
            {
                tokio::task::yield_now().await;
            }
            Ok(Some(now + 1))
        }
        What::Next(Next::Wait(due)) => Ok(due),
        What::Next(Next::Halt { wave, failed, of }) => {
            let limit = kept.waves.halt_at;
            let why = format!("{failed} of {of} appliances of wave {} failed; at most {limit} may", wave + 1);
            stop_for(noc, kept, why).await?;
            Ok(None)
        }
        What::Next(Next::Go) => {
            go(noc, kept).await?;
            Ok(Some(now))
        }
    }
}

enum What {
    Retired,
    /// Some have had their time.
    Late,
    Next(Next),
}

fn look(db: &Connection, now: u64, id: i64) -> Result<Option<(Kept, What)>, StoreError> {
    let Some(kept) = store::find(db, id)?.filter(|kept| kept.state == RolloutState::Running) else { return Ok(None) };
    let rollout = &kept.rollout;
    let wanted = Required { name: rollout.name.clone(), version: Some(rollout.version.clone()), ..Required::default() };
    if components::resolve(db, kept.organisation.0, &wanted)?.is_none() {
        return Ok(Some((kept, What::Retired)));
    }
    let tallies = store::tallies(db, rollout)?;
    let is_late = |asked: u64| asked + u64::from(kept.waves.within_s) <= now;
    if tallies.iter().any(|tally| tally.waiting > 0 && is_late(tally.asked)) {
        return Ok(Some((kept, What::Late)));
    }
    let next = match next(&kept.waves, &tallies, now) {
        Next::Wait(_) if kept.is_pushed => Next::Go,
        next => next,
    };
    Ok(Some((kept, What::Next(next))))
}

/// Halts it, unless somebody was faster.
async fn stop_for(noc: &Arc<Inner>, kept: Kept, why: String) -> Result<(), RolloutError> {
    let id = kept.rollout.id;
    tracing::warn!(
        rollout = id,
        component = kept.rollout.name,
        version = kept.rollout.version,
        why,
        "a roll-out was halted"
    );
    let halted = noc.store.write(move |db| match still(db, &kept)? {
        Some(kept) => halt(db, clock::now(), &By::noc(), &kept, &why),
        None => Ok(()),
    });
    halted.await
}

/// As it is now, if it is where it was.
fn still(db: &Connection, was: &Kept) -> Result<Option<Kept>, StoreError> {
    let is_same = |kept: &Kept| kept.state == RolloutState::Running && kept.rollout.cuts == was.rollout.cuts;
    Ok(store::find(db, was.rollout.id)?.filter(is_same))
}

/// Begins the next wave, or ends it after the last.
async fn go(noc: &Arc<Inner>, kept: Kept) -> Result<(), RolloutError> {
    let (id, wave) = (kept.rollout.id, kept.rollout.cuts.len());
    let Some(share) = kept.waves.waves.get(wave).copied() else {
        let done = noc.store.write(move |db| {
            let now = clock::now();
            let Some(kept) = still(db, &kept)? else { return Ok::<_, StoreError>(()) };
            store::set_state(db, now, &kept, (RolloutState::Done, false), "")?;
            record(db, now, &By::noc(), &kept, "rollout.done", json!({ "waves": wave }))
        });
        return Ok(done.await?);
    };
    let found = noc
        .store
        .read({
            let kept = kept.clone();
            move |db| store::candidates(db, &kept)
        })
        .await?;
    let positions: Vec<u64> = found.iter().map(|one| one.position).collect();
    let before = kept.rollout.cuts.last().copied();
    let cut = cut(share, &positions, before);
    let mut new: Vec<Candidate> = found
        .into_iter()
        .filter(|one| one.position <= cut && before.is_none_or(|before| one.position > before))
        .collect();
    let count = new.len();
    let now = clock::now();
    // They are written down before the wave begins, a part at a time, so that beats get in between. Until it begins they do not count.
    while !new.is_empty() {
        let some: Vec<_> = new.drain(..new.len().min(STEP)).collect();
        noc.store.write_history(move |db| store::add(db, now, id, wave, &some)).await?;
    }
    let begun = noc.store.write(move |db| {
        let now = clock::now();
        let Some(kept) = still(db, &kept)? else { return Ok::<_, StoreError>(()) };
        let mut cuts = kept.rollout.cuts.clone();
        cuts.push(cut);
        store::begin_wave(db, now, id, &cuts)?;
        let detail = json!({ "wave": wave + 1, "reaches": share, "appliances": count });
        record(db, now, &By::noc(), &kept, "rollout.wave", detail)
    });
    Ok(begun.await?)
}
