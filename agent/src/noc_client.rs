//! The agent's side of the NOC's HTTPS interface: enrolment by the device key, then beats by client certificate.
//!
//! The grant named the NOC and the hash of its CA certificate; only servers of that CA are talked to, from the first byte
//! on. The appliance's clock decides nothing: renewal goes by the NOC's time.

mod download;
mod http;
mod tls;

pub use download::{Downloads, Reading};
pub use http::ExchangeError;

use crate::network::chain;
use crate::storage::{Document, Storage, StorageError};
use data_encoding::{BASE64, HEXLOWER};
use http::{Answer, Client};
use muster_protocol::api::{
    ApplianceEnrolled, Beat, BeatAnswer, EnrolAppliance, Farewell, FarewellTaken, LogBundle, LogTaken, Problem,
};
use muster_protocol::appliance::Enrolment;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::EnrolmentProof;
use muster_protocol::id::Uid;
use muster_protocol::text::misleads;
use muster_protocol::wire::to_cbor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tls::{Complaint, Pinned};

const MAX_ANSWER: usize = 64 * 1024;

/// Why a beat did not arrive, or an enrolment failed. Tried again later in every case.
#[derive(Debug, thiserror::Error)]
pub enum NocError {
    /// No connection, or it broke.
    #[error("the NOC at {noc} cannot be reached. Check gateway, DNS and the NOC's address")]
    Unreachable {
        /// `host:port`.
        noc: String,
        /// What went wrong.
        #[source]
        source: ExchangeError,
    },
    /// Somebody else answers at that address.
    #[error(
        "what answers at {noc} is not the NOC that configured this appliance. Check for a wrong address or an interception"
    )]
    WrongNoc {
        /// `host:port`.
        noc: String,
    },
    /// The NOC's certificate is not good for this address.
    #[error(
        "the NOC's certificate is not valid for {noc}. Name that address in the NOC's configuration, and check its clock"
    )]
    Certificate {
        /// `host:port`.
        noc: String,
        /// What is wrong with it.
        #[source]
        source: ExchangeError,
    },
    /// The NOC said no.
    #[error("the NOC refused: {code} ({status}): {title}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its stable word.
        code: String,
        /// What it said.
        title: String,
        /// When it wants to be asked again.
        retry_after_s: Option<u32>,
    },
    /// The NOC does not take our client certificate.
    #[error("the NOC at {noc} does not take this appliance's certificate. The appliance enrols again")]
    CertificateRefused {
        /// `host:port`.
        noc: String,
    },
    /// The NOC's answer makes no sense.
    #[error(
        "the NOC at {noc} answered something that this version does not understand. Check that both are of fitting versions"
    )]
    Answer {
        /// `host:port`.
        noc: String,
    },
    /// The certificate could not be stored.
    #[error("the client certificate could not be stored")]
    Storage(#[from] StorageError),
    /// Making a TLS key or request failed.
    #[error("no TLS key or certificate request could be made: {what}")]
    Tls {
        /// What the library said.
        what: String,
    },
}

impl NocError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            NocError::Unreachable { .. } => "noc_unreachable",
            NocError::WrongNoc { .. } => "wrong_noc",
            NocError::Certificate { .. } => "noc_certificate",
            NocError::Refused { .. } => "noc_refused",
            NocError::CertificateRefused { .. } => "certificate_refused",
            NocError::Answer { .. } => "noc_answer",
            NocError::Storage(error) => error.code(),
            NocError::Tls { .. } => "tls",
        }
    }

    /// When the NOC wants to be asked again.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            NocError::Refused { retry_after_s, .. } => *retry_after_s,
            _ => None,
        }
    }

    /// Whether the NOC does not take what was sent, whoever sends it.
    pub(crate) fn is_about_the_request(&self) -> bool {
        matches!(self, NocError::Refused { status: 400 | 413 | 422, .. })
    }

    /// Whether the NOC says that this appliance is none of its own any more.
    pub(crate) fn knows_no_appliance(&self) -> bool {
        let NocError::Refused { code, .. } = self else { return false };
        matches!(code.as_str(), "appliance_retired" | "appliance_unknown" | "not_granted")
    }

    /// Whether another certificate is needed.
    fn asks_for_certificate(&self) -> bool {
        match self {
            NocError::CertificateRefused { .. } => true,
            NocError::Refused { status, .. } => *status == UNAUTHORIZED,
            _ => false,
        }
    }

    /// The error and its causes, in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// A client of one NOC.
