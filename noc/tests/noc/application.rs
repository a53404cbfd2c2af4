//! Application settings: said in the policy, planned, granted, edited, drafted, and refused where they do not fit.

use crate::work::Bench;
use crate::world::{Device, World, grant_request, spec};
use data_encoding::BASE64;
use muster_noc::{
    AsProblem, DraftChanges, DraftSpec, Edit, OrganisationPolicy, PolicyValues, Profile, SiteError, SiteSpec, WorkError,
};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::grant::Grant;
use muster_protocol::parameters::{Field, RawSettings};
use muster_protocol::wire::from_cbor;
use serde_json::json;

const GATEWAY: &str = r#"{"quarantine_days":14,"relay":"mx.example.net"}"#;

fn said(text: &str) -> PolicyValues {
    PolicyValues { application: Some(text.into()), ..PolicyValues::default() }
}

fn of_site(text: &str) -> SiteSpec {
    SiteSpec { application: text.into(), ..spec() }
}

/// An object of so many bytes.
fn of_length(bytes: usize) -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - "{\"text\":\"\"}".len()))
}

fn granted(world: &World, item: &Granted) -> Grant {
    let signed = BASE64.decode(item.grant.as_ref().expect("granted").grant.as_bytes()).expect("base64");
    from_cbor(&verify(&world.noc.root(), Purpose::Grant, &signed).expect("by the root")).expect("a grant")
}

fn text_of(grant: &Grant) -> Option<&str> {
    grant.parameters.application.as_ref().map(|settings| settings.as_str())
}

