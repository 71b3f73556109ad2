//! A clip's way out: from the end of its window to settled, with 93 cameras and ten clips at once; and
//! its export when someone asks for it.
//! `cargo bench --bench gateway -- clips 93 20` (cameras, rounds of ten swipes)

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::cameras::Cameras;
use crate::common::process::{Program, answer, get, metric};
use crate::common::site::Site;
use crate::common::{ms, quantile, runtime};
use futures_util::future::join_all;
use serde_json::Value;
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::sim::doors::{
    DoorMode, SimDoor, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe,
};
use stairgate::supervise::Supervisor;
use stairgate::time::{Clock, WallTime};
use tokio::time::Instant;

const N_CAMERAS: usize = 93;
const N_ROUNDS: u64 = 20;
/// Swipes at once.
const N_AT_ONCE: usize = 10;
const ROUND_EVERY: Duration = Duration::from_secs(3);
const RING_FULL_S: f64 = 12.0;
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(asked: &[u64]) {
    let n = asked
        .first()
        .map_or(N_CAMERAS, |n| usize::try_from(*n).unwrap_or(N_CAMERAS));
    let n_rounds = asked.get(1).copied().unwrap_or(N_ROUNDS);
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let cameras = Cameras::start(n, folder.path());
    let site = Site::write(folder.path(), n, &cameras.urls, "");
    let log = folder.path().join("gateway.log");
    let mut gateway = Program::stairgate(&site.run_args(), &log);
    gateway.ready(site.web, &log);
    let entries = runtime(1).block_on(async {
        wait_for_rings(site.web, n).await;
        swipe(site.mqtt.port(), n, n_rounds).await;
        settled(site.web, n_rounds * N_AT_ONCE as u64).await
    });

    let mut late: Vec<Duration> = entries.iter().map(settled_after).collect();
    late.sort();
    let n_whole = entries
        .iter()
        .filter(|e| e["clip"]["state"] == "whole")
        .count();
    println!(
        "window end to settled, {n} cameras, {N_AT_ONCE} clips at once, {} clips ({n_whole} whole): p50 {} ms, \
         p99 {} ms (target p99 1000)",
        late.len(),
        ms(quantile(&late, 50)),
        ms(quantile(&late, 99))
    );
    // A new process has exported nothing yet.
    gateway.stop();
    let mut gateway = Program::stairgate(&site.run_args(), &log);
    gateway.ready(site.web, &log);
    show_exports(site.web, &entries);
    gateway.stop();
}

fn show_exports(web: SocketAddr, entries: &[Value]) {
    let mut times = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let id = entry["id"].as_str().expect("an entry has an id");
        let begun = Instant::now();
        let clip = answer(web, &format!("/api/v1/entries/{id}/clip.mp4")).expect("an answer");
        times.push(begun.elapsed());
        let head = String::from_utf8_lossy(clip.get(..clip.len().min(600)).unwrap_or_default());
        assert!(head.starts_with("HTTP/1.1 200"), "entry {id}: {head}");
        bytes += clip.len();
    }
    times.sort();
    println!(
        "export and download of a clip of {} MB, for the first time: p50 {} ms, p99 {} ms (target 50)",
        bytes / 1_000_000 / entries.len().max(1),
        ms(quantile(&times, 50)),
        ms(quantile(&times, 99))
    );
}

async fn wait_for_rings(web: SocketAddr, n: usize) {
    loop {
        let rings = metric(web, "stairgate_ring_seconds");
        if rings.len() == n && rings.iter().all(|held| *held >= RING_FULL_S) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every three seconds ten doors at once, in turns.
async fn swipe(port: u16, n: usize, n_rounds: u64) {
    let options = SimDoorsOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        compound: CompoundId::new("bench").expect("a slug"),
        topic_prefix: "stairgate".to_owned(),
        doors: (0..n)
            .map(|idx| SimDoorOptions {
                id: DoorId::new(&format!("d{idx}")).expect("a slug"),
                credentials: None,
                mode: DoorMode::Record,
            })
            .collect(),
    };
    let supervisor = Supervisor::new();
    let doors = SimDoors::start(&options, &Clock::system(), &supervisor).expect("doors start");
    while !doors.all().all(SimDoor::is_online) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let swipe = SimSwipe::card(CardNumber::new("04A1B2C3D4").expect("hexadecimal digits"));
    let in_turn: Vec<&SimDoor> = doors.all().collect();
    let mut turns = in_turn.iter().copied().cycle();
    for _ in 0..n_rounds {
        let ten: Vec<&SimDoor> = turns.by_ref().take(N_AT_ONCE).collect();
        for report in join_all(ten.into_iter().map(|door| door.swipe(&swipe))).await {
            report.expect("every swipe is acknowledged");
        }
        tokio::time::sleep(ROUND_EVERY).await;
    }
    doors.stop().await.expect("doors stop");
}

/// All entries, once none of their clips is pending.
async fn settled(web: SocketAddr, n: u64) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let (_, body) = get(web, "/api/v1/entries?limit=500").expect("an answer");
        let page: Value = serde_json::from_str(&body).expect("JSON");
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let is_settled = |entry: &Value| entry["clip"]["state"] != "pending";
        if items.len() as u64 == n.min(500) && items.iter().all(is_settled) {
            return items;
        }
        assert!(
            begun.elapsed() < SETTLED_WITHIN,
            "all clips are settled: {} of {n}",
            items.len()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn settled_after(entry: &Value) -> Duration {
    let time = |value: &Value| -> WallTime {
        let text = value.as_str().expect("a time");
        text.parse().expect("RFC 3339")
    };
    time(&entry["clip"]["settled_at"]).since(time(&entry["clip"]["to"]))
}
