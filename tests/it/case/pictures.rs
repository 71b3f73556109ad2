//! Pictures before and after: bounded, checked, kept, served back as they came.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Site, only_alert, step};
use crate::harness::gateway::Gateway;
use crate::harness::http::{self, Answer};

/// The smallest thing that begins as a JPEG does.
fn jpeg(n: u8) -> Vec<u8> {
    [&b"\xFF\xD8\xFF\xE0"[..], &[n; 64], b"\xFF\xD9"].concat()
}

async fn add(gateway: &Gateway, token: &str, alert: &str, when: &str, body: Vec<u8>) -> Answer {
    let url = gateway.url(&format!("/api/v1/alerts/{alert}/pictures?when={when}"));
    let request = http::client().post(url).bearer_auth(token).body(body);
    http::send(request).await.unwrap()
}

#[tokio::test]
async fn pictures_are_kept_with_the_case_and_served_as_they_came() {
    let site = Site::new("");
    let (manager, officer) = (
        site.token("property-manager").await,
        site.token("duty-officer").await,
    );
    let auditor = site.token("auditor").await;
    let mut gateway = site.start().await;
    site.raise(1, 1).await;
    let alert = only_alert(&gateway, "duress").await;
    let id = alert["id"].as_str().unwrap();

    let refused = add(&gateway, &auditor, id, "before", jpeg(0)).await;
    assert_eq!(refused.status, 403);
    for (when, body, status) in [
        ("before", b"GIF89a".to_vec(), 415),
        ("before", Vec::new(), 415),
        ("later", jpeg(0), 400),
        ("before", [jpeg(0), vec![0; 4 << 20]].concat(), 413),
    ] {
        let answer = add(&gateway, &manager, id, when, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let added = add(&gateway, &manager, id, "before", jpeg(1)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    // An answer that was lost: the same picture is there once.
    let again = add(&gateway, &manager, id, "before", jpeg(1)).await;
    assert_eq!((again.status, again.json()), (200, added.json()));
    assert_eq!(
        add(&gateway, &manager, id, "after", jpeg(2)).await.status,
        201
    );

    gateway.crash();
    gateway.restart().await;
    let shown = gateway.get(&format!("/api/v1/alerts/{id}")).await.json();
    let pictures = shown["case"]["pictures"].as_array().unwrap().clone();
    assert_eq!(pictures.len(), 2);
    for picture in &pictures {
        let n = if picture["when"] == "before" { 1 } else { 2 };
        let served = gateway.get(picture["url"].as_str().unwrap()).await;
        assert_eq!(
            (served.status, served.header("content-type")),
            (200, "image/jpeg")
        );
        assert_eq!(served.header("x-content-type-options"), "nosniff");
        assert_eq!(served.body, jpeg(n));
        assert_eq!(picture["added_by"]["name"], "property-manager");
    }
    for n in 3..13 {
        assert_eq!(
            add(&gateway, &manager, id, "after", jpeg(n)).await.status,
            201
        );
    }
    let one_more = add(&gateway, &manager, id, "after", jpeg(99)).await;
    assert_eq!(
        (one_more.status, &one_more.json()["type"]),
        (409, &json!("too-many-pictures"))
    );
    let done = step(&gateway, &officer, id, "cancel", json!({"note": "a drill"})).await;
    assert_eq!(done.status, 200);
    let late = add(&gateway, &manager, id, "after", jpeg(1)).await;
    assert_eq!(
        (late.status, &late.json()["type"]),
        (409, &json!("case-done"))
    );
    let other = format!("/api/v1/alerts/{id}/pictures/{}", "0".repeat(64));
    assert_eq!(gateway.get(&other).await.status, 404);
    let unknown: Value = gateway.get("/api/v1/alerts/zz/pictures/zz").await.json();
    assert_eq!(unknown["status"], 400);
    gateway.stop(Duration::from_secs(15)).await;
    site.verify().await;
}

#[tokio::test]
async fn a_file_that_a_crash_left_without_its_row_is_swept_at_the_next_start() {
    let site = Site::new("");
    let manager = site.token("property-manager").await;
    let envs = [("STAIRGATE_CRASH_AT", "after_picture_file_before_row")];
    let mut gateway = site.start_with(&envs).await;
    gateway.expect("ending at an armed crash point");
    site.raise(1, 1).await;
    let alert = only_alert(&gateway, "duress").await;
    let id = alert["id"].as_str().unwrap();
    let url = gateway.url(&format!("/api/v1/alerts/{id}/pictures?when=before"));
    let request = http::client().post(url).bearer_auth(&manager).body(jpeg(1));
    assert!(
        http::send(request).await.is_err(),
        "it ended before it answered"
    );
    let folder = site.dir.path().join("pictures");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    gateway.restart().await;
    let gone = || std::fs::read_dir(&folder).unwrap().count() == 0;
    crate::harness::eventually("the file is swept", super::SOON, gone).await;
    let added = add(&gateway, &manager, id, "before", jpeg(1)).await;
    assert_eq!(added.status, 201);
    gateway.stop(Duration::from_secs(15)).await;
    site.verify().await;
}
