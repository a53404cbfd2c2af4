//! System calls of a real agent fail: it says FAILED with the reason, keeps what it had, goes on answering, and takes the next
//! configuration (decision 0021). `make soak-power` lets every call fail in every way.

use muster_protocol::wire::here::State;
use muster_protocol::wire::result::{Reason, Status};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use system_tests::power::faults;
use system_tests::power::story::{AFTER, FORMER, LATEST, Story, looks_like, settle};
use system_tests::power::victim::{Start, Victim};
use system_tests::process::succeed;

/// How many faults of the story; spread over all.
const FAULTS: usize = 28;

#[test]
fn whatever_call_fails_the_former_state_stays_and_the_agent_goes_on() {
    let mut victim = Victim::new("fc");
    let rehearsal = Story::Change.rehearse(&mut victim).expect("the story goes well without a fault");
    let all = faults::all(&rehearsal);
    for fault in all.iter().step_by(all.len().div_ceil(FAULTS)) {
        fault.carry_out(&rehearsal, &mut victim).expect("reported, and nothing lost");
    }
}

/// A file system of its own for a folder; gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path, blocks: u32) -> Disk {
        fs::create_dir_all(folder).expect("a folder");
        let inside = tempfile::tempdir().expect("a folder");
        // What is there stays there.
        succeed(Command::new("cp").arg("-a").arg(folder.join(".")).arg(inside.path()));
        let size = format!("size={}k,mode=755", 4 * blocks);
        succeed(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder));
        succeed(Command::new("cp").arg("-a").arg(inside.path().join(".")).arg(folder));
        Disk(folder.to_owned())
    }

    fn remount(&self, how: &str) {
        succeed(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0));
    }

    /// Takes every block that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let error = fs::write(&path, vec![1; 1 << 20]).expect_err("more than there is");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A configured appliance whose `folder` is a disk of its own.
fn on_a_disk(name: &str, folder: &str) -> (Victim, Disk) {
    let mut victim = Victim::new(name);
    let disk = Disk::mount(&victim.root.join(folder), 32);
    victim.label();
    victim.start(&Start::default());
    victim.configure(1, FORMER).expect("configured");
    settle(&mut victim, State::Configured, Some(FORMER)).expect("settled");
    // The disk goes first, for a folder that something is mounted on cannot be removed.
    (victim, disk)
}

/// What the console hears of settings that cannot be applied; what was there before is there after.
fn refused(victim: &mut Victim, seq: u64) -> (Reason, Option<String>) {
    let before = victim.picture();
    let here = victim.ask().expect("it answers");
    let sent = victim.packet(&here, seq, LATEST);
    let status = victim.deliver(&sent.bytes, &sent);
    let Some(Status::Failed { reason, detail, next_key }) = status else { panic!("{status:?}\n{}", victim.said()) };
    assert!(next_key.is_some(), "the console may try again");
    looks_like(victim, &[&before]).expect("as it was").expect("it runs");
    (reason, detail)
}

fn recovers(victim: &mut Victim, seq: u64) {
    victim.configure(seq, AFTER).expect("the fault is over");
    settle(victim, State::Configured, Some(AFTER)).expect("settled");
    let after = victim.picture();
    assert_eq!(after.host_name, format!("mail-{AFTER}"));
    victim.kill();
    victim.start(&Start::default());
    looks_like(victim, &[&after]).expect("it lasts").expect("it runs");
}

#[test]
fn a_full_state_folder_refuses_before_anything_changes() {
    let (mut victim, disk) = on_a_disk("ds", "var/lib/muster");
    let filler = disk.fill();
    assert_eq!(refused(&mut victim, 2).0, Reason::Storage);
    assert_eq!(refused(&mut victim, 3).0, Reason::Storage);
    fs::remove_file(filler).expect("removed");
    recovers(&mut victim, 4);
}

#[test]
fn a_full_disk_of_the_system_is_reported_with_the_file_and_everything_stays() {
    let (mut victim, disk) = on_a_disk("de", "etc");
    let filler = disk.fill();
    let (reason, detail) = refused(&mut victim, 2);
    assert_eq!(reason, Reason::Storage);
    let detail = detail.expect("says what");
    assert!(detail.contains("/etc/"), "{detail}");
    fs::remove_file(filler).expect("removed");
    recovers(&mut victim, 3);
}

#[test]
fn a_read_only_system_is_reported_and_everything_stays() {
    for folder in ["var/lib/muster", "etc"] {
        let (mut victim, disk) = on_a_disk("dr", folder);
        // Started again, it has no file open to write to, which would keep the disk as it is.
        victim.kill();
        victim.start(&Start::default());
        victim.ask().expect("it answers");
        disk.remount("ro");
        assert_eq!(refused(&mut victim, 2).0, Reason::Storage, "{folder}");
        // As after a power cut on a disk with errors.
        victim.kill();
        victim.start(&Start::default());
        let (reason, detail) = refused(&mut victim, 3);
        assert_eq!(reason, Reason::Storage, "{folder}");
        assert!(folder != "etc" || detail.as_ref().is_some_and(|detail| detail.contains("/etc/")), "{detail:?}");
        disk.remount("rw");
        recovers(&mut victim, 4);
    }
}

#[test]
fn an_agent_whose_log_cannot_be_written_goes_on() {
    let mut victim = Victim::new("fl");
    victim.label();
    victim.start(&Start { log: Some("/dev/full".into()), ..Start::default() });
    victim.configure(1, FORMER).expect("configured");
    assert!(settle(&mut victim, State::Configured, Some(FORMER)).expect("settled"));
    assert_eq!(victim.ended(), None);
}
