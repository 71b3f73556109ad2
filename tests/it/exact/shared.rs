//! Swipes that overlap share their bytes: no second of video is stored twice, and a door where someone
//! swipes all the time costs what continuous recording costs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use stairgate::camera::Codec;
use stairgate::domain::clip::{ClipState, FootageName};
use stairgate::domain::id::EntryId;
use stairgate::mux;
use stairgate::store::{tables, verify};
use stairgate::time::MediaTime;
use tokio::time::Instant;

use super::camera::{Camera, MS, Plan, Rate, S, Way, at};
use super::endless::{Endless, next_read};
use super::film::{Film, distinct, filled, films};
use super::house::House;
use super::matrix::assert_exact;
use super::site::{Site, camera};
use super::time::{self, pass, simulate};

/// Of the stream whose files are measured: 2 Mbit/s.
const BYTES_PER_S: u64 = 250_000;
/// The way all of this arrives.
const WAY: Way = Way {
    is_loose: true,
    ..Way::drained(400)
};

/// Bytes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    n_files: usize,
    n_frames: usize,
    /// Of the frames themselves.
    frame_bytes: u64,
    /// Of all files, side files included.
    disk_bytes: u64,
}

/// What lies on the disk of `files`, after checking that no frame of `film` is there twice.
fn kept(root: &Path, film: &Film, files: &[FootageName]) -> Kept {
    let mut kept = Kept::default();
    let mut next = 0;
    for name in files {
        let path = root.join(name.as_str());
        let all = MediaTime(i64::MAX);
        let (_, samples) = mux::read_samples(&path, MediaTime(0), all).unwrap();
        for sample in &samples {
            let known = film.samples[next..]
                .iter()
                .position(|s| s.data == sample.data);
            // In the film's order and each once: whatever comes again would be behind.
            next += known.expect("a frame that is not on the disk yet") + 1;
            kept.frame_bytes += sample.data.len() as u64;
        }
        kept.n_files += 1;
        kept.n_frames += samples.len();
        let side = path.with_extension("json");
        for path in [path, side] {
            kept.disk_bytes += fs::metadata(path).map_or(0, |file| file.len());
        }
    }
    kept
}

/// Frames of 2 Mbit/s: key frames of 40 kB, others what is left.
fn realistic(codec: Codec, film: &Film, fps: usize, gop: usize) -> Film {
    const KEY_BYTES: usize = 40_000;
    let per_gop = usize::try_from(BYTES_PER_S).unwrap() * gop / fps;
    let other_bytes = (per_gop - KEY_BYTES) / (gop - 1);
    let samples = film.samples.iter().map(|sample| {
        let n_bytes = if sample.is_key {
            KEY_BYTES
        } else {
            other_bytes
        };
        filled(codec, sample, n_bytes)
    });
    Film {
        samples: samples.collect(),
        ..film.clone()
    }
}

/// Ten swipes in 30 s; the footage that is left, and all that was written.
async fn ten_swipes(codec: Codec, gop: u32) {
    let film = &films(codec, 25 * 85, &[gop])[0];
    let film = &realistic(codec, film, 25, usize::try_from(gop).unwrap());
    let plan = Plan {
        film,
        rate: Rate::Fixed(25),
        way: WAY,
        sessions: &[(0, 85 * S)],
        ppm: 0,
        seed: 3,
    };
    let mut site = Site::new().await;
    let start = site.started + Duration::from_secs(60);
    let mut camera = Camera::new(&camera(), start, &plan);
    let mut requests = Vec::new();
    for n in 0..10 {
        let swipe_ms = 22_217 + i64::try_from(n).unwrap() * 3_333;
        site.play(&mut camera, at(start, swipe_ms * MS)).await;
        requests.push(site.swipe(n).await);
    }
    let last = requests.last().unwrap().clone();
    site.play(&mut camera, last.to + Duration::from_secs(3))
        .await;
    for (n, request) in requests.iter().enumerate() {
        let record = site.record(request).await;
        assert_eq!(record.state, ClipState::Whole, "swipe {n}");
        let case = format!("{codec:?}, GOP of {gop} frames, swipe {n}");
        assert_exact(&case, &camera, request, &site.played(&record));
    }
    let n_entries = requests.len();
    let root = site.root();
    let store = site.store.clone();
    site.footage.close().await;
    let files: Vec<FootageName> = site.rows().into_iter().map(|(name, _)| name).collect();
    pass(&store).await;
    let kept = kept(&root, film, &files);
    // One file: the first window's lead-in to the last window's end and what came with it.
    let union = last.to - requests[0].from;
    let lead_in = f64::from(gop) / 25.0;
    let kept_s = kept.n_frames as f64 / 25.0;
    println!(
        "{codec:?}, GOP {gop}: {n_entries} clips, {kept:?}, {:.4} x frames",
        kept.disk_bytes as f64 / kept.frame_bytes as f64
    );
    assert_eq!(kept.n_files, 1, "{files:?}");
    assert!(kept_s <= union.as_secs_f64() + lead_in + 1.0, "{kept_s} s");
    assert!(kept.disk_bytes * 100 <= kept.frame_bytes * 101, "{kept:?}");
    site.close().await;
}

