//! Sessions: one's own, and those of people whom one administers.

use super::{Answer, SESSION, change, number, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page};
use crate::audit::By;
use crate::clock;
use crate::operators::access::{Access, Needs, OperatorId};
use crate::operators::people::{home, record};
use crate::operators::{Operator, Role, Session};
use crate::store::{operators, sessions};
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions", SESSION, list)
            .says("sessions", "Sessions that are not over")
            .query::<Whose>()
            .lists::<Session>()
            .faults(&[404]),
        Route::delete("/v1/sessions/{session}", SESSION, revoke).says("sessions", "End a session"),
    ]
}

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// An operator whom one administers; else one's own.
    #[param(value_type = Option<u64>)]
    pub(super) operator: Option<OperatorId>,
}

/// Oneself, or somebody whom one administers. Whoever else is not there.
pub(super) fn administered(db: &Connection, access: &Access, id: OperatorId) -> Result<Operator, ApiError> {
    let operator = operators::find(db, id)?.ok_or(Fault::NotFound)?;
    let administers = access.role(home(&operator)).is_some_and(|role| role >= Role::Administrator);
    if id == access.operator || administers { Ok(operator) } else { Err(Fault::NotFound.into()) }
}

/// `GET /v1/sessions?operator=N`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Whose>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, Needs::Session, move |db, access| {
        let operator = administered(db, access, asked.operator.unwrap_or(access.operator))?;
        Ok(sessions::of_operator(db, clock::now(), operator.id)?)
    });
    Answer::of(&Page { items: found.await?, next: None })
}

/// `DELETE /v1/sessions/{session}`
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let ended = change(&app, caller, Needs::Session, move |db, access| {
        let session = sessions::find(db, clock::now(), id)?.ok_or(Fault::NotFound)?;
        let operator = administered(db, access, session.operator)?;
        sessions::revoke(db, clock::now(), id)?;
        let detail = serde_json::json!({ "session": id });
        Ok(record(db, &By::operator(access), &operator, "session.revoke", detail)?)
    });
    ended.await?;
    Ok(Answer::nothing())
}
