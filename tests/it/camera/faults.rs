//! The faults of simulated cameras, and many of them at once.

use std::net::SocketAddr;
use std::sync::Arc;

use stairgate::mux::packetise;
use stairgate::sim::cameras::{CameraFault, KeyFrames, Sdp, SimCameras, SimCamerasOptions};
use stairgate::sim::media::Film;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::*;

/// The first `n_frames` of a fixture.
fn film(name: &str, n_frames: usize) -> Arc<Film> {
    let mut media = packetise(&fixture(name), 1_400).unwrap();
    media.frames.truncate(n_frames);
    media.duration_ticks = i64::try_from(n_frames).unwrap() * 3_600;
    Film::new(media).unwrap()
}

async fn simulated(n_cameras: usize) -> (SimCameras, Supervisor) {
    simulated_at(n_cameras, "127.0.0.1:0".parse().unwrap()).await
}

async fn simulated_at(n_cameras: usize, listen: SocketAddr) -> (SimCameras, Supervisor) {
    let supervisor = Supervisor::new();
    let options = SimCamerasOptions {
        listen,
        n_cameras,
        ..SimCamerasOptions::default()
    };
    let films = vec![
        film("video/numbered-h264-small.mp4", 100),
        film("video/numbered-h264.mp4", 100),
    ];
    let films = if n_cameras == 1 {
        films
    } else {
        films[..1].to_vec()
    };
    let cameras = SimCameras::start(options, films, Clock::system(), &supervisor)
        .await
        .unwrap();
    (cameras, supervisor)
}

fn of(sim: &SimCameras) -> Vec<CameraOptions> {
    (0..sim.n_cameras())
        .map(|idx| camera(&format!("c{idx:03}"), sim.url(idx).as_str()))
        .collect()
}

#[tokio::test]
async fn a_description_that_is_garbage_or_has_no_video_or_another_codec_says_so() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    let (sim, _tasks) = simulated(3).await;
    sim.set_fault(0, CameraFault::Sdp(Sdp::Garbage)).unwrap();
    sim.set_fault(1, CameraFault::Sdp(Sdp::NoVideo)).unwrap();
    let other = CameraFault::Sdp(Sdp::OtherCodec);
    sim.set_fault(2, other).unwrap();
    let site = Site::start(CamerasOptions::DEFAULT, of(&sim));
    site.says("c000", State::Failed, "description cannot be read")
        .await;
    site.says("c001", State::Failed, "offers no video").await;
    site.says("c002", State::Failed, "jpeg").await;
    site.cameras.stop().await;
}

/// A camera that says 404 is asked again after 3.5 s and more; who looks does not wait for that.
#[tokio::test]
async fn a_camera_that_is_back_is_seen_soon_by_who_looks() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    let (sim, _tasks) = simulated(1).await;
    sim.set_fault(0, CameraFault::Refuse { status: 404 })
        .unwrap();
    let (site, feed) = Site::one(camera("a", sim.url(0).as_str()));
    site.says("a", State::Failed, "404").await;
    sim.set_fault(0, CameraFault::Clear).unwrap();
    let began = Instant::now();
    let _watching = feed.watch();
    streams(&feed).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3_400), "{took:?}");
    site.cameras.stop().await;
}

#[tokio::test]
async fn changed_parameters_end_the_gop_at_a_key_frame() {
    let _logs = Logs::capture();
    let (sim, _tasks) = simulated(1).await;
    let (site, feed) = Site::one(camera("a", sim.url(0).as_str()));
    assert_eq!(streams(&feed).await.width, 320);
    frames(&feed, 30).await;
    sim.set_fault(0, CameraFault::Film { idx: 1 }).unwrap();
    eventually("the new picture size", WITHIN, || {
        feed.status().width == 640
    })
    .await;
    let gops = feed.gops_after(None).gops;
    let last_old = gops
        .iter()
        .find(|gop| gop.end == Some(GopEnd::ParamsChanged));
    let last_old = last_old.unwrap();
    let first_new = gops.iter().find(|gop| gop.seq.0 == last_old.seq.0 + 1);
    let first_new = first_new.unwrap();
    assert_eq!(
        (last_old.params().width, first_new.params().width),
        (320, 640)
    );
    assert_eq!(last_old.run().id, first_new.run().id);
    assert_eq!(feed.status().sessions, 1);
    site.cameras.stop().await;
}

