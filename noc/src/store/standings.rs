//! How appliances stood with beats, as spans of time (decision 0040), and what months of them come to.

#[cfg(test)]
mod tests;

use super::appliances::from_json;
use super::{rows, word};
use crate::api::{Page, Window};
use crate::availability::{Absences, Month, Span, Standing, Tally, tally};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, OrganisationId, visible};
use muster_protocol::api::Health;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use utoipa::ToSchema;

/// A site's availability in a month.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SiteAvailability {
    /// The site.
    #[schema(value_type = u32)]
    pub site: SiteId,
    /// Whose it is.
    pub organisation: OrganisationId,
    /// Its name.
    pub name: String,
    /// Appliances of which beats were expected there, at some time of the month.
    pub appliances: u32,
    /// How many of them were never silent.
    pub never_silent: u32,
    /// Part of the counted time in which they were available, percent; none when nothing is counted.
    pub percent: Option<f64>,
    /// What the times of all of them come to.
    #[serde(flatten)]
    pub tally: Tally,
}

/// An appliance's availability at one site in a month.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApplianceAvailability {
    /// The appliance.
    #[serde(serialize_with = "uid")]
    #[schema(value_type = String)]
    pub uid: Uid,
    /// Its serial number.
    pub serial: String,
    /// Its model.
    pub model: String,
    /// Its host name now; empty when it has none.
    pub host_name: String,
    /// It was expected there for the first time in this month; its first second if it was before.
    pub since: u64,
    /// Part of the counted time in which it was available, percent; none when nothing is counted.
    pub percent: Option<f64>,
    /// Its times.
    #[serde(flatten)]
    pub tally: Tally,
    #[serde(skip)]
    pub(crate) row: i64,
}

/// A site in a month, with its appliances.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteReport {
    /// All of it.
    #[serde(flatten)]
    pub site: SiteAvailability,
    /// Each.
    #[serde(rename = "of")]
    pub appliances: Vec<ApplianceAvailability>,
}

/// A month, as it is printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AvailabilityReport {
    /// The month, as 2026-11.
    pub month: String,
    /// False as long as it lasts: what is told is so far.
    pub is_whole: bool,
    /// Its sites.
    pub sites: Vec<SiteReport>,
}

/// Rows of a list that is not divided.
const ALL: usize = 1 << 40;

fn uid<S: serde::Serializer>(uid: &Uid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(uid)
}

/// Notes that an appliance stands as its row says: what the status daemon, or whoever ends its service, has just written there.
pub(super) fn changed(db: &Connection, now: u64, uid: &Uid, health: Health) -> Result<(), StoreError> {
    match health {
        Health::Well | Health::Late | Health::Failing | Health::Recovering => begin(db, now, uid, Standing::InService),
        Health::Silent | Health::Unreachable => begin(db, now, uid, Standing::Silent),
        Health::Maintenance => begin(db, now, uid, Standing::Maintenance),
        Health::NotExpected | Health::NeverReported => end(db, now, uid),
    }
}

/// It has not reported for so long that there is an alert: until then nobody could expect more.
pub(super) fn never_reported(db: &Connection, now: u64, uid: &Uid) -> Result<(), StoreError> {
    begin(db, now, uid, Standing::Silent)
}

/// Ends all, at the last moment at which the NOC was known to be there: what comes after that it cannot know.
pub(super) fn end_all(db: &Connection, now: u64) -> Result<(), StoreError> {
    let alive: Option<u64> = db.query_row("SELECT alive FROM noc", [], |row| row.get(0))?;
    let ended = alive.map_or(now, |alive| alive.min(now));
    db.execute("DELETE FROM standings WHERE until IS NULL AND since >= ?1", [ended])?;
    db.execute("UPDATE standings SET until = ?1 WHERE until IS NULL", [ended])?;
    Ok(())
}

struct Open {
    site: i64,
    since: u64,
    standing: Standing,
}

fn open(db: &Connection, appliance: i64) -> Result<Option<Open>, StoreError> {
    let sql = "SELECT site, since, standing FROM standings WHERE appliance = ?1 AND until IS NULL";
    let read = |row: &rusqlite::Row<'_>| Ok(Open { site: row.get(0)?, since: row.get(1)?, standing: row.get(2)? });
    Ok(db.prepare_cached(sql)?.query_row([appliance], read).optional()?)
}

fn close(db: &Connection, appliance: i64, open: &Open, at: u64) -> Result<(), StoreError> {
    let sql = if open.since < at {
        "UPDATE standings SET until = ?4 WHERE site = ?1 AND appliance = ?2 AND since = ?3"
    } else {
        "DELETE FROM standings WHERE site = ?1 AND appliance = ?2 AND since = ?3 AND ?4 IS NOT NULL"
    };
    db.prepare_cached(sql)?.execute(params![open.site, appliance, open.since, at])?;
    Ok(())
}

