//! The writer's thread, its transactions, and reads of what is committed.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sled::IVec;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info};

use super::error::{StoreError, words};
use super::key::Key;
use super::metrics::Metrics;
use super::record::Record;
use super::table::{Table, tables};
use super::txn::{Changes, Txn};
use crate::file;
use crate::supervise::{self, Supervisor};
use crate::telemetry::Registry;

/// Writes that may wait for the writer; beyond that the caller waits.
const QUEUE_MAX: usize = 256;
/// Writes committed together, at most.
const GROUP_MAX: usize = 256;
/// Memory for sled's page cache.
const CACHE_BYTES: u64 = 64 << 20;
/// Reads after a commit for each of its changes. Two keep up (100,000 entries in batches of 10,000 changes:
/// 220 MB instead of 1,550; one second to open instead of six), at 0.3 µs each.
const READS_FOR_EACH_CHANGE: usize = 2;
/// Format of the store as a whole, in `META` under `format`. Before 2 entries lay by id.
const FORMAT: u32 = 2;
const FORMAT_KEY: &str = "format";

/// Where the store is.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Its folder; made when missing.
    pub path: PathBuf,
}

/// The durable store. Cheap to clone; the writer ends when [`Store::close`] is called.
#[derive(Clone)]
pub struct Store {
    db: sled::Db,
    queue: mpsc::Sender<Command>,
    path: Arc<Path>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Runs a write on the overlay; returns what tells the caller once the group is durable.
type Work = Box<dyn FnOnce(&sled::Db, &mut Changes) -> Answer + Send>;
/// Tells the caller of one write: `Ok` when its group is durable.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

enum Command {
    Write(Work),
    Close(oneshot::Sender<()>),
}

impl Store {
    /// Opens the store and starts its writer on a thread of `supervisor`.
    ///
    /// # Errors
    /// [`StoreError::Open`] when the folder is locked, damaged or cannot be written;
    /// [`StoreError::TooNew`] when a newer version wrote it.
    pub fn open(
        options: &StoreOptions,
        supervisor: &Supervisor,
        registry: &mut Registry,
    ) -> Result<Store, StoreError> {
        let path = options.path.clone();
        let db_file_path = path.join("db");
        // What an earlier process wrote is on the disk from here on, or not there at all.
        file::settle_on_disk(&db_file_path).map_err(|source| StoreError::File {
            path: db_file_path.clone(),
            source,
        })?;
        let db = sled::Config::new()
            .path(&path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|source| StoreError::Open {
                path: path.clone(),
                source: Box::new(source),
            })?;
        let db_file = File::open(&db_file_path).map_err(|source| StoreError::File {
            path: db_file_path,
            source,
        })?;
        let (queue, commands) = mpsc::channel(QUEUE_MAX);
        let store = Store {
            db: db.clone(),
            queue,
            path: Arc::from(path),
        };
        store.check_format()?;
        let writer = Writer {
            path: Arc::clone(&store.path),
            db,
            db_file,
            metrics: Metrics::register(registry),
        };
        let failed = supervisor.clone();
        supervise::thread(supervisor, "store-writer", move || {
            writer.run(commands, &failed);
        })
        .map_err(|source| StoreError::File {
            path: options.path.clone(),
            source,
        })?;
        Ok(store)
    }

    /// Runs `work` on the writer's thread and returns once its changes are on the disk. When `work`
    /// fails nothing of it is kept. `work` must be short and must not wait: all writes share one thread.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Commit`] when the disk refuses; [`StoreError::Closed`].
    ///
    /// # Cancel safety
    /// When dropped, the write may or may not be made.
    pub async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_then(work, |_| {}).await
    }

