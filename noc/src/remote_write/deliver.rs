//! The tasks that write history elsewhere: one for each target, so that one that hangs holds up nobody but itself, and one above them
//! that begins and ends them as they are set.

use super::message::Series;
use crate::channels::{Posting, Reach, SendError, address, basic, post};
use crate::clock;
use crate::error::StoreError;
use crate::measurements::{UP, up};
use crate::noc::Inner;
use crate::operators::access::OrganisationId;
use crate::random;
use crate::store::remote_write::{self, Kept, Outcome, Part};
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Between two messages while there are few beats: they are sent together.
const GATHER: Duration = Duration::from_secs(5);
/// Between two tellings who reports in time.
const UPS: Duration = Duration::from_secs(60);
/// Appliances of one such message.
const UPS_TOGETHER: usize = 5_000;
/// Until a store has taken a message and said so.
const PATIENCE: Duration = Duration::from_secs(30);
/// First and longest wait after one that failed.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Between two looks at how much waits.
const LOOK: Duration = Duration::from_secs(60);
/// After a change, before it is looked at: changes come together.
const SETTLE: Duration = Duration::from_millis(250);

/// Runs until it is stopped. What is under way then is broken off: it has not gone out, and is sent again.
pub(crate) async fn run(noc: Arc<Inner>, stop: CancellationToken) {
    let mut changed = noc.store.changed();
    let (mut tasks, mut known) = (JoinSet::new(), BTreeMap::new());
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return tasks.shutdown().await,
            more = changed.changed() => {
                if more.is_err() {
                    return tasks.shutdown().await;
                }
                tokio::time::sleep(SETTLE).await;
                changed.mark_unchanged();
            }
            _ = look.tick() => {
                if let Err(error) = make_room(&noc).await {
                    tracing::error!(error = &error as &dyn std::error::Error, "what waits for other stores was not looked at");
                }
            }
            // None ends by itself: one that does has failed inside, and is begun anew with the next look.
            Some(ended) = tasks.join_next_with_id() => {
                if let Err(error) = ended {
                    if !error.is_cancelled() {
                        tracing::error!(%error, "writing history elsewhere failed inside");
                    }
                    known.retain(|_, (_, task): &mut (u64, AbortHandle)| task.id() != error.id());
                }
            }
        }
        match noc.store.read(remote_write::all).await {
            Ok(set) => begin(&noc, set, &mut tasks, &mut known),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "where history is written was not read")
            }
        }
    }
}

/// Begins what was set, and ends what is not any more.
fn begin(
    noc: &Arc<Inner>,
    set: Vec<Kept>,
    tasks: &mut JoinSet<()>,
    known: &mut BTreeMap<OrganisationId, (u64, AbortHandle)>,
) {
    let set: BTreeMap<OrganisationId, Kept> =
        set.into_iter().filter(|kept| kept.spec.enabled).map(|kept| (kept.organisation, kept)).collect();
    known.retain(|id, (version, task)| {
        let stays = set.get(id).is_some_and(|kept| kept.version == *version);
        if !stays {
            task.abort();
        }
        stays
    });
    for (id, kept) in set {
        known.entry(id).or_insert_with(|| {
            let version = kept.version;
            (version, tasks.spawn(serve(noc.clone(), kept)))
        });
    }
}

/// Deletes what everybody has, and the oldest of what does not fit any more.
async fn make_room(noc: &Arc<Inner>) -> Result<(), StoreError> {
    let mut waits = noc.store.read(remote_write::waiting_bytes).await?;
    if waits == 0 {
        return Ok(());
    }
    while noc.store.write_history(remote_write::clear).await? {
        tokio::task::yield_now().await;
    }
    let most = u64::from(noc.config.remote_write_keep_mib()) << 20;
    waits = noc.store.read(remote_write::waiting_bytes).await?;
    let is_too_much = waits > most;
    while waits > most {
        let given_up = noc.store.write_history(remote_write::give_up).await?;
        if given_up == 0 {
            break;
        }
        waits = waits.saturating_sub(given_up);
    }
    if is_too_much {
        tracing::warn!("beats that waited to be written elsewhere were given up: a store has not taken them for long");
    }
    Ok(())
}

/// Serves one target for as long as it is set.
async fn serve(noc: Arc<Inner>, kept: Kept) {
    let (id, version) = (kept.organisation, kept.version);
    let sender = Sender::new(&noc, &kept);
    let mut failures = 0_u32;
    let mut told: Option<tokio::time::Instant> = None;
    loop {
        let wait = match step(&noc, &sender, id, version, &mut told).await {
            Ok(Step::More) => Duration::ZERO,
            Ok(Step::Done) => GATHER,
            Ok(Step::Failed { retry_after_s }) => {
                failures = failures.saturating_add(1);
                tokio::time::sleep(pause(failures, retry_after_s)).await;
                continue;
            }
            Err(error) => {
                tracing::error!(
                    organisation = id.0,
                    error = &error as &dyn std::error::Error,
                    "history was not written elsewhere"
                );
                LONGEST_RETRY
            }
        };
        failures = 0;
        tokio::time::sleep(wait).await;
    }
}

