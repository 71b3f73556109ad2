//! What strangers send: paths out of the folder, bodies without an end, names that are scripts or formulas.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::person::log_in;
use crate::harness::http;
use crate::harness::{Mosquitto, MosquittoOptions};
use crate::ledger::site::Site;

/// Sends `request` as it is; the answer up to its end.
async fn raw(site: &Site, request: &str) -> String {
    let web = site.gateway.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&web).await.unwrap();
    let request = request.replace("$HOST", &web);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    read.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_path_leads_out_of_what_is_served() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/....//....//etc/passwd",
        "/assets/..%5c..%5c..%5cetc%5cpasswd",
        "/assets//etc/passwd",
        "/assets/%00/etc/passwd",
        "/api/v1/entries/..%2f..%2f..%2fetc%2fpasswd/clip.mp4",
        "/api/v1/alerts/x/pictures/..%2f..%2faccounts.json",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: $HOST\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(&site, &request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "401", "404"].contains(&status), "{path}: {answer}");
        assert!(
            !answer.contains("root:") && !answer.contains("argon2"),
            "{path}"
        );
    }
    site.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let site = Site::start(&mosquitto).await;
    let huge = "x".repeat(1 << 20);
    let answer = log_in(&site.gateway, &huge, "x").await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    // Nobody's body is read at all where an account is needed.
    let head = "POST /api/v1/roster/import HTTP/1.1\r\nHost: $HOST\r\n\
                Content-Length: 1000000000000\r\nConnection: close\r\n\r\n";
    let answer = raw(&site, head).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: $HOST\r\nConnection: close\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let web = site.gateway.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&web).await.unwrap();
    // It may be cut off while it is still sent.
    stream
        .write_all(long.replace("$HOST", &web).as_bytes())
        .await
        .unwrap_or_default();
    let mut status = [0; 12];
    match timeout(Duration::from_secs(10), stream.read_exact(&mut status)).await {
        Ok(Ok(_)) => assert!(status.starts_with(b"HTTP/1.1 4"), "{status:?}"),
        Ok(Err(_)) => {}
        Err(_) => panic!("neither answered nor cut off"),
    }
    site.stop().await;
}

#[tokio::test]
async fn a_script_or_a_formula_in_a_name_stays_text() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let mut site = Site::start(&mosquitto).await;
    site.gateway.expect("log-in refused");
    let names = [
        "<script>alert(1)</script>",
        "=HYPERLINK(\"http://e\")",
        "a\nb\u{0}c\r\nd",
    ];
    for name in names {
        assert_eq!(
            log_in(&site.gateway, name, "a wrong password").await.status,
            401
        );
    }
    let audit = site.gateway.get("/api/v1/audit?act=login-failed").await;
    assert_eq!(audit.header("content-type"), "application/json");
    assert_eq!(audit.header("x-content-type-options"), "nosniff");
    let items = audit.json()["items"].clone();
    let targets: Vec<&str> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["a b c  d", names[1], names[0]]);
    let export = "/api/v1/audit/export.csv?act=login-failed";
    let csv = site.gateway.get(export).await.text();
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://e\"\")\""), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 3, "no line is forged");
    let log = site.gateway.log();
    assert!(!log.contains("a\nb"), "nor one of the log");
    let reason = http::get(&site.gateway.url("/api/v1/entries?holder=h1&reason=%3Cb%3E")).await;
    assert_eq!(reason.unwrap().status, 404);
    site.stop().await;
}
