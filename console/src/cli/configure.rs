//! `muster plan` and `muster configure`.

use super::args::{Choice, ConfigureArgs, PlanArgs};
use super::claims::{codes, plan_of_csv, plan_to_csv};
use super::{CommandError, Context, Exit, Streams, jobs, table, wait, write_json};
use crate::engine::{Engine, EngineError};
use crate::view::{ApplianceRow, Chosen, EditedRow, PlanRowView, PlanView, RowOwnership, RowState, Settings};
use muster_protocol::id::Uid;

pub(super) async fn plan(context: &Context, args: &PlanArgs, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.looking().await?;
    let plan = make_plan(&engine, &args.choice, &args.only).await?;
    engine.shutdown().await;
    if let Some(path) = &args.out {
        std::fs::write(path, plan_to_csv(&plan))?;
    }
    if context.json {
        write_json(streams.out, &plan)?;
    } else {
        let cells: Vec<_> = plan.rows.iter().map(cells).collect();
        table::write(
            streams.out,
            ["UID", "MODEL", "OWNER", "NAME", "ADDRESS", "NETMASK", "GATEWAY", "PROBLEM"],
            &cells,
        )?;
    }
    Ok(if plan.rows.iter().any(|row| row.problem.is_some()) { Exit::SomeFailed } else { Exit::Success })
}

pub(super) async fn configure(
    context: &Context,
    args: &ConfigureArgs,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    // Read first: a bad file is told before anybody is pinged.
    let edited = args.plan.as_deref().map(plan_of_csv).transpose()?;
    let engine = context.working().await?;
    let done = configure_with(&engine, context, args, edited, streams).await;
    engine.shutdown().await;
    done
}

async fn configure_with(
    engine: &Engine,
    context: &Context,
    args: &ConfigureArgs,
    edited: Option<Vec<EditedRow>>,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    let (site, rows, left_out) = match edited {
        Some(rows) => {
            wait::connected(engine).await?;
            wait::discovery(engine).await?;
            (site(engine, &args.choice)?, rows, Vec::new())
        }
        None => {
            let plan = make_plan(engine, &args.choice, &[]).await?;
            let (good, bad): (Vec<_>, Vec<_>) = plan.rows.into_iter().partition(|row| row.problem.is_none());
            let edit = |row: PlanRowView| EditedRow { uid: row.uid, settings: row.settings };
            (plan.site, good.into_iter().filter(|row| row.settings != Settings::default()).map(edit).collect(), bad)
        }
    };
    for row in &left_out {
        let why = row.problem.as_ref().map(|problem| format!("{} {}", problem.message, problem.remedy));
        writeln!(streams.err, "{} is left out: {}", row.uid, table::printable(&why.unwrap_or_default()))?;
    }
    let id = match engine.configure(site, rows).await {
        Ok(id) => id,
        Err(EngineError::Check { findings }) => {
            for finding in &findings {
                let message = table::printable(&finding.message);
                writeln!(streams.err, "{} {}: {} ({message})", finding.uid, finding.field, finding.code)?;
            }
            return Err(EngineError::Check { findings }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let job = wait::job(engine, id, context.json, streams).await?;
    let exit = jobs::show(context, &job, streams)?;
    Ok(if left_out.is_empty() { exit } else { Exit::SomeFailed })
}

/// Discovers, then plans for those named, or for all that are not configured.
async fn make_plan(engine: &Engine, choice: &Choice, only: &[String]) -> Result<PlanView, CommandError> {
    let claims = choice.claims.as_deref().map(codes).transpose()?.unwrap_or_default();
    wait::connected(engine).await?;
    wait::discovery(engine).await?;
    let site = site(engine, choice)?;
    let mut named = Vec::new();
    for text in only {
        named.push(text.parse::<Uid>().map_err(EngineError::from)?.to_string());
    }
    let rows = engine.appliances();
    let wanted = |row: &&ApplianceRow| if named.is_empty() { is_open(row) } else { named.contains(&row.uid) };
    let chosen: Vec<_> =
        rows.iter().filter(wanted).map(|row| Chosen { uid: row.uid.clone(), claim: claims.code(row) }).collect();
    if let Some(unknown) = named.iter().find(|uid| rows.iter().all(|row| row.uid != **uid)) {
        let uid = unknown.parse::<Uid>().map_err(EngineError::from)?;
        return Err(EngineError::NotHeard { uids: vec![uid] }.into());
    }
    if chosen.is_empty() {
        let remedy = "If one is missing here, check its power and its link.";
        return Err(CommandError::other(
            "nothing_to_configure",
            "no appliance that is not configured answered",
            remedy,
        ));
    }
    Ok(engine.plan(site, chosen).await?)
}

fn is_open(row: &ApplianceRow) -> bool {
    row.heard && matches!(row.state, RowState::Unconfigured | RowState::Unclaimed | RowState::Failed)
}

fn site(engine: &Engine, choice: &Choice) -> Result<u32, CommandError> {
    let sites = engine.sites();
    let names = || sites.iter().map(|site| format!("{} ({})", site.name, site.id)).collect::<Vec<_>>().join(", ");
    match &choice.site {
        Some(wanted) => {
            let found = sites.iter().find(|site| site.id.to_string() == *wanted || site.name == *wanted);
            let message = format!("this console has no site `{wanted}`");
            let remedy = format!("Its sites: {}.", names());
            found.map(|site| site.id).ok_or_else(|| CommandError::other("no_such_site", message, &remedy))
        }
        None => match sites.as_slice() {
            [site] => Ok(site.id),
            [] => Err(CommandError::other(
                "no_site",
                "this console has no site",
                "Ask whoever runs the NOC for an invite to one.",
            )),
            _ => Err(CommandError::other(
                "which_site",
                "this console has several sites",
                &format!("Choose one with --site: {}.", names()),
            )),
        },
    }
}

pub(super) fn ownership_word(ownership: RowOwnership) -> &'static str {
    match ownership {
        RowOwnership::Owned => "owned",
        RowOwnership::Unclaimed => "unclaimed",
        RowOwnership::OtherSite => "other site",
    }
}

fn cells(row: &PlanRowView) -> [String; 8] {
    let problem = row.problem.as_ref().map(|problem| format!("{} {}", problem.message, problem.remedy));
    [
        row.uid.clone(),
        row.model.clone(),
        ownership_word(row.ownership).to_owned(),
        row.settings.host_name.clone(),
        row.settings.address.clone(),
        row.settings.netmask.clone(),
        row.settings.gateway.clone(),
        problem.unwrap_or_default(),
    ]
}
