//! One agent works with a state folder.

use nix::unistd::Pid;
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a state folder cannot be had alone.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent works with it.
    #[error("another muster-agent works with {state_dir}. Stop it first")]
    Held {
        /// The folder.
        state_dir: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("{path} cannot be made. Run as root, and check free space and permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl LockError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            LockError::Held { .. } => "already_running",
            LockError::File { .. } => "lock_failed",
        }
    }
}

/// Makes sure that one agent works with a state folder; the lock ends with the returned file.
pub fn lock(state_dir: &Path) -> Result<File, LockError> {
    let path = state_dir.join("lock");
    let failed = |source| LockError::File { path: path.clone(), source };
    // One that is there is only read, so that the agent also starts, and says so, on a disk that has become read-only.
    let file = File::open(&path).or_else(|_| File::create(&path)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Held { state_dir: state_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// As [`lock`], but patient: `muster-agent status` holds it for a moment, to see whether an agent runs.
pub async fn lock_patiently(state_dir: &Path) -> Result<File, LockError> {
    for _ in 0..20 {
        match lock(state_dir) {
            Err(LockError::Held { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other,
        }
    }
    lock(state_dir)
}

/// The agent that has the lock, as the kernel lists it; `None` if nobody has it, or a program of another name.
pub fn holder(state_dir: &Path) -> Option<Pid> {
    let inode = std::fs::metadata(state_dir.join("lock")).ok()?.ino();
    let locks = procfs::locks().ok()?;
    let pids = locks.iter().filter(|lock| lock.inode == inode).filter_map(|lock| lock.pid);
    let named = |pid: &i32| procfs::process::Process::new(*pid).and_then(|process| process.stat());
    pids.filter(|pid| named(pid).is_ok_and(|stat| stat.comm == NAME)).map(Pid::from_raw).next()
}

const NAME: &str = "muster-agent";
