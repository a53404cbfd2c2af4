//! `muster plan` and `muster configure`.

use super::args::{Choice, ConfigureArgs, PlanArgs};
use super::claims::{codes, plan_of_csv, plan_to_csv};
use super::{CommandError, Context, Exit, Streams, jobs, table, wait, write_json};
use crate::engine::{Engine, EngineError};
use crate::view::{ApplianceRow, Chosen, EditedRow, PlanRowView, PlanView, RowOwnership, RowState, Settings};
use muster_protocol::id::Uid;

pub(super) async fn plan(context: &Context, args: &PlanArgs, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.looking().await?;
    let plan = make_plan(&engine, &args.choice, &args.only, streams).await?;
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
            let plan = make_plan(engine, &args.choice, &[], streams).await?;
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
async fn make_plan(
    engine: &Engine,
    choice: &Choice,
    only: &[String],
    streams: &mut Streams<'_>,
) -> Result<PlanView, CommandError> {
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
    let chosen = rows.iter().filter(wanted).map(|row| {
        let claim = claims.code(row);
        let is_known = !is_unknown(row.state) || claim.is_some() || !named.is_empty();
        (is_known, Chosen { uid: row.uid.clone(), claim })
    });
    let (chosen, crowd) = without_crowd(chosen);
    if crowd > 0 {
        writeln!(streams.err, "{crowd} more answered that the inventory does not know; they are left out")?;
    }
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

/// Those that are known, and no more than [`MOST_UNKNOWN`] of the others; how many were left out. Anybody on the network can
/// answer in the name of any number of appliances, and a request to the NOC holds only so many.
fn without_crowd<T>(rows: impl Iterator<Item = (bool, T)>) -> (Vec<T>, usize) {
    let (mut unknown, mut kept) = (0, Vec::new());
    for (is_known, row) in rows {
        unknown += usize::from(!is_known);
        if is_known || unknown <= MOST_UNKNOWN {
            kept.push(row);
        }
    }
    (kept, unknown.saturating_sub(MOST_UNKNOWN))
}

const MOST_UNKNOWN: usize = 1_000;

fn is_open(row: &ApplianceRow) -> bool {
    row.heard && (is_unknown(row.state) || matches!(row.state, RowState::Unconfigured | RowState::Failed))
}

/// Anybody on the link may have made it up.
fn is_unknown(state: RowState) -> bool {
    matches!(state, RowState::Unclaimed | RowState::NoVoucher)
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
        RowOwnership::NoVoucher => "no voucher",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_unknown_answers_does_not_push_out_those_that_are_known() {
        let rows = (0..50_000).map(|n| (n % 10_000 == 9_999, n));
        let (kept, crowd) = without_crowd(rows);
        assert!([9_999, 19_999, 49_999].iter().all(|known| kept.contains(known)));
        assert_eq!((kept.len(), crowd), (MOST_UNKNOWN + 5, 50_000 - 5 - MOST_UNKNOWN));
        assert_eq!(without_crowd((0..20).map(|n| (false, n))).0.len(), 20);
    }
}
