//! How appliances stood with beats, as spans of time (decision 0040), and what months of them come to.

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
        // What was before it may be the same.
        let sql =
            "UPDATE standings SET until = NULL WHERE site = ?1 AND appliance = ?2 AND until = ?3 AND standing = ?4";
        if db.prepare_cached(sql)?.execute(params![site, id, since, word(&standing)])? > 0 {
            return Ok(());
        }
    }
    // So long ago that a former one ends later: as above.
    let sql = "SELECT until FROM standings WHERE site = ?1 AND appliance = ?2 ORDER BY since DESC LIMIT 1";
    let latest: Option<u64> = db.prepare_cached(sql)?.query_row(params![site, id], |row| row.get(0)).optional()?;
    let since = since.max(latest.unwrap_or(0));
    let sql = "INSERT INTO standings (site, appliance, since, standing) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![site, id, since, word(&standing)])?;
    Ok(())
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

/// Sites in a month, by number. `reader`: an operator, who sees what they may; none for all.
pub(crate) fn of_sites(
    db: &Connection,
    now: u64,
    month: Month,
    reader: Option<OperatorId>,
    (organisation, site): (Option<OrganisationId>, Option<SiteId>),
    window: Window,
) -> Result<Page<SiteAvailability>, StoreError> {
    let seen = visible("sites.organisation", "sites.id");
    let sql = format!(
        "SELECT id, organisation, name FROM sites WHERE (?1 IS NULL OR {seen}) AND (?2 IS NULL OR organisation = ?2) AND (?5 IS NULL OR id = ?5)
         AND id > ?3 ORDER BY id LIMIT ?4"
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows(), site.map(|site| site.0)];
    let sites: Vec<(u32, OrganisationId, String)> =
        rows(db, &sql, asked, |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let page = Page::of(sites, window.limit, |site| i64::from(site.0));
    let mut items = Vec::with_capacity(page.items.len());
    for (id, organisation, name) in page.items {
        items.push(of_site(db, now, month, (SiteId(id), organisation, name))?);
    }
    Ok(Page { items, next: page.next })
}

/// One site in a month.
fn of_site(
    db: &Connection,
    now: u64,
    month: Month,
    (site, organisation, name): (SiteId, OrganisationId, String),
) -> Result<SiteAvailability, StoreError> {
    let (from, to) = counted(now, month);
    let absences = absences(db, from, to)?;
    let mut each = OfSite { db, site, from, to, absences: &absences, after: 0 };
    let (mut appliances, mut never_silent, mut sum) = (0, 0, Tally::default());
    while let Some((_, _, tally)) = each.next()? {
        appliances += 1;
        never_silent += u32::from(tally.silences == 0);
        sum = sum.plus(tally);
    }
    Ok(SiteAvailability { site, organisation, name, appliances, never_silent, percent: sum.percent(), tally: sum })
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
    let sites = of_sites(db, now, month, reader, (organisation, site), all)?.items;
    let with_appliances = |site: SiteAvailability| {
        let appliances = of_appliances(db, now, month, site.site, all)?.items;
        Ok(SiteReport { site, appliances })
    };
    sites.into_iter().map(with_appliances).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::appliances::{self, NewAppliance, set_health};
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::id::Mac;
    use proptest::prelude::*;

    const INTERVAL: u64 = 60;

    /// A NOC of two sites, the first of which has so many appliances.
    fn new(count: u32) -> (tempfile::TempDir, Store) {
        let dir = tempfile::TempDir::new().expect("folder");
        let path = dir.path().join("noc.sqlite");
        std::fs::write(&path, b"").expect("file");
        let root = SecretKey::from_seed(&[1; 32]).public();
        Store::create(&path, &root).expect("tables");
        let store = Store::open(&path, &root, None).expect("opens");
        let fill = move |db: &Connection| {
            for (id, name) in [(1, "Bern"), (2, "Thun")] {
                let sql = "INSERT INTO sites (id, organisation, name, pool, netmask, gateway, domain, dns1, dns2, host_name,
                    beat_interval_s, confirm, window_s) VALUES (?1, 1, ?2, '', '', '', '', '', '', '', 60, 'kick_start', 90)";
                db.execute(sql, params![id, name])?;
            }
            for n in 0..count {
                let (uid, serial) = (device(n), format!("S{n}"));
                let mac = Mac([2, 0, (n >> 24) as u8, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
                let site = Some(SiteId(1));
                appliances::insert(db, &NewAppliance { uid, mac, serial: &serial, model: "", claim: "", site })?;
            }
            db.execute("UPDATE appliances SET interval_s = ?1", [INTERVAL])?;
            Ok::<_, StoreError>(())
        };
        store.write_now(fill).expect("kept");
        (dir, store)
    }

    fn device(n: u32) -> Uid {
        let mut uid = [1; 20];
        uid[..4].copy_from_slice(&n.to_be_bytes());
        Uid(uid)
    }

    fn read(store: &Store, site: u32) -> Vec<Span> {
        store.read_now(|db| spans(db, SiteId(site), 1, 0, 1 << 40)).expect("read")
    }

    #[test]
    fn silence_begins_when_the_first_beat_did_not_come_and_ends_with_the_next_one() {
        let (_dir, store) = new(1);
        let at = |now, last_beat: u64, health| {
            let work = move |db: &Connection| {
                db.execute("UPDATE appliances SET last_beat = ?1", [last_beat])?;
                set_health(db, now, &device(0), health)
            };
            store.write_now(work).expect("kept");
        };
        at(1_000, 0, Health::NeverReported);
        at(1_010, 1_010, Health::Well);
        at(2_075, 2_000, Health::Late);
        at(2_195, 2_000, Health::Silent);
        at(3_000, 3_000, Health::Recovering);
        at(3_060, 3_060, Health::Well);
        at(4_000, 3_960, Health::Maintenance);
        at(5_000, 3_960, Health::Late);
        // The work is over, and still it does not report: from then on it is silent.
        at(5_200, 3_960, Health::Unreachable);
        at(6_000, 6_000, Health::NotExpected);
        let span = |since, until, standing| Span { since, until, standing };
        let expected = [
            span(1_010, 2_060, Standing::InService),
            span(2_060, 3_000, Standing::Silent),
            span(3_000, 4_000, Standing::InService),
            span(4_000, 5_000, Standing::Maintenance),
            span(5_000, 6_000, Standing::Silent),
        ];
        assert_eq!(read(&store, 1), expected);
        // A month's part of it is found from the one that reaches into it.
        let part = store.read_now(|db| spans(db, SiteId(1), 1, 2_500, 3_500)).expect("read");
        assert_eq!(part, expected[1..3]);
    }

    #[test]
    fn one_that_never_reported_is_silent_from_its_alert_on() {
        let (_dir, store) = new(1);
        let work = |db: &Connection| {
            set_health(db, 100, &device(0), Health::NeverReported)?;
            never_reported(db, 400, &device(0))?;
            set_health(db, 700, &device(0), Health::Well)
        };
        store.write_now(work).expect("kept");
        let found = read(&store, 1);
        assert_eq!((found[0].since, found[0].until, found[0].standing), (400, 700, Standing::Silent));
        assert_eq!((found[1].since, found[1].standing), (700, Standing::InService));
    }

    #[test]
    fn a_restored_noc_with_other_keys_knows_nothing_of_what_came_after() {
        let (_dir, store) = new(2);
        let work = |db: &Connection| {
            set_health(db, 100, &device(0), Health::Well)?;
            set_health(db, 900, &device(1), Health::Well)?;
            super::super::monitoring::alive(db, 500)?;
            end_all(db, 2_000)
        };
        store.write_now(work).expect("kept");
        assert_eq!(read(&store, 1), [Span { since: 100, until: 500, standing: Standing::InService }]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Beat,
        Stands(Health),
        Alert,
        Move(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let healths = prop::sample::select(vec![
            Health::Well,
            Health::Late,
            Health::Failing,
            Health::Recovering,
            Health::Silent,
            Health::Unreachable,
            Health::Maintenance,
            Health::NeverReported,
            Health::NotExpected,
        ]);
        prop_oneof![
            2 => Just(Step::Beat),
            6 => healths.prop_map(Step::Stands),
            1 => Just(Step::Alert),
            1 => (1_u32..3).prop_map(Step::Move),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        /// Against a model that has a cell for each second.
        #[test]
        fn each_second_belongs_to_the_site_and_the_standing_that_a_plain_model_says(
            steps in prop::collection::vec((0_u64..200, step()), 1..25),
        ) {
            let (_dir, store) = new(1);
            let end = 6_000_usize;
            let mut model: Vec<Option<(u32, Standing)>> = vec![None; end];
            let (mut now, mut last_beat, mut site) = (0_u64, None::<u64>, 1_u32);
            for (pause, step) in steps {
                now += pause;
                let from = now as usize;
                let standing = match step {
                    Step::Beat => {
                        last_beat = Some(now);
                        let sql = "UPDATE appliances SET last_beat = ?1";
                        store.write_now(move |db| Ok::<_, StoreError>(db.execute(sql, [now])?)).expect("kept");
                        continue;
                    }
                    Step::Move(to) => {
                        site = to;
                        let sql = "UPDATE appliances SET site = ?1";
                        store.write_now(move |db| Ok::<_, StoreError>(db.execute(sql, [to])?)).expect("kept");
                        continue;
                    }
                    Step::Alert => {
                        store.write_now(move |db| never_reported(db, now, &device(0))).expect("kept");
                        Some(Standing::Silent)
                    }
                    Step::Stands(health) => {
                        store.write_now(move |db| set_health(db, now, &device(0), health)).expect("kept");
                        match health {
                            Health::NotExpected | Health::NeverReported => None,
                            Health::Silent | Health::Unreachable => Some(Standing::Silent),
                            Health::Maintenance => Some(Standing::Maintenance),
                            _ => Some(Standing::InService),
                        }
                    }
                };
                let cell = standing.map(|standing| (site, standing));
                let before = model[from];
                model[from..].fill(cell);
                if standing == Some(Standing::Silent) && before == Some((site, Standing::InService)) {
                    let due = last_beat.map_or(from, |last| (last + INTERVAL) as usize);
                    let mut at = from;
                    while at > due && model[at - 1] == before {
                        at -= 1;
                        model[at] = cell;
                    }
                }
            }
            let mut cells: Vec<Option<(u32, Standing)>> = vec![None; end];
            for site in [1, 2] {
                for span in read(&store, site) {
                    for second in span.since..span.until.min(end as u64) {
                        prop_assert!(cells[second as usize].is_none(), "two at {second}");
                        cells[second as usize] = Some((site, span.standing));
                    }
                }
            }
            prop_assert_eq!(cells, model);
        }
    }

    #[test]
    fn ten_thousand_appliances_of_two_years_are_read_by_seeks_only() {
        let (_dir, store) = new(50);
        let year = 365 * 86_400;
        let fill = move |db: &Connection| {
            let sql = "INSERT INTO standings (site, appliance, since, until, standing)
                WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 1459)
                SELECT 1, a.id, ?1 + n * 43200, ?1 + (n + 1) * 43200, iif(n % 2, 'silent', 'in_service') FROM appliances a, n";
            Ok::<_, StoreError>(db.execute(sql, [50 * year])?)
        };
        assert_eq!(store.write_now(fill).expect("kept"), 73_000);
        let look = move |db: &Connection| {
            let plan = |sql: &str, asked: &[i64]| {
                let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let found = statement.query_map(rusqlite::params_from_iter(asked), |row| row.get::<_, String>(3))?;
                Ok::<_, StoreError>(found.collect::<Result<Vec<_>, _>>()?.join("; "))
            };
            for plan in [plan(NEXT, &[1, 7])?, plan(SPANS, &[1, 1, 1, 1, 1])?] {
                assert!(
                    plan.contains("SEARCH standings USING PRIMARY KEY") && !plan.contains("SCAN standings"),
                    "{plan}"
                );
            }
            let month = Month::of(50 * year + 400 * 86_400);
            let now = 60 * year;
            let page = of_appliances(db, now, month, SiteId(1), Window { limit: 30, after: None })?;
            let rest = Window { limit: 30, after: Some(page.items[29].row) };
            let last = of_appliances(db, now, month, SiteId(1), rest)?;
            assert_eq!((page.items.len(), page.next.is_some(), last.items.len(), last.next), (30, true, 20, None));
            let half = (month.end() - month.start()) / 2;
            assert!(last.items.iter().all(|one| (one.tally.available_s, one.tally.silent_s) == (half, half)));
            let site = of_site(db, now, month, (SiteId(1), OrganisationId(1), String::new()))?;
            assert_eq!((site.appliances, site.never_silent, site.percent), (50, 0, Some(50.0)));
            assert_eq!(site.tally.available_s, 50 * half);
            Ok::<_, StoreError>(())
        };
        store.read_now(look).expect("read");
    }
}
