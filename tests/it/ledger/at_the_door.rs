//! A card read at a door and issued without its number being seen; what happened around an alert; who was
//! looked for, and why; figures for charts.

use std::time::Duration;

use serde_json::{Value, json};
use stairgate::store::{Store, StoreOptions, tables};
use stairgate::supervise::Supervisor;

use super::site::{Site, holder, rented};
use super::{HOME, PEOPLE};
use crate::harness::http::Answer;
use crate::harness::{Mosquitto, MosquittoOptions};

const CARD: &str = "0BADC0FFEE";
const NEXT: &str = "/api/v1/doors/b03-u2-door/next-card";

#[tokio::test]
async fn a_card_is_issued_by_reading_it_at_a_door_and_a_trail_names_nobody() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    assert_eq!(site.put(HOME, &rented("301", "94.30")).await.status, 201);
    let person = holder("h1", "Test Person");
    assert_eq!(site.post(PEOPLE, &person).await.status, 201);
    capture(&site, &mosquitto).await;
    // The second time it is known.
    let entry = site.swipe_next(&mosquitto, "b03-u2-door", CARD).await;
    assert_eq!(entry["dwelling"], "b03-u2-301", "{entry}");
    site.swipe_next(&mosquitto, "b04-u1-door", "0000").await;
    site.swipe_next(&mosquitto, "gate", "0000").await;
    let officer = site.token("officer", "duty-officer").await;
    trail(&site, &officer).await;
    search(&site, &officer).await;
    figures(&site, &officer).await;
    let (dir, log) = site.stop().await;
    assert!(!log.contains(CARD));
    let options = StoreOptions {
        path: dir.path().join("store"),
    };
    let mut registry = stairgate::telemetry::registry();
    let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
    let rows = store.scan(tables::AUDIT, &());
    let audit: Vec<String> = rows
        .map(|row| serde_json::to_string(&row.unwrap().1).unwrap())
        .collect();
    let searches = audit
        .iter()
        .filter(|it| it.contains("h1") && it.contains("case 7"));
    assert_eq!(searches.count(), 1, "{audit:?}");
    store.close().await;
}

/// Waits for a card at a door, swipes it there, and issues it.
async fn capture(site: &Site, mosquitto: &Mosquitto) {
    let nobody = site.post_as(None, NEXT, &json!({})).await;
    assert_eq!(nobody.status, 401);
    let none = site.post(&format!("{NEXT}?wait_s=1"), &json!({})).await;
    assert_eq!(none.status, 204, "{}", none.text());
    let no_door = site.post("/api/v1/doors/none/next-card", &json!({})).await;
    assert_eq!(no_door.status, 404);

    // The other wait may have come first; it is a short one.
    let waits = crate::harness::eventually_ok("a card", Duration::from_secs(40), || async {
        let waited = site.post(NEXT, &json!({})).await;
        if waited.status == 409 {
            Err(waited.text())
        } else {
            Ok(waited)
        }
    });
    let swipe = async {
        // The place is taken once a second wait is refused.
        crate::harness::eventually_ok("somebody waits", Duration::from_secs(10), || async {
            let second = site.post(&format!("{NEXT}?wait_s=1"), &json!({})).await;
            match second.status {
                409 => Ok(()),
                status => Err(status),
            }
        })
        .await;
        site.publish_swipe(mosquitto, "b03-u2-door", 1, CARD).await;
    };
    let (captured, ()) = tokio::join!(waits, swipe);
    assert_eq!(captured.status, 200, "{}", captured.text());
    assert!(!captured.text().contains(CARD));
    let captured = captured.json();
    assert_eq!(captured["card_ref"], "…FFEE");
    let capture = captured["capture"].as_str().unwrap();

    let other = site.token("other", "property-manager").await;
    let body = json!({"capture": capture, "holder": "h1", "why": "new card"});
    let stolen = site.post_as(Some(&other), "/api/v1/cards", &body).await;
    assert_eq!(kind(&stolen), (409, json!("capture-gone")));
    let both = json!({"capture": capture, "card": CARD, "holder": "h1"});
    assert_eq!(site.post("/api/v1/cards", &both).await.status, 400);
    let issued = site.post("/api/v1/cards", &body).await;
    assert_eq!(issued.status, 201, "{}", issued.text());
    assert_eq!(issued.json()["card_ref"], "…FFEE");
    let again = site.post("/api/v1/cards", &body).await;
    assert_eq!(kind(&again), (409, json!("capture-gone")));
}

