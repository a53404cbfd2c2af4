//! From any state, a network without loss and without an attacker lets the console finish.

use crate::arena::{Arena, DeskId, UnitId};
use crate::desk::Turn;
use crate::packets::PacketId;
use crate::unit::Happening;
use muster_protocol::time::Millis;
use std::collections::VecDeque;

/// More steps than any of these runs takes.
const ENOUGH: usize = 1_000;
/// A job that fails is started again by its operator, so often.
const JOBS: usize = 3;

enum Mail {
    ToUnit(PacketId),
    ToDesk(PacketId),
}

/// Goes on from here with everything that is due happening at once and every datagram arriving, and true if the appliance
/// ends with the newest grant's settings, the console knowing it. The same console goes on with the job it has; if that
/// fails, it starts the next.
pub(crate) fn can_finish(arena: &mut Arena, unit: UnitId, desk: DeskId, now: Millis) -> bool {
    let mut run = Run { arena, unit, desk, now, mail: VecDeque::new(), jobs: 0 };
    let mut seen = Vec::new();
    for _ in 0..ENOUGH {
        let here = (run.unit, run.desk, run.now);
        if run.mail.is_empty() {
            if run.arena.fair.contains(&here) || run.is_finished() {
                run.arena.fair.extend(seen);
                return true;
            }
            seen.push(here);
        }
        if !run.go_on() {
            return false;
        }
    }
    false
}

struct Run<'a> {
    arena: &'a mut Arena,
    unit: UnitId,
    desk: DeskId,
    now: Millis,
    mail: VecDeque<Mail>,
    jobs: usize,
}

impl Run<'_> {
    fn is_finished(&self) -> bool {
        let (unit, desk) = (self.arena.unit(self.unit), self.arena.desk(self.desk));
        let is_newest = unit.confirmed().is_some_and(|mark| mark.by_noc && mark.seq == desk.grants);
        unit.is_idle() && is_newest && !desk.is_busy() && desk.last == Some("configured")
    }

    fn go_on(&mut self) -> bool {
        match self.mail.pop_front() {
            Some(Mail::ToUnit(packet)) => self.unit(Happening::Arrives(packet)),
            Some(Mail::ToDesk(packet)) => self.desk(Turn::Arrives(packet)),
            None => {
                let good = |what: &Happening| {
                    let bad = [Happening::DiskRefuses, Happening::StoredThenCut, Happening::ApplyFails];
                    !bad.contains(what) && !matches!(what, Happening::PowerCut | Happening::FactoryReset)
                };
                let desk = self.arena.desk(self.desk);
                let is_busy = desk.is_busy();
                let desk_wakes = desk.wakes_at();
                let due = self.arena.unit(self.unit).happenings(self.now).into_iter().find(good);
                if let Some(due) = due {
                    self.unit(due);
                } else if desk_wakes.is_some_and(|at| at <= self.now) {
                    self.desk(Turn::Timer);
                } else if !is_busy && self.arena.unit(self.unit).is_idle() {
                    self.jobs += 1;
                    self.desk(Turn::Starts);
                } else {
                    let unit_wakes = self.arena.unit(self.unit).machine.poll_timeout();
                    let Some(at) = [desk_wakes, unit_wakes].into_iter().flatten().min() else { return false };
                    self.now = at;
                }
            }
        }
        self.jobs <= JOBS
    }

    fn unit(&mut self, what: Happening) {
        let after = self.arena.unit_step(self.unit, self.now, what);
        self.unit = after.unit;
        self.mail.extend(after.sent.into_iter().map(Mail::ToDesk));
    }

    fn desk(&mut self, turn: Turn) {
        let (desk, sent) = self.arena.desk_step(self.desk, self.now, turn);
        self.desk = desk;
        self.mail.extend(sent.into_iter().map(Mail::ToUnit));
    }
}
