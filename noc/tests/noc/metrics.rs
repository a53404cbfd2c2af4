//! The figures for Prometheus, read as strictly as its text format is written down.

use crate::client::{Device, beat, code};
use crate::measuring::check;
use crate::served::{Served, free_port};
use muster_protocol::api::*;
use muster_protocol::id::Seq;
use std::collections::{BTreeMap, BTreeSet};

/// A page: kinds of families, and samples by name and labels.
#[derive(Debug, Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

impl Page {
    /// # Panics
    /// At anything that the format does not allow.
    fn parse(text: &str) -> Page {
        let mut page = Page::default();
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "one help each: {line}");
                family = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a kind");
                assert_eq!(name, family, "after its help");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "once: {line}");
            } else {
                let (name, labels, value) = sample(line);
                let kind = page.kinds.get(&family).map(String::as_str).expect("a family begins with its kind");
                let belongs = match (kind, name.strip_prefix(&family)) {
                    ("histogram", Some(end)) => ["_bucket", "_sum", "_count"].contains(&end),
                    (_, Some(end)) => end.is_empty(),
                    _ => false,
                };
                assert!(belongs, "{line} stands in {family}");
                assert!(kind != "counter" || name.ends_with("_total"), "{line}");
                assert!(value >= 0.0, "{line}");
                assert!(page.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        page.check_histograms();
        page
    }

    fn check_histograms(&self) {
        for family in self.kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut by_rest: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
            for ((name, labels), value) in &self.samples {
                if *name == format!("{family}_bucket") {
                    let mut rest = labels.clone();
                    let end = rest.remove("le").expect("a class");
                    let end = if end == "+Inf" { f64::INFINITY } else { end.parse().expect("a number") };
                    by_rest.entry(rest).or_default().push((end, *value));
                }
            }
            assert!(!by_rest.is_empty(), "{family}");
            for (rest, mut classes) in by_rest {
                classes.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(classes.windows(2).all(|two| two[0].1 <= two[1].1), "summed up: {classes:?}");
                let (end, all) = *classes.last().expect("some");
                assert!(end.is_infinite());
                assert_eq!(self.samples[&(format!("{family}_count"), rest.clone())], all);
                assert!(self.samples.contains_key(&(format!("{family}_sum"), rest)));
            }
        }
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: BTreeMap<_, _> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.samples
            .get(&(name.to_owned(), labels.clone()))
            .copied()
            .unwrap_or_else(|| panic!("{name} {labels:?}: {self:?}"))
    }
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let is_name = |text: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !text.is_empty() && text.chars().all(good) && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let (before, value) = line.rsplit_once(' ').expect("a value");
    let value: f64 = value.parse().expect("a number");
    let (name, labels) = match before.split_once('{') {
        None => (before, BTreeMap::new()),
        Some((name, labels)) => {
            let mut rest = labels.strip_suffix('}').expect("closed");
            let mut found = BTreeMap::new();
            while !rest.is_empty() {
                let (label, after) = rest.split_once("=\"").expect("a label");
                let end = after.find('"').expect("an end: nothing in our values is escaped");
                assert!(is_name(label) && !after[..end].contains('\\'), "{line}");
                assert!(found.insert(label.to_owned(), after[..end].to_owned()).is_none(), "{line}");
                rest = &after[end + 1..];
                rest = rest.strip_prefix(',').unwrap_or_else(|| {
                    assert!(rest.is_empty(), "{line}");
                    rest
                });
            }
            (name, found)
        }
    };
    assert!(is_name(name), "{line}");
    (name.to_owned(), labels, value)
}

