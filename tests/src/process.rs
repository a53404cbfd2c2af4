//! Programs under test: started with a log, ended by their own id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Where cargo put the programs: beside the test binary's folder.
///
/// # Panics
/// If the test does not run from a target folder.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test.ancestors().find(|folder| folder.join(name).is_file());
    let folder = folder.unwrap_or_else(|| panic!("{name} is not built: run `cargo build` first (make lab does)"));
    folder.join(name)
}

/// A program that runs until the value is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its standard error and output.
    pub log: PathBuf,
}

impl Running {
    /// Starts `command` with its output in `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Running {
        let file = File::options().create(true).append(true).open(log).expect("log file");
        let errors = file.try_clone().expect("log file");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Running { child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs to the end; the output whatever the exit status.
///
/// # Panics
/// If it cannot be started.
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs to the end; its standard output.
///
/// # Panics
/// If it fails.
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
