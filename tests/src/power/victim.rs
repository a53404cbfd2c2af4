//! The appliance that this is done to: a host of the lab with a host name and files of its own, its owner, and the agent.

use super::calls::{self, Call, TRACED};
use super::tree::Tree;
use crate::attacker::owner::{Owner, Sent, Subject, question, reason, result};
use crate::attacker::station::{Station, Way};
use crate::lab::Lab;
use crate::process::{program, succeed};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use muster_protocol::wire::here::{Here, State};
use muster_protocol::wire::result::{Reason, Status};
use muster_protocol::wire::{self, Message};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOST: &str = "a1";
/// A file system in memory.
const MEMORY: &str = "/dev/shm";
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const RESEND: Duration = Duration::from_millis(300);

/// The appliance.
pub struct Victim {
    /// Its `/`, as far as files are concerned; the state folder is in it.
    pub root: PathBuf,
    /// Who may configure it.
    pub owner: Owner,
    /// Who it is, once it has a label.
    pub subject: Option<Subject>,
    desk: Station,
    network: File,
    host_names: File,
    agent: Option<Child>,
    lab: Lab,
    _folder: TempDir,
}

/// How the agent is started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Under strace, with these options besides; else alone.
    pub strace: Option<Vec<String>>,
    /// How many times faster its clock goes; 0: as the machine's.
    pub speed: u32,
    /// Another place for its log.
    pub log: Option<PathBuf>,
}

/// Everything that a configuration may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Addresses of the interface.
    pub addresses: String,
    /// The main routing table.
    pub routes: String,
    /// The kernel's host name.
    pub host_name: String,
    /// The kernel's reverse-path filters.
    pub filters: String,
    /// The files, but for the agent's own.
    pub files: Tree,
}

impl Victim {
    /// An appliance as it left the factory, with an address of its own and odd files; the agent does not run.
    ///
    /// # Panics
    /// If the namespaces cannot be made.
    pub fn new(name: &str) -> Victim {
        let mut lab = Lab::new(name);
        lab.add_lan_host(HOST, None);
        // What a disk loses is the model's business; a real one only makes each fsync slow.
        let in_memory = tempfile::Builder::new().prefix("muster-root-").tempdir_in(MEMORY);
        let folder = in_memory.or_else(|_| tempfile::tempdir()).expect("a folder");
        let root = folder.path().to_owned();
        let desk = Station::open(&lab.netns_file("console"));
        let network = File::open(lab.netns_file(HOST)).expect("a network namespace");
        let own_names = || {
            unshare(CloneFlags::CLONE_NEWUTS).expect("root may have a host name of his own");
            File::open("/proc/thread-self/ns/uts").expect("the namespace")
        };
        let host_names = std::thread::scope(|scope| scope.spawn(own_names).join().expect("a namespace"));
        // Where nobody listens, so that beats end at once.
        let owner = Owner { noc: "127.0.0.1:9".to_owned(), ..Owner::new(1) };
        let (agent, subject) = (None, None);
        let victim = Victim { root, owner, subject, desk, network, host_names, agent, lab, _folder: folder };
        factory().write(&victim.root);
        victim.boot_kernel();
        victim
    }

