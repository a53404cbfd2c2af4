//! A console that would have something granted to an appliance that asks for less proof of ownership than its site requires.

use crate::client::{Device, code};
use crate::world::{Noc, Practice};
use data_encoding::BASE64;
use muster_protocol::api::*;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::here::{Proof, State};
use serde_json::Value;

#[tokio::test]
async fn no_word_of_a_console_gets_an_appliance_past_the_proof_that_its_site_requires() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    noc.run(&["site", "set", &site.to_string(), "--proof", "claim"]);
    let console = noc.console(site).await;
    let devices = Device::several(0..2);
    noc.import_devices(&devices);
    let (open, other) = (&devices[0], &devices[1]);
    let plan = async |one: PlanFor| {
        let request = PlanRequest { site, appliances: vec![one] };
        console.http.post::<Plan>("console/plans", &request).await.map(|mut plan| plan.rows.remove(0))
    };
    // What it is, by its own word; then whatever a console could say instead.
    let shown = open.showing(Proof::Open);
    let row = plan(shown.clone()).await.expect("answered");
    let too_weak = |row: &PlanRow| {
        let code = row.problem.as_ref().map(|problem| problem.code.as_str());
        assert_eq!((code, &row.settings), (Some("proof_too_weak"), &None), "{row:?}");
    };
    too_weak(&row);
    let typed = Some(open.claim.reveal());
    too_weak(&plan(PlanFor { claim: typed.clone(), ..shown.clone() }).await.expect("answered"));
    too_weak(&plan(PlanFor { here: None, ..shown.clone() }).await.expect("answered"));
    too_weak(&plan(PlanFor { claim: typed, ..open.plan_for() }).await.expect("answered"));
    let row = plan(PlanFor { wants_voucher: true, ..shown.clone() }).await.expect("answered");
    assert_eq!((row.ownership, row.settings), (Ownership::NoVoucher, None));
    for signed in [
        open.here(&console.key, Proof::Claim, State::Unconfigured),
        other.here(&other.key, Proof::Claim, State::Unconfigured),
        other.here(&open.key, Proof::Claim, State::Unconfigured),
    ] {
        let lie = PlanFor { here: Some(BASE64.encode(&signed)), ..open.plan_for() };
        assert_eq!(code(plan(lie).await), "answer_invalid");
    }
    // And past the plan.
    let settings = RawSettings {
        host_name: "mail-1".into(),
        domain: "example.net".into(),
        address: "10.20.0.50".into(),
        netmask: "16".into(),
        ..RawSettings::default()
    };
    let items = vec![GrantItem { uid: open.uid, settings, refusal: None }];
    let mut grants: Grants =
        console.http.post("console/grants", &GrantRequest { site, items }).await.expect("answered");
    let refused = grants.items.remove(0);
    assert_eq!((refused.grant.is_none(), refused.errors[0].code.as_str()), (true, "proof_too_weak"));
    // A result of what was never granted makes it no appliance that follows this NOC.
    console.report(open.uid, muster_protocol::id::Seq(1), true).await;
    too_weak(&plan(open.plan_for()).await.expect("answered"));
    assert_eq!(console.appliance(open.uid).await.provisioning, Provisioning::Known);

    // The other one asks for enough, and another rule lets both have something.
    assert_eq!(plan(other.showing(Proof::Claim)).await.expect("answered").problem, None);
    noc.run(&["policy", "set", "--site", &site.to_string(), "--model", "Mail", "--proof", "any"]);
    let row = plan(shown).await.expect("answered");
    assert_eq!(row.problem, None);
    let grants = console.grants(&Plan { site, expires: 0, rows: vec![row] }).await;
    assert!(grants.items[0].grant.is_some());
}

#[test]
fn real_appliances_say_through_the_real_console_that_they_ask_for_less_than_is_required() {
    let practice = Practice::start(&["--count", "2"]);
    let site = practice.site.to_string();
    practice.noc.run(&["site", "set", &site, "--proof", "voucher"]);
    let output = practice.muster.output(&["--json", "plan"]);
    assert!(!output.status.success(), "nothing came of it");
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = plan["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{plan}");
    for row in rows {
        assert_eq!(row["problem"]["code"], "proof_too_weak", "{plan}");
        let message = row["problem"]["message"].as_str().expect("says why");
        assert!(message.contains("the site's policy (proof = voucher)"), "{message}");
        assert!(!row["problem"]["remedy"].as_str().expect("says what to do").is_empty());
    }
    practice.noc.run(&["site", "set", &site, "--proof", "claim"]);
    practice.configure();
    // They follow this NOC now, and are told anew whatever it requires of others.
    practice.noc.run(&["site", "set", &site, "--proof", "voucher"]);
    let listed: Value = serde_json::from_str(&practice.noc.run(&["appliance", "list", "--json"])).expect("JSON");
    let uid = listed[0]["uid"].as_str().expect("a UID").to_owned();
    let plan = practice.muster.json(&["plan", "--only", &uid]);
    assert_eq!(plan["rows"][0]["problem"], Value::Null, "{plan}");
}
