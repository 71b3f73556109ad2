//! A footage folder, its store, and one camera that a test feeds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stairgate::camera::{Feed, FeedWriter, Frame, RingOptions, Run};
use stairgate::domain::clip::{ClipOutcome, ClipWindow, FootageName, Span};
use stairgate::domain::footage::{FootageRecord, FootageState};
use stairgate::domain::id::{CameraId, EntryId};
use stairgate::footage::{
    ClipRequest, ClipSettled, DiskReport, Footage, FootageOptions, FreeSpaceFloor,
};
use stairgate::store::{Store, StoreOptions, tables};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, Registry};
use stairgate::time::Clock;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::numbered::numbered;

pub(super) const FRAME_NS: u64 = 40_000_000;
/// Longest wait for anything that should happen at once.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) fn camera() -> CameraId {
    CameraId::new("b03-u2-in").unwrap()
}

pub(super) fn entry(n: u8) -> EntryId {
    EntryId::from_bytes([n; 16])
}

/// A footage folder, its store, and one camera that a test feeds.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    pub(super) board: HealthBoard,
    pub(super) supervisor: Supervisor,
    pub(super) store: Store,
    pub(super) footage: Footage,
    pub(super) clips: Receiver<ClipSettled>,
    pub(super) disk: watch::Receiver<DiskReport>,
    pub(super) feed: FeedWriter,
    pub(super) run: Arc<Run>,
    /// When frame 0 of the fixture was taken.
    pub(super) zero: Instant,
}

impl Site {
    pub(super) async fn new() -> Site {
        Site::open(tempfile::tempdir().unwrap(), FreeSpaceFloor::Bytes(0)).await
    }

    pub(super) async fn open(folder: TempDir, floor: FreeSpaceFloor) -> Site {
        Site::with_linger(folder, floor, None).await
    }

    /// A site whose files stay open for `linger` after their last window.
    pub(super) async fn with_linger(
        folder: TempDir,
        floor: FreeSpaceFloor,
        linger: Option<Duration>,
    ) -> Site {
        let clock = Clock::system();
        let board = HealthBoard::new(clock.clone());
        let supervisor = Supervisor::new();
        let mut registry = stairgate::telemetry::registry();
        let options = StoreOptions {
            path: folder.path().join("store"),
        };
        let store = open_store(&options, &supervisor, &mut registry).await;
        let month = Duration::from_secs(30 * 86_400);
        let mut options = FootageOptions::new(folder.path().join("footage"), month, floor);
        options.linger = linger.unwrap_or(options.linger);
        let (footage, clips, disk) = Footage::open(
            options,
            clock.clone(),
            store.clone(),
            &supervisor,
            &board,
            &mut registry,
        )
        .await
        .unwrap();
        let ring = RingOptions {
            media_ms_max: 120_000,
            ..RingOptions::default()
        };
        let (feed, writer) = Feed::new(camera(), ring);
        footage.attach(feed);
        let zero = Instant::now() - Duration::from_secs(60);
        Site {
            folder,
            clock,
            board,
            supervisor,
            store,
            footage,
            clips,
            disk,
            feed: writer,
            run: Run::new(camera(), zero),
            zero,
        }
    }

    /// Opens `folder` again as if the gateway had died while `name` was open.
    pub(super) async fn reopened_with_open_row(folder: TempDir, name: &FootageName) -> Site {
        {
            let supervisor = Supervisor::new();
            let mut registry = stairgate::telemetry::registry();
            let options = StoreOptions {
                path: folder.path().join("store"),
            };
            let store = open_store(&options, &supervisor, &mut registry).await;
            let name = name.clone();
            store
                .write(move |txn| {
                    let mut row = txn.get(tables::FOOTAGE, &name)?.unwrap();
                    row.state = FootageState::Open;
                    txn.put(tables::FOOTAGE, &name, &row)
                })
                .await
                .unwrap();
            store.close().await;
        }
        Site::open(folder, FreeSpaceFloor::Bytes(0)).await
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("footage")
    }

    pub(super) fn path(&self, name: &FootageName) -> PathBuf {
        self.root().join(name.as_str())
    }

    /// Frames `first..last` of a fixture arrive, each at its own time.
    pub(super) fn frames(&mut self, fixture: &str, first: usize, last: usize) {
        let (media, samples) = numbered(fixture);
        let params = Arc::new(media.params.clone());
        for sample in &samples[first..last] {
            let arrived = self.zero + Duration::from_nanos(sample.at.ns().unsigned_abs());
            self.run.clock.lock().observe(sample.at, arrived);
            self.feed.push(Frame {
                run: Arc::clone(&self.run),
                params: Arc::clone(&params),
                media: sample.at,
                arrived,
                is_key: sample.is_key,
                n_lost: 0,
                data: sample.data.clone(),
            });
        }
        self.feed.flush();
    }

    /// The window from frame `from` to frame `to`.
    pub(super) fn request(&self, n: u8, from: u64, to: u64) -> ClipRequest {
        let at = |idx: u64| self.zero + Duration::from_nanos(idx * FRAME_NS);
        ClipRequest {
            entry: entry(n),
            camera: camera(),
            from: at(from),
            to: at(to),
            window: ClipWindow {
                from: self.clock.at(at(from)),
                to: self.clock.at(at(to)),
            },
        }
    }

    pub(super) async fn settled(&mut self) -> ClipSettled {
        let settled = tokio::time::timeout(SOON, self.clips.recv()).await;
        settled.expect("the clip is settled in time").unwrap()
    }

    /// Waits until the disk is as `holds` says.
    pub(super) async fn disk_is(&mut self, holds: impl FnMut(&DiskReport) -> bool) -> DiskReport {
        let report = tokio::time::timeout(SOON, self.disk.wait_for(holds)).await;
        *report.expect("the disk is so in time").unwrap()
    }

    pub(super) fn rows(&self) -> Vec<(FootageName, FootageRecord)> {
        let rows = self.store.scan(tables::FOOTAGE, &());
        rows.map(Result::unwrap).collect()
    }

    /// Ends everything in order; the folder stays.
    pub(super) async fn close(self) -> TempDir {
        self.footage.close().await;
        self.store.close().await;
        self.supervisor
            .shutdown(Duration::from_secs(10))
            .await
            .unwrap();
        self.folder
    }
}

/// Opens a store that may have been in use just now: its last threads need a moment to let go.
pub(super) async fn open_store(
    options: &StoreOptions,
    supervisor: &Supervisor,
    registry: &mut Registry,
) -> Store {
    let until = Instant::now() + SOON;
    loop {
        match Store::open(options, supervisor, registry) {
            Ok(store) => return store,
            Err(err) => assert!(Instant::now() < until, "{err:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) fn whole(outcome: &ClipOutcome) -> &[Span] {
    match outcome {
        ClipOutcome::Whole(spans) => spans,
        ClipOutcome::Partial { .. } | ClipOutcome::Missed(_) => panic!("{outcome:?}"),
    }
}
