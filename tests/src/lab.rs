//! The lab: hosts are network namespaces on one bridge, a router leads to the NOC on another network.
//!
//! ```text
//!  console 10.20.0.2 ─┐
//!  appliance 1..6 ────┼─ bridge ─ router 10.20.0.1 | 10.99.0.1 ─ NOC 10.99.0.2
//!  stranger ──────────┘
//! ```

pub mod begin;
pub mod capture;
pub mod systemd;

use crate::process::{Running, program, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Namespaces, programs and files of one lab; all gone when dropped.
pub struct Lab {
    prefix: String,
    folder: TempDir,
    hosts: Vec<String>,
    /// The running NOC.
    pub noc: Option<Running>,
    /// The appliances, from 1.
    pub appliances: Vec<Appliance>,
    others: Vec<Running>,
}

/// One host that runs the agent.
pub struct Appliance {
    /// Its host.
    pub host: String,
    /// Its `/`, as far as files are concerned.
    pub root: PathBuf,
    /// Its UID.
    pub uid: String,
    /// What `muster-agent label --json` said, the claim code among it; null before [`Lab::label`].
    pub label: Value,
    /// Environment of its agent, as a clock that is wrong.
    pub environment: Vec<(String, String)>,
    state: PathBuf,
    agent: Option<Running>,
}

/// How an appliance is before the agent starts.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// An address, as `10.20.0.77/24`.
    pub address: Option<&'a str>,
    /// `net.ipv4.conf.*.rp_filter`.
    pub rp_filter: u8,
}

