//! Taking beats, where they are written. What was looked up for an appliance is remembered until anything else is written, so that
//! a beat that finds nothing to do costs one changed row and its part of the journal.

use super::beats::{self, Kept as KeptBeat, Prepared};
use super::history;
use super::late::Boot;
use super::rollouts::{self, Kept};
use super::{component_plans, given, policies, words};
use crate::api::ApiError;
use crate::components::members;
use crate::components::rollouts::RolloutState;
use crate::components::waves::Pick;
use crate::error::StoreError;
use crate::history::Group;
use muster_protocol::api::WorkReport;
use muster_protocol::beat::Counted;
use muster_protocol::id::{BootId, Seq, SiteId, Uid};
use muster_protocol::parameters::DriftPolicy;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Appliances that are remembered; then all are forgotten.
const MOST_KNOWN: usize = 200_000;
/// Models at places that are remembered.
const MOST_PLANS: usize = 10_000;

/// What the writer remembers from commit to commit.
#[derive(Default)]
pub(super) struct Intake(Mutex<Memory>);

/// See [`Intake`].
#[derive(Default)]
pub(super) struct Memory {
    known: HashMap<Uid, Known>,
    /// Which components appliances of a model at a place shall have.
    plans: HashMap<(u32, Option<SiteId>, String), Planned>,
    group: Group,
    /// Numbers of changes that were taken for the beats of this commit.
    revisions: Range<u64>,
    /// What SQLite says of changes by other processes.
    version: i64,
}

/// What appliances of a model at a place shall have.
struct Planned {
    /// Roll-outs that decide it, appliance by appliance.
    rollouts: Vec<Kept>,
    /// By what an appliance has of them: a revision, or none where nobody says anything.
    revisions: HashMap<Vec<Pick>, Option<Arc<str>>>,
}

/// An appliance for which nothing waits.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) organisation: u32,
    pub(super) model: String,
    pub(super) interval_s: u32,
    /// The grant in force; beats are expected if there is one.
    pub(super) applied: Seq,
    pub(super) boot: BootId,
    pub(super) counted: Counted,
    /// What it shall do about settings that are changed by hand.
    pub(super) drift: Option<DriftPolicy>,
    /// What it said last of earlier work. Said again, it is no news.
    pub(super) reported: WorkReport,
    /// Which components it shall have.
    pub(super) components: Option<Arc<str>>,
    /// What it said of components, if it is in a wave of a roll-out that has begun.
    pub(super) said: Option<u64>,
}

impl Intake {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Before the writes of a commit, of which so many are beats.
    pub(super) fn begin(&mut self, db: &Connection, beats: usize) -> Result<(), StoreError> {
        let version = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.version {
            self.changed();
            self.version = version;
        }
        if beats > 0 {
            let sql = "UPDATE noc SET revision = revision + ?1 RETURNING revision";
            let last: u64 = db.prepare_cached(sql)?.query_row([beats as u64], |row| row.get(0))?;
            self.revisions = last + 1 - beats as u64..last + 1;
        }
        Ok(())
    }

    /// After them; how many beats went into the journal.
    pub(super) fn end(&mut self, db: &Connection) -> Result<u64, StoreError> {
        history::append(db, &mut self.group)
    }

    /// Something else was written.
    pub(super) fn changed(&mut self) {
        self.known.clear();
        self.plans.clear();
    }

    /// Nothing of this commit was kept.
    pub(super) fn undone(&mut self) {
        self.changed();
        let _ = self.group.take();
    }

    /// Takes a beat. When it fails, nothing of it is kept.
    pub(super) fn take(&mut self, db: &Connection, now: u64, uid: &Uid, beat: &Prepared) -> Result<KeptBeat, ApiError> {
        if let Some(kept) = self.take_quietly(db, now, uid, beat)? {
            return Ok(kept);
        }
        self.known.remove(uid);
        let mark = self.group.mark();
        let statement = |sql| -> Result<usize, StoreError> { Ok(db.prepare_cached(sql)?.execute([])?) };
        statement("SAVEPOINT one")?;
        let kept =
            beats::keep(db, now, uid, beat, &mut self.group).and_then(|kept| self.with_components(db, now, uid, kept));
        match &kept {
            Ok((kept, is_watched)) => {
                if self.known.len() >= MOST_KNOWN {
                    self.known.clear();
                }
                // What does not read is met again, and told, the long way.
                if kept.due.is_empty()
                    && let Ok(Some(known)) = look_up(db, now, uid, &beat.beat.work)
                {
                    let said = is_watched.then(|| members::mark(&beat.beat.values.components));
                    self.known.insert(*uid, Known { components: kept.due.components.clone(), said, ..known });
                }
            }
            Err(_) => {
                self.group.back_to(&mark);
                // A full disk may have undone the whole transaction.
                if !db.is_autocommit() {
                    statement("ROLLBACK TO one")?;
                }
            }
        }
        if !db.is_autocommit() {
            statement("RELEASE one")?;
        }
        kept.map(|(kept, _)| kept)
    }

