//! What the people do at the consoles: call the roll, choose appliances, give them settings, change their minds.

use super::{Io, World};
use crate::lan::{GATEWAY, PRINTER, WRONG_GATEWAY};
use crate::plan::Fault;
use crate::queue::Event;
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use std::net::Ipv4Addr;

impl World {
    /// An operator looks at his console, and does something.
    pub(super) fn operate(&mut self, console: usize) {
        let World { io, appliances, consoles, jobs, round, .. } = self;
        if io.is_healed || jobs[console] >= io.plan.jobs {
            return;
        }
        let host = &mut consoles[console];
        let free = host.free();
        let misses = free.len() < appliances.len() && io.dice.chance(100);
        if free.is_empty() || misses {
            host.discover(io);
            let wait = io.dice.between(1_000, 8_000);
            return io.queue.push(io.now + wait, Event::Operator { console });
        }
        jobs[console] += 1;
        *round += 1;
        let chosen: Vec<usize> = free.into_iter().filter(|_| io.dice.chance(800)).collect();
        let wanted = chosen.into_iter().map(|appliance| (appliance, settings(io, *round, appliance))).collect();
        host.configure(io, wanted);
        if io.dice.chance(30) {
            host.cancel(io);
        }
        let wait = io.dice.between(io.plan.job_every_ms / 2, io.plan.job_every_ms);
        io.queue.push(io.now + wait, Event::Operator { console });
    }

    /// Somebody at the NOC changes an appliance.
    pub(super) fn office(&mut self) {
        let World { io, appliances, noc, round, .. } = self;
        if io.is_healed {
            return;
        }
        *round += 1;
        let appliance = io.dice.index(appliances.len());
        let settings = settings(io, *round, appliance);
        noc.office(io, appliance, settings);
        let next = io.now + io.dice.between(1, 2 * io.plan.office_every_ms);
        io.queue.push(next, Event::Office);
    }
}

/// What an appliance shall have: in each round something new. Faults are only struck before the network heals.
pub(super) fn settings(io: &mut Io, round: u64, appliance: usize) -> NetworkSettings {
    let rates = io.plan.rates;
    let mut address = Ipv4Addr::new(10, 77, 100 + (round % 100) as u8, 10 + appliance as u8);
    if io.strikes(Fault::AddressTaken, rates.address_taken) {
        let other = io.dice.index(io.lan.addresses.len());
        address = io.lan.addresses[other].filter(|_| other != appliance).unwrap_or(PRINTER);
    }
    let gateway = if io.strikes(Fault::WrongGateway, rates.wrong_gateway) { WRONG_GATEWAY } else { GATEWAY };
    let raw = RawSettings {
        host_name: format!("a{appliance}-{round}"),
        domain: "example.net".to_owned(),
        address: address.to_string(),
        netmask: "16".to_owned(),
        gateway: gateway.to_string(),
        ..RawSettings::default()
    };
    match raw.validate() {
        Ok(settings) => settings,
        Err(error) => unreachable!("the operator's settings are good: {error}"),
    }
}
