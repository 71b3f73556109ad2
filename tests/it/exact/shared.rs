//! Swipes that overlap share their bytes: no second of video is stored twice, and a door where someone
//! swipes all the time costs what continuous recording costs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use stairgate::camera::Codec;
use stairgate::domain::clip::{ClipState, FootageName};
use stairgate::mux;
use stairgate::time::MediaTime;

use super::camera::{Camera, MS, Plan, Rate, S, Way, at};
use super::film::{Film, filled, films};
use super::matrix::assert_exact;
use super::site::{Site, camera};
use super::time::{pass, simulate};

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
            let known = film.samples[next..].iter().position(|s| s.data == sample.data);
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
        let n_bytes = if sample.is_key { KEY_BYTES } else { other_bytes };
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
    site.play(&mut camera, last.to + Duration::from_secs(3)).await;
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
    site.play(&mut camera, request.to + Duration::from_secs(3)).await;
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
