//! TLS in the gateway itself, and what stands in for it.

use std::time::Duration;

use serde_json::json;

use super::person::PASSWORD;
use crate::harness::gateway::{Gateway, run};
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;
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

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_alone_and_its_cookie_never_leaves_it() {
    let folder = temp_dir();
    let files = tls::make(folder.path());
    let web = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "listen = \"{web}\"\ntls_cert_file = \"server.pem\"\ntls_key_file = \"server.key\""
    );
    let config = config(folder.path(), &text);
    let mut gateway = Gateway::spawn(std::path::Path::new(&config), &web, &[]);
    gateway.expect("configuration problem");
    let ca = reqwest::Certificate::from_pem(&std::fs::read(&files.ca).unwrap()).unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .unwrap();
    eventually_ok("it answers", Duration::from_secs(30), || async {
        let answer = client.get(format!("https://{web}/readyz")).send().await;
        answer
            .map_err(|err| err.to_string())?
            .error_for_status()
            .map(drop)
            .map_err(|err| err.to_string())
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
