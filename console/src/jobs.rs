//! Configuration jobs: which appliances are waiting for a grant, which delivery is under way, what has to be stored.
//!
//! Like the machines it runs, this takes bytes and time and puts out what is to be done, so it is tested without sockets.
//! A delivery sends only what was stored before ([`Jobs::stored`]); a console that is killed goes on from there.

mod active;
mod error;
mod outcome;
mod window;

use crate::problem::problem;
use crate::store::{Change, StoredGrant, StoredItem, StoredJob};
use crate::view::{JobItemView, JobStep, JobView, ProblemView, is_under_way};
use active::{Active, Waits};
pub use error::JobError;
use muster_protocol::api::{GrantItem, Granted};
use muster_protocol::crypto::Entropy;
use muster_protocol::crypto::keys::{SealKey, SecretKey};
use muster_protocol::delivery::{self, Delivery, Order, Wants};
use muster_protocol::discovery::Heard;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::result::ResultPacket;
use muster_protocol::{Token, delivery::Outcome};
pub(crate) use outcome::job_view;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use window::Window;

/// Grants that are fetched at once, and ahead of need.
const GRANT_BATCH: usize = 200;
/// An appliance keeps a one-time key for 120 s; one that is nearly over is not used any more.
const KEY_AGE_MS: u64 = 90_000;

/// An appliance of a job.
pub(crate) type Key = (u32, Uid);

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Send to an appliance.
    Transmit { uid: Uid, bytes: Vec<u8>, everywhere: bool },
    /// Send it a directed ping.
    AskKey(Uid),
    /// Show this item.
    Item { job: u32, item: Box<JobItemView> },
    /// Show this job.
    Job(Box<JobView>),
    /// Show these marks of a job.
    Marks { job: u32, finished: Option<u64>, cancelled: bool },
    /// An appliance has these settings now.
    Configured { uid: Uid, settings: Option<NetworkSettings> },
}

/// What a batch of changes was for, to be given back to [`Jobs::stored`].
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    tokens: Vec<(Uid, Token)>,
    finished: Vec<(u32, u64)>,
}

/// Grants to ask the NOC for.
#[derive(Debug)]
pub(crate) struct GrantOrder {
    pub(crate) site: SiteId,
    pub(crate) items: Vec<GrantItem>,
}

/// All jobs.
pub(crate) struct Jobs {
    jobs: BTreeMap<u32, StoredJob>,
    /// Unfinished items of each job, so that an end of one costs the same however many there are.
    unfinished: BTreeMap<u32, usize>,
    /// Where each appliance is in its job; only of unfinished items.
    open: BTreeMap<Uid, (u32, usize)>,
    /// Items without a grant; an appliance whose grant was used up stands in front.
    ungranted: VecDeque<Key>,
    /// Items with a grant that have not begun.
    ready: VecDeque<Key>,
    /// Asked for at the moment.
    asked: BTreeSet<Uid>,
    active: BTreeMap<Uid, Active>,
    window: Window,
    deadlines: BTreeSet<(Millis, Uid)>,
    /// One-time keys of the last answers, and what goes with them.
    keys: BTreeMap<Uid, (SealKey, Wants, Millis)>,
    changes: Vec<Change>,
    tokens: Vec<(Uid, Token)>,
    finishing: Vec<(u32, u64)>,
    effects: VecDeque<Effect>,
    entropy: fn() -> Entropy,
}

impl Jobs {
    /// Takes up all jobs as they were stored. Unfinished ones go on with the next [`Self::begin`].
    pub(crate) fn load(stored: Vec<StoredJob>, entropy: fn() -> Entropy) -> Jobs {
        let mut jobs = Jobs {
            jobs: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            open: BTreeMap::new(),
            ungranted: VecDeque::new(),
            ready: VecDeque::new(),
            asked: BTreeSet::new(),
            active: BTreeMap::new(),
            window: Window::new(),
            deadlines: BTreeSet::new(),
            keys: BTreeMap::new(),
            changes: Vec::new(),
            tokens: Vec::new(),
            finishing: Vec::new(),
            effects: VecDeque::new(),
            entropy,
        };
        for job in stored {
            jobs.add(job);
        }
        jobs
    }

