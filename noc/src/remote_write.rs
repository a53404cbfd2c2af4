//! The history of an organisation's appliances, written to a store of measurements by Prometheus remote write 1.0 (decision 0041).
//!
//! `spec`: where to, checked. `message`: what is sent. `deliver`: the tasks that send it. `manage`: setting and trying it.
//! What has not gone out yet lies in the database: `store/remote_write`.

mod deliver;
mod manage;
mod message;
mod spec;

pub(crate) use deliver::run;
pub use manage::{RemoteWriteError, shown_target};
pub(crate) use manage::{remove, set, test};
pub(crate) use message::{Labels, Series};
pub(crate) use spec::Checked;
pub use spec::RemoteWriteSpec;
