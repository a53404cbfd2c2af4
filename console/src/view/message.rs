//! What the NOC had this console do.

use super::ProblemView;
use muster_protocol::queue::MessageState;
use serde::Serialize;
use ts_rs::TS;

/// What the NOC had this console do: a message of its queue.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct MessageRow {
    /// Its number at the NOC, as text.
    pub number: String,
    /// The seed's name of it, as `sendConfig`; empty for one that this console does not understand.
    pub name: String,
    /// The appliance's MAC, or empty.
    pub mac: String,
    /// The appliance, if the NOC named it.
    pub uid: Option<String>,
    /// When it came.
    pub received: u32,
    /// When it ended.
    pub finished: Option<u32>,
    /// How it stands.
    pub state: RowMessageState,
    /// The job that a configuration became.
    pub job: Option<u32>,
    /// How many appliances were found or listed.
    pub found: Option<u32>,
    /// Why it failed.
    pub problem: Option<ProblemView>,
}

/// [`MessageState`] for TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named and documented in muster_protocol::queue::MessageState")]
pub enum RowMessageState {
    Taken,
    Done,
    Failed,
}

impl From<MessageState> for RowMessageState {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Taken => Self::Taken,
            MessageState::Done => Self::Done,
            MessageState::Failed => Self::Failed,
        }
    }
}
