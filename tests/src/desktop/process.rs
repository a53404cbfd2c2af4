//! Programs that end with the test, and whatever they started.

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::process::{Child, Command};

/// A program that this test started. It and its descendants are killed by id when this goes.
#[derive(Debug)]
pub struct Started {
    child: Child,
}

impl Started {
    /// Starts a program.
    pub fn new(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child })
    }

    /// The program's output, when it was piped.
    pub fn stdout(&mut self) -> anyhow::Result<std::process::ChildStdout> {
        self.child.stdout.take().context("standard output was not piped, or is taken")
    }

    /// The processes that it started, and those they started.
    pub fn descendants(&self) -> Vec<i32> {
        descendants(i32::try_from(self.child.id()).unwrap_or_default())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Children first learn that their parent is gone when it is; by then nobody could name them.
        let mut ids = self.descendants();
        let _ = self.child.kill();
        let _ = self.child.wait();
        ids.retain(|id| alive(*id));
        for id in ids {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// Whether a process runs; one that ended and was not yet waited for does not.
pub fn alive(id: i32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z')
}

fn descendants(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some((_, parent)) = stat(id)
        {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}

/// State and parent. The name before them may hold anything, even brackets.
fn stat(id: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
