//! A NOC that was restored: from an old copy of its files, and from a backup into an empty machine.

use crate::world::{Noc, Practice, copy_folder};
use std::collections::BTreeMap;
use std::time::Duration;
use system_tests::wait::until;

#[test]
fn a_noc_restored_from_an_old_copy_configures_at_the_first_retry() {
    let mut world = Practice::start(&["--count", "3"]);
    world.configure();
    world.noc.cut_power();
    let copy = world.noc.folder.path().join("copy");
    copy_folder(&world.noc.dir(), &copy);
    world.noc.serve();

    // The copy is some configurations old by the time it is needed.
    let plan = world.noc.folder.path().join("plan.csv");
    let plan = plan.to_str().expect("UTF-8");
    let uids: Vec<String> = world.muster.json(&["status"])["appliances"]
        .as_array()
        .expect("appliances")
        .iter()
        .map(|row| row["uid"].as_str().expect("a UID").to_owned())
        .collect();
    let edit = |round: usize| {
        let mut lines = vec!["uid,host_name,domain,address,netmask,gateway,dns1,dns2".to_owned()];
        for (n, uid) in uids.iter().enumerate() {
            let address = format!("10.20.{round}.{}", 10 + n);
            lines.push(format!("{uid},round-{round}-{n},example.net,{address},255.255.0.0,10.20.0.1,,"));
        }
        std::fs::write(plan, lines.join("\n")).expect("written");
        let job = world.muster.json(&["configure", "--plan", plan]);
        let items = job["items"].as_array().expect("items").clone();
        assert!(items.iter().all(|item| item["step"] == "configured"), "{job}");
        items.iter().map(|item| item["attempts"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    for round in 1..=5 {
        assert_eq!(edit(round), [1, 1, 1], "nothing is lost on loopback");
    }

    world.noc.cut_power();
    std::fs::remove_dir_all(world.noc.dir()).expect("lost");
    copy_folder(&copy, &world.noc.dir());
    world.noc.serve();
    assert_eq!(edit(6), [2, 2, 2], "one packet with a number that was used, one with a fresh one");
    assert!(world.noc.log().contains("restored from an older copy"));
    assert_eq!(edit(7), [1, 1, 1], "and from then on as if nothing had happened");
}

/// The time of each appliance's last beat, by the NOC.
fn last_beats(noc: &Noc) -> BTreeMap<String, u64> {
    let listed: serde_json::Value = serde_json::from_str(&noc.run(&["inventory", "list", "--json"])).expect("JSON");
    let rows = listed.as_array().expect("rows");
    let beat = |row: &serde_json::Value| row["last_beat"].as_u64().unwrap_or(0);
    rows.iter().map(|row| (row["uid"].as_str().expect("a UID").to_owned(), beat(row))).collect()
}

fn all_beat_after(noc: &Noc, since: &BTreeMap<String, u64>) {
    until("everybody to beat", Duration::from_secs(40), || {
        let beats = last_beats(noc);
        let all = since.iter().all(|(uid, before)| beats.get(uid).is_some_and(|now| now > before));
        if all { Ok(()) } else { Err(format!("{beats:?} after {since:?}")) }
    });
}

#[test]
fn a_backup_restored_into_an_empty_machine_goes_on_with_every_appliance_and_console() {
    let mut world = Practice::start(&["--count", "6"]);
    world.configure();
    all_beat_after(&world.noc, &last_beats(&world.noc).into_keys().map(|uid| (uid, 0)).collect());
    // On another disk, while the NOC serves.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let backup = elsewhere.path().join("backup");
    let backup = backup.to_str().expect("UTF-8");
    world.noc.run(&["backup", backup]);

    let plan = elsewhere.path().join("plan.csv");
    let uids: Vec<String> = last_beats(&world.noc).into_keys().collect();
    let edit = |world: &Practice, round: usize| {
        let mut lines = vec!["uid,host_name,domain,address,netmask,gateway,dns1,dns2".to_owned()];
        for (n, uid) in uids.iter().enumerate() {
            lines.push(format!("{uid},round-{round}-{n},example.net,10.20.{round}.{},255.255.0.0,10.20.0.1,,", 10 + n));
        }
        std::fs::write(&plan, lines.join("\n")).expect("written");
        let job = world.muster.json(&["configure", "--plan", plan.to_str().expect("UTF-8")]);
        let items = job["items"].as_array().expect("items").clone();
        assert!(items.iter().all(|item| item["step"] == "configured"), "{job}");
        items.iter().map(|item| item["attempts"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    // More than the backup knows.
    for round in 1..=3 {
        assert_eq!(edit(&world, round), [1; 6]);
    }
    let before = last_beats(&world.noc);
    world.noc.cut_power();
    std::fs::remove_dir_all(world.noc.dir()).expect("lost");
    let folder = tempfile::tempdir().expect("an empty machine");
    world.noc = Noc { folder, port: world.noc.port, environment: Vec::new(), server: None };
    let told = world.noc.run(&["restore", backup]);
    assert!(told.contains("Next: `muster-noc serve`"), "{told}");
    world.noc.serve();

    all_beat_after(&world.noc, &before);
    assert_eq!(edit(&world, 4), [1; 6], "the first number is above all that the lost NOC gave");
    let after = last_beats(&world.noc);
    all_beat_after(&world.noc, &after);
    let shown = world.muster.json(&["status"]);
    for row in shown["appliances"].as_array().expect("appliances") {
        let name = row["settings"]["host_name"].as_str().unwrap_or_default();
        assert!(name.starts_with("round-4-"), "the console shows what is in force: {row}");
    }
    // Who is new joins, too.
    world.muster = crate::world::Muster::new(Some(world.fleet.port));
    world.muster.join(&world.noc.invite(world.site, "1h"));
    assert_eq!(edit(&world, 5), [1; 6]);
}
