//! `muster-noc doctor`: each thing that can be wrong, brought about, and nothing else found.

use crate::client::{Device, beat};
use crate::served::{Served, free_port};
use muster_protocol::api::BeatAnswer;
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// What it found, and how it ended.
struct Findings(Vec<Value>, i32);

fn text<'a>(finding: &'a Value, name: &str) -> &'a str {
    finding[name].as_str().expect("text")
}

fn doctor(noc: &Served) -> Findings {
    Findings::of(&noc.output(&["doctor", "--json"]))
}

impl Findings {
    fn of(output: &Output) -> Findings {
        let findings = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("JSON: {}", String::from_utf8_lossy(&output.stderr)));
        Findings(findings, output.status.code().expect("an end"))
    }

    /// What is not well: check, level and what is said of it.
    fn unwell(&self) -> Vec<(&str, &str, &str)> {
        let unwell = self.0.iter().filter(|finding| finding["level"] != "ok");
        unwell.map(|finding| (text(finding, "check"), text(finding, "level"), text(finding, "what"))).collect()
    }

    /// Exactly this is found beside what is expected of a NOC that nobody serves and nobody backed up.
    fn only(&self, check: &str, level: &str, says: &str) {
        let mut unwell = self.unwell();
        unwell.retain(|(check, ..)| !["serving", "backup"].contains(check));
        let [(found, how, what)] = unwell[..] else { panic!("{check}: {:?}", self.0) };
        assert!((found, how) == (check, level) && what.contains(says), "{check} {level} {says}: {unwell:?}");
        let remedy = self.0.iter().find(|finding| finding["check"] == found && finding["level"] != "ok");
        assert!(!remedy.expect("found")["remedy"].as_str().expect("text").is_empty());
        assert_eq!(self.1, if level == "error" { 2 } else { 1 }, "{:?}", self.0);
    }
}

#[tokio::test]
async fn a_noc_that_serves_and_is_backed_up_is_well() {
    let mut noc = Served::stopped();
    let before = doctor(&noc);
    let found: Vec<_> = before.unwell().iter().map(|(check, level, _)| (*check, *level)).collect();
    assert_eq!((found, before.1), (vec![("backup", "warning"), ("serving", "warning")], 1));
    let said = noc.output(&["doctor"]);
    let said = String::from_utf8(said.stdout).expect("text");
    assert!(said.contains("warning  backup         no backup was ever taken\n"), "{said}");
    assert!(said.contains("                        Take one every day with `muster-noc backup`"), "{said}");

    noc.serve(&[]);
    noc.good(&["backup", &noc.path("backup")]);
    let (site, devices) = (noc.site(), Device::several(0..2));
    noc.import(&devices);
    let seqs = noc.console(site).await.configure(site, &devices).await;
    let http = devices[0].enrol(&noc.anybody(site).await, seqs[0]).await;
    http.post::<BeatAnswer>("appliances/beats", &beat(1, 1, seqs[0])).await.expect("taken");
    let now = doctor(&noc);
    assert_eq!((now.unwell(), now.1), (vec![], 0));
    let checks: Vec<_> = now.0.iter().map(|finding| finding["check"].as_str().expect("text")).collect();
    assert_eq!(
        checks,
        [
            "configuration",
            "permissions",
            "keys",
            "ca",
            "database",
            "schema",
            "audit",
            "clock",
            "backup",
            "channels",
            "remote write",
            "disk",
            "files",
            "serving",
            "address",
            "certificate"
        ]
    );

    // Names that the server that runs does not know, or that are not its own.
    let port = noc.port;
    noc.environment = vec![("MUSTER_NOC_ADDRESSES", format!("127.0.0.1:{port},localhost:{port}"))];
    doctor(&noc).only("certificate", "error", "for that name");
    let other = Served::start();
    noc.environment = vec![("MUSTER_NOC_ADDRESSES", other.address())];
    doctor(&noc).only("certificate", "error", "does not answer with a certificate of this NOC");
    noc.environment = vec![("MUSTER_NOC_ADDRESSES", format!("127.0.0.1:{}", free_port()))];
    doctor(&noc).only("certificate", "error", "does not answer: ");
    noc.cut_power();
    // Without a network, so that nobody is asked for the name.
    let alone = Command::new("unshare")
        .args(["--net", "--map-root-user", env!("CARGO_BIN_EXE_muster-noc"), "doctor", "--json", "--dir"])
        .arg(noc.dir())
        .env("MUSTER_NOC_ADDRESSES", "noc.example.net:1")
        .output()
        .expect("unshare runs");
    Findings::of(&alone).only("address", "error", "leads nowhere");
    // An address for documentation.
    noc.environment = vec![("MUSTER_NOC_ADDRESSES", "192.0.2.1:1".to_owned())];
    doctor(&noc).only("address", "warning", "another machine");
}

