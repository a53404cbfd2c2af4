//! Texts that would be commands: to a terminal, a spreadsheet, a browser, a log or a database.

use crate::client::{NewConsole, beat, code};
use crate::world::{Beating, Fleet, Muster, Noc};
use muster_protocol::api::*;
use muster_protocol::text::misleads;
use serde_json::{Value, json};
use std::process::Output;
use system_tests::process::output;

/// What a text may hold that a person shall never meet: as a name, and with what it would do.
const MISLEADING: [&str; 12] = [
    "a\u{1b}[2J",
    "a\u{1b}]0;title\u{7}",
    "a\u{9b}31m",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\u{0}b",
    "a\u{8}\u{7f}",
    "gnp\u{202e}exe",
    "a\u{2066}b\u{2069}",
    "a\u{2028}b",
    "a\u{200b}\u{feff}b",
];

/// What is a text like any other, although a spreadsheet, a browser or a database would do something with it.
const ACTIVE: [&str; 12] = [
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "=HYPERLINK(\"http://x.example\",\"x\")",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "'); DROP TABLE appliances; --",
    "\" OR 1=1 --",
    "x;=1+1",
    "%n%s{{7*7}}${7*7}",
    "Zürich 神戸 مشهد",
];

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Nothing but line ends may be in what a terminal gets.
fn assert_harmless(text: &str) {
    let found = text.chars().find(|c| misleads(*c) && *c != '\n');
    assert!(found.is_none(), "{found:?} reaches a terminal: {text:?}");
}

fn manifest(fleet: &Fleet, text: impl Fn(usize) -> (String, String)) -> String {
    let quoted = |text: String| format!("\"{}\"", text.replace('"', "\"\""));
    let mut lines = fleet.manifest.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let mut made = header.join(",");
    for (n, line) in lines.enumerate() {
        let (serial, model) = text(n);
        let cells = header.iter().zip(line.split(',')).map(|(name, cell)| match *name {
            "serial" => quoted(serial.clone()),
            "model" => quoted(model.clone()),
            _ => cell.to_owned(),
        });
        made += &format!("\n{}", cells.collect::<Vec<_>>().join(","));
    }
    made + "\n"
}

#[tokio::test]
async fn what_would_mislead_a_reader_is_refused_wherever_a_name_is_given() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let http = noc.anybody(site).await;
    let fleet = Fleet::start(&["--count", "1"]);
    let token = noc.token(site, "1h");
    let request = NewConsole::new();
    let file = noc.folder.path().join("hostile.csv");
    for text in MISLEADING {
        for (serial, model) in [(text, "M"), ("S", text)] {
            std::fs::write(&file, manifest(&fleet, |_| (serial.to_owned(), model.to_owned()))).expect("written");
            let refused = output(&mut noc.command(&["inventory", "import", file.to_str().expect("UTF-8")]));
            assert!(
                !refused.status.success() && shown(&refused).contains("[bad_text]"),
                "{text:?}: {}",
                shown(&refused)
            );
            assert_harmless(&shown(&refused));
        }
        if !text.contains('\0') {
            let words = ["site", "add", "--name", text, "--pool", "10.9.0.1-10.9.0.9", "--netmask", "/24"];
            assert_harmless(&noc.refused(&[&words[..], &["--domain", "example.net"]].concat()));
            assert_harmless(&noc.refused(&["console", "invite", "--site", text]));
        }
        let named = EnrolConsole { name: text.to_owned(), ..request.body(&token) };
        assert_eq!(code(http.post::<ConsoleEnrolled>("consoles/enrol", &named).await), "bad_name", "{text:?}");
    }
    assert_eq!(noc.run(&["inventory", "list", "--json"]), "[]\n");
    noc.import(&manifest(&fleet, |_| ("Zürich 神戸 می\u{200c}خواهم".to_owned(), "M".to_owned())));
    let named = EnrolConsole { name: "Zürich 神戸".to_owned(), ..request.body(&token) };
    http.post::<ConsoleEnrolled>("consoles/enrol", &named).await.expect("writing is not refused");
}

