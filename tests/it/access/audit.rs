//! Who looked at what: a line for each look, a reason where one is due, and a chain that anyone can reckon.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stairgate::domain::role::Role;

use super::console::account;
use super::person::Person;
use crate::harness::http;
use crate::harness::{Mosquitto, MosquittoOptions};
use crate::ledger::site::{Site, holder, rented};

/// The records that fit, newest first.
async fn audit(site: &Site, query: &str) -> Vec<Value> {
    let page = site.gateway.get(&format!("/api/v1/audit?{query}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_export_and_change_has_a_line_and_none_has_a_name_or_a_number() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    let home = "/api/v1/dwellings/d1";
    assert_eq!(site.put(home, &rented("301", "94.30")).await.status, 201);
    let people = format!("{home}/cardholders");
    let added = site.post(&people, &holder("h1", "Zaphod Test")).await;
    assert_eq!(added.status, 201);
    let card = json!({"card": "04A1B2C3D4", "holder": "h1", "why": "first card of Zaphod"});
    let card = site.post("/api/v1/cards", &card).await;
    let lost = format!("/api/v1/cards/{}/lost", card.json()["id"].as_str().unwrap());
    assert_eq!(site.post(&lost, &json!({})).await.status, 200);
    let entry = site.swipe(&mosquitto, "b03-u2-door", "04FFFFFFFF").await;
    let alert = entry["alerts"][0].as_str().unwrap();
    let url = site
        .gateway
        .url(&format!("/api/v1/alerts/{alert}/acknowledge"));
    let token = http::token_of(&url).unwrap();
    for _ in 0..2 {
        let step = http::post(&url, Some(&token), &Value::Null).await.unwrap();
        assert_eq!(step.status, 200, "{}", step.text());
    }
    assert_eq!(
        site.get("/api/v1/roster/export?format=csv").await.status,
        200
    );
    assert_eq!(site.get("/api/v1/roster/report.xlsx").await.status, 200);

    let changes = audit(&site, "act=change").await;
    let told: Vec<(String, String)> = changes
        .iter()
        .rev()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            (text("target"), text("detail"))
        })
        .collect();
    let case = format!("case {alert}");
    let details: Vec<&str> = told.iter().map(|(_, detail)| detail.as_str()).collect();
    assert_eq!(details[0], "token made, as property-manager");
    assert_eq!(details[1], "dwelling added");
    assert_eq!(details[2], "cardholder h1 added");
    assert!(details[3].ends_with("of h1 issued") && details[4].ends_with("of h1 lost"));
    assert_eq!(told[5], (case, "acknowledge".to_owned()), "once");
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(changes[0]["case"], alert);
    assert_eq!(
        (&changes[0]["place"], &changes[0]["by"]["name"]),
        (&json!("b03-u2"), &json!("harness"))
    );
    let exports = audit(&site, "act=export&who=clerk").await;
    let targets: Vec<&Value> = exports.iter().map(|one| &one["target"]).collect();
    assert_eq!(targets, [&json!("report"), &json!("roster")]);
    let all = site.gateway.get("/api/v1/audit?limit=500").await.text();
    for secret in ["Zaphod", "04A1B2C3D4", "A1B2C3D4"] {
        assert!(!all.contains(secret), "{secret}");
    }
    site.stop().await;
}

#[tokio::test]
async fn what_commands_do_to_accounts_stands_in_the_audit() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    let add = ["add", "zhao", "--role", "auditor", "--building", "3"];
    let link = site.user(&add).await;
    site.user(&["role", "zhao", "duty-officer"]).await;
    site.user(&["scope", "zhao"]).await;
    site.user(&["remove", "zhao"]).await;
    let lines = audit(&site, "act=change&who=command-line").await;
    let of_zhao = lines
        .iter()
        .rev()
        .filter(|one| one["target"] == "account zhao");
    let details: Vec<&Value> = of_zhao.map(|one| &one["detail"]).collect();
    let expected = [
        "made as auditor in 3",
        "a link to set a password made",
        "now duty-officer",
        "now everywhere",
        "removed",
    ];
    assert_eq!(details, expected);
    let secret = link.rsplit('/').next().unwrap();
    let all = site.gateway.get("/api/v1/audit?limit=500").await.text();
    assert!(!all.contains(secret));
    site.stop().await;
}

#[tokio::test]
async fn a_person_says_why_and_the_line_says_it_too() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    account(&site, "li", Role::DutyOfficer).await;
    let li = Person::at(&site.gateway, "li").await;
    let entry = site.swipe(&mosquitto, "b03-u2-door", "04FFFFFFFF").await;
    let (id, alert) = (
        entry["id"].as_str().unwrap(),
        entry["alerts"][0].as_str().unwrap(),
    );
    for what in ["clip.mp4", "thumbnail.jpg", "manifest.json"] {
        let path = format!("/entries/{id}/{what}");
        let answer = li.get(&path).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (400, &json!("reason-needed"))
        );
        for bad in ["reason=%20", "case=zz", &format!("case={}", "0".repeat(32))] {
            let answer = li.get(&format!("{path}?{bad}")).await;
            assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
        }
        for good in ["reason=theft", &format!("case={alert}")] {
            // The door has no camera; what matters is that it is not refused.
            let answer = li.get(&format!("{path}?{good}")).await;
            assert_eq!(answer.json()["type"], "clip-missed", "{good}");
        }
        // A program need not say.
        let answer = site.gateway.get(&format!("/api/v1{path}")).await;
        assert_eq!(answer.json()["type"], "clip-missed");
    }
    assert_eq!(audit(&site, "act=clip").await.len(), 0, "nothing was shown");
    site.stop().await;
}

