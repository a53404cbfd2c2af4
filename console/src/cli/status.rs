//! `muster status` and `muster alerts`: what the NOC knows.

use super::{CommandError, Context, Exit, Streams, table, wait, write_json};
use crate::view::{AlertView, ApplianceRow, RowAlertKind, RowHealth};

pub(super) async fn status(context: &Context, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.asking().await?;
    wait::connected(&engine).await?;
    let (noc, sites, rows) = (engine.noc(), engine.sites(), engine.appliances());
    engine.shutdown().await;
    if context.json {
        write_json(streams.out, &serde_json::json!({ "noc": noc, "sites": sites, "appliances": rows }))?;
        return Ok(Exit::Success);
    }
    let now = crate::view::seconds(muster_protocol::time::UnixTime::from_system(std::time::SystemTime::now()).0);
    let cells: Vec<_> = rows.iter().map(|row| cells(row, now)).collect();
    table::write(
        streams.out,
        ["UID", "NAME", "ADDRESS", "MODEL", "HEALTH", "LAST BEAT", "LOAD", "MEMORY", "DISK"],
        &cells,
    )?;
    let failing = rows.iter().filter(|row| is_failing(row.health)).count();
    writeln!(streams.err, "{} appliances, {failing} failing", rows.len())?;
    Ok(Exit::Success)
}

pub(super) async fn alerts(context: &Context, all: bool, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.asking().await?;
    wait::connected(&engine).await?;
    let alerts: Vec<_> = engine.alerts().into_iter().filter(|alert| all || alert.closed.is_none()).collect();
    engine.shutdown().await;
    if context.json {
        write_json(streams.out, &alerts)?;
        return Ok(Exit::Success);
    }
    let cells: Vec<_> = alerts.iter().map(alert_cells).collect();
    table::write(streams.out, ["ALERT", "WHAT", "SITE", "APPLIANCES", "OPENED", "CLOSED", "HANDLED"], &cells)?;
    Ok(Exit::Success)
}

pub(super) async fn acknowledge(
    context: &Context,
    alert: u32,
    note: &str,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    let engine = context.asking().await?;
    wait::connected(&engine).await?;
    let done = engine.acknowledge(alert, note).await;
    engine.shutdown().await;
    done?;
    writeln!(streams.err, "Alert {alert} is acknowledged.")?;
    Ok(Exit::Success)
}

fn is_failing(health: RowHealth) -> bool {
    use RowHealth::{Failing, NeverReported, Recovering, Silent, Unreachable};
    matches!(health, NeverReported | Silent | Recovering | Failing | Unreachable)
}

fn cells(row: &ApplianceRow, now: u32) -> [String; 9] {
    let percent = |value: Option<f64>| value.map(|value| format!("{value:.0} %")).unwrap_or_default();
    let values = row.values.as_ref();
    [
        row.uid.clone(),
        row.settings.host_name.clone(),
        row.settings.address.clone(),
        row.model.clone(),
        health(row),
        row.last_beat.map(|at| format!("{} s ago", now.saturating_sub(at))).unwrap_or_default(),
        values.map(|values| format!("{:.2}", values.load)).unwrap_or_default(),
        percent(values.map(|values| values.memory_percent)),
        percent(values.map(|values| values.disk_percent)),
    ]
}

/// How it beats, what somebody changed on it by hand, who claims its address, and whether its settings are in force.
fn health(row: &ApplianceRow) -> String {
    let mut text = health_word(row.health).to_owned();
    let Some(values) = &row.values else { return text };
    if !values.drift.is_empty() {
        text += &format!(", changed by hand: {}", values.drift.join(", "));
    }
    if let Some(mac) = &values.address_conflict {
        text += &format!(", address also claimed by {mac}");
    }
    if let Some(problem) = &values.network_problem {
        text += &format!(", settings not in force: {problem}");
    }
    text
}

fn alert_cells(alert: &AlertView) -> [String; 7] {
    let what = match alert.kind {
        RowAlertKind::Silent => "silent".to_owned(),
        RowAlertKind::NeverReported => "never reported".to_owned(),
        RowAlertKind::Site => "large part of a site silent".to_owned(),
        RowAlertKind::Unstable => "silent and well again too often".to_owned(),
        RowAlertKind::Failing => format!("failing: {}", alert.rule),
    };
    let names: Vec<_> = alert.appliances.iter().map(|appliance| appliance.name.clone()).collect();
    [
        alert.id.to_string(),
        what,
        alert.site.to_string(),
        names.join(", "),
        time(alert.opened),
        alert.closed.map(time).unwrap_or_default(),
        handled(alert),
    ]
}

/// What people made of it, and what came of nobody's doing anything.
fn handled(alert: &AlertView) -> String {
    let mut parts = Vec::new();
    if alert.escalated.is_some() {
        parts.push("escalated".to_owned());
    }
    if alert.acknowledged.is_some() {
        let note = if alert.note.is_empty() { String::new() } else { format!(": {}", alert.note) };
        parts.push(format!("seen by {}{note}", alert.acknowledged_by));
    }
    if let Some(until) = alert.silenced_until {
        parts.push(format!("silenced until {}", time(until)));
    }
    parts.join(", ")
}

fn health_word(health: RowHealth) -> &'static str {
    match health {
        RowHealth::NotExpected => "not expected",
        RowHealth::NeverReported => "never reported",
        RowHealth::Well => "well",
        RowHealth::Late => "late",
        RowHealth::Silent => "silent",
        RowHealth::Recovering => "recovering",
        RowHealth::Failing => "failing",
        RowHealth::Unreachable => "unreachable",
        RowHealth::Maintenance => "in maintenance",
    }
}

/// `2026-11-23 12:44:05 UTC` (the civil calendar from days, after Howard Hinnant).
pub(super) fn time(unix: u32) -> String {
    let (days, second) = (i64::from(unix / 86_400), unix % 86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_civil_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(1_795_437_845), "2026-11-23 12:44:05 UTC");
    }
}
