//! What a beat reports.

mod disks;
mod sensors;

use crate::counters;
use crate::network::conflict::Conflicts;
use muster_protocol::api::{BeatValues, HostValues, InterfaceErrors};
use procfs::Current;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Measures an appliance.
pub trait Health: Send + 'static {
    /// Now.
    fn measure(&mut self) -> BeatValues;

    /// The NOC has just said what time it is, in Unix seconds.
    fn heard_time(&mut self, time: u64) {
        let _ = time;
    }

    /// Another interface is the one that is configured.
    fn use_interface(&mut self, name: &str) {
        let _ = name;
    }
}

/// This host: procfs, its local disks and sensors, and the counters of its applications.
#[derive(Debug, Default)]
pub struct HostHealth {
    /// The configured interface.
    pub interface: String,
    /// Folders with counter files.
    pub counters: Vec<PathBuf>,
    /// Another process of the agent, whose memory counts.
    pub keeper: Option<u32>,
    /// How far our clock was ahead of the NOC's when it last answered.
    pub clock_offset_s: Option<i64>,
    /// Who else claims its address.
    pub address_conflict: Option<watch::Receiver<Conflicts>>,
}

impl Health for HostHealth {
    fn measure(&mut self) -> BeatValues {
        let disks = disks::measure();
        let fullest = disks.first().cloned().or_else(|| disks::measure_one(Path::new("/")));
        let memory = procfs::Meminfo::current().ok();
        let mut values = BeatValues {
            uptime_s: procfs::Uptime::current().map_or(0, |uptime| uptime.uptime as u64),
            load: procfs::LoadAverage::current().map_or(0.0, |load| hundredths(load.one)),
            memory_percent: memory.as_ref().map_or(0.0, memory_percent),
            disk_percent: fullest.as_ref().map_or(0.0, |disk| disk.percent),
            disk_free: fullest.as_ref().map_or(0, |disk| disk.free),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            address_conflict: self.address_conflict.as_ref().and_then(|conflicts| conflicts.borrow().any()),
            counters: Default::default(),
            host: Some(HostValues {
                memory: memory.map(|memory| memory.mem_total),
                disks,
                temperature_c: sensors::hottest(Path::new("/sys/class")),
                interface: interface_errors(&self.interface),
                clock_offset_s: self.clock_offset_s,
                processors: processors(),
                agent_memory: agent_memory(self.keeper),
            }),
            drift: Vec::new(),
            network_problem: None,
            components: Vec::new(),
        };
        for folder in &self.counters {
            counters::read(folder, &mut values.counters);
        }
        values
    }

    fn use_interface(&mut self, name: &str) {
        name.clone_into(&mut self.interface);
    }

    fn heard_time(&mut self, time: u64) {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.clock_offset_s = Some(ours.cast_signed().saturating_sub_unsigned(time));
    }
}

fn memory_percent(memory: &procfs::Meminfo) -> f64 {
    let free = memory.mem_available.unwrap_or(memory.mem_free);
    percent(memory.mem_total.saturating_sub(free), memory.mem_total)
}

fn interface_errors(interface: &str) -> Option<InterfaceErrors> {
    let status = procfs::net::dev_status().ok()?.remove(interface)?;
    Some(InterfaceErrors {
        rx_errors: status.recv_errs,
        rx_dropped: status.recv_drop,
        tx_errors: status.sent_errs,
        tx_dropped: status.sent_drop,
    })
}

/// Processors that are online.
fn processors() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let is_one =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    u32::try_from(stat.lines().filter(is_one).count()).ok().filter(|count| *count > 0)
}

/// Of all processes of the agent that may be looked at.
fn agent_memory(keeper: Option<u32>) -> Option<u64> {
    let own = resident("self")?;
    let keepers = keeper.and_then(|pid| resident(&pid.to_string())).unwrap_or(0);
    Some(own + keepers)
}

fn resident(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// As the kernel tells it: its number is read with fewer digits than ours has.
fn hundredths(load: f32) -> f64 {
    (f64::from(load) * 100.0).round() / 100.0
}

/// One decimal.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64 * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_plausible_values() {
        let mut health =
            HostHealth { interface: "lo".into(), keeper: Some(std::process::id()), ..HostHealth::default() };
        let values = health.measure();
        assert!(values.uptime_s > 0);
        assert!((0.0..=100.0).contains(&values.memory_percent) && values.memory_percent > 0.0, "{values:?}");
        assert!((0.0..=100.0).contains(&values.disk_percent) && values.disk_free > 0, "{values:?}");
        assert!(values.load >= 0.0 && !values.agent.is_empty());
        let host = values.host.expect("measured");
        assert!(host.memory.is_some_and(|bytes| bytes > 1 << 20) && host.interface.is_some(), "{host:?}");
        assert!(host.processors.is_some_and(|count| count > 0), "{host:?}");
        assert!(host.agent_memory.is_some_and(|bytes| bytes > 1 << 20), "{host:?}");
        assert_eq!(host.clock_offset_s, None, "nobody has told the time");
        assert_eq!(interface_errors("none0"), None);
        assert_eq!(percent(1, 3), 33.3);
        assert_eq!(percent(1, 0), 0.0);
    }

    #[test]
    fn the_clock_is_compared_with_the_nocs() {
        let mut health = HostHealth::default();
        health.heard_time(0);
        assert!(health.measure().host.is_some_and(|host| host.clock_offset_s > Some(1_700_000_000)));
        health.heard_time(u64::MAX);
        assert!(health.measure().host.is_some_and(|host| host.clock_offset_s < Some(0)));
    }

    #[test]
    fn a_beat_stays_small_whatever_the_host_is_like() {
        let folder = tempfile::tempdir().expect("a folder");
        let hostile = format!("n{{l=\"{}\"}} 1e300\n", "\\\\".repeat(50));
        let many: String = (0..120).map(|n| hostile.replace("n{", &format!("n{n}{{"))).collect();
        fs::write(folder.path().join("hostile"), many).expect("written");
        let mut health = HostHealth { counters: vec![folder.path().to_owned()], ..HostHealth::default() };
        health.heard_time(u64::MAX);
        let mut values = health.measure();
        let disk = muster_protocol::api::Disk { mount: "\"".repeat(64), percent: 99.9, free: u64::MAX };
        values.host.as_mut().expect("measured").disks = vec![disk; muster_protocol::api::MOST_DISKS];
        assert!(!values.counters.is_empty());
        let bytes = serde_json::to_vec(&values).expect("JSON").len();
        assert!(bytes <= MAX_VALUES, "{bytes}");
    }

    /// What docs/protocol-noc.md promises.
    const MAX_VALUES: usize = 11 * 1024;
}
