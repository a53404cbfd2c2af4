//! A site's policy about settings that are changed by hand, brought to appliances that are configured already.
//!
//! Each beat tells what the appliance obeys, so nothing has to be remembered of it here: as long as that is not what the site
//! says, an instruction that says so waits.

use super::appliances::Appliance;
use super::{from_word, instructions, policies, word};
use crate::error::StoreError;
use muster_protocol::instruction::Act;
use muster_protocol::parameters::DriftPolicy;
use rusqlite::{Connection, OptionalExtension, params};

const ACTS: [Act; 3] = [Act::ReportDrift, Act::RestoreDrift, Act::DriftByImage];

/// The policy of a site from a row; `None`: what each image says.
pub(super) fn read(word: Option<String>) -> Result<Option<DriftPolicy>, StoreError> {
    word.map(|word| from_word("site", &word)).transpose()
}

/// Sees to it that an instruction waits if an appliance that obeys `told` shall obey something else, and none otherwise.
pub(super) fn settle(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    told: Option<DriftPolicy>,
) -> Result<(), StoreError> {
    let Some(site) = appliance.record.site else { return Ok(()) };
    let Some(asked) = policies::drift_word(db, site, &appliance.record.model)? else { return Ok(()) };
    let wanted = read(asked)?;
    let act = Act::of_drift(wanted);
    let waiting = waiting(db, now, appliance.id)?;
    if told == wanted {
        return if waiting.is_some() { take_back(db, appliance.id) } else { Ok(()) };
    }
    if waiting != Some(act) {
        // The newest counts, so an older one must not come after it.
        take_back(db, appliance.id)?;
        instructions::add(db, now, appliance, act)?;
    }
    Ok(())
}

/// The newest one that no beat has reported.
fn waiting(db: &Connection, now: u64, appliance: i64) -> Result<Option<Act>, StoreError> {
    let sql = "SELECT act FROM instructions
               WHERE appliance = ?1 AND done IS NULL AND expires >= ?2 AND act IN (?3, ?4, ?5) ORDER BY serial DESC LIMIT 1";
    let [report, restore, image] = ACTS.map(|act| word(&act));
    let found: Option<String> = db
        .prepare_cached(sql)?
        .query_row(params![appliance, now, report, restore, image], |row| row.get(0))
        .optional()?;
    found.map(|act| from_word("instruction", &act)).transpose()
}

fn take_back(db: &Connection, appliance: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM instructions WHERE appliance = ?1 AND done IS NULL AND act IN (?2, ?3, ?4)";
    let [report, restore, image] = ACTS.map(|act| word(&act));
    db.prepare_cached(sql)?.execute(params![appliance, report, restore, image])?;
    Ok(())
}
