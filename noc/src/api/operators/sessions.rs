//! Sessions: one's own, and those of people whom one administers.

use super::{Answer, SESSION, change, number, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::access::{Access, Needs, OperatorId, OrganisationId};
use crate::operators::people::{end_session, home};
use crate::operators::{OpenSession, Operator, Role};
use crate::store::{operators, organisations, sessions};
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions", SESSION, list)
            .says("sessions", "Sessions that are not over: one's own, or those of people whom one administers")
            .query::<Whose>()
            .lists::<OpenSession>()
            .faults(&[404]),
        Route::delete("/v1/sessions/{session}", SESSION, revoke).says("sessions", "End a session"),
    ]
}

/// Whose, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// An operator whom one administers; else one's own.
    #[param(value_type = Option<u64>)]
    operator: Option<OperatorId>,
    /// Everybody of an organisation that one administers, instead of one operator.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Rows of a page of an organisation: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Oneself, or somebody whom one administers. Whoever else is not there.
pub(super) fn administered(db: &Connection, access: &Access, id: OperatorId) -> Result<Operator, ApiError> {
    let operator = operators::find(db, id)?.ok_or(Fault::NotFound)?;
    let administers = access.role(home(&operator)).is_some_and(|role| role >= Role::Administrator);
    if id == access.operator || administers { Ok(operator) } else { Err(Fault::NotFound.into()) }
}

/// `GET /v1/sessions?operator=N` or `?organisation=N`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Whose>) -> Result<Answer, ApiError> {
    let window = Window::of(asked.limit, asked.after.as_deref())?;
    if asked.operator.is_some() && asked.organisation.is_some() {
        return Err(ApiError::Malformed { why: "`operator` and `organisation` exclude each other".to_owned() });
    }
    let found = see(&app, caller, Needs::Session, move |db, access| {
        if let Some(organisation) = asked.organisation {
            access.need_whole(Role::Administrator, organisation)?;
            organisations::find(db, organisation)?.ok_or(Fault::NotFound)?;
            return Ok(sessions::page(db, clock::now(), Some(organisation), window)?);
        }
        let operator = administered(db, access, asked.operator.unwrap_or(access.operator))?;
        let own = sessions::of_operator(db, clock::now(), operator.id)?.into_iter();
        let items = own.map(|session| OpenSession { session, login: operator.login.clone() }).collect();
        Ok(Page { items, next: None })
    });
    Answer::of(&found.await?)
}

/// `DELETE /v1/sessions/{session}`
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let ended = change(&app, caller, Needs::Session, move |db, access| {
        let session = sessions::find(db, clock::now(), id)?.ok_or(Fault::NotFound)?;
        let operator = administered(db, access, session.operator)?;
        Ok(end_session(db, &By::operator(access), &operator, id)?)
    });
    ended.await?;
    Ok(Answer::nothing())
}
