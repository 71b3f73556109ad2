//! Footage on a real disk, with real video: kept, found again, recovered, and never taken for lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stairgate::camera::{Feed, FeedWriter, Frame, RingOptions, Run};
use stairgate::clip;
use stairgate::domain::clip::{
    ClipOutcome, ClipRecord, ClipWindow, FootageName, GapReason, MissedReason, Span,
};
use stairgate::domain::footage::{FootageRecord, FootageState};
use stairgate::domain::id::{CameraId, EntryId};
use stairgate::footage::{
    ClipRequest, ClipSettled, Footage, FootageEvent, FootageOptions, FreeSpaceFloor, RequestError,
};
use stairgate::store::{Store, StoreOptions, tables};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{HealthBoard, Registry, State};
use stairgate::time::Clock;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::frame_number::{shown_frames, shown_numbers};
use crate::numbered::numbered;

const FRAME_NS: u64 = 40_000_000;
/// Longest wait for anything that should happen at once.
const SOON: Duration = Duration::from_secs(20);

fn camera() -> CameraId {
    CameraId::new("b03-u2-in").unwrap()
}

fn entry(n: u8) -> EntryId {
    EntryId::from_bytes([n; 16])
}

/// A footage folder, its store, and one camera that a test feeds.
struct Site {
    folder: TempDir,
    clock: Clock,
    board: HealthBoard,
    supervisor: Supervisor,
    store: Store,
    footage: Footage,
    clips: Receiver<ClipSettled>,
    events: Receiver<FootageEvent>,
    feed: FeedWriter,
    run: Arc<Run>,
    /// When frame 0 of the fixture was taken.
    zero: Instant,
}

impl Site {
    async fn new() -> Site {
        Site::open(tempfile::tempdir().unwrap(), FreeSpaceFloor::Bytes(0)).await
    }

    async fn open(folder: TempDir, floor: FreeSpaceFloor) -> Site {
        let clock = Clock::system();
        let board = HealthBoard::new(clock.clone());
        let supervisor = Supervisor::new();
        let mut registry = stairgate::telemetry::registry();
        let options = StoreOptions {
            path: folder.path().join("store"),
        };
        let store = open_store(&options, &supervisor, &mut registry).await;
        let month = Duration::from_secs(30 * 86_400);
        let options = FootageOptions::new(folder.path().join("footage"), month, floor);
        let (footage, clips, events) = Footage::open(
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
            events,
            feed: writer,
            run: Run::new(camera(), zero),
            zero,
        }
    }

