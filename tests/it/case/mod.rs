//! The closed loop and the live feed: the running program, asked over HTTP as people and consoles ask it.

mod closed_loop;
mod crash;
mod dead_letters;
mod deadlines;
mod pictures;
mod stream;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::harness::gateway::{self, Gateway};
use crate::harness::http::{self, Answer};
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;
use crate::harness::{temp_dir, tls};

/// Long enough for what takes some milliseconds on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// One door, no camera, and a grid map.
struct Site {
    dir: tempfile::TempDir,
    web: String,
    mqtt_port: u16,
}

impl Site {
    /// `extra` is more configuration, such as a linkage.
    fn new(extra: &str) -> Site {
        let site = Site {
            dir: temp_dir(),
            web: format!("127.0.0.1:{}", free_port()),
            mqtt_port: free_port(),
        };
        let (web, mqtt_port) = (&site.web, site.mqtt_port);
        let text = format!(
            r#"
compound = {{ id = "it-1", name = "Test", time_zone = "Asia/Shanghai" }}
store = {{ path = "store" }}
footage = {{ path = "footage", free_space_floor = "1%" }}
web = {{ listen = "{web}" }}
mqtt = {{ url = "embedded", listen = "127.0.0.1:{mqtt_port}" }}
stairwell = [{{ id = "b1-u1", building = "1", unit = "1" }}]
door = [{{ id = "d1", place = "b1-u1", cameras = [] }}]

[[case.grid]]
id = "grid-1"
buildings = ["1"]
community = "grid officer"
street = "street office"
{extra}"#
        );
        std::fs::write(site.config(), text).unwrap();
        tls::write_secret(
            &site.dir.path().join("secret"),
            "a shared secret of the test",
        );
        site
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("gateway.toml")
    }

    async fn start(&self) -> Gateway {
        self.start_with(&[]).await
    }

    async fn start_with(&self, envs: &[(&str, &str)]) -> Gateway {
        let mut gateway = Gateway::spawn(&self.config(), &self.web, envs);
        gateway.expect("configuration problem");
        gateway.ready().await;
        gateway
    }

    /// A token for an account of that role; accounts are named by their role.
    async fn token(&self, role: &str) -> String {
        let config = self.config();
        let args = ["user", "token", role, "--role", role, "--config"];
        let output = gateway::run(&[&args[..], &[config.to_str().unwrap()]].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Swipes under duress with a card nobody holds, numbered from `from`: each raises an alert of
    /// severity 1, and together a flood of unknown cards.
    async fn raise(&self, from: u64, n: u64) {
        let mut lines = String::new();
        for seq in from..from + n {
            let swipe = json!({
                "v": 1, "boot": "a", "seq": seq, "card": "04FFFFFFFF", "method": "duress",
            });
            writeln!(lines, "{swipe}").unwrap();
        }
        let port = self.mqtt_port.to_string();
        let topic = "stairgate/it-1/door/d1/swipe";
        let mut publisher = tokio::process::Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-q", "1", "-l"])
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = publisher.stdin.take().unwrap();
        stdin.write_all(lines.as_bytes()).await.unwrap();
        drop(stdin);
        assert!(publisher.wait().await.unwrap().success());
    }

    /// Every invariant of the store holds.
    async fn verify(&self) {
        let config = self.config();
        let args = ["verify-store", "--config", config.to_str().unwrap()];
        let verified = gateway::run(&args).await;
        assert!(verified.status.success(), "{verified:?}");
    }
}

/// Takes a step; the body may be `null`.
async fn step(gateway: &Gateway, token: &str, alert: &str, step: &str, body: Value) -> Answer {
    let url = gateway.url(&format!("/api/v1/alerts/{alert}/{step}"));
    http::post(&url, Some(token), &body).await.unwrap()
}

/// The one alert of `kind` there is.
async fn only_alert(gateway: &Gateway, kind: &str) -> Value {
    let url = format!("/api/v1/alerts?kind={kind}");
    eventually_ok("one alert", SOON, || async {
        let page = gateway.get(&url).await.json();
        match page["items"].as_array().unwrap().as_slice() {
            [alert] => Ok(alert.clone()),
            _ => Err(page),
        }
    })
    .await
}
