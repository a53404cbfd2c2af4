//! Who may use which address of the interface, and for what.

use crate::client::{Console, Device, Http, NewConsole, beat, code, grant_request, json};
use crate::world::{Beating, Noc, Practice, until};
use muster_protocol::api::*;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::id::Seq;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use system_tests::process::Running;

#[derive(Clone, Copy, PartialEq)]
enum For {
    Anybody,
    Consoles,
    Appliances,
}

/// Every address, whom it is for, and a body that reads. Nothing here is ever allowed to do harm: the bodies are empty.
fn routes() -> Vec<(Method, &'static str, For, Value)> {
    let beat = serde_json::to_value(beat(1, 1, Seq(1))).expect("json");
    vec![
        (Method::GET, "/ca", For::Anybody, Value::Null),
        (Method::POST, "/consoles/enrol", For::Anybody, Value::Null),
        (Method::POST, "/appliances/enrol", For::Anybody, Value::Null),
        (Method::POST, "/appliances/beats", For::Appliances, beat),
        (Method::POST, "/appliances/logs", For::Appliances, json!({ "serial": 1, "text": "" })),
        (Method::POST, "/appliances/farewells", For::Appliances, json!({ "serial": 1 })),
        (Method::GET, "/appliances/components", For::Appliances, Value::Null),
        (Method::GET, "/appliances/components/metadata/{file}", For::Appliances, Value::Null),
        (Method::GET, "/appliances/components/targets/{file}", For::Appliances, Value::Null),
        (Method::GET, "/console/sites", For::Consoles, Value::Null),
        (Method::GET, "/console/appliances", For::Consoles, Value::Null),
        (Method::GET, "/console/appliances/{uid}/beats", For::Consoles, Value::Null),
        (Method::POST, "/console/plans", For::Consoles, json!({ "site": 1, "appliances": [] })),
        (Method::POST, "/console/grants", For::Consoles, json!({ "site": 1, "items": [] })),
        (Method::POST, "/console/results", For::Consoles, json!({ "items": [] })),
        (Method::GET, "/console/alerts", For::Consoles, Value::Null),
        (Method::POST, "/console/alerts/{alert}/acknowledgement", For::Consoles, json!({ "note": "" })),
        (Method::POST, "/console/alerts/{alert}/silence", For::Consoles, json!({ "seconds": 3600 })),
        (Method::GET, "/console/applets", For::Consoles, Value::Null),
        (Method::POST, "/console/applets/bundles", For::Consoles, json!({ "site": 1, "hash": "", "key": "" })),
        (Method::GET, "/console/changes", For::Consoles, Value::Null),
        (Method::GET, "/console/queue", For::Consoles, Value::Null),
        (Method::POST, "/console/queue/reports", For::Consoles, json!({ "items": [] })),
    ]
}

async fn ask(http: &Http, method: &Method, path: &str, body: &Value) -> Result<(), String> {
    let url = http.url(path.trim_start_matches('/'));
    let answer = http.client.request(method.clone(), url).json(body).send().await.map_err(|_| "tls".to_owned())?;
    if answer.status().is_success() { Ok(()) } else { Err(code(json::<Value>(answer).await)) }
}

#[test]
fn the_walk_knows_every_address_of_the_interface() {
    // Those of operators, and the description for them, are walked by `noc: isolation`.
    let is_walked = |route: &muster_noc::RouteInfo| match route.audience.as_str() {
        "anybody" => route.path == "/v1/ca" || route.path.ends_with("/enrol"),
        audience => ["consoles", "appliances"].contains(&audience),
    };
    let table = muster_noc::route_table().into_iter().filter(is_walked);
    let mut there: Vec<String> = table.map(|route| route.path.trim_start_matches("/v1").to_owned()).collect();
    let mut walked: Vec<String> = routes().into_iter().map(|(_, path, ..)| path.to_owned()).collect();
    there.sort();
    walked.sort();
    assert!(there.len() > 10, "routes are found: {there:?}");
    assert_eq!(walked, there, "a new address needs a row in routes()");
}

