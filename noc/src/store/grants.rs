//! Grants: reviewed settings, checked against each other and against everybody else's, numbered and held in one transaction.

use super::appliances::{self, Appliance, json};
use super::application::{self, Chosen};
use super::consoles::Console;
use super::holdings::{self, Holdings, Wish};
use super::plans::applicant;
use super::proof::{self, Lack};
use super::versions::{self, Signed};
use super::{audit, organisations, policies, restored, word};
use crate::api::ApiError;
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::policy::allocation::Allocation;
use crate::policy::layers::Policies;
use crate::policy::reservation::{Reservations, Whose};
use crate::policy::site::Policy;
use muster_protocol::api::Provisioning;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::grant::Grant;
use muster_protocol::id::{ConsoleId, Seq, SiteId, Uid};
use muster_protocol::parameters::{Field, FieldError, Ipv6Settings, NetworkSettings, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Seconds for which a grant is good, and holds its address and name.
pub(crate) const GRANT_S: u64 = 7 * 86_400;

/// How far above ours a number may be that an appliance names. It accepts nothing but grants of our root, so a number
/// further off is no memory of what a lost database signed.
const MOST_AHEAD: u64 = 1_000_000;

/// One item of a request, read.
pub(crate) struct Asked {
    pub(crate) uid: Uid,
    pub(crate) settings: RawSettings,
    /// The sequence number that the appliance itself says it has stored.
    pub(crate) stored: Option<Seq>,
}

/// What every grant says about this NOC.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) root: PublicKey,
    pub(crate) noc: String,
    pub(crate) ca_pin: [u8; 32],
}

/// A numbered grant that is to be signed once the transaction is on disk.
pub(crate) struct Unsigned {
    pub(crate) grant: Grant,
    /// The label code, for an appliance that does not follow our root yet. A secret.
    pub(crate) claim: Option<String>,
    /// The vendor's voucher. Whether the appliance wants one, the console hears from it.
    pub(crate) voucher: Option<Vec<u8>>,
}

/// What one item of a request comes to.
pub(crate) struct Decision {
    pub(crate) uid: Uid,
    pub(crate) outcome: Result<Unsigned, Vec<FieldError>>,
}

/// Who brings a grant to its appliance, and who asked for it.
#[derive(Clone, Copy)]
pub(crate) enum Bearer<'a> {
    /// A console, by datagram.
    Console(&'a Console, &'a By),
    /// The NOC itself, with the answer to a beat, and why.
    Noc(&'a By, &'a str),
}

impl Bearer<'_> {
    fn console(self) -> Option<ConsoleId> {
        match self {
            Bearer::Console(console, _) => Some(console.id),
            Bearer::Noc(..) => None,
        }
    }

    fn by(&self) -> &By {
        let (Bearer::Console(_, by) | Bearer::Noc(by, _)) = self;
        by
    }

    /// Why, in somebody's words. What consoles plan says that itself.
    fn why(&self) -> &str {
        match self {
            Bearer::Console(..) => "",
            Bearer::Noc(_, why) => why,
        }
    }

    /// What the grant says of who may deliver it.
    fn key(self, issuer: &Issuer) -> PublicKey {
        match self {
            Bearer::Console(console, _) => console.key,
            Bearer::Noc(..) => issuer.root,
        }
    }
}

/// Decides a batch for a console.
pub(crate) fn decide(
    db: &Connection,
    now: u64,
    console: &Console,
    issuer: &Issuer,
    site: SiteId,
    items: &[Asked],
) -> Result<Vec<Decision>, ApiError> {
    console.may_use(site)?;
    decide_for(db, now, Bearer::Console(console, &By::console(console.id)), issuer, site, items)
}

