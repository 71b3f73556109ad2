//! Footage on a real disk, with real video: kept, found again, recovered, and never taken for lost.

mod site;

use std::fs;
use std::path::Path;
use std::time::Duration;

use stairgate::clip;
use stairgate::domain::access::{Decision, Outcome, Reason};
use stairgate::domain::alert::{Delivery, DeliveryState};
use stairgate::domain::clip::{ClipOutcome, ClipRecord, ClipState, GapReason, MissedReason};
use stairgate::domain::entry::Entry;
use stairgate::domain::footage::FootageState;
use stairgate::domain::id::{AlertId, CameraId, DoorId, EntryId, LinkageId};
use stairgate::domain::place::Place;
use stairgate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
use stairgate::footage::{FreeSpaceFloor, RequestError};
use stairgate::store::tables;
use stairgate::telemetry::State;
use stairgate::time::WallTime;
use tokio::time::Instant;

use crate::frame_number::{shown_frames, shown_numbers};

use self::site::{FRAME_NS, SOON, Site, camera, entry, whole};

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
        let past = site.footage.settle_past(&camera(), window).await.unwrap();
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
async fn a_live_clip_settles_at_the_first_frame_after_its_end() {
    let mut site = Site::new().await;
    // Its window ends in a minute, so that whatever settles it before is no time-out.
    site.zero = Instant::now() + Duration::from_secs(60) - Duration::from_nanos(540 * FRAME_NS);
    site.frames("video/numbered-h264.mp4", 0, 540);
    site.footage.request(site.request(1, 490, 540)).unwrap();
    // An earlier window of the same camera is settled meanwhile, and this one is not.
    site.footage.request(site.request(2, 400, 500)).unwrap();
    assert_eq!(site.settled().await.entry, entry(2));
    site.clips.try_recv().unwrap_err();
    site.frames("video/numbered-h264.mp4", 540, 542);
    let settled = site.settled().await;
    assert_eq!(settled.entry, entry(1));
    assert_eq!(whole(&settled.outcome).len(), 1);
    assert!(Instant::now() < settled.window_end);
}

