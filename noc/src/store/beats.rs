//! Beats: the last of each appliance in the status table, and all of them in the history.

use super::appliances::{self, json};
use super::work::{self, Due};
use super::{history, late, policies, results};
use crate::api::ApiError;
use crate::audit::By;
use crate::error::StoreError;
use crate::history::{Flat, Group};
use crate::watch::{Notice, Told};
use muster_protocol::api::{Beat, BeatRecord};
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, params};

/// Rows of the former history that go in one step, so that deletion never holds up beats.
const STEP: i64 = 2_000;

/// A beat, with what is made of it before it is written.
pub(crate) struct Prepared {
    pub(crate) beat: Beat,
    /// Its values for the status table, JSON.
    pub(super) report: String,
    /// And for the history.
    pub(super) values: Flat,
    /// Those of [`Beat::earlier`], in their order.
    earlier: Vec<Flat>,
}

impl Prepared {
    pub(crate) fn new(beat: Beat) -> Prepared {
        let report = json(&beat.values);
        let values = Flat::of(&beat.values);
        let earlier = beat.earlier.iter().map(|earlier| Flat::of(&earlier.values)).collect();
        Prepared { beat, report, values, earlier }
    }
}

/// What a beat comes to.
pub(crate) struct Kept {
    pub(crate) interval_s: u32,
    /// Whose appliance it is.
    pub(crate) organisation: u32,
    /// Where it is, and of what model; none when that was not looked up.
    pub(super) place: Option<(Option<SiteId>, String)>,
    pub(crate) notices: Vec<Notice>,
    /// What goes out with the answer.
    pub(crate) due: Due,
}

impl Kept {
    /// Nothing goes out.
    pub(super) fn quiet(interval_s: u32, organisation: u32, notices: Vec<Notice>) -> Kept {
        Kept { interval_s, organisation, place: None, notices, due: Due::default() }
    }
}

/// What the status daemon is told of a beat of the present.
pub(super) fn notice(uid: &Uid, beat: &Beat, model: &str, is_expected: bool) -> Option<Notice> {
    let told = || Box::new(Told { model: model.to_owned(), values: beat.values.clone() });
    is_expected.then(|| Notice::Beat { uid: *uid, told: told() })
}

/// Keeps a beat, and those of the past that come with it. One that was counted before (a repeat after a lost answer), or that
/// is of a boot that has ended, is answered alike and changes nothing. What goes into the history is left in `group`.
pub(super) fn keep(
    db: &Connection,
    now: u64,
    uid: &Uid,
    prepared: &Prepared,
    group: &mut Group,
) -> Result<Kept, ApiError> {
    let beat = &prepared.beat;
    let appliance = appliances::find(db, uid)?.ok_or(ApiError::ApplianceUnknown)?;
    if appliance.is_retired() {
        return Err(ApiError::ApplianceRetired);
    }
    let interval_s = interval(db, &appliance)?;
    let organisation = organisation(db, appliance.id)?;
    let standing = (beat.seq, beat.work.drift);
    let place = Some((appliance.record.site, appliance.record.model.clone()));
    let Some(mut boot) = late::begin(db, appliance.id, beat.boot)? else {
        return Ok(Kept::quiet(interval_s, organisation, Vec::new()));
    };
    let before = boot.counted.clone();
    for earlier in beat.earlier.iter().zip(&prepared.earlier) {
        late::keep(db, now, appliance.id, &mut boot, earlier, group)?;
    }
    if !boot.counted.live(beat.counter) {
        if boot.counted != before {
            late::store(db, appliance.id, &boot)?;
        }
        let due = work::due(db, now, &appliance, standing)?;
        return Ok(Kept { due, place, ..Kept::quiet(interval_s, organisation, Vec::new()) });
    }
    // A console can die between kick-start and report. A beat under a grant proves that it is in force.
    let proven = if beat.seq > appliance.applied {
        results::keep(db, now, &By::appliance(uid), &appliance, beat.seq, true, "")?
    } else {
        None
    };
    let mut notices: Vec<Notice> = proven.into_iter().collect();
    let expected = appliance.applied.0 > 0 || !notices.is_empty();
    if let (true, Some(site)) = (expected && interval_s != appliance.interval_s, appliance.record.site) {
        db.prepare_cached("UPDATE appliances SET interval_s = ?2 WHERE id = ?1")?
            .execute(params![appliance.id, interval_s])
            .map_err(StoreError::from)?;
        notices.push(Notice::Expect { uid: *uid, site, interval_s, whereabouts: None });
    }
    let revision = super::next_revision(db)?;
    db.prepare_cached(
        "UPDATE appliances SET last_beat = ?2, boot = ?3, counter = ?4, gaps = ?5, beat = ?6, revision = ?7 WHERE id = ?1",
    )?
    .execute(params![
        appliance.id,
        now,
        beat.boot.0,
        beat.counter,
        json(&boot.counted.gaps()),
        prepared.report,
        revision
    ])?;
    group.push(appliance.id, now, &prepared.values);
    notices.extend(notice(uid, beat, &appliance.record.model, expected));
    notices.extend(work::report(db, now, uid, &beat.work)?);
    let due = work::due(db, now, &appliance, standing)?;
    Ok(Kept { due, place, ..Kept::quiet(interval_s, organisation, notices) })
}

