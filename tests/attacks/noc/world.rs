//! The programs under attack, each with a folder of its own.

use crate::client::{Console, Device, Http, beat};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use system_tests::process::{Running, output, program, succeed};
use system_tests::wait;
use tempfile::TempDir;

/// `muster-noc`, serving.
pub(crate) struct Noc {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    /// Environment of the server, as a clock that is wrong.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) server: Option<Running>,
}

impl Noc {
    /// A NOC that serves.
    pub(crate) fn start() -> Noc {
        let mut noc = Noc::stopped();
        noc.serve();
        noc
    }

    /// A data folder that nobody serves yet.
    pub(crate) fn stopped() -> Noc {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let folder = tempfile::tempdir().expect("a folder");
        let noc = Noc { folder, port, environment: Vec::new(), server: None };
        let address = noc.address();
        noc.run(&["init", "--address", &address, "--listen", &address]);
        noc
    }

    /// Starts the server, and returns when it takes connections.
    pub(crate) fn serve(&mut self) {
        let mut command = self.command(&["serve"]);
        command.env("RUST_LOG", "debug").envs(self.environment.iter().cloned());
        let log = self.folder.path().join("noc.log");
        let before = std::fs::read_to_string(&log).unwrap_or_default().matches("Serving ").count();
        let server = Running::start(&mut command, &log);
        wait::until("the NOC to serve", Duration::from_secs(20), || {
            let said = server.said();
            if said.matches("Serving ").count() > before { Ok(()) } else { Err(said) }
        });
        self.server = Some(server);
    }

    /// Ends the server as a power cut would.
    pub(crate) fn cut_power(&mut self) {
        self.server = None;
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The data folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("noc")
    }

    /// `muster-noc WORDS --dir DIR`.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("muster-noc"));
        command.args(words).arg("--dir").arg(self.dir()).env_remove("MUSTER_NOC_DIR");
        command
    }

    /// The same, to its end; what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        succeed(&mut self.command(words))
    }

    /// The same, refused; what it said.
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = output(&mut self.command(words));
        assert!(!output.status.success(), "{words:?} should be refused");
        String::from_utf8(output.stderr).expect("text")
    }

    pub(crate) fn site(&self, name: &str) -> SiteId {
        let words = ["site", "add", "--json", "--name", name, "--pool", "10.20.0.10-10.20.9.250", "--netmask", "/16"];
        let more = ["--gateway", "10.20.0.1", "--domain", "example.net", "--beat-interval", "5", "--window", "60"];
        let added: Value = serde_json::from_str(&self.run(&[&words[..], &more].concat())).expect("json");
        SiteId(added["id"].as_u64().expect("a number") as u32)
    }

    /// An invite as text.
    pub(crate) fn invite(&self, site: SiteId, valid: &str) -> String {
        let text = self.run(&["console", "invite", "--site", &site.to_string(), "--valid", valid]);
        text.trim().to_owned()
    }

    pub(crate) fn token(&self, site: SiteId, valid: &str) -> String {
        invite_body(&self.invite(site, valid))["token"].as_str().expect("token").to_owned()
    }

    /// SHA-256 of the CA certificate, as an invite says it.
    pub(crate) fn pin(&self, site: SiteId) -> [u8; 32] {
        let body = invite_body(&self.invite(site, "1h"));
        let pin = HEXLOWER.decode(body["pin"].as_str().expect("pin").as_bytes()).expect("hex");
        pin.try_into().expect("32 bytes")
    }

    pub(crate) async fn anybody(&self, site: SiteId) -> Http {
        Http::anybody(&self.address(), self.pin(site)).await
    }

    pub(crate) async fn console(&self, site: SiteId) -> Console {
        Console::enrol(&self.anybody(site).await, &self.token(site, "1h")).await
    }

    pub(crate) fn import(&self, manifest: &str) -> String {
        let file = self.folder.path().join("manifest.csv");
        std::fs::write(&file, manifest).expect("written");
        self.run(&["inventory", "import", file.to_str().expect("UTF-8")])
    }

    /// Makes devices known.
    pub(crate) fn import_devices(&self, devices: &[Device]) {
        let line = |d: &Device| format!("SN{},{},{},{},Mail\n", d.n, d.mac, d.uid, d.claim.reveal());
        let lines: String = devices.iter().map(line).collect();
        assert!(self.import(&format!("serial,mac,uid,claim,model\n{lines}")).contains("added"));
    }

    /// What the server logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("noc.log")).unwrap_or_default()
    }

    /// Memory of the server, MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        let id = self.server.as_ref().expect("serving").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
    }
}

/// The JSON inside an invite.
pub(crate) fn invite_body(invite: &str) -> Value {
    let body = invite.strip_prefix("muster-invite:").expect("an invite");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("json")
}

