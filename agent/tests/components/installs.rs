//! What is required is installed, watched, and rolled back.

use crate::bench::{Bench, archive, plan, publish, target, with_first_version};
use crate::repository::{NOW, Repository, secret};
use muster_agent::installer::local::LocalInstaller;
use muster_agent::installer::target::Kind;
use muster_agent::installer::{Installer, Order};
use muster_agent::storage::MemoryStorage;
use muster_protocol::api::ComponentState;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn versions_follow_each_other_and_the_one_before_is_kept() {
    let (mut bench, mut repository) = with_first_version();
    for version in ["2.0", "3.0"] {
        publish(&mut repository, version, "true");
        let report = bench.carry_out(&repository, &plan(&repository, version));
        assert_eq!((report.state, report.running.as_deref()), (ComponentState::Installed, Some(version)));
        assert_eq!(bench.read("filter/current/text").as_deref(), Some(version));
    }
    let kept: Vec<String> = fs::read_dir(bench.config.folder.join("filter"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.iter().any(|name| name.starts_with("2.0-")) && !kept.iter().any(|name| name.starts_with("1.0-")));
    assert_eq!(fs::read_dir(bench.config.folder.join(".side")).expect("there").count(), 0, "nothing is left beside");

    // Back to the one before, which is there: nothing is downloaded but metadata.
    bench.wants.clear();
    let back = repository.plan("back", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&repository, &back).state, ComponentState::Installed);
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("2.0"));
    assert!(bench.wants.iter().all(|want| want.path.starts_with("metadata/")), "{:?}", bench.wants);
}

#[test]
fn a_version_that_is_not_well_is_rolled_back_and_not_tried_again_until_the_plan_changes() {
    let (mut bench, mut repository) = with_first_version();
    publish(&mut repository, "2.0", "echo no database >&2; false");
    let wanted = plan(&repository, "2.0");
    let report = bench.carry_out(&repository, &wanted);
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")));
    let problem = report.problem.expect("why");
    assert!(problem.starts_with("unhealthy: ") && problem.contains("no database"), "{problem}");
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"));

    // Neither with the next beat nor after a restart.
    bench.wants.clear();
    bench.restart();
    assert!(!bench.installer.needs_plan(&secret(1).public(), NOW, &wanted.revision));
    bench.supply(&repository);
    assert_eq!((bench.wants.len(), bench.report().state), (0, ComponentState::Failed));
    assert!(bench.installer.needs_plan(&secret(1).public(), NOW, "another"));

    publish(&mut repository, "2.1", "test -f $(dirname $0)/../text");
    assert_eq!(bench.carry_out(&repository, &plan(&repository, "2.1")).state, ComponentState::Installed);
}

#[test]
fn a_first_version_that_is_not_well_leaves_nothing_in_force() {
    let (mut bench, mut repository) = (Bench::new(|_, _| {}), Repository::new());
    publish(&mut repository, "1.0", "false");
    let report = bench.carry_out(&repository, &plan(&repository, "1.0"));
    assert_eq!((report.state, report.running), (ComponentState::Failed, None));
    assert!(!bench.config.folder.join("filter/current").exists());
}

#[test]
fn one_component_that_fails_does_not_hold_up_the_others() {
    let (mut bench, mut repository) = (Bench::new(|_, _| {}), Repository::new());
    repository.add("bad_1.tar", b"no archive", json!({"name": "bad", "version": "1", "kind": "archive"}));
    publish(&mut repository, "1.0", "true");
    bench.take(&repository.plan("both", &[("bad", "1", "bad_1.tar"), ("filter", "1.0", &target("1.0"))]));
    bench.supply(&repository);
    let states: Vec<ComponentState> = bench.installer.reports().iter().map(|report| report.state).collect();
    assert_eq!(states, [ComponentState::Failed, ComponentState::Installed]);
}