#[test]
fn ten_swipes_in_thirty_seconds_store_no_frame_twice_and_each_has_its_exact_clip() {
    simulate(ten_swipes(Codec::H264, 50));
    simulate(ten_swipes(Codec::H265, 13));
    simulate(ten_swipes(Codec::H264, 250));
}

/// A lone clip of 30 s with the shortest GOPs, where boxes weigh most.
async fn lone_clip(codec: Codec, gop: u32) {
    let film = &films(codec, 25 * 50, &[gop])[0];
    let film = &realistic(codec, film, 25, usize::try_from(gop).unwrap());
    let plan = Plan {
        film,
        rate: Rate::Fixed(25),
        way: WAY,
        sessions: &[(0, 50 * S)],
        ppm: 0,
        seed: 3,
    };
    let mut site = Site::new().await;
    let start = site.started + Duration::from_secs(60);
    let mut camera = Camera::new(&camera(), start, &plan);
    site.play(&mut camera, at(start, 22_217 * MS)).await;
    let request = site.swipe(0).await;
    site.play(&mut camera, request.to + Duration::from_secs(3))
        .await;
    let record = site.record(&request).await;
    assert_eq!(record.state, ClipState::Whole);
    let exported = stairgate::clip::export(&site.root(), &record).unwrap();
    site.footage.close().await;
    let files: Vec<FootageName> = site.rows().into_iter().map(|(name, _)| name).collect();
    let kept = kept(&site.root(), film, &files);
    let exported_frames: u64 = exported.gops.iter().map(|gop| gop.bytes.len() as u64).sum();
    println!(
        "{codec:?}, GOP {gop}: {kept:?}, on disk {:.4} x frames, exported {:.4} x frames",
        kept.disk_bytes as f64 / kept.frame_bytes as f64,
        exported.file.len() as f64 / exported_frames as f64
    );
    assert!(kept.disk_bytes * 100 <= kept.frame_bytes * 101, "{kept:?}");
    assert!(exported.file.len() as u64 * 100 <= exported_frames * 101);
    site.close().await;
}

#[test]
fn a_clip_of_2_mbit_takes_at_most_1_01_times_its_frames_on_the_disk() {
    for gop in [13, 50, 250] {
        simulate(lone_clip(Codec::H264, gop));
    }
    simulate(lone_clip(Codec::H265, 13));
}