#[test]
fn everything_that_can_be_wrong_with_the_folder_is_found() {
    let noc = Served::stopped();
    noc.site();
    noc.good(&["audit", "anchor"]);
    let file = |name: &str| noc.dir().join(name);
    let chmod = |name: &str, mode: u32| {
        std::fs::set_permissions(file(name), std::fs::Permissions::from_mode(mode)).expect("set");
    };
    for (name, good) in [("root.key", 0o600), ("ca.key", 0o600), ("noc.sqlite", 0o600)] {
        chmod(name, 0o644);
        doctor(&noc).only("permissions", "error", name);
        chmod(name, good);
    }
    chmod("", 0o755);
    doctor(&noc).only("permissions", "warning", "can be read by others");
    chmod("", 0o700);

    // One file at a time is replaced, and put back.
    let with = |name: &str, contents: Option<&[u8]>, check: &dyn Fn()| {
        let kept = std::fs::read(file(name)).expect("read");
        match contents {
            Some(contents) => std::fs::write(file(name), contents).expect("written"),
            None => std::fs::remove_file(file(name)).expect("removed"),
        }
        check();
        std::fs::write(file(name), kept).expect("written");
        chmod(name, 0o600);
    };
    let other = Served::stopped();
    let theirs = |name: &str| std::fs::read(other.dir().join(name)).expect("read");
    with("noc.toml", Some(b"nonsense"), &|| {
        let found = doctor(&noc);
        assert_eq!((found.unwell().len(), found.1), (1, 2), "{:?}", found.0);
        assert_eq!(found.unwell()[0].0, "configuration");
    });
    with("noc.toml", None, &|| assert!(doctor(&noc).unwell()[0].2.contains("holds no NOC")));
    with("root.key", Some(b"x"), &|| doctor(&noc).only("keys", "error", "root.key is damaged"));
    with("root.key", Some(&theirs("root.key")), &|| {
        let found = doctor(&noc);
        let unwell: Vec<_> = found.unwell().iter().map(|(check, level, _)| (*check, *level)).collect();
        assert!(unwell.contains(&("database", "error")) && unwell.contains(&("audit", "error")), "{:?}", found.0);
    });
    with("ca.pem", Some(&theirs("ca.pem")), &|| doctor(&noc).only("keys", "error", "another key than ca.key"));
    with("ca.pem", Some(b""), &|| doctor(&noc).only("keys", "error", "ca.pem: not a certificate"));
    with("audit.anchor", Some(b"{}"), &|| doctor(&noc).only("audit", "error", "not an anchor"));
    for (half_days, level, says) in [(201, "warning", "ends in 100 days"), (0, "error", "has ended")] {
        let (pem, key) = authority(half_days);
        with("ca.key", Some(key.as_bytes()), &|| {
            with("ca.pem", Some(pem.as_bytes()), &|| doctor(&noc).only("ca", level, says));
        });
    }

    let port = TcpListener::bind(noc.address()).expect("free");
    let found = doctor(&noc);
    let serving = found.unwell().into_iter().find(|(check, ..)| *check == "serving").expect("found");
    assert!(serving.1 == "error" && serving.2.contains("cannot be listened on"), "{serving:?}");
    drop(port);
    let few = Command::new("sh")
        .args(["-c", "ulimit -n 200; exec \"$0\" doctor --json --dir \"$1\"", env!("CARGO_BIN_EXE_muster-noc")])
        .arg(noc.dir())
        .output()
        .expect("runs");
    Findings::of(&few).only("files", "warning", "200 files may be open");
}

