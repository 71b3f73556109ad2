//! Simulated cameras before a third party's eyes (ffmpeg), and their faults as a client feels them.

mod doors;
mod police;
mod viewer;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use stairgate::mux::{RtpMedia, packetise};
use stairgate::sim::cameras::{
    AuthScheme, CameraFault, CameraLogin, KeyFrames, Sdp, SimCameras, SimCamerasOptions,
};
use stairgate::sim::media::Film;
use stairgate::supervise::{Supervisor, blocking};
use stairgate::time::Clock;
use tokio::time::Instant;

use self::viewer::{Heard, Viewer};
use crate::frame_number::{fixture, shown_numbers};
use crate::harness::{eventually, temp_dir};

const WITHIN: Duration = Duration::from_secs(10);

/// The first `n_frames` of a fixture, so that the film repeats soon.
fn short_film(name: &str, n_frames: usize) -> Arc<Film> {
    let mut media: RtpMedia = packetise(&fixture(name), 1_400).unwrap();
    media.frames.truncate(n_frames);
    media.duration_ticks = i64::try_from(n_frames).unwrap() * 3_600;
    Film::new(media).unwrap()
}

/// 56 Mbit/s, so that no kernel's buffers hold much of it.
fn heavy_film() -> Arc<Film> {
    let mut media: RtpMedia = packetise(&fixture("video/numbered-h264.mp4"), 1_400).unwrap();
    let heavy = media.frames[0].packets.iter().max_by_key(|p| p.len());
    let heavy = vec![heavy.unwrap().clone(); 200];
    media.frames.truncate(25);
    media.duration_ticks = 25 * 3_600;
    for frame in &mut media.frames {
        frame.packets.clone_from(&heavy);
    }
    Film::new(media).unwrap()
}

async fn cameras(options: SimCamerasOptions, films: Vec<Arc<Film>>) -> SimCameras {
    let supervisor = Supervisor::new();
    SimCameras::start(options, films, Clock::system(), &supervisor)
        .await
        .unwrap()
}

async fn one_camera() -> SimCameras {
    let film = short_film("video/numbered-h264.mp4", 100);
    cameras(SimCamerasOptions::default(), vec![film]).await
}

async fn ffmpeg(args: Vec<String>) -> std::process::Output {
    let run = move || Command::new("ffmpeg").args(args).output().unwrap();
    blocking("ffmpeg", run).await.unwrap()
}

/// Records `url` with ffmpeg; the numbers in the pictures.
async fn recorded(url: &str, transport: &str, seconds: &str) -> Vec<u32> {
    recorded_as("seen.mp4", url, transport, seconds).await
}

/// The same in a file of that name.
async fn recorded_as(name: &str, url: &str, transport: &str, seconds: &str) -> Vec<u32> {
    let dir = temp_dir();
    let file = dir.path().join(name);
    let mut args: Vec<String> = [
        "-v",
        "error",
        "-nostdin",
        "-rtsp_transport",
        transport,
        "-i",
    ]
    .map(str::to_owned)
    .into();
    args.extend([url.to_owned(), "-c".to_owned(), "copy".to_owned()]);
    args.extend(["-t".to_owned(), seconds.to_owned()]);
    args.push(file.to_str().unwrap().to_owned());
    let output = ffmpeg(args).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    shown_numbers(&file)
}

