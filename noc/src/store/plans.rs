//! Plans: what each appliance of a batch would get, allocated in one transaction.

use super::appliances::{self, Appliance, NewAppliance, from_json};
use super::application;
use super::consoles::Console;
use super::grants::{Bearer, Issuer};
use super::holdings::{self, Holdings};
use super::{fleet, organisations, policies};
use super::{proof, retirement};
use crate::api::ApiError;
use crate::audit::By;
use crate::error::{StoreError, problem};
use crate::policy::allocation::{Allocation, AllocationError, Applicant};
use crate::policy::layers::Policies;
use crate::policy::reservation::{Named, Reservation};
use crate::policy::site::Policy;
use muster_protocol::api::{Ownership, Plan, PlanRow, Problem, Provisioning};
use muster_protocol::crypto::claim::{ClaimError, ClaimSecret};
use muster_protocol::id::{Mac, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::result::Reason;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// Seconds for which a plan holds its addresses and names.
pub(crate) const LEASE_S: u64 = 15 * 60;

/// What rules call these.
const TIME_SERVERS: &str = "time servers";
const SEARCH_DOMAINS: &str = "search domains";

/// One appliance to plan for, read from the request.
pub(crate) struct Asked {
    pub(crate) uid: Uid,
    pub(crate) mac: Mac,
    pub(crate) claim: Option<Result<ClaimSecret, ClaimError>>,
    /// It has no owner and accepts only a voucher.
    pub(crate) wants_voucher: bool,
    /// What it says of itself, by its own signed answer.
    pub(crate) said: Option<proof::Said>,
}

/// Plans a batch for a console's site. Asking again gives the same, and holds it longer.
pub(crate) fn plan(
    db: &Connection,
    now: u64,
    (console, issuer): (&Console, &Issuer),
    site: SiteId,
    asked: &[Asked],
) -> Result<Plan, ApiError> {
    console.may_use(site)?;
    let (policies, by) = (policies::of_site(db, site)?, By::console(console.id));
    holdings::expire(db, now)?;
    let mut holdings = holdings::load(db, site)?;
    let expires = now + LEASE_S;
    let mut rows = Vec::with_capacity(asked.len());
    for one in asked {
        let (ownership, appliance, problem) = own(db, now, site, one)?;
        let mut row = PlanRow { uid: one.uid, ownership, settings: None, rules: BTreeMap::new(), problem };
        if let Some(appliance) = appliance {
            let policy = policies.of(&appliance.record.model);
            if let Some(lack) = proof::judge(db, policy, &appliance, one.said)? {
                row.problem = Some(lack.problem());
                rows.push(row);
                continue;
            }
            match settle(db, &policies, &mut holdings, &appliance, expires)? {
                Ok((mut settings, mut rules)) => {
                    let completed = application::completed(&settings, policy);
                    for (column, what, is_new) in [
                        ("ntp", TIME_SERVERS, completed.ntp != settings.ntp),
                        ("search_domains", SEARCH_DOMAINS, completed.search_domains != settings.search_domains),
                    ] {
                        if is_new {
                            rules.insert(column.to_owned(), format!("{} {what}", policy.source(column)));
                        }
                    }
                    settings = completed;
                    if settings.application.is_empty() && !policy.site.application.is_empty() {
                        settings.application.clone_from(&policy.site.application);
                        rules.insert("application".to_owned(), rule_of_application(policy));
                    }
                    let bearer = Bearer::Console(console, &by);
                    row.problem = unfit(now, bearer, issuer, policy, &appliance, &settings);
                    row.rules = rules;
                    row.settings = Some(settings);
                }
                Err(error) => row.problem = Some(explain(policy, &error)),
            }
        }
        rows.push(row);
    }
    Ok(Plan { site, expires, rows })
}

/// Why these settings cannot go to an appliance; the others have been checked, or are checked when a grant is asked for.
fn unfit(
    now: u64,
    bearer: Bearer<'_>,
    issuer: &Issuer,
    policy: &Policy,
    appliance: &Appliance,
    settings: &RawSettings,
) -> Option<Problem> {
    let network = settings.validate().ok()?;
    let chosen = application::choose(settings, policy);
    let fits = chosen.and_then(|chosen| application::fits(now, bearer, issuer, policy, appliance, (&network, &chosen)));
    let error = fits.err()?;
    Some(problem(422, &error.code, &error.message, "Shorten them in the policy or for this appliance."))
}

fn rule_of_application(policy: &Policy) -> String {
    format!("{} application settings", policy.source("application"))
}

type Owned = (Ownership, Option<Appliance>, Option<Problem>);

/// Whether the site may configure an appliance; takes it over when it is free.
fn own(db: &Connection, now: u64, site: SiteId, asked: &Asked) -> Result<Owned, ApiError> {
    let known = appliances::find(db, &asked.uid)?;
    if known.is_some()
        && fleet::place_of(db, &asked.uid)?.and_then(|place| place.organisation) != organisations::of_site(db, site)?
    {
        // Nothing of what the other one knows is said. That it is not free is all that whoever holds the appliance learns.
        let problem = match asked.claim {
            None => unclaimed(asked),
            Some(_) => problem(
                409,
                "claim_of_another",
                format!("appliance {} cannot be claimed here", asked.uid.short()),
                "Ask who runs the NOC: it is in another inventory.",
            ),
        };
        return Ok((Ownership::Unclaimed, None, Some(problem)));
    }
    if known.as_ref().is_some_and(Appliance::is_retired) {
        let problem = problem(
            409,
            "retired",
            format!("appliance {} was decommissioned, replaced or handed over", asked.uid.short()),
            "If it shall serve again, release it first: `muster-noc inventory release UID` at the NOC.",
        );
        return Ok((Ownership::OtherSite, None, Some(problem)));
    }
    if let Some(known) = &known
        && let Some(other) = known.record.site
        && other != site
        && (known.record.provisioning != Provisioning::Known || holdings::holds_any(db, known.id)?)
    {
        let problem = problem(
            409,
            "other_site",
            format!("appliance {} belongs to another site", asked.uid.short()),
            "Plan it from a console of that site, or release it: `muster-noc inventory release UID` at the NOC.",
        );
        return Ok((Ownership::OtherSite, None, Some(problem)));
    }
    if asked.wants_voucher
        && let Some(problem) = voucher_problem(db, now, asked, known.as_ref())?
    {
        return Ok((Ownership::NoVoucher, None, Some(problem)));
    }
    let claim = match (&asked.claim, &known) {
        // A label code is of no use to it.
        (_, Some(_)) if asked.wants_voucher => None,
        (Some(Err(error)), _) => {
            let remedy = "Read the code from the label again; it has five groups of four.";
            let problem = problem(422, claim_code(error), error, remedy);
            let ownership = if known.is_some() { Ownership::Owned } else { Ownership::Unclaimed };
            return Ok((ownership, None, Some(problem)));
        }
        (Some(Ok(secret)), _) => Some(secret.reveal()),
        (None, Some(known)) if was_refused(db, known)? => {
            let problem = problem(
                409,
                "claim_refused",
                format!("appliance {} did not open what was sealed with the label code known here", asked.uid.short()),
                "Type the code from its label again.",
            );
            return Ok((Ownership::Unclaimed, None, Some(problem)));
        }
        (None, Some(_)) => None,
        (None, None) => return Ok((Ownership::Unclaimed, None, Some(unclaimed(asked)))),
    };
    match (known, claim) {
        (None, claim) => {
            let claim = claim.unwrap_or_default();
            let new =
                NewAppliance { uid: asked.uid, mac: asked.mac, serial: "", model: "", claim: &claim, site: Some(site) };
            appliances::insert(db, &new)?;
        }
        (Some(known), claim) => {
            // The label in somebody's hand is nearer to the truth than a manifest.
            if let Some(claim) = claim {
                appliances::set_claim(db, known.id, &claim)?;
                if known.record.provisioning == Provisioning::Failed && known.applied.0 == 0 {
                    // What failed was another code.
                    appliances::set_provisioning(db, known.id, Provisioning::Known)?;
                }
            }
            if known.record.site != Some(site) || known.record.mac != asked.mac {
                appliances::place(db, known.id, site, asked.mac)?;
            }
        }
    }
    let appliance = appliances::find(db, &asked.uid)?;
    Ok((Ownership::Owned, appliance, None))
}

fn unclaimed(asked: &Asked) -> Problem {
    problem(
        404,
        "unclaimed",
        format!("appliance {} is not in the inventory", asked.uid.short()),
        "Type the code from its label, or import the vendor's manifest.",
    )
}

/// Why there is no voucher for an appliance that wants one.
fn voucher_problem(
    db: &Connection,
    now: u64,
    asked: &Asked,
    known: Option<&Appliance>,
) -> Result<Option<Problem>, StoreError> {
    let uid = asked.uid.short();
    let ask = "Give the vendor the key that `muster-noc voucher root` prints, and import the manifest that comes back.";
    let Some((known, signed)) = known.and_then(|known| known.voucher.as_ref().map(|signed| (known, signed))) else {
        let title =
            format!("appliance {uid} takes a NOC only on its vendor's word, and no voucher for it was imported");
        return Ok(Some(problem(404, "no_voucher", title, ask)));
    };
    let voucher = Voucher::read(signed).map_err(|_| StoreError::Corrupt { what: "voucher" })?;
    if voucher.expires.is_some_and(|expires| expires.0 < now) {
        return Ok(Some(problem(409, "voucher_ended", format!("the voucher for appliance {uid} has ended"), ask)));
    }
    if last_refusal(db, known)?.as_deref() == Some(Reason::VoucherRefused.code()) {
        let title = format!("appliance {uid} did not take the voucher known here");
        return Ok(Some(problem(409, "voucher_refused", title, ask)));
    }
    Ok(None)
}

/// The last grant was sealed with the label code and did not open: another try with the same code would be wasted.
fn was_refused(db: &Connection, known: &Appliance) -> Result<bool, StoreError> {
    Ok(!known.pinned && last_refusal(db, known)?.as_deref() == Some(Reason::NotOpened.code()))
}

/// Why the last grant of an appliance that never had one in force came to nothing.
fn last_refusal(db: &Connection, known: &Appliance) -> Result<Option<String>, StoreError> {
    if known.applied.0 > 0 || known.record.provisioning != Provisioning::Failed {
        return Ok(None);
    }
    let sql = "SELECT reason FROM grants WHERE appliance = ?1 AND seq = ?2";
    Ok(db.prepare_cached(sql)?.query_row(params![known.id, known.seq.0], |row| row.get(0)).optional()?)
}

type Settled = (RawSettings, BTreeMap<String, String>);

/// The settings of one appliance: those it has, those granted already, or those the policy gives.
fn settle(
    db: &Connection,
    policies: &Policies,
    holdings: &mut Holdings,
    appliance: &Appliance,
    expires: u64,
) -> Result<Result<Settled, AllocationError>, StoreError> {
    if let Some(settings) = &appliance.record.settings {
        return Ok(Ok(same_rule(settings.clone(), "its current settings")));
    }
    let policy = policies.of(&appliance.record.model);
    let held = holdings.leases.get(&appliance.id).cloned();
    if appliance.record.provisioning == Provisioning::Granted
        && let Some(held) = &held
        && let Some(settings) = granted(db, appliance, held)?
    {
        holdings::lease(db, policy.site.id, appliance.id, held, expires)?;
        return Ok(Ok(same_rule(settings, &format!("grant {}, not yet confirmed", appliance.seq))));
    }
    if let Some(held) = &held
        && let Some(settings) = retirement::planned(db, appliance.id, held)?
    {
        holdings::lease(db, policy.site.id, appliance.id, held, expires)?;
        return Ok(Ok(same_rule(settings, "the appliance that it replaces")));
    }
    let applicant = applicant(appliance);
    let allocation = match holdings.book.allocate(policy, applicant, held.as_ref()) {
        Ok(allocation) => allocation,
        Err(error) => return Ok(Err(error)),
    };
    if held.as_ref() != Some(&allocation) {
        holdings::drop_leases(db, appliance.id)?;
    }
    holdings::lease(db, policy.site.id, appliance.id, &allocation, expires)?;
    holdings.leases.insert(appliance.id, allocation.clone());
    let rules = rules_of(policy, holdings.book.reservations().of(applicant.named));
    Ok(Ok((policy.settings(allocation), rules)))
}

/// An appliance as the book of its site knows it.
pub(crate) fn applicant(appliance: &Appliance) -> Applicant<'_> {
    let record = &appliance.record;
    let named = Named { uid: &record.uid, mac: record.mac, serial: &record.serial };
    Applicant { holder: appliance.id, named, model: &record.model }
}

