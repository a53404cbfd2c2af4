//! The audit log: what is in it, and what a search for forgeries finds.

use crate::api::{Api, PASSWORD, role, sign_in};
use crate::world::{Device, World};
use muster_noc::{Broken, Role};
use serde_json::json;

/// Actions and actors of a whole log, oldest first.
fn log(world: &World) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let take = |record: muster_noc::Record| {
        found.push((record.action, record.actor, record.subject));
        true
    };
    world.noc.each_audit(take).expect("read");
    found
}

#[tokio::test]
async fn sign_ins_changes_grants_and_results_are_recorded_with_who_did_them() {
    let world = World::new().await;
    let root = world.administrator().await;
    let anybody = Api::anybody(&world).await;
    assert_eq!(
        anybody.post("/v1/sessions", sign_in("root", "wrong, and long enough", "bearer")).await.code(),
        "sign_in_refused"
    );
    assert_eq!(
        anybody.post("/v1/sessions", sign_in("my secret password", PASSWORD, "bearer")).await.code(),
        "sign_in_refused"
    );
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let seq = console.configure(site.id, &devices).await[0];
    console.report(devices[0].uid, seq, true).await;
    let settings = format!("/v1/appliances/{}/settings", devices[0].uid);
    root.change("PATCH", &settings, &settings, json!({ "address": "192.0.2.77" })).await.good();
    root.delete(&format!("/v1/consoles/{}", console.enrolled.console)).await;

    let uid = format!("appliance:{}", devices[0].uid);
    let me = "operator:1:root";
    let found = log(&world);
    for (action, actor, subject) in [
        ("operator.add", "local", me),
        ("sign_in.good", me, me),
        ("sign_in.refused", "nobody", me),
        ("sign_in.refused", "nobody", "unknown"),
        ("site.add", "local", "site:1"),
        ("inventory.import", "local", "organisation:1"),
        ("console.enrol", "console:1", "console:1"),
        ("grant.sign", "console:1", &uid),
        ("appliance.configured", "console:1", &uid),
        ("grant.sign", me, &uid),
        ("console.revoke", me, "console:1"),
    ] {
        let record = (action.to_owned(), actor.to_owned(), subject.to_owned());
        assert!(found.contains(&record), "{record:?} is not in {found:#?}");
    }
    let configured = found.iter().filter(|(action, ..)| action == "appliance.configured").count();
    assert_eq!(configured, 1, "the same result again changes nothing and is no record");
    // What was typed into the wrong field is nowhere.
    let everything = root.get("/v1/audit?limit=1000").await.text;
    assert!(
        !everything.contains("my secret") && !everything.contains(PASSWORD) && !everything.contains("muster_session_")
    );
    // A change that was refused leaves no record.
    let before = found.len();
    assert_eq!(root.post("/v1/organisations", json!({ "handle": "-", "name": "x" })).await.code(), "invalid");
    assert_eq!(log(&world).len(), before);
    assert_eq!(world.noc.verify_audit(None).expect("read").broken, None);
}

