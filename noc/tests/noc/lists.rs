//! Time servers and search domains: said in the policy, planned, granted, edited, drafted, and refused where they do not fit.

use crate::work::Bench;
use crate::world::{Device, World, grant_request, spec};
use data_encoding::BASE64;
use muster_noc::{
    DraftChanges, DraftSpec, Edit, OrganisationPolicy, PolicyValues, Profile, SiteError, SiteSpec, VendorKey, WorkError,
};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::grant::Grant;
use muster_protocol::parameters::{Field, RawSettings};
use muster_protocol::wire::from_cbor;
use serde_json::json;

const TIME: &str = "ntp.example.net 192.0.2.123";
const SEARCH: &str = "lab.example.net";

fn said(ntp: &str, search_domains: &str) -> PolicyValues {
    let (ntp, search_domains) = (Some(ntp.into()), Some(search_domains.into()));
    PolicyValues { ntp, search_domains, ..PolicyValues::default() }
}

fn of_site(ntp: &str, search_domains: &str) -> SiteSpec {
    SiteSpec { ntp: ntp.into(), search_domains: search_domains.into(), ..spec() }
}

fn granted(world: &World, item: &Granted) -> Grant {
    let signed = BASE64.decode(item.grant.as_ref().expect("granted").grant.as_bytes()).expect("base64");
    from_cbor(&verify(&world.noc.root(), Purpose::Grant, &signed).expect("by the root")).expect("a grant")
}

fn lists(settings: &RawSettings) -> (&str, &str) {
    (&settings.ntp, &settings.search_domains)
}

fn lists_of(grant: &Grant) -> (String, String) {
    let raw = grant.parameters.network.to_raw();
    (raw.ntp, raw.search_domains)
}

#[tokio::test]
async fn the_nearest_place_counts_and_a_row_may_say_its_own_or_none() {
    let world = World::new().await;
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let policy = OrganisationPolicy {
        values: said("NTP.Example.net, 192.0.2.123", " Lab.Example.net. "),
        profiles: vec![Profile { model: "Mail".into(), values: said("2001:db8::7b", "") }],
    };
    world.noc.set_organisation_policy(organisation, policy).expect("kept");
    let inherit = vec![Inheritable::Ntp, Inheritable::SearchDomains];
    let site = world.noc.add_site(SiteSpec { inherit, ..spec() }).expect("a site");
    let devices = Device::several(0..4);
    world.import(&devices);
    world.database().execute("UPDATE appliances SET model = 'Router' WHERE serial <> 'SN0'", []).expect("routers");
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    let shown = |row: &PlanRow| row.settings.clone().expect("planned");
    assert_eq!(lists(&shown(&plan.rows[0])), ("2001:db8::7b", ""));
    assert_eq!(plan.rows[0].rules["ntp"], "organisation profile Mail: time servers");
    assert_eq!(lists(&shown(&plan.rows[1])), (TIME, SEARCH));
    let rules = &plan.rows[1].rules;
    assert_eq!(
        (rules["ntp"].as_str(), rules["search_domains"].as_str()),
        ("organisation time servers", "organisation search domains")
    );

    // As planned, others, none at all, and nothing said, as by a console that knows nothing of them.
    let mut request = grant_request(&plan);
    let set = |item: &mut GrantItem, ntp: &str, search: &str| {
        (item.settings.ntp, item.settings.search_domains) = (ntp.into(), search.into());
    };
    set(&mut request.items[1], "Typed.example,192.0.2.9", "other.example");
    set(&mut request.items[2], "none", "None");
    set(&mut request.items[3], "", "");
    let grants: Grants = console.http.post("console/grants", &request).await.expect("granted");
    let given: Vec<_> = grants.items.iter().map(|item| lists_of(&granted(&world, item))).collect();
    let texts = |ntp: &str, search: &str| (ntp.to_owned(), search.to_owned());
    assert_eq!(
        given,
        [
            texts("2001:db8::7b", ""),
            texts("typed.example 192.0.2.9", "other.example"),
            texts("", ""),
            texts(TIME, SEARCH)
        ]
    );
    for (device, item) in devices.iter().zip(&grants.items) {
        console.report(device.uid, granted(&world, item).seq, true).await;
    }

    // What is in force stays, also that there are none; the preview says what the policy would make of it.
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(lists(&shown(&plan.rows[1])), ("typed.example 192.0.2.9", "other.example"));
    assert_eq!(lists(&shown(&plan.rows[2])), ("none", "none"));
    assert_eq!(plan.rows[2].rules["ntp"], "its current settings");
    let again: Grants = console.http.post("console/grants", &grant_request(&plan)).await.expect("granted");
    assert_eq!(lists_of(&granted(&world, &again.items[2])), texts("", ""));
    let preview = world.noc.preview(site.id).expect("a preview");
    let changes: Vec<_> = preview.iter().map(|row| row.changes.clone()).collect();
    assert_eq!(changes, [vec![], vec!["ntp", "search_domains"], vec!["ntp", "search_domains"], vec![]]);
    let effective = world.noc.effective_policy(site.id).expect("effective");
    let value = |model: Option<&str>| {
        let of_model = effective.iter().find(|policy| policy.model.as_deref() == model).expect("there");
        let value = &of_model.values["ntp"];
        (value.value.clone(), value.source.clone())
    };
    assert_eq!(value(None), texts("ntp.example.net 192.0.2.123", "organisation"));
    assert_eq!(value(Some("mail")), texts("2001:db8::7b", "organisation profile Mail"));
}