    /// As [`Store::write`]; once the changes are on the disk, `then` sees the result on the writer's
    /// thread, before the caller does and also when the caller has gone. What is kept in memory beside
    /// the store follows it there, in the order of the commits. `then` must be short as well.
    ///
    /// # Errors
    /// As [`Store::write`]; `then` is not called when there is one.
    ///
    /// # Cancel safety
    /// When dropped, the write may or may not be made; `then` is called exactly when it is.
    pub async fn write_then<T, W, H>(&self, work: W, then: H) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
        H: FnOnce(&T) + Send + 'static,
    {
        let (answer_tx, answer_rx) = oneshot::channel();
        let boxed: Work = Box::new(move |db, group| {
            let mut txn = Txn {
                db,
                group,
                own: Changes::new(),
            };
            let result = work(&mut txn);
            let own = txn.own;
            if result.is_ok() {
                group.extend(own);
            }
            Box::new(move |committed| {
                let answer = result.and_then(|value| match committed {
                    Ok(()) => Ok(value),
                    Err(why) => Err(StoreError::Commit(why)),
                });
                if let Ok(value) = &answer {
                    then(value);
                }
                // The caller may have gone; the write is made all the same.
                drop(answer_tx.send(answer));
            })
        });
        if self.queue.send(Command::Write(boxed)).await.is_err() {
            return Err(StoreError::Closed);
        }
        answer_rx.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs `work` on what is committed, on this thread, and forgets its changes.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn rehearse<T>(
        &self,
        work: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut txn = Txn {
            db: &self.db,
            group: &Changes::new(),
            own: Changes::new(),
        };
        work(&mut txn)
    }

    /// Returns once everything that was read before is on the disk: reads see a write some milliseconds
    /// before it is. For who is about to tell the outside of it.
    ///
    /// # Errors
    /// [`StoreError::Commit`] or [`StoreError::Closed`]: what was read may not be so.
    pub async fn settled(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(())).await
    }

    /// The record at `key`, committed or about to be.
    ///
    /// # Errors
    /// [`StoreError::Read`] or [`StoreError::Record`].
    pub fn get<K: Key, V: Record>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let found = self
            .db
            .get(table.key_bytes(key))
            .map_err(|source| read_error(&table, source))?;
        found.map(|bytes| table.decode(&bytes)).transpose()
    }

    /// Committed rows whose key begins with `front` (any leading parts of the key; `&()` for all),
    /// in key order. Iterate backwards with `.rev()`.
    pub fn scan<K: Key, V: Record, F: Key>(
        &self,
        table: Table<K, V>,
        front: &F,
    ) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V, F> {
        let rows = self.db.scan_prefix(table.partial_key_bytes(front));
        rows.map(move |row| decode_row(&table, row))
    }

    /// Committed rows whose key begins with `front`, in key order, from `from` (inclusive) to `until`
    /// (exclusive); both are whole keys and either may be absent.
    pub fn range<K: Key, V: Record, F: Key>(
        &self,
        table: Table<K, V>,
        front: &F,
        from: Option<&K>,
        until: Option<&K>,
    ) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V, F> {
        let prefix = table.partial_key_bytes(front);
        let low = from.map_or_else(|| prefix.clone(), |key| table.key_bytes(key));
        let high = until.map_or_else(
            || after_prefix(prefix.clone()).map_or(Bound::Unbounded, Bound::Excluded),
            |key| Bound::Excluded(table.key_bytes(key)),
        );
        let rows = self.db.range((Bound::Included(low), high));
        rows.map(move |row| decode_row(&table, row))
    }

    /// Says that the store is of today's format, so that no older program opens it: before the first row is
    /// written that such a program would not find.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn raise_format(&self) -> Result<(), StoreError> {
        let work = |txn: &mut Txn<'_>| {
            let key = FORMAT_KEY.to_owned();
            let format = u64::from(FORMAT);
            match txn.get(tables::META, &key)? {
                Some(found) if found == format => Ok(()),
                _ => txn.put(tables::META, &key, &format),
            }
        };
        self.write(work).await
    }

    /// Where the store lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes the writes that wait, makes them durable and ends the writer. Later writes fail with
    /// [`StoreError::Closed`]. Waits 10 s at most.
    pub async fn close(&self) {
        let (done_tx, done_rx) = oneshot::channel();
        if self.queue.send(Command::Close(done_tx)).await.is_ok()
            && tokio::time::timeout(Duration::from_secs(10), done_rx)
                .await
                .is_err()
        {
            error!("store writer did not end within 10 s");
        }
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let key = FORMAT_KEY.to_owned();
        let found = self.get(tables::META, &key)?;
        match found.map(|found| u32::try_from(found).unwrap_or(u32::MAX)) {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => Err(StoreError::TooNew {
                path: self.path.to_path_buf(),
                found,
                known: FORMAT,
            }),
            // Older: for who takes it over.
            Some(_) => Ok(()),
            None => {
                let bytes = tables::META.encode(&u64::from(FORMAT))?;
                self.db
                    .insert(tables::META.key_bytes(&key), bytes)
                    .map_err(|source| read_error(&tables::META, source))?;
                Ok(())
            }
        }
    }
}

