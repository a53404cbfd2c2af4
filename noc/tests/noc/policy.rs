//! Policy in layers: organisations, sites, models, reservations, and what they come to.

use crate::world::{Device, World, beat, grant_request, spec};
use muster_noc::{AsProblem, OrganisationPolicy, PolicyValues, Profile, ReservationSpec, SiteError, SiteSpec};
use muster_protocol::api::*;
use muster_protocol::id::SiteId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn values(dns1: &str, beat_interval_s: u32) -> PolicyValues {
    PolicyValues { dns1: Some(dns1.into()), beat_interval_s: Some(beat_interval_s), ..PolicyValues::default() }
}

fn profile(model: &str, values: PolicyValues) -> Profile {
    Profile { model: model.into(), values }
}

fn organisation_of(world: &World) -> muster_noc::OrganisationId {
    world.noc.organisations().expect("listed")[0].id
}

fn reserve(serial: &str, address: &str, host_name: &str) -> ReservationSpec {
    let (serial, address, host_name) = (serial.into(), address.into(), host_name.into());
    ReservationSpec { serial, address, host_name, ..ReservationSpec::default() }
}

#[tokio::test]
async fn a_site_has_from_its_organisation_what_it_does_not_say_itself_and_every_value_names_its_rule() {
    let world = World::new().await;
    let organisation = organisation_of(&world);
    let said = OrganisationPolicy {
        values: values("10.1.1.1", 30),
        profiles: vec![profile("mail", values("10.1.1.2", 20)), profile("router", values("10.1.1.3", 40))],
    };
    world.noc.set_organisation_policy(organisation, said.clone()).expect("kept");
    let inherit = vec![Inheritable::BeatIntervalS, Inheritable::Dns1];
    let site = world.noc.add_site(SiteSpec { inherit: inherit.clone(), ..spec() }).expect("a site");
    assert_eq!(
        (site.dns1.as_str(), site.beat_interval_s),
        ("10.1.1.1", 30),
        "what is said in the request does not count"
    );
    let own = PolicyValues { dns1: Some("192.0.2.9".into()), ..PolicyValues::default() };
    world.noc.set_site_profiles(site.id, vec![profile("Router", own)]).expect("kept");

    // Devices of the manifest are of the model Mail.
    let devices = Device::several(0..2);
    world.import(&devices);
    world.database().execute("UPDATE appliances SET model = 'Router' WHERE serial = 'SN1'", []).expect("a router");
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    let dns = |row: usize| {
        let row = &plan.rows[row];
        (row.settings.as_ref().expect("planned").dns1.clone(), row.rules["dns1"].clone())
    };
    assert_eq!(dns(0), ("10.1.1.2".into(), "organisation profile mail: dns1".into()));
    assert_eq!(dns(1), ("192.0.2.9".into(), "site profile Router: dns1".into()));
    assert_eq!(plan.rows[0].rules["address"], "site pool 192.0.2.10-192.0.2.99");

    // The interval of the model goes with the grant, and with the answer to every beat after a change.
    let seq = console.configure(site.id, &devices).await[0];
    let appliance = devices[0].enrol(&world.anybody().await, seq).await;
    let answer: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, seq)).await.expect("taken");
    assert_eq!(answer.interval_s, 20);
    let changed = OrganisationPolicy { profiles: vec![profile("Mail", values("10.1.1.2", 25))], ..said };
    world.noc.set_organisation_policy(organisation, changed).expect("kept");
    let answer: BeatAnswer = appliance.post("appliances/beats", &beat(1, 2, seq)).await.expect("taken");
    assert_eq!(answer.interval_s, 25);
    // What is in force stays.
    let kept = console.appliance(devices[0].uid).await.settings.expect("settings");
    assert_eq!(kept.dns1, "10.1.1.2");

    let effective = world.noc.effective_policy(site.id).expect("effective");
    let shown: Vec<_> = effective
        .iter()
        .map(|policy| {
            let dns1 = &policy.values["dns1"];
            (policy.model.as_deref(), dns1.value.as_str(), dns1.source.as_str())
        })
        .collect();
    let wanted = [
        (None, "10.1.1.1", "organisation"),
        (Some("mail"), "10.1.1.2", "organisation profile Mail"),
        (Some("router"), "192.0.2.9", "site profile Router"),
    ];
    assert_eq!(shown, wanted);
    assert_eq!(effective[0].values["domain"].source, "site");
}

