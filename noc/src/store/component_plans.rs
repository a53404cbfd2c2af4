//! What an appliance shall have, and what it has.

use super::components::{self, Repository};
use super::{appliances, rollouts, rows};
use crate::api::{ApiError, Page, Window};
use crate::components::required::{Required, merged};
use crate::components::spec::Component;
use crate::components::standing::{self, ApplianceComponents};
use crate::components::waves::{Pick, Rollout};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::{OperatorId, visible};
use data_encoding::HEXLOWER;
use muster_protocol::api::{BeatValues, RequiredComponent};
use muster_protocol::id::{SiteId, Uid};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What appliances of a model at a place shall have.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) repository: Option<Repository>,
    /// What is required, and what it comes to: none if there is no such component for them.
    pub(crate) lines: Vec<(Required, Option<Component>)>,
    pub(crate) bytes_per_s: Option<u64>,
}

impl Plan {
    /// Those that there are, in their order.
    pub(crate) fn components(&self) -> Vec<RequiredComponent> {
        let there = self.lines.iter().filter_map(|(_, component)| component.as_ref());
        let named = |component: &Component| RequiredComponent {
            name: component.name.clone(),
            version: component.version.clone(),
            target: component.target.clone(),
        };
        there.map(named).collect()
    }

    /// Changes when anything does that an appliance is told.
    pub(crate) fn revision(&self) -> String {
        let serial = self.repository.as_ref().map(|repository| repository.serial);
        let told: Vec<_> = self.components().into_iter().map(|c| (c.name, c.version, c.target)).collect();
        // Numbers and texts always serialise.
        let text = serde_json::to_vec(&(serial, told, self.bytes_per_s)).unwrap_or_default();
        HEXLOWER.encode(&Sha256::digest(text)[..8])
    }
}

/// What appliances of a model at a place shall have, of each roll-out what they have of it; none where nobody says anything.
pub(crate) fn plan(
    db: &Connection,
    organisation: u32,
    site: Option<SiteId>,
    model: &str,
    rollouts: &[(&Rollout, Pick)],
) -> Result<Option<Plan>, StoreError> {
    let Some((mut above, mut own)) = components::said_at(db, organisation, site)? else { return Ok(None) };
    for (rollout, pick) in rollouts {
        let policy = if rollout.is_sites { &mut own } else { &mut above };
        let is_its = |line: &Required| line.name == rollout.name && line.model_key() == rollout.model;
        let Some(at) = policy.required.iter().position(is_its) else { continue };
        match policy.required.get_mut(at).map(|line| (rollout.line(*pick, line), line)) {
            Some((Some(counts), line)) => *line = counts,
            _ => drop(policy.required.remove(at)),
        }
    }
    let bytes_per_s = own.bytes_per_s.or(above.bytes_per_s);
    let mut lines = Vec::new();
    for line in merged(&above, &own, model) {
        let found = components::resolve(db, organisation, line)?;
        lines.push((line.clone(), found.filter(|component| component.is_for(site, model))));
    }
    Ok(Some(Plan { repository: components::repository(db)?, lines, bytes_per_s }))
}

/// What one appliance shall have.
pub(crate) fn plan_of(db: &Connection, uid: &Uid, whose: &Whose) -> Result<Option<Plan>, StoreError> {
    let Whose { organisation, site, model } = whose;
    let found = rollouts::governing_at(db, *organisation, *site, model)?;
    let picked: Vec<_> = found.iter().map(|kept| (&kept.rollout, kept.rollout.pick(uid))).collect();
    plan(db, *organisation, *site, model, &picked)
}

/// What is asked of one appliance.
pub(crate) struct Whose {
    pub(crate) organisation: u32,
    pub(crate) site: Option<SiteId>,
    pub(crate) model: String,
}