/// A console's view of one appliance's history since a time, oldest first.
pub(crate) fn history(db: &Connection, console: ConsoleId, uid: &Uid, since: u64) -> Result<Vec<BeatRecord>, ApiError> {
    let sql =
        "SELECT id FROM appliances WHERE uid = ?1 AND site IN (SELECT site FROM console_sites WHERE console = ?2)";
    let id: Option<i64> = db.prepare_cached(sql)?.query_row(params![uid.0, console.0], |row| row.get(0)).optional()?;
    Ok(history::beats(db, id.ok_or(ApiError::UnknownAppliance { uid: *uid })?, since)?)
}

/// Deletes one step of the history as it was kept before there were blocks; true when there may be more. What a clock that was
/// wrong wrote into the far future goes as well.
pub(crate) fn prune(db: &Connection, now: u64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM beats WHERE id IN (SELECT id FROM beats ORDER BY id LIMIT ?2)
               AND (time < ?1 OR time > ?3)";
    let keep = history::BEATS_S;
    let gone = db.prepare_cached(sql)?.execute(params![now.saturating_sub(keep), STEP, now + keep])?;
    Ok(gone as i64 == STEP)
}

/// What the site asks for now; what the last grant said, when there is no site.
fn interval(db: &Connection, appliance: &appliances::Appliance) -> Result<u32, StoreError> {
    let Some(site) = appliance.record.site else { return Ok(appliance.interval_s) };
    let asked = policies::beat_interval(db, site, &appliance.record.model)?;
    Ok(asked.unwrap_or(appliance.interval_s))
}