/// What an hour of swipes left behind.
#[derive(Clone, Debug, Default)]
struct Hour {
    n_swipes: usize,
    kept: Kept,
    n_footage_rows: usize,
    n_use_rows: usize,
    n_pending_max: usize,
    /// Resident memory after the first ten minutes and at the end, in bytes.
    memory: (u64, u64),
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// An hour of 8 pictures a second in which someone swipes every `every`.
async fn hour(film: &Film, every: Duration) -> Hour {
    const WARM: Duration = Duration::from_secs(30);
    const LENGTH: Duration = Duration::from_secs(3_600);
    let mut house = House::new(Site::new().await).await;
    let start = Instant::now();
    let mut camera = Endless::new(film, 8, 0, start);
    let mut random = fastrand::Rng::with_seed(11);
    let (mut read_at, mut swipe_at) = (start, start + WARM);
    let mut ids: Vec<EntryId> = Vec::new();
    let mut hour = Hour::default();
    while read_at < start + WARM + LENGTH + Duration::from_secs(25) {
        if swipe_at < read_at && swipe_at < start + WARM + LENGTH {
            time::to(swipe_at).await;
            ids.push(house.swipe(None, 2).await);
            swipe_at += every;
            let pending = house.site.store.scan(tables::PENDING_CLIPS, &());
            hour.n_pending_max = hour.n_pending_max.max(pending.count());
            if hour.memory.0 == 0 && swipe_at >= start + WARM + LENGTH / 6 {
                hour.memory.0 = resident_bytes();
            }
            continue;
        }
        time::to(read_at).await;
        camera.feed(&mut house.site.feed);
        time::passes(&house.site.store, 2).await;
        read_at = next_read(read_at, &mut random);
    }
    let store = house.site.store.clone();
    let settled = || store.scan(tables::PENDING_CLIPS, &()).next().is_none();
    time::until(&store, "all clips are settled", settled).await;
    hour.memory.1 = resident_bytes();
    hour.n_swipes = ids.len();
    hour.n_use_rows = store.scan(tables::FOOTAGE_USES, &()).count();
    house.site.footage.close().await;
    for id in &ids {
        let clip = house.entry(*id).clip().clone();
        assert_eq!(clip.state, ClipState::Whole, "{clip:?}");
    }
    assert_eq!(verify(&store).unwrap(), []);
    let mut next = 0;
    for (name, record) in house.site.rows() {
        let path = house.site.root().join(name.as_str());
        let all = MediaTime(i64::MAX);
        let (_, samples) = mux::read_samples(&path, MediaTime(0), all).unwrap();
        let pictures = camera.pictures(&samples, house.site.clock.instant_of(record.starts_at));
        assert!(pictures.start >= next, "{name}: a picture is stored twice");
        next = pictures.end;
        hour.kept.n_files += 1;
        hour.kept.n_frames += samples.len();
        let frame_bytes = samples.iter().map(|sample| sample.data.len() as u64);
        hour.kept.frame_bytes += frame_bytes.sum::<u64>();
        for path in [path.with_extension("json"), path] {
            hour.kept.disk_bytes += fs::metadata(path).unwrap().len();
        }
    }
    hour.n_footage_rows = house.site.rows().len();
    house.site.close().await;
    hour
}

#[test]
fn a_swipe_every_second_for_an_hour_costs_what_continuous_recording_costs() {
    let film = &distinct(Codec::H264, &films(Codec::H264, 8 * 100, &[16])[0]);
    // Each window begins where the one before ends: continuous recording.
    let recording = simulate(hour(film, Duration::from_secs(30)));
    let swipes = simulate(hour(film, Duration::from_secs(1)));
    println!("{recording:?}\n{swipes:?}");
    assert_eq!((recording.n_swipes, swipes.n_swipes), (120, 3_600));
    assert_eq!(recording.n_footage_rows, swipes.n_footage_rows);
    assert_eq!(recording.kept.n_files, swipes.kept.n_files);
    // The last window of the one ends 29 s after that of the other.
    assert!(swipes.kept.n_frames <= recording.kept.n_frames + 30 * 8);
    // What boxes and side files cost, beside an hour of 2 Mbit/s.
    let overhead = |hour: &Hour| hour.kept.disk_bytes - hour.kept.frame_bytes;
    let hour_bytes = 3_600 * BYTES_PER_S;
    assert!(overhead(&recording) * 100 <= hour_bytes);
    assert!(
        overhead(&swipes) * 100 <= hour_bytes,
        "{}",
        overhead(&swipes)
    );
    // One row says which file a clip shows, two where it lies in two.
    assert!(swipes.n_use_rows <= swipes.n_swipes + 31 * (swipes.kept.n_files - 1));
    // Open at once: those whose 20 s are not over.
    assert!(swipes.n_pending_max <= 23, "{}", swipes.n_pending_max);
    let growth = swipes.memory.1.saturating_sub(swipes.memory.0);
    assert!(growth <= 32 << 20, "{growth} bytes more after 50 minutes");
}
