//! The loop over events, and the end at which everything must be well.

mod ending;
mod operator;

use crate::Options;
use crate::appliance;
use crate::attacker::{self, Attacker, Overheard};
use crate::console;
use crate::lan::Lan;
use crate::ledger::{Failure, Invariant, Ledger};
use crate::noc::{Known, Noc};
use crate::plan::{Fault, Plan, Quality, Sabotage};
use crate::queue::{Event, Node, Queue};
use crate::random::Stream;
use crate::report::{Counts, Log};
use crate::vouchers::{Paper, Vendor};
use ending::Ending;
use muster_protocol::id::Uid;
use muster_protocol::time::Millis;
use muster_protocol::wire::here::Proof;

/// What all parties share: time, the network, the dice, and what is written down.
pub(crate) struct Io {
    pub(crate) now: Millis,
    pub(crate) queue: Queue,
    pub(crate) dice: Stream,
    pub(crate) log: Log,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    pub(crate) plan: Plan,
    pub(crate) lan: Lan,
    pub(crate) overheard: Overheard,
    /// Of all appliances, by number.
    pub(crate) uids: Vec<Uid>,
    /// Faults are over.
    pub(crate) is_healed: bool,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Io {
    /// Rolls the dice for something that goes wrong.
    pub(crate) fn strikes(&mut self, fault: Fault, per_mille: u32) -> bool {
        let strikes = per_mille > 0 && !self.is_healed && self.dice.chance(per_mille);
        if strikes {
            self.counts.fault(fault);
        }
        strikes
    }

    pub(crate) fn fail(&mut self, invariant: Invariant, detail: String) {
        self.ledger.fail(self.now, invariant, detail);
    }

    /// The number of an appliance.
    pub(crate) fn number_of(&self, uid: &Uid) -> Option<usize> {
        self.uids.iter().position(|known| known == uid)
    }
}

/// A world.
pub(crate) struct World {
    io: Io,
    appliances: Vec<appliance::Host>,
    consoles: Vec<console::Host>,
    noc: Noc,
    attacker: Attacker,
    vendor: Vendor,
    /// Jobs that each operator has started.
    jobs: Vec<u64>,
    /// Numbers the settings that were given out.
    round: u64,
    ending: Ending,
}

/// More events than any world needs.
const MOST_EVENTS: u64 = 4_000_000;

impl World {
    pub(crate) fn new(seed: u64, options: Options) -> World {
        let mut dice = Stream::new(seed);
        let plan = Plan::draw(&mut dice);
        let mut keys = dice.fork();
        let mut vendor = Vendor::new(seed);
        let appliances: Vec<appliance::Host> = (0..plan.appliances)
            .map(|number| {
                let proof = match dice.chance(plan.open) {
                    true => Proof::Open,
                    false if vendor.makes(plan.vouched) => Proof::Voucher,
                    false => Proof::Claim,
                };
                appliance::Host::new(number, &mut keys, proof, vendor.key())
            })
            .collect();
        let mut consoles: Vec<console::Host> =
            (0..plan.consoles).map(|number| console::Host::new(number, &mut keys)).collect();
        let known = appliances.iter().map(|appliance| Known {
            uid: appliance.uid(),
            mac: appliance.mac(),
            claim: Some(appliance.claim()),
            voucher: None,
        });
        let mut noc = Noc::new(&mut keys, known.collect(), consoles.iter().map(console::Host::public).collect());
        for (number, console) in consoles.iter_mut().enumerate() {
            console.enrol(noc.credential(number));
        }
        let count = plan.appliances;
        let links = (0..count).map(|_| plan.links(&mut dice)).collect();
        let lan = Lan { addresses: vec![None; count], links, apart: vec![false; count] };
        let attacker = Attacker::new(&mut keys, vendor.key());
        let counts = Counts { worlds: 1, appliances: count as u64, ..Counts::default() };
        let mut io = Io {
            now: Millis(1_000_000),
            queue: Queue::default(),
            log: Log { is_on: options.log, ..Log::default() },
            ledger: Ledger::new(count),
            counts,
            lan,
            overheard: Overheard::new(plan.attack_every_ms > 0),
            uids: appliances.iter().map(appliance::Host::uid).collect(),
            is_healed: false,
            sabotage: options.sabotage,
            dice,
            plan,
        };
        log!(io, "seed {seed}: {:?}", io.plan);
        for appliance in appliances.iter().filter(|appliance| appliance.proof() == Proof::Voucher) {
            let paper = vendor.draw();
            noc.import(&mut io, appliance.number(), paper, vendor.paper(paper, appliance.uid(), noc.root().public()));
        }
        arrange(&mut io);
        let jobs = vec![0; consoles.len()];
        World { io, appliances, consoles, noc, attacker, vendor, jobs, round: 0, ending: Ending::default() }
    }

