//! Roll-outs of components in waves, and how the appliances of their waves stand (decision 0048).

use super::appliances::{from_json, json};
use super::{components, from_word, rows, word};
use crate::api::{Page, Window};
use crate::components::members::{Member, MemberState, Seen, stands};
use crate::components::required::{ComponentPolicy, Required, governing};
use crate::components::rollouts::RolloutState;
use crate::components::waves::{Layer, Rollout, Tally, Waves, place};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::{OperatorId, visible};
use crate::policy::values::model_key;
use muster_protocol::api::{BeatValues, Health};
use muster_protocol::id::{SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const COLUMNS: &str =
    "ro.id, ro.organisation, ro.site, ro.name, ro.model, ro.version, ro.waves, ro.former, ro.layers, ro.state,
    ro.is_in_force, ro.cuts, ro.begun, ro.is_pushed, ro.why, ro.started, ro.started_by, ro.ended, ro.result";
/// Appliances that are named of those that failed.
const NAMED: i64 = 20;
/// Rows that are written or deleted in one go, so that beats get in between.
pub(crate) const STEP: usize = 2_000;
/// Roll-outs that ended in this time are looked at for what is left of them.
const SWEPT_S: u64 = 7 * 86_400;

/// One roll-out, all of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) rollout: Rollout,
    pub(crate) organisation: OrganisationId,
    pub(crate) site: Option<SiteId>,
    pub(crate) waves: Waves,
    /// What was said before.
    pub(crate) former: Option<Required>,
    pub(crate) state: RolloutState,
    pub(crate) is_in_force: bool,
    pub(crate) begun: Option<u64>,
    pub(crate) is_pushed: bool,
    pub(crate) why: String,
    pub(crate) started: u64,
    pub(crate) started_by: String,
    pub(crate) ended: Option<u64>,
    /// How it stood when it ended.
    pub(crate) result: Outcome,
}

/// How the waves of a roll-out stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Waiting, well, failed, excused, absent; of each wave that has begun.
    pub(crate) waves: Vec<[u64; 5]>,
    /// Some of those that failed, and why.
    pub(crate) failures: Vec<(String, String)>,
}

/// A roll-out that begins.
pub(crate) struct New<'a> {
    pub(crate) organisation: OrganisationId,
    pub(crate) site: Option<SiteId>,
    pub(crate) line: &'a Required,
    pub(crate) version: &'a str,
    pub(crate) waves: &'a Waves,
    pub(crate) former: Option<&'a Required>,
    pub(crate) layers: &'a [Layer],
    pub(crate) by: &'a str,
}

pub(crate) fn insert(db: &Connection, now: u64, new: &New<'_>) -> Result<i64, StoreError> {
    let sql = "INSERT INTO component_rollouts (organisation, site, name, model, version, waves, former, layers, state,
               is_in_force, started, started_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'running', 1, ?9, ?10)";
    let New { organisation, site, line, version, waves, former, layers, by } = new;
    let site = site.map(|site| site.0);
    let (waves, former, layers) = (json(waves), json(former), json(layers));
    db.execute(sql, params![organisation, site, line.name, line.model_key(), version, waves, former, layers, now, by])?;
    Ok(db.last_insert_rowid())
}

/// Ends a roll-out, or sets it to where only people move it on. What counts is kept as it was.
pub(crate) fn set_state(
    db: &Connection,
    now: u64,
    kept: &Kept,
    (state, is_in_force): (RolloutState, bool),
    why: &str,
) -> Result<(), StoreError> {
    let is_over = !matches!(state, RolloutState::Running | RolloutState::Halted);
    let outcome = match (is_over, kept.ended) {
        (true, None) => outcome(db, &kept.rollout)?,
        (true, Some(_)) => kept.result.clone(),
        (false, _) => Outcome::default(),
    };
    let ended = is_over.then(|| kept.ended.unwrap_or(now));
    let sql =
        "UPDATE component_rollouts SET state = ?2, is_in_force = ?3, why = ?4, is_pushed = 0, ended = ?5, result = ?6
               WHERE id = ?1";
    db.execute(sql, params![kept.rollout.id, word(&state), is_in_force, why, ended, json(&outcome)])?;
    Ok(())
}