#[tokio::test]
async fn every_address_refuses_whom_it_is_not_for() {
    let world = Beating::start(1).await;
    let (uid, appliance) = (world.devices[0].uid, &world.appliances[0]);
    let revoked = world.noc.console(world.site).await;
    world.noc.run(&["console", "revoke", &revoked.enrolled.console.to_string()]);
    // Something to answer a long poll with.
    world.noc.run(&["queue", "refresh", "--console", &world.console.enrolled.console.to_string()]);
    // A certificate of another NOC at the same kind of address.
    let elsewhere = Noc::start();
    let request = NewConsole::new();
    let site = elsewhere.site("Bern");
    let body = request.body(&elsewhere.token(site, "1h"));
    let enrolled: ConsoleEnrolled =
        elsewhere.anybody(site).await.post("consoles/enrol", &body).await.expect("enrolled there");
    let foreign = world.anybody.with(&enrolled.certificate, &request.tls);

    for (method, path, whom, body) in routes() {
        let path = path.replace("{uid}", &uid.to_string()).replace("{alert}", "77");
        let ask = async |http: &Http| ask(http, &method, &path, &body).await;
        let refused = |word: &str| Err(word.to_owned());
        assert_eq!(ask(&foreign).await, refused("tls"), "{path}: a certificate of another NOC");
        match whom {
            For::Anybody => {}
            For::Consoles => {
                assert_eq!(ask(&world.anybody).await, refused("certificate_missing"), "{path}");
                assert_eq!(ask(appliance).await, refused("certificate_wrong_kind"), "{path}");
                assert_eq!(ask(&revoked.http).await, refused("console_revoked"), "{path}");
                // There is no such alert.
                let is_about_alert = path.ends_with("/acknowledgement") || path.ends_with("/silence");
                let answer = match path.as_str() {
                    _ if is_about_alert => refused("not_found"),
                    // Which site is not said, and what is asked for is no hash.
                    "/console/applets" => refused("malformed"),
                    "/console/applets/bundles" => refused("invalid"),
                    _ => Ok(()),
                };
                assert_eq!(ask(&world.console.http).await, answer, "{path}: its own certificate");
            }
            For::Appliances => {
                assert_eq!(ask(&world.anybody).await, refused("certificate_missing"), "{path}");
                assert_eq!(ask(&world.console.http).await, refused("certificate_wrong_kind"), "{path}");
                // Nobody has asked for a log, or told it to leave.
                let answer = match path.rsplit('/').next() {
                    Some("logs") => refused("log_not_wanted"),
                    Some("farewells") => refused("not_handed_over"),
                    // There is no repository.
                    Some("{file}") => refused("not_found"),
                    _ => Ok(()),
                };
                assert_eq!(ask(appliance).await, answer, "{path}: its own certificate");
            }
        }
    }
}

#[tokio::test]
async fn a_console_of_another_site_gets_nothing_and_changes_nothing_on_any_address() {
    let world = Beating::start(1).await;
    let thun = world.noc.site("Thun");
    let (ours, theirs) = (&world.console, world.noc.console(thun).await);
    let (device, uid, seq) = (&world.devices[0], world.devices[0].uid, world.seqs[0]);
    let settings = ours.appliance(uid).await.settings.expect("configured");

    assert!(theirs.http.get::<Vec<Site>>("console/sites").await.expect("its own").iter().all(|site| site.id == thun));
    let seen: Vec<ApplianceRecord> = theirs.http.get("console/appliances").await.expect("answered");
    assert!(seen.is_empty(), "neither inventory nor status: {seen:?}");
    let history = format!("console/appliances/{uid}/beats");
    assert_eq!(code(theirs.http.get::<Vec<BeatRecord>>(&history).await), "unknown_appliance");
    assert!(theirs.http.get::<Vec<Alert>>("console/alerts").await.expect("answered").is_empty());
    let news = theirs.http.get::<Changes>("console/changes?after=1");
    let news = tokio::time::timeout(Duration::from_secs(1), news).await;
    assert!(news.is_err(), "there is no news for it, so its long poll waits: {news:?}");

    let plan = |site, claim| PlanRequest { site, appliances: vec![PlanFor { claim, ..device.plan_for() }] };
    assert_eq!(code(theirs.http.post::<Plan>("console/plans", &plan(world.site, None)).await), "unknown_site");
    let claim = Some(ClaimSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).reveal());
    let row = theirs.http.post::<Plan>("console/plans", &plan(thun, claim)).await.expect("answered").rows.remove(0);
    assert_eq!((row.ownership, row.settings), (Ownership::OtherSite, None));
    let grants =
        |site| GrantRequest { site, items: vec![GrantItem { uid, settings: settings.clone(), refusal: None }] };
    assert_eq!(code(theirs.http.post::<Grants>("console/grants", &grants(world.site)).await), "unknown_site");
    let refused = theirs.http.post::<Grants>("console/grants", &grants(thun)).await.expect("answered").items.remove(0);
    assert_eq!((refused.grant.is_none(), refused.errors[0].code.as_str()), (true, "not_planned"));
    theirs.report(uid, seq, false).await;

    let after = ours.appliance(uid).await;
    assert_eq!((after.provisioning, after.settings), (Provisioning::Configured, Some(settings)));
    assert_eq!(ours.http.get::<Vec<BeatRecord>>(&history).await.expect("its own").len(), 1);
    let next = ours.grants(&ours.plan(world.site, &world.devices).await).await.items[0].grant.clone().expect("granted");
    assert!(next.claim_key.is_none(), "the typed code of the other site was not taken");
}