#[test]
fn a_service_is_restarted_with_each_change_and_must_stay_active() {
    let unit = |bench: &Path, answer: &str| {
        vec!["sh".to_owned(), "-c".into(), format!("echo {answer} $0 >>{0}/log; test ! -e {0}/down", bench.display())]
    };
    let mut bench = Bench::new(|config, folder| {
        config.restart = unit(folder, "restart");
        config.restart[2] = format!("echo restart $0 >>{}/log", folder.display());
        config.active = unit(folder, "look");
    });
    let mut repository = Repository::new();
    let muster = |version: &str| json!({"name": "filter", "version": version, "kind": "archive", "unit": "filter.service", "health": {"within_s": 1}});
    for version in ["1.0", "2.0"] {
        repository.add(&target(version), &archive(version, "true"), muster(version));
    }
    repository.publish();
    assert_eq!(bench.carry_out(&repository, &plan(&repository, "1.0")).state, ComponentState::Installed);
    let log = fs::read_to_string(bench.path("log")).expect("a log");
    assert_eq!(log, "restart filter.service\nlook filter.service\nlook filter.service\nlook filter.service\n");
    fs::write(bench.path("down"), "").expect("written");
    let report = bench.carry_out(&repository, &plan(&repository, "2.0"));
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")));
    let log = fs::read_to_string(bench.path("log")).expect("a log");
    assert!(log.ends_with("restart filter.service\n") && log.matches("restart").count() == 3, "{log}");
}

/// A bench whose vendor's program keeps what it is told, refuses version 2.0, and everything while there is a file `down`; and a
/// repository of three versions.
fn with_a_program() -> (Bench, Repository) {
    let bench = Bench::new(|config, folder| {
        let program = folder.join("install");
        let script = format!(
            "#!/bin/sh
cat >{0}/told
cat {0}/told >>{0}/log
echo >>{0}/log
if [ -e {0}/down ]; then echo all is down >&2; exit 4; fi
if grep -q '\"version\":\"2.0\"' {0}/told; then echo too new >&2; exit 3; fi
",
            folder.display()
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        config.kinds = vec![Kind::Exec];
        config.exec = vec![program.display().to_string(), "--quiet".into()];
    });
    let mut repository = Repository::new();
    for version in ["1.0", "2.0", "3.0"] {
        let muster = json!({"name": "filter", "version": version, "kind": "exec"});
        repository.add(&target(version), version.as_bytes(), muster);
    }
    repository.publish();
    (bench, repository)
}

/// What the program was told: action, version, whether it is a roll-back.
fn told(bench: &Bench) -> Vec<(String, String, bool)> {
    let log = fs::read_to_string(bench.path("log")).expect("a log");
    let told = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    told.map(|told| {
        assert!(Path::new(&text(&told["file"])).is_file(), "it is kept");
        (text(&told["action"]), text(&told["version"]), told["roll_back"] == true)
    })
    .collect()
}

#[test]
fn a_vendors_program_gets_the_verified_file_and_its_failure_is_rolled_back() {
    let (mut bench, repository) = with_a_program();
    assert_eq!(bench.carry_out(&repository, &plan(&repository, "1.0")).state, ComponentState::Installed);
    let report = bench.carry_out(&repository, &plan(&repository, "2.0"));
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")));
    assert!(report.problem.is_some_and(|problem| problem.starts_with("install: ") && problem.contains("too new")));
    let install = |version: &str, roll_back| ("install".to_owned(), version.to_owned(), roll_back);
    assert_eq!(told(&bench), [install("1.0", false), install("2.0", false), install("1.0", true)]);
}

#[test]
fn a_roll_back_that_fails_is_made_up_for_before_anything_else() {
    let (mut bench, repository) = with_a_program();
    assert_eq!(bench.carry_out(&repository, &plan(&repository, "1.0")).state, ComponentState::Installed);
    fs::write(bench.path("down"), "").expect("written");
    let report = bench.carry_out(&repository, &plan(&repository, "3.0"));
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")));
    assert!(report.problem.is_some_and(|problem| problem.contains("all is down")));
    fs::remove_file(bench.path("down")).expect("removed");
    fs::remove_file(bench.path("log")).expect("removed");
    bench.restart();
    bench.supply(&repository);
    let again = repository.plan("again", &[("filter", "3.0", &target("3.0"))]);
    assert_eq!(bench.carry_out(&repository, &again).state, ComponentState::Installed);
    let install = |version: &str, roll_back| ("install".to_owned(), version.to_owned(), roll_back);
    assert_eq!(told(&bench), [install("1.0", true), install("3.0", false)]);
}

/// Needs root, as CI has: packages have owners. The database is the test's own.
#[test]
fn a_package_is_installed_and_the_former_one_comes_back_when_it_is_not_well() {
    let mut bench = Bench::new(|config, folder| {
        let root = folder.join("root");
        for part in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
            fs::create_dir_all(root.join(part)).expect("made");
        }
        fs::write(root.join("var/lib/dpkg/status"), "").expect("written");
        fs::write(root.join("var/lib/dpkg/available"), "").expect("written");
        config.kinds = vec![Kind::Deb];
        config.dpkg = vec!["dpkg".into(), format!("--root={}", root.display()), "--force-not-root".into()];
        // What a service manager would say.
        config.restart = vec!["true".into()];
        config.active =
            vec!["sh".into(), "-c".into(), format!("! grep -q 2.0 {}/usr/share/filter/text", root.display())];
    });
    let mut repository = Repository::new();
    for version in ["1.0", "2.0"] {
        let deb = package(&bench.path("build"), version);
        let muster = json!({"name": "filter", "version": version, "kind": "deb", "unit": "filter.service", "health": {"within_s": 1}});
        repository.add(&format!("filter_{version}.deb"), &deb, muster);
    }
    repository.publish();
    let plan = |version: &str| repository.plan(version, &[("filter", version, &format!("filter_{version}.deb"))]);
    let report = bench.carry_out(&repository, &plan("1.0"));
    assert_eq!((report.state, report.problem), (ComponentState::Installed, None));
    let text = bench.path("root/usr/share/filter/text");
    assert_eq!(fs::read_to_string(&text).expect("installed"), "1.0");
    let report = bench.carry_out(&repository, &plan("2.0"));
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")), "{report:?}");
    assert_eq!(fs::read_to_string(&text).expect("the former one"), "1.0");
    let status = fs::read_to_string(bench.path("root/var/lib/dpkg/status")).expect("a database");
    assert!(status.contains("Package: filter") && status.contains("Version: 1.0"), "{status}");

    // A first version that is not well is removed again.
    let mut anew = Bench::new(|config, _| *config = bench.config.clone());
    fs::remove_dir_all(&bench.config.folder).expect("removed");
    let report = anew.carry_out(&repository, &plan("2.0"));
    assert_eq!((report.state, report.running), (ComponentState::Failed, None));
    assert!(!text.exists());
}

