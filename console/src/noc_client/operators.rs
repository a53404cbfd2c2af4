//! The operators' interface of a NOC, with a token: what a vendor's machine uses, which is no console.

use super::{NocError, answer, builder};
use crate::problem::Explain;
use data_encoding::BASE64;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A NOC, as an operator's program sees it.
pub(crate) struct Operators {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// Why the NOC did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorError {
    /// What was given with the command cannot be used.
    #[error("the CA's certificate or the NOC's address cannot be used")]
    Unusable,
    /// As for consoles.
    #[error(transparent)]
    Noc(#[from] NocError),
}

impl Explain for OperatorError {
    fn code(&self) -> String {
        match self {
            OperatorError::Unusable => "noc_unusable".to_owned(),
            OperatorError::Noc(error) => error.code(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            OperatorError::Unusable => "Give HOST:PORT and the file of the CA's certificate in PEM.".to_owned(),
            OperatorError::Noc(error) => error.remedy(),
        }
    }
}

impl Operators {
    /// A NOC at `host:port` with its CA (PEM).
    pub(crate) fn new(noc: &str, ca: &str, token: &str) -> Result<Operators, OperatorError> {
        let client = builder(ca).and_then(reqwest::ClientBuilder::build);
        let http = client.map_err(|_| OperatorError::Unusable)?;
        let is_host = !noc.is_empty() && !noc.contains(['/', '@', ' ']);
        if !is_host || !ca.contains("-----BEGIN CERTIFICATE-----") {
            return Err(OperatorError::Unusable);
        }
        Ok(Operators { http, base: format!("https://{noc}"), token: token.to_owned() })
    }

    /// Puts a signed bundle on a channel.
    pub(crate) async fn publish_applet(
        &self,
        organisation: u64,
        channel: &str,
        bundle: &[u8],
    ) -> Result<(), OperatorError> {
        let url = format!("{}/v1/organisations/{organisation}/applets", self.base);
        let body = serde_json::json!({ "bundle": BASE64.encode(bundle), "channel": channel });
        let request = self.http.post(&url).bearer_auth(&self.token).timeout(PATIENCE).json(&body);
        Ok(answer(&url, request).await.map(drop)?)
    }
}
