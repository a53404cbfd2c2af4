//! Opening SQLite, and the two ways in: [`Store::write`] and [`Store::read`].

use super::beats::{Kept, Prepared};
use super::intake::Memory;
use super::writer::{Job, Writer};
use crate::api::ApiError;
use crate::clock;
use crate::config::OpenError;
use crate::error::StoreError;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::Uid;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Reads at the same time.
const READERS: usize = 4;
/// How long another process (the command line beside `serve`) may hold the database.
const BUSY: Duration = Duration::from_secs(10);
/// Before this version, WAL mode could corrupt a database.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Pages of the log (16 MiB) after which they are put into the database. The row of an appliance that beats is written with each of its beats;
/// the longer the log, the more of that reaches the database only once.
const CHECKPOINT_PAGES: i64 = 4_096;
/// Most memory for pages that the writer has read or changed: with less it would read them again with every group of beats.
const CACHE_KIB: i64 = 32_768;

refinery::embed_migrations!("migrations");

/// The opened database.
pub(crate) struct Store {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    readers: Arc<Semaphore>,
    changed: watch::Receiver<u64>,
    changes: watch::Sender<u64>,
    /// Beats that are in the journal, about.
    journal: Arc<AtomicU64>,
    writer: Writer,
}

impl Store {
    /// Makes the tables of a new database.
    pub(crate) fn create(path: &Path, root: &PublicKey) -> Result<(), OpenError> {
        let db = connect(path, None)?;
        db.execute("INSERT OR IGNORE INTO noc (id, revision, root) VALUES (1, 1, ?1)", [root.0])
            .map_err(|e| OpenError::Database(e.into()))?;
        Ok(())
    }

    /// Opens a database, brings its tables up to date, and starts its writer.
    pub(crate) fn open(path: &Path, root: &PublicKey, limit_mib: Option<u32>) -> Result<Store, OpenError> {
        let db = connect(path, limit_mib)?;
        let found: [u8; 32] = db
            .query_row("SELECT root FROM noc", [], |row| row.get(0))
            .map_err(|_| OpenError::Damaged { path: path.to_owned(), what: "it names no root key".to_owned() })?;
        if found != root.0 {
            return Err(OpenError::Mixed { path: path.to_owned() });
        }
        let revision = super::revision(&db).map_err(OpenError::Database)?;
        let (changes, changed) = watch::channel(revision);
        let waiting = "SELECT coalesce(sum(beats), 0) FROM beat_journal";
        let waiting = db.query_row(waiting, [], |row| row.get(0)).map_err(|e| OpenError::Database(e.into()))?;
        let journal = Arc::new(AtomicU64::new(waiting));
        let writer = Writer::start(db, changes.clone(), journal.clone());
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Store { path: path.to_owned(), idle: Mutex::default(), readers, changed, changes, journal, writer })
    }

    /// Runs `work` in a transaction. Once this answers with `Ok`, what it did is on disk; with `Err`, nothing of it is.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.send(work, true).await
    }

    /// [`Store::write`] for what only has to do with the history.
    pub(crate) async fn write_history<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.send(work, false).await
    }

    async fn send<T, E, F>(&self, work: F, disturbs: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.writer.send(Call::boxed(work, move |outcome| drop(reply.send(outcome)), disturbs));
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// [`Store::write`] for threads that may wait.
    pub(crate) fn write_now<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.writer.send(Call::boxed(work, move |outcome| drop(reply.send(outcome)), true));
        answer.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Takes a beat. Once this answers with `Ok`, it is on disk.
    pub(crate) async fn take(&self, uid: Uid, beat: Prepared) -> Result<Kept, ApiError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let reply = move |outcome| drop(reply.send(outcome));
        self.writer.send(Box::new(TakeBeat { now: None, uid, beat, outcome: None, reply }));
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// [`Store::take`] at some time.
    #[cfg(test)]
    pub(super) fn take_now(&self, now: u64, uid: Uid, beat: muster_protocol::api::Beat) -> Result<Kept, ApiError> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let reply = move |outcome| drop(reply.send(outcome));
        let beat = Prepared::new(beat);
        self.writer.send(Box::new(TakeBeat { now: Some(now), uid, beat, outcome: None, reply }));
        answer.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Beats that are in the journal, about.
    pub(crate) fn journal(&self) -> u64 {
        self.journal.load(Ordering::Relaxed)
    }

    /// So many beats are not in the journal any more.
    pub(super) fn folded(&self, beats: u64) {
        let _ =
            self.journal.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(beats)));
    }

    /// Runs `work` on one consistent state of the database, on a thread that may wait.
    pub(crate) async fn read<T, E, F>(self: &Arc<Self>, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let Ok(permit) = self.readers.clone().acquire_owned().await else { return Err(StoreError::Closed.into()) };
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let outcome = store.read_now(work);
            drop(permit);
            outcome
        });
        read.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// [`Store::read`] for threads that may wait.
    pub(crate) fn read_now<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut db = match idle {
            Some(db) => db,
            None => self.reader().map_err(E::from)?,
        };
        let outcome = {
            let transaction = db.transaction().map_err(|e| E::from(e.into()))?;
            work(&transaction)
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        outcome
    }

    /// Writes that are not committed yet.
    pub(crate) fn waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// Follows the number of the last change.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Tells followers of changes that another process made.
    pub(crate) fn notice(&self, revision: u64) {
        self.changes.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
    }

    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.busy_timeout(BUSY)?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(db)
    }
}

