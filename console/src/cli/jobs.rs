//! `muster job`.

use super::args::JobCommand;
use super::status::time;
use super::{CommandError, Context, Exit, Streams, table, wait, write_json};
use crate::engine::{Engine, EngineError};
use crate::export::step_word;
use crate::jobs::JobError;
use crate::view::{JobItemView, JobStep, JobView};

pub(super) async fn job(
    context: &Context,
    command: JobCommand,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    match command {
        JobCommand::List => list(context, streams).await,
        JobCommand::Show { id, csv } => {
            let engine = quiet(context).await?;
            let job = find(&engine, id)?;
            if csv {
                write!(streams.out, "{}", engine.job_csv(id).await?)?;
                return Ok(Exit::Success);
            }
            show(context, &job, streams).map(|_| Exit::Success)
        }
        JobCommand::Resume => {
            let engine = context.working().await?;
            let open: Vec<u32> = engine.jobs().iter().filter(|job| job.finished.is_none()).map(|job| job.id).collect();
            let mut worst = Exit::Success;
            for id in open {
                let job = wait::job(&engine, id, context.json, streams).await?;
                if show(context, &job, streams)? != Exit::Success {
                    worst = Exit::SomeFailed;
                }
            }
            engine.shutdown().await;
            Ok(worst)
        }
        JobCommand::Retry { id, uids } => {
            let engine = context.working().await?;
            wait::connected(&engine).await?;
            engine.retry_job(id, uids).await?;
            finish(&engine, context, id, streams).await
        }
        JobCommand::Cancel { id } => {
            let engine = context.working().await?;
            engine.cancel_job(id).await?;
            finish(&engine, context, id, streams).await.map(|_| Exit::Success)
        }
    }
}

/// Prints a job; tells by the exit code whether any of it failed.
pub(super) fn show(context: &Context, job: &JobView, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    if context.json {
        write_json(streams.out, job)?;
    } else {
        let cells: Vec<_> = job.items.iter().map(cells).collect();
        table::write(streams.out, ["UID", "NAME", "ADDRESS", "RESULT", "PROBLEM"], &cells)?;
    }
    let all_well = job.items.iter().all(|item| item.step == JobStep::Configured);
    Ok(if all_well { Exit::Success } else { Exit::SomeFailed })
}

async fn list(context: &Context, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let jobs = quiet(context).await?.jobs();
    if context.json {
        write_json(streams.out, &jobs)?;
        return Ok(Exit::Success);
    }
    let count = |job: &JobView, step| job.items.iter().filter(|item| item.step == step).count().to_string();
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            let state = match (job.finished, job.cancelled) {
                (None, false) => "unfinished",
                (None, true) => "being cancelled",
                (Some(_), true) => "cancelled",
                (Some(_), false) => "finished",
            };
            let (configured, failed) = (count(job, JobStep::Configured), count(job, JobStep::Failed));
            [
                job.id.to_string(),
                job.site.to_string(),
                time(job.started),
                state.to_owned(),
                job.items.len().to_string(),
                configured,
                failed,
            ]
        })
        .collect();
    table::write(streams.out, ["JOB", "SITE", "STARTED", "STATE", "APPLIANCES", "CONFIGURED", "FAILED"], &rows)?;
    Ok(Exit::Success)
}

async fn finish(engine: &Engine, context: &Context, id: u32, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let job = wait::job(engine, id, context.json, streams).await?;
    engine.shutdown().await;
    show(context, &job, streams)
}

/// An engine that neither asks the network nor runs anything.
async fn quiet(context: &Context) -> Result<Engine, CommandError> {
    context.asking().await
}

fn find(engine: &Engine, id: u32) -> Result<JobView, CommandError> {
    Ok(engine.job(id).ok_or(EngineError::Job(JobError::Unknown { id }))?)
}

fn cells(item: &JobItemView) -> [String; 5] {
    let problem =
        item.problem.as_ref().map(|problem| format!("{}: {} {}", problem.code, problem.message, problem.remedy));
    [
        item.uid.clone(),
        item.settings.host_name.clone(),
        item.settings.address.clone(),
        step_word(item.step).to_owned(),
        problem.unwrap_or_default(),
    ]
}