#[tokio::test]
async fn what_does_not_fit_a_site_is_refused_for_the_organisation_and_nothing_of_it_is_kept() {
    let world = World::new().await;
    let organisation = organisation_of(&world);
    let inherit = vec![Inheritable::Domain];
    let refused = world.noc.add_site(SiteSpec { inherit: inherit.clone(), ..spec() }).expect_err("no domain");
    assert!(matches!(refused, SiteError::Invalid(ref faults) if faults[0].code == "nothing_to_inherit"), "{refused}");
    assert!(world.noc.sites().expect("listed").is_empty());

    let domain = |domain: Option<&str>| OrganisationPolicy {
        values: PolicyValues { domain: domain.map(Into::into), ..PolicyValues::default() },
        profiles: Vec::new(),
    };
    world.noc.set_organisation_policy(organisation, domain(Some("acme.example"))).expect("kept");
    let site = world.noc.add_site(SiteSpec { inherit, ..spec() }).expect("a site");
    assert_eq!(site.domain, "acme.example");
    let refused = world.noc.set_organisation_policy(organisation, domain(None)).expect_err("the site needs it");
    assert!(refused.to_string().contains("site Bern"), "{refused}");
    assert_eq!(refused.problem().code, "site_invalid");
    assert_eq!(world.noc.organisation_policy(organisation).expect("read"), domain(Some("acme.example")));
    // A name server that would be an address of the site's own network is refused for that site alone.
    let name_server = OrganisationPolicy { values: values("192.0.2.1", 3), profiles: vec![] };
    let refused = world.noc.set_organisation_policy(organisation, name_server).expect_err("3 seconds");
    assert!(refused.to_string().contains("beat interval"), "{refused}");
}

#[tokio::test]
async fn excluded_addresses_are_never_given_out_and_reserved_ones_only_to_whom_they_are_for() {
    let world = World::new().await;
    let exclude = "192.0.2.10-192.0.2.11, 192.0.2.14".to_owned();
    let site = world.noc.add_site(SiteSpec { exclude, ..spec() }).expect("a site");
    let number = world.noc.reserve(site.id, reserve("SN2", "192.0.2.12", "gate")).expect("reserved");
    let outside = ReservationSpec { mac: Device::new(3).mac.to_string(), ..reserve("", "192.0.2.200", "") };
    world.noc.reserve(site.id, outside).expect("outside of the pool, inside of the network");
    let devices = Device::several(0..4);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let plan = console.plan(site.id, &devices).await;
    let got: Vec<_> = plan
        .rows
        .iter()
        .map(|row| {
            let settings = row.settings.as_ref().expect("planned");
            (settings.address.as_str(), settings.host_name.as_str())
        })
        .collect();
    let wanted =
        [("192.0.2.13", "mail-001"), ("192.0.2.15", "mail-002"), ("192.0.2.12", "gate"), ("192.0.2.200", "mail-003")];
    assert_eq!(got, wanted);
    assert_eq!(
        (plan.rows[2].rules["address"].as_str(), plan.rows[2].rules["host_name"].as_str()),
        ("reservation", "reservation")
    );
    assert_eq!(plan.rows[3].rules["host_name"], "site host-name template {model}-{n:03}");

    // Nobody else has it by typing it; who it is for has it by typing it, or another.
    let mut typed = grant_request(&plan);
    typed.items.truncate(1);
    typed.items[0].settings.address = "192.0.2.12".into();
    typed.items[0].settings.host_name = "gate".into();
    let refused: Grants = console.http.post("console/grants", &typed).await.expect("answered");
    let codes: Vec<_> = refused.items[0].errors.iter().map(|error| error.code.as_str()).collect();
    assert!(codes.contains(&"reserved_for_another"), "{codes:?}");
    typed.items[0].settings.address = "192.0.2.10".into();
    typed.items[0].settings.host_name = "typed".into();
    let taken: Grants = console.http.post("console/grants", &typed).await.expect("answered");
    assert!(
        taken.items[0].errors.is_empty(),
        "an administrator may override an exclusion: {:?}",
        taken.items[0].errors
    );

    // What somebody has is not reserved for others, and what is reserved is not reserved twice.
    let code = |refused: Result<u32, muster_noc::TableError>| refused.expect_err("refused").problem().code;
    assert_eq!(code(world.noc.reserve(site.id, reserve("SN9", "192.0.2.10", ""))), "held_by_another");
    assert_eq!(code(world.noc.reserve(site.id, reserve("SN9", "192.0.2.12", ""))), "reserved_already");
    assert_eq!(code(world.noc.reserve(site.id, reserve("SN9", "", "GATE"))), "reserved_already");
    assert_eq!(code(world.noc.reserve(site.id, reserve("SN2", "192.0.2.77", ""))), "reserved_already");
    assert_eq!(code(world.noc.reserve(site.id, reserve("SN9", "198.51.100.1", ""))), "invalid");
    assert_eq!(code(world.noc.reserve(SiteId(99), reserve("SN9", "192.0.2.50", ""))), "unknown_site");

    assert!(world.noc.give_up_reservation(site.id, number).expect("given up"));
    assert!(!world.noc.give_up_reservation(site.id, number).expect("looked for"));
    // What the plan holds for it stays its own; the next who asks gets what is free.
    let again = console.plan(site.id, &devices[2..3]).await;
    assert_ne!(again.rows[0].settings.as_ref().expect("planned").host_name, "gate", "no template makes this name");
}

