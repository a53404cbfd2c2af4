//! What one appliance is told to do, once, and the log that it sends.

use super::appliances::seen;
use super::forms::ActForm;
use super::{Answer, Form, Made, change, make, scope, see};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Page};
use crate::audit::By;
use crate::operators::Role;
use crate::operators::access::{Needs, Scope};
use crate::store;
use crate::work::{self, InstructionView, StoredLog, WorkError};
use axum::extract::{Path, State};
use muster_protocol::instruction::Act;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const WRITE: Needs = Needs::Scope(Scope::WriteAppliances);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAppliances), scope(Scope::WriteAppliances));
    vec![
        Route::post("/v1/appliances/{uid}/instructions", writes, instruct)
            .says("appliances", "Have it do something, once, with the answer to its next beat")
            .takes::<NewInstruction>()
            .makes::<InstructionShown>()
            .keyed(),
        Route::get("/v1/appliances/{uid}/instructions", reads, instructions)
            .says("appliances", "What it was to do, newest first, and what became of it")
            .lists::<InstructionShown>(),
        Route::get("/v1/appliances/{uid}/log", reads, log)
            .says("appliances", "The newest log that it has sent: for operators of its site")
            .shows::<LogShown>(),
        Route::delete("/v1/appliances/{uid}/work", writes, take_back)
            .says("appliances", "Take back settings and instructions that it has not accepted")
            .shows::<TakenBack>(),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInstruction {
    /// What it shall do.
    act: ActForm,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Instruction)]
struct InstructionShown {
    /// Its number among those of the appliance.
    serial: u64,
    /// What it says.
    #[schema(value_type = ActForm)]
    act: Act,
    /// When it was made, Unix seconds.
    issued: u64,
    /// Until when it is given.
    expires: u64,
    /// When it went out for the first time.
    given: Option<u64>,
    /// When the appliance said that it was accepted.
    done: Option<u64>,
    /// Why it was not carried out: a stable word, or empty.
    problem: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Log)]
struct LogShown {
    /// When it came, Unix seconds.
    taken: u64,
    /// Lines, oldest first. What the appliance says, unchecked.
    text: String,
}

#[derive(Serialize, ToSchema)]
struct TakenBack {
    /// How many.
    count: usize,
}

impl InstructionShown {
    fn of(made: InstructionView) -> InstructionShown {
        let InstructionView { serial, act, issued, expires, given, done, problem } = made;
        InstructionShown { serial: serial.0, act, issued, expires, given, done, problem }
    }
}

/// `POST /v1/appliances/{uid}/instructions`
async fn instruct(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    form: Form<NewInstruction>,
) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/appliances/{uid}/instructions")?;
    make(&app, caller, WRITE, keyed, move |db, access| {
        let uid = seen(db, access, &uid, Role::Operator)?.record.uid;
        let made = work::instruct(db, &By::operator(access), &uid, form.value.act.into())?;
        let location = format!("/v1/appliances/{uid}");
        Ok(Made { shown: InstructionShown::of(made), location, is_secret: false })
    })
    .await
}

/// `GET /v1/appliances/{uid}/instructions`
async fn instructions(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, READ, move |db, access| {
        let owned = seen(db, access, &uid, Role::Viewer)?;
        Ok(store::instructions::all(db, owned.row)?)
    });
    let items = found.await?.into_iter().map(InstructionShown::of).collect();
    Answer::of(&Page { items, next: None })
}

/// `GET /v1/appliances/{uid}/log`
async fn log(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, READ, move |db, access| {
        let owned = seen(db, access, &uid, Role::Operator)?;
        let log = store::logs::newest(db, owned.row)?;
        Ok(log.ok_or(WorkError::NoLog { uid: owned.record.uid })?)
    });
    let StoredLog { taken, text } = found.await?;
    Answer::of(&LogShown { taken, text })
}

/// `DELETE /v1/appliances/{uid}/work`
async fn take_back(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let taken = change(&app, caller, WRITE, move |db, access| {
        let uid = seen(db, access, &uid, Role::Operator)?.record.uid;
        Ok(work::take_back(db, &By::operator(access), &uid)?)
    });
    Answer::of(&TakenBack { count: taken.await? })
}
