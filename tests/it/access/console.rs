//! How people get in and out: the first link, log-in, sessions, and what other pages cannot do.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stairgate::domain::role::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::person::{PASSWORD, Person, log_in};
use crate::harness::gateway::run;
use crate::harness::{Mosquitto, MosquittoOptions};
use crate::harness::{http, temp_dir};
use crate::ledger::site::Site;

const SOON: Duration = Duration::from_secs(5);

/// An account with the password of the tests.
pub(super) async fn account(site: &Site, name: &str, role: Role) {
    let url = |path: &str| site.gateway.url(&format!("/api/v1{path}"));
    let token = http::token_of(&url("")).unwrap();
    let body = json!({"name": name, "role": role});
    let made = http::post(&url("/accounts"), Some(&token), &body)
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    let setup = json!({"token": made.json()["invite"], "password": PASSWORD});
    let answer = http::post(&url("/setup"), None, &setup).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn the_first_start_prints_a_link_and_the_link_makes_the_first_admin_once() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    site.gateway.expect("log-in refused");
    let url = |path: &str| site.gateway.url(&format!("/api/v1{path}"));
    let me = http::get_as(None, &url("/me")).await.unwrap();
    assert_eq!(
        (me.status, &me.json()["type"]),
        (401, &json!("setup-needed"))
    );
    let log = site.gateway.log();
    let link = log.split("/#/setup/").nth(1).unwrap();
    let token: String = link.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(token.len(), 64);
    let setup = |body: Value| {
        let url = url("/setup");
        async move { http::post(&url, None, &body).await.unwrap() }
    };
    for (body, status, kind) in [
        (
            json!({"token": "0", "password": PASSWORD}),
            404,
            "no-invite",
        ),
        (
            json!({"token": token, "password": PASSWORD}),
            400,
            "name-needed",
        ),
        (
            json!({"token": token, "name": "chen", "password": "short"}),
            400,
            "weak-password",
        ),
    ] {
        let answer = setup(body).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (status, &json!(kind))
        );
    }
    let body = json!({"token": token, "name": "chen", "password": PASSWORD});
    let answer = setup(body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let chen = Person::of(&site.gateway, &answer);
    let me = chen.get("/me").await.json();
    assert_eq!(
        (&me["name"], &me["role"]),
        (&json!("chen"), &json!("admin"))
    );
    assert_eq!(me["compound"]["id"], "test-1");
    assert!(
        me["may"]
            .as_array()
            .unwrap()
            .contains(&json!("manage-accounts"))
    );
    assert_eq!(setup(body).await.status, 404, "once");
    let me = http::get_as(None, &url("/me")).await.unwrap();
    assert_eq!(me.json()["type"], "unauthorized");
    site.stop().await;
}