#[tokio::test]
async fn records_are_searched_by_page_and_by_what_they_say() {
    let world = World::new().await;
    let acme = world.noc.add_organisation("acme", "Acme").expect("added").id;
    world.operator("admin", Some(acme), role(Some(acme), None, Role::Administrator));
    let root = world.administrator().await;
    world.site("Bern", "192.0.2.10-192.0.2.99");
    let actions = async |api: &Api, query: &str| {
        let page = api.get(&format!("/v1/audit?{query}")).await.good();
        page["items"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|r| r["action"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(actions(&root, "action=site.").await, ["site.add"]);
    assert_eq!(actions(&root, "actor=local&subject=organisation:").await, ["organisation.add"]);
    assert_eq!(actions(&root, "since=9000000000").await, Vec::<String>::new());
    let first = root.get("/v1/audit?limit=2").await.good();
    let next = first["next"].as_str().expect("more");
    let second = root.get(&format!("/v1/audit?limit=2&after={next}")).await.good();
    assert!(first["items"][1]["seq"].as_u64() > second["items"][0]["seq"].as_u64(), "newest first");
    // An organisation's administrator sees what concerns it, and nothing of the NOC's own or of others.
    let admin = Api::anybody(&world).await.sign_in("admin@acme").await;
    assert_eq!(actions(&admin, "").await, ["sign_in.good", "operator.add", "organisation.add"]);
    assert_eq!(actions(&admin, "organisation=1").await, Vec::<String>::new());
}

#[tokio::test]
async fn every_forgery_in_the_database_is_found_and_the_first_broken_record_named() {
    let world = World::new().await;
    for n in 0..8 {
        world.noc.add_organisation(&format!("o{n}"), "O").expect("added");
    }
    let good = world.noc.verify_audit(None).expect("read");
    assert_eq!((good.good, good.broken), (8, None));
    let anchor = world.noc.anchor_audit().expect("signed").expect("not empty");
    let kept = world.dir.path().join("elsewhere.json");
    std::fs::write(&kept, serde_json::to_vec(&anchor).expect("JSON")).expect("kept");
    for _ in 0..2 {
        world.noc.add_organisation(&format!("late{}", log(&world).len()), "O").expect("added");
    }
    let db = world.database();
    let copy = |sql: &str| db.execute_batch(sql).expect("SQL");
    copy("CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_points AS SELECT * FROM audit_checkpoints;");
    let restore = "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DELETE FROM audit_checkpoints;
                   INSERT INTO audit_checkpoints SELECT * FROM kept_points;
                   UPDATE sqlite_sequence SET seq = 10 WHERE name = 'audit';";
    let cases: [(&str, &str, Option<Broken>); 13] = [
        ("a value", "UPDATE audit SET subject = 'organisation:99' WHERE seq = 5", Some(Broken::Altered { seq: 5 })),
        ("the actor", "UPDATE audit SET actor = 'noc' WHERE seq = 1", Some(Broken::Altered { seq: 1 })),
        ("the time", "UPDATE audit SET time = time + 1 WHERE seq = 10", Some(Broken::Altered { seq: 10 })),
        ("whose it is", "UPDATE audit SET organisation = NULL WHERE seq = 2", Some(Broken::Altered { seq: 2 })),
        ("a hash", "UPDATE audit SET hash = zeroblob(32) WHERE seq = 7", Some(Broken::Altered { seq: 7 })),
        ("one removed", "DELETE FROM audit WHERE seq = 4", Some(Broken::Missing { seq: 4 })),
        ("the first removed", "DELETE FROM audit WHERE seq = 1", Some(Broken::Missing { seq: 1 })),
        (
            "one removed and the numbers closed",
            "DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4;",
            Some(Broken::Altered { seq: 4 }),
        ),
        (
            "two exchanged",
            "UPDATE audit SET seq = -1 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 6; UPDATE audit SET seq = 6 WHERE seq = -1;",
            Some(Broken::Altered { seq: 3 }),
        ),
        ("the end cut off", "DELETE FROM audit WHERE seq > 9", Some(Broken::CutOff { seq: 10 })),
        (
            "the end cut off behind what is signed, with the counter",
            "DELETE FROM audit WHERE seq > 8; UPDATE sqlite_sequence SET seq = 8 WHERE name = 'audit';",
            // What came after the last signature is not held: this is the limit that docs/api.md names.
            None,
        ),
        (
            "cut off before what is signed, with counter and checkpoints",
            "DELETE FROM audit WHERE seq > 6; DELETE FROM audit_checkpoints; UPDATE sqlite_sequence SET seq = 6 WHERE name = 'audit';",
            Some(Broken::CutOff { seq: 7 }),
        ),
        (
            "a checkpoint that is not the root's",
            "UPDATE audit_checkpoints SET signed = CAST(replace(CAST(signed AS TEXT), '\"seq\":8', '\"seq\":7') AS BLOB)",
            Some(Broken::Checkpoint { seq: 7 }),
        ),
    ];
    for (what, sql, broken) in cases {
        copy(sql);
        assert_eq!(world.noc.verify_audit(None).expect("read").broken, broken, "{what}");
        copy(restore);
    }
    assert_eq!(world.noc.verify_audit(Some(&kept)).expect("read").broken, None);

    // All made anew with good hashes, as somebody can who writes the database but has no root key.
    copy("DELETE FROM audit_checkpoints");
    let forged = world.noc.search_audit(None, None, None, None, 100).expect("read");
    copy("DELETE FROM audit");
    drop(db);
    rewrite(&world, forged.into_iter().rev());
    assert_eq!(world.noc.verify_audit(None).expect("read").broken, Some(Broken::NotAnchored { seq: 8 }));
    // And without the file beside the database only what was kept elsewhere tells.
    std::fs::remove_file(world.dir.path().join("noc/audit.anchor")).expect("removed");
    assert_eq!(world.noc.verify_audit(None).expect("read").broken, None);
    assert_eq!(world.noc.verify_audit(Some(&kept)).expect("read").broken, Some(Broken::NotAnchored { seq: 8 }));
    std::fs::write(&kept, "{}").expect("spoilt");
    assert!(world.noc.verify_audit(Some(&kept)).is_err());
}

/// The same records by other people, chained anew.
fn rewrite(world: &World, records: impl Iterator<Item = muster_noc::Record>) {
    use sha2::{Digest, Sha256};
    let db = world.database();
    let mut before = vec![0; 32];
    for r in records {
        let site = r.site.map(|site| site.0);
        let actor = "somebody else";
        let values = (r.seq, r.time, actor, &r.address, r.organisation, site, &r.action, &r.subject, &r.detail);
        let mut hash = Sha256::new();
        hash.update(&before);
        hash.update(serde_json::to_vec(&values).expect("JSON"));
        before = hash.finalize().to_vec();
        let sql = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let organisation = r.organisation.map(|id| id.0);
        let row = rusqlite::params![
            r.seq,
            r.time,
            actor,
            r.address,
            organisation,
            site,
            r.action,
            r.subject,
            r.detail,
            before
        ];
        db.execute(sql, row).expect("written");
    }
}
