//! The outbox: what channels have to tell. Rows are written with the event, gathered into a message under an identifier that is written
//! before the first attempt, and stay until the receiver has it or it is given up. So a NOC that is ended at any moment loses none
//! of them, and repeats none but under the same identifier.

use super::alert_events::Happening;
use super::appliances::from_json;
use super::{audit, channels, from_word, rows};
use crate::audit::{By, Event};
use crate::channels::{
    Batch, ChannelId, KEEP_ALERTMANAGER_S, Quiet, Sent, Target, Told, ToldAlert, ToldAppliance, severity,
};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::random;
use data_encoding::HEXLOWER;
use muster_protocol::api::AlertKind;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// What happens within this time is told together, seconds.
const GATHER_S: u64 = 5;
/// Until the first attempt after one that failed, doubled with each, up to the longest; and until it is given up, seconds.
const FIRST_S: u64 = 30;
const LONGEST_S: u64 = 3_600;
const GIVE_UP_S: u64 = 3 * 86_400;
/// Decided messages are kept for so long, and so many rows go in one step.
const KEPT_S: u64 = 30 * 86_400;
const STEP: u32 = 200;
/// Messages that are tried in one go.
const TOGETHER: u32 = 20;
/// Appliances that are named of an alert.
const NAMED: u32 = 20;
/// Events of one message that a mail tells one by one; and those that go into one message of the others, all of which are told.
const IN_MAIL: u32 = 200;
const IN_WEBHOOK: u32 = 500;
const IN_ALERTMANAGER: u32 = 2_000;

/// Has the channels that want it tell of an event.
pub(super) fn queue(db: &Connection, now: u64, event: i64, alert: u64, what: Happening) -> Result<(), StoreError> {
    let sql = "SELECT c.id, json_extract(c.target, '$.kind'), c.quiet, a.silenced_until IS NOT NULL
        FROM alerts a JOIN sites s ON s.id = a.site JOIN channels c ON c.organisation = s.organisation
        WHERE a.id = ?1 AND c.removed IS NULL AND c.is_enabled
        AND (NOT EXISTS (SELECT 1 FROM channel_sites x WHERE x.channel = c.id)
             OR EXISTS (SELECT 1 FROM channel_sites x WHERE x.channel = c.id AND x.site = a.site))
        AND (c.kinds = '[]' OR EXISTS (SELECT 1 FROM json_each(c.kinds) WHERE value = a.kind))
        AND (NOT c.only_escalations OR a.escalated IS NOT NULL)";
    let found = rows(db, sql, [alert], |row| {
        let (kind, quiet): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        Ok::<_, StoreError>((row.get::<_, ChannelId>(0)?, kind, quiet, row.get::<_, bool>(3)?))
    })?;
    for (channel, kind, quiet, is_silenced) in found {
        if !is_told(&kind, what, is_silenced) {
            continue;
        }
        let sql = "INSERT INTO deliveries (channel, event) VALUES (?1, ?2)";
        db.prepare_cached(sql)?.execute(params![channel, event])?;
        let quiet: Option<Quiet> = quiet.map(|text| from_json("channel", &text)).transpose()?;
        let soon = now + GATHER_S;
        let held = quiet.filter(|_| what != Happening::Escalated).and_then(|quiet| quiet.until(soon));
        // One whose receiver is out waits for its next attempt.
        let sql =
            "UPDATE channels SET due = min(coalesce(due, ?2), ?2) WHERE id = ?1 AND (failures = 0 OR due IS NULL)";
        db.prepare_cached(sql)?.execute(params![channel, held.unwrap_or(soon)])?;
    }
    Ok(())
}

/// Programs hear of everything; people hear of what asks something of them, or no longer does.
fn is_told(kind: &str, what: Happening, is_silenced: bool) -> bool {
    match kind {
        "email" => match what {
            Happening::Acknowledged | Happening::Silenced => false,
            Happening::Attached => !is_silenced,
            _ => true,
        },
        "alertmanager" => what != Happening::Acknowledged,
        _ => true,
    }
}

