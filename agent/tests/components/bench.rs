//! An installer on a bench: the real one, with a folder of its own and a repository behind it.

use crate::repository::{NOW, Repository, secret};
use muster_agent::installer::config::ComponentsConfig;
use muster_agent::installer::local::LocalInstaller;
use muster_agent::installer::{Installer, Order, Part, Supply, Taken, Want, Wanted};
use muster_agent::storage::{MemoryStorage, Storage};
use muster_protocol::api::{ComponentPlan, ComponentReport, ComponentState};
use muster_protocol::id::Uid;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const UID: Uid = Uid([7; 20]);

pub(crate) struct Bench<S: Storage + Clone = MemoryStorage> {
    folder: TempDir,
    pub(crate) config: ComponentsConfig,
    pub(crate) storage: S,
    pub(crate) installer: LocalInstaller<S>,
    /// Bytes that the network gave in all.
    pub(crate) given: u64,
    pub(crate) wants: Vec<Want>,
}

impl Bench {
    pub(crate) fn new(change: impl FnOnce(&mut ComponentsConfig, &Path)) -> Bench {
        Bench::on(MemoryStorage::default(), change)
    }
}

impl<S: Storage + Clone> Bench<S> {
    pub(crate) fn on(storage: S, change: impl FnOnce(&mut ComponentsConfig, &Path)) -> Bench<S> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = ComponentsConfig { folder: folder.path().join("components"), ..ComponentsConfig::default() };
        change(&mut config, folder.path());
        config.check().expect("fits together");
        let installer = LocalInstaller::open(Some(config.clone()), UID, storage.clone()).expect("opens");
        Bench { folder, config, storage, installer, given: 0, wants: Vec::new() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What the file below the folder of components holds.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.config.folder.join(path)).ok()
    }

    /// As after a power cut.
    pub(crate) fn restart(&mut self) {
        let opened = LocalInstaller::open(Some(self.config.clone()), UID, self.storage.clone());
        self.installer = opened.expect("opens");
    }

    pub(crate) fn take(&mut self, plan: &ComponentPlan) {
        self.take_at(plan, NOW);
    }

    pub(crate) fn take_at(&mut self, plan: &ComponentPlan, time: u64) {
        self.installer.take(Order { owner: secret(1).public().to_base64(), time, plan: plan.clone() });
    }

    /// Supplies what is wanted until nothing is.
    pub(crate) fn supply(&mut self, repository: &Repository) {
        let late = Instant::now() + Duration::from_secs(60);
        loop {
            match self.installer.wanted() {
                Wanted::Nothing => return,
                Wanted::Later => std::thread::sleep(Duration::from_millis(2)),
                Wanted::File(want) => self.give(repository, want),
            }
            assert!(Instant::now() < late, "{:?}", self.installer.reports());
        }
    }

    fn give(&mut self, repository: &Repository, want: Want) {
        let contents = repository.files.get(&want.path);
        let from = usize::try_from(want.from).expect("small");
        let rest = contents.map(|contents| contents.get(from..).unwrap_or_default());
        let parts: Vec<Part> = match rest {
            None => vec![Part::Missing],
            Some(rest) => rest.chunks(500).map(|part| Part::Bytes(part.to_vec())).chain([Part::End]).collect(),
        };
        for part in parts {
            let length = if let Part::Bytes(bytes) = &part { bytes.len() as u64 } else { 0 };
            match self.offer(want.number, part) {
                Taken::More => self.given += length,
                _ => break,
            }
        }
        self.wants.push(want);
    }

    fn offer(&self, number: u64, part: Part) -> Taken {
        loop {
            match self.installer.supply(Supply { number, part: part.clone() }) {
                Taken::Full => std::thread::sleep(Duration::from_millis(1)),
                taken => return taken,
            }
        }
    }

    /// Takes a plan and carries it out; how its only component stands.
    pub(crate) fn carry_out(&mut self, repository: &Repository, plan: &ComponentPlan) -> ComponentReport {
        self.take(plan);
        self.supply(repository);
        self.report()
    }

    pub(crate) fn report(&self) -> ComponentReport {
        let mut reports = self.installer.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0)
    }

    /// Refused for this reason, and nothing has changed: version 1.0 is in force.
    pub(crate) fn refuses(&mut self, repository: &Repository, plan: &ComponentPlan, code: &str) {
        let report = self.carry_out(repository, plan);
        let problem = report.problem.unwrap_or_default();
        assert!(problem.starts_with(&format!("{code}: ")), "{code} and not {problem:?}");
        assert_ne!(report.state, ComponentState::Installed);
        assert_eq!(report.running.as_deref(), Some("1.0"));
        assert_eq!(self.read("filter/current/text").as_deref(), Some("1.0"));
    }
}

/// An archive of a component: its version as text, and a health program that does what `check` says.
pub(crate) fn archive(version: &str, check: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, contents, mode) in
        [("text", version.to_owned(), 0o644), ("bin/check", format!("#!/bin/sh\n{check}\n"), 0o755)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(mode);
        tar.append_data(&mut header, path, contents.as_bytes()).expect("written");
    }
    let mut gzip = tar.into_inner().expect("a tar");
    gzip.flush().expect("written");
    gzip.finish().expect("packed")
}

pub(crate) fn target(version: &str) -> String {
    format!("filter_{version}.tar.gz")
}

/// Adds a version of the component `filter`, healthy if `check` is, and publishes it.
pub(crate) fn publish(repository: &mut Repository, version: &str, check: &str) {
    let health = json!({"command": ["bin/check"], "within_s": 1});
    let muster = json!({"name": "filter", "version": version, "kind": "archive", "health": health});
    repository.add(&target(version), &archive(version, check), muster);
    repository.publish();
}

/// A plan for a version of it.
pub(crate) fn plan(repository: &Repository, version: &str) -> ComponentPlan {
    repository.plan(&format!("want {version}"), &[("filter", version, &target(version))])
}

/// A bench with version 1.0 in force, and its repository.
pub(crate) fn with_first_version() -> (Bench, Repository) {
    let (mut bench, mut repository) = (Bench::new(|_, _| {}), Repository::new());
    publish(&mut repository, "1.0", "true");
    let report = bench.carry_out(&repository, &plan(&repository, "1.0"));
    assert_eq!((report.state, report.problem), (ComponentState::Installed, None));
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"));
    (bench, repository)
}
