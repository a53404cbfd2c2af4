//! An appliance on which systemd is the first process, with the units that are shipped: process numbers, mounts, host name and
//! control groups of its own, and this machine's files with the appliance's laid over them.

use super::Lab;
use crate::process::{Running, program, succeed};
use crate::wait::until;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Makes the system and becomes its first process. `$1`: the appliance's files, `$2`: our programs, `$3`: what is shipped, `$4`: a
/// folder; then the units that are to be started.
const BOOT: &str = r#"
mount --make-rprivate /
top=$4 root=$4/root
mount -t tmpfs -o mode=755 none "$top"
mkdir "$top/upper" "$top/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
if grep -qv '^0::' /proc/self/cgroup; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified" || rmdir "$root/sys/fs/cgroup/unified"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
rm -rf "$root/etc/resolv.conf" "$root/var/lib/muster" "$root"/etc/network/interfaces.d/* "$root"/etc/systemd/network/*
cp -a "$1/etc" "$1/var" "$root/"
touch "$root/usr/sbin/muster-agent"
mount --bind "$2/muster-agent" "$root/usr/sbin/muster-agent"
mkdir -p "$root/usr/lib/sysusers.d"
cp "$3/muster-agent.sysusers.conf" "$root/usr/lib/sysusers.d/muster-agent.conf"
cp "$3/muster-agent.service" "$root/etc/systemd/system/muster-agent.service"
# A NOC, too, for whoever starts it.
touch "$root/usr/bin/muster-noc"
mount --bind "$2/muster-noc" "$root/usr/bin/muster-noc"
cp "$3/../../noc/packaging/muster-noc.sysusers.conf" "$root/usr/lib/sysusers.d/muster-noc.conf"
cp "$3/../../noc/packaging/muster-noc.service" "$root/etc/systemd/system/muster-noc.service"
mkdir "$root/before"
shift 4
{
    printf '[Unit]\nDescription=Lab\nDefaultDependencies=no\nWants='
    printf '%s ' "$@"
    printf '\n'
} >"$root/etc/systemd/system/lab.target"
cd "$root"
pivot_root . before
umount -l /before
systemd-sysusers muster-agent.conf muster-noc.conf
hostname factory
exec env -i container=muster-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_LOG_TARGET=console SYSTEMD_COLORS=0 \
    /lib/systemd/systemd --system --unit=lab.target --show-status=no --default-standard-output=inherit
"#;

/// In every hierarchy of control groups (of the one, in version 2) one of its own, which is the root of what is inside.
const CONFINE: &str = r#"
hierarchies=/sys/fs/cgroup
if grep -qv '^0::' /proc/self/cgroup; then hierarchies=$(find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d); fi
for hierarchy in $hierarchies; do
    mkdir -p "$hierarchy/$0"
    # Those of the processors want to be told what they may use.
    for limit in cpus mems; do
        if [ -e "$hierarchy/$0/cpuset.$limit" ]; then cat "$hierarchy/cpuset.$limit" >"$hierarchy/$0/cpuset.$limit"; fi
    done
    echo $$ >"$hierarchy/$0/cgroup.procs"
done
exec "$@"
"#;

/// A system that runs; it ends with the value.
pub struct System {
    first: Option<Running>,
    group: String,
    /// Of systemd, outside.
    pid: u32,
}

impl Lab {
    /// Boots an appliance. `units` are started beside the agent's own.
    ///
    /// # Panics
    /// If systemd cannot be the first process of a system of its own here.
    pub fn boot(&self, number: usize, units: &[&str]) -> System {
        let appliance = &self.appliances[number - 1];
        let group = format!("{}-{}", self.prefix, appliance.host);
        let top = self.folder().join(format!("{}-system", appliance.host));
        std::fs::create_dir_all(&top).expect("a folder");
        let mut command = Command::new("bash");
        // First: where `ip netns` leads, control groups are not to be seen.
        command.args(["-ec", CONFINE, &group]);
        let netns = self.netns(&appliance.host);
        command.arg(netns.get_program()).args(netns.get_args());
        command
            .args([
                "unshare",
                "--cgroup",
                "--pid",
                "--mount",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
                "bash",
                "-ec",
                BOOT,
                "boot",
            ])
            .arg(&appliance.root);
        command.arg(program("muster-agent").parent().expect("a folder")).arg(packaging()).arg(&top);
        command.arg("muster-agent.service").args(units);
        let log = self.folder().join(format!("{}.log", appliance.host));
        let first = Running::start(&mut command, &log);
        let mut system = System { pid: first.id(), first: Some(first), group };
        let outside = system.pid;
        system.pid = until("systemd", Duration::from_secs(30), || {
            let children = std::fs::read_to_string(format!("/proc/{outside}/task/{outside}/children"));
            let child = children.unwrap_or_default().trim().parse().map_err(|_| self.agent_log(number))?;
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name.trim() == "systemd" { Ok(child) } else { Err(self.agent_log(number)) }
        });
        until("the system to be up", Duration::from_secs(60), || {
            let said = system.said("systemctl is-system-running || true");
            if said.trim() == "running" { Ok(()) } else { Err(format!("{said}\n{}", self.agent_log(number))) }
        });
        system
    }
}

impl System {
    /// What a command inside prints, as root of the whole system.
    pub fn said(&self, command: &str) -> String {
        let mut inside = Command::new("nsenter");
        inside.args(["-t", &self.pid.to_string(), "-m", "-p", "-u", "-i", "-n", "-C", "sh", "-c", command]);
        succeed(&mut inside)
    }

    /// A property of the agent's unit.
    pub fn property(&self, name: &str) -> String {
        self.property_of("muster-agent.service", name)
    }

    /// A property of a unit.
    pub fn property_of(&self, unit: &str, name: &str) -> String {
        let said = self.said(&format!("systemctl show -p {name} --value {unit}"));
        said.trim().to_owned()
    }

    /// What a process inside is told about in `/proc/PID/status`, by its number inside.
    pub fn status(&self, pid: &str) -> String {
        self.said(&format!("cat /proc/{pid}/status"))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Everything inside ends with its first process.
        self.first = None;
        let all = PathBuf::from("/sys/fs/cgroup");
        let each = std::fs::read_dir(&all).into_iter().flatten().flatten().map(|entry| entry.path());
        let hierarchies: Vec<PathBuf> = each.chain([all.clone()]).collect();
        for group in hierarchies.iter().map(|hierarchy| hierarchy.join(&self.group)).filter(|group| group.is_dir()) {
            remove(&group);
        }
    }
}

/// Control groups are removed from the innermost out, each once its last process is gone.
fn remove(group: &Path) {
    for inner in std::fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if inner.is_dir() {
            remove(&inner);
        }
    }
    for _ in 0..100 {
        if std::fs::remove_dir(group).is_ok() || !group.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is shipped with the agent.
fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/packaging")
}
