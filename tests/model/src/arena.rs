//! The states of single machines, each once, and what follows from them.
//!
//! A state of the whole is a few numbers: which state each machine is in, and which datagrams the attacker holds. Every
//! step of a machine is made once by the machine itself, and looked up from then on: machines are pure, so the same state
//! and the same input have the same outcome.

use crate::attacker::{Loot, Workshop};
use crate::bounds::Setup;
use crate::cast::{APPLIANCES, Cast};
use crate::desk::{Desk, Turn};
use crate::packets::{Book, Maker, PacketId, What};
use crate::unit::{Happening, Unit, is_untouched};
use muster_protocol::time::Millis;
use muster_protocol::wire::result::Reason;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};

/// A state of an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitId(u32);

/// A state of the console's work on an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeskId(u32);

/// What a happening leads to.
#[derive(Clone)]
pub(crate) struct After {
    pub(crate) unit: UnitId,
    pub(crate) sent: Vec<PacketId>,
    pub(crate) effect: Effect,
}

/// How much a happening changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing but a further one-time key or less of a rate limit.
    AnswerOnly { new_key: bool },
    /// The machine's conduct, or what surrounds it.
    Change,
}

pub(crate) struct Arena {
    pub(crate) setup: Setup,
    pub(crate) cast: Cast,
    pub(crate) book: Book,
    units: Vec<Unit>,
    unit_ids: HashMap<[u8; 32], UnitId>,
    unit_steps: HashMap<(UnitId, Millis, Happening), After>,
    desks: Vec<Desk>,
    desk_ids: HashMap<[u8; 32], DeskId>,
    desk_steps: HashMap<(DeskId, Millis, Turn), (DeskId, Vec<PacketId>)>,
    workshop: Workshop,
    attacks: HashMap<(UnitId, Millis, Vec<PacketId>), Vec<PacketId>>,
    lies: HashMap<(DeskId, Millis), Vec<PacketId>>,
    pub(crate) fair: HashSet<(UnitId, DeskId, Millis)>,
    pub(crate) coverage: Coverage,
}

/// What the search has tried, to see that it tried something.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// States of single appliances.
    pub units: usize,
    /// States of single deliveries.
    pub desks: usize,
    /// Different datagrams, the attacker's own included.
    pub packets: usize,
    /// Steps that machines of appliances made.
    pub steps: usize,
    /// The attacker's own packets that were given to an appliance.
    pub forged: usize,
    /// Why appliances refused packets of the attacker's own making, and how often.
    pub forged_refused: BTreeMap<&'static str, usize>,
    /// Why appliances refused packets of the console, and how often.
    pub refused: BTreeMap<&'static str, usize>,
}

impl Arena {
    pub(crate) fn new(setup: Setup) -> Arena {
        Arena {
            cast: Cast::new(setup.sabotage, setup.vouched),
            setup,
            book: Book::default(),
            units: Vec::new(),
            unit_ids: HashMap::new(),
            unit_steps: HashMap::new(),
            desks: Vec::new(),
            desk_ids: HashMap::new(),
            desk_steps: HashMap::new(),
            workshop: Workshop::default(),
            attacks: HashMap::new(),
            lies: HashMap::new(),
            fair: HashSet::new(),
            coverage: Coverage::default(),
        }
    }

    /// The first states.
    pub(crate) fn start(&mut self) -> ([UnitId; APPLIANCES], [DeskId; APPLIANCES]) {
        let units = std::array::from_fn(|who| {
            let unit = Unit::new(&self.cast, who, Millis(0));
            self.keep_unit(unit, Millis(0))
        });
        (units, std::array::from_fn(|who| self.keep_desk(Desk::new(who))))
    }

    pub(crate) fn unit(&self, id: UnitId) -> &Unit {
        &self.units[id.0 as usize]
    }

    pub(crate) fn desk(&self, id: DeskId) -> &Desk {
        &self.desks[id.0 as usize]
    }

    pub(crate) fn unit_step(&mut self, id: UnitId, now: Millis, what: Happening) -> After {
        if let Some(after) = self.unit_steps.get(&(id, now, what)) {
            return after.clone();
        }
        let before = &self.units[id.0 as usize];
        let step = before.step(&self.cast, &mut self.book, self.setup.sabotage, now, what);
        let (was, is) = (before.machine.fingerprint(now), step.unit.machine.fingerprint(now));
        let is_arrival = matches!(what, Happening::Arrives(_));
        let effect = if is_arrival && is_untouched(&was, &is) && before.faults == step.unit.faults {
            Effect::AnswerOnly { new_key: was.keys != is.keys }
        } else {
            Effect::Change
        };
        self.count(what, step.refused);
        let after = After { unit: self.keep_unit(step.unit, now), sent: step.sent, effect };
        self.unit_steps.insert((id, now, what), after.clone());
        after
    }

