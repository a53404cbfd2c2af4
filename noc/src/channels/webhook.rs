//! Signed webhooks, as Standard Webhooks has them: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with HMAC-SHA256 over both and
//! the body.

use super::http::{Posting, post};
use super::spec::address;
use super::{Batch, SendError, Sending, Sent, Target, Told};
use crate::clock::{self, rfc3339};
use crate::random::{self, NoEntropy};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use zeroize::Zeroizing;

/// How a secret begins, in the words of the standard.
const PREFIX: &str = "whsec_";

/// A new secret.
pub(super) fn new_secret() -> Result<Zeroizing<String>, NoEntropy> {
    let bytes = Zeroizing::new(random::bytes::<32>()?);
    Ok(Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(&*bytes))))
}

#[derive(Serialize)]
struct Body<'a> {
    /// `muster.alerts`, or `muster.test`.
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    organisation: Named<'a>,
    channel: &'a str,
    events: &'a [Told],
    /// Events that are no longer told one by one: ask for them.
    more: u64,
}

#[derive(Serialize)]
struct Named<'a> {
    handle: &'a str,
    name: &'a str,
}

pub(super) async fn send(sending: &Sending, batch: &Batch) -> Result<Sent, SendError> {
    let Target::Webhook { url, ca } = &sending.target else {
        return Err(SendError::Unwritable { why: "it is no webhook".to_owned() });
    };
    let uri = address(url).map_err(|error| SendError::Unwritable { why: error.to_string() })?;
    let body = Body {
        r#type: if batch.is_test { "muster.test" } else { "muster.alerts" },
        timestamp: rfc3339(batch.made),
        data: Data {
            organisation: Named { handle: &sending.organisation.0, name: &sending.organisation.1 },
            channel: &sending.channel,
            events: &batch.events,
            more: batch.more,
        },
    };
    let body = serde_json::to_string(&body).map_err(|error| SendError::Unwritable { why: error.to_string() })?;
    let (id, timestamp) = (format!("msg_{}", batch.key), clock::now().to_string());
    let signature = sign(&sending.secret, &id, &timestamp, &body)
        .ok_or_else(|| SendError::Unwritable { why: "its secret does not read".to_owned() })?;
    let headers = vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
    let answer = post(&uri, ca, &sending.reach, Posting::json(headers, body)).await?;
    Ok(Sent { answer })
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Option<String> {
    let key = Zeroizing::new(BASE64.decode(secret.strip_prefix(PREFIX)?.as_bytes()).ok()?);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_standards_own_example() {
        // From the specification's test vector.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = "{\"test\": 2432232314}";
        let signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).expect("signed");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(sign("MfKQ9r8G", "a", "1", body), None);
    }

    #[test]
    fn a_new_secret_signs() {
        let secret = new_secret().expect("random");
        assert!(sign(&secret, "a", "1", "").is_some() && secret.len() == PREFIX.len() + 44);
    }
}
