//! Applets: asks the NOC which there are at each site, keeps them sealed, and opens them for whoever shows them (seed, FIGURES 7
//! and 8: a new console asks for the applet first).
//!
//! What came is judged twice by the same rules: when it comes, and when it is read back. Nothing that is refused takes the place of
//! what is there.

use super::reports::blocking;
use super::state::Shared;
use super::{Engine, EngineError, entropy, unix_now};
use crate::noc_client::{NocClient, NocError};
use crate::problem::{Explain, chain};
use crate::store::{NewList, Store, StoreError, StoredList};
use crate::view::{AppletView, ApplicationChecked, NocLink, ProblemView};
use muster_applet::bundle::{Bundle, PageFiles};
use muster_applet::release::{ReleaseError, Released, Releases, hash, is_below};
use muster_applet::signed;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::seal::{Seal, SealError, Sealed, open};
use muster_protocol::crypto::uniform;
use muster_protocol::id::SiteId;
use muster_protocol::time::UnixTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Statements are asked for anew so often, long before they end.
const FRESH: Duration = Duration::from_secs(24 * 3_600);
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How long a window waits for the applets of a site that were never asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The applets of the sites.
#[derive(Debug, Default)]
pub(super) struct Applets {
    sites: BTreeMap<SiteId, OfSite>,
    /// Why the last answer of the NOC was not taken.
    problem: Option<ProblemView>,
    /// Counts the changes.
    generation: u32,
}

#[derive(Clone, Debug)]
struct OfSite {
    expires: UnixTime,
    bundles: Vec<Arc<Bundle>>,
}

impl Applets {
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn problem(&self) -> Option<&ProblemView> {
        self.problem.as_ref()
    }

    fn set(&mut self, site: SiteId, of: OfSite) {
        self.sites.insert(site, of);
        self.generation = self.generation.wrapping_add(1);
    }

    fn set_problem(&mut self, problem: Option<ProblemView>) {
        if self.problem != problem {
            self.problem = problem;
            self.generation = self.generation.wrapping_add(1);
        }
    }

    fn clear(&mut self) {
        self.sites.clear();
        self.generation = self.generation.wrapping_add(1);
    }

    fn of(&self, site: SiteId, now: UnixTime) -> Option<&[Arc<Bundle>]> {
        self.sites.get(&site).filter(|of| now <= of.expires).map(|of| of.bundles.as_slice())
    }
}

