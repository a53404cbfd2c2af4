//! Channels: where an organisation is told of its alerts. Their administrators see them: an address may be half a secret.

use super::forms::PartOf;
use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::{By, Event};
use crate::channels::{self as telling, AddedChannel, ChannelId, ChannelSpec, Tested};
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::store::audit;
use crate::store::channels::{self, Channel, Kept};
use axum::extract::{Path, State};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadAlerts);
const WRITE: Needs = Needs::Scope(Scope::WriteAlerts);
/// A channel with the certificates it trusts.
const LARGE: usize = 128 << 10;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAlerts), scope(Scope::WriteAlerts));
    vec![
        Route::get("/v1/channels", reads, list)
            .says("channels", "Channels of the organisations that one administers, and how they do")
            .query::<PartOf>()
            .lists::<Channel>(),
        Route::post("/v1/channels", writes, add)
            .says("channels", "Add a channel")
            .takes::<NewChannel>()
            .makes::<AddedChannel>()
            .keyed()
            .faults(&[404]),
        Route::get("/v1/channels/{channel}", reads, show).says("channels", "One channel").shows::<Channel>().tagged(),
        Route::put("/v1/channels/{channel}", writes, replace)
            .says("channels", "Change a channel. What waits for it is tried at once")
            .takes::<ChangedChannel>()
            .shows::<AddedChannel>()
            .conditional(),
        Route::delete("/v1/channels/{channel}", writes, remove).says("channels", "Take a channel away"),
        Route::post("/v1/channels/{channel}/test", writes, test)
            .says("channels", "Send a test through a channel, and see what the receiver answers")
            .shows::<Tested>()
            .faults(&[404]),
        Route::post("/v1/channels/{channel}/secret", writes, renew)
            .says("channels", "Give a webhook another secret")
            .shows::<NewSecret>()
            .faults(&[404]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewChannel {
    /// Whose it is.
    organisation: OrganisationId,
    /// The channel.
    channel: ChannelSpec,
    /// The password of its user, if it has one.
    #[serde(default)]
    password: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedChannel {
    /// The channel.
    channel: ChannelSpec,
    /// The password of its user. None keeps the one it has, as long as it goes to the same server.
    #[serde(default)]
    password: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct NewSecret {
    /// Shown this once.
    secret: String,
}

/// `GET /v1/channels`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        if !access.roles.iter().any(|at| at.role == Role::Administrator) {
            return Err(Fault::Role { needed: Role::Administrator }.into());
        }
        Ok(channels::administered_by(db, access.operator, part.organisation, window)?)
    });
    let page: Page<Channel> = found.await?;
    Answer::of(&page)
}

/// `POST /v1/channels`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewChannel, LARGE>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/channels")?;
    let NewChannel { organisation, channel, password } = form.value;
    make(&app, caller, WRITE, keyed, move |db, access| {
        access.need_whole(Role::Administrator, organisation)?;
        let by = By::operator(access);
        let shown = telling::add(db, &by, organisation, channel, password.as_deref(), is_of_the_noc(access))?;
        let (location, is_secret) = (format!("/v1/channels/{}", shown.channel.id), shown.secret.is_some());
        Ok(Made { shown, location, is_secret })
    })
    .await
}

/// `GET /v1/channels/{channel}`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let found = see(&app, caller, READ, move |db, access| administered(db, access, id)).await?;
    Ok(Answer::of(&found.channel)?.tagged(&tag(&found.channel.version())?))
}

/// `PUT /v1/channels/{channel}`
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    version: IfMatch,
    form: Form<ChangedChannel, LARGE>,
) -> Result<Answer, ApiError> {
    let (id, ChangedChannel { channel, password }) = (number(&id)?, form.value);
    let changed = change(&app, caller, WRITE, move |db, access| {
        let before = administered(db, access, id)?;
        version.check(&before.channel.version())?;
        telling::change(db, &By::operator(access), &before, channel, password.as_deref(), is_of_the_noc(access))
    });
    let shown = changed.await?;
    Ok(Answer::of(&shown)?.tagged(&tag(&shown.channel.version())?))
}

/// `DELETE /v1/channels/{channel}`
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let removed = change(&app, caller, WRITE, move |db, access| {
        let kept = administered(db, access, id)?;
        telling::remove(db, &By::operator(access), &kept.channel)
    });
    removed.await?;
    Ok(Answer::nothing())
}

/// `POST /v1/channels/{channel}/test`
async fn test(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let begun = change(&app, caller, WRITE, move |db, access| {
        let kept = administered(db, access, id)?;
        let place = Place::organisation(kept.channel.organisation);
        let event = Event::new(place, "channel.test", format!("channel:{id}"));
        audit::record(db, clock::now(), &By::operator(access), event)?;
        let organisation = telling::named(db, kept.channel.organisation)?;
        Ok((kept, organisation))
    });
    let (kept, organisation) = begun.await?;
    Answer::of(&telling::test(&app.noc, kept, organisation).await?)
}

/// `POST /v1/channels/{channel}/secret`
async fn renew(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = number(&id)?;
    let renewed = change(&app, caller, WRITE, move |db, access| {
        let kept = administered(db, access, id)?;
        telling::renew_secret(db, &By::operator(access), &kept.channel)
    });
    Answer::of(&NewSecret { secret: renewed.await? })
}

/// A channel of an organisation that somebody administers as a whole.
fn administered(db: &Connection, access: &Access, id: u32) -> Result<Kept, ApiError> {
    let kept = channels::find(db, ChannelId(id))?.ok_or(Fault::NotFound)?;
    access.need(Role::Administrator, Place::organisation(kept.channel.organisation))?;
    Ok(kept)
}

/// Whether somebody runs the NOC itself, and so may point it at its own networks.
pub(super) fn is_of_the_noc(access: &Access) -> bool {
    access.role(Place::NOC) == Some(Role::Administrator)
}