/// The last grant's settings, while the appliance still holds their address and name.
fn granted(db: &Connection, appliance: &Appliance, held: &Allocation) -> Result<Option<RawSettings>, StoreError> {
    let sql = "SELECT settings FROM grants WHERE appliance = ?1 AND seq = ?2";
    let text: Option<String> =
        db.prepare_cached(sql)?.query_row(params![appliance.id, appliance.seq.0], |row| row.get(0)).optional()?;
    let settings: Option<RawSettings> = text.as_deref().map(|text| from_json("granted settings", text)).transpose()?;
    Ok(settings.filter(|settings| held.is_of(settings)))
}

/// Which rule gives each value, by column.
pub(crate) fn rules_of(policy: &Policy, reserved: Option<&Reservation>) -> BTreeMap<String, String> {
    let site = &policy.site;
    let from = |value: &str, what: &str| format!("{} {what}", policy.source(value));
    let mut rules = BTreeMap::from([
        ("host_name".to_owned(), from("host_name", &format!("host-name template {}", site.host_name))),
        ("address".to_owned(), from("pool", &format!("pool {}", site.pool))),
        ("netmask".to_owned(), from("netmask", "netmask")),
        ("domain".to_owned(), from("domain", "domain")),
    ]);
    if !site.pool6.is_empty() {
        rules.insert("address6".to_owned(), from("pool6", &format!("IPv6 pool {}", site.pool6)));
    }
    let optional =
        [("gateway", &site.gateway), ("dns1", &site.dns1), ("dns2", &site.dns2), ("gateway6", &site.gateway6)];
    for (column, value) in optional {
        if !value.is_empty() {
            rules.insert(column.to_owned(), from(column, column));
        }
    }
    for (column, what, value) in
        [("ntp", TIME_SERVERS, &site.ntp), ("search_domains", SEARCH_DOMAINS, &site.search_domains)]
    {
        if !value.is_empty() {
            rules.insert(column.to_owned(), from(column, what));
        }
    }
    if !site.application.is_empty() {
        rules.insert("application".to_owned(), rule_of_application(policy));
    }
    if let Some(reserved) = reserved {
        let columns = [
            ("address", reserved.address.is_some()),
            ("address6", reserved.address6.is_some() && policy.pool6.is_some()),
            ("host_name", reserved.host_name.is_some()),
        ];
        for (column, _) in columns.into_iter().filter(|(_, is_reserved)| *is_reserved) {
            rules.insert(column.to_owned(), "reservation".to_owned());
        }
    }
    rules
}

