//! The gateway dies around a step; asked again, the step is there exactly once.

use std::time::Duration;

use serde_json::Value;

use super::{Site, only_alert, step};
use crate::harness::http;

async fn dies_at(point: &str, taken: bool) {
    let site = Site::new("");
    let officer = site.token("duty-officer").await;
    let mut gateway = site.start_with(&[("STAIRGATE_CRASH_AT", point)]).await;
    gateway.expect("ending at an armed crash point");
    site.raise(1, 1).await;
    let alert = only_alert(&gateway, "duress").await;
    let id = alert["id"].as_str().unwrap();
    let url = gateway.url(&format!("/api/v1/alerts/{id}/acknowledge"));
    let answer = http::post(&url, Some(&officer), &Value::Null).await;
    assert!(answer.is_err(), "it ended before it answered");

    gateway.restart().await;
    let shown = gateway.get(&format!("/api/v1/alerts/{id}")).await.json();
    let state = if taken { "acknowledged" } else { "raised" };
    assert_eq!(shown["case"]["state"], state);
    let again = step(&gateway, &officer, id, "acknowledge", Value::Null).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let again = again.json();
    let moves = again["case"]["moves"].as_array().unwrap();
    let n_taken = moves
        .iter()
        .filter(|made| made["kind"] == "acknowledge")
        .count();
    assert_eq!(n_taken, 1, "{again}");
    if taken {
        assert_eq!(again["revision"], shown["revision"], "nothing new to tell");
    }
    gateway.stop(Duration::from_secs(15)).await;
    site.verify().await;
}

#[tokio::test]
async fn killed_between_the_step_and_its_answer_the_step_is_there_once() {
    dies_at("after_case_step_before_answer", true).await;
}

#[tokio::test]
async fn killed_before_the_step_it_is_not_there_and_can_be_taken() {
    dies_at("before_case_step", false).await;
}
