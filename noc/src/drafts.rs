//! Drafts: a change of many appliances of one site or several, reviewed as one difference and then made as one (decision 0032).

use crate::api::{ApiError, Page, Window};
use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::{Inner, Noc};
use crate::operators::access::Place;
use crate::policy::site::SiteError;
use crate::store::drafts::{self, NewRow};
use crate::store::{appliances, audit, given, organisations, policies, preview, sites, versions};
use crate::versions::checked_why;
use crate::work::{self, Edit, WorkError};
use muster_protocol::api::Problem;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Most appliances of a draft: it is made in one transaction, and beats wait for as long.
pub(crate) const MAX_ROWS: usize = 10_000;
/// Most sites of a draft.
const MAX_SITES: usize = 1_000;
/// Most lines of the difference; the rest is counted.
const MAX_LINES: usize = 200;
/// Most faults that are told at once.
const MAX_FAULTS: usize = 50;
/// Settings that are still waiting are signed anew this long before they would be over.
const RENEW_S: u64 = 2 * 86_400;

/// A draft to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "sites": [1], "title": "another name server", "changes": { "edit": { "edit": { "dns1": "192.0.2.53" } } }
}))]
pub struct DraftSpec {
    /// The sites, all of one organisation.
    #[schema(value_type = Vec<u32>, min_items = 1, max_items = 1000)]
    pub sites: Vec<SiteId>,
    /// What it is for; kept as the reason with every version.
    #[schema(min_length = 1, max_length = 256)]
    pub title: String,
    /// What is changed.
    pub changes: DraftChanges,
}

/// What a draft changes.
#[expect(clippy::large_enum_variant, reason = "one is read, once for each draft")]
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DraftChanges {
    /// Everything that the policy of each site gives now, to every configured appliance that has something else.
    Policy {},
    /// The same values for several appliances.
    Edit {
        /// What is changed; what is absent stays.
        edit: Edit,
        /// Of which; none for every configured appliance of the sites.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        uids: Vec<Uid>,
    },
    /// Other values for each.
    Rows {
        /// Each appliance once.
        rows: Vec<DraftRowSpec>,
    },
}

/// What a draft changes of one appliance.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRowSpec {
    /// The appliance.
    #[schema(value_type = String)]
    pub uid: Uid,
    /// What is changed; what is absent stays.
    pub edit: Edit,
}

/// A draft, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DraftView {
    /// Its number.
    pub id: u32,
    /// The sites of its appliances.
    #[schema(value_type = Vec<u32>)]
    pub sites: Vec<SiteId>,
    /// What it is for.
    pub title: String,
    /// When it was made, Unix seconds.
    pub made: u64,
    /// By whom, as in the audit log.
    pub made_by: String,
    /// What was decided.
    pub state: DraftState,
    /// When.
    pub decided: Option<u64>,
    /// By whom.
    pub decided_by: String,
    /// How many appliances stand how.
    pub rows: BTreeMap<DraftRowState, u32>,
}

/// What was decided about a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DraftState {
    /// Nothing yet.
    Open,
    /// It was made, or is being made as its appliances beat.
    Applied,
    /// It never will be.
    Discarded,
}

/// How one appliance of a draft stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DraftRowState {
    /// It would be changed.
    Proposed,
    /// It was changed otherwise since the draft was made.
    Stale,
    /// The change waits for its next beat.
    Waiting,
    /// The change went out with the answer to a beat.
    Given,
    /// It beats under the change.
    InForce,
    /// It has what it had before.
    Failed,
    /// A later configuration counts.
    Overtaken,
}

/// One appliance of a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DraftRowView {
    /// The appliance.
    pub uid: Uid,
    /// Its serial number, or empty.
    pub serial: String,
    /// Its model, or empty.
    pub model: String,
    /// Its site.
    pub site: Option<SiteId>,
    /// What it had when the draft was made.
    pub base: RawSettings,
    /// What it is to have.
    pub wanted: RawSettings,
    /// The columns in which they differ.
    pub changes: Vec<&'static str>,
    /// How it stands.
    pub state: DraftRowState,
    /// The version that was signed for it.
    pub version: Option<u32>,
    /// Why it failed: a stable word, or empty.
    pub reason: String,
}

