//! A database of a former version, with data in everything, brought up to date.

use super::alert_events::{self, AlertEvent};
use super::{Store, appliances, audit, consoles, fleet, organisations, sites};
use crate::api::Window;
use crate::error::StoreError;
use crate::operators::access::DEFAULT_ORGANISATION;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::Connection;

/// What the NOC wrote before it knew of organisations: two sites, a console, an invite, an appliance that is configured and one
/// that is at no site, an alert.
const FORMER: &str = "
    INSERT INTO noc (id, revision, root) VALUES (1, 40, zeroblob(32));
    INSERT INTO sites VALUES (3, 'Bern', '192.0.2.10-192.0.2.99', '255.255.255.0', '', 'example.net', '', '', 'm-{n}', 60, 'kick_start', 90);
    INSERT INTO sites VALUES (8, 'Thun', '192.0.2.10-192.0.2.99', '255.255.255.0', '', 'example.net', '', '', 'm-{n}', 60, 'first_beat', 90);
    INSERT INTO consoles VALUES (5, 'desk', zeroblob(32), 1, NULL);
    INSERT INTO console_sites VALUES (5, 3);
    INSERT INTO invites (token_hash, expires) VALUES (zeroblob(32), 9000000000);
    INSERT INTO invite_sites VALUES (zeroblob(32), 8);
    INSERT INTO appliances (id, uid, mac, serial, model, claim, site, seq, applied, settings, provisioning, health, revision)
        VALUES (1, x'0101010101010101010101010101010101010101', zeroblob(6), 'A', 'm', '', 3, 1, 1,
        '{\"host_name\":\"m-1\",\"domain\":\"example.net\",\"address\":\"192.0.2.10\",\"netmask\":\"24\",\"gateway\":\"\",\"dns1\":\"\",\"dns2\":\"\"}',
        'configured', 'well', 7);
    INSERT INTO appliances (id, uid, mac, serial, model, claim, revision)
        VALUES (2, x'0202020202020202020202020202020202020202', x'020202020202', 'B', 'm', '', 9);
    INSERT INTO grants (appliance, seq, site, console, settings, interval_s, issued, expires, configured)
        VALUES (1, 1, 3, 5, '{}', 60, 1, 2, 1);
    INSERT INTO addresses VALUES (3, 3221225994, 1, NULL);
    INSERT INTO host_names VALUES (3, 'm-1', 1, 1, NULL);
    INSERT INTO beats (appliance, time, report) VALUES (1, 5, '{}');
    INSERT INTO alerts (id, site, kind, opened, revision) VALUES (4, 3, 'silent', 6, 8);
    INSERT INTO alert_appliances VALUES (4, 1);";

#[test]
fn alerts_of_before_they_had_a_history_have_what_is_known_of_it() {
    let dir = tempfile::TempDir::new().expect("folder");
    let path = dir.path().join("noc.sqlite");
    let root = SecretKey::from_seed(&[1; 32]).public();
    let former = super::sqlite::connect_at(&path, 17);
    former.execute("INSERT INTO noc (id, revision, root) VALUES (1, 40, ?1)", [root.0]).expect("the root");
    let site = "INSERT INTO sites (id, organisation, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s,
        confirm, window_s) VALUES (3, 1, 'Bern', '192.0.2.10-192.0.2.99', '/24', '', 'example.net', '', '', 'm-{n}', 60, 'kick_start', 90);
        INSERT INTO appliances (id, uid, mac, serial, model, claim, site, revision)
        VALUES (2, x'0202020202020202020202020202020202020202', x'020202020202', 'B', 'm', '', 3, 9);
        INSERT INTO alerts (id, site, kind, opened, closed, revision, acknowledged, acknowledged_by, note)
        VALUES (4, 3, 'silent', 100, 300, 8, 200, 'anna@acme', 'mine'), (5, 3, 'site', 150, NULL, 9, NULL, '', '');
        INSERT INTO alert_appliances VALUES (4, 2);";
    former.execute_batch(site).expect("data");
    drop(former);

    let store = Store::open(&path, &root, None).expect("is brought up to date");
    let look = |db: &Connection| {
        let window = Window { limit: 9, after: None };
        let told = |alert| {
            let events = alert_events::of_alert(db, alert, window)?.items;
            let one = |e: AlertEvent| (e.time, super::word(&e.what), e.actor, e.who, e.note, e.appliances);
            Ok::<_, StoreError>(events.into_iter().map(one).collect::<Vec<_>>())
        };
        let noc =
            |time, what: &str, count| (time, what.to_owned(), "noc".to_owned(), String::new(), String::new(), count);
        let anna = (200, "acknowledged".to_owned(), String::new(), "anna@acme".to_owned(), "mine".to_owned(), 0);
        assert_eq!(told(4)?, [noc(100, "opened", 1), anna, noc(300, "resolved", 0)]);
        assert_eq!(told(5)?, [noc(150, "opened", 0)]);
        assert_eq!(alert_events::next_due(db)?, None, "nobody said that anything is escalated");
        Ok::<_, StoreError>(())
    };
    store.read_now(look).expect("read");
}