#[test]
fn formulas_and_markup_stay_text_in_tables_and_csv_and_come_back_as_they_were() {
    let noc = Noc::start();
    let site = noc.site("=cmd|' /C calc'!A0 <b>Bern</b>");
    let fleet = Fleet::start(&["--count", &ACTIVE.len().to_string()]);
    noc.import(&manifest(&fleet, |n| (format!("{}{n}", ACTIVE[n]), ACTIVE[n].to_owned())));
    let known: Vec<ApplianceRecord> =
        serde_json::from_str(&noc.run(&["inventory", "list", "--json"])).expect("the inventory");
    for (n, text) in ACTIVE.iter().enumerate() {
        assert_eq!((known[n].model.as_str(), known[n].serial.as_str()), (*text, format!("{text}{n}").as_str()));
    }
    assert_harmless(&noc.run(&["inventory", "list"]));
    assert_harmless(&noc.run(&["site", "list"]));

    let muster = Muster::new(Some(fleet.port));
    muster.join(&noc.invite(site, "1h"));
    let file = muster.folder.path().join("plan.csv");
    let file = file.to_str().expect("UTF-8");
    let planned = muster.output(&["plan", "--out", file]);
    assert!(planned.status.success(), "{}", shown(&planned));
    assert_harmless(&shown(&planned));
    let csv = std::fs::read_to_string(file).expect("written");
    assert_no_formula(&csv);
    assert!(csv.contains("'=1+1") && csv.contains("x;'=1+1"), "{csv}");
    assert!(csv.contains("<img src=x onerror=alert(1)>"), "markup is a text: {csv}");

    let job = muster.json(&["configure", "--plan", file]);
    let items = job["items"].as_array().expect("items");
    assert!(items.len() == ACTIVE.len() && items.iter().all(|item| item["step"] == "configured"), "{job}");
    for item in items {
        let name = item["settings"]["host_name"].as_str().expect("a name");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "a host name made of a model: {name}");
    }
    assert_no_formula(&String::from_utf8_lossy(&muster.output(&["job", "show", "1", "--csv"]).stdout));
    for words in [&["status"][..], &["job", "show", "1"], &["discover"], &["alerts"]] {
        let output = muster.output(words);
        assert!(output.status.success(), "{words:?}: {}", shown(&output));
        assert_harmless(&shown(&output));
    }
    let status = muster.json(&["status"]);
    let models: Vec<&str> =
        status["appliances"].as_array().expect("rows").iter().filter_map(|row| row["model"].as_str()).collect();
    for text in ACTIVE {
        assert!(models.contains(&text), "{text} is in {models:?}");
    }
}

/// No cell begins a formula, whether the file is read with commas or with semicolons.
fn assert_no_formula(csv: &str) {
    let mut cells = 0;
    for cell in csv.split([',', ';', '\n', '\t']) {
        let cell = cell.trim_start_matches(['"', ' ']);
        cells += 1;
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell:?} is a formula in {csv}");
    }
    assert!(cells > 20, "there are cells: {csv}");
}

#[test]
fn a_plan_with_hostile_cells_is_refused_cell_by_cell_and_changes_nothing() {
    let texts: Vec<&str> = MISLEADING.into_iter().chain(ACTIVE).collect();
    let noc = Noc::start();
    let site = noc.site("Bern");
    let fleet = Fleet::start(&["--count", &texts.len().to_string()]);
    noc.import(&fleet.manifest);
    let muster = Muster::new(Some(fleet.port));
    muster.join(&noc.invite(site, "1h"));
    let file = muster.folder.path().join("plan.csv");
    let file = file.to_str().expect("UTF-8");
    assert!(muster.output(&["plan", "--out", file]).status.success());
    let good = std::fs::read_to_string(file).expect("written");
    let uids: Vec<&str> = good.lines().skip(1).map(|row| row.split(',').next().expect("a UID")).collect();
    assert_eq!(uids.len(), texts.len());
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let refused = |rows: &str| {
        let csv = format!("uid,host_name,domain,address,netmask,gateway,dns1,dns2\n{rows}");
        std::fs::write(file, csv).expect("written");
        let refused = muster.output(&["configure", "--plan", file]);
        assert!(!refused.status.success(), "{rows:?} is no plan");
        assert_harmless(&shown(&refused));
        shown(&refused)
    };
    for column in ["host_name", "domain", "address"] {
        let rows = uids.iter().zip(&texts).enumerate().map(|(n, (uid, text))| {
            let cell = |name: &str, good: String| if name == column { quoted(text) } else { good };
            let (name, domain) = (cell("host_name", format!("mail-{n}")), cell("domain", "example.net".into()));
            let address = cell("address", format!("10.20.0.{}", 10 + n));
            format!("{uid},{name},{domain},{address},255.255.0.0,10.20.0.1,,\n")
        });
        let said = refused(&rows.collect::<String>());
        for (uid, text) in uids.iter().zip(&texts) {
            assert!(said.contains(&format!("{uid} {column}: ")), "{text:?} as {column} is named at its cell: {said}");
        }
    }
    for text in &texts {
        refused(&format!("{},mail-1,example.net,10.20.0.10,255.255.0.0,10.20.0.1,,\n", quoted(text)));
    }
    assert_eq!(muster.json(&["job", "list"]), json!([]), "no job was begun");
    std::fs::write(file, &good).expect("written");
    let job = muster.json(&["configure", "--plan", file]);
    assert!(job["items"].as_array().expect("items").iter().all(|item| item["step"] == "configured"), "{job}");
}

