//! A disk that is full before, or gets full in the middle: said clearly, nothing is broken, and it goes on once there is room.

use crate::bench::{Bench, plan, publish, target};
use crate::namespaces::{inside_with, run};
use crate::repository::Repository;
use flate2::Compression;
use flate2::write::GzEncoder;
use muster_protocol::api::ComponentState;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const MEBI: usize = 1024 * 1024;

/// An archive that takes so much when it is unpacked, and little before.
fn large(bytes: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "large", &vec![0; bytes][..]).expect("written");
    tar.into_inner().expect("a tar").finish().expect("packed")
}

fn refuses_for_want_of_space(bench: &mut Bench, repository: &Repository, revision: &str) {
    let plan = repository.plan(revision, &[("filter", "2.0", &target("2.0"))]);
    let report = bench.carry_out(repository, &plan);
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Waiting, Some("1.0")));
    let problem = report.problem.expect("why");
    assert!(problem.starts_with("no_space: ") && problem.contains("Make room"), "{problem}");
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"));
    let folder = &bench.config.folder;
    assert_eq!(fs::read_dir(folder.join("filter")).expect("there").count(), 2, "1.0 and its link");
    assert!(!folder.join(".side/tree").exists(), "and the room is given back");
}

/// Needs root, as CI has: a disk of its own for the test.
#[test]
fn a_full_disk_breaks_nothing_and_is_gone_on_with_once_there_is_room() {
    if !inside_with("full_disk::a_full_disk_breaks_nothing_and_is_gone_on_with_once_there_is_room", &["--mount"]) {
        return;
    }
    let mut bench = Bench::new(|config, _| {
        fs::create_dir_all(&config.folder).expect("made");
        mount(&config.folder, "size=40m");
    });
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let report = bench.carry_out(&repository, &plan(&repository, "1.0"));
    assert_eq!((report.state, report.problem), (ComponentState::Installed, None));
    let mut offer = |unpacked: Value| {
        let muster = json!({"name": "filter", "version": "2.0", "kind": "archive", "unpacked": unpacked});
        repository.add(&target("2.0"), &large(60 * MEBI), muster);
        repository.publish();
        repository.clone()
    };
    // Looked at before; and when the repository does not tell the truth about its size, in the middle.
    let told = offer(json!(60 * MEBI));
    bench.wants.clear();
    refuses_for_want_of_space(&mut bench, &told, "before");
    assert!(bench.wants.iter().all(|want| want.path.starts_with("metadata/")), "nothing was downloaded");
    let untold = offer(json!(1));
    refuses_for_want_of_space(&mut bench, &untold, "in the middle");
    mount(&bench.config.folder, "remount,size=200m");
    let plan = untold.plan("room", &[("filter", "2.0", &target("2.0"))]);
    assert_eq!(bench.carry_out(&untold, &plan).state, ComponentState::Installed);
    run(&["umount", &bench.config.folder.display().to_string()]);
}

fn mount(folder: &Path, options: &str) {
    run(&["mount", "-t", "tmpfs", "-o", options, "none", &folder.display().to_string()]);
}
