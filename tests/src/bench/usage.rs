//! What a process has used so far.

use anyhow::Context;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Processor time and memory of a process, all its threads together, those that have ended as well.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Milliseconds of processor time, user and system.
    pub cpu_ms: f64,
    /// The most memory it ever had resident, MiB.
    pub peak_mib: u64,
}

/// Of a process that runs.
pub fn of_process(pid: u32) -> anyhow::Result<Usage> {
    let pid_number = i32::try_from(pid).context("a process id")?;
    let spent = clock_getcpuclockid(Pid::from_raw(pid_number))?.now()?;
    let cpu_ms = spent.num_nanoseconds() as f64 / 1e6;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: u64 = peak.and_then(|p| p.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    Ok(Usage { cpu_ms, peak_mib: peak_kib / 1024 })
}

/// KiB that a process has resident now.
pub fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(now.split_whitespace().next().context("VmRSS")?.parse()?)
}

/// Bytes that a process has had written to disks.
pub fn written_bytes(pid: u32) -> anyhow::Result<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("write_bytes")?;
    Ok(written.trim().parse()?)
}

/// Raises the soft limit of open files to the hard one.
pub fn allow_many_files() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Of all children that have ended and were waited for, with their own children; the memory is the largest one's.
pub fn of_children() -> anyhow::Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let peak_mib = u64::try_from(usage.max_rss()).unwrap_or(0) / 1024;
    Ok(Usage { cpu_ms: cpu_ms(&usage), peak_mib })
}

/// Milliseconds of processor time that this thread has used. By its clock: `getrusage` counts in ticks of the scheduler.
pub fn this_thread_ms() -> f64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0.0, |spent| spent.num_nanoseconds() as f64 / 1e6)
}

fn cpu_ms(usage: &nix::sys::resource::Usage) -> f64 {
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let before = (this_thread_ms(), of_process(std::process::id()).expect("us").cpu_ms);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let waited = this_thread_ms() - before.0;
        let mut sum = 0_u64;
        while this_thread_ms() - before.0 < waited + 30.0 {
            sum = black_box(sum.wrapping_add(1));
        }
        let of_process = of_process(std::process::id()).expect("us").cpu_ms - before.1;
        assert!(waited < 40.0, "{waited} ms while asleep");
        assert!(of_process >= 25.0, "{of_process} ms of the process for 30 ms of this thread");
    }
}
