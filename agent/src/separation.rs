//! Two processes instead of one, so that what reads datagrams has no rights (decision 0018).
//!
//! ```text
//!            datagrams, the NOC                    files, host name, network
//!                    │                                        │
//!   worker: own user, system calls filtered  ──asks──  keeper: root, no sockets
//! ```
//!
//! The worker is the daemon of [`crate::run`] with [`worker::Separated`] in place of the host itself. It reads what strangers
//! send, holds the device key and talks to the NOC. The keeper ([`keeper`]) never sees a byte from the network: it keeps the
//! documents and changes the network, and what it is asked ([`ask`]) is bounded, typed and validated again. Components are the exception that decision 0045 explains:
//! their bytes come through the worker, and the keeper verifies them.

mod ask;
mod install;
pub mod keeper;
pub mod system_calls;
pub mod worker;

use crate::config::Config;
use nix::unistd::{Gid, Uid, User};

/// The user that the worker runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number, never 0.
    pub uid: Uid,
    /// Its group, never 0.
    pub gid: Gid,
}

/// Why rights cannot be given up as the image asks.
#[derive(Debug, thiserror::Error)]
pub enum SeparationError {
    /// `user` names nobody.
    #[error("there is no user {name}. Make it (a system user without a shell), or correct `user` in agent.toml")]
    NoUser {
        /// The name.
        name: String,
    },
    /// `user` has rights.
    #[error("the user {name} is root, or of its group. Name one without rights as `user` in agent.toml")]
    Root {
        /// The name.
        name: String,
    },
    /// The other process ended.
    #[error("the agent's other process ended ({how}). Start the agent again; its log says why")]
    Ended {
        /// Its exit status.
        how: String,
    },
    /// The other process, or a connection to it, could not be made.
    #[error("the agent could not be divided into two processes. Check that the system allows it to start processes")]
    Start(#[source] std::io::Error),
}

impl SeparationError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SeparationError::NoUser { .. } => "no_such_user",
            SeparationError::Root { .. } => "user_is_root",
            SeparationError::Ended { .. } => "other_process_ended",
            SeparationError::Start(_) => "separation_failed",
        }
    }
}

/// The user that is used if it exists and the image names none.
const USUAL_USER: &str = "muster-agent";

/// Whom to run the worker as; `None` if one process does everything: it is not root, or the image made no user.
pub fn account(config: &Config) -> Result<Option<Account>, SeparationError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    match config.user.as_deref() {
        Some("root") => Ok(None),
        Some(name) => find(name)?.map(Some).ok_or_else(|| SeparationError::NoUser { name: name.to_owned() }),
        None => find(USUAL_USER),
    }
}

/// By name or number. A number needs no entry in the system's table of users.
fn find(name: &str) -> Result<Option<Account>, SeparationError> {
    let account = match name.parse::<u32>() {
        Ok(number) => Some(Account { uid: Uid::from_raw(number), gid: Gid::from_raw(number) }),
        Err(_) => User::from_name(name).ok().flatten().map(|user| Account { uid: user.uid, gid: user.gid }),
    };
    if account.is_some_and(|account| account.uid.is_root() || account.gid.as_raw() == 0) {
        return Err(SeparationError::Root { name: name.to_owned() });
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_never_root_and_a_user_that_is_named_must_exist() {
        assert_eq!(find("64078").expect("a number").map(|account| account.uid.as_raw()), Some(64078));
        assert_eq!(find("nobody-has-this-name").expect("nobody"), None);
        for root in ["0", "root"] {
            assert_eq!(find(root).expect_err("refused").code(), "user_is_root");
        }
    }
}
