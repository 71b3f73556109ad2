//! Live video over one WebSocket, with ffmpeg as the judge of what comes.

mod client;
mod hostile;
mod site;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use stairgate::domain::role::Role;
use stairgate::sim::cameras::CameraFault;
use tokio::time::Instant;
use url::Url;

use self::client::{FRAGMENT, Got, INIT, KEY_FRAGMENT, PICTURE, Piece, Viewer};
use self::site::{CameraLine, Site, cameras};
use crate::frame_number::shown_numbers;
use crate::harness::wait::eventually_ok;

const H264: &str = "video/numbered-h264.mp4";
const SMALL: &str = "video/numbered-h264-small.mp4";
const H265: &str = "video/numbered-h265.mp4";
const WITHIN: Duration = Duration::from_secs(20);

fn line(id: &'static str, url: &Url) -> CameraLine {
    CameraLine {
        id,
        url: url.to_string(),
        sub_url: None,
    }
}

/// The numbers in the pictures of an init segment and the fragments after it.
fn numbers(site: &Site, pieces: &[Piece]) -> Vec<u32> {
    let path = site.path("shown.mp4");
    let bytes: Vec<u8> = pieces.iter().flat_map(|it| it.payload.clone()).collect();
    std::fs::write(&path, bytes).unwrap();
    shown_numbers(&path)
}

fn assert_in_a_row(numbers: &[u32]) {
    let is_next = |pair: &[u32]| pair[1] == (pair[0] + 1) % 1_600;
    assert!(numbers.windows(2).all(is_next), "{numbers:?}");
}

#[tokio::test]
async fn live_video_is_there_within_a_second_and_every_frame_of_it_plays() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;

    let asked = Instant::now();
    viewer.watch(7, "b03-u2-in").await;
    let opened = viewer.text("opened").await;
    assert_eq!(opened["stream"], "main");
    assert_eq!(opened["mode"], "mse");
    assert_eq!(opened.get("why"), None);
    assert_eq!(
        (&opened["width"], &opened["height"]),
        (&json!(640), &json!(360))
    );
    let mime = format!("video/mp4; codecs={}", opened["codec"]);
    assert_eq!(opened["mime"], mime);
    let mut pieces = Vec::new();
    while pieces.len() < 100 {
        pieces.push(viewer.piece().await);
    }
    let kinds: Vec<u8> = pieces.iter().take(2).map(|it| it.kind).collect();
    assert_eq!(kinds, [INIT, KEY_FRAGMENT]);
    let first = pieces[1].at.saturating_duration_since(asked);
    assert!(
        first < Duration::from_secs(1),
        "first fragment after {first:?}"
    );
    for (idx, piece) in pieces.iter().enumerate() {
        assert_eq!((piece.id, piece.sequence as usize), (7, idx));
        assert!(piece.sent_ms >= piece.arrived_ms);
    }
    let numbers = numbers(&site, &pieces);
    assert!(numbers.len() >= 98, "each fragment has a frame or more");
    assert_in_a_row(&numbers);
    // What it began with was in memory; what comes then is new.
    let mut latencies: Vec<u64> = pieces[2..]
        .iter()
        .map(|it| it.sent_ms - it.arrived_ms)
        .collect();
    latencies.sort_unstable();
    let p95_ms = latencies[latencies.len() * 95 / 100];
    assert!(p95_ms < 1_000, "{latencies:?}");
    assert!(site.metric("stairgate_live_latency_seconds_count").await > 50);

    // A second viewer begins at the newest key frame, too, and the first goes on undisturbed.
    let mut second = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    second.watch(1, "b03-u2-in").await;
    assert_eq!(second.piece().await.kind, INIT);
    assert_eq!(second.piece().await.kind, KEY_FRAGMENT);
    assert_eq!(site.metric("stairgate_live_viewers").await, 2);
    assert_eq!(site.metric("stairgate_live_streams").await, 1);
    drop(second);
    let picture = site
        .get_as(&token, "/api/v1/cameras/b03-u2-in/picture.jpg")
        .await;
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, "image/jpeg")
    );
    assert!(picture.body.starts_with(&[0xff, 0xd8]));
    assert!(picture.header("last-modified").ends_with(" GMT"));
    let age_ms: u64 = picture.header("x-stairgate-age-ms").parse().unwrap();
    assert!(age_ms < 10_000, "{age_ms}");
    viewer.say(&json!({"type": "unwatch", "id": 7})).await;
    drop(viewer);
    site.gateway.stop(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_camera_that_is_pulled_is_told_and_comes_back_by_itself() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    viewer.watch(1, "b03-u2-in").await;
    viewer.text("opened").await;
    let state = |got: &Got| match got {
        Got::Text(text) if text["type"] == "state" => Some(text["watches"][0].clone()),
        _ => None,
    };
    let up = viewer.until(|got| state(got).filter(|it| it["is_up"] == true));
    assert!(up.await["age_ms"].as_i64().unwrap() < 3_000);

    // No frame comes, and nobody says why: the age tells.
    sim.set_fault(0, CameraFault::Freeze).unwrap();
    let frozen = Instant::now();
    let is_old = |it: &serde_json::Value| it["age_ms"].as_i64().is_some_and(|ms| ms >= 3_000);
    viewer.until(|got| state(got).filter(is_old)).await;
    assert!(frozen.elapsed() < Duration::from_secs(5));
    sim.set_fault(0, CameraFault::Thaw).unwrap();
    let is_new = |it: &serde_json::Value| it["age_ms"].as_i64().is_some_and(|ms| ms < 1_000);
    viewer.until(|got| state(got).filter(is_new)).await;

    // The plug is pulled.
    let down = Duration::from_secs(2);
    sim.set_fault(0, CameraFault::Reboot { down }).unwrap();
    let pulled = Instant::now();
    viewer
        .until(|got| state(got).filter(|it| it["is_up"] == false))
        .await;
    assert!(pulled.elapsed() < Duration::from_secs(5));
    viewer.text("opened").await;
    assert!(pulled.elapsed() < down + Duration::from_secs(8));
    let mut pieces = Vec::new();
    while pieces.len() < 30 {
        pieces.push(viewer.piece().await);
    }
    assert_eq!((pieces[0].kind, pieces[1].kind), (INIT, KEY_FRAGMENT));
    assert_in_a_row(&numbers(&site, &pieces));
}

