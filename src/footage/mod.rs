//! Kept video: which frames of a camera stay, the append-only files they lie in, what a clip shows of
//! them, and what a crash leaves.
//!
//! A clip is a window over footage. `keeper` decides (pure), `task` carries it out, `file` and `boxes`
//! are the bytes, `recovery` and `past` work from files alone. Fragmented MP4 as in ISO/IEC 14496-12,
//! one GOP a fragment, each labelled with its wall time. Not here: exporting a clip (`clip`).

mod boxes;
mod disk;
mod file;
mod index;
mod keeper;
mod kept;
mod marker;
mod metrics;
mod past;
mod recent;
mod recovery;
mod resolve;
mod retention;
mod round;
mod scan;
mod task;
mod watch;
mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch::Receiver as Watched;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tracing::{error, info_span};

use self::disk::Space;
use self::metrics::Metrics;
use self::recent::Recent;
use self::task::{KeeperTask, REQUESTS_MAX, Shared, Slot};
use crate::camera::Feed;
use crate::domain::clip::{ClipOutcome, ClipWindow, MissedReason};
use crate::domain::id::{CameraId, EntryId};
use crate::retry::Backoff;
use crate::store::{Store, StoreError};
use crate::supervise::{Supervisor, blocking};
use crate::telemetry::{HealthBoard, Registry, Throttle};
use crate::time::Clock;

pub use self::disk::FreeSpaceFloor;
pub use self::scan::ScanReport;

/// Settled clips that wait for their receiver; beyond that the keepers wait, and the ring covers for
/// them.
const SETTLED_MAX: usize = 64;
/// Disk jobs at a time over all cameras: enough to keep a disk busy, few enough not to fill the pool.
const JOBS_MAX: usize = 8;
/// How long a file stays open after its last window: the pre-roll of the next swipe, and 5 s for its
/// way here.
const LINGER: Duration = Duration::from_secs(15);
/// Longest time for all keepers to settle and close at the end.
const CLOSE_MAX: Duration = Duration::from_secs(7);
/// One warning about the disk in this time.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// Where footage lies and how long.
#[derive(Clone, Debug)]
pub struct FootageOptions {
    /// Its folder.
    pub path: PathBuf,
    /// How long it is kept, counted from a file's end.
    pub retention: Duration,
    /// What stays free on its disk.
    pub floor: FreeSpaceFloor,
    /// How long a file stays open after the last window that needs it: at least the pre-roll.
    pub linger: Duration,
}

impl FootageOptions {
    /// The folder, the time footage is kept, and what stays free on the disk.
    pub fn new(path: PathBuf, retention: Duration, floor: FreeSpaceFloor) -> FootageOptions {
        FootageOptions {
            path,
            retention,
            floor,
            linger: LINGER,
        }
    }
}

/// A clip that an entry wants of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipRequest {
    /// Whose.
    pub entry: EntryId,
    /// Of which camera.
    pub camera: CameraId,
    /// The first moment wanted. The instants rule; `window` only labels them.
    pub from: Instant,
    /// The first moment after it.
    pub to: Instant,
    /// The same moments as the entry shows them.
    pub window: ClipWindow,
}

/// A clip whose outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipSettled {
    /// Whose.
    pub entry: EntryId,
    /// Of which camera.
    pub camera: CameraId,
    /// What became of it. All bytes it names are on the disk.
    pub outcome: ClipOutcome,
    /// The end of its window.
    pub window_end: Instant,
}

/// How the footage disk is. A level and counters, not events: whoever looks late misses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskReport {
    /// Is it away, is it another one, or does it not answer?
    pub is_away: bool,
    /// Is little space left? `None`: not known yet.
    pub is_low: Option<bool>,
    /// Bytes free when `is_low` last changed.
    pub free_bytes: u64,
    /// Files deleted before their time since the process started.
    pub n_early_files: u64,
    /// Their bytes.
    pub early_bytes: u64,
}

/// Why the footage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FootageError {
    /// The index cannot be read or written.
    #[error("use the index of footage")]
    Index(#[source] StoreError),
}

/// Why a clip was not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too many clips of this camera are open.
    #[error("more than 1024 clips of one camera at once")]
    Overload,
    /// No such camera is attached.
    #[error("no such camera")]
    UnknownCamera,
}

impl RequestError {
    /// What becomes of the clip.
    pub fn reason(self) -> MissedReason {
        match self {
            RequestError::Overload => MissedReason::Overload,
            RequestError::UnknownCamera => MissedReason::NoCamera,
        }
    }
}

/// How long the footage disk may take to say how much room it has; one that hangs says nothing.
const ROOM_WITHIN: Duration = Duration::from_secs(3);

/// The room on the footage disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we may still use.
    pub free_bytes: u64,
    /// Bytes of the whole file system.
    pub total_bytes: u64,
    /// Bytes that must stay free.
    pub floor_bytes: u64,
}

/// The footage of all cameras. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Footage {
    shared: Arc<Shared>,
    slots: Arc<Mutex<BTreeMap<CameraId, Arc<Slot>>>>,
    keepers: Supervisor,
}

