//! The main job on real Linux hosts: network namespaces, real programs, real TLS through a router.

use serde_json::Value;
use std::time::Duration;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const SITE: &[&str] = &[
    "--pool",
    "10.20.0.100-10.20.0.120",
    "--gateway",
    "10.20.0.1",
    "--dns1",
    "10.20.0.1",
    "--dns2",
    "10.99.0.2",
    "--host-name",
    "lab-{n:02}",
    "--beat-interval",
    "5",
    "--confirm",
    "first-beat",
    "--window",
    "30",
];

fn six_appliances(lab: &mut Lab) -> String {
    let nothing = Before { address: None, rp_filter: 0 };
    let hosts = [
        nothing,
        nothing,
        Before { address: Some("192.168.77.5/24"), ..nothing },
        Before { rp_filter: 1, ..nothing },
        Before { address: Some("10.20.0.77/24"), ..nothing },
        Before { address: Some("10.20.0.77/24"), ..nothing },
    ];
    let mut manifest = String::new();
    for before in hosts {
        let number = lab.add_appliance(before);
        let lines = lab.label(number);
        let (header, line) = lines.trim().split_once('\n').expect("a header and a line");
        if manifest.is_empty() {
            manifest = format!("{header}\n");
        }
        manifest = format!("{manifest}{line}\n");
    }
    manifest
}

fn rows(status: &Value) -> &Vec<Value> {
    status["appliances"].as_array().expect("appliances")
}

fn row<'a>(status: &'a Value, uid: &str) -> &'a Value {
    rows(status).iter().find(|row| row["uid"] == uid).unwrap_or_else(|| panic!("no {uid} in {status}"))
}

fn all_have_health(lab: &Lab, health: &str) -> Result<Value, String> {
    let status = lab.muster(&["status"]);
    let good = rows(&status).len() == 6 && rows(&status).iter().all(|row| row["health"] == health);
    if good { Ok(status) } else { Err(status.to_string()) }
}

#[test]
fn six_appliances_are_configured_beat_and_are_missed() {
    let mut lab = Lab::new("l");
    let manifest = six_appliances(&mut lab);
    lab.start_noc(SITE, &manifest);
    for number in 1..=6 {
        lab.start_agent(number);
    }

    // All six answer, also those without an address, behind rp_filter, or with each other's address.
    let found = until("six answers", Duration::from_secs(20), || {
        let found = lab.muster(&["discover"]);
        if rows(&found).len() == 6 { Ok(found) } else { Err(found.to_string()) }
    });
    assert!(rows(&found).iter().all(|row| row["state"] == "unconfigured"), "{found}");
    assert!(
        rows(&found).iter().all(|row| row["settings"]["address"] == ""),
        "told more than MAC and identity: {found}"
    );

    let job = lab.muster(&["configure", "--all-unconfigured"]);
    let items = job["items"].as_array().expect("items");
    assert!(items.len() == 6 && items.iter().all(|item| item["step"] == "configured"), "{job}\n{}", lab.logs());

    // From outside: kernel and files of every host.
    let mut addresses = std::collections::BTreeSet::new();
    for number in 1..=6 {
        let appliance = &lab.appliances[number - 1];
        let item = items.iter().find(|item| item["uid"] == appliance.uid.as_str()).expect("an item each");
        let address = item["settings"]["address"].as_str().expect("an address");
        addresses.insert(address.to_owned());
        let kernel = lab.ip(&appliance.host, "-4 -o addr show dev eth0 scope global");
        assert!(kernel.contains(&format!("inet {address}/24 ")), "{kernel}");
        assert_eq!(kernel.lines().count(), 1, "former addresses are gone: {kernel}");
        let route = lab.ip(&appliance.host, "-4 route show default");
        assert!(route.starts_with("default via 10.20.0.1 dev eth0"), "{route}");
        let name = item["settings"]["host_name"].as_str().expect("a host name");
        assert_eq!(lab.host_name(number), name);
        let file = |path: &str| std::fs::read_to_string(appliance.root.join(path)).unwrap_or_default();
        assert_eq!(file("etc/hostname").trim(), name);
        let resolver = file("etc/resolv.conf");
        assert!(resolver.contains("nameserver 10.20.0.1") && resolver.contains("nameserver 10.99.0.2"), "{resolver}");
        assert!(resolver.contains("search lab.example.net"), "{resolver}");
        let networkd = std::fs::read_dir(appliance.root.join("etc/systemd/network")).expect("folder");
        let lasting: String = networkd.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok()).collect();
        assert!(lasting.contains(&format!("Address={address}/24")), "lasting settings: {lasting}");
        assert!(lasting.contains("Gateway=10.20.0.1"), "lasting settings: {lasting}");
    }
    assert_eq!(addresses.len(), 6, "no address twice");

    // All beat over TLS, through the router.
    until("six well appliances", Duration::from_secs(60), || all_have_health(&lab, "well"));

    // Settings are told to our console in a signed ping, and to nobody else.
    let again = lab.muster(&["discover"]);
    assert!(rows(&again).iter().all(|row| row["settings"]["address"] != "" && row["state"] == "configured"), "{again}");

    // One whose gateway is wrong rolls back and is reported FAILED, unharmed.
    let victim = lab.appliances[1].uid.clone();
    let before = row(&again, &victim)["settings"].clone();
    let plan = lab.folder().join("plan.csv");
    let text = |column: &str| before[column].as_str().unwrap_or_default().to_owned();
    let columns = ["host_name", "domain", "address", "netmask", "gateway", "dns1", "dns2"];
    let cells: Vec<String> =
        columns.iter().map(|c| if *c == "gateway" { "10.20.0.250".to_owned() } else { text(c) }).collect();
    std::fs::write(&plan, format!("uid,{}\n{victim},{}\n", columns.join(","), cells.join(","))).expect("plan");
    let path = plan.to_str().expect("UTF-8 path").to_owned();
    let output = system_tests::process::output(&mut lab.muster_command(&["configure", "--plan", &path]));
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let job: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let item = &job["items"][0];
    assert_eq!((&item["step"], &item["problem"]["code"]), (&"failed".into(), &"no_beat".into()), "{job}");
    let route = lab.ip("a2", "-4 route show default");
    assert!(route.starts_with("default via 10.20.0.1 dev eth0"), "what it had: {route}");
    let kernel = lab.ip("a2", "-4 -o addr show dev eth0 scope global");
    assert!(kernel.contains(&text("address")), "what it had: {kernel}");
    until("it beats as before", Duration::from_secs(60), || all_have_health(&lab, "well"));

    // One is cut off: the alert comes, and goes when it is back.
    let quiet = lab.appliances[0].uid.clone();
    lab.ip("bridge", "link set p-a1 down");
    let open_alert = |lab: &Lab| {
        let alerts = lab.muster(&["alerts"]);
        let open = alerts.as_array().into_iter().flatten().find(|a| a["closed"].is_null()).cloned();
        (open, alerts)
    };
    let alert = until("the alert", Duration::from_secs(90), || {
        let (open, alerts) = open_alert(&lab);
        open.ok_or_else(|| alerts.to_string())
    });
    assert_eq!(alert["kind"], "silent");
    assert_eq!(alert["appliances"][0]["uid"], quiet.as_str());
    lab.ip("bridge", "link set p-a1 up");
    until("the alert to close", Duration::from_secs(90), || {
        let (open, _) = open_alert(&lab);
        open.map_or(Ok(()), |open| Err(open.to_string()))
    });
}