/// One line of the difference that a draft makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DifferenceLine {
    /// The column.
    pub column: &'static str,
    /// What there was; empty for nothing.
    pub before: String,
    /// What there is to be.
    pub after: String,
    /// At how many appliances.
    pub appliances: u32,
}

/// What a draft changes, all appliances together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// What changes at most appliances comes first.
    pub lines: Vec<DifferenceLine>,
    /// Lines that were left out.
    pub more: u32,
}

/// Why a draft was not made or decided.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// There is none of this number.
    #[error("there is no draft {id}")]
    Unknown {
        /// The number.
        id: u32,
    },
    /// There is no such site.
    #[error("there is no site {site}")]
    UnknownSite {
        /// Its number.
        site: SiteId,
    },
    /// It names no site, or too many.
    #[error("the draft names {count} sites; it takes 1 to {MAX_SITES}")]
    Sites {
        /// How many.
        count: usize,
    },
    /// Its sites are of several organisations.
    #[error("the sites of the draft are of several organisations")]
    SeveralOrganisations,
    /// It was decided already.
    #[error("draft {id} was {} already", if *.is_applied { "applied" } else { "discarded" })]
    Decided {
        /// The number.
        id: u32,
        /// It was applied, not discarded.
        is_applied: bool,
    },
    /// Nothing would change.
    #[error("the draft changes nothing")]
    Empty,
    /// Too many appliances.
    #[error("the draft names {count} appliances; at most {MAX_ROWS} go together")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The title does not fit.
    #[error("the title is empty, longer than 256 characters or holds control characters")]
    Title,
    /// An appliance cannot be in it.
    #[error("appliance {} {why}", .uid.short())]
    Row {
        /// Which.
        uid: Uid,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Appliances do not fit; none was changed.
    #[error("{count} appliances of the draft do not fit, and none was changed: {}", .faults.join("; "))]
    Refused {
        /// How many.
        count: usize,
        /// The first of them, each with what is wrong.
        faults: Vec<String>,
    },
    /// The site's policy does not fit together.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The database did not keep it.
    #[error("the draft was not kept")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for DraftError {
    fn from(error: rusqlite::Error) -> Self {
        DraftError::Store(error.into())
    }
}

impl From<WorkError> for DraftError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(error) => DraftError::Store(error),
            _ => DraftError::Store(StoreError::Corrupt { what: "appliance of a draft" }),
        }
    }
}