fn connect(path: &Path, limit_mib: Option<u32>) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite { version: rusqlite::version().to_owned() });
    }
    let database = |error: rusqlite::Error| OpenError::Database(error.into());
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(database)?;
    db.busy_timeout(BUSY).map_err(database)?;
    db.set_prepared_statement_cache_capacity(128);
    db.pragma_update(None, "journal_mode", "WAL").map_err(database)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(database)?;
    db.pragma_update(None, "foreign_keys", true).map_err(database)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(database)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB).map_err(database)?;
    migrations::runner().run(&mut db).map_err(|e| OpenError::Migrate(Box::new(e)))?;
    if let Some(limit) = limit_mib {
        limit_size(&db, Some(limit)).map_err(OpenError::Database)?;
    }
    Ok(db)
}

/// The version of the tables that this program knows.
pub(crate) fn schema() -> i64 {
    let versions = migrations::runner().get_migrations().iter().map(|migration| i64::from(migration.version())).max();
    versions.unwrap_or(0)
}

/// Makes the tables as a former version had them.
#[cfg(test)]
pub(super) fn connect_at(path: &Path, version: i32) -> Connection {
    let mut db = Connection::open(path).expect("opens");
    let target = refinery::Target::Version(version);
    migrations::runner().set_target(target).run(&mut db).expect("tables");
    db
}

/// Sets the largest size of the database; `None` for no limit of our own.
pub(crate) fn limit_size(db: &Connection, limit_mib: Option<u32>) -> Result<(), StoreError> {
    let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = limit_mib.map_or(i64::from(u32::MAX - 1), |mib| ((i64::from(mib) << 20) / page).max(1));
    db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(())
}

struct Call<F, R, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: R,
    disturbs: bool,
}

impl<F, R, T, E> Call<F, R, T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    R: FnOnce(Result<T, E>) + Send + 'static,
{
    fn boxed(work: F, reply: R, disturbs: bool) -> Box<dyn Job> {
        Box::new(Call { work: Some(work), outcome: None, reply, disturbs })
    }
}

impl<F, R, T, E> Job for Call<F, R, T, E>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    R: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, db: &Connection, _: &mut Memory) -> bool {
        self.outcome = self.work.take().map(|work| work(db));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn is_beat(&self) -> bool {
        false
    }

    fn disturbs(&self) -> bool {
        self.disturbs
    }

    fn answer(self: Box<Self>, lost: Option<StoreError>) {
        (self.reply)(last_word(lost, self.outcome));
    }
}

struct TakeBeat<R> {
    /// The time when it is taken, if it is not said.
    now: Option<u64>,
    uid: Uid,
    beat: Prepared,
    outcome: Option<Result<Kept, ApiError>>,
    reply: R,
}

impl<R: FnOnce(Result<Kept, ApiError>) + Send> Job for TakeBeat<R> {
    fn run(&mut self, db: &Connection, memory: &mut Memory) -> bool {
        let outcome = memory.take(db, self.now.unwrap_or_else(clock::now), &self.uid, &self.beat);
        self.outcome.insert(outcome).is_ok()
    }

    fn is_beat(&self) -> bool {
        true
    }

    fn disturbs(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, lost: Option<StoreError>) {
        (self.reply)(last_word(lost, self.outcome));
    }
}

