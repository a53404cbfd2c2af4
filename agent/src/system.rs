//! The system around the agent, as far as the NOC may give instructions to it.

use crate::installer::Installer;
use crate::recent_log::RecentLog;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What an instruction needs of the system. Calls may block.
pub trait System: Send + Sync {
    /// Restarts it. Returns once that is under way.
    fn reboot(&self) -> Result<(), SystemError>;
    /// What the agent logged lately.
    fn recent_log(&self) -> String;
    /// What installs components; none where nothing can be installed.
    fn installer(&self) -> Option<Arc<dyn Installer>> {
        None
    }
}

/// A system on which components are installed.
#[derive(Clone)]
pub struct Installing {
    /// The rest of it.
    pub system: HostSystem,
    /// What installs.
    pub installer: Arc<dyn Installer>,
}

impl System for Installing {
    fn reboot(&self) -> Result<(), SystemError> {
        self.system.reboot()
    }

    fn recent_log(&self) -> String {
        self.system.recent_log()
    }

    fn installer(&self) -> Option<Arc<dyn Installer>> {
        Some(self.installer.clone())
    }
}

/// Why the system did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The command is missing or cannot be run.
    #[error("`{command}` could not be started. Check `reboot` in agent.toml")]
    NotStarted {
        /// The program.
        command: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` failed: {status}. Check `reboot` in agent.toml")]
    Failed {
        /// The program.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The kernel refused.
    #[error("the kernel refused to restart the system. Run the agent as root")]
    Refused(#[source] nix::errno::Errno),
    /// The process that has rights could not do it; its log says why.
    #[error("the agent's other process could not restart the system. See its log")]
    Keeper,
}

impl SystemError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SystemError::NotStarted { .. } => "command_not_started",
            SystemError::Failed { .. } => "command_failed",
            SystemError::Refused(_) => "reboot_refused",
            SystemError::Keeper => "keeper",
        }
    }
}

/// The system that the agent runs on.
#[derive(Clone, Debug)]
pub struct HostSystem {
    /// Program and arguments that restart it; empty: systemd if it runs, else the kernel.
    pub reboot: Vec<String>,
    /// The agent's own log.
    pub log: RecentLog,
}

impl System for HostSystem {
    fn reboot(&self) -> Result<(), SystemError> {
        if let Some((program, arguments)) = self.reboot.split_first() {
            run(program, arguments)
        } else if Path::new("/run/systemd/system").exists() {
            run("systemctl", &["reboot".to_owned()])
        } else {
            nix::unistd::sync();
            match nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT) {
                Ok(never) => match never {},
                Err(errno) => Err(SystemError::Refused(errno)),
            }
        }
    }

    fn recent_log(&self) -> String {
        self.log.text()
    }
}

fn run(program: &str, arguments: &[String]) -> Result<(), SystemError> {
    let command = || program.to_owned();
    let ended = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(SystemError::Failed { command: command(), status }),
        Err(source) => Err(SystemError::NotStarted { command: command(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(command: &[&str]) -> HostSystem {
        let reboot = command.iter().map(|word| (*word).to_owned()).collect();
        HostSystem { reboot, log: RecentLog::default() }
    }

    #[test]
    fn the_command_of_the_image_restarts_the_system_and_its_failures_have_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("rebooted");
        with(&["touch", mark.to_str().expect("UTF-8")]).reboot().expect("runs");
        assert!(mark.exists());
        let missing = with(&["/no/such/program"]).reboot().expect_err("refused");
        assert_eq!(missing.code(), "command_not_started");
        assert!(missing.to_string().contains("agent.toml"), "{missing}");
        assert_eq!(with(&["false"]).reboot().expect_err("fails").code(), "command_failed");
    }
}