/// Decides a batch.
pub(crate) fn decide_for(
    db: &Connection,
    now: u64,
    bearer: Bearer<'_>,
    issuer: &Issuer,
    site: SiteId,
    items: &[Asked],
) -> Result<Vec<Decision>, ApiError> {
    let policies = policies::of_site(db, site)?;
    holdings::expire(db, now)?;

    let mut errors: Vec<Vec<FieldError>> = vec![Vec::new(); items.len()];
    let mut wanted: Vec<Option<Wanted>> = Vec::with_capacity(items.len());
    for (item, errors) in items.iter().zip(&mut errors) {
        let want = want(db, site, &policies, item, errors)?;
        if let Some(want) = &want {
            let policy = policies.of(&want.appliance.record.model);
            let of_appliance = (&want.settings, &want.application);
            errors.extend(application::fits(now, bearer, issuer, policy, &want.appliance, of_appliance).err());
            // What goes out with a beat goes to who has shown by certificate that it follows this NOC.
            if bearer.console().is_some() {
                errors.extend(proof::lack(db, policy, &want.appliance)?.map(Lack::field_error));
            }
        }
        wanted.push(want);
    }
    let batch: BTreeMap<i64, usize> =
        wanted.iter().enumerate().filter_map(|(i, w)| w.as_ref().map(|w| (w.appliance.id, i))).collect();
    let wishes: Vec<_> = wanted.iter().flatten().map(Wanted::wish).collect();
    let mut holdings = holdings::load_for(db, site, &wishes)?;
    same_in_batch(&wanted, &mut errors);
    against_others(db, &mut holdings, &batch, &wanted, &mut errors)?;

    for (want, errors) in wanted.iter().zip(&errors) {
        // What a row holds already is extended; only what it gives up has to be free for the others.
        if let Some(want) = want.as_ref().filter(|want| errors.is_empty() && !want.is_leased(&holdings)) {
            holdings::drop_leases(db, want.appliance.id)?;
        }
    }
    let mut decisions = Vec::with_capacity(items.len());
    for ((item, want), errors) in items.iter().zip(wanted).zip(errors) {
        let outcome = match want {
            Some(want) if errors.is_empty() => Ok(grant(db, now, bearer, issuer, &policies, &holdings, want)?),
            _ => Err(errors),
        };
        decisions.push(Decision { uid: item.uid, outcome });
    }
    Ok(decisions)
}

struct Wanted {
    appliance: Appliance,
    settings: NetworkSettings,
    /// The same as it is kept: whether there are no time servers because somebody said so is in no grant.
    raw: RawSettings,
    application: Chosen,
}

impl Wanted {
    fn wish(&self) -> Wish<'_> {
        let (address, host_name) = (self.settings.address().into(), self.settings.host_name());
        Wish { appliance: self.appliance.id, address, address6: self.address6(), host_name }
    }

    fn is_leased(&self, holdings: &Holdings) -> bool {
        let wish = self.wish();
        let lease = holdings.leases.get(&wish.appliance);
        lease.is_some_and(|lease| {
            (lease.address, lease.address6, lease.host_name.as_str()) == (wish.address, wish.address6, wish.host_name)
        })
    }

    fn address6(&self) -> Option<u128> {
        self.settings.ipv6().map(|ipv6| ipv6.address().to_bits())
    }
}

fn want(
    db: &Connection,
    site: SiteId,
    policies: &Policies,
    item: &Asked,
    errors: &mut Vec<FieldError>,
) -> Result<Option<Wanted>, StoreError> {
    let appliance = appliances::find(db, &item.uid)?.filter(|a| a.record.site == Some(site));
    let Some(appliance) = appliance else {
        let message = format!("appliance {} is not planned for this site: plan it first", item.uid.short());
        errors.push(FieldError::new(Field::HostName, "not_planned", message));
        return Ok(None);
    };
    if appliance.is_retired() {
        let message =
            format!("appliance {} was decommissioned, replaced or handed over: release it first", item.uid.short());
        errors.push(FieldError::new(Field::HostName, "retired", message));
        return Ok(None);
    }
    let policy = policies.of(&appliance.record.model);
    let seq = known_seq(db, &appliance, item.stored)?;
    let appliance = Appliance { seq, ..appliance };
    let asked = application::completed(&item.settings, policy);
    let settings = match asked.validate() {
        Ok(settings) => settings,
        Err(invalid) => {
            errors.extend(invalid.0);
            return Ok(None);
        }
    };
    let application = match application::choose(&item.settings, policy) {
        Ok(application) => application,
        Err(error) => {
            errors.push(error);
            return Ok(None);
        }
    };
    let raw = RawSettings { application: application.text.clone(), ..asked.tidied() };
    let address = settings.address();
    if !policy.is_inside(address.into()) {
        let message = format!(
            "{address} is outside the site's network {}: choose an address inside it, or another site",
            policy.network()
        );
        errors.push(FieldError::new(Field::Address, "wrong_subnet", message));
    } else if policy.gateway == Some(address) {
        let message = format!("{address} is the site's gateway: choose another address");
        errors.push(FieldError::new(Field::Address, "gateway_taken", message));
    } else if policy.dns.contains(&Some(address.into())) {
        let message = format!("{address} is the site's name server: choose another address");
        errors.push(FieldError::new(Field::Address, "name_server_taken", message));
    }
    if let Some(ipv6) = settings.ipv6() {
        check_ipv6(policy, ipv6, errors);
    }
    Ok(Some(Wanted { appliance, settings, raw, application }))
}

