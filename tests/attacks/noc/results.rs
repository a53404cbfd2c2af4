//! Results that a console makes up or repeats.

use crate::client::{Device, grant_request};
use crate::world::Noc;
use muster_protocol::api::*;
use muster_protocol::id::Seq;

#[tokio::test]
async fn a_result_that_is_forged_or_repeated_puts_nothing_else_in_force() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let devices = Device::several(0..2);
    noc.import_devices(&devices);
    let console = noc.console(site).await;
    let uid = devices[0].uid;
    let first = console.configure(site, &devices[..1]).await[0];
    let mut request = grant_request(&console.plan(site, &devices[..1]).await);
    request.items[0].settings.address = "10.20.7.7".into();
    let grants: Grants = console.http.post("console/grants", &request).await.expect("answered");
    let second = grants.items[0].grant.as_ref().expect("granted").seq;
    console.report(uid, second, true).await;
    let in_force = console.appliance(uid).await;
    assert_eq!(in_force.settings.as_ref().expect("settings").address, "10.20.7.7", "the positive control");

    for (seq, configured) in
        [(first, true), (first, false), (second, true), (Seq(second.0 + 1), true), (Seq(99), false)]
    {
        console.report(uid, seq, configured).await;
        let now = console.appliance(uid).await;
        assert_eq!(now, in_force, "result {configured} for {seq:?}");
    }
    // For an appliance that was never granted anything, and for one that nobody knows.
    console.report(devices[1].uid, Seq(1), true).await;
    assert_eq!(console.appliance(devices[1].uid).await.provisioning, Provisioning::Known);
    console.report(Device::new(99).uid, Seq(1), true).await;
    assert!(noc.log().contains("never signed"));
}

#[tokio::test]
async fn a_refusal_that_the_appliance_did_not_sign_moves_no_number() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let devices = Device::several(0..2);
    noc.import_devices(&devices);
    let console = noc.console(site).await;
    let plan = console.plan(site, &devices[..1]).await;
    let ask = async |refusal: SignedResult| {
        let mut request = grant_request(&plan);
        request.items[0].refusal = Some(refusal);
        let grants = console.http.post::<Grants>("console/grants", &request).await.map_err(|problem| problem.code)?;
        Ok::<u64, String>(grants.items[0].grant.as_ref().expect("granted").seq.0)
    };
    let (ours, other) = (&devices[0], &devices[1]);
    let refused = Err("refusal_invalid".to_owned());
    assert_eq!(ask(ours.refusal(&console.key, 70)).await, refused, "made up by the console");
    assert_eq!(ask(other.refusal(&other.key, 70)).await, refused, "another appliance's own");
    let mut mixed = ours.refusal(&other.key, 70);
    mixed.device_key = other.key.public().to_base64();
    assert_eq!(ask(mixed).await, refused, "another appliance about this one");
    assert_eq!(ask(ours.refusal(&ours.key, u64::MAX)).await, Ok(1), "a number that would end all numbers");
    assert_eq!(ask(ours.refusal(&ours.key, 70)).await, Ok(71), "its own words");
    assert_eq!(ask(ours.refusal(&ours.key, 5)).await, Ok(72), "an old one, repeated, lowers nothing");
}