/// Another soak time, limit and so on, from now on.
pub(crate) fn set_waves(db: &Connection, id: i64, waves: &Waves) -> Result<(), StoreError> {
    let sql = "UPDATE component_rollouts SET waves = ?2, heard = heard + 1 WHERE id = ?1";
    db.execute(sql, params![id, json(waves)])?;
    Ok(())
}

/// The next wave begins without waiting for this one.
pub(crate) fn push(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.execute("UPDATE component_rollouts SET is_pushed = 1 WHERE id = ?1", [id])?;
    Ok(())
}

/// Those that failed count no more.
pub(crate) fn excuse(db: &Connection, now: u64, id: i64) -> Result<(), StoreError> {
    let sql =
        "UPDATE component_rollout_appliances SET state = 'excused', since = ?2 WHERE rollout = ?1 AND state = 'failed'";
    db.execute(sql, params![id, now])?;
    Ok(())
}

/// A wave has begun.
pub(crate) fn begin_wave(db: &Connection, now: u64, id: i64, cuts: &[u64]) -> Result<(), StoreError> {
    let sql = "UPDATE component_rollouts SET cuts = ?2, begun = ?3, is_pushed = 0 WHERE id = ?1";
    db.execute(sql, params![id, json(&cuts), now])?;
    Ok(())
}

pub(crate) fn find(db: &Connection, id: i64) -> Result<Option<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM component_rollouts ro WHERE ro.id = ?1");
    Ok(rows(db, &sql, [id], read)?.into_iter().next())
}

/// The one in force of what a place says of a component and a model.
pub(crate) fn of_line(
    db: &Connection,
    organisation: OrganisationId,
    site: Option<SiteId>,
    line: &Required,
) -> Result<Option<Kept>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM component_rollouts ro WHERE ro.is_in_force AND ro.organisation = ?1
         AND coalesce(ro.site, 0) = ?2 AND ro.name = ?3 AND ro.model = ?4"
    );
    let asked = params![organisation, site.map_or(0, |site| site.0), line.name, line.model_key()];
    Ok(rows(db, &sql, asked, read)?.into_iter().next())
}

/// Those that decide what appliances of a model at a place have.
pub(crate) fn governing_at(
    db: &Connection,
    organisation: u32,
    site: Option<SiteId>,
    model: &str,
) -> Result<Vec<Kept>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM component_rollouts ro WHERE ro.is_in_force AND ro.organisation = ?1
         AND (ro.site IS NULL OR ro.site = ?2) ORDER BY ro.id"
    );
    let mut found = rows(db, &sql, params![organisation, site.map(|site| site.0)], read)?;
    if found.is_empty() {
        return Ok(found);
    }
    let Some((above, own)) = components::said_at(db, organisation, site)? else { return Ok(Vec::new()) };
    found.retain(|kept| governs(&kept.rollout, &above, &own, model));
    Ok(found)
}

fn governs(rollout: &Rollout, above: &ComponentPolicy, own: &ComponentPolicy, model: &str) -> bool {
    governing(above, own, &rollout.name, model)
        .is_some_and(|(is_sites, key)| is_sites == rollout.is_sites && key == rollout.model)
}

/// Roll-outs that an operator sees, or all, newest first.
pub(crate) fn page(
    db: &Connection,
    reader: Option<OperatorId>,
    (organisation, site, is_open): (Option<OrganisationId>, Option<SiteId>, Option<bool>),
    window: Window,
) -> Result<Page<Kept>, StoreError> {
    let seen = if reader.is_some() { visible("ro.organisation", "ro.site") } else { "?1 IS NULL".to_owned() };
    let sql = format!(
        "SELECT {COLUMNS} FROM component_rollouts ro WHERE {seen} AND (?2 IS NULL OR ro.organisation = ?2)
         AND (?3 IS NULL OR ro.site = ?3) AND (?4 IS NULL OR (ro.state IN ('running', 'halted')) = ?4)
         AND (?5 IS NULL OR ro.id < ?5) ORDER BY ro.id DESC LIMIT ?6"
    );
    let asked = params![reader, organisation, site.map(|site| site.0), is_open, window.after, window.rows()];
    Ok(Page::of(rows(db, &sql, asked, read)?, window.limit, |kept| kept.rollout.id))
}

