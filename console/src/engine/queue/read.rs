//! Opening a message: whose it is, and what it says.

use crate::problem::Explain;
use data_encoding::BASE64;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::id::ConsoleId;
use muster_protocol::queue::{MessageHead, Order, SignedMessage};
use serde::Deserialize;

/// A message of our NOC to this console.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) head: MessageHead,
    /// The order as it was signed.
    pub(super) said: String,
    /// The same, read; or why it does not read.
    pub(super) order: Result<Order, String>,
}

/// Why nothing of a message is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the message is not signed by the root of this NOC")]
    Signature,
    #[error("the message is signed and makes no sense")]
    Malformed,
    #[error("the message is for another console")]
    OtherConsole,
}

impl Explain for Refusal {
    fn code(&self) -> String {
        match self {
            Refusal::Signature => "not_signed",
            Refusal::Malformed => "malformed",
            Refusal::OtherConsole => "other_console",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            Refusal::Signature => "Join this console to the NOC again if its root is another now.",
            Refusal::Malformed => "Use programs of the same version at both ends.",
            Refusal::OtherConsole => "Look at the NOC's log.",
        }
        .to_owned()
    }
}

/// Checks the signature over the bytes received, then reads them.
pub(super) fn open(root: &PublicKey, console: ConsoleId, message: &SignedMessage) -> Result<Opened, Refusal> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(flatten)]
        head: MessageHead,
        order: serde_json::Value,
    }
    let signed = BASE64.decode(message.message.as_bytes()).map_err(|_| Refusal::Signature)?;
    let json = verify(root, Purpose::Message, &signed).map_err(|_| Refusal::Signature)?;
    let Whole { head, order } = serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)?;
    if head.number != message.number {
        return Err(Refusal::Malformed);
    }
    if head.console != console {
        return Err(Refusal::OtherConsole);
    }
    let said = order.to_string();
    let order = serde_json::from_value(order).map_err(|error| error.to_string());
    Ok(Opened { head, said, order })
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::crypto::sign::sign;
    use muster_protocol::queue::{Message, MessageNumber};

    const CONSOLE: ConsoleId = ConsoleId(3);

    fn signed(root: &SecretKey, purpose: Purpose, json: &str, number: u64) -> SignedMessage {
        let message = BASE64.encode(&sign(root, purpose, json.as_bytes().to_vec()));
        SignedMessage { number: MessageNumber(number), message }
    }

    #[test]
    fn only_what_the_root_signed_for_this_console_and_purpose_is_read() {
        let (root, stranger) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let head = MessageHead { console: CONSOLE, number: MessageNumber(9), issued: 1, expires: 2 };
        let json = serde_json::to_string(&Message { head, order: Order::Refresh }).expect("JSON");
        let refused = |message: &SignedMessage| open(&root.public(), CONSOLE, message).err();

        let good = signed(&root, Purpose::Message, &json, 9);
        let opened = open(&root.public(), CONSOLE, &good).expect("opens");
        assert_eq!((opened.head, opened.order), (head, Ok(Order::Refresh)));
        assert_eq!(opened.said, r#"{"kind":"refresh"}"#);

        assert_eq!(refused(&signed(&stranger, Purpose::Message, &json, 9)), Some(Refusal::Signature));
        assert_eq!(refused(&signed(&root, Purpose::Instruction, &json, 9)), Some(Refusal::Signature));
        assert_eq!(refused(&SignedMessage { message: "?".into(), ..good.clone() }), Some(Refusal::Signature));
        // Under another number it would be carried out twice.
        assert_eq!(refused(&signed(&root, Purpose::Message, &json, 10)), Some(Refusal::Malformed));
        assert_eq!(refused(&signed(&root, Purpose::Message, "{}", 9)), Some(Refusal::Malformed));
        let other = json.replace(r#""console":3"#, r#""console":4"#);
        assert_eq!(refused(&signed(&root, Purpose::Message, &other, 9)), Some(Refusal::OtherConsole));
    }

    #[test]
    fn an_order_of_a_later_version_keeps_its_head() {
        let root = SecretKey::from_seed(&[1; 32]);
        let json = r#"{"console":3,"number":9,"issued":1,"expires":2,"order":{"kind":"dance"}}"#;
        let opened = open(&root.public(), CONSOLE, &signed(&root, Purpose::Message, json, 9)).expect("opens");
        assert_eq!(opened.head.number, MessageNumber(9));
        assert!(opened.order.expect_err("unknown").contains("dance"));
    }
}