    /// Runs `work` in its namespaces; what is started there stays there.
    ///
    /// # Panics
    /// If `work` does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let work = || {
            setns(&self.network, CloneFlags::CLONE_NEWNET).expect("root may enter");
            setns(&self.host_names, CloneFlags::CLONE_NEWUTS).expect("root may enter");
            work()
        };
        std::thread::scope(|scope| scope.spawn(work).join().expect("the work inside"))
    }

    /// The state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.root.join(STATE)
    }

    /// Reads the label, which makes the identity.
    ///
    /// # Panics
    /// If the agent's program fails.
    pub fn label(&mut self) {
        let mut command = self.agent_command(Command::new(program("muster-agent")));
        command.args(["label", "--json"]);
        let label: Value = serde_json::from_str(&self.inside(move || succeed(&mut command))).expect("label --json");
        let text = |name: &str| label[name].as_str().expect("a label");
        let secret: ClaimSecret = text("claim").parse().expect("a claim code");
        let (uid, mac) = (text("uid").parse().expect("a UID"), text("mac").parse().expect("a MAC"));
        self.subject = Some(Subject { number: 1, uid, mac, claim: secret.key() });
    }

    /// Starts the agent.
    ///
    /// # Panics
    /// If it, or strace, cannot be started.
    pub fn start(&mut self, how: &Start) {
        self.kill();
        let agent = program("muster-agent");
        let mut variables = Vec::new();
        if how.speed > 0 {
            variables = vec![format!("LD_PRELOAD={}", faketime().display()), format!("FAKETIME=+0 x{}", how.speed)];
        }
        let mut command = if let Some(options) = &how.strace {
            let _ = fs::remove_file(self.trace_file());
            let mut command = Command::new("strace");
            command.args(["-D", "-f", "-y", "-xx", "-s", "1048576", "-e", &format!("trace={TRACED}"), "-o"]);
            command.arg(self.trace_file()).args(options);
            variables.iter().for_each(|variable| _ = command.args(["-E", variable.as_str()]));
            command.arg("--").arg(agent);
            command
        } else {
            let mut command = Command::new(agent);
            let pairs = variables.iter().filter_map(|variable| variable.split_once('='));
            command.envs(pairs);
            command
        };
        let log = how.log.clone().unwrap_or_else(|| self.log_file());
        let log = File::options().create(true).append(true).open(log).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).env("RUST_LOG", "info");
        let mut command = self.agent_command(command);
        command.arg("run");
        self.agent = Some(self.inside(move || command.spawn()).expect("the agent (and strace) can be started"));
    }

    fn agent_command(&self, mut command: Command) -> Command {
        command.args(["--interface", "eth0", "--state-dir"]).arg(self.state_dir()).arg("--root").arg(&self.root);
        command
    }

    /// The agent's process.
    pub fn agent_id(&self) -> Option<u32> {
        self.agent.as_ref().map(Child::id)
    }

    /// How the agent ended, if it has.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.agent.as_mut().and_then(|agent| agent.try_wait().expect("a child's state"))
    }

    fn runs(&mut self) -> bool {
        self.agent.is_some() && self.ended().is_none()
    }

    /// Kills the agent, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            // Already ended is as good.
            let _ = agent.kill();
            let _ = agent.wait();
            // What libfaketime made for a process that cannot tidy up any more.
            for name in ["faketime_shm_", "sem.faketime_sem_"] {
                let _ = fs::remove_file(format!("{MEMORY}/{name}{}", agent.id()));
            }
        }
    }

    /// What strace saw of an agent that has ended.
    ///
    /// # Panics
    /// If strace does not come to an end.
    pub fn trace(&self) -> Vec<Call> {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(self.trace_file()).unwrap_or_default();
            let first = text.split_whitespace().next().unwrap_or("none").to_owned();
            let end = |line: &str| line.strip_prefix(&first).is_some_and(|rest| rest.trim_start().starts_with("+++ "));
            if text.ends_with('\n') && text.lines().any(end) {
                return calls::parse(&text);
            }
            assert!(started.elapsed() < PATIENCE, "strace has not ended:\n{text}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether strace has done to the agent what it was told to.
    pub fn has_injected(&self) -> bool {
        let text = fs::read_to_string(self.trace_file()).unwrap_or_default();
        text.contains("(INJECTED)") || text.contains("(DELAYED)")
    }

    /// What a machine does when its power comes on, before the agent runs: host name and network as the files say, else the
    /// factory's.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn boot_kernel(&self) {
        let name = fs::read_to_string(self.root.join("etc/hostname")).unwrap_or_default();
        let file = fs::read_to_string(self.root.join("etc/systemd/network/10-muster-eth0.network"));
        let value = |key: &str| {
            let lines = file.as_ref().ok()?.lines();
            lines.filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        let address = value("Address").unwrap_or(FACTORY_ADDRESS);
        let mut lines = vec![
            "link set eth0 up".to_owned(),
            "-4 addr flush dev eth0".to_owned(),
            "-4 route flush table main".to_owned(),
            format!("addr add {address} brd + dev eth0"),
        ];
        lines.extend(value("Gateway").map(|gateway| format!("route add default via {gateway} dev eth0 proto static")));
        self.inside(|| {
            nix::unistd::sethostname(name.trim()).expect("root may");
            for filter in FILTERS {
                fs::write(filter, "2").expect("root may");
            }
            for line in &lines {
                succeed(Command::new("ip").args(line.split(' ')));
            }
        });
    }

    /// What it looks like now.
    ///
    /// # Panics
    /// If that cannot be read.
    pub fn picture(&self) -> Picture {
        let files = Tree::read(&self.root).files(|path| !path.starts_with(STATE) && !path.starts_with("run"));
        self.inside(|| {
            let ip = |line: &str| succeed(Command::new("ip").args(line.split(' ')));
            Picture {
                addresses: ip("-o -4 addr show dev eth0"),
                routes: ip("-4 route show table main"),
                host_name: nix::unistd::gethostname().expect("a name").to_string_lossy().into_owned(),
                filters: FILTERS.map(|filter| fs::read_to_string(filter).expect("a filter")).concat(),
                files,
            }
        })
    }

    /// What the agent last told about itself.
    pub fn status(&self) -> Value {
        let text = fs::read(self.state_dir().join("status.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Forgets that, so that the next thing told is new.
    pub fn forget_status(&self) {
        let _ = fs::remove_file(self.state_dir().join("status.json"));
    }

    /// True while there is a former state to go back to.
    pub fn is_provisional(&self) -> bool {
        self.state_dir().join("former-network").exists()
    }

    /// Asks until it is neither installing nor provisional; `None` if the agent has ended.
    pub fn ask(&mut self) -> Option<Here> {
        self.ask_for(|here| matches!(here.state, State::Configured | State::Unconfigured))
    }

    /// Asks until an answer is as wanted; `None` if the agent has ended.
    pub fn ask_for(&mut self, wanted: impl Fn(&Here) -> bool) -> Option<Here> {
        let uid = self.subject.as_ref().map(|subject| subject.uid);
        let ping = question(uid);
        let datagram = ping.to_plain();
        self.hear(Duration::from_millis(50), &datagram, |bytes| {
            let Ok(Message::Here(packet)) = wire::decode(bytes) else { return None };
            packet.verify().ok().filter(|here| here.ping == ping.id && wanted(here))
        })
    }

    /// Sends until the result is there that is no UNCONFIGURED; `None` if the agent has ended.
    pub fn deliver(&mut self, bytes: &[u8], sent: &Sent) -> Option<Status> {
        self.hear(RESEND, bytes, |datagram| {
            let status = result(datagram, sent)?.status;
            (!matches!(status, Status::Unconfigured { .. })).then_some(status)
        })
    }

    /// Sends a kick-start until it has taken effect, or can no more; `None` if the agent has ended.
    pub fn kick(&mut self, sent: &Sent) -> Option<Status> {
        let kick = self.owner.kick(sent);
        self.hear(RESEND, &kick, |datagram| {
            let status = result(datagram, sent)?.status;
            // The packet may have been sent twice, and be answered late.
            let early = matches!(status, Status::Unconfigured { .. } | Status::Success { committed: false });
            (!early).then_some(status)
        })
    }

    fn hear<T>(&mut self, again: Duration, bytes: &[u8], find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let (started, mut sent) = (Instant::now(), None::<Instant>);
        let mark = self.desk.mark();
        loop {
            if sent.is_none_or(|sent| sent.elapsed() >= again) {
                self.desk.call(Way::Six, bytes);
                sent = Some(Instant::now());
            }
            if let Some(found) = self.desk.find(mark, Duration::from_millis(4), |received| find(&received.bytes)) {
                return Some(found);
            }
            if !self.runs() {
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "no answer\n{}", self.said());
        }
    }

    /// Waits until `probe` is content; `None` if the agent has ended before.
    ///
    /// # Errors
    /// What `probe` last said, when it takes too long.
    pub fn wait<T>(
        &mut self,
        limit: Duration,
        mut probe: impl FnMut(&Victim) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let started = Instant::now();
        loop {
            match probe(self) {
                Ok(value) => return Ok(Some(value)),
                Err(said) if started.elapsed() > limit => return Err(said),
                Err(_) if !self.runs() => return Ok(None),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// A packet with these settings for an appliance that answered `here`.
    ///
    /// # Panics
    /// If its label was not read.
    pub fn packet(&self, here: &Here, seq: u64, host: u8) -> Sent {
        let subject = self.subject.as_ref().expect("a label");
        let mut grant = self.owner.grant(subject, seq);
        grant.parameters.network = settings(host);
        self.owner.packet(subject, here, &grant)
    }

    /// A whole configuration.
    ///
    /// # Errors
    /// What it got in place of SUCCESS.
    pub fn configure(&mut self, seq: u64, host: u8) -> Result<(), String> {
        let ended = |victim: &Victim| format!("the agent has ended\n{}", victim.said());
        let here = self.ask().ok_or_else(|| ended(self))?;
        // No packet is taken before the last configuration's former state is forgotten; the next one would be a resend.
        self.wait(PATIENCE, |victim| if victim.is_provisional() { Err(victim.said()) } else { Ok(()) })?;
        let sent = self.packet(&here, seq, host);
        let status = self.deliver(&sent.bytes, &sent).ok_or_else(|| ended(self))?;
        if reason(Some(status.clone())) == Some(Reason::TooManyAttempts) {
            // It opens one packet a second of its clock.
            return self.configure(seq, host);
        }
        if status != (Status::Success { committed: false }) {
            return Err(format!("{status:?}\n{}", self.said()));
        }
        let status = self.kick(&sent).ok_or_else(|| ended(self))?;
        if status != (Status::Success { committed: true }) {
            return Err(format!("{status:?}\n{}", self.said()));
        }
        Ok(())
    }

    /// What the agents said, the last one at the end.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Forgets what the agents said.
    pub fn forget_log(&self) {
        let _ = fs::remove_file(self.log_file());
    }

    fn log_file(&self) -> PathBuf {
        self.lab.folder().join("agent.log")
    }

    fn trace_file(&self) -> PathBuf {
        self.lab.folder().join("trace")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Settings that differ in all that can, for 10.20.0.`host`.
///
/// # Panics
/// If `host` makes no address.
pub fn settings(host: u8) -> NetworkSettings {
    let raw = RawSettings {
        host_name: format!("mail-{host}"),
        domain: format!("site-{host}.example.net"),
        address: format!("10.20.0.{host}"),
        netmask: "24".into(),
        gateway: "10.20.0.1".into(),
        dns1: format!("10.20.0.{}", host ^ 1),
        dns2: String::new(),
        ..RawSettings::default()
    };
    raw.validate().expect("valid settings")
}

const STATE: &str = "var/lib/muster";
const FACTORY_ADDRESS: &str = "10.7.0.5/16";
const FILTERS: [&str; 2] = ["/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/ipv4/conf/eth0/rp_filter"];

/// The files of an appliance that was never on. Folders that settings need are missing, permissions are odd.
pub fn factory() -> Tree {
    use super::tree::Node::{File, Folder};
    let file = |text: &str, mode| File { bytes: text.into(), mode };
    let nodes = [
        ("etc", Folder(0o755)),
        ("etc/muster", Folder(0o755)),
        // One process, also where the user is that the agent would divide itself for: cuts are counted in its first thread.
        ("etc/muster/agent.toml", file("probe_ms = 1\nuser = \"root\"\n", 0o644)),
        ("etc/hostname", file("factory\n", 0o640)),
        ("etc/hosts", file("127.0.0.1\tlocalhost\n10.7.0.1 other # kept\n", 0o644)),
        ("etc/resolv.conf", file("nameserver 10.7.0.1\n", 0o644)),
        ("run", Folder(0o755)),
        ("var", Folder(0o755)),
    ];
    Tree { nodes: nodes.map(|(path, node)| (PathBuf::from(path), node)).into() }
}

fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib");
    let candidates = folders.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")));
    candidates.into_iter().find(|path| path.exists()).expect("libfaketime is installed (make setup-test)")
}

/// What differs between two pictures, for a person.
pub fn difference(found: &Picture, wanted: &Picture) -> String {
    let mut text = String::new();
    let mut compare = |name: &str, found: &str, wanted: &str| {
        if found != wanted {
            text += &format!("{name}: found {found:?}, wanted {wanted:?}\n");
        }
    };
    compare("addresses", &found.addresses, &wanted.addresses);
    compare("routes", &found.routes, &wanted.routes);
    compare("host name", &found.host_name, &wanted.host_name);
    compare("filters", &found.filters, &wanted.filters);
    let names = found.files.nodes.keys().chain(wanted.files.nodes.keys());
    for path in names.collect::<std::collections::BTreeSet<_>>() {
        let show = |picture: &Picture| {
            let nodes =
                picture.files.nodes.get_key_value::<Path>(path).map(|(path, node)| (path.clone(), node.clone()));
            Tree { nodes: nodes.into_iter().collect() }.describe()
        };
        compare("file", &show(found), &show(wanted));
    }
    text
}
