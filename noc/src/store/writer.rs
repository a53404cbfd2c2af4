//! The thread that writes.

use crate::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Writes that may wait; more are refused as busy.
const QUEUE: usize = 16_384;
/// Writes in one commit.
const GROUP: usize = 512;
/// While writes come in groups, they gather for so long: a commit writes whole pages, and costs the same for one row of a
/// page as for all.
const GATHER: Duration = Duration::from_millis(3);

/// One waiting write.
pub(super) trait Job: Send {
    /// Does the work inside its savepoint; false when it failed, so that the savepoint is undone.
    fn run(&mut self, db: &Connection) -> bool;
    /// Hands the outcome to whoever waits; `lost` when the commit failed.
    fn answer(self: Box<Self>, lost: Option<StoreError>);
}

pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(db: Connection, changed: watch::Sender<u64>) -> Writer {
        let (queue, jobs) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = waiting.clone();
        let thread = std::thread::Builder::new().name("noc-writer".to_owned());
        let thread = thread.spawn(move || run(db, &jobs, &changed, &counted));
        // Without a thread the queue's other end is gone and every write answers `Closed`.
        Writer { queue: Some(queue), waiting, thread: thread.ok() }
    }

    /// Writes that are not committed yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, job: Box<dyn Job>) {
        let Some(queue) = &self.queue else { return job.answer(Some(StoreError::Closed)) };
        // Before it is sent: the thread may be done with it before we are.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (job, why) = match queue.try_send(job) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => (job, StoreError::Busy),
            Err(TrySendError::Disconnected(job)) => (job, StoreError::Closed),
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        job.answer(Some(why));
    }
}

impl Drop for Writer {
    /// Waits until everything queued is on disk and the database is closed.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the database had panicked");
        }
    }
}

fn run(mut db: Connection, jobs: &Receiver<Box<dyn Job>>, changed: &watch::Sender<u64>, waiting: &AtomicUsize) {
    let mut busy = false;
    while let Ok(first) = jobs.recv() {
        if busy {
            std::thread::sleep(GATHER);
        }
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        busy = group.len() > 1;
        // A panic is a defect of one write; the others, and all later ones, must not suffer for it. The unwinding undoes
        // the transaction, and those who wait are told that nothing was kept.
        let committed = catch_unwind(AssertUnwindSafe(|| commit(&mut db, &mut group)));
        waiting.fetch_sub(group.len(), Ordering::Relaxed);
        let Ok(committed) = committed else {
            tracing::error!("a write panicked; it and those committed with it were not kept");
            continue;
        };
        match committed {
            Ok(revision) => {
                for job in group {
                    job.answer(None);
                }
                changed.send_if_modified(|known| std::mem::replace(known, revision) != revision);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "writes were not kept");
                for job in group {
                    job.answer(Some(again(&error)));
                }
            }
        }
    }
}

fn commit(db: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Prepared once, unlike those of `Transaction::savepoint`.
    let statement = |sql| transaction.prepare_cached(sql)?.execute([]);
    for job in group {
        statement("SAVEPOINT one")?;
        let good = job.run(&transaction);
        // A full disk may undo the whole transaction, and then the earlier writes of the group with it.
        if transaction.is_autocommit() {
            return Err(StoreError::Full);
        }
        if !good {
            statement("ROLLBACK TO one")?;
        }
        statement("RELEASE one")?;
    }
    let revision = super::revision(&transaction)?;
    transaction.commit()?;
    Ok(revision)
}

/// The same error for every write of a group.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full => StoreError::Full,
        StoreError::Busy => StoreError::Busy,
        StoreError::Closed => StoreError::Closed,
        StoreError::Corrupt { what } => StoreError::Corrupt { what },
        StoreError::Sqlite(error) => StoreError::Sqlite(match error {
            rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
            _ => rusqlite::Error::InvalidQuery,
        }),
    }
}