#[tokio::test]
async fn a_reservation_that_somebody_else_came_to_hold_is_told_and_nobody_gets_it_twice() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..2);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    world.noc.reserve(site.id, reserve("SN1", "192.0.2.10", "")).expect("reserved");
    // As a database would be in which an older program, or a hand, put somebody there.
    let plan = console.plan(site.id, &devices[..1]).await;
    assert_eq!(plan.rows[0].settings.as_ref().expect("planned").address, "192.0.2.11");
    world.database().execute("UPDATE addresses SET address = ?1", [0xc000_020a_u32]).expect("moved");
    let row = console.plan(site.id, &devices[1..]).await.rows.remove(0);
    let problem = row.problem.expect("a problem");
    assert_eq!((problem.code.as_str(), row.settings), ("reserved_held", None), "{problem:?}");
}

#[tokio::test]
async fn a_preview_tells_what_everybody_would_get_and_holds_nothing() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.12");
    let devices = Device::several(0..4);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    console.configure(site.id, &devices[..2]).await;
    console.plan(site.id, &devices[2..3]).await;
    world.database().execute("UPDATE appliances SET site = ?1", [site.id.0]).expect("all at the site");
    let count = || {
        let count = |table: &str| -> u64 {
            world.database().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("counted")
        };
        (count("addresses"), count("host_names"), count("grants"), count("audit"))
    };
    let before = count();
    let path = format!("/v1/sites/{}/preview", site.id);
    let rows = async |body: Value, query: &str| {
        let page = root.post(&format!("{path}{query}"), body).await.good();
        let rows = page["items"].as_array().expect("rows").clone();
        let shown = rows.iter().map(|row| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&row["serial"]),
                text(&row["settings"]["address"]),
                row["changes"].clone(),
                text(&row["problem"]["code"]),
            )
        });
        (shown.collect::<Vec<_>>(), page["next"].as_str().map(str::to_owned))
    };
    let (now, _) = rows(json!({}), "").await;
    assert_eq!(now[0], ("SN0".into(), "192.0.2.10".into(), json!([]), String::new()));
    assert_eq!(now[1], ("SN1".into(), "192.0.2.11".into(), json!([]), String::new()));
    assert_eq!((now[2].1.as_str(), now[3].3.as_str()), ("192.0.2.12", "pool_exhausted"));
    let (changed, _) = rows(json!({}), "?changes=true").await;
    assert_eq!(changed.len(), 2, "{changed:?}");

    // With a policy that is thought of.
    let other = SiteSpec { pool: "192.0.2.50-192.0.2.99".into(), domain: "other.example".into(), ..spec() };
    let (thought, _) = rows(json!({ "policy": other }), "").await;
    assert_eq!(thought[0].1, "192.0.2.50");
    assert_eq!(thought[0].2, json!(["domain", "address"]));
    assert!(thought.iter().all(|row| row.3.is_empty()), "{thought:?}");
    let router = json!([{ "model": "Mail", "values": { "dns1": "" } }]);
    let (thought, next) = rows(json!({ "profiles": router }), "?limit=1").await;
    assert_eq!((thought[0].2.clone(), thought.len()), (json!(["dns1"]), 1));
    let (second, _) = rows(json!({ "profiles": router }), &format!("?limit=1&after={}", next.expect("more"))).await;
    assert_eq!(second[0].0, "SN1");
    let bad = root.post(&path, json!({ "policy": SiteSpec { pool: "x".into(), ..spec() } })).await;
    assert_eq!(bad.code(), "site_invalid");
    assert_eq!(count(), before, "nothing was kept");
}