/// A CA, good for so many half days.
fn authority(half_days: u32) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let (epoch, half_day) = (rcgen::date_time_ymd(1970, 1, 1), std::time::Duration::from_secs(43_200));
    (params.not_before, params.not_after) = (epoch, epoch + now + half_day * half_days);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

#[test]
fn everything_that_can_be_wrong_with_the_database_is_found() {
    let mut noc = Served::stopped();
    noc.site();
    let device = Device::new(1);
    noc.import(std::slice::from_ref(&device));
    noc.good(&["backup", &noc.path("backup")]);
    let good = std::fs::read(noc.dir().join("noc.sqlite")).expect("read");
    let with = |sql: &str, check: &str, level: &str, says: &str| {
        let db = noc.database();
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).expect("SQL");
        db.close().expect("closed");
        doctor(&noc).only(check, level, says);
        std::fs::write(noc.dir().join("noc.sqlite"), &good).expect("written");
    };
    let version = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (99, 'x', '2026-01-01T00:00:00Z', '1')";
    with(version, "schema", "error", "version 99");
    let newest: u32 = noc
        .database()
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .expect("a version");
    let before: u32 = noc
        .database()
        .query_row("SELECT max(version) FROM refinery_schema_history WHERE version < (SELECT max(version) FROM refinery_schema_history)", [], |row| row.get(0))
        .expect("a version");
    let sql = format!("DELETE FROM refinery_schema_history WHERE version = {newest}");
    with(&sql, "schema", "warning", &format!("version {before}"));
    with("INSERT INTO console_sites VALUES (77, 1)", "database", "error", "1 rows refer to rows that are not there");
    with("UPDATE audit SET actor = 'noc' WHERE seq = 2", "audit", "error", "record 2 is not as it was written");
    let write = "INSERT INTO remote_writes (organisation, url, version, cursor, failing_since, outcome)
        VALUES (1, 'https://metrics.example.net/', 1, 0, 5, 'it answered 401')";
    with(write, "remote write", "warning", "organisation 1: it answered 401");
    with("UPDATE appliances SET last_beat = 9000000000", "clock", "error", "behind what the database says");

    let db = noc.database();
    db.execute("UPDATE noc SET last_backup = last_backup - 8 * 86400", []).expect("SQL");
    db.close().expect("closed");
    let found = doctor(&noc);
    assert!(found.unwell().contains(&("backup", "warning", "the last backup is 8 days old")), "{:?}", found.0);

    let path = noc.dir().join("noc.sqlite");
    let mut damaged = good.clone();
    damaged[4096..8192].fill(0x5a);
    std::fs::write(&path, &damaged).expect("written");
    doctor(&noc).only("database", "error", "");
    std::fs::write(&path, b"no database, but as long as the header of one would be").expect("written");
    doctor(&noc).only("database", "error", "");
    std::fs::write(&path, &good).expect("written");
    noc.environment = vec![("MUSTER_NOC_DATABASE_LIMIT_MIB", "1".to_owned())];
    let db = noc.database();
    db.execute_batch("CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(1000000))").expect("SQL");
    db.close().expect("closed");
    doctor(&noc).only("limit", "warning", "of the 1 that it may have");
}

#[test]
fn a_disk_that_is_almost_full_is_found() {
    let noc = Served::stopped();
    let on_a_disk_of = |mib: u32| {
        let script = "mount -t tmpfs -o mode=700,size=$1m none \"$2\" && cp -p \"$3\"/* \"$2\" && exec \"$0\" doctor --json --dir \"$2\"";
        let disk = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_muster-noc")]);
        let output = command.arg(mib.to_string()).arg(disk.path()).arg(noc.dir()).output().expect("unshare runs");
        Findings::of(&output)
    };
    on_a_disk_of(200).only("disk", "warning", " MiB are free, beside");
    on_a_disk_of(20).only("disk", "error", "beats will be refused");
}
