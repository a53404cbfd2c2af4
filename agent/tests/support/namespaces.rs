//! Two network namespaces joined by a cable, for one test.
#![allow(dead_code, reason = "each test program uses its part")]

use std::process::Command;

const INSIDE: &str = "MUSTER_TEST_NAMESPACE";

/// True in a process inside a namespace with an unconfigured `eth0`. Otherwise makes the namespaces, runs the test of this
/// name in there, passes its verdict on and returns false.
pub(crate) fn inside(test: &str) -> bool {
    inside_with(test, &["--uts"])
}

/// The same with what `unshare` is told to part from the rest of the machine.
pub(crate) fn inside_with(test: &str, unshare: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
    let cable = Cable::make(test);
    let program = std::env::current_exe().expect("this program");
    let status = Command::new("ip")
        .args(["netns", "exec", &cable.near, "unshare"])
        .args(unshare)
        .arg(program)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, &cable.near)
        .status()
        .expect("ip runs");
    assert!(status.success(), "the test failed inside its namespace");
    false
}

/// The namespace at the other end of the cable.
pub(crate) fn peer() -> String {
    std::env::var(INSIDE).expect("inside") + "p"
}

/// Runs a program; what it printed.
pub(crate) fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `ip`.
pub(crate) fn run_ip(arguments: &str) -> String {
    let command: Vec<&str> = std::iter::once("ip").chain(arguments.split_whitespace()).collect();
    run(&command)
}

struct Cable {
    near: String,
}

impl Cable {
    fn make(test: &str) -> Cable {
        // Names of namespaces are global: one of each test and process.
        let number = test.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let near = format!("mt{:x}-{:x}", std::process::id(), number);
        let cable = Cable { near };
        let (near, far) = (&cable.near, format!("{}p", cable.near));
        run_ip(&format!("netns add {near}"));
        run_ip(&format!("netns add {far}"));
        run_ip(&format!("-n {near} link add eth0 type veth peer name eth0 netns {far}"));
        run_ip(&format!("-n {near} link set lo up"));
        run_ip(&format!("-n {far} link set eth0 up"));
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [self.near.clone(), format!("{}p", self.near)] {
            let _ = Command::new("ip").args(["netns", "delete", &name]).status();
        }
    }
}
