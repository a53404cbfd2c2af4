//! Operators and their roles.

use super::forms::PartOf;
use super::sessions::administered;
use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Window};
use crate::audit::By;
use crate::operators::access::{Access, Needs, OperatorId, OrganisationId, Place, RoleAt, Scope};
use crate::operators::people::{self, home};
use crate::operators::{NewOperator, Operator, Role, password};
use crate::store::operators;
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const READ: Needs = Needs::Scope(Scope::ReadOperators);
const WRITE: Needs = Needs::Scope(Scope::WriteOperators);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadOperators), scope(Scope::WriteOperators));
    vec![
        Route::get("/v1/operators", reads, list)
            .says("operators", "Oneself, and those whom one administers")
            .query::<PartOf>()
            .lists::<Operator>(),
        Route::post("/v1/operators", writes, add)
            .says("operators", "Add an operator: for administrators")
            .takes::<NewOperatorForm>()
            .makes::<Operator>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/operators/{operator}", reads, show)
            .says("operators", "One operator")
            .shows::<Operator>()
            .tagged(),
        Route::patch("/v1/operators/{operator}", writes, patch)
            .says("operators", "Rename, disable or enable an operator")
            .takes::<OperatorChange>()
            .shows::<Operator>()
            .conditional()
            .faults(&[409]),
        Route::put("/v1/operators/{operator}/roles", writes, set_roles)
            .says("operators", "Replace an operator's roles")
            .takes::<Roles>()
            .shows::<Operator>()
            .conditional()
            .faults(&[409]),
        Route::post("/v1/operators/{operator}/password", writes, reset_password)
            .says("operators", "Set somebody's password; their sessions and API tokens end")
            .takes::<PasswordForm>()
            .faults(&[409]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperator, example = json!({
    "organisation": 1, "login": "otto", "name": "Otto", "password": "correct horse battery",
    "roles": [{ "organisation": 1, "role": "viewer" }]
}))]
struct NewOperatorForm {
    /// Their organisation; none for people of the NOC itself.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    organisation: Option<OrganisationId>,
    /// What they sign in with. The organisation's handle is added.
    #[schema(min_length = 1, max_length = 64)]
    login: String,
    /// What they are called.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[schema(min_length = 12, max_length = 128, format = "password")]
    password: String,
    /// What they may do, and where.
    roles: Vec<RoleAt>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OperatorChange {
    /// What they are called.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    name: Option<String>,
    /// Whether they are kept out. Whoever is disabled is signed out, and their API tokens end.
    #[serde(default)]
    disabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "roles": [{ "organisation": 2, "role": "viewer" }] }))]
struct Roles {
    /// What they may do, and where.
    roles: Vec<RoleAt>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordForm {
    #[schema(min_length = 12, max_length = 128, format = "password")]
    password: String,
}

/// `GET /v1/operators`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        Ok(operators::seen_by(db, access.operator, part.organisation, window)?)
    });
    Answer::of(&found.await?)
}

/// `POST /v1/operators`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewOperatorForm>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/operators")?;
    let NewOperatorForm { organisation, login, name, password, roles } = form.value;
    // Looked at before the password is hashed, which takes long, and again when it is kept.
    let may = move |access: &Access| match organisation {
        Some(organisation) => access.need_whole(Role::Administrator, organisation),
        None if access.role(Place::NOC) == Some(Role::Administrator) => Ok(()),
        None => Err(Fault::Role { needed: Role::Administrator }),
    };
    see(&app, caller.clone(), WRITE, move |_, access| Ok(may(access)?)).await?;
    let hashed = hash(&app, &login, password).await?;
    let new = NewOperator { organisation, login, name, roles };
    make(&app, caller, WRITE, keyed, move |db, access| {
        may(access)?;
        let shown = people::add_operator(db, &By::operator(access), &new, &hashed)?;
        let location = format!("/v1/operators/{}", shown.id);
        Ok(Made { shown, location, is_secret: false })
    })
    .await
}

/// `GET /v1/operators/{operator}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OperatorId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| administered(db, access, id)).await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PATCH /v1/operators/{operator}`
async fn patch(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<OperatorChange>,
) -> Result<Answer, ApiError> {
    let id = OperatorId(number(&id)?);
    let changed = change(&app, caller, WRITE, move |db, access| {
        let before = of_others(db, access, id)?;
        version.check(&before)?;
        let OperatorChange { name, disabled } = form.value;
        Ok(people::change_operator(db, &By::operator(access), &before, name.as_deref(), disabled)?)
    });
    let after = changed.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `PUT /v1/operators/{operator}/roles`
async fn set_roles(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<Roles>,
) -> Result<Answer, ApiError> {
    let id = OperatorId(number(&id)?);
    let changed = change(&app, caller, WRITE, move |db, access| {
        let before = of_others(db, access, id)?;
        version.check(&before)?;
        Ok(people::set_roles(db, &By::operator(access), &before, &form.value.roles)?)
    });
    let after = changed.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

/// `POST /v1/operators/{operator}/password`
async fn reset_password(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<PasswordForm>,
) -> Result<Answer, ApiError> {
    let id = OperatorId(number(&id)?);
    let operator = see(&app, caller.clone(), WRITE, move |db, access| of_others(db, access, id)).await?;
    let hashed = hash(&app, &operator.login, form.value.password).await?;
    let set = change(&app, caller, WRITE, move |db, access| {
        let operator = of_others(db, access, id)?;
        Ok(people::reset_password(db, &By::operator(access), &operator, &hashed)?)
    });
    set.await?;
    Ok(Answer::nothing())
}

/// Somebody else, whom the one who asks administers.
fn of_others(db: &Connection, access: &Access, id: OperatorId) -> Result<Operator, ApiError> {
    let operator = administered(db, access, id)?;
    if id == access.operator {
        // Theirs to see, if not to change.
        let administers = access.role(home(&operator)) == Some(Role::Administrator);
        let fault = if administers { Fault::Itself } else { Fault::Role { needed: Role::Administrator } };
        return Err(fault.into());
    }
    Ok(operator)
}

async fn hash(app: &App, login: &str, password: String) -> Result<String, ApiError> {
    let (login, password) = (login.to_owned(), Zeroizing::new(password));
    let hashed = app.comparisons.run(move || password::hash(&login, &password)).await.ok_or(Fault::SignInBusy)?;
    Ok(hashed.map_err(Fault::from)?)
}