#[tokio::test]
async fn a_session_changes_nothing_without_its_word_and_nothing_for_other_pages() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    account(&site, "li", Role::DutyOfficer).await;
    let li = Person::at(&site.gateway, "li").await;
    assert_eq!(li.get("/me").await.json()["name"], "li");
    let own = site.gateway.url("");
    let kind = |answer: http::Answer| (answer.status, answer.json()["type"].clone());
    let post = |headers: &[(&'static str, &str)]| {
        let mut request = li.request(Method::POST, "/logout");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http::send(request)
    };
    let csrf = json!("csrf");
    for headers in [
        &[][..],
        &[("origin", own.as_str())],
        &[("x-stairgate-csrf", "0"), ("origin", own.as_str())],
    ] {
        assert_eq!(kind(post(headers).await.unwrap()), (403, csrf.clone()));
    }
    let foreign = json!("foreign-origin");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let headers = [("x-stairgate-csrf", li.csrf.as_str()), ("origin", origin)];
        assert_eq!(kind(post(&headers).await.unwrap()), (403, foreign.clone()));
        let read = li.request(Method::GET, "/alerts").header("origin", origin);
        let read = http::send(read).await.unwrap();
        assert_eq!(kind(read), (403, foreign.clone()), "{origin}");
        // Neither can it log somebody in.
        let body = json!({"name": "li", "password": PASSWORD}).to_string();
        let log_in = http::client()
            .post(site.gateway.url("/api/v1/login"))
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(body);
        let answer = http::send(log_in).await.unwrap();
        assert_eq!(kind(answer), (403, foreign.clone()), "{origin}");
    }
    // A WebSocket of a browser has an origin; without one nobody's page opens it.
    let socket = li
        .request(Method::GET, "/alerts")
        .header("upgrade", "websocket");
    let socket = http::send(socket).await.unwrap();
    assert_eq!(kind(socket), (403, foreign));
    // A form of another page cannot speak JSON.
    let form = http::client()
        .post(site.gateway.url("/api/v1/login"))
        .header("content-type", "text/plain")
        .body(json!({"name": "li", "password": PASSWORD}).to_string());
    assert_eq!(http::send(form).await.unwrap().status, 415);
    let out = li.ask(Method::POST, "/logout", &Value::Null).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(li.get("/me").await.status, 401);
    site.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_and_an_attempt_is_recorded_without_its_password() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    site.gateway.expect("log-in refused");
    account(&site, "li", Role::DutyOfficer).await;
    let mut n_tried = 0;
    let refused = loop {
        let answer = log_in(&site.gateway, "li", "a wrong password").await;
        if answer.status != 401 {
            break answer;
        }
        assert_eq!(answer.json()["type"], "wrong-login");
        n_tried += 1;
        assert!(n_tried < 30);
    };
    assert_eq!((refused.status, n_tried), (429, 10));
    assert_eq!(refused.json()["type"], "too-many-attempts");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    // Also with the right one, or the guesser would know it.
    let right = log_in(&site.gateway, "li", PASSWORD).await;
    assert_eq!(right.status, 429);
    let audit = site.gateway.get("/api/v1/audit?act=login-failed").await;
    assert!(!audit.text().contains("a wrong password"));
    let audit = audit.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), n_tried);
    assert_eq!(audit["items"][0]["target"], "li");
    assert_eq!(audit["items"][0]["from_address"], "127.0.0.1");
    let (folder, log) = site.stop().await;
    for name in ["accounts.json", "sessions.json", "gateway.log"] {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert!(!text.contains(PASSWORD), "{name}");
    }
    assert!(!log.contains(PASSWORD) && !log.contains("a wrong password"));
}

