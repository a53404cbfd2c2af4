//! Lets one system call of a story fail, or hang, and looks whether the appliance says so, keeps what it had, and goes on.

use super::calls::{Call, Change};
use super::story::{AFTER, Rehearsal, Story, Told, looks_like, set, settle};
use super::victim::{Picture, Start, Victim};
use muster_protocol::wire::here::State;
use muster_protocol::wire::result::{Reason, Status};
use std::fmt::{self, Display};
use std::path::PathBuf;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The system call.
    pub call: String,
    /// The file that it names, if any.
    pub path: Option<PathBuf>,
    /// The how manieth of its name, and about that file.
    pub nth: usize,
    /// What it does.
    pub kind: Kind,
    /// Whether the agent is started again before the next configuration.
    pub restart: bool,
}

/// What a call does in place of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It fails with this error.
    Error(&'static str),
    /// It takes two seconds.
    Hang,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {} number {}", self.kind, self.call, self.nth)?;
        if let Some(path) = &self.path {
            write!(f, " of {}", path.display())?;
        }
        write!(f, ", restart: {}", self.restart)
    }
}

/// What can go wrong with a call.
pub fn kinds(call: &Call) -> &'static [Kind] {
    use Kind::{Error, Hang};
    match call.change {
        Change::Open { .. } => &[Error("ENOSPC"), Error("EROFS"), Error("EIO")],
        Change::Write { .. } => &[Error("ENOSPC"), Error("EIO")],
        Change::Sync { .. } => &[Error("EIO"), Error("ENOSPC"), Hang],
        Change::Permit { .. } => &[Error("EIO"), Error("EROFS")],
        Change::Rename { .. } | Change::Link { .. } | Change::Unlink { .. } | Change::Mkdir { .. } => {
            &[Error("EIO"), Error("EROFS"), Error("ENOSPC")]
        }
        Change::Netlink => &[Error("EPERM"), Error("ENOBUFS"), Error("EBUSY"), Hang],
        Change::Heard => &[Error("ENOBUFS")],
        Change::Datagram => &[Error("ENOBUFS"), Error("EPERM")],
        Change::HostName => &[Error("EPERM"), Hang],
        Change::Nothing => &[],
    }
}

/// Every fault of a rehearsed story, in the order of its calls.
pub fn all(rehearsal: &Rehearsal) -> Vec<Fault> {
    let heard = rehearsal.calls.iter().filter(|call| call.nth > 0 && call.done && call.change == Change::Heard);
    let calls = rehearsal.changing().into_iter().chain(heard);
    let faults = calls.flat_map(|call| kinds(call).iter().map(move |kind| (call, *kind)));
    faults
        .enumerate()
        .map(|(number, (call, kind))| {
            let path = call.about.first().cloned();
            let (call, nth) = (call.name.clone(), place(&rehearsal.calls, call));
            Fault { call, path, nth, kind, restart: number % 2 == 1 }
        })
        .collect()
}

/// The how manieth call of its name, and about its file, it is. Calls on other files are not counted: how often the runtime
/// wakes itself by writing to a descriptor of its own differs from run to run, and that cannot fail.
fn place(calls: &[Call], wanted: &Call) -> usize {
    let same = |call: &&Call| {
        let about = wanted.about.first().is_none_or(|path| call.about.contains(path));
        (1..=wanted.nth).contains(&call.nth) && call.name == wanted.name && about
    };
    calls.iter().filter(same).count()
}

impl Fault {
    /// Tells the story with the fault in it, and checks what was said, what is there, and the next configuration.
    ///
    /// # Errors
    /// What is not as it should be, with the agent's log.
    pub fn carry_out(&self, rehearsal: &Rehearsal, victim: &mut Victim) -> Result<Told, String> {
        self.attempt(rehearsal, victim).map_err(|error| format!("{}, {self}: {error}", rehearsal.story.word()))
    }

    fn attempt(&self, rehearsal: &Rehearsal, victim: &mut Victim) -> Result<Told, String> {
        let story = rehearsal.story;
        victim.forget_log();
        set(victim, &rehearsal.start);
        victim.label();
        let inject = match self.kind {
            Kind::Error(error) => format!("--inject={}:error={error}:when={}", self.call, self.nth),
            Kind::Hang => format!("--inject={}:delay_enter=2000000:when={}", self.call, self.nth),
        };
        let mut strace = vec![inject];
        strace.extend(self.path.iter().flat_map(|path| ["-P".to_owned(), path.display().to_string()]));
        victim.start(&Start { strace: Some(strace), speed: story.speed(), log: None });
        let told = story.tell(victim)?;
        let ended = victim.ended();
        if let Some(status) = ended
            && (told.uid.is_some() || status.code() != Some(1) || !victim.said().trim_end().ends_with(']'))
        {
            return Err(format!(
                "it must not end once it has started, and say why if it cannot: {status}\n{}",
                victim.said()
            ));
        }
        let wanted = self.wanted(rehearsal, &told)?;
        if ended.is_none() {
            self.see(victim, wanted, "after the fault")?;
        }
        if self.restart || ended.is_some() || !victim.has_injected() {
            victim.kill();
            victim.forget_status();
            victim.start(&Start::default());
            victim.ask().ok_or_else(|| format!("it does not start again\n{}", victim.said()))?;
            self.see(victim, wanted, "after a restart")?;
        }
        victim.configure(Story::SEQ + 1, AFTER).map_err(|error| format!("the next configuration: {error}"))?;
        settle(victim, State::Configured, Some(AFTER))?;
        self.see(victim, &rehearsal.after, "after the next configuration")?;
        Ok(told)
    }

    /// How the appliance must look after what it told.
    fn wanted<'a>(&self, rehearsal: &'a Rehearsal, told: &Told) -> Result<&'a Picture, String> {
        match (&told.applied, &told.ended) {
            (None, None) => Ok(&rehearsal.former),
            (Some(Status::Failed { reason: Reason::Storage, .. }), None) => Ok(&rehearsal.former),
            (Some(Status::Failed { reason: Reason::ApplyFailed, detail: Some(_), .. }), None) => Ok(&rehearsal.former),
            (Some(_), Some(Status::Failed { reason: Reason::NoKickStart, .. })) => Ok(&rehearsal.former),
            (Some(Status::Success { .. }), Some(Status::Success { committed: true })) => Ok(&rehearsal.latest),
            _ => Err(format!("it told something else: {told:?}")),
        }
    }

    fn see(&self, victim: &mut Victim, wanted: &Picture, moment: &str) -> Result<(), String> {
        match looks_like(victim, &[wanted]).map_err(|error| format!("{moment}:\n{error}"))? {
            Some(_) => Ok(()),
            None => Err(format!("{moment} the agent has ended\n{}", victim.said())),
        }
    }
}
