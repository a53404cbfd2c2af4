//! One POST over HTTP/1.1, to an address that was looked at. Redirections are not followed: they would lead past that.

use super::SendError;
use super::reach::Reach;
use super::send::{clipped, tls};
use data_encoding::BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Until one address takes the connection; then the next is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// What is read of an answer, in bytes.
const ANSWER: usize = 4 << 10;
/// Longest wait that a receiver may ask for, seconds.
const LONGEST_WAIT_S: u64 = 86_400;

/// Who one is, by HTTP Basic.
pub(crate) fn basic(user: &str, password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
}

/// What is posted.
pub(crate) struct Posting {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Posting {
    pub(super) fn json(headers: Vec<(&'static str, String)>, body: String) -> Posting {
        Posting { content_type: "application/json", headers, body: body.into() }
    }
}

/// Posts something; the answer's words when its status is a good one.
pub(crate) async fn post(uri: &Uri, ca: &str, reach: &Reach, posting: Posting) -> Result<String, SendError> {
    let host = uri.host().unwrap_or_default();
    let is_encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
    let stream = connect(host, &reach.resolve(host, port, is_encrypted).await?).await?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or(host);
    let path = uri.path_and_query().map(|path| path.as_str()).filter(|path| !path.is_empty()).unwrap_or("/");
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, posting.content_type)
        .header(header::USER_AGENT, concat!("muster-noc/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    for (name, value) in &posting.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(posting.body));
    let request = request.map_err(|error| SendError::Unwritable { why: error.to_string() })?;
    if !is_encrypted {
        return exchange(stream, request).await;
    }
    let failed = |source| SendError::Tls { host: host.to_owned(), source };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|error| failed(error.into()))?;
    let connector = TlsConnector::from(tls(ca).map_err(|error| failed(error.into()))?);
    let stream = connector.connect(name, stream).await.map_err(|error| failed(error.into()))?;
    exchange(stream, request).await
}

/// Connects to the first address that takes it.
async fn connect(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, SendError> {
    let mut last = None;
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(std::io::ErrorKind::TimedOut.into()),
        }
    }
    let source = last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into());
    Err(SendError::Connect { host: host.to_owned(), source })
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<String, SendError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| SendError::Broken { source: error.into() };
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        read(response).await
    };
    // The connection is driven here, and no longer than the answer is wanted: an endless one ends with it.
    tokio::pin!(exchange);
    tokio::pin!(connection);
    let mut is_driven = true;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            _ = &mut connection, if is_driven => is_driven = false,
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<String, SendError> {
    let status = response.status();
    let retry_after_s = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    // A date, the other form, is seldom; then our own pace counts.
    let retry_after_s = retry_after_s.and_then(|text| text.trim().parse().ok()).map(|s: u64| s.min(LONGEST_WAIT_S));
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while bytes.len() < ANSWER {
        // The status is what counts: an answer that breaks off in its words still is one.
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    let words = clipped(&String::from_utf8_lossy(&bytes));
    if status.is_success() {
        return Ok(format!("{} {words}", status.as_u16()).trim_end().to_owned());
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let answer = if words.is_empty() { reason.to_owned() } else { words };
    Err(SendError::Status { status: status.as_u16(), answer, retry_after_s })
}
