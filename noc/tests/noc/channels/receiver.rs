//! A receiver of webhooks on this machine, as Standard Webhooks wants one to be, or as bad as one can be.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use futures_util::stream;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    Status(u16),
    /// 429, to be asked again after so many seconds.
    Later(u64),
    /// Takes the request and says nothing.
    Hanging,
    /// Begins an answer that never ends.
    Endless,
    /// Sends it somewhere else.
    Redirecting,
}

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) headers: HeaderMap,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// What happened to which alerts.
    pub(crate) fn events(&self) -> Vec<(String, u64)> {
        let json = self.json();
        let events = json["data"]["events"].as_array().expect("events");
        let one = |event: &Value| {
            (event["event"].as_str().expect("a word").to_owned(), event["alert"]["id"].as_u64().expect("a number"))
        };
        events.iter().map(one).collect()
    }

    /// Checks the signature by the rules of the standard, not by our code.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64.decode(secret.strip_prefix("whsec_").expect("the prefix").as_bytes()).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.text).as_bytes());
        let expected = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let sent: u64 = self.timestamp.parse().expect("a time");
        now.abs_diff(sent) < 300 && self.signature.split(' ').any(|one| one == expected)
    }
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    manner: Arc<Mutex<Manner>>,
    received: UnboundedReceiver<Received>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = (Arc<Mutex<Manner>>, UnboundedSender<Received>);

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks?key=a", listener.local_addr().expect("an address"));
        let manner = Arc::new(Mutex::new(manner));
        let (tell, received) = unbounded_channel();
        let router = Router::new().fallback(take).with_state((manner.clone(), tell));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Receiver { url, manner, received, server }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("manner") = manner;
    }

    /// The next request, whatever was answered.
    pub(crate) async fn next(&mut self) -> Received {
        let next = tokio::time::timeout(Duration::from_secs(60), self.received.recv()).await;
        next.expect("a request in time").expect("one")
    }

    /// Nothing comes for a while.
    pub(crate) async fn nothing_for(&mut self, seconds: u64) {
        let next = tokio::time::timeout(Duration::from_secs(seconds), self.received.recv()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

async fn take(State((manner, tell)): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default();
    let received = Received {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        text: String::from_utf8_lossy(&body).into_owned(),
        headers: headers.clone(),
    };
    let _ = tell.send(received);
    let manner = *manner.lock().expect("manner");
    match manner {
        Manner::Good => "taken, says the receiver".into_response(),
        Manner::Status(status) => {
            (StatusCode::from_u16(status).expect("a status"), "not\u{1b}[2J now\r\n").into_response()
        }
        Manner::Later(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())], "later").into_response()
        }
        Manner::Hanging => std::future::pending().await,
        Manner::Endless => {
            let more = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1_024])));
            Body::from_stream(more).into_response()
        }
        Manner::Redirecting => (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(),
    }
}