#[tokio::test]
async fn sixteen_consoles_that_ask_for_five_hundred_each_get_nothing_twice_and_nothing_reserved_or_excluded() {
    let world = World::new().await;
    let spec = SiteSpec {
        pool: "10.0.0.10-10.0.39.250".into(),
        netmask: "/16".into(),
        gateway: "10.0.0.1".into(),
        dns1: String::new(),
        exclude: "10.0.1.0-10.0.2.255".into(),
        ..spec()
    };
    let site = world.noc.add_site(spec).expect("a site");
    for n in 0..50 {
        world.noc.reserve(site.id, reserve(&format!("X{n}"), &format!("10.0.3.{n}"), "")).expect("reserved");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16u32 {
        let devices = Device::several(n * 500..n * 500 + 500);
        world.import(&devices);
        let console = world.console(&[site.id]).await;
        tasks.spawn(async move {
            let plan = console.plan(site.id, &devices).await;
            plan.rows.into_iter().map(|row| row.settings.expect("settings")).collect::<Vec<_>>()
        });
    }
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    while let Some(settings) = tasks.join_next().await {
        for s in settings.expect("no panic") {
            let [_, _, third, last] = s.address.parse::<std::net::Ipv4Addr>().expect("an address").octets();
            assert!(!((1..=2).contains(&third) || third == 3 && last < 50), "{} is not for anybody here", s.address);
            assert!(addresses.insert(s.address.clone()), "{} was given twice", s.address);
            assert!(names.insert(s.host_name.clone()), "{} was given twice", s.host_name);
        }
    }
    assert_eq!((addresses.len(), names.len()), (8_000, 8_000));
}

#[tokio::test]
async fn reservations_come_and_go_as_csv_whole_or_not_at_all() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let path = format!("/v1/sites/{}/reservations", site.id);
    let csv = "serial,address,host_name,note\nA,192.0.2.20,a,=1+1\nB,192.0.2.21,b,\n";
    let import = async |csv: &str| root.post(&format!("{path}/import"), json!({ "csv": csv })).await;
    assert_eq!(import(csv).await.good(), json!({ "added": 2, "replaced": 0, "unchanged": 0 }));
    // Two may exchange what is theirs.
    let exchanged = "serial,address,host_name,note\nA,192.0.2.21,a,=1+1\nB,192.0.2.20,b,\n";
    assert_eq!(import(exchanged).await.good(), json!({ "added": 0, "replaced": 2, "unchanged": 0 }));
    assert_eq!(import(exchanged).await.good(), json!({ "added": 0, "replaced": 0, "unchanged": 2 }));
    let exported = root.get(&format!("{path}.csv")).await;
    assert_eq!(exported.header("content-type"), "text/csv");
    assert!(exported.text.contains("'=1+1") && !exported.text.contains(",=1+1"), "{}", exported.text);
    assert_eq!(import(&exported.text).await.good(), json!({ "added": 0, "replaced": 0, "unchanged": 2 }));

    let bad = [
        ("serial,address\nC,192.0.2.20\n", "Line 2: 192.0.2.20 is reserved already"),
        (
            "serial,address\nC,192.0.2.30\nC,192.0.2.31\n",
            "Line 3: the appliance with serial number C is on line 2 already",
        ),
        ("serial,address\nC,198.51.100.1\n", "Line 2: 198.51.100.1 cannot be an appliance's"),
        ("serial,colour\nC,red\n", "Line 1: `colour` is no column"),
        ("serial,address\nC,\n", "Line 2: nothing is reserved"),
    ];
    for (csv, wanted) in bad {
        let refused = import(csv).await;
        assert_eq!(refused.status.as_u16(), 422, "{csv}");
        assert!(refused.text.contains(wanted), "{wanted}: {}", refused.text);
        // For a form, each line by its number.
        let line = &refused.json()["lines"][0];
        let shown = format!("Line {}: {}", line["line"], line["message"].as_str().expect("a message"));
        assert!(shown.starts_with(wanted), "{wanted}: {shown}");
    }
    let listed = root.get(&path).await.good();
    assert_eq!(listed["items"].as_array().expect("rows").len(), 2, "nothing of what was refused is there");
    let made = root.post(&path, json!({ "mac": "02:00:00:00:00:09", "address": "192.0.2.44" })).await;
    let location = made.header("location").to_owned();
    assert_eq!(made.good()["reservation"]["address"], "192.0.2.44");
    let other = |address: &str| json!({ "mac": "02:00:00:00:00:09", "address": address, "host_name": "nine" });
    let changed = root.change("PUT", &location, &location, other("192.0.2.45")).await.good();
    assert_eq!(root.get(&location).await.good(), changed, "under the same number");
    assert_eq!(root.change("PUT", &location, &location, other("192.0.2.45")).await.good(), changed, "its own is free");
    assert_eq!(root.call("PUT", &location, Some(other("192.0.2.46")), &[]).await.code(), "if_match_missing");
    let late = root.call("PUT", &location, Some(other("192.0.2.46")), &[("if-match", "\"old\"")]).await;
    assert_eq!(late.code(), "changed_meanwhile");
    for (address, code) in [("192.0.2.20", "reserved_already"), ("198.51.100.1", "invalid")] {
        assert_eq!(root.change("PUT", &location, &location, other(address)).await.code(), code, "{address}");
    }
    assert_eq!(root.get(&location).await.good(), changed, "what is refused leaves what was there");
    assert_eq!(root.delete(&location).await.status.as_u16(), 204);
    assert_eq!(root.delete(&location).await.code(), "not_found");
    assert_eq!(root.get(&location).await.code(), "not_found");
    let seen = root.get("/v1/audit?action=reservation.&limit=1000").await.good();
    assert_eq!(seen["items"].as_array().expect("rows").len(), 2 + 4 + 2 + 2, "each has its record");
}

