//! Configuration jobs.

use super::{ProblemView, Settings};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A configuration job: the durable list of appliances that shall get settings.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct JobView {
    /// Job number.
    pub id: u32,
    /// The site.
    pub site: u32,
    /// When it was started.
    pub started: u32,
    /// When the last appliance was done.
    pub finished: Option<u32>,
    /// True once the administrator cancelled it; appliances in the middle are finished first.
    pub cancelled: bool,
    /// One entry an appliance.
    pub items: Vec<JobItemView>,
}

/// One appliance of a job.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct JobItemView {
    /// The appliance.
    pub uid: String,
    /// Its MAC.
    pub mac: String,
    /// What it shall have.
    pub settings: Settings,
    /// How far it is.
    pub step: JobStep,
    /// Percent, for `installing`.
    pub percent: u8,
    /// Config packets sent so far.
    pub attempts: u32,
    /// Why it failed, if it did.
    pub problem: Option<ProblemView>,
}

/// How far one appliance of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum JobStep {
    /// Not begun.
    Waiting,
    /// Config packet sent, no result yet.
    Sending,
    /// The appliance said UNCONFIGURED: still installing.
    Installing,
    /// SUCCESS received; kick-start sent.
    KickStarting,
    /// Kick-started; waits for the first beat that makes the settings final.
    Confirming,
    /// Done.
    Configured,
    /// FAILED for good, or rolled back; retry is possible.
    Failed,
    /// Cancelled before anything was sent.
    Cancelled,
}
