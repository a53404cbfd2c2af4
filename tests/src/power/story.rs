//! What happens to an appliance: from which start, by which steps, to which ends.

use super::calls::{Call, Change};
use super::disk::Disk;
use super::tree::Tree;
use super::victim::{Picture, Start, Victim, difference, factory};
use muster_protocol::id::Uid;
use muster_protocol::wire::here::State;
use muster_protocol::wire::result::{Reason, Status};
use std::path::PathBuf;
use std::time::Duration;

/// Settings before, the ones that come, and the ones after.
pub const FORMER: u8 = 10;
/// See [`FORMER`].
pub const LATEST: u8 = 20;
/// See [`FORMER`].
pub const AFTER: u8 = 30;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// It is switched on for the first time and makes its identity.
    FirstBoot,
    /// It gets its first settings, kick-started.
    First,
    /// It is configured and gets others, kick-started.
    Change,
    /// It is configured and gets others, which nobody confirms.
    LeftAlone,
}

/// All of them.
pub const STORIES: [Story; 4] = [Story::FirstBoot, Story::First, Story::Change, Story::LeftAlone];

/// How it went, as far as somebody outside can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The UID of an answer.
    pub uid: Option<Uid>,
    /// The first result.
    pub applied: Option<Status>,
    /// A kick-start was sent.
    pub kicked: bool,
    /// The last result.
    pub ended: Option<Status>,
    /// Nothing is left to do.
    pub settled: bool,
}

/// A story told once without harm: where it starts, where it may end, and the calls on the way.
pub struct Rehearsal {
    /// Which.
    pub story: Story,
    /// The files at its start.
    pub start: Tree,
    /// How the appliance is then.
    pub former: Picture,
    /// How it is at the end, if it ends elsewhere.
    pub latest: Picture,
    /// How it is after the next configuration.
    pub after: Picture,
    /// The calls, in their order.
    pub calls: Vec<Call>,
    root: PathBuf,
}

impl Story {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Story::FirstBoot => "first-boot",
            Story::First => "first",
            Story::Change => "change",
            Story::LeftAlone => "left-alone",
        }
    }

    /// How fast the agent's clock goes: the shortest window is half a minute.
    pub fn speed(self) -> u32 {
        if self == Story::LeftAlone { 40 } else { 0 }
    }

    /// Its sequence number; the ones of before are lower.
    pub const SEQ: u64 = 10;

    /// Tells it, until its end or the agent's.
    ///
    /// # Errors
    /// What should have come and did not.
    pub fn tell(self, victim: &mut Victim) -> Result<Told, String> {
        let mut told = Told::default();
        let Some(here) = victim.ask() else { return Ok(told) };
        told.uid = Some(here.uid());
        if self == Story::FirstBoot {
            told.settled = settle(victim, State::Unconfigured, None)?;
            return Ok(told);
        }
        let sent = victim.packet(&here, Story::SEQ, LATEST);
        told.applied = victim.deliver(&sent.bytes, &sent);
        let Some(applied) = &told.applied else { return Ok(told) };
        if *applied != (Status::Success { committed: false }) {
            return Ok(told);
        }
        if self == Story::LeftAlone {
            // Nobody says anything until the window is over; the same packet then brings the reason.
            let over = victim.ask();
            told.ended = over.and_then(|_| victim.deliver(&sent.bytes, &sent));
            if let Some(Status::Failed { reason: Reason::NoKickStart, .. }) = &told.ended {
                told.settled = settle(victim, State::Configured, Some(FORMER))?;
            }
            return Ok(told);
        }
        told.kicked = true;
        told.ended = victim.kick(&sent);
        if told.ended == Some(Status::Success { committed: true }) {
            told.settled = settle(victim, State::Configured, Some(LATEST))?;
        }
        Ok(told)
    }

    /// Brings the appliance to its start, tells the story and what comes next once, and looks at each moment.
    ///
    /// # Errors
    /// What did not go as it should.
    pub fn rehearse(self, victim: &mut Victim) -> Result<Rehearsal, String> {
        let start = self.start(victim)?;
        set(victim, &start);
        let traced = Start { strace: Some(Vec::new()), speed: self.speed(), ..Start::default() };
        let former = self.look_at_start(victim)?;
        victim.start(&traced);
        let told = self.tell(victim)?;
        if !told.settled {
            return Err(format!("the story did not come to its end: {told:?}\n{}", victim.said()));
        }
        let latest = victim.picture();
        victim.kill();
        let calls = victim.trace();
        let mut disk = Disk::new(&victim.root, &start);
        disk.replay(&calls);
        let (modelled, real) = (disk.now(), Tree::read(&victim.root));
        if modelled != real {
            return Err(format!("the disk is not as modelled:\n{}\n{}", modelled.describe(), real.describe()));
        }
        victim.label();
        victim.start(&Start::default());
        victim.configure(Story::SEQ + 1, AFTER)?;
        settle(victim, State::Configured, Some(AFTER))?;
        let after = victim.picture();
        victim.kill();
        Ok(Rehearsal { story: self, start, former, latest, after, calls, root: victim.root.clone() })
    }

    /// The files it starts with.
    fn start(self, victim: &mut Victim) -> Result<Tree, String> {
        set(victim, &factory());
        match self {
            Story::FirstBoot => victim.subject = None,
            Story::First => victim.label(),
            Story::Change | Story::LeftAlone => {
                victim.label();
                victim.start(&Start::default());
                victim.configure(1, FORMER)?;
                settle(victim, State::Configured, Some(FORMER))?;
                victim.kill();
            }
        }
        Ok(Tree::read(&victim.root))
    }

    /// With an agent that has done what it does when nothing happens.
    fn look_at_start(self, victim: &mut Victim) -> Result<Picture, String> {
        let start = Tree::read(&victim.root);
        victim.start(&Start::default());
        victim.ask().ok_or_else(|| victim.said())?;
        let (state, host) = self.former();
        settle(victim, state, host)?;
        let picture = victim.picture();
        set(victim, &start);
        Ok(picture)
    }

    /// State and settings at its start.
    pub fn former(self) -> (State, Option<u8>) {
        match self {
            Story::FirstBoot | Story::First => (State::Unconfigured, None),
            Story::Change | Story::LeftAlone => (State::Configured, Some(FORMER)),
        }
    }
}