#[tokio::test]
async fn an_appliance_that_has_none_gets_what_its_policy_says_meanwhile() {
    let world = World::new().await;
    let site = world.noc.add_site(spec()).expect("a site");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let grants = console.grants(&console.plan(site.id, &devices).await).await;
    let grant = granted(&world, &grants.items[0]);
    assert_eq!(lists_of(&grant), (String::new(), String::new()));
    console.report(devices[0].uid, grant.seq, true).await;
    world.noc.update_site(site.id, of_site(TIME, SEARCH)).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(lists(plan.rows[0].settings.as_ref().expect("planned")), (TIME, SEARCH));
    let rules = &plan.rows[0].rules;
    assert_eq!((rules["ntp"].as_str(), rules["dns1"].as_str()), ("site time servers", "its current settings"));
}

#[tokio::test]
async fn what_is_no_list_is_refused_where_it_is_said() {
    let world = World::new().await;
    let site = world.noc.add_site(of_site(TIME, SEARCH)).expect("a site");
    for (ntp, search, field, code) in [
        ("192.0.2", "", "ntp", "bad_address"),
        ("a b c d", "", "ntp", "too_many_time_servers"),
        ("ntp_1", "", "ntp", "bad_time_server"),
        ("", "a a", "search_domains", "duplicate_search_domain"),
        ("", "~a", "search_domains", "bad_search_domain"),
    ] {
        match world.noc.update_site(site.id, of_site(ntp, search)) {
            Err(SiteError::Invalid(faults)) => {
                assert_eq!((faults[0].field.as_str(), faults[0].code.as_str()), (field, code), "{faults:?}");
            }
            other => panic!("{ntp} {search}: {other:?}"),
        }
    }
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let policy = OrganisationPolicy { values: said("x_", ""), profiles: vec![] };
    assert!(world.noc.set_organisation_policy(organisation, policy).is_err());
    assert_eq!(world.noc.sites().expect("listed")[0].ntp, TIME, "nothing was lost");
    let emptied = world.noc.update_site(site.id, of_site("none", " ")).expect("none");
    assert_eq!((emptied.ntp, emptied.search_domains), (String::new(), String::new()));
    // Over the interface, at its value.
    let root = world.administrator().await;
    let path = format!("/v1/sites/{}", site.id);
    let put = async |ntp: &str| root.change("PUT", &path, &path, json!(of_site(ntp, SEARCH))).await;
    let refused = put("192.0.2.300").await;
    assert_eq!(refused.code(), "site_invalid");
    assert!(refused.text.contains("bad_address"), "{}", refused.text);
    assert_eq!(put(TIME).await.good()["policy"]["ntp"], TIME);
}

