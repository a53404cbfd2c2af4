//! A repository of a test's own, whose metadata it can make as an attacker would: the keys are real, and `tough` reads them.

use data_encoding::{BASE64, HEXLOWER};
use muster_protocol::api::{ComponentPlan, RequiredComponent};
use muster_protocol::component::ComponentRoot;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::to_cbor;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tough::schema::key::Key;
use tough::schema::{Role, Root, Snapshot, Targets, Timestamp};

/// What the NOC says it is, Unix seconds.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const FUTURE: &str = "2027-06-01T00:00:00Z";
pub(crate) const PAST: &str = "2026-12-01T00:00:00Z";

pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A repository, as the NOC serves it: what a test changes is signed again with [`Repository::publish`].
#[derive(Clone)]
pub(crate) struct Repository {
    /// By path below `/v1/appliances/components/`.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) targets: Map<String, Value>,
    pub(crate) version: u64,
    /// Of the root metadata.
    pub(crate) root_version: u64,
    /// Of the timestamp, expiry.
    pub(crate) timestamp_expires: &'static str,
    /// Keys by role: root, targets, snapshot, timestamp.
    pub(crate) keys: [SecretKey; 4],
    pub(crate) threshold: u64,
    /// Numbers the repository for [`ComponentRoot`].
    pub(crate) serial: u64,
    /// What targets delegate, what the snapshot lists besides them, and what the root says of vendors; null for nothing.
    pub(crate) delegations: Value,
    pub(crate) listed: Map<String, Value>,
    pub(crate) facts: Value,
}

pub(crate) const TARGETS: usize = 1;
pub(crate) const TIMESTAMP: usize = 3;
const ROLES: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

impl Repository {
    pub(crate) fn new() -> Repository {
        let mut repository = Repository {
            files: BTreeMap::new(),
            targets: Map::new(),
            version: 0,
            root_version: 0,
            timestamp_expires: FUTURE,
            keys: [11, 12, 13, 14].map(secret),
            threshold: 1,
            serial: 1,
            delegations: Value::Null,
            listed: Map::new(),
            facts: Value::Null,
        };
        repository.rotate(&[&secret(11)]);
        repository
    }

    /// The next root metadata, with the keys as they are now, signed by these.
    pub(crate) fn rotate(&mut self, by: &[&SecretKey]) {
        self.root_version += 1;
        let keys: Map<String, Value> = self.keys.iter().map(|secret| (key_id(secret), key(secret))).collect();
        let role = |number: usize| json!({"keyids": [key_id(&self.keys[number])], "threshold": 1});
        let mut roles: Map<String, Value> = (0..4).map(|number| (ROLES[number].to_owned(), role(number))).collect();
        roles["targets"]["threshold"] = self.threshold.into();
        let mut root = json!({
            "_type": "root", "spec_version": "1.0.0", "version": self.root_version, "expires": FUTURE,
            "consistent_snapshot": true, "keys": keys, "roles": roles,
        });
        if !self.facts.is_null() {
            root["muster"] = self.facts.clone();
        }
        self.files.insert(format!("metadata/{}.root.json", self.root_version), signed::<Root>(root, by));
    }

    /// Adds a file under its name and what `muster` says of it.
    pub(crate) fn add(&mut self, target: &str, contents: &[u8], muster: Value) {
        let sha256 = hash(contents);
        let told = json!({"length": contents.len(), "hashes": {"sha256": sha256}, "custom": {"muster": muster}});
        self.targets.insert(target.to_owned(), told);
        self.files.insert(format!("targets/{sha256}.{target}"), contents.to_vec());
    }

    /// Signs what there is.
    pub(crate) fn publish(&mut self) {
        self.version += 1;
        let version = self.version;
        let head = |role: &str, expires: &str| json!({"_type": role, "spec_version": "1.0.0", "version": version, "expires": expires});
        let mut targets = head("targets", FUTURE);
        targets["targets"] = self.targets.clone().into();
        if !self.delegations.is_null() {
            targets["delegations"] = self.delegations.clone();
        }
        let targets = signed::<Targets>(targets, &[&self.keys[TARGETS]]);
        let mut snapshot = head("snapshot", FUTURE);
        let mut meta = self.listed.clone();
        meta.insert("targets.json".to_owned(), told(&targets, version));
        snapshot["meta"] = meta.into();
        let snapshot = signed::<Snapshot>(snapshot, &[&self.keys[2]]);
        let mut timestamp = head("timestamp", self.timestamp_expires);
        timestamp["meta"] = json!({"snapshot.json": told(&snapshot, version)});
        let timestamp = signed::<Timestamp>(timestamp, &[&self.keys[TIMESTAMP]]);
        self.files.insert(format!("metadata/{version}.targets.json"), targets);
        self.files.insert(format!("metadata/{version}.snapshot.json"), snapshot);
        self.files.insert("metadata/timestamp.json".to_owned(), timestamp);
    }

    /// What the NOC of `noc` says about it.
    pub(crate) fn stated_by(&self, noc: &SecretKey) -> String {
        let root_hash = Sha256::digest(&self.files["metadata/1.root.json"]).into();
        let root = ComponentRoot { serial: self.serial, root_hash, issued: UnixTime(NOW) };
        BASE64.encode(&sign::sign(noc, Purpose::ComponentRoot, to_cbor(&root)))
    }

    /// A plan of components by name, version and target.
    pub(crate) fn plan(&self, revision: &str, components: &[(&str, &str, &str)]) -> ComponentPlan {
        let required = |(name, version, target): &(&str, &str, &str)| RequiredComponent {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            target: (*target).to_owned(),
        };
        ComponentPlan {
            root: Some(self.stated_by(&secret(1))),
            components: components.iter().map(required).collect(),
            bandwidth: None,
            revision: revision.to_owned(),
        }
    }
}

pub(crate) fn told(metadata: &[u8], version: u64) -> Value {
    json!({"version": version, "length": metadata.len(), "hashes": {"sha256": hash(metadata)}})
}

pub(crate) fn key(secret: &SecretKey) -> Value {
    let public = HEXLOWER.encode(&secret.public().0);
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

pub(crate) fn key_id(secret: &SecretKey) -> String {
    let key: Key = serde_json::from_value(key(secret)).expect("a key");
    HEXLOWER.encode(&key.key_id().expect("an id"))
}

/// Metadata with signatures by these keys.
pub(crate) fn signed<R: Role + for<'a> serde::Deserialize<'a>>(role: Value, by: &[&SecretKey]) -> Vec<u8> {
    let form = serde_json::from_value::<R>(role.clone()).expect("metadata").canonical_form().expect("canonical");
    let sign = |secret: &&SecretKey| json!({"keyid": key_id(secret), "sig": HEXLOWER.encode(&secret.sign(&form))});
    let signatures: Vec<Value> = by.iter().map(sign).collect();
    serde_json::to_vec(&json!({"signed": role, "signatures": signatures})).expect("JSON")
}

/// Metadata taken apart: what is signed.
pub(crate) fn payload(metadata: &[u8]) -> Value {
    let mut metadata: Value = serde_json::from_slice(metadata).expect("JSON");
    metadata["signed"].take()
}
