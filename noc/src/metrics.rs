//! Figures for Prometheus (decision 0029): how requests end, and what the database holds, counted and never named.
//!
//! They have a plain listener of their own, which takes connections from this machine only. No label is a number, name or address of
//! a customer, appliance or person, and none takes more values than the program knows.

mod text;

use crate::clock;
use crate::error::StoreError;
use crate::noc::Inner;
use crate::store::copy;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use text::{Kind, Text};

/// Upper ends of the classes of durations, in seconds. Long polls end after half a minute.
const CLASSES: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 40.0];
/// The route of requests that no route is for.
const NO_ROUTE: &str = "none";
const BEATS: &str = "/v1/appliances/beats";

/// What is counted while the NOC serves.
pub(crate) struct Figures {
    routes: BTreeMap<&'static str, Requests>,
    started: u64,
}

/// The requests for one path of the table of routes.
#[derive(Default)]
struct Requests {
    /// By method and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// One for each class, and one for what is longer than all.
    durations: [AtomicU64; CLASSES.len() + 1],
    microseconds: AtomicU64,
}

impl Figures {
    /// `paths`: those of the table of routes.
    pub(crate) fn new(paths: impl Iterator<Item = &'static str>) -> Figures {
        let routes = paths.chain([NO_ROUTE]).map(|path| (path, Requests::default())).collect();
        Figures { routes, started: clock::now() }
    }

    fn count(&self, path: Option<&str>, method: &'static str, status: StatusCode, took: Duration) {
        let requests = path.and_then(|path| self.routes.get(path)).or_else(|| self.routes.get(NO_ROUTE));
        let Some(requests) = requests else { return };
        *requests.lock().entry((method, status.as_u16())).or_default() += 1;
        let class = CLASSES.iter().position(|end| took.as_secs_f64() <= *end).unwrap_or(CLASSES.len());
        requests.durations[class].fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        requests.microseconds.fetch_add(took, Ordering::Relaxed);
    }
}

impl Requests {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(&'static str, u16), u64>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a request once it is answered.
pub(crate) async fn count(State(figures): State<Arc<Figures>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        // Anybody can invent methods.
        _ => "other",
    };
    let response = next.run(request).await;
    figures.count(path.as_ref().map(MatchedPath::as_str), method, response.status(), started.elapsed());
    response
}

/// What the listener of the figures serves.
pub(crate) fn router(noc: Arc<Inner>, figures: Arc<Figures>) -> Router {
    Router::new().route("/metrics", get(page)).with_state((noc, figures))
}

async fn page(State((noc, figures)): State<(Arc<Inner>, Arc<Figures>)>) -> Response {
    let now = clock::now();
    match noc.store.read(move |db| Held::read(db, now)).await {
        Ok(held) => {
            let page = write(&noc, &figures, &held);
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the figures were not read");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer; the log says why\n").into_response()
        }
    }
}

/// What the database holds.
struct Held {
    /// By health.
    appliances: Vec<(String, u64)>,
    /// By how they are set up.
    provisioning: Vec<(String, u64)>,
    /// Open ones, by kind.
    alerts: Vec<(String, u64)>,
    /// Of components that are not over, by where they are.
    rollouts: Vec<(String, u64)>,
    consoles: u64,
    waiting: u64,
    /// When the last backup was taken, if one was.
    last_backup: Option<u64>,
}

impl Held {
    fn read(db: &Connection, now: u64) -> Result<Held, StoreError> {
        let groups = |sql: &str| crate::store::rows(db, sql, [], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)));
        let waiting = "SELECT count(*) FROM queue WHERE state = 'waiting' AND expires >= ?1";
        Ok(Held {
            appliances: groups("SELECT health, count(*) FROM appliances GROUP BY health")?,
            provisioning: groups("SELECT provisioning, count(*) FROM appliances GROUP BY provisioning")?,
            alerts: groups("SELECT kind, count(*) FROM alerts WHERE closed IS NULL GROUP BY kind")?,
            rollouts: groups(
                "SELECT state, count(*) FROM component_rollouts WHERE state IN ('running', 'halted') GROUP BY state",
            )?,
            consoles: db.query_row("SELECT count(*) FROM consoles WHERE revoked IS NULL", [], |row| row.get(0))?,
            waiting: db.prepare_cached(waiting)?.query_row([now], |row| row.get(0))?,
            last_backup: copy::last_backup(db)?,
        })
    }
}

