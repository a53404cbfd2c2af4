//! For appliances: beats.

use super::request::{AsAppliance, SMALL, parse, read};
use super::{ApiError, App, work};
use crate::clock;
use crate::store::QUEUE;
use crate::store::beats::Prepared;
use crate::watch::Notice;
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use muster_protocol::api::{
    Beat, BeatAnswer, BeatValues, ComponentReport, HostValues, MAX_COMPONENT_NAME, MAX_COMPONENT_PROBLEM, MAX_MOUNT,
    MOST_COMPONENTS, MOST_DISKS, MOST_DRIFT, MOST_EARLIER, read_cbor,
};
use muster_protocol::id::Uid;
use muster_protocol::text::misleads;
use muster_protocol::wire::to_cbor;
use std::time::Instant;

/// Most counters of a beat, and the longest name of one, with its labels, or of the agent's version, in bytes.
const MAX_COUNTERS: usize = 64;
const MAX_NAME: usize = 128;

/// Writes that wait: from so many on, beats of the past are left for later, and then those of the present, too. Other writes still
/// find room.
const SHED_HISTORY: usize = QUEUE / 4;
const SHED_ALL: usize = QUEUE / 4 * 3;

/// An appliance that may beat now.
pub(super) struct Admitted {
    uid: Uid,
    /// There is no time for beats of the past.
    sheds_history: bool,
}

impl FromRequestParts<App> for Admitted {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let AsAppliance(uid) = AsAppliance::from_request_parts(parts, app).await?;
        app.rates.admit(&uid, Instant::now()).map_err(|(who, wait)| ApiError::TooFast { who, wait })?;
        let sheds_history = sheds_history(app.noc.store.waiting());
        if sheds_history.is_err() {
            app.tell(vec![Notice::Stalled]);
        }
        Ok(Admitted { uid, sheds_history: sheds_history? })
    }
}

/// Whether there is time for beats, but not for those of the past, when so many writes wait.
fn sheds_history(waiting: usize) -> Result<bool, ApiError> {
    if waiting >= SHED_ALL { Err(ApiError::Overloaded) } else { Ok(waiting >= SHED_HISTORY) }
}

/// A beat in either form. The answer comes in the same.
pub(super) enum Form {
    Json,
    Cbor,
}

const CBOR: &str = "application/cbor";

impl Form {
    fn of(headers: &HeaderMap) -> Form {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case(CBOR) { Form::Cbor } else { Form::Json }
    }

    fn read(&self, bytes: &[u8]) -> Result<Beat, ApiError> {
        match self {
            Form::Json => parse(bytes),
            Form::Cbor => read_cbor(bytes).map_err(|_| ApiError::Malformed { why: "not a beat in CBOR".to_owned() }),
        }
    }

    fn write(&self, answer: &BeatAnswer) -> Response {
        match self {
            Form::Json => Json(answer).into_response(),
            Form::Cbor => ([(header::CONTENT_TYPE, CBOR)], to_cbor(answer)).into_response(),
        }
    }
}

/// `POST /v1/appliances/beats`
pub(super) async fn beats(
    State(app): State<App>,
    Admitted { uid, sheds_history }: Admitted,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let form = Form::of(&headers);
    let mut beat = form.read(&read(body, SMALL).await?)?;
    check(&beat)?;
    let had_earlier = !beat.earlier.is_empty();
    if sheds_history {
        beat.earlier.clear();
    }
    let earlier = had_earlier.then_some(beat.earlier.len());
    let seq = beat.seq;
    let kept = app.noc.store.take(uid, Prepared::new(beat)).await;
    match kept {
        Ok(kept) => {
            app.rates.learn(&uid, kept.organisation, Instant::now());
            app.tell(kept.notices);
            let work = work::sign(&app.noc.signer, uid, seq, kept.due);
            Ok(form.write(&BeatAnswer { interval_s: kept.interval_s, time: clock::now(), earlier, work }))
        }
        Err(error) => {
            if matches!(error, ApiError::Store(_)) {
                app.tell(vec![Notice::Stalled]);
            }
            Err(error)
        }
    }
}

fn check(beat: &Beat) -> Result<(), ApiError> {
    check_values(&beat.values)?;
    let count = beat.earlier.len();
    if count > MOST_EARLIER {
        return Err(ApiError::TooMany { what: "earlier beats", count, limit: MOST_EARLIER });
    }
    let mut counters = vec![beat.counter, beat.seq.0];
    counters.extend(beat.work.instruction.iter().map(|report| report.serial.0));
    counters.extend(beat.work.handover.iter().map(|report| report.serial.0));
    counters.extend(beat.work.failed.iter().map(|failure| failure.seq.0));
    for earlier in &beat.earlier {
        check_values(&earlier.values)?;
        if earlier.boot == beat.boot && earlier.counter >= beat.counter {
            return Err(ApiError::Malformed { why: "an earlier beat that is not earlier".to_owned() });
        }
        counters.push(earlier.counter);
    }
    if counters.into_iter().any(|counter| i64::try_from(counter).is_err()) {
        return Err(ApiError::Malformed { why: "a number that nobody can have reached".to_owned() });
    }
    Ok(())
}

