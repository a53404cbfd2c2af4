//! Proof of ownership that a policy requires: nothing is granted to an appliance that asks for less, by its own signed answer.

use crate::world::{Console, Device, World, code, spec};
use data_encoding::BASE64;
use muster_noc::{AsProblem, Edit, OrganisationPolicy, PolicyValues, Profile, SiteSpec};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::id::SiteId;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::here::{Proof, State};

fn requires(proof: RequiredProof) -> PolicyValues {
    PolicyValues { proof: Some(proof), ..PolicyValues::default() }
}

async fn plan(console: &Console, site: SiteId, one: PlanFor) -> PlanRow {
    let request = PlanRequest { site, appliances: vec![one] };
    let mut plan: Plan = console.http.post("console/plans", &request).await.expect("a plan");
    plan.rows.remove(0)
}

/// Why a row has no settings.
fn refused(row: &PlanRow) -> Problem {
    assert_eq!(row.settings, None, "{row:?}");
    row.problem.clone().expect("says why")
}

/// Asks for settings past the plan; the code of the refusal, or none.
async fn ask(console: &Console, site: SiteId, device: &Device, address: &str) -> Option<String> {
    let settings = RawSettings {
        host_name: format!("past-{}", device.n),
        domain: "example.net".into(),
        address: address.into(),
        netmask: "24".into(),
        ..RawSettings::default()
    };
    let items = vec![GrantItem { uid: device.uid, settings, refusal: None }];
    let mut grants: Grants =
        console.http.post("console/grants", &GrantRequest { site, items }).await.expect("an answer");
    let granted = grants.items.remove(0);
    assert_eq!(granted.grant.is_some(), granted.errors.is_empty());
    granted.errors.first().map(|error| error.code.clone())
}

#[tokio::test]
async fn nothing_is_granted_to_an_appliance_that_asks_for_less_than_its_policy_requires() {
    let world = World::new().await;
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let said = OrganisationPolicy { values: requires(RequiredProof::Claim), profiles: vec![] };
    world.noc.set_organisation_policy(organisation, said).expect("kept");
    let inherits = SiteSpec { inherit: vec![Inheritable::Proof], ..spec() };
    let site = world.noc.add_site(inherits.clone()).expect("a site");
    assert_eq!(site.proof, RequiredProof::Claim);
    let console = world.console(&[site.id]).await;
    let device = Device::new(1);
    world.import(std::slice::from_ref(&device));

    // A console of an earlier version shows nothing.
    let problem = refused(&plan(&console, site.id, device.plan_for()).await);
    assert_eq!((problem.code.as_str(), problem.status), ("proof_not_shown", 409));
    assert_eq!(ask(&console, site.id, &device, "192.0.2.50").await.as_deref(), Some("proof_not_shown"));
    let problem = refused(&plan(&console, site.id, device.showing(Proof::Open)).await);
    assert_eq!(problem.code, "proof_too_weak");
    for part in ["takes whoever comes first", "the organisation's policy (proof = claim)", "the code of its label"] {
        assert!(problem.title.contains(part), "{problem:?}");
    }
    assert!(problem.detail.contains("`proof` in its agent's configuration"), "{problem:?}");
    assert_eq!(ask(&console, site.id, &device, "192.0.2.50").await.as_deref(), Some("proof_too_weak"));
    assert_eq!(console.appliance(device.uid).await.provisioning, Provisioning::Known);

    // Its own word counts until it says another one; what no console passes on changes nothing.
    let row = plan(&console, site.id, device.showing(Proof::Claim)).await;
    assert_eq!(row.problem, None);
    let plan_now = Plan { site: site.id, expires: 0, rows: vec![plan(&console, site.id, device.plan_for()).await] };
    let seq = console.grants(&plan_now).await.items[0].grant.as_ref().expect("granted").seq;
    assert_eq!(
        plan(&console, site.id, device.showing(Proof::Open)).await.problem.expect("again").code,
        "proof_too_weak"
    );
    console.report(device.uid, seq, true).await;

    // One that follows this NOC has been through it: also where more is required now.
    world.noc.update_site(site.id, SiteSpec { proof: RequiredProof::Voucher, ..spec() }).expect("kept");
    assert!(plan(&console, site.id, device.plan_for()).await.settings.is_some());
    world.noc.change(&device.uid, Edit { dns1: Some("192.0.2.54".into()), ..Edit::default() }).expect("given");
    // Unless it says itself that nobody owns it: it was reset.
    let problem = refused(&plan(&console, site.id, device.showing(Proof::Claim)).await);
    assert_eq!(problem.code, "proof_too_weak");
    assert_eq!(ask(&console, site.id, &device, "192.0.2.50").await.as_deref(), Some("proof_too_weak"));
    world.noc.change(&device.uid, Edit { dns1: Some("192.0.2.55".into()), ..Edit::default() }).expect("by beat");
    // Once it was let go, it has to go through it again.
    assert!(world.noc.release(&device.uid).expect("released"));
    let problem = refused(&plan(&console, site.id, device.plan_for()).await);
    assert_eq!(problem.code, "proof_not_shown", "what it said before it was let go is forgotten");
    let problem = refused(&plan(&console, site.id, device.showing(Proof::Claim)).await);
    assert_eq!(problem.code, "proof_too_weak");
    for part in ["asks for the code of its label only", "the site's policy (proof = voucher)"] {
        assert!(problem.title.contains(part), "{problem:?}");
    }
    // What it wants itself is known from its own answer, whatever the console says: there is no voucher.
    let row = plan(&console, site.id, device.showing(Proof::Voucher)).await;
    assert_eq!((row.ownership, refused(&row).code.as_str()), (Ownership::NoVoucher, "no_voucher"));
}

