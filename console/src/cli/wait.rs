//! Waiting for what the engine does.

use super::{CommandError, Streams};
use crate::engine::Engine;
use crate::view::{DiscoveryView, Event, JobStep, JobView, NocLink, is_under_way};
use std::time::Duration;

/// How long a command waits for the first word from the NOC.
const NOC_PATIENCE: Duration = Duration::from_secs(25);

/// How it stands with the NOC, once that is known.
pub(super) async fn noc(engine: &Engine) -> NocLink {
    let (_, mut events) = engine.subscribe();
    let known = async {
        while engine.noc() == NocLink::NotJoined {
            if events.next().await.is_none() {
                break;
            }
        }
    };
    // A console that has not joined stays so: there is nothing to wait for.
    if engine.has_joined() {
        let _ = tokio::time::timeout(NOC_PATIENCE, known).await;
    }
    engine.noc()
}

/// The NOC answers, or the command fails with what is wrong.
pub(super) async fn connected(engine: &Engine) -> Result<(), CommandError> {
    match noc(engine).await {
        NocLink::Connected { .. } => Ok(()),
        NocLink::Lost { problem, .. } => Err(CommandError::Other(problem)),
        NocLink::NotJoined if engine.has_joined() => Err(CommandError::other(
            "noc_unreachable",
            "the NOC did not answer in time",
            "Check that the NOC is running and that this computer reaches its address.",
        )),
        NocLink::NotJoined => Err(crate::engine::EngineError::NotJoined.into()),
    }
}

/// A whole discovery.
pub(super) async fn discovery(engine: &Engine) -> Result<DiscoveryView, CommandError> {
    let discovery = engine.roll_call().await?;
    match discovery.problem {
        Some(problem) => Err(CommandError::Other(problem)),
        None => Ok(discovery),
    }
}

/// Until a job is finished; progress goes to the error stream.
pub(super) async fn job(
    engine: &Engine,
    id: u32,
    quiet: bool,
    streams: &mut Streams<'_>,
) -> Result<JobView, CommandError> {
    let (_, mut events) = engine.subscribe();
    let mut told = String::new();
    loop {
        let unknown = || crate::engine::EngineError::from(crate::jobs::JobError::Unknown { id });
        let (line, finished) = engine
            .with_job(id, |job| (if quiet { String::new() } else { progress(job) }, job.finished.is_some()))
            .ok_or_else(unknown)?;
        if line != told {
            writeln!(streams.err, "{line}")?;
            told = line;
        }
        if finished {
            return Ok(engine.job(id).ok_or_else(unknown)?);
        }
        loop {
            let Some(batch) = events.next().await else { return Err(crate::engine::EngineError::Ended.into()) };
            if batch.iter().any(|event| matches!(event, Event::Job { .. })) {
                break;
            }
        }
    }
}

/// `job 1: 12 of 24 configured, 1 failed, 3 waiting (noc_unreachable)`.
fn progress(job: &JobView) -> String {
    let count = |wanted: fn(JobStep) -> bool| job.items.iter().filter(|item| wanted(item.step)).count();
    let mut line =
        format!("job {}: {} of {} configured", job.id, count(|step| step == JobStep::Configured), job.items.len());
    let failed = count(|step| step == JobStep::Failed);
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    let held_up = job.items.iter().filter(|item| is_under_way(item.step)).find_map(|item| item.problem.as_ref());
    if let Some(problem) = held_up {
        line.push_str(&format!(" (waiting: {})", problem.message));
    }
    line
}