/// When channels want something next, and which: those whose time has come, first.
pub(crate) fn due(db: &Connection, now: u64) -> Result<(Vec<ChannelId>, Option<u64>), StoreError> {
    let sql = "SELECT id FROM channels WHERE due IS NOT NULL AND due <= ?1 ORDER BY due";
    let ready = rows(db, sql, [now], |row| Ok::<_, StoreError>(row.get(0)?))?;
    let sql = "SELECT min(due) FROM channels WHERE due IS NOT NULL AND due > ?1";
    Ok((ready, db.prepare_cached(sql)?.query_row([now], |row| row.get(0))?))
}

/// What a channel has to do now.
pub(crate) struct Work {
    pub(crate) kept: channels::Kept,
    /// Handle and name of its organisation.
    pub(crate) organisation: (String, String),
    /// With the number of each message; none for a report of what is open.
    pub(crate) batches: Vec<(Option<i64>, Batch)>,
}

/// Gathers what waits for a channel into a message, and reads what is to be sent. None when there is nothing to do any more.
pub(crate) fn take(db: &Connection, now: u64, id: ChannelId) -> Result<Option<Work>, StoreError> {
    let kept = channels::find(db, id)?.filter(|kept| kept.channel.channel.enabled);
    let Some(kept) = kept else {
        db.execute("UPDATE channels SET due = NULL WHERE id = ?1", [id])?;
        return Ok(None);
    };
    let spec = &kept.channel.channel;
    let is_quiet = spec.quiet.is_some_and(|quiet| quiet.until(now).is_some());
    gather(db, now, id, &spec.target, is_quiet)?;
    let sql =
        "SELECT id, key, made FROM channel_messages WHERE channel = ?1 AND state = 'waiting' AND (is_urgent OR NOT ?2)
               ORDER BY id LIMIT ?3";
    let waiting = rows(db, sql, params![id, is_quiet, TOGETHER], |row| {
        Ok::<_, StoreError>((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?))
    })?;
    let is_alertmanager = matches!(spec.target, Target::Alertmanager { .. });
    let open = if is_alertmanager { open(db, id)? } else { Vec::new() };
    let mut batches = Vec::new();
    for (message, key, made) in waiting {
        let (events, more) = events(db, message, &spec.target)?;
        // What is open is told once, with the last.
        batches.push((Some(message), Batch { key, made, events, more, open: Vec::new(), is_test: false }));
    }
    match batches.last_mut() {
        Some((_, batch)) => batch.open = open,
        None if !open.is_empty() => {
            let batch = Batch { key: String::new(), made: now, events: Vec::new(), more: 0, open, is_test: false };
            batches.push((None, batch));
        }
        None => {}
    }
    let organisation = kept.channel.organisation;
    let sql = "SELECT handle, name FROM organisations WHERE id = ?1";
    let organisation = db.query_row(sql, [organisation], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if batches.is_empty() {
        let next = next_due(db, now, &kept.channel)?;
        db.execute("UPDATE channels SET due = ?2 WHERE id = ?1", params![id, next])?;
        return Ok(None);
    }
    Ok(Some(Work { kept, organisation, batches }))
}

/// From now on these events are one message.
fn gather(db: &Connection, now: u64, id: ChannelId, target: &Target, is_quiet: bool) -> Result<(), StoreError> {
    let most = match target {
        Target::Email { .. } => u32::MAX,
        Target::Webhook { .. } => IN_WEBHOOK,
        Target::Alertmanager { .. } => IN_ALERTMANAGER,
    };
    let sql = "SELECT d.id, e.what = 'escalated' FROM deliveries d JOIN alert_events e ON e.id = d.event
               WHERE d.channel = ?1 AND d.message IS NULL AND (e.what = 'escalated' OR NOT ?2) ORDER BY d.id LIMIT ?3";
    let found = rows(db, sql, params![id, is_quiet, most], |row| {
        Ok::<_, StoreError>((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?))
    })?;
    if found.is_empty() {
        return Ok(());
    }
    let key = random::bytes::<16>().map_err(|_| StoreError::Busy)?;
    let is_urgent = found.iter().any(|(_, is_escalation)| *is_escalation);
    let sql = "INSERT INTO channel_messages (channel, key, made, is_urgent) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![id, HEXLOWER.encode(&key), now, is_urgent])?;
    let message = db.last_insert_rowid();
    for (delivery, _) in found {
        db.prepare_cached("UPDATE deliveries SET message = ?2 WHERE id = ?1")?.execute(params![delivery, message])?;
    }
    Ok(())
}

const ALERT: &str = "a.id, a.kind, a.site, s.name, a.opened, a.closed, a.acknowledged, a.silenced_until, a.escalated, a.rule, (SELECT uid FROM appliances WHERE id = a.about)";

/// The events of a message, and how many there are besides.
fn events(db: &Connection, message: i64, target: &Target) -> Result<(Vec<Told>, u64), StoreError> {
    let most = if matches!(target, Target::Email { .. }) { IN_MAIL } else { u32::MAX };
    // Whoever reads only the beginning reads of escalations.
    let sql = format!(
        "SELECT {ALERT}, e.id, e.time, e.what, e.who, e.note, e.until FROM deliveries d JOIN alert_events e ON e.id = d.event
         JOIN alerts a ON a.id = e.alert JOIN sites s ON s.id = a.site WHERE d.message = ?1
         ORDER BY e.what <> 'escalated' AND ?2, e.id LIMIT ?3"
    );
    let is_mail = most == IN_MAIL;
    let told = rows(db, &sql, params![message, is_mail, most], |row| {
        Ok::<_, StoreError>(Told {
            alert: alert(db, row)?,
            id: row.get(11)?,
            time: row.get(12)?,
            event: from_word("happening", &row.get::<_, String>(13)?)?,
            by: row.get(14)?,
            note: row.get(15)?,
            until: row.get(16)?,
        })
    })?;
    let sql = "SELECT count(*) FROM deliveries WHERE message = ?1";
    let all: u64 = db.prepare_cached(sql)?.query_row([message], |row| row.get(0))?;
    let more = all.saturating_sub(told.len() as u64);
    Ok((told, more))
}

/// The open alerts that a channel tells.
fn open(db: &Connection, id: ChannelId) -> Result<Vec<ToldAlert>, StoreError> {
    let sql = format!("SELECT {ALERT} {OPEN}");
    rows(db, &sql, [id], |row| alert(db, row))
}

const OPEN: &str = "FROM alerts a JOIN sites s ON s.id = a.site JOIN channels c ON c.organisation = s.organisation
    WHERE c.id = ?1 AND a.closed IS NULL AND a.silenced_until IS NULL
    AND (NOT EXISTS (SELECT 1 FROM channel_sites x WHERE x.channel = c.id)
         OR EXISTS (SELECT 1 FROM channel_sites x WHERE x.channel = c.id AND x.site = a.site))
    AND (c.kinds = '[]' OR EXISTS (SELECT 1 FROM json_each(c.kinds) WHERE value = a.kind))
    AND (NOT c.only_escalations OR a.escalated IS NOT NULL)";

fn alert(db: &Connection, row: &Row<'_>) -> Result<ToldAlert, StoreError> {
    let (id, kind): (u64, AlertKind) = (row.get(0)?, from_word("alert", &row.get::<_, String>(1)?)?);
    let sql = "SELECT p.uid, p.serial, p.model, coalesce(json_extract(p.settings, '$.host_name'), '')
               FROM alert_appliances m JOIN appliances p ON p.id = m.appliance WHERE m.alert = ?1 ORDER BY p.id LIMIT ?2";
    let appliances = rows(db, sql, params![id, NAMED], |row| {
        let uid = muster_protocol::id::Uid(row.get(0)?).to_string();
        Ok::<_, StoreError>(ToldAppliance { uid, serial: row.get(1)?, model: row.get(2)?, host_name: row.get(3)? })
    })?;
    let sql = "SELECT count(*) FROM alert_appliances WHERE alert = ?1";
    Ok(ToldAlert {
        id,
        kind,
        severity: severity(kind),
        rule: row.get(9)?,
        about: row.get::<_, Option<[u8; 20]>>(10)?.map(|uid| muster_protocol::id::Uid(uid).to_string()),
        site: row.get(2)?,
        site_name: row.get(3)?,
        opened: row.get(4)?,
        resolved: row.get(5)?,
        acknowledged: row.get(6)?,
        silenced_until: row.get(7)?,
        escalated: row.get(8)?,
        count: db.prepare_cached(sql)?.query_row([id], |row| row.get(0))?,
        appliances,
    })
}

/// What became of one attempt.
pub(crate) struct Outcome {
    /// None for a report of what is open.
    pub(crate) message: Option<i64>,
    /// The receiver's words, or why it did not take it.
    pub(crate) sent: Result<Sent, String>,
    /// When the receiver wants to be asked again.
    pub(crate) retry_after_s: Option<u64>,
}

/// Writes down what became of attempts, and when the channel is next tried.
pub(crate) fn settle(db: &Connection, now: u64, id: ChannelId, outcomes: &[Outcome]) -> Result<(), StoreError> {
    for Outcome { message, sent, .. } in outcomes {
        let Some(message) = message else { continue };
        let sql = "UPDATE channel_messages SET attempts = attempts + 1, state = CASE WHEN ?3 THEN 'delivered'
                   WHEN made + ?4 <= ?2 THEN 'given_up' ELSE state END WHERE id = ?1 AND state = 'waiting' RETURNING state";
        let values = params![message, now, sent.is_ok(), GIVE_UP_S];
        let state: Option<String> = db.query_row(sql, values, |row| row.get(0)).optional()?;
        if state.as_deref().is_some_and(|state| state != "waiting") {
            db.execute("UPDATE channel_messages SET decided = ?2 WHERE id = ?1", params![message, now])?;
        }
        if state.as_deref() == Some("given_up") {
            record_given_up(db, now, id, *message)?;
        }
    }
    let Some(last) = outcomes.last() else { return Ok(()) };
    let failed = outcomes.iter().filter_map(|outcome| outcome.sent.as_ref().err()).next_back();
    let words = match (failed, &last.sent) {
        (Some(words), _) => words,
        (None, Ok(sent)) => &sent.answer,
        (None, Err(words)) => words,
    };
    let has_failed = failed.is_some();
    let sql = "UPDATE channels SET tried = ?2, outcome = ?3, failures = CASE WHEN ?4 THEN failures + 1 ELSE 0 END,
               failing_since = CASE WHEN ?4 THEN coalesce(failing_since, ?2) END,
               delivered = CASE WHEN ?5 THEN ?2 ELSE delivered END WHERE id = ?1";
    let has_delivered = outcomes.iter().any(|outcome| outcome.sent.is_ok());
    db.execute(sql, params![id, now, words, has_failed, has_delivered])?;
    let Some(kept) = channels::find(db, id)? else { return Ok(()) };
    let due = if has_failed {
        let failures: u32 = db.query_row("SELECT failures FROM channels WHERE id = ?1", [id], |row| row.get(0))?;
        let asked = outcomes.iter().filter_map(|outcome| outcome.retry_after_s).max().unwrap_or(0);
        let is_waiting = waits(db, id)? || next_due(db, now, &kept.channel)?.is_some();
        is_waiting.then(|| now + pause(failures).max(asked))
    } else {
        next_due(db, now, &kept.channel)?
    };
    db.execute("UPDATE channels SET due = ?2 WHERE id = ?1", params![id, due])?;
    prune(db, now)
}

fn waits(db: &Connection, id: ChannelId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM channel_messages WHERE channel = ?1 AND state = 'waiting')";
    Ok(db.query_row(sql, [id], |row| row.get(0))?)
}

