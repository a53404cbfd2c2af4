//! The system of a practice appliance: it restarts at once, and its log says so.

use muster_agent::system::{System, SystemError};

pub(super) struct PracticeSystem;

impl System for PracticeSystem {
    fn reboot(&self) -> Result<(), SystemError> {
        Ok(())
    }

    fn recent_log(&self) -> String {
        "a practice appliance keeps no log\n".to_owned()
    }
}
