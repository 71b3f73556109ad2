//! The main job among real neighbours: a swipe through mosquitto, a camera of gst-rtsp-server, and out
//! come an entry, exactly its 30 seconds, a decision, and an alert at the police receiver.

mod browser;
mod compound;
mod crash;
mod disks;
mod kills;
mod receivers;
mod site;
mod sites;
mod stop;
mod storms;

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::frame_number::{fixture, shown_frames};
use crate::harness::gateway::Gateway;
use crate::harness::rtsp::SentFrame;
use crate::harness::wait::eventually_ok;
use crate::harness::{Mosquitto, MosquittoOptions, RtspCodec, RtspOptions, RtspServer};
use site::{KNOWN_CARD, Neighbours, SWIPE_TOPIC, Site, swipe};

/// Pre-roll that must be in the ring before a swipe can have a whole clip, with a GOP to spare.
const WARM_UP: Duration = Duration::from_secs(13);
/// From a swipe to its settled clip: 20 s, 1 s to settle, and a slow machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Frames of the numbered fixtures.
const N_NUMBERS: u32 = 1_600;

async fn camera(codec: RtspCodec) -> RtspServer {
    let name = match codec {
        RtspCodec::H264 => "video/numbered-h264.mp4",
        RtspCodec::H265 => "video/numbered-h265.mp4",
    };
    let file = Some(fixture(name));
    RtspServer::start(RtspOptions {
        codec,
        file,
        ..RtspOptions::default()
    })
    .await
}

/// Waits until the camera's ring holds enough for a whole clip.
async fn warm(gateway: &Gateway) {
    eventually_ok("a full pre-roll", Duration::from_secs(40), || async {
        let cameras = gateway.get("/api/v1/cameras").await.json();
        match cameras["items"][0]["ring_s"].as_f64() {
            Some(held) if held >= WARM_UP.as_secs_f64() => Ok(()),
            held => Err(format!("{held:?} s in the ring: {cameras}")),
        }
    })
    .await;
}

/// The one entry there is, once its clip is settled.
async fn settled_entry(gateway: &Gateway) -> Value {
    eventually_ok("a settled clip", SETTLED_WITHIN, || async {
        let entries = gateway.get("/api/v1/entries").await.json();
        let items = entries["items"].as_array().unwrap().clone();
        match items.as_slice() {
            [entry] if entry["clip"]["state"] != "pending" => Ok(entry.clone()),
            [] | [_] => Err(entries),
            _ => panic!("more than one entry: {entries}"),
        }
    })
    .await
}

/// The clip shows, without a break, the 30 s that begin 10 s before `swiped`: the first frame is the
/// one that was on screen then or the one before it, never a later one.
fn assert_exact(clip: &std::path::Path, sent: &[SentFrame], swiped: Instant) {
    let start = swiped - Duration::from_secs(10);
    let due = sent
        .iter()
        .rfind(|frame| frame.at() <= start)
        .expect("a frame before the window");
    let shown = shown_frames(clip);
    let numbers: Vec<u32> = shown
        .iter()
        .map(|frame| frame.number.expect("a whole frame"))
        .collect();
    let late = (numbers[0] + N_NUMBERS - u32::try_from(due.idx).unwrap()) % N_NUMBERS;
    assert!(
        late == 0 || late == N_NUMBERS - 1,
        "the first frame is {}, the one due was {}",
        numbers[0],
        due.idx
    );
    for pair in numbers.windows(2) {
        assert_eq!(
            pair[1],
            (pair[0] + 1) % N_NUMBERS,
            "no frame is missing or repeated"
        );
    }
    assert!(
        (749..=751).contains(&numbers.len()),
        "30 s of 25 fps, got {}",
        numbers.len()
    );
}

async fn whole_path(codec: RtspCodec, transport: &str) {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let camera = camera(codec).await;
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"{}\"\nclient_id = \"gateway\"", mosquitto.url()),
        camera: format!("url = \"{}\"\ntransport = \"{transport}\"", camera.url()),
        police: None,
    });
    let mut gateway = Gateway::start(&site.config(), &site.web).await;
    gateway.expect("configuration problem");
    warm(&gateway).await;

    let swiped = Instant::now();
    let message = swipe("5f3a", 17, KNOWN_CARD);
    mosquitto.publish(SWIPE_TOPIC, &message, false).await;
    // The same again: a duplicate is no second entry.
    mosquitto.publish(SWIPE_TOPIC, &message, false).await;
    let entry = settled_entry(&gateway).await;
    assert_eq!(entry["decision"]["outcome"], "granted", "{entry}");
    assert_eq!(entry["clip"]["state"], "whole", "{entry}");
    assert_eq!(entry["card_ref"], "\u{2026}C3D4");

    let id = entry["id"].as_str().unwrap();
    let answer = gateway.get(&format!("/api/v1/entries/{id}/clip.mp4")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "video/mp4")
    );
    let file = site.path("clip.mp4");
    std::fs::write(&file, &answer.body).unwrap();
    let sum = stairgate::clip::sha256_hex(&answer.body);
    assert_eq!(entry["clip"]["sha256"], sum);
    assert_exact(&file, &camera.sent(), swiped);

    let picture = gateway
        .get(&format!("/api/v1/entries/{id}/thumbnail.jpg"))
        .await;
    assert_eq!(
        (picture.status, &picture.body[..2]),
        (200, [0xFF, 0xD8].as_slice())
    );
    if codec == RtspCodec::H264 {
        let played = browser::play(&gateway.url(&format!("/api/v1/entries/{id}/clip.mp4"))).await;
        assert!((played.duration_s - 30.0).abs() <= 0.05, "{played:?}");
        assert!((played.ended_s - 30.0).abs() <= 0.05, "{played:?}");
        assert_eq!(played.width, 640);
    }
    gateway.stop(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_swipe_becomes_an_exact_clip_h264_tcp() {
    whole_path(RtspCodec::H264, "tcp").await;
}

#[tokio::test]
async fn a_swipe_becomes_an_exact_clip_h264_udp() {
    whole_path(RtspCodec::H264, "udp").await;
}

#[tokio::test]
async fn a_swipe_becomes_an_exact_clip_h265_tcp() {
    whole_path(RtspCodec::H265, "tcp").await;
}

#[tokio::test]
async fn a_swipe_becomes_an_exact_clip_h265_udp() {
    whole_path(RtspCodec::H265, "udp").await;
}
