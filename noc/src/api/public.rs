//! For anybody: the CA, and the two ways to become known.

use super::request::{Json as Body, SMALL};
use super::{ApiError, App};
use crate::clock;
use crate::invite::hash_token;
use crate::store::{appliances, consoles};
use crate::tls::{Csr, Identity};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use muster_protocol::api::{ApplianceEnrolled, ConsoleEnrolled, EnrolAppliance, EnrolConsole};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{Purpose, Unverified, verify as verify_signature};
use muster_protocol::grant::{ConsoleProof, Credential, EnrolmentProof};
use muster_protocol::id::{Seq, Uid};
use muster_protocol::text::misleads;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::{from_cbor, to_cbor};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

/// Seconds for which a console's credential is good; it is renewed by enrolling again.
const CREDENTIAL_S: u64 = 730 * 86_400;
/// The most sites a credential names.
const MAX_SITES: usize = 16;

/// `GET /v1/ca`
pub(super) async fn ca(State(app): State<App>) -> Response {
    let pem = app.noc.authority.pem().to_owned();
    ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], pem).into_response()
}

/// `POST /v1/consoles/enrol`
pub(super) async fn enrol_console(
    State(app): State<App>,
    Body(request, _room): Body<EnrolConsole, SMALL>,
) -> Result<Json<ConsoleEnrolled>, ApiError> {
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(misleads) {
        return Err(ApiError::BadName);
    }
    let key = PublicKey::from_base64(&request.public_key)
        .ok_or_else(|| ApiError::BadKey { what: "the console's public key".to_owned() })?;
    // Checked before the invite is used up.
    let csr = Csr::parse(&request.csr)?;
    let proof = BASE64.decode(request.proof.as_bytes()).map_err(|_| ApiError::BadConsoleProof)?;
    let expected = to_cbor(&ConsoleProof::new(key, &request.token, &request.csr));
    match verify_signature(&key, Purpose::ConsoleEnrolment, &proof) {
        Ok(proven) if proven == expected => {}
        _ => return Err(ApiError::BadConsoleProof),
    }
    let enrolment = consoles::Enrolment {
        token_hash: hash_token(&request.token),
        name,
        key,
        csr_hash: Sha256::digest(&request.csr).into(),
    };
    let now = clock::now();
    let (console, mut sites) = app.noc.store.write(move |db| consoles::enrol(db, now, &enrolment)).await?;
    sites.truncate(MAX_SITES);
    let noc = app.noc.clone();
    let signed = tokio::task::spawn_blocking(move || {
        let credential = Credential {
            console,
            key,
            sites: sites.iter().map(|site| site.id).collect(),
            expires: UnixTime(now + CREDENTIAL_S),
        };
        Ok(ConsoleEnrolled {
            console,
            credential: BASE64.encode(&noc.signer.credential(&credential)),
            root: noc.signer.root().to_base64(),
            certificate: noc.authority.issue(&csr, Identity::Console(console))?,
            sites,
        })
    });
    signed.await.unwrap_or(Err(ApiError::Internal)).map(Json)
}

/// `POST /v1/appliances/enrol`
pub(super) async fn enrol_appliance(
    State(app): State<App>,
    Body(request, _room): Body<EnrolAppliance, SMALL>,
) -> Result<Json<ApplianceEnrolled>, ApiError> {
    let noc = app.noc.clone();
    // Three signatures are checked or made: all on a thread that may wait, with the one look into the database.
    let issued = app.noc.store.read(move |db| {
        let csr = Csr::parse(&request.csr)?;
        let proof = verify(&request)?;
        let uid = Uid::of(&proof.device_key);
        may_enrol(db, &uid, proof.seq)?;
        Ok::<_, ApiError>(noc.authority.issue(&csr, Identity::Appliance(uid))?)
    });
    Ok(Json(ApplianceEnrolled { certificate: issued.await?, time: clock::now() }))
}

/// An appliance enrols under a grant that was signed for it.
fn may_enrol(db: &Connection, uid: &Uid, seq: Seq) -> Result<(), ApiError> {
    let appliance = appliances::find(db, uid)?.ok_or(ApiError::ApplianceUnknown)?;
    if appliance.is_retired() {
        return Err(ApiError::ApplianceRetired);
    }
    if i64::try_from(seq.0).is_err() {
        return Err(ApiError::NotGranted { seq: seq.0 });
    }
    let sql = "SELECT 1 FROM grants WHERE appliance = ?1 AND seq = ?2";
    let granted = db.prepare_cached(sql)?.query_row(params![appliance.id, seq.0], |_| Ok(()));
    granted.optional()?.ok_or(ApiError::NotGranted { seq: seq.0 })
}

/// The proof, once it is known to be signed by the device key it names, for this very CSR.
fn verify(request: &EnrolAppliance) -> Result<EnrolmentProof, ApiError> {
    let bytes = BASE64.decode(request.proof.as_bytes()).map_err(|_| ApiError::BadProof)?;
    let signed = Unverified::parse(&bytes).map_err(|_| ApiError::BadProof)?;
    let named: EnrolmentProof = from_cbor(signed.untrusted_payload()).map_err(|_| ApiError::BadProof)?;
    let payload = signed.verify(&named.device_key, Purpose::Enrolment).map_err(|_| ApiError::BadProof)?;
    let proof: EnrolmentProof = from_cbor(&payload).map_err(|_| ApiError::BadProof)?;
    let hash: [u8; 32] = Sha256::digest(&request.csr).into();
    if proof.csr_hash == hash { Ok(proof) } else { Err(ApiError::ProofOfOther) }
}
