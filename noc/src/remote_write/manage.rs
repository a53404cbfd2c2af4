//! Setting where an organisation's history is written, and trying it, by operators and at the command line.

use super::RemoteWriteSpec;
use super::deliver::{Sender, stamp};
use super::message::{Labels, Series};
use crate::api::{ApiError, Fault};
use crate::audit::{By, Event};
use crate::channels::Tested;
use crate::clock;
use crate::error::{AsProblem, StoreError};
use crate::measurements::UP;
use crate::noc::{Inner, Noc};
use crate::operators::access::{OrganisationId, Place};
use crate::store::remote_write::{self, Kept, RemoteWrite};
use crate::store::{audit, organisations};
use muster_protocol::api::Problem;
use muster_protocol::id::Uid;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Why the NOC did not do something with it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RemoteWriteError(ApiError);

impl AsProblem for RemoteWriteError {
    fn problem(&self) -> Problem {
        self.0.problem()
    }
}

impl From<ApiError> for RemoteWriteError {
    fn from(error: ApiError) -> Self {
        RemoteWriteError(error)
    }
}

impl From<StoreError> for RemoteWriteError {
    fn from(error: StoreError) -> Self {
        RemoteWriteError(error.into())
    }
}

/// Sets it. `is_trusted`: the NOC's own people do.
pub(crate) fn set(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    spec: RemoteWriteSpec,
    password: Option<&str>,
    is_trusted: bool,
) -> Result<RemoteWrite, ApiError> {
    let before = remote_write::find(db, id)?;
    let checked = spec.check(password, before.as_ref().map(|kept| (&kept.spec, &kept.secret)))?;
    let is_same = before.as_ref().is_some_and(|kept| kept.spec.url == checked.spec.url);
    let was_trusted = before.as_ref().is_some_and(|kept| is_same && kept.is_trusted);
    // Of what came while it was switched off nothing is written later.
    let goes_on = is_same && before.as_ref().is_some_and(|kept| kept.spec.enabled);
    remote_write::set(db, id, &checked, is_trusted || was_trusted, goes_on)?;
    record(db, by, id, "organisation.remote_write", &serde_json::json!(checked.spec))?;
    Ok(remote_write::shown(db, id)?)
}

/// Takes it away.
pub(crate) fn remove(db: &Connection, by: &By, id: OrganisationId) -> Result<(), ApiError> {
    if remote_write::find(db, id)?.is_some() {
        remote_write::remove(db, id)?;
        record(db, by, id, "organisation.remote_write_end", &serde_json::Value::Null)?;
    }
    Ok(())
}

fn record(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    action: &'static str,
    detail: &serde_json::Value,
) -> Result<(), StoreError> {
    let event = Event::new(Place::organisation(id), action, format!("organisation:{id}"));
    audit::record(db, clock::now(), by, event.with(detail.clone()))
}

/// What an organisation has set, to be tried.
pub(crate) fn to_test(db: &Connection, id: OrganisationId) -> Result<Kept, ApiError> {
    organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(remote_write::find(db, id)?.ok_or(Fault::NotFound)?)
}

/// Writes one value of an appliance that there is not, and tells what came of it.
pub(crate) async fn test(noc: &Inner, kept: Kept) -> Tested {
    let (labels, begun) = (test_labels(), Instant::now());
    let mut series = Series::default();
    series.put(&labels, UP, String::new(), clock::now(), 1.0);
    let sent = match stamp(series) {
        Ok(body) => Sender::new(noc, &kept).send(body).await,
        Err(error) => Err(error),
    };
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match sent {
        Ok(answer) => Tested { is_delivered: true, answer, took_ms },
        Err(error) => Tested { is_delivered: false, answer: error.words(), took_ms },
    }
}

/// An appliance of no organisation.
fn test_labels() -> Arc<Labels> {
    Arc::new(Labels { uid: Uid([0; 20]), host: "test".to_owned(), site: String::new(), model: "test".to_owned() })
}

/// Where it goes, for people.
pub fn shown_target(target: &RemoteWriteSpec) -> String {
    let user = if target.user.is_empty() { String::new() } else { format!(" as {}", target.user) };
    format!("{}{user}", target.url)
}

impl Noc {
    /// Where an organisation's history is written, and how that does.
    pub fn remote_write(&self, id: OrganisationId) -> Result<RemoteWrite, RemoteWriteError> {
        Ok(self.inner.store.read_now(|db| remote_write::shown(db, id))?)
    }

    /// Sets it. A password that is not given stays, if it goes nowhere else.
    pub fn set_remote_write(
        &self,
        id: OrganisationId,
        spec: RemoteWriteSpec,
        password: Option<Zeroizing<String>>,
    ) -> Result<RemoteWrite, RemoteWriteError> {
        let set = self.inner.store.write_now(move |db| {
            organisations::find(db, id)?.ok_or(Fault::NotFound)?;
            let password = password.as_ref().map(|password| password.as_str());
            set(db, &By::local(), id, spec, password, true)
        });
        Ok(set?)
    }

    /// Has nothing more be written.
    pub fn remove_remote_write(&self, id: OrganisationId) -> Result<(), RemoteWriteError> {
        Ok(self.inner.store.write_now(move |db| remove(db, &By::local(), id))?)
    }

    /// Writes one value of an appliance that there is not.
    pub async fn test_remote_write(&self, id: OrganisationId) -> Result<Tested, RemoteWriteError> {
        let kept = self.inner.store.read(move |db| to_test(db, id)).await?;
        Ok(test(&self.inner, kept).await)
    }
}