    /// A job that is in the store.
    pub(crate) fn add(&mut self, job: StoredJob) {
        let id = job.id;
        self.effects.push_back(Effect::Job(Box::new(outcome::job_view(&job))));
        for (at, item) in job.items.iter().enumerate() {
            if is_under_way(item.step) {
                self.open.insert(item.uid, (id, at));
                *self.unfinished.entry(id).or_default() += 1;
                // Those that had begun go first: an appliance may be waiting for its kick-start.
                match (&item.grant, &item.saved) {
                    (Some(_), Some(_)) => self.ready.push_front((id, item.uid)),
                    (Some(_), None) => self.ready.push_back((id, item.uid)),
                    (None, _) => self.ungranted.push_back((id, item.uid)),
                }
            }
        }
        self.jobs.insert(id, job);
        self.finish_if_done(id, UnixTime(0));
    }

    /// The unfinished job an appliance is in.
    pub(crate) fn busy(&self, uid: &Uid) -> Option<u32> {
        self.open.get(uid).map(|(job, _)| *job)
    }

    /// True when nothing is left to do or to store.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.changes.is_empty()
    }

    /// Stops what has not begun; what has is brought to its end.
    pub(crate) fn cancel(&mut self, now: Millis, at: UnixTime, id: u32, console: &SecretKey) -> Result<(), JobError> {
        let job = self.jobs.get_mut(&id).ok_or(JobError::Unknown { id })?;
        if job.finished.is_some() || job.cancelled {
            return Ok(());
        }
        job.cancelled = true;
        self.changes.push(Change::Cancelled { job: id, cancelled: true });
        let open: Vec<Uid> = job.items.iter().filter(|item| is_under_way(item.step)).map(|item| item.uid).collect();
        for uid in open {
            if self.active.contains_key(&uid) {
                self.input(now, at, &uid, delivery::Input::Cancel, console);
            } else if self.item(&uid).is_some_and(|item| item.saved.is_none()) {
                self.end(at, &uid, Outcome::Cancelled);
            }
        }
        self.marks(id);
        self.finish_if_done(id, at);
        Ok(())
    }

    /// Sends the kick-start of an appliance once more, if it has applied its settings; true then.
    pub(crate) fn kick(&mut self, now: Millis, at: UnixTime, uid: &Uid, console: &SecretKey) -> bool {
        let has_succeeded = self.active.get(uid).is_some_and(|active| active.delivery.has_succeeded());
        if has_succeeded {
            self.input(now, at, uid, delivery::Input::Kick, console);
        }
        has_succeeded
    }

    /// Starts failed and cancelled items again; all of them if none are named.
    pub(crate) fn retry(&mut self, id: u32, uids: &[Uid]) -> Result<(), JobError> {
        let job = self.jobs.get(&id).ok_or(JobError::Unknown { id })?;
        let chosen = |item: &StoredItem| uids.is_empty() || uids.contains(&item.uid);
        let may = |item: &StoredItem| matches!(item.step, JobStep::Failed | JobStep::Cancelled);
        let chosen: Vec<usize> =
            job.items.iter().enumerate().filter(|(_, item)| chosen(item) && may(item)).map(|(at, _)| at).collect();
        if chosen.is_empty() {
            return Err(JobError::NothingToRetry { id });
        }
        for at in &chosen {
            let uid = job.items[*at].uid;
            if let Some(job) = self.busy(&uid) {
                return Err(JobError::Busy { uid, job });
            }
        }
        let Some(job) = self.jobs.get_mut(&id) else { return Err(JobError::Unknown { id }) };
        (job.finished, job.cancelled) = (None, false);
        for at in chosen {
            let item = &mut job.items[at];
            *item = StoredItem {
                grant: None,
                saved: None,
                step: JobStep::Waiting,
                attempts: 0,
                problem: None,
                ..item.clone()
            };
            let uid = item.uid;
            self.effects.push_back(Effect::Item { job: id, item: Box::new(outcome::item_view(item)) });
            self.changes.push(Change::Retry { job: id, uid });
            self.open.insert(uid, (id, at));
            *self.unfinished.entry(id).or_default() += 1;
            self.ungranted.push_back((id, uid));
        }
        self.changes.push(Change::Finished { job: id, at: None });
        self.changes.push(Change::Cancelled { job: id, cancelled: false });
        self.marks(id);
        Ok(())
    }

    /// Begins deliveries as far as the pace allows.
    pub(crate) fn begin(&mut self, now: Millis, at: UnixTime, console: &SecretKey) {
        while self.window.has_room() {
            let Some((id, uid)) = self.ready.pop_front() else { return };
            if self.active.contains_key(&uid) || self.busy(&uid) != Some(id) {
                continue;
            }
            let Some(item) = self.item(&uid).cloned() else { continue };
            let Some(grant) = item.grant else { continue };
            let heard = self.keys.remove(&uid).filter(|(_, _, at)| now.since(*at) < KEY_AGE_MS);
            let mut order = Order {
                device_key: item.device_key,
                mac: item.mac,
                grant: grant.signed,
                seq: grant.seq,
                claim: grant.claim,
                voucher: grant.voucher,
                one_time_key: heard.map(|(key, _, _)| key),
            };
            if let Some((_, wants, _)) = heard {
                order.keep(wants);
            }
            let resumed = item.saved.map(|saved| Delivery::resume(now, order.clone(), &saved, (self.entropy)()));
            let delivery = match resumed {
                Some(Ok(delivery)) => delivery,
                // What an older version stored cannot be understood, so a new attempt is made: the appliance itself
                // refuses a grant that it has already accepted.
                Some(Err(_)) | None => Delivery::new(now, order, console, (self.entropy)()),
            };
            self.active.insert(uid, Active::new(delivery));
            self.window.moved(Waits::Nothing, Waits::Answer);
            self.drain(now, at, &uid);
        }
    }

    /// An appliance answered a ping.
    pub(crate) fn heard(&mut self, now: Millis, at: UnixTime, heard: &Heard, console: &SecretKey) {
        let Heard { uid, one_time_key, boot, state, proof, .. } = *heard;
        self.keys.insert(uid, (one_time_key, Wants::of(state, proof), now));
        let input = delivery::Input::Heard { one_time_key, boot, state, proof };
        self.input(now, at, &heard.uid, input, console);
    }

    /// A result came in.
    pub(crate) fn packet(&mut self, now: Millis, at: UnixTime, packet: &ResultPacket, console: &SecretKey) {
        if let Some(uid) = packet.claimed_uid() {
            self.input(now, at, &uid, delivery::Input::Packet(packet), console);
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Millis, at: UnixTime, console: &SecretKey) {
        while let Some((due, uid)) = self.deadlines.first().copied() {
            if due > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(active) = self.active.get_mut(&uid) {
                active.deadline = None;
                active.delivery.handle_timeout(now, console);
                self.drain(now, at, &uid);
            }
        }
    }

    /// When [`Self::tick`] is wanted next.
    pub(crate) fn next_tick(&self) -> Option<Millis> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What is to be done next.
    pub(crate) fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What is to be stored, all in one transaction. `None` when there is nothing.
    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        if self.changes.is_empty() {
            return None;
        }
        Some(Batch {
            changes: std::mem::take(&mut self.changes),
            tokens: std::mem::take(&mut self.tokens),
            finished: std::mem::take(&mut self.finishing),
        })
    }

    /// A batch is on disk: what waited for it goes out.
    pub(crate) fn stored(&mut self, now: Millis, at: UnixTime, batch: Batch, console: &SecretKey) {
        for (uid, token) in batch.tokens {
            self.input(now, at, &uid, delivery::Input::Persisted(token), console);
        }
        for (id, finished) in batch.finished {
            let is_done = self.is_done(id);
            if let Some(job) = self.jobs.get_mut(&id).filter(|_| is_done) {
                job.finished = Some(finished);
                self.marks(id);
            }
        }
    }

    /// A batch could not be stored. It is kept, in order, and nothing that depends on it has been sent.
    pub(crate) fn not_stored(&mut self, batch: Batch, why: &ProblemView) {
        for (uid, _) in &batch.tokens {
            self.show_problem(uid, Some(why.clone()));
        }
        let Batch { changes, tokens, finished } = batch;
        self.changes.splice(0..0, changes);
        self.tokens.splice(0..0, tokens);
        self.finishing.splice(0..0, finished);
    }

    /// Grants that are needed now, unless there are enough. Answer with [`Self::granted`] or [`Self::not_granted`].
    pub(crate) fn wanted_grants(&mut self) -> Option<GrantOrder> {
        if !self.asked.is_empty() || self.ready.len() >= GRANT_BATCH {
            return None;
        }
        let mut order: Option<GrantOrder> = None;
        while let Some((id, uid)) = self.ungranted.pop_front() {
            let Some((job, item)) = self.jobs.get(&id).zip(self.item(&uid)) else { continue };
            if self.busy(&uid) != Some(id) {
                continue;
            }
            let order = order.get_or_insert_with(|| GrantOrder { site: job.site, items: Vec::new() });
            if order.site != job.site || order.items.len() == GRANT_BATCH {
                self.ungranted.push_front((id, uid));
                break;
            }
            let refusal = self.active.get(&uid).and_then(|active| active.refusal(&item.device_key));
            order.items.push(GrantItem { uid, settings: item.settings.clone(), refusal });
            self.asked.insert(uid);
        }
        order
    }

    /// The NOC's answer.
    pub(crate) fn granted(&mut self, now: Millis, at: UnixTime, answer: Vec<Granted>, console: &SecretKey) {
        for granted in answer {
            if !self.asked.remove(&granted.uid) {
                continue;
            }
            let uid = granted.uid;
            match outcome::read_grant(granted) {
                Ok(grant) => self.grant(now, at, &uid, grant, console),
                Err(why) => self.fail(at, &uid, why),
            }
        }
        for uid in std::mem::take(&mut self.asked) {
            let remedy = "Plan again; if it stays, ask whoever runs the NOC.";
            self.fail(at, &uid, problem("no_grant", "the NOC answered without a grant for this appliance", remedy));
        }
    }

    /// The NOC gave no answer (`again`), or refused all of them.
    pub(crate) fn not_granted(&mut self, at: UnixTime, why: &ProblemView, again: bool) {
        for uid in std::mem::take(&mut self.asked) {
            if again {
                self.show_problem(&uid, Some(why.clone()));
                if let Some(job) = self.busy(&uid) {
                    self.ungranted.push_back((job, uid));
                }
            } else {
                self.fail(at, &uid, why.clone());
            }
        }
    }

    fn grant(&mut self, now: Millis, at: UnixTime, uid: &Uid, grant: StoredGrant, console: &SecretKey) {
        let Some(job) = self.busy(uid) else { return };
        let Some(item) = self.item_mut(uid) else { return };
        item.grant = Some(grant.clone());
        self.show_problem(uid, None);
        self.changes.push(Change::Grant { job, uid: *uid, grant: grant.clone() });
        if self.active.contains_key(uid) {
            let StoredGrant { signed, seq, claim, voucher } = grant;
            self.input(now, at, uid, delivery::Input::Regranted { grant: signed, seq, claim, voucher }, console);
        } else {
            self.ready.push_back((job, *uid));
        }
    }

    fn input(&mut self, now: Millis, at: UnixTime, uid: &Uid, input: delivery::Input<'_>, console: &SecretKey) {
        if let Some(active) = self.active.get_mut(uid) {
            active.delivery.handle_input(now, input, console);
            self.drain(now, at, uid);
        }
    }

    /// Does what a delivery puts out.
    fn drain(&mut self, now: Millis, at: UnixTime, uid: &Uid) {
        while let Some(output) = self.active.get_mut(uid).and_then(|active| active.delivery.poll_output()) {
            match output {
                delivery::Output::Persist { token, bytes } => {
                    let Some(job) = self.busy(uid) else { continue };
                    if let Some(item) = self.item_mut(uid) {
                        item.saved = Some(bytes.clone());
                    }
                    self.changes.push(Change::Delivery { job, uid: *uid, saved: bytes });
                    self.tokens.push((*uid, token));
                }
                delivery::Output::Transmit { bytes, everywhere } => {
                    self.change_active(uid, Active::transmitted);
                    self.effects.push_back(Effect::Transmit { uid: *uid, bytes, everywhere });
                }
                delivery::Output::AskKey => {
                    self.change_active(uid, |active| active.asked += 1);
                    self.effects.push_back(Effect::AskKey(*uid));
                }
                delivery::Output::AskGrant => {
                    if let Some(job) = self.busy(uid) {
                        self.ungranted.push_front((job, *uid));
                    }
                }
                delivery::Output::Progress(progress) => self.progress(now, uid, &progress),
                delivery::Output::Done(outcome) => self.end(at, uid, outcome),
            }
        }
        self.set_deadline(now, uid);
    }

    fn set_deadline(&mut self, now: Millis, uid: &Uid) {
        let Some(active) = self.active.get_mut(uid) else { return };
        let wanted = active.delivery.poll_timeout().map(|at| at.max(now));
        if active.deadline == wanted {
            return;
        }
        if let Some(former) = active.deadline {
            self.deadlines.remove(&(former, *uid));
        }
        active.deadline = wanted;
        if let Some(at) = wanted {
            self.deadlines.insert((at, *uid));
        }
    }

    fn change_active(&mut self, uid: &Uid, change: impl FnOnce(&mut Active)) {
        if let Some(active) = self.active.get_mut(uid) {
            let former = active.waits();
            change(active);
            self.window.moved(former, active.waits());
        }
    }

    fn progress(&mut self, now: Millis, uid: &Uid, progress: &delivery::Progress) {
        let Some(active) = self.active.get_mut(uid) else { return };
        let former = active.waits();
        active.note(now, progress);
        self.window.moved(former, active.waits());
        match progress {
            delivery::Progress::Sending { .. } if active.was_lost() => self.window.lost(),
            delivery::Progress::Sending { .. } => {}
            _ if former == Waits::Answer => self.window.answered(now.since(active.sent_at)),
            _ => {}
        }
        let (step, percent, attempts) = (active.step, active.percent, active.attempts);
        let Some(job) = self.busy(uid) else { return };
        let Some(item) = self.item_mut(uid) else { return };
        (item.step, item.attempts, item.problem) = (step, attempts, None);
        let view = JobItemView { percent, ..outcome::item_view(item) };
        self.effects.push_back(Effect::Item { job, item: Box::new(view) });
    }

    fn end(&mut self, at: UnixTime, uid: &Uid, outcome: Outcome) {
        let seq = self.item(uid).and_then(|item| item.grant.as_ref()).map(|grant| grant.seq);
        let ending = outcome::ending(uid, seq, outcome);
        if ending.step == JobStep::Configured {
            let settings = self.item(uid).and_then(|item| item.settings.validate().ok());
            self.effects.push_back(Effect::Configured { uid: *uid, settings });
        }
        self.close(at, uid, ending);
    }

    fn fail(&mut self, at: UnixTime, uid: &Uid, why: ProblemView) {
        self.close(at, uid, outcome::Ending { step: JobStep::Failed, problem: Some(why), report: None });
    }

    fn close(&mut self, at: UnixTime, uid: &Uid, ending: outcome::Ending) {
        if let Some(active) = self.active.remove(uid) {
            self.window.moved(active.waits(), Waits::Nothing);
            if let Some(deadline) = active.deadline {
                self.deadlines.remove(&(deadline, *uid));
            }
        }
        let Some((id, index)) = self.open.remove(uid) else { return };
        if let Some(left) = self.unfinished.get_mut(&id) {
            *left -= 1;
        }
        let Some(item) = self.jobs.get_mut(&id).and_then(|job| job.items.get_mut(index)) else { return };
        let outcome::Ending { step, problem, report } = ending;
        (item.step, item.problem, item.grant, item.saved) = (step, problem.clone(), None, None);
        let attempts = item.attempts;
        self.effects.push_back(Effect::Item { job: id, item: Box::new(outcome::item_view(item)) });
        self.changes.push(Change::Done { job: id, uid: *uid, step, attempts, problem, report });
        self.finish_if_done(id, at);
    }

    fn finish_if_done(&mut self, id: u32, at: UnixTime) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.finished.is_none() && self.is_done(id) {
            let at = at.0.max(job.started);
            self.changes.push(Change::Finished { job: id, at: Some(at) });
            self.finishing.push((id, at));
        }
    }

    fn is_done(&self, id: u32) -> bool {
        self.unfinished.get(&id).is_none_or(|left| *left == 0)
    }

    fn marks(&mut self, id: u32) {
        if let Some(job) = self.jobs.get(&id) {
            let (finished, cancelled) = (job.finished, job.cancelled);
            self.effects.push_back(Effect::Marks { job: id, finished, cancelled });
        }
    }

    fn show_problem(&mut self, uid: &Uid, why: Option<ProblemView>) {
        let Some(job) = self.busy(uid) else { return };
        let Some(item) = self.item_mut(uid) else { return };
        if item.problem == why {
            return;
        }
        item.problem = why;
        let item = Box::new(outcome::item_view(item));
        self.effects.push_back(Effect::Item { job, item });
    }

    fn item(&self, uid: &Uid) -> Option<&StoredItem> {
        let (job, at) = self.open.get(uid)?;
        self.jobs.get(job)?.items.get(*at)
    }

    fn item_mut(&mut self, uid: &Uid) -> Option<&mut StoredItem> {
        let (job, at) = self.open.get(uid)?;
        self.jobs.get_mut(job)?.items.get_mut(*at)
    }
}

#[cfg(test)]
mod tests;