    /// Opens `folder` again as if the gateway had died while `name` was open.
    async fn reopened_with_open_row(folder: TempDir, name: &FootageName) -> Site {
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

    fn root(&self) -> PathBuf {
        self.folder.path().join("footage")
    }

    fn path(&self, name: &FootageName) -> PathBuf {
        self.root().join(name.as_str())
    }

    /// Frames `first..last` of a fixture arrive, each at its own time.
    fn frames(&mut self, fixture: &str, first: usize, last: usize) {
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
    fn request(&self, n: u8, from: u64, to: u64) -> ClipRequest {
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

    async fn settled(&mut self) -> ClipSettled {
        let settled = tokio::time::timeout(SOON, self.clips.recv()).await;
        settled.expect("the clip is settled in time").unwrap()
    }

    async fn event(&mut self) -> FootageEvent {
        let event = tokio::time::timeout(SOON, self.events.recv()).await;
        event.expect("the event comes in time").unwrap()
    }

    fn rows(&self) -> Vec<(FootageName, FootageRecord)> {
        let rows = self.store.scan(tables::FOOTAGE, &());
        rows.map(Result::unwrap).collect()
    }

    /// Ends everything in order; the folder stays.
    async fn close(self) -> TempDir {
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
async fn open_store(
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

fn whole(outcome: &ClipOutcome) -> &[Span] {
    match outcome {
        ClipOutcome::Whole(spans) => spans,
        ClipOutcome::Partial { .. } | ClipOutcome::Missed(_) => panic!("{outcome:?}"),
    }
}

fn side(path: &Path) -> serde_json::Value {
    let json = fs::read(path.with_extension("json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "{what} within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_clip_is_exactly_its_window_and_its_file_plays() {
    for name in ["video/numbered-h264.mp4", "video/numbered-h265.mp4"] {
        let mut site = Site::new().await;
        site.frames(name, 0, 1_000);
        let request = site.request(1, 120, 870);
        let window = request.window;
        site.footage.request(request).unwrap();
        let settled = site.settled().await;
        let spans = whole(&settled.outcome).to_vec();
        assert_eq!(spans.len(), 1);
        let rows = site.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, spans[0].file);
        assert!(rows[0].1.bytes > 0);
        let path = site.path(&spans[0].file);
        assert_eq!(rows[0].1.bytes, fs::metadata(&path).unwrap().len());
        let shown = shown_numbers(&path);
        // From the key frame before the window to the end of the GOP in which it ends.
        assert_eq!(shown, (100..900).collect::<Vec<u32>>());

        let mut record = ClipRecord::pending(camera(), window);
        record.settle(settled.outcome.clone(), site.clock.now());
        let exported = clip::export(&site.root(), &record).unwrap();
        let out = site.folder.path().join("clip.mp4");
        fs::write(&out, &exported.file).unwrap();
        assert_eq!(shown_numbers(&out), (120..870).collect::<Vec<u32>>());

        // The same window again, from the files alone.
        let past = site.footage.settle_past(&camera(), window).await;
        let past = whole(&past);
        assert_eq!((past[0].from, past[0].to), (spans[0].from, spans[0].to));

        let root = site.root();
        let folder = site.close().await;
        let side = side(&root.join(spans[0].file.as_str()));
        assert_eq!(side["gops"].as_array().unwrap().len(), 16);
        drop(folder);
    }
}

#[tokio::test]
async fn a_live_clip_settles_within_a_second_of_its_end() {
    let mut site = Site::new().await;
    site.zero = Instant::now() - Duration::from_nanos(500 * FRAME_NS);
    site.frames("video/numbered-h264.mp4", 0, 500);
    let request = site.request(1, 490, 540);
    let end = request.to;
    site.footage.request(request).unwrap();
    for idx in 500..560 {
        tokio::time::sleep_until(site.zero + Duration::from_nanos(idx * FRAME_NS)).await;
        let idx = usize::try_from(idx).unwrap();
        site.frames("video/numbered-h264.mp4", idx, idx + 1);
    }
    let settled = site.settled().await;
    assert_eq!(whole(&settled.outcome).len(), 1);
    assert!(Instant::now() - end < Duration::from_secs(2));
}

#[tokio::test]
async fn the_seventeenth_clip_of_a_camera_is_refused() {
    let site = Site::new().await;
    let mut request = site.request(0, 1_600, 2_000);
    for n in 0..16 {
        request.entry = entry(n);
        site.footage.request(request.clone()).unwrap();
    }
    request.entry = entry(16);
    let refused = site.footage.request(request.clone()).unwrap_err();
    assert_eq!(refused, RequestError::Overload);
    assert_eq!(refused.reason(), MissedReason::Overload);
    request.camera = CameraId::new("no-such").unwrap();
    let refused = site.footage.request(request).unwrap_err();
    assert_eq!(refused, RequestError::UnknownCamera);
}

#[tokio::test]
async fn closing_settles_open_clips_and_finishes_their_files() {
    let mut site = Site::new().await;
    site.zero = Instant::now() - Duration::from_nanos(500 * FRAME_NS);
    site.frames("video/numbered-h264.mp4", 0, 500);
    site.footage.request(site.request(1, 250, 1_000)).unwrap();
    eventually("footage is written", || !site.rows().is_empty()).await;
    site.footage.close().await;
    let settled = site.settled().await;
    let ClipOutcome::Partial { spans, gaps } = &settled.outcome else {
        panic!("{:?}", settled.outcome);
    };
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::GatewayDown);
    let rows = site.rows();
    assert_eq!(rows[0].0, spans[0].file);
    assert_eq!(rows[0].1.state, FootageState::Closed);
    assert!(site.path(&spans[0].file).with_extension("json").exists());
}

/// Ends of the boxes on the top level of a file, in bytes.
fn borders(bytes: &[u8]) -> Vec<(String, usize)> {
    let mut at = 0;
    let mut borders = Vec::new();
    while at < bytes.len() {
        let n = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let kind = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
        at += usize::try_from(n).unwrap();
        borders.push((kind, at));
    }
    borders
}

#[tokio::test]
async fn an_open_file_cut_anywhere_is_finished_at_start_and_plays() {
    let mut site = Site::new().await;
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(1, 20, 140)).unwrap();
    let settled = site.settled().await;
    let name = whole(&settled.outcome)[0].file.clone();
    let mut folder = site.close().await;
    let path = folder.path().join("footage").join(name.as_str());
    let bytes = fs::read(&path).unwrap();
    let borders = borders(&bytes);
    let mut cuts: Vec<usize> = Vec::new();
    for (_, end) in &borders {
        cuts.extend([end - 1, *end, end + 1]);
    }
    cuts.retain(|cut| *cut <= bytes.len());
    for cut in cuts {
        // As a crash leaves it: an open row, a torn file, no side file.
        fs::write(&path, &bytes[..cut]).unwrap();
        fs::remove_file(path.with_extension("json")).unwrap_or_default();
        let site = Site::reopened_with_open_row(folder, &name).await;
        let n_whole = borders
            .iter()
            .filter(|(kind, end)| kind == "mdat" && *end <= cut)
            .count();
        let row = site.store.get(tables::FOOTAGE, &name).unwrap().unwrap();
        if n_whole == 0 {
            assert_eq!(row.state, FootageState::Open, "cut at {cut}");
        } else {
            assert_eq!(row.state, FootageState::Closed, "cut at {cut}");
            assert_eq!(row.n_gops as usize, n_whole, "cut at {cut}");
            assert_eq!(row.bytes, fs::metadata(&path).unwrap().len());
            let side = side(&path);
            assert_eq!(side["gops"].as_array().unwrap().len(), n_whole);
            // Torn within a fragment or at its border: each way once is enough for the decoder.
            if cut % 3 == 0 {
                assert_eq!(shown_frames(&path).len(), n_whole * 50);
            }
        }
        folder = site.close().await;
    }
}

#[tokio::test]
async fn unknown_footage_is_taken_in_and_other_files_are_left_alone() {
    let mut site = Site::new().await;
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(1, 20, 280)).unwrap();
    let settled = site.settled().await;
    let name = whole(&settled.outcome)[0].file.clone();
    let gone = name.clone();
    site.footage.close().await;
    site.store
        .write(move |txn| {
            txn.delete(tables::FOOTAGE, &gone);
            Ok(())
        })
        .await
        .unwrap();
    let stray = site.path(&name).with_file_name("holiday.avi");
    fs::write(&stray, b"not ours").unwrap();
    let folder = site.close().await;
    let site = Site::open(folder, FreeSpaceFloor::Bytes(0)).await;
    eventually("the file is known", || !site.rows().is_empty()).await;
    let rows = site.rows();
    assert_eq!(rows[0].0, name);
    assert_eq!(rows[0].1.state, FootageState::Closed);
    assert!(stray.exists());
    let report = site.footage.scan().await.unwrap();
    assert_eq!((report.n_unknown, report.n_missing), (1, 0));
    fs::remove_file(site.path(&name)).unwrap();
    let report = site.footage.scan().await.unwrap();
    assert_eq!(report.n_missing, 1);
    assert_eq!(site.rows().len(), 1, "a missing file is not forgotten");
}

#[tokio::test]
async fn without_its_disk_nothing_is_written_or_forgotten_and_it_comes_back() {
    let mut site = Site::new().await;
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(1, 20, 280)).unwrap();
    let name = whole(&site.settled().await.outcome)[0].file.clone();
    let root = site.root();
    let folder = site.close().await;
    let away = folder.path().join("away");
    fs::rename(&root, &away).unwrap();
    fs::create_dir(&root).unwrap();

    let mut site = Site::open(folder, FreeSpaceFloor::Bytes(0)).await;
    let health = site.board.snapshot()["footage"].clone();
    assert_eq!(health.state, State::Failed);
    assert!(health.reason.contains("mounted"), "{}", health.reason);
    assert_eq!(site.event().await, FootageEvent::DiskGone);
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(2, 20, 280)).unwrap();
    let settled = site.settled().await;
    let expected = ClipOutcome::Missed(MissedReason::DiskFull);
    assert_eq!(settled.outcome, expected);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    assert_eq!(site.rows().len(), 1);

    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert_eq!(site.event().await, FootageEvent::DiskBack);
    site.footage.request(site.request(3, 20, 280)).unwrap();
    let settled = site.settled().await;
    assert_ne!(whole(&settled.outcome)[0].file, name);
}

#[tokio::test]
async fn below_the_floor_only_what_no_alert_waits_for_is_deleted() {
    let mut site = Site::new().await;
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(1, 20, 280)).unwrap();
    let name = whole(&site.settled().await.outcome)[0].file.clone();
    let path = site.path(&name);
    let folder = site.close().await;
    assert!(path.exists(), "footage just written is never deleted");

    let mut site = Site::open(folder, FreeSpaceFloor::Bytes(u64::MAX / 4)).await;
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(FootageEvent::EarlyDeletion { .. })) {
        seen.push(site.event().await);
    }
    assert!(matches!(seen[0], FootageEvent::DiskLow { .. }), "{seen:?}");
    assert!(site.rows().is_empty());
    assert!(!path.exists() && !path.with_extension("json").exists());
    let held = || site.board.snapshot()["footage"].state == State::Failed;
    eventually("health says that the disk is full", held).await;
}

#[tokio::test]
async fn a_window_torn_by_a_restart_shows_what_was_kept_before_and_after() {
    let mut site = Site::new().await;
    site.zero = Instant::now() - Duration::from_nanos(600 * FRAME_NS);
    let (zero, clock) = (site.zero, site.clock.clone());
    let request = site.request(1, 260, 900);
    site.frames("video/numbered-h264.mp4", 0, 500);
    site.footage.request(request.clone()).unwrap();
    eventually("footage is written", || !site.rows().is_empty()).await;
    let folder = site.close().await;

    let mut site = Site::open(folder, FreeSpaceFloor::Bytes(0)).await;
    site.zero = zero;
    site.frames("video/numbered-h264.mp4", 650, 750);
    site.footage.request(request.clone()).unwrap();
    eventually("footage is written", || site.rows().len() == 2).await;
    site.footage.close().await;
    let settled = site.settled().await;
    let ClipOutcome::Partial { spans, gaps } = &settled.outcome else {
        panic!("{:?}", settled.outcome);
    };
    assert_eq!(spans.len(), 2, "{:?}", settled.outcome);
    assert!(gaps.iter().any(|gap| gap.reason == GapReason::GatewayDown));
    assert!(gaps.windows(2).all(|pair| pair[0].to <= pair[1].from));
    let mut record = ClipRecord::pending(camera(), request.window);
    record.settle(settled.outcome.clone(), clock.now());
    let exported = clip::export(&site.root(), &record).unwrap();
    let out = site.folder.path().join("clip.mp4");
    fs::write(&out, &exported.file).unwrap();
    let expected: Vec<u32> = (260..500).chain(650..750).collect();
    assert_eq!(shown_numbers(&out), expected);
}
