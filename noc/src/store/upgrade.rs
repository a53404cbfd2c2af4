//! A database of a former version, with data in everything, brought up to date.

use super::alert_events::{self, AlertEvent};
use super::sqlite::{connect_at, migrate_to};
use super::{Store, appliances, audit, consoles, fleet, operators, organisations, schema, sites};
use crate::api::Window;
use crate::error::StoreError;
use crate::operators::access::DEFAULT_ORGANISATION;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeMap;

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
    let former = connect_at(&path, 6);
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

/// What each version came with, filled: of a database of version *n*, everything up to *n* is there. A new version needs a line.
const LATER: &[(i32, &str)] = &[
    (
        7,
        "INSERT INTO handover (id, serial, noc, ca_pin, root, started, ended)
            VALUES (1, 4, 'b:1', zeroblob(32), zeroblob(32), 5, 6);
         INSERT INTO handed_over (appliance, serial, given, problem) VALUES (2, 4, 5, 'no_beat');
         UPDATE appliances SET serial_floor = 77 WHERE id = 1;",
    ),
    (
        8,
        "UPDATE sites SET pool6 = '2001:db8::/64', gateway6 = '2001:db8::1' WHERE id = 3;
         INSERT INTO addresses6 VALUES (3, x'20010db8000000000000000000000007', 1, NULL);",
    ),
    (
        9,
        "INSERT INTO organisations (id, handle, name, created) VALUES (2, 'acme', 'Acme', 5);
         INSERT INTO operators (id, organisation, login, name, password, created) VALUES (6, 2, 'anna@acme', 'Anna', 'x', 5);
         INSERT INTO operator_roles (operator, organisation, site, role) VALUES (6, 2, NULL, 'administrator');
         INSERT INTO sessions (id, operator, secret_hash, kind, created, used, expires, address, program)
            VALUES (11, 6, zeroblob(32), 'cookie', 1, 1, 9000000000, '192.0.2.1', 'a browser');
         INSERT INTO api_tokens (id, operator, name, secret_hash, scopes, created, expires)
            VALUES (12, 6, 'nightly', zeroblob(32), '[\"sites:read\"]', 1, 9000000000);
         UPDATE alerts SET acknowledged = 9, acknowledged_by = 'anna@acme', note = 'the line' WHERE id = 4;",
    ),
    (
        10,
        "INSERT INTO audit VALUES (1, 5, 'local', '', 2, NULL, 'backup.take', 'noc', '{}', zeroblob(32));
         INSERT INTO audit_checkpoints VALUES (1, x'7b7d');",
    ),
    (11, "INSERT INTO idempotency_keys VALUES (6, 'POST /v1/sites', 'k', zeroblob(32), 5, '{}', '/v1/sites/3');"),
    (13, "UPDATE sites SET drift = 'restore' WHERE id = 8;"),
    (
        14,
        "INSERT INTO queue (console, number, said, signed, issued, expires, state, answer)
            VALUES (5, 1, '{\"kind\":\"refresh\"}', x'00', 5, 9000000000, 'done', 'ok');",
    ),
    (15, "UPDATE noc SET seq_floor = 500, first_revision = 30;"),
    (
        16,
        "UPDATE organisations SET policy = '{\"values\":{\"dns1\":\"192.0.2.53\"}}' WHERE id = 1;
         UPDATE sites SET exclude = '192.0.2.20', inherit = '[\"dns1\"]',
            profiles = '[{\"model\":\"m\",\"values\":{\"window_s\":60}}]' WHERE id = 3;
         INSERT INTO site_models VALUES (3, 'm', 60, NULL);
         INSERT INTO reservations (site, serial, address, note) VALUES (3, 'S', 3221225995, 'why');",
    ),
    (
        17,
        "INSERT INTO configurations (appliance, version, seq, site, settings, actor, why, signed)
            VALUES (1, 2, 9, 3, '{}', 'local', 'moved', 7);
         INSERT INTO drafts (id, site, title, made, made_by) VALUES (5, 3, 'another name server', 6, 'local');
         INSERT INTO draft_rows VALUES (5, 1, '{}', '{}', NULL);",
    ),
    // Only indexes.
    (18, ""),
    (
        19,
        "INSERT INTO audit_cut VALUES (1, 1, x'7b7d');
         UPDATE noc SET last_backup = 5;",
    ),
    (
        20,
        "INSERT INTO beat_journal (beats, records) VALUES (0, x'');
         INSERT INTO beat_blocks VALUES (4294967296, 5, 5, 1, 1, x'00');
         INSERT INTO beat_rollups VALUES (4294967296, x'00');
         UPDATE organisations SET keep_beats_s = 200000 WHERE id = 1;",
    ),
    (
        23,
        "INSERT INTO alert_events (alert, time, what, actor, note) VALUES (4, 7, 'silenced', 'local', 'works');
         UPDATE sites SET escalate_after_s = 600 WHERE id = 3;
         UPDATE alerts SET silenced_until = 9, silenced_by = 'local', due = 9 WHERE id = 4;",
    ),
    (
        24,
        "INSERT INTO channels (id, organisation, name, target, made) VALUES (3, 1, 'mail', '{}', 5);
         INSERT INTO channel_sites VALUES (3, 8);
         INSERT INTO channel_messages (id, channel, key, made, is_urgent) VALUES (4, 3, 'k', 5, 0);
         INSERT INTO deliveries (channel, event, message) VALUES (3, 1, 4);",
    ),
    (
        25,
        "UPDATE organisations SET monitoring = '{\"grace_s\":60}' WHERE id = 1;
         UPDATE noc SET monitoring = 2, alive = 50;
         INSERT INTO maintenance (site, appliance, starts, ends, made, made_by) VALUES (3, 1, 5, 9, 4, 'local');
         INSERT INTO absences VALUES (1, 10, 90);",
    ),
    (26, "INSERT INTO standings VALUES (3, 1, 5, 9, 'silent');"),
    (
        27,
        "INSERT INTO remote_writes (organisation, url, version, cursor) VALUES (1, 'https://a/', 3, 7);
         INSERT INTO beat_outbox VALUES (8, 0, x'');",
    ),
    (28, "UPDATE sites SET application = '{\"a\":1}' WHERE id = 3;"),
    (
        29,
        "INSERT INTO applet_authors (id, organisation, name, key, added) VALUES (2, 1, 'Acme', zeroblob(32), 5);
         INSERT INTO applets (id, organisation, name, version, title, author, hash, bundle, published)
            VALUES (3, 1, 'mail', '1.0.0', 'Mail', zeroblob(32), zeroblob(32), x'00', 5);
         INSERT INTO applet_channels VALUES (1, 'mail', 'stable', '1.0.0', NULL, 100, 5);
         INSERT INTO applet_floors VALUES (1, 'mail', '1.0.0');
         INSERT INTO applet_places (organisation, name, site, channel) VALUES (1, 'mail', 3, 'test');
         INSERT INTO applet_numbers VALUES (1, 41);",
    ),
    (
        30,
        "INSERT INTO component_repository VALUES (1, 5, zeroblob(32), 5, 7);
         INSERT INTO component_roots VALUES (1, 9, x'7b7d');
         INSERT INTO component_metadata VALUES (0, 'timestamp.json', 7, 9, x'7b7d');
         INSERT INTO components (id, organisation, name, version, target, hash, size, facts, added)
            VALUES (2, 1, 'filter', '1', 'filter_1', zeroblob(32), 4, '{}', 5);
         INSERT INTO component_channels VALUES (1, 'filter', 'stable', 2);
         UPDATE sites SET components = '{\"required\":[{\"name\":\"filter\",\"channel\":\"stable\"}]}' WHERE id = 3;",
    ),
    (
        31,
        "UPDATE sites SET proof = 'claim' WHERE id = 3;
         UPDATE appliances SET proof = 'voucher' WHERE id = 1;",
    ),
    (32, "INSERT INTO draft_sites VALUES (5, 8);"),
    (33, "UPDATE sites SET ntp = 'ntp.example.net 192.0.2.123', search_domains = 'example.org' WHERE id = 3;"),
    (
        34,
        "INSERT INTO component_rollouts (id, organisation, site, name, model, version, waves, former, layers, state, is_in_force,
            cuts, started, started_by) VALUES (4, 1, 3, 'filter', '', '1', '{\"waves\":[\"100%\"]}', 'null',
            '[{\"line\":null,\"reached\":null}]', 'running', 1, '[9]', 5, 'local');
         INSERT INTO component_rollout_appliances (rollout, appliance, wave, state, since, asked) VALUES (4, 1, 0, 'well', 6, 5);",
    ),
    (
        36,
        "INSERT INTO component_vendors (id, handle, keys, threshold, components, added, version)
            VALUES (1, 'acme', '[\"00\"]', 1, '[\"scan\"]', 5, 7);
         INSERT INTO component_vendor_metadata VALUES (1, 7, 9, x'7b7d');
         INSERT INTO components (id, name, version, target, hash, size, facts, added, vendor)
            VALUES (3, 'scan', '1', 'scan_1', zeroblob(32), 4, '{}', 5, 1);",
    ),
];