/// When a channel that works has something to do next.
fn next_due(db: &Connection, now: u64, channel: &channels::Channel) -> Result<Option<u64>, StoreError> {
    let id = channel.id;
    let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE channel = ?1 AND message IS NULL)";
    let has_new: bool = db.query_row(sql, [id], |row| row.get(0))?;
    let quiet = channel.channel.quiet;
    let soon = now + if waits(db, id)? { 0 } else { GATHER_S };
    // What is urgent was taken already; the rest waits for the end of quiet hours.
    let mut due = (has_new || waits(db, id)?).then(|| quiet.and_then(|quiet| quiet.until(soon)).unwrap_or(soon));
    if matches!(channel.channel.target, Target::Alertmanager { .. }) {
        let is_open: bool = db.query_row(&format!("SELECT EXISTS (SELECT 1 {OPEN})"), [id], |row| row.get(0))?;
        let again = is_open.then_some(now + KEEP_ALERTMANAGER_S);
        due = due.into_iter().chain(again).min();
    }
    Ok(due)
}

/// Until the next attempt: longer each time, and not the same for all channels whose receiver fell out together.
fn pause(failures: u32) -> u64 {
    let whole = FIRST_S.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_S);
    let part = random::bytes::<1>().map_or(128, |[byte]| u64::from(byte));
    whole * 4 / 5 + whole * 2 / 5 * part / 255
}

