//! The task of one camera's keeper: looks at the ring, writes, keeps the index, tells who asked.
//!
//! It reads the ring at its own pace and never makes the camera wait. Disk work runs on the blocking
//! pool, a few jobs at a time over all cameras; when the disk is too slow the ring lets GOPs go,
//! which is a counted gap. Order: write, sync, index row, settle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::file::{FileError, FootageFile};
use super::keeper::Keeper;
use super::kept::{FileId, Write};
use super::marker::{self, Mark};
use super::metrics::Metrics;
use super::past;
use super::recent::Recent;
use super::round::Round;
use super::window::Settled;
use super::{ClipRequest, ClipSettled, FootageOptions};
use crate::camera::{Feed, RingTick};
use crate::domain::clip::{ClipOutcome, ClipWindow, FootageName, GapReason};
use crate::domain::footage::{FootageRecord, FootageState};
use crate::domain::id::{CameraId, EntryId};
use crate::error::{Class, chain};
use crate::store::{Store, StoreError, tables};
use crate::supervise::{self, BlockingError};
use crate::telemetry::Throttle;
use crate::time::{Clock, WallTime};

/// Clips of one camera that may be open at once.
pub(super) const REQUESTS_MAX: usize = 1_024;
/// Longest time that a settled clip waits for its receiver when the gateway stops.
const HAND_OVER_MAX: Duration = Duration::from_secs(5);

/// What all keepers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: FootageOptions,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
    /// Disk jobs at a time.
    pub(super) jobs: Semaphore,
    pub(super) settled: mpsc::Sender<ClipSettled>,
    pub(super) recent: Recent,
    pub(super) started: Instant,
    /// The same by the wall clock.
    pub(super) opened_at: WallTime,
    /// Is the footage disk there? Without it nothing is written.
    pub(super) is_there: AtomicBool,
    pub(super) warnings: Throttle,
}

/// One camera's clips, as those who ask see them. The requests outlive a keeper that panics.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) open: Mutex<BTreeMap<EntryId, ClipRequest>>,
    pub(super) wake: Notify,
    pub(super) stop: CancellationToken,
}

