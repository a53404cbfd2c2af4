//! Appliances that move to another address and to another NOC without a visit: the real agent, and real NOCs.

use serde_json::Value;
use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use system_tests::lab::{Before, Lab};
use system_tests::process::{Running, succeed};
use system_tests::wait::until;

const SITE: &[&str] = &[
    "--pool",
    "10.20.0.100-10.20.0.120",
    "--gateway",
    "10.20.0.1",
    "--host-name",
    "lab-{n:02}",
    "--beat-interval",
    "5",
    "--window",
    "30",
];
const PATIENCE: Duration = Duration::from_secs(120);
const OLD: &str = "10.99.0.2:8443";
const NEW: &str = "10.99.0.2:9443";

/// A configured appliance that beats to the NOC in `noc`.
fn configured(name: &str) -> Lab {
    let mut lab = Lab::new(name);
    let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
    let manifest = lab.label(number);
    lab.start_noc(SITE, &manifest);
    lab.start_agent(number);
    let job = lab.muster(&["configure", "--all-unconfigured"]);
    assert_eq!(job["items"][0]["step"], "configured", "{job}\n{}", lab.logs());
    beats(&lab, OLD);
    lab
}

/// `muster-noc WORDS` with the data folder of that name.
fn noc(lab: &Lab, folder: &str, words: &[&str]) -> Value {
    let mut command = lab.at("noc", "muster-noc");
    command.args(words).args(["--json", "--dir"]).arg(lab.folder().join(folder));
    serde_json::from_str(&succeed(&mut command)).expect("JSON")
}

/// Serves the NOC of a folder.
fn serve(lab: &Lab, folder: &str, port: &str) -> Running {
    let mut command = lab.at("noc", "muster-noc");
    command.args(["serve", "--dir"]).arg(lab.folder().join(folder));
    let running = Running::start(command.env("RUST_LOG", "info"), &lab.folder().join(format!("{folder}.log")));
    until("a NOC to listen", Duration::from_secs(20), || {
        let listening = succeed(lab.netns("noc").args(["ss", "-Htln"]));
        if listening.contains(port) { Ok(()) } else { Err(format!("{listening}\n{}", running.said())) }
    });
    running
}

/// The agent's status, once it is so.
fn status(lab: &Lab, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(what, PATIENCE, || {
        let status = lab.agent_status(1);
        if is_so(&status) { Ok(status) } else { Err(format!("{status}\n{}", lab.agent_log(1))) }
    })
}

/// Two more beats are accepted where it reports to, which is `noc`.
fn beats(lab: &Lab, noc: &str) {
    // What a former run of the agent has left may be read first.
    let least = Cell::new(u64::MAX);
    status(lab, &format!("beats to {noc}"), |status| {
        let count = status["beats_accepted"].as_u64().unwrap_or(0);
        least.set(least.get().min(count));
        status["noc"] == noc && status["beat_error"].is_null() && count >= least.get() + 2
    });
}

fn tried(status: &Value) -> (&str, &str) {
    let text = |field: &str| status["handover"][field].as_str().unwrap_or_default();
    (text("noc"), text("problem"))
}

fn python(lab: &Lab, folder: &str, script: &str) -> String {
    let database = lab.folder().join(folder).join("noc.sqlite");
    succeed(Command::new("/usr/bin/python3").arg("-c").arg(script).arg(database)).trim().to_owned()
}

fn uid(lab: &Lab) -> String {
    lab.appliances[0].uid.clone()
}

fn write_toml(folder: &Path, addresses: &[&str], listen: &str) {
    let text = format!("addresses = {addresses:?}\nlisten = \"{listen}\"\n");
    std::fs::write(folder.join("noc.toml"), text).expect("written");
}

#[test]
fn a_noc_gets_another_name_and_its_appliances_follow() {
    let mut lab = configured("hn");
    let elsewhere = "10.99.0.3:9443";
    lab.ip("noc", "addr add 10.99.0.3/24 dev eth0");
    let folder = lab.folder().join("noc");
    // Both addresses lead to the one NOC meanwhile: here by a second process' listener, elsewhere by DNS or forwarding.
    write_toml(&folder, &[elsewhere, OLD], "0.0.0.0:9443");
    let view = noc(&lab, "noc", &["handover", "start"]);
    assert_eq!((view["noc"].as_str(), view["is_own"].as_bool()), (Some(elsewhere), Some(true)), "{view}");
    // Nobody is at the new address yet: it stays, and both ends say so.
    status(&lab, "the new address to be tried", |status| tried(status) == (elsewhere, "noc_unreachable"));
    until("the NOC to know why", PATIENCE, || {
        let view = noc(&lab, "noc", &["handover", "show"]);
        let problem = &view["stuck"][0]["problem"];
        if problem == "noc_unreachable" { Ok(()) } else { Err(view.to_string()) }
    });
    beats(&lab, OLD);
    // Now the NOC is reached at both: the old address is forwarded to where it listens.
    lab.noc = None;
    let served = serve(&lab, "noc", ":9443");
    let forward = "import socket,threading\ndef pump(a,b):\n  try:\n    while (d:=a.recv(65536)): b.sendall(d)\n  except OSError: pass\n  b.close()\n\
                   s=socket.create_server(('10.99.0.2',8443))\nwhile True:\n  c,_=s.accept()\n  u=socket.create_connection(('10.99.0.2',9443))\n  \
                   threading.Thread(target=pump,args=(c,u),daemon=True).start()\n  threading.Thread(target=pump,args=(u,c),daemon=True).start()\n";
    let mut command = lab.netns("noc");
    let forwarding = Running::start(command.args(["python3", "-c", forward]), &lab.folder().join("forward.log"));
    status(&lab, "it to move", |status| status["noc"] == elsewhere);
    until("the NOC to know", PATIENCE, || {
        let view = noc(&lab, "noc", &["handover", "show"]);
        if view["done"] == 1 { Ok(()) } else { Err(format!("{view}\n{}", lab.agent_log(1))) }
    });
    // The old address ends, and the appliance too, for a moment.
    drop(forwarding);
    beats(&lab, elsewhere);
    lab.cut_power(1);
    lab.start_agent(1);
    beats(&lab, elsewhere);
    let shown = noc(&lab, "noc", &["appliance", "show", &uid(&lab)]);
    assert_eq!(shown["provisioning"], "configured", "the same NOC, the same appliance");
    drop(served);
}

