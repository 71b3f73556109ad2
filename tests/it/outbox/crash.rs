//! The process dies at a named point, again and again; nothing is lost, nothing comes twice in effect.

use std::process::Command;
use std::time::Duration;

use stairgate::domain::alert::{Alert, AlertKind, DeliveryState};
use stairgate::time::{Clock, WallTime};

use super::{
    Bed, Message, SOON, arrive, assert_in_order, assert_order, grpc_setup_at, pick, setup, setup_at,
};
use crate::harness::process::Process;
use crate::harness::{Logs, eventually, temp_dir};
use crate::linkage::receiver::Receiver;
use crate::linkage::{alert, platform};

const STORE: &str = "STAIRGATE_TEST_STORE";
const URL: &str = "STAIRGATE_TEST_URL";
const GRPC_URL: &str = "STAIRGATE_TEST_GRPC_URL";
const N_ALERTS: u64 = 40;

fn alerts() -> Vec<Alert> {
    let at = WallTime::from_unix_ms(1_795_307_415_120);
    let door = |n: u64| pick(&["a", "b", "c", "d"], n);
    (0..N_ALERTS)
        .map(|n| alert(n, AlertKind::Duress, door(n), at))
        .collect()
}

/// One life of the gateway's outbox: raises what is not raised yet, delivers, ends when all is
/// delivered. As a test by itself it does nothing.
#[tokio::test]
async fn one_life() {
    let var = |name| std::env::var(name).ok();
    let (Some(path), Some(url), Some(grpc_url)) = (var(STORE), var(URL), var(GRPC_URL)) else {
        return;
    };
    let linkages = vec![
        setup_at("police", url.parse().unwrap()),
        grpc_setup_at("platform", grpc_url.parse().unwrap()),
    ];
    let bed = Bed::start(path.as_ref(), linkages);
    for one in alerts() {
        bed.raise(vec![one], false).await;
    }
    let all = 2 * alerts().len();
    let delivered = || bed.deliveries(DeliveryState::Delivered).len() == all;
    eventually("all is delivered", Duration::from_secs(60), delivered).await;
    bed.stop().await;
}

async fn dies_at(point: &str) {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let platform = platform().await;
    let grpc_url = platform.grpc_url().unwrap().as_str();
    let store = dir.path().join("store");
    let mut n_crashes = 0;
    // Each life gets a little further before it dies; the last one is not killed.
    for pass in [1, 2, 3, 5, 8, 13, 0] {
        let mut life = Command::new(std::env::current_exe().unwrap());
        life.args(["--exact", "outbox::crash::one_life", "--nocapture"])
            .env(STORE, &store)
            .env(URL, police.url().as_str())
            .env(GRPC_URL, grpc_url)
            .env("STAIRGATE_CRASH_AT", format!("{point}:{pass}"));
        let mut life = Process::start("one life", &mut life, &dir.path().join("log"));
        eventually("the life ends", Duration::from_secs(60), || {
            life.exited().is_some()
        })
        .await;
        let ended_well = life.exited().unwrap().success();
        n_crashes += u32::from(!ended_well);
        if ended_well {
            break;
        }
    }
    assert!(n_crashes >= 4, "only {n_crashes} crashes at {point}");
    let alerts = alerts();
    arrive(&police, &alerts, SOON).await;
    assert_in_order(&police.taken(), &alerts);
    assert_eq!(police.taken().len(), alerts.len(), "each once in effect");
    let (first, repeats): (Vec<_>, Vec<_>) = platform
        .messages()
        .into_iter()
        .partition(|message| !message.is_repeat);
    let messages: Vec<Message> = first.iter().map(|one| Message::of(&one.body)).collect();
    assert_order(&messages, &alerts);
    assert_eq!(messages.len(), alerts.len(), "each once in effect");
    println!(
        "{point}: {n_crashes} crashes, {} and {} repeats",
        police.n_repeats(),
        repeats.len()
    );
    let linkages = vec![
        setup("police", &police),
        grpc_setup_at("platform", grpc_url.parse().unwrap()),
    ];
    let bed = Bed::start(&store, linkages);
    bed.assert_sound();
    let n_delivered = bed.deliveries(DeliveryState::Delivered).len();
    assert_eq!(n_delivered, 2 * alerts.len());
    assert!(bed.clock.now() > Clock::system().now().minus(SOON));
    bed.stop().await;
}

#[tokio::test]
async fn killed_between_raise_and_commit_it_is_raised_again_and_once() {
    dies_at("after_raise_before_commit").await;
}

#[tokio::test]
async fn killed_before_an_attempt_nothing_is_lost() {
    dies_at("before_attempt").await;
}

#[tokio::test]
async fn killed_between_receipt_and_commit_the_repeat_has_the_same_key() {
    dies_at("after_receipt_before_commit").await;
}
