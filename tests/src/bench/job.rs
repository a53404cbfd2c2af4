//! One whole job: from the first ping to the last accepted first beat.
//!
//! NOC, practice fleet and console run as separate processes on loopback, so that each one's processor time and memory can
//! be told apart. The site confirms by first beat: the job ends when the NOC has accepted a beat of every appliance.

use super::usage::{self, Usage};
use crate::process::{Running, program, succeed};
use crate::wait::until;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a job took.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// How many appliances were configured: all there were.
    pub appliances: u32,
    /// From the start of `muster configure` to its end.
    pub seconds: f64,
    /// Processor time and memory of `muster configure`.
    pub console: Usage,
    /// Those of the NOC; the time since the job began.
    pub noc: Usage,
    /// Those of the fleet; the time since the job began.
    pub fleet: Usage,
    /// Datagrams to and from the fleet.
    pub packets: u64,
}

impl Job {
    /// Milliseconds of processor time an appliance, over all parties.
    pub fn cpu_ms_each(&self) -> f64 {
        (self.console.cpu_ms + self.noc.cpu_ms + self.fleet.cpu_ms) / f64::from(self.appliances)
    }
}

/// Configures `count` appliances of a practice fleet.
pub fn run(count: u32) -> anyhow::Result<Job> {
    let folder = tempfile::tempdir()?;
    let mut fleet = Fleet::start(count)?;
    let noc = start_noc(folder.path(), count, &fleet.manifest)?;
    let data = folder.path().join("console");
    let muster = || {
        let mut command = Command::new(program("muster"));
        command.env("MUSTER_KEYRING", "off").arg("--data-dir").arg(&data);
        command.args(["--no-lan", "--target", &format!("127.0.0.1:{}", fleet.port), "--json"]);
        command
    };
    join(&mut muster(), folder.path())?;

    let before = (usage::of_process(fleet.child.id())?, usage::of_process(noc.id())?, usage::of_children()?);
    let started = Instant::now();
    let output = muster().args(["configure", "--all-unconfigured"]).output()?;
    let seconds = started.elapsed().as_secs_f64();
    let after = (usage::of_process(fleet.child.id())?, usage::of_process(noc.id())?, usage::of_children()?);

    let job: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("muster configure: {}", String::from_utf8_lossy(&output.stderr)))?;
    let items = job["items"].as_array().context("no items")?;
    let configured = items.iter().filter(|item| item["step"] == "configured").count();
    ensure!(configured == count as usize, "{configured} of {count} configured; {job}");
    let stats = fleet.stats()?;
    ensure!(stats["beating"] == count, "not every appliance had a beat accepted: {stats}");

    let since = |after: Usage, before: Usage| Usage { cpu_ms: after.cpu_ms - before.cpu_ms, ..after };
    Ok(Job {
        appliances: count,
        seconds,
        console: since(after.2, before.2),
        noc: since(after.1, before.1),
        fleet: since(after.0, before.0),
        packets: stats["packets_in"].as_u64().unwrap_or(0) + stats["packets_out"].as_u64().unwrap_or(0),
    })
}

/// The practice fleet as a process of its own; ends with its standard input.
struct Fleet {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u64,
    manifest: String,
}

impl Fleet {
    fn start(count: u32) -> anyhow::Result<Fleet> {
        let mut command = Command::new(program("fleet"));
        command.args(["--count", &count.to_string(), "--seed", "1"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        let ready: Value = serde_json::from_str(&lines.next().context("the fleet says nothing")??)?;
        let port = ready["port"].as_u64().context("port")?;
        let manifest = ready["manifest"].as_str().context("manifest")?.to_owned();
        Ok(Fleet { child, lines, port, manifest })
    }

    fn stats(&mut self) -> anyhow::Result<Value> {
        let stdin = self.child.stdin.as_mut().context("piped")?;
        writeln!(stdin, "{}", json!({"stats": true}))?;
        for line in self.lines.by_ref() {
            let value: Value = serde_json::from_str(&line?)?;
            if value["event"] == "stats" {
                return Ok(value);
            }
        }
        anyhow::bail!("the fleet ended")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Ending its input ends it; the kill is for a fleet that hangs.
        drop(self.child.stdin.take());
        std::thread::sleep(Duration::from_millis(50));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_noc(folder: &Path, count: u32, manifest: &str) -> anyhow::Result<Running> {
    // A port that was free a moment ago is free enough for a benchmark on loopback.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let data = folder.join("noc");
    let noc = |args: &[&str]| {
        let mut command = Command::new(program("muster-noc"));
        command.args(args).arg("--dir").arg(&data);
        command
    };
    let address = format!("127.0.0.1:{port}");
    succeed(noc(&["init"]).args(["--address", &address, "--listen", &address]));
    let last = std::net::Ipv4Addr::from(0x0a4d_0001 + count + 10);
    let mut site = noc(&["site", "add"]);
    site.args(["--name", "Bench", "--pool", &format!("10.77.0.2-{last}"), "--netmask", "255.255.0.0"]);
    site.args(["--gateway", "10.77.0.1", "--domain", "bench.example.net", "--host-name", "a-{n:05}"]);
    // The usual interval: at a shorter one, appliances that are done would beat on while others are configured.
    site.args(["--beat-interval", "60", "--confirm", "first-beat", "--window", "120"]);
    succeed(&mut site);
    let file = folder.join("manifest.csv");
    std::fs::write(&file, manifest)?;
    succeed(noc(&["inventory", "import"]).arg(&file));
    let invite = succeed(noc(&["console", "invite"]).args(["--site", "Bench"]));
    let invite = invite.split_whitespace().find(|w| w.starts_with("muster-invite:")).context("no invite")?;
    std::fs::write(folder.join("invite"), invite)?;
    let running = Running::start(&mut noc(&["serve"]), &folder.join("noc.log"));
    until("the NOC to listen", Duration::from_secs(20), || {
        std::net::TcpStream::connect(&address).map(drop).map_err(|error| error.to_string())
    });
    Ok(running)
}

fn join(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    let invite = std::fs::File::open(folder.join("invite"))?;
    let status = command.args(["join", "-"]).stdin(invite).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "muster join failed");
    Ok(())
}