#[tokio::test]
async fn policies_are_changed_by_version_over_the_interface() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let above = "/v1/organisations/1/policy";
    let body =
        json!({ "values": { "beat_interval_s": 30 }, "profiles": [{ "model": " Mail ", "values": { "dns1": "" } }] });
    assert_eq!(root.call("PUT", above, Some(body.clone()), &[]).await.code(), "if_match_missing");
    let kept = root.change("PUT", above, above, body.clone()).await.good();
    assert_eq!(kept["profiles"][0]["model"], "Mail");
    let late = root.call("PUT", above, Some(body), &[("if-match", "\"old\"")]).await;
    assert_eq!(late.code(), "changed_meanwhile");
    let pool = json!({ "values": { "pool": "10.0.0.1-10.0.0.9" }, "profiles": [] });
    let refused = root.change("PUT", above, above, pool).await;
    assert!(refused.text.contains("a pool belongs to a site"), "{}", refused.text);

    let profiles = format!("/v1/sites/{}/profiles", site.id);
    let body = json!({ "profiles": [{ "model": "Mail", "values": { "pool": "192.0.2.60-192.0.2.69" } }] });
    root.change("PUT", &profiles, &profiles, body).await.good();
    let effective = root.get(&format!("/v1/sites/{}/effective", site.id)).await.good();
    let mail = &effective["policies"][1];
    assert_eq!((&mail["model"], &mail["values"]["pool"]["source"]), (&json!("mail"), &json!("site profile Mail")));
    // The pool of the model is where its appliances go.
    let devices = Device::several(0..1);
    world.import(&devices);
    let plan = world.console(&[site.id]).await.plan(site.id, &devices).await;
    assert_eq!(plan.rows[0].settings.as_ref().expect("planned").address, "192.0.2.60");
    let outside = json!({ "profiles": [{ "model": "Mail", "values": { "pool": "192.0.3.1-192.0.3.9" } }] });
    let refused = root.change("PUT", &profiles, &profiles, outside).await;
    assert!(refused.text.contains("profile Mail"), "{}", refused.text);
    let two = json!({ "profiles": [{ "model": "a", "values": {} }, { "model": "A", "values": {} }] });
    let refused = root.change("PUT", &profiles, &profiles, two).await;
    assert!(refused.text.contains("two profiles"), "{}", refused.text);
}

