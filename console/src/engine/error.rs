//! Why a command was not done.

use crate::identity::IdentityError;
use crate::jobs::JobError;
use crate::noc_client::{JoinError, NocError};
use crate::problem::Explain;
use crate::store::StoreError;
use crate::view::CellError;
use muster_protocol::id::{ParseIdError, SiteId, Uid};
use std::io;
use std::path::PathBuf;

/// Why a command was not done. Unless told otherwise nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity file.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The NOC.
    #[error(transparent)]
    Noc(#[from] NocError),
    /// Joining.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// An identifier that is none.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// No socket could be opened.
    #[error("no UDP socket could be opened")]
    Sockets {
        /// Why.
        source: io::Error,
    },
    /// Another program runs jobs in the same folder.
    #[error("another Muster is using {folder}")]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The lock file.
    #[error("{path} cannot be locked")]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Needs a NOC.
    #[error("this console has not joined a NOC")]
    NotJoined,
    /// A job is under way.
    #[error("job {job} is not finished")]
    JobRunning {
        /// The job.
        job: u32,
    },
    /// No such site.
    #[error("this console may not configure a site {site}")]
    NoSuchSite {
        /// The number asked for.
        site: SiteId,
    },
    /// No such applet.
    #[error("there is no applet {} at this site any more", .name.escape_debug())]
    NoSuchApplet {
        /// What it is called.
        name: String,
    },
    /// Nothing was chosen.
    #[error("no appliance was chosen")]
    NothingChosen,
    /// An appliance is named twice.
    #[error("{uid} is named twice")]
    Twice {
        /// Which.
        uid: Uid,
    },
    /// Its device key is only known once it answered.
    #[error("{} of the chosen appliances did not answer on this network, the first is {}", .uids.len(), .uids.first().map(Uid::to_string).unwrap_or_default())]
    NotHeard {
        /// Which, not empty.
        uids: Vec<Uid>,
    },
    /// The check found something.
    #[error("{} values are wrong; the first: {}", .findings.len(), .findings.first().map(|f| f.message.clone()).unwrap_or_default())]
    Check {
        /// All of it.
        findings: Vec<CellError>,
    },
    /// The engine has ended.
    #[error("the engine has ended")]
    Ended,
}

impl Explain for EngineError {
    fn code(&self) -> String {
        match self {
            EngineError::Store(error) => return error.code(),
            EngineError::Identity(error) => return error.code(),
            EngineError::Noc(error) => return error.code(),
            EngineError::Join(error) => return error.code(),
            EngineError::Job(error) => return error.code(),
            EngineError::Id(_) => "bad_identifier",
            EngineError::Sockets { .. } => "no_socket",
            EngineError::InUse { .. } => "in_use",
            EngineError::Lock { .. } => "store_open",
            EngineError::NotJoined => "not_joined",
            EngineError::JobRunning { .. } => "job_running",
            EngineError::NoSuchSite { .. } => "no_such_site",
            EngineError::NoSuchApplet { .. } => "no_such_applet",
            EngineError::NothingChosen => "nothing_chosen",
            EngineError::Twice { .. } => "named_twice",
            EngineError::NotHeard { .. } => "not_heard",
            EngineError::Check { .. } => "check_failed",
            EngineError::Ended => "engine_ended",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            EngineError::Store(error) => return error.remedy(),
            EngineError::Identity(error) => return error.remedy(),
            EngineError::Noc(error) => return error.remedy(),
            EngineError::Join(error) => return error.remedy(),
            EngineError::Job(error) => return error.remedy(),
            EngineError::Id(_) => "Copy it from the list of appliances.",
            EngineError::Sockets { .. } => "Check the limits and the firewall of this computer.",
            EngineError::InUse { .. } => {
                "Close the other one (window or command), or choose another folder with --data-dir."
            }
            EngineError::Lock { .. } => "Check the permissions of the data folder.",
            EngineError::NotJoined => {
                "Join one with an invite (`muster join`), or choose `use this computer` in the window."
            }
            EngineError::JobRunning { .. } => "Wait until it has ended, or cancel it.",
            EngineError::NoSuchSite { .. } => "Choose one of its sites; ask whoever runs the NOC for others.",
            EngineError::NoSuchApplet { .. } => "Open the wizard anew; it shows what there is now.",
            EngineError::NothingChosen => "Choose at least one appliance.",
            EngineError::Twice { .. } => "Name each appliance once.",
            EngineError::NotHeard { .. } => "Discover, check that they are powered and linked, or leave them out.",
            EngineError::Check { .. } => "Correct the values named, then try again.",
            EngineError::Ended => "Start Muster again; unfinished jobs go on.",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_own_code_and_a_remedy() {
        let io = || io::Error::from(io::ErrorKind::PermissionDenied);
        let uid = Uid([1; 20]);
        let finding = CellError {
            uid: uid.to_string(),
            field: "address".into(),
            code: "address_taken".into(),
            message: "it is taken".into(),
        };
        let errors = [
            (EngineError::from("x".parse::<Uid>().expect_err("no UID")), "bad_identifier"),
            (EngineError::Sockets { source: io() }, "no_socket"),
            (EngineError::InUse { folder: "/data".into() }, "in_use"),
            (EngineError::Lock { path: "/data/lock".into(), source: io() }, "store_open"),
            (EngineError::NotJoined, "not_joined"),
            (EngineError::JobRunning { job: 1 }, "job_running"),
            (EngineError::NoSuchSite { site: SiteId(9) }, "no_such_site"),
            (EngineError::NoSuchApplet { name: "mail".into() }, "no_such_applet"),
            (EngineError::NothingChosen, "nothing_chosen"),
            (EngineError::Twice { uid }, "named_twice"),
            (EngineError::NotHeard { uids: vec![uid] }, "not_heard"),
            (EngineError::Check { findings: vec![finding] }, "check_failed"),
            (EngineError::Ended, "engine_ended"),
            (JobError::Unknown { id: 3 }.into(), "no_such_job"),
            (JobError::NothingToRetry { id: 3 }.into(), "nothing_to_retry"),
            (JobError::Busy { uid, job: 3 }.into(), "already_in_job"),
        ];
        for (error, code) in errors {
            let problem = error.problem();
            assert_eq!(problem.code, code);
            assert!(!problem.message.is_empty() && problem.remedy.ends_with('.'), "{problem:?}");
        }
    }

    #[test]
    fn a_message_names_its_cause_and_the_cell() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            EngineError::Sockets { source }.problem().message,
            "no UDP socket could be opened: permission denied"
        );
        let message = EngineError::NotHeard { uids: vec![Uid([1; 20]), Uid([2; 20])] }.to_string();
        assert!(message.starts_with("2 of the chosen") && message.contains(&Uid([1; 20]).to_string()), "{message}");
    }
}
