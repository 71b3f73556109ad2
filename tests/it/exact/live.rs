//! A few of the same cases in real time, over RTSP: simulated cameras, sessions, ring, footage, export.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use stairgate::camera::{CameraOptions, Cameras, CamerasOptions, Codec, Transport};
use stairgate::clip;
use stairgate::domain::clip::{ClipLength, ClipRecord, ClipState};
use stairgate::domain::id::CameraId;
use stairgate::domain::place::Place;
use stairgate::footage::{ClipRequest, Footage, FootageOptions, FreeSpaceFloor};
use stairgate::mux::RtpMedia;
use stairgate::sim::cameras::{CameraFault, SimCameras, SimCamerasOptions};
use stairgate::sim::media::Film;
use stairgate::store::{Store, StoreOptions};
use stairgate::supervise::{Supervisor, blocking};
use stairgate::telemetry::{HealthBoard, Registry};
use stairgate::time::{Clock, MediaTime};
use tokio::time::Instant;

use super::film::films;
use super::site::{entry, folder};
use crate::frame_number::{Played, played};
use crate::harness::eventually;

struct Case {
    codec: Codec,
    fps: i64,
    gop_frames: u32,
    fault: Option<CameraFault>,
}

const CASES: [Case; 6] = [
    Case {
        codec: Codec::H264,
        fps: 8,
        gop_frames: 4,
        fault: None,
    },
    Case {
        codec: Codec::H265,
        fps: 15,
        gop_frames: 15,
        fault: Some(CameraFault::Jitter { ms_max: 60 }),
    },
    Case {
        codec: Codec::H264,
        fps: 30,
        gop_frames: 60,
        fault: Some(CameraFault::ClockPpm { ppm: 50 }),
    },
    Case {
        codec: Codec::H265,
        fps: 20,
        gop_frames: 100,
        fault: None,
    },
    Case {
        codec: Codec::H264,
        fps: 12,
        gop_frames: 120,
        fault: Some(CameraFault::Burst { period_ms: 330 }),
    },
    Case {
        codec: Codec::H265,
        fps: 25,
        gop_frames: 250,
        fault: None,
    },
];
/// Seconds of each film before it repeats.
const FILM_S: i64 = 90;
/// A GOP of 10 s, the pre-roll and a late swipe.
const WARM_WITHIN: Duration = Duration::from_secs(60);
/// The rest of the window, and a slow machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);

/// The case's film at its own rate.
fn film(case: &Case) -> Arc<Film> {
    let n_frames = u32::try_from(case.fps * FILM_S).unwrap();
    let mut media: RtpMedia = films(case.codec, n_frames, &[case.gop_frames])[0]
        .media
        .clone();
    let ticks = MediaTime::HZ / case.fps;
    for (idx, frame) in (0..).zip(&mut media.frames) {
        frame.at = MediaTime(idx * ticks);
    }
    media.duration_ticks = i64::from(n_frames) * ticks;
    Film::new(media).unwrap()
}

fn camera_id(idx: usize) -> CameraId {
    CameraId::new(&format!("cam-{idx}")).unwrap()
}

/// The clip begins with the picture on screen 10 s before the swipe or the one before it, shows each
/// picture once, and lasts 30 s.
fn assert_exact(idx: usize, sim: &SimCameras, request: &ClipRequest, played: &Played) {
    let n = u32::try_from(CASES[idx].fps * FILM_S).unwrap();
    let (_, due) = sim.frame_at(idx, request.from).unwrap();
    let due = u32::try_from(due).unwrap();
    let numbers: Vec<u32> = played.frames.iter().map(|f| f.number.unwrap()).collect();
    let early = (due + n - numbers[0]) % n;
    assert!(
        early <= 1,
        "camera {idx} begins with {}, due was {due}",
        numbers[0]
    );
    for pair in numbers.windows(2) {
        assert_eq!(pair[1], (pair[0] + 1) % n, "camera {idx}");
    }
    let n_due = CASES[idx].fps * 30;
    let n_shown = i64::try_from(numbers.len()).unwrap();
    assert!(
        (n_due - 1..=n_due + 1).contains(&n_shown),
        "camera {idx}: {n_shown}"
    );
    let frame_s = 1.0 / CASES[idx].fps as f64;
    assert!(
        (played.duration_s - 30.0).abs() <= frame_s,
        "{}",
        played.duration_s
    );
}

