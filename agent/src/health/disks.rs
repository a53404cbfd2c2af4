//! The disks of this host.

use super::percent;
use muster_protocol::api::{Disk, MAX_MOUNT, MOST_DISKS};
use muster_protocol::text::printable;
use nix::sys::statvfs::statvfs;
use std::path::{Path, PathBuf};

/// All of them, the fullest first, no more than a beat may have.
pub(super) fn measure() -> Vec<Disk> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut disks: Vec<Disk> = local_mounts(&table).iter().filter_map(|mount| measure_one(mount)).collect();
    disks.sort_by(|a, b| b.percent.total_cmp(&a.percent));
    disks.truncate(MOST_DISKS);
    disks
}

/// As `df` counts: what only root may fill is not free.
pub(super) fn measure_one(mount: &Path) -> Option<Disk> {
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
    (blocks > 0).then(|| Disk {
        mount: shortened(&mount.to_string_lossy()),
        percent: percent(used, used + available),
        free: available.saturating_mul(size),
    })
}

/// What the NOC takes as a mount point.
fn shortened(mount: &str) -> String {
    let mut text = printable(mount);
    while text.len() > MAX_MOUNT {
        text.pop();
    }
    text
}

/// Most mounts that are looked at: a host of containers has thousands.
const MOST_MOUNTS: usize = 64;

/// Mount points of writable local disks, each disk once; memory, network and read-only image file systems are none.
fn local_mounts(table: &str) -> Vec<PathBuf> {
    const LOCAL: &[&str] =
        &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "ubifs", "jffs2", "overlay", "zfs"];
    let mut seen = Vec::new();
    let mount = |line: &str| {
        let mut columns = line.split(' ');
        let (device, point, kind, options) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let writable = options.split(',').any(|option| option == "rw");
        // Overlays are all called `overlay`.
        let again = kind != "overlay" && seen.iter().any(|known| known == device);
        if !LOCAL.contains(&kind) || !writable || again {
            return None;
        }
        seen.push(device.to_owned());
        Some(PathBuf::from(point.replace("\\040", " ")))
    };
    table.lines().filter_map(mount).take(MOST_MOUNTS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writable_local_disks_count_and_each_once() {
        let table = "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n/dev/sdb1 /mnt/a\\040b xfs rw 0 0\n\
                     /dev/sdc1 /mnt/ro ext4 ro 0 0\nsrv:/x /net nfs rw 0 0\n/dev/sda1 /again ext4 rw 0 0\nbroken\n";
        assert_eq!(local_mounts(table), [PathBuf::from("/"), PathBuf::from("/mnt/a b")]);
        let many: String = (0..5_000).map(|n| format!("/dev/d{n} /d{n} ext4 rw 0 0\n")).collect();
        assert_eq!(local_mounts(&many).len(), MOST_MOUNTS);
    }

    #[test]
    fn what_is_measured_fits_a_beat() {
        let disks = measure();
        assert!(disks.len() <= MOST_DISKS && disks.is_sorted_by(|a, b| a.percent >= b.percent), "{disks:?}");
        assert!(measure_one(Path::new("/")).is_some_and(|disk| disk.mount == "/" && disk.free > 0));
        assert_eq!(measure_one(Path::new("/proc")), None, "no blocks");
        let hostile = shortened(&format!("/\u{1b}[2J\u{202e}{}", "ä".repeat(100)));
        assert!(hostile.starts_with("/\u{fffd}[2J\u{fffd}ä") && hostile.len() <= MAX_MOUNT, "{hostile}");
    }
}