#[tokio::test]
async fn the_nearest_place_counts_with_its_whole_object_and_is_named_in_plans_and_previews() {
    let world = World::new().await;
    let organisation = world.noc.organisations().expect("listed")[0].id;
    let policy = OrganisationPolicy {
        values: said(r#"{ "relay": "a", "days": 1 }"#),
        profiles: vec![Profile { model: "Mail".into(), values: said(r#"{"relay":"b"}"#) }],
    };
    world.noc.set_organisation_policy(organisation, policy).expect("kept");
    let inherit = vec![Inheritable::Application];
    let site = world.noc.add_site(SiteSpec { inherit: inherit.clone(), ..spec() }).expect("a site");
    assert_eq!(site.application, r#"{"days":1,"relay":"a"}"#, "in its canonical form");
    let devices = Device::several(0..3);
    world.import(&devices);
    world.database().execute("UPDATE appliances SET model = 'Router' WHERE serial = 'SN1'", []).expect("a router");
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    let shown = |row: &PlanRow| {
        let settings = row.settings.as_ref().expect("planned");
        (settings.application.clone(), row.rules["application"].clone())
    };
    assert_eq!(
        shown(&plan.rows[0]),
        (r#"{"relay":"b"}"#.into(), "organisation profile Mail: application settings".into())
    );
    assert_eq!(shown(&plan.rows[1]), (r#"{"days":1,"relay":"a"}"#.into(), "organisation application settings".into()));

    // As planned, with another object, and with none at all.
    let mut request = grant_request(&plan);
    let set = |item: &mut GrantItem, text: &str| item.settings.application = text.into();
    set(&mut request.items[1], r#"{"relay": "typed"}"#);
    set(&mut request.items[2], "{}");
    let grants: Grants = console.http.post("console/grants", &request).await.expect("granted");
    let texts: Vec<_> = grants.items.iter().map(|item| text_of(&granted(&world, item)).map(str::to_owned)).collect();
    assert_eq!(texts, [Some(r#"{"relay":"b"}"#.into()), Some(r#"{"relay":"typed"}"#.into()), None]);
    for (device, item) in devices.iter().zip(&grants.items) {
        console.report(device.uid, granted(&world, item).seq, true).await;
    }
    let has = |settings: Option<RawSettings>| settings.expect("settings").application;
    assert_eq!(has(console.appliance(devices[1].uid).await.settings), r#"{"relay":"typed"}"#);

    // What is in force stays, also in the next plan; the preview says what the policy would make of it.
    let own = vec![Profile { model: "mail".into(), values: said("") }];
    world.noc.set_site_profiles(site.id, own).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(shown(&plan.rows[0]), (r#"{"relay":"b"}"#.into(), "its current settings".into()));
    let preview = world.noc.preview(site.id).expect("a preview");
    let changes: Vec<_> = preview.iter().map(|row| (row.changes.clone(), has(row.settings.clone()))).collect();
    assert_eq!(changes[0], (vec!["application"], String::new()), "nothing is said nearer than the organisation's");
    assert_eq!(changes[1], (vec!["application"], r#"{"days":1,"relay":"a"}"#.into()));
    assert_eq!(changes[2], (vec![], String::new()), "none is none, whoever says it");
    let effective = world.noc.effective_policy(site.id).expect("effective");
    let value = &effective.iter().find(|policy| policy.model.as_deref() == Some("mail")).expect("mail").values;
    assert_eq!((value["application"].value.as_str(), value["application"].source.as_str()), ("", "site profile mail"));
}

#[tokio::test]
async fn what_is_no_object_is_refused_where_it_is_said() {
    let world = World::new().await;
    let site = world.noc.add_site(of_site(GATEWAY)).expect("a site");
    for (text, code) in [
        ("{", "application_not_json"),
        ("[1]", "application_not_object"),
        (r#"{"a":1,"a":1}"#, "application_duplicate_name"),
        ("{\"a\":\"\u{202e}\"}", "application_control_character"),
        (&of_length(701), "application_too_long"),
    ] {
        match world.noc.update_site(site.id, of_site(text)) {
            Err(SiteError::Invalid(faults)) => {
                assert_eq!((faults[0].field.as_str(), faults[0].code.as_str()), ("application", code), "{faults:?}");
            }
            other => panic!("{text}: {other:?}"),
        }
        let organisation = world.noc.organisations().expect("listed")[0].id;
        let policy = OrganisationPolicy { values: said(text), profiles: vec![] };
        assert_eq!(
            world.noc.set_organisation_policy(organisation, policy).expect_err(text).problem().code,
            "site_invalid"
        );
    }
    assert_eq!(world.noc.sites().expect("listed")[0].application, GATEWAY, "nothing was lost");
    let emptied = world.noc.update_site(site.id, of_site(" {} ")).expect("none");
    assert_eq!(emptied.application, "");
    // Over the interface, at its value.
    let root = world.administrator().await;
    let path = format!("/v1/sites/{}", site.id);
    let put = async |text: &str| root.change("PUT", &path, &path, json!(of_site(text))).await;
    let refused = put("{]").await;
    assert_eq!(refused.code(), "site_invalid");
    assert!(refused.text.contains("application_not_json"), "{}", refused.text);
    assert_eq!(put(GATEWAY).await.good()["policy"]["application"], GATEWAY);
}

#[tokio::test]
async fn what_its_packet_has_no_room_for_is_refused_in_the_plan_and_at_the_grant() {
    let world = World::new().await;
    let site = world.noc.add_site(of_site(&of_length(700))).expect("a site");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    let problem = plan.rows[0].problem.clone().expect("too long");
    assert_eq!(problem.code, "application_too_long");
    // It says how much fits, and so much does.
    let numbers: Vec<usize> = problem.title.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [700, room] = numbers[..] else { panic!("{}", problem.title) };
    assert!((500..700).contains(&room), "{room}");
    let refused = console.grants(&plan).await;
    let errors = &refused.items[0].errors;
    assert_eq!((errors[0].field, errors[0].code.as_str()), (Field::Application, "application_too_long"));
    assert!(errors[0].message.contains(&room.to_string()));

    world.noc.update_site(site.id, of_site(&of_length(room + 1))).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    assert!(plan.rows[0].problem.is_some());
    world.noc.update_site(site.id, of_site(&of_length(room))).expect("kept");
    let plan = console.plan(site.id, &devices).await;
    assert_eq!(plan.rows[0].problem, None);
    let grants = console.grants(&plan).await;
    assert_eq!(text_of(&granted(&world, &grants.items[0])).map(str::len), Some(room));
}

#[tokio::test]
async fn the_noc_gives_them_with_a_beat_and_versions_go_back_to_them() {
    let mut bench = Bench::new().await;
    let (noc, uid) = (bench.world.noc.clone(), bench.uid());
    let edit = |text: &str| Edit { application: Some(text.into()), ..Edit::default() };
    noc.change(&uid, edit(GATEWAY)).expect("given");
    let work = bench.beat().await;
    assert_eq!(text_of(&bench.grant(&work)), Some(GATEWAY));
    bench.seq = bench.grant(&work).seq;
    bench.beat().await;
    let versions = noc.versions(&uid, 9).expect("listed");
    assert_eq!(
        (versions[0].changes.as_slice(), versions[0].settings.application.as_str()),
        (&["application"][..], GATEWAY)
    );

    // Another address leaves them alone.
    bench.readdress("192.0.2.80").expect("given");
    let work = bench.beat().await;
    assert_eq!(text_of(&bench.grant(&work)), Some(GATEWAY));
    bench.seq = bench.grant(&work).seq;
    bench.beat().await;

    match noc.change(&uid, edit("[]")).expect_err("refused") {
        WorkError::Invalid(errors) => assert_eq!(errors.0[0].code, "application_not_object"),
        other => panic!("{other}"),
    }

    // A change of the policy goes out as a draft, and the way back brings what was.
    noc.update_site(bench.site.id, of_site(r#"{"relay":"of the site"}"#)).expect("kept");
    let spec =
        DraftSpec { sites: vec![bench.site.id], title: "another relay".into(), changes: DraftChanges::Policy {} };
    let draft = noc.draft(spec).expect("a draft");
    noc.apply_draft(draft.id).expect("applied");
    let work = bench.beat().await;
    assert_eq!(text_of(&bench.grant(&work)), Some(r#"{"relay":"of the site"}"#));
    bench.seq = bench.grant(&work).seq;
    bench.beat().await;
    noc.roll_back(&uid, versions[0].version, "it was better").expect("given");
    let work = bench.beat().await;
    assert_eq!(text_of(&bench.grant(&work)), Some(GATEWAY));
    let audited = bench.world.database().query_row(
        "SELECT count(*) FROM audit WHERE action = 'grant.sign' AND detail LIKE '%quarantine_days%'",
        [],
        |row| row.get::<_, u32>(0),
    );
    assert_eq!(audited.expect("counted"), 3);
}