enum Step {
    More,
    Done,
    Failed { retry_after_s: Option<u64> },
}

async fn step(
    noc: &Arc<Inner>,
    sender: &Sender,
    id: OrganisationId,
    version: u64,
    told: &mut Option<tokio::time::Instant>,
) -> Result<Step, StoreError> {
    let part = noc.store.read(move |db| remote_write::next(db, id, version)).await?;
    let is_full = part.as_ref().is_some_and(|part| part.is_full);
    if let Some(part) = part {
        if part.series.is_empty() {
            noc.store.write_history(move |db| remote_write::skip(db, id, version, part.upto)).await?;
        } else if let Some(failed) = send(noc, sender, id, version, part).await? {
            return Ok(failed);
        }
    }
    if is_full {
        return Ok(Step::More);
    }
    if told.is_none_or(|told| told.elapsed() >= UPS) {
        *told = Some(tokio::time::Instant::now());
        let ups = noc.store.read(move |db| remote_write::ups(db, id)).await?;
        let now = clock::now();
        for some in ups.chunks(UPS_TOGETHER) {
            let mut series = Series::default();
            for (labels, health) in some {
                series.put(labels, UP, String::new(), now, up(*health));
            }
            let part = Part { upto: 0, beats: 0, series, is_full: false };
            if let Some(failed) = send(noc, sender, id, version, part).await? {
                return Ok(failed);
            }
        }
    }
    Ok(Step::Done)
}

/// Sends a part and keeps what became of it; what to do if it is to be sent again.
async fn send(
    noc: &Arc<Inner>,
    sender: &Sender,
    id: OrganisationId,
    version: u64,
    part: Part,
) -> Result<Option<Step>, StoreError> {
    let Part { upto, beats, series, .. } = part;
    let sent = match stamp(series) {
        Ok(body) => sender.send(body).await,
        Err(error) => Err(error),
    };
    let (outcome, failed) = match sent {
        Ok(answer) => (Outcome::Taken { answer }, None),
        Err(error) => {
            tracing::warn!(organisation = id.0, code = error.code(), "a store did not take what was written to it");
            let (words, retry_after_s) = (error.words(), error.retry_after_s());
            if error.is_about_message() {
                (Outcome::Refused { answer: words }, None)
            } else {
                (Outcome::Failed { why: words }, Some(Step::Failed { retry_after_s }))
            }
        }
    };
    let settled =
        move |db: &rusqlite::Connection| remote_write::settle(db, clock::now(), id, version, upto, beats, &outcome);
    noc.store.write_history(settled).await?;
    Ok(failed)
}

/// How long to wait after some failures: longer each time, and not all at the same moment.
fn pause(failures: u32, retry_after_s: Option<u64>) -> Duration {
    let usual = RETRY.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST_RETRY);
    let spread = random::bytes::<1>().map_or(0.5, |[byte]| f64::from(byte) / 255.0);
    let wait = usual.mul_f64(0.75 + spread / 2.0);
    retry_after_s.map_or(wait, |s| wait.max(Duration::from_secs(s).min(LONGEST_RETRY)))
}

/// In the form in which it is posted.
pub(super) fn stamp(series: Series) -> Result<Bytes, SendError> {
    series.packed().map_err(|error| SendError::Unwritable { why: error.to_string() })
}

/// What a target is written to with.
pub(super) struct Sender {
    url: String,
    ca: String,
    reach: Reach,
    headers: Vec<(&'static str, String)>,
}

impl Sender {
    pub(super) fn new(noc: &Inner, kept: &Kept) -> Sender {
        let mut headers =
            vec![("content-encoding", "snappy".to_owned()), ("x-prometheus-remote-write-version", "0.1.0".to_owned())];
        let (user, secret) = (&kept.spec.user, &*kept.secret);
        if !user.is_empty() {
            headers.push(basic(user, secret));
        } else if !secret.is_empty() {
            headers.push(("authorization", format!("Bearer {secret}")));
        }
        let reach = Reach::new(&noc.config.channel_networks, kept.is_trusted);
        Sender { url: kept.spec.url.clone(), ca: kept.spec.ca.clone(), reach, headers }
    }

    /// Posts a message; the store's words.
    pub(super) async fn send(&self, body: Bytes) -> Result<String, SendError> {
        let uri = address(&self.url).map_err(|error| SendError::Unwritable { why: error.to_string() })?;
        let headers = self.headers.clone();
        let posting = Posting { content_type: "application/x-protobuf", headers, body };
        let sent = post(&uri, &self.ca, &self.reach, posting);
        tokio::time::timeout(PATIENCE, sent).await.unwrap_or(Err(SendError::Silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_five_minutes_and_are_as_long_as_the_store_asks() {
        let between = |failures, asked, from: f64, to: f64| {
            let wait = pause(failures, asked).as_secs_f64();
            assert!((from..=to).contains(&wait), "{failures} {asked:?}: {wait}");
        };
        between(1, None, 1.5, 2.5);
        between(2, None, 3.0, 5.0);
        between(40, None, 225.0, 375.0);
        between(1, Some(60), 60.0, 60.0);
        between(1, Some(86_400), 300.0, 300.0);
    }
}