impl Lab {
    /// Bridge, router, NOC and console; nothing runs yet.
    pub fn new(name: &str) -> Lab {
        assert!(nix::unistd::geteuid().is_root(), "the lab makes network namespaces: run it as root (make lab)");
        let prefix = format!("m{}{name}", std::process::id() % 100_000);
        let folder = tempfile::Builder::new().prefix("muster-lab-").tempdir().expect("temporary folder");
        let mut lab = Lab { prefix, folder, hosts: Vec::new(), noc: None, appliances: Vec::new(), others: Vec::new() };
        lab.add_host("bridge");
        lab.ip("bridge", "link add br0 type bridge");
        lab.ip("bridge", "link set br0 type bridge mcast_snooping 0");
        lab.ip("bridge", "link set br0 up");
        lab.add_lan_host("router", Some("10.20.0.1/24"));
        lab.add_host("noc");
        lab.wire("router", "wan", "noc", "eth0");
        lab.ip("router", "addr add 10.99.0.1/24 dev wan");
        lab.ip("noc", "addr add 10.99.0.2/24 dev eth0");
        lab.ip("noc", "route add default via 10.99.0.1");
        lab.sysctl("router", "net.ipv4.ip_forward", "1");
        lab.add_lan_host("console", Some("10.20.0.2/24"));
        lab.ip("console", "route add default via 10.20.0.1");
        lab
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A host on the bridge, with an address or without.
    pub fn add_lan_host(&mut self, host: &str, address: Option<&str>) {
        self.add_host(host);
        let port = format!("p-{host}");
        self.wire("bridge", &port, host, "eth0");
        self.ip("bridge", &format!("link set {port} master br0"));
        if let Some(address) = address {
            self.ip(host, &format!("addr add {address} dev eth0"));
        }
    }

    /// An appliance host with its own files; the agent does not run yet.
    pub fn add_appliance(&mut self, before: Before<'_>) -> usize {
        let number = self.appliances.len() + 1;
        let host = format!("a{number}");
        self.add_lan_host(&host, before.address);
        let filter = before.rp_filter.to_string();
        for interface in ["all", "default", "eth0"] {
            self.sysctl(&host, &format!("net.ipv4.conf.{interface}.rp_filter"), &filter);
        }
        let root = self.folder().join(&host);
        for folder in ["etc/systemd/network", "run", "var/lib/muster"] {
            std::fs::create_dir_all(root.join(folder)).expect("files of a host");
        }
        std::fs::write(root.join("etc/hostname"), "factory\n").expect("files of a host");
        std::fs::write(root.join("etc/hosts"), "127.0.0.1\tlocalhost\n").expect("files of a host");
        std::fs::write(root.join("etc/resolv.conf"), "").expect("files of a host");
        let state = root.join("var/lib/muster");
        let appliance = Appliance {
            host,
            root,
            uid: String::new(),
            label: Value::Null,
            environment: Vec::new(),
            state,
            agent: None,
        };
        self.appliances.push(appliance);
        number
    }

    /// The manifest line of an appliance, as `muster-agent label --manifest` prints it; makes its identity.
    pub fn label(&mut self, number: usize) -> String {
        let host = self.appliances[number - 1].host.clone();
        let mut command = self.at(&host, "muster-agent");
        let appliance = &self.appliances[number - 1];
        command.args(["label", "--manifest", "--interface", "eth0", "--state-dir"]).arg(&appliance.state);
        let text = succeed(&mut command);
        let mut label = self.at(&host, "muster-agent");
        let appliance = &self.appliances[number - 1];
        label.args(["label", "--json", "--interface", "eth0", "--state-dir"]).arg(&appliance.state);
        let label: Value = serde_json::from_str(&succeed(&mut label)).expect("label --json");
        self.appliances[number - 1].uid = label["uid"].as_str().expect("a UID").to_owned();
        self.appliances[number - 1].label = label;
        text
    }

    /// Starts an appliance's agent, in a UTS namespace of its own so that its host name is its own.
    pub fn start_agent(&mut self, number: usize) {
        let appliance = &self.appliances[number - 1];
        let mut command = self.netns(&appliance.host);
        command.args(["unshare", "--uts"]).arg(program("muster-agent"));
        command.args(["run", "--interface", "eth0", "--state-dir"]).arg(&appliance.state);
        command.arg("--root").arg(&appliance.root);
        command.env("RUST_LOG", "debug").envs(appliance.environment.iter().cloned());
        let log = self.folder().join(format!("{}.log", appliance.host));
        let agent = Running::start(&mut command, &log);
        self.appliances[number - 1].agent = Some(agent);
    }

    /// Starts an appliance's agent where `/etc` and `/run` are its own: this machine's, with the appliance's files laid over them.
    pub fn start_agent_on_own_files(&mut self, number: usize) {
        let script = "
            mount --make-rprivate /
            mount -t tmpfs none /mnt
            mkdir /mnt/etc /mnt/run
            cp -a /etc/. /mnt/etc
            rm -rf /mnt/etc/network/interfaces.d/* /mnt/etc/systemd/network/* /mnt/etc/resolv.conf
            cp -a \"$1\"/etc/. /mnt/etc
            mount --bind /mnt/etc /etc
            mount --bind /mnt/run /run
            hostname factory
            shift
            exec \"$@\"";
        let appliance = &self.appliances[number - 1];
        let mut command = self.netns(&appliance.host);
        command.args(["unshare", "--uts", "--mount", "sh", "-ec", script, "sh"]).arg(&appliance.root);
        command.arg(program("muster-agent")).args(["run", "--interface", "eth0", "--state-dir"]).arg(&appliance.state);
        let log = self.folder().join(format!("{}.log", appliance.host));
        let agent = Running::start(command.env("RUST_LOG", "debug"), &log);
        self.appliances[number - 1].agent = Some(agent);
    }

    /// A file as the agent of such an appliance sees it.
    pub fn own_file(&self, number: usize, path: &str) -> String {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.agent_pid(number).to_string(), "-m", "sh", "-c", "cat \"$1\" || true", "sh", path]);
        succeed(&mut command)
    }

    /// Cuts an appliance's power: its agent is killed, its kernel forgets its addresses.
    pub fn cut_power(&mut self, number: usize) {
        if let Some(agent) = &mut self.appliances[number - 1].agent {
            agent.kill();
        }
    }

    /// `muster-agent status --json` of an appliance.
    pub fn agent_status(&self, number: usize) -> Value {
        let appliance = &self.appliances[number - 1];
        let mut command = self.at(&appliance.host, "muster-agent");
        command.args(["status", "--json", "--state-dir"]).arg(&appliance.state);
        serde_json::from_str(&succeed(&mut command)).expect("status --json")
    }

    /// What an appliance's agent logged so far, over all its runs.
    pub fn agent_log(&self, number: usize) -> String {
        let log = self.folder().join(format!("{}.log", self.appliances[number - 1].host));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    /// The process of an appliance's agent.
    ///
    /// # Panics
    /// If it does not run.
    pub fn agent_pid(&self, number: usize) -> u32 {
        self.appliances[number - 1].agent.as_ref().expect("the agent runs").id()
    }

    /// A factory reset as a person makes it: stop, `muster-agent reset`, and a start that finds a network without settings.
    pub fn reset_appliance(&mut self, number: usize) {
        self.cut_power(number);
        let appliance = &self.appliances[number - 1];
        let mut command = self.at(&appliance.host, "muster-agent");
        command.args(["reset", "--yes", "--interface", "eth0", "--state-dir"]).arg(&appliance.state);
        command.arg("--root").arg(&appliance.root);
        succeed(&mut command);
        self.ip(&appliance.host, "addr flush dev eth0 scope global");
        self.start_agent(number);
    }

    /// The host name an appliance's kernel has.
    pub fn host_name(&self, number: usize) -> String {
        let agent = self.appliances[number - 1].agent.as_ref().expect("the agent runs");
        let mut command = Command::new("nsenter");
        command.args(["-t", &agent.id().to_string(), "-u", "uname", "-n"]);
        succeed(&mut command).trim().to_owned()
    }

    /// Makes a NOC, a site of the lab's network with these further options, and the inventory, and starts it.
    pub fn start_noc(&mut self, site: &[&str], manifest: &str) {
        let data = self.folder().join("noc");
        let noc = |lab: &Lab, args: &[&str]| {
            let mut command = lab.at("noc", "muster-noc");
            let (verb, rest) = args.split_at(args.iter().position(|a| a.starts_with('-')).unwrap_or(args.len()));
            command.args(verb).arg("--dir").arg(&data).args(rest);
            succeed(&mut command)
        };
        noc(self, &["init", "--address", "10.99.0.2:8443", "--listen", "0.0.0.0:8443"]);
        let of_the_lab = ["--name", "Lab", "--netmask", "255.255.255.0", "--domain", "lab.example.net"];
        noc(self, &[&["site", "add"], &of_the_lab[..], site].concat());
        let file = self.folder().join("manifest.csv");
        std::fs::write(&file, manifest).expect("manifest");
        let mut import = self.at("noc", "muster-noc");
        import.args(["inventory", "import", "--dir"]).arg(&data).arg(&file);
        succeed(&mut import);
        self.serve();
        let invite = noc(self, &["console", "invite", "--site", "Lab"]);
        let invite = invite.split_whitespace().find(|w| w.starts_with("muster-invite:")).expect("an invite").to_owned();
        let joined = self.muster_with_input(&["join", "-"], &invite);
        assert!(joined.status.success(), "join: {}", String::from_utf8_lossy(&joined.stderr));
    }

    /// Starts the NOC of [`Self::start_noc`] (again).
    pub fn serve(&mut self) {
        let mut command = self.at("noc", "muster-noc");
        command.args(["serve", "--dir"]).arg(self.folder().join("noc"));
        command.env("RUST_LOG", "info");
        let log = self.folder().join("noc.log");
        self.noc = Some(Running::start(&mut command, &log));
        crate::wait::until("the NOC to listen", std::time::Duration::from_secs(20), || {
            let listening = succeed(&mut {
                let mut c = self.netns("noc");
                c.args(["ss", "-Htln"]);
                c
            });
            if listening.contains(":8443") { Ok(()) } else { Err(listening) }
        });
    }

    /// `muster ARGS --json` at the console; what it printed.
    pub fn muster(&self, args: &[&str]) -> Value {
        let text = succeed(&mut self.muster_command(args));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("muster {args:?}: {error}\n{text}"))
    }

    /// The command of [`Self::muster`], for tests that expect it to fail.
    pub fn muster_command(&self, args: &[&str]) -> Command {
        let mut command = self.at("console", "muster");
        command.arg("--data-dir").arg(self.folder().join("console")).arg("--json").args(args);
        command.env("MUSTER_KEYRING", "off");
        command
    }

    /// The same with something on its standard input, as an invite.
    pub fn muster_with_input(&self, args: &[&str], input: &str) -> std::process::Output {
        use std::io::Write;
        let mut command = self.muster_command(args);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("muster starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("muster reads");
        drop(stdin);
        child.wait_with_output().expect("muster ends")
    }

    /// Runs `ip ARGS` at a host; what it printed.
    pub fn ip(&self, host: &str, args: &str) -> String {
        let mut command = Command::new("ip");
        command.arg("-n").arg(self.name(host)).args(args.split(' '));
        succeed(&mut command)
    }

    /// A command at a host.
    pub fn netns(&self, host: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host)]);
        command
    }

    /// One of our programs at a host.
    pub fn at(&self, host: &str, name: &str) -> Command {
        let mut command = self.netns(host);
        command.arg(program(name));
        command
    }

    /// A helper program that runs as long as the lab.
    pub fn keep(&mut self, running: Running) -> &mut Running {
        self.others.push(running);
        self.others.last_mut().expect("just pushed")
    }

    /// The logs of all programs, for a failing test.
    pub fn logs(&self) -> String {
        let agents = self.appliances.iter().filter_map(|a| a.agent.as_ref());
        let all = agents.chain(self.noc.as_ref());
        all.map(|running| format!("--- {}\n{}\n", running.log.display(), running.said())).collect()
    }

    fn add_host(&mut self, host: &str) {
        let name = self.name(host);
        succeed(Command::new("ip").args(["netns", "add", &name]));
        self.hosts.push(name);
        self.ip(host, "link set lo up");
        // Nobody here has another's link-local address, and looking for one would cost every host a second.
        self.sysctl(host, "net.ipv6.conf.default.accept_dad", "0");
    }

    fn wire(&self, one: &str, one_if: &str, two: &str, two_if: &str) {
        // Both ends are made inside their namespaces: no name of ours ever stands on the machine itself.
        self.ip(one, &format!("link add {one_if} type veth peer name {two_if} netns {}", self.name(two)));
        self.ip(one, &format!("link set {one_if} up"));
        self.ip(two, &format!("link set {two_if} up"));
    }

    /// The file that stands for a host's network namespace.
    pub fn netns_file(&self, host: &str) -> PathBuf {
        Path::new("/run/netns").join(self.name(host))
    }

    fn sysctl(&self, host: &str, key: &str, value: &str) {
        let mut command = self.netns(host);
        command.args(["sysctl", "-qw", &format!("{key}={value}")]);
        succeed(&mut command);
    }

    fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("muster-lab-{}.log", self.prefix));
            let _ = std::fs::write(kept, self.logs());
        }
        self.noc = None;
        self.others.clear();
        self.appliances.clear();
        for host in &self.hosts {
            let _ = Command::new("ip").args(["netns", "del", host]).status();
        }
    }
}
