//! `bench-discovery`: how long a discovery takes, one JSON line for each number of appliances and loss, and beside it, in
//! the same run and over the same addresses, what `arp-scan` takes.
//!
//! The console (`muster discover`) and the fleet are processes in two network namespaces on one veth pair. Each appliance
//! answers from an address of its own. The fleet runs the real agent code of every appliance and loses pings and answers
//! for each one by itself; for arp-scan, nftables loses as many ARP packets in each direction. That the two hosts know each
//! other's MAC address is settled beforehand: here four thousand appliances share one kernel, and with it one neighbour
//! table.

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use system_tests::bench::usage;
use system_tests::process::{program, succeed};

/// From the first ping until the last appliance is found
#[derive(Parser)]
struct Options {
    /// How many appliances, several times for several
    #[arg(long, default_values_t = [1_000, 4_000], value_parser = clap::value_parser!(u32).range(1..=4_000))]
    appliances: Vec<u32>,
    /// How many of 100 datagrams are lost each way, several times for several
    #[arg(long, default_values_t = [0, 10, 30], value_parser = clap::value_parser!(u8).range(0..=90))]
    loss: Vec<u8>,
    /// Discoveries each
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// arp-scan's runs each; at its defaults one takes ten to sixteen seconds. Without any, arp-scan is not needed
    #[arg(long, default_value_t = 3)]
    arp_scan_runs: u32,
}

/// The addresses of the network, and the console's own in it.
const NETWORK: &str = "10.77.0.0/20";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const CONSOLE: Ipv4Addr = Ipv4Addr::new(10, 77, 15, 254);
/// Goals: seconds until the last one is found, of 4,000.
const GOALS: [(u8, f64); 3] = [(0, 0.8), (10, 1.2), (30, 2.5)];
const TUNED: [&str; 8] = ["-B", "100M", "-r", "8", "-t", "30", "-b", "1"];

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    let mut out = std::io::stdout();
    let mut missed = 0;
    for count in &options.appliances {
        let network = Network::new(*count)?;
        for loss in &options.loss {
            let line = measure(&network, *count, *loss, &options)?;
            missed += line["missed"].as_u64().unwrap_or(0);
            writeln!(out, "{line}")?;
        }
    }
    ensure!(missed == 0, "{missed} appliances were missed");
    Ok(())
}

fn measure(network: &Network, count: u32, loss: u8, options: &Options) -> anyhow::Result<Value> {
    let mut all = Vec::new();
    for run in 0..options.runs {
        // A fleet of its own for each: appliances that have lately been asked have one-time keys in stock.
        let mut fleet = Fleet::start(network, count, loss, u64::from(run) + 1)?;
        let discovery = discover(network)?;
        let strangers = discovery.macs.difference(&fleet.macs).count();
        ensure!(strangers == 0, "{strangers} were found that are not there");
        let lost = fleet.stats()?["packets_lost"].as_u64().unwrap_or(0);
        ensure!((loss == 0) == (lost == 0), "{lost} datagrams were lost at {loss} %");
        all.push(discovery);
    }
    let (mut default, mut tuned) = (None, None);
    if options.arp_scan_runs > 0 {
        network.lose_arp(loss)?;
        default = Some(arp_scan(network, count, &[], options.arp_scan_runs)?);
        tuned = Some(arp_scan(network, count, &TUNED, options.arp_scan_runs)?);
        network.lose_arp(0)?;
    }

    let found: Vec<usize> = all.iter().map(|one| one.macs.len()).collect();
    let missed: usize = found.iter().map(|found| count as usize - found).sum();
    let each = |value: fn(&Discovery) -> f64| all.iter().map(value).collect::<Vec<f64>>();
    let median_s = quantile(&each(|one| one.last_found_s), 0.5);
    let goal = GOALS.iter().find(|(percent, _)| *percent == loss).map(|(_, goal)| *goal);
    Ok(json!({
        "bench": "discovery",
        "appliances": count,
        "loss": f64::from(loss) / 100.0,
        "runs": options.runs,
        "missed": missed,
        "found": found.iter().min(),
        "median_s": round(median_s),
        "p99_s": round(quantile(&each(|one| one.last_found_s), 0.99)),
        "finished_median_s": round(quantile(&each(|one| one.finished_s), 0.5)),
        "finished_p99_s": round(quantile(&each(|one| one.finished_s), 0.99)),
        "process_median_s": round(quantile(&each(|one| one.process_s), 0.5)),
        "packets": quantile(&each(|one| one.packets), 0.5).round(),
        "bytes": quantile(&each(|one| one.bytes), 0.5).round(),
        "console_cpu_s": round(quantile(&each(|one| one.console_cpu_s), 0.5)),
        "receive_buffer": all.first().map(|one| one.receive_buffer),
        "arp_scan_default_s": default.map(|scan| round(scan.median_s)),
        "arp_scan_default_missed": default.map(|scan| scan.missed),
        "arp_scan_tuned_s": tuned.map(|scan| round(scan.median_s)),
        "arp_scan_tuned_missed": tuned.map(|scan| scan.missed),
        "times_faster_than_default": default.map(|scan| round(scan.median_s / median_s)),
        "times_slower_than_tuned": tuned.map(|scan| round(median_s / scan.median_s)),
        "goal_s": goal.filter(|_| count == 4_000),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    }))
}

