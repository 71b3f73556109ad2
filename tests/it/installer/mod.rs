//! A site set up through the API alone: from an empty configuration to a swipe with its clip and its
//! alert, without a restart.

mod site;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::DoorId;
use stairgate::domain::secret::Secret;
use stairgate::sim::doors::{DoorMode, SimDoorOptions, SimDoors, SimSwipe};
use stairgate::supervise::Supervisor;
use tokio::time::Instant;

use crate::harness::receiver::Receiver;
use crate::harness::wait::{eventually, eventually_ok};
use site::{CAMERA_PASSWORD, Site, cameras};

const UNKNOWN_CARD: &str = "0BADC0FFEE";
const DOOR_PASSWORD: &str = "knock knock";
const SIGNING_KEY: &str = "a signing key of the test";

fn codes(report: &Value) -> Vec<String> {
    let problems = report["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|problem| problem["where"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_empty_site_becomes_one_that_records_and_alerts_without_a_restart() {
    let supervisor = Supervisor::new();
    let cameras = cameras(1, true, &supervisor).await;
    let police = Receiver::start().await;
    let site = Site::start().await;
    let before = site.config();
    let view = site.get("/site").await;
    assert_eq!(
        (&view["stairwells"], &view["writable"]),
        (&json!([]), &json!(true))
    );
    assert!(site.has_missing("no-stairwells").await);

    let wanted = json!({
        "stairwells": [{ "id": "b03-u2", "building": "3", "unit": "2" }],
        "cameras": [{ "id": "b03-u2-in", "place": "b03-u2", "url": cameras.url(0).as_str(), "username": "admin", "password": CAMERA_PASSWORD }],
        "doors": [{ "id": "b03-u2-door", "place": "b03-u2", "cameras": ["b03-u2-in"], "decision": "online", "username": "b03-u2-door", "password": DOOR_PASSWORD }],
        "linkages": [{ "id": "duty-room", "kind": "webhook", "url": police.url(), "secret": SIGNING_KEY }],
    });
    let mut check = wanted.clone();
    check["version"] = view["version"].clone();
    let checked = site.post("/site/check", &check).await;
    assert_eq!(checked.status, 200, "{}", checked.text());
    let checked = checked.json();
    assert_eq!(checked["problems"], json!([]));
    assert_eq!(checked["changes"].as_array().unwrap().len(), 4);
    assert!(checked["diff"].as_str().unwrap().contains("+[[camera]]"));
    assert_eq!(site.config(), before, "a check writes nothing");
    assert!(!site.path("gateway.secrets").exists());

    let put = site.put(wanted).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let report = put.json();
    assert_eq!(report["diff"], checked["diff"]);
    assert_eq!(site.get("/site").await["version"], report["version"]);
    assert!(site.config().starts_with(&before), "what was there stays");
    let bak = std::fs::read_to_string(site.path("gateway.toml.bak")).unwrap();
    assert_eq!(bak, before);

    let audit = "/api/v1/audit?act=change&who=setup";
    let audit = site.gateway.get(audit).await.json();
    let [line] = audit["items"].as_array().unwrap().as_slice() else {
        panic!("one change, one line: {audit}")
    };
    assert_eq!(line["target"], "site");
    let told = line["detail"].as_str().unwrap();
    for id in ["b03-u2-in", "b03-u2-door", "duty-room"] {
        assert!(told.contains(id), "{told}");
    }

    let doors = recorded(&site, &police, &supervisor).await;
    assert_eq!(site.gateway.log().matches(" ready").count(), 1, "one start");
    secrets_stay(&site).await;
    doors.stop().await.unwrap();
    taken_back(&site, &before).await;
    supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
    site.gateway.stop(Duration::from_secs(30)).await;
}

/// A swipe gives an entry with its clip, and the alert arrives.
async fn recorded(site: &Site, police: &Receiver, supervisor: &Supervisor) -> SimDoors {
    eventually_ok("a pre-roll", Duration::from_secs(40), || async {
        let cameras = site.get("/cameras").await;
        match cameras["items"][0]["ring_s"].as_f64() {
            Some(held) if held >= 3.0 => Ok(()),
            _ => Err(cameras),
        }
    })
    .await;
    let door = SimDoorOptions {
        id: DoorId::new("b03-u2-door").unwrap(),
        credentials: Some(("b03-u2-door".to_owned(), Secret::new(DOOR_PASSWORD))),
        mode: DoorMode::Online,
    };
    let doors = site.doors(vec![door], supervisor);
    let door = doors.all().next().unwrap().clone();
    eventually("the door is online", Duration::from_secs(20), || {
        door.is_online()
    })
    .await;
    assert!(site.has_missing("door-untested").await || site.has_missing("door-silent").await);
    let swipe = SimSwipe::card(CardNumber::new(UNKNOWN_CARD).unwrap());
    let swiped = door.swipe(&swipe).await.unwrap();
    assert!(!swiped.has_opened, "nobody holds this card");
    let entry = eventually_ok("a whole clip", Duration::from_secs(30), || async {
        let entries = site.gateway.get("/api/v1/entries").await.json();
        match &entries["items"][0]["clip"]["state"] {
            Value::String(state) if state == "ready" || state == "whole" => {
                Ok(entries["items"][0].clone())
            }
            _ => Err(entries),
        }
    })
    .await;
    assert_eq!(entry["door"], "b03-u2-door");
    eventually_ok(
        "the alert at the police",
        Duration::from_secs(20),
        || async {
            let received = police.received();
            let alert = received
                .iter()
                .find(|alert| alert["kind"] == "unknown-card");
            alert.map(drop).ok_or(received)
        },
    )
    .await;
    assert!(!site.has_missing("door-untested").await);
    assert!(!site.has_missing("linkage-down").await);
    let probe = site
        .post("/linkages/duty-room/probe", &json!({}))
        .await
        .json();
    assert_eq!(probe["is_up"], true, "{probe}");
    let unknown = site.post("/linkages/nobody/probe", &json!({})).await;
    assert_eq!(unknown.status, 404);
    doors
}

/// No answer, no log and no file that others read has a secret in it.
async fn secrets_stay(site: &Site) {
    let shown = [
        site.get("/site").await.to_string(),
        site.get("/site/missing").await.to_string(),
        site.gateway.get("/api/v1/audit").await.text(),
        site.get("/health").await.to_string(),
        site.config(),
        site.gateway.log(),
    ];
    for (idx, text) in shown.iter().enumerate() {
        for secret in ["hush hush", DOOR_PASSWORD, SIGNING_KEY] {
            assert!(!text.contains(secret), "{idx} shows {secret}");
        }
    }
    let view = site.get("/site").await;
    assert_eq!(view["cameras"][0]["has_password"], true);
    assert_eq!(view["linkages"][0]["has_secret"], true);
    let mut n_files = 0;
    for file in std::fs::read_dir(site.path("gateway.secrets")).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        n_files += 1;
    }
    assert_eq!(n_files, 3);
}

