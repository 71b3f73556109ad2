//! A case from its alert to its end, over HTTP, with each role; and what is told of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SOON, Site, only_alert, step};
use crate::harness::gateway::Gateway;
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually_ok;
use crate::harness::{http, python};

const LINKAGE: &str = r#"
[[linkage]]
id = "duty-room"
kind = "webhook"
url = "URL"
secret_file = "secret"
kinds = ["duress"]
case_changes = true
"#;

struct Tokens {
    officer: String,
    manager: String,
    auditor: String,
    admin: String,
}

impl Tokens {
    async fn of(site: &Site) -> Tokens {
        Tokens {
            officer: site.token("duty-officer").await,
            manager: site.token("property-manager").await,
            auditor: site.token("auditor").await,
            admin: site.token("admin").await,
        }
    }
}

#[tokio::test]
async fn a_case_goes_from_its_alert_to_its_end_and_the_receiver_is_told_of_each_move() {
    let (police, nobody) = (Receiver::start().await, Receiver::start().await);
    let linkage = LINKAGE.replace("URL", &police.url());
    let other = LINKAGE.replace("URL", &nobody.url());
    let other = other
        .replace("duty-room", "other")
        .replace("= true", "= false");
    let site = Site::new(&format!("{linkage}{other}"));
    let tokens = Tokens::of(&site).await;
    let gateway = site.start().await;
    site.raise(1, 1).await;
    let alert = only_alert(&gateway, "duress").await;
    let id = alert["id"].as_str().unwrap();
    assert_eq!(alert["case"]["state"], "raised");
    assert_eq!(alert["case"]["party"], "grid officer");
    assert_eq!(alert["case"]["due_step"], "acknowledge");

    let (officer, manager) = (tokens.officer.as_str(), tokens.manager.as_str());
    for (kind, token, body, state) in [
        ("acknowledge", officer, Value::Null, "acknowledged"),
        (
            "dispatch",
            officer,
            json!({"note": "go and see"}),
            "dispatched",
        ),
        ("accept", manager, Value::Null, "accepted"),
        (
            "resolve",
            manager,
            json!({"note": "lock changed"}),
            "resolved",
        ),
        ("verify", officer, Value::Null, "verified"),
        ("close", officer, Value::Null, "closed"),
        (
            "reopen",
            tokens.admin.as_str(),
            json!({"note": "it is back"}),
            "acknowledged",
        ),
        ("cancel", officer, json!({"note": "a drill"}), "cancelled"),
    ] {
        // Who only reads, and who asks without a token, may not.
        let url = gateway.url(&format!("/api/v1/alerts/{id}/{kind}"));
        assert_eq!(
            http::post(&url, None, &body).await.unwrap().status,
            401,
            "{kind}"
        );
        let refused = step(&gateway, &tokens.auditor, id, kind, body.clone()).await;
        assert_eq!(
            (refused.status, &refused.json()["type"]),
            (403, &json!("forbidden"))
        );
        let answer = step(&gateway, token, id, kind, body.clone()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        let shown = answer.json();
        assert_eq!(shown["case"]["state"], state);
        // The same once more is no second step.
        let again = step(&gateway, token, id, kind, body).await;
        assert_eq!(again.status, 200, "{kind}: {}", again.text());
        assert_eq!(again.json()["case"]["moves"], shown["case"]["moves"]);
        assert_eq!(again.json()["revision"], shown["revision"]);
    }
    the_record_is_whole(&gateway, id).await;
    the_receiver_knows(&police, id, "cancelled").await;
    who_did_not_ask_is_not_told(&nobody);
    gateway.stop(Duration::from_secs(15)).await;
    site.verify().await;
}

fn who_did_not_ask_is_not_told(other: &Receiver) {
    let told: Vec<Value> = other.received();
    assert!(
        told.iter()
            .all(|message| message["case"]["state"] == "raised"),
        "{told:?}"
    );
}

async fn the_record_is_whole(gateway: &Gateway, id: &str) {
    let shown = gateway.get(&format!("/api/v1/alerts/{id}")).await.json();
    let moves = shown["case"]["moves"].as_array().unwrap();
    let told: Vec<(&str, &str)> = moves
        .iter()
        .map(|made| {
            let by = made["by"]["name"].as_str().unwrap_or("nobody");
            (made["kind"].as_str().unwrap(), by)
        })
        .collect();
    let expected = [
        ("opened", "nobody"),
        ("acknowledge", "duty-officer"),
        ("dispatch", "duty-officer"),
        ("accept", "property-manager"),
        ("resolve", "property-manager"),
        ("verify", "duty-officer"),
        ("close", "duty-officer"),
        ("reopen", "admin"),
        ("cancel", "duty-officer"),
    ];
    assert_eq!(told, expected);
    assert_eq!(moves[4]["note"], "lock changed");
    assert!(shown["case"]["due_at"].is_null());
}

async fn the_receiver_knows(police: &Receiver, id: &str, state: &str) {
    eventually_ok("the receiver knows", SOON, || async {
        let messages = police.received();
        let newest = messages
            .iter()
            .filter(|message| message["id"] == id)
            .max_by_key(|message| message["revision"].as_u64());
        match newest {
            Some(newest) if newest["case"]["state"] == state => Ok(()),
            other => Err(other.cloned()),
        }
    })
    .await;
    // How far it is leaves the building, not who is on it.
    for message in police.received() {
        let text = message.to_string();
        assert!(
            !text.contains("grid officer") && !text.contains("lock changed"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_illegal_step_is_refused_with_what_is_possible() {
    let site = Site::new("");
    let tokens = Tokens::of(&site).await;
    let gateway = site.start().await;
    site.raise(1, 1).await;
    let alert = only_alert(&gateway, "duress").await;
    let id = alert["id"].as_str().unwrap();
    let early = step(&gateway, &tokens.officer, id, "close", Value::Null).await;
    assert_eq!(early.status, 409);
    assert_eq!(early.header("content-type"), "application/problem+json");
    let problem = early.json();
    assert_eq!(problem["type"], "illegal-step");
    assert_eq!(problem["state"], "raised");
    assert_eq!(problem["legal"], json!(["acknowledge", "cancel"]));

    let taken = step(&gateway, &tokens.officer, id, "acknowledge", Value::Null).await;
    assert_eq!(taken.status, 200);
    // Another one acknowledges it again: it has an owner.
    let second = step(&gateway, &tokens.admin, id, "acknowledge", Value::Null).await;
    assert_eq!(
        (second.status, &second.json()["state"]),
        (409, &json!("acknowledged"))
    );
    assert!(
        second.json()["detail"]
            .as_str()
            .unwrap()
            .contains("duty-officer")
    );

    let manager = step(&gateway, &tokens.manager, id, "dispatch", Value::Null).await;
    assert_eq!(manager.status, 403);
    let nobody = json!({"tier": "district"});
    let nobody = step(&gateway, &tokens.officer, id, "dispatch", nobody).await;
    assert_eq!(
        (nobody.status, &nobody.json()["type"]),
        (409, &json!("no-party"))
    );
    let by_hand = json!({"tier": "district", "party": "night patrol"});
    let by_hand = step(&gateway, &tokens.officer, id, "dispatch", by_hand).await;
    let case = &by_hand.json()["case"];
    assert_eq!(
        (&case["party"], &case["tier"]),
        (&json!("night patrol"), &json!("district"))
    );

    for (kind, body, status) in [
        ("cancel", Value::Null, 400),
        ("cancel", json!({"note": ""}), 400),
        ("cancel", json!({"why": "a drill"}), 400),
        ("accept", json!({"party": "x"}), 400),
        ("acknowledge", json!([1]), 400),
        ("explode", Value::Null, 404),
    ] {
        let answer = step(&gateway, &tokens.officer, id, kind, body.clone()).await;
        assert_eq!(answer.status, status, "{kind} {body}: {}", answer.text());
    }
    let unknown = "0".repeat(32);
    let missing = step(
        &gateway,
        &tokens.officer,
        &unknown,
        "acknowledge",
        Value::Null,
    )
    .await;
    assert_eq!(missing.status, 404);
    gateway.stop(Duration::from_secs(15)).await;
}

#[tokio::test]
async fn alerts_are_listed_by_the_state_of_their_case_and_counted() {
    let site = Site::new("");
    let tokens = Tokens::of(&site).await;
    let gateway = site.start().await;
    site.raise(1, 3).await;
    let all = eventually_ok("three alerts", SOON, || async {
        let page = gateway
            .get("/api/v1/alerts?kind=duress&state=raised")
            .await
            .json();
        let items = page["items"].as_array().unwrap().clone();
        if items.len() == 3 {
            Ok(items)
        } else {
            Err(page)
        }
    })
    .await;
    let id = |n: usize| all[n]["id"].as_str().unwrap().to_owned();
    let officer = &tokens.officer;
    step(&gateway, officer, &id(0), "acknowledge", Value::Null).await;
    step(
        &gateway,
        officer,
        &id(1),
        "cancel",
        json!({"note": "a drill"}),
    )
    .await;
    for (state, n) in [
        ("raised", 1),
        ("acknowledged", 1),
        ("cancelled", 1),
        ("closed", 0),
        ("open", 2),
        ("done", 1),
        ("overdue", 0),
    ] {
        let url = format!("/api/v1/alerts?kind=duress&state={state}");
        let page = gateway.get(&url).await.json();
        assert_eq!(
            page["items"].as_array().unwrap().len(),
            n,
            "{state}: {page}"
        );
    }
    assert_eq!(gateway.get("/api/v1/alerts?state=lost").await.status, 400);
    the_list_is_the_same_page_by_page(&gateway).await;
    figures_count_them(&gateway).await;
    gateway.stop(Duration::from_secs(15)).await;
}

async fn the_list_is_the_same_page_by_page(gateway: &Gateway) {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let url = format!("/api/v1/alerts?state=open&limit=1{cursor}");
        let page = gateway.get(&url).await.json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|alert| alert["id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let whole = gateway.get("/api/v1/alerts?state=open").await.json();
    let whole: Vec<Value> = whole["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["id"].clone())
        .collect();
    assert_eq!(seen, whole);
}

async fn figures_count_them(gateway: &Gateway) {
    let figures = gateway.get("/api/v1/statistics?kind=duress").await.json();
    let total = &figures["total"];
    assert_eq!(
        (&total["cases"], &total["open"], &total["cancelled"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(total["closure_rate"], 0.0);
    assert_eq!(total["steps"]["acknowledge"]["n"], 1);
    assert_eq!(figures["by_place"]["b1-u1"]["alerts"], 3);
    the_workbook_says_the_same(gateway).await;
    let handover = gateway.get("/api/v1/statistics/handover").await.json();
    assert_eq!(handover["cancelled"], 1);
    let by = &handover["done_by"][0];
    assert_eq!(by["actor"]["name"], "duty-officer");
    assert_eq!(by["steps"], json!({"acknowledge": 1, "cancel": 1}));
    let n_open = handover["open"].as_u64().unwrap();
    assert_eq!(
        handover["open_cases"].as_array().unwrap().len() as u64,
        n_open
    );
    let metrics = gateway.get("/metrics").await.text();
    assert!(metrics.contains("stairgate_cases_steps_total{step=\"cancel\",outcome=\"taken\"} 1"));
}

/// Another program's reading of the XLSX against the JSON, figure by figure.
async fn the_workbook_says_the_same(gateway: &Gateway) {
    // One moment for both: what is overdue now may change with the next.
    let query = "from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00Z&kind=duress";
    let figures = gateway.get(&format!("/api/v1/statistics?{query}")).await;
    let sheet = gateway
        .get(&format!("/api/v1/statistics.xlsx?{query}"))
        .await;
    assert_eq!(sheet.status, 200);
    let dir = crate::harness::temp_dir();
    let file = dir.path().join("statistics.xlsx");
    std::fs::write(&file, &sheet.body).unwrap();
    let book = python::run("xlsx_rows.py", &[file.to_str().unwrap()]).await;
    let figures = figures.json();
    let total = json!({"": figures["total"]});
    for (name, groups) in [
        ("合计 Total", &total),
        ("按类型 By kind", &figures["by_kind"]),
        ("按位置 By place", &figures["by_place"]),
        ("按层级 By tier", &figures["by_tier"]),
        ("按时段 By period", &figures["by_period"]),
    ] {
        let rows = book[name].as_array().unwrap();
        let groups = groups.as_object().unwrap();
        assert_eq!(
            rows.len(),
            1 + groups.len(),
            "{name}: a heading and each group"
        );
        for (row, (key, of)) in rows[1..].iter().zip(groups) {
            if !key.is_empty() {
                assert_eq!(row[0], *key);
            }
            assert_row(row, of);
        }
    }
}

fn assert_row(row: &Value, of: &Value) {
    for (column, figure) in [
        (1, "alerts"),
        (2, "cases"),
        (3, "open"),
        (4, "closed"),
        (5, "cancelled"),
        (6, "closure_rate"),
        (7, "overdue"),
        (8, "overdue_now"),
        (9, "escalated"),
    ] {
        assert_eq!(row[column].as_f64(), of[figure].as_f64(), "{figure}: {row}");
    }
    let steps = [
        "acknowledge",
        "dispatch",
        "accept",
        "resolve",
        "verify",
        "close",
    ];
    for (first, step) in (10..).step_by(3).zip(steps) {
        let times = &of["steps"][step];
        assert_eq!(row[first].as_f64(), times["n"].as_f64(), "{step}: {row}");
        for (column, figure) in [(first + 1, "p50_ms"), (first + 2, "p95_ms")] {
            let seconds = times[figure].as_f64().map(|ms| ms / 1_000.0);
            assert_eq!(row[column].as_f64(), seconds, "{step} {figure}: {row}");
        }
    }
}