fn write(noc: &Inner, figures: &Figures, held: &Held) -> String {
    let mut text = Text::default();
    text.family("muster_noc_build_info", Kind::Gauge, "The program that serves");
    text.sample("muster_noc_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.one("muster_noc_start_time_seconds", Kind::Gauge, "When it began to serve, Unix time", figures.started);
    write_requests(&mut text, figures);
    for (name, help, label, groups) in [
        ("muster_noc_appliances", "Appliances of the inventory by health", "health", &held.appliances),
        ("muster_noc_appliances_set_up", "The same by how they are set up", "provisioning", &held.provisioning),
        ("muster_noc_alerts_open", "Alerts that are open, by kind", "kind", &held.alerts),
        (
            "muster_noc_component_rollouts",
            "Roll-outs of components that are running or halted",
            "state",
            &held.rollouts,
        ),
    ] {
        text.family(name, Kind::Gauge, help);
        for (value, count) in groups {
            text.sample(name, &[(label, value.as_str())], *count);
        }
    }
    text.one("muster_noc_consoles", Kind::Gauge, "Consoles that are not revoked", held.consoles);
    text.one("muster_noc_queue_waiting", Kind::Gauge, "Messages that wait for consoles", held.waiting);
    // Without a backup there is no such line: `absent()` finds that.
    if let Some(taken) = held.last_backup {
        text.one(
            "muster_noc_last_backup_time_seconds",
            Kind::Gauge,
            "When the last backup was taken, Unix time",
            taken,
        );
    }
    let waiting = noc.store.waiting() as u64;
    text.one("muster_noc_writes_waiting", Kind::Gauge, "Writes that wait for the database", waiting);
    text.family("muster_noc_database_bytes", Kind::Gauge, "Size of the database and of the journal beside it");
    for (file, name) in [("database", "noc.sqlite"), ("journal", "noc.sqlite-wal")] {
        let size = std::fs::metadata(noc.path.join(name)).map_or(0, |metadata| metadata.len());
        text.sample("muster_noc_database_bytes", &[("file", file)], size);
    }
    text.finish()
}

fn write_requests(text: &mut Text, figures: &Figures) {
    let name = "muster_noc_requests_total";
    text.family(name, Kind::Counter, "Requests by route, method and status");
    let (mut accepted, mut refused) = (0, 0);
    for (&route, requests) in &figures.routes {
        for (&(method, status), count) in requests.lock().iter() {
            match status {
                _ if route != BEATS => {}
                200 => accepted += count,
                _ => refused += count,
            }
            let status = status.to_string();
            text.sample(name, &[("route", route), ("method", method), ("status", status.as_str())], *count);
        }
    }
    let name = "muster_noc_beats_total";
    text.family(name, Kind::Counter, "Beats by what became of them");
    text.sample(name, &[("outcome", "accepted")], accepted);
    text.sample(name, &[("outcome", "refused")], refused);
    let name = "muster_noc_request_seconds";
    text.family(name, Kind::Histogram, "How long requests took, long polls included");
    for (&route, requests) in &figures.routes {
        let counts: Vec<u64> = requests.durations.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum = Duration::from_micros(requests.microseconds.load(Ordering::Relaxed)).as_secs_f64();
        if counts.iter().any(|count| *count > 0) {
            text.histogram(name, ("route", route), &CLASSES, &counts, sum);
        }
    }
}
