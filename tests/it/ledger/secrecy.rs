//! No name and no card number in what the gateway stores, logs or counts.

use std::path::Path;

use serde_json::json;

use super::site::{Site, holder, rented};
use crate::harness::{Mosquitto, MosquittoOptions};

const ROSTER: &str = "\
dwelling,place,number,area_m2,tenure,holder,name,relation,card,state,valid_from,valid_until
b03-u2-301,b03-u2,301,24.00,rented,h1,Zaphod Fromfile,tenant,0FEEDBEEF1,active,,
b03-u2-301,,,,,h2,欧阳某某,tenant,0FEEDBEEF2,lost,,
b04-u1-101,b04-u1,101,12.00,rented,h3,Trillian Fromfile,tenant,0FEEDBEEF3,active,,
";

/// Every file below `folder` that holds one of `words`, in any case of its letters.
fn found_in(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_in(&path, words));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap().to_ascii_uppercase();
        for word in words {
            let word_bytes = word.to_ascii_uppercase();
            let word_bytes = word_bytes.as_bytes();
            if bytes
                .windows(word_bytes.len())
                .any(|window| window == word_bytes)
            {
                found.push(format!("{word} in {}", path.display()));
            }
        }
    }
    found
}

#[tokio::test]
async fn the_stored_files_and_the_log_hold_no_name_and_no_card_number() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let more = "roster = { file = \"roster.csv\" }";
    let mut site = Site::with(&mosquitto, more, &[("roster.csv", ROSTER)]).await;
    let people = "/api/v1/dwellings/b03-u2-302/cardholders";
    let made = site
        .put("/api/v1/dwellings/b03-u2-302", &rented("302", "12.00"))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let mut marked = holder("h5", "Ford Byhand");
    marked["person_key"] = json!("MARK-OF-FORD");
    marked["why"] = json!("Ford asked for it");
    assert_eq!(site.post(people, &marked).await.status, 201);
    let issued = site
        .post(
            "/api/v1/cards",
            &json!({"card": "0FEEDBEEF5", "holder": "h5"}),
        )
        .await;
    assert_eq!(issued.status, 201, "{}", issued.text());
    let refused = site.post(people, &holder("h6", "Arthur Refused")).await;
    assert_eq!(refused.status, 409);
    let taken = site
        .post(
            "/api/v1/cards",
            &json!({"card": "0FEEDBEEF3", "holder": "h5"}),
        )
        .await;
    assert_eq!(taken.status, 409, "{}", taken.text());
    for card in ["0FEEDBEEF1", "0FEEDBEEF2", "0FEEDBEEF5", "0FEEDBEEF9"] {
        site.swipe(&mosquitto, "b03-u2-door", card).await;
    }
    let id = issued.json()["id"].as_str().unwrap().to_owned();
    let gone = site
        .post(&format!("/api/v1/cards/{id}/lost"), &json!({}))
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(
        site.delete(&format!("{people}/h5?why=Ford%20left"))
            .await
            .status,
        204
    );
    let metrics = site.get("/metrics").await.text();

    let (folder, log) = site.stop().await;
    let words = [
        "Zaphod",
        "Trillian",
        "欧阳",
        "Byhand",
        "Ford",
        "Arthur",
        "MARK-OF",
        "0FEEDBEEF",
    ];
    let store = folder.path().join("store");
    assert!(
        !found_in(&store, &["b03-u2-302"]).is_empty(),
        "what is not personal can be found"
    );
    assert_eq!(found_in(&store, &words), Vec::<String>::new());
    assert_eq!(
        found_in(&folder.path().join("footage"), &words),
        Vec::<String>::new()
    );
    for word in words {
        let is_in = |text: &str| text.to_uppercase().contains(&word.to_uppercase());
        assert!(!is_in(&log), "{word} is in the log");
        assert!(!is_in(&metrics), "{word} is in the metrics");
    }
}
