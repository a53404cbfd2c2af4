//! What begins a roll-out, and what ends it before it is through: other words of a place, a channel that moves, and going back.

use super::super::ReleaseChannel;
use super::super::required::{ComponentPolicy, Required};
use super::super::spec::Component;
use super::super::waves::{Layer, MOST_LAYERS, Waves};
use super::{RolloutError, RolloutState, find_line, policy, record};
use crate::audit::{By, Event};
use crate::components::ComponentError;
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::store::rollouts::{self as store, Kept, New};
use crate::store::{audit, components};
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde_json::json;

/// Where something is said.
type At = (OrganisationId, Option<SiteId>);

/// A place says something else of components: what goes out in waves begins, what it takes the place of ends. Before it is kept.
pub(crate) fn said(
    db: &Connection,
    now: u64,
    by: &By,
    at: At,
    (before, after): (&ComponentPolicy, &ComponentPolicy),
) -> Result<(), ComponentError> {
    for old in before.required.iter().filter(|old| find_line(after, old).is_none()) {
        replace(db, now, by, at, old, "the component is not required here any more")?;
    }
    for new in &after.required {
        let old = find_line(before, new);
        if let Some(old) = old.filter(|old| old.asks_as(new)) {
            adjust(db, now, by, at, old, new)?;
            continue;
        }
        let Some(waves) = new.waves.as_ref() else {
            replace(db, now, by, at, new, "another version is required of all at once")?;
            continue;
        };
        let Some(component) = components::resolve(db, at.0.0, new)? else {
            if let Some(version) = &new.version {
                let why = format!("{version} of {} is not there: add it before it goes out in waves", new.name);
                return Err(ComponentError::invalid("version", why));
            }
            // It begins when the channel leads to something.
            replace(db, now, by, at, new, "its channel is required instead")?;
            continue;
        };
        let base = old.map(|old| pinned(db, at.0, old)).transpose()?;
        start(db, now, by, at, (new, waves), &component.version, (old, base))?;
    }
    Ok(())
}

/// A channel leads to another version than before: for those who follow it in waves, a roll-out begins.
pub(crate) fn channel_moved(
    db: &Connection,
    now: u64,
    by: &By,
    component: &Component,
    channel: ReleaseChannel,
    before: Option<&str>,
) -> Result<(), StoreError> {
    for (organisation, site, policy) in store::followers(db, component.organisation, &component.name)? {
        let follows = |line: &&Required| line.name == component.name && line.channel == Some(channel);
        for line in policy.required.iter().filter(follows) {
            let Some(waves) = &line.waves else { continue };
            if components::resolve(db, organisation.0, line)?.is_none_or(|found| found.id != component.id) {
                continue;
            }
            let known = store::of_line(db, organisation, site, line)?;
            let current = match &known {
                Some(kept) if kept.state == RolloutState::Back => None,
                Some(kept) => Some(kept.rollout.version.as_str()),
                None => before,
            };
            if current == Some(component.version.as_str()) {
                continue;
            }
            let version = before.map(str::to_owned);
            let base = Required { channel: None, version, waves: None, ..line.clone() };
            start(db, now, by, (organisation, site), (line, waves), &component.version, (Some(line), Some(base)))?;
        }
    }
    Ok(())
}

/// What a line comes to now, so that it stays so whatever channels do.
fn pinned(db: &Connection, organisation: OrganisationId, line: &Required) -> Result<Required, StoreError> {
    let version = match line.channel {
        Some(_) => components::resolve(db, organisation.0, line)?.map(|component| component.version),
        None => line.version.clone(),
    };
    Ok(Required { channel: None, version, waves: None, ..line.clone() })
}

/// The same is asked for, in other waves: times and limit count at once, the waves themselves for the next version.
fn adjust(db: &Connection, now: u64, by: &By, at: At, old: &Required, new: &Required) -> Result<(), StoreError> {
    if old.waves == new.waves {
        return Ok(());
    }
    let Some(kept) = store::of_line(db, at.0, at.1, new)? else { return Ok(()) };
    match &new.waves {
        None => replace(db, now, by, at, new, "it is required of all at once"),
        Some(Waves { soak_s, halt_at, within_s, .. }) => {
            let waves = Waves { soak_s: *soak_s, halt_at: *halt_at, within_s: *within_s, ..kept.waves.clone() };
            store::set_waves(db, kept.rollout.id, &waves)
        }
    }
}