fn same_rule(settings: RawSettings, rule: &str) -> Settled {
    let columns = ["host_name", "domain", "address", "netmask", "gateway", "dns1", "dns2"];
    let ipv6 = ["address6", "gateway6"].into_iter().filter(|_| !settings.address6.is_empty());
    let others =
        [("ntp", &settings.ntp), ("search_domains", &settings.search_domains), ("application", &settings.application)];
    let others = others.into_iter().filter(|(_, value)| !value.is_empty()).map(|(column, _)| column);
    let rules =
        columns.into_iter().chain(ipv6).chain(others).map(|column| (column.to_owned(), rule.to_owned())).collect();
    (settings, rules)
}

fn claim_code(error: &ClaimError) -> &'static str {
    match error {
        ClaimError::Form { .. } => "claim_malformed",
        ClaimError::Check => "claim_mistyped",
    }
}

/// Why there is nothing for an appliance, and what to do.
pub(crate) fn explain(policy: &Policy, error: &AllocationError) -> Problem {
    let (code, remedy) = match error {
        AllocationError::PoolExhausted { .. } => (
            "pool_exhausted",
            format!(
                "Widen the pool of site {}, or wait until plans that nobody finished give addresses back.",
                policy.site.name
            ),
        ),
        AllocationError::Name(_) => {
            ("host_name_impossible", "Type a host name for it, or change the site's host-name template.".to_owned())
        }
        AllocationError::ReservedHeld { .. } => (
            "reserved_held",
            "Give the other appliance other settings, or reserve something else for this one.".to_owned(),
        ),
        AllocationError::NameTaken { .. } => (
            "host_name_taken",
            "Type another host name for it, or add {n} to the site's host-name template.".to_owned(),
        ),
    };
    problem(409, code, error, &remedy)
}
