//! Joining a NOC: from an invite to an [`Identity`].

use super::{Invite, InviteError, NocError, answer, builder, plain_builder, read};
use crate::identity::{Identity, Secrets};
use crate::problem::Explain;
use data_encoding::{BASE64, HEXLOWER};
use muster_protocol::api::{ConsoleEnrolled, EnrolConsole};
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::ConsoleProof;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::to_cbor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why this computer did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The invite itself.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The NOC.
    #[error(transparent)]
    Noc(#[from] NocError),
    /// Somebody else answers at the NOC's address.
    #[error("{noc} is not the NOC of the invite: its certificate is another one")]
    Pin {
        /// The address.
        noc: String,
    },
    /// No key could be made.
    #[error("no key could be made")]
    Key {
        /// Why.
        source: rcgen::Error,
    },
}

impl Explain for JoinError {
    fn code(&self) -> String {
        match self {
            JoinError::Invite(error) => error.code(),
            JoinError::Noc(error) => error.code(),
            JoinError::Pin { .. } => "pin_mismatch".into(),
            JoinError::Key { .. } => "key_failed".into(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            JoinError::Invite(error) => error.remedy(),
            JoinError::Noc(error) => error.remedy(),
            JoinError::Pin { .. } => {
                "Ask for a new invite. If it stays, somebody may be in between: join from a network that you trust."
                    .into()
            }
            JoinError::Key { .. } => "Try again; if it stays, restart the computer.".into(),
        }
    }
}

/// Enrols this computer as a console. Nothing is stored here: the caller keeps the identity.
pub async fn join(text: &str, name: &str, seed: [u8; 32], now: UnixTime) -> Result<Identity, JoinError> {
    let invite = Invite::parse(text, now)?;
    let ca = fetch_ca(&invite).await?;
    let key = SecretKey::from_seed(&seed);
    let (tls_key, csr) = tls_request(name).map_err(|source| JoinError::Key { source })?;
    let base = format!("https://{}", invite.noc);
    let unusable = |what: &str| NocError::Answer { url: base.clone(), what: what.to_owned() };
    let client =
        builder(&ca).and_then(|builder| builder.build()).map_err(|_| unusable("its CA certificate is unusable"))?;
    let proof = to_cbor(&ConsoleProof::new(key.public(), &invite.token, &csr));
    let request = EnrolConsole {
        token: invite.token.clone(),
        name: name.to_owned(),
        public_key: key.public().to_base64(),
        csr,
        proof: BASE64.encode(&sign(&key, Purpose::ConsoleEnrolment, proof)),
    };
    let url = format!("{base}/v1/consoles/enrol");
    let body = answer(&url, client.post(&url).json(&request).timeout(super::ORDINARY)).await?;
    let enrolled: ConsoleEnrolled = read(&url, &body)?;
    let credential =
        BASE64.decode(enrolled.credential.as_bytes()).map_err(|_| unusable("its credential is not base64"))?;
    let root = PublicKey::from_base64(&enrolled.root).ok_or_else(|| unusable("its root key is not a key"))?;
    Ok(Identity {
        console: enrolled.console,
        noc: invite.noc,
        ca,
        root,
        credential,
        certificate: enrolled.certificate,
        secrets: Secrets { seed, tls_key },
    })
}

/// Asks anybody for the CA certificate and believes it only when it has the pinned hash.
async fn fetch_ca(invite: &Invite) -> Result<String, JoinError> {
    let url = format!("https://{}/v1/ca", invite.noc);
    let client = plain_builder().tls_danger_accept_invalid_certs(true).build();
    let client = client.map_err(|source| NocError::Unreachable { url: url.clone(), source })?;
    let body = answer(&url, client.get(&url).timeout(super::ORDINARY)).await?;
    let not_pem = || NocError::Answer { url: url.clone(), what: "it is not a certificate".to_owned() };
    let pem = String::from_utf8(body).map_err(|_| not_pem())?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| not_pem())?;
    if HEXLOWER.encode(&sha256(&der)) != invite.pin.to_ascii_lowercase() {
        return Err(JoinError::Pin { noc: invite.noc.clone() });
    }
    Ok(pem)
}

/// A new P-256 key and a request for a certificate for it, both PEM.
fn tls_request(name: &str) -> Result<(String, String), rcgen::Error> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    let request = parameters.serialize_request(&key)?.pem()?;
    Ok((key.serialize_pem(), request))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
