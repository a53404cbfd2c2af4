//! Many at once, restarts, a full disk: nothing doubled, nothing lost.

use crate::world::{Device, World, beat, code, grant_request};
use muster_protocol::api::*;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_consoles_at_once_never_get_the_same_address_or_name() {
    let world = World::new().await;
    let mut spec = crate::world::spec();
    (spec.pool, spec.netmask, spec.gateway, spec.dns1) =
        ("10.0.0.10-10.0.10.10".into(), "/16".into(), "10.0.0.1".into(), String::new());
    let site = world.noc.add_site(spec).expect("site");
    let mut asking = Vec::new();
    for n in 0..16u32 {
        let devices = Device::several(n * 100..n * 100 + 100);
        world.import(&devices);
        asking.push((world.console(&[site.id]).await, devices));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (console, devices) in asking {
        tasks.spawn(async move {
            let plan = console.plan(site.id, &devices).await;
            let grants = console.grants(&plan).await;
            assert!(grants.items.iter().all(|g| g.grant.is_some() && g.errors.is_empty()));
            plan.rows.into_iter().map(|row| row.settings.expect("settings")).collect::<Vec<_>>()
        });
    }
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    while let Some(settings) = tasks.join_next().await {
        for s in settings.expect("no panic") {
            assert!(addresses.insert(s.address.clone()), "{} was given twice", s.address);
            assert!(names.insert(s.host_name.clone()), "{} was given twice", s.host_name);
        }
    }
    assert_eq!((addresses.len(), names.len()), (1600, 1600));
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..3);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let planned = console.plan(site.id, &devices).await;
    let seq = console.configure(site.id, &devices[..1]).await[0];
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, seq)).await.expect("taken");
    let before: Vec<ApplianceRecord> = console.http.get("console/appliances").await.expect("listed");
    let invite = world.token(&[site.id], std::time::Duration::from_secs(3600));

    let world = world.restart().await;
    let _: BeatAnswer =
        appliance.post("appliances/beats", &beat(1, 1, seq)).await.expect("the same certificate is good");
    let mut after: Vec<ApplianceRecord> = console.http.get("console/appliances").await.expect("listed");
    // The status daemon goes on from what is stored: the beat had made it well or is about to.
    for (before, after) in before.iter().zip(&mut after) {
        after.health = before.health;
    }
    assert_eq!(after, before);
    assert_eq!(console.plan(site.id, &devices).await.rows, {
        let mut rows = planned.rows.clone();
        rows[0].rules = rows[0].rules.keys().map(|k| (k.clone(), "its current settings".to_owned())).collect();
        for column in ["dns2", "gateway", "dns1"] {
            rows[0].rules.insert(column.into(), "its current settings".into());
        }
        rows
    });
    let next = console.grants(&console.plan(site.id, &devices[..1]).await).await;
    assert!(next.items[0].grant.as_ref().expect("granted").seq > seq, "numbers go on");
    let request = crate::world::NewConsole::new();
    let enrolled: Result<ConsoleEnrolled, _> =
        world.anybody().await.post("consoles/enrol", &request.body(&invite)).await;
    assert!(enrolled.is_ok(), "an invite outlives a restart");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_passes() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let seq = console.configure(site.id, &devices[..1]).await[0];
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;

    world.noc.limit_database(Some(0)).expect("limited");
    let mut accepted = 0;
    let full = loop {
        let mut beat = beat(1, accepted + 1, seq);
        beat.values.counters = (0..64).map(|n| (format!("{n:060}"), 1.0)).collect();
        match appliance.post::<BeatAnswer>("appliances/beats", &beat).await {
            Ok(_) => accepted += 1,
            Err(problem) => break problem,
        }
        assert!(accepted < 1000, "the limit holds");
    };
    assert_eq!((full.status, full.code.as_str()), (507, "store_full"));
    let more = Device::several(10..60);
    let csv = more.iter().map(|d| format!("S{},{},{},{}\n", d.n, d.mac, d.uid, d.claim.reveal())).collect::<String>();
    let error = world.noc.import_manifest(&format!("serial,mac,uid,claim\n{csv}")).expect_err("full");
    assert_eq!(muster_noc::AsProblem::problem(&error).code, "store_full");

    // Reads go on, and what was accepted is there.
    let history = format!("console/appliances/{}/beats?since=0", devices[0].uid);
    let kept: Vec<BeatRecord> = console.http.get(&history).await.expect("reads go on");
    assert_eq!(kept.len() as u64, accepted);
    assert_eq!(console.appliance(devices[0].uid).await.provisioning, Provisioning::Configured);

    world.noc.limit_database(None).expect("lifted");
    let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, accepted + 1, seq)).await.expect("taken again");
    let kept: Vec<BeatRecord> = console.http.get(&history).await.expect("history");
    assert_eq!(kept.len() as u64, accepted + 1);
    let plan = console.plan(site.id, &devices[1..]).await;
    let grants: Grants = console.http.post("console/grants", &grant_request(&plan)).await.expect("grants");
    assert!(grants.items[0].grant.is_some());
}

#[tokio::test]
async fn a_plan_over_another_sites_pool_stands_alone() {
    let world = World::new().await;
    let (bern, thun) = (world.site("Bern", "192.0.2.10-192.0.2.11"), world.site("Thun", "192.0.2.10-192.0.2.11"));
    let devices = Device::several(0..4);
    world.import(&devices);
    let console = world.console(&[bern.id, thun.id]).await;
    for (site, devices) in [(bern.id, &devices[..2]), (thun.id, &devices[2..])] {
        let plan = console.plan(site, devices).await;
        let addresses: Vec<_> =
            plan.rows.iter().map(|row| row.settings.as_ref().expect("settings").address.clone()).collect();
        assert_eq!(addresses, ["192.0.2.10", "192.0.2.11"], "each site is a network of its own");
    }
    let both = console.http.get::<Vec<ApplianceRecord>>("console/appliances").await.expect("listed");
    assert_eq!(both.len(), 4);
    assert_eq!(code(console.http.get::<Vec<BeatRecord>>("console/appliances/AAAA/beats").await), "malformed");
}
