//! Reports of availability, from beats and silence to the file.

use crate::command::{bad, good};
use crate::watching::is_health;
use crate::work::Bench;
use crate::world::{Device, World, beat};
use muster_noc::Month;
use muster_protocol::api::{BeatAnswer, Changes, Health};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

/// Seconds of a number in an answer.
fn seconds(row: &Value, name: &str) -> u64 {
    row[name].as_u64().expect("seconds")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_work_are_in_the_report_of_the_month_as_the_daemon_judged_them() {
    let world = World::new().await;
    let api = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99");
    let devices = Device::several(0..1);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    let mut after = console.http.get::<Changes>("console/changes?after=0").await.expect("changes").revision;
    let seq = console.configure(site.id, &devices).await[0];
    let path = format!("/v1/sites/{}/availability", site.id);
    let none = api.get(&path).await.good();
    assert_eq!(none, json!({ "items": [] }), "it has not reported yet, so nothing is expected");

    let (uid, http) = (devices[0].uid, devices[0].enrol(&world.anybody().await, seq).await);
    let send = async |counter| {
        let _: BeatAnswer = http.post("appliances/beats", &beat(1, counter, seq)).await.expect("taken");
    };
    send(1).await;
    is_health(&console, &mut after, uid, Health::Silent).await;
    for counter in [2, 3] {
        send(counter).await;
    }
    is_health(&console, &mut after, uid, Health::Well).await;
    let row = api.get(&path).await.good()["items"][0].clone();
    assert_eq!((&row["uid"], &row["silences"]), (&json!(uid.to_string()), &json!(1)));
    // It is judged after three intervals and the grace; it was silent since one interval after its last beat.
    let silent = seconds(&row, "silent_s");
    assert!((20..60).contains(&silent), "{row}");
    assert_eq!(seconds(&row, "longest_silence_s"), silent);
    assert!(row["percent"].as_f64().expect("counted") < 100.0, "{row}");

    let spec = json!({ "site": site.id, "for_s": 3600 });
    api.post("/v1/maintenance", spec).await.good();
    is_health(&console, &mut after, uid, Health::Maintenance).await;
    // What the daemon keeps outlives it.
    let world = world.restart().await;
    let text = world.noc.availability_csv(None, None, Some(site.id)).expect("a report");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[1].contains(&uid.to_string()), "{text}");
    let kept: (i64, i64) = world
        .database()
        .query_row(
            "SELECT sum(standing = 'silent'), sum(until IS NULL AND standing = 'maintenance') FROM standings",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("read");
    assert_eq!(kept, (1, 1));
}

#[tokio::test]
async fn a_month_comes_to_what_was_written_down_of_it_in_json_csv_and_the_command_line() {
    let bench = Bench::new().await;
    let root = bench.world.administrator().await;
    let month: Month = "2025-11".parse().expect("a month");
    let start = month.start();
    bench
        .world
        .database()
        .execute_batch(&format!(
            "INSERT INTO standings (site, appliance, since, until, standing) VALUES
                (1, 1, {}, {}, 'in_service'), (1, 1, {}, {}, 'silent'), (1, 1, {}, {}, 'in_service'),
                (1, 1, {}, {}, 'maintenance');
             INSERT INTO absences (began, ended) VALUES ({}, {});
             UPDATE sites SET name = '=1+1' WHERE id = 1;",
            start - DAY,
            start + DAY,
            start + DAY,
            start + DAY + 600,
            start + DAY + 600,
            start + 10 * DAY,
            start + 10 * DAY,
            start + 11 * DAY,
            start + 2 * DAY,
            start + 2 * DAY + 100,
        ))
        .expect("written");
    let row = root.get("/v1/sites/1/availability?month=2025-11").await.good()["items"][0].clone();
    let expected = json!({
        "uid": bench.uid().to_string(),
        "serial": row["serial"],
        "model": "Mail",
        "host_name": "mail-001",
        "since": start,
        "percent": 99.93,
        "available_s": 10 * DAY - 700,
        "silent_s": 600,
        "silences": 1,
        "longest_silence_s": 600,
        "maintenance_s": DAY,
        "noc_away_s": 100,
    });
    assert_eq!(row, expected);
    let site = root.get("/v1/availability?month=2025-11&organisation=1").await.good()["items"][0].clone();
    assert_eq!((&site["name"], &site["percent"], &site["appliances"]), (&json!("=1+1"), &json!(99.93), &json!(1)));
    assert_eq!((&site["never_silent"], &site["silent_s"]), (&json!(0), &json!(600)));
    let before = root.get("/v1/sites/1/availability?month=2025-10").await.good()["items"][0].clone();
    assert_eq!((&before["percent"], &before["available_s"]), (&json!(100.0), &json!(DAY)));
    assert_eq!(root.get("/v1/sites/1/availability?month=2025-09").await.good(), json!({ "items": [] }));

    let file = root.get("/v1/availability.csv?month=2025-11").await;
    assert_eq!(file.header("content-type"), "text/csv");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"availability-2025-11.csv\"");
    let (_, line) = file.text.trim_end().split_once('\n').expect("two lines");
    // What looks like a formula is none.
    let beginning = "2025-11,'=1+1,mail-001,";
    assert!(line.starts_with(beginning), "{line}");
    assert!(line.ends_with(&format!(",99.930,863300,600,1,600,86400,100,{start}")), "{line}");
    assert_eq!(file.text, bench.world.noc.availability_csv(Some(month), None, None).expect("a report"));
    let of_one = root.get("/v1/availability.csv?month=2025-11&site=1").await;
    assert_eq!(of_one.text, file.text);
    assert_eq!(root.get("/v1/availability.csv?month=2025-11&site=99").await.code(), "not_found");

    let refused = root.get("/v1/availability?month=2025-13").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "malformed"));
    assert!(refused.text.contains("`2025-13` is no month: write it as 2026-11"), "{}", refused.text);
    let to_come = root.get("/v1/sites/1/availability?month=9999-12").await.good();
    assert_eq!(to_come, json!({ "items": [] }), "nothing is known of what is to come");

    let dir = bench.world.dir.path().join("noc");
    let report = ["report", "availability", "--month", "2025-11"];
    let with = |more: &[&'static str]| [&report[..], more].concat();
    assert_eq!(good(&dir, &with(&["--csv"])), file.text);
    let printed = good(&dir, &with(&["--site", "1"]));
    let lines: Vec<&str> = printed.lines().collect();
    let times = "99.930 %  available 863300  silent 600 in 1  maintenance 86400  NOC away 100";
    assert_eq!(lines[0], "2025-11; months are of UTC, times in seconds");
    assert_eq!(lines[1..], [format!("=1+1  {times}"), format!("  mail-001  {times}")]);
    let whole: Value =
        serde_json::from_str(&good(&dir, &with(&["--organisation", "default", "--json"]))).expect("JSON");
    assert_eq!((&whole["month"], &whole["is_whole"]), (&json!("2025-11"), &json!(true)));
    assert_eq!(whole["sites"][0]["of"][0]["silent_s"], json!(600));
    assert!(good(&dir, &["report", "availability"]).contains(", so far;"));
    assert!(bad(&dir, &["report", "availability", "--month", "2025-1"]).contains("is no month: write it as 2026-11"));
}

