//! One HTTP/1.1 connection to the NOC over TLS, kept open from beat to beat.
//!
//! `hyper` speaks HTTP; a pool, redirects, proxies and URLs, of which an agent needs nothing, would be half of its size.

use super::{CONNECT_TIMEOUT, REQUEST_TIMEOUT};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, RANGE};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The grant's NOC address is none.
    #[error("it is not an address of the form host:port")]
    Address,
    /// Its name leads nowhere.
    #[error("the name could not be resolved")]
    Resolve(#[source] io::Error),
    /// Nobody takes the connection.
    #[error("no connection could be made")]
    Connect(#[source] io::Error),
    /// The other end could not be verified, or broke off.
    #[error("no secure connection could be made")]
    Secure(#[source] io::Error),
    /// The connection broke, or what came over it is not HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// It took too long.
    #[error("there was no answer in time")]
    Late,
    /// The answer is longer than any that the NOC gives.
    #[error("the answer is too long")]
    TooLong,
}

/// Status, `Retry-After` in seconds, and body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after_s: Option<u32>,
    pub(super) body: Vec<u8>,
}

/// A client of one TLS configuration. Clones share their connection.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    tls: Arc<ClientConfig>,
    kept: Mutex<Option<Kept>>,
}

/// An answer whose body is still to be read.
pub(super) struct Got {
    pub(super) answer: Response<Incoming>,
    pub(super) sender: SendRequest<Full<Bytes>>,
}

/// An open connection. It ends when it is dropped.
struct Kept {
    noc: String,
    sender: SendRequest<Full<Bytes>>,
    used: Instant,
}

/// What lies between two hosts forgets a connection that is silent for longer.
const KEEP: Duration = Duration::from_secs(90);

impl Client {
    pub(super) fn new(tls: ClientConfig) -> Client {
        Client(Arc::new(Inner { tls: Arc::new(tls), kept: Mutex::new(None) }))
    }

    /// Posts JSON to `https://{noc}{path}`; reads at most `most` bytes of the answer.
    pub(super) async fn post(
        &self,
        noc: &str,
        path: &str,
        json: Vec<u8>,
        most: usize,
    ) -> Result<Answer, ExchangeError> {
        let exchange = self.exchange(noc, path, Bytes::from(json), most);
        timeout(REQUEST_TIMEOUT, exchange).await.map_err(|_| ExchangeError::Late)?
    }

    /// Begins to read `https://{noc}{path}`, from a byte on. The connection goes with the answer; see [`Client::give_back`].
    pub(super) async fn get(&self, noc: &str, path: &str, from: u64) -> Result<Got, ExchangeError> {
        let kept = self.0.kept.lock().await.take();
        let reused = kept.filter(|kept| kept.noc == noc && kept.used.elapsed() < KEEP);
        let exchange = async {
            if let Some(Kept { mut sender, .. }) = reused
                && sender.ready().await.is_ok()
            {
                match sender.send_request(get_request(noc, path, from)?).await {
                    Ok(answer) => return Ok(Got { answer, sender }),
                    Err(error) if error.is_canceled() => {}
                    Err(error) => return Err(ExchangeError::Broken(error)),
                }
            }
            let mut sender = self.connect(noc).await?;
            let answer = sender.send_request(get_request(noc, path, from)?).await.map_err(ExchangeError::Broken)?;
            Ok(Got { answer, sender })
        };
        timeout(REQUEST_TIMEOUT, exchange).await.map_err(|_| ExchangeError::Late)?
    }

    /// After an answer that was read to its end.
    pub(super) async fn give_back(&self, noc: &str, sender: SendRequest<Full<Bytes>>) {
        *self.0.kept.lock().await = Some(Kept { noc: noc.to_owned(), sender, used: Instant::now() });
    }

    /// Makes a connection, and drops it.
    pub(super) async fn greet(&self, noc: &str) -> Result<(), ExchangeError> {
        timeout(CONNECT_TIMEOUT, self.connect(noc)).await.map_err(|_| ExchangeError::Late)?.map(drop)
    }

