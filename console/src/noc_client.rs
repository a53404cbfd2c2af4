//! The console's side of the NOC's HTTPS interface: mutual TLS 1.3, and no trust in anything but the pinned CA.

mod enrol;
mod invite;
pub(crate) mod operators;

pub use enrol::{JoinError, join};
pub use invite::{Invite, InviteError};

use crate::identity::Identity;
use crate::problem::Explain;
use data_encoding::{BASE64, HEXLOWER};
use muster_protocol::api;
use muster_protocol::crypto::keys::{OpenKey, PublicKey};
use muster_protocol::crypto::seal::Sealed;
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use muster_protocol::queue::{MessageNumber, MessageReports, Messages};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Longer than the NOC holds a long poll (25 s).
const LONG_POLL: Duration = Duration::from_secs(40);
const ORDINARY: Duration = Duration::from_secs(20);
/// No answer of the NOC is longer, not even 10,000 appliances.
const MAX_ANSWER: usize = 32 << 20;

/// A connection to the NOC that this console has joined.
#[derive(Clone, Debug)]
pub struct NocClient {
    http: reqwest::Client,
    base: String,
    root: PublicKey,
    console: ConsoleId,
    applets: Arc<OpenKey>,
}

/// Why the NOC did not do it.
#[derive(Debug, thiserror::Error)]
pub enum NocError {
    /// No answer: the network, the address or the NOC itself.
    #[error("the NOC at {url} cannot be reached")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the network says.
        source: reqwest::Error,
    },
    /// The NOC answered with an error.
    #[error("{}", .0.title)]
    Refused(api::Problem),
    /// The answer makes no sense: another program, or another version.
    #[error("the answer of {url} is not understood: {what}")]
    Answer {
        /// Its address.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// This console's certificate or key cannot be used.
    #[error("this console's certificate cannot be used")]
    Certificate {
        /// What TLS says.
        source: reqwest::Error,
    },
}

impl NocError {
    /// True when the same request may succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            NocError::Unreachable { .. } => true,
            NocError::Refused(problem) => problem.status >= 500 || problem.status == 429,
            NocError::Answer { .. } | NocError::Certificate { .. } => false,
        }
    }
}

impl Explain for NocError {
    fn code(&self) -> String {
        match self {
            NocError::Unreachable { .. } => "noc_unreachable".to_owned(),
            NocError::Refused(problem) => problem.code.clone(),
            NocError::Answer { .. } => "noc_answer".to_owned(),
            NocError::Certificate { .. } => "console_certificate".to_owned(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            NocError::Unreachable { .. } => {
                "Check that the NOC is running and that this computer reaches its address; Muster keeps trying. If the NOC has moved for good, join it again with a new invite.".into()
            }
            NocError::Refused(problem) if !problem.detail.is_empty() => problem.detail.clone(),
            NocError::Refused(_) => "Try again; if it stays, ask whoever runs the NOC.".into(),
            NocError::Answer { .. } => "Check that the address is a Muster NOC of the same version.".into(),
            NocError::Certificate { .. } => "Join the NOC again with a new invite.".into(),
        }
    }
}

impl NocClient {
    /// A client that shows `identity`'s certificate. Connects when first used.
    pub fn new(identity: &Identity) -> Result<NocClient, NocError> {
        let certificate = |source| NocError::Certificate { source };
        let mut pem = identity.certificate.clone();
        pem.push('\n');
        pem.push_str(&identity.secrets.tls_key);
        let client = builder(&identity.ca)
            .map_err(certificate)?
            .identity(reqwest::Identity::from_pem(pem.as_bytes()).map_err(certificate)?)
            .build()
            .map_err(certificate)?;
        let base = format!("https://{}", identity.noc);
        let applets = Arc::new(OpenKey::for_applets(&identity.key()));
        Ok(NocClient { http: client, base, root: identity.root, console: identity.console, applets })
    }

    /// `https://host:port`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The NOC's root key.
    pub fn root(&self) -> PublicKey {
        self.root
    }

    /// The number of this console there.
    pub fn console(&self) -> ConsoleId {
        self.console
    }

    /// The key that applets are sealed to.
    pub(crate) fn applet_key(&self) -> &OpenKey {
        &self.applets
    }

    /// Whether another one is the same console at the same NOC.
    pub(crate) fn is_like(&self, other: &NocClient) -> bool {
        (self.root, self.console, &self.base) == (other.root, other.console, &other.base)
    }

    /// The sites this console may configure.
    pub async fn sites(&self) -> Result<Vec<api::Site>, NocError> {
        self.get("/v1/console/sites", ORDINARY).await
    }

    /// The appliances of those sites.
    pub async fn appliances(&self) -> Result<Vec<api::ApplianceRecord>, NocError> {
        self.get("/v1/console/appliances", ORDINARY).await
    }

    /// Alerts, newest first; those that are closed as well unless `open`.
    pub async fn alerts(&self, open: bool) -> Result<Vec<api::Alert>, NocError> {
        self.get(&format!("/v1/console/alerts?open={open}"), ORDINARY).await
    }

