//! What changes, as it changes: server-sent events for browsers (decision 0031).
//!
//! Who asks is looked up anew for each event, in the same transaction as what they are told: a role that was taken away shows
//! nothing more, and a session that ended ends its stream.

use super::appliances::ApplianceView;
use super::{SESSION, see, text};
use crate::api::caller::Caller;
use crate::api::places::Place;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::clock;
use crate::operators::OperatorId;
use crate::operators::access::Needs;
use crate::store::news::{self, Cursor, News};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Changes that come within this time are told together.
const GATHER: Duration = Duration::from_millis(250);
/// Between signs of life. Then, too, it is looked whether the session still is one.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams of one operator at the same time.
const MOST_STREAMS: usize = 32;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/events", SESSION, events)
            .says("events", "What changes, as server-sent events: `start` (read anew what you show) and `changes`")
            .sends("text/event-stream")
            .faults(&[429, 500, 503, 507]),
    ]
}

/// `GET /v1/events`
async fn events(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Response, ApiError> {
    let operator = see(&app, caller.clone(), Needs::Session, |_, access| Ok(access.operator)).await?;
    let place = app.streams.take(operator, MOST_STREAMS).ok_or(Fault::TooManyStreams { limit: MOST_STREAMS })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let watch = Watch {
        changed: app.noc.store.changed(),
        app,
        caller,
        cursor: last,
        heartbeat: Instant::now() + HEARTBEAT,
        _place: place,
    };
    Ok(Sse::new(stream::unfold(watch, Watch::next)).into_response())
}

/// One stream.
struct Watch {
    app: App,
    caller: Caller,
    changed: watch::Receiver<u64>,
    cursor: Option<Cursor>,
    heartbeat: Instant,
    _place: Place<OperatorId>,
}

#[derive(Serialize)]
struct Changes {
    /// Appliances as they are now.
    appliances: Vec<ApplianceView>,
    /// Of what else something changed: `alert`, `site`, `operator`, `message` and so on, as subjects of the audit log begin.
    kinds: Vec<String>,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Watch)> {
        loop {
            self.changed.mark_unchanged();
            let (caller, cursor) = (self.caller.clone(), self.cursor);
            let found = self.app.noc.store.read(move |db| {
                let now = clock::now();
                let access = caller.authorise(db, now, Needs::Session)?;
                Ok::<_, ApiError>(news::after(db, now, access.operator, cursor)?)
            });
            // The session is over, or the NOC cannot tell: whoever listens asks again, and is told.
            let News { cursor, is_start, appliances, kinds } = found.await.ok()?;
            self.cursor = Some(cursor);
            if is_start {
                return Some((Ok(Event::default().id(cursor.to_string()).event("start").data("{}")), self));
            }
            if !appliances.is_empty() || !kinds.is_empty() {
                let appliances = appliances.into_iter().map(ApplianceView::of).collect();
                let data = text(&Changes { appliances, kinds: kinds.into_iter().collect() }).ok()?;
                return Some((Ok(Event::default().id(cursor.to_string()).event("changes").data(data)), self));
            }
            tokio::select! {
                () = self.app.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.heartbeat) => {
                    self.heartbeat = Instant::now() + HEARTBEAT;
                    return Some((Ok(Event::default().comment("still here")), self));
                }
                more = self.changed.changed() => {
                    more.ok()?;
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
    }
}