#[tokio::test]
async fn lost_packets_are_counted_and_the_stream_goes_on() {
    let mut logs = Logs::capture();
    logs.expect("camera session lost");
    let (sim, _tasks) = simulated(1).await;
    let (site, feed) = Site::one(camera("a", sim.url(0).as_str()));
    streams(&feed).await;
    sim.set_fault(0, CameraFault::Drop { permille: 50 })
        .unwrap();
    eventually("losses are counted", WITHIN, || {
        feed.status().lost_packets >= 5
    })
    .await;
    assert!(ring(&feed).iter().any(|frame| frame.n_lost > 0));
    sim.set_fault(0, CameraFault::Clear).unwrap();
    frames(&feed, 50).await;
    assert_eq!(feed.status().sessions, 1);
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_camera_without_key_frames_says_so_and_one_with_few_streams() {
    let _logs = Logs::capture();
    let (sim, _tasks) = simulated(2).await;
    sim.set_fault(0, CameraFault::Keys(KeyFrames::None))
        .unwrap();
    sim.set_fault(1, CameraFault::Keys(KeyFrames::OneIn(2)))
        .unwrap();
    let site = Site::start(CamerasOptions::DEFAULT, of(&sim));
    let few = site.cameras.feed(&id("c001")).unwrap();
    streams(&few).await;
    site.says("c000", State::Degraded, "key-frame interval")
        .await;
    let none = site.cameras.feed(&id("c000")).unwrap();
    assert!(!none.status().up && ring(&none).is_empty());
    assert!(telemetry::scrape(&site.registry).contains("camera=\"c000\",reason=\"no-key-frame\"}"));
    let gops = few.gops_after(None).gops;
    assert!(key_frames_every(&gops).iter().all(|n| *n > 50), "{gops:?}");
    site.cameras.stop().await;
}

#[tokio::test]
async fn a_wrong_clock_is_told_once_and_chooses_no_frames() {
    let _logs = Logs::capture();
    let (sim, _tasks) = simulated(1).await;
    sim.set_fault(0, CameraFault::ClockOffset { ms: -3_600_000 })
        .unwrap();
    let mut site = Site::start(CamerasOptions::DEFAULT, of(&sim));
    let feed = site.cameras.feed(&id("c000")).unwrap();
    // The first event says that the camera is there, the second what is wrong with its clock.
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = tokio::time::timeout(Duration::from_secs(60), site.events.recv());
        told.push(event.await.unwrap().unwrap().kind);
    }
    let [
        CameraEventKind::Online,
        CameraEventKind::ClockSkew { offset_ms },
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    assert!((offset_ms + 3_600_000).abs() < 200, "{offset_ms}");
    let newest = ring(&feed).pop().unwrap();
    let at = newest.run.instant_of(newest.media).unwrap();
    assert!(at.elapsed() < Duration::from_secs(1));
    site.cameras.stop().await;
}

#[tokio::test]
async fn reload_disturbs_only_what_changed() {
    let _logs = Logs::capture();
    let (sim, _tasks) = simulated(4).await;
    let all = of(&sim);
    let site = Site::start(CamerasOptions::DEFAULT, all[..3].to_vec());
    let feeds: Vec<Feed> = site.cameras.feeds();
    for feed in &feeds {
        streams(feed).await;
    }
    let mut changed = all[1].clone();
    changed.url = all[3].url.clone();
    let changes = site
        .cameras
        .reload(vec![all[0].clone(), changed, all[3].clone()]);
    assert_eq!(changes.added, vec![id("c003")]);
    assert_eq!(changes.removed, vec![id("c002")]);
    assert_eq!(changes.restarted, vec![id("c001")]);
    let restarted = site.cameras.feed(&id("c001")).unwrap();
    eventually("dialled anew", WITHIN, || {
        let status = restarted.status();
        status.sessions == 2 && status.up
    })
    .await;
    streams(&site.cameras.feed(&id("c003")).unwrap()).await;
    eventually("hung up", WITHIN, || !feeds[2].status().up).await;
    assert_eq!(site.cameras.feed(&id("c000")).unwrap().status().sessions, 1);
    assert!(site.cameras.feed(&id("c002")).is_none());
    // The feed of a changed camera is the same: who holds it goes on reading.
    assert_eq!(feeds[1].status().sessions, 2);
    site.cameras.stop().await;
    eventually("all connections are closed", WITHIN, || {
        sim.stats().n_connections == 0
    })
    .await;
}

/// An address where nobody answers: a listener whose queue is full drops further calls.
struct DarkHost {
    url: String,
    _queue: Vec<TcpStream>,
    _listener: tokio::net::TcpListener,
}

impl DarkHost {
    async fn new() -> DarkHost {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queue.push(stream);
        }
        DarkHost {
            url: format!("rtsp://{address}/cam"),
            _queue: queue,
            _listener: listener,
        }
    }
}