#[tokio::test]
async fn sites_come_and_go_as_csv_whole_or_not_at_all() {
    let world = World::new().await;
    let root = world.administrator().await;
    let organisation = organisation_of(&world);
    let said = OrganisationPolicy {
        values: PolicyValues { domain: Some("acme.example".into()), ..PolicyValues::default() },
        profiles: Vec::new(),
    };
    world.noc.set_organisation_policy(organisation, said).expect("kept");
    let import = async |csv: &str| root.post("/v1/sites/import", json!({ "organisation": 1, "csv": csv })).await;
    let csv = "name,pool,netmask,domain,inherit\r\nBern,192.0.2.10-192.0.2.99,/24,bern.example,\r\nThun,192.0.2.10,/24,,domain\r\n";
    assert_eq!(import(csv).await.good(), json!({ "added": 2, "changed": 0, "unchanged": 0 }));
    assert_eq!(import(csv).await.good(), json!({ "added": 0, "changed": 0, "unchanged": 2 }));
    let sites = world.noc.sites().expect("listed");
    let domains: Vec<_> = sites.iter().map(|site| (site.name.as_str(), site.domain.as_str())).collect();
    assert_eq!(domains, [("Bern", "bern.example"), ("Thun", "acme.example")]);
    let exported = root.get("/v1/sites.csv?organisation=1").await;
    assert_eq!(exported.header("content-type"), "text/csv");
    assert_eq!(import(&exported.text).await.good(), json!({ "added": 0, "changed": 0, "unchanged": 2 }));
    // What a table does not speak of stays as it is.
    let short = "name,gateway\nBern,192.0.2.1\n";
    assert_eq!(import(short).await.good(), json!({ "added": 0, "changed": 1, "unchanged": 0 }));
    let bern = world.noc.sites().expect("listed").remove(0);
    assert_eq!((bern.gateway.as_str(), bern.domain.as_str()), ("192.0.2.1", "bern.example"));
    let exported = root.get("/v1/sites.csv?organisation=1").await;
    let changed = exported.text.replace("bern.example", "be.example");
    assert_eq!(import(&changed).await.good(), json!({ "added": 0, "changed": 1, "unchanged": 1 }));

    let bad = [
        ("name,pool,netmask,domain\nBiel,192.0.2.1,/24,a.example\nChur,x,/24,a.example\n", "Line 3: `x` is not a pool"),
        ("name,pool,netmask\nBiel,192.0.2.1,/24\n", "Line 2:"),
        ("name,pool,netmask,domain\nBiel,192.0.2.1,/24,a.b\nBiel,192.0.2.1,/24,a.b\n", "Line 3: the site is on line 2"),
        ("name,pool,netmask,domain,confirm\nBiel,192.0.2.1,/24,a.example,perhaps\n", "Line 2: `confirm` is neither"),
    ];
    for (csv, wanted) in bad {
        let refused = import(csv).await;
        assert_eq!(refused.code(), "table_invalid", "{csv}");
        assert!(refused.text.contains(wanted), "{wanted}: {}", refused.text);
    }
    assert_eq!(world.noc.sites().expect("listed").len(), 2, "nothing of what was refused is there");
    assert_eq!(import(&format!("name\n{}", "x\n".repeat(10_001))).await.code(), "table_invalid");
    assert_eq!(import(&"x".repeat(300 << 10)).await.code(), "too_large");
}
