//! Cameras of another maker (gst-rtsp-server) into the ring, and what people are told when they fail.
//! Faults that no real server can be made to have are in `faults`.

mod faults;

use std::time::Duration;

use stairgate::camera::{
    CameraEvent, CameraEventKind, CameraOptions, CameraStatus, Cameras, CamerasOptions, Codec,
    DIALS_MAX, Feed, Frame, Gop, GopEnd, Transport, probe,
};
use stairgate::domain::id::CameraId;
use stairgate::domain::place::Place;
use stairgate::domain::secret::Secret;
use stairgate::supervise::Supervisor;
use stairgate::telemetry::{self, Component, HealthBoard, Registry, State};
use stairgate::time::{Clock, signed_ns};
use tokio::sync::mpsc;
use url::Url;

use crate::frame_number::fixture;
use crate::harness::rtsp::SentFrame;
use crate::harness::{Logs, RtspAuth, RtspCodec, RtspOptions, RtspServer, eventually, temp_dir};

const WITHIN: Duration = Duration::from_secs(20);

/// The cameras of one gateway.
struct Site {
    cameras: Cameras,
    events: mpsc::Receiver<CameraEvent>,
    board: HealthBoard,
    registry: Registry,
    _supervisor: Supervisor,
}

impl Site {
    fn start(options: CamerasOptions, cameras: Vec<CameraOptions>) -> Site {
        let clock = Clock::system();
        let supervisor = Supervisor::new();
        let board = HealthBoard::new(clock.clone());
        let mut registry = telemetry::registry();
        let (cameras, events) =
            Cameras::start(options, cameras, clock, &supervisor, &board, &mut registry);
        Site {
            cameras,
            events,
            board,
            registry,
            _supervisor: supervisor,
        }
    }

    fn one(camera: CameraOptions) -> (Site, Feed) {
        let id = camera.id.clone();
        let site = Site::start(CamerasOptions::DEFAULT, vec![camera]);
        let feed = site.cameras.feed(&id).unwrap();
        (site, feed)
    }

    fn health(&self, camera: &str) -> Component {
        self.board.snapshot()[&format!("camera/{camera}")].clone()
    }

    /// Waits until the camera's line says `state` with `part` in its reason.
    async fn says(&self, camera: &str, state: State, part: &str) {
        let what = format!("camera/{camera} is {state:?}: {part}");
        eventually(&what, WITHIN, || {
            let line = self.health(camera);
            line.state == state && line.reason.contains(part)
        })
        .await;
    }
}

fn id(text: &str) -> CameraId {
    CameraId::new(text).unwrap()
}

fn camera(name: &str, url: &str) -> CameraOptions {
    CameraOptions {
        id: id(name),
        place: Place::Compound,
        url: Url::parse(url).unwrap(),
        sub_url: None,
        transport: Transport::Tcp,
        username: None,
        password: None,
    }
}

fn with_login(mut camera: CameraOptions, password: &str) -> CameraOptions {
    camera.username = Some("viewer".to_owned());
    camera.password = Some(Secret::new(password));
    camera
}

async fn streams(feed: &Feed) -> CameraStatus {
    eventually("the camera streams", WITHIN, || feed.status().up).await;
    feed.status()
}

/// Waits for `n` more frames in the ring.
async fn frames(feed: &Feed, n: u64) {
    let mut ticks = feed.ticks();
    let from = ticks.borrow().n_frames;
    let enough = ticks.wait_for(|tick| tick.n_frames >= from + n);
    tokio::time::timeout(WITHIN, enough).await.unwrap().unwrap();
}

/// All frames in the ring.
fn ring(feed: &Feed) -> Vec<Frame> {
    let gops = feed.gops_after(None).gops;
    gops.iter().flat_map(|gop| gop.frames.clone()).collect()
}

async fn real_camera(codec: RtspCodec) -> RtspServer {
    let file = match codec {
        RtspCodec::H264 => "video/numbered-h264.mp4",
        RtspCodec::H265 => "video/numbered-h265.mp4",
    };
    RtspServer::start(RtspOptions {
        codec,
        file: Some(fixture(file)),
        ..RtspOptions::default()
    })
    .await
}