fn organisation(db: &Connection, appliance: i64) -> Result<u32, StoreError> {
    Ok(db
        .prepare_cached("SELECT organisation FROM appliances WHERE id = ?1")?
        .query_row([appliance], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::appliances::NewAppliance;
    use crate::store::history::BEATS_S;
    use muster_protocol::api::{BeatValues, EarlierBeat, WorkReport};
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::id::{BootId, Mac, Seq};
    use tempfile::TempDir;

    const DEVICE: Uid = Uid([1; 20]);

    fn new() -> (TempDir, Store) {
        let dir = TempDir::new().expect("folder");
        let path = dir.path().join("noc.sqlite");
        std::fs::write(&path, b"").expect("file");
        let root = SecretKey::from_seed(&[1; 32]).public();
        Store::create(&path, &root).expect("tables");
        let store = Store::open(&path, &root, None).expect("opens");
        let insert = |db: &Connection| {
            let new = NewAppliance { uid: DEVICE, mac: Mac([2; 6]), serial: "", model: "", claim: "", site: None };
            appliances::insert(db, &new)
        };
        store.write_now(insert).expect("kept");
        (dir, store)
    }

    fn take(store: &Store, now: u64, boot: u8, counter: u64) {
        take_with(store, now, boot, counter, Vec::new());
    }

    fn take_with(store: &Store, now: u64, boot: u8, counter: u64, earlier: Vec<EarlierBeat>) {
        let values = BeatValues::default();
        let beat =
            Beat { boot: BootId([boot; 16]), counter, seq: Seq(0), values, work: WorkReport::default(), earlier };
        store.take_now(now, DEVICE, beat).expect("answered");
    }

    /// In the order in which they came.
    fn times(store: &Store) -> Vec<u64> {
        store.read_now(|db| history::arrivals(db, 1)).expect("read")
    }

    #[test]
    fn a_boot_that_ended_does_not_come_back_however_many_follow_it() {
        let (_dir, store) = new();
        for boot in 1..=20 {
            take(&store, u64::from(boot), boot, 1);
        }
        for boot in 1..20 {
            take(&store, 100, boot, 9);
        }
        take(&store, 100, 20, 1);
        assert_eq!(times(&store), (1..=20).collect::<Vec<_>>());
    }

    fn earlier(boot: u8, counter: u64, age_s: Option<u64>, time: Option<u64>) -> EarlierBeat {
        EarlierBeat { boot: BootId([boot; 16]), counter, age_s, time, values: BeatValues::default() }
    }

    #[test]
    fn what_comes_late_is_placed_when_it_was_measured_and_counts_once() {
        let (_dir, store) = new();
        let now = 10 * BEATS_S;
        take(&store, now - 1_000, 1, 1);
        // Boots 2 and 3 came and went while the NOC was away; of 3 nothing is known of its time.
        let batch = vec![
            earlier(1, 2, None, Some(now - 900)),
            earlier(2, 1, None, Some(now - 800)),
            earlier(3, 1, None, None),
            earlier(4, 1, Some(300), None),
            earlier(4, 2, Some(u64::MAX), None),
            earlier(4, 3, Some(100), Some(5)),
            earlier(4, 4, None, Some(u64::MAX)),
        ];
        let placed = [now - 1_000, now - 900, now - 800, now - 1_000, now - 300, now - 100, now, now];
        for _ in 0..2 {
            take_with(&store, now, 4, 5, batch.clone());
            assert_eq!(times(&store), placed, "what is older than the history is not kept, and nothing twice");
        }
        // The same again with another beat of the present, with one of each boot that is new, and in a boot that ended.
        let mut again = batch.clone();
        again.extend([earlier(1, 3, None, Some(now - 850)), earlier(2, 9, None, Some(now - 700))]);
        take_with(&store, now + 60, 4, 6, again.clone());
        take_with(&store, now + 60, 1, 9, vec![earlier(1, 4, None, Some(now))]);
        assert_eq!(times(&store)[placed.len()..], [now - 850, now - 700, now + 60]);
        let last: u64 = store
            .read_now(|db| Ok::<_, StoreError>(db.query_row("SELECT last_beat FROM appliances", [], |row| row.get(0))?))
            .expect("read");
        assert_eq!(last, now + 60);
    }

    #[test]
    fn history_that_is_delivered_piece_by_piece_after_a_lost_answer_is_whole() {
        let (_dir, store) = new();
        let now = 10 * BEATS_S;
        take(&store, now, 1, 1);
        let piece =
            |from: u64, to: u64| (from..=to).map(|n| earlier(1, n, Some(10 * (9 - n)), None)).collect::<Vec<_>>();
        take_with(&store, now + 90, 1, 9, piece(2, 4));
        // The answer was lost: the same number again, and then a new one, with the same piece.
        take_with(&store, now + 91, 1, 9, piece(2, 4));
        take_with(&store, now + 92, 1, 10, piece(2, 4));
        take_with(&store, now + 93, 1, 11, piece(5, 8));
        assert_eq!(times(&store).len(), 11);
        take_with(&store, now + 94, 1, 11, piece(2, 8));
        assert_eq!(times(&store).len(), 11);
    }

    #[test]
    fn what_a_wrong_clock_wrote_into_the_future_does_not_keep_older_beats_from_going() {
        let (_dir, store) = new();
        let (day, year) = (86_400, 365 * 86_400);
        let mut counter = 0;
        for time in [10 * year, year, year + day, year + 8 * day] {
            // As many as fill a block.
            for _ in 0..120 {
                counter += 1;
                take(&store, time, 1, counter);
            }
            history::fold::all_now(&store, time).expect("folded");
        }
        store.write_now(move |db| history::retention::sweep(db, year + 8 * day, 0)).expect("swept");
        assert_eq!(times(&store), [year + 8 * day; 120]);
    }
}