impl Footage {
    /// Opens the footage folder, finishes what a crash left open, and begins to compare disk and
    /// index. Settled clips come through the first receiver, which must be drained; the second shows how
    /// the disk is.
    ///
    /// # Errors
    /// [`FootageError::Index`] when the store fails.
    pub async fn open(
        options: FootageOptions,
        clock: Clock,
        store: Store,
        supervisor: &Supervisor,
        board: &HealthBoard,
        registry: &mut Registry,
    ) -> Result<(Footage, mpsc::Receiver<ClipSettled>, Watched<DiskReport>), FootageError> {
        let (settled, receiver) = mpsc::channel(SETTLED_MAX);
        let shared = Arc::new(Shared {
            options,
            opened_at: clock.now(),
            clock,
            store,
            metrics: Metrics::register(registry),
            jobs: Semaphore::new(JOBS_MAX),
            settled,
            recent: Recent::default(),
            started: Instant::now(),
            is_there: AtomicBool::new(true),
            warnings: Throttle::new(WARN_EVERY),
        });
        let keepers = supervisor.group();
        let footage = Footage {
            shared,
            slots: Arc::default(),
            keepers,
        };
        let reports = footage.watch_disk(board).await?;
        Ok((footage, receiver, reports))
    }

    /// Begins to keep footage of `feed`'s camera; a camera that is attached already is attached anew.
    pub fn attach(&self, feed: Feed) {
        let camera = feed.camera().clone();
        let slot = Arc::new(Slot {
            open: Mutex::default(),
            wake: Notify::new(),
            stop: self.keepers.token().child_token(),
        });
        let before = self.slots.lock().insert(camera.clone(), Arc::clone(&slot));
        if let Some(before) = before {
            before.stop.cancel();
        }
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), 0)
            .expect("1 s is less than 30 s");
        let shared = Arc::clone(&self.shared);
        let span = info_span!("footage", %camera);
        let name = format!("footage/{camera}");
        self.keepers.keep(&name, span, backoff, move |stop| {
            // A keeper that is started anew finds the clips that are still open.
            slot.wake.notify_one();
            KeeperTask::new(Arc::clone(&shared), Arc::clone(&slot), feed.clone()).run(stop)
        });
    }

    /// Ends the keeping of `camera`: its open clips are settled with what there is.
    pub fn detach(&self, camera: &CameraId) {
        if let Some(slot) = self.slots.lock().remove(camera) {
            slot.stop.cancel();
        }
    }

    /// Asks for a clip; its outcome comes as a [`ClipSettled`] soon after its window's end. Never waits.
    ///
    /// The window may reach back as far as the camera's ring, and to footage of the last two minutes.
    ///
    /// # Errors
    /// [`RequestError::Overload`] beyond 16 open clips of the camera; [`RequestError::UnknownCamera`].
    pub fn request(&self, request: ClipRequest) -> Result<(), RequestError> {
        let slots = self.slots.lock();
        let slot = slots
            .get(&request.camera)
            .ok_or(RequestError::UnknownCamera)?;
        let mut open = slot.open.lock();
        if open.len() >= REQUESTS_MAX && !open.contains_key(&request.entry) {
            return Err(RequestError::Overload);
        }
        open.insert(request.entry, request);
        drop(open);
        slot.wake.notify_one();
        Ok(())
    }

    /// The clip of `window` from files alone: for a swipe that came late, and after a restart. `None`:
    /// the footage disk is away, so what there is cannot be told now.
    pub async fn settle_past(&self, camera: &CameraId, window: ClipWindow) -> Option<ClipOutcome> {
        if !self.is_there() {
            return None;
        }
        let outcome = self.shared.settle_past(camera, window, &[]).await;
        // It may have gone while its files were read, or have been gone for some seconds.
        if !matches!(outcome, ClipOutcome::Whole(_)) && !self.shared.has_mark().await {
            return None;
        }
        self.shared.metrics.settled(&outcome);
        Some(outcome)
    }

    /// Is the footage disk there and ours, as far as is known? While it is not, nothing new is kept.
    pub fn is_there(&self) -> bool {
        self.shared.is_there.load(Ordering::Acquire)
    }

    /// Free and all bytes of the disk, while it is there and says so. Blocks for the disk.
    pub fn space(&self) -> Option<(u64, u64)> {
        let root = self.root();
        let space = self.is_there().then(|| Space::of(root));
        let space = space?.ok()?;
        Some((space.free_bytes, space.total_bytes))
    }

    /// The same as [`Footage::is_there`], asked of the disk itself and not of the last look at it; 15 s at most.
    pub async fn is_there_now(&self) -> bool {
        self.shared.has_mark().await
    }

    /// How much room the disk has; `None` while it is away, or does not say within `ROOM_WITHIN`.
    pub async fn room(&self) -> Option<Room> {
        if !self.is_there() {
            return None;
        }
        let (root, floor) = (self.root().to_owned(), self.shared.options.floor);
        let asked = blocking("ask the footage disk", move || Space::of(&root));
        let space = timeout(ROOM_WITHIN, asked).await.ok()?.ok()?.ok()?;
        Some(Room {
            free_bytes: space.free_bytes,
            total_bytes: space.total_bytes,
            floor_bytes: space.floor_bytes(floor),
        })
    }

    /// How long footage is kept.
    pub fn retention(&self) -> Duration {
        self.shared.options.retention
    }

    /// The folder of the footage.
    pub fn root(&self) -> &Path {
        &self.shared.options.path
    }

    /// Settles every open clip with what there is, closes every file, and ends the keepers.
    pub async fn close(&self) {
        if let Err(err) = self.keepers.shutdown(CLOSE_MAX).await {
            error!(error = %err, "footage is not closed in order");
        }
    }
}
