//! IPv6 beside IPv4 on real Linux hosts: allocated by the NOC, checked in the plan, applied by the agent, missed when it is gone.

use serde_json::Value;
use std::time::Duration;
use system_tests::lab::{Before, Lab};
use system_tests::process::{output, succeed};
use system_tests::wait::until;

const SITE: &[&str] = &[
    "--pool",
    "10.20.0.100-10.20.0.120",
    "--gateway",
    "10.20.0.1",
    "--dns1",
    "10.20.0.1",
    "--dns2",
    "2001:db8:20::53",
    "--pool6",
    "2001:db8:20::/64",
    "--gateway6",
    "2001:db8:20::1",
    "--host-name",
    "lab-{n:02}",
    "--beat-interval",
    "5",
    "--confirm",
    "first-beat",
    "--window",
    "30",
];

/// From outside: whoever refuses a connection is there.
const REACHES: &str = "
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 5)
except ConnectionRefusedError:
    sys.exit(0)
sys.exit(1)";

fn noc(lab: &Lab, words: &[&str]) -> Value {
    let mut command = lab.at("noc", "muster-noc");
    command.arg("appliance").args(words).args(["--json", "--dir"]).arg(lab.folder().join("noc"));
    serde_json::from_str(&succeed(&mut command)).expect("JSON")
}