fn end(db: &Connection, now: u64, uid: &Uid) -> Result<(), StoreError> {
    let sql = "SELECT id FROM appliances WHERE uid = ?1";
    let id: Option<i64> = db.prepare_cached(sql)?.query_row([uid.0], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(()) };
    match open(db, id)? {
        Some(open) => close(db, id, &open, now),
        None => Ok(()),
    }
}

fn begin(db: &Connection, now: u64, uid: &Uid, standing: Standing) -> Result<(), StoreError> {
    let sql = "SELECT id, site, last_beat, interval_s FROM appliances WHERE uid = ?1 AND site IS NOT NULL";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(i64, i64, Option<u64>, u64)> = db.prepare_cached(sql)?.query_row([uid.0], read).optional()?;
    let Some((id, site, last_beat, interval_s)) = found else { return Ok(()) };
    let mut since = now;
    if let Some(open) = open(db, id)? {
        if (open.site, open.standing) == (site, standing) {
            return Ok(());
        }
        if open.site == site && standing == Standing::Silent && open.standing == Standing::InService {
            // It is judged some intervals later; it was silent when the first beat did not come.
            since =
                last_beat.map_or(now, |last| last.saturating_add(interval_s)).clamp(open.since, now.max(open.since));
        }
        // A clock that was set back does not make time go back.
        since = since.max(open.since);
        close(db, id, &open, since)?;
        if open.since >= since && goes_on(db, (site, id), since, standing)? {
            return Ok(());
        }
    } else {
        // By a clock that was set back, one that has ended may end later than now.
        let sql = "SELECT until FROM standings WHERE site = ?1 AND appliance = ?2 ORDER BY since DESC LIMIT 1";
        let latest: Option<u64> = db.prepare_cached(sql)?.query_row(params![site, id], |row| row.get(0)).optional()?;
        since = since.max(latest.unwrap_or(0));
    }
    let sql = "INSERT INTO standings (site, appliance, since, standing) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![site, id, since, word(&standing)])?;
    Ok(())
}

/// What stood in between took no time, and before it was the same: that goes on. False when it was not.
fn goes_on(db: &Connection, (site, id): (i64, i64), at: u64, standing: Standing) -> Result<bool, StoreError> {
    let sql = "UPDATE standings SET until = NULL WHERE site = ?1 AND appliance = ?2 AND until = ?3 AND standing = ?4";
    Ok(db.prepare_cached(sql)?.execute(params![site, id, at, word(&standing)])? > 0)
}

/// When the NOC itself was away.
pub(crate) fn absences(db: &Connection, from: u64, to: u64) -> Result<Absences, StoreError> {
    let sql = "SELECT began, ended FROM absences WHERE ended > ?1 AND began < ?2";
    let found = rows(db, sql, params![from, to], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?;
    Ok(Absences::new(found))
}

/// Spans do not overlap: the last that began before a time is the only older one that can reach into it.
const SPANS: &str =
    "SELECT since, coalesce(until, ?5), standing FROM standings WHERE site = ?1 AND appliance = ?2 AND since < ?4
    AND since >= coalesce((SELECT max(since) FROM standings WHERE site = ?1 AND appliance = ?2 AND since <= ?3), 0)
    ORDER BY since";

/// How an appliance stood at a site between two times, oldest first.
pub(crate) fn spans(
    db: &Connection,
    site: SiteId,
    appliance: i64,
    from: u64,
    to: u64,
) -> Result<Vec<Span>, StoreError> {
    rows(db, SPANS, params![site.0, appliance, from, to, i64::MAX], |row| {
        Ok(Span { since: row.get(0)?, until: row.get(1)?, standing: row.get(2)? })
    })
}

/// What is counted of a month by now: none of one that has not begun.
fn counted(now: u64, month: Month) -> (u64, u64) {
    (month.start(), month.end().min(now))
}

const NEXT: &str = "SELECT min(appliance) FROM standings WHERE site = ?1 AND appliance > ?2";

/// Each appliance of a site in a month, by its number, after one of them.
struct OfSite<'a> {
    db: &'a Connection,
    site: SiteId,
    from: u64,
    to: u64,
    absences: &'a Absences,
    after: i64,
}

impl OfSite<'_> {
    /// The next one's number, from when it counts, and its times.
    fn next(&mut self) -> Result<Option<(i64, u64, Tally)>, StoreError> {
        loop {
            let asked = params![self.site.0, self.after];
            let next: Option<i64> = self.db.prepare_cached(NEXT)?.query_row(asked, |row| row.get(0))?;
            let Some(appliance) = next else { return Ok(None) };
            self.after = appliance;
            let spans = spans(self.db, self.site, appliance, self.from, self.to)?;
            let tally = tally(&spans, self.absences, self.from, self.to);
            let since = spans.iter().find(|span| span.until > self.from).map(|span| span.since.max(self.from));
            if let Some(since) = since.filter(|_| !tally.is_nothing()) {
                return Ok(Some((appliance, since, tally)));
            }
        }
    }
}