impl AsProblem for DraftError {
    fn problem(&self) -> Problem {
        let (status, code, remedy) = match self {
            DraftError::Unknown { .. } => (404, "unknown_draft", "List them with `muster-noc draft list`."),
            DraftError::UnknownSite { .. } => (404, "unknown_site", "List the sites with `muster-noc site list`."),
            DraftError::Sites { .. } => (422, "draft_sites", "Name at least one site, or make several drafts."),
            DraftError::SeveralOrganisations => {
                (422, "several_organisations", "Make a draft for the sites of each organisation.")
            }
            DraftError::Decided { .. } => (409, "draft_decided", "Make another one."),
            DraftError::Empty => (409, "draft_empty", "Name appliances that have other values than these."),
            DraftError::TooMany { .. } => (413, "too_many", "Make several drafts, each of a part."),
            DraftError::Title => (422, "bad_title", "Say in a few words what the change is for."),
            DraftError::Row { .. } => {
                (422, "draft_row", "Leave it out, or configure it from a console of the site first.")
            }
            DraftError::Refused { .. } => {
                (409, "draft_refused", "Discard the draft, and make one without these appliances or with other values.")
            }
            DraftError::Site(error) => return error.problem(),
            DraftError::Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

impl Noc {
    /// Makes a draft; nothing is changed by it.
    pub fn draft(&self, spec: DraftSpec) -> Result<DraftView, DraftError> {
        self.inner.store.write_now(move |db| make(db, &By::local(), &spec))
    }

    /// The newest drafts of a site, or of all, newest first.
    pub fn drafts(&self, site: Option<SiteId>, limit: u32) -> Result<Vec<DraftView>, DraftError> {
        self.inner.store.read_now(move |db| Ok(drafts::newest(db, site, limit)?))
    }

    /// One draft, with what it changes.
    pub fn show_draft(&self, id: u32) -> Result<(DraftView, Difference), DraftError> {
        self.inner.store.read_now(move |db| Ok((find(db, id)?, difference(db, id)?)))
    }

    /// Its appliances.
    pub fn draft_rows(&self, id: u32) -> Result<Vec<DraftRowView>, DraftError> {
        self.inner.store.read_now(move |db| {
            find(db, id)?;
            Ok(drafts::rows_of(db, id, Window { limit: MAX_ROWS, after: None })?.items)
        })
    }

    /// Makes the change: of all appliances, or of none.
    pub fn apply_draft(&self, id: u32) -> Result<DraftView, DraftError> {
        let noc = self.inner.clone();
        self.inner.store.write_now(move |db| apply(db, &noc, &By::local(), id))
    }

    /// Gives the draft up.
    pub fn discard_draft(&self, id: u32) -> Result<DraftView, DraftError> {
        self.inner.store.write_now(move |db| discard(db, &By::local(), id))
    }
}

/// One, with how its appliances stand.
pub(crate) fn find(db: &Connection, id: u32) -> Result<DraftView, DraftError> {
    drafts::find(db, id)?.ok_or(DraftError::Unknown { id })
}

/// Makes a draft.
pub(crate) fn make(db: &Connection, by: &By, spec: &DraftSpec) -> Result<DraftView, DraftError> {
    let title = checked_why(&spec.title).map_err(|_| DraftError::Title)?;
    if title.is_empty() {
        return Err(DraftError::Title);
    }
    let rows = rows_for(db, spec)?;
    match rows.len() {
        0 => return Err(DraftError::Empty),
        count if count > MAX_ROWS => return Err(DraftError::TooMany { count }),
        _ => {}
    }
    let mut counts: BTreeMap<SiteId, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(row.site).or_default() += 1;
    }
    let id = drafts::add(db, clock::now(), &title, &by.actor, &rows)?;
    record(db, by, "draft.make", id, &title, &counts)?;
    find(db, id)
}

/// What a draft changes, all appliances together.
pub(crate) fn difference(db: &Connection, id: u32) -> Result<Difference, DraftError> {
    let mut counts: BTreeMap<(&'static str, String, String), u32> = BTreeMap::new();
    for (base, wanted) in drafts::settings_of(db, id)? {
        for column in preview::differences(&base, &wanted) {
            *counts.entry((column, value(&base, column), value(&wanted, column))).or_default() += 1;
        }
    }
    let mut lines: Vec<_> = counts
        .into_iter()
        .map(|((column, before, after), appliances)| DifferenceLine { column, before, after, appliances })
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.appliances));
    let more = lines.len().saturating_sub(MAX_LINES) as u32;
    lines.truncate(MAX_LINES);
    Ok(Difference { lines, more })
}

/// Makes the change.
pub(crate) fn apply(db: &Connection, noc: &Inner, by: &By, id: u32) -> Result<DraftView, DraftError> {
    let draft = open(db, id)?;
    let now = clock::now();
    let mut wanted: BTreeMap<SiteId, Vec<(Uid, RawSettings)>> = BTreeMap::new();
    let mut faults = Vec::new();
    for row in drafts::rows_of(db, id, Window { limit: MAX_ROWS, after: None })?.items {
        match (row.state, row.site.filter(|site| draft.sites.contains(site))) {
            (DraftRowState::Stale, _) => {
                faults.push(format!("{} was changed since the draft was made", row.uid.short()));
            }
            (_, None) => faults.push(format!("{} is at another site now", row.uid.short())),
            (_, Some(site)) => wanted.entry(site).or_default().push((row.uid, row.wanted)),
        }
    }
    let mut given = Vec::new();
    for (site, wanted) in &wanted {
        given.extend(work::give(db, now, noc, by, &draft.title, *site, wanted)?);
    }
    for (uid, outcome) in given {
        match outcome {
            Ok(seq) => {
                let unknown = StoreError::Corrupt { what: "appliance of a draft" };
                let appliance = appliances::find(db, &uid)?.ok_or(unknown)?;
                drafts::signed(db, id, appliance.id, versions::version_of(db, appliance.id, seq)?)?;
            }
            Err(errors) => {
                let errors: Vec<_> = errors.into_iter().map(|error| error.message).collect();
                faults.push(format!("{}: {}", uid.short(), errors.join(", ")));
            }
        }
    }
    if !faults.is_empty() {
        let count = faults.len();
        faults.truncate(MAX_FAULTS);
        // The error undoes what was signed.
        return Err(DraftError::Refused { count, faults });
    }
    drafts::decide(db, now, id, true, &by.actor)?;
    let counts = wanted.iter().map(|(site, wanted)| (*site, wanted.len())).collect();
    record(db, by, "draft.apply", id, &draft.title, &counts)?;
    find(db, id)
}

/// Gives a draft up.
pub(crate) fn discard(db: &Connection, by: &By, id: u32) -> Result<DraftView, DraftError> {
    let draft = open(db, id)?;
    drafts::decide(db, clock::now(), id, false, &by.actor)?;
    let counts = drafts::counts(db, id)?;
    record(db, by, "draft.discard", id, &draft.title, &counts)?;
    find(db, id)
}

/// Signs anew what waits for appliances that do not come: they get it when they do. What does not fit any more is left to end.
pub(crate) fn renew(db: &Connection, noc: &Inner) -> Result<(), StoreError> {
    let now = clock::now();
    for due in given::ending(db, now, now + RENEW_S)? {
        let wanted = [(due.uid, due.settings)];
        let outcome = work::give(db, now, noc, &By::noc(), &due.why, due.site, &wanted);
        match outcome {
            Ok(given) => {
                for (uid, outcome) in given {
                    match outcome {
                        Ok(seq) => drafts::renewed(db, due.appliance, due.seq, seq)?,
                        Err(errors) => tracing::warn!(%uid, ?errors, "settings that wait are not signed anew"),
                    }
                }
            }
            Err(WorkError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "settings that wait are not signed anew");
            }
        }
    }
    Ok(())
}

