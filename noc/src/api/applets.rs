//! Applets for consoles (seed, FIGURE 8, blocks 111 and 112).

use super::request::{AsConsole, Asked, Json as Body, SMALL};
use super::{ApiError, App, Fault};
use crate::clock;
use crate::random;
use crate::store::applets;
use crate::store::consoles::authorise;
use axum::Json;
use axum::extract::State;
use data_encoding::{BASE64, HEXLOWER};
use muster_applet::release::{LIFETIME_S, Releases};
use muster_protocol::api::{AppletList, AskApplet, SealedApplet};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::crypto::seal::{Seal, seal};
use muster_protocol::id::SiteId;
use muster_protocol::time::UnixTime;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct AtSite {
    site: Option<u32>,
}

/// `GET /v1/console/applets?site=N`
pub(super) async fn releases(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Asked(asked): Asked<AtSite>,
) -> Result<Json<AppletList>, ApiError> {
    let read = app.noc.store.read(move |db| {
        let known = authorise(db, console)?;
        let missing = || ApiError::Malformed { why: "`site` is missing".to_owned() };
        let site = SiteId(asked.site.ok_or_else(missing)?);
        known.may_use(site)?;
        Ok::<_, ApiError>((site, applets::number(db, console)?, applets::of_console(db, console, site)?))
    });
    let (site, number, applets) = read.await?;
    let now = clock::now();
    let (issued, expires) = (UnixTime(now), UnixTime(now + LIFETIME_S));
    let signed = app.noc.signer.applets(&Releases { console, site, number, issued, expires, applets });
    Ok(Json(AppletList { releases: BASE64.encode(&signed) }))
}

/// `POST /v1/console/applets/bundles`
pub(super) async fn bundle(
    State(app): State<App>,
    AsConsole(console): AsConsole,
    Body(asked, _): Body<AskApplet, SMALL>,
) -> Result<Json<SealedApplet>, ApiError> {
    let site = asked.site;
    let (hash, key, bundle) = app
        .noc
        .store
        .read(move |db| {
            let known = authorise(db, console)?;
            let (hash, key) = read(&asked)?;
            known.may_use(site)?;
            Ok::<_, ApiError>((hash, key, applets::bundle(db, console, site, &hash)?.ok_or(Fault::NotFound)?))
        })
        .await?;
    // A key that is none, as of small order, seals nothing.
    let sealed =
        tokio::task::spawn_blocking(move || seal(&mut random::source(), Seal::Applet, &key, None, &hash, &bundle));
    let sealed = sealed.await.map_err(|_| ApiError::Internal)?;
    let (sealed, _) = sealed.map_err(|_| ApiError::BadKey { what: "the console's key for applets".to_owned() })?;
    Ok(Json(SealedApplet { enc: BASE64.encode(&sealed.enc), ciphertext: BASE64.encode(&sealed.ciphertext) }))
}

/// What is asked for, and the key that it is to be sealed to.
fn read(asked: &AskApplet) -> Result<([u8; 32], SealKey), ApiError> {
    let hash = HEXLOWER.decode(asked.hash.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
    let hash = hash.ok_or_else(|| Fault::invalid("hash", "is not 64 hexadecimal digits"))?;
    let key = BASE64.decode(asked.key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let key = key.ok_or_else(|| ApiError::BadKey { what: "the console's key for applets".to_owned() })?;
    Ok((hash, SealKey(key)))
}
