//! The main job: enrol, plan, grant, report, enrol the appliance, beat.

use crate::world::{Device, World, beat, code, grant_request};
use data_encoding::BASE64;
use muster_protocol::api::*;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::grant::{Credential, Grant};
use muster_protocol::wire::from_cbor;

#[tokio::test]
async fn from_an_invite_to_a_beat() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..3);
    world.import(&devices);

    let console = world.console(&[site.id]).await;
    assert_eq!(console.enrolled.sites, std::slice::from_ref(&site));
    let root = PublicKey::from_base64(&console.enrolled.root).expect("key");
    assert_eq!(root, world.noc.root());
    let credential = BASE64.decode(console.enrolled.credential.as_bytes()).expect("base64");
    let credential = verify(&root, Purpose::Credential, &credential).expect("signed by the root");
    let credential: Credential = from_cbor(&credential).expect("a credential");
    assert_eq!((credential.key, credential.sites), (console.key.public(), vec![site.id]));

    let plan = console.plan(site.id, &devices).await;
    let planned: Vec<_> = plan.rows.iter().map(|row| row.settings.as_ref().expect("settings")).collect();
    let names: Vec<_> = planned.iter().map(|s| (s.host_name.as_str(), s.address.as_str())).collect();
    assert_eq!(names, [("mail-001", "192.0.2.10"), ("mail-002", "192.0.2.11"), ("mail-003", "192.0.2.12")]);
    assert_eq!(plan.rows[0].rules["address"], "site pool 192.0.2.10-192.0.2.99");
    let again = console.plan(site.id, &devices).await;
    assert_eq!(again.rows, plan.rows, "the same plan asked again is the same");

    let grants = console.grants(&plan).await;
    let first = grants.items[0].grant.as_ref().expect("granted");
    let bytes = BASE64.decode(first.grant.as_bytes()).expect("base64");
    let grant: Grant = from_cbor(&verify(&root, Purpose::Grant, &bytes).expect("signed by the root")).expect("a grant");
    assert_eq!((grant.uid, grant.mac, grant.site, grant.seq), (devices[0].uid, devices[0].mac, site.id, first.seq));
    assert_eq!((grant.console, grant.root), (console.key.public(), root));
    assert_eq!((grant.noc.as_str(), grant.ca_pin), (world.noc.noc_address().as_str(), world.noc.ca_pin()));
    assert_eq!(grant.parameters.network.to_raw().address, "192.0.2.10");
    assert_eq!(first.claim_key, Some(BASE64.encode(&devices[0].claim.key().0)));
    assert_eq!(console.appliance(devices[0].uid).await.provisioning, Provisioning::Granted);

    // The appliance may come before the console's report: it is kick-started first.
    let appliance = devices[0].enrol(&world.anybody().await, first.seq).await;
    console.report(devices[0].uid, first.seq, true).await;
    console.report(devices[0].uid, first.seq, true).await;
    let record = console.appliance(devices[0].uid).await;
    assert_eq!((record.provisioning, record.health), (Provisioning::Configured, Health::NeverReported));
    assert_eq!(record.settings.as_ref(), Some(planned[0]));

    let answer: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, first.seq)).await.expect("taken");
    assert_eq!(answer.interval_s, 5);
    let repeated: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, first.seq)).await.expect("taken");
    assert_eq!(repeated.interval_s, 5);
    let history: Vec<BeatRecord> =
        console.http.get(&format!("console/appliances/{}/beats?since=0", devices[0].uid)).await.expect("history");
    assert_eq!(history.len(), 1, "a repeated beat is not counted again");
    let record = console.appliance(devices[0].uid).await;
    assert_eq!(record.last_beat, Some(history[0].at));
    assert_eq!(record.beat, Some(history[0].values.clone()));

    // Known settings are kept, and its claim key is no longer handed out.
    let plan = console.plan(site.id, &devices[..1]).await;
    assert_eq!(plan.rows[0].settings, record.settings);
    let grants = console.grants(&plan).await;
    let second = grants.items[0].grant.as_ref().expect("granted");
    assert!(second.seq > first.seq && second.claim_key.is_none());
}