/// Whose an appliance is, if it may ask for anything.
pub(crate) fn whose(db: &Connection, uid: &Uid) -> Result<Whose, ApiError> {
    let known = appliances::find(db, uid)?.ok_or(ApiError::ApplianceUnknown)?;
    if known.is_retired() {
        return Err(ApiError::ApplianceRetired);
    }
    let sql = "SELECT organisation FROM appliances WHERE id = ?1";
    let organisation = db.prepare_cached(sql).map_err(StoreError::from)?.query_row([known.id], |row| row.get(0));
    Ok(Whose {
        organisation: organisation.map_err(StoreError::from)?,
        site: known.record.site,
        model: known.record.model,
    })
}

/// Which appliances are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct StandingFilter {
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) site: Option<SiteId>,
    /// Only this component.
    pub(crate) component: Option<String>,
    /// Only what is required and not installed.
    pub(crate) is_behind: bool,
}

/// What appliances of a model at a place have, by what they have of its roll-outs.
struct At {
    rollouts: Vec<rollouts::Kept>,
    plans: HashMap<Vec<Pick>, Option<Plan>>,
}

/// How components stand on appliances that an operator sees, or on all, in the order in which appliances became known. A page may
/// have fewer rows than it could, and still not be the last.
pub(crate) fn standings(
    db: &Connection,
    reader: Option<OperatorId>,
    filter: &StandingFilter,
    window: Window,
) -> Result<Page<ApplianceComponents>, StoreError> {
    let seen = if reader.is_some() { visible("a.organisation", "a.site") } else { "?1 IS NULL".to_owned() };
    let sql = format!(
        "SELECT a.id, a.uid, a.organisation, a.site, a.model, a.beat FROM appliances a
         WHERE {seen} AND (?2 IS NULL OR a.organisation = ?2) AND (?3 IS NULL OR a.site = ?3)
         AND a.provisioning NOT IN ('decommissioned', 'replaced', 'handed_over') AND a.id > ?4 ORDER BY a.id LIMIT ?5"
    );
    let site = filter.site.map(|site| site.0);
    let asked = params![reader, filter.organisation, site, window.after.unwrap_or(0), window.rows()];
    let mut places: HashMap<(u32, Option<u32>, String), At> = HashMap::new();
    let found = rows(db, &sql, asked, |row| {
        let (id, uid): (i64, [u8; 20]) = (row.get(0)?, row.get(1)?);
        let (organisation, site, model): (u32, Option<u32>, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let beat: Option<String> = row.get(5)?;
        let beat: Option<BeatValues> = beat.map(|beat| appliances::from_json("beat", &beat)).transpose()?;
        Ok::<_, StoreError>((id, Uid(uid), organisation, site.map(SiteId), model, beat))
    })?;
    let mut items = Vec::with_capacity(found.len());
    for (id, uid, organisation, site, model, beat) in found {
        let key = (organisation, site.map(|site| site.0), crate::policy::values::model_key(&model));
        let at = match places.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let rollouts = rollouts::governing_at(db, organisation, site, &model)?;
                new.insert(At { rollouts, plans: HashMap::new() })
            }
        };
        let picks: Vec<Pick> = at.rollouts.iter().map(|kept| kept.rollout.pick(&uid)).collect();
        let plan = match at.plans.entry(picks) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let picked: Vec<_> =
                    at.rollouts.iter().map(|kept| &kept.rollout).zip(new.key().iter().copied()).collect();
                let found = plan(db, organisation, site, &model, &picked)?;
                new.insert(found)
            }
        };
        let reported = beat.map(|beat| beat.components).unwrap_or_default();
        let mut components = standing::compare(plan.as_ref().map_or(&[], |plan| &plan.lines), &reported);
        components.retain(|one| filter.component.as_ref().is_none_or(|name| one.name == *name));
        components.retain(|one| !filter.is_behind || one.state.is_behind());
        items.push((
            id,
            ApplianceComponents { uid, organisation: OrganisationId(organisation), site, model, components },
        ));
    }
    let page = Page::of(items, window.limit, |(id, _)| *id);
    let items = page.items.into_iter().map(|(_, item)| item).filter(|item| !item.components.is_empty()).collect();
    Ok(Page { items, next: page.next })
}
