//! Beats that wait for the NOC: bounded, on disk, delivered in order.
//!
//! While the NOC answers, nothing waits and nothing is written. While it is away every beat that was due is kept. When there
//! is no more room, some go where they lie densest: the history of a long absence gets coarser, but has no hole at its
//! beginning. What is kept reaches the disk at most every ten minutes, because flash wears out; that much of it a power cut may cost
//! (decision 0019).
//!
//! Nothing is written when part of it was delivered. After a restart it is delivered again, and the NOC knows each beat by
//! boot and number.

use data_encoding::HEXLOWER;
use muster_protocol::api::{BeatValues, EarlierBeat, MOST_EARLIER};
use muster_protocol::appliance::Enrolment;
use muster_protocol::id::BootId;
use muster_protocol::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most beats that wait, and their bytes in memory and in the journal.
pub const MOST: usize = 1_000;
/// Most bytes of all of them.
pub const MOST_BYTES: usize = 256 * 1_024;
/// What is kept is on disk after this time.
pub const WRITE_EVERY_MS: u64 = 600_000;
/// A beat is smaller than this, whatever applications write.
const MOST_RECORD: usize = 12 * 1_024;
/// So many bytes of it go with one beat: a request of 32 KiB has room for the beat itself.
const MOST_OFFERED: usize = 16 * 1_024;

/// A beat that was due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    /// Start of the pin of the NOC that it is for.
    noc: String,
    boot: BootId,
    counter: u64,
    /// When it was measured, by the clock of its boot.
    at_ms: u64,
    /// The NOC's time then, as far as it was known.
    time: Option<u64>,
    values: BeatValues,
}

/// What goes with a beat.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// For the request.
    pub earlier: Vec<EarlierBeat>,
    /// Which they are: until the answer comes, the queue may thin out.
    indices: Vec<u64>,
}

#[derive(Debug)]
struct Held {
    index: u64,
    /// As in the journal.
    record: Vec<u8>,
}

/// What has to be done with the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Add these records.
    Append(Vec<Vec<u8>>),
    /// Replace all records by these; by none, to remove it.
    Rewrite(Vec<Vec<u8>>),
}

/// The queue. Pure: the driver does what [`BeatQueue::write`] says.
#[derive(Debug)]
pub struct BeatQueue {
    boot: BootId,
    /// The NOC's time as it was heard in this boot, and when.
    heard: Option<(Millis, u64)>,
    /// A time before this boot, known from what waits.
    floor: Option<u64>,
    /// Oldest first.
    held: VecDeque<Held>,
    next_index: u64,
    bytes: usize,
    /// How many at the end are not in the journal yet.
    unwritten: usize,
    journal_bytes: usize,
    /// The journal is to be written anew.
    stale: bool,
    tried_at: Option<Millis>,
    /// The NOC took a beat and left what came with it: it does not know the history.
    declined: bool,
    /// The NOC refused a beat that came with an offer up to here. If it takes the next one without, the offer was why.
    suspect: Option<u64>,
}

