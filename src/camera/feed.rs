//! What the rest of the gateway sees of one camera: its ring, ticks when something new is in it,
//! and its status. Reading never makes the camera's session wait for more than a short lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::frame::Frame;
use super::ring::{GopSeq, GopsAfter, Pushed, Ring, RingOptions, RingTotals};
use super::status::{Arrival, CameraStatus, Facts};
use crate::domain::id::CameraId;

/// What changed in a ring; sent after each drained batch, and when the camera comes or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingTick {
    /// The newest GOP, growing or ended; `None` before the first.
    pub newest: Option<GopSeq>,
    /// Frames taken into the ring since process start.
    pub n_frames: u64,
    /// When the newest frame's picture was taken, as far as its arrival tells.
    pub newest_media_at: Option<Instant>,
    /// Is there a session that has sent a key frame?
    pub streaming: bool,
}

/// One camera, for readers. Cheap to clone; clones share the ring.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

/// One camera, for its session (and for tests): the only one who fills the ring.
pub struct FeedWriter {
    shared: Arc<Shared>,
}

/// While one of these lives, somebody looks: the camera is read in finer steps.
#[derive(Debug)]
pub struct Watching {
    shared: Arc<Shared>,
}

struct Shared {
    camera: CameraId,
    ring: Mutex<Ring>,
    tick: watch::Sender<RingTick>,
    facts: Mutex<Facts>,
    n_watching: AtomicUsize,
    watched: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("camera", &self.camera)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Feed").field(&self.shared.camera).finish()
    }
}

impl fmt::Debug for FeedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FeedWriter")
            .field(&self.shared.camera)
            .finish()
    }
}

impl Feed {
    /// An empty ring for `camera`: the reader's side, to be cloned, and the writer's.
    pub fn new(camera: CameraId, options: RingOptions) -> (Feed, FeedWriter) {
        let shared = Arc::new(Shared {
            camera,
            ring: Mutex::new(Ring::new(options)),
            tick: watch::Sender::new(RingTick::default()),
            facts: Mutex::new(Facts::default()),
            n_watching: AtomicUsize::new(0),
            watched: Notify::new(),
        });
        let feed = Feed {
            shared: Arc::clone(&shared),
        };
        (feed, FeedWriter { shared })
    }

    /// The camera.
    pub fn camera(&self) -> &CameraId {
        &self.shared.camera
    }

    /// Whole GOPs newer than `after` (`None`: all in the ring), oldest first, and last a snapshot of
    /// the growing one. To see the growing one again when it has grown, ask after the one before it.
    pub fn gops_after(&self, after: Option<GopSeq>) -> GopsAfter {
        self.shared.ring.lock().gops_after(after)
    }

    /// Tells when something new is in the ring.
    pub fn ticks(&self) -> watch::Receiver<RingTick> {
        self.shared.tick.subscribe()
    }

    /// How the camera is, now.
    pub fn status(&self) -> CameraStatus {
        let now = Instant::now();
        self.look(|ring, facts| CameraStatus::of(&self.shared.camera, ring, facts, now))
    }

    /// The newest key frame in the ring; `None` before the first.
    pub fn newest_key_frame(&self) -> Option<Frame> {
        self.shared.ring.lock().newest_key_frame().cloned()
    }

    /// Is it the same ring, not one of a camera that was taken out and put in again?
    pub fn is_same(&self, other: &Feed) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Looks at the ring and at what the session knows.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Ring, &Facts) -> T) -> T {
        let ring = self.shared.ring.lock();
        at(&ring, &self.shared.facts.lock())
    }

    /// Changes what the status shows.
    pub(super) fn with_facts<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        change(&mut self.shared.facts.lock())
    }

    /// The writer's side again, for a task that begins anew.
    pub(super) fn writer(&self) -> FeedWriter {
        FeedWriter {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Makes the camera be read in finer steps while the returned guard lives (a live viewer).
    pub fn watch(&self) -> Watching {
        self.shared.n_watching.fetch_add(1, Ordering::Relaxed);
        self.shared.watched.notify_one();
        Watching {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.n_watching.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FeedWriter {
    /// Takes the camera's next frame. Readers are told at the next [`FeedWriter::flush`].
    pub fn push(&mut self, frame: Frame) -> Pushed {
        let arrival = Arrival::of(&frame);
        let pushed = self.shared.ring.lock().push(frame);
        self.shared.facts.lock().frame_came(arrival, pushed);
        pushed
    }

    /// Tells the readers what came since the last time.
    pub fn flush(&mut self) {
        let (newest, n_frames, frame) = {
            let ring = self.shared.ring.lock();
            (
                ring.newest(),
                ring.totals().n_frames,
                ring.newest_frame().cloned(),
            )
        };
        let newest_media_at = frame.and_then(|f| f.run.instant_of(f.media).or(Some(f.arrived)));
        let streaming = self.shared.facts.lock().up;
        self.shared.tick.send_replace(RingTick {
            newest,
            n_frames,
            newest_media_at,
            streaming,
        });
    }

    /// Says that no further frame of the current run comes, and tells the readers.
    pub fn end_run(&mut self) {
        self.shared.ring.lock().end_run();
        self.shared.facts.lock().run_ended();
        self.flush();
    }

    /// A reader's side of the same ring.
    pub fn feed(&self) -> Feed {
        Feed {
            shared: Arc::clone(&self.shared),
        }
    }

    /// What the ring took and gave away.
    pub fn totals(&self) -> RingTotals {
        self.shared.ring.lock().totals()
    }

    /// Does somebody look?
    pub(super) fn is_watched(&self) -> bool {
        self.shared.n_watching.load(Ordering::Relaxed) > 0
    }

    /// Waits until somebody begins to look.
    ///
    /// # Cancel safety
    /// Safe: a notification that is not awaited is kept.
    pub(super) async fn watch_begins(&self) {
        self.shared.watched.notified().await;
    }
}