/// A plan of these rows: UID, and what is other than before.
fn plan(lab: &Lab, rows: &[(&Value, &[(&str, &str)])]) -> String {
    let columns = ["host_name", "domain", "address", "netmask", "gateway", "dns1", "dns2", "address6", "gateway6"];
    let mut lines = vec![format!("uid,{}", columns.join(","))];
    for (item, changes) in rows {
        let cell = |column: &&str| {
            let change = changes.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
            change.or(item["settings"][column].as_str()).unwrap_or_default().to_owned()
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        lines.push(format!("{},{}", item["uid"].as_str().expect("a UID"), cells.join(",")));
    }
    let path = lab.folder().join("plan.csv");
    std::fs::write(&path, lines.join("\n")).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

fn addresses(lab: &Lab, host: &str) -> String {
    lab.ip(host, "-6 -o addr show dev eth0 scope global -tentative")
}

fn has(lab: &Lab, host: &str, address: &str) -> Result<(), String> {
    let (addresses, routes) = (addresses(lab, host), lab.ip(host, "-6 route show default"));
    let is_so = addresses.contains(&format!(" {address} ")) && routes.contains("via 2001:db8:20::1 dev eth0");
    if is_so { Ok(()) } else { Err(format!("{addresses}{routes}")) }
}

#[test]
fn two_appliances_get_ipv6_beside_ipv4_keep_it_and_lose_it() {
    let mut lab = Lab::new("6");
    lab.ip("router", "-6 addr add 2001:db8:20::1/64 dev eth0 nodad");
    let mut manifest = String::new();
    for _ in 0..2 {
        let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
        // The lab's hosts ask nobody whether an address is free; these do.
        let host = lab.appliances[number - 1].host.clone();
        succeed(lab.netns(&host).args(["sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1"]));
        let lines = lab.label(number);
        let (header, line) = lines.trim().split_once('\n').expect("a header and a line");
        if manifest.is_empty() {
            manifest = format!("{header}\n");
        }
        manifest += &format!("{line}\n");
    }
    lab.start_noc(SITE, &manifest);
    lab.start_agent(1);
    lab.start_agent(2);

    let job = lab.muster(&["configure", "--all-unconfigured"]);
    let items = job["items"].as_array().expect("items").clone();
    assert!(items.len() == 2 && items.iter().all(|item| item["step"] == "configured"), "{job}\n{}", lab.logs());
    let host_of = |lab: &Lab, item: &Value| {
        let found = lab.appliances.iter().find(|appliance| item["uid"] == appliance.uid.as_str());
        found.expect("an appliance").host.clone()
    };
    let mut given = Vec::new();
    for item in &items {
        let (host, address) =
            (host_of(&lab, item), item["settings"]["address6"].as_str().expect("an address").to_owned());
        has(&lab, &host, &address).expect("in force");
        let appliance = lab.appliances.iter().find(|appliance| appliance.host == host).expect("it");
        let file = |path: &str| std::fs::read_to_string(appliance.root.join(path)).unwrap_or_default();
        let lasting = file("etc/systemd/network/10-muster-eth0.network");
        assert!(
            lasting.contains(&format!("Address={address}\n")) && lasting.contains("Gateway=2001:db8:20::1"),
            "{lasting}"
        );
        assert!(file("etc/resolv.conf").contains("nameserver 2001:db8:20::53"));
        let bare = address.split('/').next().expect("an address");
        succeed(lab.netns("router").args(["python3", "-c", REACHES, bare]));
        given.push(address);
    }
    given.sort();
    assert_eq!(given, ["2001:db8:20::2/64", "2001:db8:20::3/64"], "not the gateway's, and none twice");

    // Our console hears of it in a signed ping; what is wrong with IPv6 in a plan is named at its cell.
    let found = lab.muster(&["discover"]);
    for item in &items {
        let row = found["appliances"].as_array().expect("rows").iter().find(|row| row["uid"] == item["uid"]);
        assert_eq!(row.expect("a row")["settings"], item["settings"]);
    }
    for (changes, code) in [
        (&[("address6", given[0].as_str())], "duplicate_address"),
        (&[("gateway6", "2001:db8:21::1")], "gateway_outside_network"),
        (&[("address6", "2001:db8:20::1/64")], "gateway_is_self"),
    ] {
        let (one, other) = (&items[0], &items[1]);
        let other_changes = if code == "duplicate_address" { &changes[..] } else { &[] };
        let path = plan(&lab, &[(one, &changes[..]), (other, other_changes)]);
        let refused = output(&mut lab.muster_command(&["configure", "--plan", &path]));
        let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
        assert!(!refused.status.success() && said.contains(code), "{code}: {said}");
    }

    // An address that another host has is refused by the kernel's detection, and everything stays as it was.
    lab.ip("console", "-6 addr add 2001:db8:20::99/64 dev eth0 nodad");
    let (item, host) = (&items[0], host_of(&lab, &items[0]));
    let before = addresses(&lab, &host);
    let path = plan(&lab, &[(item, &[("address6", "2001:db8:20::99/64")])]);
    let failed = output(&mut lab.muster_command(&["configure", "--plan", &path]));
    let job: Value = serde_json::from_slice(&failed.stdout).expect("JSON");
    assert_eq!(job["items"][0]["problem"]["code"], "address_taken", "{job}\n{}", lab.logs());
    assert_eq!(addresses(&lab, &host), before);

    // Taken off by hand, or lost with the cable: it comes back by itself.
    let address = item["settings"]["address6"].as_str().expect("an address");
    lab.ip(&host, &format!("-6 addr del {address} dev eth0"));
    until("the address to come back", Duration::from_secs(60), || has(&lab, &host, address));
    lab.ip(&host, "link set eth0 down");
    until("the interface to come back whole", Duration::from_secs(90), || has(&lab, &host, address));

    // The NOC takes it away with the answer to a beat.
    let uid = item["uid"].as_str().expect("a UID").to_owned();
    until("a beat", Duration::from_secs(60), || {
        let shown = noc(&lab, &["show", &uid]);
        if shown["last_beat"].is_u64() { Ok(()) } else { Err(shown.to_string()) }
    });
    noc(&lab, &["configure", &uid, "--address6", "", "--gateway6", "", "--dns2", ""]);
    until("IPv6 to go", Duration::from_secs(120), || {
        let shown = noc(&lab, &["show", &uid]);
        let is_in_force = shown["given"]["state"] == "in_force";
        if is_in_force && !addresses(&lab, &host).contains("2001:db8:20:") { Ok(()) } else { Err(shown.to_string()) }
    });
}
