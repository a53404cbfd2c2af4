//! Files of the component repository, from a byte on.

use super::http::{Client, ExchangeError, Got, read};
use super::{MAX_ANSWER, NocError, accept, failed};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::CONTENT_RANGE;
use hyper::{Response, StatusCode};
use muster_protocol::api::ComponentPlan;
use std::time::Duration;
use tokio::time::timeout;

/// Longest plan: its components, and a statement.
const MAX_PLAN: usize = 64 * 1024;
/// A connection that brings nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// A connection to the NOC's component server.
pub struct Downloads {
    client: Client,
    noc: String,
}

impl Downloads {
    pub(super) fn new(client: Client, noc: String) -> Downloads {
        Downloads { client, noc }
    }

    /// What this appliance shall have.
    pub async fn plan(&self) -> Result<ComponentPlan, NocError> {
        let Got { answer, sender } = self.get("/v1/appliances/components", 0).await?;
        let answer = timeout(SILENCE, read(answer, MAX_PLAN)).await;
        let answer = answer.unwrap_or(Err(ExchangeError::Late)).map_err(failed(&self.noc))?;
        self.client.give_back(&self.noc, sender).await;
        let bytes = accept(answer)?;
        serde_json::from_slice(&bytes).map_err(|_| NocError::Answer { noc: self.noc.clone() })
    }

    /// A file below `/v1/appliances/components/`; none if the NOC has no such file.
    pub async fn open(&self, path: &str, from: u64) -> Result<Option<Reading>, NocError> {
        let Got { answer, sender } = self.get(&format!("/v1/appliances/components/{path}"), from).await?;
        let skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(&answer) == Some(from) => 0,
            StatusCode::PARTIAL_CONTENT => return Err(NocError::Answer { noc: self.noc.clone() }),
            // It knows no ranges, or the file was another one.
            StatusCode::OK => from,
            status => {
                let answer = timeout(SILENCE, read(answer, MAX_ANSWER)).await;
                let answer = answer.unwrap_or(Err(ExchangeError::Late)).map_err(failed(&self.noc))?;
                self.client.give_back(&self.noc, sender).await;
                return if status == StatusCode::NOT_FOUND { Ok(None) } else { accept(answer).map(|_| None) };
            }
        };
        Ok(Some(Reading { noc: self.noc.clone(), body: answer.into_body(), sender, skip }))
    }

    /// After a file that was read to its end: the connection serves for the next one.
    pub async fn finish(&self, reading: Reading) {
        self.client.give_back(&self.noc, reading.sender).await;
    }

    async fn get(&self, path: &str, from: u64) -> Result<Got, NocError> {
        self.client.get(&self.noc, path, from).await.map_err(failed(&self.noc))
    }
}

/// The first byte of a part.
fn begins_at(answer: &Response<Incoming>) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// A file that is being read.
pub struct Reading {
    noc: String,
    body: Incoming,
    sender: SendRequest<Full<Bytes>>,
    skip: u64,
}

impl Reading {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NocError> {
        loop {
            let frame = timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| ExchangeError::Late).map_err(failed(&self.noc))?;
            let Some(frame) = frame.transpose().map_err(ExchangeError::Broken).map_err(failed(&self.noc))? else {
                return Ok(None);
            };
            let Ok(mut bytes) = frame.into_data() else { continue };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            let bytes = bytes.split_off(skipped);
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }
}