async fn a_real_camera_fills_the_ring(codec: RtspCodec, transport: Transport) {
    let _logs = Logs::capture();
    let server = real_camera(codec).await;
    let mut options = camera("a", &server.url());
    options.transport = transport;
    let (site, feed) = Site::one(options);
    streams(&feed).await;
    frames(&feed, 100).await;
    site.says("a", State::Ok, "").await;

    let seen = ring(&feed);
    let sent = server.sent();
    assert!(seen.len() >= 100 && seen[0].is_key);
    assert!(seen.iter().all(|frame| frame.n_lost == 0));
    for pair in seen.windows(2) {
        assert!(pair[1].media.ticks_since(pair[0].media).abs_diff(3_600) <= 90);
    }
    // Joined by instants, as swipes are: each frame was sent when its instant says.
    let at = |frame: &Frame| frame.run.instant_of(frame.media).unwrap();
    let first = at(&seen[0]);
    let nearest = |sent: &&SentFrame| signed_ns(sent.at(), first).abs();
    let first_n = sent.iter().min_by_key(nearest).unwrap().n;
    for (frame, n) in seen.iter().zip(first_n..) {
        let sent = sent.iter().find(|sent| sent.n == n).unwrap();
        assert_eq!(frame.is_key, sent.key, "frame {n}");
        let late_ns = signed_ns(at(frame), sent.at());
        assert!(late_ns.abs() < 100_000_000, "frame {n}: {late_ns} ns");
    }
    let status = feed.status();
    let size = match codec {
        RtspCodec::H264 => (Some(Codec::H264), 640, 360),
        RtspCodec::H265 => (Some(Codec::H265), 320, 180),
    };
    assert_eq!((status.codec, status.width, status.height), size);
    assert!((status.fps.unwrap() - 25.0).abs() < 0.5, "{status:?}");
    assert!((status.gop_s.unwrap() - 2.0).abs() < 0.05, "{status:?}");
    assert_eq!((status.sessions, status.lost_packets), (1, 0));
    decodes_in_silence(&feed, codec);
    site.cameras.stop().await;
    assert!(!feed.status().up);
}

