//! What an administrator would use instead: an Ansible playbook, and a parallel ssh loop, on Linux hosts with sshd.
//!
//! A host is a network namespace with its own host name and its own `/etc`, `/run` and `/root`; all of them and whoever
//! configures them hang on a bridge in a namespace of its own. Nothing of this machine changes: not its network, its host
//! name or its files. Both do what the appliances' agent does with the same settings: a networkd file, the address on
//! the interface, the host name, the resolver. Neither proves who the host is (host keys are not checked), neither rolls back.

use crate::process::{Running, output, succeed};
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The hosts, and the namespace from which they are configured; all gone when dropped.
pub struct Hosts {
    prefix: String,
    folder: TempDir,
    count: u32,
    daemons: Vec<Running>,
}

/// Which files of the real `/etc` a host needs to let somebody in.
const NEEDED: [&str; 6] = ["passwd", "group", "shadow", "nsswitch.conf", "ld.so.cache", "login.defs"];

impl Hosts {
    /// Starts `count` hosts (at most 200) and waits until each lets us in.
    pub fn start(count: u32) -> anyhow::Result<Hosts> {
        ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
        ensure!((1..=200).contains(&count), "1 to 200 hosts");
        let folder = tempfile::Builder::new().prefix("muster-peers-").tempdir()?;
        let prefix = format!("mp{}", std::process::id() % 100_000);
        let mut hosts = Hosts { prefix, folder, count, daemons: Vec::new() };
        hosts.keys()?;
        hosts.ip(&["netns", "add", &hosts.name(0)]);
        hosts.ip(&["-n", &hosts.name(0), "link", "add", "br0", "type", "bridge"]);
        hosts.ip(&["-n", &hosts.name(0), "addr", "add", "10.66.1.0/16", "dev", "br0"]);
        for link in ["lo", "br0"] {
            hosts.ip(&["-n", &hosts.name(0), "link", "set", link, "up"]);
        }
        for number in 1..=count {
            hosts.add(number)?;
        }
        for number in 1..=count {
            hosts.wait_for(number)?;
        }
        Ok(hosts)
    }

    /// Seconds an Ansible playbook takes for all; `forks` hosts at the same time, `None` for Ansible's default.
    pub fn ansible(&self, forks: Option<u32>) -> anyhow::Result<f64> {
        // Other values each time: Ansible skips what is so already.
        let (folder, round) = (self.folder.path(), if forks.is_none() { 1 } else { 2 });
        let mut inventory = String::from("[hosts]\n");
        for number in 1..=self.count {
            inventory += &format!("h{number} ansible_host={} number={number}\n", address(number));
        }
        fs::write(folder.join("inventory"), inventory)?;
        fs::write(folder.join("playbook.yml"), playbook(round))?;
        let key = folder.join("key");
        fs::write(
            folder.join("ansible.cfg"),
            format!(
                "[defaults]\nhost_key_checking = False\nremote_user = root\nprivate_key_file = {}\n\
                 remote_tmp = /run/ansible\nlocal_tmp = {folder}/ansible\ninterpreter_python = /usr/bin/python3\n\
                 [ssh_connection]\ncontrol_path_dir = {folder}/mux\n",
                key.display(),
                folder = folder.display()
            ),
        )?;
        let mut command = self.inside(0, "ansible-playbook");
        command.env("HOME", folder).env("ANSIBLE_CONFIG", folder.join("ansible.cfg")).current_dir(folder);
        command.args(["-i", "inventory", "playbook.yml"]);
        if let Some(forks) = forks {
            command.args(["--forks", &forks.to_string()]);
        }
        let started = Instant::now();
        let said = output(&mut command);
        let seconds = started.elapsed().as_secs_f64();
        self.close_connections();
        let first_fault =
            || text(&said.stdout).lines().find(|line| line.starts_with("fatal")).unwrap_or_default().to_owned();
        ensure!(said.status.success(), "the playbook failed: {} {}", first_fault(), text(&said.stderr));
        self.check(round)?;
        Ok(seconds)
    }