#[tokio::test]
async fn a_label_code_cannot_be_guessed_at_the_noc() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let console = noc.console(site).await;
    let device = Device::new(1);
    noc.import_devices(std::slice::from_ref(&device));
    let plan = async |claim: &ClaimSecret| {
        let appliances = vec![PlanFor { claim: Some(claim.reveal()), ..device.plan_for() }];
        let mut plan: Plan =
            console.http.post("console/plans", &PlanRequest { site, appliances }).await.expect("answered");
        plan.rows.remove(0)
    };
    let right = plan(&device.claim).await;
    for _ in 0..20 {
        let guess = ClaimSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
        assert_eq!(plan(&guess).await, right, "right and wrong codes are answered alike: only the appliance can tell");
    }
    assert_eq!(plan(&device.claim).await, right);
    // Nobody else has an address that takes a code.
    let anybody = noc.anybody(site).await;
    assert_eq!(code(anybody.post::<Plan>("console/plans", &json!({})).await), "certificate_missing");
}

async fn refused_everywhere(console: &Console) {
    for (method, path, whom, body) in routes() {
        if whom == For::Consoles {
            let path = path.replace("{uid}", &Device::new(0).uid.to_string()).replace("{alert}", "77");
            assert_eq!(ask(&console.http, &method, &path, &body).await, Err("console_revoked".to_owned()), "{path}");
        }
    }
}

#[tokio::test]
async fn a_revoked_console_ends_at_once_also_while_it_waits_and_with_a_new_invite() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let anybody = noc.anybody(site).await;
    let request = NewConsole::new();
    let enrolled: ConsoleEnrolled =
        anybody.post("consoles/enrol", &request.body(&noc.token(site, "1h"))).await.expect("enrolled");
    let http = anybody.with(&enrolled.certificate, &request.tls);
    let console = Console { http: http.clone(), key: request.key.clone(), enrolled };
    let revision = console.http.get::<Changes>("console/changes?after=0").await.expect("allowed").revision;
    let waiting = tokio::spawn(async move { http.get::<Changes>(&format!("console/changes?after={revision}")).await });
    // On the same connection as the long poll, so that it stands in line before the revocation.
    let _: Vec<Site> = console.http.get("console/sites").await.expect("allowed");

    noc.run(&["console", "revoke", &console.enrolled.console.to_string()]);
    refused_everywhere(&console).await;
    let poll = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("does not wait to its end");
    assert_eq!(code(poll.expect("no panic")), "console_revoked");
    let again = anybody.post::<ConsoleEnrolled>("consoles/enrol", &request.body(&noc.token(site, "1h"))).await;
    assert_eq!(code(again), "console_revoked", "its key stays revoked");
    let other = noc.console(site).await;
    let _: Vec<Site> = other.http.get("console/sites").await.expect("another key is another console");
}

#[tokio::test]
async fn a_console_revoked_during_a_job_ends_it_with_the_grants_it_has_and_gets_no_more() {
    let mut world = Practice::start(&["--count", "3", "--install-ms", "2500"]);
    let log = world.noc.folder.path().join("job.log");
    let running = Running::start(&mut world.muster.command(&["--json", "configure", "--all-unconfigured"]), &log);
    until("the fleet installs", 30, async || world.fleet.stats()["states"]["installing"] == 3).await;
    world.noc.run(&["console", "revoke", "1"]);
    until("the job ends", 30, async || running.said().matches("\"configured\"").count() >= 3).await;
    // The console could not report; the beats prove what it did.
    until("the NOC knows from beats", 30, async || {
        let list = world.noc.run(&["inventory", "list"]);
        list.matches("Configured").count() == 3
    })
    .await;
    assert_eq!(world.muster.problem(&["configure", "--all-unconfigured"]), "console_revoked");
    assert_eq!(world.muster.problem(&["status"]), "console_revoked");
    let other = world.noc.console(world.site).await;
    assert_eq!(other.http.get::<Vec<ApplianceRecord>>("console/appliances").await.expect("allowed").len(), 3);
}

#[tokio::test]
async fn grants_are_good_for_the_console_that_asked() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let devices = Device::several(0..1);
    noc.import_devices(&devices);
    let (first, second) = (noc.console(site).await, noc.console(site).await);
    let grants: Grants =
        first.http.post("console/grants", &grant_request(&first.plan(site, &devices).await)).await.expect("granted");
    let signed = data_encoding::BASE64.decode(grants.items[0].grant.as_ref().expect("a grant").grant.as_bytes());
    let root = muster_protocol::crypto::keys::PublicKey::from_base64(&first.enrolled.root).expect("a key");
    let purpose = muster_protocol::crypto::sign::Purpose::Grant;
    let grant = muster_protocol::crypto::sign::verify(&root, purpose, &signed.expect("base64")).expect("by the root");
    let grant: muster_protocol::grant::Grant = muster_protocol::wire::from_cbor(&grant).expect("a grant");
    assert_eq!(grant.console, first.key.public());
    assert_ne!(grant.console, second.key.public());
}
