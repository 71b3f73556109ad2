//! Storms at the doors: a broker that goes and comes, swipes told again and again, a reader that is stuck.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use stairgate::domain::card::CardNumber;
use stairgate::domain::swipe::Method;
use stairgate::sim::doors::{DoorFault, SimDoor, SimSwipe, SwipeReport};
use tokio::time::{Instant, sleep_until};

use super::compound::{Compound, CompoundOptions, entries};
use super::site::{KNOWN_CARD, UNKNOWN_CARD};
use crate::harness::gateway::Gateway;
use crate::harness::wait::eventually_ok;

/// A stuck reader swipes so often each second…
const STUCK_PER_S: u32 = 20;
/// …and so many times.
const STUCK_SWIPES: u32 = 300;
/// What a gateway may grow by meanwhile: 100 clips of 5 s open at a time and the exports kept of the last
/// ones, of a small camera.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

fn card(number: &str) -> SimSwipe {
    SimSwipe::card(CardNumber::new(number).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restarted_in_mid_flow_and_a_kill_besides_lose_and_double_nothing() {
    let compound = Compound::start(&CompoundOptions::default()).await;
    let mut gateway = compound.gateway(&[]).await;
    gateway.expect("mqtt session ended");
    let storm = async {
        gateway.ready().await;
        for n in 0..4 {
            // So that the restart comes in mid-flow, while both sides have messages under way.
            sleep_until(Instant::now() + Duration::from_secs(2)).await;
            let mut mosquitto = compound.mosquitto.lock().await;
            mosquitto.stop().await;
            if n == 2 {
                gateway.start_again();
                gateway.ready().await;
            }
            mosquitto.restart().await;
        }
    };
    let (published, ()) = compound.while_swiping(storm).await;
    println!(
        "{} swipes through 4 restarts of the broker",
        published.len()
    );
    compound.calm(&gateway, &published).await;
    gateway.stop(Duration::from_secs(30)).await;
    compound.reckon(&published).await;
}

fn id_of(door: &SimDoor, report: &SwipeReport) -> String {
    report.key.entry_id(door.id()).to_string()
}

/// Waits until the gateway has exactly the entries `expected`, each once; it never has others.
async fn has_exactly(gateway: &Gateway, expected: &BTreeSet<String>) {
    eventually_ok(
        "each swipe is an entry",
        Duration::from_secs(30),
        || async {
            let listed = entries(gateway).await;
            let ids: Vec<&str> = listed
                .iter()
                .filter_map(|entry| entry["id"].as_str())
                .collect();
            let once: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(once.len(), ids.len(), "no entry twice");
            assert!(once.is_subset(expected), "no entry that was not a swipe");
            (once == *expected).then_some(()).ok_or(once.len())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_doubled_and_replayed_swipes_make_no_entry_twice() {
    let compound = Compound::start(&CompoundOptions::default()).await;
    let mut gateway = compound.gateway(&[]).await;
    gateway.ready().await;
    let mut expected = BTreeSet::new();
    let [retains, doubles, replays] = &compound.doors[..3] else {
        panic!("a compound has ten doors");
    };
    retains.set_fault(DoorFault::Retained);
    doubles.set_fault(DoorFault::Duplicate { n_more: 3 });
    for _ in 0..10 {
        for door in [retains, doubles, replays] {
            let report = door.swipe(&card(KNOWN_CARD)).await.unwrap();
            expected.insert(id_of(door, &report));
        }
    }
    replays.replay(10).await.unwrap();
    has_exactly(&gateway, &expected).await;
    for _ in 0..2 {
        // The broker gives the retained swipe to each new session; a power cut has controllers replay.
        gateway.start_again();
        gateway.ready().await;
        replays.replay(10).await.unwrap();
        let report = doubles.swipe(&card(KNOWN_CARD)).await.unwrap();
        expected.insert(id_of(doubles, &report));
        has_exactly(&gateway, &expected).await;
    }
    let metrics = gateway.get("/metrics").await.text();
    let n_doubles = |door: &SimDoor| {
        let labels = format!("door=\"{}\",outcome=\"duplicate\"", door.id());
        let line = metrics.lines().find(|line| line.contains(&labels));
        let count = line.and_then(|line| line.rsplit(' ').next());
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    // Since the last start; and what the kill before it left unacknowledged.
    assert!(n_doubles(retains) >= 1, "told by the broker at each start");
    assert!(n_doubles(doubles) >= 3 && n_doubles(replays) >= 10);
    gateway.stop(Duration::from_secs(30)).await;
}

async fn alerts(gateway: &Gateway) -> Vec<Value> {
    let page = gateway.get("/api/v1/alerts?limit=500").await.json();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_reader_becomes_entries_and_few_alerts_in_bounded_memory() {
    let compound = Compound::start(&CompoundOptions {
        flood_n_max: 5,
        ..CompoundOptions::default()
    })
    .await;
    let mut gateway = compound.gateway(&[]).await;
    gateway.ready().await;
    let door = &compound.doors[0];
    // What a gateway needs for any clip at all is there before it is measured.
    let mut expected = BTreeSet::new();
    let first = door.swipe(&card(KNOWN_CARD)).await.unwrap();
    expected.insert(id_of(door, &first));
    settled(&gateway, 1).await;
    let before = gateway.memory_bytes();
    let stuck = door
        .burst(&card(UNKNOWN_CARD), STUCK_SWIPES, STUCK_PER_S)
        .await;
    expected.extend(
        stuck
            .iter()
            .map(|report| id_of(door, report.as_ref().unwrap())),
    );
    settled(&gateway, expected.len()).await;
    let grown = gateway.memory_bytes().saturating_sub(before);
    println!(
        "{STUCK_SWIPES} swipes at {STUCK_PER_S}/s: {} MiB more memory",
        grown >> 20
    );
    assert!(grown < GROWTH_BYTES_MAX, "{} MiB", grown >> 20);
    has_exactly(&gateway, &expected).await;

    let raised = alerts(&gateway).await;
    let mut counts: Vec<u64> = raised
        .iter()
        .map(|alert| alert["count"].as_u64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [1, 1, 1, 1, u64::from(STUCK_SWIPES) - 4],
        "the fifth counts the rest"
    );
    eventually_ok("the count is told", Duration::from_secs(30), || async {
        let told = compound.police.received();
        let newest = told
            .iter()
            .filter_map(|message| message["count"].as_u64())
            .max();
        (newest == Some(u64::from(STUCK_SWIPES) - 4))
            .then_some(())
            .ok_or(newest)
    })
    .await;
    let n_told = compound.police.received().len();
    assert!(n_told <= 20, "{n_told} messages for one stuck reader");

    // Persons in danger are never counted together.
    let forced = SimSwipe {
        method: Method::Duress,
        ..card(KNOWN_CARD)
    };
    door.burst(&forced, 10, STUCK_PER_S).await;
    eventually_ok("an alert for each", Duration::from_secs(30), || async {
        let raised = alerts(&gateway).await;
        let forced = raised.iter().filter(|alert| alert["kind"] == "duress");
        let n = forced.filter(|alert| alert["count"] == 1).count();
        (n == 10).then_some(()).ok_or(n)
    })
    .await;
    gateway.stop(Duration::from_secs(30)).await;
}

async fn settled(gateway: &Gateway, n: usize) {
    eventually_ok("clips are settled", Duration::from_secs(60), || async {
        let entries = entries(gateway).await;
        let settled = entries
            .iter()
            .filter(|entry| entry["clip"]["state"] != "pending");
        let n_settled = settled.count();
        (n_settled >= n).then_some(()).ok_or(n_settled)
    })
    .await;
}