#[tokio::test]
async fn clips_beyond_the_bound_of_a_camera_are_refused() {
    let site = Site::new().await;
    let mut request = site.request(0, 1_600, 2_000);
    for n in 0..1_024_u32 {
        request.entry = EntryId::derive(&[&n.to_be_bytes()]);
        site.footage.request(request.clone()).unwrap();
    }
    request.entry = EntryId::derive(&[b"one more"]);
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

/// The numbers of the frames that a person can see: one that a later part needs for decoding only stands
/// for a tick.
fn seen_numbers(path: &Path) -> Vec<u32> {
    let shown = shown_frames(path);
    let until = shown.iter().skip(1).map(|next| next.at_s);
    let stands = shown.iter().zip(until.chain([f64::INFINITY]));
    let seen = stands.filter(|(frame, until)| until - frame.at_s > 0.001);
    seen.map(|(frame, _)| frame.number.unwrap()).collect()
}

#[tokio::test]
async fn a_gop_that_was_torn_by_a_window_and_lies_whole_in_the_next_file_is_shown_once() {
    let (folder, floor) = (tempfile::tempdir().unwrap(), FreeSpaceFloor::Bytes(0));
    let mut site = Site::with_linger(folder, floor, Some(Duration::ZERO)).await;
    site.frames("video/numbered-h264-small.mp4", 0, 145);
    site.footage.request(site.request(1, 20, 140)).unwrap();
    let first = whole(&site.settled().await.outcome)[0].file.clone();
    eventually("the first file is closed", || {
        site.rows()[0].1.state == FootageState::Closed
    })
    .await;
    site.frames("video/numbered-h264-small.mp4", 145, 400);
    for (n, from) in [(2, 20), (3, 142)] {
        let request = site.request(n, u64::from(from), 300);
        let window = request.window;
        site.footage.request(request).unwrap();
        let settled = site.settled().await.outcome;
        let past = site.footage.settle_past(&camera(), window).await.unwrap();
        for outcome in [settled, past] {
            assert!(whole(&outcome).iter().any(|span| span.file != first));
            let mut record = ClipRecord::pending(camera(), window);
            record.settle(outcome, site.clock.now());
            let exported = clip::export(&site.root(), &record).unwrap();
            let out = site.folder.path().join("clip.mp4");
            fs::write(&out, &exported.file).unwrap();
            assert_eq!(
                seen_numbers(&out),
                (20_000 + from..20_300).collect::<Vec<u32>>()
            );
        }
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
    site.disk_is(|report| report.is_away).await;
    site.frames("video/numbered-h264-small.mp4", 0, 400);
    site.footage.request(site.request(2, 20, 280)).unwrap();
    let settled = site.settled().await;
    let expected = ClipOutcome::Missed(MissedReason::DiskAway);
    assert_eq!(settled.outcome, expected);
    let window = site.request(1, 20, 280).window;
    assert_eq!(site.footage.settle_past(&camera(), window).await, None);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    assert_eq!(site.rows().len(), 1);

    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    site.disk_is(|report| !report.is_away).await;
    site.footage.request(site.request(3, 20, 280)).unwrap();
    let settled = site.settled().await;
    assert_ne!(whole(&settled.outcome)[0].file, name);
}

fn entry_of(n: u8, record: ClipRecord) -> Entry {
    Entry {
        id: entry(n),
        door: DoorId::new("b03-u2-door").unwrap(),
        place: Place::new("b03-u2").unwrap(),
        key: SwipeKey {
            boot: "5f3a".to_owned(),
            seq: u64::from(n),
        },
        at: record.window.from,
        received_at: record.window.from,
        controller_at: None,
        card: None,
        dwelling: None,
        holder: None,
        direction: Direction::In,
        method: Method::Card,
        controller_result: ControllerResult::Granted,
        decision: Decision {
            outcome: Outcome::Granted,
            reason: Reason::Ok,
            duress: false,
        },
        clips: vec![record],
        alerts: Vec::new(),
    }
}

/// An alert of entry `n` that stands with its one receiver as `state` says.
fn delivery_of(n: u8, state: DeliveryState, at: WallTime) -> Delivery {
    Delivery {
        alert: AlertId::from_bytes([n; 16]),
        linkage: LinkageId::new("duty-room").unwrap(),
        state,
        raised_at: at,
        seq: 0,
        lane: String::new(),
        severity: 2,
        waiting_since: at,
        revision: 1,
        delivered_revision: 0,
        not_before: at,
        next_revision_at: None,
        n_failed: 0,
        n_attempts: 0,
        last_error: None,
        delivered_at: None,
        receipt: None,
    }
}

#[tokio::test]
async fn below_the_floor_only_what_no_alert_waits_for_is_deleted() {
    let mut site = Site::new().await;
    site.frames("video/numbered-h264.mp4", 0, 1_400);
    let mut files = Vec::new();
    for (n, from) in [(1u8, 20), (2, 520), (3, 1_020)] {
        let request = site.request(n, from, from + 100);
        let mut record = ClipRecord::pending(camera(), request.window);
        site.footage.request(request).unwrap();
        let settled = site.settled().await;
        record.settle(settled.outcome, site.clock.now());
        files.push(record.spans[0].file.clone());
        let now = site.clock.now();
        let state = if n == 1 {
            DeliveryState::Waiting
        } else {
            DeliveryState::Delivered
        };
        let (entry, delivery) = (entry_of(n, record), delivery_of(n, state, now));
        // The third file is shown by nobody.
        let write = site.store.write(move |txn| {
            if n == 3 {
                return Ok(());
            }
            let key = (entry.clips[0].spans[0].file.clone(), entry.id);
            txn.put(tables::FOOTAGE_USES, &key, &())?;
            txn.put(tables::SEEN, &entry.id, &entry.received_at)?;
            txn.put_entry(&entry)?;
            txn.put(tables::ALERTS_BY_ENTRY, &(entry.id, delivery.alert), &())?;
            let key = (delivery.alert, delivery.linkage.clone());
            txn.put(tables::DELIVERIES, &key, &delivery)
        });
        write.await.unwrap();
    }
    let root = site.root();
    let there = move |idx: usize| root.join(files[idx].as_str()).exists();
    let folder = site.close().await;
    assert!((0..3).all(&there), "footage just written is never deleted");

    let mut site = Site::open(folder, FreeSpaceFloor::Bytes(u64::MAX / 4)).await;
    let report = site.disk_is(|report| report.n_early_files > 0).await;
    assert_eq!((report.is_low, report.n_early_files), (Some(true), 2));
    assert!(report.early_bytes > 0);
    assert_eq!([there(0), there(1), there(2)], [true, false, false]);
    assert_eq!(site.rows().len(), 1);
    let clip_of = |n| {
        let entry = site.store.entry(&entry(n)).unwrap();
        entry.unwrap().clips[0].clone()
    };
    assert_eq!(clip_of(1).state, ClipState::Whole);
    assert_eq!(clip_of(2).reason, Some(MissedReason::Deleted));
    assert!(clip_of(2).spans.is_empty());
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