#[tokio::test]
async fn names_are_seen_by_who_says_why() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    let home = "/api/v1/dwellings/d1";
    assert_eq!(site.put(home, &rented("301", "94.30")).await.status, 201);
    let people = format!("{home}/cardholders");
    let added = site.post(&people, &holder("h1", "Zaphod Test")).await;
    assert_eq!(added.status, 201);
    account(&site, "wang", Role::PropertyManager).await;
    account(&site, "li", Role::DutyOfficer).await;
    for name in ["wang", "li"] {
        let person = Person::at(&site.gateway, name).await;
        let answer = person.get("/dwellings/d1/cardholders").await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (400, &json!("reason-needed"))
        );
        let answer = person.get("/dwellings/d1/cardholders?names=false").await;
        if name == "wang" {
            let one = &answer.json()["items"][0];
            assert_eq!((&one["id"], &one["name"]), (&json!("h1"), &Value::Null));
        } else {
            assert_eq!(answer.status, 400, "who lives where is a person's matter");
        }
        let seen = audit(&site, &format!("act=person&who={name}")).await;
        assert_eq!(seen.len(), 0, "{name} has seen no name");
        let answer = person.get("/dwellings/d1/cardholders?reason=card").await;
        assert_eq!(answer.json()["items"][0]["name"], "Zaphod Test");
        let seen = audit(&site, &format!("act=person&who={name}")).await;
        let [line] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!(
            (&line["target"], &line["place"], &line["reason"]),
            (&json!("dwelling d1"), &json!("b03-u2"), &json!("card"))
        );
    }
    // What was changed there names them too.
    let wang = Person::at(&site.gateway, "wang").await;
    assert_eq!(wang.get("/dwellings/d1/history").await.status, 400);
    let history = wang.get("/dwellings/d1/history?names=false").await;
    assert!(history.status == 200 && !history.text().contains("Zaphod"));
    let history = wang.get("/dwellings/d1/history?reason=card").await;
    assert!(history.text().contains("Zaphod"));
    // Whoever looks for a dwelling by a name looks for a person.
    let found = async |query: &str| {
        let answer = wang.get(&format!("/dwellings?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(found("q=Zaphod%20Test").await, 0, "without a reason");
    assert_eq!(found("q=301&reason=post").await, 1, "by its number");
    let n_lines = async || audit(&site, "act=person&who=wang").await.len();
    assert_eq!(n_lines().await, 2, "neither is a look at a person");
    assert_eq!(found("q=Zaphod%20Test&reason=post").await, 1);
    assert_eq!(found("q=Nobody%20Here&reason=post").await, 0);
    assert_eq!(n_lines().await, 4);
    let all = site.gateway.get("/api/v1/audit?limit=500").await.text();
    assert!(!all.contains("Zaphod") && !all.contains("Nobody"));
    site.stop().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: the same records, looked at in every way"
)]
async fn the_audit_is_searched_in_pages_and_its_export_reckons_up() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    for name in ["li", "wang"] {
        account(&site, name, Role::DutyOfficer).await;
    }
    account(&site, "lin", Role::Auditor).await;
    let li = Person::at(&site.gateway, "li").await;
    assert_eq!(li.get("/audit").await.status, 403);
    let out = li.ask(Method::POST, "/logout", &Value::Null).await;
    assert_eq!(out.status, 204);
    let lin = Person::at(&site.gateway, "lin").await;
    let pages = |query: &'static str| {
        let lin = &lin;
        async move {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = lin
                    .get(&format!("/audit?limit=2{query}{cursor}"))
                    .await
                    .json();
                found.extend(page["items"].as_array().unwrap().clone());
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return found,
                }
            }
        }
    };
    let all = pages("").await;
    let numbers: Vec<u64> = all
        .iter()
        .map(|one| one["number"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=all.len() as u64).rev().collect();
    assert_eq!(numbers, expected, "newest first, without a gap");
    let of_li = pages("&who=li").await;
    let acts: Vec<&str> = of_li
        .iter()
        .map(|one| one["act"].as_str().unwrap())
        .collect();
    assert_eq!(acts, ["logout", "login", "login"]);
    assert_eq!(pages("&act=logout").await.len(), 1);
    assert_eq!(pages("&q=ACCOUNT%20wang").await.len(), 1);
    assert_eq!(pages("&to=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(lin.get("/audit?act=nonsense").await.status, 400);
    assert_eq!(lin.get("/audit?who=li&cursor=00").await.status, 400);

    let export = lin.get("/audit/export.csv").await;
    assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
    let text = export.text();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines.len(), all.len() + 1);
    let mut previous = "0".repeat(64);
    for line in &lines[1..] {
        // No field of this test has a quote or a comma in it.
        let fields: Vec<&str> = line.trim_matches('"').split("\",\"").collect();
        let canonical = json!(fields[..11]).to_string();
        let hash = hex::encode(Sha256::digest(format!("{previous}\n{canonical}")));
        assert_eq!((fields[11], fields[12]), (previous.as_str(), hash.as_str()));
        previous = hash;
    }
    // The export is a line, too.
    let newest = &pages("&act=export").await[0];
    assert_eq!(
        (&newest["target"], &newest["by"]["name"]),
        (&json!("audit"), &json!("lin"))
    );
    let by_role: BTreeMap<&str, usize> = all.iter().fold(BTreeMap::new(), |mut by, one| {
        *by.entry(one["by"]["role"].as_str().unwrap_or(""))
            .or_default() += 1;
        by
    });
    assert!(
        by_role["auditor"] >= 1 && by_role["admin"] == 4,
        "{by_role:?}"
    );
    site.stop().await;
}
