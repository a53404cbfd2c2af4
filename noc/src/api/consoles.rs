//! For consoles: sites, appliances, plans, grants, results, alerts and changes.

use super::request::{AsConsole, Asked, Json as Body, LARGE, SMALL};
use super::{ApiError, App, Fault, checked_note, checked_silence};
use crate::audit::By;
use crate::clock;
use crate::store::alert_events::{self, Someone};
use crate::store::consoles::authorise;
use crate::store::grants::{Decision, Issuer};
use crate::store::proof::Said;
use crate::store::{self, alerts, appliances, beats, consoles, grants, plans, results, sites};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use data_encoding::BASE64;
use muster_protocol::api::{
    Acknowledge, Alert, ApplianceRecord, BeatRecord, Changes, GrantItem, GrantRequest, Granted, Grants, Plan, PlanFor,
    PlanRequest, ResultReport, SignedGrant, SignedResult, SilenceAlert, Site,
};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::id::{ConsoleId, Seq, Uid};
use muster_protocol::wire::from_cbor;
use muster_protocol::wire::here::{Here, HerePacket, Proof, State as Standing};
use muster_protocol::wire::result::ConfigResult;
use rusqlite::Connection;
use serde::Deserialize;
use std::time::Duration;

/// Most appliances in one request.
const MAX_BATCH: usize = 10_000;
/// Longest wait of a long poll.
pub(super) const POLL: Duration = Duration::from_secs(25);
/// Changes that come within this time are answered together.
const GATHER: Duration = Duration::from_millis(250);
/// Most rows of each kind in one answer of a long poll.
const MAX_CHANGES: usize = 2_000;
/// Most alerts of a list.
const MAX_ALERTS: usize = 1_000;

/// `GET /v1/console/sites`
pub(super) async fn sites(State(app): State<App>, AsConsole(console): AsConsole) -> Result<Json<Vec<Site>>, ApiError> {
    let read = app.noc.store.read(move |db| {
        authorise(db, console)?;
        Ok::<_, ApiError>(sites::of_console(db, console)?)
    });
    read.await.map(Json)
}

/// `GET /v1/console/appliances`
pub(super) async fn appliances(
    State(app): State<App>,
    AsConsole(console): AsConsole,
) -> Result<Json<Vec<ApplianceRecord>>, ApiError> {
    let read = app.noc.store.read(move |db| {
        authorise(db, console)?;
        let rows = appliances::of_console(db, console, 0, usize::MAX >> 1)?;
        Ok::<_, ApiError>(rows.into_iter().map(|(_, record)| record).collect())
    });
    read.await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since: u64,
}

/// `GET /v1/console/appliances/{uid}/beats?since=T`
pub(super) async fn history(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Path(uid): Path<String>,
    Asked(asked): Asked<Since>,
) -> Result<Json<Vec<BeatRecord>>, ApiError> {
    let uid: Uid = uid.parse().map_err(|_| ApiError::Malformed { why: "the UID does not read".to_owned() })?;
    let read = app.noc.store.read(move |db| {
        authorise(db, console)?;
        beats::history(db, console, &uid, asked.since.min(i64::MAX as u64))
    });
    read.await.map(Json)
}

/// `POST /v1/console/plans`
pub(super) async fn plan(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Body(request, _room): Body<PlanRequest, LARGE>,
) -> Result<Json<Plan>, ApiError> {
    at_most(request.appliances.len())?;
    let site = request.site;
    // Signatures of thousands, as with grants.
    let read = tokio::task::spawn_blocking(move || {
        request.appliances.into_iter().enumerate().map(read_asked).collect::<Result<Vec<_>, _>>()
    });
    let asked = read.await.unwrap_or(Err(ApiError::Internal))?;
    let issuer = Issuer { root: app.noc.signer.root(), noc: app.noc.public_address(), ca_pin: app.noc.authority.pin() };
    let plan = app.noc.store.write(move |db| {
        let console = authorise(db, console)?;
        plans::plan(db, clock::now(), (&console, &issuer), site, &asked)
    });
    plan.await.map(Json)
}

/// The appliance, with what it says of itself.
fn read_asked((i, one): (usize, PlanFor)) -> Result<plans::Asked, ApiError> {
    let key = PublicKey::from_base64(&one.device_key)
        .ok_or_else(|| ApiError::BadKey { what: format!("the device key of appliance {}", i + 1) })?;
    let uid = Uid::of(&key);
    let claim = one.claim.filter(|code| !code.trim().is_empty()).map(|code| code.parse::<ClaimSecret>());
    let said = match &one.here {
        Some(here) => Some(own_answer(&key, here).ok_or(ApiError::BadAnswer { uid })?),
        None => None,
    };
    let said = said.map(|here| Said { proof: here.proof, is_unowned: here.state == Standing::Unconfigured });
    let wants_voucher = said.is_some_and(|said| said.is_unowned && said.proof == Proof::Voucher);
    Ok(plans::Asked { uid, mac: one.mac, claim, wants_voucher: wants_voucher || one.wants_voucher, said })
}

