//! Accounts as people and programs meet them: the command, and what a token opens.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::gateway::{Gateway, run};
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;
use crate::harness::{http, temp_dir};

/// A dead letter that is not there: who may ask is told so, everyone else is not.
const RETRY: &str = "/api/v1/deliveries/00000000000000000000000000000000.duty-room/retry";

fn site(folder: &Path, web: &str) -> String {
    let file = folder.join("gateway.toml");
    let text = format!(
        "[compound]\nid = \"a\"\nname = \"A\"\ntime_zone = \"Asia/Shanghai\"\n\
         [store]\npath = \"store\"\n[footage]\npath = \"footage\"\nfree_space_floor = \"1%\"\n\
         [web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn user(args: &[&str], config: &str) -> String {
    let args = [&["user"], args, &["--config", config]].concat();
    let output = run(&args).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn retry(gateway: &Gateway, token: Option<&str>) -> (u16, String) {
    let answer = http::post(&gateway.url(RETRY), token, &Value::Null).await;
    let answer = answer.unwrap();
    (
        answer.status,
        answer.json()["type"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_token_opens_what_its_role_may_and_is_taken_away_while_the_gateway_runs() {
    let folder = temp_dir();
    let web = format!("127.0.0.1:{}", free_port());
    let config = site(folder.path(), &web);
    let mut gateway = Gateway::start(Path::new(&config), &web).await;
    gateway.expect("configuration problem");

    for token in [None, Some("stairgate_00"), Some("")] {
        assert_eq!(
            retry(&gateway, token).await,
            (401, "unauthorized".to_owned())
        );
    }
    for (path, status) in [
        ("/api/v1/entries", 401),
        ("/healthz", 200),
        ("/readyz", 200),
    ] {
        let answer = http::get_as(None, &gateway.url(path)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    let auditor = user(&["token", "lin", "--role", "auditor"], &config).await;
    let officer = user(&["token", "hall", "--role", "duty-officer"], &config).await;
    eventually_ok("the new token is known", Duration::from_secs(5), || async {
        match retry(&gateway, Some(&officer)).await {
            (404, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(
        retry(&gateway, Some(&auditor)).await,
        (403, "forbidden".to_owned())
    );
    let listed = user(&["list"], &config).await;
    assert!(
        listed.contains("hall") && listed.contains("auditor"),
        "{listed}"
    );

    user(&["remove", "hall"], &config).await;
    eventually_ok("the token is dead", Duration::from_secs(5), || async {
        match retry(&gateway, Some(&officer)).await {
            (401, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(!gateway.log().contains("stairgate_"), "no token is logged");
    gateway.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_mistaken_account_is_said() {
    let folder = temp_dir();
    let config = site(folder.path(), "127.0.0.1:0");
    for (args, code, says) in [
        (
            vec!["user", "token", "Li Wei", "--role", "admin"],
            2,
            "1 to 32",
        ),
        (
            vec!["user", "token", "li", "--role", "root"],
            2,
            "a role is",
        ),
        (
            vec!["user", "remove", "nobody"],
            1,
            "there is no account nobody",
        ),
    ] {
        let args = [args, vec!["--config", &config]].concat();
        let output = run(&args).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
