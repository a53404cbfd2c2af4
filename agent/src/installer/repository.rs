//! The repository: The Update Framework, from the owner's statement on.
//!
//! `tough` decides what is genuine. Three things are our own: the bytes come by the [`Intake`]; what it remembers against older
//! metadata is kept in a document that a power cut cannot tear; and what is too old is judged by the NOC's time, for an
//! appliance's own clock may never have been set.

use super::intake::{Broken, Incoming, Intake};
use super::state::Known;
use super::{Problem, vendor};
use crate::network::chain;
use crate::storage::make_folder;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::Stream;
use muster_protocol::component::{ComponentRoot, ComponentVendor};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::wire::from_cbor;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tough::{
    Bytes, ExpirationEnforcement, Limits, RepositoryLoader, TargetName, Transport, TransportError, TransportErrorKind,
    TransportStream, async_trait,
};
use url::Url;

/// The roles that are remembered, as `tough` names their files.
const REMEMBERED: [&str; 3] = ["root.json", "timestamp.json", "snapshot.json"];
/// The longest metadata file. A repository of a thousand targets has less than one.
const LONGEST: u64 = 4 * 1024 * 1024;
const LIMITS: Limits = Limits {
    max_root_size: 256 * 1024,
    max_targets_size: LONGEST,
    max_timestamp_size: 64 * 1024,
    max_snapshot_size: 1024 * 1024,
    max_root_updates: 256,
};
/// All of the metadata of a repository together, vendors' too: whoever holds the NOC's keys can name as many roles as he likes.
const LONGEST_IN_ALL: u64 = 4 * LONGEST;
/// The same, in time.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// A file that the repository has signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it is fetched as, below `/v1/appliances/components/`.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// The `muster` object of its `custom` metadata.
    pub custom: Value,
}

/// A repository whose metadata were verified.
#[derive(Debug)]
pub struct Repository {
    repository: tough::Repository,
    /// Those that its root names.
    vendors: Vec<ComponentVendor>,
    /// By which what a vendor signed has expired or not.
    time: u64,
}

/// The owner's word on its repository: what is to be believed from now on.
pub(super) fn stated(
    owner: &PublicKey,
    statement: &str,
    pinned: Option<[u8; 32]>,
    known: Option<Known>,
) -> Result<Known, Problem> {
    let wrong = |text: &str| Problem::passing("component_root", text);
    let bytes = BASE64.decode(statement.as_bytes()).unwrap_or_default();
    let payload = sign::verify(owner, Purpose::ComponentRoot, &bytes)
        .map_err(|_| wrong("the repository is not signed for by the root of this appliance's NOC"))?;
    let root: ComponentRoot =
        from_cbor(&payload).map_err(|_| wrong("the NOC's statement about its repository cannot be read"))?;
    if pinned.is_some_and(|pinned| pinned != root.root_hash) {
        return Err(wrong("the NOC names another repository than agent.toml of this image"));
    }
    let first = HEXLOWER.encode(&root.root_hash);
    match known {
        Some(known) if known.serial == root.serial && known.first == first => Ok(known),
        Some(known) if known.serial >= root.serial => {
            Err(wrong("the NOC names a repository that this appliance has left for a later one"))
        }
        _ => Ok(Known { serial: root.serial, first, ..Known::default() }),
    }
}

impl Repository {
    /// Loads and verifies the metadata. `known` learns what was verified also if that ends with an error: it never
    /// goes back. `folder` is for the installer alone.
    pub(super) async fn load(
        known: &mut Known,
        intake: &Intake,
        folder: &Path,
        time: u64,
    ) -> Result<Repository, Problem> {
        let load = load(known, intake, folder);
        let repository = tokio::time::timeout(PATIENCE, load)
            .await
            .map_err(|_| Problem::passing("download", "the repository's metadata did not arrive in time"))??;
        // A vendor's own metadata are judged where one of its targets is looked for: one vendor holds up no other.
        let expires = [
            ("root", repository.root().signed.expires),
            ("timestamp", repository.timestamp().signed.expires),
            ("snapshot", repository.snapshot().signed.expires),
            ("targets", repository.targets().signed.expires),
        ];
        let end = i64::try_from(time).unwrap_or(i64::MAX);
        if let Some((role, at)) = expires.iter().find(|(_, at)| at.as_second() <= end) {
            let text = format!("the {role} metadata expired at {at}: the NOC must sign the repository again");
            return Err(Problem::passing("repository_expired", text));
        }
        let vendors = vendor::named(&repository.root().signed)?;
        Ok(Repository { repository, vendors, time })
    }

    /// The file of this name.
    ///
    /// # Errors
    /// There is none, or nobody signed for it who may.
    pub fn target(&self, name: &str) -> Result<Signed, Problem> {
        let unknown = || Problem::passing("target_unknown", format!("the repository has no {name}. Publish it"));
        let genuine = |target: &TargetName| target.raw() == name && target.resolved() == name;
        let parsed = TargetName::new(name).ok().filter(genuine).ok_or_else(unknown)?;
        let target = vendor::find(&self.repository.targets().signed, &self.vendors, &parsed, self.time)?;
        let sha256 = HEXLOWER.encode(&target.hashes.sha256);
        let consistent = self.repository.root().signed.consistent_snapshot;
        let path = if consistent { format!("targets/{sha256}.{name}") } else { format!("targets/{name}") };
        let custom = target.custom.get("muster").cloned().unwrap_or_default();
        Ok(Signed { path, length: target.length, sha256, custom })
    }
}

