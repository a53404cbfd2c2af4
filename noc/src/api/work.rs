//! What the NOC gives to appliances, as it goes over the wire; and the logs it asked for.

use super::request::{AsAppliance, Json as Body, SMALL};
use super::{ApiError, App};
use crate::clock;
use crate::signer::Signer;
use crate::store::work::Due;
use crate::store::{handover, logs};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use data_encoding::BASE64;
use muster_protocol::api::{Farewell, FarewellTaken, GivenGrant, GivenHandover, LogBundle, LogTaken, MAX_LOG, Work};
use muster_protocol::handover::Handover;
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::Instruction;
use muster_protocol::time::UnixTime;

/// Seconds for which a hand-over is good. It is signed anew with every answer.
const HANDOVER_S: u64 = 7 * 86_400;
/// Largest body with a log: its text may double in JSON.
const LOG: usize = 2 * MAX_LOG + 1024;

/// Instruction and hand-over are signed for the grant under which the appliance beats, so that they are worth nothing after a factory reset.
pub(super) fn sign(signer: &Signer, uid: Uid, seq: Seq, due: Due) -> Work {
    let grant = due.grant.map(|(seq, signed)| GivenGrant { grant: BASE64.encode(&signed), seq });
    let instruction = due.instruction.map(|due| Instruction {
        uid,
        seq,
        serial: due.serial,
        act: due.act,
        issued: UnixTime(due.issued),
        expires: UnixTime(due.expires),
    });
    let instruction = instruction.map(|instruction| BASE64.encode(&signer.instruction(&instruction)));
    let handover = due.handover.map(|(serial, to)| {
        let issued = clock::now();
        let expires = UnixTime(issued + HANDOVER_S);
        let handover = Handover { uid, seq, serial, to, issued: UnixTime(issued), expires };
        GivenHandover { handover: BASE64.encode(&signer.handover(&handover)), serial }
    });
    let components = due.components.map(|revision| revision.as_ref().to_owned());
    Work { grant, instruction, handover, components }
}

/// `POST /v1/appliances/logs`
pub(super) async fn logs(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
    request: Request,
) -> Result<Json<LogTaken>, ApiError> {
    // Before the body is read: nobody is to fill the memory with logs that were not asked for.
    app.noc.store.read(move |db| logs::wanted(db, clock::now(), &uid, None)).await?;
    let Body(bundle, _room) = Body::<LogBundle, LOG>::from_request(request, &app).await?;
    if bundle.text.len() > MAX_LOG {
        return Err(ApiError::TooLarge { limit: MAX_LOG });
    }
    let time = clock::now();
    app.noc.store.write(move |db| logs::keep(db, time, &uid, bundle.serial, &bundle.text)).await?;
    tracing::info!(%uid, "an appliance has sent its log");
    Ok(Json(LogTaken { time }))
}

/// `POST /v1/appliances/farewells`
pub(super) async fn farewells(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
    Body(Farewell { serial }, _room): Body<Farewell, SMALL>,
) -> Result<Json<FarewellTaken>, ApiError> {
    let (time, me) = (clock::now(), app.noc.as_successor());
    let notice = app.noc.store.write(move |db| handover::farewell(db, time, &uid, serial, &me)).await?;
    app.tell(notice.into_iter().collect());
    tracing::info!(%uid, "an appliance has left for where it was handed over to");
    Ok(Json(FarewellTaken { time }))
}
