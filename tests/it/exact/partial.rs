//! Where a part of a window was never taken, the clip says which part, and what is there is exact.

use std::time::Duration;

use stairgate::camera::Codec;
use stairgate::domain::clip::{ClipState, Gap, GapReason};
use stairgate::footage::ClipRequest;
use stairgate::time::WallTime;
use tokio::time::Instant;

use super::camera::{Camera, MS, Plan, Rate, S, Taken, Way, at};
use super::film::{Film, films};
use super::site::{Site, camera};
use super::time::{simulate, to};

/// 25 pictures a second, a key frame every 2 s.
const FPS: i64 = 25;
const FRAME_NS: i64 = S / FPS;
const GOP: u32 = 50;

struct Case {
    name: &'static str,
    /// From the start of the gateway.
    camera_starts_ms: i64,
    sessions: &'static [(i64, i64)],
    /// From the start of the camera.
    swipe_ms: i64,
    /// Stretches without a picture, from the window's first moment, and why.
    gaps_ms: &'static [(i64, i64, GapReason)],
}

const CASES: [Case; 6] = [
    Case {
        name: "in the first seconds of a session",
        camera_starts_ms: 60_000,
        sessions: &[(0, 80 * S)],
        swipe_ms: 4_010,
        gaps_ms: &[(0, 5_990, GapReason::CameraDown)],
    },
    Case {
        name: "in the first seconds of the gateway",
        camera_starts_ms: 500,
        sessions: &[(0, 80 * S)],
        swipe_ms: 4_010,
        // The gateway's own start, then the camera's.
        gaps_ms: &[
            (0, 5_490, GapReason::GatewayDown),
            (5_490, 5_990, GapReason::CameraDown),
        ],
    },
    Case {
        name: "before the first picture of a session",
        camera_starts_ms: 60_000,
        // The second session begins with the key frame at 30 s.
        sessions: &[(0, 20 * S), (29 * S, 80 * S)],
        swipe_ms: 28_010,
        gaps_ms: &[(1_990, 11_990, GapReason::CameraDown)],
    },
    Case {
        name: "at a reconnect after the swipe",
        camera_starts_ms: 60_000,
        sessions: &[(0, 31 * S), (33 * S, 80 * S)],
        swipe_ms: 25_010,
        gaps_ms: &[(15_990, 18_990, GapReason::CameraDown)],
    },
    Case {
        name: "over two reconnects",
        camera_starts_ms: 60_000,
        sessions: &[(0, 21 * S), (25 * S, 35 * S), (39 * S, 80 * S)],
        swipe_ms: 30_010,
        gaps_ms: &[
            (990, 5_990, GapReason::CameraDown),
            (14_990, 19_990, GapReason::CameraDown),
        ],
    },
    Case {
        name: "before a camera goes for good",
        camera_starts_ms: 60_000,
        sessions: &[(0, 35 * S)],
        swipe_ms: 25_010,
        gaps_ms: &[(19_990, 30_000, GapReason::CameraDown)],
    },
];

/// Every way of arriving gives the same truth.
const WAYS: [Way; 3] = [
    Way::drained(100),
    Way {
        is_loose: true,
        ..Way::drained(400)
    },
    Way {
        jitter_ms: 200,
        ..Way::drained(100)
    },
];

/// The gaps are those of the case; each border within a frame, and a batch's time at the end of a
/// session that nothing follows.
fn assert_gaps(case: &Case, from: WallTime, gaps: &[Gap]) {
    let since_ms = |wall: WallTime| wall.ns_since(from) / MS;
    let told = gaps
        .iter()
        .map(|g| (since_ms(g.from), since_ms(g.to), g.reason));
    let told: Vec<_> = told.collect();
    let is_near = |a: i64, b: i64| (a - b).abs() <= FRAME_NS / MS + 1;
    let agree = told.len() == case.gaps_ms.len()
        && told
            .iter()
            .zip(case.gaps_ms)
            .all(|(told, due)| is_near(told.0, due.0) && is_near(told.1, due.1) && told.2 == due.2);
    assert!(agree, "{}: {told:?}, not {:?}", case.name, case.gaps_ms);
}

/// Pictures of the camera that the window shows, as it tells of itself.
fn due<'a>(camera: &'a Camera, request: &ClipRequest) -> Vec<&'a Taken> {
    let frame = Duration::from_nanos(FRAME_NS.unsigned_abs());
    let is_shown = |taken: &&Taken| taken.at + frame > request.from && taken.at < request.to;
    camera.taken.iter().filter(is_shown).collect()
}

async fn partial(film: &Film, case: &Case, way: Way) {
    let mut site = Site::new().await;
    let start = site.started + Duration::from_millis(case.camera_starts_ms.unsigned_abs());
    let plan = Plan {
        film,
        rate: Rate::Fixed(25),
        way,
        sessions: case.sessions,
        ppm: 0,
        seed: 7,
    };
    let mut camera = Camera::new(&camera(), start, &plan);
    site.play(&mut camera, at(start, case.swipe_ms * MS)).await;
    let request = site.swipe(0).await;
    site.play(&mut camera, request.to + Duration::from_secs(3))
        .await;
    to(Instant::now() + Duration::from_secs(10)).await;
    let record = site.record(&request).await;
    assert_eq!(record.state, ClipState::Partial, "{}", case.name);
    assert_gaps(case, request.window.from, &record.gaps);

    let played = site.played(&record);
    let numbers: Vec<u32> = played.frames.iter().filter_map(|f| f.number).collect();
    let due = due(&camera, &request);
    let due_numbers: Vec<u32> = due.iter().map(|t| t.number).collect();
    // Each end may be off by the one frame that the arrival of batches leaves open.
    let n = due_numbers.len();
    let skip = usize::from(numbers.first() == due_numbers.get(1));
    let more = usize::from(numbers.first() < due_numbers.first());
    let expected: Vec<u32> = due_numbers[skip..].to_vec();
    let shown = &numbers[more..];
    let n_common = shown.len().min(expected.len());
    assert_eq!(shown[..n_common], expected[..n_common], "{}", case.name);
    assert!(skip == 0, "{}: begins late", case.name);
    assert!(
        numbers.len().abs_diff(n) <= 1,
        "{}: {} {n}",
        case.name,
        numbers.len()
    );
    // Gaps pass in real time: a picture is shown as long after the first as it was taken after it.
    let first = due.iter().find(|t| t.number == shown[1]).unwrap();
    let first_s = played.frames[more + 1].at_s;
    for (frame, taken) in played.frames[more + 1..].iter().zip(&due[1..]) {
        let apart = (taken.at - first.at).as_secs_f64() - (frame.at_s - first_s);
        let allowed = 0.041;
        assert!(apart.abs() <= allowed, "{}: {frame:?} {apart}", case.name);
    }
    site.close().await;
}

#[test]
fn what_was_never_taken_is_a_gap_with_its_true_span_and_the_rest_is_exact() {
    for codec in [Codec::H264, Codec::H265] {
        let film = &films(codec, 25 * 80, &[GOP])[0];
        for (idx, case) in CASES.iter().enumerate() {
            let ways = WAYS.iter().enumerate();
            // Each case in each way, each once with either codec.
            let is_his = |n: usize| codec == Codec::H264 || n == idx % WAYS.len();
            for (_, way) in ways.filter(|(n, _)| is_his(*n)) {
                simulate(partial(film, case, *way));
            }
        }
    }
}