/// What one discovery took.
struct Discovery {
    macs: BTreeSet<String>,
    last_found_s: f64,
    finished_s: f64,
    /// From the start of the program to its end.
    process_s: f64,
    console_cpu_s: f64,
    packets: f64,
    bytes: f64,
    receive_buffer: u64,
}

fn discover(network: &Network) -> anyhow::Result<Discovery> {
    let folder = tempfile::tempdir()?;
    let mut command = network.at("console", &program("muster"));
    command.env("MUSTER_KEYRING", "off").arg("--data-dir").arg(folder.path()).args(["--json", "discover"]);
    let (traffic, cpu) = (network.traffic()?, usage::of_children()?);
    let began = Instant::now();
    let output = command.output()?;
    let process_s = began.elapsed().as_secs_f64();
    let cpu_ms = usage::of_children()?.cpu_ms - cpu.cpu_ms;
    let (packets, bytes) = network.traffic()?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("muster discover: {}", String::from_utf8_lossy(&output.stderr)))?;
    let seconds = |key: &str| said["discovery"][key].as_f64().with_context(|| format!("no {key}"));
    let rows = said["appliances"].as_array().context("no appliances")?;
    Ok(Discovery {
        macs: rows.iter().filter_map(|row| row["mac"].as_str().map(str::to_owned)).collect(),
        last_found_s: seconds("last_found")?,
        finished_s: seconds("seconds")?,
        process_s,
        console_cpu_s: cpu_ms / 1e3,
        packets: packets - traffic.0,
        bytes: bytes - traffic.1,
        receive_buffer: said["discovery"]["receive_buffer"].as_u64().context("no receive_buffer")?,
    })
}

#[derive(Clone, Copy)]
struct Scan {
    median_s: f64,
    /// The most that one run missed.
    missed: usize,
}