fn check_values(values: &BeatValues) -> Result<(), ApiError> {
    let count = values.counters.len();
    if count > MAX_COUNTERS {
        return Err(ApiError::TooMany { what: "counters", count, limit: MAX_COUNTERS });
    }
    let count = values.drift.len();
    if count > MOST_DRIFT {
        return Err(ApiError::TooMany { what: "settings that drifted", count, limit: MOST_DRIFT });
    }
    let names = values.counters.keys().chain([&values.agent]).chain(&values.drift).chain(&values.network_problem);
    if names.into_iter().any(|name| name.len() > MAX_NAME || name.chars().any(misleads)) {
        let why = format!("a name is longer than {MAX_NAME} bytes or holds control characters");
        return Err(ApiError::Malformed { why });
    }
    let mut reals = vec![values.load, values.memory_percent, values.disk_percent];
    reals.extend(values.counters.values());
    check_components(&values.components)?;
    if let Some(host) = &values.host {
        check_host(host)?;
        reals.extend(host.disks.iter().map(|disk| disk.percent).chain(host.temperature_c));
    }
    // CBOR has such; what is kept and shown has not.
    if reals.into_iter().any(|real| !real.is_finite()) {
        return Err(ApiError::Malformed { why: "a value that is no number".to_owned() });
    }
    Ok(())
}

fn check_host(host: &HostValues) -> Result<(), ApiError> {
    let count = host.disks.len();
    if count > MOST_DISKS {
        return Err(ApiError::TooMany { what: "disks", count, limit: MOST_DISKS });
    }
    if host.disks.iter().any(|disk| disk.mount.len() > MAX_MOUNT || disk.mount.chars().any(misleads)) {
        let why = format!("a mount point is longer than {MAX_MOUNT} bytes or holds control characters");
        return Err(ApiError::Malformed { why });
    }
    Ok(())
}

fn check_components(components: &[ComponentReport]) -> Result<(), ApiError> {
    let count = components.len();
    if count > MOST_COMPONENTS {
        return Err(ApiError::TooMany { what: "components", count, limit: MOST_COMPONENTS });
    }
    for report in components {
        let names = [Some(&report.name), Some(&report.version), report.running.as_ref()];
        let bad = |text: &String, most: usize| text.len() > most || text.chars().any(misleads);
        let is_bad = names.into_iter().flatten().any(|name| bad(name, MAX_COMPONENT_NAME))
            || report.problem.as_ref().is_some_and(|problem| bad(problem, MAX_COMPONENT_PROBLEM))
            || report.percent.is_some_and(|percent| percent > 100);
        if is_bad {
            let why = format!(
                "what is said of a component is longer than {MAX_COMPONENT_NAME} bytes ({MAX_COMPONENT_PROBLEM} of a problem), \
                 holds control characters or is above 100 percent"
            );
            return Err(ApiError::Malformed { why });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::api::{ComponentState, Disk};

    #[test]
    fn what_an_appliance_says_of_its_components_is_bounded() {
        let good = ComponentReport {
            name: "a".repeat(MAX_COMPONENT_NAME),
            version: "1".to_owned(),
            state: ComponentState::Failed,
            running: Some("0".to_owned()),
            percent: Some(100),
            problem: Some("x".repeat(MAX_COMPONENT_PROBLEM)),
        };
        check_components(&vec![good.clone(); MOST_COMPONENTS]).expect("all that is allowed");
        assert!(matches!(check_components(&vec![good.clone(); MOST_COMPONENTS + 1]), Err(ApiError::TooMany { .. })));
        for bad in [
            ComponentReport { name: "a".repeat(MAX_COMPONENT_NAME + 1), ..good.clone() },
            ComponentReport { version: "\u{1b}[2J".to_owned(), ..good.clone() },
            ComponentReport { running: Some("\u{202e}".to_owned()), ..good.clone() },
            ComponentReport { problem: Some("x".repeat(MAX_COMPONENT_PROBLEM + 1)), ..good.clone() },
            ComponentReport { percent: Some(101), ..good },
        ] {
            assert!(matches!(check_components(std::slice::from_ref(&bad)), Err(ApiError::Malformed { .. })), "{bad:?}");
        }
    }

    #[test]
    fn history_is_put_off_before_beats_are() {
        for (waiting, sheds) in [(0, false), (SHED_HISTORY - 1, false), (SHED_HISTORY, true), (SHED_ALL - 1, true)] {
            assert!(sheds_history(waiting).is_ok_and(|found| found == sheds), "{waiting}");
        }
        for waiting in [SHED_ALL, QUEUE] {
            let refused = sheds_history(waiting).expect_err("too many").into_response();
            assert_eq!(refused.status().as_u16(), 503);
            let after: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert!((5..=30).contains(&after), "{after}");
        }
    }

    #[test]
    fn what_an_appliance_says_of_itself_is_bounded() {
        let disk = |mount: &str| Disk { mount: mount.to_owned(), percent: 1.0, free: 1 };
        let with = |disks| HostValues { disks, ..HostValues::default() };
        check_host(&with(vec![disk(&"/".repeat(MAX_MOUNT)); MOST_DISKS])).expect("all that is allowed");
        assert!(matches!(check_host(&with(vec![disk("/"); MOST_DISKS + 1])), Err(ApiError::TooMany { .. })));
        for mount in ["/\u{1b}[2J", "/\u{202e}", &"/".repeat(MAX_MOUNT + 1)] {
            assert!(matches!(check_host(&with(vec![disk(mount)])), Err(ApiError::Malformed { .. })), "{mount}");
        }
    }
}
