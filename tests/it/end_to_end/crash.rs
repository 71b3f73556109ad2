//! The gateway is ended at each named point between swipe and receipt; after a restart there is exactly
//! one entry, one alert in effect, footage that plays, and a clean store.

use std::collections::BTreeMap;
use std::time::Duration;

use super::site::{Neighbours, SWIPE_TOPIC, Site, UNKNOWN_CARD, swipe};
use super::{camera, settled_entry, warm};
use crate::harness::gateway::{self, Gateway};
use crate::harness::receiver::Receiver;
use crate::harness::wait::{eventually, eventually_ok};
use crate::harness::{Mosquitto, MosquittoOptions, RtspCodec};

/// Ends the gateway at its `point` while it works on one swipe of an unknown card.
async fn crash_at(point: &str) {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let camera = camera(RtspCodec::H264).await;
    let police = Receiver::start().await;
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"{}\"\nclient_id = \"gateway\"", mosquitto.url()),
        camera: format!("url = \"{}\"", camera.url()),
        police: Some(police.url()),
    });
    let envs = [("STAIRGATE_CRASH_AT", point)];
    let mut gateway = Gateway::spawn(&site.config(), &site.web, &envs);
    gateway.expect("configuration problem");
    gateway.expect("ending at an armed crash point");
    gateway.expect("footage file was open at the last end");
    gateway.ready().await;
    warm(&gateway).await;
    mosquitto
        .publish(SWIPE_TOPIC, &swipe("5f3a", 1, UNKNOWN_CARD), false)
        .await;
    eventually("the armed end", Duration::from_secs(40), || {
        gateway.exited().is_some()
    })
    .await;

    gateway.restart().await;
    let entry = settled_entry(&gateway).await;
    assert_eq!(entry["decision"]["reason"], "unknown-card");
    let newest = eventually_ok(
        "the alert with its clip",
        Duration::from_secs(30),
        || async {
            let by_id = newest_revisions(&police);
            match by_id.values().next() {
                Some(newest) if newest["clip"]["state"] != "pending" => Ok(newest.clone()),
                _ => Err(by_id),
            }
        },
    )
    .await;
    assert_eq!(newest["entry_id"], entry["id"]);
    assert_eq!(newest_revisions(&police).len(), 1, "one alert in effect");
    if entry["clip"]["state"] != "missed" {
        let id = entry["id"].as_str().unwrap();
        let clip = gateway.get(&format!("/api/v1/entries/{id}/clip.mp4")).await;
        assert_eq!(clip.status, 200, "{}", clip.text());
        let file = site.path("clip.mp4");
        std::fs::write(&file, &clip.body).unwrap();
        assert!(
            crate::frame_number::shown_frames(&file)
                .iter()
                .all(|f| f.number.is_some())
        );
    }
    gateway.stop(Duration::from_secs(20)).await;
    let config = site.config();
    let verified = gateway::run(&["verify-store", "--config", config.to_str().unwrap()]).await;
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

/// What a receiver that goes by id and revision has in the end.
fn newest_revisions(police: &Receiver) -> BTreeMap<String, serde_json::Value> {
    let mut newest: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for message in police.received() {
        let id = message["id"].as_str().unwrap().to_owned();
        let revision = message["revision"].as_u64();
        let standing = newest.get(&id).and_then(|m| m["revision"].as_u64());
        if standing < revision {
            newest.insert(id, message);
        }
    }
    newest
}

#[tokio::test]
async fn killed_before_the_commit() {
    crash_at("after_decide_before_commit").await;
}

#[tokio::test]
async fn killed_between_commit_and_ack() {
    crash_at("after_commit_before_ack").await;
}

#[tokio::test]
async fn killed_between_ack_and_clip() {
    crash_at("after_ack_before_clip").await;
}

#[tokio::test]
async fn killed_before_the_clip_is_recorded() {
    crash_at("after_settle_before_commit").await;
}

#[tokio::test]
async fn killed_before_an_attempt() {
    crash_at("before_attempt").await;
}

#[tokio::test]
async fn killed_between_receipt_and_commit() {
    crash_at("after_receipt_before_commit").await;
}
