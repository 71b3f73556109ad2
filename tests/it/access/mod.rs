//! Who may what: every route, every role, every scope; and how people get in and out.

mod audit;
mod console;
mod hostile;
mod person;
mod table;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stairgate::account;
use stairgate::domain::role::{ActorName, Role};
use stairgate::time::Clock;

use crate::harness::http;
use crate::harness::wait::eventually_ok;
use crate::harness::{Mosquitto, MosquittoOptions};
use crate::ledger::site::{Site, holder, rented};
use table::{At, Row, Things};

/// What a scope is called in a message, and its buildings.
const SCOPES: [(&str, Option<&[&str]>); 3] = [
    ("everywhere", None),
    ("building 3", Some(&["3"])),
    ("building 4 and the gates", Some(&["4", "compound"])),
];

fn buildings(names: Option<&[&str]>) -> Option<BTreeSet<String>> {
    names.map(|names| names.iter().map(|name| (*name).to_owned()).collect())
}

/// Tokens by role and scope.
fn tokens(accounts: &Path) -> BTreeMap<(Role, usize), String> {
    let mut tokens = BTreeMap::new();
    for role in Role::ALL {
        for (scope, (_, names)) in SCOPES.into_iter().enumerate() {
            let name = ActorName::new(&format!("{role}-{scope}")).unwrap();
            let now = Clock::system().now();
            let token = account::make_token(accounts, &name, role, now).unwrap();
            account::set_buildings(accounts, &name, buildings(names)).unwrap();
            tokens.insert((role, scope), token.reveal().to_owned());
        }
    }
    tokens
}

/// One entry with one alert, a dwelling with a holder and a card, all in building 3.
async fn things(site: &mut Site, mosquitto: &Mosquitto) -> Things {
    let made = site
        .put("/api/v1/dwellings/d1", &rented("301", "94.30"))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let people = "/api/v1/dwellings/d1/cardholders";
    let added = site.post(people, &holder("h1", "Test Person")).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let card = json!({"card": "04A1B2C3D4", "holder": "h1"});
    let card = site.post("/api/v1/cards", &card).await;
    assert_eq!(card.status, 201, "{}", card.text());
    let entry = site.swipe(mosquitto, "b03-u2-door", "04FFFFFFFF").await;
    Things {
        entry: entry["id"].as_str().unwrap().to_owned(),
        alert: entry["alerts"][0].as_str().unwrap().to_owned(),
        card: card.json()["id"].as_str().unwrap().to_owned(),
    }
}

/// The status of a request; only its head is read, since a stream has no end.
async fn status(url: &str, row: &Row, token: Option<&str>) -> u16 {
    let method = reqwest::Method::from_bytes(row.method.to_uppercase().as_bytes()).unwrap();
    let mut request = http::client().request(method, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &row.body {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        request = request
            .header("content-type", "application/json")
            .body(body);
    }
    request.send().await.unwrap().status().as_u16()
}

fn letter(role: Role) -> &'static str {
    match role {
        Role::DutyOfficer => "d",
        Role::PropertyManager => "p",
        Role::Installer => "i",
        Role::Auditor => "a",
        Role::Admin => "",
    }
}

fn may(row: &Row, role: Role, scope: usize) -> bool {
    let by_role = role == Role::Admin || row.roles.contains(letter(role));
    let by_place = match row.at {
        At::Building => scope != 2,
        At::Rows | At::Own | At::Anyone => true,
        At::Whole => scope == 0,
    };
    by_role && by_place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_for_the_roles_and_places_of_the_table_and_for_nobody_else() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    // Nothing answers there: what matters is who may ask for its picture.
    let camera =
        "camera = [{ id = \"b03-u2-in\", place = \"b03-u2\", url = \"rtsp://127.0.0.1:9/main\" }]";
    let mut site = Site::with(&mosquitto, camera, &[]).await;
    site.gateway.expect("log-in refused");
    site.gateway.expect("camera");
    let things = things(&mut site, &mosquitto).await;
    let rows = table::rows(&things);
    assert_every_route_has_a_row(&site, &rows).await;
    let tokens = tokens(&site.path("accounts.json"));
    let last = &tokens[&(Role::Admin, SCOPES.len() - 1)];
    let me = site.gateway.url("/api/v1/me");
    eventually_ok("the tokens are known", Duration::from_secs(5), || async {
        match http::get_as(Some(last), &me).await.unwrap().status {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let mut wrong = Vec::new();
    for row in &rows {
        let url = site.gateway.url(&format!("/api/v1{}", row.asked));
        let as_nobody = status(&url, row, None).await;
        let is_refused = as_nobody == 401;
        let guesses = ["/login"].contains(&row.path);
        if is_refused == (row.at == At::Anyone) && !guesses {
            wrong.push(format!("{} {}: nobody: {as_nobody}", row.method, row.path));
        }
        for ((role, scope), token) in &tokens {
            if row.at == At::Anyone {
                continue;
            }
            let status = status(&url, row, Some(token)).await;
            let let_in = ![401, 403].contains(&status);
            if let_in != may(row, *role, *scope) || status >= 500 {
                let (method, path, scope) = (row.method, row.path, SCOPES[*scope].0);
                wrong.push(format!("{method} {path}: {role}, {scope}: {status}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rows_of_other_places_are_left_out(&site, &tokens).await;
    drop(site);
}

async fn assert_every_route_has_a_row(site: &Site, rows: &[Row]) {
    let document = site.gateway.get("/api/v1/openapi.json").await.json();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/api/v1") else {
            continue;
        };
        for method in operations.as_object().unwrap().keys() {
            routes.insert(format!("{method} {path}"));
        }
    }
    let listed: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    assert_eq!(routes, listed, "openapi.json and tests/it/access/table.rs");
}

/// Lists are the same routes for all; what they show is not.
async fn rows_of_other_places_are_left_out(site: &Site, tokens: &BTreeMap<(Role, usize), String>) {
    for (path, n_all, n_in_4) in [
        ("/api/v1/entries", 1, 0),
        ("/api/v1/alerts", 1, 0),
        ("/api/v1/dwellings", 1, 0),
        ("/api/v1/cards", 1, 0),
        ("/api/v1/doors", 3, 2),
    ] {
        let url = site.gateway.url(path);
        for (scope, expected) in [(0, n_all), (1, 1), (2, n_in_4)] {
            let token = &tokens[&(Role::Admin, scope)];
            let page = http::get_as(Some(token), &url).await.unwrap().json();
            let n_items = page["items"].as_array().unwrap().len();
            assert_eq!(n_items, expected, "{path}, {}: {page}", SCOPES[scope].0);
        }
    }
    let url = site.gateway.url("/api/v1/statistics");
    for (scope, expected) in [(0, 1), (1, 1), (2, 0)] {
        let token = &tokens[&(Role::Admin, scope)];
        let figures = http::get_as(Some(token), &url).await.unwrap().json();
        assert_eq!(figures["total"]["alerts"], expected, "{figures}");
    }
}
