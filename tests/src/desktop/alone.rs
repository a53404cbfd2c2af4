//! A network of the test's own, with nothing in it but loopback: what the app sends to "all interfaces" goes nowhere.

use anyhow::Context;
use std::future::Future;
use std::process::Command;

/// Set in the process that is alone.
const ALONE: &str = "MUSTER_TEST_ALONE";

/// Runs `work` in a network namespace of its own, by starting this test program again inside one.
///
/// # Panics
/// When the work fails: this is for the body of a test.
pub fn alone<F: Future<Output = anyhow::Result<()>>>(test: &str, work: impl FnOnce() -> F) {
    let outcome = if std::env::var_os(ALONE).is_some() { run(work()) } else { again(test) };
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
}

fn again(test: &str) -> anyhow::Result<()> {
    // Who is not root becomes it in a namespace of users, as far as the new network is concerned.
    let user: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let status = Command::new("unshare")
        .args(user)
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().context("the test's own path")?)
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .status()
        .context("unshare")?;
    anyhow::ensure!(status.success(), "{test} failed in its own network: {status}");
    Ok(())
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}
