//! The library of applets. Its organisation's administrators change it; whoever may see the organisation sees it.

use super::{Answer, Form, Made, change, make, number, scope, see};
use crate::api::answer::Page;
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::applets::{self as library, Channel, NewPlace, Opened};
use crate::audit::By;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::applets::{self, Applet, AppletAuthor};
use crate::store::organisations;
use axum::extract::{Path, State};
use data_encoding::BASE64;
use muster_applet::bundle::MAX_BUNDLE;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadOrganisations);
const WRITE: Needs = Needs::Scope(Scope::WriteOrganisations);
/// A bundle with its signature, in base64.
const BUNDLE: usize = MAX_BUNDLE / 3 * 4 + (64 << 10);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadOrganisations), scope(Scope::WriteOrganisations));
    vec![
        Route::get("/v1/organisations/{organisation}/applets", reads, list)
            .says("applets", "The library of applets, by name")
            .lists::<Applet>(),
        Route::post("/v1/organisations/{organisation}/applets", writes, publish)
            .says("applets", "Publish a signed bundle: it is offered on a channel to all of its consoles")
            .takes::<Publish>()
            .shows::<Applet>()
            .faults(&[404, 409]),
        Route::put("/v1/organisations/{organisation}/applets/{applet}/channels/{applet_channel}", writes, release)
            .says("applets", "Put a version on a channel, for a part of the consoles")
            .takes::<Release>()
            .shows::<Applet>()
            .faults(&[409]),
        Route::put("/v1/organisations/{organisation}/applets/{applet}/places", writes, places)
            .says("applets", "Which sites and consoles have something else than the stable channel: all of them")
            .takes::<Places>()
            .shows::<Applet>(),
        Route::put("/v1/organisations/{organisation}/applets/{applet}/floor", writes, floor)
            .says("applets", "The lowest version that may still be used, on consoles without a link, too")
            .takes::<Floor>()
            .shows::<Applet>()
            .faults(&[409]),
        Route::delete("/v1/organisations/{organisation}/applets/{applet}/versions/{applet_version}", writes, withdraw)
            .says("applets", "Withdraw a version: consoles go back to the one before it"),
        Route::get("/v1/organisations/{organisation}/applet-authors", reads, authors)
            .says("applets", "Whose applets are taken")
            .lists::<AppletAuthor>(),
        Route::post("/v1/organisations/{organisation}/applet-authors", writes, add_author)
            .says("applets", "Take applets of somebody")
            .takes::<NewAuthor>()
            .makes::<AppletAuthor>()
            .keyed()
            .faults(&[404, 409]),
        Route::delete("/v1/organisations/{organisation}/applet-authors/{author}", writes, remove_author)
            .says("applets", "Take no new applets of somebody; what was published stays"),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Publish {
    /// The signed bundle (`muster applet sign`), base64.
    bundle: String,
    /// Where it is offered first: `test` unless it is said.
    #[serde(default = "test_channel")]
    channel: Channel,
}

fn test_channel() -> Channel {
    Channel::Test
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Release {
    /// The version.
    version: String,
    /// The part of the consoles that gets it, 1 to 100; the others keep what they have.
    #[schema(minimum = 1, maximum = 100)]
    percent: u8,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Places {
    /// The sites and consoles.
    places: Vec<NewPlace>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Floor {
    /// The version.
    version: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAuthor {
    /// Who it is.
    name: String,
    /// The Ed25519 public key that `muster applet key` printed, base64.
    key: String,
}

/// `GET /v1/organisations/{organisation}/applets`
async fn list(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        seen(db, access, id)?;
        Ok(applets::all(db, id)?)
    });
    Answer::of(&Page { items: found.await?, next: None })
}

/// `POST /v1/organisations/{organisation}/applets`
async fn publish(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<Publish, BUNDLE>,
) -> Result<Answer, ApiError> {
    let (id, Publish { bundle, channel }) = (OrganisationId(number(&id)?), form.value);
    // Looked at before the bundle is looked through, and again when it is kept.
    see(&app, caller.clone(), WRITE, move |db, access| administered(db, access, id)).await?;
    let read = move || {
        let bytes = BASE64.decode(bundle.as_bytes()).map_err(|_| Fault::invalid("bundle", "is not in base64"))?;
        Opened::read(bytes).map_err(Fault::AppletFaulty)
    };
    let opened = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::Internal)??;
    let published = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::publish(db, &By::operator(access), id, &opened, channel)
    });
    Answer::of(&published.await?)
}

