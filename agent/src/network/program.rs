//! Other programs, run with bounded time and bounded output: a daemon that hangs must not hang the agent.

use super::{NetworkError, shown};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// The most that a program may print to standard output, in bytes.
pub(super) const MAX_OUTPUT: usize = 256 * 1024;
/// What is kept of its standard error, in bytes.
const MAX_ERRORS: usize = 4 * 1024;
/// How long output is waited for once the program has ended: what it started may hold its pipes open for good.
const GRACE: Duration = Duration::from_millis(300);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program that ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<u8>,
    /// Its standard error, in one line that gives no orders to a terminal.
    pub(crate) errors: String,
}

/// Runs a program to its end, and ends it, with what it started, when its time is over. It gets neither our environment
/// nor our working directory.
pub(crate) async fn run(
    program: &Path,
    arguments: &[&str],
    input: &[u8],
    patience: Duration,
) -> Result<Ended, NetworkError> {
    let name = || program.display().to_string();
    let failed = |source: io::Error| NetworkError::ProgramMissing { program: name(), source };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let mut group = Group(child.id());
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let ended = async {
        let pipes = async {
            let give = async {
                if let Some(stdin) = &mut stdin {
                    // A program that does not want to know is not forced to.
                    let _ = stdin.write_all(input).await;
                }
                drop(stdin.take());
                Ok(())
            };
            tokio::try_join!(give, fill(stdout, &mut output, MAX_OUTPUT), keep_first(stderr, &mut errors))
        };
        tokio::pin!(pipes);
        tokio::select! {
            filled = &mut pipes => {
                filled?;
                child.wait().await
            }
            status = child.wait() => {
                if let Ok(filled) = timeout(GRACE, &mut pipes).await {
                    filled?;
                }
                status
            }
        }
    };
    let status = match timeout(patience, ended).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(NetworkError::ProgramAnswer {
                program: name(),
                why: format!("more than {} KiB of output", MAX_OUTPUT / 1024),
            });
        }
        Ok(Err(error)) => return Err(failed(error)),
        Err(_) => return Err(NetworkError::ProgramTimeout { program: name(), seconds: patience.as_secs() }),
    };
    group.0 = None;
    Ok(Ended { status, output, errors: one_line(&errors) })
}

/// The same for a program that must succeed; what it printed.
pub(super) async fn succeed(program: &str, arguments: &[&str], patience: Duration) -> Result<String, NetworkError> {
    let ended = run(Path::new(program), arguments, &[], patience).await?;
    if !ended.status.success() {
        let said = if ended.errors.is_empty() { ended.status.to_string() } else { ended.errors };
        let command = std::iter::once(program).chain(arguments.first().copied()).collect::<Vec<_>>().join(" ");
        return Err(NetworkError::ProgramFailed { program: command, said });
    }
    Ok(String::from_utf8_lossy(&ended.output).into_owned())
}

/// Whether a program of this name can be started.
pub(super) fn is_installed(program: &str) -> bool {
    PATH.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// The program and everything it started, ended when dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| i32::try_from(id).ok()) {
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::SIGKILL);
        }
    }
}

async fn fill(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    from.take(most as u64 + 1).read_to_end(into).await?;
    if into.len() > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}

/// What comes beyond the limit is read all the same, so that the program is not held up.
async fn keep_first(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = [0; 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let room = MAX_ERRORS.saturating_sub(into.len()).min(read);
        into.extend_from_slice(&buffer[..room]);
    }
}

fn one_line(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    shown(&lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn shell(script: &str, input: &[u8], patience: Duration) -> Result<Ended, NetworkError> {
        run(Path::new("sh"), &["-c", script], input, patience).await
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn input_goes_in_and_output_errors_and_status_come_out() {
        let ended = shell("cat; echo one >&2; printf 'two\\033[2J' >&2; exit 3", b"given", LONG).await.expect("ends");
        assert_eq!((ended.status.code(), &ended.output[..]), (Some(3), &b"given"[..]));
        assert_eq!(ended.errors, "one; two\u{fffd}[2J");
        let failed = succeed("sh", &["-c", "echo no such thing >&2; exit 1"], LONG).await.expect_err("fails");
        assert_eq!(failed.code(), "network_program_failed");
        assert!(failed.to_string().contains("sh -c failed: no such thing"), "{failed}");
        // More input than a pipe holds, to a program that does not read it.
        shell("exit 0", &vec![0; 1 << 20], LONG).await.expect("ends");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let started = Instant::now();
        let error = shell(&script, b"", Duration::from_millis(700)).await.expect_err("too long");
        assert_eq!(error.code(), "network_program_timeout");
        assert!(started.elapsed() < Duration::from_secs(10));
        let pid = std::fs::read_to_string(pid).expect("written").trim().to_owned();
        // It is gone, or a zombie that waits for init.
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        for _ in 0..100 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("what it started is still there");
    }

    #[tokio::test]
    async fn a_program_that_floods_is_ended_and_one_whose_child_stays_is_not_waited_for() {
        let error = shell("yes", b"", LONG).await.expect_err("too much");
        assert_eq!(error.code(), "network_program_answer");
        let started = Instant::now();
        // A hook that starts a daemon, as those of ifupdown do.
        let ended = shell("echo done; sleep 15 & exit 0", b"", LONG).await.expect("ends");
        assert_eq!(ended.output, b"done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named_with_a_remedy() {
        let error = run(Path::new("/none/program"), &[], b"", LONG).await.expect_err("absent");
        assert_eq!(error.code(), "network_program_missing");
        assert!(error.to_string().contains("/none/program") && error.to_string().contains("--network"), "{error}");
    }

    #[tokio::test]
    async fn nothing_of_our_environment_is_passed_on() {
        let ended = shell("env | cut -d= -f1 | sort; pwd", b"", LONG).await.expect("ends");
        let text = String::from_utf8(ended.output).expect("text");
        for line in text.lines() {
            assert!(["LC_ALL", "PATH", "PWD", "SHLVL", "_", "OLDPWD", "/"].contains(&line), "{line}");
        }
    }
}
