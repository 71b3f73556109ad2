//! TLS in the gateway itself, and what stands in for it.

use std::time::Duration;

use serde_json::json;

use super::person::PASSWORD;
use crate::harness::gateway::{Gateway, run};
use crate::harness::net::free_port;
use crate::harness::tls::TlsFiles;
use crate::harness::wait::{eventually, eventually_ok};
use crate::harness::{http, temp_dir, tls};

fn config(folder: &std::path::Path, web: &str) -> String {
    let file = folder.join("gateway.toml");
    let text = format!(
        "[compound]\nid = \"a\"\nname = \"A\"\ntime_zone = \"Asia/Shanghai\"\n\
         [store]\npath = \"store\"\n[footage]\npath = \"footage\"\nfree_space_floor = \"1%\"\n\
         [mqtt]\nlisten = \"127.0.0.1:0\"\n[web]\n{web}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A gateway with the certificate in `folder`, and where it listens.
fn spawn(folder: &std::path::Path) -> (String, Gateway) {
    let web = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "listen = \"{web}\"\ntls_cert_file = \"server.pem\"\ntls_key_file = \"server.key\""
    );
    let config = config(folder, &text);
    let mut gateway = Gateway::spawn(std::path::Path::new(&config), &web, &[]);
    gateway.expect("configuration problem");
    (web, gateway)
}

/// A client that knows the authority of `files` alone.
fn client(files: &TlsFiles) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(&files.ca).unwrap()).unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .unwrap()
}

async fn asks(client: &reqwest::Client, web: &str) -> Result<(), String> {
    let answer = client.get(format!("https://{web}/readyz")).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    answer.map(drop).map_err(|err| err.to_string())
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_in_and_open_connections_go_on() {
    let folder = temp_dir();
    let files = tls::make(folder.path());
    let (web, mut gateway) = spawn(folder.path());
    let before = client(&files);
    eventually_ok("it answers", Duration::from_secs(30), || async {
        asks(&before, &web).await
    })
    .await;

    // What cannot be used changes nothing.
    let good = std::fs::read(&files.cert).unwrap();
    std::fs::write(&files.cert, "no certificate").unwrap();
    gateway.expect("the new certificate cannot be used");
    gateway.expect("configuration");
    gateway.reload();
    eventually("it says so", Duration::from_secs(10), || {
        gateway.log().contains("cannot be used")
    })
    .await;
    asks(&client(&files), &web).await.unwrap();
    std::fs::write(&files.cert, good).unwrap();

    let renewed = tls::make(folder.path());
    gateway.reload();
    eventually_ok(
        "the renewed one is shown",
        Duration::from_secs(10),
        || async { asks(&client(&renewed), &web).await },
    )
    .await;
    // This client keeps its connection, which was made with the certificate before.
    asks(&before, &web).await.unwrap();
    gateway.stop(Duration::from_secs(15)).await;
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_alone_and_its_cookie_never_leaves_it() {
    let folder = temp_dir();
    let files = tls::make(folder.path());
    let (web, gateway) = spawn(folder.path());
    let client = client(&files);
    eventually_ok("it answers", Duration::from_secs(30), || async {
        asks(&client, &web).await
    })
    .await;
    http::get(&format!("http://{web}/readyz"))
        .await
        .unwrap_err();

    let token = http::token_of(&web).unwrap();
    let made = client
        .post(format!("https://{web}/api/v1/accounts"))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(json!({"name": "li", "role": "auditor"}).to_string());
    let made = http::send(made).await.unwrap().json();
    let setup = |origin: String| {
        client
            .post(format!("https://{web}/api/v1/setup"))
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(json!({"token": made["invite"], "password": PASSWORD}).to_string())
    };
    let plain = http::send(setup(format!("http://{web}"))).await.unwrap();
    assert_eq!(
        plain.status, 403,
        "a page that came without TLS is not ours"
    );
    let answer = http::send(setup(format!("https://{web}"))).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("set-cookie").contains("; Secure"));
    gateway.stop(Duration::from_secs(15)).await;
}

#[tokio::test]
async fn beyond_this_machine_it_listens_with_tls_or_behind_a_named_proxy_only() {
    let folder = temp_dir();
    tls::make(folder.path());
    let pair = "tls_cert_file = \"server.pem\"\ntls_key_file = \"server.key\"";
    for (web, code, says) in [
        (
            "listen = \"0.0.0.0:8080\"".to_owned(),
            64,
            "cross the network unencrypted",
        ),
        (format!("listen = \"0.0.0.0:8080\"\n{pair}"), 0, ""),
        (
            "listen = \"0.0.0.0:8080\"\ntrusted_proxies = [\"10.0.0.2\"]".to_owned(),
            0,
            "",
        ),
        (
            "trusted_proxies = [\"proxy\"]".to_owned(),
            64,
            "is no IP address",
        ),
        (
            "tls_cert_file = \"server.pem\"".to_owned(),
            64,
            "stands without tls_key_file",
        ),
        (
            "tls_cert_file = \"none.pem\"\ntls_key_file = \"server.key\"".to_owned(),
            64,
            "none.pem",
        ),
    ] {
        let config = config(folder.path(), &web);
        let output = run(&["check-config", &config]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{web}: {said}");
        assert!(said.contains(says), "{web}: {said}");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_stops_the_start_with_both_names() {
    let folder = temp_dir();
    let files = tls::make(folder.path());
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(&files.key, other.serialize_pem()).unwrap();
    let web = format!(
        "listen = \"127.0.0.1:{}\"\ntls_cert_file = \"server.pem\"\ntls_key_file = \"server.key\"",
        free_port()
    );
    let config = config(folder.path(), &web);
    let output = run(&["run", "--config", &config]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("server.pem") && said.contains("server.key"),
        "{said}"
    );
}