#[tokio::test]
async fn accounts_are_made_limited_and_taken_away_and_what_is_open_ends_in_time() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    account(&site, "chen", Role::Admin).await;
    let chen = Person::at(&site.gateway, "chen").await;
    let body = json!({"name": "li", "role": "duty-officer", "buildings": ["3"]});
    let made = chen.ask(Method::POST, "/accounts", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert!(
        made["invite_path"]
            .as_str()
            .unwrap()
            .starts_with("/#/setup/")
    );
    let again = chen.ask(Method::POST, "/accounts", &body).await;
    assert_eq!(
        (again.status, &again.json()["type"]),
        (409, &json!("account-exists"))
    );
    let setup = json!({"token": made["invite"], "password": PASSWORD});
    let url = site.gateway.url("/api/v1/setup");
    let answer = http::post(&url, None, &setup).await.unwrap();
    assert_eq!(
        answer.json()["buildings"],
        json!(["3"]),
        "{}",
        answer.text()
    );
    let li = Person::of(&site.gateway, &answer);

    // Another role, another scope, another password, an ended session, no account: each ends the stream.
    let rights = |role: &str, buildings: Value| json!({"role": role, "buildings": buildings});
    let changes: [(Method, &str, Value); 2] = [
        (
            Method::PUT,
            "/accounts/li",
            rights("duty-officer", json!(["4"])),
        ),
        (Method::PUT, "/accounts/li", rights("auditor", json!(["4"]))),
    ];
    for (method, path, body) in changes {
        let mut stream = open_stream(&site, &li).await;
        let changed = chen.ask(method, path, &body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        ends_soon(&mut stream).await;
    }
    let mut stream = open_stream(&site, &li).await;
    let sessions = chen.get("/sessions").await.json();
    let items = sessions["items"].as_array().unwrap();
    let of_li = items.iter().find(|one| one["name"] == "li").unwrap();
    let path = format!("/sessions/{}", of_li["id"].as_str().unwrap());
    assert_eq!(
        chen.ask(Method::DELETE, &path, &Value::Null).await.status,
        204
    );
    ends_soon(&mut stream).await;
    assert_eq!(li.get("/me").await.status, 401);
    let li = Person::at(&site.gateway, "li").await;
    let mut stream = open_stream(&site, &li).await;
    let gone = chen.ask(Method::DELETE, "/accounts/li", &Value::Null).await;
    assert_eq!(gone.status, 204);
    ends_soon(&mut stream).await;
    let last = chen
        .ask(Method::DELETE, "/accounts/chen", &Value::Null)
        .await;
    assert_eq!(
        (last.status, &last.json()["type"]),
        (409, &json!("last-admin"))
    );
    site.stop().await;
}

async fn open_stream(site: &Site, person: &Person) -> TcpStream {
    let web = site.gateway.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&web).await.unwrap();
    let request = format!(
        "GET /api/v1/alerts/stream HTTP/1.1\r\nHost: {web}\r\nCookie: {}\r\n\r\n",
        person.cookie
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

/// The promise: 5 s.
async fn ends_soon(stream: &mut TcpStream) {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open after {:?}", begun.elapsed());
}

#[tokio::test]
async fn another_password_ends_other_sessions_and_a_restart_ends_none() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    site.gateway.expect("log-in refused");
    account(&site, "li", Role::DutyOfficer).await;
    let (li, other) = (
        Person::at(&site.gateway, "li").await,
        Person::at(&site.gateway, "li").await,
    );
    let new = "another long password";
    let put = |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        let li = &li;
        async move { li.ask(Method::PUT, "/me/password", &body).await }
    };
    assert_eq!(put("wrong", new).await.status, 401);
    assert_eq!(put(PASSWORD, "short").await.json()["type"], "weak-password");
    assert_eq!(put(PASSWORD, new).await.status, 204);
    assert_eq!(li.get("/me").await.status, 200);
    assert_eq!(other.get("/me").await.status, 401);
    assert_eq!(log_in(&site.gateway, "li", PASSWORD).await.status, 401);
    site.gateway.restart().await;
    assert_eq!(li.get("/me").await.status, 200, "a restart logs nobody out");
    site.stop().await;
}

#[tokio::test]
async fn the_command_makes_people_and_limits_them() {
    let folder = temp_dir();
    let config = folder.path().join("gateway.toml");
    let text = "[compound]\nid = \"a\"\nname = \"A\"\ntime_zone = \"Asia/Shanghai\"\n\
                [store]\npath = \"store\"\n[footage]\npath = \"footage\"\n\
                [mqtt]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&config, text).unwrap();
    let user = async |args: &[&str]| {
        let config = config.to_str().unwrap();
        let args = [&["user"], args, &["--config", config]].concat();
        let output = run(&args).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let add = ["add", "li", "--role", "duty-officer", "--building", "3"];
    let (code, link, said) = user(&add).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(link.starts_with("http://127.0.0.1:8080/#/setup/"), "{link}");
    let (code, _, said) = user(&add).await;
    assert!(
        code == Some(1) && said.contains("there is an account li already"),
        "{said}"
    );
    let (code, link, _) = user(&["invite", "chen", "--role", "admin"]).await;
    assert!(code == Some(0) && link.contains("/#/setup/"));
    let (code, _, said) = user(&["invite", "chen", "--role", "auditor"]).await;
    assert!(
        code == Some(1) && said.contains("chen is admin, not auditor"),
        "{said}"
    );
    let (code, _, _) = user(&["scope", "li", "3", "compound"]).await;
    assert_eq!(code, Some(0));
    let (_, listed, _) = user(&["list"]).await;
    assert!(
        listed.contains("3,compound") && listed.contains("everywhere"),
        "{listed}"
    );
    // Nothing on standard input is no password.
    let (code, _, said) = user(&["passwd", "li"]).await;
    assert!(code == Some(1) && said.contains("at least 12"), "{said}");
    assert!(Path::new(&folder.path().join("accounts.json")).exists());
}