struct Writer {
    path: Arc<Path>,
    db: sled::Db,
    db_file: File,
    metrics: Metrics,
}

impl Writer {
    fn run(self, mut commands: mpsc::Receiver<Command>, failed: &Supervisor) {
        let mut waiting = Vec::with_capacity(GROUP_MAX);
        loop {
            if commands.blocking_recv_many(&mut waiting, GROUP_MAX) == 0 {
                return;
            }
            let mut group = Changes::new();
            let mut answers = Vec::with_capacity(waiting.len());
            let mut closing = None;
            for command in waiting.drain(..) {
                match command {
                    Command::Write(work) => answers.push(work(&self.db, &mut group)),
                    Command::Close(done) => closing = Some(done),
                }
            }
            let committed = self.commit(group);
            self.metrics.writes.inc_by(answers.len() as u64);
            if let Err(why) = &committed {
                // Nothing is tried again: what the disk refused to confirm it may have dropped. Only a
                // start from what is on the disk mends that. Told first, since the callers fail of it.
                error!(error = %why, "store commit failed");
                let path = self.path.display();
                failed.fail(format!(
                    "the disk of the store at {path} refuses ({why}): see to it and start again; what was \
                     acknowledged is kept, the rest comes again"
                ));
            }
            for answer in answers {
                answer(committed.clone());
            }
            if committed.is_err() {
                // Never dropped: sled would sync once more, and panic or take yes for an answer.
                let _never_dropped = ManuallyDrop::new(self);
                return;
            }
            if let Some(done) = closing {
                info!("store closed");
                // The folder's lock goes with our handle, so whoever waited may open it again.
                drop(self);
                drop(commands);
                // The closer may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
        }
    }

    fn commit(&self, group: Changes) -> Result<(), String> {
        if group.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let n_changes = group.len();
        let mut batch = sled::Batch::default();
        for (key, value) in group {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(|err| words(&err))?;
        self.collect_garbage(n_changes)?;
        self.db.flush().map_err(|err| words(&err))?;
        self.db_file
            .sync_data()
            .map_err(|err| format!("sync db: {err}"))?;
        self.metrics
            .flush_seconds
            .observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Lets sled free what the commit has replaced. It does so in steps of a few hundred pieces, one for
    /// every 128 operations, but a batch is one operation, however long: without this a batch of 10,000
    /// changes leaves 30 MB behind for good, in memory and in what the next start has to read.
    fn collect_garbage(&self, n_changes: usize) -> Result<(), String> {
        for _ in 0..n_changes.saturating_mul(READS_FOR_EACH_CHANGE) {
            self.db.contains_key([]).map_err(|err| words(&err))?;
        }
        Ok(())
    }
}

pub(super) fn read_error<K, V>(table: &Table<K, V>, source: sled::Error) -> StoreError {
    StoreError::Read {
        table: table.name,
        source: Box::new(source),
    }
}

fn decode_row<K: Key, V: Record>(
    table: &Table<K, V>,
    row: sled::Result<(IVec, IVec)>,
) -> Result<(K, V), StoreError> {
    let (key, value) = row.map_err(|source| read_error(table, source))?;
    Ok((table.decode_key(&key)?, table.decode(&value)?))
}

/// The smallest bytes greater than all that begin with `prefix`; `None` when there are none.
fn after_prefix(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EntryId;
    use crate::time::WallTime;

    fn open(path: &Path) -> (Store, Supervisor) {
        let supervisor = Supervisor::new();
        let options = StoreOptions {
            path: path.to_owned(),
        };
        let store = Store::open(&options, &supervisor, &mut crate::telemetry::registry()).unwrap();
        (store, supervisor)
    }

    fn id(n: u8) -> EntryId {
        EntryId::from_bytes([n; 16])
    }

    #[tokio::test]
    async fn a_write_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let wall = WallTime::from_unix_ms(5);
        {
            let (store, _supervisor) = open(folder.path());
            store
                .write(move |txn| txn.put(tables::SEEN, &id(1), &wall))
                .await
                .unwrap();
            store.close().await;
            let err = store.write(|_| Ok(())).await.unwrap_err();
            assert!(matches!(err, StoreError::Closed));
        }
        let (store, _supervisor) = open(folder.path());
        assert_eq!(store.get(tables::SEEN, &id(1)).unwrap(), Some(wall));
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _supervisor) = open(folder.path());
        let wall = WallTime::from_unix_ms(5);
        let bad = store.write(move |txn| {
            txn.put(tables::SEEN, &id(1), &wall)?;
            Err::<(), _>(StoreError::Closed)
        });
        let good = store.write(move |txn| txn.put(tables::SEEN, &id(2), &wall));
        let (bad, good) = tokio::join!(bad, good);
        assert!(bad.is_err());
        good.unwrap();
        assert_eq!(store.get(tables::SEEN, &id(1)).unwrap(), None);
        assert_eq!(store.get(tables::SEEN, &id(2)).unwrap(), Some(wall));
    }

    #[tokio::test]
    async fn check_and_write_are_one_step_even_within_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _supervisor) = open(folder.path());
        let mut tries = Vec::new();
        for _ in 0..64 {
            tries.push(store.write(|txn| {
                let taken = txn.contains(tables::SEEN, &id(9))?;
                txn.put(tables::SEEN, &id(9), &WallTime::from_unix_ms(1))?;
                Ok(!taken)
            }));
        }
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(
            won.into_iter().filter(|won| *won.as_ref().unwrap()).count(),
            1
        );
    }

    #[tokio::test]
    async fn a_write_sees_its_own_rows_in_order_and_reads_page_backwards() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _supervisor) = open(folder.path());
        let row = |ms: i64| (WallTime::from_unix_ms(ms), id(0));
        let seen = store
            .write(move |txn| {
                for ms in [3, 1, 2] {
                    txn.put(tables::SEEN_ALONE, &row(ms), &())?;
                }
                txn.delete(tables::SEEN_ALONE, &row(2));
                txn.scan(tables::SEEN_ALONE, &(), 10)
            })
            .await
            .unwrap();
        assert_eq!(seen, vec![(row(1), ()), (row(3), ())]);
        let newest = store
            .scan(tables::SEEN_ALONE, &())
            .next_back()
            .unwrap()
            .unwrap();
        assert_eq!(newest.0, row(3));
        let before = store.range(tables::SEEN_ALONE, &(), None, Some(&row(3)));
        assert_eq!(before.count(), 1);
    }

    #[tokio::test]
    async fn a_store_of_a_newer_version_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        {
            let (store, _supervisor) = open(folder.path());
            store
                .write(|txn| txn.put(tables::META, &"format".to_owned(), &99))
                .await
                .unwrap();
            store.close().await;
        }
        let options = StoreOptions {
            path: folder.path().to_owned(),
        };
        let supervisor = Supervisor::new();
        let err =
            Store::open(&options, &supervisor, &mut crate::telemetry::registry()).unwrap_err();
        assert!(
            err.to_string().contains("install the newer stairgate"),
            "{err}"
        );
    }
}
