//! The HTTPS interface: routes of [`muster_protocol::api`], who may use them, and how errors are told.

mod appliances;
mod consoles;
mod problem;
mod public;
mod queue;
mod request;
mod work;

pub(crate) use problem::ApiError;
pub(crate) use request::Uploads;

use crate::noc::Inner;
use crate::watch::Notice;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
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
    pub(crate) uploads: Uploads,
}

impl App {
    /// Tells the status daemon. It may have stopped already, when the NOC is stopping.
    pub(crate) fn tell(&self, notices: Vec<Notice>) {
        for notice in notices {
            let _ = self.notices.send(notice);
        }
    }
}

/// The routes.
pub(crate) fn router(app: App) -> Router {
    let v1 = Router::new()
        .route("/ca", get(public::ca))
        .route("/consoles/enrol", post(public::enrol_console))
        .route("/appliances/enrol", post(public::enrol_appliance))
        .route("/appliances/beats", post(appliances::beats))
        .route("/appliances/logs", post(work::logs))
        .route("/appliances/farewells", post(work::farewells))
        .route("/console/sites", get(consoles::sites))
        .route("/console/appliances", get(consoles::appliances))
        .route("/console/appliances/{uid}/beats", get(consoles::history))
        .route("/console/plans", post(consoles::plan))
        .route("/console/grants", post(consoles::grants))
        .route("/console/results", post(consoles::results))
        .route("/console/alerts", get(consoles::alerts))
        .route("/console/changes", get(consoles::changes))
        .route("/console/queue", get(queue::messages))
        .route("/console/queue/reports", post(queue::reports));
    Router::new()
        .nest("/v1", v1)
        .fallback(async || ApiError::NoRoute)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(middleware::from_fn(in_time))
        .with_state(app)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout.into_response(),
    }
}
