//! The audit log: who did what, each record chained to the one before by its hash, the end held by the root's signature.
//!
//! A record is written in the transaction of what it records, so neither is without the other. docs/api.md has the form of a
//! record, and what a search for forgeries finds and does not find.

mod anchor;
mod cut;
mod export;
mod verify;

pub use anchor::{Anchor, AnchorError};
pub(crate) use anchor::{checkpoint, file as anchor_file, read as read_anchor};
pub use cut::Cut;
pub(crate) use cut::{LEAST_DAYS, Pruned, prune};
pub use export::Format;
pub(crate) use verify::verify;
pub use verify::{Broken, Verdict};

use crate::operators::access::{Access, Place, Via};
use crate::operators::{OrganisationId, Role};
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use utoipa::ToSchema;

/// The hash before the first record.
pub(crate) const NOTHING: [u8; 32] = [0; 32];

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Record {
    /// Its number: 1, 2, 3 and so on over the whole NOC.
    pub seq: u64,
    /// When, Unix seconds.
    pub time: u64,
    /// Who: `operator:7:anna@acme`, `operator:7:anna@acme token:3`, `console:2`, `appliance:UID`, `local` (the command line or desktop
    /// at the NOC), `noc` (itself) or `nobody` (a sign-in that was refused).
    pub actor: String,
    /// The address they came from, or empty.
    pub address: String,
    /// The organisation it is about; none for what is the NOC's own.
    #[schema(value_type = Option<u32>)]
    pub organisation: Option<OrganisationId>,
    /// The site it is about.
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// What was done, a stable word as `site.change`.
    pub action: String,
    /// To what, as `site:3`.
    pub subject: String,
    /// More of it, JSON as it was hashed.
    pub detail: String,
    /// SHA-256 over the hash of the record before and this record.
    #[serde(serialize_with = "hexadecimal")]
    #[schema(value_type = String)]
    pub hash: [u8; 32],
}

fn hexadecimal<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&data_encoding::HEXLOWER.encode(hash))
}

impl Record {
    /// The hash that the record has after one with the hash `before`: over that and the JSON array of its values.
    pub(crate) fn chained(&self, before: &[u8; 32]) -> [u8; 32] {
        let Record { seq, time, actor, address, organisation, site, action, subject, detail, .. } = self;
        let values = (seq, time, actor, address, organisation, site.map(|site| site.0), action, subject, detail);
        let mut hash = Sha256::new();
        hash.update(before);
        // Numbers and texts always serialise.
        hash.update(serde_json::to_vec(&values).unwrap_or_default());
        hash.finalize().into()
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) actor: String,
    pub(crate) address: String,
}

impl By {
    /// Whoever may read the NOC's data folder: its command line, or the desktop around it.
    pub(crate) fn local() -> By {
        By { actor: "local".to_owned(), address: String::new() }
    }

    /// The NOC by itself.
    pub(crate) fn noc() -> By {
        By { actor: "noc".to_owned(), address: String::new() }
    }

    pub(crate) fn console(id: ConsoleId) -> By {
        By { actor: format!("console:{id}"), address: String::new() }
    }

    pub(crate) fn appliance(uid: &Uid) -> By {
        By { actor: format!("appliance:{uid}"), address: String::new() }
    }

    pub(crate) fn nobody(address: IpAddr) -> By {
        By { actor: "nobody".to_owned(), address: address.to_string() }
    }

    pub(crate) fn operator(access: &Access) -> By {
        let mut actor = format!("operator:{}:{}", access.operator, access.login);
        if let Via::Token(id) = access.via {
            actor += &format!(" token:{id}");
        }
        By { actor, address: access.address.clone() }
    }
}

/// What is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) place: Place,
    pub(crate) action: &'static str,
    pub(crate) subject: String,
    pub(crate) detail: serde_json::Value,
}

impl Event {
    pub(crate) fn new(place: Place, action: &'static str, subject: impl ToString) -> Event {
        Event { place, action, subject: subject.to_string(), detail: serde_json::Value::Null }
    }

    pub(crate) fn with(self, detail: serde_json::Value) -> Event {
        Event { detail, ..self }
    }
}

/// Who may read a record: administrators of its place.
pub(crate) const READERS: Role = Role::Administrator;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_hashed_never_changes() {
        let record = Record {
            seq: 1,
            time: 1_700_000_000,
            actor: "operator:7:anna@acme".into(),
            address: "192.0.2.1".into(),
            organisation: Some(OrganisationId(2)),
            site: None,
            action: "site.add".into(),
            subject: "site:3".into(),
            detail: "{\"name\":\"Zürich \\\"1\\\"\"}".into(),
            hash: [0; 32],
        };
        // Made with Python: sha256(bytes(32) + json.dumps([...], separators=(",", ":"), ensure_ascii=False).encode()).
        let expected = "7be42884630b5ec60554359f957ce99b9a6915e62478b0aca99d3030a0c1bbbe";
        assert_eq!(data_encoding::HEXLOWER.encode(&record.chained(&NOTHING)), expected);
    }
}
