//! What is kept of how appliances stand, and what months of it come to.

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
            assert!(plan.contains("SEARCH standings USING PRIMARY KEY") && !plan.contains("SCAN standings"), "{plan}");
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