    /// Says that an alert was seen; the alert as it is then. What somebody else said before stays.
    pub async fn acknowledge(&self, alert: u64, note: &str) -> Result<api::Alert, NocError> {
        let said = api::Acknowledge { note: note.to_owned() };
        self.post(&format!("/v1/console/alerts/{alert}/acknowledgement"), &said).await
    }

    /// Has nobody be told of an alert for so many seconds; the alert as it is then. A silence that lasts longer stays.
    pub async fn silence(&self, alert: u64, seconds: u32) -> Result<api::Alert, NocError> {
        let said = api::SilenceAlert { seconds, note: String::new() };
        self.post(&format!("/v1/console/alerts/{alert}/silence"), &said).await
    }

    /// Beats of one appliance, oldest first.
    pub async fn beats(&self, uid: &Uid, since: u64) -> Result<Vec<api::BeatRecord>, NocError> {
        self.get(&format!("/v1/console/appliances/{uid}/beats?since={since}"), ORDINARY).await
    }

    /// What appliances would get; their addresses are held for a while.
    pub async fn plan(&self, request: &api::PlanRequest) -> Result<api::Plan, NocError> {
        self.post("/v1/console/plans", request).await
    }

    /// Signed grants.
    pub async fn grants(&self, request: &api::GrantRequest) -> Result<api::Grants, NocError> {
        self.post("/v1/console/grants", request).await
    }

    /// Tells what became of configurations.
    pub async fn report(&self, report: &api::ResultReport) -> Result<(), NocError> {
        self.tell("/v1/console/results", report).await
    }

    /// Messages of the NOC's queue above a number: at once, or when there is one, or none after 25 s.
    pub async fn messages(&self, after: MessageNumber) -> Result<Messages, NocError> {
        self.get(&format!("/v1/console/queue?after={after}"), LONG_POLL).await
    }

    /// Tells what became of messages.
    pub async fn report_messages(&self, reports: &MessageReports) -> Result<(), NocError> {
        self.tell("/v1/console/queue/reports", reports).await
    }

    /// What changed after a revision: at once, or when something does, or an empty answer after 25 s.
    pub async fn changes(&self, after: u64) -> Result<api::Changes, NocError> {
        self.get(&format!("/v1/console/changes?after={after}"), LONG_POLL).await
    }

    /// The NOC's signed word which applets there are at a site.
    pub async fn applets(&self, site: SiteId) -> Result<Vec<u8>, NocError> {
        let path = format!("/v1/console/applets?site={site}");
        let list: api::AppletList = self.get(&path, ORDINARY).await?;
        BASE64.decode(list.releases.as_bytes()).map_err(|_| self.not_base64(&path))
    }

    /// A signed bundle of a site, sealed to this console.
    pub async fn applet_bundle(&self, site: SiteId, hash: &[u8; 32]) -> Result<Sealed, NocError> {
        let path = "/v1/console/applets/bundles";
        let key = BASE64.encode(&self.applets.public().0);
        let asked = api::AskApplet { site, hash: HEXLOWER.encode(hash), key };
        let sealed: api::SealedApplet = self.post(path, &asked).await?;
        let read = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| self.not_base64(path));
        let enc = read(&sealed.enc)?.try_into().map_err(|_| self.not_base64(path))?;
        Ok(Sealed { enc, ciphertext: read(&sealed.ciphertext)? })
    }

    fn not_base64(&self, path: &str) -> NocError {
        NocError::Answer { url: self.at(path), what: "it holds no bytes in base64".to_owned() }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, timeout: Duration) -> Result<T, NocError> {
        let url = self.at(path);
        let body = answer(&url, self.http.get(&url).timeout(timeout)).await?;
        read(&url, &body)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, NocError> {
        let url = self.at(path);
        let body = answer(&url, self.http.post(&url).json(body).timeout(ORDINARY)).await?;
        read(&url, &body)
    }

    async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), NocError> {
        let request = self.http.post(self.at(path)).json(body).timeout(ORDINARY);
        answer(&self.at(path), request).await.map(drop)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// Trusts the CA (PEM) and nothing else.
fn builder(ca: &str) -> reqwest::Result<reqwest::ClientBuilder> {
    let ca = reqwest::Certificate::from_pem(ca.as_bytes())?;
    Ok(plain_builder().tls_certs_only([ca]))
}

fn plain_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_version_min(reqwest::tls::Version::TLS_1_3)
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
}

/// Sends; the body of a good answer.
async fn answer(url: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, NocError> {
    let noc = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let unreachable = |source: reqwest::Error| NocError::Unreachable { url: noc.clone(), source: source.without_url() };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            let what = format!("it is longer than {MAX_ANSWER} bytes");
            return Err(NocError::Answer { url: url.to_owned(), what });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<api::Problem>(&body) {
        Ok(problem) => Err(NocError::Refused(problem)),
        Err(_) => Err(NocError::Answer { url: url.to_owned(), what: format!("HTTP status {status}") }),
    }
}

fn read<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, NocError> {
    serde_json::from_slice(body).map_err(|error| NocError::Answer { url: url.to_owned(), what: error.to_string() })
}