pub struct NocClient<S> {
    storage: S,
    device: SecretKey,
    uid: Uid,
    credentials: Option<Credentials>,
    /// Whether certificates are stored.
    keeps: bool,
    /// Shared by the connections to one NOC, so that its CA is read once.
    trust: Option<Arc<Pinned>>,
    client: Option<Client>,
}

/// What an enrolment gave. Holds the TLS key.
#[derive(Clone, Serialize, Deserialize)]
struct Credentials {
    noc: String,
    pin: String,
    key: String,
    certificate: String,
    /// NOC time, Unix seconds.
    renew_at: u64,
}

impl Credentials {
    fn fit(&self, enrolment: &Enrolment) -> bool {
        self.noc == enrolment.noc && self.pin == HEXLOWER.encode(&enrolment.ca_pin)
    }
}

impl<S: Storage> NocClient<S> {
    /// With the certificate of an earlier run, if there is one.
    pub fn new(storage: S, device: SecretKey) -> NocClient<S> {
        // A damaged one is replaced by enrolling again.
        let stored = storage.load(Document::Noc).ok().flatten();
        let credentials = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let uid = Uid::of(&device.public());
        NocClient { uid, storage, device, credentials, keeps: true, trust: None, client: None }
    }

    /// A client of the same appliance for another NOC. Nothing of it is stored.
    pub fn passing(&self) -> NocClient<S>
    where
        S: Clone,
    {
        let (uid, storage, device) = (self.uid, self.storage.clone(), self.device.clone());
        NocClient { uid, storage, device, credentials: None, keeps: false, trust: None, client: None }
    }

    /// Drops connections: the network has changed under them.
    pub fn disconnect(&mut self) {
        self.client = None;
    }

    /// Drops connections, certificate and TLS key, for good.
    pub fn forget(&mut self) -> Result<(), StorageError> {
        (self.client, self.credentials, self.trust) = (None, None, None);
        self.storage.remove(Document::Noc)
    }

    /// A connection of its own, for files: they take longer than the next beat.
    pub fn downloads(&mut self, enrolment: &Enrolment) -> Result<Downloads, NocError> {
        let trust = self.trust(enrolment);
        let credentials = self.credentials.as_ref().filter(|credentials| credentials.fit(enrolment));
        let credentials = credentials.ok_or_else(|| NocError::Tls { what: "not enrolled".into() })?;
        let client = tls::with_certificate(&trust, &credentials.certificate, &credentials.key)?;
        Ok(Downloads::new(client, enrolment.noc.clone()))
    }

    /// Sends the log that the NOC has asked for with the answer to a beat.
    pub async fn send_log(&mut self, enrolment: &Enrolment, bundle: &LogBundle) -> Result<LogTaken, NocError> {
        let client = self.client(enrolment)?;
        post(&client, &enrolment.noc, "/v1/appliances/logs", bundle).await
    }

    /// Tells a NOC that this appliance has left it for another one.
    pub async fn farewell(&mut self, enrolment: &Enrolment, farewell: &Farewell) -> Result<FarewellTaken, NocError> {
        self.enrol(enrolment).await?;
        let client = self.client(enrolment)?;
        post(&client, &enrolment.noc, "/v1/appliances/farewells", farewell).await
    }

    /// Sends a beat; enrols before if needed, and renews the certificate when two thirds of its life have passed.
    pub async fn beat(&mut self, enrolment: &Enrolment, beat: &Beat) -> Result<BeatAnswer, NocError> {
        let had_certificate = self.credentials.as_ref().is_some_and(|credentials| credentials.fit(enrolment));
        if !had_certificate {
            self.enrol(enrolment).await?;
        }
        let mut answer = self.post_beat(enrolment, beat).await;
        if had_certificate && answer.as_ref().is_err_and(NocError::asks_for_certificate) {
            tracing::info!("the NOC does not take the client certificate: enrolling again");
            self.enrol(enrolment).await?;
            answer = self.post_beat(enrolment, beat).await;
        }
        let answer = answer?;
        if self.credentials.as_ref().is_some_and(|credentials| credentials.renew_at <= answer.time)
            && let Err(error) = self.enrol(enrolment).await
        {
            tracing::warn!(
                code = error.code(),
                "the client certificate could not be renewed; trying again at the next beat"
            );
            tracing::debug!(error = %error.chain(), "why");
        }
        Ok(answer)
    }