fn kind(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["type"].clone())
}

async fn trail(site: &Site, officer: &str) {
    let alerts = site
        .get_as(Some(officer), "/api/v1/alerts?kind=unknown-card")
        .await
        .json();
    let alerts = alerts["items"].as_array().unwrap();
    let at_door = |door: &str| alerts.iter().find(|it| it["door"] == door).unwrap();
    let id = at_door("b03-u2-door")["id"].as_str().unwrap();
    let path = format!("/api/v1/alerts/{id}/trail");
    let trail = site.get_as(Some(officer), &path).await;
    assert_eq!(trail.status, 200, "{}", trail.text());
    let trail = trail.json();
    // Its own building and the gate, not the other building.
    assert_eq!(trail["doors"], json!(["b03-u2-door", "gate"]));
    let items = trail["items"].as_array().unwrap();
    let kinds: Vec<&str> = items
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds.iter().filter(|it| **it == "entry").count(),
        3,
        "{trail}"
    );
    assert!(kinds.contains(&"alert"));
    let times: Vec<&str> = items.iter().map(|it| it["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let text = trail.to_string();
    assert!(
        !text.contains("h1") && !text.contains("Test Person"),
        "{text}"
    );
    let far = site
        .get_as(Some(officer), &format!("{path}?minutes=600"))
        .await;
    assert_eq!(far.status, 400);
}

async fn search(site: &Site, officer: &str) {
    let list = async |query: &str| {
        let path = format!("/api/v1/entries?{query}");
        site.get_as(Some(officer), &path).await
    };
    let n = |answer: Answer| answer.json()["items"].as_array().unwrap().len();
    assert_eq!(n(list("building=3").await), 2);
    assert_eq!(n(list("building=4").await), 1);
    assert_eq!(n(list("place=compound").await), 1);
    assert_eq!(n(list("building=3&decision=granted").await), 1);

    assert_eq!(
        kind(&list("holder=h1").await),
        (400, json!("reason-needed"))
    );
    assert_eq!(list("holder=nobody&reason=x").await.status, 404);
    let long = "holder=h1&reason=x&from=2026-01-01T00:00:00Z&to=2026-11-01T00:00:00Z";
    assert_eq!(list(long).await.status, 400);
    let clerk = site.get("/api/v1/entries?holder=h1&reason=x").await;
    assert_eq!(
        clerk.status, 403,
        "a property office does not follow persons"
    );
    let found = list("holder=h1&reason=case%207").await.json();
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{found}");
    assert_eq!(items[0]["dwelling"], "b03-u2-301");
}

async fn figures(site: &Site, officer: &str) {
    let hours = site.get_as(Some(officer), "/api/v1/figures/hours").await;
    let hours = hours.json();
    let items = hours["items"].as_array().unwrap();
    assert!(items.len() == 24 || items.len() == 25, "{hours}");
    let sum = |field: &str| -> u64 { items.iter().map(|it| it[field].as_u64().unwrap()).sum() };
    assert_eq!((sum("entries"), sum("granted"), sum("denied")), (4, 1, 3));
    assert_eq!(sum("alerts"), 3);
    let storage = site.get_as(Some(officer), "/api/v1/figures/storage").await;
    let storage = storage.json();
    assert_eq!(storage["footage_bytes"], 0);
    assert!(storage["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(storage["days_until_floor"], Value::Null);
    let cameras = site.get_as(Some(officer), "/api/v1/figures/cameras").await;
    assert_eq!(cameras.json()["items"], json!([]));
    let days = "/api/v1/figures/hours?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z";
    assert_eq!(site.get_as(Some(officer), days).await.status, 400);
}
