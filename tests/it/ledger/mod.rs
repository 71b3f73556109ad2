//! The ledger as clerks, controllers and programs meet it: HTTP, card lists at a real broker, swipes.

mod at_the_door;
mod last_place;
mod secrecy;
mod site;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::wait::eventually_ok;
use crate::harness::{Mosquitto, MosquittoOptions};
use site::{Site, holder, rented};

/// A card list, read.
fn cards(list: &str) -> (u64, Vec<String>) {
    let list: Value = serde_json::from_str(list).unwrap();
    let cards = list["cards"].as_array().unwrap().iter();
    let cards = cards.map(|card| card.as_str().unwrap().to_owned());
    (list["version"].as_u64().unwrap(), cards.collect())
}

/// The retained list of `door`.
async fn retained(mosquitto: &Mosquitto, door: &str) -> (u64, Vec<String>) {
    let topic = format!("stairgate/test-1/door/{door}/cards");
    cards(&mosquitto.receive(&topic, 1).await[0])
}

/// The list of `door`, once it holds exactly `expected`.
async fn listed(mosquitto: &Mosquitto, door: &str, expected: &[&str]) -> u64 {
    // A second from the answer to the retained message; the rest is for mosquitto_sub to start.
    let within = Duration::from_secs(5);
    eventually_ok("the door's card list", within, || async {
        let (version, cards) = retained(mosquitto, door).await;
        if cards == expected {
            Ok(version)
        } else {
            Err(cards)
        }
    })
    .await
}

const HOME: &str = "/api/v1/dwellings/b03-u2-301";
const PEOPLE: &str = "/api/v1/dwellings/b03-u2-301/cardholders";

#[tokio::test]
async fn a_full_dwelling_refuses_with_its_reckoning_and_what_was_can_be_shown() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    fill(&site).await;
    refuse(&site).await;
    shrink(&site).await;
    look_back(&site).await;
    keep_out(&site).await;
    site.stop().await;
}

