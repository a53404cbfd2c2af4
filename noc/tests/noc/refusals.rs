//! Who is turned away, in which words; a refusal changes nothing.

use crate::world::{Device, Http, NewConsole, World, beat, code, grant_request, json};
use muster_noc::{AsProblem, ImportError, InviteError, Noc, OpenError, Options};
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn enrol(http: &Http, body: &EnrolConsole) -> Result<ConsoleEnrolled, Problem> {
    http.post("consoles/enrol", body).await
}

#[tokio::test]
async fn an_invite_is_good_once_and_for_a_while() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let http = world.anybody().await;
    let (console, other) = (NewConsole::new(), NewConsole::new());

    assert_eq!(code(enrol(&http, &console.body("ABCDEFGH")).await), "invite_unknown");
    let ended = world.token(&[site.id], Duration::ZERO);
    assert_eq!(code(enrol(&http, &console.body(&ended)).await), "invite_expired");
    let token = world.token(&[site.id], HOUR);
    let first = enrol(&http, &console.body(&token)).await.expect("enrolled");
    let again = enrol(&http, &console.body(&token)).await.expect("the answer may have been lost");
    assert_eq!(first.console, again.console);
    assert_eq!(code(enrol(&http, &other.body(&token)).await), "invite_used");
    let with_other_tls = NewConsole { key: console.key.clone(), ..NewConsole::new() };
    assert_eq!(code(enrol(&http, &with_other_tls.body(&token)).await), "invite_used", "another TLS key is another");
    assert_eq!(world.noc.consoles().expect("listed").len(), 1);
}

#[tokio::test]
async fn a_malformed_enrolment_does_not_use_the_invite_up() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let http = world.anybody().await;
    let console = NewConsole::new();
    let token = world.token(&[site.id], HOUR);
    let good = console.body(&token);
    let other = NewConsole::new();
    let proofs = [
        String::new(),
        "AAAA".into(),
        console.proof(&other.key, &token),
        console.proof(&console.key, "other"),
        other.body(&token).proof,
    ];
    for proof in proofs {
        assert_eq!(code(enrol(&http, &EnrolConsole { proof, ..good.clone() }).await), "proof_invalid");
    }
    let csr = EnrolConsole { csr: other.body(&token).csr, ..good.clone() };
    assert_eq!(code(enrol(&http, &csr).await), "proof_invalid", "the proof is for another certificate request");
    let csr = EnrolConsole { csr: "nonsense".into(), ..good.clone() };
    assert_eq!(code(enrol(&http, &csr).await), "csr_malformed");
    let key = EnrolConsole { public_key: "AAAA".into(), ..good.clone() };
    assert_eq!(code(enrol(&http, &key).await), "bad_key");
    let name = EnrolConsole { name: " ".into(), ..good.clone() };
    assert_eq!(code(enrol(&http, &name).await), "bad_name");
    enrol(&http, &good).await.expect("still good");
}

#[tokio::test]
async fn without_the_right_certificate_there_is_nothing_to_see() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let anybody = world.anybody().await;
    assert_eq!(code(anybody.get::<Vec<Site>>("console/sites").await), "certificate_missing");
    assert_eq!(code(anybody.post::<BeatAnswer>("appliances/beats", &beat(1, 1, Seq(1))).await), "certificate_missing");

    let console = world.console(&[site.id]).await;
    let seq = console.configure(site.id, &devices).await[0];
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    assert_eq!(code(appliance.get::<Vec<Site>>("console/sites").await), "certificate_wrong_kind");
    let beats = console.http.post::<BeatAnswer>("appliances/beats", &beat(1, 1, seq)).await;
    assert_eq!(code(beats), "certificate_wrong_kind");

    // A certificate of another NOC, for the same name, does not even get through the handshake.
    let elsewhere = World::new().await;
    let foreign_site = elsewhere.site("Bern", "192.0.2.10-192.0.2.99");
    let request = NewConsole::new();
    let token = elsewhere.token(&[foreign_site.id], HOUR);
    let foreign = enrol(&elsewhere.anybody().await, &request.body(&token)).await.expect("enrolled there");
    let foreign = anybody.with(&foreign.certificate, &request.tls);
    let refused = foreign.client.get(foreign.url("console/sites")).send().await;
    assert!(refused.is_err(), "TLS refuses it");

    assert!(world.noc.revoke_console(console.enrolled.console).expect("revoked"));
    assert!(!world.noc.revoke_console(muster_protocol::id::ConsoleId(99)).expect("none"));
    assert_eq!(code(console.http.get::<Vec<Site>>("console/sites").await), "console_revoked");
    assert_eq!(code(console.http.get::<Changes>("console/changes?after=0").await), "console_revoked");
}

