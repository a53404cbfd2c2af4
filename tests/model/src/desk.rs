//! The console's work on one appliance as the model drives it: the real delivery, the NOC that signs grants for it, and
//! what the console believes.

use crate::bounds::Sabotage;
use crate::cast::{Cast, Mark, ask, mac, name};
use crate::packets::{Book, Config, Maker, PacketId, What};
use crate::rng::ModelRng;
use muster_protocol::delivery::{Delivery, Input, Order, Outcome, Output, Progress};
use muster_protocol::id::Seq;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::State;
use muster_protocol::wire::{self, Message};
use std::collections::BTreeSet;
use std::hash::Hash;

/// What may happen to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// The operator starts a job.
    Starts,
    /// The NOC has new settings for the appliance, to be given with the answer to a beat.
    Gives,
    /// A datagram arrives.
    Arrives(PacketId),
    /// Its timer fires.
    Timer,
}

pub(crate) struct Desk {
    pub(crate) who: usize,
    delivery: Option<Delivery>,
    /// Config packets built. Each has randomness of its own, and whatever happens in between starts from the same place:
    /// a result that comes ten times leaves the same state as one that comes once.
    built: u64,
    pub(crate) jobs: u8,
    pub(crate) grants: u64,
    /// Of these, how many the NOC gave itself.
    pub(crate) given: u64,
    /// The number of the grant that the console has.
    seq: u64,
    pub(crate) pings: u8,
    /// It answered the last ping as configured: the NOC gives no claim key for it any more.
    is_pinned: bool,
    /// The config packet sent last.
    pub(crate) packet: Option<PacketId>,
    /// Packets that were answered with SUCCESS, as the console believes.
    pub(crate) succeeded: BTreeSet<PacketId>,
    /// Packets whose settings are final, as the console believes.
    pub(crate) configured: BTreeSet<PacketId>,
    pub(crate) last: Option<&'static str>,
}

pub(crate) struct DeskStep {
    pub(crate) desk: Desk,
    pub(crate) sent: Vec<PacketId>,
}

impl Desk {
    pub(crate) fn new(who: usize) -> Desk {
        Desk {
            who,
            delivery: None,
            built: 0,
            jobs: 0,
            grants: 0,
            given: 0,
            seq: 0,
            pings: 0,
            is_pinned: false,
            packet: None,
            succeeded: BTreeSet::new(),
            configured: BTreeSet::new(),
            last: None,
        }
    }

    /// Everything that decides what can follow, and what the properties look at.
    pub(crate) fn identity(&self) -> impl Hash {
        (
            (self.who, self.delivery.as_ref().map(Delivery::fingerprint), self.built, self.jobs, self.grants),
            (self.given, self.seq),
            (self.pings, self.is_pinned, self.packet, self.succeeded.clone(), self.configured.clone(), self.last),
        )
    }

    /// A delivery is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.delivery.is_some()
    }

    /// When the delivery wants to wake up.
    pub(crate) fn wakes_at(&self) -> Option<Millis> {
        self.delivery.as_ref().and_then(Delivery::poll_timeout)
    }

    /// One turn, on a fork of it.
    pub(crate) fn step(&self, cast: &Cast, book: &mut Book, sabotage: Sabotage, now: Millis, turn: Turn) -> DeskStep {
        let mut step = DeskStep { desk: self.fork(), sent: Vec::new() };
        let mut run = Run { cast, book, sabotage, now, step: &mut step };
        match turn {
            Turn::Starts => run.start(),
            Turn::Gives => run.give(),
            Turn::Arrives(packet) => run.arrives(packet),
            Turn::Timer => {
                if let Some(delivery) = &mut run.step.desk.delivery {
                    delivery.handle_timeout(now, &cast.console);
                }
                run.drain();
            }
        }
        step
    }

    fn rng(&self) -> Box<ModelRng> {
        Box::new(ModelRng::new(&format!("delivery to {} packet {}", self.who, self.built), 0))
    }

    fn fork(&self) -> Desk {
        Desk {
            delivery: self.delivery.as_ref().map(|delivery| delivery.fork(self.rng())),
            succeeded: self.succeeded.clone(),
            configured: self.configured.clone(),
            ..*self
        }
    }
}

struct Run<'a> {
    cast: &'a Cast,
    book: &'a mut Book,
    sabotage: Sabotage,
    now: Millis,
    step: &'a mut DeskStep,
}

