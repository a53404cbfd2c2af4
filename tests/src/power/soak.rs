//! One real agent that is configured again and again: it must not grow.

use super::tree::{Node, Tree};
use super::victim::{Start, Victim};
use std::fs;
use std::time::{Duration, Instant};

/// What an agent takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Resident memory.
    pub rss_kib: u64,
    /// Open files.
    pub fds: usize,
    /// Files below its root and in its state folder.
    pub files: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Soaked {
    /// How many configurations.
    pub reconfigurations: u64,
    /// After the first ones, when everything has been used once.
    pub first: Size,
    /// At the end.
    pub last: Size,
    /// How long it took.
    pub seconds: u64,
}

/// How many configurations an agent's allocator takes to find its size.
const WARM_UP: u64 = 25;
/// It opens one packet a second of its clock.
const SPEED: u32 = 100;

/// Configures an agent `reconfigurations` times. `tell` hears of every tenth part.
///
/// # Panics
/// If a configuration does not succeed.
pub fn run(name: &str, reconfigurations: u64, tell: impl Fn(u64, Size)) -> Soaked {
    let started = Instant::now();
    let mut victim = Victim::new(name);
    victim.label();
    victim.start(&Start { speed: SPEED, ..Start::default() });
    let mut first = None;
    for number in 1..=reconfigurations {
        let host = if number % 2 == 0 { 20 } else { 21 };
        victim.configure(number, host).unwrap_or_else(|error| panic!("configuration {number}: {error}"));
        if number == WARM_UP.min(reconfigurations) {
            first = Some(at_rest(&mut victim, |_| true));
        }
        if number % (reconfigurations / 10).max(1) == 0 {
            tell(number, size(&victim));
        }
    }
    let first = first.unwrap_or_else(|| size(&victim));
    let last = at_rest(&mut victim, |last| last.fds <= first.fds && last.files <= first.files);
    Soaked { reconfigurations, first, last, seconds: started.elapsed().as_secs() }
}

/// Its size once it has done what was left of the last configuration, and is as `expected`; how it is, if that never comes.
fn at_rest(victim: &mut Victim, expected: impl Fn(Size) -> bool) -> Size {
    let settled = victim.wait(Duration::from_secs(20), |victim| {
        let size = size(victim);
        // Netlink sockets of a commit that goes on.
        if !victim.is_provisional() && expected(size) { Ok(size) } else { Err(format!("{size:?}")) }
    });
    settled.ok().flatten().unwrap_or_else(|| size(victim))
}

fn size(victim: &Victim) -> Size {
    let id = victim.agent_id().expect("it runs");
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    let rss_kib = rss.trim().trim_end_matches(" kB").parse().expect("a number");
    let fds = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").count();
    let files = Tree::read(&victim.root).nodes.values().filter(|node| matches!(node, Node::File { .. })).count();
    Size { rss_kib, fds, files }
}

impl Soaked {
    /// Whether it stayed as it was.
    ///
    /// # Errors
    /// What grew.
    pub fn check(&self) -> Result<(), String> {
        let Soaked { first, last, .. } = self;
        // Pages, not objects: an allocator's size wanders a little.
        let grown = last.rss_kib.saturating_sub(first.rss_kib);
        if grown > 1024 || last.fds > first.fds || last.files > first.files {
            return Err(format!("the agent has grown from {first:?} to {last:?}"));
        }
        Ok(())
    }
}
