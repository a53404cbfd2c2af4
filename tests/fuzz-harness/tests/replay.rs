//! The committed corpora and every input that ever made a target fail, without a fuzzer.

use muster_fuzz_harness::machines::{appliance, beat, beat_watch, delivery, discovery};
use muster_fuzz_harness::parsers::{bodies, datagram, saved, sealed, signed, tables, texts};
use muster_fuzz_harness::{TARGETS, reached};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Allocations are counted for the whole process: one at a time, should the tests share one.
static ALONE: Mutex<()> = Mutex::new(());

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder that can be listed").path()).collect();
    files.sort();
    files
}

/// Runs a target over its corpus and its regressions; `places` are those that some of these must reach.
fn replay(name: &str, run: fn(&[u8]), places: &[&'static str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    reached::take();
    let corpus = files(&fuzz().join("corpus").join(name));
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for file in corpus.iter().chain(&files(&fuzz().join("regressions").join(name))) {
        let input = std::fs::read(file).expect("a kept input");
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&input)));
        assert!(outcome.is_ok(), "{} fails: {}", name, file.display());
    }
    let reached = reached::take();
    let missed: Vec<_> = places.iter().filter(|place| !reached.contains(*place)).collect();
    assert!(missed.is_empty(), "no input of {name} reaches {missed:?} any more: `make fuzz-seeds` writes new ones");
}

#[test]
fn datagrams_as_they_arrive() {
    replay("datagram", datagram::run, &[]);
}

#[test]
fn bodies_behind_signatures() {
    replay("signed", signed::run, &[&signed::LAYERS[..], &["settings"]].concat());
}

#[test]
fn what_is_sealed() {
    replay("sealed", sealed::run, &[&sealed::LAYERS[..], &["claim", "pinned"]].concat());
}

#[test]
fn documents_on_disk() {
    replay("saved", saved::run, &[&saved::DOCUMENTS[..], &["rolled back"]].concat());
}

#[test]
fn json_bodies_of_the_noc() {
    replay("bodies", bodies::run, &bodies::BODIES.map(|(name, _)| name));
}

#[test]
fn typed_texts() {
    replay("texts", texts::run, &texts::TEXTS.map(|(name, _)| name));
}

#[test]
fn imported_files() {
    replay("tables", tables::run, &tables::FILES.map(|(name, _)| name));
}

#[test]
fn the_appliance() {
    let refusals = ["key_unknown", "not_opened", "wrong_root", "wrong_console", "wrong_appliance", "voucher_refused"];
    let places = ["applied", "committed", "rolled back", "settings told", "request_reused", "busy"];
    let from_noc = [
        "instructed",
        "forgets",
        "decommissioned",
        "handover tried",
        "handed over",
        "farewell",
        "granted by a successor",
    ];
    replay("appliance", appliance::run, &[&places[..], &refusals, &["old_sequence"], &from_noc].concat());
}

#[test]
fn the_delivery() {
    replay("delivery", delivery::run, &["configured", "failed", "no answer", "cancelled"]);
}

#[test]
fn the_discovery() {
    replay("discovery", discovery::run, &["heard", "settings", "finished"]);
}

#[test]
fn the_beat() {
    replay("beat", beat::run, &["first", "again", "measured"]);
}

#[test]
fn the_beat_watch() {
    replay("beat_watch", beat_watch::run, &["silent", "never reported", "site alert"]);
}

#[test]
fn every_target_is_built_and_every_kept_input_belongs_to_one() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("the fuzz package");
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "tests/fuzz/Cargo.toml has no [[bin]] {name}");
    }
    for folder in ["corpus", "regressions"].into_iter().flat_map(|kind| files(&fuzz().join(kind))) {
        let name = folder.file_name().expect("a folder").to_string_lossy().into_owned();
        assert!(names.contains(&name), "{} belongs to no target", folder.display());
    }
}