#[tokio::test]
async fn what_makes_the_packet_too_long_is_refused_in_the_plan_and_at_the_grant() {
    let world = World::new().await;
    let label = |letter: &str, length: usize| letter.repeat(length);
    let long = |letter: &str| [label(letter, 63), label(letter, 61)].join(".");
    let names = [label("a", 63), label("b", 63), label("c", 62)].join(".");
    let with = |ntp: &str, search: &str| SiteSpec {
        domain: names.clone(),
        host_name: label("h", 60) + "{n}",
        dns1: "2001:db8:7::53".into(),
        dns2: "2001:db8:7::54".into(),
        ..SiteSpec { ntp: ntp.into(), search_domains: search.into(), ..spec() }
    };
    let site = world.noc.add_site(with("", "")).expect("a site");
    let devices = Device::several(0..1);
    let device = &devices[0];
    let manifest = format!("serial,mac,uid,model\nSN0,{},{},Mail\n", device.mac, device.uid);
    let folder = tempfile::TempDir::new().expect("folder");
    let vendor = VendorKey::make(&folder.path().join("vendor.key")).expect("made");
    let manifest = vendor.vouch(&manifest, &world.noc.root(), 1, None).expect("signed");
    world.noc.import_manifest(&manifest).expect("good");
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(plan.rows[0].problem, None);
    world.noc.update_site(site.id, with(&long("t"), &long("s"))).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    let problem = plan.rows[0].problem.clone().expect("too long");
    assert_eq!(problem.code, "settings_too_long");
    assert!(problem.title.contains("bytes too long"), "{}", problem.title);
    let refused = console.grants(&plan).await;
    let error = &refused.items[0].errors[0];
    assert_eq!((error.field, error.code.as_str()), (Field::Ntp, "settings_too_long"));
    world.noc.update_site(site.id, with("192.0.2.123", "")).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(plan.rows[0].problem, None);
    let grants = console.grants(&plan).await;
    assert_eq!(lists_of(&granted(&world, &grants.items[0])).0, "192.0.2.123");
}

#[tokio::test]
async fn the_noc_gives_them_with_a_beat_and_versions_go_back_to_them() {
    let mut bench = Bench::new().await;
    let (noc, uid) = (bench.world.noc.clone(), bench.uid());
    let edit = |ntp: &str, search: &str| Edit {
        ntp: Some(ntp.into()),
        search_domains: Some(search.into()),
        ..Edit::default()
    };
    let in_force = async |bench: &mut Bench| {
        let work = bench.beat().await;
        let grant = bench.grant(&work);
        bench.seq = grant.seq;
        bench.beat().await;
        lists_of(&grant)
    };
    let texts = |ntp: &str, search: &str| (ntp.to_owned(), search.to_owned());
    noc.change(&uid, edit("ntp.example.net,192.0.2.123", SEARCH)).expect("given");
    assert_eq!(in_force(&mut bench).await, texts(TIME, SEARCH));
    let versions = noc.versions(&uid, 9).expect("listed");
    assert_eq!(versions[0].changes, ["ntp", "search_domains"]);
    assert_eq!(lists(&versions[0].settings), (TIME, SEARCH));

    // Another address leaves them alone.
    bench.readdress("192.0.2.80").expect("given");
    assert_eq!(in_force(&mut bench).await, texts(TIME, SEARCH));
    match noc.change(&uid, edit("x_", SEARCH)).expect_err("refused") {
        WorkError::Invalid(errors) => assert_eq!(errors.0[0].code, "bad_time_server"),
        other => panic!("{other}"),
    }

    // A change of the policy goes out as a draft, and the way back brings what was.
    noc.update_site(bench.site.id, of_site("192.0.2.9", "")).expect("kept");
    let spec =
        DraftSpec { sites: vec![bench.site.id], title: "other time servers".into(), changes: DraftChanges::Policy {} };
    let draft = noc.draft(spec).expect("a draft");
    noc.apply_draft(draft.id).expect("applied");
    assert_eq!(in_force(&mut bench).await, texts("192.0.2.9", ""));
    noc.roll_back(&uid, versions[0].version, "it was better").expect("given");
    assert_eq!(in_force(&mut bench).await, texts(TIME, SEARCH));
    noc.change(&uid, edit("none", "none")).expect("given");
    assert_eq!(in_force(&mut bench).await, texts("", ""));
    noc.change(&uid, edit("", "none")).expect("given");
    assert_eq!(in_force(&mut bench).await, texts("192.0.2.9", ""), "by the policy again");
}
