//! How organisations are told of alerts: mail, signed webhooks, Prometheus Alertmanager (decision 0037).
//!
//! `spec`: what a channel is, checked. `deliver`: the task that empties the outbox. `send`: one message to one receiver, by
//! `email`, `webhook` or `alertmanager`. `reach`: which addresses may be connected to. `told`: what of an alert is told.

mod alertmanager;
mod deliver;
mod email;
mod http;
mod manage;
mod quiet;
mod reach;
mod send;
mod spec;
mod told;
mod webhook;

pub(crate) use deliver::run;
pub(crate) use http::{Posting, basic, post};
pub use manage::{AddedChannel, ChannelError, Tested};
pub(crate) use manage::{add, change, named, remove, renew_secret, test};
pub use quiet::Quiet;
pub(crate) use reach::Reach;
pub(crate) use send::{Batch, SendError, Sending, Sent};
pub use spec::{ChannelId, ChannelSpec, MailSecurity, Target};
pub(crate) use spec::{Checked, KEEP_ALERTMANAGER_S, address, check_ca, check_password};
pub(crate) use told::{Told, ToldAlert, ToldAppliance, severity};
