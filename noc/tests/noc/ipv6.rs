//! IPv6 beside IPv4: given out by the site's policy, once, in the same transaction as the rest; refused at its field; changed from afar.

use crate::world::{Console, Device, World, grant_request, spec};
use data_encoding::BASE64;
use muster_noc::{AsProblem, Edit, SiteSpec, WorkError};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::grant::Grant;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::from_cbor;
use std::collections::BTreeSet;

fn spec6(pool6: &str) -> SiteSpec {
    SiteSpec { pool6: pool6.into(), gateway6: "2001:db8:7::1".into(), dns2: "2001:db8:7::53".into(), ..spec() }
}

fn planned(plan: &Plan) -> Vec<RawSettings> {
    plan.rows.iter().map(|row| row.settings.clone().unwrap_or_else(|| panic!("{:?}", row.problem))).collect()
}

/// A world whose site gives out IPv6, appliances in the inventory, a console.
async fn bench(pool6: &str, appliances: u32) -> (World, Site, Vec<Device>, Console) {
    let world = World::new().await;
    let site = world.noc.add_site(spec6(pool6)).expect("site");
    let devices = Device::several(0..appliances);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    (world, site, devices, console)
}

#[tokio::test]
async fn ipv6_is_planned_granted_held_and_given_back() {
    let (world, site, devices, console) = bench("2001:db8:7::/64", 3).await;
    let plan = console.plan(site.id, &devices[..2]).await;
    let settings = planned(&plan);
    let got: Vec<_> = settings.iter().map(|s| (s.address6.as_str(), s.gateway6.as_str())).collect();
    assert_eq!(got, [("2001:db8:7::2/64", "2001:db8:7::1"), ("2001:db8:7::3/64", "2001:db8:7::1")]);
    let rules = &plan.rows[0].rules;
    assert_eq!(
        (rules["address6"].as_str(), rules["gateway6"].as_str()),
        ("site IPv6 pool 2001:db8:7::/64", "site gateway6")
    );
    assert_eq!(console.plan(site.id, &devices[..2]).await.rows, plan.rows, "asked again it is the same");

    let grants = console.grants(&plan).await;
    let signed = &grants.items[0].grant.as_ref().expect("granted").grant;
    let payload = verify(&world.noc.root(), Purpose::Grant, &BASE64.decode(signed.as_bytes()).expect("base64"));
    let grant: Grant = from_cbor(&payload.expect("by the root")).expect("a grant");
    assert_eq!(grant.parameters.network.to_raw(), settings[0].validate().expect("valid").to_raw());
    console.report(devices[0].uid, grant.seq, true).await;
    let record = console.appliance(devices[0].uid).await;
    assert_eq!(record.settings.as_ref(), Some(&settings[0]));
    let plan = console.plan(site.id, &devices[..1]).await;
    assert_eq!(plan.rows[0].rules["address6"], "its current settings");

    // What one holds in force or by a grant, nobody else gets; what is released, the next one does.
    assert_eq!(planned(&console.plan(site.id, &devices[2..]).await)[0].address6, "2001:db8:7::4/64");
    assert!(world.noc.release(&devices[0].uid).expect("released"));
    let newcomer = Device::new(9);
    world.import(std::slice::from_ref(&newcomer));
    let plan = console.plan(site.id, std::slice::from_ref(&newcomer)).await;
    assert_eq!(planned(&plan)[0].address6, "2001:db8:7::2/64");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_consoles_at_once_never_get_the_same_ipv6_address() {
    let world = World::new().await;
    // As many addresses as appliances: each has to be found.
    let spec = SiteSpec {
        pool: "10.0.0.10-10.0.10.10".into(),
        netmask: "/16".into(),
        gateway: "10.0.0.1".into(),
        dns1: String::new(),
        dns2: String::new(),
        ..spec6("2001:db8:7::1000-2001:db8:7::118f/64")
    };
    let site = world.noc.add_site(spec).expect("site");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8u32 {
        let devices = Device::several(n * 50..n * 50 + 50);
        world.import(&devices);
        let console = world.console(&[site.id]).await;
        tasks.spawn(async move {
            let plan = console.plan(site.id, &devices).await;
            let grants = console.grants(&plan).await;
            assert!(grants.items.iter().all(|g| g.grant.is_some() && g.errors.is_empty()));
            planned(&plan).into_iter().map(|settings| settings.address6).collect::<Vec<_>>()
        });
    }
    let mut addresses = BTreeSet::new();
    while let Some(of_one) = tasks.join_next().await {
        for address in of_one.expect("no panic") {
            assert!(addresses.insert(address.clone()), "{address} was given twice");
        }
    }
    assert_eq!(addresses.len(), 400);
}

#[tokio::test]
async fn every_fault_of_ipv6_is_named_at_its_field() {
    let (_world, site, devices, console) = bench("2001:db8:7::/64", 9).await;
    console.configure(site.id, &devices[8..]).await;
    let plan = console.plan(site.id, &devices[..8]).await;
    let mut request = grant_request(&plan);
    let values = [
        ("2001:db8:7::1/64", ""),
        ("2001:db8:7::53/64", "2001:db8:7::1"),
        ("2001:db8:8::7/64", "fe80::1"),
        ("2001:db8:7::2/64", "2001:db8:7::1"), // held by the ninth
        ("2001:db8:7::77/64", "2001:db8:7::1"),
        ("2001:DB8:7:0::77/64", "2001:db8:7::1"),
        ("2001:db8:7::78", "2001:db8:7::1"),
        ("2001:db8:7::79/64", "2001:db8:8::1"),
    ];
    for (item, (address6, gateway6)) in request.items.iter_mut().zip(values) {
        (item.settings.address6, item.settings.gateway6) = (address6.into(), gateway6.into());
    }
    let grants: Grants = console.http.post("console/grants", &request).await.expect("answered");
    let words: Vec<_> = grants.items.iter().map(|g| (g.errors[0].field.word(), g.errors[0].code.as_str())).collect();
    let expected = [
        ("address6", "gateway_taken"),
        ("address6", "name_server_taken"),
        ("address6", "wrong_subnet"),
        ("address6", "duplicate_address"),
        ("address6", "duplicate_address"),
        ("address6", "duplicate_address"),
        ("address6", "bad_address"),
        ("gateway6", "gateway_outside_network"),
    ];
    assert_eq!(words, expected);
    assert!(grants.items.iter().all(|g| g.grant.is_none()));

    // Two rows may exchange what the plan gave them, and one may do without.
    let mut swapped = grant_request(&plan);
    let (first, second) = (swapped.items[0].settings.address6.clone(), swapped.items[1].settings.address6.clone());
    (swapped.items[0].settings.address6, swapped.items[1].settings.address6) = (second, first);
    (swapped.items[2].settings.address6, swapped.items[2].settings.gateway6) = Default::default();
    let grants: Grants = console.http.post("console/grants", &swapped).await.expect("answered");
    assert!(grants.items.iter().all(|g| g.errors.is_empty()), "{:?}", grants.items);
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so() {
    let (world, site, devices, console) = bench("2001:db8:7::1-2001:db8:7::3/64", 3).await;
    let plan = console.plan(site.id, &devices).await;
    assert!(plan.rows[..2].iter().all(|row| row.settings.is_some()), "the gateway's is not given out");
    let problem = plan.rows[2].problem.as_ref().expect("says why");
    assert_eq!(problem.code, "pool_exhausted");
    assert!(problem.title.contains("2001:db8:7::1-2001:db8:7::3/64"), "{problem:?}");
    // Nothing of it is held: with a wider pool it gets what is next.
    let wider = SiteSpec { pool6: "2001:db8:7::1-2001:db8:7::9/64".into(), ..spec6("") };
    world.noc.update_site(site.id, wider).expect("changed");
    let again = planned(&console.plan(site.id, &devices).await);
    assert_eq!(again.iter().map(|s| s.address6.as_str()).collect::<Vec<_>>()[2], "2001:db8:7::4/64");
}

#[tokio::test]
async fn it_is_given_later_moved_and_taken_away_from_afar() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let seq = console.configure(site.id, &devices[..1]).await[0];
    world.noc.update_site(site.id, spec6("2001:db8:7::/64")).expect("changed");
    // It is configured, and keeps what it has.
    assert_eq!(planned(&console.plan(site.id, &devices[..1]).await)[0].address6, "");
    console.configure(site.id, &devices[1..]).await;

    let http = devices[0].enrol(&world.anybody().await, seq).await;
    let give = |address6: &str, gateway6: &str| {
        let edit = Edit { address6: Some(address6.into()), gateway6: Some(gateway6.into()), ..Edit::default() };
        world.noc.change(&devices[0].uid, edit)
    };
    let refused = give("2001:db8:7::2/64", "2001:db8:7::1").expect_err("the other's");
    assert!(matches!(refused, WorkError::Invalid(_)), "{refused:?}");
    assert!(refused.problem().title.contains("2001:db8:7::2"), "{:?}", refused.problem());
    give("2001:db8:7::80/64", "2001:db8:7::1").expect("given");
    let mut counter = 0;
    let mut beat = async |seq| {
        counter += 1;
        let answer: Result<BeatAnswer, _> = http.post("appliances/beats", &crate::world::beat(1, counter, seq)).await;
        answer.expect("taken").work
    };
    let given = beat(seq).await.grant.expect("a grant");
    beat(given.seq).await;
    let settings = console.appliance(devices[0].uid).await.settings.expect("settings");
    assert_eq!((settings.address6.as_str(), settings.gateway6.as_str()), ("2001:db8:7::80/64", "2001:db8:7::1"));

    give("", "").expect("given");
    let given = beat(given.seq).await.grant.expect("a grant");
    beat(given.seq).await;
    assert_eq!(console.appliance(devices[0].uid).await.settings.expect("settings").address6, "");
    // Nobody holds it now.
    let edit = Edit { address6: Some("2001:db8:7::80/64".into()), ..Edit::default() };
    world.noc.change(&devices[1].uid, edit).expect("free again");
}

#[tokio::test]
async fn a_new_appliance_takes_over_the_ipv6_address_of_a_dead_one() {
    let (world, site, devices, console) = bench("2001:db8:7::/64", 1).await;
    console.configure(site.id, &devices).await;
    let dead = console.appliance(devices[0].uid).await.settings.expect("settings");
    let [heir, third] = [Device::new(5), Device::new(6)];
    world.import(std::slice::from_ref(&heir));
    world.import(std::slice::from_ref(&third));
    world.noc.replace(&devices[0].uid, &heir.uid).expect("replaced");
    assert_ne!(planned(&console.plan(site.id, std::slice::from_ref(&third)).await)[0].address6, dead.address6);
    assert_eq!(planned(&console.plan(site.id, std::slice::from_ref(&heir)).await)[0], dead);
    console.configure(site.id, std::slice::from_ref(&heir)).await;
    assert_eq!(console.appliance(heir.uid).await.settings, Some(dead));
}
