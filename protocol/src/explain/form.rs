//! What the messages of version 1 are made of: names, meanings and forms of their fields (`docs/protocol.md`).

/// A field of a map, or an item of an array.
pub(super) struct Field {
    pub(super) key: u64,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) form: Form,
    pub(super) is_optional: bool,
}

/// What may be there.
pub(super) enum Form {
    Uid,
    Mac,
    /// 32 bytes whose hash is a UID.
    DeviceKey,
    /// So many bytes, shown as hexadecimal.
    Bytes(usize),
    /// Any number of bytes, shown as their length.
    Blob,
    /// At most, and its unit.
    Number(u64, &'static str),
    /// A number that stands for a word.
    Choice(&'static [&'static str]),
    Time,
    Bool,
    Heard,
    Sites,
    Map(&'static [Field]),
    Array(&'static [Field]),
    Status,
    Reason,
    Text,
    /// A byte string that holds the encoding of something.
    Nested(&'static Form),
    /// A COSE_Sign1 over a map, as a byte string.
    Signed(&'static Statement),
    /// The same; what is wrong with it does not make the message malformed.
    Claimed(&'static Statement),
}

/// What is signed, and by whom.
pub(super) struct Statement {
    pub(super) name: &'static str,
    pub(super) purpose: crate::crypto::sign::Purpose,
    pub(super) signer: Signer,
    pub(super) payload: &'static [Field],
}

/// Whose key a signature is checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signer {
    /// The key in the field of the payload that has this name.
    Inside(&'static str),
    /// The key in the credential inside the payload.
    Credential,
    /// A key whose hash is the UID in field 0 of the payload.
    Device,
    /// Any key that was given.
    Given(&'static str),
}

/// The body of a datagram.
pub(super) enum Body {
    /// A map.
    Map(&'static [Field]),
    /// A COSE_Sign1, without a byte string around it.
    Signed(&'static Statement),
}

/// Name, meaning and body of a kind.
pub(super) fn kind(kind: u8) -> Option<(&'static str, &'static str, Body)> {
    Some(match kind {
        1 => ("ping", "a console asks who is there", Body::Map(PING_PACKET)),
        2 => ("here", "an appliance answers a ping", Body::Signed(&HERE)),
        3 => ("config packet", "a console brings parameters to one appliance", Body::Map(CONFIG_PACKET)),
        4 => ("result", "an appliance says what became of a config packet", Body::Map(RESULT_PACKET)),
        5 => ("kick-start", "a console says that the settings are final", Body::Map(KICK_PACKET)),
        _ => return None,
    })
}

const fn field(key: u64, name: &'static str, form: Form, meaning: &'static str) -> Field {
    Field { key, name, meaning, form, is_optional: false }
}

const fn optional(key: u64, name: &'static str, form: Form, meaning: &'static str) -> Field {
    Field { key, name, meaning, form, is_optional: true }
}

use crate::crypto::sign::Purpose;

pub(super) static PING_PACKET: &[Field] = &[
    optional(0, "ping", Form::Nested(&Form::Map(PING)), "by anybody; nothing proves who asks"),
    optional(1, "signed ping", Form::Signed(&SIGNED_PING), "by a console"),
    optional(2, "padding", Form::Blob, "so that no answer is longer than its ping"),
];

static SIGNED_PING: Statement =
    Statement { name: "ping", purpose: Purpose::Ping, signer: Signer::Credential, payload: PING };

static PING: &[Field] = &[
    field(0, "ping id", Form::Bytes(16), "echoed in the answers"),
    field(1, "window", Form::Number(0xffff, "ms"), "answers come at a random moment within it"),
    field(2, "salt", Form::Bytes(8), "of the heard hashes"),
    field(3, "shard", Form::Array(SHARD), "the part of all appliances that shall answer"),
    field(4, "heard", Form::Heard, "hashes of appliances that need not answer"),
    optional(5, "only", Form::Uid, "this appliance alone shall answer, at once"),
    optional(6, "reply key", Form::Bytes(32), "X25519; settings in answers are sealed to it"),
    optional(7, "credential", Form::Claimed(&CREDENTIAL), "what the NOC says about the console"),
];

static SHARD: &[Field] = &[
    field(0, "bits", Form::Number(16, ""), "how many bits of the hash count; 0 is everybody"),
    field(1, "index", Form::Number(0xffff, ""), "their value"),
];

static CREDENTIAL: Statement = Statement {
    name: "credential",
    purpose: Purpose::Credential,
    signer: Signer::Given("the NOC root's key"),
    payload: CREDENTIAL_FIELDS,
};

static CREDENTIAL_FIELDS: &[Field] = &[
    field(0, "console", Form::Number(u32::MAX as u64, ""), "its number at the NOC"),
    field(1, "console key", Form::Bytes(32), "Ed25519"),
    field(2, "sites", Form::Sites, "whose appliances tell it their settings"),
    field(3, "expires", Form::Time, "refused later by who knows the time"),
];

static HERE: Statement =
    Statement { name: "here", purpose: Purpose::Here, signer: Signer::Inside("device key"), payload: HERE_FIELDS };

static HERE_FIELDS: &[Field] = &[
    field(0, "ping id", Form::Bytes(16), "the ping that is answered"),
    field(1, "device key", Form::DeviceKey, "Ed25519; of the appliance"),
    field(2, "MAC", Form::Mac, "of the interface that is, or will be, configured"),
    field(3, "state", Form::Choice(&["unconfigured", "installing", "provisional", "configured"]), ""),
    field(4, "one-time key", Form::Bytes(32), "X25519; opens one config packet"),
    field(5, "boot id", Form::Bytes(16), "this run of the agent"),
    field(6, "proof", Form::Choice(&["claim code", "voucher", "open"]), "of ownership, while it is unconfigured"),
    optional(
        7,
        "settings",
        Form::Array(SEALED_SETTINGS),
        "sealed to the ping's reply key: only that console can read them",
    ),
];

static SEALED_SETTINGS: &[Field] = &[
    field(0, "encapsulated key", Form::Bytes(32), "HPKE"),
    field(1, "ciphertext", Form::Blob, "HPKE; host name, domain, address, netmask, gateway and name servers"),
];

static CONFIG_PACKET: &[Field] = &[
    field(0, "address", Form::Map(ADDRESS), "whom it is for; in clear, and authenticated with the sealed part"),
    field(1, "encapsulated key", Form::Bytes(32), "HPKE"),
    field(
        2,
        "ciphertext",
        Form::Blob,
        "sealed to the one-time key: only that appliance can read console, grant and settings",
    ),
];

static ADDRESS: &[Field] = &[
    field(0, "UID", Form::Uid, "the appliance"),
    field(1, "MAC", Form::Mac, "its address"),
    field(2, "one-time key", Form::Bytes(32), "X25519; which key opens it"),
    field(3, "request id", Form::Bytes(16), "the attempt; the same when it is sent again"),
];

static RESULT_PACKET: &[Field] = &[
    field(0, "signed result", Form::Signed(&RESULT), "by the device key"),
    optional(
        1,
        "tag",
        Form::Bytes(16),
        "by the key that both ends have from the config packet; cannot be checked from outside",
    ),
];

static RESULT: Statement =
    Statement { name: "result", purpose: Purpose::Result, signer: Signer::Device, payload: RESULT_FIELDS };

static RESULT_FIELDS: &[Field] = &[
    field(0, "UID", Form::Uid, "the appliance"),
    field(1, "request id", Form::Bytes(16), "the attempt"),
    field(2, "packet hash", Form::Bytes(32), "SHA-256 of the config datagram that is answered"),
    field(3, "sequence", Form::Number(u64::MAX, ""), "the number that the appliance has stored"),
    field(4, "boot id", Form::Bytes(16), "this run of the agent"),
    field(5, "status", Form::Status, ""),
];

pub(super) static SUCCESS: &[Field] =
    &[field(0, "committed", Form::Bool, "true: the settings are final; false: a kick-start is awaited")];

pub(super) static UNCONFIGURED: &[Field] = &[
    field(0, "stage", Form::Choice(&["probing the address", "network", "components", "first beat"]), ""),
    field(1, "percent", Form::Number(0xff, "%"), ""),
    field(2, "ask again", Form::Number(u32::MAX as u64, "ms"), "when the console shall ask again"),
];

pub(super) static FAILED: &[Field] = &[
    field(0, "reason", Form::Reason, ""),
    field(1, "detail", Form::Text, "what the system said"),
    field(2, "next key", Form::Bytes(32), "X25519; one-time key for the next attempt"),
];

static KICK_PACKET: &[Field] = &[
    field(0, "UID", Form::Uid, "the appliance"),
    field(1, "signed kick-start", Form::Signed(&KICK_START), "by the console"),
    field(
        2,
        "tag",
        Form::Bytes(16),
        "by the key that both ends have from the config packet; cannot be checked from outside",
    ),
];

static KICK_START: Statement = Statement {
    name: "kick-start",
    purpose: Purpose::KickStart,
    signer: Signer::Given("the console's key"),
    payload: KICK_FIELDS,
};

static KICK_FIELDS: &[Field] = &[
    field(0, "UID", Form::Uid, "the same appliance"),
    field(1, "request id", Form::Bytes(16), "the attempt that succeeded"),
    field(2, "sequence", Form::Number(u64::MAX, ""), "of its grant"),
];