/// An appliance's answer to a ping, once its signature is checked. When it was given, nobody can tell: the console chose the ping.
fn own_answer(key: &PublicKey, here: &str) -> Option<Here> {
    let signed = BASE64.decode(here.as_bytes()).ok()?;
    let here = HerePacket { signed }.verify().ok()?;
    (here.device_key == *key).then_some(here)
}

/// `POST /v1/console/grants`
pub(super) async fn grants(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Body(request, _room): Body<GrantRequest, LARGE>,
) -> Result<Json<Grants>, ApiError> {
    at_most(request.items.len())?;
    let issuer = Issuer { root: app.noc.signer.root(), noc: app.noc.public_address(), ca_pin: app.noc.authority.pin() };
    let site = request.site;
    // Signatures of thousands are checked, and made, in a tenth of a second: not on a thread that serves others.
    let read =
        tokio::task::spawn_blocking(move || request.items.into_iter().map(read_item).collect::<Result<Vec<_>, _>>());
    let items = read.await.unwrap_or(Err(ApiError::Internal))?;
    let decided = app.noc.store.write(move |db| {
        let console = authorise(db, console)?;
        grants::decide(db, clock::now(), &console, &issuer, site, &items)
    });
    let decisions = decided.await?;
    let noc = app.noc.clone();
    let signed = tokio::task::spawn_blocking(move || {
        decisions.into_iter().map(|decision| sign(&noc.signer, decision)).collect::<Result<_, _>>()
    });
    let items = signed.await.unwrap_or(Err(ApiError::Internal))?;
    Ok(Json(Grants { items }))
}

/// The item, with the number that its appliance says it has stored.
fn read_item(item: GrantItem) -> Result<grants::Asked, ApiError> {
    let stored = match &item.refusal {
        Some(refusal) => Some(stored_seq(&item.uid, refusal).ok_or(ApiError::BadRefusal { uid: item.uid })?),
        None => None,
    };
    Ok(grants::Asked { uid: item.uid, settings: item.settings, stored })
}

/// What an appliance says about itself, once its signature is checked; only its own words count.
fn stored_seq(uid: &Uid, refusal: &SignedResult) -> Option<Seq> {
    let key = PublicKey::from_base64(&refusal.device_key).filter(|key| Uid::of(key) == *uid)?;
    let signed = BASE64.decode(refusal.result.as_bytes()).ok()?;
    let result: ConfigResult = from_cbor(&verify(&key, Purpose::Result, &signed).ok()?).ok()?;
    (result.uid == *uid).then_some(result.seq)
}

fn sign(signer: &crate::signer::Signer, decision: Decision) -> Result<Granted, ApiError> {
    let uid = decision.uid;
    let unsigned = match decision.outcome {
        Ok(unsigned) => unsigned,
        Err(errors) => return Ok(Granted { uid, grant: None, errors }),
    };
    let claim_key = match &unsigned.claim {
        Some(code) => {
            let corrupt = |_| ApiError::Store(crate::error::StoreError::Corrupt { what: "label code" });
            Some(BASE64.encode(&code.parse::<ClaimSecret>().map_err(corrupt)?.key().0))
        }
        None => None,
    };
    let voucher = unsigned.voucher.as_deref().map(|voucher| BASE64.encode(voucher));
    let (grant, seq) = (BASE64.encode(&signer.grant(&unsigned.grant)), unsigned.grant.seq);
    let grant = SignedGrant { grant, seq, claim_key, voucher };
    Ok(Granted { uid, grant: Some(grant), errors: Vec::new() })
}

/// `POST /v1/console/results`
pub(super) async fn results(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Body(request, _room): Body<ResultReport, LARGE>,
) -> Result<StatusCode, ApiError> {
    at_most(request.items.len())?;
    let kept = app.noc.store.write(move |db| {
        let console = authorise(db, console)?;
        Ok::<_, ApiError>(results::report(db, clock::now(), &console, &request.items)?)
    });
    app.tell(kept.await?);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    open: bool,
}

/// `GET /v1/console/alerts?open=true`
pub(super) async fn alerts(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Asked(asked): Asked<Which>,
) -> Result<Json<Vec<Alert>>, ApiError> {
    let read = app.noc.store.read(move |db| {
        authorise(db, console)?;
        Ok::<_, ApiError>(alerts::of_console(db, clock::now(), console, asked.open, MAX_ALERTS)?)
    });
    read.await.map(Json)
}