/// Simulated cameras with their faults, and their films.
async fn simulated(clock: &Clock, supervisor: &Supervisor) -> SimCameras {
    let films: Vec<Arc<Film>> = blocking("draw", || CASES.iter().map(film).collect())
        .await
        .unwrap();
    let options = SimCamerasOptions {
        n_cameras: CASES.len(),
        ..SimCamerasOptions::default()
    };
    let sim = SimCameras::start(options, films, clock.clone(), supervisor)
        .await
        .unwrap();
    for (idx, case) in CASES.iter().enumerate() {
        if let Some(fault) = case.fault {
            sim.set_fault(idx, fault).unwrap();
        }
    }
    sim
}

/// The readers of all cameras, once each has a whole pre-roll.
async fn warm(sim: &SimCameras, site: &mut Parts) -> Cameras {
    let cameras = (0..CASES.len()).map(|idx| CameraOptions {
        id: camera_id(idx),
        place: Place::Compound,
        url: sim.url(idx),
        sub_url: None,
        transport: Transport::Tcp,
        username: None,
        password: None,
    });
    let (cameras, _events) = Cameras::start(
        CamerasOptions::default(),
        cameras.collect(),
        site.clock.clone(),
        &site.supervisor,
        &site.board,
        &mut site.registry,
    );
    let feeds = cameras.feeds().into_iter();
    feeds.for_each(|feed| site.footage.attach(feed));
    let is_warm = || {
        let spans = cameras.feeds().into_iter().map(|feed| feed.status().ring_s);
        spans.fold(f64::MAX, f64::min) >= 12.0
    };
    eventually("a pre-roll of each camera", WARM_WITHIN, is_warm).await;
    cameras
}

struct Parts {
    clock: Clock,
    supervisor: Supervisor,
    board: HealthBoard,
    registry: Registry,
    footage: Footage,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clips_of_cameras_over_rtsp_are_exact_whatever_their_gop_rate_and_codec() {
    let (clock, supervisor) = (Clock::system(), Supervisor::new());
    let sim = simulated(&clock, &supervisor).await;
    let folder = folder();
    let board = HealthBoard::new(clock.clone());
    let mut registry = stairgate::telemetry::registry();
    let path = folder.path().join("store");
    let store = Store::open(&StoreOptions { path }, &supervisor, &mut registry).unwrap();
    let root = folder.path().join("footage");
    let month = Duration::from_secs(30 * 86_400);
    let options = FootageOptions::new(root.clone(), month, FreeSpaceFloor::Bytes(0));
    let opened = Footage::open(
        options,
        clock.clone(),
        store,
        &supervisor,
        &board,
        &mut registry,
    );
    let (footage, mut settled, _events) = opened.await.unwrap();
    let mut site = Parts {
        clock: clock.clone(),
        supervisor,
        board,
        registry,
        footage: footage.clone(),
    };
    let cameras = warm(&sim, &mut site).await;

    let now = Instant::now();
    let length = ClipLength::DEFAULT;
    let requests = (0..CASES.len()).map(|idx| ClipRequest {
        entry: entry(idx),
        camera: camera_id(idx),
        from: now.checked_sub(length.pre_roll).unwrap(),
        to: now + length.post_roll,
        window: length.around(clock.now()),
    });
    let requests: Vec<ClipRequest> = requests.collect();
    for request in &requests {
        footage.request(request.clone()).unwrap();
    }
    for _ in &requests {
        let clip = tokio::time::timeout(SETTLED_WITHIN, settled.recv()).await;
        let clip = clip.unwrap().unwrap();
        let idx = requests.iter().position(|r| r.entry == clip.entry).unwrap();
        let mut record = ClipRecord::pending(clip.camera, requests[idx].window);
        record.settle(clip.outcome, clock.now());
        assert_eq!(record.state, ClipState::Whole, "camera {idx}: {record:?}");
        let exported = clip::export(&root, &record).unwrap();
        let path = folder.path().join("clip.mp4");
        fs::write(&path, exported.file).unwrap();
        assert_exact(idx, &sim, &requests[idx], &played(&path));
    }
    footage.close().await;
    cameras.stop().await;
}
