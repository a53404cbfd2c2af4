//! For appliances: beats.

use super::request::{AsAppliance, Json as Body, SMALL};
use super::{ApiError, App, work};
use crate::clock;
use crate::store::beats;
use crate::watch::Notice;
use axum::Json;
use axum::extract::State;
use muster_protocol::api::{Beat, BeatAnswer, BeatValues, HostValues, MAX_MOUNT, MOST_DISKS, MOST_DRIFT, MOST_EARLIER};
use muster_protocol::text::misleads;

/// Most counters of a beat, and the longest name of one, with its labels, or of the agent's version, in bytes.
const MAX_COUNTERS: usize = 64;
const MAX_NAME: usize = 128;

/// `POST /v1/appliances/beats`
pub(super) async fn beats(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
    Body(beat, _room): Body<Beat, SMALL>,
) -> Result<Json<BeatAnswer>, ApiError> {
    check(&beat)?;
    let earlier = (!beat.earlier.is_empty()).then_some(beat.earlier.len());
    let seq = beat.seq;
    let kept = app.noc.store.write(move |db| beats::keep(db, clock::now(), &uid, &beat)).await;
    match kept {
        Ok(kept) => {
            app.tell(kept.notices);
            let work = work::sign(&app.noc.signer, uid, seq, kept.due);
            Ok(Json(BeatAnswer { interval_s: kept.interval_s, time: clock::now(), earlier, work }))
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
    if let Some(host) = &values.host {
        check_host(host)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::api::Disk;

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
