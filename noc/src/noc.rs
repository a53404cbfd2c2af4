//! A NOC: its data folder, opened.

mod reports;

use crate::api::Window;
use crate::audit::By;
use crate::clock;
use crate::config::{self, Config, Folder, InitError, OpenError, Options};
use crate::error::StoreError;
use crate::inventory::{self, ImportError, ImportReport};
use crate::invite::{InviteError, Token};
use crate::maintenance::{MaintenanceSpec, MaintenanceView};
use crate::monitoring::{Monitoring, MonitoringError};
use crate::operators::OrganisationId;
use crate::operators::access::DEFAULT_ORGANISATION;
use crate::policy::effective::{EffectivePolicy, effective};
use crate::policy::layers::Layers;
use crate::policy::site::{SiteError, SiteSpec};
use crate::policy::values::{OrganisationPolicy, Profile};
use crate::server::{self, Running, ServeError};
use crate::signer::Signer;
use crate::store::preview::{self, PreviewRow};
use crate::store::{self, Store, appliances, changes, consoles, policies, sites};
use crate::tls::Authority;
use muster_protocol::api::{ApplianceRecord, Site};
use muster_protocol::beat_watch::Rules;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::Connection;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A NOC. Clones are the same NOC; the database closes with the last one and with what [`Noc::serve`] started.
///
/// Functions that are not `async` wait for the disk: call them where waiting is allowed.
#[derive(Clone)]
pub struct Noc {
    pub(crate) inner: Arc<Inner>,
}

/// What a NOC consists of.
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) authority: Authority,
    pub(crate) signer: Signer,
    pub(crate) store: Arc<Store>,
    /// The port listened on, 0 before [`Noc::serve`].
    pub(crate) port: AtomicU16,
}

impl Inner {
    /// Where consoles and appliances reach this NOC, `host:port`.
    pub(crate) fn public_address(&self) -> String {
        let names = self.config.names();
        let (host, port) = names.into_iter().next().unwrap_or_default();
        let port = if port == 0 { self.port.load(Ordering::Relaxed) } else { port };
        config::join_address(&host, port)
    }
}

/// A console as its operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsoleRecord {
    /// Its number.
    pub id: ConsoleId,
    /// What it was called at enrolment.
    pub name: String,
    /// When it was enrolled, Unix seconds.
    pub enrolled: u64,
    /// When it was revoked, if it was.
    pub revoked: Option<u64>,
    /// The sites it may configure.
    pub sites: Vec<SiteId>,
}

impl Noc {
    /// Makes a data folder with new keys and opens it.
    pub fn init(dir: &Path, options: &Options) -> Result<Noc, InitError> {
        config::init(dir, options).map(Noc::of)
    }

    /// Opens a data folder.
    pub fn open(dir: &Path) -> Result<Noc, OpenError> {
        config::open(dir).map(Noc::of)
    }

    fn of(folder: Folder) -> Noc {
        let Folder { path, config, authority, signer, store } = folder;
        let (store, port) = (Arc::new(store), AtomicU16::new(0));
        Noc { inner: Arc::new(Inner { path, config, authority, signer, store, port }) }
    }

    /// Serves HTTPS at `listen`, with the status daemon, until [`Running::shutdown`] or the drop of what it returns.
    pub async fn serve(&self, listen: SocketAddr) -> Result<Running, ServeError> {
        self.serve_with(listen, Rules::default()).await
    }

    /// [`Noc::serve`] with other rules for missing beats.
    pub async fn serve_with(&self, listen: SocketAddr, rules: Rules) -> Result<Running, ServeError> {
        server::start(self.inner.clone(), listen, rules).await
    }

    /// The address to listen on, from `noc.toml`.
    pub fn listen(&self) -> SocketAddr {
        self.inner.config.listen
    }

    /// Where consoles and appliances reach this NOC, `host:port`.
    pub fn noc_address(&self) -> String {
        self.inner.public_address()
    }

    /// SHA-256 of the CA certificate's DER.
    pub fn ca_pin(&self) -> [u8; 32] {
        self.inner.authority.pin()
    }

    /// The root's public key.
    pub fn root(&self) -> PublicKey {
        self.inner.signer.root()
    }

    /// Adds a site.
    pub fn add_site(&self, spec: SiteSpec) -> Result<Site, SiteError> {
        self.add_site_to(DEFAULT_ORGANISATION, spec)
    }