/// Somebody who has the NOC's TLS CA and database, but not its root.
fn impostor(lab: &Lab) {
    let (folder, copy) = (lab.folder().join("noc"), lab.folder().join("impostor"));
    succeed(Command::new("cp").arg("-a").arg(&folder).arg(&copy));
    let root = lab.folder().join("other-root");
    let mut command = lab.at("noc", "muster-noc");
    let key = succeed(command.args(["voucher", "new-key"]).arg(&root));
    std::fs::copy(&root, copy.join("root.key")).expect("copied");
    let script = format!(
        "import sqlite3,sys,base64\ndb=sqlite3.connect(sys.argv[1])\ndb.execute('UPDATE noc SET root=?',(base64.b64decode('{}'),))\ndb.commit()",
        key.trim()
    );
    python(lab, "impostor", &script);
}

#[test]
fn a_successor_that_is_not_there_is_tried_until_it_is_and_takes_over_with_another_root() {
    let mut lab = configured("hr");
    let folder = lab.folder().to_owned();
    let mut init = lab.at("noc", "muster-noc");
    init.args(["init", "--address", NEW, "--listen", "0.0.0.0:9443", "--dir"]).arg(folder.join("new"));
    succeed(&mut init);
    let offer = noc(&lab, "new", &["handover", "offer"])["offer"].as_str().expect("an offer").to_owned();

    // An impostor hands over what is not his: it is refused and changes nothing.
    lab.noc = None;
    impostor(&lab);
    noc(&lab, "impostor", &["handover", "start", "--offer", &offer]);
    let served = serve(&lab, "impostor", ":8443");
    until("the rogue statement to be refused", PATIENCE, || {
        let log = lab.agent_log(1);
        if log.contains("a hand-over to another NOC was refused") { Ok(()) } else { Err(log) }
    });
    assert!(lab.agent_log(1).contains("wrong_root") && lab.agent_status(1)["handover"].is_null());
    drop(served);
    lab.serve();
    beats(&lab, OLD);

    // The successor is not there: it stays with the old one and says so.
    noc(&lab, "noc", &["handover", "start", "--offer", &offer]);
    status(&lab, "the successor to be tried", |status| tried(status) == (NEW, "noc_unreachable"));
    beats(&lab, OLD);
    // Power cuts in the middle do not end it.
    lab.cut_power(1);
    lab.start_agent(1);
    let _successor = serve(&lab, "new", ":9443");
    // It is there and knows nothing of the appliance yet.
    status(&lab, "the successor to refuse", |status| tried(status) == (NEW, "noc_refused"));
    until("the old NOC to know why", PATIENCE, || {
        let view = noc(&lab, "noc", &["handover", "show"]);
        if view["stuck"][0]["problem"] == "noc_refused" { Ok(()) } else { Err(view.to_string()) }
    });
    let file = folder.join("appliances.transfer");
    noc(&lab, "noc", &["handover", "export", file.to_str().expect("UTF-8")]);
    let root = noc(&lab, "noc", &["voucher", "root"])["key"].as_str().expect("a key").to_owned();

    // The old NOC goes away in the middle: beats wait on the appliance's disk, and the new one gets them.
    lab.noc = None;
    let waiting = status(&lab, "beats to wait", |status| status["beats_waiting"].as_u64() >= Some(3));
    let report = noc(&lab, "new", &["handover", "accept", "--root", &root, file.to_str().expect("UTF-8")]);
    assert_eq!((report["sites"].as_u64(), report["added"].as_u64()), (Some(1), Some(1)), "{report}");
    beats(&lab, NEW);
    status(&lab, "nothing to wait any more", |status| status["beats_waiting"] == 0);
    let counted = python(
        &lab,
        "new",
        "import sqlite3,sys\nprint(sqlite3.connect(sys.argv[1]).execute('SELECT (SELECT coalesce(sum(beats), 0) FROM beat_journal) + (SELECT coalesce(sum(beats), 0) FROM beat_blocks)').fetchone()[0])",
    );
    let waited = waiting["beats_waiting"].as_u64().expect("a number");
    assert!(counted.parse::<u64>().expect("a number") >= waited + 2, "{counted}, {waited} waited");

    // The old NOC comes back, is told, and expects it no more.
    lab.serve();
    until("the old NOC to know", PATIENCE, || {
        let shown = noc(&lab, "noc", &["appliance", "show", &uid(&lab)]);
        if shown["provisioning"] == "handed_over" { Ok(()) } else { Err(format!("{shown}\n{}", lab.agent_log(1))) }
    });
    noc(&lab, "noc", &["handover", "finish"]);
    let refused = lab.muster_command(&["status"]).output().expect("muster starts");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned() + &*String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("noc_moved") && said.contains(NEW), "{said}");

    // The new root changes it with a beat, and its consoles by datagram.
    noc(&lab, "new", &["appliance", "configure", &uid(&lab), "--host-name", "moved"]);
    until("the new NOC's settings in force", PATIENCE, || {
        let shown = noc(&lab, "new", &["appliance", "show", &uid(&lab)]);
        if shown["given"]["state"] == "in_force" { Ok(()) } else { Err(format!("{shown}\n{}", lab.agent_log(1))) }
    });
    assert_eq!(lab.host_name(1), "moved");
    let invite = noc(&lab, "new", &["console", "invite", "--site", "Lab"])["invite"].as_str().expect("text").to_owned();
    let joined = lab.muster_with_input(&["join", "-"], &invite);
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    // It tells its settings to a console of the new root, and takes what that delivers.
    until("the console to see its settings", Duration::from_secs(30), || {
        let found = lab.muster(&["discover"]);
        if found["appliances"][0]["settings"]["host_name"] == "moved" { Ok(()) } else { Err(found.to_string()) }
    });
    lab.cut_power(1);
    lab.start_agent(1);
    beats(&lab, NEW);
    assert_eq!(noc(&lab, "new", &["appliance", "show", &uid(&lab)])["health"], "well");
}

