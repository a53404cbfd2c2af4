//! The HTTPS interface: its routes, who may use them, and how errors are told.
//!
//! Consoles and appliances: [`muster_protocol::api`]. Operators: `operators`, described by what `openapi` makes of the table here,
//! and `face`, the pages for their browsers.

mod answer;
mod applets;
mod appliances;
mod caller;
mod components;
mod consoles;
mod documentation;
mod face;
mod fault;
mod openapi;
mod operators;
mod places;
mod problem;
mod public;
mod queue;
mod rates;
mod request;
mod route;
mod work;

pub(crate) use answer::{Page, Window};
pub(crate) use components::Downloads;
pub(crate) use fault::{Fault, Refused};
pub(crate) use operators::{checked_note, checked_silence};
pub(crate) use places::Places;
pub(crate) use problem::ApiError;
pub(crate) use rates::{APPLIANCE_PER_S, ORGANISATION_PER_S, Rates, TooFast};
pub use route::RouteInfo;

use crate::metrics::{self, Figures};
use crate::noc::Inner;
use crate::operators::OperatorId;
use crate::operators::limit::Attempts;
use crate::operators::password::Comparisons;
use crate::tls::Identities;
use crate::watch::Notice;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use muster_protocol::id::ConsoleId;
use route::{Audience, Route};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

/// Longest time for one request, long polls included.
const REQUEST: Duration = Duration::from_secs(40);

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) noc: Arc<Inner>,
    pub(crate) notices: UnboundedSender<Notice>,
    /// Ends long polls when the NOC stops.
    pub(crate) stop: CancellationToken,
    /// Large bodies that consoles have here.
    pub(crate) uploads: Places<ConsoleId>,
    /// Streams of events that operators have here.
    pub(crate) streams: Places<OperatorId>,
    /// Files of components that go out.
    pub(crate) downloads: Downloads,
    pub(crate) attempts: Attempts,
    pub(crate) comparisons: Comparisons,
    pub(crate) figures: Arc<Figures>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) identities: Arc<Identities>,
}

impl App {
    /// Tells the status daemon. It may have stopped already, when the NOC is stopping.
    pub(crate) fn tell(&self, notices: Vec<Notice>) {
        for notice in notices {
            let _ = self.notices.send(notice);
        }
    }
}

/// The table of routes. `tests/noc/isolation.rs` has an entry for each.
fn routes() -> Vec<Route> {
    use Audience::{Anybody, Appliances, Consoles};
    let mut routes = vec![
        Route::get("/v1/ca", Anybody, public::ca)
            .says("documentation", "The NOC's certificate authority")
            .sends("application/pem-certificate-chain"),
        Route::get("/v1/openapi.json", Anybody, documentation::document)
            .says("documentation", "This description")
            .sends("application/json"),
        Route::get("/v1/docs", Anybody, documentation::page)
            .says("documentation", "This description, to be read by people")
            .sends("text/html"),
        Route::get("/v1/docs/style.css", Anybody, documentation::style)
            .says("documentation", "How it looks")
            .sends("text/css"),
        Route::post("/v1/consoles/enrol", Anybody, public::enrol_console),
        Route::post("/v1/appliances/enrol", Anybody, public::enrol_appliance),
        Route::post("/v1/appliances/beats", Appliances, appliances::beats),
        Route::post("/v1/appliances/logs", Appliances, work::logs),
        Route::post("/v1/appliances/farewells", Appliances, work::farewells),
        Route::get("/v1/appliances/components", Appliances, components::plan),
        Route::get("/v1/appliances/components/metadata/{file}", Appliances, components::metadata),
        Route::get("/v1/appliances/components/targets/{file}", Appliances, components::target),
        Route::get("/v1/console/sites", Consoles, consoles::sites),
        Route::get("/v1/console/appliances", Consoles, consoles::appliances),
        Route::get("/v1/console/appliances/{uid}/beats", Consoles, consoles::history),
        Route::post("/v1/console/plans", Consoles, consoles::plan),
        Route::post("/v1/console/grants", Consoles, consoles::grants),
        Route::post("/v1/console/results", Consoles, consoles::results),
        Route::get("/v1/console/alerts", Consoles, consoles::alerts),
        Route::post("/v1/console/alerts/{alert}/acknowledgement", Consoles, consoles::acknowledge),
        Route::post("/v1/console/alerts/{alert}/silence", Consoles, consoles::silence),
        Route::get("/v1/console/applets", Consoles, applets::releases),
        Route::post("/v1/console/applets/bundles", Consoles, applets::bundle),
        Route::get("/v1/console/changes", Consoles, consoles::changes),
        Route::get("/v1/console/queue", Consoles, queue::messages),
        Route::post("/v1/console/queue/reports", Consoles, queue::reports),
    ];
    routes.extend(operators::routes());
    routes
}

/// What the NOC serves, route by route.
pub fn route_table() -> Vec<RouteInfo> {
    routes().iter().map(Route::info).collect()
}

/// Nothing counted yet, for each of the routes.
pub(crate) fn figures() -> Figures {
    Figures::new(routes().iter().map(|route| route.path))
}

/// The routes, ready to serve.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(face::serve)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(app.figures.clone(), metrics::count))
        .with_state(app)
}

async fn in_time(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout.into_response(),
    };
    // Nothing here is for a browser to guess at, to keep, or to show inside of another page.
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
