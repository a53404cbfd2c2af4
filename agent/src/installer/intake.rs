//! Where the installer asks for files, and whoever talks to the NOC hands them in.

use super::{Part, Supply, Taken, Want, Wanted};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Parts that wait to be written: a slow disk holds the network up, not the other way round.
const PARTS: usize = 4;

/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Intake(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    number: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    want: Want,
    came: u64,
    to: mpsc::Sender<Result<Vec<u8>, Broken>>,
}

/// Why there are no more bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The repository has no such file.
    #[error("the NOC has no such file")]
    Missing,
    /// The NOC could not be reached, or broke off.
    #[error("the file did not arrive ({0})")]
    Failed(String),
    /// Endless data.
    #[error("it is longer than it may be")]
    TooLong,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a file below `/v1/appliances/components/`, from a byte on, and takes at most so many.
    pub(super) fn open(&self, path: String, from: u64, most: u64, bandwidth: Option<u64>) -> Incoming {
        let (to, parts) = mpsc::channel(PARTS);
        let mut inner = self.lock();
        inner.number += 1;
        let number = inner.number;
        inner.open = Some(Open { want: Want { number, path, from, most, bandwidth }, came: 0, to });
        Incoming { number, parts, intake: self.clone() }
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.lock().open.as_ref().map_or(Wanted::Later, |open| Wanted::File(open.want.clone()))
    }

    pub(super) fn supply(&self, supply: Supply) -> Taken {
        let mut inner = self.lock();
        let Some(open) = inner.open.as_mut().filter(|open| open.want.number == supply.number) else {
            return Taken::Enough;
        };
        let (part, ends) = match supply.part {
            Part::Bytes(bytes) => {
                let came = open.came.saturating_add(bytes.len() as u64);
                if came > open.want.most { (Err(Broken::TooLong), true) } else { (Ok(bytes), false) }
            }
            Part::End => {
                // The other end of the channel reads what is in it, and then that there is no more.
                inner.open = None;
                return Taken::Enough;
            }
            Part::Missing => (Err(Broken::Missing), true),
            Part::Failed(code) => (Err(Broken::Failed(code)), true),
        };
        let length = part.as_ref().map_or(0, |bytes: &Vec<u8>| bytes.len() as u64);
        match open.to.try_send(part) {
            Err(TrySendError::Full(_)) => return Taken::Full,
            Ok(()) if !ends => {
                open.came += length;
                return Taken::More;
            }
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
        inner.open = None;
        Taken::Enough
    }
}

/// A file that comes in.
#[derive(Debug)]
pub(super) struct Incoming {
    number: u64,
    parts: mpsc::Receiver<Result<Vec<u8>, Broken>>,
    intake: Intake,
}

impl Incoming {
    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<u8>, Broken>> {
        self.parts.recv().await
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, Broken>>> {
        self.parts.poll_recv(context)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut inner = self.intake.lock();
        if inner.open.as_ref().is_some_and(|open| open.want.number == self.number) {
            inner.open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u64, length: usize) -> Supply {
        Supply { number, part: Part::Bytes(vec![7; length]) }
    }

    #[tokio::test]
    async fn a_file_is_taken_part_by_part_and_never_more_than_was_asked_for() {
        let intake = Intake::default();
        assert_eq!(intake.wanted(), Wanted::Later);
        assert_eq!(intake.supply(bytes(0, 1)), Taken::Enough, "nobody asked");
        let mut incoming = intake.open("metadata/x".into(), 0, 10, None);
        let Wanted::File(want) = intake.wanted() else { panic!("wanted") };
        assert_eq!((want.path.as_str(), want.from, want.most), ("metadata/x", 0, 10));
        for _ in 0..PARTS {
            assert_eq!(intake.supply(bytes(want.number, 1)), Taken::More);
        }
        assert_eq!(intake.supply(bytes(want.number, 1)), Taken::Full, "the disk is slow");
        assert_eq!(incoming.next().await, Some(Ok(vec![7])));
        assert_eq!(intake.supply(bytes(want.number, 100)), Taken::Enough, "endless data");
        for _ in 1..PARTS {
            assert_eq!(incoming.next().await, Some(Ok(vec![7])));
        }
        assert_eq!(incoming.next().await, Some(Err(Broken::TooLong)));
        assert_eq!(incoming.next().await, None);
    }

    #[tokio::test]
    async fn what_is_not_waited_for_any_more_is_not_taken() {
        let intake = Intake::default();
        let first = intake.open("metadata/x".into(), 0, 10, None);
        let mut second = intake.open("metadata/y".into(), 0, 10, None);
        assert_eq!(intake.supply(bytes(first.number, 1)), Taken::Enough, "of another file");
        drop(first);
        assert_eq!(intake.supply(Supply { number: second.number, part: Part::End }), Taken::Enough);
        assert_eq!(second.next().await, None);
        let mut third = intake.open("metadata/z".into(), 0, 10, None);
        intake.supply(Supply { number: third.number, part: Part::Missing });
        assert_eq!(third.next().await, Some(Err(Broken::Missing)));
        drop(third);
        assert_eq!(intake.wanted(), Wanted::Later);
    }
}
