//! What must hold in every state, and what must be possible in some.

use crate::arena::Arena;
use crate::desk::Desk;
use crate::fair;
use crate::model::{Muster, World};
use crate::unit::{Fault, Unit};
use muster_protocol::wire::here::State;
use stateright::Property;

/// No packet is applied twice.
pub const PACKET_ONCE: &str = "no packet is applied twice";
/// Grants are applied in the order of their numbers, each once.
pub const IN_ORDER: &str = "between factory resets no grant is applied twice or out of order";
/// Only the NOC's grants for this appliance are applied.
pub const GRANTED: &str = "only what the NOC granted to this appliance is applied";
/// Only the console's own packets are applied.
pub const BY_THE_CONSOLE: &str = "only packets of the console that the grant names are applied, none of the attacker's";
/// One key, one packet.
pub const KEY_ONCE: &str = "no one-time key opens two packets";
/// Only the console confirms.
pub const CONFIRMED_BY_CONSOLE: &str = "settings become final only by the console's kick-start for them";
/// A refusal has no effect.
pub const REFUSAL_IS_FREE: &str = "a refused packet changes nothing and burns no key";
/// Nothing lingers unconfirmed.
pub const NOTHING_LINGERS: &str = "settings in force are confirmed, inside their window or on their way back";
/// Only an owner's NOC gives.
pub const GIVEN_TO_ITS_OWN: &str = "an appliance that nobody owns takes no grant with a beat";
/// It starts again.
pub const STARTS: &str = "an appliance starts with what it stored, and does nothing unasked";
/// SUCCESS is true.
pub const SUCCESS_IS_TRUE: &str = "the console believes SUCCESS only of a packet that this appliance applied";
/// Final is true.
pub const FINAL_IS_TRUE: &str = "the console believes settings final only if the appliance made them final";
/// A fair console finishes.
pub const CAN_FINISH: &str = "from here a fair network lets the console finish";

pub(crate) fn all() -> Vec<Property<Muster>> {
    vec![
        Property::always(PACKET_ONCE, |model: &Muster, world: &World| without(model, world, &[Fault::PacketTwice])),
        Property::always(IN_ORDER, |model: &Muster, world: &World| without(model, world, &[Fault::OutOfOrder])),
        Property::always(GRANTED, |model: &Muster, world: &World| without(model, world, &[Fault::NotGranted])),
        Property::always(BY_THE_CONSOLE, |model: &Muster, world: &World| {
            without(model, world, &[Fault::NotByTheConsole])
        }),
        Property::always(KEY_ONCE, |model: &Muster, world: &World| without(model, world, &[Fault::KeyTwice])),
        Property::always(CONFIRMED_BY_CONSOLE, |model: &Muster, world: &World| {
            without(model, world, &[Fault::ConfirmedByStranger])
        }),
        Property::always(REFUSAL_IS_FREE, |model: &Muster, world: &World| {
            without(model, world, &[Fault::RefusalHadEffect])
        }),
        Property::always(GIVEN_TO_ITS_OWN, |model: &Muster, world: &World| {
            without(model, world, &[Fault::GivenWithoutOwner])
        }),
        Property::always(STARTS, |model: &Muster, world: &World| {
            without(model, world, &[Fault::DoesNotStart, Fault::Unasked])
        }),
        Property::always(NOTHING_LINGERS, |model: &Muster, world: &World| {
            let arena = model.arena();
            world.units.iter().all(|id| !arena.unit(*id).is_left_unconfirmed(world.now))
        }),
        Property::always(SUCCESS_IS_TRUE, |model: &Muster, world: &World| {
            each(model, world, |unit, desk| desk.succeeded.is_subset(&unit.applied))
        }),
        Property::always(FINAL_IS_TRUE, |model: &Muster, world: &World| {
            each(model, world, |unit, desk| desk.configured.is_subset(&unit.final_packets))
        }),
        Property::always(CAN_FINISH, |model: &Muster, world: &World| {
            let arena = &mut *model.arena();
            let pairs = world.units.into_iter().zip(world.desks);
            pairs.into_iter().all(|(unit, desk)| fair::can_finish(arena, unit, desk, world.now))
        }),
        Property::sometimes(
            "both appliances are configured, and the console knows",
            |model: &Muster, world: &World| {
                each(model, world, |unit, desk| is_configured(unit) && !desk.configured.is_empty() && !desk.is_busy())
            },
        ),
        Property::sometimes("an appliance rolled back", |model: &Muster, world: &World| {
            any(model, world, |unit, _| unit.rolled_back)
        }),
        Property::sometimes(
            "settings could not be applied, and the next grant was final",
            |model: &Muster, world: &World| any(model, world, |unit, _| unit.failures > 0 && is_configured(unit)),
        ),
        Property::sometimes("an appliance was configured after a power cut", |model: &Muster, world: &World| {
            any(model, world, |unit, _| unit.cuts > 0 && is_configured(unit))
        }),
        Property::sometimes(
            "an appliance was configured, reset and configured again",
            |model: &Muster, world: &World| {
                any(model, world, |unit, _| unit.resets > 0 && unit.final_packets.len() > 1 && is_configured(unit))
            },
        ),
        Property::sometimes("a first beat confirmed", |model: &Muster, world: &World| {
            any(model, world, |unit, _| unit.confirmed().is_some_and(|mark| mark.seq.is_multiple_of(2)))
        }),
        Property::sometimes("a grant by beat became final", |model: &Muster, world: &World| {
            any(model, world, |unit, _| unit.given.was_final && is_configured(unit))
        }),
        Property::sometimes("a grant by beat was rolled back", |model: &Muster, world: &World| {
            any(model, world, |unit, _| unit.given.was_rolled_back && is_configured(unit))
        }),
        Property::sometimes("the console gave a delivery up", |model: &Muster, world: &World| {
            any(model, world, |_, desk| desk.last.is_some_and(|last| last != "configured"))
        }),
        Property::sometimes("the console missed that its settings became final", |model: &Muster, world: &World| {
            any(model, world, |unit, desk| is_configured(unit) && !desk.is_busy() && desk.configured.is_empty())
        }),
    ]
}

fn is_configured(unit: &Unit) -> bool {
    unit.is_idle() && unit.machine.state() == State::Configured
}

fn without(model: &Muster, world: &World, faults: &[Fault]) -> bool {
    let arena = model.arena();
    world.units.iter().all(|id| faults.iter().all(|fault| !arena.unit(*id).faults.contains(fault)))
}

fn each(model: &Muster, world: &World, condition: impl Fn(&Unit, &Desk) -> bool) -> bool {
    pairs(&model.arena(), world).into_iter().all(|(unit, desk)| condition(unit, desk))
}

fn any(model: &Muster, world: &World, condition: impl Fn(&Unit, &Desk) -> bool) -> bool {
    pairs(&model.arena(), world).into_iter().any(|(unit, desk)| condition(unit, desk))
}

fn pairs<'a>(arena: &'a Arena, world: &World) -> Vec<(&'a Unit, &'a Desk)> {
    world.units.into_iter().zip(world.desks).map(|(unit, desk)| (arena.unit(unit), arena.desk(desk))).collect()
}
