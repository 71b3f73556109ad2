//! Every length of GOP, rate, codec and way of arriving: the clip begins 10 s before the swipe, to the
//! frame, and no frame is missing or repeated.

use std::collections::BTreeSet;
use std::time::Duration;

use stairgate::camera::Codec;
use stairgate::domain::clip::ClipState;
use stairgate::footage::ClipRequest;

use super::camera::{Camera, MS, Plan, Rate, S, Way, at};
use super::film::{Film, films};
use super::site::{Site, camera};
use super::time::simulate;
use crate::frame_number::Played;

/// Tenths of a second between two key frames.
const GOPS: [u32; 5] = [5, 10, 20, 50, 100];
const RATES: [Rate; 5] = [
    Rate::Fixed(8),
    Rate::Fixed(15),
    Rate::Fixed(25),
    Rate::Fixed(30),
    Rate::Variable,
];
const WAYS: [Way; 6] = [
    Way::drained(100),
    // As a reader that wakes seldom sees it, here in step with the frames.
    Way::drained(400),
    Way {
        jitter_ms: 300,
        is_loose: true,
        ..Way::drained(100)
    },
    Way {
        burst_ms: 1_000,
        ..Way::drained(100)
    },
    // Over the ends of both windows.
    Way {
        stall_ms: (41_000, 46_000),
        is_loose: true,
        ..Way::drained(100)
    },
    Way {
        jitter_ms: 150,
        burst_ms: 1_000,
        is_loose: true,
        ..Way::drained(400)
    },
];
const CLIP: Duration = Duration::from_secs(30);
/// By how much the clock map allows a camera to run slow in the 45 s of a test (100 ppm).
const DRIFT: Duration = Duration::from_millis(5);
/// When people swipe, from the camera's start: in no step with frames, batches or GOPs.
const SWIPES_MS: [i64; 2] = [22_217, 24_903];
/// How long a film must be: the last swipe's clip, and some more.
const FILM_S: u32 = 50;

/// Frames from key frame to key frame.
fn gop_frames(gop: u32, rate: Rate) -> u32 {
    let fps = match rate {
        Rate::Fixed(fps) => fps,
        // About its mean.
        Rate::Variable => 15,
    };
    (gop * fps).div_ceil(10)
}

fn films_of(codec: Codec) -> Vec<(u32, Film)> {
    let pairs = GOPS.into_iter();
    let pairs = pairs.flat_map(|gop| RATES.map(|rate| gop_frames(gop, rate)));
    let distinct: Vec<u32> = pairs.collect::<BTreeSet<u32>>().into_iter().collect();
    let films = films(codec, 30 * FILM_S, &distinct);
    distinct.into_iter().zip(films).collect()
}

/// `played` is the window of `request` as `camera` took it: begins with the picture that was on
/// screen then or the one before, never a later one; each picture once, in order, for its own time.
pub(super) fn assert_exact(case: &str, camera: &Camera, request: &ClipRequest, played: &Played) {
    let numbers: Vec<u32> = played.frames.iter().filter_map(|f| f.number).collect();
    assert_eq!(numbers.len(), played.frames.len(), "{case}: unreadable");
    let taken = &camera.taken;
    let begin = camera.on_screen(request.from);
    // What all pictures were late by cannot be told from a longer way; it is less than a frame unless
    // the way is very bad.
    let least = camera.least_delay(request.to);
    let known = request.from.checked_sub(least + DRIFT).unwrap();
    let first = taken.iter().position(|t| t.number == numbers[0]);
    let first = first.expect("a picture of this camera");
    assert!(
        first <= begin && first >= camera.on_screen(known),
        "{case}: begins with picture {first}, {begin} was on screen, least delay {least:?}"
    );
    let is_bad = least + DRIFT > taken[begin + 1].at - taken[begin].at;
    assert!(
        begin - first <= 1 || is_bad,
        "{case}: {first} {begin} {least:?}"
    );
    assert!(
        !is_bad || case.contains("burst_ms: 1000"),
        "{case}: least delay {least:?}"
    );
    let shown = &taken[first..first + numbers.len()];
    let expected: Vec<u32> = shown.iter().map(|t| t.number).collect();
    assert_eq!(numbers, expected, "{case}");
    let last = first + numbers.len() - 1;
    let end = camera.on_screen(request.to);
    assert!(
        last <= end && last >= camera.on_screen(known + CLIP) - 1,
        "{case}: {last} {end}"
    );
    assert!(
        (played.duration_s - 30.0).abs() < 2e-5,
        "{case}: shown for {} s",
        played.duration_s
    );
    // Each picture stands as long as it stood.
    let since = |idx: usize| (shown[idx].at - shown[1].at).as_secs_f64();
    for (idx, frame) in played.frames.iter().enumerate().skip(1) {
        let at_s = frame.at_s - played.frames[1].at_s;
        assert!((at_s - since(idx)).abs() < 5e-5, "{case}: {frame:?}");
    }
}

/// Plays `plan` and swipes; each clip must be whole and exact.
async fn whole_clips(case: &str, plan: Plan<'_>, swipes_ms: &[i64]) {
    let mut site = Site::new().await;
    let start = site.started + Duration::from_secs(60);
    let mut camera = Camera::new(&camera(), start, &plan);
    let mut requests = Vec::new();
    for (n, ms) in swipes_ms.iter().enumerate() {
        site.play(&mut camera, at(start, ms * MS)).await;
        requests.push(site.swipe(n).await);
    }
    let end = requests.last().unwrap().to + Duration::from_secs(4);
    site.play(&mut camera, end).await;
    for request in &requests {
        let record = site.record(request).await;
        assert_eq!(record.state, ClipState::Whole, "{case}: {record:?}");
        assert_exact(case, &camera, request, &site.played(&record));
    }
    site.close().await;
}

fn matrix(codec: Codec) {
    let films = films_of(codec);
    let film = |frames: u32| &films.iter().find(|(n, _)| *n == frames).unwrap().1;
    let shift = 3 * usize::from(codec == Codec::H265);
    for (gop_idx, gop) in GOPS.into_iter().enumerate() {
        for (rate_idx, rate) in RATES.into_iter().enumerate() {
            // Each way with each GOP, each rate and each codec.
            let way = WAYS[(gop_idx + rate_idx + shift) % WAYS.len()];
            let case = format!("{codec:?}, GOP of {} ms, {rate:?}, {way:?}", gop * 100);
            let plan = Plan {
                film: film(gop_frames(gop, rate)),
                rate,
                way,
                sessions: &[(0, 50 * S)],
                ppm: 0,
                seed: (gop_idx * 10 + rate_idx) as u64,
            };
            simulate(whole_clips(&case, plan, &SWIPES_MS));
        }
    }
}

#[test]
fn every_h264_clip_begins_ten_seconds_before_the_swipe_to_the_frame() {
    matrix(Codec::H264);
}

#[test]
fn every_h265_clip_begins_ten_seconds_before_the_swipe_to_the_frame() {
    matrix(Codec::H265);
}
