//! What a program costs that runs all day: size on disk, resident memory, processor time while nothing happens.

use super::usage;
use anyhow::{Context, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A running program with all processes it started.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pid: u32,
    cpu_ms: f64,
}

/// Sizes in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The executable and the plug-ins it has loaded; not the system's libraries.
    pub binary_mib: f64,
    /// All files that it has mapped to be executed, the system's libraries among them.
    pub mapped_mib: f64,
}

impl Watched {
    /// From now on.
    pub fn start(pid: u32) -> anyhow::Result<Watched> {
        Ok(Watched { pid, cpu_ms: cpu_ms(pid)? })
    }

    /// The same program, from now on.
    pub fn restart(&self) -> anyhow::Result<Watched> {
        Watched::start(self.pid)
    }

    /// Milliseconds of processor time since the start, user and system.
    pub fn cpu_ms(&self) -> anyhow::Result<f64> {
        Ok(cpu_ms(self.pid)? - self.cpu_ms)
    }

    /// What is resident now, MiB; shared pages count for each process that has them.
    pub fn rss_mib(&self) -> anyhow::Result<f64> {
        Ok(sum_of(self.pid, "status", "VmRSS:")? / 1024.0)
    }

    /// What is resident now, MiB; shared pages are divided among all processes of the machine that have them.
    pub fn pss_mib(&self) -> anyhow::Result<f64> {
        Ok(sum_of(self.pid, "smaps_rollup", "Pss:")? / 1024.0)
    }

    /// How large it is on disk. `plugins` are the folders with its own plug-ins.
    pub fn sizes(&self, plugins: &Path) -> anyhow::Result<Sizes> {
        let executable = fs::read_link(format!("/proc/{}/exe", self.pid))?;
        let mapped = executable_files(self.pid)?;
        let size = |path: &PathBuf| fs::metadata(path).map(|meta| meta.len() as f64 / MIB).unwrap_or(0.0);
        let own = mapped.iter().filter(|path| **path == executable || path.starts_with(plugins));
        ensure!(mapped.contains(&executable), "{} is mapped nowhere", executable.display());
        Ok(Sizes { binary_mib: own.map(size).sum(), mapped_mib: mapped.iter().map(size).sum() })
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    tree(pid).into_iter().try_fold(0.0, |sum, pid| Ok(sum + usage::of_process(pid)?.cpu_ms))
}

fn sum_of(pid: u32, file: &str, key: &str) -> anyhow::Result<f64> {
    tree(pid).into_iter().try_fold(0.0, |sum, pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("a size in KiB")?;
        Ok(sum + kib)
    })
}

/// A process and its descendants.
fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&parent) = all.get(next) {
        let children = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            all.extend(children(task).split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    all
}

fn executable_files(pid: u32) -> anyhow::Result<BTreeSet<PathBuf>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let file = |line: &str| {
        let mut columns = line.split_whitespace();
        let (rights, path) = (columns.nth(1)?, columns.nth(3)?);
        (rights.contains('x') && path.starts_with('/')).then(|| PathBuf::from(path))
    };
    Ok(maps.lines().filter_map(file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_size_and_memory_and_its_children_count() {
        let us = Watched::start(std::process::id()).expect("we run");
        let sizes = us.sizes(Path::new("/nowhere")).expect("sizes");
        assert!(sizes.binary_mib > 0.1 && sizes.mapped_mib > sizes.binary_mib, "{sizes:?}");
        let alone = us.rss_mib().expect("memory");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        // From the fork on it is a child with pages of its own.
        let together = us.rss_mib();
        let counted = tree(std::process::id()).contains(&child.id());
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(counted && together.expect("memory") > alone);
        assert!(us.pss_mib().expect("memory") > 0.0);
    }
}