    /// Seconds a loop of ssh takes for all, as many at the same time as there are hosts.
    pub fn ssh_loop(&self) -> anyhow::Result<f64> {
        let round = 3;
        let folder = self.folder.path();
        let script = format!(
            "set -e\nnumber=$1\nip addr replace 10.77.{round}.$number/16 dev eth0\n\
             ip route replace default via 10.77.0.1\n\
             printf '[Match]\\nName=eth0\\n[Network]\\nAddress=10.77.{round}.%s/16\\nGateway=10.77.0.1\\n' $number \
             >/etc/systemd/network/10-muster.network\n\
             hostname bench-{round}-$number\necho bench-{round}-$number >/etc/hostname\n\
             printf 'search bench{round}.example.net\\nnameserver 10.77.0.53\\n' >/etc/resolv.conf\n"
        );
        fs::write(folder.join("script"), script)?;
        let ssh = format!(
            "exec ssh -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR root@10.66.0.$1 sh -s $1 <{script}",
            key = folder.join("key").display(),
            script = folder.join("script").display()
        );
        let numbers: String = (1..=self.count).map(|number| format!("{number}\n")).collect();
        fs::write(folder.join("numbers"), numbers)?;
        let mut command = self.inside(0, "xargs");
        command.env("HOME", folder).args(["-P", &self.count.to_string(), "-n", "1", "sh", "-c", &ssh, "sh"]);
        command.stdin(fs::File::open(folder.join("numbers"))?).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let said = command.spawn()?.wait_with_output()?;
        let seconds = started.elapsed().as_secs_f64();
        ensure!(said.status.success(), "{}", text(&said.stderr));
        self.check(round)?;
        Ok(seconds)
    }

    /// Every host has what it was given.
    fn check(&self, round: u32) -> anyhow::Result<()> {
        for number in 1..=self.count {
            let etc = self.root(number).join("etc");
            let (name, domain) = (format!("bench-{round}-{number}"), format!("search bench{round}.example.net"));
            ensure!(fs::read_to_string(etc.join("hostname"))?.trim() == name, "host {number} has another name");
            let resolver = fs::read_to_string(etc.join("resolv.conf"))?;
            ensure!(resolver.contains(&domain), "host {number} has another resolver");
            let network = fs::read_to_string(etc.join("systemd/network/10-muster.network"))?;
            ensure!(network.contains(&format!("10.77.{round}.{number}/16")), "host {number} has another network file");
            let addresses = succeed(self.inside(number, "ip").args(["addr", "show", "dev", "eth0"]));
            ensure!(addresses.contains(&format!("10.77.{round}.{number}/16")), "host {number} has another address");
        }
        Ok(())
    }

    fn keys(&self) -> anyhow::Result<()> {
        for key in ["key", "host"] {
            let path = self.folder.path().join(key);
            succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
        }
        fs::create_dir(self.folder.path().join("mux"))?;
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        fs::write(
            self.folder.path().join("sshd_config"),
            format!(
                "HostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\nUseDNS no\n\
                 MaxStartups 500\nSubsystem sftp internal-sftp\n",
                path("host"),
                path("key.pub")
            ),
        )?;
        Ok(())
    }

    fn add(&mut self, number: u32) -> anyhow::Result<()> {
        let (name, hub, port) = (self.name(number), self.name(0), format!("p{number}"));
        self.ip(&["netns", "add", &name]);
        self.ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        self.ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"]);
        self.ip(&["-n", &name, "addr", "add", &format!("{}/16", address(number)), "dev", "eth0"]);
        self.ip(&["-n", &name, "addr", "add", &format!("10.77.100.{number}/16"), "dev", "eth0"]);
        for link in ["lo", "eth0"] {
            self.ip(&["-n", &name, "link", "set", link, "up"]);
        }

        let root = self.root(number);
        fs::create_dir_all(root.join("etc/systemd/network"))?;
        for file in NEEDED.iter().filter(|file| Path::new("/etc").join(file).is_file()) {
            fs::copy(Path::new("/etc").join(file), root.join("etc").join(file))?;
        }
        fs::write(root.join("etc/hostname"), "factory\n")?;
        fs::write(root.join("etc/hosts"), "127.0.0.1\tlocalhost\n")?;
        // Ansible looks here to know where it is.
        for file in ["os-release", "debian_version"] {
            if let Ok(content) = fs::read(Path::new("/etc").join(file)) {
                fs::write(root.join("etc").join(file), content)?;
            }
        }
        // `ip netns exec` gives a mount namespace of its own from which nothing spreads.
        let start = format!(
            "hostname factory && mount --bind {etc} /etc && mount -t tmpfs none /run && mount -t tmpfs none /root && \
             mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f {config}",
            etc = root.join("etc").display(),
            config = self.folder.path().join("sshd_config").display()
        );
        let mut command = self.inside(number, "unshare");
        command.args(["--uts", "sh", "-c", &start]);
        let log = self.folder.path().join(format!("sshd-{number}.log"));
        self.daemons.push(Running::start(&mut command, &log));
        Ok(())
    }