/// Of each that runs: its number, and what changes when anything happened to it.
pub(crate) fn running(db: &Connection) -> Result<Vec<(i64, (u64, String, bool))>, StoreError> {
    let sql = "SELECT id, heard, cuts, is_pushed FROM component_rollouts WHERE state = 'running'";
    rows(db, sql, [], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))
}

/// One that is over, and of which appliances are left.
pub(crate) fn left_over(db: &Connection, now: u64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM component_rollouts ro WHERE ro.ended > ?1 AND ro.state NOT IN ('running', 'halted')
               AND EXISTS (SELECT 1 FROM component_rollout_appliances m WHERE m.rollout = ro.id) LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([now.saturating_sub(SWEPT_S)], |row| row.get(0)).optional()?)
}

/// Deletes some of those; whether there are more.
pub(crate) fn sweep(db: &Connection, id: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM component_rollout_appliances WHERE rollout = ?1 AND appliance IN
               (SELECT appliance FROM component_rollout_appliances WHERE rollout = ?1 LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![id, STEP as i64])? == STEP)
}

/// How the waves stand that have begun.
pub(crate) fn tallies(db: &Connection, rollout: &Rollout) -> Result<Vec<Tally>, StoreError> {
    let sql = "SELECT wave, state, count(*), max(since), min(asked) FROM component_rollout_appliances
               WHERE rollout = ?1 GROUP BY wave, state";
    let mut tallies = vec![Tally::default(); rollout.cuts.len()];
    let found = rows(db, sql, [rollout.id], |row| {
        let state: MemberState = from_word("roll-out", &row.get::<_, String>(1)?)?;
        Ok::<_, StoreError>((row.get::<_, u32>(0)?, state, row.get::<_, u64>(2)?, row.get::<_, u64>(3)?, row.get(4)?))
    })?;
    for (wave, state, count, since, asked) in found {
        // What was written down of a wave that has not begun does not count yet.
        let Some(tally) = tallies.get_mut(wave as usize) else { continue };
        match state {
            MemberState::Waiting => (tally.waiting, tally.asked) = (count, asked),
            MemberState::Well => (tally.well, tally.settled) = (count, tally.settled.max(since)),
            MemberState::Failed => tally.failed = count,
            MemberState::Excused => (tally.excused, tally.settled) = (count, tally.settled.max(since)),
            MemberState::Absent => tally.absent = count,
        }
    }
    Ok(tallies)
}

/// How it stands, to be shown.
pub(crate) fn outcome(db: &Connection, rollout: &Rollout) -> Result<Outcome, StoreError> {
    let waves = tallies(db, rollout)?;
    let waves = waves.iter().map(|t| [t.waiting, t.well, t.failed, t.excused, t.absent]).collect();
    let sql = "SELECT a.uid, m.why FROM component_rollout_appliances m JOIN appliances a ON a.id = m.appliance
               WHERE m.rollout = ?1 AND m.wave < ?2 AND m.state IN ('failed', 'excused') ORDER BY m.since LIMIT ?3";
    let failures = rows(db, sql, params![rollout.id, rollout.cuts.len() as i64, NAMED], |row| {
        Ok::<_, StoreError>((Uid(row.get(0)?).to_string(), row.get(1)?))
    })?;
    Ok(Outcome { waves, failures })
}

/// An appliance that a roll-out is for.
pub(crate) struct Candidate {
    pub(crate) position: u64,
    pub(crate) id: i64,
    pub(crate) health: Health,
}

/// All appliances that a roll-out is for and from which anything is expected, by their positions.
pub(crate) fn candidates(db: &Connection, kept: &Kept) -> Result<Vec<Candidate>, StoreError> {
    let rollout = &kept.rollout;
    let wanted = Required { name: rollout.name.clone(), version: Some(rollout.version.clone()), ..Required::default() };
    let Some(component) = components::resolve(db, kept.organisation.0, &wanted)? else { return Ok(Vec::new()) };
    let sql =
        "SELECT id, uid, site, model, health FROM appliances WHERE organisation = ?1 AND (?2 IS NULL OR site = ?2)
               AND health <> 'not_expected' AND provisioning NOT IN ('decommissioned', 'replaced', 'handed_over')";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![kept.organisation, kept.site.map(|site| site.0)])?;
    let mut is_for: HashMap<(Option<u32>, String), bool> = HashMap::new();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (site, model): (Option<u32>, String) = (row.get(2)?, model_key(&row.get::<_, String>(3)?));
        let key = (site, model);
        let fits = match is_for.get(&key) {
            Some(known) => *known,
            None => {
                let site = site.map(SiteId);
                let said = components::said_at(db, kept.organisation.0, site)?;
                let fits = said.is_some_and(|(above, own)| governs(rollout, &above, &own, &key.1))
                    && component.is_for(site, &key.1);
                is_for.insert(key, fits);
                fits
            }
        };
        if fits {
            found.push(Candidate {
                position: place(&rollout.name, &rollout.version, &Uid(row.get(1)?)),
                id: row.get(0)?,
                health: from_word("health", &row.get::<_, String>(4)?)?,
            });
        }
    }
    found.sort_by_key(|one| (one.position, one.id));
    Ok(found)
}