#[tokio::test]
async fn a_console_of_another_site_sees_and_changes_nothing() {
    let world = World::new().await;
    let bern = world.site("Bern", "192.0.2.10-192.0.2.99");
    let thun = world.site("Thun", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let (ours, theirs) = (world.console(&[bern.id]).await, world.console(&[thun.id]).await);
    let seq = ours.configure(bern.id, &devices[..1]).await[0];

    assert_eq!(theirs.http.get::<Vec<Site>>("console/sites").await.expect("sites"), std::slice::from_ref(&thun));
    let records = theirs.http.get::<Vec<ApplianceRecord>>("console/appliances").await.expect("those without a site");
    assert_eq!(records.iter().map(|record| record.uid).collect::<Vec<_>>(), [devices[1].uid], "stock is everybody's");
    assert!(theirs.http.get::<Vec<Alert>>("console/alerts").await.expect("none").is_empty());
    let history = format!("console/appliances/{}/beats", devices[0].uid);
    assert_eq!(code(theirs.http.get::<Vec<BeatRecord>>(&history).await), "unknown_appliance");
    let plan = PlanRequest { site: bern.id, appliances: vec![devices[0].plan_for()] };
    assert_eq!(code(theirs.http.post::<Plan>("console/plans", &plan).await), "unknown_site");

    let plan = theirs.plan(thun.id, &devices[..1]).await;
    assert_eq!((plan.rows[0].ownership, plan.rows[0].settings.clone()), (Ownership::OtherSite, None));
    assert_eq!(plan.rows[0].problem.as_ref().expect("says why").code, "other_site");
    let grants = GrantRequest {
        site: thun.id,
        items: vec![GrantItem {
            uid: devices[0].uid,
            settings: ours.plan(bern.id, &devices[..1]).await.rows[0].settings.clone().expect("settings"),
            refusal: None,
        }],
    };
    let grants: Grants = theirs.http.post("console/grants", &grants).await.expect("answered");
    assert_eq!(grants.items[0].errors[0].code, "not_planned");
    theirs.report(devices[0].uid, seq, false).await;
    assert_eq!(ours.appliance(devices[0].uid).await.provisioning, Provisioning::Configured);

    // Planned elsewhere, never granted, the lease ended or never was: free for whoever has it on the network.
    assert_eq!(theirs.plan(thun.id, &devices[1..]).await.rows[0].ownership, Ownership::Owned);
    assert_eq!(ours.plan(bern.id, &devices[1..]).await.rows[0].ownership, Ownership::OtherSite);
}

#[tokio::test]
async fn an_appliance_enrols_with_its_own_proof_only() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let http = world.anybody().await;
    let try_enrol = async |request: &EnrolAppliance| http.post::<ApplianceEnrolled>("appliances/enrol", request).await;

    let (_, early) = devices[0].enrolment(&devices[0].key, Seq(1));
    assert_eq!(code(try_enrol(&early).await), "not_granted");
    let seq = console.configure(site.id, &devices[..1]).await[0];
    let (_, good) = devices[0].enrolment(&devices[0].key, seq);
    let (_, forged) = devices[0].enrolment(&devices[1].key, seq);
    assert_eq!(code(try_enrol(&forged).await), "proof_invalid");
    let (_, other) = devices[0].enrolment(&devices[0].key, seq);
    let swapped = EnrolAppliance { csr: other.csr, ..good.clone() };
    assert_eq!(code(try_enrol(&swapped).await), "proof_of_other_csr");
    let garbage = EnrolAppliance { proof: "AAAA".into(), ..good.clone() };
    assert_eq!(code(try_enrol(&garbage).await), "proof_invalid");
    let stranger = Device::new(99);
    let (_, unknown) = stranger.enrolment(&stranger.key, Seq(1));
    assert_eq!(code(try_enrol(&unknown).await), "appliance_unknown");
    let (_, huge) = devices[0].enrolment(&devices[0].key, Seq(u64::MAX));
    assert_eq!(code(try_enrol(&huge).await), "not_granted");
    try_enrol(&good).await.expect("enrolled");
}