#[tokio::test]
async fn what_a_browser_cannot_play_comes_as_pictures_and_what_it_can_as_video() {
    let sim = cameras(1, H265).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    viewer.watch(1, "b03-u2-in").await;
    let opened = viewer.text("opened").await;
    assert_eq!(opened["mode"], "picture");
    assert_eq!(opened["why"], "h265-not-playable");
    assert!(opened["codec"].as_str().unwrap().starts_with("hvc1."));
    let mut pictures = Vec::new();
    while pictures.len() < 3 {
        pictures.push(viewer.piece().await);
    }
    for picture in &pictures {
        assert_eq!(picture.kind, PICTURE);
        assert!(picture.payload.starts_with(&[0xff, 0xd8]));
    }
    for pair in pictures.windows(2) {
        assert!(pair[1].arrived_ms >= pair[0].arrived_ms + 1_000, "{pair:?}");
    }

    let mut able = Viewer::welcomed(&site.web, &token, &["h264", "h265"]).await;
    able.watch(1, "b03-u2-in").await;
    let opened = able.text("opened").await;
    assert_eq!(opened["mode"], "mse");
    let mut pieces = Vec::new();
    while pieces.len() < 60 {
        pieces.push(able.piece().await);
    }
    assert_in_a_row(&numbers(&site, &pieces));
}

#[tokio::test]
async fn a_sub_stream_is_opened_when_somebody_looks_and_closed_when_nobody_does() {
    let (sim, subs) = (cameras(1, H264).await, cameras(1, SMALL).await);
    let camera = CameraLine {
        sub_url: Some(subs.url(0).to_string()),
        ..line("b03-u2-in", &sim.url(0))
    };
    let site = Site::start(&[camera]).await;
    assert_eq!(subs.stats().n_dials, 0, "nobody looks yet");
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    viewer.watch(1, "b03-u2-in").await;
    let opened = viewer.text("opened").await;
    assert_eq!(
        (&opened["stream"], &opened["why"]),
        (&json!("main"), &json!("sub-opening"))
    );
    let opened = viewer.text("opened").await;
    assert_eq!(
        (&opened["stream"], &opened["width"]),
        (&json!("sub"), &json!(320))
    );
    let mut pieces = Vec::new();
    while pieces.len() < 30 {
        pieces.push(viewer.piece().await);
    }
    let shown = numbers(&site, &pieces);
    assert!(shown.iter().all(|n| *n >= 20_000), "{shown:?}");
    assert_eq!(site.metric("stairgate_live_sub_sessions").await, 1);

    // It fails: the main stream is shown instead, until it is back.
    subs.set_fault(0, CameraFault::Refuse { status: 503 })
        .unwrap();
    subs.set_fault(0, CameraFault::Reset).unwrap();
    let opened = viewer.text("opened").await;
    assert_eq!(
        (&opened["stream"], &opened["why"]),
        (&json!("main"), &json!("sub-away"))
    );
    subs.set_fault(0, CameraFault::Clear).unwrap();
    let opened = viewer.text("opened").await;
    assert_eq!(opened["stream"], "sub");

    viewer.say(&json!({"type": "unwatch", "id": 1})).await;
    let what = "the sub stream is hung up";
    eventually_ok(what, WITHIN, || async {
        let n = site.metric("stairgate_live_sub_sessions").await;
        let n_connections = subs.stats().n_connections;
        if (n, n_connections) == (0, 0) {
            Ok(())
        } else {
            Err((n, n_connections))
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_viewer_goes_on_at_a_key_frame_and_others_notice_nothing() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut slow = Viewer::open_narrow(&site.web, &token).await;
    slow.hello(&["h264"]).await;
    for id in 1..=16 {
        slow.watch(id, "b03-u2-in").await;
    }
    let mut brisk = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    brisk.watch(1, "b03-u2-in").await;
    // The slow one takes nothing while the other is shown 6 s.
    let mut pieces = Vec::new();
    while pieces.len() < 150 {
        pieces.push(brisk.piece().await);
    }
    assert_in_a_row(&numbers(&site, &pieces));
    let mut last: BTreeMap<u16, Piece> = BTreeMap::new();
    let jumped = slow.until(|got| {
        let Got::Piece(piece) = got else { return None };
        let before = last.insert(piece.id, piece.clone());
        let gap_ms = before.map_or(0, |it| piece.arrived_ms.saturating_sub(it.arrived_ms));
        (gap_ms > 1_500).then(|| piece.clone())
    });
    assert_eq!(jumped.await.kind, KEY_FRAGMENT);
    let mut n_new = 0;
    while n_new < 50 {
        let piece = slow.piece().await;
        assert!([INIT, KEY_FRAGMENT, FRAGMENT].contains(&piece.kind));
        // It is at the live edge again.
        n_new += u32::from(piece.sent_ms - piece.arrived_ms < 1_000);
    }
    assert!(site.metric("stairgate_live_skipped_total").await > 0);
}
