//! API tokens: one's own, and those of people whom one administers.

use super::sessions::administered;
use super::{Answer, Form, Made, SESSION, change, make, number, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page};
use crate::audit::By;
use crate::clock;
use crate::operators::access::{Needs, OperatorId, Scope};
use crate::operators::people::record;
use crate::operators::{ApiToken, secret};
use crate::store::{operators, tokens};
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tokens", SESSION, list)
            .says("tokens", "API tokens that are not over")
            .query::<Whose>()
            .lists::<ApiToken>()
            .faults(&[404]),
        Route::post("/v1/tokens", SESSION, add)
            .says("tokens", "Make an API token for oneself")
            .takes::<NewToken>()
            .makes::<MadeToken>()
            .keyed(),
        Route::delete("/v1/tokens/{token}", SESSION, revoke).says("tokens", "End an API token"),
    ]
}

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// An operator whom one administers; else one's own.
    #[param(value_type = Option<u64>)]
    operator: Option<OperatorId>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is for.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it may be used for.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// How many days it is good.
    #[schema(minimum = 1, maximum = 366)]
    days: u32,
}

#[derive(Serialize, ToSchema)]
struct MadeToken {
    token: ApiToken,
    /// For the header `Authorization: Bearer`. Shown this once.
    secret: String,
}

/// `GET /v1/tokens?operator=N`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Whose>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, Needs::Session, move |db, access| {
        let operator = administered(db, access, asked.operator.unwrap_or(access.operator))?;
        Ok(tokens::of_operator(db, clock::now(), operator.id)?)
    });
    Answer::of(&Page { items: found.await?, next: None })
}

/// `POST /v1/tokens`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewToken>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/tokens")?;
    let NewToken { name, scopes, days } = form.value;
    make(&app, caller, Needs::Session, keyed, move |db, access| {
        let secret = secret::token()?;
        let token = tokens::add(db, clock::now(), access.operator, &secret::hash(&secret), &name, &scopes, days)?;
        let operator = operators::find(db, access.operator)?.ok_or(Fault::SessionEnded)?;
        record(db, &By::operator(access), &operator, "token.add", serde_json::json!(token))?;
        let location = format!("/v1/tokens/{}", token.id);
        Ok(Made { shown: MadeToken { token, secret }, location, is_secret: true })
    })
    .await
}

/// `DELETE /v1/tokens/{token}`
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let ended = change(&app, caller, Needs::Session, move |db, access| {
        let token = tokens::find(db, clock::now(), id)?.ok_or(Fault::NotFound)?;
        let operator = administered(db, access, token.operator)?;
        tokens::revoke(db, clock::now(), id)?;
        Ok(record(db, &By::operator(access), &operator, "token.revoke", serde_json::json!(token))?)
    });
    ended.await?;
    Ok(Answer::nothing())
}
