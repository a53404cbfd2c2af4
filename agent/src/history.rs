//! What an appliance reports while the NOC is away, and after.

use crate::beat_queue::{BeatQueue, Offer, Write};
use crate::network::chain;
use crate::storage::Storage;
use muster_protocol::api::BeatValues;
use muster_protocol::appliance::Enrolment;
use muster_protocol::id::BootId;
use muster_protocol::time::Millis;

/// The queue of beats with its journal, and the beat that is under way.
pub(crate) struct History<S> {
    storage: S,
    queue: BeatQueue,
    due: Option<Due>,
}

/// A beat that the NOC has not taken yet, as it was when it became due.
struct Due {
    enrolment: Enrolment,
    counter: u64,
    at: Millis,
    values: BeatValues,
}

impl<S: Storage> History<S> {
    /// Takes up what waited when the agent ended. What cannot be read is lost; beats go on.
    pub(crate) fn load(storage: S, boot: BootId) -> History<S> {
        let journal = storage.journal().unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), error = %chain(&error), "beats that waited for the NOC are lost");
            Vec::new()
        });
        History { queue: BeatQueue::new(boot, journal), storage, due: None }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Beats go to this NOC from now on. It has the appliance from that of the pin `formerly`, and what waits for that one.
    pub(crate) fn report_to(&mut self, enrolment: &Enrolment, formerly: Option<[u8; 32]>) {
        self.queue.report_to(enrolment, formerly);
        let is_ours = |pin: [u8; 32]| pin == enrolment.ca_pin || Some(pin) == formerly;
        match &mut self.due {
            Some(due) if is_ours(due.enrolment.ca_pin) => due.enrolment = enrolment.clone(),
            due => *due = None,
        }
    }

    /// A beat is due. The one before it, if the NOC did not take it, is history.
    pub(crate) fn due(&mut self, now: Millis, enrolment: &Enrolment, counter: u64, values: &BeatValues) {
        if self.due.as_ref().is_some_and(|due| due.counter == counter) {
            return;
        }
        let due = Due { enrolment: enrolment.clone(), counter, at: now, values: values.clone() };
        if let Some(missed) = self.due.replace(due) {
            self.queue.keep(&missed.enrolment, missed.counter, missed.at, missed.values);
            self.write(now);
        }
    }

    /// What goes with the beat that is sent now.
    pub(crate) fn offer(&self, now: Millis) -> Offer {
        self.queue.offer(now)
    }

    /// The beat that was due arrived with that offer.
    pub(crate) fn accepted(&mut self, now: Millis, time: u64, offer: &Offer, taken: Option<usize>) {
        self.due = None;
        let waited = self.queue.len();
        self.queue.delivered(now, time, offer, taken);
        if waited > 0 && self.queue.is_empty() {
            tracing::info!("the NOC has every beat that waited for it");
        }
        self.write(now);
    }

    /// The NOC does not take the beat with that offer, as it is.
    pub(crate) fn refused(&mut self, offer: &Offer) {
        self.queue.refused(offer);
    }

    /// Nothing of it is for the next owner.
    pub(crate) fn forget(&mut self, boot: BootId) {
        self.queue = BeatQueue::new(boot, Vec::new());
        self.due = None;
        if let Err(error) = self.storage.rewrite(&[]) {
            tracing::warn!(code = error.code(), error = %chain(&error), "beats that waited for the NOC stay on disk");
        }
    }

    fn write(&mut self, now: Millis) {
        let Some(write) = self.queue.write(now) else { return };
        let written = match &write {
            Write::Append(records) => self.storage.append(records),
            Write::Rewrite(records) => self.storage.rewrite(records),
        };
        if let Err(error) = &written {
            tracing::warn!(code = error.code(), error = %chain(error), "beats that wait for the NOC are in memory only");
        }
        self.queue.written(now, &write, written.is_ok());
    }
}