#[tokio::test]
async fn a_request_that_does_not_read_is_told_so() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let console = world.console(&[site.id]).await;
    let send = async |path: &str, body: Vec<u8>| {
        let answer = console.http.client.post(console.http.url(path)).body(body).send().await.expect("answer");
        code(json::<serde_json::Value>(answer).await)
    };
    assert_eq!(send("console/plans", b"{".to_vec()).await, "malformed");
    assert_eq!(send("console/plans", b"{\"site\":\"x\"}".to_vec()).await, "malformed");
    assert_eq!(send("consoles/enrol", vec![b' '; 40 << 10]).await, "too_large");
    assert_eq!(send("console/plans", vec![b' '; 9 << 20]).await, "too_large");
    assert_eq!(send("nowhere", Vec::new()).await, "unknown_address");
    assert_eq!(code(console.http.post::<Site>("console/sites", &()).await), "wrong_method");
    assert_eq!(code(console.http.get::<Changes>("console/changes?after=x").await), "malformed");
    assert_eq!(code(console.http.get::<Vec<BeatRecord>>("console/appliances/x/beats").await), "malformed");
    let many = ResultReport {
        items: (0..10_001)
            .map(|_| ResultItem { uid: Device::new(1).uid, seq: Seq(1), configured: true, reason: String::new() })
            .collect(),
    };
    assert_eq!(code(console.http.post_nothing("console/results", &many).await), "too_many");
    let huge =
        vec![ResultItem { uid: Device::new(1).uid, seq: Seq(u64::MAX), configured: true, reason: String::new() }];
    console.http.post_nothing("console/results", &ResultReport { items: huge }).await.expect("ignored");
}

#[tokio::test]
async fn every_fault_of_settings_is_named_at_its_field() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..9);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    console.configure(site.id, &devices[8..]).await;
    let plan = console.plan(site.id, &devices[..8]).await;
    let mut request = grant_request(&plan);
    let item = |request: &mut GrantRequest, i: usize, edit: fn(&mut muster_protocol::parameters::RawSettings)| {
        edit(&mut request.items[i].settings);
    };
    item(&mut request, 0, |s| (s.address, s.gateway) = ("192.0.2.1".into(), String::new()));
    item(&mut request, 1, |s| s.address = "192.0.2.53".into());
    item(&mut request, 2, |s| (s.address, s.gateway) = ("198.51.100.7".into(), String::new()));
    item(&mut request, 3, |s| s.address = "192.0.2.10".into()); // held by the ninth
    item(&mut request, 4, |s| s.address = "192.0.2.77".into());
    item(&mut request, 5, |s| s.address = "192.0.2.77".into());
    item(&mut request, 6, |s| s.host_name = "MAIL-001".into()); // held by the ninth
    item(&mut request, 7, |s| s.host_name = "a b".into());
    let grants: Grants = console.http.post("console/grants", &request).await.expect("answered");
    let codes: Vec<_> = grants.items.iter().map(|g| g.errors[0].code.as_str()).collect();
    let expected = [
        "gateway_taken",
        "name_server_taken",
        "wrong_subnet",
        "duplicate_address",
        "duplicate_address",
        "duplicate_address",
        "duplicate_host_name",
        "bad_host_name",
    ];
    assert_eq!(codes, expected);
    assert!(grants.items.iter().all(|g| g.grant.is_none()));

    // Two rows may exchange what the plan gave them.
    let mut swapped = grant_request(&plan);
    let (first, second) = (swapped.items[0].settings.clone(), swapped.items[1].settings.clone());
    (swapped.items[0].settings, swapped.items[1].settings) = (second, first);
    let grants: Grants = console.http.post("console/grants", &swapped).await.expect("answered");
    assert!(grants.items.iter().all(|g| g.errors.is_empty()), "{:?}", grants.items);
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so_and_what_to_do() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.12");
    let devices = Device::several(0..4);
    world.import(&devices);
    let plan = world.console(&[site.id]).await.plan(site.id, &devices).await;
    assert!(plan.rows[..3].iter().all(|row| row.settings.is_some()));
    let problem = plan.rows[3].problem.as_ref().expect("says why");
    assert_eq!(problem.code, "pool_exhausted");
    assert!(problem.detail.contains("Bern"));
}