/// Writes down appliances of a wave that is about to begin.
pub(crate) fn add(db: &Connection, now: u64, id: i64, wave: usize, some: &[Candidate]) -> Result<(), StoreError> {
    let sql = "INSERT INTO component_rollout_appliances (rollout, appliance, wave, state, since, asked, is_ailing)
               SELECT ?1, ?2, ?3, ?4, ?5, ?5, ?6 WHERE EXISTS (SELECT 1 FROM appliances WHERE id = ?2)
               ON CONFLICT (rollout, appliance) DO UPDATE SET wave = excluded.wave, state = excluded.state, why = '',
               since = excluded.since, asked = excluded.asked, is_ailing = excluded.is_ailing WHERE wave >= excluded.wave";
    let mut statement = db.prepare_cached(sql)?;
    for one in some {
        let member = Member::new(now, one.health);
        statement.execute(params![id, one.id, wave as i64, word(&member.state), now, member.is_ailing])?;
    }
    Ok(())
}

/// Whoever has not installed it in time has failed; how many that are.
pub(crate) fn mark_late(db: &Connection, now: u64, kept: &Kept) -> Result<usize, StoreError> {
    let id = kept.rollout.id;
    let sql = "SELECT a.uid FROM component_rollout_appliances m JOIN appliances a ON a.id = m.appliance
               WHERE m.rollout = ?1 AND m.state = 'waiting' AND m.asked <= ?2 LIMIT ?3";
    let before = now.saturating_sub(u64::from(kept.waves.within_s));
    let late = rows(db, sql, params![id, before, STEP as i64], |row| Ok::<_, StoreError>(Uid(row.get(0)?)))?;
    for uid in &late {
        settle(db, now, kept, uid, false)?;
    }
    Ok(late.len())
}

/// An appliance beats, and has something of a roll-out.
pub(crate) fn heard(db: &Connection, now: u64, kept: &Kept, uid: &Uid) -> Result<(), StoreError> {
    settle(db, now, kept, uid, true)
}

/// The health of an appliance is another one.
pub(crate) fn health_changed(db: &Connection, now: u64, uid: &Uid) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM component_rollout_appliances m JOIN component_rollouts ro ON ro.id = m.rollout
         WHERE m.appliance = (SELECT id FROM appliances WHERE uid = ?1) AND ro.state IN ('running', 'halted')"
    );
    for kept in rows(db, &sql, [uid.0], read)? {
        settle(db, now, &kept, uid, false)?;
    }
    Ok(())
}

