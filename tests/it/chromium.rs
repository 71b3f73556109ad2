//! What a browser makes of our video.

use crate::harness::{chromium, in_package};

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