#[tokio::test]
async fn sql_in_any_text_is_only_a_text() {
    let world = Beating::start(1).await;
    let injections = [
        "'; DROP TABLE appliances; --",
        "1 OR 1=1",
        "\" OR \"\"=\"",
        "1); DELETE FROM beats; --",
        "%' UNION SELECT * FROM invites --",
    ];
    let console = &world.console.http;
    for text in injections {
        world.noc.site(text);
        let sites: Vec<Site> = serde_json::from_str(&world.noc.run(&["site", "list", "--json"])).expect("sites");
        assert_eq!(sites.iter().filter(|site| site.name == text).count(), 1, "kept as it is");
        assert!(world.noc.run(&["console", "invite", "--site", text]).starts_with("muster-invite:"));
        world.noc.refused(&["inventory", "release", text]);
        world.noc.refused(&["console", "revoke", text]);
        world.noc.refused(&["site", "add", "--name", "x", "--pool", text, "--netmask", text, "--domain", text]);

        let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        for path in [
            format!("console/appliances/{escaped}/beats"),
            format!("console/appliances/{}/beats?since={escaped}", world.devices[0].uid),
            format!("console/changes?after={escaped}"),
            format!("console/alerts?open={escaped}"),
        ] {
            assert_eq!(code(console.get::<Value>(&path).await), "malformed", "{path}");
        }
        let mut settings =
            world.console.plan(world.site, &world.devices).await.rows[0].settings.clone().expect("planned");
        settings.host_name = text.to_owned();
        let items = vec![GrantItem { uid: world.devices[0].uid, settings, refusal: None }];
        let request = GrantRequest { site: world.site, items };
        let grants: Grants = console.post("console/grants", &request).await.expect("answered");
        assert!(grants.items[0].grant.is_none() && grants.items[0].errors[0].code == "bad_host_name");
        let reason = text.to_owned();
        let items = vec![ResultItem { uid: world.devices[0].uid, seq: world.seqs[0], configured: true, reason }];
        console.post_nothing("console/results", &ResultReport { items }).await.expect("taken");
        let token = NewConsole::new().body(text);
        assert_eq!(code(world.anybody.post::<ConsoleEnrolled>("consoles/enrol", &token).await), "invite_unknown");
        let mut named = beat(1, 100, world.seqs[0]);
        named.boot = muster_protocol::id::BootId(*b"'; DROP TABLE b;");
        named.values.agent = text.to_owned();
        named.values.counters.insert(text.to_owned(), 1.0);
        let _: BeatAnswer = world.appliances[0].post("appliances/beats", &named).await.expect("taken");
        assert_eq!(world.console.appliance(world.devices[0].uid).await.beat.expect("a beat").agent, injections[0]);
    }
    let history: Vec<BeatRecord> =
        console.get(&format!("console/appliances/{}/beats", world.devices[0].uid)).await.expect("still there");
    assert_eq!(history.len(), 2);
}

#[tokio::test]
async fn the_log_has_one_line_an_event_and_nothing_raw() {
    let world = Beating::start(1).await;
    let client = &world.anybody.client;
    for text in MISLEADING {
        let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        for path in
            [escaped.clone(), format!("console/changes?after={escaped}"), format!("console/appliances/{escaped}/beats")]
        {
            let answer = world
                .console
                .http
                .client
                .get(world.console.http.url(&path))
                .header("user-agent", "\u{1b}[2J".escape_debug().to_string())
                .send()
                .await;
            assert!(answer.expect("answered").status().is_client_error(), "{path}");
        }
        let named = EnrolConsole { name: text.to_owned(), ..NewConsole::new().body(text) };
        assert_eq!(code(world.anybody.post::<ConsoleEnrolled>("consoles/enrol", &named).await), "bad_name");
        let unknown = NewConsole::new().body(text);
        assert_eq!(code(world.anybody.post::<ConsoleEnrolled>("consoles/enrol", &unknown).await), "invite_unknown");
        let mut named = beat(1, 9, world.seqs[0]);
        named.values.agent = text.to_owned();
        assert_eq!(code(world.appliances[0].post::<BeatAnswer>("appliances/beats", &named).await), "malformed");
        let reason = text.to_owned();
        let items = vec![ResultItem {
            uid: world.devices[0].uid,
            seq: muster_protocol::id::Seq(77),
            configured: false,
            reason,
        }];
        world.console.http.post_nothing("console/results", &ResultReport { items }).await.expect("taken");
        let body = format!("{{\"{text}\": \"{text}\"");
        let answer = client.post(world.anybody.url("consoles/enrol")).body(body).send().await.expect("answered");
        assert_eq!(answer.status(), 400);
    }
    let log = world.noc.log();
    let events = log.lines().filter(|line| !line.starts_with("Serving ")).count();
    assert!(events > MISLEADING.len(), "these events are logged: {log}");
    assert_harmless(&log);
    for line in log.lines().filter(|line| !line.starts_with("Serving ")) {
        let time = line.split(' ').next().unwrap_or_default();
        assert!(
            time.ends_with('Z') && time.contains('T') && time.starts_with("20"),
            "no event begins like this: {line:?}"
        );
    }
}