impl Rehearsal {
    /// The calls that a cut before them tells apart from others: what changes files, the kernel's network or the host name, and
    /// what tells others.
    pub fn changing(&self) -> Vec<&Call> {
        let changes = |call: &&Call| {
            call.nth > 0
                && match &call.change {
                    Change::Nothing | Change::Heard => false,
                    Change::Netlink | Change::Datagram | Change::HostName => true,
                    Change::Open { path, .. }
                    | Change::Write { path, .. }
                    | Change::Permit { path, .. }
                    | Change::Sync { path }
                    | Change::Rename { from: path, .. }
                    | Change::Link { from: path, .. }
                    | Change::Unlink { path }
                    | Change::Mkdir { path, .. } => path.starts_with("/proc/sys") || path.starts_with(&self.root),
                }
        };
        self.calls.iter().filter(changes).collect()
    }
}

/// The files as given, and a kernel that has just started with them.
pub fn set(victim: &mut Victim, files: &Tree) {
    victim.kill();
    files.write(&victim.root);
    victim.boot_kernel();
}

/// Waits until the agent says that it is in `state` with `host`'s settings, and the former state is forgotten. False if the
/// agent has ended before.
///
/// # Errors
/// What it said last.
pub fn settle(victim: &mut Victim, state: State, host: Option<u8>) -> Result<bool, String> {
    let word = muster_agent::status::word(state);
    let settled = victim.wait(Duration::from_secs(60), |victim| {
        let status = victim.status();
        let named = status["settings"]["host_name"].as_str() == host.map(|host| format!("mail-{host}")).as_deref();
        let settled = status["state"] == word && named && !victim.is_provisional();
        if settled { Ok(()) } else { Err(format!("{status} {}\n{}", victim.is_provisional(), victim.said())) }
    })?;
    Ok(settled.is_some())
}

/// Waits until the appliance looks like one of `wanted`; which one. `None` if the agent has ended before.
///
/// # Errors
/// How it looks otherwise.
pub fn looks_like(victim: &mut Victim, wanted: &[&Picture]) -> Result<Option<usize>, String> {
    victim.wait(Duration::from_secs(20), |victim| {
        let picture = victim.picture();
        let found = wanted.iter().position(|wanted| **wanted == picture).filter(|_| !victim.is_provisional());
        let differs = || wanted.iter().map(|wanted| difference(&picture, wanted)).collect::<Vec<_>>().join("-- or\n");
        found.ok_or_else(|| format!("{}provisional: {}\n{}", differs(), victim.is_provisional(), victim.said()))
    })
}
