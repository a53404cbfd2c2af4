use super::*;
use crate::history::{Flat, Group};
use crate::store::history::{append, fold};
use crate::store::sqlite::{connect_at, schema};
use muster_protocol::api::BeatValues;

/// A database with three appliances, the third of which is another organisation's.
fn database() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::TempDir::new().expect("folder");
    let version = i32::try_from(schema()).expect("small");
    let db = connect_at(&dir.path().join("noc.sqlite"), version);
    db.execute("INSERT INTO noc (id, revision, root) VALUES (1, 1, zeroblob(32))", []).expect("a NOC");
    db.execute("INSERT INTO organisations (id, handle, name, created) VALUES (2, 'other', 'Other', 1)", [])
        .expect("an organisation");
    for (id, organisation) in [(1_u8, 1), (2, 1), (3, 2)] {
        let uid = [id; 20];
        let sql = "INSERT INTO appliances (id, uid, mac, serial, model, claim, revision, organisation, settings)
                   VALUES (?1, ?2, zeroblob(6), '', 'm', '', 1, ?3, '{\"host_name\":\"h\"}')";
        db.execute(sql, params![id, uid, organisation]).expect("an appliance");
    }
    (dir, db)
}

/// A commit with a beat of each appliance.
fn commit(db: &Connection, time: u64) {
    let mut group = Group::default();
    for appliance in 1..=3 {
        let values = BeatValues { load: time as f64, ..BeatValues::default() };
        group.push(appliance, time, &Flat::of(&values));
    }
    append(db, &mut group).expect("kept");
}

fn target(db: &Connection, organisation: u32) -> u64 {
    let spec = RemoteWriteSpec { url: "https://a/".into(), user: String::new(), ca: String::new(), enabled: true };
    let checked = spec.check(None, None).expect("good");
    set(db, OrganisationId(organisation), &checked, false, false).expect("set");
    find(db, OrganisationId(organisation)).expect("read").expect("there").version
}

/// What is folded without the test's short cut: rows leave the journal by `forget` only.
fn folded(db: &Connection) {
    fold::whole(db, 1_000).expect("folded");
}

fn count(db: &Connection, table: &str) -> u64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("counted")
}

fn taken(db: &Connection, organisation: u32, version: u64, part: &Part) {
    let outcome = Outcome::Taken { answer: "204".into() };
    settle(db, 9, OrganisationId(organisation), version, part.upto, part.beats, &outcome).expect("kept");
}

#[test]
fn what_is_folded_before_it_went_out_waits_until_everybody_has_it() {
    let (_dir, db) = database();
    commit(&db, 10);
    folded(&db);
    assert_eq!((count(&db, "beat_journal"), count(&db, "beat_outbox")), (0, 0), "nobody wants it");
    let (one, two) = (target(&db, 1), target(&db, 2));
    for time in [20, 30] {
        commit(&db, time);
    }
    folded(&db);
    assert_eq!((count(&db, "beat_journal"), count(&db, "beat_outbox")), (0, 2));
    commit(&db, 40);
    let part = next(&db, OrganisationId(1), one).expect("read").expect("something");
    assert_eq!((part.beats, part.is_full), (6, false), "its own two appliances, from when it was set, in both tables");
    taken(&db, 1, one, &part);
    assert!(next(&db, OrganisationId(1), one).expect("read").is_none());
    assert!(!clear(&db).expect("done"));
    assert_eq!(count(&db, "beat_outbox"), 2, "the other one does not have it yet");
    let waiting = shown(&db, OrganisationId(2)).expect("read").state.waiting_since;
    assert_eq!(waiting, Some(20));
    let part = next(&db, OrganisationId(2), two).expect("read").expect("something");
    assert_eq!(part.beats, 3);
    taken(&db, 2, two, &part);
    assert!(!clear(&db).expect("done"));
    assert_eq!(count(&db, "beat_outbox"), 0);
    let state = shown(&db, OrganisationId(1)).expect("read").state;
    assert_eq!((state.sent, state.waiting_since, state.delivered), (6, None, Some(9)));
}

#[test]
fn what_was_set_anew_is_not_written_by_what_was_before() {
    let (_dir, db) = database();
    let before = target(&db, 1);
    commit(&db, 10);
    let part = next(&db, OrganisationId(1), before).expect("read").expect("something");
    let now = target(&db, 1);
    assert!(next(&db, OrganisationId(1), before).expect("read").is_none());
    taken(&db, 1, before, &part);
    assert_eq!(shown(&db, OrganisationId(1)).expect("read").state.sent, 0, "its answer is another one's");
    assert!(next(&db, OrganisationId(1), now).expect("read").is_none(), "only what comes from then on");
    remove(&db, OrganisationId(1)).expect("removed");
    commit(&db, 20);
    folded(&db);
    assert_eq!(count(&db, "beat_outbox"), 0);
}

#[test]
fn what_does_not_fit_any_more_is_given_up_and_counted() {
    let (_dir, db) = database();
    let (one, _) = (target(&db, 1), target(&db, 2));
    commit(&db, 10);
    let part = next(&db, OrganisationId(1), one).expect("read").expect("something");
    taken(&db, 1, one, &part);
    for time in [20, 30] {
        commit(&db, time);
    }
    folded(&db);
    let bytes = waiting_bytes(&db).expect("read");
    assert!(bytes > 0);
    assert_eq!(give_up(&db).expect("done"), bytes);
    assert_eq!((count(&db, "beat_outbox"), give_up(&db).expect("done")), (0, 0));
    let lost = |id| shown(&db, OrganisationId(id)).expect("read").state.lost;
    assert_eq!((lost(1), lost(2)), (4, 3), "of each its own, and not what it had");
    assert!(next(&db, OrganisationId(1), one).expect("read").is_none());
}
