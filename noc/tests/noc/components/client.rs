//! The Update Framework's own client, over an appliance's connection.

use crate::world::Http;
use futures_util::stream;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use std::pin::Pin;
use tempfile::TempDir;
use tough::{
    IntoVec, Repository, RepositoryLoader, TargetName, Transport, TransportError, TransportErrorKind, TransportStream,
};

/// A client that keeps what it has seen.
pub(super) struct Tuf {
    root: Vec<u8>,
    seen: TempDir,
    http: Http,
}

/// What it has loaded.
pub(super) struct Loaded(Repository);

#[derive(Clone, Debug)]
struct OverTls(reqwest::Client);

type Fetched<'f> = Pin<Box<dyn Future<Output = Result<TransportStream, TransportError>> + Send + 'f>>;

impl Transport for OverTls {
    fn fetch<'s, 'f>(&'s self, url: Url) -> Fetched<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let failed = |error| TransportError::new_with_cause(TransportErrorKind::Other, &url, error);
            let answer = self.0.get(url.clone()).send().await.map_err(failed)?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Err(TransportError::new(TransportErrorKind::FileNotFound, &url));
            }
            let bytes = answer.error_for_status().map_err(failed)?.bytes().await.map_err(failed)?;
            Ok(Box::pin(stream::iter([Ok(bytes)])) as TransportStream)
        })
    }
}

impl Tuf {
    /// One that knows a first root.
    pub(super) fn new(http: &Http, root: Vec<u8>) -> Tuf {
        Tuf { root, seen: TempDir::new().expect("a folder"), http: http.clone() }
    }

    /// The repository, or why not.
    pub(super) async fn load(&mut self) -> Result<Loaded, String> {
        let url = |path: &str| self.http.url(path).parse().expect("a URL");
        let (metadata, targets) = (url("appliances/components/metadata/"), url("appliances/components/targets/"));
        let loader = RepositoryLoader::new(&self.root, metadata, targets)
            .transport(OverTls(self.http.client.clone()))
            .datastore(self.seen.path());
        let loaded = loader.load().await.map_err(|error| error.to_string())?;
        // As installers do: whoever began with a former root each time would forget, at a change of keys, what was seen under it.
        self.root = serde_json::to_vec(loaded.root()).expect("text");
        Ok(Loaded(loaded))
    }
}

impl Loaded {
    pub(super) fn root_version(&self) -> u64 {
        self.0.root().signed.version.get()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.targets().signed.targets.keys().map(|name| name.raw().to_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn facts(&self, name: &str) -> Value {
        let name = TargetName::new(name).expect("a name");
        self.0.targets().signed.find_target(&name, false).expect("there").custom["muster"].clone()
    }

    pub(super) async fn target(&self, name: &str) -> Result<Vec<u8>, String> {
        let name = TargetName::new(name).expect("a name");
        let read = self.0.read_target(&name).await.map_err(|error| error.to_string())?.ok_or("not there")?;
        read.into_vec().await.map_err(|error| error.to_string())
    }
}