fn last_word<T, E: From<StoreError>>(lost: Option<StoreError>, outcome: Option<Result<T, E>>) -> Result<T, E> {
    match (lost, outcome) {
        // What a write that failed by itself has to say is more exact.
        (_, Some(Err(error))) => Err(error),
        (Some(lost), _) => Err(lost.into()),
        (None, Some(outcome)) => outcome,
        (None, None) => Err(StoreError::Closed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use muster_protocol::crypto::keys::SecretKey;
    use tempfile::TempDir;

    fn new() -> (TempDir, Arc<Store>) {
        let dir = TempDir::new().expect("folder");
        let path = dir.path().join("noc.sqlite");
        std::fs::write(&path, b"").expect("file");
        let root = SecretKey::from_seed(&[1; 32]).public();
        Store::create(&path, &root).expect("tables");
        let store = Store::open(&path, &root, None).expect("opens");
        (dir, Arc::new(store))
    }

    fn bump(db: &Connection) -> Result<u64, StoreError> {
        store::next_revision(db)
    }

    #[test]
    fn the_database_is_durable_and_of_a_safe_version() {
        let (_dir, store) = new();
        assert!(rusqlite::version_number() >= OLDEST_SQLITE);
        let modes: (String, i64) = store
            .write_now(|db| {
                let journal = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
                Ok::<_, StoreError>((journal, db.pragma_query_value(None, "synchronous", |row| row.get(0))?))
            })
            .expect("reads");
        assert_eq!(modes, ("wal".to_owned(), 2), "2 is FULL");
    }

    #[tokio::test]
    async fn writes_that_wait_together_stand_or_fall_each_by_itself() {
        let (dir, store) = new();
        let before = store.read_now(store::revision).expect("reads");
        let (block, blocked) = std::sync::mpsc::channel::<()>();
        let mut waiting = tokio::task::JoinSet::new();
        // While the first write is held up, the others gather behind it into one group.
        let first = store.clone();
        waiting.spawn(async move {
            let held = first.write(move |db| {
                let _ = blocked.recv();
                bump(db)
            });
            held.await.is_ok()
        });
        for n in 0..20 {
            let store = store.clone();
            waiting.spawn(async move {
                let write = store.write(move |db| {
                    bump(db)?;
                    if n % 2 == 0 { Ok(()) } else { Err(StoreError::Corrupt { what: "test" }) }
                });
                write.await.is_ok()
            });
        }
        tokio::task::yield_now().await;
        drop(block);
        let outcomes = waiting.join_all().await;
        assert_eq!(outcomes.iter().filter(|kept| **kept).count(), 11);
        assert_eq!(store.read_now(store::revision).expect("reads"), before + 11, "failed writes left nothing");
        drop(store);
        let root = SecretKey::from_seed(&[1; 32]).public();
        let again = Store::open(&dir.path().join("noc.sqlite"), &root, None).expect("opens again");
        assert_eq!(again.read_now(store::revision).expect("reads"), before + 11);
    }

    #[test]
    fn a_write_that_panics_is_undone_and_stops_nothing() {
        let (_dir, store) = new();
        let before = store.read_now(store::revision).expect("reads");
        let broken = store.write_now(|db| -> Result<u64, StoreError> {
            bump(db)?;
            panic!("on purpose");
        });
        assert!(matches!(broken, Err(StoreError::Closed)));
        assert_eq!(store.write_now(bump).expect("writes go on"), before + 1);
    }

    #[test]
    fn the_former_history_goes_in_steps_when_it_is_two_days_old() {
        let (_dir, store) = new();
        let now = 10 * store::history::BEATS_S;
        store
            .write_now(move |db| {
                db.execute(
                    "INSERT INTO appliances (id, uid, mac, serial, model, claim, revision)
                     VALUES (1, zeroblob(20), zeroblob(6), '', '', '', 1)",
                    [],
                )?;
                let mut insert = db.prepare("INSERT INTO beats (appliance, time, report) VALUES (1, ?1, '{}')")?;
                for i in 0..5_000 {
                    insert.execute([now - 2 * store::history::BEATS_S + i])?;
                }
                insert.execute([now])?;
                Ok::<_, StoreError>(())
            })
            .expect("written");
        let mut steps = 0;
        while store.write_now(move |db| store::beats::prune(db, now)).expect("pruned") {
            steps += 1;
        }
        assert_eq!(steps, 2, "three steps, the last not a whole one");
        let left: i64 = store
            .read_now(|db| Ok::<_, StoreError>(db.query_row("SELECT count(*) FROM beats", [], |row| row.get(0))?))
            .expect("counted");
        assert_eq!(left, 1);
    }
}