#[test]
fn keys_are_changed_in_place_nothing_is_lost_and_the_appliances_follow() {
    let mut lab = configured("hk");
    let folder = lab.folder().to_owned();
    noc(&lab, "noc", &["organisation", "add", "--handle", "acme", "--name", "Acme"]);
    let backup = folder.join("backup");
    let backup = backup.to_str().expect("UTF-8");
    noc(&lab, "noc", &["backup", backup]);
    let restored = noc(&lab, "new", &["restore", backup, "--new-keys", NEW]);
    assert_eq!(restored["address"], NEW);
    assert_eq!((&restored["changed"]["appliances"], &restored["changed"]["consoles"]), (&1.into(), &1.into()));
    let [former, present] = ["noc", "new"].map(|of| noc(&lab, of, &["voucher", "root"]));
    assert_ne!(former, present);
    assert_eq!(noc(&lab, "new", &["audit", "verify"])["broken"], Value::Null);
    assert_eq!(noc(&lab, "new", &["organisation", "list"])[1]["handle"], "acme");

    let _successor = serve(&lab, "new", ":9443");
    let offer = noc(&lab, "new", &["handover", "offer"])["offer"].as_str().expect("an offer").to_owned();
    noc(&lab, "noc", &["handover", "start", "--offer", &offer]);
    beats(&lab, NEW);
    until("the former NOC to know", PATIENCE, || {
        let view = noc(&lab, "noc", &["handover", "show"]);
        if view["done"] == 1 { Ok(()) } else { Err(format!("{view}\n{}", lab.agent_log(1))) }
    });
    noc(&lab, "noc", &["handover", "finish"]);
    lab.noc = None;
    let shown = noc(&lab, "new", &["appliance", "show", &uid(&lab)]);
    assert_eq!((&shown["provisioning"], &shown["health"]), (&"configured".into(), &"well".into()), "{shown}");

    // The new root changes it with a beat, and its consoles by datagram.
    noc(&lab, "new", &["appliance", "configure", &uid(&lab), "--host-name", "moved"]);
    until("the new NOC's settings in force", PATIENCE, || {
        let shown = noc(&lab, "new", &["appliance", "show", &uid(&lab)]);
        if shown["given"]["state"] == "in_force" { Ok(()) } else { Err(format!("{shown}\n{}", lab.agent_log(1))) }
    });
    let invite = noc(&lab, "new", &["console", "invite", "--site", "Lab"])["invite"].as_str().expect("text").to_owned();
    let joined = lab.muster_with_input(&["join", "-"], &invite);
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    until("the console to see its settings", Duration::from_secs(30), || {
        let found = lab.muster(&["discover"]);
        if found["appliances"][0]["settings"]["host_name"] == "moved" { Ok(()) } else { Err(found.to_string()) }
    });
}
