//! The whole: what can happen in each state, and what must hold in all of them.

use crate::arena::{Arena, Coverage, DeskId, Effect, UnitId};
use crate::bounds::{Setup, WAITS_MS};
use crate::cast::{APPLIANCES, name};
use crate::desk::Turn;
use crate::packets::{PacketId, What};
use crate::properties;
use crate::unit::Happening;
use muster_protocol::time::Millis;
use stateright::{Model, Property};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A state of the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What time it is for everybody.
    pub now: Millis,
    /// How often time passed.
    pub waits: u8,
    /// The appliances.
    pub units: [UnitId; APPLIANCES],
    /// The console's work on each.
    pub desks: [DeskId; APPLIANCES],
    /// Every packet ever sent, ascending: the attacker holds them all.
    pub recorded: Vec<PacketId>,
}

/// One step of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// At an appliance.
    Unit(usize, Happening),
    /// The attacker asks an appliance for a one-time key, and uses it.
    Ambush(usize, PacketId),
    /// At the console's work on an appliance.
    Desk(usize, Turn),
    /// Time passes, in milliseconds.
    Wait(u64),
}

/// One console, an attacker and two appliances.
pub struct Muster {
    setup: Setup,
    arena: Mutex<Arena>,
}

impl Muster {
    /// The model within these bounds.
    pub fn new(setup: Setup) -> Muster {
        Muster { arena: Mutex::new(Arena::new(setup.clone())), setup }
    }

    /// What was tried so far.
    pub fn coverage(&self) -> Coverage {
        self.arena().coverage()
    }

    /// A step in words.
    pub fn describe(&self, action: &Action) -> String {
        let arena = self.arena();
        match action {
            Action::Unit(who, Happening::Arrives(packet)) => {
                format!("{} gets {}", name(*who), arena.book.describe(*packet))
            }
            Action::Ambush(who, packet) => {
                format!("{} answers a ping of the attacker and gets {}", name(*who), arena.book.describe(*packet))
            }
            Action::Unit(who, happening) => format!("{}: {happening:?}", name(*who)),
            Action::Desk(_, Turn::Arrives(packet)) => format!("the console gets {}", arena.book.describe(*packet)),
            Action::Desk(who, turn) => format!("the console's job for {}: {turn:?}", name(*who)),
            Action::Wait(ms) => format!("{} s pass", ms / 1_000),
        }
    }

    /// What is left broken in a state, in words; for the end of a trace.
    pub fn explain(&self, world: &World) -> String {
        let arena = self.arena();
        let units = world.units.map(|id| {
            let unit = arena.unit(id);
            let settings = unit.machine.settings().map(|settings| settings.host_name().to_owned());
            format!("{} {:?} {settings:?}, broken: {:?}", name(unit.who), unit.machine.state(), unit.faults)
        });
        let desks = world.desks.map(|id| {
            let desk = arena.desk(id);
            format!("job for {}: grants {}, busy {}, last {:?}", name(desk.who), desk.grants, desk.is_busy(), desk.last)
        });
        [units.join("; "), desks.join("; ")].join("; ")
    }

    pub(crate) fn arena(&self) -> MutexGuard<'_, Arena> {
        self.arena.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unit_actions(&self, arena: &mut Arena, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (id, now) = (world.units[who], world.now);
        let bounds = &self.setup.bounds[who];
        let unit = arena.unit(id);
        let may = |what: &Happening| match what {
            Happening::PowerCut | Happening::StoredThenCut => unit.cuts < bounds.cuts,
            Happening::FactoryReset => unit.resets < bounds.resets,
            Happening::ApplyFails | Happening::DiskRefuses => unit.failures < bounds.failures,
            _ => true,
        };
        let all: Vec<Happening> = unit.happenings(now).into_iter().filter(may).collect();
        actions.extend(all.into_iter().map(|what| Action::Unit(who, what)));
        let is_console = |packet: &&PacketId| {
            matches!(arena.book.get(**packet).what, What::Config(_) | What::Kick { .. } | What::Given { .. })
        };
        let recorded: Vec<PacketId> = world.recorded.iter().filter(is_console).copied().collect();
        let grants = world.desks.map(|desk| arena.desk(desk).grants);
        for packet in arena.attacks(id, now, &recorded, grants) {
            actions.push(Action::Ambush(who, packet));
        }
        for packet in &world.recorded {
            if self.after_unit(arena, world, who, Happening::Arrives(*packet)).is_some() {
                actions.push(Action::Unit(who, Happening::Arrives(*packet)));
            }
        }
    }