/// What was sent back as it came changes nothing; an old version is refused; a removal is in force.
async fn taken_back(site: &Site, before: &str) {
    let view = site.get("/site").await;
    let again = site.put(view.clone()).await;
    assert_eq!((again.status, &again.json()["changes"]), (200, &json!([])));
    let mut stale = view;
    stale["version"] = json!("0".repeat(64));
    let body = stale.to_string().into_bytes();
    let stale = site.send(reqwest::Method::PUT, "/site", body).await;
    assert_eq!(stale.status, 409, "{}", stale.text());
    assert_eq!(stale.json()["type"], "changed-meanwhile");
    let gone = json!({ "stairwells": [], "cameras": [], "doors": [], "linkages": [] });
    let gone = site.put(gone).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    assert_eq!(site.config(), before, "as it was in the beginning");
    assert_eq!(site.get("/cameras").await["items"], json!([]));
    assert_eq!(site.get("/doors").await["items"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_kept_or_taken_in_changes_nothing() {
    let mut site = Site::start().await;
    // The test's own folders stand in its way.
    site.gateway.expect("a draft is left behind");
    site.gateway.expect("cannot be kept, so it is undone");
    let stairwells = json!({ "stairwells": [{ "id": "s1", "building": "1", "unit": "1" }] });
    let before = site.config();
    // The new text cannot be written beside the file.
    std::fs::create_dir(site.path("gateway.toml.draft")).unwrap();
    let refused = site.put(stairwells.clone()).await;
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (409, &json!("not-writable"))
    );
    std::fs::remove_dir(site.path("gateway.toml.draft")).unwrap();
    // The old text cannot be kept, when the change is in force already.
    std::fs::create_dir(site.path("gateway.toml.bak-draft")).unwrap();
    let door = json!({
        "stairwells": [{ "id": "s1", "building": "1", "unit": "1" }],
        "doors": [{ "id": "d1", "place": "s1" }],
    });
    let refused = site.put(door.clone()).await;
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (409, &json!("not-writable"))
    );
    assert_eq!(site.config(), before);
    assert_eq!(site.get("/doors").await["items"], json!([]), "it is undone");
    assert!(!site.path("gateway.toml.draft").exists());
    std::fs::remove_dir(site.path("gateway.toml.bak-draft")).unwrap();
    // A secret that no file could hold is a problem of the change.
    let token = json!({ "linkages": [{ "id": "p", "kind": "grpc", "url": "http://127.0.0.1:1", "secret": "one\ntwo" }] });
    let refused = site.put(token).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(codes(&refused.json()), ["linkage.p.token_file"]);
    // Everything at once, and nothing of it in force.
    let wrong = json!({
        "stairwells": [{ "id": "s 1", "building": "1\n[web]", "unit": "1" }],
        "doors": [{ "id": "d1", "place": "nowhere", "controller": "uhppoted" }],
    });
    let refused = site.put(wrong).await;
    assert_eq!(refused.status, 422);
    let found = codes(&refused.json());
    for place in [
        "stairwell[1].id",
        "stairwell[1].building",
        "door.d1.place",
        "door.d1.match.device_id",
    ] {
        assert!(found.iter().any(|at| at == place), "{place}: {found:?}");
    }
    let unknown = site.put(json!({ "camera": [] })).await;
    assert_eq!(
        unknown.status,
        422,
        "an unknown key is refused: {}",
        unknown.text()
    );
    assert_eq!(site.config(), before);
    // Afterwards all is well.
    let done = site.put(door).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(site.get("/doors").await["items"][0]["door"], "d1");
    // Someone breaks the file by hand.
    let broken = site.config().replace("[web]", "[webb]");
    std::fs::write(site.path("gateway.toml"), broken).unwrap();
    let answer = site.send(reqwest::Method::GET, "/site", Vec::new()).await;
    assert_eq!(
        (answer.status, &answer.json()["type"]),
        (409, &json!("site-unreadable"))
    );
    site.gateway.stop(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn only_an_installer_changes_a_site() {
    let mut site = Site::start().await;
    for role in ["duty-officer", "property-manager", "auditor"] {
        site.token = site.token(role, role).await;
        let answer = site.send(reqwest::Method::GET, "/site", Vec::new()).await;
        assert_eq!(answer.status, 403, "{role}: {}", answer.text());
        for (method, path) in [
            (reqwest::Method::PUT, "/site"),
            (reqwest::Method::POST, "/site/check"),
            (reqwest::Method::POST, "/site/probe"),
            (reqwest::Method::POST, "/site/spreadsheet"),
            (reqwest::Method::POST, "/linkages/x/probe"),
        ] {
            let answer = site.send(method, path, br#"{"version":""}"#.to_vec()).await;
            let is_refused = matches!(answer.status, 403 | 422 | 400);
            assert!(is_refused, "{role} {path}: {}", answer.text());
        }
        assert_eq!(site.put_nothing().await, 403, "{role}");
    }
    site.gateway.stop(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_probe_shows_the_picture_or_says_what_to_do() {
    let supervisor = Supervisor::new();
    let cameras = cameras(1, true, &supervisor).await;
    let site = Site::start().await;
    let url = cameras.url(0).to_string();
    let without = site
        .post("/site/probe", &json!({ "url": url }))
        .await
        .json();
    assert_eq!(without["verdict"], "bad", "{without}");
    assert_eq!(
        without["findings"][0]["text_zh"],
        "摄像机要求登录：请填写用户名和密码"
    );
    let login = json!({ "url": url, "username": "admin", "password": CAMERA_PASSWORD });
    let seen = site.post("/site/probe", &login).await.json();
    assert_eq!(seen["codec"], "h264", "{seen}");
    assert_ne!(seen["verdict"], "bad", "{seen}");
    assert!(seen["keyframe_interval_ms"].as_i64().unwrap() > 0, "{seen}");
    assert!(
        seen["clock_offset_ms"].as_i64().unwrap().abs() < 2_000,
        "{seen}"
    );
    let picture = seen["picture"].as_str().unwrap();
    let jpeg = base64::engine::general_purpose::STANDARD
        .decode(picture)
        .unwrap();
    assert_eq!(jpeg.get(..3), Some(&[0xff, 0xd8, 0xff][..]));
    // A configured camera with its kept password, but nowhere else.
    let change = json!({
        "stairwells": [{ "id": "s", "building": "1", "unit": "1" }],
        "cameras": [{ "id": "c", "place": "s", "url": url, "username": "admin", "password": CAMERA_PASSWORD }],
    });
    assert_eq!(site.put(change).await.status, 200);
    let kept = site
        .post("/site/probe", &json!({ "camera": "c" }))
        .await
        .json();
    assert!(kept["picture"].is_string(), "{kept}");
    let elsewhere = json!({ "camera": "c", "url": "rtsp://192.0.2.1/steal" });
    let refused = site.post("/site/probe", &elsewhere).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    for wrong in [
        json!({}),
        json!({ "url": "http://127.0.0.1/" }),
        json!({ "url": "rtsp://u:p@127.0.0.1/" }),
        json!({ "url": "rtsp://127.0.0.1/", "password": "x" }),
    ] {
        let refused = site.post("/site/probe", &wrong).await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
        assert!(!refused.text().contains("u:p"));
    }
    supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
    let mut site = site;
    // The cameras have gone before it.
    site.gateway.expect("camera");
    site.gateway.stop(Duration::from_secs(30)).await;
}

/// Stairwells of the compound, with a camera and a door each.
const N_STAIRWELLS: usize = 93;

#[tokio::test]
async fn ninety_three_stairwells_are_set_up_with_one_spreadsheet_and_one_put() {
    let supervisor = Supervisor::new();
    let cameras = cameras(N_STAIRWELLS, false, &supervisor).await;
    let site = Site::start().await;
    let template = site
        .send(reqwest::Method::GET, "/site/template.xlsx", Vec::new())
        .await;
    assert_eq!(
        (template.status, template.body.get(..2)),
        (200, Some(&b"PK"[..]))
    );
    let mut csv = String::from("幢号,单元,主码流地址,控制器,开门方式\n");
    for idx in 0..N_STAIRWELLS {
        let (building, unit) = (idx / 3 + 1, idx % 3 + 1);
        csv.push_str(&format!(
            "{building}幢,{unit}单元,{},native,online\n",
            cameras.url(idx)
        ));
    }
    let read = site
        .send(reqwest::Method::POST, "/site/spreadsheet", csv.into_bytes())
        .await;
    assert_eq!(read.status, 200, "{}", read.text());
    let sheet = read.json();
    assert_eq!(sheet["problems"], json!([]));
    let mut change = json!({});
    for list in ["stairwells", "cameras", "doors"] {
        assert_eq!(sheet[list].as_array().unwrap().len(), N_STAIRWELLS);
        change[list] = sheet[list].clone();
    }
    let began = Instant::now();
    let put = site.put(change).await;
    let took = began.elapsed();
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(
        put.json()["changes"].as_array().unwrap().len(),
        3 * N_STAIRWELLS
    );
    eventually_ok("every camera is up", Duration::from_secs(60), || async {
        let cameras = site.get("/cameras").await;
        let items = cameras["items"].as_array().unwrap().clone();
        match items.iter().filter(|camera| camera["up"] == true).count() {
            N_STAIRWELLS => Ok(()),
            n_up => Err(format!("{n_up} of {} up", items.len())),
        }
    })
    .await;
    let all_up = began.elapsed();
    println!("PUT of 93 stairwells, cameras and doors: {took:?}; every camera up after {all_up:?}");
    let doors = all_doors(&site, &supervisor).await;
    drop(doors);
    supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
    let mut site = site;
    site.gateway.expect("camera");
    site.gateway.stop(Duration::from_secs(40)).await;
}

/// Connects every door, until each has its card list and nothing needs anyone.
async fn all_doors(site: &Site, supervisor: &Supervisor) -> SimDoors {
    let doors = (1..=N_STAIRWELLS).map(|n| SimDoorOptions {
        id: DoorId::new(&format!(
            "b{:02}-u{}-door",
            (n - 1) / 3 + 1,
            (n - 1) % 3 + 1
        ))
        .unwrap(),
        credentials: None,
        mode: DoorMode::Online,
    });
    let doors = site.doors(doors.collect(), supervisor);
    let all: Vec<_> = doors.all().cloned().collect();
    eventually("every door has its list", Duration::from_secs(60), || {
        all.iter().all(|door| door.cards().is_some())
    })
    .await;
    let health = site.get("/health").await;
    let items = health["items"].as_array().unwrap();
    let of_part = |part: &str| items.iter().filter(|item| item["part"] == part).count();
    assert_eq!(
        (of_part("camera"), of_part("door")),
        (N_STAIRWELLS, N_STAIRWELLS)
    );
    let bad: Vec<_> = items
        .iter()
        .filter(|item| item["level"] == "failed")
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    doors
}

#[tokio::test]
async fn what_is_changed_by_hand_is_taken_in_at_sighup_and_a_mistake_changes_nothing() {
    let mut site = Site::start().await;
    let put = json!({ "stairwells": [{ "id": "b03-u2", "building": "3", "unit": "2" }] });
    let put = site.put(put).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let by_console = site.config();
    // Right behind a change from the console, while its line is still warm.
    let by_hand =
        format!("{by_console}\n[[stairwell]]\nid = \"b04-u1\"\nbuilding = \"4\"\nunit = \"1\"\n");
    std::fs::write(site.path("gateway.toml"), &by_hand).unwrap();
    site.gateway.reload();
    let stairwells = |view: &Value| -> Vec<String> {
        let items = view["items"].as_array().unwrap();
        items
            .iter()
            .map(|one| one["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    eventually_ok("both stairwells", Duration::from_secs(10), || async {
        let found = stairwells(&site.get("/places").await);
        match found.contains(&"b03-u2".to_owned()) && found.contains(&"b04-u1".to_owned()) {
            true => Ok(()),
            false => Err(found),
        }
    })
    .await;

    site.gateway.expect("configuration");
    let mistake =
        format!("{by_hand}\n[[stairwell]]\nid = \"b05 u1\"\nbuilding = \"5\"\nunit = \"1\"\n");
    std::fs::write(site.path("gateway.toml"), mistake).unwrap();
    site.gateway.reload();
    eventually("it says what is wrong", Duration::from_secs(10), || {
        site.gateway.log().contains("b05 u1")
    })
    .await;
    let found = stairwells(&site.get("/places").await);
    assert!(
        found.contains(&"b04-u1".to_owned()) && !found.iter().any(|id| id.starts_with("b05")),
        "{found:?}"
    );
    site.gateway.stop(Duration::from_secs(30)).await;
}