fn open(db: &Connection, id: u32) -> Result<DraftView, DraftError> {
    let draft = find(db, id)?;
    match draft.state {
        DraftState::Open => Ok(draft),
        state => Err(DraftError::Decided { id, is_applied: state == DraftState::Applied }),
    }
}

fn rows_for(db: &Connection, spec: &DraftSpec) -> Result<Vec<NewRow>, DraftError> {
    let ids: BTreeSet<SiteId> = spec.sites.iter().copied().collect();
    if !(1..=MAX_SITES).contains(&ids.len()) {
        return Err(DraftError::Sites { count: ids.len() });
    }
    let mut organisations = BTreeSet::new();
    for &site in &ids {
        organisations.insert(organisations::of_site(db, site)?.ok_or(DraftError::UnknownSite { site })?);
    }
    if organisations.len() > 1 {
        return Err(DraftError::SeveralOrganisations);
    }
    match &spec.changes {
        DraftChanges::Policy {} => {
            let mut rows = Vec::new();
            for &site in &ids {
                rows.extend(by_policy(db, site)?);
            }
            Ok(rows)
        }
        DraftChanges::Edit { edit, uids } if uids.is_empty() => {
            let mut uids = Vec::new();
            for &site in &ids {
                let all = appliances::at(db, site)?.into_iter();
                uids.extend(all.filter(|one| one.applied.0 > 0 && !one.is_retired()).map(|one| one.record.uid));
            }
            edited(db, &ids, uids.into_iter().map(|uid| (uid, edit.clone())), true)
        }
        DraftChanges::Edit { edit, uids } => edited(db, &ids, uids.iter().map(|uid| (*uid, edit.clone())), true),
        DraftChanges::Rows { rows } => edited(db, &ids, rows.iter().map(|row| (row.uid, row.edit.clone())), false),
    }
}

