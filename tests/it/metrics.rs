//! What `/metrics` of the running program shows: each name once, all that the contract promises, and all
//! that the rules and the dashboard in `deploy/` ask for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::gateway::Gateway;
use crate::harness::mosquitto::publish_at;
use crate::harness::{eventually_ok, in_package, net, temp_dir, tls};

/// Promised to whoever watches a gateway; a change of one is a line in the CHANGELOG.
const PROMISED: [&str; 21] = [
    "stairgate_camera_bytes_total",
    "stairgate_camera_clock_offset_seconds",
    "stairgate_camera_frames_total",
    "stairgate_camera_keyframe_age_seconds",
    "stairgate_camera_lost_packets_total",
    "stairgate_camera_up",
    "stairgate_clip_ready_seconds",
    "stairgate_clips_total",
    "stairgate_delivery_seconds",
    "stairgate_disk_free_bytes",
    "stairgate_live_latency_seconds",
    "stairgate_live_skipped_total",
    "stairgate_live_sub_sessions",
    "stairgate_live_viewers",
    "stairgate_outbox_deliveries",
    "stairgate_outbox_oldest_age_seconds",
    "stairgate_ring_bytes",
    "stairgate_store_flush_seconds",
    "stairgate_swipe_commit_seconds",
    "stairgate_swipes_total",
    "stairgate_mqtt_connections",
];

/// The names in `text`, as samples have them; a histogram's parts count as the histogram.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("stairgate_"))
        .map(|name| {
            let parts = ["_bucket", "_count", "_sum"];
            let whole = parts.iter().find_map(|part| name.strip_suffix(part));
            whole.unwrap_or(name).to_owned()
        })
        .collect()
}

/// The families of an exposition, by the names their samples have; fails on one that is there twice.
fn families(exposition: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in exposition.lines() {
        let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let suffix = if kind == "counter" { "_total" } else { "" };
        assert!(
            names.insert(format!("{name}{suffix}")),
            "{name} is there twice"
        );
    }
    names
}

#[tokio::test]
async fn metrics_show_what_was_promised_and_what_deploy_asks_for() {
    let dir = temp_dir();
    let web = format!("127.0.0.1:{}", net::free_port());
    let mqtt_port = net::free_port();
    // Nobody is there: what is away is measured too.
    let (camera_port, police_port) = (net::free_port(), net::free_port());
    let config = dir.path().join("gateway.toml");
    let text = format!(
        r#"
compound = {{ id = "it-1", name = "Test", time_zone = "Asia/Shanghai" }}
store = {{ path = "store" }}
footage = {{ path = "footage", free_space_floor = "1%" }}
web = {{ listen = "{web}" }}
mqtt = {{ url = "embedded", listen = "127.0.0.1:{mqtt_port}" }}
stairwell = [{{ id = "b1-u1", building = "1", unit = "1" }}]
camera = [{{ id = "c1", place = "b1-u1", url = "rtsp://127.0.0.1:{camera_port}/cam" }}]
door = [{{ id = "d1", place = "b1-u1", cameras = ["c1"] }}]
linkage = [{{ id = "l1", kind = "webhook", url = "http://127.0.0.1:{police_port}/", secret_file = "secret" }}]
"#
    );
    std::fs::write(&config, text).unwrap();
    tls::write_secret(&dir.path().join("secret"), "a shared secret of the test");
    let mut gateway = Gateway::spawn(&config, &web, &[]);
    gateway.expect("camera cannot be had");
    gateway.expect("configuration problem");
    gateway.expect("stairgate::outbox");
    gateway.ready().await;
    let swipe = r#"{"v":1,"boot":"a","seq":1,"card":"04FFFFFFFF"}"#;
    publish_at(mqtt_port, "stairgate/it-1/door/d1/swipe", swipe).await;
    let scraped = eventually_ok("the swipe is counted", Duration::from_secs(10), || async {
        let text = gateway.get("/metrics").await.text();
        let is_counted = text.contains("stairgate_swipes_total{");
        if is_counted { Ok(text) } else { Err(text) }
    })
    .await;

    let shown = families(&scraped);
    let missing: Vec<_> = PROMISED
        .iter()
        .filter(|name| !shown.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "promised: {missing:?}; shown: {shown:#?}"
    );
    for file in [
        "deploy/prometheus/stairgate.rules.yml",
        "deploy/grafana/stairgate.json",
    ] {
        let asked = names_in(&std::fs::read_to_string(in_package(file)).unwrap());
        let missing: Vec<_> = asked.difference(&shown).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}");
    }
    gateway.stop(Duration::from_secs(15)).await;
}