/// Seven persons in 94.30 m², and a child.
async fn fill(site: &Site) {
    let made = site.put(HOME, &rented("301", "94.30")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let dwelling = made.json();
    assert_eq!(dwelling["limit"], 7);
    assert_eq!(dwelling["reckoning"]["m2_per_person"], "12");
    assert_eq!(dwelling["building"], "3");
    for n in 1..=7 {
        let added = site
            .post(PEOPLE, &holder(&format!("h{n}"), "Test Person"))
            .await;
        assert_eq!(added.status, 201, "{}", added.text());
    }
    let child = json!({"id": "c1", "name": "Test Child", "relation": "minor-child"});
    assert_eq!(site.post(PEOPLE, &child).await.status, 201);
}

async fn refuse(site: &Site) {
    let refused = site.post(PEOPLE, &holder("h8", "Test Person")).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let problem = refused.json();
    assert_eq!(problem["type"], "cardholder-limit-reached");
    assert_eq!(
        (&problem["limit"], &problem["holders"]),
        (&json!(7), &json!(7))
    );
    assert_eq!(problem["area"], "94.30");
    let reckoning = &problem["reckoning"];
    assert_eq!(reckoning["rule_version"], 1);
    assert_eq!(reckoning["counted"].as_array().unwrap().len(), 7);
    assert_eq!(
        reckoning["not_counted"],
        json!([{"holder": "c1", "why": "minor-child"}])
    );
    let alerts = site.get("/api/v1/alerts?kind=limit-reached").await.json();
    assert_eq!(alerts["items"].as_array().unwrap().len(), 1, "{alerts}");
    assert_eq!(alerts["items"][0]["dwelling"], "b03-u2-301");
}

/// Nobody's card is taken when the area is corrected; the dwelling is listed.
async fn shrink(site: &Site) {
    let tag = site.get(HOME).await.header("etag").to_owned();
    let smaller = site.put_if(HOME, &tag, &rented("301", "59.99")).await;
    assert_eq!(smaller.status, 200, "{}", smaller.text());
    let stale = site.put_if(HOME, &tag, &rented("301", "94.30")).await;
    assert_eq!(
        (stale.status, &stale.json()["type"]),
        (412, &json!("stale"))
    );
    let over = site
        .get("/api/v1/dwellings?over_limit=true&building=3")
        .await
        .json();
    assert_eq!(over["items"][0]["limit"], 4);
    assert_eq!(
        over["items"][0]["reckoning"]["surplus"],
        json!(["h5", "h6", "h7"])
    );
    let alerts = site.get("/api/v1/alerts?kind=over-limit").await.json();
    assert_eq!(alerts["items"].as_array().unwrap().len(), 1, "{alerts}");
    for n in 5..=7 {
        let gone = site.delete(&format!("{PEOPLE}/h{n}?why=moved%20out")).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
    }
    let alerts = site.get("/api/v1/alerts?kind=over-limit").await.json();
    assert!(alerts["items"][0]["ended_at"].is_string(), "{alerts}");
    let over = site.get("/api/v1/dwellings?over_limit=true").await.json();
    assert!(over["items"].as_array().unwrap().is_empty(), "{over}");
}

/// Names are for who has a token; what happened is all there.
async fn look_back(site: &Site) {
    let stranger = site.get_as(None, PEOPLE).await;
    assert_eq!(stranger.status, 401);
    assert!(!stranger.text().contains("Test Person"));
    let clerk = site.get(PEOPLE).await.json();
    assert_eq!(clerk["items"][0]["name"], "Test Person");
    let history = site.get(&format!("{HOME}/history?limit=500")).await.json();
    let whats: Vec<&str> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["what"].as_str().unwrap())
        .collect();
    let n_of = |what: &str| whats.iter().filter(|one| **one == what).count();
    assert_eq!(
        (n_of("dwelling"), n_of("cardholder"), n_of("refused")),
        (2, 11, 1)
    );
    assert_eq!(history["items"][0]["why"], "moved out");
    assert_eq!(history["items"][0]["by"]["name"], "clerk");
    let found = site.get("/api/v1/dwellings?q=u2-30").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let by_name = "/api/v1/dwellings?q=Test%20Child";
    assert_eq!(
        site.get(by_name).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(site.get_as(None, by_name).await.status, 401);
    let yesterday = site.get(&format!("{HOME}?on=2020-01-01")).await;
    assert_eq!(yesterday.status, 404, "{}", yesterday.text());
}

/// Who may not, may not.
async fn keep_out(site: &Site) {
    let body = rented("302", "12.00");
    let stranger = site.put_as(None, "/api/v1/dwellings/d2", &body).await;
    assert_eq!(stranger.status, 401);
    let officer = site.token("hall", "duty-officer").await;
    let officer = site
        .put_as(Some(&officer), "/api/v1/dwellings/d2", &body)
        .await;
    assert_eq!(officer.status, 403);
}

#[tokio::test]
async fn a_revoked_card_is_refused_at_the_next_swipe_and_leaves_its_doors_list() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    for (id, body) in [
        ("b03-u2-301", rented("301", "94.30")),
        (
            "b04-u1-101",
            json!({"place": "b04-u1", "number": "101", "area_m2": "50", "tenure": "owner-occupied"}),
        ),
    ] {
        let made = site.put(&format!("/api/v1/dwellings/{id}"), &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let people = format!("/api/v1/dwellings/{id}/cardholders");
        let added = site
            .post(&people, &holder(&format!("h-{id}"), "Test Person"))
            .await;
        assert_eq!(added.status, 201, "{}", added.text());
    }
    let mut ids = Vec::new();
    for (card, holder) in [
        ("04a1b2c3d4", "h-b03-u2-301"),
        ("04A1B2C3D5", "h-b03-u2-301"),
        ("04A1B2C3D6", "h-b04-u1-101"),
    ] {
        let issued = site
            .post("/api/v1/cards", &json!({"card": card, "holder": holder}))
            .await;
        assert_eq!(issued.status, 201, "{}", issued.text());
        assert!(
            !issued.text().to_uppercase().contains("04A1"),
            "{}",
            issued.text()
        );
        ids.push(issued.json()["id"].as_str().unwrap().to_owned());
    }
    let both = ["04A1B2C3D4", "04A1B2C3D5"];
    let before = listed(&mosquitto, "b03-u2-door", &both).await;
    let other = listed(&mosquitto, "b04-u1-door", &["04A1B2C3D6"]).await;
    let all = ["04A1B2C3D4", "04A1B2C3D5", "04A1B2C3D6"];
    let gate = listed(&mosquitto, "gate", &all).await;
    let entry = site.swipe(&mosquitto, "b03-u2-door", "04A1B2C3D4").await;
    assert_eq!(entry["decision"]["outcome"], "granted", "{entry}");
    assert_eq!(entry["dwelling"], "b03-u2-301");

    let revoke = format!("/api/v1/cards/{}/revoke", ids[0]);
    let revoked = site.post(&revoke, &json!({"why": "moved out"})).await;
    assert_eq!(
        (revoked.status, &revoked.json()["state"]),
        (200, &json!("revoked"))
    );
    let entry = site.swipe(&mosquitto, "b03-u2-door", "04A1B2C3D4").await;
    assert_eq!(entry["decision"]["reason"], "revoked-card", "{entry}");
    let after = listed(&mosquitto, "b03-u2-door", &["04A1B2C3D5"]).await;
    assert!(after > before, "{before} to {after}");
    assert!(listed(&mosquitto, "gate", &["04A1B2C3D5", "04A1B2C3D6"]).await > gate);
    // Whom it does not concern keeps its version, also after a restart.
    assert_eq!(retained(&mosquitto, "b04-u1-door").await.0, other);
    site.gateway.crash();
    site.gateway.restart().await;
    assert_eq!(retained(&mosquitto, "b03-u2-door").await.0, after);
    assert_eq!(retained(&mosquitto, "b04-u1-door").await.0, other);

    // The other card in two buildings within half a minute.
    for door in ["b03-u2-door", "b04-u1-door"] {
        site.swipe(&mosquitto, door, "04A1B2C3D5").await;
    }
    let shared = site.get("/api/v1/alerts?kind=card-shared").await.json();
    assert_eq!(shared["items"].as_array().unwrap().len(), 1, "{shared}");
    assert_eq!(shared["items"][0]["door"], "b04-u1-door");
    let cards = site
        .get("/api/v1/cards?dwelling=b03-u2-301&state=active")
        .await;
    assert_eq!(cards.json()["items"].as_array().unwrap().len(), 1);
    assert!(!cards.text().contains("04A1B2C3D5"), "{}", cards.text());
    site.stop().await;
}