/// The keeper cannot go on and is started anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeeperError {
    #[error("keep the index of footage")]
    Index(#[source] StoreError),
    #[error("write footage")]
    Blocking(#[source] BlockingError),
}

/// The keeper of one camera at work.
pub(super) struct KeeperTask {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    feed: Feed,
    keeper: Keeper,
    files: BTreeMap<FileId, FootageFile>,
    n_lost: u64,
}

impl KeeperTask {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<Slot>, feed: Feed) -> KeeperTask {
        KeeperTask {
            keeper: Keeper::new(shared.started, shared.options.linger),
            shared,
            slot,
            feed,
            files: BTreeMap::new(),
            n_lost: 0,
        }
    }

    /// Works until `stop` or the slot's own token is cancelled, then settles what is open.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), KeeperError> {
        let mut ticks = self.feed.ticks();
        let slot = Arc::clone(&self.slot);
        loop {
            let deadline = self.keeper.deadline(Instant::now());
            let is_active = self.keeper.is_active();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = slot.stop.cancelled() => break,
                () = slot.wake.notified() => self.take_requests(),
                () = until(deadline) => {}
                tick = next_tick(&mut ticks), if is_active => {
                    if !self.keeper.wants(tick.newest, tick.newest_media_at, tick.streaming) {
                        continue;
                    }
                }
            }
            self.round().await?;
        }
        self.take_requests();
        self.keeper.close();
        self.round().await
    }

    fn take_requests(&mut self) {
        for request in self.slot.open.lock().values() {
            self.keeper.request(request.clone());
        }
    }

    async fn round(&mut self) -> Result<(), KeeperError> {
        let gops = self.feed.gops_after(None).gops;
        let round = self.keeper.begin(Instant::now(), gops);
        while let Some(write) = self.keeper.next_write(&round) {
            if self.is_off(&write) && self.keeper.end_file(write.file) {
                continue;
            }
            let name = self.write(&write).await?;
            self.keeper.wrote(&round, &write, name);
        }
        self.sync(&round).await?;
        for settled in self.keeper.settle(&round) {
            self.hand_over(settled).await;
        }
        self.close_files(&round).await?;
        let n_lost = self.keeper.n_gops_lost();
        let new = n_lost.saturating_sub(self.n_lost);
        self.n_lost = n_lost;
        if new > 0 {
            self.shared.metrics.gops_lost.inc_by(new);
            warn!(
                n_gops = new,
                "footage lost, the disk is too slow or refuses"
            );
        }
        Ok(())
    }

    /// Would this GOP be labelled wrongly in its file, since the wall clock was set?
    fn is_off(&self, write: &Write) -> bool {
        let begins_gop = write.frames.first().filter(|first| first.frame.is_key);
        let file = self.files.get(&write.file);
        let (Some(first), Some(file)) = (begins_gop, file) else {
            return false;
        };
        file.is_off(first.at, self.shared.clock.at(write.taken_at))
    }

    /// Appends to the write's file, made first when it is new; or says why the disk refuses.
    async fn write(
        &mut self,
        write: &Write,
    ) -> Result<Result<FootageName, GapReason>, KeeperError> {
        let shared = Arc::clone(&self.shared);
        let wall = shared.clock.at(write.taken_at);
        let file = self.files.remove(&write.file);
        if file.is_none() && !write.is_new {
            return Ok(Err(GapReason::WriteFailed));
        }
        let (job, camera) = (write.clone(), self.feed.camera().clone());
        let result = self
            .shared
            .job("footage-write", move || {
                let made = match file {
                    Some(file) => Ok(file),
                    None => create(&shared, &camera, wall, &job),
                };
                match made {
                    Ok(mut file) => {
                        let result = file.append(wall, &job.frames, &job.flaws);
                        let result = result.map_err(|err| shared.or_away(err));
                        if result.is_err() && job.is_new {
                            file.discard();
                            return (None, result);
                        }
                        (Some(file), result)
                    }
                    Err(err) => (None, Err(shared.or_away(err))),
                }
            })
            .await?;
        match result {
            (Some(file), Ok(bytes)) => {
                self.shared.metrics.written_bytes.inc_by(bytes);
                let name = file.name().clone();
                self.files.insert(write.file, file);
                Ok(Ok(name))
            }
            (file, result) => {
                if let Some(file) = file {
                    self.files.insert(write.file, file);
                }
                Ok(Err(match result {
                    Ok(_) => GapReason::WriteFailed,
                    Err(err) => self.shared.refused(&err),
                }))
            }
        }
    }

    /// Makes durable what must be, and then the index.
    async fn sync(&mut self, round: &Round) -> Result<(), KeeperError> {
        let mut rows = Vec::new();
        for id in self.keeper.syncs(round) {
            let Some(mut file) = self.files.remove(&id) else {
                self.keeper.synced(round, id, Err(GapReason::WriteFailed));
                continue;
            };
            let shared = Arc::clone(&self.shared);
            let (file, result) = self
                .shared
                .job("footage-sync", move || {
                    let result = file.sync().map_err(|err| shared.or_away(err));
                    if result.is_err() && file.is_unconfirmed() {
                        file.discard();
                        return (None, result);
                    }
                    (Some(file), result)
                })
                .await?;
            let result = result.map_err(|err| self.shared.refused(&err));
            self.keeper.synced(round, id, result);
            if let Some(file) = file {
                if result.is_ok() {
                    rows.push((file.name().clone(), file.record(FootageState::Open)));
                }
                self.files.insert(id, file);
            }
        }
        self.shared.index(rows).await
    }

    async fn close_files(&mut self, round: &Round) -> Result<(), KeeperError> {
        let mut rows = Vec::new();
        for id in self.keeper.closes(round) {
            let Some(mut file) = self.files.remove(&id) else {
                continue;
            };
            let shared = Arc::clone(&self.shared);
            let (file, result) = self
                .shared
                .job("footage-close", move || {
                    let result = file.finish().map_err(|err| shared.or_away(err));
                    (file, result)
                })
                .await?;
            match result {
                Ok(record) => {
                    self.keeper.synced(round, id, Ok(()));
                    info!(file = %file.name(), bytes = record.bytes, "footage file closed");
                    rows.push((file.name().clone(), record));
                }
                Err(err) => {
                    let reason = self.shared.refused(&err);
                    let confirmed = file.is_confirmed().then_some(()).ok_or(reason);
                    if self.keeper.close_failed(round, id, confirmed) {
                        self.files.insert(id, file);
                    } else if file.is_unconfirmed() {
                        self.shared
                            .job("footage-discard", || file.discard())
                            .await?;
                    }
                    // Else its row stays open: the return of its disk or the next start finishes it.
                }
            }
        }
        self.shared.index(rows).await
    }

    /// Adds what an earlier process kept of a window that began before this one did.
    async fn with_past(
        shared: &Arc<Shared>,
        request: &ClipRequest,
        outcome: ClipOutcome,
    ) -> ClipOutcome {
        let started = shared.started.min(request.to);
        if request.from >= started || !shared.is_there.load(Ordering::Acquire) {
            return outcome;
        }
        let own = match &outcome {
            ClipOutcome::Whole(_) => return outcome,
            ClipOutcome::Partial { spans, .. } => spans.as_slice(),
            ClipOutcome::Missed(_) => &[],
        };
        let since = request.window.from.plus(started - request.from);
        let since = own.first().map_or(since, |span| since.min(span.starts_at));
        let before = ClipWindow {
            from: request.window.from,
            to: since,
        };
        let own: Vec<FootageName> = own.iter().map(|span| span.file.clone()).collect();
        let past = shared.settle_past(&request.camera, before, &own).await;
        past::join(past, outcome, since, request.window)
    }

    async fn hand_over(&mut self, settled: Settled) {
        let Settled { request, outcome } = settled;
        let outcome = KeeperTask::with_past(&self.shared, &request, outcome).await;
        let late = Instant::now().saturating_duration_since(request.to);
        self.shared.metrics.settled(&outcome);
        self.shared
            .metrics
            .ready_seconds
            .observe(late.as_secs_f64());
        let entry = request.entry;
        let settled = ClipSettled {
            entry,
            camera: request.camera,
            outcome,
            window_end: request.to,
        };
        let sent = if self.keeper.is_closing {
            let send = self.shared.settled.send_timeout(settled, HAND_OVER_MAX);
            send.await.is_ok()
        } else {
            self.shared.settled.send(settled).await.is_ok()
        };
        if !sent {
            // The entry is still pending in the store, so the next start settles it from the files.
            warn!(%entry, "nobody takes settled clips any more");
        }
        self.slot.open.lock().remove(&entry);
    }
}