#[test]
fn what_was_there_before_organisations_belongs_to_the_default_one_and_nothing_is_lost() {
    let dir = tempfile::TempDir::new().expect("folder");
    let path = dir.path().join("noc.sqlite");
    let root = SecretKey::from_seed(&[1; 32]).public();
    let former = super::sqlite::connect_at(&path, 6);
    former.execute_batch(FORMER).expect("data");
    former.execute("UPDATE noc SET root = ?1", [root.0]).expect("the root");
    drop(former);

    let store = Store::open(&path, &root, None).expect("is brought up to date");
    let checked = store.write_now(|db| {
        let broken: i64 = db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
        let enforced: i64 = db.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
        // What refers to sites does so to the new table.
        let orphan = db.execute("INSERT INTO console_sites VALUES (5, 99)", []).is_err();
        Ok::<_, StoreError>((broken, enforced, orphan))
    });
    assert_eq!(checked.expect("checked"), (0, 1, true));
    let look = |db: &Connection| {
        let listed = organisations::all(db)?;
        assert_eq!((listed.len(), listed[0].id, listed[0].handle.as_str()), (1, DEFAULT_ORGANISATION, "default"));
        let known = sites::all(db)?;
        let names: Vec<_> = known.iter().map(|site| (site.id.0, site.name.as_str(), site.window_s)).collect();
        assert_eq!(names, [(3, "Bern", 90), (8, "Thun", 90)]);
        for site in [3, 8] {
            assert_eq!(organisations::of_site(db, SiteId(site))?, Some(DEFAULT_ORGANISATION));
        }
        for uid in [Uid([1; 20]), Uid([2; 20])] {
            assert_eq!(fleet::place_of(db, &uid)?.and_then(|place| place.organisation), Some(DEFAULT_ORGANISATION));
        }
        let console = consoles::authorise(db, ConsoleId(5)).expect("may act");
        assert_eq!(console.sites, [SiteId(3)]);
        let seen = appliances::of_console(db, ConsoleId(5), 0, 10)?;
        assert_eq!(seen.iter().map(|(_, record)| record.serial.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let alert = fleet::alert(db, 4)?.expect("the alert");
        assert_eq!((alert.alert.appliances, alert.alert.handling.acknowledged), (vec![Uid([1; 20])], None));
        assert_eq!(audit::last(db)?, None);
        // The next site gets a number that no former one had.
        let next: i64 = db.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'sites'", [], |row| row.get(0))?;
        assert_eq!(next, 8);
        let nobody = fleet::sites(db, crate::operators::OperatorId(1), None, Window { limit: 9, after: None })?;
        assert!(nobody.items.is_empty());
        Ok::<_, StoreError>(())
    };
    store.read_now(look).expect("read");
}