impl BeatQueue {
    /// Takes up the journal. Records that make no sense are left out.
    pub fn new(boot: BootId, journal: Vec<Vec<u8>>) -> BeatQueue {
        let mut queue = BeatQueue {
            boot,
            heard: None,
            floor: None,
            held: VecDeque::new(),
            next_index: 0,
            bytes: 0,
            unwritten: 0,
            journal_bytes: journal.iter().map(Vec::len).sum(),
            stale: false,
            tried_at: None,
            declined: false,
            suspect: None,
        };
        for record in journal {
            match read(&record) {
                Some(waiting) => {
                    queue.floor = queue.floor.max(waiting.time);
                    queue.push(record);
                }
                None => queue.stale = true,
            }
        }
        queue.thin_out();
        queue
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Throws away what waits for another NOC: it is none of this one's business. Unless it is that of the pin `formerly`, which
    /// has handed the appliance over: then it waits for this one from now on.
    pub fn report_to(&mut self, enrolment: &Enrolment, formerly: Option<[u8; 32]>) {
        let noc = name(&enrolment.ca_pin);
        if let Some(former) = formerly.map(|pin| name(&pin)).filter(|former| *former != noc) {
            self.inherit(&former, &noc);
        }
        self.retain(|held| read(&held.record).is_some_and(|waiting| waiting.noc == noc));
        self.declined = false;
    }

    fn inherit(&mut self, former: &str, noc: &str) {
        for held in &mut self.held {
            let Some(waiting) = read(&held.record).filter(|waiting| waiting.noc == former) else { continue };
            // A pin is as long as another, so what fitted fits.
            held.record = serde_json::to_vec(&Waiting { noc: noc.to_owned(), ..waiting }).unwrap_or_default();
            self.stale = true;
        }
        self.bytes = self.held.iter().map(|held| held.record.len()).sum();
    }

    /// A beat that did not arrive while it was due, measured at `at`.
    pub fn keep(&mut self, enrolment: &Enrolment, counter: u64, at: Millis, values: BeatValues) {
        let time = match self.heard {
            Some((heard, time)) => Some(time.saturating_add(at.since(heard) / 1_000)),
            None => self.floor.map(|floor| floor.saturating_add(at.0 / 1_000)),
        };
        let waiting = Waiting { noc: name(&enrolment.ca_pin), boot: self.boot, counter, at_ms: at.0, time, values };
        // Structures of text and numbers always serialise.
        let record = serde_json::to_vec(&waiting).unwrap_or_default();
        // What does not read back (no number that JSON knows) is not kept either.
        if record.len() > MOST_RECORD || read(&record).is_none() {
            return;
        }
        self.push(record);
        self.unwritten += 1;
        self.declined = false;
        self.thin_out();
    }

    /// What goes with a beat now, oldest first.
    pub fn offer(&self, now: Millis) -> Offer {
        let mut offer = Offer::default();
        if self.declined || self.suspect.is_some() {
            return offer;
        }
        let mut bytes = 0;
        for held in self.held.iter().take(MOST_EARLIER) {
            bytes += held.record.len();
            let Some(waiting) = read(&held.record).filter(|_| bytes <= MOST_OFFERED) else { break };
            let is_of_this_boot = waiting.boot == self.boot;
            offer.indices.push(held.index);
            offer.earlier.push(EarlierBeat {
                boot: waiting.boot,
                counter: waiting.counter,
                age_s: is_of_this_boot.then(|| now.since(Millis(waiting.at_ms)) / 1_000),
                time: if is_of_this_boot { None } else { waiting.time },
                values: waiting.values,
            });
        }
        offer
    }

    /// A beat arrived with an offer, at the NOC's time `time`; so many of the offer the NOC wants to see no more.
    pub fn delivered(&mut self, now: Millis, time: u64, offer: &Offer, taken: Option<usize>) {
        self.heard = Some((now, time));
        let suspect = self.suspect.take();
        // One that knows the history but has no time for it now (none taken) is offered it again with the next beat.
        self.declined = suspect.is_none() && taken.is_none() && !offer.indices.is_empty();
        // History is not worth a beat: what the NOC refuses to hear is not said again.
        let taken = suspect.or_else(|| offer.indices.iter().take(taken.unwrap_or(0)).next_back().copied());
        while let Some(last) = taken
            && let Some(held) = self.held.pop_front_if(|held| held.index <= last)
        {
            self.bytes -= held.record.len();
        }
        self.unwritten = self.unwritten.min(self.held.len());
    }

    /// The NOC said that a beat with this offer is not of a form that it takes.
    pub fn refused(&mut self, offer: &Offer) {
        self.suspect = offer.indices.last().copied();
    }

    /// What has to be done with the journal now. The driver says by [`BeatQueue::written`] what came of it.
    pub fn write(&self, now: Millis) -> Option<Write> {
        if self.held.is_empty() {
            return (self.journal_bytes > 0).then(|| Write::Rewrite(Vec::new()));
        }
        if self.tried_at.is_some_and(|tried| now.since(tried) < WRITE_EVERY_MS) {
            return None;
        }
        let from = |first: usize| self.held.iter().skip(first).map(|held| held.record.clone()).collect::<Vec<_>>();
        let new = from(self.held.len() - self.unwritten);
        let room = MOST_BYTES.saturating_sub(self.journal_bytes);
        if self.stale || total(&new) > room {
            return Some(Write::Rewrite(from(0)));
        }
        (self.unwritten > 0).then_some(Write::Append(new))
    }

    /// The journal was written, or could not be.
    pub fn written(&mut self, now: Millis, write: &Write, well: bool) {
        match write {
            Write::Rewrite(records) if well => (self.journal_bytes, self.stale) = (total(records), false),
            Write::Append(records) if well => self.journal_bytes += total(records),
            _ => {}
        }
        if well {
            self.unwritten = 0;
        }
        // The first of a new absence is on disk at once.
        self.tried_at = (!well || !self.held.is_empty()).then_some(now);
    }

    fn push(&mut self, record: Vec<u8>) {
        self.bytes += record.len();
        self.held.push_back(Held { index: self.next_index, record });
        self.next_index += 1;
    }

    /// A quarter goes when there is no more room: where they lie densest, and of those the oldest first. Never the very first
    /// and the newest.
    fn thin_out(&mut self) {
        if self.held.len() <= MOST && self.bytes <= MOST_BYTES {
            return;
        }
        let (most, most_bytes) = (MOST / 4 * 3, MOST_BYTES / 4 * 3);
        let (mut count, mut bytes) = (self.held.len(), self.bytes);
        let mut widest = 2;
        while (count > most || bytes > most_bytes) && count > 2 {
            let followers: Vec<u64> = self.held.iter().skip(1).map(|held| held.index).collect();
            let mut followers = followers.into_iter();
            let mut before = None;
            self.retain(|held| {
                let (follower, last) = (followers.next(), before.replace(held.index));
                let is_dense = last.zip(follower).is_some_and(|(last, follower)| follower - last <= widest);
                let goes = is_dense && (count > most || bytes > most_bytes);
                if goes {
                    (count, bytes, before) = (count - 1, bytes - held.record.len(), last);
                }
                !goes
            });
            widest *= 2;
        }
    }

    fn retain(&mut self, keeps: impl FnMut(&Held) -> bool) {
        let before = self.held.len();
        self.held.retain(keeps);
        if self.held.len() != before {
            self.bytes = self.held.iter().map(|held| held.record.len()).sum();
            self.unwritten = self.unwritten.min(self.held.len());
            self.stale = true;
        }
    }
}

fn total(records: &[Vec<u8>]) -> usize {
    records.iter().map(Vec::len).sum()
}

fn read(record: &[u8]) -> Option<Waiting> {
    serde_json::from_slice(record).ok()
}

fn name(pin: &[u8; 32]) -> String {
    HEXLOWER.encode(&pin[..8])
}

#[cfg(test)]
mod tests;