fn check_ipv6(policy: &Policy, ipv6: Ipv6Settings, errors: &mut Vec<FieldError>) {
    let address = ipv6.address();
    let network = policy.pool6.as_ref().map(|pool| pool.network());
    let (code, message) = if let Some(network) = network.filter(|network| !network.contains(address)) {
        (
            "wrong_subnet",
            format!("{address} is outside the site's network {network}: choose an address inside it, or another site"),
        )
    } else if policy.gateway6 == Some(address) {
        ("gateway_taken", format!("{address} is the site's gateway: choose another address"))
    } else if policy.dns.contains(&Some(address.into())) {
        ("name_server_taken", format!("{address} is the site's name server: choose another address"))
    } else {
        return;
    };
    errors.push(FieldError::new(Field::Address6, code, message));
}

/// The highest number that the appliance can have accepted: ours, or its own if our database is older than what we signed.
fn known_seq(db: &Connection, appliance: &Appliance, stored: Option<Seq>) -> Result<Seq, StoreError> {
    let ours = restored::at_least(db, appliance.seq)?;
    Ok(match stored {
        Some(stored) if stored > ours && stored.0 - ours.0 <= MOST_AHEAD => {
            tracing::warn!(uid = %appliance.record.uid, ours = ours.0, stored = stored.0, "an appliance has accepted a grant that this database does not know: it was restored from an older copy");
            stored
        }
        _ => ours,
    })
}

/// Rows of the batch that want the same address or name, or that name one appliance twice.
fn same_in_batch(wanted: &[Option<Wanted>], errors: &mut [Vec<FieldError>]) {
    let mut addresses: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut addresses6: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut names: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut appliances = BTreeSet::new();
    for (i, want) in wanted.iter().enumerate() {
        let Some(want) = want else { continue };
        if !appliances.insert(want.appliance.id) {
            let message = "the same appliance is in the batch twice: remove one of the rows";
            errors[i].push(FieldError::new(Field::HostName, "duplicate_appliance", message));
            continue;
        }
        addresses.entry(want.settings.address()).or_default().push(i);
        if let Some(ipv6) = want.settings.ipv6() {
            addresses6.entry(ipv6.address()).or_default().push(i);
        }
        names.entry(want.settings.host_name()).or_default().push(i);
    }
    let addresses = addresses.into_iter().map(|(address, rows)| (Field::Address, IpAddr::V4(address), rows));
    let addresses6 = addresses6.into_iter().map(|(address, rows)| (Field::Address6, IpAddr::V6(address), rows));
    for (field, address, rows) in addresses.chain(addresses6).filter(|(_, _, rows)| rows.len() > 1) {
        for &row in &rows {
            let message = format!("{address} is given to {} appliances of this batch: choose one for each", rows.len());
            errors[row].push(FieldError::new(field, "duplicate_address", message));
        }
    }
    for (name, rows) in names.into_iter().filter(|(_, rows)| rows.len() > 1) {
        for &row in &rows {
            let message = format!("`{name}` is given to {} appliances of this batch: choose one for each", rows.len());
            errors[row].push(FieldError::new(Field::HostName, "duplicate_host_name", message));
        }
    }
}

/// Rows that want what another appliance holds. A row that is refused keeps what it held, which may refuse another row.
fn against_others(
    db: &Connection,
    holdings: &mut Holdings,
    batch: &BTreeMap<i64, usize>,
    wanted: &[Option<Wanted>],
    errors: &mut [Vec<FieldError>],
) -> Result<(), StoreError> {
    let mut kept = BTreeSet::new();
    loop {
        for (&holder, &row) in batch {
            if !errors[row].is_empty()
                && kept.insert(holder)
                && let Some(lease) = holdings.leases.get(&holder)
            {
                holdings.book.hold(lease, holder);
            }
        }
        let mut found = false;
        for (want, errors) in wanted.iter().zip(errors.iter_mut()) {
            let Some(want) = want.as_ref().filter(|_| errors.is_empty()) else { continue };
            against_reservations(holdings.book.reservations(), want, errors);
            let other = |holder: Option<i64>| holder.filter(|holder| *holder != want.appliance.id);
            let address = want.settings.address();
            if let Some(holder) = other(holdings.book.address_holder(address.into())) {
                let message = format!("{address} is held by {}: choose a free one", describe(db, holder)?);
                errors.push(FieldError::new(Field::Address, "duplicate_address", message));
            }
            if let Some(ipv6) = want.settings.ipv6()
                && let Some(holder) = other(holdings.book.address6_holder(ipv6.address().to_bits()))
            {
                let message = format!("{} is held by {}: choose a free one", ipv6.address(), describe(db, holder)?);
                errors.push(FieldError::new(Field::Address6, "duplicate_address", message));
            }
            if let Some(holder) = other(holdings.book.name_holder(want.settings.host_name())) {
                let name = want.settings.host_name();
                let message = format!("`{name}` is held by {}: choose a free one", describe(db, holder)?);
                errors.push(FieldError::new(Field::HostName, "duplicate_host_name", message));
            }
            found |= !errors.is_empty();
        }
        if !found {
            return Ok(());
        }
    }
}