/// A Debian package with one file, which holds its version.
pub(crate) fn package(folder: &Path, version: &str) -> Vec<u8> {
    let tree = folder.join(version);
    fs::create_dir_all(tree.join("DEBIAN")).expect("made");
    fs::create_dir_all(tree.join("usr/share/filter")).expect("made");
    fs::write(tree.join("usr/share/filter/text"), version).expect("written");
    let control = format!(
        "Package: filter\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: a component\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).expect("written");
    let file = folder.join(format!("{version}.deb"));
    let built =
        std::process::Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&file).output();
    let built = built.expect("dpkg-deb");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::read(file).expect("built")
}

#[test]
fn an_image_without_components_says_so_and_asks_for_nothing() {
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let off = LocalInstaller::open(None, crate::bench::UID, MemoryStorage::default()).expect("opens");
    assert!(off.reports().is_empty());
    off.take(Order { owner: secret(1).public().to_base64(), time: NOW, plan: plan(&repository, "1.0") });
    assert_eq!(off.wanted(), muster_agent::installer::Wanted::Nothing);
    let report = off.reports().remove(0);
    assert_eq!(report.state, ComponentState::Failed);
    assert!(
        report.problem.is_some_and(|problem| problem.starts_with("components_off: ") && problem.contains("agent.toml"))
    );
    assert!(!off.needs_plan(&secret(1).public(), NOW, "want 1.0"), "it has heard");
}

#[test]
fn the_smaller_limit_of_bandwidth_and_the_size_that_the_image_allows_count() {
    let mut bench = Bench::new(|config, _| {
        config.bandwidth = Some(5_000_000);
        config.max_bytes = 2_000;
    });
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let mut slow = plan(&repository, "1.0");
    slow.bandwidth = Some(9_000_000);
    assert_eq!(bench.carry_out(&repository, &slow).state, ComponentState::Installed);
    let of_targets =
        |bench: &Bench| bench.wants.iter().rfind(|want| want.path.starts_with("targets/")).expect("one").bandwidth;
    assert_eq!(of_targets(&bench), Some(5_000_000), "the image's");
    publish(&mut repository, "1.1", "true");
    let mut slow = plan(&repository, "1.1");
    slow.bandwidth = Some(1_000_000);
    assert_eq!(bench.carry_out(&repository, &slow).state, ComponentState::Installed);
    assert_eq!(of_targets(&bench), Some(1_000_000), "the plan's");

    let noise: Vec<u8> = (0..3_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    repository.add(&target("2.0"), &noise, json!({"name": "filter", "version": "2.0", "kind": "archive"}));
    repository.publish();
    let report = bench.carry_out(&repository, &plan(&repository, "2.0"));
    assert!(report.problem.is_some_and(|problem| problem.starts_with("too_large: ")));
}