/// Writes the ring as an elementary stream; ffmpeg has nothing to complain of.
fn decodes_in_silence(feed: &Feed, codec: RtspCodec) {
    let dir = temp_dir();
    let file = dir.path().join(match codec {
        RtspCodec::H264 => "ring.h264",
        RtspCodec::H265 => "ring.h265",
    });
    let frames = ring(feed);
    let mut stream = parameter_sets(&frames[0], codec);
    for frame in &frames {
        let mut rest = &frame.data[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (nal, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            stream.extend([0, 0, 0, 1]);
            stream.extend(nal);
            rest = after;
        }
    }
    std::fs::write(&file, stream).unwrap();
    let output = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            file.to_str().unwrap(),
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
}

/// The parameter sets of a configuration record (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1), Annex B.
fn parameter_sets(frame: &Frame, codec: RtspCodec) -> Vec<u8> {
    let record = &frame.params.extra_data;
    let mut sets = Vec::new();
    let mut take = |at: &mut usize| {
        let length = usize::from(u16::from_be_bytes([record[*at], record[*at + 1]]));
        sets.extend([0, 0, 0, 1]);
        sets.extend(&record[*at + 2..*at + 2 + length]);
        *at += 2 + length;
    };
    match codec {
        RtspCodec::H264 => {
            let mut at = 6;
            for _ in 0..record[5] & 0x1f {
                take(&mut at);
            }
            let n_pps = record[at];
            at += 1;
            for _ in 0..n_pps {
                take(&mut at);
            }
        }
        RtspCodec::H265 => {
            let mut at = 23;
            for _ in 0..record[22] {
                let n = u16::from_be_bytes([record[at + 1], record[at + 2]]);
                at += 3;
                for _ in 0..n {
                    take(&mut at);
                }
            }
        }
    }
    sets
}

#[tokio::test]
async fn a_real_h264_camera_over_tcp_fills_the_ring() {
    a_real_camera_fills_the_ring(RtspCodec::H264, Transport::Tcp).await;
}

#[tokio::test]
async fn a_real_h264_camera_over_udp_fills_the_ring() {
    a_real_camera_fills_the_ring(RtspCodec::H264, Transport::Udp).await;
}

#[tokio::test]
async fn a_real_h265_camera_over_tcp_fills_the_ring() {
    a_real_camera_fills_the_ring(RtspCodec::H265, Transport::Tcp).await;
}

#[tokio::test]
async fn a_real_h265_camera_over_udp_fills_the_ring() {
    a_real_camera_fills_the_ring(RtspCodec::H265, Transport::Udp).await;
}

#[tokio::test]
async fn basic_and_digest_let_in_and_a_wrong_password_says_what_to_check() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    let server = |auth| {
        RtspServer::start(RtspOptions {
            auth,
            ..RtspOptions::default()
        })
    };
    let (basic, digest) = tokio::join!(server(RtspAuth::Basic), server(RtspAuth::Digest));
    let cameras = vec![
        with_login(camera("basic", &basic.url()), "fixture-pass"),
        with_login(camera("digest", &digest.url()), "fixture-pass"),
        with_login(camera("basic-wrong", &basic.url()), "wrong"),
        with_login(camera("digest-wrong", &digest.url()), "wrong"),
        camera("digest-none", &digest.url()),
    ];
    let site = Site::start(CamerasOptions::DEFAULT, cameras);
    for name in ["basic", "digest"] {
        site.says(name, State::Ok, "").await;
    }
    for name in ["basic-wrong", "digest-wrong"] {
        let part = format!("check username and password_file of camera {name}");
        site.says(name, State::Failed, &part).await;
    }
    site.says(
        "digest-none",
        State::Failed,
        "set username and password_file",
    )
    .await;
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_wrong_path_port_or_name_says_what_to_check() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    let server = RtspServer::start(RtspOptions::default()).await;
    let wrong_path = server.url().replace("/cam", "/other");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong_port = format!("rtsp://{}/cam", gone.local_addr().unwrap());
    drop(gone);
    let site = Site::start(
        CamerasOptions::DEFAULT,
        vec![
            camera("path", &wrong_path),
            camera("port", &wrong_port),
            camera("name", "rtsp://no-such-camera.invalid/cam"),
        ],
    );
    site.says(
        "path",
        State::Failed,
        "check the path in url of camera path",
    )
    .await;
    site.says(
        "port",
        State::Degraded,
        "check the port in url of camera port",
    )
    .await;
    site.says(
        "name",
        State::Degraded,
        "no-such-camera.invalid has no address",
    )
    .await;
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_camera_that_lost_power_streams_again_and_both_are_told() {
    let mut logs = Logs::capture();
    logs.expect("camera session lost");
    logs.expect("camera cannot be had");
    let mut server = real_camera(RtspCodec::H264).await;
    let options = CamerasOptions {
        offline_after: Duration::from_secs(1),
        ..CamerasOptions::DEFAULT
    };
    let mut site = Site::start(options, vec![camera("a", &server.url())]);
    let feed = site.cameras.feed(&id("a")).unwrap();
    streams(&feed).await;
    frames(&feed, 50).await;
    let before = ring(&feed).last().unwrap().run.id;
    server.kill();
    eventually("the loss is noticed", WITHIN, || !feed.status().up).await;
    let told = site.events.recv().await.unwrap();
    assert_eq!(told.camera, id("a"));
    assert!(
        matches!(told.kind, CameraEventKind::Offline { .. }),
        "{told:?}"
    );
    server.restart().await;
    streams(&feed).await;
    assert_eq!(
        site.events.recv().await.unwrap().kind,
        CameraEventKind::Online
    );
    let gops = feed.gops_after(None).gops;
    assert!(gops.iter().any(|gop| gop.end == Some(GopEnd::RunEnded)));
    assert_ne!(ring(&feed).last().unwrap().run.id, before);
    assert_eq!(logs.count("camera session lost"), 1);
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_frozen_camera_is_left_and_had_again() {
    let mut logs = Logs::capture();
    logs.expect("camera session lost");
    logs.expect("camera cannot be had");
    let mut server = real_camera(RtspCodec::H264).await;
    let (site, feed) = Site::one(camera("a", &server.url()));
    streams(&feed).await;
    server.freeze();
    site.says("a", State::Degraded, "sent no frames for 10 s")
        .await;
    server.thaw();
    streams(&feed).await;
    assert_eq!(feed.status().sessions, 2);
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_camera_is_read_at_once_while_somebody_looks() {
    let _logs = Logs::capture();
    let server = RtspServer::start(RtspOptions::default()).await;
    let options = CamerasOptions {
        drain_period: Duration::from_secs(3_600),
        ..CamerasOptions::DEFAULT
    };
    let site = Site::start(options, vec![camera("a", &server.url())]);
    let feed = site.cameras.feed(&id("a")).unwrap();
    let _watching = feed.watch();
    streams(&feed).await;
    frames(&feed, 50).await;
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_probe_tells_what_a_camera_sends() {
    let _logs = Logs::capture();
    let (good, slow) = tokio::join!(
        real_camera(RtspCodec::H264),
        RtspServer::start(RtspOptions {
            codec: RtspCodec::H265,
            gop: 150,
            ..RtspOptions::default()
        })
    );
    let within = Duration::from_secs(13);
    let (clock, tcp) = (Clock::system(), Transport::Tcp);
    let (good_url, slow_url) = (good.url().parse().unwrap(), slow.url().parse().unwrap());
    let (good, slow) = tokio::join!(
        probe(&good_url, None, tcp, within, &clock),
        probe(&slow_url, None, Transport::Udp, within, &clock),
    );
    let good = good.unwrap();
    assert_eq!(
        (good.codec, good.width, good.height),
        (Codec::H264, 640, 360)
    );
    assert!((good.fps.unwrap() - 25.0).abs() < 0.5, "{good:?}");
    assert!(
        (good.key_frame_interval_s.unwrap() - 2.0).abs() < 0.1,
        "{good:?}"
    );
    assert!(
        good.clock_offset_s.is_none_or(|offset| offset.abs() < 0.5),
        "{good:?}"
    );
    assert_eq!(good.verdict(), "good");
    let slow = slow.unwrap();
    assert!(
        (slow.key_frame_interval_s.unwrap() - 6.0).abs() < 0.1,
        "{slow:?}"
    );
    assert_eq!(slow.warnings.len(), 2, "{slow:?}");
    assert!(slow.verdict().contains("key frame every 6.0 s"), "{slow:?}");
    let nobody = "rtsp://127.0.0.1:1/cam".parse().unwrap();
    let err = probe(&nobody, None, tcp, within, &clock).await.unwrap_err();
    assert!(err.advice("the camera", false).contains("nothing listens"));
}

#[tokio::test]
async fn metrics_show_each_camera_and_forget_it_with_its_configuration() {
    let _logs = Logs::capture();
    let server = RtspServer::start(RtspOptions::default()).await;
    let (site, feed) = Site::one(camera("a", &server.url()));
    streams(&feed).await;
    let text = telemetry::scrape(&site.registry);
    for line in [
        "stairgate_camera_frames_total{camera=\"a\"} ",
        "stairgate_camera_bytes_total{camera=\"a\"} ",
        "stairgate_camera_lost_packets_total{camera=\"a\"} 0",
        "stairgate_camera_sessions_total{camera=\"a\"} 1",
        "stairgate_camera_up{camera=\"a\"} 1.0",
        "stairgate_camera_keyframe_age_seconds{camera=\"a\"} ",
        "stairgate_ring_bytes{camera=\"a\"} ",
        "stairgate_ring_seconds{camera=\"a\"} ",
        "stairgate_ring_squeezed_gops_total{camera=\"a\"} 0",
        "stairgate_camera_dropped_frames_total{camera=\"a\",reason=\"no-key-frame\"} ",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let changed = site.cameras.reload(Vec::new());
    assert_eq!(changed.removed, vec![id("a")]);
    let text = telemetry::scrape(&site.registry);
    assert!(!text.contains("camera=\"a\""), "{text}");
    assert!(site.board.snapshot().is_empty());
    site.cameras.stop().await;
}

fn key_frames_every(gops: &[std::sync::Arc<Gop>]) -> Vec<usize> {
    let ended = gops.iter().filter(|gop| gop.end == Some(GopEnd::NextKey));
    ended.map(|gop| gop.frames.len()).collect()
}