    fn desk_actions(&self, arena: &mut Arena, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (id, now) = (world.desks[who], world.now);
        let bounds = &self.setup.bounds[who];
        let desk = arena.desk(id);
        let mut turns = Vec::new();
        if !desk.is_busy() && desk.jobs < bounds.jobs {
            turns.push(Turn::Starts);
        }
        if desk.given < bounds.given {
            turns.push(Turn::Gives);
        }
        if desk.wakes_at().is_some_and(|at| at <= now) {
            turns.push(Turn::Timer);
        }
        if desk.is_busy() {
            let is_datagram = |packet: &PacketId| arena.book.given(*packet).is_none();
            turns.extend(world.recorded.iter().copied().filter(is_datagram).map(Turn::Arrives));
            turns.extend(arena.lies(id, now).into_iter().map(Turn::Arrives));
        }
        for turn in turns {
            if self.after_desk(arena, world, who, turn).is_some() {
                actions.push(Action::Desk(who, turn));
            }
        }
    }

    fn after_unit(&self, arena: &mut Arena, world: &World, who: usize, what: Happening) -> Option<World> {
        let id = world.units[who];
        let after = arena.unit_step(id, world.now, what);
        let news = after.sent.iter().any(|packet| world.recorded.binary_search(packet).is_err());
        if let (Effect::AnswerOnly { new_key }, Happening::Arrives(packet)) = (after.effect, what) {
            // An answer that nobody waits for, or that was given before with another key, may as well be lost: it leaves
            // behind one more key that no packet names. Forged packets are always of this kind, unless they are a find.
            let desk = arena.desk(world.desks[who]);
            let waits = match &arena.book.get(packet).what {
                What::Config(_) => desk.is_busy() && desk.packet == Some(packet),
                What::Ping { .. } | What::Kick { .. } => desk.is_busy(),
                _ => false,
            };
            if !waits || !news || new_key && arena.unit(id).was_answered(packet) {
                return None;
            }
        }
        let mut next = world.clone();
        next.units[who] = after.unit;
        record(&mut next, &after.sent);
        (next != *world).then_some(next)
    }

    fn after_desk(&self, arena: &mut Arena, world: &World, who: usize, turn: Turn) -> Option<World> {
        let (desk, sent) = arena.desk_step(world.desks[who], world.now, turn);
        let bounds = &self.setup.bounds[who];
        if arena.desk(desk).grants > bounds.grants || arena.desk(desk).pings > bounds.pings {
            return None;
        }
        let mut next = world.clone();
        next.desks[who] = desk;
        record(&mut next, &sent);
        (next != *world).then_some(next)
    }

    /// Time passes when nothing is due any more.
    fn may_wait(&self, arena: &Arena, world: &World) -> bool {
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= world.now);
        world.waits < self.setup.waits
            && !world.units.iter().any(|id| due(arena.unit(*id).machine.poll_timeout()))
            && !world.desks.iter().any(|id| due(arena.desk(*id).wakes_at()))
    }
}

impl Model for Muster {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let (units, desks) = self.arena().start();
        vec![World { now: Millis(0), waits: 0, units, desks, recorded: Vec::new() }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let arena = &mut *self.arena();
        for who in 0..APPLIANCES {
            self.unit_actions(arena, world, who, actions);
            self.desk_actions(arena, world, who, actions);
        }
        if self.may_wait(arena, world) {
            actions.extend(WAITS_MS.map(Action::Wait));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let arena = &mut *self.arena();
        match action {
            Action::Unit(who, what) => self.after_unit(arena, world, who, what),
            Action::Ambush(who, packet) => {
                let pinged = arena.pinged(world.units[who], world.now);
                let after = arena.unit_step(pinged, world.now, Happening::Arrives(packet));
                let mut next = world.clone();
                next.units[who] = after.unit;
                record(&mut next, &after.sent);
                Some(next)
            }
            Action::Desk(who, turn) => self.after_desk(arena, world, who, turn),
            Action::Wait(ms) => Some(World { now: world.now + ms, waits: world.waits + 1, ..world.clone() }),
        }
    }

    fn properties(&self) -> Vec<Property<Muster>> {
        properties::all()
    }
}

fn record(world: &mut World, sent: &[PacketId]) {
    for packet in sent {
        if let Err(at) = world.recorded.binary_search(packet) {
            world.recorded.insert(at, *packet);
        }
    }
}
