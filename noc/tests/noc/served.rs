//! The program, serving on a port of its own, and its other commands beside it.

use crate::client::{Console, Http};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_protocol::id::SiteId;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A NOC of the real program in a folder.
pub(crate) struct Served {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    pub(crate) environment: Vec<(&'static str, String)>,
    server: Option<Child>,
}

impl Served {
    /// A data folder that nobody serves yet.
    pub(crate) fn stopped() -> Served {
        let noc = Served::empty(free_port());
        let address = noc.address();
        noc.good(&["init", "--address", &address, "--listen", &address]);
        noc
    }

    /// A machine without a NOC, which will be reached at a port.
    pub(crate) fn empty(port: u16) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        Served { folder, port, environment: Vec::new(), server: None }
    }

    pub(crate) fn start() -> Served {
        let mut noc = Served::stopped();
        noc.serve(&[]);
        noc
    }

    /// Starts the server; what it says once it takes connections.
    pub(crate) fn serve(&mut self, words: &[&str]) -> String {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let mut command = self.command(&[&["serve"], words].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("serves");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        self.server = Some(child);
        let ready = lines.next().and_then(Result::ok).unwrap_or_else(|| panic!("it serves: {}", self.log()));
        assert!(ready.starts_with("Serving "), "{ready}");
        ready
    }

    /// Ends the server as a power cut would.
    pub(crate) fn cut_power(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the server to end, and waits until it has; true when it says that all went well.
    pub(crate) fn terminate(&mut self) -> bool {
        let mut child = self.server.take().expect("serving");
        let id = i32::try_from(child.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM).expect("told");
        child.wait().expect("ended").success()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The data folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("noc")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("noc.log")
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-noc"));
        command.args(words).arg("--dir").arg(self.dir()).env_remove("MUSTER_NOC_DIR").env_remove("RUST_LOG");
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("runs")
    }

    /// What a command prints.
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same as JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[words, &["--json"]].concat())).expect("JSON")
    }

    /// What a command says that is refused.
    pub(crate) fn bad(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(!output.status.success(), "{words:?} should be refused");
        String::from_utf8(output.stderr).expect("text")
    }

    pub(crate) fn site(&self) -> SiteId {
        let words = ["site", "add", "--name", "Bern", "--pool", "10.20.0.10-10.20.9.250", "--netmask", "/16"];
        let more = ["--domain", "example.net", "--beat-interval", "5", "--host-name", "m-{n}"];
        SiteId(self.json(&[&words[..], &more].concat())["id"].as_u64().expect("a number") as u32)
    }

    pub(crate) fn import(&self, devices: &[crate::world::Device]) {
        let line = |d: &crate::world::Device| format!("SN{},{},{},{}\n", d.n, d.mac, d.uid, d.claim.reveal());
        let lines: String = devices.iter().map(line).collect();
        let file = self.path("manifest.csv");
        std::fs::write(&file, format!("serial,mac,uid,claim\n{lines}")).expect("written");
        self.good(&["inventory", "import", &file]);
    }

    pub(crate) fn invite(&self, site: SiteId) -> Value {
        let text = self.good(&["console", "invite", "--site", &site.to_string()]);
        let body = text.trim().strip_prefix("muster-invite:").expect("an invite");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("JSON")
    }

    pub(crate) async fn anybody(&self, site: SiteId) -> Http {
        let pin = HEXLOWER.decode(self.invite(site)["pin"].as_str().expect("a pin").as_bytes()).expect("hex");
        Http::anybody(&self.address(), pin.try_into().expect("32 bytes")).await
    }

    pub(crate) async fn console(&self, site: SiteId) -> Console {
        let invite = self.invite(site);
        Console::enrol(&self.anybody(site).await, invite["token"].as_str().expect("a token")).await
    }

    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir().join("noc.sqlite")).expect("opens")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.cut_power();
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

/// A port that is free and stays so while nobody listens on it: the kernel gives none of these to connections.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 20_000 + (getrandom::u32().expect("entropy") % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until it is so.
pub(crate) fn until(what: &str, probe: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !probe() {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "waited 30 s until {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