/// Why applets were not taken. Those that are there stay.
#[derive(Debug, thiserror::Error)]
enum AppletsError {
    #[error(transparent)]
    Noc(#[from] NocError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("the applet {name} was not sealed to this console")]
    Sealed { name: String, source: SealError },
    #[error("the applet {name} is not the one that the NOC's list names")]
    Other { name: String },
    #[error("the applet {name} {version} lies below {floor}, the lowest version that may be used")]
    BelowFloor { name: String, version: String, floor: String },
    #[error("the applet {name} is not in order: {faults}")]
    Faulty { name: String, faults: muster_applet::Faults },
}

impl Explain for AppletsError {
    fn code(&self) -> String {
        match self {
            AppletsError::Noc(error) => return error.code(),
            AppletsError::Store(error) => return error.code(),
            AppletsError::Release(_) => "applet_list",
            AppletsError::Sealed { .. } => "applet_sealed",
            AppletsError::Other { .. } => "applet_other",
            AppletsError::BelowFloor { .. } => "applet_below_floor",
            AppletsError::Faulty { .. } => "applet_faulty",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            AppletsError::Noc(error) => error.remedy(),
            AppletsError::Store(error) => error.remedy(),
            _ => "The applets that this console had stay. Tell whoever runs the NOC.".to_owned(),
        }
    }
}

/// Keeps the applets of all sites up to date, for ever. `wanted` is the NOC's number of the last change.
pub(super) async fn run(
    shared: Arc<Shared>,
    store: Arc<Store>,
    mut client: watch::Receiver<Option<NocClient>>,
    mut wanted: watch::Receiver<u64>,
) {
    let mut retry = FIRST_RETRY;
    let mut shown: Option<PublicKey> = None;
    loop {
        let current = client.borrow_and_update().clone();
        let number = *wanted.borrow_and_update();
        let mut again = FRESH;
        if let Some(client) = current {
            if shown != Some(client.root()) {
                shown = Some(client.root());
                shared.change(|state| state.applets(Applets::clear));
                read_back(&shared, &store, &client).await;
            }
            // Zero: this NOC was not reached yet, or is an older one, which has none.
            if number > 0 {
                let outcome = refresh(&shared, &store, &client).await;
                let problem = outcome.as_ref().err().filter(|error| !may_pass(error)).map(Explain::problem);
                shared.change(|state| state.applets(|applets| applets.set_problem(problem)));
                match outcome {
                    Ok(()) => retry = FIRST_RETRY,
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "applets stay as they are");
                        again = retry.mul_f64(0.5 + uniform(&mut *entropy(), 1_000) as f64 / 1_000.0);
                        retry = (retry * 2).min(LONGEST_RETRY);
                    }
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(again) => {}
            result = wanted.changed() => if result.is_err() { return },
            result = client.changed() => if result.is_err() { return },
        }
    }
}

fn may_pass(error: &AppletsError) -> bool {
    matches!(error, AppletsError::Noc(error) if error.may_pass())
}

/// Shows what was kept, so far as it is still good.
async fn read_back(shared: &Shared, store: &Arc<Store>, client: &NocClient) {
    let (store, client) = (Arc::clone(store), client.clone());
    let read = tokio::task::spawn_blocking(move || -> Result<(Vec<_>, Option<ProblemView>), AppletsError> {
        let floors = store.applet_floors(client.root())?;
        let (mut sites, mut problem) = (Vec::new(), None);
        for list in store.applet_lists(client.root())? {
            let opened =
                Releases::open(&list.signed, &client.root(), client.console(), list.site, list.number, unix_now());
            let read = opened.map_err(AppletsError::from).and_then(|releases| {
                let mut bundles = Vec::new();
                for released in &releases.applets {
                    let Some(sealed) = store.applet_bundle(client.root(), list.site, released.hash)? else { continue };
                    bundles.push(Arc::new(unseal(&client, released, &sealed, &floors)?));
                }
                Ok(OfSite { expires: releases.expires, bundles })
            });
            match read {
                Ok(of) => sites.push((list.site, of)),
                Err(error) => {
                    tracing::warn!(site = list.site.0, error = %chain(&error), "kept applets are not used");
                    problem = Some(error.problem());
                }
            }
        }
        Ok((sites, problem))
    });
    match read.await {
        Ok(Ok((sites, problem))) => shared.change(|state| {
            state.applets(|applets| {
                sites.into_iter().for_each(|(site, of)| applets.set(site, of));
                applets.set_problem(problem);
            });
        }),
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "kept applets cannot be read"),
        Err(_) => {}
    }
}

/// Asks for the lists of all sites, and for what is new.
async fn refresh(shared: &Shared, store: &Arc<Store>, client: &NocClient) -> Result<(), AppletsError> {
    let sites = client.sites().await?;
    for site in &sites {
        let of = fetch(store, client, site.id).await?;
        shared.change(|state| state.applets(|applets| applets.set(site.id, of)));
    }
    Ok(())
}

async fn fetch(store: &Arc<Store>, client: &NocClient, site: SiteId) -> Result<OfSite, AppletsError> {
    let noc = client.root();
    let known = blocking(store, move |store| store.applet_lists(noc)).await?;
    let seen = known.iter().find(|list| list.site == site).map_or(0, |list| list.number);
    let signed = client.applets(site).await?;
    let releases = Releases::open(&signed, &noc, client.console(), site, seen, unix_now())?;
    let mut floors = blocking(store, move |store| store.applet_floors(noc)).await?;
    for released in &releases.applets {
        let floor = floors.entry(released.name.clone()).or_insert_with(|| released.floor.clone());
        if is_below(floor, &released.floor) {
            floor.clone_from(&released.floor);
        }
    }
    let (mut bundles, mut fresh) = (Vec::new(), Vec::new());
    for released in &releases.applets {
        let wanted = released.hash;
        let (sealed, is_fresh) = match blocking(store, move |store| store.applet_bundle(noc, site, wanted)).await? {
            Some(sealed) => (sealed, false),
            None => (client.applet_bundle(site, &wanted).await?, true),
        };
        bundles.push(Arc::new(unseal(client, released, &sealed, &floors)?));
        if is_fresh {
            fresh.push((wanted, sealed));
        }
    }
    let new = NewList {
        list: StoredList { site, number: releases.number, signed },
        bundles: fresh,
        hashes: releases.applets.iter().map(|released| released.hash).collect(),
        floors,
    };
    blocking(store, move |store| store.keep_applets(noc, &new)).await?;
    Ok(OfSite { expires: releases.expires, bundles })
}

