//! Why a job cannot be changed.

use crate::problem::Explain;
use muster_protocol::id::Uid;

/// Why a job cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No such job.
    #[error("there is no job {id}")]
    Unknown {
        /// The number asked for.
        id: u32,
    },
    /// None of the appliances can be retried.
    #[error("job {id} has no failed appliance to retry among those named")]
    NothingToRetry {
        /// The job.
        id: u32,
    },
    /// An appliance cannot be in two unfinished jobs.
    #[error("{uid} is being configured by job {job}")]
    Busy {
        /// The appliance.
        uid: Uid,
        /// The job.
        job: u32,
    },
}

impl Explain for JobError {
    fn code(&self) -> String {
        match self {
            JobError::Unknown { .. } => "no_such_job",
            JobError::NothingToRetry { .. } => "nothing_to_retry",
            JobError::Busy { .. } => "already_in_job",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            JobError::Unknown { .. } => "List the jobs (`muster job list`) and use one of their numbers.",
            JobError::NothingToRetry { .. } => "Only appliances that failed or were cancelled can be retried.",
            JobError::Busy { .. } => "Wait until that job has ended, or cancel it.",
        }
        .to_owned()
    }
}
