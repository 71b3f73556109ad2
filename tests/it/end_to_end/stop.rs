//! What hangs does not hold up the ordered end, and what was not meant for the gateway is not answered.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use stairgate::gateway::END_MAX;

use super::site::{KNOWN_CARD, Neighbours, SWIPE_TOPIC, Site, swipe};
use crate::harness::gateway::Gateway;
use crate::harness::http;
use crate::harness::mosquitto::publish_at;
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;

/// A gateway without any neighbour.
async fn alone() -> (Site, Gateway, u16) {
    let port = free_port();
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"embedded\"\nlisten = \"127.0.0.1:{port}\""),
        camera: format!("url = \"rtsp://127.0.0.1:{}/none\"", free_port()),
        police: None,
    });
    let mut gateway = Gateway::start(&site.config(), &site.web).await;
    for expected in ["configuration problem", "camera"] {
        gateway.expect(expected);
    }
    (site, gateway, port)
}

/// Puts a pipe in the place of `file`: whoever reads it waits for ever, as on a disk that hangs.
fn hang(file: &Path) {
    std::fs::rename(file, file.with_extension("kept")).unwrap();
    mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[tokio::test]
async fn a_footage_disk_that_hangs_is_said_and_does_not_hold_up_the_end() {
    let (site, mut gateway, mqtt) = alone().await;
    gateway.expect("footage disk is gone");
    hang(&site.path("footage/stairgate-footage-id"));
    eventually_ok("health says so", Duration::from_secs(60), || async {
        let health = gateway.get("/healthz").await.json();
        let reason = health["components"]["footage"]["reason"].to_string();
        if reason.contains("does not answer") {
            Ok(())
        } else {
            Err(reason)
        }
    })
    .await;
    // Nothing else is lost: the swipe is taken and decided.
    publish_at(mqtt, SWIPE_TOPIC, &swipe("5f3a", 1, KNOWN_CARD)).await;
    let entries = gateway.get("/api/v1/entries").await.json();
    assert_eq!(entries["items"][0]["decision"]["outcome"], "granted");
    gateway.stop(END_MAX).await;
}

#[tokio::test]
async fn a_page_that_leads_its_own_name_to_the_gateway_gets_nothing() {
    let (_site, gateway, _) = alone().await;
    let asked = |host: &str| {
        let url = gateway.url("/api/v1/entries");
        let token = http::token_of(&url).unwrap();
        let request = http::client().get(url).bearer_auth(token);
        http::send(request.header("host", host))
    };
    let answer = asked("rebound.example:8080").await.unwrap();
    assert_eq!(answer.status, 421);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], "misdirected");
    assert_eq!(asked("localhost:8080").await.unwrap().status, 200);
    gateway.stop(END_MAX).await;
}
