//! The thread that writes.

use super::intake::{Intake, Memory};
use crate::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Writes that may wait; more are refused as busy.
pub(crate) const QUEUE: usize = 16_384;
/// Writes in one commit.
const GROUP: usize = 1_024;
/// While writes come in groups, they gather for so long: a commit writes whole pages, and costs the same for one row of a
/// page as for all.
const GATHER: Duration = Duration::from_millis(3);

/// One waiting write.
pub(super) trait Job: Send {
    /// Does the work; false when it failed, so that it is to be undone.
    fn run(&mut self, db: &Connection, memory: &mut Memory) -> bool;
    /// A beat undoes what it did itself.
    fn is_beat(&self) -> bool;
    /// Whether it may change what appliances are remembered by.
    fn disturbs(&self) -> bool;
    /// Hands the outcome to whoever waits; `lost` when the commit failed.
    fn answer(self: Box<Self>, lost: Option<StoreError>);
}

pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `journal`: beats that are in the journal, which it keeps up to date.
    pub(super) fn start(db: Connection, changed: watch::Sender<u64>, journal: Arc<AtomicU64>) -> Writer {
        let (queue, jobs) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = waiting.clone();
        let thread = std::thread::Builder::new().name("noc-writer".to_owned());
        let thread = thread.spawn(move || run(db, &jobs, &changed, &counted, &journal));
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

fn run(
    mut db: Connection,
    jobs: &Receiver<Box<dyn Job>>,
    changed: &watch::Sender<u64>,
    waiting: &AtomicUsize,
    journal: &AtomicU64,
) {
    let intake = Intake::default();
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
        let committed = catch_unwind(AssertUnwindSafe(|| commit(&mut db, &mut group, &mut intake.lock())));
        waiting.fetch_sub(group.len(), Ordering::Relaxed);
        if !matches!(committed, Ok(Ok(_))) {
            intake.lock().undone();
        }
        let Ok(committed) = committed else {
            tracing::error!("a write panicked; it and those committed with it were not kept");
            continue;
        };
        match committed {
            Ok((revision, beats)) => {
                journal.fetch_add(beats, Ordering::Relaxed);
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

/// The number of the last change, and how many beats went into the journal.
fn commit(db: &mut Connection, group: &mut [Box<dyn Job>], memory: &mut Memory) -> Result<(u64, u64), StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Prepared once, unlike those of `Transaction::savepoint`.
    let statement = |sql| transaction.prepare_cached(sql)?.execute([]);
    memory.begin(&transaction, group.iter().filter(|job| job.is_beat()).count())?;
    for job in group {
        if job.is_beat() {
            job.run(&transaction, memory);
        } else {
            let changes = transaction.total_changes();
            statement("SAVEPOINT one")?;
            let good = job.run(&transaction, memory);
            if !transaction.is_autocommit() {
                if !good {
                    statement("ROLLBACK TO one")?;
                }
                statement("RELEASE one")?;
            }
            if job.disturbs() && transaction.total_changes() != changes {
                memory.changed();
            }
        }
        // A full disk may undo the whole transaction, and then the earlier writes of the group with it.
        if transaction.is_autocommit() {
            return Err(StoreError::Full);
        }
    }
    let beats = memory.end(&transaction)?;
    let revision = super::revision(&transaction)?;
    transaction.commit()?;
    Ok((revision, beats))
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