/// Writes down how an appliance stands, if that is anything new.
fn settle(db: &Connection, now: u64, kept: &Kept, uid: &Uid, is_beating: bool) -> Result<(), StoreError> {
    let rollout = &kept.rollout;
    let Some(wave) = rollout.wave(uid) else { return Ok(()) };
    let sql = "SELECT a.id, a.health, a.beat, m.state, m.since, m.asked, m.is_ailing, m.why,
               a.organisation = ?3 AND (?4 IS NULL OR a.site IS ?4) FROM appliances a
               LEFT JOIN component_rollout_appliances m ON m.rollout = ?1 AND m.appliance = a.id WHERE a.uid = ?2";
    let asked = params![rollout.id, uid.0, kept.organisation, kept.site.map(|site| site.0)];
    let found = rows(db, sql, asked, |row| {
        let state: Option<String> = row.get(3)?;
        let member = match state {
            Some(state) => Some(Member {
                state: from_word("roll-out", &state)?,
                since: row.get(4)?,
                asked: row.get(5)?,
                is_ailing: row.get(6)?,
                why: row.get(7)?,
            }),
            None => None,
        };
        let health: Health = from_word("health", &row.get::<_, String>(1)?)?;
        let (id, beat, is_there): (i64, Option<String>, bool) = (row.get(0)?, row.get(2)?, row.get(8)?);
        Ok::<_, StoreError>((id, health, beat, member, is_there))
    })?;
    let Some((id, health, beat, before, is_there)) = found.into_iter().next() else { return Ok(()) };
    let beat: Option<BeatValues> = beat.map(|beat| from_json("beat", &beat)).transpose()?;
    let report = beat.as_ref().and_then(|beat| beat.components.iter().find(|report| report.name == rollout.name));
    let seen = Seen { health, is_beating, report };
    let within_s = u64::from(kept.waves.within_s);
    // One that was moved elsewhere says nothing of this place any more.
    let after = if is_there { stands(before.as_ref(), &seen, (&rollout.version, within_s), now) } else { None };
    if after == before {
        return Ok(());
    }
    match after {
        Some(Member { state, since, asked, is_ailing, why }) => {
            let sql = "INSERT INTO component_rollout_appliances (rollout, appliance, wave, state, since, asked, is_ailing, why)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (rollout, appliance) DO UPDATE
                       SET state = excluded.state, since = excluded.since, asked = excluded.asked,
                       is_ailing = excluded.is_ailing, why = excluded.why";
            db.prepare_cached(sql)?.execute(params![
                rollout.id,
                id,
                wave as i64,
                word(&state),
                since,
                asked,
                is_ailing,
                why
            ])?;
        }
        None => {
            let sql = "DELETE FROM component_rollout_appliances WHERE rollout = ?1 AND appliance = ?2";
            db.prepare_cached(sql)?.execute(params![rollout.id, id])?;
        }
    }
    db.prepare_cached("UPDATE component_rollouts SET heard = heard + 1 WHERE id = ?1")?.execute([rollout.id])?;
    Ok(())
}

/// Places that say of a component that a channel of it goes out in waves, with what they say.
pub(crate) fn followers(
    db: &Connection,
    owner: Option<OrganisationId>,
    name: &str,
) -> Result<Vec<(OrganisationId, Option<SiteId>, ComponentPolicy)>, StoreError> {
    let sql = "SELECT id, NULL, components FROM organisations WHERE instr(components, '\"waves\"') > 0
               AND instr(components, ?2) > 0 AND (?1 = 0 OR id = ?1)
               UNION ALL SELECT organisation, id, components FROM sites WHERE instr(components, '\"waves\"') > 0
               AND instr(components, ?2) > 0 AND (?1 = 0 OR organisation = ?1)";
    let asked = params![owner.map_or(0, |owner| owner.0), format!("\"{name}\"")];
    rows(db, sql, asked, |row| {
        let site: Option<u32> = row.get(1)?;
        Ok((row.get(0)?, site.map(SiteId), from_json("required components", &row.get::<_, String>(2)?)?))
    })
}

fn read(row: &Row<'_>) -> Result<Kept, StoreError> {
    let what = "roll-out";
    let site: Option<u32> = row.get(2)?;
    let state: RolloutState = from_word(what, &row.get::<_, String>(9)?)?;
    let result: String = row.get(18)?;
    Ok(Kept {
        rollout: Rollout {
            id: row.get(0)?,
            is_sites: site.is_some(),
            name: row.get(3)?,
            model: row.get(4)?,
            version: row.get(5)?,
            cuts: from_json(what, &row.get::<_, String>(11)?)?,
            is_back: state == RolloutState::Back,
            layers: from_json(what, &row.get::<_, String>(8)?)?,
        },
        organisation: row.get(1)?,
        site: site.map(SiteId),
        waves: from_json(what, &row.get::<_, String>(6)?)?,
        former: from_json(what, &row.get::<_, String>(7)?)?,
        state,
        is_in_force: row.get(10)?,
        begun: row.get(12)?,
        is_pushed: row.get(13)?,
        why: row.get(14)?,
        started: row.get(15)?,
        started_by: row.get(16)?,
        ended: row.get(17)?,
        result: if result == "[]" { Outcome::default() } else { from_json(what, &result)? },
    })
}