async fn load(known: &mut Known, intake: &Intake, folder: &Path) -> Result<tough::Repository, Problem> {
    if !known.metadata.contains_key(REMEMBERED[0]) {
        let first = first_root(&known.first, intake).await?;
        known.metadata.insert(REMEMBERED[0].to_owned(), first);
    }
    let store = folder.join("metadata");
    lay_out(&store, known).map_err(|error| Problem::disk("written", &store, &error))?;
    let root = known.metadata.get(REMEMBERED[0]).cloned().unwrap_or_default();
    let (metadata, targets) = (base("muster://noc/metadata/")?, base("muster://noc/targets/")?);
    let loader = RepositoryLoader::new(&root, metadata, targets)
        .transport(OverIntake { intake: intake.clone(), left: Arc::new(AtomicU64::new(LONGEST_IN_ALL)) })
        .limits(LIMITS)
        .datastore(&store)
        // By the NOC's time, below.
        .expiration_enforcement(ExpirationEnforcement::Unsafe);
    let loaded = loader.load().await;
    learn(&store, known);
    let _ = fs::remove_dir_all(&store);
    loaded.map_err(|error| {
        if let Some(broken) = broken(&error) {
            return Problem::passing("download", broken.to_string());
        }
        Problem::passing("repository", format!("the repository cannot be trusted: {}", chain(&error)))
    })
}

/// The intake takes the last part of an address only.
fn base(text: &str) -> Result<Url, Problem> {
    text.parse().map_err(|_| Problem::lasting("repository", "its address cannot be read"))
}

/// By its hash, which the owner has signed.
async fn first_root(hash: &str, intake: &Intake) -> Result<String, Problem> {
    let mut incoming = intake.open("metadata/1.root.json".to_owned(), 0, LIMITS.max_root_size, None);
    let mut bytes = Vec::new();
    while let Some(part) = incoming.next().await {
        bytes.extend(part.map_err(|broken| Problem::passing("download", broken.to_string()))?);
    }
    if HEXLOWER.encode(&Sha256::digest(&bytes)) != hash {
        return Err(Problem::passing(
            "component_root",
            "the repository's first root is not the one that the NOC signed for",
        ));
    }
    String::from_utf8(bytes).map_err(|_| Problem::passing("repository", "the repository's first root is no text"))
}

/// What is remembered, where `tough` looks for it.
fn lay_out(store: &Path, known: &Known) -> std::io::Result<()> {
    match fs::remove_dir_all(store) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    make_folder(store, 0o700)?;
    REMEMBERED
        .iter()
        .filter_map(|name| Some((name, known.metadata.get(*name)?)))
        .try_for_each(|(name, text)| fs::write(store.join(name), text))
}

/// What `tough` has verified, also before an error; a file that a full disk tore is not taken for it.
fn learn(store: &Path, known: &mut Known) {
    for name in REMEMBERED {
        match fs::read_to_string(store.join(name)) {
            Ok(text) if serde_json::from_str::<Value>(&text).is_ok() => {
                known.metadata.insert(name.to_owned(), text);
            }
            // Its keys were exchanged: a repository that was compromised begins to count anew.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && name != REMEMBERED[0] => {
                known.metadata.remove(name);
            }
            _ => {}
        }
    }
}

/// The intake's own error among the causes: then nothing is wrong with the repository.
fn broken(error: &tough::error::Error) -> Option<&Broken> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<Broken>() {
            Some(Broken::TooLong) => return None,
            Some(broken) => return Some(broken),
            None => next = error.source(),
        }
    }
    None
}

#[derive(Clone, Debug)]
struct OverIntake {
    intake: Intake,
    /// Bytes that may still come.
    left: Arc<AtomicU64>,
}

#[async_trait]
impl Transport for OverIntake {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        let most = LONGEST.min(self.left.load(Ordering::Relaxed));
        let incoming = self.intake.open(format!("metadata/{name}"), 0, most, None);
        Ok(Box::pin(Metadata { incoming, url: url.to_string(), left: self.left.clone() }))
    }
}

struct Metadata {
    incoming: Incoming,
    url: String,
    left: Arc<AtomicU64>,
}

impl Stream for Metadata {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll(context).map(|part| {
            let part = part?.map(|part| {
                // One file comes at a time.
                let left = self.left.load(Ordering::Relaxed).saturating_sub(part.len() as u64);
                self.left.store(left, Ordering::Relaxed);
                Bytes::from(part)
            });
            Some(part.map_err(|broken| {
                let kind = match broken {
                    Broken::Missing => TransportErrorKind::FileNotFound,
                    Broken::Failed(_) | Broken::TooLong => TransportErrorKind::Other,
                };
                TransportError::new_with_cause(kind, &self.url, broken)
            }))
        })
    }
}
