//! What a browser makes of our video.

use std::fs;

use stairgate::mux::{self, ExportPart};
use stairgate::time::MediaTime;

use crate::harness::{chromium, in_package};
use crate::numbered::numbered;

#[tokio::test]
async fn chromium_plays_every_frame_of_h264() {
    let played = chromium::play_file(&in_package("fixtures/video/numbered-h264-small.mp4")).await;
    assert_eq!(played.error, "");
    assert_eq!(
        (played.width, played.height, played.n_frames),
        (320, 180, 500)
    );
    assert!((played.duration_s - 20.0).abs() < 0.05, "{played:?}");
}

#[tokio::test]
async fn chromium_shows_a_clip_from_its_first_moment_to_its_last() {
    let folder = crate::harness::temp_dir();
    let path = folder.path().join("clip.mp4");
    let (media, samples) = numbered("video/numbered-h264.mp4");
    let part = ExportPart {
        params: media.params,
        samples: samples[100..900].to_vec(),
        show_from: MediaTime(133 * 3_600 + 1_440),
        show_to: MediaTime(883 * 3_600 + 1_440),
        gap_before_ticks: 0,
    };
    fs::write(&path, mux::export(&[part]).unwrap().file).unwrap();
    let looked = chromium::look_at(&path, &[0.0, 0.010, 0.034, 1.034, 29.964, 29.99]).await;
    assert_eq!(looked.error, "");
    assert!((looked.duration_s - 30.0).abs() < 0.001, "{looked:?}");
    assert_eq!(looked.numbers, [133, 133, 133, 134, 159, 882, 883]);
    let played = chromium::play_file(&path).await;
    assert_eq!(played.error, "");
}

#[tokio::test]
async fn chromium_shows_gaps_and_changed_parameters_in_their_places() {
    let folder = crate::harness::temp_dir();
    let path = folder.path().join("clip.mp4");
    let part = |name, frames: std::ops::Range<usize>, show_from: i64, show_to: i64| {
        let (media, samples) = numbered(name);
        ExportPart {
            params: media.params,
            samples: samples[frames].to_vec(),
            show_from: MediaTime(show_from * 3_600),
            show_to: MediaTime(show_to * 3_600),
            gap_before_ticks: 50 * 3_600,
        }
    };
    let parts = [
        part("video/numbered-h264.mp4", 50..200, 75, 200),
        part("video/numbered-h264-small.mp4", 0..150, 0, 150),
    ];
    fs::write(&path, mux::export(&parts).unwrap().file).unwrap();
    // 5 s of the first, 2 s without a picture, 6 s of the second.
    let looked = chromium::look_at(&path, &[4.97, 6.9, 7.01, 12.97, 1.01, 9.01]).await;
    assert_eq!(looked.error, "");
    assert!((looked.duration_s - 13.0).abs() < 0.001, "{looked:?}");
    let numbers = [75, 199, 199, 20_000, 20_149, 100, 20_050];
    assert_eq!(looked.numbers, numbers);
    let played = chromium::play_file(&path).await;
    assert_eq!(played.error, "");
}
