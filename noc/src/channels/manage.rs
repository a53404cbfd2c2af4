//! Adding, changing and trying channels, by operators and at the command line.

use super::reach::Reach;
use super::send::send;
use super::spec::check_password;
use super::{Batch, ChannelId, ChannelSpec, Sending, Target, webhook};
use crate::api::{ApiError, Fault, Refused};
use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError};
use crate::noc::{Inner, Noc};
use crate::operators::access::{OrganisationId, Place};
use crate::random;
use crate::store::channels::{self, Channel, Kept};
use crate::store::{audit, organisations};
use data_encoding::HEXLOWER;
use muster_protocol::api::Problem;
use rusqlite::Connection;
use serde::Serialize;
use std::time::Instant;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Why the NOC did not do something with a channel.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ChannelError(ApiError);

impl AsProblem for ChannelError {
    fn problem(&self) -> Problem {
        self.0.problem()
    }
}

impl From<ApiError> for ChannelError {
    fn from(error: ApiError) -> Self {
        ChannelError(error)
    }
}

impl From<StoreError> for ChannelError {
    fn from(error: StoreError) -> Self {
        ChannelError(error.into())
    }
}

/// A channel that was added.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedChannel {
    /// The channel.
    pub channel: Channel,
    /// What a webhook is signed with. Shown this once.
    pub secret: Option<String>,
}

/// What came of a test.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tested {
    /// Whether the receiver took it.
    pub is_delivered: bool,
    /// The receiver's words, or why it said nothing and what to do.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Adds a channel. `is_trusted`: the NOC's own people do.
pub(crate) fn add(
    db: &Connection,
    by: &By,
    organisation: OrganisationId,
    spec: ChannelSpec,
    password: Option<&str>,
    is_trusted: bool,
) -> Result<AddedChannel, ApiError> {
    let checked = spec.check()?;
    let (secret, is_new) = secret_for(&checked.0.target, password, None)?;
    let id = channels::add(db, clock::now(), organisation, &checked, &secret, is_trusted)?;
    let channel = found(db, id)?.channel;
    record(db, by, &channel, "channel.add")?;
    Ok(AddedChannel { channel, secret: is_new.then(|| secret.to_string()) })
}

/// Replaces a channel's values. A password stays when none is given, unless it would go somewhere else than before.
pub(crate) fn change(
    db: &Connection,
    by: &By,
    before: &Kept,
    spec: ChannelSpec,
    password: Option<&str>,
    is_trusted: bool,
) -> Result<AddedChannel, ApiError> {
    let checked = spec.check()?;
    let is_same = before.channel.channel.target == checked.0.target;
    let (secret, is_new) = secret_for(&checked.0.target, password, Some(before))?;
    let is_trusted = is_trusted || (is_same && before.channel.is_trusted);
    channels::change(db, clock::now(), &before.channel, &checked, &secret, is_trusted)?;
    let channel = found(db, before.channel.id)?.channel;
    record(db, by, &channel, "channel.change")?;
    Ok(AddedChannel { channel, secret: is_new.then(|| secret.to_string()) })
}

/// Takes a channel away.
pub(crate) fn remove(db: &Connection, by: &By, channel: &Channel) -> Result<(), ApiError> {
    channels::remove(db, clock::now(), channel.id)?;
    Ok(record(db, by, channel, "channel.remove")?)
}

/// Gives a webhook another secret, shown this once.
pub(crate) fn renew_secret(db: &Connection, by: &By, channel: &Channel) -> Result<String, ApiError> {
    if !matches!(channel.channel.target, Target::Webhook { .. }) {
        return Err(Fault::invalid("channel", "is no webhook: only those are signed").into());
    }
    let secret = webhook::new_secret()?;
    channels::set_secret(db, channel.id, &secret)?;
    record(db, by, channel, "channel.secret")?;
    Ok(secret.to_string())
}

/// The secret of a target, and whether it was made just now.
fn secret_for(
    target: &Target,
    password: Option<&str>,
    before: Option<&Kept>,
) -> Result<(Zeroizing<String>, bool), ApiError> {
    if matches!(target, Target::Webhook { .. }) {
        if password.is_some_and(|password| !password.is_empty()) {
            return Err(Fault::invalid(
                "password",
                "is not for a webhook: it is signed with a secret of the NOC's making",
            )
            .into());
        }
        let kept = before.filter(|kept| matches!(kept.channel.channel.target, Target::Webhook { .. }));
        return match kept {
            Some(kept) => Ok((kept.secret.clone(), false)),
            None => Ok((webhook::new_secret()?, true)),
        };
    }
    match (target.user().is_empty(), password) {
        (true, None | Some("")) => Ok((Zeroizing::new(String::new()), false)),
        (true, Some(_)) => Err(Fault::invalid("password", "comes without a user").into()),
        (false, Some("")) => Err(Fault::invalid("password", "is empty").into()),
        (false, Some(password)) => Ok((check_password(password)?, false)),
        (false, None) => match before {
            Some(kept) if kept.channel.channel.target.keeps_password(target) && !kept.secret.is_empty() => {
                Ok((kept.secret.clone(), false))
            }
            Some(_) => {
                Err(Fault::invalid("password", "has to be given again: it would go to another server or user").into())
            }
            None => Err(Fault::invalid("password", "is missing: the channel has a user").into()),
        },
    }
}

