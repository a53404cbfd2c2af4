//! What a beat reports.

use crate::counters;
use muster_protocol::api::BeatValues;
use nix::sys::statvfs::statvfs;
use procfs::Current;
use std::path::{Path, PathBuf};

/// Measures an appliance.
pub trait Health: Send + 'static {
    /// Now.
    fn measure(&mut self) -> BeatValues;
}

/// This host: procfs, its local disks, and the counters of its applications.
#[derive(Debug)]
pub struct HostHealth {
    /// Folders with counter files.
    pub counters: Vec<PathBuf>,
}

impl Health for HostHealth {
    fn measure(&mut self) -> BeatValues {
        let disk = fullest_disk();
        let mut values = BeatValues {
            uptime_s: procfs::Uptime::current().map_or(0, |uptime| uptime.uptime as u64),
            load: procfs::LoadAverage::current().map_or(0.0, |load| f64::from(load.one)),
            memory_percent: memory_percent(),
            disk_percent: disk.percent,
            disk_free: disk.free,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            counters: Default::default(),
        };
        for folder in &self.counters {
            for (name, value) in counters::read(folder) {
                values.counters.entry(name).or_insert(value);
            }
        }
        values
    }
}

fn memory_percent() -> f64 {
    let Ok(memory) = procfs::Meminfo::current() else { return 0.0 };
    let free = memory.mem_available.unwrap_or(memory.mem_free);
    percent(memory.mem_total.saturating_sub(free), memory.mem_total)
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Disk {
    percent: f64,
    free: u64,
}

fn fullest_disk() -> Disk {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    local_mounts(&table)
        .into_iter()
        .filter_map(|mount| disk(&mount))
        .max_by(|a, b| a.percent.total_cmp(&b.percent))
        .or_else(|| disk(Path::new("/")))
        .unwrap_or_default()
}

/// As `df` counts: what only root may fill is not free.
fn disk(mount: &Path) -> Option<Disk> {
    let stat = statvfs(mount).ok()?;
    // The fields' width differs between targets.
    #[allow(clippy::useless_conversion, reason = "u32 on 32-bit appliances")]
    let (blocks, free, available, size) = (
        u64::from(stat.blocks()),
        u64::from(stat.blocks_free()),
        u64::from(stat.blocks_available()),
        u64::from(stat.fragment_size()),
    );
    let used = blocks.checked_sub(free)?;
    (blocks > 0).then(|| Disk { percent: percent(used, used + available), free: available.saturating_mul(size) })
}

/// Mount points of writable local disks; memory, network and read-only image file systems are none.
fn local_mounts(table: &str) -> Vec<PathBuf> {
    const LOCAL: &[&str] =
        &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "ubifs", "jffs2", "overlay", "zfs"];
    let mount = |line: &str| {
        let mut columns = line.split(' ').skip(1);
        let (point, kind, options) = (columns.next()?, columns.next()?, columns.next()?);
        let writable = options.split(',').any(|option| option == "rw");
        (LOCAL.contains(&kind) && writable).then(|| PathBuf::from(point.replace("\\040", " ")))
    };
    table.lines().filter_map(mount).collect()
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64 * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_plausible_values() {
        let values = HostHealth { counters: Vec::new() }.measure();
        assert!(values.uptime_s > 0);
        assert!((0.0..=100.0).contains(&values.memory_percent) && values.memory_percent > 0.0, "{values:?}");
        assert!((0.0..=100.0).contains(&values.disk_percent) && values.disk_free > 0, "{values:?}");
        assert!(values.load >= 0.0 && !values.agent.is_empty());
    }

    #[test]
    fn only_writable_local_disks_count() {
        let table = "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n/dev/sdb1 /mnt/a\\040b xfs rw 0 0\n\
                     /dev/sdc1 /mnt/ro ext4 ro 0 0\nsrv:/x /net nfs rw 0 0\nbroken\n";
        assert_eq!(local_mounts(table), [PathBuf::from("/"), PathBuf::from("/mnt/a b")]);
        assert_eq!(percent(1, 3), 33.3);
        assert_eq!(percent(1, 0), 0.0);
    }
}
