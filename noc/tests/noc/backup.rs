//! Backups, taken while the program serves, and put back elsewhere.

use crate::client::{Console, Device, Http, beat, code};
use crate::served::{Served, mode};
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Fleet {
    site: SiteId,
    console: Console,
    devices: Vec<Device>,
    seqs: Vec<Seq>,
    https: Vec<Http>,
}

impl Fleet {
    async fn of(noc: &Served, count: u32) -> Fleet {
        let (site, devices) = (noc.site(), Device::several(0..count));
        noc.import(&devices);
        let (console, anybody) = (noc.console(site).await, noc.anybody(site).await);
        let seqs = console.configure(site, &devices).await;
        let mut https = Vec::new();
        for (device, seq) in devices.iter().zip(&seqs) {
            https.push(device.enrol(&anybody, *seq).await);
        }
        Fleet { site, console, devices, seqs, https }
    }
}

fn counters(db: &Connection) -> Vec<u64> {
    let mut statement = db.prepare("SELECT counter FROM appliances ORDER BY serial, id").expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it_and_goes_on_elsewhere() {
    let noc = Served::start();
    let Fleet { site, console, devices, seqs, https } = Fleet::of(&noc, 8).await;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Vec<AtomicU64>> = Arc::new((0..https.len()).map(|_| AtomicU64::new(0)).collect());
    let mut beating = tokio::task::JoinSet::new();
    for (n, (http, seq)) in https.iter().cloned().zip(seqs.clone()).enumerate() {
        let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
        beating.spawn(async move {
            for counter in 1.. {
                http.post::<BeatAnswer>("appliances/beats", &beat(1, counter, seq)).await.expect("taken");
                acknowledged[n].store(counter, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
    }
    let now = || acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
    let noc = tokio::task::block_in_place(|| {
        crate::served::until("everybody beats", || now().iter().all(|count| *count > 0));
        let first = now();
        for n in 0..3 {
            let before = now();
            let to = noc.path(&format!("backup-{n}"));
            let report = noc.json(&["backup", &to]);
            let after = now();
            let copy = Path::new(&to).join("noc.sqlite");
            let found = counters(&Connection::open(&copy).expect("opens"));
            for ((before, found), after) in before.iter().zip(found).zip(after) {
                assert!(*before <= found && found <= after + 1, "{before} {found} {after}");
            }
            assert!(!copy.with_extension("sqlite-wal").exists(), "one file, complete");
            let newest = "SELECT max(version) FROM refinery_schema_history";
            let newest: u32 =
                Connection::open(&copy).expect("opens").query_row(newest, [], |row| row.get(0)).expect("a version");
            assert_eq!(report["schema"], newest);
            for entry in std::fs::read_dir(&to).expect("a folder") {
                let path = entry.expect("an entry").path();
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
            assert_eq!(mode(Path::new(&to)), 0o700);
            let sums = std::process::Command::new("sha256sum")
                .args(["--check", "--strict", "SHA256SUMS"])
                .current_dir(&to)
                .output()
                .expect("sha256sum runs");
            assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stderr));
        }
        assert!(first.iter().zip(now()).all(|(first, last)| *first < last), "everybody's beats went on meanwhile");
        noc
    });
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = beating.join_next().await {
        ended.expect("every beat was taken");
    }
    assert!(noc.good(&["audit", "search", "--action", "backup.take"]).contains("backup-2"));

    // What comes after the backup is lost with the machine.
    let backup = noc.path("backup-2");
    let lost = console.configure(site, &devices[..1]).await[0];
    let known: Changes = console.http.get("console/changes").await.expect("answered");
    let (mut noc, sent) = (noc, now());
    noc.cut_power();
    std::fs::remove_dir_all(noc.dir()).expect("the machine is lost");
    let mut back = Served::empty(noc.port);
    let told = back.good(&["restore", &backup]);
    assert!(told.contains("Next: `muster-noc serve`") && told.contains(&back.address()), "{told}");
    assert!(back.good(&["audit", "verify"]).contains("are as they were written"));
    back.serve(&[]);
    for http in https.iter().chain([&console.http]) {
        http.reconnect().await;
    }
    for ((http, seq), counter) in https.iter().zip(&seqs).zip(&sent) {
        let answer: BeatAnswer = http.post("appliances/beats", &beat(1, counter + 1, *seq)).await.expect("goes on");
        assert_eq!(answer.interval_s, 5);
    }
    assert_eq!(counters(&back.database()), sent.iter().map(|count| count + 1).collect::<Vec<_>>());
    let next = console.configure(site, &devices[..1]).await[0];
    assert!(lost.0 < 10 && next.0 > 1_000, "{next} is far above {lost}");
    let changes: Changes =
        console.http.get(&format!("console/changes?after={}", known.revision)).await.expect("answered");
    assert!(changes.reset && changes.revision > known.revision, "what it knows is of the database that was lost");
    let again: Changes =
        console.http.get(&format!("console/changes?after={}", changes.revision - 1)).await.expect("ok");
    assert!(!again.reset, "and from here on it follows");
}

#[tokio::test]
async fn what_waited_in_a_backup_is_taken_back_and_no_number_is_given_twice() {
    let mut noc = Served::start();
    let Fleet { site, console, devices, seqs, https } = Fleet::of(&noc, 2).await;
    for (http, seq) in https.iter().zip(&seqs) {
        http.post::<BeatAnswer>("appliances/beats", &beat(1, 1, *seq)).await.expect("taken");
    }
    let uid = devices[0].uid.to_string();
    noc.good(&["queue", "refresh", "--console", "1"]);
    noc.good(&["appliance", "reboot", &uid]);
    noc.good(&["appliance", "configure", &uid, "--address", "10.20.0.77"]);
    noc.good(&["handover", "start"]);
    let backup = noc.path("backup");
    noc.good(&["backup", &backup]);
    // Numbers that the lost NOC gives later.
    let later = noc.console(site).await;
    assert_eq!(later.enrolled.console.0, 2);

    noc.cut_power();
    let mut back = Served::empty(noc.port);
    let changed = back.json(&["restore", &backup])["changed"].clone();
    for (what, count) in [("messages", 1), ("instructions", 1), ("grants", 1)] {
        assert_eq!(changed[what], count, "{what}: {changed}");
    }
    // One of the console's that was not used, and one that was made to learn the pin.
    assert!(changed["invites"].as_u64() >= Some(1), "{changed}");
    assert_eq!((changed["handover"].as_bool(), changed["sessions"].as_u64()), (Some(true), Some(0)));
    back.serve(&[]);
    for http in [&https[0], &later.http, &console.http] {
        http.reconnect().await;
    }
    let answer: BeatAnswer = https[0].post("appliances/beats", &beat(1, 2, seqs[0])).await.expect("taken");
    assert_eq!(answer.work, Work::default(), "nothing goes out by itself");
    let waiting = back.json(&["queue", "show"]);
    assert_eq!((waiting[0]["state"].as_str(), waiting[0]["code"].as_str()), (Some("cancelled"), Some("restored")));
    assert!(back.good(&["handover", "show"]).contains("Called off"));
    let next = back.console(site).await;
    assert!(next.enrolled.console.0 > 1_000, "{}", next.enrolled.console);
    assert_eq!(code(later.http.get::<Vec<Site>>("console/sites").await), "console_unknown", "it is nobody else now");
    console.http.get::<Vec<Site>>("console/sites").await.expect("one of the backup goes on");
    // The same backup once more, somewhere else: later, so above all that the first one gives.
    let second = Served::empty(0);
    assert!(
        second.json(&["restore", &backup])["changed"]["seq_floor"].as_u64() >= changed["seq_floor"].as_u64(),
        "numbers follow the clock"
    );
}

/// Makes the list of checksums fit again.
fn sum_anew(backup: &Path) {
    let names = ["noc.toml", "root.key", "ca.key", "ca.pem", "noc.sqlite", "audit.anchor", "backup.json"];
    let there = names.into_iter().filter(|name| backup.join(name).exists());
    let output =
        std::process::Command::new("sha256sum").args(there).current_dir(backup).output().expect("sha256sum runs");
    std::fs::write(backup.join("SHA256SUMS"), output.stdout).expect("written");
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn a_backup_that_is_no_whole_one_is_refused_and_leaves_nothing() {
    let noc = Served::stopped();
    noc.site();
    noc.good(&["audit", "anchor"]);
    let good = noc.folder.path().join("good");
    noc.good(&["backup", good.to_str().expect("UTF-8")]);
    let bad = noc.folder.path().join("bad");
    let back = Served::empty(0);
    let from = bad.to_str().expect("UTF-8");
    let refused = |what: &str, code: &str, says: &str| {
        let error = back.bad(&["restore", from]);
        assert!(
            error.contains(&format!("[{code}]")) && error.contains(says) && error.contains("what to do"),
            "{what}: {error}"
        );
        assert!(!back.dir().exists(), "{what}: nothing is left");
    };
    let change = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        copy(&good, &bad);
        let path = bad.join(name);
        std::fs::write(&path, change(std::fs::read(&path).expect("read"))).expect("written");
    };
    for name in ["noc.toml", "root.key", "ca.key", "ca.pem", "noc.sqlite", "audit.anchor"] {
        change(name, &|bytes| bytes[..bytes.len() / 2].to_vec());
        refused("cut", "backup_damaged", name);
        change(name, &|mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        });
        refused("one bit", "backup_damaged", name);
        std::fs::remove_file(bad.join(name)).expect("removed");
        refused("missing", "backup_damaged", "it is missing");
    }
    change("SHA256SUMS", &|bytes| bytes[..bytes.len() - 20].to_vec());
    refused("a cut list", "backup_damaged", "SHA256SUMS");
    change("SHA256SUMS", &|_| vec![0xff, 0xfe]);
    refused("no text", "backup_damaged", "it is no text");
    change("backup.json", &|_| b"{".to_vec());
    refused("no manifest", "backup_damaged", "backup.json");
    std::fs::remove_file(bad.join("SHA256SUMS")).expect("removed");
    refused("no list", "no_backup", "is no backup");
    std::fs::remove_dir_all(&bad).expect("removed");
    refused("nothing", "no_backup", "is no backup");

    let manifest = |change: &dyn Fn(&mut serde_json::Value)| {
        copy(&good, &bad);
        let path = bad.join("backup.json");
        let mut manifest = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
        change(&mut manifest);
        std::fs::write(path, manifest.to_string()).expect("written");
        sum_anew(&bad);
    };
    for (what, value) in [("format", 2), ("schema", 99)] {
        manifest(&|manifest| {
            manifest[what] = value.into();
            manifest["program"] = "9.1.0".into();
        });
        refused(what, "backup_newer", "Install muster-noc 9.1.0 or later");
    }
    manifest(&|manifest| manifest["taken"] = 9_000_000_000u64.into());
    refused("a clock that is behind", "clock_behind", "Set the clock");

    // With checksums that fit.
    let alter = |sql: &str| {
        copy(&good, &bad);
        let db = Connection::open(bad.join("noc.sqlite")).expect("opens");
        db.execute_batch(sql).expect("SQL");
        db.close().expect("closed");
        sum_anew(&bad);
    };
    alter("PRAGMA foreign_keys = OFF; INSERT INTO console_sites VALUES (77, 1)");
    refused("a reference to nothing", "backup_damaged", "console_sites");
    alter(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (99, 'x', '2026-01-01T00:00:00Z', '1')",
    );
    refused("a later database than it says", "migration_failed", "a program at least as new");
    alter("UPDATE noc SET root = zeroblob(32)");
    refused("a database of another root", "folder_mixed", "root.key");
    change("noc.sqlite", &|mut bytes| {
        bytes[4096..8192].fill(0x5a);
        bytes
    });
    sum_anew(&bad);
    refused("a page that is damaged", "backup_damaged", "noc.sqlite");

    // And the good one, but not over anything, and not at one address with the former NOC.
    let good = good.to_str().expect("UTF-8");
    for (address, code) in [("https://noc", "bad_address"), ("noc:0", "bad_address"), (&noc.address(), "same_address")]
    {
        let error = back.bad(&["restore", good, "--new-keys", address]);
        assert!(error.contains(&format!("[{code}]")) && !back.dir().exists(), "{address}: {error}");
    }
    let error = noc.bad(&["restore", good]);
    assert!(error.contains("[folder_not_empty]"), "{error}");
    std::fs::create_dir(back.dir()).expect("a folder");
    std::fs::write(back.dir().join("note"), "").expect("written");
    assert!(back.bad(&["restore", good]).contains("[folder_not_empty]"));
    std::fs::remove_file(back.dir().join("note")).expect("removed");
    assert!(back.good(&["restore", good]).contains("0 messages"), "an empty folder will do");
    assert!(back.good(&["site", "list"]).contains("Bern"));
}

#[test]
fn a_backup_overwrites_nothing_and_a_damaged_database_is_not_kept_as_one() {
    let noc = Served::stopped();
    noc.site();
    let to = noc.path("backup");
    noc.good(&["backup", &to]);
    assert!(noc.bad(&["backup", &to]).contains("[backup_exists]"));
    let nowhere = noc.path("none/backup");
    assert!(noc.bad(&["backup", &nowhere]).contains("[backup_unwritable]"));
    let other = noc.path("other");
    std::fs::create_dir(noc.path("other.partial")).expect("a folder");
    let error = noc.bad(&["backup", &other]);
    assert!(error.contains("[backup_unfinished]") && error.contains("other.partial"), "{error}");
    std::fs::remove_dir(noc.path("other.partial")).expect("removed");

    // On a disk with room for the keys only.
    let script = "mount -t tmpfs -o size=100k none \"$1\" && \"$0\" backup \"$1/full\" --dir \"$2\"; ls -A \"$1\"";
    let disk = noc.path("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let full = std::process::Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_muster-noc"), &disk])
        .arg(noc.dir())
        .output()
        .expect("unshare runs");
    let error = String::from_utf8_lossy(&full.stderr);
    assert!(error.contains("[backup_unwritable]") && error.contains("no storage space"), "{error}");
    assert_eq!(String::from_utf8_lossy(&full.stdout), "", "nothing is left");

    let db = noc.database();
    db.execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO console_sites VALUES (77, 1)").expect("SQL");
    db.close().expect("closed");
    let error = noc.bad(&["backup", &other]);
    assert!(error.contains("[database_damaged]") && error.contains("what to do"), "{error}");
    assert!(!Path::new(&other).exists() && !Path::new(&noc.path("other.partial")).exists());
    std::fs::remove_file(noc.dir().join("ca.pem")).expect("removed");
    assert!(noc.bad(&["backup", &other]).contains("[folder_unreadable]"));
}