impl Run<'_> {
    fn start(&mut self) {
        let grant = self.next_grant();
        let desk = &mut self.step.desk;
        desk.jobs += 1;
        let (claim, voucher) = self.cast.proof_of(desk.who);
        let order = Order {
            device_key: self.cast.devices[desk.who].public(),
            mac: mac(desk.who),
            grant,
            seq: Seq(self.seq()),
            claim,
            voucher,
            one_time_key: None,
        };
        let desk = &mut self.step.desk;
        (desk.is_pinned, desk.packet, desk.last) = (false, None, None);
        desk.delivery = Some(Delivery::new(self.now, order, &self.cast.console, desk.rng()));
        self.drain();
    }

    /// Answers are not asked for the ping they answer: the attacker may pass on old ones.
    fn arrives(&mut self, packet: PacketId) {
        let bytes = self.book.get(packet).bytes.clone();
        match wire::decode(&bytes) {
            Ok(Message::Result(packet)) => self.input(Input::Packet(&packet)),
            Ok(Message::Here(packet)) => {
                let Ok(here) = packet.verify() else { return };
                if here.uid() != self.cast.uid(self.step.desk.who) {
                    return;
                }
                self.step.desk.is_pinned = here.state == State::Configured;
                self.input(Input::Heard {
                    one_time_key: here.one_time_key,
                    boot: here.boot,
                    state: here.state,
                    proof: here.proof,
                });
            }
            _ => {}
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if let Some(delivery) = &mut self.step.desk.delivery {
            delivery.handle_input(self.now, input, &self.cast.console);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.step.desk.delivery.as_mut().and_then(Delivery::poll_output) {
            match output {
                Output::Persist { token, .. } => {
                    if let Some(delivery) = &mut self.step.desk.delivery {
                        delivery.handle_input(self.now, Input::Persisted(token), &self.cast.console);
                    }
                }
                Output::Transmit { bytes, .. } => self.transmit(bytes),
                Output::AskKey => self.ping(),
                Output::AskGrant => {
                    let grant = self.next_grant();
                    let desk = &mut self.step.desk;
                    let (claim, voucher) = self.cast.proof_of(desk.who);
                    let claim = claim.filter(|_| !desk.is_pinned);
                    let seq = Seq(self.seq());
                    if let Some(delivery) = &mut self.step.desk.delivery {
                        let regranted = Input::Regranted { grant, seq, claim, voucher };
                        delivery.handle_input(self.now, regranted, &self.cast.console);
                    }
                }
                Output::Progress(Progress::KickStarting) => {
                    let desk = &mut self.step.desk;
                    desk.succeeded.extend(desk.packet);
                }
                Output::Progress(_) => {}
                Output::Done(outcome) => self.done(&outcome),
            }
        }
    }

    fn done(&mut self, outcome: &Outcome) {
        let desk = &mut self.step.desk;
        desk.last = Some(match outcome {
            Outcome::Configured => "configured",
            Outcome::Failed { reason, .. } => reason.code(),
            Outcome::NoAnswer => "no answer",
            Outcome::Cancelled => "cancelled",
        });
        if *outcome == Outcome::Configured {
            desk.succeeded.extend(desk.packet);
            desk.configured.extend(desk.packet);
        }
        desk.delivery = None;
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        let desk = &self.step.desk;
        let what = match wire::decode(&bytes) {
            Ok(Message::Config(packet)) => What::Config(Config {
                by: Maker::Console,
                grant: Mark { unit: desk.who, seq: self.seq(), by_noc: true },
                to: desk.who,
                key: packet.to.one_time_key,
                request: packet.to.request,
            }),
            _ => {
                let sent = desk.packet.and_then(|packet| self.book.config(packet));
                let Some(config) = sent else { return };
                let of = format!("of {} for grant {}", name(desk.who), config.grant.seq);
                What::Kick { by: Maker::Console, request: config.request, of }
            }
        };
        let is_config = matches!(what, What::Config(_));
        let packet = self.book.enter(bytes, || what);
        if is_config && self.step.desk.packet != Some(packet) {
            self.step.desk.packet = Some(packet);
            self.step.desk.built += 1;
        }
        self.step.sent.push(packet);
    }

    fn ping(&mut self) {
        let desk = &mut self.step.desk;
        let (unit, number) = (desk.who, desk.pings);
        desk.pings += 1;
        let ping = ask(self.cast.uid(unit), number);
        let packet = self.book.enter(ping.to_plain(), || What::Ping { unit, number });
        self.step.sent.push(packet);
    }

    fn next_grant(&mut self) -> Vec<u8> {
        self.step.desk.grants += 1;
        self.step.desk.seq = self.step.desk.grants;
        self.cast.noc_grant(self.step.desk.who, self.seq())
    }

    /// The number of the grant that the console has.
    fn seq(&self) -> u64 {
        if self.sabotage == Sabotage::NocReusesNumbers { 1 } else { self.step.desk.seq }
    }

    fn give(&mut self) {
        let desk = &mut self.step.desk;
        (desk.grants, desk.given) = (desk.grants + 1, desk.given + 1);
        let grant = Mark { unit: desk.who, seq: desk.grants, by_noc: true };
        let signed = self.cast.given_grant(grant.unit, grant.seq);
        let packet = self.book.enter(signed, || What::Given { by: Maker::Console, grant });
        self.step.sent.push(packet);
    }
}