/// Opens a bundle, and sees whether it is the one that the NOC named.
fn unseal(
    client: &NocClient,
    released: &Released,
    sealed: &Sealed,
    floors: &BTreeMap<String, String>,
) -> Result<Bundle, AppletsError> {
    let name = || released.name.clone();
    let floor = floors.get(&released.name).unwrap_or(&released.floor);
    if is_below(&released.version, floor) {
        let (version, floor) = (released.version.clone(), floor.clone());
        return Err(AppletsError::BelowFloor { name: name(), version, floor });
    }
    let (bytes, _) = open(Seal::Applet, client.applet_key(), None, &released.hash, sealed)
        .map_err(|source| AppletsError::Sealed { name: name(), source })?;
    if hash(&bytes) != released.hash {
        return Err(AppletsError::Other { name: name() });
    }
    let (_, bundle) = signed::open(&bytes).map_err(|faults| AppletsError::Faulty { name: name(), faults })?;
    let manifest = bundle.manifest();
    if (&manifest.name, manifest.version.to_string()) != (&released.name, released.version.clone()) {
        return Err(AppletsError::Other { name: name() });
    }
    Ok(bundle)
}

impl Engine {
    /// The applets of a site, in a language; asks for them first if this console never did. None: the built-in wizard is all
    /// there is.
    pub async fn applets(&self, site: u32, language: &str) -> Result<Vec<AppletView>, EngineError> {
        let bundles = self.bundles(SiteId(site)).await;
        Ok(bundles.iter().map(|bundle| AppletView::of(bundle, language)).collect())
    }

    /// Judges values by the form of an applet.
    pub async fn check_application(
        &self,
        site: u32,
        applet: &str,
        values: &Value,
    ) -> Result<ApplicationChecked, EngineError> {
        let bundles = self.bundles(SiteId(site)).await;
        let bundle = bundles.iter().find(|bundle| bundle.manifest().name == applet);
        let bundle = bundle.ok_or_else(|| EngineError::NoSuchApplet { name: applet.to_owned() })?;
        Ok(ApplicationChecked::of(bundle, values))
    }

    /// The page of an applet that is there now.
    pub fn applet_page(&self, site: u32, applet: &str, version: &str) -> Option<PageFiles> {
        let is_it = |bundle: &&Arc<Bundle>| {
            let manifest = bundle.manifest();
            manifest.name == applet && manifest.version.to_string() == version
        };
        self.inner.shared.read(|state| state.applets_of(SiteId(site), unix_now())?.iter().find(is_it)?.page())
    }

    /// Why the NOC's last word about applets was not taken.
    pub fn applet_problem(&self) -> Option<ProblemView> {
        self.inner.shared.read(|state| state.applet_problem().cloned())
    }

    async fn bundles(&self, site: SiteId) -> Vec<Arc<Bundle>> {
        let known = || self.inner.shared.read(|state| state.applets_of(site, unix_now()).map(<[_]>::to_vec));
        let until = tokio::time::Instant::now() + PATIENCE;
        let (_, mut events) = self.subscribe();
        if known().is_none() {
            // A site that is new here.
            self.inner.applets.send_modify(|_| ());
        }
        loop {
            let is_connected = matches!(self.noc(), NocLink::Connected { .. });
            let is_without = *self.inner.applets.borrow() == 0;
            let gave_up = self.applet_problem().is_some() || !is_connected || is_without;
            match known() {
                Some(bundles) => return bundles,
                None if gave_up => return Vec::new(),
                None => {}
            }
            match tokio::time::timeout_at(until, events.next()).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return known().unwrap_or_default(),
            }
        }
    }
}

impl super::state::State {
    /// Changes the applets; whoever shows them hears of it.
    pub(super) fn applets(&mut self, change: impl FnOnce(&mut Applets)) {
        let (applets, is_dirty) = self.applets_mut();
        let before = applets.generation;
        change(applets);
        *is_dirty |= applets.generation != before;
    }

    fn applets_of(&self, site: SiteId, now: UnixTime) -> Option<&[Arc<Bundle>]> {
        self.applets_ref().of(site, now)
    }

    fn applet_problem(&self) -> Option<&ProblemView> {
        self.applets_ref().problem()
    }
}
