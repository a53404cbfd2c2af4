//! The seed's bootstrap, whole, on real Linux hosts: a bare appliance gets settings, a kick-start and its application, and reports
//! what that does. The package is a real one, installed by the real dpkg into the appliance's own files.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::process::succeed;

/// The service that a package starts, ended with the test.
struct Service(PathBuf);

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.0) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

/// A package with a service that counts, and what starts and stops it.
fn package(folder: &Path, version: &str, starts: bool) -> String {
    let tree = folder.join(version);
    let script = |path: &str, text: &str| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        succeed(Command::new("chmod").arg("755").arg(&path));
    };
    let control = format!(
        "Package: mail-filter\nVersion: {version}\nArchitecture: all\nMaintainer: Lab <lab@example.org>\nDescription: counts\n"
    );
    script("DEBIAN/control", &control);
    let service = format!(
        "#!/bin/sh
echo $$ >$1/run/mail-filter.pid
count=0
while :; do
    count=$((count + 1))
    echo \"mail_filter_messages_total{{version=\\\"{version}\\\"}} $count\" >$1/run/mail-filter.new
    mv $1/run/mail-filter.new $1/run/muster/counters.d/mail-filter.prom
    sleep 0.2
done
"
    );
    script("usr/lib/mail-filter/service", &service);
    let start = if starts {
        "\"$DPKG_ROOT/usr/lib/mail-filter/service\" \"$DPKG_ROOT\" </dev/null >/dev/null 2>&1 &"
    } else {
        "echo no database >&2; exit 1"
    };
    script("DEBIAN/postinst", &format!("#!/bin/sh\nset -e\n{start}\n"));
    script("DEBIAN/prerm", "#!/bin/sh\nkill $(cat \"$DPKG_ROOT/run/mail-filter.pid\") || true\n");
    let file = folder.join(format!("{version}.deb"));
    succeed(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&file));
    file.display().to_string()
}

/// The NOC's repository, its root's keys made beside it.
fn begin_repository(lab: &Lab) {
    let path = |name: &str| lab.folder().join(name).display().to_string();
    let noc =
        |words: &[&str]| succeed(lab.at("noc", "muster-noc").args(words).arg("--dir").arg(lab.folder().join("noc")));
    let offline = |words: &[&str]| succeed(lab.at("noc", "muster-noc").args(words));
    fs::write(path("online.json"), noc(&["component", "keys"])).expect("written");
    let (online, out) = (path("online.json"), path("root"));
    let made = ["component", "root", "new", "--keys", "2", "--threshold", "2", "--online", &online, "--out", &out];
    offline(&made);
    let root = format!("{out}/1.root.json");
    for number in [1, 2] {
        offline(&["component", "root", "sign", "--key", &format!("{out}/root-1-{number}.key"), &root]);
    }
    noc(&["component", "init", &root]);
}

fn require(lab: &Lab, file: &str, version: &str) {
    let add = ["component", "add", file, "--name", "mail-filter", "--version", version, "--kind", "deb"];
    lab.at_noc(&add);
    lab.at_noc(&["component", "promote", "mail-filter", version]);
}

fn counter(shown: &Value, version: &str) -> Option<f64> {
    shown["beat"]["counters"].get(format!("mail_filter_messages_total{{version=\"{version}\"}}"))?.as_f64()
}

#[test]
fn a_bare_namespace_ends_with_a_real_package_running_and_beating_its_counters() {
    let mut lab = Lab::new("k");
    // The process without rights reads the counters.
    fs::set_permissions(lab.folder(), fs::Permissions::from_mode(0o755)).expect("set");
    let root = lab.folder().join("a1");
    let image = format!(
        "user = \"64078\"\n[components]\nfolder = \"{0}/opt/muster\"\nkinds = [\"deb\"]\n\
         dpkg = [\"dpkg\", \"--root={0}\", \"--force-script-chrootless\"]\n",
        root.display()
    );
    let manifest = lab.add_appliances(&[(Before { address: None, rp_filter: 1 }, &image)]);
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(folder)).expect("made");
    }
    for file in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(file), "").expect("written");
    }
    let _service = Service(root.join("run/mail-filter.pid"));
    lab.start_noc(&site(&[]), &manifest);
    begin_repository(&lab);
    let packages = lab.folder().join("packages");
    require(&lab, &package(&packages, "1.0", true), "1.0");
    let noc = lab.folder().join("noc");
    let stable = ["component", "require", "mail-filter", "--channel", "stable", "--dir"];
    succeed(lab.at("noc", "muster-noc").args(stable).arg(&noc));

    // One pass, and no further touch.
    lab.start_agent(1);
    lab.configure_all();
    let shown = lab.until_noc_shows(1, "the application's counters", |shown| counter(shown, "1.0").is_some());
    let first = counter(&shown, "1.0").expect("it counts");
    let component = |shown: &Value| shown["beat"]["components"][0].clone();
    let shown = lab.until_noc_shows(1, "more of them", |shown| counter(shown, "1.0") > Some(first));
    assert_eq!(
        (&component(&shown)["state"], &component(&shown)["running"]),
        (&"installed".into(), &"1.0".into()),
        "{shown}"
    );

    // A version that does not come up: the one before is back, runs, and counts.
    require(&lab, &package(&packages, "2.0", false), "2.0");
    let shown = lab.until_noc_shows(1, "the failure", |shown| component(shown)["state"] == "failed");
    let problem = component(&shown)["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem.starts_with("install: ") && problem.contains("no database"), "{problem}");
    let before = counter(&shown, "1.0");
    lab.until_noc_shows(1, "the former version again", |shown| {
        counter(shown, "1.0").is_some() && counter(shown, "1.0") != before && component(shown)["running"] == "1.0"
    });

    // And a third one, which does.
    require(&lab, &package(&packages, "3.0", true), "3.0");
    lab.until_noc_shows(1, "the third version", |shown| {
        counter(shown, "3.0").is_some() && component(shown)["state"] == "installed"
    });
    let status = lab.agent_status(1);
    assert_eq!(
        (&status["components"][0]["name"], &status["components"][0]["running"]),
        (&"mail-filter".into(), &"3.0".into()),
        "{status}"
    );
}
