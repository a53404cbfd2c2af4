//! The beats of an appliance as a strip: what arrived and what did not, of a day and of three months.

use super::appliances::seen;
use super::{Answer, scope, see};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App};
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Needs, Scope};
use crate::store::strips;
use axum::extract::{Path, State};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/appliances/{uid}/strip", scope(Scope::ReadAppliances), show)
            .says(
                "appliances",
                "What arrived of its beats and what did not: quarters of an hour of a day, days of three months",
            )
            .shows::<strips::Strip>(),
    ]
}

/// `GET /v1/appliances/{uid}/strip`
async fn show(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, Needs::Scope(Scope::ReadAppliances), move |db, access| {
        let owned = seen(db, access, &uid, Role::Viewer)?;
        Ok(strips::read(db, clock::now(), owned.row, owned.record.site)?)
    });
    Answer::of(&found.await?)
}