/// `POST /v1/console/alerts/{alert}/acknowledgement`
pub(super) async fn acknowledge(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Path(id): Path<String>,
    Body(said, _): Body<Acknowledge, SMALL>,
) -> Result<Json<Alert>, ApiError> {
    let note = checked_note(said.note)?;
    handle(app, console, id, move |db, alert, someone| {
        // Somebody may have been faster: what they said stays.
        if alert.handling.acknowledged.is_none() {
            alert_events::acknowledge(db, clock::now(), alert.id, someone, &note)?;
        }
        Ok(())
    })
    .await
}

/// `POST /v1/console/alerts/{alert}/silence`
pub(super) async fn silence(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Path(id): Path<String>,
    Body(said, _): Body<SilenceAlert, SMALL>,
) -> Result<Json<Alert>, ApiError> {
    let note = checked_note(said.note)?;
    handle(app, console, id, move |db, alert, someone| {
        let now = clock::now();
        let until = now + checked_silence(u64::from(said.seconds), alert.closed)?;
        // Whoever silenced it for longer had a reason.
        if alert.handling.silenced_until.is_none_or(|earlier| earlier < until) {
            alert_events::silence(db, now, alert.id, someone, until, &note)?;
        }
        Ok(())
    })
    .await
}

/// Does something about an alert of one of a console's sites; the alert as it is then.
async fn handle(
    app: App,
    console: ConsoleId,
    id: String,
    work: impl FnOnce(&Connection, &Alert, &Someone) -> Result<(), ApiError> + Send + 'static,
) -> Result<Json<Alert>, ApiError> {
    let id: u32 = id.parse().map_err(|_| Fault::NotFound)?;
    let handled = app.noc.store.write(move |db| {
        authorise(db, console)?;
        let find = || Ok::<_, ApiError>(alerts::of_console_by_id(db, console, u64::from(id))?.ok_or(Fault::NotFound)?);
        let who = format!("console {}", consoles::name(db, console)?);
        work(db, &find()?, &Someone { by: By::console(console), who })?;
        find()
    });
    handled.await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    pub(super) after: u64,
}

/// `GET /v1/console/changes?after=N`
pub(super) async fn changes(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Asked(asked): Asked<After>,
) -> Result<Json<Changes>, ApiError> {
    let deadline = tokio::time::Instant::now() + POLL;
    let mut changed = app.noc.store.changed();
    loop {
        changed.mark_unchanged();
        let found = app.noc.store.read(move |db| {
            authorise(db, console)?;
            changes_after(db, console, asked.after)
        });
        let found = found.await?;
        let is_news = found.reset || found.applets > asked.after;
        if is_news || !found.appliances.is_empty() || !found.alerts.is_empty() {
            return Ok(Json(found));
        }
        tokio::select! {
            () = app.stop.cancelled() => return Ok(Json(found)),
            () = tokio::time::sleep_until(deadline) => return Ok(Json(found)),
            more = changed.changed() => {
                if more.is_err() {
                    return Ok(Json(found));
                }
                tokio::time::sleep(GATHER).await;
            }
        }
    }
}

/// What changed after a revision. Rows carry their last revision, so nobody is ever too far behind; only a console that
/// is new, or that knows a state that this database never had (it was restored), starts anew.
fn changes_after(db: &Connection, console: ConsoleId, after: u64) -> Result<Changes, ApiError> {
    let revision = store::revision(db)?;
    if after < store::restored::first_revision(db)?.max(1) || after > revision {
        return Ok(Changes {
            revision,
            reset: true,
            applets: store::applets::number(db, console)?,
            ..Changes::default()
        });
    }
    let appliances = appliances::of_console(db, console, after, MAX_CHANGES)?;
    let alerts = alerts::changed(db, console, after, MAX_CHANGES)?;
    // A full page ends at its last row; what lies beyond comes with the next.
    let end_of = |len: usize, last: Option<u64>| if len == MAX_CHANGES { last } else { None };
    let ends = [
        end_of(appliances.len(), appliances.last().map(|row| row.0)),
        end_of(alerts.len(), alerts.last().map(|row| row.0)),
    ];
    let revision = ends.into_iter().flatten().min().unwrap_or(revision);
    Ok(Changes {
        revision,
        reset: false,
        appliances: appliances.into_iter().filter(|row| row.0 <= revision).map(|row| row.1).collect(),
        alerts: alerts.into_iter().filter(|row| row.0 <= revision).map(|row| row.1).collect(),
        applets: store::applets::number(db, console)?,
    })
}

fn at_most(count: usize) -> Result<(), ApiError> {
    if count <= MAX_BATCH { Ok(()) } else { Err(ApiError::TooMany { what: "appliances", count, limit: MAX_BATCH }) }
}
