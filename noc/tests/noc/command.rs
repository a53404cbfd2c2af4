//! The command line, beside a server that runs.

use crate::world::{Device, install_provider};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn muster_noc(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-noc"));
    command.args(words).arg("--dir").arg(dir).env_remove("MUSTER_NOC_DIR");
    command
}

fn run(dir: &Path, words: &[&str]) -> Output {
    muster_noc(dir, words).output().expect("runs")
}

pub(crate) fn good(dir: &Path, words: &[&str]) -> String {
    let output = run(dir, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn bad(dir: &Path, words: &[&str]) -> String {
    let output = run(dir, words);
    assert!(!output.status.success(), "{words:?} should be refused");
    String::from_utf8(output.stderr).expect("text")
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SITE: [&str; 14] = [
    "site",
    "add",
    "--name",
    "Bern",
    "--pool",
    "192.0.2.10-192.0.2.99",
    "--netmask",
    "/24",
    "--gateway",
    "192.0.2.1",
    "--domain",
    "example.net",
    "--confirm",
    "first-beat",
];

#[test]
fn a_site_an_inventory_and_an_invite_beside_a_running_server() {
    install_provider();
    let dir = tempfile::TempDir::new().expect("folder");
    let dir = dir.path().join("noc");
    good(&dir, &["init", "--address", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    assert!(bad(&dir, &["init", "--address", "127.0.0.1"]).contains("[already_initialised]"));

    let mut server = Server(muster_noc(&dir, &["serve"]).stdout(Stdio::piped()).spawn().expect("serves"));
    let mut lines = BufReader::new(server.0.stdout.take().expect("piped")).lines();
    let ready = lines.next().expect("a line").expect("text");
    assert!(ready.starts_with("Serving "), "{ready}");
    assert!(bad(&dir, &["serve"]).contains("[already_serving]"));

    assert!(good(&dir, &SITE).contains("number 1"));
    assert!(bad(&dir, &SITE).contains("[site_name_taken]"));
    let sites: serde_json::Value = serde_json::from_str(&good(&dir, &["site", "list", "--json"])).expect("json");
    assert_eq!((sites[0]["name"].as_str(), sites[0]["confirm"].as_str()), (Some("Bern"), Some("first_beat")));

    assert!(good(&dir, &["site", "set", "Bern", "--drift", "restore", "--gateway", ""]).contains("Bern is changed"));
    let listed = good(&dir, &["site", "list"]);
    assert!(listed.contains("drift restore") && listed.contains("gateway   "), "{listed}");
    let changed = good(&dir, &["site", "set", "1", "--drift", "image", "--gateway", "192.0.2.1", "--json"]);
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("json");
    assert_eq!((&changed["drift"], &changed["gateway"]), (&serde_json::Value::Null, &"192.0.2.1".into()));
    assert!(bad(&dir, &["site", "set", "Bern"]).contains("required"));
    assert!(bad(&dir, &["site", "set", "Bern", "--drift", "ignore"]).contains("image, report, restore"));
    assert!(bad(&dir, &["site", "set", "Thun", "--drift", "report"]).contains("site list"));
    assert!(bad(&dir, &["site", "set", "Bern", "--window", "1"]).contains("[site_invalid]"));
    let changed = good(&dir, &["site", "set", "Bern", "--ntp", "NTP.example.net,192.0.2.123", "--json"]);
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("json");
    assert_eq!(changed["ntp"], "ntp.example.net 192.0.2.123");
    assert!(bad(&dir, &["site", "set", "Bern", "--search-domains", "a..b"]).contains("is no search domain"));
    good(&dir, &["policy", "set", "--model", "Mail", "--ntp", "", "--search-domains", "lab.example.net"]);
    assert!(good(&dir, &["policy", "show"]).contains("lab.example.net"));
    good(&dir, &["policy", "set", "--model", "Mail", "--unset", "ntp,search_domains", "--window", "60"]);
    good(&dir, &["site", "set", "Bern", "--ntp", "none"]);
    let object = dir.join("settings.json");
    std::fs::write(&object, "{ \"relay\": \"a\" }\n").expect("written");
    let named = format!("@{}", object.display());
    let changed = good(&dir, &["site", "set", "Bern", "--application", &named, "--json"]);
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("json");
    assert_eq!(changed["application"], "{\"relay\":\"a\"}");
    assert!(bad(&dir, &["site", "set", "Bern", "--application", "@/none"]).contains("/none cannot be read"));
    assert!(bad(&dir, &["site", "set", "Bern", "--application", "[]"]).contains("no JSON object"));
    good(&dir, &["policy", "set", "--model", "Mail", "--application", "{\"relay\":\"b\"}"]);
    assert!(good(&dir, &["policy", "show"]).contains("{\"relay\":\"b\"}"));
    good(&dir, &["policy", "set", "--model", "Mail", "--unset", "application", "--window", "60"]);
    good(&dir, &["site", "set", "Bern", "--application", ""]);

    let device = Device::new(1);
    let csv = dir.join("manifest.csv");
    let row = format!("{},{},{}", device.mac, device.uid, device.claim.reveal());
    std::fs::write(&csv, format!("serial,mac,uid,claim\nS1,{row}\n")).expect("written");
    let file = csv.to_str().expect("text");
    assert_eq!(good(&dir, &["inventory", "import", file]), "1 added, 0 updated, 0 unchanged.\n");
    std::fs::write(&csv, format!("serial,mac,uid,claim\nS1,{row}\nS2,x,y,z\n")).expect("written");
    let error = bad(&dir, &["inventory", "import", file]);
    for part in ["line 3", "[bad_mac]", "[bad_uid]", "[bad_claim]", "nothing was imported", "what to do"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(good(&dir, &["inventory", "list"]).contains(&device.uid.to_string()));

    let uid = device.uid.to_string();
    assert!(good(&dir, &["appliance", "list"]).contains(&uid));
    let shown = good(&dir, &["appliance", "show", &uid]);
    assert!(shown.contains("Known") && shown.contains(&device.mac.to_string()), "{shown}");
    for words in [&["configure", &uid, "--address", "192.0.2.80"][..], &["reboot", &uid], &["logs", &uid, "--ask"]] {
        let error = bad(&dir, &[&["appliance"], words].concat());
        assert!(error.contains("[not_configured]") && error.contains("what to do"), "{words:?}: {error}");
    }
    assert!(bad(&dir, &["appliance", "logs", &uid]).contains("[no_log]"));
    assert!(bad(&dir, &["appliance", "decommission", &uid]).contains("--yes"));
    assert!(bad(&dir, &["appliance", "configure", &uid]).contains("--address"), "nothing to change");
    assert!(bad(&dir, &["appliance", "replace", &uid, &uid]).contains("[itself]"));
    assert_eq!(good(&dir, &["appliance", "cancel", &uid]), "0 taken back.\n");

    assert!(good(&dir, &["inventory", "release", &device.uid.to_string()]).contains("is released"));
    assert!(bad(&dir, &["inventory", "release", &Device::new(2).uid.to_string()]).contains("inventory list"));
    let mistyped = bad(&dir, &["inventory", "release", "ABCD"]);
    assert!(mistyped.contains("eight groups"), "{mistyped}");

    let invite = good(&dir, &["console", "invite", "--site", "Bern", "--valid", "1h"]);
    assert!(invite.starts_with("muster-invite:"), "{invite}");
    assert!(bad(&dir, &["console", "invite", "--site", "Thun"]).contains("site list"));
    assert!(bad(&dir, &["console", "revoke", "7"]).contains("console list"));
    assert_eq!(good(&dir, &["console", "list", "--json"]), "[]\n");
}

#[test]
fn a_vendor_needs_no_noc_and_is_told_what_is_wrong() {
    let folder = tempfile::TempDir::new().expect("folder");
    let tool = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_muster-noc")).arg("voucher").args(words).output().expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (key, manifest) = (folder.path().join("vendor.key"), folder.path().join("manifest.csv"));
    let (key, manifest_path) = (key.to_str().expect("text"), manifest.to_str().expect("text"));
    let (made, public, _) = tool(&["new-key", key]);
    assert!(made && public.trim().len() == 44, "{public}");
    assert!(!std::fs::read_to_string(key).expect("kept").contains(public.trim()), "the file holds the secret half");
    let (made, _, error) = tool(&["new-key", key]);
    assert!(!made && error.contains("[key_exists]") && error.contains("what to do"), "{error}");
    let root = public.trim();
    std::fs::write(&manifest, format!("serial,uid\nS1,{}\n", Device::new(1).uid)).expect("written");
    let sign = |key: &str, root: &str, manifest: &str| tool(&["sign", "--key", key, "--root", root, manifest]);
    let (signed, csv, _) = sign(key, root, manifest_path);
    assert!(signed && csv.starts_with("serial,uid,voucher\n") && csv.lines().count() == 2, "{csv}");
    assert!(sign(key, "nonsense", manifest_path).2.contains("[bad_root]"));
    assert!(sign(manifest_path, root, manifest_path).2.contains("[key_exposed]"));
    assert!(sign("/none", root, manifest_path).2.contains("[vendor_key_unusable]"));
    std::fs::write(&manifest, "serial,mac\nS1,x\n").expect("written");
    let (signed, csv, error) = sign(key, root, manifest_path);
    assert!(!signed && csv.is_empty() && error.contains("[manifest_invalid]"), "{error}");
}

#[test]
fn a_hand_over_is_typed_at_both_nocs_and_says_what_to_do_next() {
    let folder = tempfile::TempDir::new().expect("folder");
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    good(&old, &["init", "--address", "192.0.2.1:8443"]);
    good(&new, &["init", "--address", "192.0.2.2:8443"]);
    good(&old, &SITE);
    for words in [&["show"][..], &["cancel"], &["finish"]] {
        let error = bad(&old, &[&["handover"], words].concat());
        assert!(error.contains("[no_handover]") && error.contains("what to do"), "{words:?}: {error}");
    }
    assert!(bad(&old, &["handover", "start", "--offer", "nonsense"]).contains("[bad_offer]"));
    let offer = good(&new, &["handover", "offer"]);
    assert!(offer.starts_with("muster-offer:") && offer.lines().count() == 1, "{offer}");
    let started = good(&old, &["handover", "start", "--offer", offer.trim()]);
    assert!(started.contains("192.0.2.2:8443 (another NOC)") && started.contains("handover accept"), "{started}");
    let file = folder.path().join("transfer");
    let file = file.to_str().expect("text");
    assert!(good(&old, &["handover", "export", file]).contains("0 appliances"));
    assert!(bad(&old, &["handover", "export", file]).contains("[folder_unwritable]"));
    let root = good(&old, &["voucher", "root"]);
    assert!(bad(&new, &["handover", "accept", "--root", "nonsense", file]).contains("[bad_root]"));
    assert!(bad(&old, &["handover", "accept", "--root", root.trim(), file]).contains("[transfer_for_another]"));
    assert!(good(&new, &["handover", "accept", "--root", root.trim(), file]).starts_with("1 sites added"));
    assert!(good(&new, &["site", "list"]).contains("Bern"));
    assert!(good(&old, &["handover", "finish"]).contains("Finished"));
    let view: serde_json::Value = serde_json::from_str(&good(&old, &["handover", "cancel", "--json"])).expect("json");
    assert_eq!((view["waiting"].as_u64(), view["is_own"].as_bool()), (Some(0), Some(false)));
    assert!(good(&old, &["handover", "show"]).contains("Called off"));
    assert!(good(&old, &["handover", "start"]).contains("another address of this NOC"));
}

/// With something on standard input.
fn told(dir: &Path, words: &[&str], input: &str) -> Output {
    let mut command = muster_noc(dir, words);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("written");
    child.wait_with_output().expect("ends")
}

#[test]
fn organisations_operators_and_the_audit_log() {
    install_provider();
    let dir = tempfile::TempDir::new().expect("folder");
    let dir = dir.path().join("noc");
    good(&dir, &["init", "--address", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    assert!(bad(&dir, &["audit", "anchor"]).contains("nothing to sign"));

    assert!(good(&dir, &["organisation", "add", "--handle", "acme", "--name", "Acme"]).contains("number 2"));
    assert!(bad(&dir, &["organisation", "add", "--handle", "ACME", "--name", "x"]).contains("[handle_taken]"));
    assert!(bad(&dir, &["organisation", "add", "--handle", "a b", "--name", "x"]).contains("[invalid]"));
    assert!(good(&dir, &["organisation", "list"]).contains("acme  Acme"));
    good(&dir, &SITE);
    let of_acme = [&SITE[..], &["--organisation", "acme"]].concat();
    assert!(good(&dir, &of_acme).contains("number 2"), "the same name, in another organisation");
    assert!(bad(&dir, &of_acme).contains("[site_name_taken]"));
    assert!(bad(&dir, &["console", "invite", "--site", "Bern"]).contains("several sites"));
    assert!(bad(&dir, &["console", "invite", "--site", "1", "--site", "2"]).contains("[invite_organisations]"));
    assert!(
        good(&dir, &["console", "invite", "--site", "Bern", "--organisation", "acme"]).starts_with("muster-invite:")
    );
    assert!(bad(&dir, &["console", "invite", "--site", "1", "--organisation", "nobody"]).contains("no organisation"));

    let add = ["operator", "add", "--login", "anna", "--role", "administrator", "--organisation", "acme"];
    let short = told(&dir, &add, "short\n");
    assert!(String::from_utf8_lossy(&short.stderr).contains("[password_refused]"));
    let added = told(&dir, &add, "correct horse battery\n");
    assert_eq!(String::from_utf8_lossy(&added.stdout), "anna@acme may sign in.\n");
    let again = told(&dir, &add, "correct horse battery\n");
    assert!(String::from_utf8_lossy(&again.stderr).contains("[login_taken]"));
    assert!(
        bad(&dir, &["operator", "add", "--login", "x", "--role", "viewer", "--site", "Bern"])
            .contains("--organisation")
    );
    let role = ["operator", "role", "anna@acme", "--role", "viewer", "--organisation", "acme", "--site", "Bern"];
    assert!(good(&dir, &role).contains("Viewer organisation 2 site 2"));
    assert!(bad(&dir, &["operator", "role", "anna@acme", "--role", "viewer"]).contains("[invalid]"), "beyond her own");
    assert!(told(&dir, &["operator", "password", "anna@acme"], "another good password").status.success());
    assert!(good(&dir, &["operator", "disable", "anna@acme"]).contains("disabled"));
    assert!(good(&dir, &["operator", "enable", "anna@acme"]).contains("enabled"));
    assert!(bad(&dir, &["operator", "disable", "nobody"]).contains("[not_found]"));
    assert!(good(&dir, &["operator", "list"]).contains("anna@acme"));
    assert_eq!(good(&dir, &["operator", "sessions", "--organisation", "acme"]), "", "nobody is signed in");
    assert!(bad(&dir, &["operator", "sessions", "--organisation", "nobody"]).contains("no organisation"));
    assert!(bad(&dir, &["operator", "sign-out", "7"]).contains("[not_found]"));

    assert!(good(&dir, &["audit", "verify"]).contains("records are as they were written"));
    let found = good(&dir, &["audit", "search", "--action", "operator.", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!((found[0]["action"].as_str(), found[0]["actor"].as_str()), (Some("operator.change"), Some("local")));
    let exported = good(&dir, &["audit", "export", "--format", "jsonl"]);
    let lines: Vec<serde_json::Value> =
        exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().zip(1..).all(|(line, n)| line["seq"] == n) && lines.len() > 8);
    assert!(!exported.contains("battery") && !exported.contains("good password"));
    let syslog = good(&dir, &["audit", "export", "--format", "syslog", "--after", "1"]);
    assert_eq!(syslog.lines().count(), lines.len() - 1);
    assert!(syslog.lines().all(|line| line.starts_with("<110>1 20") && line.contains(" 127.0.0.1 muster-noc - ")));

    let anchor = dir.join("elsewhere.json");
    std::fs::write(&anchor, good(&dir, &["audit", "anchor"])).expect("kept");
    let anchor = anchor.to_str().expect("text");
    let held = format!("signed up to {}", lines.len());
    assert!(good(&dir, &["audit", "verify", "--anchor", anchor]).contains(&held));
    assert!(bad(&dir, &["audit", "verify", "--anchor", "/dev/null"]).contains("[not_an_anchor]"));
    let db = rusqlite::Connection::open(dir.join("noc.sqlite")).expect("opens");
    db.execute("UPDATE audit SET actor = 'noc' WHERE seq = 3", []).expect("forged");
    assert!(bad(&dir, &["audit", "verify"]).contains("record 3 is not as it was written"));
}

#[test]
fn policies_and_reservations_are_said_and_seen_by_the_command_line() {
    install_provider();
    let dir = tempfile::TempDir::new().expect("folder");
    let table = dir.path().join("table.csv");
    let dir = dir.path().join("noc");
    good(&dir, &["init", "--address", "127.0.0.1"]);
    good(&dir, &["policy", "set", "--dns1", "10.0.0.53", "--beat-interval", "30"]);
    good(&dir, &["policy", "set", "--model", "Mail", "--beat-interval", "10"]);
    let mut words = SITE.to_vec();
    words.extend(["--inherit", "dns1,beat_interval_s", "--exclude", "192.0.2.20"]);
    good(&dir, &words);
    let shown = good(&dir, &["policy", "show", "--site", "Bern"]);
    let line = |model: &str, value: &str| {
        let of_model = shown.split(model).nth(1).unwrap_or_default();
        let line = of_model.lines().find(|line| line.trim_start().starts_with(value)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("every model", "beat_interval_s"), ["beat_interval_s", "30", "organisation"]);
    assert_eq!(line("model mail", "beat_interval_s"), ["beat_interval_s", "10", "organisation", "profile", "Mail"]);
    assert_eq!(line("every model", "exclude"), ["exclude", "192.0.2.20", "site"]);

    // What is set at the site is its own; none empties the list.
    good(&dir, &["site", "set", "Bern", "--dns1", "192.0.2.53"]);
    let effective = || -> serde_json::Value {
        serde_json::from_str(&good(&dir, &["policy", "show", "--site", "Bern", "--json"])).expect("JSON")
    };
    assert_eq!(effective()[0]["values"]["dns1"]["source"], "site");
    assert_eq!(effective()[0]["values"]["beat_interval_s"]["source"], "organisation");
    good(&dir, &["site", "set", "Bern", "--inherit", "none"]);
    assert_eq!(effective()[0]["values"]["beat_interval_s"]["source"], "site");
    assert!(
        bad(&dir, &["site", "set", "Bern", "--inherit", "pool"]).contains("`pool` is nothing that a site can have")
    );

    good(&dir, &["policy", "set", "--site", "Bern", "--model", "Router", "--pool", "192.0.2.90-192.0.2.99"]);
    assert!(bad(&dir, &["policy", "set", "--site", "Bern", "--dns1", ""]).contains("--model"));
    assert!(bad(&dir, &["policy", "set", "--dns1", "x"]).contains("`x` is not an IPv4 address"));
    assert!(bad(&dir, &["policy", "set", "--unset", "colour"]).contains("`colour` is no value"));
    good(&dir, &["policy", "set", "--site", "Bern", "--model", "router", "--unset", "pool", "--window", "60"]);
    good(&dir, &["policy", "remove", "--site", "Bern", "--model", "ROUTER"]);
    assert!(bad(&dir, &["policy", "remove", "--site", "Bern", "--model", "Router"]).contains("nothing is said"));
    assert!(good(&dir, &["policy", "show"]).contains("dns1             10.0.0.53"));
    assert_eq!(good(&dir, &["policy", "preview", "Bern", "--json"]).trim(), "[]");

    good(&dir, &["reservation", "add", "Bern", "--serial", "SN1", "--address", "192.0.2.5", "--host-name", "gate"]);
    assert!(good(&dir, &["reservation", "list", "Bern"]).contains("1  SN1  192.0.2.5  gate"));
    std::fs::write(&table, good(&dir, &["reservation", "export", "Bern"])).expect("written");
    let path = table.to_str().expect("text").to_owned();
    assert!(good(&dir, &["reservation", "import", "Bern", &path]).contains("0 added, 0 replaced, 1 as before"));
    std::fs::write(&table, "serial,address\nSN1,x\n").expect("written");
    let refused = bad(&dir, &["reservation", "import", "Bern", &path]);
    assert!(refused.contains("line 2: the address is no IPv4 address"), "{refused}");
    good(&dir, &["reservation", "remove", "Bern", "1"]);
    assert!(bad(&dir, &["reservation", "remove", "Bern", "1"]).contains("there is no reservation 1"));
    assert!(bad(&dir, &["reservation", "import", "Bern", "/nowhere"]).contains("/nowhere could not be read"));

    std::fs::write(&table, good(&dir, &["site", "export"]).replace("Bern", "Thun")).expect("written");
    assert!(good(&dir, &["site", "import", &path]).contains("1 added, 0 changed, 0 as before"));
    assert!(good(&dir, &["site", "list"]).contains("Thun"));
}
