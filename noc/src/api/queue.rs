//! For consoles: their messages, and what became of them.

use super::consoles::{After, POLL};
use super::request::{AsConsole, Asked, Json as Body, LARGE};
use super::{ApiError, App};
use crate::clock;
use crate::store::consoles::authorise;
use crate::store::queue;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::queue::{MOST_MESSAGES, MessageNumber, MessageReports, Messages};
use std::time::Duration;

/// Looks into the queue are at least so far apart, however much else changes at the NOC.
const PAUSE: Duration = Duration::from_millis(100);

/// `GET /v1/console/queue?after=N`
pub(super) async fn messages(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Asked(asked): Asked<After>,
) -> Result<Json<Messages>, ApiError> {
    let after = MessageNumber(asked.after.min(i64::MAX as u64));
    let deadline = tokio::time::Instant::now() + POLL;
    let mut changed = app.noc.store.changed();
    loop {
        changed.mark_unchanged();
        let found = app.noc.store.read(move |db| {
            authorise(db, console)?;
            Ok::<_, ApiError>(queue::due(db, clock::now(), console, after)?)
        });
        let (messages, is_new) = found.await?;
        if is_new {
            let out = messages.clone();
            app.noc.store.write(move |db| Ok::<_, ApiError>(queue::fetched(db, clock::now(), console, &out)?)).await?;
        }
        if !messages.is_empty() {
            return Ok(Json(Messages { messages }));
        }
        tokio::select! {
            () = app.stop.cancelled() => return Ok(Json(Messages::default())),
            () = tokio::time::sleep_until(deadline) => return Ok(Json(Messages::default())),
            more = changed.changed() => {
                if more.is_err() {
                    return Ok(Json(Messages::default()));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// `POST /v1/console/queue/reports`
pub(super) async fn reports(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Body(request, _room): Body<MessageReports, LARGE>,
) -> Result<StatusCode, ApiError> {
    let count = request.items.len();
    if count > MOST_MESSAGES {
        return Err(ApiError::TooMany { what: "messages", count, limit: MOST_MESSAGES });
    }
    let kept = app.noc.store.write(move |db| {
        authorise(db, console)?;
        Ok::<_, ApiError>(queue::report(db, clock::now(), console, &request.items)?)
    });
    kept.await.map(|()| StatusCode::NO_CONTENT)
}