/// One site, one console, devices that are configured and beat.
pub(crate) struct Beating {
    pub(crate) noc: Noc,
    pub(crate) site: SiteId,
    pub(crate) console: Console,
    pub(crate) anybody: Http,
    pub(crate) devices: Vec<Device>,
    pub(crate) seqs: Vec<Seq>,
    pub(crate) appliances: Vec<Http>,
}

impl Beating {
    pub(crate) async fn start(count: u32) -> Beating {
        let noc = Noc::start();
        let site = noc.site("Bern");
        let devices = Device::several(0..count);
        noc.import_devices(&devices);
        let (console, anybody) = (noc.console(site).await, noc.anybody(site).await);
        let seqs = console.configure(site, &devices).await;
        let mut appliances = Vec::new();
        for (device, seq) in devices.iter().zip(&seqs) {
            let appliance = device.enrol(&anybody, *seq).await;
            let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, 1, *seq)).await.expect("taken");
            appliances.push(appliance);
        }
        Beating { noc, site, console, anybody, devices, seqs, appliances }
    }
}

/// `muster`, with its own data folder.
pub(crate) struct Muster {
    pub(crate) folder: TempDir,
    target: Option<u16>,
}

impl Muster {
    /// A console without an identity that pings a fleet's port, and nothing else.
    pub(crate) fn new(target: Option<u16>) -> Muster {
        Muster { folder: tempfile::tempdir().expect("a folder"), target }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("muster"));
        command.arg("--no-lan").arg("--data-dir").arg(self.folder.path());
        if let Some(port) = self.target {
            command.arg("--target").arg(format!("127.0.0.1:{port}"));
        }
        command.args(words).env("MUSTER_KEYRING", "off").env_remove("MUSTER_DATA_DIR");
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        output(&mut self.command(words))
    }

    /// What it printed as JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let text = succeed(&mut self.command(&[&["--json"], words].concat()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("muster {words:?}: {error}\n{text}"))
    }

    /// The code of the problem that it ends with.
    pub(crate) fn problem(&self, words: &[&str]) -> String {
        let output = self.output(&[&["--json"], words].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "muster {words:?} should fail: {}", String::from_utf8_lossy(&output.stdout));
        let problem = errors.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).next_back();
        problem.map(|p| p["problem"]["code"].as_str().unwrap_or_default().to_owned()).unwrap_or(errors)
    }

    pub(crate) fn join(&self, invite: &str) -> Value {
        self.json(&["join", invite])
    }
}

/// The practice fleet's program.
pub(crate) struct Fleet {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    pub(crate) port: u16,
    pub(crate) manifest: String,
}

impl Fleet {
    pub(crate) fn start(words: &[&str]) -> Fleet {
        let mut command = Command::new(program("fleet"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the fleet starts");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = said.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let ready: Value = lines.recv_timeout(Duration::from_secs(30)).expect("ready");
        let port = ready["port"].as_u64().expect("a port") as u16;
        let manifest = ready["manifest"].as_str().expect("a manifest").to_owned();
        Fleet { child, stdin, lines, port, manifest }
    }

    pub(crate) fn tell(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}").and_then(|()| self.stdin.flush()).expect("the fleet listens");
    }

    pub(crate) fn stats(&mut self) -> Value {
        self.tell(&serde_json::json!({ "stats": true }));
        self.lines.recv_timeout(Duration::from_secs(10)).expect("statistics")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A NOC, a console that has joined it, and a fleet that the inventory knows.
pub(crate) struct Practice {
    pub(crate) noc: Noc,
    pub(crate) site: SiteId,
    pub(crate) muster: Muster,
    pub(crate) fleet: Fleet,
}

impl Practice {
    pub(crate) fn start(fleet: &[&str]) -> Practice {
        let noc = Noc::start();
        let site = noc.site("Bern");
        let fleet = Fleet::start(fleet);
        noc.import(&fleet.manifest);
        let muster = Muster::new(Some(fleet.port));
        muster.join(&noc.invite(site, "1h"));
        Practice { noc, site, muster, fleet }
    }

    /// Configures everybody; the job.
    pub(crate) fn configure(&self) -> Value {
        let job = self.muster.json(&["configure", "--all-unconfigured"]);
        for item in job["items"].as_array().expect("items") {
            assert_eq!(item["step"], "configured", "{job}");
        }
        job
    }
}

/// Asks `probe` until it is true.
pub(crate) async fn until(what: &str, seconds: u64, mut probe: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !probe().await {
        assert!(Instant::now() < end, "waited {seconds} s until {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Copies a folder of files, with their permissions.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    std::fs::set_permissions(to, std::fs::metadata(from).expect("there").permissions()).expect("permissions");
}