/// What a site's policy gives to those that have something else.
fn by_policy(db: &Connection, site: SiteId) -> Result<Vec<NewRow>, DraftError> {
    let found = sites::find(db, site)?.ok_or(DraftError::UnknownSite { site })?;
    let (layers, ids) = (policies::layers(db, found)?, BTreeSet::from([site]));
    let mut rows = Vec::new();
    for row in preview::of_site(db, &layers, clock::now())? {
        let (Some(_), Some(wanted), false) = (&row.current, row.settings, row.changes.is_empty()) else {
            continue;
        };
        match row_for(db, &ids, &row.uid, |_| wanted) {
            Ok(new) => rows.push(new),
            // What cannot be changed is nothing that the policy says of it.
            Err(DraftError::Row { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(rows)
}

fn edited(
    db: &Connection,
    sites: &BTreeSet<SiteId>,
    edits: impl Iterator<Item = (Uid, Edit)>,
    skips_same: bool,
) -> Result<Vec<NewRow>, DraftError> {
    let mut rows: Vec<NewRow> = Vec::new();
    let mut seen = BTreeSet::new();
    for (uid, edit) in edits {
        if !seen.insert(uid) {
            return Err(DraftError::Row { uid, why: "is in the draft twice" });
        }
        let row = row_for(db, sites, &uid, |base| edit.of(base))?;
        match (preview::differences(&row.base, &row.wanted).is_empty(), skips_same) {
            (false, _) => rows.push(row),
            (true, true) => {}
            (true, false) => return Err(DraftError::Row { uid, why: "has these settings already" }),
        }
    }
    Ok(rows)
}

fn row_for(
    db: &Connection,
    sites: &BTreeSet<SiteId>,
    uid: &Uid,
    wanted: impl FnOnce(&RawSettings) -> RawSettings,
) -> Result<NewRow, DraftError> {
    let refuse = |why| DraftError::Row { uid: *uid, why };
    // One that is elsewhere is as one that nobody knows: whoever asks may not see where it is.
    let known = appliances::find(db, uid)?;
    let at = known.and_then(|one| Some((one.record.site.filter(|site| sites.contains(site))?, one)));
    let (site, appliance) = at.ok_or_else(|| refuse("is not at a site of the draft"))?;
    if appliance.is_retired() {
        return Err(refuse("was decommissioned, replaced or handed over"));
    }
    let base = appliance.record.settings.filter(|_| appliance.applied.0 > 0);
    let base = base.ok_or_else(|| refuse("is not configured by this NOC"))?;
    Ok(NewRow { appliance: appliance.id, site, wanted: wanted(&base), base })
}

fn value(settings: &RawSettings, column: &str) -> String {
    let RawSettings { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6, .. } = settings;
    let found = match column {
        "host_name" => host_name,
        "domain" => domain,
        "address" => address,
        "netmask" => netmask,
        "gateway" => gateway,
        "dns1" => dns1,
        "dns2" => dns2,
        "address6" => address6,
        "gateway6" => gateway6,
        "ntp" => &settings.ntp,
        "search_domains" => &settings.search_domains,
        _ => &settings.application,
    };
    found.clone()
}

/// At each site, so that whoever looks after one of them finds it, with how many appliances it was there.
fn record(
    db: &Connection,
    by: &By,
    action: &'static str,
    id: u32,
    title: &str,
    counts: &BTreeMap<SiteId, usize>,
) -> Result<(), StoreError> {
    for (&site, appliances) in counts {
        let place = Place { organisation: organisations::of_site(db, site)?, site: Some(site) };
        let detail = serde_json::json!({ "title": title, "appliances": appliances, "sites": counts.len() });
        audit::record(db, clock::now(), by, Event::new(place, action, format!("draft:{id}")).with(detail))?;
    }
    Ok(())
}

/// A page of a draft's appliances.
pub(crate) fn page(db: &Connection, id: u32, window: Window) -> Result<Page<DraftRowView>, ApiError> {
    Ok(drafts::rows_of(db, id, window)?)
}
