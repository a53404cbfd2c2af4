//! The inventory: what a vendor's manifest says of appliances.

use super::{Answer, Form, change, scope, see};
use crate::api::caller::Caller;
use crate::api::request::LARGE;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::audit::By;
use crate::clock;
use crate::inventory::{self, ImportReport};
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store;
use axum::extract::State;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;

const WRITE: Needs = Needs::Scope(Scope::WriteAppliances);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/inventory/import", scope(Scope::WriteAppliances), import)
            .says(
                "appliances",
                "Take in a vendor's manifest as CSV: every line, or none. For operators of the whole organisation",
            )
            .takes::<Manifest>()
            .shows::<ImportReport>()
            .faults(&[404]),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "organisation": 1,
    "csv": "serial,mac,uid,claim,model\nMG-2041-0001,00:25:90:37:79:B1,FHFQ-G6N3-E2FY-ODLD-2ZT5-XLQY-3YEG-EUP2,WN2N-WWW6-ZHQH-ZRRD-KLX2,Mail gateway MG-20\n",
}))]
struct Manifest {
    /// Whose appliances they are.
    organisation: OrganisationId,
    /// The file: columns `serial`, `mac`, `uid`, `claim`, and `model` and `voucher` if there are any. At most 8 MiB with all that
    /// is around it: some 60,000 appliances.
    csv: String,
}

/// `POST /v1/inventory/import`
async fn import(State(app): State<App>, caller: Caller, form: Form<Manifest, LARGE>) -> Result<Answer, ApiError> {
    let Manifest { organisation, csv } = form.value;
    // Looked at before the file is read, which takes long, and again when it is kept.
    let may = move |db: &Connection, access: &Access| {
        access.need_whole(Role::Operator, organisation)?;
        store::organisations::find(db, organisation)?.ok_or(Fault::NotFound)?;
        Ok(())
    };
    see(&app, caller.clone(), WRITE, may).await?;
    let rows = tokio::task::spawn_blocking(move || inventory::parse(&csv)).await.map_err(|_| ApiError::Internal)??;
    let root = app.noc.signer.root();
    let taken = change(&app, caller, WRITE, move |db, access| {
        may(db, access)?;
        Ok(store::inventory::import(db, clock::now(), &By::operator(access), &root, organisation, &rows)?)
    });
    Answer::of(&taken.await?)
}
