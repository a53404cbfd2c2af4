//! Cuts the power in a story and looks whether what is left is whole.

use super::calls::Call;
use super::disk::Disk;
use super::story::{AFTER, LATEST, Rehearsal, Story, Told, looks_like, set, settle};
use super::tree::Tree;
use super::victim::{Picture, Start, Victim};
use crate::fleet::rng::SeededRng;
use muster_protocol::crypto::uniform;
use muster_protocol::wire::here::State;
use muster_protocol::wire::result::Status;
use std::fmt::{self, Display};

/// One cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The system call that is never carried out.
    pub call: String,
    /// The how manieth of its name.
    pub nth: usize,
    /// What goes with it.
    pub loss: Loss,
    /// Another cut while the agent recovers from the first.
    pub again: Option<(String, usize)>,
}

/// What a cut takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The agent: `kill -9`.
    Process,
    /// Besides, all that the kernel knew, and what the disk had not synced, as this number decides.
    Power(u64),
}

impl Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "before {} number {}, losing {:?}", self.call, self.nth, self.loss)?;
        if let Some((call, nth)) = &self.again {
            write!(f, ", and again before {call} number {nth} of the recovery")?;
        }
        Ok(())
    }
}

impl Cut {
    /// Before a call of a rehearsed story.
    pub fn before(call: &Call, loss: Loss) -> Cut {
        Cut { call: call.name.clone(), nth: call.nth, loss, again: None }
    }

    /// Any cut of a story; the same for the same seed and number.
    pub fn any(rehearsal: &Rehearsal, seed: u64, number: usize) -> Cut {
        let mut rng = SeededRng::new(seed, "cut", number);
        let mut pick = |count: usize| uniform(&mut rng, count.max(1) as u64) as usize;
        let calls = rehearsal.changing();
        let call = calls[pick(calls.len())];
        let loss = if pick(3) == 0 { Loss::Process } else { Loss::Power(pick(1 << 30) as u64) };
        // A recovery makes the same kinds of calls as what it recovers from, and fewer.
        let second = calls[pick(calls.len())];
        let again = (pick(3) == 0).then(|| (second.name.clone(), 1 + pick(second.nth)));
        Cut { again, ..Cut::before(call, loss) }
    }

    /// Tells the story until the cut, gives the power back, and checks what is there then and after the next configuration.
    ///
    /// # Errors
    /// What is not as it should be, with the agents' logs.
    pub fn carry_out(&self, rehearsal: &Rehearsal, victim: &mut Victim) -> Result<Told, String> {
        self.attempt(rehearsal, victim).map_err(|error| format!("{}, cut {self}: {error}", rehearsal.story.word()))
    }

    fn attempt(&self, rehearsal: &Rehearsal, victim: &mut Victim) -> Result<Told, String> {
        let story = rehearsal.story;
        victim.forget_log();
        set(victim, &rehearsal.start);
        if story == Story::FirstBoot {
            victim.subject = None;
        } else {
            victim.label();
        }
        victim.start(&Start { strace: Some(vec![killing(&self.call, self.nth)]), speed: story.speed(), log: None });
        let told = story.tell(victim)?;
        self.lose(victim, &rehearsal.start, self.loss);
        if let Some((call, nth)) = &self.again {
            let files = Tree::read(&victim.root);
            victim.forget_status();
            victim.start(&Start { strace: Some(vec![killing(call, *nth)]), ..Start::default() });
            if victim.ask().is_some() {
                looks_like(victim, &[&rehearsal.former, &rehearsal.latest])?;
            }
            self.lose(victim, &files, self.loss);
        }
        victim.forget_status();
        victim.start(&Start::default());
        let here = victim.ask().ok_or_else(|| format!("the agent does not start again\n{}", victim.said()))?;
        if told.uid.is_some_and(|uid| uid != here.uid()) {
            return Err(format!("it was {:?} and is {} now", told.uid, here.uid()));
        }
        self.check(rehearsal, victim, &told)?;
        if story == Story::FirstBoot {
            victim.label();
        }
        victim.configure(Story::SEQ + 1, AFTER).map_err(|error| format!("the next configuration: {error}"))?;
        settle(victim, State::Configured, Some(AFTER))?;
        expect(victim, &rehearsal.after, "after the next configuration")?;
        Ok(told)
    }

    fn check(&self, rehearsal: &Rehearsal, victim: &mut Victim, told: &Told) -> Result<(), String> {
        let (former, latest) = (&rehearsal.former, &rehearsal.latest);
        let confirmed = told.ended == Some(Status::Success { committed: true });
        let wanted: &[&Picture] = match (told.kicked, confirmed) {
            (_, true) => &[latest],
            (true, false) => &[former, latest],
            (false, false) => &[former],
        };
        let found = looks_like(victim, wanted).map_err(|error| format!("neither old nor new, {told:?}:\n{error}"))?;
        let found = found.map(|index| wanted[index]).ok_or_else(|| format!("it ended again\n{}", victim.said()))?;
        // The agent says the same of itself.
        let (state, host) = if found == former { rehearsal.story.former() } else { (State::Configured, Some(LATEST)) };
        settle(victim, state, host).map_err(|error| format!("it says something else: {error}"))?;
        let seq = victim.status()["seq"].as_u64();
        if told.applied == Some(Status::Success { committed: false }) && seq != Some(Story::SEQ) {
            return Err(format!("a number that was used up is {seq:?}"));
        }
        Ok(())
    }

    fn lose(&self, victim: &mut Victim, before: &Tree, loss: Loss) {
        victim.kill();
        if let Loss::Power(seed) = loss {
            let mut disk = Disk::new(&victim.root, before);
            disk.replay(&victim.trace());
            set(victim, &disk.crash(seed));
        }
    }
}

fn expect(victim: &mut Victim, wanted: &Picture, moment: &str) -> Result<(), String> {
    match looks_like(victim, &[wanted]).map_err(|error| format!("{moment}:\n{error}"))? {
        Some(_) => Ok(()),
        None => Err(format!("{moment} the agent has ended\n{}", victim.said())),
    }
}

/// strace's option that kills before a call.
fn killing(call: &str, nth: usize) -> String {
    format!("--inject={call}:signal=KILL:when={nth}")
}