/// Every row of every table, by the columns that are named.
fn everything(db: &Connection, tables: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<Vec<Value>>> {
    let rows_of = |(table, columns): (&String, &Vec<String>)| {
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let mut statement = db.prepare(&sql).expect("a table with these columns");
        let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get(at)).collect();
        let mut rows: Vec<Vec<Value>> =
            statement.query_map([], read).expect("read").collect::<Result<_, _>>().expect("rows");
        rows.sort_by_key(|row| format!("{row:?}"));
        (table.clone(), rows)
    };
    tables.iter().map(rows_of).collect()
}

fn tables(db: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'refinery_%'";
    let mut statement = db.prepare(sql).expect("read");
    let found = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("read");
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in found.map(|row| row.expect("a column")) {
        tables.entry(table).or_default().push(column);
    }
    tables
}

#[test]
fn nothing_of_any_former_version_is_lost_or_altered() {
    let newest = i32::try_from(schema()).expect("small");
    assert_eq!(LATER.last().map(|(version, _)| *version), Some(newest), "a new version needs data here");
    let root = SecretKey::from_seed(&[1; 32]).public();
    for &(version, _) in LATER {
        let dir = tempfile::TempDir::new().expect("folder");
        let path = dir.path().join("noc.sqlite");
        let mut former = connect_at(&path, 6);
        former.execute_batch(FORMER).expect("data");
        former.execute("UPDATE noc SET root = ?1", [root.0]).expect("the root");
        for (step, data) in LATER.iter().filter(|(step, _)| *step <= version) {
            migrate_to(&mut former, *step);
            former.execute_batch(data).unwrap_or_else(|error| panic!("version {step}: {error}"));
        }
        let known = tables(&former);
        let before = everything(&former, &known);
        let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
        // What appliances did before version 6 is in the test above.
        assert!(
            empty.iter().all(|table| ["ended_boots", "given_grants", "instructions", "logs"].contains(&table.as_str())),
            "version {version}: nothing is in {empty:?}"
        );
        drop(former);

        let store = Store::open(&path, &root, None).expect("is brought up to date");
        let look = |db: &Connection| {
            let after = everything(db, &known);
            for (table, rows) in &before {
                // Each version says of its own what was there before; what was there stays.
                let kept = rows.iter().all(|row| after[table].contains(row));
                assert!(
                    kept && rows.len() == after[table].len(),
                    "version {version}, {table}: {rows:?} {:?}",
                    after[table]
                );
            }
            let broken: i64 = db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
            assert_eq!(broken, 0, "version {version}");
            // And this program reads it.
            assert_eq!((sites::all(db)?.len(), appliances::all(db)?.len()), (2, 2), "version {version}");
            assert_eq!(operators::all(db)?.len(), usize::from(version >= 9), "version {version}");
            assert_eq!(audit::last(db)?.is_some(), version >= 10, "version {version}");
            let backup = super::copy::last_backup(db)?;
            assert_eq!(backup, (version >= 10).then_some(5), "version {version}");
            Ok::<_, StoreError>(())
        };
        store.read_now(look).expect("read");
    }
}