    pub(crate) fn run(&mut self) {
        while self.io.ledger.failure.is_none() && !self.ending.is_over() {
            let Some((at, event)) = self.io.queue.pop() else {
                return self.io.fail(Invariant::Progress, "nothing is left to happen".to_owned());
            };
            self.io.now = self.io.now.max(at);
            self.io.counts.events += 1;
            if self.io.counts.events > MOST_EVENTS {
                return self.io.fail(Invariant::Progress, format!("{MOST_EVENTS} events and no end"));
            }
            self.event(event);
            if self.io.overheard.hot.is_some() {
                attacker::attack_at_once(&mut self.io, &mut self.attacker, &self.appliances, &self.consoles);
            }
        }
    }

    pub(crate) fn into_parts(self) -> (Counts, String, Millis, Option<Failure>) {
        let Io { mut counts, log, now, ledger, .. } = self.io;
        counts.virtual_ms = now.since(Millis(1_000_000));
        (counts, log.text, now, ledger.failure)
    }

    fn event(&mut self, event: Event) {
        let World { io, appliances, consoles, noc, attacker, .. } = self;
        match event {
            Event::Datagram { to, peer, bytes } => {
                io.counts.datagrams += 1;
                match to {
                    Node::Appliance(number) => appliances[number].datagram(io, peer, &bytes),
                    Node::Console(number) => {
                        if let Some(console) = consoles.get_mut(number) {
                            console.datagram(io, peer, &bytes);
                        }
                    }
                    Node::Attacker => attacker.datagram(io, &bytes),
                    Node::Noc => {}
                }
            }
            Event::Wake(Node::Appliance(number)) => {
                if appliances[number].wants_wake(io) {
                    appliances[number].timeout(io);
                }
            }
            Event::Wake(Node::Console(number)) => {
                if consoles[number].wants_wake(io) {
                    consoles[number].work(io);
                }
            }
            Event::Wake(_) => {
                if noc.wants_wake(io) {
                    noc.timeout(io);
                }
            }
            Event::Written { node: Node::Appliance(number), run } => appliances[number].written(io, run),
            Event::Written { node: Node::Console(number), run } => consoles[number].written(io, run),
            Event::Written { .. } => {}
            Event::Changed { appliance, run } => appliances[appliance].changed(io, run),
            Event::Asked(request) => noc.asked(io, request),
            Event::Committed { run, request } => noc.committed(io, run, &request),
            Event::Answered { to: Node::Appliance(number), run, answer } => {
                appliances[number].answered(io, run, &answer);
                attacker::answer_too(io, attacker, &mut appliances[number]);
            }
            Event::Answered { to: Node::Console(number), run, answer } => consoles[number].answered(io, run, answer),
            Event::Answered { .. } => {}
            Event::PowerOn(Node::Appliance(number)) => appliances[number].power_on(io),
            Event::PowerOn(Node::Console(number)) => consoles[number].power_on(io),
            Event::PowerOn(_) => noc.power_on(io),
            Event::Operator { console } => self.operate(console),
            Event::Office => self.office(),
            Event::Strike => self.strike(),
            Event::Rejoin { appliance } => {
                io.lan.apart[appliance] = false;
                log!(io, "appliance {appliance} is back on the network");
            }
            Event::Attack => self.attack(),
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    /// Something that goes wrong by itself, at any moment.
    fn strike(&mut self) {
        let World { io, appliances, consoles, noc, .. } = self;
        if io.is_healed {
            return;
        }
        let appliance = io.dice.index(appliances.len());
        let console = io.dice.index(consoles.len());
        let fault = match io.dice.below(20) {
            0..7 => {
                appliances[appliance].power_cut(io);
                Fault::ApplianceCut
            }
            7..10 => {
                io.lan.apart[appliance] = true;
                log!(io, "appliance {appliance} is cut off");
                let lasts = io.dice.between(3_000, 200_000);
                io.queue.push(io.now + lasts, Event::Rejoin { appliance });
                Fault::Partition
            }
            10..12 => {
                consoles[console].power_cut(io);
                Fault::ConsoleCut
            }
            12..14 => {
                noc.power_cut(io);
                Fault::NocCut
            }
            14..17 => {
                let ms = io.dice.between(1_000, 300_000);
                match io.dice.below(3) {
                    0 => noc.jump(io, ms),
                    1 => consoles[console].jump(io, ms as i64),
                    _ => appliances[appliance].jump(io, ms as i64),
                }
                Fault::ClockForwards
            }
            17..19 => {
                let ms = -(io.dice.between(1, 20_000) as i64);
                match io.dice.below(2) {
                    0 => consoles[console].jump(io, ms),
                    _ => appliances[appliance].jump(io, ms),
                }
                Fault::ClockBackwards
            }
            _ => {
                appliances[appliance].factory_reset(io);
                Fault::FactoryReset
            }
        };
        io.counts.fault(fault);
        let mean_ms = io.plan.rates.strike_every_s * 1_000;
        let next = io.now + io.dice.between(1, 2 * mean_ms);
        io.queue.push(next, Event::Strike);
    }

    fn attack(&mut self) {
        let io = &mut self.io;
        if io.is_healed && !io.plan.attacks_on {
            return;
        }
        let noc_root = (io.sabotage == Some(Sabotage::StolenRoot)).then(|| self.noc.root());
        attacker::attack(io, &mut self.attacker, &self.appliances, &self.consoles, noc_root);
        let next = io.now + io.dice.between(1, 2 * io.plan.attack_every_ms);
        io.queue.push(next, Event::Attack);
    }

    /// Faults are over: every link is good, everything has power or gets it again.
    fn heal(&mut self) {
        // Whoever lacks a voucher has asked the vendor for it by now.
        for appliance in self.appliances.iter().filter(|appliance| appliance.proof() == Proof::Voucher) {
            let good = self.vendor.paper(Paper::Good, appliance.uid(), self.noc.root().public());
            self.noc.import(&mut self.io, appliance.number(), Paper::Good, good);
        }
        let io = &mut self.io;
        log!(io, "the network heals");
        io.is_healed = true;
        let loss = if io.sabotage == Some(Sabotage::NeverHeals) { 1_000 } else { 0 };
        if loss > 0 {
            // Then nothing arrives any more.
            io.lan.apart.fill(true);
        } else {
            io.lan.apart.fill(false);
        }
        io.lan.links.fill([Quality::GOOD; 2]);
        io.queue.push(io.now, Event::Look);
    }
}

fn arrange(io: &mut Io) {
    let start = io.now;
    io.queue.push(start, Event::PowerOn(Node::Noc));
    for number in 0..io.plan.appliances {
        let late = if io.dice.chance(100) { io.dice.below(60_000) } else { io.dice.below(500) };
        io.queue.push(start + late, Event::PowerOn(Node::Appliance(number)));
    }
    for console in 0..io.plan.consoles {
        io.queue.push(start, Event::PowerOn(Node::Console(console)));
        let first = io.dice.between(500, 5_000);
        io.queue.push(start + first, Event::Operator { console });
    }
    if io.plan.rates.strike_every_s > 0 {
        let first = io.dice.between(1, 2_000 * io.plan.rates.strike_every_s);
        io.queue.push(start + first, Event::Strike);
    }
    if io.plan.office_every_ms > 0 {
        io.queue.push(start + io.plan.office_every_ms, Event::Office);
    }
    if io.plan.attack_every_ms > 0 {
        io.queue.push(start + 1_000, Event::Attack);
    }
    let lasts = 10_000 + (io.plan.jobs + 1) * io.plan.job_every_ms;
    io.queue.push(start + lasts, Event::Heal);
}
