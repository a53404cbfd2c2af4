//! What the NOC's own command line does with alerts.

use crate::api::{ApiError, Fault, Window, checked_note, checked_silence};
use crate::audit::By;
use crate::clock;
use crate::error::{AsProblem, StoreError};
use crate::noc::Noc;
use crate::operators::OrganisationId;
use crate::store::alert_events::{self, AlertEvent, EscalationOf, Someone};
use crate::store::{alerts, fleet};
use muster_protocol::api::{Alert, Problem};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use std::time::Duration;

/// Most alerts, and most events of one, that are listed.
const MOST: usize = 1_000;

/// Why the NOC did not do something with an alert.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AlertError(ApiError);

impl AsProblem for AlertError {
    fn problem(&self) -> Problem {
        self.0.problem()
    }
}

impl Noc {
    /// Alerts of all sites, newest first.
    pub fn alerts(&self, open_only: bool) -> Result<Vec<Alert>, StoreError> {
        self.inner.store.read_now(move |db| alerts::all(db, open_only, MOST))
    }

    /// What became of one, oldest first.
    pub fn alert_events(&self, alert: u32) -> Result<Vec<AlertEvent>, AlertError> {
        let read = self.inner.store.read_now(move |db| {
            found(db, alert)?;
            let window = Window { limit: MOST, after: None };
            Ok::<_, ApiError>(alert_events::of_alert(db, u64::from(alert), window)?.items)
        });
        read.map_err(AlertError)
    }

    /// Says that an alert was seen.
    pub fn acknowledge_alert(&self, alert: u32, note: String) -> Result<(), AlertError> {
        self.handle(alert, move |db, alert| {
            let note = checked_note(note)?;
            Ok(alert_events::acknowledge(db, clock::now(), alert.id, &someone(), &note)?)
        })
    }

    /// Has nobody be told of an open alert for a while.
    pub fn silence_alert(&self, alert: u32, length: Duration, note: String) -> Result<(), AlertError> {
        self.handle(alert, move |db, alert| {
            let (note, now) = (checked_note(note)?, clock::now());
            let until = now + checked_silence(length.as_secs(), alert.closed)?;
            Ok(alert_events::silence(db, now, alert.id, &someone(), until, &note)?)
        })
    }

    /// Ends that before its time.
    pub fn unsilence_alert(&self, alert: u32) -> Result<(), AlertError> {
        self.handle(alert, |db, alert| {
            if alert.handling.silenced_until.is_some() {
                alert_events::unsilence(db, clock::now(), alert.id, &someone())?;
            }
            Ok(())
        })
    }

    /// Seconds until an alert is escalated that nobody acknowledges or silences: what a site says, or an organisation. None for
    /// nothing, 0 for never.
    pub fn escalation(&self, organisation: OrganisationId, site: Option<SiteId>) -> Result<Option<u32>, StoreError> {
        self.inner.store.read_now(move |db| alert_events::escalation(db, of(organisation, site)))
    }

    /// Sets that.
    pub fn set_escalation(
        &self,
        organisation: OrganisationId,
        site: Option<SiteId>,
        after_s: Option<u32>,
    ) -> Result<(), StoreError> {
        self.inner.store.write_now(move |db| {
            alert_events::set_escalation(db, clock::now(), &By::local(), of(organisation, site), after_s)
        })
    }

    fn handle(
        &self,
        alert: u32,
        work: impl FnOnce(&Connection, &Alert) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<(), AlertError> {
        self.inner.store.write_now(move |db| work(db, &found(db, alert)?)).map_err(AlertError)
    }
}

fn found(db: &Connection, alert: u32) -> Result<Alert, ApiError> {
    Ok(fleet::alert(db, alert)?.ok_or(Fault::NotFound)?.alert)
}

/// Whoever has the NOC's folder.
fn someone() -> Someone {
    Someone { by: By::local(), who: "the NOC's command line".to_owned() }
}

fn of(organisation: OrganisationId, site: Option<SiteId>) -> EscalationOf {
    site.map_or(EscalationOf::Organisation(organisation), EscalationOf::Site)
}