    fn wait_for(&self, number: u32) -> anyhow::Result<()> {
        let started = Instant::now();
        let key = self.folder.path().join("key");
        loop {
            let mut ssh = self.inside(0, "ssh");
            ssh.arg("-i").arg(&key).args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
            ssh.args(["-o", "UserKnownHostsFile=/dev/null", &format!("root@{}", address(number)), "hostname"]);
            let said = output(&mut ssh);
            if text(&said.stdout).trim() == "factory" {
                return Ok(());
            }
            let log = || fs::read_to_string(self.folder.path().join(format!("sshd-{number}.log"))).unwrap_or_default();
            ensure!(started.elapsed() < Duration::from_secs(30), "host {number}: {}{}", text(&said.stderr), log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ansible leaves its ssh connections open for a minute; each one is asked to end.
    fn close_connections(&self) {
        for socket in fs::read_dir(self.folder.path().join("mux")).into_iter().flatten().flatten() {
            let mut ssh = self.inside(0, "ssh");
            ssh.args(["-O", "exit", "-o"]).arg(format!("ControlPath={}", socket.path().display())).arg("host");
            output(&mut ssh);
        }
    }

    fn name(&self, number: u32) -> String {
        format!("{}-{number}", self.prefix)
    }

    fn root(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("h{number}"))
    }

    fn inside(&self, number: u32, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(number), program]);
        command
    }

    fn ip(&self, arguments: &[&str]) {
        succeed(Command::new("ip").args(arguments));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.close_connections();
        self.daemons.clear();
        for number in 0..=self.count {
            let name = self.name(number);
            // Sessions that outlive their daemon; whatever runs in a namespace of ours is ours.
            let left = output(Command::new("ip").args(["netns", "pids", &name]));
            for pid in text(&left.stdout).split_whitespace().filter_map(|pid| pid.parse().ok()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
            output(Command::new("ip").args(["netns", "del", &name]));
        }
    }
}

/// Where a host is reached; its new address is another one, so that the connection outlives the change.
fn address(number: u32) -> String {
    format!("10.66.0.{number}")
}

fn playbook(round: u32) -> String {
    format!(
        r#"- hosts: hosts
  tasks:
    - name: network file
      copy:
        dest: /etc/systemd/network/10-muster.network
        content: |
          [Match]
          Name=eth0
          [Network]
          Address=10.77.{round}.{{{{ number }}}}/16
          Gateway=10.77.0.1
    - name: address
      command: ip addr replace 10.77.{round}.{{{{ number }}}}/16 dev eth0
    - name: gateway
      command: ip route replace default via 10.77.0.1
    - name: host name
      hostname:
        name: bench-{round}-{{{{ number }}}}
        # Writes the file and calls `hostname`; the usual way asks systemd, which these hosts have not.
        use: alpine
    - name: resolver
      copy:
        dest: /etc/resolv.conf
        content: |
          search bench{round}.example.net
          nameserver 10.77.0.53
"#
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Programs that the comparison needs and that are not installed.
pub fn missing() -> Vec<&'static str> {
    let programs = ["ansible-playbook", "/usr/sbin/sshd", "ssh", "ssh-keygen", "xargs", "ip", "unshare"];
    let is_missing = |program: &&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        !found.is_ok_and(|status| status.success())
    };
    programs.into_iter().filter(is_missing).collect()
}

/// The Ansible that is measured, for the record.
pub fn ansible_version() -> anyhow::Result<String> {
    let said = succeed(Command::new("ansible-playbook").arg("--version"));
    Ok(said.lines().next().context("no version")?.to_owned())
}