fn record_given_up(db: &Connection, now: u64, id: ChannelId, message: i64) -> Result<(), StoreError> {
    let Some(kept) = channels::find(db, id)? else { return Ok(()) };
    let place = Place::organisation(kept.channel.organisation);
    let sql = "SELECT event FROM deliveries WHERE message = ?1 ORDER BY event LIMIT 100";
    let lost = rows(db, sql, [message], |row| Ok::<_, StoreError>(row.get::<_, u64>(0)?))?;
    let event = Event::new(place, "channel.give_up", format!("channel:{id}"));
    let detail = serde_json::json!({ "message": message, "events": lost });
    audit::record(db, now, &By::noc(), event.with(detail))
}

/// What was decided long ago goes, a few rows at a time. The history of alerts stays.
fn prune(db: &Connection, now: u64) -> Result<(), StoreError> {
    let sql = "SELECT id FROM channel_messages WHERE decided IS NOT NULL AND decided < ?1 ORDER BY decided LIMIT 1";
    let before = now.saturating_sub(KEPT_S);
    let Some(message) = db.query_row(sql, [before], |row| row.get::<_, i64>(0)).optional()? else { return Ok(()) };
    let sql = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE message = ?1 LIMIT ?2)";
    if db.execute(sql, params![message, STEP])? < STEP as usize {
        db.execute("DELETE FROM channel_messages WHERE id = ?1", [message])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::word;

    #[test]
    fn pauses_grow_to_an_hour_and_differ() {
        for (failures, whole) in [(1, 30), (2, 60), (3, 120), (7, 1_920), (8, 3_600), (500, 3_600)] {
            let pauses: Vec<u64> = (0..50).map(|_| pause(failures)).collect();
            assert!(
                pauses.iter().all(|pause| (whole * 4 / 5..=whole * 6 / 5).contains(pause)),
                "{failures}: {pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}");
        }
    }

    #[test]
    fn people_are_not_told_what_people_did() {
        assert!(
            is_told("webhook", Happening::Acknowledged, false) && !is_told("email", Happening::Acknowledged, false)
        );
        assert!(is_told("email", Happening::Attached, false) && !is_told("email", Happening::Attached, true));
        assert!(is_told("email", Happening::Resolved, true) && is_told("alertmanager", Happening::Silenced, true));
        assert_eq!(word(&Happening::Escalated), "escalated", "as the questions here write it");
    }
}