impl Shared {
    /// Does the disk show our mark just now?
    pub(super) async fn has_mark(&self) -> bool {
        let check = marker::check(self.options.path.clone(), self.store.clone());
        let found = tokio::time::timeout(marker::ANSWER_MAX, check).await;
        matches!(found, Ok(Ok(Mark::Ours)))
    }

    async fn index(&self, rows: Vec<(FootageName, FootageRecord)>) -> Result<(), KeeperError> {
        if rows.is_empty() {
            return Ok(());
        }
        for (name, _) in &rows {
            self.recent.touch(name);
        }
        let put = move |txn: &mut crate::store::Txn<'_>| {
            for (name, record) in &rows {
                txn.put(tables::FOOTAGE, name, record)?;
            }
            Ok(())
        };
        self.store.write(put).await.map_err(KeeperError::Index)
    }

    /// Counts and logs that the disk refused; returns what a gap is laid to.
    fn refused(&self, err: &FileError) -> GapReason {
        self.metrics.write_errors.inc();
        if let Some(n_held_back) = self.warnings.pass() {
            let error = chain(err).to_string();
            match err.class() {
                Class::Permanent => error!(error, n_held_back, "footage cannot be written"),
                Class::Transient | Class::Cancelled => {
                    warn!(
                        error,
                        n_held_back, "footage cannot be written, trying again"
                    );
                }
            }
        }
        err.reason()
    }

    /// The error, or that the disk is away: what is open fails in many ways when it goes. Blocks.
    fn or_away(&self, err: FileError) -> FileError {
        let is_gone = || marker::is_gone(&self.options.path, &self.store);
        match err {
            FileError::Io { .. } if is_gone() => FileError::Away,
            FileError::Io { .. } | FileError::Mux { .. } | FileError::Away => err,
        }
    }

    /// Runs `work` on the blocking pool when one of the disk's places is free.
    async fn job<T, W>(&self, name: &'static str, work: W) -> Result<T, KeeperError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let permit = self.jobs.acquire().await;
        let done = supervise::blocking(name, work).await;
        drop(permit);
        done.map_err(KeeperError::Blocking)
    }
}

fn create(
    shared: &Shared,
    camera: &CameraId,
    wall: WallTime,
    write: &Write,
) -> Result<FootageFile, FileError> {
    let is_ours = || marker::is_ours(&shared.options.path, &shared.store);
    if !shared.is_there.load(Ordering::Acquire) || !is_ours() {
        return Err(FileError::Away);
    }
    let label = (wall, write.run.id);
    // Recent before it is there, so that nobody takes it for one that a crash left.
    let announce = |name: &FootageName| shared.recent.touch(name);
    let root = &shared.options.path;
    let file = FootageFile::create(root, camera, label, &write.params, announce)?;
    if !is_ours() {
        // It went in between, and the file lies on what is below it.
        file.discard();
        return Err(FileError::Away);
    }
    Ok(file)
}

async fn next_tick(ticks: &mut watch::Receiver<RingTick>) -> RingTick {
    if ticks.changed().await.is_err() {
        // The camera is gone for good; only deadlines are left.
        std::future::pending::<()>().await;
    }
    *ticks.borrow_and_update()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