    pub(crate) fn desk_step(&mut self, id: DeskId, now: Millis, turn: Turn) -> (DeskId, Vec<PacketId>) {
        if let Some(after) = self.desk_steps.get(&(id, now, turn)) {
            return after.clone();
        }
        let desk = &self.desks[id.0 as usize];
        let step = desk.step(&self.cast, &mut self.book, self.setup.sabotage, now, turn);
        let after = (self.keep_desk(step.desk), step.sent);
        self.desk_steps.insert((id, now, turn), after.clone());
        after
    }

    /// An appliance once it has answered a ping of the attacker: it has one more one-time key, and he knows it.
    pub(crate) fn pinged(&mut self, id: UnitId, now: Millis) -> UnitId {
        let who = self.unit(id).who;
        let ping = self.workshop.ping(&self.cast, &mut self.book, who);
        self.unit_step(id, now, Happening::Arrives(ping)).unit
    }

    /// The attacker's own packets that would do more to this appliance, once it has answered his ping, than make it answer
    /// FAILED. All he can make of what he `recorded` are tried.
    pub(crate) fn attacks(
        &mut self,
        id: UnitId,
        now: Millis,
        recorded: &[PacketId],
        grants: [u64; 2],
    ) -> Vec<PacketId> {
        let question = (id, now, recorded.to_vec());
        if let Some(attacks) = self.attacks.get(&question) {
            return attacks.clone();
        }
        let pinged = self.pinged(id, now);
        let unit = &self.units[pinged.0 as usize];
        let mut keys: Vec<_> = unit.machine.fingerprint(now).keys.into_iter().rev().map(|(_, key)| key).collect();
        if !self.setup.all_keys {
            keys.truncate(1);
        }
        let is_owned = unit.confirmed().is_some();
        let loot = Loot { unit: unit.who, keys: &keys, recorded, grants, newest: unit.newest(), is_owned };
        let forged = self.workshop.for_appliance(&self.cast, &mut self.book, &loot);
        self.coverage.forged += forged.len();
        let harmful =
            |packet: &PacketId| self.unit_step(pinged, now, Happening::Arrives(*packet)).effect == Effect::Change;
        let attacks: Vec<PacketId> = forged.into_iter().filter(harmful).collect();
        self.attacks.insert(question, attacks.clone());
        attacks
    }

    /// The attacker's own packets that the console would believe.
    pub(crate) fn lies(&mut self, id: DeskId, now: Millis) -> Vec<PacketId> {
        if let Some(lies) = self.lies.get(&(id, now)) {
            return lies.clone();
        }
        let Some(packet) = self.desk(id).packet else { return Vec::new() };
        let lies = self.workshop.for_console(&self.cast, &mut self.book, packet);
        let lies: Vec<_> =
            lies.into_iter().filter(|packet| self.desk_step(id, now, Turn::Arrives(*packet)).0 != id).collect();
        self.lies.insert((id, now), lies.clone());
        lies
    }

    pub(crate) fn coverage(&self) -> Coverage {
        Coverage {
            units: self.units.len(),
            desks: self.desks.len(),
            packets: self.book.len(),
            steps: self.unit_steps.len(),
            ..self.coverage.clone()
        }
    }

    fn count(&mut self, what: Happening, refused: Option<Reason>) {
        let (Happening::Arrives(packet), Some(reason)) = (what, refused) else { return };
        let is_forged = match &self.book.get(packet).what {
            What::Config(config) => config.is_forged(),
            What::Given { by, .. } => *by != Maker::Console,
            _ => false,
        };
        let counts = if is_forged { &mut self.coverage.forged_refused } else { &mut self.coverage.refused };
        *counts.entry(reason.code()).or_default() += 1;
    }

    fn keep_unit(&mut self, unit: Unit, now: Millis) -> UnitId {
        // The rate limits in the identity are distances from now.
        let digest = digest(&(now, unit.identity(now)));
        *self.unit_ids.entry(digest).or_insert_with(|| {
            self.units.push(unit);
            UnitId(self.units.len() as u32 - 1)
        })
    }

    fn keep_desk(&mut self, desk: Desk) -> DeskId {
        let digest = digest(&desk.identity());
        *self.desk_ids.entry(digest).or_insert_with(|| {
            self.desks.push(desk);
            DeskId(self.desks.len() as u32 - 1)
        })
    }
}

fn digest(value: &impl Hash) -> [u8; 32] {
    let mut hasher = ShaHasher(Sha256::new());
    value.hash(&mut hasher);
    hasher.0.finalize().into()
}

/// 64 bits would not do: two states taken for one are states not searched.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
