//! Consoles.

use super::forms::PartOf;
use super::{Answer, change, number, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::store::consoles;
use crate::store::fleet::{self, OwnedConsole};
use axum::extract::{Path, State};
use muster_protocol::id::{ConsoleId, SiteId};
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadConsoles);
const WRITE: Needs = Needs::Scope(Scope::WriteConsoles);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadConsoles), scope(Scope::WriteConsoles));
    vec![
        Route::get("/v1/consoles", reads, list).says("consoles", "Consoles").query::<PartOf>().lists::<ConsoleView>(),
        Route::get("/v1/consoles/{console}", reads, show).says("consoles", "One console").shows::<ConsoleView>(),
        Route::delete("/v1/consoles/{console}", writes, revoke)
            .says("consoles", "Revoke a console, from its next request on: for operators of all of its sites"),
    ]
}

#[derive(Serialize, ToSchema)]
struct ConsoleView {
    /// Its number.
    #[schema(value_type = u32)]
    id: ConsoleId,
    /// Whose it is.
    organisation: OrganisationId,
    /// What it was called at enrolment.
    name: String,
    /// When it was enrolled, Unix seconds.
    enrolled: u64,
    /// When it was revoked, if it was.
    revoked: Option<u64>,
    /// Those of the sites it may configure that one sees.
    #[schema(value_type = Vec<u32>)]
    sites: Vec<SiteId>,
}

impl ConsoleView {
    fn of(owned: OwnedConsole) -> ConsoleView {
        let OwnedConsole { id, organisation, name, enrolled, revoked, sites } = owned;
        ConsoleView { id, organisation, name, enrolled, revoked, sites }
    }
}

/// `GET /v1/consoles`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found =
        see(&app, caller, READ, move |db, access| Ok(fleet::consoles(db, access.operator, part.organisation, window)?));
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.into_iter().map(ConsoleView::of).collect(), next })
}

/// `GET /v1/consoles/{console}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = ConsoleId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| seen(db, access, id));
    Answer::of(&ConsoleView::of(found.await?))
}

/// `DELETE /v1/consoles/{console}`
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = ConsoleId(number(&id)?);
    let revoked = change(&app, caller, WRITE, move |db, access| {
        let owned = seen(db, access, id)?;
        let is_operator = |site: SiteId| {
            access.role(Place::site(owned.organisation, site)).is_some_and(|role| role >= Role::Operator)
        };
        if !consoles::sites_of(db, id)?.into_iter().all(is_operator) {
            return Err(Fault::Role { needed: Role::Operator }.into());
        }
        consoles::revoke(db, clock::now(), &By::operator(access), id)?;
        Ok(())
    });
    revoked.await?;
    Ok(Answer::nothing())
}

fn seen(db: &Connection, access: &Access, id: ConsoleId) -> Result<OwnedConsole, ApiError> {
    Ok(fleet::console(db, access.operator, id)?.ok_or(Fault::NotFound)?)
}