    /// Adds a site to an organisation.
    pub fn add_site_to(&self, organisation: OrganisationId, spec: SiteSpec) -> Result<Site, SiteError> {
        let site = spec.into_site(SiteId(0));
        self.inner.store.write_now(move |db| changes::add_site(db, &By::local(), organisation, site))
    }

    /// Replaces a site's values. Settings in force stay as they are.
    pub fn update_site(&self, id: SiteId, spec: SiteSpec) -> Result<Site, SiteError> {
        let site = spec.into_site(id);
        self.inner.store.write_now(move |db| changes::change_site(db, &By::local(), site))
    }

    /// Every site, by number.
    pub fn sites(&self) -> Result<Vec<Site>, StoreError> {
        self.inner.store.read_now(sites::all)
    }

    /// The sites of one organisation, or all.
    pub fn sites_of(&self, organisation: Option<OrganisationId>) -> Result<Vec<Site>, StoreError> {
        self.inner.store.read_now(move |db| {
            organisation.map_or_else(|| sites::all(db), |organisation| sites::of_organisation(db, organisation))
        })
    }

    /// What an organisation says to its sites.
    pub fn organisation_policy(&self, organisation: OrganisationId) -> Result<OrganisationPolicy, StoreError> {
        self.inner.store.read_now(move |db| policies::of_organisation(db, organisation))
    }

    /// Replaces that. Settings in force stay as they are.
    pub fn set_organisation_policy(
        &self,
        organisation: OrganisationId,
        policy: OrganisationPolicy,
    ) -> Result<OrganisationPolicy, SiteError> {
        self.inner
            .store
            .write_now(move |db| changes::change_organisation_policy(db, &By::local(), organisation, policy))
    }

    /// What a site says of single models.
    pub fn site_profiles(&self, site: SiteId) -> Result<Vec<Profile>, StoreError> {
        self.inner.store.read_now(move |db| policies::profiles(db, site))
    }

    /// Replaces that.
    pub fn set_site_profiles(&self, site: SiteId, profiles: Vec<Profile>) -> Result<Vec<Profile>, SiteError> {
        self.inner.store.write_now(move |db| changes::change_profiles(db, &By::local(), site, profiles))
    }

    /// What an organisation says of silence and health.
    pub fn organisation_monitoring(&self, organisation: OrganisationId) -> Result<Monitoring, StoreError> {
        let found = self.inner.store.read_now(move |db| store::monitoring::of_organisation(db, organisation))?;
        Ok(found.unwrap_or_default())
    }

    /// Replaces that; the status daemon goes by it within a second.
    pub fn set_organisation_monitoring(
        &self,
        organisation: OrganisationId,
        monitoring: Monitoring,
    ) -> Result<(), MonitoringError> {
        self.inner.store.write_now(move |db| {
            store::monitoring::set_organisation(db, clock::now(), &By::local(), organisation, &monitoring)
        })
    }

    /// What a site says of silence and health: by itself, and what it comes to.
    pub fn site_monitoring(&self, site: SiteId) -> Result<(Monitoring, Monitoring), StoreError> {
        self.inner.store.read_now(move |db| {
            let said = store::monitoring::of_site(db, site)?.unwrap_or_default();
            Ok((said, store::monitoring::effective(db, site)?.unwrap_or_default().whole()))
        })
    }

    /// Replaces what it says by itself.
    pub fn set_site_monitoring(&self, site: SiteId, monitoring: Monitoring) -> Result<(), MonitoringError> {
        self.inner
            .store
            .write_now(move |db| store::monitoring::set_site(db, clock::now(), &By::local(), site, &monitoring))
    }

    /// Says that a site or an appliance is worked on.
    pub fn maintain(&self, spec: MaintenanceSpec) -> Result<MaintenanceView, MonitoringError> {
        self.inner.store.write_now(move |db| store::maintenance::add(db, clock::now(), &By::local(), &spec))
    }

    /// Maintenance of all sites, newest first: what is on or to come, or at most a thousand with what is over.
    pub fn maintenance(&self, with_over: bool) -> Result<Vec<MaintenanceView>, StoreError> {
        let is_over = (!with_over).then_some(false);
        let window = Window { after: None, limit: 1_000 };
        let page = self
            .inner
            .store
            .read_now(move |db| store::maintenance::page(db, clock::now(), None, None, is_over, window))?;
        Ok(page.items)
    }

