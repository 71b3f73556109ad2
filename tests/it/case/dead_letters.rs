//! Dead letters as people meet them over HTTP: listed, explained, taken up again by one and all.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SOON, Site};
use crate::harness::gateway::Gateway;
use crate::harness::http;
use crate::harness::wait::{eventually, eventually_ok};
use crate::linkage::receiver::{Manner, Receiver};

const REFUSAL: Manner = Manner::Answer(422, "", r#"{"reason":"no such compound"}"#);

fn linkage(url: &url::Url) -> String {
    format!(
        r#"
[[linkage]]
id = "duty-room"
kind = "webhook"
url = "{url}"
secret_file = "secret"
kinds = ["duress"]
"#
    )
}

/// The dead letters, once there are `n`.
async fn dead(gateway: &Gateway, n: usize) -> Vec<Value> {
    eventually_ok("dead letters", SOON, || async {
        let page = gateway.get("/api/v1/deliveries?state=dead").await.json();
        let items = page["items"].as_array().unwrap().clone();
        if items.len() == n {
            Ok(items)
        } else {
            Err(page)
        }
    })
    .await
}

async fn retry(gateway: &Gateway, token: &str, which: &str) -> http::Answer {
    let url = gateway.url(&format!("/api/v1/deliveries/{which}"));
    http::post(&url, Some(token), &Value::Null).await.unwrap()
}

#[tokio::test]
async fn dead_letters_are_listed_with_their_reason_and_taken_up_by_one_and_all() {
    let police = Receiver::start().await;
    police.behave(REFUSAL);
    let site = Site::new(&linkage(&police.url()));
    let officer = site.token("duty-officer").await;
    let auditor = site.token("auditor").await;
    let mut gateway = site.start().await;
    gateway.expect("alert went to the dead letters");
    site.raise(1, 3).await;
    let letters = dead(&gateway, 3).await;
    for letter in &letters {
        assert_eq!(letter["linkage"], "duty-room");
        let why = letter["last_error"].as_str().unwrap();
        assert!(why.contains("no such compound"), "{why}");
    }
    eventually_ok("the linkage says so", SOON, || async {
        let linkages = gateway.get("/api/v1/linkages").await.json();
        let reason = linkages["items"][0]["health"]["reason"].clone();
        let reason = reason.as_str().unwrap_or_default();
        if reason.contains("3 alerts are in the dead letters") {
            Ok(())
        } else {
            Err(linkages)
        }
    })
    .await;

    police.behave(Manner::Take);
    let one = format!("{}/retry", letters[1]["id"].as_str().unwrap());
    assert_eq!(retry(&gateway, &auditor, &one).await.status, 403);
    assert_eq!(retry(&gateway, &officer, &one).await.status, 202);
    eventually("one arrives", SOON, || police.taken().len() == 1).await;
    dead(&gateway, 2).await;
    let again = retry(&gateway, &officer, &one).await;
    assert_eq!(
        (again.status, &again.json()["type"]),
        (409, &json!("not-dead"))
    );
    let nobody = retry(&gateway, &officer, "retry?linkage=nobody").await;
    assert_eq!(nobody.status, 404);
    let all = retry(&gateway, &officer, "retry?linkage=duty-room").await;
    assert_eq!((all.status, all.json()), (202, json!({"retried": 2})));
    eventually("all arrive", SOON, || police.taken().len() == 3).await;
    dead(&gateway, 0).await;

    what_nobody_would_send_stays(&site, gateway, &police, &officer).await;
    site.verify().await;
}

/// A dead letter whose linkage is taken out of the configuration is shown, and not taken up.
async fn what_nobody_would_send_stays(
    site: &Site,
    mut gateway: Gateway,
    police: &Receiver,
    officer: &str,
) {
    police.behave(REFUSAL);
    site.raise(4, 1).await;
    let letter = dead(&gateway, 1).await.remove(0);
    let text = std::fs::read_to_string(site.config()).unwrap();
    let without = text.replace(&linkage(&police.url()), "");
    assert_ne!(text, without);
    std::fs::write(site.config(), without).unwrap();
    gateway.restart().await;
    let one = format!("{}/retry", letter["id"].as_str().unwrap());
    let gone = retry(&gateway, officer, &one).await;
    assert_eq!(
        (gone.status, &gone.json()["type"]),
        (409, &json!("linkage-gone"))
    );
    let none = retry(&gateway, officer, "retry").await;
    assert_eq!((none.status, none.json()), (202, json!({"retried": 0})));
    dead(&gateway, 1).await;
    gateway.stop(Duration::from_secs(15)).await;
}