#[tokio::test]
async fn a_strip_shows_what_came_and_how_the_appliance_stood() {
    let mut bench = Bench::new().await;
    for _ in 0..3 {
        bench.beat().await;
    }
    let root = bench.world.administrator().await;
    let path = format!("/v1/appliances/{}/strip", bench.uid());
    let strip = root.get(&path).await.good();
    let cells = |strip: &Value, name: &str| strip[name]["cells"].as_array().expect("cells").clone();
    let (day, days) = (cells(&strip, "day"), cells(&strip, "days"));
    assert_eq!((day.len(), days.len(), &strip["interval_s"]), (96, 90, &json!(5)));
    assert_eq!((&strip["day"]["cell_s"], &strip["days"]["cell_s"]), (&json!(900), &json!(DAY)));
    // Four beats, all a moment ago; a quarter of an hour may have begun between them.
    let sum = |cells: &[Value]| cells.iter().map(|cell| seconds(cell, "beats")).sum::<u64>();
    assert_eq!((sum(&day), sum(&days)), (4, 4));
    assert_eq!((&day[95]["state"], &days[89]["state"]), (&json!("arrived"), &json!("arrived")));
    assert_eq!((&day[0]["state"], &days[0]["state"]), (&json!("not_expected"), &json!("not_expected")));
    // Of days gone by it says what was written down.
    let start = days[40]["start"].as_u64().expect("a time");
    let sql = format!(
        "INSERT INTO standings (site, appliance, since, until, standing) VALUES (1, 1, {start}, {}, 'silent');
         INSERT INTO absences (began, ended) VALUES ({}, {});",
        start + 2 * DAY,
        start + DAY,
        start + 2 * DAY,
    );
    bench.world.database().execute_batch(&sql).expect("written");
    let days = cells(&root.get(&path).await.good(), "days");
    assert_eq!((&days[40]["state"], &days[40]["silent_s"]), (&json!("missed_all"), &json!(DAY)));
    assert_eq!((&days[41]["state"], &days[41]["noc_away_s"]), (&json!("noc_away"), &json!(DAY)));
}