/// A site, whose it is, and its name.
type Named = (SiteId, OrganisationId, String);

/// Sites that an operator sees, by number; none for all.
fn sites(
    db: &Connection,
    reader: Option<OperatorId>,
    (organisation, site): (Option<OrganisationId>, Option<SiteId>),
    window: Window,
) -> Result<Page<Named>, StoreError> {
    let seen = visible("sites.organisation", "sites.id");
    let sql = format!(
        "SELECT id, organisation, name FROM sites WHERE (?1 IS NULL OR {seen}) AND (?2 IS NULL OR organisation = ?2) AND (?5 IS NULL OR id = ?5)
         AND id > ?3 ORDER BY id LIMIT ?4"
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows(), site.map(|site| site.0)];
    let found = rows(db, &sql, asked, |row| Ok::<_, StoreError>((SiteId(row.get(0)?), row.get(1)?, row.get(2)?)))?;
    Ok(Page::of(found, window.limit, |site| i64::from(site.0.0)))
}

/// Sites in a month, by number. `reader`: an operator, who sees what they may; none for all.
pub(crate) fn of_sites(
    db: &Connection,
    now: u64,
    month: Month,
    reader: Option<OperatorId>,
    of: (Option<OrganisationId>, Option<SiteId>),
    window: Window,
) -> Result<Page<SiteAvailability>, StoreError> {
    let page = sites(db, reader, of, window)?;
    let mut items = Vec::with_capacity(page.items.len());
    for named in page.items {
        items.push(of_site(db, now, month, named)?);
    }
    Ok(Page { items, next: page.next })
}

/// One site in a month.
fn of_site(db: &Connection, now: u64, month: Month, named: Named) -> Result<SiteAvailability, StoreError> {
    let (from, to) = counted(now, month);
    let absences = absences(db, from, to)?;
    let mut each = OfSite { db, site: named.0, from, to, absences: &absences, after: 0 };
    let mut tallies = Vec::new();
    while let Some((_, _, tally)) = each.next()? {
        tallies.push(tally);
    }
    Ok(SiteAvailability::of(named, tallies.into_iter()))
}

impl SiteAvailability {
    fn of((site, organisation, name): Named, tallies: impl Iterator<Item = Tally>) -> SiteAvailability {
        let (mut appliances, mut never_silent, mut sum) = (0, 0, Tally::default());
        for tally in tallies {
            appliances += 1;
            never_silent += u32::from(tally.silences == 0);
            sum = sum.plus(tally);
        }
        SiteAvailability { site, organisation, name, appliances, never_silent, percent: sum.percent(), tally: sum }
    }
}

/// The appliances of a site in a month, by their numbers.
pub(crate) fn of_appliances(
    db: &Connection,
    now: u64,
    month: Month,
    site: SiteId,
    window: Window,
) -> Result<Page<ApplianceAvailability>, StoreError> {
    let (from, to) = counted(now, month);
    let absences = absences(db, from, to)?;
    let mut each = OfSite { db, site, from, to, absences: &absences, after: window.after.unwrap_or(0) };
    let mut found = Vec::new();
    let sql = "SELECT uid, serial, model, settings FROM appliances WHERE id = ?1";
    while found.len() <= window.limit
        && let Some((row, since, tally)) = each.next()?
    {
        let named = |row: &rusqlite::Row<'_>| {
            Ok((Uid(row.get(0)?), row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
        };
        let (uid, serial, model, settings) = db.prepare_cached(sql)?.query_row([row], named)?;
        let settings: Option<RawSettings> = settings.as_deref().map(|text| from_json("settings", text)).transpose()?;
        let host_name = settings.map(|settings| settings.host_name).unwrap_or_default();
        let percent = tally.percent();
        found.push(ApplianceAvailability { uid, serial, model, host_name, since, percent, tally, row });
    }
    Ok(Page::of(found, window.limit, |one| one.row))
}

/// Sites in a month with all of their appliances: all that `reader` sees, or one that they do.
pub(crate) fn report(
    db: &Connection,
    now: u64,
    month: Month,
    reader: Option<OperatorId>,
    organisation: Option<OrganisationId>,
    site: Option<SiteId>,
) -> Result<Vec<SiteReport>, StoreError> {
    let all = Window { limit: ALL, after: None };
    let with_appliances = |named: Named| {
        let appliances = of_appliances(db, now, month, named.0, all)?.items;
        let site = SiteAvailability::of(named, appliances.iter().map(|one| one.tally));
        Ok(SiteReport { site, appliances })
    };
    sites(db, reader, (organisation, site), all)?.items.into_iter().map(with_appliances).collect()
}