#[tokio::test]
async fn dark_cameras_delay_no_other() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    let (sim, _tasks) = simulated(20).await;
    let dark = DarkHost::new().await;
    let mut cameras: Vec<_> = (0..120)
        .map(|idx| camera(&format!("b{idx:03}"), &dark.url))
        .collect();
    // After the dark ones in every queue.
    cameras.extend(of(&sim));
    let began = Instant::now();
    let site = Site::start(CamerasOptions::DEFAULT, cameras);
    let bright: Vec<Feed> = (0..20)
        .map(|idx| site.cameras.feed(&id(&format!("c{idx:03}"))).unwrap())
        .collect();
    eventually("all that answer stream", WITHIN, || {
        bright.iter().all(|feed| feed.status().up)
    })
    .await;
    // The first key frame may be 2 s away.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    site.says("b000", State::Degraded, "does not answer: check power")
        .await;
    site.cameras.stop().await;
}

#[tokio::test]
async fn mute_cameras_delay_no_other() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    logs.expect("camera session lost");
    let (sim, _tasks) = simulated(40).await;
    for idx in 0..30 {
        sim.set_fault(idx, CameraFault::BlackHole).unwrap();
    }
    let site = Site::start(CamerasOptions::DEFAULT, of(&sim));
    let later: Vec<Feed> = (30..40)
        .map(|idx| site.cameras.feed(&id(&format!("c{idx:03}"))).unwrap())
        .collect();
    // The mute ones were asked first, and cost one round of 5 s for each 16 of them, once.
    eventually("all that speak stream", Duration::from_secs(30), || {
        later.iter().all(|feed| feed.status().up)
    })
    .await;
    site.says("c000", State::Degraded, "does not answer RTSP")
        .await;
    for idx in 30..40 {
        sim.set_fault(idx, CameraFault::Reset).unwrap();
    }
    let began = Instant::now();
    eventually("all come back at once", WITHIN, || {
        later.iter().all(|feed| {
            let status = feed.status();
            status.up && status.sessions >= 2
        })
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    site.cameras.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_cameras_stream_within_a_minute_of_a_power_cut() {
    let mut logs = Logs::capture();
    logs.expect("camera cannot be had");
    logs.expect("camera session lost");
    let (sim, _tasks) = simulated(200).await;
    let site = Site::start(CamerasOptions::DEFAULT, of(&sim));
    let feeds = site.cameras.feeds();
    let n_up = || feeds.iter().filter(|feed| feed.status().up).count();
    let began = Instant::now();
    eventually("all stream", Duration::from_secs(60), || n_up() == 200).await;
    eprintln!("200 cameras at start: {:?}", began.elapsed());
    let listen = sim.addr();
    sim.stop().await.unwrap();
    drop(sim);
    eventually("all are lost", WITHIN, || n_up() == 0).await;
    // Long enough for the delays to have grown to their largest.
    let cut = Instant::now() + Duration::from_secs(12);
    eventually("the cut lasts", WITHIN * 2, || Instant::now() >= cut).await;
    let (sim, _tasks) = simulated_at(200, listen).await;
    // One of them takes calls and never speaks, the first in every queue.
    sim.set_fault(0, CameraFault::BlackHole).unwrap();
    let back = Instant::now();
    eventually(
        "all that speak stream again",
        Duration::from_secs(60),
        || n_up() == 199,
    )
    .await;
    let (took, stats) = (back.elapsed(), sim.stats());
    eprintln!("199 of 200 cameras after a power cut: {took:?}, {stats:?}");
    assert!(
        stats.n_dialling_max <= u64::try_from(DIALS_MAX).unwrap(),
        "{stats:?}"
    );
    // Each about once: who gets through needs no second call, and who waits does not call.
    assert!(stats.n_dials <= 220, "{stats:?}");
    sim.set_fault(0, CameraFault::Clear).unwrap();
    eventually("and the last one, once it speaks", WITHIN * 3, || {
        n_up() == 200
    })
    .await;
    site.cameras.stop().await;
}