#[tokio::test]
async fn ffmpeg_sees_frame_numbers_continue_across_the_loop() {
    let films = vec![
        short_film("video/numbered-h264.mp4", 75),
        short_film("video/numbered-h265.mp4", 75),
    ];
    let options = SimCamerasOptions {
        n_cameras: 2,
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    let cameras = cameras(options, films).await;
    let (url_0, url_1) = (cameras.url(0).to_string(), cameras.url(1).to_string());
    let (a, b, c, d) = tokio::join!(
        recorded(&url_0, "tcp", "5"),
        recorded(&url_1, "tcp", "5"),
        recorded(&url_0, "udp", "5"),
        recorded(&url_1, "udp", "5"),
    );
    for (case, numbers) in [a, b, c, d].into_iter().enumerate() {
        assert!(numbers.len() >= 120, "case {case}: {numbers:?}");
        assert!(
            numbers[0].is_multiple_of(25),
            "case {case}: begins with a key frame"
        );
        for pair in numbers.windows(2) {
            assert_eq!(pair[1], (pair[0] + 1) % 75, "case {case}: {numbers:?}");
        }
    }
    // What the camera says it sent agrees with the pictures, and with its time line.
    let sent = cameras.sent(0);
    assert!(sent.iter().all(|s| s.frame_idx as u64 == s.number % 75));
    let last = sent.last().unwrap();
    let (number, _) = cameras.frame_at(0, last.sent_at).unwrap();
    assert!(number >= last.number && number <= last.number + 5);
    cameras.stop().await.unwrap();
}

#[tokio::test]
async fn ffmpeg_follows_a_change_of_film_at_a_key_frame() {
    let films = vec![
        short_film("video/numbered-h264.mp4", 100),
        short_film("video/numbered-h264-small.mp4", 100),
    ];
    let options = SimCamerasOptions {
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    let cameras = cameras(options, films).await;
    let url = cameras.url(0).to_string();
    let change = async {
        let is_seen = || cameras.sent(0).len() >= 30;
        eventually("the first film is on its way", WITHIN, is_seen).await;
        cameras.set_fault(0, CameraFault::Film { idx: 1 }).unwrap();
    };
    // An elementary stream keeps the parameter sets that come in mid-stream.
    let (numbers, ()) = tokio::join!(recorded_as("seen.h264", &url, "tcp", "8"), change);
    let change = numbers.iter().position(|n| *n >= 20_000).unwrap();
    assert!(numbers[..change].iter().all(|n| *n < 100));
    assert!(
        numbers[change..]
            .iter()
            .all(|n| (20_000..20_100).contains(n))
    );
    let first = cameras
        .sent(0)
        .into_iter()
        .find(|s| s.film_idx == 1)
        .unwrap();
    assert!(first.is_key && first.frame_idx + 20_000 == numbers[change] as usize);
}

#[tokio::test]
async fn only_who_knows_the_password_sees_the_camera() {
    for scheme in [AuthScheme::Basic, AuthScheme::Digest] {
        let options = SimCamerasOptions {
            burst_at_connect: true,
            login: Some(CameraLogin {
                scheme,
                username: "viewer".to_owned(),
                password: "fixture-pass".to_owned(),
            }),
            ..SimCamerasOptions::default()
        };
        let film = short_film("video/numbered-h264.mp4", 100);
        let cameras = cameras(options, vec![film]).await;
        let mut url = cameras.url(0);
        url.set_username("viewer").unwrap();
        url.set_password(Some("fixture-pass")).unwrap();
        assert!(!recorded(url.as_str(), "tcp", "0.5").await.is_empty());
        url.set_password(Some("wrong")).unwrap();
        let args = [
            "-v",
            "error",
            "-nostdin",
            "-i",
            url.as_str(),
            "-f",
            "null",
            "-",
        ];
        let refused = ffmpeg(args.map(str::to_owned).into()).await;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("401 Unauthorized"));
    }
}

#[tokio::test]
async fn a_camera_refuses_hangs_and_tells_nonsense_as_told() {
    let cameras = one_camera().await;
    let refuse = |status| CameraFault::Refuse { status };
    for status in [503, 401, 404] {
        cameras.set_fault(0, refuse(status)).unwrap();
        let mut viewer = Viewer::connect(&cameras.url(0)).await;
        assert_eq!(viewer.ask("DESCRIBE", "").await.status(), status);
    }
    cameras.set_fault(0, CameraFault::Clear).unwrap();
    cameras
        .set_fault(0, CameraFault::Sdp(Sdp::NoVideo))
        .unwrap();
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    let described = viewer.ask("DESCRIBE", "").await;
    assert!(described.text().contains("m=audio") && !described.text().contains("m=video"));
    let unknown = cameras.url(7);
    let mut viewer = Viewer::connect(&unknown).await;
    assert_eq!(viewer.ask("DESCRIBE", "").await.status(), 404);
    cameras.set_fault(0, CameraFault::BlackHole).unwrap();
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.send("OPTIONS", "").await;
    assert_eq!(
        viewer.hear(Duration::from_millis(300)).await,
        Heard::Nothing
    );
    assert!(cameras.set_fault(1, CameraFault::Reset).is_err());
    assert!(cameras.set_fault(0, CameraFault::Film { idx: 1 }).is_err());
}

#[tokio::test]
async fn a_session_must_be_set_up_before_it_plays() {
    let cameras = one_camera().await;
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    assert_eq!(viewer.ask("PLAY", "").await.status(), 454);
    assert_eq!(viewer.ask("RECORD", "").await.status(), 405);
    assert_eq!(viewer.ask("SETUP", "").await.status(), 400);
    let multicast = "Transport: RTP/AVP;multicast\r\n";
    assert_eq!(viewer.ask("SETUP", multicast).await.status(), 461);
    viewer.play().await;
    assert_eq!(viewer.ask("GET_PARAMETER", "").await.status(), 454);
    let session = viewer.session();
    assert_eq!(viewer.ask("GET_PARAMETER", &session).await.status(), 200);
    assert_eq!(viewer.ask("TEARDOWN", &session).await.status(), 200);
    assert_eq!(viewer.ask("PLAY", &session).await.status(), 454);
}

#[tokio::test]
async fn reset_and_reboot_cut_connections_and_the_camera_comes_back() {
    let cameras = one_camera().await;
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.play().await;
    assert!(matches!(viewer.hear(WITHIN).await, Heard::Packet { .. }));
    cameras.set_fault(0, CameraFault::Reset).unwrap();
    assert_eq!(viewer.end(WITHIN).await, Heard::Reset);

    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.play().await;
    let down = Duration::from_millis(400);
    let reboot_at = Instant::now();
    cameras.set_fault(0, CameraFault::Reboot { down }).unwrap();
    assert_eq!(viewer.end(WITHIN).await, Heard::Reset);
    let back_at = loop {
        let mut viewer = Viewer::connect(&cameras.url(0)).await;
        viewer.send("OPTIONS", "").await;
        match viewer.hear(WITHIN).await {
            Heard::Reset => assert!(Instant::now() < reboot_at + WITHIN),
            Heard::Answer(answer) => {
                assert_eq!(answer.status(), 200);
                break Instant::now();
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(back_at >= reboot_at + down);
}

#[tokio::test]
async fn a_frozen_camera_still_answers_and_a_thawed_one_goes_on() {
    let cameras = one_camera().await;
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.play().await;
    assert!(matches!(viewer.hear(WITHIN).await, Heard::Packet { .. }));
    cameras.set_fault(0, CameraFault::Freeze).unwrap();
    viewer.drain(Duration::from_millis(300)).await;
    assert_eq!(
        viewer.hear(Duration::from_millis(300)).await,
        Heard::Nothing
    );
    let session = viewer.session();
    assert_eq!(viewer.ask("SET_PARAMETER", &session).await.status(), 200);
    cameras.set_fault(0, CameraFault::Thaw).unwrap();
    assert!(matches!(viewer.hear(WITHIN).await, Heard::Packet { .. }));
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_and_others_see_every_frame() {
    let options = SimCamerasOptions {
        backlog_bytes_max: 64 * 1_024,
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    let cameras = cameras(options, vec![heavy_film()]).await;
    let mut deaf = Viewer::connect(&cameras.url(0)).await;
    deaf.play_without_listening().await;
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.play().await;
    let mut n_packets = 0_u32;
    let mut last_seq: Option<u16> = None;
    while cameras.stats().n_slow == 0 {
        let Heard::Packet { channel, bytes } = viewer.hear(WITHIN).await else {
            panic!("the good viewer lost its stream");
        };
        if channel == 0 {
            let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
            assert!(last_seq.is_none_or(|last| seq == last.wrapping_add(1)));
            last_seq = Some(seq);
            n_packets += 1;
        }
    }
    assert!(n_packets > 0);
    eventually("only the good viewer is left", WITHIN, || {
        cameras.stats().n_connections == 1
    })
    .await;
}

#[tokio::test]
async fn without_key_frames_none_is_sent() {
    let cameras = one_camera().await;
    cameras
        .set_fault(0, CameraFault::Keys(KeyFrames::None))
        .unwrap();
    let mut viewer = Viewer::connect(&cameras.url(0)).await;
    viewer.play().await;
    viewer.drain(Duration::from_millis(2_500)).await;
    let sent = cameras.sent(0);
    assert!(sent.len() > 50 && sent.iter().all(|s| !s.is_key));
}