    fn trust(&mut self, enrolment: &Enrolment) -> Arc<Pinned> {
        match &self.trust {
            Some(trust) if trust.is_of(&enrolment.ca_pin) => trust.clone(),
            _ => self.trust.insert(Pinned::new(enrolment.ca_pin)).clone(),
        }
    }

    async fn post_beat(&mut self, enrolment: &Enrolment, beat: &Beat) -> Result<BeatAnswer, NocError> {
        let client = self.client(enrolment)?;
        post(&client, &enrolment.noc, "/v1/appliances/beats", beat).await
    }

    fn client(&mut self, enrolment: &Enrolment) -> Result<Client, NocError> {
        let trust = self.trust(enrolment);
        let client = match (&self.client, &self.credentials) {
            (Some(client), _) => client.clone(),
            (None, Some(credentials)) => tls::with_certificate(&trust, &credentials.certificate, &credentials.key)?,
            (None, None) => return Err(NocError::Tls { what: "not enrolled".into() }),
        };
        self.client = Some(client.clone());
        Ok(client)
    }

    async fn enrol(&mut self, enrolment: &Enrolment) -> Result<(), NocError> {
        let request = tls::Request::new(&self.uid)?;
        let proof = EnrolmentProof {
            device_key: self.device.public(),
            seq: enrolment.seq,
            csr_hash: Sha256::digest(request.csr.as_bytes()).into(),
        };
        let proof = BASE64.encode(&sign::sign(&self.device, Purpose::Enrolment, to_cbor(&proof)));
        let body = EnrolAppliance { proof, csr: request.csr };
        let client = tls::anonymous(&self.trust(enrolment))?;
        let enrolled: ApplianceEnrolled = post(&client, &enrolment.noc, "/v1/appliances/enrol", &body).await?;
        // Its life begins when it is issued. Its *not before* is 1970, for clocks that were never set.
        let Some(ends) = tls::ends(&enrolled.certificate) else {
            return Err(NocError::Answer { noc: enrolment.noc.clone() });
        };
        let credentials = Credentials {
            noc: enrolment.noc.clone(),
            pin: HEXLOWER.encode(&enrolment.ca_pin),
            key: request.key,
            certificate: enrolled.certificate,
            renew_at: enrolled.time + ends.saturating_sub(enrolled.time) / 3 * 2,
        };
        if self.keeps {
            self.storage.save(Document::Noc, &serde_json::to_vec(&credentials).unwrap_or_default())?;
        }
        tracing::info!(noc = enrolment.noc, "enrolled with the NOC");
        self.credentials = Some(credentials);
        self.client = None;
        Ok(())
    }
}

/// Whether the NOC of an enrolment answers, and is the right one.
pub async fn reach(enrolment: &Enrolment) -> Result<(), NocError> {
    tls::anonymous(&Pinned::new(enrolment.ca_pin))?.greet(&enrolment.noc).await.map_err(failed(&enrolment.noc))
}

async fn post<T: DeserializeOwned>(
    client: &Client,
    noc: &str,
    path: &str,
    body: &impl Serialize,
) -> Result<T, NocError> {
    let json = serde_json::to_vec(body).unwrap_or_default();
    let answer = client.post(noc, path, json, MAX_ANSWER).await.map_err(failed(noc))?;
    let bytes = accept(answer)?;
    serde_json::from_slice(&bytes).map_err(|_| NocError::Answer { noc: noc.to_owned() })
}

/// The body of a good answer; the problem of any other.
fn accept(answer: Answer) -> Result<Vec<u8>, NocError> {
    let Answer { status, retry_after_s, body } = answer;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let (code, title) = problem
        .map_or_else(|| ("http".to_owned(), "no reason given".to_owned()), |problem| (problem.code, problem.title));
    let printable = |text: String| text.chars().filter(|c| !misleads(*c)).take(200).collect();
    Err(NocError::Refused { status, code: printable(code), title: printable(title), retry_after_s })
}

fn failed(noc: &str) -> impl Fn(ExchangeError) -> NocError {
    move |source| {
        let noc = noc.to_owned();
        match tls::complaint(&source) {
            Some(Complaint::NotPinned) => NocError::WrongNoc { noc },
            Some(Complaint::NotValid) => NocError::Certificate { noc, source },
            Some(Complaint::OurCertificate) => NocError::CertificateRefused { noc },
            None if matches!(source, ExchangeError::TooLong) => NocError::Answer { noc },
            None => NocError::Unreachable { noc, source },
        }
    }
}

const UNAUTHORIZED: u16 = 401;
/// The time an enrolment or a beat may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The time a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);