#[tokio::test]
async fn what_is_required_of_a_model_counts_for_it_and_names_its_rule() {
    let world = World::new().await;
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let profile = |proof| Profile { model: "Mail".into(), values: requires(proof) };
    let said = OrganisationPolicy { values: PolicyValues::default(), profiles: vec![profile(RequiredProof::Claim)] };
    world.noc.set_organisation_policy(organisation, said).expect("kept");
    let site = world.noc.add_site(SiteSpec { inherit: vec![Inheritable::Proof], ..spec() }).expect("a site").id;
    let console = world.console(&[site]).await;
    let devices = Device::several(1..3);
    world.import(&devices);
    world.database().execute("UPDATE appliances SET model = 'Router' WHERE serial = 'SN2'", []).expect("a router");
    let problem = refused(&plan(&console, site, devices[0].showing(Proof::Open)).await);
    assert!(problem.title.contains("the organisation's policy for Mail (proof = claim)"), "{problem:?}");
    assert_eq!(plan(&console, site, devices[1].showing(Proof::Open)).await.problem, None, "of it nothing is required");
    let source = |model: Option<&str>| {
        let all = world.noc.effective_policy(site).expect("read");
        let one = all.into_iter().find(|policy| policy.model.as_deref() == model).expect("there");
        (one.values["proof"].value.clone(), one.values["proof"].source.clone())
    };
    assert_eq!(source(None), ("any".into(), "default".into()));
    assert_eq!(source(Some("mail")), ("claim".into(), "organisation profile Mail".into()));

    world.noc.set_site_profiles(site, vec![profile(RequiredProof::Voucher)]).expect("kept");
    let problem = refused(&plan(&console, site, devices[0].showing(Proof::Claim)).await);
    assert!(problem.title.contains("the site's policy for Mail (proof = voucher)"), "{problem:?}");
    world.noc.set_site_profiles(site, vec![profile(RequiredProof::Any)]).expect("kept");
    let rows = vec![plan(&console, site, devices[0].showing(Proof::Open)).await];
    let grants = console.grants(&Plan { site, expires: 0, rows }).await;
    assert!(grants.items[0].grant.is_some(), "the nearest place counts");
}

#[tokio::test]
async fn an_answer_that_the_appliance_did_not_sign_is_refused_whole() {
    let world = World::new().await;
    let site = world.noc.add_site(SiteSpec { proof: RequiredProof::Claim, ..spec() }).expect("a site").id;
    let console = world.console(&[site]).await;
    let devices = Device::several(1..3);
    world.import(&devices);
    let (device, other) = (&devices[0], &devices[1]);
    let good = device.here(&device.key, Proof::Claim, State::Unconfigured);
    let mut tampered = good.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let answers = [
        "not base64".to_owned(),
        String::new(),
        BASE64.encode(&good[..good.len() / 2]),
        BASE64.encode(&tampered),
        // By somebody else, in its name; and what is true of another one.
        BASE64.encode(&device.here(&console.key, Proof::Claim, State::Unconfigured)),
        BASE64.encode(&other.here(&other.key, Proof::Claim, State::Unconfigured)),
        // Signed by it, for something else.
        BASE64.encode(&sign(&device.key, Purpose::Result, good.clone())),
    ];
    for here in answers {
        let one = PlanFor { here: Some(here.clone()), ..device.plan_for() };
        let request = PlanRequest { site, appliances: vec![one] };
        assert_eq!(code(console.http.post::<Plan>("console/plans", &request).await), "answer_invalid", "{here}");
    }
    assert_eq!(refused(&plan(&console, site, device.plan_for()).await).code, "proof_not_shown");
    let one = PlanFor { here: Some(BASE64.encode(&good)), ..device.plan_for() };
    assert_eq!(plan(&console, site, one).await.problem, None);
}

#[tokio::test]
async fn a_table_and_the_interface_say_which_proof_a_site_requires_or_what_is_wrong_with_it() {
    let world = World::new().await;
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let head = "name,pool,netmask,domain,proof\n";
    let csv = format!("{head}Bern,192.0.2.10-192.0.2.99,/24,example.net,voucher\n");
    assert_eq!(world.noc.import_sites(organisation, &csv).expect("taken").added, 1);
    assert!(world.noc.export_sites(organisation).expect("read").contains(",voucher,"));
    let wrong = format!("{head}Bern,192.0.2.10-192.0.2.99,/24,example.net,open\n");
    let lines = world.noc.import_sites(organisation, &wrong).expect_err("refused");
    assert_eq!(lines.problem().code, "table_invalid");
    let root = world.administrator().await;
    let path = "/v1/sites/1";
    let mut policy = root.get(path).await.good()["policy"].clone();
    assert_eq!(policy["proof"], "voucher");
    policy["proof"] = "claim".into();
    assert_eq!(root.change("PUT", path, path, policy.clone()).await.good()["policy"]["proof"], "claim");
    policy["proof"] = "open".into();
    assert_eq!(root.change("PUT", path, path, policy).await.code(), "malformed");
    assert_eq!(root.get("/v1/sites/1/effective").await.good()["policies"][0]["values"]["proof"]["source"], "site");
}