#[tokio::test]
async fn a_failed_configuration_leaves_what_was_before() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let (console, uid) = (world.console(&[site.id]).await, devices[0].uid);

    let grants = console.grants(&console.plan(site.id, &devices).await).await;
    let seq = grants.items[0].grant.as_ref().expect("granted").seq;
    console.report(uid, seq, false).await;
    let record = console.appliance(uid).await;
    assert_eq!(
        (record.provisioning, record.settings, record.health),
        (Provisioning::Failed, None, Health::NotExpected)
    );

    let seq = console.configure(site.id, &devices).await[0];
    let before = console.appliance(uid).await;
    let mut plan = console.plan(site.id, &devices).await;
    plan.rows[0].settings.as_mut().expect("settings").address = "192.0.2.50".into();
    let next = console.grants(&plan).await.items[0].grant.as_ref().expect("granted").seq;
    assert!(next > seq);
    console.report(uid, next, true).await;
    assert_eq!(console.appliance(uid).await.settings.expect("applied").address, "192.0.2.50");
    // It never got its first beat through and went back to what it had.
    console.report(uid, next, false).await;
    let after = console.appliance(uid).await;
    assert_eq!((after.settings, after.provisioning), (before.settings, Provisioning::Failed));
    assert_eq!(console.plan(site.id, &devices).await.rows[0].settings.as_ref().expect("kept").address, "192.0.2.10");
}

#[tokio::test]
async fn a_beat_under_a_grant_proves_it_when_the_console_never_reported() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let grants = console.grants(&console.plan(site.id, &devices).await).await;
    let seq = grants.items[0].grant.as_ref().expect("granted").seq;
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, seq)).await.expect("taken");
    let record = console.appliance(devices[0].uid).await;
    assert_eq!(record.provisioning, Provisioning::Configured);
    assert_eq!(record.settings.expect("applied").address, "192.0.2.10");
}

#[tokio::test]
async fn an_appliance_that_the_inventory_does_not_know_is_claimed_by_its_label() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let console = world.console(&[site.id]).await;
    let device = Device::new(7);
    let plan = async |claim: Option<String>| {
        let appliances = vec![PlanFor { claim, ..device.plan_for() }];
        let plan: Plan =
            console.http.post("console/plans", &PlanRequest { site: site.id, appliances }).await.expect("plan");
        plan.rows.into_iter().next().expect("a row")
    };
    let unclaimed = plan(None).await;
    assert_eq!((unclaimed.ownership, unclaimed.settings), (Ownership::Unclaimed, None));
    assert_eq!(unclaimed.problem.expect("says why").code, "unclaimed");
    assert_eq!(plan(Some("ABC".into())).await.problem.expect("says why").code, "claim_malformed");
    let code_text = device.claim.reveal();
    let mistyped = code_text.replace(&code_text[..1], if code_text.starts_with('A') { "B" } else { "A" });
    assert_eq!(plan(Some(mistyped)).await.problem.expect("says why").code, "claim_mistyped");
    let owned = plan(Some(code_text)).await;
    assert_eq!((owned.ownership, owned.problem), (Ownership::Owned, None));
    let items = vec![GrantItem { uid: device.uid, settings: owned.settings.expect("settings"), refusal: None }];
    let request = GrantRequest { site: site.id, items };
    let grants: Grants = console.http.post("console/grants", &request).await.expect("grants");
    let key = grants.items[0].grant.as_ref().expect("granted").claim_key.clone();
    assert_eq!(key, Some(BASE64.encode(&device.claim.key().0)));

    // A code that reads well and is another appliance's: only the appliance can tell, and then the code is asked for again.
    let seq = grants.items[0].grant.as_ref().expect("granted").seq;
    let failed = ResultItem { uid: device.uid, seq, configured: false, reason: "not_opened".to_owned() };
    let report = ResultReport { items: vec![failed] };
    console.http.post_nothing("console/results", &report).await.expect("kept");
    let refused = plan(None).await;
    assert_eq!(
        (refused.ownership, refused.problem.expect("says why").code),
        (Ownership::Unclaimed, "claim_refused".into())
    );
    assert_eq!(plan(Some(device.claim.reveal())).await.ownership, Ownership::Owned);
    assert_eq!(plan(None).await.ownership, Ownership::Owned, "the new code is remembered");
    let other = PlanRequest { site: muster_protocol::id::SiteId(99), appliances: Vec::new() };
    assert_eq!(code(console.http.post::<Plan>("console/plans", &other).await), "unknown_site");
}