/// What a line says counts for all from now on.
fn replace(db: &Connection, now: u64, by: &By, at: At, line: &Required, why: &str) -> Result<(), StoreError> {
    match store::of_line(db, at.0, at.1, line)? {
        Some(kept) => end(db, now, by, &kept, why),
        None => Ok(()),
    }
}

fn end(db: &Connection, now: u64, by: &By, kept: &Kept, why: &str) -> Result<(), StoreError> {
    // What was taken back stays so in the list; it only decides nothing any more.
    let state = if kept.state == RolloutState::Back { RolloutState::Back } else { RolloutState::Replaced };
    store::set_state(db, now, kept, (state, false), why)?;
    record(db, now, by, kept, "rollout.replace", json!({ "why": why }))
}

fn start(
    db: &Connection,
    now: u64,
    by: &By,
    (organisation, site): At,
    (line, waves): (&Required, &Waves),
    version: &str,
    (old, base): (Option<&Required>, Option<Required>),
) -> Result<(), StoreError> {
    let known = store::of_line(db, organisation, site, line)?;
    let (mut layers, mut former) = (vec![Layer { line: base, reached: None }], old.cloned());
    if let Some(kept) = &known {
        // Nobody goes back a version because the next one came before all had the last: whom that had reached keeps it meanwhile.
        layers = kept.rollout.layers.clone();
        if kept.state == RolloutState::Back {
            layers.drain(..layers.len().saturating_sub(1));
        }
        if let (Some(cut), RolloutState::Running | RolloutState::Halted) = (kept.rollout.cuts.last(), kept.state) {
            let reached = Some((kept.rollout.version.clone(), *cut));
            layers.insert(0, Layer { line: kept.rollout.line(0, line), reached });
        }
        while layers.len() > MOST_LAYERS {
            layers.remove(layers.len() - 2);
        }
        former.clone_from(&kept.former);
        end(db, now, by, kept, &format!("{version} takes its place"))?;
    }
    let bottom = layers.last().and_then(|layer| layer.line.as_ref());
    if bottom.is_some_and(|bottom| bottom.version.as_deref() == Some(version)) {
        return Ok(());
    }
    let (former, layers) = (former.as_ref(), layers.as_slice());
    let new = New { organisation, site, line, version, waves, former, layers, by: &by.actor };
    let id = store::insert(db, now, &new)?;
    let Some(kept) = store::find(db, id)? else { return Err(StoreError::Corrupt { what: "roll-out" }) };
    let from = bottom.and_then(|bottom| bottom.version.as_deref());
    record(db, now, by, &kept, "rollout.begin", json!({ "former": from, "waves": waves }))
}

/// Everybody has what they had before, and the place says what it said before.
pub(super) fn back(db: &Connection, now: u64, by: &By, kept: &Kept) -> Result<(), RolloutError> {
    let (organisation, site) = (kept.organisation, kept.site);
    let before = policy(db, organisation, site)?;
    let mut after = before.clone();
    let is_its = |line: &Required| line.name == kept.rollout.name && line.model_key() == kept.rollout.model;
    match (after.required.iter_mut().find(|line| is_its(line)), &kept.former) {
        (Some(line), Some(former)) => line.clone_from(former),
        _ => after.required.retain(|line| !is_its(line)),
    }
    let bottom = kept.rollout.layers.last().and_then(|layer| layer.line.clone());
    // A channel leads to the new version still: then this goes on to say who has what, until it leads elsewhere.
    let leads = match &kept.former {
        Some(former) if former.channel.is_some() => Some(pinned(db, organisation, former)?.version),
        _ => None,
    };
    let is_in_force = leads.is_some_and(|leads| leads != bottom.and_then(|bottom| bottom.version));
    store::set_state(db, now, kept, (RolloutState::Back, is_in_force), "")?;
    record(db, now, by, kept, "rollout.back", json!({ "wave": kept.rollout.cuts.len(), "was": kept.state }))?;
    if before == after {
        return Ok(());
    }
    let (place, action, subject) = match site {
        Some(site) => {
            components::set_site(db, site, &after)?;
            (Place::site(organisation, site), "site.components", format!("site:{site}"))
        }
        None => {
            components::set_organisation(db, organisation, &after)?;
            (Place::organisation(organisation), "organisation.components", format!("organisation:{organisation}"))
        }
    };
    let event = Event::new(place, action, subject).with(json!({ "before": before, "after": after }));
    Ok(audit::record(db, now, by, event)?)
}
