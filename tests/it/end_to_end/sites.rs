//! The same path at sites of other kinds: a broker and a camera that ask who is there, no broker at all, and
//! a power cut in the middle of a clip.

use std::path::Path;
use std::time::Duration;

use super::site::{KNOWN_CARD, Neighbours, SWIPE_TOPIC, Site, swipe};
use super::{camera, settled_entry, warm};
use crate::frame_number::{fixture, shown_frames};
use crate::harness::gateway::{self, Gateway};
use crate::harness::mosquitto::publish_at;
use crate::harness::net::free_port;
use crate::harness::wait::eventually;
use crate::harness::{
    Mosquitto, MosquittoOptions, RtspAuth, RtspCodec, RtspOptions, RtspServer, tls,
};

/// A file under `folder` with more than `bytes`.
fn holds_more_than(folder: &Path, bytes: u64) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => holds_more_than(&entry.path(), bytes),
        Ok(metadata) => metadata.len() > bytes,
        Err(_) => false,
    })
}

/// The store is clean.
async fn verify(site: &Site) {
    let config = site.config();
    let verified = gateway::run(&["verify-store", "--config", config.to_str().unwrap()]).await;
    let errors = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{errors}");
}

#[tokio::test]
async fn a_swipe_comes_through_tls_a_log_in_and_a_digest() {
    let mosquitto = Mosquitto::start(MosquittoOptions {
        users: vec![("gateway", "fixture-pass")],
        tls: true,
        ..MosquittoOptions::default()
    })
    .await;
    let camera = RtspServer::start(RtspOptions {
        file: Some(fixture("video/numbered-h264.mp4")),
        auth: RtspAuth::Digest,
        ..RtspOptions::default()
    })
    .await;
    let authority = mosquitto.tls().unwrap().ca.display();
    let site = Site::new(&Neighbours {
        mqtt: format!(
            "url = \"{}\"\nca_file = \"{authority}\"\nusername = \"gateway\"\n\
             password_file = \"password\"",
            mosquitto.url()
        ),
        camera: format!(
            "url = \"{}\"\nusername = \"viewer\"\npassword_file = \"password\"",
            camera.url()
        ),
        police: None,
    });
    tls::write_secret(&site.path("password"), "fixture-pass");
    let mut gateway = Gateway::start(&site.config(), &site.web).await;
    gateway.expect("configuration problem");
    warm(&gateway).await;
    mosquitto
        .publish(SWIPE_TOPIC, &swipe("5f3a", 1, KNOWN_CARD), false)
        .await;
    let entry = settled_entry(&gateway).await;
    assert_eq!(entry["clip"]["state"], "whole", "{entry}");
    gateway.stop(Duration::from_secs(20)).await;
    verify(&site).await;
}

#[tokio::test]
async fn a_site_without_a_broker_is_served_by_the_endpoint_inside() {
    let camera = camera(RtspCodec::H264).await;
    let port = free_port();
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"embedded\"\nlisten = \"127.0.0.1:{port}\""),
        camera: format!("url = \"{}\"", camera.url()),
        police: None,
    });
    let mut gateway = Gateway::start(&site.config(), &site.web).await;
    gateway.expect("configuration problem");
    warm(&gateway).await;
    publish_at(port, SWIPE_TOPIC, &swipe("5f3a", 1, KNOWN_CARD)).await;
    // What is acknowledged is on disk, so it is there without waiting.
    let entries = gateway.get("/api/v1/entries").await.json();
    assert_eq!(
        entries["items"].as_array().map(Vec::len),
        Some(1),
        "{entries}"
    );
    let entry = settled_entry(&gateway).await;
    assert_eq!(entry["clip"]["state"], "whole", "{entry}");
    gateway.stop(Duration::from_secs(20)).await;
    verify(&site).await;
}

#[tokio::test]
async fn a_power_cut_in_mid_clip_leaves_the_part_before_it() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let camera = camera(RtspCodec::H264).await;
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"{}\"", mosquitto.url()),
        camera: format!("url = \"{}\"", camera.url()),
        police: None,
    });
    let mut gateway = Gateway::start(&site.config(), &site.web).await;
    gateway.expect("configuration problem");
    gateway.expect("footage file was open at the last end");
    warm(&gateway).await;
    mosquitto
        .publish(SWIPE_TOPIC, &swipe("5f3a", 1, KNOWN_CARD), false)
        .await;
    let folder = site.path("footage");
    eventually("the pre-roll is on disk", Duration::from_secs(10), || {
        holds_more_than(&folder, 50_000)
    })
    .await;
    gateway.crash();
    gateway.restart().await;

    let entry = settled_entry(&gateway).await;
    assert_eq!(
        entry["clip"]["state"],
        "partial",
        "{entry}\n{}",
        gateway.log()
    );
    let id = entry["id"].as_str().unwrap();
    let clip = gateway.get(&format!("/api/v1/entries/{id}/clip.mp4")).await;
    let file = site.path("clip.mp4");
    std::fs::write(&file, &clip.body).unwrap();
    let shown = shown_frames(&file);
    assert!(
        shown.len() >= 200,
        "most of the 10 s before the swipe: {}",
        shown.len()
    );
    assert!(shown.iter().all(|frame| frame.number.is_some()));
    gateway.stop(Duration::from_secs(20)).await;
    verify(&site).await;
}