    /// The next beat of an appliance that is known, that says nothing new but its values, and for which nothing waits.
    fn take_quietly(
        &mut self,
        db: &Connection,
        now: u64,
        uid: &Uid,
        prepared: &Prepared,
    ) -> Result<Option<KeptBeat>, StoreError> {
        let beat = &prepared.beat;
        let Some(known) = self.known.get_mut(uid) else { return Ok(None) };
        let is_quiet = beat.boot == known.boot
            && beat.counter == known.counted.highest() + 1
            && beat.seq == known.applied
            && beat.earlier.is_empty()
            && beat.work.drift == known.drift
            && beat.work == known.reported
            && known.said.is_none_or(|said| said == members::mark(&beat.values.components));
        let Some(revision) = self.revisions.clone().next().filter(|_| is_quiet) else { return Ok(None) };
        let sql = "UPDATE appliances SET last_beat = ?2, counter = ?3, beat = ?4, revision = ?5 WHERE id = ?1";
        db.prepare_cached(sql)?.execute(params![known.id, now, beat.counter, prepared.report, revision])?;
        self.revisions.start = revision + 1;
        known.counted.live(beat.counter);
        self.group.push(known.id, now, &prepared.values);
        let notices = beats::notice(uid, beat, &known.model, known.applied.0 > 0).into_iter().collect();
        let mut kept = KeptBeat::quiet(known.interval_s, known.organisation, notices);
        kept.due.components.clone_from(&known.components);
        Ok(Some(kept))
    }

    /// Names what components the appliance shall have, which is worked out once for each model at a place; and, if something is
    /// rolled out to it, takes what it says of that: then true.
    fn with_components(
        &mut self,
        db: &Connection,
        now: u64,
        uid: &Uid,
        mut kept: KeptBeat,
    ) -> Result<(KeptBeat, bool), ApiError> {
        let Some((site, model)) = kept.place.take() else { return Ok((kept, false)) };
        let key = (kept.organisation, site, model);
        if !self.plans.contains_key(&key) {
            if self.plans.len() >= MOST_PLANS {
                self.plans.clear();
            }
            let rollouts = rollouts::governing_at(db, kept.organisation, site, &key.2)?;
            self.plans.insert(key.clone(), Planned { rollouts, revisions: HashMap::new() });
        }
        let Some(Planned { rollouts, revisions }) = self.plans.get_mut(&key) else { return Ok((kept, false)) };
        let picks: Vec<Pick> = rollouts.iter().map(|kept| kept.rollout.pick(uid)).collect();
        let mut is_watched = false;
        for (rollout, _) in rollouts.iter().zip(&picks).filter(|(rollout, pick)| **pick == 0 && is_open(rollout)) {
            rollouts::heard(db, now, rollout, uid)?;
            is_watched = true;
        }
        kept.due.components = match revisions.get(&picks) {
            Some(known) => known.clone(),
            None => {
                let picked: Vec<_> = rollouts.iter().map(|kept| &kept.rollout).zip(picks.iter().copied()).collect();
                let plan = component_plans::plan(db, kept.organisation, site, &key.2, &picked)?;
                let revision: Option<Arc<str>> = plan.map(|plan| plan.revision().into());
                revisions.insert(picks, revision.clone());
                revision
            }
        };
        Ok((kept, is_watched))
    }
}

fn is_open(kept: &Kept) -> bool {
    matches!(kept.state, RolloutState::Running | RolloutState::Halted)
}

/// What is to be remembered of an appliance; none if something waits for it, or may.
fn look_up(db: &Connection, now: u64, uid: &Uid, said: &WorkReport) -> Result<Option<Known>, StoreError> {
    let sql = "SELECT a.id, a.organisation, a.interval_s, a.applied, a.boot, a.counter, a.gaps, a.site, a.model
               FROM appliances a WHERE a.uid = ?1
               AND NOT EXISTS (SELECT 1 FROM instructions i WHERE i.appliance = a.id AND i.done IS NULL AND i.expires >= ?2)
               AND NOT EXISTS (SELECT 1 FROM handover WHERE ended IS NULL)";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![uid.0, now])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let id: i64 = row.get(0)?;
    let (Some(boot), interval_s) = (row.get::<_, Option<[u8; 16]>>(4)?, row.get(2)?) else { return Ok(None) };
    let site: Option<u32> = row.get(7)?;
    let model: String = row.get(8)?;
    let (asked, drift) = match site.map(muster_protocol::id::SiteId) {
        Some(site) => {
            let word = policies::drift_word(db, site, &model)?.flatten();
            let drift = word.map(|word| words::from_word("site", &word)).transpose()?;
            (policies::beat_interval(db, site, &model)?, drift)
        }
        // Nobody asks anything of it.
        None => (None, said.drift),
    };
    if asked.is_some_and(|asked| asked != interval_s) || given::waits(db, id)? {
        return Ok(None);
    }
    let Boot { counted, .. } = Boot::read(BootId(boot), row.get(5)?, &row.get::<_, String>(6)?)?;
    Ok(Some(Known {
        id,
        organisation: row.get(1)?,
        model,
        interval_s,
        applied: Seq(row.get(3)?),
        boot: BootId(boot),
        counted,
        drift,
        reported: said.clone(),
        components: None,
        said: None,
    }))
}