/// `PUT /v1/organisations/{organisation}/applets/{applet}/channels/{applet_channel}`
async fn release(
    State(app): State<App>,
    caller: Caller,
    Path((id, name, channel)): Path<(String, String, String)>,
    form: Form<Release>,
) -> Result<Answer, ApiError> {
    let (id, Release { version, percent }) = (OrganisationId(number(&id)?), form.value);
    let channel = crate::store::from_word("channel", &channel).map_err(|_| Fault::NotFound)?;
    let released = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::release(db, &By::operator(access), id, &name, &version, channel, percent)
    });
    Answer::of(&released.await?)
}

/// `PUT /v1/organisations/{organisation}/applets/{applet}/places`
async fn places(
    State(app): State<App>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
    form: Form<Places>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let set = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::set_places(db, &By::operator(access), id, &name, &form.value.places)
    });
    Answer::of(&set.await?)
}

/// `PUT /v1/organisations/{organisation}/applets/{applet}/floor`
async fn floor(
    State(app): State<App>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
    form: Form<Floor>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let raised = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::raise_floor(db, &By::operator(access), id, &name, &form.value.version)
    });
    Answer::of(&raised.await?)
}

/// `DELETE /v1/organisations/{organisation}/applets/{applet}/versions/{applet_version}`
async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path((id, name, version)): Path<(String, String, String)>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let withdrawn = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::withdraw(db, &By::operator(access), id, &name, &version)
    });
    withdrawn.await?;
    Ok(Answer::nothing())
}

/// `GET /v1/organisations/{organisation}/applet-authors`
async fn authors(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        seen(db, access, id)?;
        Ok(applets::authors(db, id)?)
    });
    Answer::of(&Page { items: found.await?, next: None })
}

/// `POST /v1/organisations/{organisation}/applet-authors`
async fn add_author(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    form: Form<NewAuthor>,
) -> Result<Answer, ApiError> {
    let id = OrganisationId(number(&id)?);
    let keyed = form.keyed("applet-authors")?;
    make(&app, caller, WRITE, keyed, move |db, access| {
        administered(db, access, id)?;
        let author = library::add_author(db, &By::operator(access), id, &form.value.name, &form.value.key)?;
        let location = format!("/v1/organisations/{id}/applet-authors/{}", author.id);
        Ok(Made { shown: author, location, is_secret: false })
    })
    .await
}

/// `DELETE /v1/organisations/{organisation}/applet-authors/{author}`
async fn remove_author(
    State(app): State<App>,
    caller: Caller,
    Path((id, author)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let (id, author) = (OrganisationId(number(&id)?), number(&author)?);
    let removed = change(&app, caller, WRITE, move |db, access| {
        administered(db, access, id)?;
        library::remove_author(db, &By::operator(access), id, author)
    });
    removed.await?;
    Ok(Answer::nothing())
}

fn administered(db: &Connection, access: &Access, id: OrganisationId) -> Result<(), ApiError> {
    access.need_whole(Role::Administrator, id)?;
    organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(())
}

fn seen(db: &Connection, access: &Access, id: OrganisationId) -> Result<(), ApiError> {
    access.need_whole(Role::Viewer, id)?;
    organisations::find(db, id)?.ok_or(Fault::NotFound)?;
    Ok(())
}