/// What is kept for another appliance is not had by typing it.
fn against_reservations(reservations: &Reservations, want: &Wanted, errors: &mut Vec<FieldError>) {
    let named = applicant(&want.appliance).named;
    let (address, host_name) = (want.settings.address(), want.settings.host_name());
    let mut refuse = |field, what: String, whose: Option<&Whose>| {
        if let Some(whose) = whose {
            let message = format!("{what} is reserved for {whose}: choose another, or give up the reservation");
            errors.push(FieldError::new(field, "reserved_for_another", message));
        }
    };
    refuse(Field::Address, address.to_string(), reservations.bars_address(address.into(), named));
    if let Some(ipv6) = want.settings.ipv6() {
        let address = ipv6.address();
        refuse(Field::Address6, address.to_string(), reservations.bars_address6(address.to_bits(), named));
    }
    refuse(Field::HostName, format!("`{host_name}`"), reservations.bars_name(host_name, named));
}

fn describe(db: &Connection, holder: i64) -> Result<String, StoreError> {
    let sql = "SELECT uid, (SELECT host_name FROM host_names WHERE appliance = a.id ORDER BY until LIMIT 1)
               FROM appliances a WHERE id = ?1";
    let found: Option<([u8; 20], Option<String>)> =
        db.prepare_cached(sql)?.query_row([holder], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((uid, Some(name))) => format!("{name} ({})", Uid(uid).short()),
        Some((uid, None)) => format!("appliance {}", Uid(uid).short()),
        None => "another appliance".to_owned(),
    })
}

fn grant(
    db: &Connection,
    now: u64,
    bearer: Bearer<'_>,
    issuer: &Issuer,
    policies: &Policies,
    holdings: &Holdings,
    want: Wanted,
) -> Result<Unsigned, StoreError> {
    let address6 = want.address6();
    let Wanted { appliance, settings, raw, application } = want;
    let policy = policies.of(&appliance.record.model);
    let site = &policy.site;
    let (address, host_name) = (u32::from(settings.address()), settings.host_name().to_owned());
    let lease = holdings.leases.get(&appliance.id);
    let number = lease.filter(|lease| lease.host_name == host_name).and_then(|lease| lease.number);
    let expires = now + GRANT_S;
    holdings::lease(db, site.id, appliance.id, &Allocation { address, address6, host_name, number }, expires)?;

    let seq = appliance.seq.next();
    db.prepare_cached(
        "INSERT INTO grants (appliance, seq, site, console, settings, interval_s, issued, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        appliance.id,
        seq.0,
        site.id.0,
        bearer.console().map(|console| console.0),
        json(&raw),
        site.beat_interval_s,
        now,
        expires
    ])?;
    let revision = super::next_revision(db)?;
    db.prepare_cached("UPDATE appliances SET seq = ?2, provisioning = ?3, revision = ?4 WHERE id = ?1")?
        .execute(params![appliance.id, seq.0, word(&Provisioning::Granted), revision])?;
    let (actor, why) = (bearer.by().actor.as_str(), bearer.why());
    versions::add(db, now, &Signed { appliance: appliance.id, seq, site: site.id, settings: &raw, actor, why })?;
    let detail = serde_json::json!({ "seq": seq, "settings": raw, "expires": expires, "why": why });
    let place = Place { organisation: organisations::of_site(db, site.id)?, site: Some(site.id) };
    let event = Event::new(place, "grant.sign", format!("appliance:{}", appliance.record.uid));
    audit::record(db, now, bearer.by(), event.with(detail))?;
    let unpinned = !appliance.pinned && !appliance.claim.is_empty();
    Ok(Unsigned {
        claim: unpinned.then_some(appliance.claim),
        voucher: appliance.voucher,
        grant: unsigned(now, seq, bearer, issuer, policy, &appliance.record, (settings, application.settings)),
    })
}

/// The grant, without a signature.
pub(crate) fn unsigned(
    now: u64,
    seq: Seq,
    bearer: Bearer<'_>,
    issuer: &Issuer,
    policy: &Policy,
    appliance: &muster_protocol::api::ApplianceRecord,
    (network, application): (NetworkSettings, Option<ApplicationSettings>),
) -> Grant {
    let site = &policy.site;
    Grant {
        uid: appliance.uid,
        mac: appliance.mac,
        site: site.id,
        seq,
        parameters: Parameters {
            network,
            confirm: site.confirm,
            window_s: site.window_s,
            beat_interval_s: site.beat_interval_s,
            drift: site.drift,
            application,
        },
        console: bearer.key(issuer),
        root: issuer.root,
        issued: UnixTime(now),
        expires: UnixTime(now + GRANT_S),
        noc: issuer.noc.clone(),
        ca_pin: issuer.ca_pin,
    }
}
