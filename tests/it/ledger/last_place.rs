//! 64 clerks ask for the last place of each of 100 dwellings, and the gateway is killed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::json;

use super::site::{Site, rented};
use crate::harness::wait::{eventually, eventually_ok};
use crate::harness::{Mosquitto, MosquittoOptions};

const N_CLERKS: usize = 64;
const N_DWELLINGS: usize = 100;
/// Killed when so many of the dwellings have been given away.
const KILL_AT: usize = N_DWELLINGS / 2;

#[derive(Default)]
struct Given {
    /// Who was told "yes", by dwelling.
    to: Mutex<BTreeMap<usize, Vec<String>>>,
    n_given: AtomicUsize,
}

/// One clerk, who asks for every dwelling in turn and does not give up when nobody answers.
async fn clerk(site: &Clerk, number: usize, given: &Given) {
    for dwelling in 0..N_DWELLINGS {
        let id = format!("d{dwelling:02}-c{number:02}");
        let body = json!({"id": id, "name": "Test Person", "relation": "tenant"}).to_string();
        let url = format!("{}/api/v1/dwellings/d{dwelling:02}/cardholders", site.base);
        // When it is killed, whether the place was given is unknown, so ask again.
        let status = eventually_ok("an answer", Duration::from_secs(60), || async {
            let request = site.client.post(&url).bearer_auth(&site.token);
            let request = request.header("content-type", "application/json");
            let answer = request.body(body.clone()).send().await;
            answer.map(|answer| answer.status().as_u16())
        })
        .await;
        match status {
            201 => {
                given.to.lock().entry(dwelling).or_default().push(id);
                given.n_given.fetch_add(1, Ordering::Relaxed);
            }
            409 => {}
            other => panic!("clerk {number} at d{dwelling:02}: {other}"),
        }
    }
}

struct Clerk {
    client: reqwest::Client,
    base: String,
    token: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_64_clerks_gets_the_last_place_of_each_of_100_dwellings() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    let made = (0..N_DWELLINGS).map(|dwelling| {
        let path = format!("/api/v1/dwellings/d{dwelling:02}");
        let site = &site;
        async move { site.put(&path, &rented("1", "12.00")).await.status }
    });
    assert_eq!(join_all(made).await, [201; N_DWELLINGS]);

    let clerks = Arc::new(Clerk {
        client: site.client(),
        base: site.gateway.url(""),
        token: site.token.clone(),
    });
    let given = Arc::new(Given::default());
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..N_CLERKS {
        let (clerks, given) = (Arc::clone(&clerks), Arc::clone(&given));
        asking.spawn(async move { clerk(&clerks, number, &given).await });
    }
    eventually(
        "half of them are given away",
        Duration::from_secs(60),
        || given.n_given.load(Ordering::Relaxed) >= KILL_AT,
    )
    .await;
    site.gateway.crash();
    site.gateway.restart().await;
    while let Some(ended) = asking.join_next().await {
        ended.unwrap();
    }

    for dwelling in 0..N_DWELLINGS {
        let path = format!("/api/v1/dwellings/d{dwelling:02}/cardholders");
        let holders = site.get(&path).await.json();
        let holders: Vec<&str> = holders["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|holder| holder["id"].as_str().unwrap())
            .collect();
        assert_eq!(holders.len(), 1, "d{dwelling:02}: {holders:?}");
        let told = given.to.lock().get(&dwelling).cloned().unwrap_or_default();
        // Who was not told since the gateway was killed at that moment, asked again and met oneself.
        assert!(told.len() <= 1, "d{dwelling:02}: {told:?}");
        assert!(
            told.iter().all(|id| holders == [id]),
            "d{dwelling:02}: {told:?} {holders:?}"
        );
    }
    site.stop().await;
}