impl Target {
    /// Whether a password that was given for this target goes nowhere else with another.
    fn keeps_password(&self, other: &Target) -> bool {
        match (self, other) {
            (
                Target::Email { server, port, security, user, ca, .. },
                Target::Email { server: server2, port: port2, security: security2, user: user2, ca: ca2, .. },
            ) => (server, port, security, user, ca) == (server2, port2, security2, user2, ca2),
            (Target::Alertmanager { .. }, Target::Alertmanager { .. }) => self == other,
            _ => false,
        }
    }
}

fn found(db: &Connection, id: ChannelId) -> Result<Kept, ApiError> {
    Ok(channels::find(db, id)?.ok_or(Fault::NotFound)?)
}

fn record(db: &Connection, by: &By, channel: &Channel, action: &'static str) -> Result<(), StoreError> {
    let event = Event::new(Place::organisation(channel.organisation), action, format!("channel:{}", channel.id));
    audit::record(db, clock::now(), by, event.with(serde_json::json!(channel.channel)))
}

/// What a channel of this NOC is sent with.
pub(super) fn sending(noc: &Inner, kept: Kept, organisation: (String, String)) -> Sending {
    Sending {
        reach: Reach::new(&noc.config.channel_networks, kept.channel.is_trusted),
        target: kept.channel.channel.target,
        secret: kept.secret,
        channel: kept.channel.channel.name,
        organisation,
        noc: noc.public_address(),
    }
}

/// Sends a test, and tells what came of it. A channel that is switched off can be tested, too.
pub(crate) async fn test(noc: &Inner, kept: Kept, organisation: (String, String)) -> Result<Tested, ApiError> {
    let (key, made) = (HEXLOWER.encode(&random::bytes::<16>()?), clock::now());
    let batch = Batch { key, made, events: Vec::new(), more: 0, open: Vec::new(), is_test: true };
    let (sending, begun) = (sending(noc, kept, organisation), Instant::now());
    let sent = send(&sending, &batch).await;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(match sent {
        Ok(sent) => Tested { is_delivered: true, answer: sent.answer, took_ms },
        Err(error) => Tested { is_delivered: false, answer: error.words(), took_ms },
    })
}

impl Noc {
    /// Adds a channel to an organisation.
    pub fn add_channel(
        &self,
        organisation: OrganisationId,
        spec: ChannelSpec,
        password: Option<Zeroizing<String>>,
    ) -> Result<AddedChannel, ChannelError> {
        self.changed(move |db| {
            let password = password.as_ref().map(|password| password.as_str());
            add(db, &By::local(), organisation, spec, password, true)
        })
    }

    /// Replaces a channel's values. A password that is not given stays, if it goes nowhere else.
    pub fn change_channel(
        &self,
        id: ChannelId,
        spec: ChannelSpec,
        password: Option<Zeroizing<String>>,
    ) -> Result<AddedChannel, ChannelError> {
        self.changed(move |db| {
            let password = password.as_ref().map(|password| password.as_str());
            change(db, &By::local(), &found(db, id)?, spec, password, true)
        })
    }

    /// Takes a channel away.
    pub fn remove_channel(&self, id: ChannelId) -> Result<(), ChannelError> {
        self.changed(move |db| remove(db, &By::local(), &found(db, id)?.channel))
    }

    /// Gives a webhook another secret.
    pub fn renew_channel_secret(&self, id: ChannelId) -> Result<String, ChannelError> {
        self.changed(move |db| renew_secret(db, &By::local(), &found(db, id)?.channel))
    }

    /// The channels of one organisation, or of all.
    pub fn channels(&self, organisation: Option<OrganisationId>) -> Result<Vec<Channel>, ChannelError> {
        Ok(self.inner.store.read_now(move |db| channels::all(db, organisation))?)
    }

    /// Sends a test.
    pub async fn test_channel(&self, id: ChannelId) -> Result<Tested, ChannelError> {
        let read = self.inner.store.read(move |db| {
            let kept = found(db, id)?;
            let organisation = named(db, kept.channel.organisation)?;
            Ok::<_, ApiError>((kept, organisation))
        });
        let (kept, organisation) = read.await?;
        Ok(test(&self.inner, kept, organisation).await?)
    }

    fn changed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ChannelError> {
        Ok(self.inner.store.write_now(work)?)
    }
}

/// Handle and name of an organisation.
pub(crate) fn named(db: &Connection, id: OrganisationId) -> Result<(String, String), Refused> {
    let organisation = organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok((organisation.handle, organisation.name))
}