#[tokio::test]
async fn an_appliance_that_was_reset_gets_its_claim_key_again() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let (console, uid) = (world.console(&[site.id]).await, devices[0].uid);
    let next = async || {
        let grants = console.grants(&console.plan(site.id, &devices).await).await;
        grants.items[0].grant.clone().expect("granted")
    };
    let fail = async |grant: &SignedGrant, reason: &str| {
        let items = vec![ResultItem { uid, seq: grant.seq, configured: false, reason: reason.to_owned() }];
        console.http.post_nothing("console/results", &ResultReport { items }).await.expect("kept");
    };
    console.report(uid, next().await.seq, true).await;
    let without = next().await;
    assert!(without.claim_key.is_none(), "it follows our root");
    fail(&without, "address_taken").await;
    let without = next().await;
    assert!(without.claim_key.is_none(), "another failure says nothing about that");
    fail(&without, "not_opened").await;
    let with = next().await;
    assert!(with.claim_key.is_some(), "it does not open what is sealed without the key");

    // One that rolled its very first configuration back follows nobody either.
    console.report(uid, with.seq, true).await;
    let device = Device::new(8);
    world.import(std::slice::from_ref(&device));
    let devices = [device];
    let seq = console.configure(site.id, &devices).await[0];
    console.report(devices[0].uid, seq, false).await;
    let again = console.grants(&console.plan(site.id, &devices).await).await;
    assert!(again.items[0].grant.as_ref().expect("granted").claim_key.is_some());
}

#[tokio::test]
async fn a_restored_database_goes_on_above_what_the_appliance_names() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices[..1]).await;
    let ask = async |refusal: SignedResult| -> Result<u64, Problem> {
        let mut request = grant_request(&plan);
        request.items[0].refusal = Some(refusal);
        let grants: Grants = console.http.post("console/grants", &request).await?;
        Ok(grants.items[0].grant.as_ref().expect("granted").seq.0)
    };
    let (ours, other) = (&devices[0], &devices[1]);
    assert_eq!(ask(ours.refusal(&ours.key, 40)).await, Ok(41));
    assert_eq!(ask(ours.refusal(&ours.key, 40)).await, Ok(42), "an old result lowers nothing");
    assert_eq!(ask(ours.refusal(&ours.key, 3)).await, Ok(43));
    assert_eq!(ask(ours.refusal(&ours.key, u64::MAX)).await, Ok(44), "nobody can have reached that");
    let forged = ours.refusal(&other.key, 90);
    assert_eq!(code(ask(forged).await), "refusal_invalid", "signed by another key");
    assert_eq!(code(ask(other.refusal(&other.key, 90)).await), "refusal_invalid", "another appliance's");
    let mut stranger = ours.refusal(&other.key, 90);
    stranger.device_key = other.key.public().to_base64();
    assert_eq!(code(ask(stranger).await), "refusal_invalid", "a stranger speaks for it");
    let garbage = SignedResult { device_key: ours.key.public().to_base64(), result: "AAAA".into() };
    assert_eq!(code(ask(garbage).await), "refusal_invalid");
    assert_eq!(ask(ours.refusal(&ours.key, 44)).await, Ok(45));
}
