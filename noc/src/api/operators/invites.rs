//! Invites for consoles.

use super::forms::PartOf;
use super::{Answer, Form, Made, change, make, scope, see};
use crate::api::caller::Caller;
use crate::api::request::Asked;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::{By, Event};
use crate::clock;
use crate::invite::{InviteError, Token};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Place, Scope};
use crate::store::invites::{self, OwnedInvite};
use crate::store::{audit, consoles, organisations};
use axum::extract::{Path, State};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const READ: Needs = Needs::Scope(Scope::ReadConsoles);
const WRITE: Needs = Needs::Scope(Scope::WriteConsoles);
/// Longest life of an invite: 30 days.
const MOST_HOURS: u32 = 720;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadConsoles), scope(Scope::WriteConsoles));
    vec![
        Route::get("/v1/invites", reads, list)
            .says("invites", "Invites that wait for their console")
            .query::<PartOf>()
            .lists::<InviteView>(),
        Route::post("/v1/invites", writes, add)
            .says("invites", "Invite a console to some sites: for their operators")
            .takes::<NewInvite>()
            .makes::<MadeInvite>()
            .keyed()
            .faults(&[404]),
        Route::delete("/v1/invites/{invite}", writes, remove).says("invites", "Take an invite back"),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    /// The sites that the console may configure, all of one organisation.
    #[schema(value_type = Vec<u32>, min_items = 1, max_items = 16)]
    sites: Vec<SiteId>,
    /// How many hours the invite is good.
    #[schema(minimum = 1, maximum = 720)]
    hours: u32,
}

#[derive(Serialize, ToSchema)]
struct InviteView {
    /// What it is called here; no part of its secret.
    id: String,
    /// Whose it is.
    organisation: OrganisationId,
    /// The sites that the console may configure.
    #[schema(value_type = Vec<u32>)]
    sites: Vec<SiteId>,
    /// When it ends, Unix seconds.
    expires: u64,
}

impl InviteView {
    fn of(owned: OwnedInvite) -> InviteView {
        let OwnedInvite { id, organisation, sites, expires, .. } = owned;
        InviteView { id, organisation, sites, expires }
    }
}

#[derive(Serialize, ToSchema)]
struct MadeInvite {
    invite: InviteView,
    /// The text to paste into the console. Shown this once.
    text: String,
}

/// `GET /v1/invites`
async fn list(State(app): State<App>, caller: Caller, Asked(part): Asked<PartOf>) -> Result<Answer, ApiError> {
    let window = Window::of(part.limit, part.after.as_deref())?;
    let found = see(&app, caller, READ, move |db, access| {
        Ok(invites::seen_by(db, clock::now(), access.operator, part.organisation, window)?)
    });
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.into_iter().map(|(_, invite)| InviteView::of(invite)).collect(), next })
}

/// `POST /v1/invites`
async fn add(State(app): State<App>, caller: Caller, form: Form<NewInvite>) -> Result<Answer, ApiError> {
    let keyed = form.keyed("POST /v1/invites")?;
    let NewInvite { sites, hours } = form.value;
    if !(1..=16).contains(&sites.len()) {
        return Err(InviteError::Sites { count: sites.len() }.into());
    }
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Fault::invalid("hours", format!("is not 1 to {MOST_HOURS}")).into());
    }
    let noc = app.noc.clone();
    make(&app, caller, WRITE, keyed, move |db, access| {
        may(db, access, &sites)?;
        let (now, token) = (clock::now(), Token::generate()?);
        let (hash, expires) = (token.hash(), now + u64::from(hours) * 3600);
        consoles::invite(db, now, &By::operator(access), &hash, expires, &sites)?;
        let invite = invites::find(db, &invites::id_of(&hash))?.ok_or(Fault::NotFound)?;
        let text = token.text(&noc.public_address(), &noc.authority.pin(), expires);
        let location = format!("/v1/invites/{}", invite.id);
        Ok(Made { shown: MadeInvite { invite: InviteView::of(invite), text }, location, is_secret: true })
    })
    .await
}

/// `DELETE /v1/invites/{invite}`
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Answer, ApiError> {
    let removed = change(&app, caller, WRITE, move |db, access| {
        let invite = invites::find(db, &id)?.filter(|invite| invite.used.is_none()).ok_or(Fault::NotFound)?;
        may(db, access, &invite.sites)?;
        invites::remove(db, &id)?;
        let event = Event::new(Place::organisation(invite.organisation), "invite.remove", format!("invite:{id}"));
        Ok(audit::record(db, clock::now(), &By::operator(access), event)?)
    });
    removed.await?;
    Ok(Answer::nothing())
}

/// Whoever invites to a site is its operator.
fn may(db: &Connection, access: &Access, sites: &[SiteId]) -> Result<(), ApiError> {
    for site in sites {
        let organisation = organisations::of_site(db, *site)?.ok_or(Fault::NotFound)?;
        access.need(Role::Operator, Place::site(organisation, *site))?;
    }
    Ok(())
}
