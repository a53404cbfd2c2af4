//! `bench-job --appliances N`: from the first ping to the last accepted first beat, one JSON line.
//!
//! NOC, practice fleet and console run as separate processes on loopback, so that each one's processor time and memory can
//! be told apart. The site confirms by first beat: the job ends when the NOC has accepted a beat of every appliance.

use anyhow::{Context, ensure};
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use system_tests::process::{Running, program, succeed};
use system_tests::wait::until;

/// From the first ping to the last accepted first beat.
#[derive(Parser)]
struct Options {
    /// How many simulated appliances.
    #[arg(long, default_value_t = 100)]
    appliances: u32,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let count = options.appliances;

    let mut fleet = Fleet::start(count)?;
    let (noc, port) = start_noc(folder.path(), count, &fleet.manifest)?;
    let data = folder.path().join("console");
    let muster = || {
        let mut command = Command::new(program("muster"));
        command.env("MUSTER_KEYRING", "off").arg("--data-dir").arg(&data);
        command.args(["--no-lan", "--target", &format!("127.0.0.1:{}", fleet.port), "--json"]);
        command
    };
    join(&mut muster(), folder.path())?;

    let fleet_before = usage(fleet.child.id())?;
    let noc_before = usage(noc.id())?;
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let started = Instant::now();
    let output = muster().args(["configure", "--all-unconfigured"]).output()?;
    let seconds = started.elapsed().as_secs_f64();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let job: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("muster configure: {}", String::from_utf8_lossy(&output.stderr)))?;
    let items = job["items"].as_array().context("no items")?;
    let configured = items.iter().filter(|item| item["step"] == "configured").count();
    ensure!(configured == count as usize, "{configured} of {count} configured; port {port}; {job}");

    let cpu = |r: &nix::sys::resource::Usage| (r.user_time() + r.system_time()).num_milliseconds() as f64;
    let each = |ms: f64| (ms / f64::from(count) * 1_000.0).round() / 1_000.0;
    let stats = fleet.stats()?;
    let line = json!({
        "bench": "job",
        "appliances": count,
        "seconds": (seconds * 1_000.0).round() / 1_000.0,
        "cpu_ms_each": {
            "console": each(cpu(&after) - cpu(&children)),
            "noc": each(usage(noc.id())?.cpu_ms - noc_before.cpu_ms),
            "fleet": each(usage(fleet.child.id())?.cpu_ms - fleet_before.cpu_ms),
        },
        "packets": stats["packets_in"].as_u64().unwrap_or(0) + stats["packets_out"].as_u64().unwrap_or(0),
        "peak_mib": { "console": after.max_rss() / 1024, "noc": usage(noc.id())?.peak_mib },
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(())
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

fn start_noc(folder: &Path, count: u32, manifest: &str) -> anyhow::Result<(Running, u16)> {
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
    site.args(["--beat-interval", "5", "--confirm", "first-beat", "--window", "120"]);
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
    Ok((running, port))
}

fn join(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    let invite = std::fs::File::open(folder.join("invite"))?;
    let status = command.args(["join", "-"]).stdin(invite).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "muster join failed");
    Ok(())
}

/// What a process has used so far.
struct Usage {
    cpu_ms: f64,
    peak_mib: u64,
}

fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("stat")?.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    let cpu_ms = (ticks(11) + ticks(12)) * 10.0;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: u64 = peak.and_then(|p| p.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    Ok(Usage { cpu_ms, peak_mib: peak_kib / 1024 })
}