async fn scrape(port: u16) -> (String, Page) {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.expect("text");
    check(&text);
    let page = Page::parse(&text);
    (text, page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted_and_nobody_is_named() {
    let mut noc = Served::stopped();
    let (site, devices) = (noc.site(), Device::several(0..3));
    noc.import(&devices);
    let port = free_port();
    noc.environment.push(("MUSTER_NOC_METRICS", format!("127.0.0.1:{port}")));
    noc.serve(&[]);
    let (console, anybody) = (noc.console(site).await, noc.anybody(site).await);
    let seqs = console.configure(site, &devices[..2]).await;
    let http = devices[0].enrol(&anybody, seqs[0]).await;
    for counter in 1..=3 {
        http.post::<BeatAnswer>("appliances/beats", &beat(1, counter, seqs[0])).await.expect("taken");
    }
    let mut unreasonable = beat(1, 4, seqs[0]);
    unreasonable.seq = Seq(u64::MAX);
    assert_eq!(code(http.post::<BeatAnswer>("appliances/beats", &unreasonable).await), "malformed");
    noc.good(&["queue", "refresh", "--console", "1"]);
    let halted =
        "INSERT INTO component_rollouts (organisation, name, model, version, waves, former, layers, state, is_in_force,
        started, started_by) VALUES (1, 'INVENTED', '', '1', '{}', 'null', '[]', 'halted', 1, 1, '')";
    let db = rusqlite::Connection::open(noc.dir().join("noc.sqlite")).expect("opens");
    db.execute(halted, []).expect("written");
    let odd = ["no-such-route", "appliances/ABCD-EFGH", "../../etc/passwd", "sites/1234567"];
    for path in odd {
        let _ = anybody.client.get(anybody.url(path)).send().await.expect("answered");
        let method = "INVENTED".parse().expect("a method");
        let _ = anybody.client.request(method, anybody.url(path)).send().await.expect("answered");
    }

    let (text, page) = scrape(port).await;
    let beats = ("route", "/v1/appliances/beats");
    let requests = "muster_noc_requests_total";
    assert_eq!(page.value(requests, &[beats, ("method", "POST"), ("status", "200")]), 3.0);
    assert_eq!(page.value(requests, &[beats, ("method", "POST"), ("status", "400")]), 1.0);
    assert_eq!(page.value(requests, &[("route", "none"), ("method", "other"), ("status", "404")]), 2.0);
    assert_eq!(page.value("muster_noc_request_seconds_count", &[beats]), 4.0);
    assert_eq!(page.value("muster_noc_beats_total", &[("outcome", "accepted")]), 3.0);
    assert_eq!(page.value("muster_noc_beats_total", &[("outcome", "refused")]), 1.0);
    assert_eq!(page.value("muster_noc_appliances", &[("health", "well")]), 1.0);
    assert_eq!(page.value("muster_noc_appliances", &[("health", "never_reported")]), 1.0);
    assert_eq!(page.value("muster_noc_appliances", &[("health", "not_expected")]), 1.0);
    assert_eq!(page.value("muster_noc_appliances_set_up", &[("provisioning", "configured")]), 2.0);
    assert_eq!(page.value("muster_noc_consoles", &[]), 1.0);
    assert_eq!(page.value("muster_noc_queue_waiting", &[]), 1.0);
    assert_eq!(page.value("muster_noc_writes_waiting", &[]), 0.0);
    assert!(page.value("muster_noc_database_bytes", &[("file", "database")]) > 4096.0);
    assert_eq!(page.value("muster_noc_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert!(page.value("muster_noc_start_time_seconds", &[]) > 1.7e9);
    assert_eq!(page.kinds["muster_noc_alerts_open"], "gauge");
    assert_eq!(page.value("muster_noc_component_rollouts", &[("state", "halted")]), 1.0);
    let uid = devices[0].uid.to_string();
    for private in [uid.as_str(), "Bern", "desk", "127.0.0.1", "SN0", "1234567", "passwd", "INVENTED"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
    // Labels are of a fixed set, whoever asks for whatever.
    let (_, again) = scrape(port).await;
    assert_eq!(again.samples.len(), page.samples.len());
    let backup = "muster_noc_last_backup_time_seconds";
    assert!(!again.kinds.contains_key(backup), "there is none: `absent()` finds that");
    noc.good(&["backup", &noc.path("backup")]);
    assert!(scrape(port).await.1.value(backup, &[]) > 1.7e9);
    assert_eq!(reqwest::get(format!("http://127.0.0.1:{port}/")).await.expect("an answer").status(), 404);
    let here = reqwest::get(format!("http://127.0.0.1:{port}/v1/ca")).await.expect("an answer");
    assert_eq!(here.status(), 404, "nothing else is served without TLS");
    let there = anybody.client.get(anybody.url("").replace("/v1/", "/metrics")).send().await.expect("answered");
    assert_eq!(there.status(), 404, "and no figures to others");
    assert!(noc.terminate());
}

#[tokio::test]
async fn figures_are_off_unless_asked_for_and_a_port_in_use_is_named() {
    let mut noc = Served::stopped();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("bound").to_string();
    noc.environment.push(("MUSTER_NOC_METRICS", at.clone()));
    let error = noc.bad(&["serve"]);
    assert!(error.contains("[cannot_listen]") && error.contains(&at), "{error}");
    drop(taken);
    noc.environment.clear();
    noc.serve(&[]);
    assert!(std::net::TcpStream::connect(&at).is_err());
    // Whoever connects and says nothing does not keep it from ending.
    noc.terminate();
    noc.environment.push(("MUSTER_NOC_METRICS", at.clone()));
    noc.serve(&[]);
    let mut silent = std::net::TcpStream::connect(&at).expect("connects");
    std::io::Write::write_all(&mut silent, b"GET /metr").expect("sent");
    assert!(noc.terminate());
}
