//! A footage folder, its store and one simulated camera, under a clock that only the test moves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stairgate::camera::{Feed, FeedWriter, RingOptions};
use stairgate::clip;
use stairgate::domain::clip::FootageName;
use stairgate::domain::clip::{ClipLength, ClipRecord};
use stairgate::domain::footage::FootageRecord;
use stairgate::domain::id::{CameraId, EntryId};
use stairgate::footage::{ClipRequest, ClipSettled, Footage, FootageOptions, FreeSpaceFloor};
use stairgate::store::{Store, StoreOptions, tables};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, Registry};
use stairgate::time::{Clock, WallTime};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::camera::Camera;
use super::time;
use crate::frame_number::{Played, played};

/// Passes after each batch of frames: a keeper that is behind has the ring to catch up from.
const PASSES_PER_BATCH: usize = 3;
/// Passes after a request, since all of the pre-roll is then to be written.
const PASSES_PER_REQUEST: usize = 60;

/// A day on which nothing is special, 08:30 in Shanghai.
pub(super) const MORNING: WallTime = WallTime::from_unix_ms(1_795_307_400_000);

pub(super) fn camera() -> CameraId {
    CameraId::new("b03-u2-in").unwrap()
}

pub(super) fn entry(n: usize) -> EntryId {
    EntryId::derive(&[&n.to_be_bytes()])
}

/// A folder in memory where there is one: what is tested here is not how durable a disk is.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::tempdir_in(memory);
    made.unwrap_or_else(|_| crate::harness::temp_dir())
}

/// What a test has of the gateway.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    pub(super) supervisor: Supervisor,
    pub(super) board: HealthBoard,
    pub(super) registry: Registry,
    pub(super) store: Store,
    pub(super) footage: Footage,
    /// `None` once somebody else takes the outcomes.
    pub(super) clips: Option<Receiver<ClipSettled>>,
    pub(super) feed: FeedWriter,
    pub(super) started: Instant,
    settled: Vec<ClipSettled>,
}

impl Site {
    pub(super) async fn new() -> Site {
        let month = Duration::from_secs(30 * 86_400);
        Site::open(folder(), Clock::simulated(MORNING), month).await
    }

    pub(super) async fn open(folder: TempDir, clock: Clock, retention: Duration) -> Site {
        let board = HealthBoard::new(clock.clone());
        let supervisor = Supervisor::new();
        let mut registry = stairgate::telemetry::registry();
        let path = folder.path().join("store");
        let store = Store::open(&StoreOptions { path }, &supervisor, &mut registry).unwrap();
        let options = FootageOptions::new(
            folder.path().join("footage"),
            retention,
            FreeSpaceFloor::Bytes(0),
        );
        let opened = Footage::open(
            options,
            clock.clone(),
            store.clone(),
            &supervisor,
            &board,
            &mut registry,
        );
        let (footage, clips, _disk) = opened.await.unwrap();
        let (feed, writer) = Feed::new(camera(), RingOptions::default());
        footage.attach(feed);
        let site = Site {
            folder,
            clock,
            supervisor,
            board,
            registry,
            store,
            footage,
            clips: Some(clips),
            feed: writer,
            started: Instant::now(),
            settled: Vec::new(),
        };
        time::passes(&site.store, PASSES_PER_REQUEST).await;
        site
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("footage")
    }

    /// Lets `camera` go on to `instant`.
    pub(super) async fn play(&mut self, camera: &mut Camera, instant: Instant) {
        while let Some(at) = camera.next_at().filter(|at| *at <= instant) {
            time::to(at).await;
            camera.feed(at, &mut self.feed);
            time::passes(&self.store, PASSES_PER_BATCH).await;
            self.collect();
        }
        time::to(instant).await;
        time::passes(&self.store, PASSES_PER_BATCH).await;
        self.collect();
    }

    /// Someone swipes now: the clip's window, and what its record will be.
    pub(super) async fn swipe(&mut self, n: usize) -> ClipRequest {
        let now = Instant::now();
        let length = ClipLength::DEFAULT;
        let request = ClipRequest {
            entry: entry(n),
            camera: camera(),
            from: now.checked_sub(length.pre_roll).unwrap(),
            to: now + length.post_roll,
            window: length.around(self.clock.now()),
        };
        self.footage.request(request.clone()).unwrap();
        time::passes(&self.store, PASSES_PER_REQUEST).await;
        request
    }

    /// The settled clip of `request`, as its entry has it.
    pub(super) async fn record(&mut self, request: &ClipRequest) -> ClipRecord {
        time::passes(&self.store, PASSES_PER_REQUEST).await;
        self.collect();
        let settled = self.settled.iter().find(|s| s.entry == request.entry);
        let outcome = settled.expect("the clip is settled by now").outcome.clone();
        let mut record = ClipRecord::pending(request.camera.clone(), request.window);
        record.settle(outcome, self.clock.now());
        record
    }

    /// What a player shows of an exported clip.
    pub(super) fn played(&self, record: &ClipRecord) -> Played {
        let exported = clip::export(&self.root(), record).unwrap();
        let path = self.folder.path().join("clip.mp4");
        fs::write(&path, &exported.file).unwrap();
        played(&path)
    }

    pub(super) fn rows(&self) -> Vec<(FootageName, FootageRecord)> {
        let rows = self.store.scan(tables::FOOTAGE, &());
        rows.map(Result::unwrap).collect()
    }

    /// Ends everything in order; the folder stays.
    pub(super) async fn close(self) -> TempDir {
        self.footage.close().await;
        self.store.close().await;
        let within = Duration::from_secs(10);
        self.supervisor.shutdown(within).await.unwrap();
        self.folder
    }

    fn collect(&mut self) {
        let Some(clips) = &mut self.clips else { return };
        while let Ok(settled) = clips.try_recv() {
            self.settled.push(settled);
        }
    }
}
