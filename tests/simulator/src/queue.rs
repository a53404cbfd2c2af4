//! What happens when. Things of the same millisecond happen in the order in which they were arranged.

use crate::noc::{Answer, Request};
use muster_protocol::time::Millis;
use muster_protocol::wire::Peer;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// A party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// By number.
    Appliance(usize),
    /// By number.
    Console(usize),
    /// The one there is.
    Noc,
    /// The one there may be.
    Attacker,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A datagram arrives.
    Datagram { to: Node, peer: Peer, bytes: Rc<[u8]> },
    /// A machine wanted to be woken.
    Wake(Node),
    /// A write is done. Of another run it means nothing.
    Written { node: Node, run: u32 },
    /// An appliance's network is a step further.
    Changed { appliance: usize, run: u32 },
    /// A request arrives at the NOC.
    Asked(Request),
    /// The NOC's transaction is done.
    Committed { run: u32, request: Request },
    /// An answer of the NOC, or the news that there is none.
    Answered { to: Node, run: u32, answer: Answer },
    /// A party has power again.
    PowerOn(Node),
    /// An operator looks at his console.
    Operator { console: usize },
    /// Somebody at the NOC changes an appliance.
    Office,
    /// Something goes wrong by itself.
    Strike,
    /// A partition ends.
    Rejoin { appliance: usize },
    /// The attacker does something.
    Attack,
    /// Faults are over.
    Heal,
    /// Time to see whether everything has ended.
    Look,
}

struct Entry {
    at: Millis,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// All that will happen.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Millis, event: Event) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, event }));
    }

    pub(crate) fn pop(&mut self) -> Option<(Millis, Event)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}
