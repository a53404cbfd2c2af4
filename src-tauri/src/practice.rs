//! The practice fleet: simulated appliances that run the real agent, in a process of their own.
//!
//! The process ends when its standard input closes, so it never outlives the app, however the app ends.

use crate::error::PracticeError;
use muster_console::view::PracticeKnobs;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

/// Appliances of a practice fleet unless somebody says another number.
pub(crate) const COUNT: u16 = 24;

/// A larger fleet does not keep what it was given.
const MOST_KEPT: u16 = 500;

/// Seconds between practice beats: nobody waits a minute to see one.
pub(crate) const BEAT_INTERVAL_S: u32 = 5;

/// How long the fleet may take until its appliances listen.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the fleet may take to end once its input is closed.
const END_WITHIN: Duration = Duration::from_secs(2);

/// A running practice fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    child: Child,
    control: Mutex<Control>,
    /// Where its appliances answer.
    pub(crate) target: SocketAddr,
    /// Their manifest, as a vendor would send it.
    pub(crate) manifest: String,
}

#[derive(Debug)]
struct Control {
    stdin: ChildStdin,
    knobs: PracticeKnobs,
}

/// The one line that the fleet writes when it listens.
#[derive(Deserialize)]
struct Ready {
    ready: bool,
    port: u16,
    manifest: String,
}

/// A line that the fleet reads.
#[derive(Serialize)]
struct Turn<'a> {
    knobs: &'a PracticeKnobs,
}

impl Fleet {
    /// Starts `count` appliances that keep in `folder` what they are given, and waits until they listen.
    pub(crate) async fn start(count: u16, folder: &Path) -> Result<Self, PracticeError> {
        Self::start_program(&program()?, count, folder).await
    }

    async fn start_program(program: &Path, count: u16, folder: &Path) -> Result<Self, PracticeError> {
        // Each waits for the disk as a real one does, but all for the same disk: a huge fleet comes from the factory
        // every time instead.
        let state = (count <= MOST_KEPT).then_some(["--state".as_ref(), folder.as_os_str()]);
        let mut child = Command::new(program)
            .arg("--count")
            .arg(count.to_string())
            .args(state.into_iter().flatten())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| PracticeError::Start { program: program.to_owned(), source })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(PracticeError::NotReady { said: String::new() });
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(READY_WITHIN, lines.next_line()).await;
        let said = first.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let ready: Ready = match serde_json::from_str(&said) {
            Ok(ready @ Ready { ready: true, .. }) => ready,
            _ => return Err(PracticeError::NotReady { said: said.chars().take(200).collect() }),
        };
        // Whatever else it says is read, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

        let fleet = Self {
            child,
            control: Mutex::new(Control { stdin, knobs: PracticeKnobs::default() }),
            target: (Ipv4Addr::LOCALHOST, ready.port).into(),
            manifest: ready.manifest,
        };
        // Long enough to see that something is being installed.
        fleet.turn(PracticeKnobs { install_ms: 1500, ..PracticeKnobs::default() }).await?;
        Ok(fleet)
    }

    /// Sets the knobs.
    pub(crate) async fn turn(&self, knobs: PracticeKnobs) -> Result<(), PracticeError> {
        let mut line = serde_json::to_vec(&Turn { knobs: &knobs })
            .map_err(|source| PracticeError::Gone { source: source.into() })?;
        line.push(b'\n');
        let mut control = self.control.lock().await;
        let gone = |source| PracticeError::Gone { source };
        control.stdin.write_all(&line).await.map_err(gone)?;
        control.stdin.flush().await.map_err(gone)?;
        control.knobs = knobs;
        Ok(())
    }

    /// The knobs as they were last set.
    pub(crate) async fn knobs(&self) -> PracticeKnobs {
        self.control.lock().await.knobs.clone()
    }

    /// Ends the fleet; its appliances keep what they have.
    pub(crate) async fn stop(self) {
        let Self { mut child, control, .. } = self;
        drop(control);
        if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err()
            && let Err(error) = child.kill().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the practice fleet does not end");
        }
    }
}

/// `$MUSTER_FLEET`, else the program beside this one.
fn program() -> Result<PathBuf, PracticeError> {
    let path = match std::env::var_os("MUSTER_FLEET") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe().unwrap_or_default();
            own.with_file_name(format!("fleet{}", std::env::consts::EXE_SUFFIX))
        }
    };
    if path.is_file() { Ok(path) } else { Err(PracticeError::NotInstalled { path }) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that plays the fleet's side of the conversation by `script`.
    fn fleet(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("fleet");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("own file");
        path
    }

    #[tokio::test]
    async fn knobs_reach_the_fleet_and_it_ends_with_its_input() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = r#"printf '%s\n' '{"ready":true,"port":6879,"manifest":"serial"}'; cat > "$(dirname "$0")/heard""#;
        let program = fleet(folder.path(), script);
        let fleet = Fleet::start_program(&program, 3, folder.path()).await.expect("it starts");
        assert_eq!(fleet.target.to_string(), "127.0.0.1:6879");
        let silent = PracticeKnobs { silent: vec!["ABCD".to_owned()], ..PracticeKnobs::default() };
        fleet.turn(silent.clone()).await.expect("it listens");
        assert_eq!(fleet.knobs().await, silent);
        fleet.stop().await;
        let heard = std::fs::read_to_string(folder.path().join("heard")).expect("it wrote what it read");
        let last: serde_json::Value = serde_json::from_str(heard.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["knobs"]["silent"][0], "ABCD");
    }

    #[tokio::test]
    async fn a_fleet_that_does_not_start_says_what_it_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = fleet(folder.path(), "echo 'no port is free'; exit 1");
        let error = Fleet::start_program(&program, 3, folder.path()).await.expect_err("it is not ready");
        assert!(matches!(&error, PracticeError::NotReady { said } if said == "no port is free"), "{error:?}");
    }

    #[tokio::test]
    async fn a_fleet_that_went_away_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = r#"echo '{"ready":true,"port":1,"manifest":""}'; read line; exit 0"#;
        let program = fleet(folder.path(), script);
        let mut fleet = Fleet::start_program(&program, 3, folder.path()).await.expect("it starts");
        fleet.child.wait().await.expect("it ends by itself");
        let error = fleet.turn(PracticeKnobs::default()).await.expect_err("nobody listens");
        assert!(matches!(error, PracticeError::Gone { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Fleet::start_program(&folder.path().join("fleet"), 3, folder.path()).await.expect_err("no program");
        assert!(matches!(error, PracticeError::Start { .. }), "{error:?}");
    }
}