#[tokio::test]
async fn a_manifest_is_taken_whole_or_not_at_all() {
    let world = World::new().await;
    let devices = Device::several(0..2);
    world.import(&devices[..1]);
    let row = |device: &Device| format!("S{},{},{},{}\n", device.n, device.mac, device.uid, device.claim.reveal());
    let stranger = Device { mac: devices[0].mac, ..Device::new(5) };
    let csv = format!("serial,mac,uid,claim\n{}{}", row(&devices[1]), row(&stranger));
    match world.noc.import_manifest(&csv) {
        Err(error @ ImportError::Lines { .. }) => {
            assert_eq!(error.problem().code, "manifest_invalid");
            let ImportError::Lines { lines, .. } = error else { unreachable!("matched above") };
            assert_eq!((lines[0].line, lines[0].code.as_str()), (3, "mac_known"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.noc.appliances().expect("listed").len(), 1);
    let csv = format!("serial,mac,uid,claim\n{}{}", row(&devices[0]), row(&devices[1]));
    let report = world.noc.import_manifest(&csv).expect("good");
    assert_eq!((report.added, report.updated, report.unchanged), (1, 1, 0));
    assert_eq!(world.noc.import_manifest(&csv).expect("good").unchanged, 2);
}

#[tokio::test]
async fn a_data_folder_that_others_can_read_or_that_is_mixed_is_not_opened() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let dir = world.dir.path().join("noc");
    let again = Noc::init(&dir, &Options::at("127.0.0.1:0")).err().expect("there is one already");
    assert_eq!(again.problem().code, "already_initialised");
    let second = world.noc.serve("127.0.0.1:0".parse().expect("address")).await.err().expect("served already");
    assert_eq!(second.problem().code, "already_serving");
    let none = Noc::open(world.dir.path()).err().expect("no NOC there");
    assert_eq!(none.problem().code, "not_initialised");
    for secret in ["root.key", "ca.key", "noc.sqlite"] {
        let file = dir.join(secret);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = Noc::open(&dir).err().expect("refused");
        assert!(matches!(&error, OpenError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.problem().detail.contains("chmod 600"), "{:?}", error.problem());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    }
    let other = world.dir.path().join("other");
    Noc::init(&other, &Options::at("127.0.0.1:0")).expect("init");
    std::fs::copy(other.join("root.key"), dir.join("root.key")).expect("copy");
    let error = Noc::open(&dir).err().expect("refused");
    assert_eq!(error.problem().code, "folder_mixed");
    std::fs::write(dir.join("root.key"), "x").expect("write");
    let error = Noc::open(&dir).err().expect("refused");
    assert_eq!(error.problem().code, "folder_damaged");
}

#[tokio::test]
async fn sites_and_invites_are_checked() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let taken = world.noc.add_site(crate::world::spec()).expect_err("the name is in use");
    assert_eq!(taken.problem().code, "site_name_taken");
    let wrong = muster_noc::SiteSpec { pool: "x".into(), ..crate::world::spec() };
    assert_eq!(world.noc.add_site(wrong).expect_err("wrong pool").problem().code, "site_invalid");
    let missing = world.noc.update_site(SiteId(9), crate::world::spec());
    assert_eq!(missing.expect_err("missing").problem().code, "unknown_site");
    let thun = world.noc.add_site(muster_noc::SiteSpec { name: "Thun".into(), ..crate::world::spec() }).expect("added");
    let taken = world.noc.update_site(thun.id, crate::world::spec());
    assert_eq!(taken.expect_err("taken").problem().code, "site_name_taken");
    let moved = muster_noc::SiteSpec { pool: "192.0.2.200-192.0.2.201".into(), ..crate::world::spec() };
    assert_eq!(world.noc.update_site(site.id, moved).expect("good").pool, "192.0.2.200-192.0.2.201");
    assert!(matches!(world.noc.invite(&[], HOUR), Err(InviteError::Sites { count: 0 })));
    let unknown = world.noc.invite(&[SiteId(9)], HOUR).expect_err("no such site");
    assert_eq!(unknown.problem().code, "unknown_site");
}