    async fn exchange(&self, noc: &str, path: &str, json: Bytes, most: usize) -> Result<Answer, ExchangeError> {
        // Held over the whole exchange, for one answer must be read before the next question.
        let mut kept = self.0.kept.lock().await;
        let reused = kept.take().filter(|kept| kept.noc == noc && kept.used.elapsed() < KEEP);
        let mut answered = None;
        if let Some(Kept { mut sender, .. }) = reused
            && sender.ready().await.is_ok()
        {
            match sender.send_request(request(noc, path, json.clone())?).await {
                Ok(answer) => answered = Some((sender, answer)),
                // The NOC had closed it before any of the request was written.
                Err(error) if error.is_canceled() => {}
                Err(error) => return Err(ExchangeError::Broken(error)),
            }
        }
        let (sender, answer) = match answered {
            Some(answered) => answered,
            None => {
                let connect = self.connect(noc);
                let mut sender = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| ExchangeError::Late)??;
                let answer = sender.send_request(request(noc, path, json)?).await.map_err(ExchangeError::Broken)?;
                (sender, answer)
            }
        };
        let answer = read(answer, most).await?;
        *kept = Some(Kept { noc: noc.to_owned(), sender, used: Instant::now() });
        Ok(answer)
    }

    async fn connect(&self, noc: &str) -> Result<SendRequest<Full<Bytes>>, ExchangeError> {
        let (host, port) = split(noc).ok_or(ExchangeError::Address)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ExchangeError::Address)?;
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(ExchangeError::Resolve)?.take(MOST_ADDRESSES).collect();
        let stream = connect_to(&addresses).await.map_err(ExchangeError::Connect)?;
        let connector = TlsConnector::from(self.0.tls.clone());
        let stream = connector.connect(name, stream).await.map_err(ExchangeError::Secure)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ExchangeError::Broken)?;
        // How it ends is told to whoever waits for an answer.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

const MOST_ADDRESSES: usize = 4;
/// Head of an answer, and what is read at once; bodies may be longer.
const MAX_BUFFER: usize = 16 * 1024;

/// One address after the other, each with its share of the time: a name may have one that leads nowhere.
async fn connect_to(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let share = CONNECT_TIMEOUT / u32::try_from(addresses.len() + 1).unwrap_or(1);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A beat is one small write, and its answer is waited for.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

fn request(noc: &str, path: &str, json: Bytes) -> Result<Request<Full<Bytes>>, ExchangeError> {
    Request::post(path)
        .header(HOST, noc)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::new(json))
        .map_err(|_| ExchangeError::Address)
}

fn get_request(noc: &str, path: &str, from: u64) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let request = Request::get(path).header(HOST, noc);
    let request = if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request };
    request.body(Full::default()).map_err(|_| ExchangeError::Address)
}

/// The whole of an answer.
pub(super) async fn read(answer: Response<Incoming>, most: usize) -> Result<Answer, ExchangeError> {
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after");
    let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(ExchangeError::Broken)?;
        let Some(chunk) = frame.data_ref() else { continue };
        if body.len() + chunk.len() > most {
            return Err(ExchangeError::TooLong);
        }
        body.extend_from_slice(chunk);
    }
    Ok(Answer { status, retry_after_s, body })
}

/// Host and port of `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; HTTPS's port if there is none.
fn split(noc: &str) -> Option<(&str, u16)> {
    const HTTPS: u16 = 443;
    let (host, rest) = match noc.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => noc.split_at(noc.rfind(':').unwrap_or(noc.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if rest.is_empty() => HTTPS,
        None => return None,
    };
    (!host.is_empty() && !host.contains(['/', '@'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nocs_address_is_host_and_port() {
        assert_eq!(split("noc.example:8443"), Some(("noc.example", 8443)));
        assert_eq!(split("192.0.2.1:1"), Some(("192.0.2.1", 1)));
        assert_eq!(split("[2001:db8::1]:8443"), Some(("2001:db8::1", 8443)));
        assert_eq!(split("[2001:db8::1]"), Some(("2001:db8::1", 443)));
        assert_eq!(split("noc.example"), Some(("noc.example", 443)));
        for bad in ["", ":1", "noc:", "noc:99999", "[::1", "[::1]1", "a/b:1", "user@noc:1"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