fn arp_scan(network: &Network, count: u32, flags: &[&str], runs: u32) -> anyhow::Result<Scan> {
    let wanted: BTreeSet<String> = (0..count).map(|number| address(number).to_string()).collect();
    let (mut seconds, mut missed) = (Vec::new(), 0);
    for _ in 0..runs {
        let mut command = network.at("console", Path::new("arp-scan"));
        command.args(flags).args(["--interface", "eth0", NETWORK]);
        let began = Instant::now();
        let output = command.output()?;
        seconds.push(began.elapsed().as_secs_f64());
        ensure!(output.status.success(), "arp-scan: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let found: BTreeSet<&str> = text.lines().filter_map(|line| line.split('\t').next()).collect();
        missed = missed.max(wanted.iter().filter(|one| !found.contains(one.as_str())).count());
    }
    Ok(Scan { median_s: quantile(&seconds, 0.5), missed })
}

/// Two namespaces on one cable; gone when dropped.
struct Network {
    prefix: String,
}

impl Network {
    fn new(count: u32) -> anyhow::Result<Network> {
        let network = Network { prefix: format!("md{}", std::process::id() % 100_000) };
        let (console, fleet) = (network.name("console"), network.name("fleet"));
        for name in [&console, &fleet] {
            succeed(Command::new("ip").args(["netns", "add", name]));
            // Link-local IPv6 addresses take a second or two to settle, and nobody here answers to them.
            let mut settle = network.netns(name);
            settle.args(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
            succeed(&mut settle);
        }
        network.batch(
            "console",
            &[&format!("link add eth0 type veth peer name eth0 netns {fleet}"), "link set eth0 up", "link set lo up"],
        )?;
        let mut lines: Vec<String> = vec!["link set eth0 up".into(), "link set lo up".into()];
        lines.extend((0..count).map(|number| format!("addr add {}/20 brd + dev eth0", address(number))));
        network.batch("fleet", &lines.iter().map(String::as_str).collect::<Vec<_>>())?;
        network.batch("console", &[&format!("addr add {CONSOLE}/20 brd + dev eth0")])?;
        let (console_mac, fleet_mac) = (network.mac("console")?, network.mac("fleet")?);
        network.batch("fleet", &[&format!("neigh replace {CONSOLE} lladdr {console_mac} dev eth0 nud permanent")])?;
        ensure!(console_mac != fleet_mac, "two ends, two MAC addresses");
        Ok(network)
    }

    fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn netns(&self, name: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name]);
        command
    }

    fn at(&self, host: &str, program: &Path) -> Command {
        let mut command = self.netns(&self.name(host));
        command.arg(program);
        command
    }

    fn batch(&self, host: &str, lines: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name(host), "-batch", "-"]);
        feed(&mut command, &(lines.join("\n") + "\n"))
    }

    fn link(&self, host: &str) -> anyhow::Result<Value> {
        let text = succeed(Command::new("ip").args(["-n", &self.name(host), "-s", "-j", "link", "show", "eth0"]));
        let links: Value = serde_json::from_str(&text)?;
        Ok(links[0].clone())
    }

    fn mac(&self, host: &str) -> anyhow::Result<String> {
        Ok(self.link(host)?["address"].as_str().context("no MAC address")?.to_owned())
    }

    /// Packets and bytes at the console's end so far, both ways.
    fn traffic(&self) -> anyhow::Result<(f64, f64)> {
        let link = self.link("console")?;
        let both = |key: &str| {
            let way = |way: &str| link["stats64"][way][key].as_f64().with_context(|| format!("no {key}"));
            anyhow::Ok(way("rx")? + way("tx")?)
        };
        Ok((both("packets")?, both("bytes")?))
    }

    /// Loses so many of 100 ARP packets in each direction.
    fn lose_arp(&self, percent: u8) -> anyhow::Result<()> {
        for host in ["console", "fleet"] {
            let mut rules = "table netdev loss {}\ndelete table netdev loss\n".to_owned();
            if percent > 0 {
                rules += &format!(
                    "table netdev loss {{\n\
                     chain some {{\n\
                     type filter hook ingress device \"eth0\" priority 0\n\
                     ether type arp numgen random mod 100 < {percent} drop\n\
                     }}\n}}\n"
                );
            }
            feed(self.at(host, Path::new("nft")).args(["-f", "-"]), &rules)?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in ["console", "fleet"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(host)]).status();
        }
    }
}

/// All appliances in one process; ends with its standard input.
struct Fleet {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    macs: BTreeSet<String>,
}

impl Fleet {
    fn start(network: &Network, count: u32, loss: u8, seed: u64) -> anyhow::Result<Fleet> {
        let mut command = network.at("fleet", &program("fleet"));
        command.args(["--count", &count.to_string(), "--first-address", &FIRST.to_string()]);
        command.args(["--loss-percent", &loss.to_string(), "--seed", &seed.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        let ready: Value = serde_json::from_str(&lines.next().context("the fleet says nothing")??)?;
        let manifest = ready["manifest"].as_str().context("no manifest")?;
        let mut reader = manifest.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let header = reader.next().context("an empty manifest")?;
        let column = header.iter().position(|name| name == "mac").context("no column mac")?;
        let macs: BTreeSet<String> = reader.filter_map(|cells| cells.get(column).cloned()).collect();
        ensure!(macs.len() == count as usize, "{} different MAC addresses for {count} appliances", macs.len());
        Ok(Fleet { child, lines, macs })
    }

    fn stats(&mut self) -> anyhow::Result<Value> {
        let stdin = self.child.stdin.as_mut().context("piped")?;
        writeln!(stdin, "{}", json!({ "stats": true }))?;
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
        // Nothing of it is worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(FIRST) + number)
}

fn feed(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("piped")?.write_all(input.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// The smallest value that is not below the given part of all.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