    /// Ends a maintenance; false when there is none of that number, or it is over.
    pub fn end_maintenance(&self, id: u32) -> Result<bool, StoreError> {
        self.inner.store.write_now(move |db| store::maintenance::end(db, clock::now(), &By::local(), i64::from(id)))
    }

    /// What a site's policy comes to, and which rule gives each value.
    pub fn effective_policy(&self, site: SiteId) -> Result<Vec<EffectivePolicy>, SiteError> {
        self.inner.store.read_now(move |db| Ok(effective(&layers_of(db, site)?.policies()?)))
    }

    /// What a site's appliances would get if they were all configured now. Nothing is held for them.
    pub fn preview(&self, site: SiteId) -> Result<Vec<PreviewRow>, SiteError> {
        let now = clock::now();
        self.inner.store.read_now(move |db| preview::of_site(db, &layers_of(db, site)?, now))
    }

    /// Takes in a vendor's manifest (CSV of serial, mac, uid, claim, model, voucher): every line, or none.
    pub fn import_manifest(&self, csv: &str) -> Result<ImportReport, ImportError> {
        self.import_manifest_to(DEFAULT_ORGANISATION, csv)
    }

    /// [`Noc::import_manifest`] for an organisation. What another one has is refused.
    pub fn import_manifest_to(&self, organisation: OrganisationId, csv: &str) -> Result<ImportReport, ImportError> {
        let rows = inventory::parse(csv)?;
        let (root, now) = (self.root(), clock::now());
        self.inner
            .store
            .write_now(move |db| store::inventory::import(db, now, &By::local(), &root, organisation, &rows))
    }

    /// Every appliance of the inventory.
    pub fn appliances(&self) -> Result<Vec<ApplianceRecord>, StoreError> {
        let rows = self.inner.store.read_now(appliances::all)?;
        Ok(rows.into_iter().map(|row| row.record).collect())
    }

    /// Takes an appliance out of its site, so that another one may plan it; false when it is not known. It keeps what it
    /// is set to until it is configured anew. Its beats are no longer expected.
    pub fn release(&self, uid: &Uid) -> Result<bool, StoreError> {
        let uid = *uid;
        self.inner.store.write_now(move |db| store::inventory::release(db, clock::now(), &By::local(), &uid))
    }

    /// A new invite for one console to some sites, as text to paste. It is shown this once.
    pub fn invite(&self, sites: &[SiteId], ttl: Duration) -> Result<String, InviteError> {
        if !(1..=16).contains(&sites.len()) {
            return Err(InviteError::Sites { count: sites.len() });
        }
        let token = Token::generate()?;
        let (now, hash, sites) = (clock::now(), token.hash(), sites.to_vec());
        let expires = now.saturating_add(ttl.as_secs());
        self.inner.store.write_now(move |db| consoles::invite(db, now, &By::local(), &hash, expires, &sites))?;
        Ok(token.text(&self.noc_address(), &self.ca_pin(), expires))
    }

    /// Every console, by number.
    pub fn consoles(&self) -> Result<Vec<ConsoleRecord>, StoreError> {
        self.inner.store.read_now(consoles::all)
    }

    /// Revokes a console, from its next request on; false when there is none of that number.
    pub fn revoke_console(&self, id: ConsoleId) -> Result<bool, StoreError> {
        self.inner.store.write_now(move |db| consoles::revoke(db, clock::now(), &By::local(), id))
    }

    /// Puts the history where it stays, as happens every few minutes while the NOC serves.
    pub fn fold_history(&self) -> Result<(), StoreError> {
        store::history::fold::all_now(&self.inner.store, clock::now())
    }

    /// How many beats the history holds.
    pub fn beats_held(&self) -> Result<u64, StoreError> {
        self.inner.store.read_now(store::history::held)
    }

    /// Sets the largest size of the database until the NOC is opened again; `None` for no limit but the disk's.
    pub fn limit_database(&self, mib: Option<u32>) -> Result<(), StoreError> {
        self.inner.store.write_now(move |db| store::limit_size(db, mib))
    }
}

fn layers_of(db: &Connection, site: SiteId) -> Result<Layers, SiteError> {
    let found = sites::find(db, site)?.ok_or(SiteError::UnknownSite { site })?;
    Ok(policies::layers(db, found)?)
}
